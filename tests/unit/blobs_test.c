/* blobs_test.c - named bytes in memory: kept, found, aged, pushed out. */
#include "store/blobs.h"

#include "in_loop.h"
#include "rt/loop.h"
#include "rt/sim_world.h"
#include "test.h"

static SUSPENDS void keep_and_find(void)
{
    struct blobs *b = memory_blobs_new(1 << 20, 60 * NS_SEC);
    struct arena a CLEANUP(arena_release);
    struct str got;

    arena_init(&a, 1 << 20);
    CHECK_ERR(blobs_get(b, STR("k"), &a, &got), E_NOT_FOUND);
    CHECK_OK(blobs_put(b, STR("k"), STR("one")));
    CHECK_OK(blobs_put(b, STR("k"), STR("two")));
    CHECK_OK(blobs_put(b, STR("empty"), STR("")));
    CHECK_OK(blobs_get(b, STR("k"), &a, &got));
    CHECK_STR(got, "two");
    CHECK_OK(blobs_get(b, STR("empty"), &a, &got));
    CHECK_EQ(got.n, 0);
    CHECK_OK(blobs_remove(b, STR("k")));
    CHECK_ERR(blobs_remove(b, STR("k")), E_NOT_FOUND);
    CHECK_ERR(blobs_get(b, STR("k"), &a, &got), E_NOT_FOUND);
    blobs_free(b);
}

TEST(blobs_keep_the_last_value_of_a_name)
{
    in_sim(keep_and_find);
}

static SUSPENDS void push_out(void)
{
    struct blobs *b = memory_blobs_new(8 * 4096, 60 * NS_SEC);
    struct arena a CLEANUP(arena_release);
    struct str got;
    char big[5000] = {0};
    size_t left = 0;

    arena_init(&a, 1 << 20);
    CHECK_ERR(blobs_put(b, STR("big"), str_of(big, sizeof big)), E_TOO_LARGE);
    for (int i = 0; i < 200; i++) {
        CHECK_OK(blobs_put(b, arena_printf(&a, "%d", i), str_of(big, 500)));
        CHECK_OK(blobs_get(b, STR("0"), &a, &got)); /* in use, so it stays */
        arena_clear(&a);
    }
    for (int i = 0; i < 200; i++) {
        left += blobs_get(b, arena_printf(&a, "%d", i), &a, &got) == OK;
        arena_clear(&a);
    }
    CHECK(left >= 20 && left <= 8 * 4096 / 660);
    blobs_free(b);
}

TEST(blobs_make_room_by_dropping_what_was_not_used_longest)
{
    in_sim(push_out);
}

static SUSPENDS void grow_old(void)
{
    struct blobs *b = memory_blobs_new(1 << 20, 60 * NS_SEC);
    struct arena a CLEANUP(arena_release);
    struct str got;

    arena_init(&a, 1 << 20);
    CHECK_OK(blobs_put(b, STR("k"), STR("one")));
    CHECK_OK(fiber_sleep_until(rt_now() + 60 * NS_SEC)); /* virtual */
    CHECK_OK(blobs_get(b, STR("k"), &a, &got));          /* asking does not make it younger */
    CHECK_OK(fiber_sleep_until(rt_now() + NS_SEC));
    CHECK_ERR(blobs_get(b, STR("k"), &a, &got), E_NOT_FOUND);
    CHECK_ERR(blobs_remove(b, STR("k")), E_NOT_FOUND);
    blobs_free(b);
}

TEST(blobs_are_gone_when_they_are_old)
{
    in_sim(grow_old);
}

static SUSPENDS void ask_with_little_room(void)
{
    struct blobs *b = memory_blobs_new(1 << 20, 60 * NS_SEC);
    struct arena a CLEANUP(arena_release);
    char big[5000] = {0};
    struct str got = STR("before");

    arena_init(&a, 1000);
    CHECK_OK(blobs_put(b, STR("k"), str_of(big, sizeof big)));
    CHECK_ERR(blobs_get(b, STR("k"), &a, &got), E_TOO_LARGE);
    CHECK_STR(got, "before");
    CHECK_OK(blobs_remove(b, STR("k")));
    blobs_free(b);
}

TEST(blobs_larger_than_the_asker_s_room_stay_where_they_are)
{
    in_sim(ask_with_little_room);
}
