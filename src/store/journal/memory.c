/*
 * memory.c - a journal in memory: for pipelines that need none, and for simulated crashes.
 *
 * The idea: a table is a map from key to row and the rows in the order in which they came. Whatever an operation does is a row put in the place of
 * another, or of none; a commit keeps what it replaced until it has come about, and puts it back if an operation fails.
 *
 * Real loops share it under a lock, and a commit has come about at once. In simulation a synchronous commit takes a drawn while, and asynchronous ones
 * wait for the next synchronous one, or for a read; journal_memory_crash() forgets what waits and fails what is under way.
 *
 * Invariants: a row's number only grows with its coming; the same row in `slots`, in `keys`, and among the family of its root. A blob has as
 * many references as there are rows with it.
 *
 * What it does not do: keep its size within bounds (who uses it bounds what is under way); be fast at listing, which looks through a table.
 */
#include "base/bytes.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "rt/lock.h"
#include "rt/loop.h"
#include "store/journal_int.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

enum table_kind { PLACES, ROOTS, STEPS, EFFECTS, INTENTS, STATES, TIMERS, GATES, DEADS, TRACES, TABLES };

/* A root and what it has: steps, effects, gates. */
struct family {
    struct list members;
    unsigned rows; /* that point here */
};

struct row {
    uint64_t k; /* its number; 0: not in the table yet */
    enum table_kind table;
    struct str key;
    struct journal_record r; /* its texts are in this block, a blob's bytes are not */
    struct family *family;   /* of roots and what they have, else NULL              */
    struct list of_family;   /* of what roots have                                  */
};

struct slot {
    uint64_t k;
    struct row *row; /* NULL: gone */
};

struct table {
    struct map keys;
    struct slot *slots; /* by k */
    size_t count, cap, gone;
    uint64_t last;
};

struct blob {
    unsigned refs;
    unsigned char sha256[SHA256_BYTES];
    struct str bytes;
};

/* One thing that the commit under way has done. */
struct change {
    struct row *old, *now;
};

struct memory {
    struct journal base;
    struct lock *lock;
    struct journal_options options;
    struct table tables[TABLES];
    struct map blobs; /* by hash */
    struct change *changes;
    size_t change_count, change_cap;
    /* Simulation: commits that nobody has waited for yet, oldest first, and how often everything under way was forgotten. */
    struct queued {
        struct queued *next;
        struct journal_copy *copy;
    } *queue, **queue_end;
    size_t queued_bytes;
    unsigned crashes;
    bool is_stopped; /* everything fails */
};

static struct memory *memory_of(struct journal *j)
{
    return CONTAINER_OF(j, struct memory, base);
}

/* ---- rows ---- */

enum { KEY_MAX = 2 * JOURNAL_NAME_MAX + JOURNAL_KEY_MAX + 32 };

struct key {
    char bytes[KEY_MAX];
    size_t n;
};

static void key_add(struct key *k, struct str s)
{
    assert(s.n <= sizeof k->bytes - k->n);
    if (s.n)
        memcpy(k->bytes + k->n, s.p, s.n);
    k->n += s.n;
}

/* A text of any length, so that no two keys of different texts are the same. */
static void key_add_text(struct key *k, struct str s)
{
    char n[2];

    be16_put(n, (uint16_t)s.n);
    key_add(k, str_of(n, sizeof n));
    key_add(k, s);
}

static void key_add_number(struct key *k, uint32_t v)
{
    char n[4];

    be32_put(n, v);
    key_add(k, str_of(n, sizeof n));
}

/* What tells a row of the table from the others. */
static struct key key_of(enum table_kind table, const struct journal_record *r)
{
    struct key k = {.n = 0};

    switch (table) {
    case PLACES:
        key_add_text(&k, r->pipeline);
        key_add_text(&k, r->source);
        key_add_number(&k, r->partition);
        break;
    case STEPS:
        key_add(&k, journal_id_str(&r->root));
        key_add_number(&k, r->index);
        key_add(&k, r->node);
        break;
    case EFFECTS:
        key_add(&k, journal_id_str(&r->root));
        key_add(&k, journal_id_str(&r->id));
        break;
    case INTENTS:
    case STATES:
    case TIMERS:
        key_add_text(&k, r->pipeline);
        key_add_text(&k, r->node);
        key_add_number(&k, r->shard);
        key_add(&k, table == INTENTS ? STR_NONE : r->key);
        break;
    case ROOTS:
    case GATES:
    case DEADS:
    case TRACES:
        key_add(&k, journal_id_str(&r->id));
        break;
    case TABLES:
        break;
    }
    return k;
}

static struct str put_text(char **at, struct str s)
{
    struct str copy = str_of(*at, s.n);

    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return copy;
}

static struct row *row_new(enum table_kind table, const struct journal_record *r)
{
    struct key key = key_of(table, r);
    struct str body = r->body.is_blob ? STR_NONE : r->body.bytes;
    size_t n = key.n + r->pipeline.n + r->source.n + r->node.n + r->key.n + r->cause.n + body.n;
    struct row *row = mem_alloc(sizeof *row + n);
    char *at = (char *)(row + 1);

    *row = (struct row){.table = table, .r = *r};
    row->key = put_text(&at, str_of(key.bytes, key.n));
    row->r.pipeline = put_text(&at, r->pipeline);
    row->r.source = put_text(&at, r->source);
    row->r.node = put_text(&at, r->node);
    row->r.key = put_text(&at, r->key);
    row->r.cause = put_text(&at, r->cause);
    row->r.body.bytes = put_text(&at, body);
    return row;
}

static void row_join(struct row *row, struct family *f)
{
    row->family = f;
    f->rows++;
}

static void row_free(struct row *row)
{
    if (row->family && --row->family->rows == 0)
        mem_free(row->family);
    mem_free(row);
}

static struct row *find(const struct memory *m, enum table_kind table, const struct journal_record *r)
{
    struct key key = key_of(table, r);
    return map_get(&m->tables[table].keys, str_of(key.bytes, key.n));
}

/* ---- tables ---- */

/* Index of the first slot behind number `k`. */
static size_t slot_after(const struct table *t, uint64_t k)
{
    size_t low = 0, high = t->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (t->slots[middle].k <= k)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void slot_set(struct table *t, uint64_t k, struct row *row)
{
    struct slot *s = &t->slots[slot_after(t, k) - 1];

    assert(s->k == k);
    t->gone += (s->row != NULL) - (size_t)(row != NULL);
    s->row = row;
}

static void slot_append(struct table *t, struct row *row)
{
    if (t->count == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 64;
        t->slots = mem_realloc(t->slots, t->cap * sizeof *t->slots);
    }
    row->k = ++t->last;
    t->slots[t->count++] = (struct slot){.k = row->k, .row = row};
}

/* Take gaps off the end, and close the others when they are half of it. Between commits only, as one that fails puts rows back into them. */
static void compact(struct table *t)
{
    size_t left = 0;

    while (t->count && !t->slots[t->count - 1].row) {
        t->count--;
        t->gone--;
    }
    t->last = t->count ? t->slots[t->count - 1].k : 0;
    if (t->gone * 2 <= t->count)
        return;
    for (size_t i = 0; i < t->count; i++)
        if (t->slots[i].row)
            t->slots[left++] = t->slots[i];
    t->count = left;
    t->gone = 0;
}

static void refer(struct memory *m, const struct row *row, int by)
{
    if (!row || !row->r.body.is_blob)
        return;
    struct blob *b = map_get(&m->blobs, str_of((const char *)row->r.body.sha256, SHA256_BYTES));
    b->refs += (unsigned)by;
}

/* Put `now` in the place of `old`; either may be NULL. */
static void exchange(struct memory *m, struct row *old, struct row *now)
{
    struct table *t = &m->tables[now ? now->table : old->table];

    refer(m, now, 1);
    refer(m, old, -1);
    if (old) {
        (void)map_remove(&t->keys, old->key);
        list_remove(&old->of_family);
    }
    if (now) {
        (void)map_put(&t->keys, now->key, now);
        if (now->family && now->table != ROOTS)
            list_push_back(&now->family->members, &now->of_family);
    }
    if (old && now)
        now->k = old->k;
    if (now && !now->k)
        slot_append(t, now);
    else
        slot_set(t, now ? now->k : old->k, now);
}

static void change(struct memory *m, struct row *old, struct row *now)
{
    exchange(m, old, now);
    if (m->change_count == m->change_cap) {
        m->change_cap = m->change_cap ? 2 * m->change_cap : 64;
        m->changes = mem_realloc(m->changes, m->change_cap * sizeof *m->changes);
    }
    m->changes[m->change_count++] = (struct change){.old = old, .now = now};
}

static void drop_blob(struct memory *m, const struct row *row)
{
    if (!row->r.body.is_blob)
        return;
    struct str hash = str_of((const char *)row->r.body.sha256, SHA256_BYTES);
    struct blob *b = map_get(&m->blobs, hash);
    if (!b || b->refs)
        return;
    (void)map_remove(&m->blobs, hash);
    mem_free(b);
}

static void end_commit(struct memory *m, bool came_about)
{
    for (size_t i = m->change_count; !came_about && i-- > 0;)
        exchange(m, m->changes[i].now, m->changes[i].old);
    for (size_t i = 0; i < m->change_count; i++) {
        struct row *gone = came_about ? m->changes[i].old : m->changes[i].now;
        if (!gone)
            continue;
        drop_blob(m, gone);
        row_free(gone);
    }
    m->change_count = 0;
    for (unsigned i = 0; i < TABLES; i++)
        compact(&m->tables[i]);
}

/* ---- operations ---- */

static err_t keep_blob(struct memory *m, const struct journal_body *b)
{
    struct str hash = str_of((const char *)b->sha256, SHA256_BYTES);

    if (!b->is_blob || map_get(&m->blobs, hash))
        return OK;
    if (!b->bytes.n)
        return fail(E_NOT_FOUND, "an operation of the journal refers to a blob that the journal does not have");
    struct blob *kept = mem_alloc(sizeof *kept + b->bytes.n);
    *kept = (struct blob){.bytes = str_of((char *)(kept + 1), b->bytes.n)};
    memcpy(kept->sha256, b->sha256, SHA256_BYTES);
    memcpy(kept + 1, b->bytes.p, b->bytes.n);
    (void)map_put(&m->blobs, str_of((const char *)kept->sha256, SHA256_BYTES), kept);
    return OK;
}

/* A new row, in the place of one with the same key. */
static err_t put(struct memory *m, enum table_kind table, const struct journal_record *r, struct family *f)
{
    TRY(keep_blob(m, &r->body));
    struct row *row = row_new(table, r);
    if (f)
        row_join(row, f);
    change(m, find(m, table, r), row);
    return OK;
}

/* The same row with other numbers: a copy in its place, for the caller to change. */
static struct row *renew(struct memory *m, struct row *old)
{
    struct row *row = row_new(old->table, &old->r);

    if (old->family)
        row_join(row, old->family);
    change(m, old, row);
    return row;
}

static void remove_row(struct memory *m, struct row *row)
{
    if (row)
        change(m, row, NULL);
}

static struct row *root_of(const struct memory *m, const struct journal_id *id)
{
    return find(m, ROOTS, &(struct journal_record){.id = *id});
}

static err_t need_root(const struct memory *m, const struct journal_id *id, struct row **ret)
{
    *ret = root_of(m, id);
    return *ret ? OK : fail(E_NOT_FOUND, "the journal does not have that root under way");
}

/* The place that a root or a fence names, or NULL. */
static struct row *place_of(const struct memory *m, const struct journal_record *r)
{
    return find(m, PLACES, r);
}

static struct journal_record place_record(const struct journal_record *r, uint64_t epoch)
{
    return (struct journal_record){
        .pipeline = r->pipeline, .source = r->source, .partition = r->partition, .epoch = epoch};
}

static err_t root_put(struct memory *m, struct journal_op *op)
{
    struct journal_record r = op->r, place = place_record(&op->r, 0);

    if (root_of(m, &r.id) || find(m, TRACES, &r)) {
        op->outcome = JOURNAL_WAS_THERE;
        return OK;
    }
    if (!place_of(m, &r))
        TRY(put(m, PLACES, &place, NULL));
    struct family *f = NEW(struct family);
    list_init(&f->members);
    r.state = ROOT_OPEN;
    r.count = 0;
    err_t e = put(m, ROOTS, &r, f);
    if (e != OK)
        mem_free(f);
    return e;
}

static void purge_root(struct memory *m, struct row *root)
{
    LIST_EACH(node, next, &root->family->members)
        remove_row(m, CONTAINER_OF(node, struct row, of_family));
    remove_row(m, root);
}

static struct row *first_row(const struct table *t)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->slots[i].row)
            return t->slots[i].row;
    return NULL;
}

enum { SWEPT_AT_ONCE = 4 };

static void sweep_traces(struct memory *m, int64_t now)
{
    const struct table *t = &m->tables[TRACES];

    for (int i = 0; i < SWEPT_AT_ONCE; i++) {
        struct row *oldest = first_row(t);
        bool is_old = oldest && m->options.trace_age != NS_NEVER && oldest->r.at < now - m->options.trace_age;
        if (!oldest || (!is_old && t->last - oldest->k < m->options.traces_max))
            return;
        remove_row(m, oldest);
    }
}

static bool has_dead(const struct memory *m, const struct journal_id *root)
{
    const struct table *t = &m->tables[DEADS];

    for (size_t i = 0; i < t->count; i++)
        if (t->slots[i].row && memcmp(t->slots[i].row->r.root.b, root->b, sizeof root->b) == 0)
            return true;
    return false;
}

static err_t root_done(struct memory *m, struct journal_op *op)
{
    const struct journal_record *r = &op->r;
    struct row *root = root_of(m, &r->id);

    if (!root || root->r.state != ROOT_OPEN) {
        op->outcome = JOURNAL_WAS_GONE;
        return OK;
    }
    if (r->body.bytes.n || r->body.is_blob) {
        struct journal_record trace = {.id = r->id, .pipeline = r->pipeline, .at = r->at, .body = r->body};
        TRY(put(m, TRACES, &trace, NULL));
        sweep_traces(m, r->at);
    }
    if (has_dead(m, &r->id))
        renew(m, root)->r.state = ROOT_PARKED;
    else
        purge_root(m, root);
    return OK;
}

static err_t restarted(struct memory *m, struct journal_op *op)
{
    struct row *root = root_of(m, &op->r.id);

    if (!root || root->r.state != ROOT_OPEN) {
        op->outcome = JOURNAL_WAS_GONE;
        return OK;
    }
    struct journal_record *r = &renew(m, root)->r;
    r->count = op->r.state != RESTART_HARMLESS ? r->count + 1 : r->count > 1 ? 1 : r->count;
    return OK;
}

static err_t root_reopen(struct memory *m, struct journal_op *op)
{
    struct row *root = root_of(m, &op->r.id);

    if (!root || root->r.state != ROOT_PARKED) {
        op->outcome = JOURNAL_WAS_GONE;
        return OK;
    }
    root = renew(m, root);
    root->r.state = ROOT_OPEN;
    root->r.due = op->r.due;
    root->r.count = 0;
    return OK;
}

static err_t put_of_root(struct memory *m, const struct journal_record *r, enum table_kind table)
{
    struct row *root;

    TRY(need_root(m, &r->root, &root));
    return put(m, table, r, root->family);
}

static err_t fenced(const struct journal_record *r)
{
    return fail(E_FENCED, "another owner has taken over %.*s/%.*s/%" PRIu32 ": epoch %" PRIu64 " has passed",
                STR_ARG(r->pipeline), STR_ARG(r->source), r->partition, r->epoch);
}

static err_t progress_put(struct memory *m, const struct journal_record *r)
{
    const struct row *place = place_of(m, r);
    struct journal_record now = place_record(r, r->epoch);

    if (place && r->epoch < place->r.epoch)
        return fenced(r);
    now.body = r->body;
    return put(m, PLACES, &now, NULL);
}

static err_t progress_claim(struct memory *m, struct journal_op *op)
{
    struct row *place = place_of(m, &op->r);
    struct journal_record first = place_record(&op->r, 1);

    if (place)
        place = renew(m, place);
    else
        TRY(put(m, PLACES, &first, NULL));
    op->r.epoch = place ? ++place->r.epoch : 1;
    return OK;
}

static err_t fence(const struct memory *m, const struct journal_record *r)
{
    const struct row *place = place_of(m, r);
    return r->epoch == (place ? place->r.epoch : 0) ? OK : fenced(r);
}

static err_t intent_fenced(const struct journal_record *r)
{
    return fail(E_FENCED, "another owner has taken over sink %.*s/%.*s/%" PRIu32 ": batch %" PRIu64 " does not follow",
                STR_ARG(r->pipeline), STR_ARG(r->node), r->shard, r->seq);
}

static err_t intent_put(struct memory *m, const struct journal_record *r)
{
    const struct row *last = find(m, INTENTS, r);
    struct journal_record now = *r;

    if (last && r->seq != last->r.seq + (last->r.state == INTENT_APPLIED))
        return intent_fenced(r);
    now.state = INTENT_OPEN;
    return put(m, INTENTS, &now, NULL);
}

static err_t intent_done(struct memory *m, const struct journal_record *r)
{
    const struct row *last = find(m, INTENTS, r);
    struct journal_record now = *r;

    if (!last || last->r.seq != r->seq)
        return intent_fenced(r);
    now.state = INTENT_APPLIED;
    now.body = (struct journal_body){0};
    return put(m, INTENTS, &now, NULL);
}

static err_t delete_keyed(struct memory *m, struct journal_op *op, enum table_kind table)
{
    struct row *row = find(m, table, &op->r);

    if (!row)
        op->outcome = JOURNAL_WAS_GONE;
    remove_row(m, row);
    return OK;
}

static err_t gate_put(struct memory *m, struct journal_op *op)
{
    if (find(m, GATES, &op->r)) {
        op->outcome = JOURNAL_WAS_THERE;
        return OK;
    }
    struct journal_record r = op->r;
    r.state = 0;
    r.at = 0;
    r.cause = STR_NONE;
    return put_of_root(m, &r, GATES);
}

static err_t gate_decide(struct memory *m, struct journal_op *op)
{
    struct row *gate = find(m, GATES, &op->r);

    assert(op->r.state != 0);
    if (!gate || gate->r.state) {
        op->outcome = gate ? JOURNAL_WAS_THERE : JOURNAL_WAS_GONE;
        return OK;
    }
    struct journal_record decided = gate->r;
    decided.state = op->r.state;
    decided.at = op->r.at;
    decided.cause = op->r.cause;
    return put(m, GATES, &decided, gate->family);
}

static void remove_dead(struct memory *m, struct row *dead)
{
    struct journal_id id = dead->r.root;

    remove_row(m, dead);
    struct row *root = root_of(m, &id);
    if (root && root->r.state == ROOT_PARKED && !has_dead(m, &id))
        purge_root(m, root);
}

static err_t dead_put(struct memory *m, struct journal_op *op)
{
    struct journal_record r = op->r;

    if (find(m, DEADS, &r)) {
        op->outcome = JOURNAL_WAS_THERE;
        return OK;
    }
    r.count = 0;
    r.due = 0;
    TRY(put(m, DEADS, &r, NULL));
    for (int i = 0; i < SWEPT_AT_ONCE && m->options.dead_age != NS_NEVER; i++) {
        struct row *oldest = first_row(&m->tables[DEADS]);
        if (!oldest || oldest->r.at >= r.at - m->options.dead_age)
            break;
        remove_dead(m, oldest);
    }
    return OK;
}

static err_t dead_change(struct memory *m, struct journal_op *op)
{
    struct row *dead = find(m, DEADS, &op->r);

    if (!dead) {
        op->outcome = JOURNAL_WAS_GONE;
    } else if (op->kind == JOURNAL_DEAD_DELETE) {
        remove_dead(m, dead);
    } else {
        dead = renew(m, dead);
        dead->r.count++;
        dead->r.due = op->r.at;
    }
    return OK;
}

static err_t apply(struct memory *m, struct journal_op *op)
{
    op->outcome = JOURNAL_CAME_ABOUT;
    switch (op->kind) {
    case JOURNAL_ROOT_PUT:
        return root_put(m, op);
    case JOURNAL_ROOT_DONE:
        return root_done(m, op);
    case JOURNAL_RESTARTED:
        return restarted(m, op);
    case JOURNAL_ROOT_REOPEN:
        return root_reopen(m, op);
    case JOURNAL_STEP_PUT:
        return put_of_root(m, &op->r, STEPS);
    case JOURNAL_EFFECT_PUT:
        return put_of_root(m, &op->r, EFFECTS);
    case JOURNAL_PROGRESS_PUT:
        return progress_put(m, &op->r);
    case JOURNAL_PROGRESS_CLAIM:
        return progress_claim(m, op);
    case JOURNAL_FENCE:
        return fence(m, &op->r);
    case JOURNAL_INTENT_PUT:
        return intent_put(m, &op->r);
    case JOURNAL_INTENT_DONE:
        return intent_done(m, &op->r);
    case JOURNAL_STATE_PUT:
        return put(m, STATES, &op->r, NULL);
    case JOURNAL_STATE_DELETE:
        return delete_keyed(m, op, STATES);
    case JOURNAL_TIMER_PUT:
        return put(m, TIMERS, &op->r, NULL);
    case JOURNAL_TIMER_DELETE:
        return delete_keyed(m, op, TIMERS);
    case JOURNAL_GATE_PUT:
        return gate_put(m, op);
    case JOURNAL_GATE_DECIDE:
        return gate_decide(m, op);
    case JOURNAL_DEAD_PUT:
        return dead_put(m, op);
    case JOURNAL_DEAD_DELETE:
    case JOURNAL_DEAD_REPLAYED:
        return dead_change(m, op);
    case JOURNAL_OP_KINDS:
        break;
    }
    assert(!"an operation of no kind");
    return OK;
}

/* ---- commits ---- */

static err_t apply_all(struct memory *m, struct journal_op *ops, size_t n)
{
    err_t e = OK;

    for (size_t i = 0; e == OK && i < n; i++)
        e = apply(m, &ops[i]);
    end_commit(m, e == OK);
    return e;
}

static void apply_queue(struct memory *m)
{
    while (m->queue) {
        struct queued *q = m->queue;
        m->queue = q->next;
        err_t e = apply_all(m, q->copy->ops, q->copy->n);
        if (e != OK)
            journal_note_failure(&m->base, e);
        mem_free(q->copy);
        mem_free(q);
    }
    m->queue_end = &m->queue;
    m->queued_bytes = 0;
}

static void enqueue(struct memory *m, const struct journal_op *ops, size_t n)
{
    struct queued *q = NEW(struct queued);

    q->copy = journal_copy_ops(ops, n);
    m->queued_bytes += q->copy->bytes;
    *m->queue_end = q;
    m->queue_end = &q->next;
}

/* Simulation: as long as a disk takes. */
static SUSPENDS err_t take_a_while(const struct memory *m)
{
    const struct seams *s = loop_seams();
    unsigned crashes = m->crashes;

    if (!s->simulated)
        return OK;
    TRY(fiber_sleep_until(rt_now() + s->job_delay(s->ctx)));
    return crashes == m->crashes && !m->is_stopped ? OK : fail(E_IO, "the journal has crashed");
}

static SUSPENDS err_t commit(struct journal *j, struct journal_op *ops, size_t n, enum journal_durability durability)
{
    struct memory *m = memory_of(j);

    if (durability == JOURNAL_ASYNC && loop_seams()->simulated && m->queued_bytes <= JOURNAL_QUEUE_MAX) {
        enqueue(m, ops, n);
        return OK;
    }
    TRY(take_a_while(m));
    lock_take(m->lock);
    apply_queue(m);
    err_t e = apply_all(m, ops, n);
    lock_give(m->lock);
    return e;
}

void journal_memory_crash(struct journal *j)
{
    struct memory *m = memory_of(j);

    m->crashes++;
    while (m->queue) {
        struct queued *q = m->queue;
        m->queue = q->next;
        mem_free(q->copy);
        mem_free(q);
    }
    m->queue_end = &m->queue;
    m->queued_bytes = 0;
}

void journal_memory_stop(struct journal *j, bool is_stopped)
{
    memory_of(j)->is_stopped = is_stopped;
}

/* ---- reads ---- */

static bool is_or_none(struct str wanted, struct str s)
{
    return wanted.n == 0 || str_eq(wanted, s);
}

static bool is_of_place(const struct journal_record *wanted, const struct journal_record *r)
{
    bool is_any = wanted->partition == JOURNAL_ANY_PARTITION;

    return (is_any || wanted->partition == r->partition) && str_eq(wanted->pipeline, r->pipeline) &&
           str_eq(wanted->source, r->source);
}

/* Does the row belong to the answer? */
static bool matches(const struct journal_query *q, const struct journal_record *r)
{
    switch (q->kind) {
    case JOURNAL_ROOTS:
        return r->state == ROOT_OPEN && is_of_place(&q->r, r);
    case JOURNAL_INTENTS:
        return str_eq(q->r.pipeline, r->pipeline);
    case JOURNAL_STATES:
        return q->r.shard == r->shard && str_eq(q->r.pipeline, r->pipeline) && str_eq(q->r.node, r->node);
    case JOURNAL_TIMERS:
        return q->r.shard == r->shard && str_eq(q->r.pipeline, r->pipeline) && r->due <= q->r.due;
    case JOURNAL_GATES:
        return r->state == 0 && is_or_none(q->r.pipeline, r->pipeline);
    case JOURNAL_DEADS:
        return is_or_none(q->r.pipeline, r->pipeline) && is_or_none(q->r.cause, r->cause) &&
               is_or_none(q->r.node, r->node);
    case JOURNAL_DEADS_OF:
        return memcmp(q->r.root.b, r->root.b, sizeof r->root.b) == 0;
    case JOURNAL_DEAD_GROUPS:
    case JOURNAL_TRACES:
        return is_or_none(q->r.pipeline, r->pipeline);
    case JOURNAL_STEPS:
    case JOURNAL_EFFECTS:
    case JOURNAL_ROOT:
    case JOURNAL_EFFECT:
    case JOURNAL_PROGRESS:
    case JOURNAL_GATE:
    case JOURNAL_DEAD:
    case JOURNAL_TRACE:
    case JOURNAL_QUERY_KINDS:
        break;
    }
    return true;
}

static const enum table_kind tables[JOURNAL_QUERY_KINDS] = {
    [JOURNAL_ROOT] = ROOTS,      [JOURNAL_ROOTS] = ROOTS,     [JOURNAL_STEPS] = STEPS,       [JOURNAL_EFFECT] = EFFECTS,
    [JOURNAL_EFFECTS] = EFFECTS, [JOURNAL_PROGRESS] = PLACES, [JOURNAL_INTENTS] = INTENTS,   [JOURNAL_STATES] = STATES,
    [JOURNAL_TIMERS] = TIMERS,   [JOURNAL_GATE] = GATES,      [JOURNAL_GATES] = GATES,       [JOURNAL_DEAD] = DEADS,
    [JOURNAL_DEADS] = DEADS,     [JOURNAL_DEADS_OF] = DEADS,  [JOURNAL_DEAD_GROUPS] = DEADS, [JOURNAL_TRACE] = TRACES,
    [JOURNAL_TRACES] = TRACES,
};

/* Rows that an answer is made of, in the order in which they came. */
struct rows {
    struct row **rows;
    size_t count;
};

static int by_number(const void *a, const void *b)
{
    const struct row *x = *(struct row *const *)a, *y = *(struct row *const *)b;
    return x->k < y->k ? -1 : x->k > y->k;
}

static int by_due(const void *a, const void *b)
{
    const struct row *x = *(struct row *const *)a, *y = *(struct row *const *)b;
    return x->r.due != y->r.due ? (x->r.due < y->r.due ? -1 : 1) : by_number(a, b);
}

/* Steps and effects lie with their root. */
static struct rows of_root(const struct memory *m, const struct journal_query *q, struct arena *a)
{
    const struct row *root = root_of(m, &q->r.root);
    struct rows all = {0};

    if (!root)
        return all;
    all.rows = arena_alloc(a, (root->family->rows + 1) * sizeof(struct row *));
    LIST_EACH(node, next, &root->family->members) {
        struct row *row = CONTAINER_OF(node, struct row, of_family);
        if (row->table == tables[q->kind] && row->k > q->after)
            all.rows[all.count++] = row;
    }
    qsort(all.rows, all.count, sizeof *all.rows, by_number);
    return all;
}

static struct rows of_table(const struct memory *m, const struct journal_query *q, struct arena *a)
{
    const struct table *t = &m->tables[tables[q->kind]];
    size_t first = slot_after(t, q->after);
    struct rows all = {.rows = arena_alloc(a, (t->count - first + 1) * sizeof(struct row *))};

    for (size_t i = first; i < t->count; i++)
        if (t->slots[i].row && matches(q, &t->slots[i].row->r))
            all.rows[all.count++] = t->slots[i].row;
    if (q->kind == JOURNAL_TIMERS)
        qsort(all.rows, all.count, sizeof *all.rows, by_due);
    return all;
}

/* For a page of these rows: no more than there are, since it may stay in the memory of whoever asks. */
static struct journal_record *room_for(const struct journal_query *q, struct rows all, struct arena *a)
{
    size_t n = all.count < q->limit ? all.count : q->limit;

    return arena_alloc(a, (n + 1) * sizeof(struct journal_record));
}

static err_t copy_rows(const struct memory *m, const struct journal_query *q, struct rows all, struct arena *a,
                       struct journal_page *ret)
{
    size_t used = 0;

    ret->records = room_for(q, all, a);
    for (size_t i = 0; i < all.count; i++) {
        struct journal_record r = all.rows[i]->r;
        if (!journal_page_has_room(ret, q, &used, r.body.bytes.n)) {
            ret->next = all.rows[i - 1]->k;
            return OK;
        }
        if (tables[q->kind] == ROOTS)
            r.epoch = place_of(m, &r)->r.epoch;
        TRY(journal_copy_record(a, &r, &ret->records[ret->count]));
        ret->count++;
    }
    return OK;
}

static struct journal_record *group_of(struct journal_page *p, const struct journal_record *r)
{
    for (size_t i = 0; i < p->count; i++) {
        struct journal_record *g = &p->records[i];
        if (str_eq(g->pipeline, r->pipeline) && str_eq(g->cause, r->cause) && str_eq(g->node, r->node))
            return g;
    }
    return NULL;
}

static err_t gather_groups(const struct journal_query *q, struct rows all, struct arena *a, struct journal_page *ret)
{
    ret->records = room_for(q, all, a);
    for (size_t i = 0; i < all.count; i++) {
        const struct journal_record *r = &all.rows[i]->r;
        struct journal_record *g = group_of(ret, r);
        if (!g && ret->count == q->limit)
            continue;
        if (!g) {
            struct journal_record first = {
                .pipeline = r->pipeline, .cause = r->cause, .node = r->node, .at = r->at, .due = r->at};
            TRY(journal_copy_record(a, &first, &ret->records[ret->count]));
            g = &ret->records[ret->count++];
        }
        g->count++;
        g->at = r->at < g->at ? r->at : g->at;
        g->due = r->at > g->due ? r->at : g->due;
    }
    return OK;
}

static err_t gather(const struct memory *m, const struct journal_query *q, struct arena *a, struct journal_page *ret)
{
    struct row *one;

    if (q->kind == JOURNAL_STATES && q->r.key.n) {
        one = find(m, STATES, &q->r);
        return copy_rows(m, q, (struct rows){.rows = &one, .count = one != NULL}, a, ret);
    }
    switch (q->kind) {
    case JOURNAL_ROOT:
    case JOURNAL_EFFECT:
    case JOURNAL_PROGRESS:
    case JOURNAL_GATE:
    case JOURNAL_DEAD:
    case JOURNAL_TRACE:
        one = find(m, tables[q->kind], &q->r);
        return copy_rows(m, q, (struct rows){.rows = &one, .count = one != NULL}, a, ret);
    case JOURNAL_STEPS:
    case JOURNAL_EFFECTS:
        return copy_rows(m, q, of_root(m, q, a), a, ret);
    case JOURNAL_DEAD_GROUPS:
        return gather_groups(q, of_table(m, q, a), a, ret);
    case JOURNAL_ROOTS:
    case JOURNAL_INTENTS:
    case JOURNAL_STATES:
    case JOURNAL_TIMERS:
    case JOURNAL_GATES:
    case JOURNAL_DEADS:
    case JOURNAL_DEADS_OF:
    case JOURNAL_TRACES:
        return copy_rows(m, q, of_table(m, q, a), a, ret);
    case JOURNAL_QUERY_KINDS:
        break;
    }
    assert(!"a query of no kind");
    return OK;
}

static SUSPENDS err_t read_page(struct journal *j, const struct journal_query *q, struct arena *a,
                                struct journal_page *ret)
{
    struct memory *m = memory_of(j);

    TRY(take_a_while(m));
    lock_take(m->lock);
    apply_queue(m);
    err_t e = gather(m, q, a, ret);
    lock_give(m->lock);
    return e;
}

static err_t copy_blob(const struct memory *m, const unsigned char *sha256, struct arena *a, struct str *ret)
{
    const struct blob *b = map_get(&m->blobs, str_of((const char *)sha256, SHA256_BYTES));

    return b ? journal_copy_bytes(a, b->bytes, ret) : fail(E_NOT_FOUND, "the journal does not have that blob");
}

static SUSPENDS err_t read_blob(struct journal *j, const unsigned char *sha256, struct arena *a, struct str *ret)
{
    struct memory *m = memory_of(j);

    TRY(take_a_while(m));
    lock_take(m->lock);
    apply_queue(m);
    err_t e = copy_blob(m, sha256, a, ret);
    lock_give(m->lock);
    return e;
}

/* ---- life ---- */

static err_t open_journal(const struct journal_options *options, struct journal **ret)
{
    struct memory *m = NEW(struct memory);

    m->lock = lock_new();
    m->options = *options;
    m->queue_end = &m->queue;
    *ret = &m->base;
    return OK;
}

static void release_table(struct table *t)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->slots[i].row)
            row_free(t->slots[i].row);
    map_release(&t->keys);
    mem_free(t->slots);
}

static void close_journal(struct journal *j)
{
    struct memory *m = memory_of(j);
    struct str hash;
    void *b;

    apply_queue(m);
    for (unsigned i = 0; i < TABLES; i++)
        release_table(&m->tables[i]);
    for (size_t at = 0; map_next(&m->blobs, &at, &hash, &b);)
        mem_free(b);
    map_release(&m->blobs);
    lock_free(m->lock);
    mem_free(m->changes);
    mem_free(m);
}

const struct journal_kind journal_kind_memory = {
    .name = "memory",
    .open = open_journal,
    .close = close_journal,
    .commit = commit,
    .read = read_page,
    .blob = read_blob,
};
