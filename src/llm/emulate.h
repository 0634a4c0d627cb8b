/*
 * emulate.h - undo on the way back what a request was changed by: a filter between a provider's reader and a client's writer.
 *
 * Names of tools become the client's again (name_map.h); a forced tool's arguments become the text of a structured answer; text is cut at stop
 * sequences that the provider does not know, also where one is spread over pieces; a fence around JSON is taken off.
 */
#ifndef LLM_EMULATE_H
#define LLM_EMULATE_H

#include "llm/dialect.h"

struct emulator;

/* NULL if the call needs nothing undone: then events go straight to `to`. `call` and `to` are borrowed for the answer's life. */
struct emulator *emulator_new(struct arena *arena, const struct provider_call *call, const struct chat_sink *to);
/* What the reader tells its events to. */
struct chat_sink emulator_sink(struct emulator *e);
/* Have all choices of a stream been cut at stop sequences? Then no more of it is needed, and its end has been told. */
bool emulator_is_done(const struct emulator *e);

#endif
