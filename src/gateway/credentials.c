/*
 * credentials.c - which of its provider's credentials a request carries, and what the answer says about that one.
 *
 * The state of each is in fleet/live_credential.h. Here the choice is made among those of one provider, by what their limits leave and by weight, and
 * counted in; what an answer's head tells of limits is read; and what is news to an operator is said once. A request that no credential may carry
 * is never sent: it goes to another deployment, or its client is told when to come back.
 *
 * What is a 401 and what a 403: dialects read a provider's words (llm/error.h). ERROR_AUTH is about the credential, ERROR_FORBIDDEN and any other
 * refusal about its use of the model.
 */
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "gateway/exchange.h"
#include "rt/loop.h"

enum { NAME_SHOWN = 200 };

static struct rate_need need_of(const struct exchange *x)
{
    return (struct rate_need){.input_tokens = x->input_tokens, .output_tokens = x->output_tokens};
}

/* Its limits at that deployment; NULL: it stands for models without names, or for none. */
static struct live_limit *limit_of(const struct exchange *x, const struct deployment *d, size_t key)
{
    return d ? x->snapshot->limits[d->index][key] : NULL;
}

static void read_option(const struct exchange *x, const struct provider *p, const struct deployment *d,
                        struct str model, size_t key, ns_t now, struct rate_option *to)
{
    struct rate_need need = need_of(x);

    *to = (struct rate_option){.weight = p->keys[key].weight};
    live_credential_read(x->snapshot->providers[p->index].credentials[key], limit_of(x, d, key), model, &need, now, to);
}

/* Why none of them may be used: whoever waits will be there again. */
static enum exclusion excluded_by(enum rate_answer least)
{
    switch (least) {
    case RATE_ALLOWED:
        break;
    case RATE_WAIT:
        return EXCLUDED_RATE_LIMIT;
    case RATE_NEVER:
        return EXCLUDED_CREDENTIAL;
    }
    return EXCLUDED_NOT;
}

enum exclusion credentials_read(const struct exchange *x, const struct provider *p, const struct deployment *d,
                                struct str model, ns_t now, double *ret_headroom, ns_t *ret_at)
{
    struct live_credential *const *credentials = x->snapshot->providers[p->index].credentials;
    uint64_t tokens = x->input_tokens + x->output_tokens;
    enum rate_answer least = RATE_NEVER;
    double free = 0, all = 0;

    *ret_at = NS_NEVER;
    for (size_t i = 0; i < p->key_count; i++) {
        double weight = p->keys[i].weight, headroom;
        all += weight;
        if (live_credential_is_roomy(credentials[i], limit_of(x, d, i), tokens, now, &headroom)) {
            least = RATE_ALLOWED;
            free += weight * headroom;
            continue;
        }
        struct rate_option o;
        read_option(x, p, d, model, i, now, &o);
        least = o.verdict.answer < least ? o.verdict.answer : least;
        if (o.verdict.answer == RATE_WAIT)
            *ret_at = ns_min(*ret_at, o.verdict.at);
        free += o.verdict.answer == RATE_ALLOWED ? weight * o.headroom : 0;
    }
    *ret_headroom = free / all;
    return excluded_by(least);
}

/* --- sending --- */

/* What cannot be sent twice had better not try whether a credential is accepted again, while another is. */
static void avoid_probes(struct rate_option *options, size_t n)
{
    bool has_sure = false;

    for (size_t i = 0; i < n; i++)
        has_sure |= options[i].verdict.answer == RATE_ALLOWED && !options[i].verdict.is_probe;
    for (size_t i = 0; has_sure && i < n; i++)
        if (options[i].verdict.is_probe)
            options[i].verdict.answer = RATE_NEVER;
}

static enum exclusion why_none(const struct rate_option *options, size_t n)
{
    enum rate_answer least = RATE_NEVER;

    for (size_t i = 0; i < n; i++)
        least = options[i].verdict.answer < least ? options[i].verdict.answer : least;
    return excluded_by(least);
}

enum exclusion credentials_send(struct exchange *x, struct attempt *a, bool at_last)
{
    const struct candidate *c = x->chosen;
    const struct provider *p = c->provider;
    struct rate_option *options = arena_alloc(x->r->arena, p->key_count * sizeof *options);
    struct rate_need need = need_of(x);
    ns_t now = rt_now(), at;

    for (size_t i = 0; i < p->key_count; i++)
        read_option(x, p, c->deployment, c->model, i, now, &options[i]);
    for (size_t i = 0; at_last && i < p->key_count; i++)
        if (options[i].verdict.answer == RATE_NEVER)
            options[i].verdict =
                (struct rate_verdict){.answer = RATE_ALLOWED, .at = now, .account = -1, .is_probe = true};
    if (x->once)
        avoid_probes(options, p->key_count);
    for (;;) { /* each round fewer may be used */
        size_t i = rate_choose(options, p->key_count, p->key_count > 1 ? rt_random() : 0, now, &at);
        if (i == SIZE_MAX)
            return why_none(options, p->key_count);
        options[i].verdict =
            live_credential_send(x->snapshot->providers[p->index].credentials[i], limit_of(x, c->deployment, i),
                                 c->model, &need, at_last, now, &a->use);
        if (options[i].verdict.answer == RATE_ALLOWED) {
            x->key_index = i;
            return EXCLUDED_NOT;
        }
    }
}

/* --- its answer --- */

void credentials_hear(struct attempt *a)
{
    const struct http_head *head = http_call_head(a->call);
    ns_t now = rt_now();
    int64_t wall = rt_wall();

    a->reading = (struct rate_reading){.count = 0};
    for (size_t i = 0; i < head->count; i++)
        rate_reading_header(&a->reading, head->headers[i].name, head->headers[i].value, now, wall);
}

static void tell(const struct exchange *x, const struct attempt *a, enum live_credential_news news)
{
    struct str provider = x->chosen->provider->name, key = provider_key_label(x->chosen->provider, x->key_index),
               model = x->chosen->model;

    switch (news) {
    case LIVE_CREDENTIAL_RETIRED:
        log_warn(x->facts.id,
                 "provider %.*s refuses credential %.*s (status %d): retired, but for a trial now and then",
                 STR_ARG(provider), STR_ARG(key), a->status);
        return;
    case LIVE_CREDENTIAL_NOT_MODEL:
        log_warn(x->facts.id,
                 "provider %.*s refuses credential %.*s the use of %.*s (status %d): retired there, but for a trial "
                 "now and then",
                 STR_ARG(provider), STR_ARG(key), STR_ARG(model), a->status);
        return;
    case LIVE_CREDENTIAL_SPENT:
        log_warn(x->facts.id, "provider %.*s: quota or money of credential %.*s is spent (status %d): it rests",
                 STR_ARG(provider), STR_ARG(key), a->status);
        return;
    case LIVE_CREDENTIAL_ACCEPTED:
        log_info(x->facts.id, "provider %.*s accepts credential %.*s again, for %.*s", STR_ARG(provider), STR_ARG(key),
                 STR_ARG(model));
        return;
    case LIVE_CREDENTIAL_PARKED:
        log_debug(x->facts.id, "provider %.*s: credential %.*s has reached its limits at %.*s: it rests",
                  STR_ARG(provider), STR_ARG(key), STR_ARG(model));
        return;
    case LIVE_CREDENTIAL_SAME:
    case LIVE_CREDENTIAL_NEWS:
        return;
    }
}

void credentials_answered(struct exchange *x, struct attempt *a, enum cause cause)
{
    bool of_key = false, has_answer = a->call && a->error == OK;

    if (!a->use.credential)
        return;
    if (has_answer && cause != CAUSE_OK) {
        const struct api_error *e = attempt_error(x, a);
        of_key = a->status == 401 || error_class_of(e) == ERROR_AUTH;
        if (!a->reading.has_retry && e->retry_after_ms > 0) { /* in its body */
            a->reading.has_retry = true;
            a->reading.retry_at = ns_add(rt_now(), ns_min(e->retry_after_ms, NS_NEVER / NS_MS) * NS_MS);
        }
    }
    tell(x, a, live_credential_answered(&a->use, cause, of_key, has_answer ? &a->reading : NULL, rt_now()));
}

void credentials_question_refused(struct exchange *x, const struct deployment *d, struct attempt *a)
{
    struct live_credential *c = x->snapshot->providers[d->provider->index].credentials[x->key_index];
    static const struct rate_need nothing = {.input_tokens = 0};
    ns_t now = rt_now();

    if (live_credential_send(c, limit_of(x, d, x->key_index), d->model, &nothing, false, now, &a->use).answer ==
        RATE_ALLOWED)
        tell(x, a, live_credential_answered(&a->use, CAUSE_AUTH, true, NULL, now));
}

/* --- nothing to send it with --- */

static ns_t first_of(const struct exchange *x, const struct target *targets, size_t n)
{
    ns_t first = NS_NEVER, now = rt_now();

    for (size_t i = 0; i < n; i++) {
        const struct deployment *d = targets[i].deployment;
        double headroom;
        ns_t at;
        if (can_be_asked(x, d->provider) && candidate_rules(x, d) == EXCLUDED_NOT &&
            credentials_read(x, d->provider, d, d->model, now, &headroom, &at) == EXCLUDED_RATE_LIMIT)
            first = ns_min(first, at);
    }
    return first;
}

ns_t credentials_wait(const struct exchange *x)
{
    const struct model *m = x->model;
    const struct candidate *c = x->chosen;
    ns_t at = NS_NEVER;
    double headroom;

    if (!m) {
        (void)credentials_read(x, c->provider, c->deployment, c->model, rt_now(), &headroom, &at);
        return at;
    }
    at = first_of(x, m->targets, m->target_count);
    for (size_t i = 0; i < FALLBACKS; i++)
        at = ns_min(at, first_of(x, m->fallbacks[i].items, m->fallbacks[i].count));
    return at;
}

err_t credentials_refuse(struct exchange *x)
{
    ns_t at = credentials_wait(x), rest = at - rt_now();
    struct str what = x->facts.model.n ? utf8_prefix(x->facts.model, NAME_SHOWN) : x->facts.path;

    if (at == NS_NEVER) {
        struct api_error e = {.status = 502,
                              .code = "provider_credential_refused",
                              .message =
                                  arena_printf(x->r->arena,
                                               "No provider of '%.*s' accepts this gateway's credentials. This is not "
                                               "about your key: the operator of the gateway must check them.",
                                               STR_ARG(what))};
        x->facts.error = E_UPSTREAM;
        return reply_error(x, &e);
    }
    int64_t ms = rest > 0 ? (rest + NS_MS - 1) / NS_MS : 1;
    struct api_error e = {.status = 429,
                          .error_class = ERROR_RATE_LIMIT,
                          .code = "rate_limit_exceeded",
                          .retry_after_ms = ms,
                          .message =
                              arena_printf(x->r->arena,
                                           "The rate limits of this gateway's credentials for '%.*s' are reached at "
                                           "every provider: try again in %lld s.",
                                           STR_ARG(what), (long long)((ms + 999) / 1000))};
    x->facts.error = E_OVERLOAD;
    return tell_error(x, &e);
}

/* --- for people --- */

/* The least headroom of each credential over all models that it is used for; those of a provider lie at `first` of its index. */
static void least_headrooms(const struct snapshot *s, const size_t *first, ns_t now, double *ret)
{
    for (size_t i = 0; i < s->catalog->deployment_count; i++) {
        const struct provider *p = s->catalog->deployments[i].provider;
        for (size_t k = 0; k < p->key_count; k++) {
            double *least = &ret[first[p->index] + k];
            struct live_credential_report r = {.headroom = 1};
            if (s->limits[i][k])
                live_limit_report(s->limits[i][k], now, &r);
            *least = r.headroom < *least ? r.headroom : *least;
        }
    }
}

static void count_one(const struct snapshot *s, const struct provider *p, size_t key, double headroom, ns_t now,
                      struct metrics *to)
{
    struct live_credential_report r;

    live_credential_report(s->providers[p->index].credentials[key], now, &r);
    struct credential_numbers n = {.is_usable = r.state.state == RATE_OPEN,
                                   .headroom = r.state.state == RATE_OPEN ? headroom : 0,
                                   .requests = r.sent,
                                   .rate_limited = r.rate_limited,
                                   .refused = r.refused};
    metrics_credential(to, p->name, provider_key_label(p, key), &n);
}

void credentials_count(const struct snapshot *s, struct metrics *to)
{
    const struct catalog *c = s->catalog;
    size_t *first = mem_zalloc(c->provider_count + 1, sizeof *first);
    ns_t now = rt_now();

    for (size_t i = 0; i < c->provider_count; i++)
        first[i + 1] = first[i] + c->providers[i].key_count;
    double *headrooms = mem_alloc((first[c->provider_count] + 1) * sizeof *headrooms);
    for (size_t i = 0; i < first[c->provider_count]; i++)
        headrooms[i] = 1;
    least_headrooms(s, first, now, headrooms);
    for (size_t i = 0; i < c->provider_count; i++)
        for (size_t k = 0; k < c->providers[i].key_count; k++)
            count_one(s, &c->providers[i], k, headrooms[first[i] + k], now, to);
    mem_free(headrooms);
    mem_free(first);
}
