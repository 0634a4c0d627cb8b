/*
 * sim_gemini_test.c - the simulated Gemini and Vertex AI: what they refuse, in which words, and what their answers look like.
 *
 * Bodies are written with ' for ", and %s stands for a true signature of a call of get_tide.
 */
#include "base/prng.h"
#include "codec/json.h"
#include "codec/sse.h"
#include "provider_world.h"
#include "quoted.h"
#include "sim/gemini.h"
#include "sim/signature.h"

/* The text with ' made " and %s made a signature. */
static struct str body_of(struct arena *a, const char *text)
{
    return quoted(a, text, signed_by(a, "gemini", "get_tide"));
}

struct verdict {
    err_t error;
    int status;
    struct str message;
    struct gemini_request req;
};

static struct verdict judge(struct arena *a, const char *model, bool vertex, const char *text)
{
    struct verdict v = {.error = OK};
    struct sim_refusal r = {.status = 0};

    v.error = gemini_read(a, body_of(a, text), str_from_c(model), vertex, false, &v.req, &r);
    v.status = r.status;
    v.message = r.message;
    return v;
}

/* A member beside one question. */
#define BESIDE(member) "{'contents':[{'role':'user','parts':[{'text':'hi'}]}]," member "}"
#define CONFIG(members) BESIDE("'generationConfig':{" members "}")
#define TURNS(list) "{'contents':[" list "]}"
#define USER(parts) "{'role':'user','parts':[" parts "]}"
#define MODEL(parts) "{'role':'model','parts':[" parts "]}"
#define TEXT(text) "{'text':'" text "'}"
#define CALL(name) "{'functionCall':{'name':'" name "','args':{}}}"
#define SIGNED(name) "{'functionCall':{'name':'" name "','args':{}},'thoughtSignature':'%s'}"
#define RESULT(name) "{'functionResponse':{'name':'" name "','response':{'output':'low'}}}"
#define FUNCTION(members) BESIDE("'tools':[{'functionDeclarations':[{'name':'f'," members "}]}]")
#define OBJECT(members) "{'type':'OBJECT','properties':{'a':{" members "}}}"

static const char *const good[] = {
    BESIDE("'systemInstruction':{'role':'user','parts':[{'text':'Be "
           "brief'}]},'safetySettings':[{'category':'c','threshold':'t'}]"),
    BESIDE("'system_instruction':{'parts':[{'text':'x'}]},'generation_config':{'max_output_tokens':5,'top_p':0."
           "5,'topK':7,'seed':'7'}"),
    "{'contents':[{'parts':[{'text':'no role'}]}]}",
    TURNS(USER(TEXT("a")) "," MODEL(TEXT("b")) "," USER(TEXT("c")) "," MODEL(TEXT("d"))),
    TURNS(USER(TEXT("a")) "," MODEL(CALL("f") "," CALL("g")) "," USER(RESULT("f") "," RESULT("g"))),
    TURNS(USER(TEXT("a")) "," MODEL(CALL("f") "," CALL("g")) ",{'role':'function','parts':[" RESULT("g") "," RESULT(
        "f") "]}"),
    TURNS(USER(TEXT("a")) "," MODEL("{'functionCall':{'id':'1','name':'f'}},{'functionCall':{'id':'2','name':'f'}"
                                    "}") "," USER("{'functionResponse':{'id':'2','name':'f','response':{}}},{'"
                                                  "functionResponse':{'id':'1','name':'f','response':{}}}")),
    TURNS(USER("{'inlineData':{'mimeType':'application/pdf','data':'AAAA'}},{'inline_data':{'mime_type':'audio/"
               "wav','data':'-_-_'}}")),
    TURNS(USER("{'fileData':{'fileUri':'https://x/y.png'},'mediaResolution':{'level':'MEDIA_RESOLUTION_LOW'}}")),
    FUNCTION("'parametersJsonSchema':{'type':'object','additionalProperties':false,'$defs':{},'properties':{'a'"
             ":{'const':1}}}"),
    FUNCTION("'parameters':" OBJECT("'type':'string','enum':['x'],'nullable':true") ",'description':'d'"),
    FUNCTION("'parameters':{'type':'object','properties':{'a':{'type':'array','items':{'anyOf':[{'type':'"
             "STRING'},{'type':'number'}]}}},'required':['a'],'propertyOrdering':['a']}"),
    BESIDE("'tools':[{'functionDeclarations':[{'name':'f'}]},{'googleSearch':{}}],'toolConfig':{'"
           "functionCallingConfig':{'mode':'ANY','allowedFunctionNames':['f']}}"),
    CONFIG("'thinkingConfig':{'includeThoughts':true,'thinkingBudget':-1},'seed':5,'candidateCount':2"),
    CONFIG("'responseMimeType':'application/"
           "json','responseJsonSchema':{'type':'object','additionalProperties':false}"),
    CONFIG("'responseMimeType':'text/x.enum','responseSchema':{'type':'STRING','enum':['a','b']}"),
    CONFIG("'responseLogprobs':true,'logprobs':3,'stopSequences':['1','2','3','4','5']"),
};

TEST(sim_gemini_takes_what_is_documented)
{
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct arena a CLEANUP(arena_release);
        arena_init(&a, 16 << 20);
        struct verdict v = judge(&a, "gemini-2.5-flash", false, good[i]);
        CHECK_MSG(v.error == OK, "%s: %.*s", good[i], STR_ARG(v.message));
    }
}

/* Whatever is changed in a request, it is taken or refused with a reason. */
TEST(sim_gemini_survives_damaged_requests)
{
    static const char pieces[] = "{}[]\":,0n.-ex_";
    struct prng prng;

    for (uint64_t round = 0; round < test_rounds(3000); round++) {
        struct arena a CLEANUP(arena_release);
        struct gemini_request req;
        struct sim_refusal r = {.status = 0};
        arena_init(&a, 16 << 20);
        prng_seed(&prng, test_seed() + round);
        test_context("round %llu", (unsigned long long)round);
        struct str body = body_of(&a, good[prng_below(&prng, ARRAY_LEN(good))]);
        char *damaged = mem_dup(body.p, body.n);
        for (uint64_t i = 0; i <= prng_below(&prng, 3); i++)
            damaged[prng_below(&prng, body.n)] = pieces[prng_below(&prng, sizeof(pieces) - 1)];
        err_t e = gemini_read(&a, str_of(damaged, body.n), STR("gemini-3"), round % 2 == 0, round % 3 == 0, &req, &r);
        mem_free(damaged);
        CHECK(e == OK || (e == E_PARSE && r.status >= 400 && r.message.n > 0));
    }
    test_context("%s", "");
}

TEST(sim_gemini_refuses_what_the_service_refuses)
{
    static const struct {
        const char *body, *says;
    } bad[] = {
        {"{", "Invalid JSON payload received"},
        {"[]", "Root element must be a message"},
        {"{}", "contents is not specified"},
        {BESIDE("'messages':[]"), "Unknown name \"messages\": Cannot find field."},
        {BESIDE("'labels':{'a':'b'}"), "Unknown name \"labels\": Cannot find field."},
        {CONFIG("'max_tokens':5"), "Unknown name \"max_tokens\" at 'generation_config': Cannot find field."},
        {CONFIG("'MaxOutputTokens':5"), "Unknown name \"MaxOutputTokens\""},
        {CONFIG("'temperature':'hot'"), "Invalid value at 'generation_config.temperature' (TYPE_FLOAT), \"hot\""},
        {CONFIG("'temperature':2.1"), "temperature value of 2.1"},
        {CONFIG("'topP':1.1"), "topP"},
        {CONFIG("'topK':0"), "topK"},
        {CONFIG("'maxOutputTokens':0"), "maxOutputTokens"},
        {CONFIG("'maxOutputTokens':1.5"), "Invalid value at 'generation_config.max_output_tokens' (TYPE_INT32)"},
        {CONFIG("'candidateCount':9"), "candidateCount"},
        {CONFIG("'stopSequences':['1','2','3','4','5','6']"), "stop sequences but the maximum is 5"},
        {CONFIG("'stopSequences':'x'"), "Invalid value at 'generation_config.stop_sequences'"},
        {CONFIG("'logprobs':3"), "response_logprobs"},
        {CONFIG("'responseModalities':['text']"), "(TYPE_ENUM), \"text\""},
        {CONFIG("'thinkingConfig':{'thinkingBudget':5,'thinkingLevel':'LOW'}"),
         "only one of thinking budget and thinking level"},
        {CONFIG("'thinkingConfig':{'thinkingLevel':'LOW'}"), "Thinking level is not supported for this model"},
        {CONFIG("'thinkingConfig':{'thinkingBudget':-2}"), "thinking budget -2 is invalid"},
        {CONFIG("'responseMimeType':'text/html'"), "allowed mimetypes"},
        {CONFIG("'responseSchema':{'type':'STRING'}"), "only allowed with response_mime_type"},
        {CONFIG("'responseMimeType':'application/json','responseSchema':{'type':'STRING'},'responseJsonSchema':{}"),
         "cannot both be set"},
        {CONFIG(
             "'responseMimeType':'application/json','responseSchema':{'type':'OBJECT','additionalProperties':false}"),
         "Unknown name \"additionalProperties\" at 'generation_config.response_schema'"},
        {CONFIG("'responseMimeType':'text/x.enum'"), "needs a schema"},
        {CONFIG("'max_outputTokens':5"), "Unknown name \"max_outputTokens\""},
        {CONFIG("'maxoutputtokens':5"), "Unknown name \"maxoutputtokens\""},
        {CONFIG("'max_output_token':5"), "Unknown name \"max_output_token\""},
        {CONFIG("'max_output_tokens_':5"), "Unknown name \"max_output_tokens_\""},
        {CONFIG("'max-output-tokens':5"), "Unknown name \"max-output-tokens\""},
        /* contents */
        {TURNS("{'role':'assistant','parts':[{'text':'x'}]}"), "Please use a valid role: user, model."},
        {TURNS("{'role':'system','parts':[{'text':'x'}]}"), "Please use a valid role"},
        {TURNS(MODEL(TEXT("x"))), "first turn is a user turn"},
        {TURNS(USER(TEXT("a")) "," USER(TEXT("b"))), "alternate between user and model"},
        {TURNS(USER(TEXT("a")) "," MODEL(TEXT("b")) "," MODEL(TEXT("c"))), "alternate between user and model"},
        {TURNS(USER("")), "contents[0].parts: contents.parts must not be empty"},
        {TURNS("{'role':'user'}"), "parts must not be empty"},
        {TURNS("{'role':'user','content':'x'}"), "Unknown name \"content\" at 'contents[0]'"},
        {TURNS(USER("{}")), "required oneof field 'data'"},
        {TURNS(USER("{'text':'a','inlineData':{'mimeType':'a/b','data':'AAAA'}}")),
         "oneof field 'data' is already set"},
        {TURNS(USER("{'type':'text','text':'a'}")), "Unknown name \"type\" at 'contents[0].parts[0]'"},
        {TURNS(USER("'a'")), "Invalid value at 'contents[0].parts[0]'"},
        {TURNS(USER("{'inlineData':{'mimeType':'image/png','data':'***'}}")), "(TYPE_BYTES)"},
        {TURNS(USER("{'inlineData':{'mimeType':'image/png','data':'AAAA'}}")), "Provided image is not valid"},
        {TURNS(USER("{'inlineData':{'data':'AAAA'}}")), "mime_type: must be specified"},
        {TURNS(USER("{'inlineData':{'mimeType':'image/jpg','data':'AAAA'}}")), "Unsupported MIME type"},
        {TURNS(USER("{'inlineData':{'mimeType':'image/png'}}")), "data: must not be empty"},
        {TURNS(USER("{'fileData':{'mimeType':'image/png'}}")), "file_uri: must be specified"},
        {BESIDE("'systemInstruction':'x'"), "Invalid value at 'system_instruction'"},
        {BESIDE("'systemInstruction':{'parts':[{'inlineData':{'mimeType':'a/b','data':'AAAA'}}]}"),
         "only supports text parts"},
        {BESIDE("'cachedContent':'cachedContents/x'"), "CachedContent not found"},
        /* calls and responses */
        {TURNS(USER(CALL("f"))), "function call turn comes immediately after"},
        {TURNS(USER(RESULT("f"))), "function response turn comes immediately after a function call turn"},
        {TURNS(USER(TEXT("a")) "," MODEL(CALL("f"))), "number of function response parts is equal"},
        {TURNS(USER(TEXT("a")) "," MODEL(CALL("f")) "," USER(TEXT("b"))), "number of function response parts is equal"},
        {TURNS(USER(TEXT("a")) "," MODEL(CALL("f") "," CALL("g")) "," USER(RESULT("f"))),
         "number of function response parts is equal"},
        {TURNS(USER(TEXT("a")) "," MODEL(CALL("f")) "," USER(RESULT("f") "," RESULT("f"))),
         "as many function response parts"},
        {TURNS(USER(TEXT("a")) "," MODEL(CALL("f")) "," USER(RESULT("g"))), "function response `g`"},
        {TURNS(USER(TEXT("a")) "," MODEL("{'functionCall':{'id':'1','name':'f'}}") "," USER(
             "{'functionResponse':{'id':'2','name':'f','response':{}}}")),
         "its id and its name must be those of the call"},
        {TURNS(USER(TEXT("a")) "," MODEL("{'functionCall':{'id':'1','name':'f'}}") "," USER(
             "{'functionResponse':{'id':'1','name':'g','response':{}}}")),
         "its id and its name must be those of the call"},
        {TURNS(USER(TEXT("a")) "," MODEL(CALL("f")) "," USER("{'functionResponse':{'name':'f','response':'low'}}")),
         "google.protobuf.Struct"},
        {TURNS(USER(TEXT("a")) "," MODEL(CALL("f")) "," USER("{'functionResponse':{'name':'f'}}")),
         "response: must be specified"},
        {TURNS(USER(TEXT("a")) "," MODEL("{'functionCall':{'name':'f','args':'{}'}}") "," USER(RESULT("f"))),
         "google.protobuf.Struct"},
        {TURNS(USER(TEXT("a")) "," MODEL("{'functionCall':{'args':{}}}") "," USER(RESULT("f"))),
         "Name cannot be empty"},
        /* functions */
        {BESIDE("'tools':[{'type':'function','function':{}}]"), "Unknown name \"type\" at 'tools[0]'"},
        {BESIDE("'tools':[{'functionDeclarations':[{'name':'2f'}]}]"), "Invalid function name"},
        {BESIDE("'tools':[{'functionDeclarations':[{'name':'f g'}]}]"), "Invalid function name"},
        {BESIDE("'tools':[{'functionDeclarations':[{'name':'f'},{'name':'f'}]}]"),
         "Duplicate function declaration found: f"},
        {FUNCTION("'strict':true"), "Unknown name \"strict\" at 'tools[0].function_declarations[0]'"},
        {FUNCTION("'parameters':{'type':'OBJECT','properties':{'a':{'type':'STRING'}},'additionalProperties':false}"),
         "Unknown name \"additionalProperties\" at 'tools[0].function_declarations[0].parameters': Cannot find field."},
        {FUNCTION("'parameters':" OBJECT("'$ref':'#'")), "Unknown name \"$ref\""},
        {FUNCTION("'parameters':" OBJECT("'type':'STRING','const':'x'")), "Unknown name \"const\""},
        {FUNCTION("'parameters':" OBJECT("'oneOf':[]")), "Unknown name \"oneOf\""},
        {FUNCTION("'parameters':" OBJECT("'type':['STRING','NULL']")),
         "Proto field is not repeating, cannot start list"},
        {FUNCTION("'parameters':" OBJECT("'type':'text'")), "(TYPE_ENUM), \"text\""},
        {FUNCTION("'parameters':" OBJECT("'type':'STRING','enum':[1]")), "(TYPE_STRING), \"1\""},
        {FUNCTION("'parameters':" OBJECT("'type':'INTEGER','enum':['1']")), "enum: only allowed for STRING type"},
        {FUNCTION("'parameters':" OBJECT("'type':'ARRAY'")), "items: missing field"},
        {FUNCTION("'parameters':" OBJECT("'description':'no type'")), "type: must be specified"},
        {FUNCTION("'parameters':{'type':'OBJECT','properties':{}}"), "should be non-empty for OBJECT type"},
        {FUNCTION("'parameters':{'type':'OBJECT','properties':{'a':{'type':'STRING'}},'required':['b']}"),
         "required[0]: property is not defined"},
        {FUNCTION("'parameters':" OBJECT("'type':'STRING'") ",'parametersJsonSchema':{'type':'object'}"),
         "cannot both be set"},
        {FUNCTION("'parametersJsonSchema':{'type':'string'}"), "must be of type object"},
        {BESIDE("'toolConfig':{'functionCallingConfig':{'mode':'ANY'}}"), "without function_declarations"},
        {BESIDE(
             "'tools':[{'functionDeclarations':[{'name':'f'}]}],'toolConfig':{'functionCallingConfig':{'mode':'any'}}"),
         "(TYPE_ENUM), \"any\""},
        {BESIDE("'tools':[{'functionDeclarations':[{'name':'f'}]}],'toolConfig':{'functionCallingConfig':{'"
                "allowedFunctionNames':['f']}}"),
         "should only be set when function calling mode is ANY"},
        {BESIDE("'tools':[{'functionDeclarations':[{'name':'f'}]}],'toolConfig':{'functionCallingConfig':{'mode':'ANY',"
                "'allowedFunctionNames':['g']}}"),
         "`g` is not among"},
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct arena a CLEANUP(arena_release);
        arena_init(&a, 16 << 20);
        struct verdict v = judge(&a, "gemini-2.5-flash", false, bad[i].body);
        CHECK_MSG(v.error == E_PARSE, "%s: was taken", bad[i].body);
        CHECK(v.status == 400 || v.status == 403);
        CHECK_MSG(str_find(v.message, str_from_c(bad[i].says)) < v.message.n, "%s: %.*s", bad[i].body,
                  STR_ARG(v.message));
    }
}

TEST(sim_gemini_3_demands_its_signature_on_the_first_call_of_each_turn)
{
    static const struct {
        const char *body, *says; /* NULL: it is taken */
    } cases[] = {
        {TURNS(USER(TEXT("a")) "," MODEL(CALL("get_tide")) "," USER(RESULT("get_tide"))),
         "missing a thought_signature"},
        {TURNS(USER(TEXT("a")) "," MODEL(SIGNED("get_tide")) "," USER(RESULT("get_tide"))), NULL},
        {TURNS(
             USER(TEXT("a")) "," MODEL(SIGNED("get_tide") "," CALL("f")) "," USER(RESULT("get_tide") "," RESULT("f"))),
         NULL},
        {TURNS(
             USER(TEXT("a")) "," MODEL(CALL("f") "," SIGNED("get_tide")) "," USER(RESULT("f") "," RESULT("get_tide"))),
         "`default_api:f`, position 1"},
        {TURNS(USER(TEXT("a")) "," MODEL(SIGNED("f")) "," USER(RESULT("f"))), "Thought signature is not valid"},
        {TURNS(USER(TEXT("a")) "," MODEL("{'functionCall':{'name':'f'},'thoughtSignature':'AAAA'}") "," USER(
             RESULT("f"))),
         "not valid"},
        {TURNS(USER(TEXT("a")) "," MODEL("{'functionCall':{'name':'f'},'thoughtSignature':'skip_thought_signature_"
                                         "validator'}") "," USER(RESULT("f"))),
         NULL},
        {TURNS(USER(TEXT("a")) "," MODEL(SIGNED("get_tide")) "," USER(RESULT("get_tide")) "," MODEL(CALL("f")) "," USER(
             RESULT("f"))),
         "position 2"},
        {TURNS(USER(TEXT("a")) "," MODEL(CALL("f")) "," USER(RESULT("f")) "," MODEL(TEXT("b")) "," USER(TEXT("c"))),
         NULL},
        {TURNS(USER(TEXT("a")) "," MODEL("{'text':'b','thoughtSignature':'%s'}") "," USER(TEXT("c"))), "not valid"},
        {CONFIG("'thinkingConfig':{'thinkingLevel':'LOW'}"), NULL},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena a CLEANUP(arena_release);
        arena_init(&a, 16 << 20);
        test_context("%s", cases[i].body);
        struct verdict v = judge(&a, "gemini-3-pro-preview", false, cases[i].body);
        CHECK_MSG((v.error == OK) == (cases[i].says == NULL), "%.*s", STR_ARG(v.message));
        if (cases[i].says)
            CHECK_MSG(str_find(v.message, str_from_c(cases[i].says)) < v.message.n, "%.*s", STR_ARG(v.message));
    }
    test_context("%s", "");
}

TEST(sim_gemini_refuses_what_is_nested_too_deeply)
{
    struct arena a CLEANUP(arena_release);
    struct str schema = STR("{'type':'STRING'}");

    arena_init(&a, 64 << 20);
    for (int i = 0; i < 110; i++)
        schema = arena_printf(&a, "{'type':'ARRAY','items':%.*s}", STR_ARG(schema));
    struct verdict v = judge(&a, "g", false, arena_printf(&a, CONFIG("'responseSchema':%.*s"), STR_ARG(schema)).p);
    CHECK(str_find(v.message, STR("nested too deeply")) < v.message.n);
}

TEST(sim_vertex_has_members_of_its_own)
{
    struct arena a CLEANUP(arena_release);

    arena_init(&a, 16 << 20);
    CHECK_OK(judge(&a, "g", true, BESIDE("'labels':{'a':'b'}")).error);
    CHECK_ERR(judge(&a, "g", true, BESIDE("'labels':{'a':1}")).error, E_PARSE);
    CHECK_ERR(judge(&a, "g", true, BESIDE("'store':true")).error, E_PARSE);
    CHECK_OK(judge(&a, "g", false, BESIDE("'store':true")).error);
    CHECK_ERR(judge(&a, "g", true, TURNS(USER("{'fileData':{'fileUri':'gs://x'}}"))).error, E_PARSE);
}

/* --- asking --- */

static struct heard ask(struct world *w, const char *target, const char *x_sim, const char *text) SUSPENDS;
static struct heard ask(struct world *w, const char *target, const char *x_sim, const char *text)
{
    const struct http_header headers[] = {{STR("content-type"), STR("application/json")},
                                          {STR("authorization"), STR("Bearer k")},
                                          {STR("x-sim"), str_from_c(x_sim)}};

    return ask_with(w, text ? "POST" : "GET", target, headers, x_sim ? 3 : 2, text ? body_of(&w->arena, text).p : NULL,
                    NS_NEVER);
}

/* The JSON of an answer; NULL if it is not a 200. */
static yyjson_val *answer_of(struct world *w, struct heard h)
{
    yyjson_val *v;

    return h.error == OK && h.status == 200 && json_parse(&w->arena, h.body, NULL, 0, &v) == OK ? v : NULL;
}

static yyjson_val *part_of(yyjson_val *answer, size_t candidate, size_t part)
{
    yyjson_val *c = yyjson_arr_get(json_get(answer, STR("candidates")), candidate);

    return yyjson_arr_get(json_get(json_get(c, STR("content")), STR("parts")), part);
}

static struct str finish_of(yyjson_val *answer, size_t candidate)
{
    return json_get_str(yyjson_arr_get(json_get(answer, STR("candidates")), candidate), STR("finishReason"),
                        STR("none"));
}

static int64_t used(yyjson_val *answer, const char *name)
{
    return json_get_i64(json_get(answer, STR("usageMetadata")), str_from_c(name), -1);
}

/* A stream put together again. */
struct gathered {
    struct str text, thoughts, call, signature, finish;
    size_t chunks, finishes;
    int64_t said, total;
    struct str error;
    bool well_formed;
};

static void gather_chunk(struct arena *a, struct gathered *g, yyjson_val *v)
{
    yyjson_val *candidate = yyjson_arr_get_first(json_get(v, STR("candidates"))), *part;
    size_t i, n;

    g->chunks++;
    g->error = json_get_str(json_get(v, STR("error")), STR("status"), g->error);
    g->well_formed &= json_get(v, STR("error")) || used(v, "totalTokenCount") >= g->total;
    g->said = used(v, "candidatesTokenCount");
    g->total = used(v, "totalTokenCount");
    g->finishes += json_get(candidate, STR("finishReason")) != NULL;
    g->finish = json_get_str(candidate, STR("finishReason"), g->finish);
    yyjson_arr_foreach(json_get(json_get(candidate, STR("content")), STR("parts")), i, n, part)
    {
        struct str text = json_get_str(part, STR("text"), STR(""));
        if (json_get_bool(part, STR("thought"), false))
            g->thoughts = arena_join(a, g->thoughts, text);
        else
            g->text = arena_join(a, g->text, text);
        g->signature = json_get_str(part, STR("thoughtSignature"), g->signature);
        g->call = json_get_str(json_get(part, STR("functionCall")), STR("name"), g->call);
    }
}

static struct gathered gather(struct world *w, struct str body)
{
    struct gathered g = {.text = STR(""), .thoughts = STR(""), .well_formed = true};
    struct sse sse CLEANUP(sse_release);
    struct sse_event event;
    yyjson_val *v;

    sse_init(&sse, 0);
    /* nothing but data lines, ended as Google ends them */
    g.well_formed &= str_starts(body, STR("data: {")) && str_ends(body, STR("}\r\n\r\n"));
    while (sse_next(&sse, &body, &event) == SSE_EVENT) {
        g.well_formed &= json_parse(&w->arena, event.data, NULL, 0, &v) == OK;
        gather_chunk(&w->arena, &g, v);
    }
    return g;
}

#define FLASH "/v1beta/models/gemini-2.5-flash"
#define PRO "/v1beta/models/gemini-3-pro"
#define ASKING "{'contents':[{'role':'user','parts':[{'text':'tide?'}]}]"
#define TIDE                                                                                                           \
    "'tools':[{'functionDeclarations':[{'name':'get_tide','parameters':{'type':'OBJECT','properties':{'port':{'type':" \
    "'STRING'}},'required':['port']}},{'name':'get_wave'}]}]"

SIM_TEST(sim_gemini_answers_alike_whole_and_streamed, NULL)
{
    struct heard h = ask(w, FLASH ":generateContent", NULL, ASKING "}");
    yyjson_val *v = answer_of(w, h);

    CHECK(v != NULL);
    struct str text = json_get_str(part_of(v, 0, 0), STR("text"), STR("none"));
    CHECK(str_starts(text, STR("[simulated] You asked: \"tide?\" ")));
    CHECK_STR(finish_of(v, 0), "STOP");
    CHECK_EQ(used(v, "promptTokenCount"), 9);
    CHECK_EQ(used(v, "candidatesTokenCount"), 20);
    CHECK_EQ(used(v, "totalTokenCount"), 29);
    CHECK_STR(json_get_str(v, STR("modelVersion"), STR("")), "gemini-2.5-flash");
    h = ask(w, "/gemini" FLASH ":streamGenerateContent?alt=sse", NULL, ASKING "}");
    CHECK_STR(http_head_find(h.head, STR("content-type")), "text/event-stream");
    struct gathered g = gather(w, h.body);
    CHECK(g.well_formed);
    CHECK(str_eq(g.text, text));
    CHECK_EQ(g.chunks, 21);
    CHECK_EQ(g.finishes, 1);
    CHECK_STR(g.finish, "STOP");
    CHECK_EQ(g.said, 20);
    h = ask(w, FLASH ":streamGenerateContent", NULL, ASKING "}");
    v = answer_of(w, h); /* one JSON array */
    CHECK_EQ(yyjson_arr_size(v), 21);
    CHECK_STR(http_head_find(h.head, STR("content-type")), "application/json");
}

SIM_TEST(sim_gemini_calls_functions_whole_and_takes_its_signature_back, NULL)
{
    yyjson_val *v = answer_of(w, ask(w, PRO ":generateContent", NULL,
                                     "{'contents':[{'role':'user','parts':[{'text':'tide and wave?'}]}]," TIDE "}"));
    yyjson_val *first = part_of(v, 0, 0), *second = part_of(v, 0, 1);

    CHECK(v != NULL);
    CHECK_STR(finish_of(v, 0), "STOP");
    CHECK_STR(json_get_str(json_get(first, STR("functionCall")), STR("name"), STR("")), "get_tide");
    CHECK(yyjson_is_str(json_get(json_get(json_get(first, STR("functionCall")), STR("args")), STR("port"))));
    CHECK_STR(json_get_str(json_get(second, STR("functionCall")), STR("name"), STR("")), "get_wave");
    CHECK(json_get(json_get(first, STR("functionCall")), STR("id")) != NULL);
    struct str sign = json_get_str(first, STR("thoughtSignature"), STR(""));
    CHECK(sim_signature_is_good(STR("gemini"), STR("get_tide"), sign));
    CHECK(!json_get(second, STR("thoughtSignature")));
    struct heard h = ask(w, PRO ":streamGenerateContent?alt=sse", NULL, ASKING "," TIDE "}");
    struct gathered g = gather(w, h.body);
    CHECK(g.well_formed);
    CHECK_STR(g.call, "get_tide");
    CHECK_STR(g.finish, "STOP");
    CHECK_EQ(g.chunks, 2);
    struct str again = arena_printf(&w->arena,
                                    TURNS(USER(TEXT("a")) ",{'role':'model','parts':[{'functionCall':{'name':'get_tide'"
                                                          "},'thoughtSignature':'%.*s'}]}," USER(RESULT("get_tide"))),
                                    STR_ARG(g.signature));
    v = answer_of(w, ask(w, PRO ":generateContent", NULL, again.p));
    CHECK(str_find(json_get_str(part_of(v, 0, 0), STR("text"), STR("")), STR("The tool said: \"low\"")) < 40);
    h = ask(w, PRO ":generateContent", NULL,
            TURNS(USER(TEXT("a")) "," MODEL(CALL("get_tide")) "," USER(RESULT("get_tide"))));
    CHECK_EQ(h.status, 400);
    v = answer_of(w, ask(w, FLASH ":generateContent", NULL, ASKING "," TIDE "}"));
    CHECK(!json_get(part_of(v, 0, 0), STR("thoughtSignature"))); /* one that does not think has none */
}

SIM_TEST(sim_gemini_calls_only_what_it_may, NULL)
{
    yyjson_val *v = answer_of(
        w, ask(w, FLASH ":generateContent", NULL,
               ASKING "," TIDE
                      ",'toolConfig':{'functionCallingConfig':{'mode':'ANY','allowedFunctionNames':['get_wave']}}}"));

    CHECK_STR(json_get_str(json_get(part_of(v, 0, 0), STR("functionCall")), STR("name"), STR("")), "get_wave");
    CHECK(!part_of(v, 0, 1));
    v = answer_of(w,
                  ask(w, FLASH ":generateContent", NULL, ASKING "," TIDE ",'generationConfig':{'maxOutputTokens':4}}"));
    CHECK_STR(finish_of(v, 0), "MAX_TOKENS");
    CHECK(!part_of(v, 0, 0)); /* half a call is none */
}

/* Completion tokens that were counted of the model. */
static int64_t counted(struct world *w, const char *model)
{
    struct buf json CLEANUP(buf_release) = BUF_INIT(1 << 20);
    yyjson_val *v;

    if (sim_provider_stats(w->provider, &json) != OK || json_parse(&w->arena, buf_str(&json), NULL, 0, &v) != OK)
        return -1;
    return json_get_i64(json_get(json_get(v, STR("models")), str_from_c(model)), STR("completion_tokens"), -1);
}

SIM_TEST(sim_gemini_counts_thoughts_that_it_does_not_show, NULL)
{
    const char *asked = ASKING ",'generationConfig':{'thinkingConfig':{'thinkingBudget':100}}}";

    CHECK_EQ(ask(w, FLASH ":generateContent", NULL, asked).status, 200);
    CHECK_EQ(counted(w, "gemini-2.5-flash"), 36);
    CHECK_EQ(ask(w, FLASH ":streamGenerateContent?alt=sse", NULL, asked).status, 200);
    CHECK_EQ(counted(w, "gemini-2.5-flash"), 72);
}

SIM_TEST(sim_gemini_shows_thoughts_when_asked_to, NULL)
{
    yyjson_val *v = answer_of(w, ask(w, FLASH ":generateContent", NULL,
                                     ASKING ",'generationConfig':{'thinkingConfig':{'includeThoughts':true}}}"));

    CHECK(json_get_bool(part_of(v, 0, 0), STR("thought"), false));
    CHECK(!json_get(part_of(v, 0, 1), STR("thought")));
    CHECK_EQ(used(v, "thoughtsTokenCount"), 16);
    CHECK_EQ(used(v, "candidatesTokenCount"), 20);
    CHECK_EQ(used(v, "totalTokenCount"), 9 + 16 + 20);
    struct heard h = ask(w, FLASH ":streamGenerateContent?alt=sse", NULL,
                         ASKING ",'generationConfig':{'thinkingConfig':{'includeThoughts':true}}}");
    struct gathered g = gather(w, h.body);
    CHECK(g.well_formed);
    CHECK(str_eq(g.thoughts, json_get_str(part_of(v, 0, 0), STR("text"), STR(""))));
    CHECK_EQ(g.total, 9 + 16 + 20);
    v = answer_of(w, ask(w, FLASH ":generateContent", NULL,
                         ASKING ",'generationConfig':{'thinkingConfig':{'thinkingBudget':100}}}"));
    CHECK(!json_get(part_of(v, 0, 0), STR("thought")));
    CHECK_EQ(used(v, "thoughtsTokenCount"), 16);
    h = ask(w, FLASH ":streamGenerateContent?alt=sse", NULL,
            ASKING ",'generationConfig':{'thinkingConfig':{'thinkingBudget':100}}}");
    g = gather(w, h.body);
    CHECK_EQ(g.total, 9 + 16 + 20); /* those not shown are counted at the end */
    v = answer_of(w, ask(w, FLASH ":generateContent", NULL,
                         ASKING ",'generationConfig':{'thinkingConfig':{'thinkingBudget':0}}}"));
    CHECK_EQ(used(v, "thoughtsTokenCount"), -1);
}

SIM_TEST(sim_gemini_says_why_it_ended, NULL)
{
    yyjson_val *v = answer_of(w, ask(w, FLASH ":generateContent", NULL,
                                     ASKING ",'generationConfig':{'maxOutputTokens':5,'candidateCount':2}}"));

    CHECK_EQ(yyjson_arr_size(json_get(v, STR("candidates"))), 2);
    CHECK_STR(finish_of(v, 1), "MAX_TOKENS");
    CHECK_EQ(used(v, "candidatesTokenCount"), 10);
    v = answer_of(
        w, ask(w, FLASH ":generateContent", NULL, "{'contents':[{'parts':[{'text':'SIMULATE_BLOCKED_ANSWER'}]}]}"));
    CHECK_STR(finish_of(v, 0), "SAFETY");
    CHECK(!part_of(v, 0, 0));
    v = answer_of(
        w, ask(w, FLASH ":generateContent", NULL, "{'contents':[{'parts':[{'text':'SIMULATE_BLOCKED_PROMPT'}]}]}"));
    CHECK(!json_get(v, STR("candidates")));
    CHECK_STR(json_get_str(json_get(v, STR("promptFeedback")), STR("blockReason"), STR("")), "SAFETY");
    struct heard h =
        ask(w, FLASH ":streamGenerateContent", NULL, "{'contents':[{'parts':[{'text':'SIMULATE_BLOCKED_PROMPT'}]}]}");
    CHECK_EQ(yyjson_arr_size(answer_of(w, h)), 1);
    v = answer_of(w, ask(w, FLASH ":generateContent", NULL,
                         ASKING ",'generationConfig':{'responseMimeType':'text/"
                                "x.enum','responseSchema':{'type':'STRING','enum':['yes']}}}"));
    CHECK_STR(json_get_str(part_of(v, 0, 0), STR("text"), STR("")), "yes");
    v = answer_of(w, ask(w, FLASH ":generateContent", NULL,
                         ASKING ",'generationConfig':{'responseMimeType':'application/json','responseSchema':" OBJECT(
                             "'type':'INTEGER'") "}}"));
    yyjson_val *made;
    CHECK_OK(json_parse(&w->arena, json_get_str(part_of(v, 0, 0), STR("text"), STR("")), NULL, 0, &made));
    CHECK(!json_get(made, STR("a")) || yyjson_is_int(json_get(made, STR("a"))));
    CHECK(yyjson_is_obj(made));
    v = answer_of(w, ask(w, FLASH ":generateContent", NULL,
                         ASKING ",'generationConfig':{'responseLogprobs':true,'logprobs':2}}"));
    yyjson_val *logs = json_get(yyjson_arr_get_first(json_get(v, STR("candidates"))), STR("logprobsResult"));
    CHECK_EQ(yyjson_arr_size(json_get(logs, STR("chosenCandidates"))), 20);
    CHECK_EQ(yyjson_arr_size(json_get(yyjson_arr_get(json_get(logs, STR("topCandidates")), 3), STR("candidates"))), 2);
}

SIM_TEST(sim_gemini_errors_have_googles_form, "{api_keys: [k], allow_overrides: true, models: {gemini-2.5-flash: {}}}")
{
    struct heard h = ask(w, FLASH ":generateContent", "fault=rate_limit;retry_after=34400ms", ASKING "}");
    yyjson_val *v;

    CHECK_EQ(h.status, 429);
    CHECK(!http_head_find(h.head, STR("retry-after")).p);
    CHECK_OK(json_parse(&w->arena, h.body, NULL, 0, &v));
    yyjson_val *error = json_get(v, STR("error"));
    CHECK_STR(json_get_str(error, STR("status"), STR("")), "RESOURCE_EXHAUSTED");
    CHECK_STR(json_get_str(yyjson_arr_get_first(json_get(error, STR("details"))), STR("retryDelay"), STR("")), "34.4s");
    h = ask(w, FLASH ":streamGenerateContent", "fault=status;status=503", ASKING "}");
    CHECK(str_starts(h.body, STR("[{\"error\":{\"code\":503")));
    CHECK(str_ends(h.body, STR("]")));
    h = ask(w, FLASH ":streamGenerateContent?alt=sse", "fault=status;status=503", ASKING "}");
    CHECK(str_starts(h.body, STR("{\"error\":{\"code\":503")));
    h = ask(w, FLASH ":streamGenerateContent?alt=sse", "fault=error_event;after_tokens=3", ASKING "}");
    struct gathered g = gather(w, h.body);
    CHECK(g.well_formed);
    CHECK_STR(g.error, "INTERNAL");
    CHECK_EQ(g.finishes, 0);
    h = ask(w, FLASH ":streamGenerateContent", "fault=error_event;after_tokens=0", ASKING "}");
    CHECK_OK(json_parse(&w->arena, h.body, NULL, 0, &v));
    CHECK_EQ(yyjson_arr_size(v), 1);
    h = ask(w, "/v1beta/models/nope:generateContent", NULL, ASKING "}");
    CHECK_EQ(h.status, 404);
    CHECK(str_find(h.body, STR("NOT_FOUND")) < h.body.n);
    h = ask_with(w, "POST", FLASH ":generateContent?key=bad", NULL, 0, "{}", NS_NEVER);
    CHECK_EQ(h.status, 400);
    CHECK(str_find(h.body, STR("API_KEY_INVALID")) < h.body.n);
    CHECK_EQ(ask_with(w, "POST", FLASH ":generateContent", NULL, 0, "{}", NS_NEVER).status, 403);
    const struct http_header key = {STR("x-goog-api-key"), STR("k")};
    h = ask_with(w, "POST", FLASH ":generateContent", &key, 1, "{}", NS_NEVER);
    CHECK(str_find(h.body, STR("contents is not specified")) < h.body.n);
    h = ask_with(w, "POST", FLASH ":generateContent?key=k", NULL, 0, "{}", NS_NEVER);
    CHECK(str_find(h.body, STR("contents is not specified")) < h.body.n);
}

SIM_TEST(sim_gemini_makes_vectors_counts_and_lists, "models: {m1: {dimensions: 8}, m2: {}, m3: {}}")
{
    yyjson_val *v = answer_of(w, ask(w, "/v1beta/models/m1:embedContent", NULL,
                                     "{'content':{'parts':[{'text':'a'}]},'taskType':'RETRIEVAL_QUERY'}"));
    yyjson_val *one = json_get(json_get(v, STR("embedding")), STR("values"));

    CHECK_EQ(yyjson_arr_size(one), 8);
    v = answer_of(w, ask(w, "/v1beta/models/m1:batchEmbedContents", NULL,
                         "{'requests':[{'model':'models/"
                         "m1','content':{'parts':[{'text':'b'}]},'outputDimensionality':3},{'model':'models/"
                         "m1','content':{'parts':[{'text':'a'}]}}]}"));
    yyjson_val *all = json_get(v, STR("embeddings"));
    CHECK_EQ(yyjson_arr_size(json_get(yyjson_arr_get(all, 0), STR("values"))), 3);
    CHECK(yyjson_equals(json_get(yyjson_arr_get(all, 1), STR("values")), one));
    CHECK_EQ(ask(w, "/v1beta/models/m1:batchEmbedContents", NULL, "{'requests':[{'content':{'parts':[{'text':'b'}]}}]}")
                 .status,
             400);
    CHECK_EQ(ask(w, "/v1beta/models/m1:embedContent", NULL, "{'content':{'parts':[{'txt':'a'}]}}").status, 400);
    CHECK_EQ(ask(w, "/v1beta/models/m1:embedContent", NULL, "{'content':{'parts':[{'text':''}]}}").status, 400);
    v = answer_of(w, ask(w, "/v1beta/models/m1:countTokens", NULL,
                         "{'generateContentRequest':{'model':'models/m1','contents':[{'parts':[{'text':'tide?'}]}]}}"));
    CHECK_EQ(json_get_i64(v, STR("totalTokens"), 0), 9);
    CHECK_EQ(ask(w, "/v1beta/models/m1:countTokens", NULL,
                 "{'generateContentRequest':{'model':'models/m2','contents':[{'parts':[{'text':'a'}]}]}}")
                 .status,
             400);
    v = answer_of(w, ask(w, "/v1beta/models?pageSize=2", NULL, NULL));
    CHECK_EQ(yyjson_arr_size(json_get(v, STR("models"))), 2);
    CHECK_STR(json_get_str(v, STR("nextPageToken"), STR("")), "2");
    v = answer_of(w, ask(w, "/v1beta/models?pageSize=2&pageToken=2", NULL, NULL));
    CHECK_STR(json_get_str(yyjson_arr_get_first(json_get(v, STR("models"))), STR("name"), STR("")), "models/m3");
    CHECK(!json_get(v, STR("nextPageToken")));
    CHECK_STR(json_get_str(answer_of(w, ask(w, "/v1beta/models/m2", NULL, NULL)), STR("name"), STR("")), "models/m2");
    CHECK_EQ(ask(w, "/v1beta/models/nope", NULL, NULL).status, 404);
    v = answer_of(w, ask(w, "/v1/models?key=k", NULL, NULL)); /* with a key of Google's the list is Gemini's */
    CHECK_EQ(yyjson_arr_size(json_get(v, STR("models"))), 3);
}

#define VERTEX "/v1/projects/p/locations/us-east5/publishers/"
#define CLAUDE "{'anthropic_version':'vertex-2023-10-16','max_tokens':50,'messages':[{'role':'user','content':'tide?'}]"

SIM_TEST(sim_vertex_serves_gemini_and_claude, NULL)
{
    yyjson_val *v =
        answer_of(w, ask(w, VERTEX "google/models/gemini-3-pro:generateContent", NULL, ASKING "," TIDE "}"));

    CHECK_STR(json_get_str(json_get(part_of(v, 0, 0), STR("functionCall")), STR("name"), STR("")), "get_tide");
    CHECK(!json_get(json_get(part_of(v, 0, 0), STR("functionCall")), STR("id")));
    v = answer_of(w, ask(w, "/vertex" VERTEX "anthropic/models/claude-x@20260101:rawPredict", NULL, CLAUDE "}"));
    CHECK_STR(json_get_str(v, STR("model"), STR("")), "claude-x@20260101");
    struct heard h = ask(w, VERTEX "anthropic/models/claude-x:streamRawPredict", NULL, CLAUDE ",'stream':true}");
    CHECK(str_starts(h.body, STR("event: message_start\n")));
    CHECK(str_ends(h.body, STR("data: {\"type\":\"message_stop\"}\n\n")));
    h = ask(w, VERTEX "anthropic/models/claude-x:rawPredict", NULL, CLAUDE ",'model':'claude-x'}");
    CHECK_EQ(h.status, 400);
    CHECK(str_starts(h.body, STR("{\"type\":\"error\"")));
    v = answer_of(
        w, ask(w, VERTEX "anthropic/models/count-tokens:rawPredict", NULL,
               "{'anthropic_version':'vertex-2023-10-16','model':'c','messages':[{'role':'user','content':'tide?'}]}"));
    CHECK_EQ(json_get_i64(v, STR("input_tokens"), 0), 9);
    v = answer_of(
        w, ask(w, VERTEX "google/models/m:predict", NULL,
               "{'instances':[{'content':'a','task_type':'CLUSTERING'}],'parameters':{'outputDimensionality':4}}"));
    yyjson_val *made = json_get(yyjson_arr_get_first(json_get(v, STR("predictions"))), STR("embeddings"));
    CHECK_EQ(yyjson_arr_size(json_get(made, STR("values"))), 4);
    CHECK_EQ(json_get_i64(json_get(made, STR("statistics")), STR("token_count"), 0), 1);
    h = ask_with(w, "POST", VERTEX "google/models/m:generateContent", NULL, 0, "{}", NS_NEVER);
    CHECK_EQ(h.status, 401);
    CHECK(str_find(h.body, STR("UNAUTHENTICATED")) < h.body.n);
    h = ask(w, "/v1beta1/projects/p/locations/global/endpoints/openapi/chat/completions", NULL,
            "{'model':'google/g','messages':[{'role':'user','content':'x'}]}");
    CHECK_EQ(h.status, 200);
}
