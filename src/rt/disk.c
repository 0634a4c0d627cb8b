/* disk.c - files for fibers: one kind of job for all calls, which says what it does, and holds the bytes that go either way. */
#include "rt/disk.h"

#include "base/mem.h"
#include "rt/worker.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

enum { LIST_MAX = 1 << 20 };

struct disk_file {
    const struct seams *seams;
    int handle;
    atomic_uint refs;
    char path[]; /* for messages */
};

enum what { OPEN, READ, WRITE, TRUNCATE, SIZE, STAT, LIST };

struct call {
    struct job job;
    enum what what;
    const struct seams *seams;
    struct disk_file *file; /* counted; of OPEN the one that comes of it */
    char *path;
    int flags;
    uint64_t at;
    size_t n;
    char *bytes;
    struct disk_stat stat;
    int64_t result; /* a count or size, or a negated errno */
};

/* --- on a worker --- */

static void let_go(struct disk_file *f)
{
    if (!f || atomic_fetch_sub(&f->refs, 1) != 1)
        return;
    if (f->handle >= 0)
        f->seams->disk->close(f->seams->ctx, f->handle);
    mem_free(f);
}

static int64_t read_all(struct call *c)
{
    const struct seams *s = c->seams;
    size_t got = 0;

    while (got < c->n) {
        ssize_t n = s->disk->pread(s->ctx, c->file->handle, c->bytes + got, c->n - got, c->at + got);
        if (n < 0)
            return n;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (int64_t)got;
}

static int64_t write_all(struct call *c)
{
    const struct seams *s = c->seams;

    for (size_t done = 0; done < c->n;) {
        ssize_t n = s->disk->pwrite(s->ctx, c->file->handle, c->bytes + done, c->n - done, c->at + done);
        if (n <= 0)
            return n ? n : -ENOSPC;
        done += (size_t)n;
    }
    return s->disk->sync_data(s->ctx, c->file->handle);
}

static int64_t do_it(struct call *c)
{
    const struct seams *s = c->seams;

    switch (c->what) {
    case OPEN:
        c->file->handle = s->disk->open(s->ctx, c->path, c->flags);
        return c->file->handle;
    case READ:
        return read_all(c);
    case WRITE:
        return write_all(c);
    case TRUNCATE: {
        int e = s->disk->truncate(s->ctx, c->file->handle, c->at);
        return e < 0 ? e : s->disk->sync(s->ctx, c->file->handle);
    }
    case SIZE:
        return s->disk->size(s->ctx, c->file->handle);
    case STAT:
        return s->disk->stat(s->ctx, c->path, &c->stat);
    case LIST:
        return s->disk->list(s->ctx, c->path, c->bytes, c->n);
    }
    return -EINVAL;
}

static void run(struct job *j)
{
    struct call *c = CONTAINER_OF(j, struct call, job);

    c->result = do_it(c);
}

static void drop(struct job *j)
{
    struct call *c = CONTAINER_OF(j, struct call, job);

    let_go(c->file);
    mem_free(c->path);
    mem_free(c->bytes);
    mem_free(c);
}

/* --- on a fiber --- */

static struct call *call_new(enum what what, struct disk_file *f, struct str path, size_t n)
{
    struct call *c = NEW(struct call);

    *c = (struct call){.job = {.run = run, .drop = drop},
                       .what = what,
                       .seams = loop_seams(),
                       .file = f,
                       .path = path.p ? mem_dup(path.p, path.n) : NULL,
                       .n = n,
                       .bytes = n ? mem_alloc(n) : NULL};
    if (f)
        atomic_fetch_add(&f->refs, 1);
    return c;
}

static void call_free(struct call **c)
{
    if (*c)
        drop(&(*c)->job);
}

/* Have it done; *c is NULL afterwards if it is not ours any more. */
static SUSPENDS err_t call_do(struct call **c)
{
    struct call *mine = *c;

    *c = NULL;
    TRY(worker_run(&mine->job));
    *c = mine;
    if (mine->result >= 0)
        return OK;
    return fail(mine->result == -ENOENT ? E_NOT_FOUND : E_IO, "%s: %s", mine->path ? mine->path : mine->file->path,
                strerror((int)-mine->result));
}

err_t disk_file_open(struct str path, int flags, struct disk_file **ret)
{
    struct disk_file *f = mem_alloc(sizeof *f + path.n + 1);

    f->seams = loop_seams();
    f->handle = -1;
    atomic_init(&f->refs, 1);
    memcpy(f->path, path.p, path.n);
    f->path[path.n] = '\0';
    struct call *c CLEANUP(call_free) = call_new(OPEN, f, path, 0);
    c->flags = flags;
    err_t e = call_do(&c);
    if (e != OK) {
        let_go(f);
        return e;
    }
    *ret = f;
    return OK;
}

void disk_file_close(struct disk_file *f)
{
    let_go(f);
}

err_t disk_file_read(struct disk_file *f, uint64_t at, size_t cap, struct arena *arena, struct str *ret)
{
    struct call *c CLEANUP(call_free) = call_new(READ, f, STR_NONE, cap);

    c->at = at;
    TRY(call_do(&c));
    *ret = arena_str(arena, str_of(c->bytes, (size_t)c->result));
    return OK;
}

err_t disk_file_write(struct disk_file *f, uint64_t at, struct str bytes)
{
    struct call *c CLEANUP(call_free) = call_new(WRITE, f, STR_NONE, bytes.n);

    c->at = at;
    if (bytes.n)
        memcpy(c->bytes, bytes.p, bytes.n);
    return call_do(&c);
}

err_t disk_file_truncate(struct disk_file *f, uint64_t size)
{
    struct call *c CLEANUP(call_free) = call_new(TRUNCATE, f, STR_NONE, 0);

    c->at = size;
    return call_do(&c);
}

err_t disk_file_size(struct disk_file *f, uint64_t *ret_size)
{
    struct call *c CLEANUP(call_free) = call_new(SIZE, f, STR_NONE, 0);

    TRY(call_do(&c));
    *ret_size = (uint64_t)c->result;
    return OK;
}

err_t disk_stat(struct str path, struct disk_stat *ret)
{
    struct call *c CLEANUP(call_free) = call_new(STAT, NULL, path, 0);

    TRY(call_do(&c));
    *ret = c->stat;
    return OK;
}

err_t disk_list(struct str path, struct arena *arena, struct str **ret_names, size_t *ret_count)
{
    struct call *c CLEANUP(call_free) = call_new(LIST, NULL, path, LIST_MAX);
    size_t count = 0, n;

    TRY(call_do(&c));
    n = (size_t)c->result;
    for (size_t i = 0; i < n; i++)
        count += c->bytes[i] == '\0';
    const char *at = arena_str(arena, str_of(c->bytes, n)).p;
    *ret_names = arena_alloc(arena, (count + 1) * sizeof **ret_names);
    for (size_t i = 0; i < count; i++) {
        (*ret_names)[i] = str_from_c(at);
        at += (*ret_names)[i].n + 1;
    }
    *ret_count = count;
    return OK;
}
