/* needs_test.c - every need has one name, and the name leads back to it. */
#include "fleet/needs.h"

#include "unit/test.h"

TEST(need_names_are_distinct_and_lead_back)
{
    for (unsigned i = 0; i < NEED_COUNT; i++)
        CHECK_EQ(need_find(str_from_c(need_name(1U << i))), 1U << i);
    CHECK_EQ(need_find(STR("tool")), 0);
    CHECK_EQ(need_find(STR_NONE), 0);
}

TEST(need_names_say_what_the_bits_say)
{
    CHECK_EQ(need_find(STR("stream")), NEED_STREAM);
    CHECK_EQ(need_find(STR("files")), NEED_FILES);
    CHECK_EQ(need_find(STR("json")), NEED_JSON);
    CHECK_EQ(need_find(STR("image_output")), NEED_IMAGE_OUTPUT);
}
