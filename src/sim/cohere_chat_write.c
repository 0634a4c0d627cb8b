/*
 * cohere_chat_write.c - answers of POST /v2/chat, whole or as a stream.
 *
 * Both forms say the same: thinking, then a text with its citations, or a plan and tool calls. A text is cited piece by piece, one
 * token for each document or tool result, in their order, so that a client can check every position against the text.
 *
 * Billed are the texts and not the frame of the prompt, so that billed_units and tokens differ and cannot be mistaken for each
 * other. A tool_plan costs nothing.
 */
#include "sim/cohere_int.h"
#include "sim/hash.h"
#include "sim/text.h"

/* --- parts that both forms have --- */

static struct str finish_name(const struct sim_choice *c)
{
    switch (c->finish) {
    case SIM_STOP:
        return c->stop.p ? STR("STOP_SEQUENCE") : STR("COMPLETE");
    case SIM_LENGTH:
        return STR("MAX_TOKENS");
    case SIM_TOOL_CALLS:
    case SIM_FUNCTION_CALL:
        return STR("TOOL_CALL");
    }
    return STR("ERROR");
}

static void write_usage(const struct cohere_chat *c, const struct sim_answer *answer, struct buf *to)
{
    buf_addf(
        to,
        "\"usage\":{\"billed_units\":{\"input_tokens\":%zu,\"output_tokens\":%zu},\"tokens\":{\"input_tokens\":%zu,"
        "\"output_tokens\":%zu},\"cached_tokens\":0}",
        c->q.prompt_tokens - SIM_PROMPT_TOKENS, answer->tokens, c->q.prompt_tokens, answer->tokens);
}

static void write_plan(const struct sim_choice *choice, struct buf *to)
{
    buf_add_lit(to, "I will call ");
    for (size_t i = 0; i < choice->call_count; i++) {
        buf_add(to, i > 0 ? STR(" and ") : STR(""));
        buf_add_json(to, choice->calls[i].name);
    }
    buf_add_char(to, '.');
}

static void write_call(const struct sim_call *call, uint64_t unique, size_t index, struct str arguments, struct buf *to)
{
    buf_add_lit(to, "{\"id\":\"");
    buf_add_json(to, call->name);
    buf_addf(to, "_%012llx\",\"type\":\"function\",\"function\":{\"name\":\"",
             (unsigned long long)(sim_hash_u64(unique, index) >> 16));
    buf_add_json(to, call->name);
    buf_add_lit(to, "\",\"arguments\":\"");
    buf_add_json(to, arguments);
    buf_add_lit(to, "\"}}");
}

static size_t characters(struct str s)
{
    size_t count = 0;

    for (size_t i = 0; i < s.n; i++)
        count += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return count;
}

static size_t citation_count(const struct cohere_chat *c, const struct sim_choice *choice)
{
    size_t tokens = sim_tokens(choice->text);

    if (!c->cites)
        return 0;
    return c->source_count < tokens ? c->source_count : tokens;
}

/* The k-th citation is of the text's k-th token. */
static void write_citation(const struct cohere_chat *c, const struct sim_choice *choice, size_t k, struct buf *to)
{
    const struct cohere_source *s = &c->sources[k];
    struct str rest = choice->text, token = sim_token_cut(&rest);

    for (size_t i = 0; i < k; i++)
        token = sim_token_cut(&rest);
    size_t start = k * SIM_TOKEN_CHARS;
    buf_addf(to, "{\"start\":%zu,\"end\":%zu,\"text\":\"", start, start + characters(token));
    buf_add_json(to, token);
    buf_addf(to, "\",\"sources\":[{\"type\":\"%s\",\"id\":\"", s->is_tool ? "tool" : "document");
    buf_add_json(to, s->id);
    buf_addf(to, "\",\"%s\":", s->is_tool ? "tool_output" : "document");
    buf_add(to, s->value);
    buf_addf(to, "}],\"content_index\":%d,\"type\":\"TEXT_CONTENT\"}", choice->thoughts.n > 0);
}

static void write_id(uint64_t unique, struct buf *to)
{
    char id[SIM_UUID_CHARS];

    sim_uuid(id, unique, 0);
    buf_add(to, str_of(id, sizeof(id)));
}

/* --- whole --- */

static void write_part(const char *type, struct str text, struct buf *to)
{
    buf_addf(to, "{\"type\":\"%s\",\"%s\":\"", type, type);
    buf_add_json(to, text);
    buf_add_lit(to, "\"}");
}

static void write_content(const struct cohere_chat *c, const struct sim_choice *choice, struct buf *to)
{
    size_t citations = citation_count(c, choice);

    if (choice->thoughts.n > 0 || choice->call_count == 0) {
        buf_add_lit(to, ",\"content\":[");
        if (choice->thoughts.n > 0)
            write_part("thinking", choice->thoughts, to);
        if (choice->call_count == 0) {
            buf_add(to, choice->thoughts.n > 0 ? STR(",") : STR(""));
            write_part("text", choice->text, to);
        }
        buf_add_char(to, ']');
    }
    for (size_t k = 0; k < citations; k++) {
        buf_add(to, k > 0 ? STR(",") : STR(",\"citations\":["));
        write_citation(c, choice, k, to);
    }
    buf_add(to, citations > 0 ? STR("]") : STR(""));
}

static void write_calls(const struct cohere_chat *c, const struct sim_choice *choice, uint64_t unique, struct buf *to)
{
    if (!c->thinking) {
        buf_add_lit(to, ",\"tool_plan\":\"");
        write_plan(choice, to);
        buf_add_char(to, '"');
    }
    buf_add_lit(to, ",\"tool_calls\":[");
    for (size_t i = 0; i < choice->call_count; i++) {
        buf_add(to, i > 0 ? STR(",") : STR(""));
        write_call(&choice->calls[i], unique, i, choice->calls[i].arguments, to);
    }
    buf_add_char(to, ']');
}

err_t cohere_chat_write(const struct cohere_chat *c, const struct sim_answer *answer, const struct sim_mark *mark,
                        struct buf *to)
{
    const struct sim_choice *choice = answer->choices;

    buf_add_lit(to, "{\"id\":\"");
    write_id(mark->unique, to);
    buf_addf(to, "\",\"finish_reason\":\"%.*s\",\"message\":{\"role\":\"assistant\"", STR_ARG(finish_name(choice)));
    if (choice->call_count > 0)
        write_calls(c, choice, mark->unique, to);
    write_content(c, choice, to);
    buf_add_lit(to, "},");
    write_usage(c, answer, to);
    buf_add_char(to, '}');
    return buf_status(to);
}

/* --- stream --- */

enum phase {
    START,
    PLAN,
    BLOCK_START,
    BLOCK,
    CITATION_START,
    CITATION_END,
    BLOCK_END,
    CALL_START,
    CALL,
    CALL_END,
    END
};

struct cohere_stream {
    struct sim_feed feed; /* first */
    const struct cohere_chat *c;
    const struct sim_answer *answer;
    const struct sim_choice *choice;
    uint64_t unique;
    enum phase phase;
    bool thinking, over; /* the block is of thoughts; all has been said    */
    size_t block, call, citation;
    struct str rest; /* of the plan, the block or the call's arguments */
};

static void begin(const char *type, struct buf *to)
{
    buf_addf(to, "event: %s\ndata: {\"type\":\"%s\"", type, type);
}

static void end(struct buf *to)
{
    buf_add_lit(to, "}\n\n");
}

static void put_start(struct cohere_stream *s, struct buf *to)
{
    begin("message-start", to);
    buf_add_lit(to, ",\"id\":\"");
    write_id(s->unique, to);
    buf_add_lit(to,
                "\",\"delta\":{\"message\":{\"role\":\"assistant\",\"content\":[],\"tool_plan\":\"\",\"tool_calls\":[],"
                "\"citations\":[]}}");
    s->thinking = s->choice->thoughts.n > 0;
    s->phase = s->thinking || s->choice->call_count == 0 ? BLOCK_START : PLAN;
}

static void put_plan(struct cohere_stream *s, struct buf *to)
{
    begin("tool-plan-delta", to);
    buf_add_lit(to, ",\"delta\":{\"message\":{\"tool_plan\":\"");
    buf_add_json(to, sim_token_cut(&s->rest));
    buf_add_lit(to, "\"}}");
    if (s->rest.n == 0)
        s->phase = CALL_START;
}

static void put_block_start(struct cohere_stream *s, struct buf *to)
{
    const char *type = s->thinking ? "thinking" : "text";

    begin("content-start", to);
    buf_addf(to, ",\"index\":%zu,\"delta\":{\"message\":{\"content\":{\"type\":\"%s\",\"%s\":\"\"}}}", s->block, type,
             type);
    s->rest = s->thinking ? s->choice->thoughts : s->choice->text;
    s->phase = s->rest.n > 0 ? BLOCK : BLOCK_END;
}

static void put_block(struct cohere_stream *s, struct buf *to, struct sim_step *ret)
{
    begin("content-delta", to);
    buf_addf(to, ",\"index\":%zu,\"delta\":{\"message\":{\"content\":{\"%s\":\"", s->block,
             s->thinking ? "thinking" : "text");
    buf_add_json(to, sim_token_cut(&s->rest));
    buf_add_lit(to, "\"}}}");
    ret->tokens = 1;
    if (s->rest.n == 0)
        s->phase = !s->thinking && citation_count(s->c, s->choice) > 0 ? CITATION_START : BLOCK_END;
}

static void put_citation_start(struct cohere_stream *s, struct buf *to)
{
    begin("citation-start", to);
    buf_addf(to, ",\"index\":%zu,\"delta\":{\"message\":{\"citations\":", s->citation);
    write_citation(s->c, s->choice, s->citation, to);
    buf_add_lit(to, "}}");
    s->phase = CITATION_END;
}

static void put_citation_end(struct cohere_stream *s, struct buf *to)
{
    begin("citation-end", to);
    buf_addf(to, ",\"index\":%zu", s->citation++);
    s->phase = s->citation < citation_count(s->c, s->choice) ? CITATION_START : BLOCK_END;
}

static void put_block_end(struct cohere_stream *s, struct buf *to)
{
    begin("content-end", to);
    buf_addf(to, ",\"index\":%zu", s->block++);
    if (!s->thinking)
        s->phase = END;
    else
        s->phase = s->choice->call_count > 0 ? CALL_START : BLOCK_START;
    s->thinking = false;
}

static void put_call_start(struct cohere_stream *s, struct buf *to, struct sim_step *ret)
{
    const struct sim_call *call = &s->choice->calls[s->call];

    begin("tool-call-start", to);
    buf_addf(to, ",\"index\":%zu,\"delta\":{\"message\":{\"tool_calls\":", s->call);
    write_call(call, s->unique, s->call, STR(""), to);
    buf_add_lit(to, "}}");
    ret->tokens = sim_tokens(call->name);
    s->rest = call->arguments;
    s->phase = s->rest.n > 0 ? CALL : CALL_END;
}

static void put_call(struct cohere_stream *s, struct buf *to, struct sim_step *ret)
{
    begin("tool-call-delta", to);
    buf_addf(to, ",\"index\":%zu,\"delta\":{\"message\":{\"tool_calls\":{\"function\":{\"arguments\":\"", s->call);
    buf_add_json(to, sim_token_cut(&s->rest));
    buf_add_lit(to, "\"}}}}");
    ret->tokens = 1;
    if (s->rest.n == 0)
        s->phase = CALL_END;
}

static void put_call_end(struct cohere_stream *s, struct buf *to)
{
    begin("tool-call-end", to);
    buf_addf(to, ",\"index\":%zu", s->call++);
    s->phase = s->call < s->choice->call_count ? CALL_START : END;
}

static void put_end(struct cohere_stream *s, struct buf *to, struct sim_step *ret)
{
    begin("message-end", to);
    buf_add_lit(to, ",\"id\":\"");
    write_id(s->unique, to);
    buf_addf(to, "\",\"delta\":{\"finish_reason\":\"%.*s\",", STR_ARG(finish_name(s->choice)));
    write_usage(s->c, s->answer, to);
    buf_add_lit(to, ",\"error\":null}");
    ret->closing = s->over = true;
}

static bool stream_next(struct sim_feed *f, struct buf *to, struct sim_step *ret)
{
    struct cohere_stream *s = (struct cohere_stream *)f;

    *ret = (struct sim_step){0};
    if (s->over)
        return false;
    switch (s->phase) {
    case START:
        put_start(s, to);
        break;
    case PLAN:
        put_plan(s, to);
        break;
    case BLOCK_START:
        put_block_start(s, to);
        break;
    case BLOCK:
        put_block(s, to, ret);
        break;
    case CITATION_START:
        put_citation_start(s, to);
        break;
    case CITATION_END:
        put_citation_end(s, to);
        break;
    case BLOCK_END:
        put_block_end(s, to);
        break;
    case CALL_START:
        put_call_start(s, to, ret);
        break;
    case CALL:
        put_call(s, to, ret);
        break;
    case CALL_END:
        put_call_end(s, to);
        break;
    case END:
        put_end(s, to, ret);
        break;
    }
    end(to);
    return true;
}

static void stream_fail(struct sim_feed *f, const struct sim_refusal *why, struct buf *to)
{
    struct cohere_stream *s = (struct cohere_stream *)f;

    begin("message-end", to);
    buf_add_lit(to, ",\"id\":\"");
    write_id(s->unique, to);
    buf_add_lit(to, "\",\"delta\":{\"finish_reason\":\"ERROR\",\"error\":\"");
    buf_add_json(to, why->message);
    buf_add_lit(to, "\"}");
    end(to);
}

struct sim_feed *cohere_chat_feed(struct arena *a, const struct cohere_chat *c, const struct sim_answer *answer,
                                  const struct sim_mark *mark)
{
    struct cohere_stream *s = arena_new(a, struct cohere_stream);
    struct buf plan CLEANUP(buf_release) = BUF_INIT(SIM_TOOLS_MAX * 512);

    *s = (struct cohere_stream){.feed = {.next = stream_next, .give_up = stream_fail},
                                .c = c,
                                .answer = answer,
                                .choice = answer->choices,
                                .unique = mark->unique};
    write_plan(s->choice, &plan);
    s->rest = arena_str(a, buf_str(&plan));
    return &s->feed;
}
