/* find_files.c - segment by segment: all paths that match what has been read of the pattern, each with all names of its folder that match the next one. */
#include "pipeline/spec/find_files.h"

#include "base/glob.h"
#include "rt/disk.h"

#include <stdlib.h>

struct found {
    struct arena *arena;
    struct str *paths;
    size_t count, max;
};

static err_t add(struct found *f, struct str path)
{
    if (f->count == f->max)
        return fail(E_TOO_LARGE, "more than %zu files match", f->max);
    f->paths = arena_list_room(f->arena, f->paths, f->count, sizeof *f->paths, 16, f->max);
    f->paths[f->count++] = path;
    return OK;
}

static struct str under(struct arena *a, struct str folder, struct str name)
{
    return arena_printf(a, "%.*s%s%.*s", STR_ARG(folder), folder.n && !str_ends(folder, STR("/")) ? "/" : "",
                        STR_ARG(name));
}

/* Names in `folder` that match. */
static SUSPENDS err_t add_matches(struct found *f, struct str folder, struct str segment)
{
    struct str *names;
    size_t count;
    struct disk_stat stat;

    if (!folder.n)
        folder = STR(".");
    err_t e = disk_stat(folder, &stat);
    if (e == E_NOT_FOUND || (e == OK && !stat.is_dir))
        return OK;
    TRY(e);
    TRY(disk_list(folder, f->arena, &names, &count));
    for (size_t i = 0; i < count; i++)
        if ((names[i].p[0] != '.' || segment.p[0] == '.') && glob_match(segment, names[i]))
            TRY(add(f, under(f->arena, str_eq(folder, STR(".")) ? STR("") : folder, names[i])));
    return OK;
}

/* One segment further. */
static SUSPENDS err_t descend(struct found *f, struct str segment)
{
    struct found next = {.arena = f->arena, .max = f->max};

    for (size_t i = 0; i < f->count; i++) {
        if (glob_is_pattern(segment))
            TRY(add_matches(&next, f->paths[i], segment));
        else
            TRY(add(&next, under(f->arena, f->paths[i], segment)));
    }
    *f = next;
    return OK;
}

/* What is there, and is no folder. */
static SUSPENDS err_t keep_files(struct found *f)
{
    size_t kept = 0;

    for (size_t i = 0; i < f->count; i++) {
        struct disk_stat stat;
        err_t e = disk_stat(f->paths[i], &stat);
        if (e != OK && e != E_NOT_FOUND && e != E_IO)
            return e;
        if (e == OK && !stat.is_dir)
            f->paths[kept++] = f->paths[i];
    }
    f->count = kept;
    return OK;
}

static int by_text(const void *x, const void *y)
{
    return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

err_t find_files(struct str pattern, size_t max, struct arena *arena, struct str **ret_paths, size_t *ret_count)
{
    struct found f = {.arena = arena, .max = max};

    TRY(add(&f, str_starts(pattern, STR("/")) ? STR("/") : STR("")));
    while (pattern.n) {
        struct str segment = str_cut(&pattern, '/');
        if (segment.n)
            TRY(descend(&f, segment));
    }
    TRY(keep_files(&f));
    if (f.count)
        qsort(f.paths, f.count, sizeof *f.paths, by_text);
    *ret_paths = f.paths;
    *ret_count = f.count;
    return OK;
}
