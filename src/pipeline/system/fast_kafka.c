/*
 * fast_kafka.c - consume, transform, produce: a batch is one transaction of Kafka's, which holds what comes of its messages and the offsets behind them.
 *
 * The idea: where everything between the source and the sinks is a function, and both are one cluster, Kafka can do by itself what the journal is for. A
 * transaction commits outputs and progress together, as the member of the group that we are at that moment; a member that has lost its partitions is
 * refused. After a crash the group begins behind the last transaction that was committed.
 *
 * Two fibers: one reads and transforms, the other commits. So the next batch is worked out while the brokers commit the one before; records are handed to the
 * producer only within their own transaction. All failures are met in one way: the session (producer and consumer) is closed and opened anew, which
 * aborts the transaction, since the new producer takes the same id, and reads on from what is committed. That costs a join, and needs no account of
 * which positions in the client are still right.
 *
 * Invariants: a batch is committed, or thrown away with its session, before its partitions are given back. A root lives while its message is worked on.
 * Records are produced in the order of the messages that they come of.
 *
 * What it does not do: dead letters within the transaction. They are in the journal before the transaction is committed, under ids that are the same when
 * a batch is done again.
 */
#include "pipeline/system/fast_kafka.h"

#include "base/log.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "expr/value.h"
#include "pipeline/run/message.h"
#include "pipeline/run/shard_int.h"
#include "pipeline/spec/promise.h"
#include "pipeline/system/kafka_link.h"
#include "rt/loop.h"

#include <assert.h>
#include <string.h>

enum { MEMBER_BYTES = 8 };

/* Shorter than usual: for so long, what a crash left open holds up who reads behind it. */
static const ns_t transaction_time = 15 * NS_SEC, pause_first = 100 * NS_MS, pause_most = 10 * NS_SEC;

/* What one poll brought, worked out. */
struct work {
    struct kafka_batch *batch;
    struct arena arena;
    struct kafka_record *records;
    struct kafka_partition *next; /* offsets behind the messages */
    size_t record_count, record_cap, next_count;
};

/* A producer and a member of the group, until either fails. */
struct session {
    struct shard *shard;
    const struct pipeline_node *source;
    const struct kafka_reads *reads;
    struct kafka_config config;
    struct str id; /* transactional */
    size_t most;   /* messages of a batch */
    ns_t linger;   /* for so many         */
    struct kafka_consumer *c;
    struct kafka_producer *p;
    struct work *ready, *committing; /* NULL: none */
    struct fiber *reader, *committer;
    struct partition partition; /* all of them: its roots are nobody's but ours */
    struct buf text;            /* of what is just packed or printed     */
    bool is_replaced;           /* another process has our member's name */
    bool has_committed;         /* since it was opened                   */
};

/* --- which pipelines --- */

bool fast_kafka_fits(const struct pipeline_spec *s)
{
    const struct pipeline_node *source = NULL;
    unsigned sinks = 0;

    for (uint16_t i = 0; i < s->node_count; i++) {
        if (s->nodes[i]->role != PIPELINE_SOURCE)
            continue;
        if (source)
            return false;
        source = s->nodes[i];
    }
    for (uint16_t i = 0; source && i < s->node_count; i++) {
        if (s->nodes[i]->role != PIPELINE_SINK || s->nodes[i] == s->dlq)
            continue;
        if (!promise_of(s, source, s->nodes[i]).is_fast)
            return false;
        sinks++;
    }
    return sinks > 0;
}

/* --- transform --- */

static void work_free(struct work *w)
{
    if (!w)
        return;
    kafka_batch_release(w->batch);
    mem_free(w->records);
    arena_release(&w->arena);
    mem_free(w);
}

static struct kafka_record *next_record(struct work *w)
{
    enum { FIRST = 64 };

    if (w->record_count == w->record_cap) {
        w->record_cap = w->record_cap ? 2 * w->record_cap : FIRST;
        w->records = mem_realloc(w->records, w->record_cap * sizeof *w->records);
    }
    return &w->records[w->record_count];
}

/* The record as it will be produced, when its root is gone. */
static err_t print_record(struct session *s, struct work *w, const struct pipeline_node *sink, struct record *r)
{
    struct kafka_record *to = next_record(w);
    const struct kafka_text *t = kafka_sink_text(sink);

    buf_clear(&s->text);
    TRY(expr_value_print(r->value, &s->text));
    TRY(kafka_link_record(t, sink, r, arena_str(&w->arena, buf_str(&s->text)), to));
    if (to->key.p)
        to->key = arena_str(&w->arena, to->key);
    if (!t->topic_text.n)
        to->topic = arena_str(&w->arena, to->topic);
    w->record_count++;
    return OK;
}

/* What the sinks were given. */
static void take_records(struct session *s, struct work *w)
{
    const struct pipeline_spec *spec = s->shard->spec;
    struct record *r;

    for (uint16_t i = 0; i < spec->node_count; i++) {
        if (spec->nodes[i]->role != PIPELINE_SINK)
            continue;
        while ((r = record_queue_take(&s->shard->emitters[i].queue))) {
            err_t e = print_record(s, w, spec->nodes[i], r);
            if (e != OK)
                shard_dead_letter(r, e);
            root_record_done(r, e == OK);
        }
    }
}

/* Offsets, one for each partition of the batch. */
static void note_offset(struct work *w, const struct kafka_message *m)
{
    size_t i = w->next_count;

    while (i > 0 && (w->next[i - 1].partition != m->partition || !str_eq(w->next[i - 1].topic, m->topic)))
        i--;
    if (i == 0) {
        w->next[w->next_count++] = (struct kafka_partition){.topic = m->topic, .partition = m->partition};
        i = w->next_count;
    }
    w->next[i - 1].offset = m->offset + 1;
}

/* What cannot even be begun. */
static void bury(struct session *s, const struct journal_record *r, err_t cause)
{
    struct journal_op dead = {.kind = JOURNAL_DEAD_PUT, .r = *r};

    dead.r.root = r->id;
    dead.r.node = s->source->name;
    dead.r.cause = str_from_c(err_name(cause));
    dead.r.body = (struct journal_body){.form = BODY_DEAD_LETTER, .bytes = str_from_c(err_detail(cause))};
    letter_post_note(s->shard->post, &r->id);
    clerk_note(s->shard->clerk, &dead);
    meter_dead(s->shard, s->source->index, cause);
}

static err_t begin(struct session *s, const struct message *m, struct journal_record *r, struct root **ret)
{
    buf_clear(&s->text);
    TRY(message_check(m));
    TRY(message_pack(m, s->shard->digest, &s->text));
    return root_unpack(&s->partition, r, buf_str(&s->text), ret);
}

static void work_on(struct session *s, struct work *w, const struct kafka_message *m)
{
    struct shard *shard = s->shard;
    const struct message message = kafka_link_message(s->reads, m, (uint32_t)m->partition, &w->arena);
    struct journal_record record = {.id = root_id(shard->spec, s->source, &message),
                                    .pipeline = shard->spec->name,
                                    .source = s->source->name,
                                    .partition = message.partition,
                                    .seq = message.position,
                                    .at = message.at};
    struct root *r;

    err_t e = begin(s, &message, &record, &r);
    if (e != OK) {
        bury(s, &record, e);
        return;
    }
    shard->stats.roots++;
    root_enter(r);
    root_start(r);
    take_records(s, w);
}

/* Takes the batch. Gives way to other fibers now and then. */
static err_t transform(struct session *s, struct kafka_batch *b, struct work **ret) SUSPENDS
{
    struct work *w = NEW(struct work);
    err_t e = OK;

    arena_init(&w->arena, SIZE_MAX);
    w->batch = b;
    w->next = arena_alloc(&w->arena, b->message_count * sizeof *w->next);
    for (size_t i = 0; i < b->message_count && e == OK; i++) {
        work_on(s, w, &b->messages[i]);
        note_offset(w, &b->messages[i]);
        e = fiber_tick();
    }
    if (e == OK)
        *ret = w;
    else
        work_free(w);
    return e;
}

/* --- commit --- */

static err_t commit(struct session *s, const struct work *w) SUSPENDS
{
    enum kafka_class class; /* whatever it is, the session ends */

    TRY(clerk_flush(s->shard->clerk));
    TRY(kafka_begin(s->p, &class));
    TRY(kafka_produce(s->p, w->records, w->record_count, &class));
    TRY(kafka_transaction_offsets(s->p, s->c, w->next, w->next_count, &class));
    TRY(kafka_commit(s->p, &class));
    s->shard->stats.emitted += w->record_count;
    s->has_committed = true;
    return OK;
}

static SUSPENDS err_t commit_all(void *session)
{
    struct session *s = session;

    for (;;) {
        while (!s->ready)
            TRY(fiber_park("a batch", NS_NEVER));
        s->committing = s->ready;
        s->ready = NULL;
        fiber_wake(s->reader);
        TRY(commit(s, s->committing));
        work_free(s->committing);
        s->committing = NULL;
        fiber_wake(s->reader);
    }
}

/* --- read --- */

static err_t hand_over(struct session *s, struct kafka_batch *b) SUSPENDS
{
    struct work *w;
    err_t e = OK;

    TRY(transform(s, b, &w));
    while (e == OK && s->ready)
        e = fiber_park("a commit", NS_NEVER);
    if (e != OK) {
        work_free(w);
        return e;
    }
    s->ready = w;
    fiber_wake(s->committer);
    return OK;
}

/* Partitions come or go: with nothing of theirs under way. What was lost meanwhile is refused by the brokers, which ends the session. */
static err_t change(struct session *s, const struct kafka_partition *list, size_t n, enum kafka_change what) SUSPENDS
{
    while (s->ready || s->committing)
        TRY(fiber_park("a commit", NS_NEVER));
    return what == KAFKA_ASSIGNED ? kafka_assign(s->c, list, n) : kafka_unassign(s->c, list, n);
}

static err_t read_one(struct session *s) SUSPENDS
{
    struct arena arena CLEANUP(arena_release) = {0};
    struct kafka_batch *b;

    TRY(kafka_poll(s->c, s->most, NS_NEVER, &b));
    arena_init(&arena, SIZE_MAX);
    enum kafka_change what = b->change;
    size_t n = b->partition_count;
    struct kafka_partition *list = kafka_link_copy(b->partitions, n, &arena);
    if (b->message_count)
        TRY(hand_over(s, b));
    else
        kafka_batch_release(b);
    return what == KAFKA_UNCHANGED ? OK : change(s, list, n, what);
}

static SUSPENDS err_t read_all(void *session)
{
    struct session *s = session;

    for (;;) {
        err_t e = read_one(s);
        s->is_replaced = e == E_FENCED;
        if (e == OK)
            continue;
        if (e == E_CANCELLED || e == E_DEADLINE || e == E_FENCED || e == E_CONFIG)
            return e;
        log_warn(STR_NONE, "pipeline %.*s: %s", STR_ARG(s->shard->spec->name), err_detail(e));
    }
}

/* --- sessions --- */

static err_t read_and_commit(struct session *s) SUSPENDS
{
    SCOPE(both, NS_NEVER);
    err_t first;

    s->reader = scope_spawn(&both, "kafka reader", read_all, s);
    s->committer = scope_spawn(&both, "kafka committer", commit_all, s);
    TRY(scope_wait_any(&both, NS_NEVER, &first));
    return first;
}

static err_t open_and_run(struct session *s) SUSPENDS
{
    const struct kafka_producer_options o = {.transactional_id = s->id, .transaction_timeout = transaction_time};
    enum kafka_class class;

    TRY(kafka_producer_open(&s->config, &o, &s->p));
    TRY(kafka_transactions_init(s->p, &class));
    TRY(kafka_link_join(s->source, s->shard->number, s->linger, &s->c));
    return read_and_commit(s);
}

static err_t run_session(struct session *s) SUSPENDS
{
    s->has_committed = false;
    err_t e = open_and_run(s);
    const struct err_record why = *err_current();

    work_free(s->ready);
    work_free(s->committing);
    s->ready = s->committing = NULL;
    kafka_consumer_close(s->c);
    kafka_producer_close(s->p);
    s->c = NULL;
    s->p = NULL;
    return fail(e, "%s", e == why.code ? why.text : err_text(e));
}

static SUSPENDS err_t run_sessions(void *session)
{
    struct session *s = session;

    for (ns_t pause = pause_first;; pause = ns_min(2 * pause, pause_most)) {
        err_t e = run_session(s);
        if (e == E_CANCELLED || e == E_DEADLINE || e == E_CONFIG || s->is_replaced)
            return e;
        log_warn(STR_NONE, "pipeline %.*s: %s; it goes on from what is committed", STR_ARG(s->shard->spec->name),
                 err_detail(e));
        if (s->has_committed)
            pause = pause_first;
        TRY(fiber_sleep_until(rt_now() + pause));
    }
}

/* So many messages as the sink with the largest batches wants. */
static size_t most_of(const struct pipeline_spec *s)
{
    size_t most = 1;

    for (uint16_t i = 0; i < s->node_count; i++)
        if (s->nodes[i]->role == PIPELINE_SINK && s->nodes[i]->effect.batch > most)
            most = s->nodes[i]->effect.batch;
    return most;
}

/* How long the messages of a batch may wait for each other: as the most impatient sink says. */
static ns_t linger_of(const struct pipeline_spec *s)
{
    ns_t least = NS_NEVER;

    for (uint16_t i = 0; i < s->node_count; i++)
        if (s->nodes[i]->role == PIPELINE_SINK && s->nodes[i] != s->dlq)
            least = ns_min(least, s->nodes[i]->effect.linger);
    return least;
}

/* The name of this process among those of the group: its own from start to end, unless the file gives it one for longer. */
static struct str member_name(const struct kafka_reads *reads, struct arena *arena)
{
    unsigned char bytes[MEMBER_BYTES];
    char text[2 * MEMBER_BYTES];

    if (reads->member.n)
        return reads->member;
    rt_random_bytes(bytes, sizeof bytes);
    hex_encode(text, bytes, sizeof bytes);
    return arena_str(arena, str_of(text, sizeof text));
}

static err_t prepare(struct session *s, struct arena *arena) SUSPENDS
{
    const struct pipeline_spec *spec = s->shard->spec;

    for (uint16_t i = 0; i < spec->node_count; i++)
        if (spec->nodes[i]->role == PIPELINE_SOURCE)
            s->source = spec->nodes[i];
    assert(s->source); /* only pipelines with one come here */
    s->reads = kafka_source_reads(s->source);
    s->most = most_of(spec);
    s->linger = linger_of(spec);
    s->partition = (struct partition){.intake = &s->shard->intakes[s->source->index]};
    s->id = kafka_link_id(arena, spec->name, s->source->name, member_name(s->reads, arena), s->shard->number);
    return kafka_link_make(s->source->connection, KAFKA_PRODUCER, arena, &s->config);
}

/* Until it fails, or is to drain: what is not committed then is read again by whoever is next. */
static SUSPENDS err_t run_and_flush(void *session)
{
    struct session *s = session;
    SCOPE(sources, NS_NEVER);

    s->shard->sources = &sources;
    if (s->shard->is_draining)
        scope_cancel(&sources);
    scope_spawn(&sources, "kafka sessions", run_sessions, s);
    err_t e = scope_wait_all(&sources);
    s->shard->sources = NULL;
    TRY(e);
    return clerk_flush(s->shard->clerk);
}

static err_t run_with_clerk(struct session *s) SUSPENDS
{
    SCOPE(fibers, NS_NEVER);
    err_t first;

    scope_spawn(&fibers, "pipeline clerk", clerk_run, s->shard->clerk);
    scope_spawn(&fibers, "pipeline", run_and_flush, s);
    if (s->shard->post)
        scope_spawn(&fibers, "pipeline letters", letter_post_run, s->shard->post);
    TRY(scope_wait_any(&fibers, NS_NEVER, &first));
    return first;
}

err_t fast_kafka_run(struct shard *shard)
{
    struct session s = {.shard = shard, .text = BUF_INIT(2 * JOURNAL_BODY_MAX)};
    struct arena arena CLEANUP(arena_release) = {0};

    if (shard->only_finishes)
        return OK; /* there is nothing but what is committed */
    shard->is_fast = true;
    arena_init(&arena, SIZE_MAX);
    err_t e = prepare(&s, &arena);
    if (e == OK)
        e = run_with_clerk(&s);
    letter_post_close(shard->post);
    web_free(shard->web);
    shard->web = NULL;
    buf_release(&s.text);
    return e;
}
