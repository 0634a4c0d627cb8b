/*
 * early.c - a node works on a record while it comes: sentences of an answer, say, when the model still writes.
 *
 * The reader's record is made with the first text, and lies in its hands as an active item of the graph, so nothing behind it can end. With each text its
 * node sends what is complete (`grow`). When the step sends the value at last, the node works on the record as on any other; what it sends first is what
 * it has sent before, and goes nowhere again. So whether anything came early makes no difference to what comes, nor to its ids: after a crash, when the answer
 * stands in the journal, the same records are made of it as of an answer that came in pieces.
 *
 * A sink may hear the text as well, where somebody waits for it (`hear`). It gets its record when the value is there, as ever.
 *
 * If the answer is not in the journal yet, another one may come. Then the ids of what is made of it differ (step_send_guess()), so nothing that was worked
 * out of the first is taken for something of the second.
 */
#include "pipeline/run/shard_int.h"

static SUSPENDS err_t pump(void *shard)
{
    struct shard *s = shard;

    s->is_pump_due = false;
    shard_pump(s);
    return OK;
}

/* In a fiber of its own: whoever hears a text is deep within the gateway, and has little stack left. */
static void pump_soon(const struct step *s)
{
    struct shard *shard = s->root->shard;

    if (!shard->ready.count || shard->is_pump_due)
        return;
    shard->is_pump_due = true;
    scope_spawn(shard->callers[s->node->index].scope, "pipeline pieces", pump, shard);
}

static struct record *begin(struct step *s, uint16_t edge)
{
    struct root *r = s->root;
    const struct flow_graph *g = &r->shard->spec->graph;
    uint16_t to = g->edges[edge].to;
    struct journal_id id = child_id(&s->in->id, s->node, s->sent);
    struct record *rec = record_new(r, to, edge, child_id(&id, r->shard->spec->nodes[to], 0), expr_string(STR("")));

    trace_came(rec, s->in);
    (void)flow_send(g, r->flow, edge); /* the item is active: joins cannot grow */
    rec->growing = s->growing;
    s->growing = rec;
    return rec;
}

static struct record *find(const struct step *s, uint16_t edge)
{
    struct record *rec = s->growing;

    while (rec && rec->edge != edge)
        rec = rec->growing;
    return rec;
}

static err_t grow(struct step *s, uint16_t edge, const struct pipeline_node *reader, struct str text)
{
    struct record *rec = find(s, edge);

    if (!rec)
        rec = begin(s, edge);
    struct step of_reader = {.root = s->root, .node = reader, .in = rec, .sent = rec->early};
    rec->early = 0; /* what it sends now was not sent before */
    err_t e = reader->node->run->grow(&of_reader, text, &rec->growth);
    rec->early = of_reader.sent;
    s->is_told |= rec->early > 0;
    return e;
}

static void hear(struct step *s, const struct pipeline_node *sink, struct str text)
{
    struct journal_id id = child_id(&s->in->id, s->node, s->sent);

    s->is_told |= sink->sink->run->hear(sink, s->root, child_id(&id, sink, 0), text);
}

err_t step_send_early(struct step *s, struct str text)
{
    struct root *r = s->root;
    const struct flow_graph *g = &r->shard->spec->graph;
    const struct flow_node *n = &g->nodes[s->node->index];

    if (r->is_dropped)
        return fail(E_CANCELLED, "nobody waits for it any more");
    if (r->verdict_count) /* what is to become of its records was decided for whole ones */
        return OK;
    for (uint16_t e = n->first_out; e < n->first_out + n->out_count; e++) {
        const struct pipeline_node *reader = r->shard->spec->nodes[g->edges[e].to];
        if (reader->role == PIPELINE_NODE && reader->node->run->grow)
            TRY(grow(s, e, reader, text));
        else if (reader->role == PIPELINE_SINK && reader->sink->run->hear)
            hear(s, reader, text);
    }
    pump_soon(s);
    return OK;
}

bool early_finish(struct step *s, uint16_t edge, struct expr_value value)
{
    for (struct record **at = &s->growing; *at; at = &(*at)->growing) {
        struct record *rec = *at;
        if (rec->edge != edge)
            continue;
        *at = rec->growing;
        rec->value = value;
        root_record_due(rec);
        return true;
    }
    return false;
}

void early_end(struct step *s, bool ok)
{
    while (s->growing) {
        struct record *rec = s->growing;
        s->growing = rec->growing;
        root_record_done(rec, ok);
    }
}
