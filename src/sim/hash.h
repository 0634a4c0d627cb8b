/* hash.h - a 64-bit hash that is the same on every machine and in every run, for what must be repeatable. Pure. */
#ifndef SIM_HASH_H
#define SIM_HASH_H

#include "base/str.h"

#include <stdint.h>

/* Continue the hash `h` with the bytes of `s` and their count: ("ab", "c") and ("a", "bc") differ. Not for secrets. */
uint64_t sim_hash(uint64_t h, struct str s) PURE;
/* Continue it with a number. */
uint64_t sim_hash_u64(uint64_t h, uint64_t v) PURE;

enum { SIM_UUID_CHARS = 36 };
/* A UUID (RFC 9562, version 8) of `unique` and `part`: the form of several providers' ids. No NUL. */
void sim_uuid(char out[SIM_UUID_CHARS], uint64_t unique, uint64_t part);

#endif
