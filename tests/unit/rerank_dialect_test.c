/* rerank_dialect_test.c - reranking between Cohere's, Jina's and Text Embeddings Inference's forms, and the latter's embeddings. */
#include "dialect_world.h"

#include "gateway/endpoint.h"

struct rank_world {
    struct dialect_world w;
    struct rerank_request q;
};

static void rank_release(struct rank_world *r)
{
    world_release(&r->w);
}

/* The client's request as the provider gets it. */
static struct str rank(struct rank_world *r, const char *client, const char *provider, const char *json)
{
    struct dialect_world *w = &r->w;
    const struct json_tree *tree;

    world_init(w, client, "custom");
    w->t.provider = dialect_find(str_from_c(provider));
    for (const struct endpoint_row *row = w->t.client->client.endpoints; row->method; row++)
        if (row->operation == OP_RERANK)
            w->t.row = row;
    err_t e = json_tree_parse(&w->arena, str_from_c(json), &tree);
    if (e == OK)
        e = w->t.client->client.read_rerank(&w->t, tree, &r->q, &w->param);
    w->call = (struct provider_call){.body = &w->body};
    if (e == OK)
        e = w->t.provider->provider.write_rerank(&w->t, &r->q, &w->call);
    return e == OK ? buf_str(&w->body) : arena_printf(&w->arena, "! %.*s: %s", STR_ARG(w->param), err_detail(e));
}

/* The provider's answer as the client gets it. */
static struct str ranked(struct rank_world *r, const char *body)
{
    struct answer_frame f = world_frame(&r->w);
    struct rerank_answer a;
    err_t e = r->w.t.provider->provider.read_rerank(&r->w.arena, str_from_c(body), &a);

    buf_clear(&r->w.body);
    if (e == OK)
        e = r->w.t.client->client.write_rerank(&f, &r->q, &a, &r->w.body);
    return e == OK ? buf_str(&r->w.body) : arena_printf(&r->w.arena, "! %s", err_detail(e));
}

#define OF_COHERE                                                                                                      \
    "{\"id\":\"r1\",\"results\":[{\"index\":1,\"relevance_score\":0.930},{\"index\":0,\"relevance_score\":1e-3}],"     \
    "\"meta\":{\"billed_units\":{\"search_units\":1}}}"
#define OF_JINA                                                                                                        \
    "{\"id\":\"r2\",\"model\":\"x\",\"usage\":{\"total_tokens\":12},\"results\":[{\"index\":1,\"document\":{\"text\":" \
    "\"b\"},\"relevance_score\":0.930}]}"
#define OF_TEI "[{\"index\":1,\"score\":0.930},{\"index\":0,\"score\":-2.5}]"

TEST(rerank_of_jinas_clients_by_cohere)
{
    struct rank_world r CLEANUP(rank_release);

    CHECK_STR(
        rank(&r, "rerank", "cohere",
             "{\"model\":\"m\",\"query\":\"q\",\"documents\":[\"a\",{\"text\":\"b\"},{\"t\":\"c\",\"d\":1}],"
             "\"top_n\":2,\"truncate_prompt_tokens\":9}"),
        "{\"model\":\"their-model\",\"query\":\"q\",\"documents\":[\"a\",\"b\",\"{\\\"t\\\":\\\"c\\\",\\\"d\\\":1}\"],"
        "\"top_n\":2}");
    CHECK_STR(r.w.call.path, "/v2/rerank");
    CHECK_STR(world_dropped(&r.w), "/truncate_prompt_tokens");
    CHECK_STR(ranked(&r, OF_COHERE),
              "{\"id\":\"r1\",\"model\":\"our-model\",\"usage\":{\"total_tokens\":0},\"results\":[{\"index\":1,"
              "\"document\":{\"text\":\"b\"},\"relevance_score\":0.930},{\"index\":0,\"document\":{\"text\":\"a\"},"
              "\"relevance_score\":1e-3}]}");
}

TEST(rerank_of_coheres_clients_by_jina)
{
    struct rank_world r CLEANUP(rank_release);

    CHECK_STR(
        rank(&r, "cohere", "rerank",
             "{\"model\":\"m\",\"query\":\"q\",\"documents\":[\"a\",\"b\"],\"max_tokens_per_doc\":7,\"priority\":1}"),
        "{\"model\":\"their-model\",\"query\":\"q\",\"documents\":[\"a\",\"b\"],\"return_documents\":false}");
    CHECK_STR(r.w.call.path, "/rerank");
    CHECK_STR(world_dropped(&r.w), "/max_tokens_per_doc,/priority");
    CHECK_STR(ranked(&r, OF_JINA),
              "{\"id\":\"r2\",\"results\":[{\"index\":1,\"relevance_score\":0.930}],\"meta\":{\"api_version\":"
              "{\"version\":\"2\"},\"billed_units\":{},\"tokens\":{\"input_tokens\":12}}}");
}

TEST(rerank_by_tei_gives_only_the_best_that_are_wanted)
{
    struct rank_world r CLEANUP(rank_release);

    CHECK_STR(
        rank(&r, "cohere", "tei",
             "{\"model\":\"m\",\"query\":\"q\",\"documents\":[\"a\",\"b\"],\"top_n\":1,\"return_documents\":true}"),
        "{\"query\":\"q\",\"texts\":[\"a\",\"b\"]}");
    CHECK_STR(losses_list(&r.w.losses, LOSS_EMULATED, 99), "/top_n");
    CHECK_HOLDS(ranked(&r, OF_TEI),
                "\"results\":[{\"index\":1,\"relevance_score\":0.930,\"document\":{\"text\":\"b\"}}],\"meta\"");
}

TEST(rerank_of_teis_clients_by_others)
{
    struct rank_world r CLEANUP(rank_release), s CLEANUP(rank_release);

    CHECK_STR(
        rank(&r, "tei", "cohere",
             "{\"query\":\"q\",\"texts\":[\"a\",\"b\"],\"return_text\":true,\"raw_scores\":true,\"truncate\":true}"),
        "{\"model\":\"their-model\",\"query\":\"q\",\"documents\":[\"a\",\"b\"]}");
    CHECK_STR(world_dropped(&r.w), "/raw_scores");
    CHECK_STR(ranked(&r, OF_COHERE),
              "[{\"index\":1,\"score\":0.930,\"text\":\"b\"},{\"index\":0,\"score\":1e-3,\"text\":\"a\"}]");
    CHECK_STR(rank(&s, "tei", "tei", "{\"query\":\"q\",\"texts\":[\"a\",\"b\"],\"raw_scores\":true,\"truncate\":true}"),
              "{\"query\":\"q\",\"texts\":[\"a\",\"b\"],\"raw_scores\":true,\"truncate\":true}");
    CHECK_STR(ranked(&s, OF_TEI), OF_TEI);
}

TEST(rerank_refuses_what_it_cannot_read)
{
    static const struct {
        const char *client, *json, *want;
    } cases[] = {
        {"rerank", "[]", "! : the body must be a JSON object"},
        {"rerank", "{\"query\":\"q\",\"documents\":[\"a\"]}", "! model: 'model' must be a string that names the model"},
        {"cohere", "{\"model\":\"m\",\"documents\":[\"a\"]}", "! query: 'query' must be a string"},
        {"cohere", "{\"model\":\"m\",\"query\":\"q\",\"documents\":[]}",
         "! documents: the documents must be an array that is not empty"},
        {"tei", "{\"query\":\"q\",\"texts\":[5]}",
         "! texts: each document must be a string, or an object with a 'text'"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct rank_world r CLEANUP(rank_release);
        CHECK_STR(rank(&r, cases[i].client, "cohere", cases[i].json), cases[i].want);
    }
}

TEST(rerank_of_a_document_that_was_not_sent_is_a_broken_answer)
{
    static const char *const bodies[] = {
        "x",
        "{}",
        "{\"results\":[{\"index\":7,\"relevance_score\":1}]}",
        "{\"results\":[{\"index\":-1,\"relevance_score\":1}]}",
        "{\"results\":[{\"index\":0}]}",
    };

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct rank_world r CLEANUP(rank_release);
        (void)rank(&r, "rerank", "cohere", "{\"model\":\"m\",\"query\":\"q\",\"documents\":[\"a\"]}");
        CHECK(str_starts(ranked(&r, bodies[i]), STR("! ")));
    }
}

/* --- embeddings of Text Embeddings Inference --- */

static struct str embed_as(struct dialect_world *w, const char *json, struct embed_request *q)
{
    const struct json_tree *tree;
    err_t e = json_tree_parse(&w->arena, str_from_c(json), &tree);

    if (e == OK)
        e = w->t.client->client.read_embed(&w->t, tree, q, &w->param);
    w->call = (struct provider_call){.body = &w->body};
    buf_clear(&w->body);
    if (e == OK)
        e = w->t.provider->provider.write_embed(&w->t, q, &w->call);
    return e == OK ? buf_str(&w->body) : arena_printf(&w->arena, "! %.*s: %s", STR_ARG(w->param), err_detail(e));
}

TEST(tei_embeddings_are_always_a_list)
{
    struct dialect_world w CLEANUP(world_release);
    struct embed_request q;
    struct embed_vector v = {.base64 = STR("AAAAPwAAgD8=")};
    struct embed_answer a = {.vectors = &v, .vector_count = 1};

    world_init(&w, "tei", "openai");
    CHECK_HOLDS(embed_as(&w, "{\"inputs\":\"x\",\"normalize\":false}", &q), "\"input\":[\"x\"]");
    CHECK(q.single);
    CHECK_STR(world_dropped(&w), "/normalize");
    struct answer_frame f = world_frame(&w);
    buf_clear(&w.body);
    CHECK_OK(w.t.client->client.write_embed(&f, &q, &a, &w.body));
    CHECK_STR(buf_str(&w.body), "[[0.5,1]]");
    a.vector_count = 0;
    CHECK_ERR(w.t.client->client.write_embed(&f, &q, &a, &w.body), E_PROTOCOL);
}

TEST(tei_embeds_for_clients_of_others)
{
    struct dialect_world w CLEANUP(world_release);
    struct embed_request q;
    struct embed_answer a;

    world_init(&w, "openai", "tei");
    CHECK_STR(embed_as(&w, "{\"model\":\"m\",\"input\":[\"a\",[1,2]],\"dimensions\":8,\"user\":\"u\"}", &q),
              "{\"inputs\":[\"a\",[1,2]],\"dimensions\":8}");
    CHECK_STR(w.call.path, "/embed");
    CHECK_STR(world_dropped(&w), "/user");
    CHECK_OK(w.t.provider->provider.read_embed(&w.arena, STR("[[0.5, 1],[2,3]]"), &a));
    CHECK(a.vector_count == 2);
    CHECK_STR(a.vectors[0].json, "[0.5, 1]");
    CHECK_ERR(w.t.provider->provider.read_embed(&w.arena, STR("[]"), &a), E_PROTOCOL);
    CHECK_ERR(w.t.provider->provider.read_embed(&w.arena, STR("[1]"), &a), E_PROTOCOL);
}

TEST(tei_truncates_on_the_side_that_was_named)
{
    static const struct {
        const char *setting, *want;
    } cases[] = {
        {"START", "{\"inputs\":[\"x\"],\"truncate\":true,\"truncation_direction\":\"Left\"}"},
        {"END", "{\"inputs\":[\"x\"],\"truncate\":true}"},
        {"NONE", "{\"inputs\":[\"x\"],\"truncate\":false}"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_world w CLEANUP(world_release);
        struct embed_request q;
        world_init(&w, "cohere", "tei");
        CHECK_STR(
            embed_as(
                &w,
                arena_printf(&w.arena, "{\"model\":\"m\",\"texts\":[\"x\"],\"truncate\":\"%s\"}", cases[i].setting).p,
                &q),
            cases[i].want);
    }
}

TEST(tei_refuses_inputs_of_other_kinds)
{
    static const char *const bodies[] = {"{}", "{\"inputs\":[]}", "{\"inputs\":5}", "{\"inputs\":[\"a\",{}]}",
                                         "{\"inputs\":[[\"a\"]]}"};

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct dialect_world w CLEANUP(world_release);
        struct embed_request q;
        world_init(&w, "tei", "tei");
        CHECK_STR(embed_as(&w, bodies[i], &q), "! inputs: 'inputs' must be a string, an array of strings, or tokens");
    }
}

TEST(tei_errors_have_its_types_and_status)
{
    static const struct {
        enum error_class class;
        int status;
        const char *type;
    } cases[] = {{ERROR_OVERLOADED, 503, "Unhealthy"}, {ERROR_RATE_LIMIT, 429, "Overloaded"},
                 {ERROR_UPSTREAM, 424, "Backend"},     {ERROR_TOO_LARGE, 413, "Validation"},
                 {ERROR_NOT_FOUND, 404, "Validation"}, {ERROR_BAD_REQUEST, 400, "Empty"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_world w CLEANUP(world_release);
        struct api_error e = {.error_class = cases[i].class, .message = STR("no")};
        struct call_header headers[2] = {{.name = STR_NONE}};
        int status;
        world_init(&w, "tei", "tei");
        w.t.client->client.write_error(&w.t, &e, &w.body, &status, headers);
        CHECK(status == cases[i].status);
        CHECK_STR(buf_str(&w.body),
                  arena_printf(&w.arena, "{\"error\":\"no\",\"error_type\":\"%s\"}", cases[i].type).p);
    }
}

/* --- which of them a path means --- */

static struct str whose(const char *path, const char *body, struct arena *arena)
{
    struct http_head head = {0};
    struct endpoint e;

    endpoint_find(STR("POST"), str_from_c(path), &head, arena, &e);
    endpoint_settle(&e, str_from_c(body));
    return e.kind == ENDPOINT_OPERATION ? str_from_c(e.dialect->name) : STR("none");
}

TEST(rerank_paths_belong_to_whom_the_body_says)
{
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, 1 << 20);
    CHECK_STR(whose("/rerank", "{\"texts\":[]}", &arena), "tei");
    CHECK_STR(whose("/rerank", "{\"documents\":[]}", &arena), "rerank");
    CHECK_STR(whose("/v1/rerank", "{\"documents\":[]}", &arena), "rerank");
    CHECK_STR(whose("/v2/rerank", "{\"documents\":[]}", &arena), "cohere");
    CHECK_STR(whose("/jina/v1/rerank", "{}", &arena), "rerank");
    CHECK_STR(whose("/tei/rerank", "{\"texts\":[]}", &arena), "tei");
    CHECK_STR(whose("/predict", "{}", &arena), "tei");
    CHECK_STR(whose("/tei/embed_sparse", "{}", &arena), "tei");
    CHECK_STR(whose("/cohere/v1/tokenize", "{}", &arena), "cohere");
}

TEST(tei_speaks_openais_embeddings_but_not_jinas_ranking)
{
    const struct vendor *tei = vendor_find(STR("tei"));

    CHECK(vendor_speaks(tei, dialect_find(STR("openai"))));
    CHECK(!vendor_speaks(tei, dialect_find(STR("rerank"))));
    CHECK_STR(str_from_c(tei->also_path), "/v1");
}
