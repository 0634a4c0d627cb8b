/*
 * agree.c - what nodes yield for a message is kept with it, and compared when all of it is done.
 *
 * Values are compared as the expression language does: the order of an object's members means nothing, and of several records the order in which they came
 * means nothing either, because nodes that call end as they please. Nothing is counted of a message that the shadow did not let through, of one at
 * which the node in use failed, and of one for which both yield nothing. A message that is run again after a crash is compared once, when it is complete.
 */
#include "pipeline/run/agree.h"

#include "base/log.h"
#include "expr/value.h"
#include "pipeline/run/shard_int.h"

enum { RECORDS_MOST = 256 }; /* of a node for one message: beyond them it is not compared */

void agree_sent(const struct step *s, struct expr_value value)
{
    struct root *r = s->root;

    if (!node_set_has(&r->shard->compared, s->node->index))
        return;
    struct yielded *y = arena_new(&r->arena, struct yielded);
    *y = (struct yielded){.next = r->yielded, .node = s->node->index, .value = value};
    r->yielded = y;
}

static size_t count_of(const struct root *r, const struct pipeline_node *n)
{
    size_t count = 0;

    for (const struct yielded *y = r->yielded; y; y = y->next)
        count += y->node == n->index;
    return count;
}

static bool has_failed(const struct root *r, const struct pipeline_node *n)
{
    const struct flow_graph *g = &r->shard->spec->graph;
    const struct flow_node *f = &g->nodes[n->index];

    for (uint16_t e = f->first_out; e < f->first_out + f->out_count; e++)
        if (flow_edge_end(g, r->flow, e) == FLOW_FAILED)
            return true;
    return false;
}

/* The values of a node, in the arena. */
static struct expr_value *values_of(const struct root *r, const struct pipeline_node *n, struct arena *a)
{
    struct expr_value *all = arena_alloc(a, (count_of(r, n) + 1) * sizeof *all);
    size_t k = 0;

    for (const struct yielded *y = r->yielded; y; y = y->next)
        if (y->node == n->index)
            all[k++] = y->value;
    return all;
}

/* Take one like it out of the values. *ret false: there is none. */
static err_t take_like(struct expr_budget *b, struct expr_value value, struct expr_value *all, size_t n, bool *ret)
{
    *ret = false;
    for (size_t i = 0; i < n && !*ret; i++) {
        TRY(value_equal(b, value, all[i], ret));
        if (*ret)
            all[i] = all[n - 1];
    }
    return OK;
}

/* Have two nodes that have yielded `n` values each yielded the same? */
static err_t are_same(const struct root *r, const struct pipeline_node *used, const struct pipeline_node *tried,
                      size_t n, bool *ret)
{
    struct arena arena CLEANUP(arena_release) = {.max = ROOT_ARENA_MAX};
    struct expr_budget b = {&arena, expr_limits_default.steps, expr_limits_default.memory};
    struct expr_value *these = values_of(r, used, &arena), *those = values_of(r, tried, &arena);

    *ret = true;
    for (; n && *ret; n--)
        TRY(take_like(&b, these[n - 1], those, n, ret));
    return OK;
}

static void compare(const struct root *r, const struct pipeline_node *tried)
{
    const struct pipeline_node *used = tried->tried_for->used;
    struct node_numbers *numbers = &r->shard->meter->nodes[tried->index];
    size_t n = count_of(r, used), m = count_of(r, tried);
    bool same = false;

    if ((!n && !m) || n > RECORDS_MOST || m > RECORDS_MOST || has_failed(r, used))
        return;
    if (n == m && are_same(r, used, tried, n, &same) != OK)
        return; /* too large to be compared */
    numbers->agreed += same;
    numbers->differed += !same;
    if (!same)
        log_debug(STR_NONE, "pipeline %.*s: in the shadow, %.*s differs from %.*s at %02x%02x%02x%02x…",
                  STR_ARG(r->shard->spec->name), STR_ARG(tried->name), STR_ARG(used->name), r->id.b[0], r->id.b[1],
                  r->id.b[2], r->id.b[3]);
}

void agree_tell(const struct root *r)
{
    const struct pipeline_spec *spec = r->shard->spec;

    for (uint16_t i = 0; i < spec->node_count; i++)
        if (spec->nodes[i]->tried_for && root_is_of_share(r, spec->nodes[i]->tried_for->share))
            compare(r, spec->nodes[i]);
}
