/* rerank.h - the canonical rerank request and answer. */
#ifndef LLM_RERANK_H
#define LLM_RERANK_H

#include "base/buf.h"
#include "llm/chat.h"
#include "llm/usage.h"

struct rerank_document {
    struct str text; /* of a string, or of an object's "text"                     */
    struct str raw;  /* as written: a JSON string or object                       */
    struct json_node from;
};

struct rerank_request {
    const struct dialect *dialect;
    const struct json_tree *document;
    struct str model;
    struct str query;
    struct rerank_document *documents;
    size_t document_count;
    struct number top_n, max_tokens_per_doc;
    struct flag return_documents, raw_scores, truncate;
    struct setting rank_fields; /* raw array */
    struct extra *extras;
};

struct rerank_result {
    size_t index;
    struct str score; /* number as written */
};

struct rerank_answer {
    struct str id, model;
    struct rerank_result *results; /* best first */
    size_t result_count;
    struct usage usage;
    struct str search_units; /* number as written; empty: not said */
};

#endif
