/*
 * prng.h - pseudo-random numbers that are the same on every machine: xoshiro256++ seeded by splitmix64.
 *
 * For choices, jitter and simulation; never for keys (the state can be computed from four outputs). The integers, prng_unit() and
 * the order of draws are exact everywhere. prng_exponential(), prng_normal() and prng_lognormal() use libm's log, exp and
 * sqrt, whose last bit may differ between C libraries; on one library they are exact too.
 *
 * Each call says how many 64-bit draws it takes, so that a reader can tell what shifts a stream of decisions.
 */
#ifndef BASE_PRNG_H
#define BASE_PRNG_H

#include "base/attr.h"

#include <stdbool.h>
#include <stdint.h>

/* Plain data: copy it to fork a stream, compare it to compare streams. */
struct prng {
    uint64_t s[4]; /* never all zero once seeded */
};

/* A bijection that scatters: close numbers give unrelated ones. A hash of 64 bits; splitmix64's step. */
static inline uint64_t prng_scatter(uint64_t x)
{
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

/* Start the stream of `seed`. Any seed is fit, 0 too; close seeds give unrelated streams. */
void prng_seed(struct prng *p, uint64_t seed);
/* A generator of its own, seeded from one draw of `p`: for a part that shall not shift the draws of the others. */
struct prng prng_fork(struct prng *p);
/* 64 random bits; one draw. */
uint64_t prng_next(struct prng *p);
/* Uniform in [0, bound), without bias; `bound` > 0. One draw, seldom (2^-64 * bound) more. */
uint64_t prng_below(struct prng *p, uint64_t bound);
/* Uniform in [lo, hi], both included; lo <= hi. As prng_below(). */
int64_t prng_range(struct prng *p, int64_t lo, int64_t hi);
/* Uniform in [0, 1), a multiple of 2^-53; one draw. */
double prng_unit(struct prng *p);
/* True with `probability` (0: never, 1: always); one draw, whatever the probability. */
bool prng_chance(struct prng *p, double probability);
/* Exponential with this mean, > 0; one draw. */
double prng_exponential(struct prng *p, double mean);
/* Normal with this mean and standard deviation; two draws. */
double prng_normal(struct prng *p, double mean, double sd);
/* Log-normal: exp of a normal with mean log(median) and standard deviation sigma; two draws. */
double prng_lognormal(struct prng *p, double median, double sigma);

#endif
