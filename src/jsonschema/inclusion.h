/*
 * inclusion.h - does every document that fits one schema fit another? For edges between who writes documents and who reads them. Pure.
 *
 * The answer is a proof, a document that shows the contrary, or that it is not known, and why. A document is told only after both schemas
 * have been asked about it, so it is never wrong. What is decided exactly, and what is not, is in docs/schemas.md.
 *
 * Takes as much stack as the schemas are nested, up to 400 KiB: not for fibers.
 */
#ifndef JSONSCHEMA_INCLUSION_H
#define JSONSCHEMA_INCLUSION_H

#include "jsonschema/jsonschema.h"

enum {
    INCLUSION_STEPS = 400000, /* by default: a second or so at the worst */
    INCLUSION_READS_MAX = 1000,
};

/* What "every document of the producer" means, and what of it must fit. */
enum inclusion_reading {
    INCLUSION_HONEST, /* the producer writes only members that its schema declares */
    INCLUSION_STRICT, /* sets of documents: an open object may hold anything       */
    INCLUSION_USAGE,  /* as honest, and the consumer looks only at what it reads   */
};

enum inclusion_verdict { INCLUSION_PROVEN, INCLUSION_REFUTED, INCLUSION_UNKNOWN };

/* Zero is the default of each. */
struct inclusion_options {
    enum inclusion_reading reading;
    const struct str
        *reads; /* of INCLUSION_USAGE: paths as expr_reads() gives them: ".a.b", ".tags[]", "." for everything */
    size_t read_count;
    uint64_t steps; /* 0: INCLUSION_STEPS */
};

struct inclusion_result {
    enum inclusion_verdict verdict;
    struct str
        document;    /* refuted: JSON that fits the producer's schema and not the consumer's                       */
    struct str why;  /* refuted: what is wrong with it, with its place; unknown: what could not be decided         */
    struct str path; /* refuted: where in the document (JSON pointer), or the path that is read and never written   */
};

/*
 * Compare two schemas. Does not suspend.
 *
 * arena   working memory (some hundred bytes for each step), and the result
 *
 * Errors: E_PARSE (a path of `reads`), E_TOO_LARGE (INCLUSION_READS_MAX, the arena's maximum). Running out of steps is none: the verdict is
 * then unknown.
 */
err_t inclusion_check(const struct jsonschema *producer, const struct jsonschema *consumer,
                      const struct inclusion_options *options, struct arena *arena, struct inclusion_result *ret_result)
    MUST_CHECK;

#endif
