/*
 * resume.h - streams that break off and go on at another deployment. Private to gateway/.
 *
 * Where a model's configuration wants it (stream_failover), whoever relays a stream notes by struct resume what its client was told. If the stream breaks,
 * resume_take() leaves the client's answer open; the attempt that follows asks for the rest (resume_ask()) and is relayed through the same writer, as if it
 * were one stream. When nobody is left who could go on, resume_give_up() ends the answer with the error that broke it.
 */
#ifndef GATEWAY_RESUME_H
#define GATEWAY_RESUME_H

#include "gateway/exchange.h"
#include "llm/continuation.h"

enum { RESUMES_MAX = 2 }; /* attempts that go on with one answer */

struct resume;

/* Before a stream is read: sets x->resume, if the stream is wanted to go on and could. `follows`: bytes of the provider pass, and the writer only follows them. */
void resume_prepare(struct exchange *x, bool follows);
/* What is told from now on goes through here to `to`, as the client is to hear it; `to` is copied. */
struct chat_sink resume_sink(struct resume *r, struct chat_sink to);
/* The client's writer, which has begun; of an answer that follows a provider's bytes it knows the client's stream, too. */
void *resume_writer(struct resume *r);
/* A frame of the provider's passed to the client, and its events have been heard. */
err_t resume_follow(struct resume *r, const struct frame *f) MUST_CHECK;
/* The same for who has no reader of its own: reads the frame, too. What cannot be read makes an end of x->resume, not of the stream. */
void resume_hear(struct exchange *x, const struct frame *f);

/* The stream broke off with this error, all that could be told has been sent: is another attempt to go on with it? Then the client's answer stays open. */
bool resume_take(struct exchange *x, struct attempt *a, const struct api_error *error);
/* What the attempt under way has told of its own usage, which its client hears as part of a sum. */
struct usage resume_usage(const struct resume *r);
/* What an attempt that broke off has used, by estimate where it did not tell. */
struct usage resume_spent(const struct exchange *x);
/* Is the attempt under way, or to come, one that goes on with an answer? */
bool resume_is_pending(const struct exchange *x);
/* Did it come to where it can be handed on? */
bool resume_fits(const struct exchange *x, const struct attempt *a);
/* What x->chosen's provider is to be asked. */
const struct chat_request *resume_ask(struct exchange *x);
/* It goes on: what the client is told of that in the stream, if its framing has room for it, into `to`. */
err_t resume_begin(struct exchange *x, struct buf *to) MUST_CHECK;
/* Nobody goes on: end the client's answer with what it broke off with. */
err_t resume_give_up(struct exchange *x) SUSPENDS MUST_CHECK;

#endif
