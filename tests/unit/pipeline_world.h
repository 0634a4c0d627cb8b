/*
 * pipeline_world.h - whole pipelines in virtual time: messages that come at instants, a sink that remembers, and crashes at every wait.
 *
 * The pipeline is loaded from its text; its sources, sinks and models, whatever their kinds, are replaced by those here. The source reads letters, in their order,
 * each at its time. The sink applies batches as a database would: with their number, all or nothing, so whoever applies one again shows it.
 */
#ifndef UNIT_PIPELINE_WORLD_H
#define UNIT_PIPELINE_WORLD_H

#include "base/bytes.h"
#include "base/mem.h"
#include "base/prng.h"
#include "pipeline/run/run.h"
#include "pipeline/run/shard.h"
#include "pipeline/spec/kind.h"
#include "rt/scope.h"
#include "unit/in_loop.h"

#include <inttypes.h>

struct letter {
    ns_t when; /* it comes, since the world began         */
    ns_t at;   /* it was sent, likewise; NS_NEVER: when it came */
    const char *key, *body;
};

struct sunk {
    const struct pipeline_node *sink;
    char *text;
    ns_t when; /* since the world began */
};

struct world_file {
    const char *path, *text;
};

struct world {
    struct pipeline_spec *spec;
    struct journal *journal;
    struct arena arena;
    const struct letter *letters;
    size_t letter_count;
    const struct message_header *headers; /* of each of them */
    size_t header_count;
    ns_t end; /* the source has ended */
    ns_t born;
    int64_t born_wall;
    struct sunk sunk[4096];
    size_t sunk_count;
    uint64_t seq[FLOW_NODES_MAX];
    struct shard_stats stats;
    /* The crash that is to come: at so many waits from here. */
    uint64_t waits_left, waits;
    struct scope *running;
    ns_t crash_at; /* likewise, since the world began; 0: not then */
    unsigned crashes;
    bool has_ended;
    /* Further crashes, until there were so many: at drawn waits. */
    unsigned crashes_most;
    uint64_t waits_most;
    struct prng draw;
    ns_t away;                                /* so long nobody runs it after a crash */
    const struct pipeline_listener *listener; /* NULL: nobody listens */
    /* Told once the shard has been made: what a test does to it meanwhile. NULL: nothing. */
    err_t (*meddle)(void *world) SUSPENDS;
};

static struct world *the_world;

/* --- files --- */

static const struct world_file *world_files;
static size_t world_file_count;

static inline err_t world_read(const char *path, size_t max, struct buf *to)
{
    (void)max;
    for (size_t i = 0; i < world_file_count; i++)
        if (strcmp(world_files[i].path, path) == 0)
            return buf_add(to, str_from_c(world_files[i].text));
    return fail(E_IO, "No such file or directory");
}

static inline const char *world_variable(const char *name)
{
    (void)name;
    return NULL;
}

static inline void world_note_path(void *ctx, const char *path)
{
    (void)ctx;
    (void)path;
}

/* --- the source and the sink --- */

static inline SUSPENDS err_t world_source(struct intake *in, const struct pipeline_node *source)
{
    struct world *w = the_world;
    struct arena arena CLEANUP(arena_release);
    struct str progress;

    (void)source;
    arena_init(&arena, SIZE_MAX);
    TRY(intake_progress(in, 0, &arena, &progress));
    size_t at = progress.n ? (size_t)be64_get(progress.p) : 0;
    for (; at < w->letter_count; at++) {
        const struct letter *l = &w->letters[at];
        TRY(fiber_sleep_until(w->born + l->when));
        const struct message m = {.position = at,
                                  .key = str_from_c(l->key),
                                  .body = str_from_c(l->body),
                                  .headers = w->headers,
                                  .header_count = w->header_count,
                                  .at = w->born_wall + (l->at == NS_NEVER ? l->when : l->at)};
        char next[8];
        be64_put(next, at + 1);
        TRY(intake_put(in, &m, 1, str_of(next, sizeof next)));
    }
    return fiber_sleep_until(w->born + w->end);
}

static inline SUSPENDS err_t world_sink_open(const struct sink_at *at, bool *ret_applied, void **ret_state)
{
    uint64_t *seq = &the_world->seq[at->sink->index];

    *ret_applied = at->is_open && *seq == at->seq;
    if (!*ret_applied && *seq >= at->seq) /* as sinks do: the journal has forgotten some, and counts from there on */
        *seq = at->seq - 1;
    *ret_state = (void *)(uintptr_t)at->sink;
    return OK;
}

static inline SUSPENDS err_t world_sink_apply(void *state, const struct batch *b)
{
    const struct pipeline_node *sink = state;
    struct world *w = the_world;

    TRY(fiber_sleep_until(rt_now() + NS_MS));
    if (w->seq[sink->index] >= b->seq)
        return OK;
    w->seq[sink->index] = b->seq;
    for (size_t i = 0; i < b->count && w->sunk_count < ARRAY_LEN(w->sunk); i++)
        w->sunk[w->sunk_count++] = (struct sunk){
            .sink = sink, .text = mem_dup(b->items[i].text.p, b->items[i].text.n), .when = rt_now() - w->born};
    return fiber_sleep_until(rt_now() + NS_MS);
}

static inline SUSPENDS void world_sink_close(void *state)
{
    (void)state;
}

/* A model answers with what it is asked. */
static inline err_t world_answer(struct step *s)
{
    return step_send(s, s->in->value);
}

static inline void world_replace(struct pipeline_node *n, struct arena *a)
{
    static const struct source_run source = {.run = world_source};
    static const struct node_run model = {.work = world_answer};
    static const struct sink_run sink = {.open = world_sink_open, .apply = world_sink_apply, .close = world_sink_close};

    if (n->role == PIPELINE_SOURCE) {
        struct source_kind *kind = arena_new(a, struct source_kind);
        *kind = *n->source;
        kind->run = &source;
        n->source = kind;
    } else if (n->role == PIPELINE_SINK) {
        struct sink_kind *kind = arena_new(a, struct sink_kind);
        *kind = *n->sink;
        kind->run = &sink;
        n->sink = kind;
    } else if (n->role == PIPELINE_NODE && strcmp(n->kind->name, "model") == 0) {
        struct node_kind *kind = arena_new(a, struct node_kind);
        *kind = *n->node;
        kind->run = &model;
        n->node = kind;
    }
}

/* --- life --- */

static inline void world_close(struct world *w)
{
    for (size_t i = 0; i < w->sunk_count; i++)
        mem_free(w->sunk[i].text);
    journal_close(w->journal);
    pipeline_unref(w->spec);
    arena_release(&w->arena);
    the_world = NULL;
}

/* Load p.yaml with this text, and files beside it. */
static inline err_t world_load(struct world *w, const char *text, const struct world_file *others, size_t n)
{
    static const struct config_env env = {
        .getenv = world_variable, .read_file = world_read, .on_path = world_note_path};
    const struct pipeline_world outside = {.env = &env};
    struct world_file files[8] = {{"p.yaml", text}};

    for (size_t i = 0; i < n; i++)
        files[i + 1] = others[i];
    world_files = files;
    world_file_count = n + 1;
    struct problems problems = {.arena = &w->arena};
    err_t e = pipeline_load(STR("p.yaml"), NULL, &outside, &problems, &w->spec);
    if (e != OK) {
        struct buf report CLEANUP(buf_release) = BUF_INIT(1 << 20);
        problems_print(&problems, &report);
        return fail(e, "%.*s", STR_ARG(buf_str(&report)));
    }
    for (uint16_t i = 0; i < w->spec->node_count; i++)
        world_replace(w->spec->nodes[i], &w->arena);
    return OK;
}

/* A world with this pipeline, in a journal in memory; it is born at a whole minute. Within a loop. */
static inline SUSPENDS err_t world_open(struct world *w, const char *text, const struct world_file *others, size_t n)
{
    ns_t minute = 60 * NS_SEC;

    TRY(fiber_sleep_until(rt_now() + minute - rt_wall() % minute));
    *w = (struct world){.arena = {.max = SIZE_MAX}, .born = rt_now(), .born_wall = rt_wall(), .waits_left = UINT64_MAX};
    the_world = w;
    TRY(world_load(w, text, others, n));
    return journal_open(
        &(struct journal_options){.kind = "memory", .traces_max = 1000, .trace_age = NS_NEVER, .dead_age = NS_NEVER},
        &w->journal);
}

static inline void world_on_park(struct fiber *f)
{
    struct world *w = the_world;

    (void)f;
    w->waits++;
    if (w->waits_left != UINT64_MAX && w->waits_left-- == 0) {
        w->waits_left = UINT64_MAX;
        w->crashes++;
        journal_memory_stop(w->journal,
                            true); /* whatever fibers still do on their way out, a killed process does not */
        scope_cancel(w->running);
    }
}

static inline SUSPENDS err_t world_shard(void *shard)
{
    err_t e = shard_run(shard);

    the_world->has_ended = true;
    return e;
}

static inline SUSPENDS err_t world_crash_in_time(void *arg)
{
    struct world *w = arg;

    TRY(fiber_sleep_until(w->born + w->crash_at));
    w->crash_at = 0;
    w->crashes++;
    scope_cancel(w->running);
    return OK;
}

static inline SUSPENDS err_t world_once(struct world *w, struct shard *shard)
{
    SCOPE(running, NS_NEVER);
    err_t first = OK;

    w->running = &running;
    scope_spawn(&running, "shard", world_shard, shard);
    if (w->crash_at)
        scope_spawn(&running, "crash", world_crash_in_time, w);
    if (w->meddle)
        scope_spawn(&running, "meddler", w->meddle, w);
    while (first == OK && !w->has_ended) /* a meddler that has done what it wanted does not end the run */
        TRY(scope_wait_any(&running, NS_NEVER, &first));
    return first;
}

/* Run it until it ends by itself, with the crash that is set, if any. */
static inline SUSPENDS err_t world_run(struct world *w)
{
    err_t e;

    fiber_set_park_hook(world_on_park);
    do {
        struct shard *shard =
            shard_new(&(struct shard_options){.spec = w->spec, .journal = w->journal, .listener = w->listener});
        unsigned crashes = w->crashes;
        w->has_ended = false;
        e = world_once(w, shard);
        shard_stats(shard, &w->stats);
        shard_free(shard);
        if (w->crashes == crashes)
            break;
        journal_memory_crash(w->journal);
        journal_memory_stop(w->journal, false);
        if (w->crashes < w->crashes_most)
            w->waits_left = prng_below(&w->draw, w->waits_most);
        e = fiber_sleep_until(rt_now() + w->away);
    } while (e == OK);
    fiber_set_park_hook(NULL);
    return e;
}

/* What a sink got, a line each. In the world's arena. */
static inline struct str world_lines(struct world *w, const char *sink)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);

    for (size_t i = 0; i < w->sunk_count; i++)
        if (str_eq(w->sunk[i].sink->name, str_from_c(sink)))
            (void)buf_addf(&text, "%s\n", w->sunk[i].text);
    return arena_str(&w->arena, buf_str(&text));
}

/* The same with the second that each came in, in front. */
static inline struct str world_timed_lines(struct world *w)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);

    for (size_t i = 0; i < w->sunk_count; i++)
        (void)buf_addf(&text, "%.1f %s\n", (double)(w->sunk[i].when / NS_MS) / 1000, w->sunk[i].text);
    return arena_str(&w->arena, buf_str(&text));
}

/* How many rows the journal has of a kind. */
static inline SUSPENDS size_t world_count(struct world *w, enum journal_query_kind kind, const char *node)
{
    struct journal_query q = {.kind = kind, .r = {.pipeline = w->spec->name, .node = str_from_c(node)}};
    size_t n = 0;

    do {
        struct journal_page page;
        if (journal_read(w->journal, &q, &w->arena, &page) != OK)
            return SIZE_MAX;
        n += page.count;
        q.after = page.next;
    } while (q.after);
    return n;
}

#endif
