/* sqlite_vfs.h - SQLite's way to the disk: a VFS over the disk seam. Private to store/sqlite*.c. */
#ifndef STORE_SQLITE_VFS_H
#define STORE_SQLITE_VFS_H

#include "rt/seam.h"

#include <sqlite3.h>
#include <stdbool.h>

struct sqlite_vfs {
    sqlite3_vfs base;
    const struct seams *seams;
    char name[32];
    bool is_taken;      /* another process, or handle, has the database */
    int error;          /* of the last call that failed, errno value    */
    const char *failed; /* what that call was to do; static             */
};

/* Make it known to SQLite under a name of its own; sqlite_vfs_free() after the database is closed. */
struct sqlite_vfs *sqlite_vfs_new(const struct seams *seams);
/* NULL is allowed. */
void sqlite_vfs_free(struct sqlite_vfs *v);

#endif
