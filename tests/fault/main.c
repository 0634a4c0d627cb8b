/*
 * main.c - sweeps over every fault scenario, reported in TAP: one line per scenario.
 *
 * A scenario stops at its first failing run; the report says how to repeat that one.
 */
#include "fault/fault.h"
#include "sim/scenarios.h"
#include "unit/census.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { NTH_MAX = 100000 };

static struct {
    unsigned step, nth; /* nth 0: all */
    const char *sweep;  /* part of its name; NULL: all */
    bool verbose;
} options = {.step = 1};

static struct {
    const struct scenario *scenario;
    struct sweep sweep;
    unsigned nth;
} running; /* for the signal handlers */

/* ---- crashes and hangs ---- */

/* Not async-signal-safe, which is good enough for a test that has failed: at worst these words are missing. */
static void say_where(void)
{
    char text[400];

    if (!running.scenario)
        return;
    int n = snprintf(text, sizeof text,
                     "\nBail out! died; repeat with: make fault T='--sweep \"%s\" --nth %u --verbose %s'\n",
                     running.sweep.name, running.nth, running.scenario->name);
    if (n > 0 && write(STDOUT_FILENO, text, (size_t)n) < 0)
        _exit(127);
}

/* ---- running ---- */

static bool run_nth(const struct scenario *s, const struct sweep *sweep, unsigned nth, struct verdict *v)
{
    running.scenario = s;
    running.sweep = *sweep;
    running.nth = nth;
    alarm(SCENARIO_HANG_SECONDS);
    bool struck = sweep_run(s, sweep, nth, options.verbose, v);
    alarm(0);
    running.scenario = NULL;
    return struck;
}

/* Sweep one way of breaking; false if a run failed, which is then at *ret_nth. Else *ret_nth runs had their fault. */
static bool run_sweep(const struct scenario *s, const struct sweep *sweep, unsigned *ret_nth, struct verdict *v)
{
    unsigned runs = 0;

    for (unsigned nth = options.nth ? options.nth : 1; nth < NTH_MAX; nth += options.step) {
        bool struck = run_nth(s, sweep, nth, v);
        *ret_nth = nth;
        if (v->failed)
            return false;
        if (!struck)
            break;
        runs++;
        if (options.nth)
            break;
    }
    *ret_nth = runs;
    return true;
}

static bool run_scenario(const struct scenario *s, unsigned number)
{
    struct verdict v;
    unsigned nth, total = 0;
    char text[1000] = "";
    size_t used = 0;

    for (unsigned i = 0; i < sweep_count(); i++) {
        struct sweep sweep = sweep_at(i);
        if ((options.sweep && !strstr(sweep.name, options.sweep)) || (s->only && !strstr(sweep.name, s->only)))
            continue;
        if (!run_sweep(s, &sweep, &nth, &v)) {
            printf("not ok %u - %s\n# %s, occasion %u: %s\n# repeat with: make fault T='--sweep \"%s\" --nth %u "
                   "--verbose %s'\n",
                   number, s->name, sweep.name, nth, v.failure, sweep.name, nth, s->name);
            fflush(stdout);
            return false;
        }
        total += nth;
        if (nth > 0 && used < sizeof text)
            used += (size_t)snprintf(text + used, sizeof text - used, "; %s %u", sweep.name, nth);
    }
    printf("ok %u - %s\n# %u runs with a fault%s\n", number, s->name, total, text);
    fflush(stdout);
    return true;
}

/* ---- the command line ---- */

static unsigned parse_number(const char *option, const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (end == text || *end || value == 0 || value > NTH_MAX) {
        fprintf(stderr, "--%s needs a number from 1 up, not '%s'\n", option, text);
        exit(2);
    }
    return (unsigned)value;
}

static void usage(const char *program)
{
    printf("usage: %s [options] [part of a scenario's name or file]...\n"
           "  --list         names of the scenarios, and nothing else\n"
           "  --step N       take only every N-th occasion (1)\n"
           "  --sweep NAME   only ways to break that have this in their name: read, cancel, disk, ...\n"
           "  --nth N        only the N-th occasion\n"
           "  --verbose      what happens in each world\n"
           "  --seed N       has no effect here: what is broken is enumerated, not drawn\n",
           program);
}

static bool parse_options(int argc, char **argv, bool *ret_list, int *ret_status)
{
    static const struct option long_options[] = {
        {"list", no_argument, NULL, 'l'},        {"step", required_argument, NULL, 't'},
        {"sweep", required_argument, NULL, 'w'}, {"nth", required_argument, NULL, 'n'},
        {"seed", required_argument, NULL, 's'},  {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0},
    };
    int c;

    *ret_status = 0;
    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (c == 'l')
            *ret_list = true;
        else if (c == 't')
            options.step = parse_number("step", optarg);
        else if (c == 'w')
            options.sweep = optarg;
        else if (c == 'n')
            options.nth = parse_number("nth", optarg);
        else if (c == 'v')
            options.verbose = true;
        else if (c != 's') {
            *ret_status = c == 'h' ? 0 : 2;
            if (c == 'h')
                usage(argv[0]);
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    bool list = false;
    unsigned failed = 0;
    int status;

    if (!parse_options(argc, argv, &list, &status))
        return status;
    unsigned n = scenarios_choose(NULL, argv + optind, argc - optind);
    if (list)
        return scenarios_list();
    printf("TAP version 13\n1..%u\n", n);
    scenarios_catch_deaths(say_where);
    const char *census = census_begin();
    for (unsigned i = 0; i < n; i++)
        failed += !run_scenario(scenario_chosen(i), i + 1);
    if (n == 0)
        fprintf(stderr, "no scenario has such a name\n");
    return census_end(census, failed || n == 0);
}
