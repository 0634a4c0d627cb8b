/*
 * main.c - runs scenarios over many seeds and reports them in TAP: one line per scenario.
 *
 * A scenario stops at its first failing seed. The report says how to repeat that one world, and, so that a scenario which tests
 * nothing is noticed, what its clients ended with and which faults were really injected.
 */
#include "base/time.h"
#include "sim/scenarios.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { RUN_TWICE = 3 }; /* worlds at the start of a run whose fingerprints are compared */

static struct {
    uint64_t seed, rounds;
    const char *scenario; /* exact name; NULL: by filters */
    bool verbose;
} options = {.seed = 1, .rounds = 200};

static struct {
    const struct scenario *scenario;
    uint64_t seed;
} running; /* for the signal handlers */

/* ---- crashes and hangs ---- */

static void say(const char *text)
{
    if (write(STDOUT_FILENO, text, strlen(text)) < 0)
        _exit(127);
}

static void say_number(uint64_t n)
{
    char digits[21] = {0};
    size_t at = sizeof digits - 1;

    do
        digits[--at] = (char)('0' + n % 10);
    while (n /= 10);
    say(digits + at);
}

/* Which world it was. Only async-signal-safe calls. */
static void say_where(void)
{
    if (!running.scenario)
        return;
    say("\nBail out! died in a world; repeat with: make sim SEED=");
    say_number(running.seed);
    say(" T=");
    say(running.scenario->name);
    say("\n");
}

/* ---- running ---- */

struct tally {
    uint64_t worlds, connects;
    uint64_t results[ERR_COUNT], faults[SIM_FAULT_KINDS];
    double virtual_seconds;
};

static void run_world(const struct scenario *s, uint64_t seed, struct verdict *v)
{
    running.scenario = s;
    running.seed = seed;
    scenario_watch();
    world_run(s, seed, options.verbose, v);
    scenario_unwatch();
    running.scenario = NULL;
}

static void tally_add(struct tally *t, const struct verdict *v)
{
    t->worlds++;
    t->connects += v->census.connects;
    t->virtual_seconds += (double)v->lasted / 1e9;
    for (unsigned i = 0; i < ERR_COUNT; i++)
        t->results[i] += v->results[i];
    for (unsigned i = 0; i < SIM_FAULT_KINDS; i++)
        t->faults[i] += v->census.faults_injected[i];
}

static void tally_print(const struct tally *t, double seconds)
{
    printf("# %" PRIu64 " worlds, %.0f s of virtual time in %.2f s, %" PRIu64 " connections;", t->worlds,
           t->virtual_seconds, seconds, t->connects);
    for (unsigned i = 0; i < ERR_COUNT; i++)
        if (t->results[i])
            printf(" %s %" PRIu64, err_name((err_t)i), t->results[i]);
    printf(";");
    for (unsigned i = 0; i < SIM_FAULT_KINDS; i++)
        if (t->faults[i])
            printf(" %s %" PRIu64, sim_fault_name(i), t->faults[i]);
    printf("\n");
}

static double now_seconds(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Run one seed, twice for the first few; false if it failed, with the reason in *v. */
static bool try_seed(const struct scenario *s, uint64_t seed, bool twice, struct verdict *v)
{
    struct verdict again;

    run_world(s, seed, v);
    if (v->failed || !twice)
        return !v->failed;
    run_world(s, seed, &again);
    if (again.census.fingerprint == v->census.fingerprint && !again.failed)
        return true;
    snprintf(v->failure, sizeof v->failure, "two runs of one seed differ: %016" PRIx64 " and %016" PRIx64 " %.200s",
             v->census.fingerprint, again.census.fingerprint, again.failure);
    return false;
}

static bool run_scenario(const struct scenario *s, unsigned number)
{
    struct tally tally = {0};
    struct verdict v;
    double began = now_seconds();
    uint64_t step = s->thin ? s->thin : 1;

    for (uint64_t i = 0; i < options.rounds; i += step) {
        uint64_t seed = options.seed + i;
        if (!try_seed(s, seed, i < RUN_TWICE * step && options.rounds > 1, &v)) {
            printf("not ok %u - %s\n# seed %" PRIu64 ": %s\n# repeat with: make sim SEED=%" PRIu64 " T=%s\n", number,
                   s->name, seed, v.failure, seed, s->name);
            fflush(stdout);
            return false;
        }
        tally_add(&tally, &v);
    }
    printf("ok %u - %s\n", number, s->name);
    tally_print(&tally, now_seconds() - began);
    fflush(stdout);
    return true;
}

/* ---- the command line ---- */

static void take_seed(const char *name, const char *text)
{
    uint64_t value;

    if (strcmp(text, "random") != 0) {
        options.seed = scenario_number(name, text, true, UINT64_MAX);
        return;
    }
    if (getrandom(&value, sizeof value, 0) != (ssize_t)sizeof value)
        die("no random seed from the system");
    options.seed = value >> 32;
}

static void take_rounds(const char *name, const char *text)
{
    options.rounds = scenario_number(name, text, false, UINT64_MAX);
}

static void take_scenario(const char *name, const char *text)
{
    (void)name;
    options.scenario = text;
}

static void take_verbose(const char *name, const char *text)
{
    (void)name;
    (void)text;
    options.verbose = true;
}

static void announce(void)
{
    printf("# seed %" PRIu64 ", %" PRIu64 " worlds per scenario\n", options.seed, options.rounds);
}

int main(int argc, char **argv)
{
    static const struct scenario_option takes[] = {
        {"seed", "N", "seed of the first world (1); 'random' draws one and prints it", take_seed},
        {"seeds", "N", "worlds per scenario (200)", take_rounds},
        {"rounds", "N", "the same", take_rounds},
        {"scenario", "NAME", "this scenario only", take_scenario},
        {"verbose", NULL, "what happens in each world", take_verbose},
    };
    static const struct scenario_program program = {.options = takes,
                                                    .option_count = ARRAY_LEN(takes),
                                                    .exact = &options.scenario,
                                                    .announce = announce,
                                                    .run = run_scenario,
                                                    .say_where = say_where};

    return scenarios_main(argc, argv, &program);
}
