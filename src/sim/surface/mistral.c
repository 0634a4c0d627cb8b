/*
 * mistral.c - Mistral's surface (Mistral API reference): /v1/chat/completions, /v1/fim/completions, /v1/embeddings, /v1/models, below the
 * prefix only, since OpenAI has these paths.
 *
 * Answers: a call comes whole, with an index and without type, its arguments an object for half of all questions; with an effort, content
 * becomes a list of a thinking part and a text; usage comes on the last chunk unasked. Errors: 422 with "detail" for what does not
 * validate, Mistral's own object for the rest.
 */
#include "codec/json.h"
#include "rt/fiber.h"
#include "sim/embeddings.h"
#include "sim/fields.h"
#include "sim/local.h"
#include "sim/lookalike.h"
#include "sim/mistral_read.h"

#include <math.h>

enum { EMBED_INPUTS_MAX = 1024 };

/* --- errors --- */

/* Where a fault is, as pydantic says it: ["body","messages",0,"role"]. */
static void write_loc(struct str path, struct buf *to)
{
    uint64_t index;

    buf_add_lit(to, "[\"body\"");
    while (path.n > 0) {
        struct str step = str_cut(&path, '.');
        if (str_to_u64(step, 1 << 30, &index)) {
            buf_addf(to, ",%llu", (unsigned long long)index);
            continue;
        }
        buf_add_lit(to, ",\"");
        buf_add_json(to, step);
        buf_add_char(to, '"');
    }
    buf_add_char(to, ']');
}

static void write_refusal(const struct sim_play *p, const struct sim_refusal *why, struct buf *to)
{
    (void)p;
    if (why->status == 401) {
        buf_add_lit(to, "{\"message\":\"Unauthorized\",\"request_id\":\"simulated\"}");
        return;
    }
    if (why->status == 422) {
        buf_addf(to, "{\"detail\":[{\"type\":\"%s\",\"loc\":", why->type);
        write_loc(why->param, to);
        buf_add_lit(to, ",\"msg\":\"");
        buf_add_json(to, why->message);
        buf_add_lit(to, "\",\"input\":null}]}");
        return;
    }
    buf_add_lit(to, "{\"object\":\"error\",\"message\":\"");
    buf_add_json(to, why->message);
    buf_addf(to, "\",\"type\":\"%s\",\"param\":null,\"code\":\"%s\",\"raw_status_code\":%d}",
             why->status == 429 ? "rate_limited" : why->type,
             why->status == 404 ? "1500"
             : why->code        ? why->code
                                : "1000",
             why->status);
}

static void add_headers(const struct sim_play *p, const struct sim_refusal *why, struct sim_head *to)
{
    sim_head_add_id(to, STR("mistral-correlation-id"), "", p->unique);
    if (why)
        sim_head_add_span(to, p->r->arena, STR("retry-after"), why->retry_after, NS_SEC);
}

/* --- chat, and what is between a prompt and a suffix --- */

static void extra(const struct style_moment *m, struct buf *to)
{
    if (m->place == STYLE_IN_USAGE)
        buf_add_lit(to, ",\"prompt_tokens_details\":{\"cached_tokens\":0},\"prompt_audio_seconds\":null");
}

static const struct chat_style style = {
    .thought = STYLE_THINKING_PARTS,
    .usage = STYLE_USAGE_FINISH,
    .hex_ids = true,
    .no_call_type = true,
    .whole_calls = true,
    .call_index_always = true,
    .object_arguments = true,
    .extra = extra,
};

typedef err_t read_fn(struct arena *a, struct str body, struct question *ret, struct sim_refusal *r);

static err_t complete(struct sim_turn *t, read_fn *read) SUSPENDS;
static err_t complete(struct sim_turn *t, read_fn *read)
{
    struct question q;
    struct sim_answer answer;
    struct str body;
    bool over;

    TRY(turn_body(t, &body));
    TRY(read(t->a, body, &q, &t->refusal));
    question_settle(&q);
    TRY(turn_begin(t, q.model, q.hash, &over));
    if (over)
        return OK;
    if (sim_answer_make(t->a, &q, t->seed, t->plan.length, &answer) != OK)
        return refuse(t->a, &t->refusal, "3340", STR_NONE, "Invalid JSON Schema: %s.", err_detail(E_TOO_LARGE));
    turn_count_prompt(t, q.prompt_tokens);
    if (q.stream)
        return sim_play_stream(&t->play, style_feed(&style, t->a, &q, &answer, &t->mark));
    style_write(&style, &q, &answer, &t->mark, t->room);
    TRY(buf_status(t->room));
    return sim_play_whole(&t->play, STR("application/json"), buf_str(t->room), answer.tokens);
}

static err_t chat_here_endpoint(struct sim_turn *t) SUSPENDS;
static err_t chat_here_endpoint(struct sim_turn *t)
{
    return complete(t, mistral_read_chat);
}

static err_t fim_endpoint(struct sim_turn *t) SUSPENDS;
static err_t fim_endpoint(struct sim_turn *t)
{
    return complete(t, mistral_read_fim);
}

/* --- embeddings --- */

static const char *const dtypes[] = {"float", "int8", "uint8", "binary", "ubinary", NULL};

static const struct field_rule embed_rules[] = {
    {.name = STR_INIT("model"), .kind = FIELD_STRING, .min = 1, .max = 512, .required = true},
    {.name = STR_INIT("input"), .kind = FIELD_ANY, .required = true},
    {.name = STR_INIT("metadata"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("output_dimension"), .kind = FIELD_INT, .min = 1, .max = SIM_DIMENSIONS_MAX},
    {.name = STR_INIT("output_dtype"), .kind = FIELD_ENUM, .choices = dtypes},
    {.name = STR_INIT("encoding_format"),
     .kind = FIELD_ENUM,
     .choices = (const char *const[]){"float", "base64", NULL}},
};

/* Eight components are one byte, the first one its highest bit; signed bytes are 128 less. */
static void write_bits(const int32_t *vector, size_t n, int offset, struct buf *to)
{
    for (size_t i = 0; i + 8 <= n; i += 8) {
        int bits = 0;
        for (size_t k = 0; k < 8; k++)
            bits = bits << 1 | (vector[i + k] > 0);
        buf_addf(to, "%c%d", i > 0 ? ',' : '[', bits - offset);
    }
    buf_add_char(to, ']');
}

static void write_bytes(const int32_t *vector, size_t n, int offset, struct buf *to)
{
    for (size_t i = 0; i < n; i++)
        buf_addf(to, "%c%ld", i > 0 ? ',' : '[', lround((double)vector[i] * 127 / SIM_EMBEDDING_ONE) + offset);
    buf_add_char(to, ']');
}

static err_t write_vector(const int32_t *vector, size_t n, struct str dtype, bool base64, struct buf *to)
{
    if (str_eq(dtype, STR("int8")))
        write_bytes(vector, n, 0, to);
    else if (str_eq(dtype, STR("uint8")))
        write_bytes(vector, n, 128, to);
    else if (str_eq(dtype, STR("binary")))
        write_bits(vector, n, 128, to);
    else if (str_eq(dtype, STR("ubinary")))
        write_bits(vector, n, 0, to);
    else if (base64)
        return sim_embedding_write_base64(vector, n, to);
    else
        sim_embedding_write(vector, n, to);
    return buf_status(to);
}

struct embedding {
    struct str model, dtype;
    struct local_inputs in;
    size_t dimensions; /* 0: as the model has */
    bool base64;
};

static err_t read_embedding(struct sim_turn *t, struct str body, struct embedding *e)
{
    yyjson_val *root;
    bool many;

    TRY(mistral_parse(t->a, body, &t->refusal, &root));
    TRY(mistral_check(t->a, root, STR(""), embed_rules, ARRAY_LEN(embed_rules), &t->refusal));
    e->model = json_get_str(root, STR("model"), STR_NONE);
    e->dtype = json_get_str(root, STR("output_dtype"), STR("float"));
    e->base64 = str_eq(json_get_str(root, STR("encoding_format"), STR_NONE), STR("base64"));
    e->dimensions = (size_t)json_get_i64(root, STR("output_dimension"), 0);
    if (!local_read_inputs(t->a, json_get(root, STR("input")), EMBED_INPUTS_MAX, &e->in, &many) || e->in.count == 0)
        return refuse(t->a, &t->refusal, "3210", STR_NONE, many ? "Too many inputs in request" : "Invalid input");
    return OK;
}

static err_t embeddings_here_endpoint(struct sim_turn *t) SUSPENDS;
static err_t embeddings_here_endpoint(struct sim_turn *t)
{
    struct embedding e = {.dimensions = 0};
    struct buf *to = t->room;
    struct str body;
    bool over;

    TRY(turn_body(t, &body));
    TRY(read_embedding(t, body, &e));
    TRY(turn_begin(t, e.model, e.in.hash, &over));
    if (over)
        return OK;
    size_t n = e.dimensions > 0 ? e.dimensions : turn_model(t)->dimensions;
    int32_t *vector = arena_alloc(t->a, n * sizeof(*vector));
    buf_add_lit(to, "{\"id\":\"simulated\",\"object\":\"list\",\"model\":\"");
    buf_add_json(to, e.model);
    buf_add_lit(to, "\",\"data\":[");
    for (size_t i = 0; i < e.in.count; i++) {
        buf_addf(to, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", i > 0 ? "," : "", i);
        sim_embed(e.in.texts[i], t->seed, vector, n);
        TRY(write_vector(vector, n, e.dtype, e.base64, to));
        buf_add_char(to, '}');
        TRY(fiber_tick());
    }
    buf_addf(to, "],\"usage\":{\"prompt_tokens\":%zu,\"completion_tokens\":0,\"total_tokens\":%zu}}", e.in.tokens,
             e.in.tokens);
    TRY(buf_status(to));
    turn_count_prompt(t, e.in.tokens);
    return sim_play_whole(&t->play, STR("application/json"), buf_str(to), 0);
}

/* --- models --- */

static void write_card(struct str name, struct buf *to)
{
    buf_add_lit(to, "{\"id\":\"");
    buf_add_json(to, name);
    buf_add_lit(to, "\",\"object\":\"model\",\"created\":1767225600,\"owned_by\":\"mistralai\",\"capabilities\":{"
                    "\"completion_chat\":true,\"completion_fim\":true,\"function_calling\":true,\"fine_tuning\":false,"
                    "\"vision\":true,\"classification\":false},\"name\":\"");
    buf_add_json(to, name);
    buf_add_lit(to,
                "\",\"description\":\"Simulated\",\"max_context_length\":131072,\"aliases\":[],\"deprecation\":null,"
                "\"default_model_temperature\":0.3,\"type\":\"base\"}");
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
        write_card(t->scenario->models[i].name, t->room);
        joint = ",";
    }
    buf_add_lit(t->room, "]}");
    return turn_reply_json(t, 200);
}

static err_t model_endpoint(struct sim_turn *t) SUSPENDS;
static err_t model_endpoint(struct sim_turn *t)
{
    if (!scenario_model(t->scenario, t->id))
        return refuse_status(t->a, &t->refusal, 404, "1500", "Model '%.*s' not found", STR_ARG(t->id));
    write_card(t->id, t->room);
    return turn_reply_json(t, 200);
}

static const struct sim_route routes[] = {
    {"POST", STR_INIT("/chat/completions"), chat_here_endpoint, NULL},
    {"POST", STR_INIT("/fim/completions"), fim_endpoint, NULL},
    {"POST", STR_INIT("/embeddings"), embeddings_here_endpoint, NULL},
    {"GET", STR_INIT("/models"), models_endpoint, NULL},
    {"GET", STR_INIT("/models/{id}"), model_endpoint, NULL},
};

const struct sim_surface sim_surface_mistral = {
    .name = "mistral",
    .routes = routes,
    .route_count = ARRAY_LEN(routes),
    .base = STR_INIT("/v1"),
    .write_refusal = write_refusal,
    .add_headers = add_headers,
};
