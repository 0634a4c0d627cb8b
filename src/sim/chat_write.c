/*
 * chat_write.c - chat completions as JSON and as chunks: wire-format reference 3.5 and 3.6.
 *
 * A stream begins with a role chunk for each choice, goes round the choices giving one token (or piece of a call's arguments) of
 * each in turn, ends each with its finish chunk, then gives the usage if it was asked for, then [DONE]. All that chunks have in common is
 * rendered once.
 */
#include "sim/chat_write.h"

#include "codec/digest.h"
#include "sim/hash.h"
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

static void write_logprobs(const struct question *q, struct str text, struct buf *to)
{
    if (!q->logprobs || text.n == 0) {
        buf_add_lit(to, "\"logprobs\":null");
        return;
    }
    buf_add_lit(to, "\"logprobs\":{\"content\":[");
    for (bool first = true; text.n > 0; first = false) {
        if (!first)
            buf_add_char(to, ',');
        write_logprob(q, sim_token_cut(&text), to);
    }
    buf_add_lit(to, "],\"refusal\":null}");
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
    write_logprobs(q, c->text, to);
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

enum phase { ROLES, BODIES, USAGE, DONE, ENDED };

/* How far a choice has been sent. */
struct progress {
    struct str rest; /* of the text, or of the current call's arguments */
    size_t call;
    bool call_open, finished;
};

struct chat_stream {
    struct sim_feed feed; /* first */
    const struct question *q;
    const struct sim_answer *answer;
    uint64_t unique;
    struct str frame; /* "data: {...choices:[" */
    enum phase phase;
    size_t turn; /* choice whose turn it is   */
    size_t unfinished;
    struct progress *progress;
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
    write_logprobs(s->q, token, to);
    if (finish.p) {
        buf_add_lit(to, ",\"finish_reason\":\"");
        buf_add(to, finish);
        buf_add_lit(to, "\"}]");
    } else {
        buf_add_lit(to, ",\"finish_reason\":null}]");
    }
    buf_add(to, s->q->include_usage ? STR(",\"usage\":null}\n\n") : STR("}\n\n"));
}

static void role_chunk(struct chat_stream *s, size_t choice, struct buf *to, struct sim_step *ret)
{
    const struct sim_choice *c = &s->answer->choices[choice];

    begin_chunk(s, choice, to);
    buf_add_lit(to, "\"role\":\"assistant\",\"content\":");
    buf_add(to, c->call_count > 0 ? STR("null,\"refusal\":null") : STR("\"\",\"refusal\":null"));
    end_chunk(s, STR_NONE, STR_NONE, to);
    ret->tokens = s->answer->reasoning_tokens / s->answer->count;
}

static void text_chunk(struct chat_stream *s, size_t choice, struct progress *p, struct buf *to, struct sim_step *ret)
{
    struct str token = sim_token_cut(&p->rest);

    begin_chunk(s, choice, to);
    buf_add_lit(to, "\"content\":\"");
    buf_add_json(to, token);
    buf_add_char(to, '"');
    end_chunk(s, token, STR_NONE, to);
    ret->tokens = 1;
}

static void open_call_chunk(struct chat_stream *s, size_t choice, struct progress *p, struct buf *to,
                            struct sim_step *ret)
{
    const struct sim_call *c = &s->answer->choices[choice].calls[p->call];

    begin_chunk(s, choice, to);
    if (s->q->legacy_functions) {
        buf_add_lit(to, "\"function_call\":{\"name\":\"");
        buf_add_json(to, c->name);
        buf_add_lit(to, "\",\"arguments\":\"\"}");
    } else {
        buf_addf(to, "\"tool_calls\":[{\"index\":%zu,", p->call);
        write_call_head(c, s->unique, choice, p->call, to);
        write_call_inside(c, STR(""), to);
        buf_add_lit(to, "}]");
    }
    end_chunk(s, STR_NONE, STR_NONE, to);
    ret->tokens = sim_tokens(c->name);
    p->call_open = true;
    p->rest = c->arguments;
}

static void arguments_chunk(struct chat_stream *s, size_t choice, struct progress *p, struct buf *to,
                            struct sim_step *ret)
{
    const struct sim_call *c = &s->answer->choices[choice].calls[p->call];

    begin_chunk(s, choice, to);
    if (s->q->legacy_functions)
        buf_add_lit(to, "\"function_call\":{\"arguments\":\"");
    else
        buf_addf(to, "\"tool_calls\":[{\"index\":%zu,\"%s\":{\"%s\":\"", p->call, c->custom ? "custom" : "function",
                 c->custom ? "input" : "arguments");
    buf_add_json(to, sim_token_cut(&p->rest));
    buf_add(to, s->q->legacy_functions ? STR("\"}") : STR("\"}}]"));
    end_chunk(s, STR_NONE, STR_NONE, to);
    ret->tokens = 1;
}

static void finish_chunk(struct chat_stream *s, size_t choice, struct progress *p, struct buf *to, struct sim_step *ret)
{
    begin_chunk(s, choice, to);
    end_chunk(s, STR_NONE, sim_finish_name(s->answer->choices[choice].finish), to);
    p->finished = true;
    s->unfinished--;
    ret->closing = true;
}

/* The next piece of the choice whose turn it is. */
static void body_chunk(struct chat_stream *s, struct buf *to, struct sim_step *ret)
{
    while (s->progress[s->turn].finished)
        s->turn = (s->turn + 1) % s->answer->count;
    size_t choice = s->turn;
    struct progress *p = &s->progress[choice];
    const struct sim_choice *c = &s->answer->choices[choice];
    if (p->call_open && p->rest.n == 0) {
        p->call_open = false;
        p->call++;
    }
    if (p->rest.n > 0 && c->call_count == 0)
        text_chunk(s, choice, p, to, ret);
    else if (p->rest.n > 0)
        arguments_chunk(s, choice, p, to, ret);
    else if (p->call < c->call_count)
        open_call_chunk(s, choice, p, to, ret);
    else
        finish_chunk(s, choice, p, to, ret);
    s->turn = (s->turn + 1) % s->answer->count;
}

static bool chat_next(struct sim_feed *f, struct buf *to, struct sim_step *ret)
{
    struct chat_stream *s = (struct chat_stream *)f;

    *ret = (struct sim_step){0};
    switch (s->phase) {
    case ROLES:
        role_chunk(s, s->turn++, to, ret);
        if (s->turn == s->answer->count) {
            s->turn = 0;
            s->phase = BODIES;
        }
        return true;
    case BODIES:
        body_chunk(s, to, ret);
        if (s->unfinished == 0)
            s->phase = s->q->include_usage ? USAGE : DONE;
        return true;
    case USAGE:
        buf_add(to, s->frame);
        buf_add_lit(to, "],");
        write_usage(s->q, s->answer, to);
        buf_add_lit(to, "}\n\n");
        ret->closing = true;
        s->phase = DONE;
        return true;
    case DONE:
        buf_add_lit(to, "data: [DONE]\n\n");
        ret->closing = true;
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
                              .frame = arena_str(a, buf_str(&frame)),
                              .unfinished = answer->count,
                              .progress = arena_zalloc(a, answer->count * sizeof(*s->progress))};
    for (size_t i = 0; i < answer->count; i++)
        s->progress[i].rest = answer->choices[i].text;
    return &s->feed;
}
