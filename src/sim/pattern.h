/* pattern.h - a text that matches a regular expression, for JSON Schema's "pattern". Pure. */
#ifndef SIM_PATTERN_H
#define SIM_PATTERN_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

struct prng;

/*
 * Append a text that matches `regex` (ECMA 262's common part: literals, classes, groups, alternatives, quantifiers, anchors at
 * the ends). Where the expression leaves a count open, about `stretch` repetitions are taken. False, with nothing appended, if the
 * expression uses anything else (look-around, back references, \b, \p) or is malformed, or the text would not fit.
 */
bool pattern_sample(struct str regex, size_t stretch, struct prng *prng, struct buf *to) MUST_CHECK;

#endif
