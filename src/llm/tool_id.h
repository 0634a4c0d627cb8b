/*
 * tool_id.h - ids of tool calls in the form that a dialect demands, without state.
 *
 * An id that has the form stays. Any other is coded so that different ids stay different and the same id always gives the same: on the
 * next turn call and result meet again, whichever side sends them. Where the form has room the code can be undone (tool_id_restore());
 * where it has not (nine characters) it is a hash of 53 bits.
 */
#ifndef LLM_TOOL_ID_H
#define LLM_TOOL_ID_H

#include "base/arena.h"
#include "base/str.h"

#include <stdint.h>

enum tool_id_form {
    TOOL_ID_ANY,       /* any text of 1 to 64 printable ASCII bytes: OpenAI and those like it, Cohere, Ollama  */
    TOOL_ID_ANTHROPIC, /* [a-zA-Z0-9_-]{1,64}                                                             */
    TOOL_ID_BEDROCK,   /* [a-zA-Z0-9_.:-]{1,64}                                                           */
    TOOL_ID_MISTRAL,   /* exactly nine of [a-zA-Z0-9]                                                     */
};

/* `id` in the form; in the arena if it had to change. An empty id stays empty. */
struct str tool_id_fit(enum tool_id_form form, struct str id, struct arena *arena);
/* The id that tool_id_fit() changed, if it can be told; else `id` itself. */
struct str tool_id_restore(struct str id, struct arena *arena);
/* An id for a call that its provider gave none: from the place of the call (`turn`, `part`) and its name, so that it is the
 * same when the history comes back. */
struct str tool_id_make(uint64_t turn, uint64_t part, struct str name, struct arena *arena);

#endif
