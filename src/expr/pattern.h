/* pattern.h - a regular expression with its flags, as a value: compiled once, when the program is or when it is first met. */
#ifndef EXPR_PATTERN_H
#define EXPR_PATTERN_H

#include "codec/regex.h"
#include "expr/value.h"

struct expr_pattern {
    struct str text, flags;
    const struct regex *regex;
    bool is_global; /* g */
    bool not_empty; /* n */
};

/* A string that carries its compiled form; *ret_value is in the arena and borrows text and flags. E_PARSE with *ret_why, or E_TOO_LARGE. */
err_t pattern_value(struct arena *arena, struct str text, struct str flags, struct expr_value *ret_value,
                    const char **ret_why) MUST_CHECK;

#endif
