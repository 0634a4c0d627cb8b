/*
 * infer.c - types: what each part of a program yields for what it is given.
 *
 * One walk from the input to the result. A flow is what goes from one part into the next: a type, and where in an input the value comes
 * from, as long as it is a part of one; whatever looks at a flow puts its origin into the read set. A part that can fail is refused
 * unless it stands within `try` or `?`; of values of which no schema tells anything, nothing is demanded. The type that a fold
 * accumulates is found by repeating its body until it does not grow any more, and widened if it goes on growing.
 *
 * Each node has been annotated by its last visit, which is the one with the final types. Work is bounded by WORK_MAX.
 */
#include "expr/infer.h"

#include "expr/builtin.h"
#include "expr/origin.h"
#include "expr/type.h"

#include <math.h>
#include <stdio.h>

enum {
    WORK_MAX = 400000, /* visits of nodes, and types made */
    ROUNDS_MAX = 4,    /* of a fold, before its type is widened */
    READS_MAX = 256,   /* paths; a program with more is said to read everything */
};

struct flow {
    const struct expr_type *type;
    const struct origin *origin; /* NULL: it is no part of an input */
};

struct infer {
    struct parse_shared *shared;
    struct arena *arena;
    unsigned work;
    bool has_schema;  /* of the input: without one, only what always fails is refused */
    unsigned handled; /* `try`s and `?`s around        */
    unsigned quiet;   /* rounds of folds that are not the last around */
    bool can_fail;    /* something since this was cleared can */
    /* What was looked at, in the order of visits; of a node that is visited again only the last one counts. */
    const struct origin **log;
    uint32_t log_count, log_cap;
    bool reads_too_much;
};

static err_t visit(struct infer *in, struct ast *node, struct flow input, struct flow *ret);

/* --- what is read --- */

static void read_origin(struct infer *in, const struct origin *origin)
{
    if (!origin || in->quiet)
        return;
    if (in->log_count == ORIGIN_LOG_MAX) {
        in->reads_too_much = true;
        return;
    }
    if (in->log_count == in->log_cap) {
        in->log_cap = in->log_cap ? 2 * in->log_cap : 32;
        const struct origin **larger = arena_alloc(in->arena, in->log_cap * sizeof *larger);
        if (in->log_count)
            memcpy(larger, in->log, in->log_count * sizeof *larger);
        in->log = larger;
    }
    in->log[in->log_count++] = origin;
}

/* --- what can fail --- */

static const char *kinds_text(uint8_t kinds, char *to, size_t room)
{
    size_t n = 0;
    const char *between = "";

    to[0] = '\0';
    for (enum json_kind kind = JSON_NULL; kind <= JSON_OBJECT; kind++) {
        if (!(kinds & (1 << kind)) || (kind == JSON_TRUE && (kinds & EXPR_IS_FALSE)))
            continue;
        n += (size_t)snprintf(to + n, room - n, "%s%s", between, value_kind_name(kind));
        between = " or ";
    }
    return to;
}

/* `what` wants one of `accepted`; the type says what it gets. */
static err_t want(struct infer *in, const struct ast *at, const char *what, const struct expr_type *type,
                  uint8_t accepted)
{
    uint8_t wrong = type->kinds & (uint8_t)~accepted;
    char gets[96], wants[96];

    if (!wrong || !type->kinds)
        return OK;
    in->can_fail = true;
    bool always = !(type->kinds & accepted);
    if (in->handled || in->quiet || ((type->unchecked || !in->has_schema) && !always))
        return OK;
    kinds_text(wrong, gets, sizeof gets);
    kinds_text(accepted, wants, sizeof wants);
    if (always)
        return expr_refuse(in->shared, at->from, at->to, "%s takes %s, and this is %s", what, wants, gets);
    return expr_refuse(in->shared, at->from, at->to, "%s takes %s, and this may be %s: %s", what, wants, gets,
                       wrong == EXPR_IS_NULL ? "give it a default with '//', or handle the failure with '?' or 'try'"
                                             : "handle the failure with '?' or 'try'");
}

/* It can fail for what is in a value. */
static err_t may_fail(struct infer *in, const struct ast *at, bool unchecked, const char *what)
{
    in->can_fail = true;
    if (in->handled || in->quiet || unchecked || !in->has_schema)
        return OK;
    return expr_refuse(in->shared, at->from, at->to, "%s: handle that with '?' or 'try'", what);
}

/* --- helpers --- */

/* Visit a node whose result is looked at. */
static err_t use(struct infer *in, struct ast *node, struct flow input, const struct expr_type **ret_type)
{
    struct flow flow;

    TRY(visit(in, node, input, &flow));
    read_origin(in, flow.origin);
    *ret_type = flow.type;
    return OK;
}

/* A node yields as often as this kid does for each of its yields. */
static void repeat(struct ast *node, const struct ast *kid)
{
    node->may_be_none |= kid->may_be_none;
    node->may_be_many |= kid->may_be_many;
}

/* Two flows that become one. */
static struct flow join(struct infer *in, struct flow x, struct flow y)
{
    if (!x.type->kinds)
        return y;
    if (!y.type->kinds)
        return x;
    in->work++;
    if (x.origin == y.origin)
        return (struct flow){type_union(in->arena, x.type, y.type), x.origin};
    read_origin(in, x.origin);
    read_origin(in, y.origin);
    return (struct flow){type_union(in->arena, x.type, y.type), NULL};
}

static struct flow computed(const struct expr_type *type)
{
    return (struct flow){type, NULL};
}

/* --- steps into a value --- */

static err_t no_such_field(struct infer *in, const struct ast *at, const struct expr_type *type, struct str name)
{
    const struct expr_field *nearest = NULL;
    unsigned least = 3;

    for (size_t i = 0; i < type->field_count; i++) {
        unsigned distance = str_distance(type->fields[i].name, name);
        if (distance < least) {
            least = distance;
            nearest = &type->fields[i];
        }
    }
    if (nearest)
        return expr_refuse(in->shared, at->from, at->to, "there is no field \"%.*s\" here; did you mean \"%.*s\"?",
                           STR_ARG(name), STR_ARG(nearest->name));
    return expr_refuse(in->shared, at->from, at->to, "there is no field \"%.*s\" here", STR_ARG(name));
}

static err_t into_member(struct infer *in, struct ast *node, struct flow base, struct str name, struct flow *ret)
{
    const struct expr_type *member;
    char what[96];

    (void)snprintf(what, sizeof what, "\".%.*s\"", (int)(name.n < 60 ? name.n : 60), name.p);
    TRY(want(in, node, what, base.type, EXPR_IS_NULL | EXPR_IS_OBJECT));
    member = type_member(in->arena, base.type, name);
    if (!member)
        return in->quiet ? OK : no_such_field(in, node, base.type, name);
    if (base.type->kinds & EXPR_IS_NULL)
        member = type_union(in->arena, member, &expr_type_null);
    *ret = (struct flow){member, origin_step(in->arena, base.origin, origin_member(in->arena, name))};
    return OK;
}

static err_t into_any(struct infer *in, struct ast *node, struct flow base, const struct expr_type *key,
                      struct flow *ret)
{
    uint8_t accepted = EXPR_IS_NULL;
    const struct expr_type *inside = &expr_type_null;

    TRY(want(in, node, "an index", key, EXPR_IS_NULL | EXPR_IS_NUMBER | EXPR_IS_STRING | EXPR_IS_ARRAY));
    if (key->kinds & EXPR_IS_STRING) {
        accepted |= EXPR_IS_OBJECT;
        inside = type_union(in->arena, inside, type_inside(in->arena, type_only(in->arena, base.type, EXPR_IS_OBJECT)));
    }
    if (key->kinds & EXPR_IS_NUMBER) {
        accepted |= EXPR_IS_ARRAY;
        if (base.type->kinds & EXPR_IS_ARRAY)
            inside = type_union(in->arena, inside, type_items(base.type));
    }
    if (key->kinds & EXPR_IS_ARRAY) {
        accepted |= EXPR_IS_ARRAY;
        inside = type_union(in->arena, inside, type_array(in->arena, &expr_type_number));
    }
    if ((key->kinds & (key->kinds - 1)) && !key->unchecked && !base.type->unchecked)
        TRY(may_fail(in, node, false, "an index of this type may not fit the value"));
    TRY(want(in, node, key->kinds == EXPR_IS_STRING ? "a string as index" : "this index", base.type, accepted));
    *ret = (struct flow){inside, origin_step(in->arena, base.origin, STR("[]"))};
    return OK;
}

static err_t visit_index(struct infer *in, struct ast *node, struct flow input, struct flow *ret)
{
    const struct expr_type *key = NULL;
    struct flow base;
    const struct ast *index = node->kid[1];

    if (node->kind == AST_INDEX)
        TRY(use(in, node->kid[1], input, &key));
    TRY(visit(in, node->kid[0], input, &base));
    repeat(node, node->kid[0]);
    if (index)
        repeat(node, index);
    bool outside = in->can_fail;
    in->can_fail = false;
    in->handled += node->is_optional;
    if (node->kind == AST_FIELD)
        TRY(into_member(in, node, base, node->text, ret));
    else if (index && index->kind == AST_LITERAL && index->value.kind == JSON_STRING)
        TRY(into_member(in, node, base, str_of(index->value.text, index->value.n), ret));
    else
        TRY(into_any(in, node, base, key, ret));
    in->handled -= node->is_optional;
    if (node->is_optional) {
        node->may_be_none |= in->can_fail;
        in->can_fail = outside;
    }
    in->can_fail |= outside;
    return OK;
}

static err_t visit_slice(struct infer *in, struct ast *node, struct flow input, struct flow *ret)
{
    const struct expr_type *bound;
    struct flow base;

    for (int i = 1; i <= 2; i++)
        if (node->kid[i]) {
            TRY(use(in, node->kid[i], input, &bound));
            TRY(want(in, node->kid[i], "a slice", bound, EXPR_IS_NULL | EXPR_IS_NUMBER));
            repeat(node, node->kid[i]);
        }
    TRY(visit(in, node->kid[0], input, &base));
    repeat(node, node->kid[0]);
    bool outside = in->can_fail;
    in->can_fail = false;
    in->handled += node->is_optional;
    TRY(want(in, node, "a slice", base.type, EXPR_IS_NULL | EXPR_IS_STRING | EXPR_IS_ARRAY));
    in->handled -= node->is_optional;
    node->may_be_none |= node->is_optional && in->can_fail;
    in->can_fail = outside || (in->can_fail && !node->is_optional);
    *ret = (struct flow){type_only(in->arena, base.type, EXPR_IS_NULL | EXPR_IS_STRING | EXPR_IS_ARRAY), base.origin};
    return OK;
}

static err_t visit_each(struct infer *in, struct ast *node, struct flow input, struct flow *ret)
{
    struct flow base;

    TRY(visit(in, node->kid[0], input, &base));
    bool outside = in->can_fail;
    in->handled += node->is_optional;
    TRY(want(in, node, "\".[]\"", base.type, EXPR_IS_ARRAY | EXPR_IS_OBJECT));
    in->handled -= node->is_optional;
    if (node->is_optional)
        in->can_fail = outside;
    node->may_be_none = node->may_be_many = true;
    *ret = (struct flow){type_inside(in->arena, base.type), origin_step(in->arena, base.origin, STR("[]"))};
    return OK;
}

/* --- operators --- */

static uint8_t result_of_add(uint8_t x, uint8_t y)
{
    uint8_t same = x & y & (EXPR_IS_NUMBER | EXPR_IS_STRING | EXPR_IS_ARRAY | EXPR_IS_OBJECT);

    if (x & EXPR_IS_NULL)
        same |= y;
    if (y & EXPR_IS_NULL)
        same |= x;
    return same;
}

static uint8_t result_of(enum binary_op op, uint8_t x, uint8_t y)
{
    uint8_t same = x & y, result = 0;

    switch (op) {
    case OP_ADD:
        return result_of_add(x, y);
    case OP_SUBTRACT:
        return same & (EXPR_IS_NUMBER | EXPR_IS_ARRAY);
    case OP_MULTIPLY:
        result = same & (EXPR_IS_NUMBER | EXPR_IS_OBJECT);
        if ((x & EXPR_IS_STRING && y & EXPR_IS_NUMBER) || (x & EXPR_IS_NUMBER && y & EXPR_IS_STRING))
            result |= EXPR_IS_STRING | EXPR_IS_NULL;
        return result;
    case OP_DIVIDE:
        return (same & EXPR_IS_NUMBER) | (same & EXPR_IS_STRING ? EXPR_IS_ARRAY : 0);
    case OP_MODULO:
        return same & EXPR_IS_NUMBER;
    case OP_EQ:
    case OP_NE:
    case OP_LT:
    case OP_LE:
    case OP_GT:
    case OP_GE:
        return EXPR_IS_BOOL;
    }
    die("no such operator: %d", (int)op);
}

/* Is there a pair of kinds, one of each, that the operator refuses? */
static bool some_pair_fails(enum binary_op op, uint8_t x, uint8_t y)
{
    for (unsigned i = 1; i <= EXPR_IS_OBJECT; i *= 2)
        for (unsigned k = 1; k <= EXPR_IS_OBJECT; k *= 2)
            if ((x & i) && (y & k) && !result_of(op, (uint8_t)i, (uint8_t)k))
                return true;
    return false;
}

static err_t check_operands(struct infer *in, const struct ast *node, const struct expr_type *x,
                            const struct expr_type *y)
{
    static const char *const names[] = {"+", "-", "*", "/", "%"};
    char left[96], right[96];
    bool always = !result_of(node->op, x->kinds, y->kinds), unchecked = x->unchecked || y->unchecked || !in->has_schema;

    if (node->op >= OP_EQ || !x->kinds || !y->kinds)
        return OK;
    in->can_fail = true; /* an overflow, though nobody has to handle that */
    if (in->handled || in->quiet)
        return OK;
    kinds_text(x->kinds, left, sizeof left);
    kinds_text(y->kinds, right, sizeof right);
    if (always)
        return expr_refuse(in->shared, node->from, node->to, "'%s' takes no %s and %s", names[node->op], left, right);
    if (!unchecked && some_pair_fails(node->op, x->kinds, y->kinds))
        return expr_refuse(
            in->shared, node->from, node->to,
            "'%s' may not fit %s and %s: give defaults with '//', or handle the failure with '?' or 'try'",
            names[node->op], left, right);
    return OK;
}

static err_t check_divisor(struct infer *in, const struct ast *node, const struct expr_type *y)
{
    const struct ast *divisor = node->kid[1];

    if ((node->op != OP_DIVIDE && node->op != OP_MODULO) || !(y->kinds & EXPR_IS_NUMBER))
        return OK;
    if (divisor->kind != AST_LITERAL)
        return may_fail(in, node, y->unchecked, "a division by zero fails");
    double d = fabs(value_number(divisor->value));
    if (d == 0 || (node->op == OP_MODULO && d < 1))
        return expr_refuse(in->shared, node->from, node->to, "a division by zero always fails");
    return OK;
}

/* What is computed from something unknown is unknown as far as it depends on that: so if one of both is. */
static const struct expr_type *binary_type(struct infer *in, const struct ast *node, const struct expr_type *x,
                                           const struct expr_type *y)
{
    uint8_t kinds = result_of(node->op, x->kinds, y->kinds);

    if (node->op >= OP_EQ)
        return &expr_type_bool;
    if (node->op == OP_SUBTRACT)
        return type_only(in->arena, x, kinds);
    if (node->op == OP_ADD && (kinds & (EXPR_IS_ARRAY | EXPR_IS_OBJECT)))
        return type_only(in->arena, type_union(in->arena, x, y), kinds);
    struct expr_type *type = arena_new(in->arena, struct expr_type);
    if (node->op == OP_DIVIDE && (kinds & EXPR_IS_ARRAY))
        *type = *type_union(in->arena, type_of_kinds(in->arena, kinds & EXPR_IS_NUMBER),
                            type_array(in->arena, &expr_type_string));
    else
        *type = *type_of_kinds(in->arena, kinds);
    type->unchecked = x->unchecked || y->unchecked;
    return type;
}

/* Members of both, those of the right one first: the type of x + y for objects that are known. */
static const struct expr_type *merged(struct infer *in, const struct expr_type *x, const struct expr_type *y)
{
    struct expr_field *fields = arena_alloc(in->arena, (x->field_count + y->field_count) * sizeof *fields);
    struct expr_type *type = arena_new(in->arena, struct expr_type);
    size_t n = 0;

    *type = (struct expr_type){.kinds = EXPR_IS_OBJECT, .rest = &expr_type_none, .fields = fields};
    for (size_t i = 0; i < y->field_count; i++)
        if (!y->fields[i].optional)
            fields[n++] = y->fields[i];
    for (size_t i = 0; i < x->field_count; i++) {
        bool replaced = false;
        for (size_t k = 0; k < n && !replaced; k++)
            replaced = str_eq(fields[k].name, x->fields[i].name);
        if (!replaced)
            fields[n++] = x->fields[i];
    }
    type->field_count = n;
    return type;
}

/* Objects whose members are all known, none of them perhaps absent. */
static bool is_known_object(const struct expr_type *type)
{
    bool known = type->kinds == EXPR_IS_OBJECT && type->rest && !type->rest->kinds;

    for (size_t i = 0; i < type->field_count; i++)
        known &= !type->fields[i].optional;
    return known;
}

static err_t visit_binary(struct infer *in, struct ast *node, struct flow input, struct flow *ret)
{
    const struct expr_type *x, *y;

    TRY(use(in, node->kid[1], input, &y));
    TRY(use(in, node->kid[0], input, &x));
    repeat(node, node->kid[0]);
    repeat(node, node->kid[1]);
    TRY(check_operands(in, node, x, y));
    TRY(check_divisor(in, node, y));
    if (node->op == OP_ADD && is_known_object(x) && is_known_object(y))
        *ret = computed(merged(in, x, y));
    else
        *ret = computed(binary_type(in, node, x, y));
    return OK;
}

static err_t visit_logic(struct infer *in, struct ast *node, struct flow input, struct flow *ret)
{
    const struct expr_type *type;

    for (int i = 0; i < 2; i++) {
        TRY(use(in, node->kid[i], input, &type));
        repeat(node, node->kid[i]);
    }
    *ret = computed(&expr_type_bool);
    return OK;
}

static err_t visit_alt(struct infer *in, struct ast *node, struct flow input, struct flow *ret)
{
    struct flow x, y;

    TRY(visit(in, node->kid[0], input, &x));
    TRY(visit(in, node->kid[1], input, &y));
    node->may_be_many = node->kid[0]->may_be_many || node->kid[1]->may_be_many;
    node->may_be_none = node->kid[1]->may_be_none;
    x.type = type_only(in->arena, x.type, EXPR_IS_ANY & ~(EXPR_IS_NULL | EXPR_IS_FALSE));
    *ret = join(in, x, y);
    return OK;
}

static err_t visit_negate(struct infer *in, struct ast *node, struct flow input, struct flow *ret)
{
    const struct expr_type *type;

    TRY(use(in, node->kid[0], input, &type));
    repeat(node, node->kid[0]);
    *ret = computed(&expr_type_number);
    return want(in, node, "'-'", type, EXPR_IS_NUMBER);
}

/* --- construction --- */

/* Rows and words are made of scalars, and base64 can be anything but that. */
static err_t check_format(struct infer *in, const struct ast *at, struct str format, const struct expr_type *type)
{
    bool is_row = str_eq(format, STR("@csv")) || str_eq(format, STR("@tsv")), is_words = str_eq(format, STR("@sh"));
    const struct expr_type *cells = type->kinds & EXPR_IS_ARRAY ? type_items(type) : &expr_type_none;

    if (is_row)
        TRY(want(in, at, "this format", type, EXPR_IS_ARRAY));
    if (is_words)
        TRY(want(in, at, "this format", type, EXPR_IS_ANY & ~EXPR_IS_OBJECT));
    if ((is_row || is_words) && (cells->kinds & (EXPR_IS_ARRAY | EXPR_IS_OBJECT)))
        return may_fail(in, at, cells->unchecked, "this format refuses arrays and objects in a row");
    if (str_eq(format, STR("@base64d")))
        return may_fail(in, at, type->unchecked, "@base64d fails for what is not base64");
    if (str_eq(format, STR("@urid")))
        return may_fail(in, at, type->unchecked, "@urid fails for what is not percent-encoded UTF-8");
    return OK;
}

static err_t visit_text(struct infer *in, struct ast *node, struct flow input, struct flow *ret)
{
    const struct expr_type *type;

    for (struct ast *piece = node->kid[0]; piece; piece = piece->next) {
        TRY(use(in, piece, input, &type));
        repeat(node, piece);
        if (!piece->is_piece)
            TRY(check_format(in, piece, node->text, type));
    }
    *ret = computed(&expr_type_string);
    return OK;
}

static err_t visit_array(struct infer *in, struct ast *node, struct flow input, struct flow *ret)
{
    const struct expr_type *items = &expr_type_none;

    if (node->kid[0])
        TRY(use(in, node->kid[0], input, &items));
    *ret = computed(type_array(in->arena, items));
    return OK;
}

static err_t visit_object(struct infer *in, struct ast *node, struct flow input, struct flow *ret)
{
    struct expr_type *type = arena_new(in->arena, struct expr_type);
    const struct expr_type *key, *value, *others = &expr_type_none;
    size_t count = 0, n = 0;

    for (const struct ast *entry = node->kid[0]; entry; entry = entry->next)
        count++;
    struct expr_field *fields = arena_alloc(in->arena, count * sizeof *fields);
    for (struct ast *entry = node->kid[0]; entry; entry = entry->next) {
        TRY(use(in, entry->kid[0], input, &key));
        TRY(use(in, entry->kid[1], input, &value));
        TRY(want(in, entry->kid[0], "the name of a member", key, EXPR_IS_STRING));
        repeat(node, entry->kid[0]);
        repeat(node, entry->kid[1]);
        if (entry->kid[0]->kind != AST_LITERAL || entry->kid[0]->value.kind != JSON_STRING) {
            others = type_union(in->arena, others, value);
            continue;
        }
        struct str name = str_of(entry->kid[0]->value.text, entry->kid[0]->value.n);
        size_t at = 0;
        while (at < n && !str_eq(fields[at].name, name))
            at++;
        fields[at] = (struct expr_field){.name = name, .type = value};
        n += at == n;
    }
    /* A computed name may be one of the others'. */
    for (size_t i = 0; i < n && others->kinds; i++)
        fields[i].type = type_union(in->arena, fields[i].type, others);
    *type = (struct expr_type){.kinds = EXPR_IS_OBJECT, .fields = fields, .field_count = n, .rest = others};
    *ret = computed(type);
    return OK;
}

/* --- flow --- */

static uint8_t kind_named(struct str name)
{
    uint8_t kinds = 0;

    for (enum json_kind kind = JSON_NULL; kind <= JSON_OBJECT; kind++)
        if (str_eq(name, str_from_c(value_kind_name(kind))))
            kinds |= (uint8_t)(1 << kind);
    return kinds;
}

/* Kinds of `.` for which the condition can hold, as far as it is a test of that: `type == "x"`, `. == null`, `.`. */
static uint8_t kinds_if(const struct ast *condition, bool holds)
{
    const struct ast *x = condition->kid[0], *y = condition->kid[1];

    if (condition->kind == AST_IDENTITY)
        return holds ? EXPR_IS_ANY & ~(EXPR_IS_NULL | EXPR_IS_FALSE) : EXPR_IS_NULL | EXPR_IS_FALSE;
    if (condition->kind == AST_AND && holds)
        return kinds_if(x, true) & kinds_if(y, true);
    if (condition->kind == AST_OR && !holds)
        return kinds_if(x, false) & kinds_if(y, false);
    if (condition->kind != AST_BINARY || (condition->op != OP_EQ && condition->op != OP_NE) || y->kind != AST_LITERAL)
        return EXPR_IS_ANY;
    uint8_t kinds = 0;
    if (x->kind == AST_CALL && strcmp(x->builtin->name, "type") == 0 && y->value.kind == JSON_STRING)
        kinds = kind_named(str_of(y->value.text, y->value.n));
    else if (x->kind == AST_IDENTITY && y->value.kind <= JSON_TRUE)
        kinds = (uint8_t)(1 << y->value.kind);
    else
        return EXPR_IS_ANY;
    return holds == (condition->op == OP_EQ) ? kinds : (uint8_t)(EXPR_IS_ANY & ~kinds);
}

static err_t visit_if(struct infer *in, struct ast *node, struct flow input, struct flow *ret)
{
    const struct expr_type *condition;
    struct flow x = input, y = input;

    TRY(use(in, node->kid[0], input, &condition));
    x.type = type_only(in->arena, input.type, kinds_if(node->kid[0], true));
    y.type = type_only(in->arena, input.type, kinds_if(node->kid[0], false));
    TRY(visit(in, node->kid[1], x, &x));
    TRY(visit(in, node->kid[2], y, &y));
    for (int i = 0; i < 3; i++)
        repeat(node, node->kid[i]);
    *ret = join(in, x, y);
    return OK;
}

static err_t visit_try(struct infer *in, struct ast *node, struct flow input, struct flow *ret)
{
    bool outside = in->can_fail;

    in->can_fail = false;
    in->handled++;
    TRY(visit(in, node->kid[0], input, ret));
    in->handled--;
    bool fails = in->can_fail;
    in->can_fail = outside;
    repeat(node, node->kid[0]);
    if (!node->kid[1]) {
        node->may_be_none |= fails;
        return OK;
    }
    struct flow caught;
    TRY(visit(in, node->kid[1], computed(&expr_type_unchecked), &caught));
    node->may_be_none |= fails && node->kid[1]->may_be_none;
    node->may_be_many |= node->kid[1]->may_be_many || (fails && node->kid[0]->may_be_many);
    if (fails)
        *ret = join(in, *ret, caught);
    return OK;
}

static err_t visit_as(struct infer *in, struct ast *node, struct flow input, struct flow *ret)
{
    struct flow source;

    TRY(visit(in, node->kid[0], input, &source));
    node->binding->type = source.type;
    node->binding->origin = source.origin;
    TRY(visit(in, node->kid[1], input, ret));
    repeat(node, node->kid[0]);
    repeat(node, node->kid[1]);
    return OK;
}

static err_t demand_one(struct infer *in, const struct ast *node, const char *what)
{
    if (in->quiet || (!node->may_be_none && !node->may_be_many))
        return OK;
    return expr_refuse(in->shared, node->from, node->to, "%s must yield exactly one value, and this may yield %s", what,
                       node->may_be_many ? "several" : "none");
}

/* The type that a fold keeps growing to: `body` of it is within it. */
static err_t grow(struct infer *in, struct ast *body, const struct expr_type *from, const struct expr_type **ret)
{
    const struct expr_type *type = from;

    in->quiet++;
    for (int round = 0;; round++) {
        struct flow out;
        TRY(visit(in, body, computed(type), &out));
        const struct expr_type *larger = type_union(in->arena, type, out.type);
        if (type_equal(larger, type))
            break;
        /* Growing on: give up what is inside first, then everything. */
        if (round >= ROUNDS_MAX) {
            struct expr_type *wide =
                (struct expr_type *)type_of_kinds(in->arena, round > ROUNDS_MAX ? EXPR_IS_ANY : larger->kinds);
            wide->unchecked = larger->unchecked;
            larger = wide;
        }
        type = larger;
    }
    in->quiet--;
    *ret = type;
    return OK;
}

static err_t visit_fold(struct infer *in, struct ast *node, struct flow input, struct flow *ret)
{
    struct flow source;
    const struct expr_type *init, *kept;

    TRY(visit(in, node->kid[0], input, &source));
    TRY(use(in, node->kid[1], input, &init));
    TRY(demand_one(in, node->kid[1], "the start of a fold"));
    node->binding->type = source.type;
    node->binding->origin = source.origin;
    TRY(grow(in, node->kid[2], init, &kept));
    const struct expr_type *updated;
    TRY(use(in, node->kid[2], computed(kept), &updated));
    TRY(demand_one(in, node->kid[2], "each step of a fold"));
    *ret = computed(kept);
    if (node->kind == AST_REDUCE)
        return OK;
    if (node->kid[3])
        TRY(visit(in, node->kid[3], computed(updated), ret));
    else
        *ret = computed(updated);
    node->may_be_none = node->may_be_many = true;
    return OK;
}

static err_t visit_range(struct infer *in, struct ast *node, struct flow input, struct flow *ret)
{
    const struct expr_type *bound;

    for (int i = 0; i < 3; i++)
        if (node->kid[i]) {
            TRY(use(in, node->kid[i], input, &bound));
            TRY(want(in, node->kid[i], "range", bound, EXPR_IS_NUMBER));
        }
    node->may_be_none = node->may_be_many = true;
    *ret = computed(&expr_type_number);
    return OK;
}

/* --- calls --- */

static const struct expr_type *keys_of(struct infer *in, const struct expr_type *input)
{
    uint8_t of_object = input->kinds & EXPR_IS_OBJECT ? EXPR_IS_STRING : 0,
            of_array = input->kinds & EXPR_IS_ARRAY ? EXPR_IS_NUMBER : 0;

    return type_of_kinds(in->arena, of_object | of_array);
}

static const struct expr_type *entries_of(struct infer *in, const struct expr_type *input)
{
    struct expr_field *fields = arena_alloc(in->arena, 2 * sizeof *fields);
    struct expr_type *entry = arena_new(in->arena, struct expr_type);

    fields[0] = (struct expr_field){.name = STR("key"), .type = keys_of(in, input)};
    fields[1] = (struct expr_field){.name = STR("value"), .type = type_inside(in->arena, input)};
    *entry = (struct expr_type){.kinds = EXPR_IS_OBJECT, .fields = fields, .field_count = 2, .rest = &expr_type_none};
    return entry;
}

/* What the elements of it add up to: one kind, or nobody knows; null if there are none. */
static const struct expr_type *sum_of(struct infer *in, const struct expr_type *input)
{
    const struct expr_type *inside = type_inside(in->arena, input);
    uint8_t kinds = inside->kinds & (uint8_t)~EXPR_IS_NULL;

    return kinds & (kinds - 1) ? &expr_type_unchecked : type_union(in->arena, inside, &expr_type_null);
}

/* The result that the signature says from `at` on. */
static const struct expr_type *read_result(struct infer *in, const char **at, const struct expr_type *input)
{
    const struct expr_type *type = &expr_type_none, *part;

    for (; **at && **at != ']' && **at != '}'; (*at)++) {
        char c = **at;
        if (c == '[' || c == '{') {
            (*at)++;
            part = read_result(in, at, input);
            part = c == '[' ? type_array(in->arena, part) : type_map(in->arena, part);
        } else if (c == 'T') {
            part = input;
        } else if (c == 'I') {
            part = type_inside(in->arena, input);
        } else if (c == 'E') {
            part = entries_of(in, input);
        } else if (c == 'K') {
            part = keys_of(in, input);
        } else if (c == 'A') {
            part = sum_of(in, input);
        } else if (c == 'U') {
            part = &expr_type_unchecked;
        } else if (c == 'V') {
            part = type_member(in->arena, type_inside(in->arena, input), STR("value"));
            part = part ? part : &expr_type_null;
        } else {
            part = type_of_kinds(in->arena, builtin_kinds_of(c));
        }
        type = type_union(in->arena, type, part);
    }
    return type;
}

static bool is_text_literal(const struct ast *node)
{
    return node->kind == AST_LITERAL && (node->value.kind == JSON_STRING || node->value.kind == JSON_NULL);
}

/* The name of a call as it is written: a built-in may be made of others. */
static struct str called(const struct infer *in, const struct ast *node)
{
    struct str text = str_slice(in->shared->text, node->from, node->to);
    size_t n = 0;

    while (n < text.n && (text.p[n] == '_' || (ascii_lower(text.p[n]) >= 'a' && ascii_lower(text.p[n]) <= 'z') ||
                          (text.p[n] >= '0' && text.p[n] <= '9')))
        n++;
    return n ? str_slice(text, 0, n) : str_from_c(node->builtin->name);
}

/* A value that a call takes: its kinds, and those of them that it may be refused for what is in it. */
static err_t check_value(struct infer *in, const struct ast *node, const struct expr_type *type, uint8_t kinds,
                         uint8_t risky)
{
    char what[100];
    struct str name = called(in, node);

    (void)snprintf(what, sizeof what, "%.*s", (int)(name.n < 40 ? name.n : 40), name.p);
    TRY(want(in, node, what, type, kinds));
    if (!(type->kinds & risky))
        return OK;
    (void)snprintf(what, sizeof what, "%.*s may fail for what is in the value", (int)(name.n < 40 ? name.n : 40),
                   name.p);
    return may_fail(in, node, type->unchecked, what);
}

/* What may fail for the types of input and arguments together. */
static err_t check_together(struct infer *in, const struct ast *node, const struct expr_type *const *types)
{
    char what[100];
    struct str name = called(in, node);
    bool unchecked = false;

    if (!node->builtin->can_refuse || !node->builtin->can_refuse(in->arena, types))
        return OK;
    for (unsigned i = 0; i <= node->builtin->arity; i++)
        unchecked |= types[i]->unchecked || type_inside(in->arena, types[i])->unchecked;
    (void)snprintf(what, sizeof what, "%.*s may fail for values of these types", (int)(name.n < 40 ? name.n : 40),
                   name.p);
    return may_fail(in, node, unchecked, what);
}

static err_t visit_call(struct infer *in, struct ast *node, struct flow input, struct flow *ret)
{
    uint8_t kinds[BUILTIN_ARGS_MAX + 1], risky[BUILTIN_ARGS_MAX + 1];
    const char *result = strrchr(node->builtin->signature, ')') + 1;
    const struct expr_type *types[BUILTIN_ARGS_MAX + 1] = {input.type};
    unsigned i = 0;

    builtin_kinds(node->builtin, kinds, risky);
    read_origin(in, input.origin);
    for (struct ast *arg = node->kid[0]; arg; arg = arg->next) {
        i++;
        TRY(use(in, arg, input, &types[i]));
        repeat(node, arg);
        /* Literal patterns are checked when they are compiled. */
        bool is_format = node->builtin->call == fn_format;
        bool is_checked = (node->builtin->takes_pattern || is_format) && is_text_literal(arg);
        if (is_format && is_checked && arg->value.kind == JSON_STRING)
            TRY(check_format(in, node, str_of(arg->value.text, arg->value.n), input.type));
        TRY(check_value(in, node, types[i], kinds[i], is_checked ? 0 : risky[i]));
    }
    TRY(check_value(in, node, input.type, kinds[0], risky[0]));
    TRY(check_together(in, node, types));
    /* Whatever is in C may raise an error, be it for a place out of bounds: a `?` behind it is never without effect. */
    in->can_fail = true;
    *ret = computed(read_result(in, &result, type_only(in->arena, input.type, kinds[0])));
    return OK;
}

/* --- paths --- */

static bool is_path(const struct ast *node)
{
    switch (node->kind) {
    case AST_IDENTITY:
    case AST_EMPTY:
    case AST_KINDS:
    case AST_BREAK:
    case AST_GETPATH:
        return true;
    case AST_FIELD:
    case AST_INDEX:
    case AST_SLICE:
    case AST_EACH:
    case AST_FIRST:
    case AST_LABEL:
        return is_path(node->kid[0]);
    case AST_PIPE:
    case AST_COMMA:
    case AST_ALT:
        return is_path(node->kid[0]) && is_path(node->kid[1]);
    case AST_TRY:
        return is_path(node->kid[0]) && (!node->kid[1] || is_path(node->kid[1]));
    case AST_IF:
        return is_path(node->kid[1]) && is_path(node->kid[2]);
    case AST_AS:
        return is_path(node->kid[1]);
    case AST_CALL:
        return strcmp(node->builtin->name, "error") == 0;
    case AST_LITERAL:
    case AST_TEXT:
    case AST_ARRAY:
    case AST_OBJECT:
    case AST_ENTRY:
    case AST_NEGATE:
    case AST_BINARY:
    case AST_AND:
    case AST_OR:
    case AST_REDUCE:
    case AST_FOREACH:
    case AST_VAR:
    case AST_NAMED:
    case AST_RANGE:
    case AST_PATH:
        return false;
    }
    die("no such node: %d", (int)node->kind);
}

/* `..` in a path: the paths of everything, which are those of the value and so never fail. */
static void spell_recursion(struct infer *in, struct ast *node)
{
    const struct builtin *nearest;
    struct ast *all, *parts[3];

    for (int i = 0; i < AST_KIDS; i++)
        if (node->kid[i] && node->kind != AST_CALL)
            spell_recursion(in, node->kid[i]);
    if (node->kind != AST_EACH || node->kid[0]->kind != AST_CALL || node->kid[0]->builtin->call != fn_recurse)
        return;
    all = node->kid[0];
    all->builtin = builtin_find(STR("_paths"), 0, &nearest);
    for (int i = 0; i < 3; i++) {
        parts[i] = arena_new(in->arena, struct ast);
        *parts[i] = (struct ast){.from = node->from, .to = node->to, .depth = node->depth};
    }
    parts[0]->kind = AST_COMMA;
    parts[0]->kid[0] = parts[1];
    parts[0]->kid[1] = parts[2];
    parts[1]->kind = AST_ARRAY;
    parts[2]->kind = AST_EACH;
    parts[2]->kid[0] = all;
    node->kind = AST_GETPATH;
    node->kid[0] = parts[0];
    node->is_optional = true;
}

static err_t visit_path(struct infer *in, struct ast *node, struct flow input, struct flow *ret)
{
    struct flow target;

    spell_recursion(in, node->kid[0]);
    if (!is_path(node->kid[0]))
        return expr_refuse(
            in->shared, node->kid[0]->from, node->kid[0]->to,
            "this is no path: only steps like '.a', '.[0]' and '.[]', and what chooses among them, can be changed");
    TRY(visit(in, node->kid[0], input, &target));
    read_origin(in, target.origin);
    repeat(node, node->kid[0]);
    *ret = computed(type_array(in->arena, type_of_kinds(in->arena, EXPR_IS_STRING | EXPR_IS_NUMBER | EXPR_IS_OBJECT)));
    return OK;
}

static err_t visit_getpath(struct infer *in, struct ast *node, struct flow input, struct flow *ret)
{
    const struct expr_type *path;

    TRY(use(in, node->kid[0], input, &path));
    TRY(want(in, node->kid[0], "getpath", path, EXPR_IS_ARRAY));
    if (!node->is_optional)
        TRY(may_fail(in, node, input.type->unchecked || path->unchecked,
                     "getpath fails where the path does not fit the value"));
    repeat(node, node->kid[0]);
    read_origin(in, input.origin);
    *ret = computed(input.type->unchecked ? &expr_type_unchecked : &expr_type_any);
    return OK;
}

/* --- all nodes --- */

static struct flow literal_flow(struct infer *in, const struct ast *node)
{
    return computed(type_of_kinds(in->arena, (uint8_t)(1 << node->value.kind)));
}

static err_t visit_pipe(struct infer *in, struct ast *node, struct flow input, struct flow *ret)
{
    TRY(visit(in, node->kid[0], input, &input));
    TRY(visit(in, node->kid[1], input, ret));
    repeat(node, node->kid[0]);
    repeat(node, node->kid[1]);
    return OK;
}

static err_t visit_comma(struct infer *in, struct ast *node, struct flow input, struct flow *ret)
{
    struct flow x, y;

    TRY(visit(in, node->kid[0], input, &x));
    TRY(visit(in, node->kid[1], input, &y));
    node->may_be_none = node->kid[0]->may_be_none && node->kid[1]->may_be_none;
    /* A side that yields nothing may still `break` or fail, after the other's value has been consumed. */
    node->may_be_many = true;
    *ret = join(in, x, y);
    return OK;
}

static err_t visit_named(struct infer *in, const struct ast *node, struct flow *ret)
{
    const struct expr_named *named = &in->shared->env->named[node->index];
    const struct origin *origin = origin_of_input(in->arena, arena_printf(in->arena, "$%.*s", STR_ARG(named->name)));

    *ret = (struct flow){named->type ? named->type : &expr_type_unchecked, origin};
    return OK;
}

static err_t visit_inside(struct infer *in, struct ast *node, struct flow input, struct flow *ret)
{
    switch (node->kind) {
    case AST_IDENTITY:
        *ret = input;
        return OK;
    case AST_LITERAL:
        *ret = literal_flow(in, node);
        return OK;
    case AST_FIELD:
    case AST_INDEX:
        return visit_index(in, node, input, ret);
    case AST_SLICE:
        return visit_slice(in, node, input, ret);
    case AST_EACH:
        return visit_each(in, node, input, ret);
    case AST_TEXT:
        return visit_text(in, node, input, ret);
    case AST_ARRAY:
        return visit_array(in, node, input, ret);
    case AST_OBJECT:
        return visit_object(in, node, input, ret);
    case AST_NEGATE:
        return visit_negate(in, node, input, ret);
    case AST_BINARY:
        return visit_binary(in, node, input, ret);
    case AST_AND:
    case AST_OR:
        return visit_logic(in, node, input, ret);
    case AST_ALT:
        return visit_alt(in, node, input, ret);
    case AST_PIPE:
        return visit_pipe(in, node, input, ret);
    case AST_COMMA:
        return visit_comma(in, node, input, ret);
    case AST_IF:
        return visit_if(in, node, input, ret);
    case AST_TRY:
        return visit_try(in, node, input, ret);
    case AST_AS:
        return visit_as(in, node, input, ret);
    case AST_REDUCE:
    case AST_FOREACH:
        return visit_fold(in, node, input, ret);
    case AST_VAR:
        *ret = (struct flow){node->binding->type, node->binding->origin};
        return OK;
    case AST_NAMED:
        return visit_named(in, node, ret);
    case AST_LABEL:
        TRY(visit(in, node->kid[0], input, ret));
        repeat(node, node->kid[0]);
        node->may_be_none = true;
        return OK;
    case AST_BREAK:
    case AST_EMPTY:
        node->may_be_none = true;
        *ret = computed(&expr_type_none);
        return OK;
    case AST_FIRST:
        TRY(visit(in, node->kid[0], input, ret));
        node->may_be_none = node->kid[0]->may_be_none;
        return OK;
    case AST_RANGE:
        return visit_range(in, node, input, ret);
    case AST_KINDS:
        read_origin(in, input.origin);
        *ret = (struct flow){type_only(in->arena, input.type, node->kinds), input.origin};
        node->may_be_none = (input.type->kinds & (uint8_t)~node->kinds) != 0;
        return OK;
    case AST_PATH:
        return visit_path(in, node, input, ret);
    case AST_GETPATH:
        return visit_getpath(in, node, input, ret);
    case AST_CALL:
        return visit_call(in, node, input, ret);
    case AST_ENTRY:
        break;
    }
    die("a node that is none: %d", (int)node->kind);
}

static err_t visit(struct infer *in, struct ast *node, struct flow input, struct flow *ret)
{
    if (++in->work > WORK_MAX)
        return fail(E_TOO_LARGE, "the expression is too complicated");
    node->may_be_none = node->may_be_many = false;
    *ret = computed(&expr_type_none);
    node->log_from = in->log_count;
    TRY(visit_inside(in, node, input, ret));
    node->log_to = in->log_count;
    node->type = ret->type;
    node->origin = ret->origin;
    return OK;
}

/* --- the whole --- */

/* Paths of everything that was looked at, and what the result is made of. */
static void settle(struct infer *in, const struct ast *root, struct infer_result *ret)
{
    uint32_t count = in->log_count;
    struct str *looks = arena_alloc(in->arena, (count + 1) * sizeof *looks);
    struct str *reads = arena_alloc(in->arena, (count + 1) * sizeof *reads);

    for (uint32_t i = 0; i < count; i++)
        reads[i] = looks[i] = origin_path(in->arena, in->log[i]);
    size_t n = origin_settle(reads, count);
    if (n > READS_MAX || in->reads_too_much) {
        reads[n < count ? n : count] = STR(".");
        n = origin_settle(reads, (n < count ? n : count) + 1);
    }
    ret->reads = reads;
    ret->read_count = n;
    expr_find_writes(in->arena, root, looks, ret);
}

/* The innermost part that makes the whole yield none or several. */
static const struct ast *culprit(const struct ast *node, bool many)
{
    for (;;) {
        const struct ast *inner = NULL;
        for (int i = 0; i < AST_KIDS && !inner && node->kind != AST_ARRAY; i++)
            for (const struct ast *kid = node->kid[i]; kid && !inner; kid = kid->next)
                if (many ? kid->may_be_many : kid->may_be_none)
                    inner = kid;
        if (!inner)
            return node;
        node = inner;
    }
}

err_t expr_infer(struct parse_shared *shared, struct ast *root, struct infer_result *ret)
{
    struct infer *in = arena_new(shared->arena, struct infer);
    const struct origin *origin = origin_of_input(shared->arena, STR("."));

    *in = (struct infer){.shared = shared, .arena = shared->arena, .has_schema = shared->env->input != NULL};
    struct flow input = {shared->env->input ? shared->env->input : &expr_type_unchecked, origin};
    TRY(use(in, root, input, &ret->type));
    if (root->may_be_many) {
        const struct ast *at = culprit(root, true);
        return expr_refuse(
            shared, at->from, at->to,
            "this may yield several values: collect them with '[…]', or take one with 'first(…)', 'any' or 'all'");
    }
    if (root->may_be_none) {
        const struct ast *at = culprit(root, false);
        return expr_refuse(shared, at->from, at->to,
                           "this may yield no value: say what then with '//', or collect with '[…]'");
    }
    settle(in, root, ret);
    return OK;
}
