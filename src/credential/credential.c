/*
 * credential.c - the credential in use of one source, and its renewal: when, by whom, and what happens when it fails.
 *
 * Idea. A renewal is a fiber in a scope that outlives requests, so a request that leaves takes nothing with it and there is never more than one.
 * Requests that find no good credential are listed and woken at its end. A timer begins renewals of sources in use;
 * one that nobody has asked since its last renewal is let go stale, and the next request that comes starts it again.
 *
 * A credential has three times: `renew_at`, from which on it is renewed while it serves; `good_until`, a little before it expires, because a
 * request needs time to arrive; `expires`. Renewals are spread by chance, as each loop has a source of its own.
 *
 * Invariants: `renewing` is the one fiber that has a reference on the source; `waiters` is empty unless it is set or has just ended.
 *
 * Not here: how credentials are got (kind/).
 */
#include "credential/credential.h"

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "credential/kind.h"
#include "net/tls.h"
#include "rt/loop.h"
#include "rt/timer.h"

#include <assert.h>

#define RENEWAL_TIME (30 * NS_SEC)
#define MARGIN_MAX (300 * NS_SEC)
#define GOOD_MARGIN_MAX (30 * NS_SEC)
#define RETRY_FIRST (1 * NS_SEC)
#define REJECT_AGE (60 * NS_SEC)

enum { RETRY_DOUBLINGS = 6 }; /* 64 s */
enum { RENEWAL_MEMORY = 4 * 1024 * 1024, TOKEN_MAX = 32 * 1024 };

struct waiter {
    struct list node;
    struct fiber *fiber;
};

struct credential_source {
    unsigned refs; /* the owner's and the renewal's */
    struct credential_options options;
    struct arena texts;         /* of the options */
    struct credential *current; /* a reference; NULL: none yet */
    ns_t renewed, renew_at, good_until;
    struct timer timer;     /* the next renewal in the background */
    bool used;              /* asked for since the last renewal */
    bool closed;            /* by its owner */
    struct fiber *renewing; /* NULL: no renewal is under way */
    struct list waiters;
    unsigned failed_in_row;
    ns_t retry_at;             /* no renewal before */
    struct err_record failure; /* of the last renewal, if it failed */
    uint64_t renewals, failures;
};

/* --- credentials --- */

struct credential *credential_ref(struct credential *c)
{
    c->refs_++;
    return c;
}

void credential_unref(struct credential *c)
{
    if (!c || --c->refs_ > 0)
        return;
    secret_release(&c->authorization);
    secret_release(&c->secret_access_key);
    secret_release(&c->session_token);
    mem_free((void *)(uintptr_t)c->access_key_id.p);
    mem_free((void *)(uintptr_t)c->quota_project.p);
    mem_free(c);
}

void credential_unref_void(void *c)
{
    credential_unref(c);
}

static struct str copied(struct str s)
{
    return s.n ? str_of(mem_dup(s.p, s.n), s.n) : STR_NONE;
}

static struct credential *credential_new(struct arena *a, const struct credential_grant *g)
{
    struct credential *c = NEW(struct credential);

    c->refs_ = 1;
    if (g->token.n)
        c->authorization = secret_make(arena_join(a, STR("Bearer "), g->token));
    c->access_key_id = copied(g->access_key_id);
    c->secret_access_key = secret_make(g->secret_access_key);
    c->session_token = secret_make(g->session_token);
    c->quota_project = copied(g->quota_project);
    c->expires = g->expires;
    return c;
}

/* --- life --- */

static void copy_texts(struct arena *a, struct str *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        *texts[i] = arena_str(a, *texts[i]);
}

/* Make what the options point to the source's own. */
static void own_options(struct credential_source *s)
{
    struct credential_options *o = &s->options;
    struct str *const texts[] = {&o->provider,          &o->proxy,
                                 &o->google.file,       &o->google.scope,
                                 &o->google.token_url,  &o->azure.tenant,
                                 &o->azure.client_id,   &o->azure.token_file,
                                 &o->azure.scope,       &o->azure.authority,
                                 &o->aws.profile,       &o->aws.region,
                                 &o->aws.role_arn,      &o->aws.external_id,
                                 &o->aws.session_name,  &o->aws.token_file,
                                 &o->aws.sts_url,       &o->aws.container_url,
                                 &o->aws.metadata_url,  &o->azure.metadata_url,
                                 &o->aws.access_key_id, &o->google.metadata_url};
    struct secret *const secrets[] = {&o->azure.client_secret, &o->aws.secret_access_key, &o->aws.session_token};

    copy_texts(&s->texts, texts, ARRAY_LEN(texts));
    o->tls = o->tls ? tls_ctx_ref(o->tls) : NULL;
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++)
        *secrets[i] = secret_make(secret_reveal(secrets[i]));
}

static void source_unref(struct credential_source *s)
{
    if (--s->refs > 0)
        return;
    assert(list_is_empty(&s->waiters) && !timer_is_armed(&s->timer));
    credential_unref(s->current);
    secret_release(&s->options.azure.client_secret);
    secret_release(&s->options.aws.secret_access_key);
    secret_release(&s->options.aws.session_token);
    tls_ctx_unref(s->options.tls);
    arena_release(&s->texts);
    mem_free(s);
}

void credential_source_free(struct credential_source *s)
{
    if (!s)
        return;
    assert(list_is_empty(&s->waiters));
    s->closed = true;
    timer_disarm(&s->timer);
    if (s->renewing)
        fiber_cancel(s->renewing);
    source_unref(s);
}

/* --- renewing --- */

static bool is_good(const struct credential_source *s)
{
    return s->current && rt_now() < s->good_until;
}

static void log_failure(const struct credential_source *s)
{
    if (!is_good(s))
        log_error(STR_NONE, "%s", s->failure.text);
    else if (s->good_until == NS_NEVER)
        log_warn(STR_NONE, "%s; the one in use stays", s->failure.text);
    else
        log_warn(STR_NONE, "%s; the one in use is good for %lld s more", s->failure.text,
                 (long long)((s->good_until - rt_now()) / NS_SEC));
}

static ns_t jitter(ns_t span)
{
    return span > 0 ? (ns_t)(rt_random() % (uint64_t)span) : 0;
}

/* Renew from a quarter of its life before the end on, at most five minutes; a little earlier by chance. */
static void plan(struct credential_source *s, const struct credential_grant *g)
{
    ns_t now = rt_now(), life = g->expires - now;

    s->renewed = now;
    if (g->expires == NS_NEVER) {
        s->good_until = NS_NEVER;
        s->renew_at = g->look_again ? g->look_again : NS_NEVER;
        return;
    }
    ns_t margin = ns_min(life / 4, MARGIN_MAX);
    s->good_until = g->expires - ns_min(life / 10, GOOD_MARGIN_MAX);
    s->renew_at = g->expires - margin - jitter(margin / 4);
}

static void install(struct credential_source *s, struct arena *a, const struct credential_grant *g)
{
    if (s->failed_in_row && s->current)
        log_info(STR_NONE, "provider %.*s: the credential was renewed", STR_ARG(s->options.provider));
    credential_unref(s->current);
    s->current = credential_new(a, g);
    plan(s, g);
    s->used = !list_is_empty(&s->waiters);
    s->failed_in_row = 0;
    s->renewals++;
    if (s->renew_at != NS_NEVER)
        timer_arm(&s->timer, s->renew_at);
}

/* What of a kind's failure a caller can tell apart. */
static err_t public_code(err_t e)
{
    return e == E_CONFIG || e == E_NOT_FOUND || e == E_UNSUPPORTED || e == E_PARSE ? E_CONFIG : E_UPSTREAM;
}

static void give_up(struct credential_source *s, err_t e)
{
    const char *why = e == E_DEADLINE    ? "it took longer than 30 s"
                      : e == E_CANCELLED ? "the process is ending"
                                         : err_detail(e);
    ns_t wait = RETRY_FIRST << ns_min(s->failed_in_row, RETRY_DOUBLINGS);

    (void)fail(public_code(e), "credential of provider %.*s (%s): %s", STR_ARG(s->options.provider),
               s->options.kind->name, why);
    s->failure = *err_current();
    s->retry_at = rt_now() + wait / 2 + jitter(wait / 2);
    s->failed_in_row++;
    s->failures++;
    if (e != E_CANCELLED)
        log_failure(s);
    if (is_good(s))
        timer_arm(&s->timer, s->retry_at);
}

/* Can the token stand in a header? */
static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    return s.n <= TOKEN_MAX;
}

static err_t check_grant(const struct credential_grant *g)
{
    bool is_key = g->access_key_id.n && g->secret_access_key.n;

    if (!g->token.n && !is_key)
        return fail(E_UPSTREAM, "the answer holds no credential");
    if (!is_token(g->token) || !is_token(g->access_key_id) || !is_token(g->secret_access_key) ||
        !is_token(g->session_token) || !is_token(g->quota_project))
        return fail(E_UPSTREAM, "the credential has characters that no header can carry, or is longer than %d bytes",
                    TOKEN_MAX);
    if (g->expires <= rt_now() + NS_SEC)
        return fail(E_UPSTREAM, "the credential has expired already; is the clock right?");
    return OK;
}

static SUSPENDS err_t fetch(struct credential_source *s, struct arena *a, struct credential_grant *ret)
{
    struct credential_fetch f = {.arena = a, .options = &s->options};

    WITHIN(ns_add(rt_now(), RENEWAL_TIME));
    TRY(s->options.kind->fetch(&f, ret));
    return check_grant(ret);
}

static SUSPENDS err_t renew(void *arg)
{
    struct credential_source *s = arg;
    struct arena arena CLEANUP(arena_release);
    struct credential_grant g = {.expires = NS_NEVER};

    arena_init(&arena, RENEWAL_MEMORY);
    err_t e = fetch(s, &arena, &g);
    s->renewing = NULL;
    if (!s->closed && e == OK)
        install(s, &arena, &g);
    else if (!s->closed)
        give_up(s, e);
    LIST_EACH(node, next, &s->waiters)
        fiber_wake(CONTAINER_OF(node, struct waiter, node)->fiber);
    source_unref(s);
    return OK;
}

static void start(struct credential_source *s)
{
    timer_disarm(&s->timer);
    s->refs++;
    s->renewing = scope_spawn(s->options.scope, "credential", renew, s);
}

static void on_timer(struct timer *t)
{
    struct credential_source *s = CONTAINER_OF(t, struct credential_source, timer);

    if (s->used && !s->renewing)
        start(s);
}

struct credential_source *credential_source_new(const struct credential_options *options)
{
    struct credential_source *s = NEW(struct credential_source);

    s->refs = 1;
    s->options = *options;
    s->timer.fire = on_timer;
    list_init(&s->waiters);
    arena_init(&s->texts, SIZE_MAX);
    own_options(s);
    return s;
}

/* --- asking --- */

static SUSPENDS err_t wait_for_renewal(struct credential_source *s)
{
    struct waiter w = {.fiber = fiber_current()};

    list_push_back(&s->waiters, &w.node);
    err_t e = fiber_park("a credential", NS_NEVER);
    list_remove(&w.node);
    return e;
}

static bool may_start(const struct credential_source *s)
{
    return !s->renewing && rt_now() >= s->retry_at;
}

err_t credential_get(struct credential_source *s, struct credential **ret)
{
    while (!is_good(s)) {
        if (may_start(s))
            start(s);
        if (!s->renewing)
            return fail(s->failure.code, "%s", s->failure.text);
        TRY(wait_for_renewal(s));
    }
    s->used = true;
    if (rt_now() >= s->renew_at && may_start(s))
        start(s);
    *ret = credential_ref(s->current);
    return OK;
}

void credential_warm(struct credential_source *s)
{
    if (!is_good(s) && may_start(s))
        start(s);
}

void credential_rejected(struct credential_source *s, const struct credential *c)
{
    if (s->current == c && rt_now() - s->renewed >= REJECT_AGE)
        s->good_until = 0;
}

void credential_stats(const struct credential_source *s, struct credential_stats *ret)
{
    *ret = (struct credential_stats){.renewals = s->renewals,
                                     .failures = s->failures,
                                     .is_good = is_good(s),
                                     .expires = s->current ? s->current->expires : 0};
    LIST_EACH(node, next, &s->waiters)
        ret->waiting++;
}

const struct credential_kind *credential_kind_find(struct str name)
{
    for (const struct credential_kind *const *k = credential_kind_catalog; *k; k++)
        if (str_eq(str_from_c((*k)->name), name))
            return *k;
    return NULL;
}
