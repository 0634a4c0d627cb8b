/*
 * pipeline_run.c - crossdock pipeline run: one pipeline in a process of its own, until its sources have ended or it is told to stop.
 *
 * What it was doing when it stopped, or was killed, goes on where it was with the next run and the same journal.
 */
#include "cli/cli.h"
#include "cli/journal_file.h"
#include "cli/own_gateway.h"
#include "cli/pipelines.h"
#include "net/tls.h"
#include "pipeline/run/runner.h"
#include "pipeline/spec/kind.h"
#include "rt/scope.h"
#include "rt/signals.h"
#include "rt/worker.h"
#include "store/leases.h"

#include <stdio.h>

enum { WORKER_THREADS = 8 };
static const ns_t lease_time = 10 * NS_SEC;

struct pipeline_process {
    struct pipeline_spec *spec;
    struct runner_options options;
    struct own_gateway *gateway; /* of its models; NULL: it has none */
    struct runner *runner;
    struct shard_stats totals;
    bool was_told; /* to stop */
};

static SUSPENDS err_t wait_for_end(void *arg)
{
    struct pipeline_process *p = arg;
    int signo;

    TRY(signals_wait(&signo));
    p->was_told = true;
    return OK;
}

/* Whichever ends first: the pipeline, or the wait for a signal. */
static SUSPENDS err_t run_until_told(struct pipeline_process *p)
{
    SCOPE(both, NS_NEVER);
    err_t first;

    scope_spawn(&both, "signals", wait_for_end, p);
    scope_spawn(&both, "pipelines", runner_run, p->runner);
    TRY(scope_wait_any(&both, NS_NEVER, &first));
    return first;
}

static SUSPENDS err_t run_with_gateway(void *process, struct gateway *gateway)
{
    struct pipeline_process *p = process;
    const struct pipeline_set set = {.items = &p->spec, .count = 1};
    SCOPE(background, NS_NEVER);

    scope_discard_results(&background);
    if (p->options.leases)
        scope_spawn(&background, "leases", leases_run, p->options.leases);
    p->options.gateway = gateway;
    p->runner = runner_new(&p->options);
    runner_install(p->runner, &set);
    err_t e = run_until_told(p);
    runner_totals(p->runner, &p->totals);
    runner_free(p->runner);
    return e;
}

/* A loop's life: its models are asked through a gateway of its own, to which nobody else listens. */
static SUSPENDS err_t run_loop(void *arg)
{
    struct pipeline_process *p = arg;

    return p->gateway ? own_gateway_with(p->gateway, run_with_gateway, p) : run_with_gateway(p, NULL);
}

static void report(const struct shard_stats *s)
{
    (void)fprintf(stderr,
                  "%llu messages taken in, %llu of them again, %llu begun by a former run; %llu records emitted, %llu "
                  "dead letters, "
                  "%llu messages under way\n",
                  (unsigned long long)s->roots + s->again, (unsigned long long)s->again, (unsigned long long)s->resumed,
                  (unsigned long long)s->emitted, (unsigned long long)s->dead, (unsigned long long)s->under_way);
}

static int run(struct pipeline_spec *spec, struct own_gateway *gateway, struct journal *journal)
{
    struct pipeline_process p = {
        .spec = spec, .options = {.journal = journal, .loops = 1, .ends = true}, .gateway = gateway};
    const struct loop_options o = {.index = 0};

    if (journal_is_shared(journal))
        p.options.leases = leases_new(&(struct leases_options){.journal = journal, .time = lease_time});
    err_t e = loop_run(&o, run_loop, &p);
    leases_free(p.options.leases);
    report(&p.totals);
    if (e == OK || p.was_told)
        return EXIT_OK;
    (void)fprintf(stderr, "crossdock pipeline run: %s\n", err_detail(e));
    return EXIT_FAILED;
}

static int run_with_journal(struct pipeline_spec *spec, struct own_gateway *gateway, const char *journal_path)
{
    const struct journal_options o = {.traces_max = 100000, .trace_age = spec->retention, .dead_age = spec->retention};
    struct journal *journal;
    int code = EXIT_FAILED;

    err_t e = open_journal(journal_path, NULL, o, &journal);
    if (e == OK) {
        code = run(spec, gateway, journal);
        journal_close(journal);
    } else {
        (void)fprintf(stderr, "crossdock pipeline run: %s\n", err_detail(e));
    }
    return code;
}

int pipeline_run(struct pipeline_spec *spec, struct catalog *catalog, const char *journal_path)
{
    const struct pipeline_node *missing;
    struct own_gateway *gateway = NULL;

    if (!pipeline_can_run(spec, &missing)) {
        (void)fprintf(stderr, "crossdock pipeline run: this program cannot run %.*s (%s) yet\n", STR_ARG(missing->name),
                      missing->kind->name);
        return EXIT_FAILED;
    }
    tls_trust_file(config_env_real()->getenv("SSL_CERT_FILE"));
    err_t e = catalog ? own_gateway_new(catalog, &gateway) : OK;
    if (e != OK) {
        (void)fprintf(stderr, "crossdock pipeline run: %s\n", err_detail(e));
        return EXIT_CONFIG;
    }
    workers_start(WORKER_THREADS);
    int code = run_with_journal(spec, gateway, journal_path);
    workers_stop();
    own_gateway_free(gateway);
    return code;
}
