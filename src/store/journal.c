/*
 * journal.c - what is the same for every kind of journal: limits, hashes of large bodies, copies.
 *
 * The idea: a caller's operations are checked before anything is taken for them, so kinds need not. The hash of a large body is computed here, in the
 * caller's fiber and in pieces, because the thread that writes is one for all.
 *
 * Not here: what operations do (store/journal/).
 */
#include "store/journal.h"

#include "base/log.h"
#include "base/mem.h"
#include "rt/loop.h"
#include "store/journal_int.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

enum { HASHED_AT_ONCE = 64 * 1024 };
static const ns_t look_elsewhere = 2 * NS_SEC;

static const ns_t spans[] = {50 * NS_US, 100 * NS_US, 250 * NS_US, 500 * NS_US, NS_MS,       5 * NS_MS / 2, 5 * NS_MS,
                             10 * NS_MS, 25 * NS_MS,  50 * NS_MS,  100 * NS_MS, 250 * NS_MS, NS_SEC,        5 * NS_SEC};
const struct histogram_bounds journal_spans = {spans, ARRAY_LEN(spans)};

/* ---- life ---- */

bool journal_is_database(struct str place)
{
    return str_starts(place, STR("postgres://")) || str_starts(place, STR("postgresql://"));
}

err_t journal_open(const struct journal_options *options, struct journal **ret)
{
    for (size_t i = 0; i < journal_kind_catalog_count; i++) {
        const struct journal_kind *kind = journal_kind_catalog[i];
        if (strcmp(kind->name, options->kind) != 0)
            continue;
        struct journal *j;
        TRY(kind->open(options, &j));
        j->kind = kind;
        atomic_init(&j->failures, 0);
        *ret = j;
        return OK;
    }
    return fail(E_CONFIG, "there is no kind of journal '%s'", options->kind);
}

void journal_close(struct journal *j)
{
    if (j)
        j->kind->close(j);
}

/* ---- limits ---- */

static size_t texts_of(const struct journal_record *r)
{
    return r->pipeline.n + r->source.n + r->node.n + r->key.n + r->cause.n + r->body.bytes.n;
}

static err_t check_text(struct str s, size_t max, const char *what)
{
    if (s.n > max)
        return fail(E_TOO_LARGE, "a %s of %zu bytes in an operation of the journal; at most %zu", what, s.n, max);
    return OK;
}

static err_t check_record(const struct journal_record *r)
{
    TRY(check_text(r->pipeline, JOURNAL_NAME_MAX, "pipeline's name"));
    TRY(check_text(r->source, JOURNAL_NAME_MAX, "source's name"));
    TRY(check_text(r->node, JOURNAL_NAME_MAX, "node's name"));
    TRY(check_text(r->cause, JOURNAL_NAME_MAX, "cause"));
    TRY(check_text(r->key, JOURNAL_KEY_MAX, "key"));
    if (r->epoch > INT64_MAX || r->seq > INT64_MAX)
        return fail(E_TOO_LARGE, "an epoch or sequence number of more than 63 bits in an operation of the journal");
    return check_text(r->body.bytes, JOURNAL_BODY_MAX, "body");
}

static err_t check_ops(const struct journal_op *ops, size_t n)
{
    size_t bytes = 0;

    if (n > JOURNAL_OPS_MAX)
        return fail(E_TOO_LARGE, "%zu operations in a commit of the journal; at most %d", n, JOURNAL_OPS_MAX);
    for (size_t i = 0; i < n; i++) {
        assert(ops[i].kind < JOURNAL_OP_KINDS);
        TRY(check_record(&ops[i].r));
        bytes += texts_of(&ops[i].r);
    }
    if (bytes > JOURNAL_COMMIT_MAX)
        return fail(E_TOO_LARGE, "%zu bytes in a commit of the journal; at most %d", bytes, JOURNAL_COMMIT_MAX);
    return OK;
}

/* ---- bodies ---- */

static SUSPENDS err_t hash_body(struct journal_body *b)
{
    struct sha256 *h = sha256_new();

    for (size_t at = 0; at < b->bytes.n; at += HASHED_AT_ONCE) {
        sha256_add(h, str_slice(b->bytes, at, at + HASHED_AT_ONCE));
        err_t e = fiber_tick();
        if (e != OK) {
            sha256_free(h);
            return e;
        }
    }
    sha256_end(h, b->sha256);
    return OK;
}

static SUSPENDS err_t prepare_body(struct journal_body *b)
{
    if (b->bytes.n) {
        b->is_blob = b->bytes.n > JOURNAL_INLINE_MAX;
        b->size = b->bytes.n;
    }
    return b->is_blob && b->bytes.n ? hash_body(b) : OK;
}

/* ---- what is handed on ---- */

err_t journal_commit(struct journal *j, struct journal_op *ops, size_t n, enum journal_durability durability)
{
    TRY(check_ops(ops, n));
    for (size_t i = 0; i < n; i++)
        TRY(prepare_body(&ops[i].r.body));
    ns_t from = rt_now_exact();
    TRY(j->kind->commit(j, ops, n, durability));
    struct journal *itself = j->under ? j->under : j;
    if (durability == JOURNAL_SYNC)
        histogram_add_shared(&itself->took, &journal_spans, rt_now_exact() - from);
    for (size_t i = 0; i < n; i++)
        if (ops[i].kind == JOURNAL_GATE_DECIDE)
            (void)atomic_fetch_add(&itself->decisions, 1);
    return OK;
}

uint64_t journal_decisions(const struct journal *j)
{
    const struct journal *itself = journal_itself(j);
    uint64_t elsewhere = itself->kind->is_shared ? (uint64_t)(rt_now() / look_elsewhere) : 0;

    return atomic_load(&itself->decisions) + elsewhere;
}

void journal_times(const struct journal *j, struct histogram *ret)
{
    *ret = histogram_read_shared(&journal_itself(j)->took);
}

uint64_t journal_failures(const struct journal *j)
{
    return atomic_load(&journal_itself(j)->failures);
}

bool journal_is_shared(const struct journal *j)
{
    return journal_itself(j)->kind->is_shared;
}

err_t journal_read(struct journal *j, const struct journal_query *query, struct arena *arena, struct journal_page *ret)
{
    struct journal_query q = *query;

    assert(q.kind < JOURNAL_QUERY_KINDS);
    TRY(check_record(&q.r));
    q.limit = q.limit && q.limit < JOURNAL_ROWS_MAX ? q.limit : JOURNAL_ROWS_MAX;
    *ret = (struct journal_page){0};
    return j->kind->read(j, &q, arena, ret);
}

err_t journal_blob(struct journal *j, const unsigned char sha256[SHA256_BYTES], struct arena *arena, struct str *ret)
{
    struct journal_body b = {0};

    TRY(j->kind->blob(j, sha256, arena, &b.bytes));
    TRY(hash_body(&b));
    if (memcmp(b.sha256, sha256, SHA256_BYTES) != 0)
        return fail(E_IO, "the journal is damaged: a blob does not have the hash that it is kept under");
    *ret = b.bytes;
    return OK;
}

/* ---- for the kinds ---- */

void journal_note_failure(struct journal *j, err_t e)
{
    log_error(STR_NONE, "the journal could not keep an asynchronous commit: %s", err_detail(e));
    (void)atomic_fetch_add(&j->failures, 1);
}

static struct str move_text(struct str s, char **at)
{
    char *to = *at;

    if (s.n)
        memcpy(to, s.p, s.n);
    *at += s.n;
    return str_of(to, s.n);
}

/* Have the record point to copies at *at, which is moved behind them. */
static void move_texts(struct journal_record *r, char **at)
{
    r->pipeline = move_text(r->pipeline, at);
    r->source = move_text(r->source, at);
    r->node = move_text(r->node, at);
    r->key = move_text(r->key, at);
    r->cause = move_text(r->cause, at);
    r->body.bytes = move_text(r->body.bytes, at);
}

struct journal_copy *journal_copy_ops(const struct journal_op *ops, size_t n)
{
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++)
        bytes += texts_of(&ops[i].r);
    struct journal_copy *c = mem_alloc(sizeof *c + n * sizeof *ops + bytes);
    *c = (struct journal_copy){.n = n, .bytes = bytes};
    char *at = (char *)(c->ops + n);
    for (size_t i = 0; i < n; i++) {
        c->ops[i] = ops[i];
        move_texts(&c->ops[i].r, &at);
    }
    return c;
}

err_t journal_copy_record(struct arena *a, const struct journal_record *r, struct journal_record *ret)
{
    char *at;

    TRY(arena_try(a, texts_of(r) + 1, &at));
    *ret = *r;
    move_texts(ret, &at);
    return OK;
}

err_t journal_copy_page(struct arena *a, const struct journal_page *page, struct journal_page *ret)
{
    char *records;

    TRY(arena_try(a, page->count * sizeof *page->records + 1, &records));
    ret->records = (struct journal_record *)(void *)records;
    ret->next = page->next;
    for (size_t i = 0; i < page->count; i++)
        TRY(journal_copy_record(a, &page->records[i], &ret->records[i]));
    ret->count = page->count;
    return OK;
}

err_t journal_copy_bytes(struct arena *a, struct str bytes, struct str *ret)
{
    char *copy;

    TRY(arena_try(a, bytes.n + 1, &copy));
    if (bytes.n)
        memcpy(copy, bytes.p, bytes.n);
    *ret = str_of(copy, bytes.n);
    return OK;
}

void journal_copy_outcomes(const struct journal_copy *copy, struct journal_op *ops)
{
    for (size_t i = 0; i < copy->n; i++) {
        ops[i].outcome = copy->ops[i].outcome;
        ops[i].r.epoch = copy->ops[i].r.epoch;
    }
}

bool journal_page_has_room(const struct journal_page *page, const struct journal_query *query, size_t *used,
                           size_t bytes)
{
    if (page->count == query->limit || (page->count && *used + bytes > JOURNAL_PAGE_BYTES))
        return false;
    *used += bytes;
    return true;
}
