/*
 * Fuzz target: the readers of Cohere's dialect, of reranking's and of Text Embeddings Inference's, on any bytes.
 *
 * A chat request is read and, if it is one, written for a provider; an answer is read whole and as a stream, whose events must come in their order
 * (dialect_fuzz.h) and end in exactly one END or ERROR. Requests and answers of embeddings and reranking are read and written on.
 */
#include "dialect_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void try_chat(const char *vendor, struct str json)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "cohere", vendor);
    fuzz_request(&w, json);
}

static void try_lists(const char *client, const char *provider, struct str json)
{
    struct dialect_world w CLEANUP(world_release);
    struct answer_frame f;
    const struct json_tree *tree;
    struct embed_request embed;
    struct embed_answer vectors;
    struct rerank_request rank;
    struct rerank_answer ranks;

    world_init(&w, client, "custom");
    w.t.provider = dialect_find(str_from_c(provider));
    f = world_frame(&w);
    w.call = (struct provider_call){.body = &w.body};
    const struct client_side *c = &w.t.client->client;
    const struct provider_side *p = &w.t.provider->provider;
    if (json_tree_parse(&w.arena, json, &tree) != OK)
        return;
    if (c->read_embed && c->read_embed(&w.t, tree, &embed, &w.param) == OK &&
        p->write_embed(&w.t, &embed, &w.call) == OK && p->read_embed(&w.arena, json, &vectors) == OK)
        (void)c->write_embed(&f, &embed, &vectors, &w.body);
    if (c->read_rerank(&w.t, tree, &rank, &w.param) == OK && p->write_rerank(&w.t, &rank, &w.call) == OK &&
        p->read_rerank(&w.arena, json, &ranks) == OK)
        (void)c->write_rerank(&f, &rank, &ranks, &w.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const vendors[] = {"cohere", "openai"};
    static const char *const dialects[] = {"cohere", "rerank", "tei"};

    if (n < 2)
        return 0;
    struct str rest = str_of((const char *)data + 1, n - 1);
    try_chat(vendors[data[0] % ARRAY_LEN(vendors)], rest);
    fuzz_answer(dialect_find(STR("cohere")), rest, FRAMING_SSE);
    try_lists(dialects[data[0] / 2 % ARRAY_LEN(dialects)], dialects[data[0] / 8 % ARRAY_LEN(dialects)], rest);
    return 0;
}
