/*
 * sim_conn.c - simulated connections: two ends and, towards each, a pipe of bytes under way.
 *
 * The idea: a write is cut into segments; each draws a latency and the faults that hit it, and none overtakes another. A pipe holds all
 * its bytes in one ring, first those that arrived, then those in flight; only the first segment's arrival is scheduled. What an end
 * tells its user (results of read and write, and the state that a poller sees) follows Linux, the awkward parts too:
 *
 *  - an error is told once, to whoever asks first, read or write; afterwards reads see the end of the stream and writes EPIPE;
 *  - closing an end with bytes unread resets the connection; writing to a closed end does so one round trip later;
 *  - a reset may or may not destroy what arrived and was not read yet (drawn), unless the stream had ended before: then its end
 *    would look like the true one;
 *  - the writer hears of room only if it was told that there is none, and only when a third of the buffer is free;
 *  - what is written to an end that is gone needs no room there, but is not sent without limit before the reset comes back.
 *
 * Invariants: arrived <= used <= the socket buffer's size; the segments' sizes sum to used - arrived unless the pipe is a sink; a
 * connection lives until both ends are closed.
 *
 * It does not know handles other than to say that something changed at one (sim_net_changed()).
 */
#include "rt/sim_int.h"

#include "base/mem.h"

#include <assert.h>
#include <errno.h>

/* LOST_SEGMENTS: under way to an end that is gone before the writer must wait, as one that never waits would write for ever, in no time. */
enum { FIRST_RING = 4096, SLOW_SEGMENT = 1024, LOST_SEGMENTS = 64 };

/* ---- pipes ---- */

static void ring_grow(struct sim_pipe *p, size_t need)
{
    size_t cap = p->cap ? p->cap : FIRST_RING;

    if (need <= p->cap)
        return;
    while (cap < need)
        cap *= 2;
    char *bytes = mem_alloc(cap);
    size_t behind = p->cap - p->first;
    size_t head = p->used < behind ? p->used : behind;
    if (p->used) {
        memcpy(bytes, p->bytes + p->first, head);
        memcpy(bytes + head, p->bytes, p->used - head);
    }
    mem_free(p->bytes);
    p->bytes = bytes;
    p->cap = cap;
    p->first = 0;
}

static void ring_put(struct sim_pipe *p, const char *from, size_t n)
{
    ring_grow(p, p->used + n);
    size_t at = (p->first + p->used) & (p->cap - 1);
    size_t head = n < p->cap - at ? n : p->cap - at;
    memcpy(p->bytes + at, from, head);
    memcpy(p->bytes, from + head, n - head);
    p->used += n;
}

static void ring_take(struct sim_pipe *p, char *to, size_t n)
{
    size_t head = n < p->cap - p->first ? n : p->cap - p->first;

    memcpy(to, p->bytes + p->first, head);
    memcpy(to + head, p->bytes, n - head);
    p->first = (p->first + n) & (p->cap - 1);
    p->used -= n;
    p->arrived -= n;
}

static struct sim_segment *first_segment(struct sim_pipe *p)
{
    return &p->segments[p->segment_first & (p->segment_cap - 1)];
}

static void pipe_arm(struct sim_world *w, struct sim_pipe *p)
{
    if (p->segment_count && !p->arrive.place)
        sim_queue_add(&w->queue, &p->arrive, first_segment(p)->at);
}

static void pipe_push(struct sim_world *w, struct sim_pipe *p, struct sim_segment segment)
{
    if (p->segment_count == p->segment_cap) {
        uint32_t cap = p->segment_cap ? p->segment_cap * 2 : 8;
        struct sim_segment *grown = mem_alloc(cap * sizeof *grown);
        for (uint32_t i = 0; i < p->segment_count; i++)
            grown[i] = p->segments[(p->segment_first + i) & (p->segment_cap - 1)];
        mem_free(p->segments);
        p->segments = grown;
        p->segment_first = 0;
        p->segment_cap = cap;
    }
    p->segments[(p->segment_first + p->segment_count++) & (p->segment_cap - 1)] = segment;
    pipe_arm(w, p);
}

/* What is in flight will never arrive. */
static void pipe_drop_flight(struct sim_world *w, struct sim_pipe *p)
{
    p->segment_count = 0;
    p->used = p->arrived;
    sim_queue_remove(&w->queue, &p->arrive);
}

static void pipe_release(struct sim_world *w, struct sim_pipe *p)
{
    sim_queue_remove(&w->queue, &p->arrive);
    sim_queue_remove(&w->queue, &p->space);
    mem_free(p->segments);
    mem_free(p->bytes);
}

/* When a segment of `n` bytes that leaves now will arrive. */
static ns_t arrival(struct sim_world *w, struct sim_pipe *p, size_t n)
{
    ns_t at = w->now + sim_latency(w);

    if (at < p->last_at)
        at = p->last_at;
    if (p->rate)
        at += (ns_t)n * NS_SEC / p->rate;
    p->last_at = at;
    return at;
}

/* ---- ends ---- */

static struct sim_end *peer_of(struct sim_end *e)
{
    return &e->conn->ends[e == &e->conn->ends[CLIENT] ? SERVER : CLIENT];
}

static bool is_gone(const struct sim_end *e)
{
    return e->closed || e->dead;
}

static uint64_t end_id(const struct sim_end *e)
{
    return e->conn->id * 2 + (e == &e->conn->ends[SERVER]);
}

static uint16_t end_port(const struct sim_end *e)
{
    return addr_port(&e->conn->server);
}

static bool has_room(const struct sim_world *w, const struct sim_pipe *p)
{
    return p->sink ? p->segment_count < LOST_SEGMENTS : p->used * 3 <= w->options.socket_buffer * 2;
}

static int take_error(struct sim_end *e)
{
    int error = e->error;

    e->error = 0;
    return error;
}

/* Let a reset travel to `e`. */
static void send_reset(struct sim_world *w, struct sim_end *e)
{
    if (e->born && !is_gone(e) && !e->reset.place)
        sim_queue_add(&w->queue, &e->reset, w->now + sim_latency(w));
}

static void reset_arrives(struct sim_world *w, struct sim_event *event)
{
    struct sim_end *e = CONTAINER_OF(event, struct sim_end, reset);
    ns_t blocked = sim_partition_end(w, end_port(e));

    if (blocked)
        sim_queue_add(&w->queue, event, blocked + sim_latency(w));
    else
        sim_end_reset(w, e);
}

void sim_end_reset(struct sim_world *w, struct sim_end *e)
{
    if (!e->born || is_gone(e))
        return;
    sim_note(w, 'R', end_id(e), e->in.arrived);
    sim_queue_remove(&w->queue, &e->reset);
    if (e->connecting)
        sim_queue_remove(&w->queue, &e->conn->handshake);
    e->error = e->connecting ? ECONNREFUSED : e->saw_fin ? EPIPE : ECONNRESET;
    e->connecting = false;
    e->dead = true;
    pipe_drop_flight(w, &e->in);
    if (e->in.arrived && !e->saw_fin && prng_below(&w->prng, 2))
        e->in.arrived = e->in.used = 0;
    e->in.sink = true;
    sim_net_changed(w, e->handle);
}

static void space_opens(struct sim_world *w, struct sim_event *event)
{
    struct sim_end *reader = CONTAINER_OF(event, struct sim_end, in.space), *writer = peer_of(reader);

    if (!writer->wants_space || !has_room(w, &reader->in))
        return;
    writer->wants_space = false;
    sim_net_changed(w, writer->handle);
}

/* The writer towards `e` may have waited for room: let it know, one latency from now. */
static void announce_space(struct sim_world *w, struct sim_end *e)
{
    if (peer_of(e)->wants_space && has_room(w, &e->in) && !e->in.space.place)
        sim_queue_add(&w->queue, &e->in.space, w->now + sim_latency(w));
}

/* The stream towards `e` ends here; what is still in flight, and all that is written later, is lost. */
static void cut_off(struct sim_world *w, struct sim_end *e)
{
    pipe_drop_flight(w, &e->in);
    e->in.sink = true;
    announce_space(w, e);
}

static void take_segment(struct sim_world *w, struct sim_end *e, struct sim_segment s)
{
    sim_note(w, s.reset ? 'X' : s.fin ? 'F' : 'D', end_id(e), s.n);
    if (s.reset) {
        if (s.cut)
            send_reset(w, peer_of(e));
        sim_end_reset(w, e);
        return;
    }
    if (is_gone(e)) {
        if (s.n)
            send_reset(w, peer_of(e));
        announce_space(w, e);
        return;
    }
    e->in.arrived += s.n;
    if (s.fin)
        e->saw_fin = true;
    if (s.cut)
        cut_off(w, e);
    sim_net_changed(w, e->handle);
}

static void segment_arrives(struct sim_world *w, struct sim_event *event)
{
    struct sim_end *e = CONTAINER_OF(event, struct sim_end, in.arrive);
    struct sim_pipe *p = &e->in;
    ns_t blocked = sim_partition_end(w, end_port(e));

    if (blocked) {
        sim_queue_add(&w->queue, event, blocked + sim_latency(w));
        return;
    }
    struct sim_segment s = *first_segment(p);
    p->segment_first++;
    p->segment_count--;
    take_segment(w, e, s);
    pipe_arm(w, p);
}

/* ---- what the user of an end does ---- */

ssize_t sim_end_read(struct sim_world *w, struct sim_end *e, void *to, size_t cap)
{
    size_t n = e->in.arrived < cap ? e->in.arrived : cap;

    if (e->in.arrived == 0) {
        if (e->saw_fin)
            return 0;
        if (e->error)
            return -take_error(e);
        return e->dead ? 0 : -EAGAIN;
    }
    if (n > 1 && sim_chance(w, FAULT_SHORT_READ)) {
        n = 1 + prng_below(&w->prng, n - 1);
        sim_net_changed(w, e->handle); /* a short read means "drained" to a user of edges: epoll(7) */
    }
    if (n == 0)
        return 0;
    ring_take(&e->in, to, n);
    announce_space(w, e);
    return (ssize_t)n;
}

static void send_segment(struct sim_world *w, struct sim_end *to, size_t n)
{
    struct sim_segment s = {.n = (uint32_t)n};

    if (sim_chance(w, FAULT_RESET))
        s.reset = s.cut = true;
    else if (sim_chance(w, FAULT_HALF_CLOSE))
        s.fin = s.cut = true;
    s.at = arrival(w, &to->in, n);
    if (sim_chance(w, FAULT_STALL)) {
        s.at += prng_range(&w->prng, NS_SEC, 10 * NS_SEC);
        to->in.last_at = s.at;
    }
    pipe_push(w, &to->in, s);
}

/* Cut `n` new bytes into segments: mostly one, sometimes several; small ones on a slow line. */
static void send_bytes(struct sim_world *w, struct sim_end *to, size_t n)
{
    while (n > 0) {
        size_t some = n;
        if (to->in.rate && some > SLOW_SEGMENT)
            some = SLOW_SEGMENT;
        else if (some > 1 && prng_below(&w->prng, 4) == 0)
            some = 1 + prng_below(&w->prng, some - 1);
        send_segment(w, to, some);
        n -= some;
    }
}

static size_t iov_total(const struct iovec *iov, int count)
{
    size_t total = 0;

    for (int i = 0; i < count; i++)
        total += iov[i].iov_len;
    return total;
}

static void store(struct sim_pipe *p, const struct iovec *iov, size_t n)
{
    for (; n > 0; iov++) {
        size_t some = iov->iov_len < n ? iov->iov_len : n;
        if (some)
            ring_put(p, iov->iov_base, some);
        n -= some;
    }
}

/* How many of `offered` bytes go now; 0 if there is no room. */
static size_t accept_bytes(struct sim_world *w, struct sim_end *e, struct sim_end *to, size_t offered)
{
    size_t room = w->options.socket_buffer - to->in.used;
    if (to->in.sink)
        room = has_room(w, &to->in) ? offered : 0;
    size_t n = offered < room ? offered : room;

    if (n > 1 && sim_chance(w, FAULT_SHORT_WRITE)) {
        n = 1 + prng_below(&w->prng, n - 1);
        e->wants_space = true; /* a short write means "full" to a user of edges */
        announce_space(w, to);
    }
    if (n < offered)
        e->wants_space = true;
    return n;
}

ssize_t sim_end_write(struct sim_world *w, struct sim_end *e, const struct iovec *iov, int count)
{
    struct sim_end *to = peer_of(e);
    size_t offered = iov_total(iov, count);

    if (e->error)
        return -take_error(e);
    if (e->dead || e->shut)
        return -EPIPE;
    if (e->connecting)
        return -EAGAIN;
    if (offered == 0)
        return 0;
    size_t n = accept_bytes(w, e, to, offered);
    if (n == 0)
        return -EAGAIN;
    if (!to->in.sink)
        store(&to->in, iov, n);
    if (!to->in.sink || is_gone(to))
        send_bytes(w, to, n);
    w->census.bytes_sent += n;
    return (ssize_t)n;
}

static void send_fin(struct sim_world *w, struct sim_end *to)
{
    if (to->in.sink)
        return;
    pipe_push(w, &to->in, (struct sim_segment){.at = arrival(w, &to->in, 0), .fin = true});
}

int sim_end_shutdown(struct sim_world *w, struct sim_end *e)
{
    if (e->dead || e->connecting)
        return -ENOTCONN;
    if (!e->shut) {
        e->shut = true;
        send_fin(w, peer_of(e));
    }
    sim_net_changed(w, e->handle); /* Linux wakes the poller here: inet_shutdown() */
    return 0;
}

/* The connection is dropped with bytes unread: a reset, which may overtake what is in flight. */
static void send_abort(struct sim_world *w, struct sim_end *to)
{
    if (prng_below(&w->prng, 2))
        pipe_drop_flight(w, &to->in);
    pipe_push(w, &to->in, (struct sim_segment){.at = arrival(w, &to->in, 0), .reset = true});
}

/* The server's end, before it was accepted. */
static bool is_queued(const struct sim_end *e)
{
    return e->conn->listener && e == &e->conn->ends[SERVER];
}

static void say_goodbye(struct sim_world *w, struct sim_end *e, struct sim_end *to, bool unread)
{
    if (!to->born || is_gone(to) || e->dead)
        return;
    if (e->connecting || is_queued(e))
        send_reset(w, to);
    else if (unread)
        send_abort(w, to);
    else if (!e->shut)
        send_fin(w, to);
}

void sim_end_close(struct sim_world *w, struct sim_end *e)
{
    struct sim_end *to = peer_of(e);
    bool unread = e->in.arrived > 0;

    assert(!e->closed);
    say_goodbye(w, e, to, unread);
    if (is_queued(e))
        e->conn->listener = NULL;
    if (e->connecting)
        sim_queue_remove(&w->queue, &e->conn->handshake);
    e->closed = true;
    e->handle = -1;
    e->in.arrived = e->in.used = e->in.first = 0;
    e->in.sink = true;
    sim_queue_remove(&w->queue, &e->reset);
    if (to->closed || !to->born)
        sim_conn_free(w, e->conn);
}

struct net_event sim_end_state(struct sim_world *w, struct sim_end *e)
{
    if (e->connecting)
        return (struct net_event){0};
    struct net_event s = {
        .readable = e->in.arrived > 0 || e->saw_fin || e->dead,
        .writable = e->dead || e->shut || has_room(w, &peer_of(e)->in),
        .peer_closed = e->saw_fin || e->dead,
        .broken = e->dead || (e->saw_fin && e->shut),
    };
    if (!s.writable)
        e->wants_space = true;
    return s;
}

/* ---- connections ---- */

static void end_init(struct sim_conn *c, struct sim_end *e)
{
    e->conn = c;
    e->handle = -1;
    e->reset.fire = reset_arrives;
    e->in.arrive.fire = segment_arrives;
    e->in.space.fire = space_opens;
}

static void draw_slowness(struct sim_world *w, struct sim_conn *c)
{
    if (!sim_chance(w, FAULT_SLOW_PEER))
        return;
    uint64_t which = 1 + prng_below(&w->prng, 3);
    for (int i = 0; i < 2; i++)
        if (which & (1U << i))
            c->ends[i].in.rate = 500U << prng_below(&w->prng, 8);
}

struct sim_conn *sim_conn_new(struct sim_world *w, const struct addr *client, const struct addr *server)
{
    struct sim_conn *c = NEW(struct sim_conn);

    c->id = ++w->census.connects;
    c->client = *client;
    c->server = *server;
    end_init(c, &c->ends[CLIENT]);
    end_init(c, &c->ends[SERVER]);
    c->ends[CLIENT].born = c->ends[CLIENT].connecting = true;
    draw_slowness(w, c);
    list_push_back(&w->net.conns, &c->node);
    sim_note(w, 'c', c->id, addr_port(server));
    return c;
}

void sim_conn_free(struct sim_world *w, struct sim_conn *c)
{
    for (int i = 0; i < 2; i++) {
        pipe_release(w, &c->ends[i].in);
        sim_queue_remove(&w->queue, &c->ends[i].reset);
    }
    sim_queue_remove(&w->queue, &c->handshake);
    list_remove(&c->queue_node);
    list_remove(&c->node);
    mem_free(c);
}

static void established(struct sim_world *w, struct sim_event *event)
{
    struct sim_conn *c = CONTAINER_OF(event, struct sim_conn, handshake);
    ns_t blocked = sim_partition_end(w, addr_port(&c->server));

    if (blocked) {
        sim_queue_add(&w->queue, event, blocked);
        return;
    }
    c->ends[CLIENT].connecting = false;
    sim_note(w, 'e', c->id, 0);
    sim_net_changed(w, c->ends[CLIENT].handle);
}

void sim_conn_accept_syn(struct sim_world *w, struct sim_conn *c)
{
    c->ends[SERVER].born = true;
    c->handshake.fire = established;
    sim_queue_add(&w->queue, &c->handshake, arrival(w, &c->ends[CLIENT].in, 0));
}

void sim_conn_refuse(struct sim_world *w, struct sim_conn *c, int error)
{
    struct sim_end *e = &c->ends[CLIENT];

    sim_note(w, 'x', c->id, (uint64_t)error);
    e->connecting = false;
    e->dead = true;
    e->error = error;
    e->in.sink = true;
    sim_net_changed(w, e->handle);
}
