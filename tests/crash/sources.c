/* sources.c - where the crash matrix reads from. */
#include "crash/crash.h"

#include "brokers/pipelines.h"
#include "crash/systems.h"

static bool begin_at_once(void)
{
    return true;
}

/* --- a file --- */

static void fill_file(const struct crash_case *c)
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

static void fill_redis(const struct crash_case *c)
{
    in_loop(fill_stream, (void *)(uintptr_t)c);
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

static void fill_postgres(const struct crash_case *c)
{
    in_loop(fill_table, (void *)(uintptr_t)c);
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

static void fill_nats(const struct crash_case *c)
{
    in_loop(fill_jetstream, (void *)(uintptr_t)c);
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
