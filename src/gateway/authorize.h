/*
 * authorize.h - credentials of one loop that expire, and requests that carry or are signed with them. Private to gateway/.
 */
#ifndef GATEWAY_AUTHORIZE_H
#define GATEWAY_AUTHORIZE_H

#include "gateway/snapshot.h"
#include "net/http_client.h"

struct exchange;
struct authorities;

/* Sources of credentials, made on first use. `scope`: renewals run in it, it outlives the authorities; NULL: there are none. */
struct authorities *authorities_new(struct scope *scope);
/* No request may be under way. NULL is allowed. */
void authorities_free(struct authorities *a);
/* Begin to get the credentials that the providers of `s` will need. */
void authorities_warm(struct authorities *a, const struct snapshot *s);
/* Free the sources that no provider of `s` names; when nothing but `s` is in use any more. */
void authorities_retire(struct authorities *a, const struct snapshot *s);

/*
 * Add to the call what its provider demands beyond a key: a token's header, or the headers of a signature over the whole of it. Nothing for
 * providers with a key. Suspends while there is no credential. E_CONFIG, E_UPSTREAM with the reason; E_CANCELLED, E_DEADLINE.
 */
err_t authorize_call(struct exchange *x, struct http_call_options *o) SUSPENDS MUST_CHECK;
/* The provider refused the call's credential. */
void authorize_rejected(struct exchange *x);

#endif
