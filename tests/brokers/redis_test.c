/* redis_test.c - the Redis client against a real redis-server. */
#include "brokers/redis_server.h"
#include "client/redis.h"
#include "client/redis_stream.h"

#include "base/prng.h"
#include "net/dns.h"
#include "net/iobuf.h"
#include "rt/loop.h"
#include "rt/scope.h"
#include "rt/worker.h"

static struct server server;
static struct redis_options options;
static struct redis_session *session; /* of the test that runs */

static bool redis_up(void)
{
    return redis_start(&server);
}

struct body {
    void (*run)(struct redis *r, struct arena *a);
};

static err_t run_client(void *arg)
{
    return redis_run(arg);
}

static err_t body_main(void *arg)
{
    struct body *b = arg;
    struct arena a;
    struct redis *r = redis_new(&options);

    session = redis_session_new(&options);
    arena_init(&a, 64 << 20);
    {
        SCOPE(s, ns_add(rt_now(), 60 * NS_SEC));
        scope_discard_results(&s);
        (void)scope_spawn(&s, "redis", run_client, r);
        b->run(r, &a);
    }
    redis_session_free(session);
    redis_free(r);
    arena_release(&a);
    dns_drain();
    iobuf_drain();
    return OK;
}

static void in_client(void (*run)(struct redis *r, struct arena *a))
{
    struct body b = {run};

    workers_start(1);
    err_t e = loop_run(&(struct loop_options){0}, body_main, &b);
    workers_stop();
    CHECK_OK(e);
}

static void with_server(void (*run)(struct redis *r, struct arena *a))
{
    if (!is_installed("redis-server")) {
        test_skip("redis-server is not installed");
        return;
    }
    server_init(&server);
    options = (struct redis_options){.at = {.host = STR("127.0.0.1"), .port = server.port}};
    if (redis_up())
        in_client(run);
    else
        test_fail_(__FILE__, __LINE__, "redis-server did not start");
    server_release(&server);
}

#define REDIS_TEST(test_name)                                                                                          \
    static void redis_##test_name(struct redis *r, struct arena *a);                                                   \
    TEST(test_name)                                                                                                    \
    {                                                                                                                  \
        with_server(redis_##test_name);                                                                                \
    }                                                                                                                  \
    static void redis_##test_name(struct redis *r, struct arena *a)

#define WORDS(...) ((struct str[]){__VA_ARGS__}), sizeof((struct str[]){__VA_ARGS__}) / sizeof(struct str)

/* ---- commands ---- */

enum { FIBERS = 40, ROUNDS = 100 };

struct echoer {
    struct redis *redis;
    unsigned number, wrong;
};

static err_t echo_often(void *arg)
{
    struct echoer *me = arg;

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct arena a CLEANUP(arena_release) = {0};
        struct resp reply;
        arena_init(&a, 1 << 20);
        struct str text = arena_printf(&a, "%u of %u", i, me->number);
        TRY(redis_do(me->redis, WORDS(STR("ECHO"), text), &a, &reply));
        me->wrong += !str_eq(reply.text, text);
    }
    return OK;
}

REDIS_TEST(redis_gives_each_of_many_fibers_its_own_replies)
{
    struct echoer echoers[FIBERS];
    struct resp reply;
    SCOPE(s, NS_NEVER);

    for (unsigned i = 0; i < FIBERS; i++) {
        echoers[i] = (struct echoer){r, i, 0};
        (void)scope_spawn(&s, "echoer", echo_often, &echoers[i]);
    }
    CHECK_OK(scope_wait_all(&s));
    for (unsigned i = 0; i < FIBERS; i++)
        CHECK_EQ(echoers[i].wrong, 0);
    CHECK_OK(redis_do(r, WORDS(STR("CLIENT"), STR("LIST")), a, &reply));
    size_t first = str_find_char(reply.text, '\n');
    CHECK_EQ(first + 1, reply.text.n); /* one line: one connection */
}

REDIS_TEST(redis_answers_a_pipeline_in_order)
{
    struct redis_command two[] = {
        {WORDS(STR("SET"), STR("k"), STR("v"))}, {WORDS(STR("NOSUCH"))}, {WORDS(STR("GET"), STR("k"))}};
    struct resp replies[3];

    CHECK_OK(redis_call(r, two, 3, a, replies));
    CHECK_STR(replies[0].text, "OK");
    CHECK_EQ(replies[1].kind, RESP_ERROR);
    CHECK_ERR(redis_refusal(&replies[1]), E_UPSTREAM);
    CHECK_STR(replies[2].text, "v");
}

REDIS_TEST(redis_is_found_again_after_it_was_restarted)
{
    struct resp reply;

    CHECK_OK(redis_do(r, WORDS(STR("SET"), STR("k"), STR("before")), a, &reply));
    server_kill(&server);
    err_t e = redis_do(r, WORDS(STR("GET"), STR("k")), a, &reply);
    CHECK_MSG(e == E_EOF || e == E_REFUSED || e == E_IO, "%s", err_detail(e));
    CHECK(redis_up());
    do
        e = redis_do(r, WORDS(STR("GET"), STR("k")), a, &reply);
    while (e == E_REFUSED || e == E_EOF || e == E_IO || e == E_AGAIN);
    CHECK_OK(e);
    CHECK_STR(reply.text, "before");
}

REDIS_TEST(redis_password_is_asked_for_and_given)
{
    struct secret right CLEANUP(secret_release) = secret_make(STR("open sesame"));
    struct secret wrong CLEANUP(secret_release) = secret_make(STR("open barley"));
    struct redis_options o = options;
    struct resp reply;

    CHECK_OK(redis_do(r, WORDS(STR("CONFIG"), STR("SET"), STR("requirepass"), secret_reveal(&right)), a, &reply));
    const struct secret *passwords[] = {NULL, &wrong, &right};
    const err_t want[] = {E_AUTH, E_AUTH, OK};
    for (size_t i = 0; i < 3; i++) {
        o.password = passwords[i];
        o.database = 3;
        struct redis_session *s = redis_session_new(&o);
        err_t e = redis_session_do(s, WORDS(STR("PING")), a, &reply);
        redis_session_free(s);
        CHECK_ERR(e, want[i]);
    }
}

/* ---- streams ---- */

static const struct redis_group one = {STR_INIT("s"), STR_INIT("g"), STR_INIT("one")};
static const struct redis_group two = {STR_INIT("s"), STR_INIT("g"), STR_INIT("two")};

REDIS_TEST(redis_stream_entries_of_a_dead_consumer_go_to_another)
{
    struct str fields[] = {STR("name"), STR("value\r\n\0x")}, id, cursor = STR("0");
    struct redis_session *s = redis_session_new(&options);
    struct redis_entries got = {0};
    uint64_t n = 0;

    CHECK_OK(redis_group_create(session, &one, STR("0"), a));
    CHECK_OK(redis_group_create(session, &one, STR("0"), a));
    CHECK_OK(redis_xadd(r, STR("s"), fields, 2, 0, a, &id));
    CHECK_OK(redis_xadd(r, STR("s"), fields, 2, 1000, a, &id));
    CHECK_OK(redis_xreadgroup(s, &one, STR(">"), 10, NS_SEC, a, &got));
    CHECK_EQ(got.count, 2);
    CHECK(str_eq(got.items[1].id, id));
    CHECK_EQ(got.items[1].count, 2);
    CHECK(str_eq(got.items[1].fields[1], fields[1]));
    CHECK_OK(redis_xreadgroup(s, &one, STR(">"), 10, NS_MS, a, &got));
    CHECK_EQ(got.count, 0);
    redis_session_free(s);
    CHECK_OK(redis_xack(session, &one, &id, 1, a, &n));
    CHECK_EQ(n, 1);
    CHECK_OK(redis_xpending(r, &one, a, &n));
    CHECK_EQ(n, 1);
    CHECK_OK(redis_xautoclaim(session, &two, 0, 10, &cursor, a, &got));
    CHECK_EQ(got.count, 1);
    CHECK_STR(cursor, "0-0");
    CHECK_OK(redis_xack(session, &two, &got.items[0].id, 1, a, &n));
    CHECK_EQ(n, 1);
    CHECK_OK(redis_xtrim(r, STR("s"), id, a, &n));
    CHECK_EQ(n, 1);
}

static err_t read_for_long(void *arg)
{
    struct redis_session *s = arg;
    struct arena a CLEANUP(arena_release) = {0};
    struct redis_entries got;

    arena_init(&a, 1 << 20);
    return redis_xreadgroup(s, &one, STR(">"), 10, 1000 * NS_SEC, &a, &got);
}

REDIS_TEST(redis_read_that_blocks_ends_with_its_fiber)
{
    struct redis_session *s = redis_session_new(&options);
    struct redis_entries got;
    struct resp reply;
    struct str id;

    CHECK_OK(redis_group_create(session, &one, STR("0"), a));
    {
        SCOPE(inner, NS_NEVER);
        (void)scope_spawn(&inner, "reader", read_for_long, s);
        do /* until the server says that it waits */
            CHECK_OK(redis_do(r, WORDS(STR("INFO"), STR("clients")), a, &reply));
        while (str_find(reply.text, STR("blocked_clients:1")) == reply.text.n);
    }
    do /* and until it has noticed that the reader is gone: else it would still give it the entry */
        CHECK_OK(redis_do(r, WORDS(STR("INFO"), STR("clients")), a, &reply));
    while (str_find(reply.text, STR("blocked_clients:0")) == reply.text.n);
    CHECK_OK(redis_xadd(r, STR("s"), WORDS(STR("a"), STR("b")), 0, a, &id));
    CHECK_OK(redis_xreadgroup(s, &one, STR(">"), 10, NS_SEC, a, &got));
    CHECK_EQ(got.count, 1);
    redis_session_free(s);
}

/* ---- the emitter ---- */

static uint64_t epoch;

static err_t take_over(struct arena *a, uint64_t *ret_last)
{
    return redis_take_over(session, STR("{e}seq"), 0, a, &epoch, ret_last);
}

static err_t emit_number(uint64_t number, struct arena *a, bool *ret_applied)
{
    struct str keys[] = {STR("{e}a"), STR("{e}b")};
    struct str field[] = {STR("n"), arena_printf(a, "%llu", (unsigned long long)number)};
    struct redis_emission emissions[] = {{0, field, 2}, {1, field, 2}, {0, field, 2}};

    return redis_emit(session,
                      &(struct redis_batch){.sequence_key = STR("{e}seq"),
                                            .epoch = epoch,
                                            .keys = keys,
                                            .key_count = 2,
                                            .emissions = emissions,
                                            .count = ARRAY_LEN(emissions),
                                            .number = number},
                      a, ret_applied);
}

REDIS_TEST(redis_batch_is_applied_once_and_only_in_its_turn)
{
    struct resp reply;
    bool applied = false;
    uint64_t last = 7;

    CHECK_OK(take_over(a, &last));
    CHECK_EQ(last, 0);
    CHECK_OK(emit_number(1, a, &applied));
    CHECK(applied);
    CHECK_OK(emit_number(1, a, &applied));
    CHECK(!applied);
    CHECK_ERR(emit_number(3, a, &applied), E_FENCED);
    CHECK_OK(redis_do(r, WORDS(STR("DEL"), STR("{e}b")), a, &reply));
    CHECK_OK(redis_do(r, WORDS(STR("SET"), STR("{e}b"), STR("no stream")), a, &reply));
    CHECK_ERR(emit_number(2, a, &applied), E_CONFLICT);
    uint64_t ours = epoch;
    CHECK_OK(take_over(a, &last));
    CHECK_EQ(last, 1);
    epoch = ours;
    CHECK_ERR(emit_number(2, a, &applied), E_FENCED);
    CHECK_ERR(emit_number(1, a, &applied), E_FENCED);
    CHECK_ERR(redis_renumber(session, STR("{e}seq"), ours, 9, a), E_FENCED);
    CHECK_OK(redis_renumber(session, STR("{e}seq"), ours + 1, 9, a));
    CHECK_OK(take_over(a, &last));
    CHECK_EQ(last, 9);
    CHECK_OK(redis_do(r, WORDS(STR("XLEN"), STR("{e}a")), a, &reply));
    CHECK_EQ(reply.integer, 2);
}

REDIS_TEST(redis_script_goes_over_the_wire_once)
{
    struct resp reply;
    bool applied;
    uint64_t last;

    CHECK_OK(take_over(a, &last));
    for (uint64_t i = 1; i <= 5; i++)
        CHECK_OK(emit_number(i, a, &applied));
    CHECK_OK(redis_do(r, WORDS(STR("INFO"), STR("commandstats")), a, &reply));
    CHECK_LT(str_find(reply.text, STR("cmdstat_eval:calls=1,")), reply.text.n);
    CHECK_LT(str_find(reply.text, STR("cmdstat_evalsha:calls=5,")), reply.text.n);
}

static int acknowledged;
static uint64_t begin_at;

/* What an emitter does after a restart: the batch that it does not know the end of, again, and so on. */
static void emit_until_killed(struct redis *r, struct arena *a)
{
    uint64_t last;

    (void)r;
    if (take_over(a, &last) != OK)
        return;
    for (uint64_t i = begin_at;; i++) {
        bool applied;
        arena_clear(a);
        if (emit_number(i, a, &applied) || write(acknowledged, &i, sizeof i) != sizeof i)
            return;
    }
}

/* The number of the last batch that was acknowledged before the emitter was killed. */
static uint64_t emit_and_kill(uint64_t from, uint64_t some)
{
    int pipes[2];
    uint64_t last = from - 1, n;

    if (pipe(pipes))
        die("no pipe");
    pid_t child = fork();
    if (child == 0) {
        (void)close(pipes[0]);
        acknowledged = pipes[1];
        begin_at = from;
        in_client(emit_until_killed);
        _exit(1);
    }
    (void)close(pipes[1]);
    while (read(pipes[0], &n, sizeof n) == sizeof n) {
        last = n;
        if (n == from + some)
            (void)kill(child, SIGKILL);
    }
    (void)close(pipes[0]);
    (void)waitpid(child, NULL, 0);
    return last;
}

static uint64_t promised;

static void look_for_every_batch(struct redis *r, struct arena *a)
{
    struct resp reply;
    uint64_t last = 0;

    CHECK_OK(take_over(a, &last));
    CHECK_GE(last, promised);
    CHECK_LE(last, promised + 1);
    CHECK_GT(last, 0);
    promised = last; /* one more may be there than was acknowledged; the next emitter sends one that is there already */
    CHECK_OK(redis_do(r, WORDS(STR("XRANGE"), STR("{e}a"), STR("-"), STR("+")), a, &reply));
    CHECK_EQ(reply.count, 2 * last);
    for (size_t i = 0; i < reply.count; i++) {
        uint64_t n = 0;
        CHECK(str_to_u64(reply.items[i].items[1].items[1].text, UINT64_MAX, &n));
        CHECK_EQ(n, i / 2 + 1);
    }
    CHECK_OK(redis_do(r, WORDS(STR("XLEN"), STR("{e}b")), a, &reply));
    CHECK_EQ((uint64_t)reply.integer, last);
}

TEST(redis_batches_are_there_once_though_their_emitter_was_killed)
{
    struct prng p;

    if (!is_installed("redis-server")) {
        test_skip("redis-server is not installed");
        return;
    }
    prng_seed(&p, test_seed());
    promised = 0;
    server_init(&server);
    options = (struct redis_options){.at = {.host = STR("127.0.0.1"), .port = server.port}};
    if (!redis_up())
        test_fail_(__FILE__, __LINE__, "redis-server did not start");
    for (unsigned i = 0; i < 8 && !test_failed(); i++) {
        promised = emit_and_kill(promised + (i == 0), prng_below(&p, 60));
        if (i == 4) { /* the server as well: what it acknowledged is in its log */
            server_kill(&server);
            if (!redis_up())
                test_fail_(__FILE__, __LINE__, "redis-server did not start again");
        }
        in_client(look_for_every_batch);
    }
    server_release(&server);
}
