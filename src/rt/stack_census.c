/*
 * stack_census.c - the deepest use of stack by name of fiber.
 *
 * Idea. A stack's pages are zero until they are reached, so the lowest byte that is not zero is where a fiber has been. In this
 * mode a stack is made zero before each fiber, because a recycled one has the marks of the fibers before.
 *
 * Measured on the fiber itself, when its function has returned: what the census calls is shallower than any function that waits. Bytes
 * that were reached but only ever written as zero are not seen; return addresses and saved registers lie among them, so the error is
 * less than the frame of the deepest function.
 *
 * Not here: what fails for being too deep (scripts/stack).
 */
#include "rt/stack_census.h"

#include "base/buf.h"
#include "rt/fiber_int.h"
#include "rt/stack_int.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { NAMES_MAX = 256, LINE_MAX_BYTES = 128 };

static atomic_bool is_on;
static struct {
    pthread_mutex_t lock; /* loops of several threads write */
    unsigned count;
    struct stack_use uses[NAMES_MAX];
} census = {.lock = PTHREAD_MUTEX_INITIALIZER};

bool stack_census_set(bool on)
{
    return atomic_exchange(&is_on, on);
}

bool stack_census_is_on(void)
{
    return atomic_load_explicit(&is_on, memory_order_relaxed) && !sanitize_is_watched();
}

/* The line of `name`, made if there is none; NULL if the table is full. The lock is held. */
static struct stack_use *find(const char *name)
{
    struct stack_use *u = census.uses;

    for (; u < census.uses + census.count; u++)
        if (strncmp(u->name, name, sizeof u->name - 1) == 0)
            return u;
    if (census.count == NAMES_MAX)
        return NULL;
    census.count++;
    memcpy(u->name, name, strnlen(name, sizeof u->name - 1));
    return u;
}

/* Not instrumented: the stack below the running frame is poisoned in places. */
static NO_ASAN size_t depth(const struct fiber *f)
{
    const volatile uint64_t *at = (const volatile uint64_t *)(const void *)f->stack_low;

    while (*at == 0)
        at++;
    return (size_t)((const char *)f - (const char *)at);
}

void stack_census_note(const struct fiber *f)
{
    size_t deepest = depth(f);

    (void)pthread_mutex_lock(&census.lock);
    struct stack_use *u = find(f->name);
    if (u) {
        u->fibers++;
        if (u->deepest < deepest)
            u->deepest = deepest;
    }
    (void)pthread_mutex_unlock(&census.lock);
}

void stack_census_clean(struct fiber *f)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *kept = f->stack_low + ((size_t)((char *)f - f->stack_low) & ~(page - 1)); /* shares its page with *f */

    (void)madvise(f->stack_low, (size_t)(kept - f->stack_low), MADV_DONTNEED);
    memset(kept, 0, (size_t)((char *)f - kept));
}

struct stack_use stack_census_of(const char *name)
{
    (void)pthread_mutex_lock(&census.lock);
    struct stack_use *u = find(name);
    struct stack_use found = u ? *u : (struct stack_use){0};
    (void)pthread_mutex_unlock(&census.lock);
    return found;
}

err_t stack_census_append(const char *path)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(NAMES_MAX * LINE_MAX_BYTES);

    (void)pthread_mutex_lock(&census.lock);
    for (const struct stack_use *u = census.uses; u < census.uses + census.count; u++)
        if (u->fibers)
            buf_addf(&b, "%zu %d %llu %s\n", u->deepest, STACK_SIZE, (unsigned long long)u->fibers, u->name);
    (void)pthread_mutex_unlock(&census.lock);
    TRY(buf_status(&b));
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return fail(E_IO, "%s: %s", path, strerrordesc_np(errno));
    ssize_t n = write(fd, b.p, b.n);
    int error = n < 0 ? errno : ENOSPC;
    (void)close(fd);
    return n == (ssize_t)b.n ? OK : fail(E_IO, "%s: %s", path, strerrordesc_np(error));
}
