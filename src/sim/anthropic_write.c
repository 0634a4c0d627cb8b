/*
 * anthropic_write.c - answers of Claude's Messages API, as one message or as a stream of events.
 *
 * The content is laid out once as a list of blocks: reasoning, then calls or a text. A stream goes through them in their order, one open
 * at a time, a token in each delta, with a ping behind the first start. What a translator stumbles over is always there: the first
 * piece of a tool's input is empty, a tool without arguments has no other, the signature comes as a delta of its own.
 *
 * Version 2023-06-01 leaves optional members out, version 2026-10-21 has them all, null where there is nothing to say.
 */
#include "sim/anthropic.h"
#include "sim/text.h"

enum block_kind { BLOCK_THINKING, BLOCK_REDACTED, BLOCK_TEXT, BLOCK_TOOL };

struct block {
    enum block_kind kind;
    const struct sim_call *call; /* BLOCK_TOOL */
    struct str text;             /* thinking, text or arguments */
};

/* --- parts that both forms have --- */

/* All blocks of an answer, in the arena. */
static size_t lay_out(struct arena *a, const struct anthropic_answer *m, struct block **ret)
{
    const struct sim_choice *c = m->choice;
    struct block *blocks = arena_zalloc(a, (c->call_count + 2) * sizeof(*blocks));
    size_t count = 0;

    if (m->signature.n > 0)
        blocks[count++] = (struct block){.kind = m->request->redacts ? BLOCK_REDACTED : BLOCK_THINKING,
                                         .text = m->request->redacts ? STR("") : m->thoughts};
    for (size_t i = 0; i < c->call_count; i++)
        blocks[count++] = (struct block){.kind = BLOCK_TOOL, .call = &c->calls[i], .text = c->calls[i].arguments};
    if (c->call_count == 0 && c->text.n > 0)
        blocks[count++] = (struct block){.kind = BLOCK_TEXT, .text = c->text};
    *ret = blocks;
    return count;
}

static void add_string(struct buf *to, const char *key, struct str value)
{
    buf_addf(to, "\"%s\":\"", key);
    buf_add_json(to, value);
    buf_add_char(to, '"');
}

static void add_id(struct buf *to, const char *prefix, uint64_t unique, uint64_t part)
{
    char id[SIM_ID_MAX];

    buf_addf(to, "\"id\":\"%.*s\"", (int)sim_id(id, prefix, unique, part), id);
}

/* `output`: tokens so far. */
static void write_usage(const struct anthropic_answer *m, size_t output, struct buf *to)
{
    const struct anthropic_usage *u = &m->usage;

    buf_addf(to,
             "\"usage\":{\"input_tokens\":%zu,\"cache_creation_input_tokens\":%zu,\"cache_read_input_tokens\":%zu,"
             "\"cache_creation\":{\"ephemeral_5m_input_tokens\":%zu,\"ephemeral_1h_input_tokens\":%zu},"
             "\"output_tokens\":%zu,\"service_tier\":\"standard\"",
             u->input, u->write_5m + u->write_1h, u->cache_read, u->write_5m, u->write_1h, output);
    if (m->request->newest)
        buf_addf(to,
                 ",\"output_tokens_details\":{\"thinking_tokens\":%zu},\"server_tool_use\":null,"
                 "\"inference_geo\":null",
                 u->thinking < output ? u->thinking : output);
    buf_add_char(to, '}');
}

/* "stop_reason" and what belongs to it; all null while the answer is being made. */
static void write_stop(const struct anthropic_answer *m, bool known, struct buf *to)
{
    struct str stop = m->choice->stop;

    if (!known) {
        buf_add_lit(to, "\"stop_reason\":null,\"stop_sequence\":null");
    } else {
        add_string(to, "stop_reason", m->stop_reason);
        buf_add_char(to, ',');
        if (str_eq(m->stop_reason, STR("stop_sequence")))
            add_string(to, "stop_sequence", stop);
        else
            buf_add_lit(to, "\"stop_sequence\":null");
    }
    if (known && m->request->declines)
        buf_add_lit(to,
                    ",\"stop_details\":{\"type\":\"refusal\",\"category\":null,\"explanation\":\"The question asked "
                    "for a refusal. (simulated)\"}");
    else if (m->request->newest)
        buf_add_lit(to, ",\"stop_details\":null");
    if (m->request->newest)
        buf_add_lit(to, ",\"container\":null");
}

static void write_head(const struct anthropic_answer *m, struct buf *to)
{
    buf_add_char(to, '{');
    add_id(to, "msg_", m->mark.unique, 0);
    buf_add_lit(to, ",\"type\":\"message\",\"role\":\"assistant\",");
    add_string(to, "model", m->request->q.model);
    buf_add_lit(to, ",\"content\":[");
}

/* A block as it is whole, or as it starts. */
static void write_block(const struct anthropic_answer *m, const struct block *b, size_t index, bool whole,
                        struct buf *to)
{
    switch (b->kind) {
    case BLOCK_THINKING:
        buf_add_lit(to, "{\"type\":\"thinking\",");
        add_string(to, "thinking", whole ? b->text : STR(""));
        buf_add_char(to, ',');
        add_string(to, "signature", whole ? m->signature : STR(""));
        break;
    case BLOCK_REDACTED:
        buf_add_lit(to, "{\"type\":\"redacted_thinking\",");
        add_string(to, "data", m->signature);
        break;
    case BLOCK_TEXT:
        buf_add_lit(to, "{\"type\":\"text\",");
        add_string(to, "text", whole ? b->text : STR(""));
        break;
    case BLOCK_TOOL:
        buf_add_lit(to, "{\"type\":\"tool_use\",");
        add_id(to, "toolu_", m->mark.unique, 1 + index);
        buf_add_char(to, ',');
        add_string(to, "name", b->call->name);
        buf_add_lit(to, ",\"input\":");
        /* arguments that max_tokens has cut are no object */
        buf_add(to, whole && m->choice->finish != SIM_LENGTH ? b->text : STR("{}"));
        break;
    }
    buf_add_char(to, '}');
}

void anthropic_write(const struct anthropic_answer *m, struct buf *to)
{
    struct arena a CLEANUP(arena_release);
    struct block *blocks;

    arena_init(&a, SIZE_MAX);
    size_t count = lay_out(&a, m, &blocks);
    write_head(m, to);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_add_char(to, ',');
        write_block(m, &blocks[i], i, true, to);
    }
    buf_add_lit(to, "],");
    write_stop(m, true, to);
    buf_add_char(to, ',');
    write_usage(m, m->usage.output, to);
    buf_add_char(to, '}');
}

/* --- stream --- */

enum phase { MESSAGE_START, BLOCK_START, PING, DELTAS, SIGNATURE, BLOCK_STOP, MESSAGE_DELTA, MESSAGE_STOP, ENDED };

struct stream {
    struct sim_feed feed; /* first */
    const struct anthropic_answer *m;
    struct block *blocks;
    size_t count, at; /* of blocks; the open one */
    struct str rest;  /* of its text             */
    enum phase phase;
    bool bare, opened; /* ... its first delta was sent */
};

static void begin(struct stream *s, const char *type, struct buf *to)
{
    if (!s->bare)
        buf_addf(to, "event: %s\ndata: ", type);
    buf_addf(to, "{\"type\":\"%s\"", type);
}

static void end(struct stream *s, struct buf *to)
{
    buf_add(to, s->bare ? STR("}") : STR("}\n\n"));
}

static void start_message(struct stream *s, struct buf *to)
{
    begin(s, "message_start", to);
    buf_add_lit(to, ",\"message\":");
    write_head(s->m, to);
    buf_add_lit(to, "],");
    write_stop(s->m, false, to);
    buf_add_char(to, ',');
    write_usage(s->m, s->m->usage.output > 0, to);
    buf_add_char(to, '}');
    end(s, to);
    s->phase = s->count > 0 ? BLOCK_START : MESSAGE_DELTA;
}

static size_t start_block(struct stream *s, struct buf *to)
{
    const struct block *b = &s->blocks[s->at];

    begin(s, "content_block_start", to);
    buf_addf(to, ",\"index\":%zu,\"content_block\":", s->at);
    write_block(s->m, b, s->at, false, to);
    end(s, to);
    s->rest = b->text;
    s->opened = false;
    s->phase = s->at == 0 ? PING : DELTAS;
    switch (b->kind) {
    case BLOCK_THINKING:
        return b->text.n > 0 ? 0 : s->m->usage.thinking;
    case BLOCK_REDACTED:
        return s->m->usage.thinking;
    case BLOCK_TEXT:
        return 0;
    case BLOCK_TOOL:
        return sim_tokens(b->call->name);
    }
    return 0;
}

static void delta(struct stream *s, const char *type, const char *member, struct str value, struct buf *to)
{
    begin(s, "content_block_delta", to);
    buf_addf(to, ",\"index\":%zu,\"delta\":{\"type\":\"%s\",", s->at, type);
    add_string(to, member, value);
    buf_add_char(to, '}');
    end(s, to);
}

/* The next piece of the open block. False, with nothing appended, if there is none. */
static bool next_delta(struct stream *s, struct buf *to, size_t *ret_tokens)
{
    enum block_kind kind = s->blocks[s->at].kind;

    if (kind == BLOCK_TOOL && !s->opened) {
        s->opened = true;
        if (str_eq(s->rest, STR("{}"))) {
            s->rest = STR("");
            *ret_tokens = 1;
        }
        delta(s, "input_json_delta", "partial_json", STR(""), to);
        return true;
    }
    if (s->rest.n == 0)
        return false;
    struct str piece = sim_token_cut(&s->rest);
    *ret_tokens = 1;
    if (kind == BLOCK_THINKING)
        delta(s, "thinking_delta", "thinking", piece, to);
    else if (kind == BLOCK_TEXT)
        delta(s, "text_delta", "text", piece, to);
    else
        delta(s, "input_json_delta", "partial_json", piece, to);
    return true;
}

static void stop_block(struct stream *s, struct buf *to)
{
    begin(s, "content_block_stop", to);
    buf_addf(to, ",\"index\":%zu", s->at);
    end(s, to);
    s->at++;
    s->phase = s->at < s->count ? BLOCK_START : MESSAGE_DELTA;
}

static void message_delta(struct stream *s, struct buf *to)
{
    begin(s, "message_delta", to);
    buf_add_lit(to, ",\"delta\":{");
    write_stop(s->m, true, to);
    buf_add_lit(to, "},");
    write_usage(s->m, s->m->usage.output, to);
    end(s, to);
    s->phase = MESSAGE_STOP;
}

/* The event of the phase that the stream is in; false if that has none. */
static bool step(struct stream *s, struct buf *to, struct sim_step *ret)
{
    switch (s->phase) {
    case MESSAGE_START:
        start_message(s, to);
        return true;
    case BLOCK_START:
        ret->tokens = start_block(s, to);
        return true;
    case PING:
        begin(s, "ping", to);
        end(s, to);
        s->phase = DELTAS;
        return true;
    case DELTAS:
        if (next_delta(s, to, &ret->tokens))
            return true;
        s->phase = s->blocks[s->at].kind == BLOCK_THINKING ? SIGNATURE : BLOCK_STOP;
        return false;
    case SIGNATURE:
        delta(s, "signature_delta", "signature", s->m->signature, to);
        s->phase = BLOCK_STOP;
        return true;
    case BLOCK_STOP:
        stop_block(s, to);
        return true;
    case MESSAGE_DELTA:
        message_delta(s, to);
        ret->closing = true;
        return true;
    case MESSAGE_STOP:
        begin(s, "message_stop", to);
        end(s, to);
        ret->closing = true;
        s->phase = ENDED;
        return true;
    case ENDED:
        break;
    }
    return false;
}

static bool stream_next(struct sim_feed *f, struct buf *to, struct sim_step *ret)
{
    struct stream *s = (struct stream *)f;

    *ret = (struct sim_step){0};
    while (s->phase != ENDED)
        if (step(s, to, ret))
            return true;
    return false;
}

static void stream_give_up(struct sim_feed *f, const struct sim_refusal *why, struct buf *to)
{
    const struct stream *s = (const struct stream *)f;

    if (!s->bare)
        buf_add_lit(to, "event: error\ndata: ");
    anthropic_write_error(why, s->m->request->newest, STR_NONE, to);
    if (!s->bare)
        buf_add_lit(to, "\n\n");
}

struct sim_feed *anthropic_feed(struct arena *a, const struct anthropic_answer *m, bool bare)
{
    struct stream *s = arena_new(a, struct stream);

    *s = (struct stream){.feed = {.next = stream_next, .give_up = stream_give_up}, .m = m, .bare = bare};
    s->count = lay_out(a, m, &s->blocks);
    return &s->feed;
}

/* --- errors --- */

static struct str error_type(int status)
{
    static const struct {
        int status;
        struct str type;
    } types[] = {{401, STR_INIT("authentication_error")}, {402, STR_INIT("billing_error")},
                 {403, STR_INIT("permission_error")},     {404, STR_INIT("not_found_error")},
                 {409, STR_INIT("conflict_error")},       {413, STR_INIT("request_too_large")},
                 {429, STR_INIT("rate_limit_error")},     {504, STR_INIT("timeout_error")},
                 {529, STR_INIT("overloaded_error")}};

    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (types[i].status == status)
            return types[i].type;
    return status >= 500 ? STR("api_error") : STR("invalid_request_error");
}

void anthropic_write_error(const struct sim_refusal *why, bool newest, struct str request_id, struct buf *to)
{
    buf_add_lit(to, "{\"type\":\"error\",\"error\":{");
    add_string(to, "type", error_type(why->status));
    buf_add_char(to, ',');
    add_string(to, "message", why->message);
    if (newest) {
        buf_add_lit(to, ",\"details\":{");
        add_string(to, "error_code", why->code ? str_from_c(why->code) : error_type(why->status));
        buf_add_char(to, '}');
    }
    buf_add_char(to, '}');
    if (request_id.p) {
        buf_add_char(to, ',');
        add_string(to, "request_id", request_id);
    }
    buf_add_char(to, '}');
}
