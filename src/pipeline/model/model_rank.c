/* model_rank.c - a ranking: which of some documents answer a query best; an array of {index, score, document}, the best first. */
#include "pipeline/model/model.h"

#include "codec/json_out.h"

enum { REQUEST_MAX = 32 << 20 };

static err_t write_request(struct step *s, struct expr_value query, struct str documents, struct buf *to)
{
    const struct model_node *c = s->node->config;
    struct json_out o = json_out_to(to);
    struct str text;

    if (query.kind != JSON_STRING)
        return fail(E_UNSUPPORTED, "the query of a ranking is no text");
    TRY(expr_value_text(query, step_arena(s), &text));
    json_open(&o, '{');
    json_member_str(&o, STR("model"), model_route(s));
    json_member_str(&o, STR("query"), text);
    json_member_raw(&o, STR("documents"), documents);
    if (c->top) {
        json_key(&o, STR("top_n"));
        json_put_u64(&o, c->top);
    }
    json_close(&o, '}');
    return buf_status(to);
}

/* One of the answer's results, with the document that it speaks of. */
static err_t put_result(struct json_out *o, struct json_node result, struct json_node documents)
{
    int64_t index;

    if (!json_node_i64(json_node_get(result, STR("index")), &index) || index < 0)
        return fail(E_PROTOCOL, "a result of the ranking has no index");
    struct json_node document = json_node_at(documents, (size_t)index);
    if (json_is_absent(document))
        return fail(E_PROTOCOL, "the ranking speaks of document %lld, and there is none", (long long)index);
    json_open(o, '{');
    json_key(o, STR("index"));
    json_put_i64(o, index);
    json_member_raw(o, STR("score"), json_node_raw(json_node_get(result, STR("relevance_score"))));
    json_member_raw(o, STR("document"), json_node_raw(document));
    json_close(o, '}');
    return OK;
}

static err_t read_results(struct step *s, const struct inner_answer *answer, struct str documents,
                          struct expr_value *ret)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(REQUEST_MAX);
    struct json_out o = json_out_to(&text);
    const struct json_tree *given, *said, *out;
    struct arena *a = step_arena(s);

    TRY(json_tree_parse(a, documents, &given));
    TRY(err_context(json_tree_parse(a, answer->body, &said), "the ranking is no JSON document"));
    json_open(&o, '[');
    JSON_EACH(w, json_node_get(json_tree_root(said), STR("results")))
        TRY(put_result(&o, w.value, json_tree_root(given)));
    json_close(&o, ']');
    TRY(buf_status(&text));
    TRY(json_tree_parse(a, arena_str(a, buf_str(&text)), &out));
    *ret = expr_json(json_tree_root(out));
    return OK;
}

err_t model_rank(struct step *s)
{
    const struct model_node *c = s->node->config;
    struct buf body CLEANUP(buf_release) = BUF_INIT(REQUEST_MAX), text CLEANUP(buf_release) = BUF_INIT(REQUEST_MAX);
    struct expr_value query, documents, results;
    struct model_bill bill = {0};
    struct inner_answer answer;

    TRY(step_eval(s, c->query_expr, &query));
    TRY(step_eval(s, c->documents_expr, &documents));
    if (documents.kind != JSON_ARRAY)
        return fail(E_UNSUPPORTED, "the documents of a ranking are no array");
    TRY(expr_value_print(documents, &text));
    TRY(write_request(s, query, buf_str(&text), &body));
    TRY(model_ask(s, STR("/v1/rerank"), buf_str(&body), &bill, &answer));
    TRY(read_results(s, &answer, buf_str(&text), &results));
    TRY(model_note(s, &answer, &bill, 1));
    return step_send(s, results);
}
