/*
 * tgi_request_read.c - a request to TGI's /generate, /generate_stream or / as the canonical one: a prompt to be continued.
 *
 * Nothing is sampled unless something asks for it: "do_sample": false, said without a temperature, is a temperature of 0. What TGI's own engine is told
 * (best_of, watermark, truncate, adapters, regular expressions) stays in the extras. `details` are the answer's form, which the writer looks up
 * in the document again.
 */
#include "codec/json_tree.h"
#include "llm/tgi_int.h"

struct reading {
    struct arena *arena;
    struct chat_request *q;
    struct str *param;
};

static err_t refuse(struct reading *r, struct json_node at, const char *what)
{
    *r->param = json_node_pointer(at, r->arena);
    return fail(E_PARSE, "%.*s %s", STR_ARG(*r->param), what);
}

/* --- parameters --- */

static err_t read_stops(struct reading *r, struct json_node v)
{
    size_t i = 0;

    if (!json_node_is(v, JSON_ARRAY))
        return refuse(r, v, "must be a list of strings");
    r->q->stops = arena_zalloc(r->arena, (json_node_count(v) + 1) * sizeof *r->q->stops);
    JSON_EACH(w, v) {
        if (!json_node_is(w.value, JSON_STRING))
            return refuse(r, w.value, "must be a string");
        chat_read_setting(&r->q->stops[i++], w.value, r->arena);
    }
    r->q->stop_count = i;
    return OK;
}

/* {"type": "json", "value": schema}, {"type": "json_schema", "value": {"name", "schema"}}; false: of another kind. */
static bool read_grammar(struct reading *r, struct json_node v)
{
    struct json_node type = json_node_get(v, STR("type")), value = json_node_get(v, STR("value"));
    struct response_format *f = &r->q->format;

    if (json_node_text_is(type, STR("json_schema"))) {
        f->name = json_get_text(value, STR("name"), r->arena);
        value = json_node_get(value, STR("schema"));
    } else if (!json_node_text_is(type, STR("json")) && !json_node_text_is(type, STR("json_object"))) {
        return false;
    }
    f->kind = FORMAT_SCHEMA;
    f->from = v;
    f->schema = json_node_is(value, JSON_STRING) ? json_node_text(value, r->arena) : json_node_raw(value);
    return true;
}

#define AT(member) offsetof(struct chat_request, member)

static const struct {
    struct str name;
    size_t at;
} numbers[] = {
    {STR_INIT("max_new_tokens"), AT(max_output)},
    {STR_INIT("temperature"), AT(temperature)},
    {STR_INIT("top_k"), AT(top_k)},
    {STR_INIT("top_p"), AT(top_p)},
    {STR_INIT("typical_p"), AT(typical_p)},
    {STR_INIT("repetition_penalty"), AT(repetition_penalty)},
    {STR_INIT("frequency_penalty"), AT(frequency_penalty)},
    {STR_INIT("seed"), AT(seed)},
};

/* Parameters that say what happens anyway, or how the answer is to look. */
static bool means_nothing(const struct json_walk *w)
{
    int64_t n;

    if (json_walk_key_is(w, STR("details")) || json_walk_key_is(w, STR("do_sample")))
        return true;
    if (json_walk_key_is(w, STR("watermark")) || json_walk_key_is(w, STR("decoder_input_details")))
        return json_node_is(w->value, JSON_FALSE);
    if (json_walk_key_is(w, STR("best_of")))
        return json_node_i64(w->value, &n) && n == 1;
    return json_walk_key_is(w, STR("top_n_tokens")) && json_node_i64(w->value, &n) && n == 0;
}

static err_t read_parameter(struct reading *r, const struct json_walk *w)
{
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        if (!json_walk_key_is(w, numbers[i].name))
            continue;
        if (!json_node_is(w->value, JSON_NUMBER))
            return refuse(r, w->value, "must be a number");
        chat_read_number((struct number *)((char *)r->q + numbers[i].at), w->value);
        return OK;
    }
    if (json_walk_key_is(w, STR("stop")))
        return read_stops(r, w->value);
    if (json_walk_key_is(w, STR("return_full_text")))
        chat_read_flag(&r->q->echo, w->value);
    else if (!means_nothing(w) && !(json_walk_key_is(w, STR("grammar")) && read_grammar(r, w->value)))
        chat_add_extra(r->q, r->arena, w->key, w->value, true);
    return OK;
}

static err_t read_parameters(struct reading *r, struct json_node v)
{
    struct json_node sample = json_node_get(v, STR("do_sample"));

    if (!json_node_is(v, JSON_OBJECT))
        return refuse(r, v, "must be an object");
    JSON_EACH(w, v)
        if (json_node_is_set(w.value))
            TRY(read_parameter(r, &w));
    if (json_node_is(sample, JSON_FALSE) && !r->q->temperature.text.n)
        r->q->temperature = (struct number){STR("0"), sample};
    return OK;
}

/* --- the document --- */

static err_t read_member(struct reading *r, const struct json_walk *w)
{
    if (json_walk_key_is(w, STR("parameters")))
        return read_parameters(r, w->value);
    if (json_walk_key_is(w, STR("stream")))
        return json_node_bool(w->value, &r->q->stream) ? OK : refuse(r, w->value, "must be true or false");
    if (!json_walk_key_is(w, STR("inputs")))
        chat_add_extra(r->q, r->arena, w->key, w->value, false);
    return OK;
}

err_t tgi_read_chat(struct translation *t, const struct json_tree *doc, struct chat_request *ret, struct str *ret_param)
{
    struct json_node root = json_tree_root(doc), inputs = json_node_get(root, STR("inputs"));
    struct chat_request q = {.dialect = &dialect_tgi,
                             .document = doc,
                             .model = t->client_model,
                             .include_usage = true,
                             .is_completion = true,
                             .reasoning = {.budget = -1}};
    struct reading r = {.arena = t->arena, .q = &q, .param = ret_param};

    *ret_param = STR_NONE;
    if (!json_node_is(root, JSON_OBJECT))
        return fail(E_PARSE, "the body must be a JSON object");
    struct str prompt = json_node_text(inputs, t->arena);
    if (!prompt.n) {
        *ret_param = STR("inputs");
        return fail(E_PARSE, "`inputs` must be a string that is not empty");
    }
    struct turn *turn = chat_add_turn(&q, t->arena, CHAT_USER, inputs);
    chat_add_block(&turn->blocks, t->arena, BLOCK_TEXT, inputs)->text = prompt;
    JSON_EACH(w, root)
        if (json_node_is_set(w.value))
            TRY(read_member(&r, &w));
    q.stream = t->row ? endpoint_streams(t->row, q.stream) : q.stream;
    *ret = q;
    return OK;
}
