/*
 * trial_match.c - patterns that documents are held against.
 *
 * A pattern is a document: an object fits one that has these members, and perhaps more; an array one of as many elements that fit, each in its place;
 * anything else only its equal. An object whose members begin with "$" says something instead:
 *
 *     {$any: true}                         anything, as long as it is there
 *     {$absent: true}                      there is no such member
 *     {$exact: {…}}                        exactly this, members that are not named included
 *     {$near: 0.5, $within: 0.01}          a number, so far off at most (1e-9 of it if nobody says)
 *     {$cosine: [0.1, …], $least: 0.99}    a vector that points the same way: its cosine is so large at least
 *     {$matches: "^case-[0-9]+$"}          a text in which this regular expression is found
 *     {$schema: name}                      a document that is valid by that schema of the pipeline
 *
 * What nests is bounded by the depth of documents that json_tree_parse() takes.
 */
#include "codec/regex.h"
#include "expr/value.h"
#include "jsonschema/jsonschema.h"
#include "pipeline/trial/trial_int.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum { SHOWN = 200, TEXT_MAX = 1000 };

void trial_complain(struct trial_matching *m, struct str where, const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list ap;

    if (m->count == m->max)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    m->problems[m->count++] = (struct trial_problem){arena_str(m->arena, where), arena_str(m->arena, str_from_c(text))};
}

/* A value as much of it as people want to see. */
static struct str shown(struct trial_matching *m, struct json_node v)
{
    if (json_is_absent(v))
        return STR("nothing");
    struct str raw = json_node_raw(v);
    return raw.n <= SHOWN ? raw : arena_printf(m->arena, "%.*s…", SHOWN, raw.p);
}

static bool is_equal(struct trial_matching *m, struct json_node a, struct json_node b)
{
    struct expr_budget budget = {m->arena, UINT64_MAX, SIZE_MAX};
    bool same = false;

    return value_equal(&budget, expr_json(a), expr_json(b), &same) == OK && same;
}

/* --- what "$" says --- */

static void match_near(struct trial_matching *m, struct str where, struct json_node p, struct json_node is)
{
    double want, within, got;

    if (!json_node_double(json_node_get(p, STR("$near")), &want)) {
        trial_complain(m, where, "the pattern's \"$near\" is no number");
        return;
    }
    if (!json_node_double(json_node_get(p, STR("$within")), &within))
        within = fabs(want) * 1e-9;
    if (!json_node_double(is, &got))
        trial_complain(m, where, "is %.*s, and should be a number near %g", STR_ARG(shown(m, is)), want);
    else if (!(fabs(got - want) <= within))
        trial_complain(m, where, "is %g, and should be within %g of %g", got, within, want);
}

static void match_cosine(struct trial_matching *m, struct str where, struct json_node p, struct json_node is)
{
    struct json_node wanted = json_node_get(p, STR("$cosine"));
    double least = 1 - 1e-6, dot = 0, long_a = 0, long_b = 0;
    size_t i = 0;

    (void)json_node_double(json_node_get(p, STR("$least")), &least);
    if (json_node_kind(wanted) != JSON_ARRAY || !json_node_is(is, JSON_ARRAY) ||
        json_node_count(wanted) != json_node_count(is)) {
        trial_complain(m, where, "is %.*s, and should be a vector of %zu numbers", STR_ARG(shown(m, is)),
                       json_node_count(wanted));
        return;
    }
    JSON_EACH(w, wanted) {
        double a = 0, b = 0;
        if (!json_node_double(w.value, &a) || !json_node_double(json_node_at(is, i++), &b)) {
            trial_complain(m, where, "has an element that is no number");
            return;
        }
        dot += a * b;
        long_a += a * a;
        long_b += b * b;
    }
    double cosine = long_a > 0 && long_b > 0 ? dot / sqrt(long_a) / sqrt(long_b) : 0;
    if (!(cosine >= least))
        trial_complain(m, where, "has a cosine of %.6f with what was expected; at least %g", cosine, least);
}

static void match_regex(struct trial_matching *m, struct str where, struct json_node p, struct json_node is)
{
    struct str pattern = json_get_text(p, STR("$matches"), m->arena);
    const struct regex *r;
    const char *why = "";
    uint64_t steps;

    if (regex_compile(m->arena, pattern, 0, &r, &why) != OK)
        trial_complain(m, where, "the pattern's \"$matches\" is no regular expression: %s", why);
    else if (!json_node_is(is, JSON_STRING) || !regex_find(r, json_node_text(is, m->arena), 0, false,
                                                           arena_alloc(m->arena, regex_room(r) + 1), NULL, &steps))
        trial_complain(m, where, "is %.*s, and should match %.*s", STR_ARG(shown(m, is)), STR_ARG(pattern));
}

static const struct pipeline_schema *find_schema(const struct pipeline_spec *s, struct str name)
{
    for (size_t i = 0; i < s->schema_count; i++)
        if (str_eq(s->schemas[i].name, name))
            return &s->schemas[i];
    return NULL;
}

static void match_schema(struct trial_matching *m, struct str where, struct json_node p, struct json_node is)
{
    struct str name = json_get_text(p, STR("$schema"), m->arena);
    const struct pipeline_schema *s = find_schema(m->spec, name);
    struct jsonschema_problem room;
    struct jsonschema_report report = {.problems = &room, .max = 1};
    const struct jsonschema *schema;
    const struct json_tree *tree;
    bool valid;

    if (!s || !s->text.n) {
        trial_complain(m, where, "the pipeline has no schema \"%.*s\" in a file", STR_ARG(name));
        return;
    }
    err_t e = json_tree_parse(m->arena, s->text, &tree);
    if (e == OK)
        e = jsonschema_compile(m->arena, tree, &(struct jsonschema_options){.assert_formats = true}, &schema, NULL);
    if (e == OK)
        e = jsonschema_validate(schema, is, m->arena, &report, &valid);
    if (e != OK)
        trial_complain(m, where, "the schema \"%.*s\": %s", STR_ARG(name), err_detail(e));
    else if (!valid)
        trial_complain(m, where, "is not valid by \"%.*s\": %.*s %.*s", STR_ARG(name), STR_ARG(room.instance),
                       STR_ARG(room.text));
}

static void match_any(struct trial_matching *m, struct str where, struct json_node p UNUSED, struct json_node is)
{
    if (json_is_absent(is))
        trial_complain(m, where, "is not there");
}

static void match_absent(struct trial_matching *m, struct str where, struct json_node p UNUSED, struct json_node is)
{
    if (!json_is_absent(is))
        trial_complain(m, where, "is %.*s, and should not be there", STR_ARG(shown(m, is)));
}

static void match_exact(struct trial_matching *m, struct str where, struct json_node p, struct json_node is)
{
    struct json_node wanted = json_node_get(p, STR("$exact"));

    if (json_is_absent(is) || !is_equal(m, wanted, is))
        trial_complain(m, where, "is %.*s, and should be exactly %.*s", STR_ARG(shown(m, is)),
                       STR_ARG(shown(m, wanted)));
}

static const struct word {
    struct str name;
    void (*match)(struct trial_matching *m, struct str where, struct json_node p, struct json_node is);
} words[] = {{STR_INIT("$any"), match_any},       {STR_INIT("$absent"), match_absent},
             {STR_INIT("$exact"), match_exact},   {STR_INIT("$near"), match_near},
             {STR_INIT("$cosine"), match_cosine}, {STR_INIT("$matches"), match_regex},
             {STR_INIT("$schema"), match_schema}};

/* Does the pattern say something? Then it is done with. */
static bool match_word(struct trial_matching *m, struct str where, struct json_node p, struct json_node is)
{
    struct json_walk first = json_walk(p);

    if (!json_walk_next(&first))
        return false;
    struct str key = json_node_text(first.key, m->arena);
    if (!key.n || key.p[0] != '$')
        return false;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (!json_is_absent(json_node_get(p, words[i].name))) {
            words[i].match(m, where, p, is);
            return true;
        }
    trial_complain(m, where, "the pattern's \"%.*s\" is none that there is", STR_ARG(key));
    return true;
}

/* --- documents --- */

static void match_object(struct trial_matching *m, struct str where, struct json_node p, struct json_node is)
{
    if (!json_node_is(is, JSON_OBJECT)) {
        trial_complain(m, where, "is %.*s, and should be an object", STR_ARG(shown(m, is)));
        return;
    }
    JSON_EACH(w, p) {
        struct str key = json_node_text(w.key, m->arena);
        trial_match(m, arena_printf(m->arena, "%.*s.%.*s", STR_ARG(where), STR_ARG(key)), w.value,
                    json_node_get_last(is, key, &(uint32_t){0}));
    }
}

static void match_array(struct trial_matching *m, struct str where, struct json_node p, struct json_node is)
{
    size_t i = 0;

    if (!json_node_is(is, JSON_ARRAY) || json_node_count(p) != json_node_count(is)) {
        trial_complain(m, where, "is %.*s, and should be an array of %zu elements", STR_ARG(shown(m, is)),
                       json_node_count(p));
        return;
    }
    JSON_EACH(w, p) {
        trial_match(m, arena_printf(m->arena, "%.*s[%zu]", STR_ARG(where), i), w.value, json_node_at(is, i));
        i++;
    }
}

void trial_match(struct trial_matching *m, struct str where, struct json_node wanted, struct json_node is)
{
    if (json_node_is(wanted, JSON_OBJECT)) {
        if (!match_word(m, where, wanted, is))
            match_object(m, where, wanted, is);
    } else if (json_node_is(wanted, JSON_ARRAY)) {
        match_array(m, where, wanted, is);
    } else if (json_is_absent(is)) {
        trial_complain(m, where, "is not there, and should be %.*s", STR_ARG(shown(m, wanted)));
    } else if (!is_equal(m, wanted, is)) {
        trial_complain(m, where, "is %.*s, and should be %.*s", STR_ARG(shown(m, is)), STR_ARG(shown(m, wanted)));
    }
}
