/*
 * bedrock_invoke.c - embeddings and rerank, which on Bedrock are InvokeModel with a body of the model maker's own form.
 *
 * Embeddings: Amazon Titan takes one text (or one picture with a text) a call, Cohere lists of up to 96. A client's body tells by its members whose
 * form it has, and is answered in it. Rerank: Amazon's and Cohere's forms are one, but for the latter's version.
 *
 * Source: Amazon Bedrock user guide, "Amazon Titan Embeddings Text", "Amazon Titan Multimodal Embeddings G1", "Cohere Embed models" and "Use a
 * reranker model".
 */
#include "codec/json_out.h"
#include "llm/bedrock_int.h"
#include "llm/unsaid.h"

enum { COHERE_BATCH = 96, TITAN_BATCH = 1, RERANK_VERSION = 2 };

/* --- a client's embeddings --- */

static const struct {
    struct str name;
    enum embed_use use;
} uses[] = {{STR_INIT("search_query"), EMBED_QUERY},
            {STR_INIT("search_document"), EMBED_DOCUMENT},
            {STR_INIT("classification"), EMBED_CLASSIFICATION},
            {STR_INIT("clustering"), EMBED_CLUSTERING}};

static enum embed_use use_of(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(uses); i++)
        if (str_eq(name, uses[i].name))
            return uses[i].use;
    return EMBED_OTHER;
}

static err_t add_image(struct block **list, struct str url, struct json_node from, struct arena *arena)
{
    return media_from_url(&chat_add_block(list, arena, BLOCK_IMAGE, from)->media, url, arena);
}

static err_t read_image_input(struct embed_input *in, struct json_node v, struct arena *arena)
{
    return add_image(&in->blocks, json_node_text(v, arena), v, arena);
}

/* {"content": [{"type": "text"} | {"type": "image_url"}]} */
static err_t read_mixed_input(struct embed_input *in, struct json_node v, struct arena *arena)
{
    JSON_EACH(w, json_node_get(v, STR("content"))) {
        struct str url = json_get_text(json_node_get(w.value, STR("image_url")), STR("url"), arena);
        if (url.p)
            TRY(add_image(&in->blocks, url, w.value, arena));
        else
            chat_add_block(&in->blocks, arena, BLOCK_TEXT, w.value)->text = json_get_text(w.value, STR("text"), arena);
    }
    return OK;
}

static err_t read_text_input(struct embed_input *in, struct json_node v, struct arena *arena)
{
    if (!json_node_is(v, JSON_STRING))
        return fail(E_PARSE, "texts: must be a list of strings");
    in->text = json_node_text(v, arena);
    return OK;
}

static err_t read_list(struct embed_request *q, struct json_node list, struct arena *arena,
                       err_t (*read)(struct embed_input *in, struct json_node v, struct arena *arena))
{
    q->inputs = arena_zalloc(arena, (json_node_count(list) + 1) * sizeof *q->inputs);
    JSON_EACH(w, list) {
        struct embed_input *in = &q->inputs[q->input_count++];
        in->from = w.value;
        TRY(read(in, w.value, arena));
    }
    return OK;
}

/* Titan's: one text, one picture, or both as one. */
static void read_titan_input(struct embed_request *q, struct json_node root, struct arena *arena)
{
    struct json_node text = json_node_get(root, STR("inputText")), image = json_node_get(root, STR("inputImage"));
    struct embed_input *in = q->inputs = arena_new(arena, struct embed_input);

    q->input_count = 1;
    q->single = true;
    in->from = json_node_is_set(text) ? text : image;
    in->text = json_node_text(text, arena);
    if (!json_node_is_set(image))
        return;
    if (in->text.n)
        chat_add_block(&in->blocks, arena, BLOCK_TEXT, text)->text = in->text;
    struct block *b = chat_add_block(&in->blocks, arena, BLOCK_IMAGE, image);
    b->media.source = MEDIA_BASE64;
    b->media.data = base64_standard(json_node_text(image, arena), arena);
    b->media.type = media_sniff(b->media.data);
}

static bool is_titan(struct json_node root)
{
    return json_node_is(json_node_get(root, STR("inputText")), JSON_STRING) ||
           json_node_is(json_node_get(root, STR("inputImage")), JSON_STRING);
}

static err_t read_inputs(struct embed_request *q, struct json_node root, struct arena *arena)
{
    static const struct {
        struct str key;
        err_t (*read)(struct embed_input *in, struct json_node v, struct arena *arena);
    } lists[] = {{STR_INIT("texts"), read_text_input},
                 {STR_INIT("images"), read_image_input},
                 {STR_INIT("inputs"), read_mixed_input}};

    if (is_titan(root)) {
        read_titan_input(q, root, arena);
        return OK;
    }
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        if (json_node_count(json_node_get(root, lists[i].key)))
            return read_list(q, json_node_get(root, lists[i].key), arena, lists[i].read);
    return fail(E_PARSE, "the body must hold inputText or inputImage (Titan), or texts, images or inputs (Cohere)");
}

static void read_types(struct embed_request *q, struct json_node list, struct arena *arena)
{
    q->types = arena_alloc(arena, (json_node_count(list) + 1) * sizeof *q->types);
    q->type_count = 0; /* the member may be there twice */
    JSON_EACH(w, list)
        if (json_node_is(w.value, JSON_STRING))
            q->types[q->type_count++] = json_node_text(w.value, arena);
}

static void read_setting(struct embed_request *q, const struct json_walk *w, struct arena *arena)
{
    static const struct str inputs[] = {STR_INIT("inputText"), STR_INIT("inputImage"), STR_INIT("texts"),
                                        STR_INIT("images"), STR_INIT("inputs")};

    for (size_t i = 0; i < ARRAY_LEN(inputs); i++)
        if (json_walk_key_is(w, inputs[i]))
            return;
    if (json_walk_key_is(w, STR("dimensions")) || json_walk_key_is(w, STR("output_dimension"))) {
        chat_read_number(&q->dimensions, w->value);
    } else if (json_walk_key_is(w, STR("embeddingConfig"))) {
        chat_read_number(&q->dimensions, json_node_get(w->value, STR("outputEmbeddingLength")));
    } else if (json_walk_key_is(w, STR("normalize"))) {
        chat_read_flag(&q->normalize, w->value);
    } else if (json_walk_key_is(w, STR("truncate"))) {
        chat_read_setting(&q->truncate_where, w->value, arena);
    } else if (json_walk_key_is(w, STR("input_type"))) {
        chat_read_setting(&q->use_name, w->value, arena);
        q->use = use_of(q->use_name.text);
    } else if (json_walk_key_is(w, STR("embeddingTypes")) || json_walk_key_is(w, STR("embedding_types"))) {
        read_types(q, w->value, arena);
    } else {
        (void)extras_add(&q->extras, arena, w->key, w->value);
    }
}

err_t bedrock_read_embed_request(struct translation *t, const struct json_tree *doc, struct embed_request *ret,
                                 struct str *ret_param)
{
    struct json_node root = json_tree_root(doc);

    *ret = (struct embed_request){.dialect = &dialect_bedrock, .document = doc, .model = t->path_model};
    *ret_param = STR_NONE;
    if (!json_node_is(root, JSON_OBJECT))
        return fail(E_PARSE, "the body must be a JSON object");
    JSON_EACH(w, root)
        if (json_node_is_set(w.value))
            read_setting(ret, &w, t->arena);
    return read_inputs(ret, root, t->arena);
}

/* --- embeddings to a client --- */

static err_t put_vectors(struct json_out *o, const struct embed_vector *v, size_t n)
{
    json_open(o, '[');
    for (size_t i = 0; i < n; i++)
        TRY(embed_put_json(o, &v[i]));
    json_close(o, ']');
    return OK;
}

static struct str type_of(const struct embed_vector *v)
{
    return v->type.n ? v->type : STR("float");
}

/* {"float": …, "int8": …}; of one input its vector, of several the list. */
static err_t put_by_type(struct json_out *o, const struct embed_request *q, const struct embed_answer *a)
{
    size_t n = q->input_count;

    json_open(o, '{');
    for (size_t at = 0; n && at + n <= a->vector_count; at += n) {
        json_key(o, type_of(&a->vectors[at]));
        TRY(q->single ? embed_put_json(o, &a->vectors[at]) : put_vectors(o, &a->vectors[at], n));
    }
    json_close(o, '}');
    return OK;
}

static err_t put_titan(struct json_out *o, const struct embed_request *q, const struct embed_answer *a)
{
    if (!a->vector_count)
        return fail(E_PROTOCOL, "the provider's answer holds no embedding");
    json_key(o, STR("embedding"));
    TRY(embed_put_json(o, &a->vectors[0]));
    if (q->type_count) {
        json_key(o, STR("embeddingsByType"));
        TRY(put_by_type(o, q, a));
    }
    json_member_u64(o, STR("inputTextTokenCount"), a->usage.input);
    return OK;
}

static err_t put_cohere(struct json_out *o, const struct answer_frame *f, const struct embed_request *q,
                        const struct embed_answer *a)
{
    json_member_str(o, STR("id"), a->id.n ? a->id : arena_printf(f->arena, "%016llx", (unsigned long long)f->unique));
    json_key(o, STR("embeddings"));
    TRY(q->type_count ? put_by_type(o, q, a) : put_vectors(o, a->vectors, a->vector_count));
    json_member_str(o, STR("response_type"), q->type_count ? STR("embeddings_by_type") : STR("embeddings_floats"));
    json_member_open(o, STR("texts"), '[');
    for (size_t i = 0; i < q->input_count; i++)
        if (q->inputs[i].text.p)
            json_put_str(o, q->inputs[i].text);
    json_close(o, ']');
    return OK;
}

err_t bedrock_write_embed_answer(const struct answer_frame *f, const struct embed_request *q,
                                 const struct embed_answer *a, struct buf *to)
{
    struct json_out o = json_out_to(to);

    json_open(&o, '{');
    TRY(is_titan(json_tree_root(q->document)) ? put_titan(&o, q, a) : put_cohere(&o, f, q, a));
    json_close(&o, '}');
    return buf_status(to);
}

/* --- embeddings to the provider --- */

static bool model_has(const struct translation *t, struct str part)
{
    return str_find(t->model, part) < t->model.n;
}

size_t bedrock_embed_batch(const struct translation *t)
{
    return model_has(t, STR("cohere.")) ? COHERE_BATCH : TITAN_BATCH;
}

/* The one picture and the one text of an input. False if it has more, or anything else. */
static bool only_parts(const struct embed_input *in, struct str *ret_text, const struct media **ret_image)
{
    *ret_text = in->blocks ? STR_NONE : in->text;
    *ret_image = NULL;
    for (const struct block *b = in->blocks; b; b = b->next) {
        if (b->kind == BLOCK_TEXT && !ret_text->p)
            *ret_text = b->text;
        else if (b->kind == BLOCK_IMAGE && !*ret_image && b->media.source == MEDIA_BASE64)
            *ret_image = &b->media;
        else
            return false;
    }
    return ret_text->p || *ret_image;
}

static err_t no_input(const char *what)
{
    return fail(E_PARSE, "this model embeds %s", what);
}

static err_t put_titan_image(struct translation *t, const struct embed_request *q, struct json_out *o)
{
    const struct media *image;
    struct str text;

    if (!only_parts(q->inputs, &text, &image))
        return no_input("a text, a picture as data, or one of each");
    if (text.p)
        json_member_str(o, STR("inputText"), text);
    if (image)
        json_member_str(o, STR("inputImage"), image->data);
    if (q->dimensions.text.n) {
        json_member_open(o, STR("embeddingConfig"), '{');
        json_member_raw(o, STR("outputEmbeddingLength"), q->dimensions.text);
        json_close(o, '}');
    }
    unsaid_flag(t->losses, &q->normalize, YES);
    return OK;
}

static void put_titan_settings(struct translation *t, const struct embed_request *q, struct json_out *o)
{
    if (model_has(t, STR("-v1")) || model_has(t, STR("-g1-"))) { /* the first version has no settings */
        unsaid_any_number(t->losses, &q->dimensions);
        unsaid_flag(t->losses, &q->normalize, NO);
        return;
    }
    if (q->dimensions.text.n)
        json_member_raw(o, STR("dimensions"), q->dimensions.text);
    if (q->normalize.is != UNSET)
        json_member_bool(o, STR("normalize"), q->normalize.is == YES);
    if (!q->type_count)
        return;
    json_member_open(o, STR("embeddingTypes"), '[');
    for (size_t i = 0; i < q->type_count; i++)
        json_put_str(o, q->types[i]);
    json_close(o, ']');
}

static err_t write_titan(struct translation *t, const struct embed_request *q, struct json_out *o)
{
    unsaid_setting(t->losses, &q->use_name);
    unsaid_setting(t->losses, &q->truncate_where);
    if (model_has(t, STR("titan-embed-image")))
        return put_titan_image(t, q, o);
    if (!q->inputs->text.p || q->inputs->blocks)
        return no_input("text only");
    json_member_str(o, STR("inputText"), q->inputs->text);
    put_titan_settings(t, q, o);
    return OK;
}

static struct str data_url(const struct media *m, struct arena *arena)
{
    struct str sniffed = media_sniff(m->data), type = sniffed.n ? sniffed : m->type;

    return m->source == MEDIA_URL ? m->data
                                  : arena_printf(arena, "data:%.*s;base64,%.*s", STR_ARG(type), STR_ARG(m->data));
}

static err_t put_mixed(struct translation *t, const struct embed_request *q, struct json_out *o)
{
    json_member_open(o, STR("inputs"), '[');
    for (size_t i = 0; i < q->input_count; i++) {
        struct block text = {.kind = BLOCK_TEXT, .text = q->inputs[i].text};
        json_open(o, '{');
        json_member_open(o, STR("content"), '[');
        for (const struct block *b = q->inputs[i].blocks ? q->inputs[i].blocks : &text; b; b = b->next) {
            if (b->kind != BLOCK_TEXT && b->kind != BLOCK_IMAGE)
                return no_input("text and pictures only");
            json_open(o, '{');
            json_member_str(o, STR("type"), b->kind == BLOCK_TEXT ? STR("text") : STR("image_url"));
            if (b->kind == BLOCK_TEXT) {
                json_member_str(o, STR("text"), b->text);
            } else {
                json_member_open(o, STR("image_url"), '{');
                json_member_str(o, STR("url"), data_url(&b->media, t->arena));
                json_close(o, '}');
            }
            json_close(o, '}');
        }
        json_close(o, ']');
        json_close(o, '}');
    }
    json_close(o, ']');
    return OK;
}

static err_t put_images(struct translation *t, const struct embed_request *q, struct json_out *o)
{
    json_member_open(o, STR("images"), '[');
    for (size_t i = 0; i < q->input_count; i++) {
        const struct media *image;
        struct str text;
        if (!only_parts(&q->inputs[i], &text, &image) || text.p || !image)
            return no_input("texts, or pictures as data, but not both in one request");
        json_put_str(o, data_url(image, t->arena));
    }
    json_close(o, ']');
    return OK;
}

static err_t put_cohere_inputs(struct translation *t, const struct embed_request *q, struct json_out *o,
                               bool *ret_images)
{
    *ret_images = false;
    for (size_t i = 0; i < q->input_count; i++) {
        if (!q->inputs[i].blocks && !q->inputs[i].text.p)
            return no_input("text, not tokens");
        *ret_images = *ret_images || q->inputs[i].blocks;
    }
    if (*ret_images)
        return model_has(t, STR("embed-v4")) ? put_mixed(t, q, o) : put_images(t, q, o);
    json_member_open(o, STR("texts"), '[');
    for (size_t i = 0; i < q->input_count; i++)
        json_put_str(o, q->inputs[i].text);
    json_close(o, ']');
    return OK;
}

static struct str cohere_use(const struct embed_request *q, bool images)
{
    for (size_t i = 0; i < ARRAY_LEN(uses); i++)
        if (q->use == uses[i].use)
            return uses[i].name;
    return images ? STR("image") : STR("search_document");
}

static void put_truncate(const struct embed_request *q, struct json_out *o)
{
    struct str where = q->truncate_where.text;

    if (str_eq_nocase(where, STR("left")) || str_eq_nocase(where, STR("start")))
        json_member_str(o, STR("truncate"), STR("START"));
    else if (str_eq_nocase(where, STR("none")) || q->truncate.is == NO)
        json_member_str(o, STR("truncate"), STR("NONE"));
    else if (where.n || q->truncate.is == YES)
        json_member_str(o, STR("truncate"), STR("END"));
}

static err_t write_cohere(struct translation *t, const struct embed_request *q, struct json_out *o)
{
    bool images;

    TRY(put_cohere_inputs(t, q, o, &images));
    json_member_str(o, STR("input_type"), cohere_use(q, images));
    put_truncate(q, o);
    if (q->type_count) {
        json_member_open(o, STR("embedding_types"), '[');
        for (size_t i = 0; i < q->type_count; i++)
            json_put_str(o, q->types[i]);
        json_close(o, ']');
    }
    if (q->dimensions.text.n && model_has(t, STR("embed-v4")))
        json_member_raw(o, STR("output_dimension"), q->dimensions.text);
    else
        unsaid_any_number(t->losses, &q->dimensions);
    unsaid_flag(t->losses, &q->normalize, YES);
    return OK;
}

err_t bedrock_write_embed(struct translation *t, const struct embed_request *q, struct provider_call *ret)
{
    struct json_out o = json_out_to(ret->body);

    ret->path = bedrock_path(t->arena, t->model, STR("invoke"));
    json_open(&o, '{');
    if (model_has(t, STR("cohere.")))
        TRY(write_cohere(t, q, &o));
    else if (model_has(t, STR("titan-embed")))
        TRY(write_titan(t, q, &o));
    else
        return fail(E_PARSE,
                    "The model '%.*s' is none whose embeddings this gateway knows on Bedrock: Titan and Cohere.",
                    STR_ARG(t->model));
    json_close(&o, '}');
    for (size_t i = 0; i < q->input_count; i++)
        if (q->inputs[i].title.n)
            loss_drop(t->losses, q->inputs[i].from, "documents have no titles here");
    unsaid_setting(t->losses, &q->user);
    unsaid_extras(t->losses, q->extras);
    return buf_status(ret->body);
}

/* --- embeddings of the provider --- */

static void add_vector(struct embed_answer *a, struct json_node v, struct str type)
{
    a->vectors[a->vector_count++] = (struct embed_vector){.json = json_node_raw(v), .type = type};
}

/* Titan's by type: {"float": […]}; Cohere's: {"float": [[…], …]}. */
static void add_by_type(struct embed_answer *a, struct json_node by_type, struct arena *arena)
{
    JSON_EACH(w, by_type) {
        struct str type = json_node_text(w.key, arena);
        if (!json_node_is(json_node_at(w.value, 0), JSON_ARRAY)) {
            add_vector(a, w.value, type);
            continue;
        }
        JSON_EACH(v, w.value)
            add_vector(a, v.value, type);
    }
}

static size_t count_vectors(struct json_node v)
{
    size_t n = json_node_count(v) + 1;

    JSON_EACH(w, json_node_is(v, JSON_OBJECT) ? v : JSON_ABSENT)
        n += json_node_count(w.value);
    return n;
}

err_t bedrock_read_embed(struct arena *arena, struct str body, struct embed_answer *ret)
{
    const struct json_tree *tree;

    if (json_tree_parse(arena, body, &tree) != OK)
        return fail(E_PROTOCOL, "the provider's answer is not JSON");
    struct json_node root = json_tree_root(tree), one = json_node_get(root, STR("embedding"));
    struct json_node by_type = json_node_get(root, STR("embeddingsByType")),
                     all = json_node_get(root, STR("embeddings"));
    struct json_node list = json_node_count(by_type) ? by_type : all;

    *ret = (struct embed_answer){.id = json_get_text(root, STR("id"), arena)};
    ret->vectors = arena_alloc(arena, count_vectors(list) * sizeof *ret->vectors);
    if (json_node_is(list, JSON_OBJECT))
        add_by_type(ret, list, arena);
    else if (json_node_is(list, JSON_ARRAY))
        JSON_EACH(w, list)
            add_vector(ret, w.value, STR_NONE);
    else if (json_node_is(one, JSON_ARRAY))
        add_vector(ret, one, STR_NONE);
    if (!ret->vector_count)
        return fail(E_PROTOCOL, "the provider's answer holds no embedding");
    ret->usage.known = json_node_is(json_node_get(root, STR("inputTextTokenCount")), JSON_NUMBER);
    ret->usage.input = usage_count(root, STR("inputTextTokenCount"));
    return OK;
}

/* --- rerank --- */

err_t bedrock_write_rerank(struct translation *t, const struct rerank_request *q, struct provider_call *ret)
{
    struct json_out o = json_out_to(ret->body);

    ret->path = bedrock_path(t->arena, t->model, STR("invoke"));
    json_open(&o, '{');
    json_member_str(&o, STR("query"), q->query);
    json_member_open(&o, STR("documents"), '[');
    for (size_t i = 0; i < q->document_count; i++)
        json_put_str(&o, q->documents[i].text.n ? q->documents[i].text : q->documents[i].raw);
    json_close(&o, ']');
    if (q->top_n.text.n)
        json_member_raw(&o, STR("top_n"), q->top_n.text);
    if (model_has(t, STR("cohere."))) {
        json_member_u64(&o, STR("api_version"), RERANK_VERSION);
        if (q->max_tokens_per_doc.text.n)
            json_member_raw(&o, STR("max_tokens_per_doc"), q->max_tokens_per_doc.text);
    } else {
        unsaid_any_number(t->losses, &q->max_tokens_per_doc);
    }
    json_close(&o, '}');
    unsaid_flag(t->losses, &q->raw_scores, NO);
    unsaid_flag(t->losses, &q->truncate, NO);
    unsaid_setting(t->losses, &q->rank_fields);
    unsaid_extras(t->losses, q->extras);
    return buf_status(ret->body);
}

err_t bedrock_read_rerank(struct arena *arena, struct str body, struct rerank_answer *ret)
{
    const struct json_tree *tree;
    int64_t index;

    if (json_tree_parse(arena, body, &tree) != OK)
        return fail(E_PROTOCOL, "the provider's answer is not JSON");
    struct json_node results = json_node_get(json_tree_root(tree), STR("results"));
    if (!json_node_is(results, JSON_ARRAY))
        return fail(E_PROTOCOL, "the provider's answer holds no results");
    *ret = (struct rerank_answer){.id = json_get_text(json_tree_root(tree), STR("id"), arena)};
    ret->results = arena_alloc(arena, (json_node_count(results) + 1) * sizeof *ret->results);
    JSON_EACH(w, results) {
        struct json_node score = json_node_get(w.value, STR("relevance_score"));
        if (!json_node_i64(json_node_get(w.value, STR("index")), &index) || index < 0 ||
            !json_node_is(score, JSON_NUMBER))
            return fail(E_PROTOCOL, "a result of the provider lacks index or relevance_score");
        ret->results[ret->result_count++] =
            (struct rerank_result){.index = (size_t)index, .score = json_node_raw(score)};
    }
    return OK;
}
