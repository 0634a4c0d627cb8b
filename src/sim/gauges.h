/*
 * gauges.h - the metrics page of a self-hosted server, true unless the scenario says that it lies. Private to sim/.
 *
 * A server runs so many requests at once and lets the others wait; its cache holds the prompts of those that are being answered.
 */
#ifndef SIM_GAUGES_H
#define SIM_GAUGES_H

#include "sim/stats.h"
#include "sim/turn.h"

/* Requests that a server runs at once, and tokens that its cache holds. */
enum { GAUGES_BATCH = 16, GAUGES_CACHE_TOKENS = 65536 };

struct sim_gauge {
    const char *name, *kind, *help;
    double (*value)(const struct sim_counts *c);
};

struct sim_gauges {
    const struct sim_gauge *list;
    size_t count;
    const char *
        labels; /* of each model's own line, before its name: "engine=\"0\","; NULL: one line for all models together */
};

double sim_gauge_running(const struct sim_counts *c);
double sim_gauge_waiting(const struct sim_counts *c);
double sim_gauge_tokens(const struct sim_counts *c);
double sim_gauge_cache(const struct sim_counts *c);
double sim_gauge_prompt_tokens(const struct sim_counts *c);
double sim_gauge_generated_tokens(const struct sim_counts *c);
double sim_gauge_successes(const struct sim_counts *c);

/* Answer with the page. E_PARSE with t->refusal filled: the scenario has none. */
err_t sim_gauges_reply(struct sim_turn *t, const struct sim_gauges *g) SUSPENDS MUST_CHECK;

#endif
