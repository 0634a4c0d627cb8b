/*
 * dial.c - one connection to an origin.
 *
 * Of a name with several addresses, the first to answer wins (RFC 8305): addresses are tried in the resolver's order with the
 * families taking turns, a new one every 250 ms or as soon as one has failed. Each try is a fiber in a scope; leaving the
 * scope cancels the losers, which closes their sockets.
 *
 * One address, the common case, is connected to by the calling fiber itself: ten thousand streams that start at a time should
 * not need ten thousand more stacks.
 *
 * Not done: remembering which family won; RFC 8305's separate queries for A and AAAA, which getaddrinfo hides.
 */
#include "net/dial.h"

#include "base/mem.h"
#include "net/dns.h"
#include "rt/loop.h"
#include "rt/scope.h"

#include <assert.h>
#include <string.h>

#define STAGGER (250 * NS_MS)

/* --- happy eyeballs --- */

struct race;

struct runner {
    struct race *race;
    struct addr addr;
};

struct race {
    struct sock *winner; /* owned */
    size_t count;
    struct runner runners[DNS_MAX_ADDRS];
};

static err_t runner_main(void *arg) SUSPENDS;
static err_t runner_main(void *arg)
{
    struct runner *r = arg;
    struct sock *s;

    TRY(sock_connect(&r->addr, &s));
    if (r->race->winner)
        sock_close(s);
    else
        r->race->winner = s;
    return OK;
}

/* Fill the race: families take turns, beginning with that of the first address. */
static void line_up(struct race *race, const struct dns_answer *from)
{
    bool taken[DNS_MAX_ADDRS] = {false};
    bool family = addr_is_v6(&from->addrs[0]);

    while (race->count < from->count) {
        size_t i = 0, any = from->count;
        for (; i < from->count && (taken[i] || addr_is_v6(&from->addrs[i]) != family); i++)
            if (!taken[i] && any == from->count)
                any = i;
        if (i == from->count)
            i = any; /* none left of this family */
        taken[i] = true;
        race->runners[race->count++] = (struct runner){race, from->addrs[i]};
        family = !addr_is_v6(&from->addrs[i]);
    }
}

/* Runs in a scope of its own: on return all losers are gone. */
static err_t run_race(struct race *race) SUSPENDS;
static err_t run_race(struct race *race)
{
    SCOPE(scope, NS_NEVER);

    for (size_t next = 0, live = 0;;) {
        ns_t until = NS_NEVER;
        if (next < race->count) {
            (void)scope_spawn(&scope, "connect", runner_main, &race->runners[next++]);
            live++;
            if (next < race->count)
                until = ns_add(rt_now(), STAGGER);
        }
        err_t child = OK;
        err_t e = scope_wait_any(&scope, until, &child);
        if (e == E_AGAIN)
            continue;
        TRY(e);
        if (race->winner)
            return OK;
        if (--live == 0 && next == race->count)
            return child;
    }
}

static err_t connect_any(const struct dns_answer *answer, struct sock **ret) SUSPENDS;
static err_t connect_any(const struct dns_answer *answer, struct sock **ret)
{
    if (answer->count == 1)
        return sock_connect(&answer->addrs[0], ret);
    struct race *race = NEW(struct race);
    line_up(race, answer);
    err_t e = run_race(race);
    if (e)
        sock_close(race->winner);
    else
        *ret = race->winner;
    mem_free(race);
    return e;
}

/* --- steps --- */

/* Leave in the answer what may be connected to. */
static err_t keep_permitted(const struct dial_target *t, struct dns_answer *answer)
{
    size_t kept = 0;

    for (size_t i = 0; i < answer->count; i++)
        if (t->permit(t->permit_ctx, &answer->addrs[i]))
            answer->addrs[kept++] = answer->addrs[i];
    answer->count = kept;
    return kept ? OK : fail(E_FORBIDDEN, "it has no address that may be connected to");
}

static err_t connect_name(const struct dial_target *t, struct str host, uint16_t port, struct sock **ret) SUSPENDS;
static err_t connect_name(const struct dial_target *t, struct str host, uint16_t port, struct sock **ret)
{
    struct dns_answer *answer = mem_alloc(sizeof *answer); /* too large for a stack that is meant to stay small */
    err_t e = dns_resolve(host, port, answer);

    if (!e && t->permit)
        e = keep_permitted(t, answer);
    if (!e)
        e = connect_any(answer, ret);
    mem_free(answer);
    return e;
}

static err_t connect_path(struct str path, struct sock **ret) SUSPENDS;
static err_t connect_path(struct str path, struct sock **ret)
{
    struct addr addr = {.len = sizeof addr.u.path};

    if (path.n >= sizeof addr.u.path.sun_path)
        return fail(E_CONFIG, "unix socket: the path is longer than %zu bytes", sizeof addr.u.path.sun_path - 1);
    addr.u.path.sun_family = AF_UNIX;
    memcpy(addr.u.path.sun_path, path.p, path.n);
    return sock_connect(&addr, ret);
}

static err_t connect_target(const struct dial_target *t, struct sock **ret) SUSPENDS;
static err_t connect_target(const struct dial_target *t, struct sock **ret)
{
    if (t->unix_path.n)
        return connect_path(t->unix_path, ret);
    if (t->proxy)
        return err_context(connect_name(t, str_from_c(t->proxy->host), t->proxy->port, ret), "proxy %s:%u",
                           t->proxy->host, t->proxy->port);
    return connect_name(t, t->host, t->port, ret);
}

err_t dial(const struct dial_target *t, struct conn *ret)
{
    struct conn c CLEANUP(conn_close) = {0};
    struct tls_ctx *tls = t->tls;

    assert(!t->permit ||
           (!t->proxy && !t->unix_path.n)); /* it would be asked about the proxy's addresses, or about none */
    if (t->secure && !tls)
        TRY(tls_client_default(&tls));
    TRY(connect_target(t, &c.sock));
    if (t->secure && t->proxy && !t->unix_path.n)
        TRY(proxy_tunnel(t->proxy, &c, t->host, t->port));
    if (t->secure)
        TRY(tls_connect(tls, c.sock, t->host, &c.tls));
    *ret = c;
    c = (struct conn){0};
    return OK;
}
