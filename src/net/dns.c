/*
 * dns.c - a cache of addresses per loop, in front of the system's resolver.
 *
 * The resolver blocks, so it runs on a worker, and nobody can interrupt it: the job owns its memory. One fiber at a time looks a name
 * up (the leader); others that want the same name wait for it. When the leader leaves early, because its own request was
 * cancelled, the first of the waiters takes over, so one impatient client never fails the others.
 *
 * States of an entry, by time: fresh (answer or failure is served as it is), stale (has an answer that is too old: somebody looks it up
 * again; whoever comes meanwhile is served the old one, and so is everybody if the look-up fails or takes longer than
 * STALE_PATIENCE), unknown (all wait).
 *
 * Invariant: no pointer to an entry is used after a wait unless it is pinned (`busy`: led or waited for); pinned entries
 * are not evicted.
 *
 * Not done: the TTL of the record (getaddrinfo does not tell it), and DNS over anything but the system's resolver.
 */
#include "net/dns.h"

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "rt/loop.h"
#include "rt/scope.h"
#include "rt/worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FRESH_TIME (30 * NS_SEC)
#define FAILURE_TIME (2 * NS_SEC)
#define STALE_TIME (3600 * NS_SEC)
#define STALE_PATIENCE (1 * NS_SEC)

enum { MAX_ENTRIES = 1024, MAX_LOOPS = 1024, NAME_MAX_BYTES = 253 };

struct entry {
    char *host; /* owned; also the key in the map */
    size_t host_n;
    struct list by_use;   /* in the cache, most recently used first */
    struct list waiters;  /* struct waiter, in order of arrival */
    struct fiber *leader; /* looks it up now; NULL: nobody does */
    unsigned busy;        /* fibers that hold a pointer across a wait */
    ns_t fresh_until;     /* of the answer or of the failure */
    ns_t stale_until;     /* the answer may be used so long if there is no better */
    err_t failure;        /* of the last look-up */
    int failure_errno;    /* why, as the seam says it */
    size_t count;         /* addresses; 0: none is known */
    struct addr addrs[];  /* DNS_MAX_ADDRS, on the heap */
};

struct waiter {
    struct list node; /* in the entry */
    struct fiber *fiber;
};

struct cache {
    struct map by_host;
    struct list by_use;
    size_t count;
};

static struct cache *caches[MAX_LOOPS];

static struct cache **cache_here(void)
{
    unsigned index = loop_index(loop_current());

    if (UNLIKELY(index >= MAX_LOOPS))
        die("loop %u: only %d loops are supported", index, MAX_LOOPS);
    return &caches[index];
}

/* --- entries --- */

static void entry_forget(struct cache *c, struct entry *e)
{
    (void)map_remove(&c->by_host, str_of(e->host, e->host_n));
    list_remove(&e->by_use);
    c->count--;
    mem_free(e->host);
    mem_free(e);
}

/* Make room by dropping the entry that was not used for the longest time. */
static void cache_trim(struct cache *c)
{
    for (struct list *node = c->by_use.prev; node != &c->by_use && c->count >= MAX_ENTRIES;) {
        struct entry *e = CONTAINER_OF(node, struct entry, by_use);
        node = node->prev;
        if (e->busy == 0)
            entry_forget(c, e);
    }
}

static struct entry *entry_of(struct str host)
{
    struct cache **here = cache_here();

    if (!*here) {
        *here = NEW(struct cache);
        list_init(&(*here)->by_use);
    }
    struct cache *c = *here;
    struct entry *e = map_get(&c->by_host, host);
    if (e) {
        list_remove(&e->by_use);
    } else {
        cache_trim(c);
        e = mem_zalloc(1, sizeof *e + DNS_MAX_ADDRS * sizeof e->addrs[0]);
        e->host = mem_dup(host.p, host.n);
        e->host_n = host.n;
        list_init(&e->waiters);
        (void)map_put(&c->by_host, str_of(e->host, e->host_n), e);
        c->count++;
    }
    list_push_front(&c->by_use, &e->by_use);
    return e;
}

/* --- the look-up --- */

struct lookup {
    struct job job;
    const struct seams *seams;
    int count; /* addresses, or a negated errno value */
    struct addr addrs[DNS_MAX_ADDRS];
    char host[NAME_MAX_BYTES + 1];
};

static void lookup_run(struct job *j)
{
    struct lookup *l = CONTAINER_OF(j, struct lookup, job);

    l->count = l->seams->net->resolve(l->seams->ctx, l->host, l->addrs, DNS_MAX_ADDRS);
}

static void lookup_drop(struct job *j)
{
    mem_free(CONTAINER_OF(j, struct lookup, job));
}

static void entry_learn(struct entry *e, const struct lookup *l)
{
    ns_t now = rt_now();

    if (l->count > 0) {
        e->count = (size_t)l->count;
        memcpy(e->addrs, l->addrs, e->count * sizeof l->addrs[0]);
        e->failure = OK;
        e->fresh_until = now + FRESH_TIME;
        e->stale_until = now + STALE_TIME;
        return;
    }
    e->failure = E_RESOLVE;
    e->failure_errno = l->count ? -l->count : ENOENT;
    e->fresh_until = now + FAILURE_TIME;
}

/* Look the name up; fails only if the fiber was stopped. */
static err_t entry_refresh(struct entry *e) SUSPENDS;
static err_t entry_refresh(struct entry *e)
{
    bool has_stale = e->count > 0 && rt_now() < e->stale_until;
    struct lookup *l = NEW(struct lookup);

    l->job.run = lookup_run;
    l->job.drop = lookup_drop;
    l->seams = loop_seams();
    memcpy(l->host, e->host, e->host_n + 1);
    err_t err;
    {
        WITHIN(has_stale ? rt_now() + STALE_PATIENCE : NS_NEVER);
        err = worker_run(&l->job);
    }
    if (err == E_DEADLINE && has_stale && rt_now() < fiber_deadline()) {
        e->fresh_until = rt_now() + FAILURE_TIME; /* the old answer serves; another try then */
        return OK;
    }
    TRY(err);
    entry_learn(e, l);
    mem_free(l);
    return OK;
}

/* Look up on behalf of all that wait, and wake them. */
static err_t entry_lead(struct entry *e) SUSPENDS;
static err_t entry_lead(struct entry *e)
{
    e->leader = fiber_current();
    e->busy++;
    err_t err = entry_refresh(e);
    e->busy--;
    e->leader = NULL;
    LIST_EACH(node, safe, &e->waiters)
        fiber_wake(CONTAINER_OF(node, struct waiter, node)->fiber);
    return err;
}

static err_t entry_wait(struct entry *e) SUSPENDS;
static err_t entry_wait(struct entry *e)
{
    struct waiter w = {.fiber = fiber_current()};

    list_push_back(&e->waiters, &w.node);
    e->busy++;
    err_t err = fiber_park("dns", NS_NEVER);
    e->busy--;
    list_remove(&w.node);
    return err;
}

/* --- answering --- */

/* Put the answer that is known into *ret. */
static err_t answer(const struct entry *e, uint16_t port, struct dns_answer *ret)
{
    if (e->count == 0 || (e->failure && rt_now() >= e->stale_until))
        return fail(E_RESOLVE, "%s: %s", e->host,
                    e->failure_errno == ENOENT ? "no such name"
                                               : "the resolver gave no answer; trying again later may help");
    memcpy(ret->addrs, e->addrs, e->count * sizeof e->addrs[0]);
    ret->count = e->count;
    for (size_t i = 0; i < ret->count; i++)
        addr_set_port(&ret->addrs[i], port);
    return OK;
}

static bool usable_now(const struct entry *e)
{
    ns_t now = rt_now();

    if (now < e->fresh_until)
        return true;
    return e->leader && e->count > 0 && now < e->stale_until;
}

err_t dns_resolve(struct str host, uint16_t port, struct dns_answer *ret)
{
    if (addr_from_ip(host, port, &ret->addrs[0])) {
        ret->count = 1;
        return OK;
    }
    if (host.n == 0 || host.n > NAME_MAX_BYTES || memchr(host.p, '\0', host.n))
        return fail(E_RESOLVE, "%.*s: not a host name", (int)(host.n < 64 ? host.n : 64), host.p ? host.p : "");
    struct entry *e = entry_of(host);
    while (!usable_now(e))
        TRY(e->leader ? entry_wait(e) : entry_lead(e));
    return answer(e, port, ret);
}

void dns_drain(void)
{
    struct cache **here = cache_here(), *c = *here;

    if (!c)
        return;
    LIST_EACH(node, safe, &c->by_use)
        entry_forget(c, CONTAINER_OF(node, struct entry, by_use));
    map_release(&c->by_host);
    mem_free(c);
    *here = NULL;
}
