/* journal_draws.h - drawn commits of all operations, and what the model, the journal in memory, has after each. */
#ifndef UNIT_JOURNAL_DRAWS_H
#define UNIT_JOURNAL_DRAWS_H

#include "base/prng.h"
#include "unit/journal_world.h"
#include "unit/test.h"

enum { COMMITS = 24, OPS = 4, ROOTS = 8 };

struct commit {
    struct journal_op ops[OPS];
    size_t n;
    enum journal_durability durability;
    err_t result;     /* in the model */
    struct str after; /* the model, after it */
};

static char large[3 * JOURNAL_INLINE_MAX]; /* parts of it are bodies */

static inline void fill_large(void)
{
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (char)(i * 7 + i / 251);
}

static inline struct journal_body draw_body(struct prng *p)
{
    size_t n = prng_chance(p, 0.1) ? JOURNAL_INLINE_MAX + 1 + prng_below(p, 2) * 9000 : prng_below(p, 3000);
    return (struct journal_body){.form = (uint16_t)prng_below(p, 4), .bytes = str_of(large + prng_below(p, 3), n)};
}

static inline struct journal_op draw_op(struct prng *p, int64_t now)
{
    static const char *const nodes[] = {"a", "b"}, *const keys[] = {"k", "l", "m"},
                             *const causes[] = {"timeout", "schema"};
    struct journal_record r = {
        .id = id_of(prng_below(p, ROOTS)),
        .pipeline = STR("p"),
        .node = str_from_c(nodes[prng_below(p, 2)]),
        .at = now,
    };
    enum journal_op_kind kind = (enum journal_op_kind)prng_below(p, JOURNAL_OP_KINDS);

    switch (kind) {
    case JOURNAL_ROOT_PUT:
    case JOURNAL_PROGRESS_PUT:
    case JOURNAL_PROGRESS_CLAIM:
    case JOURNAL_FENCE:
        r.source = STR("s");
        r.partition = (uint32_t)prng_below(p, 3);
        r.epoch = kind == JOURNAL_ROOT_PUT ? 0 : prng_below(p, 5);
        r.node = STR_NONE;
        r.at = kind == JOURNAL_ROOT_PUT ? now : 0;
        break;
    case JOURNAL_STEP_PUT:
    case JOURNAL_EFFECT_PUT:
        r.root = r.id;
        r.id = kind == JOURNAL_EFFECT_PUT ? id_of(500 + prng_below(p, 3)) : (struct journal_id){{0}};
        r.index = kind == JOURNAL_STEP_PUT ? (uint32_t)prng_below(p, 4) : 0;
        r.node = kind == JOURNAL_STEP_PUT ? r.node : STR_NONE;
        r.state = kind == JOURNAL_EFFECT_PUT ? EFFECT_RESERVED : 0;
        r.at = kind == JOURNAL_EFFECT_PUT ? now : 0;
        r.pipeline = STR_NONE;
        break;
    case JOURNAL_INTENT_PUT:
    case JOURNAL_INTENT_DONE:
        r.seq = 1 + prng_below(p, 3);
        r.id = (struct journal_id){{0}};
        r.at = 0;
        break;
    case JOURNAL_STATE_PUT:
    case JOURNAL_STATE_DELETE:
    case JOURNAL_TIMER_PUT:
    case JOURNAL_TIMER_DELETE:
        r.id = (struct journal_id){{0}};
        r.shard = (uint32_t)prng_below(p, 3);
        r.key = str_from_c(keys[prng_below(p, 3)]);
        r.due = kind == JOURNAL_TIMER_PUT ? (int64_t)prng_below(p, 100) : 0;
        r.at = 0;
        break;
    case JOURNAL_GATE_PUT:
    case JOURNAL_GATE_DECIDE:
        r.root = r.id;
        r.id = id_of(600 + prng_below(p, 3));
        r.state = kind == JOURNAL_GATE_DECIDE;
        break;
    case JOURNAL_DEAD_PUT:
    case JOURNAL_DEAD_DELETE:
    case JOURNAL_DEAD_REPLAYED:
        r.root = r.id;
        r.id = id_of(700 + prng_below(p, 6));
        r.cause = str_from_c(causes[prng_below(p, 2)]);
        break;
    case JOURNAL_ROOT_REOPEN:
        r.due = (int64_t)prng_below(p, 100);
        break;
    case JOURNAL_RESTARTED:
        r.state = prng_chance(p, 0.3) ? RESTART_HARMLESS : RESTART_ONE_MORE;
        break;
    case JOURNAL_ROOT_DONE:
    case JOURNAL_OP_KINDS:
        break;
    }
    r.body = prng_chance(p, 0.8) ? draw_body(p) : (struct journal_body){0};
    return (struct journal_op){.kind = kind, .r = r};
}

/* The commits of a seed, and what the model, an empty journal in memory, has after each; texts are in the arena. */
static inline SUSPENDS void draw_commits(struct journal *model, uint64_t seed, struct commit *commits,
                                         struct str *ret_before, struct arena *a)
{
    struct prng p;

    fill_large();
    prng_seed(&p, seed);
    *ret_before = dump(model, ROOTS, a);
    for (size_t i = 0; i < COMMITS; i++) {
        struct commit *c = &commits[i];
        c->n = 1 + prng_below(&p, OPS);
        for (size_t k = 0; k < c->n; k++)
            c->ops[k] = draw_op(&p, (int64_t)i);
        c->durability = prng_chance(&p, 0.3) ? JOURNAL_ASYNC : JOURNAL_SYNC;
        struct journal_op ops[OPS];
        memcpy(ops, c->ops, sizeof ops);
        c->result = journal_commit(model, ops, c->n, JOURNAL_SYNC);
        c->after = dump(model, ROOTS, a);
    }
}

/* Does a journal that is empty have the same after each? */
static inline SUSPENDS void check_commits(struct journal *of, const struct commit *commits, struct arena *a)
{
    for (size_t i = 0; i < COMMITS; i++) {
        struct journal_op ops[OPS];
        memcpy(ops, commits[i].ops, sizeof ops);
        CHECK_ERR(journal_commit(of, ops, commits[i].n, JOURNAL_SYNC), commits[i].result);
        CHECK_STR(dump(of, ROOTS, a), commits[i].after.p);
    }
}

#endif
