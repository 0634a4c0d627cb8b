/*
 * eval.c - runs code.
 *
 * One loop over instructions (program.h). Each costs a step, and what looks at many elements costs more (value.h), so that the sum bounds
 * the time. An error is looked up in the table of handlers: it goes on there, or ends the evaluation. Limits are never handled.
 */
#include "expr/program.h"

#include <math.h>

enum {
    REGISTERS_ON_STACK = 48, /* enough for a condition: 768 bytes */
};

const struct expr_limits expr_limits_default = {.steps = 100000, .memory = 1024 * 1024};

struct machine {
    struct expr_run run;
    const struct expr *program;
    struct expr_value *registers;
};

/* --- errors --- */

/* Of a fatal error, or one that nothing handles. */
static err_t report(struct machine *m, err_t e)
{
    struct str text;

    if (e != E_PARSE)
        return e;
    if (m->run.raised.kind == JSON_STRING && value_text(&m->run.budget, m->run.raised, &text) == OK)
        return fail(E_PARSE, "%.*s", STR_ARG(text));
    return fail(E_PARSE, "the expression failed with %.*s", STR_ARG(run_show(&m->run, m->run.raised)));
}

/* --- instructions that are more than a line --- */

static err_t field_of_record(struct machine *m, struct expr_value v, const struct name_use *name,
                             struct expr_value *ret)
{
    struct str key;

    if (v.form != EXPR_HOST)
        return op_field(&m->run, v, name->name, ret);
    v.host->class->at(v.host, name->field, &key, ret);
    return OK;
}

/* loop[0]: what is walked, made ordinary; loop[1]: where. */
static err_t begin_each(struct machine *m, struct expr_value v, struct expr_value *loop)
{
    if (v.kind != JSON_ARRAY && v.kind != JSON_OBJECT)
        return run_raise(&m->run, "Cannot iterate over %.*s", STR_ARG(run_show(&m->run, v)));
    TRY(value_settle(&m->run.budget, &v));
    loop[0] = v;
    loop[1] = (struct expr_value){.form = EXPR_LOOP};
    return OK;
}

/* The next element into to[0], its key into to[1]; false at the end. */
static bool next_each(struct expr_value *loop, struct expr_value *to)
{
    uint32_t at = loop[1].n++;

    if (at >= loop[0].n)
        return false;
    if (loop[0].kind == JSON_ARRAY) {
        to[0] = loop[0].list->at[at];
        to[1] = expr_number(at);
    } else {
        to[0] = loop[0].map->at[at].value;
        to[1] = expr_string(loop[0].map->at[at].key);
    }
    return true;
}

/* loop: next number, end, step. */
static err_t begin_range(struct machine *m, struct expr_value from, struct expr_value to, struct expr_value by,
                         struct expr_value *loop)
{
    if (from.kind != JSON_NUMBER || to.kind != JSON_NUMBER || by.kind != JSON_NUMBER)
        return run_raise(&m->run, "Range bounds must be numeric");
    loop[0] = expr_number(value_number(from));
    loop[1] = expr_number(value_number(to));
    loop[2] = expr_number(value_number(by));
    return OK;
}

static bool next_count(struct expr_value *loop, struct expr_value *to)
{
    double at = loop[0].number, end = loop[1].number, by = loop[2].number;

    if (by > 0 ? at >= end : by < 0 ? at <= end : true)
        return false;
    *to = loop[0];
    loop[0].number = at + by;
    return true;
}

static err_t put(struct machine *m, struct expr_value *object, struct expr_value key, struct expr_value value)
{
    struct str name;

    if (key.kind != JSON_STRING)
        return run_raise(&m->run, "Cannot use %.*s as object key", STR_ARG(run_show(&m->run, key)));
    TRY(value_text(&m->run.budget, key, &name));
    return value_put_fresh(&m->run.budget, object, name, value);
}

static err_t add_text(struct machine *m, struct expr_value *to, struct expr_value v, struct expr_value format)
{
    struct str text, before = str_of(to->text, to->n);
    void *p;

    if (format.kind == JSON_STRING)
        TRY(op_format(&m->run, str_of(format.text, format.n), v, &text));
    else
        TRY(op_tostring(&m->run, v, &text));
    TRY(budget_steps(&m->run.budget, (before.n + text.n) / 16));
    if (text.n > UINT32_MAX - before.n)
        return fail(E_TOO_LARGE, "the expression builds too long a string");
    TRY(budget_take(&m->run.budget, before.n + text.n, &p));
    memcpy(p, before.p, before.n);
    if (text.n)
        memcpy((char *)p + before.n, text.p, text.n);
    *to = expr_string(str_of(p, before.n + text.n));
    return OK;
}

static err_t get_path(struct machine *m, struct expr_value v, struct expr_value path, struct expr_value *ret)
{
    if (path.kind != JSON_ARRAY)
        return run_raise(&m->run, "Path must be specified as an array");
    TRY(value_settle(&m->run.budget, &path));
    for (uint32_t i = 0; i < path.n; i++) {
        if (v.kind == JSON_NULL)
            break;
        TRY(budget_steps(&m->run.budget, 1));
        TRY(op_index(&m->run, v, path.list->at[i], &v));
    }
    *ret = v;
    return OK;
}

static err_t call(struct machine *m, const struct call_use *use, struct expr_value input,
                  const struct instruction *more, struct expr_value *ret)
{
    struct expr_value v[BUILTIN_ARGS_MAX + 1] = {input};
    unsigned arity = use->builtin->arity;

    if (arity > 0)
        v[1] = m->registers[more->a];
    if (arity > 1)
        v[2] = m->registers[more->b];
    if (arity > 2)
        v[3] = m->registers[more->c];
    for (unsigned i = 0; i <= arity; i++)
        if (!(use->kinds[i] & (1 << v[i].kind)))
            return run_raise(&m->run, "%s cannot be used with %.*s", use->builtin->name,
                             STR_ARG(run_show(&m->run, v[i])));
    return use->builtin->call(&m->run, v, ret);
}

static err_t negate(struct machine *m, struct expr_value v, struct expr_value *ret)
{
    if (v.kind != JSON_NUMBER)
        return run_raise(&m->run, "%.*s cannot be negated", STR_ARG(run_show(&m->run, v)));
    *ret = expr_number(-value_number(v));
    return OK;
}

/* --- the loop --- */

/* Instructions that only compute: at[0], with its operands in registers. */
static err_t compute(struct machine *m, const struct instruction *at)
{
    struct expr_value *r = m->registers, *to = &r[at->a];

    switch ((enum opcode)at->code) {
    case CODE_FIELD:
        return op_field(&m->run, r[at->b], m->program->names[at->c].name, to);
    case CODE_RECORD:
        return field_of_record(m, r[at->b], &m->program->names[at->c], to);
    case CODE_INDEX:
        return op_index(&m->run, r[at->b], r[at->c], to);
    case CODE_SLICE:
        return op_slice(&m->run, r[at->b], r[at->c], r[at[1].a], to);
    case CODE_EACH:
        return begin_each(m, r[at->b], to);
    case CODE_RANGE:
        return begin_range(m, r[at->b], r[at->c], r[at[1].a], to);
    case CODE_ARRAY:
        return value_new_array(&m->run.budget, 0, to);
    case CODE_APPEND:
        return value_append(&m->run.budget, to, r[at->b]);
    case CODE_PUSH: {
        struct expr_value longer = r[at->b];
        TRY(value_append(&m->run.budget, &longer, r[at->c]));
        *to = longer;
        return OK;
    }
    case CODE_OBJECT:
        return value_new_object(&m->run.budget, at->b, to);
    case CODE_PUT:
        return put(m, to, r[at->b], r[at->c]);
    case CODE_NEGATE:
        return negate(m, r[at->b], to);
    case CODE_ADD:
    case CODE_SUBTRACT:
    case CODE_MULTIPLY:
    case CODE_DIVIDE:
    case CODE_MODULO:
    case CODE_EQ:
    case CODE_NE:
    case CODE_LT:
    case CODE_LE:
    case CODE_GT:
    case CODE_GE:
        return op_binary(&m->run, (enum binary_op)(at->code - CODE_ADD), r[at->b], r[at->c], to);
    case CODE_TEXT:
        return add_text(m, to, r[at->b], r[at->c]);
    case CODE_GETPATH:
        return get_path(m, r[at->b], r[at->c], to);
    case CODE_CALL:
        return call(m, &m->program->calls[at->c], r[at->b], at + 1, to);
    case CODE_RETURN:
    case CODE_MOVE:
    case CODE_JUMP:
    case CODE_IF_TRUE:
    case CODE_IF_FALSE:
    case CODE_IF_KIND:
    case CODE_TRUTH:
    case CODE_NEXT:
    case CODE_COUNT:
    case CODE_MORE:
    case CODE_ROUTINE:
    case CODE_BACK:
    case CODE_CATCH:
        break;
    }
    die("no such instruction: %d", at->code);
}

/* Instructions that decide what comes next: its place. */
static inline uint32_t step(struct machine *m, const struct instruction *at, uint32_t pc, bool *ret_computes)
{
    struct expr_value *r = m->registers;

    switch ((enum opcode)at->code) {
    case CODE_MOVE:
        r[at->a] = r[at->b];
        return pc + 1;
    case CODE_JUMP:
        return at->a;
    case CODE_IF_TRUE:
        return expr_value_is_true(r[at->a]) ? at->b : pc + 1;
    case CODE_IF_FALSE:
        return expr_value_is_true(r[at->a]) ? pc + 1 : at->b;
    case CODE_IF_KIND:
        return (at->c & (1 << r[at->a].kind)) ? at->b : pc + 1;
    case CODE_TRUTH:
        r[at->a] = expr_bool(expr_value_is_true(r[at->b]));
        return pc + 1;
    case CODE_NEXT:
        return next_each(&r[at->a], &r[at->b]) ? pc + 1 : at->c;
    case CODE_COUNT:
        return next_count(&r[at->a], &r[at->b]) ? pc + 1 : at->c;
    case CODE_MORE:
        return pc + 1;
    case CODE_ROUTINE:
        r[at->a] = (struct expr_value){.form = EXPR_LOOP, .n = pc + 1};
        return at->b;
    case CODE_BACK:
        return r[at->a].n;
    case CODE_CATCH:
        r[at->a] = m->run.raised;
        return pc + 1;
    case CODE_RETURN:
    case CODE_FIELD:
    case CODE_RECORD:
    case CODE_INDEX:
    case CODE_SLICE:
    case CODE_EACH:
    case CODE_RANGE:
    case CODE_ARRAY:
    case CODE_APPEND:
    case CODE_PUSH:
    case CODE_OBJECT:
    case CODE_PUT:
    case CODE_NEGATE:
    case CODE_ADD:
    case CODE_SUBTRACT:
    case CODE_MULTIPLY:
    case CODE_DIVIDE:
    case CODE_MODULO:
    case CODE_EQ:
    case CODE_NE:
    case CODE_LT:
    case CODE_LE:
    case CODE_GT:
    case CODE_GE:
    case CODE_TEXT:
    case CODE_GETPATH:
    case CODE_CALL:
        break;
    }
    *ret_computes = true;
    return pc + 1;
}

static err_t run(struct machine *m, struct expr_value *ret)
{
    const struct instruction *code = m->program->code;
    uint32_t pc = 0;

    for (;;) {
        const struct instruction *at = &code[pc];
        bool computes = false;
        TRY(budget_steps(&m->run.budget, 1));
        uint32_t next = step(m, at, pc, &computes);
        if (computes) {
            if (at->code == CODE_RETURN) {
                *ret = m->registers[at->a];
                return OK;
            }
            err_t e = compute(m, at);
            if (e) {
                if (e != E_PARSE || m->program->handlers[pc] == NO_HANDLER)
                    return report(m, e);
                next = m->program->handlers[pc];
            }
        }
        pc = next;
    }
}

static err_t evaluate(const struct expr *expr, struct arena *arena, const struct expr_input *input,
                      const struct expr_limits *limits, struct expr_value *ret)
{
    struct expr_value few[REGISTERS_ON_STACK], *registers = few;
    struct machine m = {
        .run = {.budget = {.arena = arena, .steps = limits->steps, .memory = limits->memory}},
        .program = expr,
    };
    uint32_t n = REGISTER_INPUT;
    void *p;

    if (expr->register_count > REGISTERS_ON_STACK) {
        TRY(budget_take(&m.run.budget, expr->register_count * sizeof *registers, &p));
        registers = p;
    }
    registers[n++] = input->root;
    for (uint32_t i = 0; i < expr->named_count; i++)
        registers[n++] = input->named[i];
    if (expr->constant_count)
        memcpy(&registers[n], expr->constants, expr->constant_count * sizeof *registers);
    n += expr->constant_count;
    memset(&registers[n], 0, (expr->register_count - n) * sizeof *registers); /* null, not what was there before */
    m.registers = registers;
    return run(&m, ret);
}

err_t expr_eval(const struct expr *expr, struct arena *arena, const struct expr_input *input,
                const struct expr_limits *limits, struct expr_value *ret_value)
{
    struct expr_value value;

    TRY(evaluate(expr, arena, input, limits, &value));
    *ret_value = value;
    return OK;
}

err_t expr_is_true(const struct expr *expr, struct arena *arena, const struct expr_input *input,
                   const struct expr_limits *limits, bool *ret_truth)
{
    struct expr_value value;

    TRY(evaluate(expr, arena, input, limits, &value));
    *ret_truth = expr_value_is_true(value);
    return OK;
}
