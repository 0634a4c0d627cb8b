/* scope_int.h - what fiber.c tells scope.c. Internal to rt/. */
#ifndef RT_SCOPE_INT_H
#define RT_SCOPE_INT_H

#include "rt/scope.h"

/* `f`, which runs and will not run again, has ended with `result`. Its stack may go back to the pool here. */
void scope_child_ended(struct loop *l, struct fiber *f, err_t result);
/* The scope that holds a loop's first fiber. */
void scope_open_root(struct scope *s);

#endif
