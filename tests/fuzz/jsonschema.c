/*
 * Fuzz target: jsonschema/. The input is a schema, a NUL, and a document; the schema's first byte, if it is below 8, chooses the draft (1), whether
 * formats (2) and content (4) are checked. Whatever they are: compiling and validating end; a schema compiled twice has the same verdict;
 * there are problems exactly if the document is not valid, each with a place that is in the document; a schema includes itself, and what refutes
 * that it includes its neighbour is shown by both validators.
 */
#include "codec/json_scan.h"
#include "jsonschema/inclusion.h"
#include "jsonschema/outline.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define REQUIRE(cond)                                                                                                  \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                           \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

enum { ARENA_MAX = 1 << 28, PROBLEMS = 5, STEPS = 3000 };

static bool is_known_error(err_t e)
{
    return e == E_PARSE || e == E_NOT_FOUND || e == E_UNSUPPORTED || e == E_TOO_LARGE;
}

static const struct jsonschema *compile(struct arena *arena, struct str text, const struct jsonschema_options *options)
{
    const struct json_tree *tree;
    const struct jsonschema *schema;
    struct jsonschema_problem problem;

    if (json_tree_parse(arena, text, &tree) != OK)
        return NULL;
    err_t e = jsonschema_compile(arena, tree, options, &schema, &problem);
    REQUIRE(e == OK || is_known_error(e));
    return e == OK ? schema : NULL;
}

static bool validate(const struct jsonschema *schema, const struct json_tree *document, struct arena *arena,
                     bool *ret_valid)
{
    struct jsonschema_problem problems[PROBLEMS];
    struct jsonschema_report report = {.problems = problems, .max = PROBLEMS};

    err_t e = jsonschema_validate(schema, json_tree_root(document), arena, &report, ret_valid);
    REQUIRE(e == OK || e == E_TOO_LARGE);
    if (e)
        return false;
    REQUIRE((report.count > 0) == !*ret_valid);
    for (size_t i = 0; i < report.count; i++) {
        REQUIRE(problems[i].text.n > 0 && problems[i].node.tree == document);
        REQUIRE(json_valid(json_node_raw(problems[i].node), JSON_LONE_SURROGATES));
    }
    return true;
}

static void check_inclusion(const struct jsonschema *schema, struct arena *arena)
{
    const struct inclusion_options strict = {.reading = INCLUSION_STRICT, .steps = STEPS};
    const struct jsonschema *other =
        compile(arena, STR("{\"type\":[\"object\",\"string\"],\"required\":[\"a\"]}"), &(struct jsonschema_options){0});
    const struct json_tree *tree;
    struct inclusion_result r;
    bool valid;

    REQUIRE(other != NULL);
    err_t e = inclusion_check(schema, schema, &strict, arena, &r);
    REQUIRE(e == OK ? r.verdict != INCLUSION_REFUTED : e == E_TOO_LARGE);
    e = inclusion_check(schema, other, &strict, arena, &r);
    REQUIRE(e == OK || e == E_TOO_LARGE);
    if (e || r.verdict != INCLUSION_REFUTED)
        return;
    REQUIRE(json_tree_parse(arena, r.document, &tree) == OK);
    REQUIRE(jsonschema_validate(schema, json_tree_root(tree), arena, NULL, &valid) == OK && valid);
    REQUIRE(jsonschema_validate(other, json_tree_root(tree), arena, NULL, &valid) == OK && !valid);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena CLEANUP(arena_release);
    unsigned flags = n && data[0] < 8 ? data[0] : 0;
    struct str rest = str_of((const char *)data + (n && data[0] < 8), n - (n && data[0] < 8)),
               text = str_cut(&rest, '\0');
    const struct jsonschema_options options = {.draft = flags & 1 ? JSONSCHEMA_DRAFT_07 : JSONSCHEMA_2020_12,
                                               .assert_formats = flags & 2,
                                               .assert_content = flags & 4};
    const struct json_tree *document;
    bool valid, again;

    arena_init(&arena, ARENA_MAX);
    const struct jsonschema *schema = compile(&arena, text, &options), *twin = compile(&arena, text, &options);
    REQUIRE(!schema == !twin);
    if (!schema)
        return 0;
    REQUIRE(jsonschema_outline(schema, &arena)->kinds < 1 << (JSON_OBJECT + 1));
    if (json_tree_parse(&arena, rest, &document) == OK && validate(schema, document, &arena, &valid)) {
        REQUIRE(validate(twin, document, &arena, &again));
        REQUIRE(valid == again);
        if (valid)
            REQUIRE(jsonschema_outline(schema, &arena)->kinds >> json_node_kind(json_tree_root(document)) & 1);
    }
    check_inclusion(schema, &arena);
    return 0;
}
