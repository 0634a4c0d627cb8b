/*
 * shard.c - the life of a shard: resume, read, finish; and what there is one of in each shard.
 *
 * Fibers: one for each source, one for each sink, the clerk. Whoever has made a record ready works on it, and on what comes of it, before it goes on
 * (shard_pump()): most nodes need no fiber.
 */
#include "pipeline/door/replies.h"
#include "pipeline/run/former.h"
#include "pipeline/run/suspect.h"
#include "pipeline/run/version.h"

#include "base/log.h"
#include "base/mem.h"
#include "pipeline/door/ears.h"
#include "pipeline/run/agree.h"
#include "pipeline/spec/graph.h"
#include "pipeline/system/fast_kafka.h"
#include "rt/loop.h"

#include <string.h>

static const ns_t pause_after_failure = 250 * NS_MS;
static const ns_t look_for_rest = 100 * NS_MS; /* when it drains */
static const ns_t rest_least = NS_SEC;         /* for less it is not worth to make room, and to come again */

static struct care *care_for(const struct pipeline_node *n)
{
    if (n->role != PIPELINE_NODE || !n->node->run || !n->node->run->call)
        return NULL;
    struct care *c = NEW(struct care);
    care_init(c, &n->rules, rt_now());
    return c;
}

/* What is behind a shadow. */
static void find_shadowed(struct shard *s)
{
    for (uint16_t i = 0; i < s->spec->node_count; i++)
        for (uint16_t k = i; s->spec->nodes[i]->kind->traits & KIND_SHADOWS && k < s->spec->node_count; k++)
            if (graph_reaches(s->spec, i, k))
                node_set_add(&s->shadowed, k);
}

static void find_compared(struct shard *s)
{
    for (uint16_t i = 0; i < s->spec->node_count; i++)
        if (s->spec->nodes[i]->tried_for) {
            node_set_add(&s->compared, i);
            node_set_add(&s->compared, s->spec->nodes[i]->tried_for->used->index);
        }
}

struct shard *shard_new(const struct shard_options *o)
{
    struct shard *s = mem_zalloc(1, sizeof *s);
    const struct pipeline_spec *spec = o->spec;

    s->spec = pipeline_ref(o->spec);
    s->journal = o->journal;
    s->gateway = o->gateway;
    s->doors = o->doors;
    s->ears = o->ears;
    s->listener = o->listener;
    s->number = o->number;
    s->only_finishes = o->only_finishes;
    s->is_whole = o->is_whole;
    s->may_rest = o->may_rest;
    s->is_leased = o->is_leased;
    s->digest = version_of(spec);
    credit_init(&s->credit, o->credit, spec->in_flight_roots, spec->in_flight_bytes);
    s->meter = meter_new(spec);
    s->post = letter_post_new(s);
    s->clerk = clerk_new(o->journal);
    s->replays = replays_new();
    s->lanes = mem_alloc(spec->lanes * sizeof *s->lanes);
    for (unsigned i = 0; i < spec->lanes; i++)
        list_init(&s->lanes[i].roots);
    list_init(&s->roots);
    formers_init(&s->formers);
    s->unheard = o->unheard;
    s->rests_until = INT64_MAX;
    buf_init(&s->accused, JOURNAL_BODY_MAX);
    list_init(&s->first_suspects);
    list_init(&s->suspects);
    list_init(&s->chosen);
    list_init(&s->on_trial);
    find_shadowed(s);
    find_compared(s);
    inner_make_all(s);
    list_init(&s->waiting);
    list_init(&s->due);
    record_queue_init(&s->ready);
    s->emitters = mem_zalloc(spec->node_count, sizeof *s->emitters);
    s->intakes = mem_zalloc(spec->node_count, sizeof *s->intakes);
    s->callers = mem_zalloc(spec->node_count, sizeof *s->callers);
    s->keepers = mem_zalloc(spec->node_count, sizeof(struct keeper *));
    s->memories = mem_zalloc(spec->node_count, sizeof(struct keyed *));
    for (uint16_t i = 0; i < spec->node_count; i++) {
        s->emitters[i] = (struct emitter){.shard = s, .sink = spec->nodes[i]};
        record_queue_init(&s->emitters[i].queue);
        s->callers[i] = (struct caller){.shard = s, .node = spec->nodes[i], .care = care_for(spec->nodes[i])};
        list_init(&s->callers[i].working);
        s->intakes[i] = (struct intake){.shard = s, .source = spec->nodes[i]};
        list_init(&s->intakes[i].lost);
        if (node_keeps(spec->nodes[i]))
            s->keepers[i] = keeper_new(s, spec->nodes[i]);
    }
    return s;
}

static void drop_roots(struct shard *s)
{
    while (!list_is_empty(&s->roots)) {
        struct root *r = CONTAINER_OF(s->roots.next, struct root, link);
        inner_drop(r);
        if (!r->is_dropped) /* else it was told */
            root_tell(r, false);
        root_leave(r);
    }
}

void shard_free(struct shard *s)
{
    if (!s)
        return;
    drop_roots(s);
    formers_free(s);
    inner_free_all(s);
    map_release(&s->by_id);
    clerk_free(s->clerk);
    replays_free(s->replays);
    buf_release(&s->accused);
    mem_free(s->emitters);
    for (uint16_t i = 0; i < s->spec->node_count; i++) {
        replies_free(s->intakes[i].replies);
        intake_free(&s->intakes[i]);
        mem_free(s->callers[i].heap);
        mem_free(s->callers[i].care);
        if (s->callers[i].kept)
            s->spec->nodes[i]->node->run->drop(s->callers[i].kept);
    }
    mem_free(s->intakes);
    mem_free(s->callers);
    memories_free(s);
    for (uint16_t i = 0; i < s->spec->node_count; i++)
        keeper_free(s->keepers[i]);
    mem_free(s->keepers);
    mem_free(s->lanes);
    meter_free(s->meter);
    letter_post_free(s->post);
    pipeline_unref(s->spec);
    mem_free(s);
}

struct emitter *shard_emitter(struct shard *s, uint16_t node)
{
    return &s->emitters[node];
}

struct web *shard_web(struct shard *s)
{
    while (s->outer)
        s = s->outer;
    if (!s->web)
        s->web = web_new();
    return s->web;
}

/* What sources that hear answers have missed since they began to. */
static uint64_t missed_now(const struct shard *s)
{
    uint64_t sum = 0;

    for (uint16_t i = 0; i < s->spec->node_count; i++)
        if (s->intakes[i].ear)
            sum += ear_missed(s->intakes[i].ear) - s->intakes[i].missed_before;
    return sum;
}

void shard_stats(const struct shard *s, struct shard_stats *ret)
{
    *ret = s->stats;
    ret->missed += missed_now(s);
    ret->under_way = s->credit.roots + replays_count(s->replays);
    ret->bytes = s->credit.bytes;
}

/* --- the journal --- */

static SUSPENDS err_t commit(struct shard *s, struct journal_op *ops, size_t n, enum journal_durability durability)
{
    for (;;) {
        err_t e = journal_commit(s->journal, ops, n, durability);
        if (e != E_IO)
            return e;
        log_warn(STR_NONE, "the journal of pipelines cannot be written: %s", err_detail(e));
        TRY(fiber_sleep_until(rt_now() + pause_after_failure));
    }
}

err_t shard_commit(struct shard *s, struct journal_op *ops, size_t n)
{
    return commit(s, ops, n, JOURNAL_SYNC);
}

err_t shard_commit_step(struct shard *s, struct journal_op *ops, size_t n)
{
    return commit(s, ops, n, s->spec->journal == PIPELINE_JOURNAL_ASYNC ? JOURNAL_ASYNC : JOURNAL_SYNC);
}

err_t shard_is_ours(struct shard *s)
{
    return s && s->is_leased ? commit(s, NULL, 0, JOURNAL_SYNC) : OK; /* nothing, behind the fence */
}

/* --- what ends --- */

/* Of a source whose senders may come again, those of a root that began before anybody read it included; NULL: of no such. */
static struct replies *replies_of(const struct root *r)
{
    const struct pipeline_node *n = r->shard->spec->nodes[r->source];

    if (n->role == PIPELINE_SOURCE && n->source->takes_reply)
        return shard_replies(r->shard, n);
    return r->shard->intakes[r->source].replies;
}

/* The journal is told, with what became of it. */
static void tell_end(const struct root *r)
{
    const struct shard *s = r->shard;
    struct replies *replies = replies_of(r);
    struct buf trace CLEANUP(buf_release) = BUF_INIT(JOURNAL_BODY_MAX);

    if (s->spec->journal != PIPELINE_JOURNAL_NONE && trace_write(r, &trace) != OK)
        log_warn(STR_NONE, "a trace is cut off: %s", err_detail(E_TOO_LARGE));
    const struct journal_op done = {.kind = JOURNAL_ROOT_DONE,
                                    .r = {.id = r->id,
                                          .pipeline = s->spec->name,
                                          .at = rt_wall(),
                                          .body = {.form = BODY_TRACE, .bytes = buf_str(&trace)}}};
    if (replies && !r->is_replied) {
        replies_spent(replies, r->id, r->count.input_tokens, r->count.output_tokens);
        replies_none(replies, r->id, r->has_dead);
    }
    clerk_note(s->clerk, &done); /* behind it: a message that comes again is known by the one or by the other */
}

void shard_complete(struct root *r)
{
    struct shard *s = r->shard;

    if (r->inner) {
        inner_complete(r);
        return;
    }
    agree_tell(r);
    if (!s->is_fast)
        tell_end(r);
    s->stats.completed++;
    root_tell(r, true);
    root_leave(r);
}

void shard_dead_letter(const struct record *rec, err_t cause)
{
    struct root *r = rec->root;
    struct shard *s = r->shard;
    struct buf text CLEANUP(buf_release) = BUF_INIT(JOURNAL_BODY_MAX);

    if (r->inner) {
        inner_failed(r, cause);
        return;
    }
    if (node_set_has(&s->shadowed, rec->node)) {
        log_debug(STR_NONE, "pipeline %.*s: in the shadow, at %.*s: %s", STR_ARG(s->spec->name),
                  STR_ARG(s->spec->nodes[rec->node]->name), err_detail(cause));
        return;
    }
    r->has_dead = true;
    r->count.dead++;
    if (s->spec->journal == PIPELINE_JOURNAL_NONE && !s->post) { /* nobody would ever find it */
        log_warn(STR_NONE, "pipeline %.*s: given up at %.*s: %s", STR_ARG(s->spec->name),
                 STR_ARG(s->spec->nodes[rec->node]->name), err_detail(cause));
        meter_dead(s, rec->node, cause);
        return;
    }
    if (letter_write(rec, cause, &text) != OK)
        log_warn(STR_NONE, "a dead letter has no words: %s", err_detail(E_TOO_LARGE));
    letter_settle(rec); /* a replay that failed: the letter comes anew */
    const struct journal_op dead = {.kind = JOURNAL_DEAD_PUT,
                                    .r = {.id = rec->id,
                                          .root = r->id,
                                          .pipeline = s->spec->name,
                                          .node = s->spec->nodes[rec->node]->name,
                                          .cause = str_from_c(err_name(cause)),
                                          .at = rt_wall(),
                                          .body = {.form = BODY_DEAD_LETTER, .bytes = buf_str(&text)}}};
    letter_post_note(s->post, &rec->id);
    clerk_note(s->clerk, &dead);
    meter_dead(s, rec->node, cause);
}

/* --- the life of a shard --- */

static SUSPENDS err_t read_source(void *intake)
{
    struct intake *in = intake;

    return err_context(in->source->source->run->run(in, in->source), "source %.*s", STR_ARG(in->source->name));
}

static SUSPENDS err_t resume_all(struct shard *s)
{
    for (uint16_t i = 0; i < s->spec->node_count; i++)
        if (s->spec->nodes[i]->role == PIPELINE_SOURCE)
            TRY(intake_resume(&s->intakes[i]));
    for (uint16_t i = 0; i < s->spec->node_count; i++)
        if (s->keepers[i])
            TRY(keeper_resume(s->keepers[i]));
    return OK;
}

static SUSPENDS err_t open_keepers(struct shard *s)
{
    for (uint16_t i = 0; i < s->spec->node_count; i++)
        if (s->keepers[i])
            TRY(err_context(keeper_open(s->keepers[i]), "node %.*s", STR_ARG(s->spec->nodes[i]->name)));
    return OK;
}

static void spawn_all(struct shard *s, struct scope *scope, enum pipeline_role role)
{
    for (uint16_t i = 0; i < s->spec->node_count; i++) {
        if (s->spec->nodes[i]->role != role)
            continue;
        if (role == PIPELINE_SOURCE)
            scope_spawn(scope, "pipeline source", read_source, &s->intakes[i]);
        else
            scope_spawn(scope, "pipeline sink", emitter_run, &s->emitters[i]);
    }
}

/* Not before all that they have yielded is begun again: what happens meanwhile would be missed. */
static void spawn_keepers(struct shard *s)
{
    for (uint16_t i = 0; i < s->spec->node_count; i++)
        if (s->keepers[i])
            scope_spawn(s->fibers, "pipeline keeper", keeper_run, s->keepers[i]);
}

/* The sources, until all have ended, or are told to. */
static SUSPENDS err_t read_all(struct shard *s)
{
    SCOPE(sources, NS_NEVER);

    s->sources = &sources;
    s->is_cut = false;
    if (s->is_draining)
        scope_cancel(&sources);
    spawn_all(s, &sources, PIPELINE_SOURCE);
    err_t e = scope_wait_all(&sources);
    if (e != OK)
        intake_cut(s);
    s->sources = NULL;
    return e;
}

void shard_drain(struct shard *s)
{
    s->is_draining = true;
    if (s->sources)
        scope_cancel(s->sources);
    if (s->finisher)
        fiber_wake(s->finisher);
    for (uint16_t i = 0; i < s->spec->node_count; i++)
        emitter_wake(&s->emitters[i]);
}

ns_t shard_former_due(const struct shard *s)
{
    return formers_due(s);
}

void shard_watch_formers(struct shard *s, struct fiber *watcher)
{
    s->former_watcher = watcher;
}

err_t shard_want_formers(struct shard *s)
{
    return formers_want(s);
}

int64_t shard_rests_until(const struct shard *s)
{
    return s->rests_until;
}

/* When what is left of it has to go on. */
static int64_t rests_until(const struct shard *s)
{
    ns_t next = timers_next(s);
    int64_t until = next == NS_NEVER ? INT64_MAX : rt_wall() + (next > rt_now() ? next - rt_now() : 0);

    for (uint16_t i = 0; i < s->spec->node_count; i++)
        if (s->keepers[i])
            until = ns_min(until, keeper_rests_until(s->keepers[i]));
    return until;
}

/* May it end although something waits? */
static bool may_end(const struct shard *s)
{
    return s->may_rest && (s->is_draining || s->only_finishes);
}

/* Is there something to do, or not to be left? */
static bool has_work(const struct shard *s)
{
    if (!may_end(s))
        return s->credit.roots > 0;
    if (timers_next(s) < ns_add(rt_now(), rest_least))
        return true;
    LIST_EACH(node, next, &s->roots)
        if (!root_may_rest(CONTAINER_OF(node, struct root, link)))
            return true;
    return false;
}

/* Is there something that is to be done before the shard ends? */
static bool is_busy(const struct shard *s)
{
    return has_work(s) || ((replays_count(s->replays) || letter_post_count(s->post)) && !s->is_draining);
}

static SUSPENDS err_t wait_empty(struct shard *s)
{
    err_t e = OK;

    s->finisher = fiber_current();
    while (e == OK && is_busy(s)) {
        e = fiber_park("the last message", may_end(s) ? rt_now() + look_for_rest : NS_NEVER);
        e = e == E_AGAIN ? OK : e;
        if (may_end(s))
            timers_note(s);
    }
    s->finisher = NULL;
    return e;
}

/* It ends: what is left waits until then. */
static void rest(struct shard *s)
{
    if (may_end(s))
        timers_note(s);
    s->rests_until = rests_until(s);
}

static SUSPENDS err_t start_suspects(void *shard)
{
    return suspect_run(shard);
}

static SUSPENDS err_t read_and_finish(void *shard)
{
    struct shard *s = shard;
    SCOPE(suspects, NS_NEVER);

    TRY(suspect_begin(s));
    if (s->may_rest && !s->only_finishes)
        TRY(formers_load(s, s->unheard));
    TRY(resume_all(s));
    s->is_resumed = true;
    replay_wake(s->replays);
    spawn_keepers(s);
    scope_spawn(&suspects, "pipeline suspects", start_suspects, s);
    if (!s->only_finishes)
        TRY(read_all(s));
    TRY(wait_empty(s));
    rest(s);
    TRY(scope_wait_all(&suspects));
    return clerk_flush(s->clerk);
}

static SUSPENDS void close_sinks(struct shard **s)
{
    timers_stop(*s);
    inner_stop_all(*s);
    for (uint16_t i = 0; i < (*s)->spec->node_count; i++)
        emitter_close(&(*s)->emitters[i]);
    letter_post_close((*s)->post);
    web_free((*s)->web);
    (*s)->web = NULL;
}

static SUSPENDS err_t open_sinks(struct shard *s)
{
    for (uint16_t i = 0; i < s->spec->node_count; i++)
        if (s->spec->nodes[i]->role == PIPELINE_SINK)
            TRY(err_context(emitter_open(&s->emitters[i]), "sink %.*s", STR_ARG(s->spec->nodes[i]->name)));
    return OK;
}

/* In the fibers of the shard, until one of them ends: the others only do if they fail. */
static SUSPENDS err_t run_fibers(struct shard *s)
{
    SCOPE(calls, NS_NEVER);
    SCOPE(fibers, NS_NEVER);
    err_t first;

    scope_discard_results(&calls);
    for (uint16_t i = 0; i < s->spec->node_count; i++)
        s->callers[i].scope = &calls;
    TRY(open_sinks(s));
    TRY(memories_load(s));
    TRY(open_keepers(s));
    scope_spawn(&fibers, "pipeline clerk", clerk_run, s->clerk);
    scope_spawn(&fibers, "pipeline replays", replay_run, s);
    scope_spawn(&fibers, "pipeline timers", timers_run, s);
    if (s->post)
        scope_spawn(&fibers, "pipeline letters", letter_post_run, s->post);
    inner_start_all(s, &calls, &fibers);
    s->fibers = &fibers;
    spawn_all(s, &fibers, PIPELINE_SINK);
    scope_spawn(&fibers, "pipeline", read_and_finish, s);
    TRY(scope_wait_any(&fibers, NS_NEVER, &first));
    return first;
}

static SUSPENDS err_t run_journaled(struct shard *s)
{
    struct shard *closing CLEANUP(close_sinks) = s;

    (void)closing;
    err_t e = run_fibers(s);
    struct err_record words = *err_current();
    suspect_end(s);
    *err_current() = words;
    return e;
}

err_t shard_run(struct shard *s)
{
    return fast_kafka_fits(s->spec) ? fast_kafka_run(s) : run_journaled(s);
}
