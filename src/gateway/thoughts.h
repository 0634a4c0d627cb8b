/*
 * thoughts.h - reasoning that must go back to the model that had it, kept while the client cannot carry it. Private to gateway/.
 *
 * Models that think while they use tools demand their thoughts back, signed, with the tools' results. A client of another dialect has no field
 * for them, or drops the field. So they are kept here under the ids of the calls that they led to, and put back into the conversation when
 * these ids return. What is gone by then is left out: the provider may think anew, or say that it cannot.
 */
#ifndef GATEWAY_THOUGHTS_H
#define GATEWAY_THOUGHTS_H

#include "gateway/exchange.h"

struct thoughts;

/* Listens to an answer; NULL if there is nothing to keep: no store, same dialect, or a provider that signs nothing. In the arena. */
struct thoughts *thoughts_new(struct exchange *x);
/* Hear an event, before it is changed for the client. Does not suspend. NULL is allowed. */
void thoughts_hear(struct thoughts *t, const struct chat_event *e);
/* The answer is over: keep what was heard. Never fails: what cannot be kept is not. NULL is allowed. */
void thoughts_keep(struct thoughts *t) SUSPENDS;
/* Put what was kept back into the request, for x->speaks. E_CANCELLED only. */
err_t thoughts_restore(struct exchange *x, struct chat_request *q) SUSPENDS MUST_CHECK;

#endif
