/*
 * expr_bench.c - expressions on one thread: conditions as a route has them, on a record of the host; a mapping of a JSON document; and
 * compiling. Prints nanoseconds per operation, the best of several rounds.
 *
 *     make benches && build/release/expr_bench [PART-OF-A-NAME]
 */
#include "expr/expr.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 15, CALLS = 2000 };

static const struct expr_type texts = {.kinds = EXPR_IS_ARRAY, .items = &expr_type_string};
static const struct expr_type members = {.kinds = EXPR_IS_OBJECT, .rest = &expr_type_any};
static const struct expr_field fields[] = {
    {STR_INIT("model"), &expr_type_string, false},
    {STR_INIT("tokens"), &expr_type_number, false},
    {STR_INIT("tags"), &texts, false},
    {STR_INIT("metadata"), &members, false},
};
static const struct expr_type request_type = {
    .kinds = EXPR_IS_OBJECT, .is_record = true, .is_closed = true, .fields = fields, .field_count = ARRAY_LEN(fields)};

struct request {
    struct expr_host host;
    struct json_node metadata;
};

static size_t request_count(const struct expr_host *host)
{
    (void)host;
    return ARRAY_LEN(fields);
}

static void request_at(const struct expr_host *host, size_t index, struct str *ret_key, struct expr_value *ret_value)
{
    static const struct str tags[] = {STR_INIT("batch"), STR_INIT("eu")};

    *ret_key = fields[index].name;
    if (index == 0)
        *ret_value = expr_string(STR("gpt-4o-mini"));
    else if (index == 1)
        *ret_value = expr_number(1234);
    else if (index == 2)
        *ret_value = expr_strings(tags, ARRAY_LEN(tags));
    else
        *ret_value = expr_json(((const struct request *)host)->metadata);
}

static const struct expr_host_class request_class = {.count = request_count, .at = request_at};

static const char document[] =
    "{\"model\":\"gpt-4o\",\"temperature\":0.2,\"messages\":[{\"role\":\"system\",\"content\":\"You are brief.\"},"
    "{\"role\":\"user\",\"content\":\"What is the capital of "
    "France?\"}],\"metadata\":{\"customer\":\"acme\",\"tier\":\"gold\"},"
    "\"tools\":[],\"user\":\"u-1234\",\"max_tokens\":256}";

struct bench_case {
    const char *name, *program;
    bool on_record, only_compile;
};

static const struct bench_case cases[] = {
    {"condition: a field equals", ".model == \"gpt-4o-mini\"", true, false},
    {"condition: three facts", "(.model | startswith(\"gpt-\")) and .tokens < 8000 and (.tags | index(\"eu\"))", true,
     false},
    {"condition: any tag", "any(.tags[]; . == \"eu\")", true, false},
    {"condition: metadata", ".metadata.tier == \"gold\" and .metadata.customer != \"test\"", true, false},
    {"condition: a pattern", ".model | test(\"^gpt-[0-9]\")", true, false},
    {"mapping: an object",
     "{model, text: .messages[-1].content, n: (.messages | length), by: \"\\(.user)/\\(.metadata.tier)\"}", false,
     false},
    {"mapping: of each message", "[.messages[] | {role, size: (.content | length)}]", false, false},
    {"compiling three facts", "(.model | startswith(\"gpt-\")) and .tokens < 8000 and (.tags | index(\"eu\"))", true,
     true},
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void once(const struct bench_case *c, const struct expr *expr, const struct expr_input *input,
                 struct arena *arena)
{
    static const struct expr_env typed = {.input = &request_type};
    struct expr_value value;
    bool truth;
    err_t e;

    if (c->only_compile)
        e = expr_compile(arena, str_from_c(c->program), &typed, &expr, NULL);
    else if (c->on_record)
        e = expr_is_true(expr, arena, input, &expr_limits_default, &truth);
    else
        e = expr_eval(expr, arena, input, &expr_limits_default, &value);
    if (e)
        die("%s: %s", c->name, err_detail(e));
    arena_clear(arena);
}

static void measure(const struct bench_case *c, struct json_node root)
{
    struct arena program CLEANUP(arena_release), arena CLEANUP(arena_release);
    struct request request = {{&request_class}, json_node_get(root, STR("metadata"))};
    struct expr_input input = {.root = c->on_record ? expr_object(&request.host) : expr_json(root)};
    const struct expr *expr;
    double best = 1e18;

    arena_init(&program, 1 << 20);
    arena_init(&arena, 1 << 20);
    const struct expr_env env = {.input = c->on_record ? &request_type : NULL};
    if (expr_compile(&program, str_from_c(c->program), &env, &expr, NULL) != OK)
        die("%s: %s", c->name, err_detail(E_PARSE));
    for (int round = 0; round < ROUNDS; round++) {
        double from = now();
        for (int i = 0; i < CALLS; i++)
            once(c, expr, &input, &arena);
        double took = (now() - from) / CALLS;
        best = took < best ? took : best;
    }
    printf("%-34s %9.1f ns\n", c->name, best);
}

int main(int argc, char **argv)
{
    struct arena arena CLEANUP(arena_release);
    const struct json_tree *tree;

    arena_init(&arena, 1 << 20);
    if (json_tree_parse(&arena, str_from_c(document), &tree) != OK)
        die("the document is none");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (argc < 2 || strstr(cases[i].name, argv[1]))
            measure(&cases[i], json_tree_root(tree));
    return 0;
}
