/*
 * config_admission.c - what a file says of limits and queues: how many requests a deployment gets at a time, and how the others wait.
 *
 * A limit is either a number, or adaptive between two, anchored on objectives. Which one is meant follows from what is there: objectives ask
 * for a limit that keeps them.
 */
#include "fleet/config_int.h"

enum { MOST_USUAL = 1024, FIRST_USUAL = 16, SAMPLES = 20 };

const struct queue_rules queue_rules_usual = {
    .on = true,
    .fair = {.quantum = 2000, .entries = 10000, .per_flow = 1000, .lower_share = 50},
    .max_wait = 30 * NS_SEC,
};

/* ---- fields ---- */

static const struct schema_field concurrency_fields[] = {
    SCHEMA_UNSIGNED("most", struct file_concurrency, most, .min = "1", .max = "1000000",
                    .default_doc = "no limit; 1024 if adaptive",
                    .doc = "Requests that a deployment gets at a time, at most. A plain number means this."),
    SCHEMA_UNSIGNED("least", struct file_concurrency, least, .min = "1", .max = "1000000", .default_doc = "1",
                    .doc = "An adaptive limit is never lower."),
    SCHEMA_UNSIGNED("first", struct file_concurrency, first, .min = "1", .max = "1000000",
                    .default_doc = "16, within the limits", .doc = "What an adaptive limit begins with."),
    SCHEMA_BOOL("adaptive", struct file_concurrency, adaptive, .default_doc = "`true` if there are `objectives`",
                .doc = "Lower the limit while the objectives are missed, raise it while they are kept and requests "
                       "wait; `false`: it is always `most`."),
    SCHEMA_END};
const struct schema_object config_concurrency_object = {.fields = concurrency_fields,
                                                        .size = sizeof(struct file_concurrency),
                                                        .node_offset = SCHEMA_NODE_AT(struct file_concurrency, node),
                                                        .shorthand = "most"};

static const struct schema_field objective_fields[] = {
    SCHEMA_DURATION("first_token", struct file_objectives, first_token, .min = "1ms", .max = "1h",
                    .default_doc = "none", .doc = "From a request to the first token of its answer."),
    SCHEMA_DURATION("per_token", struct file_objectives, per_token, .min = "10us", .max = "1m", .default_doc = "none",
                    .doc = "Each further token."),
    SCHEMA_END};
const struct schema_object config_objectives_object = {.fields = objective_fields,
                                                       .size = sizeof(struct file_objectives),
                                                       .node_offset = SCHEMA_NODE_AT(struct file_objectives, node)};

static const struct schema_field queue_fields[] = {
    SCHEMA_BOOL("enabled", struct file_queue, enabled, .default_text = "true",
                .doc = "`queue: false`: a request that finds all deployments full is refused at once."),
    SCHEMA_UNSIGNED("max", struct file_queue, max, .default_text = "10000", .min = "1", .max = "1000000",
                    .doc = "Requests that wait at a time."),
    SCHEMA_UNSIGNED("per_tenant", struct file_queue, per_tenant, .default_text = "1000", .min = "1", .max = "1000000",
                    .doc = "Of them, those with one key."),
    SCHEMA_DURATION("max_wait", struct file_queue, max_wait, .default_text = "30s", .min = "1ms", .max = "1h",
                    .doc = "A request that would wait longer is refused, at once if that can be foreseen."),
    SCHEMA_END};
const struct schema_object config_queue_object = {
    .fields = queue_fields, .size = sizeof(struct file_queue), .shorthand = "enabled"};

const struct schema_choice config_priorities[] = {{"high", 0, "served before the others, but for their twentieth"},
                                                  {"normal", 1, "the usual one"},
                                                  {"low", 2, "when nothing else waits, and a twentieth of the time"},
                                                  {NULL, 0, NULL}};

/* ---- what follows from them ---- */

static unsigned or_usual(unsigned own, unsigned usual)
{
    return own ? own : usual;
}

static bool is_adaptive(struct config_run *run, const struct file_concurrency *c, const struct file_objectives *o)
{
    bool has_objectives = o->first_token || o->per_token;
    const struct yaml_node *said = c->node ? yaml_get(c->node, STR("adaptive")) : NULL;

    if (said && c->adaptive && !has_objectives)
        problems_error(&run->problems, said,
                       "an adaptive limit needs \"objectives\": the times that it is to keep (first_token, per_token)");
    return said ? c->adaptive : has_objectives;
}

static struct concurrency_rules fixed(struct config_run *run, const struct file_concurrency *c)
{
    if (c->least || c->first)
        problems_error(&run->problems, c->node, "\"least\" and \"first\" are of adaptive limits: add \"objectives\"");
    return (struct concurrency_rules){
        .least = c->most, .most = c->most, .first = c->most, .interval = NS_SEC, .samples = SAMPLES};
}

struct concurrency_rules config_build_concurrency(struct config_run *run, const struct file_concurrency *c,
                                                  const struct file_objectives *o)
{
    if (!is_adaptive(run, c, o))
        return fixed(run, c);
    unsigned most = or_usual(c->most, MOST_USUAL), least = or_usual(c->least, 1);
    unsigned first = c->first ? c->first : FIRST_USUAL < least ? least : FIRST_USUAL < most ? FIRST_USUAL : most;
    if (least > most || first < least || first > most)
        problems_error(&run->problems, c->node, "\"least\" (%u), \"first\" (%u) and \"most\" (%u) must rise", least,
                       first, most);
    return (struct concurrency_rules){.least = least,
                                      .most = most,
                                      .first = first,
                                      .first_token = o->first_token,
                                      .per_token = o->per_token,
                                      .interval = NS_SEC,
                                      .samples = SAMPLES};
}

static bool says_limit(const struct file_deployment *f)
{
    return f && (f->concurrency.node || f->objectives.node);
}

void config_limit_deployment(struct config_run *run, struct deployment *d, const struct file_deployment *own,
                             const struct file_deployment *any)
{
    const struct file_deployment *f = says_limit(own) ? own : any;

    if (says_limit(f))
        d->concurrency = config_build_concurrency(run, &f->concurrency, &f->objectives);
}

struct queue_rules config_build_queue(const struct file_queue *f)
{
    struct queue_rules q = queue_rules_usual;

    q.on = f->enabled;
    q.fair.entries = f->max;
    q.fair.per_flow = f->per_tenant;
    q.max_wait = f->max_wait;
    return q;
}
