/*
 * clerk.h - what a shard tells the journal without waiting for it: that roots are complete, that letters are dead. In order, many in one commit.
 *
 * What is lost of it in a crash is found out again: a root that was complete is run again, and all its effects are known.
 */
#ifndef PIPELINE_CLERK_H
#define PIPELINE_CLERK_H

#include "rt/fiber.h"
#include "store/journal.h"

struct clerk;

/* clerk_free() frees it, when clerk_run() has ended. */
struct clerk *clerk_new(struct journal *j);
void clerk_free(struct clerk *c);
/* Note an operation. Its texts and body are copied. */
void clerk_note(struct clerk *c, const struct journal_op *op);
/* Bytes of what is noted and not yet durable. */
size_t clerk_behind(const struct clerk *c);
/* How many operations were noted, ever; and is the one durable that was noted as the `nth`? */
uint64_t clerk_noted(const struct clerk *c);
bool clerk_has(const struct clerk *c, uint64_t nth);
/* Commit what is noted, until cancelled: then all that is left, and return. A disk that refuses is waited for. E_FENCED. */
err_t clerk_run(void *clerk) SUSPENDS;
/* Wait until all that is noted now is durable. E_CANCELLED, E_DEADLINE; the error that clerk_run() ended with. */
err_t clerk_flush(struct clerk *c) SUSPENDS MUST_CHECK;

#endif
