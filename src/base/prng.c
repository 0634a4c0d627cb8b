/*
 * prng.c - xoshiro256++ (Blackman and Vigna, 2019), seeded by splitmix64 (Steele, Lea and Flood, 2014).
 *
 * The idea: 256 bits of state, a few shifts and adds per draw, a period of 2^256 - 1, and no statistical test known to fail it.
 * Bounded draws take the high half of a 128-bit product and reject the few draws that would bias it (Lemire, 2019). Floats take
 * the top 53 bits. The normal comes from Box and Muller's transform; its second value is thrown away, so that the
 * generator has no state but the four words.
 *
 * It keeps nothing secret and does not know of threads: every user has a struct prng of its own.
 */
#include "base/prng.h"

#include <assert.h>
#include <math.h>

static const double TWO_PI = 6.283185307179586476925286766559;

static uint64_t rotate(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = prng_scatter(*state);

    *state += 0x9e3779b97f4a7c15U;
    return z;
}

void prng_seed(struct prng *p, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        p->s[i] = splitmix(&seed); /* a bijection of four different states: at most one word is zero */
}

struct prng prng_fork(struct prng *p)
{
    struct prng child;

    prng_seed(&child, prng_next(p));
    return child;
}

uint64_t prng_next(struct prng *p)
{
    uint64_t *s = p->s, result = rotate(s[0] + s[3], 23) + s[0], t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t prng_below(struct prng *p, uint64_t bound)
{
    assert(bound > 0);
    unsigned __int128 product = (unsigned __int128)prng_next(p) * bound;
    if ((uint64_t)product < bound) {
        uint64_t reject = (0 - bound) % bound; /* 2^64 mod bound */
        while ((uint64_t)product < reject)
            product = (unsigned __int128)prng_next(p) * bound;
    }
    return (uint64_t)(product >> 64);
}

int64_t prng_range(struct prng *p, int64_t lo, int64_t hi)
{
    assert(lo <= hi);
    uint64_t span = (uint64_t)hi - (uint64_t)lo;
    uint64_t offset = span == UINT64_MAX ? prng_next(p) : prng_below(p, span + 1);
    return (int64_t)((uint64_t)lo + offset);
}

double prng_unit(struct prng *p)
{
    return (double)(prng_next(p) >> 11) * 0x1p-53;
}

bool prng_chance(struct prng *p, double probability)
{
    return prng_unit(p) < probability;
}

double prng_exponential(struct prng *p, double mean)
{
    return -mean * log(1.0 - prng_unit(p)); /* 1 - unit is in (0, 1] */
}

double prng_normal(struct prng *p, double mean, double sd)
{
    double radius = sqrt(-2.0 * log(1.0 - prng_unit(p)));

    return mean + sd * radius * cos(TWO_PI * prng_unit(p));
}

double prng_lognormal(struct prng *p, double median, double sigma)
{
    return median * exp(prng_normal(p, 0.0, sigma));
}
