/*
 * writes.c - which paths of its result a program writes, and from which paths of its inputs each is made.
 *
 * Inference (infer.c) has left in each node what it looked at, and where its value comes from if that is a part of an input. This walk goes
 * down what constructs the result: members of objects, elements of arrays, branches. Where construction ends, the path is written from
 * everything that was looked at on the way there. That a path is written from too much is possible, from too little is not.
 */
#include "expr/infer.h"
#include "expr/origin.h"
#include "expr/type.h"

enum { WRITES_MAX = 256, FROM_MAX = 256 };

/* A part of the program that what is behind it depends on: on all that it looked at, and on its value, unless that is followed itself. */
struct context {
    const struct ast *node;
    bool is_followed;
    const struct context *outer;
};

struct walk {
    struct arena *arena;
    const struct str *looks;
    struct expr_write *writes;
    size_t count;
    bool too_many;
    struct str from[FROM_MAX + 1]; /* of the one at hand */
};

static void look(struct walk *w, const struct ast *node, struct str path, const struct context *around);

/* Paths that a node looked at, behind the first n of w->from. */
static size_t add_looks(struct walk *w, const struct ast *node, bool with_value, size_t n)
{
    for (uint32_t i = node->log_from; i < node->log_to && n < FROM_MAX; i++)
        w->from[n++] = w->looks[i];
    if (with_value && node->origin && node->type->kinds && n < FROM_MAX)
        w->from[n++] = origin_path(w->arena, node->origin);
    return n;
}

static struct expr_write *write_at(struct walk *w, struct str path)
{
    for (size_t i = 0; i < w->count; i++)
        if (str_eq(w->writes[i].path, path))
            return &w->writes[i];
    if (w->count == WRITES_MAX) {
        w->too_many = true;
        return NULL;
    }
    w->writes[w->count] = (struct expr_write){.path = path};
    return &w->writes[w->count++];
}

static void written(struct walk *w, const struct ast *node, struct str path, const struct context *around)
{
    struct expr_write *write = write_at(w, path);
    size_t n = 0;

    if (!write)
        return;
    bool is_first = !write->from;
    for (; write->from && n < write->from_count; n++)
        w->from[n] = write->from[n];
    n = add_looks(w, node, true, n);
    for (; around; around = around->outer)
        n = add_looks(w, around->node, !around->is_followed, n);
    write->is_copy = is_first && node->origin && n == 1;
    if (n == FROM_MAX)
        w->from[n++] = STR(".");
    n = origin_settle(w->from, n);
    struct str *from = arena_alloc(w->arena, (n + 1) * sizeof *from);
    memcpy(from, w->from, n * sizeof *from);
    write->from = from;
    write->from_count = n;
}

static struct str below(struct walk *w, struct str path, struct str step)
{
    if (str_eq(path, STR(".")) && step.p[0] == '.')
        return step;
    return arena_printf(w->arena, "%.*s%.*s", STR_ARG(path), STR_ARG(step));
}

static void look_object(struct walk *w, const struct ast *node, struct str path, const struct context *around)
{
    if (!node->kid[0])
        written(w, node, path, around);
    for (const struct ast *entry = node->kid[0]; entry; entry = entry->next) {
        const struct ast *key = entry->kid[0];
        const struct context within = {key, false, around};
        bool is_plain = key->kind == AST_LITERAL && key->value.kind == JSON_STRING;
        struct str step = is_plain ? origin_member(w->arena, str_of(key->value.text, key->value.n)) : STR("[]");
        look(w, entry->kid[1], below(w, path, step), is_plain ? around : &within);
    }
}

static void look(struct walk *w, const struct ast *node, struct str path, const struct context *around)
{
    const struct context within = {node->kid[0], node->kind != AST_IF, around};

    switch (node->kind) {
    case AST_OBJECT:
        look_object(w, node, path, around);
        return;
    case AST_ARRAY:
        if (node->kid[0])
            look(w, node->kid[0], below(w, path, STR("[]")), around);
        else
            written(w, node, path, around);
        return;
    case AST_PIPE:
    case AST_AS:
        look(w, node->kid[1], path, &within);
        return;
    case AST_IF:
        look(w, node->kid[1], path, &within);
        look(w, node->kid[2], path, &within);
        return;
    case AST_COMMA:
    case AST_ALT:
        look(w, node->kid[0], path, around);
        look(w, node->kid[1], path, around);
        return;
    case AST_TRY:
        look(w, node->kid[0], path, around);
        if (node->kid[1])
            look(w, node->kid[1], path, &within);
        return;
    case AST_FIRST:
    case AST_LABEL:
        look(w, node->kid[0], path, around);
        return;
    case AST_BINARY:
        if (node->op == OP_ADD && node->type->kinds == EXPR_IS_OBJECT) {
            look(w, node->kid[0], path, around);
            look(w, node->kid[1], path, around);
            return;
        }
        written(w, node, path, around);
        return;
    case AST_EMPTY:
    case AST_BREAK:
        return;
    case AST_IDENTITY:
    case AST_LITERAL:
    case AST_FIELD:
    case AST_INDEX:
    case AST_SLICE:
    case AST_EACH:
    case AST_TEXT:
    case AST_ENTRY:
    case AST_NEGATE:
    case AST_AND:
    case AST_OR:
    case AST_REDUCE:
    case AST_FOREACH:
    case AST_VAR:
    case AST_NAMED:
    case AST_RANGE:
    case AST_KINDS:
    case AST_PATH:
    case AST_GETPATH:
    case AST_CALL:
        written(w, node, path, around);
        return;
    }
}

void expr_find_writes(struct arena *arena, const struct ast *root, const struct str *looks, struct infer_result *ret)
{
    struct walk *w = arena_new(arena, struct walk);

    w->arena = arena;
    w->looks = looks;
    w->writes = arena_alloc(arena, WRITES_MAX * sizeof *w->writes);
    look(w, root, STR("."), NULL);
    if (w->too_many) {
        w->writes[0] = (struct expr_write){.path = STR("."), .from = ret->reads, .from_count = ret->read_count};
        w->count = 1;
    }
    ret->writes = w->writes;
    ret->write_count = w->count;
}
