/*
 * replay.c - decisions made again, from their records and from the events before them.
 *
 * Idea. A decision is a function of what was read, of the draw and of the turn, and all three are in its record. What was read is in turn a
 * function of the events that the deployments had seen, and these are in the records of attempts, each with its place in the order of
 * events. So a log can be checked twice: each record against the strategy, and all of them together against the folding.
 *
 * What is replayed is what a log on disk holds: facts come in through their records (observe/facts_log.h).
 *
 * What attempts at a deployment do not teach (it was tried, it cannot be asked, its credentials have nothing left) is taken from the record.
 *
 * A decision that was left out is not missed: what it changes, the turn, is in the record of the next. An attempt would be.
 *
 * Does not: replay a decision that read more than its record holds, as may happen in a large pool (replay_is_whole()); and know of retries' budgets. Who is chosen does not depend on them.
 */
#include "sim/replay.h"

#include "base/mem.h"
#include "fleet/live.h"
#include "observe/facts_log.h"
#include "sim/world.h"

#include <stdlib.h>

/* --- the log --- */

void replay_log_init(struct replay_log *log)
{
    *log = (struct replay_log){.attempt_count = 0};
    arena_init(&log->arena, SIZE_MAX);
}

void replay_log_release(struct replay_log *log)
{
    mem_free(log->attempts);
    mem_free(log->decisions);
    arena_release(&log->arena);
}

static void add_attempt(struct replay_log *log, const struct attempt_facts *f)
{
    if (log->attempt_count == log->attempt_room) {
        log->attempt_room = log->attempt_room ? 2 * log->attempt_room : 1024;
        log->attempts = mem_realloc(log->attempts, log->attempt_room * sizeof *log->attempts);
    }
    log->attempts[log->attempt_count++] = *f;
}

static void add_decision(struct replay_log *log, const struct decision_facts *f)
{
    if (log->decision_count == log->decision_room) {
        log->decision_room = log->decision_room ? 2 * log->decision_room : 1024;
        log->decisions = mem_realloc(log->decisions, log->decision_room * sizeof *log->decisions);
    }
    log->decisions[log->decision_count++] = *f;
}

void replay_log_add(struct replay_log *log, const struct facts *f)
{
    struct buf records CLEANUP(buf_release) = BUF_INIT(FACTS_RECORDS_MAX);
    struct facts read;

    if (!EXPECT(facts_write(f, &records) == OK, "the records of %.*s cannot be written", STR_ARG(f->id)))
        return;
    struct str bytes = arena_str(&log->arena, buf_str(&records)); /* of which what is read is slices */
    if (!EXPECT(facts_read(bytes, f->id, &log->arena, &read) == OK, "the records of %.*s cannot be read",
                STR_ARG(f->id)))
        return;
    for (size_t i = 0; i < read.tried_count; i++)
        add_attempt(log, &read.tried[i]);
    for (size_t i = 0; i < read.decision_count; i++)
        add_decision(log, &read.decisions[i]);
    log->left_out += read.decisions_left_out;
}

/* --- a decision again --- */

/* What a decision was made of, read once more. */
struct again {
    const struct decision_facts *record;
    const struct model *model;
    const struct target *targets;
    size_t count;
    const struct roster *roster;
    const struct strategy *strategy;
    struct live_deployment *const *live; /* in the order of the catalog; NULL: what the record says was read */
};

static const struct decision_candidate *recorded(const struct again *a, const struct deployment *d)
{
    for (size_t i = 0; i < a->record->candidate_count; i++)
        if (str_eq(a->record->candidates[i].deployment, d->name))
            return &a->record->candidates[i];
    return NULL;
}

/* Of the request, of its credentials, of limits and money: nothing that attempts at the deployment teach. */
static bool is_not_folded(enum exclusion why)
{
    return why != EXCLUDED_NOT && why != EXCLUDED_EJECTED && why != EXCLUDED_PROBING;
}

/* Told in the heads of answers, which are not in the records. */
static bool is_of_credential(enum exclusion why)
{
    return why == EXCLUDED_RATE_LIMIT || why == EXCLUDED_CREDENTIAL;
}

static void read_again(const void *ctx, size_t i, unsigned needs, struct strategy_candidate *to)
{
    const struct again *a = ctx;
    const struct target *t = &a->targets[i];
    const struct decision_candidate *c = recorded(a, t->deployment);

    *to = (struct strategy_candidate){.id = t->deployment->id, .slow_start = 1, .headroom = 1};
    if (!EXPECT(c, "a strategy reads %.*s again, which it had not read", STR_ARG(t->deployment->name)))
        return;
    to->excluded = c->excluded;
    to->weight = c->weight;
    to->tier = c->tier;
    to->cost = c->cost;
    to->headroom = c->headroom;
    if (is_not_folded(c->excluded))
        return;
    if (a->live) {
        live_read(a->live[t->deployment->index], &a->model->rules.live, needs, a->record->at, to);
        if (a->record->ill_too && (to->excluded == EXCLUDED_EJECTED || to->excluded == EXCLUDED_PROBING))
            to->excluded = EXCLUDED_NOT;
        if (to->excluded == EXCLUDED_NOT && is_of_credential(c->excluded))
            to->excluded = c->excluded;
        to->headroom = c->headroom;
        EXPECT(to->excluded == c->excluded && to->slow_start == c->slow_start,
               "decision %llu: %.*s is %s with a share of %g when folded anew, and was %s with %g",
               (unsigned long long)a->record->seq, STR_ARG(c->deployment), exclusion_name(to->excluded), to->slow_start,
               exclusion_name(c->excluded), c->slow_start);
        return;
    }
    to->slow_start = c->slow_start;
    to->in_flight = c->in_flight;
    to->in_flight_tokens = c->in_flight_tokens;
    to->time_per_unit = c->time_per_unit;
    to->time_per_token = c->time_per_token;
    to->waited_per_unit = c->waited_per_unit;
}

/* The list of the model that the record says it chose from. */
static bool find_pool(struct again *a)
{
    static const struct str prefix = STR_INIT("fallbacks.");
    struct str pool = a->record->pool;

    a->strategy = strategy_find(str_from_c(a->record->strategy));
    if (str_eq(pool, STR("targets"))) {
        a->targets = a->model->targets;
        a->count = a->model->target_count;
        a->roster = a->model->roster;
        return a->strategy != NULL;
    }
    for (unsigned f = 0; f < FALLBACKS; f++)
        if (str_starts(pool, prefix) &&
            str_eq(str_slice(pool, prefix.n, pool.n), str_from_c(fallback_name((enum fallback)f)))) {
            a->targets = a->model->fallbacks[f].items;
            a->count = a->model->fallbacks[f].count;
            a->roster = a->model->fallbacks[f].roster;
        }
    return a->strategy && a->targets;
}

bool replay_is_whole(const struct decision_facts *f)
{
    return f->count <= STRATEGY_SEEN_MAX || f->examined <= STRATEGY_SEEN_MAX;
}

static void decide_again(const struct catalog *c, const struct decision_facts *f, struct live_deployment *const *live)
{
    if (!replay_is_whole(f))
        return;
    struct again a = {.record = f, .model = catalog_find_model(c, f->route), .live = live};

    if (!EXPECT(a.model && find_pool(&a), "decision %llu names no list of ours: %.*s", (unsigned long long)f->seq,
                STR_ARG(f->pool)))
        return;
    EXPECT(a.count == f->count, "decision %llu was over %llu candidates, there are %zu", (unsigned long long)f->seq,
           (unsigned long long)f->count, a.count);
    struct strategy_ask ask = {.count = a.count,
                               .read = read_again,
                               .ctx = &a,
                               .draw = f->draw,
                               .turn = f->turn,
                               .input_tokens = f->input_tokens,
                               .output_tokens = f->output_tokens,
                               .has_sticky = f->sticky != 0,
                               .sticky = f->sticky,
                               .home_cached = f->home_cached,
                               .ns_per_nanodollar = f->ns_per_nanodollar,
                               .roster = a.roster,
                               .priced = {.input = f->input_tokens, .output = f->output_tokens}};
    for (size_t i = 0; f->home.n && i < a.count && !ask.has_home; i++) {
        ask.home = i;
        ask.has_home = str_eq(a.targets[i].deployment->name, f->home);
    }
    EXPECT(ask.has_home == (f->home.n > 0), "decision %llu names a home that is not in its list",
           (unsigned long long)f->seq);
    struct strategy_decision d = strategy_choose(a.strategy, &ask);
    struct str chosen = d.chosen == STRATEGY_NONE ? STR_NONE : a.targets[d.chosen].deployment->name;
    EXPECT(str_eq(chosen, f->chosen), "decision %llu (%s) chose %.*s, and again it is %.*s", (unsigned long long)f->seq,
           f->strategy, STR_ARG(f->chosen), STR_ARG(chosen));
    EXPECT(d.probability == f->probability && d.score == f->score,
           "decision %llu: probability %g and score %g were %g and %g", (unsigned long long)f->seq, d.probability,
           d.score, f->probability, f->score);
}

void replay_check_records(const struct replay_log *log, const struct catalog *c)
{
    for (size_t i = 0; i < log->decision_count; i++)
        decide_again(c, &log->decisions[i], NULL);
}

/* --- all of them --- */

enum event_kind { EVENT_DECISION, EVENT_SENT, EVENT_FIRST, EVENT_ENDED };

struct event {
    uint64_t seq;
    enum event_kind kind;
    size_t at; /* in the log */
};

struct folding {
    const struct replay_log *log;
    const struct catalog *catalog;
    struct live *live;
    struct live_deployment **deployments; /* in the order of the catalog */
    struct live_route **routes;           /* of its models               */
    struct live_attempt *attempts;        /* in the order of the log     */
};

static int by_seq(const void *a, const void *b)
{
    const struct event *x = a, *y = b;

    return (x->seq > y->seq) - (x->seq < y->seq);
}

static size_t list_events(const struct replay_log *log, struct event *events)
{
    size_t n = 0;

    for (size_t i = 0; i < log->decision_count; i++)
        events[n++] = (struct event){log->decisions[i].seq, EVENT_DECISION, i};
    for (size_t i = 0; i < log->attempt_count; i++) {
        const struct attempt_facts *f = &log->attempts[i];
        EXPECT(f->seq_sent && f->seq_ended > f->seq_sent, "an attempt at %.*s was not counted in and out",
               STR_ARG(f->deployment));
        events[n++] = (struct event){f->seq_sent, EVENT_SENT, i};
        if (f->seq_first)
            events[n++] = (struct event){f->seq_first, EVENT_FIRST, i};
        events[n++] = (struct event){f->seq_ended, EVENT_ENDED, i};
    }
    qsort(events, n, sizeof *events, by_seq);
    for (size_t i = 1; i < n; i++)
        EXPECT(events[i].seq > events[i - 1].seq, "event %llu is there twice", (unsigned long long)events[i].seq);
    EXPECT(n == 0 || events[n - 1].seq == n + log->left_out,
           "of %llu events of the process %zu are in the log, %llu left out", (unsigned long long)events[n - 1].seq, n,
           (unsigned long long)log->left_out);
    return n;
}

static void fold(struct folding *to, const struct event *e)
{
    if (e->kind == EVENT_DECISION) {
        decide_again(to->catalog, &to->log->decisions[e->at], to->deployments);
        return;
    }
    const struct attempt_facts *f = &to->log->attempts[e->at];
    const struct deployment *d = map_get(&to->catalog->deployment_by_name, f->deployment);
    const struct model *m = catalog_find_model(to->catalog, f->route);
    if (!EXPECT(d && m, "an attempt at %.*s for %.*s is of another configuration", STR_ARG(f->deployment),
                STR_ARG(f->route)))
        return;
    struct live_attempt *a = &to->attempts[e->at];
    if (e->kind == EVENT_SENT)
        (void)EXPECT(live_send(to->deployments[d->index], &m->rules.live, f->input_estimate, f->output_estimate,
                               LIVE_ANYWAY | (f->stream ? LIVE_STREAM : 0), f->sent, a) == EXCLUDED_NOT,
                     "an attempt that was sent cannot be sent again");
    else if (e->kind == EVENT_FIRST)
        live_first_token(a, &m->rules.live, 0, f->first);
    else
        live_end(a, to->routes[m->index], &m->rules.live, f->cause, f->usage.known ? f->usage.output : 0, f->last,
                 f->ended);
}

/* Who is judged together, as the gateway has it. */
static void set_peers(struct folding *f, const struct model *m)
{
    struct live_deployment **peers = mem_zalloc(f->catalog->deployment_count + 1, sizeof *peers);
    bool *there = mem_zalloc(f->catalog->deployment_count + 1, sizeof *there);
    size_t n = 0;

    for (size_t i = 0; i < m->target_count; i++)
        there[m->targets[i].deployment->index] = true;
    for (size_t k = 0; k < FALLBACKS; k++)
        for (size_t i = 0; i < m->fallbacks[k].count; i++)
            there[m->fallbacks[k].items[i].deployment->index] = true;
    for (size_t i = 0; i < f->catalog->deployment_count; i++)
        if (there[i])
            peers[n++] = f->deployments[i];
    live_route_set(f->routes[m->index], peers, n);
    mem_free(peers);
    mem_free(there);
}

static void begin(struct folding *f)
{
    const struct catalog *c = f->catalog;

    f->live = live_new();
    f->deployments = mem_zalloc(c->deployment_count + 1, sizeof *f->deployments);
    f->routes = mem_zalloc(c->model_count + 1, sizeof *f->routes);
    f->attempts = mem_zalloc(f->log->attempt_count + 1, sizeof *f->attempts);
    for (size_t i = 0; i < c->deployment_count; i++)
        f->deployments[i] = live_deployment_ref(f->live, c->deployments[i].name);
    for (size_t i = 0; i < c->model_count; i++) {
        f->routes[i] = live_route_ref(f->live, c->models[i].name);
        set_peers(f, &c->models[i]);
    }
}

static void end(struct folding *f)
{
    for (size_t i = 0; i < f->catalog->model_count; i++)
        live_route_unref(f->routes[i]);
    for (size_t i = 0; i < f->catalog->deployment_count; i++)
        live_deployment_unref(f->deployments[i]);
    mem_free(f->routes);
    mem_free(f->deployments);
    mem_free(f->attempts);
    live_free(f->live);
}

void replay_check_log(const struct replay_log *log, const struct catalog *c)
{
    struct folding f = {.log = log, .catalog = c};
    struct event *events = mem_alloc((log->decision_count + 3 * log->attempt_count + 1) * sizeof *events);
    size_t n = list_events(log, events);

    begin(&f);
    for (size_t i = 0; i < n; i++)
        fold(&f, &events[i]);
    end(&f);
    mem_free(events);
}
