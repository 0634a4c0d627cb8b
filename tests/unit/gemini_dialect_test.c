/* Tests of the Gemini dialect: both sides, whole and streamed, embeddings, and what each pitfall of the format looks like. */
#include "unit/dialect_kit.h"

#define GENERATE "/v1beta/models/{model}:generateContent"
#define STREAM "/v1beta/models/{model}:streamGenerateContent"

static void begin(struct kit *k, const char *path, const char *vendor)
{
    kit_init(k, "gemini", path, vendor);
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
    struct kit k CLEANUP(kit_release);
    struct kit again CLEANUP(kit_release);

    begin(&k, GENERATE, "gemini");
    begin(&again, GENERATE, "gemini");
    CHECK_EQ(kit_read(&k, rich), OK);
    CHECK_EQ(kit_write(&k), OK);
    CHECK_EQ(k.losses.count, 0);
    CHECK_EQ(kit_read(&again, arena_str(&k.arena, buf_str(&k.body)).p), OK);
    CHECK_STR(kit_canon(&k, &again.q), kit_canon(&k, &k.q).p);
    CHECK_HAS(buf_str(&k.body), "\"args\":{\"port\": \"Brest\",\"n\":12345678901234567890}");
    CHECK_STR(k.call.path, "/models/gemini-2.5-pro:generateContent");
}

TEST(gemini_request_is_read_whole)
{
    struct kit k CLEANUP(kit_release);

    begin(&k, GENERATE, "gemini");
    CHECK_EQ(kit_read(&k, rich), OK);
    struct str got = kit_canon(&k, &k.q);
    CHECK_STR(k.q.model, "chat");
    CHECK_HAS(got, "system \n  text text=\"Be brief\"\n");
    CHECK_HAS(got, "  image source=0 type=\"image/png\" data=\"iVBORw0KGgoAAAAN\"\n");
    CHECK_HAS(got, "  video source=1 type=\"video/mp4\"");
    CHECK_HAS(got, "  thinking text=\"hm\" signature=\"Cg==\" signer=3\n");
    CHECK_HAS(got, "  call id=\"c1\" name=\"get_tide\" arguments=\"{\"port\": \"Brest\",\"n\":12345678901234567890}\" "
                   "signature=\"Cw==\" signer=3\n");
    CHECK_HAS(got, "  result id=\"c1\" name=\"get_tide\" error\n    text text=\"closed\"\n");
    CHECK_HAS(got, "choice 4 get_tide\n");
    CHECK_HAS(got, "tool hosted name=\"googleSearch\" raw=\"{\"googleSearch\":{}}\"");
    CHECK_HAS(got, "modalities: [\"text\",\"image\"]\n");
    CHECK_HAS(got, "reasoning on=2 effort=0 budget=1024 show=2");
    CHECK_HAS(got, "n: 2\n");
    CHECK_HAS(got, "top_logprobs: 3\n");
    CHECK_HAS(got, "extra safetySettings=");
}

TEST(gemini_keys_in_snake_case_are_the_same)
{
    struct kit k CLEANUP(kit_release);

    begin(&k, GENERATE, "gemini");
    CHECK_EQ(
        kit_read(&k, "{\"system_instruction\":{\"parts\":{\"text\":\"s\"}},\"contents\":{\"parts\":[{\"inline_data\":{"
                     "\"mime_type\":\"image/png\",\"data\":\"ab-_\"}}]},\"generation_config\":{\"max_output_tokens\":5,"
                     "\"thinking_config\":{\"thinking_level\":\"LOW\"}},\"tool_config\":{\"function_calling_config\":{"
                     "\"mode\":\"NONE\"}}}"),
        OK);
    struct str got = kit_canon(&k, &k.q);
    CHECK_HAS(got, "system \n  text text=\"s\"\n");
    CHECK_HAS(got, "data=\"ab+/\"");
    CHECK_HAS(got, "max_output: 5\n");
    CHECK_HAS(got, "effort=3");
    CHECK_HAS(got, "choice 2");
    CHECK_HAS_NOT(got, "extra");
}

TEST(gemini_parallel_calls_of_one_name_are_paired_in_order)
{
    struct kit k CLEANUP(kit_release);

    begin(&k, GENERATE, "gemini");
    CHECK_EQ(
        kit_read(
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
    struct kit again CLEANUP(kit_release);
    begin(&again, GENERATE, "gemini");
    CHECK_EQ(
        kit_read(&again,
                 "{\"contents\":[{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":{}}}]}]}"),
        OK);
    CHECK(str_eq(again.q.turns->blocks->id, call->id)); /* by place and name: the same next time */
}

TEST(gemini_schemas_of_googles_kind_become_json_schema)
{
    struct kit k CLEANUP(kit_release);

    begin(&k, GENERATE, "gemini");
    CHECK_EQ(
        kit_read(
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
        struct kit k CLEANUP(kit_release);
        begin(&k, GENERATE, "gemini");
        test_context("%s", cases[i].json);
        CHECK_EQ(kit_read(&k, cases[i].json), E_PARSE);
        CHECK_STR(k.param, cases[i].param);
    }
}

/* --- requests of others --- */

static struct block *say(struct kit *k, enum chat_role role, enum block_kind kind, const char *text)
{
    struct turn *t = chat_add_turn(&k->q, &k->arena, role, JSON_ABSENT);
    struct block *b = chat_add_block(&t->blocks, &k->arena, kind, JSON_ABSENT);

    b->text = str_from_c(text);
    return b;
}

static struct block *call(struct kit *k, const char *id, const char *arguments)
{
    struct block *b = say(k, CHAT_ASSISTANT, BLOCK_TOOL_CALL, NULL);

    b->id = str_from_c(id);
    b->name = STR("get_tide");
    b->arguments = str_from_c(arguments);
    return b;
}

static struct block *result(struct kit *k, const char *id, const char *text)
{
    struct block *b = say(k, CHAT_USER, BLOCK_TOOL_RESULT, NULL);

    b->id = str_from_c(id);
    chat_add_block(&b->content, &k->arena, BLOCK_TEXT, JSON_ABSENT)->text = str_from_c(text);
    return b;
}

static struct tool *offer(struct kit *k, const char *name, const char *schema)
{
    struct tool *t = chat_add_tool(&k->q, &k->arena, TOOL_FUNCTION, JSON_ABSENT);

    t->name = str_from_c(name);
    t->parameters = str_from_c(schema);
    return t;
}

static void foreign(struct kit *k, const char *vendor, const char *model)
{
    begin(k, GENERATE, vendor);
    k->q.dialect = dialect_find(STR("openai"));
    k->q.reasoning.budget = -1;
    k->t.model = str_from_c(model);
}

static struct str written(struct kit *k)
{
    return kit_write(k) == OK ? buf_str(&k->body) : str_from_c(err_detail(E_PARSE));
}

TEST(gemini_results_name_their_function_and_are_objects)
{
    struct kit k CLEANUP(kit_release);

    foreign(&k, "gemini", "gemini-2.5-pro");
    say(&k, CHAT_USER, BLOCK_TEXT, "Tides?");
    call(&k, "a", "");
    call(&k, "b", "[1]");
    result(&k, "b", "[1,2]");
    result(&k, "a", "{\"h\":3}");
    struct str got = written(&k);
    CHECK_HAS(got, "{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"id\":\"a\",\"name\":\"get_tide\",\"args\":{}}},"
                   "{\"functionCall\":"
                   "{\"id\":\"b\",\"name\":\"get_tide\",\"args\":{\"_raw\":\"[1]\"}}}]}");
    CHECK_HAS(got, "{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"id\":\"a\",\"name\":\"get_tide\","
                   "\"response\":{\"h\":3}}},"
                   "{\"functionResponse\":{\"id\":\"b\",\"name\":\"get_tide\",\"response\":{\"output\":\"[1,2]\"}}}]}");
    struct kit v CLEANUP(kit_release);
    foreign(&v, "vertex", "gemini-2.5-pro");
    say(&v, CHAT_USER, BLOCK_TEXT, "x");
    call(&v, "a", "{}");
    result(&v, "a", "no")->is_error = true;
    got = written(&v);
    CHECK_HAS_NOT(got, "\"id\"");
    CHECK_HAS(got, "\"response\":{\"error\":\"no\"}");
    CHECK_STR(v.call.path, "/publishers/google/models/gemini-2.5-pro:generateContent");
}

TEST(gemini_third_generation_is_given_a_stand_in_for_missing_signatures)
{
    struct kit k CLEANUP(kit_release);

    foreign(&k, "gemini", "gemini-3-pro-preview");
    say(&k, CHAT_USER, BLOCK_TEXT, "x");
    struct block *first = call(&k, "a", "{}");
    call(&k, "b", "{}");
    result(&k, "a", "1");
    result(&k, "b", "2");
    struct str got = written(&k);
    CHECK_HAS(got, "\"args\":{}},\"thoughtSignature\":\"skip_thought_signature_validator\"},{\"functionCall\":{\"id\":"
                   "\"b\",\"name\":"
                   "\"get_tide\",\"args\":{}}}");
    first->signature = STR("Cg==");
    first->signer = SIGNER_GOOGLE;
    CHECK_HAS(written(&k), "\"thoughtSignature\":\"Cg==\"},{\"functionCall\":{\"id\":\"b\"");
    CHECK_HAS_NOT(buf_str(&k.body), "skip_thought");
    first->signer = SIGNER_ANTHROPIC;
    CHECK_HAS(written(&k), "skip_thought");
    CHECK_EQ(k.losses.dropped, 1);
    k.t.model = STR("gemini-2.5-flash");
    CHECK_HAS_NOT(written(&k), "skip_thought");
}

TEST(gemini_schemas_of_others_go_as_they_are)
{
    static const char schema[] =
        "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/$defs/A\"}},\"$defs\":{\"A\":{\"const\":1}},"
        "\"additionalProperties\":false}";
    struct kit k CLEANUP(kit_release);

    foreign(&k, "gemini", "gemini-2.5-pro");
    say(&k, CHAT_USER, BLOCK_TEXT, "x");
    offer(&k, "f", schema);
    offer(&k, "none", "{\"type\":\"object\",\"properties\":{}}");
    struct str got = written(&k);
    CHECK_HAS(got, "\"parametersJsonSchema\":{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\"");
    CHECK_HAS(got, "{\"name\":\"none\"}");
}

TEST(gemini_before_the_third_generation_structure_beside_functions_is_a_function)
{
    struct kit k CLEANUP(kit_release);

    foreign(&k, "gemini", "gemini-2.5-pro");
    say(&k, CHAT_USER, BLOCK_TEXT, "x");
    k.q.format = (struct response_format){.kind = FORMAT_SCHEMA, .schema = STR("{\"type\":\"object\"}")};
    CHECK_HAS(written(&k), "\"responseMimeType\":\"application/json\",\"responseJsonSchema\":{\"type\":\"object\"}");
    offer(&k, "f", "");
    struct str got = written(&k);
    CHECK_HAS(got, "{\"name\":\"structured_answer\"");
    CHECK_HAS(got, "\"mode\":\"ANY\"");
    CHECK_HAS_NOT(got, "responseMimeType");
    CHECK_STR(k.call.emulate.schema_tool, "structured_answer");
    k.q.format.kind = FORMAT_JSON;
    CHECK_HAS(written(&k), "\"systemInstruction\":{\"parts\":[{\"text\":\"Answer with one");
    CHECK(k.call.emulate.strip_fence);
    k.t.model = STR("gemini-3-pro");
    CHECK_HAS(written(&k), "responseMimeType");
}

TEST(gemini_thinking_is_a_level_or_a_budget)
{
    struct kit k CLEANUP(kit_release);

    foreign(&k, "gemini", "gemini-2.5-pro");
    say(&k, CHAT_USER, BLOCK_TEXT, "x");
    k.q.reasoning.effort = EFFORT_LOW;
    k.q.reasoning.show = YES;
    CHECK_HAS(written(&k), "\"thinkingConfig\":{\"includeThoughts\":true,\"thinkingBudget\":2048}");
    k.q.reasoning.effort = EFFORT_NONE;
    CHECK_HAS(written(&k), "\"thinkingBudget\":0");
    k.q.reasoning.effort = EFFORT_UNSET;
    k.q.reasoning.on = YES;
    CHECK_HAS(written(&k), "\"thinkingBudget\":-1");
    k.t.model = STR("gemini-3-flash");
    k.q.reasoning.effort = EFFORT_MAX;
    CHECK_HAS(written(&k), "\"thinkingLevel\":\"HIGH\"");
    CHECK_EQ(k.losses.changed, 1);
}

TEST(gemini_what_cannot_be_said_is_reported_or_done_otherwise)
{
    struct kit k CLEANUP(kit_release);
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
    say(&k, CHAT_USER, BLOCK_TEXT, "x");
    k.q.stops = stops;
    k.q.stop_count = ARRAY_LEN(stops);
    chat_read_raw(&k.q.logit_bias, json_node_get(root, STR("logit_bias")));
    chat_read_setting(&k.q.user, json_node_get(root, STR("user")), &k.arena);
    chat_read_number(&k.q.temperature, json_node_get(root, STR("temperature")));
    struct str got = written(&k);
    CHECK_HAS(got, "\"stopSequences\":[\"1\",\"2\",\"3\",\"4\",\"5\"]");
    CHECK_HAS(got, "\"temperature\":2,");
    CHECK_EQ(k.call.emulate.stop_count, 1);
    CHECK_LOSS(&k, LOSS_EMULATED, "/stop/5");
    CHECK_LOSS(&k, LOSS_DROPPED, "/logit_bias");
    CHECK_LOSS(&k, LOSS_DROPPED, "/user");
    CHECK_LOSS(&k, LOSS_CHANGED, "/temperature");
}

TEST(gemini_foreign_thoughts_are_not_sent)
{
    struct kit k CLEANUP(kit_release);

    foreign(&k, "gemini", "gemini-2.5-pro");
    say(&k, CHAT_USER, BLOCK_TEXT, "x");
    struct block *b = say(&k, CHAT_ASSISTANT, BLOCK_THINKING, "hm");
    b->signature = STR("EqQ=");
    b->signer = SIGNER_ANTHROPIC;
    say(&k, CHAT_ASSISTANT, BLOCK_TEXT, "y");
    CHECK_HAS_NOT(written(&k), "hm");
    CHECK_EQ(k.losses.dropped, 1);
}

TEST(gemini_counts_within_a_request)
{
    struct kit k CLEANUP(kit_release);
    uint64_t n = 0;

    foreign(&k, "gemini", "gemini-2.5-pro");
    say(&k, CHAT_USER, BLOCK_TEXT, "x");
    k.call = (struct provider_call){.body = &k.body};
    CHECK_EQ(k.t.provider->provider.write_count(&k.t, &k.q, &k.call), OK);
    CHECK_HAS(buf_str(&k.body), "{\"generateContentRequest\":{\"model\":\"models/gemini-2.5-pro\",\"contents\":[");
    CHECK_STR(k.call.path, "/models/gemini-2.5-pro:countTokens");
    CHECK_EQ(k.t.provider->provider.read_count(&k.arena, STR("{\"totalTokens\":31}"), &n), OK);
    CHECK_EQ(n, 31);
    CHECK_EQ(k.t.provider->provider.read_count(&k.arena, STR("{}"), &n), E_PROTOCOL);
    CHECK_EQ(
        kit_read(&k,
                 "{\"generateContentRequest\":{\"model\":\"models/m\",\"contents\":[{\"parts\":[{\"text\":\"y\"}]}]}}"),
        OK);
    CHECK_HAS(kit_canon(&k, &k.q), "text text=\"y\"");
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

static const char told[] = "start r1 gemini-x\nusage in=20 out=0 cached=4 written=0/0 thought=0\n"
                           "0.0 thinking\n0.0 + Let\n0.0 +  me\n0.0 .\n0.1 text\n0.1 + H\xc3\xa9\n0.1 + llo\n"
                           "0.1 citation https://x.example llo\n0.1 .\n"
                           "0.2 call id=<c1> name=<f>\n0.2 signature 3 Cg==\n0.2 + {\"n\": 1e400}\n0.2 .\n"
                           "0.3 call id=<c2> name=<g>\n0.3 + {}\n0.3 .\n"
                           "usage in=23 out=8 cached=0 written=0/0 thought=2\n0 tool_calls \nend\n";

TEST(gemini_stream_is_told_the_same_however_it_is_cut_or_framed)
{
    struct kit k CLEANUP(kit_release);
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
    struct kit k CLEANUP(kit_release);
    struct str whole = str_from_c(stream);

    begin(&k, STREAM, "gemini");
    size_t reason = str_find(whole, STR("finishReason"));
    for (size_t at = 0; at < whole.n; at++) {
        struct str got = kit_events(&k, k.t.provider, FRAMING_SSE, str_slice(whole, 0, at), 1000);
        bool ended = str_ends(got, STR("end\n"));
        CHECK_MSG(ended || str_find(got, STR("error ")) < got.n, "cut at %zu: %.*s", at, STR_ARG(got));
        CHECK_MSG(!ended || at > reason, "cut at %zu ends well", at);
    }
}

TEST(gemini_calls_finish_as_tool_calls_and_get_ids)
{
    struct kit k CLEANUP(kit_release);

    begin(&k, GENERATE, "gemini");
    struct str got = kit_answer_events(
        &k, k.t.provider,
        "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":{}}},{\"functionCall\":"
        "{\"name\":\"f\",\"args\":{}}}]},\"finishReason\":\"STOP\"}],\"responseId\":\"r\"}");
    CHECK_HAS(got, "0 tool_calls \nend\n");
    CHECK_HAS(got, "0.0 call id=<call_");
    size_t first = str_find(got, STR("call_")),
           second = first + 5 + str_find(str_slice(got, first + 5, got.n), STR("id=<call_")) + 4;
    CHECK(!str_eq(str_slice(got, first, first + 25), str_slice(got, second, second + 25)));
}

TEST(gemini_reasons_to_finish_are_understood)
{
    static const char *const reasons[][2] = {
        {"STOP", "0 stop \nend\n"},       {"MAX_TOKENS", "0 length \nend\n"},
        {"SAFETY", "0 filter \nend\n"},   {"SPII", "0 filter \nend\n"},
        {"NEW_REASON", "0 stop \nend\n"}, {"MALFORMED_FUNCTION_CALL", "error 12 502 the model's answer failed"},
        {"OTHER", "error 12 502"}};

    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        struct kit k CLEANUP(kit_release);
        begin(&k, GENERATE, "gemini");
        struct str body =
            arena_printf(&k.arena, "{\"candidates\":[{\"content\":{},\"finishReason\":\"%s\"}]}", reasons[i][0]);
        CHECK_HAS(kit_answer_events(&k, k.t.provider, body.p), reasons[i][1]);
    }
    struct kit k CLEANUP(kit_release);
    begin(&k, GENERATE, "gemini");
    CHECK_HAS(kit_answer_events(&k, k.t.provider, "{\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}"),
              "0 filter \nend\n");
    CHECK_HAS(kit_answer_events(&k, k.t.provider, "{\"candidates\":[{\"content\":{}}]}"), "error 12 502");
    CHECK_HAS(kit_answer_events(&k, k.t.provider, "{}"), "FAILED");
    CHECK_HAS(kit_answer_events(&k, k.t.provider, "{\"candidates\":[{\"index\":99,\"finishReason\":\"STOP\"}]}"),
              "error 12");
}

TEST(gemini_whole_answer_tells_candidates_pictures_and_logprobs)
{
    struct kit k CLEANUP(kit_release);

    begin(&k, GENERATE, "gemini");
    CHECK_STR(kit_answer_events(&k, k.t.provider,
                                "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"},{\"inlineData\":{"
                                "\"mimeType\":\"image/png\",\"data\":\"iV-_\"}},"
                                "{\"executableCode\":{\"code\":\"1\"}}]},\"finishReason\":\"STOP\"},{\"index\":1,"
                                "\"content\":{\"parts\":[{\"text\":\"b\"}]},"
                                "\"logprobsResult\":{\"chosenCandidates\":[{\"token\":\"b\",\"logProbability\":-0.5}],"
                                "\"topCandidates\":[{\"candidates\":["
                                "{\"token\":\"c\",\"logProbability\":-1}]}]},\"finishReason\":\"MAX_TOKENS\"}],"
                                "\"modelVersion\":\"m\",\"responseId\":\"r\"}"),
              "start r m\n0.0 text\n0.0 + a\n0.0 .\n0.1 image data=<iV+/>\n0.1 .\n0.2 opaque "
              "blob=<{\"executableCode\":{\"code\":\"1\"}}>\n"
              "0.2 .\n1.0 text\n1.0 + b\n1 logprobs "
              "[{\"token\":\"b\",\"logprob\":-0.5,\"bytes\":null,\"top_logprobs\":[{\"token\":\"c\","
              "\"logprob\":-1,\"bytes\":null}]}]\n1.0 .\n0 stop \n1 length \nend\n");
}

/* --- calls whose arguments come in pieces --- */

#define PIECES(call) DATA("{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":" call "}]}}]}")
#define DONE DATA("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}]},\"finishReason\":\"STOP\"}]}")

TEST(gemini_arguments_in_pieces_are_put_together)
{
    struct kit k CLEANUP(kit_release);

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
        "start  \n0.0 call id=<c1> name=<f>\n"
        "0.0 + {\"port\":\"Br\\ud83d\\ude00\\\"est\",\"stops\":[{\"at\":1.50,\"on\":false,\"late\":\"\"},{\"a "
        "b's\":null}]}\n0.0 .\n"
        "0.1 call id=<c2> name=<g>\n0.1 + {\"n\":7}\n0.1 .\n0 tool_calls \nend\n");
}

TEST(gemini_a_call_in_pieces_ends_with_what_comes_next)
{
    struct kit k CLEANUP(kit_release);

    begin(&k, STREAM, "gemini");
    CHECK_EVENTS(&k, k.t.provider, FRAMING_SSE,
                 STR(PIECES("{\"id\":\"c1\",\"name\":\"f\",\"partialArgs\":[{\"jsonPath\":\"$.a\",\"stringValue\":"
                            "\"x\"}],\"willContinue\":true}")
                         PIECES("{\"id\":\"c2\",\"name\":\"g\",\"willContinue\":true}") DONE),
                 "start  \n0.0 call id=<c1> name=<f>\n0.0 + {\"a\":\"x\"}\n0.0 .\n"
                 "0.1 call id=<c2> name=<g>\n0.1 + {}\n0.1 .\n0 tool_calls \nend\n");
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
        struct kit k CLEANUP(kit_release);
        begin(&k, GENERATE, "gemini");
        struct str body = arena_printf(&k.arena,
                                       "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\","
                                       "\"partialArgs\":[%s]}},{\"text\":\"x\"}]},\"finishReason\":\"STOP\"}]}",
                                       wrong[i]);
        test_context("case %zu", i);
        CHECK_HAS(kit_answer_events(&k, k.t.provider, body.p), "error 12 502 the provider sent arguments of a call");
    }
}

TEST(gemini_pieces_are_bounded_in_number_and_depth)
{
    struct kit k CLEANUP(kit_release);
    struct buf many CLEANUP(buf_release) = BUF_INIT(1 << 24);
    static const char head[] = "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\",";

    begin(&k, GENERATE, "gemini");
    for (int more = 0; more < 2; more++) {
        buf_clear(&many);
        buf_addf(&many, "%s\"partialArgs\":[", head);
        for (int i = 0; i < 4095 + more; i++)
            buf_addf(&many, "%s{\"jsonPath\":\"$.a[%d]\",\"numberValue\":1}", i ? "," : "", i);
        buf_addf(&many, "]}}]},\"finishReason\":\"STOP\"}]}%c", 0);
        CHECK_HAS(kit_answer_events(&k, k.t.provider, many.p), more ? "error 12 502" : "0 tool_calls \nend\n");
    }
    for (int more = 0; more < 2; more++) {
        buf_clear(&many);
        buf_addf(&many, "%s\"partialArgs\":[{\"jsonPath\":\"$", head);
        for (int i = 0; i < 64 + more; i++)
            buf_addf(&many, ".a");
        buf_addf(&many, "\",\"numberValue\":1}]}}]},\"finishReason\":\"STOP\"}]}%c", 0);
        CHECK_HAS(kit_answer_events(&k, k.t.provider, many.p), more ? "error 12 502" : "0 tool_calls \nend\n");
    }
}

/* --- sources --- */

static void begin_openai(struct kit *k)
{
    kit_init(k, "openai", "/v1/chat/completions", "gemini");
    k->t.model = STR("gemini-2.5-pro");
    k->q = (struct chat_request){.dialect = k->t.client, .reasoning.budget = -1};
}

TEST(gemini_citations_have_their_places_in_characters)
{
    struct kit k CLEANUP(kit_release);

    begin_openai(&k);
    struct str got = kit_relayed(
        &k,
        "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hm\",\"thought\":true},{\"text\":\"\xc3\xa9t\xc3\xa9 in "
        "Brest.\"}]},\"finishReason\":\"STOP\",\"groundingMetadata\":{\"groundingChunks\":[{\"web\":{\"uri\":"
        "\"https://w.example\",\"title\":\"W\"}},{\"maps\":{\"uri\":\"https://m.example\",\"title\":\"M\"}},"
        "{\"retrievedContext\":{\"title\":\"only a title\"}}],"
        "\"groundingSupports\":[{\"segment\":{\"partIndex\":1,\"startIndex\":6,\"endIndex\":14,\"text\":\"in Brest\"},"
        "\"groundingChunkIndices\":[0,1,2]},{\"segment\":{\"endIndex\":99},\"groundingChunkIndices\":[0]}]},"
        "\"citationMetadata\":{\"citationSources\":[{\"endIndex\":5,\"uri\":\"https://c.example\"}]}}]}");
    CHECK_HAS(got, "{\"type\":\"url_citation\",\"url_citation\":{\"start_index\":4,\"end_index\":12,\"url\":\"https://"
                   "w.example\",\"title\":\"W\"}}");
    CHECK_HAS(got, "\"start_index\":4,\"end_index\":12,\"url\":\"https://m.example\"");
    CHECK_HAS(got, "\"start_index\":0,\"end_index\":0,\"url\":\"https://w.example\"");
    CHECK_HAS(got, "\"start_index\":0,\"end_index\":3,\"url\":\"https://c.example\"");
    CHECK_HAS_NOT(got, "only a title"); /* there is no address to give */
}

/* Pieces of a stream count on; ASCII and other pieces side by side. */
TEST(gemini_citations_in_a_stream_count_from_the_texts_beginning)
{
    struct kit k CLEANUP(kit_release);
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
    CHECK_EQ(k.t.provider->provider.reader_begin(reader, &k.arena), OK);
    for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
        struct frame f = {.data = str_from_c(frames[i].json)};
        CHECK_EQ(k.t.provider->provider.reader_frame(reader, &f, &k.scratch, &sink), OK);
        arena_clear(&k.scratch);
    }
    CHECK_EQ(k.t.provider->provider.reader_end(reader, &sink), OK);
    const struct citation *c = a->choices[0].blocks->citations;
    CHECK(c != NULL);
    CHECK_EQ(c->start, 4);
    CHECK_EQ(c->end, 8);
}

TEST(gemini_sources_without_a_place_are_told_of_the_whole)
{
    struct kit k CLEANUP(kit_release);

    begin(&k, GENERATE, "gemini");
    CHECK_HAS(
        kit_answer_events(&k, k.t.provider,
                          "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"finishReason\":\"STOP\","
                          "\"groundingMetadata\":{\"groundingChunks\":[{\"web\":{\"uri\":\"https://w.example\"}}]"
                          "},\"urlContextMetadata\":{\"urlMetadata\":[{\"retrievedUrl\":\"https://w.example\","
                          "\"urlRetrievalStatus\":\"URL_RETRIEVAL_STATUS_SUCCESS\"}]}}]}"),
        "0.0 + a\n0.0 citation https://w.example \n0.0 .\n");
    CHECK_HAS(
        kit_answer_events(&k, k.t.provider,
                          "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"finishReason\":\"STOP\","
                          "\"urlContextMetadata\":{\"urlMetadata\":[{\"retrievedUrl\":\"https://bad.example\","
                          "\"urlRetrievalStatus\":\"URL_RETRIEVAL_STATUS_ERROR\"},{\"retrievedUrl\":"
                          "\"https://u.example\",\"urlRetrievalStatus\":\"URL_RETRIEVAL_STATUS_SUCCESS\"}]}}]}"),
        "0.0 + a\n0.0 citation https://u.example \n0.0 .\n");
}

TEST(gemini_words_for_a_blocked_prompt_are_a_refusal)
{
    static const char blocked[] =
        "{\"promptFeedback\":{\"blockReason\":\"SAFETY\",\"blockReasonMessage\":\"Not about that.\"}}";
    struct kit k CLEANUP(kit_release);

    begin(&k, GENERATE, "gemini");
    CHECK_HAS(kit_answer_events(&k, k.t.provider, blocked),
              "0.0 refusal\n0.0 + Not about that.\n0.0 .\n0 filter \nend\n");
    kit_release(&k);
    begin_openai(&k);
    struct str got = kit_relayed(&k, blocked);
    CHECK_HAS(got, "\"refusal\":\"Not about that.\"");
    CHECK_HAS(got, "\"finish_reason\":\"content_filter\"");
}

/* --- signatures of parts that are no text --- */

TEST(gemini_signatures_of_pictures_and_code_come_back_on_them)
{
    static const char parts[] =
        "[{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"iVBORw0KGgoAAAAN\"},\"thoughtSignature\":\"Cg==\"},"
        "{\"executableCode\":{\"language\":\"PYTHON\",\"code\":\"1\"},\"thoughtSignature\":\"Cw==\"},"
        "{\"codeExecutionResult\":{\"outcome\":\"OUTCOME_OK\",\"output\":\"1\"}}]";
    struct kit k CLEANUP(kit_release);

    begin(&k, GENERATE, "gemini");
    struct str body =
        arena_printf(&k.arena, "{\"candidates\":[{\"content\":{\"parts\":%s},\"finishReason\":\"STOP\"}]}", parts);
    CHECK_HAS(kit_relayed(&k, body.p), parts);
    struct str again = kit_translate(
        &k, arena_printf(&k.arena,
                         "{\"contents\":[{\"parts\":[{\"text\":\"draw\"}]},{\"role\":\"model\",\"parts\":%s},"
                         "{\"parts\":[{\"text\":\"more\"}]}]}",
                         parts)
                .p);
    CHECK_HAS(again, parts);
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
    struct kit k CLEANUP(kit_release);

    begin(&k, STREAM, "gemini");
    CHECK_HAS(kit_stream(&k, drawn, ARRAY_LEN(drawn)), want);
    CHECK_HAS(kit_whole(&k, drawn, ARRAY_LEN(drawn)), want);
}

TEST(gemini_pictures_that_are_thoughts_are_no_answer)
{
    struct kit k CLEANUP(kit_release);

    begin_openai(&k);
    struct str got = kit_relayed(
        &k, "{\"candidates\":[{\"content\":{\"parts\":[{\"thought\":true,\"inlineData\":{\"mimeType\":\"image/png\","
            "\"data\":\"AAAA\"}},{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"BBBB\"}}]},\"finishReason\":"
            "\"STOP\"}]}");
    CHECK_HAS(got, "base64,BBBB");
    CHECK_HAS_NOT(got, "AAAA");
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
    struct kit k CLEANUP(kit_release);

    begin_openai(&k);
    struct str got = kit_translate(
        &k, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{"
            "\"url\":\"https://x.example/a.PNG?size=1#top\"}},{\"type\":\"image_url\",\"image_url\":{\"url\":"
            "\"https://x.example/png\"}}]}]}");
    CHECK_HAS(got, "{\"fileData\":{\"mimeType\":\"image/png\",\"fileUri\":\"https://x.example/a.PNG?size=1#top\"}}");
    CHECK_HAS(got, "{\"fileData\":{\"fileUri\":\"https://x.example/png\"}}");
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
    struct kit k CLEANUP(kit_release);

    begin(&k, STREAM, "gemini");
    CHECK_HAS(kit_whole(&k, likely, ARRAY_LEN(likely)), GOOGLE_LOGPROBS ",\"avgLogprobs\":-1,\"finishReason\"");
    CHECK_HAS(kit_stream(&k, likely, ARRAY_LEN(likely)),
              DATA("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"}," GOOGLE_LOGPROBS
                   ",\"avgLogprobs\":-1,\"index\":0}],\"modelVersion\":\"chat\",\"responseId\":\"0000000000001234\"}"));
}

TEST(gemini_log_probabilities_are_asked_of_others_and_for_others)
{
    struct kit k CLEANUP(kit_release);

    begin_openai(&k);
    CHECK_HAS(kit_translate(&k,
                            "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"logprobs\":true,"
                            "\"top_logprobs\":3}"),
              "\"responseLogprobs\":true,\"logprobs\":3");
    kit_release(&k);
    begin(&k, GENERATE, "openai");
    struct str got = kit_translate(&k, "{\"contents\":[{\"parts\":[{\"text\":\"x\"}]}],\"generationConfig\":{"
                                       "\"responseLogprobs\":true,\"logprobs\":3}}");
    CHECK_HAS(got, "\"logprobs\":true");
    CHECK_HAS(got, "\"top_logprobs\":3");
}

TEST(gemini_errors_keep_class_words_and_hint)
{
    struct kit k CLEANUP(kit_release);

    begin(&k, STREAM, "gemini");
    CHECK_EVENTS(&k, k.t.provider, FRAMING_SSE,
                 STR(DATA("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}")
                         DATA("{\"error\":{\"code\":503,\"message\":\"busy\",\"status\":\"UNAVAILABLE\"}}")
                             DATA("{\"candidates\":[]}")),
                 "start  \n0.0 text\n0.0 + a\nerror 0 503 busy\n");
}

static struct str no_header(void *ctx, struct str name)
{
    (void)ctx;
    (void)name;
    return STR_NONE;
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
        struct kit k CLEANUP(kit_release);
        struct api_error e;
        begin(&k, GENERATE, "gemini");
        k.t.provider->provider.read_error(&k.arena, cases[i].status, str_from_c(cases[i].body), no_header, NULL, &e);
        test_context("case %zu", i);
        CHECK_EQ(error_class_of(&e), cases[i].class);
        CHECK_STR(e.message, cases[i].words);
        CHECK_EQ(e.retry_after_ms, cases[i].retry);
    }
}

/* --- answers for a client --- */

static const struct usage some_usage = {.input = 20, .output = 8, .cached_input = 4, .reasoning = 2, .known = true};
static const struct citation some_source = {
    .url = STR_INIT("https://x.example"), .title = STR_INIT("X"), .cited_text = STR_INIT("Hi")};

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

#define TAIL ",\"modelVersion\":\"chat\",\"responseId\":\"r1\"}"
#define PIECE(part) "{\"candidates\":[{\"content\":{\"parts\":[" part "],\"role\":\"model\"},\"index\":0}]" TAIL

TEST(gemini_client_hears_data_lines_alone_and_calls_whole)
{
    struct kit k CLEANUP(kit_release);

    begin(&k, STREAM, "anthropic");
    struct str got = kit_stream(&k, events, ARRAY_LEN(events));
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
                                    "\"groundingSupports\":[{\"segment\":{\"text\":\"Hi\"},\"groundingChunkIndices\":["
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
    struct kit k CLEANUP(kit_release);

    begin(&k, GENERATE, "anthropic");
    struct str whole = arena_str(&k.arena, kit_whole(&k, events, ARRAY_LEN(events)));
    size_t from = str_find(whole, STR("\"parts\":[")) + 8, to = str_find(whole, STR("],\"role\"")) + 1;
    struct str back = arena_printf(&k.arena, "{\"contents\":[{\"role\":\"model\",\"parts\":%.*s}]}",
                                   STR_ARG(str_slice(whole, from, to)));
    CHECK_EQ(kit_read(&k, back.p), OK);
    static const char want[] =
        "assistant \n  thinking text=\"ok\" signature=\"EqQ=\" signer=2\n  redacted text=\"AAA=\" signer=2\n"
        "  text text=\"Hi\"\n  call id=\"t1\" name=\"get_tide\" arguments=\"{\"port\":\"Brest\"}\" "
        "signature=\"Cg==\" signer=3\n";
    CHECK_HAS(kit_canon(&k, &k.q), want);
    /* as a client gathers the pieces of a stream */
    CHECK_EQ(kit_read(&k, "{\"contents\":[{\"role\":\"model\",\"parts\":[{\"text\":\"o\",\"thought\":true},{\"text\":"
                          "\"k\",\"thought\":true},"
                          "{\"text\":\"\",\"thought\":true,\"thoughtSignature\":\"Y3Jvc3Nkb2NrLmFudGhyb3BpYy5FcVE9\"},"
                          "{\"text\":\"\",\"thought\":true,\"thoughtSignature\":"
                          "\"Y3Jvc3Nkb2NrLmFudGhyb3BpYy5yZWRhY3RlZDpBQUE9\"}]}]}"),
             OK);
    CHECK_HAS(kit_canon(&k, &k.q),
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
    struct kit k CLEANUP(kit_release);
    const struct json_tree *tree;

    begin(&k, STREAM, "anthropic");
    k.t.query = STR("key=x");
    CHECK_EQ(k.t.client->client.framing(&k.t), FRAMING_ARRAY);
    struct str got = kit_stream(&k, events, ARRAY_LEN(events));
    CHECK_EQ(json_tree_parse(&k.arena, got, &tree), OK);
    CHECK_EQ(json_node_count(json_tree_root(tree)), 6);
    got = kit_stream(&k, broken, ARRAY_LEN(broken));
    CHECK_EQ(json_tree_parse(&k.arena, got, &tree), OK);
    CHECK_HAS(got,
              ",\r\n{\"error\":{\"code\":503,\"message\":\"full\",\"status\":\"UNAVAILABLE\",\"details\":[{\"@type\":"
              "\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"1.500s\"}]}}\n]");
    k.t.query = STR("alt=sse");
    got = kit_stream(&k, broken, ARRAY_LEN(broken));
    CHECK_HAS(got, "data: {\"error\":{\"code\":503");
    CHECK_HAS_NOT(got, "finishReason");
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
        struct kit k CLEANUP(kit_release);
        struct api_error e = {.error_class = cases[i].class, .message = STR("w")};
        struct call_header headers[2] = {{STR_NONE, STR_NONE}, {STR_NONE, STR_NONE}};
        int status = 0;
        begin(&k, GENERATE, "openai");
        k.t.client->client.write_error(&k.t, &e, &k.out, &status, headers);
        CHECK_EQ(status, cases[i].status);
        CHECK_HAS(buf_str(&k.out), cases[i].name);
        CHECK(str_starts(buf_str(&k.out), STR("{\"error\":")));
        buf_clear(&k.out);
        k.t.row = kit_row(k.t.client, STREAM);
        k.t.query = STR_NONE;
        k.t.client->client.write_error(&k.t, &e, &k.out, &status, headers);
        CHECK(str_starts(buf_str(&k.out), STR("[{\"error\":")));
    }
}

TEST(gemini_lists_models)
{
    static const struct model_card cards[] = {{.id = STR_INIT("a")}};
    struct kit k CLEANUP(kit_release);

    begin(&k, GENERATE, "openai");
    CHECK_EQ(k.t.client->client.write_models(&k.t, cards, 1, &k.out), OK);
    CHECK_HAS(buf_str(&k.out), "{\"models\":[{\"name\":\"models/"
                               "a\",\"displayName\":\"a\",\"supportedGenerationMethods\":[\"generateContent\"");
    buf_clear(&k.out);
    CHECK_EQ(k.t.client->client.write_count(&k.t, 42, false, &k.out), OK);
    CHECK_STR(buf_str(&k.out), "{\"totalTokens\":42}");
}

/* --- embeddings --- */

static struct str embedded(struct kit *k, const char *path, const char *vendor, const char *ask, const char *answer)
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
        return STR("FAILED");
    return k->t.client->client.write_embed(&k->frame, &q, &a, &k->out) == OK ? buf_str(&k->out) : STR("FAILED");
}

TEST(gemini_embeddings_go_both_ways_in_all_forms)
{
    struct kit k CLEANUP(kit_release);
    struct kit b CLEANUP(kit_release);
    struct kit p CLEANUP(kit_release);

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
