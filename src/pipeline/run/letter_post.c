/*
 * letter_post.c - sends dead letters to `errors.dlq`.
 *
 * Notes are states of a node that no pipeline can have, one for each letter, under its id. A batch is as other sinks' (emit.c): its intent first, with the
 * ids of its letters, then it is applied, then one commit says so and takes the notes away. After a crash the sink says whether the batch that was begun has come
 * about; if it has not, the same letters are at the beginning of the notes, and go again under the same number.
 *
 * The notes of a letter may be durable a moment after it was counted: the fiber looks again until it has found as many as were made.
 */
#include "pipeline/run/letter_post.h"

#include "base/bytes.h"
#include "base/log.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "pipeline/run/letters.h"
#include "pipeline/run/shard_int.h"
#include "rt/loop.h"

#include <string.h>

enum { BATCH_MAX = 64, INTENT_HEAD = 4, ID = sizeof(struct journal_id) };
static const ns_t pause_first = 250 * NS_MS, pause_most = 30 * NS_SEC, look_again = 50 * NS_MS;

struct letter_post {
    struct shard *shard;
    const struct pipeline_node *sink;
    struct intake intake; /* where roots that stand for letters come from */
    struct partition partition;
    struct fiber *sleeper;
    size_t count;    /* notes that are not sent           */
    bool is_counted; /* those that former runs left, too */
    uint64_t seq;    /* of the last batch that was applied */
    size_t again;    /* letters of a batch that is to be applied again; 0: there is none */
    void *state;
    bool is_open;
};

/* A batch while it is sent. */
struct posting {
    struct arena arena;
    struct journal_page notes;
    struct batch batch;
    struct root *roots[BATCH_MAX]; /* of its items */
};

struct letter_post *letter_post_new(struct shard *s)
{
    if (!s->spec->dlq || s->outer)
        return NULL;
    struct letter_post *p = NEW(struct letter_post);

    *p = (struct letter_post){.shard = s, .sink = s->spec->dlq, .intake = {.shard = s, .source = s->spec->dlq}};
    p->partition = (struct partition){.intake = &p->intake};
    return p;
}

void letter_post_free(struct letter_post *p)
{
    mem_free(p);
}

size_t letter_post_count(const struct letter_post *p)
{
    return !p ? 0 : p->count + !p->is_counted;
}

static struct journal_record place_of(const struct letter_post *p)
{
    return (struct journal_record){.pipeline = p->shard->spec->name, .node = p->sink->name, .shard = p->shard->number};
}

bool letter_post_op(const struct letter_post *p, const struct journal_id *letter, char key[LETTER_POST_KEY],
                    struct journal_op *ret_op)
{
    if (!p)
        return false;
    hex_encode(key, letter->b, ID);
    *ret_op = (struct journal_op){.kind = JOURNAL_STATE_PUT, .r = place_of(p)};
    ret_op->r.key = str_of(key, LETTER_POST_KEY);
    return true;
}

void letter_post_noted(struct letter_post *p)
{
    if (!p)
        return;
    p->count++;
    if (p->sleeper)
        fiber_wake(p->sleeper);
}

void letter_post_note(struct letter_post *p, const struct journal_id *letter)
{
    char key[LETTER_POST_KEY];
    struct journal_op op;

    if (!letter_post_op(p, letter, key, &op))
        return;
    clerk_note(p->shard->clerk, &op);
    letter_post_noted(p);
}

/* --- a batch --- */

static void drop_posting(struct posting **g)
{
    for (size_t i = 0; *g && i < (*g)->batch.count; i++)
        root_free((*g)->roots[i]);
    if (*g)
        arena_release(&(*g)->arena);
    mem_free(*g);
}

static err_t print(const struct dead_letter *l, struct buf *to)
{
    struct json_out o = json_out_to(to);

    letter_put(l, &o);
    return buf_status(to);
}

/* A root that stands for the letter, and a record of it. */
static err_t add_item(struct letter_post *p, struct posting *g, const struct dead_letter *l)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(JOURNAL_BODY_MAX);
    const struct journal_id id = child_id(&l->id, p->sink, (uint32_t)l->replays);
    size_t i = g->batch.count;

    TRY(print(l, &text));
    TRY(root_of_letter(&p->partition, &id, buf_str(&text), &g->roots[i]));
    g->batch.items[i] = (struct batch_item){
        .id = id, .text = arena_str(&g->arena, buf_str(&text)), .record = root_letter_record(g->roots[i])};
    g->batch.count++;
    return OK;
}

/* What is noted, of what is still there. */
static SUSPENDS err_t gather(struct letter_post *p, struct posting *g)
{
    const struct journal_query q = {
        .kind = JOURNAL_STATES, .r = place_of(p), .limit = p->again ? (unsigned)p->again : BATCH_MAX};

    TRY(journal_read(p->shard->journal, &q, &g->arena, &g->notes));
    g->batch = (struct batch){.seq = p->seq + 1,
                              .items = arena_zalloc(&g->arena, (g->notes.count + 1) * sizeof *g->batch.items)};
    for (size_t i = 0; i < g->notes.count && g->batch.count < BATCH_MAX; i++) {
        struct dead_letter l;
        err_t e = letters_find(p->shard->journal, g->notes.records[i].key, &g->arena, &l);
        if (e == OK)
            e = add_item(p, g, &l);
        if (e != OK && e != E_NOT_FOUND && e != E_TOO_LARGE)
            return e;
    }
    return OK;
}

static SUSPENDS err_t commit_intent(struct letter_post *p, const struct posting *g, struct str remembered)
{
    struct buf body CLEANUP(buf_release) = BUF_INIT(JOURNAL_BODY_MAX);
    struct journal_op op = {.kind = JOURNAL_INTENT_PUT, .r = place_of(p)};
    char head[INTENT_HEAD];

    be32_put(head, (uint32_t)g->notes.count);
    (void)buf_add(&body, str_of(head, sizeof head));
    for (size_t i = 0; i < g->notes.count; i++)
        (void)buf_add(&body, g->notes.records[i].key);
    TRY(buf_add(&body, remembered));
    op.r.seq = g->batch.seq;
    op.r.body = (struct journal_body){.form = BODY_INTENT, .bytes = buf_str(&body)};
    return shard_commit(p->shard, &op, 1);
}

/* The batch is over: what was noted of it goes. `keys`: one behind the other. */
static SUSPENDS err_t commit_done(struct letter_post *p, uint64_t seq, struct str keys)
{
    size_t n = keys.n / LETTER_POST_KEY;
    struct journal_op *ops = mem_zalloc(n + 1, sizeof *ops);

    ops[0] = (struct journal_op){.kind = JOURNAL_INTENT_DONE, .r = place_of(p)};
    ops[0].r.seq = seq;
    for (size_t i = 0; i < n; i++) {
        ops[i + 1] = (struct journal_op){.kind = JOURNAL_STATE_DELETE, .r = place_of(p)};
        ops[i + 1].r.key = str_slice(keys, i * LETTER_POST_KEY, (i + 1) * LETTER_POST_KEY);
    }
    err_t e = shard_commit(p->shard, ops, n + 1);
    mem_free(ops);
    if (e == OK)
        p->seq = seq;
    return e;
}

static struct str keys_of(struct posting *g)
{
    struct str keys = STR_NONE;

    for (size_t i = 0; i < g->notes.count; i++)
        keys = arena_join(&g->arena, keys, g->notes.records[i].key);
    return keys;
}

/* Apply it, or return why not; it is handed over again then, whole. */
static SUSPENDS err_t apply(struct letter_post *p, struct posting *g)
{
    const struct sink_run *run = p->sink->sink->run;
    struct str remembered = STR_NONE;

    if (g->batch.count && run->intend)
        TRY(run->intend(p->state, &g->batch, &g->arena, &remembered));
    TRY(commit_intent(p, g, remembered));
    p->again = g->notes.count;
    if (g->batch.count)
        TRY(run->apply(p->state, &g->batch));
    TRY(commit_done(p, g->batch.seq, keys_of(g)));
    p->again = 0;
    return OK;
}

static void tell_refused(const struct letter_post *p, const struct batch *b)
{
    for (size_t i = 0; i < b->count; i++)
        if (b->items[i].refused != OK)
            log_warn(STR_NONE, "pipeline %.*s: a dead letter is not taken by errors.dlq: %.*s",
                     STR_ARG(p->shard->spec->name), STR_ARG(b->items[i].reason));
}

/* Send what is noted, as far as it is one batch. *ret_count: of notes. */
static SUSPENDS err_t send_some(struct letter_post *p, size_t *ret_count)
{
    struct posting *g CLEANUP(drop_posting) = NEW(struct posting);

    arena_init(&g->arena, SIZE_MAX);
    TRY(gather(p, g));
    *ret_count = g->notes.count;
    if (!g->notes.count)
        return OK;
    TRY(apply(p, g));
    tell_refused(p, &g->batch);
    return OK;
}

/* --- the beginning --- */

static SUSPENDS err_t find_intent(const struct letter_post *p, struct arena *arena, const struct journal_record **ret)
{
    struct journal_query q = {.kind = JOURNAL_INTENTS, .r = {.pipeline = p->shard->spec->name}};

    *ret = NULL;
    do {
        struct journal_page page;
        TRY(journal_read(p->shard->journal, &q, arena, &page));
        for (size_t i = 0; i < page.count; i++)
            if (page.records[i].shard == p->shard->number && str_eq(page.records[i].node, p->sink->name))
                *ret = &page.records[i];
        q.after = page.next;
    } while (q.after && !*ret);
    return OK;
}

static SUSPENDS err_t open_sink(struct letter_post *p)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    const struct journal_record *left;
    bool was_applied = false;

    TRY(find_intent(p, &arena, &left));
    bool is_open = left && left->state == INTENT_OPEN;
    struct str body = is_open ? left->body.bytes : STR_NONE;
    size_t count = body.n >= INTENT_HEAD ? be32_get(body.p) : 0, end = INTENT_HEAD + count * LETTER_POST_KEY;
    if (is_open && (body.n < INTENT_HEAD || body.n < end))
        return fail(E_IO, "the intent of a batch of dead letters is damaged");
    p->seq = left ? left->seq - is_open : 0;
    const struct sink_at at = {.sink = p->sink,
                               .home = p->shard,
                               .web = shard_web(p->shard),
                               .pipeline = p->shard->spec->name,
                               .shard = p->shard->number,
                               .is_open = is_open,
                               .seq = p->seq + 1,
                               .intent = is_open ? str_slice(body, end, body.n) : STR_NONE};
    TRY(p->sink->sink->run->open(&at, &was_applied, &p->state));
    p->is_open = true;
    if (is_open && was_applied)
        return commit_done(p, left->seq, str_slice(body, INTENT_HEAD, end));
    p->again = is_open ? count : 0;
    return OK;
}

/* --- the fiber --- */

static void sent(struct letter_post *p, size_t n)
{
    p->count -= n < p->count ? n : p->count;
    if (p->shard->finisher && !letter_post_count(p))
        fiber_wake(p->shard->finisher);
    for (uint16_t i = 0; i < p->shard->spec->node_count; i++)
        intake_wake(&p->shard->intakes[i]);
}

/* Until nothing is noted any more. */
static SUSPENDS err_t send_all(struct letter_post *p)
{
    size_t n = 0;

    if (!p->is_open)
        TRY(open_sink(p));
    do {
        bool is_durable = !clerk_behind(p->shard->clerk);
        size_t before = p->count;
        TRY(send_some(p, &n));
        p->is_counted = p->is_counted || !n;
        sent(p, !n && is_durable ? before : n); /* a letter may have been noted twice */
        if (!n && p->count)
            TRY(fiber_sleep_until(rt_now() + look_again));
    } while (n || p->count);
    return OK;
}

static SUSPENDS err_t pause_after(const struct letter_post *p, err_t e, ns_t *pause)
{
    log_warn(STR_NONE, "pipeline %.*s: dead letters wait for errors.dlq: %s", STR_ARG(p->shard->spec->name),
             err_detail(e));
    e = fiber_sleep_until(rt_now() + *pause);
    *pause = ns_min(2 * *pause, pause_most);
    return e;
}

static SUSPENDS err_t wait_for_letters(struct letter_post *p)
{
    err_t e = OK;

    p->sleeper = fiber_current();
    while (e == OK && !p->count)
        e = fiber_park("dead letters", NS_NEVER);
    p->sleeper = NULL;
    return e;
}

err_t letter_post_run(void *post)
{
    struct letter_post *p = post;
    ns_t pause = pause_first;
    err_t e = OK;

    while (e == OK) {
        e = send_all(p);
        if (e == E_CANCELLED)
            return e;
        if (e != OK) {
            e = pause_after(p, e, &pause);
            continue;
        }
        pause = pause_first;
        e = wait_for_letters(p);
    }
    return e;
}

void letter_post_close(struct letter_post *p)
{
    if (p && p->is_open)
        p->sink->sink->run->close(p->state);
    if (p)
        p->is_open = false;
}
