/* arena_test.c - struct arena: alignment, limit, reuse, and what it holds. */
#include "unit/test.h"

#include "base/arena.h"

#include <stdalign.h>

TEST(arena_memory_is_aligned_and_apart)
{
    struct arena a CLEANUP(arena_release);
    unsigned char *at[300];
    size_t n[300];

    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        n[i] = i * 7 % 900;
        at[i] = arena_alloc(&a, n[i]);
        CHECK_EQ((uintptr_t)at[i] % alignof(max_align_t), 0);
        memset(at[i], (int)i, n[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(at); i++)
        for (size_t k = 0; k < n[i]; k++)
            if (at[i][k] != (unsigned char)i)
                FAIL("allocation %zu was overwritten at %zu", i, k);
}

TEST(arena_small_blocks_of_any_size_are_not_overrun)
{
    for (unsigned first = 1; first < 100; first++) {
        struct arena a CLEANUP(arena_release);
        arena_init_small(&a, 1 << 20, first);
        for (size_t i = 0; i < 50; i++) {
            const char *p = arena_alloc(&a, i % 9 + 1);
            const char *end = p + i % 9 + 1;
            CHECK(end <= a.end && a.at <= a.end);
        }
    }
}

TEST(arena_zalloc_gives_zeroes_also_in_used_memory)
{
    struct arena a CLEANUP(arena_release);

    arena_init(&a, 1 << 20);
    memset(arena_alloc(&a, 1000), 0xff, 1000);
    arena_clear(&a);
    const unsigned char *p = arena_zalloc(&a, 1000);
    for (size_t i = 0; i < 1000; i++)
        CHECK_EQ(p[i], 0);
    struct pair {
        int x, y;
    } *pair = arena_new(&a, struct pair);
    CHECK(pair->x == 0 && pair->y == 0);
}

TEST(arena_gives_an_address_for_nothing)
{
    struct arena a CLEANUP(arena_release);

    arena_init(&a, 1 << 20);
    void *volatile p = arena_alloc(&a, 0); /* volatile: the compiler has been told that it is not NULL */
    CHECK(p != NULL);
    char *q = NULL;
    CHECK_OK(arena_try(&a, 0, &q));
    CHECK(q != NULL);
    CHECK_STR(arena_str(&a, STR_NONE), "");
}

TEST(arena_try_holds_to_the_maximum)
{
    struct arena a CLEANUP(arena_release);
    char *p = NULL;

    arena_init(&a, 100 * 1000);
    CHECK_ERR(arena_try(&a, 100 * 1000 + 1, &p), E_TOO_LARGE);
    CHECK_ERR(arena_try(&a, SIZE_MAX, &p), E_TOO_LARGE);
    CHECK_ERR(arena_try(&a, SIZE_MAX - 8, &p), E_TOO_LARGE);
    CHECK(p == NULL);
    CHECK_OK(arena_try(&a, 90 * 1000, &p));
    memset(p, 1, 90 * 1000);
    CHECK_ERR(arena_try(&a, 20 * 1000, &p), E_TOO_LARGE);
    arena_clear(&a);
    CHECK_OK(arena_try(&a, 20 * 1000, &p));
    size_t given = 0;
    arena_clear(&a);
    while (arena_try(&a, 100, &p) == OK)
        given += 100;
    CHECK_GT(given, 50 * 1000);
    CHECK_LE(given, 100 * 1000 + 64 * 1024);
}

TEST(arena_try_uses_what_was_taken_already)
{
    struct arena a CLEANUP(arena_release);
    char *p;

    arena_init(&a, 1000); /* less than a block */
    CHECK_OK(arena_try(&a, 100, &p));
    CHECK_OK(arena_try(&a, 100, &p));
}

TEST(arena_clear_keeps_one_small_block_only)
{
    struct arena a CLEANUP(arena_release);

    arena_init(&a, 1 << 30);
    char *first = arena_alloc(&a, 10);
    arena_clear(&a);
    CHECK(arena_alloc(&a, 10) == (void *)first);
    for (int i = 0; i < 100; i++)
        memset(arena_alloc(&a, 5000), 1, 5000);
    arena_clear(&a);
    CHECK_LE(a.used, 8192);
    CHECK(arena_alloc(&a, 10) == (void *)first);
    arena_release(&a);
    CHECK_EQ(a.used, 0);
    memset(arena_alloc(&a, 1 << 20), 1, 1 << 20); /* a large first block */
    arena_clear(&a);
    CHECK_LE(a.used, 8192);
    memset(arena_alloc(&a, 100), 1, 100);
}

TEST(arena_strings_end_with_a_nul)
{
    struct arena a CLEANUP(arena_release);
    char text[] = "abc";

    arena_init(&a, 1 << 20);
    struct str s = arena_str(&a, str_of(text, 3));
    text[0] = 'x';
    CHECK_STR(s, "abc");
    CHECK_EQ(s.p[3], '\0');
    s = arena_printf(&a, "%s-%d", "n", 42);
    CHECK_STR(s, "n-42");
    CHECK_EQ(s.p[s.n], '\0');
    s = arena_join(&a, STR("ab"), STR("cd"));
    CHECK_STR(s, "abcd");
    CHECK_EQ(s.p[4], '\0');
    CHECK_STR(arena_join(&a, STR_NONE, STR("x")), "x");
}

static char order[8];
static size_t order_n;

static void note(void *obj)
{
    order[order_n++] = *(char *)obj;
}

TEST(arena_list_has_room_for_few_and_then_for_all)
{
    struct arena a CLEANUP(arena_release);
    unsigned *list = NULL, *before = NULL;

    arena_init(&a, 1 << 20);
    for (unsigned n = 0; n < 10; n++) {
        list = arena_list_room(&a, list, n, sizeof *list, 2, 10);
        CHECK_EQ(list != before, n == 0 || n == 2);
        before = list;
        list[n] = n;
        for (unsigned i = 0; i <= n; i++)
            CHECK_EQ(list[i], i);
    }
    CHECK_EQ(a.count, 2);
}

TEST(arena_gives_back_what_it_holds_newest_first_and_once)
{
    struct arena a;
    char one = '1', two = '2', three = '3';

    order_n = 0;
    arena_init(&a, 1 << 20);
    arena_hold(&a, &one, note);
    arena_hold(&a, &two, note);
    arena_clear(&a);
    CHECK_STR(str_of(order, order_n), "21");
    arena_hold(&a, &three, note);
    arena_release(&a);
    CHECK_STR(str_of(order, order_n), "213");
    arena_release(&a);
    CHECK_EQ(order_n, 3);
    struct arena zeroed = {0};
    arena_release(&zeroed);
}
