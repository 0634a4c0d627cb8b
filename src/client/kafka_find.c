/*
 * kafka_find.c - the newest committed record of a key: what a compacted topic says of it.
 *
 * The partition is read from its beginning to what was its end when the question was asked, by a consumer made for that, on the producer's thread. The end
 * that counts is that of all records: a committed one may stand behind a transaction of somebody else's that is open still, and whoever read only
 * up to that one would take it for missing. So the reader waits there until that transaction has ended, as all do.
 *
 * What it does not do: keep anything between questions.
 */
#include "base/mem.h"
#include "client/kafka_int.h"

#include <string.h>

/* Transactions of others end within this time, most by far. */
enum { PATIENCE_MS = 90000, TURN_MS = 500, VALUE_MAX = 64 * 1024 };

struct find_job {
    struct kafka_job base;
    rd_kafka_conf_t *conf; /* of a consumer */
    char *topic, *key;
    size_t key_bytes;
    int32_t partition;
    char *value; /* NULL: none */
    size_t value_bytes;
};

/* Takes `conf`. */
static err_t open_reader(rd_kafka_conf_t *conf, bool is_committed, rd_kafka_t **ret)
{
    char text[ERR_TEXT_MAX];
    err_t e = kafka_conf_set(conf, "isolation.level", is_committed ? STR("read_committed") : STR("read_uncommitted"));

    if (e == OK)
        e = kafka_conf_set(conf, "enable.partition.eof", STR("true"));
    if (e == OK)
        e = kafka_conf_set(conf, "auto.offset.reset", STR("earliest"));
    if (e == OK)
        e = kafka_conf_set(conf, "group.id", STR("none")); /* asked for by the library, not used */
    if (e == OK && !(*ret = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text)))
        e = fail(E_CONFIG, "kafka: %s", text);
    if (e != OK)
        rd_kafka_conf_destroy(conf);
    return e;
}

/* Behind the last record, whatever becomes of it. */
static err_t ask_end(const struct find_job *j, int64_t *ret)
{
    rd_kafka_t *rk;
    int64_t begin;

    TRY(open_reader(rd_kafka_conf_dup(j->conf), false, &rk));
    err_t e = kafka_fail(rd_kafka_query_watermark_offsets(rk, j->topic, j->partition, &begin, ret, KAFKA_CALL_MS),
                         "asking for watermarks", NULL);
    rd_kafka_destroy(rk);
    return e;
}

static void keep(struct find_job *j, const rd_kafka_message_t *m)
{
    if (m->key_len != j->key_bytes || memcmp(m->key, j->key, j->key_bytes) != 0 || m->len > VALUE_MAX)
        return;
    mem_free(j->value);
    j->value = m->payload ? mem_dup(m->payload, m->len) : NULL;
    j->value_bytes = m->len;
}

static err_t read_to(struct find_job *j, rd_kafka_t *rk, int64_t end)
{
    for (int waited = 0; waited < PATIENCE_MS;) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, TURN_MS);
        if (!m) {
            waited += TURN_MS;
            continue;
        }
        bool is_end = m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF && m->offset >= end;
        err_t e = OK;
        if (!m->err)
            keep(j, m);
        else if (m->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || m->err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
            e = kafka_fail(m->err, "reading", NULL);
        rd_kafka_message_destroy(m);
        if (is_end || e != OK)
            return e;
    }
    return fail(E_UPSTREAM, "kafka: %s [%d] was not read to its end: a transaction is open, or the brokers are away",
                j->topic, (int)j->partition);
}

static err_t run_find(struct kafka_job *base)
{
    struct find_job *j = CONTAINER_OF(base, struct find_job, base);
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_t *rk;
    int64_t end = 0;

    TRY(ask_end(j, &end));
    if (end == 0)
        return OK;
    TRY(open_reader(rd_kafka_conf_dup(j->conf), true, &rk));
    list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, j->topic, j->partition)->offset = KAFKA_BEGINNING;
    err_t e = kafka_fail(rd_kafka_assign(rk, list), "assigning a partition", NULL);
    rd_kafka_topic_partition_list_destroy(list);
    if (e == OK)
        e = read_to(j, rk, end);
    (void)rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    return e;
}

static void drop_find(struct serial_job *s)
{
    struct find_job *j = CONTAINER_OF(s, struct find_job, base.job);

    rd_kafka_conf_destroy(j->conf);
    mem_free(j->topic);
    mem_free(j->key);
    mem_free(j->value);
    mem_free(j);
}

err_t kafka_find_last(struct kafka_producer *p, const struct kafka_config *config, const struct kafka_partition *where,
                      struct str key, struct arena *arena, struct str *ret_value)
{
    rd_kafka_conf_t *conf;

    TRY(kafka_conf_make(config, KAFKA_CONSUMER, &conf));
    struct find_job *j = NEW(struct find_job);
    *j = (struct find_job){.base = {.job = {.drop = drop_find}, .run = run_find},
                           .conf = conf,
                           .topic = mem_dup(where->topic.p, where->topic.n),
                           .partition = where->partition,
                           .key = mem_dup(key.p, key.n),
                           .key_bytes = key.n};
    err_t e = serial_run(kafka_producer_thread(p), &j->base.job);
    if (e == E_CANCELLED || e == E_DEADLINE)
        return e;
    if (e == OK)
        *ret_value = j->value ? arena_str(arena, str_of(j->value, j->value_bytes)) : STR_NONE;
    drop_find(&j->base.job);
    return e;
}
