/*
 * blobs.h - named bytes that are kept for a while: stored responses, signatures of thoughts. An interface; one implementation lives in this
 * process (store/memory_blobs.c), shared ones can follow.
 *
 * A store is a help, not a record: anything may be gone when it is asked for, because it grew old or others needed the room, and callers say
 * what happens then.
 */
#ifndef STORE_BLOBS_H
#define STORE_BLOBS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/time.h"
#include "rt/fiber.h"

#include <stdbool.h>
#include <stddef.h>

struct blobs;

struct blobs_ops {
    err_t (*put)(struct blobs *b, struct str key, struct str value) SUSPENDS;
    err_t (*get)(struct blobs *b, struct str key, struct arena *arena, struct str *ret_value) SUSPENDS;
    err_t (*remove)(struct blobs *b, struct str key) SUSPENDS;
    void (*free)(struct blobs *b);
};

/* What every implementation begins with. */
struct blobs {
    const struct blobs_ops *ops;
};

/* Keep a copy of `value` under `key`, instead of what was there. E_TOO_LARGE: it is more than the store takes. */
static inline SUSPENDS err_t blobs_put(struct blobs *b, struct str key, struct str value)
{
    return b->ops->put(b, key, value);
}
/* A copy of it, in the arena. E_NOT_FOUND. */
static inline SUSPENDS err_t blobs_get(struct blobs *b, struct str key, struct arena *arena, struct str *ret_value)
{
    return b->ops->get(b, key, arena, ret_value);
}
/* E_NOT_FOUND. */
static inline SUSPENDS err_t blobs_remove(struct blobs *b, struct str key)
{
    return b->ops->remove(b, key);
}
/* NULL is allowed. */
static inline void blobs_free(struct blobs *b)
{
    if (b)
        b->ops->free(b);
}

/*
 * In this process, for all its loops. At most `max_bytes` of keys and values together; the least recently used go first, and everything after
 * `max_age`. A value may take an eighth of the room.
 */
struct blobs *memory_blobs_new(size_t max_bytes, ns_t max_age);

#endif
