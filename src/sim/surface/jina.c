/* jina.c - Jina's surface (Jina Reranker and Embeddings API): rerank and embeddings; what is wrong with a request is told in "detail". */
#include "sim/lookalike.h"
#include "sim/rerank.h"

static void write_refusal(const struct sim_play *p, const struct sim_refusal *why, struct buf *to)
{
    (void)p;
    buf_add_lit(to, "{\"detail\":\"");
    buf_add_json(to, why->message);
    buf_add_lit(to, "\"}");
}

static const struct sim_route routes[] = {
    {"POST", STR_INIT("/rerank"), rerank_endpoint, NULL},
    {"POST", STR_INIT("/embeddings"), embeddings_endpoint, NULL},
};

const struct sim_surface sim_surface_jina = {
    .name = "jina",
    .routes = routes,
    .route_count = ARRAY_LEN(routes),
    .base = STR_INIT("/v1"),
    .write_refusal = write_refusal,
    .add_headers = lookalike_add_headers,
};
