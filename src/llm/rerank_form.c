/* rerank_form.c - reading requests and results of reranking, whichever form they have. */
#include "llm/rerank_form.h"

/* --- requests --- */

static err_t read_document(struct rerank_document *to, struct json_node v, struct arena *arena)
{
    struct json_node text = json_node_is(v, JSON_OBJECT) ? json_node_get(v, STR("text")) : v;

    *to = (struct rerank_document){.raw = json_node_raw(v), .from = v};
    if (json_node_is(text, JSON_STRING))
        to->text = json_node_text(text, arena);
    else if (json_node_is(v, JSON_OBJECT) && json_node_count(v))
        to->text = to->raw; /* of several fields: ranked as the JSON that it is */
    else
        return fail(E_PARSE, "each document must be a string, or an object with a 'text'");
    return OK;
}

static err_t read_documents(struct rerank_request *q, struct json_node v, struct arena *arena)
{
    size_t n = json_node_count(v);
    char *room;

    if (!json_node_is(v, JSON_ARRAY) || !n)
        return fail(E_PARSE, "the documents must be an array that is not empty");
    TRY(arena_try(arena, n * sizeof *q->documents, &room));
    q->documents = (struct rerank_document *)(void *)room;
    JSON_EACH(w, v)
        TRY(read_document(&q->documents[q->document_count++], w.value, arena));
    return OK;
}

static void read_setting(struct translation *t, struct rerank_request *q, const struct json_walk *w)
{
    if (json_walk_key_is(w, STR("top_n")))
        chat_read_number(&q->top_n, w->value);
    else if (json_walk_key_is(w, STR("max_tokens_per_doc")))
        chat_read_number(&q->max_tokens_per_doc, w->value);
    else if (json_walk_key_is(w, STR("return_documents")) || json_walk_key_is(w, STR("return_text")))
        chat_read_flag(&q->return_documents, w->value);
    else if (json_walk_key_is(w, STR("raw_scores")))
        chat_read_flag(&q->raw_scores, w->value);
    else if (json_walk_key_is(w, STR("truncate")) || json_walk_key_is(w, STR("truncation")))
        chat_read_flag(&q->truncate, w->value);
    else if (json_walk_key_is(w, STR("rank_fields")))
        chat_read_raw(&q->rank_fields, w->value);
    else
        (void)extras_add(&q->extras, t->arena, w->key, w->value);
}

err_t rerank_read(struct translation *t, const struct json_tree *doc, const char *documents, struct rerank_request *ret,
                  struct str *ret_param)
{
    struct json_node root = json_tree_root(doc);
    struct str list = str_from_c(documents);

    *ret = (struct rerank_request){.dialect = t->client, .document = doc};
    if (!json_node_is(root, JSON_OBJECT))
        return fail(E_PARSE, "the body must be a JSON object");
    ret->model = json_get_text(root, STR("model"), t->arena);
    *ret_param = STR("model");
    if (!ret->model.n && (!t->row || t->row->model == MODEL_IN_BODY))
        return fail(E_PARSE, "'model' must be a string that names the model");
    *ret_param = STR("query");
    if (!json_node_is(json_node_get(root, STR("query")), JSON_STRING))
        return fail(E_PARSE, "'query' must be a string");
    ret->query = json_get_text(root, STR("query"), t->arena);
    *ret_param = list;
    TRY(read_documents(ret, json_node_get(root, list), t->arena));
    *ret_param = STR_NONE;
    JSON_EACH(w, root)
        if (json_node_is_set(w.value) && !json_walk_key_is(&w, STR("model")) && !json_walk_key_is(&w, STR("query")) &&
            !json_walk_key_is(&w, list))
            read_setting(t, ret, &w);
    return OK;
}

void rerank_put_texts(struct json_out *o, struct str key, const struct rerank_request *q)
{
    json_member_open(o, key, '[');
    for (size_t i = 0; i < q->document_count; i++)
        json_put_str(o, q->documents[i].text);
    json_close(o, ']');
}

/* --- results --- */

err_t rerank_read_results(struct arena *arena, struct json_node list, struct str score, struct rerank_answer *ret)
{
    size_t n = json_node_count(list);

    if (!json_node_is(list, JSON_ARRAY))
        return fail(E_PROTOCOL, "the provider's answer has no results");
    ret->results = arena_zalloc(arena, (n ? n : 1) * sizeof *ret->results);
    JSON_EACH(w, list) {
        struct json_node value = json_node_get(w.value, score);
        int64_t index;
        if (!json_node_i64(json_node_get(w.value, STR("index")), &index) || index < 0 ||
            !json_node_is(value, JSON_NUMBER))
            return fail(E_PROTOCOL, "the provider's answer has a result without index or score");
        ret->results[ret->result_count++] = (struct rerank_result){(size_t)index, json_node_raw(value)};
    }
    return OK;
}

size_t rerank_count(const struct rerank_request *q, const struct rerank_answer *a)
{
    uint64_t most;

    if (str_to_u64(q->top_n.text, UINT32_MAX, &most) && most > 0 && most < a->result_count)
        return (size_t)most;
    return a->result_count;
}

err_t rerank_document_of(const struct rerank_request *q, const struct rerank_result *r,
                         const struct rerank_document **ret)
{
    if (r->index >= q->document_count)
        return fail(E_PROTOCOL, "the provider ranked document %zu of %zu", r->index, q->document_count);
    *ret = &q->documents[r->index];
    return OK;
}
