/* traces.h - traces as people see them: found by the beginning of an id, and listed. Works on a journal, from any fiber. */
#ifndef PIPELINE_TRACES_H
#define PIPELINE_TRACES_H

#include "base/arena.h"
#include "rt/fiber.h"
#include "store/journal.h"

/* A root that is over, or was parked with dead letters. Texts are in the arena that it was read into. */
struct root_trace {
    struct journal_id id;
    char hex[2 * sizeof(struct journal_id) + 1];
    struct str pipeline;
    int64_t at;      /* when it was over, nanoseconds since 1970 */
    struct str json; /* what trace_write() says of it            */
};

/*
 * A page of traces, oldest first; of one pipeline, or, if it is empty, of all. *after: 0 for the first page; set to what the next one begins with, 0: that was
 * all. Suspends. Errors: journal_read()'s.
 */
err_t traces_page(struct journal *j, struct str pipeline, uint64_t *after, struct arena *arena, struct root_trace **ret,
                  size_t *ret_count) SUSPENDS MUST_CHECK;
/*
 * The one whose id begins with these hexadecimal digits. Suspends; fewer digits than all make it look through all traces.
 *
 * Errors: E_NOT_FOUND; E_PARSE: that is no beginning of an id; E_CONFLICT: several begin so; journal_read()'s.
 */
err_t traces_find(struct journal *j, struct str id, struct arena *arena, struct root_trace *ret) SUSPENDS MUST_CHECK;

#endif
