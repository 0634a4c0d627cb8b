/*
 * replies.h - what those who wait for a pipeline's answer are told: of a source `http` with `mode: reply`, by a sink `reply`. Private to pipeline/.
 *
 * A reply is in the journal, under its root's id, before anybody gets it, and stays there for as long as the source says. So who asks again, after whatever
 * happened in between, is told the same. Requests that wait are known by their root's id, on the shard's loop.
 */
#ifndef PIPELINE_REPLIES_H
#define PIPELINE_REPLIES_H

#include "pipeline/door/doors.h"
#include "pipeline/run/shard_int.h"

struct replies;

/* Of a source of the shard: made when it is asked for, freed with the shard, when those who still wait are told to come again. */
struct replies *shard_replies(struct shard *s, const struct pipeline_node *source);
void replies_free(struct replies *r);

/* The request waits for the reply of the root `id`; takes it. */
void replies_wait(struct replies *r, struct journal_id id, struct knock *k);
/* Do others wait for it already? */
bool replies_are_awaited(const struct replies *r, struct journal_id id);
/* Let go of those who wait no longer. Costs a look at each who waits. */
void replies_prune(struct replies *r);
/* All that wait for it are in the journal. */
void replies_are_safe(struct replies *r, struct journal_id id);
/* Those who wait for it wait at their door again, for whoever reads that next. */
void replies_give_back(struct replies *r, struct journal_id id);
/* Those who wait for it are answered; nothing is kept. */
void replies_answer(struct replies *r, struct journal_id id, int status, struct str body);
/* The reply that is kept, in the arena, or static; *ret_status 0: none was when it was called. Errors of journal_read(). */
err_t replies_find(struct replies *r, struct journal_id id, struct arena *arena, int *ret_status, struct str *ret_body)
    SUSPENDS MUST_CHECK;
/*
 * The answer of the root `id`, as far as it is known: those who hear it in pieces are told what of it is new. To be called with more and more of one text, which
 * is the answer in the end. False: nobody hears it in pieces. Does not suspend.
 */
bool replies_tell(struct replies *r, struct journal_id id, struct str text);
/* A further piece of an answer that is made of pieces, with `between` in front unless it is the first; the answer ends with its root (replies_none()).
 * E_TOO_LARGE. Does not suspend. */
err_t replies_add(struct replies *r, struct journal_id id, struct str between, struct str piece) MUST_CHECK;
/* Tokens that models were asked with for it: before it is answered. */
void replies_spent(struct replies *r, struct journal_id id, uint64_t input_tokens, uint64_t output_tokens);
/* What the root `id` of a source is answered. Borrowed. */
struct reply {
    struct replies *to;
    struct journal_id id;
    int status;
    struct str body;
};
/*
 * Keep replies of one shard, at most JOURNAL_OPS_MAX, with one commit, and give them to those who wait. The arena is for what is needed meanwhile. Errors of
 * journal_commit(): none of them is given.
 */
err_t replies_put(const struct reply *all, size_t n, struct arena *arena) SUSPENDS MUST_CHECK;
/* The root is complete, and nothing was replied, or in pieces: that is kept, and told. Does not suspend. */
void replies_none(struct replies *r, struct journal_id id, bool has_failed);
/* Forget replies that are older than `keep`: a page of them. *ret_more: there may be others. Errors of the journal. */
err_t replies_expire(struct replies *r, ns_t keep, bool *ret_more) SUSPENDS MUST_CHECK;

#endif
