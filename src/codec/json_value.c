/*
 * json_value.c - values that json_scan found, as text: to UTF-8, to numbers, one level further down.
 *
 * The texts come from a scanner that has checked them, but nothing here reads out of bounds or loops if they do not.
 * Numbers become doubles only in json_to_double(): counts of tokens and amounts of money stay exact.
 */
#include "base/utf8.h"
#include "codec/json_scan.h"

#include "base/json_plain.h"
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

bool json_to_double(struct str value, double *ret_number)
{
    char text[NUMBER_MAX];

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

size_t json_string_end(struct str s, size_t at)
{
    const char *p = s.p + at + 1, *end = s.p + s.n;

    while (p < end) {
        p = json_skip_plain(p, end, 0);
        if (p == end)
            break;
        if (*p == '"')
            return (size_t)(p + 1 - s.p);
        p += *p == '\\' && end - p > 1 ? 2 : 1;
    }
    return s.n;
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
static size_t behind_blanks(struct str s, size_t at, char extra)
{
    while (at < s.n && (s.p[at] == extra || s.p[at] == ' ' || s.p[at] == '\t' || s.p[at] == '\n' || s.p[at] == '\r'))
        at++;
    return at;
}

bool json_next_member(struct str object, size_t *at, struct str *ret_key, struct str *ret_value)
{
    if (*at == 0 && (object.n == 0 || object.p[0] != '{'))
        return false;
    size_t key = behind_blanks(object, *at ? *at : 1, ',');
    if (key >= object.n || object.p[key] != '"') {
        *at = object.n;
        return false;
    }
    size_t key_end = json_string_end(object, key);
    size_t value = behind_blanks(object, key_end, ':');
    *at = behind_value(object, value);
    *ret_key = str_slice(object, key + 1, key_end - 1);
    *ret_value = str_slice(object, value, *at);
    return true;
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
