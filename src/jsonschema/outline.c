/*
 * outline.c - the form of values, without what it takes to check them.
 *
 * Two outlines are intersected (both hold: "allOf", "$ref" beside other keywords) or joined (either holds: "anyOf", "oneOf", "then" and
 * "else"). Where the exact result cannot be said, a wider one is.
 */
#include "jsonschema/outline.h"

#include "jsonschema/jsonschema_int.h"

struct tracer {
    const struct jsonschema *schema;
    struct arena *arena;
    part_t trail[OUTLINE_DEPTH_MAX]; /* parts that are being outlined */
    unsigned depth;
    unsigned work; /* parts left to look at: alternatives within alternatives multiply */
};

static const struct outline anything = {.kinds = KIND_ANY};

static const struct outline *trace(struct tracer *t, part_t part);

/* --- two of them --- */

static const struct outline *merge(struct tracer *t, const struct outline *x, const struct outline *y, bool both);

static const struct outline_member *member_of(const struct outline *o, struct str name)
{
    for (size_t i = 0; i < o->member_count; i++)
        if (str_eq(o->members[i].name, name))
            return &o->members[i];
    return NULL;
}

/* What an outline says of a member that it does not name; NULL: it cannot be there. */
static const struct outline *other_member(const struct outline *o)
{
    return o->is_closed ? NULL : o->rest ? o->rest : &anything;
}

/* A member of `x`, with what `y` says of it. False: it is left out. */
static bool merge_member(struct tracer *t, const struct outline_member *m, const struct outline *y, bool both,
                         struct outline_member *ret)
{
    const struct outline_member *other = member_of(y, m->name);
    const struct outline *said = other ? other->outline : other_member(y);

    *ret = *m;
    if (both) {
        if (!said)
            return false;
        ret->outline = merge(t, m->outline, said, true);
        ret->is_required |= other && other->is_required;
        return true;
    }
    /* Where the other is no object at all, it says nothing about members. */
    if (!(y->kinds & 1 << JSON_OBJECT))
        return true;
    ret->is_required &= other && other->is_required;
    if (said)
        ret->outline = merge(t, m->outline, said, false);
    return true;
}

static void merge_members(struct tracer *t, const struct outline *x, const struct outline *y, bool both,
                          struct outline *ret)
{
    struct outline_member *members = arena_alloc(t->arena, (x->member_count + y->member_count + 1) * sizeof *members);
    size_t n = 0;

    for (size_t i = 0; i < x->member_count; i++)
        n += merge_member(t, &x->members[i], y, both, &members[n]);
    for (size_t i = 0; i < y->member_count; i++)
        if (!member_of(x, y->members[i].name))
            n += merge_member(t, &y->members[i], x, both, &members[n]);
    ret->members = members;
    ret->member_count = n;
}

static const struct outline *merge_optional(struct tracer *t, const struct outline *x, const struct outline *y,
                                            bool both)
{
    if (both)
        return !x ? y : !y ? x : merge(t, x, y, true);
    return x && y ? merge(t, x, y, false) : NULL;
}

/* Members that neither names. What one of two alternatives says nothing of may be anything. */
static const struct outline *merge_rest(struct tracer *t, const struct outline *x, const struct outline *y, bool both)
{
    if (both || (x->rest && y->rest) || (!x->rest && !y->rest))
        return merge_optional(t, x->rest, y->rest, both);
    const struct outline *other = x->rest ? y : x;
    return !other->is_closed ? &anything : x->rest ? x->rest : y->rest;
}

static const struct outline *merge(struct tracer *t, const struct outline *x, const struct outline *y, bool both)
{
    bool x_object = x->kinds & 1 << JSON_OBJECT, y_object = y->kinds & 1 << JSON_OBJECT;
    bool x_array = x->kinds & 1 << JSON_ARRAY, y_array = y->kinds & 1 << JSON_ARRAY;
    struct outline *o = arena_new(t->arena, struct outline);

    if (!t->work)
        return both ? x : &anything;
    t->work--;
    o->kinds = both ? x->kinds & y->kinds : x->kinds | y->kinds;
    if (both || (x_object && y_object)) {
        o->is_closed = both ? x->is_closed || y->is_closed : x->is_closed && y->is_closed;
        o->rest = merge_rest(t, x, y, both);
        merge_members(t, x, y, both, o);
    } else {
        const struct outline *object = x_object ? x : y;
        o->is_closed = object->is_closed;
        o->rest = object->rest;
        o->members = object->members;
        o->member_count = object->member_count;
    }
    if (both || (x_array && y_array))
        o->items = merge_optional(t, x->items, y->items, both);
    else
        o->items = x_array ? x->items : y->items;
    return o;
}

/* --- one part --- */

static uint8_t kinds_of_values(const struct value_rules *rules)
{
    uint8_t kinds = 0;

    for (uint32_t i = 0; i < rules->count; i++)
        kinds |= (uint8_t)(1 << json_node_kind(rules->values[i]));
    return kinds;
}

static void trace_object(struct tracer *t, const struct part *part, struct outline *o)
{
    const struct object_rules *rules = part->object;
    const struct part *rest = &t->schema->parts[rules->additional];
    struct outline_member *members = arena_alloc(t->arena, (rules->property_count + 1) * sizeof *members);

    for (uint32_t i = 0; i < rules->property_count; i++) {
        const struct property *p = &rules->properties[i];
        if (p->part || p->is_required)
            members[o->member_count++] =
                (struct outline_member){p->name, p->part ? trace(t, p->part) : &anything, p->is_required};
    }
    o->members = members;
    if (rules->pattern_count)
        o->rest = &anything;
    if (rules->pattern_count || !rules->additional)
        return;
    if (rest->kinds == 0)
        o->is_closed = true;
    else
        o->rest = trace(t, rules->additional);
}

static const struct outline *trace_items(struct tracer *t, const struct array_rules *rules)
{
    const struct outline *items = rules->rest ? trace(t, rules->rest) : NULL;

    if (!rules->rest)
        return NULL;
    for (uint32_t i = 0; i < rules->prefix_count; i++)
        items = merge(t, items, trace(t, rules->prefix[i]), false);
    return items;
}

static const struct outline *trace_alternatives(struct tracer *t, const struct outline *o, const struct part_list *list)
{
    const struct outline *any = NULL;

    for (uint32_t i = 0; i < list->count; i++) {
        const struct outline *one = trace(t, list->parts[i]);
        any = any ? merge(t, any, one, false) : one;
    }
    return any ? merge(t, o, any, true) : o;
}

static const struct outline *trace_combined(struct tracer *t, const struct outline *o, const struct combine_rules *c)
{
    for (uint32_t i = 0; i < c->reference_count; i++)
        if (!c->references[i].dynamic)
            o = merge(t, o, trace(t, c->references[i].part), true);
    for (uint32_t i = 0; i < c->all_of.count; i++)
        o = merge(t, o, trace(t, c->all_of.parts[i]), true);
    o = trace_alternatives(t, o, &c->any_of);
    o = trace_alternatives(t, o, &c->one_of);
    if (c->then && c->else_) {
        const part_t branches[] = {c->then, c->else_};
        o = trace_alternatives(t, o, &(struct part_list){branches, 2});
    }
    return o;
}

static const struct outline *trace_rules(struct tracer *t, const struct part *part)
{
    struct outline *own = arena_new(t->arena, struct outline);
    const struct outline *o = own;

    own->kinds = part->kinds;
    if (part->values)
        own->kinds &= kinds_of_values(part->values);
    if (part->constant)
        own->kinds &= kinds_of_values(part->constant);
    if (part->object)
        trace_object(t, part, own);
    if (part->array)
        own->items = trace_items(t, part->array);
    return part->combine ? trace_combined(t, o, part->combine) : o;
}

static const struct outline *trace(struct tracer *t, part_t part)
{
    for (unsigned i = 0; i < t->depth; i++)
        if (t->trail[i] == part)
            return &anything;
    if (t->depth == OUTLINE_DEPTH_MAX || !t->work)
        return &anything;
    t->work--;
    t->trail[t->depth++] = part;
    const struct outline *o = trace_rules(t, &t->schema->parts[part]);
    t->depth--;
    return o;
}

const struct outline *jsonschema_outline(const struct jsonschema *schema, struct arena *arena)
{
    enum { WORK = 20000 };
    struct tracer t = {.schema = schema, .arena = arena, .work = WORK};

    return trace(&t, schema->root);
}
