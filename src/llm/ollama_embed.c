/*
 * ollama_embed.c - embeddings, on both sides of the Ollama dialect: /api/embed, and the older /api/embeddings for one prompt.
 *
 * Ollama's vectors are normalised and of floating-point numbers; inputs are text.
 */
#include "codec/json_out.h"
#include "llm/ollama_int.h"
#include "llm/unsaid.h"

#define NO_FIELD "the provider has no such field"

/* --- the client's request --- */

static err_t refuse(struct str *ret_param, const char *field)
{
    *ret_param = str_from_c(field);
    return fail(E_PARSE, "%s must be a string%s", field, field[0] == 'i' ? " or a list of strings" : "");
}

static err_t read_one(struct embed_input *to, struct json_node v, struct arena *arena)
{
    if (!json_node_is(v, JSON_STRING))
        return E_PARSE;
    *to = (struct embed_input){.text = json_node_text(v, arena), .from = v};
    if (!to->text.p)
        to->text = STR("");
    return OK;
}

static err_t read_inputs(struct embed_request *q, struct json_node v, const char *field, struct arena *arena,
                         struct str *ret_param)
{
    bool list = json_node_is(v, JSON_ARRAY) && field[0] == 'i';
    size_t n = list ? json_node_count(v) : 1, i = 0;

    q->single = !list;
    q->input_count = n;
    q->inputs = arena_zalloc(arena, (n ? n : 1) * sizeof *q->inputs);
    if (!list)
        return read_one(q->inputs, v, arena) == OK ? OK : refuse(ret_param, field);
    JSON_EACH(w, v)
        if (read_one(&q->inputs[i++], w.value, arena) != OK)
            return refuse(ret_param, field);
    return n ? OK : refuse(ret_param, field);
}

err_t ollama_read_embed(struct translation *t, const struct json_tree *doc, struct embed_request *ret,
                        struct str *ret_param)
{
    struct json_node root = json_tree_root(doc);
    bool one = t->row && t->row->variant == OLLAMA_EMBED_ONE;
    const char *field = one ? "prompt" : "input";
    struct embed_request q = {.dialect = &dialect_ollama, .document = doc};

    if (!json_node_is(root, JSON_OBJECT))
        return fail(E_PARSE, "the body must be a JSON object");
    q.model = json_get_text(root, STR("model"), t->arena);
    if (!q.model.n) {
        *ret_param = STR("model");
        return fail(E_PARSE, "model is required: give its name as a string");
    }
    JSON_EACH(w, root) {
        if (!json_node_is_set(w.value) || json_walk_key_is(&w, STR("model")) || json_walk_key_is(&w, str_from_c(field)))
            continue;
        if (json_walk_key_is(&w, STR("truncate")))
            chat_read_flag(&q.truncate, w.value);
        else if (json_walk_key_is(&w, STR("dimensions")))
            chat_read_number(&q.dimensions, w.value);
        else
            (void)extras_add(&q.extras, t->arena, w.key, w.value);
    }
    TRY(read_inputs(&q, json_node_get(root, str_from_c(field)), field, t->arena, ret_param));
    *ret = q;
    return OK;
}

/* --- to the provider --- */

/* The text of an input, if it is nothing else. */
static err_t input_text(struct translation *t, const struct embed_input *in, struct str *ret)
{
    const char *what = in->text.p ? NULL : in->blocks ? "text only, no pictures" : "text only, no tokens";

    for (const struct block *b = in->blocks; b && what; b = b->next)
        if (b->kind == BLOCK_TEXT && !b->next && b == in->blocks)
            what = NULL;
    if (what)
        return fail(E_PARSE, "this model embeds %s", what);
    if (in->title.n)
        loss_drop(t->losses, in->from, "documents have no titles here");
    *ret = in->text.p ? in->text : in->blocks->text;
    return OK;
}

/* Where to cut what is too long: only that it may be cut can be said, and it is then cut at its end. */
static void put_truncate(struct translation *t, const struct embed_request *q, struct json_out *o)
{
    const struct setting *where = &q->truncate_where;

    if (str_eq_nocase(where->text, STR("none")))
        json_member_bool(o, STR("truncate"), false);
    else if (q->truncate.is != UNSET || where->text.n)
        json_member_bool(o, STR("truncate"), q->truncate.is != NO);
    if (str_eq_nocase(where->text, STR("start")) || str_eq_nocase(where->text, STR("left")))
        loss_drop(t->losses, where->from, "what is too long is cut at its end");
}

static void note_unsaid(struct translation *t, const struct embed_request *q)
{
    unsaid_setting(t->losses, &q->use_name);
    unsaid_flag(t->losses, &q->normalize, YES);
    unsaid_setting(t->losses, &q->user);
    for (size_t i = 0; i < q->type_count; i++)
        if (!str_eq(q->types[i], STR("float")) && !str_eq(q->types[i], STR("base64")))
            loss_drop(t->losses, JSON_ABSENT, "vectors are of floating-point numbers here");
}

err_t ollama_write_embed(struct translation *t, const struct embed_request *q, struct provider_call *ret)
{
    struct json_out o = json_out_to(ret->body);
    struct str text;

    ret->path = STR("/api/embed");
    json_open(&o, '{');
    json_member_str(&o, STR("model"), t->model);
    json_member_open(&o, STR("input"), '[');
    for (size_t i = 0; i < q->input_count; i++) {
        TRY(input_text(t, &q->inputs[i], &text));
        json_put_str(&o, text);
    }
    json_close(&o, ']');
    if (q->dimensions.text.n)
        json_member_raw(&o, STR("dimensions"), q->dimensions.text);
    put_truncate(t, q, &o);
    note_unsaid(t, q);
    extras_put(&o, q->extras, q->dialect == &dialect_ollama, t->losses);
    json_close(&o, '}');
    return buf_status(ret->body);
}

/* --- the provider's answer --- */

err_t ollama_read_embed_answer(struct arena *arena, struct str body, struct embed_answer *ret)
{
    const struct json_tree *tree;
    size_t i = 0;

    if (json_tree_parse(arena, body, &tree) != OK)
        return fail(E_PROTOCOL, "the provider's answer is no JSON");
    struct json_node root = json_tree_root(tree), list = json_node_get(root, STR("embeddings"));
    if (!json_node_is(list, JSON_ARRAY))
        return fail(E_PROTOCOL, "the provider's answer has no embeddings");
    struct embed_answer a = {.model = json_get_text(root, STR("model"), arena), .vector_count = json_node_count(list)};
    a.vectors = arena_zalloc(arena, (a.vector_count + 1) * sizeof *a.vectors);
    JSON_EACH(w, list) {
        if (!json_node_is(w.value, JSON_ARRAY))
            return fail(E_PROTOCOL, "the provider's answer has an embedding that is no list of numbers");
        a.vectors[i++].json = json_node_raw(w.value);
    }
    a.usage.known = json_node_is(json_node_get(root, STR("prompt_eval_count")), JSON_NUMBER);
    a.usage.input = usage_count(root, STR("prompt_eval_count"));
    *ret = a;
    return OK;
}

/* --- to the client --- */

static err_t put_one(const struct embed_answer *a, struct buf *to)
{
    struct json_out o = json_out_to(to);

    json_open(&o, '{');
    json_key(&o, STR("embedding"));
    if (a->vector_count)
        TRY(embed_put_json(&o, &a->vectors[0]));
    else
        json_put_raw(&o, STR("[]"));
    json_close(&o, '}');
    return buf_status(to);
}

err_t ollama_write_embed_answer(const struct answer_frame *f, const struct embed_request *q,
                                const struct embed_answer *a, struct buf *to)
{
    struct json_out o = json_out_to(to);

    (void)q;
    if (f->t->row && f->t->row->variant == OLLAMA_EMBED_ONE)
        return put_one(a, to);
    json_open(&o, '{');
    json_member_str(&o, STR("model"), f->model);
    json_member_open(&o, STR("embeddings"), '[');
    for (size_t i = 0; i < a->vector_count; i++)
        TRY(embed_put_json(&o, &a->vectors[i]));
    json_close(&o, ']');
    json_member_u64(&o, STR("total_duration"), 0);
    json_member_u64(&o, STR("load_duration"), 0);
    json_member_u64(&o, STR("prompt_eval_count"), a->usage.input);
    json_close(&o, '}');
    return buf_status(to);
}
