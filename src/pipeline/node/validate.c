/* validate.c - records are held against a schema; what does not fit fails, with the validator's words. Behind it the type is the schema's. */
#include "codec/json_tree.h"
#include "expr/value.h"
#include "jsonschema/jsonschema.h"
#include "pipeline/run/run.h"
#include "pipeline/spec/build.h"

enum { PROBLEMS_TOLD = 8, WORDS_MAX = 4096 };

struct validate_node {
    struct schema_text schema;
    bool formats;
    const struct pipeline_schema *against;
    const struct jsonschema *compiled; /* NULL: it is the registry's, and not here */
};

static const struct schema_field validate_fields[] = {
    SCHEMA_TEXT("schema", struct validate_node, schema, .required = true, .doc = "Name under `schemas`."),
    SCHEMA_BOOL("formats", struct validate_node, formats, .default_text = "false",
                .doc = "`format` is an assertion, and no annotation."),
    SCHEMA_END};
static const struct schema_object validate_object = {
    .fields = validate_fields, .size = sizeof(struct validate_node), .shorthand = "schema"};
static const struct schema_field fields[] = {
    SCHEMA_OBJECT_HERE("validate", &validate_object, .doc = "Records are held against a schema."), SCHEMA_END};

static void compile(struct pipeline_build *b, struct validate_node *c)
{
    const struct jsonschema_options o = {.assert_formats = c->formats};
    const struct json_tree *tree;

    if (!c->against->text.n || json_tree_parse(b->arena, c->against->text, &tree) != OK ||
        jsonschema_compile(b->arena, tree, &o, &c->compiled, NULL) != OK)
        c->compiled = NULL; /* why, its entry under `schemas` was told */
}

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct validate_node *c = n->config;

    c->against = build_schema(b, n, &c->schema);
    build_reads(b, n, STR("."));
    if (!c->against)
        return;
    compile(b, c);
    if (n->out.kind != TYPE_UNDECLARED)
        problems_error(b->problems, n->at,
                       "two outputs are declared: \"out\" and the schema of \"validate\"; one is enough");
    n->out = (struct pipeline_type){.kind = TYPE_SCHEMA, .schema = c->against};
}

/* The record as a part of a document: as it came, or, if it was made here, read again. */
static err_t document_of(struct step *s, struct json_node *ret)
{
    struct expr_value v = s->in->value;
    struct expr_budget b = {step_arena(s), expr_limits_default.steps, JOURNAL_BODY_MAX};
    const struct json_tree *tree;
    struct str text;

    if (v.form == EXPR_NODE) {
        *ret = node_of(v);
        return OK;
    }
    TRY(value_to_json(&b, v, &text));
    TRY(json_tree_parse(step_arena(s), text, &tree));
    *ret = json_tree_root(tree);
    return OK;
}

static err_t complain(const struct jsonschema_report *report, struct str schema)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(WORDS_MAX);

    for (size_t i = 0; i < report->count; i++) {
        const struct jsonschema_problem *p = &report->problems[i];
        (void)buf_addf(&text, "%s%.*s%s%.*s", i ? "; " : "", STR_ARG(p->instance), p->instance.n ? " " : "",
                       STR_ARG(p->text));
    }
    return fail(E_PARSE, "the record does not fit the schema \"%.*s\": %.*s%s", STR_ARG(schema),
                STR_ARG(buf_str(&text)), report->more ? "; and more" : "");
}

static err_t work(struct step *s)
{
    const struct validate_node *c = s->node->config;
    struct jsonschema_problem found[PROBLEMS_TOLD];
    struct jsonschema_report report = {.problems = found, .max = ARRAY_LEN(found)};
    struct json_node document;
    bool is_valid;

    if (!c->compiled)
        return fail(E_UNSUPPORTED, "the schema \"%.*s\" is in a registry, which nobody has asked",
                    STR_ARG(c->against->name));
    TRY(document_of(s, &document));
    TRY(jsonschema_validate(c->compiled, document, step_arena(s), &report, &is_valid));
    return is_valid ? step_send(s, s->in->value) : complain(&report, c->against->name);
}

static const struct node_run node_run = {.work = work};

const struct node_kind node_kind_validate = {
    .kind = {.name = "validate",
             .fields = fields,
             .size = sizeof(struct validate_node),
             .traits = KIND_ANSWERS,
             .build = build},
    .run = &node_run,
};
