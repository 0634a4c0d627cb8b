/*
 * tei.c - Hugging Face's Text Embeddings Inference (text-embeddings-inference, docs/openapi.json, version 1.8): /embed, /embed_all,
 * /embed_sparse, /rerank, /predict, /similarity, /tokenize, /info, and OpenAI's embeddings below the prefix.
 *
 * One model is served; a request does not name it. Inputs longer than INPUT_TOKENS_MAX are refused unless `truncate` is set, and so are
 * batches of more than BATCH_MAX. /rerank and /tokenize without the prefix belong to whoever the body's fields say: vLLM has both, too.
 */
#include "codec/json.h"
#include "rt/fiber.h"
#include "sim/embeddings.h"
#include "sim/fields.h"
#include "sim/hash.h"
#include "sim/lookalike.h"
#include "sim/rerank.h"
#include "sim/text.h"

enum {
    BATCH_MAX = 32,
    INPUT_TOKENS_MAX = 512,
    TOKEN_DIMENSIONS_MAX = 64, /* of a vector for each token, so that answers stay small */
    SPARSE_SIZE = 30522,
    UNSCALED = 3 /* a vector that is not normalized is so much longer */
};

/* --- refusals --- */

static err_t invalid(struct sim_turn *t, int status, const char *type, struct str message)
{
    t->refusal = (struct sim_refusal){.status = status, .type = type, .message = message};
    return E_PARSE;
}

static const char *type_of_status(const struct sim_refusal *why)
{
    switch (why->status) {
    case 400:
    case 413:
    case 422:
        return "Validation";
    case 424:
        return "Backend";
    case 429:
        return "Overloaded";
    case 503:
        return "Unhealthy";
    default:
        return why->status >= 500 ? "Backend" : "Validation";
    }
}

static bool is_own_type(const char *type)
{
    return strcmp(type, "Empty") == 0 || strcmp(type, "Tokenizer") == 0;
}

static void write_refusal(const struct sim_play *p, const struct sim_refusal *why, struct buf *to)
{
    const char *type = is_own_type(why->type) ? why->type : type_of_status(why);
    bool openai = str_ends(p->r->head.path, STR("/v1/embeddings"));

    buf_add(to, openai ? STR("{\"message\":\"") : STR("{\"error\":\""));
    buf_add_json(to, why->message);
    if (openai)
        buf_addf(to, "\",\"code\":%d,\"error_type\":\"%s\"}", why->status, type);
    else
        buf_addf(to, "\",\"error_type\":\"%s\"}", type);
}

static void add_headers(const struct sim_play *p, const struct sim_refusal *why, struct sim_head *to)
{
    sim_head_add(to, STR("x-compute-type"), STR("simulated"));
    sim_head_add(to, STR("x-compute-time"), STR("1"));
    if (why)
        sim_head_add_span(to, p->r->arena, STR("retry-after"), why->retry_after, NS_SEC);
}

/* --- requests --- */

struct request {
    struct sim_turn *t;
    yyjson_val *root;
    struct local_inputs in;
    bool raw_scores;
};

static const struct field_rule rules[] = {
    {.name = STR_INIT("normalize"), .kind = FIELD_BOOL},
    {.name = STR_INIT("truncate"), .kind = FIELD_BOOL},
    {.name = STR_INIT("truncation_direction"),
     .kind = FIELD_ENUM,
     .choices = (const char *const[]){"Left", "Right", "left", "right", NULL}},
    {.name = STR_INIT("prompt_name"), .kind = FIELD_STRING},
    {.name = STR_INIT("dimensions"), .kind = FIELD_INT, .min = 1, .max = SIM_DIMENSIONS_MAX},
    {.name = STR_INIT("raw_scores"), .kind = FIELD_BOOL},
    {.name = STR_INIT("return_text"), .kind = FIELD_BOOL},
    {.name = STR_INIT("add_special_tokens"), .kind = FIELD_BOOL},
    {.name = STR_INIT("query"), .kind = FIELD_STRING},
    {.name = STR_INIT("parameters"), .kind = FIELD_OBJECT},
};

/* Whatever is wrong with a field is a 422. */
static err_t as_validation(struct sim_turn *t, err_t e)
{
    if (e == E_PARSE && t->refusal.status == 400)
        t->refusal.status = 422;
    return e;
}

static err_t too_many(struct sim_turn *t, size_t count)
{
    return invalid(t, 413, "Validation",
                   arena_printf(t->a, "batch size %zu > maximum allowed batch size %d", count, BATCH_MAX));
}

/* Cut what is too long, or refuse it. */
static err_t limit_lengths(struct request *q)
{
    struct sim_turn *t = q->t;
    bool left = str_eq_nocase(json_get_str(q->root, STR("truncation_direction"), STR("Right")), STR("left"));

    if (q->in.longest <= INPUT_TOKENS_MAX)
        return OK;
    if (!json_get_bool(q->root, STR("truncate"), false))
        return invalid(
            t, 422, "Validation",
            arena_printf(t->a, "`inputs` must have less than %d tokens. Given: %zu", INPUT_TOKENS_MAX, q->in.longest));
    for (size_t i = 0; i < q->in.count; i++) {
        struct str *text = &q->in.texts[i];
        for (size_t tokens = sim_tokens(*text); left && tokens > INPUT_TOKENS_MAX; tokens--)
            (void)sim_token_cut(text);
        *text = sim_token_prefix(*text, INPUT_TOKENS_MAX);
    }
    return OK;
}

static err_t check_inputs(struct request *q, const char *field, bool understood, bool many, size_t size)
{
    struct sim_turn *t = q->t;

    if (many)
        return too_many(t, size);
    if (!understood)
        return invalid(t, 422, "Validation",
                       arena_printf(t->a, "data did not match any variant of untagged enum Input: `%s`", field));
    if (q->in.count == 0)
        return invalid(t, 400, "Empty", arena_printf(t->a, "`%s` cannot be empty", field));
    for (size_t i = 0; i < q->in.count; i++)
        if (q->in.texts[i].n == 0)
            return invalid(t, 400, "Empty", arena_printf(t->a, "`%s` cannot be empty", field));
    return limit_lengths(q);
}

/* Read the body, and the inputs in `field` unless that is NULL. */
static err_t read_request(struct request *q, const char *field) SUSPENDS;
static err_t read_request(struct request *q, const char *field)
{
    struct sim_turn *t = q->t;
    struct str body;
    bool many;

    TRY(turn_body(t, &body));
    TRY(as_validation(t, fields_parse(t->a, body, &t->refusal, &q->root)));
    TRY(as_validation(t, fields_check(t->a, q->root, STR(""), rules, ARRAY_LEN(rules), false, &t->refusal)));
    q->raw_scores = json_get_bool(q->root, STR("raw_scores"), false);
    if (!field)
        return OK;
    yyjson_val *inputs = json_get(q->root, str_from_c(field));
    if (!inputs)
        return invalid(
            t, 422, "Validation",
            arena_printf(t->a, "Failed to deserialize the JSON body into the target type: missing field `%s`", field));
    bool understood = local_read_inputs(t->a, inputs, BATCH_MAX, &q->in, &many);
    return check_inputs(q, field, understood, many, yyjson_arr_size(inputs));
}

static err_t begin(struct request *q, bool *ret_over) SUSPENDS;
static err_t begin(struct request *q, bool *ret_over)
{
    struct sim_turn *t = q->t;

    TRY(turn_begin(t, local_model(t, STR("tei")), q->in.hash, ret_over));
    turn_count_prompt(t, q->in.tokens);
    return OK;
}

static err_t reply(struct request *q) SUSPENDS;
static err_t reply(struct request *q)
{
    TRY(buf_status(q->t->room));
    return sim_play_whole(&q->t->play, STR("application/json"), buf_str(q->t->room), 0);
}

/* --- vectors --- */

static size_t dimensions_of(const struct request *q)
{
    return (size_t)json_get_i64(q->root, STR("dimensions"), turn_model(q->t)->dimensions);
}

static void write_vector(const struct request *q, struct str text, size_t dimensions, struct buf *to)
{
    int32_t *vector = arena_alloc(q->t->a, dimensions * sizeof(*vector));

    sim_embed(text, q->t->seed, vector, dimensions);
    for (size_t i = 0; i < dimensions && !json_get_bool(q->root, STR("normalize"), true); i++)
        vector[i] *= UNSCALED;
    sim_embedding_write(vector, dimensions, to);
}

static err_t embed_endpoint(struct sim_turn *t) SUSPENDS;
static err_t embed_endpoint(struct sim_turn *t)
{
    struct request q = {.t = t};
    bool over;

    TRY(read_request(&q, "inputs"));
    TRY(begin(&q, &over));
    if (over)
        return OK;
    for (size_t i = 0; i < q.in.count; i++) {
        buf_add_char(t->room, i > 0 ? ',' : '[');
        write_vector(&q, q.in.texts[i], dimensions_of(&q), t->room);
        TRY(fiber_tick());
    }
    buf_add_char(t->room, ']');
    return reply(&q);
}

/* A vector for each token. */
static err_t embed_all_endpoint(struct sim_turn *t) SUSPENDS;
static err_t embed_all_endpoint(struct sim_turn *t)
{
    struct request q = {.t = t};
    bool over;

    TRY(read_request(&q, "inputs"));
    TRY(begin(&q, &over));
    if (over)
        return OK;
    size_t dimensions = dimensions_of(&q) < TOKEN_DIMENSIONS_MAX ? dimensions_of(&q) : TOKEN_DIMENSIONS_MAX;
    for (size_t i = 0; i < q.in.count; i++) {
        struct str rest = q.in.texts[i];
        buf_add(t->room, i > 0 ? STR(",[") : STR("[["));
        for (const char *joint = ""; rest.n > 0; joint = ",") {
            buf_add(t->room, str_from_c(joint));
            write_vector(&q, sim_token_cut(&rest), dimensions, t->room);
            TRY(fiber_tick());
        }
        buf_add_char(t->room, ']');
    }
    buf_add_char(t->room, ']');
    return reply(&q);
}

static err_t embed_sparse_endpoint(struct sim_turn *t) SUSPENDS;
static err_t embed_sparse_endpoint(struct sim_turn *t)
{
    struct request q = {.t = t};
    bool over;

    TRY(read_request(&q, "inputs"));
    TRY(begin(&q, &over));
    if (over)
        return OK;
    for (size_t i = 0; i < q.in.count; i++) {
        struct str rest = q.in.texts[i];
        buf_add(t->room, i > 0 ? STR(",[") : STR("[["));
        for (const char *joint = ""; rest.n > 0; joint = ",") {
            uint64_t hash = sim_hash(t->seed, sim_token_cut(&rest));
            buf_addf(t->room, "%s{\"index\":%u,\"value\":%u.%03u}", joint, (unsigned)(hash % SPARSE_SIZE),
                     (unsigned)(hash >> 40 & 1), (unsigned)((hash >> 20) % 1000));
        }
        buf_add_char(t->room, ']');
    }
    buf_add_char(t->room, ']');
    return reply(&q);
}

/* OpenAI's, of the one model. */
static err_t openai_endpoint(struct sim_turn *t) SUSPENDS;
static err_t openai_endpoint(struct sim_turn *t)
{
    t->model = local_model(t, STR("tei"));
    return embeddings_endpoint(t);
}

/* --- scores --- */

/* A likeness as a model's raw score, or what a sigmoid would make of it. */
static double score_of(const struct request *q, double likeness)
{
    return q->raw_scores ? 8 * likeness : relevance(likeness);
}

static err_t tei_rerank(struct sim_turn *t) SUSPENDS;
static err_t tei_rerank(struct sim_turn *t)
{
    struct request q = {.t = t};
    struct ranked *all;
    bool over;

    TRY(read_request(&q, "texts"));
    struct str query = json_get_str(q.root, STR("query"), STR_NONE);
    if (!query.p)
        return invalid(t, 422, "Validation",
                       STR("Failed to deserialize the JSON body into the target type: missing field `query`"));
    q.in.hash = sim_hash(q.in.hash, query);
    q.in.tokens += sim_tokens(query) * q.in.count;
    TRY(begin(&q, &over));
    if (over)
        return OK;
    TRY(rank_texts(t, query, &q.in, &all));
    for (size_t i = 0; i < q.in.count; i++) {
        buf_addf(t->room, "%c{\"index\":%zu,\"score\":%.6f", i > 0 ? ',' : '[', all[i].index,
                 score_of(&q, all[i].likeness));
        if (json_get_bool(q.root, STR("return_text"), false)) {
            buf_add_lit(t->room, ",\"text\":\"");
            buf_add_json(t->room, q.in.texts[all[i].index]);
            buf_add_char(t->room, '"');
        }
        buf_add_char(t->room, '}');
    }
    buf_add_char(t->room, ']');
    return reply(&q);
}

/* Inputs are texts, or pairs of them: [a, b] is one pair, [[a, b], ...] are several. Each becomes one text. */
static bool read_pairs(struct request *q, yyjson_val *inputs)
{
    yyjson_val *item;
    size_t i, n, size = yyjson_arr_size(inputs);
    bool one = size == 2 && yyjson_is_str(yyjson_arr_get(inputs, 0)) && yyjson_is_str(yyjson_arr_get(inputs, 1));

    q->in.texts = arena_zalloc(q->t->a, (size + 1) * sizeof(*q->in.texts));
    q->in.is_list = yyjson_is_arr(inputs) && !one;
    if (yyjson_is_str(inputs))
        q->in.texts[q->in.count++] = json_text(inputs);
    if (one)
        q->in.texts[q->in.count++] = arena_printf(q->t->a, "%s %s", yyjson_get_str(yyjson_arr_get(inputs, 0)),
                                                  yyjson_get_str(yyjson_arr_get(inputs, 1)));
    yyjson_arr_foreach(q->in.is_list ? inputs : NULL, i, n, item)
    {
        yyjson_val *first = yyjson_arr_get_first(item), *second = yyjson_arr_get(item, 1);
        if (!yyjson_is_str(first) || yyjson_arr_size(item) > 2 || (second && !yyjson_is_str(second)))
            return false;
        q->in.texts[q->in.count++] =
            arena_printf(q->t->a, "%s %s", yyjson_get_str(first), second ? yyjson_get_str(second) : "");
    }
    for (i = 0; i < q->in.count; i++) {
        q->in.tokens += sim_tokens(q->in.texts[i]);
        q->in.hash = sim_hash(q->in.hash, q->in.texts[i]);
    }
    return yyjson_is_str(inputs) || yyjson_is_arr(inputs);
}

/* Two labels, the likelier one first. */
static void write_labels(const struct request *q, struct str text, struct buf *to)
{
    unsigned share = (unsigned)(sim_hash(q->t->seed, text) % 1000);
    unsigned high = share < 500 ? 1000 - share : share;

    for (unsigned i = 0; i < 2; i++) {
        unsigned score = i == 0 ? high : 1000 - high;
        buf_addf(to, "%c{\"label\":\"LABEL_%u\",\"score\":", i > 0 ? ',' : '[', (share < 500) == (i == 0) ? 0 : 1);
        buf_addf(to, "%.3f}", q->raw_scores ? score / 125.0 - 4 : score / 1000.0);
    }
    buf_add_char(to, ']');
}

static err_t predict_endpoint(struct sim_turn *t) SUSPENDS;
static err_t predict_endpoint(struct sim_turn *t)
{
    struct request q = {.t = t};
    bool over;

    TRY(read_request(&q, NULL));
    yyjson_val *inputs = json_get(q.root, STR("inputs"));
    size_t size = yyjson_arr_size(inputs);
    if (size > BATCH_MAX)
        return too_many(t, size);
    bool understood = read_pairs(&q, inputs);
    TRY(check_inputs(&q, "inputs", understood, false, size));
    TRY(begin(&q, &over));
    if (over)
        return OK;
    if (q.in.is_list)
        buf_add_char(t->room, '[');
    for (size_t i = 0; i < q.in.count; i++) {
        buf_add(t->room, i > 0 ? STR(",") : STR(""));
        write_labels(&q, q.in.texts[i], t->room);
    }
    if (q.in.is_list)
        buf_add_char(t->room, ']');
    return reply(&q);
}

static err_t similarity_endpoint(struct sim_turn *t) SUSPENDS;
static err_t similarity_endpoint(struct sim_turn *t)
{
    struct request q = {.t = t};
    bool over, many;

    TRY(read_request(&q, NULL));
    yyjson_val *inputs = json_get(q.root, STR("inputs")), *sentences = json_get(inputs, STR("sentences"));
    struct str source = json_get_str(inputs, STR("source_sentence"), STR_NONE);
    if (!source.p || !yyjson_is_arr(sentences))
        return invalid(
            t, 422, "Validation",
            STR("Failed to deserialize the JSON body into the target type: inputs needs `source_sentence` and "
                "`sentences`"));
    bool understood = local_read_inputs(t->a, sentences, BATCH_MAX, &q.in, &many);
    TRY(check_inputs(&q, "sentences", understood, many, yyjson_arr_size(sentences)));
    q.in.hash = sim_hash(q.in.hash, source);
    TRY(begin(&q, &over));
    if (over)
        return OK;
    for (size_t i = 0; i < q.in.count; i++)
        buf_addf(t->room, "%c%.6f", i > 0 ? ',' : '[', text_likeness(t->a, t->seed, source, q.in.texts[i]));
    buf_add_char(t->room, ']');
    return reply(&q);
}

/* --- tokens --- */

static void write_token(struct str token, bool special, size_t start, size_t stop, unsigned id, struct buf *to)
{
    buf_addf(to, "{\"id\":%u,\"text\":\"", id);
    buf_add_json(to, token);
    if (special)
        buf_add_lit(to, "\",\"special\":true,\"start\":null,\"stop\":null}");
    else
        buf_addf(to, "\",\"special\":false,\"start\":%zu,\"stop\":%zu}", start, stop);
}

static void write_tokens(struct str rest, bool specials, struct buf *to)
{
    struct str text = rest;
    const char *joint = "";

    buf_add_char(to, '[');
    if (specials) {
        write_token(STR("[CLS]"), true, 0, 0, 1, to);
        joint = ",";
    }
    while (rest.n > 0) {
        size_t start = text.n - rest.n;
        struct str token = sim_token_cut(&rest);
        buf_add(to, str_from_c(joint));
        write_token(token, false, start, start + token.n, local_token_id(token), to);
        joint = ",";
    }
    if (specials) {
        buf_add(to, str_from_c(joint));
        write_token(STR("[SEP]"), true, 0, 0, 2, to);
    }
    buf_add_char(to, ']');
}

static err_t tei_tokenize(struct sim_turn *t) SUSPENDS;
static err_t tei_tokenize(struct sim_turn *t)
{
    struct request q = {.t = t};

    TRY(read_request(&q, "inputs"));
    for (size_t i = 0; i < q.in.count; i++) {
        buf_add_char(t->room, i > 0 ? ',' : '[');
        write_tokens(q.in.texts[i], json_get_bool(q.root, STR("add_special_tokens"), true), t->room);
    }
    buf_add_char(t->room, ']');
    return turn_reply_json(t, 200);
}

/* --- paths that vLLM has, too --- */

static bool is_below(const struct http_request *r)
{
    return str_starts(r->head.path, STR("/tei/"));
}

/* Without a prefix, a body without `field` is vLLM's. */
static bool is_vllms(struct sim_turn *t, struct str body, struct str field)
{
    yyjson_val *root;

    if (is_below(t->r) || json_parse(t->a, body, NULL, 0, &root) != OK || json_get(root, field))
        return false;
    t->surface = t->play.surface = &sim_surface_vllm;
    return true;
}

static err_t rerank_here_endpoint(struct sim_turn *t) SUSPENDS;
static err_t rerank_here_endpoint(struct sim_turn *t)
{
    struct str body;

    TRY(turn_body(t, &body));
    return is_vllms(t, body, STR("texts")) ? rerank_endpoint(t) : tei_rerank(t);
}

static err_t tokenize_here_endpoint(struct sim_turn *t) SUSPENDS;
static err_t tokenize_here_endpoint(struct sim_turn *t)
{
    struct str body;

    TRY(turn_body(t, &body));
    return is_vllms(t, body, STR("inputs")) ? local_tokenize_endpoint(t) : tei_tokenize(t);
}

/* --- the rest --- */

static err_t info_endpoint(struct sim_turn *t) SUSPENDS;
static err_t info_endpoint(struct sim_turn *t)
{
    buf_add_lit(t->room, "{\"model_id\":\"");
    buf_add_json(t->room, local_model(t, STR("tei")));
    buf_addf(t->room,
             "\",\"model_sha\":null,\"model_dtype\":\"float16\",\"model_type\":{\"embedding\":{\"pooling\":\"cls\"}},"
             "\"max_concurrent_requests\":512,\"max_input_length\":%d,\"max_batch_tokens\":16384,"
             "\"max_client_batch_size\":%d,\"auto_truncate\":false,\"tokenization_workers\":1,\"version\":"
             "\"1.8.0-simulated\"}",
             INPUT_TOKENS_MAX, BATCH_MAX);
    return turn_reply_json(t, 200);
}

static const struct sim_route routes[] = {
    {"POST", STR_INIT("/embed"), embed_endpoint, NULL},
    {"POST", STR_INIT("/embed_all"), embed_all_endpoint, NULL},
    {"POST", STR_INIT("/embed_sparse"), embed_sparse_endpoint, NULL},
    {"POST", STR_INIT("/rerank"), rerank_here_endpoint, NULL},
    {"POST", STR_INIT("/predict"), predict_endpoint, NULL},
    {"POST", STR_INIT("/similarity"), similarity_endpoint, NULL},
    {"POST", STR_INIT("/tokenize"), tokenize_here_endpoint, NULL},
    {"POST", STR_INIT("/"), embed_endpoint, sim_route_named},
    {"POST", STR_INIT("/v1/embeddings"), openai_endpoint, sim_route_named},
    {"GET", STR_INIT("/info"), info_endpoint, sim_route_named},
    {"GET", STR_INIT("/health"), local_health_endpoint, sim_route_named},
};

const struct sim_surface sim_surface_tei = {
    .name = "tei",
    .routes = routes,
    .route_count = ARRAY_LEN(routes),
    .natural = true,
    .write_refusal = write_refusal,
    .add_headers = add_headers,
};
