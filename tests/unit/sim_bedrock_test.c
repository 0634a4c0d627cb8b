/* sim_bedrock_test.c - the simulated Bedrock: what Converse refuses, answers and streams, who may ask, and what Invoke takes. */
#include "base/bytes.h"
#include "codec/base64.h"
#include "codec/eventstream.h"
#include "codec/json.h"
#include "codec/sigv4.h"
#include "provider_world.h"
#include "quoted.h"
#include "sim/bedrock_int.h"
#include "sim/signature.h"

#define CLAUDE "anthropic.claude-test-v1:0"

/* --- reading --- */

#define USER "{'role':'user','content':[{'text':'tide?'}]}"
#define MODEL(blocks) "{'role':'assistant','content':[" blocks "]}"
#define BLOCKS(blocks) "{'role':'user','content':[" blocks "]}"
#define MESSAGES(list) "{'messages':[" list "]}"
#define WITH_TOOLS(list) "{" TOOLS ",'messages':[" list "]}"
#define BESIDE(members) "{'messages':[" USER "]," members "}"
#define TOOL "{'toolSpec':{'name':'get_tide','description':'d','inputSchema':{'json':{'type':'object'}}}}"
#define TOOLS "'toolConfig':{'tools':[" TOOL "]}"
#define USE(id) "{'toolUse':{'toolUseId':'" id "','name':'get_tide','input':{}}}"
#define RESULT(id) "{'toolResult':{'toolUseId':'" id "','content':[{'text':'low'}]}}"
#define THOUGHT "{'reasoningContent':{'reasoningText':{'text':'ok','signature':'%s'}}}"
#define THINKING(rest) "'additionalModelRequestFields':{'thinking':{'type':'enabled','budget_tokens':1024}" rest "}"
#define PNG "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
#define DOCUMENT(name) "{'document':{'format':'txt','name':'" name "','source':{'bytes':'bG93'}}}"
#define POINT "{'cachePoint':{'type':'default'}}"

/* `says` NULL: it is taken. */
static void check_read(const char *model, const char *text, const char *says)
{
    struct arena a CLEANUP(arena_release);
    struct sim_refusal r = {.status = 0};
    struct bedrock_converse *c;

    arena_init(&a, 16 << 20);
    c = arena_new(&a, struct bedrock_converse);
    test_context("%s", text);
    err_t e = bedrock_converse_read(&a, str_from_c(model), quoted(&a, text, signed_by(&a, "anthropic", "ok")), c, &r);
    CHECK_MSG(e == (says ? E_PARSE : OK), "%s: %.*s", err_name(e), STR_ARG(r.message));
    CHECK_EQ(r.status, says ? 400 : 0);
    CHECK_MSG(!says || str_find(r.message, str_from_c(says)) < r.message.n, "said: %.*s", STR_ARG(r.message));
    test_context("%s", "");
}

TEST(sim_converse_takes_what_is_documented)
{
    static const char *const good[] = {
        MESSAGES(USER),
        MESSAGES(USER "," MODEL("{'text':'low'}") "," USER),
        MESSAGES(USER "," MODEL("{'text':'The tide is'}")),
        MESSAGES(BLOCKS("{'text':'a'},{'image':{'format':'png','source':{'bytes':'" PNG "'}}}")),
        MESSAGES(BLOCKS(
            "{'image':{'format':'webp','source':{'s3Location':{'uri':'s3://b/k','bucketOwner':'123456789012'}}}}")),
        MESSAGES(BLOCKS("{'text':'a'}," DOCUMENT("a b (1) [x]-y") "," DOCUMENT("other"))),
        MESSAGES(BLOCKS("{'text':'a'},{'document':{'format':'txt','name':'n','source':{'text':'x'},'context':'c',"
                        "'citations':{'enabled':true}}}")),
        MESSAGES(BLOCKS("{'text':'a'},{'document':{'name':'n','source':{'content':[{'text':'x'}]}}}")),
        MESSAGES(BLOCKS("{'text':'a'},{'video':{'format':'mp4','source':{'bytes':'bG93'}}}")),
        MESSAGES(BLOCKS("{'text':'a'}," POINT ",{'text':'b'},{'cachePoint':{'type':'default','ttl':'1h'}}")),
        MESSAGES(BLOCKS("{'text':'a','image':null}")),
        BESIDE("'system':[{'text':'Be brief'}," POINT "]"),
        BESIDE("'inferenceConfig':{'maxTokens':5,'temperature':0,'topP':1,'stopSequences':['a','b']}"),
        BESIDE(TOOLS),
        BESIDE("'toolConfig':{'tools':[" TOOL "," POINT "],'toolChoice':{'tool':{'name':'get_tide'}}}"),
        BESIDE("'toolConfig':{'tools':[" TOOL "],'toolChoice':{'any':{}}}"),
        WITH_TOOLS(USER "," MODEL("{'text':'I look'}," USE("a.B:c_1-2") "," USE("b")) "," BLOCKS(
            RESULT("b") "," RESULT("a.B:c_1-2"))),
        WITH_TOOLS(USER "," MODEL(USE("a")) "," BLOCKS(
            "{'toolResult':{'toolUseId':'a','status':'error','content':[{'json':{'level':1}},{'image':{'format':'png',"
            "'source':{'bytes':'" PNG "'}}}]}}," POINT)),
        WITH_TOOLS(USER "," MODEL(USE("a")) "," BLOCKS(RESULT("a") ",{'text':'and?'}")),
        MESSAGES(USER "," MODEL(THOUGHT ",{'text':'low'}") "," USER),
        "{" TOOLS "," THINKING("") ",'messages':[" USER "," MODEL(THOUGHT "," USE("a")) "," BLOCKS(RESULT("a")) "]}",
        BESIDE(THINKING("") ",'inferenceConfig':{'maxTokens':1025,'temperature':1,'topP':0.95}"),
        BESIDE("'additionalModelRequestFields':{'top_k':5,'anthropic_beta':['x']}"),
        BESIDE(TOOLS
               ",'additionalModelRequestFields':{'tool_choice':{'type':'auto','disable_parallel_tool_use':true}}"),
        BESIDE(
            "'outputConfig':{'effort':'low','textFormat':{'type':'json_schema','structure':{'jsonSchema':{'name':'n',"
            "'schema':'{}'}}}}"),
        BESIDE(
            "'guardrailConfig':{'guardrailIdentifier':'g','guardrailVersion':'1','trace':'enabled'},'requestMetadata':"
            "{'a':'b'},'performanceConfig':{'latency':'optimized'},'serviceTier':{'type':'flex'}"),
        BESIDE("'additionalModelResponseFieldPaths':['/stop_sequence']"),
    };

    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        check_read(CLAUDE, good[i], NULL);
}

TEST(sim_converse_refuses_what_the_service_refuses)
{
    static const struct {
        const char *body, *says;
    } bad[] = {
        {"{", "not a JSON object"},
        {"[]", "not a JSON object"},
        {"{}", "'messages' failed to satisfy constraint: Member must not be null"},
        {"{'messages':[]}", "'messages' failed"},
        {BESIDE("'max_tokens':5"), "extraneous key [max_tokens]"},
        {BESIDE("'modelId':'m'"), "extraneous key [modelId]"},
        {BESIDE("'stream':true"), "extraneous key [stream]"},
        {MESSAGES("5"), "Expected an object at 'messages.0'"},
        {MESSAGES("{'role':'user','content':'x'}"), "Unexpected type at 'messages.0.content'"},
        {MESSAGES("{'role':'system','content':[{'text':'x'}]}"), "enum value set: [user, assistant]"},
        {MESSAGES("{'role':'user','content':[]}"), "messages.0 is empty"},
        {MESSAGES("{'role':'user','content':[{'text':'x'}],'name':'n'}"), "extraneous key [messages.0.name]"},
        {MESSAGES(MODEL("{'text':'x'}")), "must start with a user message"},
        {MESSAGES(USER "," USER), "must alternate between user and assistant"},
        {MESSAGES(USER "," MODEL("{'text':'x'}") "," MODEL("{'text':'x'}")), "must alternate"},
        {MESSAGES(USER "," MODEL("{'text':'x '}")), "trailing whitespace"},
        {MESSAGES(USER "," MODEL("{'text':'x'},{'citationsContent':{}}")), "must end with text"},
        {MESSAGES(BLOCKS("{'text':''}")), "messages.0.content.0 is blank"},
        {MESSAGES(BLOCKS("{'text':' \\n'}")), "is blank"},
        {MESSAGES(BLOCKS("{'text':5}")), "Unexpected type at 'messages.0.content.0.text'"},
        {MESSAGES(BLOCKS("{'type':'text','text':'x'}")), "exactly one member, but it has 2"},
        {MESSAGES(BLOCKS("{}")), "exactly one member, but it has 0"},
        {MESSAGES(BLOCKS("'x'")), "exactly one member"},
        {MESSAGES(BLOCKS("{'input_text':'x'}")), "extraneous key [messages.0.content.0.input_text]"},
        {MESSAGES(BLOCKS(USE("a"))), "user role does not support toolUse"},
        {MESSAGES(BLOCKS(THOUGHT)), "user role does not support reasoningContent"},
        {MESSAGES(USER "," MODEL("{'image':{'format':'png','source':{'bytes':'" PNG "'}}}") "," USER),
         "assistant role does not support image"},
        /* media */
        {MESSAGES(BLOCKS("{'image':{'format':'jpeg','source':{'bytes':'" PNG "'}}}")), "not of the format jpeg"},
        {MESSAGES(BLOCKS("{'image':{'format':'bmp','source':{'bytes':'" PNG "'}}}")), "enum value set: [png, jpeg"},
        {MESSAGES(BLOCKS("{'image':{'format':'png','source':{'bytes':'data:image/png;base64," PNG "'}}}")), "base64"},
        {MESSAGES(BLOCKS("{'image':{'format':'png','source':{'bytes':''}}}")), "are empty"},
        {MESSAGES(BLOCKS("{'image':{'format':'png','source':{'url':'https://x'}}}")), "source.url]"},
        {MESSAGES(BLOCKS("{'image':{'format':'png','source':{'text':'x'}}}")), "source.text]"},
        {MESSAGES(BLOCKS("{'image':{'format':'png','source':{'bytes':'" PNG "','s3Location':{'uri':'s3://b/k'}}}}")),
         "exactly one member"},
        {MESSAGES(BLOCKS("{'image':{'format':'png','source':{'s3Location':{'uri':'https://b/k'}}}}")), "s3://"},
        {MESSAGES(BLOCKS("{'image':{'format':'png'}}")), "'messages.0.content.0.image.source'"},
        {MESSAGES(BLOCKS("{'text':'a'}," DOCUMENT("a.txt"))), "can only contain alphanumeric"},
        {MESSAGES(BLOCKS("{'text':'a'}," DOCUMENT("a  b"))), "more than one consecutive"},
        {MESSAGES(BLOCKS("{'text':'a'}," DOCUMENT("a_b"))), "can only contain"},
        {MESSAGES(BLOCKS("{'text':'a'}," DOCUMENT("a") "," DOCUMENT("a"))), "multiple documents named 'a'"},
        {MESSAGES(BLOCKS(DOCUMENT("a"))), "must have a text block"},
        {MESSAGES(BLOCKS("{'text':'a'},{'document':{'format':'pdf','name':'a','source':{'bytes':'bG93'}}}")),
         "not of the format pdf"},
        /* cache points */
        {MESSAGES(BLOCKS("{'text':'a'},{'cachePoint':{'type':'ephemeral'}}")), "enum value set: [default]"},
        {MESSAGES(BLOCKS("{'text':'a'},{'cachePoint':{'type':'default','ttl':'2h'}}")), "enum value set: [5m, 1h]"},
        {"{'system':[{'text':'a'}," POINT
         "],'messages':[" BLOCKS("{'text':'a'}," POINT "," POINT ",{'text':'b'}," POINT "," POINT) "]}",
         "maximum of 4 cachePoint"},
        /* tools in messages */
        {WITH_TOOLS(USER "," MODEL(USE("a b")) "," BLOCKS(RESULT("a b"))), "[a-zA-Z0-9_.:-]{1,64}"},
        {WITH_TOOLS(USER "," MODEL(USE("")) "," BLOCKS(RESULT(""))), "{1,64}"},
        {WITH_TOOLS(USER "," MODEL(USE("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")) "," USER),
         "{1,64}"},
        {WITH_TOOLS(USER "," MODEL("{'toolUse':{'toolUseId':'a','name':'get.tide','input':{}}}") "," USER),
         "[a-zA-Z0-9_-]{1,64}"},
        {WITH_TOOLS(USER "," MODEL("{'toolUse':{'toolUseId':'a','name':'f','input':'{}'}}") "," USER),
         "Provide a json object"},
        {WITH_TOOLS(USER "," MODEL("{'toolUse':{'toolUseId':'a','name':'f'}}") "," USER), "input'"},
        {WITH_TOOLS(USER "," MODEL(USE("a") "," USE("a")) "," BLOCKS(RESULT("a"))), "duplicate Ids: a"},
        {WITH_TOOLS(USER "," MODEL(USE("a") "," USE("b")) "," BLOCKS(RESULT("a"))),
         "Expected toolResult blocks at messages.2.content for the following Ids: b"},
        {WITH_TOOLS(USER "," MODEL(USE("a")) "," USER), "following Ids: a"},
        {WITH_TOOLS(USER "," MODEL(USE("a"))), "Expected toolResult blocks at messages.2.content"},
        {WITH_TOOLS(USER "," MODEL(USE("a")) "," BLOCKS(RESULT("c"))), "'c', which is not one"},
        {WITH_TOOLS(USER "," MODEL(USE("a")) "," BLOCKS(RESULT("a") "," RESULT("a"))), "'a', which is not one"},
        {WITH_TOOLS(USER "," MODEL(USE("a")) "," BLOCKS("{'text':'x'}," RESULT("a"))), "must come before all others"},
        {WITH_TOOLS(USER "," MODEL(USE("a")) "," BLOCKS(RESULT("a")) "," MODEL("{'text':'x'}") "," BLOCKS(RESULT("a"))),
         "which is not one"},
        {WITH_TOOLS(USER "," MODEL(USE("a")) "," BLOCKS("{'toolResult':{'toolUseId':'a','content':[]}}")), "is empty"},
        {WITH_TOOLS(USER "," MODEL(USE("a")) "," BLOCKS("{'toolResult':{'toolUseId':'a','content':'low'}}")),
         "Unexpected type"},
        {WITH_TOOLS(USER "," MODEL(USE("a")) "," BLOCKS("{'toolResult':{'toolUseId':'a','content':[{'json':[1]}]}}")),
         "Provide a json object"},
        {WITH_TOOLS(USER "," MODEL(USE("a")) "," BLOCKS("{'toolResult':{'toolUseId':'a','content':[{'text':''}]}}")),
         "is blank"},
        {WITH_TOOLS(USER "," MODEL(USE("a")) "," BLOCKS(
             "{'toolResult':{'toolUseId':'a','is_error':true,'content':[{'text':'x'}]}}")),
         "is_error]"},
        {WITH_TOOLS(USER "," MODEL(USE("a")) "," BLOCKS(
             "{'toolResult':{'toolUseId':'a','status':'failed','content':[{'text':'x'}]}}")),
         "enum value set: [success, error]"},
        {MESSAGES(USER "," MODEL(USE("a")) "," BLOCKS(RESULT("a"))), "toolConfig field must be defined"},
        /* reasoning */
        {MESSAGES(USER "," MODEL(
             "{'reasoningContent':{'reasoningText':{'text':'no','signature':'%s'}}},{'text':'x'}") "," USER),
         "Invalid `signature`"},
        {MESSAGES(USER "," MODEL("{'reasoningContent':{'reasoningText':{'text':'ok'}}},{'text':'x'}") "," USER),
         "signature: Field required"},
        {MESSAGES(USER "," MODEL("{'reasoningContent':{'redactedContent':'bG93'}},{'text':'x'}") "," USER),
         "redacted_thinking"},
        {MESSAGES(USER "," MODEL("{'reasoningContent':{'text':'ok'}},{'text':'x'}") "," USER),
         "reasoningContent.text]"},
        {"{" TOOLS "," THINKING("") ",'messages':[" USER "," MODEL(USE("a")) "," BLOCKS(RESULT("a")) "]}",
         "Expected `thinking`"},
        {BESIDE("'additionalModelRequestFields':{'thinking':{'type':'enabled','budget_tokens':1023}}"), "1024"},
        {BESIDE(THINKING("") ",'inferenceConfig':{'maxTokens':1024}"), "must be greater than"},
        {BESIDE(THINKING("") ",'inferenceConfig':{'temperature':0.5}"), "`temperature` may only be set to 1"},
        {BESIDE(THINKING("") ",'inferenceConfig':{'topP':0.9}"), "`top_p`"},
        {BESIDE(THINKING(",'top_k':5")), "`top_k` must be unset"},
        {BESIDE(THINKING("") ",'toolConfig':{'tools':[" TOOL "],'toolChoice':{'any':{}}}"), "forces tool use"},
        /* settings */
        {BESIDE("'inferenceConfig':{'maxTokens':0}"), "'inferenceConfig.maxTokens' failed"},
        {BESIDE("'inferenceConfig':{'temperature':1.1}"), "'inferenceConfig.temperature' failed"},
        {BESIDE("'inferenceConfig':{'topP':-0.1}"), "'inferenceConfig.topP' failed"},
        {BESIDE("'inferenceConfig':{'topK':5}"), "extraneous key [inferenceConfig.topK]"},
        {BESIDE("'inferenceConfig':{'stopSequences':['']}"), "stopSequences.0"},
        {BESIDE("'system':'Be brief'"), "Unexpected type at 'system'"},
        {BESIDE("'system':[{'text':''}]"), "system.0 is blank"},
        {BESIDE("'system':[{'image':{}}]"), "extraneous key [system.0.image]"},
        {BESIDE("'toolConfig':{'tools':[]}"), "'toolConfig.tools' failed"},
        {BESIDE("'toolConfig':{'toolChoice':{'auto':{}}}"), "'toolConfig.tools'"},
        {BESIDE("'toolConfig':{'tools':[" TOOL "],'toolChoice':{'none':{}}}"), "toolChoice.none]"},
        {BESIDE("'toolConfig':{'tools':[" TOOL "],'toolChoice':{'auto':{},'any':{}}}"), "exactly one member"},
        {BESIDE("'toolConfig':{'tools':[" TOOL "],'toolChoice':{'tool':{'name':'other'}}}"), "'other'"},
        {BESIDE("'toolConfig':{'tools':[" TOOL "," TOOL "]}"), "more than once"},
        {BESIDE("'toolConfig':{'tools':[{'toolSpec':{'name':'f','inputSchema':{'json':{'properties':{}}}}}]}"),
         "must be one of the following: object"},
        {BESIDE("'toolConfig':{'tools':[{'toolSpec':{'name':'f','inputSchema':{'type':'object'}}}]}"),
         "inputSchema.type]"},
        {BESIDE("'toolConfig':{'tools':[{'toolSpec':{'name':'f'}}]}"), "inputSchema'"},
        {BESIDE("'toolConfig':{'tools':[{'toolSpec':{'name':'f','description':'','inputSchema':{'json':{'type':'object'"
                "}}}}]}"),
         "description' failed"},
        {BESIDE("'toolConfig':{'tools':[{'toolSpec':{'name':'a.b','inputSchema':{'json':{'type':'object'}}}}]}"),
         "[a-zA-Z0-9_-]{1,64}"},
        {BESIDE("'toolConfig':{'tools':[{'name':'f','inputSchema':{'json':{'type':'object'}}}]}"),
         "exactly one member"},
        {BESIDE("'additionalModelRequestFields':{'seed':5}"), "extraneous key [seed]"},
        {BESIDE("'additionalModelRequestFields':{'tool_choice':{'type':'none'}}"), "while providing tools"},
        {BESIDE("'toolConfig':{'tools':[" TOOL
                "],'toolChoice':{'auto':{}}},'additionalModelRequestFields':{'tool_choice':"
                "{'type':'none'}}"),
         "conflicts"},
        {BESIDE("'outputConfig':{'textFormat':{'type':'json_schema','structure':{'jsonSchema':{'schema':'['}}}}"),
         "not the text of a JSON object"},
        {BESIDE("'outputConfig':{'textFormat':{'type':'json_schema','structure':{'jsonSchema':{'schema':{}}}}}"),
         "Unexpected type"},
        {BESIDE("'outputConfig':{'effort':'huge'}"), "outputConfig.effort"},
        {BESIDE("'guardrailConfig':{'guardrailIdentifier':'g'}"), "guardrailVersion'"},
        {BESIDE("'requestMetadata':{'a':5}"), "requestMetadata.a"},
        {BESIDE("'performanceConfig':{'latency':'low'}"), "performanceConfig.latency"},
        {BESIDE("'serviceTier':'flex'"), "Unexpected type at 'serviceTier'"},
        {BESIDE("'additionalModelResponseFieldPaths':['stop_sequence']"), "JSON pointer"},
    };

    for (size_t i = 0; i < ARRAY_LEN(bad) && !test_failed(); i++)
        check_read(CLAUDE, bad[i].body, bad[i].says);
}

TEST(sim_converse_cache_points_say_how_long_they_live)
{
    struct arena a CLEANUP(arena_release);
    struct sim_refusal r;
    struct bedrock_converse *c;
    const char *text =
        MESSAGES(BLOCKS("{'text':'12345678'}," POINT ",{'text':'1234'},{'cachePoint':{'type':'default','ttl':'1h'}}"));

    arena_init(&a, 16 << 20);
    c = arena_new(&a, struct bedrock_converse);
    CHECK_OK(bedrock_converse_read(&a, STR("m"), quoted(&a, text, STR("")), c, &r));
    CHECK_EQ(c->prefix_count, 2);
    CHECK_EQ(c->prefixes[0].lifetime, 300 * NS_SEC);
    CHECK_EQ(c->prefixes[1].lifetime, 3600 * NS_SEC);
    CHECK_EQ(c->prefixes[0].tokens, 3 + 4 + 2);
    CHECK_EQ(c->prefixes[1].tokens, 3 + 4 + 2 + 1);
    CHECK_NE(c->prefixes[0].hash, c->prefixes[1].hash);
}

/* The limit on calls is one of a message, not of a conversation. */
TEST(sim_converse_takes_many_rounds_of_tools)
{
    struct arena a CLEANUP(arena_release);
    struct str rounds = STR(USER);

    arena_init(&a, 64 << 20);
    for (int i = 0; i < 2 * SIM_TOOLS_MAX; i++)
        rounds = arena_printf(&a, "%.*s,%s,%s", STR_ARG(rounds), MODEL(USE("a")), BLOCKS(RESULT("a")));
    check_read(CLAUDE, arena_printf(&a, "{%s,'messages':[%.*s]}", TOOLS, STR_ARG(rounds)).p, NULL);
}

TEST(sim_converse_models_of_other_families_take_no_text_beside_results)
{
    const char *mixed = WITH_TOOLS(USER "," MODEL(USE("a")) "," BLOCKS(RESULT("a") ",{'text':'and?'}"));

    check_read("us." CLAUDE, mixed, NULL);
    check_read("amazon.nova-lite-v1:0", mixed, "doesn't support text and toolResult");
    check_read("m", mixed, "doesn't support text and toolResult");
    /* what is not Claude's own is nobody's business here */
    check_read("amazon.nova-lite-v1:0", BESIDE("'additionalModelRequestFields':{'inferenceConfig':{'topK':5}}"), NULL);
}

/* --- asking --- */

static yyjson_val *tree(struct world *w, struct str text)
{
    yyjson_val *v = NULL;

    return json_parse(&w->arena, text, NULL, 0, &v) == OK ? v : NULL;
}

static struct str at(yyjson_val *v, const char *pointer)
{
    return json_text(yyjson_ptr_get(v, pointer));
}

static int64_t number_at(yyjson_val *v, const char *pointer)
{
    return yyjson_get_sint(yyjson_ptr_get(v, pointer));
}

static struct heard ask_sim(struct world *w, const char *target, const char *x_sim, struct str body) SUSPENDS;
static struct heard ask_sim(struct world *w, const char *target, const char *x_sim, struct str body)
{
    const struct http_header headers[] = {{STR("content-type"), STR("application/json")},
                                          {STR("x-sim"), str_from_c(x_sim)}};

    return ask_with(w, "POST", target, headers, x_sim ? 2 : 1, body.p, NS_NEVER);
}

static struct heard ask(struct world *w, const char *target, const char *body) SUSPENDS;
static struct heard ask(struct world *w, const char *target, const char *body)
{
    return ask_sim(w, target, NULL, quoted(&w->arena, body, STR("")));
}

#define CONVERSE "/model/anthropic.claude-test-v1%3A0/converse"
#define STREAM CONVERSE "-stream"

/* A stream read: what its frames say, put together again. */
struct told {
    struct buf text, thoughts, signature, calls; /* calls: "name(arguments)id;" */
    struct str order;                            /* one letter per event        */
    yyjson_val *stop, *metadata;
    struct str exception, message;
    bool broken, bad_json;
};

static void release(struct told *t)
{
    buf_release(&t->text);
    buf_release(&t->thoughts);
    buf_release(&t->signature);
    buf_release(&t->calls);
}

static void hear_delta(struct told *t, yyjson_val *v)
{
    buf_add(&t->text, at(v, "/delta/text"));
    buf_add(&t->thoughts, at(v, "/delta/reasoningContent/text"));
    buf_add(&t->signature, at(v, "/delta/reasoningContent/signature"));
    buf_add(&t->calls, at(v, "/delta/toolUse/input"));
}

static void hear_event(struct world *w, struct told *t, const struct eventstream_frame *f)
{
    static const char *const types[] = {"messageStart",     "contentBlockStart", "contentBlockDelta",
                                        "contentBlockStop", "messageStop",       "metadata"};
    struct str type = eventstream_string(f, STR(":event-type"));
    yyjson_val *v = tree(w, f->payload);
    size_t k = 0;

    t->bad_json |= v == NULL;
    if (str_eq(eventstream_string(f, STR(":message-type")), STR("exception"))) {
        t->exception = arena_str(&w->arena, eventstream_string(f, STR(":exception-type")));
        t->message = at(v, "/message");
        return;
    }
    while (k < ARRAY_LEN(types) && !str_eq(type, str_from_c(types[k])))
        k++;
    t->order = arena_printf(&w->arena, "%.*s%c", STR_ARG(t->order), "msdeuM?"[k]);
    if (k == 1)
        buf_addf(&t->calls, "%s(", at(v, "/start/toolUse/name").p);
    if (k == 2)
        hear_delta(t, v);
    if (k == 3 && t->calls.n > 0)
        buf_add_lit(&t->calls, ");");
    if (k == 4)
        t->stop = v;
    if (k == 5)
        t->metadata = v;
}

static void hear(struct world *w, struct str body, struct told *t)
{
    struct eventstream s CLEANUP(eventstream_release);
    struct eventstream_frame f;
    enum eventstream_result got;

    *t = (struct told){.text = BUF_INIT(1 << 20),
                       .thoughts = BUF_INIT(1 << 20),
                       .signature = BUF_INIT(1 << 20),
                       .calls = BUF_INIT(1 << 20),
                       .order = STR("")};
    eventstream_init(&s);
    while ((got = eventstream_next(&s, &body, &f)) == EVENTSTREAM_FRAME)
        hear_event(w, t, &f);
    t->broken = got == EVENTSTREAM_BROKEN || eventstream_is_within_frame(&s);
}

SIM_TEST(sim_converse_answers_alike_whole_and_streamed, "models: {'*': {answer_tokens: 12, ttft: 5ms}}")
{
    struct told t CLEANUP(release) = {.order = STR("")};
    struct heard whole = ask(w, CONVERSE, MESSAGES(USER));
    yyjson_val *v = tree(w, whole.body);

    CHECK_EQ(whole.status, 200);
    CHECK_STR(http_head_find(whole.head, STR("content-type")), "application/json");
    CHECK_EQ(http_head_find(whole.head, STR("x-amzn-requestid")).n, 36);
    struct heard stream = ask(w, STREAM, MESSAGES(USER));
    hear(w, stream.body, &t);
    CHECK_STR(http_head_find(stream.head, STR("content-type")), "application/vnd.amazon.eventstream");
    CHECK_STR(at(v, "/output/message/role"), "assistant");
    CHECK(str_starts(at(v, "/output/message/content/0/text"), STR("[simulated] You asked: \"tide?\"")));
    CHECK(str_eq(at(v, "/output/message/content/0/text"), buf_str(&t.text)));
    CHECK_STR(at(v, "/stopReason"), "end_turn");
    CHECK_EQ(number_at(v, "/usage/inputTokens"), 3 + 4 + 2);
    CHECK_EQ(number_at(v, "/usage/outputTokens"), 12);
    CHECK_EQ(number_at(v, "/usage/totalTokens"), 21);
    CHECK_EQ(number_at(v, "/metrics/latencyMs"), 5);
    CHECK_STR(t.order, "mdddddddddddd"
                       "euM");
    CHECK_STR(at(t.stop, "/stopReason"), "end_turn");
    CHECK(yyjson_equals(json_get(v, STR("usage")), json_get(t.metadata, STR("usage"))));
    CHECK(at(t.stop, "/p").n > 0 && !t.broken && !t.bad_json);
}

SIM_TEST(sim_converse_says_why_it_stopped, "models: {'*': {answer_tokens: 12}}")
{
    yyjson_val *v = tree(w, ask(w, CONVERSE, BESIDE("'inferenceConfig':{'maxTokens':3}")).body);

    CHECK_STR(at(v, "/stopReason"), "max_tokens");
    CHECK_EQ(number_at(v, "/usage/outputTokens"), 3);
    v = tree(w, ask(w, CONVERSE,
                    BESIDE("'inferenceConfig':{'stopSequences':['asked']},"
                           "'additionalModelResponseFieldPaths':['/stop_sequence']"))
                    .body);
    CHECK_STR(at(v, "/stopReason"), "stop_sequence");
    CHECK_STR(at(v, "/additionalModelResponseFields/stop_sequence"), "asked");
    CHECK_STR(at(v, "/output/message/content/0/text"), "[simulated] You ");
}

#define TWO_TOOLS                                                                                                      \
    "'toolConfig':{'tools':[{'toolSpec':{'name':'get_tide','inputSchema':{'json':{'type':'object','properties':{'"     \
    "port'"                                                                                                            \
    ":{'type':'string'}},'required':['port']}}}},{'toolSpec':{'name':'get_wind','inputSchema':{'json':{'type':'"       \
    "object'"                                                                                                          \
    "}}}}]"
#define WIND "'messages':[{'role':'user','content':[{'text':'tide and wind?'}]}]"

SIM_TEST(sim_converse_calls_tools, NULL)
{
    struct heard whole = ask(w, CONVERSE, "{" TWO_TOOLS "}," WIND "}");
    struct heard stream = ask(w, STREAM, "{" TWO_TOOLS "}," WIND "}");
    struct told t CLEANUP(release);
    yyjson_val *v = tree(w, whole.body);
    struct buf input CLEANUP(buf_release) = BUF_INIT(4096);

    hear(w, stream.body, &t);
    CHECK_STR(at(v, "/stopReason"), "tool_use");
    CHECK(str_starts(at(v, "/output/message/content/0/toolUse/toolUseId"), STR("tooluse_")));
    CHECK_STR(at(v, "/output/message/content/1/toolUse/name"), "get_wind");
    CHECK(at(v, "/output/message/content/0/toolUse/input/port").p);
    CHECK_OK(json_write(&input, &w->arena, yyjson_ptr_get(v, "/output/message/content/0/toolUse/input")));
    struct str want = arena_printf(&w->arena, "get_tide(%.*s);get_wind({});", STR_ARG(buf_str(&input)));
    CHECK_STR(buf_str(&t.calls), want.p);
    CHECK_STR(at(t.stop, "/stopReason"), "tool_use");
    v = tree(w, ask(w, CONVERSE, "{" TWO_TOOLS ",'toolChoice':{'tool':{'name':'get_wind'}}}," WIND "}").body);
    CHECK_STR(at(v, "/output/message/content/0/toolUse/name"), "get_wind");
    CHECK(!yyjson_ptr_get(v, "/output/message/content/1"));
    v = tree(
        w, ask(w, CONVERSE, "{" TWO_TOOLS "}," WIND ",'additionalModelRequestFields':{'tool_choice':{'type':'none'}}}")
               .body);
    CHECK_STR(at(v, "/stopReason"), "end_turn");
    v = tree(w, ask(w, CONVERSE, "{" TWO_TOOLS "}," WIND ",'inferenceConfig':{'maxTokens':3}}").body);
    CHECK_STR(at(v, "/stopReason"), "max_tokens");
    CHECK(yyjson_is_obj(yyjson_ptr_get(v, "/output/message/content/0/toolUse/input")));
}

SIM_TEST(sim_converse_quotes_results, NULL)
{
    yyjson_val *v = tree(w, ask(w, CONVERSE, WITH_TOOLS(USER "," MODEL(USE("a")) "," BLOCKS(RESULT("a")))).body);

    CHECK(str_find(at(v, "/output/message/content/0/text"), STR("The tool said: \"low\"")) < 60);
    v = tree(w, ask(w, CONVERSE,
                    WITH_TOOLS(USER "," MODEL(USE("a")) "," BLOCKS(
                        "{'toolResult':{'toolUseId':'a','content':[{'json':{'level':7}}]}}")))
                    .body);
    CHECK(str_find(at(v, "/output/message/content/0/text"), STR("{'level':7}")) < 60);
}

SIM_TEST(sim_converse_writes_json_by_schema, NULL)
{
    yyjson_val *v =
        tree(w, ask_sim(w, CONVERSE, NULL,
                        STR("{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"x\"}]}],"
                            "\"outputConfig\":{\"textFormat\":{\"type\":\"json_schema\",\"structure\":{"
                            "\"jsonSchema\":{\"schema\":\"{\\\"type\\\":\\\"object\\\",\\\"properties\\\":{"
                            "\\\"n\\\":{\\\"type\\\":\\\"integer\\\"}},\\\"required\\\":[\\\"n\\\"]}\"}}}}}"))
                    .body);

    CHECK(yyjson_is_int(json_get(tree(w, at(v, "/output/message/content/0/text")), STR("n"))));
}

/* The reasoning of an answer goes back with it; edited it is refused. */
SIM_TEST(sim_converse_takes_its_own_reasoning_back, NULL)
{
    struct heard whole = ask(w, CONVERSE, BESIDE(THINKING("")));
    struct heard stream = ask(w, STREAM, BESIDE(THINKING("")));
    struct told t CLEANUP(release);
    yyjson_val *v = tree(w, whole.body);
    struct buf blocks CLEANUP(buf_release) = BUF_INIT(1 << 16);

    hear(w, stream.body, &t);
    CHECK(str_eq(at(v, "/output/message/content/0/reasoningContent/reasoningText/text"), buf_str(&t.thoughts)));
    CHECK(sim_signature_is_good(STR("anthropic"), buf_str(&t.thoughts), buf_str(&t.signature)));
    CHECK(at(v, "/output/message/content/1/text").n > 0);
    CHECK_EQ(number_at(v, "/usage/outputTokens"), 32 + 20);
    CHECK_OK(json_write(&blocks, &w->arena, yyjson_ptr_get(v, "/output/message/content")));
    struct str user = quoted(&w->arena, USER, STR(""));
    struct str back = arena_printf(&w->arena, "{\"messages\":[%s,{\"role\":\"assistant\",\"content\":%.*s},%s]}",
                                   user.p, STR_ARG(buf_str(&blocks)), user.p);
    CHECK_EQ(ask_sim(w, CONVERSE, NULL, back).status, 200);
    char *edit = (char *)(uintptr_t)back.p + str_find(back, STR("Thinking"));
    *edit = 't';
    struct heard h = ask_sim(w, CONVERSE, NULL, back);
    CHECK_EQ(h.status, 400);
    CHECK(str_find(h.body, STR("Invalid `signature`")) < h.body.n);
}

static void check_cache(struct world *w, const char *model, const char *question, int64_t input, int64_t read,
                        int64_t write) SUSPENDS;
static void check_cache(struct world *w, const char *model, const char *question, int64_t input, int64_t read,
                        int64_t write)
{
    struct str target = arena_printf(&w->arena, "/model/%s/converse", model);
    struct str body = arena_printf(&w->arena,
                                   "{'system':[{'text':'12345678'}," POINT "],'messages':[{'role':'user','content':["
                                   "{'text':'%s'}," POINT ",{'text':'x'}]}]}",
                                   question);
    yyjson_val *v = tree(w, ask(w, target.p, body.p).body);

    CHECK_EQ(number_at(v, "/usage/inputTokens"), input);
    CHECK_EQ(number_at(v, "/usage/cacheReadInputTokens"), read);
    CHECK_EQ(number_at(v, "/usage/cacheWriteInputTokens"), write);
}

SIM_TEST(sim_converse_remembers_prefixes_that_end_at_a_cache_point, NULL)
{
    check_cache(w, "a", "1234", 1, 0, 10); /* 3 + 2, then 4 + 1 */
    check_cache(w, "a", "1234", 1, 10, 0);
    check_cache(w, "a", "abcdefgh", 1, 5, 6);
    check_cache(w, "b", "1234", 1, 0, 10);
}

/* --- errors and faults --- */

static const char errors_scenario[] = "allow_overrides: true\nmodels: {'anthropic.claude-test-v1:0': {}, m: {}}";

SIM_TEST(sim_bedrock_errors_have_their_form, errors_scenario)
{
    static const struct {
        const char *target, *x_sim;
        int status;
        const char *type;
    } cases[] = {
        {CONVERSE, "fault=rate_limit; retry_after=1s", 429, "ThrottlingException"},
        {CONVERSE, "fault=status; status=503", 503, "ServiceUnavailableException"},
        {CONVERSE, "fault=status; status=500", 500, "InternalServerException"},
        {CONVERSE, "fault=status; status=424", 424, "ModelErrorException"},
        {CONVERSE, "fault=status; status=408", 408, "ModelTimeoutException"},
        {CONVERSE, "fault=status; status=403", 403, "AccessDeniedException"},
        {"/model/other/converse", NULL, 404, "ResourceNotFoundException"},
        {"/model/a%253Ab/converse", NULL, 400, "ValidationException"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct heard h = ask_sim(w, cases[i].target, cases[i].x_sim, quoted(&w->arena, MESSAGES(USER), STR("")));
        CHECK_EQ(h.status, cases[i].status);
        CHECK_STR(http_head_find(h.head, STR("x-amzn-errortype")), cases[i].type);
        CHECK_GT(at(tree(w, h.body), "/message").n, 10);
    }
    struct heard h = ask(w, CONVERSE, "{");
    CHECK_EQ(h.status, 400);
    CHECK_STR(http_head_find(h.head, STR("x-amzn-errortype")), "SerializationException");
}

SIM_TEST(sim_bedrock_fails_in_mid_stream_as_told, errors_scenario)
{
    struct str body = quoted(&w->arena, MESSAGES(USER), STR(""));

    for (int kind = 0; kind < 3; kind++) {
        static const char *const faults[] = {"fault=error_event; after_tokens=3; message=gone",
                                             "fault=malformed_json; after_tokens=3",
                                             "fault=truncated_sse; after_tokens=3"};
        struct told t CLEANUP(release);
        hear(w, ask_sim(w, STREAM, faults[kind], body).body, &t);
        test_context("%s", faults[kind]);
        CHECK(str_starts(t.order, STR("mddd")));
        CHECK_EQ(t.broken, kind == 2);
        CHECK_EQ(t.bad_json, kind == 1);
        CHECK_EQ(t.exception.p != NULL, kind == 0);
        CHECK_EQ(t.metadata != NULL, kind == 1);
        if (kind == 0) {
            CHECK_STR(t.exception, "internalServerException");
            CHECK_STR(t.message, "gone");
        }
    }
}

/* --- credentials --- */

static const char keys_scenario[] = "api_keys: [bedrock-key]\n"
                                    "aws_keys:\n"
                                    "  - {access_key_id: AKIDONE, secret_access_key: secret-one}\n"
                                    "  - {access_key_id: AKIDTWO, secret_access_key: secret-two, session_token: tok}\n"
                                    "models: {'*': {}}";

/* What a request is signed with, and what is changed behind the signature. */
struct signing {
    const char *access_key, *secret, *token, *service, *target, *sent_target, *sent_body;
    int64_t late; /* seconds that the clock is off */
};

static struct heard ask_signed(struct world *w, const struct signing *s) SUSPENDS;
static struct heard ask_signed(struct world *w, const struct signing *s)
{
    const char *target = s->target ? s->target : CONVERSE;
    struct str body = quoted(&w->arena, MESSAGES(USER), STR(""));
    struct http_header headers[2 + SIGV4_HEADERS_ADDED] = {{STR("host"), STR("bedrock.test:8080")},
                                                           {STR("content-type"), STR("application/json")}};
    unsigned char hash[SHA256_BYTES];
    size_t n = 0;

    sha256(body, hash);
    struct str path = str_from_c(target), query = path;
    path = str_cut(&query, '?');
    struct sigv4_request r = {.method = STR("POST"),
                              .host = headers[0].value,
                              .path = path,
                              .query = query,
                              .headers = headers,
                              .header_count = 2,
                              .body_hash = hash};
    struct sigv4_key key = {.access_key = str_from_c(s->access_key ? s->access_key : "AKIDONE"),
                            .secret = str_from_c(s->secret ? s->secret : "secret-one"),
                            .token = str_from_c(s->token),
                            .region = STR("us-east-1"),
                            .service = str_from_c(s->service ? s->service : "bedrock")};
    if (sigv4_sign(&w->arena, &r, &key, rt_wall() / NS_SEC - s->late, headers + 2, &n) != OK)
        return (struct heard){.error = E_PARSE};
    return ask_with(w, "POST", s->sent_target ? s->sent_target : target, headers, 2 + n,
                    s->sent_body ? s->sent_body : body.p, NS_NEVER);
}

static void check_signed(struct world *w, struct signing s, const char *type) SUSPENDS;
static void check_signed(struct world *w, struct signing s, const char *type)
{
    struct heard h = ask_signed(w, &s);

    CHECK_EQ(h.status, type ? 403 : 200);
    CHECK_STR(http_head_find(h.head, STR("x-amzn-errortype")), type);
}

SIM_TEST(sim_bedrock_verifies_signatures, keys_scenario)
{
    check_signed(w, (struct signing){0}, NULL);
    check_signed(w, (struct signing){.access_key = "AKIDTWO", .secret = "secret-two", .token = "tok"}, NULL);
    check_signed(w, (struct signing){.target = "/bedrock" CONVERSE}, NULL);
    check_signed(w,
                 (struct signing){.target = "/model/arn%3Aaws%3Abedrock%3Aus%3A1%3Ainference-profile%2Fx/converse?a=b"},
                 NULL);
    check_signed(w, (struct signing){.secret = "secret-two"}, "InvalidSignatureException");
    check_signed(w, (struct signing){.access_key = "AKIDNONE"}, "UnrecognizedClientException");
    check_signed(w, (struct signing){.access_key = "AKIDTWO", .secret = "secret-two"}, "UnrecognizedClientException");
    check_signed(w, (struct signing){.access_key = "AKIDTWO", .secret = "secret-two", .token = "other"},
                 "UnrecognizedClientException");
    check_signed(w, (struct signing){.service = "s3"}, "InvalidSignatureException");
    check_signed(w, (struct signing){.late = 301}, "InvalidSignatureException");
    check_signed(w, (struct signing){.late = -302}, "InvalidSignatureException");
    check_signed(w, (struct signing){.late = 290}, NULL);
    check_signed(
        w, (struct signing){.sent_body = "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"low?\"}]}]}"},
        "InvalidSignatureException");
    check_signed(w, (struct signing){.sent_target = "/model/anthropic.claude-test-v1:0/converse"},
                 "InvalidSignatureException");
    check_signed(w, (struct signing){.sent_target = CONVERSE "?x=y"}, "InvalidSignatureException");
}

static void check_authorization(struct world *w, const char *value, int status, const char *type) SUSPENDS;
static void check_authorization(struct world *w, const char *value, int status, const char *type)
{
    const struct http_header header = {STR("authorization"), str_from_c(value)};
    struct heard h =
        ask_with(w, "POST", CONVERSE, &header, value ? 1 : 0, quoted(&w->arena, MESSAGES(USER), STR("")).p, NS_NEVER);

    CHECK_EQ(h.status, status);
    CHECK_STR(http_head_find(h.head, STR("x-amzn-errortype")), type);
}

SIM_TEST(sim_bedrock_takes_keys_as_bearer, keys_scenario)
{
    check_authorization(w, "Bearer bedrock-key", 200, NULL);
    check_authorization(w, "Bearer other-key", 403, "AccessDeniedException");
    check_authorization(w, NULL, 403, "MissingAuthenticationTokenException");
    check_authorization(w, "AWS4-HMAC-SHA256 Credential=x", 403, "IncompleteSignatureException");
}

SIM_TEST(sim_bedrock_takes_no_bearer_where_there_are_only_access_keys,
         "aws_keys: {access_key_id: A, secret_access_key: s}\nmodels: {'*': {}}")
{
    check_authorization(w, "Bearer x", 403, "AccessDeniedException");
    check_signed(w, (struct signing){.access_key = "A", .secret = "s"}, NULL);
}

SIM_TEST(sim_bedrock_without_keys_lets_everybody_in, NULL)
{
    check_authorization(w, NULL, 200, NULL);
    check_authorization(w, "AWS4-HMAC-SHA256 Credential=x", 200, NULL);
}

/* --- Invoke --- */

#define MESSAGE "'max_tokens':50,'messages':[{'role':'user','content':'tide?'}]"
#define VERSION "'anthropic_version':'bedrock-2023-05-31'"

SIM_TEST(sim_bedrock_invokes_claude_with_its_own_body, NULL)
{
    static const char target[] = "/model/us.anthropic.claude-test-v1%3A0/invoke";
    struct heard h = ask(w, target, "{" VERSION "," MESSAGE "}");
    yyjson_val *v = tree(w, h.body);

    CHECK_EQ(h.status, 200);
    CHECK_STR(at(v, "/type"), "message");
    CHECK(str_starts(at(v, "/content/0/text"), STR("[simulated]")));
    h = ask(w, target, "{" MESSAGE "}");
    CHECK_EQ(h.status, 400);
    CHECK_STR(http_head_find(h.head, STR("x-amzn-errortype")), "ValidationException");
    CHECK_EQ(ask(w, target, "{" VERSION ",'model':'m'," MESSAGE "}").status, 400);
    CHECK_EQ(ask(w, target, "{" VERSION ",'stream':true," MESSAGE "}").status, 400);
    CHECK_EQ(ask(w, target, "{'anthropic_version':'2023-06-01'," MESSAGE "}").status, 400);
    CHECK_EQ(ask(w, "/model/meta.llama/invoke", "{'prompt':'x'}").status, 400);
    CHECK_EQ(ask(w, "/model/meta.llama/invoke-with-response-stream", "{'prompt':'x'}").status, 400);
}

SIM_TEST(sim_bedrock_streams_claudes_events_in_frames, NULL)
{
    struct heard h = ask(w, "/model/anthropic.claude-test/invoke-with-response-stream", "{" VERSION "," MESSAGE "}");
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 16);
    struct eventstream s CLEANUP(eventstream_release);
    struct eventstream_frame f;
    yyjson_val *v = NULL;
    size_t count = 0;

    CHECK_STR(http_head_find(h.head, STR("content-type")), "application/vnd.amazon.eventstream");
    eventstream_init(&s);
    for (; eventstream_next(&s, &h.body, &f) == EVENTSTREAM_FRAME; count++) {
        struct buf event CLEANUP(buf_release) = BUF_INIT(1 << 16);
        CHECK_STR(eventstream_string(&f, STR(":event-type")), "chunk");
        CHECK_OK(base64_decode(&event, at(tree(w, f.payload), "/bytes"), BASE64));
        v = tree(w, buf_str(&event));
        CHECK(v);
        if (count == 0)
            CHECK_STR(at(v, "/type"), "message_start");
        buf_add(&text, at(v, "/delta/text"));
    }
    CHECK_STR(at(v, "/type"), "message_stop");
    CHECK_EQ(number_at(v, "/amazon-bedrock-invocationMetrics/outputTokenCount"), 20);
    CHECK_EQ(number_at(v, "/amazon-bedrock-invocationMetrics/inputTokenCount"), 9);
    CHECK(str_starts(buf_str(&text), STR("[simulated] You asked")));
}

SIM_TEST(sim_bedrock_embeds_by_titan, NULL)
{
    yyjson_val *v = tree(w, ask(w, "/model/amazon.titan-embed-text-v2%3A0/invoke",
                                "{'inputText':'high tide','dimensions':256,'normalize':true}")
                                .body);

    CHECK_EQ(yyjson_arr_size(json_get(v, STR("embedding"))), 256);
    CHECK_EQ(yyjson_arr_size(yyjson_ptr_get(v, "/embeddingsByType/float")), 256);
    CHECK_EQ(number_at(v, "/inputTextTokenCount"), 3);
    v = tree(w, ask(w, "/model/amazon.titan-embed-text-v1/invoke", "{'inputText':'high tide'}").body);
    CHECK_EQ(yyjson_arr_size(json_get(v, STR("embedding"))), 1536);
    CHECK(!json_get(v, STR("embeddingsByType")));
    CHECK_EQ(ask(w, "/model/amazon.titan-embed-text-v1/invoke", "{'inputText':'x','dimensions':256}").status, 400);
    CHECK_EQ(ask(w, "/model/amazon.titan-embed-text-v2:0/invoke", "{'inputText':'x','dimensions':100}").status, 400);
    CHECK_EQ(ask(w, "/model/amazon.titan-embed-text-v2:0/invoke", "{'inputText':''}").status, 400);
    CHECK_EQ(ask(w, "/model/amazon.titan-embed-text-v2:0/invoke", "{'input':'x'}").status, 400);
}

SIM_TEST(sim_bedrock_embeds_by_cohere, "models: {'*': {dimensions: 8}}")
{
    static const char target[] = "/model/cohere.embed-english-v3/invoke";
    yyjson_val *v = tree(w, ask(w, target, "{'input_type':'search_document','texts':['low','high']}").body);

    CHECK_STR(at(v, "/response_type"), "embeddings_floats");
    CHECK_EQ(yyjson_arr_size(yyjson_ptr_get(v, "/embeddings/1")), 8);
    v = tree(w, ask(w, target, "{'input_type':'search_document','texts':['low'],'embedding_types':['int8']}").body);
    CHECK_STR(at(v, "/response_type"), "embeddings_by_type");
    CHECK_EQ(yyjson_arr_size(yyjson_ptr_get(v, "/embeddings/int8/0")), 8);
    CHECK_EQ(ask(w, target, "{'model':'m','input_type':'search_document','texts':['low']}").status, 422);
    CHECK_EQ(ask(w, target, "{'texts':['low']}").status, 400);
}
