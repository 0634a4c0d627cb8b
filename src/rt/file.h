/* file.h - whole files in one piece, through the disk seam. */
#ifndef RT_FILE_H
#define RT_FILE_H

#include "base/arena.h"
#include "base/buf.h"
#include "rt/seam.h"

/*
 * Append the bytes of the file `path`, at most `max`.
 *
 * Blocks: call it on a worker or before loops run; from a fiber there is file_read_by_worker().
 *
 * Errors: E_NOT_FOUND: there is none of that name; E_IO with the reason, also of a pipe, as what is read here may be read again;
 * E_TOO_LARGE. What was read so far may have been appended then.
 */
err_t file_read(const struct seams *s, const char *path, size_t max, struct buf *ret) MUST_CHECK;
/* Likewise of what is read this once, which may be a pipe, as a shell's <(...): it is read until its other end is closed. */
err_t file_read_once(const struct seams *s, const char *path, size_t max, struct buf *ret) MUST_CHECK;
/*
 * The bytes of the file `path`, at most `max`, read by a worker into `a`, with a NUL behind them that is not counted.
 *
 * Suspends. What the worker read is wiped after it was copied, as files may hold keys; the copy is the caller's.
 *
 * Errors: those of file_read(); E_OVERLOAD (no worker), E_DEADLINE, E_CANCELLED.
 */
err_t file_read_by_worker(struct arena *a, struct str path, size_t max, struct str *ret) SUSPENDS MUST_CHECK;
/*
 * Put a file with these bytes at `path`, in the place of what may be there, which only the owner of this process can read (mode 0600).
 *
 * Blocks, as file_read(). It is written beside (`path` and ".new") and renamed, so nobody ever reads a half of it.
 *
 * Errors: E_IO with the reason; what was at `path` is still there then.
 */
err_t file_write_private(const struct seams *s, const char *path, struct str bytes) MUST_CHECK;

#endif
