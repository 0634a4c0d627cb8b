/*
 * solve_object.c - an object: the members that must be there, each with a value.
 *
 * Facts that some member must be there are tried for every name that the schemas speak of, and for new names: one for each set of patterns
 * that a name may match, since rules cannot tell such names apart. In the honest reading the producer writes no member that it does not
 * declare. What no rule asks for is left out, because a member more is only one more thing that may be wrong.
 */
#include "jsonschema/inclusion_int.h"

enum { MEMBERS_MAX = 300, ATOMS_MAX = 64, PATTERNS = 4, NAMES = 600 };

struct name_set {
    struct str names[NAMES];
    uint32_t count;
    bool is_cut;
};

static void name_add(struct name_set *set, struct str name)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (str_eq(set->names[i], name))
            return;
    if (set->count == NAMES)
        set->is_cut = true;
    else
        set->names[set->count++] = name;
}

/* --- what the schemas say of a name --- */

static bool matches(struct search *s, const struct pattern *p, struct str name)
{
    uint64_t steps;
    void *room = p->bits ? NULL : arena_alloc(s->arena, regex_room(p->regex));

    return pattern_matches(p, name, room, &steps);
}

/* Do the rules speak of the name, in "properties" or "patternProperties"? */
static bool speaks_of(struct search *s, const struct object_rules *rules, struct str name)
{
    uint32_t i = property_find(rules, name);

    if (i != UINT32_MAX && rules->properties[i].part)
        return true;
    for (uint32_t j = 0; j < rules->pattern_count; j++)
        if (matches(s, &rules->patterns[j].pattern, name))
            return true;
    return false;
}

static const struct object_rules *rules_of(const struct fact *f)
{
    return f->kind == RULES ? f->part->object : NULL;
}

/* Is the producer's object closed by what it declares? It is, once something is declared and nothing says that there may be more. */
static bool is_closed(const struct search *s, const struct state *t)
{
    bool declares = false;

    if (s->reading == INCLUSION_STRICT)
        return false;
    for (const struct fact *f = t->facts; f; f = f->next) {
        const struct object_rules *rules = rules_of(f);
        if (f->kind != RULES || f->side != PRODUCER)
            continue;
        if (f->part->unevaluated_members || (rules && rules->additional))
            return false;
        declares |= rules && (rules->declares || rules->pattern_count);
    }
    return declares;
}

static bool is_declared(struct search *s, const struct state *t, struct str name)
{
    for (const struct fact *f = t->facts; f; f = f->next) {
        const struct object_rules *rules = f->side == PRODUCER ? rules_of(f) : NULL;
        if (!rules)
            continue;
        uint32_t i = property_find(rules, name);
        if ((i != UINT32_MAX && (rules->properties[i].part || rules->properties[i].is_required)) ||
            speaks_of(s, rules, name))
            return true;
    }
    return false;
}

static bool is_absent(const struct state *t, struct str name)
{
    for (const struct fact *f = t->facts; f; f = f->next)
        if (f->kind == ABSENT && str_eq(f->name, name))
            return true;
    return false;
}

/* The name as a JSON string. */
static struct str quoted(struct search *s, struct str name)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);

    (void)buf_add_char(&text, '"');
    (void)buf_add_json(&text, name);
    (void)buf_add_char(&text, '"');
    return arena_str(s->arena, buf_str(&text));
}

/* Do all "propertyNames" allow the name? */
static bool is_allowed_name(struct search *s, const struct state *t, struct str name)
{
    for (const struct fact *f = t->facts; f; f = f->next) {
        const struct object_rules *rules = rules_of(f);
        struct atom atom = {HOLDS, f->side, rules ? rules->names : 0, NULL};
        if (rules && rules->names && !search_test(s, (struct atoms){&atom, 1}, quoted(s, name)))
            return false;
    }
    return true;
}

/* May a member of that name be there at all? */
static bool may_be(struct search *s, const struct state *t, struct str name)
{
    return !is_absent(t, name) && (!is_closed(s, t) || is_declared(s, t, name)) && is_allowed_name(s, t, name);
}

/* What must hold for the value of a member. */
static uint32_t atoms_of(struct search *s, const struct state *t, struct str name, struct atom *list)
{
    uint32_t n = 0;

    for (const struct fact *f = t->facts; f && n < ATOMS_MAX - 8; f = f->next) {
        const struct object_rules *rules = rules_of(f);
        if (f->kind == MEMBER && f->has_atom && str_eq(f->name, name))
            list[n++] = f->atom;
        if (!rules)
            continue;
        uint32_t i = property_find(rules, name), before = n;
        if (i != UINT32_MAX && rules->properties[i].part)
            list[n++] = (struct atom){HOLDS, f->side, rules->properties[i].part, NULL};
        for (uint32_t j = 0; j < rules->pattern_count && n < ATOMS_MAX - 4; j++)
            if (matches(s, &rules->patterns[j].pattern, name))
                list[n++] = (struct atom){HOLDS, f->side, rules->patterns[j].part, NULL};
        if (n == before && rules->additional)
            list[n++] = (struct atom){HOLDS, f->side, rules->additional, NULL};
    }
    return n;
}

static struct found find_value(struct search *s, const struct state *t, struct str name)
{
    struct atom *list = arena_alloc(s->arena, ATOMS_MAX * sizeof *list);
    struct atoms goal;

    if (!atoms_make(s, list, atoms_of(s, t, name, list), &goal))
        return undecided(s, "too much is said of a member");
    return search(s, goal);
}

/* --- new names --- */

/* All patterns that tell names apart, each once. *ret_cut: there are more. */
static uint32_t list_patterns(const struct state *t, const struct pattern **list, bool *ret_cut)
{
    uint32_t n = 0;

    *ret_cut = false;
    for (const struct fact *f = t->facts; f; f = f->next) {
        const struct object_rules *rules = f->part ? f->part->object : NULL;
        for (uint32_t i = 0; rules && i < rules->pattern_count; i++) {
            bool known = false;
            for (uint32_t j = 0; j < n; j++)
                known |= str_eq(list[j]->text, rules->patterns[i].pattern.text);
            if (known)
                continue;
            if (n == PATTERNS)
                *ret_cut = true;
            else
                list[n++] = &rules->patterns[i].pattern;
        }
    }
    return n;
}

static void list_names(const struct state *t, struct name_set *set)
{
    for (const struct fact *f = t->facts; f; f = f->next) {
        const struct object_rules *rules = f->part ? f->part->object : NULL;
        if (f->kind == MEMBER || f->kind == ABSENT)
            name_add(set, f->name);
        for (uint32_t i = 0; rules && i < rules->property_count; i++)
            name_add(set, rules->properties[i].name);
    }
}

/* A name that matches exactly those patterns, and is none that is known: *ret_name, if there is one. */
static struct found find_name(struct search *s, const struct state *t, const struct name_set *known,
                              const struct pattern *const *patterns, uint32_t count, uint32_t subset,
                              const struct fact *unlike)
{
    const struct fact *facts = NULL;
    struct atom *list = arena_alloc(s->arena, ATOMS_MAX * sizeof *list);
    struct atoms goal;
    uint32_t n = 0;

    for (uint32_t i = 0; i < count; i++)
        facts =
            fact_add(s, facts, (struct fact){.kind = subset >> i & 1 ? MATCHES : NOT_MATCHES, .pattern = patterns[i]});
    for (uint32_t i = 0; i < known->count; i++)
        facts = fact_add(s, facts, (struct fact){.kind = NOT_TEXT, .name = known->names[i]});
    for (const struct fact *f = t->facts; f && n < ATOMS_MAX - 2; f = f->next)
        if (rules_of(f) && rules_of(f)->names)
            list[n++] = (struct atom){HOLDS, f->side, rules_of(f)->names, NULL};
    if (unlike)
        list[n++] = (struct atom){FAILS, unlike->side, unlike->part->object->names, NULL};
    if (!atoms_make(s, list, n, &goal))
        return undecided(s, "too much is said of names");
    return expand(s, JSON_STRING, goal, facts);
}

/* The same, looked at again: patterns that were left out of the search may have another opinion. */
static enum outcome new_name(struct search *s, const struct state *t, const struct name_set *known,
                             const struct pattern *const *patterns, uint32_t count, uint32_t subset,
                             const struct fact *unlike, struct str *ret_name)
{
    struct found found = find_name(s, t, known, patterns, count, subset, unlike);

    if (found.outcome != FOUND)
        return found.outcome;
    if (json_string_value(found.text, s->arena, ret_name) != OK)
        return undecided(s, "a name that is no text").outcome;
    for (uint32_t i = 0; i < count; i++)
        if (matches(s, patterns[i], *ret_name) != (subset >> i & 1))
            return undecided(s, "patterns of names that are too large").outcome;
    for (uint32_t i = 0; i < known->count; i++)
        if (str_eq(known->names[i], *ret_name))
            return undecided(s, "objects with too many names").outcome;
    return FOUND;
}

/* --- members that must be somewhere --- */

static bool is_open(const struct fact *f)
{
    return f->kind == SOME_MATCHING || f->kind == SOME_EXTRA || f->kind == SOME_NAME;
}

/* Is the fact about members of this name? */
static bool concerns(struct search *s, const struct fact *f, struct str name)
{
    if (f->kind == SOME_MATCHING)
        return matches(s, f->pattern, name);
    if (f->kind == SOME_EXTRA)
        return !speaks_of(s, f->part->object, name);
    struct atom atom = {FAILS, f->side, f->part->object->names, NULL};
    return search_test(s, (struct atoms){&atom, 1}, quoted(s, name));
}

static void note(struct found *best, struct found found)
{
    if (best->outcome != FOUND && found.outcome != EMPTY)
        *best = found;
}

/* The fact is about that name. */
static void try_name(struct search *s, const struct state *t, const struct fact *open, const struct fact *rest,
                     struct str name, struct found *best)
{
    struct state next = *t;
    struct fact member = {
        .kind = MEMBER, .name = name, .side = open->side, .has_atom = open->kind != SOME_NAME, .atom = open->atom};

    if (best->outcome == FOUND || !may_be(s, t, name) || !concerns(s, open, name))
        return;
    next.facts = fact_add(s, rest, member);
    note(best, solve_object(s, &next));
}

static void try_new_names(struct search *s, const struct state *t, const struct fact *open, const struct fact *rest,
                          const struct name_set *known, struct found *best)
{
    const struct pattern *patterns[PATTERNS];
    bool cut;
    uint32_t count = list_patterns(t, patterns, &cut);

    for (uint32_t subset = 0; subset < 1U << count && best->outcome != FOUND; subset++) {
        struct str name;
        enum outcome outcome =
            new_name(s, t, known, patterns, count, subset, open->kind == SOME_NAME ? open : NULL, &name);
        if (outcome == UNDECIDED)
            note(best, (struct found){.outcome = UNDECIDED});
        if (outcome == FOUND)
            try_name(s, t, open, rest, name, best);
    }
    if (cut || known->is_cut)
        note(best, undecided(s, "objects with too many patterns or names"));
}

static struct found place_open(struct search *s, const struct state *t, const struct fact *open)
{
    struct found best = {.outcome = EMPTY};
    struct name_set *known = arena_new(s->arena, struct name_set);
    const struct fact *rest = NULL;

    if (!search_step(s, 4))
        return undecided(s, "it takes too many steps");
    list_names(t, known);
    for (const struct fact *f = t->facts; f; f = f->next)
        if (f != open)
            rest = fact_add(s, rest, *f);
    for (uint32_t i = 0; i < known->count; i++)
        try_name(s, t, open, rest, known->names[i], &best);
    try_new_names(s, t, open, rest, known, &best);
    return best;
}

/* --- the object --- */

struct members {
    struct str names[MEMBERS_MAX], values[MEMBERS_MAX];
    uint32_t count;
    bool sure; /* every value was found */
};

static bool has_member(const struct members *m, struct str name)
{
    for (uint32_t i = 0; i < m->count; i++)
        if (str_eq(m->names[i], name))
            return true;
    return false;
}

/* False: no value can be found for it. */
static bool add_member(struct search *s, const struct state *t, struct members *m, struct str name)
{
    if (has_member(m, name))
        return true;
    if (!may_be(s, t, name))
        return false;
    struct found found = find_value(s, t, name);
    if (found.outcome == EMPTY)
        return false;
    if (m->count == MEMBERS_MAX || found.outcome == UNDECIDED) {
        m->sure = false;
        return true;
    }
    m->names[m->count] = name;
    m->values[m->count++] = found.text;
    return true;
}

static bool add_required(struct search *s, const struct state *t, struct members *m)
{
    for (const struct fact *f = t->facts; f; f = f->next) {
        const struct object_rules *rules = rules_of(f);
        if (f->kind == MEMBER && !add_member(s, t, m, f->name))
            return false;
        for (uint32_t i = 0; rules && i < rules->property_count; i++)
            if (rules->properties[i].is_required && !add_member(s, t, m, rules->properties[i].name))
                return false;
    }
    return true;
}

/* More members, up to a number. *ret_all: there are no more than these. */
static void add_more(struct search *s, const struct state *t, struct members *m, uint64_t wanted, bool *ret_all)
{
    struct name_set *known = arena_new(s->arena, struct name_set);
    const struct pattern *patterns[PATTERNS];
    bool cut, all = true;
    uint32_t count = list_patterns(t, patterns, &cut);

    list_names(t, known);
    for (uint32_t i = 0; i < known->count && m->count < wanted; i++)
        (void)add_member(s, t, m, known->names[i]);
    for (uint32_t subset = 0; subset < 1U << count && m->count < wanted; subset++)
        while (m->count < wanted) {
            uint32_t before = m->count;
            struct str name;
            enum outcome outcome = new_name(s, t, known, patterns, count, subset, NULL, &name);
            all &= outcome != UNDECIDED;
            if (outcome != FOUND)
                break;
            name_add(known, name);
            if (known->is_cut || !add_member(s, t, m, name) || m->count == before)
                break;
        }
    *ret_all = all && !cut && !known->is_cut && m->sure;
}

static struct found try_object(struct search *s, const struct state *t, const struct members *m)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);

    (void)buf_add_char(&text, '{');
    for (uint32_t i = 0; i < m->count; i++) {
        (void)buf_addf(&text, "%s\"", i ? "," : "");
        (void)buf_add_json(&text, m->names[i]);
        (void)buf_add_lit(&text, "\":");
        (void)buf_add(&text, m->values[i]);
    }
    (void)buf_add_char(&text, '}');
    if (buf_status(&text) != OK || !search_test(s, t->goal, buf_str(&text)))
        return undecided(s, "objects whose members depend on each other");
    return (struct found){FOUND, arena_str(s->arena, buf_str(&text))};
}

static void count_bounds(const struct state *t, uint64_t *min, uint64_t *max)
{
    for (const struct fact *f = t->facts; f; f = f->next) {
        const struct object_rules *rules = f->part ? f->part->object : NULL;
        if (f->kind == RULES && rules) {
            *min = rules->min > *min ? rules->min : *min;
            *max = rules->max < *max ? rules->max : *max;
        } else if (f->kind == FEWER_MEMBERS && rules) {
            *max = rules->min - 1 < *max ? rules->min - 1 : *max;
        } else if (f->kind == MORE_MEMBERS && rules) {
            *min = rules->max + 1 > *min ? rules->max + 1 : *min;
        }
    }
}

static struct found fill_object(struct search *s, const struct state *t)
{
    struct members *m = arena_new(s->arena, struct members);
    uint64_t min = 0, max = UINT64_MAX;
    bool all = false;

    m->sure = true;
    count_bounds(t, &min, &max);
    if (min > max || !add_required(s, t, m) || m->count > max)
        return (struct found){.outcome = EMPTY};
    if (m->sure && m->count < min)
        add_more(s, t, m, min, &all);
    if (m->count < min)
        return all ? (struct found){.outcome = EMPTY} : undecided(s, "objects with many members");
    return m->sure ? try_object(s, t, m) : undecided(s, "a member that is not decided");
}

struct found solve_object(struct search *s, const struct state *t)
{
    for (const struct fact *f = t->facts; f; f = f->next)
        if (is_open(f))
            return place_open(s, t, f);
    return fill_object(s, t);
}
