/*
 * map.h - hash table from text to pointer.
 *
 * Open addressing, power-of-two size, keyed hash (SipHash-1-3 with a key that differs per process), so that a peer cannot choose
 * names that collide. Keys are borrowed: they live at least as long as the map. Lookup costs no allocation.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/str.h"

struct map_slot;

struct map {
    struct map_slot *slots;
    size_t count; /* keys held          */
    size_t size;  /* slots, power of 2  */
};

/* Set the key of the hash for the process, from 16 random bytes; before the first map is filled. */
void map_set_hash_key(const unsigned char key[16]);
/* Hash of `s` under the process's key; not stable between runs. */
uint64_t map_hash(struct str s) PURE;

/* A zeroed struct map is an empty map. Frees the table, not keys or values. Fit for CLEANUP. */
void map_release(struct map *m);
/* Value of `key`, or NULL. */
void *map_get(const struct map *m, struct str key) PURE;
/* Set the value (not NULL) of `key`; returns the former value or NULL. `key` is borrowed. */
void *map_put(struct map *m, struct str key, void *value);
/* Take `key` out; returns its value or NULL. */
void *map_remove(struct map *m, struct str key);
/* Iterate in table order: start with *at == 0; false at the end. Do not change the map meanwhile. */
bool map_next(const struct map *m, size_t *at, struct str *ret_key, void **ret_value);

#endif
