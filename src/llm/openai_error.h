/*
 * openai_error.h - errors in OpenAI's shape: {"error":{"message","type","param","code"}}. Pure.
 */
#ifndef LLM_OPENAI_ERROR_H
#define LLM_OPENAI_ERROR_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "llm/error.h"

/* Append the JSON body. One that does not fit is replaced by a short one of the same status: `to` must have room for 512 bytes. */
void openai_error_body(const struct api_error *e, struct buf *to);
/* The same as an SSE event of a Chat stream; of a Responses stream (`responses`): event "error", flat. */
void openai_error_event(const struct api_error *e, bool responses, uint64_t sequence_number, struct buf *to);

#endif
