/* check.c - crossdock check FILE...: say everything that is wrong with configurations, without serving them. */
#include "cli/cli.h"
#include "cli/pipelines.h"
#include "cli/schema_lookup.h"
#include "fleet/config.h"
#include "gateway/snapshot.h"

#include <stdio.h>

enum { REPORT_MAX = 16 * 1024 * 1024, UNPRICED_SHOWN = 10 };

/* Without a price a deployment is not compared by cost, and what it is used for is not counted in money. */
static void warn_unpriced(const char *path, const struct catalog *c)
{
    size_t count = 0;

    for (size_t i = 0; i < c->deployment_count; i++) {
        const struct deployment *d = &c->deployments[i];
        bool may_be_unknown = d->price || d->provider->simulated || str_eq(d->model, STR("*"));
        if (may_be_unknown || count++ >= UNPRICED_SHOWN)
            continue;
        (void)fprintf(stderr, "%s: warning: the price of \"%.*s\" is not known: say it under \"deployments\"\n", path,
                      STR_ARG(d->name));
    }
    if (count > UNPRICED_SHOWN)
        (void)fprintf(stderr, "%s: warning: nor are %zu other prices\n", path, count - UNPRICED_SHOWN);
}

static void report_problems(const struct problems *problems)
{
    struct buf report CLEANUP(buf_release) = BUF_INIT(REPORT_MAX);

    problems_print(problems, &report);
    (void)fwrite(report.p ? report.p : "", 1, report.n, stderr);
}

static int check_pipeline(const char *path)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct problems problems = {.arena = &arena};
    struct pipeline_set *set;

    err_t e = load_pipelines(path, &problems, &set, NULL);
    report_problems(&problems);
    if (e)
        return EXIT_CONFIG;
    (void)printf("%s: ok: the pipeline %.*s, %u nodes\n", path, STR_ARG(set->items[0]->name),
                 set->items[0]->node_count);
    pipeline_set_free(set);
    return EXIT_OK;
}

/* What `pipelines` of a configuration names. */
static err_t check_pipelines(const struct catalog *catalog, size_t *ret_count)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct problems problems = {.arena = &arena};
    struct schema_lookup lookup = {.catalog = catalog};
    const struct pipeline_registry registry = schema_lookup_registry(&lookup);
    struct pipeline_set *set = NULL;

    err_t e = pipelines_load(catalog, config_env_real(), &registry, &problems, &set);
    report_problems(&problems);
    if (!e)
        *ret_count = set->count;
    pipeline_set_free(set);
    return e;
}

static int check_one(const char *path)
{
    struct arena arena CLEANUP(arena_release);
    struct problems problems = {.arena = &arena};
    struct catalog *catalog = NULL;
    struct snapshot *snapshot = NULL;
    size_t pipelines = 0;

    arena_init(&arena, SIZE_MAX / 2);
    err_t e = config_load(path, STR_NONE, config_env_real(), &problems, &catalog);
    report_problems(&problems);
    if (e == OK) {
        size_t models = catalog->model_count, providers = catalog->provider_count;
        e = snapshot_make(catalog, NULL, &snapshot);
        if (e != OK) {
            (void)fprintf(stderr, "%s: error: %s\n", path, err_detail(e));
        } else {
            warn_unpriced(path, catalog);
            e = check_pipelines(catalog, &pipelines);
        }
        if (e == OK && pipelines)
            (void)printf("%s: ok: %zu models, %zu providers, %zu pipelines\n", path, models, providers, pipelines);
        else if (e == OK)
            (void)printf("%s: ok: %zu models, %zu providers\n", path, models, providers);
        snapshot_unref(snapshot);
    }
    return e == OK ? EXIT_OK : EXIT_CONFIG;
}

static int run(int argc, char **argv)
{
    int operands, worst = EXIT_OK, e = cli_parse(&command_check, argc, argv, NULL, 0, argc, &operands);

    if (e)
        return e < 0 ? EXIT_OK : e;
    if (operands == 0) {
        (void)fputs("crossdock check: name at least one file\nTry 'crossdock check --help'.\n", stderr);
        return EXIT_USAGE;
    }
    for (int i = 1; i <= operands; i++) {
        e = is_pipeline_file(argv[i]) ? check_pipeline(argv[i]) : check_one(argv[i]);
        worst = e > worst ? e : worst;
    }
    return worst;
}

const struct command command_check = {
    .name = "check",
    .summary = "say what is wrong with a configuration",
    .help = "Usage: crossdock check FILE...\n\n"
            "Reads configurations (files, or folders of *.yaml) with their pipelines, or single pipeline files, as\n"
            "'serve' would and prints every problem as\n"
            "file:line:column: what is wrong, and warns of deployments whose price is not known. Exit code 3\n"
            "if there is any error; warnings alone are 0.\n",
    .run = run,
};
