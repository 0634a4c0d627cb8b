/*
 * bedrock_answer_write.c - canonical answers as clients of Converse and ConverseStream hear them.
 *
 * Of a stream the client hears one block after the other (sequence.h), each in the service's own manner: only calls and images are announced. The
 * reason for stopping comes with messageStop, the usage behind it. What SDKs demand is always there, if only as zeros.
 *
 * Models of Google sign tool calls. Converse has no place for that, so behind such a call stands a reasoningContent without words that carries the
 * signature (llm/signature.h); bedrock_request_read.c puts it back. redactedContent is bytes, which SDKs decode: what another family's model
 * thought in secret is wrapped and then coded as base64.
 */
#include "codec/base64.h"
#include "codec/eventstream.h"
#include "codec/json_out.h"
#include "codec/json_scan.h"
#include "llm/bedrock_int.h"
#include "llm/signature.h"
#include "llm/tool_args.h"
#include "llm/tool_id.h"

/* --- parts of both forms --- */

static struct str call_id(const struct answer_frame *f, struct str theirs, unsigned index)
{
    return theirs.n ? tool_id_fit(TOOL_ID_BEDROCK, theirs, f->arena)
                    : arena_printf(f->arena, "tooluse_%016llx_%u", (unsigned long long)f->unique, index);
}

static struct str stop_reason(enum finish finish, bool has_call)
{
    switch (finish) {
    case FINISH_STOP:
    case FINISH_TOOL_CALLS:
    case FINISH_PAUSE:
        return has_call ? STR("tool_use") : STR("end_turn");
    case FINISH_STOP_SEQUENCE:
        return has_call ? STR("tool_use") : STR("stop_sequence");
    case FINISH_LENGTH:
        return STR("max_tokens");
    case FINISH_FILTER:
    case FINISH_REFUSAL:
        return STR("content_filtered");
    case FINISH_CONTEXT:
        return STR("model_context_window_exceeded");
    }
    return STR("end_turn");
}

/* Did the client ask to be told which stop sequence it was? */
static bool names_stop(const struct answer_frame *f)
{
    struct json_node paths = JSON_ABSENT;

    if (f->request && f->request->document)
        paths = json_node_get(json_tree_root(f->request->document), STR("additionalModelResponseFieldPaths"));
    JSON_EACH(w, paths)
        if (json_node_text_is(w.value, STR("/stop_sequence")))
            return true;
    return false;
}

static void put_stop(struct json_out *o, struct str reason, struct str sequence, bool named)
{
    json_member_str(o, STR("stopReason"), reason);
    if (!named)
        return;
    json_member_open(o, STR("additionalModelResponseFields"), '{');
    json_key(o, STR("stop_sequence"));
    if (sequence.n && str_eq(reason, STR("stop_sequence")))
        json_put_str(o, sequence);
    else
        json_put_null(o);
    json_close(o, '}');
}

/* Bedrock counts what came from its cache or went there apart from the rest of the input. */
static void put_usage(struct json_out *o, const struct usage *u)
{
    json_member_open(o, STR("usage"), '{');
    json_member_u64(o, STR("inputTokens"), usage_less(usage_less(u->input, u->cached_input), u->cache_write));
    json_member_u64(o, STR("outputTokens"), u->output);
    json_member_u64(o, STR("totalTokens"), u->input + u->output);
    json_member_u64(o, STR("cacheReadInputTokens"), u->cached_input);
    json_member_u64(o, STR("cacheWriteInputTokens"), u->cache_write);
    json_close(o, '}');
}

/* `tier`: as the provider named it; names that Bedrock does not have are left out. */
static void put_closing(struct json_out *o, const struct usage *u, struct str tier)
{
    put_usage(o, u);
    json_member_open(o, STR("metrics"), '{');
    json_member_u64(o, STR("latencyMs"), 0); /* demanded by SDKs; whoever measures it does not tell us */
    json_close(o, '}');
    if (!str_eq(tier, STR("default")) && !str_eq(tier, STR("priority")) && !str_eq(tier, STR("flex")))
        return;
    json_member_open(o, STR("serviceTier"), '{');
    json_member_str(o, STR("type"), tier);
    json_close(o, '}');
}

static void put_citation(struct json_out *o, const struct citation *c)
{
    if (c->of == &dialect_bedrock && c->raw.n) {
        json_put_raw(o, c->raw);
        return;
    }
    json_open(o, '{');
    if (c->title.n)
        json_member_str(o, STR("title"), c->title);
    if (c->cited_text.n) {
        json_member_open(o, STR("sourceContent"), '[');
        json_open(o, '{');
        json_member_str(o, STR("text"), c->cited_text);
        json_close(o, '}');
        json_close(o, ']');
    }
    if (c->url.n) {
        json_member_open(o, STR("location"), '{');
        json_member_open(o, STR("web"), '{');
        json_member_str(o, STR("url"), c->url);
        json_close(o, '}');
        json_close(o, '}');
    }
    json_close(o, '}');
}

static struct str blob_of(struct str blob, enum signer signer, struct arena *arena)
{
    struct str wrapped = signature_wrap(signer, SIGNER_ANTHROPIC, blob, arena);
    struct buf text CLEANUP(buf_release) = BUF_INIT(base64_encoded_length(wrapped.n, BASE64));

    if (wrapped.p == blob.p || base64_encode(&text, wrapped, BASE64) != OK)
        return blob;
    return arena_str(arena, buf_str(&text));
}

static struct str image_format(const struct media *m)
{
    return m && m->source == MEDIA_BASE64 ? bedrock_format_of(BLOCK_IMAGE, m->type) : STR_NONE;
}

/* --- whole answers --- */

static void put_text(struct json_out *o, const struct block *b)
{
    json_open(o, '{');
    if (!b->citations) {
        json_member_str(o, STR("text"), b->text);
        json_close(o, '}');
        return;
    }
    json_member_open(o, STR("citationsContent"), '{');
    json_member_open(o, STR("content"), '[');
    json_open(o, '{');
    json_member_str(o, STR("text"), b->text);
    json_close(o, '}');
    json_close(o, ']');
    json_member_open(o, STR("citations"), '[');
    for (const struct citation *c = b->citations; c; c = c->next)
        put_citation(o, c);
    json_close(o, ']');
    json_close(o, '}');
    json_close(o, '}');
}

static void put_thought(struct json_out *o, struct str text, struct str signature)
{
    json_open(o, '{');
    json_member_open(o, STR("reasoningContent"), '{');
    json_member_open(o, STR("reasoningText"), '{');
    json_member_str(o, STR("text"), text);
    if (signature.n)
        json_member_str(o, STR("signature"), signature);
    json_close(o, '}');
    json_close(o, '}');
    json_close(o, '}');
}

static void put_redacted(struct json_out *o, struct str blob)
{
    json_open(o, '{');
    json_member_open(o, STR("reasoningContent"), '{');
    json_member_str(o, STR("redactedContent"), blob);
    json_close(o, '}');
    json_close(o, '}');
}

static void put_call(struct json_out *o, const struct answer_frame *f, const struct block *b, unsigned index,
                     struct str signature)
{
    bool wrapped;

    json_open(o, '{');
    json_member_open(o, STR("toolUse"), '{');
    json_member_str(o, STR("toolUseId"), call_id(f, b->id, index));
    json_member_str(o, STR("name"), b->name);
    json_member_raw(o, STR("input"), tool_args_object(b->arguments, f->arena, &wrapped));
    json_close(o, '}');
    json_close(o, '}');
    if (signature.n)
        put_thought(o, STR_NONE, signature);
}

static void put_image(struct json_out *o, const struct media *m)
{
    struct str format = image_format(m);

    if (!format.n)
        return;
    json_open(o, '{');
    json_member_open(o, STR("image"), '{');
    json_member_str(o, STR("format"), format);
    json_member_open(o, STR("source"), '{');
    json_member_str(o, STR("bytes"), m->data);
    json_close(o, '}');
    json_close(o, '}');
    json_close(o, '}');
}

static void put_block(struct json_out *o, const struct answer_frame *f, const struct block *b, unsigned index)
{
    struct str signature = signature_wrap(b->signer, SIGNER_ANTHROPIC, b->signature, f->arena);

    switch (b->kind) {
    case BLOCK_TEXT:
    case BLOCK_REFUSAL:
        if (b->text.n)
            put_text(o, b);
        return;
    case BLOCK_THINKING:
        if (b->text.n || signature.n)
            put_thought(o, b->text, signature);
        return;
    case BLOCK_REDACTED:
        put_redacted(o, blob_of(b->text, b->signer, f->arena));
        return;
    case BLOCK_TOOL_CALL:
        put_call(o, f, b, index, signature);
        return;
    case BLOCK_IMAGE:
        put_image(o, &b->media);
        return;
    case BLOCK_AUDIO:
    case BLOCK_VIDEO:
    case BLOCK_DOCUMENT:
    case BLOCK_TOOL_RESULT:
    case BLOCK_OPAQUE:
        return; /* answers in this dialect have no such thing */
    }
}

err_t bedrock_write_answer(const struct answer_frame *f, const struct answer *a, struct buf *to)
{
    const struct answer_choice *c = answer_first(a);
    struct json_out o = json_out_to(to);
    bool has_call = false;
    unsigned index = 0;

    json_open(&o, '{');
    json_member_open(&o, STR("output"), '{');
    json_member_open(&o, STR("message"), '{');
    json_member_str(&o, STR("role"), STR("assistant"));
    json_member_open(&o, STR("content"), '[');
    for (const struct block *b = c->blocks; b; b = b->next) {
        put_block(&o, f, b, index++);
        has_call = has_call || b->kind == BLOCK_TOOL_CALL;
    }
    json_close(&o, ']');
    json_close(&o, '}');
    json_close(&o, '}');
    put_stop(&o, stop_reason(c->finish, has_call), c->stop_sequence, names_stop(f));
    put_closing(&o, &a->usage, a->service_tier);
    json_close(&o, '}');
    return buf_status(to);
}

/* --- events --- */

enum framing bedrock_framing(const struct translation *t)
{
    (void)t;
    return FRAMING_EVENTSTREAM;
}

/* A frame being written. */
struct writing {
    struct eventstream_writer frame;
    struct json_out o;
};

static void begin_event(struct writing *e, struct bedrock_writer *w, struct str type)
{
    eventstream_begin(&e->frame, w->to);
    eventstream_add_string(&e->frame, STR(":event-type"), type);
    eventstream_add_string(&e->frame, STR(":content-type"), STR("application/json"));
    eventstream_add_string(&e->frame, STR(":message-type"), STR("event"));
    eventstream_begin_payload(&e->frame);
    e->o = json_out_to(w->to);
    json_open(&e->o, '{');
}

static err_t end_event(struct writing *e)
{
    json_close(&e->o, '}');
    return eventstream_end(&e->frame);
}

static void begin_delta(struct writing *e, struct bedrock_writer *w)
{
    begin_event(e, w, STR("contentBlockDelta"));
    json_member_u64(&e->o, STR("contentBlockIndex"), w->index);
    json_member_open(&e->o, STR("delta"), '{');
    w->announced = true;
}

static err_t end_delta(struct writing *e)
{
    json_close(&e->o, '}');
    return end_event(e);
}

/* {"text": …}, or within `around`: {"reasoningContent": {"text": …}} */
static err_t write_delta(struct bedrock_writer *w, struct str around, struct str key, struct str text)
{
    struct writing e;

    begin_delta(&e, w);
    if (around.n)
        json_member_open(&e.o, around, '{');
    json_member_str(&e.o, key, text);
    if (around.n)
        json_close(&e.o, '}');
    return end_delta(&e);
}

static err_t write_stop(struct bedrock_writer *w)
{
    struct writing e;

    if (!w->announced)
        return OK;
    begin_event(&e, w, STR("contentBlockStop"));
    json_member_u64(&e.o, STR("contentBlockIndex"), w->index++);
    w->announced = false;
    return end_event(&e);
}

/* --- blocks of a stream --- */

static err_t announce_call(struct bedrock_writer *w, const struct chat_event *e)
{
    struct writing out;

    w->has_call = w->announced = true;
    begin_event(&out, w, STR("contentBlockStart"));
    json_member_u64(&out.o, STR("contentBlockIndex"), w->index);
    json_member_open(&out.o, STR("start"), '{');
    json_member_open(&out.o, STR("toolUse"), '{');
    json_member_str(&out.o, STR("toolUseId"), call_id(&w->frame, e->id, w->index));
    json_member_str(&out.o, STR("name"), e->name);
    json_close(&out.o, '}');
    json_close(&out.o, '}');
    return end_event(&out);
}

static err_t write_image(struct bedrock_writer *w, const struct media *m)
{
    struct str format = image_format(m);
    struct writing e;

    if (!format.n)
        return OK;
    begin_event(&e, w, STR("contentBlockStart"));
    json_member_u64(&e.o, STR("contentBlockIndex"), w->index);
    json_member_open(&e.o, STR("start"), '{');
    json_member_open(&e.o, STR("image"), '{');
    json_member_str(&e.o, STR("format"), format);
    json_close(&e.o, '}');
    json_close(&e.o, '}');
    TRY(end_event(&e));
    begin_delta(&e, w);
    json_member_open(&e.o, STR("image"), '{');
    json_member_open(&e.o, STR("source"), '{');
    json_member_str(&e.o, STR("bytes"), m->data);
    json_close(&e.o, '}');
    json_close(&e.o, '}');
    return end_delta(&e);
}

static err_t on_block_start(struct bedrock_writer *w, const struct chat_event *e)
{
    w->kind = e->block_kind;
    w->signature = STR_NONE;
    if (w->kind == BLOCK_TOOL_CALL)
        return announce_call(w, e);
    if (w->kind == BLOCK_IMAGE)
        return write_image(w, e->media);
    if (w->kind == BLOCK_REDACTED)
        return write_delta(w, STR("reasoningContent"), STR("redactedContent"),
                           blob_of(e->text, e->signer, w->frame.arena));
    return OK; /* announced by its first piece */
}

static err_t on_text(struct bedrock_writer *w, struct str text)
{
    if (w->kind == BLOCK_TOOL_CALL)
        return write_delta(w, STR("toolUse"), STR("input"), text);
    if (w->kind == BLOCK_THINKING)
        return write_delta(w, STR("reasoningContent"), STR("text"), text);
    if (w->kind == BLOCK_TEXT || w->kind == BLOCK_REFUSAL)
        return write_delta(w, STR_NONE, STR("text"), text);
    return OK;
}

static err_t on_signature(struct bedrock_writer *w, const struct chat_event *e)
{
    struct str wrapped = signature_wrap(e->signer, SIGNER_ANTHROPIC, e->text, w->frame.arena);

    if (w->kind == BLOCK_THINKING)
        return write_delta(w, STR("reasoningContent"), STR("signature"), wrapped);
    if (w->kind == BLOCK_TOOL_CALL)
        w->signature = arena_str(w->frame.arena, wrapped);
    return OK;
}

static err_t on_citation(struct bedrock_writer *w, const struct citation *c)
{
    struct writing e;

    if (w->kind != BLOCK_TEXT)
        return OK;
    begin_delta(&e, w);
    json_key(&e.o, STR("citation"));
    put_citation(&e.o, c);
    return end_delta(&e);
}

static err_t on_block_stop(struct bedrock_writer *w)
{
    TRY(write_stop(w));
    if (!w->signature.n)
        return OK;
    TRY(write_delta(w, STR("reasoningContent"), STR("signature"), w->signature));
    return write_stop(w);
}

/* --- the stream --- */

static err_t write_start(struct bedrock_writer *w)
{
    struct writing e;

    begin_event(&e, w, STR("messageStart"));
    json_member_str(&e.o, STR("role"), STR("assistant"));
    return end_event(&e);
}

static err_t write_end(struct bedrock_writer *w)
{
    struct writing e;

    w->over = true;
    begin_event(&e, w, STR("messageStop"));
    put_stop(&e.o, stop_reason(w->finish, w->has_call), w->stop_sequence, w->names_stop);
    TRY(end_event(&e));
    begin_event(&e, w, STR("metadata"));
    put_closing(&e.o, &w->usage, w->tier);
    return end_event(&e);
}

static void keep_finish(struct bedrock_writer *w, const struct chat_event *e)
{
    w->finish = e->finish;
    w->stop_sequence = arena_str(w->frame.arena, e->stop_sequence);
    if (e->service_tier.n)
        w->tier = arena_str(w->frame.arena, e->service_tier);
}

/* Blocks come one after the other here. */
static err_t hear(void *ctx, const struct chat_event *e)
{
    struct bedrock_writer *w = ctx;

    switch (e->kind) {
    case CHAT_START:
        w->tier = arena_str(w->frame.arena, e->service_tier);
        return write_start(w);
    case CHAT_BLOCK_START:
        return on_block_start(w, e);
    case CHAT_TEXT:
        return on_text(w, e->text);
    case CHAT_SIGNATURE:
        return on_signature(w, e);
    case CHAT_CITATION:
        return on_citation(w, e->citation);
    case CHAT_BLOCK_STOP:
        return on_block_stop(w);
    case CHAT_LOGPROBS:
        return OK; /* no client of this dialect can have asked for them */
    case CHAT_USAGE:
        w->usage = *e->usage;
        return OK;
    case CHAT_FINISH:
        keep_finish(w, e);
        return OK;
    case CHAT_END:
        return write_end(w);
    case CHAT_ERROR:
        w->over = true;
        return bedrock_write_exception(e->error, w->to);
    }
    return OK;
}

err_t bedrock_writer_begin(void *state, const struct answer_frame *f, struct buf *to)
{
    struct bedrock_writer *w = state;

    (void)to; /* messageStart waits for the provider's first word: until then the answer may still become an error */
    *w = (struct bedrock_writer){.frame = *f, .told = {hear, w}, .names_stop = names_stop(f)};
    w->sequence = sequence_new(f->arena, &w->told);
    return OK;
}

err_t bedrock_writer_event(void *state, const struct chat_event *e, struct buf *to)
{
    struct bedrock_writer *w = state;
    struct chat_sink sink = sequence_sink(w->sequence);

    if (w->over || e->choice != 0)
        return OK;
    w->to = to;
    return chat_tell(&sink, e);
}

/* Blocks that the client has seen begin and end, by the provider's index. */
err_t bedrock_writer_follow(void *state, const struct frame *f, struct arena *scratch)
{
    struct bedrock_writer *w = state;
    uint64_t index;

    (void)scratch;
    if (!json_to_u64(json_find(f->data, STR("contentBlockIndex")), &index) || index >= UINT32_MAX)
        return OK;
    bool ends = str_eq(f->name, STR("contentBlockStop"));
    w->index = (unsigned)index + ends;
    w->announced = !ends;
    return OK;
}

/* --- counts and models --- */

err_t bedrock_write_count(const struct translation *t, uint64_t tokens, bool exact, struct buf *to)
{
    struct json_out o = json_out_to(to);

    (void)t;
    (void)exact;
    json_open(&o, '{');
    json_member_u64(&o, STR("inputTokens"), tokens);
    json_close(&o, '}');
    return buf_status(to);
}

static void put_model(struct json_out *o, const struct model_card *card)
{
    json_open(o, '{');
    json_key(o, STR("modelArn"));
    struct buf *arn = json_begin_value(o);
    buf_add_lit(arn, "\"arn:aws:bedrock:::foundation-model/");
    buf_add_json(arn, card->id);
    buf_add_char(arn, '"');
    json_member_str(o, STR("modelId"), card->id);
    json_member_str(o, STR("modelName"), card->id);
    json_member_str(o, STR("providerName"), card->owner);
    json_member_raw(o, STR("inputModalities"), STR("[\"TEXT\"]"));
    json_member_raw(o, STR("outputModalities"), STR("[\"TEXT\"]"));
    json_member_bool(o, STR("responseStreamingSupported"), true);
    json_member_raw(o, STR("inferenceTypesSupported"), STR("[\"ON_DEMAND\"]"));
    json_member_raw(o, STR("modelLifecycle"), STR("{\"status\":\"ACTIVE\"}"));
    json_close(o, '}');
}

err_t bedrock_write_models(const struct translation *t, const struct model_card *cards, size_t n, struct buf *to)
{
    struct json_out o = json_out_to(to);

    (void)t;
    json_open(&o, '{');
    json_member_open(&o, STR("modelSummaries"), '[');
    for (size_t i = 0; i < n; i++)
        put_model(&o, &cards[i]);
    json_close(&o, ']');
    json_close(&o, '}');
    return buf_status(to);
}

err_t bedrock_write_model(const struct translation *t, const struct model_card *card, struct buf *to)
{
    struct json_out o = json_out_to(to);

    (void)t;
    json_open(&o, '{');
    json_key(&o, STR("modelDetails"));
    put_model(&o, card);
    json_close(&o, '}');
    return buf_status(to);
}
