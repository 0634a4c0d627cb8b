/*
 * clerk.c - a fiber that commits what others note.
 *
 * Two pages, each an arena with its operations: one is written on while the other is being committed. A commit that fails for the disk is handed over
 * again, as the journal allows; meanwhile the other page grows, and whoever makes it grow looks at clerk_behind().
 */
#include "pipeline/run/clerk.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/mem.h"
#include "rt/loop.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE_OPS_FIRST = 64 };
static const ns_t pause_after_failure = 250 * NS_MS;

struct page {
    struct arena arena;
    struct journal_op *ops;
    size_t count, cap, bytes;
};

struct clerk {
    struct journal *journal;
    struct page pages[2];
    unsigned writing;      /* the page that is written on */
    struct fiber *sleeper; /* clerk_run(), when there is nothing to do */
    struct fiber *flusher;
    uint64_t noted, durable;
    err_t failed;
};

struct clerk *clerk_new(struct journal *j)
{
    struct clerk *c = mem_zalloc(1, sizeof *c);

    c->journal = j;
    for (size_t i = 0; i < ARRAY_LEN(c->pages); i++)
        arena_init(&c->pages[i].arena, SIZE_MAX);
    return c;
}

void clerk_free(struct clerk *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < ARRAY_LEN(c->pages); i++) {
        arena_release(&c->pages[i].arena);
        mem_free(c->pages[i].ops);
    }
    mem_free(c);
}

size_t clerk_behind(const struct clerk *c)
{
    return c->pages[0].bytes + c->pages[1].bytes;
}

uint64_t clerk_noted(const struct clerk *c)
{
    return c->noted;
}

bool clerk_has(const struct clerk *c, uint64_t nth)
{
    return nth <= c->durable;
}

void clerk_note(struct clerk *c, const struct journal_op *op)
{
    struct page *p = &c->pages[c->writing];
    struct journal_record r = op->r;
    struct str *texts[] = {&r.pipeline, &r.source, &r.node, &r.key, &r.cause, &r.body.bytes};

    if (p->count == p->cap) {
        p->cap = p->cap ? p->cap * 2 : PAGE_OPS_FIRST;
        p->ops = mem_realloc(p->ops, p->cap * sizeof *p->ops);
    }
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        *texts[i] = arena_str(&p->arena, *texts[i]);
        p->bytes += texts[i]->n;
    }
    p->bytes += sizeof *op;
    p->ops[p->count++] = (struct journal_op){.kind = op->kind, .r = r};
    c->noted++;
    if (c->sleeper)
        fiber_wake(c->sleeper);
}

/* Commit one page, in as many parts as the journal's limit wants. */
static SUSPENDS err_t commit_page(struct clerk *c, struct page *p)
{
    for (size_t from = 0; from < p->count;) {
        size_t n = p->count - from < JOURNAL_OPS_MAX ? p->count - from : JOURNAL_OPS_MAX;
        err_t e = journal_commit(c->journal, p->ops + from, n, JOURNAL_SYNC);
        if (e == E_IO) {
            log_warn(STR_NONE, "the journal of pipelines cannot be written: %s", err_detail(e));
            TRY(fiber_sleep_until(rt_now() + pause_after_failure));
            continue;
        }
        TRY(e);
        from += n;
        c->durable += n;
    }
    p->count = p->bytes = 0;
    arena_clear(&p->arena);
    if (c->flusher)
        fiber_wake(c->flusher);
    return OK;
}

static SUSPENDS err_t commit_all(struct clerk *c)
{
    while (c->pages[c->writing].count) {
        struct page *p = &c->pages[c->writing];
        c->writing ^= 1;
        TRY(commit_page(c, p));
    }
    return OK;
}

err_t clerk_run(void *clerk)
{
    struct clerk *c = clerk;
    err_t e = OK;

    while (e == OK) {
        e = commit_all(c);
        c->sleeper = fiber_current();
        if (e == OK)
            e = fiber_park("something to note", NS_NEVER);
        c->sleeper = NULL;
    }
    c->failed = e == E_CANCELLED ? OK : e;
    if (c->flusher)
        fiber_wake(c->flusher);
    return c->failed;
}

err_t clerk_flush(struct clerk *c)
{
    uint64_t all = c->noted;
    err_t e = OK;

    c->flusher = fiber_current();
    while (e == OK && c->durable < all && c->failed == OK)
        e = fiber_park("the journal", NS_NEVER);
    c->flusher = NULL;
    return e == OK ? c->failed : e;
}
