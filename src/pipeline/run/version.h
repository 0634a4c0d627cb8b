/*
 * version.h - versions of a pipeline that messages still need: the journal keeps the files that they were made of.
 *
 * A version is retired when none of its messages has anything to do: it is kept for those that wait for their time (former.h), and for the dead letters that are left
 * of it. When that time comes, or a letter is replayed in the version that took it in, it is wanted again (version_want()), and whoever runs the pipeline lets it
 * finish what it finds.
 *
 * Kept are texts as they were read, and versions of subjects as registries had them; variables of the environment and what `connections` of the configuration says are those of the day when it is loaded again.
 * A pipeline that is written in a configuration itself has no file and is not kept: after a restart its messages go on in the version that is there then.
 */
#ifndef PIPELINE_VERSION_H
#define PIPELINE_VERSION_H

#include "pipeline/spec/pipeline.h"
#include "rt/fiber.h"
#include "store/journal.h"

/* What a version is known by in the journal: 64 bits of its digest. */
uint64_t version_of(const struct pipeline_spec *s) PURE;
/* Keep it, before it takes in anything; it is wanted. Suspends. Errors: journal_commit()'s. */
err_t version_keep(struct journal *j, const struct pipeline_spec *s) SUSPENDS MUST_CHECK;
/* What is left of a version that has finished all it could. Instants are nanoseconds since 1970. */
struct version_rest {
    uint64_t version;
    int64_t rested; /* it had nothing to do then: what was decided later is not done; 0: not known */
    int64_t due;    /* of what waits, the first has to go on then; INT64_MAX: nothing waits        */
};
/* Nobody wants it for now: what waits, and its dead letters, keep it until `until`. Likewise. */
err_t version_retire(struct journal *j, struct str pipeline, const struct version_rest *rest, int64_t until) SUSPENDS
MUST_CHECK;
/* The next of those that are retired and kept, but for `current`; *ret_any false: there is none. *after is to begin with 0, and not 0 while there may be more. Suspends. Errors: journal_read()'s. */
err_t version_resting(struct journal *j, const struct pipeline_spec *current, uint64_t *after, struct version_rest *ret,
                      bool *ret_any) SUSPENDS MUST_CHECK;
/* The operation that makes a version that is kept a wanted one. The key is to live as long. */
enum { VERSION_KEY = 16 };
struct journal_op version_want(struct str pipeline, uint64_t version, char key[VERSION_KEY + 1]);
/* How it stands: is it kept, retired or not; and is it wanted, so not retired? Suspends. Errors: journal_read()'s. */
err_t version_stands(struct journal *j, struct str pipeline, uint64_t version, bool *ret_kept, bool *ret_wanted)
    SUSPENDS MUST_CHECK;
/* Is one wanted besides that of `current`? Likewise. */
err_t version_waits(struct journal *j, const struct pipeline_spec *current, bool *ret) SUSPENDS MUST_CHECK;
/* It is kept no longer. Suspends. Errors: journal_commit()'s. */
err_t version_forget(struct journal *j, struct str pipeline, uint64_t version) SUSPENDS MUST_CHECK;
/*
 * A version of the pipeline of `current` that is wanted, other than that one and later than `after`, oldest first; *ret NULL: there is none. *ret_after is for the
 * next call, and to begin with 0. The caller unrefs the spec. On the way retired ones whose time is over are forgotten.
 *
 * Suspends; loads on a worker. Errors: journal_read()'s; E_CONFIG: it cannot be loaded any more: *ret_version says which.
 */
err_t version_next(struct journal *j, struct pipeline_spec *current, uint64_t after, uint64_t *ret_after,
                   uint64_t *ret_version, struct pipeline_spec **ret) SUSPENDS MUST_CHECK;

#endif
