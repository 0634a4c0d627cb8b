/* name_map_test.c - names of tools as a provider takes them, and back. */
#include "llm/name_map.h"

#include "base/prng.h"
#include "test.h"

TEST(names_that_fit_stay_and_change_nothing)
{
    struct arena a CLEANUP(arena_release);

    arena_init(&a, 1 << 20);
    struct name_map *m = name_map_new(&a, 64, STR("."));
    CHECK_STR(name_map_out(m, STR("get_tide-2.x")), "get_tide-2.x");
    CHECK(!name_map_is_changed(m));
    CHECK(!name_map_is_changed(NULL));
    CHECK_STR(name_map_back(m, STR("get_tide-2.x")), "get_tide-2.x");
    CHECK_STR(name_map_back(NULL, STR("other")), "other");
    CHECK_STR(name_map_back(m, STR("never_seen")), "never_seen");
}

TEST(names_that_fit_cost_no_tables_and_are_remembered_all_the_same)
{
    struct arena a CLEANUP(arena_release);

    arena_init(&a, 1 << 20);
    struct name_map *m = name_map_new(&a, 64, STR_NONE);
    CHECK_STR(name_map_out(m, STR("sea_tide")), "sea_tide");
    CHECK_STR(name_map_out(m, STR("sea_wind")), "sea_wind");
    CHECK_STR(name_map_out(m, STR("sea_tide")), "sea_tide");
    CHECK(!a.holds); /* nothing outside the arena */
    CHECK_STR(name_map_out(m, STR("sea.tide")), "sea_tide_2");
    CHECK_STR(name_map_out(m, STR("sea.wind")), "sea_wind_2");
    CHECK_STR(name_map_out(m, STR("sea_tide")), "sea_tide");
    CHECK_STR(name_map_out(m, STR("sea.tide")), "sea_tide_2");
    CHECK_STR(name_map_back(m, STR("sea_wind")), "sea_wind");
    CHECK_STR(name_map_back(m, STR("sea_wind_2")), "sea.wind");
    CHECK(a.holds);
}

TEST(a_name_that_fits_gives_way_to_a_mended_one_that_was_there_before)
{
    struct arena a CLEANUP(arena_release);

    arena_init(&a, 1 << 20);
    struct name_map *m = name_map_new(&a, 64, STR_NONE);
    CHECK_STR(name_map_out(m, STR("sea.tide")), "sea_tide");
    CHECK_STR(name_map_out(m, STR("sea_tide")), "sea_tide_2");
    CHECK_STR(name_map_back(m, STR("sea_tide_2")), "sea_tide");
}

TEST(names_in_another_alphabet_are_sanitised_and_come_back)
{
    struct arena a CLEANUP(arena_release);

    arena_init(&a, 1 << 20);
    struct name_map *m = name_map_new(&a, 64, STR_NONE);
    CHECK_STR(name_map_out(m, STR("sea.tide/now")), "sea_tide_now");
    CHECK(name_map_is_changed(m));
    CHECK_STR(name_map_back(m, STR("sea_tide_now")), "sea.tide/now");
}

TEST(names_that_would_become_the_same_are_told_apart_within_the_length)
{
    struct arena a CLEANUP(arena_release);

    arena_init(&a, 1 << 20);
    struct name_map *m = name_map_new(&a, 4, STR_NONE);
    CHECK_STR(name_map_out(m, STR("a_bc")), "a_bc");
    CHECK_STR(name_map_out(m, STR("a.bc")), "a__2");
    CHECK_STR(name_map_out(m, STR("a/bcdef")), "a__3");
    CHECK_STR(name_map_out(m, STR("a.bc")), "a__2");
    CHECK_STR(name_map_back(m, STR("a__3")), "a/bcdef");
    CHECK_STR(name_map_back(m, STR("a_bc")), "a_bc");
}

TEST(names_of_any_text_go_out_in_form_and_come_back_as_they_were)
{
    struct arena a CLEANUP(arena_release);
    struct prng rng;

    arena_init(&a, 1 << 24);
    prng_seed(&rng, test_seed());
    struct name_map *m = name_map_new(&a, 12, STR_NONE);
    for (uint64_t i = 0; i < test_rounds(3000); i++) {
        char text[20];
        size_t n = 1 + prng_below(&rng, sizeof text);
        for (size_t k = 0; k < n; k++)
            text[k] = "ab_.\xc3"[prng_below(&rng, 5)];
        struct str name = arena_str(&a, str_of(text, n)), theirs = name_map_out(m, name);
        CHECK(theirs.n && theirs.n <= 12);
        for (size_t k = 0; k < theirs.n; k++)
            CHECK(strchr("ab_0123456789", theirs.p[k]));
        CHECK(str_eq(name_map_back(m, theirs), name));
    }
}
