/*
 * sim_anthropic_test.c - the simulated Claude: what it refuses, in which words, and what its answers look like.
 *
 * Bodies are written with ' for ", and %s stands for a true signature of the text "ok".
 */
#include "base/prng.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "codec/sse.h"
#include "provider_world.h"
#include "quoted.h"
#include "sim/anthropic.h"
#include "sim/media.h"
#include "sim/signature.h"

/* --- reading --- */

/* The text with ' made " and %s made a signature. */
static struct str body_of(struct arena *a, const char *text)
{
    return quoted(a, text, signed_by(a, "anthropic", "ok"));
}

struct verdict {
    err_t error;
    int status;
    struct str message;
    struct anthropic_request req;
};

static struct verdict judge(struct arena *a, const char *version, const struct anthropic_host *host, const char *text)
{
    struct verdict v = {.error = OK};
    struct sim_refusal r = {.status = 0};

    v.error = anthropic_read(a, body_of(a, text), host, str_from_c(version), &v.req, &r);
    v.status = r.status;
    v.message = r.message;
    return v;
}

/* A member beside model, max_tokens and a question. */
#define BESIDE(member) "{'model':'m','max_tokens':2000,'messages':[{'role':'user','content':'hi'}]," member "}"
#define MESSAGES(list) "{'model':'m','max_tokens':2000,'messages':[" list "]}"
#define USER(blocks) "{'role':'user','content':[" blocks "]}"
#define MODEL(blocks) "{'role':'assistant','content':[" blocks "]}"
#define TEXT(text) "{'type':'text','text':'" text "'}"
#define CALL(id) "{'type':'tool_use','id':'" id "','name':'get_tide','input':{}}"
#define RESULT(id) "{'type':'tool_result','tool_use_id':'" id "','content':'low'}"
#define THINKING "{'type':'thinking','thinking':'ok','signature':'%s'}"
#define BUDGET "'thinking':{'type':'enabled','budget_tokens':1024}"
#define TOOL(rest) "{'name':'get_tide','input_schema':{'type':'object'" rest "}"
#define PNG "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"

static const char *const good[] = {
    BESIDE("'temperature':0.5,'top_k':5,'top_p':0.5,'stop_sequences':['a','b','c','d','e'],'metadata':{'user_id':'"
           "u'}"),
    BESIDE("'system':'Be brief','service_tier':'auto','stream':true,'container':'c','speed':'fast'"),
    BESIDE("'system':[{'type':'text','text':'Be brief','cache_control':{'type':'ephemeral','ttl':'1h'}}]"),
    BESIDE("'tools':[" TOOL(
        "},'description':'d','strict':true,'cache_control':{'type':'ephemeral'}") "],'tool_choice':{'type':'tool','"
                                                                                  "name':'get_tide','disable_"
                                                                                  "parallel_tool_use':true}"),
    BESIDE("'tools':[{'type':'web_search_20250305','name':'web_search','max_uses':3}]"),
    BESIDE(BUDGET ",'temperature':1,'top_p':0.95"),
    BESIDE("'thinking':{'type':'adaptive','display':'omitted'},'output_config':{'effort':'low'}"),
    BESIDE("'thinking':{'type':'disabled'},'temperature':0"),
    BESIDE("'output_config':{'format':{'type':'json_schema','schema':{'type':'object','properties':{'a':{'type':"
           "'string'}},'additionalProperties':false}}}"),
    "{'model':'m','max_tokens':0,'messages':[{'role':'user','content':'hi'}]}",
    MESSAGES(USER(TEXT("a")) "," USER(TEXT("b")) "," MODEL(TEXT("c")) "," MODEL(TEXT("d"))),
    MESSAGES(
        USER(TEXT("a")) "," MODEL(CALL("t1") "," CALL("t2")) "," USER(RESULT("t2") "," RESULT("t1") "," TEXT("b"))),
    MESSAGES(USER(TEXT("a")) "," MODEL(THINKING "," CALL("t1")) "," USER("{'type':'tool_result','tool_use_id':'t1'}")),
    MESSAGES(USER(TEXT("a")) "," MODEL(CALL("t1")) "," USER(
        "{'type':'tool_result','tool_use_id':'t1','is_error':true,'content':[" TEXT(
            "x") ",{'type':'image','source':{'type':'base64','media_type':'image/png','data':'" PNG "'}}]}")),
    MESSAGES(USER(TEXT("a")) "," MODEL(TEXT("b")) ",{'role':'system','content':'c'}," USER(TEXT("d"))),
    MESSAGES(
        USER("{'type':'document','source':{'type':'text','media_type':'text/plain','data':'d'},'title':'t','citations':"
             "{'enabled':true}}")),
    MESSAGES(USER("{'type':'image','source':{'type':'url','url':'https://x/y.png'}}")),
    MESSAGES(USER(TEXT("a")) ",{'role':'assistant','content':''}"),
};

TEST(sim_anthropic_takes_what_is_documented)
{
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct arena a CLEANUP(arena_release);
        arena_init(&a, 16 << 20);
        struct verdict v = judge(&a, "2023-06-01", &(struct anthropic_host){.counts = false}, good[i]);
        CHECK_MSG(v.error == OK, "%s: %.*s", good[i], STR_ARG(v.message));
    }
}

/* Whatever is changed in a request, it is taken or refused with a reason. */
TEST(sim_anthropic_survives_damaged_requests)
{
    static const char pieces[] = "{}[]\":,0n.-ex_";
    struct prng prng;

    for (uint64_t round = 0; round < test_rounds(3000); round++) {
        struct arena a CLEANUP(arena_release);
        struct anthropic_request req;
        struct sim_refusal r = {.status = 0};
        arena_init(&a, 16 << 20);
        prng_seed(&prng, test_seed() + round);
        test_context("round %llu", (unsigned long long)round);
        struct str body = body_of(&a, good[prng_below(&prng, ARRAY_LEN(good))]);
        char *damaged = mem_dup(body.p, body.n);
        for (uint64_t i = 0; i <= prng_below(&prng, 3); i++)
            damaged[prng_below(&prng, body.n)] = pieces[prng_below(&prng, sizeof(pieces) - 1)];
        err_t e = anthropic_read(&a, str_of(damaged, body.n), &(struct anthropic_host){.counts = false}, ANTHROPIC_2023,
                                 &req, &r);
        mem_free(damaged);
        CHECK(e == OK || (e == E_PARSE && r.status >= 400 && r.message.n > 0));
    }
    test_context("%s", "");
}

TEST(sim_anthropic_refuses_what_the_service_refuses)
{
    static const struct {
        const char *body, *says;
    } bad[] = {
        {"{'model':'m','messages':[{'role':'user','content':'hi'}]}", "max_tokens: Field required"},
        {"{'max_tokens':1,'messages':[{'role':'user','content':'hi'}]}", "model: Field required"},
        {"{'model':'m','max_tokens':1}", "messages: Field required"},
        {"{'model':'m','max_tokens':1,'messages':[]}", "messages: List should have"},
        {"{'model':'m','max_tokens':1.5,'messages':[{'role':'user','content':'hi'}]}",
         "max_tokens: Input should be a valid integer"},
        {"{'model':'m',", "not valid JSON"},
        {"[]", "valid dictionary"},
        {BESIDE("'n':2"), "n: Extra inputs are not permitted"},
        {BESIDE("'stop':['x']"), "stop: Extra inputs are not permitted"},
        {BESIDE("'thread':{'type':'create'}"), "thread: conversations are not kept here"},
        {BESIDE("'response_format':{'type':'json_object'}"), "response_format: Extra inputs"},
        {BESIDE("'anthropic_version':'bedrock-2023-05-31'"), "anthropic_version: Extra inputs"},
        {BESIDE("'diagnostics':{}"), "diagnostics: Extra inputs"},
        {BESIDE("'temperature':1.2"), "temperature: Input should be less than or equal to 1"},
        {BESIDE("'top_k':-1"), "top_k: Input should be greater than or equal to 0"},
        {BESIDE("'metadata':{'trace':'x'}"), "metadata.trace: Extra inputs"},
        {BESIDE("'service_tier':'flex'"), "service_tier: Input should be 'auto' or 'standard_only'"},
        {BESIDE("'stop_sequences':[' ']"), "must contain non-whitespace"},
        {BESIDE("'stop_sequences':'x'"), "stop_sequences: Input should be a valid list"},
        {BESIDE("'system':{'text':'x'}"), "system: Input should be a valid list"},
        {BESIDE("'system':[{'type':'image'}]"), "system.0: Input tag 'image'"},
        /* messages */
        {MESSAGES("{'role':'tool','content':'x'}"), "messages.0.role: Input should be 'user', 'assistant' or 'system'"},
        {MESSAGES("{'role':'assistant','content':'x'}"), "first message must use the \"user\" role"},
        {MESSAGES("{'role':'user','content':'x','name':'bob'}"), "messages.0.name: Extra inputs"},
        {MESSAGES("{'role':'user','content':''}"), "non-empty content"},
        {MESSAGES("{'role':'user','content':[]}"), "non-empty content"},
        {MESSAGES("{'role':'user','content':7}"), "messages.0.content: Input should be a valid list"},
        {MESSAGES(USER(TEXT(""))), "text content blocks must be non-empty"},
        {MESSAGES(USER(TEXT(" \\n"))), "must contain non-whitespace text"},
        {MESSAGES(USER("{'type':'text','text':'x','foo':1}")), "messages.0.content.0.text.foo: Extra inputs"},
        {MESSAGES(USER("{'type':'image_url','image_url':{'url':'x'}}")), "messages.0.content.0: Input tag 'image_url'"},
        {MESSAGES(USER("{'text':'x'}")), "messages.0.content.0.type: Field required"},
        {MESSAGES(USER("'x'")), "messages.0.content.0: Input should be a valid dictionary"},
        {MESSAGES(USER(TEXT("a")) ",{'role':'system','content':[{'type':'image','source':{}}]}"),
         "messages.1.content.0: Input tag"},
        {MESSAGES(USER(TEXT("a")) "," MODEL(TEXT("b "))), "cannot end with trailing whitespace"},
        {MESSAGES(USER(TEXT("a")) ",{'role':'assistant','content':'b\\n'}"), "cannot end with trailing whitespace"},
        {MESSAGES(USER(TEXT("a")) "," MODEL("{'type':'image','source':{}}")),
         "messages.1.content.0: Input tag 'image'"},
        /* tools: calls and results */
        {MESSAGES(USER(CALL("t1"))), "messages.0.content.0: Input tag 'tool_use'"},
        {MESSAGES(USER(RESULT("t1"))), "unexpected `tool_use_id` found in `tool_result` blocks: t1"},
        {MESSAGES(USER(TEXT("a")) "," MODEL(CALL("t1"))),
         "ids were found without `tool_result` blocks immediately after: t1"},
        {MESSAGES(USER(TEXT("a")) "," MODEL(CALL("t1")) "," USER(TEXT("b"))),
         "messages.1: `tool_use` ids were found without"},
        {MESSAGES(USER(TEXT("a")) "," MODEL(CALL("t1") "," CALL("t2")) "," USER(RESULT("t1")) "," USER(RESULT("t2"))),
         "immediately after: t2"},
        {MESSAGES(USER(TEXT("a")) "," MODEL(CALL("t1")) "," USER(TEXT("b") "," RESULT("t1"))),
         "unexpected `tool_use_id`"},
        {MESSAGES(USER(TEXT("a")) "," MODEL(CALL("t1")) "," USER(RESULT("t1") "," RESULT("t1"))),
         "unexpected `tool_use_id`"},
        {MESSAGES(USER(TEXT("a")) "," MODEL(CALL("t1")) "," MODEL(TEXT("b")) "," USER(RESULT("t1"))),
         "messages.1: `tool_use` ids"},
        {MESSAGES(USER(TEXT("a")) "," MODEL(CALL("t1") "," CALL("t1")) "," USER(RESULT("t1"))),
         "`tool_use` ids must be unique"},
        {MESSAGES(USER(TEXT("a")) "," MODEL(CALL("call.1")) "," USER(RESULT("call.1"))),
         "id: String should match pattern"},
        {MESSAGES(
             USER(TEXT("a")) "," MODEL("{'type':'tool_use','id':'t','name':'a.b','input':{}}") "," USER(RESULT("t"))),
         "name: String should match pattern"},
        {MESSAGES(
             USER(TEXT("a")) "," MODEL("{'type':'tool_use','id':'t','name':'f','input':'{}'}") "," USER(RESULT("t"))),
         "tool_use.input: Input should be a valid dictionary"},
        {MESSAGES(USER(TEXT("a")) "," MODEL(CALL("t1")) "," USER(
             "{'type':'tool_result','tool_use_id':'t1','content':{'a':1}}")),
         "tool_result.content: Input should be a valid list"},
        {MESSAGES(USER(TEXT("a")) "," MODEL(CALL("t1")) "," USER(
             "{'type':'tool_result','tool_use_id':'t1','content':[" TEXT("") "]}")),
         "text content blocks must be non-empty"},
        {MESSAGES(
             USER(TEXT("a")) "," MODEL(CALL("t1")) "," USER("{'type':'tool_result','tool_use_id':'t1','name':'f'}")),
         "tool_result.name: Extra inputs"},
        /* tools: definitions */
        {BESIDE("'tools':[{'type':'function','function':{'name':'f'}}]"), "tools.0: Input tag 'function'"},
        {BESIDE("'tools':[{'name':'f'}]"), "tools.0.custom.input_schema: Field required"},
        {BESIDE("'tools':[{'name':'f','input_schema':{}}]"), "tools.0.custom.input_schema.type: Field required"},
        {BESIDE("'tools':[{'name':'f','input_schema':{'type':'string'}}]"),
         "input_schema.type: Input should be 'object'"},
        {BESIDE("'tools':[" TOOL(",'anyOf':[]}") "]"), "does not support oneOf, allOf, or anyOf"},
        {BESIDE("'tools':[{'name':'a.b','input_schema':{'type':'object'}}]"),
         "tools.0.custom.name: String should match"},
        {BESIDE("'tools':[{'name':'f','input_schema':{'type':'object'},'parameters':{}}]"),
         "custom.parameters: Extra inputs"},
        {BESIDE("'tools':[" TOOL("}") "," TOOL("}") "]"), "Tool names must be unique"},
        {BESIDE("'tool_choice':{'type':'auto'}"), "may only be specified while providing tools"},
        {BESIDE("'tools':[" TOOL("}") "],'tool_choice':{'type':'required'}"), "tool_choice.type: Input should be"},
        {BESIDE("'tools':[" TOOL("}") "],'tool_choice':{'type':'tool','name':'g'}"), "Tool 'g' not found"},
        {BESIDE("'tools':[" TOOL("}") "],'tool_choice':{'type':'none','disable_parallel_tool_use':true}"),
         "Extra inputs"},
        {BESIDE("'tools':[" TOOL("}") "],'tool_choice':'auto'"), "tool_choice: Input should be a valid dictionary"},
        /* media */
        {MESSAGES(USER("{'type':'image','source':{'type':'base64','media_type':'image/jpeg','data':'" PNG "'}}")),
         "specified using the image/jpeg media type, but the image appears to be a image/png image"},
        {MESSAGES(USER("{'type':'image','source':{'type':'base64','media_type':'image/jpg','data':'" PNG "'}}")),
         "media_type: Input should be"},
        {MESSAGES(USER("{'type':'image','source':{'type':'base64','media_type':'image/png','data':'data:image/"
                       "png;base64,AA=='}}")),
         "invalid base64 data"},
        {MESSAGES(USER("{'type':'image','source':{'type':'base64','media_type':'image/png','data':''}}")),
         "invalid base64 data"},
        {MESSAGES(USER("{'type':'image','source':{'type':'base64','media_type':'image/png','data':'AAAA'}}")),
         "Could not process image"},
        {MESSAGES(USER("{'type':'image','source':{'type':'base64','data':'AAAA'}}")),
         "image.source.base64.media_type: Field required"},
        {MESSAGES(USER("{'type':'image','source':{'type':'text','media_type':'text/plain','data':'x'}}")),
         "source: Input tag 'text'"},
        {MESSAGES(USER("{'type':'document','source':{'type':'base64','media_type':'application/pdf','data':'AAAA'}}")),
         "not valid"},
        /* thinking */
        {BESIDE("'thinking':{'type':'enabled','budget_tokens':1023}"),
         "budget_tokens: Input should be greater than or equal to 1024"},
        {BESIDE("'thinking':{'type':'enabled','budget_tokens':2000}"),
         "`max_tokens` must be greater than `thinking.budget_tokens`"},
        {BESIDE("'thinking':{'type':'enabled'}"), "thinking.enabled.budget_tokens: Field required"},
        {BESIDE("'thinking':{'type':'adaptive','budget_tokens':1024}"),
         "thinking.adaptive.budget_tokens: Extra inputs"},
        {BESIDE("'thinking':{'type':'between_tools'}"), "Input tag 'between_tools'"},
        {BESIDE("'thinking':{}"), "thinking.type: Field required"},
        {BESIDE(BUDGET ",'temperature':0.5"), "`temperature` may only be set to 1"},
        {BESIDE(BUDGET ",'top_k':1"), "`top_k` must be unset"},
        {BESIDE(BUDGET ",'top_p':0.5"), "`top_p` must be greater"},
        {BESIDE(BUDGET ",'tools':[" TOOL("}") "],'tool_choice':{'type':'any'}"),
         "Thinking may not be enabled when tool_choice forces"},
        {MESSAGES(USER(TEXT("a")) "," MODEL("{'type':'thinking','thinking':'edited','signature':'%s'}")),
         "Invalid `signature` in `thinking` block"},
        {MESSAGES(USER(TEXT("a")) "," MODEL("{'type':'thinking','thinking':'ok','signature':'AAAA'}")),
         "Invalid `signature`"},
        {MESSAGES(USER(TEXT("a")) "," MODEL("{'type':'thinking','thinking':'ok'}")),
         "thinking.signature: Field required"},
        {MESSAGES(USER(TEXT("a")) "," MODEL("{'type':'redacted_thinking','data':'%s'}")),
         "Invalid `data` in `redacted_thinking`"},
        {"{'model':'m','max_tokens':2000," BUDGET
         ",'messages':[" USER(TEXT("a")) "," MODEL(TEXT("b") "," CALL("t1")) "," USER(RESULT("t1")) "]}",
         "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `text`"},
        {"{'model':'m','max_tokens':2000," BUDGET ",'messages':[" USER(TEXT("a")) "," MODEL(TEXT("b")) "]}",
         "cannot be continued"},
        /* output_config */
        {BESIDE("'output_config':{'format':{'type':'json_object','schema':{}}}"),
         "output_config.format.type: Input should be 'json_schema'"},
        {BESIDE("'output_config':{'format':{'type':'json_schema','name':'x','schema':{}}}"),
         "output_config.format.name: Extra"},
        {BESIDE("'output_config':{'format':{'type':'json_schema','schema':{'type':'object'}}}"),
         "'additionalProperties' must be"},
        {BESIDE(
             "'output_config':{'format':{'type':'json_schema','schema':{'type':'array','items':{'type':'object'}}}}"),
         "'additionalProperties' must be"},
        {BESIDE("'output_config':{'effort':'minimal'}"), "output_config.effort: Input should be"},
        /* caching */
        {BESIDE("'cache_control':{'type':'persistent'}"), "cache_control.type: Input should be 'ephemeral'"},
        {BESIDE("'cache_control':{'type':'ephemeral','ttl':'1d'}"), "cache_control.ttl: Input should be '5m' or '1h'"},
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct arena a CLEANUP(arena_release);
        arena_init(&a, 16 << 20);
        struct verdict v = judge(&a, "2023-06-01", &(struct anthropic_host){.counts = false}, bad[i].body);
        CHECK_MSG(v.error == E_PARSE, "%s: was taken", bad[i].body);
        CHECK_EQ(v.status, 400);
        CHECK_MSG(str_find(v.message, str_from_c(bad[i].says)) < v.message.n, "%s: %.*s", bad[i].body,
                  STR_ARG(v.message));
    }
}

#define MARKED(ttl) "{'type':'text','text':'x','cache_control':{'type':'ephemeral'" ttl "}}"

TEST(sim_anthropic_counts_cache_points)
{
    struct arena a CLEANUP(arena_release);
    const struct anthropic_host host = {.counts = false};

    arena_init(&a, 16 << 20);
    const char *four = MESSAGES(USER(MARKED("") "," MARKED("") "," MARKED("") "," MARKED("")));
    const char *five = MESSAGES(USER(MARKED("") "," MARKED("") "," MARKED("") "," MARKED("") "," MARKED("")));
    const char *order = MESSAGES(USER(MARKED("") "," MARKED(",'ttl':'1h'")));
    struct verdict v = judge(&a, "2023-06-01", &host, four);
    CHECK_OK(v.error);
    CHECK_EQ(v.req.point_count, 4);
    v = judge(&a, "2023-06-01", &host, five);
    CHECK_STR(v.message, "A maximum of 4 blocks with cache_control may be provided. Found 5.");
    v = judge(&a, "2023-06-01", &host, order);
    CHECK(str_find(v.message, STR("must not come after a ttl='5m'")) < v.message.n);
}

TEST(sim_anthropic_versions_differ)
{
    static const struct {
        const char *version, *body, *says; /* NULL: it is taken */
    } cases[] = {
        {"", BESIDE("'stream':false"), "anthropic-version: header is required"},
        {"2024-01-01", BESIDE("'stream':false"), "\"2024-01-01\" is not a valid version"},
        {"2026-10-21", BESIDE("'temperature':1"), "temperature: Extra inputs"},
        {"2026-10-21", BESIDE("'top_p':1"), "top_p: Extra inputs"},
        {"2026-10-21", BESIDE("'top_k':1"), "top_k: Extra inputs"},
        {"2026-10-21", BESIDE("'thinking':{'type':'between_tools','display':'omitted'}"), "display: Extra inputs"},
        {"2026-10-21", BESIDE("'diagnostics':{'previous_message_id':'m'},'thinking':{'type':'between_tools'}"), NULL},
        {"2026-10-21", MESSAGES(USER("{'type':'text','text':'x','citations':[]}")), "citations: Extra inputs"},
        {"2023-06-01", MESSAGES(USER("{'type':'text','text':'x','citations':[]}")), NULL},
        {"2026-10-21", MESSAGES(USER(TEXT("a")) "," MODEL("{'type':'document','source':{'type':'url','url':'u'}}")),
         "`document` blocks"},
        {"2023-06-01", MESSAGES(USER(TEXT("a")) "," MODEL("{'type':'document','source':{'type':'url','url':'u'}}")),
         NULL},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena a CLEANUP(arena_release);
        arena_init(&a, 16 << 20);
        struct verdict v = judge(&a, cases[i].version, &(struct anthropic_host){.counts = false}, cases[i].body);
        test_context("%s %s", cases[i].version, cases[i].body);
        CHECK_EQ(v.error == OK, cases[i].says == NULL);
        if (cases[i].says)
            CHECK_MSG(str_find(v.message, str_from_c(cases[i].says)) < v.message.n, "%.*s", STR_ARG(v.message));
    }
    test_context("%s", "");
}

TEST(sim_anthropic_hosts_take_the_model_out_of_the_body)
{
    static const struct {
        const char *body, *says;
    } cases[] = {
        {"{'anthropic_version':'vertex-2023-10-16','max_tokens':1,'messages':[{'role':'user','content':'x'}]}", NULL},
        {"{'anthropic_version':'vertex-2023-10-16','anthropic_beta':['b'],'max_tokens':1,'messages':[{'role':'user','"
         "content':'x'}]}",
         NULL},
        {"{'anthropic_version':'2026-10-21','max_tokens':1,'messages':[{'role':'user','content':'x'}]}", NULL},
        {"{'anthropic_version':'2026-10-21','top_p':1,'max_tokens':1,'messages':[{'role':'user','content':'x'}]}",
         "top_p: Extra inputs"},
        {"{'max_tokens':1,'messages':[{'role':'user','content':'x'}]}", "anthropic_version: Field required"},
        {"{'anthropic_version':'2023-06-01','max_tokens':1,'messages':[{'role':'user','content':'x'}]}",
         "is not a valid version for this API"},
        {"{'anthropic_version':'vertex-2023-10-16','model':'m','max_tokens':1,'messages':[{'role':'user','content':'x'}"
         "]}",
         "model: Extra inputs"},
        {"{'anthropic_version':'vertex-2023-10-16','stream':true,'max_tokens':1,'messages':[{'role':'user','content':'"
         "x'}]}",
         "stream: Extra inputs"},
    };
    const struct anthropic_host host = {.version = STR("vertex-2023-10-16"), .model = STR("c"), .bars_stream = true};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena a CLEANUP(arena_release);
        arena_init(&a, 16 << 20);
        struct verdict v = judge(&a, "", &host, cases[i].body);
        test_context("%s", cases[i].body);
        CHECK_EQ(v.error == OK, cases[i].says == NULL);
        if (cases[i].says)
            CHECK_MSG(str_find(v.message, str_from_c(cases[i].says)) < v.message.n, "%.*s", STR_ARG(v.message));
        else
            CHECK_STR(v.req.q.model, "c");
    }
    test_context("%s", "");
}

TEST(sim_anthropic_demands_thinking_in_the_current_round_of_tools_only)
{
    struct arena a CLEANUP(arena_release);

    arena_init(&a, 16 << 20);
    struct verdict v =
        judge(&a, "2023-06-01", &(struct anthropic_host){.counts = false},
              "{'model':'m','max_tokens':2000," BUDGET ",'messages':[" USER(TEXT("a")) "," MODEL(CALL("t1")) "," USER(
                  RESULT("t1") "," TEXT("next")) "," MODEL(THINKING "," CALL("t2")) "," USER(RESULT("t2")) "]}");
    CHECK_MSG(v.error == OK, "%.*s", STR_ARG(v.message));
    CHECK_STR(v.req.q.asked, "next");
    CHECK_STR(v.req.q.result, "low");
}

TEST(sim_anthropic_wants_thinking_before_anything_else_of_a_turn_that_calls)
{
    struct arena a CLEANUP(arena_release);

    arena_init(&a, 16 << 20);
    struct verdict v = judge(&a, "2023-06-01", &(struct anthropic_host){.counts = false},
                             "{'model':'m','max_tokens':2000," BUDGET ",'messages':[" USER(TEXT("a")) "," MODEL(
                                 TEXT("b") "," THINKING "," CALL("t1")) "," USER(RESULT("t1")) "]}");
    CHECK(str_find(v.message, STR("but found `text`")) < v.message.n);
}

/* A question of so many blocks, the last of which has a cache point. */
static struct verdict judge_blocks(struct arena *a, size_t count)
{
    struct str blocks = STR("");

    for (size_t i = 1; i < count; i++)
        blocks = arena_join(a, blocks, STR(TEXT("x") ","));
    return judge(a, "2023-06-01", &(struct anthropic_host){.counts = false},
                 arena_printf(a, MESSAGES("{'role':'user','content':[%.*s%s]}"), STR_ARG(blocks), MARKED("")).p);
}

TEST(sim_anthropic_looks_back_twenty_blocks_for_what_is_cached)
{
    struct arena a CLEANUP(arena_release);

    arena_init(&a, 16 << 20);
    struct verdict few = judge_blocks(&a, 5), many = judge_blocks(&a, 25);
    CHECK_EQ(few.req.points[0].count, 5);
    CHECK_EQ(few.req.points[0].cuts[0].tokens, 3 + 4 + 1);
    CHECK_EQ(many.req.points[0].count, 20);
    CHECK_EQ(many.req.points[0].cuts[0].tokens, 3 + 4 + 6);
    CHECK_EQ(many.req.points[0].cuts[19].tokens, 3 + 4 + 25);
}

TEST(sim_a_text_that_the_limit_cut_was_not_ended_by_a_stop)
{
    struct arena a CLEANUP(arena_release);
    struct str stop = STR("tide");
    struct question q;
    struct sim_answer answer;

    arena_init(&a, 1 << 20);
    question_init(&q);
    q.asked = STR("tide?");
    q.stops = &stop;
    q.stop_count = 1;
    CHECK_OK(sim_answer_make(&a, &q, 1, 20, &answer));
    CHECK_STR(answer.choices[0].stop, "tide");
    CHECK_EQ(answer.choices[0].finish, SIM_STOP);
    q.max_tokens = 3;
    CHECK_OK(sim_answer_make(&a, &q, 1, 20, &answer));
    CHECK(!answer.choices[0].stop.p);
    CHECK_EQ(answer.choices[0].finish, SIM_LENGTH);
}

/* --- asking --- */

static struct heard ask(struct world *w, const char *target, const char *x_sim, const char *text) SUSPENDS;
static struct heard ask(struct world *w, const char *target, const char *x_sim, const char *text)
{
    const struct http_header headers[] = {{STR("content-type"), STR("application/json")},
                                          {STR("anthropic-version"), STR("2023-06-01")},
                                          {STR("x-api-key"), STR("k")},
                                          {STR("x-sim"), str_from_c(x_sim)}};

    return ask_with(w, text ? "POST" : "GET", target, headers, x_sim ? 4 : 3, text ? body_of(&w->arena, text).p : NULL,
                    NS_NEVER);
}

/* The message of an answer; NULL if it is not a 200. */
static yyjson_val *message_of(struct world *w, struct heard h)
{
    yyjson_val *v;

    return h.error == OK && h.status == 200 && json_parse(&w->arena, h.body, NULL, 0, &v) == OK ? v : NULL;
}

static yyjson_val *block_of(yyjson_val *message, size_t i)
{
    return yyjson_arr_get(json_get(message, STR("content")), i);
}

/* A stream put together again, strictly: blocks one after the other, each event under its own name, an end. */
struct gathered {
    struct str text, thoughts, signature, input, stop_reason;
    struct str kinds; /* of blocks: "thinking,text," */
    unsigned pings, inputs;
    bool ended, well_formed;
    struct str error;
    int64_t output_tokens;
};

static void gather_delta(struct arena *a, struct gathered *g, yyjson_val *delta)
{
    struct str type = json_get_str(delta, STR("type"), STR(""));

    if (str_eq(type, STR("text_delta")))
        g->text = arena_join(a, g->text, json_get_str(delta, STR("text"), STR("?")));
    else if (str_eq(type, STR("thinking_delta")))
        g->thoughts = arena_join(a, g->thoughts, json_get_str(delta, STR("thinking"), STR("?")));
    else if (str_eq(type, STR("signature_delta")))
        g->signature = json_get_str(delta, STR("signature"), STR("?"));
    else if (str_eq(type, STR("input_json_delta"))) {
        g->input = arena_join(a, g->input, json_get_str(delta, STR("partial_json"), STR("?")));
        g->inputs++;
    } else
        g->well_formed = false;
}

static struct gathered gather(struct world *w, struct str body)
{
    struct gathered g = {.well_formed = true, .text = STR(""), .thoughts = STR(""), .input = STR(""), .kinds = STR("")};
    struct sse sse CLEANUP(sse_release);
    struct sse_event event;
    struct arena *a = &w->arena;
    int64_t index = -1;
    bool started = false, open = false;
    yyjson_val *v;

    sse_init(&sse, 0);
    while (sse_next(&sse, &body, &event) == SSE_EVENT) {
        g.well_formed &= json_parse(a, event.data, NULL, 0, &v) == OK && !g.ended;
        struct str type = json_get_str(v, STR("type"), STR("none"));
        g.well_formed &= str_eq(type, event.name);
        if (str_eq(type, STR("message_start"))) {
            g.well_formed &= !started;
            started = true;
        } else if (str_eq(type, STR("ping"))) {
            g.pings++;
        } else if (str_eq(type, STR("content_block_start"))) {
            g.well_formed &= started && !open && json_get_i64(v, STR("index"), -1) == ++index;
            open = true;
            struct str kind = json_get_str(json_get(v, STR("content_block")), STR("type"), STR("?"));
            g.kinds = arena_printf(a, "%.*s%.*s,", STR_ARG(g.kinds), STR_ARG(kind));
        } else if (str_eq(type, STR("content_block_delta"))) {
            g.well_formed &= open && json_get_i64(v, STR("index"), -1) == index;
            gather_delta(a, &g, json_get(v, STR("delta")));
        } else if (str_eq(type, STR("content_block_stop"))) {
            g.well_formed &= open && json_get_i64(v, STR("index"), -1) == index;
            open = false;
        } else if (str_eq(type, STR("message_delta"))) {
            g.well_formed &= !open;
            g.stop_reason = json_get_str(json_get(v, STR("delta")), STR("stop_reason"), STR(""));
            g.output_tokens = json_get_i64(json_get(v, STR("usage")), STR("output_tokens"), -1);
        } else if (str_eq(type, STR("message_stop"))) {
            g.ended = true;
        } else if (str_eq(type, STR("error"))) {
            g.error = json_get_str(json_get(v, STR("error")), STR("type"), STR("?"));
        } else {
            g.well_formed = false;
        }
    }
    return g;
}

#define ASKING "{'model':'m','max_tokens':2000,'messages':[{'role':'user','content':'tide?'}]"

SIM_TEST(sim_anthropic_answers_alike_whole_and_streamed, NULL)
{
    struct heard h = ask(w, "/v1/messages", NULL, ASKING "}");
    yyjson_val *m = message_of(w, h);

    CHECK(m != NULL);
    CHECK(str_starts(http_head_find(h.head, STR("request-id")), STR("req_")));
    CHECK_STR(json_get_str(m, STR("type"), STR("")), "message");
    CHECK_STR(json_get_str(m, STR("role"), STR("")), "assistant");
    CHECK_STR(json_get_str(m, STR("stop_reason"), STR("")), "end_turn");
    CHECK(yyjson_is_null(json_get(m, STR("stop_sequence"))));
    struct str text = json_get_str(block_of(m, 0), STR("text"), STR("none"));
    CHECK(str_starts(text, STR("[simulated] You asked: \"tide?\" ")));
    CHECK_EQ(json_get_i64(json_get(m, STR("usage")), STR("input_tokens"), 0), 3 + 4 + 2);
    CHECK_EQ(json_get_i64(json_get(m, STR("usage")), STR("output_tokens"), 0), 20);
    h = ask(w, "/anthropic/v1/messages", NULL, ASKING ",'stream':true}");
    CHECK(str_starts(http_head_find(h.head, STR("content-type")), STR("text/event-stream")));
    struct gathered g = gather(w, h.body);
    CHECK(g.well_formed && g.ended);
    CHECK(str_eq(g.text, text));
    CHECK_STR(g.kinds, "text,");
    CHECK_STR(g.stop_reason, "end_turn");
    CHECK_EQ(g.pings, 1);
    CHECK_EQ(g.output_tokens, 20);
}

#define TIDE_TOOL                                                                                                      \
    "'tools':[{'name':'get_tide','input_schema':{'type':'object','properties':{'port':{'type':'string'}},'required':[" \
    "'port']}}"
#define WAVE_TOOL ",{'name':'get_wave','input_schema':{'type':'object','properties':{}}}"

SIM_TEST(sim_anthropic_calls_tools_in_parallel_unless_told_not_to, NULL)
{
    yyjson_val *m = message_of(w, ask(w, "/v1/messages", NULL,
                                      "{'model':'m','max_tokens':99,'messages':[{'role':'user','content':"
                                      "'tide and wave?'}]," TIDE_TOOL WAVE_TOOL "]}"));

    CHECK(m != NULL);
    CHECK_STR(json_get_str(m, STR("stop_reason"), STR("")), "tool_use");
    CHECK_EQ(yyjson_arr_size(json_get(m, STR("content"))), 2);
    CHECK_STR(json_get_str(block_of(m, 0), STR("name"), STR("")), "get_tide");
    CHECK(str_starts(json_get_str(block_of(m, 0), STR("id"), STR("")), STR("toolu_")));
    CHECK(yyjson_is_str(json_get(json_get(block_of(m, 0), STR("input")), STR("port"))));
    CHECK_EQ(yyjson_obj_size(json_get(block_of(m, 1), STR("input"))), 0);
    m = message_of(w, ask(w, "/v1/messages", NULL,
                          "{'model':'m','max_tokens':99,'messages':[{'role':'user','content':'tide and "
                          "wave?'}]," TIDE_TOOL WAVE_TOOL
                          "],'tool_choice':{'type':'auto','disable_parallel_tool_use':true}}"));
    CHECK_EQ(yyjson_arr_size(json_get(m, STR("content"))), 1);
    struct heard h = ask(w, "/v1/messages", NULL,
                         "{'model':'m','max_tokens':99,'stream':true,'messages':[{'role':'user',"
                         "'content':'wave?'}]," TIDE_TOOL WAVE_TOOL "]}");
    struct gathered g = gather(w, h.body);
    CHECK(g.well_formed && g.ended);
    CHECK_STR(g.kinds, "tool_use,");
    CHECK_STR(g.input, ""); /* no arguments: nothing but one empty piece */
    CHECK_EQ(g.inputs, 1);
    h = ask(w, "/v1/messages", NULL,
            "{'model':'m','max_tokens':99,'stream':true,'messages':[{'role':'user','content':'tide?'}]," TIDE_TOOL
            "]}");
    g = gather(w, h.body);
    yyjson_val *input;
    CHECK_OK(json_parse(&w->arena, g.input, NULL, 0, &input));
    CHECK(yyjson_is_str(json_get(input, STR("port"))));
    CHECK_STR(g.stop_reason, "tool_use");
}

/* The turn after: prefix of the thinking, the thinking, its signature. */
#define ROUND_TWO                                                                                                      \
    "{\"model\":\"m\",\"max_tokens\":2000,\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024},"                 \
    "\"tools\":[{\"name\":\"get_tide\",\"input_schema\":{\"type\":\"object\"}}],\"messages\":[{\"role\":\"user\","     \
    "\"content\":\"tide?\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"%s%.*s\","      \
    "\"signature\":\"%.*s\"},{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"get_tide\",\"input\":{}}]},{\"role\":"    \
    "\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t1\",\"content\":\"low\"}]}]}"

SIM_TEST(sim_anthropic_says_nothing_half_when_a_call_is_cut, NULL)
{
    const char *asked = "{'model':'m','max_tokens':4,'messages':[{'role':'user','content':'tide?'}]," TIDE_TOOL "]";
    yyjson_val *m = message_of(w, ask(w, "/v1/messages", NULL, arena_printf(&w->arena, "%s}", asked).p));

    CHECK_STR(json_get_str(m, STR("stop_reason"), STR("")), "max_tokens");
    CHECK_EQ(yyjson_obj_size(json_get(block_of(m, 0), STR("input"))), 0);
    struct gathered g =
        gather(w, ask(w, "/v1/messages", NULL, arena_printf(&w->arena, "%s,'stream':true}", asked).p).body);
    CHECK(g.well_formed && g.ended);
    CHECK_STR(g.stop_reason, "max_tokens");
    CHECK_GT(g.input.n, 0);
}

SIM_TEST(sim_anthropic_takes_its_own_thinking_back_and_no_other, NULL)
{
    const char *first =
        "{'model':'m','max_tokens':2000," BUDGET ",'messages':[{'role':'user','content':'tide?'}]," TIDE_TOOL "]";
    yyjson_val *m = message_of(w, ask(w, "/v1/messages", NULL, arena_printf(&w->arena, "%s}", first).p));
    const struct http_header version = {STR("anthropic-version"), STR("2023-06-01")};

    CHECK(m != NULL);
    CHECK_STR(json_get_str(block_of(m, 0), STR("type"), STR("")), "thinking");
    CHECK_STR(json_get_str(block_of(m, 1), STR("type"), STR("")), "tool_use");
    struct str thoughts = json_get_str(block_of(m, 0), STR("thinking"), STR(""));
    struct str signature = json_get_str(block_of(m, 0), STR("signature"), STR(""));
    CHECK_GT(thoughts.n, 20);
    struct heard h = ask(w, "/v1/messages", NULL, arena_printf(&w->arena, "%s,'stream':true}", first).p);
    struct gathered g = gather(w, h.body);
    CHECK(g.well_formed && g.ended);
    CHECK_STR(g.kinds, "thinking,tool_use,");
    CHECK(str_eq(g.thoughts, thoughts));
    CHECK_GT(g.signature.n, 40);
    struct buf escaped CLEANUP(buf_release) = BUF_INIT(1 << 16);
    buf_add_json(&escaped, thoughts);
    struct str again = arena_printf(&w->arena, ROUND_TWO, "", STR_ARG(buf_str(&escaped)), STR_ARG(signature));
    h = ask_with(w, "POST", "/v1/messages", &version, 1, again.p, NS_NEVER);
    CHECK_MSG(h.status == 200, "%.*s", STR_ARG(h.body));
    again = arena_printf(&w->arena, ROUND_TWO, "x", STR_ARG(buf_str(&escaped)), STR_ARG(signature));
    h = ask_with(w, "POST", "/v1/messages", &version, 1, again.p, NS_NEVER);
    CHECK_EQ(h.status, 400);
    CHECK(str_find(h.body, STR("Invalid `signature`")) < h.body.n);
}

SIM_TEST(sim_anthropic_hides_and_redacts_thinking, NULL)
{
    yyjson_val *m =
        message_of(w, ask(w, "/v1/messages", NULL, ASKING ",'thinking':{'type':'adaptive','display':'omitted'}}"));

    CHECK_STR(json_get_str(block_of(m, 0), STR("thinking"), STR("none")), "");
    struct str sign = json_get_str(block_of(m, 0), STR("signature"), STR(""));
    CHECK(sim_signature_is_good(STR("anthropic"), STR(""), sign));
    m = message_of(w, ask(w, "/v1/messages", NULL,
                          "{'model':'m','max_tokens':2000," BUDGET ",'messages':[{'role':'user','content':"
                          "'ANTHROPIC_MAGIC_STRING_TRIGGER_REDACTED_THINKING_46C9'}]}"));
    CHECK_STR(json_get_str(block_of(m, 0), STR("type"), STR("")), "redacted_thinking");
    struct str data = json_get_str(block_of(m, 0), STR("data"), STR(""));
    struct str back = arena_printf(
        &w->arena, MESSAGES(USER(TEXT("a")) "," MODEL("{'type':'redacted_thinking','data':'%.*s'}")), STR_ARG(data));
    CHECK_EQ(ask(w, "/v1/messages", NULL, back.p).status, 200);
}

SIM_TEST(sim_anthropic_says_why_it_stopped, NULL)
{
    yyjson_val *m = message_of(w, ask(w, "/v1/messages", NULL, ASKING ",'stop_sequences':['zzz','asked']}"));

    CHECK_STR(json_get_str(m, STR("stop_reason"), STR("")), "stop_sequence");
    CHECK_STR(json_get_str(m, STR("stop_sequence"), STR("")), "asked");
    CHECK_STR(json_get_str(block_of(m, 0), STR("text"), STR("")), "[simulated] You ");
    m = message_of(
        w, ask(w, "/v1/messages", NULL, "{'model':'m','max_tokens':5,'messages':[{'role':'user','content':'tide?'}]}"));
    CHECK_STR(json_get_str(m, STR("stop_reason"), STR("")), "max_tokens");
    CHECK_EQ(json_get_i64(json_get(m, STR("usage")), STR("output_tokens"), 0), 5);
    m = message_of(w, ask(w, "/v1/messages", NULL,
                          "{'model':'m','max_tokens':5,'messages':[{'role':'user','content':"
                          "'ANTHROPIC_MAGIC_STRING_TRIGGER_REFUSAL_1FAE'}]}"));
    CHECK_STR(json_get_str(m, STR("stop_reason"), STR("")), "refusal");
    CHECK_STR(json_get_str(json_get(m, STR("stop_details")), STR("type"), STR("")), "refusal");
    CHECK_EQ(yyjson_arr_size(json_get(m, STR("content"))), 0);
    m = message_of(w, ask(w, "/v1/messages", NULL,
                          ASKING
                          ",'output_config':{'format':{'type':'json_schema','schema':{'type':'object',"
                          "'properties':{'a':{'type':'integer'}},'required':['a'],'additionalProperties':false}}}}"));
    yyjson_val *made;
    CHECK_OK(json_parse(&w->arena, json_get_str(block_of(m, 0), STR("text"), STR("")), NULL, 0, &made));
    CHECK(yyjson_is_int(json_get(made, STR("a"))));
}

static int64_t used(yyjson_val *m, const char *name)
{
    return json_get_i64(json_get(m, STR("usage")), str_from_c(name), -1);
}

SIM_TEST(sim_anthropic_reads_from_the_cache_what_it_has_written, NULL)
{
    const char *first =
        "{'model':'m','max_tokens':9,'system':[{'type':'text','text':'abcdefgh','cache_control':{'type':'ephemeral'}}],"
        "'messages':[{'role':'user','content':'tide?'}]}";
    const char *longer =
        "{'model':'m','max_tokens':9,'system':[{'type':'text','text':'abcdefgh'}],'messages':[{'role':'user',"
        "'content':[{'type':'text','text':'tide?','cache_control':{'type':'ephemeral','ttl':'1h'}}]}]}";
    yyjson_val *m = message_of(w, ask(w, "/v1/messages", NULL, first));

    CHECK(m != NULL);
    CHECK_EQ(used(m, "cache_read_input_tokens"), 0);
    CHECK_EQ(used(m, "cache_creation_input_tokens"), 3 + 4 + 2);
    CHECK_EQ(used(m, "input_tokens"), 4 + 2);
    m = message_of(w, ask(w, "/v1/messages", NULL, first));
    CHECK_EQ(used(m, "cache_read_input_tokens"), 3 + 4 + 2);
    CHECK_EQ(used(m, "cache_creation_input_tokens"), 0);
    CHECK_EQ(used(m, "input_tokens"), 4 + 2);
    m = message_of(w, ask(w, "/v1/messages", NULL, longer));
    CHECK_EQ(used(m, "cache_read_input_tokens"), 3 + 4 + 2);
    CHECK_EQ(used(m, "cache_creation_input_tokens"), 4 + 2);
    CHECK_EQ(used(m, "input_tokens"), 0);
    CHECK_EQ(
        json_get_i64(json_get(json_get(m, STR("usage")), STR("cache_creation")), STR("ephemeral_1h_input_tokens"), 0),
        6);
    if (!loop_seams()->simulated)
        return;
    CHECK_OK(fiber_sleep_until(rt_now() + 301 * NS_SEC));
    m = message_of(w, ask(w, "/v1/messages", NULL, first));
    CHECK_EQ(used(m, "cache_read_input_tokens"), 0);
    m = message_of(w, ask(w, "/v1/messages", NULL, longer));
    CHECK_EQ(used(m, "cache_read_input_tokens"), 15);
}

SIM_TEST(sim_anthropic_errors_have_its_own_form, "{api_keys: [k], allow_overrides: true, models: {m: {}}}")
{
    struct heard h = ask(w, "/v1/messages", "fault=rate_limit;retry_after=2500ms", ASKING "}");
    yyjson_val *v;

    CHECK_EQ(h.status, 429);
    CHECK_STR(http_head_find(h.head, STR("retry-after")), "3");
    CHECK(!http_head_find(h.head, STR("openai-version")).p);
    CHECK_OK(json_parse(&w->arena, h.body, NULL, 0, &v));
    CHECK_STR(json_get_str(v, STR("type"), STR("")), "error");
    CHECK_STR(json_get_str(json_get(v, STR("error")), STR("type"), STR("")), "rate_limit_error");
    CHECK(str_eq(json_get_str(v, STR("request_id"), STR("none")), http_head_find(h.head, STR("request-id"))));
    h = ask(w, "/v1/messages", "fault=status;status=529", ASKING "}");
    CHECK_EQ(h.status, 529);
    CHECK(str_find(h.body, STR("overloaded_error")) < h.body.n);
    h = ask(w, "/v1/messages", "fault=error_event;after_tokens=3", ASKING ",'stream':true}");
    struct gathered g = gather(w, h.body);
    CHECK(!g.ended);
    CHECK_STR(g.error, "api_error");
    h = ask(w, "/v1/messages", NULL, "{'model':'nope','max_tokens':1,'messages':[{'role':'user','content':'x'}]}");
    CHECK_EQ(h.status, 404);
    CHECK(str_find(h.body, STR("not_found_error")) < h.body.n);
    h = ask_with(w, "POST", "/v1/messages", NULL, 0, "{}", NS_NEVER);
    CHECK_EQ(h.status, 401);
    CHECK(str_find(h.body, STR("authentication_error")) < h.body.n);
}

SIM_TEST(sim_anthropic_counts_tokens_and_lists_models, "models: {m1: {}, m2: {}, m3: {}}")
{
    struct heard h =
        ask(w, "/v1/messages/count_tokens", NULL, "{'model':'m1','messages':[{'role':'user','content':'tide?'}]}");
    yyjson_val *v = message_of(w, h);

    CHECK_EQ(json_get_i64(v, STR("input_tokens"), 0), 3 + 4 + 2);
    h = ask(w, "/v1/messages/count_tokens", NULL,
            "{'model':'m1','max_tokens':5,'messages':[{'role':'user','content':'tide?'}]}");
    CHECK_EQ(h.status, 400);
    v = message_of(w, ask(w, "/v1/models?limit=2", NULL, NULL));
    CHECK_EQ(yyjson_arr_size(json_get(v, STR("data"))), 2);
    CHECK(json_get_bool(v, STR("has_more"), false));
    CHECK_STR(json_get_str(v, STR("last_id"), STR("")), "m2");
    v = message_of(w, ask(w, "/v1/models?after_id=m2", NULL, NULL));
    CHECK_STR(json_get_str(v, STR("first_id"), STR("")), "m3");
    CHECK(!json_get_bool(v, STR("has_more"), true));
    v = message_of(w, ask(w, "/v1/models?before_id=m3&limit=1", NULL, NULL));
    CHECK_STR(json_get_str(v, STR("first_id"), STR("")), "m2");
    CHECK(json_get_bool(v, STR("has_more"), false));
    v = message_of(w, ask(w, "/v1/models/m3", NULL, NULL));
    CHECK_STR(json_get_str(v, STR("type"), STR("")), "model");
    CHECK_EQ(ask(w, "/v1/models/m4", NULL, NULL).status, 404);
    h = ask_with(w, "GET", "/v1/models", NULL, 0, NULL, NS_NEVER); /* without the header it is OpenAI's */
    CHECK(str_starts(h.body, STR("{\"object\":\"list\"")));
    h = ask_with(w, "GET", "/anthropic/v1/models", NULL, 0, NULL, NS_NEVER);
    CHECK_EQ(h.status, 400);
}

SIM_TEST(sim_anthropic_newest_version_leaves_nothing_out, NULL)
{
    const struct http_header version = {STR("anthropic-version"), STR("2026-10-21")};
    struct heard h = ask_with(w, "POST", "/v1/messages", &version, 1, body_of(&w->arena, ASKING "}").p, NS_NEVER);
    yyjson_val *m = message_of(w, h);

    CHECK(m != NULL);
    CHECK(yyjson_is_null(json_get(m, STR("container"))));
    CHECK(yyjson_is_null(json_get(m, STR("stop_details"))));
    CHECK(yyjson_is_null(json_get(json_get(m, STR("usage")), STR("inference_geo"))));
    CHECK_EQ(
        json_get_i64(json_get(json_get(m, STR("usage")), STR("output_tokens_details")), STR("thinking_tokens"), -1), 0);
    h = ask_with(w, "POST", "/v1/messages", &version, 1, "{}", NS_NEVER);
    CHECK(str_find(h.body, STR("\"error_code\"")) < h.body.n);
}
