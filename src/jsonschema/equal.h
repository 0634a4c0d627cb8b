/* equal.h - equality of JSON values as JSON Schema means it: 1 is 1.0, members have no order (2020-12 Core, 4.2.2). Pure. */
#ifndef JSONSCHEMA_EQUAL_H
#define JSONSCHEMA_EQUAL_H

#include "base/arena.h"
#include "codec/json_tree.h"

/* What looking at values may take. */
struct work {
    struct arena *arena; /* for strings with escapes, and tables           */
    uint64_t steps;      /* left; at 0 results mean nothing and error is set */
    err_t error;
};

/* Take `n` steps; false if they are used up. */
static inline bool work_take(struct work *w, uint64_t n)
{
    if (LIKELY(w->steps > n)) {
        w->steps -= n;
        return true;
    }
    w->steps = 0;
    if (!w->error)
        w->error = fail(E_TOO_LARGE, "the validation takes more steps than are allowed");
    return false;
}
/* Memory from the arena; NULL past its maximum. */
void *work_room(struct work *w, size_t n);

bool json_equal(struct json_node x, struct json_node y, struct work *w);
/* Two elements of an array that are equal: their indices; false if there are none. */
bool json_find_twins(struct json_node array, struct work *w, size_t *ret_first, size_t *ret_second);

#endif
