/* sim_world_test.c - the simulated world keeps the promises of seam.h, and those of Linux where code depends on them. */
#include "rt/sim_world.h"

#include "rt/sim_int.h"
#include "unit/test.h"

#include <errno.h>

/* A world with a poller, a listener at 127.0.0.1:80 and, after join(), a connection to it. */
struct rig {
    struct sim_world *w;
    const struct net_ops *net;
    const struct disk_ops *disk;
    struct poller *poller;
    int listener, client, server;
};

enum { TAG_LISTENER = 1, TAG_CLIENT, TAG_SERVER };

static struct addr at_port(uint16_t port)
{
    struct addr a;

    return addr_from_ip(STR("127.0.0.1"), port, &a) ? a : (struct addr){0};
}

static struct rig rig_make(const struct sim_options *options)
{
    struct rig r = {.w = sim_world_new(options), .client = -1, .server = -1};
    struct addr at = at_port(80);

    r.net = sim_world_seams(r.w)->net;
    r.disk = sim_world_seams(r.w)->disk;
    r.poller = r.net->poller_open(r.w);
    r.listener = r.net->listen(r.w, &at, 16, LISTEN_ALONE);
    (void)r.net->watch(r.w, r.poller, r.listener, TAG_LISTENER);
    return r;
}

static void rig_release(struct rig *r)
{
    r->net->poller_close(r->w, r->poller);
    sim_world_free(r->w);
}

static ns_t now(const struct rig *r)
{
    return sim_world_seams(r->w)->clock->now(r->w);
}

/* Poll until `tag` has an event, and return that; an empty one if there is none before `until`. Tag 0 has none: time passes. */
static struct net_event poll_for(struct rig *r, uint64_t tag, ns_t until)
{
    struct net_event events[16];
    int n;

    while ((n = r->net->poll(r->w, r->poller, events, 16, until)) > 0)
        for (int i = 0; i < n; i++)
            if (events[i].tag == tag)
                return events[i];
    return (struct net_event){0};
}

/* Poll until nothing happens any more. */
static void settle(struct rig *r)
{
    struct net_event events[16];

    while (r->net->poll(r->w, r->poller, events, 16, NS_NEVER) > 0)
        continue;
}

static void begin_connect(struct rig *r, uint16_t port)
{
    struct addr to = at_port(port);

    r->client = r->net->connect(r->w, &to);
    (void)r->net->watch(r->w, r->poller, r->client, TAG_CLIENT);
}

static void join(struct rig *r)
{
    struct addr peer;

    begin_connect(r, 80);
    settle(r);
    r->server = r->net->accept(r->w, r->listener, &peer);
    if (r->server >= 0)
        (void)r->net->watch(r->w, r->poller, r->server, TAG_SERVER);
    (void)poll_for(r, 0, now(r));
}

static ssize_t put(struct rig *r, int h, const void *from, size_t n)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)from, .iov_len = n};

    return r->net->writev(r->w, h, &iov, 1);
}

static ssize_t get(struct rig *r, int h, char *to, size_t cap)
{
    return r->net->read(r->w, h, to, cap);
}

static struct sim_census census(const struct rig *r)
{
    struct sim_census c;

    sim_world_census(r->w, &c);
    return c;
}

TEST(sim_time_moves_only_in_poll_and_exactly_to_until)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});
    ns_t begin = now(&r);
    int64_t wall = sim_world_seams(r.w)->clock->wall(r.w);
    struct net_event event;

    CHECK_EQ(r.net->poll(r.w, r.poller, &event, 1, begin + 5 * NS_SEC), 0);
    CHECK_EQ(now(&r), begin + 5 * NS_SEC);
    CHECK_EQ(sim_world_seams(r.w)->clock->wall(r.w), wall + 5 * NS_SEC);
    CHECK_EQ(r.net->poll(r.w, r.poller, &event, 1, begin), 0);
    CHECK_EQ(now(&r), begin + 5 * NS_SEC);
    CHECK_EQ(sim_world_seams(r.w)->clock->cpu(r.w), 0);
}

TEST(sim_poll_for_ever_with_nothing_to_come_is_a_deadlock)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});
    struct net_event event;

    CHECK_EQ(r.net->poll(r.w, r.poller, &event, 1, NS_NEVER), -EDEADLK);
    r.net->wake(r.w, r.poller);
    CHECK_EQ(r.net->poll(r.w, r.poller, &event, 1, NS_NEVER), 0);
    CHECK_EQ(r.net->poll(r.w, r.poller, &event, 1, NS_NEVER), -EDEADLK);
}

TEST(sim_connect_is_decided_later_and_gives_both_sides_their_addresses)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});
    ns_t begin = now(&r);
    struct addr peer, local;

    begin_connect(&r, 80);
    CHECK_EQ(r.net->connect_result(r.w, r.client), -EINPROGRESS);
    CHECK_EQ(put(&r, r.client, "x", 1), -EAGAIN);
    CHECK_EQ(r.net->accept(r.w, r.listener, &peer), -EAGAIN);
    CHECK(poll_for(&r, TAG_LISTENER, NS_NEVER).readable);
    CHECK_GE(now(&r), begin + 50 * NS_US);
    r.server = r.net->accept(r.w, r.listener, &peer);
    CHECK_GE(r.server, 0);
    CHECK(poll_for(&r, TAG_CLIENT, NS_NEVER).writable);
    CHECK_EQ(r.net->connect_result(r.w, r.client), 0);
    CHECK_EQ(r.net->local_addr(r.w, r.client, &local), 0);
    CHECK(addr_eq(&local, &peer));
    CHECK_EQ(r.net->local_addr(r.w, r.server, &local), 0);
    CHECK_EQ(addr_port(&local), 80);
    CHECK_EQ(r.net->accept(r.w, r.listener, &peer), -EAGAIN);
}

TEST(sim_what_the_server_sends_comes_after_the_client_is_connected)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = seed});
        struct addr peer;
        char byte;

        begin_connect(&r, 80);
        CHECK(poll_for(&r, TAG_LISTENER, NS_NEVER).readable);
        r.server = r.net->accept(r.w, r.listener, &peer);
        CHECK_EQ(put(&r, r.server, "!", 1), 1);
        while (get(&r, r.client, &byte, 1) < 0)
            (void)poll_for(&r, 0, now(&r) + 10 * NS_US);
        CHECK_EQ(r.net->connect_result(r.w, r.client), 0);
    }
}

TEST(sim_connect_to_a_port_without_listener_is_refused)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});

    begin_connect(&r, 81);
    struct net_event e = poll_for(&r, TAG_CLIENT, NS_NEVER);
    CHECK(e.writable);
    CHECK(e.broken);
    CHECK(e.peer_closed);
    CHECK_EQ(r.net->connect_result(r.w, r.client), -ECONNREFUSED);
}

TEST(sim_connect_that_is_lost_times_out_after_127_seconds)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1, .faults.connect_lost = 1000});
    ns_t begin = now(&r);

    begin_connect(&r, 80);
    CHECK(poll_for(&r, TAG_CLIENT, NS_NEVER).broken);
    CHECK_EQ(r.net->connect_result(r.w, r.client), -ETIMEDOUT);
    CHECK_GE(now(&r), begin + 127 * NS_SEC);
    CHECK_EQ(census(&r).faults_injected[1], 1);
}

TEST(sim_full_accept_queue_makes_the_next_client_try_again_a_second_later)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});
    struct addr to = at_port(80), peer;

    for (int i = 0; i < 17; i++)
        CHECK_GE(r.net->connect(r.w, &to), 0);
    (void)poll_for(&r, 0, now(&r) + NS_SEC / 2);
    for (int i = 0; i < 16; i++)
        CHECK_GE(r.net->accept(r.w, r.listener, &peer), 0);
    CHECK_EQ(r.net->accept(r.w, r.listener, &peer), -EAGAIN);
    CHECK(poll_for(&r, TAG_LISTENER, NS_NEVER).readable);
    CHECK_GE(r.net->accept(r.w, r.listener, &peer), 0);
}

TEST(sim_listen_twice_needs_share_and_shared_listeners_share)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});
    struct addr at = at_port(90), taken = at_port(80), peer;
    int one = r.net->listen(r.w, &at, 64, LISTEN_FIRST), two = r.net->listen(r.w, &at, 64, LISTEN_JOIN),
        got[2] = {0, 0};

    CHECK_EQ(r.net->listen(r.w, &taken, 64, LISTEN_JOIN), -EADDRINUSE);
    CHECK_GE(one, 0);
    CHECK_GE(two, 0);
    for (int i = 0; i < 40; i++)
        CHECK_GE(r.net->connect(r.w, &at), 0);
    settle(&r);
    while (r.net->accept(r.w, one, &peer) >= 0)
        got[0]++;
    while (r.net->accept(r.w, two, &peer) >= 0)
        got[1]++;
    CHECK_EQ(got[0] + got[1], 40);
    CHECK_GT(got[0], 5);
    CHECK_GT(got[1], 5);
}

TEST(sim_listening_on_port_0_takes_a_free_port_that_can_be_asked_for)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});
    struct addr at = at_port(0), local;
    int h = r.net->listen(r.w, &at, 1, LISTEN_ALONE);

    CHECK_GE(h, 0);
    CHECK_EQ(r.net->local_addr(r.w, h, &local), 0);
    CHECK_GE(addr_port(&local), 1024);
}

TEST(sim_bytes_arrive_once_in_order_after_a_delay)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});
    char text[16];

    join(&r);
    CHECK_EQ(get(&r, r.server, text, sizeof text), -EAGAIN);
    CHECK_EQ(put(&r, r.client, "hello", 5), 5);
    CHECK_EQ(put(&r, r.client, " you", 4), 4);
    CHECK_EQ(get(&r, r.server, text, sizeof text), -EAGAIN);
    settle(&r);
    CHECK_EQ(get(&r, r.server, text, 6), 6);
    CHECK_MEM(text, "hello ", 6);
    CHECK_EQ(get(&r, r.server, text, sizeof text), 3);
    CHECK_MEM(text, "you", 3);
    CHECK_EQ(get(&r, r.server, text, sizeof text), -EAGAIN);
}

TEST(sim_events_are_edges_and_tell_the_whole_state)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});
    char text[8];
    struct net_event none[4];

    join(&r);
    CHECK_EQ(put(&r, r.client, "a", 1), 1);
    struct net_event e = poll_for(&r, TAG_SERVER, NS_NEVER);
    CHECK(e.readable);
    CHECK(e.writable); /* epoll reports all that holds, not only what changed */
    CHECK_EQ(r.net->poll(r.w, r.poller, none, 4, now(&r) + NS_SEC), 0); /* still readable: no new edge */
    CHECK_EQ(put(&r, r.client, "b", 1), 1);
    CHECK(poll_for(&r, TAG_SERVER, NS_NEVER).readable);
    CHECK_EQ(get(&r, r.server, text, sizeof text), 2);
}

TEST(sim_watch_reports_the_state_as_it_is)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});
    struct addr peer;

    begin_connect(&r, 80);
    settle(&r);
    CHECK_EQ(put(&r, r.client, "a", 1), 1);
    settle(&r);
    r.server = r.net->accept(r.w, r.listener, &peer);
    CHECK_EQ(r.net->watch(r.w, r.poller, r.server, TAG_SERVER), 0);
    CHECK_EQ(r.net->watch(r.w, r.poller, r.server, TAG_SERVER), -EEXIST);
    struct net_event e = poll_for(&r, TAG_SERVER, now(&r));
    CHECK(e.readable);
    CHECK(e.writable);
    CHECK(!e.peer_closed);
}

TEST(sim_full_buffer_blocks_the_writer_until_a_third_is_free)
{
    enum { SIZE = 3000 };
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1, .socket_buffer = SIZE});
    char bytes[SIZE] = {0};
    struct net_event none[4];

    join(&r);
    CHECK_EQ(put(&r, r.client, bytes, 2500), 2500);
    CHECK_EQ(put(&r, r.client, bytes, 2500), 500);
    CHECK_EQ(put(&r, r.client, bytes, 1), -EAGAIN);
    settle(&r);
    CHECK_EQ(get(&r, r.server, bytes, 900), 900); /* 2,100 are left: more than two thirds */
    CHECK_EQ(r.net->poll(r.w, r.poller, none, 4, now(&r) + NS_SEC), 0);
    CHECK_EQ(get(&r, r.server, bytes, 100), 100);
    ns_t read_at = now(&r);
    CHECK(poll_for(&r, TAG_CLIENT, NS_NEVER).writable);
    CHECK_GT(now(&r), read_at);
    CHECK_EQ(put(&r, r.client, bytes, SIZE), 1000);
}

TEST(sim_half_close_ends_one_direction_only)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});
    char text[8];

    join(&r);
    CHECK_EQ(put(&r, r.client, "bye", 3), 3);
    CHECK_EQ(r.net->shutdown(r.w, r.client), 0);
    CHECK_EQ(put(&r, r.client, "x", 1), -EPIPE);
    settle(&r);
    CHECK_EQ(get(&r, r.server, text, sizeof text), 3);
    CHECK_EQ(get(&r, r.server, text, sizeof text), 0);
    CHECK_EQ(get(&r, r.server, text, sizeof text), 0);
    CHECK_EQ(put(&r, r.server, "back", 4), 4);
    struct net_event e = poll_for(&r, TAG_CLIENT, NS_NEVER);
    CHECK(e.readable);
    CHECK(!e.broken);
    settle(&r);
    CHECK_EQ(get(&r, r.client, text, sizeof text), 4);
    CHECK_EQ(r.net->shutdown(r.w, r.server), 0);
    e = poll_for(&r, TAG_CLIENT, NS_NEVER);
    CHECK(e.broken); /* EPOLLHUP: both directions have ended, as epoll says it */
}

TEST(sim_close_lets_the_peer_read_what_was_sent_then_the_end)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});
    char text[8];

    join(&r);
    CHECK_EQ(put(&r, r.client, "bye", 3), 3);
    r.net->close(r.w, r.client);
    settle(&r);
    CHECK_EQ(get(&r, r.server, text, sizeof text), 3);
    CHECK_EQ(get(&r, r.server, text, sizeof text), 0);
    r.net->close(r.w, r.server);
    CHECK_EQ(census(&r).open_sockets, 0);
    CHECK_EQ(sim_world_connections(r.w, 0), 0);
}

TEST(sim_writing_to_a_closed_peer_works_once_then_brings_a_reset_told_once)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});
    char text[8];

    join(&r);
    r.net->close(r.w, r.server);
    CHECK_EQ(put(&r, r.client, "x", 1), 1);
    settle(&r);
    CHECK_EQ(put(&r, r.client, "x", 1), -EPIPE); /* the FIN came first, so Linux says EPIPE, not ECONNRESET */
    CHECK_EQ(put(&r, r.client, "x", 1), -EPIPE);
    CHECK_EQ(get(&r, r.client, text, sizeof text), 0);
}

TEST(sim_writing_to_a_closed_peer_for_ever_is_made_to_wait_for_the_reset)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});
    unsigned writes = 0;
    ssize_t n;

    join(&r);
    r.net->close(r.w, r.server);
    while ((n = put(&r, r.client, "x", 1)) == 1 && writes < 1000)
        writes++;
    CHECK_GT(writes, 1);
    CHECK_EQ(n, -EAGAIN);
    struct net_event e;
    do
        e = poll_for(&r, TAG_CLIENT, NS_NEVER);
    while (!e.broken);
    CHECK_EQ(put(&r, r.client, "x", 1), -EPIPE);
}

TEST(sim_close_with_bytes_unread_resets_the_peer)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});
    char text[8];

    join(&r);
    CHECK_EQ(put(&r, r.client, "x", 1), 1);
    settle(&r);
    r.net->close(r.w, r.server);
    struct net_event e = poll_for(&r, TAG_CLIENT, NS_NEVER);
    CHECK(e.broken && e.peer_closed && e.readable && e.writable);
    CHECK_EQ(get(&r, r.client, text, sizeof text), -ECONNRESET);
    CHECK_EQ(get(&r, r.client, text, sizeof text), 0); /* told once: as in Linux, whoever reads next sees the end */
    CHECK_EQ(put(&r, r.client, "x", 1), -EPIPE);
}

TEST(sim_reset_may_destroy_what_was_not_read_but_never_invents_bytes)
{
    unsigned kept = 0, lost = 0;

    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = seed});
        char text[8];

        join(&r);
        CHECK_EQ(put(&r, r.client, "abc", 3), 3);
        settle(&r);
        CHECK_EQ(sim_world_reset_all(r.w, 80), 1);
        ssize_t n = get(&r, r.server, text, sizeof text);
        CHECK(n == 3 || n == -ECONNRESET);
        kept += n == 3;
        lost += n < 0;
        CHECK_EQ(put(&r, r.client, "x", 1), -ECONNRESET);
    }
    CHECK_GT(kept, 5);
    CHECK_GT(lost, 5);
}

TEST(sim_reset_behind_the_end_of_a_stream_destroys_nothing_of_it)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = seed});
        char text[8];

        join(&r);
        CHECK_EQ(put(&r, r.client, "abc", 3), 3);
        CHECK_EQ(r.net->shutdown(r.w, r.client), 0);
        settle(&r);
        CHECK_EQ(sim_world_reset_all(r.w, 80), 1);
        CHECK_EQ(get(&r, r.server, text, sizeof text), 3);
        CHECK_EQ(get(&r, r.server, text, sizeof text), 0);
    }
}

TEST(sim_reset_all_takes_only_the_port_that_it_is_given)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});

    join(&r);
    CHECK_EQ(sim_world_reset_all(r.w, 81), 0);
    CHECK_EQ(sim_world_connections(r.w, 80), 1);
    CHECK_EQ(put(&r, r.client, "x", 1), 1);
}

TEST(sim_listener_that_closes_resets_those_that_wait)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});
    char text[8];

    begin_connect(&r, 80);
    settle(&r);
    r.net->close(r.w, r.listener);
    CHECK(poll_for(&r, TAG_CLIENT, NS_NEVER).broken);
    CHECK_EQ(get(&r, r.client, text, sizeof text), -ECONNRESET);
    r.net->close(r.w, r.client);
    CHECK_EQ(census(&r).open_listeners, 0);
    CHECK_EQ(census(&r).open_sockets, 0);
}

TEST(sim_client_that_leaves_before_it_is_accepted_is_accepted_with_an_end)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});
    struct addr peer;
    char text[8];

    begin_connect(&r, 80);
    settle(&r);
    CHECK_EQ(put(&r, r.client, "x", 1), 1);
    r.net->close(r.w, r.client);
    settle(&r);
    r.server = r.net->accept(r.w, r.listener, &peer);
    CHECK_GE(r.server, 0);
    CHECK_EQ(get(&r, r.server, text, sizeof text), 1);
    CHECK_EQ(get(&r, r.server, text, sizeof text), 0);
}

TEST(sim_closed_handle_is_the_next_to_be_given_out_and_gets_no_old_event)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});
    struct addr to = at_port(80);

    join(&r);
    CHECK_EQ(put(&r, r.server, "x", 1), 1);
    (void)r.net->poll(r.w, r.poller, &(struct net_event){0}, 1, now(&r));
    r.net->close(r.w, r.client);
    int again = r.net->connect(r.w, &to);
    CHECK_EQ(again, r.client);
    CHECK_EQ(r.net->watch(r.w, r.poller, again, 77), 0);
    CHECK(!poll_for(&r, TAG_CLIENT, now(&r) + 10 * NS_US).readable);
    CHECK_EQ(r.net->connect_result(r.w, again), -EINPROGRESS);
}

TEST(sim_closing_takes_back_an_event_that_was_not_told_yet)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});

    join(&r);
    CHECK_EQ(r.net->shutdown(r.w, r.client), 0); /* an event of the client's own */
    r.net->close(r.w, r.client);
    struct net_event e = poll_for(&r, TAG_CLIENT, now(&r) + NS_SEC);
    CHECK(!e.readable && !e.writable && !e.peer_closed);
}

TEST(sim_partition_holds_everything_back_and_then_delivers_it_in_order)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});
    char text[8];

    join(&r);
    ns_t until = now(&r) + 30 * NS_SEC;
    sim_world_partition(r.w, 80, until);
    CHECK_EQ(put(&r, r.client, "a", 1), 1);
    CHECK_EQ(put(&r, r.client, "b", 1), 1);
    CHECK(!poll_for(&r, TAG_SERVER, until - 1).readable);
    CHECK_EQ(get(&r, r.server, text, sizeof text), -EAGAIN);
    settle(&r);
    CHECK_GE(now(&r), until);
    CHECK_EQ(get(&r, r.server, text, sizeof text), 2);
    CHECK_MEM(text, "ab", 2);
}

TEST(sim_slow_peer_pushes_back_on_the_writer)
{
    struct rig r CLEANUP(rig_release) =
        rig_make(&(struct sim_options){.seed = 1, .socket_buffer = 8192, .faults.slow_peer = 1000});
    static char bytes[64 * 1024], sink[64 * 1024];
    size_t to_server = 0, to_client = 0;

    join(&r);
    ns_t begin = now(&r);
    while (to_server < sizeof bytes || to_client < sizeof bytes) {
        ssize_t n = put(&r, r.client, bytes, sizeof bytes);
        CHECK(n > 0 || n == -EAGAIN);
        n = put(&r, r.server, bytes, sizeof bytes);
        CHECK(n > 0 || n == -EAGAIN);
        CHECK_GT(r.net->poll(r.w, r.poller, (struct net_event[4]){{0}}, 4, NS_NEVER), 0);
        n = get(&r, r.server, sink, sizeof sink);
        to_server += n > 0 ? (size_t)n : 0;
        n = get(&r, r.client, sink, sizeof sink);
        to_client += n > 0 ? (size_t)n : 0;
    }
    CHECK_GE(now(&r), begin + NS_SEC / 2); /* the fastest slow line does 64 KB/s */
}

TEST(sim_accept_failures_leave_the_connection_or_reset_it)
{
    unsigned full = 0, aborted = 0;

    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = seed, .faults.accept_fail = 1000});
        struct addr peer;
        char text[4];

        begin_connect(&r, 80);
        settle(&r);
        int result = r.net->accept(r.w, r.listener, &peer);
        CHECK(result == -EMFILE || result == -ECONNABORTED);
        sim_world_set_faults(r.w, &(struct sim_faults){0});
        if (result == -EMFILE) {
            full++;
            CHECK_GE(r.net->accept(r.w, r.listener, &peer), 0);
            continue;
        }
        aborted++;
        settle(&r);
        CHECK_EQ(get(&r, r.client, text, sizeof text), -ECONNRESET);
    }
    CHECK_GT(full, 2);
    CHECK_GT(aborted, 2);
}

TEST(sim_short_reads_and_writes_move_at_least_one_byte_and_bring_an_edge)
{
    struct rig r CLEANUP(rig_release) =
        rig_make(&(struct sim_options){.seed = 3, .faults = {.short_read = 1000, .short_write = 1000}});
    char text[100] = {0}, got[100];
    size_t sent = 0, received = 0;

    join(&r);
    ssize_t n = put(&r, r.client, text, sizeof text);
    CHECK(n > 0 && n < (ssize_t)sizeof text);
    CHECK(poll_for(&r, TAG_CLIENT, NS_NEVER).writable);
    for (sent = (size_t)n; sent < sizeof text; sent += (size_t)n) {
        n = put(&r, r.client, text, sizeof text - sent);
        CHECK_GT(n, 0);
    }
    settle(&r);
    while (received < sizeof got) {
        n = get(&r, r.server, got, sizeof got);
        CHECK_GT(n, 0);
        received += (size_t)n;
        if (received + 1 < sizeof got && n < (ssize_t)(sizeof got - received))
            CHECK(poll_for(&r, TAG_SERVER, now(&r)).readable);
    }
    CHECK_EQ(received, sizeof got);
}

TEST(sim_early_end_is_the_end_of_one_direction_for_the_reader)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});
    char text[8];

    join(&r);
    sim_world_set_faults(r.w, &(struct sim_faults){.half_close = 1000});
    CHECK_EQ(put(&r, r.client, "a", 1), 1);
    sim_world_set_faults(r.w, &(struct sim_faults){0});
    settle(&r);
    CHECK_EQ(put(&r, r.client, "b", 1), 1); /* lost */
    settle(&r);
    CHECK_EQ(get(&r, r.server, text, sizeof text), 1);
    CHECK_EQ(get(&r, r.server, text, sizeof text), 0);
    CHECK_EQ(put(&r, r.server, "c", 1), 1);
    settle(&r);
    CHECK_EQ(get(&r, r.client, text, sizeof text), 1);
}

TEST(sim_reset_in_flight_hits_both_ends)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});
    char text[8];

    join(&r);
    sim_world_set_faults(r.w, &(struct sim_faults){.reset = 1000});
    CHECK_EQ(put(&r, r.client, "a", 1), 1);
    settle(&r);
    CHECK_EQ(get(&r, r.server, text, sizeof text), -ECONNRESET);
    CHECK_EQ(get(&r, r.client, text, sizeof text), -ECONNRESET);
}

TEST(sim_spurious_events_have_no_cause)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});
    struct net_event e[4];
    unsigned readable = 0;
    char text[4];

    join(&r);
    sim_world_set_faults(r.w, &(struct sim_faults){.spurious_event = 1000});
    for (int i = 0; i < 2000; i++)
        if (r.net->poll(r.w, r.poller, e, 4, now(&r)) == 1 && e[0].tag == TAG_SERVER && e[0].readable)
            readable++;
    CHECK_GT(readable, 0);
    CHECK_EQ(get(&r, r.server, text, sizeof text), -EAGAIN);
}

TEST(sim_names_resolve_to_what_was_added)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});
    struct addr one = at_port(0), found[4];

    one.u.v4.sin_addr.s_addr = htonl(0x0a000001);
    sim_world_add_host(r.w, "two.test", &one);
    sim_world_add_host(r.w, "TWO.test", &one);
    sim_world_add_host(r.w, "none.test", NULL);
    CHECK_EQ(r.net->resolve(r.w, "two.test", found, 4), 2);
    CHECK(addr_eq(&found[1], &one));
    CHECK_EQ(r.net->resolve(r.w, "two.test", found, 1), 1);
    CHECK_EQ(r.net->resolve(r.w, "none.test", found, 4), -ENOENT);
    CHECK_EQ(r.net->resolve(r.w, "other.test", found, 4), 1);
    CHECK(addr_is_loopback(&found[0]));
    CHECK_EQ(r.net->resolve(r.w, "10.0.0.1", found, 4), 1);
    CHECK(addr_eq(&found[0], &one));
    sim_world_set_faults(r.w, &(struct sim_faults){.resolve_fail = 1000});
    CHECK_LT(r.net->resolve(r.w, "two.test", found, 4), 0);
}

TEST(sim_disk_keeps_bytes_and_tells_their_size_and_time)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});
    char text[16];
    struct disk_stat st;
    int h = r.disk->open(r.w, "/d/a", DISK_READ | DISK_WRITE | DISK_CREATE);

    CHECK_GE(h, 0);
    CHECK_EQ(r.disk->pwrite(r.w, h, "hello", 5, 2), 5);
    CHECK_EQ(r.disk->pread(r.w, h, text, sizeof text, 0), 7);
    CHECK_MEM(text, "\0\0hello", 7);
    CHECK_EQ(r.disk->pread(r.w, h, text, 3, 5), 2);
    CHECK_EQ(r.disk->pread(r.w, h, text, 3, 99), 0);
    (void)poll_for(&r, 0, now(&r) + NS_SEC);
    int64_t before = sim_world_seams(r.w)->clock->wall(r.w);
    CHECK_EQ(r.disk->pwrite(r.w, h, "J", 1, 2), 1);
    CHECK_EQ(r.disk->stat(r.w, "/d/a", &st), 0);
    CHECK_EQ(st.size, 7);
    CHECK_EQ(st.mtime, before);
    CHECK(!st.is_dir);
    CHECK_EQ(r.disk->sync(r.w, h), 0);
    CHECK_EQ(census(&r).open_files, 1);
    r.disk->close(r.w, h);
    CHECK_EQ(census(&r).open_files, 0);
}

TEST(sim_disk_appends_truncates_renames_and_removes)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});
    struct str bytes;
    struct disk_stat a, b;

    sim_world_put_file(r.w, "log", "one", 3);
    int h = r.disk->open(r.w, "log", DISK_APPEND);
    CHECK_EQ(r.disk->pwrite(r.w, h, "two", 3, 0), 3);
    CHECK(sim_world_look_file(r.w, "log", &bytes));
    CHECK_STR(bytes, "onetwo");
    CHECK_EQ(r.disk->stat(r.w, "log", &a), 0);
    sim_world_put_file(r.w, "log.1", "old", 3);
    CHECK_EQ(r.disk->rename(r.w, "log", "log.1"), 0);
    CHECK_EQ(r.disk->pwrite(r.w, h, "!", 1, 0), 1); /* an open file follows its name */
    CHECK(sim_world_look_file(r.w, "log.1", &bytes));
    CHECK_STR(bytes, "onetwo!");
    CHECK_EQ(r.disk->stat(r.w, "log.1", &b), 0);
    CHECK_EQ(a.inode, b.inode);
    CHECK_EQ(r.disk->stat(r.w, "log", &a), -ENOENT);
    CHECK_EQ(r.disk->remove(r.w, "log.1"), 0);
    CHECK_EQ(r.disk->remove(r.w, "log.1"), -ENOENT);
    CHECK_EQ(r.disk->pwrite(r.w, h, "?", 1, 0), 1); /* and lives on without one */
    r.disk->close(r.w, h);
    CHECK_EQ(r.disk->open(r.w, "log", DISK_READ), -ENOENT);
    sim_world_put_file(r.w, "t", "text", 4);
    h = r.disk->open(r.w, "t", DISK_WRITE | DISK_TRUNCATE);
    CHECK(sim_world_look_file(r.w, "t", &bytes));
    CHECK_EQ(bytes.n, 0);
    CHECK_EQ(r.disk->pread(r.w, h, &a, 1, 0), -EBADF);
    r.disk->close(r.w, h);
}

TEST(sim_disk_lists_the_entries_of_a_directory)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});
    char names[64];
    struct disk_stat st;

    sim_world_put_file(r.w, "/etc/x/a", "", 0);
    sim_world_put_file(r.w, "/etc/x/sub/b", "", 0);
    sim_world_put_file(r.w, "/etc/x/sub/c", "", 0);
    sim_world_put_file(r.w, "/etc/xy", "", 0);
    ssize_t n = r.disk->list(r.w, "/etc/x", names, sizeof names);
    CHECK_EQ(n, 6);
    CHECK(memcmp(names, "a\0sub\0", 6) == 0 || memcmp(names, "sub\0a\0", 6) == 0);
    CHECK_EQ(r.disk->list(r.w, "/etc/x/", names, 5), -ENOSPC);
    CHECK_EQ(r.disk->list(r.w, "/etc/z", names, sizeof names), -ENOENT);
    CHECK_EQ(r.disk->list(r.w, "/etc/xy", names, sizeof names), -ENOTDIR);
    CHECK_EQ(r.disk->stat(r.w, "/etc/x/sub", &st), 0);
    CHECK(st.is_dir);
    CHECK_EQ(r.disk->open(r.w, "/etc/x", DISK_READ), -EISDIR);
}

TEST(sim_disk_faults_strike_and_are_counted)
{
    struct rig r CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 1});
    int h = r.disk->open(r.w, "f", DISK_WRITE | DISK_CREATE);
    unsigned failed = 0, torn = 0;

    sim_world_set_faults(r.w, &(struct sim_faults){.disk_error = 1000});
    for (int i = 0; i < 40; i++) {
        ssize_t n = r.disk->pwrite(r.w, h, "0123456789", 10, 0);
        CHECK(n == -EIO || n == -ENOSPC || (n > 0 && n < 10));
        failed += n < 0;
        torn += n > 0;
    }
    CHECK_GT(failed, 5);
    CHECK_GT(torn, 5);
    CHECK_EQ(r.disk->open(r.w, "f", DISK_READ), -EIO);
    CHECK_EQ(census(&r).faults_injected[10], 41);
}

static void nothing_happens(struct sim_world *w, struct sim_event *e)
{
    (void)w;
    (void)e;
}

TEST(sim_queue_gives_events_in_order_of_time_however_they_are_moved)
{
    enum { EVENTS = 40, CHANGES = 2000 };
    struct sim_queue q = {0};
    struct sim_event events[EVENTS] = {{0}};
    struct prng p;

    prng_seed(&p, test_seed());
    for (int i = 0; i < CHANGES; i++) {
        struct sim_event *e = &events[prng_below(&p, EVENTS)];
        const struct sim_event *first = NULL;
        e->fire = nothing_happens;
        if (prng_below(&p, 3) == 0)
            sim_queue_remove(&q, e);
        else
            sim_queue_add(&q, e, (ns_t)prng_below(&p, 50));
        for (int k = 0; k < EVENTS; k++)
            if (events[k].place &&
                (!first || events[k].at < first->at || (events[k].at == first->at && events[k].order < first->order)))
                first = &events[k];
        CHECK(sim_queue_first(&q) == first);
    }
    sim_queue_release(&q);
}

/* A little traffic with everything drawn; returns the fingerprint. */
static uint64_t traffic(uint64_t seed)
{
    struct rig r CLEANUP(rig_release) = rig_make(
        &(struct sim_options){.seed = seed, .faults = {.short_read = 300, .short_write = 300, .spurious_event = 100}});
    char bytes[500] = {0};
    struct net_event events[8];

    join(&r);
    for (int i = 0; i < 50; i++) {
        (void)put(&r, r.client, bytes, sizeof bytes);
        (void)r.net->poll(r.w, r.poller, events, 8, now(&r) + NS_MS);
        (void)get(&r, r.server, bytes, sizeof bytes);
    }
    return census(&r).fingerprint;
}

TEST(sim_fingerprint_repeats_with_the_seed_and_differs_without)
{
    CHECK_EQ(traffic(5), traffic(5));
    CHECK_NE(traffic(5), traffic(6));
}

TEST(sim_rand_seam_and_script_draws_are_streams_of_their_own)
{
    unsigned char a[13], b[13];
    struct rig one CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 9});
    struct rig two CLEANUP(rig_release) = rig_make(&(struct sim_options){.seed = 9});

    (void)sim_world_draw(one.w, 10);
    (void)sim_world_seams(two.w)->pick_fiber(two.w, 10);
    sim_world_seams(one.w)->rand->fill(one.w, a, sizeof a);
    sim_world_seams(two.w)->rand->fill(two.w, b, sizeof b);
    CHECK_MEM(a, b, sizeof a);
    sim_world_seams(two.w)->rand->fill(two.w, b, sizeof b);
    CHECK(memcmp(a, b, sizeof a) != 0);
}

TEST(sim_faults_have_names)
{
    CHECK_STR(str_from_c(sim_fault_name(0)), "connect_refused");
    CHECK_STR(str_from_c(sim_fault_name(SIM_FAULT_KINDS - 1)), "accept_fail");
    CHECK_STR(str_from_c(sim_fault_name(SIM_FAULT_KINDS)), "?");
}
