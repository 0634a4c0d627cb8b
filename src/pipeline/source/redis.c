/*
 * redis.c - messages from Redis Streams, read by a consumer group.
 *
 * A message is its stream's entry id. It is acknowledged (XACK) after it is in the journal; what another consumer left behind is claimed
 * (XAUTOCLAIM), and if the journal has it already it is dropped.
 *
 * Progress is the name of our consumer and the ids of the last batch, in the commit that took them in. Only one batch is between the journal and its
 * acknowledgement, so whoever starts again, or connects again, acknowledges these first, and what is pending for us after that is not in the journal.
 * The name is drawn once, and in the journal before the first entry is read under it: two processes with journals of their own must not take each other's pending entries for theirs.
 *
 * An entry's message is its field `body`, its key the field `key`; an entry without `body` is an object of its fields.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "client/redis_stream.h"
#include "pipeline/run/run.h"
#include "pipeline/spec/build.h"
#include "pipeline/system/reach.h"
#include "rt/loop.h"
#include "rt/scope.h"

#include <inttypes.h>

struct redis_source {
    struct schema_text stream, group, connection;
    ns_t claim_after;
};

static const struct schema_field redis_fields[] = {
    SCHEMA_TEXT("stream", struct redis_source, stream, .required = true, .doc = "Key of the stream."),
    SCHEMA_TEXT("group", struct redis_source, group, .default_doc = "the pipeline's name", .doc = "Consumer group."),
    SCHEMA_DURATION("claim_after", struct redis_source, claim_after, .default_text = "60s", .min = "1s", .max = "24h",
                    .doc = "What another consumer has not acknowledged for so long is taken over."),
    CONNECTION_FIELD(struct redis_source), SCHEMA_END};
static const struct schema_object redis_object = {
    .fields = redis_fields, .size = sizeof(struct redis_source), .shorthand = "stream"};
static const struct schema_field fields[] = {SCHEMA_OBJECT_HERE("redis", &redis_object, .doc = "A stream of Redis."),
                                             SCHEMA_END};

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct redis_source *c = n->config;

    build_connection(b, n, &c->connection);
    if (!c->group.text.n)
        c->group.text = b->spec->name;
}

static const struct promise_row promises[] = {
    {.when = "Streams",
     .promise = PROMISE_EXACTLY,
     .how = "a message is its entry id; XACK after the journal's commit, and "
            "what XAUTOCLAIM brings again is known there. What Redis itself "
            "loses in a failover, because it replicates asynchronously, is lost"},
    {0}};

/* --- running --- */

enum { BATCH = 500, REPLY_MAX = 48 << 20, NAME_BYTES = 16, MESSAGE_MAX = 16 << 20 };
static const ns_t wait_time = NS_SEC, reply_time = 30 * NS_SEC, goodbye_time = 2 * NS_SEC;

struct reader {
    struct intake *in;
    const struct pipeline_node *source;
    const struct redis_source *config;
    struct redis_session *redis;
    struct redis_group group;
    char name[NAME_BYTES]; /* of our consumer */
    struct arena arena;    /* of the next two */
    struct str *ids;       /* in the journal, not acknowledged yet */
    size_t count;
    bool has_pending; /* there may be pending entries of ours */
    ns_t claim_at;
    size_t batch; /* entries to ask for */
};

/* --- progress: the name, then ids with blanks before them --- */

static void forget_ids(struct reader *r)
{
    arena_clear(&r->arena);
    r->ids = NULL;
    r->count = 0;
}

static void draw_name(struct reader *r)
{
    uint64_t number = rt_random();

    for (size_t i = 0; i < NAME_BYTES; i++, number >>= 4)
        r->name[i] = "0123456789abcdef"[number & 15];
}

static SUSPENDS err_t recall(struct reader *r)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct str progress;

    TRY(intake_progress(r->in, 0, &a, &progress));
    if (progress.n < NAME_BYTES) {
        draw_name(r);
        return intake_note(r->in, 0, str_of(r->name, NAME_BYTES));
    }
    memcpy(r->name, progress.p, NAME_BYTES);
    struct str rest = arena_str(&r->arena, str_slice(progress, NAME_BYTES, progress.n));
    r->ids = arena_alloc(&r->arena, (rest.n + 1) * sizeof *r->ids);
    while (str_cut(&rest, ' ').p && rest.p) {
        struct str id = rest;
        id.n = str_find_char(id, ' ');
        r->ids[r->count++] = id;
    }
    return OK;
}

/* The batch's ids become those that wait for their acknowledgement. */
static struct str pack_progress(struct reader *r, const struct redis_entries *entries)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(SIZE_MAX);

    forget_ids(r);
    r->ids = arena_alloc(&r->arena, (entries->count + 1) * sizeof *r->ids);
    (void)buf_add(&text, str_of(r->name, NAME_BYTES));
    for (size_t i = 0; i < entries->count; i++) {
        r->ids[r->count++] = arena_str(&r->arena, entries->items[i].id);
        (void)buf_addf(&text, " %.*s", STR_ARG(entries->items[i].id));
    }
    return arena_str(&r->arena, buf_str(&text));
}

/* --- messages --- */

static struct str field_of(const struct redis_entry *e, struct str name)
{
    for (size_t i = 0; i + 1 < e->count; i += 2)
        if (str_eq(e->fields[i], name))
            return e->fields[i + 1];
    return STR_NONE;
}

static err_t object_of(const struct redis_entry *e, struct arena *a, struct str *ret)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(MESSAGE_MAX);

    for (size_t i = 0; i + 1 < e->count; i += 2) {
        TRY(buf_add(&text, i ? STR(",\"") : STR("{\"")));
        TRY(buf_add_json(&text, e->fields[i]));
        TRY(buf_add_lit(&text, "\":\""));
        TRY(buf_add_json(&text, e->fields[i + 1]));
        TRY(buf_add_char(&text, '"'));
    }
    TRY(buf_add_char(&text, '}'));
    *ret = arena_str(a, buf_str(&text));
    return OK;
}

/* "1700000000000-5": milliseconds, and a number among those of the same one. */
static err_t read_id(struct str id, uint64_t *ret_ms, uint64_t *ret_number)
{
    struct str rest = id, ms = str_cut(&rest, '-');

    if (!str_to_u64(ms, UINT64_MAX, ret_ms) || !str_to_u64(rest, UINT64_MAX, ret_number))
        return fail(E_PROTOCOL, "redis: \"%.*s\" is no id of an entry", STR_ARG(id));
    return OK;
}

static err_t read_message(const struct redis_entry *e, struct arena *a, struct message *m)
{
    enum { NUMBER_BITS = 20 };
    uint64_t ms, number;

    TRY(read_id(e->id, &ms, &number));
    uint64_t most = (1ULL << NUMBER_BITS) - 1, latest = INT64_MAX >> NUMBER_BITS;
    *m = (struct message){.position = (ms < latest ? ms : latest) << NUMBER_BITS | (number < most ? number : most),
                          .identity = e->id,
                          .key = field_of(e, STR("key")),
                          .body = field_of(e, STR("body")),
                          .at = ms < INT64_MAX / NS_MS ? (int64_t)ms * NS_MS : rt_wall()};
    return m->body.p ? OK : object_of(e, a, &m->body);
}

static SUSPENDS err_t tell_done(struct reader *r)
{
    struct arena a CLEANUP(arena_release) = {.max = REPLY_MAX};
    uint64_t n;

    TRY(redis_xack(r->redis, &r->group, r->ids, r->count, &a, &n));
    forget_ids(r);
    return OK;
}

/* The source is to end: what is done need not come again. */
static SUSPENDS err_t tell_done_at_last(struct reader *r)
{
    SHIELD(ns_add(rt_now(), goodbye_time));

    return tell_done(r);
}

static SUSPENDS err_t acknowledge(struct reader *r)
{
    if (r->count == 0)
        return OK;
    TRY(intake_settled(r->in));
    return fiber_is_cancelled() ? tell_done_at_last(r) : tell_done(r);
}

/* An entry that was deleted while it was pending is none any more, but is still to be acknowledged. */
static SUSPENDS err_t take_in(struct reader *r, const struct redis_entries *entries, struct arena *a)
{
    struct message *messages = arena_alloc(a, (entries->count + 1) * sizeof *messages);
    size_t n = 0;

    for (size_t i = 0; i < entries->count; i++)
        if (entries->items[i].count)
            TRY(read_message(&entries->items[i], a, &messages[n++]));
    struct str progress = pack_progress(r, entries);
    err_t e = intake_put(r->in, messages, n, progress);
    if (e != OK)
        forget_ids(r); /* they are pending, and come again */
    return e;
}

/* --- reading --- */

static SUSPENDS err_t read_entries(struct reader *r, struct str from, struct arena *a, struct redis_entries *ret)
{
    WITHIN(ns_add(rt_now(), wait_time + reply_time));

    return redis_xreadgroup(r->redis, &r->group, from, r->batch, wait_time, a, ret);
}

static SUSPENDS err_t claim_entries(struct reader *r, struct arena *a, struct redis_entries *ret)
{
    struct str cursor = STR("0");
    WITHIN(ns_add(rt_now(), reply_time));

    TRY(redis_xautoclaim(r->redis, &r->group, r->config->claim_after, r->batch, &cursor, a, ret));
    if (ret->count == 0)
        r->claim_at = ns_add(rt_now(), r->config->claim_after / 2);
    return OK;
}

/* What is next: pending entries of ours, then those that others have left, then new ones. */
static SUSPENDS err_t read_next(struct reader *r, struct arena *a, struct redis_entries *ret)
{
    if (r->has_pending) {
        TRY(read_entries(r, STR("0"), a, ret));
        r->has_pending = ret->count > 0;
        return OK;
    }
    if (rt_now() >= r->claim_at)
        return claim_entries(r, a, ret);
    return read_entries(r, STR(">"), a, ret);
}

static SUSPENDS err_t read_batch(struct reader *r)
{
    struct arena a CLEANUP(arena_release) = {.max = REPLY_MAX};
    struct redis_entries entries = {0};

    TRY(acknowledge(r));
    err_t e = reach_in_time(read_next(r, &a, &entries), "redis");
    if (e == E_TOO_LARGE && r->batch > 1) {
        r->batch /= 2;
        r->has_pending = true;
        return OK;
    }
    TRY(e);
    r->batch = BATCH;
    if (entries.count == 0)
        return OK;
    TRY(take_in(r, &entries, &a));
    return acknowledge(r);
}

static SUSPENDS err_t begin(struct reader *r)
{
    struct arena a CLEANUP(arena_release) = {.max = REPLY_MAX};

    r->has_pending = true;
    return redis_group_create(r->redis, &r->group, STR("0"), &a);
}

static SUSPENDS err_t read_for_ever(struct reader *r)
{
    ns_t pause = 0;

    TRY(recall(r));
    r->group.consumer = str_of(r->name, NAME_BYTES);
    for (;;) {
        err_t e = begin(r);
        while (e == OK) {
            e = read_batch(r);
            pause = e == OK ? 0 : pause;
        }
        if (e == E_NOT_FOUND)
            e = fail(E_AGAIN, "the stream or its group was deleted: they are made again");
        TRY(reach_wait(r->source, e, &pause));
    }
}

static SUSPENDS err_t run(struct intake *in, const struct pipeline_node *source)
{
    const struct redis_source *c = source->config;
    struct reach reach CLEANUP(reach_release) = {0};
    struct reader r = {.in = in,
                       .source = source,
                       .config = c,
                       .group = {.stream = c->stream.text, .group = c->group.text},
                       .arena = {.max = SIZE_MAX},
                       .batch = BATCH};
    struct redis_options o;

    TRY(reach_redis(source->connection, &reach, &o));
    r.redis = redis_session_new(&o);
    err_t e = read_for_ever(&r);
    redis_session_free(r.redis);
    arena_release(&r.arena);
    return e;
}

static const struct source_run source_run = {.run = run};

const struct source_kind source_kind_redis = {
    .kind = {.name = "redis",
             .fields = fields,
             .size = sizeof(struct redis_source),
             .traits = KIND_CONNECTS,
             .scheme = "redis",
             .usual_url = "redis://127.0.0.1:6379",
             .build = build},
    .rows = promises,
    .keeps = true,
    .unkept = "XACK follows when the messages of a batch are done: what is not comes again",
    .run = &source_run,
};
