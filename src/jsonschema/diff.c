/*
 * diff.c - what differs between two schemas, member by member.
 *
 * Both are walked at the same time, through references, along "properties" and "items". Where neither has members or elements, inclusion
 * tells which of the two allows more. A pair of parts is compared once, so recursive schemas end.
 */
#include "jsonschema/compat.h"
#include "jsonschema/inclusion_int.h"

#include <stdarg.h>
#include <stdio.h>

enum { DEPTH_MAX = 60, PAIRS_MAX = 4096, STEPS = 20000, SHOWN = 80 };

struct pair {
    part_t old, candidate;
};

struct diff {
    struct arena *arena;
    const struct jsonschema *old, *candidate;
    struct schema_difference *list;
    size_t count;
    struct pair *pairs;
    size_t pair_count;
};

const char *schema_change_name(enum schema_change change)
{
    static const char *const names[] = {"added",   "removed", "retyped",      "narrowed",
                                        "widened", "changed", "now required", "now optional"};

    return names[change];
}

static err_t compare(struct diff *d, part_t old, part_t candidate, struct str path, unsigned depth);

static void PRINTF_LIKE(4, 5) report(struct diff *d, struct str path, enum schema_change change, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;

    if (d->count == DIFFERENCES_MAX)
        return;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    d->list[d->count++] =
        (struct schema_difference){path.n ? path : STR("."), change, arena_str(d->arena, str_from_c(text))};
}

static const struct part *part_of(const struct jsonschema *s, part_t *part)
{
    while (!s->dynamic_count && s->parts[*part].alias)
        *part = s->parts[*part].alias;
    return &s->parts[*part];
}

/* "integer | null" */
static struct str type_text(struct diff *d, const struct part *p)
{
    static const struct {
        uint8_t kinds;
        const char *name;
    } types[] = {{1 << JSON_NULL, "null"},     {KIND_BOOL, "boolean"},     {1 << JSON_NUMBER, "number"},
                 {1 << JSON_STRING, "string"}, {1 << JSON_ARRAY, "array"}, {1 << JSON_OBJECT, "object"}};
    struct str text = STR("");

    if (p->kinds == KIND_ANY)
        return STR("anything");
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (p->kinds & types[i].kinds)
            text = arena_printf(d->arena, "%.*s%s%s", STR_ARG(text), text.n ? " | " : "",
                                p->whole && types[i].kinds == 1 << JSON_NUMBER ? "integer" : types[i].name);
    return text.n ? text : STR("nothing");
}

static struct str shown(const struct part *p)
{
    return str_slice(json_node_raw(p->at), 0, SHOWN);
}

/* --- values without members or elements --- */

static err_t compare_whole(struct diff *d, part_t old, part_t candidate, struct str path)
{
    const struct part *p = &d->old->parts[old], *q = &d->candidate->parts[candidate];
    const struct inclusion_options options = {.reading = INCLUSION_STRICT, .steps = STEPS};
    struct inclusion_result forth, back;

    TRY(inclusion_of_parts(d->old, old, d->candidate, candidate, &options, d->arena, &forth));
    TRY(inclusion_of_parts(d->candidate, candidate, d->old, old, &options, d->arena, &back));
    bool fits = forth.verdict == INCLUSION_PROVEN, fits_back = back.verdict == INCLUSION_PROVEN;
    if (fits && fits_back)
        return OK;
    if (p->kinds != q->kinds || p->whole != q->whole)
        report(d, path,
               fits        ? CHANGE_WIDENED
               : fits_back ? CHANGE_NARROWED
                           : CHANGE_RETYPED,
               "%.*s -> %.*s", STR_ARG(type_text(d, p)), STR_ARG(type_text(d, q)));
    else
        report(d, path,
               fits        ? CHANGE_WIDENED
               : fits_back ? CHANGE_NARROWED
                           : CHANGE_OTHER,
               "%.*s -> %.*s", STR_ARG(shown(p)), STR_ARG(shown(q)));
    return OK;
}

/* --- members --- */

static struct str below(struct diff *d, struct str path, struct str name)
{
    bool plain = name.n > 0 && !(name.p[0] >= '0' && name.p[0] <= '9');

    for (size_t i = 0; i < name.n; i++)
        plain &= name.p[i] == '_' || (name.p[i] >= '0' && name.p[i] <= '9') ||
                 (ascii_lower(name.p[i]) >= 'a' && ascii_lower(name.p[i]) <= 'z');
    if (plain)
        return arena_printf(d->arena, "%.*s.%.*s", STR_ARG(path), STR_ARG(name));
    return arena_printf(d->arena, "%.*s[\"%.*s\"]", STR_ARG(path.n ? path : STR(".")), STR_ARG(name));
}

static const struct property *member_of(const struct part *p, struct str name)
{
    uint32_t i = p->object ? property_find(p->object, name) : UINT32_MAX;

    return i != UINT32_MAX ? &p->object->properties[i] : NULL;
}

static err_t compare_members(struct diff *d, const struct part *old, const struct part *candidate, struct str path,
                             unsigned depth)
{
    for (uint32_t i = 0; old->object && i < old->object->property_count; i++) {
        const struct property *before = &old->object->properties[i], *now = member_of(candidate, before->name);
        struct str at = below(d, path, before->name);
        if (before->part && (!now || !now->part)) {
            part_t part = before->part;
            report(d, at, CHANGE_REMOVED, "%.*s", STR_ARG(type_text(d, part_of(d->old, &part))));
            continue;
        }
        if (before->is_required != (now && now->is_required))
            report(d, at, before->is_required ? CHANGE_OPTIONAL : CHANGE_REQUIRED, "%s", "");
        if (before->part)
            TRY(compare(d, before->part, now->part, at, depth));
    }
    for (uint32_t i = 0; candidate->object && i < candidate->object->property_count; i++) {
        const struct property *now = &candidate->object->properties[i], *before = member_of(old, now->name);
        struct str at = below(d, path, now->name);
        part_t part = now->part;
        if (now->part && (!before || !before->part))
            report(d, at, CHANGE_ADDED, "%.*s%s", STR_ARG(type_text(d, part_of(d->candidate, &part))),
                   now->is_required ? ", required" : "");
        else if (!now->part && !before && now->is_required)
            report(d, at, CHANGE_REQUIRED, "%s", "");
    }
    return OK;
}

/* --- what else a container says --- */

static bool is_told_elsewhere(const struct json_walk *member)
{
    static const char *const keywords[] = {"properties", "required",    "items",    "$defs",    "definitions",
                                           "title",      "description", "$comment", "examples", "default",
                                           "$id",        "$schema",     "type",     "$ref",     "deprecated",
                                           "readOnly",   "writeOnly"};

    for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
        if (json_walk_key_is(member, str_from_c(keywords[i])))
            return true;
    return false;
}

static void compare_keywords(struct diff *d, struct json_node old, struct json_node candidate, struct str path)
{
    JSON_EACH(w, old) {
        struct str name = json_node_text(w.key, d->arena), before = json_node_raw(w.value);
        struct str now = json_node_raw(json_node_get(candidate, name));
        if (!is_told_elsewhere(&w) && !str_eq(before, now))
            report(d, path, CHANGE_OTHER, "\"%.*s\": %.*s -> %.*s", STR_ARG(name), STR_ARG(str_slice(before, 0, SHOWN)),
                   STR_ARG(now.p ? str_slice(now, 0, SHOWN) : STR("not said")));
    }
    JSON_EACH(w, candidate) {
        struct str name = json_node_text(w.key, d->arena);
        if (!is_told_elsewhere(&w) && json_is_absent(json_node_get(old, name)))
            report(d, path, CHANGE_OTHER, "\"%.*s\": not said -> %.*s", STR_ARG(name),
                   STR_ARG(str_slice(json_node_raw(w.value), 0, SHOWN)));
    }
}

/* --- the walk --- */

static bool has_parts(const struct part *p)
{
    return (p->object && p->object->property_count) || (p->array && p->array->rest);
}

static bool was_compared(struct diff *d, part_t old, part_t candidate)
{
    for (size_t i = 0; i < d->pair_count; i++)
        if (d->pairs[i].old == old && d->pairs[i].candidate == candidate)
            return true;
    if (d->pair_count == PAIRS_MAX)
        return true;
    d->pairs[d->pair_count++] = (struct pair){old, candidate};
    return false;
}

static err_t compare(struct diff *d, part_t old, part_t candidate, struct str path, unsigned depth)
{
    const struct part *p = part_of(d->old, &old), *q = part_of(d->candidate, &candidate);

    if (was_compared(d, old, candidate) || depth == DEPTH_MAX)
        return OK;
    if (!has_parts(p) || !has_parts(q))
        return compare_whole(d, old, candidate, path);
    if (p->kinds != q->kinds)
        report(d, path,
               (p->kinds & q->kinds) == p->kinds   ? CHANGE_WIDENED
               : (p->kinds & q->kinds) == q->kinds ? CHANGE_NARROWED
                                                   : CHANGE_RETYPED,
               "%.*s -> %.*s", STR_ARG(type_text(d, p)), STR_ARG(type_text(d, q)));
    compare_keywords(d, p->at, q->at, path);
    TRY(compare_members(d, p, q, path, depth + 1));
    if (p->array && q->array && p->array->rest && q->array->rest)
        TRY(compare(d, p->array->rest, q->array->rest,
                    arena_printf(d->arena, "%.*s[]", STR_ARG(path.n ? path : STR("."))), depth + 1));
    return OK;
}

err_t schema_diff(const struct jsonschema *old, const struct jsonschema *candidate, struct arena *arena,
                  const struct schema_difference **ret_list, size_t *ret_count)
{
    struct diff d = {.arena = arena, .old = old, .candidate = candidate};

    d.list = arena_alloc(arena, DIFFERENCES_MAX * sizeof *d.list);
    d.pairs = arena_alloc(arena, PAIRS_MAX * sizeof *d.pairs);
    TRY(compare(&d, old->root, candidate->root, STR(""), 0));
    *ret_list = d.list;
    *ret_count = d.count;
    return OK;
}
