/* secret_test.c - credentials: copied, hidden, wiped. */
#include "unit/test.h"

#include "base/secret.h"

TEST(secret_is_a_copy_that_shows_as_stars)
{
    char text[] = "sk-123";
    struct secret s CLEANUP(secret_release) = secret_make(str_from_c(text));

    text[0] = 'X';
    CHECK_STR(secret_reveal(&s), "sk-123");
    CHECK_STR(secret_text(&s), "***");
}

TEST(secret_of_nothing_is_empty)
{
    struct secret s = secret_make(STR("")), zeroed = {0};

    CHECK_EQ(secret_reveal(&s).n, 0);
    CHECK_STR(secret_text(&s), "");
    secret_release(&s);
    secret_release(&zeroed);
    CHECK_STR(secret_text(&zeroed), "");
}

TEST(secret_release_forgets)
{
    struct secret s = secret_make(STR("a\0b"));

    CHECK_EQ(secret_reveal(&s).n, 3);
    secret_release(&s);
    CHECK_EQ(secret_reveal(&s).n, 0);
    CHECK_STR(secret_text(&s), "");
    secret_release(&s);
}
