/*
 * suspect.h - messages that may be what kills the process: counted in the journal, begun again with care, and given up in the end. Private to pipeline/.
 *
 * A message that was under way when the process died without a word is suspected a little; so are all others that were. It is begun again as usual the first time.
 * Those that were under way at two such deaths are put on trial: some are begun, which is noted before; the next ones not before these have gone, wait for an
 * instant or their turn, or have lived for a moment without doing harm. If the process dies in that moment it was one of them; if there was only one, it is known
 * whose fault it was. One of which that is known more often in a row than the file allows becomes a dead letter.
 *
 * A shard that is stopped, by whomever, says so: then nobody is suspected.
 */
#ifndef PIPELINE_SUSPECT_H
#define PIPELINE_SUSPECT_H

#include "pipeline/run/shard_int.h"

/* Did the last run of this shard end in silence? Asked once, before anything is begun: from then on a silent end is one. Suspends. */
err_t suspect_begin(struct shard *s) SUSPENDS MUST_CHECK;
/* This run ends, and says so. Suspends, for a moment at most, whether cancelled or not. */
void suspect_end(struct shard *s) SUSPENDS;
/* What becomes of a root that a former run left; `restarts` as the journal has them. */
enum suspicion suspect_judge(const struct shard *s, uint32_t restarts) PURE;
/* Those of the roots that are to be counted are begun once more: before they are. The arena is for what is needed meanwhile. Suspends. */
err_t suspect_count(struct shard *s, struct root *const *roots, size_t n, struct arena *arena) SUSPENDS MUST_CHECK;
/* Is there one that nobody is about to start? Of those that were begun again later than the others. */
bool suspect_waits(const struct shard *s) PURE;
/* It was entered, and is to be put on trial. */
void suspect_add(struct shard *s, struct root *r);
/* One that is on trial can do no harm for now: it goes, or all of it waits. */
void suspect_rest(struct root *r);
/* Try those that were added until there are none. Suspends. */
err_t suspect_run(struct shard *s) SUSPENDS MUST_CHECK;

#endif
