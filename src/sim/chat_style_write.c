/*
 * chat_style_write.c - chat completions and chunks as OpenAI's look-alikes write them.
 *
 * One writer for all: each member stands where the style wants it, or not at all. What only one server says comes from the style's
 * `extra`. chat_write.c does not take part: it is OpenAI's, and tuned.
 */
#include "sim/chat_style.h"

#include "sim/pieces.h"
#include "sim/refusal.h"

/* A comment comes before every so many pieces. */
enum { COMMENT_EVERY = 8, SHORT_ID = 9 };

/* An answer being written. */
struct writing {
    const struct chat_style *s;
    const struct question *q;
    const struct sim_answer *answer;
    const struct sim_mark *mark;
};

/* --- members --- */

static void add_extra(const struct writing *w, struct style_moment m, struct buf *to)
{
    if (!w->s->extra)
        return;
    m.q = w->q;
    m.answer = w->answer;
    m.mark = w->mark;
    w->s->extra(&m, to);
}

/* From the opening brace to the opening bracket of choices. */
static void write_frame(const struct writing *w, bool stream, struct buf *to)
{
    const struct chat_style *s = w->s;
    char id[SIM_ID_MAX];

    buf_addf(to, "{\"object\":\"chat.completion%s\",\"id\":\"", stream ? ".chunk" : "");
    buf_add(to, str_of(id, sim_id(id,
                                  s->hex_ids     ? ""
                                  : s->id_prefix ? s->id_prefix
                                                 : "chatcmpl-",
                                  w->mark->unique, 0)));
    if (s->hex_ids) /* 24 digits so far */
        buf_addf(to, "%08x", (unsigned)w->mark->unique);
    buf_add_lit(to, "\",");
    if (!s->no_created)
        buf_addf(to, "\"created\":%lld,", s->zero_created ? 0LL : (long long)w->mark->created);
    buf_add_lit(to, "\"model\":\"");
    buf_add_json(to, w->q->model);
    if (s->fingerprint)
        buf_addf(to, "\",\"system_fingerprint\":\"%s", s->fingerprint);
    buf_add_lit(to, "\",\"choices\":[");
}

/* `tokens` of the answer have been sent, `thinking` of them thoughts. */
static void write_usage(const struct writing *w, size_t tokens, size_t thinking, struct buf *to)
{
    size_t completion = w->s->thought_not_in_completion ? tokens - thinking : tokens;

    buf_addf(to, ",\"usage\":{\"prompt_tokens\":%zu,\"completion_tokens\":%zu,\"total_tokens\":%zu",
             w->q->prompt_tokens, completion, w->q->prompt_tokens + tokens);
    if (w->s->thought != STYLE_THOUGHT_HIDDEN && w->s->thought != STYLE_THINKING_PARTS)
        buf_addf(to, ",\"completion_tokens_details\":{\"reasoning_tokens\":%zu}", thinking);
    add_extra(w, (struct style_moment){.place = STYLE_IN_USAGE, .last = true}, to);
    buf_add_char(to, '}');
}

static struct str finish_name(const struct writing *w, const struct sim_choice *c)
{
    return w->s->finish ? w->s->finish(w->q, c) : sim_finish_name(c->finish);
}

static void write_call_id(const struct writing *w, size_t choice, size_t call, struct buf *to)
{
    char id[SIM_ID_MAX];
    uint64_t part = 1 + choice * SIM_TOOLS_MAX + call;
    size_t n = sim_id(id, w->s->hex_ids ? "" : "call_", w->mark->unique, part);

    buf_addf(to, "\"id\":\"%.*s\",", (int)(w->s->hex_ids ? SHORT_ID : n), id);
}

/* Arguments that were cut short stay a string, which is no JSON. */
static bool is_whole_object(struct str arguments)
{
    return arguments.n > 1 && arguments.p[0] == '{' && arguments.p[arguments.n - 1] == '}';
}

static void write_arguments(const struct writing *w, struct str arguments, struct buf *to)
{
    buf_add_lit(to, "\"arguments\":");
    if (w->s->object_arguments && w->q->hash % 2 == 1 && is_whole_object(arguments)) {
        buf_add(to, arguments);
        return;
    }
    buf_add_char(to, '"');
    buf_add_json(to, arguments);
    buf_add_char(to, '"');
}

/* A call, or the beginning of one. */
static void write_call(const struct writing *w, size_t choice, size_t call, struct str arguments, bool stream,
                       struct buf *to)
{
    const struct sim_call *c = &w->answer->choices[choice].calls[call];

    buf_add_char(to, '{');
    if (stream ? !w->s->no_call_index : w->s->call_index_always)
        buf_addf(to, "\"index\":%zu,", call);
    if (!w->s->no_call_id)
        write_call_id(w, choice, call, to);
    if (!w->s->no_call_type)
        buf_add_lit(to, "\"type\":\"function\",");
    buf_add_lit(to, "\"function\":{\"name\":\"");
    buf_add_json(to, c->name);
    buf_add_lit(to, "\",");
    write_arguments(w, arguments, to);
    buf_add_lit(to, "}}");
}

/* The member that holds thoughts. */
static void write_thought(const struct writing *w, struct str text, struct buf *to)
{
    bool content = w->s->thought == STYLE_REASONING_CONTENT;

    if (w->s->thought == STYLE_THOUGHT_HIDDEN)
        return;
    buf_add(to, content ? STR(",\"reasoning_content\":\"") : STR(",\"reasoning\":\""));
    buf_add_json(to, text);
    buf_add_char(to, '"');
    if (w->s->thought != STYLE_REASONING_DETAILS)
        return;
    buf_add_lit(to, ",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"");
    buf_add_json(to, text);
    buf_add_lit(to, "\",\"format\":\"simulated-v1\",\"index\":0}]");
}

static void write_thinking_part(struct str text, struct buf *to)
{
    buf_add_lit(to, "{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"");
    buf_add_json(to, text);
    buf_add_lit(to, "\"}]}");
}

/* --- whole --- */

static void write_content(const struct writing *w, const struct sim_choice *c, struct buf *to)
{
    bool parts = w->s->thought == STYLE_THINKING_PARTS && c->thoughts.n > 0;

    buf_add_lit(to, "\"content\":");
    if (c->call_count > 0 && !parts) {
        buf_add_lit(to, "null");
        return;
    }
    if (parts) {
        buf_add_char(to, '[');
        write_thinking_part(c->thoughts, to);
        if (c->text.n > 0)
            buf_add_lit(to, ",{\"type\":\"text\",\"text\":");
    }
    if (!parts || c->text.n > 0) {
        buf_add_char(to, '"');
        buf_add_json(to, c->text);
        buf_add_char(to, '"');
    }
    if (parts)
        buf_add(to, c->text.n > 0 ? STR("}]") : STR("]"));
}

static void write_choice(const struct writing *w, size_t index, struct buf *to)
{
    const struct sim_choice *c = &w->answer->choices[index];
    struct style_moment m = {.choice = c, .first = true, .last = true, .finish = true};

    buf_addf(to, "{\"index\":%zu,\"message\":{\"role\":\"assistant\",", index);
    write_content(w, c, to);
    if (c->thoughts.n > 0 && w->s->thought != STYLE_THINKING_PARTS)
        write_thought(w, c->thoughts, to);
    for (size_t i = 0; i < c->call_count; i++) {
        buf_add(to, i == 0 ? STR(",\"tool_calls\":[") : STR(","));
        write_call(w, index, i, c->calls[i].arguments, false, to);
    }
    if (c->call_count > 0)
        buf_add_char(to, ']');
    m.place = STYLE_MESSAGE;
    add_extra(w, m, to);
    buf_add_lit(to, "},");
    chat_write_logprobs(w->q, c->text, to);
    buf_addf(to, ",\"finish_reason\":\"%.*s\"", STR_ARG(finish_name(w, c)));
    m.place = STYLE_CHOICE;
    add_extra(w, m, to);
    buf_add_char(to, '}');
}

void style_write(const struct chat_style *s, const struct question *q, const struct sim_answer *answer,
                 const struct sim_mark *mark, struct buf *to)
{
    struct writing w = {.s = s, .q = q, .answer = answer, .mark = mark};

    write_frame(&w, false, to);
    for (size_t i = 0; i < answer->count; i++) {
        if (i > 0)
            buf_add_char(to, ',');
        write_choice(&w, i, to);
    }
    buf_add_char(to, ']');
    if (s->usage != STYLE_USAGE_NEVER)
        write_usage(&w, answer->tokens, answer->reasoning_tokens, to);
    add_extra(&w, (struct style_moment){.place = STYLE_TOP, .first = true, .last = true, .finish = true}, to);
    buf_add_char(to, '}');
}

/* --- stream --- */

struct style_stream {
    struct sim_feed feed; /* first */
    struct writing w;
    struct sim_pieces pieces;
    struct str frame; /* "data: {...choices:[" */
    enum { OPENING, CHUNKS, USAGE, DONE, ENDED } phase;
    size_t count, tokens, thinking; /* pieces, and what they have brought */
    bool commented;                 /* the comment before the next piece has been sent */
};

/* Members of a delta, each with a comma before it: the caller drops the first one. */
static void write_delta(struct style_stream *s, const struct sim_piece *p, struct buf *to)
{
    const struct writing *w = &s->w;
    const struct sim_choice *c = &w->answer->choices[p->choice];

    switch (p->kind) {
    case PIECE_ROLE:
        buf_add(to, c->call_count > 0 || w->s->null_content ? STR(",\"content\":null") : STR(",\"content\":\"\""));
        return;
    case PIECE_THOUGHT:
        if (w->s->thought == STYLE_THINKING_PARTS) {
            buf_add_lit(to, ",\"content\":[");
            write_thinking_part(p->text, to);
            buf_add_char(to, ']');
            return;
        }
        if (w->s->null_content)
            buf_add_lit(to, ",\"content\":null");
        write_thought(w, p->text, to);
        return;
    case PIECE_TEXT:
        buf_add_lit(to, ",\"content\":\"");
        buf_add_json(to, p->text);
        buf_add_char(to, '"');
        return;
    case PIECE_CALL:
        if (w->s->null_content)
            buf_add_lit(to, ",\"content\":null");
        buf_add_lit(to, ",\"tool_calls\":[");
        write_call(w, p->choice, p->call, w->s->whole_calls ? c->calls[p->call].arguments : STR(""), true, to);
        buf_add_char(to, ']');
        return;
    case PIECE_ARGUMENTS:
        buf_addf(to, ",\"tool_calls\":[{\"index\":%zu,\"function\":{\"arguments\":\"", p->call);
        buf_add_json(to, p->text);
        buf_add_lit(to, "\"}}]");
        return;
    case PIECE_FINISH:
        if (w->s->thought == STYLE_THINKING_PARTS || w->s->role_always)
            buf_add_lit(to, ",\"content\":\"\"");
        return;
    }
}

static void write_finish_reason(const struct writing *w, const struct sim_piece *p, struct buf *to)
{
    if (p->kind == PIECE_FINISH)
        buf_addf(to, ",\"finish_reason\":\"%.*s\"", STR_ARG(finish_name(w, &w->answer->choices[p->choice])));
    else
        buf_add(to, w->s->empty_finish ? STR(",\"finish_reason\":\"\"") : STR(",\"finish_reason\":null"));
}

static void write_chunk_usage(struct style_stream *s, const struct sim_piece *p, struct buf *to)
{
    enum style_usage usage = s->w.s->usage;

    if (usage == STYLE_USAGE_EVERY || (usage == STYLE_USAGE_FINISH && p->last) ||
        (usage == STYLE_USAGE_ASKED && s->w.q->usage_each))
        write_usage(&s->w, s->tokens, s->thinking, to);
    else if (usage == STYLE_USAGE_ASKED && s->w.q->include_usage)
        buf_add_lit(to, ",\"usage\":null");
}

static void write_chunk(struct style_stream *s, const struct sim_piece *p, struct buf *to)
{
    const struct writing *w = &s->w;
    struct style_moment m = {.place = STYLE_MESSAGE,
                             .choice = &w->answer->choices[p->choice],
                             .first = p->kind == PIECE_ROLE,
                             .last = p->last,
                             .finish = p->kind == PIECE_FINISH,
                             .stream = true};

    buf_add(to, s->frame);
    buf_addf(to, "{\"index\":%zu,\"delta\":{", p->choice);
    size_t from = to->n;
    if (p->kind == PIECE_ROLE || w->s->role_always)
        buf_add_lit(to, ",\"role\":\"assistant\"");
    write_delta(s, p, to);
    add_extra(w, m, to);
    if (to->n > from) { /* the comma before the first member */
        memmove(to->p + from, to->p + from + 1, to->n - from - 1);
        to->n--;
    }
    buf_add_lit(to, "},");
    chat_write_logprobs(w->q, p->kind == PIECE_TEXT ? p->text : STR_NONE, to);
    write_finish_reason(w, p, to);
    m.place = STYLE_CHOICE;
    add_extra(w, m, to);
    buf_add_lit(to, "}]");
    m.place = STYLE_TOP;
    add_extra(w, m, to);
    write_chunk_usage(s, p, to);
    buf_add_lit(to, "}\n\n");
}

static void next_chunk(struct style_stream *s, struct buf *to, struct sim_step *ret)
{
    const struct chat_style *style = s->w.s;
    struct sim_piece p;

    if (style->comment.n > 0 && !s->commented && s->count % COMMENT_EVERY == 0) {
        buf_add(to, style->comment);
        s->commented = true;
        return;
    }
    s->commented = false;
    s->count++;
    (void)sim_pieces_next(&s->pieces, &p); /* there is one until the last one has been given */
    s->tokens += p.tokens;
    s->thinking += p.kind == PIECE_THOUGHT || p.kind == PIECE_ROLE ? p.tokens : 0;
    write_chunk(s, &p, to);
    *ret = (struct sim_step){.tokens = p.tokens, .closing = p.kind == PIECE_FINISH};
    if (p.last)
        s->phase = style->usage == STYLE_USAGE_ASKED && s->w.q->include_usage ? USAGE : DONE;
}

static bool style_next(struct sim_feed *f, struct buf *to, struct sim_step *ret)
{
    struct style_stream *s = (struct style_stream *)f;
    const struct chat_style *style = s->w.s;

    *ret = (struct sim_step){.closing = s->phase == USAGE || s->phase == DONE};
    switch (s->phase) {
    case OPENING:
        s->phase = CHUNKS;
        if (style->prologue.n > 0) {
            buf_add(to, style->prologue);
            return true;
        }
        next_chunk(s, to, ret);
        return true;
    case CHUNKS:
        next_chunk(s, to, ret);
        return true;
    case USAGE:
        buf_add(to, s->frame);
        buf_add_char(to, ']');
        write_usage(&s->w, s->tokens, s->thinking, to);
        buf_add_lit(to, "}\n\n");
        s->phase = DONE;
        return true;
    case DONE:
        s->phase = ENDED;
        if (style->no_done)
            return false;
        buf_add_lit(to, "data: [DONE]\n\n");
        return true;
    case ENDED:
        break;
    }
    return false;
}

static void style_fail(struct sim_feed *f, const struct sim_refusal *why, struct buf *to)
{
    struct style_stream *s = (struct style_stream *)f;

    if (s->w.s->error == STYLE_ERROR_OPENROUTER) { /* a whole chunk, with the error in it */
        buf_add(to, s->frame);
        buf_add_lit(to,
                    "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":\"error\"}],"
                    "\"error\":{\"message\":\"");
        buf_add_json(to, why->message);
        buf_addf(to, "\",\"code\":%d}}\n\n", why->status);
        return;
    }
    buf_add_lit(to, "data: ");
    style_write_error(s->w.s->error, why, to);
    buf_add_lit(to, "\n\n");
}

struct sim_feed *style_feed(const struct chat_style *style, struct arena *a, const struct question *q,
                            const struct sim_answer *answer, const struct sim_mark *mark)
{
    struct style_stream *s = arena_new(a, struct style_stream);
    struct buf frame CLEANUP(buf_release) = BUF_INIT(8192);

    s->feed = (struct sim_feed){.next = style_next, .give_up = style_fail};
    s->w = (struct writing){.s = style, .q = q, .answer = answer, .mark = mark};
    sim_pieces_init(&s->pieces, a, answer, style->whole_calls);
    buf_add_lit(&frame, "data: ");
    write_frame(&s->w, true, &frame);
    s->frame = arena_str(a, buf_str(&frame));
    return &s->feed;
}
