/*
 * knocks.c - the reading of a door: what was brought becomes messages, and who brought it is answered.
 *
 * All that came together is one commit. What was taken in before is answered from what is kept, or with those who wait for it already, and is no new message.
 */
#include "pipeline/door/knocks.h"

#include "base/mem.h"
#include "pipeline/door/replies.h"
#include "rt/loop.h"

enum { BATCH = 64, ID_TEXT_MAX = 600 };
#define EXPIRY (60 * NS_SEC)             /* between looks for replies that are too old */
#define SWEEP NS_SEC                     /* between looks for who waits no longer      */
#define PATIENCE_OF_SENDER (60 * NS_SEC) /* where the pipeline has no deadline          */

/* A source while it is read. */
struct knock_reading {
    struct intake *in;
    const struct pipeline_node *source;
    const struct knock_rules *rules;
    struct replies *replies;
    uint64_t position;
    ns_t next_sweep, next_expiry;
};

/* Messages that are taken in together. */
struct knock_batch {
    struct message messages[BATCH];
    struct message_header traceparents[BATCH];
    struct knock *knocks[BATCH];
    struct journal_id ids[BATCH];
    size_t count;
};

static struct journal_id root_of(const struct knock_reading *h, const struct knock *k)
{
    return root_id(h->in->shard->spec, h->source, &(struct message){.identity = k->id});
}

static void accept_message(struct knock *k)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(ID_TEXT_MAX);

    (void)buf_addf(&text, "{\"id\":\"%.*s\"}", STR_ARG(k->id));
    knock_answer(k, 202, buf_str(&text));
}

/*
 * It was not taken in. When the reading ends that is no fault of its sender's, who need not send it again: it is left for the next who reads the door, be it this pipeline's
 * next version. Should the journal have it after all, it is known by its id.
 */
static void put_off(struct knock *k, err_t e)
{
    if (e == E_CANCELLED)
        knock_give_back(k);
    else
        knock_answer(k, 503, STR_NONE);
}

static void put_off_waiting(struct knock_reading *h, struct journal_id id, err_t e)
{
    if (e == E_CANCELLED)
        replies_give_back(h->replies, id);
    else
        replies_answer(h->replies, id, 503, STR_NONE);
}

/* Of those that are only accepted: was it taken in before? Then it is answered. */
static SUSPENDS err_t is_taken_in(struct knock_reading *h, struct knock *k, bool *ret)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct journal_id id = root_of(h, k);
    struct str body = STR_NONE;
    int status = 0;

    *ret = shard_has_root(h->in->shard, id);
    err_t e = *ret ? OK : replies_find(h->replies, id, &arena, &status, &body);
    *ret = *ret || e != OK || status;
    if (e != OK)
        put_off(k, e);
    else if (*ret)
        accept_message(k);
    return e;
}

/* Of those that wait: has it a reply, or will it have one without being taken in? Who waits may be answered, and gone, when this returns. */
static SUSPENDS err_t is_replied(struct knock_reading *h, struct journal_id id, bool *ret)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct str body = STR_NONE;
    int status = 0;

    err_t e = replies_find(h->replies, id, &arena, &status, &body);
    if (e != OK)
        put_off_waiting(h, id, e);
    else if (status)
        replies_answer(h->replies, id, status, body);
    *ret = !replies_are_awaited(h->replies, id);
    if (*ret || !shard_has_root(h->in->shard, id))
        return e;
    replies_are_safe(h->replies, id);
    *ret = true;
    return e;
}

/* Is it answered already, or about to be? Then it is no new message. It waits before that is looked up, so that no reply passes it by. */
static SUSPENDS err_t is_known(struct knock_reading *h, struct knock *k, bool *ret)
{
    struct journal_id id = root_of(h, k);
    bool has_id = k->has_id;

    *ret = h->rules->is_waited && replies_are_awaited(h->replies, id);
    if (h->rules->is_waited)
        replies_wait(h->replies, id, k);
    if (*ret || !has_id)
        return OK;
    return h->rules->is_waited ? is_replied(h, id, ret) : is_taken_in(h, k, ret);
}

static void add_message(struct knock_reading *h, struct knock_batch *b, struct knock *k)
{
    uint64_t now = (uint64_t)rt_wall();
    size_t n = b->count++;

    h->position = h->position < now ? now : h->position + 1;
    b->knocks[n] = k;
    b->ids[n] = root_of(h, k);
    b->traceparents[n] = (struct message_header){STR("traceparent"), k->traceparent};
    b->messages[n] = (struct message){.position = h->position,
                                      .identity = k->id,
                                      .body = k->body,
                                      .at = k->at,
                                      .headers = &b->traceparents[n],
                                      .header_count = k->traceparent.n ? 1 : 0};
}

/* Those that are new go into the batch; the others are answered, now or with who came before. */
static SUSPENDS err_t sort_out(struct knock_reading *h, struct knock *first, struct knock_batch *b)
{
    err_t e = OK;

    for (struct knock *k = first, *next; k; k = next) {
        bool known = e != OK;
        next = k->next;
        if (e != OK)
            put_off(k, e);
        else
            e = is_known(h, k, &known);
        if (!known)
            add_message(h, b, k);
    }
    return e;
}

static void tell(struct knock_reading *h, const struct knock_batch *b, err_t e)
{
    for (size_t i = 0; i < b->count; i++) {
        if (!h->rules->is_waited && e == OK)
            accept_message(b->knocks[i]);
        else if (!h->rules->is_waited)
            put_off(b->knocks[i], e);
        else if (e == OK)
            replies_are_safe(h->replies, b->ids[i]);
        else
            put_off_waiting(h, b->ids[i], e);
    }
}

/* One commit for all that came together. A request that waits for its reply may have it already when the commit is there: only its id is known for sure. */
static SUSPENDS err_t take_in(struct knock_reading *h, struct knock *first, struct knock_batch *b)
{
    b->count = 0;
    err_t e = sort_out(h, first, b);
    if (e == OK)
        e = intake_put(h->in, b->messages, b->count, STR("-"));
    tell(h, b, e);
    return e;
}

static SUSPENDS err_t sweep(struct knock_reading *h)
{
    bool more = rt_now() >= h->next_expiry;

    replies_prune(h->replies);
    if (more)
        h->next_expiry = ns_add(rt_now(), EXPIRY);
    while (more)
        TRY(replies_expire(h->replies, h->rules->keep, &more));
    h->next_sweep = ns_add(rt_now(), SWEEP);
    return OK;
}

static SUSPENDS err_t read_door(struct knock_reading *h, struct knock_batch *b)
{
    for (;;) {
        struct knock *first;
        if (rt_now() >= h->next_sweep)
            TRY(sweep(h));
        TRY(door_take(h->rules->door, BATCH, h->next_sweep, &first));
        if (first)
            TRY(take_in(h, first, b));
    }
}

ns_t knocks_patience(ns_t wait, const struct pipeline_spec *spec)
{
    if (wait)
        return wait;
    return spec->deadline == NS_NEVER ? PATIENCE_OF_SENDER : spec->deadline;
}

err_t knocks_read(struct intake *in, const struct pipeline_node *source, const struct knock_rules *rules)
{
    struct knock_reading h = {.in = in, .source = source, .rules = rules, .replies = shard_replies(in->shard, source)};
    struct knock_batch *b = NEW(struct knock_batch);
    err_t e = read_door(&h, b);

    mem_free(b);
    return e;
}
