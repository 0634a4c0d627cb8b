/* dialect_house.c - the house of tests/sim, as a part of this program: see world.c. */
#include "sim/dialect_house.c" /* NOLINT(bugprone-suspicious-include) */
