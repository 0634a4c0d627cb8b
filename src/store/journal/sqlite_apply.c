/*
 * sqlite_apply.c - what each operation does to the tables. On the database's thread, within a transaction: an error undoes the whole commit.
 *
 * The idea: most operations are one statement that makes or replaces a row. The rest look first: a root that is here already is left alone, an intent
 * must follow the one before, the first answer of a gate counts.
 *
 * Old traces and dead letters go a few at a time, with each that comes: what is added pays for what is removed, and nothing has to be swept.
 */
#include "base/prng.h"
#include "store/journal/sqlite_int.h"

#include <assert.h>
#include <inttypes.h>
#include <zlib.h>

enum {
    PROBES_MAX =
        256, /* slots that are tried for a step; with JOURNAL_STEPS_MAX of them taken, one is free long before */
    SWEPT_AT_ONCE = 4,
};

/* ---- bodies ---- */

int64_t journal_body_sum(uint16_t form, struct str bytes)
{
    unsigned char head[2] = {(unsigned char)(form >> 8), (unsigned char)form};
    uLong sum = crc32(0, head, sizeof head);

    return (int64_t)crc32(sum, (const unsigned char *)bytes.p, (unsigned)bytes.n);
}

/* A body as columns. */
struct stored {
    struct sqlite_value form, sum, bytes, blob, size;
};
#define STORED(s) (s).form, (s).sum, (s).bytes, (s).blob, (s).size

/* The blob's row, made if it is new. */
static err_t put_blob(struct sqlite_journal *j, const struct journal_body *b, int64_t *ret_k)
{
    struct str hash = str_of((const char *)b->sha256, SHA256_BYTES);
    bool found;

    TRY(sqlite_number(j->db, SQL_BLOB_FIND, SQL_VALUES(SQL_BLOB(hash)), &found, ret_k));
    if (found)
        return OK;
    if (!b->bytes.n)
        return fail(E_NOT_FOUND, "an operation of the journal refers to a blob that the journal does not have");
    TRY(sqlite_change(j->db, SQL_BLOB_ADD, SQL_VALUES(SQL_BLOB(hash), SQL_INT(b->bytes.n)), NULL));
    *ret_k = sqlite_last_row(j->db);
    return sqlite_change(j->db, SQL_BLOB_ADD_BYTES, SQL_VALUES(SQL_INT(*ret_k), SQL_BLOB(b->bytes)), NULL);
}

static err_t put_body(struct sqlite_journal *j, const struct journal_body *b, struct stored *ret)
{
    int64_t blob;

    *ret = (struct stored){
        .form = SQL_INT(b->form), .sum = SQL_INT(0), .bytes = SQL_NULL, .blob = SQL_NULL, .size = SQL_INT(0)};
    if (b->is_blob) {
        TRY(put_blob(j, b, &blob));
        ret->blob = SQL_INT(blob);
        ret->size = SQL_INT(b->size);
    } else if (b->bytes.n) {
        ret->bytes = SQL_BLOB(b->bytes);
        ret->sum = SQL_INT(journal_body_sum(b->form, b->bytes));
    }
    return OK;
}

/* ---- small things ---- */

static struct sqlite_value id_value(const struct journal_id *id)
{
    return SQL_BLOB(journal_id_str(id));
}

static err_t find_id(struct sqlite_journal *j, enum journal_statement statement, const struct journal_id *id,
                     bool *ret_found, int64_t *ret)
{
    return sqlite_number(j->db, statement, SQL_VALUES(id_value(id)), ret_found, ret);
}

static err_t change_row(struct sqlite_journal *j, enum journal_statement statement, int64_t k)
{
    return sqlite_change(j->db, statement, SQL_VALUES(SQL_INT(k)), NULL);
}

/* A statement that changes the row that there is, if there is one. */
static void note_changed(struct journal_op *op, int changed)
{
    if (!changed)
        op->outcome = JOURNAL_WAS_GONE;
}

err_t journal_find_root(struct sqlite_journal *j, const struct journal_id *id, bool *ret_found, int64_t *ret_k)
{
    return find_id(j, SQL_ROOT_FIND, id, ret_found, ret_k);
}

/* Of what belongs to a root: E_NOT_FOUND without it. */
static err_t need_root(struct sqlite_journal *j, const struct journal_id *id, int64_t *ret_k)
{
    char hex[2 * sizeof id->b];
    bool found;

    TRY(journal_find_root(j, id, &found, ret_k));
    if (found)
        return OK;
    hex_encode(hex, id->b, sizeof id->b);
    return fail(E_NOT_FOUND, "the journal has no root %.*s under way", (int)sizeof hex, hex);
}

/* ---- roots ---- */

/* The root goes, with all it has. */
static err_t purge_root(struct sqlite_journal *j, int64_t k)
{
    int64_t first = k << SLOT_BITS, last = first | ((1 << SLOT_BITS) - 1);

    TRY(sqlite_change(j->db, SQL_STEPS_DELETE, SQL_VALUES(SQL_INT(first), SQL_INT(last)), NULL));
    TRY(sqlite_change(j->db, SQL_EFFECTS_DELETE, SQL_VALUES(SQL_INT(first), SQL_INT(last)), NULL));
    TRY(change_row(j, SQL_GATES_DELETE, k));
    TRY(change_row(j, SQL_RESTART_DELETE, k));
    return change_row(j, SQL_ROOT_DELETE, k);
}

static err_t place_of(struct sqlite_journal *j, const struct journal_record *r, int64_t *ret_k)
{
    bool found;

    TRY(sqlite_number(j->db, SQL_PLACE_FIND,
                      SQL_VALUES(SQL_TEXT(r->pipeline), SQL_TEXT(r->source), SQL_INT(r->partition)), &found, ret_k));
    if (found)
        return OK;
    TRY(sqlite_change(j->db, SQL_PLACE_ADD,
                      SQL_VALUES(SQL_TEXT(r->pipeline), SQL_TEXT(r->source), SQL_INT(r->partition)), NULL));
    *ret_k = sqlite_last_row(j->db);
    return OK;
}

static err_t root_put(struct sqlite_journal *j, struct journal_op *op)
{
    const struct journal_record *r = &op->r;
    bool is_here, is_over = false;
    struct stored body;
    int64_t k, place;

    TRY(journal_find_root(j, &r->id, &is_here, &k));
    if (!is_here)
        TRY(find_id(j, SQL_TRACE_FIND, &r->id, &is_over, &k));
    if (is_here || is_over) {
        op->outcome = JOURNAL_WAS_THERE;
        return OK;
    }
    TRY(place_of(j, r, &place));
    TRY(put_body(j, &r->body, &body));
    return sqlite_change(
        j->db, SQL_ROOT_ADD,
        SQL_VALUES(id_value(&r->id), SQL_INT(place), SQL_INT(r->seq), SQL_INT(r->at), SQL_INT(r->due), STORED(body)),
        NULL);
}

static err_t sweep_traces(struct sqlite_journal *j, int64_t now)
{
    int64_t oldest = j->trace_age == NS_NEVER ? INT64_MIN : now - j->trace_age, k;
    int64_t most = j->traces_max < INT64_MAX ? (int64_t)j->traces_max : INT64_MAX;
    bool found = true;

    for (int i = 0; i < SWEPT_AT_ONCE && found; i++) {
        TRY(sqlite_number(j->db, SQL_TRACE_OLDEST, SQL_VALUES(SQL_INT(oldest), SQL_INT(most)), &found, &k));
        if (found)
            TRY(change_row(j, SQL_TRACE_DELETE, k));
    }
    return OK;
}

static err_t trace_put(struct sqlite_journal *j, const struct journal_record *r)
{
    struct stored body;

    TRY(put_body(j, &r->body, &body));
    TRY(sqlite_change(j->db, SQL_TRACE_ADD,
                      SQL_VALUES(id_value(&r->id), SQL_TEXT(r->pipeline), SQL_INT(r->at), STORED(body)), NULL));
    return sweep_traces(j, r->at);
}

static err_t root_done(struct sqlite_journal *j, struct journal_op *op)
{
    const struct journal_record *r = &op->r;
    bool is_open, has_dead;
    int64_t k, dead;

    TRY(find_id(j, SQL_ROOT_FIND_OPEN, &r->id, &is_open, &k));
    if (!is_open) {
        op->outcome = JOURNAL_WAS_GONE;
        return OK;
    }
    if (r->body.bytes.n || r->body.is_blob) /* first, as it may refer to what the root has */
        TRY(trace_put(j, r));
    TRY(find_id(j, SQL_DEAD_OF_ROOT, &r->id, &has_dead, &dead));
    return has_dead ? change_row(j, SQL_ROOT_PARK, k) : purge_root(j, k);
}

static err_t restarted(struct sqlite_journal *j, struct journal_op *op)
{
    bool is_open;
    int64_t k;

    TRY(find_id(j, SQL_ROOT_FIND_OPEN, &op->r.id, &is_open, &k));
    note_changed(op, is_open);
    return is_open ? change_row(j, op->r.state == RESTART_HARMLESS ? SQL_RESTART_HARMLESS : SQL_RESTART_ADD, k) : OK;
}

static err_t root_reopen(struct sqlite_journal *j, struct journal_op *op)
{
    int changed;
    bool is_open;
    int64_t k;

    TRY(sqlite_change(j->db, SQL_ROOT_REOPEN, SQL_VALUES(SQL_INT(op->r.due), id_value(&op->r.id)), &changed));
    note_changed(op, changed);
    if (!changed)
        return OK;
    TRY(find_id(j, SQL_ROOT_FIND_OPEN, &op->r.id, &is_open, &k));
    return change_row(j, SQL_RESTART_DELETE, k);
}

/* ---- what roots have ---- */

/* The i-th slot that may have what has this hash. */
static int64_t slot(int64_t root, uint64_t hash, uint64_t i)
{
    return (root << SLOT_BITS) | (int64_t)((hash + i) & ((1U << SLOT_BITS) - 1));
}

/* Put a row whose first value is its slot: where the same thing is already, or in the next free one. The statement changes nothing
 * where something else is. */
static err_t put_in_slot(struct sqlite_journal *j, int64_t root, uint64_t hash, enum journal_statement statement,
                         struct sqlite_value *values, size_t n)
{
    int changed = 0;

    for (uint64_t i = 0; i < PROBES_MAX && !changed; i++) {
        values[0] = SQL_INT(slot(root, hash, i));
        TRY(sqlite_change(j->db, statement, values, n, &changed));
    }
    if (!changed)
        return fail(E_TOO_LARGE, "a root of the journal has too many steps or effects; %d always have room",
                    JOURNAL_STEPS_MAX);
    return OK;
}

static err_t step_put(struct sqlite_journal *j, struct journal_op *op)
{
    const struct journal_record *r = &op->r;
    struct stored body;
    int64_t root;

    TRY(need_root(j, &r->root, &root));
    TRY(put_body(j, &r->body, &body));
    return put_in_slot(j, root, prng_scatter(str_hash(r->node) + r->index), SQL_STEP_PUT,
                       SQL_VALUES(SQL_NULL, SQL_TEXT(r->node), SQL_INT(r->index), STORED(body)));
}

static uint64_t effect_hash(const struct journal_id *id)
{
    return str_hash(journal_id_str(id));
}

err_t journal_find_effect(struct sqlite_journal *j, int64_t root, const struct journal_id *id, bool *ret_found,
                          int64_t *ret_k)
{
    int64_t same = 0;

    *ret_found = true;
    for (uint64_t i = 0; i < PROBES_MAX && *ret_found && !same; i++) {
        *ret_k = slot(root, effect_hash(id), i);
        TRY(sqlite_number(j->db, SQL_EFFECT_LOOK, SQL_VALUES(id_value(id), SQL_INT(*ret_k)), ret_found, &same));
    }
    *ret_found = same != 0;
    return OK;
}

static err_t effect_put(struct sqlite_journal *j, struct journal_op *op)
{
    const struct journal_record *r = &op->r;
    struct stored body;
    int64_t root;

    TRY(need_root(j, &r->root, &root));
    TRY(put_body(j, &r->body, &body));
    return put_in_slot(j, root, effect_hash(&r->id), SQL_EFFECT_PUT,
                       SQL_VALUES(SQL_NULL, id_value(&r->id), SQL_INT(r->state), SQL_INT(r->at), STORED(body)));
}

static err_t gate_put(struct sqlite_journal *j, struct journal_op *op)
{
    const struct journal_record *r = &op->r;
    struct stored body;
    int64_t root, state;
    bool found;

    TRY(find_id(j, SQL_GATE_FIND, &r->id, &found, &state));
    if (found) {
        op->outcome = JOURNAL_WAS_THERE;
        return OK;
    }
    TRY(need_root(j, &r->root, &root));
    TRY(put_body(j, &r->body, &body));
    return sqlite_change(j->db, SQL_GATE_ADD,
                         SQL_VALUES(id_value(&r->id), SQL_INT(root), id_value(&r->root), SQL_TEXT(r->pipeline),
                                    SQL_TEXT(r->node), SQL_INT(r->due), STORED(body)),
                         NULL);
}

static err_t gate_decide(struct sqlite_journal *j, struct journal_op *op)
{
    const struct journal_record *r = &op->r;
    int64_t state;
    bool found;

    assert(r->state != 0);
    TRY(find_id(j, SQL_GATE_FIND, &r->id, &found, &state));
    if (!found || state) {
        op->outcome = found ? JOURNAL_WAS_THERE : JOURNAL_WAS_GONE;
        return OK;
    }
    return sqlite_change(j->db, SQL_GATE_DECIDE,
                         SQL_VALUES(SQL_INT(r->state), SQL_INT(r->at), SQL_TEXT(r->cause), id_value(&r->id)), NULL);
}

/* ---- owners ---- */

static err_t fenced(const struct journal_record *r)
{
    return fail(E_FENCED, "another owner has taken over %.*s/%.*s/%" PRIu32 ": epoch %" PRIu64 " has passed",
                STR_ARG(r->pipeline), STR_ARG(r->source), r->partition, r->epoch);
}

static err_t epoch_of(struct sqlite_journal *j, const struct journal_record *r, int64_t *ret)
{
    bool found;

    *ret = 0;
    return sqlite_number(j->db, SQL_PLACE_EPOCH,
                         SQL_VALUES(SQL_TEXT(r->pipeline), SQL_TEXT(r->source), SQL_INT(r->partition)), &found, ret);
}

static err_t progress_put(struct sqlite_journal *j, struct journal_op *op)
{
    const struct journal_record *r = &op->r;
    struct stored body;
    int changed;

    TRY(put_body(j, &r->body, &body));
    TRY(sqlite_change(
        j->db, SQL_PROGRESS_PUT,
        SQL_VALUES(SQL_TEXT(r->pipeline), SQL_TEXT(r->source), SQL_INT(r->partition), SQL_INT(r->epoch), STORED(body)),
        &changed));
    return changed ? OK : fenced(r);
}

static err_t progress_claim(struct sqlite_journal *j, struct journal_op *op)
{
    int64_t epoch;

    TRY(sqlite_change(j->db, SQL_PLACE_CLAIM,
                      SQL_VALUES(SQL_TEXT(op->r.pipeline), SQL_TEXT(op->r.source), SQL_INT(op->r.partition)), NULL));
    TRY(epoch_of(j, &op->r, &epoch));
    op->r.epoch = (uint64_t)epoch;
    return OK;
}

static err_t fence(struct sqlite_journal *j, struct journal_op *op)
{
    int64_t epoch;

    TRY(epoch_of(j, &op->r, &epoch));
    return (uint64_t)epoch == op->r.epoch ? OK : fenced(&op->r);
}

/* ---- sinks ---- */

static err_t intent_fenced(const struct journal_record *r)
{
    return fail(E_FENCED, "another owner has taken over sink %.*s/%.*s/%" PRIu32 ": batch %" PRIu64 " does not follow",
                STR_ARG(r->pipeline), STR_ARG(r->node), r->shard, r->seq);
}

/* The last intent of the sink: its number, and whether it was applied. */
static err_t last_intent(struct sqlite_journal *j, const struct journal_record *r, bool *ret_found, uint64_t *ret_seq,
                         bool *ret_applied)
{
    int64_t packed = 0;

    TRY(sqlite_number(j->db, SQL_INTENT_FIND, SQL_VALUES(SQL_TEXT(r->pipeline), SQL_TEXT(r->node), SQL_INT(r->shard)),
                      ret_found, &packed));
    *ret_seq = (uint64_t)packed >> 1;
    *ret_applied = packed & 1;
    return OK;
}

static err_t intent_put(struct sqlite_journal *j, struct journal_op *op)
{
    const struct journal_record *r = &op->r;
    struct stored body;
    bool found, applied;
    uint64_t last;

    TRY(last_intent(j, r, &found, &last, &applied));
    if (found && (applied ? r->seq != last + 1 : r->seq != last))
        return intent_fenced(r);
    TRY(put_body(j, &r->body, &body));
    return sqlite_change(
        j->db, SQL_INTENT_PUT,
        SQL_VALUES(SQL_TEXT(r->pipeline), SQL_TEXT(r->node), SQL_INT(r->shard), SQL_INT(r->seq), STORED(body)), NULL);
}

static err_t intent_done(struct sqlite_journal *j, struct journal_op *op)
{
    const struct journal_record *r = &op->r;
    bool found, applied;
    uint64_t last;

    TRY(last_intent(j, r, &found, &last, &applied));
    if (!found || last != r->seq)
        return intent_fenced(r);
    return sqlite_change(j->db, SQL_INTENT_APPLIED_,
                         SQL_VALUES(SQL_TEXT(r->pipeline), SQL_TEXT(r->node), SQL_INT(r->shard)), NULL);
}

/* ---- states and timers ---- */

static err_t state_put(struct sqlite_journal *j, struct journal_op *op)
{
    const struct journal_record *r = &op->r;
    struct stored body;

    TRY(put_body(j, &r->body, &body));
    return sqlite_change(
        j->db, SQL_STATE_PUT,
        SQL_VALUES(SQL_TEXT(r->pipeline), SQL_TEXT(r->node), SQL_INT(r->shard), SQL_BLOB(r->key), STORED(body)), NULL);
}

static err_t timer_put(struct sqlite_journal *j, struct journal_op *op)
{
    const struct journal_record *r = &op->r;
    struct stored body;

    TRY(put_body(j, &r->body, &body));
    return sqlite_change(j->db, SQL_TIMER_PUT,
                         SQL_VALUES(SQL_TEXT(r->pipeline), SQL_TEXT(r->node), SQL_INT(r->shard), SQL_BLOB(r->key),
                                    SQL_INT(r->due), STORED(body)),
                         NULL);
}

static err_t delete_keyed(struct sqlite_journal *j, struct journal_op *op, enum journal_statement statement)
{
    const struct journal_record *r = &op->r;
    int changed;

    TRY(sqlite_change(j->db, statement,
                      SQL_VALUES(SQL_TEXT(r->pipeline), SQL_TEXT(r->node), SQL_INT(r->shard), SQL_BLOB(r->key)),
                      &changed));
    note_changed(op, changed);
    return OK;
}

/* ---- dead letters ---- */

/* One dead letter goes, and a parked root with its last. */
static err_t remove_dead(struct sqlite_journal *j, int64_t k)
{
    struct journal_id root = {{0}};
    bool found, has_more;
    sqlite3_stmt *st = NULL;
    int64_t ignored, parked;

    TRY(sqlite_begin(j->db, SQL_DEAD_ROOT, SQL_VALUES(SQL_INT(k)), &st));
    TRY(sqlite_next(j->db, st, &found));
    if (found) {
        struct str id = sqlite_blob(st, 0);
        if (id.n == sizeof root.b)
            memcpy(root.b, id.p, id.n);
        sqlite_end(st);
    }
    TRY(change_row(j, SQL_DEAD_DELETE, k));
    TRY(find_id(j, SQL_DEAD_OF_ROOT, &root, &has_more, &ignored));
    if (has_more)
        return OK;
    TRY(find_id(j, SQL_ROOT_FIND_PARKED, &root, &found, &parked));
    return found ? purge_root(j, parked) : OK;
}

static err_t sweep_dead(struct sqlite_journal *j, int64_t now)
{
    bool found = j->dead_age != NS_NEVER;
    int64_t k;

    for (int i = 0; i < SWEPT_AT_ONCE && found; i++) {
        TRY(sqlite_number(j->db, SQL_DEAD_OLDEST, SQL_VALUES(SQL_INT(now - j->dead_age)), &found, &k));
        if (found)
            TRY(remove_dead(j, k));
    }
    return OK;
}

static err_t dead_put(struct sqlite_journal *j, struct journal_op *op)
{
    const struct journal_record *r = &op->r;
    struct stored body;
    bool found;
    int64_t k;

    TRY(find_id(j, SQL_DEAD_FIND, &r->id, &found, &k));
    if (found) {
        op->outcome = JOURNAL_WAS_THERE;
        return OK;
    }
    TRY(put_body(j, &r->body, &body));
    TRY(sqlite_change(j->db, SQL_DEAD_ADD,
                      SQL_VALUES(id_value(&r->id), id_value(&r->root), SQL_TEXT(r->pipeline), SQL_TEXT(r->node),
                                 SQL_TEXT(r->cause), SQL_INT(r->at), STORED(body)),
                      NULL));
    return sweep_dead(j, r->at);
}

static err_t dead_delete(struct sqlite_journal *j, struct journal_op *op)
{
    bool found;
    int64_t k;

    TRY(find_id(j, SQL_DEAD_FIND, &op->r.id, &found, &k));
    note_changed(op, found);
    return found ? remove_dead(j, k) : OK;
}

static err_t dead_replayed(struct sqlite_journal *j, struct journal_op *op)
{
    int changed;

    TRY(sqlite_change(j->db, SQL_DEAD_REPLAYED, SQL_VALUES(SQL_INT(op->r.at), id_value(&op->r.id)), &changed));
    note_changed(op, changed);
    return OK;
}

/* ---- all of them ---- */

err_t journal_apply(struct sqlite_journal *j, struct journal_op *op)
{
    op->outcome = JOURNAL_CAME_ABOUT;
    switch (op->kind) {
    case JOURNAL_ROOT_PUT:
        return root_put(j, op);
    case JOURNAL_ROOT_DONE:
        return root_done(j, op);
    case JOURNAL_RESTARTED:
        return restarted(j, op);
    case JOURNAL_ROOT_REOPEN:
        return root_reopen(j, op);
    case JOURNAL_STEP_PUT:
        return step_put(j, op);
    case JOURNAL_EFFECT_PUT:
        return effect_put(j, op);
    case JOURNAL_PROGRESS_PUT:
        return progress_put(j, op);
    case JOURNAL_PROGRESS_CLAIM:
        return progress_claim(j, op);
    case JOURNAL_FENCE:
        return fence(j, op);
    case JOURNAL_INTENT_PUT:
        return intent_put(j, op);
    case JOURNAL_INTENT_DONE:
        return intent_done(j, op);
    case JOURNAL_STATE_PUT:
        return state_put(j, op);
    case JOURNAL_STATE_DELETE:
        return delete_keyed(j, op, SQL_STATE_DELETE);
    case JOURNAL_TIMER_PUT:
        return timer_put(j, op);
    case JOURNAL_TIMER_DELETE:
        return delete_keyed(j, op, SQL_TIMER_DELETE);
    case JOURNAL_GATE_PUT:
        return gate_put(j, op);
    case JOURNAL_GATE_DECIDE:
        return gate_decide(j, op);
    case JOURNAL_DEAD_PUT:
        return dead_put(j, op);
    case JOURNAL_DEAD_DELETE:
        return dead_delete(j, op);
    case JOURNAL_DEAD_REPLAYED:
        return dead_replayed(j, op);
    case JOURNAL_OP_KINDS:
        break;
    }
    assert(!"an operation of no kind");
    return OK;
}
