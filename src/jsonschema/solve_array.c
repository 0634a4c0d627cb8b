/*
 * solve_array.c - an array: the shortest that can be, an element for each place.
 *
 * Facts that some element must be there are tried at each place where places differ: within the longest prefix, and behind it at as many as
 * there are such facts. A place
 * for which no element can be found makes the array impossible, because longer arrays have that place as well.
 */
#include "jsonschema/inclusion_int.h"

enum { ITEMS_MAX = 100, ATOMS_MAX = 64 };

struct array_goal {
    uint64_t min, max;
    uint32_t prefix; /* the longest */
    bool is_unique, has_twins;
};

static void add_rules(struct array_goal *g, const struct array_rules *rules)
{
    if (!rules)
        return;
    g->min = rules->min > g->min ? rules->min : g->min;
    g->max = rules->max < g->max ? rules->max : g->max;
    g->prefix = rules->prefix_count > g->prefix ? rules->prefix_count : g->prefix;
    g->is_unique |= rules->is_unique;
    if (rules->contains && rules->contains_min > g->min)
        g->min = rules->contains_min;
}

static struct array_goal goal_of(const struct state *t)
{
    struct array_goal g = {.max = UINT64_MAX};

    for (const struct fact *f = t->facts; f; f = f->next) {
        if (f->kind == RULES)
            add_rules(&g, f->part->array);
        else if (f->kind == FEWER_ITEMS)
            g.max = f->part->array->min - 1 < g.max ? f->part->array->min - 1 : g.max;
        else if (f->kind == MORE_ITEMS)
            g.min = f->part->array->max + 1 > g.min ? f->part->array->max + 1 : g.min;
        else if (f->kind == NOT_UNIQUE)
            g.has_twins = true;
        else if (f->kind == ELEMENT && f->index + 1 > g.min)
            g.min = f->index + 1;
    }
    if (g.has_twins && g.min < 2)
        g.min = 2;
    return g;
}

/* --- elements --- */

/* An element that must be there has been given its place: it has `has_atom` then. */
static uint32_t atoms_at(const struct state *t, uint64_t place, struct atom *list)
{
    uint32_t n = 0;

    for (const struct fact *f = t->facts; f && n + 2 < ATOMS_MAX; f = f->next) {
        const struct array_rules *rules = f->part ? f->part->array : NULL;
        if (f->kind == RULES && rules) {
            part_t part = place < rules->prefix_count ? rules->prefix[place] : rules->rest;
            if (part)
                list[n++] = (struct atom){HOLDS, f->side, part, NULL};
        } else if (f->kind == NOT_CONTAINED && rules && rules->contains_max == UINT64_MAX && rules->contains_min == 1) {
            list[n++] = (struct atom){FAILS, f->side, rules->contains, NULL};
        } else if (f->kind == ELEMENT && f->has_atom && f->index == place) {
            list[n++] = f->atom;
        }
    }
    return n;
}

static struct found find_element(struct search *s, const struct state *t, uint64_t place)
{
    struct atom *list = arena_alloc(s->arena, ATOMS_MAX * sizeof *list);
    struct atoms goal;

    if (!atoms_make(s, list, atoms_at(t, place, list), &goal))
        return undecided(s, "too much is said of an element");
    return search(s, goal);
}

static struct found try_array(struct search *s, const struct state *t, const struct str *elements, uint64_t count)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);

    (void)buf_add_char(&text, '[');
    for (uint64_t i = 0; i < count; i++) {
        if (i)
            (void)buf_add_char(&text, ',');
        (void)buf_add(&text, elements[i]);
    }
    (void)buf_add_char(&text, ']');
    if (buf_status(&text) != OK || !search_test(s, t->goal, buf_str(&text)))
        return undecided(s, "arrays whose elements depend on each other");
    return (struct found){FOUND, arena_str(s->arena, buf_str(&text))};
}

/* All that must be somewhere has a place now. */
static struct found fill_array(struct search *s, const struct state *t)
{
    struct array_goal g = goal_of(t);
    struct str *elements = arena_zalloc(s->arena, ITEMS_MAX * sizeof *elements);
    bool sure = true;

    if (g.min > g.max || (g.is_unique && g.has_twins))
        return (struct found){.outcome = EMPTY};
    for (uint64_t i = 0; i < g.min && i < ITEMS_MAX; i++) {
        struct found found = find_element(s, t, i);
        if (found.outcome == EMPTY)
            return found;
        sure &= found.outcome == FOUND;
        elements[i] = found.text;
    }
    if (!sure || g.min > ITEMS_MAX)
        return undecided(s, "an array with too many elements");
    struct found found = try_array(s, t, elements, g.min);
    /* One more may do: what must not be there too often, or must differ. */
    for (uint64_t n = g.min; found.outcome == UNDECIDED && n < g.max && n < g.min + 3 && n < ITEMS_MAX; n++) {
        struct found more = find_element(s, t, n);
        if (more.outcome != FOUND)
            break;
        elements[n] = more.text;
        found = try_array(s, t, elements, n + 1);
    }
    return found;
}

/* --- places for what must be somewhere --- */

/* The first fact about some element that has no place yet: of the facts given, or that "contains" holds. */
static const struct fact *first_open(const struct state *t, struct fact *room)
{
    for (const struct fact *f = t->facts; f; f = f->next) {
        if (f->kind == ELEMENT && !f->has_atom)
            return f;
        if (f->kind != RULES || !f->part->array || !f->part->array->contains || !f->part->array->contains_min)
            continue;
        struct atom wanted = {HOLDS, f->side, f->part->array->contains, NULL};
        bool placed = false;
        for (const struct fact *other = t->facts; other; other = other->next)
            placed |= other->kind == ELEMENT && other->has_atom && other->atom.kind == HOLDS &&
                      other->atom.side == f->side && other->atom.part == wanted.part;
        if (placed)
            continue;
        *room = (struct fact){.kind = ELEMENT, .side = f->side, .atom = wanted};
        return room;
    }
    return NULL;
}

static const struct fact *without(struct search *s, const struct fact *list, const struct fact *out)
{
    const struct fact *rest = NULL;

    for (; list; list = list->next)
        if (list != out)
            rest = fact_add(s, rest, *list);
    return rest;
}

/* Elements that must be somewhere: each may need a place of its own. */
static uint32_t count_wanted(const struct state *t)
{
    uint32_t n = 0;

    for (const struct fact *f = t->facts; f; f = f->next)
        n += f->kind == ELEMENT || (f->kind == RULES && f->part->array && f->part->array->contains);
    return n;
}

struct found solve_array(struct search *s, const struct state *t)
{
    struct found best = {.outcome = EMPTY};
    struct array_goal g = goal_of(t);
    struct fact room;
    const struct fact *open = first_open(t, &room);

    if (!open)
        return fill_array(s, t);
    if (g.min > g.max)
        return best;
    uint32_t last = (g.prefix > open->index ? g.prefix : open->index) + count_wanted(t) - 1;
    struct state next = *t;
    const struct fact *rest = without(s, t->facts, open);
    for (uint32_t place = open->index; place <= last && place < ITEMS_MAX && best.outcome != FOUND; place++) {
        struct fact placed = *open;
        placed.index = place;
        placed.has_atom = true;
        if (!search_step(s, 1))
            return undecided(s, "it takes too many steps");
        next.facts = fact_add(s, rest, placed);
        struct found found = solve_array(s, &next);
        if (found.outcome != EMPTY)
            best = found;
    }
    return last >= ITEMS_MAX && best.outcome == EMPTY ? undecided(s, "an array with too many elements") : best;
}
