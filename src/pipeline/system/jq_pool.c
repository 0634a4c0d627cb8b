/*
 * jq_pool.c - a stack of processes that are idle. A job on a worker takes one, or starts one if there is none, and gives it back: so there are never more of
 * them than workers, and a lock is held for a link only. Jobs hold the pool by its count, as they may outlive the fiber that gave up, and the pipeline.
 */
#include "pipeline/system/jq_pool.h"

#include "base/mem.h"
#include "jq/jq.h"
#include "rt/lock.h"
#include "rt/worker.h"
#include "store/journal.h"

#include <stdatomic.h>

enum { IDLE_MAX = 8 }; /* as many as there are workers */
static const struct jq_limits limits = {.memory = 256 << 20, .output = JOURNAL_BODY_MAX, .time = 5 * NS_SEC};

struct jq_pool {
    atomic_uint refs;
    struct lock *lock; /* guards what follows */
    struct jq *idle[IDLE_MAX];
    unsigned idle_count;
    struct str program;
};

struct jq_job {
    struct job job;
    struct jq_pool *pool;
    char *document;
    size_t n;
    struct buf lines;
    err_t result;
    struct err_record words;
};

static struct jq *take(struct jq_pool *p)
{
    struct jq *jq = NULL;

    lock_take(p->lock);
    if (p->idle_count)
        jq = p->idle[--p->idle_count];
    lock_give(p->lock);
    return jq;
}

static void give(struct jq_pool *p, struct jq *jq)
{
    lock_take(p->lock);
    if (p->idle_count < IDLE_MAX) {
        p->idle[p->idle_count++] = jq;
        jq = NULL;
    }
    lock_give(p->lock);
    jq_free(jq);
}

err_t jq_pool_new(struct str program, struct jq_pool **ret)
{
    struct jq *first;

    TRY(jq_new(program, NULL, 0, &limits, &first));
    struct jq_pool *p = NEW(struct jq_pool);
    atomic_init(&p->refs, 1);
    p->lock = lock_new();
    p->program = str_of(mem_dup(program.p, program.n), program.n);
    give(p, first);
    *ret = p;
    return OK;
}

void jq_pool_unref(struct jq_pool *p)
{
    if (atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    while (p->idle_count)
        jq_free(p->idle[--p->idle_count]);
    lock_free(p->lock);
    mem_free((char *)(uintptr_t)p->program.p);
    mem_free(p);
}

/* --- on a worker --- */

static err_t run_one(struct jq_job *j)
{
    struct jq *jq = take(j->pool);

    if (!jq)
        TRY(jq_new(j->pool->program, NULL, 0, &limits, &jq));
    err_t e = jq_run(jq, str_of(j->document, j->n), &j->lines);
    give(j->pool, jq);
    return e == E_DEADLINE ? fail(E_PARSE, "%s", err_detail(e)) : e;
}

static void run(struct job *job)
{
    struct jq_job *j = CONTAINER_OF(job, struct jq_job, job);

    j->result = run_one(j);
    j->words = *err_current();
}

static void drop(struct job *job)
{
    struct jq_job *j = CONTAINER_OF(job, struct jq_job, job);

    jq_pool_unref(j->pool);
    mem_free(j->document);
    buf_release(&j->lines);
    mem_free(j);
}

/* --- on a fiber --- */

err_t jq_pool_run(struct jq_pool *p, struct str document, struct arena *arena, struct str *ret_lines)
{
    struct jq_job *j = NEW(struct jq_job);

    atomic_fetch_add(&p->refs, 1);
    *j = (struct jq_job){.job = {.run = run, .drop = drop},
                         .pool = p,
                         .document = mem_dup(document.p, document.n),
                         .n = document.n,
                         .lines = BUF_INIT(JOURNAL_BODY_MAX)};
    TRY(worker_run(&j->job));
    err_t e = j->result;
    if (e == OK)
        *ret_lines = arena_str(arena, buf_str(&j->lines));
    else
        *err_current() = j->words;
    drop(&j->job);
    return e;
}
