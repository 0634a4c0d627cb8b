/*
 * join.c - what came of one message on several ways becomes one record: an object with a member for each input, by its name.
 *
 * By root it is a GATHER of the flow: it fires at most once for each message, when all inputs have ended, or with the first or the first n of them. An input
 * that was not taken (a switch went elsewhere) is left out; one that failed lets the join fail, unless `on_timeout: partial`. By key it
 * is an ABSORB: records of different messages meet in a state, and what comes out is a message of its own.
 */
#include "codec/json_tree.h"
#include "expr/value.h"
#include "pipeline/run/windows.h"
#include "pipeline/spec/build.h"

enum { WAIT_ALL, WAIT_ANY };
enum { TIMEOUT_FAIL, TIMEOUT_PARTIAL };

struct join_node {
    struct schema_text *inputs;
    size_t count;
    struct schema_text by;
    int wait;
    unsigned quorum; /* 0: `wait` tells */
    ns_t timeout;    /* NS_NEVER: none  */
    int on_timeout;
    struct window_rules rules; /* by key */
};

static const struct schema_field input_item = SCHEMA_ITEM(TEXT);
static const struct schema_choice waits[] = {
    {"all", WAIT_ALL, "until every input has ended"}, {"any", WAIT_ANY, "for the first record"}, {NULL, 0, NULL}};
static const struct schema_field wait_forms[] = {
    SCHEMA_UNSIGNED(NULL, struct join_node, quorum, .min = "1", .max = "64"),
    SCHEMA_ENUM(NULL, struct join_node, wait, waits), SCHEMA_END};
static const struct schema_choice timeouts[] = {
    {"fail", TIMEOUT_FAIL, "as `on_error` says"},
    {"partial", TIMEOUT_PARTIAL, "go on with what is there, if anything is; also when an input has failed"},
    {NULL, 0, NULL}};
static const struct schema_field fields[] = {
    SCHEMA_LIST("join", struct join_node, inputs, count, &input_item, .max = "64",
                .doc = "Nodes whose records become one: `{a: …, b: …}`. Takes the place of `from`."),
    SCHEMA_TEXT("by", struct join_node, by, .default_text = "root",
                .doc = "Of `join`: what belongs together. `root`: what came of one message; or an expression over an "
                       "input's record: what has the same key."),
    SCHEMA_ONE_OF("wait", wait_forms, .default_doc = "`all`", .doc = "Of `join`: for `all` inputs, `any`, or so many."),
    SCHEMA_DURATION("timeout", struct join_node, timeout, .default_text = "none", .never = true, .min = "1ms",
                    .max = "30d", .doc = "Of `join`: how long to wait, from the first record on."),
    SCHEMA_ENUM("on_timeout", struct join_node, on_timeout, timeouts, .default_text = "fail",
                .doc = "Of `join`: what then."),
    SCHEMA_END};

static void wire(struct pipeline_build *b, struct pipeline_node *n)
{
    const struct join_node *c = n->config;
    bool by_root = str_eq(c->by.text, STR("root"));

    for (size_t i = 0; i < c->count; i++)
        build_input(b, n, &c->inputs[i]);
    if (c->count < 2)
        problems_error(b->problems, n->at, "\"join\" needs at least two inputs");
    if (c->quorum > c->count)
        problems_error(b->problems, n->at, "\"wait\" is for %u inputs, and there are only %zu", c->quorum, c->count);
    if (!by_root && c->timeout == NS_NEVER)
        problems_error(b->problems, n->at, "a join by key needs a \"timeout\": what belongs to a key may never come");
    n->flow.item = by_root ? FLOW_GATHER : FLOW_ABSORB;
    n->flow.need = (uint16_t)(c->quorum ? c->quorum : c->wait == WAIT_ANY);
    n->flow.partial = c->on_timeout == TIMEOUT_PARTIAL;
    n->patience = c->timeout;
    n->is_recorded = !by_root;
}

/* --- which inputs are there whenever it fires --- */

/* The node has sent something of a message, and if it chooses, to this one. */
struct sending {
    const struct pipeline_node *node, *to; /* to NULL: to all who read it */
};

static struct sending sending_of(const struct pipeline_build *b, const struct pipeline_node *to,
                                 const struct pipeline_input *in)
{
    const struct pipeline_node *from = b->nodes[in->node];

    return (struct sending){from, from->kind->traits & KIND_CHOOSES ? to : NULL};
}

/* Does it send whenever it is given something? */
static bool answers(const struct pipeline_node *n)
{
    return n->role == PIPELINE_NODE && n->kind->traits & KIND_ANSWERS && n->flow.item == FLOW_EACH &&
           n->input_count == 1 && n->rules.on_error != FAILURE_SKIP && n->rules.on_late != LATE_SKIP;
}

/* What came before it, on the one way that leads there; false: there is none, or there are several. */
static bool step_back(const struct pipeline_build *b, struct sending *s)
{
    if (s->node->role != PIPELINE_NODE || s->node->flow.item != FLOW_EACH || s->node->input_count != 1)
        return false;
    *s = sending_of(b, s->node, &s->node->inputs[0]);
    return true;
}

/* If this input has something, does the other one, too, unless something fails? */
static bool brings(const struct pipeline_build *b, const struct pipeline_node *join, const struct pipeline_input *in,
                   const struct pipeline_input *other)
{
    struct sending cause = sending_of(b, join, other), s = sending_of(b, join, in);
    bool goes_on = true;

    while (answers(cause.node))
        (void)step_back(b, &cause);
    for (; goes_on; goes_on = step_back(b, &s))
        if (s.node == cause.node && (!cause.to || s.to == cause.to))
            return true;
    return false;
}

/* Of a join by root one of the inputs may have nothing, for a switch or a filter; but some follow from the others. */
static bool is_sure(const struct pipeline_build *b, const struct pipeline_node *n, size_t input)
{
    bool is_sure = n->flow.need == 0 && !n->flow.partial;

    if (n->flow.item == FLOW_ABSORB)
        return is_sure;
    for (size_t i = 0; i < n->input_count && is_sure; i++)
        is_sure = str_eq(n->inputs[i].label, n->inputs[input].label) || brings(b, n, &n->inputs[i], &n->inputs[input]);
    return is_sure;
}

/* What all its inputs yield, by their names. */
static const struct expr_type *joined_type(struct pipeline_build *b, const struct pipeline_node *n)
{
    struct expr_field *members = arena_zalloc(b->arena, n->input_count * sizeof *members);
    struct expr_type *type = arena_new(b->arena, struct expr_type);
    size_t count = 0;

    for (size_t i = 0; i < n->input_count; i++) {
        bool is_there = false;
        for (size_t k = 0; k < count; k++)
            is_there = is_there || str_eq(members[k].name, n->inputs[i].label);
        if (!is_there)
            members[count++] = (struct expr_field){.name = n->inputs[i].label,
                                                   .type = b->nodes[n->inputs[i].node]->output_type,
                                                   .optional = !is_sure(b, n, i)};
    }
    *type = (struct expr_type){.kinds = EXPR_IS_OBJECT, .is_closed = true, .fields = members, .field_count = count};
    return type;
}

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct join_node *c = n->config;

    n->output_type = joined_type(b, n);
    if (!str_eq(c->by.text, STR("root")))
        c->rules = (struct window_rules){
            .key = build_expr(b, n, &c->by), .is_join = true, .need = n->flow.need, .timeout = c->timeout};
}

/* --- by key: what has come together is here, as pairs [name of the input, record] --- */

/* All records of one input. */
static err_t put_input(struct expr_budget *b, const struct expr_value *pairs, uint32_t count, struct str name,
                       struct expr_value *made)
{
    struct expr_value all, pair, label, value = expr_null();
    struct str text;
    uint32_t n = 0;

    TRY(value_new_array(b, 1, &all));
    for (uint32_t i = 0; i < count; i++) {
        TRY(value_at(b, *pairs, i, &pair));
        TRY(value_at(b, pair, 0, &label));
        TRY(value_text(b, label, &text));
        if (!str_eq(text, name))
            continue;
        TRY(value_at(b, pair, 1, &value));
        TRY(value_append(b, &all, value));
        n++;
    }
    return n == 0 ? OK : value_put_fresh(b, made, name, n == 1 ? value : all);
}

static err_t put_inputs(struct step *s, struct expr_value *made, uint32_t *ret_there)
{
    struct expr_budget b = {step_arena(s), expr_limits_default.steps, JOURNAL_BODY_MAX};
    const struct pipeline_node *n = s->node;
    uint32_t count;

    TRY(value_count(&b, s->in->value, &count));
    TRY(value_new_object(&b, (uint32_t)n->input_count, made));
    for (size_t i = 0; i < n->input_count; i++)
        TRY(put_input(&b, &s->in->value, count, n->inputs[i].label, made));
    return value_count(&b, *made, ret_there);
}

static uint32_t names_of(const struct pipeline_node *n)
{
    uint32_t names = 0;

    for (size_t i = 0; i < n->input_count; i++) {
        bool is_new = true;
        for (size_t k = 0; k < i; k++)
            is_new = is_new && !str_eq(n->inputs[i].label, n->inputs[k].label);
        names += is_new;
    }
    return names;
}

/* What came together, or, when its time was over, what there was. */
static err_t work(struct step *s)
{
    const struct flow_node *f = &s->node->flow;
    uint32_t need = f->need ? f->need : names_of(s->node), there;
    struct expr_value made;

    TRY(put_inputs(s, &made, &there));
    if (there < need && !f->partial)
        return fail(E_DEADLINE, "records of %u of %u inputs had come when the time was over", there, need);
    return step_send(s, made);
}

static const struct window_rules *rules_of(const struct pipeline_node *n)
{
    const struct join_node *c = n->config;

    return n->flow.item == FLOW_ABSORB ? &c->rules : NULL;
}

static const struct node_run node_run = {.work = work, .absorb = &windows_run, .windows = rules_of};

const struct node_kind node_kind_join = {
    .kind = {.name = "join", .fields = fields, .size = sizeof(struct join_node), .wire = wire, .build = build},
    .run = &node_run,
};
