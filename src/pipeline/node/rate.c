/* rate.c - no more than so many records in a time, of each key; the others wait, or end here. What was decided is journaled. */
#include "pipeline/run/run.h"
#include "pipeline/spec/build.h"

enum { EXCESS_WAIT, EXCESS_DROP };
/* For the keys whose limit is in use: some 100,000 of them. Beyond that the one that is the least of a burden is forgotten. */
enum { KEYS_BYTES = 24 << 20 };

struct rate_node {
    struct schema_text key;
    unsigned limit, burst;
    ns_t per;
    int excess;
    const struct expr *expr;
};

static const struct schema_choice excesses[] = {
    {"wait", EXCESS_WAIT, "until it is their turn"}, {"drop", EXCESS_DROP, "they end here"}, {NULL, 0, NULL}};
static const struct schema_field rate_fields[] = {
    SCHEMA_UNSIGNED("limit", struct rate_node, limit, .required = true, .min = "1", .max = "1000000000",
                    .doc = "So many."),
    SCHEMA_DURATION("per", struct rate_node, per, .default_text = "1s", .min = "1ms", .max = "366d",
                    .doc = "In this time."),
    SCHEMA_UNSIGNED("burst", struct rate_node, burst, .default_doc = "`limit`", .min = "1",
                    .doc = "So many at once, after a pause."),
    SCHEMA_TEXT("key", struct rate_node, key, .default_doc = "one limit for all",
                .doc = "Expression: each key has a limit of its own."),
    SCHEMA_ENUM("excess", struct rate_node, excess, excesses, .default_text = "wait",
                .doc = "What becomes of the others."),
    SCHEMA_END};
static const struct schema_object rate_object = {
    .fields = rate_fields, .size = sizeof(struct rate_node), .shorthand = "limit"};
static const struct schema_field fields[] = {
    SCHEMA_OBJECT_HERE("rate", &rate_object, .doc = "A limit on records in a time."), SCHEMA_END};

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct rate_node *c = n->config;

    if (!c->burst)
        c->burst = c->limit;
    c->expr = build_expr(b, n, &c->key);
}

/*
 * The generic cell rate algorithm (ITU-T I.371): of each key is remembered how long it takes until, were every record to take its share of time, the next one
 * would be due. A record may be early by as much as a burst. When that time is over it says no more than none at all, so it is forgotten. All of it goes by
 * the time that passes: nobody who puts the wall clock right makes records wait, or go.
 */
struct rate_turn {
    struct str key;
    ns_t wait, next; /* from now on, until its turn; for how long something is remembered if it takes it */
};

static err_t turn_of(struct step *s, struct rate_turn *ret)
{
    const struct rate_node *c = s->node->config;
    ns_t share = c->per / c->limit > 0 ? c->per / c->limit : 1, early = share * (c->burst - 1), left;
    struct expr_value key = expr_null();
    struct str nothing;

    if (c->expr)
        TRY(step_eval(s, c->expr, &key));
    TRY(step_key(s, key, &ret->key));
    if (!step_remembered(s, ret->key, &left, &nothing))
        left = 0;
    ret->wait = left > early ? left - early : 0;
    ret->next = left + share;
    return OK;
}

static err_t due_of(struct step *s, struct due *ret)
{
    const struct rate_node *c = s->node->config;
    struct rate_turn turn;

    *ret = (struct due){.span = 0};
    if (c->excess != EXCESS_WAIT)
        return OK;
    TRY(turn_of(s, &turn));
    ret->span = turn.wait;
    return step_remember(s, turn.key, turn.next, STR_NONE);
}

static err_t pass(struct step *s)
{
    const struct rate_node *c = s->node->config;
    struct rate_turn turn;

    if (c->excess == EXCESS_WAIT)
        return step_send(s, s->in->value);
    TRY(turn_of(s, &turn));
    if (turn.wait > 0)
        return OK;
    TRY(step_remember(s, turn.key, turn.next, STR_NONE));
    return step_send(s, s->in->value);
}

static size_t memory(const struct pipeline_node *n)
{
    (void)n;
    return KEYS_BYTES;
}

static const struct node_run node_run = {.decide = pass, .wait = due_of, .memory = memory};

const struct node_kind node_kind_rate = {
    .kind = {.name = "rate",
             .fields = fields,
             .size = sizeof(struct rate_node),
             .traits = KIND_RECORDS | KIND_PASSES,
             .build = build},
    .run = &node_run,
};
