/*
 * tap.c - records go on as they are, and a share of them is shown: in the log, or with the facts. Its branch may end here.
 *
 * Where nobody keeps facts, what was meant for them is a line of the log.
 */
#include "base/log.h"
#include "pipeline/run/run.h"
#include "pipeline/spec/build.h"

enum { TAP_LOG, TAP_FACTS };

struct tap_node {
    double share;
    int to;
    struct schema_text show;
    const struct expr *expr;
};

static const struct schema_choice places[] = {
    {"log", TAP_LOG, "a line of the log"},
    {"facts", TAP_FACTS, "a record of the log of facts (`facts.dir`), where there is one"},
    {NULL, 0, NULL}};
static const struct schema_field tap_fields[] = {
    SCHEMA_ENUM("to", struct tap_node, to, places, .default_text = "log", .doc = "Where it is shown."),
    SCHEMA_FLOAT("share", struct tap_node, share, .default_text = "100%", .min = "0.000001", .max = "1",
                 .doc = "Of the messages; which, their ids decide."),
    SCHEMA_TEXT("show", struct tap_node, show, .default_text = ".", .doc = "Expression for what is shown."),
    SCHEMA_END};
static const struct schema_object tap_object = {
    .fields = tap_fields, .size = sizeof(struct tap_node), .shorthand = "to"};
static const struct schema_field fields[] = {
    SCHEMA_OBJECT_HERE("tap", &tap_object, .doc = "A share of the records is shown."), SCHEMA_END};

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct tap_node *c = n->config;

    c->expr = build_mapping(b, n, &c->show);
}

/* What is shown must not cost more than it tells. */
enum { SHOWN_MAX = 16 << 10 };

static void show(struct step *s, const struct tap_node *c)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(SHOWN_MAX);
    struct expr_value shown;
    err_t e = step_eval(s, c->expr, &shown);

    if (e == OK)
        e = expr_value_print(shown, &text);
    if (c->to == TAP_FACTS && step_show(s, e == OK ? buf_str(&text) : STR_NONE, e == OK ? "" : err_detail(e)))
        return;
    if (e == OK)
        log_info(step_id_text(s), "tap %.*s: %.*s", STR_ARG(s->node->name), STR_ARG(buf_str(&text)));
    else
        log_info(step_id_text(s), "tap %.*s: it cannot be shown: %s", STR_ARG(s->node->name), err_detail(e));
}

static err_t work(struct step *s)
{
    const struct tap_node *c = s->node->config;

    if (step_is_of_share(s, c->share))
        show(s, c);
    return step_send(s, s->in->value);
}

static const struct node_run node_run = {.work = work};

const struct node_kind node_kind_tap = {
    .kind = {.name = "tap",
             .fields = fields,
             .size = sizeof(struct tap_node),
             .traits = KIND_MAY_END | KIND_PASSES | KIND_ANSWERS,
             .build = build},
    .run = &node_run,
};
