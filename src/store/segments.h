/*
 * segments.h - a log of records on disk: append-only, checksummed, bounded by size and age.
 *
 * A folder of segment files, numbered in the order in which they were begun. Records reach the disk through a thread of their own
 * (rt/writer.h), within milliseconds, in frames: many records, compressed together, with a checksum. What a crash cut off is
 * recognised and skipped; a process never writes to a segment that another run began. Old segments go away as whole files.
 *
 * What a record says is not known here, except how long it is.
 */
#ifndef STORE_SEGMENTS_H
#define STORE_SEGMENTS_H

#include "base/err.h"
#include "base/str.h"
#include "base/time.h"
#include "rt/seam.h"

#include <stdbool.h>
#include <stdint.h>

enum { SEGMENT_RECORD_MAX = 64 * 1024 };

struct segments_rules {
    const char *dir;        /* made if missing (its parent is not)                  */
    uint64_t segment_bytes; /* a segment is ended when it is about to pass this     */
    uint64_t total_bytes;   /* of all segments together; at least 2 * segment_bytes */
    ns_t max_age;           /* since a segment was last written to; NS_NEVER: none  */
};

/* --- writing --- */

struct segments;

/* Open the log for appending and begin the thread. Copies *rules. One process at a time may write to a folder. Blocks. E_IO, E_CONFIG. */
err_t segments_open(const struct segments_rules *rules, struct segments **ret) MUST_CHECK;
/* Append a record (copied), which begins with its own length in 4 bytes, big-endian, itself included. Never blocks on the disk; from any
 * thread. False if it was dropped: the disk does not keep up. Records of one loop keep their order. */
bool segments_put(struct segments *s, struct str record);
/* Records that were lost so far, to full queues and to failing disks. From any thread. */
uint64_t segments_lost(const struct segments *s);
/* Write what is queued, to the disk itself, and free. Blocks. NULL is allowed. */
void segments_close(struct segments *s);

/* --- reading --- */

struct segment_reader;

/* Read the log in `dir`, also while it is written: what is there now. Frames written before `since` (wall clock, nanoseconds since 1970)
 * are passed over. Blocks, as all of reading does. E_NOT_FOUND: no such folder; E_IO. */
err_t segment_reader_open(const struct seams *seams, const char *dir, int64_t since, struct segment_reader **ret)
    MUST_CHECK;
/* The next record, oldest first, with its length in front; STR_NONE at the end. Valid until the next call. E_IO. */
err_t segment_reader_next(struct segment_reader *r, struct str *ret_record) MUST_CHECK;
/* From now on the end is only the end for now: after STR_NONE the next call looks for what has been written since. Does not wait. */
void segment_reader_follow(struct segment_reader *r);
/* Bytes so far that belong to no whole frame: cut off by a crash, or damaged. */
uint64_t segment_reader_skipped(const struct segment_reader *r);
void segment_reader_close(struct segment_reader *r);

#endif
