/*
 * mem.h - the only door to the allocator.
 *
 * Small internal objects: these functions never return NULL; memory that the system refuses ends the process with a
 * message (docs/adr/0004). What a peer can make large is limited before it is allocated, by a buf's or an arena's
 * maximum, and yields E_TOO_LARGE.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `n` bytes, not initialised; the caller frees with mem_free(). n == 0 gives a pointer that may be freed. */
void *mem_alloc(size_t n) MUST_CHECK __attribute__((malloc, returns_nonnull));
/* `count` x `size` zeroed bytes; dies on overflow of the product. */
void *mem_zalloc(size_t count, size_t size) MUST_CHECK __attribute__((malloc, returns_nonnull));
/* realloc() that never fails. */
void *mem_realloc(void *p, size_t n) MUST_CHECK __attribute__((returns_nonnull));
/* Takes NULL. */
void mem_free(void *p);
/* Copy of `n` bytes with a NUL behind them; the caller frees. */
char *mem_dup(const void *p, size_t n) MUST_CHECK;

/*
 * For tests: what a buf or an arena asks before it takes memory that a peer may have made large; true: refuse, as if its maximum were
 * reached. Set before any loop runs and NULL in production: one branch, on the slow path only.
 */
extern bool (*mem_limit_hook)(void);

static inline bool mem_limit_strikes(void)
{
    return mem_limit_hook && mem_limit_hook();
}

/* For tests: told of each call to the allocator for memory. Set and NULL as above. */
extern void (*mem_call_hook)(void);

/* Zeroed object of a type. */
#define NEW(type) ((type *)mem_zalloc(1, sizeof(type)))

/* Have the `n` bytes from `p` on at hand when they will be written soon: memory that is used in turn never is. They may lie beyond what is ours. */
static inline void mem_prefetch(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i += 64)
        __builtin_prefetch(p + i, 1);
}

#endif
