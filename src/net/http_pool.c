/*
 * http_pool.c - the connections of one upstream on one loop.
 *
 * Idle connections are reused last in, first out: the hottest one serves, and the others age until the timer closes them. An
 * idle connection is a small struct with a callback and no fiber: if its peer closes it, or sends something nobody asked for, it is
 * dropped within the same turn of the loop, so few calls meet a stale one.
 *
 * When max_connections are in use, calls wait in a queue. What becomes free is granted to the first in it: a connection, or the
 * right to dial one. A grant to a waiter that gave up in the same turn is passed on.
 *
 * Invariants: stats.open counts connections that exist or are being dialed or whose slot is granted, and is at most
 * max_connections; `idle` is ordered by idle_until, latest first; if it is not empty, idle_timer is armed.
 */
#include "net/http_client.h"

#include "base/mem.h"
#include "codec/url.h"
#include "net/http_client_int.h"
#include "rt/loop.h"
#include "rt/scope.h"

#include <assert.h>
#include <string.h>

enum {
    DEFAULT_CONNECTIONS = 10000,
    DEFAULT_WAITING = 10000,
    DEFAULT_IDLE = 1024,
    DEFAULT_HEAD = 64 * 1024,
    REQUEST_HEAD_MAX = 1024 * 1024,
};
#define DEFAULT_IDLE_TIME (60 * NS_SEC)

struct waiter {
    struct list node;
    struct fiber *fiber;
    struct pool_conn *granted;
    bool may_dial; /* a slot was granted */
};

/* --- idle connections --- */

static void close_idle(struct pool_conn *pc)
{
    struct upstream *u = pc->upstream;

    list_remove(&pc->node);
    u->stats.idle--;
    u->stats.open--;
    conn_close(&pc->conn);
    mem_free(pc);
}

/* Is there nothing to read on it? On TLS, bytes may be no content but a session ticket. */
static bool is_quiet(struct pool_conn *pc)
{
    char byte;
    size_t n;

    return !conn_is_readable(&pc->conn) || conn_try_read(&pc->conn, &byte, 1, &n) == E_AGAIN;
}

static void on_idle_event(struct sock *s, void *ctx)
{
    struct pool_conn *pc = ctx;

    (void)s;
    if (!is_quiet(pc))
        close_idle(pc);
}

static void on_idle_timer(struct timer *t)
{
    struct upstream *u = CONTAINER_OF(t, struct upstream, idle_timer);

    while (!list_is_empty(&u->idle)) {
        struct pool_conn *oldest = CONTAINER_OF(u->idle.prev, struct pool_conn, node);
        if (oldest->idle_until > rt_now()) {
            timer_arm(t, oldest->idle_until);
            return;
        }
        close_idle(oldest);
    }
}

static void keep_idle(struct pool_conn *pc)
{
    struct upstream *u = pc->upstream;

    if (u->stats.idle >= u->max_idle)
        close_idle(CONTAINER_OF(u->idle.prev, struct pool_conn, node));
    pc->idle_until = ns_add(rt_now(), u->idle_time);
    list_push_front(&u->idle, &pc->node);
    u->stats.idle++;
    if (!timer_is_armed(&u->idle_timer))
        timer_arm(&u->idle_timer, pc->idle_until);
    sock_on_event(pc->conn.sock, on_idle_event, pc);
}

/* The connection that was used last and is still alive; NULL if there is none. */
static struct pool_conn *take_idle(struct upstream *u)
{
    while (!list_is_empty(&u->idle)) {
        struct pool_conn *pc = CONTAINER_OF(u->idle.next, struct pool_conn, node);
        if (!is_quiet(pc)) {
            close_idle(pc);
            continue;
        }
        list_remove(&pc->node);
        u->stats.idle--;
        sock_on_event(pc->conn.sock, NULL, NULL);
        return pc;
    }
    return NULL;
}

/* --- grants --- */

static struct waiter *first_waiter(struct upstream *u)
{
    struct list *node = list_pop_front(&u->waiters);

    if (!node)
        return NULL;
    u->stats.waiting--;
    struct waiter *w = CONTAINER_OF(node, struct waiter, node);
    fiber_wake(w->fiber);
    return w;
}

/* A slot has become free. */
static void free_slot(struct upstream *u)
{
    struct waiter *w = first_waiter(u);

    if (w)
        w->may_dial = true;
    else
        u->stats.open--;
}

void pool_return(struct pool_conn *pc, bool reusable)
{
    struct upstream *u = pc->upstream;

    if (!reusable) {
        conn_close(&pc->conn);
        mem_free(pc);
        free_slot(u);
        return;
    }
    struct waiter *w = list_is_empty(&u->waiters) ? NULL : first_waiter(u);
    if (w)
        w->granted = pc;
    else
        keep_idle(pc);
}

/* Wait in the queue until something is granted; then one of w->granted and w->may_dial is set. */
static err_t wait_for_grant(struct upstream *u, struct waiter *w, ns_t by) SUSPENDS;
static err_t wait_for_grant(struct upstream *u, struct waiter *w, ns_t by)
{
    err_t e = OK;

    if (u->stats.waiting >= u->max_waiting)
        return fail(E_OVERLOAD, "%s: all %u connections are busy and %u calls wait", u->label, u->max_connections,
                    u->stats.waiting);
    list_push_back(&u->waiters, &w->node);
    u->stats.waiting++;
    while (!e && !w->granted && !w->may_dial)
        e = fiber_park("a free connection", by);
    if (!e)
        return OK;
    if (list_is_linked(&w->node)) {
        list_remove(&w->node);
        u->stats.waiting--;
    } else if (w->granted) {
        pool_return(w->granted, true);
    } else {
        free_slot(u);
    }
    if (e == E_CANCELLED)
        return e;
    return fail(E_DEADLINE, "%s: deadline passed waiting for one of %u connections to become free", u->label,
                u->max_connections);
}

/* --- dialing --- */

static err_t dial_error(struct upstream *u, err_t e)
{
    if (e == E_CANCELLED)
        return e;
    u->stats.connect_failures++;
    if (e == E_DEADLINE)
        return fail(E_DEADLINE, "%s: deadline passed while connecting", u->label);
    return err_context(e, "%s", u->label);
}

static err_t dial_in_time(struct upstream *u, ns_t by, struct conn *ret) SUSPENDS;
static err_t dial_in_time(struct upstream *u, ns_t by, struct conn *ret)
{
    WITHIN(by);
    return dial(&u->target, ret);
}

/* A new connection, in a slot that is counted already. */
static err_t dial_slot(struct upstream *u, ns_t by, struct pool_conn **ret) SUSPENDS;
static err_t dial_slot(struct upstream *u, ns_t by, struct pool_conn **ret)
{
    struct conn conn;

    u->stats.connects++;
    err_t e = u->bad_proxy ? fail(E_CONFIG, "%s", u->bad_proxy) : dial_in_time(u, by, &conn);
    if (e) {
        free_slot(u);
        return dial_error(u, e);
    }
    u->stats.tls_resumed += conn.tls && tls_was_resumed(conn.tls);
    struct pool_conn *pc = NEW(struct pool_conn);
    pc->conn = conn;
    pc->upstream = u;
    *ret = pc;
    return OK;
}

static err_t lease_in_turn(struct upstream *u, ns_t by, struct pool_conn **ret, bool *ret_reused) SUSPENDS;
static err_t lease_in_turn(struct upstream *u, ns_t by, struct pool_conn **ret, bool *ret_reused)
{
    struct waiter w = {.fiber = fiber_current()};

    TRY(wait_for_grant(u, &w, by));
    if (!w.granted)
        return dial_slot(u, by, ret);
    u->stats.reused++;
    *ret_reused = true;
    *ret = w.granted;
    return OK;
}

err_t pool_lease(struct upstream *u, ns_t by, bool fresh, struct pool_conn **ret, bool *ret_reused)
{
    struct pool_conn *pc = fresh ? NULL : take_idle(u);

    *ret_reused = false;
    if (LIKELY(pc)) {
        u->stats.reused++;
        *ret_reused = true;
        *ret = pc;
        return OK;
    }
    if (fresh && u->stats.open >= u->max_connections && !list_is_empty(&u->idle))
        close_idle(CONTAINER_OF(u->idle.prev, struct pool_conn, node));
    if (u->stats.open >= u->max_connections)
        return lease_in_turn(u, by, ret, ret_reused);
    u->stats.open++;
    return dial_slot(u, by, ret);
}

/* --- upstreams --- */

static unsigned or_default(unsigned value, unsigned fallback)
{
    return value ? value : fallback;
}

/* The strings that every request needs, made once. */
static void compose_texts(struct upstream *u, const struct upstream_options *o)
{
    struct arena *a = &u->memory;
    uint16_t standard = o->secure ? 443 : 80;
    uint16_t port = o->port ? o->port : standard;
    struct str host = o->host.n ? arena_str(a, o->host) : STR("localhost");
    const char *open = url_host_is_ipv6(host) ? "[" : "", *close = *open ? "]" : "";

    u->target.host = host;
    u->target.port = port;
    struct str authority = port == standard ? arena_printf(a, "%s%.*s%s", open, STR_ARG(host), close)
                                            : arena_printf(a, "%s%.*s%s:%u", open, STR_ARG(host), close, port);
    u->label = o->unix_path.n ? arena_printf(a, "%.*s (unix socket)", STR_ARG(host)).p
                              : arena_printf(a, "%s%.*s%s:%u", open, STR_ARG(host), close, port).p;
    u->host_line = arena_printf(a, "host: %.*s\r\n", STR_ARG(authority));
    if (u->target.proxy && !o->secure)
        u->origin = arena_printf(a, "http://%.*s", STR_ARG(authority));
}

err_t upstream_check_proxy(struct str url)
{
    struct proxy proxy = {0};

    TRY(proxy_parse(url, &proxy));
    proxy_release(&proxy);
    return OK;
}

struct upstream *upstream_new(const struct upstream_options *o)
{
    struct upstream *u = NEW(struct upstream);

    arena_init(&u->memory, SIZE_MAX);
    buf_init(&u->head, REQUEST_HEAD_MAX);
    list_init(&u->idle);
    list_init(&u->waiters);
    u->idle_timer.fire = on_idle_timer;
    u->max_connections = or_default(o->max_connections, DEFAULT_CONNECTIONS);
    u->max_waiting = or_default(o->max_waiting, DEFAULT_WAITING);
    u->max_idle = or_default(o->max_idle, DEFAULT_IDLE);
    u->idle_time = o->idle_time ? o->idle_time : DEFAULT_IDLE_TIME;
    u->head_bytes = o->head_bytes ? o->head_bytes : DEFAULT_HEAD;
    u->target.secure = o->secure;
    u->target.tls = o->tls ? tls_ctx_ref(o->tls) : NULL;
    u->target.permit = o->permit;
    u->target.permit_ctx = o->permit_ctx;
    u->target.unix_path = arena_str(&u->memory, o->unix_path);
    if (o->proxy.n && !o->unix_path.n) {
        u->target.proxy = &u->proxy;
        err_t e = proxy_parse(o->proxy, &u->proxy);
        if (e)
            u->bad_proxy = mem_dup(err_detail(e), strlen(err_detail(e)));
    }
    compose_texts(u, o);
    return u;
}

void upstream_free(struct upstream *u)
{
    if (!u)
        return;
    assert(u->calls == 0);
    while (!list_is_empty(&u->idle))
        close_idle(CONTAINER_OF(u->idle.next, struct pool_conn, node));
    timer_disarm(&u->idle_timer);
    while (u->free_calls) {
        struct http_call *c = u->free_calls;
        u->free_calls = c->next_free;
        mem_free(c);
    }
    buf_release(&u->head);
    proxy_release(&u->proxy);
    mem_free(u->bad_proxy);
    tls_ctx_unref(u->target.tls);
    arena_release(&u->memory);
    mem_free(u);
}

void upstream_stats(const struct upstream *u, struct upstream_stats *ret)
{
    *ret = u->stats;
}
