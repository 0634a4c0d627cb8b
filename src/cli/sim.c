/* sim.c - crossdock sim: the simulated provider on its own, for applications and tests that point at it. */
#include "cli/cli.h"

#include <stdio.h>

#include "cli/scenario_file.h"
#include "net/http_server.h"
#include "rt/loop.h"
#include "rt/worker.h"
#include "sim/sim_provider.h"

enum { REPORT_MAX = 4 << 20 };

struct sim_process {
    struct scenario *scenario;
    uint64_t seed;
    struct addr at;
};

static SUSPENDS err_t sim_main(void *arg)
{
    struct sim_process *p = arg;
    struct sim_provider *provider = sim_provider_new(p->scenario, p->seed);
    struct http_server_options o = {.limits = http_limits_default(),
                                    .handler = sim_provider_handle,
                                    .ctx = provider,
                                    .server_name = "crossdock-sim"};
    struct http_server *server = http_server_new(&o);
    struct addr bound;
    char text[ADDR_TEXT_MAX];
    err_t e = http_server_listen(server, &p->at, LISTEN_ALONE, NULL, &bound);

    if (e == OK) {
        addr_format(&bound, text);
        (void)fprintf(stderr, "crossdock sim: SIMULATED provider at http://%s seed=%llu\n", text,
                      (unsigned long long)p->seed);
        e = cli_run_until_stopped(server, "simulated provider");
    }
    http_server_free(server);
    sim_provider_free(provider);
    return e;
}

static int load(const char *path, struct sim_process *p)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct buf report CLEANUP(buf_release) = BUF_INIT(REPORT_MAX);
    struct problems problems = {.arena = &arena};
    err_t e = scenario_file_read(path ? str_from_c(path) : STR_NONE, &problems, &p->scenario);

    problems_print(&problems, &report);
    (void)fwrite(report.p ? report.p : "", 1, report.n, stderr);
    return e == OK ? EXIT_OK : EXIT_CONFIG;
}

static int start(struct sim_process *p)
{
    struct loop_options o = {.index = 0};

    cli_begin_serving();
    workers_start(1);
    err_t e = loop_run(&o, sim_main, p);
    workers_stop();
    if (e != OK && e != E_CANCELLED)
        (void)fprintf(stderr, "crossdock sim: %s\n", err_detail(e));
    return e == OK || e == E_CANCELLED ? EXIT_OK : EXIT_FAILED;
}

static int run(int argc, char **argv)
{
    struct option_value options[] = {{"listen", true, NULL}, {"scenario", true, NULL}, {"seed", true, NULL}};
    int operands, e = cli_parse(&command_sim, argc, argv, options, ARRAY_LEN(options), 0, &operands);
    struct sim_process p = {0};

    if (e)
        return e < 0 ? EXIT_OK : e;
    if (addr_parse(str_from_c(options[0].value ? options[0].value : "127.0.0.1:9090"), &p.at) != OK) {
        (void)fprintf(stderr, "crossdock sim: --listen: %s\n", err_detail(E_PARSE));
        return EXIT_USAGE;
    }
    if (options[2].value && !str_to_u64(str_from_c(options[2].value), UINT64_MAX, &p.seed)) {
        (void)fprintf(stderr, "crossdock sim: --seed takes a whole number, not '%s'\n", options[2].value);
        return EXIT_USAGE;
    }
    e = load(options[1].value, &p);
    if (e == EXIT_OK) {
        if (!options[2].value)
            p.seed = (uint64_t)p.scenario->seed;
        e = start(&p);
    }
    scenario_free(p.scenario);
    return e;
}

const struct command command_sim = {
    .name = "sim",
    .summary = "serve a simulated provider, for tests",
    .help =
        "Usage: crossdock sim [--listen ADDR] [--scenario FILE] [--seed N]\n\n"
        "Answers as OpenAI, Anthropic, Gemini and Vertex AI do, but makes everything up: repeatable, without a model "
        "or a network.\n"
        "A scenario file says how fast and how faulty each model is (docs/simulator.md). GET /sim/stats counts.\n\n"
        "  --listen ADDR     default 127.0.0.1:9090; port 0 takes a free one and prints it\n"
        "  --scenario FILE   default: a built-in one; only its model sim-flaky has faults\n"
        "  --seed N          the same seed gives the same answers; default: the scenario's\n",
    .run = run,
};
