/*
 * kafka_mock.c - the Kafka client against librdkafka's simulated cluster: what that is good for, which is plain delivery, and errors put in the way.
 * Whether transactions hold what they promise is for kafka.c, with a real broker.
 */
#include "client/kafka.h"

#include "rt/scope.h"
#include "unit/in_loop.h"
#include "unit/test.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>

static struct cluster {
    rd_kafka_t *handle;
    rd_kafka_mock_cluster_t *mock;
    struct kafka_config config;
} cluster;

static void with_cluster(body_fn *body)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    (void)rd_kafka_conf_set(conf, "log_level", "0", NULL, 0); /* it has no brokers but those that it makes */
    cluster.handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
    cluster.mock = rd_kafka_mock_cluster_new(cluster.handle, 1);
    (void)rd_kafka_mock_topic_create(cluster.mock, "in", 2, 1);
    (void)rd_kafka_mock_topic_create(cluster.mock, "out", 1, 1);
    cluster.config = (struct kafka_config){.brokers = str_from_c(rd_kafka_mock_cluster_bootstraps(cluster.mock))};
    in_kernel(body);
    rd_kafka_mock_cluster_destroy(cluster.mock);
    rd_kafka_destroy(cluster.handle);
}

static struct kafka_producer *producer(struct str id, unsigned messages_max)
{
    struct kafka_producer *p = NULL;
    err_t e = kafka_producer_open(
        &cluster.config, &(struct kafka_producer_options){.transactional_id = id, .queue_messages_max = messages_max},
        &p);
    return e == OK ? p : NULL;
}

static struct kafka_consumer *consumer(void)
{
    static const struct str topic = STR_INIT("in");
    static const struct kafka_property earliest = {STR_INIT("auto.offset.reset"), STR_INIT("earliest")};
    struct kafka_consumer *c = NULL;
    struct kafka_config config = cluster.config;

    config.properties = &earliest;
    config.property_count = 1;
    err_t e = kafka_consumer_open(
        &config, &(struct kafka_consumer_options){.group = STR("g"), .topics = &topic, .topic_count = 1}, &c);
    return e == OK ? c : NULL;
}

enum { MANY = 500 };

static struct kafka_record records[MANY];
static struct kafka_delivery deliveries[MANY];
static char values[MANY][8];
static const struct kafka_header header = {STR_INIT("kind"), STR_INIT("test")};

static void make_records(struct str topic)
{
    for (unsigned i = 0; i < MANY; i++) {
        int n = snprintf(values[i], sizeof values[i], "%u", i);
        records[i] = (struct kafka_record){.topic = topic,
                                           .key = STR("k"),
                                           .value = str_of(values[i], (size_t)n),
                                           .headers = &header,
                                           .header_count = 1,
                                           .partition = 0};
    }
}

/* Read `n` messages of partition 0 in their order, from `from` on. */
static void read_in_order(struct kafka_consumer *c, unsigned from, unsigned n)
{
    struct kafka_batch *b;
    struct str name, value;

    for (unsigned seen = 0; seen < n;) {
        CHECK_OK(kafka_poll(c, 100, rt_now() + 30 * NS_SEC, &b));
        for (size_t i = 0; i < b->message_count; i++, seen++) {
            CHECK_STR(b->messages[i].value, values[from + seen]);
            CHECK_EQ(b->messages[i].offset, from + seen);
            CHECK(kafka_message_header(&b->messages[i], 0, &name, &value));
            CHECK_STR(name, "kind");
            CHECK_STR(value, "test");
            CHECK(!kafka_message_header(&b->messages[i], 1, &name, &value));
        }
        if (b->change == KAFKA_ASSIGNED)
            CHECK_OK(kafka_assign(c, b->partitions, b->partition_count));
        kafka_batch_release(b);
    }
}

static void send_and_read(void)
{
    struct kafka_producer *p = producer(STR_NONE, 10);
    struct kafka_consumer *c = consumer();

    CHECK(p && c);
    make_records(STR("in"));
    CHECK_OK(kafka_send(p, records, MANY, deliveries));
    for (unsigned i = 0; i < MANY; i++)
        CHECK_EQ(deliveries[i].offset, i);
    read_in_order(c, 0, MANY);
    kafka_consumer_close(c);
    kafka_producer_close(p);
}

TEST(kafka_records_arrive_in_order_through_a_queue_that_is_shorter)
{
    with_cluster(send_and_read);
}

static void read_what_was_left(void)
{
    struct kafka_producer *p = producer(STR_NONE, 0);
    struct kafka_consumer *c = consumer();
    struct kafka_batch *b;
    unsigned next = 0;

    CHECK(p && c);
    make_records(STR("in"));
    CHECK_OK(kafka_poll(c, 1, rt_now() + 30 * NS_SEC, &b));
    CHECK_EQ(b->change, KAFKA_ASSIGNED);
    CHECK_OK(kafka_assign(c, b->partitions, b->partition_count));
    kafka_batch_release(b);
    CHECK_OK(kafka_send(p, records, MANY, deliveries));
    /* Each deadline cuts a poll short, most of them with messages in hand. */
    for (unsigned i = 0; i < 50; i++) {
        WITHIN(rt_now() + (ns_t)(i % 5) * NS_MS / 4);
        err_t e = kafka_poll(c, 5, NS_NEVER, &b);
        if (e == E_DEADLINE)
            continue;
        CHECK_OK(e);
        for (size_t k = 0; k < b->message_count; k++) {
            CHECK_EQ(b->messages[k].offset, next++);
        }
        kafka_batch_release(b);
    }
    read_in_order(c, next, MANY - next);
    kafka_consumer_close(c);
    kafka_producer_close(p);
}

TEST(kafka_a_poll_that_is_cut_short_loses_nothing)
{
    with_cluster(read_what_was_left);
}

static void poll_nothing(void)
{
    struct kafka_consumer *c = consumer();
    struct kafka_batch *b;

    CHECK(c);
    CHECK_OK(kafka_poll(c, 1, rt_now() + 30 * NS_SEC, &b));
    CHECK_OK(kafka_assign(c, b->partitions, b->partition_count));
    kafka_batch_release(b);
    CHECK_ERR(kafka_poll(c, 1, rt_now() + 5 * NS_MS, &b), E_AGAIN);
    kafka_consumer_close(c);
}

TEST(kafka_a_poll_ends_at_its_alarm)
{
    with_cluster(poll_nothing);
}

/* ---- errors in the way of transactions ---- */

enum { API_ADD_PARTITIONS = 24, API_END_TXN = 26 };

static void retriable(void)
{
    struct kafka_producer *p = producer(STR("t1"), 0);
    enum kafka_class class;

    CHECK(p);
    make_records(STR("out"));
    CHECK_OK(kafka_transactions_init(p, &class));
    CHECK_OK(kafka_begin(p, &class));
    CHECK_OK(kafka_produce(p, records, 10, &class));
    rd_kafka_mock_push_request_errors(cluster.mock, API_END_TXN, 2, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
                                      RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE);
    CHECK_OK(kafka_commit(p, &class));
    kafka_producer_close(p);
}

TEST(kafka_a_commit_outlives_errors_that_pass)
{
    with_cluster(retriable);
}

static void abortable(void)
{
    struct kafka_producer *p = producer(STR("t2"), 0);
    enum kafka_class class = KAFKA_RETRIABLE;

    CHECK(p);
    make_records(STR("out"));
    CHECK_OK(kafka_transactions_init(p, &class));
    CHECK_OK(kafka_begin(p, &class));
    rd_kafka_mock_push_request_errors(cluster.mock, API_ADD_PARTITIONS, 1,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    CHECK_OK(kafka_produce(p, records, 10, &class));
    CHECK(kafka_commit(p, &class) != OK);
    CHECK_EQ(class, KAFKA_ABORTABLE);
    CHECK_OK(kafka_abort(p, &class));
    CHECK_OK(kafka_begin(p, &class));
    CHECK_OK(kafka_produce(p, records, 10, &class));
    CHECK_OK(kafka_commit(p, &class));
    kafka_producer_close(p);
}

TEST(kafka_an_abortable_error_ends_one_transaction)
{
    with_cluster(abortable);
}

static void fatal(void)
{
    struct kafka_producer *p = producer(STR("t3"), 0);
    enum kafka_class class = KAFKA_RETRIABLE;

    CHECK(p);
    make_records(STR("out"));
    CHECK_OK(kafka_transactions_init(p, &class));
    CHECK_OK(kafka_begin(p, &class));
    CHECK_OK(kafka_produce(p, records, 1, &class));
    rd_kafka_mock_push_request_errors(cluster.mock, API_END_TXN, 1, RD_KAFKA_RESP_ERR_PRODUCER_FENCED);
    CHECK_ERR(kafka_commit(p, &class), E_FENCED);
    CHECK_EQ(class, KAFKA_FATAL);
    class = KAFKA_RETRIABLE;
    CHECK_ERR(kafka_begin(p, &class), E_FENCED);
    CHECK_EQ(class, KAFKA_FATAL);
    kafka_producer_close(p);
}

TEST(kafka_a_fatal_error_ends_the_producer)
{
    with_cluster(fatal);
}

static void left_alone(void)
{
    struct kafka_producer *p = NULL;
    enum kafka_class class = KAFKA_RETRIABLE;
    err_t e = OK;

    /* One may be ready before its fiber could leave, if that did not get its turn. */
    for (int i = 0; i < 20 && e == OK; i++) {
        kafka_producer_close(p);
        p = producer(STR("t4"), 0);
        CHECK(p);
        WITHIN(rt_now());
        e = kafka_transactions_init(p, &class);
    }
    CHECK_ERR(e, E_DEADLINE);
    CHECK_EQ(class, KAFKA_FATAL);
    CHECK_ERR(kafka_begin(p, &class), E_FENCED);
    kafka_producer_close(p);
}

TEST(kafka_a_call_whose_end_nobody_saw_ends_the_producer)
{
    with_cluster(left_alone);
}
