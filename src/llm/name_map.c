/*
 * name_map.c - pairs of names, found from either side. Names are borrowed from the request.
 *
 * Most requests have only names that fit. These are kept in a list, which costs next to nothing; the tables that are searched are made when the
 * first name has to change, since only then can two names meet. Until then every name stands for itself.
 */
#include "llm/name_map.h"

#include "base/map.h"

struct pair {
    struct str theirs, ours;
};

/* A name that was given out as it is. */
struct kept {
    struct kept *next;
    struct str name;
};

struct name_map {
    struct arena *arena;
    size_t max;
    struct str extra;
    struct kept *kept;             /* as long as nothing has changed */
    struct map by_theirs, by_ours; /* struct pair; since then        */
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

static struct str put(struct name_map *m, struct str ours, struct str theirs)
{
    struct pair *p = arena_new(m->arena, struct pair);

    *p = (struct pair){.theirs = theirs, .ours = ours};
    map_put(&m->by_ours, ours, p);
    map_put(&m->by_theirs, theirs, p);
    return theirs;
}

/* From now on names are looked up: begin the tables with those that were given out. */
static void begin_changes(struct name_map *m)
{
    arena_hold(m->arena, m, release);
    m->changed = true;
    for (const struct kept *k = m->kept; k; k = k->next)
        if (!map_get(&m->by_ours, k->name))
            put(m, k->name, k->name);
}

static struct str keep(struct name_map *m, struct str name)
{
    struct kept *k = arena_new(m->arena, struct kept);

    *k = (struct kept){.next = m->kept, .name = name};
    m->kept = k;
    return name;
}

struct str name_map_out(struct name_map *m, struct str name)
{
    if (!m->changed && name_map_fits(m, name))
        return keep(m, name);
    if (!m->changed)
        begin_changes(m);
    const struct pair *p = map_get(&m->by_ours, name);
    if (p)
        return p->theirs;
    struct str theirs = sanitised(m, name, STR_NONE);
    for (unsigned i = 2; map_get(&m->by_theirs, theirs); i++)
        theirs = sanitised(m, name, arena_printf(m->arena, "_%u", i));
    return put(m, name, theirs);
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
