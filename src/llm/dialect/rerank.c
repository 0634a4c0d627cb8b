/*
 * rerank.c - reranking in the form that Jina made and vLLM, Voyage and others took over, and Jina's embeddings; both sides.
 *
 * The path of version 2, which vLLM has too, is Cohere's: its form is a subset of this one (llm/dialect/cohere.c). Where only the body tells
 * this form from that of Text Embeddings Inference, the gateway looks for `documents`.
 *
 * Embeddings are OpenAI's form, which Jina speaks as well, so requests and answers are those of llm/openai_*.c; there are no paths of its own.
 *
 * Wire format: Jina Reranker API and Embeddings API, vLLM's "Re-rank API", November 2026.
 */
#include "codec/json_out.h"
#include "llm/error_body.h"
#include "llm/openai_int.h"
#include "llm/rerank_form.h"
#include "llm/unsaid.h"

extern const struct dialect dialect_rerank;

static const struct endpoint_row rows[] = {
    {"POST", "/v1/rerank", .operation = OP_RERANK, .label = "rerank"},
    {"POST", "/rerank", .operation = OP_RERANK, .label = "rerank"},
    {0},
};

/* --- requests --- */

static err_t read_rerank(struct translation *t, const struct json_tree *doc, struct rerank_request *ret,
                         struct str *ret_param)
{
    return rerank_read(t, doc, "documents", ret, ret_param);
}

static err_t write_rerank(struct translation *t, const struct rerank_request *q, struct provider_call *ret)
{
    struct json_out o = json_out_to(ret->body);

    ret->path = STR("/rerank");
    json_open(&o, '{');
    json_member_str(&o, STR("model"), t->model);
    json_member_str(&o, STR("query"), q->query);
    rerank_put_texts(&o, STR("documents"), q);
    if (q->top_n.text.n)
        json_member_raw(&o, STR("top_n"), q->top_n.text);
    json_member_bool(&o, STR("return_documents"), false); /* we have them */
    unsaid_any_number(t->losses, &q->max_tokens_per_doc);
    unsaid_flag(t->losses, &q->raw_scores, NO);
    unsaid_flag(t->losses, &q->truncate, YES);
    unsaid_setting(t->losses, &q->rank_fields);
    extras_put(&o, q->extras, q->dialect == &dialect_rerank, t->losses);
    json_close(&o, '}');
    return buf_status(ret->body);
}

/* --- answers --- */

static err_t read_answer(struct arena *arena, struct str body, struct rerank_answer *ret)
{
    const struct json_tree *tree;

    *ret = (struct rerank_answer){0};
    if (json_tree_parse(arena, body, &tree) != OK)
        return fail(E_PROTOCOL, "the provider's answer is not JSON");
    struct json_node root = json_tree_root(tree), usage = json_node_get(root, STR("usage"));
    ret->id = json_get_text(root, STR("id"), arena);
    ret->model = json_get_text(root, STR("model"), arena);
    ret->usage.known = json_node_is(usage, JSON_OBJECT);
    ret->usage.input = usage_count(usage, STR("total_tokens"));
    return rerank_read_results(arena, json_node_get(root, STR("results")), STR("relevance_score"), ret);
}

/* Documents are given back unless the client says no. */
static err_t put_result(struct json_out *o, const struct rerank_request *q, const struct rerank_result *r)
{
    const struct rerank_document *document;

    TRY(rerank_document_of(q, r, &document));
    json_open(o, '{');
    json_member_u64(o, STR("index"), r->index);
    if (q->return_documents.is != NO) {
        json_member_open(o, STR("document"), '{');
        json_member_str(o, STR("text"), document->text);
        json_close(o, '}');
    }
    json_member_raw(o, STR("relevance_score"), r->score);
    json_close(o, '}');
    return OK;
}

static err_t write_answer(const struct answer_frame *f, const struct rerank_request *q, const struct rerank_answer *a,
                          struct buf *to)
{
    struct json_out o = json_out_to(to);
    size_t n = rerank_count(q, a);

    json_open(&o, '{');
    json_member_str(&o, STR("id"), a->id.n ? a->id : openai_make_id(f, "rerank-", 0));
    json_member_str(&o, STR("model"), f->model);
    json_member_open(&o, STR("usage"), '{');
    json_member_u64(&o, STR("total_tokens"), a->usage.input);
    json_close(&o, '}');
    json_member_open(&o, STR("results"), '[');
    for (size_t i = 0; i < n; i++)
        TRY(put_result(&o, q, &a->results[i]));
    json_close(&o, ']');
    json_close(&o, '}');
    return buf_status(to);
}

static const char *const along[] = {"openai", NULL};
static const char *const body_marks[] = {"documents", NULL};

const struct dialect dialect_rerank = {
    .name = "rerank",
    .title = "Jina and vLLM reranking",
    .client = {.endpoints = rows,
               .along = along,
               .body_marks = body_marks,
               .read_rerank = read_rerank,
               .write_rerank = write_answer,
               .write_error = openai_write_error},
    .provider = {.write_embed = openai_write_embed,
                 .read_embed = openai_read_embed_answer,
                 .embed_batch_max = 2048,
                 .write_rerank = write_rerank,
                 .read_rerank = read_answer,
                 .read_error = openai_read_error},
};
