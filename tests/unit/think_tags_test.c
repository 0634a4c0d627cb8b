/* think_tags_test.c - thoughts between tags at the beginning of a text, however the text is cut into pieces. */
#include "llm/think_tags.h"

#include "unit/dialect_world.h"

/* What listeners hear of a text that comes as these two pieces, between a start and an end; with a call behind it. */
static struct str heard(struct arena *arena, bool begun, struct str text, size_t cut, bool calls)
{
    struct event_log log CLEANUP(log_release) = {.text = BUF_INIT(1 << 24), .join = true};
    struct chat_sink to = {log_hear, &log};
    struct chat_sink sink = think_splitter_sink(think_splitter_new(arena, begun, &to));
    struct chat_event e[] = {
        {.kind = CHAT_START},
        {.kind = CHAT_BLOCK_START, .block_kind = BLOCK_TEXT},
        {.kind = CHAT_TEXT, .text = str_slice(text, 0, cut)},
        {.kind = CHAT_TEXT, .text = str_slice(text, cut, text.n)},
        {.kind = CHAT_BLOCK_STOP},
        {.kind = CHAT_BLOCK_START, .block = 1, .block_kind = BLOCK_TOOL_CALL, .id = STR("i"), .name = STR("f")},
        {.kind = CHAT_TEXT, .block = 1, .text = STR("{}")},
        {.kind = CHAT_BLOCK_STOP, .block = 1},
        {.kind = CHAT_FINISH},
        {.kind = CHAT_END},
    };

    for (size_t i = 0; i < ARRAY_LEN(e); i++) {
        bool skipped = (e[i].kind == CHAT_TEXT && !e[i].text.n) || (!calls && i >= 5 && i <= 7);
        if (!skipped && chat_tell(&sink, &e[i]) != OK)
            return STR("failed");
    }
    return arena_str(arena, buf_str(&log.text));
}

/* The same wherever it is cut. */
static struct str heard_at_every_cut(struct arena *arena, bool begun, const char *text, bool calls)
{
    struct str all = str_from_c(text), want = heard(arena, begun, all, 0, calls);

    for (size_t cut = 1; cut < all.n; cut++) {
        struct str got = heard(arena, begun, all, cut, calls);
        if (!str_eq(want, got))
            return arena_printf(arena, "cut at %zu: %.*s\ninstead of %.*s", cut, STR_ARG(got), STR_ARG(want));
    }
    return want;
}

#define THOUGHT(t) "open 0.0 thinking\ntext 0.0 " t "\nclose 0.0\n"
#define TEXT(n, t) "open 0." n " text\ntext 0." n " " t "\nclose 0." n "\n"
#define END "finish 0 stop \nend\n"

TEST(think_tags_at_the_beginning_of_a_text_hold_a_thought)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"<think>Look</think>Hi", THOUGHT("Look") TEXT("1", "Hi")},
        {"<think>\nLook\n</think>\n\nHi\n", THOUGHT("Look") TEXT("1", "Hi\n")},
        {"\n <think>a < b, </thin, </thi</think> Hi", THOUGHT("a < b, </thin, </thi") TEXT("1", "Hi")},
        {"<think>a\n\n b</think>x</think> <think>y", THOUGHT("a\n\n b") TEXT("1", "x</think> <think>y")},
        {"<think>\n\n</think>\n\nHi", TEXT("0", "Hi")},
        {"<think>Look", THOUGHT("Look")},
        {"<think>Look</thin", THOUGHT("Look</thin")},
        {"<think>Look</think>", THOUGHT("Look")},
        {"<think>Look</think>\n", THOUGHT("Look")},
        {"<think></think>", ""},
        {"Hi <think>Look</think>", TEXT("0", "Hi <think>Look</think>")},
        {"<thinking>Look</thinking>", TEXT("0", "<thinking>Look</thinking>")},
        {"<thin", TEXT("0", "<thin")},
        {"  Hi ", TEXT("0", "  Hi ")},
        {"", "open 0.0 text\nclose 0.0\n"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena CLEANUP(arena_release);
        arena_init(&arena, 1 << 26);
        test_context("%s", cases[i].text);
        CHECK_STR(heard_at_every_cut(&arena, false, cases[i].text, false),
                  arena_printf(&arena, "start  \n%s" END, cases[i].want).p);
    }
}

TEST(think_tags_that_the_template_began_need_only_be_closed)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"Look\n</think>\n\nHi", THOUGHT("Look") TEXT("1", "Hi")},
        {"<think>Look</think>Hi", THOUGHT("Look") TEXT("1", "Hi")},
        {"Look", THOUGHT("Look")},
        {"<thi", THOUGHT("<thi")},
        {"</think>Hi", TEXT("0", "Hi")},
        {"", "open 0.0 text\nclose 0.0\n"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena CLEANUP(arena_release);
        arena_init(&arena, 1 << 26);
        test_context("%s", cases[i].text);
        CHECK_STR(heard_at_every_cut(&arena, true, cases[i].text, false),
                  arena_printf(&arena, "start  \n%s" END, cases[i].want).p);
    }
}

TEST(think_tags_leave_the_blocks_behind_them_dense)
{
    static const struct {
        const char *text, *number;
    } cases[] = {{"<think>Look</think>Hi", "2"}, {"<think>Look</think>", "1"}, {"<think></think>", "0"}, {"Hi", "1"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena CLEANUP(arena_release);
        arena_init(&arena, 1 << 26);
        struct str got = heard_at_every_cut(&arena, false, cases[i].text, true), n = str_from_c(cases[i].number);
        test_context("%s", cases[i].text);
        CHECK(str_ends(got,
                       arena_printf(&arena, "open 0.%.*s call i f\ntext 0.%.*s {}\nclose 0.%.*s\nfinish 0 stop \nend\n",
                                    STR_ARG(n), STR_ARG(n), STR_ARG(n))));
        CHECK_LACKS(got, "WRONG");
    }
}

static struct str heard_events(struct arena *arena, const struct chat_event *e, size_t n)
{
    struct event_log log CLEANUP(log_release) = {.text = BUF_INIT(1 << 24)};
    struct chat_sink to = {log_hear, &log};
    struct chat_sink sink = think_splitter_sink(think_splitter_new(arena, false, &to));

    for (size_t i = 0; i < n; i++)
        if (chat_tell(&sink, &e[i]) != OK)
            return STR("failed");
    return arena_str(arena, buf_str(&log.text));
}

TEST(think_tags_behind_a_thought_are_the_answers_own)
{
    static const struct chat_event e[] = {
        {.kind = CHAT_START},
        {.kind = CHAT_BLOCK_START, .block_kind = BLOCK_THINKING},
        {.kind = CHAT_TEXT, .text = STR_INIT("a")},
        {.kind = CHAT_BLOCK_STOP},
        {.kind = CHAT_BLOCK_START, .block = 1, .block_kind = BLOCK_TEXT},
        {.kind = CHAT_TEXT, .block = 1, .text = STR_INIT("<think>b</think>")},
        {.kind = CHAT_BLOCK_STOP, .block = 1},
    };
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, 1 << 26);
    CHECK_STR(heard_events(&arena, e, ARRAY_LEN(e)), "start  \n" THOUGHT("a") TEXT("1", "<think>b</think>"));
}

/* A call that begins before the text has ended, in each stage of it. */
TEST(think_tags_and_a_call_that_overlaps_keep_their_numbers)
{
    static const char *const before[] = {" <th", "<think>", "<think>a", "<think>a</think>", "<think>a</think>b"};
    static const char *const last[] = {"0", "0", "0", "1", "1"};

    for (size_t i = 0; i < ARRAY_LEN(before); i++) {
        struct arena arena CLEANUP(arena_release);
        arena_init(&arena, 1 << 26);
        const struct chat_event e[] = {
            {.kind = CHAT_START},
            {.kind = CHAT_BLOCK_START, .block_kind = BLOCK_TEXT},
            {.kind = CHAT_TEXT, .text = str_from_c(before[i])},
            {.kind = CHAT_BLOCK_START, .block = 1, .block_kind = BLOCK_TOOL_CALL, .id = STR("i"), .name = STR("f")},
            {.kind = CHAT_TEXT, .text = STR("more")},
            {.kind = CHAT_BLOCK_STOP},
            {.kind = CHAT_BLOCK_STOP, .block = 1},
            {.kind = CHAT_FINISH},
            {.kind = CHAT_END},
        };
        struct str got = heard_events(&arena, e, ARRAY_LEN(e));
        test_context("%s", before[i]);
        CHECK_LACKS(got, "WRONG");
        CHECK(str_find(got, arena_printf(&arena, "text 0.%s more\nclose 0.%s\n", last[i], last[i])) < got.n);
    }
}

TEST(think_tags_hold_thoughts_of_any_length)
{
    enum { LONG = 100 * 1024 };
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, 1 << 26);
    char *words = arena_alloc(&arena, LONG);
    memset(words, 'x', LONG);
    memset(words + LONG / 2, '\n', 300);
    struct str thought = str_of(words, LONG);
    struct str text = arena_printf(&arena, "<think>%.*s</think>%.*s", STR_ARG(thought), STR_ARG(thought));
    struct str want =
        arena_printf(&arena, "start  \n" THOUGHT("%.*s") TEXT("1", "%.*s") END, STR_ARG(thought), STR_ARG(thought));
    CHECK(str_eq(heard(&arena, false, text, 0, false), want));
    CHECK(str_eq(heard(&arena, false, text, LONG / 2 + 10, false), want));
}

TEST(think_tags_wait_behind_so_many_blanks_only)
{
    enum { FEW = 64, MANY = 50 * 1024 };
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, 1 << 26);
    char *blanks = arena_alloc(&arena, MANY);
    memset(blanks, '\n', MANY);
    struct str few = arena_printf(&arena, "%.*s<think>a</think>b", FEW, blanks);
    CHECK_STR(heard_at_every_cut(&arena, false, few.p, false), "start  \n" THOUGHT("a") TEXT("1", "b") END);
    struct str more = arena_printf(&arena, "%.*s<think>a</think>b", FEW + 1, blanks);
    CHECK_STR(heard_at_every_cut(&arena, false, more.p, false),
              arena_printf(&arena, "start  \n" TEXT("0", "%.*s") END, STR_ARG(more)).p);
    struct str within = arena_printf(&arena, "<think>a%.*sb</think>c", MANY, blanks);
    CHECK_STR(heard(&arena, false, within, MANY / 2, false),
              arena_printf(&arena, "start  \n" THOUGHT("a%.*sb") TEXT("1", "c") END, MANY, blanks).p);
}

TEST(think_tags_drop_the_probabilities_of_thoughts_only)
{
    static const struct citation none = {.start = -1};
    static const struct chat_event e[] = {
        {.kind = CHAT_START},
        {.kind = CHAT_BLOCK_START, .block_kind = BLOCK_TEXT},
        {.kind = CHAT_TEXT, .text = STR_INIT("<think>a")},
        {.kind = CHAT_LOGPROBS, .text = STR_INIT("[1]")},
        {.kind = CHAT_TEXT, .text = STR_INIT("</think>")},
        {.kind = CHAT_CITATION, .citation = &none}, /* of nothing that is told */
        {.kind = CHAT_TEXT, .text = STR_INIT("b")},
        {.kind = CHAT_LOGPROBS, .text = STR_INIT("[2]")},
        {.kind = CHAT_BLOCK_STOP},
    };
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, 1 << 26);
    CHECK_STR(heard_events(&arena, e, ARRAY_LEN(e)),
              "start  \n" THOUGHT("a") "open 0.1 text\ntext 0.1 b\nlogprobs 0.1 [2]\nclose 0.1\n");
}

TEST(think_tags_are_split_where_the_provider_is_said_to_write_them)
{
    static const char answer[] =
        "{\"id\":\"c\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
        "\"<think>Look</think>Hi\"},\"finish_reason\":\"stop\"}]}";
    static const struct {
        const char *client, *vendor;
        enum think_tags tags;
        bool split, reported;
    } cases[] = {
        {"openai", "vllm", THINK_TAGS_AUTO, false, false},
        {"openai", "vllm", THINK_TAGS_SPLIT, true, true},
        {"openai", "vllm", THINK_TAGS_BEGUN, true, true},
        {"openai", "vllm", THINK_TAGS_KEEP, false, false},
        {"openai", "perplexity", THINK_TAGS_AUTO, true, false},
        {"openai", "perplexity", THINK_TAGS_KEEP, false, false},
        {"completions", "vllm", THINK_TAGS_SPLIT, false, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_world w CLEANUP(world_release);
        bool prompts = strcmp(cases[i].client, "completions") == 0;
        world_init(&w, cases[i].client, cases[i].vendor);
        w.t.think_tags = cases[i].tags;
        CHECK_HOLDS(
            world_translate(&w, prompts ? "{\"model\":\"m\",\"prompt\":\"Hi\"}"
                                        : "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}"),
            "Hi");
        emulate_think_tags(&w.call, &w.t, &w.q);
        struct str got = world_answer(&w, "openai", answer);
        test_context("case %zu", i);
        CHECK_EQ(str_find(got, STR("<think>")) == got.n, cases[i].split);
        CHECK_EQ(str_find(got, STR("\"reasoning_content\":\"Look\"")) < got.n, cases[i].split);
        CHECK_STR(losses_list(&w.losses, LOSS_CHANGED, 99), cases[i].reported ? "/" : "");
    }
}
