/*
 * base64.c - RFC 4648 base64: three bytes to four characters by table, and back by table with every check done on the OR of the
 * four looked-up values, so that the loop has one branch per group.
 */
#include "codec/base64.h"

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char for_urls[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

enum { BAD = 0xff };

static bool is_url(enum base64_form form)
{
    return form == BASE64_URL || form == BASE64_URL_PADDED;
}

static bool is_padded(enum base64_form form)
{
    return form == BASE64 || form == BASE64_URL_PADDED;
}

/* Value of a character in the alphabet, BAD if it is not in it. */
static unsigned value_of(char c, bool url)
{
    if (c >= 'A' && c <= 'Z')
        return (unsigned)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (unsigned)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0') + 52;
    if (c == (url ? '-' : '+'))
        return 62;
    return c == (url ? '_' : '/') ? 63 : BAD;
}

size_t base64_encoded_length(size_t n, enum base64_form form)
{
    size_t rest = n % 3;

    if (is_padded(form))
        return (n / 3 + (rest != 0)) * 4;
    return n / 3 * 4 + (rest ? rest + 1 : 0);
}

size_t base64_decoded_max(size_t n)
{
    return n / 4 * 3 + 3;
}

err_t base64_encode(struct buf *b, struct str bytes, enum base64_form form)
{
    const char *alphabet = is_url(form) ? for_urls : standard;
    const unsigned char *from = (const unsigned char *)bytes.p;
    size_t n = base64_encoded_length(bytes.n, form), i = 0;
    char *to = buf_reserve(b, n);

    if (!to)
        return fail(E_TOO_LARGE, "base64 of more than %zu bytes", b->max);
    char *const end = to + n;
    for (; i + 3 <= bytes.n; i += 3) {
        unsigned v = (unsigned)from[i] << 16 | (unsigned)from[i + 1] << 8 | from[i + 2];
        *to++ = alphabet[v >> 18];
        *to++ = alphabet[v >> 12 & 63];
        *to++ = alphabet[v >> 6 & 63];
        *to++ = alphabet[v & 63];
    }
    if (i < bytes.n) {
        unsigned second = i + 1 < bytes.n ? from[i + 1] : 0;
        *to++ = alphabet[from[i] >> 2];
        *to++ = alphabet[(from[i] << 4 | second >> 4) & 63];
        if (i + 1 < bytes.n)
            *to++ = alphabet[second << 2 & 63];
    }
    while (to < end)
        *to++ = '=';
    b->n += n;
    return OK;
}

/* The last group: `n` (2 or 3) characters without padding. Returns false if they are not what encoding gives. */
static bool decode_rest(const char *p, size_t n, bool url, char *to)
{
    unsigned a = value_of(p[0], url), b = value_of(p[1], url), c = n == 3 ? value_of(p[2], url) : 0;

    if ((a | b | c) & 0xc0)
        return false;
    to[0] = (char)(a << 2 | b >> 4);
    if (n == 2)
        return (b & 15) == 0;
    to[1] = (char)(b << 4 | c >> 2);
    return (c & 3) == 0;
}

/* Take the padding off; false if it is not what the form wants. */
static bool strip_padding(struct str *text, enum base64_form form)
{
    if (!is_padded(form))
        return text->n % 4 != 1;
    if (text->n % 4)
        return false;
    for (int i = 0; i < 2 && text->n && text->p[text->n - 1] == '='; i++)
        text->n--;
    return text->n % 4 != 1;
}

err_t base64_decode(struct buf *b, struct str text, enum base64_form form)
{
    bool url = is_url(form);

    if (!strip_padding(&text, form))
        return fail(E_PARSE, "base64 of an impossible length");
    size_t groups = text.n / 4, rest = text.n % 4, n = groups * 3 + (rest ? rest - 1 : 0);
    char *to = buf_reserve(b, n);
    if (!to)
        return fail(E_TOO_LARGE, "more than %zu bytes in base64", b->max);
    const char *p = text.p;
    for (size_t i = 0; i < groups; i++, p += 4, to += 3) {
        unsigned v0 = value_of(p[0], url), v1 = value_of(p[1], url), v2 = value_of(p[2], url), v3 = value_of(p[3], url);
        if ((v0 | v1 | v2 | v3) & 0xc0)
            return fail(E_PARSE, "invalid character in base64 at byte %zu", i * 4);
        to[0] = (char)(v0 << 2 | v1 >> 4);
        to[1] = (char)(v1 << 4 | v2 >> 2);
        to[2] = (char)(v2 << 6 | v3);
    }
    if (rest && !decode_rest(p, rest, url, to))
        return fail(E_PARSE, "invalid end of base64");
    b->n += n;
    return OK;
}
