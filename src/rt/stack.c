/*
 * stack.c - stacks for fibers: carved from slabs, guarded, pooled.
 *
 * Idea. A stack is 256 KiB of address space, of which only the pages that were touched cost memory. Below it lie 64 KiB of guard, made
 * by MADV_GUARD_INSTALL (Linux 6.13), which needs no mapping of its own, or by mprotect(), which splits the mapping
 * and so limits the number of stacks to a third of vm.max_map_count.
 *
 * A free stack keeps its pages, because giving them back costs 5 us and taking one from the pool 20 ns. Two things bound that memory. A
 * stack that was used deeply gives back all but its top 32 KiB: whether it was is read off a page that is zero as
 * long as nothing reached it, so that no stack pays a page for a written pattern. And no more than STACK_WARM_MAX free stacks stay warm;
 * the rest is trimmed a few per turn.
 *
 * Cache colours. If all stacks began at the same place modulo a power of two, the hot tops of all fibers would compete for
 * a few sets of the caches. So the stride is odd in pages, and the top is lowered by a few lines, differently for neighbours.
 *
 * Not here: what runs on the stack (fiber.c), the report of an overflow (dump.c).
 */
#include "rt/stack_int.h"

#include "base/mem.h"
#include "rt/fiber_int.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

enum {
    STACKS_MAX = 4 * 1000 * 1000, /* a ceiling where nothing else gives one: 1.3 TB of address space */
    COLOURS = 8,
    COLOUR_STEP = 192,
    PROBES = 16, /* words looked at to see whether a stack was used below STACK_KEEP */
    PROBE_SPAN = 4096,
};

/* A third of the process's mappings, shared by the mprotect()ed stacks of all loops. */
static _Atomic unsigned guarded_by_mprotect;

static unsigned max_map_count(void)
{
    char text[32];
    int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 65530;
    ssize_t n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    text[n > 0 ? n : 0] = '\0';
    unsigned long count = strtoul(text, NULL, 10);
    return count > 0 && count < STACKS_MAX ? (unsigned)count : 65530;
}

static char *slab_map(const struct stack_pool *p)
{
    size_t bytes = p->stride * STACKS_PER_SLAB;
    char *slab =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (slab == MAP_FAILED)
        return NULL;
    (void)madvise(slab, bytes, MADV_NOHUGEPAGE); /* EINVAL: a kernel without huge pages */
    return slab;
}

static bool guard_install(const struct stack_pool *p, char *guard)
{
    if (!p->use_mprotect)
        return madvise(guard, STACK_GUARD, MADV_GUARD_INSTALL) == 0;
    return mprotect(guard, STACK_GUARD, PROT_NONE) == 0;
}

static char *stack_low(const struct stack_pool *p, unsigned number)
{
    return p->slabs[number / STACKS_PER_SLAB] + number % STACKS_PER_SLAB * p->stride + STACK_GUARD;
}

struct fiber *stack_fiber(const struct stack_pool *p, unsigned number)
{
    char *top = stack_low(p, number) + STACK_SIZE - number % COLOURS * COLOUR_STEP;
    return (struct fiber *)(void *)(top - sizeof(struct fiber));
}

static void slab_add(struct stack_pool *p)
{
    char *slab = slab_map(p);
    if (!slab)
        die("no address space for fiber stacks: %s", strerrordesc_np(errno));
    p->slabs = mem_realloc(p->slabs, (p->slab_count + 1) * sizeof *p->slabs);
    p->cold = mem_realloc(p->cold, (p->slab_count + 1) * STACKS_PER_SLAB * sizeof *p->cold);
    p->slabs[p->slab_count++] = slab;
}

err_t stack_pool_init(struct stack_pool *p, unsigned max, bool use_mprotect)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    *p = (struct stack_pool){
        .max = max ? max : STACKS_MAX,
        .stride = STACK_GUARD + STACK_SIZE + page,
        .use_mprotect = use_mprotect,
        .watched = sanitize_is_watched(),
        .census = stack_census_is_on(),
    };
    list_init(&p->warm);
    slab_add(p);
    if (!guard_install(p, p->slabs[0])) {
        p->use_mprotect = true;
        if (!guard_install(p, p->slabs[0]))
            return fail(E_IO, "cannot guard fiber stacks: %s", strerrordesc_np(errno));
    }
    unsigned most = max_map_count() / 3;
    if (p->use_mprotect && p->max > most)
        p->max = most;
    return OK;
}

void stack_pool_release(struct stack_pool *p)
{
    for (unsigned i = 0; i < p->carved; i++) {
        struct fiber *f = stack_fiber(p, i);
        if (f->state != FIBER_NONE)
            sanitize_stack_end(&f->context);
        sanitize_stack_unmapped(stack_low(p, i), STACK_SIZE, f->watch_id);
    }
    if (p->use_mprotect)
        atomic_fetch_sub(&guarded_by_mprotect, p->carved);
    for (unsigned i = 0; i < p->slab_count; i++)
        (void)munmap(p->slabs[i], p->stride * STACKS_PER_SLAB);
    mem_free(p->slabs);
    mem_free(p->cold);
    *p = (struct stack_pool){0};
}

static struct fiber *stack_carve(struct stack_pool *p)
{
    unsigned number = p->carved;

    if (number >= p->max)
        die("more than %u fibers on one loop", p->max);
    if (p->use_mprotect && atomic_fetch_add(&guarded_by_mprotect, 1) >= max_map_count() / 3)
        die("no more fiber stacks: raise vm.max_map_count (a third of it is used for %u stacks)", number);
    if (number / STACKS_PER_SLAB == p->slab_count)
        slab_add(p);
    char *low = stack_low(p, number);
    if (!guard_install(p, low - STACK_GUARD))
        die("cannot guard fiber stack %u: %s", number, strerrordesc_np(errno));
    p->carved++;
    struct fiber *f = stack_fiber(p, number);
    f->stack_low = low;
    f->stack_number = number;
    f->watch_id = sanitize_stack_mapped(low, STACK_SIZE);
    return f;
}

struct fiber *stack_get(struct stack_pool *p)
{
    struct list *node = list_pop_front(&p->warm);
    if (LIKELY(node != NULL)) {
        p->warm_count--;
        return CONTAINER_OF(node, struct fiber, sibling);
    }
    if (p->cold_count == 0)
        return stack_carve(p);
    unsigned number = p->cold[--p->cold_count];
    struct fiber *f = stack_fiber(p, number);
    f->stack_low = stack_low(p, number);
    f->stack_number = number;
    return f;
}

/* Was the stack used below the part that it may keep? A heuristic: a large frame that was never written escapes it. */
static NO_ASAN bool is_deeply_used(const struct fiber *f)
{
    const volatile char *page = f->stack_low + STACK_SIZE - STACK_KEEP - PROBE_SPAN;
    uint64_t seen = 0;

    for (unsigned i = 0; i < PROBES; i++)
        seen |= *(const volatile uint64_t *)(page + i * (PROBE_SPAN / PROBES));
    return seen != 0;
}

void stack_put(struct stack_pool *p, struct fiber *f)
{
    f->state = FIBER_FREE;
    if (LIKELY(!p->watched) && UNLIKELY(is_deeply_used(f)))
        (void)madvise(f->stack_low, STACK_SIZE - STACK_KEEP, MADV_DONTNEED);
    list_push_front(&p->warm, &f->sibling);
    p->warm_count++;
}

void stack_trim(struct stack_pool *p)
{
    if (p->watched)
        return; /* Valgrind knows the stack by an id that lies in it */
    for (unsigned i = 0; i < STACK_TRIM_PER_TURN && p->warm_count > STACK_WARM_MAX; i++) {
        struct fiber *f = CONTAINER_OF(p->warm.prev, struct fiber, sibling);
        list_remove(&f->sibling);
        p->warm_count--;
        p->cold[p->cold_count++] = f->stack_number;
        sanitize_stack_end(&f->context);
        (void)madvise(f->stack_low, STACK_SIZE, MADV_DONTNEED); /* the struct goes with it: FIBER_NONE */
    }
}
