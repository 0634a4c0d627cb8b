/* sim_mistral_test.c - the simulated Mistral: what it refuses, in which form, and how its answers differ from OpenAI's. */
#include "surface_asks.h"

#define CHAT "/mistral/v1/chat/completions"
#define USER(text) "{'role':'user','content':" text "}"
#define BODY(list, more) "{'model':'m','messages':[" list "]" more "}"
#define BESIDE(more) BODY(USER("'hi'"), "," more)
#define CALLS(id)                                                                                                      \
    "{'role':'assistant','content':'','tool_calls':[{'id':'" id "','function':{'name':'get_tide','arguments':'{}'}}]}"
#define RESULT(id) "{'role':'tool','tool_call_id':'" id "','name':'get_tide','content':'low'}"
#define TOOL                                                                                                           \
    "{'type':'function','function':{'name':'get_tide','parameters':{'type':'object','properties':{'port':{'type':'"    \
    "string'}},"                                                                                                       \
    "'required':['port']}}}"

SIM_TEST(sim_mistral_takes_what_is_documented, NULL)
{
    static const struct ask_case good[] = {
        {BESIDE("'temperature':1.5,'top_p':1,'max_tokens':5,'random_seed':3,'stop':['x'],'safe_prompt':true"), 200,
         "'length'"},
        {BESIDE(
             "'presence_penalty':1,'frequency_penalty':-1,'n':2,'metadata':{},'prompt_cache_key':'k','guardrails':[]"),
         200, "'index':1"},
        {BESIDE(
             "'response_format':{'type':'json_schema','json_schema':{'name':'a','schema':{'const':5},'strict':true}}"),
         200, "'content':'5'"},
        {BODY(USER("[{'type':'text','text':'a'},{'type':'image_url','image_url':'https://x/y.png'}]"), ""), 200,
         "choices"},
        {BODY(USER("[{'type':'image_url','image_url':{'url':'data:image/png;base64,AAAA','detail':'low'}}]"), ""), 200,
         "choices"},
        {BODY(USER("[{'type':'document_url','document_url':'https://x/y.pdf','document_name':'y'}]"), ""), 200,
         "choices"},
        {BODY(USER("[{'type':'file','file_id':'f'},{'type':'input_audio','input_audio':'AAAA'}]"), ""), 200, "choices"},
        {BODY(USER("'a'") "," CALLS("abcDEF123") "," RESULT("abcDEF123"), ""), 200, "The tool said"},
        {BODY(USER("'a'") "," CALLS("abcDEF123") "," RESULT("abcDEF123") ",{'role':'assistant','content':'ok'}," USER(
                  "'b'"),
              ""),
         200, "choices"},
        {BODY(USER("'a'") ",{'role':'assistant','content':'I','prefix':true}", ""), 200, "choices"},
        {BODY(USER("'a'") ",{'role':'assistant','content':[{'type':'thinking','thinking':[{'type':'text','text':'h'}],'"
                          "closed':"
                          "true},{'type':'text','text':'b'}]}," USER("'c'"),
              ""),
         200, "choices"},
    };

    check_asks(w, CHAT, good, ARRAY_LEN(good));
}

SIM_TEST(sim_mistral_refuses_what_it_does_not_know, NULL)
{
    static const struct ask_case bad[] = {
        {"{", 422, "json_invalid"},
        {"[]", 422, "{'detail':[{'type':'model_type','loc':['body']"},
        {"{'model':'m'}", 422, "{'type':'missing','loc':['body','messages'],'msg':'Field required'"},
        {BESIDE("'seed':5"), 422, "{'type':'extra_forbidden','loc':['body','seed']"},
        {BESIDE("'stream':true,'stream_options':{'include_usage':true}"), 422, "['body','stream_options']"},
        {BESIDE("'max_completion_tokens':5"), 422, "extra_forbidden"},
        {BESIDE("'logprobs':true"), 422, "extra_forbidden"},
        {BESIDE("'logit_bias':{}"), 422, "extra_forbidden"},
        {BESIDE("'user':'u'"), 422, "extra_forbidden"},
        {BESIDE("'store':false"), 422, "extra_forbidden"},
        {BESIDE("'top_k':5"), 422, "extra_forbidden"},
        {BESIDE("'functions':[]"), 422, "extra_forbidden"},
        {BESIDE("'temperature':1.6"), 422, "['body','temperature']"},
        {BESIDE("'max_tokens':'5'"), 422, "int_type"},
        {BESIDE("'stop':5"), 422, "list_type"},
        {BESIDE("'stop':['a',5]"), 422, "['body','stop',1]"},
        {BESIDE("'reasoning_effort':'max'"), 422, "enum"},
        {BODY("{'role':'developer','content':'x'}", ""), 422, "['body','messages',0]"},
        {BODY("{'role':'user','content':'x','name':'n'}", ""), 422, "['body','messages',0,'name']"},
        {BODY(USER("'a'") ",{'role':'assistant','content':'x','refusal':null}," USER("'b'"), ""), 422,
         "['body','messages',1,'refusal']"},
        {BODY(USER("[{'type':'input_audio','input_audio':{'data':'AAAA','format':'wav'}}]"), ""), 422, "string_type"},
        {BODY(USER("[{'type':'text','text':'a','cache_control':{}}]"), ""), 422,
         "['body','messages',0,'content',0,'cache_control']"},
        {BODY(USER("[{'type':'image_url','image_url':{'url':'https://x','size':1}}]"), ""), 422, "'image_url','size'"},
        {BODY(USER("[{'type':'input_text','text':'a'}]"), ""), 422, "union_tag_invalid"},
        {BODY(USER("[{'type':'file','file':{'file_id':'f'}}]"), ""), 422, "extra_forbidden"},
        {BESIDE("'tools':[{'type':'custom','custom':{}}]"), 422, "['body','tools',0,'function']"},
        {BESIDE("'tools':[{'type':'function','function':{'name':'f'}}]"), 422, "'parameters'"},
        {BESIDE("'tools':[" TOOL "],'tool_choice':'always'"), 422, "'any'"},
        {BESIDE("'response_format':{'type':'json_schema'}"), 422, "missing"},
        {BESIDE("'response_format':{'type':'json_schema','json_schema':{'name':'a','schema':{},'extra':1}}"), 422,
         "'extra'"},
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct heard h = post(w, CHAT, bad[i].body);
        struct str says = quoted(&w->arena, bad[i].says, STR_NONE);
        if (str_starts(says, STR("\"any\""))) /* words that have quotes of their own */
            says = STR("'any'");
        CHECK_MSG(h.status == bad[i].status && str_find(h.body, says) < h.body.n, "%s: %d %.*s", bad[i].body, h.status,
                  STR_ARG(h.body));
    }
}

SIM_TEST(sim_mistral_refuses_what_makes_no_sense, NULL)
{
    static const struct ask_case bad[] = {
        {BODY(USER("'a'") "," CALLS("call_1a") "," RESULT("call_1a"), ""), 400, "length of 9"},
        {BODY(USER("'a'") "," CALLS("abcDEF1234") "," RESULT("abcDEF1234"), ""), 400, "length of 9"},
        {BODY(USER("'a'") "," CALLS("abc-EF123") "," RESULT("abc-EF123"), ""), 400,
         "'code':'3280','raw_status_code':400"},
        {BODY(USER("'a'") "," CALLS("abcDEF123") "," RESULT("abcDEF124"), ""), 400, "Unexpected tool call id"},
        {BODY(USER("'a'") "," CALLS("abcDEF123") "," USER("'b'"), ""), 400, "Not the same number"},
        {BODY(USER("'a'") "," CALLS("abcDEF123"), ""), 400, "Not the same number"},
        {BODY(USER("'a'") "," CALLS("abcDEF123") "," RESULT("abcDEF123") "," USER("'b'"), ""), 400, "'object':'error'"},
        {BODY(USER("'a'") ",{'role':'assistant','content':'b'}", ""), 400, "Expected last role User or Tool"},
        {BODY("{'role':'system','content':'b'}", ""), 400, "'code':'3051'"},
        {BODY(USER("'a'") ",{'role':'assistant','content':''}," USER("'b'"), ""), 400, "either content or tool_calls"},
        {BODY(USER("'a'") ",{'role':'assistant','content':[]}," USER("'b'"), ""), 400, "either content or tool_calls"},
        {BODY(RESULT("abcDEF123"), ""), 400, "Unexpected role"},
        {BODY(USER("'a'") ",{'role':'assistant','content':'b'},{'role':'system','content':'c'}," USER("'d'"), ""), 400,
         "Unexpected role"},
        {BODY(USER("[{'type':'image_url','image_url':'data:image/png;base64,A A'}]"), ""), 400, "neither a link nor"},
        {BODY(USER("[{'type':'document_url','document_url':'y.pdf'}]"), ""), 400, "neither a link nor"},
        {BESIDE("'tools':[{'type':'function','function':{'name':'a b','parameters':{}}}]"), 400, "Function name was"},
        {BESIDE("'tools':[" TOOL "],'tool_choice':{'type':'function','function':{'name':'f'}}"), 400,
         "not among the tools"},
    };

    check_asks(w, CHAT, bad, ARRAY_LEN(bad));
}

SIM_TEST(sim_mistral_calls_tools_in_its_own_way, NULL)
{
    unsigned objects = 0, strings = 0;

    for (int i = 0; i < 12; i++) {
        const char *body =
            arena_printf(&w->arena, BODY(USER("'question %d'"), ",'tools':[" TOOL "],'tool_choice':'any'%s"), i, "").p;
        yyjson_val *v = parsed(w, post(w, CHAT, body).body);
        yyjson_val *call = val_at(v, "choices.0.message.tool_calls.0"), *arguments = val_at(call, "function.arguments");
        CHECK_EQ(yyjson_get_len(val_at(call, "id")), 9);
        CHECK_STR(text_at(w, call, "index"), "0");
        CHECK_STR(text_at(w, call, "type"), "nothing");
        CHECK_STR(text_at(w, call, "function.name"), "get_tide");
        objects += yyjson_is_obj(arguments);
        strings += yyjson_is_str(arguments);
        body = arena_printf(&w->arena, BODY(USER("'question %d'"), ",'tools':[" TOOL "],'tool_choice':'any'%s"), i,
                            ",'stream':true")
                   .p;
        struct events *e = events_of(w, post(w, CHAT, body).body);
        CHECK_EQ(e->count, 3);
        CHECK_STR(text_at(w, e->v[1], "choices.0.delta.tool_calls.0.function.name"), "get_tide");
        CHECK(str_eq(text_at(w, e->v[1], "choices.0.delta.tool_calls.0.function.arguments"),
                     text_at(w, call, "function.arguments")));
    }
    CHECK_GT(objects, 0);
    CHECK_GT(strings, 0);
}

SIM_TEST(sim_mistral_tells_usage_unasked_on_the_last_chunk, NULL)
{
    struct events *e = events_of(w, post(w, CHAT, BESIDE("'stream':true")).body);

    CHECK_EQ(having(e, "usage"), 1);
    CHECK_STR(text_at(w, e->v[e->count - 1], "usage.completion_tokens"), "20");
    CHECK_STR(text_at(w, e->v[e->count - 1], "choices.0.finish_reason"), "stop");
    CHECK_EQ(text_at(w, e->v[0], "id").n, 32);
    CHECK(e->done);
}

SIM_TEST(sim_mistral_thinks_in_parts, NULL)
{
    yyjson_val *v = parsed(w, post(w, CHAT, BESIDE("'reasoning_effort':'low'")).body);
    CHECK_STR(text_at(w, v, "choices.0.message.content.0.type"), "thinking");
    struct str thought = text_at(w, v, "choices.0.message.content.0.thinking.0.text");
    CHECK_EQ(thought.n, 32);
    CHECK_STR(text_at(w, v, "choices.0.message.content.1.type"), "text");
    struct events *e = events_of(w, post(w, CHAT, BESIDE("'reasoning_effort':'low','stream':true")).body);
    CHECK(str_eq(joined(w, e, "choices.0.delta.content.0.thinking.0.text"), thought));
    CHECK(str_eq(joined(w, e, "choices.0.delta.content"), text_at(w, v, "choices.0.message.content.1.text")));
    v = parsed(w, post(w, CHAT, BESIDE("'reasoning_effort':'low','tools':[" TOOL "],'tool_choice':'required'")).body);
    CHECK_EQ(yyjson_arr_size(val_at(v, "choices.0.message.content")), 1);
    v = parsed(w, post(w, CHAT, BESIDE("'reasoning_effort':'none'")).body);
    CHECK(yyjson_is_str(val_at(v, "choices.0.message.content")));
    v = parsed(w, post(w, CHAT, BESIDE("'prompt_mode':'reasoning'")).body);
    CHECK(yyjson_is_arr(val_at(v, "choices.0.message.content")));
}

SIM_TEST(sim_mistral_fills_the_middle_and_lists_models, "models: {codestral: {}, '*': {}}")
{
    struct heard h = post(w, "/mistral/v1/fim/completions",
                          "{'model':'codestral','prompt':'def f(','suffix':'return 1','stop':['asked']}");
    CHECK_EQ(h.status, 200);
    CHECK_STR(answer_at(w, h, "object"), "chat.completion");
    CHECK_STR(answer_at(w, h, "choices.0.message.content"), "[simulated] You ");
    CHECK_EQ(post(w, "/mistral/v1/fim/completions", "{'model':'m','prompt':'a','messages':[]}").status, 422);
    struct heard a = post(w, "/mistral/v1/fim/completions", "{'model':'m','prompt':'a','suffix':'b'}");
    struct heard b = post(w, "/mistral/v1/fim/completions", "{'model':'m','prompt':'a','suffix':'c'}");
    CHECK(!str_eq(answer_at(w, a, "choices.0.message.content"), answer_at(w, b, "choices.0.message.content")));
    h = fetch(w, "GET", "/mistral/v1/models");
    CHECK_STR(answer_at(w, h, "data.0.id"), "codestral");
    CHECK_STR(answer_at(w, h, "data.0.capabilities.function_calling"), "true");
    CHECK_STR(answer_at(w, fetch(w, "GET", "/mistral/v1/models/x"), "id"), "x");
}

SIM_TEST(sim_mistral_embeds_in_every_type, NULL)
{
    static const struct {
        const char *dtype;
        size_t count;
        double min, max;
    } cases[] = {{"float", 16, -1, 1},
                 {"int8", 16, -127, 127},
                 {"uint8", 16, 1, 255},
                 {"binary", 2, -128, 127},
                 {"ubinary", 2, 0, 255}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *body =
            arena_printf(&w->arena, "{'model':'m','input':['a','b'],'output_dimension':16,'output_dtype':'%s'}",
                         cases[i].dtype)
                .p;
        yyjson_val *v = parsed(w, post(w, "/mistral/v1/embeddings", body).body),
                   *vector = val_at(v, "data.1.embedding"), *x;
        size_t k, n;
        CHECK_EQ(yyjson_arr_size(vector), cases[i].count);
        yyjson_arr_foreach(vector, k, n, x)
        {
            CHECK(yyjson_get_num(x) >= cases[i].min && yyjson_get_num(x) <= cases[i].max);
        }
        CHECK_STR(text_at(w, v, "usage.prompt_tokens"), "2");
    }
    yyjson_val *bits = val_at(parsed(w, post(w, "/mistral/v1/embeddings",
                                             "{'model':'m','input':'a','output_dimension':8,'output_dtype':'ubinary'}")
                                            .body),
                              "data.0.embedding.0");
    yyjson_val *same = val_at(parsed(w, post(w, "/mistral/v1/embeddings",
                                             "{'model':'m','input':'a','output_dimension':8,'output_dtype':'binary'}")
                                            .body),
                              "data.0.embedding.0");
    CHECK_EQ(yyjson_get_sint(bits) - 128, yyjson_get_sint(same));
    yyjson_val *whole =
        val_at(parsed(w, post(w, "/mistral/v1/embeddings", "{'model':'m','input':'a','output_dimension':8}").body),
               "data.0.embedding");
    CHECK_EQ(yyjson_get_sint(bits) >> 7, yyjson_get_num(yyjson_arr_get(whole, 0)) > 0);
    CHECK(yyjson_is_str(val_at(
        parsed(w, post(w, "/mistral/v1/embeddings", "{'model':'m','input':'a','encoding_format':'base64'}").body),
        "data.0.embedding")));
    CHECK_EQ(post(w, "/mistral/v1/embeddings", "{'model':'m','input':'a','dimensions':8}").status, 422);
    CHECK_EQ(post(w, "/mistral/v1/embeddings", "{'model':'m','input':[]}").status, 400);
    CHECK_EQ(post(w, "/mistral/v1/embeddings", "{'model':'m'}").status, 422);
}

SIM_TEST(sim_mistral_errs_in_its_own_form, "api_keys: [k]\nallow_overrides: true\nmodels: {m: {}}")
{
    struct http_header headers[] = {{STR("authorization"), STR("Bearer k")},
                                    {STR("x-sim"), STR("fault=rate_limit;retry_after=1s")}};

    CHECK_STR(answer_at(w, post(w, CHAT, BESIDE("'n':1")), "message"), "Unauthorized");
    struct heard h = ask_with(w, "POST", CHAT, headers, 2, quoted(&w->arena, BESIDE("'n':1"), STR_NONE).p, NS_NEVER);
    CHECK_EQ(h.status, 429);
    CHECK_STR(answer_at(w, h, "object"), "error");
    CHECK_STR(answer_at(w, h, "type"), "rate_limited");
    CHECK_STR(answer_at(w, h, "raw_status_code"), "429");
    CHECK_STR(http_head_find(h.head, STR("retry-after")), "1");
    CHECK_GT(http_head_find(h.head, STR("mistral-correlation-id")).n, 10);
    h = ask_with(w, "POST", CHAT, headers, 1,
                 quoted(&w->arena, "{'model':'x','messages':[" USER("'a'") "]}", STR_NONE).p, NS_NEVER);
    CHECK_STR(answer_at(w, h, "code"), "1500");
}
