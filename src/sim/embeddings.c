/*
 * embeddings.c - POST /embeddings, and how its vectors come about.
 *
 * The idea: a text is a bag of features, its words (ASCII case ignored) and its beginnings of 8, 16, 32 and 64 bytes. Each feature
 * adds +-WEIGHT at a few places that its hash draws, as in a sparse random projection, so texts that share features point in similar
 * directions. The hash of the whole text adds a little everywhere, so that no component is zero and different texts differ. All of
 * that is in whole numbers; the only division is by the length, correctly rounded, so every machine gets the same.
 */
#include "sim/embeddings.h"

#include "base/prng.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "rt/fiber.h"
#include "sim/fields.h"
#include "sim/hash.h"
#include "sim/text.h"
#include "sim/turn.h"

#include <math.h>

enum {
    FEATURE_PLACES = 48, /* components that a feature touches */
    FEATURES_MAX = 256,  /* words that count                  */
    WEIGHT = 64,
    NOISE = 8, /* the whole text's hash adds up to this, either way */
    INPUTS_MAX = 2048,
};

static const struct field_rule rules[] = {
    {.name = STR_INIT("input"), .kind = FIELD_ANY, .required = true},
    {.name = STR_INIT("model"), .kind = FIELD_STRING, .min = 1, .max = 512, .required = true},
    {.name = STR_INIT("encoding_format"),
     .kind = FIELD_ENUM,
     .choices = (const char *const[]){"float", "base64", NULL}},
    {.name = STR_INIT("dimensions"), .kind = FIELD_INT, .min = 1, .max = SIM_DIMENSIONS_MAX},
    {.name = STR_INIT("user"), .kind = FIELD_STRING},
};

/* --- vectors --- */

static void add_feature(uint64_t hash, int32_t weight, int32_t *vector, size_t n)
{
    struct prng prng;

    prng_seed(&prng, hash);
    for (int i = 0; i < FEATURE_PLACES; i++) {
        uint64_t draw = prng_next(&prng);
        vector[(draw >> 1) % n] += draw & 1 ? weight : -weight;
    }
}

static void add_words(struct str text, uint64_t seed, int32_t *vector, size_t n)
{
    char word[64];
    size_t length = 0, words = 0;

    for (size_t i = 0; i <= text.n && words < FEATURES_MAX; i++) {
        char c = i < text.n ? ascii_lower(text.p[i]) : ' ';
        bool inside = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (unsigned char)c >= 128;
        if (inside && length < sizeof(word)) {
            word[length++] = c;
        } else if (!inside && length > 0) {
            add_feature(sim_hash(seed, str_of(word, length)), WEIGHT, vector, n);
            words++;
            length = 0;
        }
    }
}

static void normalise(int32_t *vector, size_t n)
{
    int64_t squares = 0;

    for (size_t i = 0; i < n; i++)
        squares += (int64_t)vector[i] * vector[i];
    double length = sqrt((double)squares);
    for (size_t i = 0; i < n; i++)
        vector[i] = (int32_t)nearbyint((double)vector[i] * SIM_EMBEDDING_ONE / length);
}

void sim_embed(struct str text, uint64_t seed, int32_t *vector, size_t n)
{
    struct prng noise;

    prng_seed(&noise, sim_hash(seed, text));
    for (size_t i = 0; i < n; i++) {
        int32_t level = (int32_t)(prng_next(&noise) % (2 * NOISE));
        vector[i] = level < NOISE ? level - NOISE : level - NOISE + 1; /* never zero */
    }
    add_words(text, seed, vector, n);
    for (size_t prefix = 8; prefix <= 64 && prefix <= text.n; prefix *= 2)
        add_feature(sim_hash(seed + 1, str_slice(text, 0, prefix)), WEIGHT, vector, n);
    normalise(vector, n);
}

double sim_likeness(const int32_t *x, const int32_t *y, size_t n)
{
    int64_t product = 0; /* of unit vectors: at most SIM_EMBEDDING_ONE squared */

    for (size_t i = 0; i < n; i++)
        product += (int64_t)x[i] * y[i];
    return (double)product / ((double)SIM_EMBEDDING_ONE * SIM_EMBEDDING_ONE);
}

/* A component as "-0.01234567". */
static void write_component(int32_t value, struct buf *to)
{
    char text[16];
    uint32_t left = (uint32_t)(value < 0 ? -value : value), whole = left / SIM_EMBEDDING_ONE;
    char *at = text;

    left %= SIM_EMBEDDING_ONE;
    if (value < 0)
        *at++ = '-';
    *at++ = (char)('0' + whole);
    *at++ = '.';
    for (uint32_t unit = SIM_EMBEDDING_ONE / 10; unit > 0; unit /= 10)
        *at++ = (char)('0' + left / unit % 10);
    buf_add(to, str_of(text, (size_t)(at - text)));
}

void sim_embedding_write(const int32_t *vector, size_t n, struct buf *to)
{
    buf_add_char(to, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_add_char(to, ',');
        write_component(vector[i], to);
    }
    buf_add_char(to, ']');
}

err_t sim_embedding_write_base64(const int32_t *vector, size_t n, struct buf *to)
{
    struct buf bytes CLEANUP(buf_release) = BUF_INIT(SIM_DIMENSIONS_MAX * sizeof(float));

    for (size_t i = 0; i < n; i++) {
        float component = (float)((double)vector[i] / SIM_EMBEDDING_ONE);
        char raw[sizeof(component)];
        memcpy(raw, &component, sizeof(raw)); /* little-endian: sim/hash.c asserts it */
        buf_add(&bytes, str_of(raw, sizeof(raw)));
    }
    buf_add_char(to, '"');
    TRY(base64_encode(to, buf_str(&bytes), BASE64));
    return buf_add_char(to, '"');
}

/* --- the endpoint --- */

struct embeddings {
    struct sim_turn *t;
    struct str model, *texts;
    size_t count, tokens, dimensions;
    uint64_t hash;
    bool base64;
};

static struct str tokens_key(struct arena *a, yyjson_val *tokens)
{
    yyjson_val *token;
    size_t i, n;
    uint64_t hash = 0;

    yyjson_arr_foreach(tokens, i, n, token)
    {
        hash = sim_hash_u64(hash, (uint64_t)yyjson_get_sint(token));
    }
    return arena_printf(a, "tokens %016llx", (unsigned long long)hash);
}

static err_t add_input(struct embeddings *e, yyjson_val *input, struct str param)
{
    struct str text;

    if (yyjson_is_str(input)) {
        text = json_text(input);
        e->tokens += sim_tokens(text);
    } else if (yyjson_is_arr(input) && yyjson_is_int(yyjson_arr_get_first(input))) {
        text = tokens_key(e->t->a, input);
        e->tokens += yyjson_arr_size(input);
    } else {
        return refuse_type(e->t->a, &e->t->refusal, param, "a string or an array of integers", input);
    }
    if (text.n == 0)
        return refuse(e->t->a, &e->t->refusal, "invalid_value", param,
                      "Invalid '%.*s': input cannot be an empty string.", STR_ARG(param));
    e->texts[e->count++] = text;
    e->hash = sim_hash(e->hash, text);
    return OK;
}

static err_t read_inputs(struct embeddings *e, yyjson_val *input)
{
    yyjson_val *first = yyjson_arr_get_first(input), *item;
    size_t size = yyjson_arr_size(input), i, n;

    e->texts = arena_zalloc(e->t->a, (size + 1) * sizeof(*e->texts));
    if (!yyjson_is_arr(input) || yyjson_is_int(first))
        return add_input(e, input, STR("input"));
    if (size == 0 || size > INPUTS_MAX)
        return refuse(e->t->a, &e->t->refusal, size ? "array_above_max_length" : "empty_array", STR("input"),
                      "Invalid 'input': expected an array of 1 to %d items, but got %zu.", INPUTS_MAX, size);
    yyjson_arr_foreach(input, i, n, item)
    {
        TRY(add_input(e, item, arena_printf(e->t->a, "input[%zu]", i)));
    }
    return OK;
}

static err_t read_request(struct embeddings *e, struct str body)
{
    struct sim_turn *t = e->t;
    yyjson_val *root;

    TRY(fields_parse(t->a, body, &t->refusal, &root));
    TRY(fields_check(t->a, root, STR(""), rules, ARRAY_LEN(rules), t->scenario->strict_fields, &t->refusal));
    e->model = json_get_str(root, STR("model"), STR_NONE);
    e->dimensions = (size_t)json_get_i64(root, STR("dimensions"), 0);
    e->base64 = str_eq(json_get_str(root, STR("encoding_format"), STR_NONE), STR("base64"));
    return read_inputs(e, json_get(root, STR("input")));
}

static err_t write_answer(const struct embeddings *e, struct buf *to) SUSPENDS;
static err_t write_answer(const struct embeddings *e, struct buf *to)
{
    int32_t *vector = arena_alloc(e->t->a, e->dimensions * sizeof(*vector));
    uint64_t seed = sim_hash(e->t->seed, e->model);

    buf_add_lit(to, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < e->count; i++) {
        buf_addf(to, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", i > 0 ? "," : "", i);
        sim_embed(e->texts[i], seed, vector, e->dimensions);
        if (e->base64)
            TRY(sim_embedding_write_base64(vector, e->dimensions, to));
        else
            sim_embedding_write(vector, e->dimensions, to);
        buf_add_char(to, '}');
        TRY(fiber_tick());
    }
    buf_add_lit(to, "],\"model\":\"");
    buf_add_json(to, e->model);
    buf_addf(to, "\",\"usage\":{\"prompt_tokens\":%zu,\"total_tokens\":%zu}}", e->tokens, e->tokens);
    return buf_status(to);
}

err_t embeddings_endpoint(struct sim_turn *t)
{
    struct embeddings e = {.t = t};
    struct str body;
    bool over;

    TRY(turn_body(t, &body));
    TRY(read_request(&e, body));
    TRY(turn_begin(t, e.model, e.hash, &over));
    if (over)
        return OK;
    if (e.dimensions == 0)
        e.dimensions = turn_model(t)->dimensions;
    TRY(write_answer(&e, t->room));
    turn_count_prompt(t, e.tokens);
    return sim_play_whole(&t->play, STR("application/json"), buf_str(t->room), 0);
}
