/* find_files.h - the files that a path with wildcards names. */
#ifndef PIPELINE_FIND_FILES_H
#define PIPELINE_FIND_FILES_H

#include "base/arena.h"
#include "rt/fiber.h"

/*
 * Paths that match `pattern`, whose every segment may have wildcards (base/glob.h), sorted; those of folders are left out. A wildcard does not stand for a
 * name that begins with a dot. Without wildcards: the path itself, if there is a file.
 *
 * Suspends. In the arena. E_TOO_LARGE: there are more than `max`, or a folder has more than a megabyte of names; E_IO, and disk_list()'s errors. A folder
 * that is not there has no files.
 */
err_t find_files(struct str pattern, size_t max, struct arena *arena, struct str **ret_paths, size_t *ret_count)
    SUSPENDS MUST_CHECK;

#endif
