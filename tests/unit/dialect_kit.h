/*
 * dialect_kit.h - what tests of dialects share: a translation with its arena, requests in and out, and answers as lists of events.
 */
#ifndef UNIT_DIALECT_KIT_H
#define UNIT_DIALECT_KIT_H

#include "base/buf.h"
#include "llm/dialect.h"
#include "llm/vendor.h"
#include "unit/canon.h"
#include "unit/test.h"

#include <stdlib.h>

struct kit {
    struct arena arena, scratch;
    struct losses losses;
    struct translation t;
    struct chat_request q;
    struct str param;
    struct buf body, out; /* of a call to a provider; for a client */
    struct provider_call call;
    struct answer_frame frame;
};

static inline const struct endpoint_row *kit_row(const struct dialect *d, const char *path)
{
    for (const struct endpoint_row *r = d->client.endpoints; r->method; r++)
        if (strcmp(r->path, path) == 0)
            return r;
    return NULL;
}

static inline void kit_release(struct kit *k)
{
    buf_release(&k->body);
    buf_release(&k->out);
    arena_release(&k->arena);
    arena_release(&k->scratch);
}

static inline void kit_init(struct kit *k, const char *client, const char *path, const char *vendor)
{
    *k = (struct kit){0};
    arena_init(&k->arena, SIZE_MAX / 2);
    arena_init(&k->scratch, SIZE_MAX / 2);
    buf_init(&k->body, 1 << 24);
    buf_init(&k->out, 1 << 24);
    losses_init(&k->losses, &k->arena);
    k->t = (struct translation){.arena = &k->arena,
                                .client = dialect_find(str_from_c(client)),
                                .vendor = vendor_find(str_from_c(vendor)),
                                .model = STR("claude-opus-4-7"),
                                .client_model = STR("chat"),
                                .default_max_output = 4096,
                                .losses = &k->losses,
                                .unique = 0x1234,
                                .now = 1700000000};
    k->t.provider = dialect_find(str_from_c(k->t.vendor->dialect));
    k->t.row = kit_row(k->t.client, path);
    k->frame = (struct answer_frame){.arena = &k->arena,
                                     .t = &k->t,
                                     .request = &k->q,
                                     .model = STR("chat"),
                                     .created = 1700000000,
                                     .unique = 0x1234,
                                     .input_estimate = 7};
}

static inline err_t kit_read(struct kit *k, const char *json)
{
    const struct json_tree *doc;

    TRY(json_tree_parse(&k->arena, str_from_c(json), &doc));
    k->param = STR_NONE;
    return k->t.client->client.read_chat(&k->t, doc, &k->q, &k->param);
}

static inline err_t kit_write(struct kit *k)
{
    buf_clear(&k->body);
    losses_init(&k->losses, &k->arena);
    k->call = (struct provider_call){.body = &k->body};
    return k->t.provider->provider.write_chat(&k->t, &k->q, &k->call);
}

/* The body that a client's request becomes; or the words of the error. */
static inline struct str kit_translate(struct kit *k, const char *json)
{
    err_t e = kit_read(k, json);

    if (e == OK)
        e = kit_write(k);
    return e == OK ? buf_str(&k->body) : str_from_c(err_detail(e));
}

static inline struct str kit_canon(struct kit *k, const struct chat_request *q)
{
    return canon_request(q, &k->arena);
}

/* Is a part of the text? Without blanks of JSON in either, tests are short. */
static inline bool kit_has(struct str text, const char *part)
{
    struct str p = str_from_c(part);

    return str_find(text, p) < text.n || str_eq(text, p);
}

#define CHECK_HAS(text, part)                                                                                          \
    do {                                                                                                               \
        struct str has_text_ = (text);                                                                                 \
        CHECK_MSG(kit_has(has_text_, (part)), "no %s in\n%.*s", (part), STR_ARG(has_text_));                           \
    } while (0)
#define CHECK_HAS_NOT(text, part)                                                                                      \
    do {                                                                                                               \
        struct str has_text_ = (text);                                                                                 \
        CHECK_MSG(!kit_has(has_text_, (part)), "%s in\n%.*s", (part), STR_ARG(has_text_));                             \
    } while (0)
/* Was this place noted, by its pointer? */
#define CHECK_LOSS(k, kind, pointer) CHECK_HAS(losses_list(&(k)->losses, (kind), 4000), (pointer))

/* --- events as lines --- */

static inline void kit_field(struct buf *to, const char *name, struct str text)
{
    if (text.n)
        buf_addf(to, " %s=<%.*s>", name, STR_ARG(text));
}

static inline err_t kit_hear(void *ctx, const struct chat_event *e)
{
    static const char *const kinds[] = {"text",   "image",    "audio",    "video",   "document", "call",
                                        "result", "thinking", "redacted", "refusal", "opaque"};
    static const char *const ends[] = {"stop",   "stop_sequence", "length",  "tool_calls",
                                       "filter", "refusal",       "context", "pause"};
    struct buf *to = ctx;

    switch (e->kind) {
    case CHAT_START:
        buf_addf(to, "start %.*s %.*s\n", STR_ARG(e->id), STR_ARG(e->model));
        break;
    case CHAT_BLOCK_START:
        buf_addf(to, "%u.%u %s", e->choice, e->block, kinds[e->block_kind]);
        kit_field(to, "id", e->id);
        kit_field(to, "name", e->name);
        kit_field(to, "blob", e->text);
        if (e->media)
            kit_field(to, "data", e->media->data);
        buf_add(to, e->custom ? STR(" custom\n") : STR("\n"));
        break;
    case CHAT_TEXT:
        buf_addf(to, "%u.%u + %.*s\n", e->choice, e->block, STR_ARG(e->text));
        break;
    case CHAT_SIGNATURE:
        buf_addf(to, "%u.%u signature %d %.*s\n", e->choice, e->block, e->signer, STR_ARG(e->text));
        break;
    case CHAT_CITATION:
        buf_addf(to, "%u.%u citation %.*s %.*s\n", e->choice, e->block, STR_ARG(e->citation->url),
                 STR_ARG(e->citation->cited_text));
        break;
    case CHAT_LOGPROBS:
        buf_addf(to, "%u logprobs %.*s\n", e->choice, STR_ARG(e->text));
        break;
    case CHAT_BLOCK_STOP:
        buf_addf(to, "%u.%u .\n", e->choice, e->block);
        break;
    case CHAT_USAGE:
        buf_addf(to, "usage in=%llu out=%llu cached=%llu written=%llu/%llu thought=%llu\n",
                 (unsigned long long)e->usage->input, (unsigned long long)e->usage->output,
                 (unsigned long long)e->usage->cached_input, (unsigned long long)e->usage->cache_write,
                 (unsigned long long)e->usage->cache_write_1h, (unsigned long long)e->usage->reasoning);
        break;
    case CHAT_FINISH:
        buf_addf(to, "%u %s %.*s\n", e->choice, ends[e->finish], STR_ARG(e->stop_sequence));
        break;
    case CHAT_END:
        buf_add_lit(to, "end\n");
        break;
    case CHAT_ERROR:
        buf_addf(to, "error %d %d %.*s\n", e->error->error_class, e->error->status, STR_ARG(e->error->message));
        break;
    }
    return OK;
}

/* A listener that prints and gathers, so that the order of events is checked as well. */
struct kit_listener {
    struct buf *text;
    struct chat_sink builder;
    bool failed;
};

static inline err_t kit_listen(void *ctx, const struct chat_event *e)
{
    struct kit_listener *l = ctx;

    TRY(kit_hear(l->text, e));
    err_t said = l->builder.hear(l->builder.ctx, e);
    if (said != OK && e->kind != CHAT_ERROR) {
        buf_addf(l->text, "DISORDER %s\n", err_detail(said));
        return said;
    }
    return OK;
}

static inline err_t kit_frames(struct kit *k, const struct dialect *d, void *reader, struct framer *f, struct str in,
                               const struct chat_sink *sink)
{
    struct frame frame;
    bool got = true;

    while (got) {
        TRY(framer_next(f, &in, &got, &frame));
        if (got)
            TRY(d->provider.reader_frame(reader, &frame, &k->scratch, sink));
        arena_clear(&k->scratch);
    }
    return OK;
}

/* A provider's stream, in pieces of this size each copied to its own memory, as lines of events. */
static inline struct str kit_events(struct kit *k, const struct dialect *d, enum framing framing, struct str bytes,
                                    size_t piece)
{
    struct buf text = BUF_INIT(1 << 24);
    struct answer *a = arena_new(&k->arena, struct answer);
    struct kit_listener l = {.text = &text, .builder = answer_sink(answer_builder_new(&k->arena, a))};
    struct chat_sink sink = {kit_listen, &l};
    struct framer *f = framer_new(&k->arena, framing, 0);
    void *reader = arena_zalloc(&k->arena, d->provider.reader_size);
    struct frame last;
    bool got = false;
    err_t e = d->provider.reader_begin(reader, &k->arena);

    for (size_t at = 0; e == OK && at < bytes.n; at += piece) {
        struct str in = str_slice(bytes, at, at + piece);
        char *own = malloc(in.n);
        memcpy(own, in.p, in.n);
        e = kit_frames(k, d, reader, f, str_of(own, in.n), &sink);
        free(own);
    }
    if (e == OK)
        e = framer_end(f, &got, &last);
    if (e == OK && got)
        e = d->provider.reader_frame(reader, &last, &k->scratch, &sink);
    if (e == OK)
        e = d->provider.reader_end(reader, &sink);
    if (e != OK)
        buf_addf(&text, "FAILED %s\n", err_detail(e));
    struct str s = arena_str(&k->arena, buf_str(&text));
    buf_release(&text);
    return s;
}

/* A provider's whole answer as lines of events. */
static inline struct str kit_answer_events(struct kit *k, const struct dialect *d, const char *body)
{
    struct buf text = BUF_INIT(1 << 24);
    struct answer *a = arena_new(&k->arena, struct answer);
    struct kit_listener l = {.text = &text, .builder = answer_sink(answer_builder_new(&k->arena, a))};
    struct chat_sink sink = {kit_listen, &l};
    err_t e = d->provider.read_answer(&k->arena, str_from_c(body), &sink);

    if (e != OK)
        buf_addf(&text, "FAILED %s\n", err_detail(e));
    struct str s = arena_str(&k->arena, buf_str(&text));
    buf_release(&text);
    return s;
}

/* A provider's whole answer as the client gets it. */
static inline struct str kit_relayed(struct kit *k, const char *body)
{
    struct answer *a = arena_new(&k->arena, struct answer);
    struct chat_sink sink = answer_sink(answer_builder_new(&k->arena, a));
    err_t e = k->t.provider->provider.read_answer(&k->arena, str_from_c(body), &sink);

    buf_clear(&k->out);
    if (e == OK)
        e = k->t.client->client.write_answer(&k->frame, a, &k->out);
    return e == OK ? buf_str(&k->out) : str_from_c(err_detail(e));
}

/* The stream however it is cut must give the same events. */
#define CHECK_EVENTS(k, dialect, framing, bytes, want)                                                                 \
    do {                                                                                                               \
        struct str events_bytes_ = (bytes);                                                                            \
        CHECK_STR(kit_events((k), (dialect), (framing), events_bytes_, events_bytes_.n + 1), (want));                  \
        for (size_t piece_ = 1; piece_ < events_bytes_.n && piece_ < 40; piece_++)                                     \
            CHECK_STR(kit_events((k), (dialect), (framing), events_bytes_, piece_), (want));                           \
    } while (0)

/* --- events to a client --- */

static inline struct str kit_stream(struct kit *k, const struct chat_event *events, size_t n)
{
    const struct client_side *c = &k->t.client->client;
    void *writer = arena_zalloc(&k->arena, c->writer_size);
    err_t e;

    buf_clear(&k->out);
    e = c->writer_begin(writer, &k->frame, &k->out);
    for (size_t i = 0; e == OK && i < n; i++)
        e = c->writer_event(writer, &events[i], &k->out);
    return e == OK ? buf_str(&k->out) : str_from_c(err_detail(e));
}

/* The same events as a whole answer. */
static inline struct str kit_whole(struct kit *k, const struct chat_event *events, size_t n)
{
    struct answer *a = arena_new(&k->arena, struct answer);
    struct chat_sink sink = answer_sink(answer_builder_new(&k->arena, a));

    buf_clear(&k->out);
    for (size_t i = 0; i < n; i++) {
        err_t e = chat_tell(&sink, &events[i]);
        if (e != OK)
            return str_from_c(err_detail(e));
    }
    return k->t.client->client.write_answer(&k->frame, a, &k->out) == OK ? buf_str(&k->out) : STR("FAILED");
}

#endif
