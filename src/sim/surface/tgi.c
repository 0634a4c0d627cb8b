/*
 * tgi.c - Hugging Face's Text Generation Inference (text-generation-inference, docs/openapi.json, version 3): /generate,
 * /generate_stream, POST / with either, /tokenize, /info, and chat below the prefix with TGI's own response_format and stop.
 *
 * One model is served; a request need not name it. What the real server checks is checked in its order and its words. Differences to
 * other dialects that a translation must know: a stop sequence is part of the text; details, and with them the reason of the end, come
 * only if asked for; events are "data:" without a blank, and nothing but generated_text marks the last one.
 */
#include "codec/json.h"
#include "sim/gauges.h"
#include "sim/hash.h"
#include "sim/local.h"
#include "sim/lookalike.h"
#include "sim/text.h"

enum {
    INPUT_TOKENS_MAX = 4095,
    TOTAL_TOKENS_MAX = 4096,
    USUAL_NEW_TOKENS = 100,
    STOPS_MAX = 4,
    TOP_TOKENS_MAX = 5,
    BEST_OF_MAX = 2,
    EOS_ID = 2
};

/* --- refusals --- */

static const char *type_of_status(int status)
{
    switch (status) {
    case 422:
    case 400:
    case 413:
        return "validation";
    case 424:
        return "generation";
    case 429:
        return "overloaded";
    default:
        return status >= 500 ? "incomplete_generation" : "validation";
    }
}

static void write_error(const struct sim_refusal *why, struct buf *to)
{
    bool is_tool = str_starts(why->param, STR("tool_choice"));
    struct str prefix = is_tool ? STR("Tool error: ") : why->status == 422 ? STR("Input validation error: ") : STR("");

    buf_add_lit(to, "{\"error\":\"");
    buf_add(to, prefix);
    buf_add_json(to, why->message);
    buf_addf(to, "\",\"error_type\":\"%s\"}", is_tool ? "tool_error" : type_of_status(why->status));
}

static void write_refusal(const struct sim_play *p, const struct sim_refusal *why, struct buf *to)
{
    (void)p;
    write_error(why, to);
}

static void add_headers(const struct sim_play *p, const struct sim_refusal *why, struct sim_head *to)
{
    sim_head_add(to, STR("x-compute-type"), STR("simulated"));
    sim_head_add(to, STR("x-compute-time"), STR("0.001"));
    sim_head_add(to, STR("x-queue-time"), STR("0"));
    if (why)
        sim_head_add_span(to, p->r->arena, STR("retry-after"), why->retry_after, NS_SEC);
}

/* Whatever is wrong with a request is a 422 here. */
static err_t as_validation(struct sim_turn *t, err_t e)
{
    if (e == E_PARSE && t->refusal.status == 400)
        t->refusal.status = 422;
    return e;
}

/* --- /generate: the request --- */

/* AS_ASKED: the body's `stream` says. */
enum how { WHOLE, STREAMED, AS_ASKED };

struct generation {
    struct sim_turn *t;
    struct question q;
    struct str inputs;
    bool details, input_details, full_text, sampling;
    unsigned top_tokens, best_of;
    bool seeded;
    uint64_t seed;
    /* the answer */
    struct str text;
    const char *finish;
    size_t tokens;
};

static const struct field_rule parameter_rules[] = {
    {.name = STR_INIT("max_new_tokens"), .kind = FIELD_INT},
    {.name = STR_INIT("temperature"), .kind = FIELD_NUMBER},
    {.name = STR_INIT("top_k"), .kind = FIELD_INT},
    {.name = STR_INIT("top_p"), .kind = FIELD_NUMBER},
    {.name = STR_INIT("typical_p"), .kind = FIELD_NUMBER},
    {.name = STR_INIT("repetition_penalty"), .kind = FIELD_NUMBER},
    {.name = STR_INIT("frequency_penalty"), .kind = FIELD_NUMBER},
    {.name = STR_INIT("stop"), .kind = FIELD_ARRAY},
    {.name = STR_INIT("seed"), .kind = FIELD_INT},
    {.name = STR_INIT("do_sample"), .kind = FIELD_BOOL},
    {.name = STR_INIT("details"), .kind = FIELD_BOOL},
    {.name = STR_INIT("decoder_input_details"), .kind = FIELD_BOOL},
    {.name = STR_INIT("return_full_text"), .kind = FIELD_BOOL},
    {.name = STR_INIT("truncate"), .kind = FIELD_INT},
    {.name = STR_INIT("watermark"), .kind = FIELD_BOOL},
    {.name = STR_INIT("best_of"), .kind = FIELD_INT},
    {.name = STR_INIT("top_n_tokens"), .kind = FIELD_INT},
    {.name = STR_INIT("adapter_id"), .kind = FIELD_STRING},
    {.name = STR_INIT("grammar"), .kind = FIELD_OBJECT},
};

/* A number of the parameters that must lie between two bounds, both excluded unless they are `included`. */
struct range_rule {
    const char *name;
    double min, max;
    bool included;
    const char *words;
};

static const struct range_rule ranges[] = {
    {"temperature", 0, 1e9, false, "`temperature` must be strictly positive"},
    {"repetition_penalty", 0, 1e9, false, "`repetition_penalty` must be strictly positive"},
    {"frequency_penalty", -2, 2, true, "`frequency_penalty` must be >= -2.0 and <= 2.0"},
    {"top_p", 0, 1, false, "`top_p` must be > 0.0 and < 1.0"},
    {"typical_p", 0, 1, false, "`typical_p` must be > 0.0 and < 1.0"},
    {"top_k", 0, 1e9, false, "`top_k` must be strictly positive"},
    {"max_new_tokens", 0, 1e9, false, "`max_new_tokens` must be strictly positive"},
    {"truncate", 0, INPUT_TOKENS_MAX + 1, false, "`truncate` must be strictly positive and less than 4096"},
    {"best_of", 1, BEST_OF_MAX, true, "`best_of` must be >= 1 and <= 2"},
    {"top_n_tokens", 0, TOP_TOKENS_MAX, true, "`top_n_tokens` must be >= 0 and <= 5"},
    {"seed", 0, 1.8e19, true, "`seed` must not be negative"},
};

static err_t check_ranges(struct generation *g, yyjson_val *parameters)
{
    for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
        yyjson_val *v = json_get(parameters, str_from_c(ranges[i].name));
        double x = yyjson_get_num(v);
        if (!yyjson_is_num(v))
            continue;
        if (ranges[i].included ? x < ranges[i].min || x > ranges[i].max : x <= ranges[i].min || x >= ranges[i].max)
            return refuse(g->t->a, &g->t->refusal, NULL, STR_NONE, "%s", ranges[i].words);
    }
    return OK;
}

static err_t read_stops(struct arena *a, yyjson_val *stop, struct question *q, struct sim_refusal *r)
{
    yyjson_val *item;
    size_t i, n, size = yyjson_arr_size(stop);

    if (size > STOPS_MAX)
        return refuse(a, r, NULL, STR_NONE, "`stop` supports up to %d stop sequences. Given: %zu", STOPS_MAX, size);
    yyjson_arr_foreach(stop, i, n, item)
    {
        if (!yyjson_is_str(item))
            return refuse(a, r, NULL, STR_NONE, "stop[%zu]: invalid type, expected a string", i);
    }
    question_set_stops(a, q, stop);
    return OK;
}

/* {"type":"json"|"json_schema"|"regex","value":...} */
static err_t read_grammar(struct arena *a, yyjson_val *grammar, struct question *q, struct sim_refusal *r)
{
    struct str type = json_get_str(grammar, STR("type"), STR("none"));
    yyjson_val *value = json_get(grammar, STR("value"));

    if (!grammar || yyjson_is_null(grammar))
        return OK;
    if (str_eq(type, STR("regex"))) {
        if (!yyjson_is_str(value))
            return refuse(a, r, NULL, STR_NONE, "grammar.value: expected a regular expression");
        q->format = SIM_PATTERN;
        q->pattern = json_text(value);
        return question_check_pattern(a, q->pattern, STR("grammar.value"), r);
    }
    if (str_eq(type, STR("json_schema"))) /* {"name", "schema"} */
        value = json_get(value, STR("schema"));
    else if (!str_eq(type, STR("json")) && !str_eq(type, STR("json_object")))
        return refuse(a, r, NULL, STR_NONE,
                      "grammar: unknown variant `%.*s`, expected `json`, `json_schema` or `regex`", STR_ARG(type));
    if (yyjson_is_str(value) && json_parse(a, json_text(value), NULL, 0, &value) != OK)
        return refuse(a, r, NULL, STR_NONE, "Grammar error: cannot parse grammar: %s", err_detail(E_PARSE));
    if (!yyjson_is_obj(value) || !json_get(value, STR("properties")))
        return refuse(a, r, NULL, STR_NONE, "Grammar error: Grammar must have a 'properties' field");
    q->format = SIM_JSON_SCHEMA;
    q->schema = value;
    return OK;
}

/* What parameters demand of each other. */
static err_t check_together(struct generation *g, yyjson_val *parameters)
{
    struct arena *a = g->t->a;
    struct sim_refusal *r = &g->t->refusal;

    g->sampling = json_get_bool(parameters, STR("do_sample"), false) || json_get(parameters, STR("temperature")) ||
                  json_get(parameters, STR("top_k")) || json_get(parameters, STR("top_p")) ||
                  json_get(parameters, STR("typical_p"));
    if (g->best_of > 1 && g->q.stream)
        return refuse(a, r, NULL, STR_NONE, "`best_of` != 1 is not supported when streaming tokens");
    if (g->best_of > 1 && !g->sampling)
        return refuse(a, r, NULL, STR_NONE, "you must use sampling when `best_of` is > 1");
    if (g->best_of > 1 && g->seeded)
        return refuse(a, r, NULL, STR_NONE, "`seed` must not be set when `best_of` > 1");
    if (g->input_details && g->q.stream)
        return refuse(a, r, NULL, STR_NONE, "`decoder_input_details` == true is not supported when streaming tokens");
    if (g->q.prompt_tokens > INPUT_TOKENS_MAX)
        return refuse(a, r, NULL, STR_NONE, "`inputs` must have less than %d tokens. Given: %zu", INPUT_TOKENS_MAX,
                      g->q.prompt_tokens);
    if (g->q.prompt_tokens + (size_t)g->q.max_tokens > TOTAL_TOKENS_MAX)
        return refuse(a, r, NULL, STR_NONE,
                      "`inputs` tokens + `max_new_tokens` must be <= %d. Given: %zu `inputs` tokens and %lld "
                      "`max_new_tokens`",
                      TOTAL_TOKENS_MAX, g->q.prompt_tokens, (long long)g->q.max_tokens);
    return OK;
}

static err_t read_parameters(struct generation *g, yyjson_val *p)
{
    struct sim_turn *t = g->t;

    TRY(fields_check(t->a, p, STR("parameters"), parameter_rules, ARRAY_LEN(parameter_rules), false, &t->refusal));
    TRY(check_ranges(g, p));
    g->q.max_tokens = json_get_i64(p, STR("max_new_tokens"), USUAL_NEW_TOKENS);
    g->details = json_get_bool(p, STR("details"), false);
    g->input_details = json_get_bool(p, STR("decoder_input_details"), false);
    g->full_text = json_get_bool(p, STR("return_full_text"), false);
    g->top_tokens = (unsigned)json_get_i64(p, STR("top_n_tokens"), 0);
    g->best_of = (unsigned)json_get_i64(p, STR("best_of"), 1);
    g->seeded = yyjson_is_num(json_get(p, STR("seed")));
    g->seed = (uint64_t)json_get_i64(p, STR("seed"), 0);
    size_t truncate = (size_t)json_get_i64(p, STR("truncate"), INT64_MAX);
    if (g->q.prompt_tokens > truncate) { /* the end of the prompt is kept */
        struct str kept = g->inputs;
        for (size_t drop = g->q.prompt_tokens - truncate; drop > 0; drop--)
            (void)sim_token_cut(&kept);
        g->q.asked = kept;
        g->q.prompt_tokens = truncate;
    }
    TRY(read_stops(t->a, json_get(p, STR("stop")), &g->q, &t->refusal));
    TRY(read_grammar(t->a, json_get(p, STR("grammar")), &g->q, &t->refusal));
    return check_together(g, p);
}

static err_t read_generation(struct generation *g, yyjson_val *root, enum how how)
{
    struct sim_turn *t = g->t;
    yyjson_val *parameters = json_get(root, STR("parameters"));

    question_init(&g->q);
    g->q.stream = how == STREAMED || (how == AS_ASKED && json_get_bool(root, STR("stream"), false));
    g->q.model = local_model(t, STR("tgi"));
    g->inputs = json_get_str(root, STR("inputs"), STR_NONE);
    if (!g->inputs.p)
        return refuse(t->a, &t->refusal, NULL, STR_NONE, "missing field `inputs`");
    if (g->inputs.n == 0)
        return refuse(t->a, &t->refusal, NULL, STR_NONE, "`inputs` cannot be empty");
    g->q.asked = g->inputs;
    g->q.prompt_tokens = sim_tokens(g->inputs);
    g->q.hash = sim_hash(0, g->inputs);
    if (parameters && !yyjson_is_null(parameters) && !yyjson_is_obj(parameters))
        return refuse(t->a, &t->refusal, NULL, STR_NONE, "parameters: invalid type, expected a map");
    return read_parameters(g, parameters);
}

/* --- the answer --- */

/* Sampling draws a seed where none is given. */
static err_t make_answer(struct generation *g)
{
    struct sim_answer answer;
    struct sim_turn *t = g->t;

    if (g->sampling && !g->seeded)
        g->seed = t->mark.unique >> 1;
    if (g->sampling)
        g->q.hash = sim_hash_u64(g->q.hash, g->seed);
    if (sim_answer_make(t->a, &g->q, t->seed, t->plan.length, &answer) != OK)
        return refuse(t->a, &t->refusal, NULL, STR_NONE, "Grammar error: %s", err_detail(E_TOO_LARGE));
    const struct sim_choice *c = &answer.choices[0];
    g->text = c->stop.p ? arena_join(t->a, c->text, c->stop) : c->text;
    g->finish = c->finish == SIM_LENGTH ? "length" : c->stop.p ? "stop_sequence" : "eos_token";
    /* the token that ends the text counts, too */
    g->tokens = sim_tokens(g->text) + (strcmp(g->finish, "eos_token") == 0);
    return OK;
}

static struct str full_text(const struct generation *g)
{
    return g->full_text ? arena_join(g->t->a, g->inputs, g->text) : g->text;
}

static void write_token(const struct generation *g, struct str token, bool special, struct buf *to)
{
    buf_addf(to, "{\"id\":%u,\"text\":\"", special ? EOS_ID : local_token_id(token));
    buf_add_json(to, token);
    buf_addf(to, "\",\"logprob\":%.*s,\"special\":%s}", STR_ARG(local_logprob(g->t->a, token)),
             special ? "true" : "false");
}

static void write_top_tokens(const struct generation *g, struct str token, bool special, struct buf *to)
{
    static const struct str others[] = {STR_INIT(" the"), STR_INIT(" and"), STR_INIT(" not"), STR_INIT(".")};

    buf_add_char(to, '[');
    for (unsigned i = 0; i < g->top_tokens; i++) {
        if (i > 0)
            buf_add_char(to, ',');
        write_token(g, i == 0 ? token : others[i - 1], special && i == 0, to);
    }
    buf_add_char(to, ']');
}

/* Members that say how it ended. */
static void write_end(const struct generation *g, struct buf *to)
{
    buf_addf(to, "\"finish_reason\":\"%s\",\"generated_tokens\":%zu,\"seed\":", g->finish, g->tokens);
    if (g->sampling)
        buf_addf(to, "%llu", (unsigned long long)g->seed);
    else
        buf_add_lit(to, "null");
}

/* Arrays of what each token was; `top`: of the likeliest instead. */
static void write_token_list(const struct generation *g, bool top, struct buf *to)
{
    struct str rest = g->text;

    for (size_t i = 0; i < g->tokens; i++) {
        bool special = rest.n == 0;
        struct str token = special ? STR("</s>") : sim_token_cut(&rest);
        buf_add(to, i > 0 ? STR(",") : STR(""));
        if (top)
            write_top_tokens(g, token, special, to);
        else
            write_token(g, token, special, to);
    }
}

static void write_prefill(const struct generation *g, struct buf *to)
{
    struct str rest = g->q.asked;

    buf_add_lit(to, ",\"prefill\":[");
    for (bool first = true; g->input_details && rest.n > 0; first = false) {
        struct str token = sim_token_cut(&rest);
        buf_addf(to, "%s{\"id\":%u,\"text\":\"", first ? "" : ",", local_token_id(token));
        buf_add_json(to, token);
        if (first) /* nothing was before it */
            buf_add_lit(to, "\",\"logprob\":null}");
        else
            buf_addf(to, "\",\"logprob\":%.*s}", STR_ARG(local_logprob(g->t->a, token)));
    }
    buf_add_char(to, ']');
}

static void write_details(const struct generation *g, struct buf *to)
{
    buf_add_char(to, '{');
    write_end(g, to);
    write_prefill(g, to);
    buf_add_lit(to, ",\"tokens\":[");
    write_token_list(g, false, to);
    buf_add_char(to, ']');
    if (g->top_tokens > 0) {
        buf_add_lit(to, ",\"top_tokens\":[");
        write_token_list(g, true, to);
        buf_add_char(to, ']');
    }
    if (g->best_of > 1) { /* the other ones; they all come out alike */
        buf_add_lit(to, ",\"best_of_sequences\":[{\"generated_text\":\"");
        buf_add_json(to, full_text(g));
        buf_add_lit(to, "\",");
        write_end(g, to);
        buf_add_lit(to, ",\"prefill\":[],\"tokens\":[");
        write_token_list(g, false, to);
        buf_add_lit(to, "]}]");
    }
    buf_add_char(to, '}');
}

static void write_whole(const struct generation *g, bool in_array, struct buf *to)
{
    buf_add(to, in_array ? STR("[{\"generated_text\":\"") : STR("{\"generated_text\":\""));
    buf_add_json(to, full_text(g));
    buf_add_char(to, '"');
    if (g->details || g->input_details) {
        buf_add_lit(to, ",\"details\":");
        write_details(g, to);
    }
    buf_add(to, in_array ? STR("}]") : STR("}"));
}

/* --- stream --- */

struct stream {
    struct sim_feed feed; /* first */
    const struct generation *g;
    struct str rest;
    size_t index;
};

static bool stream_next(struct sim_feed *f, struct buf *to, struct sim_step *ret)
{
    struct stream *s = (struct stream *)f;
    const struct generation *g = s->g;

    if (s->index == g->tokens)
        return false;
    bool special = s->rest.n == 0, last = ++s->index == g->tokens;
    struct str token = special ? STR("</s>") : sim_token_cut(&s->rest);
    *ret = (struct sim_step){.tokens = 1, .closing = last};
    buf_addf(to, "data:{\"index\":%zu,\"token\":", s->index);
    write_token(g, token, special, to);
    if (g->top_tokens > 0) {
        buf_add_lit(to, ",\"top_tokens\":");
        write_top_tokens(g, token, special, to);
    }
    buf_add_lit(to, ",\"generated_text\":");
    if (last) {
        buf_add_char(to, '"');
        buf_add_json(to, full_text(g));
        buf_add_char(to, '"');
    } else {
        buf_add_lit(to, "null");
    }
    buf_add_lit(to, ",\"details\":");
    if (last && g->details) {
        buf_add_char(to, '{');
        write_end(g, to);
        buf_addf(to, ",\"input_length\":%zu}", g->q.prompt_tokens);
    } else {
        buf_add_lit(to, "null");
    }
    buf_add_lit(to, "}\n\n");
    return true;
}

static void stream_give_up(struct sim_feed *f, const struct sim_refusal *why, struct buf *to)
{
    (void)f;
    buf_add_lit(to, "data:");
    write_error(&(struct sim_refusal){.status = 424, .type = why->type, .message = why->message}, to);
    buf_add_lit(to, "\n\n");
}

static err_t answer_generation(struct generation *g, bool in_array) SUSPENDS;
static err_t answer_generation(struct generation *g, bool in_array)
{
    struct sim_turn *t = g->t;
    bool over;

    TRY(turn_begin(t, g->q.model, g->q.hash, &over));
    if (over)
        return OK;
    TRY(make_answer(g));
    turn_count_prompt(t, g->q.prompt_tokens);
    if (g->q.stream) {
        struct stream *s = arena_new(t->a, struct stream);
        *s = (struct stream){.feed = {.next = stream_next, .give_up = stream_give_up}, .g = g, .rest = g->text};
        return sim_play_stream(&t->play, &s->feed);
    }
    write_whole(g, in_array, t->room);
    TRY(buf_status(t->room));
    return sim_play_whole(&t->play, STR("application/json"), buf_str(t->room), g->tokens);
}

static err_t generate(struct sim_turn *t, enum how how) SUSPENDS;
static err_t generate(struct sim_turn *t, enum how how)
{
    struct generation *g = arena_new(t->a, struct generation);
    yyjson_val *root;
    struct str body;

    g->t = t;
    TRY(turn_body(t, &body));
    TRY(as_validation(t, fields_parse(t->a, body, &t->refusal, &root)));
    TRY(as_validation(t, read_generation(g, root, how)));
    return as_validation(t, answer_generation(g, how == AS_ASKED));
}

static err_t generate_endpoint(struct sim_turn *t) SUSPENDS;
static err_t generate_endpoint(struct sim_turn *t)
{
    return generate(t, WHOLE);
}

static err_t generate_stream_endpoint(struct sim_turn *t) SUSPENDS;
static err_t generate_stream_endpoint(struct sim_turn *t)
{
    return generate(t, STREAMED);
}

static err_t compat_endpoint(struct sim_turn *t) SUSPENDS;
static err_t compat_endpoint(struct sim_turn *t)
{
    return generate(t, AS_ASKED);
}

/* --- tokens, info --- */

static err_t tokenize_endpoint(struct sim_turn *t) SUSPENDS;
static err_t tokenize_endpoint(struct sim_turn *t)
{
    struct str body, rest;
    yyjson_val *root;

    TRY(turn_body(t, &body));
    TRY(as_validation(t, fields_parse(t->a, body, &t->refusal, &root)));
    struct str text = rest = json_get_str(root, STR("inputs"), STR_NONE);
    if (text.n == 0)
        return as_validation(t, refuse(t->a, &t->refusal, NULL, STR_NONE, "`inputs` cannot be empty"));
    for (char joint = '['; rest.n > 0; joint = ',') {
        size_t start = text.n - rest.n;
        struct str token = sim_token_cut(&rest);
        buf_addf(t->room, "%c{\"id\":%u,\"text\":\"", joint, local_token_id(token));
        buf_add_json(t->room, token);
        buf_addf(t->room, "\",\"start\":%zu,\"stop\":%zu}", start, start + token.n);
    }
    buf_add_char(t->room, ']');
    return turn_reply_json(t, 200);
}

static err_t info_endpoint(struct sim_turn *t) SUSPENDS;
static err_t info_endpoint(struct sim_turn *t)
{
    buf_add_lit(t->room, "{\"model_id\":\"");
    buf_add_json(t->room, local_model(t, STR("tgi")));
    buf_addf(t->room,
             "\",\"model_sha\":null,\"model_pipeline_tag\":\"text-generation\",\"max_concurrent_requests\":128,"
             "\"max_best_of\":%d,\"max_stop_sequences\":%d,\"max_input_tokens\":%d,\"max_total_tokens\":%d,"
             "\"validation_workers\":2,\"max_client_batch_size\":4,\"router\":\"text-generation-router\",\"version\":"
             "\"3.3.0-simulated\",\"sha\":null,\"docker_label\":null}",
             BEST_OF_MAX, STOPS_MAX, INPUT_TOKENS_MAX, TOTAL_TOKENS_MAX);
    return turn_reply_json(t, 200);
}

/* --- chat --- */

static const char *const unread[] = {"response_format", "stop", NULL};

static const struct field_rule own[] = {
    {.name = STR_INIT("response_format"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("stop"), .kind = FIELD_ARRAY},
    {.name = STR_INIT("guideline"), .kind = FIELD_STRING},
    {.name = STR_INIT("tool_prompt"), .kind = FIELD_STRING},
};

static err_t check(struct arena *a, yyjson_val *root, struct question *q, struct sim_refusal *r)
{
    yyjson_val *format = json_get(root, STR("response_format"));

    if (yyjson_is_obj(format) && q->tool_count > 0)
        return refuse(a, r, NULL, STR_NONE, "Grammar and tools are mutually exclusive");
    TRY(read_stops(a, json_get(root, STR("stop")), q, r));
    return read_grammar(a, format, q, r);
}

static const struct chat_style style = {
    .own = own,
    .own_count = ARRAY_LEN(own),
    .unread = unread,
    .model = "tgi",
    .check = check,
    .id_prefix = "",
    .fingerprint = "3.3.0-simulated",
    .whole_calls = true,
    .object_arguments = true,
};

/* The model that is named does not matter. */
static err_t chat_here_endpoint(struct sim_turn *t) SUSPENDS;
static err_t chat_here_endpoint(struct sim_turn *t)
{
    t->model = local_model(t, STR("tgi"));
    return as_validation(t, lookalike_chat_endpoint(t));
}

static err_t completions_here_endpoint(struct sim_turn *t) SUSPENDS;
static err_t completions_here_endpoint(struct sim_turn *t)
{
    t->model = local_model(t, STR("tgi"));
    return as_validation(t, completions_endpoint(t));
}

/* --- metrics (TGI documentation, "Metrics") --- */

static const struct sim_gauge gauges[] = {
    {"tgi_batch_current_size", "gauge", "Current batch size", sim_gauge_running},
    {"tgi_batch_current_max_tokens", "gauge", "Maximum tokens for the current batch", sim_gauge_tokens},
    {"tgi_queue_size", "gauge", "Current queue size", sim_gauge_waiting},
    {"tgi_request_success", "counter", "Number of successful requests", sim_gauge_successes},
};
static const struct sim_gauges page = {gauges, ARRAY_LEN(gauges), NULL};

static err_t metrics_endpoint(struct sim_turn *t) SUSPENDS;
static err_t metrics_endpoint(struct sim_turn *t)
{
    return sim_gauges_reply(t, &page);
}

/* --- routes --- */

static const struct sim_route routes[] = {
    {"POST", STR_INIT("/generate"), generate_endpoint, NULL},
    {"POST", STR_INIT("/generate_stream"), generate_stream_endpoint, NULL},
    {"POST", STR_INIT("/"), compat_endpoint, NULL},
    {"POST", STR_INIT("/invocations"), compat_endpoint, NULL},
    {"POST", STR_INIT("/tokenize"), tokenize_endpoint, sim_route_named},
    {"GET", STR_INIT("/info"), info_endpoint, NULL},
    {"GET", STR_INIT("/health"), local_health_endpoint, sim_route_named},
    {"GET", STR_INIT("/metrics"), metrics_endpoint, sim_route_named},
    {"POST", STR_INIT("/v1/chat/completions"), chat_here_endpoint, sim_route_named},
    {"POST", STR_INIT("/v1/completions"), completions_here_endpoint, sim_route_named},
    {"GET", STR_INIT("/v1/models"), models_list_endpoint, sim_route_named},
};

const struct sim_surface sim_surface_tgi = {
    .name = "tgi",
    .routes = routes,
    .route_count = ARRAY_LEN(routes),
    .natural = true,
    .style = &style,
    .write_refusal = write_refusal,
    .add_headers = add_headers,
};
