/* buf.c - bytes that grow, doubling, up to the buf's own maximum. */
#include "base/buf.h"

#include "base/json_plain.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>

enum { FIRST_CAP = 128 };

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf)BUF_INIT(max);
}

void buf_release(struct buf *b)
{
    mem_free(b->p);
    *b = (struct buf)BUF_INIT(b->max);
}

void buf_clear(struct buf *b)
{
    b->n = 0;
    b->overflow = false;
}

char *buf_grow(struct buf *b, size_t n)
{
    if (n > b->max || b->n > b->max - n || mem_limit_strikes()) {
        b->overflow = true;
        return NULL;
    }
    if (b->cap - b->n < n || !b->p) {
        size_t cap = b->cap ? b->cap : FIRST_CAP;
        while (cap - b->n < n)
            cap *= 2;
        if (cap > b->max)
            cap = b->max;
        b->p = mem_realloc(b->p, cap + 1); /* one more for the NUL of buf_addf() */
        b->cap = cap;
    }
    return b->p + b->n;
}

err_t buf_too_large(const struct buf *b)
{
    return fail(E_TOO_LARGE, "more than %zu bytes", b->max);
}

err_t buf_add_u64(struct buf *b, uint64_t v)
{
    char digits[DECIMAL_MAX];

    return buf_add(b, str_of(digits, (size_t)(decimal_put(digits, v) - digits)));
}

err_t buf_add_i64(struct buf *b, int64_t v)
{
    if (v >= 0)
        return buf_add_u64(b, (uint64_t)v);
    TRY(buf_add_char(b, '-'));
    return buf_add_u64(b, 0 - (uint64_t)v);
}

err_t buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    int need;

    va_start(ap, fmt);
    need = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (need < 0)
        return fail(E_PARSE, "bad format");
    char *to = buf_reserve(b, (size_t)need);
    if (!to)
        return buf_too_large(b);
    va_start(ap, fmt);
    (void)vsnprintf(to, (size_t)need + 1, fmt, ap);
    va_end(ap);
    b->n += (size_t)need;
    return OK;
}

static err_t add_escaped(struct buf *b, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";

    switch (c) {
    case '"':
        return buf_add_lit(b, "\\\"");
    case '\\':
        return buf_add_lit(b, "\\\\");
    case '\n':
        return buf_add_lit(b, "\\n");
    case '\r':
        return buf_add_lit(b, "\\r");
    case '\t':
        return buf_add_lit(b, "\\t");
    default: {
        char u[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        return buf_add(b, str_of(u, sizeof u));
    }
    }
}

/* A control character of the second set, which some terminals obey: U+0080 to U+009F, in UTF-8 c2 80 to c2 9f. */
static bool is_c1(const char *utf8)
{
    return (unsigned char)utf8[0] == 0xc2 && (unsigned char)utf8[1] < 0xa0;
}

/* Half of a surrogate pair in three bytes (WTF-8)? */
static bool is_surrogate(const char *p, size_t n)
{
    return n >= 3 && (unsigned char)p[0] == 0xed && ((unsigned char)p[1] & 0xe0) == 0xa0 &&
           ((unsigned char)p[2] & 0xc0) == 0x80;
}

static err_t add_surrogate(struct buf *b, const char *p)
{
    unsigned unit = 0xd000 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);

    return buf_addf(b, "\\u%04x", unit);
}

static inline bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

err_t buf_add_json(struct buf *b, struct str s)
{
    const char *end = s.n ? s.p + s.n : s.p;
    size_t from = 0, i = 0;

    while (i < s.n) {
        unsigned char c = (unsigned char)s.p[i];
        size_t len = 1;

        if (is_plain(c)) {
            i = (size_t)(json_skip_plain(s.p + i + 1, end, JSON_PLAIN_PRINTABLE) - s.p);
            continue;
        }
        if (c >= 0x80 && (len = utf8_valid_char(s.p + i, s.n - i)) > 0 && !is_c1(s.p + i)) {
            i += len;
            continue;
        }
        TRY(buf_add(b, str_slice(s, from, i)));
        if (c >= 0x80 && len == 0 && is_surrogate(s.p + i, s.n - i)) {
            TRY(add_surrogate(b, s.p + i));
            len = 3;
        } else if (c >= 0x80 && len == 0)
            TRY(buf_add_lit(b, "\xef\xbf\xbd"));
        else
            TRY(add_escaped(b, (unsigned char)s.p[i + len - 1]));
        i += len ? len : 1;
        from = i;
    }
    return buf_add(b, str_slice(s, from, s.n));
}

void buf_consume(struct buf *b, size_t n)
{
    if (n >= b->n) {
        b->n = 0;
        return;
    }
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}

err_t buf_status(const struct buf *b)
{
    return b->overflow ? buf_too_large(b) : OK;
}
