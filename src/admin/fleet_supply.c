/*
 * fleet_supply.c - what a deployment is asked with, and what holds requests back from it: its price, the provider's credentials, its concurrency limit and the
 * queues in front of it, and what its server says of its own load.
 *
 * Of a credential two things are told together, because a request needs both: whether it may be used at all, and what is left of its limits for the
 * deployment's model (fleet/live_credential.h). Secrets are not here, only names.
 */
#include "admin/admin_int.h"
#include "codec/json_out.h"

#include <math.h>

/* --- prices --- */

static void put_dollars(struct json_out *o, struct str key, uint64_t nano)
{
    if (nano == PRICE_UNSET)
        return;
    json_key(o, key);
    json_put_double(o, (double)nano / 1e9);
}

/* As of requests that are not long enough for another step of its price. */
static void put_rates(struct json_out *o, const struct price *p)
{
    static const struct price_rates none = {.cached_input = PRICE_UNSET, .cache_write = PRICE_UNSET};
    const struct price_rates *r = p->step_count ? &p->steps[0].rates : &none;

    json_open(o, '{');
    put_dollars(o, STR("input"), r->input);
    put_dollars(o, STR("output"), r->output);
    put_dollars(o, STR("cached_input"), r->cached_input);
    put_dollars(o, STR("cache_write"), r->cache_write);
    json_close(o, '}');
}

static void put_price(struct json_out *o, const struct deployment *d)
{
    json_key(o, STR("price_per_million"));
    if (d->price)
        put_rates(o, d->price);
    else
        json_put_null(o);
    if (d->price)
        json_member_str(o, STR("price_as_of"), d->price_as_of);
}

/* --- credentials --- */

static const char *state_name(enum rate_state s)
{
    static const char *const names[] = {[RATE_OPEN] = "open", [RATE_PARKED] = "parked", [RATE_RETIRED] = "retired"};

    return names[s];
}

static const char *what_name(enum rate_what what)
{
    static const char *const names[RATE_WHATS] = {[RATE_REQUESTS] = "requests",
                                                  [RATE_TOKENS] = "tokens",
                                                  [RATE_INPUT_TOKENS] = "input_tokens",
                                                  [RATE_OUTPUT_TOKENS] = "output_tokens"};

    return names[what];
}

static void put_limits(struct json_out *o, struct rate_credential *c, ns_t now)
{
    json_member_open(o, STR("limits"), '[');
    for (unsigned i = 0; i < c->account_count; i++) {
        struct rate_account *a = &c->accounts[i];
        uint64_t left = rate_account_left(a, now);
        json_open(o, '{');
        json_member_str(o, STR("of"), str_from_c(what_name(a->window.what)));
        if (a->window.has_limit)
            json_member_u64(o, STR("limit"), a->window.limit);
        if (left != UINT64_MAX)
            json_member_u64(o, STR("remaining"), left);
        if (a->window.has_reset)
            admin_put_ms(o, STR("reset_ms"), (double)(a->window.reset - now));
        json_close(o, '}');
    }
    json_close(o, ']');
}

/* What keeps it from being used: the whole of it, or its use of the model. */
static void put_rest(struct json_out *o, const struct rate_credential *c, ns_t now)
{
    json_member_str(o, STR("state"), str_from_c(state_name(c->state)));
    json_member_str(o, STR("why"), c->state == RATE_OPEN ? STR_NONE : str_from_c(cause_meaning(c->why)->name));
    admin_put_ms(o, STR("until_ms"), c->state == RATE_OPEN ? 0 : (double)(c->until - now));
}

static void put_credential(struct json_out *o, struct str name, struct live_credential *c, struct live_limit *l,
                           ns_t now)
{
    struct live_credential_report whole, own = {.headroom = 1};

    live_credential_report(c, now, &whole);
    if (l)
        live_limit_report(l, now, &own);
    json_open(o, '{');
    json_member_str(o, STR("credential"), name);
    put_rest(o, whole.state.state == RATE_OPEN ? &own.state : &whole.state, now);
    json_key(o, STR("headroom"));
    json_put_double(o, fmin(whole.headroom, own.headroom));
    json_member_u64(o, STR("sent"), whole.sent);
    json_member_u64(o, STR("rate_limited"), whole.rate_limited);
    json_member_u64(o, STR("refused"), whole.refused);
    put_limits(o, &own.state, now);
    json_close(o, '}');
}

static void put_credentials(struct json_out *o, const struct snapshot *s, const struct deployment *d, ns_t now)
{
    const struct provider *p = d->provider;
    const struct snapshot_provider *keys = &s->providers[p->index];

    json_member_open(o, STR("credentials"), '[');
    for (size_t k = 0; k < p->key_count; k++)
        put_credential(o, provider_key_label(p, k), keys->credentials[k], s->limits[d->index][k], now);
    json_close(o, ']');
}

ns_t fleet_credentials_rest(const struct snapshot *s, const struct deployment *d, ns_t now)
{
    const struct provider *p = d->provider;
    ns_t first = NS_NEVER;

    for (size_t k = 0; k < p->key_count; k++) {
        struct live_credential_report whole, own = {.headroom = 1};
        live_credential_report(s->providers[p->index].credentials[k], now, &whole);
        if (s->limits[d->index][k])
            live_limit_report(s->limits[d->index][k], now, &own);
        ns_t at = whole.state.state == RATE_OPEN ? 0 : whole.state.until;
        if (own.state.state != RATE_OPEN && own.state.until > at)
            at = own.state.until;
        first = ns_min(first, at);
    }
    return first > now ? first - now : 0;
}

/* --- what holds requests back --- */

static void put_gate(struct json_out *o, struct live_gate *gate, ns_t now)
{
    struct live_gate_report r;

    live_gate_report(gate, &r);
    json_key(o, STR("concurrency"));
    if (!r.is_limited) {
        json_put_null(o);
        return;
    }
    json_open(o, '{');
    json_member_u64(o, STR("limit"), (uint64_t)r.limit);
    json_member_str(o, STR("why"), str_from_c(concurrency_reason_words(r.reason)));
    admin_put_ms(o, STR("for_ms"), (double)(now - r.changed));
    json_member_u64(o, STR("promised"), r.promised);
    json_close(o, '}');
}

/* A share or a number of tokens; what was not told is left out. */
static void put_told(struct json_out *o, struct str key, double value)
{
    if (value < 0)
        return;
    json_key(o, key);
    json_put_double(o, value);
}

static void put_server(struct json_out *o, const struct live_server *server, ns_t now)
{
    json_key(o, STR("server"));
    if (!server->at) {
        json_put_null(o);
        return;
    }
    json_open(o, '{');
    json_member_u64(o, STR("age_ms"), (uint64_t)((now - server->at) / NS_MS));
    json_member_bool(o, STR("counts"), server->is_fresh);
    put_told(o, STR("running"), server->running);
    put_told(o, STR("waiting"), server->waiting);
    put_told(o, STR("cached_tokens"), server->held);
    put_told(o, STR("cache_used"), server->cache);
    json_close(o, '}');
}

void fleet_put_supply(struct json_out *o, const struct snapshot *s, const struct deployment *d, uint64_t waiting,
                      const struct live_server *server, ns_t now)
{
    put_price(o, d);
    put_credentials(o, s, d, now);
    put_gate(o, live_deployment_gate(s->deployments[d->index]), now);
    json_member_u64(o, STR("waiting"), waiting);
    put_server(o, server, now);
}
