/*
 * ast.h - a program as a tree, in the arena of its compilation.
 *
 * Names are resolved while it is built: a variable points to its binding, a call to its built-in. A built-in that is written in the
 * language itself is put in place of its call, with its arguments in place of its parameters, so that later stages know only what is
 * in enum ast_kind. Nodes that came so have the place of the call.
 */
#ifndef EXPR_AST_H
#define EXPR_AST_H

#include "expr/expr.h"

enum ast_kind {
    AST_IDENTITY,
    AST_LITERAL, /* value                                                                       */
    AST_FIELD,   /* kid[0] . text                                                               */
    AST_INDEX,   /* kid[0] [ kid[1] ]                                                           */
    AST_SLICE,   /* kid[0] [ kid[1] : kid[2] ], either may be missing                           */
    AST_EACH,    /* kid[0] []                                                                   */
    AST_TEXT,    /* pieces of text, kid[0] and its next: literals and expressions; format       */
    AST_ARRAY,   /* [ kid[0] ]; NULL: empty                                                     */
    AST_OBJECT,  /* kid[0] and its next: AST_ENTRY                                              */
    AST_ENTRY,   /* kid[0] : kid[1]                                                             */
    AST_NEGATE,  /* - kid[0]                                                                    */
    AST_BINARY,  /* kid[0] op kid[1]                                                            */
    AST_AND,     /* kid[0] and kid[1]                                                           */
    AST_OR,      /* kid[0] or kid[1]                                                            */
    AST_ALT,     /* kid[0] // kid[1]                                                            */
    AST_PIPE,    /* kid[0] | kid[1]                                                             */
    AST_COMMA,   /* kid[0] , kid[1]                                                             */
    AST_IF,      /* if kid[0] then kid[1] else kid[2] end                                       */
    AST_TRY,     /* try kid[0] catch kid[1]; NULL: empty                                        */
    AST_AS,      /* kid[0] as $binding | kid[1]                                                 */
    AST_REDUCE,  /* reduce kid[0] as $binding (kid[1]; kid[2])                                  */
    AST_FOREACH, /* foreach kid[0] as $binding (kid[1]; kid[2]; kid[3]); NULL: .                */
    AST_VAR,     /* $binding                                                                    */
    AST_NAMED,   /* an input of the environment, by index                                       */
    AST_LABEL,   /* label $binding | kid[0]                                                     */
    AST_BREAK,   /* break $binding                                                              */
    AST_FIRST,   /* first(kid[0])                                                               */
    AST_RANGE,   /* range(kid[0]; kid[1]; kid[2])                                               */
    AST_KINDS,   /* select(type …): the input if its kind is among `kinds`                      */
    AST_EMPTY,
    AST_PATH,    /* path(kid[0])                                                                */
    AST_GETPATH, /* getpath(kid[0]); apart from calls because it is a path                      */
    AST_CALL,    /* builtin(kid[0] and its next)                                                */
};

enum binary_op { OP_ADD, OP_SUBTRACT, OP_MULTIPLY, OP_DIVIDE, OP_MODULO, OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE };

enum { AST_KIDS = 4 };

struct builtin;

/* Where the value of a flow comes from, when it is a part of an input: for the read set. */
struct origin {
    const struct origin *base; /* NULL: an input itself                        */
    struct str step;           /* as written: ".model", "[]", "$limits"        */
    uint32_t depth;
};

/* A variable or a label. */
struct binding {
    struct str name;
    const struct binding *outer; /* the scope around it                        */
    struct binding *copy;        /* while a tree is copied: its counterpart    */
    bool is_label;
    /* inference */
    const struct expr_type *type;
    const struct origin *origin;
    /* code */
    uint16_t place; /* register of its value; of a label: label of what is behind it */
};

struct ast {
    enum ast_kind kind;
    enum binary_op op;
    bool is_piece;    /* LITERAL: of a string's own text, not put into it */
    bool is_optional; /* FIELD, INDEX, SLICE, EACH followed by `?`: what fails in this step itself yields nothing */
    uint8_t kinds;
    uint32_t from, to; /* bytes of the program's text */
    uint32_t depth;    /* 1 + that of the deepest kid */
    uint32_t index;
    struct ast *kid[AST_KIDS];
    struct ast *next;
    struct str text;
    struct expr_value value;
    struct binding *binding;
    const struct builtin *builtin;
    /* inference: what it yields */
    const struct expr_type *type;
    const struct origin *origin; /* where its value comes from; NULL: it is computed */
    uint32_t log_from, log_to;   /* what was looked at in it: of the log of inference */
    bool may_be_none, may_be_many;
};

/* State that parsers of one program share. */
struct parse_shared {
    struct arena *arena;
    struct str text; /* of the whole program */
    const struct expr_env *env;
    struct expr_problem *problem;
    uint32_t nodes;
};

/*
 * Parse the text of a program. *ret_root is in the arena and borrows `shared->text`.
 * Errors: E_PARSE with *shared->problem, E_TOO_LARGE.
 */
err_t expr_parse(struct parse_shared *shared, struct ast **ret_root) MUST_CHECK;

/* Note a problem about bytes [from, to) and fail with E_PARSE. */
err_t expr_refuse(const struct parse_shared *shared, size_t from, size_t to, const char *fmt, ...) PRINTF_LIKE(4, 5);

#endif
