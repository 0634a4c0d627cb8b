/*
 * segments_int.h - the form of segment files. Private to store/segments*.c. All numbers are big-endian.
 *
 *   file:   "XDSEG" 0 0 1 | wall clock at its beginning, 8 bytes | frame...
 *   frame:  marker, 4 bytes | stored length, 4 | length of its records, 4 | records, 4 | wall clock, 8 | packing, 4 | CRC-32, 4 | stored
 *
 * The checksum covers the frame's header up to itself, and what is stored.
 */
#ifndef STORE_SEGMENTS_INT_H
#define STORE_SEGMENTS_INT_H

#include "base/bytes.h"
#include "rt/seam.h"
#include "store/segments.h"

#define SEGMENT_MAGIC "XDSEG\0\0\1"
#define SEGMENT_MARKER 0x58644672u /* "XdFr" */

enum {
    FILE_HEAD = 16,
    FRAME_HEAD = 32,
    FRAME_RAW_MAX = 512 * 1024, /* records of one frame */
};
enum frame_at { AT_MARKER = 0, AT_STORED = 4, AT_RAW = 8, AT_COUNT = 12, AT_WALL = 16, AT_PACKING = 24, AT_SUM = 28 };
enum packing { PACKED_NOT, PACKED_ZSTD };

struct segment_file {
    uint64_t number;
    uint64_t size;
    int64_t mtime;
};

/* Checksum of a frame: `head` is FRAME_HEAD bytes. */
uint32_t frame_sum(const char *head, struct str stored);
/* The path of a segment, to mem_free(). */
char *segment_path(const char *dir, uint64_t number);
/* The segments in `dir`, in order, to mem_free(); other files are not looked at. E_NOT_FOUND, E_IO. */
err_t segment_list(const struct seams *s, const char *dir, struct segment_file **ret, size_t *ret_count) MUST_CHECK;

#endif
