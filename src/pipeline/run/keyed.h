/*
 * keyed.h - what is remembered under keys, each until an instant, all of it within a limit. Pure: no clock, no I/O.
 *
 * For nodes that must know something of former records: which keys there were, when the next of a key may go. What comes to an end first makes room
 * for what is new, so the limit costs memory of the nearest past, never of the newest.
 */
#ifndef PIPELINE_KEYED_H
#define PIPELINE_KEYED_H

#include "base/attr.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct keyed;

/* At most so many bytes, what an entry takes beside its key and body included. The caller frees with keyed_free(). */
struct keyed *keyed_new(size_t max) MUST_CHECK;
/* NULL is allowed. */
void keyed_free(struct keyed *k);

/* Under the key, and not over at `now`: until when, and what, borrowed until the next change. False: nothing is. */
bool keyed_find(const struct keyed *k, struct str key, int64_t now, int64_t *ret_until, struct str *ret_body)
    MUST_CHECK;
/* Copies both, in place of what is there. The caller makes room after it (keyed_drop()). */
void keyed_put(struct keyed *k, struct str key, int64_t until, struct str body);
/* Take out one entry that is over at `now`, or that is too much, in the order of their ends; false: there is none. *ret_key is borrowed until the next
 * change. */
bool keyed_drop(struct keyed *k, int64_t now, struct str *ret_key) MUST_CHECK;
/* Take out the entry of that key, if there is one. */
void keyed_remove(struct keyed *k, struct str key);
/* The key of one of the entries, 0 to keyed_count() - 1, in no order. Borrowed likewise. */
struct str keyed_key(const struct keyed *k, size_t i) PURE;
/* When the first comes to its end; INT64_MAX: there is none. Entries. */
int64_t keyed_next(const struct keyed *k) PURE;
size_t keyed_count(const struct keyed *k) PURE;
/* Are there more bytes than it may have? */
bool keyed_is_over(const struct keyed *k) PURE;

#endif
