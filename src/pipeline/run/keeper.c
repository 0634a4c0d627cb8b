/*
 * keeper.c - the fiber of a node that keeps something.
 *
 * A round: what has come is taken, record by record, each telling what the journal must know of it; what is due is done; one commit; then the records are done
 * and what came of them goes on. While a commit is on its way the next round's records gather. A commit that the disk refuses is handed over again until
 * it is taken: memory is ahead of the journal only by the round under way, and a crash forgets both.
 *
 * A record that an earlier run has finished is passed over: its effect, or its outputs, are in the journal.
 */
#include "pipeline/run/keeper.h"

#include "base/log.h"
#include "base/mem.h"
#include "pipeline/run/shard_int.h"
#include "rt/loop.h"

#include <assert.h>

/*
 * Of a round. What its last record or window adds goes beyond: some dozen operations and JOURNAL_BODY_MAX bytes, for which the journal's limits have room;
 * and so has what the windows of so many records add when they are written down.
 */
enum { ROUND_RECORDS = 96, ROUND_OPS = 1024, ROUND_BYTES = 16 << 20 };

struct taken {
    struct step step;
    struct outputs outputs;
};

struct keeper {
    struct shard *shard;
    const struct pipeline_node *node;
    struct record_queue queue;
    struct fiber *sleeper;
    void *state;
    struct partition *partition; /* whose the roots are that come out; NULL: none do */
    /* The round: */
    struct arena arena;
    struct journal_op *ops;
    size_t op_count, op_cap, bytes;
    struct taken **taken;
    size_t taken_count;
    struct journal_record *births; /* roots that begin after the commit */
    size_t birth_count, birth_cap;
};

bool node_absorbs(const struct pipeline_node *n)
{
    return n->role == PIPELINE_NODE && n->flow.item == FLOW_ABSORB && n->node->run && n->node->run->absorb;
}

bool node_keeps(const struct pipeline_node *n)
{
    return node_absorbs(n) || (n->role == PIPELINE_NODE && n->node->run && n->node->run->decide);
}

struct keeper *keeper_new(struct shard *s, const struct pipeline_node *n)
{
    struct keeper *k = NEW(struct keeper);

    k->shard = s;
    k->node = n;
    record_queue_init(&k->queue);
    arena_init(&k->arena, SIZE_MAX);
    return k;
}

void keeper_free(struct keeper *k)
{
    if (!k)
        return;
    if (k->state)
        k->node->node->run->absorb->close(k->state);
    arena_release(&k->arena);
    mem_free(k->ops);
    mem_free(k->births);
    mem_free(k);
}

struct shard *keeper_shard(const struct keeper *k)
{
    return k->shard;
}

const struct pipeline_node *keeper_node(const struct keeper *k)
{
    return k->node;
}

struct arena *keeper_arena(struct keeper *k)
{
    return &k->arena;
}

void keeper_add(struct keeper *k, struct record *r)
{
    record_queue_add(&k->queue, r);
    if (k->sleeper)
        fiber_wake(k->sleeper);
}

int64_t keeper_rests_until(const struct keeper *k)
{
    bool knows = node_absorbs(k->node) && k->node->node->run->absorb->rests_until;

    return knows ? k->node->node->run->absorb->rests_until(k->state) : INT64_MAX;
}

void keeper_forget(struct keeper *k, const struct root *r)
{
    struct record_queue all = k->queue;
    struct record *each;

    record_queue_init(&k->queue);
    while ((each = record_queue_take(&all)))
        if (each->root != r)
            record_queue_add(&k->queue, each);
}

/* --- what a round tells the journal --- */

void keeper_op(struct keeper *k, const struct journal_op *op)
{
    if (k->op_count == k->op_cap) {
        k->op_cap = k->op_cap ? 2 * k->op_cap : ROUND_RECORDS;
        k->ops = mem_realloc(k->ops, k->op_cap * sizeof *k->ops);
    }
    k->ops[k->op_count++] = *op;
    k->bytes += op->r.body.bytes.n;
}

void keeper_weigh(struct keeper *k, size_t bytes)
{
    k->bytes += bytes;
}

bool keeper_has_room(const struct keeper *k)
{
    return k->op_count < ROUND_OPS && k->bytes < ROUND_BYTES;
}

static struct journal_record put_root(struct keeper *k, struct journal_id id, const struct message *m)
{
    struct buf packed CLEANUP(buf_release) = BUF_INIT(JOURNAL_BODY_MAX);
    struct journal_op op = {.kind = JOURNAL_ROOT_PUT,
                            .r = {.id = id,
                                  .pipeline = k->shard->spec->name,
                                  .source = k->node->name,
                                  .partition = k->shard->number,
                                  .at = m->at}};

    err_t e = message_pack(m, k->shard->digest, &packed);
    assert(e == OK); /* who calls keeps within the journal's limit */
    (void)e;
    op.r.body = (struct journal_body){.form = BODY_MESSAGE, .bytes = arena_str(&k->arena, buf_str(&packed))};
    keeper_op(k, &op);
    return op.r;
}

void keeper_root_put(struct keeper *k, struct journal_id id, const struct message *m)
{
    (void)put_root(k, id, m);
}

void keeper_root(struct keeper *k, struct journal_id id, const struct message *m)
{
    if (k->birth_count == k->birth_cap) {
        k->birth_cap = k->birth_cap ? 2 * k->birth_cap : 16;
        k->births = mem_realloc(k->births, k->birth_cap * sizeof *k->births);
    }
    k->births[k->birth_count++] = put_root(k, id, m);
}

/* --- a round --- */

static void fail_record(struct record *r, err_t e)
{
    shard_dead_letter(r, e);
    root_record_done(r, false);
}

/* It is a part of the round: with its commit it is done. Until then its root stays. */
static void join_round(struct keeper *k, struct taken *t)
{
    for (size_t i = 0; i < t->outputs.beside_count; i++)
        keeper_op(k, &t->outputs.beside[i]);
    k->taken[k->taken_count++] = t;
    root_hold(t->step.root);
}

static err_t absorb(struct keeper *k, struct taken *t)
{
    const struct record *r = t->step.in;
    const struct journal_id effect = child_id(&r->id, k->node, 0); /* the same record may go to sinks as well */

    if (root_has_effect(r->root, effect))
        return OK;
    TRY(k->node->node->run->absorb->take(k, k->state, &t->step));
    const struct journal_op done = {.kind = JOURNAL_EFFECT_PUT,
                                    .r = {.root = r->root->id, .id = effect, .state = EFFECT_DONE, .at = rt_wall()}};
    keeper_op(k, &done);
    return OK;
}

static err_t decide(struct taken *t)
{
    bool is_known;

    TRY(step_recall(&t->step, &is_known));
    if (is_known)
        return OK;
    err_t e = t->step.node->node->run->decide(&t->step);
    return e == OK ? step_record(&t->step) : step_make_good(&t->step, e);
}

static void take(struct keeper *k, struct record *r)
{
    struct taken *t = arena_new(&r->root->arena, struct taken);

    *t = (struct taken){.step = {.root = r->root, .node = k->node, .in = r}};
    t->step.outputs = &t->outputs;
    err_t e = node_absorbs(k->node) ? absorb(k, t) : decide(t);
    if (e == OK)
        join_round(k, t);
    else
        fail_record(r, e);
}

static void finish(struct keeper *k)
{
    for (size_t i = 0; i < k->taken_count; i++) {
        struct taken *t = k->taken[i];
        struct record *r = (struct record *)(uintptr_t)t->step.in;
        if (!root_let_go(t->step.root))
            continue;
        err_t e = step_send_kept(&t->step);
        if (e != OK)
            shard_dead_letter(r, e);
        root_record_done(r, e == OK);
    }
}

static SUSPENDS err_t begin_births(struct keeper *k)
{
    for (size_t i = 0; i < k->birth_count; i++)
        TRY(intake_take_in(k->partition, &k->births[i]));
    return OK;
}

static SUSPENDS err_t work_round(struct keeper *k, ns_t *ret_next)
{
    const struct absorb_run *absorbs = k->node->node->run->absorb;
    struct record *r;

    arena_clear(&k->arena);
    k->taken = arena_alloc(&k->arena, ROUND_RECORDS * sizeof(struct taken *));
    k->taken_count = k->op_count = k->birth_count = k->bytes = 0;
    while (k->taken_count < ROUND_RECORDS && keeper_has_room(k) && (r = record_queue_take(&k->queue)))
        take(k, r);
    *ret_next = NS_NEVER;
    if (absorbs)
        absorbs->due(k, k->state, ret_next);
    if (k->op_count)
        TRY(shard_commit(k->shard, k->ops, k->op_count));
    finish(k);
    TRY(begin_births(k));
    shard_pump(k->shard);
    return absorbs && absorbs->after ? absorbs->after(k, k->state) : OK;
}

/* --- life --- */

err_t keeper_open(struct keeper *k)
{
    if (!node_absorbs(k->node))
        return OK;
    TRY(intake_own(&k->shard->intakes[k->node->index], k->shard->number, &k->partition));
    return k->node->node->run->absorb->open(k, &k->state);
}

err_t keeper_resume(struct keeper *k)
{
    const struct absorb_run *absorbs = k->node->node->run->absorb;

    if (!absorbs)
        return OK;
    return absorbs->resume ? absorbs->resume(k, k->state) : intake_resume(&k->shard->intakes[k->node->index]);
}

err_t keeper_run(void *keeper)
{
    struct keeper *k = keeper;
    err_t e = OK;

    while (e == OK || e == E_AGAIN) {
        ns_t next;
        e = work_round(k, &next);
        if (e != OK || k->queue.count)
            continue;
        k->sleeper = fiber_current();
        e = fiber_park("records", next);
        k->sleeper = NULL;
    }
    return e;
}
