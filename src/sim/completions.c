/*
 * completions.c - POST /completions, the legacy endpoint: prompts in, their continuations out (wire-format reference 5).
 *
 * A prompt is a text or an array of token numbers; there may be many, and `n` continuations of each: choice index = prompt * n + k.
 * Each prompt is a question of its own, so it has the same continuation alone and among others. With `echo` the prompt comes first.
 */
#include "codec/json.h"
#include "sim/answer.h"
#include "sim/fields.h"
#include "sim/hash.h"
#include "sim/text.h"
#include "sim/turn.h"

enum { PROMPTS_MAX = 2048, CHOICES_MAX = 4096, DEFAULT_TOKENS = 16, FRAME_MAX = 8192 };

static const struct field_rule rules[] = {
    {.name = STR_INIT("model"), .kind = FIELD_STRING, .min = 1, .max = 512, .required = true},
    {.name = STR_INIT("prompt"), .kind = FIELD_ANY},
    {.name = STR_INIT("suffix"), .kind = FIELD_STRING},
    {.name = STR_INIT("max_tokens"), .kind = FIELD_INT, .min = 0, .max = 1 << 30},
    {.name = STR_INIT("temperature"), .kind = FIELD_NUMBER, .min = 0, .max = 2},
    {.name = STR_INIT("top_p"), .kind = FIELD_NUMBER, .min = 0, .max = 1},
    {.name = STR_INIT("n"), .kind = FIELD_INT, .min = 1, .max = SIM_CHOICES_MAX},
    {.name = STR_INIT("best_of"), .kind = FIELD_INT, .min = 1, .max = 20},
    {.name = STR_INIT("stream"), .kind = FIELD_BOOL},
    {.name = STR_INIT("stream_options"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("logprobs"), .kind = FIELD_INT, .min = 0, .max = 5},
    {.name = STR_INIT("echo"), .kind = FIELD_BOOL},
    {.name = STR_INIT("stop"), .kind = FIELD_ANY},
    {.name = STR_INIT("presence_penalty"), .kind = FIELD_NUMBER, .min = -2, .max = 2},
    {.name = STR_INIT("frequency_penalty"), .kind = FIELD_NUMBER, .min = -2, .max = 2},
    {.name = STR_INIT("logit_bias"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("seed"), .kind = FIELD_INT},
    {.name = STR_INIT("user"), .kind = FIELD_STRING},
};

struct continuation {
    struct str echo, text;
    enum sim_finish finish;
};

struct completions {
    struct sim_turn *t;
    struct question q; /* what all prompts have in common */
    struct str *prompts;
    size_t prompt_count;
    struct continuation *choices;
    size_t count, tokens;
    bool echo;
    int64_t logprobs; /* -1: none */
};

/* --- reading --- */

/* Prompts given as token numbers become a text that shows them. */
static struct str tokens_text(struct completions *c, yyjson_val *tokens)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(SIZE_MAX);
    yyjson_val *token;
    size_t i, n;

    yyjson_arr_foreach(tokens, i, n, token)
    {
        buf_add(&text, i > 0 ? STR(" ") : STR(""));
        buf_add_i64(&text, yyjson_get_sint(token));
    }
    return arena_str(c->t->a, buf_str(&text));
}

static err_t add_prompt(struct completions *c, yyjson_val *prompt)
{
    struct question *q = &c->q;

    if (yyjson_is_str(prompt)) {
        c->prompts[c->prompt_count] = json_text(prompt);
        q->prompt_tokens += sim_tokens(json_text(prompt));
    } else if (yyjson_is_arr(prompt) && yyjson_is_int(yyjson_arr_get_first(prompt))) {
        c->prompts[c->prompt_count] = tokens_text(c, prompt);
        q->prompt_tokens += yyjson_arr_size(prompt);
    } else {
        return refuse_type(c->t->a, &c->t->refusal, STR("prompt"),
                           "a string, array of strings, array of integers, or array of arrays of integers", prompt);
    }
    q->hash = sim_hash(q->hash, c->prompts[c->prompt_count++]);
    return OK;
}

static err_t read_prompts(struct completions *c, yyjson_val *prompt)
{
    yyjson_val *first = yyjson_arr_get_first(prompt), *item;
    size_t i, n;

    if (prompt && !yyjson_is_null(prompt) && (!yyjson_is_arr(prompt) || yyjson_is_int(first))) {
        c->prompts = arena_new(c->t->a, struct str);
        return add_prompt(c, prompt);
    }
    if (yyjson_arr_size(prompt) > PROMPTS_MAX)
        return refuse(c->t->a, &c->t->refusal, "array_above_max_length", STR("prompt"), "Too many prompts: at most %d.",
                      PROMPTS_MAX);
    if (yyjson_arr_size(prompt) == 0) { /* absent: the beginning of a document */
        c->prompts = arena_new(c->t->a, struct str);
        c->prompt_count = 1;
        return OK;
    }
    c->prompts = arena_zalloc(c->t->a, yyjson_arr_size(prompt) * sizeof(*c->prompts));
    yyjson_arr_foreach(prompt, i, n, item)
    {
        TRY(add_prompt(c, item));
    }
    return OK;
}

static err_t read_stops(struct completions *c, yyjson_val *stop)
{
    if (yyjson_arr_size(stop) > SIM_STOPS_MAX)
        return refuse(c->t->a, &c->t->refusal, "array_above_max_length", STR("stop"),
                      "Invalid 'stop': array too long.");
    question_set_stops(c->t->a, &c->q, stop);
    return OK;
}

static err_t read_request(struct completions *c, struct str body)
{
    struct sim_turn *t = c->t;
    yyjson_val *root;

    TRY(fields_parse(t->a, body, &t->refusal, &root));
    TRY(fields_check(t->a, root, STR(""), rules, ARRAY_LEN(rules), t->scenario->strict_fields, &t->refusal));
    question_init(&c->q);
    c->q.prompt_tokens = 0;
    c->q.model = json_get_str(root, STR("model"), STR_NONE);
    c->q.max_tokens = json_get_i64(root, STR("max_tokens"), DEFAULT_TOKENS);
    c->q.n = (size_t)json_get_i64(root, STR("n"), 1);
    c->q.stream = json_get_bool(root, STR("stream"), false);
    c->echo = json_get_bool(root, STR("echo"), false);
    c->logprobs = json_get_i64(root, STR("logprobs"), -1);
    yyjson_val *options = json_get(root, STR("stream_options"));
    if (yyjson_is_obj(options) && !c->q.stream)
        return refuse(t->a, &t->refusal, NULL, STR("stream_options"),
                      "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
    c->q.include_usage = json_get_bool(options, STR("include_usage"), false);
    TRY(read_stops(c, json_get(root, STR("stop"))));
    TRY(read_prompts(c, json_get(root, STR("prompt"))));
    if (c->prompt_count * c->q.n > CHOICES_MAX)
        return refuse(t->a, &t->refusal, NULL, STR("n"), "Too many choices: at most %d.", CHOICES_MAX);
    return OK;
}

/* --- answering --- */

static err_t make_choices(struct completions *c)
{
    size_t n = c->q.n;

    c->count = c->prompt_count * n;
    c->choices = arena_zalloc(c->t->a, c->count * sizeof(*c->choices));
    for (size_t i = 0; i < c->prompt_count; i++) {
        struct question one = c->q;
        struct sim_answer answer;
        one.asked = c->prompts[i];
        one.hash = sim_hash(0, one.asked);
        TRY(sim_answer_make(c->t->a, &one, c->t->seed, c->t->plan.length, &answer));
        c->tokens += answer.tokens;
        for (size_t k = 0; k < n; k++)
            c->choices[i * n + k] = (struct continuation){.echo = c->echo ? c->prompts[i] : STR(""),
                                                          .text = answer.choices[k].text,
                                                          .finish = answer.choices[k].finish};
    }
    return OK;
}

/* --- writing --- */

static void write_frame(const struct completions *c, struct buf *to)
{
    char id[SIM_ID_MAX];
    size_t n = sim_id(id, "cmpl-", c->t->mark.unique, 0);

    buf_addf(to, "{\"id\":\"%.*s\",\"object\":\"text_completion\",\"created\":%lld,\"model\":\"", (int)n, id,
             (long long)c->t->mark.created);
    buf_add_json(to, c->q.model);
    buf_add_lit(to, "\",\"system_fingerprint\":\"fp_simulated\",\"choices\":[");
}

static void write_usage(const struct completions *c, struct buf *to)
{
    buf_addf(to, "\"usage\":{\"prompt_tokens\":%zu,\"completion_tokens\":%zu,\"total_tokens\":%zu}", c->q.prompt_tokens,
             c->tokens, c->q.prompt_tokens + c->tokens);
}

/* Log-probabilities of `text`, whose first byte is at `offset` of the choice. */
static void write_logprobs(const struct completions *c, struct str text, size_t offset, struct buf *to)
{
    struct str rest;

    if (c->logprobs < 0) {
        buf_add_lit(to, "null");
        return;
    }
    buf_add_lit(to, "{\"tokens\":[");
    for (rest = text; rest.n > 0;) {
        buf_add_char(to, '"');
        buf_add_json(to, sim_token_cut(&rest));
        buf_add(to, rest.n > 0 ? STR("\",") : STR("\""));
    }
    buf_add_lit(to, "],\"token_logprobs\":[");
    for (rest = text; rest.n > 0;) {
        sim_token_cut(&rest);
        buf_add(to, rest.n > 0 ? STR("-0.5,") : STR("-0.5"));
    }
    buf_add_lit(to, "],\"top_logprobs\":null,\"text_offset\":[");
    for (rest = text; rest.n > 0;) {
        buf_add_u64(to, offset);
        offset += sim_token_cut(&rest).n;
        buf_add(to, rest.n > 0 ? STR(",") : STR(""));
    }
    buf_add_lit(to, "]}");
}

/* One element of choices; finish.p == NULL: null. */
static void write_choice(const struct completions *c, size_t index, struct str text, size_t offset, struct str finish,
                         struct buf *to)
{
    buf_add_lit(to, "{\"text\":\"");
    buf_add_json(to, text);
    buf_addf(to, "\",\"index\":%zu,\"logprobs\":", index);
    write_logprobs(c, text, offset, to);
    if (finish.p)
        buf_addf(to, ",\"finish_reason\":\"%.*s\"}", STR_ARG(finish));
    else
        buf_add_lit(to, ",\"finish_reason\":null}");
}

static void write_whole(const struct completions *c, struct buf *to)
{
    write_frame(c, to);
    for (size_t i = 0; i < c->count; i++) {
        const struct continuation *k = &c->choices[i];
        if (i > 0)
            buf_add_char(to, ',');
        write_choice(c, i, arena_join(c->t->a, k->echo, k->text), 0, sim_finish_name(k->finish), to);
    }
    buf_add_lit(to, "],");
    write_usage(c, to);
    buf_add_char(to, '}');
}

/* --- stream --- */

struct stream {
    struct sim_feed feed; /* first */
    const struct completions *c;
    struct str frame;
    struct str *rests; /* of each choice: text not yet sent  */
    bool *echoed;
    size_t turn, unfinished;
    bool usage_sent, done_sent;
};

static void chunk(struct stream *s, size_t index, struct str text, struct str finish, struct buf *to)
{
    const struct continuation *k = &s->c->choices[index];
    size_t offset = s->echoed[index] ? k->echo.n + (k->text.n - s->rests[index].n) - text.n : 0;

    buf_add(to, s->frame);
    write_choice(s->c, index, text, offset, finish, to);
    buf_add(to, s->c->q.include_usage ? STR("],\"usage\":null}\n\n") : STR("]}\n\n"));
}

static void choice_chunk(struct stream *s, struct buf *to, struct sim_step *ret)
{
    const struct completions *c = s->c;

    while (s->rests[s->turn].p == NULL)
        s->turn = (s->turn + 1) % c->count;
    size_t i = s->turn;
    if (!s->echoed[i] && c->choices[i].echo.n > 0) {
        chunk(s, i, c->choices[i].echo, STR_NONE, to);
    } else if (s->rests[i].n > 0) {
        struct str token = sim_token_cut(&s->rests[i]);
        s->echoed[i] = true;
        chunk(s, i, token, STR_NONE, to);
        ret->tokens = 1;
    } else {
        chunk(s, i, STR(""), sim_finish_name(c->choices[i].finish), to);
        s->rests[i] = STR_NONE;
        s->unfinished--;
        ret->closing = true;
    }
    s->echoed[i] = true;
    s->turn = (s->turn + 1) % c->count;
}

static bool stream_next(struct sim_feed *f, struct buf *to, struct sim_step *ret)
{
    struct stream *s = (struct stream *)f;

    *ret = (struct sim_step){.closing = s->unfinished == 0};
    if (s->unfinished > 0) {
        choice_chunk(s, to, ret);
    } else if (s->c->q.include_usage && !s->usage_sent) {
        buf_add(to, s->frame);
        buf_add_lit(to, "],");
        write_usage(s->c, to);
        buf_add_lit(to, "}\n\n");
        s->usage_sent = true;
    } else if (!s->done_sent) {
        buf_add_lit(to, "data: [DONE]\n\n");
        s->done_sent = true;
    } else {
        return false;
    }
    return true;
}

static void stream_give_up(struct sim_feed *f, const struct sim_refusal *why, struct buf *to)
{
    (void)f;
    buf_add_lit(to, "data: ");
    refusal_write(to, why);
    buf_add_lit(to, "\n\n");
}

static struct sim_feed *stream_new(const struct completions *c)
{
    struct arena *a = c->t->a;
    struct stream *s = arena_new(a, struct stream);
    struct buf frame CLEANUP(buf_release) = BUF_INIT(FRAME_MAX);

    buf_add_lit(&frame, "data: ");
    write_frame(c, &frame);
    *s = (struct stream){.feed = {.next = stream_next, .give_up = stream_give_up},
                         .c = c,
                         .frame = arena_str(a, buf_str(&frame)),
                         .rests = arena_alloc(a, c->count * sizeof(*s->rests)),
                         .echoed = arena_zalloc(a, c->count * sizeof(*s->echoed)),
                         .unfinished = c->count};
    for (size_t i = 0; i < c->count; i++)
        s->rests[i] = c->choices[i].text.p ? c->choices[i].text : STR("");
    return &s->feed;
}

err_t completions_endpoint(struct sim_turn *t)
{
    struct completions *c = arena_new(t->a, struct completions);
    struct str body;
    bool over;

    c->t = t;
    TRY(turn_body(t, &body));
    TRY(read_request(c, body));
    TRY(turn_begin(t, c->q.model, c->q.hash, &over));
    if (over)
        return OK;
    TRY(make_choices(c));
    turn_count_prompt(t, c->q.prompt_tokens);
    if (c->q.stream)
        return sim_play_stream(&t->play, stream_new(c));
    write_whole(c, t->room);
    TRY(buf_status(t->room));
    return sim_play_whole(&t->play, STR("application/json"), buf_str(t->room), c->tokens);
}
