/*
 * unsaid.h - settings that a target has no field for, noted as dropped, unless they only ask for what happens anyway.
 *
 * Many client libraries always send "n": 1 or "presence_penalty": 0; telling their users that this was dropped would hide what matters.
 */
#ifndef LLM_UNSAID_H
#define LLM_UNSAID_H

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

#endif
