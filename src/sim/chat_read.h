/* chat_read.h - requests to /v1/chat/completions: checked as OpenAI checks them, then brought into a question. Pure. */
#ifndef SIM_CHAT_READ_H
#define SIM_CHAT_READ_H

#include "sim/question.h"

/*
 * Read a request.
 *
 * refuse_unknown  refuse fields that OpenAI does not know
 *
 * E_PARSE with *r filled. The question borrows from arena and body.
 */
err_t chat_read(struct arena *a, struct str body, bool refuse_unknown, struct question *ret, struct sim_refusal *r)
    MUST_CHECK;
/*
 * Read a plain request (text messages, no tools, one choice) in one pass without building a tree. False if it is anything
 * else, or not valid: then chat_read() says what it is. Where both can read a request, they give the same question.
 */
bool chat_read_plain(struct arena *a, struct str body, struct question *ret) MUST_CHECK;

/* Is `name` a top-level field that OpenAI knows? */
bool chat_knows_field(struct str name) PURE;

#endif
