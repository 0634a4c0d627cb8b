/*
 * version.h - versions of a pipeline that messages under way still need: the journal keeps the files that they were made of.
 *
 * Kept are texts as they were read; variables of the environment and what `connections` of the configuration says are those of the day when it is loaded again.
 * A pipeline that is written in a configuration itself has no file and is not kept: after a restart its messages go on in the version that is there then.
 */
#ifndef PIPELINE_VERSION_H
#define PIPELINE_VERSION_H

#include "pipeline/pipeline.h"
#include "rt/fiber.h"
#include "store/journal.h"

/* What a version is known by in the journal: 64 bits of its digest. */
uint64_t version_of(const struct pipeline_spec *s) PURE;
/* Keep it, before it takes in anything. Suspends. Errors: journal_commit()'s. */
err_t version_keep(struct journal *j, const struct pipeline_spec *s) SUSPENDS MUST_CHECK;
/* No message needs it any more. Likewise. */
err_t version_forget(struct journal *j, struct str pipeline, uint64_t version) SUSPENDS MUST_CHECK;
/*
 * A version of the pipeline of `current` that is kept, other than that one and later than `after`, oldest first; *ret NULL: there is none. *ret_after is for the
 * next call, and to begin with 0. The caller unrefs the spec.
 *
 * Suspends; loads on a worker. Errors: journal_read()'s; E_CONFIG: it cannot be loaded any more: *ret_version says which.
 */
err_t version_next(struct journal *j, struct pipeline_spec *current, uint64_t after, uint64_t *ret_after,
                   uint64_t *ret_version, struct pipeline_spec **ret) SUSPENDS MUST_CHECK;

#endif
