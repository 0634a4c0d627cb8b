/*
 * think_tags.h - thoughts that stand in the text, between <think> and </think>, told as thoughts.
 *
 * Open models write so, and servers that host them without a parser for it (vLLM, llama.cpp, Ollama, ...) hand it on as it comes. A filter between a
 * provider's reader and what listens to it.
 */
#ifndef LLM_THINK_TAGS_H
#define LLM_THINK_TAGS_H

#include "base/arena.h"
#include "llm/event.h"

struct think_splitter;

/*
 * In the arena; `to` is borrowed for the answer's life.
 *
 * begun  the prompt's template has written the opening tag already, so an answer begins within a thought
 */
struct think_splitter *think_splitter_new(struct arena *arena, bool begun, const struct chat_sink *to);
/* What the reader tells its events to. Errors of hearing: those of `to`. */
struct chat_sink think_splitter_sink(struct think_splitter *s);

#endif
