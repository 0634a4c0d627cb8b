/*
 * parse.c - the text of a program as a tree (ast.h).
 *
 * Recursive descent, with precedence climbing for the operators, by jq's grammar. Names are resolved on the way, so that a built-in
 * written in the language can be put in place of its call without capturing anybody's variables: its text is parsed with its parameters
 * bound to the trees of the arguments, and each use of a parameter is a copy of its tree.
 *
 * Invariants: a node's depth is at most EXPR_DEPTH_MAX, nothing here calls itself more than NEST_MAX deep, and there are at most
 * EXPR_NODES_MAX nodes, copies included. What it does not do: types, and whether a path is one (infer.c).
 */
#include "base/utf8.h"
#include "expr/builtin.h"
#include "expr/lex.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    NEST_MAX = 200,   /* calls of the functions here within each other that enter() counts */
    PATTERN_MAX = 32, /* variables and steps of one pattern */
    MESSAGE_MAX = 400,
};

/* An argument that stands for a parameter while the definition of a built-in is parsed. */
struct parameter {
    struct str name;
    struct ast *argument;
};

struct parser {
    struct parse_shared *shared;
    struct str text;
    size_t at; /* behind the current word */
    struct token token;
    const struct binding *scope;
    unsigned nest;
    /* within the definition of a built-in: */
    const struct builtin *definition;
    struct parameter parameters[BUILTIN_ARGS_MAX];
    uint32_t call_from, call_to;
};

static err_t parse_pipe(struct parser *p, struct ast **ret);
static err_t parse_binary(struct parser *p, int level, struct ast **ret);
static err_t parse_postfix(struct parser *p, bool may_bind, struct ast **ret);

/* --- problems --- */

err_t expr_refuse(const struct parse_shared *shared, size_t from, size_t to, const char *fmt, ...)
{
    char message[MESSAGE_MAX];
    size_t line, column;
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    json_line_column(shared->text, from, &line, &column);
    column = 1;
    for (size_t i = from; i > 0 && shared->text.p[i - 1] != '\n'; i--)
        column += ((unsigned char)shared->text.p[i - 1] & 0xc0) != 0x80;
    if (shared->problem)
        *shared->problem = (struct expr_problem){
            .line = line,
            .column = column,
            .from = from,
            .to = to,
            .text = arena_str(shared->arena, str_from_c(message)),
        };
    return fail(E_PARSE, "line %zu, column %zu: %s", line, column, message);
}

/* Bytes that a problem at the current word is about. */
static err_t refuse_token(const struct parser *p, const char *message)
{
    return expr_refuse(p->shared, p->token.from, p->token.to, "%s", message);
}

static err_t expected(const struct parser *p, const char *what)
{
    if (p->token.kind == TOKEN_END)
        return expr_refuse(p->shared, p->token.from, p->token.to, "%s is expected, but the program ends here", what);
    return expr_refuse(p->shared, p->token.from, p->token.to, "%s is expected here", what);
}

/* What calls itself, by whatever way, enters here first, and lowers `nest` when it is done. */
static err_t enter(struct parser *p)
{
    if (p->nest >= NEST_MAX)
        return fail(E_TOO_LARGE, "the expression is nested too deep");
    p->nest++;
    return OK;
}

/* --- words --- */

static void advance(struct parser *p)
{
    p->token = lex_next(p->text, p->at);
    p->at = p->token.to;
}

static bool accept(struct parser *p, const char *sign)
{
    if (!token_is(&p->token, sign))
        return false;
    advance(p);
    return true;
}

static err_t expect(struct parser *p, const char *sign)
{
    char what[16];

    if (accept(p, sign))
        return OK;
    (void)snprintf(what, sizeof what, "'%s'", sign);
    return expected(p, what);
}

static err_t expect_word(struct parser *p, const char *word)
{
    char what[16];

    if (token_is_word(&p->token, word)) {
        advance(p);
        return OK;
    }
    (void)snprintf(what, sizeof what, "'%s'", word);
    return expected(p, what);
}

static bool is_keyword(struct str name)
{
    static const char *const words[] = {"def", "if",    "then",  "elif",   "else",    "end", "as", "reduce", "foreach",
                                        "try", "catch", "label", "import", "include", "and", "or", "__loc__"};

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(name, str_from_c(words[i])))
            return true;
    return false;
}

/* --- nodes --- */

static err_t new_node(struct parser *p, enum ast_kind kind, size_t from, struct ast **ret)
{
    if (++p->shared->nodes > EXPR_NODES_MAX)
        return fail(E_TOO_LARGE, "the expression has more than %d parts", EXPR_NODES_MAX);
    struct ast *node = arena_new(p->shared->arena, struct ast);
    node->kind = kind;
    node->depth = 1;
    node->from = p->definition ? p->call_from : (uint32_t)from;
    node->to = node->from;
    *ret = node;
    return OK;
}

/* The node is complete, up to where the current word begins. */
static err_t finish(const struct parser *p, struct ast *node)
{
    for (int i = 0; i < AST_KIDS; i++)
        for (const struct ast *kid = node->kid[i]; kid; kid = kid->next)
            if (kid->depth >= node->depth)
                node->depth = kid->depth + 1;
    if (node->depth > EXPR_DEPTH_MAX)
        return fail(E_TOO_LARGE, "the expression is nested more than %d deep", EXPR_DEPTH_MAX);
    if (p->definition) {
        node->to = p->call_to;
        return OK;
    }
    size_t to = p->token.from;
    while (to > node->from + 1 && strchr(" \t\r\n", p->text.p[to - 1]))
        to--;
    node->to = (uint32_t)to;
    return OK;
}

/* A node with up to three kids; NULL for those that it does not have. */
static err_t make(struct parser *p, enum ast_kind kind, size_t from, struct ast *a, struct ast *b, struct ast *c,
                  struct ast **ret)
{
    struct ast *node;

    TRY(new_node(p, kind, from, &node));
    node->kid[0] = a;
    node->kid[1] = b;
    node->kid[2] = c;
    *ret = node;
    return finish(p, node);
}

static err_t make_literal(struct parser *p, size_t from, struct expr_value value, struct ast **ret)
{
    TRY(make(p, AST_LITERAL, from, NULL, NULL, NULL, ret));
    (*ret)->value = value;
    return OK;
}

/* `-` in front of a number is a number. */
static err_t make_negation(struct parser *p, size_t from, struct ast *operand, struct ast **ret)
{
    if (operand->kind == AST_LITERAL && operand->value.kind == JSON_NUMBER)
        return make_literal(p, from, expr_number(-value_number(operand->value)), ret);
    return make(p, AST_NEGATE, from, operand, NULL, NULL, ret);
}

/* --- scope --- */

static struct binding *bind(struct parser *p, struct str name, bool is_label)
{
    struct binding *b = arena_new(p->shared->arena, struct binding);

    *b = (struct binding){.name = name, .outer = p->scope, .is_label = is_label};
    p->scope = b;
    return b;
}

static struct binding *find_binding(const struct parser *p, struct str name, bool is_label)
{
    for (const struct binding *b = p->scope; b; b = b->outer)
        if (b->is_label == is_label && str_eq(b->name, name))
            return (struct binding *)b;
    return NULL;
}

static err_t copy_tree(struct parser *p, const struct ast *from, struct ast **ret);

static err_t copy_list(struct parser *p, const struct ast *from, struct ast **ret)
{
    for (; from; from = from->next) {
        TRY(copy_tree(p, from, ret));
        ret = &(*ret)->next;
    }
    return OK;
}

/* Copy a tree; variables that it binds itself become new ones. */
static err_t copy_tree(struct parser *p, const struct ast *from, struct ast **ret)
{
    struct ast *node;
    bool binds =
        from->kind == AST_AS || from->kind == AST_REDUCE || from->kind == AST_FOREACH || from->kind == AST_LABEL;

    TRY(new_node(p, from->kind, from->from, &node));
    *node = *from;
    node->next = NULL;
    if (binds) {
        node->binding = arena_new(p->shared->arena, struct binding);
        *node->binding = *from->binding;
        from->binding->copy = node->binding;
    } else if (from->binding && from->binding->copy) {
        node->binding = from->binding->copy;
    }
    for (int i = 0; i < AST_KIDS; i++)
        TRY(copy_list(p, from->kid[i], &node->kid[i]));
    if (binds)
        from->binding->copy = NULL;
    *ret = node;
    return OK;
}

/* --- strings --- */

static err_t refuse_at(const struct parser *p, size_t from, size_t to, const char *message)
{
    return expr_refuse(p->shared, from, to, "%s", message);
}

/* \uXXXX at p->at, which is behind the 'u'; halves of a pair become one character, single halves U+FFFD. */
static err_t parse_unicode(struct parser *p, struct buf *b)
{
    uint64_t unit, low;
    char out[4];

    if (!str_hex_to_u64(str_slice(p->text, p->at, p->at + 4), 0xffff, &unit) || p->at + 4 > p->text.n)
        return refuse_at(p, p->at - 2, p->at, "\\u needs four hexadecimal digits");
    p->at += 4;
    if (unit >= 0xd800 && unit < 0xdc00 && str_starts(str_slice(p->text, p->at, p->text.n), STR("\\u")) &&
        str_hex_to_u64(str_slice(p->text, p->at + 2, p->at + 6), 0xffff, &low) && low >= 0xdc00 && low < 0xe000) {
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        p->at += 6;
    } else if (unit >= 0xd800 && unit < 0xe000) {
        unit = 0xfffd;
    }
    return buf_add(b, str_of(out, utf8_put(out, (uint32_t)unit)));
}

static err_t parse_escape(struct parser *p, struct buf *b)
{
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    char c = p->at < p->text.n ? p->text.p[p->at] : '\0';

    p->at++;
    if (c == 'u')
        return parse_unicode(p, b);
    const char *found = c ? strchr(letters, c) : NULL;
    if (!found)
        return refuse_at(p, p->at - 2, p->at < p->text.n ? p->at : p->text.n, "no such escape in a string");
    return buf_add_char(b, meant[found - letters]);
}

/* Text up to the closing quote or "\(", at p->at afterwards. */
static err_t parse_piece(struct parser *p, size_t quote, struct ast **ret)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(EXPR_TEXT_MAX);
    size_t from = p->at;

    for (;;) {
        if (p->at >= p->text.n)
            return refuse_at(p, quote, quote + 1, "this string has no end");
        char c = p->text.p[p->at];
        if (c == '"' || (c == '\\' && p->at + 1 < p->text.n && p->text.p[p->at + 1] == '('))
            break;
        p->at++;
        TRY(c == '\\' ? parse_escape(p, &text) : buf_add_char(&text, c));
    }
    TRY(make_literal(p, from, expr_string(arena_str(p->shared->arena, buf_str(&text))), ret));
    (*ret)->is_piece = true;
    return OK;
}

/* A string, from the quote that is the current word. A literal if nothing is put into it, else AST_TEXT. */
static err_t parse_string(struct parser *p, struct str format, struct ast **ret)
{
    size_t quote = p->token.from;
    struct ast *text, **last;

    TRY(new_node(p, AST_TEXT, quote, &text));
    text->text = format;
    last = &text->kid[0];
    for (;;) {
        TRY(parse_piece(p, quote, last));
        last = &(*last)->next;
        if (p->text.p[p->at] == '"')
            break;
        size_t hole = p->at;
        p->at += 2;
        advance(p);
        TRY(parse_pipe(p, last));
        if (!token_is(&p->token, ")"))
            return refuse_at(p, hole, hole + 2, "this \\( has no )");
        last = &(*last)->next;
    }
    p->at++;
    advance(p);
    TRY(finish(p, text));
    *ret = text->kid[0]->next ? text : text->kid[0];
    (*ret)->is_piece = false;
    (*ret)->from = text->from;
    (*ret)->to = text->to;
    return OK;
}

static err_t parse_format(struct parser *p, struct ast **ret)
{
    struct str format = p->token.text;
    size_t from = p->token.from, to = p->token.to;

    if (!format_exists(format))
        return expr_refuse(p->shared, from, to, "there is no format %.*s", STR_ARG(format));
    advance(p);
    if (p->token.kind == TOKEN_QUOTE)
        return parse_string(p, format, ret);
    struct ast *name;
    TRY(make_literal(p, from, expr_string(format), &name));
    TRY(make(p, AST_CALL, from, name, NULL, NULL, ret));
    const struct builtin *nearest;
    (*ret)->builtin = builtin_find(STR("format"), 1, &nearest);
    return OK;
}

/* --- objects --- */

/* The value of a member: terms and pipes of them, as jq's grammar has it. */
static err_t parse_member_value(struct parser *p, struct ast **ret)
{
    size_t from = p->token.from;
    struct ast *operand;

    TRY(enter(p));
    if (accept(p, "-")) {
        TRY(parse_postfix(p, true, &operand));
        TRY(make_negation(p, from, operand, ret));
    } else {
        TRY(parse_postfix(p, true, ret));
    }
    if (accept(p, "|")) {
        TRY(parse_member_value(p, &operand));
        TRY(make(p, AST_PIPE, from, *ret, operand, NULL, ret));
    }
    if (!token_is(&p->token, ",") && !token_is(&p->token, "}"))
        return refuse_token(p, "',' or '}' is expected here; put a value with operators in parentheses");
    p->nest--;
    return OK;
}

static err_t variable(struct parser *p, struct str name, size_t from, size_t to, struct ast **ret);

/* A key without a value: {a}, {$x}, {"a b"}. */
static err_t implied_value(struct parser *p, struct ast *key, size_t from, struct ast **ret)
{
    struct ast *input;

    TRY(make(p, AST_IDENTITY, from, NULL, NULL, NULL, &input));
    return make(p, AST_INDEX, from, input, key, NULL, ret);
}

static err_t parse_entry(struct parser *p, struct ast **ret)
{
    size_t from = p->token.from, to = p->token.to;
    struct str name = p->token.text;
    struct ast *key = NULL, *value = NULL, *copy;
    bool needs_value = false;

    if (p->token.kind == TOKEN_VAR) {
        advance(p);
        TRY(make_literal(p, from, expr_string(name), &key));
        TRY(variable(p, name, from, to, &value));
    } else if (p->token.kind == TOKEN_NAME) {
        advance(p);
        TRY(make_literal(p, from, expr_string(name), &key));
    } else if (p->token.kind == TOKEN_QUOTE || p->token.kind == TOKEN_FORMAT) {
        if (p->token.kind == TOKEN_FORMAT)
            TRY(parse_format(p, &key));
        else
            TRY(parse_string(p, STR_NONE, &key));
    } else if (accept(p, "(")) {
        TRY(parse_pipe(p, &key));
        TRY(expect(p, ")"));
        needs_value = true;
    } else {
        return expected(p, "the name of a member");
    }
    if (!value && accept(p, ":")) {
        TRY(parse_member_value(p, &value));
    } else if (needs_value) {
        return expected(p, "':' and a value");
    } else if (!value) {
        TRY(copy_tree(p, key, &copy));
        TRY(implied_value(p, copy, from, &value));
    }
    return make(p, AST_ENTRY, from, key, value, NULL, ret);
}

static err_t parse_object(struct parser *p, struct ast **ret)
{
    struct ast *object, **last;

    TRY(new_node(p, AST_OBJECT, p->token.from, &object));
    advance(p);
    last = &object->kid[0];
    while (!token_is(&p->token, "}")) {
        TRY(parse_entry(p, last));
        last = &(*last)->next;
        if (!token_is(&p->token, "}"))
            TRY(expect(p, ","));
    }
    advance(p);
    *ret = object;
    return finish(p, object);
}

/* --- variables and patterns --- */

static err_t variable(struct parser *p, struct str name, size_t from, size_t to, struct ast **ret)
{
    const struct expr_env *env = p->shared->env;
    struct binding *b = find_binding(p, name, false);

    if (b) {
        TRY(make(p, AST_VAR, from, NULL, NULL, NULL, ret));
        (*ret)->binding = b;
        return OK;
    }
    for (size_t i = 0; i < env->named_count; i++)
        if (str_eq(env->named[i].name, name)) {
            TRY(make(p, AST_NAMED, from, NULL, NULL, NULL, ret));
            (*ret)->index = (uint32_t)i;
            return OK;
        }
    if (str_eq(name, STR("ENV")) || str_eq(name, STR("__loc__")))
        return expr_refuse(p->shared, from, to, "$%.*s is not within this language: an expression sees its input only",
                           STR_ARG(name));
    return expr_refuse(p->shared, from, to, "there is no variable $%.*s here", STR_ARG(name));
}

/* A pattern as single steps: each binds a variable to what `source` yields. */
struct pattern {
    struct {
        struct ast *source;
        struct binding *binding;
    } step[PATTERN_MAX];
    unsigned count;
};

static err_t add_step(struct parser *p, struct pattern *to, struct ast *source, struct str name, struct binding **ret)
{
    if (to->count == PATTERN_MAX)
        return fail(E_TOO_LARGE, "a pattern has more than %d parts", PATTERN_MAX);
    *ret = bind(p, name, false);
    to->step[to->count].source = source;
    to->step[to->count++].binding = *ret;
    return OK;
}

static err_t parse_pattern(struct parser *p, struct ast *source, struct pattern *to);

/* The pattern of a part of `whole`: whole[key]. */
static err_t parse_part(struct parser *p, struct binding *whole, struct ast *key, size_t from, struct pattern *to)
{
    struct ast *base, *part;

    TRY(make(p, AST_VAR, from, NULL, NULL, NULL, &base));
    base->binding = whole;
    TRY(make(p, AST_INDEX, from, base, key, NULL, &part));
    return parse_pattern(p, part, to);
}

static err_t parse_array_pattern(struct parser *p, struct binding *whole, struct pattern *to)
{
    for (unsigned i = 0;; i++) {
        struct ast *index;
        size_t from = p->token.from;
        TRY(make_literal(p, from, expr_number(i), &index));
        TRY(parse_part(p, whole, index, from, to));
        if (accept(p, "]"))
            return OK;
        TRY(expect(p, ","));
    }
}

static err_t parse_member_pattern(struct parser *p, struct binding *whole, struct pattern *to)
{
    size_t from = p->token.from;
    struct str name = p->token.text;
    struct ast *key = NULL, *base, *part;
    struct binding *b;

    if (p->token.kind == TOKEN_VAR) {
        advance(p);
        TRY(make_literal(p, from, expr_string(name), &key));
        TRY(make(p, AST_VAR, from, NULL, NULL, NULL, &base));
        base->binding = whole;
        TRY(make(p, AST_INDEX, from, base, key, NULL, &part));
        TRY(add_step(p, to, part, name, &b));
        if (!accept(p, ":"))
            return OK;
        TRY(make(p, AST_VAR, from, NULL, NULL, NULL, &part));
        part->binding = b;
        return parse_pattern(p, part, to);
    }
    if (p->token.kind == TOKEN_NAME) {
        advance(p);
        TRY(make_literal(p, from, expr_string(name), &key));
    } else if (p->token.kind == TOKEN_QUOTE) {
        TRY(parse_string(p, STR_NONE, &key));
    } else {
        TRY(expect(p, "("));
        TRY(parse_pipe(p, &key));
        TRY(expect(p, ")"));
    }
    TRY(expect(p, ":"));
    return parse_part(p, whole, key, from, to);
}

static err_t parse_pattern_inside(struct parser *p, struct ast *source, struct pattern *to)
{
    struct binding *whole;

    if (p->token.kind == TOKEN_VAR) {
        struct str name = p->token.text;
        advance(p);
        return add_step(p, to, source, name, &whole);
    }
    /* A name that no program can write. */
    TRY(add_step(p, to, source, STR(""), &whole));
    if (accept(p, "["))
        return parse_array_pattern(p, whole, to);
    if (!accept(p, "{"))
        return expected(p, "a variable or a pattern");
    do
        TRY(parse_member_pattern(p, whole, to));
    while (accept(p, ","));
    return expect(p, "}");
}

static err_t parse_pattern(struct parser *p, struct ast *source, struct pattern *to)
{
    TRY(enter(p));
    TRY(parse_pattern_inside(p, source, to));
    p->nest--;
    if (token_is(&p->token, "?//"))
        return refuse_token(p, "alternatives of patterns are not within this language: test with 'if' or '//' instead");
    return OK;
}

/* `body` within the variables of a pattern, from its step `from` on. */
static err_t wrap(struct parser *p, const struct pattern *pattern, unsigned from, struct ast *body, struct ast **ret)
{
    for (unsigned i = pattern->count; i-- > from;) {
        TRY(make(p, AST_AS, pattern->step[i].source->from, pattern->step[i].source, body, NULL, &body));
        body->binding = pattern->step[i].binding;
    }
    *ret = body;
    return OK;
}

/* Behind `term as`. */
static err_t parse_as(struct parser *p, struct ast *term, struct ast **ret)
{
    const struct binding *outer = p->scope;
    struct pattern pattern = {.count = 0};
    struct ast *body;

    TRY(parse_pattern(p, term, &pattern));
    TRY(expect(p, "|"));
    TRY(parse_pipe(p, &body));
    p->scope = outer;
    return wrap(p, &pattern, 0, body, ret);
}

/* --- what begins with a word --- */

/* reduce SOURCE as PATTERN (INIT; UPDATE), foreach SOURCE as PATTERN (INIT; UPDATE; EXTRACT) */
static err_t parse_fold(struct parser *p, enum ast_kind kind, struct ast **ret)
{
    const struct binding *outer = p->scope, *inner;
    struct pattern pattern = {.count = 0};
    struct ast *fold, *body;

    TRY(new_node(p, kind, p->token.from, &fold));
    advance(p);
    TRY(parse_postfix(p, false, &fold->kid[0]));
    TRY(expect_word(p, "as"));
    TRY(parse_pattern(p, fold->kid[0], &pattern));
    fold->binding = pattern.step[0].binding;
    inner = p->scope;
    TRY(expect(p, "("));
    p->scope = outer;
    TRY(parse_pipe(p, &fold->kid[1]));
    TRY(expect(p, ";"));
    p->scope = inner;
    TRY(parse_pipe(p, &body));
    TRY(wrap(p, &pattern, 1, body, &fold->kid[2]));
    if (kind == AST_FOREACH && token_is(&p->token, ";")) {
        if (pattern.count > 1)
            return refuse_token(p,
                                "with a third part, 'foreach' takes a single variable: take it apart with 'as' inside");
        advance(p);
        TRY(parse_pipe(p, &fold->kid[3]));
    }
    p->scope = outer;
    TRY(expect(p, ")"));
    *ret = fold;
    return finish(p, fold);
}

/* Behind `if` or `elif`. */
static err_t parse_if(struct parser *p, struct ast **ret)
{
    struct ast *node;

    TRY(new_node(p, AST_IF, p->token.from, &node));
    TRY(enter(p));
    advance(p);
    TRY(parse_pipe(p, &node->kid[0]));
    TRY(expect_word(p, "then"));
    TRY(parse_pipe(p, &node->kid[1]));
    if (token_is_word(&p->token, "elif")) {
        TRY(parse_if(p, &node->kid[2]));
    } else {
        if (token_is_word(&p->token, "else")) {
            advance(p);
            TRY(parse_pipe(p, &node->kid[2]));
        } else {
            TRY(make(p, AST_IDENTITY, p->token.from, NULL, NULL, NULL, &node->kid[2]));
        }
        TRY(expect_word(p, "end"));
    }
    p->nest--;
    *ret = node;
    return finish(p, node);
}

static err_t parse_try(struct parser *p, struct ast **ret)
{
    struct ast *node;

    TRY(new_node(p, AST_TRY, p->token.from, &node));
    advance(p);
    TRY(parse_postfix(p, false, &node->kid[0]));
    if (token_is_word(&p->token, "catch")) {
        advance(p);
        TRY(parse_postfix(p, false, &node->kid[1]));
    }
    *ret = node;
    return finish(p, node);
}

static err_t parse_label(struct parser *p, struct ast **ret)
{
    const struct binding *outer = p->scope;
    struct ast *node;

    TRY(new_node(p, AST_LABEL, p->token.from, &node));
    advance(p);
    if (p->token.kind != TOKEN_VAR)
        return expected(p, "a name like $out");
    node->binding = bind(p, p->token.text, true);
    advance(p);
    TRY(expect(p, "|"));
    TRY(parse_pipe(p, &node->kid[0]));
    p->scope = outer;
    *ret = node;
    return finish(p, node);
}

static err_t parse_break(struct parser *p, size_t from, struct ast **ret)
{
    struct binding *label = p->token.kind == TOKEN_VAR ? find_binding(p, p->token.text, true) : NULL;

    if (!label)
        return expected(p, "the $name of a 'label' around it");
    advance(p);
    TRY(make(p, AST_BREAK, from, NULL, NULL, NULL, ret));
    (*ret)->binding = label;
    return OK;
}

/* --- calls --- */

/* The definition of a built-in in place of its call. */
static err_t expand(struct parser *p, const struct builtin *builtin, struct ast **args, size_t from, size_t to,
                    struct ast **ret)
{
    struct parser inner = {
        .shared = p->shared,
        .text = str_from_c(builtin->body),
        .definition = builtin,
        .nest = p->nest + 1,
        .call_from = p->definition ? p->call_from : (uint32_t)from,
        .call_to = p->definition ? p->call_to : (uint32_t)to,
    };
    struct str names = str_from_c(builtin->parameters);
    struct pattern values = {.count = 0};
    struct ast *body;

    if (inner.nest > NEST_MAX)
        return fail(E_TOO_LARGE, "the expression is nested too deep");
    for (unsigned i = 0; i < builtin->arity; i++) {
        struct str name = str_cut(&names, ';');
        struct binding *b;
        if (name.p[0] == '$')
            TRY(add_step(&inner, &values, args[i], str_slice(name, 1, name.n), &b));
        else
            inner.parameters[i] = (struct parameter){name, args[i]};
    }
    advance(&inner);
    TRY(parse_pipe(&inner, &body));
    return wrap(&inner, &values, 0, body, ret);
}

static err_t refuse_call(const struct parser *p, struct str name, unsigned arity, const struct builtin *nearest,
                         size_t from, size_t to)
{
    const char *reason = builtin_refused(name);

    if (reason)
        return expr_refuse(p->shared, from, to, "%.*s is not within this language: %s", STR_ARG(name), reason);
    if (nearest && str_eq(name, str_from_c(nearest->name)))
        return expr_refuse(p->shared, from, to, "%.*s takes %s%u argument%s, not %u", STR_ARG(name),
                           nearest->arity ? "" : "no argument or ", nearest->arity, nearest->arity == 1 ? "" : "s",
                           arity);
    if (nearest)
        return expr_refuse(p->shared, from, to, "there is no function %.*s; did you mean %s?", STR_ARG(name),
                           nearest->name);
    return expr_refuse(p->shared, from, to, "there is no function %.*s", STR_ARG(name));
}

/* A call of a built-in, with its arguments in `args`. */
static err_t call(struct parser *p, struct str name, struct ast **args, unsigned arity, size_t from, size_t to,
                  struct ast **ret)
{
    const struct builtin *nearest, *builtin = builtin_find(name, arity, &nearest);

    if (!builtin || (name.p[0] == '_' && !p->definition))
        return refuse_call(p, name, arity, builtin ? NULL : nearest, from, to);
    if (builtin->body)
        return expand(p, builtin, args, from, to, ret);
    if (builtin->core) {
        TRY(make(p, builtin->core, from, arity > 0 ? args[0] : NULL, arity > 1 ? args[1] : NULL,
                 arity > 2 ? args[2] : NULL, ret));
        (*ret)->kinds = builtin->kinds;
        return OK;
    }
    for (unsigned i = 0; i + 1 < arity; i++)
        args[i]->next = args[i + 1];
    TRY(make(p, AST_CALL, from, arity ? args[0] : NULL, NULL, NULL, ret));
    (*ret)->builtin = builtin;
    return OK;
}

static err_t parse_call(struct parser *p, struct ast **ret)
{
    struct str name = p->token.text;
    size_t from = p->token.from, to = p->token.to;
    struct ast *args[BUILTIN_ARGS_MAX] = {NULL};
    unsigned arity = 0;

    advance(p);
    if (p->definition && !token_is(&p->token, "("))
        for (unsigned i = 0; i < p->definition->arity; i++)
            if (p->parameters[i].argument && str_eq(p->parameters[i].name, name))
                return copy_tree(p, p->parameters[i].argument, ret);
    if (accept(p, "(")) {
        do {
            if (arity == BUILTIN_ARGS_MAX)
                return expr_refuse(p->shared, from, to, "no function takes more than %d arguments", BUILTIN_ARGS_MAX);
            TRY(parse_pipe(p, &args[arity++]));
        } while (accept(p, ";"));
        TRY(expect(p, ")"));
    }
    return call(p, name, args, arity, from, to, ret);
}

static err_t parse_word(struct parser *p, struct ast **ret)
{
    size_t from = p->token.from;
    struct str name = p->token.text;

    if (str_eq(name, STR("if")))
        return parse_if(p, ret);
    if (str_eq(name, STR("try")))
        return parse_try(p, ret);
    if (str_eq(name, STR("reduce")))
        return parse_fold(p, AST_REDUCE, ret);
    if (str_eq(name, STR("foreach")))
        return parse_fold(p, AST_FOREACH, ret);
    if (str_eq(name, STR("label")))
        return parse_label(p, ret);
    if (str_eq(name, STR("def")))
        return refuse_token(
            p, "definitions are not within this language: write the part out, or name a value with 'as $name'");
    if (str_eq(name, STR("import")) || str_eq(name, STR("include")) || str_find(name, STR("::")) < name.n)
        return refuse_token(p, "modules are not within this language");
    if (is_keyword(name))
        return expected(p, "a value");
    if (str_eq(name, STR("break"))) {
        advance(p);
        return parse_break(p, from, ret);
    }
    if (str_eq(name, STR("null")) || str_eq(name, STR("true")) || str_eq(name, STR("false"))) {
        advance(p);
        return make_literal(p, from, name.p[0] == 'n' ? expr_null() : expr_bool(name.p[0] == 't'), ret);
    }
    return parse_call(p, ret);
}

/* --- terms --- */

static err_t parse_number(struct parser *p, struct ast **ret)
{
    struct token number = p->token;
    char text[64];
    double d;

    if (number.text.n >= sizeof text)
        return refuse_token(p, "a number of more than 63 characters");
    /* ".5" and "1." are numbers in a program, though not in JSON. */
    (void)snprintf(text, sizeof text, "%s%.*s", number.text.p[0] == '.' ? "0" : "", STR_ARG(number.text));
    struct str spelt = str_from_c(text);
    bool is_json = json_to_double(spelt, &d);
    if (!is_json && strchr(text, '.') && str_ends(spelt, STR(".")))
        is_json = json_to_double(str_slice(spelt, 0, spelt.n - 1), &d);
    else if (is_json && number.text.p[0] != '.') {
        advance(p);
        struct str kept = arena_str(p->shared->arena, number.text);
        struct expr_value v = {.kind = JSON_NUMBER, .form = EXPR_TEXT, .n = (uint32_t)kept.n, .text = kept.p};
        return make_literal(p, number.from, v, ret);
    }
    if (!is_json)
        return refuse_token(p, "no number that can be computed with");
    advance(p);
    return make_literal(p, number.from, expr_number(d), ret);
}

/* [ … ], and ( … ) */
static err_t parse_bracket(struct parser *p, struct ast **ret)
{
    size_t from = p->token.from;
    bool is_array = token_is(&p->token, "[");
    struct ast *inside = NULL;

    advance(p);
    if (is_array && accept(p, "]"))
        return make(p, AST_ARRAY, from, NULL, NULL, NULL, ret);
    TRY(parse_pipe(p, &inside));
    TRY(expect(p, is_array ? "]" : ")"));
    if (is_array)
        return make(p, AST_ARRAY, from, inside, NULL, NULL, ret);
    *ret = inside;
    return OK;
}

static err_t parse_dot(struct parser *p, struct ast **ret)
{
    size_t from = p->token.from;
    struct ast *input, *key;

    advance(p);
    TRY(make(p, AST_IDENTITY, from, NULL, NULL, NULL, &input));
    input->to = input->from + (p->definition ? 0 : 1);
    *ret = input;
    if (p->token.kind != TOKEN_QUOTE)
        return OK;
    TRY(parse_string(p, STR_NONE, &key));
    return make(p, AST_INDEX, from, input, key, NULL, ret);
}

static err_t parse_term_inside(struct parser *p, struct ast **ret)
{
    struct token word = p->token;

    switch (word.kind) {
    case TOKEN_END:
    case TOKEN_BAD:
        return expected(p, "a value");
    case TOKEN_FIELD: {
        struct ast *input;
        advance(p);
        TRY(make(p, AST_IDENTITY, word.from, NULL, NULL, NULL, &input));
        TRY(make(p, AST_FIELD, word.from, input, NULL, NULL, ret));
        (*ret)->text = word.text;
        return OK;
    }
    case TOKEN_NAME:
        return parse_word(p, ret);
    case TOKEN_VAR:
        advance(p);
        return variable(p, word.text, word.from, word.to, ret);
    case TOKEN_FORMAT:
        return parse_format(p, ret);
    case TOKEN_NUMBER:
        return parse_number(p, ret);
    case TOKEN_QUOTE:
        return parse_string(p, STR_NONE, ret);
    case TOKEN_SIGN:
        if (token_is(&word, "."))
            return parse_dot(p, ret);
        if (accept(p, ".."))
            return call(p, STR("recurse"), NULL, 0, word.from, word.to, ret);
        if (token_is(&word, "[") || token_is(&word, "("))
            return parse_bracket(p, ret);
        if (token_is(&word, "{"))
            return parse_object(p, ret);
        return expected(p, "a value");
    }
    die("no such word: %d", (int)word.kind);
}

static err_t parse_term(struct parser *p, struct ast **ret)
{
    TRY(enter(p));
    TRY(parse_term_inside(p, ret));
    p->nest--;
    return OK;
}

/* --- what follows a term --- */

/* Behind `base[`. */
static err_t parse_index(struct parser *p, struct ast *base, struct ast **ret)
{
    struct ast *from = NULL, *to = NULL;

    if (accept(p, "]"))
        return make(p, AST_EACH, base->from, base, NULL, NULL, ret);
    if (!token_is(&p->token, ":"))
        TRY(parse_pipe(p, &from));
    bool is_slice = accept(p, ":");
    if (is_slice && (!token_is(&p->token, "]") || !from))
        TRY(parse_pipe(p, &to));
    TRY(expect(p, "]"));
    return make(p, is_slice ? AST_SLICE : AST_INDEX, base->from, base, from, to, ret);
}

static bool is_step(const struct ast *node)
{
    return node->kind == AST_FIELD || node->kind == AST_INDEX || node->kind == AST_SLICE || node->kind == AST_EACH;
}

/* One more `.name`, `."text"`, `[…]` or `?` behind *node; *ret_more tells whether there was one. */
static err_t parse_suffix(struct parser *p, const struct ast *closed, struct ast **node, bool *ret_more)
{
    struct ast *base = *node;

    *ret_more = true;
    if (token_is(&p->token, "?//"))
        return refuse_token(p, "'?//' is one word in jq: put a blank between '?' and '//'");
    if (p->token.kind == TOKEN_FIELD) {
        struct str name = p->token.text;
        advance(p);
        TRY(make(p, AST_FIELD, base->from, base, NULL, NULL, node));
        (*node)->text = name;
        return OK;
    }
    if (accept(p, "["))
        return parse_index(p, base, node);
    if (token_is(&p->token, ".")) {
        struct ast *key;
        advance(p);
        if (accept(p, "["))
            return parse_index(p, base, node);
        if (p->token.kind != TOKEN_QUOTE)
            return expected(p, "a name or a string behind '.'");
        TRY(parse_string(p, STR_NONE, &key));
        return make(p, AST_INDEX, base->from, base, key, NULL, node);
    }
    if (accept(p, "?")) {
        if (is_step(base) && base != closed && !base->is_optional) {
            base->is_optional = true;
            return finish(p, base);
        }
        return make(p, AST_TRY, base->from, base, NULL, NULL, node);
    }
    *ret_more = false;
    return OK;
}

static err_t parse_postfix(struct parser *p, bool may_bind, struct ast **ret)
{
    bool more = true, in_brackets = token_is(&p->token, "(");

    TRY(parse_term(p, ret));
    /* `.a.b?` is about the last step only, `(.a.b)?` about all of it. */
    const struct ast *closed = in_brackets ? *ret : NULL;
    while (more)
        TRY(parse_suffix(p, closed, ret, &more));
    if (may_bind && token_is_word(&p->token, "as")) {
        advance(p);
        return parse_as(p, *ret, ret);
    }
    return OK;
}

/* --- operators --- */

enum { LEVEL_COMMA = 1, LEVEL_ALT, LEVEL_ASSIGN, LEVEL_OR, LEVEL_AND, LEVEL_COMPARE, LEVEL_ADD, LEVEL_MULTIPLY };
enum side { LEFT, RIGHT, NONE };

struct operator_row {
    const char *sign;
    uint8_t level, side;
    uint8_t kind, op;
};

static const struct operator_row operators[] = {
    {",", LEVEL_COMMA, LEFT, AST_COMMA, 0},
    {"//", LEVEL_ALT, RIGHT, AST_ALT, 0},
    {"=", LEVEL_ASSIGN, NONE, AST_CALL, 0},
    {"|=", LEVEL_ASSIGN, NONE, AST_CALL, 0},
    {"+=", LEVEL_ASSIGN, NONE, AST_CALL, 0},
    {"-=", LEVEL_ASSIGN, NONE, AST_CALL, 0},
    {"*=", LEVEL_ASSIGN, NONE, AST_CALL, 0},
    {"/=", LEVEL_ASSIGN, NONE, AST_CALL, 0},
    {"%=", LEVEL_ASSIGN, NONE, AST_CALL, 0},
    {"//=", LEVEL_ASSIGN, NONE, AST_CALL, 0},
    {"or", LEVEL_OR, LEFT, AST_OR, 0},
    {"and", LEVEL_AND, LEFT, AST_AND, 0},
    {"==", LEVEL_COMPARE, NONE, AST_BINARY, OP_EQ},
    {"!=", LEVEL_COMPARE, NONE, AST_BINARY, OP_NE},
    {"<", LEVEL_COMPARE, NONE, AST_BINARY, OP_LT},
    {"<=", LEVEL_COMPARE, NONE, AST_BINARY, OP_LE},
    {">", LEVEL_COMPARE, NONE, AST_BINARY, OP_GT},
    {">=", LEVEL_COMPARE, NONE, AST_BINARY, OP_GE},
    {"+", LEVEL_ADD, LEFT, AST_BINARY, OP_ADD},
    {"-", LEVEL_ADD, LEFT, AST_BINARY, OP_SUBTRACT},
    {"*", LEVEL_MULTIPLY, LEFT, AST_BINARY, OP_MULTIPLY},
    {"/", LEVEL_MULTIPLY, LEFT, AST_BINARY, OP_DIVIDE},
    {"%", LEVEL_MULTIPLY, LEFT, AST_BINARY, OP_MODULO},
};

static const struct operator_row *operator_of(const struct token *t)
{
    if (t->kind != TOKEN_SIGN && t->kind != TOKEN_NAME)
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(operators); i++)
        if (str_eq(t->text, str_from_c(operators[i].sign)))
            return &operators[i];
    return NULL;
}

static err_t parse_operand(struct parser *p, struct ast **ret)
{
    size_t from = p->token.from;
    struct ast *operand;

    if (!accept(p, "-"))
        return parse_postfix(p, true, ret);
    TRY(enter(p));
    TRY(parse_binary(p, LEVEL_MULTIPLY, &operand));
    p->nest--;
    return make_negation(p, from, operand, ret);
}

static err_t apply(struct parser *p, const struct operator_row *op, struct ast *x, struct ast *y, struct ast **ret)
{
    if (op->level == LEVEL_ASSIGN) {
        /* The definitions of the assignments are built-ins of the operator's name. */
        struct ast *args[] = {x, y};
        return call(p, str_from_c(op->sign), args, 2, x->from, y->to, ret);
    }
    TRY(make(p, (enum ast_kind)op->kind, x->from, x, y, NULL, ret));
    (*ret)->op = (enum binary_op)op->op;
    return OK;
}

static err_t parse_binary(struct parser *p, int level, struct ast **ret)
{
    TRY(parse_operand(p, ret));
    for (;;) {
        const struct operator_row *op = operator_of(&p->token);
        struct ast *right;
        if (!op || op->level < level)
            return OK;
        advance(p);
        TRY(parse_binary(p, op->side == RIGHT ? op->level : op->level + 1, &right));
        TRY(apply(p, op, *ret, right, ret));
        const struct operator_row *again = operator_of(&p->token);
        if (op->side == NONE && again && again->level == op->level)
            return refuse_token(p, "this operator cannot be chained: put one side in parentheses");
    }
}

static err_t parse_pipe(struct parser *p, struct ast **ret)
{
    struct ast *left, *right;
    const struct binding *outer = p->scope;

    TRY(enter(p));
    TRY(parse_binary(p, LEVEL_COMMA, &left));
    if (accept(p, "|")) {
        TRY(parse_pipe(p, &right));
        TRY(make(p, AST_PIPE, left->from, left, right, NULL, &left));
    }
    p->scope = outer;
    p->nest--;
    *ret = left;
    return OK;
}

err_t expr_parse(struct parse_shared *shared, struct ast **ret_root)
{
    struct parser p = {.shared = shared, .text = shared->text};

    if (shared->text.n > EXPR_TEXT_MAX)
        return fail(E_TOO_LARGE, "the expression is longer than %d bytes", EXPR_TEXT_MAX);
    if (!utf8_valid(shared->text))
        return expr_refuse(shared, 0, 0, "the expression is not UTF-8");
    advance(&p);
    if (p.token.kind == TOKEN_END)
        return expr_refuse(shared, 0, 0, "the expression is empty; '.' is the whole input");
    TRY(parse_pipe(&p, ret_root));
    if (p.token.kind != TOKEN_END)
        return refuse_token(&p, "an operator or the end is expected here");
    return OK;
}
