/*
 * hash.c - a hash for repeatable choices: eight bytes at a time through a folded 128-bit product.
 *
 * base/map.h hashes with a key that differs per process, so that peers cannot choose collisions; here the opposite is
 * wanted: the simulated provider gives the same answer to the same question tomorrow and elsewhere. Words are read in
 * little-endian order, which all machines that we build for have.
 */
#include "sim/hash.h"

#include "codec/digest.h"

#include <assert.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are read as they lie in memory");

static const uint64_t MIX_A = 0xa0761d6478bd642fU, MIX_B = 0xe7037ed1a0b428dbU;

static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t sim_hash_u64(uint64_t h, uint64_t v)
{
    return fold(h ^ MIX_A, v ^ MIX_B) ^ fold(h + MIX_B, MIX_A);
}

uint64_t sim_hash(uint64_t h, struct str s)
{
    const char *p = s.p;
    size_t left = s.n;
    uint64_t word;

    for (; left >= sizeof(word); p += sizeof(word), left -= sizeof(word)) {
        memcpy(&word, p, sizeof(word));
        h = fold(h ^ word ^ MIX_A, MIX_B);
    }
    if (left > 0) {
        word = 0;
        memcpy(&word, p, left);
        h = fold(h ^ word ^ MIX_B, MIX_A);
    }
    return sim_hash_u64(h, s.n);
}

void sim_uuid(char out[SIM_UUID_CHARS], uint64_t unique, uint64_t part)
{
    uint64_t bits[2] = {sim_hash_u64(unique, part), sim_hash_u64(unique + 1, part)};
    char hex[2 * sizeof(bits)], *to = out;

    hex_encode(hex, bits, sizeof(bits));
    hex[12] = '8';                   /* version */
    hex[16] = "89ab"[bits[1] >> 62]; /* variant */
    for (size_t i = 0; i < sizeof(hex); i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20)
            *to++ = '-';
        *to++ = hex[i];
    }
}
