/*
 * former.h - messages that a former version took in and that wait for their time in the journal: the end of a delay, a person's decision. Private to pipeline/.
 *
 * They end in the version that took them in, and that does not run: what has nothing to do but wait holds up no other version. In the present one's shard they
 * have their places: what comes again is known by them, and what comes later has its turn behind them. It also knows when there is something to do: when the first
 * of them has to go on (version.h), or one is decided. Then their version is wanted again: whoever runs the pipeline lets it finish what it can, and goes on
 * with the present one (runner.c).
 *
 * Decisions at gates are heard by the present version's node of that name (gates.c); of those that it does not have, here.
 */
#ifndef PIPELINE_FORMER_H
#define PIPELINE_FORMER_H

#include "pipeline/run/shard_int.h"

/* Ids of gates that nobody has decided, and that no node of this version of the pipeline will hear of. Suspends. Errors: journal_read()'s. */
err_t formers_unheard(struct journal *j, const struct pipeline_spec *s, struct keyed *to) SUSPENDS MUST_CHECK;

void formers_init(struct formers *f);
/* Learn which versions rest, and have a fiber listen to decisions. `unheard`: the gates when former versions were run last; NULL: there were none. Likewise. */
err_t formers_load(struct shard *s, const struct keyed *unheard) SUSPENDS MUST_CHECK;
/* All roots go, and what is known. May be called twice. */
void formers_free(struct shard *s);
/* Does the version of that number rest? Else its messages are this shard's. */
bool former_rests(const struct shard *s, uint64_t version) PURE;
/* A root of such a one has its place from now on, behind those that came before. Those of a partition that is lost go. */
void former_enter(struct root *r);
void formers_forget(const struct partition *p);
/* When one of the versions has something to do; NS_NEVER: nobody knows of anything. */
ns_t formers_due(const struct shard *s) PURE;
/* Those that have something to do are wanted. Suspends. Errors: journal_commit()'s. */
err_t formers_want(struct shard *s) SUSPENDS MUST_CHECK;

#endif
