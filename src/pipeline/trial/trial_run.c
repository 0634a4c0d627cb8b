/*
 * trial_run.c - a trial's run: the pipeline with other ends, in a world of its own.
 *
 * The pipeline is loaded anew for each run, and its rows of the registries are exchanged: sources for one that hands over the trial's messages, sinks for one
 * that remembers, nodes that are mocked for one that says what it was told to say. What is exchanged is what the engine reaches them by, so the engine
 * cannot tell. Nodes that are recorded because somebody else answers them are asked through the cassette.
 *
 * What arrives is compared when all is done; letters are read back from the journal, as people would see them.
 */
#include "base/mem.h"
#include "codec/json_tree.h"
#include "pipeline/run/letters.h"
#include "pipeline/run/shard_int.h"
#include "pipeline/run/windows.h"
#include "pipeline/trial/trial_int.h"
#include "rt/loop.h"
#include "rt/sim_world.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { PROBLEMS_MAX_OF_TRIAL = 100, RECORD_MAX = 64 << 20 };

/* A node's answers: which of the mocks are used up. */
struct answering {
    struct node_kind kind; /* first: what the node is exchanged for */
    struct node_run run;
    struct running *running;
    const struct node_kind *original;
    const struct trial_entry *entry; /* NULL: the cassette answers */
    const struct expr **when, **map; /* of each mock; NULL: none */
    unsigned *used;
};

/* What arrived at a sink, in order. */
struct arrived {
    struct arrived *next;
    struct str name, json;
};

struct running {
    const struct trial *trial;
    const struct trial_options *options;
    struct arena *arena; /* of the outcome */
    struct pipeline_spec *spec;
    struct journal *journal;
    struct gateway *gateway; /* NULL: none */
    struct arrived *first, **end;
    struct trial_outcome *outcome;
};

/* Rows of the registries with what they need to know behind them. */
struct feeding {
    struct source_kind kind; /* first */
    struct running *running;
    const struct trial_entry *entry; /* NULL: nothing comes here */
};
struct catching {
    struct sink_kind kind; /* first */
    struct running *running;
};

/* --- sources --- */

/* How long what is open when the last message has come may take to close: all windows one behind the other. */
static ns_t time_to_close(const struct pipeline_spec *s)
{
    ns_t sum = 0;

    for (uint16_t i = 0; i < s->node_count; i++) {
        const struct pipeline_node *n = s->nodes[i];
        const struct node_run *run = n->role == PIPELINE_NODE ? n->node->run : NULL;
        const struct window_rules *w = run && run->windows ? run->windows(n) : NULL;
        if (w)
            sum = ns_add(sum, w->every + w->session + w->lateness + w->timeout + NS_SEC);
    }
    return sum;
}

static SUSPENDS err_t feed(struct intake *in, const struct pipeline_node *source)
{
    const struct feeding *f = (const void *)source->source;
    ns_t from = rt_now();

    for (size_t i = 0; f->entry && i < f->entry->message_count; i++) {
        const struct trial_message *m = &f->entry->messages[i];
        TRY(fiber_sleep_until(ns_add(from, m->after)));
        const struct message message = {.position = i + 1,
                                        .key = m->key,
                                        .body = m->body.json,
                                        .at = rt_wall(),
                                        .headers = m->headers,
                                        .header_count = m->header_count};
        TRY(intake_put(in, &message, 1, STR("")));
    }
    return fiber_sleep_until(ns_add(rt_now(), time_to_close(f->running->spec)));
}

/* --- sinks --- */

static err_t open_catch(const struct sink_at *at, bool *ret_applied, void **ret_state)
{
    *ret_applied = false;
    *ret_state = (void *)(uintptr_t)at->sink;
    return OK;
}

static err_t catch (void *state, const struct batch *b)
{
    const struct pipeline_node *sink = state;
    struct running *r = ((const struct catching *)(const void *)sink->sink)->running;

    for (size_t i = 0; i < b->count; i++) {
        if (r->outcome->records == TRIAL_RECORDS_MAX)
            return fail(E_TOO_LARGE, "more than %d records arrive", TRIAL_RECORDS_MAX);
        struct arrived *a = arena_new(r->arena, struct arrived);
        *a = (struct arrived){.name = sink->name, .json = arena_str(r->arena, b->items[i].text)};
        *r->end = a;
        r->end = &a->next;
        r->outcome->records++;
    }
    return OK;
}

static void close_catch(void *state)
{
    (void)state;
}

/* --- nodes --- */

static err_t print(struct step *s, struct str *ret)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(RECORD_MAX);

    TRY(expr_value_print(s->in->value, &text));
    *ret = arena_str(step_arena(s), buf_str(&text));
    return OK;
}

static err_t send_json(struct step *s, struct str json)
{
    const struct json_tree *tree;

    TRY(json_tree_parse(step_arena(s), json, &tree));
    return step_send(s, expr_json(json_tree_root(tree)));
}

/* The first mock that fits and is not used up. */
static err_t find_mock(struct step *s, struct answering *a, const struct trial_mock **ret, size_t *ret_index)
{
    for (size_t i = 0; i < a->entry->mock_count; i++) {
        const struct trial_mock *m = &a->entry->mocks[i];
        struct expr_value fits = expr_bool(true);
        if (m->times && a->used[i] == m->times)
            continue;
        if (a->when[i])
            TRY(step_eval(s, a->when[i], &fits));
        if (!expr_value_is_true(fits))
            continue;
        a->used[i]++;
        *ret_index = i;
        *ret = m;
        return OK;
    }
    return fail(E_NOT_FOUND, "no mock of %.*s fits", STR_ARG(s->node->name));
}

/* Whoever decides has his own time: the message's stands still meanwhile, and begins anew. */
static SUSPENDS err_t wait_for_person(struct step *s, ns_t until)
{
    SHIELD(NS_NEVER);

    TRY(fiber_sleep_until(until));
    root_set_time(s->root, rt_wall());
    return OK;
}

static SUSPENDS err_t wait_for_mock(struct step *s, ns_t after)
{
    ns_t until = ns_add(rt_now(), after);

    return s->node->kind->traits & KIND_STOPS_CLOCK ? wait_for_person(s, until) : fiber_sleep_until(until);
}

static SUSPENDS err_t answer_mocked(struct step *s, struct answering *a)
{
    const struct trial_mock *m;
    struct expr_value made;
    size_t i;

    TRY(find_mock(s, a, &m, &i));
    TRY(wait_for_mock(s, m->after));
    if (m->error != OK)
        return fail((err_t)m->error, "the test has %.*s fail so", STR_ARG(s->node->name));
    if (!a->map[i])
        return send_json(s, m->output.json);
    TRY(step_eval(s, a->map[i], &made));
    return step_send(s, made);
}

/* As a cassette has them. */
static err_t send_outputs(struct step *s, struct str outputs)
{
    const struct json_tree *tree;

    TRY(json_tree_parse(step_arena(s), outputs, &tree));
    JSON_EACH(w, json_tree_root(tree)) {
        if (json_node_is(w.value, JSON_OBJECT)) {
            step_note(s, json_node_raw(w.value));
            continue;
        }
        struct expr_value value = expr_json(json_node_at(w.value, 1));
        int64_t target = -1;
        (void)json_node_i64(json_node_at(w.value, 0), &target);
        if (target >= (int64_t)s->node->target_count)
            return fail(E_CONFIG, "a recorded answer of %.*s is for a target that it does not have",
                        STR_ARG(s->node->name));
        TRY(target < 0 ? step_send(s, value) : step_send_to(s, (size_t)target, value));
    }
    return OK;
}

static SUSPENDS err_t play(struct step *s, struct cassette *c)
{
    struct cassette_answer answer;
    struct str input;

    TRY(print(s, &input));
    TRY(cassette_take(c, s->node->name, input, &answer));
    TRY(fiber_sleep_until(ns_add(rt_now(), answer.took)));
    return send_outputs(s, answer.outputs);
}

/* What is kept is also what goes on: so who comes behind is asked the same when it is played. */
static SUSPENDS err_t record(struct step *s, const struct answering *a, struct cassette *c)
{
    struct buf outputs CLEANUP(buf_release) = BUF_INIT(RECORD_MAX), clean CLEANUP(buf_release) = BUF_INIT(RECORD_MAX);
    struct str input;
    ns_t from = rt_now();

    assert(a->original->run); /* a node that runs is recorded */
    TRY(print(s, &input));
    TRY(a->original->run->call(s));
    TRY(step_print_kept(s, &outputs));
    TRY(cassette_clean(c, buf_str(&outputs), &clean));
    const struct cassette_answer answer = {
        .node = s->node->name, .input = input, .outputs = buf_str(&clean), .took = rt_now() - from};
    TRY(cassette_add(c, &answer));
    s->outputs->count = 0;
    return send_outputs(s, arena_str(step_arena(s), buf_str(&clean)));
}

static SUSPENDS err_t answer(struct step *s)
{
    struct answering *a = (void *)(uintptr_t)s->node->node;
    struct cassette *c = a->running->options->cassette;

    if (a->entry)
        return answer_mocked(s, a);
    if (!a->original->run && (!c || cassette_records(c)))
        return fail(E_UNSUPPORTED, "this program cannot run %.*s (%s): mock it", STR_ARG(s->node->name),
                    a->original->kind.name);
    if (!c)
        return fail(E_NOT_FOUND, "%.*s is not mocked, and nothing is recorded", STR_ARG(s->node->name));
    return cassette_records(c) ? record(s, a, c) : play(s, c);
}

/* --- the exchange --- */

static const struct source_run feeding_run = {.run = feed};
static const struct sink_run catching_run = {.open = open_catch, .apply = catch, .close = close_catch};

static const struct trial_entry *find_entry(const struct trial_entry *all, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(all[i].name, name))
            return &all[i];
    return NULL;
}

static err_t compile(struct running *r, const struct pipeline_node *n, const struct schema_text *t,
                     const struct expr **ret)
{
    static const struct expr_named named[PIPELINE_NAMED] = {
        [PIPELINE_NAMED_DEADLINE] = {STR_INIT("__deadline_ms"), &expr_type_number},
        [PIPELINE_NAMED_META] = {STR_INIT("meta"), &expr_type_unchecked}};
    const struct expr_env env = {.named = named, .named_count = PIPELINE_NAMED};
    struct expr_problem problem;

    *ret = NULL;
    if (!t->text.n)
        return OK;
    if (expr_compile(r->arena, t->text, &env, ret, &problem) == OK)
        return OK;
    return fail(E_CONFIG, "%.*s:%u: a mock of %.*s: %.*s", STR_ARG(*t->node->file), t->node->line, STR_ARG(n->name),
                STR_ARG(problem.text));
}

static err_t exchange_node(struct running *r, struct pipeline_node *n)
{
    const struct trial *t = r->trial;
    const struct trial_entry *entry = find_entry(t->mocks, t->mock_count, n->name);
    const struct node_kind *k = n->node;

    bool asks = k->kind.traits & KIND_CALLS && k->kind.traits & KIND_RECORDS;

    if (!entry && !asks && k->run)
        return OK;
    struct answering *a = arena_new(r->arena, struct answering);
    *a = (struct answering){.kind = *k, .running = r, .original = k, .entry = entry};
    a->run = (struct node_run){.call = answer, .drop = k->run ? k->run->drop : NULL};
    a->kind.run = &a->run;
    n->node = &a->kind;
    if (!entry)
        return OK;
    a->when = arena_zalloc(r->arena, (entry->mock_count + 1) * sizeof(const struct expr *));
    a->map = arena_zalloc(r->arena, (entry->mock_count + 1) * sizeof(const struct expr *));
    a->used = arena_zalloc(r->arena, (entry->mock_count + 1) * sizeof *a->used);
    for (size_t i = 0; i < entry->mock_count; i++) {
        TRY(compile(r, n, &entry->mocks[i].when, &a->when[i]));
        TRY(compile(r, n, &entry->mocks[i].map, &a->map[i]));
    }
    return OK;
}

static err_t exchange(struct running *r, struct pipeline_node *n)
{
    const struct trial *t = r->trial;

    switch (n->role) {
    case PIPELINE_SOURCE: {
        struct feeding *f = arena_new(r->arena, struct feeding);
        *f =
            (struct feeding){.kind = *n->source, .running = r, .entry = find_entry(t->inputs, t->input_count, n->name)};
        f->kind.run = &feeding_run;
        n->source = &f->kind;
        return OK;
    }
    case PIPELINE_NODE:
        return exchange_node(r, n);
    case PIPELINE_SINK: {
        struct catching *c = arena_new(r->arena, struct catching);
        *c = (struct catching){.kind = *n->sink, .running = r};
        c->kind.run = &catching_run;
        n->sink = &c->kind;
        return OK;
    }
    }
    return OK;
}

static err_t prepare(struct running *r)
{
    struct problems problems = {.arena = r->arena};

    TRY(pipeline_load(r->trial->path, NULL, r->trial->world, &problems, &r->spec));
    if (r->options->on_trace)
        r->spec->sampled = 1;
    r->spec->dlq = NULL; /* letters are compared where they lie, in the journal */
    for (uint16_t i = 0; i < r->spec->node_count; i++)
        TRY(exchange(r, r->spec->nodes[i]));
    return OK;
}

/* --- what came out --- */

static bool is_unchecked(const struct trial *t, struct str sink)
{
    for (size_t i = 0; i < t->unchecked_count; i++)
        if (str_eq(t->unchecked[i].text, sink))
            return true;
    return false;
}

static err_t parse(struct running *r, struct str json, struct json_node *ret)
{
    const struct json_tree *tree;

    TRY(json_tree_parse(r->arena, json, &tree));
    *ret = json_tree_root(tree);
    return OK;
}

/* Patterns and what came, each pattern to the one at its place, or, in any order, to the first that is left and fits. */
static err_t compare(struct trial_matching *m, struct running *r, struct str what, const struct trial_document *wanted,
                     size_t wanted_count, const struct str *came, size_t count)
{
    bool *is_used = arena_zalloc(r->arena, count + 1);

    if (wanted_count != count)
        trial_complain(m, what, "%zu came, and %zu should have", count, wanted_count);
    for (size_t i = 0; i < wanted_count; i++) {
        struct str where = arena_printf(r->arena, "%.*s[%zu]", STR_ARG(what), i);
        struct json_node pattern, is;
        size_t before = m->count, at = r->trial->any_order ? 0 : i;
        TRY(parse(r, wanted[i].json, &pattern));
        for (; at < count; at++) {
            m->count = before;
            if (is_used[at])
                continue;
            TRY(parse(r, came[at], &is));
            trial_match(m, where, pattern, is);
            if (!r->trial->any_order || m->count == before)
                break;
        }
        if (at < count) {
            is_used[at] = true;
            continue;
        }
        m->count = before;
        trial_complain(m, where, "nothing came that fits %.*s", STR_ARG(wanted[i].json));
    }
    for (size_t i = 0; i < count; i++)
        if (!is_used[i])
            trial_complain(m, what, "this was not expected: %.*s", STR_ARG(came[i]));
    return OK;
}

static err_t compare_sink(struct trial_matching *m, struct running *r, struct str name)
{
    const struct trial_entry *e = find_entry(r->trial->expected, r->trial->expected_count, name);
    struct str *came = arena_alloc(r->arena, (r->outcome->records + 1) * sizeof *came);
    size_t count = 0;

    for (const struct arrived *a = r->first; a; a = a->next)
        if (str_eq(a->name, name))
            came[count++] = a->json;
    return compare(m, r, name, e ? e->records : NULL, e ? e->record_count : 0, came, count);
}

static SUSPENDS err_t compare_letters(struct trial_matching *m, struct running *r)
{
    struct str *came = NULL;
    uint64_t after = 0;
    size_t cap = 0;

    do {
        struct dead_letter *page;
        size_t count;
        TRY(letters_page(r->journal, &(struct letter_filter){0}, &after, r->arena, &page, &count));
        struct str *more = arena_alloc(r->arena, (cap + count + 1) * sizeof *more);
        if (cap)
            memcpy(more, came, cap * sizeof *more);
        came = more;
        for (size_t i = 0; i < count; i++) {
            struct buf text CLEANUP(buf_release) = BUF_INIT(RECORD_MAX);
            struct json_out o = json_out_to(&text);
            letter_put(&page[i], &o);
            came[cap++] = arena_str(r->arena, buf_str(&text));
        }
    } while (after);
    r->outcome->letters = cap;
    return compare(m, r, STR("dead letters"), r->trial->letters, r->trial->letter_count, came, cap);
}

static SUSPENDS err_t judge(struct running *r)
{
    struct trial_matching m = {.arena = r->arena,
                               .spec = r->spec,
                               .problems = arena_alloc(r->arena, PROBLEMS_MAX_OF_TRIAL * sizeof *m.problems),
                               .max = PROBLEMS_MAX_OF_TRIAL};

    for (uint16_t i = 0; i < r->spec->node_count; i++) {
        const struct pipeline_node *n = r->spec->nodes[i];
        if (n->role == PIPELINE_SINK && !is_unchecked(r->trial, n->name))
            TRY(compare_sink(&m, r, n->name));
    }
    TRY(compare_letters(&m, r));
    r->outcome->problems = m.problems;
    r->outcome->problem_count = m.count;
    return OK;
}

static SUSPENDS err_t tell_traces(struct running *r)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    uint64_t after = 0;

    do {
        struct root_trace *page;
        size_t count;
        TRY(traces_page(r->journal, STR_NONE, &after, &arena, &page, &count));
        for (size_t i = 0; i < count; i++)
            TRY(r->options->on_trace(r->options->ctx, &page[i]));
        arena_clear(&arena);
    } while (after);
    return OK;
}

/* --- the run --- */

static SUSPENDS err_t run_shard(struct running *r)
{
    struct shard *s = shard_new(&(struct shard_options){.spec = r->spec, .journal = r->journal, .gateway = r->gateway});
    ns_t from = rt_now();

    err_t e = shard_run(s);
    shard_free(s);
    r->outcome->took = rt_now() - from;
    return e;
}

static SUSPENDS err_t run_in_loop(void *arg)
{
    struct running *r = arg;
    const struct journal_options o = {.kind = "memory",
                                      .traces_max = r->options->on_trace ? UINT64_MAX : 1,
                                      .trace_age = NS_NEVER,
                                      .dead_age = NS_NEVER};

    TRY(journal_open(&o, &r->journal));
    err_t e = run_shard(r);
    if (e == OK)
        e = r->options->on_trace ? tell_traces(r) : judge(r);
    journal_close(r->journal);
    return e;
}

static SUSPENDS err_t run_with_gateway(void *running, struct gateway *g)
{
    struct running *r = running;

    r->gateway = g;
    return run_in_loop(r);
}

static SUSPENDS err_t record_in_loop(void *arg)
{
    struct running *r = arg;
    const struct trial_options *o = r->options;

    return o->with_gateway ? o->with_gateway(o->gateway_ctx, run_with_gateway, r) : run_in_loop(r);
}

static err_t run_in_world(struct running *r)
{
    struct sim_world *w = sim_world_new(&(struct sim_options){.seed = r->options->seed});

    err_t e = loop_run(&(struct loop_options){.seams = sim_world_seams(w)}, run_in_loop, r);
    sim_world_free(w);
    return e;
}

err_t trial_run(const struct trial *t, const struct trial_options *o, struct arena *arena, struct trial_outcome *ret)
{
    struct running r = {.trial = t, .options = o, .arena = arena, .outcome = ret};

    *ret = (struct trial_outcome){0};
    r.end = &r.first;
    if (o->cassette)
        cassette_rewind(o->cassette);
    err_t e = prepare(&r);
    if (e == OK && o->cassette && cassette_records(o->cassette))
        e = loop_run(&(struct loop_options){0}, record_in_loop, &r);
    else if (e == OK)
        e = run_in_world(&r);
    pipeline_unref(r.spec);
    return e;
}
