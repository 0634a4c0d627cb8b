/*
 * main.c - sweeps over every fault scenario, reported in TAP: one line per scenario.
 *
 * A scenario stops at its first failing run; the report says how to repeat that one.
 */
#include "fault/fault.h"
#include "sim/scenarios.h"

#include <stdio.h>
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
    scenario_watch();
    bool struck = sweep_run(s, sweep, nth, options.verbose, v);
    scenario_unwatch();
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

static void take_step(const char *name, const char *text)
{
    options.step = (unsigned)scenario_number(name, text, false, NTH_MAX);
}

static void take_sweep(const char *name, const char *text)
{
    (void)name;
    options.sweep = text;
}

static void take_nth(const char *name, const char *text)
{
    options.nth = (unsigned)scenario_number(name, text, false, NTH_MAX);
}

static void take_verbose(const char *name, const char *text)
{
    (void)name;
    (void)text;
    options.verbose = true;
}

static void take_nothing(const char *name, const char *text)
{
    (void)name;
    (void)text;
}

int main(int argc, char **argv)
{
    static const struct scenario_option takes[] = {
        {"step", "N", "take only every N-th occasion (1)", take_step},
        {"sweep", "NAME", "only ways to break that have this in their name: read, cancel, disk, ...", take_sweep},
        {"nth", "N", "only the N-th occasion", take_nth},
        {"verbose", NULL, "what happens in each world", take_verbose},
        {"seed", "N", "has no effect here: what is broken is enumerated, not drawn", take_nothing},
    };
    static const struct scenario_program program = {
        .options = takes, .option_count = ARRAY_LEN(takes), .run = run_scenario, .say_where = say_where};

    return scenarios_main(argc, argv, &program);
}
