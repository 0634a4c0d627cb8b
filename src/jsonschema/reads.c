/*
 * reads.c - paths that a program reads (".a.b", ".tags[]", ".[\"x y\"]", "."), as a tree.
 *
 * A path says that all below its end is read. Paths of named inputs ("$limits.max") are about other values and are passed over. An index or a
 * slice between brackets is read as any element.
 */
#include "jsonschema/inclusion_int.h"

#include "codec/json_scan.h"

static struct reads *step_into(struct arena *arena, struct reads *r, struct str name, bool is_element)
{
    for (struct reads *kid = r->kids; kid; kid = kid->next)
        if (kid->is_element == is_element && str_eq(kid->name, name))
            return kid;
    struct reads *kid = arena_new(arena, struct reads);
    *kid = (struct reads){.next = r->kids, .name = name, .is_element = is_element};
    r->kids = kid;
    return kid;
}

static err_t refuse(struct str path)
{
    return fail(E_PARSE, "\"%.*s\" is no path: it is written as \".a.b\", \".list[]\" or \".[\\\"a b\\\"]\"",
                STR_ARG(path));
}

/* "[…]": a name in quotes, or anything else for an element. */
static err_t take_bracket(struct arena *arena, struct str path, struct str *rest, struct reads **at)
{
    struct str name;

    if (str_starts(*rest, STR("[\""))) {
        size_t n = json_string_end(*rest, 1);
        if (n >= rest->n || rest->p[n] != ']' || json_string_value(str_slice(*rest, 1, n), arena, &name) != OK)
            return refuse(path);
        *at = step_into(arena, *at, arena_str(arena, name), false);
        *rest = str_slice(*rest, n + 1, rest->n);
        return OK;
    }
    size_t n = str_find_char(*rest, ']');
    if (n == rest->n)
        return refuse(path);
    *at = step_into(arena, *at, STR(""), true);
    *rest = str_slice(*rest, n + 1, rest->n);
    return OK;
}

static err_t add_path(struct arena *arena, struct str path, struct reads *root)
{
    struct str rest = path;
    struct reads *at = root;

    if (!str_starts(path, STR(".")))
        return refuse(path);
    if (path.n == 1)
        rest = STR_NONE;
    while (rest.n) {
        if (rest.p[0] == '[') {
            TRY(take_bracket(arena, path, &rest, &at));
            continue;
        }
        if (rest.p[0] != '.')
            return refuse(path);
        rest = str_slice(rest, 1, rest.n);
        size_t n = 0;
        while (n < rest.n && !strchr(".[]\"", rest.p[n]))
            n++;
        if (n)
            at = step_into(arena, at, arena_str(arena, str_slice(rest, 0, n)), false);
        else if (!rest.n || rest.p[0] != '[')
            return refuse(path);
        rest = str_slice(rest, n, rest.n);
    }
    at->is_leaf = true;
    return OK;
}

err_t reads_parse(struct arena *arena, const struct str *paths, size_t count, struct reads **ret_root)
{
    struct reads *root = arena_new(arena, struct reads);

    if (count > INCLUSION_READS_MAX)
        return fail(E_TOO_LARGE, "a program reads at most %d paths", INCLUSION_READS_MAX);
    for (size_t i = 0; i < count; i++)
        if (!str_starts(paths[i], STR("$")))
            TRY(add_path(arena, paths[i], root));
    *ret_root = root;
    return OK;
}
