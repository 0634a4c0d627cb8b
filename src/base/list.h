/*
 * list.h - doubly linked, circular, intrusive list. A node is a member of the struct it lists.
 *
 * A head is a node that points to itself when empty. An unlinked node has next == NULL, so that list_is_linked()
 * works on zeroed memory.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *head)
{
    head->next = head->prev = head;
}

static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}

static inline bool list_is_linked(const struct list *node)
{
    return node->next != NULL;
}

/* Insert `node`, which must not be linked, behind `at`. */
static inline void list_insert_after(struct list *at, struct list *node)
{
    node->next = at->next;
    node->prev = at;
    at->next->prev = node;
    at->next = node;
}

static inline void list_push_front(struct list *head, struct list *node)
{
    list_insert_after(head, node);
}

static inline void list_push_back(struct list *head, struct list *node)
{
    list_insert_after(head->prev, node);
}

/* Unlink; does nothing to a node that is not linked. */
static inline void list_remove(struct list *node)
{
    if (!node->next)
        return;
    node->next->prev = node->prev;
    node->prev->next = node->next;
    node->next = node->prev = NULL;
}

/* Unlink and return the first node; NULL if empty. */
static inline struct list *list_pop_front(struct list *head)
{
    struct list *node = head->next;
    if (node == head)
        return NULL;
    list_remove(node);
    return node;
}

/* Iterate; `next` allows the body to remove `node`. */
#define LIST_EACH(node, safe, head)                                                                                    \
    for (struct list *node = (head)->next, *safe = node->next; node != (head); node = safe, safe = node->next)

#endif
