/*
 * gemini_write.c - answers of generateContent, whole or as a stream of answers that each hold a piece.
 *
 * A stream goes round the candidates: thoughts and text a token at a time, calls whole, then a part without text that says why the
 * candidate ended. Each chunk has the usage so far. A model that signs puts its signature on the first call, or on the last text.
 * Calls end with STOP, like a text. Calls that the limit has cut are left out, since half of one cannot be said.
 */
#include "sim/gemini.h"
#include "sim/hash.h"
#include "sim/signature.h"
#include "sim/text.h"

enum { SIGNATURE_TEXT_MAX = 128 };

struct writer {
    const struct gemini_request *req;
    const struct sim_answer *answer;
    struct sim_mark mark;
    struct buf *to;
};

/* --- parts --- */

static size_t whole_calls(const struct sim_choice *c)
{
    return c->call_count - (c->finish == SIM_LENGTH && c->call_count > 0);
}

static void add_string(struct buf *to, const char *key, struct str value)
{
    buf_addf(to, "\"%s\":\"", key);
    buf_add_json(to, value);
    buf_add_char(to, '"');
}

static void add_signature(struct writer *w, struct str about)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(SIGNATURE_TEXT_MAX);

    sim_sign(STR("gemini"), w->mark.unique, about, &text);
    buf_add_char(w->to, ',');
    add_string(w->to, "thoughtSignature", buf_str(&text));
}

static void write_call(struct writer *w, size_t choice, size_t index)
{
    const struct sim_call *c = &w->answer->choices[choice].calls[index];
    char id[SIM_ID_MAX];

    buf_add_lit(w->to, "{\"functionCall\":{");
    if (w->req->signs && !w->req->vertex) {
        add_string(w->to, "id", str_of(id, sim_id(id, "", w->mark.unique, 1 + choice * SIM_TOOLS_MAX + index)));
        buf_add_char(w->to, ',');
    }
    add_string(w->to, "name", c->name);
    buf_add_lit(w->to, ",\"args\":");
    buf_add(w->to, c->arguments);
    buf_add_char(w->to, '}');
    if (index == 0 && (w->req->signs || w->answer->reasoning_tokens > 0))
        add_signature(w, c->name);
    buf_add_char(w->to, '}');
}

static void write_text(struct writer *w, struct str text, bool thought, bool sign)
{
    buf_add_char(w->to, '{');
    add_string(w->to, "text", text);
    if (thought)
        buf_add_lit(w->to, ",\"thought\":true");
    if (sign)
        add_signature(w, STR(""));
    buf_add_char(w->to, '}');
}

static void write_likelihood(struct writer *w, struct str token, uint64_t below)
{
    uint64_t hash = sim_hash(0, token);

    buf_add_char(w->to, '{');
    add_string(w->to, "token", token);
    buf_addf(w->to, ",\"tokenId\":%u,\"logProbability\":-%u.%04u}", (unsigned)(hash % 100000),
             (unsigned)(hash % 3 + below), (unsigned)(hash / 3 % 10000));
}

static void write_top(struct writer *w, struct str token)
{
    static const struct str others[] = {STR_INIT(" the"), STR_INIT(" and"), STR_INIT(" not"), STR_INIT(".")};

    buf_add_lit(w->to, "{\"candidates\":[");
    for (unsigned i = 0; i < w->req->q.top_logprobs; i++) {
        if (i > 0)
            buf_add_char(w->to, ',');
        write_likelihood(w, i == 0 ? token : others[i % ARRAY_LEN(others)], 3 * (uint64_t)i);
    }
    buf_add_lit(w->to, "]}");
}

static void write_logprobs(struct writer *w, struct str text)
{
    const char *joint = "";

    if (!w->req->q.logprobs || text.n == 0)
        return;
    buf_add_lit(w->to, ",\"logprobsResult\":{\"chosenCandidates\":[");
    for (struct str rest = text; rest.n > 0; joint = ",") {
        buf_addf(w->to, "%s", joint);
        write_likelihood(w, sim_token_cut(&rest), 0);
    }
    buf_add_lit(w->to, "],\"topCandidates\":[");
    joint = "";
    for (struct str rest = text; w->req->q.top_logprobs > 0 && rest.n > 0; joint = ",") {
        buf_addf(w->to, "%s", joint);
        write_top(w, sim_token_cut(&rest));
    }
    buf_add_lit(w->to, "]}");
}

static void write_finish(struct writer *w, const struct sim_choice *c)
{
    buf_add_lit(w->to, ",\"finishReason\":");
    if (w->req->block == GEMINI_ANSWER_BLOCKED)
        buf_add_lit(w->to,
                    "\"SAFETY\",\"safetyRatings\":[{\"category\":\"HARM_CATEGORY_DANGEROUS_CONTENT\",\"probability\":"
                    "\"HIGH\",\"blocked\":true}]");
    else
        buf_add(w->to, c->finish == SIM_LENGTH ? STR("\"MAX_TOKENS\"") : STR("\"STOP\""));
}

static void write_details(struct writer *w)
{
    const struct gemini_request *req = w->req;
    size_t text = req->q.prompt_tokens - req->image_tokens - req->media_tokens;

    buf_addf(w->to, ",\"promptTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCount\":%zu}", text);
    if (req->image_tokens > 0)
        buf_addf(w->to, ",{\"modality\":\"IMAGE\",\"tokenCount\":%zu}", req->image_tokens);
    if (req->media_tokens > 0)
        buf_addf(w->to, ",{\"modality\":\"DOCUMENT\",\"tokenCount\":%zu}", req->media_tokens);
    buf_add_char(w->to, ']');
}

/* From behind the candidates to the closing brace. */
static void write_tail(struct writer *w, size_t thoughts, size_t said)
{
    size_t prompt = w->req->q.prompt_tokens;
    char id[SIM_ID_MAX];

    buf_addf(w->to, "\"usageMetadata\":{\"promptTokenCount\":%zu", prompt);
    if (said > 0)
        buf_addf(w->to, ",\"candidatesTokenCount\":%zu", said);
    if (thoughts > 0)
        buf_addf(w->to, ",\"thoughtsTokenCount\":%zu", thoughts);
    buf_addf(w->to, ",\"totalTokenCount\":%zu", prompt + thoughts + said);
    write_details(w);
    buf_add_lit(w->to, "},");
    add_string(w->to, "modelVersion", w->req->q.model);
    buf_add_char(w->to, ',');
    add_string(w->to, "responseId", str_of(id, sim_id(id, "", w->mark.unique, 0)));
    buf_add_char(w->to, '}');
}

static void write_blocked_prompt(struct writer *w)
{
    buf_add_lit(w->to, "{\"promptFeedback\":{\"blockReason\":\"SAFETY\"},");
    write_tail(w, 0, 0);
}

static size_t said_tokens(const struct writer *w)
{
    return w->req->block == GEMINI_UNBLOCKED ? w->answer->tokens - w->answer->reasoning_tokens : 0;
}

static void begin_candidate(struct writer *w)
{
    buf_add_lit(w->to, "{\"content\":{\"role\":\"model\",\"parts\":[");
}

/* --- whole --- */

static void write_parts(struct writer *w, size_t index)
{
    const struct sim_choice *c = &w->answer->choices[index];
    size_t calls = whole_calls(c);
    const char *joint = "";

    if (w->req->shows_thoughts && c->thoughts.n > 0) {
        write_text(w, c->thoughts, true, false);
        joint = ",";
    }
    for (size_t i = 0; i < calls; i++, joint = ",") {
        buf_addf(w->to, "%s", joint);
        write_call(w, index, i);
    }
    if (c->call_count == 0) {
        buf_addf(w->to, "%s", joint);
        write_text(w, c->text, false, w->req->signs);
    }
}

static void write_candidate(struct writer *w, size_t index)
{
    const struct sim_choice *c = &w->answer->choices[index];

    if (w->req->block == GEMINI_ANSWER_BLOCKED) {
        buf_addf(w->to, "{\"index\":%zu", index);
        write_finish(w, c);
        buf_add_char(w->to, '}');
        return;
    }
    begin_candidate(w);
    write_parts(w, index);
    buf_addf(w->to, "]},\"index\":%zu", index);
    write_logprobs(w, c->text);
    write_finish(w, c);
    buf_add_char(w->to, '}');
}

void gemini_write(const struct gemini_request *req, const struct sim_answer *answer, const struct sim_mark *mark,
                  struct buf *to)
{
    struct writer w = {.req = req, .answer = answer, .mark = *mark, .to = to};

    if (req->block == GEMINI_PROMPT_BLOCKED) {
        write_blocked_prompt(&w);
        return;
    }
    buf_add_lit(to, "{\"candidates\":[");
    for (size_t i = 0; i < answer->count; i++) {
        if (i > 0)
            buf_add_char(to, ',');
        write_candidate(&w, i);
    }
    buf_add_lit(to, "],");
    write_tail(&w, answer->reasoning_tokens, said_tokens(&w));
}

/* --- stream --- */

/* How far a candidate has been sent. */
struct progress {
    struct str thoughts, text;
    size_t call;
    bool finished;
};

struct stream {
    struct sim_feed feed; /* first */
    struct writer w;
    struct progress *progress;
    size_t turn, unfinished, chunks;
    size_t thoughts, said; /* tokens so far */
    bool events;
};

static void begin_chunk(struct stream *s, size_t before)
{
    buf_add(s->w.to, s->events ? STR("data: ") : before == 0 ? STR("[") : STR(",\r\n"));
}

static void end_chunk(struct stream *s, bool last)
{
    buf_add(s->w.to, s->events ? STR("\r\n\r\n") : last ? STR("\n]") : STR("\n"));
}

/* The next part of a candidate, of which *ret tells the tokens; false if there is none. */
static bool next_part(struct stream *s, size_t index, struct str *ret_text, size_t *ret_tokens)
{
    struct progress *p = &s->progress[index];
    const struct sim_choice *c = &s->w.answer->choices[index];

    *ret_text = STR("");
    *ret_tokens = 1;
    if (p->thoughts.n > 0) {
        write_text(&s->w, sim_token_cut(&p->thoughts), true, false);
        s->thoughts++;
    } else if (p->call < whole_calls(c)) {
        *ret_tokens = sim_tokens(c->calls[p->call].name) + sim_tokens(c->calls[p->call].arguments);
        write_call(&s->w, index, p->call++);
        s->said += *ret_tokens;
    } else if (p->text.n > 0) {
        *ret_text = sim_token_cut(&p->text);
        write_text(&s->w, *ret_text, false, false);
        s->said++;
    } else {
        return false;
    }
    return true;
}

static void finish_candidate(struct stream *s, size_t index, struct sim_step *ret)
{
    write_text(&s->w, STR(""), false, s->w.req->signs && s->w.answer->choices[index].call_count == 0);
    s->progress[index].finished = true;
    ret->closing = true;
    if (--s->unfinished > 0)
        return;
    /* what was not sent piece by piece */
    ret->tokens = s->w.answer->reasoning_tokens - s->thoughts + said_tokens(&s->w) - s->said;
    s->thoughts = s->w.answer->reasoning_tokens;
    s->said = said_tokens(&s->w);
}

static void write_chunk(struct stream *s, struct sim_step *ret)
{
    size_t index = s->turn;
    struct str text = STR("");

    buf_add_lit(s->w.to, "{\"candidates\":[");
    begin_candidate(&s->w);
    if (!next_part(s, index, &text, &ret->tokens))
        finish_candidate(s, index, ret);
    buf_addf(s->w.to, "]},\"index\":%zu", index);
    write_logprobs(&s->w, text);
    if (s->progress[index].finished)
        write_finish(&s->w, &s->w.answer->choices[index]);
    buf_add_lit(s->w.to, "}],");
    write_tail(&s->w, s->thoughts, s->said);
}

static bool stream_next(struct sim_feed *f, struct buf *to, struct sim_step *ret)
{
    struct stream *s = (struct stream *)f;

    *ret = (struct sim_step){0};
    if (s->unfinished == 0)
        return false;
    s->w.to = to;
    begin_chunk(s, s->chunks++);
    if (s->w.req->block == GEMINI_PROMPT_BLOCKED) {
        write_blocked_prompt(&s->w);
        ret->closing = true;
        s->unfinished = 0;
    } else {
        write_chunk(s, ret);
    }
    end_chunk(s, s->unfinished == 0);
    for (size_t i = 0; i < s->w.answer->count; i++) {
        s->turn = (s->turn + 1) % s->w.answer->count;
        if (!s->progress[s->turn].finished)
            break;
    }
    return true;
}

static void stream_give_up(struct sim_feed *f, const struct sim_refusal *why, struct buf *to)
{
    struct stream *s = (struct stream *)f;

    s->w.to = to;
    begin_chunk(s, s->chunks - 1);
    gemini_write_error(why, to);
    end_chunk(s, true);
}

struct sim_feed *gemini_feed(struct arena *a, const struct gemini_request *req, const struct sim_answer *answer,
                             const struct sim_mark *mark, bool events)
{
    struct stream *s = arena_new(a, struct stream);

    *s = (struct stream){.feed = {.next = stream_next, .give_up = stream_give_up},
                         .w = {.req = req, .answer = answer, .mark = *mark},
                         .unfinished = answer->count,
                         .events = events,
                         .progress = arena_zalloc(a, answer->count * sizeof(*s->progress))};
    s->feed.type = events ? STR("text/event-stream") : STR("application/json");
    for (size_t i = 0; i < answer->count && req->block == GEMINI_UNBLOCKED; i++) {
        s->progress[i].thoughts = req->shows_thoughts ? answer->choices[i].thoughts : STR("");
        s->progress[i].text = answer->choices[i].text;
    }
    for (size_t i = 0; i < answer->count && req->block != GEMINI_UNBLOCKED; i++)
        s->progress[i].call = answer->choices[i].call_count;
    return &s->feed;
}

/* --- errors --- */

static struct str status_name(const struct sim_refusal *why)
{
    static const struct {
        int status;
        struct str name;
    } names[] = {{400, STR_INIT("INVALID_ARGUMENT")},
                 {401, STR_INIT("UNAUTHENTICATED")},
                 {403, STR_INIT("PERMISSION_DENIED")},
                 {404, STR_INIT("NOT_FOUND")},
                 {409, STR_INIT("ABORTED")},
                 {413, STR_INIT("INVALID_ARGUMENT")},
                 {429, STR_INIT("RESOURCE_EXHAUSTED")},
                 {499, STR_INIT("CANCELLED")},
                 {500, STR_INIT("INTERNAL")},
                 {503, STR_INIT("UNAVAILABLE")},
                 {504, STR_INIT("DEADLINE_EXCEEDED")}};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (names[i].status == why->status)
            return names[i].name;
    return STR("UNKNOWN");
}

void gemini_write_error(const struct sim_refusal *why, struct buf *to)
{
    bool bad_key = why->code && str_eq(str_from_c(why->code), STR("API_KEY_INVALID"));

    buf_addf(to, "{\"error\":{\"code\":%d,", why->status);
    add_string(to, "message", why->message);
    buf_add_char(to, ',');
    add_string(to, "status", status_name(why));
    if (why->retry_after > 0)
        buf_addf(to, ",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"%.9gs\"}]",
                 (double)why->retry_after / (double)NS_SEC);
    else if (bad_key)
        buf_add_lit(to, ",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.ErrorInfo\",\"reason\":"
                        "\"API_KEY_INVALID\",\"domain\":\"googleapis.com\",\"metadata\":{\"service\":"
                        "\"generativelanguage.googleapis.com\"}}]");
    buf_add_lit(to, "}}");
}
