/*
 * pipelines.h - pipelines in a process of their own, killed at each of their waits in turn.
 *
 * Whatever a pipeline tells the world it tells before it waits or at a wait: so a process that is killed at its first wait, the next one at its second, and so
 * on, is killed at each boundary that there is, and between any two of them.
 */
#ifndef BROKERS_PIPELINES_H
#define BROKERS_PIPELINES_H

#include "brokers/server.h"

#include "cli/pipelines.h"
#include "net/dns.h"
#include "net/http_server.h"
#include "net/iobuf.h"
#include "pipeline/door/doors.h"
#include "pipeline/run/shard.h"
#include "rt/loop.h"
#include "rt/scope.h"
#include "rt/worker.h"
#include "store/journal.h"

#include <stdarg.h>

enum { PIPELINE_ENDED = 0, PIPELINE_FAILED = 1, PIPELINE_KILLED = 2 };

struct pipeline_trial {
    char folder[64];          /* has p.yaml; the journal lies there, too */
    unsigned kill_at;         /* the wait at which it is killed; 0: none  */
    fiber_park_hook *at_wait; /* instead: called at each wait; NULL: none */
    /* Is it done? Asked now and then; NULL: it ends by itself. Runs in a fiber of the pipeline's process. */
    bool (*is_over)(const struct shard_stats *s);
    uint16_t port; /* where sources `http` are asked; 0: nowhere */
    struct journal *journal;
    struct doors *doors;
    struct shard *shard;
    struct shard_stats stats;
};

static unsigned waits_left;

static UNUSED void die_at_wait(struct fiber *f UNUSED)
{
    if (--waits_left == 0)
        (void)kill(getpid(), SIGKILL);
}

static UNUSED err_t trial_shard(void *arg)
{
    return shard_run(((struct pipeline_trial *)arg)->shard);
}

static UNUSED err_t trial_watch(void *arg)
{
    struct pipeline_trial *t = arg;

    do {
        TRY(fiber_sleep_until(ns_add(rt_now(), 5 * NS_MS)));
        shard_stats(t->shard, &t->stats);
    } while (!t->is_over || !t->is_over(&t->stats));
    return OK;
}

static SUSPENDS err_t trial_request(struct http_request *r, void *trial)
{
    const struct http_reply none = {.status = 404};
    bool is_served = false;

    TRY(doors_serve(((struct pipeline_trial *)trial)->doors, NULL, r, &is_served));
    return is_served ? OK : http_reply_whole(r, &none, STR_NONE);
}

static UNUSED err_t trial_listen(void *arg)
{
    const struct pipeline_trial *t = arg;
    const struct http_server_options o = {
        .limits = http_limits_default(), .handler = trial_request, .ctx = arg, .server_name = "trial"};
    struct http_server *server = http_server_new(&o);
    struct addr at, bound;

    err_t e = addr_from_ip(STR("127.0.0.1"), t->port, &at) ? OK : fail(E_CONFIG, "no such address");
    if (e == OK)
        e = http_server_listen(server, &at, LISTEN_JOIN, NULL, &bound);
    if (e == OK)
        e = http_server_run(server);
    http_server_free(server);
    return e;
}

static UNUSED err_t trial_main(void *arg)
{
    struct pipeline_trial *t = arg;
    err_t first = OK;

    if (t->kill_at) {
        waits_left = t->kill_at;
        fiber_set_park_hook(die_at_wait);
    } else if (t->at_wait) {
        fiber_set_park_hook(t->at_wait);
    }
    {
        SCOPE(both, ns_add(rt_now(), 60 * NS_SEC));
        (void)scope_spawn(&both, "shard", trial_shard, t);
        (void)scope_spawn(&both, "watch", trial_watch, t);
        if (t->port)
            (void)scope_spawn(&both, "http", trial_listen, t);
        TRY(scope_wait_any(&both, NS_NEVER, &first));
    }
    fiber_set_park_hook(NULL);
    dns_drain();
    iobuf_drain();
    return first;
}

static UNUSED err_t trial_process(struct pipeline_trial *t)
{
    char path[80], journal_path[80];
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct problems problems = {.arena = &arena};
    struct pipeline_set *set;
    struct journal *journal;

    (void)snprintf(path, sizeof path, "%s/p.yaml", t->folder);
    (void)snprintf(journal_path, sizeof journal_path, "%s/journal.db", t->folder);
    err_t e = load_pipelines(path, &problems, &set, NULL);
    problems_print(&problems, &text);
    (void)fprintf(stderr, "%.*s", STR_ARG(buf_str(&text)));
    TRY(e);
    workers_start(2);
    /* Hardly a trace is kept: what comes again must be known by something that lasts longer. */
    bool forgets = set->items[0]->journal == PIPELINE_JOURNAL_NONE;
    TRY(journal_open(&(struct journal_options){.kind = forgets ? "memory" : "sqlite",
                                               .path = journal_path,
                                               .traces_max = 1,
                                               .trace_age = NS_NEVER,
                                               .dead_age = NS_NEVER},
                     &journal));
    t->journal = journal;
    t->doors = t->port ? doors_new() : NULL;
    t->shard = shard_new(&(struct shard_options){.spec = set->items[0], .journal = journal, .doors = t->doors});
    e = loop_run(&(struct loop_options){0}, trial_main, t);
    shard_stats(t->shard, &t->stats);
    shard_free(t->shard);
    doors_free(t->doors);
    journal_close(journal);
    workers_stop();
    pipeline_set_free(set);
    return e;
}

/* Run it in a process of its own: how that ended. */
static UNUSED int pipeline_try(struct pipeline_trial *t)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        err_t e = trial_process(t);
        if (e != OK)
            (void)fprintf(stderr, "the pipeline ended: %s\n", err_detail(e));
        _exit(e == OK ? PIPELINE_ENDED : PIPELINE_FAILED);
    }
    (void)waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? PIPELINE_KILLED : WEXITSTATUS(status);
}

/*
 * Kill it at its first wait, then at its second, and so on, until it gets to its end. Returns how often. Behind the first hundred only every 29th is
 * taken: those are the many waits of taking up what lies in the journal, which all look the same.
 */
static UNUSED unsigned pipeline_kill_everywhere(struct pipeline_trial *t)
{
    enum { KILLS_MAX = 5000, DENSE = 100, STRIDE = 29 };
    unsigned kills = 0;

    for (t->kill_at = 1; kills < KILLS_MAX; t->kill_at += t->kill_at < DENSE ? 1 : STRIDE) {
        int end = pipeline_try(t);
        if (end == PIPELINE_ENDED)
            return kills;
        if (end == PIPELINE_FAILED) {
            test_fail_(__FILE__, __LINE__, "the pipeline failed after %u kills", kills);
            return kills;
        }
        kills++;
    }
    test_fail_(__FILE__, __LINE__, "the pipeline never ended");
    return kills;
}

static UNUSED void write_file(const char *folder, const char *name, const char *text)
{
    char path[80];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    if (!f || fputs(text, f) < 0 || fclose(f))
        die("cannot write %s", path);
}

/* Lines {"n":1} to {"n":count}. */
static UNUSED void write_numbers(const char *folder, const char *name, unsigned count)
{
    char path[80];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    for (unsigned i = 1; f && i <= count; i++)
        (void)fprintf(f, "{\"n\":%u}\n", i);
    if (!f || fclose(f))
        die("cannot write %s", path);
}

/* Numbers of the lines of a file, {"n":…} each, at most `max`. */
static UNUSED size_t read_numbers(const char *folder, const char *name, unsigned *ret, size_t max)
{
    char path[80];
    size_t n = 0;

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "r");
    while (f && n < max && fscanf(f, " {\"n\":%u}", &ret[n]) == 1)
        n++;
    if (f)
        (void)fclose(f);
    return n;
}

/* ---- the trial of the test that runs ---- */

static UNUSED struct pipeline_trial trial;
static UNUSED size_t lines_wanted; /* of out.ndjson */

static UNUSED void begin_trial(void)
{
    trial = (struct pipeline_trial){.folder = "/tmp/crossdock-trial-XXXXXX"};
    if (!mkdtemp(trial.folder))
        die("no folder");
}

static UNUSED void remove_trial(void)
{
    (void)nftw(trial.folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static UNUSED size_t count_lines(void)
{
    static unsigned numbers[4096];

    return read_numbers(trial.folder, "out.ndjson", numbers, ARRAY_LEN(numbers));
}

static UNUSED bool has_lines(const struct shard_stats *s UNUSED)
{
    return count_lines() >= lines_wanted;
}

static UNUSED void run_until_lines(size_t n)
{
    lines_wanted = n;
    trial.is_over = has_lines;
    CHECK_EQ(pipeline_try(&trial), PIPELINE_ENDED);
}

/* Written by a process of the pipeline's that runs meanwhile. */
static UNUSED void wait_for_lines(size_t n)
{
    for (unsigned tries = 0; count_lines() < n; tries++) {
        CHECK_LT(tries, 3000);
        (void)poll(NULL, 0, 5);
    }
}

/* 1 to `want`, each once, in their order. */
static UNUSED void check_lines(size_t want)
{
    static unsigned numbers[4096];

    CHECK_EQ(read_numbers(trial.folder, "out.ndjson", numbers, ARRAY_LEN(numbers)), want);
    for (size_t i = 0; i < want; i++)
        CHECK_EQ(numbers[i], i + 1);
}

#endif
