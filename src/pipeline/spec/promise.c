/*
 * promise.c - what the rows of the registries and the journal make of each pair of a source and a sink.
 *
 * What the file demands (`delivery`) holds for every pair, except that a sink whose `effect` says otherwise has been given leave, in the file, where a reviewer
 * sees it. Nothing is assumed: a kind that cannot know whether something happened makes the file choose.
 */
#include "pipeline/spec/promise.h"

#include "pipeline/spec/graph.h"
#include "pipeline/system/fast_kafka.h"
#include "store/journal.h"

const struct promise_row *promise_row_of(const struct pipeline_node *n)
{
    if (n->role == PIPELINE_SOURCE)
        return &n->source->rows[n->source->row ? n->source->row(n) : 0];
    return &n->sink->rows[n->sink->row ? n->sink->row(n) : 0];
}

static bool is_kind(const struct pipeline_node *n, const char *name)
{
    return strcmp(n->kind->name, name) == 0;
}

/* Consume, transform, produce: one transaction of one Kafka cluster, and only functions in between. */
static bool is_fast(const struct pipeline_spec *s, const struct pipeline_node *source, const struct pipeline_node *sink)
{
    if (!is_kind(source, "kafka") || !is_kind(sink, "kafka") || sink->effect.mode > EFFECT_KEYED)
        return false;
    if (!str_eq(source->connection->url, sink->connection->url))
        return false;
    for (size_t i = 0; i < s->node_count; i++) {
        const struct pipeline_node *n = s->nodes[i];
        if (!graph_reaches(s, source->index, n->index))
            continue;
        if (n->role == PIPELINE_NODE ? n->is_recorded || n->flow.item == FLOW_ABSORB || n->kind->traits & KIND_CALLS
                                     : n->role == PIPELINE_SINK && !is_kind(n, "kafka"))
            return false;
    }
    return true;
}

static unsigned sink_bits(const struct pipeline_node *sink)
{
    switch (sink->effect.mode) {
    case EFFECT_AT_LEAST_ONCE:
        return PROMISE_REPEATS;
    case EFFECT_AT_MOST_ONCE:
        return PROMISE_LOSES;
    case EFFECT_OF_KIND:
    case EFFECT_KEYED:
        break;
    }
    const struct promise_row *row = promise_row_of(sink);
    return row->is_choice ? PROMISE_REPEATS | PROMISE_LOSES : row->promise;
}

/* Is there a node on the way that gathers messages, which are acknowledged then? */
static bool is_gathered(const struct pipeline_spec *s, const struct pipeline_node *source,
                        const struct pipeline_node *sink)
{
    for (size_t i = 0; i < s->node_count; i++)
        if (s->nodes[i]->flow.item == FLOW_ABSORB && graph_reaches(s, source->index, s->nodes[i]->index) &&
            graph_reaches(s, s->nodes[i]->index, sink->index))
            return true;
    return false;
}

static unsigned journal_bits(const struct pipeline_spec *s, const struct pipeline_node *source,
                             const struct pipeline_node *sink)
{
    switch (s->journal) {
    case PIPELINE_JOURNAL_SYNC:
        return 0;
    case PIPELINE_JOURNAL_ASYNC:
        return PROMISE_REPEATS;
    case PIPELINE_JOURNAL_NONE:
        break;
    }
    if (!source->source->keeps)
        return PROMISE_LOSES;
    return is_gathered(s, source, sink) ? PROMISE_REPEATS | PROMISE_LOSES : PROMISE_REPEATS;
}

static const char *journal_words(const struct pipeline_spec *s, unsigned bits)
{
    if (s->journal == PIPELINE_JOURNAL_ASYNC)
        return "what the journal had not on disk yet is done again after a crash";
    if (bits & PROMISE_REPEATS && bits & PROMISE_LOSES)
        return "without a journal, what was gathered on the way is lost with the process";
    return bits & PROMISE_LOSES ? "without a journal, what was taken in and not done is lost with the process"
                                : "without a journal, what was not done when the process ended is done again";
}

struct promise_pair promise_of(const struct pipeline_spec *s, const struct pipeline_node *source,
                               const struct pipeline_node *sink)
{
    const struct promise_row *from = promise_row_of(source), *to = promise_row_of(sink);
    bool fast = is_fast(s, source, sink);
    unsigned kept = fast ? 0 : journal_bits(s, source, sink), at_sink = sink_bits(sink),
             weak = PROMISE_REPEATS | PROMISE_LOSES;
    struct promise_pair pair = {.bits = from->promise | kept | at_sink, .is_fast = fast, .why = to->how};

    if (from->promise & weak) {
        pair.limit = LIMIT_SOURCE;
        pair.why = from->how;
    } else if (kept) {
        pair.limit = LIMIT_JOURNAL;
        pair.why = journal_words(s, kept);
    } else if (sink->effect.mode > EFFECT_KEYED) {
        pair.limit = LIMIT_CHOICE;
        pair.why = "the file says so: `effect` of the sink";
    } else if (at_sink) {
        pair.limit = LIMIT_SINK;
    }
    return pair;
}

const char *promise_words(unsigned bits)
{
    if (bits & PROMISE_LOSES)
        return bits & PROMISE_REPEATS ? "nothing (may be lost, may come twice)" : "at most once";
    return bits & PROMISE_REPEATS ? "at least once" : bits & PROMISE_KEYED ? "effectively once" : "exactly once";
}

/* ---- what the file demands ---- */

static unsigned allowed_bits(const struct pipeline_spec *s, const struct pipeline_node *sink)
{
    unsigned bits = PROMISE_KEYED;

    if (s->delivery != DELIVERY_EXACTLY_ONCE || sink->effect.mode == EFFECT_AT_LEAST_ONCE)
        bits |= PROMISE_REPEATS;
    if (s->delivery == DELIVERY_AT_MOST_ONCE || sink->effect.mode == EFFECT_AT_MOST_ONCE)
        bits |= PROMISE_LOSES;
    return bits;
}

static const char *remedy_of(const struct promise_pair *pair, const struct pipeline_node *source,
                             const struct pipeline_node *sink)
{
    const char *remedy = pair->limit == LIMIT_SOURCE    ? promise_row_of(source)->remedy
                         : pair->limit == LIMIT_JOURNAL ? "`journal: sync`"
                                                        : promise_row_of(sink)->remedy;

    return remedy ? remedy : "a source or sink that can";
}

static void check_pair(struct pipeline_build *b, const struct pipeline_node *source, const struct pipeline_node *sink)
{
    struct promise_pair pair = promise_of(b->spec, source, sink);
    unsigned excess = pair.bits & ~allowed_bits(b->spec, sink);
    static const char *const deliveries[] = {[DELIVERY_EXACTLY_ONCE] = "exactly_once",
                                             [DELIVERY_AT_LEAST_ONCE] = "at_least_once",
                                             [DELIVERY_AT_MOST_ONCE] = "at_most_once"};

    if (!excess)
        return;
    problems_error(
        b->problems, sink->at,
        "\"delivery: %s\" cannot be kept from \"%.*s\" to \"%.*s\" (%s): %s; what helps: %s, or to accept it with "
        "\"effect: %s\" at the sink",
        deliveries[b->spec->delivery], STR_ARG(source->name), STR_ARG(sink->name), promise_words(pair.bits), pair.why,
        remedy_of(&pair, source, sink), excess & PROMISE_LOSES ? "at_most_once" : "at_least_once");
}

static void check_choice(struct pipeline_build *b, const struct pipeline_node *sink)
{
    const struct promise_row *row = promise_row_of(sink);

    if (row->is_choice)
        problems_error(b->problems, sink->at,
                       "\"%.*s\" must say \"effect: at_least_once\" or \"effect: at_most_once\": %s; or use %s",
                       STR_ARG(sink->name), row->how, row->remedy);
}

/* What comes about of a batch is one commit of the journal: a number for each record, and the batch's. */
static void check_batch(struct pipeline_build *b, const struct pipeline_node *sink)
{
    enum { MOST = JOURNAL_OPS_MAX - 1 };

    if (sink->effect.batch > MOST && !fast_kafka_fits(b->spec))
        problems_error(b->problems, sink->at,
                       "\"%.*s\" has batches of %u: of a pipeline that needs its journal they are at most %d",
                       STR_ARG(sink->name), sink->effect.batch, MOST);
}

/* Who is to decide finds the question in the journal. */
static void check_gate(struct pipeline_build *b, const struct pipeline_node *n)
{
    if (b->spec->journal == PIPELINE_JOURNAL_NONE && is_kind(n, "gate"))
        problems_error(b->problems, n->at,
                       "\"%.*s\" waits for people, who find what waits in the journal: with \"journal: none\" there is "
                       "none; use `journal: sync`",
                       STR_ARG(n->name));
}

void promise_check(struct pipeline_build *b)
{
    for (size_t i = 0; i < b->node_count; i++) {
        const struct pipeline_node *sink = b->nodes[i];
        check_gate(b, sink);
        if (sink->role != PIPELINE_SINK)
            continue;
        check_batch(b, sink);
        if (sink->effect.mode <= EFFECT_KEYED && promise_row_of(sink)->is_choice) {
            check_choice(b, sink);
            continue;
        }
        for (size_t k = 0; k < b->node_count; k++)
            if (b->nodes[k]->role == PIPELINE_SOURCE && graph_reaches(b->spec, (uint16_t)k, sink->index))
                check_pair(b, b->nodes[k], sink);
    }
}

/* ---- the two tables ---- */

static void put_rows(struct buf *to, const char *name, const struct promise_row *rows)
{
    for (; rows->when; rows++)
        (void)buf_addf(to, "| `%s`%s%s | %s | %s |\n", name, *rows->when ? ", " : "", rows->when,
                       rows->is_choice ? "**the file must choose**: at least once, or at most once"
                                       : promise_words(rows->promise),
                       rows->how);
}

err_t promise_tables(struct buf *to)
{
    (void)buf_add_lit(to, "| source | taken in | how, and on what condition |\n|---|---|---|\n");
    for (size_t i = 0; i < source_kind_catalog_count; i++)
        put_rows(to, source_kind_catalog[i]->kind.name, source_kind_catalog[i]->rows);
    (void)buf_add_lit(to, "\n| sink | takes effect | how, and on what condition |\n|---|---|---|\n");
    for (size_t i = 0; i < sink_kind_catalog_count; i++)
        put_rows(to, sink_kind_catalog[i]->kind.name, sink_kind_catalog[i]->rows);
    return buf_status(to);
}
