/*
 * Fuzz target: codec/yaml.h and codec/schema.h.
 *
 * Whatever the bytes are: either a tree whose places, weights and keys are in order, or at least one problem with a
 * place in the text; the same for the same bytes again. Every tree is then read with a table that has each kind of
 * field, twice: as it is, and as if all texts had come from variables.
 */
#include "codec/yaml.h"
#include "codec/schema.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
const char *__lsan_default_suppressions(void);

/* libfyaml 0.7 loses a little memory for some malformed texts. Ours is watched all the same. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so";
}

#define REQUIRE(cond)                                                                                                  \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                           \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

struct part {
    struct str name;
    struct str s;
    struct schema_text t;
    bool b;
    int64_t i;
    unsigned u;
    double d;
    ns_t span;
    uint64_t size;
    int word;
    struct str *list;
    size_t list_count;
    const struct yaml_node *any;
};

struct whole {
    struct part part;
    struct part *parts, *map;
    size_t part_count, map_count;
    bool flag;
    struct str path;
};

static const struct schema_choice words[] = {
    {"one", 1, "1"}, {"two", 2, "2"}, {"three", SCHEMA_UNAVAILABLE, "no"}, {NULL, 0, NULL}};
static const struct schema_field string_item = SCHEMA_ITEM(STRING);
static const struct schema_field part_fields[] = {
    SCHEMA_STRING("s", struct part, s, .required = true),
    SCHEMA_TEXT("t", struct part, t, .default_text = "x"),
    SCHEMA_BOOL("b", struct part, b),
    SCHEMA_INT("i", struct part, i, .min = "-5", .max = "5"),
    SCHEMA_UNSIGNED("u", struct part, u, .max = "5"),
    SCHEMA_FLOAT("d", struct part, d, .min = "0", .max = "1"),
    SCHEMA_DURATION("span", struct part, span, .never = true, .max = "1h"),
    SCHEMA_SIZE("size", struct part, size, .max = "1MiB"),
    SCHEMA_ENUM("word", struct part, word, words),
    SCHEMA_LIST("list", struct part, list, list_count, &string_item, .single = true, .max = "4"),
    SCHEMA_ANY("any", struct part, any),
    SCHEMA_END};
static const struct schema_object part_object = {.fields = part_fields, .size = sizeof(struct part), .shorthand = "s"};
static const struct schema_field part_item = SCHEMA_ITEM_OBJECT(&part_object);
static const struct schema_field forms[] = {
    {.kind = SCHEMA_KIND_BOOL, .offset = SCHEMA_AT(struct whole, flag, bool)},
    {.kind = SCHEMA_KIND_STRING, .offset = SCHEMA_AT(struct whole, path, struct str)},
    SCHEMA_END};
static const struct schema_field whole_fields[] = {
    SCHEMA_OBJECT("part", struct whole, part, &part_object),
    SCHEMA_LIST("parts", struct whole, parts, part_count, &part_item),
    SCHEMA_MAP("map", struct whole, map, map_count, &part_item, struct part, name), SCHEMA_ONE_OF("form", forms),
    SCHEMA_END};
static const struct schema_object whole_object = {.fields = whole_fields, .size = sizeof(struct whole)};

/* Check the tree at `n`; returns its weight. As deep as yaml_parse() allows. */
static uint64_t check_tree(const struct yaml_node *n)
{
    uint64_t weight = 1;

    REQUIRE(n->line > 0 && n->column > 0);
    REQUIRE(n->file && n->file->n == 1);
    REQUIRE(n->kind != YAML_SCALAR || n->text.p[n->text.n] == '\0');
    for (size_t i = 0; n->kind == YAML_LIST && i < n->count; i++)
        weight += check_tree(n->items[i]);
    for (size_t i = 0; n->kind == YAML_MAP && i < n->count; i++) {
        REQUIRE(n->pairs[i].key->kind == YAML_SCALAR);
        REQUIRE(yaml_get(n, n->pairs[i].key->text) == n->pairs[i].value);
        weight += check_tree(n->pairs[i].key) + check_tree(n->pairs[i].value);
    }
    REQUIRE(weight == n->weight);
    return weight;
}

static void mark_expanded(struct yaml_node *n)
{
    n->expanded = true;
    for (size_t i = 0; n->kind == YAML_LIST && i < n->count; i++)
        mark_expanded(n->items[i]);
    for (size_t i = 0; n->kind == YAML_MAP && i < n->count; i++)
        mark_expanded(n->pairs[i].value);
}

static void check_part(const struct part *p)
{
    REQUIRE(p->i >= -5 && p->i <= 5);
    REQUIRE(p->u <= 5 && p->d >= 0 && p->d <= 1 && p->size <= 1 << 20);
    REQUIRE(p->span == NS_NEVER || (p->span >= 0 && p->span <= 3600 * NS_SEC));
    REQUIRE(p->word >= 0 && p->word <= 2);
    REQUIRE(p->list_count <= 4);
}

static void bind(const struct yaml_node *root, struct arena *a)
{
    struct problems problems = {.arena = a};
    struct whole w;
    err_t e = schema_bind(&whole_object, root, a, &problems, NULL, &w);

    REQUIRE((e == OK) == (problems.errors == 0));
    if (e)
        return;
    check_part(&w.part);
    for (size_t i = 0; i < w.part_count; i++)
        check_part(&w.parts[i]);
    for (size_t i = 0; i < w.map_count; i++)
        check_part(&w.map[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct yaml_limits limits = {.nodes = 2000};
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct problems first = {.arena = &a}, second = {.arena = &a};
    struct buf one CLEANUP(buf_release) = BUF_INIT(1 << 24), two CLEANUP(buf_release) = BUF_INIT(1 << 24);
    struct yaml_node *root = NULL, *again = NULL;
    struct str text = str_of((const char *)data, n);

    err_t e = yaml_parse(text, STR("f"), &limits, &a, &first, &root);
    REQUIRE(yaml_parse(text, STR("f"), &limits, &a, &second, &again) == e);
    problems_print(&first, &one);
    problems_print(&second, &two);
    REQUIRE(str_eq(buf_str(&one), buf_str(&two)));
    REQUIRE((e == OK) == (root != NULL) && (e == OK) == (first.errors == 0));
    if (e)
        return 0;
    REQUIRE(check_tree(root) <= 2000);
    bind(root, &a);
    mark_expanded(root);
    bind(root, &a);
    return 0;
}
