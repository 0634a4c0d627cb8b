/* journal_world.h - what the tests of journals share: ids and operations in a line each, and a journal as a text that can be compared. */
#ifndef UNIT_JOURNAL_WORLD_H
#define UNIT_JOURNAL_WORLD_H

#include "base/buf.h"
#include "base/mem.h"
#include "store/journal.h"

#include <inttypes.h>
#include <stdlib.h>

/* For helpers that return something, where CHECK() cannot be. */
#define MUST(cond)                                                                                                     \
    do {                                                                                                               \
        if (!(cond))                                                                                                   \
            die("%s: %s", #cond, err_current()->text);                                                                 \
    } while (0)

static inline struct journal_id id_of(uint64_t n)
{
    struct journal_id id = {{0}};
    memcpy(id.b, &n, sizeof n);
    id.b[15] = 0x5a;
    return id;
}

static inline struct journal_body body_of_text(struct str s)
{
    return (struct journal_body){.form = 3, .bytes = s};
}

#define BODY(text) body_of_text(STR(text))
#define OP(what, ...) ((struct journal_op){.kind = JOURNAL_##what, .r = {__VA_ARGS__}})
#define ROOT_AT(n, part, ...)                                                                                          \
    OP(ROOT_PUT, .id = id_of(n), .pipeline = STR("p"), .source = STR("s"), .partition = (part), .seq = (n), __VA_ARGS__)

static inline SUSPENDS err_t commit_one(struct journal *j, struct journal_op op)
{
    return journal_commit(j, &op, 1, JOURNAL_SYNC);
}

/* The outcome of one operation, which must come about. */
static inline SUSPENDS enum journal_outcome outcome_of(struct journal *j, struct journal_op op)
{
    MUST(journal_commit(j, &op, 1, JOURNAL_SYNC) == OK);
    return op.outcome;
}

/* Read all pages of a query, `limit` rows at a time, into records of the arena; how many. */
static inline SUSPENDS size_t read_all(struct journal *j, struct journal_query q, struct arena *a,
                                       struct journal_record *to, size_t cap)
{
    size_t n = 0;

    do {
        struct journal_page page;
        MUST(journal_read(j, &q, a, &page) == OK);
        for (size_t i = 0; i < page.count && n < cap; i++)
            to[n++] = page.records[i];
        q.after = page.next;
    } while (q.after);
    return n;
}

/* --- the whole journal as lines --- */

static inline SUSPENDS void dump_record(struct journal *j, const char *what, const struct journal_record *r,
                                        struct buf *to)
{
    struct str bytes = r->body.bytes;
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};

    if (r->body.is_blob)
        MUST(journal_blob(j, r->body.sha256, &a, &bytes) == OK);
    (void)buf_addf(to, "%s %u/%u %.*s/%.*s/%.*s %.*s %.*s", what, r->id.b[0] | r->id.b[1] << 8,
                   r->root.b[0] | r->root.b[1] << 8, STR_ARG(r->pipeline), STR_ARG(r->source), STR_ARG(r->node),
                   STR_ARG(r->key), STR_ARG(r->cause));
    (void)buf_addf(to, " %u %u %u %u %u %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 " %u:%zu:%016" PRIx64 "\n",
                   r->partition, r->shard, r->index, r->state, r->count, r->epoch, r->seq, r->at, r->due, r->body.form,
                   bytes.n, str_hash(bytes));
}

enum { DUMP_ROWS = 4096 };

static inline SUSPENDS size_t dump_query(struct journal *j, const char *what, struct journal_query q, struct arena *a,
                                         struct journal_record *rows, struct buf *to)
{
    size_t n = read_all(j, q, a, rows, DUMP_ROWS);

    for (size_t i = 0; i < n; i++)
        dump_record(j, what, &rows[i], to);
    return n;
}

static inline int line_order(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* What a test uses: one pipeline "p", source "s", partitions and shards 0 .. 2, nodes "a" and "b"; roots by number up to `roots`. */
static inline SUSPENDS struct str dump(struct journal *j, uint64_t roots, struct arena *a)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(64 << 20);
    struct journal_record *rows = mem_alloc(DUMP_ROWS * sizeof *rows);
    static const char *const nodes[] = {"a", "b"};
    struct str p = STR("p"), s = STR("s");

    for (unsigned i = 0; i < 3; i++) {
        (void)dump_query(j, "open",
                         (struct journal_query){JOURNAL_ROOTS, {.pipeline = p, .source = s, .partition = i}, 0, 3}, a,
                         rows, &text);
        (void)dump_query(j, "progress",
                         (struct journal_query){JOURNAL_PROGRESS, {.pipeline = p, .source = s, .partition = i}, 0, 0},
                         a, rows, &text);
        (void)dump_query(j, "timer",
                         (struct journal_query){JOURNAL_TIMERS, {.pipeline = p, .shard = i, .due = INT64_MAX}, 0, 0}, a,
                         rows, &text);
        for (unsigned n = 0; n < 2; n++)
            (void)dump_query(
                j, "state",
                (struct journal_query){JOURNAL_STATES, {.pipeline = p, .node = str_from_c(nodes[n]), .shard = i}, 0, 4},
                a, rows, &text);
    }
    for (uint64_t n = 0; n < roots; n++) {
        struct journal_id id = id_of(n);
        if (!dump_query(j, "root", (struct journal_query){JOURNAL_ROOT, {.id = id}, 0, 0}, a, rows, &text))
            continue;
        (void)dump_query(j, "step", (struct journal_query){JOURNAL_STEPS, {.root = id}, 0, 5}, a, rows, &text);
        (void)dump_query(j, "effect", (struct journal_query){JOURNAL_EFFECTS, {.root = id}, 0, 2}, a, rows, &text);
    }
    (void)dump_query(j, "intent", (struct journal_query){JOURNAL_INTENTS, {.pipeline = p}, 0, 2}, a, rows, &text);
    (void)dump_query(j, "gate", (struct journal_query){JOURNAL_GATES, {.pipeline = p}, 0, 2}, a, rows, &text);
    (void)dump_query(j, "dead", (struct journal_query){JOURNAL_DEADS, {.pipeline = p}, 0, 2}, a, rows, &text);
    (void)dump_query(j, "group", (struct journal_query){JOURNAL_DEAD_GROUPS, {.pipeline = p}, 0, 0}, a, rows, &text);
    (void)dump_query(j, "trace", (struct journal_query){JOURNAL_TRACES, {.pipeline = p}, 0, 3}, a, rows, &text);
    mem_free(rows);

    /* Rows of one kind have an order of their own in each kind of journal: as sets they must be the same. */
    struct str rest = buf_str(&text), *lines = mem_alloc((text.n + 1) * sizeof *lines);
    size_t count = 0;
    while (rest.n)
        lines[count++] = str_cut(&rest, '\n');
    qsort(lines, count, sizeof *lines, line_order);
    struct buf sorted CLEANUP(buf_release) = BUF_INIT(64 << 20);
    for (size_t i = 0; i < count; i++)
        (void)buf_addf(&sorted, "%.*s\n", STR_ARG(lines[i]));
    mem_free(lines);
    return arena_str(a, buf_str(&sorted));
}

#endif
