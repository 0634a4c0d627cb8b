/*
 * ears.c - who hears what, and the messages that are made of it.
 *
 * An ear that was closed stays, since a request may have it in hand; one of the same name that is opened later is the same. What an announced one has heard waits
 * at its door, where the source finds it.
 */
#include "pipeline/door/ears.h"

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/prng.h"
#include "codec/json_out.h"
#include "codec/json_tree.h"
#include "rt/lock.h"
#include "rt/loop.h"
#include "store/journal.h"

#include <stdatomic.h>

enum { HEARERS_MAX = 16, MESSAGE_MAX = JOURNAL_BODY_MAX - (64 << 10) };

struct ears {
    struct gateway_hearer hearer;
    struct doors *doors;
    struct lock *lock;
    struct map by_name;  /* struct ear *, all that ever were              */
    struct map by_model; /* struct audience *, likewise                   */
    struct arena arena;  /* of those                                      */
    unsigned listening;  /* under the lock, as all above                  */
    _Atomic bool any;    /* is one of them listening?                     */
};

/* Of a model. */
struct audience {
    struct list ears; /* that listen */
};

struct ear {
    struct list link; /* of its audience: open or announced; not linked: it is closed. Under the lock */
    struct ears *ears;
    struct ear_options options;
    struct door *door;
    ns_t until; /* it listens; NS_NEVER: it is open */
    _Atomic uint64_t missed;
};

/* Those that want an answer. In the request's arena. */
struct wanted {
    struct ear *ears[HEARERS_MAX];
    bool waits[HEARERS_MAX];
    size_t count;
};

/* --- sources --- */

/* In the arena, for good: there are no more of them than configurations have named. */
static struct ear *ear_of(struct ears *all, struct str name)
{
    struct ear *e = map_get(&all->by_name, name);

    if (e)
        return e;
    e = arena_new(&all->arena, struct ear);
    e->ears = all;
    map_put(&all->by_name, arena_str(&all->arena, name), e);
    return e;
}

static struct audience *audience_of(struct ears *all, struct str model)
{
    struct audience *a = map_get(&all->by_model, model);

    if (a)
        return a;
    a = arena_new(&all->arena, struct audience);
    list_init(&a->ears);
    map_put(&all->by_model, arena_str(&all->arena, model), a);
    return a;
}

static struct door_options door_of(const struct ear_options *o)
{
    return (struct door_options){.path = o->name, .body_max = MESSAGE_MAX};
}

/* The next two under the lock. */
static void listen_to(struct ear *e, const struct ear_options *o, struct door *door, ns_t until)
{
    e->options = (struct ear_options){.sample = o->sample, .waits = o->waits};
    e->door = door;
    e->until = until;
    list_push_back(&audience_of(e->ears, o->model)->ears, &e->link);
    e->ears->listening++;
    atomic_store(&e->ears->any, true);
}

static void stop_listening(struct ear *e)
{
    list_remove(&e->link);
    if (--e->ears->listening == 0)
        atomic_store(&e->ears->any, false);
}

void ear_announce(struct ears *all, const struct ear_options *o)
{
    const struct door_options at = door_of(o);
    struct door *door = door_announce(all->doors, &at);

    lock_take(all->lock);
    struct ear *e = ear_of(all, o->name);
    if (!list_is_linked(&e->link))
        listen_to(e, o, door, ns_add(rt_now(), EAR_ANNOUNCED_S * NS_SEC));
    lock_give(all->lock);
}

err_t ear_open(struct ears *all, const struct ear_options *o, struct ear **ret)
{
    const struct door_options at = door_of(o);
    struct door *door;

    TRY(door_open(all->doors, &at, &door));
    lock_take(all->lock);
    struct ear *e = ear_of(all, o->name);
    if (list_is_linked(&e->link)) /* it was announced, maybe for another model */
        stop_listening(e);
    listen_to(e, o, door, NS_NEVER);
    lock_give(all->lock);
    *ret = e;
    return OK;
}

void ear_close(struct ear *e)
{
    if (!e)
        return;
    lock_take(e->ears->lock);
    stop_listening(e);
    lock_give(e->ears->lock);
    door_close(e->door);
}

struct door *ear_door(const struct ear *e)
{
    return e->door;
}

uint64_t ear_missed(const struct ear *e)
{
    return atomic_load(&e->missed);
}

/* --- requests --- */

/* The same for all ears, so that samples of one share are of the same requests. */
static bool is_of_share(struct str id, double share)
{
    return (double)prng_scatter(str_hash(id)) < share * 0x1p64;
}

static void *wants(void *ctx, struct str model, struct str id, struct arena *arena, bool *ret_waits)
{
    struct ears *all = ctx;
    struct wanted found = {.count = 0};

    if (!atomic_load_explicit(&all->any, memory_order_relaxed))
        return NULL;
    lock_take(all->lock);
    const struct audience *a = map_get(&all->by_model, model);
    for (struct list *l = a ? a->ears.next : NULL; a && l != &a->ears; l = l->next) {
        struct ear *e = CONTAINER_OF(l, struct ear, link);
        if (e->until < rt_now() || !is_of_share(id, e->options.sample))
            continue;
        if (found.count == HEARERS_MAX) {
            atomic_fetch_add(&e->missed, 1);
            continue;
        }
        found.waits[found.count] = e->options.waits;
        found.ears[found.count++] = e;
        *ret_waits |= e->options.waits;
    }
    lock_give(all->lock);
    if (!found.count)
        return NULL;
    struct wanted *w = arena_new(arena, struct wanted);
    *w = found;
    return w;
}

static void put_usage(struct json_out *o, const struct facts *f)
{
    json_member_open(o, STR("usage"), '{');
    json_member_u64(o, STR("input_tokens"), f->usage.input);
    json_member_u64(o, STR("output_tokens"), f->usage.output);
    json_close(o, '}');
    if (f->is_priced)
        json_member_u64(o, STR("nano_usd"), f->price);
}

static void put_text(struct json_out *o, struct str key, struct str text)
{
    if (text.n)
        json_member_str(o, key, text);
}

static void put_document(struct json_out *o, struct str key, struct str text)
{
    struct arena scratch CLEANUP(arena_release);
    const struct json_tree *tree;

    arena_init(&scratch, SIZE_MAX);
    json_key(o, key);
    if (json_tree_parse(&scratch, text, &tree) == OK)
        json_put_raw(o, str_trim(text));
    else
        json_put_str(o, text);
}

static err_t write_message(const struct heard *h, struct buf *to)
{
    const struct facts *f = h->facts;
    struct json_out o = json_out_to(to);

    json_open(&o, '{');
    json_member_str(&o, STR("id"), f->id);
    json_member_i64(&o, STR("at_ms"), f->wall / NS_MS);
    json_member_str(&o, STR("endpoint"), str_from_c(f->endpoint));
    json_member_str(&o, STR("dialect"), str_from_c(f->dialect));
    json_member_str(&o, STR("route"), f->model_label);
    json_member_str(&o, STR("model"), f->model);
    put_text(&o, STR("deployment"), f->deployment);
    put_text(&o, STR("provider"), f->provider);
    put_text(&o, STR("key"), f->key);
    put_text(&o, STR("traceparent"), h->traceparent);
    json_member_bool(&o, STR("stream"), f->stream);
    json_member_u64(&o, STR("attempts"), f->attempts);
    json_member_u64(&o, STR("latency_ms"), (uint64_t)(h->took / NS_MS));
    if (f->first_token)
        json_member_u64(&o, STR("first_token_ms"), (uint64_t)(f->first_token / NS_MS));
    put_usage(&o, f);
    put_document(&o, STR("request"), h->request);
    put_document(&o, STR("answer"), h->answer);
    json_close(&o, '}');
    return buf_status(to);
}

/* Clients may choose the ids of their requests, and choose one twice: the time tells them apart. */
static struct str name_message(const struct facts *f, struct buf *to)
{
    (void)buf_addf(to, "%.*s@%lld", STR_ARG(f->id), (long long)f->wall);
    return buf_str(to);
}

static SUSPENDS bool bring(struct ear *e, const struct door_message *m, bool waits)
{
    int status = 0;

    if (!waits)
        return door_leave(e->door, m);
    /* Whoever left meanwhile, or waited long enough, has left his message there. */
    err_t err = door_bring(e->door, m, ns_add(rt_now(), EAR_PATIENCE_S * NS_SEC), &status);
    return err == OK ? status < 300 : err != E_OVERLOAD;
}

static void miss_all(void *ctx, void *wanted)
{
    const struct wanted *w = wanted;

    (void)ctx;
    for (size_t i = 0; i < w->count; i++)
        atomic_fetch_add(&w->ears[i]->missed, 1);
}

static SUSPENDS void tell(void *ctx, void *wanted, const struct heard *h)
{
    enum { ID_ROOM = 512 };
    struct buf text CLEANUP(buf_release) = BUF_INIT(MESSAGE_MAX), id CLEANUP(buf_release) = BUF_INIT(ID_ROOM);
    const struct wanted *w = wanted;

    if (write_message(h, &text) != OK) {
        miss_all(ctx, wanted);
        return;
    }
    const struct door_message m = {
        .id = name_message(h->facts, &id), .body = buf_str(&text), .traceparent = h->traceparent};
    for (size_t i = 0; i < w->count; i++)
        if (!bring(w->ears[i], &m, w->waits[i]))
            atomic_fetch_add(&w->ears[i]->missed, 1);
}

/* --- life --- */

struct ears *ears_new(struct doors *doors)
{
    struct ears *e = NEW(struct ears);

    e->hearer = (struct gateway_hearer){.wants = wants, .tell = tell, .miss = miss_all, .ctx = e};
    e->doors = doors;
    arena_init(&e->arena, SIZE_MAX);
    e->lock = lock_new();
    return e;
}

void ears_free(struct ears *all)
{
    if (!all)
        return;
    map_release(&all->by_name);
    map_release(&all->by_model);
    arena_release(&all->arena);
    lock_free(all->lock);
    mem_free(all);
}

const struct gateway_hearer *ears_hearer(const struct ears *e)
{
    return &e->hearer;
}
