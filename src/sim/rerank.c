/*
 * rerank.c - POST /rerank in the form that vLLM took over from Jina (Jina Reranker API; vLLM documentation, "Re-rank API").
 *
 * A document fits a query as well as their vectors agree (embeddings.h), so the best one is one that shares words with it.
 */
#include "sim/rerank.h"

#include "codec/json.h"
#include "rt/fiber.h"
#include "sim/embeddings.h"
#include "sim/fields.h"
#include "sim/hash.h"
#include "sim/text.h"

#include <stdlib.h>

enum { RANK_DIMENSIONS = 256, DOCUMENTS_MAX = 2048 };

double relevance(double likeness)
{
    return (1 + likeness) / 2;
}

double text_likeness(struct arena *a, uint64_t seed, struct str x, struct str y)
{
    int32_t *one = arena_alloc(a, 2 * RANK_DIMENSIONS * sizeof(*one)), *other = one + RANK_DIMENSIONS;

    sim_embed(x, seed, one, RANK_DIMENSIONS);
    sim_embed(y, seed, other, RANK_DIMENSIONS);
    return sim_likeness(one, other, RANK_DIMENSIONS);
}

static int by_likeness(const void *x, const void *y)
{
    const struct ranked *a = x, *b = y;

    if (a->likeness != b->likeness)
        return a->likeness > b->likeness ? -1 : 1;
    return a->index < b->index ? -1 : 1;
}

err_t rank_texts(struct sim_turn *t, struct str query, const struct local_inputs *texts, struct ranked **ret)
{
    struct ranked *all = arena_alloc(t->a, texts->count * sizeof(*all));

    for (size_t i = 0; i < texts->count; i++) {
        all[i] = (struct ranked){i, text_likeness(t->a, t->seed, query, texts->texts[i])};
        TRY(fiber_tick());
    }
    qsort(all, texts->count, sizeof(*all), by_likeness);
    *ret = all;
    return OK;
}

/* --- the endpoint --- */

static const struct field_rule rules[] = {
    {.name = STR_INIT("model"), .kind = FIELD_STRING, .min = 1, .max = 512, .required = true},
    {.name = STR_INIT("query"), .kind = FIELD_STRING, .required = true},
    {.name = STR_INIT("documents"), .kind = FIELD_ARRAY, .min = 1, .max = DOCUMENTS_MAX, .required = true},
    {.name = STR_INIT("top_n"), .kind = FIELD_INT, .min = 0, .max = 1 << 20},
    {.name = STR_INIT("return_documents"), .kind = FIELD_BOOL},
    {.name = STR_INIT("truncate_prompt_tokens"), .kind = FIELD_INT},
};

/* Documents are strings, or objects with a text. */
static err_t read_documents(struct sim_turn *t, yyjson_val *documents, struct local_inputs *ret)
{
    yyjson_val *item;
    size_t i, n;

    *ret = (struct local_inputs){.texts = arena_zalloc(t->a, yyjson_arr_size(documents) * sizeof(*ret->texts))};
    yyjson_arr_foreach(documents, i, n, item)
    {
        struct str text = yyjson_is_str(item) ? json_text(item) : json_get_str(item, STR("text"), STR_NONE);
        if (!text.p)
            return refuse_type(t->a, &t->refusal, arena_printf(t->a, "documents[%zu]", i),
                               "a string or an object with text", item);
        ret->texts[ret->count++] = text;
        ret->tokens += sim_tokens(text);
        ret->hash = sim_hash(ret->hash, text);
    }
    return OK;
}

static void write_results(struct sim_turn *t, struct str model, const struct local_inputs *in, const struct ranked *all,
                          size_t count, bool documents)
{
    struct buf *to = t->room;
    char id[SIM_ID_MAX];

    buf_addf(to, "{\"id\":\"%.*s\",\"model\":\"", (int)sim_id(id, "rerank-", t->mark.unique, 0), id);
    buf_add_json(to, model);
    buf_addf(to, "\",\"usage\":{\"total_tokens\":%zu},\"results\":[", in->tokens);
    for (size_t i = 0; i < count; i++) {
        buf_addf(to, "%s{\"index\":%zu,", i > 0 ? "," : "", all[i].index);
        if (documents) {
            buf_add_lit(to, "\"document\":{\"text\":\"");
            buf_add_json(to, in->texts[all[i].index]);
            buf_add_lit(to, "\"},");
        }
        buf_addf(to, "\"relevance_score\":%.6f}", relevance(all[i].likeness));
    }
    buf_add_lit(to, "]}");
}

err_t rerank_endpoint(struct sim_turn *t)
{
    yyjson_val *root;
    struct str body;
    struct local_inputs in;
    struct ranked *all;
    bool over;

    TRY(turn_body(t, &body));
    TRY(fields_parse(t->a, body, &t->refusal, &root));
    TRY(fields_check(t->a, root, STR(""), rules, ARRAY_LEN(rules), false, &t->refusal));
    TRY(read_documents(t, json_get(root, STR("documents")), &in));
    struct str model = json_get_str(root, STR("model"), STR_NONE), query = json_get_str(root, STR("query"), STR_NONE);
    TRY(turn_begin(t, model, sim_hash(in.hash, query), &over));
    if (over)
        return OK;
    TRY(rank_texts(t, query, &in, &all));
    in.tokens += sim_tokens(query);
    turn_count_prompt(t, in.tokens);
    int64_t top = json_get_i64(root, STR("top_n"), 0); /* 0: all */
    size_t count = top > 0 && (size_t)top < in.count ? (size_t)top : in.count;
    write_results(t, model, &in, all, count, json_get_bool(root, STR("return_documents"), true));
    TRY(buf_status(t->room));
    return sim_play_whole(&t->play, STR("application/json"), buf_str(t->room), 0);
}
