/* mem.c - allocation that does not fail: see mem.h for the rule. */
#include "base/mem.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

bool (*mem_limit_hook)(void);
void (*mem_call_hook)(void);

static inline void note_call(void)
{
    if (UNLIKELY(mem_call_hook != NULL))
        mem_call_hook();
}

void *mem_alloc(size_t n)
{
    note_call();
    void *p = malloc(n ? n : 1);
    if (!p)
        die("out of memory: %zu bytes", n);
    return p;
}

void *mem_zalloc(size_t count, size_t size)
{
    note_call();
    void *p = calloc(count ? count : 1, size ? size : 1);
    if (!p)
        die("out of memory: %zu x %zu bytes", count, size);
    return p;
}

void *mem_realloc(void *p, size_t n)
{
    note_call();
    void *q = realloc(p, n ? n : 1);
    if (!q)
        die("out of memory: %zu bytes", n);
    return q;
}

void mem_free(void *p)
{
    free(p);
}

char *mem_dup(const void *p, size_t n)
{
    char *q = mem_alloc(n + 1);
    if (n)
        memcpy(q, p, n);
    q[n] = '\0';
    return q;
}
