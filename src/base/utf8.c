/* utf8.c - checking UTF-8. The ranges are those of RFC 3629, section 4. */
#include "base/utf8.h"

static bool is_tail(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

size_t utf8_valid_char(const char *p, size_t n)
{
    const unsigned char *u = (const unsigned char *)p;

    if (n == 0)
        return 0;
    if (u[0] < 0x80)
        return 1;
    if (u[0] < 0xc2 || n < 2)
        return 0;
    if (u[0] < 0xe0)
        return is_tail(u[1]) ? 2 : 0;
    if (n < 3 || !is_tail(u[1]) || !is_tail(u[2]))
        return 0;
    if (u[0] < 0xf0) {
        bool overlong = u[0] == 0xe0 && u[1] < 0xa0;
        bool surrogate = u[0] == 0xed && u[1] > 0x9f;
        return overlong || surrogate ? 0 : 3;
    }
    if (u[0] > 0xf4 || n < 4 || !is_tail(u[3]))
        return 0;
    bool overlong = u[0] == 0xf0 && u[1] < 0x90;
    bool too_high = u[0] == 0xf4 && u[1] > 0x8f;
    return overlong || too_high ? 0 : 4;
}

bool utf8_valid(struct str s)
{
    for (size_t i = 0; i < s.n;) {
        size_t len = utf8_valid_char(s.p + i, s.n - i);
        if (!len)
            return false;
        i += len;
    }
    return true;
}

struct str utf8_prefix(struct str s, size_t max)
{
    if (s.n <= max)
        return s;
    while (max > 0 && is_tail((unsigned char)s.p[max]))
        max--;
    return str_of(s.p, max);
}

int64_t utf8_count(struct str s)
{
    int64_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += !is_tail((unsigned char)s.p[i]);
    return n;
}

size_t utf8_put(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

size_t utf8_get(const char *p, size_t n, uint32_t *ret_c)
{
    static const unsigned char lead_mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    const unsigned char *u = (const unsigned char *)p;
    size_t length = utf8_valid_char(p, n);

    if (!length && n >= 3 && u[0] == 0xed && u[1] >= 0xa0 && (u[1] & 0xc0) == 0x80 && (u[2] & 0xc0) == 0x80)
        length = 3;
    if (!length) {
        *ret_c = 0xfffd;
        return 1;
    }
    uint32_t c = u[0] & lead_mask[length];
    for (size_t i = 1; i < length; i++)
        c = c << 6 | (u[i] & 0x3f);
    *ret_c = c;
    return length;
}
