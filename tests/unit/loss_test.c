/* loss_test.c - what a translation could not carry over: noted once, listed for a header. */
#include "llm/loss.h"

#include "test.h"

struct noting {
    struct arena arena;
    struct losses losses;
    const struct json_tree *tree;
};

static void noting_begin(struct noting *n, struct str document)
{
    arena_init(&n->arena, 1 << 24);
    losses_init(&n->losses, &n->arena);
    CHECK_OK(json_tree_parse(&n->arena, document, &n->tree));
}

static void noting_end(struct noting *n)
{
    arena_release(&n->arena);
}

static struct json_node member(const struct noting *n, const char *key)
{
    return json_node_get(json_tree_root(n->tree), str_from_c(key));
}

TEST(losses_are_noted_once_a_place_and_kind)
{
    struct noting n CLEANUP(noting_end);

    noting_begin(&n, STR("{\"a\":1,\"b\":2}"));
    loss_drop(&n.losses, member(&n, "a"), "x");
    loss_drop(&n.losses, member(&n, "a"), "y");
    loss_note(&n.losses, LOSS_CHANGED, member(&n, "a"), "z");
    loss_note(&n.losses, LOSS_EMULATED, member(&n, "b"), "z");
    loss_drop(&n.losses, JSON_ABSENT, "the whole");
    loss_drop(&n.losses, JSON_ABSENT, "the whole");
    CHECK_EQ(n.losses.count, 4);
    CHECK_EQ(n.losses.dropped, 2);
    CHECK_EQ(n.losses.changed, 1);
    CHECK_EQ(n.losses.emulated, 1);
    CHECK_STR(str_from_c(n.losses.first->why), "x");
    CHECK_STR(losses_list(&n.losses, LOSS_DROPPED, 100), "/a,/");
    CHECK_STR(losses_list(&n.losses, LOSS_CHANGED, 100), "/a");
}

TEST(losses_are_listed_as_a_header_may_hold_them)
{
    struct noting n CLEANUP(noting_end);

    noting_begin(&n, STR("{\"a,b\":1,\"c d\":{\"\xc3\xa9/~\":[0,9]},\"e%\\n\":2}"));
    loss_drop(&n.losses, member(&n, "a,b"), "x");
    loss_drop(&n.losses, json_node_at(json_node_get(member(&n, "c d"), STR("\xc3\xa9/~")), 1), "x");
    loss_drop(&n.losses, member(&n, "e%\n"), "x");
    CHECK_STR(losses_list(&n.losses, LOSS_DROPPED, 100), "/a%2Cb,/c%20d/%C3%A9~1~0/1,/e%25\\n");
    CHECK_EQ(losses_list(&n.losses, LOSS_EMULATED, 100).n, 0);
}

TEST(losses_are_cut_at_the_length_of_a_header_and_say_so)
{
    struct noting n CLEANUP(noting_end);

    noting_begin(&n, STR("{\"aaaa\":1,\"bbbb\":2,\"cccc\":3}"));
    loss_drop(&n.losses, member(&n, "aaaa"), "x");
    loss_drop(&n.losses, member(&n, "bbbb"), "x");
    loss_drop(&n.losses, member(&n, "cccc"), "x");
    CHECK_STR(losses_list(&n.losses, LOSS_DROPPED, 19), "/aaaa,/bbbb,/cccc");
    for (size_t max = 13; max < 19; max++)
        CHECK_STR(losses_list(&n.losses, LOSS_DROPPED, max), "/aaaa,/bbbb,+");
    CHECK_STR(losses_list(&n.losses, LOSS_DROPPED, 12), "/aaaa,+");
    CHECK_STR(losses_list(&n.losses, LOSS_DROPPED, 3), "+");
}

TEST(losses_past_the_most_that_are_kept_are_counted)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct noting n CLEANUP(noting_end);

    (void)buf_add_lit(&b, "[0");
    for (int i = 1; i < LOSSES_MAX + 10; i++)
        (void)buf_addf(&b, ",%d", i);
    (void)buf_add_lit(&b, "]");
    noting_begin(&n, buf_str(&b));
    JSON_EACH(w, json_tree_root(n.tree))
        loss_drop(&n.losses, w.value, "x");
    CHECK_EQ(n.losses.dropped, LOSSES_MAX + 10);
    struct str list = losses_list(&n.losses, LOSS_DROPPED, 10000);
    CHECK(str_starts(list, STR("/0,/1,")));
    CHECK(str_ends(list, STR("/62,/63,+")));
    CHECK_EQ(losses_list(&n.losses, LOSS_CHANGED, 10000).n, 0);
}
