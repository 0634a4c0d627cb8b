/* emulate_test.c - what is undone between reader and writer: stops, fences, forced tools, names; however the text is cut into pieces. */
#include "llm/emulate.h"

#include "base/mem.h"
#include "test.h"

enum { LONG = 150 * 1024 };

struct heard {
    struct buf words;
};

static err_t hear(void *ctx, const struct chat_event *e)
{
    struct heard *h = ctx;

    switch (e->kind) {
    case CHAT_START:
        return buf_add_lit(&h->words, "start ");
    case CHAT_BLOCK_START:
        return buf_addf(&h->words, "%u/%u%s%.*s[", e->choice, e->block, e->block_kind == BLOCK_TOOL_CALL ? "call " : "",
                        STR_ARG(e->name));
    case CHAT_TEXT:
        return e->text.n ? buf_add(&h->words, e->text) : fail(E_PROTOCOL, "an empty piece");
    case CHAT_BLOCK_STOP:
        return buf_add_lit(&h->words, "] ");
    case CHAT_FINISH:
        return buf_addf(&h->words, "%u:finish %d%s%.*s ", e->choice, e->finish, e->stop_sequence.n ? " at " : "",
                        STR_ARG(e->stop_sequence));
    case CHAT_USAGE:
        return buf_add_lit(&h->words, "usage ");
    case CHAT_END:
        return buf_add_lit(&h->words, "end");
    case CHAT_ERROR:
        return buf_add_lit(&h->words, "error");
    case CHAT_SIGNATURE:
        return buf_add_lit(&h->words, "(signed)");
    case CHAT_CITATION:
    case CHAT_LOGPROBS:
        break;
    }
    return OK;
}

struct telling {
    struct arena arena;
    struct provider_call call;
    struct heard heard;
    struct chat_sink client, sink;
    struct emulator *emulator;
};

static void telling_begin(struct telling *t)
{
    arena_init(&t->arena, 1 << 24);
    buf_init(&t->heard.words, 1 << 24);
    t->client = (struct chat_sink){hear, &t->heard};
    t->emulator = emulator_new(&t->arena, &t->call, &t->client);
    t->sink = t->emulator ? emulator_sink(t->emulator) : t->client;
}

static void telling_end(struct telling *t)
{
    arena_release(&t->arena);
    buf_release(&t->heard.words);
}

static void tell(struct telling *t, struct chat_event e)
{
    CHECK_OK(chat_tell(&t->sink, &e));
}

static void tell_text(struct telling *t, unsigned choice, unsigned block, struct str text)
{
    if (text.n)
        tell(t, (struct chat_event){.kind = CHAT_TEXT, .choice = choice, .block = block, .text = text});
}

#define BEGIN(t) tell((t), (struct chat_event){.kind = CHAT_START})
#define OPEN(t, c, b, k, ...)                                                                                          \
    tell((t),                                                                                                          \
         (struct chat_event){.kind = CHAT_BLOCK_START, .choice = (c), .block = (b), .block_kind = (k), __VA_ARGS__})
#define CLOSE(t, c, b) tell((t), (struct chat_event){.kind = CHAT_BLOCK_STOP, .choice = (c), .block = (b)})
#define FINISH(t, c, f) tell((t), (struct chat_event){.kind = CHAT_FINISH, .choice = (c), .finish = (f)})
#define USAGE(t) tell((t), (struct chat_event){.kind = CHAT_USAGE})
#define END(t) tell((t), (struct chat_event){.kind = CHAT_END})

/* A text told in three pieces, cut at every pair of places: always the same must be heard. */
static void check_every_split(const struct emulation *by, struct str text, const char *want)
{
    for (size_t a = 0; a <= text.n; a++)
        for (size_t b = a; b <= text.n && !test_failed(); b++) {
            struct telling t CLEANUP(telling_end) = {.call = {.emulate = *by}};
            test_context("cut at %zu and %zu", a, b);
            telling_begin(&t);
            BEGIN(&t);
            OPEN(&t, 0, 0, BLOCK_TEXT);
            tell_text(&t, 0, 0, str_slice(text, 0, a));
            tell_text(&t, 0, 0, str_slice(text, a, b));
            tell_text(&t, 0, 0, str_slice(text, b, text.n));
            CLOSE(&t, 0, 0);
            FINISH(&t, 0, FINISH_STOP);
            USAGE(&t);
            END(&t);
            CHECK_STR(buf_str(&t.heard.words), want);
        }
}

TEST(emulation_cuts_at_a_stop_however_the_text_comes)
{
    static const struct setting stops[] = {{.text = STR_INIT("STOP")}};
    const struct emulation by = {.stops = stops, .stop_count = 1};

    check_every_split(&by, STR("abSTSTOPcdSTOP"), "start 0/0[abST] 0:finish 1 at STOP usage end");
    check_every_split(&by, STR("abSTOSTO"), "start 0/0[abSTOSTO] 0:finish 0 usage end");
    check_every_split(&by, STR("STOP"), "start 0/0[] 0:finish 1 at STOP usage end");
}

TEST(emulation_cuts_at_the_stop_that_is_complete_first)
{
    static const struct setting stops[] = {{.text = STR_INIT("abcd")}, {.text = STR_INIT("")}, {.text = STR_INIT("c")}};
    const struct emulation by = {.stops = stops, .stop_count = ARRAY_LEN(stops)};

    check_every_split(&by, STR("xabcd"), "start 0/0[xab] 0:finish 1 at c usage end");
    const struct setting turned[] = {stops[2], stops[0]};
    check_every_split(&(struct emulation){.stops = turned, .stop_count = 2}, STR("xabcd"),
                      "start 0/0[xab] 0:finish 1 at c usage end");
    check_every_split(&by, STR("xabab"), "start 0/0[xabab] 0:finish 0 usage end");
}

TEST(emulation_takes_a_fence_off_however_the_text_comes)
{
    const struct emulation by = {.strip_fence = true};

    check_every_split(&by, STR("```json\n{\"a\":\"b      c\"}\n```\n"),
                      "start 0/0[{\"a\":\"b      c\"}] 0:finish 0 usage end");
    check_every_split(&by, STR("\n```\n{}```"), "start 0/0[{}] 0:finish 0 usage end");
    check_every_split(&by, STR(" {\"a\":\"```\"} "), "start 0/0[ {\"a\":\"```\"} ] 0:finish 0 usage end");
    check_every_split(&by, STR("```json\n{\"a\":1"), "start 0/0[{\"a\":1] 0:finish 0 usage end");
    check_every_split(&by, STR("``"), "start 0/0[``] 0:finish 0 usage end");
}

TEST(emulation_looks_for_stops_within_a_fence_too)
{
    static const struct setting stops[] = {{.text = STR_INIT("a stop of some twenty bytes")}};
    const struct emulation by = {.stops = stops, .stop_count = 1, .strip_fence = true};

    check_every_split(&by, STR("```\n[1]a stop of some twenty bytes```"),
                      "start 0/0[[1]] 0:finish 1 at a stop of some twenty bytes usage end");
}

/* As a hostile provider sends: much that may be the beginning of something, in one piece or byte by byte. */
static void check_long(struct str text, size_t step, const struct emulation *by)
{
    struct telling t CLEANUP(telling_end) = {.call = {.emulate = *by}};

    telling_begin(&t);
    BEGIN(&t);
    OPEN(&t, 0, 0, BLOCK_TEXT);
    for (size_t at = 0; at < text.n && !test_failed(); at += step)
        tell_text(&t, 0, 0, str_slice(text, at, at + step));
    CLOSE(&t, 0, 0);
    CHECK_EQ(t.heard.words.n, strlen("start 0/0[] ") + text.n);
}

TEST(emulation_holds_no_more_than_its_limit_whatever_comes)
{
    char *blanks = mem_alloc(LONG), *same = mem_alloc(LONG);
    memset(blanks, ' ', LONG);
    memset(same, 'a', LONG);
    const struct setting long_stop = {.text = {same, LONG - 1}}, half = {.text = {same, 30000}};

    check_long(str_of(blanks, LONG), LONG, &(struct emulation){.strip_fence = true});
    check_long(str_of(blanks, LONG), 7, &(struct emulation){.strip_fence = true});
    check_long(str_of(same, LONG - 2), LONG, &(struct emulation){.stops = &long_stop, .stop_count = 1});
    same[LONG - 1] = 'b';
    check_long(str_of(same, 29999), 10000, &(struct emulation){.stops = &half, .stop_count = 1});
    mem_free(blanks);
    mem_free(same);
}

TEST(emulation_hands_out_a_forced_tool_as_text_and_a_plain_stop)
{
    struct telling t CLEANUP(telling_end) = {.call = {.emulate = {.schema_tool = STR("answer")}}};

    telling_begin(&t);
    BEGIN(&t);
    OPEN(&t, 0, 0, BLOCK_TOOL_CALL, .id = STR("c1"), .name = STR("answer"));
    tell_text(&t, 0, 0, STR("{\"a\":"));
    tell_text(&t, 0, 0, STR("1}"));
    tell(&t, (struct chat_event){.kind = CHAT_SIGNATURE, .text = STR("s")});
    CLOSE(&t, 0, 0);
    FINISH(&t, 0, FINISH_TOOL_CALLS);
    END(&t);
    CHECK_STR(buf_str(&t.heard.words), "start 0/0[{\"a\":1}] 0:finish 0 end");
}

TEST(emulation_leaves_other_calls_beside_a_forced_tool_alone)
{
    struct telling t CLEANUP(telling_end) = {.call = {.emulate = {.schema_tool = STR("answer")}}};

    telling_begin(&t);
    BEGIN(&t);
    OPEN(&t, 0, 0, BLOCK_TOOL_CALL, .id = STR("c1"), .name = STR("other"));
    tell_text(&t, 0, 0, STR("{}"));
    tell(&t, (struct chat_event){.kind = CHAT_SIGNATURE, .text = STR("s")});
    CLOSE(&t, 0, 0);
    FINISH(&t, 0, FINISH_TOOL_CALLS);
    END(&t);
    CHECK_STR(buf_str(&t.heard.words), "start 0/0call other[{}(signed)] 0:finish 3 end");
}

TEST(emulation_gives_tools_their_names_back)
{
    struct telling t CLEANUP(telling_end) = {0};

    arena_init(&t.arena, 1 << 20);
    t.call.names = name_map_new(&t.arena, 64, STR_NONE);
    CHECK_STR(name_map_out(t.call.names, STR("a.b")), "a_b");
    t.client = (struct chat_sink){hear, &t.heard};
    buf_init(&t.heard.words, 1 << 20);
    t.emulator = emulator_new(&t.arena, &t.call, &t.client);
    CHECK(t.emulator != NULL);
    t.sink = emulator_sink(t.emulator);
    OPEN(&t, 0, 0, BLOCK_TOOL_CALL, .name = STR("a_b"));
    CHECK_STR(buf_str(&t.heard.words), "0/0call a.b[");
}

TEST(emulation_of_nothing_is_no_emulator)
{
    struct telling t CLEANUP(telling_end) = {0};

    telling_begin(&t);
    CHECK(!t.emulator);
}

static void tell_two_choices(struct telling *t)
{
    BEGIN(t);
    OPEN(t, 0, 0, BLOCK_TEXT);
    tell_text(t, 0, 0, STR("a!b"));
    CLOSE(t, 0, 0);
    FINISH(t, 0, FINISH_STOP);
    OPEN(t, 1, 0, BLOCK_TEXT);
    tell_text(t, 1, 0, STR("c!d"));
    CLOSE(t, 1, 0);
    FINISH(t, 1, FINISH_STOP);
    USAGE(t);
    END(t);
}

TEST(emulation_of_several_choices_hears_each_to_its_own_stop)
{
    static const struct setting stop = {.text = STR_INIT("!")};
    struct telling t CLEANUP(telling_end) = {.call = {.emulate = {.stops = &stop, .stop_count = 1, .choices = 2}}};

    telling_begin(&t);
    tell_two_choices(&t);
    CHECK_STR(buf_str(&t.heard.words), "start 0/0[a] 0:finish 1 at ! 1/0[c] 1:finish 1 at ! usage end");
    CHECK(!emulator_is_done(t.emulator));
}

TEST(emulation_ends_a_stream_when_its_last_choice_is_cut_and_not_before)
{
    static const struct setting stop = {.text = STR_INIT("!")};
    struct telling t CLEANUP(telling_end) = {
        .call = {.stream = true, .emulate = {.stops = &stop, .stop_count = 1, .choices = 2}}};

    telling_begin(&t);
    tell_two_choices(&t);
    CHECK_STR(buf_str(&t.heard.words), "start 0/0[a] 0:finish 1 at ! 1/0[c] 1:finish 1 at ! end");
    CHECK(emulator_is_done(t.emulator));
}

TEST(emulation_leaves_thoughts_and_arguments_uncut)
{
    static const struct setting stop = {.text = STR_INIT("!")};
    struct telling t CLEANUP(telling_end) = {.call = {.emulate = {.stops = &stop, .stop_count = 1}}};

    telling_begin(&t);
    BEGIN(&t);
    OPEN(&t, 0, 0, BLOCK_THINKING);
    tell_text(&t, 0, 0, STR("hm!"));
    CLOSE(&t, 0, 0);
    OPEN(&t, 0, 1, BLOCK_TOOL_CALL, .name = STR("f"));
    tell_text(&t, 0, 1, STR("\"!\""));
    CLOSE(&t, 0, 1);
    FINISH(&t, 0, FINISH_TOOL_CALLS);
    CHECK_STR(buf_str(&t.heard.words), "start 0/0[hm!] 0/1call f[\"!\"] 0:finish 3 ");
}

TEST(emulation_cut_in_a_text_silences_the_calls_behind_it)
{
    static const struct setting stop = {.text = STR_INIT("!")};
    struct telling t CLEANUP(telling_end) = {.call = {.emulate = {.stops = &stop, .stop_count = 1}}};

    telling_begin(&t);
    BEGIN(&t);
    OPEN(&t, 0, 0, BLOCK_TEXT);
    tell_text(&t, 0, 0, STR("a!"));
    CLOSE(&t, 0, 0);
    OPEN(&t, 0, 1, BLOCK_TOOL_CALL, .name = STR("f"));
    CLOSE(&t, 0, 1);
    FINISH(&t, 0, FINISH_TOOL_CALLS);
    END(&t);
    CHECK_STR(buf_str(&t.heard.words), "start 0/0[a] 0:finish 1 at ! end");
}

TEST(emulation_passes_an_error_on)
{
    static const struct setting stop = {.text = STR_INIT("!")};
    struct telling t CLEANUP(telling_end) = {.call = {.emulate = {.stops = &stop, .stop_count = 1}}};

    telling_begin(&t);
    BEGIN(&t);
    tell(&t, (struct chat_event){.kind = CHAT_ERROR});
    CHECK_STR(buf_str(&t.heard.words), "start error");
}
