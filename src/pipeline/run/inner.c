/*
 * inner.c - runs of a body.
 *
 * Values go in and out as JSON, so a run shares no memory with the root that it is for: whoever waits may leave, at its deadline, because its root was dropped or
 * when the shard stops. The run is dropped then, and goes when nobody has it in his hands any more; `owner` is NULL from then on.
 */
#include "pipeline/run/inner.h"

#include "base/mem.h"
#include "base/prng.h"
#include "codec/json_tree.h"
#include "expr/value.h"
#include "pipeline/run/shard_int.h"
#include "rt/loop.h"

struct inner {
    struct root *owner; /* whose item waits; NULL: none does */
    struct fiber *waiter;
    struct buf output; /* JSON of the first */
    unsigned outputs;
    err_t failed;   /* the first failure, ...  */
    struct buf why; /* ... and its words       */
    bool is_over;
};

enum { WHY_MAX = 4096 };

struct root *root_owner(struct root *r)
{
    while (r && r->inner)
        r = r->inner->owner;
    return r;
}

static void run_free(struct inner *i)
{
    buf_release(&i->output);
    buf_release(&i->why);
    mem_free(i);
}

/* --- shards --- */

static const struct pipeline_node *input_of(const struct pipeline_spec *body)
{
    for (uint16_t i = 0; i < body->node_count; i++)
        if (body->nodes[i]->role == PIPELINE_SOURCE)
            return body->nodes[i];
    return NULL; /* not of what was loaded: a body has an `input` */
}

void inner_make_all(struct shard *s)
{
    s->inners = mem_zalloc(s->spec->node_count, sizeof(struct shard *));
    for (uint16_t i = 0; i < s->spec->node_count; i++) {
        if (!s->spec->nodes[i]->body)
            continue;
        struct pipeline_spec *body = s->spec->nodes[i]->body;
        struct shard *inner = shard_new(
            &(struct shard_options){.spec = body, .journal = s->journal, .gateway = s->gateway, .number = s->number});
        inner->outer = s;
        inner->within = (struct partition){.intake = &inner->intakes[input_of(body)->index]};
        s->inners[i] = inner;
    }
}

void inner_free_all(struct shard *s)
{
    for (uint16_t i = 0; i < s->spec->node_count; i++)
        shard_free(s->inners[i]);
    mem_free(s->inners);
}

void inner_start_all(struct shard *s, struct scope *calls, struct scope *fibers)
{
    for (uint16_t i = 0; i < s->spec->node_count; i++) {
        struct shard *inner = s->inners[i];
        if (!inner)
            continue;
        for (uint16_t k = 0; k < inner->spec->node_count; k++)
            inner->callers[k].scope = calls;
        scope_spawn(fibers, "pipeline timers", timers_run, inner);
        inner_start_all(inner, calls, fibers);
    }
}

void inner_stop_all(struct shard *s)
{
    for (uint16_t i = 0; i < s->spec->node_count; i++)
        if (s->inners[i]) {
            timers_stop(s->inners[i]);
            inner_stop_all(s->inners[i]);
        }
}

/* --- what a run tells --- */

void inner_output(struct root *r, struct expr_value value)
{
    struct inner *i = r->inner;

    if (i->outputs++ > 0)
        return;
    err_t e = expr_value_print(value, &i->output);
    if (e != OK)
        inner_failed(r, e);
}

void inner_failed(struct root *r, err_t e)
{
    struct inner *i = r->inner;

    if (i->failed)
        return;
    i->failed = e;
    (void)buf_addf(&i->why, "%s", err_detail(e));
}

/* The root is free to go: is anybody waiting for what it has told? */
static void leave(struct root *r)
{
    struct inner *i = r->inner;

    i->is_over = true;
    if (i->waiter)
        fiber_wake(i->waiter);
    else
        run_free(i);
}

void inner_complete(struct root *r)
{
    r->shard->stats.completed++;
    leave(r);
    root_leave(r);
}

void inner_drop(struct root *r)
{
    if (r->inner)
        leave(r);
}

/* --- a run --- */

static struct journal_id run_id(const struct step *s, unsigned turn)
{
    struct journal_id id = s->in->id;
    uint64_t high, low;

    memcpy(&high, id.b, sizeof high);
    memcpy(&low, id.b + sizeof high, sizeof low);
    high = prng_scatter(high ^ prng_scatter(str_hash(s->node->name) + turn));
    low = prng_scatter(low + high);
    memcpy(id.b, &high, sizeof high);
    memcpy(id.b + sizeof high, &low, sizeof low);
    return id;
}

static err_t make_root(struct step *s, unsigned turn, struct expr_value value, struct root **ret)
{
    struct shard *shard = s->root->shard->inners[s->node->index];
    struct buf text CLEANUP(buf_release) = BUF_INIT(JOURNAL_BODY_MAX);
    struct buf packed CLEANUP(buf_release) = BUF_INIT(JOURNAL_BODY_MAX + 64);

    TRY(expr_value_print(value, &text));
    const struct message m = {.body = buf_str(&text), .at = s->root->at};
    TRY(message_check(&m));
    TRY(message_pack(&m, shard->digest, &packed));
    return root_unpack(&shard->within, &(struct journal_record){.id = run_id(s, turn)}, buf_str(&packed), ret);
}

static void begin(struct step *s, struct root *r, struct inner *i)
{
    *i = (struct inner){
        .owner = s->root, .waiter = fiber_current(), .output = BUF_INIT(JOURNAL_BODY_MAX), .why = BUF_INIT(WHY_MAX)};
    r->inner = i;
    r->deadline = ns_min(s->root->deadline, fiber_deadline());
    r->shard->stats.roots++;
    root_enter(r);
    root_start(r);
}

static err_t read_output(struct step *s, const struct inner *i, struct expr_value *ret)
{
    const struct json_tree *tree;

    if (i->failed)
        return fail(i->failed, "%.*s", STR_ARG(buf_str(&i->why)));
    if (i->outputs != 1)
        return fail(E_PARSE, "the pipeline \"%.*s\" yields %u records, where one is wanted",
                    STR_ARG(s->node->body->name), i->outputs);
    TRY(json_tree_parse(step_arena(s), arena_str(step_arena(s), buf_str(&i->output)), &tree));
    *ret = expr_json(json_tree_root(tree));
    return OK;
}

err_t step_run_body(struct step *s, unsigned turn, struct expr_value value, struct expr_value *ret)
{
    struct root *r;
    err_t e = OK;

    TRY(make_root(s, turn, value, &r));
    struct inner *i = NEW(struct inner);
    begin(s, r, i);
    while (e == OK && !i->is_over)
        e = fiber_park("a pipeline within", NS_NEVER);
    if (!i->is_over) {
        i->owner = NULL;
        i->waiter = NULL;
        root_drop(r);
        return e;
    }
    e = read_output(s, i, ret);
    run_free(i);
    return e;
}
