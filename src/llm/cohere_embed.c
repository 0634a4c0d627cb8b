/*
 * cohere_embed.c - embeddings by Cohere's /v2/embed, both sides.
 *
 * What the vectors are for must be said; where a client did not, they are taken to be of documents to search in. Vectors come in one or more
 * types, in the answer one list each. For a client of another dialect numbers are asked for, and made into base64 here if it wants that.
 *
 * Wire format: Cohere API v2 reference, November 2026.
 */
#include "llm/cohere_int.h"
#include "llm/unsaid.h"

static const struct {
    struct str name;
    enum embed_use use;
} uses[] = {
    {STR_INIT("search_document"), EMBED_DOCUMENT},
    {STR_INIT("search_query"), EMBED_QUERY},
    {STR_INIT("classification"), EMBED_CLASSIFICATION},
    {STR_INIT("clustering"), EMBED_CLUSTERING},
};

static const struct str type_names[] = {STR_INIT("float"),  STR_INIT("int8"),    STR_INIT("uint8"),
                                        STR_INIT("binary"), STR_INIT("ubinary"), STR_INIT("base64")};

/* --- a client's request --- */

static err_t read_image(struct arena *arena, struct embed_input *to, struct str *ret_param)
{
    struct block *b = chat_add_block(&to->blocks, arena, BLOCK_IMAGE, to->from);

    *ret_param = STR("images");
    if (!json_node_is(to->from, JSON_STRING))
        return fail(E_PARSE, "each of 'images' must be a data URI");
    return media_from_url(&b->media, json_node_text(to->from, arena), arena);
}

static err_t read_mixed(struct arena *arena, struct embed_input *to, struct str *ret_param)
{
    struct json_node content = json_node_get(to->from, STR("content"));

    *ret_param = STR("inputs");
    if (!json_node_is(content, JSON_ARRAY) || !json_node_count(content))
        return fail(E_PARSE, "each of 'inputs' needs a 'content' with parts");
    JSON_EACH(w, content)
        TRY(cohere_read_part(arena, w.value, &to->blocks, ret_param));
    return OK;
}

static err_t read_text(struct arena *arena, struct embed_input *to, struct str *ret_param)
{
    *ret_param = STR("texts");
    if (!json_node_is(to->from, JSON_STRING))
        return fail(E_PARSE, "each of 'texts' must be a string");
    to->text = json_node_text(to->from, arena);
    if (!to->text.p)
        to->text = STR("");
    return OK;
}

static const struct list {
    struct str key;
    err_t (*read)(struct arena *arena, struct embed_input *to, struct str *ret_param);
} lists[] = {{STR_INIT("texts"), read_text}, {STR_INIT("images"), read_image}, {STR_INIT("inputs"), read_mixed}};

static err_t read_inputs(struct translation *t, struct json_node root, struct embed_request *q, struct str *ret_param)
{
    const struct list *list = lists;
    char *room;

    while (list < lists + ARRAY_LEN(lists) && !json_node_is_set(json_node_get(root, list->key)))
        list++;
    *ret_param = STR("texts");
    if (list == lists + ARRAY_LEN(lists))
        return fail(E_PARSE, "one of 'texts', 'images' and 'inputs' must hold what is to be embedded");
    struct json_node v = json_node_get(root, list->key);
    size_t n = json_node_count(v);
    if (!json_node_is(v, JSON_ARRAY) || !n)
        return fail(E_PARSE, "'%.*s' must be an array that is not empty", STR_ARG(list->key));
    TRY(arena_try(t->arena, n * sizeof *q->inputs, &room));
    memset(room, 0, n * sizeof *q->inputs);
    q->inputs = (struct embed_input *)(void *)room;
    JSON_EACH(w, v) {
        struct embed_input *to = &q->inputs[q->input_count++];
        to->from = w.value;
        TRY(list->read(t->arena, to, ret_param));
    }
    *ret_param = STR_NONE;
    return OK;
}

static void read_types(struct translation *t, struct json_node v, struct embed_request *q)
{
    q->types = arena_zalloc(t->arena, (json_node_count(v) + 1) * sizeof *q->types);
    q->type_count = 0; /* the member may be there twice */
    JSON_EACH(w, v)
        if (json_node_is(w.value, JSON_STRING))
            q->types[q->type_count++] = json_node_text(w.value, t->arena);
    if (q->type_count == 1 && str_eq(q->types[0], STR("base64")))
        q->encoding = EMBED_BASE64;
}

static void read_use(struct translation *t, struct json_node v, struct embed_request *q)
{
    chat_read_setting(&q->use_name, v, t->arena);
    q->use = EMBED_OTHER;
    for (size_t i = 0; i < ARRAY_LEN(uses); i++)
        if (str_eq(q->use_name.text, uses[i].name))
            q->use = uses[i].use;
}

static void read_setting(struct translation *t, struct embed_request *q, const struct json_walk *w)
{
    static const struct str known[] = {STR_INIT("model"), STR_INIT("texts"), STR_INIT("images"), STR_INIT("inputs")};

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (json_walk_key_is(w, known[i]))
            return;
    if (json_walk_key_is(w, STR("embedding_types")))
        read_types(t, w->value, q);
    else if (json_walk_key_is(w, STR("input_type")))
        read_use(t, w->value, q);
    else if (json_walk_key_is(w, STR("output_dimension")))
        chat_read_number(&q->dimensions, w->value);
    else if (json_walk_key_is(w, STR("truncate")))
        chat_read_setting(&q->truncate_where, w->value, t->arena);
    else
        (void)extras_add(&q->extras, t->arena, w->key, w->value);
}

err_t cohere_read_embed(struct translation *t, const struct json_tree *doc, struct embed_request *ret,
                        struct str *ret_param)
{
    struct json_node root = json_tree_root(doc);

    *ret = (struct embed_request){.dialect = t->client, .document = doc};
    if (!json_node_is(root, JSON_OBJECT))
        return fail(E_PARSE, "the body must be a JSON object");
    ret->model = json_get_text(root, STR("model"), t->arena);
    *ret_param = STR("model");
    if (!ret->model.n)
        return fail(E_PARSE, "'model' must be a string that names the model");
    *ret_param = STR_NONE;
    JSON_EACH(w, root)
        if (json_node_is_set(w.value))
            read_setting(t, ret, &w);
    return read_inputs(t, root, ret, ret_param);
}

/* --- to the provider --- */

static bool is_mixed(const struct embed_request *q)
{
    for (size_t i = 0; i < q->input_count; i++)
        if (q->inputs[i].blocks)
            return true;
    return false;
}

static err_t put_mixed(struct translation *t, struct json_out *o, const struct embed_input *in)
{
    json_open(o, '{');
    json_member_open(o, STR("content"), '[');
    for (const struct block *b = in->blocks; b; b = b->next) {
        if (b->kind == BLOCK_TEXT) {
            json_open(o, '{');
            json_member_str(o, STR("type"), STR("text"));
            json_member_str(o, STR("text"), b->text);
            json_close(o, '}');
        } else if (b->kind != BLOCK_IMAGE || !cohere_put_image(o, &b->media, t->arena)) {
            return fail(E_PARSE, "this model embeds texts and images, given as data or address");
        }
    }
    if (!in->blocks) {
        json_open(o, '{');
        json_member_str(o, STR("type"), STR("text"));
        json_member_str(o, STR("text"), in->text);
        json_close(o, '}');
    }
    json_close(o, ']');
    json_close(o, '}');
    return OK;
}

static err_t put_inputs(struct translation *t, struct json_out *o, const struct embed_request *q)
{
    bool mixed = is_mixed(q);

    json_member_open(o, mixed ? STR("inputs") : STR("texts"), '[');
    for (size_t i = 0; i < q->input_count; i++) {
        const struct embed_input *in = &q->inputs[i];
        if (!in->text.p && !in->blocks)
            return fail(E_PARSE, "this model embeds texts, not numbers of tokens: send strings");
        if (in->title.n)
            loss_drop(t->losses, in->from, "documents have no titles here");
        if (mixed)
            TRY(put_mixed(t, o, in));
        else
            json_put_str(o, in->text);
    }
    json_close(o, ']');
    return OK;
}

static void put_use(struct translation *t, struct json_out *o, const struct embed_request *q)
{
    struct str name = STR("search_document");
    bool known = q->use == EMBED_USE_UNSET;

    for (size_t i = 0; i < ARRAY_LEN(uses); i++) {
        if (uses[i].use != q->use)
            continue;
        name = uses[i].name;
        known = true;
    }
    if (!known && q->dialect == &dialect_cohere)
        name = q->use_name.text; /* "image", or a newer one */
    else if (!known)
        loss_drop(t->losses, q->use_name.from, "not one of the uses that this provider knows");
    json_member_str(o, STR("input_type"), name);
}

static bool is_type(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(type_names); i++)
        if (str_eq(name, type_names[i]))
            return true;
    return false;
}

static void put_types(struct translation *t, struct json_out *o, const struct embed_request *q)
{
    size_t n = 0;

    json_member_open(o, STR("embedding_types"), '[');
    for (size_t i = 0; i < q->type_count; i++) {
        if (is_type(q->types[i])) {
            json_put_str(o, q->types[i]);
            n++;
        } else {
            loss_drop(t->losses, JSON_ABSENT, "not a type of vectors that this provider has");
        }
    }
    if (!n)
        json_put_str(o, STR("float"));
    json_close(o, ']');
}

static void put_truncate(struct json_out *o, const struct embed_request *q)
{
    struct str where = q->truncate_where.text;

    if (str_eq_nocase(where, STR("left")) || str_eq_nocase(where, STR("START")))
        json_member_str(o, STR("truncate"), STR("START"));
    else if (str_eq_nocase(where, STR("NONE")) || (!where.n && q->truncate.is == NO))
        json_member_str(o, STR("truncate"), STR("NONE"));
    else if (where.n || q->truncate.is == YES)
        json_member_str(o, STR("truncate"), STR("END"));
}

err_t cohere_write_embed(struct translation *t, const struct embed_request *q, struct provider_call *ret)
{
    struct json_out o = json_out_to(ret->body);

    ret->path = STR("/v2/embed");
    json_open(&o, '{');
    json_member_str(&o, STR("model"), t->model);
    put_use(t, &o, q);
    TRY(put_inputs(t, &o, q));
    put_types(t, &o, q);
    if (q->dimensions.text.n)
        json_member_raw(&o, STR("output_dimension"), q->dimensions.text);
    put_truncate(&o, q);
    unsaid_flag(t->losses, &q->normalize, YES);
    unsaid_setting(t->losses, &q->user);
    extras_put(&o, q->extras, q->dialect == &dialect_cohere, t->losses);
    json_close(&o, '}');
    return buf_status(ret->body);
}

/* --- the provider's answer --- */

static err_t add_vectors(struct arena *arena, struct str type, struct json_node list, struct embed_vector *to)
{
    JSON_EACH(w, list) {
        *to = (struct embed_vector){.type = type};
        if (json_node_is(w.value, JSON_STRING))
            to->base64 = json_node_text(w.value, arena);
        else
            to->json = json_node_raw(w.value);
        if (!to->base64.n && !json_node_is(w.value, JSON_ARRAY))
            return fail(E_PROTOCOL, "the provider's answer has an embedding without a vector");
        to++;
    }
    return OK;
}

static size_t count_vectors(struct json_node by_type)
{
    size_t n = 0;

    JSON_EACH(w, by_type)
        n += json_node_is(w.value, JSON_ARRAY) ? json_node_count(w.value) : 0;
    return n;
}

static err_t read_vectors(struct arena *arena, struct json_node embeddings, struct embed_answer *ret)
{
    bool plain = json_node_is(embeddings, JSON_ARRAY); /* without types, as version 1 answers */
    size_t n = plain ? json_node_count(embeddings) : count_vectors(embeddings);

    if (!n)
        return fail(E_PROTOCOL, "the provider's answer has no embeddings");
    ret->vectors = arena_zalloc(arena, n * sizeof *ret->vectors);
    ret->vector_count = n;
    if (plain)
        return add_vectors(arena, STR("float"), embeddings, ret->vectors);
    n = 0;
    JSON_EACH(w, embeddings) {
        if (!json_node_is(w.value, JSON_ARRAY))
            continue;
        TRY(add_vectors(arena, json_node_text(w.key, arena), w.value, ret->vectors + n));
        n += json_node_count(w.value);
    }
    return OK;
}

err_t cohere_read_embed_answer(struct arena *arena, struct str body, struct embed_answer *ret)
{
    const struct json_tree *tree;

    *ret = (struct embed_answer){0};
    if (json_tree_parse(arena, body, &tree) != OK)
        return fail(E_PROTOCOL, "the provider's answer is not JSON");
    struct json_node root = json_tree_root(tree);
    struct json_node billed = json_node_get(json_node_get(root, STR("meta")), STR("billed_units"));
    ret->id = json_get_text(root, STR("id"), arena);
    ret->usage.known = json_node_is(billed, JSON_OBJECT);
    ret->usage.input = usage_count(billed, STR("input_tokens")) + usage_count(billed, STR("image_tokens"));
    return read_vectors(arena, json_node_get(root, STR("embeddings")), ret);
}

/* --- to the client --- */

/* The vectors of a type: of base64 those of float, which are the same in other clothes. NULL: the answer has none. */
static const struct embed_vector *vectors_of(const struct embed_answer *a, struct str type)
{
    struct str other = str_eq(type, STR("base64")) ? STR("float") : type;
    const struct embed_vector *found = NULL;

    for (size_t i = 0; i < a->vector_count && !found; i++) {
        struct str is = a->vectors[i].type.n ? a->vectors[i].type : STR("float");
        if (str_eq(is, type) || str_eq(is, other))
            found = &a->vectors[i];
    }
    return found;
}

static err_t put_vectors(struct json_out *o, struct str type, const struct embed_vector *v, size_t n)
{
    bool base64 = str_eq(type, STR("base64"));

    json_member_open(o, type, '[');
    for (size_t i = 0; i < n; i++)
        TRY(base64 ? embed_put_base64(o, &v[i]) : embed_put_json(o, &v[i]));
    json_close(o, ']');
    return OK;
}

static void put_texts(struct json_out *o, const struct embed_request *q)
{
    json_member_open(o, STR("texts"), '[');
    for (size_t i = 0; i < q->input_count; i++)
        if (q->inputs[i].text.p)
            json_put_str(o, q->inputs[i].text);
    json_close(o, ']');
}

static void put_meta(struct json_out *o, const struct embed_answer *a)
{
    json_member_open(o, STR("meta"), '{');
    json_member_raw(o, STR("api_version"), STR("{\"version\":\"2\"}"));
    json_member_open(o, STR("billed_units"), '{');
    json_member_u64(o, STR("input_tokens"), a->usage.input);
    json_close(o, '}');
    json_close(o, '}');
}

err_t cohere_write_embed_answer(const struct answer_frame *f, const struct embed_request *q,
                                const struct embed_answer *a, struct buf *to)
{
    static const struct str usual[] = {STR_INIT("float")};
    const struct str *types = q->type_count ? q->types : usual;
    size_t count = q->type_count ? q->type_count : 1;
    struct json_out o = json_out_to(to);

    json_open(&o, '{');
    json_member_str(&o, STR("id"), a->id.n ? a->id : cohere_make_id(f->unique, f->arena));
    json_member_open(&o, STR("embeddings"), '{');
    for (size_t i = 0; i < count; i++) {
        const struct embed_vector *v = vectors_of(a, types[i]);
        if (v && (size_t)(v - a->vectors) + q->input_count > a->vector_count)
            return fail(E_PROTOCOL, "the provider's answer lacks embeddings");
        if (v)
            TRY(put_vectors(&o, types[i], v, q->input_count));
    }
    json_close(&o, '}');
    put_texts(&o, q);
    put_meta(&o, a);
    json_member_str(&o, STR("response_type"), STR("embeddings_by_type"));
    json_close(&o, '}');
    return buf_status(to);
}
