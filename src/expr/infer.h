/* infer.h - the types of a program, checked, and what it reads. */
#ifndef EXPR_INFER_H
#define EXPR_INFER_H

#include "expr/ast.h"

struct infer_result {
    const struct expr_type *type;
    const struct str *reads;
    size_t read_count;
    const struct expr_write *writes;
    size_t write_count;
};

/*
 * Find what each node of the tree yields, and note it there; refuse what cannot work, what can fail and is not handled, and a whole
 * that does not yield exactly one value.
 *
 * Errors: E_PARSE with *shared->problem, E_TOO_LARGE (too complicated).
 */
err_t expr_infer(struct parse_shared *shared, struct ast *root, struct infer_result *ret) MUST_CHECK;
/* The write set of a tree that has its types, into *ret, which has the read set already. `looks`: paths of what inference noted, by the
 * places that its nodes have. In writes.c. */
void expr_find_writes(struct arena *arena, const struct ast *root, const struct str *looks, struct infer_result *ret);

#endif
