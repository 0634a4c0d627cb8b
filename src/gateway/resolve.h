/* resolve.h - from the name that a client asks for to the model or deployment that is meant. Private to gateway/. */
#ifndef GATEWAY_RESOLVE_H
#define GATEWAY_RESOLVE_H

#include "gateway/exchange.h"

/* What a name means: one of the two. */
struct resolved {
    const struct model *model;       /* configured; of a wildcard, a copy for this name in the request's arena */
    const struct deployment *served; /* reached by its provider's name: "<provider>/<model>"                   */
};

/*
 * Resolve `name`: by the first rule of `routes` that fits, else by the name itself. Notes in x which rule it was, and what tags it and the
 * model require.
 *
 * Errors, with words for the client: E_NOT_FOUND, E_FORBIDDEN (the key may not use that name).
 */
err_t resolve(struct exchange *x, struct str name, struct resolved *ret) MUST_CHECK;
/* Does the name mean anything? */
bool resolve_knows(struct exchange *x, struct str name);
/*
 * Take in what the client decided: *m, the model that x goes by, becomes a copy whose fallbacks are the further models that it named, or nothing. NULL, of a
 * deployment reached by its provider's name, becomes a model with such fallbacks if there are any. Errors of resolve() for further models.
 */
err_t resolve_overrides(struct exchange *x, const struct model **m) MUST_CHECK;

#endif
