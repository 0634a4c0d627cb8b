/*
 * fleet.c - GET /admin/fleet: how each deployment of the configuration fares, and what will happen to it next.
 *
 * The list is that of the configuration in use, so a deployment that nobody has asked yet is there, too. Figures come from fleet/live, each deployment's
 * consistent in itself. Thousands of deployments take milliseconds, so every few rows other fibers have their turn; the snapshot is held meanwhile.
 *
 * The same for Prometheus, on the page that everybody may see: names of the configuration and counts, no prices and no keys.
 */
#include "admin/admin_int.h"
#include "base/log.h"
#include "codec/json_out.h"
#include "fleet/live.h"
#include "observe/story.h"
#include "rt/loop.h"

enum { ROWS_PER_TURN = 32, WORDS_MAX = 256 };

/* --- which routes name a deployment --- */

/* Models by deployment: those of deployment i are models[from[i]] up to models[from[i + 1]]. */
struct routes {
    size_t *from;
    const struct model **models;
};

static struct routes find_routes(const struct catalog *c, struct arena *a)
{
    struct routes r = {.from = arena_zalloc(a, (c->deployment_count + 2) * sizeof *r.from)};
    size_t *next = r.from + 1; /* while they are filled in, counts and places stand one further */

    for (size_t i = 0; i < c->model_count; i++)
        for (size_t k = 0; k < c->models[i].target_count; k++)
            next[c->models[i].targets[k].deployment->index + 1]++;
    for (size_t i = 1; i <= c->deployment_count; i++)
        next[i] += next[i - 1];
    r.models = arena_alloc(a, (next[c->deployment_count] + 1) * sizeof(struct model *));
    for (size_t i = 0; i < c->model_count; i++)
        for (size_t k = 0; k < c->models[i].target_count; k++)
            r.models[next[c->models[i].targets[k].deployment->index]++] = &c->models[i];
    return r;
}

/* --- one deployment --- */

void admin_put_ms(struct json_out *o, struct str key, double ns)
{
    json_key(o, key);
    if (ns > 0)
        json_put_double(o, ns / 1e6);
    else
        json_put_null(o);
}

/* What happens to it by itself; `rest`: until any credential may be used again. */
static void put_next(struct json_out *o, const struct outlier *health, ns_t rest, ns_t now)
{
    struct buf words CLEANUP(buf_release) = BUF_INIT(WORDS_MAX);

    switch (health->state) {
    case OUTLIER_EJECTED:
        buf_add_lit(&words, "a probe in ");
        story_span(health->until - now, &words);
        break;
    case OUTLIER_PROBING:
        buf_add_lit(&words, "single requests, until they succeed");
        break;
    case OUTLIER_STARTING:
        buf_add_lit(&words, "its full share in ");
        story_span(health->until - now, &words);
        break;
    case OUTLIER_IN_USE:
        if (health->withheld)
            buf_add_lit(&words, "it is ill, but too many of its peers are out: it stays");
        break;
    case OUTLIER_STATES:
        break;
    }
    if (rest) {
        buf_add(&words, words.n ? STR(", ") : STR_NONE);
        buf_add_lit(&words, "a credential may be used in ");
        story_span(rest, &words);
    }
    json_member_str(o, STR("next"), buf_str(&words));
}

static void put_health(struct json_out *o, const struct outlier *health, ns_t rest, ns_t now)
{
    bool changed = health->reason != OUTLIER_NONE;

    json_member_str(o, STR("state"), str_from_c(outlier_state_name(health->state)));
    json_member_str(o, STR("why"), changed ? str_from_c(outlier_reason_words(health->reason)) : STR_NONE);
    admin_put_ms(o, STR("for_ms"), changed ? (double)(now - health->since) : 0);
    put_next(o, health, rest, now);
    json_key(o, STR("last_failure"));
    if (health->last_ill != CAUSE_OK)
        json_put_str(o, str_from_c(cause_meaning(health->last_ill)->name));
    else
        json_put_null(o);
}

static void put_counts(struct json_out *o, const struct live_report *r, const struct live_rules *rules)
{
    json_member_u64(o, STR("in_flight"), r->in_flight);
    json_member_u64(o, STR("in_flight_tokens"), r->in_flight_tokens);
    json_member_u64(o, STR("sent"), r->sent);
    json_member_open(o, STR("ended"), '{');
    for (int i = 0; i < CAUSES; i++)
        if (r->causes[i])
            json_member_u64(o, str_from_c(cause_meaning((enum cause)i)->name), r->causes[i]);
    json_close(o, '}');
    json_member_u64(o, STR("ejections"), r->ejected);
    json_member_open(o, STR("recent"), '{');
    json_member_i64(o, STR("window_ms"), rules->outlier.window / NS_MS);
    json_member_u64(o, STR("good"), r->recent_good);
    json_member_u64(o, STR("ill"), r->recent_ill);
    json_close(o, '}');
}

static void put_latency(struct json_out *o, const struct live_report *r)
{
    json_member_open(o, STR("first_token_ms"), '{');
    admin_put_ms(o, STR("p50"), (double)r->p50);
    admin_put_ms(o, STR("p95"), (double)r->p95);
    json_close(o, '}');
    admin_put_ms(o, STR("token_ms"), r->per_token);
}

/* The rules by which it is judged: those of the first route that names it. */
static const struct live_rules *rules_of(const struct catalog *c, size_t i, const struct routes *routes)
{
    bool is_named = routes->from[i] < routes->from[i + 1];

    return is_named ? &routes->models[routes->from[i]]->rules.live : &c->usual.live;
}

static uint64_t length_of(struct live_route *r)
{
    return r ? atomic_load_explicit(&live_route_queue(r)->waiting, memory_order_relaxed) : 0;
}

/* Requests in the queues of the routes that name it, and of those who ask for it by its own name. */
static uint64_t waiting_for(const struct snapshot *s, size_t i, const struct routes *routes)
{
    uint64_t sum = length_of(s->served[i]);

    for (size_t k = routes->from[i]; k < routes->from[i + 1]; k++)
        sum += length_of(s->routes[routes->models[k]->index]);
    return sum;
}

static void put_deployment(struct json_out *o, const struct snapshot *s, size_t i, const struct routes *routes,
                           ns_t now)
{
    const struct deployment *d = &s->catalog->deployments[i];
    const struct live_rules *rules = rules_of(s->catalog, i, routes);
    struct live_report r;

    live_report(s->deployments[i], rules, now, &r);
    json_open(o, '{');
    json_member_str(o, STR("deployment"), d->name);
    json_member_str(o, STR("provider"), d->provider->name);
    json_member_open(o, STR("routes"), '[');
    for (size_t k = routes->from[i]; k < routes->from[i + 1]; k++)
        json_put_str(o, routes->models[k]->name);
    json_close(o, ']');
    put_health(o, &r.health, fleet_credentials_rest(s, d, now), now);
    put_counts(o, &r, rules);
    put_latency(o, &r);
    fleet_put_supply(o, s, d, waiting_for(s, i, routes), &r.server, now);
    json_close(o, '}');
}

/* --- all of them --- */

static SUSPENDS err_t build(const struct snapshot *s, struct arena *a, struct buf *to)
{
    struct json_out o = json_out_to(to);
    struct routes routes = find_routes(s->catalog, a);
    char when[LOG_TIME_MAX];

    log_format_time(rt_wall(), when);
    json_open(&o, '{');
    json_member_str(&o, STR("time"), str_from_c(when));
    json_member_u64(&o, STR("revision"), s->catalog->revision);
    json_member_open(&o, STR("deployments"), '[');
    for (size_t i = 0; i < s->catalog->deployment_count; i++) {
        if (i && i % ROWS_PER_TURN == 0)
            TRY(fiber_yield());
        put_deployment(&o, s, i, &routes, rt_now());
    }
    json_close(&o, ']');
    json_close(&o, '}');
    return buf_status(to);
}

err_t serve_fleet(const struct admin *a, struct http_request *r)
{
    struct buf body CLEANUP(buf_release) = BUF_INIT(ADMIN_ANSWER_MAX);
    struct snapshot *s = snapshot_ref((struct snapshot *)a->snapshot(a->ctx));
    err_t e = build(s, r->arena, &body);

    snapshot_unref(s);
    TRY(e);
    return admin_reply_json(r, 200, &body);
}

/* --- for Prometheus --- */

/* One deployment as of now. */
struct reading {
    const struct deployment *deployment;
    struct live_report report;
};

static void put_labels(struct buf *b, const char *name, const struct deployment *d)
{
    buf_addf(b, "crossdock_%s{deployment=\"", name);
    metrics_add_label_value(b, d->name);
    buf_add_lit(b, "\",provider=\"");
    metrics_add_label_value(b, d->provider->name);
    buf_add_lit(b, "\"");
}

static void put_states(struct buf *b, const struct reading *all, size_t count)
{
    metrics_add_family(b, "deployment_state", "gauge", "1 for the state that a deployment is in, 0 for the others.");
    for (size_t i = 0; i < count; i++)
        for (int state = 0; state < OUTLIER_STATES; state++) {
            put_labels(b, "deployment_state", all[i].deployment);
            buf_addf(b, ",state=\"%s\"} %d\n", outlier_state_name((enum outlier_state)state),
                     all[i].report.health.state == (enum outlier_state)state);
        }
}

static void put_gauge(struct buf *b, const char *name, const struct reading *r, uint64_t value)
{
    put_labels(b, name, r->deployment);
    buf_addf(b, "} %llu\n", (unsigned long long)value);
}

static void put_readings(struct buf *b, const struct reading *all, size_t count)
{
    put_states(b, all, count);
    metrics_add_family(b, "deployment_ejections_total", "counter", "Times that a deployment was taken out as ill.");
    for (size_t i = 0; i < count; i++)
        put_gauge(b, "deployment_ejections_total", &all[i], all[i].report.ejected);
    metrics_add_family(b, "deployment_in_flight", "gauge", "Attempts under way.");
    for (size_t i = 0; i < count; i++)
        put_gauge(b, "deployment_in_flight", &all[i], all[i].report.in_flight);
    metrics_add_family(b, "deployment_in_flight_tokens", "gauge", "Their tokens, in and out, as estimated.");
    for (size_t i = 0; i < count; i++)
        put_gauge(b, "deployment_in_flight_tokens", &all[i], all[i].report.in_flight_tokens);
}

static void put_sums(struct buf *b, const size_t in_state[OUTLIER_STATES])
{
    metrics_add_family(b, "deployments", "gauge", "Deployments of the configuration, by state.");
    for (int state = 0; state < OUTLIER_STATES; state++)
        buf_addf(b, "crossdock_deployments{state=\"%s\"} %zu\n", outlier_state_name((enum outlier_state)state),
                 in_state[state]);
}

static SUSPENDS err_t put_fleet(const struct snapshot *s, struct arena *a, struct buf *to)
{
    const struct catalog *c = s->catalog;
    struct routes routes = find_routes(c, a);
    size_t max = c->deployment_count < FLEET_SERIES_MAX ? c->deployment_count : FLEET_SERIES_MAX, count = 0;
    struct reading *all = arena_alloc(a, (max + 1) * sizeof *all);
    size_t in_state[OUTLIER_STATES] = {0};

    for (size_t i = 0; i < c->deployment_count; i++) {
        struct reading r = {.deployment = &c->deployments[i]};
        if (i && i % ROWS_PER_TURN == 0)
            TRY(fiber_yield());
        live_report(s->deployments[i], rules_of(c, i, &routes), rt_now(), &r.report);
        in_state[r.report.health.state]++;
        if (r.report.sent && count < max)
            all[count++] = r;
    }
    put_readings(to, all, count);
    put_sums(to, in_state);
    return OK;
}

err_t fleet_metrics(const struct admin *a, struct arena *arena, struct buf *to)
{
    struct snapshot *s = snapshot_ref((struct snapshot *)a->snapshot(a->ctx));
    err_t e = put_fleet(s, arena, to);

    snapshot_unref(s);
    return e;
}
