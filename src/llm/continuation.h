/*
 * continuation.h - an answer that broke off and goes on elsewhere: what the client has been told of it, how another model is asked for the rest, and
 * how that is told as if nothing had happened. Pure.
 *
 * A filter between a provider's reader and the client's writer. Of the first attempt everything passes and is noted. After continuation_resume() comes another
 * attempt's answer: its beginning is not told again, its blocks are numbered on, its text is joined at the seam (llm/seam.h) and told in the block
 * that was open, its usage is added to that of the attempts before. Thoughts of whoever goes on with a text stay untold.
 *
 * Not everything can go on: see continuation_bar(). What is half told and cannot be taken back, such as the arguments of a call, is never put together out of
 * two answers.
 */
#ifndef LLM_CONTINUATION_H
#define LLM_CONTINUATION_H

#include "llm/dialect.h"

enum { CONTINUATION_TEXT_MAX = 4 * 1024 * 1024 };

/* What the model is told in the turn that asks it to go on, before the words that it is to repeat. */
extern const struct str continuation_words;

struct continuation;

/* Made before the first event. `to` is borrowed, and hears what the client is to be told. */
struct continuation *continuation_new(struct arena *arena, const struct chat_sink *to);
/* Who hears the reader, or the emulator behind it. Errors besides those of `to`: E_PROTOCOL, what goes on is no continuation; nothing of it has been told. */
struct chat_sink continuation_sink(struct continuation *c);

/* Why no answer to this request can ever be continued: static words; NULL: it can. */
const char *continuation_bars(const struct chat_request *q);
/* Why the answer cannot go on from where it is; NULL: it can. */
const char *continuation_bar(const struct continuation *c);
/*
 * The attempt under way has broken off, and another is to come: the request for it, in the arena; strings of `q` are shared.
 *
 * form  how the model there is made to go on: provider_side.continues
 */
void continuation_resume(struct continuation *c, const struct chat_request *q, enum continuation_form form,
                         struct chat_request *ret);

/* What the attempt under way has told of its usage. */
struct usage continuation_told_usage(const struct continuation *c);
/* Tokens of the attempt under way, as far as it told; what it did not tell is estimated from the text, and then `known` is false.
 * None if nothing was heard of it. */
struct usage continuation_usage(const struct continuation *c, const struct chat_request *q);

#endif
