/*
 * rehearse.c - samples of a journal through a candidate, and both outcomes beside each other.
 *
 * The samples become a trial (trial.h) that expects nothing: the messages in the order in which they were done with, each beginning when the one before has taken its
 * time; the answers of then in a cassette. The runs leave traces in a journal in memory, sampled as well; a message is found there by its id, which follows
 * from its place in the trial.
 */
#include "pipeline/trial/rehearse.h"

#include "pipeline/run/shard_int.h"
#include "pipeline/trial/trial_int.h"

#include <stdlib.h>

/* A sampled message. */
struct past {
    struct json_node then, now; /* traces; now absent: nothing is known of how it ended */
    struct str source;
    struct journal_id id; /* in the rehearsal */
    bool is_unasked;
};

/* What is counted of a node, or a sink. */
struct tally {
    size_t unasked, failed, mended, other;
    struct str example; /* of `other`: {"then":[…],"now":[…]} */
    struct str unasked_example;
    struct spread *spread;
};

struct rehearsing {
    const struct pipeline_spec *candidate;
    const struct rehearsal_options *options;
    struct arena *arena;
    struct impacts *to;
    struct rehearsal *result;
    struct past *items;
    size_t count;
    struct map by_id; /* struct past * */
    struct cassette *cassette;
    struct trial trial;
    struct tally *tallies; /* by node */
};

/* --- what was --- */

static struct json_node steps_of(struct json_node trace)
{
    return json_node_get(trace, STR("steps"));
}

static bool is_of(struct json_node step, struct str node)
{
    return json_node_text_is(json_node_get(step, STR("node")), node);
}

static bool has_failed(struct json_node step)
{
    return json_node_text_is(json_node_get(step, STR("end")), STR("failed"));
}

/* Take in a trace that can be run again. */
static err_t add_past(struct rehearsing *r, struct str json)
{
    const struct json_tree *tree;

    TRY(json_tree_parse(r->arena, json, &tree));
    struct json_node trace = json_tree_root(tree), first = json_node_at(steps_of(trace), 0);
    struct str source = json_get_text(trace, STR("source"), r->arena);
    const struct pipeline_node *n = pipeline_find(r->candidate, source);

    if (!json_get_true(trace, STR("sampled")) || json_get_true(trace, STR("cut")) || !n || n->role != PIPELINE_SOURCE ||
        json_is_absent(json_node_get(first, STR("record")))) {
        r->result->left_out++;
        return OK;
    }
    r->items[r->count++] = (struct past){.then = trace, .source = source};
    return OK;
}

static err_t add_answers(struct rehearsing *r, const struct past *p)
{
    JSON_EACH(w, steps_of(p->then)) {
        int64_t took_us = 0;
        (void)json_node_i64(json_node_get(w.value, STR("took_us")), &took_us);
        const struct cassette_answer a = {.node = json_get_text(w.value, STR("node"), r->arena),
                                          .input = json_node_raw(json_node_get(w.value, STR("record"))),
                                          .outputs = json_node_raw(json_node_get(w.value, STR("outputs"))),
                                          .took = took_us * NS_US};
        if (a.outputs.n)
            TRY(cassette_add(r->cassette, &a));
    }
    return OK;
}

/* --- the trial --- */

static void take_headers(struct rehearsing *r, const struct past *p, struct trial_message *m)
{
    struct json_node list = json_node_get(p->then, STR("headers"));
    struct message_header *headers = arena_zalloc(r->arena, (json_node_count(list) + 1) * sizeof *headers);

    JSON_EACH(w, list) {
        struct json_node value = json_node_at(w.value, 1);
        headers[m->header_count++] =
            (struct message_header){.name = json_node_text(json_node_at(w.value, 0), r->arena),
                                    .value = json_is_absent(value) ? STR_NONE : json_node_text(value, r->arena)};
    }
    m->headers = headers;
}

static struct trial_message message_of(struct rehearsing *r, const struct past *p, ns_t after)
{
    struct json_node key = json_node_get(p->then, STR("key"));
    struct trial_message m = {
        .body = {.json = json_node_raw(json_node_get(json_node_at(steps_of(p->then), 0), STR("record")))},
        .key = json_is_absent(key) ? STR_NONE : json_node_text(key, r->arena),
        .after = after};

    take_headers(r, p, &m);
    return m;
}

static struct trial_entry *entry_of(struct rehearsing *r, struct str source)
{
    struct trial *t = &r->trial;

    for (size_t i = 0; i < t->input_count; i++)
        if (str_eq(t->inputs[i].name, source))
            return &t->inputs[i];
    t->inputs[t->input_count] = (struct trial_entry){
        .name = source, .messages = arena_zalloc(r->arena, (r->count + 1) * sizeof(struct trial_message))};
    return &t->inputs[t->input_count++];
}

static void make_trial(struct rehearsing *r, const struct pipeline_world *world)
{
    ns_t after = 0;

    r->trial =
        (struct trial){.name = STR("rehearsal"),
                       .path = r->candidate->path,
                       .world = world,
                       .inputs = arena_zalloc(r->arena, (r->candidate->source_count + 1) * sizeof(struct trial_entry))};
    for (size_t i = 0; i < r->count; i++) {
        struct past *p = &r->items[i];
        struct trial_entry *e = entry_of(r, p->source);
        int64_t took_us = 0;
        (void)json_node_i64(json_node_get(p->then, STR("took_us")), &took_us);
        e->messages[e->message_count++] = message_of(r, p, after);
        after = ns_add(after, took_us * NS_US);
        const struct message m = {.position = e->message_count}; /* as the trial numbers them */
        p->id = root_id(r->candidate, pipeline_find(r->candidate, p->source), &m);
        (void)map_put(&r->by_id, str_of((const char *)p->id.b, sizeof p->id.b), p);
    }
}

static err_t take_trace(void *ctx, const struct root_trace *t)
{
    struct rehearsing *r = ctx;
    struct past *p = map_get(&r->by_id, str_of((const char *)t->id.b, sizeof t->id.b));
    const struct json_tree *tree;

    if (!p)
        return OK; /* of what the rehearsal began itself: a window, say */
    TRY(json_tree_parse(r->arena, arena_str(r->arena, t->json), &tree));
    p->now = json_tree_root(tree);
    return OK;
}

/* --- then and now --- */

/* What somebody asked now, and nobody then. */
static void find_unasked(struct rehearsing *r, struct past *p)
{
    JSON_EACH(w, steps_of(p->now)) {
        const struct pipeline_node *n = pipeline_find(r->candidate, json_get_text(w.value, STR("node"), r->arena));
        struct str record = json_node_raw(json_node_get(w.value, STR("record")));
        struct cassette_answer a;
        bool asks = n && n->role == PIPELINE_NODE &&
                    (n->kind->traits & (KIND_CALLS | KIND_RECORDS)) == (KIND_CALLS | KIND_RECORDS);
        if (!asks || !has_failed(w.value) || cassette_take(r->cassette, n->name, record, &a) == OK)
            continue;
        struct tally *t = &r->tallies[n->index];
        t->unasked++;
        if (!t->unasked_example.n)
            t->unasked_example = record;
        p->is_unasked = true;
    }
    r->result->unasked += p->is_unasked;
}

static size_t count_failed(struct json_node trace, struct str node)
{
    size_t count = 0;

    JSON_EACH(w, steps_of(trace))
        count += is_of(w.value, node) && has_failed(w.value);
    return count;
}

static int by_text(const void *x, const void *y)
{
    return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

/* What the sink got for the message, as one text: an array, sorted. */
static struct str records_at(struct rehearsing *r, struct json_node trace, struct str sink)
{
    struct json_node steps = steps_of(trace);
    struct str *records = arena_alloc(r->arena, (json_node_count(steps) + 1) * sizeof *records), text = STR("[");
    size_t count = 0;

    JSON_EACH(w, steps)
        if (is_of(w.value, sink))
            records[count++] = json_node_raw(json_node_get(w.value, STR("record")));
    qsort(records, count, sizeof *records, by_text);
    for (size_t i = 0; i < count; i++)
        text = arena_printf(r->arena, "%.*s%s%.*s", STR_ARG(text), i ? "," : "", STR_ARG(records[i]));
    return arena_printf(r->arena, "%.*s]", STR_ARG(text));
}

static void add_to_spread(struct tally *t, bool is_now, struct json_node trace, struct str sink)
{
    JSON_EACH(w, steps_of(trace))
        if (is_of(w.value, sink))
            spread_add(t->spread, is_now, json_node_get(w.value, STR("record")));
}

static void compare_at_sink(struct rehearsing *r, const struct past *p, const struct pipeline_node *sink)
{
    struct tally *t = &r->tallies[sink->index];
    struct str then = records_at(r, p->then, sink->name), now = records_at(r, p->now, sink->name);

    add_to_spread(t, false, p->then, sink->name);
    add_to_spread(t, true, p->now, sink->name);
    if (str_eq(then, now))
        return;
    t->other++;
    if (!t->example.n)
        t->example = arena_printf(r->arena, "{\"then\":%.*s,\"now\":%.*s}", STR_ARG(then), STR_ARG(now));
}

static void compare_message(struct rehearsing *r, struct past *p)
{
    const struct pipeline_spec *s = r->candidate;

    if (json_is_absent(p->now)) {
        r->result->left_out++;
        return;
    }
    find_unasked(r, p);
    if (p->is_unasked)
        return;
    r->result->compared++;
    for (uint16_t i = 0; i < s->node_count; i++) {
        const struct pipeline_node *n = s->nodes[i];
        size_t then = count_failed(p->then, n->name), now = count_failed(p->now, n->name);
        r->tallies[i].failed += now > then;
        r->tallies[i].mended += now < then;
        if (n->role == PIPELINE_SINK)
            compare_at_sink(r, p, n);
    }
}

/* --- telling --- */

static void set_example(struct impact *i, struct impacts *to, struct str document, struct str whom)
{
    if (!i)
        return;
    i->document = arena_str(to->arena, document);
    struct str *hit = arena_new(to->arena, struct str);
    *hit = arena_str(to->arena, whom);
    i->hit = hit;
    i->hit_count = 1;
}

static void tell_node(struct rehearsing *r, const struct pipeline_node *n)
{
    const struct tally *t = &r->tallies[n->index];
    struct str where = arena_printf(r->arena, "%s %.*s", n->role == PIPELINE_SINK ? "sink" : "node", STR_ARG(n->name));
    size_t all = r->result->compared;

    if (t->unasked)
        set_example(
            impacts_add(r->to, IMPACT_UNKNOWN, where,
                        "asks otherwise than then for %zu messages: there is no answer, and they are not compared",
                        t->unasked),
            r->to, t->unasked_example, n->name);
    if (t->failed)
        (void)impacts_add(r->to, IMPACT_BREAKS, where, "fails for %zu of %zu messages for which it did not", t->failed,
                          all);
    if (t->mended)
        (void)impacts_add(r->to, IMPACT_NOTE, where, "does not fail any more for %zu of %zu messages", t->mended, all);
    if (t->other)
        set_example(impacts_add(r->to, r->options->is_exact ? IMPACT_BREAKS : IMPACT_NOTE, where,
                                "gets something else for %zu of %zu messages", t->other, all),
                    r->to, t->example, n->name);
}

static void tell_spreads(struct rehearsing *r)
{
    const struct pipeline_spec *s = r->candidate;

    for (uint16_t i = 0; i < s->node_count; i++)
        r->result->tests += r->tallies[i].spread ? spread_tests(r->tallies[i].spread) : 0;
    for (uint16_t i = 0; i < s->node_count; i++)
        if (r->tallies[i].spread)
            spread_judge(r->tallies[i].spread, r->options->alpha / (double)r->result->tests, r->to);
}

static void judge(struct rehearsing *r)
{
    const struct pipeline_spec *s = r->candidate;

    cassette_rewind(r->cassette);
    r->tallies = arena_zalloc(r->arena, (s->node_count + 1) * sizeof *r->tallies);
    for (uint16_t i = 0; i < s->node_count; i++)
        if (s->nodes[i]->role == PIPELINE_SINK)
            r->tallies[i].spread = spread_new(r->arena, s->nodes[i]->name);
    for (size_t i = 0; i < r->count; i++)
        compare_message(r, &r->items[i]);
    for (uint16_t i = 0; i < s->node_count; i++)
        tell_node(r, s->nodes[i]);
    tell_spreads(r);
}

/* --- the run --- */

static err_t run(struct rehearsing *r, const struct pipeline_world *world, const struct str *traces, size_t count)
{
    const struct trial_options o = {
        .seed = r->options->seed, .cassette = r->cassette, .on_trace = take_trace, .ctx = r};
    struct trial_outcome outcome;

    for (size_t i = 0; i < count; i++)
        TRY(add_past(r, traces[i]));
    for (size_t i = 0; i < r->count; i++)
        TRY(add_answers(r, &r->items[i]));
    r->result->messages = r->count;
    if (!r->count)
        return OK;
    make_trial(r, world);
    TRY(trial_run(&r->trial, &o, r->arena, &outcome));
    judge(r);
    return OK;
}

err_t rehearse(const struct pipeline_spec *candidate, const struct pipeline_world *world, const struct str *traces,
               size_t count, const struct rehearsal_options *o, struct impacts *to, struct rehearsal *ret)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct rehearsing r = {.candidate = candidate,
                           .options = o,
                           .arena = &arena,
                           .to = to,
                           .result = ret,
                           .items = arena_zalloc(&arena, (count + 1) * sizeof *r.items),
                           .cassette = cassette_new(false)};

    *ret = (struct rehearsal){0};
    err_t e = count > REHEARSAL_MESSAGES_MAX ? fail(E_TOO_LARGE, "more than %d messages", REHEARSAL_MESSAGES_MAX)
                                             : run(&r, world, traces, count);
    map_release(&r.by_id);
    cassette_free(r.cassette);
    return e;
}
