/*
 * build.c - what kinds are made of while a pipeline is loaded: expressions, templates, files, schemas, connections.
 *
 * A program within YAML has two places: where its scalar stands, and where in the program something is wrong. For a scalar on one line they add up; of a
 * block the line is known and the column is found in the file's text, by what the line begins with. Where neither works (a folded
 * scalar, a pipeline within the main configuration) the scalar's place is told, and the place within the program in words.
 */
#include "pipeline/spec/build.h"

#include "base/map.h"
#include "codec/digest.h"
#include "codec/json_tree.h"
#include "fleet/catalog.h"
#include "pipeline/run/keeper.h"
#include "pipeline/spec/graph.h"

#include <stdlib.h>

/* ---- what expressions see ---- */

static const struct expr_type headers_type = {.kinds = EXPR_IS_OBJECT, .rest = &expr_type_string};
static const struct expr_type string_or_null = {.kinds = EXPR_IS_STRING | EXPR_IS_NULL};
static const struct expr_field meta_fields[] = {
    {STR_INIT("attempt"), &expr_type_number, false},   {STR_INIT("headers"), &headers_type, false},
    {STR_INIT("id"), &expr_type_string, false},        {STR_INIT("key"), &string_or_null, false},
    {STR_INIT("partition"), &expr_type_number, false}, {STR_INIT("position"), &expr_type_number, false},
    {STR_INIT("root"), &expr_type_string, false},      {STR_INIT("source"), &expr_type_string, false},
    {STR_INIT("timestamp"), &expr_type_number, false}};
static const struct expr_type meta_type = {
    .kinds = EXPR_IS_OBJECT, .is_closed = true, .fields = meta_fields, .field_count = ARRAY_LEN(meta_fields)};
static const struct expr_named named_inputs[PIPELINE_NAMED] = {
    [PIPELINE_NAMED_DEADLINE] = {STR_INIT("__deadline_ms"), &expr_type_number},
    [PIPELINE_NAMED_META] = {STR_INIT("meta"), &meta_type}};
static const struct expr_env usual_env = {.named = named_inputs, .named_count = PIPELINE_NAMED};

static struct expr_env env_of(const struct expr_type *input)
{
    struct expr_env env = usual_env;

    env.input = input;
    return env;
}

/* ---- places ---- */

/* Line `line` of a text, without its end; empty if there is none. */
static struct str line_of(struct str text, size_t line)
{
    while (line > 1 && text.n) {
        (void)str_cut(&text, '\n');
        line--;
    }
    return str_cut(&text, '\n');
}

static size_t indent_of(struct str line)
{
    size_t n = 0;

    while (n < line.n && line.p[n] == ' ')
        n++;
    return n;
}

static char char_at(struct str text, unsigned line, unsigned column)
{
    struct str s = line_of(text, line);

    return column && column <= s.n ? s.p[column - 1]
                                   : '\0'; /* bytes are characters in front of what YAML marks itself */
}

/* Is the scalar a literal block ("|"), whose lines are those of the file? Its place is then that of its first line. */
static bool is_literal(struct str text, const struct yaml_node *node)
{
    char first = char_at(text, node->line, node->column);
    struct str head = node->line > 1 ? line_of(text, node->line - 1) : STR_NONE;

    if (!node->quoted || first == '"' || first == '\'')
        return false;
    while (head.n && (strchr(" \r+-", head.p[head.n - 1]) || (head.p[head.n - 1] >= '1' && head.p[head.n - 1] <= '9')))
        head.n--;
    return head.n && head.p[head.n - 1] == '|';
}

/* Where in the file byte `problem` of the program at `node` stands; false if it cannot be told. */
static bool find_place(const struct pipeline_scope *scope, const struct yaml_node *node,
                       const struct expr_problem *problem, struct problem *ret)
{
    if (str_eq(*node->file, scope->path) && is_literal(scope->text, node)) {
        struct str line = line_of(scope->text, node->line + problem->line - 1);
        size_t shift = indent_of(line) - indent_of(line_of(node->text, problem->line));
        ret->line = node->line + (unsigned)problem->line - 1;
        ret->column = (unsigned)(shift + problem->column);
        return true;
    }
    if (str_find_char(node->text, '\n') < node->text.n)
        return false;
    ret->line = node->line;
    ret->column = node->column + node->quoted + (unsigned)problem->column - 1;
    return true;
}

static void complain(struct pipeline_build *b, const struct pipeline_node *n, const struct schema_text *t,
                     const struct expr_problem *problem)
{
    struct problem p = {.text = problem->text};

    if (!t->node) {
        problems_error(b->problems, n->at, "%.*s", STR_ARG(problem->text));
    } else if (t->node->hidden) {
        problems_error(b->problems, t->node, "this does not compile (not shown, it may be secret)");
    } else if (find_place(n->scope, t->node, problem, &p)) {
        p.file = *t->node->file;
        problems_add(b->problems, p);
    } else {
        problems_error(b->problems, t->node, "%.*s (line %zu, column %zu of the text)", STR_ARG(problem->text),
                       problem->line, problem->column);
    }
}

static void complain_in_file(struct pipeline_build *b, struct str path, const struct expr_problem *problem)
{
    problems_add(b->problems, (struct problem){.file = path,
                                               .line = (unsigned)problem->line,
                                               .column = (unsigned)problem->column,
                                               .text = problem->text});
}

/* ---- files ---- */

struct str build_path(struct pipeline_build *b, const struct pipeline_scope *scope, struct str path)
{
    if (path.n && path.p[0] == '/')
        return arena_str(b->arena, path);
    return arena_join(b->arena, scope->folder, path);
}

/* The text that the world gives for the file; NULL: what is on the disk counts. */
static const struct pipeline_text *given(const struct pipeline_world *w, struct str path)
{
    for (size_t i = 0; i < w->text_count; i++)
        if (str_eq(w->texts[i].path, path))
            return &w->texts[i];
    return NULL;
}

const struct str *build_keep(struct pipeline_build *b, struct str path, struct str text)
{
    struct str *kept = arena_new(b->arena, struct str);

    *kept = arena_str(b->arena, text);
    sha256_add(b->digest, *kept);
    (void)map_put(&b->files, path, kept);
    return kept;
}

err_t build_read(struct pipeline_build *b, struct str path, struct str *ret_text)
{
    struct buf bytes CLEANUP(buf_release) = BUF_INIT(PIPELINE_FILE_MAX);
    const struct config_env *env = b->world->env;
    struct str *known = map_get(&b->files, path);

    if (known) {
        *ret_text = *known;
        return OK;
    }
    const struct pipeline_text *text = given(b->world, path);
    if (env->on_path)
        env->on_path(env->on_path_ctx, path.p);
    TRY(text ? buf_add(&bytes, text->text) : env->read_file(path.p, PIPELINE_FILE_MAX, &bytes));
    *ret_text = *build_keep(b, path, buf_str(&bytes));
    return OK;
}

const struct str *build_known(struct pipeline_build *b, struct str path)
{
    const struct pipeline_text *text = given(b->world, path);
    const struct str *known = map_get(&b->files, path);

    return known ? known : text ? build_keep(b, path, text->text) : NULL;
}

/* The bytes of a file, its path taken from the folder of the pipeline's; STR_NONE, after a problem. */
static struct str read_named(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t)
{
    struct str path = build_path(b, n->scope, t->text), text;
    err_t e = build_read(b, path, &text);

    if (!e)
        return text;
    problems_error(b->problems, t->node, "the file \"%.*s\" cannot be read: %s", STR_ARG(path), err_detail(e));
    return STR_NONE;
}

static bool is_path(struct str text, const char *const *endings)
{
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] <= ' ')
            return false;
    for (; *endings; endings++)
        if (str_ends(text, str_from_c(*endings)) && text.n > strlen(*endings))
            return true;
    return false;
}

/* ---- what is read ---- */

/* Is what is read at `path` a part of what is read at `whole`? */
static bool covers(struct str whole, struct str path)
{
    if (str_eq(whole, STR(".")) || str_eq(whole, path))
        return true;
    return str_starts(path, whole) && (path.p[whole.n] == '.' || path.p[whole.n] == '[');
}

static int by_text(const void *x, const void *y)
{
    return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

void build_reads(struct pipeline_build *b, struct pipeline_node *n, struct str path)
{
    struct str *paths = arena_alloc(b->arena, (n->read_count + 1) * sizeof *paths);
    size_t count = 0;

    for (size_t i = 0; i < n->read_count; i++) {
        if (covers(n->reads[i], path))
            return;
        if (!covers(path, n->reads[i]))
            paths[count++] = n->reads[i];
    }
    paths[count++] = path;
    qsort(paths, count, sizeof *paths, by_text);
    n->reads = paths;
    n->read_count = count;
}

static void note_reads(struct pipeline_build *b, struct pipeline_node *n, const struct expr *expr)
{
    size_t count;
    const struct str *paths = expr_reads(expr, &count);

    for (size_t i = 0; i < count; i++)
        if (paths[i].n && paths[i].p[0] == '.')
            build_reads(b, n, paths[i]);
}

/* ---- expressions ---- */

const struct expr *build_expr_on(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t,
                                 const struct expr_type *input)
{
    struct expr_env env = env_of(input);
    struct expr_problem problem;
    const struct expr *expr;

    if (!t->text.n)
        return NULL;
    if (expr_compile(b->arena, t->text, &env, &expr, &problem) == OK)
        return expr;
    complain(b, n, t, &problem);
    return NULL;
}

const struct expr *build_expr(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t)
{
    const struct expr *expr = build_expr_on(b, n, t, n->input_type);

    if (expr)
        note_reads(b, n, expr);
    return expr;
}

static const char *const program_endings[] = {".jq", NULL};

struct str build_program(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t)
{
    return is_path(t->text, program_endings) ? read_named(b, n, t) : t->text;
}

const struct expr *build_mapping_on(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t,
                                    const struct expr_type *input)
{
    struct expr_env env = env_of(input);
    struct expr_problem problem;
    const struct expr *expr;

    if (!is_path(t->text, program_endings))
        return build_expr_on(b, n, t, input);
    struct str text = read_named(b, n, t);
    if (!text.p)
        return NULL;
    if (expr_compile(b->arena, text, &env, &expr, &problem) == OK)
        return expr;
    complain_in_file(b, build_path(b, n->scope, t->text), &problem);
    return NULL;
}

const struct expr *build_mapping(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t)
{
    const struct expr *expr = build_mapping_on(b, n, t, n->input_type);

    if (expr)
        note_reads(b, n, expr);
    return expr;
}

static void note_template(struct pipeline_build *b, struct pipeline_node *n, const struct template *t)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->parts[i].expr)
            note_reads(b, n, t->parts[i].expr);
}

static const struct template *make_template(struct pipeline_build *b, struct pipeline_node *n,
                                            const struct schema_text *t, enum template_coding coding)
{
    struct expr_env env = env_of(n->input_type);
    struct template *made = arena_new(b->arena, struct template);
    struct expr_problem problem;

    if (!t->text.n)
        return NULL;
    if (template_compile(b->arena, t->text, coding, &env, made, &problem) != OK) {
        complain(b, n, t, &problem);
        return NULL;
    }
    note_template(b, n, made);
    return made;
}

const struct template *build_template(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t)
{
    return make_template(b, n, t, TEMPLATE_PLAIN);
}

const struct template *build_prompt(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t)
{
    static const char *const endings[] = {".txt", ".md", NULL};
    struct expr_env env = env_of(n->input_type);
    struct template *made = arena_new(b->arena, struct template);
    struct expr_problem problem;

    if (!is_path(t->text, endings))
        return build_template(b, n, t);
    struct str text = read_named(b, n, t);
    if (!text.p)
        return NULL;
    if (template_compile(b->arena, text, TEMPLATE_PLAIN, &env, made, &problem) != OK) {
        complain_in_file(b, build_path(b, n->scope, t->text), &problem);
        return NULL;
    }
    note_template(b, n, made);
    return made;
}

/* The scheme, the host, and then a "/" or "?" or the end, before any expression: a message must not choose whom it is sent to. */
static bool has_own_host(const struct template *t)
{
    struct str head = t->count && !t->parts[0].expr ? t->parts[0].text : STR_NONE;
    size_t scheme = str_starts_nocase(head, STR("https://")) ? 8 : str_starts_nocase(head, STR("http://")) ? 7 : 0;
    struct str rest = str_slice(head, scheme, head.n);
    size_t end = 0;

    while (end < rest.n && rest.p[end] != '/' && rest.p[end] != '?')
        end++;
    return scheme && end && (end < rest.n || t->count == 1);
}

const struct template *build_url(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t)
{
    const struct template *made = make_template(b, n, t, TEMPLATE_URL);

    if (made && !has_own_host(made))
        problems_error(
            b->problems, t->node,
            "a URL begins with \"https://\" or \"http://\" and its host, which no expression may be a part of");
    return made;
}

/* ---- names ---- */

const struct pipeline_schema *build_schema(struct pipeline_build *b, struct pipeline_node *n,
                                           const struct schema_text *t)
{
    const struct pipeline_scope *scope = n->scope;
    struct str best = STR_NONE;
    unsigned distance = 0;

    if (!t->text.n)
        return NULL;
    for (size_t i = 0; i < scope->schema_count; i++) {
        if (str_eq(scope->schemas[i].name, t->text))
            return &scope->schemas[i];
        schema_nearest(t->text, scope->schemas[i].name, &best, &distance);
    }
    problems_error(b->problems, t->node, "there is no schema \"%.*s\" under \"schemas\"%s", STR_ARG(t->text),
                   schema_suggest(b->arena, t->text, best, distance));
    return NULL;
}

const struct pipeline_connection *build_find_connection(const struct pipeline_scope *scope, struct str name,
                                                        struct str *ret_nearest, unsigned *ret_distance)
{
    for (; scope; scope = scope->outer)
        for (size_t i = 0; i < scope->connection_count; i++) {
            if (str_eq(scope->connections[i].name, name))
                return &scope->connections[i];
            schema_nearest(name, scope->connections[i].name, ret_nearest, ret_distance);
        }
    return NULL;
}

/* "kafka" of "kafka://…" and "tls+kafka://…", "https" being "http" as well. */
bool build_has_scheme(struct str url, struct str scheme)
{
    size_t end = str_find(url, STR("://"));
    struct str own = str_slice(url, 0, end);

    if (str_starts(own, STR("tls+")))
        own = str_slice(own, 4, own.n);
    if (own.n == scheme.n + 1 && own.p[scheme.n] == 's')
        own.n--;
    return end + 3 < url.n && str_eq(own, scheme);
}

static void check_connection(struct pipeline_build *b, const struct pipeline_node *n,
                             const struct pipeline_connection *c, const struct yaml_node *at)
{
    struct str usual = str_from_c(n->kind->usual_url), scheme = str_slice(usual, 0, str_find(usual, STR("://")));

    if (!build_has_scheme(c->url, scheme))
        problems_error(b->problems, at, "the connection \"%.*s\" is no \"%.*s://…\", which a \"%s\" needs",
                       STR_ARG(c->name), STR_ARG(scheme), n->kind->name);
}

void build_connection(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t)
{
    struct str name = t->text.n ? t->text : str_from_c(n->kind->scheme), best = STR_NONE;
    unsigned distance = 0;

    n->connection = build_find_connection(n->scope, name, &best, &distance);
    if (n->connection) {
        check_connection(b, n, n->connection, t->node ? t->node : n->at);
        return;
    }
    if (t->text.n)
        problems_error(b->problems, t->node, "there is no connection \"%.*s\" under \"connections\"%s", STR_ARG(name),
                       schema_suggest(b->arena, name, best, distance));
    struct pipeline_connection *usual = arena_new(b->arena, struct pipeline_connection);
    *usual = (struct pipeline_connection){.name = name, .url = str_from_c(n->kind->usual_url), .is_default = true};
    n->connection = usual;
}

void build_route(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t)
{
    const struct catalog *c = b->world->catalog;
    struct str best = STR_NONE, rest;
    unsigned distance = 0;

    (void)n;
    if (!c || !t->text.n || catalog_find_model(c, t->text) || catalog_find_served(c, t->text, &rest))
        return;
    for (size_t i = 0; i < c->model_count; i++)
        schema_nearest(t->text, c->models[i].name, &best, &distance);
    problems_error(b->problems, t->node, "the gateway has no model \"%.*s\"%s", STR_ARG(t->text),
                   schema_suggest(b->arena, t->text, best, distance));
}

struct pipeline_node *build_find(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t)
{
    struct pipeline_node *found = graph_resolve(b, n->scope, t->text);

    if (!found)
        problems_error(b->problems, t->node, "there is no node \"%.*s\"%s", STR_ARG(t->text),
                       graph_suggest(b, n->scope, t->text));
    return found;
}

/* ---- types, and pipelines within pipelines ---- */

const struct expr_type *build_type(const struct pipeline_type *t)
{
    static const struct expr_type vector = {.kinds = EXPR_IS_ARRAY, .items = &expr_type_number};
    static const struct expr_field members[] = {{STR_INIT("confidence"), &expr_type_number, true},
                                                {STR_INIT("decision"), &expr_type_string, false},
                                                {STR_INIT("reason"), &expr_type_string, true}};
    static const struct expr_type decision = {
        .kinds = EXPR_IS_OBJECT, .fields = members, .field_count = ARRAY_LEN(members)};

    switch (t->kind) {
    case TYPE_UNDECLARED:
        return &expr_type_unchecked;
    case TYPE_SCHEMA:
        return t->schema->type;
    case TYPE_EMBEDDING:
        return &vector;
    case TYPE_LABEL:
    case TYPE_TEXT:
        return &expr_type_string;
    case TYPE_SCORE:
        return &expr_type_number;
    case TYPE_DECISION:
        return &decision;
    }
    return &expr_type_unchecked;
}

static void unref_spec(void *spec)
{
    pipeline_unref(spec);
}

/* What a node keeps belongs to the pipeline that has messages, not to a run for one of them. */
static void check_body(struct pipeline_build *b, const struct schema_text *t, const struct pipeline_spec *body)
{
    for (uint16_t i = 0; i < body->node_count; i++) {
        const struct pipeline_node *n = body->nodes[i];
        if (node_keeps(n) || (n->role == PIPELINE_NODE && n->node->run && n->node->run->memory))
            problems_error(b->problems, t->node,
                           "\"%.*s\" of the pipeline \"%.*s\" keeps something from one message to the next, which one "
                           "that is run by another cannot",
                           STR_ARG(n->name), STR_ARG(body->name));
    }
}

void build_body(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t)
{
    struct pipeline_spec *body;

    n->output_type = &expr_type_unchecked;
    if (!t->text.n)
        return;
    if (b->depth == PIPELINE_CALL_DEPTH_MAX) {
        problems_error(b->problems, t->node,
                       "pipelines within pipelines are more than %d deep; do they run each other?",
                       PIPELINE_CALL_DEPTH_MAX);
        return;
    }
    if (load_at(build_path(b, n->scope, t->text), NULL, b->world, b->depth + 1, b->problems, &body) != OK)
        return;
    arena_hold(b->arena, body, unref_spec);
    sha256_add(b->digest, str_from_c(body->digest));
    n->body = body;
    check_body(b, t, body);
    if (body->output)
        n->output_type = body->output->output_type;
    else
        problems_error(b->problems, t->node,
                       "the pipeline \"%.*s\" has no \"input\" and \"output\" and cannot be run by another",
                       STR_ARG(body->name));
}
