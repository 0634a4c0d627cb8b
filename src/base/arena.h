/*
 * arena.h - memory of one request: allocated by bumping a pointer, freed all at once.
 *
 * Everything that is parsed or built for a request lives in its arena. Nothing longer-lived points into it: copy out. An
 * arena has a maximum, so what a peer can make large ends in E_TOO_LARGE for the caller that asked with arena_try();
 * arena_alloc() is for small internal objects and dies only if the system has no memory. Blocks come from the heap and, for
 * the common small request, from one block that the owner keeps and hands in again (struct arena may be reused after
 * arena_clear()).
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/err.h"
#include "base/str.h"

struct arena_block;
struct arena_hold;

struct arena {
    char *at, *end;             /* free space in the current block            */
    struct arena_block *blocks; /* newest first                               */
    struct arena_hold *holds;   /* references to give back, newest first      */
    size_t used;                /* bytes in all blocks, for the limit         */
    size_t max;
    unsigned count; /* allocations since it was cleared, so that tests can pin it */
    unsigned first; /* bytes of the first block; 0: the usual                     */
};

/* An empty arena that takes at most `max` bytes from arena_try(). Allocates nothing yet. */
void arena_init(struct arena *a, size_t max);
/* The same for what there is a lot of, and whose size is known about: the first block has `first` bytes, and each further one twice as many. */
void arena_init_small(struct arena *a, size_t max, unsigned first);
/* Give back what it holds and free all memory but one small block, kept for reuse. */
void arena_clear(struct arena *a);
/* Give back what it holds and free everything. Takes a zeroed arena. Fit for CLEANUP. */
void arena_release(struct arena *a);

/* `n` bytes aligned for any type, not initialised; valid until clear or release. */
static inline void *arena_alloc(struct arena *a, size_t n) MUST_CHECK __attribute__((returns_nonnull));
/* The same, zeroed. */
void *arena_zalloc(struct arena *a, size_t n) MUST_CHECK __attribute__((returns_nonnull));
/* `n` bytes whose size a peer chose. E_TOO_LARGE past the arena's maximum. */
err_t arena_try(struct arena *a, size_t n, char **ret_p) MUST_CHECK;
/* Copy of `s`, with a NUL behind it that is not counted. */
struct str arena_str(struct arena *a, struct str s);
/* Formatted text, with a NUL behind it that is not counted. */
struct str arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Copy of `s` in ASCII lower case, with a NUL behind it that is not counted. */
struct str arena_lower(struct arena *a, struct str s);
/* a and b joined. */
struct str arena_join(struct arena *a, struct str x, struct str y);
/*
 * Room for one more behind `n` items of `size` bytes that are nearly always few, and in no case more than `most`: for `first` of them at first, then at
 * once for all. `items` or where they are now; NULL is fit for n = 0. n < most.
 */
void *arena_list_room(struct arena *a, void *items, size_t n, size_t size, size_t first, size_t most) MUST_CHECK
__attribute__((returns_nonnull));
/* Call `give_back(obj)` on clear or release, newest first: so an arena can hold counted things. */
void arena_hold(struct arena *a, void *obj, void (*give_back)(void *obj));

/* --- a request allocates some forty times, so the common case is inline --- */

enum { ARENA_ALIGN = 16 };

/* What arena_alloc() does when the current block has not so much room, or nothing is asked for. */
void *arena_more(struct arena *a, size_t n) MUST_CHECK __attribute__((returns_nonnull));

/* Room is a multiple of ARENA_ALIGN, so what fits also fits when it is rounded up. */
static inline void *arena_alloc(struct arena *a, size_t n)
{
    if (UNLIKELY(n - 1 >= (size_t)(a->end - a->at)))
        return arena_more(a, n);
    void *p = a->at;
    a->at += (n + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    a->count++;
    return p;
}

#define arena_new(a, type) ((type *)arena_zalloc((a), sizeof(type)))

#endif
