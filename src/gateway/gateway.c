/*
 * gateway.c - what the requests of one loop share: the configuration in use, connection pools, counters.
 *
 * A snapshot that a request began with stays until that request has ended. The count of its users is this loop's own, so requests touch no shared
 * memory; the snapshot's atomic count only says how many loops hold it.
 */
#include "gateway/gateway.h"

#include "base/list.h"
#include "base/mem.h"
#include "gateway/exchange.h"
#include "gateway/key_hashes.h"
#include "rt/fiber.h"

struct held {
    struct list link;
    struct snapshot *snapshot; /* a reference */
    unsigned users;            /* requests under way that began with it */
};

struct gateway {
    struct gateway_options options;
    struct list held; /* snapshots in use; the first is the current one */
    struct upstreams *upstreams;
    struct authorities *authorities;
    struct metrics *metrics;
    unsigned in_flight;
    struct fiber *watcher; /* is woken when a snapshot is installed; NULL: nobody */
    struct shadows shadows;
    struct key_hashes *keys; /* that clients present */
};

static struct held *current(const struct gateway *g)
{
    return CONTAINER_OF(g->held.next, struct held, link);
}

static void drop(struct held *h)
{
    list_remove(&h->link);
    snapshot_unref(h->snapshot);
    mem_free(h);
}

/* Let go of a snapshot that is neither current nor in use; with the last old one go the pools that only old ones named. */
static void retire(struct gateway *g, struct held *h)
{
    if (h == current(g) || h->users)
        return;
    drop(h);
    if (current(g)->link.next != &g->held)
        return;
    upstreams_retire(g->upstreams, current(g)->snapshot);
    authorities_retire(g->authorities, current(g)->snapshot);
}

void gateway_install(struct gateway *g, struct snapshot *s)
{
    struct held *h = NEW(struct held), *former = list_is_empty(&g->held) ? NULL : current(g);

    h->snapshot = snapshot_ref(s);
    list_push_front(&g->held, &h->link);
    authorities_warm(g->authorities, s);
    if (former)
        retire(g, former);
    if (g->watcher)
        fiber_wake(g->watcher);
}

struct gateway *gateway_new(const struct gateway_options *options)
{
    struct gateway *g = NEW(struct gateway);

    g->options = *options;
    list_init(&g->held);
    g->upstreams = upstreams_new(options->simulated, options->simulated_ctx);
    g->authorities = authorities_new(options->scope);
    g->metrics = metrics_new();
    g->keys = key_hashes_new();
    gateway_install(g, options->snapshot);
    return g;
}

void gateway_free(struct gateway *g)
{
    upstreams_free(g->upstreams);
    authorities_free(g->authorities);
    LIST_EACH(node, next, &g->held)
        drop(CONTAINER_OF(node, struct held, link));
    metrics_free(g->metrics);
    key_hashes_free(g->keys);
    mem_free(g);
}

const struct snapshot *gateway_snapshot(const struct gateway *g)
{
    return current(g)->snapshot;
}

const unsigned char *gateway_hash_key(struct gateway *g, struct str key)
{
    return key_hashes_get(g->keys, key);
}

struct upstreams *gateway_upstreams(struct gateway *g)
{
    return g->upstreams;
}

const struct gateway_hearer *gateway_hearer(const struct gateway *g)
{
    return g->options.hearer;
}

const struct metrics *gateway_metrics(const struct gateway *g)
{
    return g->metrics;
}

struct authorities *gateway_authorities(struct gateway *g)
{
    return g->authorities;
}

struct blobs *gateway_kept(const struct gateway *g)
{
    return g->options.kept;
}

struct metrics *gateway_metrics_mutable(struct gateway *g)
{
    return g->metrics;
}

void gateway_credentials(const struct gateway *g, struct metrics *to)
{
    credentials_count(current(g)->snapshot, to);
}

void gateway_gauges(const struct gateway *g, struct gauges *ret)
{
    ret->in_flight += g->in_flight;
    upstreams_gauges(g->upstreams, ret);
}

void gateway_enter(struct gateway *g, struct exchange *x)
{
    g->in_flight++;
    x->held = current(g);
    x->held->users++;
    x->snapshot = x->held->snapshot;
    x->facts.revision = x->snapshot->catalog->revision;
}

void gateway_leave(struct gateway *g, struct exchange *x)
{
    metrics_request(g->metrics, &x->facts);
    if (g->options.on_facts)
        g->options.on_facts(g->options.facts_ctx, &x->facts);
    g->in_flight--;
    x->held->users--;
    retire(g, x->held);
}

struct held *gateway_hold(struct gateway *g)
{
    struct held *h = current(g);

    h->users++;
    return h;
}

const struct snapshot *gateway_held_snapshot(const struct held *h)
{
    return h->snapshot;
}

void gateway_let_go(struct gateway *g, struct held *h)
{
    h->users--;
    retire(g, h);
}

void gateway_set_watcher(struct gateway *g, struct fiber *f)
{
    g->watcher = f;
}

struct shadows *gateway_shadows(struct gateway *g)
{
    return &g->shadows;
}

void gateway_note_beside(struct gateway *g, const struct attempt_facts *f)
{
    metrics_beside(g->metrics, f);
    if (g->options.on_beside)
        g->options.on_beside(g->options.facts_ctx, f);
}
