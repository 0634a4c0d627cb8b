/* dns_test.c - the cache of addresses, and the race between them, in virtual time with a resolver that the test scripts. */
#include "net/dns.h"

#include "net/dial.h"
#include "net/http_client.h"
#include "rt/sim_world.h"
#include "unit/net_world.h"

#include <errno.h>

/* --- a scripted resolver over a simulated world; jobs run inline there, so plain variables do --- */

static struct script {
    struct sim_world *sim;
    const struct net_ops *below;
    unsigned lookups;
    const char *const *addrs; /* what any name resolves to; NULL-terminated */
    int error;                /* negated errno value instead */
    char last[256];           /* name that was asked for */
    const char *lost;         /* connections to this address never get an answer */
    char tried[8][ADDR_TEXT_MAX];
    ns_t tried_at[8];
    unsigned tries;
} script;

static int scripted_resolve(void *ctx, const char *host, struct addr *ret, int max)
{
    (void)ctx;
    script.lookups++;
    (void)snprintf(script.last, sizeof script.last, "%s", host);
    if (script.error)
        return script.error;
    int n = 0;
    for (; n < max && script.addrs[n]; n++)
        if (!addr_from_ip(str_from_c(script.addrs[n]), 0, &ret[n]))
            die("%s", script.addrs[n]);
    return n;
}

static int scripted_connect(void *ctx, const struct addr *to)
{
    struct addr bare = *to;
    struct addr lost;

    addr_set_port(&bare, 1);
    if (script.tries < ARRAY_LEN(script.tried)) {
        script.tried_at[script.tries] = rt_now();
        (void)addr_format(&bare, script.tried[script.tries++]);
    }
    bool lose = script.lost && addr_from_ip(str_from_c(script.lost), 1, &lost) && addr_eq(&lost, &bare);
    sim_world_set_faults(script.sim, &(struct sim_faults){.connect_lost = lose ? 1000 : 0});
    int h = script.below->connect(ctx, to);
    sim_world_set_faults(script.sim, &(struct sim_faults){0});
    return h;
}

static void run_scripted(const struct sim_options *o, void (*body)(struct world *w))
{
    struct sim_world *sim = sim_world_new(o);
    struct seams seams = *sim_world_seams(sim);
    struct net_ops net = *seams.net;

    script = (struct script){.sim = sim, .below = seams.net, .addrs = (const char *const[]){"10.0.0.1", NULL}};
    net.resolve = scripted_resolve;
    net.connect = scripted_connect;
    seams.net = &net;
    world_run(&seams, body);
    sim_world_free(sim);
}

#define SCRIPTED_TEST(test_name, ...)                                                                                  \
    static void scripted_##test_name(struct world *w);                                                                 \
    TEST(test_name)                                                                                                    \
    {                                                                                                                  \
        struct sim_options o = {.seed = test_seed(), __VA_ARGS__};                                                     \
        run_scripted(&o, scripted_##test_name);                                                                        \
    }                                                                                                                  \
    static void scripted_##test_name(struct world *w UNUSED)

static err_t sleep_for(ns_t span)
{
    return fiber_sleep_until(ns_add(rt_now(), span));
}

/* --- answers --- */

SCRIPTED_TEST(dns_numeric_hosts_are_not_looked_up)
{
    struct dns_answer a;

    CHECK_OK(dns_resolve(STR("192.0.2.7"), 80, &a));
    CHECK_EQ(a.count, 1);
    CHECK_EQ(addr_port(&a.addrs[0]), 80);
    CHECK_OK(dns_resolve(STR("2001:db8::1"), 443, &a));
    CHECK(addr_is_v6(&a.addrs[0]));
    CHECK_EQ(script.lookups, 0);
}

SCRIPTED_TEST(dns_answers_are_cached_for_their_time)
{
    static const char *const two[] = {"10.0.0.1", "2001:db8::1", NULL};
    struct dns_answer a;

    script.addrs = two;
    CHECK_OK(dns_resolve(STR("a.test"), 80, &a));
    CHECK_STR(str_from_c(script.last), "a.test");
    CHECK_EQ(a.count, 2);
    CHECK_EQ(addr_port(&a.addrs[1]), 80);
    CHECK_OK(sleep_for(29 * NS_SEC));
    CHECK_OK(dns_resolve(STR("a.test"), 443, &a));
    CHECK_EQ(addr_port(&a.addrs[0]), 443);
    CHECK_EQ(script.lookups, 1);
    CHECK_OK(dns_resolve(STR("b.test"), 443, &a));
    CHECK_EQ(script.lookups, 2);
    CHECK_OK(sleep_for(2 * NS_SEC));
    CHECK_OK(dns_resolve(STR("a.test"), 443, &a));
    CHECK_EQ(script.lookups, 3);
}

SCRIPTED_TEST(dns_failures_are_cached_shortly)
{
    struct dns_answer a;

    script.error = -ENOENT;
    CHECK_ERR(dns_resolve(STR("gone.test"), 80, &a), E_RESOLVE);
    CHECK(error_says(E_RESOLVE, "gone.test: no such name"));
    CHECK_OK(sleep_for(1900 * NS_MS));
    CHECK_ERR(dns_resolve(STR("gone.test"), 80, &a), E_RESOLVE);
    CHECK_EQ(script.lookups, 1);
    CHECK_OK(sleep_for(200 * NS_MS));
    script.error = -EAGAIN;
    CHECK_ERR(dns_resolve(STR("gone.test"), 80, &a), E_RESOLVE);
    CHECK(error_says(E_RESOLVE, "gave no answer"));
    CHECK_EQ(script.lookups, 2);
    CHECK_OK(sleep_for(3 * NS_SEC));
    script.error = 0;
    CHECK_OK(dns_resolve(STR("gone.test"), 80, &a));
}

SCRIPTED_TEST(dns_a_stale_answer_serves_while_refreshing_fails)
{
    struct dns_answer a;

    CHECK_OK(dns_resolve(STR("a.test"), 80, &a));
    script.error = -EAGAIN;
    for (int minute = 1; minute < 60; minute++) {
        CHECK_OK(sleep_for(60 * NS_SEC));
        CHECK_OK(dns_resolve(STR("a.test"), 80, &a));
        CHECK_EQ(a.count, 1);
    }
    CHECK_EQ(script.lookups, 60);
    CHECK_OK(sleep_for(61 * NS_SEC));
    CHECK_ERR(dns_resolve(STR("a.test"), 80, &a), E_RESOLVE);
}

SCRIPTED_TEST(dns_names_that_cannot_be_are_refused)
{
    char long_name[300];
    struct dns_answer a;

    memset(long_name, 'a', sizeof long_name);
    CHECK_ERR(dns_resolve(STR(""), 80, &a), E_RESOLVE);
    CHECK_ERR(dns_resolve(STR("a\0b"), 80, &a), E_RESOLVE);
    CHECK_ERR(dns_resolve(str_of(long_name, 254), 80, &a), E_RESOLVE);
    CHECK_EQ(script.lookups, 0);
    CHECK_OK(dns_resolve(str_of(long_name, 253), 80, &a));
}

SCRIPTED_TEST(dns_cache_is_bounded)
{
    struct dns_answer a;

    for (int i = 0; i < 3000; i++)
        CHECK_OK(dns_resolve(arena_printf(&w->arena, "h%d.test", i), 80, &a));
    CHECK_EQ(script.lookups, 3000);
    CHECK_OK(dns_resolve(STR("h2999.test"), 80, &a));
    CHECK_OK(dns_resolve(STR("h2000.test"), 80, &a));
    CHECK_EQ(script.lookups, 3000);
    CHECK_OK(dns_resolve(STR("h0.test"), 80, &a));
    CHECK_EQ(script.lookups, 3001);
}

/* --- several at a time --- */

struct asker {
    err_t error;
    size_t count;
    ns_t took;
};

static err_t asker_main(void *arg)
{
    struct asker *k = arg;
    struct dns_answer a;
    ns_t since = rt_now();

    k->error = dns_resolve(STR("a.test"), 80, &a);
    k->count = k->error ? 0 : a.count;
    k->took = rt_now() - since;
    return OK;
}

SCRIPTED_TEST(dns_ten_callers_cause_one_lookup)
{
    struct asker k[10] = {{0}};
    SCOPE(s, NS_NEVER);

    for (int i = 0; i < 10; i++)
        (void)scope_spawn(&s, "asker", asker_main, &k[i]);
    CHECK_OK(scope_wait_all(&s));
    CHECK_EQ(script.lookups, 1);
    for (int i = 0; i < 10; i++) {
        CHECK_OK(k[i].error);
        CHECK_EQ(k[i].count, 1);
    }
}

SCRIPTED_TEST(dns_a_cancelled_leader_fails_nobody_else, .job_delay_max = 10 * NS_SEC)
{
    struct asker k[3] = {{0}};
    struct fiber *fibers[3];
    SCOPE(s, NS_NEVER);

    for (int i = 0; i < 3; i++)
        fibers[i] = scope_spawn(&s, "asker", asker_main, &k[i]);
    CHECK_OK(sleep_for(NS_US));
    /* One of them waits for the worker, the others for it. */
    int leader = 0;
    while (leader < 3 && strcmp(fiber_reason(fibers[leader]), "dns") == 0)
        leader++;
    CHECK_LT(leader, 3);
    fiber_cancel(fibers[leader]);
    CHECK_OK(scope_wait_all(&s));
    for (int i = 0; i < 3; i++)
        CHECK_ERR(k[i].error, i == leader ? E_CANCELLED : OK);
}

SCRIPTED_TEST(dns_a_slow_refresh_holds_nobody_up, .job_delay_max = 2000 * NS_SEC)
{
    struct asker first = {0}, k[5] = {{0}};

    (void)asker_main(&first);
    CHECK_OK(first.error);
    CHECK_OK(sleep_for(31 * NS_SEC));
    SCOPE(s, NS_NEVER);
    for (int i = 0; i < 5; i++)
        (void)scope_spawn(&s, "asker", asker_main, &k[i]);
    CHECK_OK(scope_wait_all(&s));
    unsigned waited = 0;
    for (int i = 0; i < 5; i++) {
        CHECK_OK(k[i].error);
        CHECK_LE(k[i].took, NS_SEC);
        waited += k[i].took > 0;
    }
    CHECK_LE(waited, 1);
}

/* --- happy eyeballs --- */

static void play_ok(struct play *p)
{
    while (play_request(p) && play_send(p, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"))
        continue;
}

static err_t get(struct world *w, uint16_t port, ns_t *ret_took)
{
    struct upstream *u = upstream_new(&(struct upstream_options){.host = STR("a.test"), .port = port});
    struct http_call_options o = {.method = STR("GET"), .target = STR("/")};
    struct http_call *c = NULL;
    struct http_call_times times;
    err_t e = http_call_open(u, &w->arena, &o, &times, &c);

    *ret_took = e ? 0 : times.connected - times.started;
    http_call_close(c);
    upstream_free(u);
    return e;
}

SCRIPTED_TEST(dial_tries_the_next_family_after_250_ms)
{
    static const char *const addrs[] = {"2001:db8::1", "2001:db8::2", "127.0.0.1", NULL};
    struct peer *peer = peer_start(w, play_ok);
    ns_t took;

    script.addrs = addrs;
    script.lost = addrs[0];
    CHECK_OK(get(w, peer_port(peer), &took));
    CHECK_EQ(script.tries, 2);
    CHECK_STR(str_from_c(script.tried[0]), "[2001:db8::1]:1");
    CHECK_STR(str_from_c(script.tried[1]), "127.0.0.1:1");
    CHECK_EQ(script.tried_at[1] - script.tried_at[0], 250 * NS_MS);
    CHECK_LT(took, 300 * NS_MS);
}

SCRIPTED_TEST(dial_tries_the_next_address_at_once_when_one_fails)
{
    static const char *const addrs[] = {"127.0.0.2", "127.0.0.3", "2001:db8::1", "127.0.0.1", NULL};
    struct peer *peer = peer_start(w, play_ok);
    ns_t took;

    script.addrs = addrs;
    CHECK_OK(get(w, peer_port(peer), &took));
    CHECK_EQ(script.tries, 4);
    CHECK_STR(str_from_c(script.tried[1]), "[2001:db8::1]:1");
    CHECK_LT(took, 100 * NS_MS);
}

SCRIPTED_TEST(dial_reports_the_last_failure_when_all_fail)
{
    static const char *const addrs[] = {"127.0.0.2", "127.0.0.3", NULL};
    ns_t took;

    script.addrs = addrs;
    CHECK_ERR(get(w, 9, &took), E_REFUSED);
    CHECK(error_says(E_REFUSED, "a.test:9"));
    CHECK_EQ(script.tries, 2);
}

SCRIPTED_TEST(dial_closes_the_losers)
{
    static const char *const addrs[] = {"2001:db8::1", "127.0.0.1", NULL};
    struct peer *peer = peer_start(w, play_ok);
    struct loop_stats before, after;
    ns_t took;

    script.addrs = addrs;
    script.lost = addrs[0];
    loop_stats(&before);
    CHECK_OK(get(w, peer_port(peer), &took));
    play_pause();
    loop_stats(&after);
    CHECK_LE(after.sockets, before.sockets + 1); /* the peer's end may be open still */
}
