/* list_test.c - the intrusive list. */
#include "unit/test.h"

#include "base/list.h"

struct item {
    int value;
    struct list node;
};

static int sum_in_order(struct list *head)
{
    int sum = 0;

    LIST_EACH(node, safe, head)
        sum = sum * 10 + CONTAINER_OF(node, struct item, node)->value;
    return sum;
}

TEST(list_keeps_order_at_both_ends)
{
    struct item a = {.value = 1}, b = {.value = 2}, c = {.value = 3}, d = {.value = 4};
    struct list head;

    list_init(&head);
    CHECK(list_is_empty(&head));
    CHECK(list_pop_front(&head) == NULL);
    CHECK(!list_is_linked(&a.node));
    list_push_back(&head, &b.node);
    list_push_back(&head, &c.node);
    list_push_front(&head, &a.node);
    list_insert_after(&b.node, &d.node);
    CHECK_EQ(sum_in_order(&head), 1243);
    CHECK(list_is_linked(&a.node));
    CHECK(list_pop_front(&head) == &a.node);
    CHECK(!list_is_linked(&a.node));
    list_remove(&d.node);
    list_remove(&d.node);
    CHECK_EQ(sum_in_order(&head), 23);
    CHECK(head.prev == &c.node);
    list_push_back(&head, &a.node);
    CHECK_EQ(sum_in_order(&head), 231);
}

TEST(list_walk_allows_removing_the_node)
{
    struct item items[6] = {{.value = 1}, {.value = 2}, {.value = 3}, {.value = 4}, {.value = 5}, {.value = 6}};
    struct list head;
    int seen = 0;

    list_init(&head);
    for (size_t i = 0; i < ARRAY_LEN(items); i++)
        list_push_back(&head, &items[i].node);
    LIST_EACH(node, safe, &head) {
        seen++;
        if (CONTAINER_OF(node, struct item, node)->value % 2)
            list_remove(node);
    }
    CHECK_EQ(seen, 6);
    CHECK_EQ(sum_in_order(&head), 246);
    while (list_pop_front(&head))
        ;
    CHECK(list_is_empty(&head));
}
