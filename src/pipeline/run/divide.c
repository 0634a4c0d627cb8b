/*
 * divide.c - the number of shards that divide the partitions of a source by their numbers, under leases.
 *
 * Another number gives partitions to other shards. What one shard has in hand another knows nothing of, so the number may change only when nothing that came of the source is under way.
 * Which one holds stands in the journal. Who comes with another waits until no root is left, claims all partitions, so that nobody takes in more, looks again, and writes his number, in
 * a commit that is refused if anybody has claimed one of them since. Whoever claims a partition looks behind that whether the number is still his: so either he sees the new
 * one, or its writer is refused.
 *
 * Does not: bring what nodes keep to other shards.
 */
#include "base/bytes.h"
#include "base/log.h"
#include "base/mem.h"
#include "pipeline/run/shard_int.h"
#include "rt/loop.h"

#include <inttypes.h>

static const ns_t look_again = 500 * NS_MS;

static struct journal_record number_of(const struct intake *in)
{
    return (struct journal_record){.pipeline = in->shard->spec->name, .node = in->source->name, .key = STR("shards")};
}

/* 0: nobody has said. */
static SUSPENDS err_t read_number(const struct intake *in, uint32_t *ret)
{
    const struct journal_query q = {.kind = JOURNAL_STATES, .r = number_of(in), .limit = 1};
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct journal_page page;

    TRY(journal_read(in->shard->journal, &q, &arena, &page));
    *ret = page.count && page.records[0].body.bytes.n == sizeof *ret ? be32_get(page.records[0].body.bytes.p) : 0;
    return OK;
}

static SUSPENDS err_t is_under_way(const struct intake *in, bool *ret)
{
    const struct journal_query q = {
        .kind = JOURNAL_ROOTS,
        .r = {.pipeline = in->shard->spec->name, .source = in->source->name, .partition = JOURNAL_ANY_PARTITION},
        .limit = 1};
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct journal_page page;

    TRY(journal_read(in->shard->journal, &q, &arena, &page));
    *ret = page.count > 0;
    return OK;
}

/* Two partitions that are new may have one number. */
static bool is_before(const uint32_t *partitions, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (partitions[k] == partitions[i])
            return true;
    return false;
}

/* E_AGAIN: not yet. `number` is what stands there; of what nobody has divided nothing is in anybody's hands. */
static SUSPENDS err_t check_idle(const struct intake *in, uint32_t number)
{
    uint32_t there;
    bool is_busy = false;

    TRY(read_number(in, &there));
    if (there)
        TRY(is_under_way(in, &is_busy));
    return is_busy || there != number ? fail(E_AGAIN, "something is under way") : OK;
}

/* Claim all, and write the number if nothing is under way still. E_AGAIN: something is; E_FENCED: others have claimed some since. */
static SUSPENDS err_t write_number(struct intake *in, const uint32_t *partitions, size_t n, uint32_t before,
                                   struct journal_op *ops)
{
    struct shard *s = in->shard;
    size_t count = 0;
    char body[4];

    for (size_t i = 0; i < n; i++)
        if (!is_before(partitions, i))
            ops[count++] = (struct journal_op){
                .kind = JOURNAL_PROGRESS_CLAIM,
                .r = {.pipeline = s->spec->name, .source = in->source->name, .partition = partitions[i]}};
    TRY(shard_commit(s, ops, count));
    TRY(check_idle(in, before));
    for (size_t i = 0; i < count; i++)
        ops[i].kind = JOURNAL_FENCE;
    be32_put(body, intake_shards(in));
    ops[count] = (struct journal_op){.kind = JOURNAL_STATE_PUT, .r = number_of(in)};
    ops[count].r.body = (struct journal_body){.form = BODY_SHARDS, .bytes = str_of(body, sizeof body)};
    return shard_commit(s, ops, count + 1);
}

static SUSPENDS err_t try_number(struct intake *in, const uint32_t *partitions, size_t n, uint32_t before)
{
    TRY(check_idle(in, before));
    struct journal_op *ops = mem_zalloc(n + 1, sizeof *ops);
    err_t e = write_number(in, partitions, n, before, ops);
    mem_free(ops);
    return e;
}

err_t intake_is_divided(const struct intake *in, bool *ret)
{
    uint32_t number;

    TRY(read_number(in, &number));
    *ret = number == intake_shards(in);
    return OK;
}

err_t intake_divide(struct intake *in, const uint32_t *partitions, size_t n)
{
    bool is_told = false;
    uint32_t number;

    for (;;) {
        TRY(read_number(in, &number));
        if (number == intake_shards(in))
            return OK;
        err_t e = try_number(in, partitions, n, number);
        if (e != E_AGAIN && e != E_FENCED)
            return e;
        if (number && e == E_AGAIN && !is_told) {
            log_warn(STR_NONE,
                     "pipeline %.*s: `workers` was %" PRIu32 ": what is under way of source %.*s is finished with that "
                     "first; if nothing runs with it any more, set it back until then",
                     STR_ARG(in->shard->spec->name), number, STR_ARG(in->source->name));
            is_told = true;
        }
        TRY(fiber_sleep_until(rt_now() + look_again));
    }
}

err_t intake_check_divided(const struct intake *in)
{
    uint32_t number;

    if (in->source->role != PIPELINE_SOURCE || !in->source->source->run->is_shared || !intake_shards(in))
        return OK;
    TRY(read_number(in, &number));
    return number == intake_shards(in)
               ? OK
               : fail(E_CONFLICT, "its partitions are divided among %" PRIu32 " shards, not %" PRIu32, number,
                      intake_shards(in));
}
