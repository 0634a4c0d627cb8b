/*
 * facts_log.h - the facts of requests as records: written once, at a request's end, and put together again by who explains or accounts. Pure.
 *
 * A request leaves one record for each decision and each attempt, in the order in which they began, and one for itself, last: where that is
 * missing, the process ended in between. A message of a pipeline leaves one when it is over, a tap one for each record that it shows. The same bytes lie in memory (facts_ring.h) and on disk (store/segments.h). There are no bodies
 * in them, no keys and no addresses, only names, numbers and scrubbed errors, and what a pipeline's file has its taps show.
 *
 * For who replays: `seq_sent`, `seq_first` and `seq_ended` of attempts and `seq` of decisions are numbers of one sequence per process, in the order
 * in which fleet/live.h was told; 0 is what it was not told. Instants are of the process's monotonic clock; `wall` ties them to the calendar.
 *
 * Numbers of types never change, tables grow at their ends only (record.h).
 */
#ifndef OBSERVE_FACTS_LOG_H
#define OBSERVE_FACTS_LOG_H

#include "observe/facts.h"
#include "observe/record.h"

enum facts_kind { FACTS_REQUEST = 1, FACTS_ATTEMPT = 2, FACTS_DECISION = 3, FACTS_ROOT = 4, FACTS_TAP = 5 };

/* All records of one request, and some room. */
enum { FACTS_RECORDS_MAX = 1024 * 1024 };

/* The table of that number, as record_type_of() tells it; NULL: none of these. */
const struct record_type *facts_type(int id);
/* The same by its name in JSON: "request", "attempt", "decision", "root", "tap". */
const struct record_type *facts_type_named(struct str name);

/* Append the records of a finished request. E_TOO_LARGE; what `to` holds then is of no use. */
err_t facts_write(const struct facts *f, struct buf *to) MUST_CHECK;
/* The first record of `*records`, with its length in front, cut off; STR_NONE at the end, and where no whole record stands. */
struct str facts_next_record(struct str *records);
/*
 * The facts of the request `id` out of its records in their order; those of other requests are passed over. Clients may choose the id: of several
 * that had it, whose records may stand in any order, it is the one that came last. A shadow's attempt belongs to it if it was sent since it came,
 * wherever its record stands. Texts are slices of `records`, the rest lies in `arena`.
 *
 * E_NOT_FOUND: there is none of it. E_PROTOCOL: damaged. A request whose own record is missing has only `id` and what the others tell; it is taken
 * for the last one, because the process ended before it was over.
 */
err_t facts_read(struct str records, struct str id, struct arena *arena, struct facts *ret) MUST_CHECK;
/* How many requests of that id have their own record among these. */
size_t facts_count(struct str records, struct str id);
/* The id of the request that a record belongs to; empty: of none, as those of pipelines are. */
struct str facts_request_of(struct str record);
/* Append a record as a JSON object with its type in front: {"type":"attempt",…}. E_PROTOCOL: it is none of these types, or damaged. */
err_t facts_json(struct str record, struct arena *arena, struct buf *to) MUST_CHECK;

#endif
