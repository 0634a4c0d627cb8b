/* schema_file.c - documents and schemas for the commands about them. */
#include "cli/schema_file.h"

#include "base/buf.h"
#include "rt/file.h"
#include "rt/loop.h"

static err_t read_stdin(struct buf *text)
{
    size_t n;

    do {
        char *to = buf_reserve(text, 64 * 1024);
        if (!to)
            return fail(E_TOO_LARGE, "there is too much of it");
        n = fread(to, 1, 64 * 1024, stdin);
        text->n += n;
    } while (n > 0);
    return OK;
}

const struct json_tree *schema_file_read(const char *path, struct arena *arena)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(SCHEMA_FILE_MAX);
    const struct json_tree *tree;
    bool is_stdin = strcmp(path, "-") == 0;

    err_t e = is_stdin ? read_stdin(&text) : file_read_once(loop_seams(), path, SCHEMA_FILE_MAX, &text);
    if (!e)
        e = json_tree_parse(arena, arena_str(arena, buf_str(&text)), &tree);
    if (!e)
        return tree;
    (void)fprintf(stderr, "%s: error: %s\n", path, err_detail(e));
    return NULL;
}

struct str schema_file_place(const char *path, struct json_node at, struct arena *arena)
{
    size_t line, column;

    if (json_is_absent(at))
        return arena_printf(arena, "%s", path);
    json_line_column(at.tree->text, (uint64_t)(json_node_raw(at).p - at.tree->text.p), &line, &column);
    return arena_printf(arena, "%s:%zu:%zu", path, line, column);
}

const struct jsonschema *schema_file_compile(const char *path, const struct jsonschema_options *options,
                                             struct arena *arena)
{
    const struct json_tree *tree = schema_file_read(path, arena);
    const struct jsonschema *schema;
    struct jsonschema_problem problem;

    if (!tree)
        return NULL;
    err_t e = jsonschema_compile(arena, tree, options, &schema, &problem);
    if (!e)
        return schema;
    if (problem.text.n)
        (void)fprintf(stderr, "%.*s: error: at \"%.*s\": %.*s\n",
                      STR_ARG(schema_file_place(path, problem.node.tree == tree ? problem.node : JSON_ABSENT, arena)),
                      STR_ARG(problem.keyword), STR_ARG(problem.text));
    else
        (void)fprintf(stderr, "%s: error: %s\n", path, err_detail(e));
    return NULL;
}
