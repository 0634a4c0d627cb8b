/*
 * rerank_form.h - what the forms of reranking have in common: Cohere's, Jina's and vLLM's, and that of Text Embeddings Inference. Pure.
 *
 * Requests differ in the name of the list and in what is optional, so one reader takes them all. Answers are lists of a document's number and a
 * score; documents in them come from the request, whatever the provider sent.
 */
#ifndef LLM_RERANK_FORM_H
#define LLM_RERANK_FORM_H

#include "codec/json_out.h"
#include "llm/dialect.h"
#include "llm/rerank.h"

/*
 * A client's request. Members that no form knows become extras.
 *
 * documents  name of the list: strings, or objects with a "text"
 *
 * Errors: E_PARSE with words and the member at fault; E_TOO_LARGE (arena).
 */
err_t rerank_read(struct translation *t, const struct json_tree *doc, const char *documents, struct rerank_request *ret,
                  struct str *ret_param) MUST_CHECK;
/* The list [{"index": n, <score>: x}, …] of a provider's answer, in its order. E_PROTOCOL. */
err_t rerank_read_results(struct arena *arena, struct json_node list, struct str score, struct rerank_answer *ret)
    MUST_CHECK;

/* The documents as a member of this name, each as a string. */
void rerank_put_texts(struct json_out *o, struct str key, const struct rerank_request *q);
/* Results that the client wants: those of an answer, but at most top_n. */
size_t rerank_count(const struct rerank_request *q, const struct rerank_answer *a);
/* The document that a result is about; E_PROTOCOL if the provider ranked one that it did not get. */
err_t rerank_document_of(const struct rerank_request *q, const struct rerank_result *r,
                         const struct rerank_document **ret) MUST_CHECK;

#endif
