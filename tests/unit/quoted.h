/* quoted.h - JSON in C without backslashes: a text with ' for "; and what the simulator signs, to put into it. */
#ifndef UNIT_QUOTED_H
#define UNIT_QUOTED_H

#include "base/arena.h"
#include "sim/signature.h"

/* A copy of `text` in the arena, NUL-terminated, in which every ' is a " and every %s is `insert`. */
static inline struct str quoted(struct arena *a, const char *text, struct str insert)
{
    struct str rest = str_from_c(text), made = STR("");

    for (size_t at; (at = str_find(rest, STR("%s"))) < rest.n; rest = str_slice(rest, at + 2, rest.n))
        made = arena_join(a, arena_join(a, made, str_slice(rest, 0, at)), insert);
    made = arena_str(a, arena_join(a, made, rest));
    char *p = (char *)(uintptr_t)made.p;
    for (size_t i = 0; i < made.n; i++)
        p[i] = p[i] == '\'' ? '"' : p[i];
    return made;
}

/* A signature of `about` as a model of this family makes it. In the arena. */
static inline struct str signed_by(struct arena *a, const char *family, const char *about)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(256);

    sim_sign(str_from_c(family), 7, str_from_c(about), &b);
    return arena_str(a, buf_str(&b));
}

#endif
