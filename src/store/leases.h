/*
 * leases.h - which of several processes works on which shard of which pipeline.
 *
 * Processes that have a journal in common divide the shards that they all want among them. Each is a member, and shows by a beat in the journal that it lives. A shard's
 * lease is its present owner's, until that gives it back, or has shown no sign of life for the time of a lease: then another takes it over, with an epoch of its
 * own. Who has more than others gives some back, so a process that comes gets its part.
 *
 * Safe is not the time but the epoch: what is committed through lease_journal() of an epoch that has passed is refused with E_FENCED. Clocks need not agree: a member
 * measures with its own how long another has been silent.
 *
 * From any loop, but for leases_run(), which is a fiber of one of them.
 */
#ifndef STORE_LEASES_H
#define STORE_LEASES_H

#include "base/err.h"
#include "base/str.h"
#include "base/time.h"
#include "rt/fiber.h"
#include "store/journal.h"

struct leases;
struct lease;

struct leases_options {
    struct journal *journal; /* outlives the leases                                           */
    ns_t time;               /* of a lease: how long a process may be silent                   */
};

struct leases *leases_new(const struct leases_options *o);
/* Nobody has a lease any more. NULL is allowed. */
void leases_free(struct leases *l);
/*
 * Show that we live, take what is free and give back what is too much, until cancelled; then all that is held is given back. `leases` is a struct leases.
 *
 * Suspends. E_CANCELLED. A journal that cannot be reached is waited for; meanwhile leases run out.
 */
err_t leases_run(void *leases) SUSPENDS;

/* --- of one shard --- */

/* Want the lease of a shard; names are copied. lease_drop() gives it back and frees it. */
struct lease *lease_want(struct leases *l, struct str pipeline, uint32_t shard);
/* Nobody waits for it any more. */
void lease_drop(struct lease *one);
/*
 * Wait until it is ours: *ret_journal is the way to the journal under it, which lives until lease_done() is called. By one fiber at a time.
 *
 * Suspends. E_CANCELLED, E_DEADLINE; E_AGAIN at `until`.
 */
err_t lease_wait(struct lease *one, ns_t until, struct journal **ret_journal) SUSPENDS MUST_CHECK;
/*
 * It is ours: wait until it should not be any more. OK, which is said once: others have less than we, so finish, and give it back. E_FENCED: it has run out, or is
 * somebody else's, so stop at once. E_CANCELLED, E_DEADLINE. By one fiber at a time.
 */
err_t lease_watch(struct lease *one) SUSPENDS MUST_CHECK;
/* Nothing more is done under it: it is given back, soon, and may come again. */
void lease_done(struct lease *one);
/* Likewise, but a commit was refused with E_FENCED: it is somebody else's. */
void lease_lost(struct lease *one);

/* How many we have. */
unsigned leases_held(struct leases *l);

#endif
