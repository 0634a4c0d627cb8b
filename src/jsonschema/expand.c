/*
 * expand.c - from "this part holds" and "that part fails" to facts about a value of one kind.
 *
 * A part that holds adds its rules, and the parts that it combines; a part that fails is a choice of the keywords that may fail. Choices
 * are tried one after the other, after all that is certain has been added, since a contradiction found early saves the rest. A part met
 * again adds nothing; one that is to hold and to fail ends the alternative.
 */
#include "jsonschema/inclusion_int.h"

static struct found expand_state(struct search *s, struct state t);

/* --- lists --- */

const struct fact *fact_add(struct search *s, const struct fact *list, struct fact fact)
{
    struct fact *kept = arena_new(s->arena, struct fact);

    *kept = fact;
    kept->next = list;
    return kept;
}

static const struct atom_list *atom_add(struct search *s, const struct atom_list *list, struct atom atom)
{
    struct atom_list *kept = arena_new(s->arena, struct atom_list);

    *kept = (struct atom_list){list, atom};
    return kept;
}

static void choice_add(struct search *s, struct state *t, const struct option *options)
{
    struct choice *kept = arena_new(s->arena, struct choice);

    *kept = (struct choice){t->choices, options};
    t->choices = kept;
}

static void option_add(struct search *s, const struct option **options, const struct atom_list *atoms,
                       const struct fact *fact)
{
    struct option *kept = arena_new(s->arena, struct option);

    *kept = (struct option){*options, atoms, fact};
    *options = kept;
}

static void option_of_fact(struct search *s, const struct option **options, struct fact fact)
{
    option_add(s, options, NULL, fact_add(s, NULL, fact));
}

static struct atom holds(enum side side, part_t part)
{
    return (struct atom){HOLDS, side, part, NULL};
}

static struct atom fails(const struct atom *as, part_t part)
{
    return (struct atom){FAILS, as->side, part, as->reads};
}

/* --- what holds --- */

/* Of several, one; exactly one. */
static void choose_one(struct search *s, struct state *t, enum side side, const struct part_list *list, bool exactly)
{
    const struct option *options = NULL;
    struct atom as = holds(side, 0);

    for (uint32_t i = list->count; i-- > 0;) {
        const struct atom_list *atoms = NULL;
        for (uint32_t j = 0; exactly && j < list->count; j++)
            if (j != i)
                atoms = atom_add(s, atoms, fails(&as, list->parts[j]));
        option_add(s, &options, atom_add(s, atoms, holds(side, list->parts[i])), NULL);
    }
    choice_add(s, t, options);
}

static void hold_condition(struct search *s, struct state *t, enum side side, const struct combine_rules *c)
{
    const struct option *options = NULL;
    struct atom as = holds(side, 0);
    const struct atom_list *then = atom_add(s, NULL, holds(side, c->if_)),
                           *otherwise = atom_add(s, NULL, fails(&as, c->if_));

    if (c->then)
        then = atom_add(s, then, holds(side, c->then));
    if (c->else_)
        otherwise = atom_add(s, otherwise, holds(side, c->else_));
    option_add(s, &options, otherwise, NULL);
    option_add(s, &options, then, NULL);
    choice_add(s, t, options);
}

/* The member is not there, or it is and what depends on it holds. */
static void hold_dependent(struct search *s, struct state *t, enum side side, const struct object_rules *rules,
                           const struct dependent *d)
{
    const struct option *options = NULL;
    struct fact there = {.kind = MEMBER, .name = rules->properties[d->property].name, .side = side};

    if (d->part)
        option_add(s, &options, atom_add(s, NULL, holds(side, d->part)), fact_add(s, NULL, there));
    if (d->needed_count) {
        const struct fact *facts = fact_add(s, NULL, there);
        for (uint32_t j = 0; j < d->needed_count; j++)
            facts = fact_add(s, facts,
                             (struct fact){.kind = MEMBER, .name = rules->properties[d->needed[j]].name, .side = side});
        option_add(s, &options, NULL, facts);
    }
    if (!d->part && !d->needed_count)
        return;
    there.kind = ABSENT;
    option_of_fact(s, &options, there);
    choice_add(s, t, options);
}

static void hold_combined(struct search *s, struct state *t, enum side side, const struct combine_rules *c)
{
    struct atom as = holds(side, 0);

    for (uint32_t i = 0; i < c->reference_count; i++)
        if (!c->references[i].dynamic)
            t->open = atom_add(s, t->open, holds(side, c->references[i].part));
    for (uint32_t i = 0; i < c->all_of.count; i++)
        t->open = atom_add(s, t->open, holds(side, c->all_of.parts[i]));
    if (c->not)
        t->open = atom_add(s, t->open, fails(&as, c->not));
    if (c->any_of.count)
        choose_one(s, t, side, &c->any_of, false);
    if (c->one_of.count)
        choose_one(s, t, side, &c->one_of, true);
    if (c->if_ && (c->then || c->else_))
        hold_condition(s, t, side, c);
}

/* False: it cannot hold for this kind. */
static bool hold(struct search *s, struct state *t, const struct atom *atom)
{
    const struct part *part = search_part(s, atom->side, atom->part);

    if (!(part->kinds & 1 << t->kind))
        return false;
    t->facts = fact_add(s, t->facts, (struct fact){.kind = RULES, .side = atom->side, .part = part});
    if (part->combine)
        hold_combined(s, t, atom->side, part->combine);
    if (t->kind == JSON_OBJECT && part->object)
        for (uint32_t i = 0; i < part->object->dependent_count; i++)
            hold_dependent(s, t, atom->side, part->object, &part->object->dependents[i]);
    return true;
}

/* --- what fails: the ways in which it may --- */

struct failure {
    struct search *s;
    const struct atom *atom;
    const struct part *part;
    const struct option *options;
};

static void fail_by(struct failure *f, enum fact_kind kind, uint32_t index)
{
    option_of_fact(f->s, &f->options,
                   (struct fact){.kind = kind, .side = f->atom->side, .part = f->part, .index = index});
}

static void fail_number(struct failure *f)
{
    const struct number_rules *rules = f->part->number;

    for (uint32_t i = 0; i < BOUNDS; i++)
        if (rules->bounds[i].is_set)
            fail_by(f, NOT_BOUND, i);
    if (rules->has_divisor)
        fail_by(f, NOT_MULTIPLE, 0);
}

static void fail_string(struct failure *f)
{
    const struct string_rules *rules = f->part->string;

    if (rules->min)
        fail_by(f, SHORTER, 0);
    if (rules->max != UINT64_MAX)
        fail_by(f, LONGER, 0);
    if (rules->pattern)
        option_of_fact(f->s, &f->options, (struct fact){.kind = NOT_MATCHES, .pattern = rules->pattern});
    if (rules->format || rules->is_json || rules->encoding != ENCODING_NONE)
        fail_by(f, NOT_FORMAT, 0);
}

/* An element from `index` on (or there) for which a part fails. */
static void fail_element(struct failure *f, uint32_t index, part_t part, bool there_only, const struct reads *reads)
{
    struct fact fact = {.kind = ELEMENT,
                        .index = index,
                        .has_atom = there_only,
                        .side = f->atom->side,
                        .atom = {FAILS, f->atom->side, part, reads}};

    option_of_fact(f->s, &f->options, fact);
}

static void fail_elements(struct failure *f, const struct reads *reads)
{
    const struct array_rules *rules = f->part->array;

    if (rules->rest)
        fail_element(f, rules->prefix_count, rules->rest, false, reads);
    for (uint32_t i = rules->prefix_count; i-- > 0;)
        fail_element(f, i, rules->prefix[i], true, reads);
}

static void fail_array(struct failure *f)
{
    const struct array_rules *rules = f->part->array;

    if (rules->contains && (rules->contains_min || rules->contains_max != UINT64_MAX))
        fail_by(f, NOT_CONTAINED, 0);
    if (rules->is_unique)
        fail_by(f, NOT_UNIQUE, 0);
    if (rules->max != UINT64_MAX)
        fail_by(f, MORE_ITEMS, 0);
    if (rules->min)
        fail_by(f, FEWER_ITEMS, 0);
    fail_elements(f, NULL);
}

static void fail_member(struct failure *f, struct str name, part_t part, const struct reads *reads)
{
    option_of_fact(f->s, &f->options,
                   (struct fact){.kind = MEMBER,
                                 .name = name,
                                 .side = f->atom->side,
                                 .has_atom = true,
                                 .atom = {FAILS, f->atom->side, part, reads}});
}

static void fail_absent(struct failure *f, struct str name)
{
    option_of_fact(f->s, &f->options, (struct fact){.kind = ABSENT, .name = name, .side = f->atom->side});
}

static void fail_dependents(struct failure *f)
{
    const struct object_rules *rules = f->part->object;

    for (uint32_t i = 0; i < rules->dependent_count; i++) {
        const struct dependent *d = &rules->dependents[i];
        const struct fact *there =
            fact_add(f->s, NULL, (struct fact){.kind = MEMBER, .name = rules->properties[d->property].name});
        for (uint32_t j = 0; j < d->needed_count; j++)
            option_add(
                f->s, &f->options, NULL,
                fact_add(f->s, there, (struct fact){.kind = ABSENT, .name = rules->properties[d->needed[j]].name}));
        if (d->part)
            option_add(f->s, &f->options, atom_add(f->s, NULL, fails(f->atom, d->part)), there);
    }
}

static void fail_object(struct failure *f)
{
    const struct object_rules *rules = f->part->object;
    struct fact some = {.side = f->atom->side, .part = f->part, .has_atom = true};

    if (rules->names)
        fail_by(f, SOME_NAME, 0);
    if (rules->max != UINT64_MAX)
        fail_by(f, MORE_MEMBERS, 0);
    if (rules->min)
        fail_by(f, FEWER_MEMBERS, 0);
    fail_dependents(f);
    if (rules->additional) {
        some.kind = SOME_EXTRA;
        some.atom = (struct atom){FAILS, f->atom->side, rules->additional, NULL};
        option_of_fact(f->s, &f->options, some);
    }
    for (uint32_t i = 0; i < rules->pattern_count; i++) {
        some.kind = SOME_MATCHING;
        some.pattern = &rules->patterns[i].pattern;
        some.atom = (struct atom){FAILS, f->atom->side, rules->patterns[i].part, NULL};
        option_of_fact(f->s, &f->options, some);
    }
    for (uint32_t i = rules->property_count; i-- > 0;) {
        if (rules->properties[i].part)
            fail_member(f, rules->properties[i].name, rules->properties[i].part, NULL);
        if (rules->properties[i].is_required)
            fail_absent(f, rules->properties[i].name);
    }
}

/* Only members that are read, and only what of them is. */
static void fail_read_members(struct failure *f)
{
    const struct object_rules *rules = f->part->object;
    uint64_t steps;

    for (const struct reads *r = f->atom->reads->kids; r; r = r->next) {
        const struct reads *below = r->is_leaf ? NULL : r;
        uint32_t i = r->is_element ? UINT32_MAX : property_find(rules, r->name);
        bool spoken_of = i != UINT32_MAX && rules->properties[i].part;
        if (r->is_element)
            continue;
        if (spoken_of)
            fail_member(f, r->name, rules->properties[i].part, below);
        if (i != UINT32_MAX && rules->properties[i].is_required)
            fail_absent(f, r->name);
        for (uint32_t j = 0; j < rules->pattern_count; j++) {
            const struct pattern *p = &rules->patterns[j].pattern;
            void *room = p->bits ? NULL : arena_alloc(f->s->arena, regex_room(p->regex));
            if (!pattern_matches(p, r->name, room, &steps))
                continue;
            spoken_of = true;
            fail_member(f, r->name, rules->patterns[j].part, below);
        }
        if (!spoken_of && rules->additional)
            fail_member(f, r->name, rules->additional, below);
    }
}

static void fail_one_of(struct failure *f, const struct part_list *list)
{
    const struct atom_list *none = NULL;

    for (uint32_t i = 0; i < list->count; i++)
        none = atom_add(f->s, none, fails(f->atom, list->parts[i]));
    /* Two alternatives at once are no obstacle to who reads only some of it. */
    for (uint32_t i = 0; !f->atom->reads && i < list->count; i++)
        for (uint32_t j = i + 1; j < list->count; j++)
            option_add(f->s, &f->options,
                       atom_add(f->s, atom_add(f->s, NULL, holds(f->atom->side, list->parts[i])),
                                holds(f->atom->side, list->parts[j])),
                       NULL);
    option_add(f->s, &f->options, none, NULL);
}

static void fail_condition(struct failure *f, const struct combine_rules *c)
{
    const struct atom whole = {FAILS, f->atom->side, c->if_, NULL};

    if (c->else_)
        option_add(f->s, &f->options, atom_add(f->s, atom_add(f->s, NULL, whole), fails(f->atom, c->else_)), NULL);
    if (c->then)
        option_add(f->s, &f->options,
                   atom_add(f->s, atom_add(f->s, NULL, holds(f->atom->side, c->if_)), fails(f->atom, c->then)), NULL);
}

static void fail_combined(struct failure *f)
{
    const struct combine_rules *c = f->part->combine;
    const struct atom_list *none = NULL;

    for (uint32_t i = 0; i < c->reference_count; i++)
        option_add(f->s, &f->options,
                   c->references[i].dynamic ? NULL : atom_add(f->s, NULL, fails(f->atom, c->references[i].part)), NULL);
    for (uint32_t i = 0; i < c->all_of.count; i++)
        option_add(f->s, &f->options, atom_add(f->s, NULL, fails(f->atom, c->all_of.parts[i])), NULL);
    for (uint32_t i = 0; i < c->any_of.count; i++)
        none = atom_add(f->s, none, fails(f->atom, c->any_of.parts[i]));
    if (none)
        option_add(f->s, &f->options, none, NULL);
    if (c->one_of.count)
        fail_one_of(f, &c->one_of);
    if (c->not&&!f->atom->reads)
        option_add(f->s, &f->options, atom_add(f->s, NULL, holds(f->atom->side, c->not)), NULL);
    if (c->if_)
        fail_condition(f, c);
}

static void fail_values(struct failure *f)
{
    if (f->part->values)
        fail_by(f, NOT_VALUES, 0);
    if (f->part->constant)
        fail_by(f, NOT_CONSTANT, 0);
}

/* Nothing is known of how "unevaluated…" fails: anything may. */
static void fail_unevaluated(struct failure *f, enum json_kind kind)
{
    if ((kind == JSON_OBJECT && f->part->unevaluated_members) || (kind == JSON_ARRAY && f->part->unevaluated_items))
        option_add(f->s, &f->options, NULL, NULL);
}

static void fail_for_kind(struct failure *f, enum json_kind kind)
{
    const struct part *part = f->part;
    const struct reads *reads = f->atom->reads;

    if (kind == JSON_NUMBER && part->whole && !reads)
        fail_by(f, NOT_WHOLE, 0);
    if (kind == JSON_NUMBER && part->number && !reads)
        fail_number(f);
    if (kind == JSON_STRING && part->string && !reads)
        fail_string(f);
    if (kind == JSON_ARRAY && part->array) {
        if (!reads)
            fail_array(f);
        for (const struct reads *r = reads ? reads->kids : NULL; r; r = r->next)
            if (r->is_element)
                fail_elements(f, r->is_leaf ? NULL : r);
    }
    if (kind == JSON_OBJECT && part->object) {
        if (reads)
            fail_read_members(f);
        else
            fail_object(f);
    }
}

/* Add the choice of how it fails; nothing if it fails for the whole kind. */
static void fail_part(struct search *s, struct state *t, const struct atom *atom)
{
    struct failure f = {.s = s, .atom = atom, .part = search_part(s, atom->side, atom->part)};

    if (!(f.part->kinds & 1 << t->kind))
        return;
    if (!atom->reads) {
        fail_values(&f);
        fail_unevaluated(&f, t->kind);
    }
    if (f.part->combine)
        fail_combined(&f);
    fail_for_kind(&f, t->kind);
    choice_add(s, t, f.options);
}

/* --- what is there --- */

/* One step of a path that must lead somewhere. */
static bool have(struct search *s, struct state *t, const struct atom *atom)
{
    const struct reads *r = atom->reads;
    struct fact fact = {.name = r->name, .side = PRODUCER, .has_atom = !r->is_leaf};

    if (t->kind != (r->is_element ? JSON_ARRAY : JSON_OBJECT))
        return false;
    fact.kind = r->is_element ? ELEMENT : MEMBER;
    if (!r->is_leaf)
        fact.atom = (struct atom){HAS, PRODUCER, 0, r->kids};
    if (r->is_element) {
        fact.has_atom = false; /* at any place */
        if (r->is_leaf)
            fact.atom = (struct atom){HAS, PRODUCER, 0, NULL};
    }
    t->facts = fact_add(s, t->facts, fact);
    return true;
}

/* --- all of it --- */

static bool is_same(const struct atom *x, const struct atom *y)
{
    return x->kind == y->kind && x->side == y->side && x->part == y->part && x->reads == y->reads;
}

/* Do two parts of both sides say the same, word for word? With references only if all that they can lead to is the same. */
static bool says_the_same(const struct search *s, const struct atom *x, const struct atom *y)
{
    if (x->side == y->side)
        return x->part == y->part;
    const struct part *p = search_part(s, x->side, x->part), *q = search_part(s, y->side, y->part);
    if (p->dialect != q->dialect || !str_eq(json_node_raw(p->at), json_node_raw(q->at)))
        return false;
    struct str text = json_node_raw(p->at);
    bool refers = str_find(text, STR("ef\"")) < text.n || memchr(text.p, '\\', text.n);
    return !refers || (s->same_documents && !p->document && !q->document && p->at.cell == q->at.cell);
}

static bool contradicts(const struct search *s, const struct atom_list *closed, const struct atom *atom)
{
    for (; closed; closed = closed->next)
        if (closed->atom.kind + atom->kind == HOLDS + FAILS && closed->atom.kind != atom->kind &&
            closed->atom.kind != HAS && atom->kind != HAS && says_the_same(s, &closed->atom, atom))
            return true;
    return false;
}

static bool is_closed(const struct atom_list *closed, const struct atom *atom)
{
    for (; closed; closed = closed->next)
        if (is_same(&closed->atom, atom))
            return true;
    return false;
}

/* Replace the open atoms. False: they contradict each other. */
static bool close_atoms(struct search *s, struct state *t)
{
    while (t->open) {
        struct atom atom = t->open->atom;
        t->open = t->open->next;
        atom.part = atom.kind == HAS ? 0 : search_target(s, atom.side, atom.part);
        if (is_closed(t->closed, &atom))
            continue;
        if (!search_step(s, 1) || contradicts(s, t->closed, &atom))
            return false;
        t->closed = atom_add(s, t->closed, atom);
        const struct atom *kept = &t->closed->atom;
        switch (atom.kind) {
        case HOLDS:
            if (!hold(s, t, kept))
                return false;
            break;
        case FAILS:
            fail_part(s, t, kept);
            break;
        case HAS:
            if (atom.reads && !have(s, t, kept))
                return false;
            break;
        }
    }
    return true;
}

static struct found solve(struct search *s, const struct state *t);

static struct found try_options(struct search *s, const struct state *t, const struct option *options)
{
    struct found best = {.outcome = EMPTY};

    for (; options && best.outcome != FOUND; options = options->next) {
        struct state next = *t;
        for (const struct atom_list *a = options->atoms; a; a = a->next)
            next.open = atom_add(s, next.open, a->atom);
        for (const struct fact *f = options->facts; f; f = f->next)
            next.facts = fact_add(s, next.facts, *f);
        struct found found = expand_state(s, next);
        if (found.outcome != EMPTY)
            best = found;
    }
    return best;
}

static struct found expand_state(struct search *s, struct state t)
{
    enum { DEPTH_MAX = 600 };

    if (s->depth == DEPTH_MAX)
        return undecided(s, "the schemas are nested too deep");
    s->depth++;
    bool possible = close_atoms(s, &t);
    struct found found = {.outcome = EMPTY};
    if (!s->steps) {
        found = undecided(s, "it takes too many steps");
    } else if (possible && t.choices) {
        const struct option *options = t.choices->options;
        t.choices = t.choices->next;
        found = try_options(s, &t, options);
    } else if (possible) {
        found = solve(s, &t);
    }
    s->depth--;
    return found;
}

struct found expand(struct search *s, enum json_kind kind, struct atoms goal, const struct fact *facts)
{
    struct state t = {.kind = kind, .goal = goal, .facts = facts};

    for (uint32_t i = 0; i < goal.count; i++)
        t.open = atom_add(s, t.open, goal.list[i]);
    return expand_state(s, t);
}

/* --- values that are listed --- */

/* Of the lists that hold, the shortest. */
static const struct value_rules *listed_values(const struct state *t)
{
    const struct value_rules *best = NULL;

    for (const struct fact *f = t->facts; f; f = f->next) {
        if (f->kind != RULES)
            continue;
        if (f->part->values && (!best || f->part->values->count < best->count))
            best = f->part->values;
        if (f->part->constant)
            best = f->part->constant;
    }
    return best;
}

/* Nothing else can be meant: so what the validator says of them is all there is to know. */
static struct found solve_listed(struct search *s, const struct state *t, const struct value_rules *values)
{
    for (uint32_t i = 0; i < values->count && search_step(s, 1); i++)
        if (json_node_kind(values->values[i]) == t->kind && search_test(s, t->goal, json_node_raw(values->values[i])))
            return (struct found){FOUND, json_node_raw(values->values[i])};
    return (struct found){.outcome = EMPTY};
}

static struct found solve_word(struct search *s, const struct state *t, struct str word)
{
    return search_test(s, t->goal, word) ? (struct found){FOUND, word} : (struct found){.outcome = EMPTY};
}

static struct found solve(struct search *s, const struct state *t)
{
    const struct value_rules *values = listed_values(t);

    if (values)
        return solve_listed(s, t, values);
    switch (t->kind) {
    case JSON_NULL:
        return solve_word(s, t, STR("null"));
    case JSON_FALSE:
        return solve_word(s, t, STR("false"));
    case JSON_TRUE:
        return solve_word(s, t, STR("true"));
    case JSON_NUMBER:
        return solve_number(s, t);
    case JSON_STRING:
        return solve_string(s, t);
    case JSON_ARRAY:
        return solve_array(s, t);
    case JSON_OBJECT:
        return solve_object(s, t);
    }
    die("no such kind of value: %d", (int)t->kind);
}
