/*
 * openai_error.h - errors in OpenAI's shape: {"error":{"message","type","param","code"}}. Pure.
 */
#ifndef LLM_OPENAI_ERROR_H
#define LLM_OPENAI_ERROR_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct api_error {
    int status;
    struct str message; /* for people: what is wrong and what to do                 */
    const char *type;   /* OpenAI's; NULL: derived from the status                  */
    const char *code;   /* OpenAI's, where it has one; NULL: null                   */
    struct str param;   /* the field at fault; empty: null                          */
};

/* Append the JSON body. One that does not fit is replaced by a short one of the same status: `to` must have room for 512 bytes. */
void openai_error_body(const struct api_error *e, struct buf *to);
/* The same as an SSE event of a Chat stream; of a Responses stream (`responses`): event "error", flat. */
void openai_error_event(const struct api_error *e, bool responses, uint64_t sequence_number, struct buf *to);

#endif
