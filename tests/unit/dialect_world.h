/*
 * dialect_world.h - a dialect's slots with all that they need around them, for tests of translation.
 *
 * Requests go from a client's document to a provider's; answers from a provider's bytes to events, and from events to a client's bytes. Events are
 * printed a line each, and checked for their order as they come (llm/event.h), so every test of a reader is a test of that too. Streams come
 * in pieces of many sizes, each in memory of its own, and must tell the same.
 */
#ifndef UNIT_DIALECT_WORLD_H
#define UNIT_DIALECT_WORLD_H

#include "base/attr.h"
#include "llm/answer.h"
#include "llm/dialect.h"
#include "llm/emulate.h"
#include "llm/vendor.h"
#include "unit/canon.h"
#include "unit/test.h"

#include <stdio.h>
#include <stdlib.h>

struct dialect_world {
    struct arena arena;
    struct translation t;
    struct losses losses;
    struct chat_request q;
    struct provider_call call;
    struct buf body; /* of a call to a provider */
    struct buf out;  /* for a client            */
    struct str param;
};

static inline void world_release(struct dialect_world *w)
{
    buf_release(&w->body);
    buf_release(&w->out);
    arena_release(&w->arena);
}

/* A dialect's row by its path; NULL if it has none. */
static inline const struct endpoint_row *world_row(const char *dialect, const char *path)
{
    for (const struct endpoint_row *r = dialect_find(str_from_c(dialect))->client.endpoints; r->method; r++)
        if (strcmp(r->path, path) == 0)
            return r;
    return NULL;
}

/* A client of a dialect, and a provider of a vendor (NULL: none). */
static inline void world_init(struct dialect_world *w, const char *client, const char *vendor)
{
    *w = (struct dialect_world){0};
    arena_init(&w->arena, 256 * 1024 * 1024);
    buf_init(&w->body, 64 * 1024 * 1024);
    buf_init(&w->out, 64 * 1024 * 1024);
    losses_init(&w->losses, &w->arena);
    w->t = (struct translation){.arena = &w->arena,
                                .client = dialect_find(str_from_c(client)),
                                .vendor = vendor ? vendor_find(str_from_c(vendor)) : NULL,
                                .model = STR("their-model"),
                                .client_model = STR("our-model"),
                                .default_max_output = 4096,
                                .losses = &w->losses,
                                .unique = 0x1234,
                                .now = 1790000000};
    if (w->t.vendor)
        w->t.provider = dialect_find(str_from_c(w->t.vendor->dialect));
}

/* The same for a client that came by this path. */
static inline void world_init_at(struct dialect_world *w, const char *client, const char *path, const char *vendor)
{
    world_init(w, client, vendor);
    w->t.row = world_row(client, path);
}

/* --- requests --- */

static inline err_t world_read(struct dialect_world *w, const char *json)
{
    const struct json_tree *tree;

    TRY(json_tree_parse(&w->arena, str_from_c(json), &tree));
    w->param = STR_NONE;
    return w->t.client->client.read_chat(&w->t, tree, &w->q, &w->param);
}

/* What was lost before is forgotten. */
static inline err_t world_write(struct dialect_world *w)
{
    buf_clear(&w->body);
    losses_init(&w->losses, &w->arena);
    w->call = (struct provider_call){.body = &w->body};
    return w->t.provider->provider.write_chat(&w->t, &w->q, &w->call);
}

/* The body for the provider, from the client's; "!" and the error's text if it is refused. */
static inline struct str world_translate(struct dialect_world *w, const char *json)
{
    err_t e = world_read(w, json);

    if (e == OK)
        e = world_write(w);
    if (e != OK)
        return arena_printf(&w->arena, "! %.*s: %s", STR_ARG(w->param), err_detail(e));
    return buf_str(&w->body);
}

/* Places of what was lost in one way. */
static inline struct str world_losses(struct dialect_world *w, enum loss_kind kind)
{
    return losses_list(&w->losses, kind, 4096);
}

static inline struct str world_dropped(struct dialect_world *w)
{
    return world_losses(w, LOSS_DROPPED);
}

/* --- requests built by hand, as a reader of any dialect would --- */

/* A turn with one block. */
static inline struct block *world_turn(struct dialect_world *w, enum chat_role role, enum block_kind kind,
                                       const char *text)
{
    struct turn *t = chat_add_turn(&w->q, &w->arena, role, JSON_ABSENT);
    struct block *b = chat_add_block(&t->blocks, &w->arena, kind, JSON_ABSENT);

    b->text = str_from_c(text);
    return b;
}

/* The assistant calls get_tide. */
static inline struct block *world_call(struct dialect_world *w, const char *id, const char *arguments)
{
    struct block *b = world_turn(w, CHAT_ASSISTANT, BLOCK_TOOL_CALL, NULL);

    b->id = str_from_c(id);
    b->name = STR("get_tide");
    b->arguments = str_from_c(arguments);
    return b;
}

static inline struct block *world_result(struct dialect_world *w, const char *id, const char *text)
{
    struct block *b = world_turn(w, CHAT_USER, BLOCK_TOOL_RESULT, NULL);

    b->id = str_from_c(id);
    chat_add_block(&b->content, &w->arena, BLOCK_TEXT, JSON_ABSENT)->text = str_from_c(text);
    return b;
}

static inline struct tool *world_tool(struct dialect_world *w, const char *name, const char *schema)
{
    struct tool *t = chat_add_tool(&w->q, &w->arena, TOOL_FUNCTION, JSON_ABSENT);

    t->name = str_from_c(name);
    t->parameters = str_from_c(schema);
    return t;
}

/* --- events as text --- */

struct event_log {
    struct buf text;
    bool started, over, wrong;
    unsigned next[8];
    uint64_t open[8];
    bool finished[8];
    bool join; /* pieces of a text are joined, as cutting must not matter there */
    unsigned last_choice, last_block;
    bool in_text;
};

static inline void log_wrong(struct event_log *l, const char *what)
{
    l->wrong = true;
    buf_addf(&l->text, "WRONG: %s\n", what);
}

enum { LOG_CHOICES = 8, LOG_BLOCKS = 64 }; /* that are watched; what has more is only watched as a whole */

static inline void log_check_block(struct event_log *l, const struct chat_event *e)
{
    unsigned c = e->choice, b = e->block;
    bool in_block =
        e->kind == CHAT_TEXT || e->kind == CHAT_SIGNATURE || e->kind == CHAT_CITATION || e->kind == CHAT_BLOCK_STOP;

    if (in_block && !(l->open[c] >> b & 1))
        log_wrong(l, "a block that is not open");
    if (e->kind == CHAT_TEXT && !e->text.n)
        log_wrong(l, "an empty text");
    if (e->kind == CHAT_BLOCK_START && (e->block != l->next[c]++ || l->finished[c]))
        log_wrong(l, "a block out of order");
    if (e->kind == CHAT_FINISH && (l->open[c] || l->finished[c]))
        log_wrong(l, "a finish that is none");
    if (e->kind == CHAT_BLOCK_START)
        l->open[c] |= UINT64_C(1) << b;
    if (e->kind == CHAT_BLOCK_STOP)
        l->open[c] &= ~(UINT64_C(1) << b);
    if (e->kind == CHAT_FINISH)
        l->finished[c] = true;
}

static inline void log_check(struct event_log *l, const struct chat_event *e)
{
    if (l->over)
        log_wrong(l, "an event after the end");
    if (!l->started && e->kind != CHAT_START && e->kind != CHAT_ERROR)
        log_wrong(l, "no start");
    if (e->kind == CHAT_START && l->started)
        log_wrong(l, "a second start");
    if (e->choice < LOG_CHOICES && e->block < LOG_BLOCKS)
        log_check_block(l, e);
    l->started = true;
    l->over = l->over || e->kind == CHAT_END || e->kind == CHAT_ERROR;
}

static inline void log_block(struct event_log *l, const struct chat_event *e)
{
    static const char *const kinds[] = {"text",   "image",    "audio",    "video",   "document", "call",
                                        "result", "thinking", "redacted", "refusal", "opaque"};
    buf_addf(&l->text, "open %u.%u %s", e->choice, e->block, kinds[e->block_kind]);
    if (e->block_kind == BLOCK_TOOL_CALL)
        buf_addf(&l->text, " %.*s %.*s%s", STR_ARG(e->id), STR_ARG(e->name), e->custom ? " custom" : "");
    if (e->block_kind == BLOCK_REDACTED)
        buf_addf(&l->text, " %.*s by %d", STR_ARG(e->text), (int)e->signer);
    if (e->block_kind == BLOCK_OPAQUE)
        buf_addf(&l->text, " %.*s", STR_ARG(e->text));
    if (e->media)
        buf_addf(&l->text, " %.*s", STR_ARG(e->media->data));
    buf_add_char(&l->text, '\n');
}

static inline void log_usage(struct event_log *l, const struct usage *u)
{
    buf_addf(&l->text, "usage %llu %llu cached %llu reasoning %llu", (unsigned long long)u->input,
             (unsigned long long)u->output, (unsigned long long)u->cached_input, (unsigned long long)u->reasoning);
    if (u->cache_write)
        buf_addf(&l->text, " written %llu/%llu", (unsigned long long)u->cache_write,
                 (unsigned long long)u->cache_write_1h);
    buf_add_char(&l->text, '\n');
}

static inline void log_citation(struct event_log *l, const struct chat_event *e)
{
    buf_addf(&l->text, "cites %u.%u %.*s", e->choice, e->block, STR_ARG(e->citation->url));
    if (e->citation->cited_text.n)
        buf_addf(&l->text, " %.*s", STR_ARG(e->citation->cited_text));
    buf_add_char(&l->text, '\n');
}

static inline void log_error(struct event_log *l, const struct api_error *error)
{
    buf_addf(&l->text, "error %d", (int)error_class_of(error));
    if (error->status)
        buf_addf(&l->text, " %d", error->status);
    buf_addf(&l->text, " %.*s\n", STR_ARG(error->message));
}

static inline err_t log_hear(void *ctx, const struct chat_event *e)
{
    static const char *const finishes[] = {"stop",   "stop_sequence", "length",  "tool_calls",
                                           "filter", "refusal",       "context", "pause"};
    struct event_log *l = ctx;
    bool joins =
        l->join && e->kind == CHAT_TEXT && l->in_text && l->last_choice == e->choice && l->last_block == e->block;

    log_check(l, e);
    if (joins) {
        l->text.n--; /* the line end of the piece before */
        buf_addf(&l->text, "%.*s\n", STR_ARG(e->text));
        return OK;
    }
    l->in_text = e->kind == CHAT_TEXT;
    l->last_choice = e->choice;
    l->last_block = e->block;
    switch (e->kind) {
    case CHAT_START:
        buf_addf(&l->text, "start %.*s %.*s\n", STR_ARG(e->id), STR_ARG(e->model));
        break;
    case CHAT_BLOCK_START:
        log_block(l, e);
        break;
    case CHAT_TEXT:
        buf_addf(&l->text, "text %u.%u %.*s\n", e->choice, e->block, STR_ARG(e->text));
        break;
    case CHAT_SIGNATURE:
        buf_addf(&l->text, "signature %u.%u %.*s by %d\n", e->choice, e->block, STR_ARG(e->text), (int)e->signer);
        break;
    case CHAT_CITATION:
        log_citation(l, e);
        break;
    case CHAT_LOGPROBS:
        buf_addf(&l->text, "logprobs %u.%u %.*s\n", e->choice, e->block, STR_ARG(e->text));
        break;
    case CHAT_BLOCK_STOP:
        buf_addf(&l->text, "close %u.%u\n", e->choice, e->block);
        break;
    case CHAT_USAGE:
        log_usage(l, e->usage);
        break;
    case CHAT_FINISH:
        buf_addf(&l->text, "finish %u %s %.*s\n", e->choice, finishes[e->finish], STR_ARG(e->stop_sequence));
        break;
    case CHAT_END:
        buf_addf(&l->text, "end\n");
        break;
    case CHAT_ERROR:
        log_error(l, e->error);
        break;
    }
    return OK;
}

static inline void log_release(struct event_log *l)
{
    buf_release(&l->text);
}

/* --- answers of a provider --- */

/* A stream, and the pieces in which it comes: the first, then others of one size. 0: all that is left. */
struct arrival {
    enum framing framing;
    struct str bytes;
    size_t first, each;
};

/* How a dialect's streams are cut into messages, unless a row of it says otherwise. */
static inline enum framing world_framing(const struct dialect *d)
{
    static const struct endpoint_row row;
    struct translation t = {.row = &row};

    return d->client.framing ? d->client.framing(&t) : FRAMING_SSE;
}

struct feeding {
    const struct dialect *dialect;
    struct framer *framer;
    void *reader;
    struct arena scratch;
    const struct chat_sink *sink;
};

static inline void feeding_release(struct feeding *g)
{
    arena_release(&g->scratch);
}

static inline err_t feed_frames(struct feeding *g, struct str piece)
{
    struct frame f;
    bool got = true;

    while (got) {
        TRY(framer_next(g->framer, &piece, &got, &f));
        if (got)
            TRY(g->dialect->provider.reader_frame(g->reader, &f, &g->scratch, g->sink));
        arena_clear(&g->scratch);
    }
    return OK;
}

/* A piece in memory of its own, so that nothing may point into it afterwards. */
static inline err_t feed_piece(struct feeding *g, struct str piece)
{
    char *own = malloc(piece.n + !piece.n);

    if (piece.n)
        memcpy(own, piece.p, piece.n);
    err_t e = feed_frames(g, str_of(own, piece.n));
    free(own);
    return e;
}

/* Have a dialect's reader read a stream. */
static inline err_t world_feed(const struct dialect *d, const struct arrival *from, struct arena *arena,
                               const struct chat_sink *sink)
{
    struct feeding g CLEANUP(feeding_release) = {.dialect = d,
                                                 .framer = framer_new(arena, from->framing, 0),
                                                 .reader = arena_zalloc(arena, d->provider.reader_size),
                                                 .sink = sink};
    struct frame last;
    bool got;

    arena_init(&g.scratch, 64 * 1024 * 1024);
    TRY(d->provider.reader_begin(g.reader, arena));
    for (size_t at = 0, size = from->first; at < from->bytes.n; at += size, size = from->each) {
        if (!size)
            size = from->bytes.n - at;
        TRY(feed_piece(&g, str_slice(from->bytes, at, at + size)));
    }
    TRY(framer_end(g.framer, &got, &last));
    if (got)
        TRY(d->provider.reader_frame(g.reader, &last, &g.scratch, sink));
    return d->provider.reader_end(g.reader, sink);
}

/* A stream as the text of its events; "!" and the error's text if it cannot be read. In the arena. */
static inline struct str world_events(const struct dialect *d, const struct arrival *from, struct arena *arena)
{
    struct event_log log CLEANUP(log_release) = {.text = BUF_INIT(16 * 1024 * 1024), .join = true};
    struct chat_sink sink = {log_hear, &log};
    struct arena own CLEANUP(arena_release);

    arena_init(&own, 64 * 1024 * 1024);
    err_t e = world_feed(d, from, &own, &sink);
    return e == OK ? arena_str(arena, buf_str(&log.text)) : arena_printf(arena, "! %s", err_detail(e));
}

/* The same, cut in two at each place and in pieces of up to 40 bytes, which must not matter. In the arena. */
static inline struct str world_framed_events(const struct dialect *d, enum framing framing, struct str bytes,
                                             struct arena *arena)
{
    enum { EACH_MAX = 40 };
    struct str want = world_events(d, &(struct arrival){framing, bytes, 0, 0}, arena);
    struct arena own CLEANUP(arena_release);

    arena_init(&own, 64 * 1024 * 1024);
    for (size_t i = 1; i < bytes.n + EACH_MAX; i += test_step()) {
        struct arrival from = {.framing = framing, .bytes = bytes, .first = i};
        if (i >= bytes.n)
            from.first = from.each = i - bytes.n + 1;
        struct str got = world_events(d, &from, &own);
        if (!str_eq(want, got))
            return arena_printf(arena, "pieces of %zu and %zu: %.*s", from.first, from.each, STR_ARG(got));
        arena_clear(&own);
    }
    return want;
}

static inline struct str world_bytes_events(const char *dialect, struct str bytes, struct arena *arena)
{
    const struct dialect *d = dialect_find(str_from_c(dialect));

    return world_framed_events(d, world_framing(d), bytes, arena);
}

static inline struct str world_stream_events(const char *dialect, const char *bytes, struct arena *arena)
{
    return world_bytes_events(dialect, str_from_c(bytes), arena);
}

/* A provider's whole answer as the text of its events. */
static inline struct str world_answer_events(const char *dialect, const char *body, struct arena *arena)
{
    struct event_log log CLEANUP(log_release) = {.text = BUF_INIT(16 * 1024 * 1024)};
    struct chat_sink sink = {log_hear, &log};
    err_t e = dialect_find(str_from_c(dialect))->provider.read_answer(arena, str_from_c(body), &sink);

    if (e != OK)
        return arena_printf(arena, "! %s", err_detail(e));
    return arena_str(arena, buf_str(&log.text));
}

/* For read_error(): an answer without headers. */
static inline struct str world_no_header(void *ctx, struct str name)
{
    (void)ctx;
    (void)name;
    return STR_NONE;
}

/* --- answers to the client --- */

struct client_writer {
    const struct dialect *dialect;
    void *state;
    struct buf *to;
};

static inline err_t client_hear(void *ctx, const struct chat_event *e)
{
    struct client_writer *c = ctx;

    return c->dialect->client.writer_event(c->state, e, c->to);
}

static inline struct answer_frame world_frame(struct dialect_world *w)
{
    return (struct answer_frame){.arena = &w->arena,
                                 .t = &w->t,
                                 .request = &w->q,
                                 .model = w->t.client_model,
                                 .created = w->t.now,
                                 .unique = w->t.unique,
                                 .input_estimate = 7};
}

static inline err_t world_writer(struct dialect_world *w, const struct answer_frame *f, struct client_writer *ret)
{
    const struct client_side *c = &w->t.client->client;

    *ret = (struct client_writer){w->t.client, arena_zalloc(&w->arena, c->writer_size), &w->out};
    buf_clear(&w->out);
    return c->writer_begin(ret->state, f, &w->out);
}

/* What the world's client hears of these events. */
static inline struct str world_say(struct dialect_world *w, const struct chat_event *events, size_t n)
{
    struct answer_frame f = world_frame(w);
    struct client_writer writer;
    err_t e = world_writer(w, &f, &writer);

    for (size_t i = 0; e == OK && i < n; i++)
        e = client_hear(&writer, &events[i]);
    return e == OK ? buf_str(&w->out) : arena_printf(&w->arena, "! %s", err_detail(e));
}

/* The same events as a whole answer. */
static inline struct str world_say_whole(struct dialect_world *w, const struct chat_event *events, size_t n)
{
    struct answer_frame f = world_frame(w);
    struct answer a;
    struct chat_sink sink = answer_sink(answer_builder_new(&w->arena, &a));
    err_t e = OK;

    buf_clear(&w->out);
    for (size_t i = 0; e == OK && i < n; i++)
        e = chat_tell(&sink, &events[i]);
    if (e == OK)
        e = w->t.client->client.write_answer(&f, &a, &w->out);
    return e == OK ? buf_str(&w->out) : arena_printf(&w->arena, "! %s", err_detail(e));
}

/* What the world's client hears of a provider's stream. */
static inline struct str world_stream_bytes(struct dialect_world *w, const char *provider, struct str bytes)
{
    const struct dialect *d = dialect_find(str_from_c(provider));
    struct arrival from = {.framing = world_framing(d), .bytes = bytes};
    struct answer_frame f = world_frame(w);
    struct client_writer writer;
    struct chat_sink client = {client_hear, &writer};
    struct emulator *m = emulator_new(&w->arena, &w->call, &client);
    struct chat_sink sink = m ? emulator_sink(m) : client;
    err_t e = world_writer(w, &f, &writer);

    if (e == OK)
        e = world_feed(d, &from, &w->arena, &sink);
    return e == OK ? buf_str(&w->out) : arena_printf(&w->arena, "! %s", err_detail(e));
}

static inline struct str world_stream(struct dialect_world *w, const char *provider, const char *bytes)
{
    return world_stream_bytes(w, provider, str_from_c(bytes));
}

/* What the world's client gets of a provider's whole answer. */
static inline struct str world_answer(struct dialect_world *w, const char *provider, const char *body)
{
    struct answer_frame f = world_frame(w);
    struct answer a;
    struct chat_sink whole = answer_sink(answer_builder_new(&w->arena, &a));
    struct emulator *m = emulator_new(&w->arena, &w->call, &whole);
    struct chat_sink sink = m ? emulator_sink(m) : whole;
    err_t e = dialect_find(str_from_c(provider))->provider.read_answer(&w->arena, str_from_c(body), &sink);

    buf_clear(&w->out);
    if (e == OK)
        e = w->t.client->client.write_answer(&f, &a, &w->out);
    return e == OK ? buf_str(&w->out) : arena_printf(&w->arena, "! %s", err_detail(e));
}

/* --- checks --- */

/* Does `text` hold `piece`? With words for the failure. */
#define CHECK_HOLDS(text, piece)                                                                                       \
    do {                                                                                                               \
        struct str holds_text_ = (text);                                                                               \
        const char *holds_piece_ = (piece);                                                                            \
        CHECK_MSG(str_find(holds_text_, str_from_c(holds_piece_)) < holds_text_.n, "no %s in:\n%.*s", holds_piece_,    \
                  STR_ARG(holds_text_));                                                                               \
    } while (0)
#define CHECK_LACKS(text, piece)                                                                                       \
    do {                                                                                                               \
        struct str lacks_text_ = (text);                                                                               \
        const char *lacks_piece_ = (piece);                                                                            \
        CHECK_MSG(str_find(lacks_text_, str_from_c(lacks_piece_)) == lacks_text_.n, "%s in:\n%.*s", lacks_piece_,      \
                  STR_ARG(lacks_text_));                                                                               \
    } while (0)
/* Does a dialect's reader tell these events of a stream, in whatever pieces it comes? */
#define CHECK_EVENTS(w, dialect, framing, bytes, want)                                                                 \
    CHECK_STR(world_framed_events((dialect), (framing), (bytes), &(w)->arena), (want))
/* Was this place noted, by its pointer? */
#define CHECK_LOSS(w, kind, pointer) CHECK_HOLDS(world_losses((w), (kind)), (pointer))

#endif
