/* answer_test.c - answers gathered from events and told as events; events out of order are refused. */
#include "llm/answer.h"

#include "test.h"

struct gathering {
    struct arena arena;
    struct answer answer;
    struct answer_builder *builder;
    struct chat_sink sink;
};

static void gathering_begin(struct gathering *g)
{
    arena_init(&g->arena, 1 << 24);
    g->builder = answer_builder_new(&g->arena, &g->answer);
    g->sink = answer_sink(g->builder);
}

static void gathering_end(struct gathering *g)
{
    arena_release(&g->arena);
}

#define TELL(g, k, ...) chat_tell(&(g)->sink, &(struct chat_event){.kind = (k), __VA_ARGS__})

static const struct usage some_usage = {.input = 7, .output = 3, .known = true};
static const struct citation some_citation = {
    .url = STR_INIT("https://x"), .title = STR_INIT("t"), .start = 1, .end = 2};
static const struct media some_media = {
    .source = MEDIA_BASE64, .type = STR_INIT("image/png"), .data = STR_INIT("iVBO")};

/* Two choices with one of everything, the first one's calls interleaved. */
static void tell_everything(struct gathering *g)
{
    CHECK_OK(TELL(g, CHAT_START, .id = STR("a1"), .model = STR("m"), .created = 9));
    CHECK_OK(TELL(g, CHAT_BLOCK_START, .block_kind = BLOCK_THINKING));
    CHECK_OK(TELL(g, CHAT_TEXT, .text = STR("hm")));
    CHECK_OK(TELL(g, CHAT_SIGNATURE, .text = STR("old"), .signer = SIGNER_OPENAI));
    CHECK_OK(TELL(g, CHAT_SIGNATURE, .text = STR("sig"), .signer = SIGNER_GOOGLE));
    CHECK_OK(TELL(g, CHAT_BLOCK_STOP, .block = 0));
    CHECK_OK(TELL(g, CHAT_BLOCK_START, .block = 1, .block_kind = BLOCK_REDACTED, .text = STR("blob"),
                  .signer = SIGNER_ANTHROPIC));
    CHECK_OK(TELL(g, CHAT_BLOCK_STOP, .block = 1));
    CHECK_OK(TELL(g, CHAT_BLOCK_START, .block = 2, .block_kind = BLOCK_TEXT));
    CHECK_OK(TELL(g, CHAT_TEXT, .block = 2, .text = STR("Hel")));
    CHECK_OK(TELL(g, CHAT_CITATION, .block = 2, .citation = &some_citation));
    CHECK_OK(TELL(g, CHAT_CITATION, .block = 2, .citation = &some_citation));
    CHECK_OK(TELL(g, CHAT_LOGPROBS, .text = STR(" [{\"a\":1}] ")));
    CHECK_OK(TELL(g, CHAT_TEXT, .block = 2, .text = STR("lo")));
    CHECK_OK(TELL(g, CHAT_LOGPROBS, .text = STR("[2,3]")));
    CHECK_OK(TELL(g, CHAT_LOGPROBS, .text = STR("[]")));
    CHECK_OK(TELL(g, CHAT_BLOCK_STOP, .block = 2));
    CHECK_OK(TELL(g, CHAT_BLOCK_START, .block = 3, .block_kind = BLOCK_TOOL_CALL, .id = STR("c1"), .name = STR("f")));
    CHECK_OK(TELL(g, CHAT_BLOCK_START, .block = 4, .block_kind = BLOCK_TOOL_CALL, .id = STR("c2"), .name = STR("g"),
                  .custom = true));
    CHECK_OK(TELL(g, CHAT_TEXT, .block = 3, .text = STR("{\"a\"")));
    CHECK_OK(TELL(g, CHAT_TEXT, .block = 4, .text = STR("free")));
    CHECK_OK(TELL(g, CHAT_TEXT, .block = 3, .text = STR(":1}")));
    CHECK_OK(TELL(g, CHAT_BLOCK_STOP, .block = 3));
    CHECK_OK(TELL(g, CHAT_BLOCK_STOP, .block = 4));
    CHECK_OK(TELL(g, CHAT_BLOCK_START, .choice = 1, .block_kind = BLOCK_IMAGE, .media = &some_media));
    CHECK_OK(TELL(g, CHAT_BLOCK_STOP, .choice = 1));
    CHECK_OK(TELL(g, CHAT_USAGE, .usage = &(struct usage){.input = 1, .known = true}));
    CHECK_OK(TELL(g, CHAT_FINISH, .finish = FINISH_TOOL_CALLS, .service_tier = STR("flex")));
    CHECK_OK(TELL(g, CHAT_FINISH, .choice = 1, .finish = FINISH_STOP_SEQUENCE, .stop_sequence = STR("!")));
    CHECK_OK(TELL(g, CHAT_USAGE, .usage = &some_usage));
    CHECK_OK(TELL(g, CHAT_END));
}

static void check_everything(const struct answer *a)
{
    CHECK_STR(a->id, "a1");
    CHECK_STR(a->model, "m");
    CHECK_STR(a->service_tier, "flex");
    CHECK_EQ(a->created, 9);
    CHECK_EQ(a->usage.input, 7);
    CHECK_EQ(a->usage.output, 3);
    CHECK(a->ended);
    CHECK_EQ(a->choice_count, 2);
    CHECK_STR(a->choices[0].logprobs, "[{\"a\":1},2,3]");
    CHECK_EQ(a->choices[0].finish, FINISH_TOOL_CALLS);
    CHECK_EQ(a->choices[1].finish, FINISH_STOP_SEQUENCE);
    CHECK_STR(a->choices[1].stop_sequence, "!");
    const struct block *b = a->choices[0].blocks;
    CHECK_EQ(b->kind, BLOCK_THINKING);
    CHECK_STR(b->text, "hm");
    CHECK_STR(b->signature, "sig");
    CHECK_EQ(b->signer, SIGNER_GOOGLE);
    b = b->next;
    CHECK_EQ(b->kind, BLOCK_REDACTED);
    CHECK_STR(b->text, "blob");
    CHECK_EQ(b->signer, SIGNER_ANTHROPIC);
    b = b->next;
    CHECK_STR(b->text, "Hello");
    CHECK_STR(b->citations->url, "https://x");
    CHECK_EQ(b->citations->next->end, 2);
    CHECK(!b->citations->next->next);
    b = b->next;
    CHECK_STR(b->arguments, "{\"a\":1}");
    CHECK_STR(b->id, "c1");
    CHECK(!b->custom);
    b = b->next;
    CHECK_STR(b->arguments, "free");
    CHECK_STR(b->name, "g");
    CHECK(b->custom && !b->next);
    CHECK_STR(a->choices[1].blocks->media.data, "iVBO");
    CHECK_STR(a->choices[1].blocks->media.type, "image/png");
}

TEST(answer_gathers_everything_from_events)
{
    struct gathering g CLEANUP(gathering_end);

    gathering_begin(&g);
    tell_everything(&g);
    check_everything(&g.answer);
}

TEST(answer_told_as_events_and_gathered_is_the_same)
{
    struct gathering g CLEANUP(gathering_end), again CLEANUP(gathering_end);

    gathering_begin(&g);
    gathering_begin(&again);
    tell_everything(&g);
    CHECK_OK(answer_tell(&g.answer, &again.sink));
    check_everything(&again.answer);
}

TEST(answer_keeps_nothing_of_the_bytes_that_events_borrow)
{
    struct gathering g CLEANUP(gathering_end);
    char bytes[] = "text";
    struct str text = str_of(bytes, 4);

    gathering_begin(&g);
    CHECK_OK(TELL(&g, CHAT_START, .id = text, .model = text));
    CHECK_OK(TELL(&g, CHAT_BLOCK_START, .block_kind = BLOCK_TOOL_CALL, .id = text, .name = text));
    CHECK_OK(TELL(&g, CHAT_TEXT, .text = text));
    CHECK_OK(TELL(&g, CHAT_SIGNATURE, .text = text));
    CHECK_OK(TELL(&g, CHAT_CITATION, .citation = &(struct citation){.url = text, .cited_text = text, .raw = text}));
    CHECK_OK(TELL(&g, CHAT_BLOCK_STOP));
    CHECK_OK(TELL(&g, CHAT_FINISH, .stop_sequence = text));
    memset(bytes, 'x', 4);
    const struct block *b = g.answer.choices[0].blocks;
    CHECK_STR(g.answer.id, "text");
    CHECK_STR(g.answer.model, "text");
    CHECK_STR(b->id, "text");
    CHECK_STR(b->name, "text");
    CHECK_STR(b->arguments, "text");
    CHECK_STR(b->signature, "text");
    CHECK_STR(b->citations->url, "text");
    CHECK_STR(b->citations->cited_text, "text");
    CHECK_STR(b->citations->raw, "text");
    CHECK_STR(g.answer.choices[0].stop_sequence, "text");
}

TEST(answer_refuses_events_out_of_order)
{
    struct gathering g CLEANUP(gathering_end);

    gathering_begin(&g);
    CHECK_ERR(TELL(&g, CHAT_BLOCK_START), E_PROTOCOL);
    CHECK_OK(TELL(&g, CHAT_START));
    CHECK_ERR(TELL(&g, CHAT_START), E_PROTOCOL);
    CHECK_ERR(TELL(&g, CHAT_TEXT, .text = STR("x")), E_PROTOCOL);
    CHECK_ERR(TELL(&g, CHAT_BLOCK_START, .block = 1), E_PROTOCOL);
    CHECK_OK(TELL(&g, CHAT_BLOCK_START));
    CHECK_ERR(TELL(&g, CHAT_BLOCK_START), E_PROTOCOL);
    CHECK_ERR(TELL(&g, CHAT_FINISH), E_PROTOCOL);
    CHECK_ERR(TELL(&g, CHAT_END), E_PROTOCOL);
    CHECK_OK(TELL(&g, CHAT_BLOCK_STOP));
    CHECK_ERR(TELL(&g, CHAT_BLOCK_STOP), E_PROTOCOL);
    CHECK_ERR(TELL(&g, CHAT_TEXT, .text = STR("x")), E_PROTOCOL);
    CHECK_OK(TELL(&g, CHAT_FINISH));
    CHECK_ERR(TELL(&g, CHAT_FINISH), E_PROTOCOL);
    CHECK_ERR(TELL(&g, CHAT_BLOCK_START, .block = 1), E_PROTOCOL);
    CHECK_OK(TELL(&g, CHAT_END));
    CHECK_ERR(TELL(&g, CHAT_USAGE, .usage = &some_usage), E_PROTOCOL);
}

TEST(answer_refuses_choices_without_number)
{
    struct gathering g CLEANUP(gathering_end);

    gathering_begin(&g);
    CHECK_OK(TELL(&g, CHAT_START));
    CHECK_ERR(TELL(&g, CHAT_BLOCK_START, .choice = ANSWER_CHOICES_MAX), E_TOO_LARGE);
    CHECK_OK(TELL(&g, CHAT_BLOCK_START, .choice = ANSWER_CHOICES_MAX - 1));
    CHECK_EQ(g.answer.choice_count, ANSWER_CHOICES_MAX);
    CHECK_ERR(TELL(&g, CHAT_END), E_PROTOCOL); /* the others never finished */
}

TEST(answer_keeps_the_words_of_an_error_and_hears_nothing_after_it)
{
    struct gathering g CLEANUP(gathering_end);
    char bytes[] = "busy";
    const struct api_error e = {.status = 529,
                                .error_class = ERROR_OVERLOADED,
                                .message = str_of(bytes, 4),
                                .type = bytes,
                                .retry_after_ms = 5};

    gathering_begin(&g);
    CHECK(!answer_error(g.builder));
    CHECK_ERR(TELL(&g, CHAT_ERROR, .error = &e), E_UPSTREAM);
    CHECK_STR(str_from_c(err_detail(E_UPSTREAM)), "busy");
    memset(bytes, 'x', 4);
    CHECK_STR(answer_error(g.builder)->message, "busy");
    CHECK_STR(str_from_c(answer_error(g.builder)->type), "busy");
    CHECK(!answer_error(g.builder)->code);
    CHECK_EQ(answer_error(g.builder)->retry_after_ms, 5);
    CHECK_ERR(TELL(&g, CHAT_START), E_PROTOCOL);
    CHECK(!g.answer.ended);
}

/* --- classes of errors --- */

TEST(error_classes_follow_from_statuses_and_back)
{
    static const int own[] = {400, 401, 403, 404, 409, 413, 422, 429, 502, 503, 504};

    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        CHECK_EQ(error_status_of(error_class_of_status(own[i])), own[i]);
    CHECK_EQ(error_class_of_status(402), ERROR_QUOTA);
    CHECK_EQ(error_class_of_status(408), ERROR_TIMEOUT);
    CHECK_EQ(error_class_of_status(418), ERROR_BAD_REQUEST);
    CHECK_EQ(error_class_of_status(500), ERROR_UPSTREAM);
    CHECK_EQ(error_class_of_status(529), ERROR_OVERLOADED);
    CHECK_EQ(error_class_of_status(302), ERROR_UPSTREAM);
    for (enum error_class c = ERROR_BAD_REQUEST; c < ERROR_CLASSES; c++) {
        CHECK_EQ(error_class_of(&(struct api_error){.status = 401, .error_class = c}), c);
        CHECK(error_status_of(c) >= 400);
    }
    CHECK_EQ(error_class_of(&(struct api_error){.status = 401}), ERROR_AUTH);
}

/* --- usage --- */

static struct usage read_usage(const char *json)
{
    struct usage u = {.input = 999};

    (void)usage_from_openai(str_from_c(json), &u);
    return u;
}

TEST(usage_is_read_in_the_forms_of_openai_and_its_look_alikes)
{
    struct usage u =
        read_usage("{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":15,"
                   "\"prompt_tokens_details\":{\"cached_tokens\":4,\"cache_write_tokens\":2,\"audio_tokens\":1},"
                   "\"completion_tokens_details\":{\"reasoning_tokens\":3,\"audio_tokens\":6}}");
    CHECK(u.known);
    CHECK_EQ(u.input, 10);
    CHECK_EQ(u.output, 5);
    CHECK_EQ(u.cached_input, 4);
    CHECK_EQ(u.cache_write, 2);
    CHECK_EQ(u.audio_input, 1);
    CHECK_EQ(u.reasoning, 3);
    CHECK_EQ(u.audio_output, 6);
    u = read_usage("{\"input_tokens\":10,\"output_tokens\":5,\"input_tokens_details\":{\"cached_tokens\":4}}");
    CHECK_EQ(u.input + u.output + u.cached_input, 19);
    CHECK_EQ(read_usage("{\"prompt_cache_hit_tokens\":3,\"prompt_tokens\":4}").cached_input, 3);
    CHECK_EQ(read_usage("{\"num_cached_tokens\":3,\"prompt_tokens\":4}").cached_input, 3);
    CHECK_EQ(read_usage("{\"prompt_tokens\":4,\"completion_tokens\":1,\"total_tokens\":7,"
                        "\"completion_tokens_details\":{\"reasoning_tokens\":2}}")
                 .output,
             3);
}

TEST(usage_that_says_nothing_is_not_known_and_changes_nothing)
{
    struct usage u = {.input = 999};

    CHECK(!usage_from_openai(STR("{\"total_tokens\":4}"), &u));
    CHECK(!usage_from_openai(STR("null"), &u));
    CHECK_EQ(u.input, 999);
    CHECK_EQ(read_usage("{\"prompt_tokens\":-4}").input, 0);
}

TEST(usage_counts_are_whole_numbers_from_0)
{
    struct arena a CLEANUP(arena_release);
    const struct json_tree *tree;

    arena_init(&a, 1 << 20);
    CHECK_OK(json_tree_parse(&a, STR("{\"a\":7,\"b\":-1,\"c\":\"7\",\"d\":7.0}"), &tree));
    CHECK_EQ(usage_count(json_tree_root(tree), STR("a")), 7);
    CHECK_EQ(usage_count(json_tree_root(tree), STR("b")), 0);
    CHECK_EQ(usage_count(json_tree_root(tree), STR("c")), 0);
    CHECK_EQ(usage_count(json_tree_root(tree), STR("d")), 7);
    CHECK_EQ(usage_count(json_tree_root(tree), STR("e")), 0);
    CHECK_EQ(usage_less(5, 3), 2);
    CHECK_EQ(usage_less(3, 5), 0);
}
