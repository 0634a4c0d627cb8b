/*
 * buf.h - bytes that grow, up to a maximum given at birth.
 *
 * Two kinds of failure are made one: appending past the maximum sets the buf's `overflow` flag, drops the append whole and
 * returns E_TOO_LARGE. Builders may therefore append many times and look once, at buf_status().
 * The bytes live on the heap; buf_release() frees them. Not NUL-terminated.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/err.h"
#include "base/str.h"

struct buf {
    char *p;
    size_t n;   /* bytes held                      */
    size_t cap; /* bytes allocated                 */
    size_t max; /* bytes that it may ever hold     */
    bool overflow;
};

#define BUF_INIT(limit) {.max = (limit)}

/* An empty buf that may hold at most `max` bytes. Allocates nothing yet. */
void buf_init(struct buf *b, size_t max);
/* Free the bytes; the buf is empty again and keeps its maximum. Takes a zeroed buf. Fit for CLEANUP. */
void buf_release(struct buf *b);
/* Empty it, keep the memory, forget an overflow. */
void buf_clear(struct buf *b);
/* Make room for `n` more bytes and return where they go; NULL (and overflow) if that passes the maximum. After writing
 * k <= n bytes there, add k to b->n. */
static inline char *buf_reserve(struct buf *b, size_t n) MUST_CHECK;
/* Append. E_TOO_LARGE past the maximum; nothing is appended then. */
static inline err_t buf_add(struct buf *b, struct str s);
static inline err_t buf_add_char(struct buf *b, char c);
err_t buf_add_u64(struct buf *b, uint64_t v);
err_t buf_add_i64(struct buf *b, int64_t v);
err_t buf_addf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Append `s` as the inside of a JSON string (no quotes): RFC 8259 escapes, for DEL and the controls from U+0080
 * to U+009F as well, because of terminals; bytes that are not UTF-8 become U+FFFD, but half of a surrogate pair (WTF-8, see
 * codec/json_tree.h) the escape that it came from. */
err_t buf_add_json(struct buf *b, struct str s);
/* Drop the first `n` bytes, moving the rest down. */
void buf_consume(struct buf *b, size_t n);
/* E_TOO_LARGE if any append was dropped since the last clear, else OK. */
err_t buf_status(const struct buf *b) MUST_CHECK;

static inline struct str buf_str(const struct buf *b)
{
    return str_of(b->p, b->n);
}

/* --- appending is on every path, so its common case is inline --- */

/* What buf_reserve() does when there is not enough room yet. */
char *buf_grow(struct buf *b, size_t n) MUST_CHECK;
/* The error of an append that buf_reserve() refused. */
err_t buf_too_large(const struct buf *b);

static inline char *buf_reserve(struct buf *b, size_t n)
{
    return LIKELY(b->p && n <= b->cap - b->n) ? b->p + b->n : buf_grow(b, n);
}

static inline err_t buf_add(struct buf *b, struct str s)
{
    if (s.n == 0)
        return OK;
    char *to = buf_reserve(b, s.n);
    if (!to)
        return buf_too_large(b);
    KNOWN(s.p);
    memcpy(to, s.p, s.n);
    b->n += s.n;
    return OK;
}

static inline err_t buf_add_char(struct buf *b, char c)
{
    return buf_add(b, str_of(&c, 1));
}

#define buf_add_lit(b, lit) buf_add((b), STR(lit))

#endif
