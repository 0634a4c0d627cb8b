/* kafka_link.h - how sources and sinks reach a Kafka cluster: its `connection`, as the client wants it. Private to pipeline/. */
#ifndef PIPELINE_KAFKA_LINK_H
#define PIPELINE_KAFKA_LINK_H

#include "client/kafka.h"
#include "pipeline/run/run.h"
#include "pipeline/spec/build.h"

/*
 * A connection's brokers, security and properties, in the arena.
 *
 * Its URL is `kafka://host:port,...`, with `tls+` in front over TLS. What stands behind a `?`, as `name=value&...`, are librdkafka's properties, and
 * `mechanism`, that of SASL; a username without one means PLAIN.
 * Suspends, if the password is in a file. Errors: E_CONFIG; those of disk_file_open().
 */
err_t kafka_link_make(const struct pipeline_connection *c, enum kafka_role role, struct arena *arena,
                      struct kafka_config *ret) SUSPENDS MUST_CHECK;

/* Name of a transaction's owner: one at a time may have it. In the arena. */
struct str kafka_link_id(struct arena *arena, struct str pipeline, struct str part, struct str member, uint32_t shard);

/* What the sinks of a pipeline write, whoever keeps its transactions: a record for a batch's item. */
struct kafka_text {
    const struct template *topic, *key; /* key NULL: the message's key */
    struct str topic_text;              /* if it has no expressions    */
};

/* The record, in the root's arena; `text` is its value and is borrowed. E_PARSE: an expression failed; E_TOO_LARGE. */
err_t kafka_link_record(const struct kafka_text *t, const struct pipeline_node *sink, struct record *r, struct str text,
                        struct kafka_record *ret) MUST_CHECK;
/* Of a sink of kind kafka. */
const struct kafka_text *kafka_sink_text(const struct pipeline_node *sink) PURE;

/* What is read of a source of kind kafka. */
struct kafka_reads {
    const struct str *topics;
    size_t topic_count;
    struct str group, member;
    bool is_registered; /* values have the five bytes of a schema registry in front, if it says so */
    bool from_end;      /* where a new group begins */
};
const struct kafka_reads *kafka_source_reads(const struct pipeline_node *source) PURE;
/* Join the source's group, with polls that linger so long. As kafka_consumer_open(); of several shards each has the member's name and its number. */
err_t kafka_link_join(const struct pipeline_node *source, uint32_t shard, ns_t linger, struct kafka_consumer **ret)
    SUSPENDS MUST_CHECK;
/* Read of the source what kafka_assign() says, in no group, which is only told offsets. As kafka_consumer_open(). */
err_t kafka_link_read(const struct pipeline_node *source, struct kafka_consumer **ret) SUSPENDS MUST_CHECK;
/* A message as the engine takes it in; `partition` is the engine's number for it. Borrowed; its headers, as many as a message may have, are in the arena. */
struct message kafka_link_message(const struct kafka_reads *reads, const struct kafka_message *m, uint32_t partition,
                                  struct arena *arena);
/* Partitions of a batch, with their names, in the arena: the batch may go before they are dealt with. */
struct kafka_partition *kafka_link_copy(const struct kafka_partition *list, size_t n, struct arena *arena);

#endif
