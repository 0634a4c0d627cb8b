/*
 * call.c - nodes that ask somebody else: each item in a fiber, so many at a time, those first whose deadline is nearest.
 *
 * An item that cannot come in time any more, by what the node and those behind it usually take, is dealt with as the file says (`on_late`) before anybody is
 * asked. While the breaker is open nobody is asked either: items get their fallback if there is one, else they wait, one fiber looking out for all of them.
 * A retry waits for the budget rather than fail: what is under way is safe, and can wait as long as its deadline lets it.
 *
 * Of a root that is dropped nobody waits for answers: the fibers that do are cancelled, and so what they have asked ends at once, be it in the midst of an
 * answer. A cancelled fiber takes no other item; another one has its place from then on.
 *
 * What an item yields is kept until the call has succeeded: a call that is tried again begins with nothing. If the node is recorded, the outputs are in the
 * journal before anybody is sent them; after a crash they are sent from there, and nobody is asked again.
 */
#include "pipeline/run/shard_int.h"

#include "base/mem.h"
#include "codec/json_tree.h"
#include "rt/loop.h"

#include <string.h>

enum { HEAP_FIRST = 64 };
static const ns_t budget_pause = NS_SEC, paths_fresh = NS_SEC;

/* --- who waits, the nearest deadline first --- */

static bool is_sooner(const struct record *a, const struct record *b)
{
    return a->root->deadline < b->root->deadline || (a->root->deadline == b->root->deadline && a->seq < b->seq);
}

static void rise(struct caller *c, struct record *r)
{
    size_t at = c->count++;

    for (; at > 0 && is_sooner(r, c->heap[(at - 1) / 2]); at = (at - 1) / 2)
        c->heap[at] = c->heap[(at - 1) / 2];
    c->heap[at] = r;
}

static void put_in(struct caller *c, struct record *r)
{
    if (c->count == c->cap) {
        c->cap = c->cap ? 2 * c->cap : HEAP_FIRST;
        c->heap = mem_realloc(c->heap, c->cap * sizeof *c->heap);
    }
    r->seq = c->came++;
    rise(c, r);
}

static void forget_waiting(struct caller *c, const struct root *r)
{
    size_t n = c->count;

    c->count = 0;
    for (size_t i = 0; i < n; i++) /* never ahead of what is read: what is left takes no more room */
        if (c->heap[i]->root != r)
            rise(c, c->heap[i]);
}

static struct record *take_out(struct caller *c)
{
    struct record *first = c->heap[0], *last = c->heap[--c->count];
    size_t at = 0;

    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= c->count)
            break;
        if (child + 1 < c->count && is_sooner(c->heap[child + 1], c->heap[child]))
            child++;
        if (!is_sooner(c->heap[child], last))
            break;
        c->heap[at] = c->heap[child];
        at = child;
    }
    c->heap[at] = last;
    return first;
}

/* --- outputs --- */

err_t step_keep(struct step *s, int64_t target, struct expr_value value)
{
    struct outputs *o = s->outputs;

    if (o->count == o->cap) {
        size_t cap = o->cap ? 2 * o->cap : 1;
        struct output *more = arena_alloc(step_arena(s), cap * sizeof *more);
        if (o->count)
            memcpy(more, o->items, o->count * sizeof *more);
        o->items = more;
        o->cap = cap;
    }
    o->items[o->count++] = (struct output){target, value};
    return OK;
}

err_t step_send_kept(struct step *s)
{
    struct outputs *o = s->outputs;

    s->outputs = NULL;
    for (size_t i = 0; i < o->count; i++)
        TRY(o->items[i].target < 0 ? step_send(s, o->items[i].value)
                                   : step_send_to(s, (size_t)o->items[i].target, o->items[i].value));
    return OK;
}

/* --- what nodes that call have besides --- */

void **step_kept(const struct step *s)
{
    return &s->root->shard->callers[s->node->index].kept;
}

struct gateway *step_gateway(const struct step *s)
{
    return s->root->shard->gateway;
}

void step_note(struct step *s, struct str note)
{
    s->note = note;
}

/* --- the journal --- */

struct str step_item(const struct step *s)
{
    return arena_printf(step_arena(s), "%.*s/%.*s", STR_ARG(s->node->name), STR_ARG(step_id_text(s)));
}

err_t step_print_kept(const struct step *s, struct buf *to)
{
    const struct outputs *o = s->outputs;

    TRY(buf_add_char(to, '['));
    for (size_t i = 0; i < o->count; i++) {
        TRY(buf_addf(to, "%s[%lld,", i ? "," : "", (long long)o->items[i].target));
        TRY(expr_value_print(o->items[i].value, to));
        TRY(buf_add_char(to, ']'));
    }
    if (s->note.n)
        TRY(buf_addf(to, "%s%.*s", o->count ? "," : "", STR_ARG(s->note)));
    return buf_add_char(to, ']');
}

void step_commit_beside(struct step *s, const struct journal_op *op)
{
    struct outputs *o = s->outputs;

    if (o->beside_count == o->beside_cap) {
        size_t cap = o->beside_cap ? 2 * o->beside_cap : 2;
        struct journal_op *more = arena_alloc(step_arena(s), cap * sizeof *more);
        if (o->beside_count)
            memcpy(more, o->beside, o->beside_count * sizeof *more);
        o->beside = more;
        o->beside_cap = cap;
    }
    o->beside[o->beside_count++] = *op;
}

err_t step_record(struct step *s)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(JOURNAL_BODY_MAX);

    TRY(step_print_kept(s, &text));
    struct journal_op op = {.kind = JOURNAL_STEP_PUT,
                            .r = {.root = root_owner(s->root)->id,
                                  .node = step_item(s),
                                  .at = rt_wall(),
                                  .body = {.form = BODY_OUTPUTS, .bytes = buf_str(&text)}}};
    op.r.body.bytes = arena_str(step_arena(s), op.r.body.bytes);
    step_commit_beside(s, &op);
    return OK;
}

static SUSPENDS err_t record_outputs(struct step *s)
{
    if (!root_owner(s->root))
        return OK; /* nobody waits for it any more */
    TRY(step_record(s));
    return shard_commit_step(s->root->shard, s->outputs->beside, s->outputs->beside_count);
}

const struct recorded *root_recorded(const struct root *r, struct str item)
{
    for (size_t i = 0; i < r->recorded_count; i++)
        if (str_eq(r->recorded[i].item, item))
            return &r->recorded[i];
    return NULL;
}

err_t step_recall(struct step *s, bool *ret_any)
{
    struct str name = step_item(s);
    const struct root *owner = root_owner(s->root);
    const struct recorded *r = owner ? root_recorded(owner, name) : NULL;

    *ret_any = r != NULL;
    if (!r)
        return OK;
    const struct json_tree *tree;
    TRY(json_tree_parse(step_arena(s), r->outputs, &tree));
    JSON_EACH(w, json_tree_root(tree)) {
        int64_t target;
        if (json_node_is(w.value, JSON_OBJECT)) /* the note */
            continue;
        if (!json_node_i64(json_node_at(w.value, 0), &target))
            return fail(E_IO, "a recorded output of %.*s is damaged", STR_ARG(name));
        TRY(step_keep(s, target, expr_json(json_node_at(w.value, 1))));
    }
    return OK;
}

/* --- an item --- */

static unsigned class_of(err_t e)
{
    switch (e) {
    case E_DEADLINE:
        return RETRY_TIMEOUT;
    case E_RESOLVE:
    case E_REFUSED:
    case E_IO:
    case E_TLS:
    case E_EOF:
        return RETRY_TRANSPORT;
    case E_OVERLOAD:
        return RETRY_RATE;
    case E_UPSTREAM:
    case E_PROTOCOL:
        return RETRY_SERVER;
    case E_PARSE:
        return RETRY_INVALID;
    default:
        return 0;
    }
}

static struct caller *caller_of(const struct step *s)
{
    return &s->root->shard->callers[s->node->index];
}

/* What the end of an attempt says of who was asked. */
static enum cause cause_of(const struct step *s, err_t e)
{
    if (e == OK)
        return CAUSE_OK;
    switch (class_of(e)) {
    case RETRY_TIMEOUT:
        return rt_now() >= s->root->deadline ? CAUSE_DEADLINE : CAUSE_TIMEOUT_TOTAL;
    case RETRY_TRANSPORT:
        return CAUSE_CONNECT;
    case RETRY_RATE:
        return CAUSE_RATE_LIMITED;
    case RETRY_SERVER:
        return CAUSE_SERVER_ERROR;
    case RETRY_INVALID:
        return CAUSE_MALFORMED;
    }
    return e == E_CANCELLED ? CAUSE_CANCELLED : CAUSE_CLIENT_ERROR;
}

static SUSPENDS err_t try_within(struct step *s)
{
    const struct pipeline_rules *rules = &s->node->rules;
    ns_t by = rules->budget ? ns_min(ns_add(rt_now(), rules->budget), s->root->deadline) : s->root->deadline;
    WITHIN(by);

    s->outputs->count = s->outputs->beside_count = 0;
    s->not_before = 0;
    return s->node->node->run->call(s);
}

static SUSPENDS err_t try_once(struct step *s)
{
    struct caller *c = caller_of(s);

    if (s->is_degraded) /* that somebody else is quick says nothing of who is asked as a rule */
        return try_within(s);
    struct care_attempt a = care_sent(c->care, rt_now());
    err_t e = try_within(s);

    care_ended(c->care, a, cause_of(s, e), c->active, rt_now());
    return e;
}

/* Wait for a pause, and then until the budget has a retry. E_DEADLINE: the root's comes first. */
static SUSPENDS err_t wait_for_retry(const struct step *s, unsigned again)
{
    const struct pipeline_rules *rules = &s->node->rules;
    ns_t most = ns_min(rules->retry_base << (again < 30 ? again : 30), rules->retry_cap);
    ns_t pause = (ns_t)(rt_random() % (uint64_t)(most > 0 ? most : 1)); /* full jitter */

    if (s->not_before > rt_now() && s->not_before - rt_now() > pause)
        pause = s->not_before - rt_now();
    do {
        if (ns_add(rt_now(), pause) >= s->root->deadline)
            return E_DEADLINE;
        TRY(fiber_sleep_until(ns_add(rt_now(), pause)));
        pause = budget_pause;
    } while (!care_may_retry(caller_of(s)->care, rt_now()));
    return OK;
}

/* Again, as often as its rules and the root's deadline allow. */
static SUSPENDS err_t try_enough(struct step *s)
{
    const struct pipeline_rules *rules = &s->node->rules;
    struct care *care = caller_of(s)->care;

    care_item(care, rt_now());
    for (unsigned again = 0;; again++) {
        err_t e = try_once(s);
        if (e == OK && again)
            care_retried(care, rt_now());
        if (e == OK || e == E_CANCELLED || s->is_told || again == rules->retries || !(class_of(e) & rules->retry_on))
            return e;
        struct err_record words = *err_current();
        err_t waited = wait_for_retry(s, again);
        if (waited == E_DEADLINE) {
            *err_current() = words;
            return e;
        }
        TRY(waited);
        s->root->shard->meter->nodes[s->node->index].retries++;
    }
}

static SUSPENDS err_t ask(struct step *s)
{
    TRY(try_enough(s));
    return s->node->is_recorded ? record_outputs(s) : OK;
}

static err_t fall_back(struct step *s)
{
    struct expr_value value;

    TRY(step_eval(s, s->node->rules.fallback, &value));
    return step_send(s, value);
}

err_t step_make_good(struct step *s, err_t e)
{
    if (s->outputs)
        s->outputs->count = s->outputs->beside_count = 0;
    switch (s->node->rules.on_error) {
    case FAILURE_SKIP:
        return OK;
    case FAILURE_FALLBACK:
        return fall_back(s);
    case FAILURE_DLQ:
        break;
    }
    return e;
}

/* --- what comes too late --- */

/* What it usually takes from each node on to the end of the longest path behind it. Not for each item anew. */
static void refresh_paths(struct shard *shard)
{
    const struct flow_graph *g = &shard->spec->graph;

    if (shard->paths_at && rt_now() - shard->paths_at < paths_fresh)
        return;
    shard->paths_at = rt_now();
    for (uint16_t i = g->node_count; i-- > 0;) { /* targets stand behind */
        struct caller *c = &shard->callers[i];
        ns_t longest = 0;
        for (uint16_t e = g->nodes[i].first_out; e < g->nodes[i].first_out + g->nodes[i].out_count; e++) {
            const struct caller *target = &shard->callers[g->edges[e].to];
            longest = longest > target->path ? longest : target->path;
        }
        c->behind = longest;
        c->path = longest + (c->care ? care_takes(c->care, 0.5) : 0);
    }
}

static bool is_late(const struct step *s)
{
    struct caller *c = caller_of(s);

    if (s->root->deadline == NS_NEVER || s->node->rules.on_late == LATE_CONTINUE)
        return false;
    refresh_paths(s->root->shard);
    return s->root->deadline - rt_now() < care_takes(c->care, 0.9) + c->behind;
}

/* It is late: do what the file says. *ret_done: that was all. */
static err_t deal_with_late(struct step *s, bool *ret_done)
{
    meter_late(s);
    *ret_done = true;
    switch (s->node->rules.on_late) {
    case LATE_FALLBACK:
        return fall_back(s);
    case LATE_SKIP:
        return OK;
    case LATE_DLQ:
        return fail(E_DEADLINE, "%.*s would not end before the deadline", STR_ARG(s->node->name));
    case LATE_DEGRADE:
        s->is_degraded = true;
        break;
    case LATE_CONTINUE:
        break;
    }
    *ret_done = false;
    return OK;
}

/* --- an item --- */

/* What it yields, from the journal, from whoever is asked, or instead. `refused`: nobody is to be asked, and why. */
static SUSPENDS err_t yield(struct step *s, err_t refused)
{
    bool is_done;

    TRY(step_recall(s, &is_done));
    if (is_done)
        return OK;
    if (refused != OK)
        return step_make_good(s, refused);
    if (is_late(s))
        TRY(deal_with_late(s, &is_done));
    if (is_done)
        return OK;
    err_t e = ask(s);
    return e == OK || e == E_CANCELLED || s->is_told ? e : step_make_good(s, e);
}

/* What a fiber has in its hands. */
struct calling {
    struct list link; /* of the caller's */
    const struct root *root;
    struct fiber *fiber;
    bool is_replaced; /* the root was dropped: the fiber is cancelled, and not one of the caller's any more */
};

static SUSPENDS err_t work(struct calling *me, struct record *r, struct caller *c, err_t refused)
{
    struct outputs outputs = {.count = 0};
    struct step s = {.root = r->root, .node = c->node, .in = r, .outputs = &outputs};
    struct shard *shard = r->root->shard;

    root_hold(r->root);
    me->root = r->root;
    list_push_back(&c->working, &me->link);
    err_t e = yield(&s, refused);
    list_remove(&me->link);
    if (!root_let_go(r->root))
        return OK;
    if (e == E_CANCELLED)
        return e; /* the next run begins it anew */
    if (e == OK) {
        trace_made(r, &s);
        e = step_send_kept(&s);
    }
    if (e != OK)
        shard_dead_letter(r, e);
    early_end(&s, e == OK);
    root_record_done(r, e == OK);
    shard_pump(shard);
    return OK;
}

/* --- fibers --- */

static SUSPENDS err_t run_calls(void *caller);

/* As many as the node may have and has work for. */
static void grow(struct caller *c)
{
    while (c->active < care_most(c->care) && c->spawned < c->count) {
        c->active++;
        c->spawned++;
        scope_spawn(c->scope, "pipeline call", run_calls, c);
    }
}

/* The breaker is open, and the next item has no fallback: wait until one may go through, or the next item's time is over. */
static SUSPENDS err_t look_out(struct caller *c, ns_t until, err_t *ret_refused)
{
    ns_t deadline = c->heap[0]->root->deadline;

    *ret_refused = OK;
    if (rt_now() >= deadline) {
        *ret_refused = fail(E_DEADLINE, "%.*s failed too often, and is not asked for a while", STR_ARG(c->node->name));
        return OK;
    }
    c->lookout = fiber_current();
    err_t e = fiber_park("a breaker", ns_min(until, deadline));
    c->lookout = NULL;
    return e == E_AGAIN ? OK : e;
}

static SUSPENDS err_t run_calls(void *caller)
{
    struct caller *c = caller;
    struct calling me = {.fiber = fiber_current()};
    err_t e = OK;

    c->spawned--;
    while (e == OK && !me.is_replaced && c->count && c->active <= care_most(c->care)) {
        ns_t until;
        err_t refused = OK;
        if (!care_admits(c->care, rt_now(), &until)) {
            bool has_fallback = c->node->rules.on_error == FAILURE_FALLBACK;
            if (!has_fallback && c->active > 1)
                break; /* one looks out for all */
            if (has_fallback)
                refused =
                    fail(E_OVERLOAD, "%.*s failed too often, and is not asked for a while", STR_ARG(c->node->name));
            else
                e = look_out(c, until, &refused);
            if (refused == OK)
                continue;
        }
        e = work(&me, take_out(c), c, refused);
        grow(c);
    }
    c->active -= !me.is_replaced;
    return e;
}

void caller_forget(struct caller *c, const struct root *r)
{
    bool any = false;

    forget_waiting(c, r);
    LIST_EACH(node, next, &c->working) {
        struct calling *one = CONTAINER_OF(node, struct calling, link);
        if (one->root != r || one->is_replaced)
            continue;
        one->is_replaced = any = true;
        c->active--;
        fiber_cancel(one->fiber);
    }
    if (any)
        grow(c);
}

void caller_add(struct caller *c, struct record *r)
{
    put_in(c, r);
    if (c->lookout)
        fiber_wake(c->lookout); /* its deadline may be the nearest */
    grow(c);
}
