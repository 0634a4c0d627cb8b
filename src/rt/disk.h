/*
 * disk.h - files for fibers, over the disk seam: each call is done by a worker.
 *
 * A call owns its memory, so a fiber may give up (deadline, cancel) while the disk is busy; the handle is closed when the last call has ended.
 */
#ifndef RT_DISK_H
#define RT_DISK_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "rt/fiber.h"
#include "rt/seam.h"

struct disk_file;

/* Open `path` (copied); `flags` as in seam.h. E_NOT_FOUND; E_IO; worker_run()'s errors, as all of these. disk_file_close() closes it. */
err_t disk_file_open(struct str path, int flags, struct disk_file **ret) SUSPENDS MUST_CHECK;
/* Closed soon, not waited for. NULL is allowed. */
void disk_file_close(struct disk_file *f);
/* At most `cap` bytes from `at` on, in the arena; fewer only at the file's end. E_IO. */
err_t disk_file_read(struct disk_file *f, uint64_t at, size_t cap, struct arena *arena, struct str *ret) SUSPENDS
MUST_CHECK;
/* Write all of it (copied) at `at`, down to the disk. E_IO: some of it may have been written. */
err_t disk_file_write(struct disk_file *f, uint64_t at, struct str bytes) SUSPENDS MUST_CHECK;
/* Cut the file off at `size`, down to the disk. */
err_t disk_file_truncate(struct disk_file *f, uint64_t size) SUSPENDS MUST_CHECK;
err_t disk_file_size(struct disk_file *f, uint64_t *ret_size) SUSPENDS MUST_CHECK;
/* Of a path. E_NOT_FOUND. */
err_t disk_stat(struct str path, struct disk_stat *ret) SUSPENDS MUST_CHECK;
/* Names in a directory, in no order, in the arena. E_NOT_FOUND, E_TOO_LARGE: more than a megabyte of names. */
err_t disk_list(struct str path, struct arena *arena, struct str **ret_names, size_t *ret_count) SUSPENDS MUST_CHECK;

#endif
