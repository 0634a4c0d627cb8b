/*
 * timers.c - what waits for an instant: records at nodes that let them wait, and joins of a root that lose their patience.
 *
 * Each has a timer of the loop, in its root's arena. A timer that fires only moves it to the shard's list of what is due; a fiber works on that, because what
 * follows may begin other fibers and take its time.
 *
 * When a record is due is asked once, and noted in the journal: after a crash it waits until the same instant, or goes on at once if that has passed. The
 * note is not waited for: a record whose note a crash has taken had only just begun to wait.
 *
 * Instants are of the wall clock, because they outlive the process; once a timer is set, the clock may be put right without moving it.
 */
#include "pipeline/shard_int.h"

#include "base/bytes.h"
#include "rt/loop.h"

struct waiting {
    struct timer timer;
    struct list of_root, of_shard; /* of_shard: among those that wait, or those that are due */
    struct root *root;
    struct record *record; /* NULL: it is the join `node` */
    uint16_t node;
};

static void on_time(struct timer *t)
{
    struct waiting *w = CONTAINER_OF(t, struct waiting, timer);
    struct shard *s = w->root->shard;

    list_remove(&w->of_shard);
    list_push_back(&s->due, &w->of_shard);
    if (s->timekeeper)
        fiber_wake(s->timekeeper);
}

static void wait_until(struct root *r, struct record *record, uint16_t node, ns_t when)
{
    struct waiting *w = arena_new(&r->arena, struct waiting);

    *w = (struct waiting){.timer = {.fire = on_time}, .root = r, .record = record, .node = node};
    list_push_back(&r->waiting, &w->of_root);
    list_push_back(&r->shard->waiting, &w->of_shard);
    timer_arm(&w->timer, when);
}

ns_t shard_instant(int64_t wall)
{
    int64_t left;

    if (__builtin_sub_overflow(wall, rt_wall(), &left))
        return NS_NEVER;
    return ns_add(rt_now(), left > 0 ? left : 0);
}

/* --- records --- */

static struct str wait_item(const struct step *s)
{
    return arena_join(step_arena(s), step_item(s), STR("@"));
}

static void note_due(const struct step *s, int64_t due)
{
    char bytes[8];

    be64_put(bytes, (uint64_t)due);
    const struct journal_op op = {.kind = JOURNAL_STEP_PUT,
                                  .r = {.root = root_owner(s->root)->id,
                                        .node = wait_item(s),
                                        .at = rt_wall(),
                                        .body = {.form = BODY_DUE, .bytes = str_of(bytes, sizeof bytes)}}};
    clerk_note(root_owner(s->root)->shard->clerk, &op);
}

/* Until when it waits: what a former run said, or what the node says now. */
static err_t due_of(struct step *s, int64_t *ret)
{
    const struct root *owner = root_owner(s->root);
    const struct recorded *known = owner ? root_recorded(owner, wait_item(s)) : NULL;

    if (known && known->outputs.n == 8) {
        *ret = (int64_t)be64_get(known->outputs.p);
        return OK;
    }
    TRY(s->node->node->run->wait(s, ret));
    if (owner && *ret > rt_wall())
        note_due(s, *ret);
    return OK;
}

void waiting_add(struct record *rec)
{
    struct root *r = rec->root;
    struct step s = {.root = r, .node = r->shard->spec->nodes[rec->node], .in = rec};
    int64_t due;

    err_t e = due_of(&s, &due);
    if (e != OK) {
        root_record_failed(rec, e);
        return;
    }
    if (due <= rt_wall())
        root_record_due(rec);
    else
        wait_until(r, rec, rec->node, shard_instant(due));
}

/* --- joins --- */

void join_wait_begin(struct root *r, uint16_t node)
{
    wait_until(r, NULL, node, ns_add(rt_now(), r->shard->spec->nodes[node]->patience));
}

/* --- what is due --- */

static void forget(struct waiting *w)
{
    timer_disarm(&w->timer);
    list_remove(&w->of_root);
    list_remove(&w->of_shard);
}

static void work_on(struct waiting *w)
{
    struct root *r = w->root;
    struct record *record = w->record;

    forget(w);
    if (record)
        root_record_due(record);
    else
        root_join_over(r, w->node);
}

err_t timers_run(void *shard)
{
    struct shard *s = shard;
    err_t e = OK;

    while (e == OK) {
        while (!list_is_empty(&s->due)) {
            work_on(CONTAINER_OF(s->due.next, struct waiting, of_shard));
            shard_pump(s);
        }
        s->timekeeper = fiber_current();
        e = fiber_park("an instant", NS_NEVER);
        s->timekeeper = NULL;
    }
    return e;
}

size_t timers_waiting(const struct root *r)
{
    size_t n = 0;

    LIST_EACH(node, next, &r->waiting)
        n += CONTAINER_OF(node, struct waiting, of_root)->record != NULL;
    return n;
}

void timers_drop(struct root *r)
{
    while (!list_is_empty(&r->waiting))
        forget(CONTAINER_OF(r->waiting.next, struct waiting, of_root));
}

void timers_stop(struct shard *s)
{
    struct list *const lists[] = {&s->waiting, &s->due};

    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        while (!list_is_empty(lists[i]))
            forget(CONTAINER_OF(lists[i]->next, struct waiting, of_shard));
}
