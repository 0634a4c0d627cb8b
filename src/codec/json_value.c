/*
 * json_value.c - values that json_scan found, as text: to UTF-8, to numbers, one level further down.
 *
 * The texts come from a scanner that has checked them, but nothing here reads out of bounds or loops if they do not.
 * Numbers become doubles only in json_to_double(): counts of tokens and amounts of money stay exact.
 */
#include "base/utf8.h"
#include "codec/json_scan.h"

#include "codec/json_scan_int.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

enum { NUMBER_MAX = 512 };

enum json_kind json_kind_of(struct str value)
{
    switch (value.n ? value.p[0] : '\0') {
    case '"':
        return JSON_STRING;
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case 't':
        return JSON_TRUE;
    case 'f':
        return JSON_FALSE;
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return JSON_NUMBER;
    default:
        return JSON_NULL;
    }
}

/* --- strings --- */

/* The code unit of "\uXXXX" at the front of `s`; false if that is not what is there. */
static bool unit_at(struct str s, uint32_t *ret_unit)
{
    uint64_t unit;

    if (s.n < 6 || s.p[0] != '\\' || s.p[1] != 'u' || !str_hex_to_u64(str_of(s.p + 2, 4), 0xffff, &unit))
        return false;
    *ret_unit = (uint32_t)unit;
    return true;
}

/* Decode the escape at the front of `s` into out[4]. Returns the bytes of `s` that it took, 0 if it is none. */
static size_t unescape_one(struct str s, char out[4], unsigned flags, size_t *ret_n)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    uint32_t unit, low;

    if (s.n < 2)
        return 0;
    const char *hit = memchr(from, s.p[1], sizeof from - 1);
    if (hit) {
        out[0] = to[hit - from];
        *ret_n = 1;
        return 2;
    }
    if (!unit_at(s, &unit))
        return 0;
    if ((unit & 0xf800) != 0xd800) {
        *ret_n = utf8_put(out, unit);
        return 6;
    }
    bool pair = unit < 0xdc00 && unit_at(str_slice(s, 6, s.n), &low) && (low & 0xfc00) == 0xdc00;
    uint32_t lone = flags & JSON_KEEP_LONE ? unit : 0xfffd;
    *ret_n = utf8_put(out, pair ? 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00) : lone);
    return pair ? 12 : 6;
}

size_t json_unescape(struct str raw, char *out, unsigned flags)
{
    size_t n = 0;

    for (;;) {
        size_t plain = str_find_char(raw, '\\');
        if (memchr(raw.p, '"', plain))
            return (size_t)JSON_BAD_STRING;
        memmove(out + n, raw.p, plain);
        n += plain;
        if (plain == raw.n)
            return n;
        raw = str_slice(raw, plain, raw.n);
        char character[4];
        size_t len = 0, took = unescape_one(raw, character, flags, &len);
        if (!took)
            return (size_t)JSON_BAD_STRING;
        memcpy(out + n, character, len);
        n += len;
        raw = str_slice(raw, took, raw.n);
        if (raw.n == 0)
            return n;
    }
}

/* What is between the quotes; false if `value` is no string. */
static bool inside(struct str value, struct str *ret_raw)
{
    if (value.n < 2 || value.p[0] != '"' || value.p[value.n - 1] != '"')
        return false;
    *ret_raw = str_of(value.p + 1, value.n - 2);
    return true;
}

err_t json_string_value(struct str value, struct arena *arena, struct str *ret_text)
{
    struct str raw;
    char *out;

    if (!inside(value, &raw))
        return fail(E_PARSE, "a JSON string is expected");
    if (str_find_char(raw, '\\') == raw.n) {
        if (str_find_char(raw, '"') != raw.n)
            return fail(E_PARSE, "a JSON string is expected");
        *ret_text = raw;
        return OK;
    }
    TRY(arena_try(arena, raw.n, &out));
    size_t n = json_unescape(raw, out, 0);
    if (n == (size_t)JSON_BAD_STRING)
        return fail(E_PARSE, "a JSON string with an invalid escape");
    *ret_text = str_of(out, n);
    return OK;
}

bool json_string_is(struct str value, struct str text)
{
    struct str raw;

    if (!inside(value, &raw))
        return false;
    while (raw.n) {
        char character[4] = {raw.p[0]};
        size_t len = 1, took = 1;
        if (raw.p[0] == '\\')
            took = unescape_one(raw, character, 0, &len);
        if (!took || !str_starts(text, str_of(character, len)))
            return false;
        raw = str_slice(raw, took, raw.n);
        text = str_slice(text, len, text.n);
    }
    return text.n == 0;
}

/* --- numbers and truth --- */

/* Decimal digits without a needless leading zero. */
static bool plain_digits(struct str s, uint64_t max, uint64_t *ret_number)
{
    return !(s.n > 1 && s.p[0] == '0') && str_to_u64(s, max, ret_number);
}

bool json_to_u64(struct str value, uint64_t *ret_number)
{
    if (str_eq(value, STR("-0"))) {
        *ret_number = 0;
        return true;
    }
    return plain_digits(value, UINT64_MAX, ret_number);
}

bool json_to_i64(struct str value, int64_t *ret_number)
{
    bool negative = value.n && value.p[0] == '-';
    uint64_t n;

    if (!plain_digits(str_slice(value, negative, value.n), (uint64_t)INT64_MAX + negative, &n))
        return false;
    *ret_number = (int64_t)(negative ? 0 - n : n);
    return true;
}

/*
 * Numbers of at most 15 digits and no exponent, which is nearly all: digits and power of ten are both exact as doubles, so their quotient
 * is the nearest one (Clinger, "How to read floating point numbers accurately", 1990). False: it is no such number, or none at all.
 */
static bool short_to_double(struct str value, double *ret_number)
{
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    enum { DIGITS_MAX = 15 };
    bool negative = value.n && value.p[0] == '-';
    size_t first = negative, at = first, point = value.n;
    uint64_t digits = 0;

    for (; at < value.n; at++) {
        unsigned digit = (unsigned)(unsigned char)value.p[at] - '0';
        if (digit <= 9)
            digits = digits * 10 + digit;
        else if (value.p[at] == '.' && point == value.n && at > first)
            point = at;
        else
            return false;
        if (at - first > DIGITS_MAX)
            return false;
    }
    size_t behind = point < value.n ? value.n - point - 1 : 0, count = value.n - first - (point < value.n);
    bool leading_zero = count > 1 && value.p[first] == '0' && point != first + 1;
    if (count == 0 || count > DIGITS_MAX || leading_zero || (point < value.n && behind == 0))
        return false;
    double number = (double)digits / powers[behind];
    *ret_number = negative ? -number : number;
    return true;
}

bool json_to_double(struct str value, double *ret_number)
{
    char text[NUMBER_MAX];

    if (short_to_double(value, ret_number))
        return true;
    if (json_kind_of(value) != JSON_NUMBER || value.n >= sizeof text || !json_valid(value, 0))
        return false;
    memcpy(text, value.p, value.n);
    text[value.n] = '\0';
    char *end;
    double number = strtod(text, &end);
    if (end != text + value.n || !isfinite(number))
        return false;
    *ret_number = number;
    return true;
}

bool json_to_bool(struct str value, bool *ret_truth)
{
    bool truth = str_eq(value, STR("true"));

    if (!truth && !str_eq(value, STR("false")))
        return false;
    *ret_truth = truth;
    return true;
}

/* --- one level further down --- */

struct str json_find(struct str value, struct str key)
{
    struct json_scan s CLEANUP(json_scan_release);
    struct json_member m;
    struct str rest = value;

    json_scan_init(&s, NULL, 0, 0, JSON_LONE_SURROGATES);
    while (json_scan_next(&s, &rest, &m) == JSON_MEMBER)
        if (!m.key_cut && str_eq(m.key, key))
            return json_span_str(value, m.at);
    return STR_NONE;
}

struct str json_find_path(struct str value, const char *key, ...)
{
    va_list ap;

    va_start(ap, key);
    for (; key; key = va_arg(ap, const char *))
        value = json_find(value, str_from_c(key));
    va_end(ap);
    return value;
}

/* The closing quote is the first one that is not escaped: that has an even number of backslashes in front of it. `quote` is the first one at all, and
 * has some. */
static size_t behind_escapes(struct str s, size_t at, const char *quote)
{
    const char *from = s.p + at + 1, *end = s.p + s.n;

    for (; quote; quote = memchr(quote + 1, '"', (size_t)(end - quote - 1))) {
        const char *slash = quote;
        while (slash > from && slash[-1] == '\\')
            slash--;
        if ((quote - slash) % 2 == 0)
            return (size_t)(quote + 1 - s.p);
    }
    return s.n;
}

size_t json_string_end(struct str s, size_t at)
{
    const char *from = s.p + at + 1;
    unsigned n = json_plain_prefix(from, s.p + s.n);

    if (LIKELY(n < JSON_PLAIN_BLOCK && from[n] == '"')) /* a key, mostly */
        return at + n + 2;
    const char *quote = memchr(from, '"', s.n - at - 1);

    return LIKELY(quote && quote[-1] != '\\') ? (size_t)(quote + 1 - s.p) : behind_escapes(s, at, quote);
}

/* What a byte outside strings means to a walk that skips values. */
enum outside { WITHIN, BETWEEN, OPENS, CLOSES, QUOTE };

static const uint8_t outside[256] = {
    [','] = BETWEEN, [' '] = BETWEEN, ['\t'] = BETWEEN, ['\n'] = BETWEEN, ['\r'] = BETWEEN,
    ['{'] = OPENS,   ['['] = OPENS,   ['}'] = CLOSES,   [']'] = CLOSES,   ['"'] = QUOTE};

/* Index behind the value that starts at `at`. */
static size_t behind_value(struct str s, size_t at)
{
    size_t depth = 0;

    while (at < s.n) {
        switch ((enum outside)outside[(unsigned char)s.p[at]]) {
        case WITHIN:
            do
                at++;
            while (at < s.n && outside[(unsigned char)s.p[at]] == WITHIN);
            continue;
        case BETWEEN:
            if (depth == 0)
                return at;
            at++;
            continue;
        case OPENS:
            depth++;
            at++;
            continue;
        case CLOSES:
            if (depth == 0)
                return at;
            at++;
            depth--;
            break;
        case QUOTE:
            at = json_string_end(s, at);
            break;
        }
        if (depth == 0)
            return at;
    }
    return at;
}

/* Index of the first byte at or behind `at` that is neither blank nor `extra`. */
static inline size_t behind_blanks(struct str s, size_t at, char extra)
{
    if (LIKELY(at + 1 < s.n && s.p[at] == extra && (unsigned char)s.p[at + 1] > ' ' && s.p[at + 1] != extra))
        return at + 1;
    while (at < s.n &&
           (s.p[at] == extra || ((unsigned char)s.p[at] <= ' ' && outside[(unsigned char)s.p[at]] == BETWEEN)))
        at++;
    return at;
}

/* json_next_key() where all is as usual: a plain key, its colon and its value stand close together. False: look more closely. */
static inline bool next_plain_key(struct str text, size_t *at, struct str *ret_key)
{
    enum { AROUND = 4 }; /* the quotes, the colon, a byte of the value */
    const char *p = text.p + *at, *end = text.p + text.n;

    if (end - p < 2 * JSON_PLAIN_BLOCK + AROUND)
        return false;
    p += *p == '{' || *p == ',';
    if (*p++ != '"')
        return false;
    unsigned n = json_plain_prefix(p, end);
    if (n == JSON_PLAIN_BLOCK)
        n += json_plain_prefix(p + n, end);
    if (n == 2 * JSON_PLAIN_BLOCK || p[n] != '"' || end - p < n + AROUND || p[n + 1] != ':' ||
        (unsigned char)p[n + 2] <= ' ')
        return false;
    *ret_key = str_of(p, n);
    *at = (size_t)(p + n + 2 - text.p);
    return true;
}

bool json_next_key(struct str text, size_t *at, struct str *ret_key)
{
    if (LIKELY(next_plain_key(text, at, ret_key)))
        return true;
    bool begins = *at < text.n && text.p[*at] == '{';
    size_t key = behind_blanks(text, *at + begins, ',');

    if (key >= text.n || text.p[key] != '"') {
        *at = key < text.n && text.p[key] == '}' ? key + 1 : key;
        return false;
    }
    size_t end = json_string_end(text, key);
    *ret_key = end - key < 2 ? STR_NONE : str_of(text.p + key + 1, end - key - 2);
    *at = behind_blanks(text, end, ':');
    return true;
}

struct str json_take_value(struct str text, size_t *at)
{
    size_t from = *at;

    *at = behind_value(text, from);
    return str_slice(text, from, *at);
}

bool json_next_member(struct str object, size_t *at, struct str *ret_key, struct str *ret_value)
{
    if (*at == 0 && (object.n == 0 || object.p[0] != '{'))
        return false;
    if (!json_next_key(object, at, ret_key)) {
        *at = object.n;
        return false;
    }
    *ret_value = json_take_value(object, at);
    return true;
}

/* The string at w->at, which moves behind it. */
static void take_string(struct str text, struct json_strings *w, struct str *ret_text, bool *ret_is_key)
{
    size_t from = w->at;

    w->at = json_string_end(text, from);
    size_t next = behind_blanks(text, w->at, ' ');
    *ret_text = str_slice(text, from + 1, w->at - 1);
    *ret_is_key = next < text.n && text.p[next] == ':';
}

/* As behind_value(), with a stop at each string. */
bool json_next_string(struct str text, struct json_strings *w, struct str *ret_text, bool *ret_is_key)
{
    for (; w->at < text.n; w->at++) {
        switch ((enum outside)outside[(unsigned char)text.p[w->at]]) {
        case WITHIN:
            break;
        case BETWEEN:
            if (w->depth == 0)
                return false;
            break;
        case OPENS:
            w->depth++;
            break;
        case CLOSES:
            if (w->depth == 0)
                return false;
            if (--w->depth == 0) {
                w->at++;
                return false;
            }
            break;
        case QUOTE:
            take_string(text, w, ret_text, ret_is_key);
            return true;
        }
    }
    return false;
}

struct str json_next_element(struct str array, size_t *at)
{
    size_t from = *at;

    if (from == 0 && (array.n == 0 || array.p[0] != '['))
        return STR_NONE;
    if (from == 0)
        from = 1;
    from = behind_blanks(array, from, ',');
    if (from >= array.n || array.p[from] == ']') {
        *at = array.n;
        return STR_NONE;
    }
    *at = behind_value(array, from);
    return str_slice(array, from, *at);
}
