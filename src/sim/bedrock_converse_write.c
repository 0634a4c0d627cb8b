/*
 * bedrock_converse_write.c - answers of Converse, and of ConverseStream as frames of an event stream.
 *
 * Both forms say the same: reasoning with its signature, then a text or the calls of tools. As at the service, a block of a text or of
 * reasoning begins with its first piece and only one of a tool has a start of its own; and a stream tells usage behind its
 * messageStop.
 */
#include "sim/bedrock_int.h"
#include "sim/hash.h"
#include "sim/signature.h"
#include "sim/text.h"

enum { PAYLOAD_MAX = 4 << 20, SIGNATURE_TEXT_MAX = 128 };

/* --- parts that both forms have --- */

static struct str stop_reason(const struct sim_choice *c)
{
    switch (c->finish) {
    case SIM_STOP:
        return c->stop.p ? STR("stop_sequence") : STR("end_turn");
    case SIM_LENGTH:
        return STR("max_tokens");
    case SIM_TOOL_CALLS:
    case SIM_FUNCTION_CALL:
        return STR("tool_use");
    }
    return STR("malformed_model_output");
}

static void write_usage(const struct bedrock_converse *c, const struct sim_answer *answer, ns_t latency, struct buf *to)
{
    size_t cached = c->cache_read + c->cache_write, total = c->q.prompt_tokens + answer->tokens;

    buf_addf(to,
             "\"usage\":{\"inputTokens\":%zu,\"outputTokens\":%zu,\"totalTokens\":%zu,\"cacheReadInputTokens\":%zu,"
             "\"cacheWriteInputTokens\":%zu},\"metrics\":{\"latencyMs\":%lld}",
             c->q.prompt_tokens - cached, answer->tokens, total, c->cache_read, c->cache_write,
             (long long)(latency / NS_MS));
}

static void write_stop(const struct bedrock_converse *c, const struct sim_choice *choice, struct buf *to)
{
    buf_addf(to, "\"stopReason\":\"%.*s\"", STR_ARG(stop_reason(choice)));
    if (!c->tells_stop)
        return;
    buf_add_lit(to, ",\"additionalModelResponseFields\":{\"stop_sequence\":");
    if (choice->stop.p) {
        buf_add_char(to, '"');
        buf_add_json(to, choice->stop);
        buf_add_lit(to, "\"}");
    } else {
        buf_add_lit(to, "null}");
    }
}

static void write_tool_head(const struct sim_call *call, uint64_t unique, size_t index, struct buf *to)
{
    char id[SIM_ID_MAX];

    buf_addf(to, "\"toolUseId\":\"%.*s\",\"name\":\"", (int)sim_id(id, "tooluse_", unique, 1 + index), id);
    buf_add_json(to, call->name);
    buf_add_char(to, '"');
}

static void write_signature(const struct sim_choice *choice, uint64_t unique, struct buf *to)
{
    buf_add_lit(to, "\"signature\":\"");
    sim_sign(STR("anthropic"), unique, choice->thoughts, to);
    buf_add_char(to, '"');
}

/* --- whole --- */

static void write_blocks(const struct sim_choice *choice, uint64_t unique, struct buf *to)
{
    const char *joint = "";

    if (choice->thoughts.n > 0) {
        buf_add_lit(to, "{\"reasoningContent\":{\"reasoningText\":{\"text\":\"");
        buf_add_json(to, choice->thoughts);
        buf_add_lit(to, "\",");
        write_signature(choice, unique, to);
        buf_add_lit(to, "}}}");
        joint = ",";
    }
    if (choice->call_count == 0 && choice->text.n > 0) {
        buf_addf(to, "%s{\"text\":\"", joint);
        buf_add_json(to, choice->text);
        buf_add_lit(to, "\"}");
    }
    for (size_t i = 0; i < choice->call_count; i++) {
        buf_addf(to, "%s{\"toolUse\":{", joint);
        write_tool_head(&choice->calls[i], unique, i, to);
        buf_add_lit(to, ",\"input\":");
        /* arguments that the limit has cut are no object */
        buf_add(to, choice->finish == SIM_LENGTH ? STR("{}") : choice->calls[i].arguments);
        buf_add_lit(to, "}}");
        joint = ",";
    }
}

err_t bedrock_converse_write(const struct bedrock_converse *c, const struct sim_answer *answer,
                             const struct sim_mark *mark, ns_t latency, struct buf *to)
{
    buf_add_lit(to, "{\"output\":{\"message\":{\"role\":\"assistant\",\"content\":[");
    write_blocks(answer->choices, mark->unique, to);
    buf_add_lit(to, "]}},");
    write_stop(c, answer->choices, to);
    buf_add_char(to, ',');
    write_usage(c, answer, latency, to);
    buf_add_char(to, '}');
    return buf_status(to);
}

/* --- stream --- */

enum phase { MESSAGE_START, THOUGHTS, SIGNATURE, TEXT, TOOL_START, TOOL, BLOCK_STOP, MESSAGE_STOP, METADATA, ENDED };

struct converse_stream {
    struct sim_feed feed; /* first */
    const struct bedrock_converse *c;
    const struct sim_answer *answer;
    const struct sim_choice *choice;
    uint64_t unique;
    ns_t latency;
    enum phase phase;
    size_t block, call; /* indices of the present ones */
    struct str rest;    /* of the present block's text */
    struct buf *payload;
    size_t count; /* of frames so far */
};

/* What comes behind the present block, or at the beginning. `thought`: the thoughts have been told. */
static enum phase next_block(struct converse_stream *s, bool thought)
{
    const struct sim_choice *c = s->choice;

    if (!thought && c->thoughts.n > 0) {
        s->rest = c->thoughts;
        return THOUGHTS;
    }
    if (c->call_count > 0)
        return s->call < c->call_count ? TOOL_START : MESSAGE_STOP;
    if (c->text.n > 0 && s->block == (c->thoughts.n > 0)) {
        s->rest = c->text;
        return TEXT;
    }
    return MESSAGE_STOP;
}

static void begin_delta(struct converse_stream *s)
{
    buf_addf(s->payload, "{\"contentBlockIndex\":%zu,\"delta\":", s->block);
}

static struct str put_thoughts(struct converse_stream *s, struct sim_step *ret)
{
    begin_delta(s);
    buf_add_lit(s->payload, "{\"reasoningContent\":{\"text\":\"");
    buf_add_json(s->payload, sim_token_cut(&s->rest));
    buf_add_lit(s->payload, "\"}}");
    ret->tokens = 1;
    s->phase = s->rest.n > 0 ? THOUGHTS : SIGNATURE;
    return STR("contentBlockDelta");
}

static struct str put_signature(struct converse_stream *s)
{
    begin_delta(s);
    buf_add_lit(s->payload, "{\"reasoningContent\":{");
    write_signature(s->choice, s->unique, s->payload);
    buf_add_lit(s->payload, "}}");
    s->phase = BLOCK_STOP;
    return STR("contentBlockDelta");
}

static struct str put_text(struct converse_stream *s, struct sim_step *ret)
{
    begin_delta(s);
    buf_add_lit(s->payload, "{\"text\":\"");
    buf_add_json(s->payload, sim_token_cut(&s->rest));
    buf_add_lit(s->payload, "\"}");
    ret->tokens = 1;
    s->phase = s->rest.n > 0 ? TEXT : BLOCK_STOP;
    return STR("contentBlockDelta");
}

static struct str put_tool_start(struct converse_stream *s, struct sim_step *ret)
{
    const struct sim_call *call = &s->choice->calls[s->call];

    buf_addf(s->payload, "{\"contentBlockIndex\":%zu,\"start\":{\"toolUse\":{", s->block);
    write_tool_head(call, s->unique, s->call, s->payload);
    buf_add_lit(s->payload, "}}");
    ret->tokens = sim_tokens(call->name);
    s->call++;
    s->rest = call->arguments;
    s->phase = s->rest.n > 0 ? TOOL : BLOCK_STOP;
    return STR("contentBlockStart");
}

static struct str put_tool(struct converse_stream *s, struct sim_step *ret)
{
    begin_delta(s);
    buf_add_lit(s->payload, "{\"toolUse\":{\"input\":\"");
    buf_add_json(s->payload, sim_token_cut(&s->rest));
    buf_add_lit(s->payload, "\"}}");
    ret->tokens = 1;
    s->phase = s->rest.n > 0 ? TOOL : BLOCK_STOP;
    return STR("contentBlockDelta");
}

static struct str put_block_stop(struct converse_stream *s)
{
    buf_addf(s->payload, "{\"contentBlockIndex\":%zu", s->block++);
    s->phase = next_block(s, true);
    return STR("contentBlockStop");
}

static struct str put_message_stop(struct converse_stream *s)
{
    buf_add_char(s->payload, '{');
    write_stop(s->c, s->choice, s->payload);
    s->phase = METADATA;
    return STR("messageStop");
}

/* Write the payload of the next frame, but for its end. Returns the type of the event, STR_NONE if there is none. */
static struct str put_event(struct converse_stream *s, struct sim_step *ret)
{
    switch (s->phase) {
    case MESSAGE_START:
        buf_add_lit(s->payload, "{\"role\":\"assistant\"");
        s->phase = next_block(s, false);
        return STR("messageStart");
    case THOUGHTS:
        return put_thoughts(s, ret);
    case SIGNATURE:
        return put_signature(s);
    case TEXT:
        return put_text(s, ret);
    case TOOL_START:
        return put_tool_start(s, ret);
    case TOOL:
        return put_tool(s, ret);
    case BLOCK_STOP:
        return put_block_stop(s);
    case MESSAGE_STOP:
        ret->closing = true;
        return put_message_stop(s);
    case METADATA:
        ret->closing = true;
        buf_add_char(s->payload, '{');
        write_usage(s->c, s->answer, s->latency, s->payload);
        s->phase = ENDED;
        return STR("metadata");
    case ENDED:
        break;
    }
    return STR_NONE;
}

static bool stream_next(struct sim_feed *f, struct buf *to, struct sim_step *ret)
{
    struct converse_stream *s = (struct converse_stream *)f;
    struct buf payload CLEANUP(buf_release) = BUF_INIT(PAYLOAD_MAX);

    *ret = (struct sim_step){0};
    s->payload = &payload;
    struct str type = put_event(s, ret);
    if (!type.p)
        return false;
    bedrock_pad(&payload, sim_hash_u64(s->unique, s->count++));
    buf_add_char(&payload, '}');
    bedrock_frame(to, STR(":event-type"), type, buf_str(&payload));
    return true;
}

struct sim_feed *bedrock_converse_feed(struct arena *a, const struct bedrock_converse *c,
                                       const struct sim_answer *answer, const struct sim_mark *mark, ns_t latency)
{
    struct converse_stream *s = arena_new(a, struct converse_stream);

    *s = (struct converse_stream){
        .feed = {.next = stream_next, .give_up = bedrock_give_up, .spoil = bedrock_spoil, .type = BEDROCK_STREAM_TYPE},
        .c = c,
        .answer = answer,
        .choice = answer->choices,
        .unique = mark->unique,
        .latency = latency};
    return &s->feed;
}
