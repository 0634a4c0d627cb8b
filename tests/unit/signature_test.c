/* signature_test.c - proofs of origin, carried through another family's fields. */
#include "llm/signature.h"

#include "test.h"

TEST(signatures_of_the_field_s_own_family_are_not_touched)
{
    struct arena a CLEANUP(arena_release);
    enum signer signer;

    arena_init(&a, 1 << 20);
    CHECK_STR(signature_wrap(SIGNER_ANTHROPIC, SIGNER_ANTHROPIC, STR("EqQB"), &a), "EqQB");
    CHECK_STR(signature_unwrap(STR("EqQB"), SIGNER_ANTHROPIC, &signer), "EqQB");
    CHECK_EQ(signer, SIGNER_ANTHROPIC);
}

TEST(signatures_of_every_family_come_back_from_every_field)
{
    struct arena a CLEANUP(arena_release);
    enum signer signer;

    arena_init(&a, 1 << 20);
    for (enum signer of = SIGNER_NONE; of <= SIGNER_OTHER; of++)
        for (enum signer field = SIGNER_NONE; field <= SIGNER_OTHER; field++) {
            struct str carried = signature_wrap(of, field, STR("a+b/c=="), &a);
            test_context("%d in a field of %d", of, field);
            CHECK_EQ(str_starts(carried, STR("crossdock.")), of != field);
            CHECK_STR(signature_unwrap(carried, field, &signer), "a+b/c==");
            CHECK_EQ(signer, of);
        }
}

TEST(signatures_that_are_empty_stay_empty)
{
    struct arena a CLEANUP(arena_release);

    arena_init(&a, 1 << 20);
    CHECK_EQ(signature_wrap(SIGNER_GOOGLE, SIGNER_OPENAI, STR(""), &a).n, 0);
}

TEST(signatures_wrapped_for_a_maker_that_we_do_not_know_belong_to_no_family)
{
    enum signer signer;

    CHECK_STR(signature_unwrap(STR("crossdock.newcomer.abc"), SIGNER_OPENAI, &signer), "newcomer.abc");
    CHECK_EQ(signer, SIGNER_OTHER);
    CHECK_STR(signature_unwrap(STR("crossdock.openaix"), SIGNER_GOOGLE, &signer), "openaix");
    CHECK_EQ(signer, SIGNER_OTHER);
    CHECK_STR(signature_unwrap(STR("crossdock.google"), SIGNER_OPENAI, &signer), "google");
    CHECK_EQ(signer, SIGNER_OTHER);
}

TEST(signatures_foreign_ones_are_seen_where_a_string_begins)
{
    CHECK(signatures_are_foreign(STR("{\"signature\":\"crossdock.google.c2ln\"}"), SIGNER_ANTHROPIC));
    CHECK(signatures_are_foreign(STR("{\"data\" : \"crossdock.openai.c2ln\"}"), SIGNER_ANTHROPIC));
    CHECK(signatures_are_foreign(STR("{\"encrypted_content\":\"crossdock.anthropic.EqQB\"}"), SIGNER_OPENAI));
    CHECK(signatures_are_foreign(STR("{\"encrypted_content\":\"crossdock.other.EqQB\"}"), SIGNER_OTHER));
    CHECK(signatures_are_foreign(STR("[\"crossdock.yaml\",\"crossdock.none.x\"]"), SIGNER_NONE));
}

TEST(signatures_of_ones_own_and_words_about_crossdock_are_not_foreign)
{
    CHECK(!signatures_are_foreign(STR("{\"signature\":\"EqQB\"}"), SIGNER_ANTHROPIC));
    CHECK(!signatures_are_foreign(STR("{\"text\":\"crossdock.yaml\"}"), SIGNER_ANTHROPIC));
    CHECK(!signatures_are_foreign(STR("{\"text\":\"see crossdock.google.com\"}"), SIGNER_ANTHROPIC));
    CHECK(!signatures_are_foreign(STR("{\"text\":\"\\\"crossdock.\""), SIGNER_OPENAI));
    CHECK(!signatures_are_foreign(STR("\"crossdock."), SIGNER_OPENAI));
    CHECK(!signatures_are_foreign(STR(""), SIGNER_ANTHROPIC));
}

TEST(signatures_in_googles_documents_are_base64_as_the_mark_is)
{
    CHECK(signatures_are_foreign(STR("{\"thoughtSignature\":\"Y3Jvc3Nkb2NrLmFudGhyb3BpYy5FcVFC\"}"), SIGNER_GOOGLE));
    CHECK(!signatures_are_foreign(STR("{\"thoughtSignature\":\"c2lnbmF0dXJl\"}"), SIGNER_GOOGLE));
    CHECK(!signatures_are_foreign(STR("{\"text\":\"crossdock.anthropic.EqQB\"}"), SIGNER_GOOGLE));
}

/* A turn, a letter a block: T text, c call, or the signature of a call. The calls afterwards, with what signed them, and thoughts that are left. */
static struct str adopted(struct arena *arena, const char *turn, bool is_behind)
{
    struct block *first = NULL, **last = &first;
    struct str got = STR_NONE;

    for (; *turn; turn++, last = &(*last)->next) {
        *last = arena_new(arena, struct block);
        (*last)->kind = *turn == 'T' ? BLOCK_TEXT : *turn == 'c' ? BLOCK_TOOL_CALL : BLOCK_THINKING;
        if ((*last)->kind == BLOCK_THINKING) {
            (*last)->signature = arena_str(arena, (struct str){turn, 1});
            (*last)->signer = SIGNER_GOOGLE;
        }
    }
    signatures_adopt(&first, is_behind);
    for (; first; first = first->next)
        got = arena_printf(arena, "%.*s%c%.*s ", STR_ARG(got),
                           "cT?"[first->kind == BLOCK_TEXT       ? 1
                                 : first->kind == BLOCK_THINKING ? 2
                                                                 : 0],
                           STR_ARG(first->signature));
    return got;
}

TEST(signatures_of_calls_find_them_wherever_a_client_has_put_them)
{
    static const struct {
        const char *turn, *in_front, *behind;
    } cases[] = {
        {"1c2c", "c1 c2 ", "c1 c2 "},
        {"c1c2", "c c1 ?2 ", "c1 c2 "},
        {"12Tcc", "T c1 c2 ", "T c1 c2 "},
        {"1TcTc", "T c1 T c ", "T c1 T c "},
        {"cT1", "c T ?1 ", "c T ?1 "},
        {"c12c", "c ?2 c1 ", "c1 c2 "},
        {"T", "T ", "T "},
        {"", "", ""},
    };
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK_STR(adopted(&arena, cases[i].turn, false), cases[i].in_front);
        CHECK_STR(adopted(&arena, cases[i].turn, true), cases[i].behind);
    }
}

TEST(only_wordless_thoughts_of_google_are_signatures_of_calls)
{
    struct block call = {.kind = BLOCK_TOOL_CALL};
    struct block thought = {.kind = BLOCK_THINKING, .signature = STR_INIT("s"), .next = &call};
    struct block *first = &thought;

    thought.signer = SIGNER_ANTHROPIC;
    signatures_adopt(&first, false);
    thought.signer = SIGNER_GOOGLE;
    thought.text = STR("hm");
    signatures_adopt(&first, false);
    CHECK(first == &thought && !call.signature.n);
}

TEST(signatures_that_are_empty_are_foreign_to_anthropic_only)
{
    CHECK(signatures_are_foreign(STR("{\"signature\":\"\"}"), SIGNER_ANTHROPIC));
    CHECK(signatures_are_foreign(STR("{\"signature\": \"\"}"), SIGNER_ANTHROPIC));
    CHECK(!signatures_are_foreign(STR("{\"signature\":\"\"}"), SIGNER_GOOGLE));
    CHECK(!signatures_are_foreign(STR("{\"signature\":\"\"}"), SIGNER_OPENAI));
}
