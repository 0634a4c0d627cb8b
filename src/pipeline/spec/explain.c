/*
 * explain.c - what a pipeline promises, in words.
 *
 * Everything here is read off the spec and the rows of the registries; nothing is worked out that loading did not check. Whoever tests a promise finds it here.
 */
#include "pipeline/spec/explain.h"

#include "base/units.h"
#include "pipeline/run/run.h"
#include "pipeline/spec/graph.h"
#include "pipeline/spec/promise.h"

static const char *const limit_words[] = {[LIMIT_NOTHING] = "",
                                          [LIMIT_SOURCE] = ", because of the source",
                                          [LIMIT_JOURNAL] = ", because of the journal",
                                          [LIMIT_SINK] = ", because of the sink",
                                          [LIMIT_CHOICE] = ", because the file says so (effect)"};

static void put_span(struct buf *to, ns_t span)
{
    char text[UNITS_TEXT_MAX];

    (void)buf_add(to, str_of(text, units_print_duration(span, text)));
}

/* The columns that names of nodes take. */
static int name_width(const struct pipeline_spec *s)
{
    size_t most = 0;

    for (size_t i = 0; i < s->node_count; i++)
        most = s->nodes[i]->name.n > most ? s->nodes[i]->name.n : most;
    return (int)most;
}

static void put_name(struct buf *to, const struct pipeline_node *n, int width)
{
    (void)buf_addf(to, "  %.*s%*s  ", STR_ARG(n->name), width - (int)n->name.n, "");
}

/* ---- promises ---- */

static void put_pair(const struct pipeline_spec *s, const struct pipeline_node *from, const struct pipeline_node *sink,
                     struct buf *to)
{
    struct promise_pair p = promise_of(s, from, sink);

    (void)buf_addf(to, "  %.*s -> %.*s: %s%s\n", STR_ARG(from->name), STR_ARG(sink->name), promise_words(p.bits),
                   limit_words[p.limit]);
    if (p.limit == LIMIT_JOURNAL)
        (void)buf_addf(to, "      %s\n", p.why);
    if (p.is_fast)
        (void)buf_add_lit(
            to, "      one transaction of Kafka holds what is read and what is written: no journal is needed\n");
}

static void put_row(const struct pipeline_node *n, struct buf *to)
{
    const struct promise_row *row = promise_row_of(n);
    const char *words = row->is_choice ? "the file must choose" : promise_words(row->promise);

    (void)buf_addf(to, "  %.*s (%s%s%s): %s\n      %s\n", STR_ARG(n->name), n->kind->name, *row->when ? ", " : "",
                   row->when, words, row->how);
}

static void put_promises(const struct pipeline_spec *s, struct buf *to)
{
    (void)buf_add_lit(to, "\nPromises\n");
    for (size_t i = 0; i < s->node_count; i++)
        for (size_t k = 0; k < s->node_count; k++)
            if (s->nodes[i]->role == PIPELINE_SOURCE && s->nodes[k]->role == PIPELINE_SINK &&
                graph_reaches(s, (uint16_t)i, (uint16_t)k))
                put_pair(s, s->nodes[i], s->nodes[k], to);
    (void)buf_add_lit(to, "\nHow they are kept\n");
    for (size_t i = 0; i < s->node_count; i++)
        if (s->nodes[i]->role != PIPELINE_NODE)
            put_row(s->nodes[i], to);
}

/* ---- time ---- */

static void put_way(const struct pipeline_spec *s, uint16_t sink, struct buf *to)
{
    uint16_t path[FLOW_NODES_MAX];
    size_t count;
    ns_t sum = graph_longest(s, sink, path, &count);

    (void)buf_add_lit(to, "  ");
    for (size_t i = 0; i < count; i++) {
        const struct pipeline_node *n = s->nodes[path[i]];
        (void)buf_addf(to, "%s%.*s", i ? " -> " : "", STR_ARG(n->name));
        if (n->rules.budget) {
            (void)buf_add_lit(to, " (");
            put_span(to, n->rules.budget);
            (void)buf_add_char(to, ')');
        }
    }
    (void)buf_add_lit(to, ": ");
    put_span(to, sum);
    if (s->deadline != NS_NEVER) {
        (void)buf_add_lit(to, ", which leaves ");
        put_span(to, s->deadline - sum);
    }
    (void)buf_add_char(to, '\n');
}

static void put_time(const struct pipeline_spec *s, struct buf *to)
{
    (void)buf_add_lit(to, "\nTime: the longest way to each sink by its budgets, of a deadline of ");
    put_span(to, s->deadline);
    (void)buf_add_char(to, '\n');
    for (uint16_t i = 0; i < s->node_count; i++)
        if (s->nodes[i]->role == PIPELINE_SINK || s->nodes[i] == s->output)
            put_way(s, i, to);
    for (size_t i = 0; i < s->node_count; i++)
        if (s->nodes[i]->kind->traits & KIND_STOPS_CLOCK)
            (void)buf_addf(to, "  the clock stops at %.*s: behind it a new deadline begins\n",
                           STR_ARG(s->nodes[i]->name));
}

/* ---- journal, reads ---- */

static bool needs_journal(const struct pipeline_spec *s)
{
    for (size_t i = 0; i < s->node_count; i++)
        for (size_t k = 0; k < s->node_count; k++)
            if (s->nodes[i]->role == PIPELINE_SOURCE && s->nodes[k]->role == PIPELINE_SINK &&
                graph_reaches(s, (uint16_t)i, (uint16_t)k) && !promise_of(s, s->nodes[i], s->nodes[k]).is_fast)
                return true;
    return false;
}

/* Without a journal: what is lost, or done again, when the process ends. */
static const char *unkept_words(const struct pipeline_node *n)
{
    if (n->role == PIPELINE_SOURCE)
        return n->source->unkept ? n->source->unkept : "what was taken in and is not done is lost";
    if (n->role == PIPELINE_SINK)
        return "a batch that was about to be acknowledged may be applied again";
    if (n->flow.item == FLOW_ABSORB)
        return "what it has gathered is lost: it was acknowledged when it came";
    if (n->node->run && (n->node->run->decide || n->node->run->memory))
        return "what it remembers is lost";
    return n->is_recorded ? "it is asked again, and paid for again" : "it is worked out again";
}

static const char *kept_words(const struct pipeline_spec *s, const struct pipeline_node *n)
{
    if (s->journal == PIPELINE_JOURNAL_NONE)
        return unkept_words(n);
    if (n->role == PIPELINE_SOURCE)
        return "each message, and how far it has been read, in one commit";
    if (n->role == PIPELINE_SINK)
        return "which batch goes there before it does, and that it has";
    if (n->kind->traits & KIND_STOPS_CLOCK)
        return "what waits, until when, and what is decided";
    if (n->flow.item == FLOW_ABSORB)
        return "what it has gathered, and when it is due";
    return n->is_recorded ? "each output, before anybody reads it" : "nothing: it is worked out again";
}

static void put_journal(const struct pipeline_spec *s, struct buf *to)
{
    static const char *const words[] = {
        "on disk before it goes on", "on disk soon",
        "none: nothing is on disk, neither traces nor dead letters; when the process ends"};
    int width = name_width(s);

    (void)buf_addf(to, "\nJournal: %s\n",
                   s->source_count && s->sink_count && !needs_journal(s) ? "not needed" : words[s->journal]);
    if (s->source_count && s->sink_count && !needs_journal(s))
        return;
    for (size_t i = 0; i < s->node_count; i++) {
        put_name(to, s->nodes[i], width);
        (void)buf_addf(to, "%s\n", kept_words(s, s->nodes[i]));
    }
}

static void put_reads(const struct pipeline_spec *s, struct buf *to)
{
    int width = name_width(s);

    (void)buf_add_lit(to, "\nReads of its input\n");
    for (size_t i = 0; i < s->node_count; i++) {
        const struct pipeline_node *n = s->nodes[i];
        if (n->role == PIPELINE_SOURCE)
            continue;
        put_name(to, n, width);
        for (size_t k = 0; k < n->read_count; k++)
            (void)buf_addf(to, "%s%.*s", k ? " " : "",
                           STR_ARG(str_eq(n->reads[k], STR(".")) ? STR("all") : n->reads[k]));
        (void)buf_add(to, n->read_count ? STR("\n") : STR("nothing\n"));
    }
}

static void put_letters(const struct pipeline_spec *s, struct buf *to)
{
    if (s->journal == PIPELINE_JOURNAL_NONE) {
        (void)buf_addf(to, "\nDead letters %s %s, and are kept nowhere\n", s->dlq ? "go to" : "are lines of",
                       s->dlq ? s->dlq->kind->name : "the log");
        return;
    }
    if (s->dlq)
        (void)buf_addf(to, "\nDead letters go to %s as well, and are kept for ", s->dlq->kind->name);
    else
        (void)buf_add_lit(to, "\nDead letters are kept for ");
    put_span(to, s->retention);
    (void)buf_add_char(to, '\n');
}

err_t pipeline_explain(const struct pipeline_spec *s, struct buf *to)
{
    static const char *const deliveries[] = {"exactly once", "at least once", "at most once"};

    (void)buf_addf(to, "%.*s, version %u: demands %s\n", STR_ARG(s->name), s->version, deliveries[s->delivery]);
    put_promises(s, to);
    put_time(s, to);
    put_journal(s, to);
    put_reads(s, to);
    put_letters(s, to);
    return buf_status(to);
}
