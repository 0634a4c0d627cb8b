/* serve.c - crossdock serve: read the configuration, set up logs, serve. */
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/server.h"
#include "fleet/config.h"
#include "net/tls.h"
#include "rt/process.h"
#include "rt/threads.h"
#include "rt/watchdog.h"
#include "rt/worker.h"

enum { REPORT_MAX = 4 * 1024 * 1024, WORKER_THREADS = 8, MAX_LOOPS = 256 };

static void write_log(struct str line, void *ctx)
{
    (void)writer_put(ctx, line);
}

static void report_stuck(const char *line)
{
    log_warn(STR_NONE, "%s", line);
}

/* Logs by the configuration: people's form on a terminal unless it says otherwise. */
static err_t open_logs(struct server *s)
{
    const struct catalog *c = s->first->catalog;
    bool console = c->log.format_auto ? process_is_terminal(2) : c->log.format == LOG_CONSOLE;
    struct log_options o = {.level = (enum log_level)c->log.level,
                            .json = !console,
                            .colour = console && process_is_terminal(2),
                            .wall = rt_wall};

    TRY(writer_open("stderr", &s->log_writer));
    o.sink = write_log;
    o.ctx = s->log_writer;
    log_configure(&o);
    s->banner = console;
    s->banner_colour = o.colour;
    if (str_eq(c->log.access, STR("off")))
        return OK;
    s->access_console = c->log.format_auto ? process_is_terminal(1) : c->log.format == LOG_CONSOLE;
    s->access_colour = s->access_console && process_is_terminal(1) && str_eq(c->log.access, STR("stdout"));
    return err_context(writer_open(c->log.access.p, &s->access_writer), "log.access");
}

static void close_logs(struct server *s)
{
    struct log_options plain = {.level = LOG_INFO};

    log_configure(&plain);
    writer_close(s->access_writer);
    writer_close(s->log_writer);
}

/* --listen replaces the configuration's addresses. */
static err_t override_listen(struct catalog *c, const char *text)
{
    struct listen_config *l = arena_new(c->arena_, struct listen_config);

    l->text = arena_str(c->arena_, str_from_c(text));
    TRY(addr_parse(l->text, &l->addr));
    l->tls = c->tls_cert_pem.n > 0;
    TRY(catalog_check_exposure(c, &l->addr));
    c->listens = l;
    c->listen_count = 1;
    return OK;
}

static int prepare(struct server *s, const char *listen, unsigned workers)
{
    struct buf report CLEANUP(buf_release) = BUF_INIT(REPORT_MAX);

    pipelines_make_key(s);
    err_t e = server_load(s, &s->first, &s->pipelines, &report, &s->watch);

    (void)fwrite(report.p ? report.p : "", 1, report.n, stderr);
    if (e == OK && listen) {
        e = override_listen(s->first->catalog, listen);
        if (e != OK)
            (void)fprintf(stderr, "crossdock serve: --listen: %s\n", err_detail(e));
    }
    if (e == OK) {
        e = open_logs(s);
        if (e == OK)
            e = server_open_facts(s);
        if (e == OK)
            e = server_open_pipelines(s);
        if (e != OK)
            (void)fprintf(stderr, "crossdock serve: %s\n", err_detail(e));
    }
    if (e != OK)
        return EXIT_CONFIG;
    s->revision = s->first->catalog->revision;
    s->loop_count = workers ? workers : s->first->catalog->workers;
    if (!s->loop_count)
        s->loop_count = threads_cpus();
    return EXIT_OK;
}

static int serve(const char *config, const char *listen, unsigned workers)
{
    struct server *s = NEW(struct server);
    int code;

    cli_begin_serving();
    tls_trust_file(config_env_real()->getenv("SSL_CERT_FILE"));
    s->config_path = config;
    s->live = live_new();
    s->sim_seed = -1;
    s->started = rt_now();
    code = prepare(s, listen, workers);
    if (code == EXIT_OK) {
        workers_start(WORKER_THREADS);
        watchdog_start(50 * NS_MS, report_stuck);
        code = server_run(s);
        watchdog_stop();
        workers_stop();
    }
    server_close_pipelines(s);
    server_close_registry(s);
    segments_close(s->facts);
    close_logs(s);
    server_release(s);
    return code;
}

static int run(int argc, char **argv)
{
    struct option_value options[] = {{"config", true, NULL}, {"listen", true, NULL}, {"workers", true, NULL}};
    int operands, e = cli_parse(&command_serve, argc, argv, options, ARRAY_LEN(options), 0, &operands);
    uint64_t workers = 0;

    if (e)
        return e < 0 ? EXIT_OK : e;
    if (options[2].value && (!str_to_u64(str_from_c(options[2].value), MAX_LOOPS, &workers) || !workers)) {
        (void)fprintf(stderr, "crossdock serve: --workers takes a number from 1 to %d, not '%s'\n", MAX_LOOPS,
                      options[2].value);
        return EXIT_USAGE;
    }
    return serve(options[0].value ? options[0].value : "crossdock.yaml", options[1].value, (unsigned)workers);
}

const struct command command_serve = {
    .name = "serve",
    .summary = "serve the gateway",
    .help = "Usage: crossdock serve [--config FILE] [--listen ADDR] [--workers N]\n\n"
            "Serves until SIGTERM or SIGINT, then lets requests under way finish. SIGHUP, or a change of one of its "
            "files, installs\n"
            "the new configuration; an invalid one is refused and the old one stays. SIGUSR1 prints all fibers to "
            "stderr.\n\n"
            "  --config FILE   configuration, or a folder of *.yaml (default: crossdock.yaml)\n"
            "  --listen ADDR   listen here instead of where the configuration says: 127.0.0.1:8080, [::1]:8080, "
            "unix:/path\n"
            "  --workers N     event loops (default: the configuration's, else one per processor)\n",
    .run = run,
};
