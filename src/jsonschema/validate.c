/*
 * validate.c - a value against a part: one pass over its members or elements, then what combines parts.
 *
 * Without a report everything stops at the first thing that is wrong. A value that turned out invalid is looked at again if the caller
 * wants to know why; then all rules of a part are applied, and each that fails tells so. In between ("not", branches, conditions) nothing
 * is told: a branch that fails is no problem of its own.
 *
 * "unevaluated…" needs to know what its neighbours have looked at: they mark members and elements of the value, by their place, in a set
 * of bits that is there only if somebody asks (struct seen). A branch marks a set of its own, which counts only if the branch held.
 *
 * The depth is bounded (JSONSCHEMA_DEPTH_MAX), and frames are small (some 600 bytes a level): the check runs on fibers. `work` counts steps and holds the error
 * that ends a check without a verdict; every result is then meaningless.
 */
#include "jsonschema/jsonschema_int.h"

#include "base/utf8.h"
#include "codec/base64.h"
#include "jsonschema/compile_int.h"

#include <stdarg.h>
#include <stdio.h>

enum { TEXT_MAX = 600 }; /* of a problem; what goes into it is cut shorter than that */

/* Resources that the check has gone through to get here, innermost first: the dynamic scope. */
struct scope {
    const struct scope *outer;
    uint32_t resource;
};

struct run {
    const struct jsonschema *schema;
    struct work work;
    unsigned depth;
    const struct scope *scope;
    struct jsonschema_report *report; /* NULL: stop at the first problem     */
    void *regex_room;                 /* NULL: not needed so far             */
};

/* Members or elements of one value that some keyword has evaluated, by place. */
struct seen {
    uint64_t *bits;
    size_t count;
};

static bool check(struct run *run, part_t part, struct json_node v, struct seen *seen);

/* --- what is wrong --- */

static const char *const kind_names[] = {"null", "false", "true", "a number", "a string", "an array", "an object"};

/* Tell a problem, if somebody wants to know. Always false, so that a rule may return it. */
static NOINLINE bool PRINTF_LIKE(5, 6)
    wrong(struct run *run, const struct part *part, const char *keyword, struct json_node v, const char *fmt, ...)
{
    struct jsonschema_report *report = run->report;
    char text[TEXT_MAX];
    va_list args;

    if (!report || run->work.error)
        return false;
    if (report->count == report->max || report->count == JSONSCHEMA_PROBLEMS_MAX) {
        report->more = true;
        return false;
    }
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    struct arena *arena = run->work.arena;
    report->problems[report->count++] = (struct jsonschema_problem){
        .instance = json_node_pointer(v, arena),
        .keyword = place_of(run->schema->document_uris, part->document, part->at, keyword, arena),
        .text = arena_str(arena, str_from_c(text)),
        .node = v,
    };
    return false;
}

/* Go on after a rule that failed? Only to find more problems. */
static bool goes_on(const struct run *run)
{
    return run->report && !run->report->more && !run->work.error;
}

/* --- sets of what was seen --- */

static void mark(struct seen *seen, size_t place)
{
    if (seen)
        seen->bits[place / 64] |= UINT64_C(1) << place % 64;
}

static bool is_marked(const struct seen *seen, size_t place)
{
    return seen->bits[place / 64] >> place % 64 & 1;
}

static void mark_all(struct seen *to, const struct seen *from)
{
    for (size_t i = 0; to && from && i < (from->count + 63) / 64; i++)
        to->bits[i] |= from->bits[i];
}

/* An empty set for a value with `count` members or elements; false: no room. */
static bool seen_begin(struct run *run, struct seen *s, size_t count)
{
    size_t bytes = (count / 64 + 1) * sizeof(uint64_t);

    s->count = count;
    s->bits = work_room(&run->work, bytes);
    if (!s->bits)
        return false;
    memset(s->bits, 0, bytes);
    return true;
}

/* --- values, numbers, strings --- */

static bool NOINLINE check_values(struct run *run, const struct part *part, const struct value_rules *rules,
                                  struct json_node v)
{
    for (uint32_t i = 0; i < rules->count; i++)
        if (json_equal(rules->values[i], v, &run->work))
            return true;
    if (!run->report)
        return false;
    struct str wanted = rules->count ? json_node_raw(rules->values[0]) : STR("");
    if (rules->is_const)
        return wrong(run, part, "const", v, "must be %.*s", STR_ARG(utf8_prefix(wanted, 100)));
    struct str list = json_node_raw(json_node_get(part->at, STR("enum")));
    return wrong(run, part, "enum", v, "must be one of %.*s%s", STR_ARG(utf8_prefix(list, 150)),
                 list.n > 150 ? "…" : "");
}

static bool within(const struct bound *bound, enum bound_kind kind, struct str text)
{
    int64_t small;
    int order;

    if (bound->is_small && json_to_i64(text, &small)) {
        order = small < bound->small ? -1 : small > bound->small;
    } else {
        struct decimal value = decimal_read(text);
        order = decimal_compare(&value, &bound->exact);
    }
    switch (kind) {
    case AT_LEAST:
        return order >= 0;
    case MORE_THAN:
        return order > 0;
    case AT_MOST:
        return order <= 0;
    case LESS_THAN:
        return order < 0;
    case BOUNDS:
        break;
    }
    die("no such bound: %d", (int)kind);
}

static bool NOINLINE check_number(struct run *run, const struct part *part, struct json_node v)
{
    static const char *const keywords[] = {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"};
    static const char *const relations[] = {"at least", "more than", "at most", "less than"};
    const struct number_rules *rules = part->number;
    struct str text = json_node_raw(v);
    bool ok = true;

    for (unsigned i = 0; i < BOUNDS; i++) {
        if (!rules->bounds[i].is_set || within(&rules->bounds[i], (enum bound_kind)i, text))
            continue;
        struct str bound = json_node_raw(json_node_get(part->at, str_from_c(keywords[i])));
        ok = wrong(run, part, keywords[i], v, "must be %s %.*s, is %.*s", relations[i], STR_ARG(utf8_prefix(bound, 40)),
                   STR_ARG(utf8_prefix(text, 40)));
        if (!goes_on(run))
            return false;
    }
    if (rules->has_divisor) {
        struct decimal value = decimal_read(text);
        if (!decimal_is_multiple(&value, &rules->divisor))
            return wrong(run, part, "multipleOf", v, "must be a multiple of %.*s, is %.*s",
                         STR_ARG(rules->divisor_text), STR_ARG(utf8_prefix(text, 40)));
    }
    return ok;
}

static bool is_whole(struct json_node v)
{
    struct str text = json_node_raw(v);

    if (text.n < 20 && !memchr(text.p, '.', text.n) && !memchr(text.p, 'e', text.n) && !memchr(text.p, 'E', text.n))
        return true;
    struct decimal value = decimal_read(text);
    return decimal_is_whole(&value);
}

bool pattern_matches(const struct pattern *pattern, struct str text, void *room, uint64_t *ret_steps)
{
    *ret_steps = text.n;
    return pattern->bits ? regex_bits_test(pattern->bits, text)
                         : regex_find(pattern->regex, text, 0, false, room, NULL, ret_steps);
}

static bool matches(struct run *run, const struct pattern *pattern, struct str text)
{
    uint64_t steps;

    if (!pattern->bits && !run->regex_room)
        run->regex_room = work_room(&run->work, run->schema->regex_room);
    if (!pattern->bits && !run->regex_room)
        return false;
    bool found = pattern_matches(pattern, text, run->regex_room, &steps);
    return work_take(&run->work, 1 + steps / 16) && found;
}

/* Characters are between a quarter of the bytes and all of them: most texts need not be counted. */
static bool has_length(const struct string_rules *rules, struct str text, int64_t *ret_count)
{
    *ret_count = 0;
    if (text.n / 4 >= rules->min && text.n <= rules->max)
        return true;
    if (text.n < rules->min) {
        *ret_count = utf8_count(text);
        return false;
    }
    *ret_count = utf8_count(text);
    return (uint64_t)*ret_count >= rules->min && (uint64_t)*ret_count <= rules->max;
}

static bool check_content(struct run *run, const struct part *part, struct json_node v, struct str text)
{
    if (part->string->encoding == ENCODING_BASE64) {
        struct buf decoded CLEANUP(buf_release) = BUF_INIT(SIZE_MAX / 2);
        if (base64_decode(&decoded, text, BASE64) != OK)
            return wrong(run, part, "contentEncoding", v, "must be coded in base64");
        if (part->string->is_json && !json_valid(buf_str(&decoded), JSON_CHECK_UTF8))
            return wrong(run, part, "contentMediaType", v, "must hold a JSON document, in base64");
        return true;
    }
    if (part->string->is_json && !json_valid(text, JSON_CHECK_UTF8))
        return wrong(run, part, "contentMediaType", v, "must hold a JSON document");
    return true;
}

static bool check_length(struct run *run, const struct part *part, struct json_node v, struct str text)
{
    const struct string_rules *rules = part->string;
    int64_t count;

    if (has_length(rules, text, &count))
        return true;
    if ((uint64_t)count < rules->min)
        return wrong(run, part, "minLength", v, "must have at least %llu characters, has %lld",
                     (unsigned long long)rules->min, (long long)count);
    return wrong(run, part, "maxLength", v, "must have at most %llu characters, has %lld",
                 (unsigned long long)rules->max, (long long)count);
}

static bool NOINLINE check_string(struct run *run, const struct part *part, struct json_node v)
{
    const struct string_rules *rules = part->string;
    struct str text = json_node_text(v, run->work.arena);
    bool ok = work_take(&run->work, 1 + text.n / 64) && check_length(run, part, v, text);

    if (!ok && !goes_on(run))
        return false;
    if (rules->pattern && !matches(run, rules->pattern, text)) {
        ok = wrong(run, part, "pattern", v, "must match %.*s", STR_ARG(utf8_prefix(rules->pattern->text, 150)));
        if (!goes_on(run))
            return false;
    }
    if (rules->format && !rules->format->is_valid(text, run->work.arena)) {
        ok = wrong(run, part, "format", v, "must be of the format %s, such as %s", rules->format->name,
                   rules->format->example);
        if (!goes_on(run))
            return false;
    }
    return check_content(run, part, v, text) && ok;
}

/* --- arrays --- */

static bool check_contained(struct run *run, const struct part *part, struct json_node v, uint64_t count)
{
    const struct array_rules *rules = part->array;

    if (count < rules->contains_min)
        return wrong(run, part, rules->contains_min == 1 ? "contains" : "minContains", v,
                     "must hold at least %llu elements that fit \"contains\", holds %llu",
                     (unsigned long long)rules->contains_min, (unsigned long long)count);
    if (count > rules->contains_max)
        return wrong(run, part, "maxContains", v, "must hold at most %llu elements that fit \"contains\", holds %llu",
                     (unsigned long long)rules->contains_max, (unsigned long long)count);
    return true;
}

/* Is it valid? Nothing is told if it is not. */
static bool fits(struct run *run, part_t part, struct json_node v, struct seen *seen)
{
    struct jsonschema_report *report = run->report;

    run->report = NULL;
    bool ok = check(run, part, v, seen);
    run->report = report;
    return ok;
}

static bool NOINLINE count_contained(struct run *run, const struct part *part, struct json_node v, struct seen *seen)
{
    const struct array_rules *rules = part->array;
    uint64_t count = 0;
    size_t place = 0;

    JSON_EACH(w, v) {
        if (fits(run, rules->contains, w.value, NULL)) {
            count++;
            if (rules->contains_evaluates)
                mark(seen, place);
        }
        place++;
        if (!seen && count >= rules->contains_min && rules->contains_max == UINT64_MAX)
            return true;
    }
    return check_contained(run, part, v, count);
}

static bool check_size(struct run *run, const struct part *part, struct json_node v, uint64_t count)
{
    const struct array_rules *rules = part->array;

    if (count < rules->min)
        return wrong(run, part, "minItems", v, "must have at least %llu elements, has %llu",
                     (unsigned long long)rules->min, (unsigned long long)count);
    if (count > rules->max)
        return wrong(run, part, "maxItems", v, "must have at most %llu elements, has %llu",
                     (unsigned long long)rules->max, (unsigned long long)count);
    return true;
}

static bool check_elements(struct run *run, const struct part *part, struct json_node v, struct seen *seen)
{
    const struct array_rules *rules = part->array;
    size_t place = 0;
    bool ok = true;

    JSON_EACH(w, v) {
        part_t element = place < rules->prefix_count ? rules->prefix[place] : rules->rest;
        if (element) {
            ok &= check(run, element, w.value, NULL);
            if (!ok && !goes_on(run))
                return false;
            mark(seen, place);
        }
        place++;
    }
    return (check_size(run, part, v, place) && ok) && work_take(&run->work, 1 + place / 8);
}

static bool NOINLINE check_unique(struct run *run, const struct part *part, struct json_node v)
{
    size_t first, second;

    if (!json_find_twins(v, &run->work, &first, &second))
        return true;
    return wrong(run, part, "uniqueItems", v, "must not have equal elements: those at %zu and %zu are", first, second);
}

static bool check_array(struct run *run, const struct part *part, struct json_node v, struct seen *seen)
{
    const struct array_rules *rules = part->array;
    bool ok = check_elements(run, part, v, seen);

    if (rules->is_unique && (ok || goes_on(run)))
        ok &= check_unique(run, part, v);
    if (rules->contains && (ok || goes_on(run)))
        ok &= count_contained(run, part, v, seen);
    return ok;
}

/* --- objects --- */

uint32_t property_find_readable(const struct object_rules *rules, struct str name, size_t readable)
{
    struct name_key key = name_key_of(name, readable);

    for (uint32_t at = name_key_hash(&key) & rules->slot_mask;; at = (at + 1) & rules->slot_mask) {
        const struct property_slot *slot = &rules->slots[at];
        if (!slot->property)
            return UINT32_MAX;
        if (slot->key.first == key.first && slot->key.last == key.last && slot->key.n == key.n &&
            (key.n <= NAME_KEY_WHOLE || str_eq(rules->properties[slot->property - 1].name, name)))
            return slot->property - 1;
    }
}

/* "additionalProperties" and its like with false: say which member, rather than that no value is allowed there. */
static bool check_extra(struct run *run, const struct part *part, const char *keyword, part_t extra,
                        const struct json_walk *w)
{
    const struct part *rest = &run->schema->parts[extra];

    if (rest->kinds == 0)
        return wrong(run, part, keyword, w->value, "must not be here: there is no member %.*s",
                     STR_ARG(utf8_prefix(json_node_raw(w->key), 80)));
    return check(run, extra, w->value, NULL);
}

static bool NOINLINE check_patterns(struct run *run, const struct part *part, const struct json_walk *w,
                                    struct str name, bool *evaluated)
{
    const struct object_rules *rules = part->object;
    bool ok = true;

    for (uint32_t i = 0; i < rules->pattern_count; i++) {
        if (!matches(run, &rules->patterns[i].pattern, name))
            continue;
        *evaluated = true;
        ok &= check(run, rules->patterns[i].part, w->value, NULL);
        if (!ok && !goes_on(run))
            return false;
    }
    return ok;
}

static bool check_member(struct run *run, const struct part *part, const struct json_walk *w, uint64_t *present,
                         bool *evaluated)
{
    const struct object_rules *rules = part->object;
    struct str name = json_node_text(w->key, run->work.arena);
    struct str document = w->key.tree->text;
    /* A name with escapes has been decoded elsewhere. */
    bool is_slice = name.p >= document.p && name.p < document.p + document.n;
    uint32_t found =
        property_find_readable(rules, name, is_slice ? (size_t)(document.p + document.n - name.p) : name.n);
    bool ok = true;

    if (found != UINT32_MAX) {
        present[found / 64] |= UINT64_C(1) << found % 64;
        part_t member = rules->properties[found].part;
        if (member) {
            *evaluated = true;
            ok = check(run, member, w->value, NULL);
        }
    }
    if (rules->pattern_count && (ok || goes_on(run)))
        ok &= check_patterns(run, part, w, name, evaluated);
    if (rules->names && (ok || goes_on(run)))
        ok &= check(run, rules->names, w->key, NULL);
    if (!*evaluated && rules->additional && (ok || goes_on(run))) {
        *evaluated = true;
        ok &= check_extra(run, part, "additionalProperties", rules->additional, w);
    }
    return ok;
}

static bool NOINLINE tell_missing(struct run *run, const struct part *part, struct json_node v, const uint64_t *present)
{
    const struct object_rules *rules = part->object;

    for (uint32_t i = 0; i < rules->property_count; i++)
        if (rules->properties[i].is_required && !(present[i / 64] >> i % 64 & 1))
            (void)wrong(run, part, "required", v, "must have a member \"%.*s\"",
                        STR_ARG(utf8_prefix(rules->properties[i].name, 80)));
    return false;
}

static bool has_required(struct run *run, const struct part *part, struct json_node v, const uint64_t *present)
{
    for (uint32_t i = 0; i < (part->object->property_count + 63) / 64; i++)
        if (part->object->required[i] & ~present[i])
            return run->report ? tell_missing(run, part, v, present) : false;
    return true;
}

static bool NOINLINE check_dependents(struct run *run, const struct part *part, struct json_node v,
                                      const uint64_t *present, struct seen *seen)
{
    const struct object_rules *rules = part->object;
    bool ok = true;

    for (uint32_t i = 0; i < rules->dependent_count && (ok || goes_on(run)); i++) {
        const struct dependent *d = &rules->dependents[i];
        if (!(present[d->property / 64] >> d->property % 64 & 1))
            continue;
        for (uint32_t j = 0; j < d->needed_count; j++)
            if (!(present[d->needed[j] / 64] >> d->needed[j] % 64 & 1))
                ok = wrong(run, part, d->keyword, v, "must have a member \"%.*s\", because it has \"%.*s\"",
                           STR_ARG(utf8_prefix(rules->properties[d->needed[j]].name, 80)),
                           STR_ARG(utf8_prefix(rules->properties[d->property].name, 80)));
        if (d->part && (ok || goes_on(run)))
            ok &= check(run, d->part, v, seen);
    }
    return ok;
}

static bool check_count(struct run *run, const struct part *part, struct json_node v, uint64_t count)
{
    const struct object_rules *rules = part->object;

    if (count < rules->min)
        return wrong(run, part, "minProperties", v, "must have at least %llu members, has %llu",
                     (unsigned long long)rules->min, (unsigned long long)count);
    if (count > rules->max)
        return wrong(run, part, "maxProperties", v, "must have at most %llu members, has %llu",
                     (unsigned long long)rules->max, (unsigned long long)count);
    return true;
}

static bool check_members(struct run *run, const struct part *part, struct json_node v, uint64_t *present,
                          struct seen *seen)
{
    const struct object_rules *rules = part->object;
    size_t place = 0;
    bool ok = true;

    JSON_EACH(w, v) {
        bool evaluated = false;
        ok &= check_member(run, part, &w, present, &evaluated);
        if (!ok && !goes_on(run))
            return false;
        if (evaluated)
            mark(seen, place);
        place++;
    }
    ok &= work_take(&run->work, 1 + place / 4);
    if (ok || goes_on(run))
        ok &= has_required(run, part, v, present);
    if (ok || goes_on(run))
        ok &= check_count(run, part, v, place);
    if (rules->dependent_count && (ok || goes_on(run)))
        ok &= check_dependents(run, part, v, present, seen);
    return ok;
}

static bool check_object(struct run *run, const struct part *part, struct json_node v, struct seen *seen)
{
    enum { FEW_WORDS = 2 };
    uint64_t few[FEW_WORDS] = {0}, *present = few;
    size_t words = (part->object->property_count + 63) / 64;

    if (words > FEW_WORDS) {
        present = work_room(&run->work, words * sizeof *present);
        if (!present)
            return false;
        memset(present, 0, words * sizeof *present);
    }
    return check_members(run, part, v, present, seen);
}

/* --- parts for the same value --- */

/* As fits(), marking what the branch has evaluated only if it holds. */
static bool branch_fits(struct run *run, part_t part, struct json_node v, struct seen *seen)
{
    struct seen own;

    if (!seen)
        return fits(run, part, v, NULL);
    if (!seen_begin(run, &own, seen->count) || !fits(run, part, v, &own))
        return false;
    mark_all(seen, &own);
    return true;
}

static part_t dynamic_target(const struct run *run, const struct reference *r)
{
    part_t target = r->part;

    if (r->dynamic)
        for (const struct scope *s = run->scope; s; s = s->outer) {
            part_t there = run->schema->dynamic[r->dynamic - 1].parts[s->resource];
            target = there ? there : target;
        }
    return target;
}

/* Which branch came closest: the one whose first problem lies deepest in the document. Its problem is told after the branches'. */
static bool NOINLINE tell_no_branch(struct run *run, const struct part *part, const char *keyword, struct json_node v,
                                    const struct part_list *list)
{
    struct jsonschema_problem first, best = {0};
    struct jsonschema_report *report = run->report, one = {.problems = &first, .max = 1};
    uint32_t branch = 0;

    if (!report)
        return false;
    for (uint32_t i = 0; i < list->count; i++) {
        one.count = 0;
        one.more = false;
        run->report = &one;
        (void)check(run, list->parts[i], v, NULL);
        run->report = report;
        if (one.count && (!best.text.p || first.instance.n > best.instance.n)) {
            best = first;
            branch = i;
        }
    }
    if (!best.text.p)
        return wrong(run, part, keyword, v, "must fit one of %u alternatives", list->count);
    return wrong(run, part, keyword, v, "must fit one of %u alternatives; in the closest, %u, \"%.*s\" %.*s",
                 list->count, branch, STR_ARG(utf8_prefix(best.instance, 60)), STR_ARG(utf8_prefix(best.text, 120)));
}

static bool NOINLINE check_any(struct run *run, const struct part *part, struct json_node v, struct seen *seen)
{
    const struct part_list *list = &part->combine->any_of;
    bool any = false;

    for (uint32_t i = 0; i < list->count && (seen || !any); i++)
        any |= branch_fits(run, list->parts[i], v, seen);
    return any || tell_no_branch(run, part, "anyOf", v, list);
}

static bool NOINLINE check_one(struct run *run, const struct part *part, struct json_node v, struct seen *seen)
{
    const struct part_list *list = &part->combine->one_of;
    uint32_t found = UINT32_MAX;

    for (uint32_t i = 0; i < list->count; i++) {
        if (!branch_fits(run, list->parts[i], v, seen))
            continue;
        if (found != UINT32_MAX)
            return wrong(run, part, "oneOf", v, "must fit exactly one of %u alternatives, fits %u and %u", list->count,
                         found, i);
        found = i;
    }
    return found != UINT32_MAX || tell_no_branch(run, part, "oneOf", v, list);
}

static bool check_condition(struct run *run, const struct combine_rules *rules, struct json_node v, struct seen *seen)
{
    part_t then = branch_fits(run, rules->if_, v, seen) ? rules->then : rules->else_;

    return !then || check(run, then, v, seen);
}

static bool NOINLINE check_combined(struct run *run, const struct part *part, struct json_node v, struct seen *seen)
{
    const struct combine_rules *rules = part->combine;
    bool ok = true;

    run->depth++; /* its frames are as large again */
    for (uint32_t i = 0; i < rules->reference_count && (ok || goes_on(run)); i++)
        ok &= check(run, dynamic_target(run, &rules->references[i]), v, seen);
    for (uint32_t i = 0; i < rules->all_of.count && (ok || goes_on(run)); i++)
        ok &= check(run, rules->all_of.parts[i], v, seen);
    if (rules->any_of.count && (ok || goes_on(run)))
        ok &= check_any(run, part, v, seen);
    if (rules->one_of.count && (ok || goes_on(run)))
        ok &= check_one(run, part, v, seen);
    if (rules->not&&(ok || goes_on(run)) && fits(run, rules->not, v, NULL))
        ok = wrong(run, part, "not", v, "must not fit the schema in \"not\"");
    if (rules->if_ && (ok || goes_on(run)))
        ok &= check_condition(run, rules, v, seen);
    run->depth--;
    return ok;
}

/* --- what nobody has looked at --- */

static bool check_unevaluated(struct run *run, const struct part *part, struct json_node v, const struct seen *seen)
{
    part_t members = part->unevaluated_members, items = part->unevaluated_items;
    size_t place = 0;
    bool ok = true;

    JSON_EACH(w, v) {
        if (!is_marked(seen, place++)) {
            ok &= w.object ? check_extra(run, part, "unevaluatedProperties", members, &w)
                           : check(run, items, w.value, NULL);
            if (!ok && !goes_on(run))
                return false;
        }
    }
    return ok;
}

static bool check_rules(struct run *run, const struct part *part, struct json_node v, struct seen *seen);

/* With a set of its own; in the end everything is evaluated. */
static bool NOINLINE check_all_evaluated(struct run *run, const struct part *part, struct json_node v,
                                         struct seen *outer)
{
    struct seen own;

    if (!seen_begin(run, &own, json_node_count(v)))
        return false;
    bool ok = check_rules(run, part, v, &own);
    if (!ok && !goes_on(run))
        return false;
    ok &= check_unevaluated(run, part, v, &own);
    for (size_t i = 0; outer && i < own.count; i++)
        mark(outer, i);
    return ok;
}

/* --- a part --- */

static bool NOINLINE wrong_kind(struct run *run, const struct part *part, struct json_node v)
{
    struct str wanted = json_node_raw(json_node_get(part->at, STR("type")));

    if (!part->has_type)
        return wrong(run, part, NULL, v, "must not be here: the schema is false");
    return wrong(run, part, "type", v, "must be of type %.*s, is %s", STR_ARG(utf8_prefix(wanted, 80)),
                 part->kinds & 1 << json_node_kind(v) ? "a number with a fraction" : kind_names[json_node_kind(v)]);
}

static bool check_rules(struct run *run, const struct part *part, struct json_node v, struct seen *seen)
{
    enum json_kind kind = json_node_kind(v);
    bool ok = true;

    if (!(part->kinds & 1 << kind) || (part->whole && kind == JSON_NUMBER && !is_whole(v)))
        ok = wrong_kind(run, part, v);
    if (part->values && (ok || goes_on(run)))
        ok &= check_values(run, part, part->values, v);
    if (part->constant && (ok || goes_on(run)))
        ok &= check_values(run, part, part->constant, v);
    if (!ok && !goes_on(run))
        return false;
    if (kind == JSON_STRING && part->string)
        ok &= check_string(run, part, v);
    else if (kind == JSON_NUMBER && part->number)
        ok &= check_number(run, part, v);
    else if (kind == JSON_OBJECT && part->object)
        ok &= check_object(run, part, v, seen);
    else if (kind == JSON_ARRAY && part->array)
        ok &= check_array(run, part, v, seen);
    if (part->combine && (ok || goes_on(run)))
        ok &= check_combined(run, part, v, seen);
    return ok;
}

static bool too_deep(struct run *run)
{
    run->work.steps = 0;
    if (!run->work.error)
        run->work.error = fail(E_TOO_LARGE, "more than %d schemas lie within each other", JSONSCHEMA_DEPTH_MAX);
    return false;
}

static bool check(struct run *run, part_t index, struct json_node v, struct seen *seen)
{
    const struct part *part = &run->schema->parts[index];
    struct scope here = {run->scope, part->resource};
    enum json_kind kind = json_node_kind(v);

    if (!run->schema->dynamic_count)
        while (part->alias)
            part = &run->schema->parts[part->alias];
    else if (!run->scope || run->scope->resource != part->resource)
        run->scope = &here;
    if (run->depth >= JSONSCHEMA_DEPTH_MAX)
        return too_deep(run);
    run->depth++;
    bool asks = (kind == JSON_OBJECT && part->unevaluated_members) || (kind == JSON_ARRAY && part->unevaluated_items);
    bool ok = work_take(&run->work, 1) &&
              (UNLIKELY(asks) ? check_all_evaluated(run, part, v, seen) : check_rules(run, part, v, seen));
    run->depth--;
    run->scope = here.outer;
    return ok;
}

static err_t check_once(const struct jsonschema *s, part_t part, struct json_node v, struct arena *scratch,
                        struct jsonschema_report *report, bool *ret_valid)
{
    struct run run = {.schema = s, .work = {.arena = scratch, .steps = JSONSCHEMA_STEPS}, .report = report};
    bool ok = check(&run, part, v, NULL);

    if (run.work.error)
        return run.work.error;
    *ret_valid = ok;
    return OK;
}

err_t part_explain(const struct jsonschema *s, part_t part, struct json_node value, struct arena *scratch,
                   struct jsonschema_report *report, bool *ret_valid)
{
    bool again;

    TRY(check_once(s, part, value, scratch, NULL, ret_valid));
    if (!report)
        return OK;
    report->count = 0;
    report->more = false;
    return *ret_valid || !report->max ? OK : check_once(s, part, value, scratch, report, &again);
}

err_t jsonschema_validate(const struct jsonschema *schema, struct json_node document, struct arena *scratch,
                          struct jsonschema_report *report, bool *ret_valid)
{
    return part_explain(schema, schema->root, document, scratch, report, ret_valid);
}
