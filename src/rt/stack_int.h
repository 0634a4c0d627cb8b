/*
 * stack_int.h - the pool of fiber stacks of one loop. Internal to rt/.
 *
 * Stacks are carved from slabs of address space and never unmapped before the loop ends. `warm` ones have touched pages and are reused
 * last-in first-out; `cold` ones have given their pages back.
 */
#ifndef RT_STACK_INT_H
#define RT_STACK_INT_H

#include "base/err.h"
#include "base/list.h"
#include "rt/sanitize.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STACK_SIZE = (RT_ASAN ? 4 : 1) * 256 * 1024,
    STACK_GUARD = 64 * 1024,  /* larger than any frame in the libraries that we call                  */
    STACK_KEEP = 32 * 1024,   /* bytes at the top that a recycled stack keeps                         */
    STACK_WARM_MAX = 512,     /* free stacks that keep their pages                                    */
    STACK_TRIM_PER_TURN = 16, /* stacks that give pages back in one turn, 5 us each                   */
    STACKS_PER_SLAB = 64,
};

struct fiber;

struct stack_pool {
    char **slabs;
    unsigned slab_count;
    unsigned carved; /* stacks made so far                                */
    unsigned max;    /* stacks that may be made                           */
    size_t stride;   /* from one stack's guard to the next one's          */
    struct list warm;
    unsigned warm_count;
    uint32_t *cold; /* numbers of the stacks without pages */
    unsigned cold_count;
    bool use_mprotect;
    bool watched; /* sanitize_is_watched() */
    bool census;  /* fibers are measured, see stack_census.h */
};

/* An empty pool; `max` stacks at most, 0: what the machine allows. E_IO if guards cannot be made. */
err_t stack_pool_init(struct stack_pool *p, unsigned max, bool use_mprotect) MUST_CHECK;
/* Unmap everything. */
void stack_pool_release(struct stack_pool *p);
/* A stack with the struct fiber at its top; only stack_low, stack_number and watch_id are set. Dies at the ceiling. */
struct fiber *stack_get(struct stack_pool *p);
/* Give it back; may be called while still running on it, if the next thing is to leave it for good. */
void stack_put(struct stack_pool *p, struct fiber *f);
/* Give back pages of what is free beyond STACK_WARM_MAX. Not from a fiber. */
void stack_trim(struct stack_pool *p);
/* The struct fiber of stack `number` < p->carved. It may be FIBER_NONE. */
struct fiber *stack_fiber(const struct stack_pool *p, unsigned number);

/* --- stack_census.c, for pools with `census` --- */

bool stack_census_is_on(void);
/* Before `f` starts: nothing that earlier fibers left may be on its stack. */
void stack_census_clean(struct fiber *f);
/* `f`, which runs still, has come to its end: count it. */
void stack_census_note(const struct fiber *f);

#endif
