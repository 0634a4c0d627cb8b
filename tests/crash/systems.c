/* systems.c - real servers, and how tests talk to them. */
#include "crash/systems.h"

#include "brokers/pipelines.h"
#include "brokers/postgres_server.h"
#include "brokers/redis_server.h"

static struct server redis, nats;
static struct postgres_server postgres;
static char postgres_url[64];

__attribute__((destructor)) static void end_all(void)
{
    server_release(&redis);
    server_release(&nats);
    server_release(&postgres.server);
}

/* --- in a loop --- */

struct call {
    system_fn *fn;
    void *arg;
};

static err_t run_call(void *arg)
{
    const struct call *c = arg;
    struct arena a;

    arena_init(&a, 64 << 20);
    {
        WITHIN(ns_add(rt_now(), 60 * NS_SEC));
        c->fn(c->arg, &a);
    }
    arena_release(&a);
    dns_drain();
    iobuf_drain();
    return OK;
}

void in_loop(system_fn *fn, void *arg)
{
    struct call c = {fn, arg};

    workers_start(1);
    err_t e = loop_run(&(struct loop_options){0}, run_call, &c);
    workers_stop();
    CHECK_OK(e);
}

/* --- Redis --- */

bool redis_begin(void)
{
    if (!is_installed("redis-server")) {
        test_skip("redis-server is not installed");
        return false;
    }
    if (redis.pid)
        return true;
    server_init(&redis);
    if (redis_start(&redis))
        return true;
    test_fail_(__FILE__, __LINE__, "redis-server did not start");
    return false;
}

int redis_print_connection(char *to, size_t cap)
{
    return snprintf(to, cap, "  redis: {url: 'redis://127.0.0.1:%u/1'}\n", redis.port);
}

struct redis_session *redis_open(void)
{
    return redis_session_new(
        &(struct redis_options){.at = {.host = STR("127.0.0.1"), .port = redis.port}, .database = 1});
}

/* --- PostgreSQL --- */

bool postgres_begin(void)
{
    if (!postgres_have(&postgres))
        return false;
    (void)snprintf(postgres_url, sizeof postgres_url, "postgres://127.0.0.1:%u/postgres", postgres.server.port);
    return true;
}

int postgres_print_connection(char *to, size_t cap)
{
    return snprintf(to, cap, "  postgres: {url: '%s', username: postgres}\n", postgres_url);
}

struct postgres *postgres_connect(void)
{
    return postgres_new(&(struct postgres_options){.url = str_from_c(postgres_url), .user = STR("postgres")});
}

/* --- NATS --- */

bool nats_begin(void)
{
    if (!is_installed("nats-server")) {
        test_skip("nats-server is not installed");
        return false;
    }
    if (nats.pid)
        return true;
    server_init(&nats);
    char *argv[] = {(char *)"nats-server", (char *)"-js", (char *)"-sd",  nats.folder, (char *)"-a",
                    (char *)"127.0.0.1",   (char *)"-p",  nats.port_text, NULL};
    if (server_start(&nats, "Server is ready", argv))
        return true;
    test_fail_(__FILE__, __LINE__, "nats-server did not start");
    return false;
}

int nats_print_connection(char *to, size_t cap)
{
    return snprintf(to, cap, "  nats: {url: 'nats://127.0.0.1:%u'}\n", nats.port);
}

struct nats *nats_connect(void)
{
    return nats_new(&(struct nats_options){.at = {.host = STR("127.0.0.1"), .port = nats.port}});
}

void nats_make_stream(struct nats *n, struct arena *a, struct str name, struct str subjects)
{
    uint64_t last = 0;
    err_t e;

    CHECK_OK(nats_publish(n, arena_printf(a, "$JS.API.STREAM.CREATE.%.*s", STR_ARG(name)), STR_NONE,
                          arena_printf(a, "{\"name\":\"%.*s\",\"subjects\":[\"%.*s\"],\"storage\":\"file\"}",
                                       STR_ARG(name), STR_ARG(subjects))));
    do
        e = nats_last_sequence(n, name, a, &last);
    while (e == E_NOT_FOUND);
    CHECK_OK(e);
}

/* --- Kafka --- */

bool kafka_is_there(void)
{
    if (getenv("KAFKA_BROKERS"))
        return true;
    test_skip("no Kafka: KAFKA_BROKERS is not set (scripts/brokers)");
    return false;
}

int kafka_print_connection(char *to, size_t cap)
{
    return snprintf(to, cap, "  kafka: {url: 'kafka://%s'}\n", getenv("KAFKA_BROKERS"));
}

struct kafka_config kafka_config(void)
{
    return (struct kafka_config){.brokers = str_from_c(getenv("KAFKA_BROKERS"))};
}

struct kafka_producer *kafka_open(struct str topic)
{
    const struct kafka_config config = kafka_config();
    const struct kafka_topic made = {topic, 1, 1, false};
    struct kafka_producer *p = NULL;
    err_t e = kafka_producer_open(&config, &(struct kafka_producer_options){0}, &p);

    if (e == OK)
        e = kafka_create_topic(p, &made);
    if (e != OK)
        die("no topic of Kafka: %s", err_detail(e));
    return p;
}
