/*
 * gauges.c - writes a server's metrics page (Prometheus' text format 0.0.4) from what the simulator really does.
 *
 * Scenarios may let the page lie, because a balancer that believes every page is what they are to find: figures that stand still, a server
 * that calls itself idle, a page that breaks off, none at all.
 */
#include "sim/gauges.h"

#include "rt/fiber.h"
#include "sim/refusal.h"
#include "sim/sim_provider.h"

double sim_gauge_running(const struct sim_counts *c)
{
    return c->running < GAUGES_BATCH ? (double)c->running : GAUGES_BATCH;
}

double sim_gauge_waiting(const struct sim_counts *c)
{
    return c->running > GAUGES_BATCH ? (double)(c->running - GAUGES_BATCH) : 0;
}

double sim_gauge_tokens(const struct sim_counts *c)
{
    return c->held_tokens < GAUGES_CACHE_TOKENS ? (double)c->held_tokens : GAUGES_CACHE_TOKENS;
}

double sim_gauge_cache(const struct sim_counts *c)
{
    return sim_gauge_tokens(c) / GAUGES_CACHE_TOKENS;
}

double sim_gauge_prompt_tokens(const struct sim_counts *c)
{
    return (double)c->prompt_tokens;
}

double sim_gauge_generated_tokens(const struct sim_counts *c)
{
    return (double)c->completion_tokens;
}

double sim_gauge_successes(const struct sim_counts *c)
{
    return (double)c->completed;
}

/* One metric being written. */
struct lines {
    const struct sim_gauge *gauge;
    const char *labels;
    bool any; /* a model's was written */
    struct sim_counts sum;
    bool idle; /* whatever is true */
    struct buf *to;
};

static double told(const struct lines *l, const struct sim_counts *counts)
{
    static const struct sim_counts nothing;

    return l->gauge->value(l->idle ? &nothing : counts);
}

static void write_model(void *ctx, struct str name, const struct sim_counts *counts)
{
    struct lines *l = ctx;

    buf_addf(l->to, "%s{%smodel_name=\"", l->gauge->name, l->labels);
    buf_add_json(l->to, name); /* the escapes of the text format are among JSON's */
    buf_addf(l->to, "\"} %.6g\n", told(l, counts));
    l->any = true;
}

static void add_model(void *ctx, struct str name, const struct sim_counts *counts)
{
    struct lines *l = ctx;

    (void)name;
    sim_counts_add(&l->sum, counts);
}

static void write_gauge(const struct sim_turn *t, const struct sim_gauges *g, const struct sim_gauge *gauge)
{
    struct lines l = {
        .gauge = gauge, .labels = g->labels, .idle = t->scenario->metrics == SIM_METRICS_IDLE, .to = t->room};

    buf_addf(t->room, "# HELP %s %s\n# TYPE %s %s\n", gauge->name, gauge->help, gauge->name, gauge->kind);
    sim_provider_visit(t->provider, g->labels ? write_model : add_model, &l);
    if (!g->labels)
        buf_addf(t->room, "%s %.6g\n", gauge->name, told(&l, &l.sum));
    else if (!l.any) /* as a server that has just been started */
        write_model(&l, STR("simulated"), &l.sum);
}

err_t sim_gauges_reply(struct sim_turn *t, const struct sim_gauges *g)
{
    enum sim_metrics honesty = t->scenario->metrics;

    if (honesty == SIM_METRICS_MISSING)
        return refuse_status(t->a, &t->refusal, 404, "not_found", "This server does not tell its metrics.");
    for (size_t i = 0; i < g->count; i++)
        write_gauge(t, g, &g->list[i]);
    TRY(buf_status(t->room));
    struct str page = buf_str(t->room);
    if (honesty == SIM_METRICS_FROZEN)
        page = turn_first_page(t, page);
    if (honesty == SIM_METRICS_BROKEN)
        page = str_slice(page, 0, page.n / 2 + 1);
    return sim_play_plain(&t->play, 200, STR("text/plain; version=0.0.4; charset=utf-8"), page);
}
