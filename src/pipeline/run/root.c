/*
 * root.c - what becomes of one message: its records run through the graph until nothing of it is left.
 *
 * The graph's state is flow.h's; here are the records that it speaks of. A record that a node can work on at once stands in the shard's queue of what is
 * ready, and shard_pump() works on one after the other: no node that it runs suspends. What a join holds waits in the root until the join fires. A sink's
 * records go to its emitter in the order of the lane: when all roots before this one in its lane have sent that sink all they will.
 *
 * Ids. A root's id is a hash of what its message is known by; a record's is made of its parent's, the node and the number of the output. Both are the same
 * in every run, so an effect is known again after a crash.
 */
#include "base/bytes.h"
#include "base/prng.h"
#include "codec/digest.h"
#include "codec/http1.h"
#include "codec/json_tree.h"
#include "expr/value.h"
#include "pipeline/run/agree.h"
#include "pipeline/run/suspect.h"
#include "rt/loop.h"

#include <assert.h>
#include <string.h>

enum { TRACEPARENT_MAX = 256 }; /* bytes: the standard's own version has 55 */

/* --- ids --- */

struct journal_id root_id(const struct pipeline_spec *s, const struct pipeline_node *source, const struct message *m)
{
    unsigned char hash[SHA256_BYTES];
    char place[12];
    struct journal_id id;

    be32_put(place, m->partition);
    be64_put(place + 4, m->position);
    struct str identity = m->identity.n ? m->identity : str_of(place, sizeof place);
    struct str parts[] = {s->name, STR_INIT("\0"), source->name, STR_INIT("\0"), identity};
    sha256_parts(parts, ARRAY_LEN(parts), hash);
    memcpy(id.b, hash, sizeof id.b);
    return id;
}

struct journal_id child_id(const struct journal_id *parent, const struct pipeline_node *node, uint32_t index)
{
    uint64_t high = be64_get((const char *)parent->b), low = be64_get((const char *)parent->b + 8);
    uint64_t step = prng_scatter(str_hash(node->name) + index);
    struct journal_id id;

    high = prng_scatter(high ^ step);
    low = prng_scatter(low + prng_scatter(high + step));
    be64_put((char *)id.b, high);
    be64_put((char *)id.b + 8, low);
    return id;
}

/* --- a root --- */

/* What is no JSON is a text. */
static err_t parse(struct arena *a, struct str body, struct expr_value *ret)
{
    const struct json_tree *tree;
    err_t e = json_tree_parse(a, body, &tree);

    if (e == OK)
        *ret = expr_json(json_tree_root(tree));
    else if (e == E_PARSE)
        *ret = expr_string(body);
    return e == E_PARSE ? OK : e;
}

struct record *record_new(struct root *r, uint16_t node, uint16_t edge, struct journal_id id, struct expr_value value)
{
    struct record *rec = arena_new(&r->arena, struct record);

    *rec = (struct record){.root = r, .id = id, .node = node, .edge = edge, .value = value};
    return rec;
}

/* Which sinks a root may send to at once: those where nobody before it in its lane sends any more. */
static void inherit(struct root *r)
{
    if (!r->lane || r->lane_link.prev == r->lane) {
        memset(&r->open, 0xff, sizeof r->open);
        return;
    }
    const struct root *before = CONTAINER_OF(r->lane_link.prev, struct root, lane_link);
    for (size_t i = 0; i < ARRAY_LEN(r->open.words); i++)
        r->open.words[i] = before->open.words[i] & before->closed.words[i];
}

void root_set_time(struct root *r, int64_t at)
{
    ns_t deadline = r->shard->spec->deadline;

    r->at = at;
    /* If its sender's clock is ahead of ours, that gives it no more time. */
    r->deadline = deadline == NS_NEVER ? NS_NEVER : ns_add(rt_now(), deadline) - wall_passed(at);
}

/* Bytes that a root of such a message needs at first, about: its text, the tree of it, and a few records. */
static unsigned first_block(const struct flow_graph *g, struct str packed)
{
    enum { MORE = 512, MOST = 64 << 10 };
    size_t n = sizeof(struct root) + flow_size(g) +
               g->node_count * (sizeof(struct record_queue) + sizeof(struct node_load)) + packed.n + packed.n / 2 +
               MORE;

    return n < MOST ? (unsigned)n : MOST;
}

static struct root *root_new(struct partition *p, const struct journal_record *rec, struct str packed)
{
    struct shard *s = p->intake->shard;
    const struct flow_graph *g = &s->spec->graph;
    struct arena arena;

    enum { SIDE_FIRST = 128 };
    arena_init_small(&arena, ROOT_ARENA_MAX, first_block(g, packed));
    struct root *r = arena_new(&arena, struct root);
    r->arena = arena;
    arena_init_small(&r->side, ROOT_ARENA_MAX, SIDE_FIRST);
    r->shard = s;
    r->partition = p;
    r->id = rec->id;
    r->position = rec->seq;
    r->starts = rec->count + 1;
    r->source = p->intake->source->index;
    r->flow = arena_alloc(&r->arena, flow_size(g));
    list_init(&r->waiting);
    r->held = arena_alloc(&r->arena, g->node_count * sizeof *r->held);
    r->load = arena_zalloc(&r->arena, g->node_count * sizeof *r->load);
    for (uint16_t i = 0; i < g->node_count; i++)
        record_queue_init(&r->held[i]);
    return r;
}

/* What orders its messages, where the file says so. */
static err_t key_of(struct root *r)
{
    const struct pipeline_node *source = r->shard->spec->nodes[r->source];
    struct record *rec = record_new(r, r->source, 0, r->id, r->message);
    struct step s = {.root = r, .node = source, .in = rec};
    struct buf text CLEANUP(buf_release) = BUF_INIT(JOURNAL_KEY_MAX);
    struct expr_value key;

    if (!source->key)
        return OK;
    TRY(step_eval(&s, source->key, &key));
    if (key.kind == JSON_NULL) {
        r->key = STR_NONE;
        return OK;
    }
    if (key.kind == JSON_STRING)
        return expr_value_text(key, &r->arena, &r->key);
    TRY(expr_value_print(key, &text));
    r->key = arena_str(&r->arena, buf_str(&text));
    return OK;
}

err_t root_unpack(struct partition *p, const struct journal_record *rec, struct str packed, struct root **ret)
{
    struct root *r = root_new(p, rec, packed);
    struct packed m;
    char *copy;

    err_t e = arena_try(&r->arena, packed.n + 1, &copy);
    if (e == OK && packed.n)
        memcpy(copy, packed.p, packed.n);
    if (e == OK)
        e = message_unpack(str_of(copy, packed.n), &m);
    if (e == OK)
        e = parse(&r->arena, m.body, &r->message);
    if (e != OK) {
        root_free(r);
        return e;
    }
    r->key = m.key;
    r->headers = m.headers;
    root_set_time(r, m.at);
    e = key_of(r);
    if (e != OK) {
        root_free(r);
        return e;
    }
    *ret = r;
    return OK;
}

err_t root_of_letter(struct partition *p, const struct journal_id *id, struct str json, struct root **ret)
{
    struct root *r = root_new(p, &(struct journal_record){.id = *id}, json);
    err_t e = parse(&r->arena, arena_str(&r->arena, json), &r->message);

    if (e != OK) {
        root_free(r);
        return e;
    }
    r->at = rt_wall();
    r->deadline = NS_NEVER;
    *ret = r;
    return OK;
}

struct record *root_letter_record(struct root *r)
{
    return record_new(r, 0, 0, r->id, r->message);
}

void root_free(struct root *r)
{
    struct arena arena = r->arena; /* in which it lies itself */

    timers_drop(r);
    arena_release(&r->side);
    arena_release(&arena);
}

/* What it takes up has changed. */
static void account(struct root *r)
{
    credit_change(&r->shard->credit, r->bytes, r->arena.used);
    r->bytes = r->arena.used;
}

/* --- records on their way --- */

static const struct pipeline_node *node_at(const struct root *r, uint16_t node)
{
    return r->shard->spec->nodes[node];
}

/* Takes what comes in the order of the lanes: a sink, or a node that absorbs. */
static bool is_ordered(const struct pipeline_node *n)
{
    return n->role == PIPELINE_SINK || node_absorbs(n);
}

/* It is its turn. */
static void hand_over(struct record *rec)
{
    struct shard *s = rec->root->shard;

    if (s->keepers[rec->node])
        keeper_add(s->keepers[rec->node], rec);
    else
        emitter_add(shard_emitter(s, rec->node), rec);
}

static void give_in_order(struct record *rec)
{
    struct root *r = rec->root;

    if (node_set_has(&r->open, rec->node)) {
        hand_over(rec);
        return;
    }
    record_queue_add(&r->held[rec->node], rec);
    meter_turn(r, rec->node, 1);
}

/* Is there nothing to do but to say how it ended? Of a root that is run again. */
static bool is_settled(const struct record *rec)
{
    const struct verdict *v = letter_verdict(rec);

    return v && (v->kind == VERDICT_DEAD || v->kind == VERDICT_DROPPED);
}

void root_record_due(struct record *rec)
{
    const struct pipeline_node *n = node_at(rec->root, rec->node);

    if (n->node->run->decide)
        keeper_add(rec->root->shard->keepers[rec->node], rec);
    else if (n->node->run->call)
        caller_add(&rec->root->shard->callers[rec->node], rec);
    else
        record_queue_add(&rec->root->shard->ready, rec);
}

void root_record_failed(struct record *rec, err_t cause)
{
    shard_dead_letter(rec, cause);
    rec->has_failed = true;
    record_queue_add(&rec->root->shard->ready, rec);
}

/* It is to be worked on. */
static void give(struct record *rec)
{
    const struct pipeline_node *n = node_at(rec->root, rec->node);

    if (is_settled(rec))
        record_queue_add(&rec->root->shard->ready, rec); /* shard_pump() knows */
    else if (is_ordered(n))
        give_in_order(rec);
    else if (n->node->run->wait)
        waiting_add(rec);
    else
        root_record_due(rec);
}

/* No root before r sends the sink anything any more: r's records may go, and, if it sends no more either, those of the next. */
static void open_sink(struct root *r, uint16_t sink)
{
    for (;;) {
        struct record *rec;
        node_set_add(&r->open, sink);
        while ((rec = record_queue_take(&r->held[sink]))) {
            meter_turn(r, sink, -1);
            hand_over(rec);
        }
        if (!node_set_has(&r->closed, sink) || !r->lane)
            return;
        if (r->lane_link.next == r->lane)
            return;
        r = CONTAINER_OF(r->lane_link.next, struct root, lane_link);
    }
}

/* A node has ended: which sinks have no open input any more? */
static void close_sinks(struct root *r, uint16_t ended)
{
    const struct flow_graph *g = &r->shard->spec->graph;
    const struct flow_node *n = &g->nodes[ended];

    for (uint16_t e = n->first_out; e < n->first_out + n->out_count; e++) {
        uint16_t to = g->edges[e].to;
        if (!is_ordered(node_at(r, to)) || node_set_has(&r->closed, to))
            continue;
        bool is_open = false;
        const struct pipeline_node *sink = node_at(r, to);
        for (size_t i = 0; i < sink->input_count; i++)
            is_open = is_open || flow_edge_end(g, r->flow, sink->inputs[i].edge) == FLOW_OPEN;
        if (is_open)
            continue;
        node_set_add(&r->closed, to);
        if (node_set_has(&r->open, to))
            open_sink(r, to);
    }
}

/* --- joins by root --- */

/* What came along the edges of that name: the value, or, of several, an array of them. False: nothing did. */
static err_t gather(struct expr_budget *b, const struct root *r, const struct pipeline_node *n, struct str label,
                    struct expr_value *ret, bool *ret_any)
{
    struct expr_value all;
    size_t count = 0;

    TRY(value_new_array(b, 1, &all));
    for (const struct record *rec = r->held[n->index].first; rec; rec = rec->next) {
        bool is_of = false;
        for (size_t i = 0; i < n->input_count; i++)
            is_of = is_of || (n->inputs[i].edge == rec->edge && str_eq(n->inputs[i].label, label));
        if (!is_of)
            continue;
        *ret = rec->value;
        TRY(value_append(b, &all, rec->value));
        count++;
    }
    *ret_any = count > 0;
    if (count > 1)
        *ret = all;
    return OK;
}

/* An object with a member for each input that anything came from. */
static err_t join_held(struct root *r, const struct pipeline_node *n, struct expr_value *ret)
{
    struct expr_budget b = {&r->arena, expr_limits_default.steps, expr_limits_default.memory};

    TRY(value_new_object(&b, (uint32_t)n->input_count, ret));
    for (size_t i = 0; i < n->input_count; i++) {
        struct expr_value value;
        bool any;
        TRY(gather(&b, r, n, n->inputs[i].label, &value, &any));
        if (any)
            TRY(value_put_fresh(&b, ret, n->inputs[i].label, value));
    }
    record_queue_init(&r->held[n->index]);
    return OK;
}

static void fire(struct root *r, uint16_t node)
{
    const struct record *first = r->held[node].first;
    struct expr_value value = expr_null();
    err_t e = join_held(r, node_at(r, node), &value);
    struct record *rec = record_new(r, node, 0, child_id(&r->id, node_at(r, node), 0), value);

    trace_came(rec, NULL);
    meter_joined(r, node, first, rec);
    if (e == OK) {
        struct step s = {.root = r, .node = node_at(r, node), .in = rec};
        e = step_send(&s, value);
    }
    if (e != OK)
        shard_dead_letter(rec, e);
    trace_went(rec, e == OK);
    meter_went(rec, e == OK);
    flow_done(&r->shard->spec->graph, r->flow, node, e == OK);
}

/* --- what follows --- */

/* All that follows of what was told to the flow. True if the root is gone. */
static bool follow(struct root *r)
{
    const struct flow_graph *g = &r->shard->spec->graph;
    struct flow_event e;

    while (flow_next(g, r->flow, &e))
        switch (e.kind) {
        case FLOW_FIRE:
            fire(r, e.node);
            break;
        case FLOW_ENDED:
            close_sinks(r, e.node);
            break;
        case FLOW_COMPLETE:
            shard_complete(r);
            return true;
        }
    return false;
}

/* Does everything of it wait for an instant, or for the turn of its lane? */
static bool is_resting(const struct root *r)
{
    const struct flow_graph *g = &r->shard->spec->graph;
    size_t active = 0, waiting = timers_waiting(r);

    for (uint16_t i = 0; i < g->node_count; i++) {
        active += flow_active(r->flow, i);
        waiting += is_ordered(node_at(r, i)) ? r->held[i].count : 0;
    }
    return active == waiting;
}

/* Somebody may wait for its reply. */
static bool owes_reply(const struct root *r)
{
    const struct pipeline_node *n = node_at(r, r->source);

    return n->role == PIPELINE_SOURCE && n->source->takes_reply && n->source->takes_reply(n) && !r->is_replied;
}

bool root_may_rest(const struct root *r)
{
    return !r->hands && !owes_reply(r) && is_resting(r);
}

void root_record_done(struct record *rec, bool ok)
{
    struct root *r = rec->root;

    account(r);
    if (ok)
        letter_settle(rec);
    trace_went(rec, ok);
    meter_went(rec, ok);
    flow_done(&r->shard->spec->graph, r->flow, rec->node, ok);
    if (!follow(r) && list_is_linked(&r->suspect_link) && is_resting(r))
        suspect_rest(r);
}

/* Nothing came of what it holds: the first of it stands for all in what is told. */
static void join_failed(struct root *r, uint16_t node)
{
    const struct pipeline_node *n = node_at(r, node);

    if (n->rules.on_error == FAILURE_SKIP)
        return;
    shard_dead_letter(r->held[node].first, fail(E_DEADLINE, "the join has waited long enough, and not all was there"));
}

void root_join_over(struct root *r, uint16_t node)
{
    const struct flow_graph *g = &r->shard->spec->graph;

    if (!flow_waits(r->flow, node))
        return;
    if (!g->nodes[node].partial) {
        join_failed(r, node);
        meter_joined(r, node, NULL, NULL);
    }
    flow_timeout(g, r->flow, node);
    (void)follow(r);
}

static err_t work_on(struct record *rec)
{
    const struct pipeline_node *n = node_at(rec->root, rec->node);
    struct step s = {.root = rec->root, .node = n, .in = rec};

    if (n->role == PIPELINE_SOURCE)
        return step_send(&s, rec->value);
    err_t e = n->node->run->work(&s);
    return e == OK ? OK : step_make_good(&s, e);
}

void shard_pump(struct shard *s)
{
    struct record *rec;

    if (s->is_pumping)
        return;
    s->is_pumping = true;
    while ((rec = record_queue_take(&s->ready))) {
        if (is_settled(rec)) {
            root_record_done(rec, letter_verdict(rec)->kind == VERDICT_DROPPED);
            continue;
        }
        err_t e = rec->has_failed ? OK : work_on(rec);
        if (e != OK)
            shard_dead_letter(rec, e);
        root_record_done(rec, e == OK && !rec->has_failed);
    }
    s->is_pumping = false;
}

/* --- being under way --- */

static struct str id_of(const struct root *r)
{
    return str_of((const char *)r->id.b, sizeof r->id.b);
}

/* In the map, and in its lane. */
static void take_place(struct root *r)
{
    struct shard *s = r->shard;

    if (!map_get(&s->by_id, id_of(r)))
        (void)map_put(&s->by_id, id_of(r), r);
    r->lane = r->key.p ? &s->lanes[str_hash(r->key) % s->spec->lanes].roots : NULL;
    if (r->lane)
        list_push_back(r->lane, &r->lane_link);
    inherit(r);
}

static void give_place(struct root *r)
{
    struct shard *s = r->shard;

    list_remove(&r->link);
    list_remove(&r->lane_link);
    if (map_get(&s->by_id, id_of(r)) == r)
        (void)map_remove(&s->by_id, id_of(r));
}

void root_enter(struct root *r)
{
    struct shard *s = r->shard;

    list_push_back(&s->roots, &r->link);
    take_place(r);
    flow_begin(&s->spec->graph, r->flow, r->source);
    r->bytes = r->arena.used;
    r->partition->roots++;
    r->partition->intake->roots++;
    credit_take(&s->credit, r->bytes);
}

void root_start(struct root *r)
{
    struct shard *s = r->shard;
    struct record *first = record_new(r, r->source, 0, r->id, r->message);

    trace_begin(r);
    trace_came(first, NULL);
    meter_came(first, false);
    record_queue_add(&s->ready, first);
    shard_pump(s);
}

/* Who comes after a root that leaves its lane before its time may send where that one could. */
static void hand_on(struct root *r)
{
    if (!r->lane || r->lane_link.next == r->lane)
        return;
    struct root *next = CONTAINER_OF(r->lane_link.next, struct root, lane_link);
    for (uint16_t i = 0; i < r->shard->spec->node_count; i++)
        if (is_ordered(node_at(r, i)) && node_set_has(&r->open, i) && !node_set_has(&next->open, i))
            open_sink(next, i);
}

void root_leave(struct root *r)
{
    struct shard *s = r->shard;
    struct partition *p = r->partition;
    struct intake *in = p->intake;

    give_place(r);
    credit_give(&s->credit, r->bytes);
    suspect_rest(r);
    meter_left(r);
    root_free(r);
    partition_give(p);
    in->roots--;
    intake_wake(in);
    if (s->finisher && !s->credit.roots)
        fiber_wake(s->finisher);
}

void root_stand(struct root *r)
{
    take_place(r);
    r->partition->roots++;
}

void root_stand_down(struct root *r)
{
    struct partition *p = r->partition;

    hand_on(r);
    give_place(r);
    root_free(r);
    partition_give(p);
}

static void forget_ready(struct shard *s, const struct root *r)
{
    struct record_queue all = s->ready;
    struct record *rec;

    record_queue_init(&s->ready);
    while ((rec = record_queue_take(&all)))
        if (rec->root != r)
            record_queue_add(&s->ready, rec);
}

/* It was dropped, and nobody has it in his hands any more. */
static void leave_dropped(struct root *r)
{
    inner_drop(r);
    root_leave(r);
}

void root_drop(struct root *r)
{
    struct shard *s = r->shard;

    r->is_dropped = true;
    forget_ready(s, r);
    hand_on(r);
    list_remove(&r->lane_link);
    r->lane = NULL;
    timers_drop(r);
    for (uint16_t i = 0; i < s->spec->node_count; i++) {
        emitter_forget(&s->emitters[i], r);
        caller_forget(&s->callers[i], r);
        if (s->keepers[i])
            keeper_forget(s->keepers[i], r);
    }
    root_tell(r, false);
    if (!r->hands)
        leave_dropped(r);
}

void root_hold(struct root *r)
{
    r->hands++;
}

bool root_let_go(struct root *r)
{
    r->hands--;
    if (!r->is_dropped)
        return true;
    if (!r->hands)
        leave_dropped(r);
    return false;
}

/* --- what nodes are given --- */

struct arena *step_arena(const struct step *s)
{
    return &s->root->arena;
}

static void send_along(struct step *s, uint16_t edge, struct journal_id id, struct expr_value value)
{
    struct root *r = s->root;
    const struct flow_graph *g = &r->shard->spec->graph;
    uint16_t to = g->edges[edge].to;
    /* Each reader has a record of its own: what one has done with it is no business of the others. */
    struct record *rec = record_new(r, to, edge, child_id(&id, node_at(r, to), 0), value);
    const struct verdict *v = letter_verdict(rec);

    if (v && v->is_edited)
        rec->value = v->edited;
    trace_came(rec, s->in);
    enum flow_verdict verdict = flow_send(g, r->flow, edge);
    r->shard->meter->edges[edge]++;
    meter_came(rec, verdict == FLOW_LATE);
    switch (verdict) {
    case FLOW_RUN:
        give(rec);
        break;
    case FLOW_HELD:
        record_queue_add(&r->held[rec->node], rec);
        if (r->held[rec->node].count == 1 && node_at(r, rec->node)->patience != NS_NEVER)
            join_wait_begin(r, rec->node);
        break;
    case FLOW_LATE:
        break;
    }
}

static struct journal_id marked(struct journal_id id, struct str mark)
{
    const struct str parts[] = {str_of((const char *)id.b, sizeof id.b), mark};
    unsigned char hash[SHA256_BYTES];

    sha256_parts(parts, ARRAY_LEN(parts), hash);
    memcpy(id.b, hash, sizeof id.b);
    return id;
}

/* `mark` absent: none. */
static err_t send_to_all(struct step *s, struct expr_value value, struct str mark)
{
    if (s->outputs)
        return step_keep(s, -1, value);
    if (s->sent < s->in->early) { /* it was, before all of the record was there */
        s->sent++;
        return OK;
    }
    if (s->root->inner && s->node == s->root->shard->spec->output)
        inner_output(s->root, value);
    meter_sent(s);
    agree_sent(s, value);
    struct journal_id id = child_id(&s->in->id, s->node, s->sent++);
    const struct flow_node *n = &s->root->shard->spec->graph.nodes[s->node->index];

    if (mark.p)
        id = marked(id, mark);
    for (uint16_t e = n->first_out; e < n->first_out + n->out_count; e++)
        if (!early_finish(s, e, value))
            send_along(s, e, id, value);
    return OK;
}

err_t step_send(struct step *s, struct expr_value value)
{
    return send_to_all(s, value, STR_NONE);
}

err_t step_send_guess(struct step *s, struct expr_value value, struct str mark)
{
    return send_to_all(s, value, mark.p ? mark : STR(""));
}

err_t step_send_to(struct step *s, size_t target, struct expr_value value)
{
    assert(target < s->node->target_count);
    if (s->outputs)
        return step_keep(s, (int64_t)target, value);
    meter_sent(s);
    agree_sent(s, value);
    struct journal_id id = child_id(&s->in->id, s->node, s->sent++);
    send_along(s, s->node->targets[target].edge, id, value);
    return OK;
}

/* What programs read beside the record. */
static void name_inputs(const struct step *s, struct expr_value named[PIPELINE_NAMED])
{
    ns_t left = s->root->deadline == NS_NEVER ? NS_NEVER : s->root->deadline - rt_now();
    int64_t whole_ms = left / NS_MS;

    named[PIPELINE_NAMED_DEADLINE] = expr_number((double)whole_ms);
    named[PIPELINE_NAMED_META] = record_meta(s->in);
}

err_t step_eval(struct step *s, const struct expr *program, struct expr_value *ret)
{
    return step_eval_on(s, program, s->in->value, ret);
}

err_t step_eval_on(struct step *s, const struct expr *program, struct expr_value value, struct expr_value *ret)
{
    struct expr_value named[PIPELINE_NAMED];
    const struct expr_input input = {.root = value, .named = named};

    name_inputs(s, named);
    return expr_eval(program, step_arena(s), &input, &expr_limits_default, ret);
}

err_t step_render(struct step *s, const struct template *t, size_t max, struct str *ret)
{
    struct expr_value named[PIPELINE_NAMED];
    const struct expr_input input = {.root = s->in->value, .named = named};
    struct buf text CLEANUP(buf_release) = BUF_INIT(max);

    name_inputs(s, named);
    TRY(template_render(t, step_arena(s), &input, &expr_limits_default, &text));
    *ret = arena_str(step_arena(s), buf_str(&text));
    return OK;
}

struct str step_id_text(const struct step *s)
{
    const struct journal_id *id = &s->in->id;
    char hex[2 * sizeof id->b];

    for (size_t i = 0; i < sizeof id->b; i++) {
        hex[2 * i] = "0123456789abcdef"[id->b[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[id->b[i] & 15];
    }
    return arena_str(step_arena(s), str_of(hex, sizeof hex));
}

struct str step_message_key(const struct step *s)
{
    return s->root->key;
}

bool root_is_of_share(const struct root *r, double share)
{
    return (double)be64_get((const char *)r->id.b) < share * 0x1p64;
}

struct str step_traceparent(const struct step *s)
{
    const struct root *r = root_owner(s->root);
    struct str rest = r ? r->headers : STR_NONE, found = STR_NONE;
    struct message_header h;

    while (header_next(&rest, &h))
        if (str_eq_nocase(h.name, STR("traceparent")) && h.value.p)
            found = h.value;
    return found.n <= TRACEPARENT_MAX && http1_is_value(found) ? found : STR_NONE; /* it is somebody else's text */
}

bool step_is_of_share(const struct step *s, double share)
{
    return root_is_of_share(s->root, share);
}

struct web *step_web(const struct step *s)
{
    return shard_web(s->root->shard);
}
