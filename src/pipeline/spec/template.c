/*
 * template.c - cutting a text at its braces, and putting it together again.
 *
 * Each expression ends at the first "}}" that is not within a string of it; so an object literal that ends in the expression is written with a
 * blank before the braces, as everywhere where braces meet. Does not know what the text is for.
 */
#include "pipeline/spec/template.h"

#include "codec/url.h"

/* Where the expression that begins at `at` ends: the index of its "}}", or text.n. */
static size_t find_end(struct str text, size_t at)
{
    bool in_string = false;

    for (; at + 1 < text.n; at++) {
        char c = text.p[at];
        if (in_string && c == '\\')
            at++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && c == '}' && text.p[at + 1] == '}')
            return at;
    }
    return text.n;
}

/* Line and column of a byte, from 1; columns in characters. */
static void find_place(struct str text, size_t at, size_t *ret_line, size_t *ret_column)
{
    *ret_line = *ret_column = 1;
    for (size_t i = 0; i < at && i < text.n; i++) {
        if (text.p[i] == '\n') {
            ++*ret_line;
            *ret_column = 1;
        } else {
            *ret_column += ((unsigned char)text.p[i] & 0xc0) != 0x80;
        }
    }
}

static err_t refuse(struct str text, size_t from, size_t to, struct str why, struct expr_problem *ret)
{
    *ret = (struct expr_problem){.from = from, .to = to, .text = why};
    find_place(text, from, &ret->line, &ret->column);
    return fail(E_PARSE, "%.*s", STR_ARG(why));
}

struct cutter {
    struct arena *arena;
    struct str text;
    struct template_part *parts; /* room for whatever the text can be cut into */
    size_t count;
};

static void add_part(struct cutter *c, struct template_part part)
{
    if (part.expr || part.text.n)
        c->parts[c->count++] = part;
}

static size_t count_braces(struct str text)
{
    size_t count = 0;

    for (size_t at = str_find(text, STR("{{")); at < text.n;
         at += 2 + str_find(str_slice(text, at + 2, text.n), STR("{{")))
        count++;
    return count;
}

/* The expression from `from` up to `to`. */
static err_t add_expr(struct cutter *c, size_t from, size_t to, const struct expr_env *env,
                      struct expr_problem *ret_problem)
{
    struct template_part part = {.text = str_trim(str_slice(c->text, from, to))};

    if (str_is_blank(part.text))
        return refuse(c->text, from, to, STR("there is no expression between {{ and }}"), ret_problem);
    err_t e = expr_compile(c->arena, part.text, env, &part.expr, ret_problem);
    if (e) {
        size_t shift = (size_t)(part.text.p - c->text.p);
        ret_problem->from += shift;
        ret_problem->to += shift;
        find_place(c->text, ret_problem->from, &ret_problem->line, &ret_problem->column);
        return e;
    }
    add_part(c, part);
    return OK;
}

static err_t cut(struct cutter *c, const struct expr_env *env, struct expr_problem *ret_problem)
{
    size_t at = 0;

    while (at < c->text.n) {
        size_t open = at + str_find(str_slice(c->text, at, c->text.n), STR("{{"));
        add_part(c, (struct template_part){.text = str_slice(c->text, at, open)});
        if (open == c->text.n)
            break;
        if (str_starts(str_slice(c->text, open, c->text.n), STR("{{{{"))) {
            add_part(c, (struct template_part){.text = STR("{{")});
            at = open + 4;
            continue;
        }
        size_t end = find_end(c->text, open + 2);
        if (end == c->text.n)
            return refuse(c->text, open, open + 2, STR("\"{{\" without \"}}\"; for the braces themselves write {{{{"),
                          ret_problem);
        TRY(add_expr(c, open + 2, end, env, ret_problem));
        at = end + 2;
    }
    return OK;
}

err_t template_compile(struct arena *arena, struct str text, enum template_coding coding, const struct expr_env *env,
                       struct template *ret, struct expr_problem *ret_problem)
{
    struct cutter c = {.arena = arena};

    if (text.n > TEMPLATE_TEXT_MAX)
        return refuse(text, 0, 0, STR("the text is longer than 64 KiB"), ret_problem);
    size_t braces = count_braces(text);
    if (braces > TEMPLATE_BRACES_MAX)
        return refuse(text, 0, 0, STR("a text may have no more than 128 expressions in it"), ret_problem);
    c.text = arena_str(arena, text);
    c.parts = arena_alloc(arena, (2 * braces + 1) * sizeof *c.parts);
    TRY(cut(&c, env, ret_problem));
    *ret = (struct template){.source = c.text, .parts = c.parts, .count = c.count, .coding = coding};
    return OK;
}

static err_t render_part(const struct template *t, const struct template_part *part, struct expr_value v,
                         struct arena *arena, struct buf *to)
{
    struct buf json CLEANUP(buf_release) = BUF_INIT(to->max);
    struct str text;

    if (v.kind == JSON_STRING) {
        TRY(expr_value_text(v, arena, &text));
    } else {
        TRY(expr_value_print(v, &json));
        text = buf_str(&json);
    }
    if (t->coding == TEMPLATE_PLAIN)
        return buf_add(to, text);
    /* nothing, "." and ".." would make it the URL of something else */
    if (v.kind == JSON_NULL || !text.n || str_eq(text, STR(".")) || str_eq(text, STR("..")))
        return fail(E_PARSE, "{{%.*s}} is %s: it cannot be a part of a URL", STR_ARG(part->text),
                    v.kind == JSON_NULL ? "null"
                    : text.n            ? "a step of a path"
                                        : "empty");
    return url_encode(to, text);
}

err_t template_render(const struct template *t, struct arena *arena, const struct expr_input *input,
                      const struct expr_limits *limits, struct buf *to)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct template_part *part = &t->parts[i];
        struct expr_value v;
        if (!part->expr) {
            TRY(buf_add(to, part->text));
            continue;
        }
        TRY(expr_eval(part->expr, arena, input, limits, &v));
        TRY(render_part(t, part, v, arena, to));
    }
    return OK;
}
