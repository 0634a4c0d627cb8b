/*
 * trial_file.c - files of trials: their shape, and which there are.
 *
 *     tests:
 *       - name: a refund goes to the CRM
 *         inputs:  {tickets: [{id: 1, text: "I want my money back"}]}
 *         mocks:   {classify: {output: {intent: refund, confidence: 0.9}}}
 *         expect:  {crm: [{case: 1, intent: refund}]}
 *
 * A message is its body, or, where more is to be said of it, a map with `$body`. What is expected are patterns (trial_match.c).
 */
#include "base/glob.h"
#include "base/units.h"
#include "codec/json_tree.h"
#include "codec/yaml_json.h"
#include "pipeline/trial/trial_int.h"

#include <stdlib.h>

enum { LISTING_MAX = 1 << 20, DOCUMENT_MAX = 16 << 20, FILES_MAX = 1000 };

/* --- the shape --- */

static const struct schema_choice errors[] = {{"timeout", E_DEADLINE, "it takes too long"},
                                              {"transport", E_IO, "the connection breaks"},
                                              {"429", E_OVERLOAD, "it has too much to do"},
                                              {"5xx", E_UPSTREAM, "it fails"},
                                              {"invalid", E_PARSE, "what it answers is no answer"},
                                              {"refused", E_FORBIDDEN, "it will not, however often it is asked"},
                                              {NULL, 0, NULL}};
static const struct schema_field mock_fields[] = {
    SCHEMA_TEXT("when", struct trial_mock, when,
                .doc = "Expression over what the node is given; the first that fits answers."),
    SCHEMA_ANY("output", struct trial_mock, output.node, .doc = "What it yields."),
    SCHEMA_TEXT("map", struct trial_mock, map, .doc = "Instead: expression that makes it of what the node is given."),
    SCHEMA_ENUM("error", struct trial_mock, error, errors, .doc = "Instead: how it fails."),
    SCHEMA_DURATION("after", struct trial_mock, after, .default_text = "0", .max = "365d", .doc = "It takes so long."),
    SCHEMA_UNSIGNED("times", struct trial_mock, times, .default_doc = "always", .doc = "So many times only."),
    SCHEMA_END};
static const struct schema_object mock_object = {
    .fields = mock_fields, .size = sizeof(struct trial_mock), .node_offset = SCHEMA_NODE_AT(struct trial_mock, node)};
static const struct schema_field mock_item = SCHEMA_ITEM_OBJECT(&mock_object, .doc = "An answer.");
static const struct schema_field document_item = SCHEMA_ANY(NULL, struct trial_document, node, .doc = "A document.");
static const struct schema_field message_item = SCHEMA_ANY(NULL, struct trial_message, body.node, .doc = "A message.");
static const struct schema_field input_value =
    SCHEMA_LIST(NULL, struct trial_entry, messages, message_count, &message_item, .doc = "Messages.");
static const struct schema_field mock_value =
    SCHEMA_LIST(NULL, struct trial_entry, mocks, mock_count, &mock_item, .single = true, .doc = "Answers.");
static const struct schema_field expected_value =
    SCHEMA_LIST(NULL, struct trial_entry, records, record_count, &document_item, .doc = "Records, in their order.");
static const struct schema_field word = SCHEMA_ITEM(TEXT, .doc = "A name.");
static const struct schema_field trial_fields[] = {
    SCHEMA_STRING("name", struct trial, name, .required = true, .doc = "What it shows."),
    SCHEMA_MAP("inputs", struct trial, inputs, input_count, &input_value, struct trial_entry, name, .required = true,
               .key_doc = "source", .doc = "Messages, by source."),
    SCHEMA_MAP("mocks", struct trial, mocks, mock_count, &mock_value, struct trial_entry, name, .key_doc = "node",
               .doc = "What nodes yield instead of doing what they do."),
    SCHEMA_MAP("expect", struct trial, expected, expected_count, &expected_value, struct trial_entry, name,
               .key_doc = "sink", .doc = "What is to arrive; at sinks that are not named, nothing."),
    SCHEMA_LIST("dead_letters", struct trial, letters, letter_count, &document_item,
                .doc = "What is to die: patterns over `node`, `cause`, `error`, `record`."),
    SCHEMA_LIST("unchecked", struct trial, unchecked, unchecked_count, &word, .single = true,
                .doc = "Sinks at which anything may arrive."),
    SCHEMA_BOOL("any_order", struct trial, any_order, .default_text = "false",
                .doc = "What arrives at a sink may come in any order."),
    SCHEMA_END};
static const struct schema_object trial_object = {
    .fields = trial_fields, .size = sizeof(struct trial), .node_offset = SCHEMA_NODE_AT(struct trial, node)};
static const struct schema_field trial_item = SCHEMA_ITEM_OBJECT(&trial_object, .doc = "A test.");

struct trials_of_file {
    struct trial *items;
    size_t count;
};
static const struct schema_field file_fields[] = {
    SCHEMA_LIST("tests", struct trials_of_file, items, count, &trial_item, .required = true, .doc = "Tests."),
    SCHEMA_END};
static const struct schema_object file_object = {.fields = file_fields, .size = sizeof(struct trials_of_file)};

/* --- names and documents --- */

struct loading {
    const struct pipeline_spec *spec;
    const struct pipeline_world *world;
    struct arena *arena;
    struct problems *problems;
    const struct trial **trials;
    size_t count;
};

static void make_document(struct loading *l, struct trial_document *d)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(DOCUMENT_MAX);

    if (!d->node)
        return;
    if (yaml_put_json(d->node, l->problems, &text) == E_TOO_LARGE)
        problems_error(l->problems, d->node, "the document is too large");
    d->json = arena_str(l->arena, buf_str(&text));
}

static void check_name(struct loading *l, const struct trial_entry *e, const struct trial *t, enum pipeline_role role)
{
    static const char *const words[] = {"source", "node", "sink"};
    const struct pipeline_node *n = pipeline_find(l->spec, e->name);

    if (!n || n->role != role)
        problems_error(l->problems, t->node, "the test \"%.*s\" names a %s \"%.*s\" that the pipeline does not have",
                       STR_ARG(t->name), words[role], STR_ARG(e->name));
}

/* A body alone, or {$body, $key, $after}. */
static void make_message(struct loading *l, struct trial_message *m)
{
    const struct yaml_node *whole = m->body.node, *body = yaml_get(whole, STR("$body"));

    if (body) {
        const struct yaml_node *key = yaml_get(whole, STR("$key")), *after = yaml_get(whole, STR("$after"));
        size_t known = 1 + !!key + !!after;
        if (whole->count != known || (key && key->kind != YAML_SCALAR) || (after && after->kind != YAML_SCALAR))
            problems_error(l->problems, whole, "a message with \"$body\" has \"$key\" and \"$after\" besides, no more");
        else if (after && units_parse_duration(after->text, &m->after) != OK)
            problems_error(l->problems, after, "\"$after\" is a duration: 1s, 10m");
        m->key = key && key->kind == YAML_SCALAR ? key->text : STR_NONE;
        m->body.node = body;
    }
    make_document(l, &m->body);
}

static void check_mock(struct loading *l, struct trial_mock *m)
{
    if (!!m->output.node + !!m->map.text.n + (m->error != OK) != 1)
        problems_error(l->problems, m->node, "a mock has one of \"output\", \"map\" and \"error\"");
    make_document(l, &m->output);
}

static void finish(struct loading *l, struct trial *t)
{
    t->path = l->spec->path;
    t->world = l->world;
    for (size_t i = 0; i < t->input_count; i++) {
        check_name(l, &t->inputs[i], t, PIPELINE_SOURCE);
        for (size_t k = 0; k < t->inputs[i].message_count; k++)
            make_message(l, &t->inputs[i].messages[k]);
    }
    for (size_t i = 0; i < t->mock_count; i++) {
        check_name(l, &t->mocks[i], t, PIPELINE_NODE);
        for (size_t k = 0; k < t->mocks[i].mock_count; k++)
            check_mock(l, &t->mocks[i].mocks[k]);
    }
    for (size_t i = 0; i < t->expected_count; i++) {
        check_name(l, &t->expected[i], t, PIPELINE_SINK);
        for (size_t k = 0; k < t->expected[i].record_count; k++)
            make_document(l, &t->expected[i].records[k]);
    }
    for (size_t i = 0; i < t->letter_count; i++)
        make_document(l, &t->letters[i]);
    for (size_t i = 0; i < t->unchecked_count; i++)
        check_name(l, &(struct trial_entry){.name = t->unchecked[i].text}, t, PIPELINE_SINK);
}

/* --- files --- */

static void load_file(struct loading *l, struct str path)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(TRIAL_FILE_MAX);
    struct trials_of_file f = {0};
    struct yaml_node *root;

    err_t e = l->world->env->read_file(path.p, TRIAL_FILE_MAX, &text);
    if (e != OK) {
        struct str words = arena_printf(l->arena, "cannot be read: %s", err_detail(e));
        problems_add(l->problems, (struct problem){.file = path, .text = words});
        return;
    }
    if (yaml_parse(buf_str(&text), path, NULL, l->arena, l->problems, &root) != OK)
        return;
    if (schema_bind(&file_object, root, l->arena, l->problems, NULL, &f) != OK)
        return;
    for (size_t i = 0; i < f.count; i++) {
        if (l->count == TRIALS_MAX) {
            problems_error(l->problems, f.items[i].node, "there are more than %d tests", TRIALS_MAX);
            return;
        }
        finish(l, &f.items[i]);
        l->trials[l->count++] = &f.items[i];
    }
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Files of the folder whose names fit, in their order. */
static void load_folder(struct loading *l, struct str folder, struct str pattern)
{
    struct buf names CLEANUP(buf_release) = BUF_INIT(LISTING_MAX);
    const struct config_env *env = l->world->env;
    struct str *found = arena_alloc(l->arena, FILES_MAX * sizeof *found);
    size_t count = 0;
    struct str path = folder.n ? folder : STR("./");

    err_t e = env->list_folder ? env->list_folder(arena_str(l->arena, path).p, &names) : E_UNSUPPORTED;
    struct str rest = buf_str(&names);
    while (e == OK && rest.n && count < FILES_MAX) {
        struct str name = str_cut(&rest, '\0');
        if (glob_match(pattern, name))
            found[count++] = arena_join(l->arena, folder, name);
    }
    if (!count)
        problems_add(l->problems,
                     (struct problem){.file = l->spec->path,
                                      .text = arena_printf(l->arena, "there is no file of tests \"%.*s%.*s\"",
                                                           STR_ARG(folder), STR_ARG(pattern))});
    qsort(found, count, sizeof *found, by_text);
    for (size_t i = 0; i < count; i++)
        load_file(l, arena_str(l->arena, found[i]));
}

static struct str folder_of(struct str path)
{
    size_t n = path.n;

    while (n > 0 && path.p[n - 1] != '/')
        n--;
    return str_slice(path, 0, n);
}

static void load_pattern(struct loading *l, struct str pattern)
{
    struct str path = pattern.p[0] == '/' ? pattern : arena_join(l->arena, folder_of(l->spec->path), pattern);
    struct str folder = folder_of(path), name = str_slice(path, folder.n, path.n);

    if (str_find_char(name, '*') < name.n || str_find_char(name, '?') < name.n)
        load_folder(l, folder, name);
    else
        load_file(l, arena_str(l->arena, path));
}

err_t trials_load(const struct pipeline_spec *spec, const struct pipeline_world *world, struct arena *arena,
                  struct problems *problems, struct trial_set *ret)
{
    struct loading l = {.spec = spec,
                        .world = world,
                        .arena = arena,
                        .problems = problems,
                        .trials = arena_alloc(arena, TRIALS_MAX * sizeof(const struct trial *))};

    for (size_t i = 0; i < spec->test_count; i++)
        if (spec->tests[i].n)
            load_pattern(&l, spec->tests[i]);
    *ret = (struct trial_set){l.trials, l.count};
    return problems->errors ? fail(E_CONFIG, "%zu errors in the tests", problems->errors) : OK;
}

struct str trial_name(const struct trial *t)
{
    return t->name;
}

struct str trial_file(const struct trial *t)
{
    return *t->node->file;
}

unsigned trial_line(const struct trial *t)
{
    return t->node->line;
}
