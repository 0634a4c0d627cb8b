/*
 * generate.c - from the tree to code.
 *
 * The idea: a part of a program is compiled together with what consumes its values (a sink). A part that yields one value puts it into
 * a register and lets the sink go on; a part that yields several becomes a loop around the code of the sink; one that yields none jumps
 * over it. Where two branches feed one sink, its code stands behind both if at most one value comes of them, and is a routine otherwise.
 * So there is neither backtracking nor a stack when the program runs, and `first`, `break`, `any` and errors are jumps.
 *
 * A place is a register with a value and, while a path is computed, another with the path that led to it. Constants get their
 * registers' numbers at the end, when the number of inputs and constants is known: until then they count from CONSTANT_BASE, labels stand for
 * places in the code.
 *
 * Invariants: a node that yields exactly one value calls its sink exactly once, and its code ends where the sink's does. Sinks nest at most
 * SINK_DEPTH_MAX deep.
 */
#include "expr/program.h"

#include "expr/pattern.h"
#include "expr/type.h"

#include <math.h>

enum {
    CONSTANT_BASE = 0x8000,
    NO_REGISTER = 0xffff,
    OPERANDS_MAX = 3,
    SINK_DEPTH_MAX = 200,
};

struct place {
    uint16_t value, path; /* path: NO_REGISTER: not asked for */
};

struct generator {
    struct parse_shared *shared;
    struct arena *arena;
    struct instruction *code;
    uint16_t *handlers;
    uint32_t *places;
    uint32_t count, cap;
    struct expr_value *constants;
    uint32_t constant_count, constant_cap;
    struct name_use *names;
    uint32_t name_count, name_cap;
    struct call_use *calls;
    uint32_t call_count, call_cap;
    uint32_t *labels; /* where they are in the code */
    uint32_t label_count, label_cap;
    uint32_t registers;
    uint16_t handler; /* label of the `try` around, or NO_HANDLER */
    uint32_t at;      /* byte of the text that is being compiled */
    unsigned depth;
};

struct sink {
    err_t (*take)(struct generator *g, struct sink *sink, struct place value);
};

static err_t generate(struct generator *g, const struct ast *node, struct place in, struct sink *sink);

/* --- tables that grow --- */

/* Room for one more in an array of the arena. */
static void *grown(struct arena *arena, void *array, uint32_t count, uint32_t *cap, size_t size)
{
    if (count < *cap)
        return array;
    uint32_t larger = *cap ? 2 * *cap : 16;
    void *to = arena_alloc(arena, larger * size);
    if (count)
        memcpy(to, array, count * size);
    *cap = larger;
    return to;
}

static err_t emit(struct generator *g, enum opcode code, uint16_t a, uint16_t b, uint16_t c)
{
    uint32_t cap = g->cap;

    if (g->count == CODE_MAX || g->registers >= REGISTERS_MAX || g->label_count >= CODE_MAX)
        return fail(E_TOO_LARGE, "the expression is too complicated");
    g->code = grown(g->arena, g->code, g->count, &cap, sizeof *g->code);
    cap = g->cap;
    g->handlers = grown(g->arena, g->handlers, g->count, &cap, sizeof *g->handlers);
    cap = g->cap;
    g->places = grown(g->arena, g->places, g->count, &cap, sizeof *g->places);
    g->cap = cap;
    g->code[g->count] = (struct instruction){(uint16_t)code, a, b, c};
    g->handlers[g->count] = g->handler;
    g->places[g->count++] = g->at;
    return OK;
}

static uint16_t new_registers(struct generator *g, uint32_t n)
{
    uint32_t first = g->registers;

    g->registers += n; /* emit() looks at the limit; until then numbers may run over, but into nothing */
    return (uint16_t)first;
}

static uint16_t new_register(struct generator *g)
{
    return new_registers(g, 1);
}

static uint16_t new_label(struct generator *g)
{
    g->labels = grown(g->arena, g->labels, g->label_count, &g->label_cap, sizeof *g->labels);
    return (uint16_t)g->label_count++;
}

static void set_label(struct generator *g, uint16_t label)
{
    g->labels[label] = g->count;
}

static bool same_constant(struct expr_value x, struct expr_value y)
{
    if (x.kind != y.kind || x.form != y.form || x.n != y.n)
        return false;
    if (x.kind == JSON_STRING || x.form == EXPR_TEXT)
        return x.form != EXPR_REGEX && memcmp(x.text, y.text, x.n) == 0;
    return x.kind <= JSON_TRUE;
}

static uint16_t constant(struct generator *g, struct expr_value value)
{
    for (uint32_t i = 0; i < g->constant_count; i++)
        if (same_constant(g->constants[i], value))
            return (uint16_t)(CONSTANT_BASE + i);
    g->constants = grown(g->arena, g->constants, g->constant_count, &g->constant_cap, sizeof *g->constants);
    g->constants[g->constant_count] = value;
    return (uint16_t)(CONSTANT_BASE + g->constant_count++);
}

static struct place only_value(uint16_t value)
{
    return (struct place){value, NO_REGISTER};
}

/* --- sinks --- */

/* The register that a node with exactly one value leaves it in. */
struct keep {
    struct sink sink;
    struct place place;
};

static err_t keep_take(struct generator *g, struct sink *sink, struct place value)
{
    (void)g;
    ((struct keep *)sink)->place = value;
    return OK;
}

static bool yields_one(const struct ast *node)
{
    return !node->may_be_none && !node->may_be_many;
}

/* The value of a node that yields exactly one. */
static err_t generate_one(struct generator *g, const struct ast *node, struct place in, struct place *ret)
{
    struct keep keep = {.sink = {keep_take}};

    TRY(generate(g, node, in, &keep.sink));
    *ret = keep.place;
    return OK;
}

static err_t take(struct generator *g, struct sink *sink, uint16_t value)
{
    return sink->take(g, sink, only_value(value));
}

/* Several branches into one sink. */
struct merge {
    struct sink sink;
    struct sink *to;
    struct place place; /* where the branches leave their values                    */
    bool is_routine;    /* more than one value may come                             */
    uint16_t entry;     /* label of the sink's code                                 */
    uint16_t back;      /* register: where the routine returns to                   */
};

static err_t merge_take(struct generator *g, struct sink *sink, struct place value)
{
    struct merge *m = (struct merge *)sink;

    TRY(emit(g, CODE_MOVE, m->place.value, value.value, 0));
    if (m->place.path != NO_REGISTER)
        TRY(emit(g, CODE_MOVE, m->place.path, value.path, 0));
    return m->is_routine ? emit(g, CODE_ROUTINE, m->back, m->entry, 0) : emit(g, CODE_JUMP, m->entry, 0, 0);
}

static struct merge merge_begin(struct generator *g, const struct ast *node, struct place in, struct sink *to)
{
    return (struct merge){
        .sink = {merge_take},
        .to = to,
        .place = {new_register(g), in.path == NO_REGISTER ? NO_REGISTER : new_register(g)},
        .is_routine = node->may_be_many,
        .entry = new_label(g),
        .back = node->may_be_many ? new_register(g) : NO_REGISTER,
    };
}

/* Behind the branches, which end here when nothing more comes of them. */
static err_t merge_end(struct generator *g, struct merge *m, bool may_end)
{
    uint16_t end = new_label(g);

    if (may_end || m->is_routine)
        TRY(emit(g, CODE_JUMP, end, 0, 0));
    set_label(g, m->entry);
    TRY(m->to->take(g, m->to, m->place));
    if (m->is_routine)
        TRY(emit(g, CODE_BACK, m->back, 0, 0));
    set_label(g, end);
    return OK;
}

/* --- operands: nodes whose values an instruction needs, in each combination --- */

struct operands {
    struct sink sink;
    const struct ast *node;
    struct place in;
    struct sink *to;
    /* What to do when all are there. */
    err_t (*finish)(struct generator *g, struct operands *o);
    const struct ast **parts; /* in the order of evaluation; NULL: absent */
    struct place *places;
    unsigned count, done;
    bool with_path; /* the last part is the base of a path */
};

static err_t next_operand(struct generator *g, struct operands *o);

static err_t operand_take(struct generator *g, struct sink *sink, struct place value)
{
    struct operands *o = (struct operands *)sink;
    unsigned done = o->done;

    o->places[o->done++] = value;
    TRY(next_operand(g, o));
    o->done = done;
    return OK;
}

static err_t next_operand(struct generator *g, struct operands *o)
{
    while (o->done < o->count) {
        const struct ast *part = o->parts[o->done];
        bool is_base = o->with_path && o->done + 1 == o->count;
        struct place in = is_base ? o->in : only_value(o->in.value);
        if (part && !yields_one(part))
            return generate(g, part, in, &o->sink);
        o->places[o->done] = only_value(NO_REGISTER);
        if (part)
            TRY(generate_one(g, part, in, &o->places[o->done]));
        o->done++;
    }
    g->at = o->node->from;
    return o->finish(g, o);
}

/* Evaluate `parts` and then `finish`. */
static err_t with_operands(struct generator *g, struct operands o)
{
    o.sink.take = operand_take;
    return next_operand(g, &o);
}

/* --- steps --- */

static uint16_t name_use(struct generator *g, struct str name, uint32_t field)
{
    for (uint32_t i = 0; i < g->name_count; i++)
        if (str_eq(g->names[i].name, name) && g->names[i].field == field)
            return (uint16_t)i;
    g->names = grown(g->arena, g->names, g->name_count, &g->name_cap, sizeof *g->names);
    g->names[g->name_count] = (struct name_use){name, field};
    return (uint16_t)g->name_count++;
}

static bool literal_name(const struct ast *node, struct str *ret_name)
{
    const struct ast *index = node->kid[1];

    if (node->kind == AST_FIELD)
        *ret_name = node->text;
    else if (index->kind == AST_LITERAL && index->value.kind == JSON_STRING)
        *ret_name = str_of(index->value.text, index->value.n);
    else
        return false;
    return true;
}

static err_t emit_field(struct generator *g, const struct ast *base, struct str name, uint16_t to, uint16_t from)
{
    const struct expr_type *type = base->type;

    for (size_t i = 0; type->is_record && i < type->field_count; i++)
        if (str_eq(type->fields[i].name, name))
            return emit(g, CODE_RECORD, to, from, name_use(g, name, (uint32_t)i));
    return emit(g, CODE_FIELD, to, from, name_use(g, name, 0));
}

/* The path of a step: that of its base, and a key. */
static err_t emit_path(struct generator *g, uint16_t base, uint16_t key, uint16_t *ret)
{
    *ret = NO_REGISTER;
    if (base == NO_REGISTER)
        return OK;
    *ret = new_register(g);
    return emit(g, CODE_PUSH, *ret, base, key);
}

/* What fails in a step that is followed by `?` goes on at the label. */
static uint16_t begin_optional(struct generator *g, const struct ast *node, uint16_t label)
{
    uint16_t outer = g->handler;

    if (node->is_optional)
        g->handler = label;
    return outer;
}

static err_t finish_index(struct generator *g, struct operands *o)
{
    const struct ast *node = o->node;
    struct place base = o->places[o->count - 1], to = {new_register(g), NO_REGISTER};
    uint16_t end = new_label(g), outer = begin_optional(g, node, end), key = o->places[0].value;
    struct str name;

    if (literal_name(node, &name)) {
        TRY(emit_field(g, node->kid[0], name, to.value, base.value));
        if (base.path != NO_REGISTER)
            key = constant(g, expr_string(name));
    } else {
        TRY(emit(g, CODE_INDEX, to.value, base.value, key));
    }
    g->handler = outer;
    TRY(emit_path(g, base.path, key, &to.path));
    TRY(o->to->take(g, o->to, to));
    set_label(g, end);
    return OK;
}

static err_t generate_index(struct generator *g, const struct ast *node, struct place in, struct sink *sink)
{
    struct str name;
    bool is_literal = literal_name(node, &name);
    const struct ast *parts[] = {is_literal ? node->kid[0] : node->kid[1], node->kid[0]};
    struct place places[2];

    return with_operands(g, (struct operands){.node = node,
                                              .in = in,
                                              .to = sink,
                                              .finish = finish_index,
                                              .parts = parts,
                                              .places = places,
                                              .count = is_literal ? 1 : 2,
                                              .with_path = true});
}

/* A slice's key in a path is an object. */
static err_t emit_slice_key(struct generator *g, uint16_t from, uint16_t to, uint16_t *ret)
{
    *ret = new_register(g);
    TRY(emit(g, CODE_OBJECT, *ret, 0, 0));
    TRY(emit(g, CODE_PUT, *ret, constant(g, expr_string(STR("start"))), from));
    return emit(g, CODE_PUT, *ret, constant(g, expr_string(STR("end"))), to);
}

static err_t finish_slice(struct generator *g, struct operands *o)
{
    uint16_t none = constant(g, expr_null());
    uint16_t from = o->parts[0] ? o->places[0].value : none, until = o->parts[1] ? o->places[1].value : none;
    struct place base = o->places[2], to = {new_register(g), NO_REGISTER};
    uint16_t end = new_label(g), outer = begin_optional(g, o->node, end), key;

    TRY(emit(g, CODE_SLICE, to.value, base.value, from));
    TRY(emit(g, CODE_MORE, until, none, none));
    g->handler = outer;
    if (base.path != NO_REGISTER) {
        TRY(emit_slice_key(g, from, until, &key));
        TRY(emit_path(g, base.path, key, &to.path));
    }
    TRY(o->to->take(g, o->to, to));
    set_label(g, end);
    return OK;
}

static err_t generate_slice(struct generator *g, const struct ast *node, struct place in, struct sink *sink)
{
    const struct ast *parts[] = {node->kid[1], node->kid[2], node->kid[0]};
    struct place places[3];

    return with_operands(g, (struct operands){.node = node,
                                              .in = in,
                                              .to = sink,
                                              .finish = finish_slice,
                                              .parts = parts,
                                              .places = places,
                                              .count = 3,
                                              .with_path = true});
}

static err_t finish_each(struct generator *g, struct operands *o)
{
    struct place base = o->places[0], to = {new_registers(g, 2), NO_REGISTER};
    uint16_t loop = new_registers(g, 2), again = new_label(g), end = new_label(g);
    uint16_t outer = begin_optional(g, o->node, end);

    TRY(emit(g, CODE_EACH, loop, base.value, 0));
    g->handler = outer;
    set_label(g, again);
    TRY(emit(g, CODE_NEXT, loop, to.value, end));
    TRY(emit_path(g, base.path, (uint16_t)(to.value + 1), &to.path));
    TRY(o->to->take(g, o->to, to));
    TRY(emit(g, CODE_JUMP, again, 0, 0));
    set_label(g, end);
    return OK;
}

static err_t generate_each(struct generator *g, const struct ast *node, struct place in, struct sink *sink)
{
    const struct ast *parts[] = {node->kid[0]};
    struct place places[1];

    return with_operands(g, (struct operands){.node = node,
                                              .in = in,
                                              .to = sink,
                                              .finish = finish_each,
                                              .parts = parts,
                                              .places = places,
                                              .count = 1,
                                              .with_path = true});
}

static err_t finish_getpath(struct generator *g, struct operands *o)
{
    struct place to = {new_register(g), NO_REGISTER};

    TRY(emit(g, CODE_GETPATH, to.value, o->in.value, o->places[0].value));
    if (o->in.path != NO_REGISTER) {
        to.path = new_register(g);
        TRY(emit(g, CODE_ADD, to.path, o->in.path, o->places[0].value));
    }
    return o->to->take(g, o->to, to);
}

static err_t finish_range(struct generator *g, struct operands *o)
{
    uint16_t loop = new_registers(g, 3), to = new_register(g), again = new_label(g), end = new_label(g);
    uint16_t zero = constant(g, expr_number(0)), one = constant(g, expr_number(1));
    bool has_start = o->node->kid[1] != NULL;
    uint16_t until = o->places[has_start ? 1 : 0].value;

    TRY(emit(g, CODE_RANGE, loop, has_start ? o->places[0].value : zero, until));
    TRY(emit(g, CODE_MORE, o->node->kid[2] ? o->places[2].value : one, zero, zero));
    set_label(g, again);
    TRY(emit(g, CODE_COUNT, loop, to, end));
    TRY(take(g, o->to, to));
    TRY(emit(g, CODE_JUMP, again, 0, 0));
    set_label(g, end);
    return OK;
}

/* --- operators --- */

static err_t finish_binary(struct generator *g, struct operands *o)
{
    uint16_t to = new_register(g);

    TRY(emit(g, CODE_ADD + (unsigned)o->node->op, to, o->places[1].value, o->places[0].value));
    return take(g, o->to, to);
}

static err_t finish_negate(struct generator *g, struct operands *o)
{
    uint16_t to = new_register(g);

    TRY(emit(g, CODE_NEGATE, to, o->places[0].value, 0));
    return take(g, o->to, to);
}

/* `and`, `or`: the left side decides, or the right one. */
struct logic {
    struct sink left, right;
    const struct ast *node;
    struct place in;
    struct merge *merge;
};

static err_t logic_take_right(struct generator *g, struct sink *sink, struct place value)
{
    struct logic *l = CONTAINER_OF(sink, struct logic, right);
    uint16_t truth = new_register(g);

    TRY(emit(g, CODE_TRUTH, truth, value.value, 0));
    return take(g, &l->merge->sink, truth);
}

static err_t logic_take_left(struct generator *g, struct sink *sink, struct place value)
{
    struct logic *l = CONTAINER_OF(sink, struct logic, left);
    uint16_t decided = new_label(g), end = new_label(g);
    bool is_and = l->node->kind == AST_AND;

    TRY(emit(g, is_and ? CODE_IF_FALSE : CODE_IF_TRUE, value.value, decided, 0));
    TRY(generate(g, l->node->kid[1], l->in, &l->right));
    TRY(emit(g, CODE_JUMP, end, 0, 0));
    set_label(g, decided);
    TRY(take(g, &l->merge->sink, constant(g, expr_bool(!is_and))));
    set_label(g, end);
    return OK;
}

static err_t generate_logic(struct generator *g, const struct ast *node, struct place in, struct sink *sink)
{
    struct merge merge = merge_begin(g, node, in, sink);
    struct logic logic = {{logic_take_left}, {logic_take_right}, node, in, &merge};

    TRY(generate(g, node->kid[0], in, &logic.left));
    return merge_end(g, &merge, node->may_be_none);
}

/* `//`: the true values of the left side, or else the right side. */
struct alternative {
    struct sink sink;
    struct merge *merge;
    uint16_t found; /* register: was one true? NO_REGISTER: then the right side is not come to */
};

static err_t alternative_take(struct generator *g, struct sink *sink, struct place value)
{
    struct alternative *a = (struct alternative *)sink;
    uint16_t skip = new_label(g);

    TRY(emit(g, CODE_IF_FALSE, value.value, skip, 0));
    if (a->found != NO_REGISTER)
        TRY(emit(g, CODE_MOVE, a->found, constant(g, expr_bool(true)), 0));
    TRY(a->merge->sink.take(g, &a->merge->sink, value));
    set_label(g, skip);
    return OK;
}

static err_t generate_alt(struct generator *g, const struct ast *node, struct place in, struct sink *sink)
{
    struct merge merge = merge_begin(g, node, in, sink);
    struct alternative alternative = {{alternative_take}, &merge, NO_REGISTER};
    uint16_t end = new_label(g);

    if (merge.is_routine) {
        alternative.found = new_register(g);
        TRY(emit(g, CODE_MOVE, alternative.found, constant(g, expr_bool(false)), 0));
    }
    TRY(generate(g, node->kid[0], in, &alternative.sink));
    if (merge.is_routine)
        TRY(emit(g, CODE_IF_TRUE, alternative.found, end, 0));
    TRY(generate(g, node->kid[1], in, &merge.sink));
    set_label(g, end);
    return merge_end(g, &merge, node->may_be_none);
}

/* --- construction --- */

/* An array or an object of literals; false if it is anything else. */
static bool is_constant(const struct ast *node)
{
    if (node->kind == AST_ARRAY)
        return !node->kid[0] || is_constant(node->kid[0]);
    if (node->kind == AST_COMMA)
        return is_constant(node->kid[0]) && is_constant(node->kid[1]);
    return node->kind == AST_LITERAL;
}

static err_t append_constants(struct expr_budget *b, const struct ast *node, struct expr_value *array);

static err_t constant_value(struct expr_budget *b, const struct ast *node, struct expr_value *ret)
{
    if (node->kind == AST_LITERAL) {
        *ret = node->value;
        return OK;
    }
    TRY(value_new_array(b, 4, ret));
    return node->kid[0] ? append_constants(b, node->kid[0], ret) : OK;
}

static err_t append_constants(struct expr_budget *b, const struct ast *node, struct expr_value *array)
{
    struct expr_value item;

    if (node->kind == AST_COMMA) {
        TRY(append_constants(b, node->kid[0], array));
        return append_constants(b, node->kid[1], array);
    }
    TRY(constant_value(b, node, &item));
    return value_append(b, array, item);
}

struct collector {
    struct sink sink;
    uint16_t array;
};

static err_t collector_take(struct generator *g, struct sink *sink, struct place value)
{
    return emit(g, CODE_APPEND, ((struct collector *)sink)->array, value.value, 0);
}

static err_t generate_array(struct generator *g, const struct ast *node, struct place in, struct sink *sink)
{
    if (is_constant(node)) {
        /* As large as the program's text at most. A view of it is never appended to in place: it is full. */
        struct expr_budget budget = {.arena = g->arena, .steps = UINT64_MAX, .memory = SIZE_MAX};
        struct expr_value array;
        TRY(constant_value(&budget, node, &array));
        list_of(array)->cap = array.n;
        return take(g, sink, constant(g, array));
    }
    struct collector collector = {{collector_take}, new_register(g)};
    TRY(emit(g, CODE_ARRAY, collector.array, 0, 0));
    TRY(generate(g, node->kid[0], only_value(in.value), &collector.sink));
    return take(g, sink, collector.array);
}

static err_t finish_object(struct generator *g, struct operands *o)
{
    uint16_t to = new_register(g);

    TRY(emit(g, CODE_OBJECT, to, (uint16_t)(o->count / 2), 0));
    for (unsigned i = 0; i < o->count; i += 2)
        TRY(emit(g, CODE_PUT, to, o->places[i].value, o->places[i + 1].value));
    return take(g, o->to, to);
}

static err_t generate_object(struct generator *g, const struct ast *node, struct place in, struct sink *sink)
{
    unsigned count = 0;

    for (const struct ast *entry = node->kid[0]; entry; entry = entry->next)
        count += 2;
    const struct ast **parts = arena_alloc(g->arena, count * sizeof(struct ast *));
    struct place *places = arena_alloc(g->arena, count * sizeof *places);
    count = 0;
    for (const struct ast *entry = node->kid[0]; entry; entry = entry->next) {
        parts[count++] = entry->kid[0];
        parts[count++] = entry->kid[1];
    }
    return with_operands(g, (struct operands){.node = node,
                                              .in = in,
                                              .to = sink,
                                              .finish = finish_object,
                                              .parts = parts,
                                              .places = places,
                                              .count = count});
}

/* Operands are evaluated from the last to the first. */
static err_t finish_text(struct generator *g, struct operands *o)
{
    uint16_t to = new_register(g), plain = constant(g, expr_null());
    uint16_t format = o->node->text.n ? constant(g, expr_string(o->node->text)) : plain;

    TRY(emit(g, CODE_MOVE, to, constant(g, expr_string(STR(""))), 0));
    for (unsigned i = o->count; i-- > 0;)
        TRY(emit(g, CODE_TEXT, to, o->places[i].value, o->parts[i]->is_piece ? plain : format));
    return take(g, o->to, to);
}

/* kid[0] and its next, from the last to the first. */
static unsigned reversed(struct generator *g, const struct ast *first, const struct ast ***ret_parts)
{
    unsigned count = 0, at;

    for (const struct ast *kid = first; kid; kid = kid->next)
        count++;
    *ret_parts = arena_alloc(g->arena, count * sizeof **ret_parts);
    at = count;
    for (const struct ast *kid = first; kid; kid = kid->next)
        (*ret_parts)[--at] = kid;
    return count;
}

static err_t generate_text(struct generator *g, const struct ast *node, struct place in, struct sink *sink)
{
    const struct ast **parts;
    unsigned count = reversed(g, node->kid[0], &parts);

    return with_operands(g, (struct operands){.node = node,
                                              .in = in,
                                              .to = sink,
                                              .finish = finish_text,
                                              .parts = parts,
                                              .places = arena_alloc(g->arena, count * sizeof(struct place)),
                                              .count = count});
}

/* --- calls --- */

static uint16_t call_use(struct generator *g, const struct builtin *builtin)
{
    uint8_t risky[BUILTIN_ARGS_MAX + 1];
    struct call_use use = {.builtin = builtin};

    for (uint32_t i = 0; i < g->call_count; i++)
        if (g->calls[i].builtin == builtin)
            return (uint16_t)i;
    builtin_kinds(builtin, use.kinds, risky);
    g->calls = grown(g->arena, g->calls, g->call_count, &g->call_cap, sizeof *g->calls);
    g->calls[g->call_count] = use;
    return (uint16_t)g->call_count++;
}

static err_t finish_call(struct generator *g, struct operands *o)
{
    uint16_t to = new_register(g), arg[BUILTIN_ARGS_MAX], none = constant(g, expr_null());

    for (unsigned i = 0; i < BUILTIN_ARGS_MAX; i++)
        arg[i] = i < o->count ? o->places[o->count - 1 - i].value : none;
    TRY(emit(g, CODE_CALL, to, o->in.value, call_use(g, o->node->builtin)));
    if (o->count)
        TRY(emit(g, CODE_MORE, arg[0], arg[1], arg[2]));
    return take(g, o->to, to);
}

/* A literal pattern is compiled with the program, so that it is checked now and not when it is used. */
static err_t compile_pattern(struct generator *g, const struct ast *node, struct ast *to)
{
    const struct ast *pattern = node->kid[0], *flags = pattern->next;
    struct expr_value compiled;
    const char *why = NULL;

    if (pattern->kind != AST_LITERAL || pattern->value.kind != JSON_STRING || flags->kind != AST_LITERAL)
        return OK;
    struct str given = flags->value.kind == JSON_STRING ? str_of(flags->value.text, flags->value.n) : STR_NONE;
    if (pattern_value(g->arena, str_of(pattern->value.text, pattern->value.n), given, &compiled, &why) != OK)
        return expr_refuse(g->shared, pattern->from, pattern->to, "%s", why ? why : err_detail(E_TOO_LARGE));
    *to = *pattern;
    to->value = compiled;
    return OK;
}

static err_t generate_call(struct generator *g, const struct ast *node, struct place in, struct sink *sink)
{
    const struct ast **parts;
    unsigned count = reversed(g, node->kid[0], &parts);
    struct ast pattern = {.kind = AST_IDENTITY};

    if (node->builtin->takes_pattern) {
        TRY(compile_pattern(g, node, &pattern));
        if (pattern.kind == AST_LITERAL)
            parts[count - 1] = &pattern;
    }
    return with_operands(g, (struct operands){.node = node,
                                              .in = in,
                                              .to = sink,
                                              .finish = finish_call,
                                              .parts = parts,
                                              .places = arena_alloc(g->arena, count * sizeof(struct place)),
                                              .count = count});
}

/* --- flow --- */

struct stage {
    struct sink sink;
    const struct ast *node; /* what the values go into */
    struct sink *to;
};

static err_t stage_take(struct generator *g, struct sink *sink, struct place value)
{
    struct stage *s = (struct stage *)sink;

    return generate(g, s->node, value, s->to);
}

static err_t generate_pipe(struct generator *g, const struct ast *node, struct place in, struct sink *sink)
{
    struct stage stage = {{stage_take}, node->kid[1], sink};

    if (!yields_one(node->kid[0]))
        return generate(g, node->kid[0], in, &stage.sink);
    TRY(generate_one(g, node->kid[0], in, &in));
    return generate(g, node->kid[1], in, sink);
}

struct scope {
    struct sink sink;
    const struct ast *node;
    struct place in;
    struct sink *to;
};

static err_t scope_take(struct generator *g, struct sink *sink, struct place value)
{
    struct scope *s = (struct scope *)sink;

    s->node->binding->place = value.value;
    return generate(g, s->node->kid[1], s->in, s->to);
}

static err_t generate_as(struct generator *g, const struct ast *node, struct place in, struct sink *sink)
{
    struct scope scope = {{scope_take}, node, in, sink};
    struct place source;

    if (!yields_one(node->kid[0]))
        return generate(g, node->kid[0], only_value(in.value), &scope.sink);
    TRY(generate_one(g, node->kid[0], only_value(in.value), &source));
    return scope_take(g, &scope.sink, source);
}

static err_t generate_comma(struct generator *g, const struct ast *node, struct place in, struct sink *sink)
{
    struct merge merge = merge_begin(g, node, in, sink);

    TRY(generate(g, node->kid[0], in, &merge.sink));
    TRY(generate(g, node->kid[1], in, &merge.sink));
    return merge_end(g, &merge, true);
}

struct branches {
    struct sink sink;
    const struct ast *node;
    struct place in;
    struct merge *merge;
};

static err_t branches_take(struct generator *g, struct sink *sink, struct place condition)
{
    struct branches *b = (struct branches *)sink;
    uint16_t otherwise = new_label(g), end = new_label(g);

    TRY(emit(g, CODE_IF_FALSE, condition.value, otherwise, 0));
    TRY(generate(g, b->node->kid[1], b->in, &b->merge->sink));
    TRY(emit(g, CODE_JUMP, end, 0, 0));
    set_label(g, otherwise);
    TRY(generate(g, b->node->kid[2], b->in, &b->merge->sink));
    set_label(g, end);
    return OK;
}

/* select(…) and its like: one branch yields what it is given, the other nothing. There is nothing to merge. */
static err_t generate_filter(struct generator *g, const struct ast *node, struct place in, struct sink *sink)
{
    bool if_true = node->kid[2]->kind == AST_EMPTY;
    uint16_t end = new_label(g);
    struct place condition;

    TRY(generate_one(g, node->kid[0], only_value(in.value), &condition));
    TRY(emit(g, if_true ? CODE_IF_FALSE : CODE_IF_TRUE, condition.value, end, 0));
    TRY(generate(g, node->kid[if_true ? 1 : 2], in, sink));
    set_label(g, end);
    return OK;
}

static err_t generate_if(struct generator *g, const struct ast *node, struct place in, struct sink *sink)
{
    if (yields_one(node->kid[0]) && (node->kid[1]->kind == AST_EMPTY) != (node->kid[2]->kind == AST_EMPTY))
        return generate_filter(g, node, in, sink);
    struct merge merge = merge_begin(g, node, in, sink);
    struct branches branches = {{branches_take}, node, in, &merge};

    TRY(generate(g, node->kid[0], only_value(in.value), &branches.sink));
    return merge_end(g, &merge, node->may_be_none);
}

/* What comes out of a `try` is no longer within it. */
struct leave_try {
    struct sink sink;
    struct sink *to;
    uint16_t outer;
};

static err_t leave_try_take(struct generator *g, struct sink *sink, struct place value)
{
    struct leave_try *l = (struct leave_try *)sink;
    uint16_t inner = g->handler;

    g->handler = l->outer;
    TRY(l->to->take(g, l->to, value));
    g->handler = inner;
    return OK;
}

static err_t generate_try(struct generator *g, const struct ast *node, struct place in, struct sink *sink)
{
    struct leave_try leave = {{leave_try_take}, sink, g->handler};
    uint16_t caught = new_label(g);

    g->handler = caught;
    TRY(generate(g, node->kid[0], in, &leave.sink));
    g->handler = leave.outer;
    set_label(g, caught);
    return OK;
}

static err_t generate_catch(struct generator *g, const struct ast *node, struct place in, struct sink *sink)
{
    struct merge merge = merge_begin(g, node, in, sink);
    struct leave_try leave = {{leave_try_take}, &merge.sink, g->handler};
    uint16_t caught = new_label(g), end = new_label(g);

    g->handler = caught;
    TRY(generate(g, node->kid[0], in, &leave.sink));
    g->handler = leave.outer;
    struct place error = {new_register(g), in.path};
    TRY(emit(g, CODE_JUMP, end, 0, 0));
    set_label(g, caught);
    TRY(emit(g, CODE_CATCH, error.value, 0, 0));
    TRY(generate(g, node->kid[1], error, &merge.sink));
    set_label(g, end);
    return merge_end(g, &merge, true);
}

struct fold {
    struct sink sink;
    const struct ast *node;
    struct place kept;
    struct sink *to; /* of a foreach */
};

static err_t fold_take(struct generator *g, struct sink *sink, struct place value)
{
    struct fold *f = (struct fold *)sink;
    struct place updated;

    f->node->binding->place = value.value;
    TRY(generate_one(g, f->node->kid[2], f->kept, &updated));
    TRY(emit(g, CODE_MOVE, f->kept.value, updated.value, 0));
    if (!f->to)
        return OK;
    return f->node->kid[3] ? generate(g, f->node->kid[3], f->kept, f->to) : f->to->take(g, f->to, f->kept);
}

static err_t generate_fold(struct generator *g, const struct ast *node, struct place in, struct sink *sink)
{
    bool is_reduce = node->kind == AST_REDUCE;
    struct fold fold = {{fold_take}, node, only_value(new_register(g)), is_reduce ? NULL : sink};
    struct place init, result;

    in.path = NO_REGISTER;
    TRY(generate_one(g, node->kid[1], in, &init));
    TRY(emit(g, CODE_MOVE, fold.kept.value, init.value, 0));
    TRY(generate(g, node->kid[0], in, &fold.sink));
    if (!is_reduce)
        return OK;
    /* The register may be set again in the next turn of a loop around. */
    result = only_value(new_register(g));
    TRY(emit(g, CODE_MOVE, result.value, fold.kept.value, 0));
    return sink->take(g, sink, result);
}

static err_t generate_first(struct generator *g, const struct ast *node, struct place in, struct sink *sink)
{
    struct merge merge = merge_begin(g, node, in, sink);

    merge.is_routine = false;
    TRY(generate(g, node->kid[0], in, &merge.sink));
    return merge_end(g, &merge, true);
}

static err_t generate_label(struct generator *g, const struct ast *node, struct place in, struct sink *sink)
{
    node->binding->place = new_label(g);
    TRY(generate(g, node->kid[0], in, sink));
    set_label(g, node->binding->place);
    return OK;
}

static err_t generate_kinds(struct generator *g, const struct ast *node, struct place in, struct sink *sink)
{
    uint16_t end = new_label(g);

    TRY(emit(g, CODE_IF_KIND, in.value, end, (uint8_t)~node->kinds));
    TRY(sink->take(g, sink, in));
    set_label(g, end);
    return OK;
}

/* The path is the value. */
struct path_taker {
    struct sink sink;
    struct sink *to;
};

static err_t path_take(struct generator *g, struct sink *sink, struct place value)
{
    return take(g, ((struct path_taker *)sink)->to, value.path);
}

static err_t generate_path(struct generator *g, const struct ast *node, struct place in, struct sink *sink)
{
    struct path_taker taker = {{path_take}, sink};
    uint16_t start = new_register(g);

    TRY(emit(g, CODE_ARRAY, start, 0, 0));
    return generate(g, node->kid[0], (struct place){in.value, start}, &taker.sink);
}

/* --- all nodes --- */

/* Nodes whose operands are their kids, evaluated from the first. */
static err_t generate_simple(struct generator *g, const struct ast *node, struct place in, struct sink *sink,
                             const struct ast **parts, unsigned count,
                             err_t (*finish)(struct generator *g, struct operands *o))
{
    struct place places[OPERANDS_MAX];

    return with_operands(
        g, (struct operands){
               .node = node, .in = in, .to = sink, .finish = finish, .parts = parts, .places = places, .count = count});
}

static err_t generate_inside(struct generator *g, const struct ast *node, struct place in, struct sink *sink)
{
    switch (node->kind) {
    case AST_IDENTITY:
        return sink->take(g, sink, in);
    case AST_LITERAL:
        return take(g, sink, constant(g, node->value));
    case AST_FIELD:
    case AST_INDEX:
        return generate_index(g, node, in, sink);
    case AST_SLICE:
        return generate_slice(g, node, in, sink);
    case AST_EACH:
        return generate_each(g, node, in, sink);
    case AST_TEXT:
        return generate_text(g, node, in, sink);
    case AST_ARRAY:
        return generate_array(g, node, in, sink);
    case AST_OBJECT:
        return generate_object(g, node, in, sink);
    case AST_NEGATE:
        return generate_simple(g, node, in, sink, (const struct ast *[]){node->kid[0]}, 1, finish_negate);
    case AST_BINARY:
        return generate_simple(g, node, in, sink, (const struct ast *[]){node->kid[1], node->kid[0]}, 2, finish_binary);
    case AST_AND:
    case AST_OR:
        return generate_logic(g, node, only_value(in.value), sink);
    case AST_ALT:
        return generate_alt(g, node, in, sink);
    case AST_PIPE:
        return generate_pipe(g, node, in, sink);
    case AST_COMMA:
        return generate_comma(g, node, in, sink);
    case AST_IF:
        return generate_if(g, node, in, sink);
    case AST_TRY:
        return node->kid[1] ? generate_catch(g, node, in, sink) : generate_try(g, node, in, sink);
    case AST_AS:
        return generate_as(g, node, in, sink);
    case AST_REDUCE:
    case AST_FOREACH:
        return generate_fold(g, node, in, sink);
    case AST_VAR:
        return take(g, sink, node->binding->place);
    case AST_NAMED:
        return take(g, sink, (uint16_t)(REGISTER_INPUT + 1 + node->index));
    case AST_LABEL:
        return generate_label(g, node, in, sink);
    case AST_BREAK:
        return emit(g, CODE_JUMP, node->binding->place, 0, 0);
    case AST_EMPTY:
        return OK;
    case AST_FIRST:
        return generate_first(g, node, in, sink);
    case AST_RANGE:
        return generate_simple(g, node, in, sink, (const struct ast *[]){node->kid[0], node->kid[1], node->kid[2]},
                               node->kid[2]   ? 3
                               : node->kid[1] ? 2
                                              : 1,
                               finish_range);
    case AST_KINDS:
        return generate_kinds(g, node, in, sink);
    case AST_PATH:
        return generate_path(g, node, in, sink);
    case AST_GETPATH:
        return generate_simple(g, node, in, sink, (const struct ast *[]){node->kid[0]}, 1, finish_getpath);
    case AST_CALL:
        return generate_call(g, node, in, sink);
    case AST_ENTRY:
        break;
    }
    die("a node that is none: %d", (int)node->kind);
}

static err_t generate(struct generator *g, const struct ast *node, struct place in, struct sink *sink)
{
    uint32_t at = g->at;

    if (++g->depth > SINK_DEPTH_MAX)
        return fail(E_TOO_LARGE,
                    "the expression is too complicated: name parts of it with 'as', or collect them with '[…]'");
    g->at = node->from;
    TRY(generate_inside(g, node, in, sink));
    g->at = at;
    g->depth--;
    return OK;
}

/* --- the whole --- */

enum operand_kind { OPERAND_R, OPERAND_L, OPERAND_X };

static const uint8_t operand_kinds[][3] = {
#define OPERAND_ROW(name, a, b, c) {OPERAND_##a, OPERAND_##b, OPERAND_##c},
    OPCODES(OPERAND_ROW)
#undef OPERAND_ROW
};

/* Final numbers: inputs first, then constants, then everything else. */
static void resolve(struct generator *g, uint32_t inputs)
{
    for (uint32_t i = 0; i < g->count; i++) {
        struct instruction *at = &g->code[i];
        uint16_t *operands[] = {&at->a, &at->b, &at->c};
        for (int k = 0; k < 3; k++) {
            uint16_t *operand = operands[k];
            if (operand_kinds[at->code][k] == OPERAND_L) {
                KNOWN(g->labels);
                *operand = (uint16_t)g->labels[*operand];
            } else if (operand_kinds[at->code][k] == OPERAND_R && *operand >= CONSTANT_BASE)
                *operand = (uint16_t)(inputs + *operand - CONSTANT_BASE);
            else if (operand_kinds[at->code][k] == OPERAND_R && *operand >= inputs)
                *operand = (uint16_t)(*operand + g->constant_count);
        }
        if (g->handlers[i] != NO_HANDLER)
            g->handlers[i] = (uint16_t)g->labels[g->handlers[i]];
    }
}

err_t expr_generate(struct parse_shared *shared, const struct ast *root, struct expr *to)
{
    uint32_t inputs = REGISTER_INPUT + 1 + (uint32_t)shared->env->named_count;
    struct generator g = {.shared = shared, .arena = shared->arena, .registers = inputs, .handler = NO_HANDLER};
    struct place result;

    TRY(generate_one(&g, root, only_value(REGISTER_INPUT), &result));
    TRY(emit(&g, CODE_RETURN, result.value, 0, 0));
    if (g.registers + g.constant_count >= REGISTERS_MAX)
        return fail(E_TOO_LARGE, "the expression is too complicated");
    resolve(&g, inputs);
    to->code = g.code;
    to->handlers = g.handlers;
    to->places = g.places;
    to->count = g.count;
    to->constants = g.constants;
    to->constant_count = g.constant_count;
    to->named_count = (uint32_t)shared->env->named_count;
    to->register_count = g.registers + g.constant_count;
    to->names = g.names;
    to->calls = g.calls;
    return OK;
}
