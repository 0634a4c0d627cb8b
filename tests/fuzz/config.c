/*
 * Fuzz target: fleet/config.h, from bytes to a catalog.
 *
 * Whatever the bytes are: either a catalog whose parts fit together, or at least one error; and no message shows what a
 * variable or a file held.
 */
#include "fleet/config.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
const char *__lsan_default_suppressions(void);

/* libfyaml 0.7 loses a little memory for some malformed texts. Ours is watched all the same. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so";
}

#define REQUIRE(cond)                                                                                                  \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                           \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* Set: names that begin with K; empty: E; all others are not set. */
static const char *some_variables(const char *name)
{
    return name[0] == 'K' ? "Sek{r3t: [" : name[0] == 'E' ? "" : NULL;
}

static err_t some_files(const char *path, size_t max, struct buf *ret)
{
    size_t n = strlen(path);

    (void)max;
    if (n % 3 == 0)
        return fail(E_NOT_FOUND, "no such file");
    return buf_add(ret, n % 3 == 1 ? STR("Sek{r3t\n") : STR("-----BEGIN X-----\nSek{r3t\n"));
}

static void check_deployment(const struct catalog *c, const struct deployment *d)
{
    REQUIRE(d >= c->deployments && d < c->deployments + c->deployment_count);
    REQUIRE(d->index == (size_t)(d - c->deployments));
    REQUIRE(map_get(&c->deployment_by_name, d->name) == d);
    REQUIRE(d->model.n > 0 && d->provider >= c->providers && d->provider < c->providers + c->provider_count);
}

static void check_model(const struct catalog *c, const struct model *m)
{
    uint64_t sum = 0;

    REQUIRE(catalog_find_model(c, m->name) == m);
    REQUIRE(m->index == (size_t)(m - c->models));
    REQUIRE(m->target_count > 0);
    for (size_t i = 0; i < m->target_count; i++) {
        check_deployment(c, m->targets[i].deployment);
        REQUIRE(m->targets[i].weight > 0);
        sum += m->targets[i].weight;
    }
    REQUIRE(sum == m->weight_sum);
    for (size_t k = 0; k < FALLBACKS; k++)
        for (size_t i = 0; i < m->fallbacks[k].count; i++)
            check_deployment(c, m->fallbacks[k].items[i].deployment);
    REQUIRE(m->timeouts.connect > 0 && m->timeouts.first_byte > 0 && m->timeouts.between_bytes > 0 &&
            m->timeouts.total > 0);
}

static void check_provider(const struct catalog *c, const struct provider *p)
{
    struct str model;

    REQUIRE(p->dialect && p->host.n > 0 && p->pool_key.n > 0);
    REQUIRE(p->simulated || p->unix_path.n || p->port > 0);
    REQUIRE(!p->simulated || (!p->port && !p->unix_path.n));
    REQUIRE(!str_ends(p->base_path, STR("/")));
    REQUIRE(p->timeouts.connect > 0 && p->timeouts.total > 0 && p->max_connections > 0);
    for (size_t i = 0; i < p->serves_count; i++) {
        char name[4096];
        int n = snprintf(name, sizeof name, "%.*s/%.*s", STR_ARG(p->name), STR_ARG(p->serves[i]));
        if (n > 0 && (size_t)n < sizeof name && !memchr(p->serves[i].p, '\0', p->serves[i].n))
            REQUIRE(catalog_find_served(c, str_of(name, (size_t)n), &model) == p);
    }
}

static void check_catalog(const struct catalog *c)
{
    bool closed = c->key_count > 0 || c->anonymous;

    REQUIRE(c->listen_count > 0);
    for (size_t i = 0; i < c->listen_count; i++)
        REQUIRE(closed || addr_is_loopback(&c->listens[i].addr));
    for (size_t i = 0; i < c->provider_count; i++)
        check_provider(c, &c->providers[i]);
    for (size_t i = 0; i < c->model_count; i++)
        check_model(c, &c->models[i]);
    for (size_t i = 0; i < c->key_count; i++)
        REQUIRE(catalog_find_key(c, c->keys[i].hash) == &c->keys[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct config_env env = {.getenv = some_variables, .read_file = some_files};
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct buf report CLEANUP(buf_release) = BUF_INIT(1 << 24);
    struct problems problems = {.arena = &a};
    struct catalog *c = NULL;
    err_t e = config_load("-", str_of((const char *)data, n), &env, &problems, &c);

    problems_print(&problems, &report);
    REQUIRE((e == OK) == (c != NULL) && (e == OK) == (problems.errors == 0));
    /* Unless the input itself has the word, and so may have it where it is shown. */
    if (memmem(data, n, "r3t", 3) == NULL)
        REQUIRE(str_find(buf_str(&report), STR("r3t")) == report.n);
    if (c)
        check_catalog(c);
    catalog_unref(c);
    return 0;
}
