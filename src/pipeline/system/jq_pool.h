/*
 * jq_pool.h - a program of full jq for fibers: processes of jq (jq/jq.h), as many as workers run it at a time, one document after the other in each.
 *
 * From any loop: a pool belongs to a loaded pipeline, which loops share.
 */
#ifndef PIPELINE_JQ_POOL_H
#define PIPELINE_JQ_POOL_H

#include "base/arena.h"
#include "rt/fiber.h"

struct jq_pool;

/* Check the program, and make a pool with one reference. Blocks, as jq_new(), and with its errors. */
err_t jq_pool_new(struct str program, struct jq_pool **ret) MUST_CHECK;
void jq_pool_unref(struct jq_pool *p);

/*
 * The program's results for one JSON document, a line each, in the arena.
 *
 * Suspends; a fiber that gives up does not wait for its document, which costs its process at most five seconds. Errors: those of jq_run(), but for E_DEADLINE, which is
 * told as E_PARSE when the program took too long (E_DEADLINE is the fiber's own); worker_run()'s.
 */
err_t jq_pool_run(struct jq_pool *p, struct str document, struct arena *arena, struct str *ret_lines) SUSPENDS
MUST_CHECK;

#endif
