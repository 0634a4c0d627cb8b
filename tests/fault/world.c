/* world.c - the framework of tests/sim, as a part of this program: the two are linked from their own folders only. */
#include "sim/world.c" /* NOLINT(bugprone-suspicious-include) */
