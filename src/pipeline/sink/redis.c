/*
 * redis.c - records to Redis: a script checks the batch's number, writes, and advances it, all on one hash slot.
 *
 * The number lies under a key of its own, `crossdock:emit:{TAG}:pipeline/sink/shard`, with the hash tag of the key that is written to, if its text tells
 * one: then both are on one slot of a cluster. An entry of a stream has the fields `id` and `body`; strings and lists get the record as JSON.
 *
 * When a key of the batch is of another type the script writes nothing. The keys are looked at then, and what goes to the wrong ones becomes dead letters.
 */
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "client/redis_stream.h"
#include "pipeline/run/run.h"
#include "pipeline/spec/build.h"
#include "pipeline/system/reach.h"
#include "pipeline/system/web.h"
#include "rt/loop.h"
#include "rt/scope.h"

#include <inttypes.h>

struct redis_sink {
    struct schema_text key, connection;
    int as;
    unsigned max_length;
    ns_t expires;
    const struct template *key_text;
    struct str pipeline;
};

static const struct schema_choice forms[] = {{"stream", REDIS_AS_STREAM, "an entry of a stream (XADD)"},
                                             {"string", REDIS_AS_STRING, "the value of the key (SET)"},
                                             {"list", REDIS_AS_LIST, "an element at the list's end (RPUSH)"},
                                             {NULL, 0, NULL}};
static const struct schema_field redis_fields[] = {
    SCHEMA_TEXT(
        "key", struct redis_sink, key, .required = true,
        .doc = "Key; may hold expressions, and a hash tag that is the same for all of them: `{cases}:{{.region}}`."),
    SCHEMA_ENUM("as", struct redis_sink, as, forms, .default_text = "stream", .doc = "What is stored there."),
    SCHEMA_UNSIGNED("max_length", struct redis_sink, max_length, .default_doc = "no limit",
                    .doc = "Of a stream: about so many entries are kept."),
    SCHEMA_DURATION("expires", struct redis_sink, expires, .default_text = "none", .never = true, .min = "1ms",
                    .doc = "Of a string: when it goes."),
    CONNECTION_FIELD(struct redis_sink),
    SCHEMA_END};
static const struct schema_object redis_object = {
    .fields = redis_fields, .size = sizeof(struct redis_sink), .shorthand = "key"};
static const struct schema_field fields[] = {
    SCHEMA_OBJECT_HERE("redis", &redis_object, .doc = "A stream, string or list of Redis."), SCHEMA_END};

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct redis_sink *c = n->config;

    build_connection(b, n, &c->connection);
    build_reads(b, n, STR("."));
    c->key_text = build_template(b, n, &c->key);
    c->pipeline = b->spec->name;
}

static const struct promise_row promises[] = {{.when = "",
                                               .promise = PROMISE_EXACTLY,
                                               .how = "on one primary and one hash slot: a script checks the batch's "
                                                      "number, writes, and advances it. A failover can lose what was "
                                                      "acknowledged, because Redis replicates asynchronously"},
                                              {0}};

/* --- running --- */

enum { KEY_MAX = 4096, ANSWER_MAX = 1 << 20 };
static const ns_t reply_time = 30 * NS_SEC;

struct writer {
    const struct pipeline_node *sink;
    const struct redis_sink *config;
    struct reach reach;
    struct redis_session *redis;
    struct str sequence_key;
    uint64_t epoch;
    struct arena arena;
};

/* What a batch becomes. In an arena of its own. */
struct writing {
    struct arena arena;
    struct str *keys; /* each once */
    size_t key_count;
    struct map places; /* their places + 1 */
    struct redis_emission *emissions;
    size_t *items; /* of which item each is */
    size_t count;
};

/* "{tag}" of a text outside of expressions; all of it if it has neither. */
static struct str tag_of(struct str key)
{
    bool has_expressions = str_find(key, STR("{{")) < key.n;

    for (size_t i = 0; i + 1 < key.n; i++) {
        if (key.p[i] != '{')
            continue;
        if (key.p[i + 1] == '{') {
            i += str_find(str_slice(key, i, key.n), STR("}}")) + 1;
            continue;
        }
        size_t n = str_find_char(str_slice(key, i + 1, key.n), '}');
        return i + 1 + n < key.n ? str_slice(key, i + 1, i + 1 + n) : STR_NONE;
    }
    return has_expressions ? STR_NONE : key;
}

/* --- opening --- */

static SUSPENDS err_t take_over(struct writer *w, const struct sink_at *at, bool *ret_applied)
{
    const uint64_t seq = at->seq;
    struct arena a CLEANUP(arena_release) = {.max = ANSWER_MAX};
    uint64_t there = 0;

    TRY(redis_take_over(w->redis, w->sequence_key, seq - 1, &a, &w->epoch, &there));
    TRY(shard_is_ours(at->home));
    *ret_applied = at->is_open && there == seq;
    if (*ret_applied || there == seq - 1)
        return OK;
    log_warn(STR_NONE,
             "pipeline %.*s: sink %.*s: Redis has seen batch %" PRIu64 ", the journal %" PRIu64
             ": they are not of one life, and batches are counted from the journal's on",
             STR_ARG(w->config->pipeline), STR_ARG(w->sink->name), there, seq - 1);
    return redis_renumber(w->redis, w->sequence_key, w->epoch, seq - 1, &a);
}

static SUSPENDS err_t make_ready(struct writer *w, const struct sink_at *at, bool *ret_applied)
{
    struct redis_options o;

    TRY(reach_redis(w->sink->connection, &w->reach, &o));
    w->redis = redis_session_new(&o);
    return take_over(w, at, ret_applied);
}

static void close_writer(void *state)
{
    struct writer *w = state;

    redis_session_free(w->redis);
    reach_release(&w->reach);
    arena_release(&w->arena);
    mem_free(w);
}

static SUSPENDS err_t open_writer(const struct sink_at *at, bool *ret_applied, void **ret_state)
{
    struct writer *w = NEW(struct writer);

    w->sink = at->sink;
    w->config = at->sink->config;
    arena_init(&w->arena, SIZE_MAX);
    struct str tag = tag_of(w->config->key.text);
    w->sequence_key =
        arena_printf(&w->arena, "crossdock:emit:%s%.*s%s:%.*s/%.*s/%" PRIu32, tag.n ? "{" : "", STR_ARG(tag),
                     tag.n ? "}" : "", STR_ARG(w->config->pipeline), STR_ARG(at->sink->name), at->shard);
    err_t e = make_ready(w, at, ret_applied);
    if (e != OK) {
        close_writer(w);
        return e;
    }
    *ret_state = w;
    return OK;
}

/* --- batches --- */

static void refuse(struct batch_item *item, err_t e)
{
    item->refused = e;
    item->reason = arena_str(step_arena(&(struct step){.root = item->record->root}), str_from_c(err_detail(e)));
}

/* The place of a key, which is new or was there before. */
static unsigned place_of(struct writing *t, struct str key)
{
    uintptr_t place = (uintptr_t)map_get(&t->places, key);

    if (!place) {
        t->keys[t->key_count] = key;
        place = ++t->key_count;
        (void)map_put(&t->places, key, (void *)place);
    }
    return (unsigned)place - 1;
}

static err_t add_item(const struct writer *w, struct writing *t, const struct batch *b, size_t i)
{
    const struct batch_item *item = &b->items[i];
    struct step s = {.root = item->record->root, .node = w->sink, .in = item->record};
    struct str key, *words = arena_alloc(&t->arena, 4 * sizeof *words);
    bool is_stream = w->config->as == REDIS_AS_STREAM;

    TRY(step_render(&s, w->config->key_text, KEY_MAX, &key));
    words[0] = is_stream ? STR("id") : item->text;
    words[1] = step_id_text(&s);
    words[2] = STR("body");
    words[3] = item->text;
    t->items[t->count] = i;
    t->emissions[t->count++] =
        (struct redis_emission){.key = place_of(t, key), .fields = words, .count = is_stream ? 4 : 1};
    return OK;
}

static void begin_writing(const struct writer *w, const struct batch *b, struct writing *t)
{
    *t = (struct writing){.arena.max = SIZE_MAX};
    t->keys = arena_alloc(&t->arena, (b->count + 1) * sizeof *t->keys);
    t->emissions = arena_alloc(&t->arena, (b->count + 1) * sizeof *t->emissions);
    t->items = arena_alloc(&t->arena, (b->count + 1) * sizeof *t->items);
    for (size_t i = 0; i < b->count; i++) {
        err_t e = b->items[i].refused == OK ? add_item(w, t, b, i) : OK;
        if (e != OK)
            refuse(&b->items[i], e);
    }
}

static void end_writing(struct writing *t)
{
    map_release(&t->places);
    arena_release(&t->arena);
}

static SUSPENDS err_t emit(struct writer *w, struct writing *t, uint64_t seq)
{
    const struct redis_batch batch = {.sequence_key = w->sequence_key,
                                      .epoch = w->epoch,
                                      .keys = t->keys,
                                      .key_count = t->key_count,
                                      .emissions = t->emissions,
                                      .count = t->count,
                                      .number = seq,
                                      .form = (enum redis_form)w->config->as,
                                      .length_max = w->config->max_length,
                                      .expires = w->config->expires == NS_NEVER ? 0 : w->config->expires};
    bool was_applied;

    return redis_emit(w->redis, &batch, &t->arena, &was_applied);
}

/* Some key is of another type: which, and whose records are these? */
static SUSPENDS err_t find_wrong_keys(struct writer *w, struct writing *t, const struct batch *b)
{
    struct str want = w->config->as == REDIS_AS_LIST ? STR("list") : STR("stream");

    for (size_t k = 0; k < t->key_count; k++) {
        struct str words[] = {STR("TYPE"), t->keys[k]};
        struct resp reply;
        TRY(redis_session_do(w->redis, words, ARRAY_LEN(words), &t->arena, &reply));
        if (str_eq(reply.text, STR("none")) || str_eq(reply.text, want))
            continue;
        for (size_t i = 0; i < t->count; i++)
            if (t->emissions[i].key == k)
                refuse(&b->items[t->items[i]],
                       fail(E_CONFLICT, "the key \"%.*s\" is a %.*s", STR_ARG(t->keys[k]), STR_ARG(reply.text)));
    }
    return OK;
}

static SUSPENDS err_t write_once(struct writer *w, const struct batch *b)
{
    struct writing t CLEANUP(end_writing);

    size_t known = batch_refused(b);
    begin_writing(w, b, &t);
    if (batch_refused(b) != known)
        return fail(E_CONFLICT, "records are refused");
    err_t e = emit(w, &t, b->seq);
    if (e != E_CONFLICT)
        return e;
    TRY(find_wrong_keys(w, &t, b));
    return e;
}

static SUSPENDS err_t write_in_time(struct writer *w, const struct batch *b)
{
    WITHIN(ns_add(rt_now(), reply_time));

    return write_once(w, b);
}

static SUSPENDS err_t apply(void *state, const struct batch *b)
{
    return reach_in_time(write_in_time(state, b), "redis");
}

static const struct sink_run sink_run = {.open = open_writer, .apply = apply, .close = close_writer};

const struct sink_kind sink_kind_redis = {
    .kind = {.name = "redis",
             .fields = fields,
             .size = sizeof(struct redis_sink),
             .traits = KIND_CALLS | KIND_CONNECTS,
             .scheme = "redis",
             .usual_url = "redis://127.0.0.1:6379",
             .build = build},
    .rows = promises,
    .run = &sink_run,
};
