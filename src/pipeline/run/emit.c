/*
 * emit.c - the way out: what has come to a sink is applied there in batches, in order, once.
 *
 * What is about to be applied is noted before (the intent: number of the batch, ids of its records, and what the sink wants to remember), and that it was,
 * after. A crash between the two leaves an intent of which the sink says, when it is opened, whether it came about: then its records are done, else
 * they come again. One batch at a time is under way at a sink; what comes meanwhile is the next.
 * What the sink refuses must be no part of that: a sink that finds it out late applies nothing, and the intent is noted anew, without.
 *
 * With `linger` the first record of a batch waits so long for others, unless no others can come.
 *
 * Effects that are wanted at most once are reserved with the intent. One that fails, or that a crash leaves reserved, is asked about, if that can be; when
 * nobody can tell it becomes a dead letter, for a person to look at. It is never done again in the hope that it was not,
 * unless somebody who has looked says so, by a replay.
 *
 * What an effect is known by is made of the record's id and its sink: a record goes to several sinks under one id.
 */
#include "pipeline/run/shard_int.h"

#include "base/bytes.h"
#include "base/log.h"
#include "base/mem.h"
#include "rt/loop.h"

#include <stdlib.h>
#include <string.h>

enum { INTENT_HEAD = 4, RECONCILE_TRIES = 5 };
static const ns_t pause_first = 100 * NS_MS, pause_most = 10 * NS_SEC;
static const ns_t reopen_for = 3 * NS_SEC;
static const char gave_up[] = "it may have been sent or not, and is not sent again";

static size_t batch_max(const struct emitter *e)
{
    return e->sink->effect.batch ? e->sink->effect.batch : 1;
}

/* Bytes that it will have in a batch; of one that cannot be printed 0. */
static uint32_t weigh(const struct record *r)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(JOURNAL_BODY_MAX);

    if (r->size)
        return r->size;
    return expr_value_print(r->value, &text) == OK ? (uint32_t)text.n : 0;
}

static bool is_full(const struct emitter *e)
{
    return e->queue.count >= batch_max(e) || e->weight >= e->sink->effect.batch_bytes;
}

static void enqueue(struct emitter *e, struct record *r)
{
    record_queue_add(&e->queue, r);
    e->weight += r->weight;
}

static struct record *take(struct emitter *e)
{
    struct record *r = record_queue_take(&e->queue);

    if (r)
        e->weight -= r->weight;
    return r;
}

void emitter_add(struct emitter *e, struct record *r)
{
    if (e->queue.count == 0)
        e->since = rt_now();
    r->weight = e->sink->effect.linger ? weigh(r) : 0;
    enqueue(e, r);
    if (e->queue.count == 1 || is_full(e))
        emitter_wake(e);
}

void emitter_wake(struct emitter *e)
{
    if (e->sleeper)
        fiber_wake(e->sleeper);
}

/* Its records are not applied any more; those of a batch that is under way are. */
void emitter_forget(struct emitter *e, const struct root *r)
{
    struct record_queue all = e->queue;
    struct record *each;

    record_queue_init(&e->queue);
    e->weight = 0;
    while ((each = record_queue_take(&all)))
        if (each->root != r)
            enqueue(e, each);
}

static struct journal_record place_of(const struct emitter *e, uint64_t seq)
{
    return (struct journal_record){
        .pipeline = e->shard->spec->name, .node = e->sink->name, .shard = e->shard->number, .seq = seq};
}

static int by_id(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct journal_id));
}

static struct journal_id effect_id(const struct emitter *e, const struct record *r)
{
    return child_id(&r->id, e->sink, 0);
}

static bool is_in(const struct id_set *set, struct journal_id id)
{
    return set->count && bsearch(&id, set->ids, set->count, sizeof id, by_id);
}

bool root_has_effect(const struct root *r, struct journal_id id)
{
    return is_in(&r->done, id);
}

/* --- intents --- */

/* The ids of the batch's roots and effects, then what the sink wants to remember. */
static err_t pack_intent(const struct emitter *e, const struct batch *b, struct str remembered, struct buf *to)
{
    char head[INTENT_HEAD];
    uint32_t count = 0;

    for (size_t i = 0; i < b->count; i++)
        count += b->items[i].refused == OK;
    be32_put(head, count);
    TRY(buf_add(to, str_of(head, sizeof head)));
    for (size_t i = 0; i < b->count; i++) {
        if (b->items[i].refused != OK)
            continue; /* what intend() has refused is no part of what may have come about */
        TRY(buf_add(to, str_of((const char *)b->items[i].record->root->id.b, sizeof b->items[i].id.b)));
        struct journal_id id = effect_id(e, b->items[i].record);
        TRY(buf_add(to, str_of((const char *)id.b, sizeof id.b)));
    }
    return buf_add(to, remembered);
}

static struct journal_op effect_put(struct journal_id root, struct journal_id effect, enum journal_effect_state state)
{
    return (struct journal_op){.kind = JOURNAL_EFFECT_PUT,
                               .r = {.root = root, .id = effect, .state = state, .at = rt_wall()}};
}

static bool is_at_most_once(const struct emitter *e)
{
    return e->sink->effect.mode == EFFECT_AT_MOST_ONCE;
}

/* `first`, then how the effects of the batch stand. */
static SUSPENDS err_t commit_states(struct emitter *e, const struct batch *b, struct journal_op first, bool is_over)
{
    struct journal_op *ops = mem_alloc((b->count + 1) * sizeof *ops);
    size_t n = 0;

    ops[n++] = first;
    for (size_t i = 0; i < b->count; i++) {
        const struct batch_item *item = &b->items[i];
        struct journal_id root = item->record->root->id, effect = effect_id(e, item->record);
        if (!is_over)
            ops[n++] = effect_put(root, effect, EFFECT_RESERVED);
        else if (item->refused == OK)
            ops[n++] = effect_put(root, effect, EFFECT_DONE);
        else if (is_at_most_once(e))
            ops[n++] = effect_put(root, effect, EFFECT_UNKNOWN);
    }
    err_t result = is_at_most_once(e) ? shard_commit(e->shard, ops, n) : shard_commit_step(e->shard, ops, n);
    mem_free(ops);
    return result;
}

static SUSPENDS err_t commit_intent(struct emitter *e, const struct batch *b, struct str remembered)
{
    struct buf body CLEANUP(buf_release) = BUF_INIT(JOURNAL_BODY_MAX);
    struct journal_op op = {.kind = JOURNAL_INTENT_PUT, .r = place_of(e, b->seq)};

    TRY(pack_intent(e, b, remembered, &body));
    op.r.body = (struct journal_body){.form = BODY_INTENT, .bytes = buf_str(&body)};
    return is_at_most_once(e) ? commit_states(e, b, op, false) : shard_commit_step(e->shard, &op, 1);
}

static SUSPENDS err_t commit_applied(struct emitter *e, const struct batch *b)
{
    return commit_states(e, b, (struct journal_op){.kind = JOURNAL_INTENT_DONE, .r = place_of(e, b->seq)}, true);
}

/* --- a batch --- */

/* It became a dead letter in a former run, which a crash may have taken; nobody has said since that it is to be tried again. */
static bool is_given_up(const struct emitter *e, const struct record *r)
{
    const struct verdict *v = letter_verdict(r);

    return is_in(&r->root->given_up, effect_id(e, r)) && !(v && v->kind == VERDICT_AGAIN);
}

/* What waits, as far as it is one batch. Its roots stay until it is over. */
static err_t fill(struct emitter *e, struct arena *arena, struct batch *b)
{
    const struct pipeline_effect *rules = &e->sink->effect;
    size_t most = batch_max(e), bytes = 0;
    struct record *r;

    *b = (struct batch){.seq = e->seq + 1, .items = arena_alloc(arena, most * sizeof *b->items)};
    while (b->count < most && bytes < rules->batch_bytes && (r = take(e))) {
        struct buf text CLEANUP(buf_release) = BUF_INIT(JOURNAL_BODY_MAX);
        if (root_has_effect(r->root, effect_id(e, r))) {
            root_record_done(r, true);
            continue;
        }
        err_t x = is_given_up(e, r) ? fail(E_UNKNOWN, "%s", gave_up) : expr_value_print(r->value, &text);
        if (x != OK) {
            shard_dead_letter(r, x);
            root_record_done(r, false);
            continue;
        }
        root_hold(r->root);
        b->items[b->count++] = (struct batch_item){.id = r->id,
                                                   .text = arena_str(arena, buf_str(&text)),
                                                   .record = r,
                                                   .is_doubtful = is_in(&r->root->doubtful, effect_id(e, r))};
        bytes += text.n;
    }
    return OK;
}

/* Does it help to wait? */
static bool passes(err_t e)
{
    return e != OK && e != E_CANCELLED && e != E_FENCED;
}

static SUSPENDS err_t pause_after(struct emitter *e, err_t x, ns_t *pause)
{
    log_warn(STR_NONE, "pipeline %.*s: sink %.*s: %s", STR_ARG(e->shard->spec->name), STR_ARG(e->sink->name),
             err_detail(x));
    e->is_failing = true;
    TRY(fiber_sleep_until(rt_now() + *pause));
    e->shard->meter->nodes[e->sink->index].retries++;
    *pause = ns_min(2 * *pause, pause_most);
    return OK;
}

/* --- at most once --- */

/* Did it not even begin? */
static bool is_unsent(err_t x)
{
    return x == E_REFUSED || x == E_RESOLVE || x == E_TLS;
}

static bool is_settled(const struct batch_item *item)
{
    return item->is_applied || item->refused != OK;
}

/* Find out whether it has come about. When nobody can tell, it is given up. */
static SUSPENDS err_t reconcile(struct emitter *e, struct batch_item *item)
{
    const struct sink_run *run = e->sink->sink->run;
    ns_t pause = pause_first;
    err_t x = E_UNKNOWN;

    for (unsigned i = 0; run->reconcile && i < RECONCILE_TRIES; i++) {
        x = run->reconcile(e->state, item, &item->is_applied);
        if (!passes(x) || x == E_UNKNOWN)
            break;
        TRY(pause_after(e, x, &pause));
    }
    item->is_doubtful = false;
    if (!passes(x))
        return x;
    item->refused = E_UNKNOWN;
    item->reason = str_from_c(gave_up);
    item->is_applied = true; /* others of its batch may still be sent */
    return OK;
}

/* Before anything behind it is sent: a later run that asks again may hear that it did not come about, and would send it behind the others. */
static SUSPENDS err_t commit_given_up(struct emitter *e, const struct batch *b)
{
    struct journal_op *ops = mem_alloc(b->count * sizeof *ops);
    size_t n = 0;

    for (size_t i = 0; i < b->count; i++) {
        const struct record *r = b->items[i].record;
        if (b->items[i].refused == E_UNKNOWN)
            ops[n++] = effect_put(r->root->id, effect_id(e, r), EFFECT_UNKNOWN);
    }
    err_t result = shard_commit(e->shard, ops, n);
    mem_free(ops);
    return result;
}

static SUSPENDS err_t reconcile_all(struct emitter *e, const struct batch *b, bool is_each)
{
    bool is_any_given_up = false;

    for (size_t i = 0; i < b->count; i++) {
        if (is_settled(&b->items[i]) || !(is_each || b->items[i].is_doubtful))
            continue;
        TRY(reconcile(e, &b->items[i]));
        is_any_given_up |= b->items[i].refused == E_UNKNOWN;
    }
    return is_any_given_up ? commit_given_up(e, b) : OK;
}

static bool is_left(const struct batch *b)
{
    for (size_t i = 0; i < b->count; i++)
        if (!is_settled(&b->items[i]))
            return true;
    return false;
}

/* As the sink's apply(). If it applies nothing because of what it refuses, the intent is noted anew, without that, and it is asked for the rest. */
static SUSPENDS err_t apply_rest(struct emitter *e, const struct batch *b, struct str remembered)
{
    for (;;) {
        size_t refused = batch_refused(b);
        err_t x = e->sink->sink->run->apply(e->state, b);
        if (x != E_CONFLICT || batch_refused(b) == refused)
            return x;
        TRY(commit_intent(e, b, remembered));
    }
}

static SUSPENDS err_t apply_at_most_once(struct emitter *e, const struct batch *b, struct str remembered)
{
    ns_t pause = pause_first;

    TRY(reconcile_all(e, b, false));
    while (is_left(b)) {
        err_t x = apply_rest(e, b, remembered);
        if (!passes(x))
            return x;
        if (!is_unsent(x))
            TRY(reconcile_all(e, b, true));
        if (is_left(b))
            TRY(pause_after(e, x, &pause));
    }
    return OK;
}

/*
 * Intent, effect, done: each until it has come about, a sink that is down or a disk that is full being waited for. What has come about is not done again:
 * to intend anew behind a batch that was applied would apply it twice.
 */
static SUSPENDS err_t apply(struct emitter *e, const struct batch *b, struct arena *arena)
{
    const struct sink_run *run = e->sink->sink->run;
    struct str remembered = STR_NONE;
    ns_t pause = pause_first;
    err_t x = OK;

    while (run->intend && passes(x = run->intend(e->state, b, arena, &remembered)))
        TRY(pause_after(e, x, &pause));
    TRY(x);
    TRY(commit_intent(e, b, remembered));
    if (is_at_most_once(e)) {
        TRY(apply_at_most_once(e, b, remembered));
        return commit_applied(e, b);
    }
    while (passes(x = apply_rest(e, b, remembered)))
        TRY(pause_after(e, x, &pause));
    TRY(x);
    return commit_applied(e, b);
}

static void settle_item(struct emitter *e, const struct batch_item *item)
{
    e->shard->stats.emitted += item->refused == OK;
    if (!root_let_go(item->record->root))
        return;
    if (item->refused != OK)
        shard_dead_letter(item->record, fail(item->refused, "%.*s", STR_ARG(item->reason)));
    root_record_done(item->record, item->refused == OK);
}

static SUSPENDS err_t emit_one(struct emitter *e)
{
    struct arena arena CLEANUP(arena_release);
    struct batch b;

    arena_init(&arena, SIZE_MAX);
    TRY(fill(e, &arena, &b));
    if (b.count == 0)
        return OK;
    TRY(apply(e, &b, &arena));
    e->seq = b.seq;
    e->is_failing = false;
    e->shard->meter->nodes[e->sink->index].batches++;
    for (size_t i = 0; i < b.count; i++)
        settle_item(e, &b.items[i]);
    return OK;
}

/* --- the beginning --- */

/* An intent that a crash left: was it applied? Then its records are done. */
static SUSPENDS err_t settle(struct emitter *e, const struct journal_record *r, bool was_applied)
{
    const char *p = r->body.bytes.p;
    enum { ID = sizeof(struct journal_id) };

    if (!was_applied)
        return OK;
    uint32_t count = be32_get(p);
    struct journal_op *ops = mem_alloc((count + 1) * sizeof *ops);
    ops[0] = (struct journal_op){.kind = JOURNAL_INTENT_DONE, .r = place_of(e, r->seq)};
    for (uint32_t i = 0; i < count; i++) {
        struct journal_id root, effect;
        memcpy(root.b, p + INTENT_HEAD + 2 * i * ID, ID);
        memcpy(effect.b, p + INTENT_HEAD + (2 * i + 1) * ID, ID);
        ops[i + 1] = effect_put(root, effect, EFFECT_DONE);
    }
    err_t result = shard_commit(e->shard, ops, count + 1);
    mem_free(ops);
    e->seq = r->seq;
    return result;
}

/* Where a former run left off. */
static SUSPENDS err_t find_intent(const struct emitter *e, struct arena *arena, const struct journal_record **ret)
{
    struct journal_query q = {.kind = JOURNAL_INTENTS, .r = {.pipeline = e->shard->spec->name}};

    *ret = NULL;
    do {
        struct journal_page page;
        TRY(journal_read(e->shard->journal, &q, arena, &page));
        for (size_t i = 0; i < page.count; i++)
            if (page.records[i].shard == e->shard->number && str_eq(page.records[i].node, e->sink->name))
                *ret = &page.records[i];
        q.after = page.next;
    } while (q.after && !*ret);
    return OK;
}

static err_t check_intent(const struct journal_record *r)
{
    struct str body = r->body.bytes;

    if (body.n < INTENT_HEAD || (body.n - INTENT_HEAD) / (2 * sizeof(struct journal_id)) < be32_get(body.p))
        return fail(E_IO, "the intent of batch %llu at sink %.*s is damaged", (unsigned long long)r->seq,
                    STR_ARG(r->node));
    return OK;
}

/*
 * Make the sink ready. One that has left a batch in doubt was there before: it is asked again for a while, like one that fails while messages are under way.
 * Any other may never have been there, or be written wrongly, which is better told at once.
 */
static SUSPENDS err_t open_sink(struct emitter *e, const struct sink_at *at, bool *ret_applied)
{
    ns_t until = at->is_open ? rt_now() + reopen_for : 0, pause = pause_first;
    err_t x;

    while (passes(x = e->sink->sink->run->open(at, ret_applied, &e->state)) && rt_now() < until)
        TRY(pause_after(e, x, &pause));
    e->is_failing = x != OK;
    return x;
}

err_t emitter_open(struct emitter *e)
{
    const struct journal_record *left;
    struct arena arena CLEANUP(arena_release);
    struct str remembered = STR_NONE;
    bool was_applied = false;

    arena_init(&arena, SIZE_MAX);
    TRY(find_intent(e, &arena, &left));
    bool is_open = left && left->state == INTENT_OPEN;
    e->seq = left ? left->seq - is_open : 0;
    if (is_open) {
        TRY(check_intent(left));
        remembered =
            str_slice(left->body.bytes, INTENT_HEAD + 2 * sizeof(struct journal_id) * be32_get(left->body.bytes.p),
                      left->body.bytes.n);
    }
    const struct sink_at at = {.sink = e->sink,
                               .home = e->shard,
                               .web = shard_web(e->shard),
                               .pipeline = e->shard->spec->name,
                               .shard = e->shard->number,
                               .is_open = is_open,
                               .seq = e->seq + 1,
                               .intent = remembered};
    TRY(open_sink(e, &at, &was_applied));
    return is_open ? settle(e, left, was_applied) : OK;
}

static SUSPENDS err_t sleep_until(struct emitter *e, ns_t until)
{
    e->sleeper = fiber_current();
    err_t x = fiber_park("records", until);
    e->sleeper = NULL;
    return x;
}

/* May the batch still grow? A source that waits for room, or is told to stop, brings no more. */
static bool is_filling(const struct emitter *e, ns_t until)
{
    const struct shard *s = e->shard;

    return e->queue.count && !is_full(e) && rt_now() < until && !s->is_draining && list_is_empty(&s->credit.waiters);
}

static SUSPENDS err_t let_fill(struct emitter *e)
{
    ns_t until = ns_add(e->since, e->sink->effect.linger);
    err_t x = OK;

    while (x == OK && is_filling(e, until))
        x = sleep_until(e, until);
    return x == E_AGAIN ? OK : x;
}

err_t emitter_run(void *emitter)
{
    struct emitter *e = emitter;
    err_t x = OK;

    while (x == OK) {
        while (x == OK && e->queue.count) {
            x = let_fill(e);
            if (x == OK)
                x = emit_one(e);
        }
        if (x == OK)
            x = sleep_until(e, NS_NEVER);
    }
    return x;
}

void emitter_close(struct emitter *e)
{
    if (e->state)
        e->sink->sink->run->close(e->state);
    e->state = NULL;
}
