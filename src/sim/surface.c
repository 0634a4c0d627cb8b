/*
 * surface.c - finds out which dialect a request is in, by its path.
 *
 * A path is cut into surface and rest at most once: what follows "/<name>" is not looked at for another name. Where the named surface does
 * not have the rest, the whole path may still be another surface's own: Azure's begin with "/openai".
 */
#include "sim/surface.h"

#include "codec/url.h"

bool sim_route_matches(struct str pattern, struct str path, struct str *ret_id)
{
    size_t open = str_find_char(pattern, '{');

    if (open == pattern.n)
        return str_eq(pattern, path);
    if (!str_starts(path, str_slice(pattern, 0, open)))
        return false;
    pattern = str_slice(pattern, open + 1, pattern.n);
    path = str_slice(path, open, path.n);
    struct str name = str_cut(&pattern, '}');
    bool greedy = str_ends(name, STR("..."));
    struct str value = greedy ? path : str_slice(path, 0, str_find_char(path, '/'));
    struct str behind = greedy ? pattern : str_slice(pattern, 0, str_find_char(pattern, '/'));
    if (value.n <= behind.n || !str_ends(value, behind))
        return false;
    struct str rest = str_slice(path, value.n, path.n);
    value.n -= behind.n;
    if (str_eq(name, STR("id")) || str_eq(name, STR("id...")))
        *ret_id = value;
    return sim_route_matches(str_slice(pattern, behind.n, pattern.n), rest, ret_id);
}

bool sim_route_named(const struct http_request *r)
{
    (void)r;
    return false;
}

/* The path without the surface's base, however often it is there, and without a slash at its end. */
static struct str path_within(const struct sim_surface *s, struct str path)
{
    while (s->base.n > 0 && str_starts(path, s->base) && path.n > s->base.n && path.p[s->base.n] == '/')
        path = str_slice(path, s->base.n, path.n);
    if (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    return path;
}

/* What is being looked for, and the best that was found. */
struct search {
    const struct http_request *r;
    const struct sim_surface *surface; /* NULL: no path fits                     */
    const struct sim_route *route;     /* NULL: the path is one of `surface`, but for another method */
    struct str id;
};

/* Which routes are looked at. */
enum which { ALL, CONDITIONAL, PLAIN };

static bool is_meant(const struct search *f, const struct sim_route *route, enum which which)
{
    switch (which) {
    case ALL:
        return true;
    case CONDITIONAL:
        return route->condition && route->condition(f->r);
    case PLAIN:
        return !route->condition;
    }
    return false;
}

/* Look in one surface; true if the search is over. */
static bool search_surface(struct search *f, const struct sim_surface *s, struct str path, enum which which)
{
    struct str id = STR_NONE;

    path = path_within(s, path);
    for (size_t i = 0; i < s->route_count; i++) {
        const struct sim_route *route = &s->routes[i];
        if (!sim_route_matches(route->path, path, &id) || !is_meant(f, route, which))
            continue;
        if (!f->surface)
            f->surface = s;
        if (!str_eq(f->r->head.method, str_from_c(route->method)))
            continue;
        *f = (struct search){.r = f->r, .surface = s, .route = route, .id = id};
        return true;
    }
    return false;
}

static const struct sim_surface *named_surface(struct str path, struct str *ret_rest)
{
    struct str rest = str_slice(path, 1, path.n), name = str_cut(&rest, '/');

    for (size_t i = 0; i < sim_surface_catalog_count; i++)
        if (rest.p && str_eq(name, str_from_c(sim_surface_catalog[i]->name))) {
            *ret_rest = str_slice(path, 1 + name.n, path.n);
            return sim_surface_catalog[i];
        }
    return NULL;
}

static void search_natural(struct search *f, struct str path)
{
    for (enum which which = CONDITIONAL; which <= PLAIN; which++)
        for (size_t i = 0; i < sim_surface_catalog_count; i++)
            if (sim_surface_catalog[i]->natural && search_surface(f, sim_surface_catalog[i], path, which))
                return;
}

static err_t refuse_path(struct sim_turn *t, bool is_known)
{
    struct str method = t->r->head.method, path = t->r->head.path;

    if (is_known)
        return refuse_status(t->a, &t->refusal, 405, "method_not_supported",
                             "Not allowed to %.*s on %.*s. (HINT: Perhaps you meant to use a different HTTP method?)",
                             STR_ARG(method), STR_ARG(path));
    return refuse_status(t->a, &t->refusal, 404, "unknown_url",
                         "Unknown request URL: %.*s %.*s. Please check the URL for typos.", STR_ARG(method),
                         STR_ARG(path));
}

err_t sim_surface_find(struct sim_turn *t, sim_endpoint_fn **ret)
{
    struct str path = t->r->head.path, rest;
    struct search f = {.r = t->r};
    const struct sim_surface *named = named_surface(path, &rest);

    if (!named || !search_surface(&f, named, rest, ALL))
        search_natural(&f, path);
    if (f.surface || named)
        t->surface = t->play.surface = f.surface ? f.surface : named;
    if (!f.route)
        return refuse_path(t, f.surface != NULL);
    *ret = f.route->endpoint;
    if (f.id.n == 0 || url_decode(f.id, t->a, &t->id) == OK)
        return OK;
    return refuse_path(t, false);
}
