/* redis_test.c - the Redis client against a scripted server in a simulated world: what a real server does not do on demand. */
#include "client/redis.h"

#include "net_world.h"

static struct redis_options options_of(const struct peer *peer)
{
    return (struct redis_options){.at = {.host = STR("127.0.0.1"), .port = peer_port(peer)}};
}

static err_t run_client(void *arg)
{
    return redis_run(arg);
}

#define WORDS(...) ((struct str[]){__VA_ARGS__}), sizeof((struct str[]){__VA_ARGS__}) / sizeof(struct str)
#define GREETED "%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n"

/* Read until `command` has come, and forget what is up to its end; false at the end of the stream. */
static bool play_command(struct play *p, const char *command)
{
    struct str want = str_from_c(command);

    for (;;) {
        size_t at = str_find(buf_str(&p->request), want);
        if (at < p->request.n) {
            buf_consume(&p->request, at + want.n);
            return true;
        }
        char *to = buf_reserve(&p->request, 4096);
        size_t n = 0;
        if (!to || !p->sock || sock_read(p->sock, to, 4096, &n) != OK || n == 0)
            return false;
        p->request.n += n;
    }
}

static void play_greeting(struct play *p)
{
    if (play_command(p, "HELLO\r\n$1\r\n3\r\n"))
        (void)play_send(p, GREETED);
}

/* PING is answered, GET not; the first connection ends within a reply. */
static void play_break(struct play *p)
{
    play_greeting(p);
    if (p->number == 1) {
        if (play_command(p, "GET\r\n"))
            (void)play_send(p, "$5\r\nab");
        return;
    }
    while (play_command(p, "PING\r\n"))
        (void)play_send(p, "+PONG\r\n");
}

SIM_WORLD_TEST(redis_that_breaks_off_within_a_reply_is_told_and_dialed_again)
{
    struct peer *peer = peer_start(w, play_break);
    struct redis_options o = options_of(peer);
    struct redis *r = redis_new(&o);
    struct resp reply;
    {
        SCOPE(s, NS_NEVER);
        scope_discard_results(&s);
        (void)scope_spawn(&s, "redis", run_client, r);
        CHECK_ERR(redis_do(r, WORDS(STR("GET")), &w->arena, &reply), E_EOF);
        CHECK_OK(redis_do(r, WORDS(STR("PING")), &w->arena, &reply));
        CHECK_STR(reply.text, "PONG");
        CHECK_EQ(peer->accepted, 2);
    }
    redis_free(r);
}

/* Answers SLOW only when QUICK has come as well. */
static void play_slowly(struct play *p)
{
    play_greeting(p);
    if (play_command(p, "SLOW\r\n") && play_command(p, "QUICK\r\n"))
        (void)play_send(p, ">1\r\n+invalidate\r\n+slow\r\n+quick\r\n");
    play_until_eof(p);
}

struct asker {
    struct redis *redis;
    struct arena *arena;
    ns_t until;
    err_t error;
    struct resp reply;
};

static err_t ask_slow(void *arg)
{
    struct asker *me = arg;
    WITHIN(me->until);

    me->error = redis_do(me->redis, WORDS(STR("SLOW")), me->arena, &me->reply);
    return OK;
}

SIM_WORLD_TEST(redis_reply_whose_fiber_has_left_is_not_taken_for_the_next_ones)
{
    struct peer *peer = peer_start(w, play_slowly);
    struct redis_options o = options_of(peer);
    struct redis *r = redis_new(&o);
    struct asker slow = {r, &w->arena, ns_add(rt_now(), NS_SEC), OK, {.count = 77}};
    struct resp reply;
    {
        SCOPE(s, NS_NEVER);
        SCOPE(asking, NS_NEVER);
        scope_discard_results(&s);
        (void)scope_spawn(&s, "redis", run_client, r);
        (void)scope_spawn(&asking, "slow", ask_slow, &slow);
        CHECK_OK(scope_wait_all(&asking));
        CHECK_ERR(slow.error, E_DEADLINE);
        CHECK_OK(redis_do(r, WORDS(STR("QUICK")), &w->arena, &reply));
        CHECK_STR(reply.text, "quick");
        CHECK_EQ(slow.reply.count, 77); /* nobody writes to who has left */
        CHECK_EQ(peer->accepted, 1);
    }
    redis_free(r);
}

/* Greets, and is silent then. */
static void play_silence(struct play *p)
{
    play_greeting(p);
    if (p->number > 1 && play_command(p, "PING\r\n"))
        (void)play_send(p, "+PONG\r\n");
    play_until_eof(p);
}

SIM_WORLD_TEST(redis_that_falls_silent_is_given_up)
{
    struct peer *peer = peer_start(w, play_silence);
    struct redis_options o = options_of(peer);
    struct resp reply;

    o.reply_time = 10 * NS_SEC;
    struct redis *r = redis_new(&o);
    {
        SCOPE(s, NS_NEVER);
        scope_discard_results(&s);
        (void)scope_spawn(&s, "redis", run_client, r);
        ns_t before = rt_now();
        CHECK_ERR(redis_do(r, WORDS(STR("PING")), &w->arena, &reply), E_EOF);
        CHECK_GE(rt_now() - before, 10 * NS_SEC);
        CHECK_LE(rt_now() - before, 21 * NS_SEC);
        CHECK_OK(redis_do(r, WORDS(STR("PING")), &w->arena, &reply));
    }
    redis_free(r);
}

/* Older than 6: no HELLO. */
static void play_old(struct play *p)
{
    if (play_command(p, "HELLO\r\n$1\r\n3\r\n"))
        (void)play_send(p, "-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n");
    if (play_command(p, "*2\r\n$4\r\nAUTH\r\n$6\r\nsesame\r\n"))
        (void)play_send(p, "+OK\r\n");
    if (play_command(p, "SELECT\r\n$1\r\n2\r\n"))
        (void)play_send(p, "+OK\r\n");
    if (play_command(p, "GET\r\n"))
        (void)play_send(p, "$-1\r\n");
    play_until_eof(p);
}

SIM_WORLD_TEST(redis_without_hello_is_spoken_to_in_its_own_protocol)
{
    struct secret password CLEANUP(secret_release) = secret_make(STR("sesame"));
    struct redis_options o = options_of(peer_start(w, play_old));
    struct resp reply;

    o.password = &password;
    o.database = 2;
    struct redis_session *s = redis_session_new(&o);
    CHECK_OK(redis_session_do(s, WORDS(STR("GET")), &w->arena, &reply));
    CHECK_EQ(reply.kind, RESP_NULL);
    redis_session_free(s);
}

static void play_nonsense(struct play *p)
{
    play_greeting(p);
    if (play_command(p, "GET\r\n"))
        (void)play_send(p, p->number == 1 ? "HTTP/1.1 400 Bad Request\r\n" : "$100000\r\n");
    play_until_eof(p);
}

SIM_WORLD_TEST(redis_reply_that_is_none_or_too_large_ends_the_connection)
{
    struct redis_options o = options_of(peer_start(w, play_nonsense));
    struct resp reply;

    o.reply_max = 10000;
    struct redis_session *s = redis_session_new(&o);
    CHECK_ERR(redis_session_do(s, WORDS(STR("GET")), &w->arena, &reply), E_PROTOCOL);
    CHECK_ERR(redis_session_do(s, WORDS(STR("GET")), &w->arena, &reply), E_TOO_LARGE);
    redis_session_free(s);
}

SIM_WORLD_TEST(redis_that_cannot_be_reached_is_told_to_who_asks)
{
    struct redis_options o = {.at = {.host = STR("127.0.0.1"), .port = 1}, .unsent_max = 1000};
    struct redis *r = redis_new(&o);
    struct resp reply;
    char large[1000] = {0};
    {
        SCOPE(s, NS_NEVER);
        scope_discard_results(&s);
        (void)scope_spawn(&s, "redis", run_client, r);
        CHECK_ERR(redis_do(r, WORDS(STR("PING")), &w->arena, &reply), E_REFUSED);
        ns_t before = rt_now();
        for (unsigned i = 0; i < 10; i++)
            CHECK_ERR(redis_do(r, WORDS(STR("PING")), &w->arena, &reply), E_REFUSED);
        CHECK_GE(rt_now() - before, 10 * NS_SEC); /* it is not dialed again at once, and ever less often */
        CHECK_ERR(redis_do(r, WORDS(STR("SET"), str_of(large, sizeof large)), &w->arena, &reply), E_TOO_LARGE);
    }
    redis_free(r);
}

/* ---- a bad network ---- */

/* Answers each command by its last word. */
static void play_echo(struct play *p)
{
    for (;;) {
        struct arena a CLEANUP(arena_release) = {0};
        struct resp_frame f;
        struct resp command;
        size_t n = 0;
        arena_init(&a, 1 << 20);
        resp_frame_init(&f, 1 << 20);
        while (p->sock && resp_frame_next(&f, buf_str(&p->request), &n) == E_AGAIN) {
            char *to = buf_reserve(&p->request, 4096);
            size_t got = 0;
            if (!to || sock_read(p->sock, to, 4096, &got) != OK || got == 0)
                return;
            p->request.n += got;
        }
        if (resp_parse(str_of(p->request.p, n), &a, &command))
            return;
        struct str last = command.items[command.count - 1].text;
        if (!play_send(p, arena_printf(&a, "$%zu\r\n%.*s\r\n", last.n, STR_ARG(last)).p))
            return;
        buf_consume(&p->request, n);
    }
}

enum { FIBERS = 12, ROUNDS = 15 };

struct echoer {
    struct redis *redis;
    unsigned number, right, wrong;
};

static err_t echo_often(void *arg)
{
    struct echoer *me = arg;

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct arena a CLEANUP(arena_release) = {0};
        struct resp reply;
        WITHIN(ns_add(rt_now(), (1 + (i + me->number) % 5) * NS_SEC));
        arena_init(&a, 1 << 20);
        struct str text = arena_printf(&a, "%u of %u", i, me->number);
        if (redis_do(me->redis, WORDS(STR("ECHO"), text), &a, &reply))
            continue;
        me->right += str_eq(reply.text, text);
        me->wrong += !str_eq(reply.text, text);
    }
    return OK;
}

static void echo_in_bad_network(struct world *w)
{
    struct echoer echoers[FIBERS];
    struct redis_options o = options_of(peer_start(w, play_echo));
    unsigned right = 0;

    o.connections = 2;
    struct redis *r = redis_new(&o);
    {
        SCOPE(s, NS_NEVER);
        SCOPE(echoing, NS_NEVER);
        scope_discard_results(&s);
        (void)scope_spawn(&s, "redis", run_client, r);
        for (unsigned i = 0; i < FIBERS; i++) {
            echoers[i] = (struct echoer){.redis = r, .number = i};
            (void)scope_spawn(&echoing, "echoer", echo_often, &echoers[i]);
        }
        CHECK_OK(scope_wait_all(&echoing));
    }
    redis_free(r);
    for (unsigned i = 0; i < FIBERS; i++) {
        CHECK_EQ(echoers[i].wrong, 0);
        right += echoers[i].right;
    }
    CHECK_GT(right, 0);
}

TEST(redis_replies_are_never_mixed_up_in_a_bad_network)
{
    for (uint64_t i = 0; i < test_rounds(5) && !test_failed(); i++) {
        test_context("seed %llu", (unsigned long long)(test_seed() + i));
        struct sim_world *sim = sim_world_new(&(struct sim_options){.seed = test_seed() + i,
                                                                    .faults = {.reset = 10,
                                                                               .half_close = 10,
                                                                               .short_read = 200,
                                                                               .short_write = 200,
                                                                               .stall = 20,
                                                                               .connect_refused = 100,
                                                                               .spurious_event = 50}});
        world_run(sim_world_seams(sim), echo_in_bad_network);
        sim_world_free(sim);
    }
    test_context("%s", "");
}

TEST(redis_refusals_have_meanings)
{
    static const struct {
        struct str text;
        err_t want;
    } refusals[] = {
        {STR_INIT("MOVED 3999 127.0.0.1:6381"), E_CONFIG},
        {STR_INIT("READONLY You can't write against a read only replica."), E_FENCED},
        {STR_INIT("LOADING Redis is loading"), E_AGAIN},
        {STR_INIT("BUSYGROUP Consumer Group name already exists"), E_CONFLICT},
        {STR_INIT("NOPERM"), E_FORBIDDEN},
        {STR_INIT("ERR syntax error"), E_UPSTREAM},
        {STR_INIT("NOAUTHENTIC"), E_UPSTREAM},
    };

    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        struct resp r = {.kind = RESP_ERROR, .text = refusals[i].text};
        CHECK_ERR(redis_refusal(&r), refusals[i].want);
        CHECK(error_says(refusals[i].want, refusals[i].text.p));
        r.kind = RESP_BULK;
        CHECK_OK(redis_refusal(&r));
    }
}
