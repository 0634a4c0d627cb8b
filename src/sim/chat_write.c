/*
 * chat_write.c - chat completions as JSON and as chunks: wire-format reference 3.5 and 3.6.
 *
 * A stream has a chunk for each piece of the answer (pieces.h), then the usage if it was asked for, then [DONE]. All that chunks have in
 * common is rendered once.
 */
#include "sim/chat_write.h"

#include "codec/digest.h"
#include "sim/hash.h"
#include "sim/pieces.h"
#include "sim/refusal.h"
#include "sim/text.h"

size_t sim_id(char out[SIM_ID_MAX], const char *prefix, uint64_t unique, uint64_t part)
{
    size_t n = strlen(prefix);
    uint64_t bits[2] = {sim_hash_u64(unique, part), sim_hash_u64(unique + 1, part)};

    memcpy(out, prefix, n);
    hex_encode(out + n, bits, 12);
    return n + 24;
}

static void add_id(struct buf *to, const char *prefix, uint64_t unique, uint64_t part)
{
    char id[SIM_ID_MAX];

    buf_add(to, str_of(id, sim_id(id, prefix, unique, part)));
}

/* --- parts that both forms have --- */

static void write_usage(const struct question *q, const struct sim_answer *answer, struct buf *to)
{
    buf_add_lit(to, "\"usage\":{\"prompt_tokens\":");
    buf_add_u64(to, q->prompt_tokens);
    buf_add_lit(to, ",\"completion_tokens\":");
    buf_add_u64(to, answer->tokens);
    buf_add_lit(to, ",\"total_tokens\":");
    buf_add_u64(to, q->prompt_tokens + answer->tokens);
    buf_add_lit(to, ",\"prompt_tokens_details\":{\"cached_tokens\":0,\"cache_write_tokens\":0,\"audio_tokens\":0},"
                    "\"completion_tokens_details\":{\"reasoning_tokens\":");
    buf_add_u64(to, answer->reasoning_tokens);
    buf_add_lit(to, ",\"audio_tokens\":0,\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}");
}

static void write_token(struct str token, uint64_t hash, struct buf *to)
{
    buf_add_lit(to, "{\"token\":\"");
    buf_add_json(to, token);
    buf_addf(to, "\",\"logprob\":-%u.%04u,\"bytes\":[", (unsigned)(hash % 3), (unsigned)(hash / 3 % 10000));
    for (size_t i = 0; i < token.n; i++) {
        if (i > 0)
            buf_add_char(to, ',');
        buf_add_u64(to, (unsigned char)token.p[i]);
    }
    buf_add_char(to, ']');
}

/* One element of logprobs.content: the token, and among the likely ones it comes first. */
static void write_logprob(const struct question *q, struct str token, struct buf *to)
{
    static const struct str others[] = {STR_INIT(" the"), STR_INIT(" and"), STR_INIT(" not"), STR_INIT(".")};
    uint64_t hash = sim_hash(0, token);

    write_token(token, hash % 3000, to);
    buf_add_lit(to, ",\"top_logprobs\":[");
    for (unsigned i = 0; i < q->top_logprobs; i++) {
        if (i > 0)
            buf_add_char(to, ',');
        write_token(i == 0 ? token : others[i % ARRAY_LEN(others)], hash % 3000 + (uint64_t)i * 3000, to);
        buf_add_char(to, '}');
    }
    buf_add_lit(to, "]}");
}

void chat_write_token_logprobs(const struct question *q, struct str text, struct buf *to)
{
    buf_add_char(to, '[');
    for (bool first = true; text.n > 0; first = false) {
        if (!first)
            buf_add_char(to, ',');
        write_logprob(q, sim_token_cut(&text), to);
    }
    buf_add_char(to, ']');
}

void chat_write_logprobs(const struct question *q, struct str text, struct buf *to)
{
    if (!q->logprobs || text.n == 0) {
        buf_add_lit(to, "\"logprobs\":null");
        return;
    }
    buf_add_lit(to, "\"logprobs\":{\"content\":");
    chat_write_token_logprobs(q, text, to);
    buf_add_lit(to, ",\"refusal\":null}");
}

/* "function":{"name":...,"arguments":...} or "custom":{"name":...,"input":...}, without its closing brace. */
static void write_call_inside(const struct sim_call *c, struct str arguments, struct buf *to)
{
    buf_add(to, c->custom ? STR("\"custom\":{\"name\":\"") : STR("\"function\":{\"name\":\""));
    buf_add_json(to, c->name);
    buf_add(to, c->custom ? STR("\",\"input\":\"") : STR("\",\"arguments\":\""));
    buf_add_json(to, arguments);
    buf_add_lit(to, "\"}");
}

static void write_call_head(const struct sim_call *c, uint64_t unique, size_t choice, size_t index, struct buf *to)
{
    buf_add_lit(to, "\"id\":\"");
    add_id(to, "call_", unique, 1 + choice * SIM_TOOLS_MAX + index);
    buf_add(to, c->custom ? STR("\",\"type\":\"custom\",") : STR("\",\"type\":\"function\","));
}

/* --- whole --- */

static void write_calls(const struct question *q, const struct sim_choice *c, size_t choice, uint64_t unique,
                        struct buf *to)
{
    if (q->legacy_functions) {
        buf_add_lit(to, ",\"function_call\":{\"name\":\"");
        buf_add_json(to, c->calls[0].name);
        buf_add_lit(to, "\",\"arguments\":\"");
        buf_add_json(to, c->calls[0].arguments);
        buf_add_lit(to, "\"}");
        return;
    }
    buf_add_lit(to, ",\"tool_calls\":[");
    for (size_t i = 0; i < c->call_count; i++) {
        buf_add(to, i > 0 ? STR(",{") : STR("{"));
        write_call_head(&c->calls[i], unique, choice, i, to);
        write_call_inside(&c->calls[i], c->calls[i].arguments, to);
        buf_add_char(to, '}');
    }
    buf_add_char(to, ']');
}

static void write_choice(const struct question *q, const struct sim_choice *c, size_t index, uint64_t unique,
                         struct buf *to)
{
    buf_add_lit(to, "{\"index\":");
    buf_add_u64(to, index);
    buf_add_lit(to, ",\"message\":{\"role\":\"assistant\",\"content\":");
    if (c->call_count > 0) {
        buf_add_lit(to, "null,\"refusal\":null,\"annotations\":[]");
        write_calls(q, c, index, unique, to);
    } else {
        buf_add_char(to, '"');
        buf_add_json(to, c->text);
        buf_add_lit(to, "\",\"refusal\":null,\"annotations\":[]");
    }
    buf_add_lit(to, "},");
    chat_write_logprobs(q, c->text, to);
    buf_add_lit(to, ",\"finish_reason\":\"");
    buf_add(to, sim_finish_name(c->finish));
    buf_add_lit(to, "\"}");
}

/* From the opening brace to choices' opening bracket. */
static void write_frame(const struct question *q, const struct sim_mark *mark, struct str object, struct buf *to)
{
    buf_add_lit(to, "{\"id\":\"");
    add_id(to, "chatcmpl-", mark->unique, 0);
    buf_add_lit(to, "\",\"object\":\"");
    buf_add(to, object);
    buf_add_lit(to, "\",\"created\":");
    buf_add_i64(to, mark->created);
    buf_add_lit(to, ",\"model\":\"");
    buf_add_json(to, q->model);
    buf_add_lit(to, "\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_simulated\",\"choices\":[");
}

/* --- the plain answer: one text. Load tests want many of these, so what never changes is added in few long pieces --- */

static char *put(char *at, struct str s)
{
    memcpy(at, s.p, s.n);
    return at + s.n;
}

static char *put_number(char *at, uint64_t v)
{
    char digits[20], *from = digits + sizeof(digits);

    do
        *--from = (char)('0' + v % 10);
    while ((v /= 10) > 0);
    return put(at, str_of(from, (size_t)(digits + sizeof(digits) - from)));
}

enum { PLAIN_HEAD_MAX = 160, PLAIN_TAIL_MAX = 560 };

static void write_plain_head(const struct sim_mark *mark, struct buf *to)
{
    char *at = buf_reserve(to, PLAIN_HEAD_MAX), *from = at;

    if (!at)
        return;
    at = put(at, STR("{\"id\":\""));
    at += sim_id(at, "chatcmpl-", mark->unique, 0);
    at = put(at, STR("\",\"object\":\"chat.completion\",\"created\":"));
    at = put_number(at, (uint64_t)mark->created);
    at = put(at, STR(",\"model\":\""));
    to->n += (size_t)(at - from);
}

static void write_plain_tail(const struct question *q, const struct sim_answer *answer, struct buf *to)
{
    char *at = buf_reserve(to, PLAIN_TAIL_MAX), *from = at;

    if (!at)
        return;
    at = put(at, STR("\",\"refusal\":null,\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\""));
    at = put(at, sim_finish_name(answer->choices[0].finish));
    at = put(at, STR("\"}],\"usage\":{\"prompt_tokens\":"));
    at = put_number(at, q->prompt_tokens);
    at = put(at, STR(",\"completion_tokens\":"));
    at = put_number(at, answer->tokens);
    at = put(at, STR(",\"total_tokens\":"));
    at = put_number(at, q->prompt_tokens + answer->tokens);
    at = put(at, STR(",\"prompt_tokens_details\":{\"cached_tokens\":0,\"cache_write_tokens\":0,\"audio_tokens\":0},"
                     "\"completion_tokens_details\":{\"reasoning_tokens\":"));
    at = put_number(at, answer->reasoning_tokens);
    at = put(at, STR(",\"audio_tokens\":0,\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}}"));
    to->n += (size_t)(at - from);
}

static void write_plain(const struct question *q, const struct sim_answer *answer, const struct sim_mark *mark,
                        struct buf *to)
{
    write_plain_head(mark, to);
    buf_add_json(to, q->model);
    buf_add_lit(to, "\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_simulated\",\"choices\":[{\"index\":0,"
                    "\"message\":{\"role\":\"assistant\",\"content\":\"");
    buf_add_json(to, answer->choices[0].text);
    write_plain_tail(q, answer, to);
}

void chat_write(const struct question *q, const struct sim_answer *answer, const struct sim_mark *mark, struct buf *to)
{
    if (answer->count == 1 && answer->choices[0].call_count == 0 && !q->logprobs) {
        write_plain(q, answer, mark, to);
        return;
    }
    write_frame(q, mark, STR("chat.completion"), to);
    for (size_t i = 0; i < answer->count; i++) {
        if (i > 0)
            buf_add_char(to, ',');
        write_choice(q, &answer->choices[i], i, mark->unique, to);
    }
    buf_add_lit(to, "],");
    write_usage(q, answer, to);
    buf_add_char(to, '}');
}

/* --- stream --- */

enum phase { PIECES, USAGE, DONE, ENDED };

struct chat_stream {
    struct sim_feed feed; /* first */
    const struct question *q;
    const struct sim_answer *answer;
    uint64_t unique;
    struct str frame; /* "data: {...choices:[" */
    enum phase phase;
    struct sim_pieces pieces;
};

static void begin_chunk(struct chat_stream *s, size_t choice, struct buf *to)
{
    buf_add(to, s->frame);
    buf_add_lit(to, "{\"index\":");
    buf_add_u64(to, choice);
    buf_add_lit(to, ",\"delta\":{");
}

/* Close the delta and the chunk. `token`: what logprobs are about; `finish`: STR_NONE for null. */
static void end_chunk(struct chat_stream *s, struct str token, struct str finish, struct buf *to)
{
    buf_add_lit(to, "},");
    chat_write_logprobs(s->q, token, to);
    if (finish.p) {
        buf_add_lit(to, ",\"finish_reason\":\"");
        buf_add(to, finish);
        buf_add_lit(to, "\"}]");
    } else {
        buf_add_lit(to, ",\"finish_reason\":null}]");
    }
    buf_add(to, s->q->include_usage ? STR(",\"usage\":null}\n\n") : STR("}\n\n"));
}

static void write_call_opening(struct chat_stream *s, const struct sim_piece *p, struct buf *to)
{
    const struct sim_call *c = &s->answer->choices[p->choice].calls[p->call];

    if (s->q->legacy_functions) {
        buf_add_lit(to, "\"function_call\":{\"name\":\"");
        buf_add_json(to, c->name);
        buf_add_lit(to, "\",\"arguments\":\"\"}");
        return;
    }
    buf_addf(to, "\"tool_calls\":[{\"index\":%zu,", p->call);
    write_call_head(c, s->unique, p->choice, p->call, to);
    write_call_inside(c, STR(""), to);
    buf_add_lit(to, "}]");
}

static void write_arguments(struct chat_stream *s, const struct sim_piece *p, struct buf *to)
{
    const struct sim_call *c = &s->answer->choices[p->choice].calls[p->call];

    if (s->q->legacy_functions)
        buf_add_lit(to, "\"function_call\":{\"arguments\":\"");
    else
        buf_addf(to, "\"tool_calls\":[{\"index\":%zu,\"%s\":{\"%s\":\"", p->call, c->custom ? "custom" : "function",
                 c->custom ? "input" : "arguments");
    buf_add_json(to, p->text);
    buf_add(to, s->q->legacy_functions ? STR("\"}") : STR("\"}}]"));
}

/* The members of a delta. Thoughts have no text here. */
static void write_delta(struct chat_stream *s, const struct sim_piece *p, struct buf *to)
{
    const struct sim_choice *c = &s->answer->choices[p->choice];

    switch (p->kind) {
    case PIECE_ROLE:
        buf_add_lit(to, "\"role\":\"assistant\",\"content\":");
        buf_add(to, c->call_count > 0 ? STR("null,\"refusal\":null") : STR("\"\",\"refusal\":null"));
        return;
    case PIECE_TEXT:
        buf_add_lit(to, "\"content\":\"");
        buf_add_json(to, p->text);
        buf_add_char(to, '"');
        return;
    case PIECE_CALL:
        write_call_opening(s, p, to);
        return;
    case PIECE_ARGUMENTS:
        write_arguments(s, p, to);
        return;
    case PIECE_THOUGHT:
    case PIECE_FINISH:
        return;
    }
}

static bool piece_chunk(struct chat_stream *s, struct buf *to, struct sim_step *ret)
{
    struct sim_piece p;

    if (!sim_pieces_next(&s->pieces, &p))
        return false;
    bool finish = p.kind == PIECE_FINISH;
    begin_chunk(s, p.choice, to);
    write_delta(s, &p, to);
    end_chunk(s, p.kind == PIECE_TEXT ? p.text : STR_NONE,
              finish ? sim_finish_name(s->answer->choices[p.choice].finish) : STR_NONE, to);
    *ret = (struct sim_step){.tokens = p.tokens, .closing = finish};
    return true;
}

static bool chat_next(struct sim_feed *f, struct buf *to, struct sim_step *ret)
{
    struct chat_stream *s = (struct chat_stream *)f;

    *ret = (struct sim_step){.closing = true};
    switch (s->phase) {
    case PIECES:
        if (piece_chunk(s, to, ret))
            return true;
        s->phase = s->q->include_usage ? USAGE : DONE;
        return chat_next(f, to, ret);
    case USAGE:
        buf_add(to, s->frame);
        buf_add_lit(to, "],");
        write_usage(s->q, s->answer, to);
        buf_add_lit(to, "}\n\n");
        s->phase = DONE;
        return true;
    case DONE:
        buf_add_lit(to, "data: [DONE]\n\n");
        s->phase = ENDED;
        return true;
    case ENDED:
        break;
    }
    return false;
}

static void chat_fail(struct sim_feed *f, const struct sim_refusal *why, struct buf *to)
{
    (void)f;
    buf_add_lit(to, "data: ");
    refusal_write(to, why);
    buf_add_lit(to, "\n\n");
}

struct sim_feed *chat_feed(struct arena *a, const struct question *q, const struct sim_answer *answer,
                           const struct sim_mark *mark)
{
    struct chat_stream *s = arena_new(a, struct chat_stream);
    struct buf frame CLEANUP(buf_release) = BUF_INIT(8192);

    buf_add_lit(&frame, "data: ");
    write_frame(q, mark, STR("chat.completion.chunk"), &frame);
    *s = (struct chat_stream){.feed = {.next = chat_next, .give_up = chat_fail},
                              .q = q,
                              .answer = answer,
                              .unique = mark->unique,
                              .frame = arena_str(a, buf_str(&frame))};
    sim_pieces_init(&s->pieces, a, answer, false);
    return &s->feed;
}
