/*
 * stored.h - responses that are kept so that a later request can continue or fetch them. Private to gateway/.
 *
 * OpenAI's Responses API lets a client name an earlier response instead of sending the conversation again. A provider of that API keeps its own;
 * what other providers answered is kept here, under the caller's key.
 */
#ifndef GATEWAY_STORED_H
#define GATEWAY_STORED_H

#include "gateway/exchange.h"

/* Is this a request whose answer is kept here if it says so? */
bool stored_is_ours(const struct exchange *x);
/* If the body continues a response that is kept here, *body becomes the whole conversation; where it refers to items of such responses
 * ("item_reference"), these stand there instead. Else it stays as it is. E_PARSE, E_TOO_LARGE, E_CANCELLED. */
err_t stored_continue(struct exchange *x, struct str *body) SUSPENDS MUST_CHECK;
/* A translated request of the Responses API was answered with this response object: keep it, unless the client said not to. Never fails: what
 * cannot be kept is not. */
void stored_keep(struct exchange *x, struct str response) SUSPENDS;
/* The same from the end of a stream: its last event holds the object. */
void stored_keep_stream(struct exchange *x, struct str events) SUSPENDS;
/* A request about a response by its id: *ret_served if it is kept here and was answered; else a provider may know it. */
err_t stored_serve(struct exchange *x, bool *ret_served) SUSPENDS MUST_CHECK;

#endif
