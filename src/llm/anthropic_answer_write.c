/*
 * anthropic_answer_write.c - canonical answers as clients of the Messages API hear them: whole, streamed, and errors.
 *
 * Of a stream the client hears one block after the other. The first block that is not over is told as it comes; what comes for others
 * meanwhile is held. A block is announced with the first thing that it says, so a text without text is never seen, and a thought without words only
 * if it is signed. The reason for stopping and the usage come last, once.
 *
 * Models of Google sign tool calls. The Messages API has no place for that, so such a call gets a thinking block without words before it that
 * carries the signature (llm/signature.h); anthropic_request_read.c puts it back. Signatures of plain texts, which no provider demands back,
 * are left out.
 */
#include "base/date.h"
#include "base/utf8.h"
#include "codec/base64.h"
#include "codec/eventstream.h"
#include "codec/json_out.h"
#include "llm/anthropic_int.h"
#include "llm/signature.h"
#include "llm/tool_args.h"
#include "llm/tool_id.h"

enum { HELD_MAX = 64 * 1024 * 1024, EVENT_MAX = 16 * 1024 * 1024 };

/* --- parts of answers --- */

static struct str message_id(const struct answer_frame *f, struct str theirs)
{
    return str_starts(theirs, STR("msg_")) ? theirs
                                           : arena_printf(f->arena, "msg_%016llx", (unsigned long long)f->unique);
}

static struct str call_id(const struct answer_frame *f, struct str theirs, unsigned index)
{
    return theirs.n ? tool_id_fit(TOOL_ID_ANTHROPIC, theirs, f->arena)
                    : arena_printf(f->arena, "toolu_%016llx_%u", (unsigned long long)f->unique, index);
}

static struct str stop_reason(enum finish finish, bool has_call)
{
    switch (finish) {
    case FINISH_STOP:
    case FINISH_TOOL_CALLS:
        return has_call ? STR("tool_use") : STR("end_turn");
    case FINISH_STOP_SEQUENCE:
        return has_call ? STR("tool_use") : STR("stop_sequence");
    case FINISH_LENGTH:
        return STR("max_tokens");
    case FINISH_FILTER:
    case FINISH_REFUSAL:
        return STR("refusal");
    case FINISH_CONTEXT:
        return STR("model_context_window_exceeded");
    case FINISH_PAUSE:
        return STR("pause_turn");
    }
    return STR("end_turn");
}

static void put_stop(struct json_out *o, enum finish finish, struct str sequence, bool has_call)
{
    struct str reason = stop_reason(finish, has_call);

    json_member_str(o, STR("stop_reason"), reason);
    if (str_eq(reason, STR("stop_sequence")) && sequence.n)
        json_member_str(o, STR("stop_sequence"), sequence);
    else
        json_member_null(o, STR("stop_sequence"));
    if (!str_eq(reason, STR("refusal"))) {
        json_member_null(o, STR("stop_details"));
        return;
    }
    json_member_open(o, STR("stop_details"), '{');
    json_member_str(o, STR("type"), STR("refusal"));
    json_member_null(o, STR("category"));
    json_member_null(o, STR("explanation"));
    json_close(o, '}');
}

static void put_tier(struct json_out *o, struct str tier)
{
    if (str_eq(tier, STR("default")))
        tier = STR("standard");
    if (str_eq(tier, STR("standard")) || str_eq(tier, STR("priority")) || str_eq(tier, STR("batch")))
        json_member_str(o, STR("service_tier"), tier);
    else
        json_member_null(o, STR("service_tier"));
}

/* Anthropic counts what came from its cache or went there apart from the rest of the input. */
static void put_input(struct json_out *o, const struct usage *u)
{
    json_member_u64(o, STR("input_tokens"), usage_less(usage_less(u->input, u->cached_input), u->cache_write));
    json_member_u64(o, STR("cache_creation_input_tokens"), u->cache_write);
    json_member_u64(o, STR("cache_read_input_tokens"), u->cached_input);
}

static void put_output(struct json_out *o, const struct usage *u)
{
    json_member_u64(o, STR("output_tokens"), u->output);
    json_member_open(o, STR("output_tokens_details"), '{');
    json_member_u64(o, STR("thinking_tokens"), u->reasoning);
    json_close(o, '}');
    json_member_null(o, STR("server_tool_use"));
}

/* Of a message. */
static void put_usage(struct json_out *o, const struct usage *u, struct str tier)
{
    json_member_open(o, STR("usage"), '{');
    put_input(o, u);
    json_member_open(o, STR("cache_creation"), '{');
    json_member_u64(o, STR("ephemeral_5m_input_tokens"), usage_less(u->cache_write, u->cache_write_1h));
    json_member_u64(o, STR("ephemeral_1h_input_tokens"), u->cache_write_1h);
    json_close(o, '}');
    put_output(o, u);
    put_tier(o, tier);
    json_member_null(o, STR("inference_geo"));
    json_close(o, '}');
}

/* Of a stream's end, which has no more than what is counted. */
static void put_delta_usage(struct json_out *o, const struct usage *u)
{
    json_member_open(o, STR("usage"), '{');
    put_input(o, u);
    put_output(o, u);
    json_close(o, '}');
}

static void put_message_head(struct json_out *o, const struct answer_frame *f, struct str id)
{
    json_member_str(o, STR("id"), message_id(f, id));
    json_member_str(o, STR("type"), STR("message"));
    json_member_str(o, STR("role"), STR("assistant"));
    json_member_str(o, STR("model"), f->model);
}

static void put_str_or_null(struct json_out *o, struct str key, struct str text)
{
    json_key(o, key);
    if (text.n)
        json_put_str(o, text);
    else
        json_put_null(o);
}

/* A citation; one of another dialect as a web search result, which has the same parts. False if it names no source. */
static bool put_citation(struct json_out *o, const struct citation *c)
{
    if (c->of == &dialect_anthropic && c->raw.n) {
        json_put_raw(o, c->raw);
        return true;
    }
    if (!c->url.n)
        return false;
    json_open(o, '{');
    json_member_str(o, STR("type"), STR("web_search_result_location"));
    json_member_str(o, STR("url"), c->url);
    put_str_or_null(o, STR("title"), c->title);
    json_member_str(o, STR("cited_text"), c->cited_text);
    json_member_str(o, STR("encrypted_index"), STR(""));
    json_close(o, '}');
    return true;
}

static struct str citation_text(const struct citation *c, struct arena *arena)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(EVENT_MAX);
    struct json_out o = json_out_to(&to);

    return put_citation(&o, c) && buf_status(&to) == OK ? arena_str(arena, buf_str(&to)) : STR_NONE;
}

/* --- whole answers --- */

static void put_thinking(struct json_out *o, struct str text, struct str signature)
{
    json_open(o, '{');
    json_member_str(o, STR("type"), STR("thinking"));
    json_member_str(o, STR("thinking"), text);
    json_member_str(o, STR("signature"), signature);
    json_close(o, '}');
}

/* From this version on optional members are null instead of missing, and errors have details. */
static bool is_newest(const struct translation *t)
{
    return str_cmp(t->api_version, STR("2026-10-21")) >= 0;
}

/* Clients of the older version take a list or nothing, those of the newer one a list or null. */
static void put_text(struct json_out *o, const struct answer_frame *f, const struct block *b)
{
    json_open(o, '{');
    json_member_str(o, STR("type"), STR("text"));
    json_member_str(o, STR("text"), b->text);
    if (b->citations) {
        json_member_open(o, STR("citations"), '[');
        for (const struct citation *c = b->citations; c; c = c->next)
            put_citation(o, c);
        json_close(o, ']');
    } else if (is_newest(f->t)) {
        json_member_null(o, STR("citations"));
    }
    json_close(o, '}');
}

static void put_call(struct json_out *o, const struct answer_frame *f, const struct block *b, unsigned index,
                     struct str signature)
{
    bool wrapped;

    if (signature.n)
        put_thinking(o, STR_NONE, signature);
    json_open(o, '{');
    json_member_str(o, STR("type"), STR("tool_use"));
    json_member_str(o, STR("id"), call_id(f, b->id, index));
    json_member_str(o, STR("name"), b->name);
    json_member_raw(o, STR("input"), tool_args_object(b->arguments, f->arena, &wrapped));
    json_close(o, '}');
}

static void put_block(struct json_out *o, const struct answer_frame *f, const struct block *b, unsigned index)
{
    struct str signature = signature_wrap(b->signer, SIGNER_ANTHROPIC, b->signature, f->arena);

    switch (b->kind) {
    case BLOCK_TEXT:
    case BLOCK_REFUSAL:
        if (b->text.n)
            put_text(o, f, b);
        return;
    case BLOCK_THINKING:
        if (b->text.n || signature.n)
            put_thinking(o, b->text, signature);
        return;
    case BLOCK_REDACTED:
        json_open(o, '{');
        json_member_str(o, STR("type"), STR("redacted_thinking"));
        json_member_str(o, STR("data"), signature_wrap(b->signer, SIGNER_ANTHROPIC, b->text, f->arena));
        json_close(o, '}');
        return;
    case BLOCK_TOOL_CALL:
        put_call(o, f, b, index, signature);
        return;
    case BLOCK_OPAQUE:
        if (b->of == &dialect_anthropic)
            json_put_raw(o, b->text);
        return;
    case BLOCK_IMAGE:
    case BLOCK_AUDIO:
    case BLOCK_VIDEO:
    case BLOCK_DOCUMENT:
    case BLOCK_TOOL_RESULT:
        return; /* answers in this dialect have no such thing */
    }
}

err_t anthropic_write_answer(const struct answer_frame *f, const struct answer *a, struct buf *to)
{
    const struct answer_choice *c = answer_first(a);
    struct json_out o = json_out_to(to);
    bool has_call = false;
    unsigned index = 0;

    json_open(&o, '{');
    put_message_head(&o, f, a->id);
    json_member_open(&o, STR("content"), '[');
    for (const struct block *b = c->blocks; b; b = b->next) {
        put_block(&o, f, b, index++);
        has_call = has_call || b->kind == BLOCK_TOOL_CALL;
    }
    json_close(&o, ']');
    put_stop(&o, c->finish, c->stop_sequence, has_call);
    json_member_null(&o, STR("container"));
    put_usage(&o, &a->usage, a->service_tier);
    json_close(&o, '}');
    return buf_status(to);
}

/* --- events --- */

static bool is_of_bedrock(const struct translation *t)
{
    return t->row->variant == ANTHROPIC_OF_BEDROCK;
}

enum framing anthropic_framing(const struct translation *t)
{
    return is_of_bedrock(t) ? FRAMING_EVENTSTREAM : FRAMING_SSE;
}

/* An event being written. */
struct writing {
    struct anthropic_writer *w;
    struct buf *to;
    struct json_out o;
    size_t start; /* of its JSON */
};

static struct writing begin_event(struct anthropic_writer *w, struct str type, struct buf *to)
{
    struct writing e = {.w = w, .to = to};

    if (is_of_bedrock(w->frame.t)) {
        buf_clear(&w->event);
        e.o = json_out_to(&w->event);
    } else {
        buf_add_lit(to, "event: ");
        buf_add(to, type);
        buf_add_lit(to, "\ndata: ");
        e.o = json_out_to(to);
    }
    e.start = e.o.to->n;
    json_open(&e.o, '{');
    json_member_str(&e.o, STR("type"), type);
    return e;
}

static err_t frame_event(struct buf *to, struct str json)
{
    struct eventstream_writer frame;

    eventstream_begin(&frame, to);
    eventstream_add_string(&frame, STR(":event-type"), STR("chunk"));
    eventstream_add_string(&frame, STR(":content-type"), STR("application/json"));
    eventstream_add_string(&frame, STR(":message-type"), STR("event"));
    eventstream_begin_payload(&frame);
    buf_add_lit(to, "{\"bytes\":\"");
    base64_encode(to, json, BASE64);
    buf_add_lit(to, "\"}");
    return eventstream_end(&frame);
}

static err_t end_event(struct writing *e)
{
    json_close(&e->o, '}');
    TRY(buf_status(e->o.to));
    if (is_of_bedrock(e->w->frame.t))
        return frame_event(e->to, buf_str(&e->w->event));
    /* JSON that was copied as written may be spread over lines, which would end the field; within strings there are none */
    for (size_t i = e->start; i < e->to->n; i++)
        if (e->to->p[i] == '\n' || e->to->p[i] == '\r')
            e->to->p[i] = ' ';
    return buf_add_lit(e->to, "\n\n");
}

static err_t write_delta(struct anthropic_writer *w, struct str type, struct str key, struct str text, struct buf *to)
{
    struct writing e = begin_event(w, STR("content_block_delta"), to);

    json_member_u64(&e.o, STR("index"), w->index);
    json_member_open(&e.o, STR("delta"), '{');
    json_member_str(&e.o, STR("type"), type);
    json_member_str(&e.o, key, text);
    json_close(&e.o, '}');
    return end_event(&e);
}

static err_t write_stop(struct anthropic_writer *w, struct buf *to)
{
    struct writing e = begin_event(w, STR("content_block_stop"), to);

    json_member_u64(&e.o, STR("index"), w->index++);
    return end_event(&e);
}

static struct writing begin_block(struct anthropic_writer *w, struct str type, struct buf *to)
{
    struct writing e = begin_event(w, STR("content_block_start"), to);

    json_member_u64(&e.o, STR("index"), w->index);
    json_member_open(&e.o, STR("content_block"), '{');
    json_member_str(&e.o, STR("type"), type);
    return e;
}

static err_t end_block_start(struct writing *e)
{
    json_close(&e->o, '}');
    return end_event(e);
}

/* --- blocks of a stream --- */

struct held_citation {
    struct held_citation *next;
    struct str json;
};

struct anthropic_held {
    struct anthropic_held *next;
    unsigned number; /* the reader's */
    enum block_kind kind;
    struct str id, name;
    struct str signature; /* as the client gets it; told or not        */
    bool announced, stopped;
    struct buf text; /* not told yet */
    struct held_citation *citations;
};

static void release_held(void *obj)
{
    struct anthropic_held *b = obj;

    buf_release(&b->text);
}

static struct anthropic_held *find_held(const struct anthropic_writer *w, unsigned number)
{
    struct anthropic_held *b = w->held;

    while (b && b->number != number)
        b = b->next;
    return b;
}

static err_t hold(struct anthropic_writer *w, const struct chat_event *e)
{
    struct arena *arena = w->frame.arena;
    struct anthropic_held *b = arena_new(arena, struct anthropic_held), **last = &w->held;

    *b = (struct anthropic_held){.number = e->block, .kind = e->block_kind};
    b->id = arena_str(arena, e->id);
    b->name = arena_str(arena, e->name);
    buf_init(&b->text, HELD_MAX);
    arena_hold(arena, b, release_held);
    while (*last)
        last = &(*last)->next;
    *last = b;
    w->has_call = w->has_call || b->kind == BLOCK_TOOL_CALL;
    if (b->kind == BLOCK_OPAQUE)
        return buf_add(&b->text, e->text);
    if (b->kind != BLOCK_REDACTED)
        return OK;
    return buf_add(&b->text, signature_wrap(e->signer, SIGNER_ANTHROPIC, e->text, arena));
}

/* A thinking block without words that carries the signature of the call behind it. */
static err_t announce_signature(struct anthropic_writer *w, struct str signature, struct buf *to)
{
    struct writing e = begin_block(w, STR("thinking"), to);

    json_member_str(&e.o, STR("thinking"), STR_NONE);
    json_member_str(&e.o, STR("signature"), STR_NONE);
    TRY(end_block_start(&e));
    TRY(write_delta(w, STR("signature_delta"), STR("signature"), signature, to));
    return write_stop(w, to);
}

static err_t announce_call(struct anthropic_writer *w, const struct anthropic_held *b, struct buf *to)
{
    if (b->signature.n)
        TRY(announce_signature(w, b->signature, to));
    struct writing e = begin_block(w, STR("tool_use"), to);
    json_member_str(&e.o, STR("id"), call_id(&w->frame, b->id, w->index));
    json_member_str(&e.o, STR("name"), b->name);
    json_member_open(&e.o, STR("input"), '{');
    json_close(&e.o, '}');
    return end_block_start(&e);
}

static err_t announce(struct anthropic_writer *w, struct anthropic_held *b, struct buf *to)
{
    if (b->announced)
        return OK;
    b->announced = true;
    if (b->kind == BLOCK_TOOL_CALL)
        return announce_call(w, b, to);
    bool thinks = b->kind == BLOCK_THINKING;
    struct writing e = begin_block(w, thinks ? STR("thinking") : STR("text"), to);
    json_member_str(&e.o, thinks ? STR("thinking") : STR("text"), STR_NONE);
    if (thinks)
        json_member_str(&e.o, STR("signature"), STR_NONE);
    return end_block_start(&e);
}

static err_t write_redacted(struct anthropic_writer *w, const struct anthropic_held *b, struct buf *to)
{
    struct writing e = begin_block(w, STR("redacted_thinking"), to);

    json_member_str(&e.o, STR("data"), buf_str(&b->text));
    TRY(end_block_start(&e));
    return write_stop(w, to);
}

static err_t write_opaque(struct anthropic_writer *w, const struct anthropic_held *b, struct buf *to)
{
    struct writing e = begin_event(w, STR("content_block_start"), to);

    json_member_u64(&e.o, STR("index"), w->index);
    json_member_raw(&e.o, STR("content_block"), buf_str(&b->text));
    TRY(end_event(&e));
    return write_stop(w, to);
}

static err_t write_piece(struct anthropic_writer *w, struct anthropic_held *b, struct str text, struct buf *to)
{
    if (!text.n)
        return OK;
    TRY(announce(w, b, to));
    if (b->kind == BLOCK_TOOL_CALL)
        return write_delta(w, STR("input_json_delta"), STR("partial_json"), text, to);
    if (b->kind == BLOCK_THINKING)
        return write_delta(w, STR("thinking_delta"), STR("thinking"), text, to);
    return write_delta(w, STR("text_delta"), STR("text"), text, to);
}

static err_t write_signature(struct anthropic_writer *w, struct anthropic_held *b, struct buf *to)
{
    if (b->kind != BLOCK_THINKING || !b->signature.n)
        return OK;
    TRY(announce(w, b, to));
    TRY(write_delta(w, STR("signature_delta"), STR("signature"), b->signature, to));
    b->signature = STR_NONE;
    return OK;
}

static err_t write_citations(struct anthropic_writer *w, struct anthropic_held *b, struct buf *to)
{
    for (; b->citations; b->citations = b->citations->next) {
        TRY(announce(w, b, to));
        struct writing e = begin_event(w, STR("content_block_delta"), to);
        json_member_u64(&e.o, STR("index"), w->index);
        json_member_open(&e.o, STR("delta"), '{');
        json_member_str(&e.o, STR("type"), STR("citations_delta"));
        json_member_raw(&e.o, STR("citation"), b->citations->json);
        json_close(&e.o, '}');
        TRY(end_event(&e));
    }
    return OK;
}

/* What is held of the first block, and its end if it has one. */
static err_t write_held(struct anthropic_writer *w, struct anthropic_held *b, struct buf *to)
{
    if (b->kind == BLOCK_REDACTED)
        return b->stopped ? write_redacted(w, b, to) : OK;
    if (b->kind == BLOCK_OPAQUE)
        return b->stopped ? write_opaque(w, b, to) : OK;
    TRY(write_piece(w, b, buf_str(&b->text), to));
    buf_clear(&b->text);
    TRY(write_signature(w, b, to));
    TRY(write_citations(w, b, to));
    if (!b->stopped)
        return OK;
    if (b->kind == BLOCK_TOOL_CALL)
        TRY(announce(w, b, to));
    return b->announced ? write_stop(w, to) : OK;
}

/* The first block is over: tell of those behind it, up to the first that is not over. */
static err_t advance(struct anthropic_writer *w, struct buf *to)
{
    while (w->held) {
        TRY(write_held(w, w->held, to));
        if (!w->held->stopped)
            return OK;
        buf_release(&w->held->text);
        w->held = w->held->next;
    }
    return OK;
}

static void keep_citation(struct anthropic_writer *w, struct anthropic_held *b, const struct citation *c)
{
    struct held_citation **last = &b->citations, *held = arena_new(w->frame.arena, struct held_citation);

    held->json = citation_text(c, w->frame.arena);
    while (*last)
        last = &(*last)->next;
    if (held->json.n)
        *last = held;
}

static err_t in_block(struct anthropic_writer *w, const struct chat_event *e, struct buf *to)
{
    struct anthropic_held *b = find_held(w, e->block);

    if (!b)
        return OK;
    if (e->kind == CHAT_TEXT && b == w->held && !b->text.n)
        return write_piece(w, b, e->text, to); /* the common case: nothing is held */
    if (e->kind == CHAT_TEXT)
        return buf_add(&b->text, e->text);
    if (e->kind == CHAT_SIGNATURE)
        b->signature = arena_str(w->frame.arena, signature_wrap(e->signer, SIGNER_ANTHROPIC, e->text, w->frame.arena));
    else if (e->kind == CHAT_CITATION)
        keep_citation(w, b, e->citation);
    else
        b->stopped = true;
    return b == w->held ? advance(w, to) : OK;
}

static bool is_told(const struct chat_event *e)
{
    enum block_kind kind = e->block_kind;

    return (kind == BLOCK_OPAQUE && e->of == &dialect_anthropic) || kind == BLOCK_TEXT || kind == BLOCK_THINKING ||
           kind == BLOCK_REDACTED || kind == BLOCK_TOOL_CALL || kind == BLOCK_REFUSAL;
}

/* --- the stream --- */

static err_t write_start(struct anthropic_writer *w, struct str id, struct buf *to)
{
    struct usage estimate = {.input = w->frame.input_estimate};

    if (w->started)
        return OK;
    w->started = true;
    struct writing e = begin_event(w, STR("message_start"), to);
    json_member_open(&e.o, STR("message"), '{');
    put_message_head(&e.o, &w->frame, id);
    json_member_open(&e.o, STR("content"), '[');
    json_close(&e.o, ']');
    json_member_null(&e.o, STR("stop_reason"));
    json_member_null(&e.o, STR("stop_sequence"));
    json_member_null(&e.o, STR("stop_details"));
    json_member_null(&e.o, STR("container"));
    put_usage(&e.o, &estimate, w->tier);
    json_close(&e.o, '}');
    return end_event(&e);
}

static err_t write_end(struct anthropic_writer *w, struct buf *to)
{
    w->over = true;
    TRY(write_start(w, STR_NONE, to));
    struct writing e = begin_event(w, STR("message_delta"), to);
    json_member_open(&e.o, STR("delta"), '{');
    put_stop(&e.o, w->finish, w->stop_sequence, w->has_call);
    json_member_null(&e.o, STR("container"));
    json_close(&e.o, '}');
    put_delta_usage(&e.o, &w->usage);
    TRY(end_event(&e));
    e = begin_event(w, STR("message_stop"), to);
    return end_event(&e);
}

static err_t write_stream_error(struct anthropic_writer *w, const struct api_error *error, struct buf *to);

static void release_event(void *obj)
{
    struct anthropic_writer *w = obj;

    buf_release(&w->event);
}

err_t anthropic_writer_begin(void *state, const struct answer_frame *f, struct buf *to)
{
    struct anthropic_writer *w = state;

    (void)to; /* message_start waits for the provider's first word: until then the answer may still become an error */
    *w = (struct anthropic_writer){.frame = *f};
    buf_init(&w->event, EVENT_MAX);
    arena_hold(f->arena, w, release_event);
    return OK;
}

static void keep_finish(struct anthropic_writer *w, const struct chat_event *e)
{
    w->finish = e->finish;
    w->stop_sequence = arena_str(w->frame.arena, e->stop_sequence);
    if (e->service_tier.n)
        w->tier = arena_str(w->frame.arena, e->service_tier);
}

err_t anthropic_writer_event(void *state, const struct chat_event *e, struct buf *to)
{
    struct anthropic_writer *w = state;

    if (w->over || e->choice != 0)
        return OK;
    switch (e->kind) {
    case CHAT_START:
        w->tier = arena_str(w->frame.arena, e->service_tier);
        return write_start(w, e->id, to);
    case CHAT_BLOCK_START:
        return is_told(e) ? hold(w, e) : OK;
    case CHAT_TEXT:
    case CHAT_SIGNATURE:
    case CHAT_CITATION:
    case CHAT_BLOCK_STOP:
        return in_block(w, e, to);
    case CHAT_LOGPROBS:
        return OK; /* no client of this dialect can have asked for them */
    case CHAT_USAGE:
        w->usage = *e->usage;
        return OK;
    case CHAT_FINISH:
        keep_finish(w, e);
        return OK;
    case CHAT_END:
        return write_end(w, to);
    case CHAT_ERROR:
        return write_stream_error(w, e->error, to);
    }
    return OK;
}

/* Blocks that the client has seen begin and end, by the provider's index; the one that is told was announced by the provider, also if it is still empty. */
err_t anthropic_writer_follow(void *state, const struct frame *f, struct arena *scratch)
{
    struct anthropic_writer *w = state;
    const struct json_tree *tree;
    int64_t index;

    if (json_tree_parse(scratch, f->data, &tree) != OK || anthropic_unwrap(scratch, &tree) != OK)
        return OK;
    struct json_node event = json_tree_root(tree), type = json_node_get(event, STR("type"));
    if (!json_node_i64(json_node_get(event, STR("index")), &index) || index < 0 || index >= UINT32_MAX)
        return OK;
    bool ends = json_node_text_is(type, STR("content_block_stop"));
    w->index = (unsigned)index + ends;
    if (!ends && w->held)
        w->held->announced = true;
    return OK;
}

/* --- counts and models --- */

err_t anthropic_write_count(const struct translation *t, uint64_t tokens, bool exact, struct buf *to)
{
    struct json_out o = json_out_to(to);

    (void)t;
    (void)exact;
    json_open(&o, '{');
    json_member_u64(&o, STR("input_tokens"), tokens);
    json_close(&o, '}');
    return buf_status(to);
}

/* RFC 3339 */
static struct str time_text(int64_t seconds, char to[32])
{
    enum { DAY = 24 * 60 * 60 };
    int64_t day = seconds >= 0 ? seconds / DAY : 0, rest = seconds >= 0 ? seconds % DAY : 0;
    struct date d = date_of_day(day);
    struct buf text CLEANUP(buf_release) = BUF_INIT(31);

    buf_addf(&text, "%04d-%02d-%02dT%02d:%02d:%02dZ", d.year, d.month, d.day, (int)(rest / 3600), (int)(rest / 60 % 60),
             (int)(rest % 60));
    memcpy(to, text.p, text.n);
    return str_of(to, text.n);
}

static void put_model(struct json_out *o, const struct model_card *card)
{
    char created[32];

    json_open(o, '{');
    json_member_str(o, STR("type"), STR("model"));
    json_member_str(o, STR("id"), card->id);
    json_member_str(o, STR("display_name"), card->id);
    json_member_str(o, STR("created_at"), time_text(card->created, created));
    json_member_null(o, STR("max_input_tokens"));
    json_member_null(o, STR("max_tokens"));
    json_member_null(o, STR("capabilities"));
    json_close(o, '}');
}

err_t anthropic_write_model(const struct translation *t, const struct model_card *card, struct buf *to)
{
    struct json_out o = json_out_to(to);

    (void)t;
    put_model(&o, card);
    return buf_status(to);
}

err_t anthropic_write_models(const struct translation *t, const struct model_card *cards, size_t n, struct buf *to)
{
    struct json_out o = json_out_to(to);

    (void)t;
    json_open(&o, '{');
    json_member_open(&o, STR("data"), '[');
    for (size_t i = 0; i < n; i++)
        put_model(&o, &cards[i]);
    json_close(&o, ']');
    json_member_bool(&o, STR("has_more"), false);
    put_str_or_null(&o, STR("first_id"), n ? cards[0].id : STR_NONE);
    put_str_or_null(&o, STR("last_id"), n ? cards[n - 1].id : STR_NONE);
    json_close(&o, '}');
    return buf_status(to);
}

/* --- errors --- */

static const struct {
    int status;
    struct str type;      /* Anthropic's          */
    struct str exception; /* Bedrock's            */
} error_names[] = {
    [ERROR_BY_STATUS] = {0, STR_INIT("api_error"), STR_INIT("InternalServerException")},
    [ERROR_BAD_REQUEST] = {400, STR_INIT("invalid_request_error"), STR_INIT("ValidationException")},
    [ERROR_CONTEXT_LENGTH] = {400, STR_INIT("invalid_request_error"), STR_INIT("ValidationException")},
    [ERROR_CONTENT_POLICY] = {400, STR_INIT("invalid_request_error"), STR_INIT("ValidationException")},
    [ERROR_AUTH] = {401, STR_INIT("authentication_error"), STR_INIT("UnrecognizedClientException")},
    [ERROR_QUOTA] = {402, STR_INIT("billing_error"), STR_INIT("ServiceQuotaExceededException")},
    [ERROR_FORBIDDEN] = {403, STR_INIT("permission_error"), STR_INIT("AccessDeniedException")},
    [ERROR_NOT_FOUND] = {404, STR_INIT("not_found_error"), STR_INIT("ResourceNotFoundException")},
    [ERROR_CONFLICT] = {409, STR_INIT("conflict_error"), STR_INIT("ConflictException")},
    [ERROR_TOO_LARGE] = {413, STR_INIT("request_too_large"), STR_INIT("ValidationException")},
    [ERROR_UNPROCESSABLE] = {400, STR_INIT("invalid_request_error"), STR_INIT("ValidationException")},
    [ERROR_RATE_LIMIT] = {429, STR_INIT("rate_limit_error"), STR_INIT("ThrottlingException")},
    [ERROR_UPSTREAM] = {502, STR_INIT("api_error"), STR_INIT("InternalServerException")},
    [ERROR_OVERLOADED] = {529, STR_INIT("overloaded_error"), STR_INIT("ServiceUnavailableException")},
    [ERROR_TIMEOUT] = {504, STR_INIT("timeout_error"), STR_INIT("ModelTimeoutException")},
};

/* Clients know a prompt that is too long by these words alone. */
static void put_error_message(struct json_out *o, enum error_class class, struct str words)
{
    static const struct str known = STR_INIT("prompt is too long");

    json_key(o, STR("message"));
    if (class != ERROR_CONTEXT_LENGTH || str_find(words, known) < words.n) {
        json_put_str(o, words);
        return;
    }
    struct buf *to = json_begin_value(o);
    buf_add_lit(to, "\"prompt is too long: ");
    buf_add_json(to, words);
    buf_add_char(to, '"');
}

static void put_error(struct json_out *o, const struct translation *t, const struct api_error *e, struct str words)
{
    enum error_class class = error_class_of(e);
    struct str type = error_names[class].type;

    json_member_open(o, STR("error"), '{');
    json_member_str(o, STR("type"), type);
    put_error_message(o, class, words);
    if (is_newest(t)) {
        json_member_open(o, STR("details"), '{');
        json_member_str(o, STR("error_code"), e->code ? str_from_c(e->code) : type);
        json_close(o, '}');
    }
    json_close(o, '}');
}

static void write_error_body(const struct translation *t, const struct api_error *e, struct str words, struct buf *to)
{
    struct json_out o = json_out_to(to);

    json_open(&o, '{');
    if (is_of_bedrock(t)) {
        put_error_message(&o, error_class_of(e), words);
    } else {
        json_member_str(&o, STR("type"), STR("error"));
        put_error(&o, t, e, words);
        put_str_or_null(&o, STR("request_id"), t->request_id);
    }
    json_close(&o, '}');
}

void anthropic_error_answer(const struct translation *t, const struct api_error *e, struct buf *to, int *ret_status,
                            struct call_header ret_headers[2])
{
    enum error_class class = error_class_of(e);
    size_t before = to->n;

    write_error_body(t, e, e->message, to);
    if (buf_status(to) != OK) { /* words that are too long for the room */
        to->n = before;
        to->overflow = false;
        write_error_body(t, e, STR("the request failed"), to);
    }
    *ret_status = error_names[class].status;
    if (class == ERROR_UPSTREAM && e->status >= 500 && e->status <= 599)
        *ret_status = e->status;
    if (is_of_bedrock(t))
        ret_headers[0] = (struct call_header){STR("x-amzn-errortype"), error_names[class].exception};
}

static err_t frame_exception(const struct api_error *error, struct buf *to)
{
    enum error_class class = error_class_of(error);
    struct eventstream_writer frame;

    eventstream_begin(&frame, to);
    eventstream_add_string(&frame, STR(":exception-type"), error_names[class].exception);
    eventstream_add_string(&frame, STR(":content-type"), STR("application/json"));
    eventstream_add_string(&frame, STR(":message-type"), STR("exception"));
    eventstream_begin_payload(&frame);
    struct json_out o = json_out_to(to);
    json_open(&o, '{');
    put_error_message(&o, class, error->message);
    json_close(&o, '}');
    return eventstream_end(&frame);
}

static err_t write_stream_error(struct anthropic_writer *w, const struct api_error *error, struct buf *to)
{
    w->over = true;
    if (is_of_bedrock(w->frame.t))
        return frame_exception(error, to);
    struct writing e = begin_event(w, STR("error"), to);
    put_error(&e.o, w->frame.t, error, error->message);
    return end_event(&e);
}
