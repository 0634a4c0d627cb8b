/* house_http2.c - as house.c. */
#include "sim/house_http2.c" /* NOLINT(bugprone-suspicious-include) */
