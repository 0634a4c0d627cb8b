/*
 * map.c - hash table with linear probing.
 *
 * At most 3/4 full. Removal moves later entries of the same run back (Knuth, vol. 3, 6.4, algorithm R), so there are no
 * tombstones and lookups do not slow down with age. The hash is SipHash-1-3 (Aumasson and Bernstein, 2012, with the
 * rounds reduced as usual for tables in memory).
 */
#include "base/map.h"

#include "base/mem.h"

struct map_slot {
    struct str key;
    uint64_t hash;
    void *value; /* NULL: free */
};

static uint64_t hash_k0 = 0x0706050403020100U, hash_k1 = 0x0f0e0d0c0b0a0908U;

void map_set_hash_key(const unsigned char key[16])
{
    memcpy(&hash_k0, key, 8);
    memcpy(&hash_k1, key + 8, 8);
}

struct sip {
    uint64_t a, b, c, d;
};

static inline uint64_t rotate(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

/* By value, so that the state stays in registers. */
static inline struct sip sip_round(struct sip v)
{
    v.a += v.b;
    v.c += v.d;
    v.b = rotate(v.b, 13) ^ v.a;
    v.d = rotate(v.d, 16) ^ v.c;
    v.a = rotate(v.a, 32);
    v.c += v.b;
    v.a += v.d;
    v.b = rotate(v.b, 17) ^ v.c;
    v.d = rotate(v.d, 21) ^ v.a;
    v.c = rotate(v.c, 32);
    return v;
}

static inline struct sip sip_word(struct sip v, uint64_t word)
{
    v.d ^= word;
    v = sip_round(v);
    v.a ^= word;
    return v;
}

uint64_t map_hash(struct str s)
{
    struct sip v = {hash_k0 ^ 0x736f6d6570736575U, hash_k1 ^ 0x646f72616e646f6dU, hash_k0 ^ 0x6c7967656e657261U,
                    hash_k1 ^ 0x7465646279746573U};
    uint64_t word;
    size_t i = 0;

    for (; i + 8 <= s.n; i += 8) {
        memcpy(&word, s.p + i, 8);
        v = sip_word(v, word);
    }
    word = (uint64_t)s.n << 56;
    for (size_t k = 0; i + k < s.n; k++)
        word |= (uint64_t)(unsigned char)s.p[i + k] << (8 * k);
    v = sip_word(v, word);
    v.c ^= 0xff;
    v = sip_round(sip_round(sip_round(v)));
    return v.a ^ v.b ^ v.c ^ v.d;
}

void map_release(struct map *m)
{
    mem_free(m->slots);
    *m = (struct map){0};
}

/* The slot of `key`, or the free one where it would go. The table has at least one free slot. */
static struct map_slot *find(const struct map *m, struct str key, uint64_t hash)
{
    size_t i = hash & (m->size - 1);

    while (m->slots[i].value && !(m->slots[i].hash == hash && str_eq(m->slots[i].key, key)))
        i = (i + 1) & (m->size - 1);
    return &m->slots[i];
}

void *map_get(const struct map *m, struct str key)
{
    return m->count ? find(m, key, map_hash(key))->value : NULL;
}

static void grow(struct map *m)
{
    struct map old = *m;

    m->size = old.size ? old.size * 2 : 8;
    m->slots = mem_zalloc(m->size, sizeof *m->slots);
    for (size_t i = 0; i < old.size; i++)
        if (old.slots[i].value)
            *find(m, old.slots[i].key, old.slots[i].hash) = old.slots[i];
    mem_free(old.slots);
}

void *map_put(struct map *m, struct str key, void *value)
{
    if ((m->count + 1) * 4 > m->size * 3)
        grow(m);
    uint64_t hash = map_hash(key);
    struct map_slot *slot = find(m, key, hash);
    void *former = slot->value;
    if (!former)
        m->count++;
    *slot = (struct map_slot){key, hash, value};
    return former;
}

void *map_remove(struct map *m, struct str key)
{
    if (!m->count)
        return NULL;
    struct map_slot *slot = find(m, key, map_hash(key));
    void *former = slot->value;
    if (!former)
        return NULL;
    size_t mask = m->size - 1, hole = (size_t)(slot - m->slots), i = hole;
    for (;;) {
        i = (i + 1) & mask;
        if (!m->slots[i].value)
            break;
        size_t home = m->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = (struct map_slot){0};
    m->count--;
    return former;
}

bool map_next(const struct map *m, size_t *at, struct str *ret_key, void **ret_value)
{
    while (*at < m->size) {
        const struct map_slot *slot = &m->slots[(*at)++];
        if (slot->value) {
            *ret_key = slot->key;
            *ret_value = slot->value;
            return true;
        }
    }
    return false;
}
