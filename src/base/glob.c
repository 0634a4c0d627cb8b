/*
 * glob.c - matching by one remembered star: when what follows the last star does not fit here, the star takes one byte more and the rest is tried again. An
 * earlier star need never be tried again, because what stood between the two has matched already.
 */
#include "base/glob.h"

bool glob_is_pattern(struct str pattern)
{
    return str_find_char(pattern, '*') < pattern.n || str_find_char(pattern, '?') < pattern.n;
}

static bool fits(char of_pattern, char of_name)
{
    return of_pattern == of_name || (of_pattern == '?' && of_name != '/');
}

bool glob_match(struct str pattern, struct str name)
{
    size_t p = 0, n = 0, star = SIZE_MAX, taken = 0;

    while (n < name.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            taken = n;
        } else if (p < pattern.n && fits(pattern.p[p], name.p[n])) {
            p++;
            n++;
        } else if (star != SIZE_MAX && name.p[taken] != '/') {
            p = star + 1;
            n = ++taken;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}
