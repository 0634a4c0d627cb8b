/* name_map.c - pairs of names, found from either side. Names are borrowed from the request. */
#include "llm/name_map.h"

#include "base/map.h"

struct pair {
    struct str theirs, ours;
};

struct name_map {
    struct arena *arena;
    size_t max;
    struct str extra;
    struct map by_theirs, by_ours; /* struct pair */
    bool changed;
};

static void release(void *obj)
{
    struct name_map *m = obj;

    map_release(&m->by_theirs);
    map_release(&m->by_ours);
}

struct name_map *name_map_new(struct arena *arena, size_t max, struct str extra)
{
    struct name_map *m = arena_new(arena, struct name_map);

    *m = (struct name_map){.arena = arena, .max = max, .extra = extra};
    arena_hold(arena, m, release);
    return m;
}

static bool is_allowed(const struct name_map *m, char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' ||
           str_find_char(m->extra, c) < m->extra.n;
}

bool name_map_fits(const struct name_map *m, struct str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (!is_allowed(m, name.p[i]))
            return false;
    return name.n <= m->max;
}

/* The name in the alphabet and length, with room for `tail`. */
static struct str sanitised(const struct name_map *m, struct str name, struct str tail)
{
    size_t keep = name.n + tail.n <= m->max ? name.n : m->max - tail.n;
    char *to = arena_alloc(m->arena, keep + tail.n + 1);

    for (size_t i = 0; i < keep; i++)
        to[i] = is_allowed(m, name.p[i]) ? name.p[i] : '_';
    if (tail.n)
        memcpy(to + keep, tail.p, tail.n);
    return str_of(to, keep + tail.n);
}

struct str name_map_out(struct name_map *m, struct str name)
{
    struct pair *p = map_get(&m->by_ours, name);

    if (p)
        return p->theirs;
    p = arena_new(m->arena, struct pair);
    p->ours = name;
    p->theirs = sanitised(m, name, STR_NONE);
    for (unsigned i = 2; map_get(&m->by_theirs, p->theirs); i++)
        p->theirs = sanitised(m, name, arena_printf(m->arena, "_%u", i));
    map_put(&m->by_ours, p->ours, p);
    map_put(&m->by_theirs, p->theirs, p);
    m->changed = m->changed || !str_eq(p->ours, p->theirs);
    return p->theirs;
}

struct str name_map_back(const struct name_map *m, struct str name)
{
    const struct pair *p = m ? map_get(&m->by_theirs, name) : NULL;

    return p ? p->ours : name;
}

bool name_map_is_changed(const struct name_map *m)
{
    return m && m->changed;
}
