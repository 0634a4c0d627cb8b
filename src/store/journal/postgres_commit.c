/*
 * postgres_commit.c - a group of commits as one statement: columns of operations go in as arrays, and what they found comes out.
 *
 * Bytes travel as hexadecimal digits, since values of statements are texts here.
 *
 * What operations do is said in postgres_schema.c.
 */
#include "base/mem.h"
#include "base/utf8.h"
#include "store/journal/postgres_int.h"

#include <inttypes.h>
#include <string.h>

/* The arrays, in the order of the function's parameters. */
enum column {
    COMMIT,
    KIND,
    ID,
    ROOT,
    PIPELINE,
    SOURCE,
    NODE,
    KEY,
    CAUSE,
    PARTITION,
    SHARD,
    INDEX,
    STATE,
    EPOCH,
    SEQ,
    AT,
    DUE,
    FORM,
    BODY,
    HASH,
    SIZE,
    COLUMNS
}; /* clang-format would give each a line */
enum { LIMITS = 3, VALUES = COLUMNS + LIMITS, NUMBER_MAX = 24 };

static const char statement[] =
    "select * from crossdock_journal.bring_about($1::int[], $2::int[], $3::bytea[], $4::bytea[], $5::text[], "
    "$6::text[], $7::text[], $8::bytea[], $9::bytea[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], "
    "$14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[], $18::int[], $19::bytea[], $20::bytea[], "
    "$21::bigint[], $22, $23, $24)";

struct group {
    struct buf columns[COLUMNS];
};

/* ---- what PostgreSQL can keep ---- */

static err_t check_text(struct str s)
{
    if (str_find_char(s, '\0') < s.n || !utf8_valid(s))
        return fail(E_CONFLICT, "a name in an operation of the journal is not UTF-8, or has a zero byte");
    return OK;
}

err_t postgres_journal_check(const struct journal_op *ops, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        TRY(check_text(ops[i].r.pipeline));
        TRY(check_text(ops[i].r.source));
        TRY(check_text(ops[i].r.node));
    }
    return OK;
}

/* ---- arrays (section 8.15.6 of PostgreSQL's documentation) ---- */

static void next_item(struct buf *b)
{
    (void)buf_add_char(b, b->n ? ',' : '{');
}

static void add_number(struct group *g, enum column c, int64_t n)
{
    next_item(&g->columns[c]);
    (void)buf_add_i64(&g->columns[c], n);
}

static void add_text(struct group *g, enum column c, struct str s)
{
    struct buf *b = &g->columns[c];

    next_item(b);
    (void)buf_add_char(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            (void)buf_add_char(b, '\\');
        (void)buf_add_char(b, s.p[i]);
    }
    (void)buf_add_char(b, '"');
}

static void add_null(struct group *g, enum column c)
{
    next_item(&g->columns[c]);
    (void)buf_add(&g->columns[c], STR("NULL"));
}

static void add_bytes(struct group *g, enum column c, struct str s)
{
    struct buf *b = &g->columns[c];

    next_item(b);
    (void)buf_add(b, STR("\"\\\\x"));
    char *to = buf_reserve(b, 2 * s.n + 1);
    if (!to)
        return;
    hex_encode(to, s.p, s.n);
    b->n += 2 * s.n;
    (void)buf_add_char(b, '"');
}

static void add_body(struct group *g, const struct journal_body *body)
{
    add_number(g, FORM, body->form);
    if (body->bytes.n)
        add_bytes(g, BODY, body->bytes);
    else
        add_null(g, BODY);
    if (body->is_blob)
        add_bytes(g, HASH, str_of((const char *)body->sha256, SHA256_BYTES));
    else
        add_null(g, HASH);
    add_number(g, SIZE, (int64_t)body->size);
}

static void add_op(struct group *g, int64_t commit, const struct journal_op *op)
{
    const struct journal_record *r = &op->r;

    add_number(g, COMMIT, commit);
    add_number(g, KIND, op->kind);
    add_bytes(g, ID, journal_id_str(&r->id));
    add_bytes(g, ROOT, journal_id_str(&r->root));
    add_text(g, PIPELINE, r->pipeline);
    add_text(g, SOURCE, r->source);
    add_text(g, NODE, r->node);
    add_bytes(g, KEY, r->key);
    add_bytes(g, CAUSE, r->cause);
    add_number(g, PARTITION, r->partition);
    add_number(g, SHARD, r->shard);
    add_number(g, INDEX, r->index);
    add_number(g, STATE, r->state);
    add_number(g, EPOCH, (int64_t)r->epoch);
    add_number(g, SEQ, (int64_t)r->seq);
    add_number(g, AT, r->at);
    add_number(g, DUE, r->due);
    add_body(g, &r->body);
}

/* ---- the statement ---- */

static struct str limit_text(struct arena *a, uint64_t n)
{
    return arena_printf(a, "%" PRIu64, n < INT64_MAX ? n : INT64_MAX);
}

static struct str age_text(struct arena *a, ns_t age)
{
    return age == NS_NEVER ? STR_NONE : arena_printf(a, "%" PRId64, (int64_t)age);
}

static SUSPENDS err_t send_group(struct postgres_journal *j, struct group *g, struct arena *a,
                                 struct postgres_rows *rows)
{
    struct str *values = arena_alloc(a, VALUES * sizeof *values);

    for (int c = 0; c < COLUMNS; c++) {
        (void)buf_add(&g->columns[c], g->columns[c].n ? STR("}") : STR("{}"));
        TRY(buf_status(&g->columns[c]));
        values[c] = buf_str(&g->columns[c]);
    }
    values[COLUMNS] = limit_text(a, j->traces_max);
    values[COLUMNS + 1] = age_text(a, j->trace_age);
    values[COLUMNS + 2] = age_text(a, j->dead_age);
    return postgres_do(j->db, str_from_c(statement), values, VALUES, a, rows);
}

/* ---- what came of it ---- */

/* The n-th operation of a group, counted from 1, and whose it is. */
static struct journal_op *find_op(struct postgres_job *first, uint64_t n, struct postgres_job **ret)
{
    struct postgres_job *job = first;

    while (job && n > job->copy->n) {
        n -= job->copy->n;
        job = job->next;
    }
    *ret = job;
    return job && n ? &job->copy->ops[n - 1] : NULL;
}

static err_t refusal(int why, const struct journal_record *r)
{
    char hex[2 * sizeof r->root.b];

    switch (why) {
    case 1:
        return fail(E_FENCED, "another owner has taken over %.*s/%.*s/%" PRIu32 ": epoch %" PRIu64 " has passed",
                    STR_ARG(r->pipeline), STR_ARG(r->source), r->partition, r->epoch);
    case 2:
        return fail(E_FENCED,
                    "another owner has taken over sink %.*s/%.*s/%" PRIu32 ": batch %" PRIu64 " does not follow",
                    STR_ARG(r->pipeline), STR_ARG(r->node), r->shard, r->seq);
    case 3:
        hex_encode(hex, r->root.b, sizeof r->root.b);
        return fail(E_NOT_FOUND, "the journal has no root %.*s under way", (int)sizeof hex, hex);
    default:
        return fail(E_NOT_FOUND, "an operation of the journal refers to a blob that the journal does not have");
    }
}

static err_t bad_answer(void)
{
    return fail(E_PROTOCOL, "the journal's database answered something else than was asked");
}

/* A row: an operation, its outcome or why it is refused, an epoch. */
static err_t take_row(struct postgres_job *first, const struct str *row, struct postgres_job **ret_refused)
{
    struct postgres_job *job;
    uint64_t n, outcome;
    bool is_refused = str_starts(row[1], STR("-"));

    if (!str_to_u64(is_refused ? row[2] : row[0], UINT32_MAX, &n) ||
        !str_to_u64(is_refused ? str_slice(row[1], 1, row[1].n) : row[1], JOURNAL_WAS_GONE + 2, &outcome))
        return bad_answer();
    struct journal_op *op = find_op(first, n, &job);
    if (!op)
        return bad_answer();
    if (is_refused) {
        *ret_refused = job;
        return refusal((int)outcome, &op->r);
    }
    op->outcome = (enum journal_outcome)outcome;
    if (row[2].p && !str_to_u64(row[2], INT64_MAX, &op->r.epoch))
        return bad_answer();
    return OK;
}

static SUSPENDS err_t bring_about(struct postgres_journal *j, struct postgres_job *first, struct group *g,
                                  struct postgres_job **ret_refused)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct postgres_rows rows = {0};

    TRY(send_group(j, g, &a, &rows));
    if (rows.rows && rows.columns != 3)
        return bad_answer();
    for (size_t i = 0; i < rows.rows; i++)
        TRY(take_row(first, rows.cells + i * rows.columns, ret_refused));
    return OK;
}

static void group_free(struct group **g)
{
    for (int c = 0; c < COLUMNS; c++)
        buf_release(&(*g)->columns[c]);
    mem_free(*g);
}

err_t postgres_journal_commit(struct postgres_journal *j, struct postgres_job *first, const struct postgres_job *end,
                              struct postgres_job **ret_refused)
{
    struct group *g CLEANUP(group_free) = NEW(struct group);
    int64_t commit = 0;
    size_t ops = 0;

    *ret_refused = NULL;
    for (int c = 0; c < COLUMNS; c++)
        buf_init(&g->columns[c], POSTGRES_VALUE_MAX);
    for (struct postgres_job *job = first; job != end; job = job->next, commit++)
        for (size_t i = 0; i < job->copy->n; i++, ops++) {
            job->copy->ops[i].outcome = JOURNAL_CAME_ABOUT;
            add_op(g, commit, &job->copy->ops[i]);
        }
    return ops ? bring_about(j, first, g, ret_refused) : OK;
}
