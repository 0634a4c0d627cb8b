/*
 * vllm.c - vLLM's server (vLLM documentation, "OpenAI-Compatible Server", "Score and Re-rank API", "Production Metrics").
 *
 * Chat is OpenAI's with sampling fields of its own, thoughts in "reasoning", stop_reason, and numbers as error codes; fields that it does
 * not know are ignored. Beside it: rerank, score, tokenize, and gauges that say how busy the simulator really is (sim/gauges.h).
 */
#include "codec/json.h"
#include "rt/fiber.h"
#include "sim/gauges.h"
#include "sim/hash.h"
#include "sim/lookalike.h"
#include "sim/rerank.h"
#include "sim/sim_provider.h"

enum { PAIRS_MAX = 2048 };

static const int64_t MODELS_CREATED = 1767225600; /* 2026-01-01 */

/* --- chat --- */

static const struct field_rule own[] = {
    {.name = STR_INIT("top_k"), .kind = FIELD_INT, .min = -1, .max = 1 << 20},
    {.name = STR_INIT("min_p"), .kind = FIELD_NUMBER, .min = 0, .max = 1},
    {.name = STR_INIT("repetition_penalty"), .kind = FIELD_NUMBER, .min = 0.01, .max = 2},
    {.name = STR_INIT("length_penalty"), .kind = FIELD_NUMBER},
    {.name = STR_INIT("stop_token_ids"), .kind = FIELD_ARRAY},
    {.name = STR_INIT("include_stop_str_in_output"), .kind = FIELD_BOOL},
    {.name = STR_INIT("ignore_eos"), .kind = FIELD_BOOL},
    {.name = STR_INIT("min_tokens"), .kind = FIELD_INT, .min = 0, .max = 1 << 30},
    {.name = STR_INIT("skip_special_tokens"), .kind = FIELD_BOOL},
    {.name = STR_INIT("spaces_between_special_tokens"), .kind = FIELD_BOOL},
    {.name = STR_INIT("truncate_prompt_tokens"), .kind = FIELD_INT, .min = -1, .max = LOCAL_MODEL_LENGTH},
    {.name = STR_INIT("prompt_logprobs"), .kind = FIELD_INT},
    {.name = STR_INIT("allowed_token_ids"), .kind = FIELD_ARRAY},
    {.name = STR_INIT("bad_words"), .kind = FIELD_ARRAY},
    {.name = STR_INIT("echo"), .kind = FIELD_BOOL},
    {.name = STR_INIT("add_generation_prompt"), .kind = FIELD_BOOL},
    {.name = STR_INIT("continue_final_message"), .kind = FIELD_BOOL},
    {.name = STR_INIT("chat_template"), .kind = FIELD_STRING},
    {.name = STR_INIT("chat_template_kwargs"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("structured_outputs"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("guided_json"), .kind = FIELD_ANY},
    {.name = STR_INIT("guided_regex"), .kind = FIELD_STRING},
    {.name = STR_INIT("priority"), .kind = FIELD_INT},
    {.name = STR_INIT("request_id"), .kind = FIELD_STRING},
    {.name = STR_INIT("cache_salt"), .kind = FIELD_STRING, .min = 1, .max = 1 << 20},
    {.name = STR_INIT("include_reasoning"), .kind = FIELD_BOOL},
    {.name = STR_INIT("return_token_ids"), .kind = FIELD_BOOL},
};

/* A schema, as an object or as its JSON text. */
static err_t read_schema(struct arena *a, yyjson_val *schema, struct str param, struct question *q,
                         struct sim_refusal *r)
{
    if (!schema || yyjson_is_null(schema))
        return OK;
    if (yyjson_is_str(schema) && json_parse(a, json_text(schema), NULL, 0, &schema) != OK)
        return refuse(a, r, NULL, param, "Invalid JSON Schema: %s", err_detail(E_PARSE));
    q->format = SIM_JSON_SCHEMA;
    q->schema = schema;
    return question_check_schema(a, schema, param, r);
}

static err_t read_pattern(struct arena *a, struct str regex, struct question *q, struct sim_refusal *r)
{
    if (!regex.p)
        return OK;
    q->format = SIM_PATTERN;
    q->pattern = regex;
    return question_check_pattern(a, regex, STR("structured_outputs.regex"), r);
}

static err_t read_structure(struct arena *a, yyjson_val *root, struct question *q, struct sim_refusal *r)
{
    static const char *const kinds[] = {"json", "regex", "choice", "grammar", "json_object", "structural_tag"};
    yyjson_val *outputs = json_get(root, STR("structured_outputs"));
    unsigned count = 0;

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        count += json_get(outputs, str_from_c(kinds[i])) != NULL;
    if (outputs && count != 1)
        return refuse(a, r, NULL, STR("structured_outputs"),
                      "You can only use one kind of structured outputs constraint, but %u are specified.", count);
    TRY(read_pattern(a, json_get_str(outputs, STR("regex"), STR_NONE), q, r));
    TRY(read_pattern(a, json_get_str(root, STR("guided_regex"), STR_NONE), q, r));
    TRY(read_schema(a, json_get(outputs, STR("json")), STR("structured_outputs.json"), q, r));
    return read_schema(a, json_get(root, STR("guided_json")), STR("guided_json"), q, r);
}

static err_t check(struct arena *a, yyjson_val *root, struct question *q, struct sim_refusal *r)
{
    bool continues = json_get_bool(root, STR("continue_final_message"), false);
    int64_t min = json_get_i64(root, STR("min_tokens"), 0);

    if (continues && json_get_bool(root, STR("add_generation_prompt"), true))
        return refuse(a, r, NULL, STR("continue_final_message"),
                      "Cannot set both `continue_final_message` and `add_generation_prompt` to True.");
    if (q->max_tokens >= 0 && min > q->max_tokens)
        return refuse(a, r, NULL, STR("min_tokens"),
                      "min_tokens must be less than or equal to max_tokens=%lld, got %lld.", (long long)q->max_tokens,
                      (long long)min);
    if (q->prompt_tokens > LOCAL_MODEL_LENGTH)
        return refuse(a, r, NULL, STR_NONE,
                      "This model's maximum context length is %d tokens. However, your request has %zu input tokens.",
                      LOCAL_MODEL_LENGTH, q->prompt_tokens);
    q->usage_each =
        q->include_usage && json_get_bool(json_get(root, STR("stream_options")), STR("continuous_usage_stats"), false);
    q->tells_thoughts = json_get_bool(root, STR("include_reasoning"), true);
    return read_structure(a, root, q, r);
}

static void extra(const struct style_moment *m, struct buf *to)
{
    if (m->place == STYLE_TOP && !m->stream)
        buf_add_lit(to, ",\"prompt_logprobs\":null,\"kv_transfer_params\":null");
    if (m->place != STYLE_CHOICE)
        return;
    if (m->finish && m->choice->stop.p) {
        buf_add_lit(to, ",\"stop_reason\":\"");
        buf_add_json(to, m->choice->stop);
        buf_add_lit(to, "\",\"token_ids\":null");
    } else {
        buf_add_lit(to, ",\"stop_reason\":null,\"token_ids\":null");
    }
}

static const struct chat_style style = {
    .own = own,
    .own_count = ARRAY_LEN(own),
    .check = check,
    .error = STYLE_ERROR_INT_CODE,
    .thought = STYLE_REASONING,
    .extra = extra,
};

/* --- score --- */

static const struct field_rule score_rules[] = {
    {.name = STR_INIT("model"), .kind = FIELD_STRING, .min = 1, .max = 512, .required = true},
    {.name = STR_INIT("text_1"), .kind = FIELD_ANY, .required = true},
    {.name = STR_INIT("text_2"), .kind = FIELD_ANY, .required = true},
};

static err_t read_side(struct sim_turn *t, yyjson_val *root, const char *name, struct local_inputs *ret)
{
    yyjson_val *v = json_get(root, str_from_c(name));
    bool many;

    if (local_read_inputs(t->a, v, PAIRS_MAX, ret, &many) && ret->count > 0)
        return OK;
    if (many)
        return refuse(t->a, &t->refusal, NULL, str_from_c(name), "At most %d texts are scored at once.", PAIRS_MAX);
    return refuse_type(t->a, &t->refusal, str_from_c(name), "a string or an array of strings", v);
}

static err_t write_scores(struct sim_turn *t, struct str model, const struct local_inputs *one,
                          const struct local_inputs *other) SUSPENDS;
static err_t write_scores(struct sim_turn *t, struct str model, const struct local_inputs *one,
                          const struct local_inputs *other)
{
    char id[SIM_ID_MAX];

    buf_addf(t->room, "{\"id\":\"%.*s\",\"object\":\"list\",\"created\":%lld,\"model\":\"",
             (int)sim_id(id, "score-", t->mark.unique, 0), id, (long long)t->mark.created);
    buf_add_json(t->room, model);
    buf_add_lit(t->room, "\",\"data\":[");
    for (size_t i = 0; i < other->count; i++) {
        double likeness = text_likeness(t->a, t->seed, one->texts[one->count == 1 ? 0 : i], other->texts[i]);
        buf_addf(t->room, "%s{\"index\":%zu,\"object\":\"score\",\"score\":%.6f}", i > 0 ? "," : "", i,
                 relevance(likeness));
        TRY(fiber_tick());
    }
    buf_addf(t->room, "],\"usage\":{\"prompt_tokens\":%zu,\"total_tokens\":%zu}}", one->tokens + other->tokens,
             one->tokens + other->tokens);
    return buf_status(t->room);
}

static err_t score_endpoint(struct sim_turn *t) SUSPENDS;
static err_t score_endpoint(struct sim_turn *t)
{
    struct local_inputs one, other;
    struct str body;
    yyjson_val *root;
    bool over;

    TRY(turn_body(t, &body));
    TRY(fields_parse(t->a, body, &t->refusal, &root));
    TRY(fields_check(t->a, root, STR(""), score_rules, ARRAY_LEN(score_rules), false, &t->refusal));
    TRY(read_side(t, root, "text_1", &one));
    TRY(read_side(t, root, "text_2", &other));
    if (one.count != 1 && one.count != other.count)
        return refuse(t->a, &t->refusal, NULL, STR_NONE, "Input lengths must be either 1:1, 1:N or N:N");
    struct str model = json_get_str(root, STR("model"), STR_NONE);
    TRY(turn_begin(t, model, sim_hash_u64(one.hash, other.hash), &over));
    if (over)
        return OK;
    TRY(write_scores(t, model, &one, &other));
    turn_count_prompt(t, one.tokens + other.tokens);
    return sim_play_whole(&t->play, STR("application/json"), buf_str(t->room), 0);
}

/* --- the server itself --- */

static void write_card(struct sim_turn *t, struct str name)
{
    buf_add_lit(t->room, "{\"id\":\"");
    buf_add_json(t->room, name);
    buf_addf(t->room, "\",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"vllm\",\"root\":\"",
             (long long)MODELS_CREATED);
    buf_add_json(t->room, name);
    buf_addf(t->room,
             "\",\"parent\":null,\"max_model_len\":%d,\"permission\":[{\"id\":\"modelperm-simulated\",\"object\":"
             "\"model_permission\",\"allow_sampling\":true,\"allow_logprobs\":true}]}",
             LOCAL_MODEL_LENGTH);
}

static err_t models_endpoint(struct sim_turn *t) SUSPENDS;
static err_t models_endpoint(struct sim_turn *t)
{
    const char *joint = "";

    buf_add_lit(t->room, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < t->scenario->model_count; i++) {
        if (&t->scenario->models[i] == t->scenario->any)
            continue;
        buf_add(t->room, str_from_c(joint));
        write_card(t, t->scenario->models[i].name);
        joint = ",";
    }
    buf_add_lit(t->room, "]}");
    return turn_reply_json(t, 200);
}

static err_t version_endpoint(struct sim_turn *t) SUSPENDS;
static err_t version_endpoint(struct sim_turn *t)
{
    buf_add_lit(t->room, "{\"version\":\"0.11.0-simulated\"}");
    return turn_reply_json(t, 200);
}

static const struct sim_gauge gauges[] = {
    {"vllm:num_requests_running", "gauge", "Number of requests in model execution batches.", sim_gauge_running},
    {"vllm:num_requests_waiting", "gauge", "Number of requests waiting to be processed.", sim_gauge_waiting},
    {"vllm:kv_cache_usage_perc", "gauge", "KV-cache usage. 1 means 100 percent usage.", sim_gauge_cache},
    {"vllm:prompt_tokens_total", "counter", "Number of prefill tokens processed.", sim_gauge_prompt_tokens},
    {"vllm:generation_tokens_total", "counter", "Number of generation tokens processed.", sim_gauge_generated_tokens},
    {"vllm:request_success_total", "counter", "Count of successfully processed requests.", sim_gauge_successes},
};
static const struct sim_gauges page = {gauges, ARRAY_LEN(gauges), "engine=\"0\","};

static err_t metrics_endpoint(struct sim_turn *t) SUSPENDS;
static err_t metrics_endpoint(struct sim_turn *t)
{
    return sim_gauges_reply(t, &page);
}

/* --- routes --- */

static const struct sim_route routes[] = {
    {"POST", STR_INIT("/v1/chat/completions"), lookalike_chat_endpoint, sim_route_named},
    {"POST", STR_INIT("/v1/completions"), completions_endpoint, sim_route_named},
    {"POST", STR_INIT("/v1/embeddings"), embeddings_endpoint, sim_route_named},
    {"GET", STR_INIT("/v1/models"), models_endpoint, sim_route_named},
    {"POST", STR_INIT("/rerank"), rerank_endpoint, sim_route_named},
    {"POST", STR_INIT("/v1/rerank"), rerank_endpoint, NULL},
    {"POST", STR_INIT("/v2/rerank"), rerank_endpoint, sim_route_named},
    {"POST", STR_INIT("/score"), score_endpoint, NULL},
    {"POST", STR_INIT("/v1/score"), score_endpoint, NULL},
    {"POST", STR_INIT("/tokenize"), local_tokenize_endpoint, sim_route_named},
    {"GET", STR_INIT("/health"), local_health_endpoint, NULL},
    {"GET", STR_INIT("/metrics"), metrics_endpoint, NULL},
    {"GET", STR_INIT("/version"), version_endpoint, NULL},
};

const struct sim_surface sim_surface_vllm = {
    .name = "vllm",
    .routes = routes,
    .route_count = ARRAY_LEN(routes),
    .natural = true,
    .style = &style,
    .write_refusal = lookalike_write_refusal,
    .add_headers = lookalike_add_headers,
};
