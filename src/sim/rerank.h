/* rerank.h - puts documents in the order in which they fit a query: for all surfaces that rerank. Private to sim/. */
#ifndef SIM_RERANK_H
#define SIM_RERANK_H

#include "sim/local.h"

struct ranked {
    size_t index;
    double likeness; /* cosine of the document's and the query's vector: -1 to 1 */
};

/* Rank all texts, the likest first; of equals the earlier. In the arena. Suspends between documents. */
err_t rank_texts(struct sim_turn *t, struct str query, const struct local_inputs *texts, struct ranked **ret) SUSPENDS
MUST_CHECK;
/* How alike two texts are: -1 to 1. */
double text_likeness(struct arena *a, uint64_t seed, struct str x, struct str y);
/* The same from 0 to 1. */
double relevance(double likeness) PURE;

/* POST /rerank as vLLM and Jina have it: {model, query, documents, top_n}. */
err_t rerank_endpoint(struct sim_turn *t) SUSPENDS;

#endif
