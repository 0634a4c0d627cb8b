/*
 * origin.h - where in an input a value comes from, as a path: what read and write sets are made of.
 */
#ifndef EXPR_ORIGIN_H
#define EXPR_ORIGIN_H

#include "expr/ast.h"

enum {
    ORIGIN_DEPTH_MAX = 16,  /* steps; what is deeper is told as what it is in          */
    ORIGIN_LOG_MAX = 16384, /* looks that are remembered; a program with more reads everything */
};

/* An input itself: ".", "$name". */
struct origin *origin_of_input(struct arena *arena, struct str name);
/* A step into it; `from` itself if that is NULL or deep already. */
const struct origin *origin_step(struct arena *arena, const struct origin *from, struct str step);
/* The step for a member: ".name" or ["a name"]. */
struct str origin_member(struct arena *arena, struct str name);
/* As written in a program, in the arena. */
struct str origin_path(struct arena *arena, const struct origin *origin);
/* Sort paths in place, and leave out what is there twice or below another. Returns how many are left. */
size_t origin_settle(struct str *paths, size_t n);

#endif
