/*
 * dialect_world.h - a dialect's slots with all that they need around them, for tests of translation.
 *
 * Events are printed a line each, and checked for their order as they come (llm/event.h), so every test of a reader is a test of that too.
 */
#ifndef UNIT_DIALECT_WORLD_H
#define UNIT_DIALECT_WORLD_H

#include "base/attr.h"
#include "llm/answer.h"
#include "llm/dialect.h"
#include "llm/emulate.h"
#include "llm/vendor.h"
#include "test.h"

#include <stdio.h>

struct dialect_world {
    struct arena arena;
    struct translation t;
    struct losses losses;
    struct chat_request q;
    struct provider_call call;
    struct buf body;
    struct str param;
};

static inline void world_release(struct dialect_world *w)
{
    buf_release(&w->body);
    arena_release(&w->arena);
}

static inline void world_init(struct dialect_world *w, const char *client, const char *vendor)
{
    *w = (struct dialect_world){0};
    arena_init(&w->arena, 256 * 1024 * 1024);
    buf_init(&w->body, 64 * 1024 * 1024);
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

static inline err_t world_read(struct dialect_world *w, const char *json)
{
    const struct json_tree *tree;

    TRY(json_tree_parse(&w->arena, str_from_c(json), &tree));
    return w->t.client->client.read_chat(&w->t, tree, &w->q, &w->param);
}

static inline err_t world_write(struct dialect_world *w)
{
    buf_clear(&w->body);
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

static inline struct str world_dropped(struct dialect_world *w)
{
    return losses_list(&w->losses, LOSS_DROPPED, 4096);
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
    if (e->media)
        buf_addf(&l->text, " %.*s", STR_ARG(e->media->data));
    buf_add_char(&l->text, '\n');
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
        buf_addf(&l->text, "cites %u.%u %.*s\n", e->choice, e->block, STR_ARG(e->citation->url));
        break;
    case CHAT_LOGPROBS:
        buf_addf(&l->text, "logprobs %u.%u %.*s\n", e->choice, e->block, STR_ARG(e->text));
        break;
    case CHAT_BLOCK_STOP:
        buf_addf(&l->text, "close %u.%u\n", e->choice, e->block);
        break;
    case CHAT_USAGE:
        buf_addf(&l->text, "usage %llu %llu cached %llu reasoning %llu\n", (unsigned long long)e->usage->input,
                 (unsigned long long)e->usage->output, (unsigned long long)e->usage->cached_input,
                 (unsigned long long)e->usage->reasoning);
        break;
    case CHAT_FINISH:
        buf_addf(&l->text, "finish %u %s %.*s\n", e->choice, finishes[e->finish], STR_ARG(e->stop_sequence));
        break;
    case CHAT_END:
        buf_addf(&l->text, "end\n");
        break;
    case CHAT_ERROR:
        buf_addf(&l->text, "error %d %.*s\n", (int)error_class_of(e->error), STR_ARG(e->error->message));
        break;
    }
    return OK;
}

static inline void log_release(struct event_log *l)
{
    buf_release(&l->text);
}

/* --- answers --- */

/* How a dialect's streams are cut into messages, unless a row of it says otherwise. */
static inline enum framing world_framing(const struct dialect *d)
{
    static const struct endpoint_row row;
    struct translation t = {.row = &row};

    return d->client.framing ? d->client.framing(&t) : FRAMING_SSE;
}

/* Feed a stream in pieces of `first`, then the rest, to a dialect's reader. */
static inline err_t world_feed(const struct dialect *d, struct str bytes, size_t cut, struct arena *arena,
                               const struct chat_sink *sink)
{
    struct arena scratch CLEANUP(arena_release);
    struct framer *framer = framer_new(arena, world_framing(d), 0);
    void *reader = arena_zalloc(arena, d->provider.reader_size);
    struct str pieces[2] = {str_slice(bytes, 0, cut), str_slice(bytes, cut, bytes.n)};
    struct frame f;
    bool got;

    arena_init(&scratch, 64 * 1024 * 1024);
    TRY(d->provider.reader_begin(reader, arena));
    for (int i = 0; i < 2; i++) {
        for (;;) {
            TRY(framer_next(framer, &pieces[i], &got, &f));
            if (!got)
                break;
            TRY(d->provider.reader_frame(reader, &f, &scratch, sink));
            arena_clear(&scratch);
        }
    }
    TRY(framer_end(framer, &got, &f));
    if (got)
        TRY(d->provider.reader_frame(reader, &f, &scratch, sink));
    return d->provider.reader_end(reader, sink);
}

/* A provider's stream as the text of its events, the same wherever it is cut. In the arena. */
static inline struct str world_bytes_events(const char *dialect, struct str all, struct arena *arena)
{
    struct str want = STR_NONE;

    for (size_t cut = 0; cut <= all.n; cut++) {
        struct event_log log CLEANUP(log_release) = {.text = BUF_INIT(16 * 1024 * 1024), .join = true};
        struct chat_sink sink = {log_hear, &log};
        struct arena own CLEANUP(arena_release);
        arena_init(&own, 64 * 1024 * 1024);
        err_t e = world_feed(dialect_find(str_from_c(dialect)), all, cut, &own, &sink);
        if (e != OK)
            return arena_printf(arena, "! %s", err_detail(e));
        if (cut == 0)
            want = arena_str(arena, buf_str(&log.text));
        else if (!str_eq(want, buf_str(&log.text)))
            return arena_printf(arena, "cut at %zu: %.*s", cut, STR_ARG(buf_str(&log.text)));
    }
    return want;
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
                                 .unique = w->t.unique};
}

/* What the world's client hears of a provider's stream. */
static inline struct str world_stream_bytes(struct dialect_world *w, const char *provider, struct str bytes)
{
    struct answer_frame f = world_frame(w);
    const struct dialect *c = w->t.client;
    struct client_writer writer = {c, arena_zalloc(&w->arena, c->client.writer_size), &w->body};
    struct chat_sink client = {client_hear, &writer};
    struct emulator *m = emulator_new(&w->arena, &w->call, &client);
    struct chat_sink sink = m ? emulator_sink(m) : client;

    buf_clear(&w->body);
    err_t e = c->client.writer_begin(writer.state, &f, &w->body);
    if (e == OK)
        e = world_feed(dialect_find(str_from_c(provider)), bytes, 0, &w->arena, &sink);
    return e == OK ? buf_str(&w->body) : arena_printf(&w->arena, "! %s", err_detail(e));
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
    struct answer_builder *b = answer_builder_new(&w->arena, &a);
    struct chat_sink whole = answer_sink(b);
    struct emulator *m = emulator_new(&w->arena, &w->call, &whole);
    struct chat_sink sink = m ? emulator_sink(m) : whole;
    err_t e = dialect_find(str_from_c(provider))->provider.read_answer(&w->arena, str_from_c(body), &sink);

    buf_clear(&w->body);
    if (e == OK)
        e = w->t.client->client.write_answer(&f, &a, &w->body);
    return e == OK ? buf_str(&w->body) : arena_printf(&w->arena, "! %s", err_detail(e));
}

/* Does `text` hold `piece`? With words for the failure. */
#define CHECK_HOLDS(text, piece)                                                                                       \
    do {                                                                                                               \
        struct str holds_text_ = (text);                                                                               \
        CHECK_MSG(str_find(holds_text_, STR(piece)) < holds_text_.n, "no %s in:\n%.*s", piece, STR_ARG(holds_text_));  \
    } while (0)
#define CHECK_LACKS(text, piece)                                                                                       \
    do {                                                                                                               \
        struct str lacks_text_ = (text);                                                                               \
        CHECK_MSG(str_find(lacks_text_, STR(piece)) == lacks_text_.n, "%s in:\n%.*s", piece, STR_ARG(lacks_text_));    \
    } while (0)

#endif
