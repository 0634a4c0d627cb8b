/* sim_tei_test.c - the simulated Text Embeddings Inference: vectors, scores, limits, and paths that it shares. */
#include "surface_asks.h"

#include <math.h>

static double length_of(yyjson_val *vector)
{
    yyjson_val *x;
    double squares = 0;
    size_t i, n;

    yyjson_arr_foreach(vector, i, n, x)
    {
        squares += yyjson_get_num(x) * yyjson_get_num(x);
    }
    return sqrt(squares);
}

SIM_TEST(sim_tei_embeds_texts_and_token_numbers, "models: {bge: {dimensions: 16}}")
{
    static const struct {
        const char *inputs;
        size_t count;
    } cases[] = {{"'a'", 1}, {"['a','b']", 2}, {"[1,2,3]", 1}, {"[[1,2],[3]]", 2}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        yyjson_val *v = parsed(w, post(w, "/embed", arena_printf(&w->arena, "{'inputs':%s}", cases[i].inputs).p).body);
        CHECK_EQ(yyjson_arr_size(v), cases[i].count);
        CHECK_EQ(yyjson_arr_size(val_at(v, "0")), 16);
        CHECK(fabs(length_of(val_at(v, "0")) - 1) < 1e-4);
    }
    yyjson_val *v = parsed(w, post(w, "/embed", "{'inputs':'a','normalize':false}").body);
    CHECK(length_of(val_at(v, "0")) > 1.5);
    CHECK_EQ(yyjson_arr_size(val_at(parsed(w, post(w, "/embed", "{'inputs':'a','dimensions':5}").body), "0")), 5);
    CHECK_EQ(yyjson_arr_size(parsed(w, post(w, "/tei/", "{'inputs':'a'}").body)), 1);
    v = parsed(w, post(w, "/embed_all", "{'inputs':['eight ch','b']}").body);
    CHECK_EQ(yyjson_arr_size(val_at(v, "0")), 2);
    CHECK_EQ(yyjson_arr_size(val_at(v, "0.1")), 16);
    v = parsed(w, post(w, "/embed_sparse", "{'inputs':'eight ch'}").body);
    CHECK_EQ(yyjson_arr_size(val_at(v, "0")), 2);
    CHECK(yyjson_is_int(val_at(v, "0.0.index")) && yyjson_is_real(val_at(v, "0.0.value")));
}

SIM_TEST(sim_tei_refuses_in_its_words, NULL)
{
    struct buf many CLEANUP(buf_release) = BUF_INIT(1 << 16), longest CLEANUP(buf_release) = BUF_INIT(1 << 16);

    buf_add_lit(&many, "{'inputs':['a'");
    for (int i = 0; i < 32; i++)
        buf_add_lit(&many, ",'a'");
    buf_add_lit(&many, "]}");
    buf_add_lit(&longest, "{'truncate':false,'inputs':'");
    for (int i = 0; i < 513; i++)
        buf_add_lit(&longest, "word");
    buf_add_lit(&longest, "'}");
    const struct ask_case cases[] = {
        {"{", 422, "'error_type':'Validation'"},
        {"{}", 422, "missing field `inputs`"},
        {"{'inputs':5}", 422, "untagged enum"},
        {"{'inputs':['a',5]}", 422, "untagged enum"},
        {"{'inputs':''}", 400, "'error_type':'Empty'"},
        {"{'inputs':[]}", 400, "'error_type':'Empty'"},
        {"{'inputs':['a','']}", 400, "'error_type':'Empty'"},
        {"{'inputs':'a','normalize':'yes'}", 422, "normalize"},
        {"{'inputs':'a','truncation_direction':'up'}", 422, "Validation"},
        {"{'inputs':'a','dimensions':0}", 422, "dimensions"},
        {arena_str(&w->arena, buf_str(&many)).p, 413, "batch size 33 > maximum allowed batch size 32"},
        {arena_str(&w->arena, buf_str(&longest)).p, 422, "must have less than 512 tokens. Given: 513"},
        {"{'inputs':'a','unknown':5}", 200, "["},
    };

    check_asks(w, "/embed", cases, ARRAY_LEN(cases));
}

/* The same beginning, another end: equal if cut at the end, different if cut in front. */
SIM_TEST(sim_tei_cuts_what_is_too_long_if_asked, NULL)
{
    struct str heads[2];

    for (int side = 0; side < 2; side++) {
        struct heard h[2];
        for (int end = 0; end < 2; end++) {
            struct buf body CLEANUP(buf_release) = BUF_INIT(1 << 16);
            buf_addf(&body, "{'truncate':true,'truncation_direction':'%s','dimensions':8,'inputs':'",
                     side ? "Left" : "Right");
            for (int i = 0; i < 512; i++)
                buf_addf(&body, "w%03d", i);
            buf_add(&body, end ? STR("this'}") : STR("that'}"));
            h[end] = post(w, "/embed", arena_str(&w->arena, buf_str(&body)).p);
            CHECK_EQ(h[end].status, 200);
        }
        CHECK_EQ(str_eq(h[0].body, h[1].body), side == 0);
        heads[side] = h[0].body;
    }
    CHECK(!str_eq(heads[0], heads[1]));
}

SIM_TEST(sim_tei_ranks_predicts_and_compares, NULL)
{
    struct heard h = post(w, "/rerank", "{'query':'the tide','texts':['cheese','the tide tables'],'return_text':true}");
    CHECK_EQ(h.status, 200);
    CHECK_STR(answer_at(w, h, "0.index"), "1");
    CHECK_STR(answer_at(w, h, "0.text"), "the tide tables");
    double score = yyjson_get_num(val_at(parsed(w, h.body), "0.score"));
    CHECK(score > 0.5 && score <= 1);
    h = post(w, "/tei/rerank", "{'query':'the tide','texts':['cheese','the tide tables'],'raw_scores':true}");
    CHECK(yyjson_get_num(val_at(parsed(w, h.body), "0.score")) > 1);
    CHECK_STR(answer_at(w, h, "0.text"), "nothing");
    CHECK_EQ(post(w, "/tei/rerank", "{'query':'a','documents':['b']}").status, 422);
    CHECK_EQ(post(w, "/rerank", "{'texts':['b']}").status, 422);
    CHECK_EQ(post(w, "/rerank", "{'query':'a','texts':[]}").status, 400);

    yyjson_val *v = parsed(w, post(w, "/predict", "{'inputs':'a text'}").body);
    CHECK_EQ(yyjson_arr_size(v), 2);
    CHECK(str_starts(text_at(w, v, "0.label"), STR("LABEL_")));
    CHECK(fabs(yyjson_get_num(val_at(v, "0.score")) + yyjson_get_num(val_at(v, "1.score")) - 1) < 1e-9);
    CHECK(yyjson_get_num(val_at(v, "0.score")) >= yyjson_get_num(val_at(v, "1.score")));
    CHECK_EQ(yyjson_arr_size(parsed(w, post(w, "/predict", "{'inputs':['a','b']}").body)), 2);
    CHECK_STR(answer_at(w, post(w, "/predict", "{'inputs':['a','b']}"), "0.0.label"), "nothing"); /* one pair */
    CHECK(str_starts(answer_at(w, post(w, "/predict", "{'inputs':[['a'],['b','c'],['d','e']]}"), "2.0.label"),
                     STR("LABEL")));
    CHECK_EQ(post(w, "/predict", "{'inputs':[['a','b','c']]}").status, 422);
    CHECK_EQ(post(w, "/predict", "{'inputs':5}").status, 422);

    v = parsed(
        w, post(w, "/similarity", "{'inputs':{'source_sentence':'the tide','sentences':['the tide','cheese']}}").body);
    CHECK(yyjson_get_num(val_at(v, "0")) > 0.99);
    CHECK(yyjson_get_num(val_at(v, "1")) < 0.9);
    CHECK_EQ(post(w, "/similarity", "{'inputs':['a']}").status, 422);
}

SIM_TEST(sim_tei_shares_paths_with_vllm_by_the_bodys_fields, NULL)
{
    CHECK(yyjson_is_arr(parsed(w, post(w, "/tokenize", "{'inputs':'abcd'}").body)));
    CHECK(yyjson_is_obj(parsed(w, post(w, "/tokenize", "{'prompt':'abcd','model':'m'}").body)));
    CHECK_EQ(post(w, "/tei/tokenize", "{'prompt':'abcd'}").status, 422);
    CHECK_STR(answer_at(w, post(w, "/rerank", "{'query':'a'}"), "error.code"), "400"); /* neither: vLLM's form */
    CHECK_STR(answer_at(w, post(w, "/tei/rerank", "{'query':'a'}"), "error_type"), "Validation");
    CHECK_STR(answer_at(w, fetch(w, "GET", "/tei/info"), "max_client_batch_size"), "32");
    CHECK_EQ(fetch(w, "GET", "/tei/health").status, 200);
}

SIM_TEST(sim_tei_tokenizes_with_places, NULL)
{
    struct heard h = post(w, "/tokenize", "{'inputs':['eight ch']}");
    CHECK_STR(answer_at(w, h, "0.0.special"), "true");
    CHECK_STR(answer_at(w, h, "0.0.start"), "null");
    CHECK_STR(answer_at(w, h, "0.2.text"), "t ch");
    CHECK_STR(answer_at(w, h, "0.2.start"), "4");
    CHECK_EQ(yyjson_arr_size(val_at(parsed(w, h.body), "0")), 4);
    h = post(w, "/tokenize", "{'inputs':'eight ch','add_special_tokens':false}");
    CHECK_EQ(yyjson_arr_size(val_at(parsed(w, h.body), "0")), 2);
}

SIM_TEST(sim_tei_has_openais_embeddings_below_its_prefix, "models: {bge: {dimensions: 8}}")
{
    struct heard h = post(w, "/tei/v1/embeddings", "{'input':'a'}");
    CHECK_EQ(h.status, 200);
    CHECK_STR(answer_at(w, h, "model"), "bge");
    CHECK_EQ(yyjson_arr_size(val_at(parsed(w, h.body), "data.0.embedding")), 8);
    h = post(w, "/tei/v1/embeddings", "{'input':''}");
    CHECK_EQ(h.status, 400);
    CHECK_STR(answer_at(w, h, "error_type"), "Validation");
    CHECK_STR(answer_at(w, h, "code"), "400");
    CHECK(
        yyjson_is_str(val_at(parsed(w, post(w, "/tei/v1/embeddings", "{'input':'a','encoding_format':'base64'}").body),
                             "data.0.embedding")));
}

SIM_TEST(sim_tei_is_overloaded_when_told_so, NULL)
{
    struct heard h = post_sim(w, "/embed", "fault=rate_limit;retry_after=1s", "{'inputs':'a'}");
    CHECK_EQ(h.status, 429);
    CHECK_STR(answer_at(w, h, "error_type"), "Overloaded");
    CHECK_STR(answer_at(w, post_sim(w, "/embed", "fault=status;status=503", "{'inputs':'a'}"), "error_type"),
              "Unhealthy");
    CHECK_STR(answer_at(w, post_sim(w, "/embed", "fault=status;status=424", "{'inputs':'a'}"), "error_type"),
              "Backend");
}
