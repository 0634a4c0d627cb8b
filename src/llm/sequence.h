/*
 * sequence.h - the events of one choice with its blocks one after the other: for client dialects that cannot tell two at once.
 *
 * Providers may send the arguments of parallel tool calls in turns. The first block that is not over is told as its pieces come; what comes
 * for others meanwhile is held, and told when they have their turn. Numbers of blocks stay as they are.
 */
#ifndef LLM_SEQUENCE_H
#define LLM_SEQUENCE_H

#include "base/arena.h"
#include "llm/event.h"

struct sequence;

/* In the arena. `to` is borrowed for the answer's life. */
struct sequence *sequence_new(struct arena *arena, const struct chat_sink *to);
/* What the events of one choice are told to. E_TOO_LARGE if more than 64 MiB of one block would be held. */
struct chat_sink sequence_sink(struct sequence *s);

#endif
