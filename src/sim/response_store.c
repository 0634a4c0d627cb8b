/*
 * response_store.c - kept responses: found by a map, dropped from the old end of a list when there are too many or too much.
 */
#include "sim/response_store.h"

#include "base/map.h"
#include "base/mem.h"

struct response_store {
    struct list order; /* newest first */
    struct map by_id;
    size_t bytes, max;
};

struct response_store *response_store_new(size_t max)
{
    struct response_store *s = NEW(struct response_store);

    list_init(&s->order);
    s->max = max;
    return s;
}

static size_t size_of(const struct stored_response *r)
{
    return sizeof(*r) + r->id.n + r->body.n + r->items.n + r->calls.n;
}

static void drop(struct response_store *s, struct stored_response *r)
{
    map_remove(&s->by_id, r->id);
    list_remove(&r->link);
    s->bytes -= size_of(r);
    mem_free((void *)(uintptr_t)r->id.p);
    mem_free((void *)(uintptr_t)r->body.p);
    mem_free((void *)(uintptr_t)r->items.p);
    mem_free((void *)(uintptr_t)r->calls.p);
    mem_free(r);
}

void response_store_free(struct response_store *s)
{
    if (!s)
        return;
    while (!list_is_empty(&s->order))
        drop(s, CONTAINER_OF(s->order.next, struct stored_response, link));
    map_release(&s->by_id);
    mem_free(s);
}

static struct str keep(struct str s)
{
    return str_of(mem_dup(s.p, s.n), s.n);
}

void response_store_add(struct response_store *s, const struct stored_response *r)
{
    size_t size = size_of(r);

    if (size > s->max)
        return;
    struct stored_response *kept = NEW(struct stored_response);
    *kept = *r;
    kept->link = (struct list){0};
    kept->id = keep(r->id);
    kept->body = keep(r->body);
    kept->items = keep(r->items);
    kept->calls = keep(r->calls);
    response_store_remove(s, kept->id); /* *r may borrow from the one that goes */
    while (s->by_id.count == RESPONSE_STORE_COUNT || s->bytes + size > s->max)
        drop(s, CONTAINER_OF(s->order.prev, struct stored_response, link));
    map_put(&s->by_id, kept->id, kept);
    list_push_front(&s->order, &kept->link);
    s->bytes += size;
}

const struct stored_response *response_store_find(const struct response_store *s, struct str id)
{
    return map_get(&s->by_id, id);
}

bool response_store_remove(struct response_store *s, struct str id)
{
    struct stored_response *r = map_get(&s->by_id, id);

    if (r)
        drop(s, r);
    return r != NULL;
}
