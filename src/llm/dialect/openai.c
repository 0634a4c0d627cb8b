/*
 * openai.c - the OpenAI dialect: Chat Completions, Responses, legacy completions, embeddings, models.
 *
 * What this dialect says on the wire, as far as a relay must read it: which endpoint a path means, where usage is, how a stream ends. Bytes are
 * never rebuilt here; see llm/openai_body.h and llm/openai_stream.h for what is rewritten on the way through.
 * Wire format: OpenAI's published API description, November 2026.
 */
#include "llm/dialect.h"

extern const struct dialect dialect_openai;

const struct dialect dialect_openai = {
    .name = "openai",
    .title = "OpenAI Chat Completions",
    .signer = SIGNER_OPENAI,
};
