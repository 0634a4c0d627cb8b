/*
 * program.h - a compiled expression.
 *
 * Registers hold values. Those from the front are set before the first instruction: the input, the named inputs, the constants. Every
 * other is written by one place of the code. There is no stack: a generator is a loop with the code of whatever consumes it inside, and
 * where that code is needed twice it is a routine that returns through a register of its own. So an error or a `break` is a jump.
 */
#ifndef EXPR_PROGRAM_H
#define EXPR_PROGRAM_H

#include "expr/builtin.h"

/*
 * OPCODE(name, a, b, c): what the operands are: R a register, L a place in the code, X a number, - unused.
 */
#define OPCODES(OPCODE)                                                                                                \
    OPCODE(RETURN, R, X, X)   /* the result is a                                          */                           \
    OPCODE(MOVE, R, R, X)     /* a = b                                                    */                           \
    OPCODE(JUMP, L, X, X)     /* go on at a                                               */                           \
    OPCODE(IF_TRUE, R, L, X)  /* if a is true, go on at b                                 */                           \
    OPCODE(IF_FALSE, R, L, X) /* if it is not                                             */                           \
    OPCODE(IF_KIND, R, L, X)  /* if a is of a kind in c                                   */                           \
    OPCODE(TRUTH, R, R, X)    /* a = is b true                                            */                           \
    OPCODE(FIELD, R, R, X)    /* a = b.names[c]                                           */                           \
    OPCODE(RECORD, R, R, X)   /* the same, of a record: by its place                      */                           \
    OPCODE(INDEX, R, R, R)    /* a = b[c]                                                 */                           \
    OPCODE(SLICE, R, R, R)    /* a = b[c : next a]                                        */                           \
    OPCODE(EACH, R, R, X)     /* a loop over b; its place in a and the register behind     */                          \
    OPCODE(NEXT, R, R, L)     /* b = next of a, its key in the register behind; at the end c */                        \
    OPCODE(RANGE, R, R, R)    /* a loop from b to c by next a; in a and two registers behind */                        \
    OPCODE(COUNT, R, R, L)    /* b = next of a; at the end c                              */                           \
    OPCODE(ARRAY, R, X, X)    /* a = []                                                   */                           \
    OPCODE(APPEND, R, R, X)   /* a, which only this code holds, gets b                    */                           \
    OPCODE(PUSH, R, R, R)     /* a = b + [c]                                              */                           \
    OPCODE(OBJECT, R, X, X)   /* a = {}                                                   */                           \
    OPCODE(PUT, R, R, R)      /* a, which only this code holds, gets b: c                 */                           \
    OPCODE(NEGATE, R, R, X)   /* a = -b                                                   */                           \
    OPCODE(ADD, R, R, R)      /* these in the order of enum binary_op                      */                          \
    OPCODE(SUBTRACT, R, R, R)                                                                                          \
    OPCODE(MULTIPLY, R, R, R)                                                                                          \
    OPCODE(DIVIDE, R, R, R)                                                                                            \
    OPCODE(MODULO, R, R, R)                                                                                            \
    OPCODE(EQ, R, R, R)                                                                                                \
    OPCODE(NE, R, R, R)                                                                                                \
    OPCODE(LT, R, R, R)                                                                                                \
    OPCODE(LE, R, R, R)                                                                                                \
    OPCODE(GT, R, R, R)                                                                                                \
    OPCODE(GE, R, R, R)                                                                                                \
    OPCODE(TEXT, R, R, R)    /* a = a + text of b in format c                             */                           \
    OPCODE(GETPATH, R, R, R) /* a = value of b at path c                                  */                           \
    OPCODE(CALL, R, R, X)    /* a = calls[c](b; next a, b, c)                             */                           \
    OPCODE(MORE, R, R, R)    /* operands of the instruction before                        */                           \
    OPCODE(ROUTINE, R, L, X) /* go on at b, and come back behind this                     */                           \
    OPCODE(BACK, R, X, X)    /* come back from a routine                                  */                           \
    OPCODE(CATCH, R, X, X)   /* a = the error that led here                               */

enum opcode {
#define OPCODE_NAME(name, a, b, c) CODE_##name,
    OPCODES(OPCODE_NAME)
#undef OPCODE_NAME
};

struct instruction {
    uint16_t code; /* enum opcode */
    uint16_t a, b, c;
};

struct name_use {
    struct str name;
    uint32_t field; /* place in the record */
};

struct call_use {
    const struct builtin *builtin;
    uint8_t kinds[BUILTIN_ARGS_MAX + 1];
};

enum {
    REGISTER_INPUT = 0,
    REGISTERS_MAX = 30000,
    CODE_MAX = 60000,
    NO_HANDLER = 0xffff,
};

struct expr {
    struct str text;
    const struct instruction *code;
    const uint16_t *handlers; /* per instruction: where its errors go, or NO_HANDLER */
    const uint32_t *places;   /* per instruction: byte of the text that it is about  */
    uint32_t count;
    const struct expr_value *constants;
    uint32_t constant_count, named_count, register_count;
    const struct name_use *names;
    const struct call_use *calls;
    const struct expr_type *type;
    const struct str *reads;
    size_t read_count;
    const struct expr_write *writes;
    size_t write_count;
};

/* Code for a tree that has its types. *to has text, type and reads already. */
err_t expr_generate(struct parse_shared *shared, const struct ast *root, struct expr *to) MUST_CHECK;

#endif
