/*
 * letter_post.h - dead letters on their way to a sink as well (`errors.dlq`). Private to pipeline/.
 *
 * A letter is in the journal first, as always. With it stands a note that it is to be sent; a fiber of the shard sends what is noted, in batches, and takes the
 * notes away in the commit that ends the batch. So a letter is sent once, as far as the sink's promise goes, whenever the process dies.
 *
 * Nothing waits for it: a sink that is down holds up neither messages nor the shard, and a sink that refuses a letter leaves it in the journal, where it was
 * all the time. What people have dealt with before it could be sent is not sent.
 */
#ifndef PIPELINE_LETTER_POST_H
#define PIPELINE_LETTER_POST_H

#include "pipeline/run/run.h"

struct letter_post;

/* NULL: the pipeline has no such sink. */
struct letter_post *letter_post_new(struct shard *s);
/* NULL is allowed, here and below. */
void letter_post_free(struct letter_post *p);

enum { LETTER_POST_KEY = 2 * sizeof(struct journal_id) };
/* The operation that goes with the letter's, if any does; its texts are in `key` and the shard's. *ret_op untouched else. When it has come about:
 * letter_post_noted(). */
bool letter_post_op(const struct letter_post *p, const struct journal_id *letter, char key[LETTER_POST_KEY],
                    struct journal_op *ret_op);
void letter_post_noted(struct letter_post *p);
/* Both, by the shard's clerk: to be called before it is given the letter. */
void letter_post_note(struct letter_post *p, const struct journal_id *letter);
/* Letters that are noted and not sent. */
size_t letter_post_count(const struct letter_post *p) PURE;
/* Send, until cancelled; of a shard that has such a sink. The signature is a fiber's. */
err_t letter_post_run(void *post) SUSPENDS;
/* When it has ended. */
void letter_post_close(struct letter_post *p) SUSPENDS;

#endif
