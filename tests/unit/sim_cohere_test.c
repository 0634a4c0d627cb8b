/* sim_cohere_test.c - the simulated Cohere: what it refuses, and what its answers and streams look like. */
#include "codec/base64.h"
#include "codec/json.h"
#include "codec/sse.h"
#include "provider_world.h"
#include "quoted.h"
#include "sim/cohere_int.h"

#include <math.h>

/* --- reading --- */

#define USER "{'role':'user','content':'tide?'}"
#define MESSAGES(list) "{'model':'m','messages':[" list "]}"
#define BESIDE(members) "{'model':'m','messages':[" USER "]," members "}"
#define CALL(id) "{'id':'" id "','type':'function','function':{'name':'get_tide','arguments':'{}'}}"
#define CALLS(list) "{'role':'assistant','tool_plan':'p','tool_calls':[" list "]}"
#define RESULT(id) "{'role':'tool','tool_call_id':'" id "','content':'low'}"
#define TOOLS "'tools':[{'type':'function','function':{'name':'get_tide','parameters':{'type':'object'}}}]"
#define PNG "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"

static void check_read(const char *text, int status, const char *says)
{
    struct arena a CLEANUP(arena_release);
    struct sim_refusal r = {.status = 0};
    struct cohere_chat c;

    arena_init(&a, 16 << 20);
    test_context("%s", text);
    err_t e = cohere_chat_read(&a, quoted(&a, text, STR("")), &c, &r);
    CHECK_MSG(e == (status == 200 ? OK : E_PARSE), "%s: %.*s", err_name(e), STR_ARG(r.message));
    CHECK_EQ(r.status, status == 200 ? 0 : status);
    CHECK_MSG(str_find(r.message, str_from_c(says)) < r.message.n || says[0] == '\0', "said: %.*s", STR_ARG(r.message));
    test_context("%s", "");
}

TEST(sim_cohere_takes_what_is_documented)
{
    static const char *const good[] = {
        MESSAGES(USER),
        MESSAGES("{'role':'system','content':'Be brief'}," USER ",{'role':'assistant','content':'low'}," USER),
        MESSAGES("{'role':'system','content':[{'type':'text','text':'Be brief'}]}," USER),
        MESSAGES("{'role':'user','content':[{'type':'text','text':'a'},{'type':'image_url','image_url':{'url':'" PNG
                 "','detail':'low'}}]}"),
        MESSAGES("{'role':'user','content':[{'type':'image_url','image_url':{'url':'https://x/y.png'}}]}"),
        MESSAGES(
            USER
            ",{'role':'assistant','content':[{'type':'thinking','thinking':'t'},{'type':'text','text':'a'}]}," USER),
        MESSAGES(USER "," CALLS(CALL("a") "," CALL("b")) "," RESULT("b") "," RESULT("a")),
        MESSAGES(USER
                 "," CALLS(CALL("a")) "," RESULT("a") ",{'role':'assistant','content':'low','citations':[]}," USER),
        MESSAGES(USER "," CALLS(CALL("a")) ",{'role':'tool','tool_call_id':'a','content':[{'type':'text','text':'x'},"
                                           "{'type':'document','document':{'id':'d','data':{'t':'low'}}}]}"),
        BESIDE("'stream':true,'safety_mode':'OFF','max_tokens':1,'temperature':0.3,'seed':7,'k':500,'p':0.99,"
               "'frequency_penalty':0.5,'logprobs':true,'priority':0"),
        BESIDE("'stop_sequences':['a','b','c','d','e']"),
        BESIDE("'presence_penalty':1,'frequency_penalty':0"),
        BESIDE(TOOLS ",'tool_choice':'REQUIRED','strict_tools':true"),
        BESIDE("'documents':['a',{'data':{'t':'b'}},{'id':'d','data':'c'}],'citation_options':{'mode':'FAST'}"),
        BESIDE("'response_format':{'type':'json_object','json_schema':{'type':'object'}}"),
        BESIDE("'response_format':{'type':'text'}," TOOLS),
        BESIDE("'thinking':{'type':'enabled','token_budget':5}"),
        BESIDE("'thinking':{'type':'disabled'},'temperature':null"),
    };

    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        check_read(good[i], 200, "");
}

TEST(sim_cohere_refuses_what_the_service_refuses)
{
    static const struct {
        const char *body;
        int status;
        const char *says;
    } bad[] = {
        {"{'model':'m',", 400, "JSON object"},
        {"[]", 400, "JSON object"},
        {"{'messages':[" USER "]}", 400, "model is required"},
        {"{'model':'m'}", 400, "messages is required"},
        {"{'model':'m','messages':[]}", 400, "messages must be between 1"},
        {"{'model':5,'messages':[" USER "]}", 422, "'model' should be of type string, but is an integer"},
        {BESIDE("'top_p':0.5"), 422, "unknown field: parameter 'top_p' is not a valid field"},
        {BESIDE("'max_completion_tokens':5"), 422, "parameter 'max_completion_tokens'"},
        {BESIDE("'stop':['a']"), 422, "parameter 'stop'"},
        {BESIDE("'tools':[{'type':'function','function':{'name':'f','strict':true}}]"), 422,
         "parameter 'tools[0].function.strict'"},
        {BESIDE("'tools':[{'type':'custom','function':{'name':'f'}}]"), 400, "tools[0].type must be one of: function"},
        {BESIDE("'tools':[{'type':'function','function':{'name':'a b'}}]"), 400, "tools[0].function.name"},
        {BESIDE("'tools':[{'type':'function','function':{'name':'f','parameters':{}}}]"), 400, "of type object"},
        {BESIDE("'tools':[5]"), 422, "'tools[0]' should be of type object"},
        {BESIDE("'tools':[]"), 400, "tools must be between 1"},
        {BESIDE("'tool_choice':'REQUIRED'"), 400, "need tools"},
        {BESIDE(TOOLS ",'tool_choice':'required'"), 400, "tool_choice must be one of: REQUIRED, NONE"},
        {BESIDE(TOOLS ",'tool_choice':{'type':'function'}"), 422, "'tool_choice' should be of type string"},
        {BESIDE("'k':501"), 400, "k must be between 0 and 500"},
        {BESIDE("'p':1"), 400, "p must be between 0.01 and 0.99"},
        {BESIDE("'p':0"), 400, "p must be between"},
        {BESIDE("'temperature':1.5"), 400, "temperature must be between"},
        {BESIDE("'frequency_penalty':-1"), 400, "frequency_penalty must be between"},
        {BESIDE("'frequency_penalty':0.1,'presence_penalty':0.1"), 400, "cannot be used at once"},
        {BESIDE("'max_tokens':0"), 400, "max_tokens must be between"},
        {BESIDE("'stop_sequences':['a','b','c','d','e','f']"), 400, "stop_sequences must be between"},
        {BESIDE("'stop_sequences':['']"), 400, "stop_sequences[0]"},
        {BESIDE("'logprobs':2"), 422, "'logprobs' should be of type bool"},
        {BESIDE("'safety_mode':'NONE'"), 400, "safety_mode must be one of"},
        {BESIDE("'citation_options':{'mode':'fast'}"), 400, "citation_options.mode must be one of"},
        {BESIDE("'thinking':{'type':'on'}"), 400, "thinking.type must be one of"},
        {BESIDE("'thinking':{'type':'enabled','budget_tokens':5}"), 422, "'thinking.budget_tokens'"},
        {BESIDE("'response_format':{'type':'json_schema'}"), 400, "response_format.type must be one of"},
        {BESIDE("'response_format':{'type':'text','json_schema':{}}"), 400, "needs the type json_object"},
        {BESIDE("'response_format':{'type':'json_object'}," TOOLS), 400, "cannot be used with tools or documents"},
        {BESIDE("'response_format':{'type':'json_object'},'documents':['a']"), 400, "cannot be used with"},
        {BESIDE("'documents':[{'title':'t'}]"), 400, "documents[0].data is required"},
        {BESIDE("'documents':[{'data':'a','title':'t'}]"), 422, "documents[0].title"},
        {BESIDE("'documents':['']"), 400, "documents[0] must have data"},
        {BESIDE("'documents':[{'data':{}}]"), 400, "documents[0] must have data"},
        {MESSAGES("5"), 422, "'messages[0]' should be of type object"},
        {MESSAGES("{'role':'developer','content':'x'}"), 400, "role must be one of: user, assistant, system, tool"},
        {MESSAGES("{'role':'user'}"), 400, "messages[0].content is required"},
        {MESSAGES("{'role':'user','content':''}"), 400, "not empty"},
        {MESSAGES("{'role':'user','content':[]}"), 400, "not empty"},
        {MESSAGES("{'role':'user','content':'x','name':'bob'}"), 422, "messages[0].name"},
        {MESSAGES("{'role':'user','content':[{'type':'text','text':''}]}"), 400, "content[0].text must be a text"},
        {MESSAGES("{'role':'user','content':[{'type':'text','text':'a','cache_control':{}}]}"), 422, "cache_control"},
        {MESSAGES("{'role':'user','content':[{'type':'thinking','thinking':'a'}]}"), 400, "'thinking' is not one"},
        {MESSAGES("{'role':'system','content':[{'type':'image_url','image_url':{'url':'" PNG "'}}]}," USER), 400,
         "'image_url' is not one"},
        {MESSAGES("{'role':'user','content':[{'type':'image_url','image_url':{'url':'data:image/png;base64,!'}}]}"),
         400, "data URI"},
        {MESSAGES("{'role':'user','content':[{'type':'image_url','image_url':{'url':'data:image/jpeg;base64,"
                  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ'}}]}"),
         400, "not an image of the type"},
        {MESSAGES(USER ",{'role':'assistant','content':'low'}"), 400, "last message must be"},
        {MESSAGES(USER ",{'role':'assistant'}," USER), 400, "not empty"},
        {MESSAGES(USER ",{'role':'assistant','content':'a','tool_plan':'p'}," USER), 400, "tool_plan needs tool_calls"},
        {MESSAGES(USER ",{'role':'assistant','content':'a','refusal':null}," USER), 422, "messages[1].refusal"},
        {MESSAGES(USER "," RESULT("a")), 400, "'a' answers no tool call"},
        {MESSAGES(USER "," CALLS(CALL("a"))), 400, "'a' was not answered"},
        {MESSAGES(USER "," CALLS(CALL("a")) "," USER), 400, "all tool calls must be answered first"},
        {MESSAGES(USER "," CALLS(CALL("a") "," CALL("b")) "," RESULT("a") "," RESULT("a")), 400,
         "answers no tool call"},
        {MESSAGES(USER "," CALLS(CALL("a")) ",{'role':'tool','tool_call_id':'a','content':''}"), 400, "not empty"},
        {MESSAGES(USER "," CALLS(CALL("a")) ",{'role':'tool','content':'x'}"), 400, "tool_call_id is required"},
        {MESSAGES(USER
                  "," CALLS("{'id':'a','type':'function','function':{'name':'f','arguments':{}}}") "," RESULT("a")),
         422, "function.arguments' should be of type string"},
        {MESSAGES(USER
                  "," CALLS("{'id':'a','type':'function','function':{'name':'f','arguments':'['}}") "," RESULT("a")),
         400, "text of a JSON object"},
        {MESSAGES(USER "," CALLS("{'id':'a','function':{'name':'f','arguments':'{}'}}") "," RESULT("a")), 400,
         "type is required"},
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        check_read(bad[i].body, bad[i].status, bad[i].says);
}

/* --- asking --- */

static struct heard ask(struct world *w, const char *target, const char *body) SUSPENDS;
static struct heard ask(struct world *w, const char *target, const char *body)
{
    const struct http_header headers[] = {{STR("content-type"), STR("application/json")}};

    return ask_with(w, "POST", target, headers, 1, quoted(&w->arena, body, STR("")).p, NS_NEVER);
}

static yyjson_val *tree(struct world *w, struct str text)
{
    yyjson_val *v = NULL;

    return json_parse(&w->arena, text, NULL, 0, &v) == OK ? v : NULL;
}

static struct str at(yyjson_val *v, const char *pointer)
{
    yyjson_val *found = yyjson_ptr_getn(v, pointer, strlen(pointer));

    return json_text(found);
}

static int64_t number_at(yyjson_val *v, const char *pointer)
{
    return yyjson_get_sint(yyjson_ptr_get(v, pointer));
}

/* A stream put together again into the form of a whole answer; checks the order of its events. */
static yyjson_val *assemble(struct world *w, struct str body)
{
    struct sse sse CLEANUP(sse_release);
    struct buf content CLEANUP(buf_release) = BUF_INIT(1 << 20), calls CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct buf citations CLEANUP(buf_release) = BUF_INIT(1 << 20), plan CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct buf whole CLEANUP(buf_release) = BUF_INIT(1 << 20);
    yyjson_val *v, *last = NULL;
    struct sse_event event;
    struct str id = STR("");
    size_t events = 0;

    sse_init(&sse, 0);
    for (; sse_next(&sse, &body, &event) == SSE_EVENT; events++) {
        if (last || !(v = tree(w, event.data)) || !str_eq(at(v, "/type"), event.name))
            return NULL;
        struct str kind = event.name;
        if (events == 0)
            id = at(v, "/id");
        if ((events == 0) != str_eq(kind, STR("message-start")))
            return NULL;
        if (str_eq(kind, STR("content-start")))
            buf_addf(&content, "%s{\"type\":\"%s\",\"%s\":\"", content.n ? "," : "",
                     at(v, "/delta/message/content/type").p, at(v, "/delta/message/content/type").p);
        if (str_eq(kind, STR("content-delta"))) {
            buf_add_json(&content, at(v, "/delta/message/content/text"));
            buf_add_json(&content, at(v, "/delta/message/content/thinking"));
        }
        if (str_eq(kind, STR("content-end")))
            buf_add_lit(&content, "\"}");
        if (str_eq(kind, STR("tool-plan-delta")))
            buf_add_json(&plan, at(v, "/delta/message/tool_plan"));
        if (str_eq(kind, STR("tool-call-start")))
            buf_addf(&calls, "%s{\"id\":\"%s\",\"type\":\"function\",\"function\":{\"name\":\"%s\",\"arguments\":\"",
                     calls.n ? "," : "", at(v, "/delta/message/tool_calls/id").p,
                     at(v, "/delta/message/tool_calls/function/name").p);
        if (str_eq(kind, STR("tool-call-delta")))
            buf_add_json(&calls, at(v, "/delta/message/tool_calls/function/arguments"));
        if (str_eq(kind, STR("tool-call-end")))
            buf_add_lit(&calls, "\"}}");
        if (str_eq(kind, STR("citation-start"))) {
            buf_addf(&citations, "%s", citations.n ? "," : "");
            (void)!json_write(&citations, &w->arena, yyjson_ptr_get(v, "/delta/message/citations"));
        }
        if (str_eq(kind, STR("message-end")))
            last = v;
    }
    if (!last)
        return NULL;
    if (str_eq(at(last, "/delta/finish_reason"), STR("ERROR")))
        buf_add_lit(&content, "\"}"); /* it broke off */
    buf_addf(&whole, "{\"id\":\"%s\",\"finish_reason\":\"%s\",\"message\":{\"role\":\"assistant\"", id.p,
             at(last, "/delta/finish_reason").p);
    if (plan.n)
        buf_addf(&whole, ",\"tool_plan\":\"%.*s\"", STR_ARG(buf_str(&plan)));
    if (calls.n)
        buf_addf(&whole, ",\"tool_calls\":[%.*s]", STR_ARG(buf_str(&calls)));
    if (content.n)
        buf_addf(&whole, ",\"content\":[%.*s]", STR_ARG(buf_str(&content)));
    if (citations.n)
        buf_addf(&whole, ",\"citations\":[%.*s]", STR_ARG(buf_str(&citations)));
    buf_add_char(&whole, '}');
    if (yyjson_ptr_get(last, "/delta/usage")) {
        buf_add_lit(&whole, ",\"usage\":");
        (void)!json_write(&whole, &w->arena, yyjson_ptr_get(last, "/delta/usage"));
    }
    buf_add_char(&whole, '}');
    return tree(w, arena_str(&w->arena, buf_str(&whole)));
}

/* Ask whole and streamed: the same answer but for ids. Returns the whole one. */
static yyjson_val *ask_both(struct world *w, const char *members) SUSPENDS;
static yyjson_val *ask_both(struct world *w, const char *members)
{
    struct str plain = arena_printf(&w->arena, "{'model':'m',%s}", members);
    struct str stream = arena_printf(&w->arena, "{'model':'m','stream':true,%s}", members);
    struct heard one = ask(w, "/v2/chat", plain.p), other = ask(w, "/v2/chat", stream.p);
    yyjson_val *whole = tree(w, one.body), *made = assemble(w, other.body);

    if (one.status != 200 || other.status != 200 || !whole || !made)
        return NULL;
    /* ids differ between requests; the rest must not */
    static const char *const same[] = {"/finish_reason",
                                       "/usage",
                                       "/message/content",
                                       "/message/citations",
                                       "/message/tool_plan",
                                       "/message/tool_calls/0/function",
                                       "/message/tool_calls/1/function"};
    for (size_t i = 0; i < ARRAY_LEN(same); i++)
        if (!yyjson_equals(yyjson_ptr_get(whole, same[i]), yyjson_ptr_get(made, same[i])) &&
            (yyjson_ptr_get(whole, same[i]) || yyjson_ptr_get(made, same[i])))
            return NULL;
    return whole;
}

#define ASK(content) "'messages':[{'role':'user','content':'" content "'}]"

SIM_TEST(sim_cohere_answers_alike_whole_and_streamed, "models: {m: {answer_tokens: 12}}")
{
    yyjson_val *v = ask_both(w, ASK("tide?"));

    CHECK(v);
    CHECK_EQ(at(v, "/id").n, 36);
    CHECK_STR(at(v, "/finish_reason"), "COMPLETE");
    CHECK(str_starts(at(v, "/message/content/0/text"), STR("[simulated] You asked: \"tide?\"")));
    CHECK_EQ(number_at(v, "/usage/tokens/input_tokens"), 3 + 4 + 2);
    CHECK_EQ(number_at(v, "/usage/billed_units/input_tokens"), 4 + 2);
    CHECK_EQ(number_at(v, "/usage/tokens/output_tokens"), 12);
    CHECK(!yyjson_ptr_get(v, "/message/tool_calls"));
    v = ask_both(w, ASK("tide?") ",'max_tokens':3");
    CHECK_STR(at(v, "/finish_reason"), "MAX_TOKENS");
    CHECK_EQ(number_at(v, "/usage/tokens/output_tokens"), 3);
    v = ask_both(w, ASK("tide?") ",'stop_sequences':['asked']");
    CHECK_STR(at(v, "/finish_reason"), "STOP_SEQUENCE");
    CHECK_STR(at(v, "/message/content/0/text"), "[simulated] You ");
}

SIM_TEST(sim_cohere_thinks_aloud_when_told_to, "models: {m: {answer_tokens: 12}}")
{
    yyjson_val *v = ask_both(w, ASK("tide?") ",'thinking':{'type':'enabled','token_budget':10}");

    CHECK(v);
    CHECK_STR(at(v, "/message/content/0/type"), "thinking");
    CHECK_GT(at(v, "/message/content/0/thinking").n, 10);
    CHECK_STR(at(v, "/message/content/1/type"), "text");
    CHECK_EQ(number_at(v, "/usage/tokens/output_tokens"), 22);
}

#define TIDE_TOOL                                                                                                      \
    "'tools':[{'type':'function','function':{'name':'get_tide','parameters':{'type':'object','properties':{'port':{"   \
    "'type':'string'}},'required':['port']}}},{'type':'function','function':{'name':'get_wind'}}]"

SIM_TEST(sim_cohere_plans_and_calls_tools, NULL)
{
    yyjson_val *v = ask_both(w, ASK("tide and wind?") "," TIDE_TOOL), *arguments;

    CHECK(v);
    CHECK_STR(at(v, "/finish_reason"), "TOOL_CALL");
    CHECK_STR(at(v, "/message/tool_plan"), "I will call get_tide and get_wind.");
    CHECK(str_starts(at(v, "/message/tool_calls/0/id"), STR("get_tide_")));
    arguments = tree(w, at(v, "/message/tool_calls/0/function/arguments"));
    CHECK(at(arguments, "/port").p);
    CHECK_STR(at(v, "/message/tool_calls/1/function/name"), "get_wind");
    CHECK_STR(at(v, "/message/tool_calls/1/function/arguments"), "{}");
    CHECK(!yyjson_ptr_get(v, "/message/content"));
    v = ask_both(w, ASK("tide?") "," TIDE_TOOL ",'tool_choice':'NONE'");
    CHECK_STR(at(v, "/finish_reason"), "COMPLETE");
    v = ask_both(w, ASK("hello") "," TIDE_TOOL ",'tool_choice':'REQUIRED','thinking':{'type':'enabled'}");
    CHECK_STR(at(v, "/message/tool_calls/0/function/name"), "get_tide");
    CHECK_STR(at(v, "/message/content/0/type"), "thinking");
    CHECK(!yyjson_ptr_get(v, "/message/tool_plan"));
}

/* Every citation is of what stands at its place in the text. */
static void check_citations(yyjson_val *v, size_t count)
{
    yyjson_val *citations = yyjson_ptr_get(v, "/message/citations"), *c;
    struct str text = at(v, "/message/content/0/text");
    size_t i, n;

    CHECK_EQ(yyjson_arr_size(citations), count);
    yyjson_arr_foreach(citations, i, n, c)
    {
        size_t start = (size_t)number_at(c, "/start"), end = (size_t)number_at(c, "/end");
        CHECK(start < end && str_eq(str_slice(text, start, end), at(c, "/text")));
        CHECK_EQ(number_at(c, "/content_index"), 0);
    }
}

SIM_TEST(sim_cohere_cites_documents_and_tools, "models: {m: {answer_tokens: 12}}")
{
    yyjson_val *v = ask_both(w, ASK("tide?") ",'documents':['low',{'id':'d2','data':{'snippet':'high'}}]");

    CHECK(v);
    check_citations(v, 2);
    CHECK_STR(at(v, "/message/citations/0/sources/0/type"), "document");
    CHECK_STR(at(v, "/message/citations/0/sources/0/id"), "doc:0");
    CHECK_STR(at(v, "/message/citations/0/sources/0/document/text"), "low");
    CHECK_STR(at(v, "/message/citations/1/sources/0/document/id"), "d2");
    CHECK_STR(at(v, "/message/citations/1/sources/0/document/snippet"), "high");
    v = ask_both(w, ASK("tide?") ",'documents':['low'],'citation_options':{'mode':'OFF'}");
    check_citations(v, 0);
    v = ask_both(w, "'messages':[" USER "," CALLS(CALL("c1")) "," RESULT("c1") "]");
    check_citations(v, 1);
    CHECK_STR(at(v, "/message/citations/0/sources/0/type"), "tool");
    CHECK_STR(at(v, "/message/citations/0/sources/0/id"), "c1:0");
    CHECK_STR(at(v, "/message/citations/0/sources/0/tool_output/content"), "low");
    CHECK(str_find(at(v, "/message/content/0/text"), STR("The tool said: \"low\"")) < 60);
    v = ask_both(w, "'messages':[" USER
                    "," CALLS(CALL("c1")) "," RESULT("c1") ",{'role':'assistant','content':'x'}," USER "]");
    check_citations(v, 0); /* what the tool said is old */
}

SIM_TEST(sim_cohere_writes_json_by_schema, NULL)
{
    yyjson_val *v = ask_both(w, ASK("tide?") ",'response_format':{'type':'json_object','json_schema':{'type':'object',"
                                             "'properties':{'level':{'type':'integer'}},'required':['level']}}");
    yyjson_val *said = tree(w, at(v, "/message/content/0/text"));

    CHECK(yyjson_is_int(json_get(said, STR("level"))));
    v = ask_both(w, ASK("tide?") ",'response_format':{'type':'json_object'}");
    CHECK(yyjson_is_obj(tree(w, at(v, "/message/content/0/text"))));
}

SIM_TEST(sim_cohere_errors_have_their_form, "api_keys: [right-key]\nallow_overrides: true\nmodels: {m: {}}")
{
    struct http_header headers[] = {{STR("authorization"), STR("Bearer right-key")},
                                    {STR("x-sim"), STR("fault=rate_limit; retry_after=1500ms")}};
    const char *body = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}";
    struct heard h = ask(w, "/v2/chat", "{}");

    CHECK_EQ(h.status, 401);
    CHECK_STR(at(tree(w, h.body), "/message"), "no api key supplied");
    CHECK_EQ(at(tree(w, h.body), "/id").n, 36);
    h = ask_with(w, "POST", "/v2/chat", headers, 1, body, NS_NEVER);
    CHECK_EQ(h.status, 200);
    h = ask_with(w, "POST", "/v2/chat", headers, 2, body, NS_NEVER);
    CHECK_EQ(h.status, 429);
    CHECK_STR(http_head_find(h.head, STR("retry-after")), "2");
    headers[0].value = STR("Bearer wrong-key");
    h = ask_with(w, "POST", "/v2/chat", headers, 1, body, NS_NEVER);
    CHECK_EQ(h.status, 401);
    CHECK_STR(at(tree(w, h.body), "/message"), "invalid api token");
}

SIM_TEST(sim_cohere_fails_in_mid_stream_with_a_message_end, "allow_overrides: true\nmodels: {m: {}}")
{
    const struct http_header x_sim = {STR("x-sim"), STR("fault=error_event; after_tokens=3; message=gone")};
    struct heard h = ask_with(w, "POST", "/v2/chat", &x_sim, 1,
                              quoted(&w->arena, "{'model':'m','stream':true," ASK("x") "}", STR("")).p, NS_NEVER);
    yyjson_val *v = assemble(w, h.body);

    CHECK(str_starts(http_head_find(h.head, STR("content-type")), STR("text/event-stream")));
    CHECK_STR(at(v, "/finish_reason"), "ERROR");
    CHECK(str_find(h.body, STR("\"error\":\"gone\"")) < h.body.n);
}

/* --- embeddings --- */

static double real_at(yyjson_val *v, const char *pointer, size_t i)
{
    return yyjson_get_num(yyjson_arr_get(yyjson_ptr_get(v, pointer), i));
}

SIM_TEST(sim_cohere_embeds_in_every_type, NULL)
{
    struct buf bytes CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct heard h = ask(w, "/v2/embed",
                         "{'model':'m','input_type':'search_query','texts':['low','high tide'],'output_dimension':256,"
                         "'embedding_types':['float','int8','uint8','binary','ubinary','base64']}");
    yyjson_val *v = tree(w, h.body);

    CHECK_EQ(h.status, 200);
    CHECK_STR(at(v, "/response_type"), "embeddings_by_type");
    CHECK_STR(at(v, "/texts/1"), "high tide");
    CHECK_STR(at(v, "/meta/api_version/version"), "2");
    CHECK_EQ(number_at(v, "/meta/billed_units/input_tokens"), 1 + 3);
    CHECK_EQ(yyjson_arr_size(yyjson_ptr_get(v, "/embeddings/float")), 2);
    CHECK_EQ(yyjson_arr_size(yyjson_ptr_get(v, "/embeddings/float/1")), 256);
    CHECK_EQ(yyjson_arr_size(yyjson_ptr_get(v, "/embeddings/int8/1")), 256);
    CHECK_EQ(yyjson_arr_size(yyjson_ptr_get(v, "/embeddings/ubinary/1")), 32);
    CHECK_OK(base64_decode(&bytes, at(v, "/embeddings/base64/1"), BASE64));
    CHECK_EQ(bytes.n, 1024);
    for (size_t i = 0; i < 256; i++) {
        double x = real_at(v, "/embeddings/float/1", i);
        float f;
        memcpy(&f, bytes.p + 4 * i, sizeof(f));
        CHECK(f == (float)x);
        CHECK(real_at(v, "/embeddings/int8/1", i) == round(x * 127));
        CHECK(real_at(v, "/embeddings/uint8/1", i) == round(x * 127) + 128);
        int byte = (int)real_at(v, "/embeddings/ubinary/1", i / 8);
        CHECK_EQ(byte >> (7 - i % 8) & 1, x > 0);
        CHECK_EQ((int)real_at(v, "/embeddings/binary/1", i / 8), byte - 128);
    }
}

SIM_TEST(sim_cohere_embeds_images_and_inputs, "models: {m: {dimensions: 8}}")
{
    struct heard h = ask(w, "/v2/embed", "{'model':'m','input_type':'image','images':['" PNG "']}");
    yyjson_val *v = tree(w, h.body);

    CHECK_EQ(yyjson_arr_size(yyjson_ptr_get(v, "/embeddings/float/0")), 8);
    CHECK(!yyjson_ptr_get(v, "/texts"));
    h = ask(w, "/v2/embed",
            "{'model':'m','input_type':'search_document','inputs':[{'content':[{'type':'text','text':'a'},{'type':"
            "'image_url','image_url':{'url':'" PNG "'}}]}]}");
    CHECK_EQ(h.status, 200);
    CHECK_EQ(number_at(tree(w, h.body), "/meta/billed_units/input_tokens"), 1 + SIM_IMAGE_TOKENS);
}

static void check_status(struct world *w, const char *target, const char *body, int status, const char *says) SUSPENDS;
static void check_status(struct world *w, const char *target, const char *body, int status, const char *says)
{
    struct heard h = ask(w, target, body);

    CHECK_MSG(h.status == status && str_find(h.body, str_from_c(says)) < h.body.n, "%s: %d %.*s", body, h.status,
              STR_ARG(h.body));
}

SIM_TEST(sim_cohere_refuses_bad_embeddings, NULL)
{
    static const struct {
        const char *body;
        int status;
        const char *says;
    } bad[] = {
        {"{'model':'m','texts':['a']}", 400, "input_type is required"},
        {"{'model':'m','input_type':'query','texts':['a']}", 400, "input_type must be one of"},
        {"{'model':'m','input_type':'clustering'}", 400, "exactly one of texts"},
        {"{'model':'m','input_type':'clustering','texts':['a'],'images':['b']}", 400, "exactly one of texts"},
        {"{'model':'m','input_type':'clustering','texts':[]}", 400, "texts must be between 1 and 96"},
        {"{'model':'m','input_type':'clustering','texts':['']}", 400, "texts[0]"},
        {"{'model':'m','input_type':'clustering','texts':'a'}", 422, "should be of type array"},
        {"{'model':'m','input_type':'image','texts':['a']}", 400, "input_type image goes with images"},
        {"{'model':'m','input_type':'image','images':['a']}", 400, "images[0] must be a data URI"},
        {"{'model':'m','input_type':'clustering','texts':['a'],'embedding_types':['int4']}", 400, "embedding_types[0]"},
        {"{'model':'m','input_type':'clustering','texts':['a'],'output_dimension':100}", 400, "output_dimension"},
        {"{'model':'m','input_type':'clustering','texts':['a'],'truncate':'MIDDLE'}", 400, "truncate must be one of"},
        {"{'model':'m','input_type':'clustering','texts':['a'],'dimensions':256}", 422, "unknown field"},
        {"{'input_type':'clustering','texts':['a']}", 400, "model is required"},
    };

    for (size_t i = 0; i < ARRAY_LEN(bad) && !test_failed(); i++)
        check_status(w, "/v2/embed", bad[i].body, bad[i].status, bad[i].says);
}

/* --- rerank, tokenize, models --- */

SIM_TEST(sim_cohere_ranks_the_near_first, NULL)
{
    struct heard h = ask(w, "/v2/rerank",
                         "{'model':'m','query':'when is high tide in Brest','documents':['a cake recipe','high tide in "
                         "Brest is at noon','tide'],'top_n':2}");
    yyjson_val *v = tree(w, h.body);

    CHECK_EQ(h.status, 200);
    CHECK_EQ(yyjson_arr_size(json_get(v, STR("results"))), 2);
    CHECK_EQ(number_at(v, "/results/0/index"), 1);
    CHECK_EQ(number_at(v, "/results/1/index"), 2);
    double first = yyjson_get_num(yyjson_ptr_get(v, "/results/0/relevance_score"));
    double second = yyjson_get_num(yyjson_ptr_get(v, "/results/1/relevance_score"));
    CHECK(first <= 1 && first > second && second >= 0);
    CHECK_EQ(number_at(v, "/meta/billed_units/search_units"), 1);
    h = ask(w, "/v2/rerank", "{'model':'m','query':'q','documents':['a','b','c']}");
    CHECK_EQ(yyjson_arr_size(json_get(tree(w, h.body), STR("results"))), 3);
    check_status(w, "/v2/rerank", "{'model':'m','query':'q','documents':[{'text':'a'}]}", 422, "documents[0]");
    check_status(w, "/v2/rerank", "{'model':'m','query':'q','documents':[]}", 400, "documents must be between");
    check_status(w, "/v2/rerank", "{'model':'m','query':'q','documents':['a'],'top_n':0}", 400, "top_n must be");
    check_status(w, "/v2/rerank", "{'model':'m','query':'q','documents':['a'],'return_documents':true}", 422,
                 "unknown");
    check_status(w, "/v2/rerank", "{'model':'m','documents':['a']}", 400, "query is required");
}

SIM_TEST(sim_cohere_tokenizes, NULL)
{
    struct heard h = ask(w, "/v1/tokenize", "{'model':'m','text':'high tide'}");
    yyjson_val *v = tree(w, h.body);

    CHECK_EQ(yyjson_arr_size(json_get(v, STR("tokens"))), 3);
    CHECK_STR(at(v, "/token_strings/0"), "high");
    CHECK_STR(at(v, "/token_strings/2"), "e");
    check_status(w, "/v1/tokenize", "{'model':'m','text':''}", 400, "text must be between");
    check_status(w, "/v1/tokenize", "{'text':'a'}", 400, "model is required");
}

SIM_TEST(sim_cohere_lists_models_to_its_own_clients, "models: {a: {}, b: {}, c: {}, '*': {}}")
{
    const struct http_header client = {STR("x-client-name"), STR("test")};
    struct heard h = ask_with(w, "GET", "/cohere/v1/models?page_size=2", NULL, 0, NULL, NS_NEVER);
    yyjson_val *v = tree(w, h.body);

    CHECK_EQ(yyjson_arr_size(json_get(v, STR("models"))), 2);
    CHECK_STR(at(v, "/models/0/name"), "a");
    CHECK_STR(at(v, "/models/0/endpoints/0"), "chat");
    struct str next = arena_printf(&w->arena, "/v1/models?page_size=2&page_token=%s", at(v, "/next_page_token").p);
    v = tree(w, ask_with(w, "GET", next.p, NULL, 0, NULL, NS_NEVER).body);
    CHECK_EQ(yyjson_arr_size(json_get(v, STR("models"))), 1);
    CHECK_STR(at(v, "/models/0/name"), "c");
    CHECK(!json_get(v, STR("next_page_token")));
    v = tree(w, ask_with(w, "GET", "/v1/models/b", &client, 1, NULL, NS_NEVER).body);
    CHECK_STR(at(v, "/name"), "b");
    v = tree(w, ask_with(w, "GET", "/v1/models/b", NULL, 0, NULL, NS_NEVER).body);
    CHECK_STR(at(v, "/object"), "model"); /* OpenAI's */
    CHECK_EQ(ask_with(w, "GET", "/cohere/v1/models?page_size=0", NULL, 0, NULL, NS_NEVER).status, 400);
}
