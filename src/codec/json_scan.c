/*
 * json_scan.c - RFC 8259 syntax, checked in one pass that can stop and go on at any byte.
 *
 * A state machine over the input: between two bytes, `state` (and for strings `sub`) says all that matters, with a bit per
 * nesting level that tells objects from arrays. Inside strings and blanks, sixteen bytes are looked at together. No
 * recursion, no allocation; only when a piece of input ends within a member are its key, and the text of a value that the
 * caller will want, copied aside.
 *
 * Numbers and literals have no state of their own between pieces beyond how far they got, so "12" | "34" and "1234" are the
 * same. Offsets are counted from the first byte of the document.
 *
 * Does not: build values, keep members, check for duplicate keys (each is reported). What works on values already found is in
 * json_value.c, changing a document in json_splice.c.
 */
#include "codec/json_scan.h"

#include "base/utf8.h"
#include "codec/json_scan_int.h"

#include <assert.h>

enum state {
    V_TOP,      /* expecting the top-level value                              */
    V_MEMBER,   /* expecting a member's value                                 */
    V_ELEMENT,  /* expecting an element, after a comma                        */
    V_FIRST,    /* expecting an element or ']'                                */
    K_FIRST,    /* expecting a key or '}'                                     */
    K_NEXT,     /* expecting a key, after a comma                             */
    COLON,      /* expecting ':'                                              */
    AFTER,      /* a value is complete: ',' or the end of its container       */
    IN_STRING,  /* between the quotes; see `sub`                              */
    IN_LITERAL, /* within true, false, null; `lit`, `lit_at`                  */
    N_MINUS,    /* after '-'                                                  */
    N_ZERO,     /* after a leading 0                                          */
    N_INT,      /* in the digits before the point                             */
    N_POINT,    /* after the point: a digit must follow                       */
    N_FRACTION, /* in the digits behind it                                    */
    N_E,        /* after e or E                                               */
    N_SIGN,     /* after its sign: a digit must follow                        */
    N_EXPONENT, /* in its digits                                              */
    TOP_DONE,   /* only blanks may follow                                     */
    FAILED,
};

enum sub {
    PLAIN,
    ESCAPE,    /* after a backslash                                          */
    HEX,       /* in \uXXXX; hex_left digits to come                         */
    LOW_SLASH, /* after a high surrogate: a backslash must follow            */
    LOW_U,     /* … then 'u'                                                 */
    LOW_HEX,   /* … then the digits of a low surrogate                       */
    TAIL,      /* within a UTF-8 character; utf8_left bytes to come          */
};

static const char too_deep[] = "nested too deeply";

static const struct str literals[] = {STR_INIT("null"), STR_INIT("false"), STR_INIT("true")}; /* as enum json_kind */

/* --- character classes --- */

static inline bool is_blank(unsigned char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline bool is_digit(unsigned char c)
{
    return (unsigned)c - '0' <= 9;
}

static inline int hex_value(unsigned char c)
{
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* --- failing --- */

static uint64_t offset_of(const struct json_scan *s, const char *p)
{
    return s->offset + (uint64_t)(p - s->feed);
}

/* Refuse the document because of the byte at p. Returns NULL. */
static COLD NOINLINE const char *refuse(struct json_scan *s, const char *p, const char *why)
{
    s->error = why;
    s->error_at = offset_of(s, p);
    s->state = FAILED;
    return NULL;
}

/* --- strings --- */

/* The lead byte of a character: how many bytes follow, and the range of the first of them (RFC 3629, 4). */
static bool expect_tail(struct json_scan *s, unsigned char lead)
{
    if (lead < 0xc2 || lead > 0xf4)
        return false;
    s->tail_left = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    s->tail_min = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    s->tail_max = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    s->sub = TAIL;
    return true;
}

static const char *in_tail(struct json_scan *s, const char *p, const char *end)
{
    while (s->tail_left && p < end) {
        unsigned char c = (unsigned char)*p;
        if (c < s->tail_min || c > s->tail_max)
            return refuse(s, p, "invalid UTF-8");
        s->tail_min = 0x80;
        s->tail_max = 0xbf;
        s->tail_left--;
        p++;
    }
    if (!s->tail_left)
        s->sub = PLAIN;
    return p;
}

/* p is at a byte beyond ASCII. Characters that are whole and valid are passed here, run by run. */
static const char *in_utf8(struct json_scan *s, const char *p, const char *end)
{
    while (p < end && (unsigned char)*p >= 0x80) {
        size_t n = utf8_valid_char(p, (size_t)(end - p));
        if (!n) {
            if (!expect_tail(s, (unsigned char)*p))
                return refuse(s, p, "invalid UTF-8");
            return in_tail(s, p + 1, end);
        }
        p += n;
    }
    return p;
}

static bool is_low_surrogate(uint16_t c)
{
    return (c & 0xfc00) == 0xdc00;
}

/* The four digits of \uXXXX are read. Returns false if the unit cannot stand here. */
static bool end_hex(struct json_scan *s)
{
    bool lone_ok = s->flags & JSON_LONE_SURROGATES;
    bool wanted_low = s->sub == LOW_HEX;

    if (wanted_low && is_low_surrogate(s->hex)) {
        s->sub = PLAIN;
        return true;
    }
    if (wanted_low && !lone_ok)
        return false;
    if ((s->hex & 0xfc00) == 0xd800) {
        s->sub = LOW_SLASH;
        return true;
    }
    s->sub = PLAIN;
    return lone_ok || !is_low_surrogate(s->hex);
}

static const char *in_hex(struct json_scan *s, const char *p, const char *end)
{
    while (p < end) {
        int digit = hex_value((unsigned char)*p);
        if (digit < 0)
            return refuse(s, p, "invalid \\u escape");
        s->hex = (uint16_t)(s->hex << 4 | digit);
        p++;
        if (--s->hex_left == 0)
            return end_hex(s) ? p : refuse(s, p - 1, "half of a surrogate pair");
    }
    return p;
}

static void expect_hex(struct json_scan *s, enum sub sub)
{
    s->sub = sub;
    s->hex = 0;
    s->hex_left = 4;
}

/* One step within an escape; p < end. May leave p where it is when only `sub` changes. */
static const char *in_escape(struct json_scan *s, const char *p, const char *end)
{
    bool lone_ok = s->flags & JSON_LONE_SURROGATES;

    switch ((enum sub)s->sub) {
    case ESCAPE:
        if (*p == 'u')
            expect_hex(s, HEX);
        else if (json_is_simple_escape((unsigned char)*p))
            s->sub = PLAIN;
        else
            return refuse(s, p, "invalid escape in a string");
        return p + 1;
    case HEX:
    case LOW_HEX:
        return in_hex(s, p, end);
    case LOW_SLASH:
        if (*p != '\\' && !lone_ok)
            return refuse(s, p, "half of a surrogate pair");
        s->sub = *p == '\\' ? LOW_U : PLAIN;
        return p + (*p == '\\');
    case LOW_U:
        if (*p != 'u' && !lone_ok)
            return refuse(s, p, "half of a surrogate pair");
        if (*p != 'u') {
            s->sub = ESCAPE;
            return p;
        }
        expect_hex(s, LOW_HEX);
        return p + 1;
    case TAIL:
        return in_tail(s, p, end);
    case PLAIN:
        break;
    }
    return p;
}

/* \uXXXX at p, all there and no surrogate: the usual case of escaped text. */
static inline bool is_whole_hex(const char *p, const char *end)
{
    if (end - p < 6 || p[1] != 'u')
        return false;
    int a = hex_value((unsigned char)p[2]), b = hex_value((unsigned char)p[3]);
    int c = hex_value((unsigned char)p[4]), d = hex_value((unsigned char)p[5]);
    return (a | b | c | d) >= 0 && !(a == 13 && b >= 8);
}

/* --- keys and values of the top-level object --- */

static int find_watch(const struct json_scan *s, struct str key)
{
    for (size_t i = 0; i < s->watch_n; i++)
        if (str_eq(s->watch[i], key))
            return (int)i;
    return -1;
}

/* Add to key_text; past its size the key is cut. */
static void keep_key(struct json_scan *s, const char *p, size_t n)
{
    if (n > JSON_KEY_MAX - (size_t)s->key_n) {
        s->member.key_cut = true;
        n = 0;
    }
    memcpy(s->key_text + s->key_n, p, n);
    s->key_n = (uint16_t)(s->key_n + n);
}

/* The key of a top-level member ends before p, its closing quote. */
static void end_key(struct json_scan *s, const char *p)
{
    struct json_member *m = &s->member;
    struct str raw;

    s->key_open = false;
    s->member_open = true;
    if (m->key_at >= s->offset) {
        const char *from = s->feed + (m->key_at - s->offset) + 1;
        raw = str_of(from, (size_t)(p - from));
        m->key_cut = raw.n > JSON_KEY_MAX;
    } else {
        keep_key(s, s->feed, (size_t)(p - s->feed));
        raw = str_of(s->key_text, s->key_n);
    }
    if (!m->key_cut && s->key_escaped) {
        raw = str_of(s->key_text, json_unescape(raw, s->key_text, 0)); /* never longer than raw */
    }
    m->key = m->key_cut ? STR_NONE : raw;
    m->watch = m->key_cut ? -1 : find_watch(s, raw);
}

static void start_key(struct json_scan *s, const char *p)
{
    s->member = (struct json_member){.key_at = offset_of(s, p), .watch = -1};
    s->key_n = 0;
    s->key_escaped = false;
    s->key_open = true;
}

/* A value begins at p. */
static inline void start_value(struct json_scan *s, const char *p, enum json_kind kind)
{
    if (s->depth == 0) {
        s->top.kind = kind;
        s->top.at.from = offset_of(s, p);
    } else if (s->depth == 1 && s->in_object) {
        s->member.kind = kind;
        s->member.at.from = offset_of(s, p);
        s->value_open = true;
        s->capturing = kind < JSON_ARRAY || s->member.watch >= 0;
    }
}

/* A value ends before p. */
static inline void end_value(struct json_scan *s, const char *p)
{
    s->state = AFTER;
    if (s->depth > 1 || (s->depth == 1 && !s->in_object))
        return;
    if (s->depth == 0) {
        s->top.at.to = offset_of(s, p);
        s->state = TOP_DONE;
        return;
    }
    s->member.at.to = offset_of(s, p);
    s->value_open = s->member_open = false;
    s->top.members++;
    s->complete = s->member.watch >= 0 || !(s->flags & JSON_WATCHED_ONLY);
    if (!s->complete)
        buf_clear(&s->capture);
}

/* Keep the value's bytes [from, to) of this input, if its text will be wanted and is not too long for that. */
static void keep_value(struct json_scan *s, const char *from, const char *to)
{
    size_t limit = s->member.watch >= 0 ? s->capture_max : 0;
    if (limit < JSON_SHORT_MAX && s->member.kind < JSON_ARRAY)
        limit = JSON_SHORT_MAX;
    if (s->capturing && s->capture.n + (size_t)(to - from) <= limit)
        s->capturing = buf_add(&s->capture, str_of(from, (size_t)(to - from))) == OK;
    else
        s->capturing = false;
}

/* The text of the complete value, if the caller is to get it. */
static struct str value_text(struct json_scan *s, const char *end)
{
    struct json_member *m = &s->member;
    uint64_t n = m->at.to - m->at.from;

    if (m->at.from >= s->offset) {
        bool wanted = (m->watch >= 0 && n <= s->capture_max) || (m->kind < JSON_ARRAY && n <= JSON_SHORT_MAX);
        return wanted ? str_of(s->feed + (m->at.from - s->offset), (size_t)n) : STR_NONE;
    }
    keep_value(s, s->feed, end);
    return s->capturing ? buf_str(&s->capture) : STR_NONE;
}

/* --- containers --- */

static inline const char *open_container(struct json_scan *s, const char *p, bool object)
{
    if (s->depth == JSON_DEPTH_MAX)
        return refuse(s, p, too_deep);
    start_value(s, p, object ? JSON_OBJECT : JSON_ARRAY);
    uint64_t bit = 1ULL << (s->depth & 63);
    if (object)
        s->nest[s->depth >> 6] |= bit;
    else
        s->nest[s->depth >> 6] &= ~bit;
    s->depth++;
    s->in_object = object;
    s->state = object ? K_FIRST : V_FIRST;
    return p + 1;
}

/* p is at '}' or ']', which fits. */
static inline const char *close_container(struct json_scan *s, const char *p)
{
    s->depth--;
    if (s->depth) {
        unsigned level = s->depth - 1U;
        s->in_object = s->nest[level >> 6] >> (level & 63) & 1;
    }
    end_value(s, p + 1);
    return p + 1;
}

/* --- the states --- */

static inline const char *skip_plain(const struct json_scan *s, const char *p, const char *end)
{
    return s->flags & JSON_CHECK_UTF8 ? json_skip_plain(p, end, JSON_PLAIN_ASCII) : json_skip_plain(p, end, 0);
}

/* The closing quote is at p. */
static inline const char *end_string(struct json_scan *s, const char *p)
{
    if (!s->in_key)
        end_value(s, p + 1);
    else
        s->state = COLON;
    if (s->key_open)
        end_key(s, p);
    return p + 1;
}

static NOINLINE const char *in_string(struct json_scan *s, const char *p, const char *end)
{
    while (p && p < end) {
        if (UNLIKELY(s->sub != PLAIN)) {
            p = in_escape(s, p, end);
            continue;
        }
        p = skip_plain(s, p, end);
        if (p == end)
            return p;
        if (*p == '"')
            return end_string(s, p);
        if (*p == '\\') {
            s->key_escaped = true;
            if (end - p > 1 && json_is_simple_escape((unsigned char)p[1])) {
                p += 2;
            } else if (is_whole_hex(p, end)) {
                p += 6;
            } else {
                s->sub = ESCAPE;
                p++;
            }
        } else if ((unsigned char)*p < 0x20) {
            return refuse(s, p, "control character in a string");
        } else {
            p = in_utf8(s, p, end);
        }
    }
    return p;
}

/* A string begins behind the quote at p: most are plain, and all there. */
static inline const char *start_string(struct json_scan *s, const char *p, const char *end)
{
    p = skip_plain(s, p + 1, end);
    if (LIKELY(p < end && *p == '"'))
        return end_string(s, p);
    s->state = IN_STRING;
    return in_string(s, p, end);
}

static const char *in_literal(struct json_scan *s, const char *p, const char *end)
{
    struct str word = literals[s->literal];

    if (LIKELY(s->literal_at == 1 && (size_t)(end - p) >= word.n - 1 && memcmp(p, word.p + 1, word.n - 1) == 0)) {
        end_value(s, p + word.n - 1);
        return p + word.n - 1;
    }
    while (p < end && s->literal_at < word.n) {
        if (*p != word.p[s->literal_at])
            return refuse(s, p, "invalid literal");
        s->literal_at++;
        p++;
    }
    if (s->literal_at == word.n)
        end_value(s, p);
    return p;
}

static inline const char *digits(const char *p, const char *end)
{
    while (p < end && is_digit((unsigned char)*p))
        p++;
    return p;
}

/* The states N_*, in the order of a number's parts; stops where the input does, or behind the number. */
static inline const char *in_number(struct json_scan *s, const char *p, const char *end)
{
    while (p < end) {
        unsigned char c = (unsigned char)*p;

        switch (s->state) {
        case N_MINUS:
            if (!is_digit(c))
                return refuse(s, p, "invalid number");
            s->state = c == '0' ? N_ZERO : N_INT;
            p++;
            continue;
        case N_INT:
            p = digits(p, end);
            if (p == end)
                return p;
            c = (unsigned char)*p;
            __attribute__((fallthrough));
        case N_ZERO:
            if (c == '.')
                s->state = N_POINT;
            else if ((c | 0x20) == 'e')
                s->state = N_E;
            else
                break;
            p++;
            continue;
        case N_POINT:
            if (!is_digit(c))
                return refuse(s, p, "invalid number");
            s->state = N_FRACTION;
            __attribute__((fallthrough));
        case N_FRACTION:
            p = digits(p, end);
            if (p == end)
                return p;
            if ((*p | 0x20) != 'e')
                break;
            s->state = N_E;
            p++;
            continue;
        case N_E:
            s->state = N_SIGN;
            p += c == '+' || c == '-';
            continue;
        case N_SIGN:
            if (!is_digit(c))
                return refuse(s, p, "invalid number");
            s->state = N_EXPONENT;
            __attribute__((fallthrough));
        default:
            p = digits(p, end);
            if (p == end)
                return p;
            break;
        }
        end_value(s, p);
        return p;
    }
    return p;
}

/* A value is expected at p, which is no blank. */
static inline const char *at_value(struct json_scan *s, const char *p, const char *end)
{
    switch (*p) {
    case '"':
        start_value(s, p, JSON_STRING);
        s->in_key = false;
        return start_string(s, p, end);
    case '{':
        return open_container(s, p, true);
    case '[':
        return open_container(s, p, false);
    case 't':
    case 'f':
    case 'n':
        s->literal = *p == 't' ? JSON_TRUE : *p == 'f' ? JSON_FALSE : JSON_NULL;
        s->literal_at = 1;
        start_value(s, p, s->literal);
        s->state = IN_LITERAL;
        return in_literal(s, p + 1, end);
    case '-':
    case '0':
        start_value(s, p, JSON_NUMBER);
        s->state = *p == '-' ? N_MINUS : N_ZERO;
        return in_number(s, p + 1, end);
    default:
        if (!is_digit((unsigned char)*p))
            return refuse(s, p, "a value is expected");
        start_value(s, p, JSON_NUMBER);
        s->state = N_INT;
        return in_number(s, p + 1, end);
    }
}

static inline const char *at_key(struct json_scan *s, const char *p, const char *end)
{
    if (*p == '}' && s->state == K_FIRST)
        return close_container(s, p);
    if (*p != '"')
        return refuse(s, p, s->state == K_FIRST ? "a key or '}' is expected" : "a key is expected");
    if (s->depth == 1)
        start_key(s, p);
    s->in_key = true;
    return start_string(s, p, end);
}

static inline const char *at_after(struct json_scan *s, const char *p)
{
    if (*p == ',') {
        s->state = s->in_object ? K_NEXT : V_ELEMENT;
        return p + 1;
    }
    if (*p == (s->in_object ? '}' : ']'))
        return close_container(s, p);
    return refuse(s, p, s->in_object ? "',' or '}' is expected" : "',' or ']' is expected");
}

static inline const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && UNLIKELY((unsigned char)*p <= ' ') && is_blank((unsigned char)*p))
        p++;
    return p;
}

/* The states between strings, numbers and literals, from p < end, which is no blank. A member usually runs through: key, colon,
 * value, comma, without a look at the state between. */
static const char *between(struct json_scan *s, const char *p, const char *end)
{
    switch ((enum state)s->state) {
    case K_FIRST:
    case K_NEXT:
        p = at_key(s, p, end);
        if (!p || s->state != COLON || (p = skip_blanks(p, end)) == end)
            return p;
        __attribute__((fallthrough));
    case COLON:
        if (*p != ':')
            return refuse(s, p, "':' is expected");
        s->state = V_MEMBER;
        if ((p = skip_blanks(p + 1, end)) == end)
            return p;
        __attribute__((fallthrough));
    case V_FIRST:
    case V_TOP:
    case V_MEMBER:
    case V_ELEMENT:
        if (*p == ']' && s->state == V_FIRST)
            return close_container(s, p);
        p = at_value(s, p, end);
        if (!p || s->state != AFTER || s->complete || (p = skip_blanks(p, end)) == end)
            return p;
        __attribute__((fallthrough));
    case AFTER:
        return at_after(s, p);
    default:
        return refuse(s, p, "more behind the document's end");
    }
}

/* One step from p < end. NULL: refused. */
static inline const char *step(struct json_scan *s, const char *p, const char *end)
{
    switch ((enum state)s->state) {
    case IN_STRING:
        return in_string(s, p, end);
    case IN_LITERAL:
        return in_literal(s, p, end);
    case N_MINUS:
    case N_ZERO:
    case N_INT:
    case N_POINT:
    case N_FRACTION:
    case N_E:
    case N_SIGN:
    case N_EXPONENT:
        return in_number(s, p, end);
    default:
        p = skip_blanks(p, end);
        return p < end ? between(s, p, end) : p;
    }
}

/* --- inside the members of the top-level object --- */

/* Behind the string whose quote is at p. NULL: it is not all there, or something in it is unusual. */
static NOINLINE const char *long_string(const struct json_scan *s, const char *p, const char *end)
{
    for (p++;;) {
        p = skip_plain(s, p, end);
        if (p == end)
            return NULL;
        if (LIKELY(*p == '"'))
            return p + 1;
        size_t n = 0;
        if ((unsigned char)*p >= 0x80)
            n = utf8_valid_char(p, (size_t)(end - p));
        else if (*p == '\\' && end - p > 1 && json_is_simple_escape((unsigned char)p[1]))
            n = 2;
        else if (*p == '\\' && is_whole_hex(p, end))
            n = 6;
        if (!n)
            return NULL;
        p += n;
    }
}

/* The same, for which most are short: keys. */
static inline const char *whole_string(const struct json_scan *s, const char *p, const char *end)
{
    unsigned n = s->flags & JSON_CHECK_UTF8 ? JSON_PLAIN_BLOCK : json_plain_prefix(p + 1, end);

    return LIKELY(n < JSON_PLAIN_BLOCK && p[1 + n] == '"') ? p + 2 + n : long_string(s, p, end);
}

/* Behind the literal or the plain whole number at p. NULL: it is something else, or the input ends with it. */
static inline const char *whole_scalar(const char *p, const char *end)
{
    if (*p >= '1' && *p <= '9') {
        p = digits(p, end);
        return p < end && *p != '.' && (*p | 0x20) != 'e' ? p : NULL;
    }
    if (end - p <= 5)
        return NULL;
    if (*p == '0')
        return p[1] == ',' || p[1] == '}' || p[1] == ']' ? p + 1 : NULL;
    if (memcmp(p, "null", 4) == 0 || memcmp(p, "true", 4) == 0)
        return p + 4;
    return memcmp(p, "false", 5) == 0 ? p + 5 : NULL;
}

/* Where the scan is, in registers. */
struct place {
    const char *p;
    unsigned depth;
    bool in_object;
    bool is_passed; /* the top-level member that it is in is of no interest, and was begun here */
};

/* Is there a byte at at->p that is no blank? It moves behind those that are. */
static inline bool is_more(struct place *at, const char *end)
{
    if (UNLIKELY(at->p < end && (unsigned char)*at->p <= ' '))
        at->p = skip_blanks(at->p, end);
    return LIKELY(at->p < end);
}

static inline bool enter(struct json_scan *s, struct place *at, bool object)
{
    if (at->depth == JSON_DEPTH_MAX)
        return false;
    uint64_t bit = 1ULL << (at->depth & 63), *word = &s->nest[at->depth >> 6];
    *word = object ? *word | bit : *word & ~bit;
    at->depth++;
    at->in_object = object;
    at->p++;
    return true;
}

/* False: it is the end of a value that somebody waits for, or of the document: not for pass(). */
static inline bool leave(const struct json_scan *s, struct place *at)
{
    if (at->depth == 1 || (at->depth == 2 && !at->is_passed))
        return false;
    at->depth--;
    unsigned level = at->depth - 1U;
    at->in_object = s->nest[level >> 6] >> (level & 63) & 1;
    at->p++;
    return true;
}

/* Behind a key and its colon. NULL: there is none, it is unusual, or somebody waits for its value. */
static inline const char *pass_key(const struct json_scan *s, struct place *at, const char *end)
{
    const char *next = *at->p == '"' ? whole_string(s, at->p, end) : NULL;

    if (!next || end - next < 2 || *next != ':')
        return NULL;
    if (at->depth == 1) {
        struct str key = str_of(at->p + 1, (size_t)(next - at->p - 2));
        if (find_watch(s, key) >= 0 || memchr(key.p, '\\', key.n))
            return NULL;
        at->is_passed = true;
    }
    return next + 1;
}

/*
 * Go on from p < end, in one of the states up to AFTER, within the members of the top-level object, and over those that nobody waits for: what step() does, but
 * with the state in registers and without a look at what it need not tell. It stops before all that is unusual, cut off or wrong, before a key that is
 * watched and before the bracket that ends a watched value: that is step()'s affair, which finds all as if it had come there by itself.
 */
static const char *pass(struct json_scan *s, const char *p, const char *end)
{
    struct place at = {p, s->depth, s->in_object, false};
    enum state state = (enum state)s->state;
    const char *next;

    switch (state) {
    case K_FIRST:
        goto first_key;
    case K_NEXT:
        goto key;
    case V_FIRST:
        goto first_element;
    case V_ELEMENT:
        goto element;
    case AFTER:
        goto after;
    default:
        return p;
    }
first_key:
    state = K_FIRST;
    if (!is_more(&at, end))
        goto out;
    if (*at.p == '}')
        goto close;
    goto member;
key:
    state = K_NEXT;
    if (!is_more(&at, end))
        goto out;
member:
    if (!(next = pass_key(s, &at, end)))
        goto out;
    at.p = next;
    state = V_MEMBER;
    if (!is_more(&at, end))
        goto out;
    goto value;
first_element:
    state = V_FIRST;
    if (!is_more(&at, end))
        goto out;
    if (*at.p == ']')
        goto close;
    goto value;
element:
    state = V_ELEMENT;
    if (!is_more(&at, end))
        goto out;
value:
    if (*at.p == '{') {
        if (enter(s, &at, true))
            goto first_key;
        goto out;
    }
    if (*at.p == '[') {
        if (enter(s, &at, false))
            goto first_element;
        goto out;
    }
    if (!(next = *at.p == '"' ? whole_string(s, at.p, end) : whole_scalar(at.p, end)))
        goto out;
    at.p = next;
after:
    state = AFTER;
    if (at.depth == 1 && at.is_passed) {
        s->top.members++;
        at.is_passed = false;
    }
    if (!is_more(&at, end))
        goto out;
    if (*at.p == ',') {
        at.p++;
        if (at.in_object)
            goto key;
        goto element;
    }
    if (*at.p != (at.in_object ? '}' : ']'))
        goto out;
close:
    if (leave(s, &at))
        goto after;
out:
    s->state = (uint8_t)state;
    s->depth = (uint16_t)at.depth;
    s->in_object = at.in_object;
    if (at.is_passed)
        s->member = (struct json_member){.watch = -1};
    return at.p;
}

/* --- the interface --- */

void json_scan_init(struct json_scan *s, const struct str *watch, size_t watch_n, size_t capture_max, unsigned flags)
{
    assert(watch_n <= JSON_WATCH_MAX);
    memset(s, 0, offsetof(struct json_scan, key_text));
    s->watch = watch;
    s->watch_n = watch_n;
    s->capture_max = capture_max ? capture_max : JSON_CAPTURE_MAX;
    s->flags = (uint8_t)flags;
    s->state = V_TOP;
    buf_init(&s->capture, s->capture_max > JSON_SHORT_MAX ? s->capture_max : JSON_SHORT_MAX);
}

void json_scan_release(struct json_scan *s)
{
    buf_release(&s->capture);
}

/* Within members always; over them, if only watched ones are reported. */
static inline bool may_pass(const struct json_scan *s)
{
    return s->state <= AFTER && (s->nest[0] & 1) && (s->depth > 1 || (s->depth == 1 && s->flags & JSON_WATCHED_ONLY));
}

/* The input ends at `end`, within a member: keep what is needed of it. */
static void keep_rest(struct json_scan *s, const char *end)
{
    struct json_member *m = &s->member;

    if (s->key_open) {
        const char *from = m->key_at >= s->offset ? s->feed + (m->key_at - s->offset) + 1 : s->feed;
        keep_key(s, from, (size_t)(end - from));
    } else if (s->member_open && !m->key_cut && m->key.p != s->key_text) {
        s->key_n = 0;
        keep_key(s, m->key.p, m->key.n);
        m->key.p = s->key_text;
    }
    if (s->value_open)
        keep_value(s, m->at.from >= s->offset ? s->feed + (m->at.from - s->offset) : s->feed, end);
}

enum json_scan_result json_scan_next(struct json_scan *s, struct str *in, struct json_member *ret_member)
{
    if (s->state == FAILED)
        return JSON_ERROR;
    if (in->n == 0)
        return JSON_MORE;
    const char *p = in->p, *end = p + in->n;
    s->feed = p;
    s->complete = false;
    if (!s->member_open)
        buf_clear(&s->capture);
    while (p && p < end && !s->complete) {
        if (may_pass(s) && (p = pass(s, p, end)) == end)
            break;
        p = step(s, p, end);
    }
    if (!p)
        return JSON_ERROR;
    if (s->complete) {
        s->member.value = value_text(s, p);
        *ret_member = s->member;
    } else {
        keep_rest(s, end);
    }
    s->offset += (uint64_t)(p - in->p);
    *in = str_of(p, (size_t)(end - p));
    return s->complete ? JSON_MEMBER : JSON_MORE;
}

enum json_scan_result json_scan_end(struct json_scan *s)
{
    bool number = s->state == N_ZERO || s->state == N_INT || s->state == N_FRACTION || s->state == N_EXPONENT;

    if (s->state == FAILED)
        return JSON_ERROR;
    s->feed = NULL;
    if (s->depth == 0 && number)
        end_value(s, NULL);
    if (s->state == TOP_DONE)
        return JSON_DONE;
    (void)refuse(s, NULL, s->offset ? "the document breaks off" : "the document is empty");
    return JSON_ERROR;
}

void json_line_column(struct str doc, uint64_t offset, size_t *ret_line, size_t *ret_column)
{
    size_t line = 1, start = 0, to = offset < doc.n ? (size_t)offset : doc.n;

    for (size_t i = 0; i < to; i++) {
        if (doc.p[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    *ret_line = line;
    *ret_column = to - start + 1;
}

err_t json_scan_fail(const struct json_scan *s, struct str doc)
{
    err_t code = s->error == too_deep ? E_TOO_LARGE : E_PARSE;
    size_t line, column;

    if (!doc.p)
        return fail(code, "JSON: %s at byte %llu", s->error, (unsigned long long)s->error_at);
    json_line_column(doc, s->error_at, &line, &column);
    return fail(code, "JSON: %s at line %zu, column %zu", s->error, line, column);
}

bool json_valid(struct str doc, unsigned flags)
{
    struct json_scan s CLEANUP(json_scan_release);
    struct json_member m;

    json_scan_init(&s, NULL, 0, 0, flags | JSON_WATCHED_ONLY);
    return json_scan_next(&s, &doc, &m) == JSON_MORE && json_scan_end(&s) == JSON_DONE;
}
