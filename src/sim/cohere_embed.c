/*
 * cohere_embed.c - POST /v2/embed and POST /v2/rerank: vectors in every type, and documents sorted by the nearness of theirs.
 *
 * Vectors are those of sim_embed(). The narrower types are made from it: int8 is the component times 127, uint8 that plus 128, ubinary
 * one bit per component (is it positive?), eight to a byte, the first one highest, and binary the same minus 128. A document's
 * relevance is (1 + cosine) / 2 of its vector and the query's.
 */
#include "codec/json.h"
#include "rt/fiber.h"
#include "sim/cohere_int.h"
#include "sim/embeddings.h"
#include "sim/hash.h"
#include "sim/text.h"

#include <stdlib.h>

enum { DOCUMENTS_MAX = 10000, SEARCH_UNIT = 100 /* documents */ };

enum type { FLOAT, INT8, UINT8, BINARY, UBINARY, BASE64_FLOAT, TYPE_COUNT };

static const char *const type_names[] = {
    [FLOAT] = "float",     [INT8] = "int8",           [UINT8] = "uint8",  [BINARY] = "binary",
    [UBINARY] = "ubinary", [BASE64_FLOAT] = "base64", [TYPE_COUNT] = NULL};
static const char *const input_types[] = {"search_document", "search_query", "classification",
                                          "clustering",      "image",        NULL};
static const char *const truncations[] = {"NONE", "START", "END", NULL};

/* Those that a hosted model does not have are the last. */
static const struct field_rule embed_rules[] = {
    {.name = STR_INIT("input_type"), .kind = FIELD_ENUM, .choices = input_types, .required = true},
    {.name = STR_INIT("texts"), .kind = FIELD_ARRAY, .min = 1, .max = COHERE_TEXTS_MAX},
    {.name = STR_INIT("images"), .kind = FIELD_ARRAY, .min = 1, .max = COHERE_TEXTS_MAX},
    {.name = STR_INIT("inputs"), .kind = FIELD_ARRAY, .min = 1, .max = COHERE_TEXTS_MAX},
    {.name = STR_INIT("embedding_types"), .kind = FIELD_ARRAY, .min = 1, .max = TYPE_COUNT},
    {.name = STR_INIT("output_dimension"), .kind = FIELD_INT},
    {.name = STR_INIT("max_tokens"), .kind = FIELD_INT, .min = 1, .max = 1 << 30},
    {.name = STR_INIT("truncate"), .kind = FIELD_ENUM, .choices = truncations},
    {.name = STR_INIT("model"), .kind = FIELD_STRING, .min = 1, .max = 512, .required = true},
    {.name = STR_INIT("priority"), .kind = FIELD_INT, .min = 0, .max = 999},
};
enum { HOSTED_RULES = ARRAY_LEN(embed_rules) - 2 };

/* --- reading --- */

struct reader {
    struct arena *a;
    struct cohere_embed *e;
    struct sim_refusal *r;
};

static err_t add_text(struct reader *rd, struct str text, size_t tokens)
{
    rd->e->texts[rd->e->count++] = text;
    rd->e->tokens += tokens;
    rd->e->hash = sim_hash(rd->e->hash, text);
    return OK;
}

static err_t read_texts(struct reader *rd, yyjson_val *texts)
{
    yyjson_val *text;
    size_t i, n;

    yyjson_arr_foreach(texts, i, n, text)
    {
        if (json_text(text).n == 0)
            return cohere_refuse(rd->a, rd->r, "texts[%zu] must be a text that is not empty", i);
        TRY(add_text(rd, json_text(text), sim_tokens(json_text(text))));
    }
    return OK;
}

static err_t read_images(struct reader *rd, yyjson_val *images)
{
    yyjson_val *image;
    size_t i, n;

    yyjson_arr_foreach(images, i, n, image)
    {
        if (!str_starts(json_text(image), STR("data:image/")))
            return cohere_refuse(rd->a, rd->r, "images[%zu] must be a data URI", i);
        TRY(add_text(rd, json_text(image), SIM_IMAGE_TOKENS));
    }
    return OK;
}

/* One of `inputs`: its parts' texts and addresses joined. */
static err_t read_input(struct reader *rd, yyjson_val *input, size_t index)
{
    yyjson_val *content = json_get(input, STR("content")), *part;
    struct str whole = STR("");
    size_t i, n, tokens = 0;

    yyjson_arr_foreach(content, i, n, part)
    {
        struct str type = json_get_str(part, STR("type"), STR("")), piece = STR("");
        bool is_text = str_eq(type, STR("text"));
        if (is_text)
            piece = json_get_str(part, STR("text"), STR(""));
        else if (str_eq(type, STR("image_url")))
            piece = json_get_str(json_get(part, STR("image_url")), STR("url"), STR(""));
        if (piece.n == 0)
            return cohere_refuse(rd->a, rd->r, "inputs[%zu].content[%zu] must be of type text or image_url", index, i);
        tokens += is_text ? sim_tokens(piece) : SIM_IMAGE_TOKENS;
        whole = arena_join(rd->a, whole, piece);
    }
    if (whole.n == 0)
        return cohere_refuse(rd->a, rd->r, "inputs[%zu].content must be a list of parts, and not empty", index);
    return add_text(rd, whole, tokens);
}

static err_t read_types(struct reader *rd, yyjson_val *types)
{
    yyjson_val *type;
    size_t i, n;

    yyjson_arr_foreach(types, i, n, type)
    {
        size_t k = 0;
        while (k < TYPE_COUNT && !str_eq(json_text(type), str_from_c(type_names[k])))
            k++;
        if (k == TYPE_COUNT)
            return cohere_refuse(rd->a, rd->r, "embedding_types[%zu] is not a type of embeddings", i);
        rd->e->types |= 1U << k;
    }
    return OK;
}

static err_t read_dimensions(struct reader *rd, yyjson_val *root)
{
    int64_t n = json_get_i64(root, STR("output_dimension"), 0);

    if (n != 0 && n != 256 && n != 512 && n != 1024 && n != 1536)
        return cohere_refuse(rd->a, rd->r, "output_dimension must be one of: 256, 512, 1024, 1536");
    rd->e->dimensions = (size_t)n;
    return OK;
}

err_t cohere_embed_read(struct arena *a, yyjson_val *root, bool is_hosted, struct cohere_embed *ret,
                        struct sim_refusal *r)
{
    struct reader rd = {a, ret, r};
    size_t i, n;
    yyjson_val *input;

    *ret = (struct cohere_embed){.model = json_get_str(root, STR("model"), STR_NONE)};
    TRY(cohere_fields(a, root, STR(""), embed_rules, is_hosted ? HOSTED_RULES : ARRAY_LEN(embed_rules), r));
    yyjson_val *texts = json_get(root, STR("texts")), *images = json_get(root, STR("images")),
               *inputs = json_get(root, STR("inputs"));
    if (yyjson_is_arr(texts) + yyjson_is_arr(images) + yyjson_is_arr(inputs) != 1)
        return cohere_refuse(a, r, "exactly one of texts, images and inputs must be given");
    bool is_image = str_eq(json_get_str(root, STR("input_type"), STR("")), STR("image"));
    if ((yyjson_is_arr(images) && !is_image) || (yyjson_is_arr(texts) && is_image))
        return cohere_refuse(a, r, "input_type image goes with images, and no other does");
    ret->texts = arena_alloc(a, COHERE_TEXTS_MAX * sizeof(*ret->texts));
    ret->echoes = yyjson_is_arr(texts);
    TRY(read_texts(&rd, texts));
    TRY(read_images(&rd, images));
    yyjson_arr_foreach(inputs, i, n, input)
    {
        TRY(read_input(&rd, input, i));
    }
    TRY(read_dimensions(&rd, root));
    return read_types(&rd, json_get(root, STR("embedding_types")));
}

/* --- writing --- */

static void write_bytes(const int32_t *vector, size_t n, bool is_signed, struct buf *to)
{
    for (size_t i = 0; i < n; i++) {
        int64_t v = (int64_t)vector[i] * 127, half = SIM_EMBEDDING_ONE / 2;
        int64_t rounded = (v >= 0 ? v + half : v - half) / SIM_EMBEDDING_ONE;
        buf_addf(to, "%s%lld", i > 0 ? "," : "[", (long long)(is_signed ? rounded : rounded + 128));
    }
    buf_add_char(to, ']');
}

static void write_bits(const int32_t *vector, size_t n, bool is_signed, struct buf *to)
{
    for (size_t i = 0; i < n; i += 8) {
        int byte = 0;
        for (size_t k = 0; k < 8; k++)
            byte = byte << 1 | (i + k < n && vector[i + k] > 0);
        buf_addf(to, "%s%d", i > 0 ? "," : "[", is_signed ? byte - 128 : byte);
    }
    buf_add_char(to, ']');
}

static err_t write_vector(const int32_t *vector, size_t n, enum type type, struct buf *to)
{
    switch (type) {
    case FLOAT:
        sim_embedding_write(vector, n, to);
        return OK;
    case INT8:
    case UINT8:
        write_bytes(vector, n, type == INT8, to);
        return OK;
    case BINARY:
    case UBINARY:
        write_bits(vector, n, type == BINARY, to);
        return OK;
    case BASE64_FLOAT:
        return sim_embedding_write_base64(vector, n, to);
    case TYPE_COUNT:
        break;
    }
    return OK;
}

/* All vectors, in one type. */
static err_t write_vectors(struct sim_turn *t, const struct cohere_embed *e, enum type type, struct buf *to) SUSPENDS;
static err_t write_vectors(struct sim_turn *t, const struct cohere_embed *e, enum type type, struct buf *to)
{
    int32_t *vector = arena_alloc(t->a, e->dimensions * sizeof(*vector));
    uint64_t seed = sim_hash(t->seed, turn_model(t)->name);

    buf_add_char(to, '[');
    for (size_t i = 0; i < e->count; i++) {
        buf_add(to, i > 0 ? STR(",") : STR(""));
        sim_embed(e->texts[i], seed, vector, e->dimensions);
        TRY(write_vector(vector, e->dimensions, type, to));
        TRY(fiber_tick());
    }
    return buf_add_char(to, ']');
}

static err_t write_types(struct sim_turn *t, const struct cohere_embed *e, unsigned types, struct buf *to) SUSPENDS;
static err_t write_types(struct sim_turn *t, const struct cohere_embed *e, unsigned types, struct buf *to)
{
    const char *joint = "{";

    for (unsigned k = 0; k < TYPE_COUNT; k++) {
        if (!(types & 1U << k))
            continue;
        buf_addf(to, "%s\"%s\":", joint, type_names[k]);
        TRY(write_vectors(t, e, (enum type)k, to));
        joint = ",";
    }
    return buf_add_char(to, '}');
}

static void write_id(const struct sim_turn *t, struct buf *to)
{
    char id[SIM_UUID_CHARS];

    sim_uuid(id, t->mark.unique, 0);
    buf_addf(to, "{\"id\":\"%.*s\"", SIM_UUID_CHARS, id);
}

err_t cohere_embed_write(struct sim_turn *t, struct cohere_embed *e, bool is_hosted, struct buf *to)
{
    bool by_type = e->types != 0 || !is_hosted;

    if (e->dimensions == 0)
        e->dimensions = turn_model(t)->dimensions;
    write_id(t, to);
    buf_add_lit(to, ",\"embeddings\":");
    if (by_type)
        TRY(write_types(t, e, e->types ? e->types : 1U << FLOAT, to));
    else
        TRY(write_vectors(t, e, FLOAT, to));
    for (size_t i = 0; i < e->count && e->echoes; i++) {
        buf_add(to, i > 0 ? STR(",\"") : STR(",\"texts\":[\""));
        buf_add_json(to, e->texts[i]);
        buf_add_char(to, '"');
    }
    buf_add(to, e->echoes ? STR("]") : STR(""));
    if (!is_hosted)
        buf_addf(to, ",\"meta\":{\"api_version\":{\"version\":\"2\"},\"billed_units\":{\"input_tokens\":%zu}}",
                 e->tokens);
    buf_addf(to, ",\"response_type\":\"%s\"}", by_type ? "embeddings_by_type" : "embeddings_floats");
    return buf_status(to);
}

err_t cohere_embed_endpoint(struct sim_turn *t)
{
    struct cohere_embed e;
    yyjson_val *root;
    struct str body;
    bool over;

    TRY(turn_body(t, &body));
    TRY(cohere_parse(t->a, body, &t->refusal, &root));
    TRY(cohere_embed_read(t->a, root, false, &e, &t->refusal));
    TRY(turn_begin(t, e.model, e.hash, &over));
    if (over)
        return OK;
    TRY(cohere_embed_write(t, &e, false, t->room));
    turn_count_prompt(t, e.tokens);
    return sim_play_whole(&t->play, STR("application/json"), buf_str(t->room), 0);
}

/* --- rerank --- */

struct ranked {
    size_t index;
    int64_t score; /* cosine, in SIM_EMBEDDING_ONE squared */
};

static int ranked_cmp(const void *x, const void *y)
{
    const struct ranked *a = x, *b = y;

    if (a->score != b->score)
        return a->score < b->score ? 1 : -1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static err_t rank(struct sim_turn *t, struct str query, yyjson_val *documents, struct ranked *ranked) SUSPENDS;
static err_t rank(struct sim_turn *t, struct str query, yyjson_val *documents, struct ranked *ranked)
{
    size_t dimensions = turn_model(t)->dimensions, i, n;
    int32_t *wanted = arena_alloc(t->a, 2 * dimensions * sizeof(*wanted)), *got = wanted + dimensions;
    uint64_t seed = sim_hash(t->seed, turn_model(t)->name);
    yyjson_val *document;

    sim_embed(query, seed, wanted, dimensions);
    yyjson_arr_foreach(documents, i, n, document)
    {
        sim_embed(json_text(document), seed, got, dimensions);
        ranked[i] = (struct ranked){.index = i};
        for (size_t k = 0; k < dimensions; k++)
            ranked[i].score += (int64_t)wanted[k] * got[k];
        TRY(fiber_tick());
    }
    qsort(ranked, n, sizeof(*ranked), ranked_cmp);
    return OK;
}

static err_t check_documents(struct sim_turn *t, yyjson_val *documents, uint64_t *hash)
{
    yyjson_val *document;
    size_t i, n;

    yyjson_arr_foreach(documents, i, n, document)
    {
        if (!yyjson_is_str(document))
            return refuse_status(t->a, &t->refusal, 422, NULL,
                                 "invalid type: parameter 'documents[%zu]' should be of type string, but is %s", i,
                                 field_type_name(document));
        *hash = sim_hash(*hash, json_text(document));
    }
    return OK;
}

static void write_ranking(const struct sim_turn *t, const struct ranked *ranked, size_t top, size_t count,
                          struct buf *to)
{
    static const double one = (double)SIM_EMBEDDING_ONE * SIM_EMBEDDING_ONE;

    write_id(t, to);
    buf_add_lit(to, ",\"results\":[");
    for (size_t i = 0; i < top; i++)
        buf_addf(to, "%s{\"index\":%zu,\"relevance_score\":%.8f}", i > 0 ? "," : "", ranked[i].index,
                 (1 + (double)ranked[i].score / one) / 2);
    buf_addf(to, "],\"meta\":{\"api_version\":{\"version\":\"2\"},\"billed_units\":{\"search_units\":%zu}}}",
             (count + SEARCH_UNIT - 1) / SEARCH_UNIT);
}

err_t cohere_rerank_endpoint(struct sim_turn *t)
{
    static const struct field_rule rules[] = {
        {.name = STR_INIT("model"), .kind = FIELD_STRING, .min = 1, .max = 512, .required = true},
        {.name = STR_INIT("query"), .kind = FIELD_STRING, .min = 1, .max = 1 << 20, .required = true},
        {.name = STR_INIT("documents"), .kind = FIELD_ARRAY, .min = 1, .max = DOCUMENTS_MAX, .required = true},
        {.name = STR_INIT("top_n"), .kind = FIELD_INT, .min = 1, .max = 1 << 30},
        {.name = STR_INIT("max_tokens_per_doc"), .kind = FIELD_INT, .min = 1, .max = 1 << 30},
        {.name = STR_INIT("priority"), .kind = FIELD_INT, .min = 0, .max = 999},
    };
    struct str body;
    yyjson_val *root;
    bool over;

    TRY(turn_body(t, &body));
    TRY(cohere_parse(t->a, body, &t->refusal, &root));
    TRY(cohere_fields(t->a, root, STR(""), rules, ARRAY_LEN(rules), &t->refusal));
    struct str query = json_get_str(root, STR("query"), STR(""));
    yyjson_val *documents = json_get(root, STR("documents"));
    uint64_t hash = sim_hash(0, query);
    TRY(check_documents(t, documents, &hash));
    TRY(turn_begin(t, json_get_str(root, STR("model"), STR_NONE), hash, &over));
    if (over)
        return OK;
    size_t count = yyjson_arr_size(documents), top = (size_t)json_get_i64(root, STR("top_n"), DOCUMENTS_MAX);
    struct ranked *ranked = arena_alloc(t->a, count * sizeof(*ranked));
    TRY(rank(t, query, documents, ranked));
    write_ranking(t, ranked, top < count ? top : count, count, t->room);
    return sim_play_whole(&t->play, STR("application/json"), buf_str(t->room), 0);
}
