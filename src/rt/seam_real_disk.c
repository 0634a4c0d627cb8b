/* seam_real_disk.c - files of the kernel behind the disk seam. Everything here may block. */
#include "rt/seam_real_int.h"

#include "base/attr.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_flags(int flags)
{
    int f = O_CLOEXEC;

    if ((flags & DISK_READ) && (flags & DISK_WRITE))
        f |= O_RDWR;
    else
        f |= flags & DISK_WRITE ? O_WRONLY : O_RDONLY;
    f |= flags & DISK_CREATE ? O_CREAT : 0;
    f |= flags & DISK_APPEND ? O_APPEND : 0;
    f |= flags & DISK_TRUNCATE ? O_TRUNC : 0;
    f |= flags & DISK_NEW ? O_EXCL | O_NOFOLLOW : 0;
    return f;
}

static int real_open(void *ctx UNUSED, const char *path, int flags)
{
    int fd;

    do
        fd = open(path, open_flags(flags), flags & DISK_PRIVATE ? 0600 : 0640);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

/* A pipe or terminal has no positions: ESPIPE, but at DISK_HERE. */
static ssize_t real_pread(void *ctx UNUSED, int h, void *to, size_t n, uint64_t at)
{
    ssize_t got;

    do
        got = at == DISK_HERE ? read(h, to, n) : pread(h, to, n, (off_t)at);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

/* On a file opened with O_APPEND the kernel ignores the position; pipes have none, as above. */
static ssize_t real_pwrite(void *ctx UNUSED, int h, const void *from, size_t n, uint64_t at)
{
    ssize_t put;

    do
        put = at == DISK_HERE ? write(h, from, n) : pwrite(h, from, n, (off_t)at);
    while (put < 0 && errno == EINTR);
    return put < 0 ? -errno : put;
}

static int real_sync(void *ctx UNUSED, int h)
{
    return fsync(h) == 0 ? 0 : -errno;
}

static int real_sync_data(void *ctx UNUSED, int h)
{
    return fdatasync(h) == 0 ? 0 : -errno;
}

static int real_sync_dir(void *ctx UNUSED, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    int e = fsync(fd) == 0 ? 0 : -errno;
    (void)close(fd);
    return e;
}

static int real_truncate(void *ctx UNUSED, int h, uint64_t size)
{
    int e;

    do
        e = ftruncate(h, (off_t)size);
    while (e < 0 && errno == EINTR);
    return e < 0 ? -errno : 0;
}

static int64_t real_size(void *ctx UNUSED, int h)
{
    struct stat st;

    return fstat(h, &st) == 0 ? (int64_t)st.st_size : -errno;
}

/* A lock of the open file, not of the process: two handles of one process exclude each other as well, and closing another handle of
 * the file does not give it up. It also excludes those who take the older kind, as SQLite's own shell does. */
static int real_lock(void *ctx UNUSED, int h)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    if (fcntl(h, F_OFD_SETLK, &whole) == 0)
        return 0;
    return errno == EACCES ? -EAGAIN : -errno;
}

static int real_stat(void *ctx UNUSED, const char *path, struct disk_stat *ret)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return -errno;
    *ret = (struct disk_stat){
        .size = (uint64_t)st.st_size,
        .mtime = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
        .inode = (uint64_t)st.st_ino,
        .device = (uint64_t)st.st_dev,
        .is_dir = S_ISDIR(st.st_mode),
    };
    return 0;
}

static int real_rename(void *ctx UNUSED, const char *from, const char *to)
{
    return rename(from, to) == 0 ? 0 : -errno;
}

static int real_remove(void *ctx UNUSED, const char *path)
{
    return unlink(path) == 0 ? 0 : -errno;
}

static int real_make_dir(void *ctx UNUSED, const char *path)
{
    return mkdir(path, 0750) == 0 || errno == EEXIST ? 0 : -errno;
}

static void real_close(void *ctx UNUSED, int h)
{
    (void)close(h);
}

static ssize_t real_list(void *ctx UNUSED, const char *path, char *to, size_t cap)
{
    DIR *dir = opendir(path);
    size_t used = 0;
    int err = 0;

    if (!dir)
        return -errno;
    while (err == 0) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry) {
            err = errno;
            break;
        }
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        size_t n = strlen(name) + 1;
        if (n > cap - used) {
            err = ENOSPC;
            break;
        }
        memcpy(to + used, name, n);
        used += n;
    }
    (void)closedir(dir);
    return err ? -err : (ssize_t)used;
}

const struct disk_ops disk_real = {
    .open = real_open,
    .pread = real_pread,
    .pwrite = real_pwrite,
    .sync = real_sync,
    .sync_data = real_sync_data,
    .sync_dir = real_sync_dir,
    .truncate = real_truncate,
    .size = real_size,
    .lock = real_lock,
    .stat = real_stat,
    .rename = real_rename,
    .remove = real_remove,
    .make_dir = real_make_dir,
    .close = real_close,
    .list = real_list,
};
