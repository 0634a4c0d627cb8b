/*
 * redis_stream.h - Redis Streams in the words of their commands, and an emitter that writes each batch once.
 *
 * Source: the pages of XADD, XREADGROUP, XACK, XAUTOCLAIM, XPENDING, XTRIM and EVALSHA of Redis' documentation. All functions suspend, and
 * fail as redis_do() does, or redis_session_do() on a connection of the caller's own; what they return is the arena's. E_PROTOCOL: the server answered in a form that the command does not have.
 */
#ifndef CLIENT_REDIS_STREAM_H
#define CLIENT_REDIS_STREAM_H

#include "base/time.h"
#include "client/redis.h"

#include <stdint.h>

struct redis_entry {
    struct str id;
    const struct str *fields; /* name, value, name, value */
    size_t count;             /* twice the pairs; 0: it was deleted while it was pending */
};

struct redis_entries {
    const struct redis_entry *items;
    size_t count;
};

/* A consumer of a group that reads one stream. */
struct redis_group {
    struct str stream, group, consumer;
};

/* Append an entry of `n` fields (twice the pairs). `length_max`: trim to about so many; 0: do not. */
err_t redis_xadd(struct redis *r, struct str stream, const struct str *fields, size_t n, uint64_t length_max,
                 struct arena *a, struct str *ret_id) SUSPENDS MUST_CHECK;
/* Make the group, and the stream if it is not there, reading behind `start` ("0": from the beginning, "$": what is new). A group that is
 * there stays as it is. */
err_t redis_group_create(struct redis_session *s, const struct redis_group *g, struct str start, struct arena *a)
    SUSPENDS MUST_CHECK;
/* Read at most `count` entries: `from` ">" new ones, which become pending for this consumer, else its pending ones behind this id. Waits for
 * up to `block` for new ones (0: not at all); no entries are no error. */
err_t redis_xreadgroup(struct redis_session *s, const struct redis_group *g, struct str from, size_t count, ns_t block,
                       struct arena *a, struct redis_entries *ret) SUSPENDS MUST_CHECK;
/* These entries are done. *ret_n: how many of them were pending. */
err_t redis_xack(struct redis_session *s, const struct redis_group *g, const struct str *ids, size_t n, struct arena *a,
                 uint64_t *ret_n) SUSPENDS MUST_CHECK;
/* Take over entries that are pending with whomever for at least `idle`, from *cursor ("0" at first) on. *cursor is where to go on ("0-0": all
 * were looked at), in the arena. */
err_t redis_xautoclaim(struct redis_session *s, const struct redis_group *g, ns_t idle, size_t count,
                       struct str *cursor, struct arena *a, struct redis_entries *ret) SUSPENDS MUST_CHECK;
/* How many entries are pending in the whole group. */
err_t redis_xpending(struct redis *r, const struct redis_group *g, struct arena *a, uint64_t *ret_n) SUSPENDS
MUST_CHECK;
/* Drop entries before `id`, exactly. *ret_n: how many. */
err_t redis_xtrim(struct redis *r, struct str stream, struct str id, struct arena *a, uint64_t *ret_n) SUSPENDS
MUST_CHECK;

/* ---- writing once ---- */

enum redis_form {
    REDIS_AS_STREAM, /* an entry of a stream                              */
    REDIS_AS_STRING, /* the value of the key, whatever was there before   */
    REDIS_AS_LIST,   /* an element at the end of a list                   */
};

/* What a batch writes to keys[key]. */
struct redis_emission {
    unsigned key;
    const struct str *fields; /* of a stream name, value, name, value; else just the value */
    size_t count;             /* of a stream 2 .. REDIS_FIELDS_MAX and even; else 1        */
};

enum { REDIS_FIELDS_MAX = 4096 };
/* Numbers of batches are exact in Lua up to here. */
#define REDIS_SEQUENCE_MAX ((uint64_t)1 << 53)

struct redis_batch {
    struct str sequence_key; /* says whose turn it is and the number of the last batch; nobody else writes it */
    uint64_t epoch;          /* as redis_take_over() gave it */
    const struct str *keys;  /* in a cluster of the same slot as sequence_key */
    size_t key_count;
    const struct redis_emission *emissions;
    size_t count;
    uint64_t number; /* one more than that of the batch before; the first is 1 */
    enum redis_form form;
    uint64_t length_max; /* of streams: trim each to about so many entries; 0: do not   */
    ns_t expires;        /* of strings: so long they stay; 0: for ever                  */
};

/*
 * Become the one that writes batches under this key: who was it before is refused from here on, however late what it has sent arrives. *ret_number is
 * that of the last batch that was applied, or `first` if there was none yet.
 */
err_t redis_take_over(struct redis_session *s, struct str sequence_key, uint64_t first, struct arena *a,
                      uint64_t *ret_epoch, uint64_t *ret_number) SUSPENDS MUST_CHECK;
/* Batches are counted from `number` on, whatever it was before. E_FENCED: somebody else has taken over. */
err_t redis_renumber(struct redis_session *s, struct str sequence_key, uint64_t epoch, uint64_t number, struct arena *a)
    SUSPENDS MUST_CHECK;
/*
 * Write a batch if it is the next one: all of it and its number, in one script, which nothing can come between. A batch that is there
 * already (a lost reply, a crash) writes nothing and is a success: *ret_applied is false then.
 *
 * So every batch is there once as long as this server keeps what it acknowledged: a replica that takes over may lack the last ones, and
 * they would be applied again there, since it lacks their number as well.
 *
 * Errors: E_FENCED: another one has taken over, or batches in between are missing (nothing was written); E_CONFLICT: a key is no stream or no list
 * (nothing was written); E_TOO_LARGE: too many fields, or a number over REDIS_SEQUENCE_MAX; as redis_session_do(): after E_EOF, E_DEADLINE and
 * E_CANCELLED the same batch must be emitted again.
 */
err_t redis_emit(struct redis_session *s, const struct redis_batch *b, struct arena *a, bool *ret_applied) SUSPENDS
MUST_CHECK;

#endif
