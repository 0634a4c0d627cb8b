/* tool_args.h - arguments of tool calls for dialects in which they are JSON objects instead of text. Pure. */
#ifndef LLM_TOOL_ARGS_H
#define LLM_TOOL_ARGS_H

#include "base/arena.h"
#include "base/str.h"

#include <stdbool.h>

/*
 * The arguments of a function call as a JSON object: as written if they are one, "{}" if there are none. What is no object (broken JSON,
 * a scalar, a list) is put as text into {"_raw": "…"}, and *ret_wrapped says so. In the arena, or `args` itself.
 */
struct str tool_args_object(struct str args, struct arena *arena, bool *ret_wrapped);

/* A tool that takes free text, told to a provider that has no such thing: a function with one string, `input`. */
#define TOOL_ARGS_TEXT_SCHEMA                                                                                          \
    STR("{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},\"required\":[\"input\"]}")
/* The text of a call of such a tool as that function's arguments. In the arena. */
struct str tool_args_of_text(struct str text, struct arena *arena);
/* And back; the arguments themselves if they are nothing of the kind. In the arena, or a slice. */
struct str tool_args_to_text(struct str args, struct arena *arena);

#endif
