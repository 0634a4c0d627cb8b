/*
 * scenarios.h - which scenarios a program runs, in which order, and its last words when one crashes or hangs.
 *
 * For the main.c of tests/sim and of tests/fault. SCENARIO() (sim/world.h) registers before main().
 */
#ifndef SIM_SCENARIOS_H
#define SIM_SCENARIOS_H

#include "sim/world.h"

enum { SCENARIO_HANG_SECONDS = 60 }; /* of real time, for one world: to be set with alarm() */

/* Choose the scenario `exact`, or, if that is NULL, those with one of `filters` in their name or file, all if there is no filter. Sorted by file
 * and line, as the order of constructors is the linker's affair. Returns how many. */
unsigned scenarios_choose(const char *exact, char **filters, int count);
const struct scenario *scenario_chosen(unsigned index);
/* Print the names of those chosen. Returns the program's exit status. */
int scenarios_list(void);
/* On an abort, a hang, and a death by a sanitizer: `say_where`, which must be good enough for a signal handler, then die. */
void scenarios_catch_deaths(void (*say_where)(void));

#endif
