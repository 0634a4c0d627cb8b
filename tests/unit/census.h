/* census.h - the stack census of a test program: on if CROSSDOCK_STACK_CENSUS names a file, to which the table is appended. */
#ifndef UNIT_CENSUS_H
#define UNIT_CENSUS_H

#include "rt/stack_census.h"

#include <stdio.h>
#include <stdlib.h>

/* Weak: a test program may be linked without rt/, and then has no fibers to count. */
extern __typeof__(stack_census_set) stack_census_set __attribute__((weak));
extern __typeof__(stack_census_append) stack_census_append __attribute__((weak));

static inline const char *census_begin(void)
{
    const char *path = stack_census_set ? getenv("CROSSDOCK_STACK_CENSUS") : NULL;

    if (path)
        (void)stack_census_set(true);
    return path;
}

/* Returns the program's exit status. */
static inline int census_end(const char *path, int status)
{
    if (!path || stack_census_append(path) == OK)
        return status;
    (void)fprintf(stderr, "stack census: %s\n", err_detail(E_IO));
    return 2;
}

#endif
