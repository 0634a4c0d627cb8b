/* kafka_int.h - what the files of the Kafka client share. */
#ifndef CLIENT_KAFKA_INT_H
#define CLIENT_KAFKA_INT_H

#include "client/kafka.h"
#include "rt/serial.h"

#include <librdkafka/rdkafka.h>

/* The longest that one call may keep its thread, except those that a transaction's time-out bounds. */
enum { KAFKA_CALL_MS = 30000 };

/* A call on the thread of a consumer or producer. Allocated; whoever is last frees it with drop(). */
struct kafka_job {
    struct serial_job job;
    err_t (*run)(struct kafka_job *j);
};

/* Start a thread for jobs. E_UNSUPPORTED in simulation; E_IO. */
err_t kafka_thread_start(const char *name, struct serial **ret) MUST_CHECK;

/* Of a producer, for jobs of other files. */
struct serial *kafka_producer_thread(struct kafka_producer *p);

/* A librdkafka configuration; the caller frees it unless rd_kafka_new() takes it. */
err_t kafka_conf_make(const struct kafka_config *config, enum kafka_role role, rd_kafka_conf_t **ret) MUST_CHECK;
/* Set one of our own properties. E_CONFIG. */
err_t kafka_conf_set(rd_kafka_conf_t *conf, const char *name, struct str value) MUST_CHECK;
err_t kafka_conf_set_number(rd_kafka_conf_t *conf, const char *name, int64_t value) MUST_CHECK;

/* The error that librdkafka's code means; `words` may be NULL. */
err_t kafka_fail(rd_kafka_resp_err_t code, const char *what, const char *words);
/* Takes `error`; NULL is OK. */
err_t kafka_fail_error(rd_kafka_error_t *error, const char *what);

/* A copy of the list; the caller destroys it. E_CONFIG for a name of a topic that cannot be one. */
err_t kafka_list_make(const struct kafka_partition *list, size_t n, rd_kafka_topic_partition_list_t **ret) MUST_CHECK;

/* Keep the consumer's handle beyond its closing. */
void kafka_consumer_ref(struct kafka_consumer *c);
void kafka_consumer_unref(struct kafka_consumer *c);
/* Who the consumer is in its group at this moment; the caller destroys it. Blocks; NULL: in none. */
rd_kafka_consumer_group_metadata_t *kafka_consumer_metadata(struct kafka_consumer *c);

#endif
