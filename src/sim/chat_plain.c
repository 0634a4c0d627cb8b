/*
 * chat_plain.c - recognises the plain chat request in one pass over its bytes.
 *
 * Most requests in a load test are {"model":...,"messages":[{"role":...,"content":...}],...} with a few numbers. Building a tree
 * for them costs more than the answer. This recogniser reads just that shape, strictly, and says false at the first thing
 * that it does not know: another field, a second member of the same name, content in parts, \u escapes, an exponent, an error.
 * Then chat_read() reads the body anew and finds the words for what is wrong. So nothing is ever refused here.
 *
 * Invariant, held by a test: whenever it says true, chat_read() gives the same question.
 */
#include "sim/chat_read.h"

#include "base/utf8.h"
#include "codec/json_scan.h"

struct cursor {
    const char *p, *end;
    struct arena *a;
};

/* --- characters --- */

static void skip_blanks(struct cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\t' || *c->p == '\r'))
        c->p++;
}

/* Blanks, then this character. */
static bool take(struct cursor *c, char wanted)
{
    skip_blanks(c);
    if (c->p == c->end || *c->p != wanted)
        return false;
    c->p++;
    return true;
}

static bool take_word(struct cursor *c, struct str word)
{
    if ((size_t)(c->end - c->p) < word.n || memcmp(c->p, word.p, word.n) != 0)
        return false;
    c->p += word.n;
    return true;
}

/* The bytes of eight that end a plain run: quote, backslash, control or not ASCII. The lowest one found is right; those above may not be. */
static uint64_t special_bytes(uint64_t word)
{
    static const uint64_t ones = 0x0101010101010101U, tops = 0x8080808080808080U;
    uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
    uint64_t found = ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) | ((word - ones * 0x20) & ~word);

    return (found | word) & tops;
}

static const char *plain_run_end(const char *p, const char *end)
{
    for (uint64_t word; end - p >= 8; p += 8) {
        memcpy(&word, p, 8);
        uint64_t special = special_bytes(word);
        if (special)
            return p + __builtin_ctzll(special) / 8;
    }
    while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80)
        p++;
    return p;
}

/* A string whose opening quote is next. */
static bool read_string(struct cursor *c, struct str *ret)
{
    bool escaped = false;

    if (!take(c, '"'))
        return false;
    const char *from = c->p;
    for (;;) {
        c->p = plain_run_end(c->p, c->end);
        if (c->p == c->end)
            return false;
        if (*c->p == '"')
            break;
        if (*c->p == '\\') {
            if (c->end - c->p < 2 || !memchr("\"\\/bfnrt", c->p[1], 8))
                return false;
            c->p += 2;
            escaped = true;
            continue;
        }
        size_t n = utf8_valid_char(c->p, (size_t)(c->end - c->p));
        if (n < 2) /* not UTF-8, or a control character */
            return false;
        c->p += n;
    }
    *ret = str_of(from, (size_t)(c->p - from));
    c->p++;
    return !escaped || json_string_value(str_of(from - 1, ret->n + 2), c->a, ret) == OK;
}

/* A number without exponent and of at most 15 digits, so that it is exact. */
static bool read_number(struct cursor *c, bool whole, double *ret)
{
    static const double tens[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    int64_t value = 0;
    unsigned digits = 0, fraction = 0;

    skip_blanks(c);
    bool negative = take_word(c, STR("-")), leading_zero = c->p < c->end && *c->p == '0', point = false;
    for (; c->p < c->end; c->p++) {
        if (*c->p == '.' && !point && digits > 0) {
            point = true;
            continue;
        }
        if (*c->p < '0' || *c->p > '9')
            break;
        if (++digits > 15 || (leading_zero && digits > 1 && !point))
            return false;
        value = value * 10 + (*c->p - '0');
        fraction += point;
    }
    if (digits == 0 || (point && (fraction == 0 || whole)))
        return false;
    if (c->p < c->end && (*c->p == 'e' || *c->p == 'E'))
        return false;
    *ret = (double)(negative ? -value : value) / tens[fraction];
    return true;
}

static bool read_bool(struct cursor *c, bool *ret)
{
    skip_blanks(c);
    *ret = c->p < c->end && *c->p == 't';
    return take_word(c, *ret ? STR("true") : STR("false"));
}

/* --- the request --- */

static bool is_role(struct str role)
{
    return str_eq(role, STR("user")) || str_eq(role, STR("system")) || str_eq(role, STR("assistant")) ||
           str_eq(role, STR("developer"));
}

static bool read_message(struct cursor *c, struct question *q)
{
    struct str role = STR_NONE, content = STR_NONE, key;

    if (!take(c, '{'))
        return false;
    do {
        if (!read_string(c, &key) || !take(c, ':'))
            return false;
        struct str *to = str_eq(key, STR("role")) ? &role : str_eq(key, STR("content")) ? &content : NULL;
        if (!to || to->p || !read_string(c, to))
            return false;
    } while (take(c, ','));
    if (!take(c, '}') || !content.p || !is_role(role))
        return false;
    question_add_role(q, role);
    question_add_text(q, content);
    if (str_eq(role, STR("user")))
        q->asked = content;
    return true;
}

static bool read_messages(struct cursor *c, struct question *q)
{
    if (!take(c, '['))
        return false;
    do {
        if (!read_message(c, q))
            return false;
    } while (take(c, ','));
    return take(c, ']');
}

static bool read_stream_options(struct cursor *c, struct question *q)
{
    struct str key;

    return take(c, '{') && read_string(c, &key) && str_eq(key, STR("include_usage")) && take(c, ':') &&
           read_bool(c, &q->include_usage) && take(c, '}');
}

enum plain_field {
    MODEL,
    MESSAGES,
    STREAM,
    STREAM_OPTIONS,
    USER,
    N,
    TOP_P,
    TEMPERATURE,
    PRESENCE,
    FREQUENCY,
    MAX_NEW,
    MAX_OLD,
    SEED
};

static const struct plain_rule {
    struct str name;
    double min, max; /* of numbers */
    bool whole;
} plain_rules[] = {
    [MODEL] = {.name = STR_INIT("model")},
    [MESSAGES] = {.name = STR_INIT("messages")},
    [STREAM] = {.name = STR_INIT("stream")},
    [STREAM_OPTIONS] = {.name = STR_INIT("stream_options")},
    [USER] = {.name = STR_INIT("user")},
    [N] = {STR_INIT("n"), 1, 1, true},
    [TOP_P] = {STR_INIT("top_p"), 0, 1, false},
    [TEMPERATURE] = {STR_INIT("temperature"), 0, 2, false},
    [PRESENCE] = {STR_INIT("presence_penalty"), -2, 2, false},
    [FREQUENCY] = {STR_INIT("frequency_penalty"), -2, 2, false},
    [MAX_NEW] = {STR_INIT("max_completion_tokens"), 1, 1 << 30, true},
    [MAX_OLD] = {STR_INIT("max_tokens"), 1, 1 << 30, true},
    [SEED] = {STR_INIT("seed"), -1e15, 1e15, true},
};

static bool read_plain_number(struct cursor *c, enum plain_field field, struct question *q)
{
    const struct plain_rule *rule = &plain_rules[field];
    double x;

    if (!read_number(c, rule->whole, &x) || x < rule->min || x > rule->max)
        return false;
    if (field == MAX_NEW || field == MAX_OLD)
        q->max_tokens = (int64_t)x;
    return true;
}

static bool read_field(struct cursor *c, enum plain_field field, struct question *q)
{
    struct str unused;

    switch (field) {
    case MODEL:
        return read_string(c, &q->model) && q->model.n > 0 && q->model.n <= 512;
    case MESSAGES:
        return read_messages(c, q);
    case STREAM:
        return read_bool(c, &q->stream);
    case STREAM_OPTIONS:
        return read_stream_options(c, q);
    case USER:
        return read_string(c, &unused);
    case N:
    case TOP_P:
    case TEMPERATURE:
    case PRESENCE:
    case FREQUENCY:
    case MAX_NEW:
    case MAX_OLD:
    case SEED:
        return read_plain_number(c, field, q);
    }
    return false;
}

static bool find_field(struct str key, enum plain_field *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(plain_rules); i++)
        if (str_eq(key, plain_rules[i].name)) {
            *ret = (enum plain_field)i;
            return true;
        }
    return false;
}

bool chat_read_plain(struct arena *a, struct str body, struct question *ret)
{
    static const unsigned needed = 1U << MODEL | 1U << MESSAGES, both_limits = 1U << MAX_NEW | 1U << MAX_OLD;
    struct cursor c = {body.p, body.p + body.n, a};
    unsigned seen = 0;
    enum plain_field field;
    struct str key;

    question_init(ret);
    if (!take(&c, '{'))
        return false;
    do {
        if (!read_string(&c, &key) || !find_field(key, &field) || seen & 1U << field || !take(&c, ':') ||
            !read_field(&c, field, ret))
            return false;
        seen |= 1U << field;
    } while (take(&c, ','));
    if (!take(&c, '}'))
        return false;
    skip_blanks(&c);
    if (c.p != c.end || (seen & needed) != needed || (seen & both_limits) == both_limits)
        return false;
    return ret->stream || !(seen & 1U << STREAM_OPTIONS);
}
