/*
 * fenced_journal.c - a way to a journal on which every commit has a fence in front: it comes about in one epoch of a place, or not at all.
 *
 * So whoever works under a lease need not think of it, and cannot forget it. Reads are the journal's own.
 */
#include "base/mem.h"
#include "store/journal_int.h"

#include <string.h>

struct fenced {
    struct journal base; /* base.under: the journal */
    struct journal_op fence;
    char names[]; /* of its place */
};

static struct fenced *fenced_of(struct journal *j)
{
    return CONTAINER_OF(j, struct fenced, base);
}

static SUSPENDS err_t commit(struct journal *base, struct journal_op *ops, size_t n, enum journal_durability durability)
{
    struct fenced *f = fenced_of(base);
    struct journal_op *all = mem_alloc((n + 1) * sizeof *all);

    all[0] = f->fence;
    if (n)
        memcpy(all + 1, ops, n * sizeof *ops);
    err_t e = base->under->kind->commit(base->under, all, n + 1, durability);
    if (e == OK && n)
        memcpy(ops, all + 1, n * sizeof *ops);
    mem_free(all);
    return e;
}

static SUSPENDS err_t read_page(struct journal *base, const struct journal_query *query, struct arena *arena,
                                struct journal_page *ret)
{
    return base->under->kind->read(base->under, query, arena, ret);
}

static SUSPENDS err_t read_blob(struct journal *base, const unsigned char *sha256, struct arena *arena, struct str *ret)
{
    return base->under->kind->blob(base->under, sha256, arena, ret);
}

static void close_fenced(struct journal *base)
{
    mem_free(fenced_of(base));
}

static const struct journal_kind fenced_kind = {
    .name = "fenced", .close = close_fenced, .commit = commit, .read = read_page, .blob = read_blob};

struct journal *journal_fenced(struct journal *j, struct str pipeline, struct str source, uint32_t partition,
                               uint64_t epoch)
{
    struct fenced *f = mem_zalloc(1, sizeof *f + pipeline.n + source.n);

    memcpy(f->names, pipeline.p, pipeline.n);
    memcpy(f->names + pipeline.n, source.p, source.n);
    f->base.kind = &fenced_kind;
    f->base.under = j;
    f->fence = (struct journal_op){.kind = JOURNAL_FENCE,
                                   .r = {.pipeline = str_of(f->names, pipeline.n),
                                         .source = str_of(f->names + pipeline.n, source.n),
                                         .partition = partition,
                                         .epoch = epoch}};
    return &f->base;
}
