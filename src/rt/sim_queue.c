/*
 * sim_queue.c - what will happen in a simulated world, in order of time: a binary heap of events.
 *
 * Events are embedded in what they happen to and know their place in the heap, so they can be moved and removed without a search.
 * Ties are broken by the order of scheduling: the order of happenings depends on nothing but what was scheduled, when.
 */
#include "rt/sim_int.h"

#include "base/mem.h"

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void put(struct sim_queue *q, uint32_t i, struct sim_event *e)
{
    q->heap[i] = e;
    e->place = i + 1;
}

static void sift_up(struct sim_queue *q, uint32_t i, struct sim_event *e)
{
    while (i > 0) {
        uint32_t parent = (i - 1) / 2;
        if (!is_before(e, q->heap[parent]))
            break;
        put(q, i, q->heap[parent]);
        i = parent;
    }
    put(q, i, e);
}

static void sift_down(struct sim_queue *q, uint32_t i, struct sim_event *e)
{
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= q->count)
            break;
        if (child + 1 < q->count && is_before(q->heap[child + 1], q->heap[child]))
            child++;
        if (!is_before(q->heap[child], e))
            break;
        put(q, i, q->heap[child]);
        i = child;
    }
    put(q, i, e);
}

void sim_queue_add(struct sim_queue *q, struct sim_event *e, ns_t at)
{
    sim_queue_remove(q, e);
    if (q->count == q->cap) {
        q->cap = q->cap ? q->cap * 2 : 64;
        q->heap = mem_realloc(q->heap, q->cap * sizeof *q->heap);
    }
    e->at = at;
    e->order = q->scheduled++;
    q->count++;
    sift_up(q, q->count - 1, e);
}

void sim_queue_remove(struct sim_queue *q, struct sim_event *e)
{
    if (!e->place)
        return;
    uint32_t hole = e->place - 1;
    struct sim_event *last = q->heap[--q->count];
    e->place = 0;
    if (last == e)
        return;
    if (hole > 0 && is_before(last, q->heap[(hole - 1) / 2]))
        sift_up(q, hole, last);
    else
        sift_down(q, hole, last);
}

struct sim_event *sim_queue_first(const struct sim_queue *q)
{
    return q->count ? q->heap[0] : NULL;
}

void sim_queue_release(struct sim_queue *q)
{
    mem_free(q->heap);
    *q = (struct sim_queue){0};
}
