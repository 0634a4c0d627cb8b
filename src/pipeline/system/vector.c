/*
 * vector.c - an index must only get vectors of the model that it was built with: others fit by their length and mean something else.
 *
 * What is known is what nodes declare (`out: {embedding: …}`). A vector comes from a declared output when the expression for it is the input itself, or
 * the member of a join that is that input.
 */
#include "pipeline/system/vector.h"

#include "expr/value.h"

/* The node whose output `path` of the sink's input is; NULL: it cannot be told. */
static const struct pipeline_node *origin_of(const struct pipeline_build *b, const struct pipeline_node *n,
                                             struct str path)
{
    for (unsigned steps = 0; n->input_count == 1 && steps < FLOW_NODES_MAX; steps++) {
        const struct pipeline_node *before = b->nodes[n->inputs[0].node];
        if (str_eq(path, STR(".")))
            return before;
        if (before->flow.item != FLOW_GATHER) {
            n = before;
            if (n->output_type != n->input_type || n->out.kind != TYPE_UNDECLARED)
                return NULL; /* what is in it is of its own making */
            continue;
        }
        for (size_t i = 0; i < before->input_count; i++)
            if (path.n && str_eq(str_slice(path, 1, path.n), before->inputs[i].label))
                return b->nodes[before->inputs[i].node];
        return NULL;
    }
    return NULL;
}

static void check_origin(struct pipeline_build *b, struct pipeline_node *n, const struct vector_fields *v)
{
    const struct pipeline_node *from = origin_of(b, n, str_trim(v->vector.text));
    const struct pipeline_type *t = from ? &from->out : NULL;

    if (!t || t->kind != TYPE_EMBEDDING)
        return;
    if (v->model.text.n && !str_eq(v->model.text, t->model))
        problems_error(
            b->problems, v->model.node,
            "the index is of \"%.*s\", but \"%.*s\" yields vectors of \"%.*s\", which mean something else: use one "
            "model for both",
            STR_ARG(v->model.text), STR_ARG(from->name), STR_ARG(t->model));
    else if (v->dim && v->dim != t->dim)
        problems_error(b->problems, n->at, "the index has %u dimensions, but \"%.*s\" yields %u", v->dim,
                       STR_ARG(from->name), t->dim);
}

void vector_build(struct pipeline_build *b, struct pipeline_node *n, struct vector_fields *v)
{
    v->id_text = build_template(b, n, &v->id);
    v->vector_expr = build_expr(b, n, &v->vector);
    v->payload_expr = build_mapping(b, n, &v->payload);
    if (v->vector_expr && !(expr_output_type(v->vector_expr)->kinds & EXPR_IS_ARRAY))
        problems_error(b->problems, v->vector.node, "a vector is an array of numbers");
    check_origin(b, n, v);
}

/* --- running --- */

static err_t check_vector(struct step *s, const struct vector_fields *v, struct expr_value vector)
{
    struct expr_budget b = {step_arena(s), expr_limits_default.steps, expr_limits_default.memory};
    uint32_t count = 0;

    if (vector.kind != JSON_ARRAY)
        return fail(E_PARSE, "the vector is no array, but a %s", value_kind_name(vector.kind));
    TRY(value_count(&b, vector, &count));
    if (count == 0 || (v->dim && count != v->dim))
        return fail(E_PARSE, "the vector has %u dimensions, the index %u", count, v->dim);
    for (uint32_t i = 0; i < count; i++) {
        struct expr_value element;
        TRY(value_at(&b, vector, i, &element));
        if (element.kind != JSON_NUMBER)
            return fail(E_PARSE, "the vector has something at %u that is no number", i);
    }
    return OK;
}

err_t vector_point(struct step *s, const struct vector_fields *v, struct vector_point *ret)
{
    enum { ID_MAX = 512 };

    *ret = (struct vector_point){.has_payload = v->payload_expr != NULL};
    ret->id = step_id_text(s);
    if (v->id_text)
        TRY(step_render(s, v->id_text, ID_MAX, &ret->id));
    TRY(step_eval(s, v->vector_expr, &ret->vector));
    if (v->payload_expr)
        TRY(step_eval(s, v->payload_expr, &ret->payload));
    return check_vector(s, v, ret->vector);
}
