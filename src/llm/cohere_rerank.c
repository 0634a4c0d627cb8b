/*
 * cohere_rerank.c - reranking by Cohere's /v2/rerank, both sides.
 *
 * Documents are strings there. Clients of version 1, and those of vLLM, which has the same path, may ask to get them back: they do.
 *
 * Wire format: Cohere API v2 reference, November 2026.
 */
#include "llm/cohere_int.h"
#include "llm/rerank_form.h"
#include "llm/unsaid.h"

err_t cohere_read_rerank(struct translation *t, const struct json_tree *doc, struct rerank_request *ret,
                         struct str *ret_param)
{
    return rerank_read(t, doc, "documents", ret, ret_param);
}

err_t cohere_write_rerank(struct translation *t, const struct rerank_request *q, struct provider_call *ret)
{
    struct json_out o = json_out_to(ret->body);
    double top;

    ret->path = STR("/v2/rerank");
    json_open(&o, '{');
    json_member_str(&o, STR("model"), t->model);
    json_member_str(&o, STR("query"), q->query);
    rerank_put_texts(&o, STR("documents"), q);
    if (json_to_double(q->top_n.text, &top) && top >= 1) /* others' 0 is all */
        json_member_raw(&o, STR("top_n"), q->top_n.text);
    if (q->max_tokens_per_doc.text.n)
        json_member_raw(&o, STR("max_tokens_per_doc"), q->max_tokens_per_doc.text);
    unsaid_flag(t->losses, &q->raw_scores, NO);
    unsaid_flag(t->losses, &q->truncate, YES);
    unsaid_setting(t->losses, &q->rank_fields);
    extras_put(&o, q->extras, q->dialect == &dialect_cohere, t->losses);
    json_close(&o, '}');
    return buf_status(ret->body);
}

err_t cohere_read_rerank_answer(struct arena *arena, struct str body, struct rerank_answer *ret)
{
    const struct json_tree *tree;

    *ret = (struct rerank_answer){0};
    if (json_tree_parse(arena, body, &tree) != OK)
        return fail(E_PROTOCOL, "the provider's answer is not JSON");
    struct json_node root = json_tree_root(tree), meta = json_node_get(root, STR("meta"));
    struct json_node billed = json_node_get(meta, STR("billed_units")), tokens = json_node_get(meta, STR("tokens"));
    ret->id = json_get_text(root, STR("id"), arena);
    ret->search_units = json_node_raw(json_node_get(billed, STR("search_units")));
    ret->usage.known = json_node_is(tokens, JSON_OBJECT);
    ret->usage.input = usage_count(tokens, STR("input_tokens"));
    return rerank_read_results(arena, json_node_get(root, STR("results")), STR("relevance_score"), ret);
}

static err_t put_result(struct json_out *o, const struct rerank_request *q, const struct rerank_result *r)
{
    const struct rerank_document *document;

    TRY(rerank_document_of(q, r, &document));
    json_open(o, '{');
    json_member_u64(o, STR("index"), r->index);
    json_member_raw(o, STR("relevance_score"), r->score);
    if (q->return_documents.is == YES) {
        json_member_open(o, STR("document"), '{');
        json_member_str(o, STR("text"), document->text);
        json_close(o, '}');
    }
    json_close(o, '}');
    return OK;
}

static void put_meta(struct json_out *o, const struct rerank_answer *a)
{
    json_member_open(o, STR("meta"), '{');
    json_member_raw(o, STR("api_version"), STR("{\"version\":\"2\"}"));
    json_member_open(o, STR("billed_units"), '{');
    if (a->search_units.n)
        json_member_raw(o, STR("search_units"), a->search_units);
    json_close(o, '}');
    if (a->usage.known) {
        json_member_open(o, STR("tokens"), '{');
        json_member_u64(o, STR("input_tokens"), a->usage.input);
        json_close(o, '}');
    }
    json_close(o, '}');
}

err_t cohere_write_rerank_answer(const struct answer_frame *f, const struct rerank_request *q,
                                 const struct rerank_answer *a, struct buf *to)
{
    struct json_out o = json_out_to(to);
    size_t n = rerank_count(q, a);

    json_open(&o, '{');
    json_member_str(&o, STR("id"), a->id.n ? a->id : cohere_make_id(f->unique, f->arena));
    json_member_open(&o, STR("results"), '[');
    for (size_t i = 0; i < n; i++)
        TRY(put_result(&o, q, &a->results[i]));
    json_close(&o, ']');
    put_meta(&o, a);
    json_close(&o, '}');
    return buf_status(to);
}
