/*
 * claude.h - what the versions of Claude take and refuse, wherever they are hosted. Pure.
 *
 * Source: Anthropic's API reference, "Extended thinking", "Structured outputs" and "Messages"; Amazon Bedrock user guide, "Claude".
 */
#ifndef LLM_CLAUDE_H
#define LLM_CLAUDE_H

#include "codec/json_out.h"
#include "llm/chat.h"
#include "llm/loss.h"

struct claude_traits {
    bool adaptive; /* takes adaptive thinking and efforts */
    bool formats;  /* takes an output format              */
};

/* Of a model by any host's name of it ("anthropic.claude-sonnet-4-5-20250929-v1:0"); a name that is not known is taken for a newer model. */
struct claude_traits claude_traits_of(struct str model);

enum claude_thinking { CLAUDE_THINKING_UNSAID, CLAUDE_THINKING_OFF, CLAUDE_THINKING_BUDGET, CLAUDE_THINKING_ADAPTIVE };

struct claude_plan {
    enum claude_thinking thinking;
    int64_t budget;     /* CLAUDE_THINKING_BUDGET: tokens; below max_output              */
    int64_t max_output; /* tokens; -1: the client set no limit, and there is no default  */
};

/*
 * How much may be thought, and how much said. What the client asked for and cannot have is noted in `losses`.
 *
 * turns        the conversation as it will be told (llm/turns.h)
 * forced       a tool must be called
 * default_max  the limit where the client named none; 0: the host needs none
 */
struct claude_plan claude_plan_of(const struct chat_request *q, const struct turn *turns, struct claude_traits traits,
                                  bool forced, int64_t default_max, struct losses *losses);

/* Does this assistant's turn, told without what others signed, begin with a thought that Claude will know again? */
bool claude_begins_with_thought(const struct turn *t);

/* Why a sampling parameter of `q` cannot be told, NULL if it can. */
const char *claude_refuses(const struct claude_plan *plan, const struct chat_request *q, const struct number *n);

/* The plan as Anthropic's "thinking" setting: an object. Not for CLAUDE_THINKING_UNSAID. */
void claude_put_thinking(struct json_out *o, const struct claude_plan *plan, const struct reasoning *r);

/* A thinking setting in Anthropic's form, {"type": "enabled", "budget_tokens": n, "display": ...}. False if it is none. */
bool claude_read_thinking(struct json_node v, struct reasoning *to);

#endif
