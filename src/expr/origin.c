/* origin.c - paths of inputs as text, and sets of them. */
#include "expr/origin.h"

#include <stdlib.h>

enum { PATH_TEXT_MAX = 512 }; /* bytes; a longer path ends earlier, at what contains it */

struct origin *origin_of_input(struct arena *arena, struct str name)
{
    struct origin *origin = arena_new(arena, struct origin);

    origin->step = name;
    return origin;
}

const struct origin *origin_step(struct arena *arena, const struct origin *from, struct str step)
{
    if (!from || from->depth == ORIGIN_DEPTH_MAX)
        return from;
    struct origin *to = arena_new(arena, struct origin);
    *to = (struct origin){from, step, from->depth + 1};
    return to;
}

struct str origin_member(struct arena *arena, struct str name)
{
    bool plain = name.n > 0 && !(name.p[0] >= '0' && name.p[0] <= '9');

    for (size_t i = 0; i < name.n; i++)
        plain &= name.p[i] == '_' || (name.p[i] >= '0' && name.p[i] <= '9') ||
                 (ascii_lower(name.p[i]) >= 'a' && ascii_lower(name.p[i]) <= 'z');
    if (plain)
        return arena_printf(arena, ".%.*s", STR_ARG(name));
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 20);
    (void)buf_add_json(&b, name);
    return arena_printf(arena, "[\"%.*s\"]", STR_ARG(buf_str(&b)));
}

struct str origin_path(struct arena *arena, const struct origin *origin)
{
    char path[PATH_TEXT_MAX];
    struct str steps[ORIGIN_DEPTH_MAX + 1];
    size_t n = 0, length = 0;

    for (; origin; origin = origin->base)
        steps[n++] = origin->step;
    while (n-- && length + steps[n].n < sizeof path) {
        if (length == 1 && path[0] == '.' && steps[n].n && steps[n].p[0] == '.')
            length = 0;
        memcpy(path + length, steps[n].p, steps[n].n);
        length += steps[n].n;
    }
    return arena_str(arena, str_of(path, length));
}

static int compare(const void *x, const void *y)
{
    return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

static bool is_below(struct str path, struct str other)
{
    if (str_eq(other, STR(".")))
        return path.n > 1 && path.p[0] != '$';
    return path.n > other.n && str_starts(path, other) && (path.p[other.n] == '.' || path.p[other.n] == '[');
}

/* What a path is below of stands before it in the order, though not always right before. */
size_t origin_settle(struct str *paths, size_t n)
{
    size_t kept = 0;

    if (n)
        qsort(paths, n, sizeof *paths, compare);
    for (size_t i = 0; i < n; i++) {
        bool covered = false;
        for (size_t k = kept; k-- > 0 && !covered;)
            covered = str_eq(paths[i], paths[k]) || is_below(paths[i], paths[k]);
        if (!covered)
            paths[kept++] = paths[i];
    }
    return kept;
}
