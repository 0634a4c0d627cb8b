/*
 * sim_disk.c - the disk seam of a simulated world: files in memory.
 *
 * The idea: one array of files, sorted by path; a directory exists as long as a file's path leads through it. A file lives on while it
 * is open, though removed or replaced, as under Unix. Faults strike before a call does anything, except that a write may also come out
 * short. The order of names in a listing is drawn, because a real directory promises none.
 *
 * What it does not do: permissions, links, making directories (a file's path makes them), "." and "..": a path names a file by its
 * very characters. What a crash leaves is in sim_disk_crash.c.
 */
#include "rt/sim_int.h"

#include "base/mem.h"

#include <errno.h>

struct sim_open {
    struct sim_file *file; /* NULL: free slot */
    int flags;
};

enum { FILE_MAX_BYTES = 1 << 30 };

void sim_file_unref(struct sim_disk *d, struct sim_file *f)
{
    if (--f->refs > 0)
        return;
    d->used -= f->n;
    sim_file_forget(f);
    mem_free(f->path);
    mem_free(f->bytes);
    mem_free(f);
}

/* Index of the first file whose path is not before `path`. */
static size_t lower_bound(const struct sim_disk *d, struct str path)
{
    size_t low = 0, high = d->file_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (str_cmp(str_from_c(d->files[middle]->path), path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct sim_file *find(const struct sim_disk *d, const char *path)
{
    size_t i = lower_bound(d, str_from_c(path));

    return i < d->file_count && strcmp(d->files[i]->path, path) == 0 ? d->files[i] : NULL;
}

static int64_t wall(struct sim_world *w)
{
    return w->seams.clock->wall(w);
}

void sim_disk_insert(struct sim_disk *d, struct sim_file *f)
{
    size_t i = lower_bound(d, str_from_c(f->path));

    if (d->file_count == d->file_cap) {
        d->file_cap = d->file_cap ? d->file_cap * 2 : 16;
        d->files = mem_realloc(d->files, d->file_cap * sizeof(struct sim_file *));
    }
    memmove(d->files + i + 1, d->files + i, (d->file_count - i) * sizeof(struct sim_file *));
    d->files[i] = f;
    d->file_count++;
}

static struct sim_file *file_new(struct sim_world *w, const char *path)
{
    struct sim_file *f = NEW(struct sim_file);

    f->path = mem_dup(path, strlen(path));
    f->refs = 1;
    f->inode = ++w->disk.last_inode;
    f->mtime = wall(w);
    sim_disk_insert(&w->disk, f);
    return f;
}

/* Take it out of the directory; the caller has the directory's reference now. */
static void unlink_file(struct sim_disk *d, struct sim_file *f)
{
    size_t i = lower_bound(d, str_from_c(f->path));

    memmove(d->files + i, d->files + i + 1, (d->file_count - i - 1) * sizeof(struct sim_file *));
    d->file_count--;
    mem_free(f->path);
    f->path = NULL;
}

/* Index of the first file below the directory `path`; file_count if it is not a directory. */
static size_t first_below(const struct sim_disk *d, struct str path)
{
    while (path.n > 0 && path.p[path.n - 1] == '/')
        path.n--;
    for (size_t i = lower_bound(d, path); i < d->file_count; i++) {
        struct str candidate = str_from_c(d->files[i]->path);
        if (!str_starts(candidate, path))
            break;
        if (candidate.n > path.n && candidate.p[path.n] == '/')
            return i;
    }
    return d->file_count;
}

/* 0, or a negated errno value if a fault strikes here. */
static int struck(struct sim_world *w, bool writes)
{
    if (sim_disk_fails(&w->disk))
        return -EIO;
    if (!sim_chance(w, FAULT_DISK_ERROR))
        return 0;
    return writes && prng_below(&w->prng, 2) ? -ENOSPC : -EIO;
}

static struct sim_open *open_of(struct sim_world *w, int h)
{
    size_t slot = (size_t)(h - SIM_DISK_HANDLE_BASE);

    if (h < SIM_DISK_HANDLE_BASE || slot >= w->disk.open_slots || !w->disk.opens[slot].file)
        die("simulated disk: handle %d is not open", h);
    return &w->disk.opens[slot];
}

static int open_new(struct sim_disk *d, struct sim_file *f, int flags)
{
    size_t slot = 0;

    while (slot < d->open_slots && d->opens[slot].file)
        slot++;
    if (slot == d->open_slots) {
        d->open_slots = slot ? slot * 2 : 8;
        d->opens = mem_realloc(d->opens, d->open_slots * sizeof *d->opens);
        memset(d->opens + slot, 0, (d->open_slots - slot) * sizeof *d->opens);
    }
    d->opens[slot] = (struct sim_open){.file = f, .flags = flags};
    f->refs++;
    d->open_files++;
    return SIM_DISK_HANDLE_BASE + (int)slot;
}

static int disk_open(void *ctx, const char *path, int flags)
{
    struct sim_world *w = ctx;
    int error = struck(w, flags & DISK_CREATE);

    sim_note(w, 'o', strlen(path), (uint64_t)flags);
    if (error)
        return error;
    struct sim_file *f = find(&w->disk, path);
    if (!f && first_below(&w->disk, str_from_c(path)) < w->disk.file_count)
        return -EISDIR;
    if (!f && !(flags & DISK_CREATE))
        return -ENOENT;
    if (f && (flags & DISK_NEW))
        return -EEXIST;
    if (!f)
        f = file_new(w, path);
    if ((flags & DISK_TRUNCATE) && (flags & (DISK_WRITE | DISK_APPEND))) {
        sim_file_resize(&w->disk, f, 0);
        sim_file_changed(&w->disk, f, 0, 0);
        f->mtime = wall(w);
    }
    return open_new(&w->disk, f, flags);
}

static ssize_t disk_pread(void *ctx, int h, void *to, size_t n, uint64_t at)
{
    struct sim_world *w = ctx;
    const struct sim_open *o = open_of(w, h);
    int error = struck(w, false);

    if (error)
        return error;
    if (!(o->flags & DISK_READ))
        return -EBADF;
    if (at >= o->file->n)
        return 0;
    size_t some = o->file->n - (size_t)at;
    if (some > n)
        some = n;
    memcpy(to, o->file->bytes + at, some);
    return (ssize_t)some;
}

void sim_file_resize(struct sim_disk *d, struct sim_file *f, size_t n)
{
    if (n > f->cap) {
        f->cap = n + f->cap / 2 + 256;
        f->bytes = mem_realloc(f->bytes, f->cap);
    }
    if (n > f->n)
        memset(f->bytes + f->n, 0, n - f->n);
    d->used = d->used - f->n + n;
    f->n = n;
}

static void file_write(struct sim_world *w, struct sim_file *f, const void *from, size_t n, uint64_t at)
{
    if (at + n > f->n)
        sim_file_resize(&w->disk, f, (size_t)at + n);
    memcpy(f->bytes + at, from, n);
    sim_file_changed(&w->disk, f, at, n);
    f->mtime = wall(w);
}

/* How many of these bytes the disk has room for. */
static size_t fitting(const struct sim_disk *d, const struct sim_file *f, size_t n, uint64_t at)
{
    uint64_t room = d->limit > d->used ? d->limit - d->used : 0;
    uint64_t end = f->n + room;

    if (at + n <= end)
        return n;
    return at < end ? (size_t)(end - at) : 0;
}

static ssize_t disk_pwrite(void *ctx, int h, const void *from, size_t n, uint64_t at)
{
    struct sim_world *w = ctx;
    struct sim_open *o = open_of(w, h);
    int error = struck(w, true);

    if (error && (w->disk.is_dead || n < 2 || prng_below(&w->prng, 2)))
        return error;
    if (error)
        n = 1 + prng_below(&w->prng, n - 1); /* a short write instead */
    if (!(o->flags & (DISK_WRITE | DISK_APPEND)))
        return -EBADF;
    if (o->flags & DISK_APPEND || at == DISK_HERE)
        at = o->file->n;
    if (at > FILE_MAX_BYTES || n > FILE_MAX_BYTES - at)
        return -EFBIG;
    sim_note(w, 'W', (uint64_t)h, n);
    if (n > 0) {
        n = fitting(&w->disk, o->file, n, at);
        if (n == 0)
            return -ENOSPC;
        file_write(w, o->file, from, n, at);
    }
    return (ssize_t)n;
}

static int disk_sync(void *ctx, int h)
{
    struct sim_world *w = ctx;
    struct sim_file *f = open_of(w, h)->file;
    int error = struck(w, true);

    if (!w->disk.is_dead)
        sim_file_synced(w, f, error == 0);
    return error;
}

static int disk_sync_dir(void *ctx, const char *path)
{
    struct sim_world *w = ctx;
    int error = struck(w, true);

    if (!error)
        sim_disk_synced_dir(&w->disk, str_from_c(path));
    return error;
}

static int disk_truncate(void *ctx, int h, uint64_t size)
{
    struct sim_world *w = ctx;
    struct sim_open *o = open_of(w, h);
    int error = struck(w, true);

    if (error)
        return error;
    if (!(o->flags & (DISK_WRITE | DISK_APPEND)))
        return -EINVAL;
    if (size > FILE_MAX_BYTES)
        return -EFBIG;
    sim_note(w, 't', (uint64_t)h, size);
    sim_file_resize(&w->disk, o->file, (size_t)size);
    sim_file_changed(&w->disk, o->file, size, 0);
    return 0;
}

static int64_t disk_size(void *ctx, int h)
{
    struct sim_world *w = ctx;
    const struct sim_open *o = open_of(w, h);
    int error = struck(w, false);

    return error ? error : (int64_t)o->file->n;
}

static int disk_lock(void *ctx, int h)
{
    struct sim_world *w = ctx;
    struct sim_file *f = open_of(w, h)->file;
    int error = struck(w, false);

    if (error)
        return error;
    if (f->locker && f->locker != h)
        return -EAGAIN;
    f->locker = h;
    return 0;
}

static int disk_stat(void *ctx, const char *path, struct disk_stat *ret)
{
    struct sim_world *w = ctx;
    int error = struck(w, false);

    if (error)
        return error;
    const struct sim_file *f = find(&w->disk, path);
    if (f) {
        *ret = (struct disk_stat){.size = f->n, .mtime = f->mtime, .inode = f->inode};
        return 0;
    }
    if (first_below(&w->disk, str_from_c(path)) == w->disk.file_count)
        return -ENOENT;
    *ret = (struct disk_stat){.is_dir = true};
    return 0;
}

static int disk_rename(void *ctx, const char *from, const char *to)
{
    struct sim_world *w = ctx;
    int error = struck(w, true);

    if (error)
        return error;
    struct sim_file *f = find(&w->disk, from), *target = find(&w->disk, to);
    if (!f)
        return -ENOENT;
    if (f == target)
        return 0;
    sim_note(w, 'm', f->inode, target ? target->inode : 0);
    if (target) {
        unlink_file(&w->disk, target);
        sim_file_unref(&w->disk, target);
    }
    char *path = mem_dup(to, strlen(to));
    unlink_file(&w->disk, f);
    f->path = path;
    sim_disk_insert(&w->disk, f);
    return 0;
}

static int disk_remove(void *ctx, const char *path)
{
    struct sim_world *w = ctx;
    int error = struck(w, true);

    if (error)
        return error;
    struct sim_file *f = find(&w->disk, path);
    if (!f)
        return -ENOENT;
    sim_note(w, 'u', f->inode, 0);
    unlink_file(&w->disk, f);
    sim_file_unref(&w->disk, f);
    return 0;
}

static int disk_make_dir(void *ctx, const char *path UNUSED)
{
    return struck(ctx, true); /* a file's path makes it */
}

static void disk_close(void *ctx, int h)
{
    struct sim_world *w = ctx;
    struct sim_open *o = open_of(w, h);

    if (o->file->locker == h)
        o->file->locker = 0;
    sim_file_unref(&w->disk, o->file);
    *o = (struct sim_open){0};
    w->disk.open_files--;
}

/* Name of the entry of a directory that `path`, below it, goes through; `skip` bytes lead to the directory and its slash. */
static struct str entry_name(const char *path, size_t skip)
{
    struct str rest = str_from_c(path + skip);

    return str_slice(rest, 0, str_find_char(rest, '/'));
}

static void shuffle(struct prng *p, struct str *names, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t other = prng_below(p, i);
        struct str swap = names[i - 1];
        names[i - 1] = names[other];
        names[other] = swap;
    }
}

static ssize_t pack_names(const struct str *names, size_t count, char *to, size_t cap)
{
    size_t used = 0;

    for (size_t i = 0; i < count; i++) {
        if (names[i].n >= cap - used)
            return -ENOSPC;
        memcpy(to + used, names[i].p, names[i].n);
        used += names[i].n;
        to[used++] = '\0';
    }
    return (ssize_t)used;
}

static ssize_t disk_list(void *ctx, const char *path, char *to, size_t cap)
{
    struct sim_world *w = ctx;
    const struct sim_disk *d = &w->disk;
    struct str dir = str_from_c(path);
    int error = struck(w, false);

    if (error)
        return error;
    while (dir.n > 0 && dir.p[dir.n - 1] == '/')
        dir.n--;
    size_t first = first_below(d, dir), count = 0;
    if (first == d->file_count)
        return find(d, path) ? -ENOTDIR : -ENOENT;
    struct str *names = mem_alloc((d->file_count - first) * sizeof *names);
    for (size_t i = first; i < d->file_count && str_starts(str_from_c(d->files[i]->path), dir); i++) {
        if (d->files[i]->path[dir.n] != '/')
            continue;
        struct str name = entry_name(d->files[i]->path, dir.n + 1);
        if (count == 0 || !str_eq(names[count - 1], name)) /* sorted, so equal names are neighbours */
            names[count++] = name;
    }
    shuffle(&w->prng, names, count);
    ssize_t used = pack_names(names, count, to, cap);
    mem_free(names);
    return used;
}

const struct disk_ops sim_disk_ops = {
    .open = disk_open,
    .pread = disk_pread,
    .pwrite = disk_pwrite,
    .sync = disk_sync,
    .sync_data = disk_sync,
    .sync_dir = disk_sync_dir,
    .truncate = disk_truncate,
    .size = disk_size,
    .lock = disk_lock,
    .stat = disk_stat,
    .rename = disk_rename,
    .remove = disk_remove,
    .close = disk_close,
    .make_dir = disk_make_dir,
    .list = disk_list,
};

void sim_world_put_file(struct sim_world *w, const char *path, const void *bytes, size_t n)
{
    struct sim_file *f = find(&w->disk, path);

    if (!f)
        f = file_new(w, path);
    sim_file_resize(&w->disk, f, 0);
    sim_file_changed(&w->disk, f, 0, 0);
    if (n > 0)
        file_write(w, f, bytes, n, 0);
}

bool sim_world_look_file(const struct sim_world *w, const char *path, struct str *ret_bytes)
{
    const struct sim_file *f = find(&w->disk, path);

    if (f)
        *ret_bytes = str_of(f->bytes, f->n);
    return f != NULL;
}

void sim_world_limit_disk(struct sim_world *w, uint64_t bytes)
{
    w->disk.limit = bytes;
}

void sim_disk_release(struct sim_disk *d)
{
    for (size_t i = 0; i < d->synced_count; i++) {
        sim_file_unref(d, d->synced[i].file);
        mem_free(d->synced[i].path);
    }
    mem_free(d->synced);
    for (size_t i = 0; i < d->open_slots; i++)
        if (d->opens[i].file)
            sim_file_unref(d, d->opens[i].file);
    for (size_t i = 0; i < d->file_count; i++)
        sim_file_unref(d, d->files[i]);
    mem_free(d->opens);
    mem_free(d->files);
    *d = (struct sim_disk){0};
}
