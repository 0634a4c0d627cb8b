/*
 * key_hashes.c - a table of keys lately presented, each at the one place that its keyed hash gives it; a newcomer takes the place of
 * whoever is there.
 *
 * The texts are compared only where all 64 bits of the keyed hash are equal. Nobody outside knows that hash's key, so nobody can bring another text
 * to the comparison, and the time that it takes tells nothing of a text. That a key was presented lately can be told by time only by who presents
 * that very key.
 *
 * Invariant: a place that holds a key holds that key's SHA-256. Holds at most PLACES keys of at most KEY_MAX bytes; longer ones are hashed each time.
 * Wrong keys come in too: they take places of right ones, whose next request is hashed again, and no more than that.
 */
#include "gateway/key_hashes.h"

#include "base/map.h"
#include "base/mem.h"

#include <string.h>

enum { PLACES = 256, KEY_MAX = 144 }; /* a power of two; keys that we make have 43 bytes */

struct place {
    uint64_t keyed; /* hash of the key under the process's own key */
    size_t n;       /* length of the key; 0: nobody is here */
    unsigned char sha256[SHA256_BYTES];
    char key[KEY_MAX];
};

struct key_hashes {
    struct sha256 *state;
    struct place places[PLACES];
    unsigned char alone[SHA256_BYTES]; /* of a key that has no place */
};

struct key_hashes *key_hashes_new(void)
{
    struct key_hashes *k = NEW(struct key_hashes);

    k->state = sha256_new();
    return k;
}

void key_hashes_free(struct key_hashes *k)
{
    if (!k)
        return;
    sha256_free(k->state);
    explicit_bzero(k, sizeof *k);
    mem_free(k);
}

static void take_place(struct key_hashes *k, struct place *p, uint64_t keyed, struct str key)
{
    p->keyed = keyed;
    p->n = key.n;
    memcpy(p->key, key.p, key.n);
    sha256_whole(k->state, key, p->sha256);
}

const unsigned char *key_hashes_get(struct key_hashes *k, struct str key)
{
    if (UNLIKELY(key.n == 0 || key.n > KEY_MAX)) {
        sha256_whole(k->state, key, k->alone);
        return k->alone;
    }
    uint64_t keyed = map_hash(key);
    struct place *p = &k->places[keyed % PLACES];
    if (UNLIKELY(p->keyed != keyed || p->n != key.n || memcmp(p->key, key.p, key.n) != 0))
        take_place(k, p, keyed, key);
    return p->sha256;
}
