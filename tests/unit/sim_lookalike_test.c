/* sim_lookalike_test.c - the simulated look-alikes of OpenAI: how each answers, streams, errs and refuses. */
#include "llm/server_load.h"
#include "llm/vendor.h"
#include "sim/chat_style.h"
#include "sim/surface.h"
#include "surface_asks.h"

#define HI "'messages':[{'role':'user','content':'hi'}]"
#define ASK(more) "{'model':'m'," HI more "}"
#define TOOLS                                                                                                          \
    ",'tools':[{'type':'function','function':{'name':'get_tide','parameters':{'type':'object','properties':{'port':{'" \
    "type'"                                                                                                            \
    ":'string'}},'required':['port']}}},{'type':'function','function':{'name':'get_moon','parameters':{'type':'"       \
    "object'}}}]"
#define TIDE(more) "{'model':'m','messages':[{'role':'user','content':'call get_tide and get_moon'}]" TOOLS more "}"
#define THINK ",'reasoning_effort':'low'"
#define STREAM ",'stream':true"

#define CHAT(surface) "/" surface "/v1/chat/completions"

/* --- what all have in common --- */

static const char *const chatting[] = {"cerebras", "deepseek", "fireworks", "groq",       "huggingface", "llamacpp",
                                       "lmstudio", "nvidia",   "ollama",    "openrouter", "perplexity",  "sglang",
                                       "tgi",      "together", "vllm",      "xai"};

/* Members in braces behind "delta", so that a first comma would show. */
SIM_TEST(sim_lookalikes_say_the_same_whole_and_streamed, NULL)
{
    for (size_t i = 0; i < ARRAY_LEN(chatting); i++) {
        char target[64];
        snprintf(target, sizeof(target), "/%s/v1/chat/completions", chatting[i]);
        test_context("%s", target);
        struct heard whole = post(w, target, "{'model':'a/b'," HI "}"),
                     bare = post(w, "/v1/chat/completions", "{'model':'a/b'," HI "}");
        CHECK_EQ(whole.status, 200);
        struct str text = answer_at(w, whole, "choices.0.message.content");
        if (strcmp(chatting[i], "tgi") != 0) /* its one model has another name */
            CHECK(str_eq(text, answer_at(w, bare, "choices.0.message.content")));
        CHECK_STR(answer_at(w, whole, "choices.0.finish_reason"), "stop");
        struct heard stream = post(w, target, "{'model':'a/b'," HI STREAM "}");
        struct events *e = events_of(w, stream.body);
        for (size_t k = 0; k < e->count; k++)
            CHECK_MSG(e->v[k], "event %zu is not JSON", k);
        CHECK(str_eq(joined(w, e, "choices.0.delta.content"), text));
        CHECK_STR(text_at(w, e->v[0], "object"), "chat.completion.chunk");
        CHECK_STR(text_at(w, e->v[0], "choices.0.delta.role"), "assistant");
        CHECK_STR(text_at(w, e->v[e->count - 1], "choices.0.finish_reason"), "stop");
        CHECK_EQ(e->done, strcmp(chatting[i], "perplexity") != 0);
    }
    test_context("%s", "");
}

SIM_TEST(sim_lookalikes_call_the_same_tools_whole_and_streamed, NULL)
{
    for (size_t i = 0; i < ARRAY_LEN(chatting); i++) {
        char target[64];
        snprintf(target, sizeof(target), "/%s/v1/chat/completions", chatting[i]);
        if (strcmp(chatting[i], "perplexity") == 0)
            continue;
        test_context("%s", target);
        const char *body = "{'model':'a/b','messages':[{'role':'user','content':'the tide'}]" TOOLS;
        struct heard whole = post(w, target, arena_printf(&w->arena, "%s}", body).p);
        CHECK_STR(answer_at(w, whole, "choices.0.finish_reason"), "tool_calls");
        CHECK_STR(answer_at(w, whole, "choices.0.message.content"), "null");
        CHECK_STR(answer_at(w, whole, "choices.0.message.tool_calls.0.function.name"), "get_tide");
        struct events *e = events_of(w, post(w, target, arena_printf(&w->arena, "%s" STREAM "}", body).p).body);
        struct str arguments = joined(w, e, "choices.0.delta.tool_calls.0.function.arguments");
        struct str expected = answer_at(w, whole, "choices.0.message.tool_calls.0.function.arguments");
        if (arguments.n > 0) /* else they are an object, in one piece */
            CHECK(str_eq(arguments, expected));
        CHECK(holds(expected, "port"));
        CHECK_STR(joined(w, e, "choices.0.delta.tool_calls.0.function.name"), "get_tide");
        CHECK_STR(text_at(w, e->v[e->count - 1], "choices.0.finish_reason"), "tool_calls");
    }
    test_context("%s", "");
}

SIM_TEST(sim_lookalikes_refuse_what_is_only_openais, NULL)
{
    static const char *const bodies[] = {
        ASK(",'functions':[{'name':'f'}]"),
        ASK(",'tools':[{'type':'custom','custom':{'name':'f'}}]"),
        ASK(",'stream_options':{'include_usage':true}"),
        "{'model':'m'}",
    };

    for (size_t i = 0; i < ARRAY_LEN(chatting); i++)
        for (size_t k = 0; k < ARRAY_LEN(bodies); k++) {
            char target[64];
            snprintf(target, sizeof(target), "/%s/v1/chat/completions", chatting[i]);
            struct heard h = post(w, target, bodies[k]);
            CHECK_MSG(h.status == (strcmp(chatting[i], "tgi") == 0 ? 422 : 400), "%s %s: %d", target, bodies[k],
                      h.status);
        }
}

SIM_TEST(sim_lookalikes_know_their_real_paths, NULL)
{
    static const char *const targets[] = {"/groq/openai/v1/chat/completions",
                                          "/openrouter/api/v1/chat/completions",
                                          "/fireworks/inference/v1/chat/completions",
                                          "/deepseek/chat/completions",
                                          "/perplexity/chat/completions",
                                          "/azure/openai/v1/chat/completions",
                                          "/xai/v1/chat/completions"};

    for (size_t i = 0; i < ARRAY_LEN(targets); i++)
        CHECK_MSG(post(w, targets[i], ASK("")).status == 200, "%s", targets[i]);
    CHECK_EQ(post(w, "/groq/v1/embeddings", "{}").status, 404);
    CHECK_EQ(fetch(w, "GET", "/xai/v1/models").status, 200);
}

/* --- usage, each in its way --- */

SIM_TEST(sim_lookalikes_put_usage_where_they_do, NULL)
{
    static const struct {
        const char *surface;
        size_t unasked, asked; /* chunks with usage; SIZE_MAX: all */
    } cases[] = {{"vllm", 0, 1},     {"groq", 0, 1},     {"together", 1, 1},   {"deepseek", 1, 1},
                 {"cerebras", 1, 1}, {"lmstudio", 0, 0}, {"openrouter", 1, 1}, {"sglang", 0, 1}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char target[64];
        snprintf(target, sizeof(target), "/%s/v1/chat/completions", cases[i].surface);
        struct events *e = events_of(w, post(w, target, ASK(STREAM)).body);
        CHECK_MSG(having(e, "usage.total_tokens") == cases[i].unasked, "%s: %zu", target,
                  having(e, "usage.total_tokens"));
        e = events_of(w, post(w, target, ASK(STREAM ",'stream_options':{'include_usage':true}")).body);
        CHECK_MSG(having(e, "usage.total_tokens") == cases[i].asked, "%s: %zu", target,
                  having(e, "usage.total_tokens"));
        if (cases[i].asked > 0)
            CHECK_STR(text_at(w, e->v[e->count - 1], "usage.completion_tokens"), "20");
    }
    struct events *e = events_of(w, post(w, CHAT("perplexity"), ASK(STREAM)).body);
    CHECK_EQ(having(e, "usage.total_tokens"), e->count);
    CHECK_STR(text_at(w, e->v[3], "usage.completion_tokens"), "3");
    CHECK_STR(answer_at(w, post(w, CHAT("lmstudio"), ASK("")), "usage"), "nothing");
}

SIM_TEST(sim_usage_is_the_same_whole_and_streamed, NULL)
{
    struct heard whole = post(w, CHAT("cerebras"), TIDE(THINK));
    struct events *e = events_of(w, post(w, CHAT("cerebras"), TIDE(THINK STREAM)).body);

    CHECK(str_eq(text_at(w, e->v[e->count - 1], "usage"), answer_at(w, whole, "usage")));
    e = events_of(w, post(w, CHAT("sglang"), ASK(STREAM ",'stream_options':{'include_usage':true}")).body);
    CHECK_EQ(having(e, "usage"), e->count); /* null until the last */
    CHECK_STR(text_at(w, e->v[0], "usage"), "null");
    e = events_of(w, post(w, CHAT("sglang"), ASK(STREAM)).body);
    CHECK_EQ(having(e, "usage"), 0);
}

SIM_TEST(sim_vllm_counts_on_each_chunk_if_asked, NULL)
{
    struct events *e = events_of(w, post(w, CHAT("vllm"),
                                         ASK(STREAM ",'stream_options':{'include_usage':true,"
                                                    "'continuous_usage_stats':true}"))
                                        .body);

    CHECK_EQ(having(e, "usage.total_tokens"), e->count);
    CHECK_STR(text_at(w, e->v[5], "usage.completion_tokens"), "5");
}

/* --- thoughts, each in its member --- */

SIM_TEST(sim_lookalikes_think_where_they_do, NULL)
{
    static const struct {
        const char *surface, *member;
    } cases[] = {{"vllm", "reasoning"},        {"groq", "reasoning"},       {"deepseek", "reasoning_content"},
                 {"xai", "reasoning_content"}, {"openrouter", "reasoning"}, {"sglang", "reasoning_content"},
                 {"cerebras", "reasoning"},    {"ollama", "reasoning"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char target[64], path[64];
        snprintf(target, sizeof(target), "/%s/v1/chat/completions", cases[i].surface);
        snprintf(path, sizeof(path), "choices.0.message.%s", cases[i].member);
        struct heard whole = post(w, target, ASK(THINK));
        struct str thought = answer_at(w, whole, path);
        CHECK_MSG(thought.n == 32, "%s: %.*s", target, STR_ARG(thought)); /* 8 tokens */
        snprintf(path, sizeof(path), "choices.0.delta.%s", cases[i].member);
        struct events *e = events_of(w, post(w, target, ASK(THINK STREAM)).body);
        CHECK_MSG(str_eq(joined(w, e, path), thought), "%s", target);
        CHECK_STR(answer_at(w, post(w, target, ASK("")), path), "nothing");
    }
    struct events *e = events_of(w, post(w, CHAT("openrouter"), ASK(THINK STREAM)).body);
    CHECK_STR(text_at(w, e->v[1], "choices.0.delta.reasoning_details.0.type"), "reasoning.text");
    CHECK_EQ(joined(w, e, "choices.0.delta.reasoning_details.0.text").n, 32);
}

SIM_TEST(sim_xai_counts_no_thoughts_as_completion, NULL)
{
    struct heard h = post(w, CHAT("xai"), ASK(THINK));
    struct heard other = post(w, CHAT("deepseek"), ASK(THINK));

    CHECK_STR(answer_at(w, h, "usage.completion_tokens"), "20");
    CHECK_STR(answer_at(w, h, "usage.completion_tokens_details.reasoning_tokens"), "8");
    CHECK_STR(answer_at(w, other, "usage.completion_tokens"), "28");
    CHECK(str_eq(answer_at(w, h, "usage.total_tokens"), answer_at(w, other, "usage.total_tokens")));
}

SIM_TEST(sim_thoughts_are_hidden_on_request, NULL)
{
    CHECK_STR(
        answer_at(w, post(w, CHAT("vllm"), ASK(THINK ",'include_reasoning':false")), "choices.0.message.reasoning"),
        "nothing");
    CHECK_STR(
        answer_at(w, post(w, CHAT("groq"), ASK(THINK ",'reasoning_format':'hidden'")), "choices.0.message.reasoning"),
        "nothing");
    struct heard h = post(w, CHAT("openrouter"), ASK(",'reasoning':{'max_tokens':12,'exclude':true}"));
    CHECK_STR(answer_at(w, h, "choices.0.message.reasoning"), "nothing");
    CHECK_STR(answer_at(w, h, "usage.completion_tokens"), "32");
    struct events *e =
        events_of(w, post(w, CHAT("openrouter"), ASK(STREAM ",'reasoning':{'max_tokens':12,'exclude':true}")).body);
    CHECK_STR(text_at(w, e->v[e->count - 1], "usage.completion_tokens"), "32");
}

/* --- calls --- */

SIM_TEST(sim_calls_come_in_pieces_or_whole, NULL)
{
    struct events *pieces = events_of(w, post(w, CHAT("vllm"), TIDE(STREAM)).body);
    CHECK_STR(text_at(w, pieces->v[1], "choices.0.delta.tool_calls.0.function.arguments"), "");
    CHECK_STR(text_at(w, pieces->v[2], "choices.0.delta.tool_calls.0.id"), "nothing");
    CHECK_STR(text_at(w, pieces->v[2], "choices.0.delta.tool_calls.0.index"), "0");
    CHECK_STR(text_at(w, pieces->v[pieces->count - 2], "choices.0.delta.tool_calls.0.index"), "1");
    struct events *whole = events_of(w, post(w, CHAT("groq"), TIDE(STREAM)).body);
    CHECK_EQ(whole->count, 4); /* role, two calls, finish */
    CHECK(holds(text_at(w, whole->v[1], "choices.0.delta.tool_calls.0.function.arguments"), "port"));
    CHECK_STR(text_at(w, whole->v[2], "choices.0.delta.tool_calls.0.index"), "1");
    struct events *nameless = events_of(w, post(w, CHAT("llamacpp"), TIDE(STREAM)).body);
    CHECK_EQ(having(nameless, "choices.0.delta.tool_calls.0.id"), 0);
    CHECK_STR(answer_at(w, post(w, CHAT("llamacpp"), TIDE("")), "choices.0.message.tool_calls.0.id"), "nothing");
    struct events *untyped = events_of(w, post(w, CHAT("lmstudio"), TIDE(STREAM)).body);
    CHECK_EQ(having(untyped, "choices.0.delta.tool_calls.0.id"), 2);
    CHECK_EQ(having(untyped, "choices.0.delta.tool_calls.0.type"), 0);
}

SIM_TEST(sim_huggingface_leaves_out_index_time_and_finish, NULL)
{
    struct heard h = post(w, CHAT("huggingface"),
                          "{'model':'org/m','messages':[{'role':'user','content':'the tide'}]" TOOLS STREAM "}");
    struct events *e = events_of(w, h.body);

    CHECK_EQ(having(e, "choices.0.delta.tool_calls.0.id"), 1);
    CHECK_EQ(having(e, "choices.0.delta.tool_calls.0.index"), 0);
    CHECK_STR(text_at(w, e->v[0], "choices.0.finish_reason"), "");
    CHECK_STR(text_at(w, e->v[0], "created"), "0");
    CHECK_EQ(post(w, CHAT("huggingface"), ASK("")).status, 400);
    CHECK_STR(answer_at(w, post(w, CHAT("nvidia"), ASK("")), "created"), "nothing");
}

/* --- each one's own --- */

SIM_TEST(sim_vllm_says_why_it_stopped_and_follows_structures, NULL)
{
    struct heard h = post(w, CHAT("vllm"), ASK(",'stop':['asked']"));
    CHECK_STR(answer_at(w, h, "choices.0.stop_reason"), "asked");
    CHECK_STR(answer_at(w, post(w, CHAT("vllm"), ASK("")), "choices.0.stop_reason"), "null");
    CHECK_STR(answer_at(w, post(w, CHAT("sglang"), ASK(",'stop':['asked']")), "choices.0.matched_stop"), "asked");
    CHECK_STR(answer_at(w, post(w, CHAT("sglang"), ASK("")), "choices.0.matched_stop"), "151645");
    h = post(w, CHAT("vllm"), ASK(",'guided_json':{'type':'object','properties':{'a':{'const':5}},'required':['a']}"));
    CHECK_STR(answer_at(w, h, "choices.0.message.content"), "{\"a\":5}");
    h = post(w, CHAT("vllm"), ASK(",'structured_outputs':{'regex':'abc[d]e'}"));
    CHECK_STR(answer_at(w, h, "choices.0.message.content"), "abcde");
    h = post(w, CHAT("vllm"), ASK(",'guided_regex':'[a-z]{12}'"));
    struct heard again = post(w, CHAT("vllm"), ASK(",'guided_regex':'[a-z]{12}'"));
    CHECK_EQ(answer_at(w, h, "choices.0.message.content").n, 12);
    CHECK(str_eq(answer_at(w, h, "choices.0.message.content"), answer_at(w, again, "choices.0.message.content")));
    CHECK_EQ(post(w, CHAT("vllm"), ASK(",'something_new':1")).status, 200);
}

SIM_TEST(sim_vllm_refuses_with_a_number_as_code, NULL)
{
    static const struct ask_case cases[] = {
        {ASK(",'temperature':3"), 400, "'type':'BadRequestError','param':'temperature','code':400}"},
        {ASK(",'top_k':-2"), 400, "'param':'top_k'"},
        {ASK(",'min_p':1.5"), 400, "'param':'min_p'"},
        {ASK(",'min_tokens':9,'max_tokens':8"), 400, "min_tokens must be less"},
        {ASK(",'min_tokens':8,'max_tokens':8"), 200, "choices"},
        {ASK(",'continue_final_message':true"), 400, "Cannot set both"},
        {ASK(",'structured_outputs':{'json':{},'regex':'a'}"), 400, "only use one kind"},
        {ASK(",'structured_outputs':{'regex':'(?=a)'}"), 400, "regular expression"},
        {ASK(",'guided_json':5"), 400, "guided_json"},
        {ASK(",'top_k':-1,'min_p':0.5,'repetition_penalty':1.1,'stop_token_ids':[5],'ignore_eos':true"), 200,
         "choices"},
    };

    check_asks(w, CHAT("vllm"), cases, ARRAY_LEN(cases));
}

SIM_TEST(sim_lookalikes_refuse_each_in_its_form, NULL)
{
    CHECK_STR(answer_at(w, post(w, CHAT("sglang"), "{}"), "object"), "error");
    CHECK_STR(answer_at(w, post(w, CHAT("sglang"), "{}"), "code"), "400");
    CHECK(holds(answer_at(w, post(w, CHAT("lmstudio"), "{}"), "error"), "model"));
    CHECK_STR(answer_at(w, post(w, CHAT("openrouter"), "{}"), "error.code"), "400");
    CHECK_STR(answer_at(w, post(w, CHAT("openrouter"), "{}"), "error.type"), "nothing");
    CHECK_STR(answer_at(w, post(w, CHAT("nvidia"), "{}"), "status"), "400");
    CHECK_STR(answer_at(w, post(w, CHAT("together"), "{}"), "error.param"), "model");
    struct heard h = post_sim(w, CHAT("cerebras"), "fault=rate_limit;retry_after=2s", ASK(""));
    CHECK_EQ(h.status, 429);
    CHECK_STR(answer_at(w, h, "type"), "RateLimitError");
    CHECK_STR(http_head_find(h.head, STR("retry-after")), "2");
    CHECK(http_head_find(h.head, STR("openai-version")).p == NULL);
}

SIM_TEST(sim_lookalikes_break_off_streams_each_in_its_form, NULL)
{
    struct events *e =
        events_of(w, post_sim(w, CHAT("openrouter"), "fault=error_event;after_tokens=3", ASK(STREAM)).body);
    yyjson_val *last = e->v[e->count - 1];
    CHECK_STR(text_at(w, last, "error.code"), "500");
    CHECK_STR(text_at(w, last, "choices.0.finish_reason"), "error");
    CHECK(!e->done);
    e = events_of(w, post_sim(w, CHAT("vllm"), "fault=error_event;after_tokens=3", ASK(STREAM)).body);
    CHECK_STR(text_at(w, e->v[e->count - 1], "error.code"), "500");
    CHECK_STR(text_at(w, e->v[e->count - 1], "choices"), "nothing");
}

SIM_TEST(sim_comments_stand_between_chunks, NULL)
{
    struct heard h = post(w, CHAT("openrouter"), ASK(STREAM));
    CHECK(str_starts(h.body, STR(": OPENROUTER PROCESSING\n\n")));
    size_t comments = 0;
    for (struct str rest = h.body; rest.n > 0;)
        comments += str_starts(str_cut(&rest, '\n'), STR(": OPENROUTER"));
    CHECK_EQ(comments, 4); /* one first, then before every eighth of 22 */
    CHECK(str_starts(post(w, CHAT("deepseek"), ASK(STREAM)).body, STR(": keep-alive\n\n")));
    struct events *e = events_of(w, h.body);
    CHECK_EQ(having(e, "choices.0.delta.role"), e->count);
    CHECK_STR(text_at(w, e->v[e->count - 1], "choices.0.native_finish_reason"), "end_turn");
    CHECK_EQ(having(e, "usage.cost"), 1);
}

SIM_TEST(sim_groq_wants_it_its_way, NULL)
{
    static const struct ask_case cases[] = {
        {ASK(",'n':2"), 400, "must be at most 1"},
        {ASK(",'logprobs':true"), 400, "'param':'logprobs'"},
        {ASK(",'top_k':5"), 400, "'code':'unknown_parameter'"},
        {ASK(",'logprobs':null,'functions':null"), 200, "choices"},
        {ASK(",'max_completion_tokens':5"), 200, "'finish_reason':'length'"},
        {ASK(",'reasoning_format':'raw','include_reasoning':true"), 400, "cannot specify both"},
        {"{'model':'m','messages':[{'role':'user','name':'x','content':'hi'}]}", 400, "property 'name' is unsupported"},
        {"{'model':'m','messages':[{'role':'user','content':'SIMULATE_FAILED_GENERATION'}]}", 400,
         "'failed_generation':'<tool-use>"},
    };

    check_asks(w, "/groq/openai/v1/chat/completions", cases, ARRAY_LEN(cases) - 2);
    struct heard h = post(w, CHAT("groq"), cases[7].body);
    CHECK_STR(answer_at(w, h, "error.code"), "tool_use_failed");
    CHECK(str_starts(answer_at(w, h, "error.failed_generation"), STR("<tool-use>")));
    CHECK_EQ(post(w, CHAT("groq"), cases[6].body).status, 400);
    struct events *e = events_of(w, post(w, CHAT("groq"), ASK(STREAM)).body);
    CHECK_EQ(having(e, "x_groq.id"), 2);
    CHECK_STR(text_at(w, e->v[e->count - 1], "x_groq.usage.completion_tokens"), "20");
    CHECK_EQ(having(e, "usage"), 0);
}

SIM_TEST(sim_deepseek_wants_thoughts_back_within_a_tool_loop, NULL)
{
#define LOOP(thought, more)                                                                                            \
    "{'model':'m','messages':[{'role':'user','content':'hi'},{'role':'assistant','content':''" thought                 \
    ",'tool_calls':[{'id':'c1','type':'function','function':{'name':'get_tide','arguments':'{}'}}]},"                  \
    "{'role':'tool','tool_call_id':'c1','content':'low'}" more "],'thinking':{'type':'enabled'}" TOOLS "}"
    static const struct ask_case cases[] = {
        {LOOP("", ""), 400, "Missing `reasoning_content` field in the assistant message at message index 1"},
        {LOOP(",'reasoning_content':'hm'", ""), 200, "'reasoning_content'"},
        {LOOP("", ",{'role':'user','content':'thanks'}"), 200, "'reasoning_content'"},
        {ASK(",'thinking':{'type':'maybe'}"), 400, "unknown variant"},
        {ASK(",'response_format':{'type':'json_schema','json_schema':{'name':'a','schema':{}}}"), 400, "unavailable"},
        {ASK(",'max_completion_tokens':5"), 400, "is not supported"},
        {"{'model':'m','messages':[{'role':'user','content':'SIMULATE_NO_RESOURCES'}]}", 200,
         "'insufficient_system_resource'"},
        {ASK(""), 200, "'prompt_cache_miss_tokens':8"},
    };

    check_asks(w, CHAT("deepseek"), cases, ARRAY_LEN(cases));
}

SIM_TEST(sim_others_refuse_what_they_do_not_take, NULL)
{
    static const struct ask_case perplexity[] = {
        {ASK(",'seed':1"), 400, "'param':'seed'"},
        {TIDE(""), 200, "get_tide"},
        {"{'model':'m','messages':[{'role':'user','content':'a'},{'role':'user','content':'b'}]}", 400,
         "should alternate"},
        {"{'model':'m','messages':[{'role':'user','content':'a'},{'role':'assistant','content':'b'}]}", 400,
         "Last message"},
        {"{'model':'m','messages':[{'role':'user','content':'a'},{'role':'system','content':'s'}]}", 400,
         "should alternate"},
        {"{'model':'m','messages':[{'role':'system','content':'s'},{'role':'user','content':'a'}]}", 200, "citations"},
    };
    static const struct ask_case cerebras[] = {
        {ASK(",'frequency_penalty':1"), 400, "not supported"},
        {ASK(",'top_k':5"), 400, "Extra inputs"},
        {ASK(""), 200, "time_info"},
    };
    static const struct ask_case nvidia[] = {
        {ASK(",'prompt_cache_key':'k'"), 400, "is not supported"},
        {ASK(",'max_completion_tokens':5"), 400, "not supported"},
        {ASK(",'top_k':5"), 400, "Extra inputs"},
    };
    static const struct ask_case xai[] = {
        {ASK(THINK ",'stop':'x'"), 400, "not supported on this model: stop"},
        {ASK(",'stop':'x'"), 200, "num_sources_used"},
    };
    static const struct ask_case openrouter[] = {
        {ASK(",'reasoning':{'effort':'low','max_tokens':5}"), 400, "Only one of"},
        {ASK(",'reasoning':{'effort':'low'},'reasoning_effort':'low'"), 400, "Only one of"},
        {ASK(",'reasoning':{'effort':'low'}"), 200, "'reasoning_tokens':8"},
    };

    check_asks(w, CHAT("perplexity"), perplexity, ARRAY_LEN(perplexity));
    check_asks(w, CHAT("cerebras"), cerebras, ARRAY_LEN(cerebras));
    check_asks(w, CHAT("nvidia"), nvidia, ARRAY_LEN(nvidia));
    check_asks(w, CHAT("xai"), xai, ARRAY_LEN(xai));
    check_asks(w, CHAT("openrouter"), openrouter, ARRAY_LEN(openrouter));
}

SIM_TEST(sim_lookalikes_give_choices_and_logprobs, NULL)
{
    struct heard h = post(w, CHAT("vllm"), ASK(",'n':3,'logprobs':true,'top_logprobs':2"));
    yyjson_val *v = parsed(w, h.body);

    CHECK_EQ(yyjson_arr_size(val_at(v, "choices")), 3);
    CHECK_EQ(yyjson_arr_size(val_at(v, "choices.2.logprobs.content")), 20);
    struct events *e = events_of(w, post(w, CHAT("vllm"), ASK(STREAM ",'n':2,'logprobs':true")).body);
    CHECK_EQ(e->count, 2 + 40 + 2);
    CHECK_EQ(having(e, "choices.0.logprobs.content.0.token"), 40);
}

/* --- Azure --- */

#define DATED "/openai/deployments/gpt-x/chat/completions?api-version="

SIM_TEST(sim_azure_takes_the_model_from_the_path, "models: {gpt-x: {}}")
{
    struct heard h = post(w, DATED "2024-10-21", "{" HI "}");
    CHECK_EQ(h.status, 200);
    CHECK_STR(answer_at(w, h, "model"), "gpt-x");
    CHECK_STR(answer_at(w, h, "prompt_filter_results.0.content_filter_results.hate.severity"), "safe");
    CHECK_STR(answer_at(w, h, "choices.0.content_filter_results.violence.filtered"), "false");
    CHECK_STR(answer_at(w, post(w, "/azure" DATED "2024-10-21", "{'model':'other'," HI "}"), "model"), "gpt-x");
    CHECK_EQ(post(w, DATED, "{" HI "}").status, 404);
    CHECK_EQ(post(w, "/openai/deployments/gpt-x/chat/completions", "{" HI "}").status, 404);
    CHECK_STR(answer_at(w, post(w, "/openai/deployments/no/chat/completions?api-version=2024-10-21", "{" HI "}"),
                        "error.code"),
              "DeploymentNotFound");
    h = post(w, "/openai/deployments/gpt-x/embeddings?api-version=2024-10-21", " { }");
    CHECK_EQ(h.status, 400);
    CHECK(holds(answer_at(w, h, "error.message"), "input"));
    h = post(w, "/openai/deployments/gpt-x/embeddings?api-version=2024-10-21", "{'input':'a','dimensions':2}");
    CHECK_STR(answer_at(w, h, "model"), "gpt-x");
    CHECK_EQ(post(w, DATED "2024-06-01", "{" HI ",'stream':true,'stream_options':{'include_usage':true}}").status, 400);
    CHECK_EQ(post(w, DATED "2024-10-21", "{" HI ",'stream':true,'stream_options':{'include_usage':true}}").status, 200);
    CHECK_STR(answer_at(w, post(w, "/azure/openai/v1/chat/completions", "{'model':'gpt-x'," HI "}"), "model"), "gpt-x");
}

SIM_TEST(sim_azure_filters, "models: {gpt-x: {}}")
{
    struct heard h = post(w, DATED "2024-10-21", "{'messages':[{'role':'user','content':'SIMULATE_BLOCKED_PROMPT'}]}");
    CHECK_EQ(h.status, 400);
    CHECK_STR(answer_at(w, h, "error.code"), "content_filter");
    CHECK_STR(answer_at(w, h, "error.innererror.code"), "ResponsibleAIPolicyViolation");
    CHECK_STR(answer_at(w, h, "error.innererror.content_filter_result.hate.filtered"), "true");
    h = post(w, DATED "2024-10-21", "{'messages':[{'role':'user','content':'SIMULATE_BLOCKED_ANSWER'}],'stream':true}");
    struct events *e = events_of(w, h.body);
    CHECK_STR(text_at(w, e->v[0], "choices"), "[]");
    CHECK_EQ(having(e, "prompt_filter_results"), 1);
    CHECK_STR(text_at(w, e->v[e->count - 1], "choices.0.finish_reason"), "content_filter");
    CHECK_STR(text_at(w, e->v[1], "choices.0.content_filter_results"), "{}");
    CHECK(e->done);
}

SIM_TEST(sim_azure_takes_its_key_where_clients_put_it, "api_keys: [secret]\nmodels: {gpt-x: {}}")
{
    static const struct http_header ways[] = {
        {STR_INIT("api-key"), STR_INIT("secret")},
        {STR_INIT("authorization"), STR_INIT("Bearer secret")},
        {STR_INIT("api-key"), STR_INIT("wrong")},
        {STR_INIT("x-api-key"), STR_INIT("secret")},
    };

    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct heard h =
            ask_with(w, "POST", DATED "2024-10-21", &ways[i], 1, quoted(&w->arena, "{" HI "}", STR_NONE).p, NS_NEVER);
        CHECK_EQ(h.status, i < 2 ? 200 : 401);
        if (i >= 2)
            CHECK_STR(answer_at(w, h, "error.code"), "401");
    }
    CHECK_EQ(post(w, DATED "2024-10-21&subscription-key=secret", "{" HI "}").status, 200);
    CHECK_EQ(post(w, CHAT("groq"), "{'model':'gpt-x'," HI "}").status, 401);
}

SIM_TEST(sim_azure_says_when_to_come_back, NULL)
{
    struct heard h = post_sim(w, DATED "2024-10-21", "fault=rate_limit;retry_after=1500ms", "{" HI "}");

    CHECK_EQ(h.status, 429);
    CHECK_STR(answer_at(w, h, "error.code"), "429");
    CHECK_STR(http_head_find(h.head, STR("retry-after-ms")), "1500");
    CHECK_STR(http_head_find(h.head, STR("x-ratelimit-remaining-requests")), "0");
    CHECK_GT(http_head_find(h.head, STR("apim-request-id")).n, 10);
}

/* --- vLLM beside chat, and Jina --- */

SIM_TEST(sim_reranking_puts_the_likest_first, NULL)
{
    static const char *const targets[] = {"/v1/rerank", "/rerank", "/vllm/v2/rerank", "/jina/v1/rerank"};
    const char *body = "{'model':'m','query':'tide tables of Brest','documents':['cheese from the Alps',"
                       "{'text':'the tide tables of Brest'},'a book'],'top_n':2}";

    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        struct heard h = post(w, targets[i], body);
        CHECK_MSG(h.status == 200, "%s: %d", targets[i], h.status);
        yyjson_val *v = parsed(w, h.body);
        CHECK_EQ(yyjson_arr_size(val_at(v, "results")), 2);
        CHECK_STR(text_at(w, v, "results.0.index"), "1");
        CHECK_STR(text_at(w, v, "results.0.document.text"), "the tide tables of Brest");
        double best = yyjson_get_num(val_at(v, "results.0.relevance_score"));
        double next = yyjson_get_num(val_at(v, "results.1.relevance_score"));
        CHECK(best > next && best <= 1 && next >= 0);
        CHECK_STR(text_at(w, v, "usage.total_tokens"), "18");
    }
    CHECK_STR(answer_at(w, post(w, "/v1/rerank", "{'model':'m','query':'a'}"), "error.code"), "400");
    CHECK(holds(answer_at(w, post(w, "/jina/v1/rerank", "{'model':'m','query':'a'}"), "detail"), "documents"));
    CHECK_EQ(post(w, "/v1/rerank", "{'model':'m','query':'a','documents':[5]}").status, 400);
    struct heard h = post(w, "/v1/rerank", "{'model':'m','query':'a','documents':['b'],'return_documents':false}");
    CHECK_STR(answer_at(w, h, "results.0.document"), "nothing");
    h = post(w, "/v1/rerank", "{'model':'m','query':'a','documents':['b','c','b','c','b']}");
    CHECK(yyjson_get_int(val_at(parsed(w, h.body), "results.0.index")) <
          yyjson_get_int(val_at(parsed(w, h.body), "results.1.index"))); /* of equals the earlier first */
}

SIM_TEST(sim_vllm_scores_pairs, NULL)
{
    struct heard h = post(w, "/score", "{'model':'m','text_1':'a tide','text_2':['a tide','some cheese']}");
    yyjson_val *v = parsed(w, h.body);

    CHECK_EQ(h.status, 200);
    CHECK(yyjson_get_num(val_at(v, "data.0.score")) > 0.99);
    CHECK(yyjson_get_num(val_at(v, "data.1.score")) < 0.9);
    h = post(w, "/score", "{'model':'m','text_1':['a','b'],'text_2':['c','b']}");
    CHECK(yyjson_get_num(val_at(parsed(w, h.body), "data.1.score")) > 0.99);
    CHECK_EQ(post(w, "/score", "{'model':'m','text_1':['a','b'],'text_2':['c']}").status, 400);
    CHECK_EQ(post(w, "/score", "{'model':'m','text_1':'a','text_2':{}}").status, 400);
}

SIM_TEST(sim_vllm_tokenizes_prompts_and_messages, NULL)
{
    struct heard h = post(w, "/tokenize", "{'model':'m','prompt':'four token text'}");
    CHECK_STR(answer_at(w, h, "count"), "4");
    CHECK_EQ(yyjson_arr_size(val_at(parsed(w, h.body), "tokens")), 4);
    CHECK_EQ(post(w, "/vllm/tokenize", "{'model':'m','messages':[{'role':'user','content':'hi'}]}").status, 200);
    CHECK_EQ(post(w, "/tokenize", "{'model':'m'}").status, 400);
}

SIM_TEST(sim_vllm_answers_for_itself, "models: {a: {}, 'org/b': {}}")
{
    struct heard h = fetch(w, "GET", "/vllm/v1/models");
    CHECK_STR(answer_at(w, h, "data.1.id"), "org/b");
    CHECK_STR(answer_at(w, h, "data.1.root"), "org/b");
    CHECK_STR(answer_at(w, h, "data.1.max_model_len"), "32768");
    h = fetch(w, "GET", "/health");
    CHECK_EQ(h.status, 200);
    CHECK_EQ(h.body.n, 0);
    CHECK(holds(answer_at(w, fetch(w, "GET", "/version"), "version"), "simulated"));
}

/* A request that waits for its first token while the gauges are read. */
static err_t ask_slowly(void *arg) SUSPENDS;
static err_t ask_slowly(void *arg)
{
    post_sim(arg, CHAT("vllm"), "ttft=10s", ASK(""));
    return OK;
}

SIM_TIMED_TEST(sim_vllm_gauges_are_live, NULL)
{
    CHECK(!holds(fetch(w, "GET", "/metrics").body, "model_name=\"m\""));
    {
        SCOPE(scope, ns_add(rt_now(), 3 * NS_SEC));
        scope_discard_results(&scope);
        for (int i = 0; i < 18; i++)
            scope_spawn(&scope, "slow", ask_slowly, w);
        CHECK_OK(fiber_sleep_until(ns_add(rt_now(), NS_SEC)));
        struct str text = fetch(w, "GET", "/metrics").body;
        CHECK(holds(text, "vllm:num_requests_running{engine=\"0\",model_name=\"m\"} 16\n"));
        CHECK(holds(text, "vllm:num_requests_waiting{engine=\"0\",model_name=\"m\"} 2\n"));
        CHECK(
            holds(text, "vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"m\"} 0.00219727\n")); /* 18 * 8 of 65536 */
        scope_cancel(&scope);
    }
    CHECK_OK(fiber_sleep_until(ns_add(rt_now(), NS_SEC))); /* until the server has seen them leave */
    post(w, CHAT("vllm"), ASK(""));
    struct str text = fetch(w, "GET", "/metrics").body;
    CHECK(holds(text, "vllm:num_requests_running{engine=\"0\",model_name=\"m\"} 0\n"));
    CHECK(holds(text, "vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"m\"} 0\n"));
    CHECK(holds(text, "vllm:generation_tokens_total{engine=\"0\",model_name=\"m\"} 20\n"));
    CHECK(holds(text, "# TYPE vllm:request_success_total counter\n"));
}

/* --- how a self-hosted server is --- */

struct told {
    struct server_load load;
    err_t end;
};

static struct told metrics_of(struct world *w, const char *target) SUSPENDS;
static struct told metrics_of(struct world *w, const char *target)
{
    struct told t = {.end = OK};
    struct heard h = fetch(w, "GET", target);
    struct prometheus_sample s;

    if (h.status != 200)
        return (struct told){.end = E_NOT_FOUND};
    while ((t.end = prometheus_next(&h.body, &s)) == OK && s.name.p)
        server_load_take(&t.load, &s);
    return t;
}

static const char *const inference[] = {"vllm", "sglang", "tgi", "llamacpp"};

SIM_TIMED_TEST(sim_inference_servers_tell_how_busy_they_are, NULL)
{
    for (size_t i = 0; i < ARRAY_LEN(inference); i++) {
        char target[64];
        test_context("%s", inference[i]);
        snprintf(target, sizeof(target), "/%s/health", inference[i]);
        CHECK_EQ(fetch(w, "GET", target).status, 200);
        snprintf(target, sizeof(target), "/%s/metrics", inference[i]);
        struct told idle = metrics_of(w, target);
        CHECK_OK(idle.end);
        CHECK(idle.load.running == 0 && idle.load.waiting == 0);
        SCOPE(scope, ns_add(rt_now(), 3 * NS_SEC));
        scope_discard_results(&scope);
        for (int k = 0; k < 18; k++)
            scope_spawn(&scope, "slow", ask_slowly, w);
        CHECK_OK(fiber_sleep_until(ns_add(rt_now(), NS_SEC)));
        struct told busy = metrics_of(w, target);
        CHECK(busy.load.is_known && busy.load.running == 16 && busy.load.waiting == 2);
        if (strcmp(inference[i], "vllm") !=
            0) /* which says how much its cache holds when it starts, of which there is nothing here */
            CHECK(server_load_tokens(&busy.load) == 18 * 8);
        scope_cancel(&scope);
        CHECK_OK(fiber_sleep_until(ns_add(rt_now(), NS_SEC)));
    }
    test_context("%s", "");
}

SIM_TIMED_TEST(sim_inference_servers_lie_if_they_are_told_to, "{metrics: idle, healthy: false, models: {'*': {}}}")
{
    SCOPE(scope, ns_add(rt_now(), 3 * NS_SEC));
    scope_discard_results(&scope);
    scope_spawn(&scope, "slow", ask_slowly, w);
    CHECK_OK(fiber_sleep_until(ns_add(rt_now(), 100 * NS_MS)));
    for (size_t i = 0; i < ARRAY_LEN(inference); i++) {
        char target[64];
        snprintf(target, sizeof(target), "/%s/health", inference[i]);
        CHECK_EQ(fetch(w, "GET", target).status, 503);
        snprintf(target, sizeof(target), "/%s/metrics", inference[i]);
        struct told t = metrics_of(w, target);
        CHECK_OK(t.end);
        CHECK(t.load.is_known && t.load.running == 0);
    }
    scope_cancel(&scope);
}

SIM_TIMED_TEST(sim_metrics_can_stand_still, "{metrics: frozen, models: {'*': {}}}")
{
    CHECK(metrics_of(w, "/tgi/metrics").load.running == 0);
    SCOPE(scope, ns_add(rt_now(), 3 * NS_SEC));
    scope_discard_results(&scope);
    scope_spawn(&scope, "slow", ask_slowly, w);
    CHECK_OK(fiber_sleep_until(ns_add(rt_now(), 100 * NS_MS)));
    CHECK(metrics_of(w, "/tgi/metrics").load.running == 0);
    scope_cancel(&scope);
}

SIM_TEST(sim_metrics_can_break_off, "{metrics: broken, models: {'*': {}}}")
{
    CHECK_ERR(metrics_of(w, "/llamacpp/metrics").end, E_PARSE);
}

SIM_TEST(sim_metrics_can_be_missing, "{metrics: missing, models: {'*': {}}}")
{
    CHECK_EQ(fetch(w, "GET", "/vllm/metrics").status, 404);
}

/* What a vendor's row says is to be asked can be asked. */
SIM_TEST(sim_vendors_answer_their_free_probes, NULL)
{
    unsigned asked = 0;

    for (size_t i = 0; i < vendor_count; i++) {
        const struct vendor *v = &vendor_table[i];
        char target[96];
        if (!v->probe)
            continue;
        const char *base = strcmp(v->name, "openai") == 0 || strcmp(v->name, "custom") == 0 ? "/v1"
                           : strcmp(v->name, "azure") == 0                                  ? "/azure/openai/v1"
                           : strcmp(v->dialect, "gemini") == 0                              ? "/gemini/v1beta"
                                                                                            : NULL;
        bool below_v1 = !v->probe->at_root && strcmp(v->dialect, "cohere") != 0 && strcmp(v->dialect, "ollama") != 0;
        snprintf(target, sizeof(target), "%s%s%s%s", base ? base : "/", base ? "" : v->name,
                 !base && below_v1 ? "/v1" : "", v->probe->path);
        struct http_header header = {str_from_c(v->probe->header), str_from_c(v->probe->value)};
        struct heard h = ask_with(w, "GET", target, &header, v->probe->header ? 1 : 0, NULL, NS_NEVER);
        CHECK_MSG(h.status == 200, "%s: %d %.*s", target, h.status, STR_ARG(h.body));
        asked++;
    }
    CHECK_GE(asked, 20);
}
