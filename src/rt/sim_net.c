/*
 * sim_net.c - the net seam of a simulated world: handles, listeners, pollers.
 *
 * The idea: handles are indices, the lowest free one is taken first, as the kernel does with descriptors, so a closed handle's number
 * soon names another socket, and code that confuses them is found out. A poller is edge-triggered in the way of epoll: a change
 * puts the handle on the ready list; when a poll takes it from there it reports the handle's whole state at that moment, or nothing
 * if the state has nothing to report any more. The order of the events of one poll is drawn.
 *
 * Time moves in poll() only: to the next thing that happens or to `until`, whichever comes first, while nothing is ready.
 *
 * What it does not do: several threads; datagrams; limits on handles (but for the accept_fail fault).
 */
#include "rt/sim_int.h"

#include "base/mem.h"

#include <assert.h>
#include <errno.h>

enum {
    FIRST_HANDLE = 3, /* 0, 1 and 2 are taken in a real process */
    FIRST_EPHEMERAL = 32768,
    SYN_TRIES = 7, /* 1 + 2 + 4 + ... + 64 s: 127 s in all */
    POLLS_IN_PLACE_MAX = 100000,
};

struct sim_poller {
    int *ready; /* handles that changed */
    uint32_t ready_count, ready_cap;
    bool woken;
};

/* ---- handles ---- */

void sim_net_init(struct sim_net *n)
{
    list_init(&n->conns);
    n->lowest_free = FIRST_HANDLE;
    n->next_port = FIRST_EPHEMERAL;
}

static struct sim_handle *handle_of(struct sim_world *w, int h)
{
    if (h < FIRST_HANDLE || h >= w->net.handle_count || w->net.handles[h].kind == HANDLE_FREE)
        die("simulated network: handle %d is not open", h);
    return &w->net.handles[h];
}

static struct sim_end *end_of(struct sim_world *w, int h)
{
    struct sim_handle *handle = handle_of(w, h);

    if (handle->kind != HANDLE_END)
        die("simulated network: handle %d is not a connection", h);
    return handle->end;
}

static int handle_new(struct sim_world *w, struct sim_handle content)
{
    struct sim_net *n = &w->net;
    int h = n->lowest_free;

    while (h < n->handle_count && n->handles[h].kind != HANDLE_FREE)
        h++;
    if (h >= n->handle_count) {
        int count = n->handle_count ? n->handle_count * 2 : 64;
        n->handles = mem_realloc(n->handles, (size_t)count * sizeof *n->handles);
        memset(n->handles + n->handle_count, 0, (size_t)(count - n->handle_count) * sizeof *n->handles);
        n->handle_count = count;
    }
    n->handles[h] = content;
    n->lowest_free = h + 1;
    return h;
}

static void ready_remove(struct sim_world *w, struct sim_handle *handle)
{
    struct sim_poller *p = handle->poller;

    if (!handle->ready_place)
        return;
    int last = p->ready[--p->ready_count];
    p->ready[handle->ready_place - 1] = last;
    w->net.handles[last].ready_place = handle->ready_place;
    handle->ready_place = 0;
}

void sim_net_changed(struct sim_world *w, int h)
{
    if (h < 0)
        return;
    struct sim_handle *handle = &w->net.handles[h];
    struct sim_poller *p = handle->poller;
    if (!p || handle->ready_place)
        return;
    if (p->ready_count == p->ready_cap) {
        p->ready_cap = p->ready_cap ? p->ready_cap * 2 : 64;
        p->ready = mem_realloc(p->ready, p->ready_cap * sizeof *p->ready);
    }
    p->ready[p->ready_count++] = h;
    handle->ready_place = p->ready_count;
}

static void end_open(struct sim_world *w, struct sim_end *e)
{
    e->handle = handle_new(w, (struct sim_handle){.kind = HANDLE_END, .end = e});
    w->net.open_ends++;
}

/* ---- listeners ---- */

static bool is_any(const struct addr *a)
{
    if (a->u.any.sa_family == AF_INET)
        return a->u.v4.sin_addr.s_addr == htonl(INADDR_ANY);
    return a->u.any.sa_family == AF_INET6 && memcmp(&a->u.v6.sin6_addr, &in6addr_any, sizeof in6addr_any) == 0;
}

/* Does what listens at `at` get connections to `to`? */
static bool listens_at(const struct addr *at, const struct addr *to)
{
    if (at->u.any.sa_family == AF_UNIX || to->u.any.sa_family == AF_UNIX)
        return addr_eq(at, to);
    if (addr_port(at) != addr_port(to))
        return false;
    return addr_eq(at, to) || (is_any(at) && (at->u.any.sa_family == AF_INET6 || to->u.any.sa_family == AF_INET));
}

/* One of the listeners that get connections to `to`, drawn if several share the address; NULL if there is none. */
static struct sim_listener *find_listener(struct sim_world *w, const struct addr *to)
{
    struct sim_listener *found = NULL;
    uint64_t candidates = 0;

    for (int h = FIRST_HANDLE; h < w->net.handle_count && w->net.open_listeners; h++) {
        const struct sim_handle *handle = &w->net.handles[h];
        if (handle->kind != HANDLE_LISTENER || !listens_at(&handle->listener->at, to))
            continue;
        if (++candidates == 1 || prng_below(&w->prng, candidates) == 0)
            found = handle->listener;
    }
    return found;
}

static uint16_t ephemeral_port(struct sim_world *w)
{
    uint16_t port = w->net.next_port;

    w->net.next_port = port == UINT16_MAX ? FIRST_EPHEMERAL : (uint16_t)(port + 1);
    return port;
}

static int net_listen(void *ctx, const struct addr *at, int backlog, enum listen_share share)
{
    struct sim_world *w = ctx;
    struct addr place = *at;

    if (at->u.any.sa_family != AF_UNIX && addr_port(at) == 0)
        addr_set_port(&place, ephemeral_port(w));
    const struct sim_listener *former = find_listener(w, &place);
    if (former && !(share == LISTEN_JOIN && former->shared))
        return -EADDRINUSE;
    struct sim_listener *l = NEW(struct sim_listener);
    *l = (struct sim_listener){
        .at = place, .backlog = backlog > 0 ? (unsigned)backlog : 1, .shared = share != LISTEN_ALONE};
    list_init(&l->queue);
    l->handle = handle_new(w, (struct sim_handle){.kind = HANDLE_LISTENER, .listener = l});
    w->net.open_listeners++;
    sim_note(w, 'l', (uint64_t)l->handle, addr_port(&place));
    return l->handle;
}

static struct sim_conn *queue_pop(struct sim_listener *l)
{
    struct sim_conn *c = CONTAINER_OF(list_pop_front(&l->queue), struct sim_conn, queue_node);

    l->queued--;
    return c;
}

static int net_accept(void *ctx, int listener, struct addr *ret_peer)
{
    struct sim_world *w = ctx;
    struct sim_handle *handle = handle_of(w, listener);
    struct sim_listener *l = handle->listener;

    if (handle->kind != HANDLE_LISTENER)
        return -EINVAL;
    if (list_is_empty(&l->queue))
        return -EAGAIN;
    bool failed = sim_chance(w, FAULT_ACCEPT_FAIL);
    if (failed && prng_below(&w->prng, 2))
        return -EMFILE;
    struct sim_conn *c = queue_pop(l);
    sim_note(w, 'a', c->id, failed);
    if (failed) {
        sim_end_close(w, &c->ends[SERVER]); /* still queued for it, so the client is reset */
        return -ECONNABORTED;
    }
    c->listener = NULL;
    *ret_peer = c->client;
    end_open(w, &c->ends[SERVER]);
    return c->ends[SERVER].handle;
}

static void listener_close(struct sim_world *w, struct sim_listener *l)
{
    while (l->queued > 0)
        sim_end_close(w, &queue_pop(l)->ends[SERVER]);
    w->net.open_listeners--;
    mem_free(l);
}

/* ---- connecting ---- */

static void refused(struct sim_world *w, struct sim_event *event)
{
    sim_conn_refuse(w, CONTAINER_OF(event, struct sim_conn, handshake), ECONNREFUSED);
}

static void timed_out(struct sim_world *w, struct sim_event *event)
{
    sim_conn_refuse(w, CONTAINER_OF(event, struct sim_conn, handshake), ETIMEDOUT);
}

static void syn_arrives(struct sim_world *w, struct sim_event *event);

/* The SYN got no answer: the client sends another after 1, 2, 4, ... seconds. */
static void syn_again(struct sim_world *w, struct sim_conn *c)
{
    ns_t pause = NS_SEC << c->tries++;

    c->handshake.fire = c->tries < SYN_TRIES ? syn_arrives : timed_out;
    sim_queue_add(&w->queue, &c->handshake, w->now + pause);
}

static void syn_arrives(struct sim_world *w, struct sim_event *event)
{
    struct sim_conn *c = CONTAINER_OF(event, struct sim_conn, handshake);

    if (sim_partition_end(w, addr_port(&c->server))) {
        syn_again(w, c);
        return;
    }
    struct sim_listener *l = find_listener(w, &c->server);
    if (!l) {
        c->handshake.fire = refused;
        sim_queue_add(&w->queue, &c->handshake, w->now + sim_latency(w));
        return;
    }
    if (l->queued >= l->backlog) {
        syn_again(w, c);
        return;
    }
    c->listener = l;
    list_push_back(&l->queue, &c->queue_node);
    l->queued++;
    sim_conn_accept_syn(w, c);
    sim_net_changed(w, l->handle);
}

static struct addr client_addr(struct sim_world *w, const struct addr *to)
{
    struct addr a = *to;

    if (a.u.any.sa_family == AF_UNIX)
        return (struct addr){.len = sizeof(sa_family_t), .u.any.sa_family = AF_UNIX};
    addr_set_port(&a, ephemeral_port(w));
    return a;
}

static int net_connect(void *ctx, const struct addr *to)
{
    struct sim_world *w = ctx;
    struct addr from = client_addr(w, to);
    struct sim_conn *c = sim_conn_new(w, &from, to);
    ns_t arrives = w->now + sim_latency(w);

    end_open(w, &c->ends[CLIENT]);
    c->handshake.fire = syn_arrives;
    if (sim_chance(w, FAULT_CONNECT_REFUSED)) {
        c->handshake.fire = refused;
        arrives += sim_latency(w);
    } else if (sim_chance(w, FAULT_CONNECT_LOST)) {
        c->handshake.fire = timed_out;
        arrives += 127 * NS_SEC;
    }
    sim_queue_add(&w->queue, &c->handshake, arrives);
    return c->ends[CLIENT].handle;
}

static int net_connect_result(void *ctx, int h)
{
    struct sim_end *e = end_of(ctx, h);
    int error = e->error;

    e->error = 0;
    return e->connecting ? -EINPROGRESS : -error;
}

/* ---- bytes ---- */

static ssize_t net_read(void *ctx, int h, void *to, size_t cap)
{
    struct sim_world *w = ctx;
    ssize_t n = sim_end_read(w, end_of(w, h), to, cap);

    sim_note(w, 'r', (uint64_t)h, (uint64_t)n);
    return n;
}

static ssize_t net_writev(void *ctx, int h, const struct iovec *iov, int count)
{
    struct sim_world *w = ctx;
    ssize_t n = sim_end_write(w, end_of(w, h), iov, count);

    sim_note(w, 'w', (uint64_t)h, (uint64_t)n);
    return n;
}

static int net_shutdown(void *ctx, int h)
{
    struct sim_world *w = ctx;

    sim_note(w, 's', (uint64_t)h, 0);
    return sim_end_shutdown(w, end_of(w, h));
}

static void net_close(void *ctx, int h)
{
    struct sim_world *w = ctx;
    struct sim_handle *handle = handle_of(w, h), old = *handle;

    sim_note(w, 'z', (uint64_t)h, 0);
    ready_remove(w, handle);
    *handle = (struct sim_handle){0};
    if (h < w->net.lowest_free)
        w->net.lowest_free = h;
    if (old.kind == HANDLE_LISTENER) {
        listener_close(w, old.listener);
        return;
    }
    w->net.open_ends--;
    sim_end_close(w, old.end);
}

static int net_local_addr(void *ctx, int h, struct addr *ret)
{
    const struct sim_handle *handle = handle_of(ctx, h);

    if (handle->kind == HANDLE_LISTENER) {
        *ret = handle->listener->at;
        return 0;
    }
    const struct sim_conn *c = handle->end->conn;
    *ret = handle->end == &c->ends[CLIENT] ? c->client : c->server;
    return 0;
}

/* ---- pollers ---- */

static struct poller *net_poller_open(void *ctx)
{
    ((struct sim_world *)ctx)->net.open_pollers++;
    return (struct poller *)NEW(struct sim_poller);
}

static void net_poller_close(void *ctx, struct poller *poller)
{
    struct sim_world *w = ctx;
    struct sim_poller *p = (struct sim_poller *)poller;

    for (int h = FIRST_HANDLE; h < w->net.handle_count; h++)
        if (w->net.handles[h].poller == p) {
            w->net.handles[h].poller = NULL;
            w->net.handles[h].ready_place = 0;
        }
    w->net.open_pollers--;
    mem_free(p->ready);
    mem_free(p);
}

static int net_watch(void *ctx, struct poller *poller, int h, uint64_t tag)
{
    struct sim_world *w = ctx;
    struct sim_handle *handle = handle_of(w, h);

    if (handle->poller)
        return -EEXIST;
    handle->poller = (struct sim_poller *)poller;
    handle->tag = tag;
    sim_net_changed(w, h); /* the state as it is now is the first event */
    return 0;
}

static struct net_event state_of(struct sim_world *w, const struct sim_handle *handle)
{
    struct net_event s = {0};

    if (handle->kind == HANDLE_END)
        s = sim_end_state(w, handle->end);
    else
        s.readable = handle->listener->queued > 0;
    s.tag = handle->tag;
    return s;
}

/* Take the ready handles in an order that is drawn, and report those that have something to report. */
static int collect(struct sim_world *w, struct sim_poller *p, struct net_event *events, int max)
{
    int n = 0;

    while (n < max && p->ready_count > 0) {
        uint32_t i = p->ready_count == 1 ? 0 : (uint32_t)prng_below(&w->prng, p->ready_count);
        int h = p->ready[i];
        struct sim_handle *handle = &w->net.handles[h];
        ready_remove(w, handle);
        struct net_event e = state_of(w, handle);
        if (!e.readable && !e.writable && !e.peer_closed && !e.broken)
            continue;
        sim_note(w, 'v', (uint64_t)h, (uint64_t)(e.readable | e.writable << 1 | e.peer_closed << 2 | e.broken << 3));
        events[n++] = e;
    }
    return n;
}

/* Perhaps claim that some watched socket, which is not connecting, is readable or writable. */
static int add_spurious(struct sim_world *w, struct sim_poller *p, struct net_event *events, int n, int max)
{
    if (n >= max || w->net.handle_count == 0 || w->chances[FAULT_SPURIOUS_EVENT] == 0 ||
        prng_below(&w->prng, 1000) >= w->chances[FAULT_SPURIOUS_EVENT])
        return n;
    const struct sim_handle *handle = &w->net.handles[prng_below(&w->prng, (uint64_t)w->net.handle_count)];
    if (handle->kind == HANDLE_FREE || handle->poller != p || (handle->end && handle->end->connecting))
        return n;
    struct net_event e = state_of(w, handle);
    if (prng_below(&w->prng, 2))
        e.readable = true;
    else
        e.writable = true;
    sim_injected(w, FAULT_SPURIOUS_EVENT);
    events[n] = e;
    return n + 1;
}

static void happen_until_now(struct sim_world *w)
{
    struct sim_event *e;

    while ((e = sim_queue_first(&w->queue)) && e->at <= w->now) {
        sim_queue_remove(&w->queue, e);
        e->fire(w, e);
    }
}

/* Move time on, but not past `until`; false if nothing can happen any more. */
static bool time_passes(struct sim_world *w, ns_t until)
{
    const struct sim_event *next = sim_queue_first(&w->queue);

    if (!next && until == NS_NEVER)
        return false;
    ns_t to = next && next->at < until ? next->at : until;
    if (to > w->now)
        w->now = to;
    happen_until_now(w);
    return true;
}

/* A loop that never waits would run for ever, since nothing but waiting moves time: it has a bug, and here it is found. */
static void check_progress(struct sim_world *w)
{
    if (w->net.polled_at != w->now) {
        w->net.polled_at = w->now;
        w->net.polls_in_place = 0;
    }
    if (++w->net.polls_in_place > POLLS_IN_PLACE_MAX)
        die("simulated world: %d polls without time moving on", POLLS_IN_PLACE_MAX);
}

static int net_poll(void *ctx, struct poller *poller, struct net_event *ret_events, int max, ns_t until)
{
    struct sim_world *w = ctx;
    struct sim_poller *p = (struct sim_poller *)poller;

    check_progress(w);
    happen_until_now(w);
    int n = add_spurious(w, p, ret_events, collect(w, p, ret_events, max), max);
    while (n == 0 && !p->woken && w->now < until) {
        if (!time_passes(w, until))
            return -EDEADLK;
        n = collect(w, p, ret_events, max);
    }
    p->woken = false;
    return n;
}

static void net_wake(void *ctx, struct poller *poller)
{
    (void)ctx;
    ((struct sim_poller *)poller)->woken = true;
}

const struct net_ops sim_net_ops = {
    .listen = net_listen,
    .accept = net_accept,
    .connect = net_connect,
    .connect_result = net_connect_result,
    .read = net_read,
    .writev = net_writev,
    .shutdown = net_shutdown,
    .close = net_close,
    .local_addr = net_local_addr,
    .resolve = sim_resolve,
    .poller_open = net_poller_open,
    .poller_close = net_poller_close,
    .watch = net_watch,
    .poll = net_poll,
    .wake = net_wake,
};

/* ---- for scripts ---- */

static bool is_at_port(const struct sim_conn *c, uint16_t port)
{
    return port == 0 || addr_port(&c->server) == port;
}

unsigned sim_world_reset_all(struct sim_world *w, uint16_t port)
{
    unsigned count = 0;

    LIST_EACH(node, next, &w->net.conns) {
        struct sim_conn *c = CONTAINER_OF(node, struct sim_conn, node);
        if (!is_at_port(c, port))
            continue;
        sim_end_reset(w, &c->ends[CLIENT]);
        sim_end_reset(w, &c->ends[SERVER]);
        count++;
    }
    return count;
}

unsigned sim_world_connections(const struct sim_world *w, uint16_t port)
{
    unsigned count = 0;

    for (const struct list *node = w->net.conns.next; node != &w->net.conns; node = node->next)
        count += is_at_port(CONTAINER_OF(node, struct sim_conn, node), port);
    return count;
}

void sim_net_release(struct sim_world *w)
{
    LIST_EACH(node, next, &w->net.conns)
        sim_conn_free(w, CONTAINER_OF(node, struct sim_conn, node));
    for (int h = FIRST_HANDLE; h < w->net.handle_count; h++)
        if (w->net.handles[h].kind == HANDLE_LISTENER)
            mem_free(w->net.handles[h].listener);
    mem_free(w->net.handles);
    w->net = (struct sim_net){0};
}
