/*
 * runner.c - a fiber for each shard on this loop, which runs one version after the other.
 *
 * The idea: what is wanted is written into the line of a shard (its pipeline's name and its number), and the line's fiber makes it so. A version that is not wanted
 * any more is told to drain, and the next one begins when it has ended: never do two of them write to one sink, and what has one key stays in order. Older
 * versions that the journal still has messages of are run first, without their sources. They are retired then: kept for the dead letters that they leave, and for
 * messages that only wait: for the end of a delay, or for people. When the time of such a one has come (former.h), or a letter of theirs is replayed, the present
 * version makes room once more.
 *
 * A version that does not come to its end in time (a sink is down for long, say, which may be why there is a new one) is cut short, and makes room in turn: it goes
 * on later. So that former versions do not keep the present one from its work, they have a tenth of the time. Of pipelines whose source several shards divide
 * (is_divided()) what is left when a version is cut short goes on in the new one, because another shard may have it by then.
 *
 * Where processes share the journal, a line first waits for its shard's lease, and runs with the way to the journal that is under it. It is cut short when the lease is
 * lost, and drained when another process is to have it.
 *
 * Invariant: a line's `shard` is there only while its fiber runs it; `wanted` holds a reference.
 */
#include "pipeline/run/runner.h"

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "pipeline/run/credit.h"
#include "pipeline/run/former.h"
#include "pipeline/run/keyed.h"
#include "pipeline/run/run.h"
#include "pipeline/run/version.h"
#include "pipeline/spec/kind.h"
#include "rt/loop.h"
#include "rt/scope.h"
#include "store/leases.h"

#include <stdio.h>
#include <string.h>

static const ns_t pause_first = 500 * NS_MS, pause_most = 60 * NS_SEC;
static const ns_t look_every = 2 * NS_SEC; /* for versions that are wanted again, where another process may say so */

enum { STOPS_SHARE = 9 }; /* what follows a stop for a former version is so many times as long */
enum { LINE_NAME_MAX = JOURNAL_NAME_MAX + 12 };

/* One shard of a pipeline, in whichever version. */
struct line {
    struct runner *runner;
    struct list link;
    uint32_t number;
    struct pipeline_spec *wanted; /* NULL: none; the line ends when it has finished         */
    struct pipeline_spec *aim;    /* what was wanted when the line began what it does now; NULL: it waits */
    struct shard *shard;          /* that runs now; NULL: none                              */
    struct pipeline_spec *spec;   /* of that                                                */
    struct fiber *sleeper;        /* the line's, or its watch's: something is wanted anew    */
    struct fiber *looker;    /* of its present shard: sleeps until it is to look for versions that are wanted again */
    bool must_look;          /* it is; or, when nothing runs: the journal has something to be begun again */
    struct lease *lease;     /* NULL: it needs none                                    */
    struct journal *journal; /* the way to it, while it may run                        */
    struct journal *memory;  /* in its place, of versions with `journal: none`; NULL: there was none yet */
    bool looks;              /* the shard makes room for versions that are wanted again */
    bool has_patience;       /* the shard has only so much time                        */
    bool was_cut;            /* the shard, short: it had no more                       */
    int64_t rests_until;     /* of the last shard that has ended: what it has left has to go on then */
    struct keyed *unheard;   /* formers_unheard() before they were run                 */
    bool has_wanted_all;     /* all that wait were run, since the line has its shard   */
    ns_t stopped;            /* the present version made room for a former one then; 0: it has not */
    ns_t next_stop;          /* and does not again before                              */
    bool was_asked;          /* for its lease: that it ended says nothing of its sources */
    bool
        was_told; /* the shard, to stop: that it ended says nothing of its sources, also if it is wanted again meanwhile */
    char failure[256];
    size_t name_bytes;
    char name[LINE_NAME_MAX]; /* key in the runner's map */
};

struct runner {
    struct runner_options options;
    struct credit credit;
    struct map by_name;
    struct list lines;
    struct scope *scope; /* while it runs */
    struct fiber *main;  /* likewise      */
    bool is_draining;
    struct shard_stats ended; /* of shards that are no more */
    err_t failed;             /* with `ends`: the first error of a line */
    struct err_record record;
};

struct runner *runner_new(const struct runner_options *o)
{
    struct runner *r = NEW(struct runner);

    *r = (struct runner){.options = *o};
    credit_init(&r->credit, NULL, o->limits.roots, o->limits.bytes);
    list_init(&r->lines);
    return r;
}

static void add_stats(struct shard_stats *to, const struct shard *s)
{
    struct shard_stats more;

    shard_stats(s, &more);
    to->roots += more.roots;
    to->again += more.again;
    to->resumed += more.resumed;
    to->completed += more.completed;
    to->dead += more.dead;
    to->emitted += more.emitted;
    to->late += more.late;
    to->missed += more.missed;
    to->under_way += more.under_way;
    to->bytes += more.bytes;
}

static void line_free(struct line *l)
{
    (void)map_remove(&l->runner->by_name, str_of(l->name, l->name_bytes));
    list_remove(&l->link);
    pipeline_unref(l->wanted);
    if (l->lease)
        lease_drop(l->lease);
    journal_close(l->memory);
    keyed_free(l->unheard);
    mem_free(l);
}

void runner_free(struct runner *r)
{
    if (!r)
        return;
    while (!list_is_empty(&r->lines))
        line_free(CONTAINER_OF(r->lines.next, struct line, link));
    map_release(&r->by_name);
    mem_free(r);
}

/* --- versions of a line --- */

static bool is_shared(const struct pipeline_spec *s)
{
    for (uint16_t i = 0; i < s->node_count; i++)
        if (s->nodes[i]->role == PIPELINE_SOURCE && s->nodes[i]->source->run && s->nodes[i]->source->run->is_shared)
            return true;
    return false;
}

/* Do several of its shards divide what sources have? Then nobody finishes former versions: what one shard took in may be another's by now. */
static bool is_divided(const struct pipeline_spec *s)
{
    return is_shared(s) && s->workers > 1;
}

static bool is_same_connection(const struct pipeline_connection *a, const struct pipeline_connection *b)
{
    if (!a || !b)
        return a == b;
    return str_eq(a->url, b->url) && str_eq(a->username, b->username) && str_eq(a->password, b->password) &&
           str_eq(a->ca, b->ca) && str_eq(a->cert, b->cert) && str_eq(a->key, b->key);
}

/* Would it do the same? The digest has the file and what it refers to; where systems are, the configuration may say. */
static bool is_same(const struct pipeline_spec *a, const struct pipeline_spec *b)
{
    if (!a || !b || strcmp(a->digest, b->digest) != 0 || a->node_count != b->node_count)
        return a == b;
    for (uint16_t i = 0; i < a->node_count; i++)
        if (!is_same_connection(a->nodes[i]->connection, b->nodes[i]->connection))
            return false;
    return true;
}

/* The line's fiber or its watch waits until somebody wants something else than `spec`, or, with `or_work`, the journal has something for it. */
static SUSPENDS err_t wait_for_change(struct line *l, const struct pipeline_spec *spec, bool or_work, ns_t until)
{
    err_t e = OK;

    l->sleeper = fiber_current();
    while (e == OK && l->wanted == spec && !(or_work && l->must_look))
        e = fiber_park("another version", until);
    l->sleeper = NULL;
    return e;
}

/* How long what runs has to finish for what is wanted. */
static ns_t handover(const struct line *l)
{
    return (l->wanted ? l->wanted : l->spec)->handover;
}

struct watch {
    struct line *line;
    struct pipeline_spec *spec; /* that is wanted while the shard runs */
};

/* It has had its time. */
static void cut(struct line *l)
{
    l->was_cut = true;
    log_warn(STR_NONE, "pipeline %.*s: version %u has not finished in time; what is left of it goes on %s",
             STR_ARG(l->spec->name), l->spec->version, is_divided(l->spec) ? "in the new one" : "later");
}

/* Ends when the shard is to be cut short. */
static SUSPENDS err_t watch_line(void *watch)
{
    struct watch *w = watch;
    struct line *l = w->line;

    TRY(wait_for_change(l, w->spec, false, NS_NEVER));
    l->was_told = true;
    shard_drain(l->shard);
    if (!l->wanted)
        return fiber_park("the end", NS_NEVER); /* who stops everything says how long it may take */
    TRY(fiber_sleep_until(ns_add(rt_now(), handover(l))));
    cut(l);
    return OK;
}

/* Is a former version wanted again? A journal that cannot be read is asked again later. */
static SUSPENDS err_t look_for_older(struct line *l, bool *ret)
{
    err_t e = version_waits(l->journal, l->spec, ret);

    if (e != E_IO)
        return e;
    *ret = false;
    TRY(fiber_sleep_until(rt_now() + look_every));
    l->must_look = true;
    return OK;
}

/* When it is to make room for what a former version has to do. */
static ns_t room_due(const struct line *l)
{
    ns_t due = shard_former_due(l->shard);

    return due == NS_NEVER ? NS_NEVER : due > l->next_stop ? due : l->next_stop;
}

/* Sleep until a former version is to be looked for; *ret: one has something to do. */
static SUSPENDS err_t wait_for_former(struct line *l, ns_t until, bool *ret)
{
    err_t e = OK;

    l->looker = fiber_current();
    shard_watch_formers(l->shard, l->looker);
    while (e == OK && !l->must_look && room_due(l) > rt_now())
        e = fiber_park("a former version", ns_min(until, room_due(l)));
    shard_watch_formers(l->shard, NULL);
    l->looker = NULL;
    *ret = room_due(l) <= rt_now();
    return e == E_AGAIN ? OK : e;
}

/* Ends likewise: the present version has made room for a former one that is wanted again. */
static SUSPENDS err_t watch_older(void *line)
{
    struct line *l = line;
    ns_t pause = journal_is_shared(l->journal) ? look_every : NS_NEVER; /* somebody else may want it */
    bool any = false, is_due;

    while (!any) {
        l->must_look = false;
        TRY(look_for_older(l, &any));
        if (any)
            break;
        TRY(wait_for_former(l, ns_add(rt_now(), pause), &is_due));
        if (is_due)
            TRY(shard_want_formers(l->shard));
        any = is_due; /* also if it is not kept any more: then its messages are the present one's */
    }
    l->was_told = true;
    l->stopped = rt_now();
    shard_drain(l->shard);
    TRY(fiber_sleep_until(ns_add(rt_now(), handover(l))));
    log_warn(STR_NONE,
             "pipeline %.*s: it has not made room in time for a version that is wanted again, and is cut short",
             STR_ARG(l->spec->name));
    return OK;
}

/* Ends likewise: a former version has had its time. */
static SUSPENDS err_t watch_former(void *line)
{
    struct line *l = line;

    TRY(fiber_sleep_until(ns_add(rt_now(), handover(l))));
    cut(l);
    return OK;
}

/* Likewise, or fails: with E_FENCED when it is another process's. */
static SUSPENDS err_t watch_lease(void *line)
{
    struct line *l = line;

    TRY(lease_watch(l->lease));
    l->was_asked = true;
    shard_drain(l->shard);
    WITHIN(ns_add(rt_now(), handover(l)));
    err_t e = lease_watch(l->lease);
    if (e == E_DEADLINE)
        log_warn(STR_NONE, "pipeline %.*s: it has not finished; what is left of it goes on in another process",
                 STR_ARG(l->spec->name));
    return e == E_DEADLINE ? OK : e;
}

static SUSPENDS err_t run_shard(void *shard)
{
    return shard_run(shard);
}

static SUSPENDS err_t run_watched(struct line *l)
{
    struct watch w = {.line = l, .spec = l->aim};
    SCOPE(both, NS_NEVER);
    err_t first;

    scope_spawn(&both, "pipeline watch", watch_line, &w);
    if (l->has_patience)
        scope_spawn(&both, "pipeline patience", watch_former, l);
    if (l->looks)
        scope_spawn(&both, "pipeline versions", watch_older, l);
    if (l->lease)
        scope_spawn(&both, "pipeline lease", watch_lease, l);
    scope_spawn(&both, "pipeline shard", run_shard, l->shard);
    TRY(scope_wait_any(&both, NS_NEVER, &first));
    return first;
}

/* Run one version, the present one or one that only finishes, until it has ended, or is cut short. */
static SUSPENDS err_t run_version(struct line *l, struct pipeline_spec *spec, struct pipeline_spec *current)
{
    const struct runner *r = l->runner;
    bool is_former = spec != current;
    bool is_whole = !is_divided(spec) && !is_divided(current);
    bool may_rest = !r->options.ends && current->journal != PIPELINE_JOURNAL_NONE && is_whole;

    l->runner->ended.under_way = l->runner->ended.bytes = 0; /* what was left is begun again */
    l->spec = pipeline_ref(spec);
    l->looks = !is_former && !is_divided(spec);
    l->has_patience = is_former && (may_rest || (is_divided(spec) && !r->options.ends));
    l->was_cut = false;
    l->shard = shard_new(&(struct shard_options){.spec = spec,
                                                 .journal = l->journal,
                                                 .gateway = r->options.gateway,
                                                 .doors = r->options.doors,
                                                 .ears = r->options.ears,
                                                 .credit = &l->runner->credit,
                                                 .listener = r->options.listener,
                                                 .number = l->number,
                                                 .only_finishes = is_former,
                                                 .is_whole = is_whole,
                                                 .may_rest = may_rest,
                                                 .unheard = l->unheard,
                                                 .is_leased = l->lease != NULL});
    err_t e = run_watched(l);
    l->rests_until = l->was_cut || e != OK ? ns_add(rt_wall(), handover(l)) : shard_rests_until(l->shard);
    add_stats(&l->runner->ended, l->shard);
    shard_free(l->shard);
    l->shard = NULL;
    pipeline_unref(l->spec);
    l->spec = NULL;
    return e;
}

/* --- former versions --- */

/*
 * It has been run, from that instant on, and does nothing now. What waits needs it, and dead letters may, unless nobody finishes former versions.
 */
static SUSPENDS err_t retire(struct line *l, const struct pipeline_spec *spec, int64_t began)
{
    const struct version_rest rest = {.version = version_of(spec), .rested = began, .due = l->rests_until};
    int64_t now = rt_wall();
    bool waits = rest.due != INT64_MAX && rest.due > now;

    if (!spec->text_count) /* it was not kept */
        return OK;
    if (is_divided(spec))
        return version_forget(l->journal, spec->name, rest.version);
    return version_retire(l->journal, spec->name, &rest, ns_add(waits ? rest.due : now, spec->retention));
}

/* Let one finish what it has taken in. If it cannot even begin to, that holds up nobody else; the journal says itself if it is to blame. */
static SUSPENDS err_t finish(struct line *l, struct pipeline_spec *older, struct pipeline_spec *current)
{
    int64_t began = rt_wall();
    err_t e = run_version(l, older, current);

    if (e != OK && (e == E_CANCELLED || e == E_FENCED || l->runner->options.ends))
        return e;
    if (e != OK)
        log_warn(STR_NONE, "pipeline %.*s: a former version has failed; what is left of it goes on later: %s",
                 STR_ARG(older->name), err_detail(e));
    return retire(l, older, began);
}

/* Finish what older versions have taken in. What nobody can load any more goes on in the present one. */
static SUSPENDS err_t run_older(struct line *l, struct pipeline_spec *current)
{
    struct journal *j = l->journal;
    uint64_t after = 0, version;

    do {
        struct pipeline_spec *older;
        err_t e = version_next(j, current, after, &after, &version, &older);
        if (e == E_CONFIG) {
            log_warn(STR_NONE, "pipeline %.*s: a former version cannot be loaded any more: %s", STR_ARG(current->name),
                     err_detail(e));
            TRY(version_forget(j, current->name, version));
            continue;
        }
        TRY(e);
        if (!older)
            return OK;
        e = l->number && !is_divided(older) ? OK : finish(l, older, current); /* others are the first shard's */
        pipeline_unref(older);
        TRY(e);
    } while (after && l->wanted == current);
    return OK;
}

/* Those that wait have not been looked after for a while: nobody knows what was decided since. */
static SUSPENDS err_t want_all(struct line *l, const struct pipeline_spec *current)
{
    uint64_t after = 0;
    bool any = true;

    do {
        char key[VERSION_KEY + 1];
        struct version_rest rest;
        TRY(version_resting(l->journal, current, &after, &rest, &any));
        if (!any || rest.due == INT64_MAX)
            continue;
        struct journal_op op = version_want(current->name, rest.version, key);
        TRY(journal_commit(l->journal, &op, 1, JOURNAL_SYNC));
    } while (after);
    l->has_wanted_all = true;
    return OK;
}

/* Before the present version runs: all that former ones can do. They have a tenth of the time. */
static SUSPENDS err_t run_formers(struct line *l, struct pipeline_spec *current)
{
    ns_t began = l->stopped ? l->stopped : rt_now();

    l->stopped = 0;
    if (!l->has_wanted_all && l->number == 0)
        TRY(want_all(l, current));
    keyed_free(l->unheard);
    l->unheard = keyed_new(SIZE_MAX);
    TRY(formers_unheard(l->journal, current, l->unheard));
    TRY(run_older(l, current));
    l->next_stop = ns_add(rt_now(), STOPS_SHARE * (rt_now() - began));
    return OK;
}

/* Of `journal: none`: what it must know while it runs is in memory, and goes with the line. Dead letters stay long enough to be sent on. */
static SUSPENDS err_t run_forgetful(struct line *l, struct pipeline_spec *spec)
{
    static const struct journal_options o = {.kind = "memory", .trace_age = NS_NEVER, .dead_age = 3600 * NS_SEC};
    struct journal *journal = l->journal;

    if (!l->memory)
        TRY(journal_open(&o, &l->memory));
    l->journal = l->memory;
    err_t e = run_version(l, spec, spec);
    l->journal = journal;
    return e;
}

static SUSPENDS err_t run_current(struct line *l, struct pipeline_spec *spec)
{
    int64_t began = rt_wall();

    TRY(run_formers(l, spec));
    if (l->wanted != spec)
        return OK;
    if (spec->journal == PIPELINE_JOURNAL_NONE)
        return run_forgetful(l, spec);
    TRY(version_keep(l->journal, spec));
    TRY(run_version(l, spec, spec));
    return l->was_cut ? retire(l, spec, began) : OK;
}

static SUSPENDS err_t wait_for_lease(void *line)
{
    struct line *l = line;

    return lease_wait(l->lease, NS_NEVER, &l->journal);
}

static SUSPENDS err_t wait_for_other(void *watch)
{
    struct watch *w = watch;

    return wait_for_change(w->line, w->spec, false, NS_NEVER);
}

/* Have the way to the journal; without one, something else is wanted meanwhile. */
static SUSPENDS err_t have_journal(struct line *l, struct pipeline_spec *spec)
{
    struct watch w = {.line = l, .spec = spec};
    err_t first;

    if (!l->lease) {
        l->journal = l->runner->options.journal;
        return OK;
    }
    {
        SCOPE(both, NS_NEVER);
        scope_spawn(&both, "pipeline lease", wait_for_lease, l);
        scope_spawn(&both, "another version", wait_for_other, &w);
        TRY(scope_wait_any(&both, NS_NEVER, &first));
    }
    return first;
}

/* Nothing more is done with the journal. */
static void leave_journal(struct line *l, err_t e)
{
    l->journal = NULL;
    if (!l->lease)
        return;
    l->has_wanted_all = false;
    journal_close(l->memory); /* what it has of the shard is another's affair now */
    l->memory = NULL;
    if (e == E_FENCED)
        lease_lost(l->lease);
    else
        lease_done(l->lease);
}

/* Run it while it is ours, as often as it becomes so. */
static SUSPENDS err_t run_ours(struct line *l, struct pipeline_spec *spec)
{
    bool is_elsewhere;

    do {
        l->was_asked = false;
        err_t e = have_journal(l, spec);
        if (e == OK && l->journal)
            e = run_current(l, spec);
        if (l->journal)
            leave_journal(l, e);
        is_elsewhere = l->lease && (e == E_FENCED || (e == OK && l->was_asked));
        if (is_elsewhere)
            log_info(STR_NONE, "pipeline %.*s: shard %u is another process's now%s%s", STR_ARG(spec->name), l->number,
                     e == OK ? "" : ": ", e == OK ? "" : err_detail(e));
        else if (e != OK)
            return e;
    } while (is_elsewhere && l->wanted == spec);
    return OK;
}

/* It has failed: tell, and wait before it is tried again. */
static SUSPENDS err_t after_failure(struct line *l, const struct pipeline_spec *spec, err_t e, ns_t *pause)
{
    (void)snprintf(l->failure, sizeof l->failure, "%s", err_detail(e));
    log_error(STR_NONE, "pipeline %.*s: %s", STR_ARG(spec->name), l->failure);
    e = wait_for_change(l, spec, false, rt_now() + *pause);
    *pause = ns_min(2 * *pause, pause_most);
    return e == E_AGAIN ? OK : e;
}

/* Run what is wanted, and wait until something else is; *pause is how long after a failure. *ret_over: nothing more is to come. */
static SUSPENDS err_t run_once(struct line *l, struct pipeline_spec *spec, ns_t *pause, bool *ret_over)
{
    bool ends = l->runner->options.ends;
    ns_t began = rt_now();
    l->was_told = l->must_look = false;
    l->aim = spec;
    err_t e = run_ours(l, spec);
    l->aim = NULL;

    if (e == E_CANCELLED || (e != OK && ends))
        return e;
    if (l->wanted != spec || l->was_told)
        return OK;
    *ret_over = ends;
    if (rt_now() - began > pause_most)
        *pause = pause_first;
    if (e != OK)
        return after_failure(l, spec, e, pause);
    return ends ? OK : wait_for_change(l, spec, true, NS_NEVER); /* its sources have ended */
}

/* One version after the other. */
static SUSPENDS err_t run_wanted(struct line *l)
{
    ns_t pause = pause_first;
    bool is_over = false;
    err_t e = OK;

    while (e == OK && l->wanted && !is_over) {
        struct pipeline_spec *spec = pipeline_ref(l->wanted);
        e = run_once(l, spec, &pause, &is_over);
        pipeline_unref(spec);
    }
    return e;
}

static SUSPENDS err_t run_line(void *line)
{
    struct line *l = line;
    struct runner *r = l->runner;
    err_t e = run_wanted(l);

    if (e != OK && e != E_CANCELLED && r->failed == OK) {
        r->failed = e;
        r->record = *err_current();
    }
    line_free(l);
    fiber_wake(r->main);
    return OK;
}

/* --- what is wanted --- */

static void start_line(struct line *l)
{
    if (l->runner->scope)
        scope_spawn(l->runner->scope, "pipeline line", run_line, l);
}

static void want(struct line *l, struct pipeline_spec *spec)
{
    if (spec && is_same(l->wanted, spec))
        return;
    pipeline_unref(l->wanted);
    l->wanted = spec ? pipeline_ref(spec) : NULL;
    if (l->sleeper)
        fiber_wake(l->sleeper);
}

static void want_shard(struct runner *r, struct pipeline_spec *spec, uint32_t number)
{
    char name[LINE_NAME_MAX];
    size_t n = (size_t)snprintf(name, sizeof name, "%.*s/%u", STR_ARG(spec->name), number);
    struct line *l = map_get(&r->by_name, str_of(name, n));

    if (l) {
        want(l, spec);
        return;
    }
    l = NEW(struct line);
    *l = (struct line){.runner = r, .number = number, .wanted = pipeline_ref(spec), .name_bytes = n};
    memcpy(l->name, name, n);
    if (r->options.leases)
        l->lease = lease_want(r->options.leases, spec->name, number);
    (void)map_put(&r->by_name, str_of(l->name, n), l);
    list_push_back(&r->lines, &l->link);
    start_line(l);
}

/* Those of the pipeline's shards that are on this loop. */
static void want_shards(struct runner *r, struct pipeline_spec *spec)
{
    uint32_t count = is_shared(spec) ? spec->workers : 1;
    uint64_t home = str_hash(spec->name);

    for (uint32_t i = 0; i < count; i++)
        if ((home + i) % r->options.loops == r->options.loop)
            want_shard(r, spec, i);
}

/* Is the line's pipeline among them, with this shard? */
static bool is_among(const struct pipeline_set *set, const struct line *l)
{
    for (size_t i = 0; l->wanted && i < set->count; i++)
        if (str_eq(set->items[i]->name, l->wanted->name))
            return l->number < (is_shared(set->items[i]) ? set->items[i]->workers : 1);
    return false;
}

/*
 * Where messages will come in, so that nobody who comes at once needs to come again. A source that hears answers may be another process's: then nobody here would
 * take what waits for it.
 */
static void announce(const struct runner *r, const struct pipeline_spec *spec)
{
    const struct runner_options *o = &r->options;
    const struct entrances at = {.doors = o->doors, .ears = o->leases ? NULL : o->ears, .gateway = o->gateway};

    for (uint16_t i = 0; i < spec->node_count; i++) {
        const struct pipeline_node *n = spec->nodes[i];
        if (n->role == PIPELINE_SOURCE && n->source->run->announce)
            n->source->run->announce(spec, n, &at);
    }
}

void runner_install(struct runner *r, const struct pipeline_set *set)
{
    if (r->is_draining)
        return;
    LIST_EACH(node, next, &r->lines) {
        struct line *l = CONTAINER_OF(node, struct line, link);
        if (!is_among(set, l))
            want(l, NULL);
    }
    for (size_t i = 0; i < set->count; i++) {
        announce(r, set->items[i]);
        want_shards(r, set->items[i]);
    }
}

void runner_drain(struct runner *r)
{
    r->is_draining = true;
    LIST_EACH(node, next, &r->lines)
        want(CONTAINER_OF(node, struct line, link), NULL);
    if (r->main)
        fiber_wake(r->main);
}

void runner_replay(struct runner *r, struct str pipeline, const struct journal_id *root)
{
    LIST_EACH(node, next, &r->lines) {
        struct line *l = CONTAINER_OF(node, struct line, link);
        if (l->shard ? !str_eq(l->spec->name, pipeline) : !l->wanted || !str_eq(l->wanted->name, pipeline))
            continue;
        if (l->shard)
            shard_replay(l->shard, root); /* one that is not there yet reads it with all that the journal has */
        struct fiber *waiting = l->shard ? l->looker : l->sleeper;
        l->must_look = true;
        if (waiting)
            fiber_wake(waiting);
    }
}

/* --- running --- */

static bool is_over(const struct runner *r)
{
    return r->failed != OK || ((r->is_draining || r->options.ends) && list_is_empty(&r->lines));
}

err_t runner_run(void *runner)
{
    struct runner *r = runner;
    SCOPE(lines, NS_NEVER);
    err_t e = OK;

    scope_discard_results(&lines);
    r->scope = &lines;
    r->main = fiber_current();
    LIST_EACH(node, next, &r->lines)
        start_line(CONTAINER_OF(node, struct line, link));
    while (e == OK && !is_over(r))
        e = fiber_park("pipelines", NS_NEVER);
    r->scope = NULL;
    if (e == OK && r->failed != OK) {
        *err_current() = r->record;
        e = r->failed;
    }
    return e;
}

void runner_each(const struct runner *r, void (*each)(void *ctx, const struct runner_status *s), void *ctx)
{
    LIST_EACH(node, next, &r->lines) {
        const struct line *l = CONTAINER_OF(node, struct line, link);
        struct runner_status s = {.spec = l->spec ? l->spec : l->wanted,
                                  .shard = l->number,
                                  .is_current = !l->spec || is_same(l->spec, l->wanted),
                                  .is_running = l->shard != NULL,
                                  .failure = l->failure,
                                  .live = l->shard};
        if (l->shard)
            shard_stats(l->shard, &s.stats);
        if (s.spec)
            each(ctx, &s);
    }
}

void runner_totals(const struct runner *r, struct shard_stats *ret)
{
    *ret = r->ended;
    LIST_EACH(node, next, &r->lines) {
        const struct line *l = CONTAINER_OF(node, struct line, link);
        if (l->shard)
            add_stats(ret, l->shard);
    }
}
