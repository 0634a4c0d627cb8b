/* sim_surface_test.c - which surface and endpoint of the simulated provider a path leads to. */
#include "sim/surface.h"

#include "unit/test.h"

TEST(sim_route_takes_what_is_in_braces)
{
    static const struct {
        const char *pattern, *path, *id; /* id NULL: no match */
    } cases[] = {
        {"/a", "/a", ""},
        {"/a", "/a/", NULL},
        {"/a/{id}", "/a/b", "b"},
        {"/a/{id}", "/a/", NULL},
        {"/a/{id}", "/a/b/c", NULL},
        {"/a/{id}/c", "/a/b/c", "b"},
        {"/a/{id}/c", "/a/b/d", NULL},
        {"/a/{id}/c", "/a//c", NULL},
        {"/a/{id...}", "/a/b/c%2Fd", "b/c%2Fd"},
        {"/a/{id...}", "/a/", NULL},
        {"/v1/models/{id}:embed", "/v1/models/m:embed", "m"},
        {"/v1/models/{id}:embed", "/v1/models/m:1:embed", "m:1"},
        {"/v1/models/{id}:embed", "/v1/models/m:embedAll", NULL},
        {"/v1/models/{id}:embed", "/v1/models/:embed", NULL},
        {"/v1/models/{id}:embed", "/v1/models/x/m:embed", NULL},
        {"/v1/{id...}:embed", "/v1/tunedModels/m:1:embed", "tunedModels/m:1"},
        {"/v1/{id...}:embed", "/v1/:embed", NULL},
        {"/p/{project}/l/{place}/m/{id}:do", "/p/a/l/b/m/c:do", "c"},
        {"/p/{project}/l/{place}/m/{id}:do", "/p/a/b/l/c/m/d:do", NULL},
        {"/p/{identity}/x", "/p/a/x", ""},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str id = STR("");
        test_context("%s %s", cases[i].pattern, cases[i].path);
        bool matches = sim_route_matches(str_from_c(cases[i].pattern), str_from_c(cases[i].path), &id);
        CHECK_EQ(matches, cases[i].id != NULL);
        if (matches)
            CHECK_STR(id, cases[i].id);
    }
    test_context("%s", "");
}

/* The name of the surface that gets a request, or "none"; *ret_id what the endpoint sees. */
static const char *surface_of(struct arena *a, const char *method, const char *path, struct str *ret_id)
{
    struct http_request r = {.arena = a, .head = {.method = str_from_c(method), .path = str_from_c(path)}};
    struct sim_turn t = {.a = a, .r = &r};
    sim_endpoint_fn *endpoint = NULL;

    if (sim_surface_find(&t, &endpoint) != OK)
        return "none";
    *ret_id = t.id;
    return t.surface->name;
}

TEST(sim_surfaces_are_found_with_and_without_their_prefix)
{
    static const struct {
        const char *method, *path, *surface, *id;
    } cases[] = {
        {"POST", "/v1/responses", "openai", ""},
        {"POST", "/responses", "openai", ""},
        {"POST", "/openai/v1/responses", "openai", ""},
        {"POST", "/openai/v1/v1/responses/", "openai", ""},
        {"POST", "/openai/openai/v1/responses", "none", ""},
        {"POST", "/nobody/v1/responses", "none", ""},
        {"GET", "/openai", "none", ""},
        {"GET", "", "none", ""},
        {"GET", "/v1/models/a%2Fb%2520c/d", "openai", "a/b%20c/d"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena a CLEANUP(arena_release);
        struct str id = STR("");
        arena_init(&a, 1 << 20);
        test_context("%s %s", cases[i].method, cases[i].path);
        CHECK_STR(str_from_c(surface_of(&a, cases[i].method, cases[i].path, &id)), cases[i].surface);
        CHECK_STR(id, cases[i].id);
    }
    test_context("%s", "");
}

/* Two surfaces that both claim a path for everybody would leave it to the order of their names. */
TEST(sim_routes_of_natural_surfaces_are_told_apart_by_a_condition)
{
    for (size_t i = 0; i < sim_surface_catalog_count; i++)
        for (size_t k = i + 1; k < sim_surface_catalog_count; k++) {
            const struct sim_surface *x = sim_surface_catalog[i], *y = sim_surface_catalog[k];
            if (!x->natural || !y->natural)
                continue;
            for (size_t m = 0; m < x->route_count; m++)
                for (size_t n = 0; n < y->route_count; n++) {
                    const struct sim_route *p = &x->routes[m], *q = &y->routes[n];
                    struct arena a CLEANUP(arena_release);
                    arena_init(&a, 1 << 20);
                    struct str one = arena_join(&a, x->base, p->path), other = arena_join(&a, y->base, q->path);
                    if (str_eq(str_from_c(p->method), str_from_c(q->method)) && str_eq(one, other))
                        CHECK_MSG(p->condition || q->condition, "%s: %s and %s", p->path.p, x->name, y->name);
                }
        }
}
