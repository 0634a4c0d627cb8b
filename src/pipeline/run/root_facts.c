/*
 * root_facts.c - what is told of a root when nothing more is done for it here, and what taps show: to whoever listens (struct pipeline_listener).
 *
 * All of it is counted while the root is under way, in memory that it has anyway; telling it is one call at its end, which waits for nothing.
 *
 * Does not: keep anything. Who serves writes it to the log of facts (cli/keep_facts.c).
 */
#include "codec/digest.h"
#include "observe/facts.h"
#include "pipeline/run/shard_int.h"
#include "rt/loop.h"

enum { TRACEPARENT_LEAST = 55, TRACE_ID_AT = 3, TRACE_ID_BYTES = 32 };

/* The trace id of a `traceparent`: "00-" 32 digits "-" …; empty: it is none. */
static struct str trace_id(struct str parent)
{
    struct str id = str_slice(parent, TRACE_ID_AT, TRACE_ID_AT + TRACE_ID_BYTES);

    if (parent.n < TRACEPARENT_LEAST || parent.p[2] != '-' || parent.p[TRACE_ID_AT + TRACE_ID_BYTES] != '-')
        return STR_NONE;
    for (size_t i = 0; i < id.n; i++)
        if (!(id.p[i] >= '0' && id.p[i] <= '9') && !(id.p[i] >= 'a' && id.p[i] <= 'f'))
            return STR_NONE;
    return id;
}

static struct str trace_of(const struct root *r)
{
    struct str rest = r->headers, found = STR_NONE;
    struct message_header h;

    while (header_next(&rest, &h))
        if (str_eq_nocase(h.name, STR("traceparent")) && h.value.p)
            found = trace_id(h.value);
    return found;
}

static enum root_outcome outcome_of(const struct root *r, bool is_complete)
{
    if (!is_complete)
        return OUTCOME_CANCELLED;
    if (r->count.late || rt_now() > r->deadline)
        return OUTCOME_LATE;
    return r->has_dead ? OUTCOME_DEAD : OUTCOME_DONE;
}

static unsigned nodes_of(const struct root *r)
{
    unsigned n = 0;

    for (size_t i = 0; i < ARRAY_LEN(r->count.nodes.words); i++)
        n += (unsigned)__builtin_popcountll(r->count.nodes.words[i]);
    return n;
}

void root_tell(const struct root *r, bool is_complete)
{
    const struct shard *s = r->shard;
    char id[2 * sizeof r->id.b];

    if (!s->listener || r->inner || !r->trace.began) /* it was never begun here */
        return;
    ns_t took = rt_now() - r->trace.began;
    hex_encode(id, r->id.b, sizeof r->id.b);
    const struct root_facts f = {.root = str_of(id, sizeof id),
                                 .pipeline = s->spec->name,
                                 .version = s->spec->version,
                                 .source = s->spec->nodes[r->source]->name,
                                 .outcome = outcome_of(r, is_complete),
                                 .wall = rt_wall() - took,
                                 .sent_at = r->at,
                                 .took = took,
                                 .starts = r->starts,
                                 .nodes = nodes_of(r),
                                 .records = r->trace.count,
                                 .failed = r->trace.failed,
                                 .dead = r->count.dead,
                                 .late = r->count.late,
                                 .calls = r->count.calls,
                                 .input_tokens = r->count.input_tokens,
                                 .output_tokens = r->count.output_tokens,
                                 .price = r->count.nano_usd,
                                 .is_priced = !r->count.is_unpriced,
                                 .trace = trace_of(r)};
    s->listener->on_root(s->listener->ctx, &f);
}

bool step_show(const struct step *s, struct str shown, const char *why)
{
    const struct root *owner = root_owner(s->root), *r = owner ? owner : s->root;
    const struct shard *outer = s->root->shard;
    char id[2 * sizeof r->id.b];

    while (outer->outer)
        outer = outer->outer;
    if (!outer->listener)
        return false;
    hex_encode(id, r->id.b, sizeof r->id.b);
    const struct tap_facts f = {.root = str_of(id, sizeof id),
                                .pipeline = outer->spec->name,
                                .version = outer->spec->version,
                                .node = s->node->name,
                                .wall = rt_wall(),
                                .shown = shown,
                                .error_text = str_from_c(why),
                                .trace = trace_of(r)};
    outer->listener->on_tap(outer->listener->ctx, &f);
    return true;
}
