/*
 * sqlite_vfs.c - SQLite's files through the disk seam.
 *
 * The idea: with a locking mode of "exclusive" and temporary things in memory, SQLite needs of a file what the seam has: read, write, cut, sync,
 * size. No shared memory, no maps, no clock but ours. So simulated crashes, full disks and failing calls reach the very code that
 * serves in production.
 *
 *  - The database file is locked as a whole when it is opened, and what SQLite locks afterwards is granted without asking. The lock also keeps out
 *    SQLite's own shell (seam.h).
 *  - A commit writes each page's frame to the write-ahead log with two calls, and then syncs. Frames that follow each other are gathered and written
 *    with one call, at the latest by the sync; who reads the file meanwhile writes them first. An error of such a write is the sync's.
 *  - A file's name is synced with its first sync.
 *
 * Not here: rollback of what failed; that is SQLite's.
 */
#include "store/sqlite_vfs.h"

#include "base/attr.h"
#include "base/mem.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum {
    GATHER_BYTES = 256 * 1024, /* of the log that are written with one call, at most */
    SECTOR_BYTES = 4096,
    PATH_MAX_BYTES = 512, /* with what SQLite appends */
};

struct vfs_file {
    sqlite3_file base;
    struct sqlite_vfs *vfs;
    const char *path; /* SQLite's, as long as the file is open */
    int h;
    bool is_name_synced;
    char *gathered; /* of the write-ahead log, else NULL */
    size_t gathered_n;
    uint64_t gathered_at;
};

static struct vfs_file *file_of(sqlite3_file *f)
{
    return (struct vfs_file *)f;
}

static const struct disk_ops *disk(const struct vfs_file *f)
{
    return f->vfs->seams->disk;
}

/* Note why the call failed; returns SQLite's code for it. */
static int failed(struct sqlite_vfs *v, const char *what, int64_t error, int code)
{
    v->error = (int)-error;
    v->failed = what;
    return v->error == ENOSPC || v->error == EDQUOT ? SQLITE_FULL : code;
}

/* ---- one file ---- */

static int write_whole(struct vfs_file *f, const char *p, size_t n, uint64_t at)
{
    while (n) {
        ssize_t put = disk(f)->pwrite(f->vfs->seams->ctx, f->h, p, n, at);
        if (put <= 0)
            return failed(f->vfs, "write", put ? put : -EIO, SQLITE_IOERR_WRITE);
        p += put;
        n -= (size_t)put;
        at += (uint64_t)put;
    }
    return SQLITE_OK;
}

static int write_gathered(struct vfs_file *f)
{
    size_t n = f->gathered_n;

    f->gathered_n = 0; /* also if that fails: SQLite rolls back what they belong to */
    return n ? write_whole(f, f->gathered, n, f->gathered_at) : SQLITE_OK;
}

static int file_write(sqlite3_file *base, const void *from, int amount, sqlite3_int64 at)
{
    struct vfs_file *f = file_of(base);
    size_t n = (size_t)amount;

    if (!f->gathered)
        return write_whole(f, from, n, (uint64_t)at);
    if ((uint64_t)at != f->gathered_at + f->gathered_n || n > GATHER_BYTES - f->gathered_n) {
        int code = write_gathered(f);
        if (code != SQLITE_OK)
            return code;
    }
    if (n > GATHER_BYTES)
        return write_whole(f, from, n, (uint64_t)at);
    if (!f->gathered_n)
        f->gathered_at = (uint64_t)at;
    memcpy(f->gathered + f->gathered_n, from, n);
    f->gathered_n += n;
    return SQLITE_OK;
}

static int file_read(sqlite3_file *base, void *to, int amount, sqlite3_int64 at)
{
    struct vfs_file *f = file_of(base);
    char *p = to;
    size_t left = (size_t)amount;
    int code = write_gathered(f);

    while (code == SQLITE_OK && left) {
        ssize_t got = disk(f)->pread(f->vfs->seams->ctx, f->h, p, left, (uint64_t)at);
        if (got < 0)
            return failed(f->vfs, "read", got, SQLITE_IOERR_READ);
        if (got == 0) {
            memset(p, 0, left);
            return SQLITE_IOERR_SHORT_READ;
        }
        p += got;
        at += got;
        left -= (size_t)got;
    }
    return code;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    struct vfs_file *f = file_of(base);
    int code = write_gathered(f);

    if (code != SQLITE_OK)
        return code;
    int e = disk(f)->truncate(f->vfs->seams->ctx, f->h, (uint64_t)size);
    return e == 0 ? SQLITE_OK : failed(f->vfs, "truncate", e, SQLITE_IOERR_TRUNCATE);
}

/* The folder that the file lies in. */
static int sync_folder(struct sqlite_vfs *v, const char *path)
{
    char folder[PATH_MAX_BYTES];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;

    (void)snprintf(folder, sizeof folder, "%.*s", n ? (int)n : 1, n ? path : slash ? "/" : ".");
    int e = v->seams->disk->sync_dir(v->seams->ctx, folder);
    return e == 0 ? SQLITE_OK : failed(v, "sync the folder of", e, SQLITE_IOERR_DIR_FSYNC);
}

static int file_sync(sqlite3_file *base, int flags UNUSED)
{
    struct vfs_file *f = file_of(base);
    int code = write_gathered(f);

    if (code != SQLITE_OK)
        return code;
    int e = disk(f)->sync_data(f->vfs->seams->ctx, f->h);
    if (e != 0)
        return failed(f->vfs, "sync", e, SQLITE_IOERR_FSYNC);
    if (f->is_name_synced)
        return SQLITE_OK;
    code = sync_folder(f->vfs, f->path);
    f->is_name_synced = code == SQLITE_OK;
    return code;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *ret)
{
    struct vfs_file *f = file_of(base);
    int code = write_gathered(f);

    if (code != SQLITE_OK)
        return code;
    int64_t n = disk(f)->size(f->vfs->seams->ctx, f->h);
    if (n < 0)
        return failed(f->vfs, "tell the size of", n, SQLITE_IOERR_FSTAT);
    *ret = n;
    return SQLITE_OK;
}

static int file_close(sqlite3_file *base)
{
    struct vfs_file *f = file_of(base);

    (void)write_gathered(f);
    mem_free(f->gathered);
    disk(f)->close(f->vfs->seams->ctx, f->h);
    return SQLITE_OK;
}

static int file_lock(sqlite3_file *base UNUSED, int level UNUSED)
{
    return SQLITE_OK; /* the whole file is ours */
}

static int file_is_reserved(sqlite3_file *base UNUSED, int *ret)
{
    *ret = 0;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *base UNUSED, int what UNUSED, void *arg UNUSED)
{
    return SQLITE_NOTFOUND;
}

static int file_sector(sqlite3_file *base UNUSED)
{
    return SECTOR_BYTES;
}

/* A write changes no byte but those that it was asked to, even if power fails: what SQLite takes for granted of its own files, too. */
static int file_characteristics(sqlite3_file *base UNUSED)
{
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods methods = {
    .iVersion = 1, /* no shared memory: SQLite then keeps the index of the log on the heap */
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_lock,
    .xCheckReservedLock = file_is_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_characteristics,
};

/* ---- all files ---- */

static struct sqlite_vfs *vfs_of(sqlite3_vfs *base)
{
    return (struct sqlite_vfs *)base;
}

static int vfs_open(sqlite3_vfs *base, const char *path, sqlite3_file *file, int flags, int *ret_flags)
{
    struct sqlite_vfs *v = vfs_of(base);
    struct vfs_file *f = file_of(file);
    const struct seams *s = v->seams;

    *f = (struct vfs_file){.vfs = v, .path = path};
    if (!path) /* a temporary file: those are in memory */
        return SQLITE_CANTOPEN;
    f->h = s->disk->open(s->ctx, path, DISK_READ | DISK_WRITE | DISK_CREATE | DISK_PRIVATE);
    if (f->h < 0)
        return failed(v, "open", f->h, SQLITE_CANTOPEN);
    int e = flags & SQLITE_OPEN_MAIN_DB ? s->disk->lock(s->ctx, f->h) : 0;
    if (e != 0) {
        s->disk->close(s->ctx, f->h);
        v->is_taken = e == -EAGAIN;
        return failed(v, "lock", e, v->is_taken ? SQLITE_BUSY : SQLITE_CANTOPEN);
    }
    if (flags & SQLITE_OPEN_WAL)
        f->gathered = mem_alloc(GATHER_BYTES);
    if (ret_flags)
        *ret_flags = flags;
    f->base.pMethods = &methods;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *base, const char *path, int sync)
{
    struct sqlite_vfs *v = vfs_of(base);
    int e = v->seams->disk->remove(v->seams->ctx, path);

    if (e == -ENOENT)
        return SQLITE_IOERR_DELETE_NOENT;
    if (e != 0)
        return failed(v, "remove", e, SQLITE_IOERR_DELETE);
    return sync ? sync_folder(v, path) : SQLITE_OK;
}

/* An empty file counts as none, as SQLite's own VFS has it. */
static int vfs_access(sqlite3_vfs *base, const char *path, int flags UNUSED, int *ret)
{
    struct sqlite_vfs *v = vfs_of(base);
    struct disk_stat st;
    int e = v->seams->disk->stat(v->seams->ctx, path, &st);

    if (e != 0 && e != -ENOENT)
        return failed(v, "look for", e, SQLITE_IOERR_ACCESS);
    *ret = e == 0 && st.size > 0;
    return SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *base UNUSED, const char *path, int room, char *to)
{
    int n = snprintf(to, (size_t)room, "%s", path);
    return n < 0 || n >= room ? SQLITE_CANTOPEN : SQLITE_OK;
}

static int vfs_random(sqlite3_vfs *base, int n, char *to)
{
    const struct seams *s = vfs_of(base)->seams;

    s->rand->fill(s->ctx, to, (size_t)n);
    return n;
}

static int vfs_sleep(sqlite3_vfs *base UNUSED, int microseconds)
{
    return microseconds; /* nobody else has the file: there is nothing to wait for */
}

/* Milliseconds since noon in Greenwich on November 24, 4714 BC. */
static int vfs_time64(sqlite3_vfs *base, sqlite3_int64 *ret)
{
    const struct seams *s = vfs_of(base)->seams;

    *ret = s->clock->wall(s->ctx) / NS_MS + 210866760000000;
    return SQLITE_OK;
}

static int vfs_time(sqlite3_vfs *base, double *ret)
{
    sqlite3_int64 ms;
    int code = vfs_time64(base, &ms);

    *ret = (double)ms / 86400000.0;
    return code;
}

static int vfs_last_error(sqlite3_vfs *base, int n UNUSED, char *to UNUSED)
{
    return vfs_of(base)->error;
}

struct sqlite_vfs *sqlite_vfs_new(const struct seams *seams)
{
    static atomic_uint made;
    struct sqlite_vfs *v = NEW(struct sqlite_vfs);

    v->seams = seams;
    (void)snprintf(v->name, sizeof v->name, "crossdock-%u", atomic_fetch_add(&made, 1));
    v->base = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = sizeof(struct vfs_file),
        .mxPathname = PATH_MAX_BYTES,
        .zName = v->name,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_path,
        .xRandomness = vfs_random,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_time,
        .xGetLastError = vfs_last_error,
        .xCurrentTimeInt64 = vfs_time64,
    };
    if (sqlite3_vfs_register(&v->base, 0) != SQLITE_OK)
        die("SQLite takes no VFS");
    return v;
}

void sqlite_vfs_free(struct sqlite_vfs *v)
{
    if (!v)
        return;
    (void)sqlite3_vfs_unregister(&v->base);
    mem_free(v);
}
