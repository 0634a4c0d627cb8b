/*
 * memory.c - what nodes remember of former records, in the process and in the journal.
 *
 * In the process it is a struct keyed for each node that remembers, by the loop's clock, so nobody who puts the wall clock right ends anything. In the journal
 * it is a state for each entry, in front of it when it was written, by the wall clock, and for how long it was to be remembered then. Should the wall clock have been put
 * back while the process was away, no time has passed. Both change at the same time: what a node remembers goes into the commit of what it yields, and with it go one or two of those that are over. So a memory that is used
 * cleans itself, and nobody sweeps it.
 *
 * What the journal may lack after a crash is what was remembered last, with the outputs that were made of it; both are made again.
 */
#include "pipeline/run/shard_int.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "expr/value.h"
#include "rt/loop.h"

/* With each entry that is new some of those that are over go, and as many as are needed to make room, up to a limit. */
enum { HEAD_BYTES = 16, KEY_BYTES = 16, DROP_USUAL = 2, DROP_MOST = 64 };

err_t step_key(struct step *s, struct expr_value key, struct str *ret)
{
    struct expr_budget b = {step_arena(s), expr_limits_default.steps, expr_limits_default.memory};
    unsigned char hash[SHA256_BYTES];
    char *hex = arena_alloc(step_arena(s), 2 * KEY_BYTES);
    struct str text;

    TRY(value_to_json(&b, key, &text));
    sha256_parts(&text, 1, hash);
    hex_encode(hex, hash, KEY_BYTES);
    *ret = str_of(hex, 2 * KEY_BYTES);
    return OK;
}

static struct keyed *memory_of(const struct step *s)
{
    return s->root->shard->memories[s->node->index];
}

bool step_remembered(const struct step *s, struct str key, ns_t *ret_left, struct str *ret)
{
    int64_t until;

    if (!keyed_find(memory_of(s), key, rt_now(), &until, ret))
        return false;
    *ret_left = until - rt_now();
    return true;
}

static struct journal_record place_of(const struct shard *s, const struct pipeline_node *n, struct str key)
{
    return (struct journal_record){.pipeline = s->spec->name, .node = n->name, .shard = s->number, .key = key};
}

static void commit(struct step *s, const struct journal_op *op)
{
    if (s->outputs)
        step_commit_beside(s, op);
    else
        clerk_note(s->root->shard->clerk, op);
}

static void commit_put(struct step *s, struct str key, ns_t span, struct str body)
{
    char *bytes = arena_alloc(step_arena(s), HEAD_BYTES + body.n);
    struct journal_op op = {.kind = JOURNAL_STATE_PUT, .r = place_of(s->root->shard, s->node, key)};

    be64_put(bytes, (uint64_t)rt_wall());
    be64_put(bytes + 8, (uint64_t)span);
    if (body.n)
        memcpy(bytes + HEAD_BYTES, body.p, body.n);
    op.r.body = (struct journal_body){.form = BODY_KEYED, .bytes = str_of(bytes, HEAD_BYTES + body.n)};
    commit(s, &op);
}

err_t step_remember(struct step *s, struct str key, ns_t span, struct str body)
{
    struct keyed *k = memory_of(s);
    struct str gone;

    if (body.n > JOURNAL_BODY_MAX - HEAD_BYTES)
        return fail(E_TOO_LARGE, "more than %d bytes are to be remembered under one key", JOURNAL_BODY_MAX);
    keyed_put(k, key, ns_add(rt_now(), span), body);
    commit_put(s, key, span, body);
    for (int i = 0; i < (keyed_is_over(k) ? DROP_MOST : DROP_USUAL) && keyed_drop(k, rt_now(), &gone); i++) {
        const struct journal_op op = {.kind = JOURNAL_STATE_DELETE,
                                      .r = place_of(s->root->shard, s->node, arena_str(step_arena(s), gone))};
        commit(s, &op);
    }
    return OK;
}

/* --- the beginning, and the end --- */

static SUSPENDS err_t put_back(const struct shard *s, const struct journal_record *r, struct arena *arena,
                               struct keyed *k)
{
    struct str body = r->body.bytes;

    if (r->body.is_blob)
        TRY(journal_blob(s->journal, r->body.sha256, arena, &body));
    if (body.n < HEAD_BYTES)
        return fail(E_IO, "what node %.*s remembers is damaged", STR_ARG(r->node));
    ns_t passed = wall_passed((int64_t)be64_get(body.p)), span = (ns_t)be64_get(body.p + 8);
    keyed_put(k, r->key, span > passed ? ns_add(rt_now(), span - passed) : 0, str_slice(body, HEAD_BYTES, body.n));
    return OK;
}

/* What is over by now, and what is too much for a limit that has become lower. */
static SUSPENDS err_t drop_old(struct shard *s, const struct pipeline_node *n, struct keyed *k)
{
    struct arena arena CLEANUP(arena_release);
    struct str gone;

    arena_init(&arena, SIZE_MAX);
    struct journal_op *ops = arena_alloc(&arena, JOURNAL_OPS_MAX * sizeof *ops);
    for (size_t count = 1; count > 0;) {
        count = 0;
        while (count < JOURNAL_OPS_MAX && keyed_drop(k, rt_now(), &gone))
            ops[count++] =
                (struct journal_op){.kind = JOURNAL_STATE_DELETE, .r = place_of(s, n, arena_str(&arena, gone))};
        if (count)
            TRY(journal_commit(s->journal, ops, count, JOURNAL_SYNC));
    }
    return OK;
}

static SUSPENDS err_t load(struct shard *s, const struct pipeline_node *n, struct keyed *k)
{
    struct journal_query q = {.kind = JOURNAL_STATES, .r = place_of(s, n, STR_NONE)};
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, SIZE_MAX);
    do {
        struct journal_page page;
        TRY(journal_read(s->journal, &q, &arena, &page));
        for (size_t i = 0; i < page.count; i++)
            TRY(put_back(s, &page.records[i], &arena, k));
        q.after = page.next;
        arena_clear(&arena);
    } while (q.after);
    return drop_old(s, n, k);
}

err_t memories_load(struct shard *s)
{
    for (uint16_t i = 0; i < s->spec->node_count; i++) {
        const struct pipeline_node *n = s->spec->nodes[i];
        if (n->role != PIPELINE_NODE || !n->node->run || !n->node->run->memory)
            continue;
        keyed_free(s->memories[i]);
        s->memories[i] = keyed_new(n->node->run->memory(n));
        TRY(load(s, n, s->memories[i]));
    }
    return OK;
}

void memories_free(struct shard *s)
{
    for (uint16_t i = 0; i < s->spec->node_count; i++)
        keyed_free(s->memories[i]);
    mem_free(s->memories);
}
