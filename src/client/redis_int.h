/* redis_int.h - what the files of the Redis client share: one greeted connection. */
#ifndef CLIENT_REDIS_INT_H
#define CLIENT_REDIS_INT_H

#include "client/redis.h"

struct redis_conn {
    struct conn conn;
    struct buf in; /* read, from the beginning of a reply on */
    struct resp_frame frame;
    size_t reply_max;
};

/* Copy with the defaults filled in. */
struct redis_options redis_settle(const struct redis_options *o);
/* Dial, greet, log in, select. `c` is zeroed or closed. On failure it is closed. */
err_t redis_conn_open(struct redis_conn *c, const struct redis_options *o) SUSPENDS MUST_CHECK;
/* Takes a zeroed one. */
void redis_conn_close(struct redis_conn *c);
/* Read some more. E_EOF at the end of the stream. */
err_t redis_conn_fill(struct redis_conn *c) SUSPENDS MUST_CHECK;
/* The next whole reply among what was read, borrowed from c->in at `at`; E_AGAIN if there is none. */
err_t redis_conn_next(struct redis_conn *c, size_t at, struct str *ret_bytes) MUST_CHECK;
/* Forget the first `n` bytes that were read. */
void redis_conn_consume(struct redis_conn *c, size_t n);
/* Copy a reply into the arena and read it. */
err_t redis_take(struct str bytes, struct arena *a, struct resp *ret) MUST_CHECK;
/* Bytes that commands take when written, or somewhat more. SIZE_MAX: too many to count. */
size_t redis_size(const struct redis_command *commands, size_t n) PURE;

#endif
