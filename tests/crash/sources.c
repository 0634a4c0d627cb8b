/* sources.c - where the crash matrix reads from. */
#include "crash/crash.h"

#include "base/bytes.h"
#include "base/date.h"
#include "brokers/pipelines.h"
#include "crash/systems.h"
#include "pipeline/run/run.h"

#include <time.h>

static bool begin_at_once(void)
{
    return true;
}

/* --- a file --- */

static void fill_file(struct crash_case *c)
{
    write_numbers(c->folder, "in.ndjson", CRASH_NUMBERS);
}

static int print_files(const struct crash_case *c, char *to, size_t cap)
{
    return snprintf(to, cap, "files: {path: %s/in.ndjson, follow: false}", c->folder);
}

const struct crash_source crash_files = {
    .name = "files", .ends = true, .begin = begin_at_once, .fill = fill_file, .print = print_files};

/* --- a stream of Redis --- */

static void fill_stream(void *arg, struct arena *a)
{
    const struct crash_case *c = arg;
    struct redis_session *s = redis_open();

    for (unsigned i = 1; i <= CRASH_NUMBERS; i++) {
        struct str words[] = {STR("XADD"), arena_printf(a, "in%u", c->number), STR("*"), STR("body"),
                              arena_printf(a, "{\"n\":%u}", i)};
        struct resp reply;
        CHECK_OK(redis_session_do(s, words, ARRAY_LEN(words), a, &reply));
    }
    redis_session_free(s);
}

static void fill_redis(struct crash_case *c)
{
    in_loop(fill_stream, c);
}

static int print_redis(const struct crash_case *c, char *to, size_t cap)
{
    return snprintf(to, cap, "redis: {stream: in%u}", c->number);
}

const struct crash_source crash_redis_stream = {.name = "redis",
                                                .begin = redis_begin,
                                                .fill = fill_redis,
                                                .print = print_redis,
                                                .print_connection = redis_print_connection};

/* --- an outbox of PostgreSQL --- */

static void fill_table(void *arg, struct arena *a)
{
    unsigned number = ((const struct crash_case *)arg)->number;
    struct postgres *db = postgres_connect();

    CHECK_OK(postgres_do(db, arena_printf(a, "create table in%u (id bigserial primary key, body jsonb)", number), NULL,
                         0, a, NULL));
    CHECK_OK(postgres_do(db,
                         arena_printf(a,
                                      "insert into in%u (body) select jsonb_build_object('n', i) from "
                                      "generate_series(1, %d) i",
                                      number, CRASH_NUMBERS),
                         NULL, 0, a, NULL));
    postgres_free(db);
}

static void fill_postgres(struct crash_case *c)
{
    in_loop(fill_table, c);
}

static int print_postgres(const struct crash_case *c, char *to, size_t cap)
{
    return snprintf(to, cap, "postgres: {table: in%u, poll: 10ms}", c->number);
}

const struct crash_source crash_postgres_outbox = {.name = "postgres",
                                                   .begin = postgres_begin,
                                                   .fill = fill_postgres,
                                                   .print = print_postgres,
                                                   .print_connection = postgres_print_connection};

/* --- JetStream: what is not acknowledged in 50 ms comes again --- */

static void fill_jetstream(void *arg, struct arena *a)
{
    unsigned number = ((const struct crash_case *)arg)->number;
    struct nats *n = nats_connect();
    struct nats_stored stored = {0};
    struct str subject = arena_printf(a, "in%u", number);

    nats_make_stream(n, a, arena_printf(a, "IN%u", number), subject);
    CHECK_OK(nats_publish(n, arena_printf(a, "$JS.API.CONSUMER.DURABLE.CREATE.IN%u.reader", number), STR_NONE,
                          arena_printf(a,
                                       "{\"stream_name\":\"IN%u\",\"config\":{\"durable_name\":\"reader\","
                                       "\"ack_policy\":\"explicit\",\"ack_wait\":50000000}}",
                                       number)));
    for (unsigned i = 1; i <= CRASH_NUMBERS; i++)
        CHECK_OK(nats_store(n, subject, arena_printf(a, "%u", i), i - 1, arena_printf(a, "{\"n\":%u}", i), a, &stored));
    nats_free(n);
}

static void fill_nats(struct crash_case *c)
{
    in_loop(fill_jetstream, c);
}

static int print_nats(const struct crash_case *c, char *to, size_t cap)
{
    return snprintf(to, cap, "nats: {stream: IN%u, durable: reader}", c->number);
}

const struct crash_source crash_jetstream = {.name = "nats",
                                             .begin = nats_begin,
                                             .fill = fill_nats,
                                             .print = print_nats,
                                             .print_connection = nats_print_connection};

/* --- a topic of Kafka, of one partition --- */

static void fill_topic(void *arg, struct arena *a)
{
    const struct crash_case *c = arg;
    const struct str topic = arena_printf(a, "crash-%ld-%u-in", c->run, c->number);
    struct kafka_producer *p = kafka_open(topic);
    struct kafka_record records[CRASH_NUMBERS];
    struct kafka_delivery deliveries[CRASH_NUMBERS];

    for (unsigned i = 0; i < CRASH_NUMBERS; i++)
        records[i] = (struct kafka_record){.topic = topic, .value = arena_printf(a, "{\"n\":%u}", i + 1)};
    CHECK_OK(kafka_send(p, records, CRASH_NUMBERS, deliveries));
    kafka_producer_close(p);
}

static void fill_kafka(struct crash_case *c)
{
    in_loop(fill_topic, c);
}

/* With a name of its own in the group: whoever comes after a kill has the partition at once. */
static int print_kafka(const struct crash_case *c, char *to, size_t cap)
{
    return snprintf(to, cap, "kafka: {topic: crash-%ld-%u-in, group: crash-%ld-%u, member: one}", c->run, c->number,
                    c->run, c->number);
}

const struct crash_source crash_topic = {.name = "kafka",
                                         .begin = kafka_is_there,
                                         .fill = fill_kafka,
                                         .print = print_kafka,
                                         .print_connection = kafka_print_connection};

/* --- the clock: what was due in an hour of yesterday, by a journal in which the source ran last before that --- */

enum { CLOCK_HOUR = 6, HOUR = 3600, DAY = 86400 };

static int64_t first_due(const struct crash_case *c)
{
    return (c->began / DAY - 1) * DAY + CLOCK_HOUR * HOUR;
}

struct clock_journal {
    const struct crash_case *at;
    struct journal *journal;
};

static void note_last(void *arg, struct arena *a)
{
    const struct clock_journal *c = arg;
    char progress[8];
    struct journal_op op = {.kind = JOURNAL_PROGRESS_PUT,
                            .r = {.pipeline = arena_printf(a, "crash%u", c->at->number), .source = STR("in")}};

    be64_put(progress, (uint64_t)((first_due(c->at) - 1) * NS_SEC));
    op.r.body = (struct journal_body){.form = BODY_PROGRESS, .bytes = str_of(progress, sizeof progress)};
    CHECK_OK(journal_commit(c->journal, &op, 1, JOURNAL_SYNC));
}

static void fill_clock(struct crash_case *c)
{
    struct clock_journal j = {.at = c};
    char path[80];

    c->began = time(NULL);
    (void)snprintf(path, sizeof path, "%s/journal.db", c->folder);
    CHECK_OK(journal_open(&(struct journal_options){.kind = "sqlite", .path = path, .traces_max = 1}, &j.journal));
    in_loop(note_last, &j);
    journal_close(j.journal);
}

static int print_clock(const struct crash_case *c, char *to, size_t cap)
{
    const struct date d = date_of_day(first_due(c) / DAY);

    return snprintf(
        to, cap,
        "cron: {schedule: '0-%d %d %d %d *', missed: all, body: '{n: (($meta.timestamp / 1000 - %lld) / 60 + "
        "1)}'}",
        CRASH_NUMBERS - 1, CLOCK_HOUR, d.day, d.month, (long long)first_due(c));
}

const struct crash_source crash_clock = {
    .name = "cron", .begin = begin_at_once, .fill = fill_clock, .print = print_clock};
