/*
 * suspect.c - counts of restarts, and the queue of those that are begun with care.
 *
 * Two words in the journal, states of a node that no pipeline can have. "stopped" is deleted before anything is begun, so a death leaves none; and left at the
 * very end, also when the run is cut short, as nothing can kill the process any more then. "trial" names who is put on trial, before it is: one that is named
 * alone after a death is one step nearer to being given up, and nobody else, however often it was under way when the other one killed the process. One that
 * outlives its next trial is as far from it as at first.
 *
 * Trials are of groups, each twice as large as the one before that did no harm, so that a hundred thousand messages are under way again after some seconds. When
 * the process dies of a group, that group comes first the next time, beginning with one message again: whoever is guilty is in a group of at most half the size
 * then, and soon alone. Processes that die for other reasons accuse hardly anybody, however often they do.
 *
 * It does not find what kills the process long after it was begun.
 */
#include "pipeline/run/suspect.h"

#include "rt/loop.h"

#include <stdlib.h>
#include <string.h>

#define WORD_NODE STR(".run")
#define STOPPED STR("stopped")
#define TRIAL STR("trial")
enum { GROUP_MOST = 1024 };
static const ns_t word_most = 2 * NS_SEC;  /* to leave the word                        */
static const ns_t alone_for = 200 * NS_MS; /* what kills a process does so at once, but for its waits for the journal */
enum { WAITS_USUAL = 3 };                  /* of those */

static struct journal_record place_of(const struct shard *s, struct str word)
{
    return (struct journal_record){.pipeline = s->spec->name, .node = WORD_NODE, .shard = s->number, .key = word};
}

static int by_id(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct journal_id));
}

/* Who was on trial when the last run ended: ids, one behind the other. In the arena. */
static SUSPENDS err_t read_trial(const struct shard *s, struct arena *arena, struct str *ret)
{
    const struct journal_query q = {.kind = JOURNAL_STATES, .r = place_of(s, STR_NONE)};
    struct journal_page page;

    *ret = STR_NONE;
    TRY(journal_read(s->journal, &q, arena, &page));
    for (size_t i = 0; i < page.count; i++)
        if (str_eq(page.records[i].key, TRIAL))
            *ret = page.records[i].body.bytes;
    return OK;
}

err_t suspect_begin(struct shard *s)
{
    struct journal_op ops[3] = {{.kind = JOURNAL_STATE_DELETE, .r = place_of(s, STOPPED)}};
    struct arena arena CLEANUP(arena_release);
    struct str accused;
    size_t n = 1;

    arena_init(&arena, SIZE_MAX);
    TRY(read_trial(s, &arena, &accused));
    if (accused.n) {
        (void)buf_add(&s->accused, accused);
        qsort(s->accused.p, accused.n / sizeof(struct journal_id), sizeof(struct journal_id), by_id);
    }
    if (accused.n == sizeof(struct journal_id)) { /* of more than one the word stays until they are on trial again */
        ops[n++] = (struct journal_op){.kind = JOURNAL_STATE_DELETE, .r = place_of(s, TRIAL)};
        ops[n] = (struct journal_op){.kind = JOURNAL_RESTARTED};
        memcpy(ops[n++].r.id.b, accused.p, accused.n);
    }
    TRY(shard_commit(s, ops, n));
    s->was_silent = ops[0].outcome == JOURNAL_WAS_GONE;
    s->is_trying = true; /* not before all are known */
    return OK;
}

static SUSPENDS err_t leave_word(struct shard *s)
{
    struct journal_op ops[] = {{.kind = JOURNAL_STATE_PUT, .r = place_of(s, STOPPED)},
                               {.kind = JOURNAL_STATE_DELETE, .r = place_of(s, TRIAL)}};
    SHIELD(rt_now() + word_most);

    return journal_commit(s->journal, ops, ARRAY_LEN(ops), JOURNAL_SYNC);
}

void suspect_end(struct shard *s)
{
    (void)!leave_word(s); /* without it the next run is a little more careful than it need be */
}

enum suspicion suspect_judge(const struct shard *s, uint32_t restarts)
{
    if (!s->was_silent && !restarts)
        return SUSPECT_NOT;
    if (!restarts)
        return SUSPECT_COUNT;
    return restarts > s->spec->poison_restarts ? SUSPECT_GUILTY : SUSPECT_TRY;
}

err_t suspect_count(struct shard *s, struct root *const *roots, size_t n, struct arena *arena)
{
    struct journal_op *ops = arena_alloc(arena, n * sizeof *ops);
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        if (roots[i]->suspicion == SUSPECT_COUNT)
            ops[count++] = (struct journal_op){.kind = JOURNAL_RESTARTED, .r = {.id = roots[i]->id}};
    return count ? shard_commit(s, ops, count) : OK;
}

bool suspect_waits(const struct shard *s)
{
    return !s->is_trying && !(list_is_empty(&s->first_suspects) && list_is_empty(&s->suspects));
}

static bool is_accused(const struct shard *s, const struct root *r)
{
    return s->accused.n && bsearch(r->id.b, s->accused.p, s->accused.n / sizeof r->id, sizeof r->id, by_id);
}

void suspect_add(struct shard *s, struct root *r)
{
    list_push_back(is_accused(s, r) ? &s->first_suspects : &s->suspects, &r->suspect_link);
    if (suspect_waits(s))
        replay_wake(s->replays);
}

void suspect_rest(struct root *r)
{
    struct shard *s = r->shard;

    list_remove(&r->suspect_link);
    if (s->watcher && list_is_empty(&s->on_trial))
        fiber_wake(s->watcher);
}

/* Until those on trial have gone or rest, or have been under way for a moment. */
static SUSPENDS err_t watch(struct shard *s, ns_t moment)
{
    ns_t until = rt_now() + moment;
    err_t e = OK;

    s->watcher = fiber_current();
    while (e == OK && !list_is_empty(&s->on_trial))
        e = fiber_park("suspected messages", until);
    s->watcher = NULL;
    while (list_pop_front(&s->on_trial))
        ;
    return e == E_AGAIN ? OK : e;
}

/* The next ones, at most so many; and none beside those that were on trial when the process died. Adds their ids. */
static void choose(struct shard *s, size_t most, struct buf *ids)
{
    struct list *from = list_is_empty(&s->first_suspects) ? &s->suspects : &s->first_suspects, *node;

    while (most-- && (node = list_pop_front(from))) {
        const struct root *r = CONTAINER_OF(node, struct root, suspect_link);
        list_push_back(&s->chosen, node);
        (void)buf_add(ids, str_of((const char *)r->id.b, sizeof r->id.b));
    }
}

static SUSPENDS err_t put_on_trial(struct shard *s, struct str ids)
{
    struct journal_op op = {.kind = JOURNAL_STATE_PUT, .r = place_of(s, TRIAL)};

    op.r.body = (struct journal_body){.form = BODY_TRIAL, .bytes = ids};
    return shard_commit(s, &op, 1);
}

/* Whoever was alone when the process died did no harm this time: another death is the first that counts against it. */
static SUSPENDS err_t acquit(struct shard *s, struct str tried)
{
    struct journal_op op = {.kind = JOURNAL_RESTARTED, .r = {.state = RESTART_HARMLESS}};

    if (s->accused.n != sizeof op.r.id || str_find(tried, buf_str(&s->accused)) == tried.n)
        return OK;
    memcpy(op.r.id.b, s->accused.p, s->accused.n);
    buf_clear(&s->accused);
    return shard_commit(s, &op, 1);
}

static SUSPENDS err_t end_trials(struct shard *s)
{
    struct journal_op op = {.kind = JOURNAL_STATE_DELETE, .r = place_of(s, TRIAL)};

    buf_clear(&s->accused);
    return shard_commit(s, &op, 1);
}

static SUSPENDS err_t try_some(struct shard *s, size_t most)
{
    struct buf ids CLEANUP(buf_release) = BUF_INIT(GROUP_MOST * sizeof(struct journal_id));
    struct list *node;
    ns_t began = rt_now();

    choose(s, most, &ids);
    TRY(put_on_trial(s, buf_str(&ids))); /* meanwhile some of them may be dropped */
    ns_t moment = alone_for + WAITS_USUAL * (rt_now() - began);
    while ((node = list_pop_front(&s->chosen))) {
        list_push_back(&s->on_trial, node);
        root_start(CONTAINER_OF(node, struct root, suspect_link));
    }
    TRY(watch(s, moment));
    return acquit(s, buf_str(&ids));
}

static SUSPENDS err_t try_all(struct shard *s)
{
    size_t most = 1;

    if (list_is_empty(&s->first_suspects) && list_is_empty(&s->suspects))
        return OK;
    while (!(list_is_empty(&s->first_suspects) && list_is_empty(&s->suspects))) {
        TRY(try_some(s, most));
        most = most < GROUP_MOST ? 2 * most : GROUP_MOST;
    }
    return end_trials(s);
}

err_t suspect_run(struct shard *s)
{
    s->is_trying = true;
    err_t e = try_all(s);
    s->is_trying = false;
    return e;
}
