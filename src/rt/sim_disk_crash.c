/*
 * sim_disk_crash.c - what of the simulated disk outlives a crash.
 *
 * The idea: beside its bytes, a file remembers them as they were last synced, and each change since. When power was cut, the synced bytes
 * are there, and of each change it is drawn, sector by sector, whether it is; so changes also reach the disk in another order than they
 * were made. A sync that fails lets some changes be forgotten though the file still shows them, as kernels do: they will not reach
 * the disk by a later sync. Names are kept likewise, for all directories together.
 *
 * A process that was killed leaves the file as it showed it: the kernel goes on.
 *
 * What it does not do: damage to what was synced; disks that lie about a sync.
 */
#include "rt/sim_int.h"

#include "base/mem.h"

#include <assert.h>

enum { SECTOR = 512 };

/* ---- one file ---- */

void sim_file_changed(struct sim_disk *d, struct sim_file *f, uint64_t at, size_t n)
{
    if (!d->keeps_unsynced)
        return;
    if (f->change_count == f->change_cap) {
        f->change_cap = f->change_cap ? f->change_cap * 2 : 16;
        f->changes = mem_realloc(f->changes, f->change_cap * sizeof *f->changes);
    }
    f->changes[f->change_count++] =
        (struct sim_change){.at = at, .n = n, .bytes = n ? mem_dup(f->bytes + at, n) : NULL};
}

static void drop_changes(struct sim_file *f)
{
    for (size_t i = 0; i < f->change_count; i++)
        mem_free(f->changes[i].bytes);
    f->change_count = 0;
}

void sim_file_forget(struct sim_file *f)
{
    drop_changes(f);
    mem_free(f->changes);
    mem_free(f->synced);
    f->changes = NULL;
    f->synced = NULL;
    f->change_cap = f->synced_n = f->synced_cap = 0;
}

static void resize_synced(struct sim_file *f, size_t n)
{
    if (n >= f->synced_cap) { /* by halves: a sync keeps many small changes, one after the other */
        f->synced_cap = n + n / 2 + 1;
        f->synced = mem_realloc(f->synced, f->synced_cap);
    }
    if (n > f->synced_n)
        memset(f->synced + f->synced_n, 0, n - f->synced_n);
    f->synced_n = n;
}

/* `n` bytes of the change, from its byte `from` on, reach the disk. */
static void keep_bytes(struct sim_file *f, const struct sim_change *c, size_t from, size_t n)
{
    size_t at = (size_t)c->at + from;

    if (at + n > f->synced_n)
        resize_synced(f, at + n);
    memcpy(f->synced + at, c->bytes + from, n);
}

static void keep_change(struct sim_file *f, const struct sim_change *c)
{
    if (c->bytes)
        keep_bytes(f, c, 0, c->n);
    else
        resize_synced(f, (size_t)c->at);
}

void sim_file_synced(struct sim_world *w, struct sim_file *f, bool well)
{
    size_t left = 0;

    for (size_t i = 0; i < f->change_count; i++) {
        struct sim_change c = f->changes[i];
        if (!well && prng_below(&w->prng, 2)) {
            f->changes[left++] = c;
            continue;
        }
        if (well)
            keep_change(f, &c);
        mem_free(c.bytes);
    }
    f->change_count = left;
}

/* Each sector of what was written, or none of it, or all. */
static void tear_change(struct sim_world *w, struct sim_file *f, const struct sim_change *c)
{
    switch (prng_below(&w->prng, 3)) {
    case 0:
        return;
    case 1:
        keep_change(f, c);
        return;
    default:
        break;
    }
    for (size_t from = 0, n; from < c->n; from += n) {
        n = SECTOR - (size_t)(c->at + from) % SECTOR;
        n = n < c->n - from ? n : c->n - from;
        if (prng_below(&w->prng, 2))
            keep_bytes(f, c, from, n);
    }
}

static void lose_unsynced(struct sim_world *w, struct sim_file *f)
{
    for (size_t i = 0; i < f->change_count; i++)
        tear_change(w, f, &f->changes[i]);
    sim_file_resize(&w->disk, f, f->synced_n);
    if (f->synced_n)
        memcpy(f->bytes, f->synced, f->synced_n);
}

/* What the file shows is on the disk. */
static void settle(struct sim_file *f)
{
    drop_changes(f);
    f->synced_n = 0;
    resize_synced(f, f->n);
    if (f->n)
        memcpy(f->synced, f->bytes, f->n);
}

/* ---- names ---- */

static bool is_in(struct str path, struct str dir)
{
    while (dir.n > 1 && dir.p[dir.n - 1] == '/')
        dir.n--;
    if (!str_starts(path, dir) || path.n <= dir.n)
        return false;
    struct str rest = str_slice(path, dir.n, path.n);
    if (rest.p[0] == '/')
        rest = str_slice(rest, 1, rest.n);
    return str_find_char(rest, '/') == rest.n;
}

static void drop_names(struct sim_disk *d, struct str dir)
{
    size_t left = 0;

    for (size_t i = 0; i < d->synced_count; i++) {
        struct sim_name name = d->synced[i];
        if (dir.n && !is_in(str_from_c(name.path), dir)) {
            d->synced[left++] = name;
            continue;
        }
        sim_file_unref(d, name.file);
        mem_free(name.path);
    }
    d->synced_count = left;
}

static void keep_names(struct sim_disk *d, struct str dir)
{
    d->synced = mem_realloc(d->synced, (d->synced_count + d->file_count + 1) * sizeof *d->synced);
    for (size_t i = 0; i < d->file_count; i++) {
        struct sim_file *f = d->files[i];
        if (dir.n && !is_in(str_from_c(f->path), dir))
            continue;
        d->synced[d->synced_count++] = (struct sim_name){.path = mem_dup(f->path, strlen(f->path)), .file = f};
        f->refs++;
    }
}

void sim_disk_synced_dir(struct sim_disk *d, struct str dir)
{
    if (!d->keeps_unsynced)
        return;
    drop_names(d, dir);
    keep_names(d, dir);
}

/* The directories are as they were last synced. */
static void lose_names(struct sim_disk *d)
{
    for (size_t i = 0; i < d->file_count; i++) {
        mem_free(d->files[i]->path);
        d->files[i]->path = NULL;
        sim_file_unref(d, d->files[i]);
    }
    d->file_count = 0;
    for (size_t i = 0; i < d->synced_count; i++) {
        struct sim_file *f = d->synced[i].file;
        if (f->path) /* it was moved from one directory to another, and both were synced in between */
            continue;
        f->path = mem_dup(d->synced[i].path, strlen(d->synced[i].path));
        f->refs++;
        sim_disk_insert(d, f);
    }
}

/* ---- crashes ---- */

bool sim_disk_fails(struct sim_disk *d)
{
    if (++d->calls > d->cut_at)
        d->is_dead = true;
    return d->is_dead;
}

void sim_world_crash_disk(struct sim_world *w, uint64_t calls)
{
    w->disk.cut_at = w->disk.calls + calls;
}

void sim_world_restart_disk(struct sim_world *w, enum sim_crash crash)
{
    struct sim_disk *d = &w->disk;

    assert(d->open_files == 0 && (crash == SIM_KILLED || d->keeps_unsynced));
    d->is_dead = false;
    d->cut_at = UINT64_MAX;
    if (crash == SIM_POWER_LOST && prng_below(&w->prng, 2))
        lose_names(d);
    for (size_t i = 0; i < d->file_count; i++) {
        if (crash == SIM_POWER_LOST)
            lose_unsynced(w, d->files[i]);
        if (d->keeps_unsynced)
            settle(d->files[i]);
    }
    if (d->keeps_unsynced)
        sim_disk_synced_dir(d, STR_NONE);
}

uint64_t sim_world_disk_calls(const struct sim_world *w)
{
    return w->disk.calls;
}
