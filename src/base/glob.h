/* glob.h - names with wildcards: `*` stands for any bytes, `?` for just one, neither for a '/'. Everything else stands for itself. Pure. */
#ifndef BASE_GLOB_H
#define BASE_GLOB_H

#include "base/str.h"

/* Has `pattern` a wildcard at all? */
bool glob_is_pattern(struct str pattern) PURE;
/* Does the whole of `name` match? Takes at most pattern.n x name.n steps, whatever the pattern. */
bool glob_match(struct str pattern, struct str name) PURE;

#endif
