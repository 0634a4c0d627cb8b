/*
 * stack_census.h - how deep each kind of fiber reaches into its stack, for `make stack`.
 *
 * Off unless switched on; then every fiber costs some tens of microseconds more. One table for the process: a line for each name
 * that fibers are spawned with. docs/internals/rt.md says how to read it.
 */
#ifndef RT_STACK_CENSUS_H
#define RT_STACK_CENSUS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One kind of fiber: all that were spawned with this name. */
struct stack_use {
    char name[48];   /* cut if longer                                                    */
    size_t deepest;  /* bytes from a stack's beginning to the lowest byte that was reached */
    uint64_t fibers; /* that have ended                                                  */
};

/* Count the fibers of loops that begin from now on, or no more. Returns what it was before. Nothing is counted under Valgrind, which
 * takes a look at unused stack for an error. From any thread. */
bool stack_census_set(bool on);
/* What was counted under `name`; zero `fibers` if nothing was. From any thread. */
struct stack_use stack_census_of(const char *name);
/* Append the table to the file at `path`, as lines of "deepest-bytes stack-size fibers name", in one write: many processes may share
 * the file. Blocks. E_IO. */
err_t stack_census_append(const char *path) MUST_CHECK;

#endif
