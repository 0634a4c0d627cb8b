/*
 * arena.c - bump allocation in blocks.
 *
 * The first block is small (most requests need no second), later ones double up to a limit; an allocation larger than
 * the next block gets a block of its own size. arena_clear() keeps the first block, so an arena that is reused costs no
 * call to the allocator on the warm path.
 */
#include "base/arena.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

enum { FIRST_BLOCK = 8 * 1024 - 64, LARGEST_BLOCK = 64 * 1024 };

struct arena_block {
    struct arena_block *older;
    size_t size; /* usable bytes behind the header */
    char bytes[] __attribute__((aligned(ARENA_ALIGN)));
};

struct arena_hold {
    struct arena_hold *older;
    void *obj;
    void (*give_back)(void *obj);
};

void arena_init(struct arena *a, size_t max)
{
    *a = (struct arena){.max = max};
}

void arena_init_small(struct arena *a, size_t max, unsigned first)
{
    *a = (struct arena){.max = max, .first = first};
}

static void give_back_all(struct arena *a)
{
    while (a->holds) {
        struct arena_hold *h = a->holds;
        a->holds = h->older;
        h->give_back(h->obj);
    }
}

static void free_blocks(struct arena *a, bool keep_first)
{
    struct arena_block *b = a->blocks;

    while (b && (b->older || !keep_first || b->size > FIRST_BLOCK)) { /* a large first one is not kept either */
        struct arena_block *older = b->older;
        mem_free(b);
        b = older;
    }
    a->blocks = b;
    a->at = b ? b->bytes : NULL;
    a->end = b ? b->bytes + b->size : NULL;
    a->used = b ? b->size : 0;
}

void arena_clear(struct arena *a)
{
    give_back_all(a);
    free_blocks(a, true);
    a->count = 0;
}

void arena_release(struct arena *a)
{
    give_back_all(a);
    free_blocks(a, false);
}

static size_t aligned(size_t n)
{
    return (n + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
}

static void add_block(struct arena *a, size_t need)
{
    size_t size = a->blocks ? a->blocks->size * 2 : a->first ? a->first : FIRST_BLOCK;

    if (size > LARGEST_BLOCK)
        size = LARGEST_BLOCK;
    size = aligned(size < need ? need : size); /* `first` may be any number */
    struct arena_block *b = mem_alloc(sizeof *b + size);
    b->older = a->blocks;
    b->size = size;
    a->blocks = b;
    a->at = b->bytes;
    a->end = b->bytes + size;
    a->used += size;
}

void *arena_more(struct arena *a, size_t n)
{
    if (n > SIZE_MAX / 2)
        die("arena: %zu bytes", n);
    size_t need = n ? aligned(n) : ARENA_ALIGN; /* never NULL, not even for nothing */
    if ((size_t)(a->end - a->at) < need)
        add_block(a, need);
    return arena_alloc(a, need);
}

void *arena_zalloc(struct arena *a, size_t n)
{
    return memset(arena_alloc(a, n), 0, n);
}

err_t arena_try(struct arena *a, size_t n, char **ret_p)
{
    bool fits = n <= (size_t)(a->end - a->at); /* in what was taken already */
    if ((!fits && (n > a->max || a->used > a->max - n)) || mem_limit_strikes())
        return fail(E_TOO_LARGE, "the request needs more than %zu bytes of memory", a->max);
    *ret_p = arena_alloc(a, n);
    return OK;
}

struct str arena_str(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1);
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return str_of(p, s.n);
}

struct str arena_lower(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1);

    for (size_t i = 0; i < s.n; i++)
        p[i] = ascii_lower(s.p[i]);
    p[s.n] = '\0';
    return str_of(p, s.n);
}

struct str arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        die("bad format \"%s\"", fmt);
    char *p = arena_alloc(a, (size_t)n + 1);
    va_start(ap, fmt);
    (void)vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return str_of(p, (size_t)n);
}

struct str arena_join(struct arena *a, struct str x, struct str y)
{
    char *p = arena_alloc(a, x.n + y.n + 1);
    if (x.n)
        memcpy(p, x.p, x.n);
    if (y.n)
        memcpy(p + x.n, y.p, y.n);
    p[x.n + y.n] = '\0';
    return str_of(p, x.n + y.n);
}

void *arena_list_room(struct arena *a, void *items, size_t n, size_t size, size_t first, size_t most)
{
    if (n != 0 && n != first)
        return items;
    void *more = arena_alloc(a, (n ? most : first) * size);
    if (n)
        memcpy(more, items, n * size);
    return more;
}

void arena_hold(struct arena *a, void *obj, void (*give_back)(void *obj))
{
    struct arena_hold *h = arena_alloc(a, sizeof *h);
    *h = (struct arena_hold){a->holds, obj, give_back};
    a->holds = h;
}
