/*
 * server_load.h - how busy an inference server says that it is: what its metrics mean. Pure.
 *
 * Each kind of server has names of its own for the same few figures: requests that it runs, requests that wait, tokens in its cache. Read
 * from the documentation of vLLM ("Production Metrics", versions 0 and 1), SGLang ("Production Metrics"), Text Generation Inference
 * ("Metrics"), Text Embeddings Inference and llama.cpp (tools/server/README.md), November 2026.
 */
#ifndef LLM_SERVER_LOAD_H
#define LLM_SERVER_LOAD_H

#include "codec/prometheus.h"

/* Zeroed: nothing was said. A server that runs several engines says each figure several times: sums are kept. */
struct server_load {
    bool is_known; /* it told requests: running, waiting, or both */
    double running, waiting;
    double used_;     /* tokens in the cache, said as such    */
    double filled_;   /* shares of caches that are used       */
    double capacity_; /* tokens that the caches hold together */
    unsigned used_count_, filled_count_;
};

/* Take a sample of its page. Those that mean nothing here, or make no sense (negative, no number), are passed over. */
void server_load_take(struct server_load *l, const struct prometheus_sample *s);
/* Tokens that its caches hold now; negative: it does not say. */
double server_load_tokens(const struct server_load *l) PURE;
/* Share of its caches that is used, 0 to 1; negative: it does not say. */
double server_load_cache(const struct server_load *l) PURE;

#endif
