/*
 * jsonschema_bench.c - JSON Schema on one thread: a document of 1 KB that is valid, one that is not, what parsing it takes beside that, and
 * compiling. Prints nanoseconds per operation, the best of several rounds.
 *
 *     make benches && build/release/jsonschema_bench [PART-OF-A-NAME]
 */
#include "base/map.h"
#include "jsonschema/jsonschema.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 30, CALLS = 2000 };

/* A decision of a model, as a pipeline hands it on: nested objects, an array of them, patterns, enumerations, bounds. */
static const char schema_text[] =
    "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\","
    "\"required\":[\"ticket_id\",\"intent\",\"confidence\",\"language\",\"customer\",\"entities\",\"usage\"],"
    "\"additionalProperties\":false,\"properties\":{"
    "\"ticket_id\":{\"type\":\"string\",\"pattern\":\"^T-[0-9]{4,10}$\"},"
    "\"intent\":{\"enum\":[\"billing\",\"cancel\",\"complaint\",\"question\",\"refund\"]},"
    "\"confidence\":{\"type\":\"number\",\"minimum\":0,\"maximum\":1},"
    "\"language\":{\"type\":\"string\",\"minLength\":2,\"maxLength\":5},"
    "\"summary\":{\"type\":\"string\",\"maxLength\":500},"
    "\"customer\":{\"type\":\"object\",\"required\":[\"id\",\"tier\"],\"properties\":{"
    "\"id\":{\"type\":\"integer\",\"minimum\":1},\"tier\":{\"enum\":[\"free\",\"silver\",\"gold\"]},"
    "\"email\":{\"type\":\"string\",\"format\":\"email\"},\"since\":{\"type\":\"string\",\"format\":\"date\"}}},"
    "\"entities\":{\"type\":\"array\",\"maxItems\":50,\"items\":{\"$ref\":\"#/$defs/entity\"}},"
    "\"labels\":{\"type\":\"array\",\"uniqueItems\":true,\"items\":{\"type\":\"string\"}},"
    "\"usage\":{\"type\":\"object\",\"properties\":{\"prompt_tokens\":{\"type\":\"integer\",\"minimum\":0},"
    "\"completion_tokens\":{\"type\":\"integer\",\"minimum\":0},\"cost\":{\"type\":\"number\"}}},"
    "\"routing\":{\"oneOf\":[{\"properties\":{\"to\":{\"const\":\"human\"},\"queue\":{\"type\":\"string\"}},"
    "\"required\":[\"to\",\"queue\"]},{\"properties\":{\"to\":{\"const\":\"auto\"}},\"required\":[\"to\"]}]}},"
    "\"$defs\":{\"entity\":{\"type\":\"object\",\"required\":[\"kind\",\"text\",\"from\",\"to\"],\"properties\":{"
    "\"kind\":{\"enum\":[\"order\",\"product\",\"person\",\"date\"]},\"text\":{\"type\":\"string\",\"minLength\":1},"
    "\"from\":{\"type\":\"integer\",\"minimum\":0},\"to\":{\"type\":\"integer\",\"minimum\":0},"
    "\"score\":{\"type\":\"number\",\"minimum\":0,\"maximum\":1}}}}}";

/* clang-format off */
static const char document_text[] =
    "{\"ticket_id\":\"T-1029384\",\"intent\":\"refund\",\"confidence\":0.9375,\"language\":\"en\","
    "\"summary\":\"The customer bought two pairs of headphones in March, one of which stopped charging after nine days. "
    "They ask for their money back rather than for a replacement, mention an earlier ticket about the same order, and would "
    "like to be called back in the afternoon, because they work at night.\","
    "\"customer\":{\"id\":448120,\"tier\":\"gold\",\"email\":\"someone@example.com\",\"since\":\"2021-04-30\"},"
    "\"entities\":[{\"kind\":\"product\",\"text\":\"headphones\",\"from\":34,\"to\":44,\"score\":0.98},"
    "{\"kind\":\"date\",\"text\":\"March\",\"from\":48,\"to\":53,\"score\":0.91},"
    "{\"kind\":\"order\",\"text\":\"A-77120\",\"from\":196,\"to\":203,\"score\":0.88},"
    "{\"kind\":\"person\",\"text\":\"the customer\",\"from\":220,\"to\":232,\"score\":0.61}],"
    "\"labels\":[\"hardware\",\"warranty\",\"second-contact\"],"
    "\"usage\":{\"prompt_tokens\":412,\"completion_tokens\":153,\"cost\":0.000271},"
    "\"routing\":{\"to\":\"human\",\"queue\":\"returns\"}}";
/* clang-format on */

enum action { VALIDATE, PARSE, BOTH, EXPLAIN, COMPILE };

static const struct bench_case {
    const char *name;
    enum action action;
} cases[] = {
    {"validate a document of 1 KB", VALIDATE}, {"parse it", PARSE},
    {"parse and validate it", BOTH},           {"say what is wrong with another", EXPLAIN},
    {"compile the schema", COMPILE},
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

struct bench {
    const struct json_tree *schema_tree, *document, *wrong;
    const struct jsonschema *schema;
};

static err_t once(const struct bench *b, enum action action, struct arena *arena)
{
    struct jsonschema_problem problems[8];
    struct jsonschema_report report = {.problems = problems, .max = ARRAY_LEN(problems)};
    const struct json_tree *tree = b->document;
    const struct jsonschema *schema;
    bool valid = true;

    switch (action) {
    case PARSE:
        return json_tree_parse(arena, b->document->text, &tree);
    case BOTH:
        TRY(json_tree_parse(arena, b->document->text, &tree));
        TRY(jsonschema_validate(b->schema, json_tree_root(tree), arena, NULL, &valid));
        break;
    case VALIDATE:
        TRY(jsonschema_validate(b->schema, json_tree_root(tree), arena, NULL, &valid));
        break;
    case EXPLAIN:
        TRY(jsonschema_validate(b->schema, json_tree_root(b->wrong), arena, &report, &valid));
        valid = !valid && report.count == 2;
        break;
    case COMPILE:
        return jsonschema_compile(arena, b->schema_tree, &(struct jsonschema_options){0}, &schema, NULL);
    }
    return valid ? OK : fail(E_PARSE, "the verdict is wrong");
}

static void measure(const struct bench *b, const struct bench_case *c)
{
    struct arena arena CLEANUP(arena_release);
    double best = 1e18;

    arena_init(&arena, 1 << 22);
    for (int round = 0; round < ROUNDS; round++) {
        double from = now();
        for (int i = 0; i < CALLS; i++) {
            if (once(b, c->action, &arena) != OK)
                die("%s: %s", c->name, err_detail(E_PARSE));
            arena_clear(&arena);
        }
        double took = (now() - from) / CALLS;
        best = took < best ? took : best;
    }
    printf("%-34s %9.1f ns\n", c->name, best);
}

int main(int argc, char **argv)
{
    struct arena arena CLEANUP(arena_release);
    struct bench b;
    struct jsonschema_problem problem;

    arena_init(&arena, 1 << 22);
    struct str wrong = arena_str(&arena, str_from_c(document_text));
    char *text = arena_alloc(&arena, wrong.n);
    memcpy(text, wrong.p, wrong.n);
    memcpy(text + str_find(wrong, STR("refund")), "refuse", 6);
    text[str_find(wrong, STR("0.9375"))] = '7';
    if (json_tree_parse(&arena, str_from_c(schema_text), &b.schema_tree) != OK ||
        json_tree_parse(&arena, str_from_c(document_text), &b.document) != OK ||
        json_tree_parse(&arena, str_of(text, wrong.n), &b.wrong) != OK)
        die("a text is no JSON");
    if (jsonschema_compile(&arena, b.schema_tree, &(struct jsonschema_options){0}, &b.schema, &problem) != OK)
        die("%.*s: %.*s", STR_ARG(problem.keyword), STR_ARG(problem.text));
    printf("the document has %zu bytes\n", b.document->text.n);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (argc < 2 || strstr(cases[i].name, argv[1]))
            measure(&b, &cases[i]);
    return 0;
}
