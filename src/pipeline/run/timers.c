/*
 * timers.c - what waits for an instant: records at nodes that let them wait, and joins of a root that lose their patience.
 *
 * Each has a timer of the loop, in its root's arena. A timer that fires only moves it to the shard's list of what is due; a fiber works on that, because what
 * follows may begin other fibers and take its time.
 *
 * When a record is due is asked once, and noted in the journal: after a crash it waits for the rest of its time, or goes on at once if that is over. The
 * note is not waited for: a record whose note a crash has taken had only just begun to wait. What is left of a join's patience is noted when its version makes room
 * for another one (former.h): it may do so often. After a crash a join is as patient as at first.
 *
 * Notes are of the wall clock, because they outlive the process; once a timer is set, the clock may be put right without moving it. Who waits for a span, and
 * not for an instant, is noted with the span: were the clock put back while the process was away, it waits no longer than that.
 */
#include "pipeline/run/shard_int.h"

#include "base/bytes.h"
#include "rt/loop.h"

struct waiting {
    struct timer timer;
    struct list of_root, of_shard; /* of_shard: among those that wait, or those that are due */
    struct root *root;
    struct record *record; /* NULL: it is the join `node` */
    uint16_t node;
    bool is_noted; /* of a join: the journal knows when it began */
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

ns_t wall_passed(int64_t since)
{
    ns_t passed;

    if (__builtin_sub_overflow(rt_wall(), since, &passed))
        return INT64_MAX / 2;
    return passed < 0 ? 0 : ns_min(passed, INT64_MAX / 2);
}

ns_t wall_left(int64_t until)
{
    int64_t now = rt_wall();

    return until > now ? until - now : 0;
}

/* --- records --- */

static struct str wait_item(const struct step *s)
{
    return arena_join(step_arena(s), step_item(s), STR("@"));
}

/* An instant; or for how long it is to wait, and since when. */
enum { INSTANT_BYTES = 8, SPAN_BYTES = 16 };

static void note_due(struct root *r, struct str item, const struct due *due)
{
    char bytes[SPAN_BYTES];

    be64_put(bytes, (uint64_t)(due->until ? due->until : rt_wall()));
    be64_put(bytes + 8, (uint64_t)due->span);
    const struct journal_op op = {
        .kind = JOURNAL_STEP_PUT,
        .r = {.root = r->id,
              .node = item,
              .at = rt_wall(),
              .body = {.form = BODY_DUE, .bytes = str_of(bytes, due->until ? INSTANT_BYTES : SPAN_BYTES)}}};
    clerk_note(r->shard->clerk, &op);
}

/* What is left of the time that a former run has noted. */
static ns_t left_of(struct str note)
{
    int64_t at = (int64_t)be64_get(note.p);

    if (note.n == INSTANT_BYTES)
        return wall_left(at);
    ns_t span = (ns_t)be64_get(note.p + 8), passed = wall_passed(at);
    return span > passed ? span - passed : 0;
}

/* For how long it waits: what a former run said, or what the node says now. */
static err_t wait_of(struct step *s, ns_t *ret_left)
{
    struct root *owner = root_owner(s->root);
    const struct recorded *known = owner ? root_recorded(owner, wait_item(s)) : NULL;
    struct due due = {.span = 0};

    if (known && (known->outputs.n == INSTANT_BYTES || known->outputs.n == SPAN_BYTES)) {
        *ret_left = left_of(known->outputs);
        return OK;
    }
    TRY(s->node->node->run->wait(s, &due));
    *ret_left = due.until ? wall_left(due.until) : due.span;
    if (owner && *ret_left > 0)
        note_due(owner, wait_item(s), &due);
    return OK;
}

void waiting_add(struct record *rec)
{
    struct root *r = rec->root;
    struct step s = {.root = r, .node = r->shard->spec->nodes[rec->node], .in = rec};
    ns_t left;

    err_t e = wait_of(&s, &left);
    if (e != OK) {
        root_record_failed(rec, e);
        return;
    }
    if (left == 0)
        root_record_due(rec);
    else
        wait_until(r, rec, rec->node, ns_add(rt_now(), left));
}

/* --- joins --- */

static struct str join_item(struct root *r, uint16_t node)
{
    return arena_join(&r->arena, r->shard->spec->nodes[node]->name, STR("@"));
}

void join_wait_begin(struct root *r, uint16_t node)
{
    const struct recorded *known = r->recorded_count ? root_recorded(r, join_item(r, node)) : NULL;
    bool is_note = known && known->outputs.n == SPAN_BYTES;

    wait_until(r, NULL, node,
               ns_add(rt_now(), is_note ? left_of(known->outputs) : r->shard->spec->nodes[node]->patience));
}

void timers_note(struct shard *s)
{
    LIST_EACH(node, next, &s->waiting) {
        struct waiting *w = CONTAINER_OF(node, struct waiting, of_shard);
        if (w->record || w->is_noted)
            continue;
        w->is_noted = true;
        note_due(w->root, join_item(w->root, w->node),
                 &(struct due){.span = w->timer.when > rt_now() ? w->timer.when - rt_now() : 0});
    }
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

ns_t timers_next(const struct shard *s)
{
    ns_t next = list_is_empty(&s->due) ? NS_NEVER : rt_now();

    LIST_EACH(node, next_node, &s->waiting)
        next = ns_min(next, CONTAINER_OF(node, struct waiting, of_shard)->timer.when);
    return next;
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
