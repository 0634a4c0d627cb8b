/*
 * gates.c - gates in the journal, and in the shard that waits for them.
 *
 * A record that comes to a gate becomes a root, in the same commit in which it is done where it came from; but that root begins only when it is decided. So
 * thousands may wait for days, in the journal, and hold up nothing: neither a deadline runs, nor does their lane wait for them. In memory there is
 * an id and an end of each.
 *
 * Whoever decides writes to the journal, which takes the first decision and no other; expiry is a decision like any. How many decisions a journal has seen
 * is a number (journal_decisions()): when it has changed, the keeper looks which of its gates are not undecided any more. Looking for a change once a second is
 * all that connects the two.
 *
 * Votes of gates that want several are states of the node, and go with the decision.
 */
#include "pipeline/run/gates.h"

#include "base/mem.h"
#include "codec/digest.h"
#include "codec/json_out.h"
#include "codec/json_tree.h"
#include "expr/value.h"
#include "pipeline/run/shard_int.h"
#include "rt/loop.h"

enum { ID_BYTES = sizeof(struct journal_id), HEX_BYTES = 2 * ID_BYTES, VOTER_BYTES = 8 };
static const ns_t look_every = NS_SEC;

static struct str id_str(const struct journal_id *id)
{
    return str_of((const char *)id->b, sizeof id->b);
}

void gate_id_print(const struct journal_id *id, char to[HEX_BYTES])
{
    hex_encode(to, id->b, ID_BYTES);
}

bool gate_id_parse(struct str text, struct journal_id *ret)
{
    return hex_decode(ret->b, ID_BYTES, text);
}

/* --- a gate in the journal --- */

static err_t pack(const struct gate_rules *rules, struct str show, uint32_t shard, struct buf *to)
{
    struct json_out o = json_out_to(to);

    json_open(&o, '{');
    json_member_str(&o, STR("channel"), rules->channel);
    json_member_u64(&o, STR("approvals"), rules->approvals);
    json_member_u64(&o, STR("shard"), shard);
    json_member_raw(&o, STR("show"), show);
    json_close(&o, '}');
    return to->n < to->max ? OK : fail(E_TOO_LARGE, "what a gate is to show has more than %zu bytes", to->max);
}

/* A decision's cause is a name, and perhaps a line more with the reason. */
static SUSPENDS err_t unpack(struct journal *j, const struct journal_record *r, struct arena *arena, struct gate *ret)
{
    struct str body = r->body.bytes, cause = r->cause;
    const struct json_tree *tree;
    int64_t approvals, shard;

    if (r->body.is_blob)
        TRY(journal_blob(j, r->body.sha256, arena, &body));
    TRY(json_tree_parse(arena, body, &tree));
    struct json_node all = json_tree_root(tree);
    if (!json_node_i64(json_node_get(all, STR("approvals")), &approvals) ||
        !json_node_i64(json_node_get(all, STR("shard")), &shard))
        return fail(E_IO, "a gate of node %.*s is damaged in the journal", STR_ARG(r->node));
    *ret = (struct gate){.id = r->id,
                         .pipeline = r->pipeline,
                         .node = r->node,
                         .channel = json_get_text(all, STR("channel"), arena),
                         .show = json_node_raw(json_node_get(all, STR("show"))),
                         .approvals = (unsigned)approvals,
                         .due = r->due,
                         .verdict = (enum gate_verdict)r->state,
                         .shard = (uint32_t)shard};
    ret->who = str_cut(&cause, '\n');
    ret->why = cause;
    return OK;
}

err_t gate_list(struct journal *j, struct str pipeline, uint64_t after, unsigned limit, struct arena *arena,
                struct gate_page *ret)
{
    const struct journal_query q = {.kind = JOURNAL_GATES, .r = {.pipeline = pipeline}, .after = after, .limit = limit};
    struct journal_page page;

    TRY(journal_read(j, &q, arena, &page));
    *ret = (struct gate_page){.gates = arena_alloc(arena, (page.count + 1) * sizeof *ret->gates), .next = page.next};
    for (size_t i = 0; i < page.count; i++)
        TRY(unpack(j, &page.records[i], arena, &ret->gates[ret->count++]));
    return OK;
}

static SUSPENDS err_t read_gate(struct journal *j, const struct journal_id *id, struct arena *arena,
                                const struct journal_record **ret)
{
    const struct journal_query q = {.kind = JOURNAL_GATE, .r = {.id = *id}, .limit = 1};
    struct journal_page page;

    TRY(journal_read(j, &q, arena, &page));
    *ret = page.count ? &page.records[0] : NULL;
    return OK;
}

err_t gate_find(struct journal *j, const struct journal_id *id, struct arena *arena, struct gate *ret)
{
    const struct journal_record *r;

    TRY(read_gate(j, id, arena, &r));
    return r ? unpack(j, r, arena, ret) : fail(E_NOT_FOUND, "nobody waits at a gate under this id");
}

/* --- votes --- */

/* "vote/<gate>/<hash of the name>" */
static struct str vote_key(struct arena *a, const struct journal_id *id, struct str who)
{
    char hex[HEX_BYTES], voter[2 * VOTER_BYTES];
    unsigned char hash[SHA256_BYTES];

    sha256_parts(&who, 1, hash);
    hex_encode(voter, hash, VOTER_BYTES);
    gate_id_print(id, hex);
    return arena_printf(a, "vote/%.*s/%.*s", HEX_BYTES, hex, who.n ? 2 * VOTER_BYTES : 0, voter);
}

static struct journal_record state_of(const struct gate *g, struct str key)
{
    return (struct journal_record){.pipeline = g->pipeline, .node = g->node, .shard = g->shard, .key = key};
}

/* The names of all votes for a gate. */
static SUSPENDS err_t read_votes(struct journal *j, const struct gate *g, struct arena *arena, struct str **ret,
                                 size_t *ret_count)
{
    struct journal_query q = {.kind = JOURNAL_STATES, .r = state_of(g, STR_NONE)};
    struct str of_gate = vote_key(arena, &g->id, STR_NONE);

    *ret = arena_alloc(arena, g->approvals * sizeof **ret);
    *ret_count = 0;
    do {
        struct journal_page page;
        TRY(journal_read(j, &q, arena, &page));
        for (size_t i = 0; i < page.count && *ret_count < g->approvals; i++)
            if (str_starts(page.records[i].key, of_gate))
                (*ret)[(*ret_count)++] = page.records[i].key;
        q.after = page.next;
    } while (q.after);
    return OK;
}

static err_t check_vote(const struct gate_vote *v, struct arena *arena)
{
    const struct json_tree *tree;

    if (!v->who.n || v->who.n > GATE_WHO_MAX || str_find_char(v->who, '\n') < v->who.n)
        return fail(E_PARSE, "who decides must be named, with at most %d bytes in one line", GATE_WHO_MAX);
    return v->changed.n ? json_tree_parse(arena, v->changed, &tree) : OK;
}

static struct str change_item(struct arena *a, struct str who)
{
    return arena_join(a, STR("changed/"), who);
}

/* The decision, with what goes on instead; and the votes go, which it was made of. */
static SUSPENDS err_t decide(struct journal *j, const struct gate *g, const struct gate_vote *v, struct arena *arena)
{
    struct str *votes;
    size_t vote_count, n = 0;

    TRY(read_votes(j, g, arena, &votes, &vote_count));
    struct journal_op *ops = arena_alloc(arena, (vote_count + 2) * sizeof *ops);
    if (v->changed.n && v->approves)
        ops[n++] = (struct journal_op){.kind = JOURNAL_STEP_PUT,
                                       .r = {.root = v->id,
                                             .node = change_item(arena, v->who),
                                             .at = rt_wall(),
                                             .body = {.form = BODY_GATE, .bytes = v->changed}}};
    ops[n++] = (struct journal_op){
        .kind = JOURNAL_GATE_DECIDE,
        .r = {.id = v->id,
              .state = v->approves ? GATE_APPROVED : GATE_REJECTED,
              .at = rt_wall(),
              .cause = arena_printf(arena, "%.*s%s%.*s", STR_ARG(v->who), v->why.n ? "\n" : "",
                                    STR_ARG(str_slice(v->why, 0, v->why.n < GATE_WHY_MAX ? v->why.n : GATE_WHY_MAX)))}};
    for (size_t i = 0; i < vote_count; i++)
        ops[n++] = (struct journal_op){.kind = JOURNAL_STATE_DELETE, .r = state_of(g, votes[i])};
    return journal_commit(j, ops, n, JOURNAL_SYNC);
}

/* One who agrees, where several must: are there enough with this one? */
static SUSPENDS err_t agree(struct journal *j, const struct gate *g, const struct gate_vote *v, struct arena *arena,
                            bool *ret_enough)
{
    struct journal_op op = {.kind = JOURNAL_STATE_PUT, .r = state_of(g, vote_key(arena, &v->id, v->who))};
    struct str *votes;
    size_t n;

    *ret_enough = g->approvals <= 1;
    if (*ret_enough)
        return OK;
    op.r.body = (struct journal_body){.form = BODY_GATE, .bytes = v->who};
    TRY(journal_commit(j, &op, 1, JOURNAL_SYNC));
    TRY(read_votes(j, g, arena, &votes, &n));
    *ret_enough = n >= g->approvals;
    return OK;
}

err_t gate_vote(struct journal *j, const struct gate_vote *v, enum gate_verdict *ret)
{
    struct arena arena CLEANUP(arena_release);
    struct gate g;
    bool is_enough = true;

    arena_init(&arena, 2 * (size_t)JOURNAL_PAGE_BYTES + 4 * (size_t)JOURNAL_BODY_MAX);
    TRY(check_vote(v, &arena));
    TRY(gate_find(j, &v->id, &arena, &g));
    if (g.verdict == GATE_OPEN) {
        if (v->approves)
            TRY(agree(j, &g, v, &arena, &is_enough));
        if (is_enough)
            TRY(decide(j, &g, v, &arena));
        TRY(gate_find(j, &v->id, &arena, &g)); /* another one may have been the first */
    }
    *ret = g.verdict;
    return OK;
}

/* --- the node's --- */

struct gates {
    const struct gate_rules *rules;
    struct keyed *ends; /* of gates that are not decided, by id */
    struct journal_id *decided;
    size_t decided_count, decided_cap;
    uint64_t decisions; /* of the journal, when it was looked last */
    ns_t looked;
};

enum gate_verdict step_verdict(const struct step *s)
{
    return (enum gate_verdict)s->root->verdict;
}

static void note_decided(struct gates *s, struct str id)
{
    if (s->decided_count == s->decided_cap) {
        s->decided_cap = s->decided_cap ? 2 * s->decided_cap : 16;
        s->decided = mem_realloc(s->decided, s->decided_cap * sizeof *s->decided);
    }
    memcpy(s->decided[s->decided_count++].b, id.p, ID_BYTES);
}

static err_t take(struct keeper *k, void *state, struct step *step)
{
    struct gates *s = state;
    struct buf body CLEANUP(buf_release) = BUF_INIT(JOURNAL_BODY_MAX);
    struct expr_budget b = {step_arena(step), expr_limits_default.steps, JOURNAL_BODY_MAX / 2};
    struct message m = {.identity = id_str(&step->in->id), .key = step->root->key, .at = rt_wall()};
    struct expr_value shown;
    struct str show;

    TRY(step_eval(step, s->rules->show, &shown));
    TRY(value_to_json(&b, shown, &show));
    TRY(value_to_json(&b, step->in->value, &m.body));
    TRY(pack(s->rules, show, keeper_shard(k)->number, &body));
    const struct journal_id id = root_id(keeper_shard(k)->spec, keeper_node(k), &m);
    struct journal_op op = {.kind = JOURNAL_GATE_PUT,
                            .r = {.id = id,
                                  .root = id,
                                  .pipeline = keeper_shard(k)->spec->name,
                                  .node = keeper_node(k)->name,
                                  .due = m.at + s->rules->expires}};
    op.r.body = (struct journal_body){.form = BODY_GATE, .bytes = arena_str(keeper_arena(k), buf_str(&body))};
    keeper_root_put(k, id, &m);
    keeper_op(k, &op);
    keyed_put(s->ends, id_str(&id), op.r.due, STR_NONE);
    return OK;
}

/* Those whose time is over are decided by that, unless somebody was earlier. */
static void due(struct keeper *k, void *state, ns_t *ret_next)
{
    struct gates *s = state;
    int64_t now = rt_wall();
    struct str id;

    while (keeper_has_room(k) && keyed_drop(s->ends, now, &id)) {
        note_decided(s, id);
        const struct journal_op op = {.kind = JOURNAL_GATE_DECIDE,
                                      .r = {.id = s->decided[s->decided_count - 1], .state = GATE_EXPIRED, .at = now}};
        keeper_op(k, &op);
    }
    int64_t next = keyed_next(s->ends);
    *ret_next = next == INT64_MAX ? NS_NEVER : ns_add(rt_now(), ns_min(next > now ? next - now : 0, look_every));
}

/* A root that was decided begins with what stands in its place, and with a time of its own. */
static SUSPENDS err_t recall(struct root *r, struct arena *arena)
{
    const struct journal_record *gate;
    const struct json_tree *tree;

    TRY(read_gate(r->shard->journal, &r->id, arena, &gate));
    if (!gate)
        return fail(E_IO, "a record has come out of a gate without a question");
    struct str cause = gate->cause;
    r->verdict = (uint8_t)gate->state;
    root_set_time(r, gate->at);
    const struct recorded *changed = root_recorded(r, change_item(arena, str_cut(&cause, '\n')));
    if (!changed || gate->state != GATE_APPROVED)
        return OK;
    TRY(json_tree_parse(&r->arena, changed->outputs, &tree));
    r->message = expr_json(json_tree_root(tree));
    return OK;
}

static SUSPENDS err_t begin(struct keeper *k, const struct journal_record *root, struct arena *arena)
{
    return intake_begin_again(&keeper_shard(k)->intakes[keeper_node(k)->index], root, arena);
}

static SUSPENDS err_t read_root(struct journal *j, const struct journal_id *id, struct arena *arena,
                                const struct journal_record **ret)
{
    const struct journal_query q = {.kind = JOURNAL_ROOT, .r = {.id = *id}, .limit = 1};
    struct journal_page page;

    TRY(journal_read(j, &q, arena, &page));
    *ret = page.count && page.records[0].state == ROOT_OPEN ? &page.records[0] : NULL;
    return OK;
}

/* Votes that came too late to decide: of gates that expired. */
static SUSPENDS err_t forget_votes(struct keeper *k, const struct journal_record *gate, struct arena *arena)
{
    struct journal *j = keeper_shard(k)->journal;
    struct str *votes;
    struct gate g;
    size_t n;

    TRY(unpack(j, gate, arena, &g));
    if (g.verdict != GATE_EXPIRED || g.approvals == 1)
        return OK;
    TRY(read_votes(j, &g, arena, &votes, &n));
    for (size_t i = 0; i < n; i++) {
        struct journal_op op = {.kind = JOURNAL_STATE_DELETE, .r = state_of(&g, votes[i])};
        TRY(journal_commit(j, &op, 1, JOURNAL_SYNC));
    }
    return OK;
}

static SUSPENDS err_t begin_decided(struct keeper *k, struct gates *s)
{
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, SIZE_MAX);
    for (; s->decided_count; arena_clear(&arena)) {
        const struct journal_id id = s->decided[s->decided_count - 1];
        const struct journal_record *gate, *root = NULL;
        TRY(read_gate(keeper_shard(k)->journal, &id, &arena, &gate));
        if (gate)
            TRY(read_root(keeper_shard(k)->journal, &id, &arena, &root));
        if (root) {
            TRY(forget_votes(k, gate, &arena));
            TRY(begin(k, root, &arena));
        }
        s->decided_count--;
    }
    shard_pump(keeper_shard(k));
    return OK;
}

/* Which of those that wait here are not among the undecided ones? */
static SUSPENDS err_t find_decided(struct keeper *k, struct gates *s)
{
    struct journal_query q = {.kind = JOURNAL_GATES, .r = {.pipeline = keeper_shard(k)->spec->name}};
    struct arena arena CLEANUP(arena_release);
    struct keyed *still = keyed_new(SIZE_MAX);
    err_t e = OK;

    arena_init(&arena, SIZE_MAX);
    do {
        struct journal_page page;
        e = journal_read(keeper_shard(k)->journal, &q, &arena, &page);
        for (size_t i = 0; e == OK && i < page.count; i++)
            keyed_put(still, id_str(&page.records[i].id), INT64_MAX, STR_NONE);
        q.after = e == OK ? page.next : 0;
        arena_clear(&arena);
    } while (q.after);
    size_t before = s->decided_count;
    for (size_t i = 0; e == OK && i < keyed_count(s->ends); i++)
        if (!keyed_find(still, keyed_key(s->ends, i), 0, &(int64_t){0}, &(struct str){0}))
            note_decided(s, keyed_key(s->ends, i));
    for (size_t i = before; i < s->decided_count; i++)
        keyed_remove(s->ends, id_str(&s->decided[i]));
    keyed_free(still);
    return e;
}

static SUSPENDS err_t look(struct keeper *k, void *state)
{
    struct gates *s = state;
    uint64_t decisions = journal_decisions(keeper_shard(k)->journal);

    if (decisions != s->decisions && keyed_count(s->ends) && rt_now() >= ns_add(s->looked, look_every)) {
        TRY(find_decided(k, s));
        s->decisions = decisions;
        s->looked = rt_now();
    }
    return s->decided_count ? begin_decided(k, s) : OK;
}

/* --- life --- */

/* Its time was over while nobody was there to see it. The first decision stands, so that may be another one. */
static SUSPENDS err_t expire(struct journal *j, struct arena *arena, const struct journal_record **gate)
{
    struct journal_op op = {.kind = JOURNAL_GATE_DECIDE,
                            .r = {.id = (*gate)->id, .state = GATE_EXPIRED, .at = rt_wall()}};

    TRY(journal_commit(j, &op, 1, JOURNAL_SYNC));
    return read_gate(j, &op.r.id, arena, gate);
}

/* One that only finishes leaves other versions' alone. A version in a blob may be its own. */
static bool is_for_other(const struct shard *s, const struct journal_record *root)
{
    return s->only_finishes && !root->body.is_blob && message_version(root->body.bytes) != s->digest;
}

static SUSPENDS err_t resume_one(struct keeper *k, struct gates *s, const struct journal_record *root,
                                 struct arena *arena)
{
    struct journal *j = keeper_shard(k)->journal;
    const struct journal_record *gate;

    if (is_for_other(keeper_shard(k), root))
        return OK;
    TRY(read_gate(j, &root->id, arena, &gate));
    if (gate && gate->state == GATE_OPEN && gate->due <= rt_wall())
        TRY(expire(j, arena, &gate));
    if (!gate)
        return fail(E_IO, "a record waits at the gate %.*s without a question", STR_ARG(keeper_node(k)->name));
    if (gate->state != GATE_OPEN)
        return begin(k, root, arena);
    keyed_put(s->ends, id_str(&root->id), gate->due, STR_NONE);
    return OK;
}

static SUSPENDS err_t resume(struct keeper *k, void *state)
{
    struct shard *shard = keeper_shard(k);
    struct journal_query q = {
        .kind = JOURNAL_ROOTS,
        .r = {.pipeline = shard->spec->name, .source = keeper_node(k)->name, .partition = shard->number}};
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, SIZE_MAX);
    do {
        struct journal_page page;
        TRY(journal_read(shard->journal, &q, &arena, &page));
        for (size_t i = 0; i < page.count; i++)
            TRY(resume_one(k, state, &page.records[i], &arena));
        q.after = page.next;
        arena_clear(&arena);
    } while (q.after);
    return OK;
}

static SUSPENDS err_t open_gates(struct keeper *k, void **ret_state)
{
    struct gates *s = NEW(struct gates);

    s->rules = keeper_node(k)->config;
    s->ends = keyed_new(SIZE_MAX);
    s->decisions = journal_decisions(keeper_shard(k)->journal);
    *ret_state = s;
    return OK;
}

static int64_t rests_until(const void *state)
{
    const struct gates *s = state;

    return keyed_next(s->ends);
}

static void close_gates(void *state)
{
    struct gates *s = state;

    keyed_free(s->ends);
    mem_free(s->decided);
    mem_free(s);
}

const struct absorb_run gates_run = {.open = open_gates,
                                     .resume = resume,
                                     .recall = recall,
                                     .take = take,
                                     .due = due,
                                     .after = look,
                                     .rests_until = rests_until,
                                     .close = close_gates};
