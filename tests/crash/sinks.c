/* sinks.c - where the crash matrix sends to: files, databases, brokers, and a server that loses the first answer for one number in eleven. */
#include "crash/crash.h"

#include "brokers/pipelines.h"
#include "crash/stand_in.h"
#include "crash/systems.h"

#include <sqlite3.h>

static unsigned number_of(struct str json)
{
    unsigned n = 0;

    (void)sscanf(json.p, "{\"n\":%u}", &n);
    return n;
}

static bool begin_at_once(void)
{
    return true;
}

/* --- a file --- */

static int print_file(const struct crash_case *c, char *to, size_t cap)
{
    return snprintf(to, cap, "file: %s/out.ndjson", c->folder);
}

static size_t read_file_sink(const struct crash_case *c, unsigned *ret, size_t max)
{
    return read_numbers(c->folder, "out.ndjson", ret, max);
}

const struct crash_sink crash_file = {
    .name = "file", .begin = begin_at_once, .print = print_file, .read = read_file_sink};

/* --- SQLite --- */

static int print_sqlite(const struct crash_case *c, char *to, size_t cap)
{
    return snprintf(to, cap, "sqlite: {file: %s/out.db, table: out, columns: {n: .n}}", c->folder);
}

static size_t read_sqlite(const struct crash_case *c, unsigned *ret, size_t max)
{
    char path[80];
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    size_t count = 0;

    (void)snprintf(path, sizeof path, "%s/out.db", c->folder);
    if (sqlite3_open(path, &db) != SQLITE_OK ||
        sqlite3_prepare_v2(db, "select n from out order by rowid", -1, &st, NULL) != SQLITE_OK)
        test_fail_(__FILE__, __LINE__, "%s", sqlite3_errmsg(db));
    while (count < max && sqlite3_step(st) == SQLITE_ROW)
        ret[count++] = (unsigned)sqlite3_column_int(st, 0);
    (void)sqlite3_finalize(st);
    (void)sqlite3_close(db);
    return count;
}

const struct crash_sink crash_sqlite = {
    .name = "sqlite", .begin = begin_at_once, .print = print_sqlite, .read = read_sqlite};

/* --- what is read in a loop --- */

struct reading {
    const struct crash_case *at;
    unsigned *numbers;
    size_t count, max;
};

static void add(struct reading *r, struct str json)
{
    if (r->count < r->max)
        r->numbers[r->count++] = number_of(json);
}

static size_t read_in_loop(const struct crash_case *c, unsigned *ret, size_t max, system_fn *fn)
{
    struct reading r = {.at = c, .numbers = ret, .max = max};

    in_loop(fn, &r);
    return r.count;
}

/* --- Redis: a list for each lane --- */

static int print_redis(const struct crash_case *c, char *to, size_t cap)
{
    return snprintf(to, cap, "redis: {key: '{c%u}:{{.n %% 2}}', as: list}", c->number);
}

static void read_lists(void *arg, struct arena *a)
{
    struct reading *r = arg;
    struct redis_session *s = redis_open();

    for (unsigned lane = 0; lane < 2; lane++) {
        struct str words[] = {STR("LRANGE"), arena_printf(a, "{c%u}:%u", r->at->number, lane), STR("0"), STR("-1")};
        struct resp reply;
        CHECK_OK(redis_session_do(s, words, ARRAY_LEN(words), a, &reply));
        for (unsigned i = 0; i < reply.count; i++)
            add(r, reply.items[i].text);
    }
    redis_session_free(s);
}

static size_t read_redis(const struct crash_case *c, unsigned *ret, size_t max)
{
    return read_in_loop(c, ret, max, read_lists);
}

const struct crash_sink crash_redis = {.name = "redis",
                                       .begin = redis_begin,
                                       .print = print_redis,
                                       .print_connection = redis_print_connection,
                                       .read = read_redis};

/* --- PostgreSQL --- */

static void make_table(void *arg, struct arena *a)
{
    struct postgres *db = postgres_connect();

    CHECK_OK(postgres_do(
        db, arena_printf(a, "create table out%u (at serial, n bigint)", ((const struct crash_case *)arg)->number), NULL,
        0, a, NULL));
    postgres_free(db);
}

static void prepare_postgres(const struct crash_case *c)
{
    in_loop(make_table, (void *)(uintptr_t)c);
}

static int print_postgres(const struct crash_case *c, char *to, size_t cap)
{
    return snprintf(to, cap, "postgres: {table: out%u, columns: {n: .n}}", c->number);
}

static void read_table(void *arg, struct arena *a)
{
    struct reading *r = arg;
    struct postgres *db = postgres_connect();
    struct postgres_rows rows = {0};

    CHECK_OK(postgres_do(db, arena_printf(a, "select '{\"n\":' || n || '}' from out%u order by at", r->at->number),
                         NULL, 0, a, &rows));
    for (unsigned i = 0; i < rows.rows; i++)
        add(r, rows.cells[i]);
    postgres_free(db);
}

static size_t read_postgres(const struct crash_case *c, unsigned *ret, size_t max)
{
    return read_in_loop(c, ret, max, read_table);
}

const struct crash_sink crash_postgres = {.name = "postgres",
                                          .begin = postgres_begin,
                                          .prepare = prepare_postgres,
                                          .print = print_postgres,
                                          .print_connection = postgres_print_connection,
                                          .read = read_postgres};

/* --- JetStream --- */

static void make_stream(void *arg, struct arena *a)
{
    const struct crash_case *c = arg;
    struct nats *n = nats_connect();

    nats_make_stream(n, a, arena_printf(a, "OUT%u", c->number), arena_printf(a, "out%u.*", c->number));
    nats_free(n);
}

static void prepare_nats(const struct crash_case *c)
{
    in_loop(make_stream, (void *)(uintptr_t)c);
}

static int print_nats(const struct crash_case *c, char *to, size_t cap)
{
    return snprintf(to, cap, "nats: {subject: 'out%u.{{.n %% 2}}'}", c->number);
}

static void read_stream(void *arg, struct arena *a)
{
    static unsigned looks; /* each from the beginning */
    struct reading *r = arg;
    struct nats *n = nats_connect();
    const struct nats_consumer c = {.stream = arena_printf(a, "OUT%u", r->at->number),
                                    .durable = arena_printf(a, "look-%ld-%u", (long)getpid(), ++looks)};
    struct nats_consumer_state state;
    struct nats_message *got = arena_alloc(a, r->max * sizeof *got);
    uint64_t last = 0;

    CHECK_OK(nats_last_sequence(n, c.stream, a, &last));
    CHECK_OK(nats_consumer_open(n, &c, a, &state));
    while (r->count < last) { /* as many as there are, and so no wait for more */
        size_t count = 0;
        CHECK_OK(nats_fetch(n, &c, last - r->count, NS_SEC, a, got, &count));
        for (size_t i = 0; i < count; i++)
            add(r, got[i].payload);
    }
    nats_free(n);
}

static size_t read_nats(const struct crash_case *c, unsigned *ret, size_t max)
{
    return read_in_loop(c, ret, max, read_stream);
}

const struct crash_sink crash_nats = {.name = "nats",
                                      .begin = nats_begin,
                                      .prepare = prepare_nats,
                                      .print = print_nats,
                                      .print_connection = nats_print_connection,
                                      .read = read_nats};

/* --- Kafka: one partition, read as committed --- */

static struct str topic_of(const struct crash_case *c, struct arena *a)
{
    return arena_printf(a, "crash-%ld-%u", c->run, c->number);
}

static void make_topic(void *arg, struct arena *a)
{
    kafka_producer_close(kafka_open(topic_of(arg, a)));
}

static void prepare_kafka(const struct crash_case *c)
{
    in_loop(make_topic, (void *)(uintptr_t)c);
}

static int print_kafka(const struct crash_case *c, char *to, size_t cap)
{
    return snprintf(to, cap, "kafka: crash-%ld-%u", c->run, c->number);
}

static void read_topic(void *arg, struct arena *a)
{
    static const struct kafka_property earliest = {STR_INIT("auto.offset.reset"), STR_INIT("earliest")};
    struct reading *r = arg;
    struct kafka_config config = kafka_config();
    const struct str topic = topic_of(r->at, a), group = arena_printf(a, "look-%ld", (long)getpid());
    struct kafka_consumer *c;
    struct kafka_batch *b;

    config.properties = &earliest;
    config.property_count = 1;
    CHECK_OK(kafka_consumer_open(
        &config, &(struct kafka_consumer_options){.group = group, .topics = &topic, .topic_count = 1}, &c));
    for (ns_t until = ns_add(rt_now(), 30 * NS_SEC); rt_now() < until;) {
        err_t e = kafka_poll(c, 1000, until, &b);
        if (e != OK)
            continue;
        for (size_t i = 0; i < b->message_count; i++)
            add(r, b->messages[i].value);
        if (b->change == KAFKA_ASSIGNED)
            CHECK_OK(kafka_assign(c, b->partitions, b->partition_count));
        kafka_batch_release(b);
        if (r->count >= CRASH_NUMBERS) /* and a moment for what may be too many */
            until = ns_min(until, ns_add(rt_now(), 200 * NS_MS));
    }
    kafka_consumer_close(c);
}

static size_t read_kafka(const struct crash_case *c, unsigned *ret, size_t max)
{
    return read_in_loop(c, ret, max, read_topic);
}

const struct crash_sink crash_kafka = {.name = "kafka",
                                       .begin = kafka_is_there,
                                       .prepare = prepare_kafka,
                                       .print = print_kafka,
                                       .print_connection = kafka_print_connection,
                                       .read = read_kafka};

/* --- the same, as a connection that is not the source's: nobody can know that it is one cluster, so the journal keeps the promise --- */

static int print_elsewhere_connection(char *to, size_t cap)
{
    return snprintf(to, cap, "  elsewhere: {url: 'kafka://%s?client.id=elsewhere'}\n", getenv("KAFKA_BROKERS"));
}

static int print_elsewhere(const struct crash_case *c, char *to, size_t cap)
{
    return snprintf(to, cap, "kafka: {topic: crash-%ld-%u, connection: elsewhere}", c->run, c->number);
}

const struct crash_sink crash_kafka_elsewhere = {.name = "another kafka",
                                                 .begin = kafka_is_there,
                                                 .prepare = prepare_kafka,
                                                 .print = print_elsewhere,
                                                 .print_connection = print_elsewhere_connection,
                                                 .read = read_kafka};

/* --- HTTP --- */

enum { SILENT_EACH = 11, CASES_MAX = 65536 };

static struct stand_in http;

/* With `Idempotency-Key` it writes each down once, as such servers do. */
static int serve_http(const struct stand_in *s, const struct stand_in_request *q, char reply[STAND_IN_REPLY_MAX] UNUSED)
{
    static unsigned char has_seen[CASES_MAX][CRASH_NUMBERS + 1]; /* and, of those with a key, has done */
    unsigned number = 0, n = 0;

    if (sscanf(q->path, "/%u", &number) != 1 || sscanf(q->body, "{\"n\":%u}", &n) != 1 || n > CRASH_NUMBERS ||
        number >= CASES_MAX)
        return 400;
    bool has_key = strcasestr(q->head, "\r\nidempotency-key:") != NULL, is_first = !has_seen[number][n];
    has_seen[number][n] = 1;
    if (is_first || !has_key)
        stand_in_note(s, number, n);
    return is_first && n % SILENT_EACH == 0 ? 0 : 200;
}

static bool begin_http(void)
{
    return stand_in_begin(&http, serve_http);
}

static size_t read_http(const struct crash_case *c, unsigned *ret, size_t max)
{
    char name[16];

    (void)snprintf(name, sizeof name, "%u", c->number);
    return read_numbers(http.folder, name, ret, max);
}

static int print_put(const struct crash_case *c, char *to, size_t cap)
{
    return snprintf(to, cap, "http: {put: 'http://127.0.0.1:%u/%u/{{.n}}'}", http.port, c->number);
}

static int print_key(const struct crash_case *c, char *to, size_t cap)
{
    return snprintf(to, cap, "http: {post: 'http://127.0.0.1:%u/%u', idempotency_key: auto}", http.port, c->number);
}

static int print_again(const struct crash_case *c, char *to, size_t cap)
{
    return snprintf(to, cap, "effect: at_least_once, http: {post: 'http://127.0.0.1:%u/%u'}", http.port, c->number);
}

static int print_perhaps(const struct crash_case *c, char *to, size_t cap)
{
    return snprintf(to, cap, "effect: at_most_once, http: {post: 'http://127.0.0.1:%u/%u'}", http.port, c->number);
}

const struct crash_sink crash_http_put = {
    .name = "http put", .begin = begin_http, .print = print_put, .read = read_http};
const struct crash_sink crash_http_key = {
    .name = "http post with a key", .begin = begin_http, .print = print_key, .read = read_http};
const struct crash_sink crash_http_again = {
    .name = "http post, at least once", .begin = begin_http, .print = print_again, .read = read_http};
const struct crash_sink crash_http_perhaps = {
    .name = "http post, at most once", .begin = begin_http, .print = print_perhaps, .read = read_http};
