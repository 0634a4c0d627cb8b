/* Tests of the Gemini dialect: both sides, whole and streamed, embeddings, and what each pitfall of the format looks like. */
#include "dialect_world.h"

#define GENERATE "/v1beta/models/{model}:generateContent"
#define STREAM "/v1beta/models/{model}:streamGenerateContent"

static void begin(struct dialect_world *k, const char *path, const char *vendor)
{
    world_init_at(k, "gemini", path, vendor);
    k->t.path_model = STR("chat");
    k->t.model = STR("gemini-2.5-pro");
    k->t.query = STR("alt=sse");
}

static const char rich[] =
    "{\"systemInstruction\":{\"role\":\"user\",\"parts\":[{\"text\":\"Be brief\"}]},"
    "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"Look\"},{\"inlineData\":{\"mimeType\":\"image/"
    "png\",\"data\":"
    "\"iVBORw0KGgoAAAAN\"}},{\"fileData\":{\"mimeType\":\"video/mp4\",\"fileUri\":\"https://x.example/v.mp4\"}}]},"
    "{\"role\":\"model\",\"parts\":[{\"text\":\"hm\",\"thought\":true,\"thoughtSignature\":\"Cg==\"},{\"functionCall\":"
    "{\"id\":"
    "\"c1\",\"name\":\"get_tide\",\"args\":{\"port\": "
    "\"Brest\",\"n\":12345678901234567890}},\"thoughtSignature\":\"Cw==\"}]},"
    "{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"id\":\"c1\",\"name\":\"get_tide\",\"response\":{\"error\":"
    "\"closed\"}}}]}],"
    "\"tools\":[{\"functionDeclarations\":[{\"name\":\"get_tide\",\"description\":\"Tides\",\"parametersJsonSchema\":{"
    "\"type\":"
    "\"object\",\"properties\":{\"port\":{\"type\":\"string\"}},\"additionalProperties\":false}}]},{\"googleSearch\":{}"
    "}],"
    "\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"ANY\",\"allowedFunctionNames\":[\"get_tide\"]}},"
    "\"safetySettings\":[{\"category\":\"X\",\"threshold\":\"Y\"}],"
    "\"generationConfig\":{\"maxOutputTokens\":200,\"temperature\":0.2,\"topP\":0.5,\"topK\":40,\"candidateCount\":2,"
    "\"stopSequences\":[\"END\"],\"seed\":7,\"presencePenalty\":0.5,\"responseLogprobs\":true,\"logprobs\":3,"
    "\"responseModalities\":[\"TEXT\",\"IMAGE\"],\"responseMimeType\":\"application/"
    "json\",\"responseJsonSchema\":{\"type\":"
    "\"object\"},\"thinkingConfig\":{\"includeThoughts\":true,\"thinkingBudget\":1024}}}";

TEST(gemini_reads_back_what_it_writes)
{
    struct dialect_world k CLEANUP(world_release);
    struct dialect_world again CLEANUP(world_release);

    begin(&k, GENERATE, "gemini");
    begin(&again, GENERATE, "gemini");
    CHECK_EQ(world_read(&k, rich), OK);
    CHECK_EQ(world_write(&k), OK);
    CHECK_EQ(k.losses.count, 0);
    CHECK_EQ(world_read(&again, arena_str(&k.arena, buf_str(&k.body)).p), OK);
    CHECK_STR(canon_request(&again.q, &k.arena), canon_request(&k.q, &k.arena).p);
    CHECK_HOLDS(buf_str(&k.body), "\"args\":{\"port\": \"Brest\",\"n\":12345678901234567890}");
    CHECK_STR(k.call.path, "/models/gemini-2.5-pro:generateContent");
}

TEST(gemini_request_is_read_whole)
{
    struct dialect_world k CLEANUP(world_release);

    begin(&k, GENERATE, "gemini");
    CHECK_EQ(world_read(&k, rich), OK);
    struct str got = canon_request(&k.q, &k.arena);
    CHECK_STR(k.q.model, "chat");
    CHECK_HOLDS(got, "system \n  text text=\"Be brief\"\n");
    CHECK_HOLDS(got, "  image source=0 type=\"image/png\" data=\"iVBORw0KGgoAAAAN\"\n");
    CHECK_HOLDS(got, "  video source=1 type=\"video/mp4\"");
    CHECK_HOLDS(got, "  thinking text=\"hm\" signature=\"Cg==\" signer=3\n");
    CHECK_HOLDS(got,
                "  call id=\"c1\" name=\"get_tide\" arguments=\"{\"port\": \"Brest\",\"n\":12345678901234567890}\" "
                "signature=\"Cw==\" signer=3\n");
    CHECK_HOLDS(got, "  result id=\"c1\" name=\"get_tide\" error\n    text text=\"closed\"\n");
    CHECK_HOLDS(got, "choice 4 get_tide\n");
    CHECK_HOLDS(got, "tool hosted name=\"googleSearch\" raw=\"{\"googleSearch\":{}}\"");
    CHECK_HOLDS(got, "modalities: [\"text\",\"image\"]\n");
    CHECK_HOLDS(got, "reasoning on=2 effort=0 budget=1024 show=2");
    CHECK_HOLDS(got, "n: 2\n");
    CHECK_HOLDS(got, "top_logprobs: 3\n");
    CHECK_HOLDS(got, "extra safetySettings=");
}

TEST(gemini_keys_in_snake_case_are_the_same)
{
    struct dialect_world k CLEANUP(world_release);

    begin(&k, GENERATE, "gemini");
    CHECK_EQ(world_read(
                 &k, "{\"system_instruction\":{\"parts\":{\"text\":\"s\"}},\"contents\":{\"parts\":[{\"inline_data\":{"
                     "\"mime_type\":\"image/png\",\"data\":\"ab-_\"}}]},\"generation_config\":{\"max_output_tokens\":5,"
                     "\"thinking_config\":{\"thinking_level\":\"LOW\"}},\"tool_config\":{\"function_calling_config\":{"
                     "\"mode\":\"NONE\"}}}"),
             OK);
    struct str got = canon_request(&k.q, &k.arena);
    CHECK_HOLDS(got, "system \n  text text=\"s\"\n");
    CHECK_HOLDS(got, "data=\"ab+/\"");
    CHECK_HOLDS(got, "max_output: 5\n");
    CHECK_HOLDS(got, "effort=3");
    CHECK_HOLDS(got, "choice 2");
    CHECK_LACKS(got, "extra");
}

TEST(gemini_parallel_calls_of_one_name_are_paired_in_order)
{
    struct dialect_world k CLEANUP(world_release);

    begin(&k, GENERATE, "gemini");
    CHECK_EQ(
        world_read(
            &k,
            "{\"contents\":[{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":{\"a\":1}}},"
            "{\"functionCall\":{\"name\":\"g\"}},{\"functionCall\":{\"name\":\"f\",\"args\":{\"a\":2}}}]},{\"parts\":["
            "{\"functionResponse\":{\"name\":\"f\",\"response\":{\"output\":\"one\"}}},{\"functionResponse\":{"
            "\"name\":\"f\",\"response\":{\"x\":2}}},{\"functionResponse\":{\"name\":\"g\",\"response\":{}}}]}]}"),
        OK);
    const struct block *call = k.q.turns->blocks, *result = k.q.turns->next->blocks;
    CHECK(call->id.n > 0);
    CHECK(!str_eq(call->id, call->next->next->id));
    CHECK(str_eq(result->id, call->id));
    CHECK(str_eq(result->next->id, call->next->next->id));
    CHECK(str_eq(result->next->next->id, call->next->id));
    CHECK_STR(result->content->text, "one");
    CHECK_STR(result->next->content->text, "{\"x\":2}");
    struct dialect_world again CLEANUP(world_release);
    begin(&again, GENERATE, "gemini");
    CHECK_EQ(
        world_read(&again,
                   "{\"contents\":[{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":{}}}]}]}"),
        OK);
    CHECK(str_eq(again.q.turns->blocks->id, call->id)); /* by place and name: the same next time */
}

TEST(gemini_schemas_of_googles_kind_become_json_schema)
{
    struct dialect_world k CLEANUP(world_release);

    begin(&k, GENERATE, "gemini");
    CHECK_EQ(
        world_read(
            &k,
            "{\"contents\":[{\"parts\":[{\"text\":\"x\"}]}],\"tools\":[{\"function_declarations\":[{\"name\":\"f\","
            "\"parameters\":{\"type\":\"OBJECT\",\"properties\":{\"type\":{\"type\":\"STRING\",\"nullable\":true},"
            "\"list\":{\"type\":\"ARRAY\",\"minItems\":\"1\",\"items\":{\"type\":\"INTEGER\"}},\"any\":{\"anyOf\":[{"
            "\"type\":\"NUMBER\"}]}},\"propertyOrdering\":[\"list\"],\"required\":[\"list\"]}}]}]}"),
        OK);
    CHECK_STR(
        k.q.tools->parameters,
        "{\"type\":\"object\",\"properties\":{\"type\":{\"type\":[\"string\",\"null\"]},\"list\":{\"type\":\"array\","
        "\"minItems\":1,\"items\":{\"type\":\"integer\"}},\"any\":{\"anyOf\":[{\"type\":\"number\"}]}},\"required\":["
        "\"list\"]}");
}

TEST(gemini_request_refusals_name_the_field)
{
    static const struct {
        const char *json, *param;
    } cases[] = {
        {"{}", "contents"},
        {"{\"contents\":[]}", "contents"},
        {"{\"contents\":[{\"parts\":7}]}", "contents[0].parts"},
        {"{\"contents\":[{\"role\":\"bot\"}]}", "contents[0].role"},
        {"{\"contents\":[{\"parts\":[7]}]}", "contents[0].parts[0]"},
        {"{\"contents\":[{\"parts\":[{\"functionCall\":{}}]}]}", "contents[0].parts[0].functionCall.name"},
        {"{\"contents\":[{\"parts\":[{\"text\":\"x\"}]}],\"generationConfig\":{\"topK\":\"x\"}}",
         "generationConfig.topK"},
        {"{\"contents\":[{\"parts\":[{\"text\":\"x\"}]}],\"tools\":7}", "tools"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_world k CLEANUP(world_release);
        begin(&k, GENERATE, "gemini");
        test_context("%s", cases[i].json);
        CHECK_EQ(world_read(&k, cases[i].json), E_PARSE);
        CHECK_STR(k.param, cases[i].param);
    }
}

/* --- requests of others --- */

static void foreign(struct dialect_world *k, const char *vendor, const char *model)
{
    begin(k, GENERATE, vendor);
    k->q.dialect = dialect_find(STR("openai"));
    k->q.reasoning.budget = -1;
    k->t.model = str_from_c(model);
}

static struct str written(struct dialect_world *k)
{
    return world_write(k) == OK ? buf_str(&k->body) : str_from_c(err_detail(E_PARSE));
}

TEST(gemini_results_name_their_function_and_are_objects)
{
    struct dialect_world k CLEANUP(world_release);

    foreign(&k, "gemini", "gemini-2.5-pro");
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "Tides?");
    world_call(&k, "a", "");
    world_call(&k, "b", "[1]");
    world_result(&k, "b", "[1,2]");
    world_result(&k, "a", "{\"h\":3}");
    struct str got = written(&k);
    CHECK_HOLDS(got,
                "{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"id\":\"a\",\"name\":\"get_tide\",\"args\":{}}},"
                "{\"functionCall\":"
                "{\"id\":\"b\",\"name\":\"get_tide\",\"args\":{\"_raw\":\"[1]\"}}}]}");
    CHECK_HOLDS(got,
                "{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"id\":\"a\",\"name\":\"get_tide\","
                "\"response\":{\"h\":3}}},"
                "{\"functionResponse\":{\"id\":\"b\",\"name\":\"get_tide\",\"response\":{\"output\":\"[1,2]\"}}}]}");
    struct dialect_world v CLEANUP(world_release);
    foreign(&v, "vertex", "gemini-2.5-pro");
    world_turn(&v, CHAT_USER, BLOCK_TEXT, "x");
    world_call(&v, "a", "{}");
    world_result(&v, "a", "no")->is_error = true;
    got = written(&v);
    CHECK_LACKS(got, "\"id\"");
    CHECK_HOLDS(got, "\"response\":{\"error\":\"no\"}");
    CHECK_STR(v.call.path, "/publishers/google/models/gemini-2.5-pro:generateContent");
}

TEST(gemini_third_generation_is_given_a_stand_in_for_missing_signatures)
{
    struct dialect_world k CLEANUP(world_release);

    foreign(&k, "gemini", "gemini-3-pro-preview");
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "x");
    struct block *first = world_call(&k, "a", "{}");
    world_call(&k, "b", "{}");
    world_result(&k, "a", "1");
    world_result(&k, "b", "2");
    struct str got = written(&k);
    CHECK_HOLDS(got,
                "\"args\":{}},\"thoughtSignature\":\"skip_thought_signature_validator\"},{\"functionCall\":{\"id\":"
                "\"b\",\"name\":"
                "\"get_tide\",\"args\":{}}}");
    first->signature = STR("Cg==");
    first->signer = SIGNER_GOOGLE;
    CHECK_HOLDS(written(&k), "\"thoughtSignature\":\"Cg==\"},{\"functionCall\":{\"id\":\"b\"");
    CHECK_LACKS(buf_str(&k.body), "skip_thought");
    first->signer = SIGNER_ANTHROPIC;
    CHECK_HOLDS(written(&k), "skip_thought");
    CHECK_EQ(k.losses.dropped, 1);
    k.t.model = STR("gemini-2.5-flash");
    CHECK_LACKS(written(&k), "skip_thought");
}

TEST(gemini_schemas_of_others_go_as_they_are)
{
    static const char schema[] =
        "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/$defs/A\"}},\"$defs\":{\"A\":{\"const\":1}},"
        "\"additionalProperties\":false}";
    struct dialect_world k CLEANUP(world_release);

    foreign(&k, "gemini", "gemini-2.5-pro");
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "x");
    world_tool(&k, "f", schema);
    world_tool(&k, "none", "{\"type\":\"object\",\"properties\":{}}");
    struct str got = written(&k);
    CHECK_HOLDS(got, "\"parametersJsonSchema\":{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\"");
    CHECK_HOLDS(got, "{\"name\":\"none\"}");
}

TEST(gemini_before_the_third_generation_structure_beside_functions_is_a_function)
{
    struct dialect_world k CLEANUP(world_release);

    foreign(&k, "gemini", "gemini-2.5-pro");
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "x");
    k.q.format = (struct response_format){.kind = FORMAT_SCHEMA, .schema = STR("{\"type\":\"object\"}")};
    CHECK_HOLDS(written(&k), "\"responseMimeType\":\"application/json\",\"responseJsonSchema\":{\"type\":\"object\"}");
    world_tool(&k, "f", "");
    struct str got = written(&k);
    CHECK_HOLDS(got, "{\"name\":\"structured_answer\"");
    CHECK_HOLDS(got, "\"mode\":\"ANY\"");
    CHECK_LACKS(got, "responseMimeType");
    CHECK_STR(k.call.emulate.schema_tool, "structured_answer");
    k.q.format.kind = FORMAT_JSON;
    CHECK_HOLDS(written(&k), "\"systemInstruction\":{\"parts\":[{\"text\":\"Answer with one");
    CHECK(k.call.emulate.strip_fence);
    k.t.model = STR("gemini-3-pro");
    CHECK_HOLDS(written(&k), "responseMimeType");
}

TEST(gemini_thinking_is_a_level_or_a_budget)
{
    struct dialect_world k CLEANUP(world_release);

    foreign(&k, "gemini", "gemini-2.5-pro");
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "x");
    k.q.reasoning.effort = EFFORT_LOW;
    k.q.reasoning.show = YES;
    CHECK_HOLDS(written(&k), "\"thinkingConfig\":{\"includeThoughts\":true,\"thinkingBudget\":2048}");
    k.q.reasoning.effort = EFFORT_NONE;
    CHECK_HOLDS(written(&k), "\"thinkingBudget\":0");
    k.q.reasoning.effort = EFFORT_UNSET;
    k.q.reasoning.on = YES;
    CHECK_HOLDS(written(&k), "\"thinkingBudget\":-1");
    k.t.model = STR("gemini-3-flash");
    k.q.reasoning.effort = EFFORT_MAX;
    CHECK_HOLDS(written(&k), "\"thinkingLevel\":\"HIGH\"");
    CHECK_EQ(k.losses.changed, 1);
}

TEST(gemini_what_cannot_be_said_is_reported_or_done_otherwise)
{
    struct dialect_world k CLEANUP(world_release);
    const struct json_tree *doc;

    foreign(&k, "gemini", "gemini-2.5-pro");
    CHECK_EQ(
        json_tree_parse(
            &k.arena,
            STR("{\"stop\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\"],\"logit_bias\":{},\"user\":\"u\",\"temperature\":3}"),
            &doc),
        OK);
    struct json_node root = json_tree_root(doc);
    struct setting stops[6];
    for (size_t i = 0; i < ARRAY_LEN(stops); i++)
        chat_read_setting(&stops[i], json_node_at(json_node_get(root, STR("stop")), i), &k.arena);
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "x");
    k.q.stops = stops;
    k.q.stop_count = ARRAY_LEN(stops);
    chat_read_raw(&k.q.logit_bias, json_node_get(root, STR("logit_bias")));
    chat_read_setting(&k.q.user, json_node_get(root, STR("user")), &k.arena);
    chat_read_number(&k.q.temperature, json_node_get(root, STR("temperature")));
    struct str got = written(&k);
    CHECK_HOLDS(got, "\"stopSequences\":[\"1\",\"2\",\"3\",\"4\",\"5\"]");
    CHECK_HOLDS(got, "\"temperature\":2,");
    CHECK_EQ(k.call.emulate.stop_count, 1);
    CHECK_LOSS(&k, LOSS_EMULATED, "/stop/5");
    CHECK_LOSS(&k, LOSS_DROPPED, "/logit_bias");
    CHECK_LOSS(&k, LOSS_DROPPED, "/user");
    CHECK_LOSS(&k, LOSS_CHANGED, "/temperature");
}

TEST(gemini_foreign_thoughts_are_not_sent)
{
    struct dialect_world k CLEANUP(world_release);

    foreign(&k, "gemini", "gemini-2.5-pro");
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "x");
    struct block *b = world_turn(&k, CHAT_ASSISTANT, BLOCK_THINKING, "hm");
    b->signature = STR("EqQ=");
    b->signer = SIGNER_ANTHROPIC;
    world_turn(&k, CHAT_ASSISTANT, BLOCK_TEXT, "y");
    CHECK_LACKS(written(&k), "hm");
    CHECK_EQ(k.losses.dropped, 1);
}

TEST(gemini_counts_within_a_request)
{
    struct dialect_world k CLEANUP(world_release);
    uint64_t n = 0;

    foreign(&k, "gemini", "gemini-2.5-pro");
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "x");
    k.call = (struct provider_call){.body = &k.body};
    CHECK_EQ(k.t.provider->provider.write_count(&k.t, &k.q, &k.call), OK);
    CHECK_HOLDS(buf_str(&k.body), "{\"generateContentRequest\":{\"model\":\"models/gemini-2.5-pro\",\"contents\":[");
    CHECK_STR(k.call.path, "/models/gemini-2.5-pro:countTokens");
    CHECK_EQ(k.t.provider->provider.read_count(&k.arena, STR("{\"totalTokens\":31}"), &n), OK);
    CHECK_EQ(n, 31);
    CHECK_EQ(k.t.provider->provider.read_count(&k.arena, STR("{}"), &n), E_PROTOCOL);
    CHECK_EQ(
        world_read(
            &k, "{\"generateContentRequest\":{\"model\":\"models/m\",\"contents\":[{\"parts\":[{\"text\":\"y\"}]}]}}"),
        OK);
    CHECK_HOLDS(canon_request(&k.q, &k.arena), "text text=\"y\"");
}

/* --- answers of a provider --- */

#define DATA(json) "data: " json "\r\n\r\n"

static const char stream[] = DATA(
    "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Let\",\"thought\":true}],\"role\":\"model\"},\"index\":0}],"
    "\"usageMetadata\":{\"promptTokenCount\":20,\"cachedContentTokenCount\":4},\"modelVersion\":\"gemini-x\","
    "\"responseId\":\"r1\"}")
    DATA("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\" me\",\"thought\":true},{\"text\":\"H\xc3\xa9\"}]}}]}")
        DATA("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"llo\"}]},\"groundingMetadata\":{"
             "\"groundingChunks\":[{\"web\":{\"uri\":"
             "\"https://"
             "x.example\",\"title\":\"X\"}}],\"groundingSupports\":[{\"segment\":{\"text\":\"llo\"},"
             "\"groundingChunkIndices\":[0,9]}]}}]}")
            DATA("{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"id\":\"c1\",\"name\":\"f\",\"args\":{"
                 "\"n\": 1e400}},"
                 "\"thoughtSignature\":\"Cg==\"},{\"functionCall\":{\"id\":\"c2\",\"name\":\"g\"}}]}}]}")
                DATA("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}]},\"finishReason\":\"STOP\",\"index\":"
                     "0}],\"usageMetadata\":{"
                     "\"promptTokenCount\":20,\"candidatesTokenCount\":6,\"thoughtsTokenCount\":2,"
                     "\"toolUsePromptTokenCount\":3,\"totalTokenCount\":31}}");

static const char told[] = "start r1 gemini-x\nusage 20 0 cached 4 reasoning 0\n"
                           "open 0.0 thinking\ntext 0.0 Let me\nclose 0.0\nopen 0.1 text\ntext 0.1 H\xc3\xa9llo\n"
                           "cites 0.1 https://x.example llo\nclose 0.1\n"
                           "open 0.2 call c1 f\nsignature 0.2 Cg== by 3\ntext 0.2 {\"n\": 1e400}\nclose 0.2\n"
                           "open 0.3 call c2 g\ntext 0.3 {}\nclose 0.3\n"
                           "usage 23 8 cached 0 reasoning 2\nfinish 0 tool_calls \nend\n";

TEST(gemini_stream_is_told_the_same_however_it_is_cut_or_framed)
{
    struct dialect_world k CLEANUP(world_release);
    struct buf array CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct str rest = str_from_c(stream);

    begin(&k, STREAM, "gemini");
    CHECK_EVENTS(&k, k.t.provider, FRAMING_SSE, str_from_c(stream), told);
    while (rest.n) {
        struct str line = str_cut(&rest, '\n');
        if (str_starts(line, STR("data: ")))
            buf_addf(&array, "%s%.*s\n", array.n ? ",\r\n" : "[", STR_ARG(str_slice(line, 6, line.n - 1)));
    }
    buf_add_lit(&array, "]");
    CHECK_EVENTS(&k, k.t.provider, FRAMING_ARRAY, buf_str(&array), told);
}

TEST(gemini_stream_cut_short_is_an_error)
{
    struct dialect_world k CLEANUP(world_release);
    struct str whole = str_from_c(stream);

    begin(&k, STREAM, "gemini");
    size_t reason = str_find(whole, STR("finishReason"));
    for (size_t at = 0; at < whole.n; at++) {
        struct str got =
            world_events(k.t.provider, &(struct arrival){FRAMING_SSE, str_slice(whole, 0, at), 1000, 1000}, &k.arena);
        bool ended = str_ends(got, STR("end\n"));
        CHECK_MSG(ended || str_find(got, STR("error ")) < got.n, "cut at %zu: %.*s", at, STR_ARG(got));
        CHECK_MSG(!ended || at > reason, "cut at %zu ends well", at);
    }
}

TEST(gemini_calls_finish_as_tool_calls_and_get_ids)
{
    struct dialect_world k CLEANUP(world_release);

    begin(&k, GENERATE, "gemini");
    struct str got = world_answer_events(
        k.t.provider->name,
        "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":{}}},{\"functionCall\":"
        "{\"name\":\"f\",\"args\":{}}}]},\"finishReason\":\"STOP\"}],\"responseId\":\"r\"}",
        &k.arena);
    CHECK_HOLDS(got, "finish 0 tool_calls \nend\n");
    struct str first = str_slice(got, str_find(got, STR("open 0.0 call call_")), got.n);
    struct str second = str_slice(got, str_find(got, STR("open 0.1 call call_")), got.n);
    CHECK(first.n && second.n);
    CHECK(!str_eq(str_slice(first, 14, 39), str_slice(second, 14, 39)));
}

TEST(gemini_reasons_to_finish_are_understood)
{
    static const char *const reasons[][2] = {{"STOP", "finish 0 stop \nend\n"},
                                             {"MAX_TOKENS", "finish 0 length \nend\n"},
                                             {"SAFETY", "finish 0 filter \nend\n"},
                                             {"SPII", "finish 0 filter \nend\n"},
                                             {"NEW_REASON", "finish 0 stop \nend\n"},
                                             {"MALFORMED_FUNCTION_CALL", "error 12 502 the model's answer failed"},
                                             {"OTHER", "error 12 502"}};

    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        struct dialect_world k CLEANUP(world_release);
        begin(&k, GENERATE, "gemini");
        struct str body =
            arena_printf(&k.arena, "{\"candidates\":[{\"content\":{},\"finishReason\":\"%s\"}]}", reasons[i][0]);
        CHECK_HOLDS(world_answer_events(k.t.provider->name, body.p, &k.arena), reasons[i][1]);
    }
    struct dialect_world k CLEANUP(world_release);
    begin(&k, GENERATE, "gemini");
    CHECK_HOLDS(world_answer_events(k.t.provider->name, "{\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}", &k.arena),
                "finish 0 filter \nend\n");
    CHECK_HOLDS(world_answer_events(k.t.provider->name, "{\"candidates\":[{\"content\":{}}]}", &k.arena),
                "error 12 502");
    CHECK_HOLDS(world_answer_events(k.t.provider->name, "{}", &k.arena), "! ");
    CHECK_HOLDS(world_answer_events(k.t.provider->name, "{\"candidates\":[{\"index\":99,\"finishReason\":\"STOP\"}]}",
                                    &k.arena),
                "error 12");
}

TEST(gemini_whole_answer_tells_candidates_pictures_and_logprobs)
{
    struct dialect_world k CLEANUP(world_release);

    begin(&k, GENERATE, "gemini");
    CHECK_STR(
        world_answer_events(k.t.provider->name,
                            "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"},{\"inlineData\":{"
                            "\"mimeType\":\"image/png\",\"data\":\"iV-_\"}},"
                            "{\"executableCode\":{\"code\":\"1\"}}]},\"finishReason\":\"STOP\"},{\"index\":1,"
                            "\"content\":{\"parts\":[{\"text\":\"b\"}]},"
                            "\"logprobsResult\":{\"chosenCandidates\":[{\"token\":\"b\",\"logProbability\":-0.5}],"
                            "\"topCandidates\":[{\"candidates\":["
                            "{\"token\":\"c\",\"logProbability\":-1}]}]},\"finishReason\":\"MAX_TOKENS\"}],"
                            "\"modelVersion\":\"m\",\"responseId\":\"r\"}",
                            &k.arena),
        "start r m\nopen 0.0 text\ntext 0.0 a\nclose 0.0\nopen 0.1 image iV+/\nclose 0.1\nopen 0.2 opaque "
        "{\"executableCode\":{\"code\":\"1\"}}\n"
        "close 0.2\nopen 1.0 text\ntext 1.0 b\nlogprobs 1.0 "
        "[{\"token\":\"b\",\"logprob\":-0.5,\"bytes\":null,\"top_logprobs\":[{\"token\":\"c\","
        "\"logprob\":-1,\"bytes\":null}]}]\nclose 1.0\nfinish 0 stop \nfinish 1 length \nend\n");
}

/* --- calls whose arguments come in pieces --- */

#define PIECES(call) DATA("{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":" call "}]}}]}")
#define DONE DATA("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}]},\"finishReason\":\"STOP\"}]}")

TEST(gemini_arguments_in_pieces_are_put_together)
{
    struct dialect_world k CLEANUP(world_release);

    begin(&k, STREAM, "gemini");
    CHECK_EVENTS(
        &k, k.t.provider, FRAMING_SSE,
        STR(PIECES("{\"id\":\"c1\",\"name\":\"f\",\"willContinue\":true}") PIECES(
            "{\"partialArgs\":[{\"jsonPath\":\"$.port\",\"stringValue\":\"Br\\ud83d\",\"willContinue\":true}],"
            "\"willContinue\":true}")
                PIECES("{\"partialArgs\":[{\"jsonPath\":\"$.port\",\"stringValue\":\"\\ude00\\\"est\"},"
                       "{\"jsonPath\":\"$.stops[0].at\",\"numberValue\":1.50},{\"jsonPath\":\"$.stops[0].on\","
                       "\"boolValue\":false},{\"jsonPath\":\"$.stops[1]['a b\\\\'s']\",\"nullValue\":\"NULL_VALUE\"}],"
                       "\"willContinue\":true}")
                    PIECES("{\"partialArgs\":[{\"jsonPath\":\"$.stops[0].late\",\"stringValue\":\"\"}],"
                           "\"willContinue\":true}") PIECES("{}")
                        PIECES("{\"id\":\"c2\",\"name\":\"g\",\"partialArgs\":[{\"jsonPath\":\"$.n\",\"numberValue\":"
                               "7}]}") DONE),
        "start  \nopen 0.0 call c1 f\n"
        "text 0.0 {\"port\":\"Br\\ud83d\\ude00\\\"est\",\"stops\":[{\"at\":1.50,\"on\":false,\"late\":\"\"},{\"a "
        "b's\":null}]}\nclose 0.0\n"
        "open 0.1 call c2 g\ntext 0.1 {\"n\":7}\nclose 0.1\nfinish 0 tool_calls \nend\n");
}

TEST(gemini_a_call_in_pieces_ends_with_what_comes_next)
{
    struct dialect_world k CLEANUP(world_release);

    begin(&k, STREAM, "gemini");
    CHECK_EVENTS(&k, k.t.provider, FRAMING_SSE,
                 STR(PIECES("{\"id\":\"c1\",\"name\":\"f\",\"partialArgs\":[{\"jsonPath\":\"$.a\",\"stringValue\":"
                            "\"x\"}],\"willContinue\":true}")
                         PIECES("{\"id\":\"c2\",\"name\":\"g\",\"willContinue\":true}") DONE),
                 "start  \nopen 0.0 call c1 f\ntext 0.0 {\"a\":\"x\"}\nclose 0.0\n"
                 "open 0.1 call c2 g\ntext 0.1 {}\nclose 0.1\nfinish 0 tool_calls \nend\n");
}

TEST(gemini_pieces_that_do_not_fit_together_are_an_error)
{
    static const char *const wrong[] = {
        "{\"jsonPath\":\"port\",\"stringValue\":\"x\"}",
        "{\"jsonPath\":\"$\",\"stringValue\":\"x\"}",
        "{\"jsonPath\":\"$[0]\",\"stringValue\":\"x\"}",
        "{\"jsonPath\":\"$.a[\",\"stringValue\":\"x\"}",
        "{\"jsonPath\":\"$.a['b\",\"stringValue\":\"x\"}",
        "{\"jsonPath\":\"$..a\",\"stringValue\":\"x\"}",
        "{\"jsonPath\":\"$.a\",\"stringValue\":\"x\"},{\"jsonPath\":\"$.a.b\",\"stringValue\":\"x\"}",
        "{\"jsonPath\":\"$.a.b\",\"stringValue\":\"x\"},{\"jsonPath\":\"$.a\",\"numberValue\":1}",
        "{\"jsonPath\":\"$.a[0]\",\"stringValue\":\"x\"},{\"jsonPath\":\"$.a.b\",\"numberValue\":1}",
    };

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct dialect_world k CLEANUP(world_release);
        begin(&k, GENERATE, "gemini");
        struct str body = arena_printf(&k.arena,
                                       "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\","
                                       "\"partialArgs\":[%s]}},{\"text\":\"x\"}]},\"finishReason\":\"STOP\"}]}",
                                       wrong[i]);
        test_context("case %zu", i);
        CHECK_HOLDS(world_answer_events(k.t.provider->name, body.p, &k.arena),
                    "error 12 502 the provider sent arguments of a call");
    }
}

TEST(gemini_pieces_are_bounded_in_number_and_depth)
{
    struct dialect_world k CLEANUP(world_release);
    struct buf many CLEANUP(buf_release) = BUF_INIT(1 << 24);
    static const char head[] = "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\",";

    begin(&k, GENERATE, "gemini");
    for (int more = 0; more < 2; more++) {
        buf_clear(&many);
        buf_addf(&many, "%s\"partialArgs\":[", head);
        for (int i = 0; i < 4095 + more; i++)
            buf_addf(&many, "%s{\"jsonPath\":\"$.a[%d]\",\"numberValue\":1}", i ? "," : "", i);
        buf_addf(&many, "]}}]},\"finishReason\":\"STOP\"}]}%c", 0);
        CHECK_HOLDS(world_answer_events(k.t.provider->name, many.p, &k.arena),
                    more ? "error 12 502" : "finish 0 tool_calls \nend\n");
    }
    for (int more = 0; more < 2; more++) {
        buf_clear(&many);
        buf_addf(&many, "%s\"partialArgs\":[{\"jsonPath\":\"$", head);
        for (int i = 0; i < 64 + more; i++)
            buf_addf(&many, ".a");
        buf_addf(&many, "\",\"numberValue\":1}]}}]},\"finishReason\":\"STOP\"}]}%c", 0);
        CHECK_HOLDS(world_answer_events(k.t.provider->name, many.p, &k.arena),
                    more ? "error 12 502" : "finish 0 tool_calls \nend\n");
    }
}

/* --- sources --- */

static void begin_openai(struct dialect_world *k)
{
    world_init_at(k, "openai", "/v1/chat/completions", "gemini");
    k->t.model = STR("gemini-2.5-pro");
    k->q = (struct chat_request){.dialect = k->t.client, .reasoning.budget = -1};
}

TEST(gemini_citations_have_their_places_in_characters)
{
    struct dialect_world k CLEANUP(world_release);

    begin_openai(&k);
    struct str got = world_answer(
        &k, k.t.provider->name,
        "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hm\",\"thought\":true},{\"text\":\"\xc3\xa9t\xc3\xa9 in "
        "Brest.\"}]},\"finishReason\":\"STOP\",\"groundingMetadata\":{\"groundingChunks\":[{\"web\":{\"uri\":"
        "\"https://w.example\",\"title\":\"W\"}},{\"maps\":{\"uri\":\"https://m.example\",\"title\":\"M\"}},"
        "{\"retrievedContext\":{\"title\":\"only a title\"}}],"
        "\"groundingSupports\":[{\"segment\":{\"partIndex\":1,\"startIndex\":6,\"endIndex\":14,\"text\":\"in Brest\"},"
        "\"groundingChunkIndices\":[0,1,2]},{\"segment\":{\"endIndex\":99},\"groundingChunkIndices\":[0]}]},"
        "\"citationMetadata\":{\"citationSources\":[{\"endIndex\":5,\"uri\":\"https://c.example\"}]}}]}");
    CHECK_HOLDS(got,
                "{\"type\":\"url_citation\",\"url_citation\":{\"start_index\":4,\"end_index\":12,\"url\":\"https://"
                "w.example\",\"title\":\"W\"}}");
    CHECK_HOLDS(got, "\"start_index\":4,\"end_index\":12,\"url\":\"https://m.example\"");
    CHECK_HOLDS(got, "\"start_index\":0,\"end_index\":0,\"url\":\"https://w.example\"");
    CHECK_HOLDS(got, "\"start_index\":0,\"end_index\":3,\"url\":\"https://c.example\"");
    CHECK_LACKS(got, "only a title"); /* there is no address to give */
}

/* Parts side by side are one text here: of the second it cannot be told where Google counts from. */
TEST(gemini_citations_of_a_second_part_have_no_place)
{
    struct dialect_world k CLEANUP(world_release);

    begin_openai(&k);
    struct str got = world_answer(
        &k, k.t.provider->name,
        "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"abc\"},{\"text\":\"def\"}]},\"finishReason\":\"STOP\","
        "\"groundingMetadata\":{\"groundingChunks\":[{\"web\":{\"uri\":\"https://w.example\"}},{\"web\":{\"uri\":"
        "\"https://v.example\"}}],\"groundingSupports\":[{\"segment\":{\"startIndex\":1,\"endIndex\":2},"
        "\"groundingChunkIndices\":[0]},{\"segment\":{\"partIndex\":1,\"startIndex\":1,\"endIndex\":2},"
        "\"groundingChunkIndices\":[1]}]}}]}");
    CHECK_HOLDS(got, "\"start_index\":1,\"end_index\":2,\"url\":\"https://w.example\"");
    CHECK_HOLDS(got, "\"start_index\":0,\"end_index\":0,\"url\":\"https://v.example\"");
}

/* Pieces of a stream count on; ASCII and other pieces side by side. */
TEST(gemini_citations_in_a_stream_count_from_the_texts_beginning)
{
    struct dialect_world k CLEANUP(world_release);
    struct answer *a;

    begin_openai(&k);
    a = arena_new(&k.arena, struct answer);
    struct chat_sink sink = answer_sink(answer_builder_new(&k.arena, a));
    struct gemini_frame {
        const char *json;
    } frames[] = {{"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"abc\"}]}}]}"},
                  {"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"de\"}]}}]}"},
                  {"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\xe2\x82\xac\xe2\x82\xac\"}]}}]}"},
                  {"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"fg\"}]},\"finishReason\":\"STOP\","
                   "\"groundingMetadata\":{\"groundingChunks\":[{\"web\":{\"uri\":\"https://w.example\"}}],"
                   "\"groundingSupports\":[{\"segment\":{\"startIndex\":4,\"endIndex\":12},"
                   "\"groundingChunkIndices\":[0]}]}}]}"}};
    void *reader = arena_zalloc(&k.arena, k.t.provider->provider.reader_size);
    struct arena scratch CLEANUP(arena_release);
    arena_init(&scratch, 1 << 20);
    CHECK_EQ(k.t.provider->provider.reader_begin(reader, &k.arena), OK);
    for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
        struct frame f = {.data = str_from_c(frames[i].json)};
        CHECK_EQ(k.t.provider->provider.reader_frame(reader, &f, &scratch, &sink), OK);
        arena_clear(&scratch);
    }
    CHECK_EQ(k.t.provider->provider.reader_end(reader, &sink), OK);
    const struct citation *c = a->choices[0].blocks->citations;
    CHECK(c != NULL);
    CHECK_EQ(c->start, 4);
    CHECK_EQ(c->end, 8);
}

TEST(gemini_sources_without_a_place_are_told_of_the_whole)
{
    struct dialect_world k CLEANUP(world_release);

    begin(&k, GENERATE, "gemini");
    CHECK_HOLDS(
        world_answer_events(k.t.provider->name,
                            "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"finishReason\":\"STOP\","
                            "\"groundingMetadata\":{\"groundingChunks\":[{\"web\":{\"uri\":\"https://w.example\"}}]"
                            "},\"urlContextMetadata\":{\"urlMetadata\":[{\"retrievedUrl\":\"https://w.example\","
                            "\"urlRetrievalStatus\":\"URL_RETRIEVAL_STATUS_SUCCESS\"}]}}]}",
                            &k.arena),
        "text 0.0 a\ncites 0.0 https://w.example\nclose 0.0\n");
    CHECK_HOLDS(
        world_answer_events(k.t.provider->name,
                            "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"finishReason\":\"STOP\","
                            "\"urlContextMetadata\":{\"urlMetadata\":[{\"retrievedUrl\":\"https://bad.example\","
                            "\"urlRetrievalStatus\":\"URL_RETRIEVAL_STATUS_ERROR\"},{\"retrievedUrl\":"
                            "\"https://u.example\",\"urlRetrievalStatus\":\"URL_RETRIEVAL_STATUS_SUCCESS\"}]}}]}",
                            &k.arena),
        "text 0.0 a\ncites 0.0 https://u.example\nclose 0.0\n");
}

/* Whole and streamed; a source cited twice is one; places are told in bytes, of the part or of the stream's whole text. */
TEST(gemini_clients_hear_places_of_citations_in_bytes)
{
    static const struct citation cited[] = {
        {.url = STR_INIT("https://a.example"), .title = STR_INIT("A"), .start = 2, .end = 4},
        {.url = STR_INIT("https://b.example"), .title = STR_INIT("B"), .start = -1, .end = -1},
        {.url = STR_INIT("https://a.example"), .title = STR_INIT("A"), .start = 0, .end = 99},
        {.title = STR_INIT("no address"), .start = 0, .end = 1}};
    static const struct chat_event said[] = {{.kind = CHAT_START},
                                             {.kind = CHAT_BLOCK_START, .block_kind = BLOCK_THINKING},
                                             {.kind = CHAT_TEXT, .text = STR_INIT("hm")},
                                             {.kind = CHAT_BLOCK_STOP},
                                             {.kind = CHAT_BLOCK_START, .block = 1, .block_kind = BLOCK_TEXT},
                                             {.kind = CHAT_TEXT, .block = 1, .text = STR_INIT("one")},
                                             {.kind = CHAT_BLOCK_STOP, .block = 1},
                                             {.kind = CHAT_BLOCK_START, .block = 2, .block_kind = BLOCK_TEXT},
                                             {.kind = CHAT_CITATION, .block = 2, .citation = &cited[0]},
                                             {.kind = CHAT_TEXT, .block = 2, .text = STR_INIT("a\xc3\xa9")},
                                             {.kind = CHAT_TEXT,
                                              .block = 2,
                                              .text = STR_INIT("\xe2\x82\xac"
                                                               "bc")},
                                             {.kind = CHAT_CITATION, .block = 2, .citation = &cited[1]},
                                             {.kind = CHAT_CITATION, .block = 2, .citation = &cited[2]},
                                             {.kind = CHAT_CITATION, .block = 2, .citation = &cited[3]},
                                             {.kind = CHAT_BLOCK_STOP, .block = 2},
                                             {.kind = CHAT_FINISH},
                                             {.kind = CHAT_END}};
    static const char chunks[] =
        "\"groundingChunks\":[{\"web\":{\"uri\":\"https://a.example\",\"title\":\"A\"}},{\"web\":"
        "{\"uri\":\"https://b.example\",\"title\":\"B\"}}],";
    struct dialect_world k CLEANUP(world_release);

    begin(&k, STREAM, "gemini");
    struct str got = world_say_whole(&k, said, ARRAY_LEN(said));
    CHECK_HOLDS(got, chunks);
    CHECK_HOLDS(got, "\"groundingSupports\":[{\"segment\":{\"partIndex\":2,\"startIndex\":3,\"endIndex\":7},"
                     "\"groundingChunkIndices\":[0]},{\"segment\":{\"partIndex\":2,\"endIndex\":8},"
                     "\"groundingChunkIndices\":[1]},{\"segment\":{\"partIndex\":2,\"endIndex\":8},"
                     "\"groundingChunkIndices\":[0]}]}");
    got = world_say(&k, said, ARRAY_LEN(said));
    CHECK_HOLDS(got, chunks);
    CHECK_HOLDS(got, "\"groundingSupports\":[{\"segment\":{\"startIndex\":6,\"endIndex\":10},"
                     "\"groundingChunkIndices\":[0]},{\"segment\":{\"startIndex\":3,\"endIndex\":11},"
                     "\"groundingChunkIndices\":[1]},{\"segment\":{\"startIndex\":3,\"endIndex\":11},"
                     "\"groundingChunkIndices\":[0]}]}");
}

TEST(gemini_words_for_a_blocked_prompt_are_a_refusal)
{
    static const char blocked[] =
        "{\"promptFeedback\":{\"blockReason\":\"SAFETY\",\"blockReasonMessage\":\"Not about that.\"}}";
    struct dialect_world k CLEANUP(world_release);

    begin(&k, GENERATE, "gemini");
    CHECK_HOLDS(world_answer_events(k.t.provider->name, blocked, &k.arena),
                "open 0.0 refusal\ntext 0.0 Not about that.\nclose 0.0\nfinish 0 filter \nend\n");
    world_release(&k);
    begin_openai(&k);
    struct str got = world_answer(&k, k.t.provider->name, blocked);
    CHECK_HOLDS(got, "\"refusal\":\"Not about that.\"");
    CHECK_HOLDS(got, "\"finish_reason\":\"content_filter\"");
}

/* --- signatures of parts that are no text --- */

TEST(gemini_signatures_of_pictures_and_code_come_back_on_them)
{
    static const char parts[] =
        "[{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"iVBORw0KGgoAAAAN\"},\"thoughtSignature\":\"Cg==\"},"
        "{\"executableCode\":{\"language\":\"PYTHON\",\"code\":\"1\"},\"thoughtSignature\":\"Cw==\"},"
        "{\"codeExecutionResult\":{\"outcome\":\"OUTCOME_OK\",\"output\":\"1\"}}]";
    struct dialect_world k CLEANUP(world_release);

    begin(&k, GENERATE, "gemini");
    struct str body =
        arena_printf(&k.arena, "{\"candidates\":[{\"content\":{\"parts\":%s},\"finishReason\":\"STOP\"}]}", parts);
    CHECK_HOLDS(world_answer(&k, k.t.provider->name, body.p), parts);
    struct str again = world_translate(
        &k, arena_printf(&k.arena,
                         "{\"contents\":[{\"parts\":[{\"text\":\"draw\"}]},{\"role\":\"model\",\"parts\":%s},"
                         "{\"parts\":[{\"text\":\"more\"}]}]}",
                         parts)
                .p);
    CHECK_HOLDS(again, parts);
    CHECK_EQ(k.losses.count, 0);
}

TEST(gemini_a_signed_picture_is_told_the_same_streamed_and_whole)
{
    static const struct media picture = {
        .source = MEDIA_BASE64, .type = STR_INIT("image/png"), .data = STR_INIT("iVBORw0KGgoAAAAN")};
    static const struct chat_event drawn[] = {{.kind = CHAT_START},
                                              {.kind = CHAT_BLOCK_START,
                                               .block_kind = BLOCK_IMAGE,
                                               .media = &picture,
                                               .signer = SIGNER_GOOGLE,
                                               .text = STR_INIT("Cg==")},
                                              {.kind = CHAT_BLOCK_STOP},
                                              {.kind = CHAT_FINISH},
                                              {.kind = CHAT_END}};
    static const char want[] =
        "{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"iVBORw0KGgoAAAAN\"},\"thoughtSignature\":\"Cg==\"}";
    struct dialect_world k CLEANUP(world_release);

    begin(&k, STREAM, "gemini");
    CHECK_HOLDS(world_say(&k, drawn, ARRAY_LEN(drawn)), want);
    CHECK_HOLDS(world_say_whole(&k, drawn, ARRAY_LEN(drawn)), want);
}

TEST(gemini_pictures_that_are_thoughts_are_no_answer)
{
    struct dialect_world k CLEANUP(world_release);

    begin_openai(&k);
    struct str got = world_answer(
        &k, k.t.provider->name,
        "{\"candidates\":[{\"content\":{\"parts\":[{\"thought\":true,\"inlineData\":{\"mimeType\":\"image/png\","
        "\"data\":\"AAAA\"}},{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"BBBB\"}}]},\"finishReason\":"
        "\"STOP\"}]}");
    CHECK_HOLDS(got, "base64,BBBB");
    CHECK_LACKS(got, "AAAA");
}

/* --- files by URL --- */

TEST(gemini_is_left_the_urls_that_it_can_follow_itself)
{
    const struct provider_side *p = &dialect_find(STR("gemini"))->provider;

    CHECK(p->wants_bytes & 1u << BLOCK_IMAGE);
    CHECK(p->wants_bytes & 1u << BLOCK_DOCUMENT);
    CHECK(p->fetches(STR("https://www.youtube.com/watch?v=x")));
    CHECK(p->fetches(STR("https://youtu.be/x")));
    CHECK(p->fetches(STR("https://generativelanguage.googleapis.com/v1beta/files/x")));
    CHECK(!p->fetches(STR("https://x.example/www.youtube.com/a.png")));
    CHECK(!p->fetches(STR("https://www.youtube.com.example/a.png")));
}

TEST(gemini_files_by_url_have_the_type_that_their_ending_says)
{
    struct dialect_world k CLEANUP(world_release);

    begin_openai(&k);
    struct str got = world_translate(
        &k, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{"
            "\"url\":\"https://x.example/a.PNG?size=1#top\"}},{\"type\":\"image_url\",\"image_url\":{\"url\":"
            "\"https://x.example/png\"}},{\"type\":\"image_url\",\"image_url\":{\"url\":"
            "\"https://x.example/b.webp#2\"}}]}]}");
    CHECK_HOLDS(got, "{\"fileData\":{\"mimeType\":\"image/webp\",\"fileUri\":\"https://x.example/b.webp#2\"}}");
    CHECK_HOLDS(got, "{\"fileData\":{\"mimeType\":\"image/png\",\"fileUri\":\"https://x.example/a.PNG?size=1#top\"}}");
    CHECK_HOLDS(got, "{\"fileData\":{\"fileUri\":\"https://x.example/png\"}}");
}

/* --- log probabilities --- */

#define OPENAI_LOGPROBS                                                                                                \
    "[{\"token\":\"b\",\"logprob\":-0.5,\"bytes\":null,\"top_logprobs\":[{\"token\":\"c\",\"logprob\":-1,\"bytes\":"   \
    "null}]},{\"token\":\"d\",\"logprob\":-1.5,\"bytes\":null,\"top_logprobs\":[]}]"
#define GOOGLE_LOGPROBS                                                                                                \
    "\"logprobsResult\":{\"chosenCandidates\":[{\"token\":\"b\",\"logProbability\":-0.5},{\"token\":\"d\","            \
    "\"logProbability\":-1.5}],\"topCandidates\":[{\"candidates\":[{\"token\":\"c\",\"logProbability\":-1}]},{"        \
    "\"candidates\":[]}]}"

TEST(gemini_clients_hear_log_probabilities)
{
    static const struct chat_event likely[] = {{.kind = CHAT_START},
                                               {.kind = CHAT_BLOCK_START, .block_kind = BLOCK_TEXT},
                                               {.kind = CHAT_TEXT, .text = STR_INIT("bd")},
                                               {.kind = CHAT_LOGPROBS, .text = STR_INIT(OPENAI_LOGPROBS)},
                                               {.kind = CHAT_BLOCK_STOP},
                                               {.kind = CHAT_FINISH},
                                               {.kind = CHAT_END}};
    struct dialect_world k CLEANUP(world_release);

    begin(&k, STREAM, "gemini");
    CHECK_HOLDS(world_say_whole(&k, likely, ARRAY_LEN(likely)), GOOGLE_LOGPROBS ",\"avgLogprobs\":-1,\"finishReason\"");
    CHECK_HOLDS(
        world_say(&k, likely, ARRAY_LEN(likely)),
        DATA("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"}," GOOGLE_LOGPROBS
             ",\"avgLogprobs\":-1,\"index\":0}],\"modelVersion\":\"our-model\",\"responseId\":\"0000000000001234\"}"));
}

TEST(gemini_log_probabilities_are_asked_of_others_and_for_others)
{
    struct dialect_world k CLEANUP(world_release);

    begin_openai(&k);
    CHECK_HOLDS(
        world_translate(&k, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"logprobs\":true,"
                            "\"top_logprobs\":3}"),
        "\"responseLogprobs\":true,\"logprobs\":3");
    world_release(&k);
    begin(&k, GENERATE, "openai");
    struct str got = world_translate(&k, "{\"contents\":[{\"parts\":[{\"text\":\"x\"}]}],\"generationConfig\":{"
                                         "\"responseLogprobs\":true,\"logprobs\":3}}");
    CHECK_HOLDS(got, "\"logprobs\":true");
    CHECK_HOLDS(got, "\"top_logprobs\":3");
}

TEST(gemini_errors_keep_class_words_and_hint)
{
    struct dialect_world k CLEANUP(world_release);

    begin(&k, STREAM, "gemini");
    CHECK_EVENTS(&k, k.t.provider, FRAMING_SSE,
                 STR(DATA("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}")
                         DATA("{\"error\":{\"code\":503,\"message\":\"busy\",\"status\":\"UNAVAILABLE\"}}")
                             DATA("{\"candidates\":[]}")),
                 "start  \nopen 0.0 text\ntext 0.0 a\nerror 13 503 busy\n");
}

TEST(gemini_error_answers_keep_class_words_and_hint)
{
    static const struct {
        int status;
        const char *body;
        enum error_class class;
        const char *words;
        int64_t retry;
    } cases[] = {
        {429,
         "[{\"error\":{\"code\":429,\"message\":\"quota\",\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[{\"@type\":"
         "\"x\"},{\"@type\":"
         "\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"34.4s\"}]}}]",
         ERROR_RATE_LIMIT, "quota", 34400},
        {400,
         "{\"error\":{\"message\":\"API key not "
         "valid\",\"status\":\"INVALID_ARGUMENT\",\"details\":[{\"reason\":\"API_KEY_INVALID\"}]}}",
         ERROR_AUTH, "API key not valid", -1},
        {400,
         "{\"error\":{\"message\":\"The input token count (9) exceeds the maximum\",\"status\":\"INVALID_ARGUMENT\"}}",
         ERROR_CONTEXT_LENGTH, "The input token count (9) exceeds the maximum", -1},
        {503, "<html>", ERROR_OVERLOADED, "", -1},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_world k CLEANUP(world_release);
        struct api_error e;
        begin(&k, GENERATE, "gemini");
        k.t.provider->provider.read_error(&k.arena, cases[i].status, str_from_c(cases[i].body), world_no_header, NULL,
                                          &e);
        test_context("case %zu", i);
        CHECK_EQ(error_class_of(&e), cases[i].class);
        CHECK_STR(e.message, cases[i].words);
        CHECK_EQ(e.retry_after_ms, cases[i].retry);
    }
}

/* --- answers for a client --- */

static const struct usage some_usage = {.input = 20, .output = 8, .cached_input = 4, .reasoning = 2, .known = true};
static const struct citation some_source = {
    .url = STR_INIT("https://x.example"), .title = STR_INIT("X"), .cited_text = STR_INIT("Hi"), .start = -1, .end = -1};

static const struct chat_event events[] = {
    {.kind = CHAT_START, .id = STR_INIT("r1"), .model = STR_INIT("claude")},
    {.kind = CHAT_BLOCK_START, .block_kind = BLOCK_THINKING},
    {.kind = CHAT_TEXT, .text = STR_INIT("ok")},
    {.kind = CHAT_SIGNATURE, .signer = SIGNER_ANTHROPIC, .text = STR_INIT("EqQ=")},
    {.kind = CHAT_BLOCK_STOP},
    {.kind = CHAT_BLOCK_START,
     .block = 1,
     .block_kind = BLOCK_REDACTED,
     .signer = SIGNER_ANTHROPIC,
     .text = STR_INIT("AAA=")},
    {.kind = CHAT_BLOCK_STOP, .block = 1},
    {.kind = CHAT_BLOCK_START, .block = 2, .block_kind = BLOCK_TEXT},
    {.kind = CHAT_TEXT, .block = 2, .text = STR_INIT("Hi")},
    {.kind = CHAT_CITATION, .block = 2, .citation = &some_source},
    {.kind = CHAT_BLOCK_STOP, .block = 2},
    {.kind = CHAT_BLOCK_START,
     .block = 3,
     .block_kind = BLOCK_TOOL_CALL,
     .id = STR_INIT("t1"),
     .name = STR_INIT("get_tide")},
    {.kind = CHAT_SIGNATURE, .block = 3, .signer = SIGNER_GOOGLE, .text = STR_INIT("Cg==")},
    {.kind = CHAT_TEXT, .block = 3, .text = STR_INIT("{\"port\":")},
    {.kind = CHAT_TEXT, .block = 3, .text = STR_INIT("\"Brest\"}")},
    {.kind = CHAT_BLOCK_STOP, .block = 3},
    {.kind = CHAT_USAGE, .usage = &some_usage},
    {.kind = CHAT_FINISH, .finish = FINISH_TOOL_CALLS},
    {.kind = CHAT_END},
};

#define TAIL ",\"modelVersion\":\"our-model\",\"responseId\":\"r1\"}"
#define PIECE(part) "{\"candidates\":[{\"content\":{\"parts\":[" part "],\"role\":\"model\"},\"index\":0}]" TAIL

TEST(gemini_client_hears_data_lines_alone_and_calls_whole)
{
    struct dialect_world k CLEANUP(world_release);

    begin(&k, STREAM, "anthropic");
    struct str got = world_say(&k, events, ARRAY_LEN(events));
    CHECK_STR(got, DATA(PIECE("{\"text\":\"ok\",\"thought\":true}")) DATA(PIECE(
                       "{\"text\":\"\",\"thought\":true,\"thoughtSignature\":\"Y3Jvc3Nkb2NrLmFudGhyb3BpYy5FcVE9\"}"))
                       DATA(PIECE("{\"text\":\"\",\"thought\":true,\"thoughtSignature\":"
                                  "\"Y3Jvc3Nkb2NrLmFudGhyb3BpYy5yZWRhY3RlZDpBQUE9\"}")) DATA(PIECE("{\"text\":\"Hi\"}"))
                           DATA(PIECE("{\"functionCall\":{\"id\":\"t1\",\"name\":\"get_tide\",\"args\":{\"port\":"
                                      "\"Brest\"}},\"thoughtSignature\":\"Cg==\"}"))
                               DATA("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"},"
                                    "\"finishReason\":\"STOP\",\"index\":0,"
                                    "\"groundingMetadata\":{\"groundingChunks\":[{\"web\":{\"uri\":\"https://"
                                    "x.example\",\"title\":\"X\"}}],"
                                    "\"groundingSupports\":[{\"segment\":{\"endIndex\":2,\"text\":\"Hi\"},"
                                    "\"groundingChunkIndices\":["
                                    "0]}]}}],\"usageMetadata\":{"
                                    "\"promptTokenCount\":20,\"cachedContentTokenCount\":4,\"candidatesTokenCount\":6,"
                                    "\"thoughtsTokenCount\":2,"
                                    "\"totalTokenCount\":28}" TAIL));
    while (got.n) {
        struct str line = str_cut(&got, '\n');
        CHECK(str_starts(line, STR("data: ")) || str_eq(line, STR("\r")));
    }
    CHECK_EQ(k.t.client->client.keep_alive.n, 0);
}

TEST(gemini_client_gets_foreign_signatures_and_gives_them_back)
{
    struct dialect_world k CLEANUP(world_release);

    begin(&k, GENERATE, "anthropic");
    struct str whole = arena_str(&k.arena, world_say_whole(&k, events, ARRAY_LEN(events)));
    size_t from = str_find(whole, STR("\"parts\":[")) + 8, to = str_find(whole, STR("],\"role\"")) + 1;
    struct str back = arena_printf(&k.arena, "{\"contents\":[{\"role\":\"model\",\"parts\":%.*s}]}",
                                   STR_ARG(str_slice(whole, from, to)));
    CHECK_EQ(world_read(&k, back.p), OK);
    static const char want[] =
        "assistant \n  thinking text=\"ok\" signature=\"EqQ=\" signer=2\n  redacted text=\"AAA=\" signer=2\n"
        "  text text=\"Hi\"\n  call id=\"t1\" name=\"get_tide\" arguments=\"{\"port\":\"Brest\"}\" "
        "signature=\"Cg==\" signer=3\n";
    CHECK_HOLDS(canon_request(&k.q, &k.arena), want);
    /* as a client gathers the pieces of a stream */
    CHECK_EQ(world_read(&k,
                        "{\"contents\":[{\"role\":\"model\",\"parts\":[{\"text\":\"o\",\"thought\":true},{\"text\":"
                        "\"k\",\"thought\":true},"
                        "{\"text\":\"\",\"thought\":true,\"thoughtSignature\":\"Y3Jvc3Nkb2NrLmFudGhyb3BpYy5FcVE9\"},"
                        "{\"text\":\"\",\"thought\":true,\"thoughtSignature\":"
                        "\"Y3Jvc3Nkb2NrLmFudGhyb3BpYy5yZWRhY3RlZDpBQUE9\"}]}]}"),
             OK);
    CHECK_HOLDS(canon_request(&k.q, &k.arena),
                "  thinking text=\"ok\" signature=\"EqQ=\" signer=2\n  redacted text=\"AAA=\" signer=2\n");
}

TEST(gemini_client_without_alt_sse_hears_one_array)
{
    static const struct api_error error = {
        .error_class = ERROR_OVERLOADED, .message = STR_INIT("full"), .retry_after_ms = 1500};
    static const struct chat_event broken[] = {{.kind = CHAT_START},
                                               {.kind = CHAT_BLOCK_START, .block_kind = BLOCK_TEXT},
                                               {.kind = CHAT_TEXT, .text = STR_INIT("a")},
                                               {.kind = CHAT_ERROR, .error = &error},
                                               {.kind = CHAT_END}};
    struct dialect_world k CLEANUP(world_release);
    const struct json_tree *tree;

    begin(&k, STREAM, "anthropic");
    k.t.query = STR("key=x");
    CHECK_EQ(k.t.client->client.framing(&k.t), FRAMING_ARRAY);
    struct str got = world_say(&k, events, ARRAY_LEN(events));
    CHECK_EQ(json_tree_parse(&k.arena, got, &tree), OK);
    CHECK_EQ(json_node_count(json_tree_root(tree)), 6);
    got = world_say(&k, broken, ARRAY_LEN(broken));
    CHECK_EQ(json_tree_parse(&k.arena, got, &tree), OK);
    CHECK_HOLDS(got,
                ",\r\n{\"error\":{\"code\":503,\"message\":\"full\",\"status\":\"UNAVAILABLE\",\"details\":[{\"@type\":"
                "\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"1.500s\"}]}}\n]");
    k.t.query = STR("alt=sse");
    got = world_say(&k, broken, ARRAY_LEN(broken));
    CHECK_HOLDS(got, "data: {\"error\":{\"code\":503");
    CHECK_LACKS(got, "finishReason");
}

TEST(gemini_errors_have_googles_codes)
{
    static const struct {
        enum error_class class;
        int status;
        const char *name;
    } cases[] = {{ERROR_BAD_REQUEST, 400, "INVALID_ARGUMENT"},
                 {ERROR_AUTH, 401, "UNAUTHENTICATED"},
                 {ERROR_QUOTA, 429, "RESOURCE_EXHAUSTED"},
                 {ERROR_FORBIDDEN, 403, "PERMISSION_DENIED"},
                 {ERROR_NOT_FOUND, 404, "NOT_FOUND"},
                 {ERROR_CONFLICT, 409, "ABORTED"},
                 {ERROR_UPSTREAM, 500, "INTERNAL"},
                 {ERROR_OVERLOADED, 503, "UNAVAILABLE"},
                 {ERROR_TIMEOUT, 504, "DEADLINE_EXCEEDED"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_world k CLEANUP(world_release);
        struct api_error e = {.error_class = cases[i].class, .message = STR("w")};
        struct call_header headers[2] = {{STR_NONE, STR_NONE}, {STR_NONE, STR_NONE}};
        int status = 0;
        begin(&k, GENERATE, "openai");
        k.t.client->client.write_error(&k.t, &e, &k.out, &status, headers);
        CHECK_EQ(status, cases[i].status);
        CHECK_HOLDS(buf_str(&k.out), cases[i].name);
        CHECK(str_starts(buf_str(&k.out), STR("{\"error\":")));
        buf_clear(&k.out);
        k.t.row = world_row(k.t.client->name, STREAM);
        k.t.query = STR_NONE;
        k.t.client->client.write_error(&k.t, &e, &k.out, &status, headers);
        CHECK(str_starts(buf_str(&k.out), STR("[{\"error\":")));
    }
}

TEST(gemini_lists_models)
{
    static const struct model_card cards[] = {{.id = STR_INIT("a")}};
    struct dialect_world k CLEANUP(world_release);

    begin(&k, GENERATE, "openai");
    CHECK_EQ(k.t.client->client.write_models(&k.t, cards, 1, &k.out), OK);
    CHECK_HOLDS(buf_str(&k.out), "{\"models\":[{\"name\":\"models/"
                                 "a\",\"displayName\":\"a\",\"supportedGenerationMethods\":[\"generateContent\"");
    buf_clear(&k.out);
    CHECK_EQ(k.t.client->client.write_count(&k.t, 42, false, &k.out), OK);
    CHECK_STR(buf_str(&k.out), "{\"totalTokens\":42}");
}

/* --- embeddings --- */

static struct str embedded(struct dialect_world *k, const char *path, const char *vendor, const char *ask,
                           const char *answer)
{
    struct embed_request q;
    struct embed_answer a;
    const struct json_tree *doc;

    begin(k, path, vendor);
    if (json_tree_parse(&k->arena, str_from_c(ask), &doc) != OK ||
        k->t.client->client.read_embed(&k->t, doc, &q, &k->param) != OK)
        return str_from_c(err_detail(E_PARSE));
    k->call = (struct provider_call){.body = &k->body};
    if (k->t.provider->provider.write_embed(&k->t, &q, &k->call) != OK ||
        k->t.provider->provider.read_embed(&k->arena, str_from_c(answer), &a) != OK)
        return STR("! ");
    struct answer_frame f = world_frame(k);

    return k->t.client->client.write_embed(&f, &q, &a, &k->out) == OK ? buf_str(&k->out) : STR("! ");
}

TEST(gemini_embeddings_go_both_ways_in_all_forms)
{
    struct dialect_world k CLEANUP(world_release);
    struct dialect_world b CLEANUP(world_release);
    struct dialect_world p CLEANUP(world_release);

    CHECK_STR(
        embedded(
            &k, "/v1beta/models/{model}:embedContent", "gemini",
            "{\"content\":{\"parts\":[{\"text\":\"x\"}]},\"taskType\":\"RETRIEVAL_QUERY\",\"outputDimensionality\":2}",
            "{\"embeddings\":[{\"values\":[0.5,1e-3]}]}"),
        "{\"embedding\":{\"values\":[0.5,1e-3]}}");
    CHECK_STR(
        buf_str(&k.body),
        "{\"requests\":[{\"model\":\"models/gemini-2.5-pro\",\"content\":{\"parts\":[{\"text\":\"x\"}]},\"taskType\":"
        "\"RETRIEVAL_QUERY\",\"outputDimensionality\":2}]}");
    CHECK_STR(k.call.path, "/models/gemini-2.5-pro:batchEmbedContents");
    CHECK_STR(embedded(&b, "/v1beta/models/{model}:batchEmbedContents", "vertex",
                       "{\"requests\":[{\"content\":{\"parts\":[{\"text\":\"x\"}]},\"title\":\"T\"},{\"content\":{"
                       "\"parts\":[{\"text\":\"y\"}]}}]}",
                       "{\"predictions\":[{\"embeddings\":{\"values\":[1],\"statistics\":{\"token_count\":3}}},{"
                       "\"embeddings\":{\"values\":[2]}}]}"),
              "{\"embeddings\":[{\"values\":[1]},{\"values\":[2]}]}");
    CHECK_STR(buf_str(&b.body),
              "{\"instances\":[{\"content\":\"x\",\"title\":\"T\"},{\"content\":\"y\"}],\"parameters\":{}}");
    CHECK_STR(
        embedded(&p, "/v1/projects/{x}/locations/{x}/publishers/google/models/{model}:predict", "vertex",
                 "{\"instances\":[{\"content\":\"x\",\"task_type\":\"CLUSTERING\"}],\"parameters\":{\"autoTruncate\":"
                 "false}}",
                 "{\"predictions\":[{\"embeddings\":{\"values\":[1],\"statistics\":{\"token_count\":3}}}]}"),
        "{\"predictions\":[{\"embeddings\":{\"values\":[1],\"statistics\":{\"truncated\":false,\"token_count\":3}}}]}");
    CHECK_STR(
        buf_str(&p.body),
        "{\"instances\":[{\"content\":\"x\",\"task_type\":\"CLUSTERING\"}],\"parameters\":{\"autoTruncate\":false}}");
}
