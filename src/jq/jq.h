/*
 * jq.h - programs of full jq, for what the language of expr/ leaves out: definitions, recursion, unbounded generators.
 *
 * They run in a process of the `jq` program itself, one per program, which a hostile or mistaken one cannot leave: it has a limit of
 * memory, a time per document, no environment, no files, and its answers are checked as any foreign JSON is (docs/adr/0024). Everything
 * here blocks: on a worker, or where no loop runs. A struct jq belongs to one thread at a time.
 */
#ifndef JQ_JQ_H
#define JQ_JQ_H

#include "base/buf.h"
#include "base/str.h"
#include "base/time.h"

#include <stddef.h>

struct jq_limits {
    size_t memory; /* bytes of address space of the process          */
    size_t output; /* bytes of all results of one document           */
    ns_t time;     /* for one document, starting the process included */
};

/* A value beside the input, read as $name. */
struct jq_named {
    const char *name; /* without '$'                    */
    const char *json;
};

struct jq;

/*
 * Check a program, and make what runs it. Takes a start of the process, some milliseconds. The caller frees *ret_jq with jq_free().
 *
 * program  at most JQ_PROGRAM_MAX bytes; copied, as is what is named
 *
 * Errors: E_PARSE with jq's words (it does not compile), E_NOT_FOUND (jq is not installed), E_TOO_LARGE, E_DEADLINE, E_IO.
 */
err_t jq_new(struct str program, const struct jq_named *named, size_t named_count, const struct jq_limits *limits,
             struct jq **ret_jq) MUST_CHECK;
/* NULL is fine. Fit for CLEANUP of a pointer by a function of the caller's. */
void jq_free(struct jq *jq);
/*
 * Run the program on one JSON document; its results, any number of them, go behind what is in `b`, a line each.
 *
 * Errors, after which the next call goes on with a new process where that is needed: E_PARSE (the document is none, or the program failed
 * on it), E_DEADLINE, E_TOO_LARGE (memory or output), E_IO. Then `b` is as it was.
 */
err_t jq_run(struct jq *jq, struct str document, struct buf *b) MUST_CHECK;

enum { JQ_PROGRAM_MAX = 64 * 1024, JQ_NAMED_MAX = 32 };

#endif
