/*
 * unsaid.h - settings that a target has no field for, noted as dropped, unless they only ask for what happens anyway.
 *
 * Many client libraries always send "n": 1 or "presence_penalty": 0; telling their users that this was dropped would hide what matters.
 */
#ifndef LLM_UNSAID_H
#define LLM_UNSAID_H

#include "codec/json_out.h"
#include "llm/chat.h"
#include "llm/loss.h"

/* A number, unless it has the value that changes nothing. */
void unsaid_number(struct losses *l, const struct number *n, double harmless);
/* A number that always means something. */
void unsaid_any_number(struct losses *l, const struct number *n);
void unsaid_setting(struct losses *l, const struct setting *s);
/* A switch, unless it is in the harmless position. */
void unsaid_flag(struct losses *l, const struct flag *f, enum truth harmless);
/* Everything that has no canonical form. */
void unsaid_extras(struct losses *l, const struct extra *extras);
/* What OpenAI's dialects can ask for and models of the other families cannot, but for metadata and how long a prompt is cached. */
void unsaid_of_openai(struct losses *l, const struct chat_request *q);

/* --- but for those who know it --- */

/* An extra as a member. */
void extra_put(struct json_out *o, const struct extra *x);
/* Extras from a client that speaks the target's own dialect (`own`) as members; all others, and those of inner objects, which are written anew, as
 * dropped. */
void extras_put(struct json_out *o, const struct extra *extras, bool own, struct losses *l);

#endif
