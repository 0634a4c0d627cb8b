/*
 * file_marks.h - how far each of a source's files was read, as the journal keeps it. Pure.
 *
 * A file is known by where it lies (device, inode) and by its head: the first line, or its beginning if that is long. What is appended changes neither, a
 * rename neither; another file in the same place, or one that was written anew, has another head.
 */
#ifndef PIPELINE_FILE_MARKS_H
#define PIPELINE_FILE_MARKS_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>

enum {
    FILE_HEAD_MAX = 512,   /* bytes of a head                                               */
    FILE_MARKS_MAX = 1000, /* files that a source remembers, those that are gone included */
};

struct file_mark {
    uint64_t device, inode;
    uint64_t head; /* hash of its first head_n bytes */
    uint32_t head_n;
    bool skips;  /* `at` is in a line that was too long: its rest does not count */
    uint64_t at; /* the first byte that was not taken in                         */
};

/* The head of a file that begins with `text`: how many bytes it is; 0: it is not known yet, because its first line is not whole. `is_last`: more
 * will not come. */
size_t file_head_bytes(struct str text, bool is_last) PURE;
uint64_t file_head_hash(struct str head) PURE;

/* Append the progress: the position of the next message, and the marks. */
err_t file_marks_pack(uint64_t next, const struct file_mark *marks, size_t count, struct buf *to) MUST_CHECK;
/* Read it. *ret_marks has room for FILE_MARKS_MAX. E_IO: it is none. STR_NONE: nothing was read yet. */
err_t file_marks_unpack(struct str packed, uint64_t *ret_next, struct file_mark *ret_marks, size_t *ret_count)
    MUST_CHECK;

#endif
