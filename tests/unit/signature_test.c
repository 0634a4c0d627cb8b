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
