/*
 * kafka_loop.c - the plain loop that pipelines from Kafka to Kafka are compared with: librdkafka alone, one thread: consume, change, produce. And what
 * measuring it and a pipeline in the same way takes.
 *
 *     kafka_loop fill  BROKERS TOPIC PARTITIONS RECORDS BYTES     make the topic and write so many records of JSON
 *     kafka_loop make  BROKERS TOPIC PARTITIONS                   make an empty one
 *     kafka_loop run   BROKERS FROM TO GROUP BATCH WAIT_MS MODE   copy, each record with a member more, until it is killed; MODE:
 *                                                                 transactions | plain
 *     kafka_loop watch BROKERS TOPIC PARTITIONS RECORDS GROUP     print "begun" when the group has got anywhere, then the records since and the
 *                                                                 seconds that they took, when it has got so far
 *     kafka_loop count BROKERS TOPIC PARTITIONS                   print how many committed records there are
 *
 * What it does to a record is what the mapping `. + {seen: true}` does, but on the text, which is as little as can be done. A batch is what has come
 * within WAIT_MS, at most BATCH records, and one transaction; without transactions its offsets are committed behind it, in the background. It has no
 * error handling but to end: it measures a limit, it is no example.
 *
 * Progress is what the group has committed, which both sides do with each batch and which costs them nothing to be asked for.
 */
#include "base/time.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WAIT_MS = 60000, VALUE_MAX = 1 << 20, LOOK_MS = 10, NUMBER_MAX = 1000000000 };

static const char more[] = ",\"seen\":true}";
static char value[VALUE_MAX + sizeof more];

static void end(const char *what, const char *why)
{
    (void)fprintf(stderr, "kafka_loop: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static void check(rd_kafka_error_t *e, const char *what)
{
    if (e)
        end(what, rd_kafka_error_string(e));
}

static void check_code(rd_kafka_resp_err_t code, const char *what)
{
    if (code)
        end(what, rd_kafka_err2str(code));
}

static double seconds(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / (double)NS_SEC;
}

static int number(const char *text)
{
    char *rest;
    long n = strtol(text, &rest, 10);

    if (*rest || n < 1 || n > NUMBER_MAX)
        end(text, "not a number");
    return (int)n;
}

struct setting {
    const char *name, *value;
};

/* Settings end with one that has no name. */
static rd_kafka_t *client(rd_kafka_type_t type, const char *brokers, const struct setting *settings)
{
    char text[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    (void)rd_kafka_conf_set(conf, "bootstrap.servers", brokers, text, sizeof text);
    for (; settings->name; settings++)
        if (rd_kafka_conf_set(conf, settings->name, settings->value, text, sizeof text) != RD_KAFKA_CONF_OK)
            end(settings->name, text);
    rd_kafka_t *rk = rd_kafka_new(type, conf, text, sizeof text);
    if (!rk)
        end("client", text);
    return rk;
}

static rd_kafka_topic_partition_list_t *partitions_of(const char *topic, int count, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);

    for (int i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = offset;
    return list;
}

/* --- topics --- */

static void make_topic(rd_kafka_t *rk, const char *name, int partitions)
{
    char text[512];
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, partitions, 1, text, sizeof text);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    size_t n;

    rd_kafka_CreateTopics(rk, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);
    if (!event || rd_kafka_event_error(event))
        end("making the topic", event ? rd_kafka_event_error_string(event) : "no answer");
    const rd_kafka_topic_result_t **each =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &n);
    check_code(rd_kafka_topic_result_error(each[0]), "making the topic");
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(topic);
}

static int make(char **argv)
{
    rd_kafka_t *rk = client(RD_KAFKA_PRODUCER, argv[0], (const struct setting[]){{0}});

    make_topic(rk, argv[1], number(argv[2]));
    rd_kafka_destroy(rk);
    return EXIT_SUCCESS;
}

/* An order of so many bytes: a dozen members, and a note that is as long as it takes. */
static void write_record(int id, int bytes)
{
    int n = snprintf(
        value, sizeof value,
        "{\"id\":%d,\"customer\":{\"id\":\"c_%05d\",\"tier\":\"gold\",\"country\":\"CH\"},\"amount\":%d.95,"
        "\"currency\":\"CHF\",\"items\":[{\"sku\":\"A-100\",\"qty\":2,\"price\":399.95},{\"sku\":\"B-220\",\"qty\":"
        "1,\"price\":450.00}],\"labels\":[\"velocity\",\"new_device\"],\"checked\":false,\"note\":\"",
        id, id % 100000, id % 1000);

    if (n + 2 > bytes)
        end("filling", "a record has 320 bytes at least");
    memset(value + n, 'x', (size_t)(bytes - n));
    memcpy(value + bytes - 2, "\"}", 2);
}

static int fill(char **argv)
{
    int partitions = number(argv[2]), records = number(argv[3]), bytes = number(argv[4]);
    rd_kafka_t *rk = client(RD_KAFKA_PRODUCER, argv[0],
                            (const struct setting[]){{"enable.idempotence", "true"}, {"linger.ms", "20"}, {0}});

    if (bytes > VALUE_MAX)
        end(argv[4], "a record has a million bytes at most");
    make_topic(rk, argv[1], partitions);
    for (int i = 0; i < records; i++) {
        write_record(i, bytes);
        while (rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(argv[1]), RD_KAFKA_V_PARTITION(i % partitions),
                                 RD_KAFKA_V_VALUE(value, (size_t)bytes), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                 RD_KAFKA_V_END))
            (void)rd_kafka_poll(rk, LOOK_MS);
    }
    check_code(rd_kafka_flush(rk, WAIT_MS), "filling");
    rd_kafka_destroy(rk);
    return EXIT_SUCCESS;
}

/* --- the loop --- */

struct loop {
    rd_kafka_t *producer, *consumer;
    rd_kafka_topic_t *to;
    bool has_transactions;
};

/* Produce it with a member more; remember where to go on. */
static void copy(const struct loop *l, const rd_kafka_message_t *m, rd_kafka_topic_partition_list_t *next)
{
    size_t n = m->len - 1 + sizeof more - 1;

    if (m->len < 2 || m->len > VALUE_MAX)
        end("copying", "a record of another size");
    memcpy(value, m->payload, m->len - 1);
    memcpy(value + m->len - 1, more, sizeof more - 1);
    while (rd_kafka_produce(l->to, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, value, n, m->key, m->key_len, NULL)) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            end("producing", rd_kafka_err2str(rd_kafka_last_error()));
        (void)rd_kafka_poll(l->producer, LOOK_MS);
    }
    const char *topic = rd_kafka_topic_name(m->rkt);
    rd_kafka_topic_partition_t *p = rd_kafka_topic_partition_list_find(next, topic, m->partition);
    if (!p)
        p = rd_kafka_topic_partition_list_add(next, topic, m->partition);
    p->offset = m->offset + 1;
}

static void commit(const struct loop *l, const rd_kafka_topic_partition_list_t *next)
{
    if (!l->has_transactions) {
        (void)rd_kafka_poll(l->producer, 0);
        check_code(rd_kafka_commit(l->consumer, next, 1), "committing offsets");
        return;
    }
    rd_kafka_consumer_group_metadata_t *member = rd_kafka_consumer_group_metadata(l->consumer);
    check(rd_kafka_send_offsets_to_transaction(l->producer, next, member, WAIT_MS), "offsets");
    rd_kafka_consumer_group_metadata_destroy(member);
    check(rd_kafka_commit_transaction(l->producer, WAIT_MS), "committing");
}

static void do_batch(const struct loop *l, rd_kafka_message_t **batch, ssize_t n)
{
    rd_kafka_topic_partition_list_t *next = rd_kafka_topic_partition_list_new(1);

    if (l->has_transactions)
        check(rd_kafka_begin_transaction(l->producer), "beginning");
    for (ssize_t i = 0; i < n; i++) {
        check_code(batch[i]->err, "consuming");
        copy(l, batch[i], next);
        rd_kafka_message_destroy(batch[i]);
    }
    commit(l, next);
    rd_kafka_topic_partition_list_destroy(next);
}

static struct loop open_loop(char **argv, bool has_transactions)
{
    const struct setting id = {has_transactions ? "transactional.id" : "client.id", argv[3]};
    struct loop l = {.has_transactions = has_transactions};

    l.producer = client(RD_KAFKA_PRODUCER, argv[0], (const struct setting[]){{"enable.idempotence", "true"}, id, {0}});
    l.consumer = client(RD_KAFKA_CONSUMER, argv[0],
                        (const struct setting[]){{"group.id", argv[3]},
                                                 {"enable.auto.commit", "false"},
                                                 {"isolation.level", "read_committed"},
                                                 {"auto.offset.reset", "earliest"},
                                                 {0}});
    l.to = rd_kafka_topic_new(l.producer, argv[2], NULL);
    if (has_transactions)
        check(rd_kafka_init_transactions(l.producer, WAIT_MS), "init");
    return l;
}

static int run(char **argv)
{
    int most = number(argv[4]), wait = number(argv[5]);
    const struct loop l = open_loop(argv, strcmp(argv[6], "transactions") == 0);
    rd_kafka_topic_partition_list_t *topics = partitions_of(argv[1], 1, RD_KAFKA_OFFSET_STORED);
    rd_kafka_message_t **batch = calloc((size_t)most, sizeof *batch);

    if (!batch)
        end("run", "no memory");
    topics->elems[0].partition = RD_KAFKA_PARTITION_UA;
    check_code(rd_kafka_subscribe(l.consumer, topics), "subscribing");
    (void)rd_kafka_poll_set_consumer(l.consumer);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(l.consumer);
    for (ssize_t n; (n = rd_kafka_consume_batch_queue(queue, wait, batch, (size_t)most)) >= 0;)
        if (n > 0)
            do_batch(&l, batch, n);
    end("run", rd_kafka_err2str(rd_kafka_last_error()));
    return EXIT_FAILURE;
}

/* --- measuring --- */

static int64_t committed(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list)
{
    int64_t sum = 0;

    check_code(rd_kafka_committed(rk, list, WAIT_MS), "asking for offsets");
    for (int i = 0; i < list->cnt; i++)
        sum += list->elems[i].offset > 0 ? list->elems[i].offset : 0;
    return sum;
}

static int64_t committed_beyond(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list, int64_t least)
{
    static const struct timespec pause = {.tv_nsec = LOOK_MS * NS_MS};
    int64_t sum;

    while ((sum = committed(rk, list)) < least)
        (void)nanosleep(&pause, NULL);
    return sum;
}

static int watch(char **argv)
{
    rd_kafka_t *rk =
        client(RD_KAFKA_CONSUMER, argv[0],
               (const struct setting[]){{"group.id", argv[4]}, {"isolation.level", "read_uncommitted"}, {0}});
    rd_kafka_topic_partition_list_t *list = partitions_of(argv[1], number(argv[2]), RD_KAFKA_OFFSET_INVALID);
    int64_t from = committed_beyond(rk, list, 1);
    double began = seconds();

    (void)puts("begun");
    (void)fflush(stdout);
    int64_t to = committed_beyond(rk, list, number(argv[3]));
    (void)printf("%lld %.4f\n", (long long)(to - from), seconds() - began);
    return EXIT_SUCCESS; /* handles go with the process */
}

/* To the end of each partition as a reader of what is committed sees it. */
static int count(char **argv)
{
    int partitions = number(argv[2]), ended = 0, seen = 0;
    rd_kafka_t *rk = client(RD_KAFKA_CONSUMER, argv[0],
                            (const struct setting[]){{"group.id", "count"},
                                                     {"isolation.level", "read_committed"},
                                                     {"enable.auto.commit", "false"},
                                                     {"enable.partition.eof", "true"},
                                                     {0}});

    check_code(rd_kafka_assign(rk, partitions_of(argv[1], partitions, RD_KAFKA_OFFSET_BEGINNING)), "assigning");
    while (ended < partitions) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, WAIT_MS);
        if (!m)
            end("counting", "nothing comes");
        ended += m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        seen += !m->err;
        rd_kafka_message_destroy(m);
    }
    (void)printf("%d\n", seen);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int arguments;
        int (*run)(char **argv);
    } all[] = {{"fill", 5, fill}, {"make", 3, make}, {"run", 7, run}, {"watch", 5, watch}, {"count", 3, count}};

    for (size_t i = 0; argc > 1 && i < sizeof all / sizeof *all; i++)
        if (strcmp(argv[1], all[i].name) == 0 && argc == 2 + all[i].arguments)
            return all[i].run(argv + 2);
    (void)fputs("usage: see the first lines of bench/kafka_loop.c\n", stderr);
    return 2;
}
