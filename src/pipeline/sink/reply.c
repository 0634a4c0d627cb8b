/*
 * reply.c - the answer to who sent the message: of a source `chat`, or `http` with `mode: reply`.
 *
 * The reply is kept under the request's id before it is sent, so a sender that comes again gets the same one. Of several records for one root the first
 * is the reply.
 *
 * Whoever asks a pipeline as a model hears the reply as it comes. Of an answer that a `chunk` has cut up, each record is a piece, and the reply is all of
 * them, to the end of the message. A model's answer that is the reply as it is, is heard while the model writes.
 */
#include "base/mem.h"
#include "pipeline/door/replies.h"
#include "pipeline/spec/build.h"

struct reply_sink {
    struct schema_text body;
    unsigned status;
    const struct expr *expr;
    struct schema_text between;
    bool is_whole; /* what it gets is the reply, as it is */
};

static const struct schema_field reply_fields[] = {
    SCHEMA_TEXT("body", struct reply_sink, body, .default_text = ".", .doc = "Expression for what is sent."),
    SCHEMA_UNSIGNED("status", struct reply_sink, status, .default_text = "200", .min = "200", .max = "599",
                    .doc = "HTTP status."),
    SCHEMA_TEXT("between", struct reply_sink, between, .default_text = " ",
                .doc = "Of `chat`, behind a `chunk`: what stands between two pieces of the answer."),
    SCHEMA_END};
static const struct schema_object reply_object = {
    .fields = reply_fields, .size = sizeof(struct reply_sink), .shorthand = "body"};
static const struct schema_field fields[] = {
    SCHEMA_OBJECT_HERE("reply", &reply_object, .doc = "The answer to the request that a source `http` took in."),
    SCHEMA_END};

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct reply_sink *c = n->config;

    c->expr = build_mapping(b, n, &c->body);
    c->is_whole = str_eq(str_trim(c->body.text), STR(".")) && n->input_count == 1;
}

static const struct promise_row rows[] = {
    {.when = "",
     .promise = PROMISE_KEYED,
     .how = "the reply is kept under the request's id, and given again to a sender that comes again"},
    {0}};

/* --- running --- */

struct reply_state {
    const struct pipeline_node *sink;
};

static err_t open_sink(const struct sink_at *at, bool *ret_applied, void **ret_state)
{
    struct reply_state *state = NEW(struct reply_state);

    state->sink = at->sink;
    *ret_applied = false; /* a reply may be put again: it is the same */
    *ret_state = state;
    return OK;
}

static err_t make_body(const struct reply_state *state, struct record *rec, struct buf *to)
{
    const struct reply_sink *c = state->sink->config;
    struct step s = {.root = rec->root, .node = state->sink, .in = rec};
    struct expr_value v;

    TRY(step_eval(&s, c->expr, &v));
    return expr_value_print(v, to);
}

/* The reply that the item is; false: it will never be one, and says why. */
static bool make_reply(const struct reply_state *state, struct batch_item *item, struct arena *arena, struct reply *ret)
{
    const struct reply_sink *c = state->sink->config;
    struct buf body CLEANUP(buf_release) = BUF_INIT(JOURNAL_BODY_MAX / 2);
    struct root *r = item->record->root;
    struct shard *shard = r->shard;

    item->refused = make_body(state, item->record, &body);
    if (item->refused != OK) {
        item->reason = arena_str(&r->arena, str_from_c(err_detail(item->refused)));
        return false;
    }
    replies_spent(shard_replies(shard, shard->spec->nodes[r->source]), r->id, r->count.input_tokens,
                  r->count.output_tokens);
    *ret = (struct reply){.to = shard_replies(shard, shard->spec->nodes[r->source]),
                          .id = r->id,
                          .status = (int)c->status,
                          .body = arena_str(arena, buf_str(&body))};
    return true;
}

static bool hears_pieces(const struct root *r)
{
    return r->shard->spec->nodes[r->source]->source->hears_pieces;
}

/* Each record that the sink gets is a piece of the reply. */
static bool is_in_pieces(const struct reply_state *state, const struct root *r)
{
    return state->sink->gets_pieces && hears_pieces(r);
}

/* The text of a piece: a text's own, else its JSON. */
static err_t say_piece(const struct reply_state *state, struct record *rec)
{
    const struct reply_sink *c = state->sink->config;
    struct step s = {.root = rec->root, .node = state->sink, .in = rec};
    struct shard *shard = rec->root->shard;
    struct buf text CLEANUP(buf_release) = BUF_INIT(JOURNAL_BODY_MAX / 2);
    struct str piece;
    struct expr_value v;

    TRY(step_eval(&s, c->expr, &v));
    if (v.kind == JSON_STRING) {
        TRY(expr_value_text(v, step_arena(&s), &piece));
    } else {
        TRY(expr_value_print(v, &text));
        piece = buf_str(&text);
    }
    return replies_add(shard_replies(shard, shard->spec->nodes[rec->root->source]), rec->root->id, c->between.text,
                       piece);
}

static void say_pieces(const struct reply_state *state, const struct batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        struct batch_item *item = &b->items[i];
        struct root *r = item->record->root;
        if (item->is_applied || !is_in_pieces(state, r))
            continue;
        item->refused = say_piece(state, item->record);
        item->is_applied = item->refused == OK;
        if (item->refused != OK)
            item->reason = arena_str(&r->arena, str_from_c(err_detail(item->refused)));
    }
}

/* Its sender has heard another one begin. */
static bool is_interruption(const struct batch_item *item)
{
    const struct root *r = item->record->root;

    return r->is_spoken && memcmp(&item->record->id, &r->speaker, sizeof r->speaker) != 0;
}

static bool hear(const struct pipeline_node *sink, struct root *r, struct journal_id id, struct str text)
{
    const struct reply_sink *c = sink->config;
    struct shard *shard = r->shard;

    if (!c->is_whole || c->status > 299 || r->is_replied || !hears_pieces(r))
        return false;
    if (r->is_spoken && memcmp(&id, &r->speaker, sizeof id) != 0)
        return false;
    if (!replies_tell(shard_replies(shard, shard->spec->nodes[r->source]), r->id, text))
        return false;
    r->is_spoken = true;
    r->speaker = id;
    return true;
}

/* Those of the batch are kept with one commit: each takes as long as the disk does. */
static SUSPENDS err_t reply_all(const struct reply_state *state, const struct batch *b, struct arena *arena)
{
    struct reply *replies = arena_alloc(arena, b->count * sizeof *replies);
    struct root **roots = arena_alloc(arena, b->count * sizeof *roots);
    size_t n = 0;

    for (size_t i = 0; i < b->count; i++) {
        struct batch_item *item = &b->items[i];
        struct root *r = item->record->root;
        if (item->is_applied || item->refused != OK || r->is_replied || is_interruption(item) ||
            !make_reply(state, item, arena, &replies[n]))
            continue;
        r->is_replied = true; /* the first one counts */
        roots[n++] = r;
    }
    err_t e = replies_put(replies, n, arena);
    for (size_t i = 0; e != OK && i < n; i++)
        roots[i]->is_replied = false;
    return e;
}

static SUSPENDS err_t apply(void *state, const struct batch *b)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};

    say_pieces(state, b);
    TRY(reply_all(state, b, &arena));
    for (size_t i = 0; i < b->count; i++)
        b->items[i].is_applied = true;
    return OK;
}

static void close_sink(void *state)
{
    mem_free(state);
}

static const struct sink_run sink_run = {.open = open_sink, .apply = apply, .close = close_sink, .hear = hear};

const struct sink_kind sink_kind_reply = {
    .kind =
        {.name = "reply", .fields = fields, .size = sizeof(struct reply_sink), .traits = KIND_REPLIES, .build = build},
    .rows = rows,
    .run = &sink_run,
};
