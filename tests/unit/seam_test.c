/* Where a broken answer and its continuation are joined. */
#include "base/buf.h"
#include "base/prng.h"
#include "llm/seam.h"
#include "unit/test.h"

#include <string.h>

/* What gets through of `comes`, cut into pieces; "!" if the seam is not proven. */
static struct str joined(struct arena *arena, struct str told, bool asked, struct str comes, size_t piece)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct seam *s = seam_new(arena, told, asked);
    struct str fresh;
    enum seam_verdict v = SEAM_HOLD;

    for (size_t at = 0; at < comes.n; at += piece) {
        v = seam_feed(s, str_slice(comes, at, at + piece < comes.n ? at + piece : comes.n), &fresh);
        if (v == SEAM_UNPROVEN)
            return STR("!");
        if (v == SEAM_PASS)
            buf_add(&to, fresh);
    }
    if (seam_end(s, &fresh) == SEAM_UNPROVEN)
        return STR("!");
    buf_add(&to, fresh);
    return arena_str(arena, buf_str(&to));
}

struct seam_world {
    struct arena arena;
};

static void seam_world_release(struct seam_world *w)
{
    arena_release(&w->arena);
}

#define JOINED(told, asked, comes) joined(&w.arena, STR(told), asked, STR(comes), 3)

TEST(a_model_that_continues_is_taken_as_it_is)
{
    struct seam_world w CLEANUP(seam_world_release);
    arena_init(&w.arena, 1 << 24);
    CHECK_STR(JOINED("The quick brown", false, " fox jumps."), " fox jumps.");
    CHECK_STR(JOINED("The quick brown", false, "The end"), "The end");
    CHECK_STR(JOINED("x", false, ""), "");
}

TEST(blanks_that_the_model_was_not_shown_are_not_said_twice)
{
    struct seam_world w CLEANUP(seam_world_release);
    arena_init(&w.arena, 1 << 24);
    CHECK_STR(JOINED("One.\n\n", false, "\n\nTwo."), "Two.");
    CHECK_STR(JOINED("One.\n\n", false, "Two."), "Two.");
    CHECK_STR(JOINED("One. ", false, "  Two."), " Two.");
    CHECK_STR(JOINED(" \n", false, " \n Hello"), " Hello");
}

TEST(patterns_are_never_taken_for_repetitions)
{
    struct seam_world w CLEANUP(seam_world_release);
    arena_init(&w.arena, 1 << 24);
    CHECK_STR(JOINED("ha ha ha ha ha ha ha ha ", false, "ha ha ha, he said"), "ha ha ha, he said");
    CHECK_STR(JOINED("0, 0, 0, 0, 0, 0, 0, 0, 0, 0,", false, " 0, 0, 0, 0, 0, 0, 1"), " 0, 0, 0, 0, 0, 0, 1");
    CHECK_STR(JOINED("I said no. I said no", false, " and no"), " and no");
    CHECK_STR(JOINED("ring a bell, ring a bell", false, ", ring a bell, ring"), ", ring a bell, ring");
    /* what is repeated twice in the text may be continued a third time */
    CHECK_STR(
        JOINED("Row, row, row your boat. Merrily. Row, row, row your boat.", false, "Row, row, row your boat. Gently"),
        "Row, row, row your boat. Gently");
}

TEST(what_is_repeated_unasked_is_left_out_if_it_is_long_and_unique)
{
    struct seam_world w CLEANUP(seam_world_release);
    arena_init(&w.arena, 1 << 24);
    CHECK_STR(JOINED("See how the quick brown fox", false, "the quick brown fox jumps"), " jumps");
    CHECK_STR(JOINED("See how the quick brown fox", false, "See how the quick brown fox jumps"), " jumps");
    /* fifteen bytes are too few */
    CHECK_STR(JOINED("See how abcdefghijklmno", false, "abcdefghijklmno jumps"), "abcdefghijklmno jumps");
    CHECK_STR(JOINED("See how abcdefghijklmnop", false, "abcdefghijklmnop jumps"), " jumps");
    /* and what only begins like a repetition is none */
    CHECK_STR(JOINED("See how the quick brown fox", false, "the quick brown fax"), "the quick brown fax");
}

#define LONG "It is a truth universally acknowledged, that a single man in possession of a good fortune"

TEST(a_model_that_was_asked_to_repeat_must_do_so)
{
    struct seam_world w CLEANUP(seam_world_release);
    arena_init(&w.arena, 1 << 24);
    struct str words = str_slice(STR(LONG), seam_words(STR(LONG)), sizeof(LONG) - 1);
    CHECK(words.n >= SEAM_WORDS_MIN && words.n < sizeof(LONG) - 1);
    CHECK_STR(words, "single man in possession of a good fortune");
    struct str good = arena_join(&w.arena, words, STR(", must be"));
    CHECK_STR(joined(&w.arena, STR(LONG), true, good, 1), ", must be");
    CHECK_STR(JOINED(LONG, true, LONG ", must be"), ", must be");
    CHECK_STR(JOINED(LONG, true, "\n\n" LONG ", must be"), ", must be");
    CHECK_STR(JOINED(LONG, true, "in possession of a good fortune, must be"), ", must be"); /* less, but clearly */
    CHECK_STR(JOINED(LONG, true, ", must be"), "!");
    CHECK_STR(JOINED(LONG, true, "fortune, must be"), "!");
    CHECK_STR(JOINED(LONG, true, "Sure! Here is the rest: must be"), "!");
    CHECK_STR(JOINED(LONG, true, "single man in possess"), "!");
    CHECK_STR(JOINED(LONG, true, ""), "!");
    CHECK_STR(joined(&w.arena, STR(LONG), true, words, 4), "");
}

TEST(of_a_pattern_the_words_that_were_asked_for_are_left_out_and_no_more)
{
    struct seam_world w CLEANUP(seam_world_release);
    struct buf told CLEANUP(buf_release) = BUF_INIT(1 << 16);

    arena_init(&w.arena, 1 << 24);
    for (unsigned i = 0; i < 300; i++)
        buf_add_lit(&told, "ha ");
    struct str core = seam_core(buf_str(&told)), words = str_slice(core, seam_words(core), core.n);
    struct str comes = arena_join(&w.arena, words, STR(" ha ha ha end"));
    CHECK_STR(joined(&w.arena, buf_str(&told), true, comes, 5), "ha ha ha end");
}

TEST(the_words_are_short_whole_and_occur_once)
{
    CHECK(seam_words(STR("Short.")) == 0);
    /* the last forty bytes begin within a word, and from the next one on they occurred before */
    struct str text = STR("A much longer beginning of it all: one two three four five six seven eight nine ten. "
                          "Another: one two three four five six seven eight nine ten.");
    struct str words = str_slice(text, seam_words(text), text.n);
    CHECK_STR(words, "Another: one two three four five six seven eight nine ten.");
}

TEST(of_text_without_words_the_beginning_of_a_character_is_found)
{
    struct seam_world w CLEANUP(seam_world_release);
    struct buf told CLEANUP(buf_release) = BUF_INIT(1 << 16);

    arena_init(&w.arena, 1 << 24);
    for (unsigned i = 0; i < 500; i++)
        buf_add_lit(&told, "\xe6\xb5\xb7");
    size_t at = seam_words(buf_str(&told));
    CHECK(told.n - at <= SEAM_WORDS_MAX && told.n - at > SEAM_WORDS_MAX - 3);
    CHECK(((unsigned char)told.p[at] & 0xc0) != 0x80);
}

/* --- random texts, breaks and repetitions --- */

static struct str random_text(struct arena *arena, struct prng *prng, unsigned words)
{
    static const char *const lexicon[] = {"tide", "the",      "harbour",           "ha", "rises",
                                          "\n\n", "mooring,", "\xc3\xa9t\xc3\xa9", "0",  "a"};
    struct buf to CLEANUP(buf_release) = BUF_INIT(1 << 16);

    for (unsigned i = 0; i < words; i++) {
        buf_add(&to, str_from_c(lexicon[prng_below(prng, ARRAY_LEN(lexicon))]));
        buf_add_char(&to, ' ');
    }
    return arena_str(arena, buf_str(&to));
}

TEST(a_text_is_whole_wherever_it_breaks_and_however_much_is_repeated_when_asked)
{
    for (uint64_t k = 0; k < test_rounds(3000); k++) {
        struct seam_world w CLEANUP(seam_world_release);
        struct prng prng;
        prng_seed(&prng, test_seed() + k);
        arena_init(&w.arena, 1 << 24);
        struct str text = random_text(&w.arena, &prng, 1 + (unsigned)prng_below(&prng, 120));
        struct str told = str_slice(text, 0, prng_below(&prng, text.n + 1));
        struct str core = seam_core(told);
        size_t from = prng_below(&prng, 3) ? seam_words(core) : 0;
        struct str comes =
            arena_join(&w.arena, prng_below(&prng, 2) ? STR("\n") : STR_NONE, str_slice(text, from, text.n));
        if (!core.n) /* nothing to be repeated: no blank in front of it either */
            comes = text;
        struct str got = joined(&w.arena, told, core.n > 0, comes, 1 + prng_below(&prng, 9));
        CHECK_MSG(str_eq(got, str_slice(text, told.n, text.n)), "round %llu: of '%.*s' told '%.*s', got '%.*s'",
                  (unsigned long long)k, STR_ARG(text), STR_ARG(told), STR_ARG(got));
    }
}

TEST(a_text_that_is_continued_without_repetition_loses_nothing_unless_it_repeats_itself)
{
    for (uint64_t k = 0; k < test_rounds(3000); k++) {
        struct seam_world w CLEANUP(seam_world_release);
        struct prng prng;
        prng_seed(&prng, test_seed() + k);
        arena_init(&w.arena, 1 << 24);
        struct str text = random_text(&w.arena, &prng, 1 + (unsigned)prng_below(&prng, 120));
        struct str told = str_slice(text, 0, prng_below(&prng, text.n + 1));
        struct str core = seam_core(told), rest = str_slice(text, told.n, text.n);
        struct str got = joined(&w.arena, told, false, str_slice(text, core.n, text.n), 1 + prng_below(&prng, 9));
        /* the longest end of what was told that what comes begins with */
        size_t overlap = 0;
        for (size_t n = SEAM_REPEAT_MIN; n <= core.n && n <= text.n - core.n; n++)
            if (memcmp(core.p + core.n - n, text.p + core.n, n) == 0)
                overlap = n;
        CHECK_MSG(overlap || str_eq(got, rest), "round %llu: of '%.*s' told '%.*s', got '%.*s'", (unsigned long long)k,
                  STR_ARG(text), STR_ARG(told), STR_ARG(got));
    }
}
