/* expr_docs_test.c - docs/expressions.md against the language: every example gives what stands beside it, and every function has one. */
#include "expr/expr.h"

#include "codec/json_tree.h"
#include "test.h"

#include <stdio.h>

enum { TEXT_MAX = 1 << 20, ARENA_MAX = 16 << 20 };

static struct str read_file(struct arena *arena, const char *name)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(TEXT_MAX);
    char path[600], piece[4096];
    size_t n;

    (void)snprintf(path, sizeof path, "%s/%s", test_root(), name);
    FILE *f = fopen(path, "r");
    if (!f)
        die("there is no %s", path);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        (void)buf_add(&text, str_of(piece, n));
    (void)fclose(f);
    return arena_str(arena, buf_str(&text));
}

/* The next cell of a row: what is between bars, without the marks of code, `\|` being a bar. */
static struct str next_cell(struct arena *arena, struct str *row)
{
    struct buf cell CLEANUP(buf_release) = BUF_INIT(TEXT_MAX);
    size_t at = 0;

    for (; at < row->n && row->p[at] != '|'; at++) {
        if (row->p[at] == '\\' && at + 1 < row->n && row->p[at + 1] == '|')
            at++;
        (void)buf_add_char(&cell, row->p[at]);
    }
    *row = str_slice(*row, at < row->n ? at + 1 : at, row->n);
    struct str text = str_trim(arena_str(arena, buf_str(&cell)));
    bool is_code = text.n > 1 && text.p[0] == '`' && text.p[text.n - 1] == '`';
    return is_code ? str_slice(text, 1, text.n - 1) : text;
}

static void check_example(struct str program, struct str wanted)
{
    struct arena arena CLEANUP(arena_release);
    struct buf got CLEANUP(buf_release) = BUF_INIT(TEXT_MAX);
    struct expr_problem problem = {0};
    const struct expr *expr;

    arena_init(&arena, ARENA_MAX);
    CHECK_MSG(expr_compile(&arena, program, &(struct expr_env){0}, &expr, &problem) == OK, "%.*s: %.*s",
              STR_ARG(program), STR_ARG(problem.text));
    err_t e = expr_map(expr, &arena, STR("null"), NULL, &expr_limits_default, &got);
    CHECK_MSG(!e, "%.*s: %s", STR_ARG(program), err_detail(e));
    CHECK_MSG(str_eq(buf_str(&got), wanted), "%.*s gives %.*s and not %.*s", STR_ARG(program), STR_ARG(buf_str(&got)),
              STR_ARG(wanted));
}

TEST(expr_documentation_has_examples_that_give_what_they_say)
{
    struct arena arena CLEANUP(arena_release);
    bool in_table = false;
    unsigned checked = 0;

    arena_init(&arena, ARENA_MAX);
    struct str text = read_file(&arena, "docs/expressions.md");
    while (text.n && !test_failed()) {
        struct str row = str_cut(&text, '\n');
        bool is_row = row.n && row.p[0] == '|', is_head = str_starts(row, STR("| function | what |"));
        in_table = is_head || (in_table && is_row);
        if (!in_table || is_head || str_starts(row, STR("|---")))
            continue;
        (void)next_cell(&arena, &row);
        (void)next_cell(&arena, &row);
        (void)next_cell(&arena, &row);
        struct str program = next_cell(&arena, &row), wanted = next_cell(&arena, &row);
        check_example(program, wanted);
        checked++;
    }
    CHECK_GE(checked, 70);
}

/* Is the word in the text, by itself? */
static bool has_word(struct str text, struct str word)
{
    for (size_t at = 0; at + word.n <= text.n; at++) {
        size_t found = str_find(str_slice(text, at, text.n), word);
        if (found == text.n - at)
            return false;
        at += found;
        char before = at ? text.p[at - 1] : ' ', behind = at + word.n < text.n ? text.p[at + word.n] : ' ';
        if (!strchr("abcdefghijklmnopqrstuvwxyz_0123456789", before) &&
            !strchr("abcdefghijklmnopqrstuvwxyz_0123456789", behind))
            return true;
    }
    return false;
}

TEST(expr_documentation_names_every_function)
{
    struct arena arena CLEANUP(arena_release);
    unsigned found = 0;

    arena_init(&arena, ARENA_MAX);
    struct str docs = read_file(&arena, "docs/expressions.md"), table = read_file(&arena, "src/expr/builtin.c");
    docs = str_slice(docs, str_find(docs, STR("## Functions")), str_find(docs, STR("## What is out")));
    while (table.n) {
        struct str line = str_trim(str_cut(&table, '\n')), start = str_slice(line, 0, str_find(line, STR("(\"")));
        bool is_row = start.n && start.n <= 5 && start.n < line.n && start.p[0] >= 'A' && start.p[0] <= 'Z';
        if (!is_row)
            continue;
        struct str name = str_slice(line, start.n + 2, line.n);
        name = str_slice(name, 0, str_find(name, STR("\"")));
        if (!name.n || name.p[0] == '_')
            continue;
        found++;
        bool is_operator = strchr("=|+-*/%", name.p[0]) != NULL;
        CHECK_MSG(is_operator || has_word(docs, name), "docs/expressions.md does not name %.*s", STR_ARG(name));
    }
    CHECK_GE(found, 150);
}
