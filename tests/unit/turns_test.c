/* turns_test.c - conversations rearranged: each rule by itself, and all of them over random conversations. */
#include "llm/turns.h"

#include "base/mem.h"
#include "base/prng.h"
#include "test.h"

enum {
    ALL =
        TURNS_SYSTEM_APART | TURNS_LATER_AS_USER | TURNS_MERGE | TURNS_RESULTS_FIRST | TURNS_USER_FIRST | TURNS_NO_EMPTY
};

struct talk {
    struct arena arena;
    struct losses losses;
    struct chat_request q;
    struct block *system;
    struct turn *turns;
};

static void talk_begin(struct talk *k)
{
    arena_init(&k->arena, 1 << 26);
    losses_init(&k->losses, &k->arena);
}

static void talk_end(struct talk *k)
{
    arena_release(&k->arena);
}

static void arrange(struct talk *k, unsigned rules)
{
    turns_arrange(&k->q, rules, &k->arena, &k->losses, &k->system, &k->turns);
}

/*
 * A conversation in short: turns apart by blanks, each its role (s, d, u, a) and blocks: ".words" is a text, "(id" a call, ")id" a result with
 * the id as its text, "#" an image. "a." is an assistant who says an empty text, "u" a user without blocks.
 */
static void say(struct talk *k, const char *text)
{
    struct str rest = str_from_c(text);

    while (rest.p) {
        struct str word = str_cut(&rest, ' ');
        char r = word.p[0];
        struct turn *t = chat_add_turn(&k->q, &k->arena,
                                       r == 's'   ? CHAT_SYSTEM
                                       : r == 'd' ? CHAT_DEVELOPER
                                       : r == 'u' ? CHAT_USER
                                                  : CHAT_ASSISTANT,
                                       JSON_ABSENT);
        for (size_t i = 1; i < word.n;) {
            size_t end = i + 1;
            while (end < word.n && !memchr(".()#", word.p[end], 4))
                end++;
            struct str rest_of = str_slice(word, i + 1, end);
            enum block_kind kind = word.p[i] == '('   ? BLOCK_TOOL_CALL
                                   : word.p[i] == ')' ? BLOCK_TOOL_RESULT
                                   : word.p[i] == '#' ? BLOCK_IMAGE
                                                      : BLOCK_TEXT;
            struct block *b = chat_add_block(&t->blocks, &k->arena, kind, JSON_ABSENT);
            if (kind == BLOCK_TEXT)
                b->text = rest_of;
            else
                b->id = rest_of;
            if (kind == BLOCK_TOOL_CALL)
                b->name = STR("tool");
            if (kind == BLOCK_TOOL_RESULT)
                chat_add_block(&b->content, &k->arena, BLOCK_TEXT, JSON_ABSENT)->text = rest_of;
            i = end;
        }
    }
}

static void print_blocks(struct buf *to, const struct block *blocks)
{
    for (const struct block *b = blocks; b; b = b->next)
        if (b->kind == BLOCK_TEXT)
            (void)buf_addf(to, ".%.*s", STR_ARG(b->text));
        else
            (void)buf_addf(to, "%c%.*s%s",
                           b->kind == BLOCK_TOOL_CALL ? '('
                           : b->kind == BLOCK_IMAGE   ? '#'
                                                      : ')',
                           STR_ARG(b->id), b->is_error ? "!" : "");
}

/* The conversation as it was arranged, in the same short form; the system text first, in braces. */
static struct str said(struct talk *k)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(1 << 20);

    if (k->system) {
        buf_add_char(&to, '{');
        print_blocks(&to, k->system);
        buf_add_lit(&to, "}");
    }
    for (const struct turn *t = k->turns; t; t = t->next) {
        if (to.n)
            buf_add_char(&to, ' ');
        buf_add_char(&to, "sdua"[t->role]);
        print_blocks(&to, t->blocks);
    }
    return arena_str(&k->arena, buf_str(&to));
}

static void check(const char *text, unsigned rules, const char *want, size_t changes)
{
    struct talk k CLEANUP(talk_end) = {0};

    talk_begin(&k);
    say(&k, text);
    arrange(&k, rules);
    test_context("%s", text);
    CHECK_STR(said(&k), want);
    CHECK_EQ(k.losses.first != NULL, changes != 0);
}

TEST(turns_without_rules_stay_as_they_are)
{
    check("s.a u.b. u a. a(1 u)1.x", 0, "s.a u.b. u a. a(1 u)1.x", 0);
}

TEST(turns_put_leading_system_text_apart)
{
    check("s.a d.b u.c s.d", TURNS_SYSTEM_APART, "{.a.b} u.c s.d", 0);
    check("u.c s.d", TURNS_SYSTEM_APART, "u.c s.d", 0);
    check("s.a.", TURNS_SYSTEM_APART | TURNS_NO_EMPTY, "{.a}", 0);
}

TEST(turns_say_later_system_text_as_the_user_and_note_it)
{
    check("s.a u.c s.d a.e", TURNS_SYSTEM_APART | TURNS_LATER_AS_USER | TURNS_MERGE, "{.a} u.c.d a.e", 1);
    check("u.c d.d", TURNS_LATER_AS_USER, "u.c u.d", 1);
}

TEST(turns_merge_neighbours_of_one_role_in_order)
{
    check("u.a u.b a.c a.d a.e u.f", TURNS_MERGE, "u.a.b a.c.d.e u.f", 0);
}

TEST(turns_drop_empty_texts_and_turns_without_blocks)
{
    check("u.a. u a. a.b u", TURNS_NO_EMPTY, "u.a a.b", 0);
    check("u.a a. u.b", TURNS_NO_EMPTY | TURNS_MERGE, "u.a.b", 0);
    check("u", 0, "u", 0);
    check("a.x u a.y", TURNS_RESULTS_FIRST, "a.x u a.y", 0);
}

TEST(turns_put_results_right_behind_their_calls)
{
    check("a(1(2 u.x)2 u)1.y", TURNS_RESULTS_FIRST | TURNS_MERGE, "a(1(2 u)1)2.x.y", 0);
    check("a(1 u.x a.y u)1", TURNS_RESULTS_FIRST | TURNS_MERGE, "a(1 u)1.x a.y", 0);
    check("a(1 u)1 a.y u)1", TURNS_RESULTS_FIRST | TURNS_MERGE, "a(1 u)1 a.y", 1);
}

TEST(turns_put_results_behind_the_last_of_merged_assistant_turns)
{
    check("a(1 a. a(2 u)2)1", TURNS_RESULTS_FIRST | TURNS_MERGE | TURNS_NO_EMPTY, "a(1(2 u)1)2", 0);
    check("a(1 a(2 u)2)1", TURNS_RESULTS_FIRST, "a(1 u)1 a(2 u)2", 0);
}

TEST(turns_give_a_call_without_a_result_one_that_says_so)
{
    check("a(1 u.x", TURNS_RESULTS_FIRST | TURNS_MERGE, "a(1 u)1!.x", 1);
    check("a(1", TURNS_RESULTS_FIRST, "a(1 u)1!", 1);
}

TEST(turns_pair_an_id_that_is_used_again_with_its_own_result)
{
    check("a(1 u)1.x a(1 u)1.y", TURNS_RESULTS_FIRST | TURNS_MERGE, "a(1 u)1.x a(1 u)1.y", 0);
    check("a(1 u.x a(1 u)1.y", TURNS_RESULTS_FIRST | TURNS_MERGE, "a(1 u)1!.x a(1 u)1.y", 1);
}

TEST(turns_make_a_result_without_its_call_a_text)
{
    check("u)1.x", TURNS_RESULTS_FIRST, "u.1.x", 1);
    check("u)1 a(1 u)1", TURNS_RESULTS_FIRST, "u.1 a(1 u)1", 1);
}

TEST(turns_keep_the_images_of_a_result_without_its_call)
{
    struct talk k CLEANUP(talk_end) = {0};

    talk_begin(&k);
    say(&k, "u)1");
    chat_add_block(&k.q.turns->blocks->content, &k.arena, BLOCK_IMAGE, JSON_ABSENT)->id = STR("i");
    arrange(&k, TURNS_RESULTS_FIRST);
    CHECK_STR(said(&k), "u.1#i");
}

TEST(turns_of_several_results_for_one_call_keep_the_last_and_note_the_others)
{
    struct talk k CLEANUP(talk_end) = {0};

    talk_begin(&k);
    say(&k, "a(1 u)1 u)1");
    k.q.turns->next->next->blocks->text = STR("second");
    arrange(&k, TURNS_RESULTS_FIRST | TURNS_MERGE);
    CHECK_STR(said(&k), "a(1 u)1");
    CHECK_STR(k.turns->next->blocks->text, "second");
    CHECK_EQ(k.losses.dropped, 1);
}

TEST(turns_begin_with_the_user)
{
    check("a.x", TURNS_USER_FIRST, "u.(conversation begins) a.x", 1);
    check("s.x", TURNS_USER_FIRST | TURNS_SYSTEM_APART, "u.x", 1);
    check("s.x a.y", TURNS_USER_FIRST | TURNS_SYSTEM_APART, "{.x} u.(conversation begins) a.y", 1);
    check("u.x a.y", TURNS_USER_FIRST, "u.x a.y", 0);
    check("u.", TURNS_USER_FIRST | TURNS_NO_EMPTY, "u.(conversation begins)", 0);
}

TEST(turns_keep_speaker_and_prefill)
{
    struct talk k CLEANUP(talk_end) = {0};

    talk_begin(&k);
    say(&k, "u.a a.b a.c");
    k.q.turns->name = STR("ann");
    k.q.turns->next->next->prefill = YES;
    arrange(&k, ALL);
    CHECK_STR(k.turns->name, "ann");
    CHECK_STR(said(&k), "u.a a.b.c");
    CHECK_EQ(k.turns->next->prefill, YES);
}

TEST(turns_leave_the_request_itself_unchanged)
{
    struct talk k CLEANUP(talk_end) = {0};

    talk_begin(&k);
    say(&k, "s.a u.b u. a(1 a(2 u)2)1");
    arrange(&k, ALL);
    k.system = NULL;
    k.turns = k.q.turns;
    CHECK_STR(said(&k), "s.a u.b u. a(1 a(2 u)2)1");
}

/* --- any conversation --- */

static void say_anything(struct talk *k, struct prng *rng)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(1 << 16);

    for (uint64_t turns = prng_below(rng, 12), i = 0; i <= turns; i++) {
        char role = "sduuuaaa"[prng_below(rng, 8)];
        (void)buf_addf(&to, "%s%c", i ? " " : "", role);
        for (uint64_t n = prng_below(rng, 4); n; n--) {
            if (role == 'a' && prng_below(rng, 2))
                (void)buf_addf(&to, "(%llu", (unsigned long long)prng_below(rng, 5));
            else if (role == 'u' && prng_below(rng, 2))
                (void)buf_addf(&to, ")%llu", (unsigned long long)prng_below(rng, 5));
            else
                (void)buf_addf(&to, ".%s", prng_below(rng, 3) ? "word" : "");
        }
    }
    say(k, arena_str(&k->arena, buf_str(&to)).p);
}

static void check_answered(const struct turn *t)
{
    const struct block *result = t->next ? t->next->blocks : NULL;

    for (const struct block *b = t->blocks; b; b = b->next)
        if (b->kind == BLOCK_TOOL_CALL) {
            CHECK(result && result->kind == BLOCK_TOOL_RESULT && str_eq(result->id, b->id));
            CHECK_STR(result->name, "tool");
            result = result->next;
        }
    for (; result; result = result->next)
        CHECK(result->kind != BLOCK_TOOL_RESULT);
}

/* What no rule may lose. */
static void count(const struct block *blocks, size_t *words, size_t *calls)
{
    for (const struct block *b = blocks; b; b = b->next) {
        *words += b->kind == BLOCK_TEXT && str_eq(b->text, STR("word"));
        *calls += b->kind == BLOCK_TOOL_CALL;
    }
}

TEST(turns_of_any_conversation_answer_each_call_alternate_and_lose_nothing)
{
    for (uint64_t round = 0; round < test_rounds(2000); round++) {
        struct talk k CLEANUP(talk_end) = {0};
        struct prng rng;
        size_t words = 0, calls = 0, words_after = 0, calls_after = 0;
        test_context("round %llu", (unsigned long long)round);
        prng_seed(&rng, test_seed() + round);
        talk_begin(&k);
        say_anything(&k, &rng);
        arrange(&k, ALL);
        count(k.system, &words_after, &calls_after);
        CHECK(k.turns != NULL);
        CHECK_EQ(k.turns->role, CHAT_USER);
        for (const struct turn *t = k.turns; t; t = t->next) {
            CHECK(t->blocks != NULL);
            CHECK(!t->next || t->next->role != t->role);
            CHECK(t->role == CHAT_USER || t->role == CHAT_ASSISTANT);
            for (const struct block *b = t->blocks; b; b = b->next)
                CHECK(b->kind != BLOCK_TEXT || b->text.n);
            if (t->role == CHAT_ASSISTANT)
                check_answered(t);
            count(t->blocks, &words_after, &calls_after);
        }
        for (const struct turn *t = k.q.turns; t; t = t->next)
            count(t->blocks, &words, &calls);
        CHECK_EQ(words_after, words);
        CHECK_EQ(calls_after, calls);
    }
}

TEST(turns_of_a_very_long_conversation_cost_a_step_each)
{
    enum { CALLS = 100000 };
    struct talk k CLEANUP(talk_end) = {0};
    struct block *last = NULL;
    size_t n = 0;

    talk_begin(&k);
    struct turn *a = chat_add_turn(&k.q, &k.arena, CHAT_ASSISTANT, JSON_ABSENT);
    for (size_t i = 0; i < CALLS; i++) { /* one after the other, as no test could wait for if each walked the list */
        last = chat_add_block(last ? &last->next : &a->blocks, &k.arena, BLOCK_TOOL_CALL, JSON_ABSENT);
        last->id = arena_printf(&k.arena, "%zu", i);
    }
    for (size_t i = 0; i < CALLS; i++) {
        struct turn *u = chat_add_turn(&k.q, &k.arena, CHAT_USER, JSON_ABSENT);
        chat_add_block(&u->blocks, &k.arena, BLOCK_TOOL_RESULT, JSON_ABSENT)->id = arena_printf(&k.arena, "%zu", i);
    }
    arrange(&k, ALL);
    for (const struct block *b = k.turns->next->next->blocks; b; b = b->next)
        n++;
    CHECK_EQ(n, CALLS);
    CHECK_EQ(k.losses.count, 1); /* begins with the assistant */
}
