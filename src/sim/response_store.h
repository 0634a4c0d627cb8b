/* response_store.h - answers of /v1/responses, kept for later turns: in memory, bounded, the oldest go. One loop's. Pure. */
#ifndef SIM_RESPONSE_STORE_H
#define SIM_RESPONSE_STORE_H

#include "base/list.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

enum { RESPONSE_STORE_COUNT = 10000 };

struct stored_response {
    struct list link;
    struct str id;
    struct str body;  /* the response object, as JSON                                  */
    struct str items; /* the input items, as JSON separated by commas                  */
    uint64_t hash;    /* of everything said so far, the answer included                */
    size_t tokens;    /* of the same                                                   */
    struct str calls; /* ids of tool calls in it, each with a newline behind it        */
};

struct response_store;

/* An empty store for at most `max` bytes. */
struct response_store *response_store_new(size_t max);
/* Takes NULL. */
void response_store_free(struct response_store *s);
/* Keep a copy. One that is larger than the store is not kept. */
void response_store_add(struct response_store *s, const struct stored_response *r);
/* NULL if there is none. Valid until the next call that adds or removes. */
const struct stored_response *response_store_find(const struct response_store *s, struct str id);
/* False if there was none. */
bool response_store_remove(struct response_store *s, struct str id);

#endif
