/*
 * format_host.c - host names (RFC 1123, 2.1), and international ones (RFC 5890 to 5893).
 *
 * An international label is judged by IDNA2008's rules: letters, digits and marks are allowed (RFC 5892, 2.1, by their categories), some
 * characters only in a context (appendix A), some never (2.6). A label "xn--…" is decoded (RFC 3492) and judged by the same rules. Not
 * looked at: normalisation, and the rule for labels written from right to left (RFC 5893).
 */
#include "jsonschema/format.h"

#include "base/utf8.h"
#include "codec/unicode.h"

enum { LABEL_MAX = 63, NAME_MAX_BYTES = 253 };

/* --- RFC 3492 --- */

static uint32_t adapt(uint32_t delta, uint32_t count, bool first)
{
    uint32_t k = 0;

    delta = first ? delta / 700 : delta / 2;
    for (delta += delta / count; delta > 455; k += 36)
        delta /= 35;
    return k + 36 * delta / (delta + 38);
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0' + 26;
    c = ascii_lower(c);
    return c >= 'a' && c <= 'z' ? c - 'a' : -1;
}

/* One number of variable length; false: it is none, or too large. */
static bool take_delta(struct str *s, uint32_t bias, uint32_t *ret_delta)
{
    uint64_t delta = 0, weight = 1;

    for (uint32_t k = 36;; k += 36) {
        int digit = s->n ? digit_of(s->p[0]) : -1;
        uint32_t threshold = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
        if (digit < 0)
            return false;
        *s = str_slice(*s, 1, s->n);
        delta += (uint64_t)digit * weight;
        if (delta > UINT32_MAX / 2)
            return false;
        if ((uint32_t)digit < threshold) {
            *ret_delta = (uint32_t)delta;
            return true;
        }
        weight *= 36 - threshold;
    }
}

/* Characters of what follows "xn--"; SIZE_MAX if it is wrong. */
static size_t punycode_decode(struct str s, uint32_t *out)
{
    size_t basic = s.n, count = 0;
    uint32_t n = 128, i = 0, bias = 72, delta;

    while (basic > 0 && s.p[basic - 1] != '-')
        basic--;
    for (size_t j = 0; j + 1 < basic; j++)
        out[count++] = (unsigned char)s.p[j];
    s = str_slice(s, basic, s.n);
    while (s.n) {
        if (count == LABEL_MAX || !take_delta(&s, bias, &delta))
            return SIZE_MAX;
        i += delta;
        count++;
        bias = adapt(delta, (uint32_t)count, n == 128 && i == delta && count == (basic ? basic - 1 : 0) + 1);
        n += i / (uint32_t)count;
        i %= (uint32_t)count;
        if (n > 0x10ffff)
            return SIZE_MAX;
        memmove(out + i + 1, out + i, (count - 1 - i) * sizeof *out);
        out[i++] = n;
    }
    return count;
}

/* --- RFC 5892 --- */

static bool is_between(uint32_t c, uint32_t from, uint32_t to)
{
    return c >= from && c <= to;
}

/* Section 2.6: allowed though their category is not. */
static bool is_exception(uint32_t c)
{
    return c == '-' || c == 0x3007 || c == 0x6fd || c == 0x6fe || c == 0xf0b;
}

/* Section 2.6, and what folds into others and so is not stable (2.2); compatibility forms of the ranges that hold little else. */
static bool is_never_allowed(uint32_t c)
{
    static const uint32_t never[] = {0x640, 0x7fa, 0x302e, 0x302f, 0x3031, 0x3032, 0x3033, 0x3034, 0x3035, 0x303b};

    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        if (c == never[i])
            return true;
    return is_between(c, 0xf900, 0xfaff) || is_between(c, 0xfb00, 0xfb06) || is_between(c, 0xff00, 0xffef) ||
           is_between(c, 0x1100, 0x11ff) || is_between(c, 0x2460, 0x24ff);
}

/* Canonical_Combining_Class=Virama: what lets a joiner follow. */
static bool is_virama(uint32_t c)
{
    static const uint32_t viramas[] = {0x94d,  0x9cd,  0xa4d,  0xacd,  0xb4d,  0xbcd,  0xc4d,  0xccd,
                                       0xd3b,  0xd3c,  0xd4d,  0xdca,  0xe3a,  0xf84,  0x1039, 0x103a,
                                       0x1714, 0x1734, 0x17d2, 0x1a60, 0x1b44, 0x1baa, 0x1bab, 0x1bf2,
                                       0x1bf3, 0x2d7f, 0xa806, 0xa8c4, 0xa953, 0xa9c0, 0xaaf6, 0xabed};

    for (size_t i = 0; i < ARRAY_LEN(viramas); i++)
        if (c == viramas[i])
            return true;
    return false;
}

static bool is_kana_or_han(uint32_t c)
{
    return is_between(c, 0x3041, 0x309f) || is_between(c, 0x30a1, 0x30fa) || is_between(c, 0x30fc, 0x30ff) ||
           is_between(c, 0x31f0, 0x31ff) || is_between(c, 0x3400, 0x4dbf) || is_between(c, 0x4e00, 0x9fff) ||
           c == 0x3005 || c == 0x3007 || is_between(c, 0x20000, 0x3134f);
}

/* Letters that join on both sides or on one, as far as a non-joiner between them goes (appendix A.1). */
static bool joins(uint32_t c)
{
    return is_between(c, 0x620, 0x64a) || is_between(c, 0x66e, 0x6d3) || is_between(c, 0x700, 0x74f) ||
           is_between(c, 0x750, 0x77f) || is_between(c, 0x8a0, 0x8c7);
}

static bool any_in(const uint32_t *label, size_t n, uint32_t from, uint32_t to)
{
    for (size_t i = 0; i < n; i++)
        if (is_between(label[i], from, to))
            return true;
    return false;
}

/* Appendix A: does the context allow the character at `i`? *ret_needs_context: it is none that needs one. */
static bool context_allows(const uint32_t *label, size_t n, size_t i, bool *ret_needs_context)
{
    uint32_t c = label[i], before = i ? label[i - 1] : 0, after = i + 1 < n ? label[i + 1] : 0;
    bool kana = false;

    *ret_needs_context = true;
    switch (c) {
    case 0x200c:
        return is_virama(before) || (joins(before) && joins(after));
    case 0x200d:
        return is_virama(before);
    case 0xb7:
        return before == 'l' && after == 'l';
    case 0x375:
        return is_between(after, 0x370, 0x3ff) || is_between(after, 0x1f00, 0x1fff);
    case 0x5f3:
    case 0x5f4:
        return is_between(before, 0x591, 0x5f4);
    case 0x30fb:
        for (size_t j = 0; j < n; j++)
            kana |= is_kana_or_han(label[j]);
        return kana;
    default:
        break;
    }
    if (is_between(c, 0x660, 0x669))
        return !any_in(label, n, 0x6f0, 0x6f9);
    if (is_between(c, 0x6f0, 0x6f9))
        return !any_in(label, n, 0x660, 0x669);
    *ret_needs_context = false;
    return false;
}

static bool is_allowed(uint32_t c)
{
    static const uint32_t good = UINT32_C(1) << UNICODE_LL | UINT32_C(1) << UNICODE_LM | UINT32_C(1) << UNICODE_LO |
                                 UINT32_C(1) << UNICODE_MN | UINT32_C(1) << UNICODE_MC | UINT32_C(1) << UNICODE_ND;

    if (c < 0x80)
        return is_between(c, 'a', 'z') || is_between(c, 'A', 'Z') || is_between(c, '0', '9') || c == '-';
    return is_exception(c) || (!is_never_allowed(c) && (good >> unicode_category(c) & 1));
}

static bool is_international_label(const uint32_t *label, size_t n)
{
    uint32_t marks = UINT32_C(1) << UNICODE_MN | UINT32_C(1) << UNICODE_MC | UINT32_C(1) << UNICODE_ME;

    if (!n || label[0] == '-' || label[n - 1] == '-' || (n >= 4 && label[2] == '-' && label[3] == '-') ||
        (marks >> unicode_category(label[0]) & 1))
        return false;
    for (size_t i = 0; i < n; i++) {
        bool needs_context;
        bool allowed = context_allows(label, n, i, &needs_context);
        if (!(needs_context ? allowed : is_allowed(label[i])))
            return false;
    }
    return true;
}

/* "xn--…": it must decode, to something that needs coding, that is allowed. */
static bool is_coded_label(struct str label)
{
    uint32_t characters[LABEL_MAX + 1];
    size_t n = punycode_decode(str_slice(label, 4, label.n), characters);
    bool beyond_ascii = false;

    for (size_t i = 0; n != SIZE_MAX && i < n; i++)
        beyond_ascii |= characters[i] >= 0x80;
    return n != SIZE_MAX && beyond_ascii && is_international_label(characters, n);
}

/* --- labels of ASCII --- */

static bool is_label(struct str s)
{
    if (!s.n || s.n > LABEL_MAX || s.p[0] == '-' || s.p[s.n - 1] == '-')
        return false;
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80 || !is_allowed((unsigned char)s.p[i]))
            return false;
    if (str_starts_nocase(s, STR("xn--")))
        return is_coded_label(s);
    return !(s.n >= 4 && s.p[2] == '-' && s.p[3] == '-');
}

bool is_hostname(struct str text, UNUSED struct arena *scratch)
{
    if (!text.n || text.n > NAME_MAX_BYTES)
        return false;
    do {
        if (!is_label(str_cut(&text, '.')))
            return false;
    } while (text.p);
    return true;
}

/* --- labels of any characters --- */

/* Bytes that a character adds to a label in Punycode, at least: so that labels which must be too long are refused. */
static bool is_idn_label(struct str s)
{
    uint32_t characters[LABEL_MAX];
    size_t n = 0;
    bool beyond_ascii = false;

    for (size_t at = 0; at < s.n; n++) {
        if (n == LABEL_MAX - 4) /* "xn--" and a digit for each character */
            return !beyond_ascii && is_label(s);
        at += utf8_get(s.p + at, s.n - at, &characters[n]);
        beyond_ascii |= characters[n] >= 0x80;
    }
    return beyond_ascii ? is_international_label(characters, n) : is_label(s);
}

static size_t find_dot(struct str s, size_t *ret_length)
{
    static const uint32_t dots[] = {'.', 0x3002, 0xff0e, 0xff61}; /* RFC 3490, 3.1 */

    for (size_t at = 0; at < s.n; at += *ret_length) {
        uint32_t c;
        *ret_length = utf8_get(s.p + at, s.n - at, &c);
        for (size_t i = 0; i < ARRAY_LEN(dots); i++)
            if (c == dots[i])
                return at;
    }
    *ret_length = 0;
    return s.n;
}

bool is_idn_hostname(struct str text, UNUSED struct arena *scratch)
{
    enum { CHARACTER_BYTES = 4 };

    if (!text.n || text.n > (size_t)NAME_MAX_BYTES * CHARACTER_BYTES)
        return false;
    for (;;) {
        size_t length, n = find_dot(text, &length);
        if (!is_idn_label(str_slice(text, 0, n)))
            return false;
        if (!length)
            return true;
        text = str_slice(text, n + length, text.n);
    }
}
