/* sim_ollama_test.c - the simulated Ollama: lines instead of events, whole calls, and the decoder's words. */
#include "surface_asks.h"

#define USER(text) "{'role':'user','content':" text "}"
#define BODY(list, more) "{'model':'m','messages':[" list "]" more "}"
#define BESIDE(more) BODY(USER("'hi'"), "," more)
#define WHOLE(more) BESIDE("'stream':false" more)
#define TOOL                                                                                                           \
    "{'type':'function','function':{'name':'get_tide','parameters':{'type':'object','properties':{'port':{'type':'"    \
    "string'}},"                                                                                                       \
    "'required':['port']}}}"

SIM_TEST(sim_ollama_streams_lines_unless_told_not_to, NULL)
{
    struct heard h = post(w, "/api/chat", BESIDE("'options':{'seed':0}"));
    struct events *e = lines_of(w, h.body);

    CHECK_STR(http_head_find(h.head, STR("content-type")), "application/x-ndjson");
    struct heard whole = post(w, "/api/chat", WHOLE(""));
    CHECK_EQ(e->count, 21);
    CHECK_STR(text_at(w, e->v[0], "done"), "false");
    CHECK_STR(text_at(w, e->v[0], "done_reason"), "nothing");
    CHECK(str_eq(joined(w, e, "message.content"), answer_at(w, whole, "message.content")));
    CHECK_STR(text_at(w, e->v[20], "message.content"), "");
    CHECK_STR(text_at(w, e->v[20], "message.role"), "assistant");
    CHECK_STR(text_at(w, e->v[20], "done_reason"), "stop");
    CHECK_STR(text_at(w, e->v[20], "eval_count"), "20");
    CHECK_STR(text_at(w, e->v[20], "prompt_eval_count"), "8");
    CHECK_GT(yyjson_get_sint(val_at(e->v[20], "total_duration")), 0);
    CHECK(str_starts(http_head_find(whole.head, STR("content-type")), STR("application/json")));
    CHECK_STR(answer_at(w, whole, "done"), "true");
    struct str at = answer_at(w, whole, "created_at");
    CHECK_EQ(at.n, 30);
    CHECK(at.p[10] == 'T' && at.p[29] == 'Z');
}

SIM_TEST(sim_ollama_thinks_when_asked, NULL)
{
    struct heard whole = post(w, "/api/chat", WHOLE(",'think':'low'"));
    struct str thought = answer_at(w, whole, "message.thinking");

    CHECK_EQ(thought.n, 32);
    CHECK_STR(answer_at(w, whole, "eval_count"), "28");
    struct events *e = lines_of(w, post(w, "/api/chat", BESIDE("'think':'low'")).body);
    CHECK(str_eq(joined(w, e, "message.thinking"), thought));
    CHECK_STR(text_at(w, e->v[0], "message.content"), "");
    CHECK_STR(text_at(w, e->v[8], "message.thinking"), "nothing");
    CHECK_EQ(answer_at(w, post(w, "/api/chat", WHOLE(",'think':true")), "message.thinking").n, 64);
    CHECK_STR(answer_at(w, post(w, "/api/chat", WHOLE(",'think':false")), "message.thinking"), "nothing");
    CHECK_EQ(
        answer_at(w, post(w, "/api/generate", "{'model':'m','prompt':'hi','think':'low','stream':false}"), "thinking")
            .n,
        32);
}

SIM_TEST(sim_ollama_calls_tools_whole, NULL)
{
    const char *asked = BODY(USER("'the tide'"), ",'tools':[" TOOL "]");
    struct events *e = lines_of(w, post(w, "/api/chat", asked).body);

    CHECK_EQ(e->count, 2);
    yyjson_val *call = val_at(e->v[0], "message.tool_calls.0");
    CHECK_STR(text_at(w, call, "function.name"), "get_tide");
    CHECK(yyjson_is_obj(val_at(call, "function.arguments")));
    CHECK(yyjson_is_str(val_at(call, "function.arguments.port")));
    CHECK_STR(text_at(w, call, "function.index"), "0");
    CHECK(str_starts(text_at(w, call, "id"), STR("call_")));
    CHECK_STR(text_at(w, e->v[1], "done_reason"), "stop");
    CHECK_STR(text_at(w, e->v[1], "message.tool_calls"), "nothing");
    struct heard h = post(w, "/api/chat", BODY(USER("'the tide'"), ",'stream':false,'tools':[" TOOL "]"));
    CHECK_STR(answer_at(w, h, "message.content"), "");
    CHECK_STR(answer_at(w, h, "message.tool_calls.0.function.name"), "get_tide");
    h = post(w, "/api/chat",
             BODY(USER("'the tide'"), ",'stream':false,'options':{'num_predict':4},'tools':[" TOOL "]"));
    CHECK_STR(answer_at(w, h, "done_reason"), "length");
    CHECK_STR(answer_at(w, h, "message.tool_calls.0.function.arguments"), "{}");
    h = post(w, "/api/chat",
             BODY(USER("'x'") ",{'role':'assistant','content':'','tool_calls':[{'function':{'name':'get_tide','"
                              "arguments':{'port':'a'}}}]},"
                              "{'role':'tool','tool_name':'get_tide','content':'3 m'}",
                  ",'stream':false"));
    CHECK(holds(answer_at(w, h, "message.content"), "The tool said: \"3 m\""));
}

SIM_TEST(sim_ollama_applies_options, NULL)
{
    struct heard h = post(w, "/api/chat", WHOLE(",'options':{'num_predict':3}"));
    CHECK_STR(answer_at(w, h, "done_reason"), "length");
    CHECK_EQ(answer_at(w, h, "message.content").n, 12);
    h = post(w, "/api/chat", WHOLE(",'options':{'num_predict':-1,'stop':['asked']}"));
    CHECK_STR(answer_at(w, h, "message.content"), "[simulated] You ");
    CHECK_STR(answer_at(w, h, "done_reason"), "stop");
    h = post(w, "/api/chat", WHOLE(",'format':{'type':'object','properties':{'a':{'const':5}},'required':['a']}"));
    CHECK_STR(answer_at(w, h, "message.content"), "{\"a\":5}");
    h = post(w, "/api/chat", WHOLE(",'format':'json'"));
    CHECK(yyjson_is_obj(parsed(w, answer_at(w, h, "message.content"))));
    h = post(w, "/api/chat", WHOLE(",'options':{'seed':7}"));
    CHECK(
        !str_eq(answer_at(w, h, "message.content"), answer_at(w, post(w, "/api/chat", WHOLE("")), "message.content")));
    CHECK_EQ(yyjson_arr_size(
                 val_at(parsed(w, post(w, "/api/chat", WHOLE(",'logprobs':true,'top_logprobs':2")).body), "logprobs")),
             20);
    CHECK_EQ(post(w, "/api/chat", BESIDE("'stream':false,'tool_choice':'required','something':{}")).status, 200);
}

SIM_TEST(sim_ollama_refuses_in_the_decoders_words, NULL)
{
    static const struct ask_case bad[] = {
        {"{'messages':[]}", 400, "{'error':'model is required'}"},
        {BESIDE("'stream':'no'"), 400,
         "json: cannot unmarshal string into Go struct field ChatRequest.stream of type bool"},
        {BODY(USER("[{'type':'text','text':'x'}]"), ""), 400,
         "cannot unmarshal array into Go struct field ChatRequest.messages.content of type string"},
        {BODY("{'role':'assistant','content':'','tool_calls':[{'function':{'name':'f','arguments':'{}'}}]}", ""), 400,
         "cannot unmarshal string into Go struct field ChatRequest.messages.tool_calls.function.arguments"},
        {BODY("{'role':'developer','content':'x'}", ""), 400, "invalid role: developer"},
        {BESIDE("'tools':[{'type':'function'}]"), 400, "ChatRequest.tools"},
        {BESIDE("'tools':[{'function':{'name':5}}]"), 400,
         "cannot unmarshal number into Go struct field ChatRequest.tools.function.name"},
        {BESIDE("'options':{'temperature':'hot'}"), 400, "must be of type float32"},
        {BESIDE("'options':{'num_predict':1.5}"), 400, "must be of type integer"},
        {BESIDE("'options':{'stop':'x'}"), 400, "must be of type array"},
        {BESIDE("'options':{'stop':[5]}"), 400, "must be of type array of strings"},
        {BESIDE("'think':'maximal'"), 400, "invalid think value"},
        {BESIDE("'think':5"), 400, "think must be a boolean"},
        {BESIDE("'format':'xml'"), 400, "invalid format: xml"},
        {BESIDE("'keep_alive':'soon'"), 400, "time: invalid duration"},
        {BESIDE("'keep_alive':{}"), 400, "keep_alive"},
        {BESIDE("'top_logprobs':21"), 400, "between 0 and 20"},
        {BODY("{'role':'user','content':'x','images':['data:image/png;base64,AAAA']}", ""), 400,
         "illegal base64 data at input byte 4"},
        {BODY("{'role':'user','content':'x','images':[{}]}", ""), 400, "cannot unmarshal object"},
        {BODY("{'role':'user','content':'x','images':['']}", ""), 400, "Failed to load image"},
    };
    static const struct ask_case good[] = {
        {BESIDE("'keep_alive':'1h30m','think':'max'"), 200, "'done':true"},
        {BESIDE("'keep_alive':-1"), 200, "'done':true"},
        {BESIDE("'options':{'temperature':1,'mystery':5,'top_k':40}"), 200, "'done':true"},
        {BODY("{'role':'user','content':'x','images':['AAAA']}", ""), 200, "'prompt_eval_count':93"},
    };

    check_asks(w, "/api/chat", bad, ARRAY_LEN(bad));
    check_asks(w, "/api/chat", good, ARRAY_LEN(good));
}

SIM_TEST(sim_ollama_loads_a_model_when_nothing_is_asked, NULL)
{
    CHECK_STR(answer_at(w, fetch(w, "GET", "/api/ps"), "models"), "[]");
    struct heard h = post(w, "/api/chat", "{'model':'m'}");
    CHECK_STR(answer_at(w, h, "done_reason"), "load");
    CHECK_STR(answer_at(w, h, "done"), "true");
    CHECK_STR(answer_at(w, post(w, "/api/generate", "{'model':'m','prompt':''}"), "done_reason"), "load");
    CHECK_STR(answer_at(w, post(w, "/api/chat", "{'model':'m','messages':[],'keep_alive':0}"), "done_reason"),
              "unload");
    CHECK_STR(answer_at(w, post(w, "/api/chat", "{'model':'m','messages':[],'keep_alive':'0s'}"), "done_reason"),
              "unload");
    CHECK_STR(answer_at(w, post(w, "/api/chat", "{'model':'m','messages':[],'keep_alive':'10s'}"), "done_reason"),
              "load");
    h = fetch(w, "GET", "/api/ps");
    CHECK_STR(answer_at(w, h, "models.0.name"), "m");
    CHECK_GT(answer_at(w, h, "models.0.expires_at").n, 20);
}

SIM_TEST(sim_ollama_generates, NULL)
{
    struct heard whole = post(w, "/api/generate", "{'model':'m','prompt':'hi','system':'s','stream':false}");
    struct events *e = lines_of(w, post(w, "/api/generate", "{'model':'m','prompt':'hi','system':'s'}").body);

    CHECK(str_starts(answer_at(w, whole, "response"), STR("[simulated] You asked: \"hi\"")));
    CHECK(str_eq(joined(w, e, "response"), answer_at(w, whole, "response")));
    CHECK_STR(answer_at(w, whole, "message"), "nothing");
    CHECK_EQ(yyjson_arr_size(val_at(e->v[e->count - 1], "context")), 16);
    CHECK_EQ(having(e, "context"), 1);
    struct heard other = post(w, "/api/generate", "{'model':'m','prompt':'hi','stream':false,'context':[1,2,3]}");
    CHECK(!str_eq(answer_at(w, other, "response"), answer_at(w, whole, "response")));
    CHECK_EQ(post(w, "/api/generate", "{'model':'m','prompt':'hi','raw':true,'system':'s'}").status, 400);
    CHECK_EQ(post(w, "/api/generate", "{'model':'m','prompt':'hi','context':['a']}").status, 400);
    CHECK_EQ(post(w, "/api/generate", "{'model':'m','prompt':['hi']}").status, 400);
}

SIM_TEST(sim_ollama_embeds, "models: {m: {dimensions: 8}}")
{
    struct heard h = post(w, "/api/embed", "{'model':'m','input':['a','b']}");
    yyjson_val *v = parsed(w, h.body), *x;
    double squares = 0;
    size_t i, n;

    CHECK_EQ(yyjson_arr_size(val_at(v, "embeddings")), 2);
    yyjson_arr_foreach(val_at(v, "embeddings.1"), i, n, x)
    {
        squares += yyjson_get_num(x) * yyjson_get_num(x);
    }
    CHECK(squares > 0.9999 && squares < 1.0001);
    CHECK_STR(text_at(w, v, "prompt_eval_count"), "2");
    CHECK_EQ(yyjson_arr_size(val_at(parsed(w, post(w, "/api/embed", "{'model':'m','input':'a','dimensions':3}").body),
                                    "embeddings.0")),
             3);
    CHECK_STR(answer_at(w, post(w, "/api/embed", "{'model':'m','input':[]}"), "embeddings"), "[]");
    CHECK_EQ(post(w, "/api/embed", "{'model':'m','input':5}").status, 400);
    CHECK_EQ(post(w, "/api/embed", "{'model':'m','input':'a','truncate':'no'}").status, 400);
    CHECK_EQ(
        yyjson_arr_size(val_at(parsed(w, post(w, "/api/embeddings", "{'model':'m','prompt':'a'}").body), "embedding")),
        8);
}

SIM_TEST(sim_ollama_tells_of_its_models, "models: {llama: {dimensions: 32}}")
{
    struct heard h = fetch(w, "GET", "/api/tags");
    CHECK_STR(answer_at(w, h, "models.0.name"), "llama");
    CHECK_STR(answer_at(w, h, "models.0.details.format"), "gguf");
    CHECK_EQ(answer_at(w, h, "models.0.digest").n, 64);
    CHECK(str_starts(answer_at(w, h, "models.0.modified_at"), STR("2026-01-01T00:00:00.")));
    h = post(w, "/api/show", "{'model':'llama'}");
    CHECK(holds(answer_at(w, h, "capabilities"), "thinking"));
    CHECK(holds(answer_at(w, h, "model_info"), "\"simulated.embedding_length\":32"));
    CHECK_STR(answer_at(w, post(w, "/api/show", "{'model':'x'}"), "error"), "model 'x' not found");
    h = post(w, "/api/chat", "{'model':'x'}");
    CHECK_EQ(h.status, 404);
    CHECK_STR(answer_at(w, h, "error"), "model 'x' not found");
    CHECK(holds(answer_at(w, fetch(w, "GET", "/api/version"), "version"), "0."));
    h = fetch(w, "GET", "/");
    CHECK_STR(h.body, "Ollama is running");
    h = fetch(w, "HEAD", "/");
    CHECK_EQ(h.status, 200);
    CHECK_EQ(h.body.n, 0);
    CHECK_EQ(post(w, "/api/pull", "{'model':'llama'}").status, 404);
}

SIM_TEST(sim_ollama_breaks_off_with_a_line, NULL)
{
    struct heard h =
        post_sim(w, "/api/chat", "fault=error_event;after_tokens=2;message=out of memory", BESIDE("'think':false"));
    struct events *e = lines_of(w, h.body);

    CHECK_OK(h.error);
    CHECK_EQ(e->count, 3);
    CHECK_STR(text_at(w, e->v[2], "error"), "out of memory");
    CHECK_STR(text_at(w, e->v[1], "done"), "false");
    e = lines_of(w, post_sim(w, "/api/chat", "fault=malformed_json;after_tokens=2", BESIDE("'think':false")).body);
    CHECK_EQ(e->count, 21);
    CHECK(e->v[2] == NULL);
    CHECK(e->v[3] != NULL);
}

SIM_TEST(sim_ollama_has_openais_dialect_below_its_prefix, NULL)
{
    struct heard h = post(w, "/ollama/v1/chat/completions", BESIDE("'temperature':5"));
    CHECK_EQ(h.status, 400);
    CHECK_STR(answer_at(w, h, "error.param"), "temperature");
    CHECK_STR(answer_at(w, post(w, "/ollama/v1/chat/completions", WHOLE("")), "system_fingerprint"), "fp_ollama");
    CHECK_EQ(post(w, "/ollama/api/chat", BESIDE("'stream':false")).status, 200);
}
