/*
 * key_hashes.h - SHA-256 of the keys that clients present, computed once for those that come again and again.
 *
 * A client presents the same key with every request. libcrypto hashes it in less time than it takes to get there: its code and the tables that it
 * asks are elsewhere in memory than ours, and push ours out of the processor's caches. One per loop: not thread-safe, never suspends.
 */
#ifndef GATEWAY_KEY_HASHES_H
#define GATEWAY_KEY_HASHES_H

#include "codec/digest.h"

struct key_hashes;

struct key_hashes *key_hashes_new(void);
/* Wipe what was kept, and free. Takes NULL. */
void key_hashes_free(struct key_hashes *k);
/* SHA-256 of `key`, of any length. Borrowed; good until the next call. */
const unsigned char *key_hashes_get(struct key_hashes *k, struct str key);

#endif
