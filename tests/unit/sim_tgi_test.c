/* sim_tgi_test.c - the simulated Text Generation Inference: its parameters, its details, its stream, its chat. */
#include "surface_asks.h"

#define ASK(parameters) "{'inputs':'hi','parameters':{" parameters "}}"
#define CHAT "/tgi/v1/chat/completions"
#define HI "'messages':[{'role':'user','content':'the tide'}]"
#define TOOLS                                                                                                          \
    "'tools':[{'type':'function','function':{'name':'get_tide','parameters':{'type':'object','properties':{'port':{'"  \
    "type':"                                                                                                           \
    "'string'}},'required':['port']}}}]"

SIM_TEST(sim_tgi_generates_whole_streamed_and_as_asked, NULL)
{
    struct heard whole = post(w, "/generate", ASK("'details':true"));
    struct str text = answer_at(w, whole, "generated_text");

    CHECK(str_starts(text, STR("[simulated] You asked: \"hi\"")));
    CHECK_STR(answer_at(w, whole, "details.finish_reason"), "eos_token");
    CHECK_STR(answer_at(w, whole, "details.generated_tokens"), "21");
    CHECK_EQ(yyjson_arr_size(val_at(parsed(w, whole.body), "details.tokens")), 21);
    struct heard stream = post(w, "/generate_stream", ASK("'details':true"));
    CHECK(str_starts(stream.body, STR("data:{\"index\":1,")));
    struct events *e = events_of(w, stream.body);
    CHECK_EQ(e->count, 21);
    CHECK(!e->done);
    CHECK_STR(text_at(w, e->v[0], "generated_text"), "null");
    CHECK_STR(text_at(w, e->v[20], "token.special"), "true");
    CHECK(str_eq(text_at(w, e->v[20], "generated_text"), text));
    CHECK_STR(text_at(w, e->v[20], "details.finish_reason"), "eos_token");
    CHECK_STR(text_at(w, e->v[20], "details.input_length"), "1");
    e->count--; /* the special one is no text */
    CHECK(str_eq(joined(w, e, "token.text"), text));
    CHECK(str_eq(answer_at(w, post(w, "/", ASK("")), "0.generated_text"), text));
    CHECK(str_starts(post(w, "/", "{'inputs':'hi','stream':true}").body, STR("data:{")));
    CHECK(str_eq(answer_at(w, post(w, "/tgi/", ASK("")), "0.generated_text"), text));
    CHECK(str_eq(answer_at(w, post(w, "/invocations", ASK("")), "0.generated_text"), text));
}

SIM_TEST(sim_tgi_gives_details_only_if_asked, NULL)
{
    CHECK_STR(answer_at(w, post(w, "/generate", ASK("'max_new_tokens':3")), "details"), "nothing");
    struct events *e = events_of(w, post(w, "/generate_stream", ASK("'max_new_tokens':3")).body);
    CHECK_STR(text_at(w, e->v[2], "details"), "null");
    CHECK(yyjson_is_str(val_at(e->v[2], "generated_text")));
    struct heard h =
        post(w, "/generate", ASK("'decoder_input_details':true,'details':true,'top_n_tokens':2,'max_new_tokens':2"));
    CHECK_STR(answer_at(w, h, "details.prefill.0.logprob"), "null");
    yyjson_val *v = parsed(w, h.body);
    CHECK_EQ(yyjson_arr_size(val_at(v, "details.top_tokens")), 2);
    CHECK_EQ(yyjson_arr_size(val_at(v, "details.top_tokens.1")), 2);
}

SIM_TEST(sim_tgi_ends_for_three_reasons, NULL)
{
    struct heard h = post(w, "/generate", ASK("'details':true,'max_new_tokens':3"));
    CHECK_STR(answer_at(w, h, "details.finish_reason"), "length");
    CHECK_STR(answer_at(w, h, "details.generated_tokens"), "3");
    h = post(w, "/generate", ASK("'details':true,'stop':['never','asked']"));
    CHECK_STR(answer_at(w, h, "details.finish_reason"), "stop_sequence");
    CHECK_STR(answer_at(w, h, "generated_text"), "[simulated] You asked");
    h = post(w, "/generate", ASK("'return_full_text':true,'max_new_tokens':1"));
    CHECK_STR(answer_at(w, h, "generated_text"), "hi[sim");
}

SIM_TEST(sim_tgi_samples_by_its_seed, NULL)
{
    struct heard one = post(w, "/generate", ASK("'seed':5,'do_sample':true,'details':true"));
    struct heard same = post(w, "/generate", ASK("'seed':5,'do_sample':true"));
    struct heard other = post(w, "/generate", ASK("'seed':6,'do_sample':true"));

    CHECK_STR(answer_at(w, one, "details.seed"), "5");
    CHECK(str_eq(answer_at(w, one, "generated_text"), answer_at(w, same, "generated_text")));
    CHECK(!str_eq(answer_at(w, one, "generated_text"), answer_at(w, other, "generated_text")));
    struct heard drawn = post(w, "/generate", ASK("'temperature':0.5,'details':true"));
    struct heard again = post(w, "/generate", ASK("'temperature':0.5,'details':true"));
    CHECK(!str_eq(answer_at(w, drawn, "details.seed"), answer_at(w, again, "details.seed")));
    CHECK_STR(answer_at(w, post(w, "/generate", ASK("'details':true")), "details.seed"), "null");
}

SIM_TEST(sim_tgi_follows_grammars, NULL)
{
#define SCHEMA "{'type':'object','properties':{'a':{'const':5}},'required':['a']}"
    CHECK_STR(answer_at(w, post(w, "/generate", ASK("'grammar':{'type':'json','value':" SCHEMA "}")), "generated_text"),
              "{\"a\":5}");
    CHECK_STR(answer_at(w,
                        post(w, "/generate",
                             ASK("'grammar':{'type':'json_schema','value':{'name':'x','schema':" SCHEMA "}}")),
                        "generated_text"),
              "{\"a\":5}");
    CHECK_STR(
        answer_at(w, post(w, "/generate", ASK("'grammar':{'type':'regex','value':'a[b]c{2}'}")), "generated_text"),
        "abcc");
    struct heard h =
        post(w, "/generate", ASK("'grammar':{'type':'regex','value':'abcdefgh'},'details':true,'max_new_tokens':1"));
    CHECK_STR(answer_at(w, h, "generated_text"), "abcd");
    CHECK_STR(answer_at(w, h, "details.finish_reason"), "length");
    h = post(w, CHAT, "{" HI ",'response_format':{'type':'regex','value':'abc'}}");
    CHECK_STR(answer_at(w, h, "choices.0.message.content"), "abc");
    h = post(w, CHAT, "{" HI ",'response_format':{'type':'json_object','value':" SCHEMA "}}");
    CHECK_STR(answer_at(w, h, "choices.0.message.content"), "{\"a\":5}");
}

SIM_TEST(sim_tgi_refuses_in_its_words, NULL)
{
    static const struct ask_case bad[] = {
        {"{", 422, "'error_type':'validation'"},
        {"{'parameters':{}}", 422, "missing field `inputs`"},
        {"{'inputs':''}", 422, "'Input validation error: `inputs` cannot be empty'"},
        {"{'inputs':'a','parameters':5}", 422, "expected a map"},
        {ASK("'temperature':0"), 422, "`temperature` must be strictly positive"},
        {ASK("'top_p':1"), 422, "`top_p` must be > 0.0 and < 1.0"},
        {ASK("'typical_p':0"), 422, "typical_p"},
        {ASK("'top_k':0"), 422, "`top_k` must be strictly positive"},
        {ASK("'repetition_penalty':0"), 422, "repetition_penalty"},
        {ASK("'frequency_penalty':2.1"), 422, "frequency_penalty"},
        {ASK("'max_new_tokens':0"), 422, "`max_new_tokens` must be strictly positive"},
        {ASK("'max_new_tokens':4096"), 422, "must be <= 4096. Given: 1 `inputs` tokens and 4096"},
        {ASK("'truncate':0"), 422, "truncate"},
        {ASK("'stop':['a','b','c','d','e']"), 422, "supports up to 4 stop sequences. Given: 5"},
        {ASK("'stop':'a'"), 422, "expected an array"},
        {ASK("'stop':[1]"), 422, "expected a string"},
        {ASK("'best_of':3"), 422, "best_of"},
        {ASK("'best_of':2"), 422, "you must use sampling"},
        {ASK("'best_of':2,'do_sample':true,'seed':5"), 422, "`seed` must not be set"},
        {ASK("'top_n_tokens':6"), 422, "top_n_tokens"},
        {ASK("'do_sample':'yes'"), 422, "do_sample"},
        {ASK("'grammar':{'type':'xml','value':''}"), 422, "unknown variant"},
        {ASK("'grammar':{'type':'json','value':{'type':'object'}}"), 422, "Grammar must have a 'properties' field"},
        {ASK("'grammar':{'type':'regex','value':'(?=a)'}"), 422, "regular expression"},
        {ASK("'grammar':{'type':'regex','value':5}"), 422, "expected a regular expression"},
    };
    struct heard h;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        h = post(w, "/generate", bad[i].body);
        struct str says = holds(str_from_c(bad[i].says), "Grammar must") ? str_from_c(bad[i].says)
                                                                         : quoted(&w->arena, bad[i].says, STR_NONE);
        CHECK_MSG(h.status == bad[i].status && str_find(h.body, says) < h.body.n, "%s: %d %.*s", bad[i].body, h.status,
                  STR_ARG(h.body));
    }
    CHECK_EQ(post(w, "/generate_stream", ASK("'best_of':2,'do_sample':true")).status, 422);
    CHECK_EQ(post(w, "/generate_stream", ASK("'decoder_input_details':true")).status, 422);
    CHECK_EQ(post(w, "/generate", "{'inputs':'hi','unknown':1,'parameters':{'unknown':1}}").status, 200);
    h = post(w, "/generate", ASK("'best_of':2,'do_sample':true,'details':true"));
    CHECK_STR(answer_at(w, h, "details.best_of_sequences.0.finish_reason"), "eos_token");
}

SIM_TEST(sim_tgi_limits_what_it_reads, NULL)
{
    struct buf body CLEANUP(buf_release) = BUF_INIT(1 << 20);

    buf_add_lit(&body, "{'inputs':'");
    for (int i = 0; i < 4100; i++)
        buf_add_lit(&body, "word");
    buf_add_lit(&body, "','parameters':{'max_new_tokens':1%s}}");
    struct str text = arena_str(&w->arena, buf_str(&body));
    size_t at = str_find(text, STR("%s"));
    struct str plain = arena_join(&w->arena, str_slice(text, 0, at), STR("}}"));
    struct heard h = post(w, "/generate", plain.p);
    CHECK_EQ(h.status, 422);
    CHECK(holds(h.body, "must have less than 4095 tokens. Given: 4100"));
    struct str cut = arena_join(&w->arena, str_slice(text, 0, at),
                                STR(",'truncate':10,'details':true,'decoder_input_details':true}}"));
    h = post(w, "/generate", cut.p);
    CHECK_EQ(h.status, 200);
    CHECK_EQ(yyjson_arr_size(val_at(parsed(w, h.body), "details.prefill")), 10);
}

SIM_TEST(sim_tgi_chats_with_its_own_fields, NULL)
{
    static const struct ask_case cases[] = {
        {"{" HI "}", 200, "'system_fingerprint':'3.3.0-simulated'"},
        {"{'model':'whatever'," HI "}", 200, "choices"},
        {"{" HI ",'stop':'x'}", 422, "expected an array"},
        {"{" HI ",'stop':['asked']}", 200, "'content':'[simulated] You '"},
        {"{" HI "," TOOLS ",'response_format':{'type':'json_object','value':{'properties':{}}}}", 422,
         "mutually exclusive"},
        {"{" HI "," TOOLS ",'tool_choice':{'type':'function','function':{'name':'f'}}}", 422,
         "'error_type':'tool_error'"},
        {"{" HI ",'response_format':{'type':'json_object'}}", 422, "Grammar error"},
        {"{'messages':[]}", 422, "validation"},
    };

    check_asks(w, CHAT, cases, ARRAY_LEN(cases));
    struct events *e =
        events_of(w, post(w, CHAT, "{" HI "," TOOLS ",'stream':true,'stream_options':{'include_usage':true}}").body);
    CHECK_EQ(e->count, 4); /* role, call, finish, usage */
    CHECK_STR(text_at(w, e->v[1], "choices.0.delta.tool_calls.0.function.name"), "get_tide");
    CHECK_EQ(having(e, "usage.total_tokens"), 1);
    CHECK(e->done);
    CHECK_EQ(post(w, "/tgi/v1/completions", "{'prompt':'a','max_tokens':2}").status, 200);
}

SIM_TEST(sim_tgi_arguments_are_an_object_for_some_questions, NULL)
{
    unsigned objects = 0;

    for (int i = 0; i < 12; i++) {
        const char *body =
            arena_printf(&w->arena, "{'messages':[{'role':'user','content':'the tide %d'}]," TOOLS "}", i).p;
        objects += yyjson_is_obj(
            val_at(parsed(w, post(w, CHAT, body).body), "choices.0.message.tool_calls.0.function.arguments"));
    }
    CHECK(objects > 0 && objects < 12);
}

SIM_TEST(sim_tgi_breaks_off_with_its_error, NULL)
{
    struct heard h = post_sim(w, "/generate_stream", "fault=error_event;after_tokens=2", ASK(""));
    struct events *e = events_of(w, h.body);

    CHECK_EQ(e->count, 3);
    CHECK_STR(text_at(w, e->v[2], "error_type"), "generation");
    h = post_sim(w, "/generate", "fault=rate_limit;retry_after=1s", ASK(""));
    CHECK_STR(answer_at(w, h, "error_type"), "overloaded");
    CHECK_STR(http_head_find(h.head, STR("retry-after")), "1");
    h = post_sim(w, "/generate", "fault=status;status=500", ASK(""));
    CHECK_STR(answer_at(w, h, "error_type"), "incomplete_generation");
}

SIM_TEST(sim_tgi_tells_of_itself, "models: {llama: {}}")
{
    CHECK_STR(answer_at(w, fetch(w, "GET", "/info"), "model_id"), "llama");
    CHECK_STR(answer_at(w, fetch(w, "GET", "/tgi/info"), "max_best_of"), "2");
    CHECK_EQ(fetch(w, "GET", "/tgi/health").status, 200);
    struct heard h = post(w, "/tgi/tokenize", "{'inputs':'four tokens!'}");
    CHECK_STR(answer_at(w, h, "2.start"), "8");
    CHECK_STR(answer_at(w, h, "2.stop"), "12");
    CHECK_STR(answer_at(w, h, "2.text"), "ens!");
    CHECK_EQ(post(w, "/tgi/tokenize", "{}").status, 422);
    CHECK_STR(http_head_find(post(w, "/generate", ASK("")).head, STR("x-compute-type")), "simulated");
}
