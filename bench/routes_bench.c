/*
 * routes_bench.c - what it costs to find out where a request goes, on one thread: conditions on a real exchange, the look at its body,
 * and names among many. Prints nanoseconds per operation, the best of several rounds.
 *
 *     make benches && build/release/routes_bench [PART-OF-A-NAME]
 */
#include "base/buf.h"
#include "fleet/config.h"
#include "gateway/exchange.h"
#include "gateway/needs.h"

#include <stdio.h>
#include <time.h>

enum { ROUNDS = 15, CALLS = 2000, MANY = 10000 };

static const char body[] =
    "{\"model\":\"chat\",\"temperature\":0.2,\"messages\":[{\"role\":\"system\",\"content\":\"You are brief.\"},"
    "{\"role\":\"user\",\"content\":\"What is the capital of France, and how many people live "
    "there?\"}],\"metadata\":{\"customer\":\"acme\",\"tier\":\"gold\"},\"user\":\"u-1234\",\"max_tokens\":256}";

static struct http_header headers[] = {{STR_INIT("host"), STR_INIT("gateway")},
                                       {STR_INIT("content-type"), STR_INIT("application/json")},
                                       {STR_INIT("authorization"), STR_INIT("Bearer xd-0123456789abcdef")},
                                       {STR_INIT("user-agent"), STR_INIT("OpenAI/Python 2")},
                                       {STR_INIT("x-team"), STR_INIT("red")}};

/* The rules that each model is for; all of them but the last do not hold. */
static const char *const conditions[][2] = {
    {"condition: a header", ".headers[\"x-team\"] == \"blue\""},
    {"condition: model, stream, key", "(.model | startswith(\"gpt-\")) and .stream and .key.team == \"red\""},
    {"condition: needs and tokens", ".needs.vision or .needs.tools or .tokens.input > 8000"},
    {"condition: metadata and user", ".metadata.tier == \"silver\" and .user != null"},
    {"condition: all of these", "(.headers[\"x-team\"] == \"red\") and (.model | test(\"^c\")) and .tokens.input < 100 "
                                "and (.needs.vision | not) and .metadata.tier == \"iron\""},
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static const char *no_variable(const char *name)
{
    (void)name;
    return NULL;
}

static err_t no_file(const char *path, size_t max, struct buf *ret)
{
    (void)max;
    (void)ret;
    return fail(E_NOT_FOUND, "%s", path);
}

/* A model and a rule per condition, and MANY further models, wildcards and rules that are for other names. */
static struct catalog *make_catalog(void)
{
    static const struct config_env env = {.getenv = no_variable, .read_file = no_file};
    struct buf text CLEANUP(buf_release) = BUF_INIT(64 << 20);
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct problems problems = {.arena = &arena};
    struct catalog *c;

    (void)buf_add_lit(&text, "providers: {p: {simulate: true}}\nmodels:\n  m: {targets: p/m}\n");
    for (unsigned i = 0; i < MANY; i++)
        (void)buf_addf(&text, "  model-%u: {targets: p/m}\n  \"family-%05u/*\": {targets: \"p/*\"}\n", i, i);
    (void)buf_add_lit(&text, "routes:\n");
    for (size_t i = 0; i < ARRAY_LEN(conditions); i++)
        (void)buf_addf(&text, "  - {name: c%zu, models: c%zu, when: '%s', use: m}\n", i, i, conditions[i][1]);
    for (unsigned i = 0; i < MANY; i++)
        (void)buf_addf(&text, "  - {name: r%u, models: model-%u, when: .stream, use: m}\n", i, i);
    if (config_load("-", buf_str(&text), &env, &problems, &c) != OK)
        die("the configuration is refused: %.*s", STR_ARG(problems.items[0].text));
    return c;
}

typedef void operation_fn(struct exchange *x, struct str name);

static void match(struct exchange *x, struct str name)
{
    if (match_rule(x, name))
        die("a rule holds that should not");
}

static void look(struct exchange *x, struct str name)
{
    (void)name;
    x->needs = NULL;
    (void)needs_of(x);
}

static void find(struct exchange *x, struct str name)
{
    struct str rest;

    if (!catalog_match_model(x->snapshot->catalog, name, &rest))
        die("a name is not found");
}

static void measure(struct exchange *x, const char *what, operation_fn *run, struct str name)
{
    double best = 1e18;

    for (int round = 0; round < ROUNDS; round++) {
        double from = now();
        for (int i = 0; i < CALLS; i++) {
            run(x, name);
            x->needs = NULL; /* as of another request */
            arena_clear(x->r->arena);
        }
        double took = (now() - from) / CALLS;
        best = took < best ? took : best;
    }
    printf("%-34s %9.1f ns\n", what, best);
}

int main(int argc, char **argv)
{
    struct arena arena CLEANUP(arena_release);
    struct catalog *c = make_catalog();
    struct snapshot snapshot = {.catalog = c};
    struct http_request r = {.arena = &arena, .head = {.headers = headers, .count = ARRAY_LEN(headers)}};
    static const struct endpoint_row chat = {.operation = OP_CHAT};
    struct exchange x = {.r = &r,
                         .snapshot = &snapshot,
                         .endpoint = {.dialect = dialect_usual, .row = &chat, .label = "chat"},
                         .request = {.doc = str_from_c(body)}};
    const char *part = argc > 1 ? argv[1] : "";
    char name[16];

    arena_init(&arena, 1 << 20);
    http_head_index(&r.head);
    for (size_t i = 0; i < ARRAY_LEN(conditions); i++) {
        (void)snprintf(name, sizeof name, "c%zu", i);
        if (strstr(conditions[i][0], part))
            measure(&x, conditions[i][0], match, str_from_c(name));
    }
    if (strstr("the look at a body", part))
        measure(&x, "the look at a body", look, STR_NONE);
    if (strstr("no rule, among 10,000 others", part))
        measure(&x, "no rule, among 10,000 others", match, STR("other"));
    if (strstr("a name of 10,000", part))
        measure(&x, "a name of 10,000", find, STR("model-77"));
    if (strstr("a wildcard of 10,000", part))
        measure(&x, "a wildcard of 10,000", find, STR("family-00077/gpt-4o-mini"));
    catalog_unref(c);
    return 0;
}
