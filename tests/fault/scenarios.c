/* scenarios.c - the register of tests/sim, as a part of this program: see world.c. */
#include "sim/scenarios.c" /* NOLINT(bugprone-suspicious-include) */
