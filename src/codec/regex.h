/*
 * regex.h - regular expressions over UTF-8 that take time in proportion to the text. Pure.
 *
 * The syntax is the part of Oniguruma's that such a machine can do: literals, `.`, classes with ranges and POSIX names, \d \w \s \h and
 * their opposites, \b \B, anchors, groups (plain, named, without capture, with flags), alternatives, greedy and lazy repetition. Back
 * references, looking around, possessive repetition and Unicode properties are refused by name. \d, \w, \s, \b, POSIX names and
 * matching without case are about ASCII.
 *
 * REGEX_ECMA reads the same part of ECMA-262's syntax (with flag "u"), as JSON Schema's patterns are written: \p{…} with general
 * categories, \s with Unicode's blanks, `$` only at the very end. What that language has and this machine has not is E_UNSUPPORTED there.
 */
#ifndef CODEC_REGEX_H
#define CODEC_REGEX_H

#include "base/arena.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    REGEX_IGNORE_CASE = 1,
    REGEX_EXTENDED = 2, /* blanks and #comments in the pattern are left out */
    REGEX_DOT_ALL = 4,  /* `.` is also a line end                            */
    REGEX_ECMA = 8,     /* ECMA-262's syntax instead, with its flag "u"; not together with others */
};

enum {
    REGEX_CODE_MAX = 5000, /* instructions, after repetitions are written out */
    REGEX_GROUPS_MAX = 32,
    REGEX_REPEAT_MAX = 1000,
};

struct regex;

/* Compile into the arena. E_PARSE or E_UNSUPPORTED with *ret_why (static text), E_TOO_LARGE. */
err_t regex_compile(struct arena *arena, struct str pattern, unsigned flags, const struct regex **ret_regex,
                    const char **ret_why) MUST_CHECK;
/* Groups with parentheses that capture. */
unsigned regex_groups(const struct regex *r) PURE;
/* Name of a group from 1; STR_NONE: it has none. */
struct str regex_group_name(const struct regex *r, unsigned group);
/* Bytes of working memory that regex_find() needs. */
size_t regex_room(const struct regex *r) PURE;

/*
 * Find the leftmost match that begins at byte `from` or later; of several there, the one that a backtracking matcher finds first.
 *
 * room       regex_room() bytes, aligned for any type
 * not_empty  only a match of at least one character will do
 * ret_spans  from and to of the match and then of each group, SIZE_MAX for one that took no part; NULL: only whether there is one
 * ret_steps  what it cost
 */
bool regex_find(const struct regex *r, struct str text, size_t from, bool not_empty, void *room, size_t *ret_spans,
                uint64_t *ret_steps);

#endif
