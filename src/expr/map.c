/*
 * map.c - a mapping from the bytes of a document to the bytes of the result, in one call.
 *
 * The document becomes a flat tree over its own bytes in one pass, values of it are references into that, and what nobody computed on is
 * copied to the result as it was written. Leaving out what the program does not read would save little: it has to be checked anyway, as
 * it may stand in a part that goes through.
 */
#include "expr/expr.h"

err_t expr_map(const struct expr *expr, struct arena *arena, struct str text, const struct expr_value *named,
               const struct expr_limits *limits, struct buf *b)
{
    const struct json_tree *tree;
    struct expr_value result;
    size_t before = b->n;

    TRY(json_tree_parse(arena, text, &tree));
    TRY(expr_eval(expr, arena, &(struct expr_input){expr_json(json_tree_root(tree)), named}, limits, &result));
    err_t e = expr_value_print(result, b);
    if (e)
        b->n = before;
    return e;
}
