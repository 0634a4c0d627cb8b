/*
 * file.c - whole files. Reading: piece by piece until the end, because sizes told beforehand are wrong for what /proc and volumes of
 * containers hold.
 *
 * A job on a worker owns its memory (rt/worker.h), so the bytes are copied once on their way to the fiber.
 */
#include "rt/file.h"

#include "base/mem.h"
#include "rt/loop.h"
#include "rt/worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static err_t read_handle(const struct seams *s, int h, size_t max, bool once, struct buf *ret)
{
    enum { PIECE = 64 * 1024 };
    uint64_t at = 0;
    bool is_pipe = false;

    for (;;) {
        size_t room = max - at < PIECE ? max - at + 1 : PIECE;
        char *to = buf_reserve(ret, room);
        if (!to && room > 1 && max - at < room)
            to = buf_reserve(ret, room = max - at);
        if (!to)
            return fail(E_TOO_LARGE, "it is longer than %zu bytes", max);
        ssize_t n = s->disk->pread(s->ctx, h, to, room, is_pipe ? DISK_HERE : at);
        if (n == -ESPIPE && once && !is_pipe) {
            is_pipe = true;
            continue;
        }
        if (n == -ESPIPE)
            return fail(E_IO, "it is a pipe, and would have to be read more than once: put it into a file");
        if (n < 0)
            return fail(E_IO, "%s", strerror((int)-n));
        if (n == 0)
            return OK;
        ret->n += (size_t)n;
        at += (uint64_t)n;
        if (at > max)
            return fail(E_TOO_LARGE, "it is longer than %zu bytes", max);
    }
}

static err_t read_path(const struct seams *s, const char *path, size_t max, bool once, struct buf *ret)
{
    int h = s->disk->open(s->ctx, path, DISK_READ);

    if (h < 0)
        return fail(h == -ENOENT ? E_NOT_FOUND : E_IO, "%s", strerror(-h));
    err_t e = read_handle(s, h, max, once, ret);
    s->disk->close(s->ctx, h);
    return e;
}

err_t file_read(const struct seams *s, const char *path, size_t max, struct buf *ret)
{
    return read_path(s, path, max, false, ret);
}

err_t file_read_once(const struct seams *s, const char *path, size_t max, struct buf *ret)
{
    return read_path(s, path, max, true, ret);
}

static int write_new(const struct seams *s, const char *path, struct str bytes)
{
    int h = s->disk->open(s->ctx, path, DISK_WRITE | DISK_CREATE | DISK_NEW | DISK_PRIVATE);
    size_t at = 0;

    if (h < 0)
        return h;
    while (at < bytes.n) {
        ssize_t n = s->disk->pwrite(s->ctx, h, bytes.p + at, bytes.n - at, at);
        if (n <= 0) {
            s->disk->close(s->ctx, h);
            return n ? (int)n : -ENOSPC;
        }
        at += (size_t)n;
    }
    s->disk->close(s->ctx, h);
    return 0;
}

err_t file_write_private(const struct seams *s, const char *path, struct str bytes)
{
    size_t n = strlen(path) + sizeof ".new";
    char *beside = mem_alloc(n);

    (void)snprintf(beside, n, "%s.new", path);
    (void)s->disk->remove(s->ctx, beside); /* of a process that was killed */
    int e = write_new(s, beside, bytes);
    if (e == 0)
        e = s->disk->rename(s->ctx, beside, path);
    if (e != 0)
        (void)s->disk->remove(s->ctx, beside);
    mem_free(beside);
    return e == 0 ? OK : fail(E_IO, "cannot write %s: %s", path, strerror(-e));
}

/* --- on a worker --- */

struct read_job {
    struct job job;
    const struct seams *seams;
    char *path; /* owned */
    size_t max;
    struct buf bytes;         /* result */
    struct err_record record; /* of a failure: the worker's record does not travel */
};

static void read_run(struct job *j)
{
    struct read_job *r = CONTAINER_OF(j, struct read_job, job);

    if (file_read(r->seams, r->path, r->max, &r->bytes) != OK)
        r->record = *err_current();
}

static void read_drop(struct job *j)
{
    struct read_job *r = CONTAINER_OF(j, struct read_job, job);

    if (r->bytes.p)
        explicit_bzero(r->bytes.p, r->bytes.cap);
    buf_release(&r->bytes);
    mem_free(r->path);
    mem_free(r);
}

static err_t take_result(const struct read_job *r, struct arena *a, struct str *ret)
{
    char *copy;

    if (r->record.code != OK)
        return fail(r->record.code, "%s", r->record.text);
    TRY(arena_try(a, r->bytes.n + 1, &copy));
    if (r->bytes.n)
        memcpy(copy, r->bytes.p, r->bytes.n);
    copy[r->bytes.n] = '\0';
    *ret = str_of(copy, r->bytes.n);
    return OK;
}

err_t file_read_by_worker(struct arena *a, struct str path, size_t max, struct str *ret)
{
    struct read_job *r = NEW(struct read_job);

    *r = (struct read_job){.job = {.run = read_run, .drop = read_drop},
                           .seams = loop_seams(),
                           .path = mem_dup(path.p, path.n),
                           .max = max,
                           .bytes = BUF_INIT(max + 1)};
    TRY(worker_run(&r->job));
    err_t e = take_result(r, a, ret);
    read_drop(&r->job);
    return e;
}
