/*
 * build_subject.c - schemas that an entry of `schemas` names by subject and version.
 *
 * What a registry answers is kept as a text of the pipeline, beside the files that it was made of: it counts for the digest, so a newer `latest` is another version of
 * the pipeline, and who loads this version again (a journal's messages that are under way, tests) has it without asking.
 *
 * A copy of a version, in a file beside the pipeline, is what counts: a registry that does not answer keeps nobody from starting, one that does has to agree.
 *
 * The text's form is "4\n{…}": which version it is, and the schema. Its path is no file's: "registry:intent@latest".
 */
#include "codec/url.h"
#include "jsonschema/equal.h"
#include "pipeline/spec/build.h"
#include "pipeline/spec/file.h"
#include "pipeline/system/subject.h"

enum { SUBJECT_MAX = 1000 /* bytes; as registries have it */ };

/* The connection to the registry; NULL: none is named, and none is called as it should be. False after a problem. */
static bool find_registry(struct pipeline_build *b, const struct pipeline_scope *scope, const struct file_schema *f,
                          const struct pipeline_connection **ret)
{
    struct str name = f->connection.text.n ? f->connection.text : STR("registry"), best = STR_NONE;
    const struct yaml_node *at = f->connection.node ? f->connection.node : f->subject.node;
    unsigned distance = 0;

    *ret = build_find_connection(scope, name, &best, &distance);
    if (!*ret && f->connection.text.n) {
        problems_error(b->problems, at, "there is no connection \"%.*s\" under \"connections\"%s", STR_ARG(name),
                       schema_suggest(b->arena, name, best, distance));
        return false;
    }
    if (*ret && !build_has_scheme((*ret)->url, STR("http"))) {
        problems_error(b->problems, at,
                       "the connection \"%.*s\" is no \"http://…\" or \"https://…\", which a schema registry needs",
                       STR_ARG(name));
        return false;
    }
    return true;
}

static struct str path_of(struct pipeline_build *b, const struct pipeline_scope *scope,
                          const struct pipeline_connection *c, const struct file_schema *f)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(4 * SUBJECT_MAX + 2000);

    (void)buf_add_lit(&text, "registry:");
    (void)url_encode(&text, f->subject.text);
    if (f->version)
        (void)buf_addf(&text, "@%u", f->version);
    else
        (void)buf_add_lit(&text, "@latest");
    if (c) /* as the file sees it: files that are called may have connections of the same name */
        (void)buf_addf(&text, " at %.*s%.*s", STR_ARG(scope->prefix), STR_ARG(c->name));
    return arena_str(b->arena, buf_str(&text));
}

/* What the registry says, in the form of a text; NULL: after a problem, or nobody is there to be asked. */
static const struct str *ask(struct pipeline_build *b, const struct pipeline_connection *c, const struct file_schema *f,
                             struct str path)
{
    const struct pipeline_registry *r = b->world->registry;
    struct subject_version v;

    if (!r)
        return NULL;
    err_t e = r->look_up(r->ctx, c, f->subject.text, f->version, b->arena, &v);
    if (e == OK)
        return build_keep(b, path, arena_printf(b->arena, "%u\n%.*s", v.number, STR_ARG(v.schema)));
    problems_error(b->problems, f->subject.node, "%s", err_detail(e));
    return NULL;
}

static bool is_sound(struct pipeline_build *b, const struct file_schema *f)
{
    if (f->subject.text.n <= SUBJECT_MAX)
        return true;
    problems_error(b->problems, f->subject.node, "a subject has at most %d bytes", SUBJECT_MAX);
    return false;
}

/* As JSON: registries may have written a text anew. */
static bool is_same(struct arena *a, struct str x, struct str y)
{
    struct work w = {.arena = a, .steps = PIPELINE_FILE_MAX};
    const struct json_tree *in_x, *in_y;

    return json_tree_parse(a, x, &in_x) == OK && json_tree_parse(a, y, &in_y) == OK &&
           json_equal(json_tree_root(in_x), json_tree_root(in_y), &w) && !w.error;
}

static void compare_copy(struct pipeline_build *b, const struct pipeline_connection *c, const struct file_schema *f,
                         const struct pipeline_schema *s)
{
    const struct pipeline_registry *r = b->world->registry;
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct subject_version v;

    err_t e = r->look_up(r->ctx, c, f->subject.text, f->version, &arena, &v);
    if (e == OK && !is_same(&arena, s->text, v.schema))
        problems_error(b->problems, f->file.node,
                       "this is not version %u of the subject \"%.*s\": the registry has another text. Copy that, or "
                       "name the version that this is",
                       f->version, STR_ARG(f->subject.text));
    else if (e == E_NOT_FOUND || e == E_UNSUPPORTED)
        problems_error(b->problems, f->subject.node, "%s", err_detail(e));
    else if (e != OK)
        problems_warn(b->problems, f->subject.node, "\"%.*s\" is taken as it is, and was not compared: %s",
                      STR_ARG(f->file.text), err_detail(e));
}

void build_subject_copy(struct pipeline_build *b, const struct pipeline_scope *scope, const struct file_schema *f,
                        bool is_new, struct pipeline_schema *s)
{
    const struct pipeline_connection *c;

    if (!is_sound(b, f) || !find_registry(b, scope, f, &c))
        return;
    if (!f->version) {
        problems_error(b->problems, f->node,
                       "a copy (\"file\") is of one version of its \"subject\": say which (\"version\": a number)");
        return;
    }
    s->text = subject_schema(s->text, b->arena);
    if (is_new && b->world->registry)
        compare_copy(b, c, f, s);
}

void build_subject(struct pipeline_build *b, const struct pipeline_scope *scope, const struct file_schema *f,
                   struct pipeline_schema *s)
{
    const struct pipeline_connection *c;
    uint64_t number;

    if (!is_sound(b, f) || !find_registry(b, scope, f, &c))
        return;
    s->path = path_of(b, scope, c, f);
    const struct str *known = build_known(b, s->path);
    if (!known)
        known = ask(b, c, f, s->path);
    struct str text = known ? *known : STR_NONE, version = str_cut(&text, '\n');
    if (str_to_u64(version, UINT32_MAX, &number)) {
        s->version = (unsigned)number;
        s->text = text;
    }
}
