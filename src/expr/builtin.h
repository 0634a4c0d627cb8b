/*
 * builtin.h - the built-in functions: one row each.
 *
 * A row is one of three: a function in C with its signature, a definition in the language itself, or a name for something that the
 * compiler knows (`core`).
 */
#ifndef EXPR_BUILTIN_H
#define EXPR_BUILTIN_H

#include "expr/ast.h"
#include "expr/value.h"

enum { BUILTIN_ARGS_MAX = 3 };

struct expr_run;

/*
 * v[0] is the input, v[1] and so on are the arguments; their kinds are as the signature says. Sets *ret, or fails: run_raise() for
 * what the program may catch, any other error ends the evaluation.
 */
typedef err_t builtin_fn(struct expr_run *run, const struct expr_value *v, struct expr_value *ret);

struct builtin {
    const char *name;
    unsigned arity;
    /*
     * Of a function in C: INPUT(ARG;ARG)RESULT. Kinds are letters: n null, b boolean, # number, s string, a array, o object, `.` any;
     * '!' in front of one: a value of that kind may be refused for what is in it. Results can also be [X], an array of X; {X}, an
     * object with values X; T, the type of the input; I, the type of its elements or member values; E, its entries {key, value};
     * V, the type of `value` in its elements; A, what its elements add up to; K, its keys; U, nobody knows.
     */
    const char *signature;
    builtin_fn *call;
    bool takes_pattern; /* its arguments are a pattern and its flags */
    /* Can it refuse values of these types for more than their kinds? types[0] is the input. NULL: no. */
    bool (*can_refuse)(struct arena *arena, const struct expr_type *const *types);
    /* Of one written in the language: names of its parameters, separated by ';' ($ in front: its value is taken first). */
    const char *parameters, *body;
    /* Of a core construct. */
    enum ast_kind core; /* AST_IDENTITY: it is none */
    uint8_t kinds;      /* of AST_KINDS              */
};

/* NULL if there is none; *ret_nearest (NULL or a row) is then one of another arity, or of a name that is much alike. */
const struct builtin *builtin_find(struct str name, unsigned arity, const struct builtin **ret_nearest);
/* Why jq's function of that name is not here and what to do instead; NULL if there is nothing to say. */
const char *builtin_refused(struct str name);

/* The kinds that a letter of a signature stands for; 0 if it is none. */
uint8_t builtin_kinds_of(char letter);
/* Kinds that a function in C takes as input (0) and as arguments (1 and on), and those of them that it may refuse for what is in them. */
void builtin_kinds(const struct builtin *b, uint8_t ret_kinds[BUILTIN_ARGS_MAX + 1],
                   uint8_t ret_risky[BUILTIN_ARGS_MAX + 1]);

/* --- for functions in C --- */

struct expr_run {
    struct expr_budget budget;
    struct expr_value raised; /* while an error is on its way: its value */
};

/* Raise an error that the program may catch, with a text; returns E_PARSE. */
err_t run_raise(struct expr_run *run, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The same with a value. */
err_t run_raise_value(struct expr_run *run, struct expr_value v);
/* A value for the text of an error, cut short; in the arena. */
struct str run_show(struct expr_run *run, struct expr_value v);

/* --- operators, also used by functions --- */

err_t op_binary(struct expr_run *run, enum binary_op op, struct expr_value x, struct expr_value y,
                struct expr_value *ret) MUST_CHECK;
err_t op_field(struct expr_run *run, struct expr_value v, struct str key, struct expr_value *ret) MUST_CHECK;
err_t op_index(struct expr_run *run, struct expr_value v, struct expr_value at, struct expr_value *ret) MUST_CHECK;
err_t op_slice(struct expr_run *run, struct expr_value v, struct expr_value from, struct expr_value to,
               struct expr_value *ret) MUST_CHECK;
/* As in text: strings as they are, everything else as JSON. */
err_t op_tostring(struct expr_run *run, struct expr_value v, struct str *ret_text) MUST_CHECK;
/* As a format ("@json") writes a value. */
err_t op_format(struct expr_run *run, struct str format, struct expr_value v, struct str *ret_text) MUST_CHECK;
bool format_exists(struct str format);

/* --- the functions, by the file that they are in --- */

/* fn_basic.c */
builtin_fn fn_length, fn_utf8bytelength, fn_not, fn_type, fn_error, fn_error_value, fn_tostring, fn_tonumber, fn_tojson,
    fn_fromjson, fn_toboolean;
/* fn_number.c */
builtin_fn fn_floor, fn_ceil, fn_round, fn_trunc, fn_rint, fn_sqrt, fn_cbrt, fn_fabs, fn_pow, fn_fmod, fn_fmin, fn_fmax,
    fn_log, fn_log2, fn_log10, fn_log1p, fn_exp, fn_exp2, fn_exp10, fn_expm1, fn_sin, fn_cos, fn_tan, fn_asin, fn_acos,
    fn_atan, fn_atan2, fn_sinh, fn_cosh, fn_tanh, fn_asinh, fn_acosh, fn_atanh, fn_hypot, fn_copysign, fn_fdim;
/* fn_format.c: op_format() and its formats */
builtin_fn fn_format;
/* fn_text.c */
builtin_fn fn_startswith, fn_endswith, fn_ltrimstr, fn_rtrimstr, fn_trim, fn_ltrim, fn_rtrim, fn_ascii_downcase,
    fn_ascii_upcase, fn_explode, fn_implode, fn_split, fn_join;
/* fn_match.c */
builtin_fn fn_test, fn_match, fn_match_all, fn_captured, fn_split_at, fn_replace;
/* fn_array.c */
builtin_fn fn_add, fn_keys, fn_keys_unsorted, fn_has, fn_contains, fn_indices, fn_sort, fn_sort_by, fn_group_by,
    fn_unique, fn_unique_by, fn_min, fn_max, fn_min_by, fn_max_by, fn_reverse, fn_flatten, fn_to_entries,
    fn_from_entries, fn_transpose, fn_recurse, fn_bsearch;
/* fn_path.c */
builtin_fn fn_paths, fn_at, fn_setpath, fn_delpaths;
/* fn_date.c */
builtin_fn fn_fromdate, fn_todate, fn_gmtime, fn_mktime, fn_strftime, fn_strptime;

#endif
