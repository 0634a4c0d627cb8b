/*
 * scenarios.h - a program that runs scenarios: its options, which of them in which order, and its last words when one crashes or hangs.
 *
 * For the main.c of tests/sim and of tests/fault. SCENARIO() (sim/world.h) registers before main().
 */
#ifndef SIM_SCENARIOS_H
#define SIM_SCENARIOS_H

#include "sim/world.h"

/* Watch one world, until it is told to stop: it hangs, and the program dies with its last words, after a minute of processor time, which a busy
 * machine does not shorten, or after ten of real time. */
void scenario_watch(void);
void scenario_unwatch(void);

/* An option of such a program besides --list and --help. */
struct scenario_option {
    const char *name, *value; /* "--name VALUE"; value NULL: "--name" alone */
    const char *help;
    void (*take)(const char *name, const char *text);
};

/* A program that runs scenarios. */
struct scenario_program {
    const struct scenario_option *options;
    size_t option_count;
    const char *const
        *exact; /* NULL, or where an option puts the whole name of the scenario to run: NULL there chooses by filters */
    /* Say what runs, below the plan; may be NULL. */
    void (*announce)(void);
    /* Run one and report it as a line of TAP; false if it failed. */
    bool (*run)(const struct scenario *s, unsigned number);
    /* On an abort, a hang, and a death by a sanitizer. Must be good enough for a signal handler. */
    void (*say_where)(void);
};

/*
 * The main() of such a program: takes its options, chooses scenarios by the filters behind them (parts of a name or file; none: all), and runs
 * them in the order of file and line, as that of constructors is the linker's affair. Returns the exit status.
 */
int scenarios_main(int argc, char **argv, const struct scenario_program *program);
/* The number that an option has; ends the program with words if it is none, or over `max`. 0 only if `zero`. */
uint64_t scenario_number(const char *option, const char *text, bool zero, uint64_t max);

#endif
