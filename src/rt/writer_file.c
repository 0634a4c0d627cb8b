/*
 * writer_file.c - lines to a file that is appended to, or to the terminal.
 *
 * A file may be rotated away by its name: after writer_reopen() the next line goes to a new file of that name. What the disk refuses is lost and
 * counted by lines. The program's own streams are neither reopened nor closed.
 */
#include "rt/writer.h"

#include "base/mem.h"
#include "rt/loop_int.h"

#include <string.h>

struct file_sink {
    const struct seams *seams;
    int h;
    bool is_stream;
    char path[];
};

static uint64_t count_lines(const char *p, size_t n)
{
    uint64_t lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += p[i] == '\n';
    return lines;
}

static uint64_t file_write(void *ctx, const char *p, size_t n)
{
    struct file_sink *f = ctx;
    const struct seams *s = f->seams;

    while (n > 0) {
        ssize_t put = s->disk->pwrite(s->ctx, f->h, p, n, DISK_HERE);
        if (put <= 0)
            return count_lines(p, n);
        p += put;
        n -= (size_t)put;
    }
    return 0;
}

static int open_file(const struct file_sink *f)
{
    return f->seams->disk->open(f->seams->ctx, f->path, DISK_WRITE | DISK_CREATE | DISK_APPEND);
}

static void file_reopen(void *ctx)
{
    struct file_sink *f = ctx;

    if (f->is_stream)
        return;
    int h = open_file(f);
    if (h < 0)
        return;
    f->seams->disk->close(f->seams->ctx, f->h);
    f->h = h;
}

static void file_close(void *ctx)
{
    struct file_sink *f = ctx;

    if (!f->is_stream)
        f->seams->disk->close(f->seams->ctx, f->h);
    mem_free(f);
}

static err_t open_target(struct file_sink *f)
{
    f->is_stream = strcmp(f->path, "stdout") == 0 || strcmp(f->path, "stderr") == 0;
    f->h = !f->is_stream ? open_file(f) : strcmp(f->path, "stdout") == 0 ? 1 : 2;
    return f->h < 0 ? fail(E_IO, "cannot open %s: %s", f->path, strerrordesc_np(-f->h)) : OK;
}

err_t writer_open(const char *path, struct writer **ret)
{
    static const struct writer_sink sink = {.write = file_write, .reopen = file_reopen, .close = file_close};
    size_t n = strlen(path) + 1;
    struct file_sink *f = mem_alloc(sizeof *f + n);

    *f = (struct file_sink){.seams = loop_seams()};
    memcpy(f->path, path, n);
    err_t e = open_target(f);
    if (e != OK) {
        mem_free(f);
        return e;
    }
    e = writer_start("writer", &sink, f, ret);
    if (e != OK)
        file_close(f);
    return e;
}
