/*
 * aggregate.c - many messages become one: a window that closes after so many, so long, or a while of silence.
 *
 * An ABSORB of the flow: for the message that comes in, being taken into the window is the end; what comes out is a message of its own, whose id is
 * made of node, key and window, so it is the same after a crash.
 */
#include "pipeline/run/windows.h"
#include "pipeline/spec/build.h"

struct aggregate_node {
    struct schema_text by, into;
    unsigned count, max;
    ns_t every, session, lateness;
    const struct expr *expr;
    struct window_rules rules;
};

static const struct schema_field aggregate_fields[] = {
    SCHEMA_TEXT("by", struct aggregate_node, by, .default_doc = "one window for all",
                .doc = "Expression: records with the same key share a window."),
    SCHEMA_UNSIGNED("count", struct aggregate_node, count, .min = "2", .max = "1000000",
                    .doc = "Closes with so many records."),
    SCHEMA_DURATION("every", struct aggregate_node, every, .min = "10ms", .max = "366d",
                    .doc = "Closes at multiples of this time, by the messages' timestamps."),
    SCHEMA_DURATION("session", struct aggregate_node, session, .min = "10ms", .max = "30d",
                    .doc = "Closes when nothing has come for so long."),
    SCHEMA_DURATION(
        "lateness", struct aggregate_node, lateness, .default_text = "0", .max = "30d",
        .doc = "How long it stays open for stragglers: messages with earlier timestamps than others that have come. Of "
               "`every`, what comes later still is a dead letter; of `session`, a session of its own."),
    SCHEMA_UNSIGNED("max", struct aggregate_node, max, .default_text = "100000", .min = "2", .max = "10000000",
                    .doc = "Of `every` and `session`: it closes with so many records in any case."),
    SCHEMA_TEXT("into", struct aggregate_node, into, .default_text = ".",
                .doc = "Expression over the array of its records that yields the new one."),
    SCHEMA_END};
static const struct schema_object aggregate_object = {.fields = aggregate_fields,
                                                      .size = sizeof(struct aggregate_node)};
static const struct schema_field fields[] = {
    SCHEMA_OBJECT_HERE("aggregate", &aggregate_object, .doc = "A window: many messages become one."), SCHEMA_END};

static void wire(struct pipeline_build *b, struct pipeline_node *n)
{
    const struct aggregate_node *c = n->config;

    if (!c->count + !c->every + !c->session > 2)
        problems_error(b->problems, n->at, "a window must close: \"count\", \"every\" or \"session\" says when");
    if (c->every && c->session)
        problems_error(b->problems, n->at, "\"every\" and \"session\" are two kinds of windows: take one");
    if (c->lateness && !c->every && !c->session)
        problems_error(b->problems, n->at, "\"lateness\" goes with \"every\" or \"session\"");
    if (c->count > c->max)
        problems_error(b->problems, n->at, "\"count\" is more than \"max\": the window would close before");
    n->flow.item = FLOW_ABSORB;
}

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct aggregate_node *c = n->config;
    struct expr_type *records = arena_new(b->arena, struct expr_type);

    *records = (struct expr_type){.kinds = EXPR_IS_ARRAY, .items = n->input_type};
    c->rules = (struct window_rules){.key = build_expr(b, n, &c->by),
                                     .count = c->count ? c->count : c->max,
                                     .every = c->every,
                                     .lateness = c->lateness,
                                     .session = c->session};
    c->expr = build_mapping_on(b, n, &c->into, records);
    build_reads(b, n, STR("."));
    if (c->expr)
        n->output_type = expr_output_type(c->expr);
}

/* A window has closed: the array of its records is here. */
static err_t work(struct step *s)
{
    const struct aggregate_node *c = s->node->config;
    struct expr_value made;

    TRY(step_eval(s, c->expr, &made));
    return step_send(s, made);
}

static const struct window_rules *rules_of(const struct pipeline_node *n)
{
    const struct aggregate_node *c = n->config;

    return &c->rules;
}

static const struct node_run node_run = {.work = work, .absorb = &windows_run, .windows = rules_of};

const struct node_kind node_kind_aggregate = {
    .kind = {.name = "aggregate",
             .fields = fields,
             .size = sizeof(struct aggregate_node),
             .traits = KIND_RECORDS,
             .wire = wire,
             .build = build},
    .run = &node_run,
};
