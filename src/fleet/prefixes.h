/*
 * prefixes.h - which patterns with "*" at their end ("gpt-*") a name falls under, longest first, whatever their number.
 *
 * A pattern that ends with '*' is kept by what stands before it. A name is looked up once per different length of such prefixes, so the cost
 * grows with how many lengths there are (bounded by the longest name), never with how many patterns.
 */
#ifndef FLEET_PREFIXES_H
#define FLEET_PREFIXES_H

#include "base/map.h"

#include <stdint.h>

/* Longest prefix that is kept: names of models are no longer. */
enum { PREFIX_MAX = 256 };

/* Zeroed: empty. */
struct prefixes {
    struct map by_text_;                    /* value per prefix                          */
    uint64_t lengths_[PREFIX_MAX / 64 + 1]; /* a bit per length that some prefix has     */
};

/* Frees the table, not prefixes or values. Fit for CLEANUP. */
void prefixes_release(struct prefixes *p);
/* Does a pattern stand for more than one name, and what must these begin with (a slice of it)? */
bool prefix_of_pattern(struct str pattern, struct str *ret_prefix);
/* Set the value (not NULL) of a prefix of at most PREFIX_MAX bytes, which is borrowed; returns the former value or NULL. */
void *prefixes_put(struct prefixes *p, struct str prefix, void *value);
/* Iterate as map_next(). */
bool prefixes_next(const struct prefixes *p, size_t *at, struct str *ret_prefix, void **ret_value);
/* The value of exactly this prefix; NULL: none. */
void *prefixes_get(const struct prefixes *p, struct str prefix);
/*
 * The longest prefix of `name` that is at most *length bytes long: its value, and its length in *length. NULL: there is none. To meet all, begin with
 * name.n and go on with one less than the last length, unless that was 0.
 */
void *prefixes_find(const struct prefixes *p, struct str name, size_t *length);

#endif
