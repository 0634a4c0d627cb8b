/*
 * fn_number.c - mathematics. A result that is no finite number is an error, as everywhere in the language.
 */
#include "expr/builtin.h"

#include <math.h>

static err_t computed(struct expr_run *run, double number, struct expr_value *ret)
{
    if (!isfinite(number))
        return run_raise(run, "the result is no number");
    *ret = expr_number(number);
    return OK;
}

/* Of the input. */
#define OF_ONE(name)                                                                                                   \
    err_t fn_##name(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)                          \
    {                                                                                                                  \
        return computed(run, name(value_number(v[0])), ret);                                                           \
    }

/* Of two arguments. */
#define OF_TWO(name)                                                                                                   \
    err_t fn_##name(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)                          \
    {                                                                                                                  \
        return computed(run, name(value_number(v[1]), value_number(v[2])), ret);                                       \
    }

OF_ONE(floor)
OF_ONE(ceil)
OF_ONE(round)
OF_ONE(trunc)
OF_ONE(rint)
OF_ONE(fabs)
OF_ONE(sqrt)
OF_ONE(cbrt)
OF_ONE(log)
OF_ONE(log2)
OF_ONE(log10)
OF_ONE(log1p)
OF_ONE(exp)
OF_ONE(exp2)
OF_ONE(exp10)
OF_ONE(expm1)
OF_ONE(sin)
OF_ONE(cos)
OF_ONE(tan)
OF_ONE(asin)
OF_ONE(acos)
OF_ONE(atan)
OF_ONE(sinh)
OF_ONE(cosh)
OF_ONE(tanh)
OF_ONE(asinh)
OF_ONE(acosh)
OF_ONE(atanh)

OF_TWO(pow)
OF_TWO(fmod)
OF_TWO(fmin)
OF_TWO(fmax)
OF_TWO(atan2)
OF_TWO(hypot)
OF_TWO(copysign)
OF_TWO(fdim)
