/*
 * Fuzz target: migrate/litellm.h. Whatever is imported: there is a configuration, which our own check accepts, or at least one error; and no
 * line of its comments is anything else.
 */
#include "migrate/litellm.h"
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

static const char *any_variable(const char *name)
{
    (void)name;
    return "https://host"; /* fits wherever a variable may stand, but as a region or project */
}

static const char *place_variable(const char *name)
{
    bool is_place = strstr(name, "AWS_REGION") || strstr(name, "VERTEXAI_");
    return is_place ? "mars-1" : any_variable(name);
}

static err_t any_file(const char *path, size_t max, struct buf *ret)
{
    (void)path;
    (void)max;
    return buf_add(ret, STR("-----BEGIN CERTIFICATE-----\nx\n"));
}

/* A variable of the file's own may stand for anything, so what it makes of an address or a region is not the import's fault. */
static bool has_own_variables(struct str text)
{
    return str_find(text, STR("environ")) < text.n;
}

static void check_result(struct str result, struct arena *arena)
{
    static const struct config_env env = {.getenv = place_variable, .read_file = any_file};
    struct problems problems = {.arena = arena};
    struct catalog *catalog = NULL;
    struct buf report CLEANUP(buf_release) = BUF_INIT(1 << 24);

    err_t e = config_load("-", result, &env, &problems, &catalog);
    problems_print(&problems, &report);
    if (e)
        (void)fprintf(stderr, "%.*s\n%.*s\n", STR_ARG(buf_str(&report)), STR_ARG(result));
    REQUIRE(e == OK && catalog->provider_count > 0);
    catalog_unref(catalog);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena CLEANUP(arena_release);
    struct buf result CLEANUP(buf_release) = BUF_INIT(1 << 26);
    struct problems problems = {.arena = &arena};
    struct str text = str_of((const char *)data, n);

    arena_init(&arena, SIZE_MAX / 4);
    err_t e = litellm_import(text, STR("in.yaml"), &arena, &problems, &result);
    REQUIRE(e == OK || (problems.errors > 0 && result.n == 0));
    if (e == OK && !has_own_variables(text))
        check_result(buf_str(&result), &arena);
    return 0;
}
