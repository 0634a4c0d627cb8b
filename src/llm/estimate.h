/* estimate.h - how many tokens a request has, without its model's tokenizer. Pure. */
#ifndef LLM_ESTIMATE_H
#define LLM_ESTIMATE_H

#include "llm/chat.h"

/* What dialects that demand a limit of the answer are told when neither client nor configuration names one. */
enum { DEFAULT_MAX_OUTPUT = 4096 };

/*
 * Tokens of the prompt: text at four bytes of ASCII or two of anything else per token, a frame of four per turn, tools by their JSON, media at
 * a fixed rate. Usually within a quarter of the truth for prose and code; documented in docs/dialects.md.
 */
uint64_t estimate_tokens(const struct chat_request *q);
/* Tokens of a text, likewise. */
uint64_t estimate_text(struct str s) PURE;

#endif
