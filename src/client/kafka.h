/*
 * kafka.h - Kafka for fibers: members of consumer groups, and producers with transactions.
 *
 * A consumer and a producer each have a thread of their own, on which librdkafka's calls block; the fiber that asked waits. Both belong to the
 * loop that opened them. A fiber that gives up (cancel, deadline) does not cut a call short: the call goes on, what a poll has found is what the next
 * poll returns, and a producer whose transaction was left that way is done with, because nobody knows how the call ended.
 *
 * Not in simulation (E_UNSUPPORTED there): who uses this has a simulated source and sink of its own.
 */
#ifndef CLIENT_KAFKA_H
#define CLIENT_KAFKA_H

#include "base/arena.h"
#include "base/err.h"
#include "base/time.h"

#include <stddef.h>

/* ---- configuration ---- */

enum kafka_role { KAFKA_CONSUMER, KAFKA_PRODUCER };

/* One of librdkafka's properties (its CONFIGURATION.md). */
struct kafka_property {
    struct str name, value;
};

struct kafka_config {
    struct str brokers;                      /* "host:port,..."                                   */
    struct str security;                     /* "PLAINTEXT", "SSL", "SASL_SSL", ...; none: PLAINTEXT */
    struct str mechanism;                    /* SASL: "PLAIN", "SCRAM-SHA-256", "OAUTHBEARER", ... */
    struct str username, password;           /* SASL PLAIN and SCRAM                              */
    const struct kafka_property *properties; /* whatever else, in this order; may not set what is set above or by us */
    size_t property_count;
};

/* Would a client of this role take the configuration? Reaches no broker. E_CONFIG names the property and what is wrong with it. */
err_t kafka_config_check(const struct kafka_config *config, enum kafka_role role) MUST_CHECK;

/* ---- partitions ---- */

enum {
    KAFKA_ANY_PARTITION = -1, /* chosen by the hash of the key */
    KAFKA_BEGINNING = -2,     /* in place of an offset         */
    KAFKA_END = -1,
    KAFKA_STORED = -1000, /* where the group has committed; without that, as auto.offset.reset says */
};

struct kafka_partition {
    struct str topic;
    int32_t partition;
    int64_t offset; /* the next to be read, or one of the above */
};

/* ---- consumer ---- */

struct kafka_consumer;

struct kafka_consumer_options {
    struct str group;
    struct str member;        /* group.instance.id: static membership; none: dynamic */
    const struct str *topics; /* to be a member of the group for; none: it joins no group, and reads what kafka_assign()
                                 says. The group is only where its offsets are committed */
    size_t topic_count;
    size_t queue_bytes_max; /* fetched before they are asked for; 0: 16 MiB */
    ns_t
        linger; /* a poll that has found a message waits so long for as many as it may bring; at most KAFKA_LINGER_MAX */
    bool is_cooperative;    /* partitions change hands one by one; else all stop for a moment */
    bool reads_uncommitted; /* see records of open and aborted transactions as well */
};

struct kafka_message {
    struct str topic, key, value; /* .p == NULL: has none */
    int64_t offset;
    int64_t timestamp_ms; /* since 1970; -1: unknown */
    int32_t partition;
    void *native; /* for kafka_message_header() */
};

enum kafka_change {
    KAFKA_UNCHANGED,
    KAFKA_ASSIGNED, /* answer with kafka_assign(), and with the offset that each begins at            */
    KAFKA_REVOKED,  /* still ours: finish what was read from them and commit it; then kafka_unassign() */
    KAFKA_LOST,     /* another's already: abort what was read from them; then kafka_unassign()         */
};

/* What a poll has found. The messages were read before the change was told, under the assignment before it. */
struct kafka_batch {
    const struct kafka_message *messages;
    size_t message_count;
    enum kafka_change change;
    const struct kafka_partition *partitions; /* of the change; ASSIGNED: offset is KAFKA_STORED */
    size_t partition_count;
};

/* Join the group, soon, if there are topics. Copies what it is given. E_CONFIG, E_UNSUPPORTED, E_IO. */
err_t kafka_consumer_open(const struct kafka_config *config, const struct kafka_consumer_options *options,
                          struct kafka_consumer **ret) MUST_CHECK;
/* Leave the group and free. Suspends until a call under way has ended, whatever the fiber's deadline. A change need not be answered before. Commits nothing. NULL is allowed. Batches were released. */
void kafka_consumer_close(struct kafka_consumer *c) SUSPENDS;

/*
 * Wait for messages, at most `max` (1 to KAFKA_BATCH_MAX) of them, or a change of partitions: returns as soon as there is one of either, with whatever
 * else is there. Being in a poll is also what tells the group that this member is alive (max.poll.interval.ms): poll, if only with an
 * `until` of now, while work goes on and all partitions are paused. One fiber at a time. Past `until` it may linger.
 * *ret_batch: the caller gives it back with kafka_batch_release(), before the consumer is closed.
 * E_AGAIN at `until`. E_UPSTREAM, E_FORBIDDEN, E_NOT_FOUND...: something went wrong, mostly for a while; polling again goes on. E_FENCED: another
 * member has this one's name; the consumer is of no more use.
 */
enum { KAFKA_BATCH_MAX = 10000 };
#define KAFKA_LINGER_MAX (60 * NS_SEC)
err_t kafka_poll(struct kafka_consumer *c, size_t max, ns_t until, struct kafka_batch **ret_batch) SUSPENDS MUST_CHECK;
void kafka_batch_release(struct kafka_batch *b);
/* The `i`-th header of a message of a batch that is not released; false: there are not so many. Points into the batch. */
bool kafka_message_header(const struct kafka_message *m, size_t i, struct str *ret_name, struct str *ret_value);

/* The answers to a change, with its partitions. E_FENCED if the group has moved on. Without a group: read these, and no others. */
err_t kafka_assign(struct kafka_consumer *c, const struct kafka_partition *list, size_t n) SUSPENDS MUST_CHECK;
err_t kafka_unassign(struct kafka_consumer *c, const struct kafka_partition *list, size_t n) SUSPENDS MUST_CHECK;
/* Fetch nothing more of these, and again. What was fetched already is dropped and fetched again later. Offsets are not looked at. */
err_t kafka_pause(struct kafka_consumer *c, const struct kafka_partition *list, size_t n) SUSPENDS MUST_CHECK;
err_t kafka_resume(struct kafka_consumer *c, const struct kafka_partition *list, size_t n) SUSPENDS MUST_CHECK;
/* Go on reading at the given offsets. Partitions must be assigned. */
err_t kafka_seek(struct kafka_consumer *c, const struct kafka_partition *list, size_t n) SUSPENDS MUST_CHECK;
/* Commit offsets to the group outside of transactions, and wait until the coordinator has them. */
err_t kafka_commit_offsets(struct kafka_consumer *c, const struct kafka_partition *list, size_t n) SUSPENDS MUST_CHECK;
/* Ask for the offsets that the group has committed: sets `offset` of each, KAFKA_STORED where there is none. */
err_t kafka_committed(struct kafka_consumer *c, struct kafka_partition *list, size_t n) SUSPENDS MUST_CHECK;
/* Ask for the first offset that is there, and for the one that the next record gets: with read_committed, the first record of an open transaction. Lag
 * is *ret_end less the offset to be read next. */
err_t kafka_watermarks(struct kafka_consumer *c, struct str topic, int32_t partition, int64_t *ret_begin,
                       int64_t *ret_end) SUSPENDS MUST_CHECK;

/* Ask how many partitions the topic has: 0 to *ret_count - 1. E_NOT_FOUND: there is no such topic. */
err_t kafka_partition_count(struct kafka_consumer *c, struct str topic, int32_t *ret_count) SUSPENDS MUST_CHECK;

/* ---- producer ---- */

struct kafka_producer;

struct kafka_producer_options {
    struct str transactional_id; /* none: idempotent, without transactions              */
    ns_t transaction_timeout;    /* the coordinator aborts after that; 0: 60 s           */
    size_t queue_bytes_max;      /* keys and values handed over and not delivered; 0: 16 MiB */
    unsigned queue_messages_max; /* 0: 100,000                                           */
};

/* What to do after a call of a transaction has failed. */
enum kafka_class {
    KAFKA_RETRIABLE, /* it was tried again for a while; the same call may still succeed     */
    KAFKA_ABORTABLE, /* kafka_abort(), and the consumer back to what it has committed       */
    KAFKA_FATAL,     /* close the producer and open another: fenced, or nobody knows        */
};

struct kafka_header {
    struct str name, value; /* a name is at most KAFKA_NAME_MAX bytes */
};

enum { KAFKA_NAME_MAX = 249 };

struct kafka_record {
    struct str topic;
    struct str key, value; /* .p == NULL: has none */
    const struct kafka_header *headers;
    size_t header_count;
    int64_t timestamp_ms; /* 0: now */
    int32_t partition;
};

struct kafka_delivery {
    err_t result;
    int32_t partition;
    int64_t offset; /* -1 unless delivered */
};

/* Make a producer. Copies what it is given. E_CONFIG, E_UNSUPPORTED, E_IO. */
err_t kafka_producer_open(const struct kafka_config *config, const struct kafka_producer_options *options,
                          struct kafka_producer **ret) MUST_CHECK;
/* Give up what is not delivered, and free; an open transaction is left to its time-out or its id's next owner. Suspends until a call under way
 * has ended, whatever the fiber's deadline. NULL is allowed. */
void kafka_producer_close(struct kafka_producer *p) SUSPENDS;

/*
 * A transaction: kafka_transactions_init() once, which fences whoever had the id before; then kafka_begin(), kafka_produce() any number of times,
 * kafka_transaction_offsets(), kafka_commit() or kafka_abort(). Failed: *ret_class says what to do. E_CANCELLED and E_DEADLINE are
 * KAFKA_FATAL: the call may still succeed.
 */
err_t kafka_transactions_init(struct kafka_producer *p, enum kafka_class *ret_class) SUSPENDS MUST_CHECK;
err_t kafka_begin(struct kafka_producer *p, enum kafka_class *ret_class) SUSPENDS MUST_CHECK;
/* Hand records over, copied. Suspends while the queue is full. Failed: some may have been handed over. What becomes of them is for kafka_commit(). */
err_t kafka_produce(struct kafka_producer *p, const struct kafka_record *records, size_t n, enum kafka_class *ret_class)
    SUSPENDS MUST_CHECK;
/* Have the offsets (of the next records to be read) committed with the transaction, as of the member that `c` is at this moment: one that has lost its
 * partitions meanwhile is refused, which is KAFKA_ABORTABLE. */
err_t kafka_transaction_offsets(struct kafka_producer *p, struct kafka_consumer *c,
                                const struct kafka_partition *offsets, size_t n, enum kafka_class *ret_class) SUSPENDS
MUST_CHECK;
err_t kafka_commit(struct kafka_producer *p, enum kafka_class *ret_class) SUSPENDS MUST_CHECK;
err_t kafka_abort(struct kafka_producer *p, enum kafka_class *ret_class) SUSPENDS MUST_CHECK;

/* Without transactions: hand records over and wait for all. deliveries: n of them, all set unless E_CANCELLED or E_DEADLINE (the records may be delivered
 * nevertheless). The first failure otherwise. */
err_t kafka_send(struct kafka_producer *p, const struct kafka_record *records, size_t n,
                 struct kafka_delivery *deliveries) SUSPENDS MUST_CHECK;

struct kafka_topic {
    struct str name;
    int partitions, replication; /* replication -1: as the brokers do of themselves */
    bool is_compacted;           /* keeps the newest record of each key, in small segments, so that they are few */
};
/* Make a topic. E_CONFLICT: it is there. */
err_t kafka_create_topic(struct kafka_producer *p, const struct kafka_topic *t) SUSPENDS MUST_CHECK;

/*
 * Find the newest committed record of a key in a partition, which is read from its beginning: for compacted topics. What was written before the call is
 * looked at, even if it stands behind a transaction that is open still: that one's end is waited for. *ret_value: in the arena; .p == NULL: there
 * is none, or it has no value.
 * On the producer's thread, so behind the calls before. E_NOT_FOUND: no such topic or partition. E_UPSTREAM: also if a transaction stays open.
 */
err_t kafka_find_last(struct kafka_producer *p, const struct kafka_config *config, const struct kafka_partition *where,
                      struct str key, struct arena *arena, struct str *ret_value) SUSPENDS MUST_CHECK;

#endif
