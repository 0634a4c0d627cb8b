/*
 * turns.h - rearranging a conversation for targets that are particular about it. All work on copies of the lists, in the arena; blocks are shared.
 */
#ifndef LLM_TURNS_H
#define LLM_TURNS_H

#include "llm/chat.h"
#include "llm/loss.h"

/* What stands for a turn none of whose content could be told, so that user and assistant stay in turn. */
#define TURNS_LEFT_OUT STR("(content that this model does not take was left out)")

enum {
    TURNS_SYSTEM_APART = 1,  /* leading system turns go to *ret_system                                            */
    TURNS_LATER_AS_USER = 2, /* system turns further down become user turns                                        */
    TURNS_MERGE = 4,         /* neighbours of one role become one turn                                             */
    TURNS_RESULTS_FIRST =
        8, /* all results of a turn's calls in the user turn right behind it, before anything else in it; a call
                               * without a result gets one that says so, a result without a call becomes text          */
    TURNS_USER_FIRST =
        16, /* begin with a user turn: an empty conversation gets the system text, one that begins with the assistant a
                               * short user turn                                                                        */
    TURNS_NO_EMPTY = 32, /* no empty text blocks, and no turns without blocks                                     */
};

/*
 * The conversation rearranged as `rules` say; what is changed in meaning is noted in `losses` as changed.
 *
 * ret_system  blocks of the leading system and developer turns, in order (with TURNS_SYSTEM_APART); NULL: none
 * ret_turns   the rest
 */
void turns_arrange(const struct chat_request *q, unsigned rules, struct arena *arena, struct losses *losses,
                   struct block **ret_system, struct turn **ret_turns);

/* The last text of a last assistant turn, which the model is to continue, without blanks at its end. */
void turns_trim_last(struct turn *turns);

#endif
