/*
 * memory_blobs.c - blobs in this process's memory.
 *
 * Shards by the key's hash, each with a lock, a table and a list in order of use, so that loops seldom meet. A value is immutable and counted: the
 * lock is held to find and count it, the copy is made outside. Age is looked at when a value is asked for, and whenever its shard needs room.
 */
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "rt/lock.h"
#include "rt/loop.h"
#include "store/blobs.h"

enum { SHARDS = 8, OVERHEAD = 160 }; /* overhead: bytes that an entry costs besides key and value */

struct value {
    unsigned refs; /* atomic */
    size_t n;
    char bytes[];
};

struct entry {
    struct list link; /* in the shard's list, most recent first */
    struct str key;   /* owned */
    struct value *value;
    ns_t kept_at;
};

struct shard {
    struct lock *lock;
    struct map by_key;
    struct list used;
    size_t bytes;
};

struct memory_blobs {
    struct blobs base;
    struct shard shards[SHARDS];
    size_t shard_bytes;
    ns_t max_age;
};

static struct memory_blobs *of(struct blobs *b)
{
    return CONTAINER_OF(b, struct memory_blobs, base);
}

static struct shard *shard_of(struct memory_blobs *m, struct str key)
{
    return &m->shards[map_hash(key) % SHARDS];
}

static void value_unref(struct value *v)
{
    if (__atomic_sub_fetch(&v->refs, 1, __ATOMIC_ACQ_REL) == 0)
        mem_free(v);
}

static size_t cost(const struct entry *e)
{
    return e->key.n + e->value->n + OVERHEAD;
}

static void drop(struct shard *s, struct entry *e)
{
    map_remove(&s->by_key, e->key);
    list_remove(&e->link);
    s->bytes -= cost(e);
    value_unref(e->value);
    mem_free((void *)(uintptr_t)e->key.p);
    mem_free(e);
}

static struct entry *oldest(struct shard *s)
{
    return list_is_empty(&s->used) ? NULL : CONTAINER_OF(s->used.prev, struct entry, link);
}

static bool is_old(const struct memory_blobs *m, const struct entry *e, ns_t now)
{
    return now - e->kept_at > m->max_age;
}

static err_t put(struct blobs *b, struct str key, struct str value)
{
    struct memory_blobs *m = of(b);
    struct shard *s = shard_of(m, key);
    ns_t now = rt_now();

    if (key.n + value.n + OVERHEAD > m->shard_bytes)
        return fail(E_TOO_LARGE, "%zu bytes are more than the store keeps of one thing", value.n);
    struct value *v = mem_alloc(sizeof *v + value.n);
    v->refs = 1;
    v->n = value.n;
    if (value.n)
        memcpy(v->bytes, value.p, value.n);
    struct entry *e = NEW(struct entry);
    *e = (struct entry){.key = {mem_dup(key.p, key.n), key.n}, .value = v, .kept_at = now};

    lock_take(s->lock);
    struct entry *former = map_get(&s->by_key, key);
    if (former)
        drop(s, former);
    for (struct entry *last = oldest(s); last && (s->bytes + cost(e) > m->shard_bytes || is_old(m, last, now));
         last = oldest(s))
        drop(s, last);
    map_put(&s->by_key, e->key, e);
    list_push_front(&s->used, &e->link);
    s->bytes += cost(e);
    lock_give(s->lock);
    return OK;
}

static struct value *find(struct memory_blobs *m, struct str key)
{
    struct shard *s = shard_of(m, key);
    struct value *v = NULL;

    lock_take(s->lock);
    struct entry *e = map_get(&s->by_key, key);
    if (e && is_old(m, e, rt_now())) {
        drop(s, e);
    } else if (e) {
        list_remove(&e->link);
        list_push_front(&s->used, &e->link);
        v = e->value;
        __atomic_add_fetch(&v->refs, 1, __ATOMIC_RELAXED);
    }
    lock_give(s->lock);
    return v;
}

static err_t get(struct blobs *b, struct str key, struct arena *arena, struct str *ret_value)
{
    struct value *v = find(of(b), key);
    char *to;

    if (!v)
        return fail(E_NOT_FOUND, "it is not kept, or no longer");
    err_t e = arena_try(arena, v->n, &to);
    if (e == OK) {
        memcpy(to, v->bytes, v->n);
        *ret_value = str_of(to, v->n);
    }
    value_unref(v);
    return e;
}

static err_t remove_key(struct blobs *b, struct str key)
{
    struct shard *s = shard_of(of(b), key);

    lock_take(s->lock);
    struct entry *e = map_get(&s->by_key, key);
    if (e)
        drop(s, e);
    lock_give(s->lock);
    return e ? OK : fail(E_NOT_FOUND, "it is not kept, or no longer");
}

static void free_all(struct blobs *b)
{
    struct memory_blobs *m = of(b);

    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *s = &m->shards[i];
        for (struct entry *e = oldest(s); e; e = oldest(s))
            drop(s, e);
        map_release(&s->by_key);
        lock_free(s->lock);
    }
    mem_free(m);
}

static const struct blobs_ops ops = {.put = put, .get = get, .remove = remove_key, .free = free_all};

struct blobs *memory_blobs_new(size_t max_bytes, ns_t max_age)
{
    struct memory_blobs *m = NEW(struct memory_blobs);

    m->base.ops = &ops;
    m->shard_bytes = max_bytes / SHARDS;
    m->max_age = max_age;
    for (size_t i = 0; i < SHARDS; i++) {
        m->shards[i].lock = lock_new();
        list_init(&m->shards[i].used);
    }
    return &m->base;
}
