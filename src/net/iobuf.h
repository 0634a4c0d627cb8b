/*
 * iobuf.h - read buffers, lent by the loop only while bytes are in them.
 *
 * A connection that waits for its peer holds no buffer: it takes one when the socket is readable and gives it back
 * when what was read has been consumed. So 10,000 quiet streams cost no buffer memory. Buffers are pooled per loop;
 * the pool keeps a bounded number of free ones.
 */
#ifndef NET_IOBUF_H
#define NET_IOBUF_H

#include "base/str.h"

#include <stddef.h>

enum { IOBUF_SIZE = 16 * 1024 - 64 };

struct iobuf {
    struct iobuf *next_free; /* private */
    size_t from, to;         /* unread bytes are bytes[from..to) */
    char bytes[IOBUF_SIZE];
};

/* An empty buffer of this loop's pool; iobuf_put() gives it back. */
struct iobuf *iobuf_get(void);
/* NULL is allowed. */
void iobuf_put(struct iobuf *b);
/* Free the pool of this loop, at its end. */
void iobuf_drain(void);

static inline struct str iobuf_unread(const struct iobuf *b)
{
    return str_of(b->bytes + b->from, b->to - b->from);
}

#endif
