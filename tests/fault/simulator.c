/* simulator.c - the provider of tests/sim, as a part of this program: see world.c. */
#include "sim/simulator.c" /* NOLINT(bugprone-suspicious-include) */
