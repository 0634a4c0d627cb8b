/*
 * emulate.h - undo on the way back what a request was changed by: a filter between a provider's reader and a client's writer.
 *
 * Names of tools become the client's again (name_map.h); a forced tool's arguments become the text of a structured answer; text is cut at stop
 * sequences that the provider does not know, also where one is spread over pieces; a fence around JSON is taken off;
 * thoughts between tags in the text are told as thoughts (think_tags.h); what a model signed is told as its maker's, where only the writer knew whose model it is.
 */
#ifndef LLM_EMULATE_H
#define LLM_EMULATE_H

#include "llm/dialect.h"

struct emulator;

/* What writers put into the system text where a provider has no JSON mode; with emulation.strip_fence. */
#define JSON_BY_WORD STR("Answer with one valid JSON object and nothing else: no explanation, no code fence.")

/* The names of a request's tools as a provider takes them (name_map.h), in call->names. Those that fit stay as they are, and none of them gives way to one
 * that was mended. */
void emulate_names(struct provider_call *call, const struct chat_request *q, size_t name_max, struct str extra,
                   struct arena *arena);
/* The same, and tools of free text are noted in call->emulate, to be told as functions of one string (tool_args.h). */
void emulate_tools(struct provider_call *call, const struct chat_request *q, size_t name_max, struct str extra,
                   struct arena *arena);
/*
 * The stop sequences that a provider is told: those that are not blank. Blank ones, which are refused, are left to the emulator; empty ones
 * stop nothing, and are reported. In the arena.
 */
const struct setting *emulate_blank_stops(struct provider_call *call, const struct chat_request *q, struct arena *arena,
                                          struct losses *losses, size_t *ret_count);

/* Thoughts that the provider's models write into their text are told as thoughts, if the client's dialect can. That is
 * reported, unless it is how the vendor tells thoughts anyway. */
void emulate_think_tags(struct provider_call *call, const struct translation *t, const struct chat_request *q);

/* NULL if the call needs nothing undone: then events go straight to `to`. `call` and `to` are borrowed for the answer's life. */
struct emulator *emulator_new(struct arena *arena, const struct provider_call *call, const struct chat_sink *to);
/* What the reader tells its events to. */
struct chat_sink emulator_sink(struct emulator *e);
/* Have all choices of a stream been cut at stop sequences? Then no more of it is needed, and its end has been told. */
bool emulator_is_done(const struct emulator *e);

#endif
