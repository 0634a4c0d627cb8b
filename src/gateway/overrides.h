/* overrides.h - what a client decides itself about how its request is served, by headers x-crossdock-…. */
#ifndef GATEWAY_OVERRIDES_H
#define GATEWAY_OVERRIDES_H

#include "base/str.h"
#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>

/* Headers, in the order of the table in overrides.c. Lists are separated by commas. */
struct overrides {
    struct str *models; /* -models: to be tried in this order instead of the one that is asked for  */
    size_t model_count;
    ns_t by;            /* -timeout: from the request's first byte; an instant; 0: no such header    */
    bool no_fallback;   /* -no-fallback                                                              */
    struct str session; /* -session: requests that shall stay together; empty: none                 */
    struct str *tags;   /* -tags: for conditions                                                     */
    size_t tag_count;
    struct str *required; /* -require: tags that a deployment must have                              */
    size_t required_count;
};

#endif
