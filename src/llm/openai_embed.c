/*
 * openai_embed.c - embeddings, on both sides of the OpenAI dialect.
 *
 * Input is a string, a list of strings, or tokens (a list of numbers, or a list of such lists). The official SDKs ask for base64 unless told
 * otherwise, and some of them read a list of numbers sent instead as garbage: so the answer has exactly the encoding that was asked for,
 * whichever the provider sent.
 *
 * Wire format: OpenAI's published API description and Mistral's, November 2026.
 */
#include "llm/openai_int.h"
#include "llm/unsaid.h"

static void add_extra(struct embed_request *q, struct arena *arena, struct json_node key, struct json_node value)
{
    (void)extras_add(&q->extras, arena, key, value);
}

/* --- the client's request --- */

static err_t refuse_input(struct str *ret_param)
{
    *ret_param = STR("input");
    return fail(E_PARSE, "'input' must be a string, an array of strings, or tokens");
}

static bool read_one(struct embed_input *to, struct json_node v, struct arena *arena)
{
    to->from = v;
    if (json_node_is(v, JSON_STRING)) {
        to->text = json_node_text(v, arena);
        if (!to->text.p)
            to->text = STR("");
        return true;
    }
    if (!json_node_is(v, JSON_ARRAY))
        return false;
    JSON_EACH(w, v)
        if (!json_node_is(w.value, JSON_NUMBER))
            return false;
    to->tokens = json_node_raw(v);
    return true;
}

static err_t read_input(struct translation *t, struct json_node v, struct embed_request *q, struct str *ret_param)
{
    bool list = json_node_is(v, JSON_ARRAY) && !json_node_is(json_node_at(v, 0), JSON_NUMBER);
    size_t n = list ? json_node_count(v) : 1, i = 0;

    q->inputs = arena_zalloc(t->arena, (n ? n : 1) * sizeof *q->inputs);
    q->input_count = n;
    q->single = !list;
    if (!list)
        return read_one(q->inputs, v, t->arena) ? OK : refuse_input(ret_param);
    if (!n)
        return refuse_input(ret_param);
    JSON_EACH(w, v)
        if (!read_one(&q->inputs[i++], w.value, t->arena))
            return refuse_input(ret_param);
    return OK;
}

static enum embed_use use_of(struct str name)
{
    static const struct {
        struct str name;
        enum embed_use use;
    } uses[] = {{STR_INIT("search_query"), EMBED_QUERY},       {STR_INIT("query"), EMBED_QUERY},
                {STR_INIT("search_document"), EMBED_DOCUMENT}, {STR_INIT("passage"), EMBED_DOCUMENT},
                {STR_INIT("document"), EMBED_DOCUMENT},        {STR_INIT("classification"), EMBED_CLASSIFICATION},
                {STR_INIT("clustering"), EMBED_CLUSTERING}};

    for (size_t i = 0; i < ARRAY_LEN(uses); i++)
        if (str_eq(name, uses[i].name))
            return uses[i].use;
    return EMBED_OTHER;
}

static void read_embed_member(struct translation *t, const struct json_walk *w, struct embed_request *q)
{
    if (json_walk_key_is(w, STR("encoding_format"))) {
        q->encoding = json_node_text_is(w->value, STR("base64")) ? EMBED_BASE64 : EMBED_FLOAT;
    } else if (json_walk_key_is(w, STR("dimensions")) || json_walk_key_is(w, STR("output_dimension"))) {
        chat_read_number(&q->dimensions, w->value);
    } else if (json_walk_key_is(w, STR("user"))) {
        chat_read_setting(&q->user, w->value, t->arena);
    } else if (json_walk_key_is(w, STR("output_dtype"))) {
        q->types = arena_new(t->arena, struct str);
        q->types[0] = json_node_text(w->value, t->arena);
        q->type_count = 1;
    } else if (json_walk_key_is(w, STR("input_type"))) { /* NVIDIA's, vLLM's; a hint for Cohere and the like */
        chat_read_setting(&q->use_name, w->value, t->arena);
        q->use = use_of(q->use_name.text);
    } else if (!json_walk_key_is(w, STR("model")) && !json_walk_key_is(w, STR("input"))) {
        add_extra(q, t->arena, w->key, w->value);
    }
}

err_t openai_read_embed(struct translation *t, const struct json_tree *doc, struct embed_request *ret,
                        struct str *ret_param)
{
    struct json_node root = json_tree_root(doc);

    *ret = (struct embed_request){.dialect = t->client, .document = doc};
    if (!json_node_is(root, JSON_OBJECT))
        return fail(E_PARSE, "the body must be a JSON object");
    ret->model = t->row && t->row->model == MODEL_IN_PATH ? t->path_model : json_get_text(root, STR("model"), t->arena);
    if (!ret->model.n) {
        *ret_param = STR("model");
        return fail(E_PARSE, "'model' must be a string that names the model");
    }
    JSON_EACH(w, root)
        if (json_node_is_set(w.value))
            read_embed_member(t, &w, ret);
    return read_input(t, json_node_get(root, STR("input")), ret, ret_param);
}

/* --- to the provider --- */

static err_t put_inputs(struct openai_writing *w, const struct embed_request *q)
{
    json_member_open(&w->o, STR("input"), '[');
    for (size_t i = 0; i < q->input_count; i++) {
        const struct embed_input *in = &q->inputs[i];
        if (in->blocks)
            return fail(E_PARSE, "this model embeds text only");
        if (in->title.n)
            loss_drop(w->t->losses, in->from, "documents have no titles here");
        if (in->text.p)
            json_put_str(&w->o, in->text);
        else
            json_put_raw(&w->o, in->tokens);
    }
    json_close(&w->o, ']');
    return OK;
}

static void drop_embed_settings(struct openai_writing *w, const struct embed_request *q)
{
    openai_drop_flag(w, &q->truncate);
    openai_drop_flag(w, &q->normalize);
    openai_drop_setting(w, &q->truncate_where);
    for (const struct extra *x = q->extras; x; x = x->next)
        if (q->dialect != &dialect_openai || !vendor_accepts(w->vendor, x->key))
            loss_drop(w->t->losses, x->from, "no such field");
}

static void put_embed_extras(struct openai_writing *w, const struct embed_request *q)
{
    for (const struct extra *x = q->extras; x; x = x->next)
        if (q->dialect == &dialect_openai && vendor_accepts(w->vendor, x->key))
            extra_put(&w->o, x);
}

static void put_types(struct openai_writing *w, const struct embed_request *q, bool mistral)
{
    if (q->type_count && !mistral && !str_eq(q->types[0], STR("float")))
        loss_drop(w->t->losses, json_node_get(json_tree_root(q->document), STR("output_dtype")),
                  "vectors are of floating-point numbers here");
    else if (q->type_count && mistral)
        json_member_str(&w->o, STR("output_dtype"), q->types[0]);
    if (q->type_count > 1)
        loss_drop(w->t->losses, JSON_ABSENT, "one type of vectors at a time");
}

err_t openai_write_embed(struct translation *t, const struct embed_request *q, struct provider_call *ret)
{
    struct openai_writing w = {t, NULL, t->vendor, ret, json_out_to(ret->body)};
    bool mistral = t->vendor->quirks & QUIRK_MISTRAL_PARTS;

    ret->path = openai_path(t, "/embeddings", false);
    json_open(&w.o, '{');
    json_member_str(&w.o, STR("model"), t->model);
    TRY(put_inputs(&w, q));
    if (!mistral)
        json_member_str(&w.o, STR("encoding_format"), q->encoding == EMBED_BASE64 ? STR("base64") : STR("float"));
    if (q->dimensions.text.n)
        json_member_raw(&w.o, mistral ? STR("output_dimension") : STR("dimensions"), q->dimensions.text);
    put_types(&w, q, mistral);
    if (q->use_name.text.p && q->dialect == &dialect_openai && !mistral)
        json_member_str(&w.o, STR("input_type"), q->use_name.text);
    else
        openai_drop_setting(&w, &q->use_name);
    openai_member_text(&w, "user", &q->user);
    drop_embed_settings(&w, q);
    put_embed_extras(&w, q);
    json_close(&w.o, '}');
    return buf_status(ret->body);
}

/* --- the provider's answer --- */

static err_t read_vector(struct embed_vector *to, struct json_node v, struct arena *arena)
{
    if (json_node_is(v, JSON_ARRAY)) {
        to->json = json_node_raw(v);
        return OK;
    }
    to->base64 = json_node_text(v, arena);
    return to->base64.n ? OK : fail(E_PROTOCOL, "the provider's answer has an embedding without a vector");
}

err_t openai_read_embed_answer(struct arena *arena, struct str body, struct embed_answer *ret)
{
    const struct json_tree *tree;

    *ret = (struct embed_answer){0};
    if (json_tree_parse(arena, body, &tree) != OK)
        return fail(E_PROTOCOL, "the provider's answer is no JSON");
    struct json_node root = json_tree_root(tree), data = json_node_get(root, STR("data"));
    if (!json_node_is(data, JSON_ARRAY))
        return fail(E_PROTOCOL, "the provider's answer has no embeddings");
    size_t n = json_node_count(data), i = 0;
    ret->vectors = arena_zalloc(arena, (n ? n : 1) * sizeof *ret->vectors);
    ret->vector_count = n;
    JSON_EACH(w, data) {
        int64_t index = (int64_t)i++; /* the order is that of "index"; most send them in it */
        (void)json_node_i64(json_node_get(w.value, STR("index")), &index);
        if (index < 0 || (uint64_t)index >= n)
            return fail(E_PROTOCOL, "the provider's answer has an embedding of an input that was not sent");
        TRY(read_vector(&ret->vectors[index], json_node_get(w.value, STR("embedding")), arena));
    }
    for (i = 0; i < n; i++)
        if (!ret->vectors[i].json.n && !ret->vectors[i].base64.n)
            return fail(E_PROTOCOL, "the provider's answer lacks an embedding");
    ret->id = json_get_text(root, STR("id"), arena);
    ret->model = json_get_text(root, STR("model"), arena);
    struct json_node usage = json_node_get(root, STR("usage"));
    if (json_node_is(usage, JSON_OBJECT))
        (void)usage_from_openai(json_node_raw(usage), &ret->usage);
    return OK;
}

/* --- to the client --- */

static err_t put_vector(const struct embed_vector *v, enum embed_encoding encoding, struct json_out *o)
{
    bool is_float = !v->type.n || str_eq(v->type, STR("float"));

    json_key(o, STR("embedding"));
    return encoding == EMBED_BASE64 && is_float ? embed_put_base64(o, v) : embed_put_json(o, v);
}

err_t openai_write_embed_answer(const struct answer_frame *f, const struct embed_request *q,
                                const struct embed_answer *a, struct buf *to)
{
    struct json_out o = json_out_to(to);

    json_open(&o, '{');
    if (openai_of_mistral(f->t->agent))
        json_member_str(&o, STR("id"), openai_make_id(f, "embd_", 0));
    json_member_str(&o, STR("object"), STR("list"));
    json_member_open(&o, STR("data"), '[');
    for (size_t i = 0; i < a->vector_count; i++) {
        json_open(&o, '{');
        json_member_str(&o, STR("object"), STR("embedding"));
        json_member_u64(&o, STR("index"), i);
        TRY(put_vector(&a->vectors[i], q->encoding, &o));
        json_close(&o, '}');
    }
    json_close(&o, ']');
    json_member_str(&o, STR("model"), f->model);
    json_member_open(&o, STR("usage"), '{');
    json_member_u64(&o, STR("prompt_tokens"), a->usage.input);
    json_member_u64(&o, STR("total_tokens"), a->usage.input);
    json_close(&o, '}');
    json_close(&o, '}');
    return buf_status(to);
}
