/* expr_test.c - the expression language: types and what they refuse, records of the host, limits, numbers, what is read. */
#include "expr/expr.h"

#include "base/buf.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ARENA_MAX = 64 << 20, TEXT_MAX = 1 << 20 };

/* --- a request as the gateway would describe it --- */

static const struct expr_type texts = {.kinds = EXPR_IS_ARRAY, .items = &expr_type_string};
static const struct expr_type any_members = {.kinds = EXPR_IS_OBJECT, .rest = &expr_type_any};
static const struct expr_type headers_type = {.kinds = EXPR_IS_OBJECT, .rest = &expr_type_string};
static const struct expr_type text_or_null = {.kinds = EXPR_IS_STRING | EXPR_IS_NULL};

enum { MODEL, TOKENS, TAGS, STREAM, TEAM, METADATA, HEADERS, FIELD_COUNT };
static const struct expr_field request_fields[FIELD_COUNT] = {
    [MODEL] = {STR_INIT("model"), &expr_type_string, false},
    [TOKENS] = {STR_INIT("tokens"), &expr_type_number, false},
    [TAGS] = {STR_INIT("tags"), &texts, false},
    [STREAM] = {STR_INIT("stream"), &expr_type_bool, false},
    [TEAM] = {STR_INIT("team"), &text_or_null, false},
    [METADATA] = {STR_INIT("metadata"), &any_members, false},
    [HEADERS] = {STR_INIT("headers"), &headers_type, false},
};
static const struct expr_type request_type = {.kinds = EXPR_IS_OBJECT,
                                              .is_record = true,
                                              .is_closed = true,
                                              .fields = request_fields,
                                              .field_count = FIELD_COUNT};
static const struct expr_named limits_named[] = {{STR_INIT("limit"), &expr_type_number}};
static const struct expr_env request_env = {.input = &request_type, .named = limits_named, .named_count = 1};

struct headers {
    struct expr_host host;
    unsigned asked_one_by_one;
};

static size_t headers_count(const struct expr_host *host)
{
    (void)host;
    return 2;
}

static void headers_at(const struct expr_host *host, size_t index, struct str *ret_key, struct expr_value *ret_value)
{
    ((struct headers *)host)->asked_one_by_one++;
    *ret_key = index ? STR("x-tier") : STR("accept");
    *ret_value = expr_string(index ? STR("gold") : STR("*/*"));
}

static const struct expr_host_class headers_class = {.count = headers_count, .at = headers_at};

struct request {
    struct expr_host host;
    struct str model;
    double tokens;
    const struct str *tags;
    size_t tag_count;
    struct json_node metadata;
    struct headers headers;
    unsigned reads[FIELD_COUNT];
};

static size_t request_count(const struct expr_host *host)
{
    (void)host;
    return FIELD_COUNT;
}

static void request_at(const struct expr_host *host, size_t index, struct str *ret_key, struct expr_value *ret_value)
{
    struct request *r = (struct request *)host;

    r->reads[index]++;
    *ret_key = request_fields[index].name;
    switch (index) {
    case MODEL:
        *ret_value = expr_string(r->model);
        return;
    case TOKENS:
        *ret_value = expr_number(r->tokens);
        return;
    case TAGS:
        *ret_value = expr_strings(r->tags, r->tag_count);
        return;
    case STREAM:
        *ret_value = expr_bool(true);
        return;
    case METADATA:
        *ret_value = json_is_absent(r->metadata) ? expr_null() : expr_json(r->metadata);
        return;
    case HEADERS:
        *ret_value = expr_object(&r->headers.host);
        return;
    default:
        *ret_value = expr_null();
    }
}

static const struct expr_host_class request_class = {.count = request_count, .at = request_at};
static const struct str tags[] = {STR_INIT("us"), STR_INIT("eu")};

static struct request make_request(void)
{
    return (struct request){
        .host = {&request_class},
        .model = STR("gpt-4o"),
        .tokens = 1200,
        .tags = tags,
        .tag_count = 2,
        .headers = {.host = {&headers_class}},
    };
}

/* --- helpers --- */

/* The result of a program as JSON, or "error: …" with its place when it does not compile, "failed: …" when it fails. */
static struct str result_of(struct arena *arena, const char *program, const struct expr_env *env,
                            struct expr_value root, const struct expr_limits *limits)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(TEXT_MAX);
    struct expr_value named = expr_number(1000), value;
    struct expr_input input = {.root = root, .named = &named};
    struct expr_problem problem;
    const struct expr *expr;

    if (expr_compile(arena, str_from_c(program), env, &expr, &problem) != OK)
        return arena_printf(arena, "error: %zu:%zu: %.*s", problem.line, problem.column, STR_ARG(problem.text));
    err_t e = expr_eval(expr, arena, &input, limits, &value);
    if (e)
        return arena_printf(arena, "failed: %s: %s", err_name(e), err_detail(e));
    if (expr_value_print(value, &text) != OK)
        return STR("too large");
    return arena_str(arena, buf_str(&text));
}

static struct str on_json(struct arena *arena, const char *program, const char *json)
{
    const struct json_tree *tree;

    if (json_tree_parse(arena, str_from_c(json), &tree) != OK)
        return STR("bad test");
    return result_of(arena, program, &(struct expr_env){0}, expr_json(json_tree_root(tree)), &expr_limits_default);
}

static struct str on_request(struct arena *arena, const char *program)
{
    struct request r = make_request();

    return arena_str(arena, result_of(arena, program, &request_env, expr_object(&r.host), &expr_limits_default));
}

/* Program and what must come of it; a result that ends in "…" is a beginning. */
struct example {
    const char *program, *result;
};

static bool matches(struct str got, const char *want)
{
    struct str wanted = str_from_c(want), rest = STR("…");

    if (!str_ends(wanted, rest))
        return str_eq(got, wanted);
    return str_starts(got, str_slice(wanted, 0, wanted.n - rest.n));
}

#define CHECK_EXAMPLES(examples, evaluate)                                                                             \
    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {                                                                 \
        struct arena arena CLEANUP(arena_release);                                                                     \
        arena_init(&arena, ARENA_MAX);                                                                                 \
        struct str got = evaluate(&arena, examples[i].program);                                                        \
        CHECK_MSG(matches(got, examples[i].result), "%s\n#   gives  %.*s\n#   not    %s", examples[i].program,         \
                  STR_ARG(got), examples[i].result);                                                                   \
    }

static struct str on_null(struct arena *arena, const char *program)
{
    return on_json(arena, program, "null");
}

/* --- conditions on a request --- */

TEST(expr_conditions_read_the_fields_of_a_record)
{
    static const struct example examples[] = {
        {".model | startswith(\"gpt-\")", "true"},
        {"(.model | startswith(\"gpt-\")) and .tokens < 8000 and (.tags | index(\"eu\"))", "true"},
        {".tokens > $limit", "true"},
        {"any(.tags[]; . == \"eu\")", "true"},
        {".tags | length == 2 and .[0] == \"us\"", "true"},
        {".model | startswith(\"gpt-\") and .tokens < 8000",
         "error: 1:33: \".tokens\" takes null or object, and this is string"},
        {"(.tags | length) == 2 and .tags[0] == \"us\"", "true"},
        {".headers[\"x-tier\"] == \"gold\"", "true"},
        {".headers | has(\"x-nothing\")", "false"},
        {"(.headers[\"x-nothing\"] // \"none\") | startswith(\"n\")", "true"},
        {".metadata.customer == \"acme\"", "false"},
        {".stream and (.team == null)", "true"},
        {"any(.tags[]; . == \"eu\" or . == \"ch\")", "true"},
        {".metadata.tier == \"gold\"", "false"},
        {"(.headers[\"x-tier\"] // \"free\") | test(\"^(gold|silver)$\")", "true"},
        {"((.headers[\"x-budget\"] // \"\" | tonumber?) // 0) > 10", "false"},
        {".headers | keys", "[\"accept\",\"x-tier\"]"},
        {"{model, tokens}", "{\"model\":\"gpt-4o\",\"tokens\":1200}"},
        {". | to_entries | map(.key) | .[0]", "\"model\""},
    };

    CHECK_EXAMPLES(examples, on_request);
}

TEST(expr_reads_of_a_record_only_the_fields_that_it_needs)
{
    struct arena arena CLEANUP(arena_release);
    struct request r = make_request();

    arena_init(&arena, ARENA_MAX);
    CHECK_STR(
        result_of(&arena, ".tokens < 10 and .model == \"x\"", &request_env, expr_object(&r.host), &expr_limits_default),
        "false");
    CHECK_EQ(r.reads[TOKENS], 1);
    CHECK_EQ(r.reads[MODEL], 0);
    CHECK_EQ(r.reads[TAGS], 0);
}

TEST(expr_of_a_record_also_works_on_the_same_as_json)
{
    struct arena arena CLEANUP(arena_release);
    const struct json_tree *tree;

    arena_init(&arena, ARENA_MAX);
    CHECK_OK(json_tree_parse(&arena, STR("{\"tokens\":7,\"model\":\"m\"}"), &tree));
    CHECK_STR(result_of(&arena, "\"\\(.model) \\(.tokens + 1)\"", &request_env, expr_json(json_tree_root(tree)),
                        &expr_limits_default),
              "\"m 8\"");
}

TEST(expr_conditions_take_no_memory_on_their_usual_way)
{
    struct arena arena CLEANUP(arena_release), empty CLEANUP(arena_release);
    struct request r = make_request();
    struct expr_input input = {.root = expr_object(&r.host), .named = (struct expr_value[]){expr_number(1)}};
    const struct expr *expr;
    bool truth = false;

    arena_init(&arena, ARENA_MAX);
    arena_init(&empty, 0);
    CHECK_OK(expr_compile(
        &arena, STR("(.model | startswith(\"gpt-\")) and .tokens < 8000 and .headers[\"x-tier\"] == \"gold\""),
        &request_env, &expr, NULL));
    CHECK_OK(expr_is_true(expr, &empty, &input, &expr_limits_default, &truth));
    CHECK(truth);
    CHECK_EQ(empty.used, 0);
}

/* --- what types refuse --- */

TEST(expr_types_refuse_what_cannot_be_or_can_fail)
{
    static const struct example examples[] = {
        {".modle == \"x\"", "error: 1:1: there is no field \"modle\" here; did you mean \"model\"?"},
        {".nothing", "error: 1:1: there is no field \"nothing\" here"},
        {".team | startswith(\"a\")",
         "error: 1:9: startswith takes string, and this may be null: give it a default with '//'…"},
        {"(.team // \"\") | startswith(\"a\")", "false"},
        {"[.team | strings | startswith(\"a\")]", "[]"},
        {".tokens | startswith(\"a\")", "error: 1:11: startswith takes string, and this is number"},
        {".metadata.size > 3", "false"},
        {".metadata.size + 3",
         "error: 1:1: '+' may not fit null or boolean or number or string or array or object and number…"},
        {"[(.metadata.size + 3)?]", "[3]"},
        {".metadata.a.b",
         "error: 1:1: \".b\" takes null or object, and this may be boolean or number or string or array: handle…"},
        {"[.metadata.a.b?]", "[null]"},
        {"if (.metadata.x | type) == \"string\" then 1 else 2 end", "2"},
        {".metadata.x | if type == \"string\" then ascii_downcase else \"none\" end", "\"none\""},
        {".metadata.x | if . == null then \"none\" else tostring end", "\"none\""},
        {".model | tonumber", "error: 1:10: tonumber may fail for what is in the value: handle that with '?' or 'try'"},
        {"(.model | tonumber?) // 0", "0"},
        {"try (.model | tonumber) catch 0", "0"},
        {".model | @base64d", "error: 1:10: @base64d fails for what is not base64: handle that with '?' or 'try'"},
        {".tags | @csv", "\"\\\"us\\\",\\\"eu\\\"\""},
        {".metadata | @csv", "error: 1:13: this format takes array, and this is object"},
        {"1 / .tokens", "error: 1:1: a division by zero fails: handle that with '?' or 'try'"},
        {"(1 / .tokens)? // 0", "0.0008333333333333334"},
        {".tokens / 0", "error: 1:1: a division by zero always fails"},
        {".tokens / 2", "600"},
        {".tags[]", "error: 1:1: this may yield several values: collect them with '[…]'…"},
        {".tags[0]", "\"us\""},
        {".tags[0] | ascii_downcase", "error: 1:12: ascii_downcase takes string, and this may be null…"},
        {"first(.tags[])", "error: 1:7: this may yield no value: say what then with '//', or collect with '[…]'"},
        {"first(.tags[]) // \"none\"", "\"us\""},
        {"select(.stream)", "error: 1:1: this may yield no value…"},
        {".model + .tokens", "error: 1:1: '+' takes no string and number"},
        {"error(\"no\")", "error: 1:1: error may fail for what is in the value…"},
        {"[.tags[] | test(\"e(u\")]", "error: 1:17: a group in the pattern has no ')'"},
        {"[.tags[] | test(.)]", "error: 1:12: test may fail for what is in the value…"},
        {"$limt", "error: 1:1: there is no variable $limt here"},
        {"reduce .tags[] as $t (0; .tokens)",
         "error: 1:26: \".tokens\" takes null or object, and this may be number: handle…"},
        {"reduce .tags[] as $t (\"\"; . + $t)", "\"useu\""},
        {"reduce .tags[] as $t (0; empty)",
         "error: 1:26: each step of a fold must yield exactly one value, and this may yield none"},
        {"(.model | length) = 1", "error: 1:2: this is no path…"},
    };

    CHECK_EXAMPLES(examples, on_request);
}

TEST(expr_without_a_schema_fails_when_it_is_evaluated)
{
    static const struct example examples[] = {
        {".a.b", "failed: PARSE: Cannot index number with \"b\""},
        {".a + \"x\"", "failed: PARSE: number (1) and string (\"x\") cannot be added"},
        {"[.a[]]", "failed: PARSE: Cannot iterate over number (1)"},
        {".a | ascii_downcase", "failed: PARSE: ascii_downcase cannot be used with number (1)"},
        {".a.b? // \"none\"", "\"none\""},
        {"(.a.b | length)? // \"none\"", "\"none\""},
    };
    static const char json[] = "{\"a\":1}";

    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        struct arena arena CLEANUP(arena_release);
        arena_init(&arena, ARENA_MAX);
        struct str got = on_json(&arena, examples[i].program, json);
        CHECK_MSG(matches(got, examples[i].result), "%s gives %.*s", examples[i].program, STR_ARG(got));
    }
}

TEST(expr_names_what_is_not_within_the_language_and_what_to_do)
{
    static const struct example examples[] = {
        {"def f: 1; f", "error: 1:1: definitions are not within this language…"},
        {"import \"a\" as a; 1", "error: 1:1: modules are not within this language"},
        {"a::b", "error: 1:1: modules are not within this language"},
        {"input", "error: 1:1: input is not within this language: an expression sees its input only"},
        {"$ENV.PATH", "error: 1:1: $ENV is not within this language…"},
        {"now", "error: 1:1: now is not within this language: an expression has no clock…"},
        {"until(. > 3; . + 1)", "error: 1:1: until is not within this language: it need not end…"},
        {"mapp(.)", "error: 1:1: there is no function mapp; did you mean map?"},
        {"map(.; .)", "error: 1:1: map takes 1 argument, not 2"},
        {"_flatten(1)", "error: 1:1: there is no function _flatten"},
        {"@nope", "error: 1:1: there is no format @nope"},
        {"", "error: 1:1: the expression is empty; '.' is the whole input"},
        {"1 +", "error: 1:4: a value is expected, but the program ends here"},
        {"1 2", "error: 1:3: an operator or the end is expected here"},
        {"1 < 2 < 3", "error: 1:7: this operator cannot be chained…"},
        {"\"abc", "error: 1:1: this string has no end"},
        {"\"a\\qc\"", "error: 1:3: no such escape in a string"},
        {"\"\\(1\"", "error: 1:2: this \\( has no )"},
        {"{a: 1 + 2}", "error: 1:7: ',' or '}' is expected here…"},
        {".a?//1", "error: 1:3: '?//' is one word in jq…"},
        {". as [$a] ?// $a | 1", "error: 1:11: alternatives of patterns are not within this language…"},
        {"1 as $x | 1\n  | nothing", "error: 2:5: there is no function nothing"},
        {"[\"é\", nothing]", "error: 1:7: there is no function nothing"},
        {"1e999", "error: 1:1: no number that can be computed with"},
        {"if 1 then 2", "error: 1:12: 'end' is expected, but the program ends here"},
        {"break $x", "error: 1:7: the $name of a 'label' around it is expected here"},
        {"test(\"a(?=b)\")", "error: 1:6: looking ahead or behind is not within this language…"},
        {"test(\"(a)\\\\1\")", "error: 1:6: references back to a group are not within this language…"},
        {"test(\"a\"; \"q\")", "error: 1:6: there is no such flag: g, i, n, p, s and x are"},
    };

    CHECK_EXAMPLES(examples, on_null);
}

TEST(expr_problems_are_printed_with_a_caret_under_their_place)
{
    struct arena arena CLEANUP(arena_release);
    struct buf text CLEANUP(buf_release) = BUF_INIT(TEXT_MAX);
    struct str program = STR(".stream\n  and \"é\" == .modle");
    struct expr_problem problem;
    const struct expr *expr;

    arena_init(&arena, ARENA_MAX);
    CHECK_ERR(expr_compile(&arena, program, &request_env, &expr, &problem), E_PARSE);
    expr_problem_print(&problem, program, &text);
    CHECK_STR(buf_str(&text), "line 2, column 14: there is no field \"modle\" here; did you mean \"model\"?\n"
                              "    and \"é\" == .modle\n"
                              "               ^~~~~~\n");
}

/* --- what is inferred --- */

static struct str explain(struct arena *arena, const char *program)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(TEXT_MAX);
    struct expr_problem problem;
    const struct expr *expr;
    size_t count;

    if (expr_compile(arena, str_from_c(program), &request_env, &expr, &problem) != OK)
        return arena_printf(arena, "error: %.*s", STR_ARG(problem.text));
    expr_type_print(expr_output_type(expr), &text);
    const struct str *reads = expr_reads(expr, &count);
    for (size_t i = 0; i < count; i++)
        (void)buf_addf(&text, "%s%.*s", i ? " " : " <- ", STR_ARG(reads[i]));
    return arena_str(arena, buf_str(&text));
}

TEST(expr_infers_the_type_of_the_result_and_what_is_read)
{
    static const struct example examples[] = {
        {".model", "string <- .model"},
        {".tokens < 8000", "boolean <- .tokens"},
        {".team", "null | string <- .team"},
        {".team // \"none\"", "string <- .team"},
        {"{a: .model, b: [.tags[] | length]}", "{a: string, b: [number]} <- .model .tags[]"},
        {".tags | map(ascii_upcase)", "[string] <- .tags[]"},
        {".metadata.a == 1 and .metadata.b == 2", "boolean <- .metadata.a .metadata.b"},
        {".metadata.a == 1 and .metadata == {}", "boolean <- .metadata"},
        {".headers[\"x-tier\"] == $limit", "boolean <- $limit .headers[\"x-tier\"]"},
        {".model as $m | [.tags[] | select(. == $m)]", "[string] <- .model .tags[]"},
        {"1", "number"},
        {"if .stream then 1 else \"a\" end", "number | string <- .stream"},
        {"reduce .tags[] as $t (null; [$t])", "null | [string] <- .tags[]"},
        {"{a: 1} + {b: .model}", "{b: string, a: number} <- .model"},
        {"[.tags[] | {(.): 1}] | add", "null | {...: number} <- .tags[]"},
        {".headers | with_entries(.value |= length) | keys", "[string] <- .headers"},
        {".tags | sort_by(length) | first", "null | string <- .tags"},
        {"first(.tags[]) // 1", "number | string <- .tags[]"},
    };

    CHECK_EXAMPLES(examples, explain);
}

/* A schema that says something of a part only: `u` and `v` may be anything, and nothing is demanded of them. */
static const struct expr_type some_object = {.kinds = EXPR_IS_OBJECT};
static const struct expr_type number_or_text = {.kinds = EXPR_IS_NUMBER | EXPR_IS_STRING};
static const struct expr_field part_fields[] = {
    {STR_INIT("u"), &expr_type_unchecked, false}, {STR_INIT("v"), &expr_type_unchecked, false},
    {STR_INIT("n"), &expr_type_number, false},    {STR_INIT("s"), &expr_type_string, false},
    {STR_INIT("o"), &some_object, false},         {STR_INIT("x"), &number_or_text, false}};
static const struct expr_type part_known = {
    .kinds = EXPR_IS_OBJECT, .is_closed = true, .fields = part_fields, .field_count = ARRAY_LEN(part_fields)};

static struct str explain_part(struct arena *arena, const char *program)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(TEXT_MAX);
    struct expr_problem problem;
    const struct expr *expr;

    if (expr_compile(arena, str_from_c(program), &(struct expr_env){.input = &part_known}, &expr, &problem) != OK)
        return arena_printf(arena, "error: %.*s", STR_ARG(problem.text));
    expr_type_print(expr_output_type(expr), &text);
    return arena_str(arena, buf_str(&text));
}

TEST(expr_demands_nothing_of_what_is_computed_from_something_unknown)
{
    static const struct example examples[] = {
        {".n * .n", "number"},
        {".s * .n", "null | string"},
        {".n * .s", "null | string"},
        {".o * .o", "{...: any}"},
        {".s * .s", "error: '*' takes no string and string"},
        {".o * .n", "error: '*' takes no object and number"},
        {".s * .n | ascii_downcase", "error: ascii_downcase takes string, and this may be null…"},
        {".x * .n", "null | number | string"},
        {".x * .n + 1", "error: '+' may not fit null or number or string and number…"},
        {".u * .n", "null | number | string"},
        {".u * .n + 1", "number"},
        {".n * .u + 1", "number"},
        {".u * .v + 1", "number"},
        {".u * .o | .a", "any"},
        {".u * .s | ascii_downcase", "string"},
        {".u * .s | not", "boolean"},
        {".u * .s + 1", "number"},
        {".u * .n | keys", "error: keys takes array or object, and this is null or number or string"},
        {".u / .v + 1", "number"},
        {"1 / .n", "error: a division by zero…"},
        {".u / 2 + 1", "number"},
        {".u / .s | first", "null | string"},
        {".u + .n + 1", "number"},
        {".u + .n | ascii_downcase", "error: ascii_downcase takes string, and this is number"},
        {".u + .v | ascii_downcase", "string"},
        {".n - .u + 1", "number"},
    };

    CHECK_EXAMPLES(examples, explain_part);
}

/* --- what is written, from what --- */

static struct str written(struct arena *arena, const char *program)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 20);
    const struct expr *expr;
    size_t count;

    err_t e = expr_compile(arena, str_from_c(program), &(struct expr_env){0}, &expr, NULL);
    if (e)
        return arena_printf(arena, "error: %s", err_detail(e));
    const struct expr_write *writes = expr_writes(expr, &count);
    for (size_t i = 0; i < count; i++) {
        (void)buf_addf(&b, "%s%.*s%s", i ? ", " : "", STR_ARG(writes[i].path), writes[i].is_copy ? " =" : " <-");
        for (size_t k = 0; k < writes[i].from_count; k++)
            (void)buf_addf(&b, " %.*s", STR_ARG(writes[i].from[k]));
    }
    return arena_str(arena, buf_str(&b));
}

TEST(expr_tells_which_paths_it_writes_and_from_which_each_is_made)
{
    static const struct example examples[] = {
        {".", ". = ."},
        {".a.b", ". = .a.b"},
        {"1", ". <-"},
        {"{a: .x, b: 1, c: \"\\(.y)\"}", ".a = .x, .b <-, .c <- .y"},
        {"{a: {b: .x.y}, \"c d\": .z}", ".a.b = .x.y, .[\"c d\"] = .z"},
        {"[.l[] | {code, n: (.w + .v)}]", ".[].code = .l[].code, .[].n <- .l[].v .l[].w"},
        {"{l: [.l[] | select(.ok) | .n]}", ".l[] <- .l[].n .l[].ok"},
        {"{a: (.x // .y // 0)}", ".a <- .x .y"},
        {"if .k then {a: .x} else {b: .y} end", ".a <- .k .x, .b <- .k .y"},
        {"{a: 1} + {a: .x, b: .y}", ".a <- .x, .b = .y"},
        {"{(.k): .v}", ".[] <- .k .v"},
        {". as {id: $i, tags: [$t]} | {i: $i, t: $t}", ".i = .id, .t = .tags[]"},
        {"(.a + .b) as $s | {s: $s, c: .c}", ".s <- .a .b, .c <- .a .b .c"},
        {".a | to_entries", ". <- .a"},
        {"{n: (reduce .l[] as $x (0; . + $x.v))}", ".n <- .l[].v"},
        {"{t: (try (.x | tonumber) catch .msg)}", ".t <- .x"},
        {"[]", ". <-"},
        {"{}", ". <-"},
        {"{a: empty} // 1", ". <-"},
    };

    CHECK_EXAMPLES(examples, written);
}

/* More paths than are kept apart are told as one, made of everything: never of less. */
TEST(expr_that_writes_too_many_paths_writes_everything)
{
    struct buf program CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, ARENA_MAX);
    for (int i = 0; i < 300; i++)
        (void)buf_addf(&program, "%sm%d: .%s", i ? ", " : "{", i, i % 2 ? "a" : "b");
    (void)buf_addf(&program, "}%c", 0);
    CHECK_STR(written(&arena, program.p), ". <- .a .b");
}

static struct str schema_of(struct arena *arena, const char *program)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 20);
    const struct expr *expr;

    err_t e = expr_compile(arena, str_from_c(program), &(struct expr_env){.input = &request_type}, &expr, NULL);
    if (!e)
        e = expr_type_schema(expr_output_type(expr), &b);
    return e ? arena_printf(arena, "error: %s", err_detail(e)) : arena_str(arena, buf_str(&b));
}

TEST(expr_output_is_told_as_json_schema)
{
    static const struct example examples[] = {
        {".model", "{\"type\":\"string\"}"},
        {".team", "{\"type\":[\"null\",\"string\"]}"},
        {".stream", "{\"type\":\"boolean\"}"},
        {"true", "{\"type\":\"boolean\"}"},
        {".tags", "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}"},
        {"{a: .model, b: [1]}", "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"},\"b\":{\"type\":"
                                "\"array\",\"items\":{\"type\":\"number\"}}},"
                                "\"required\":[\"a\",\"b\"],\"additionalProperties\":false}"},
        {"[.tags[] | {(.): 1}] | add",
         "{\"type\":[\"null\",\"object\"],\"additionalProperties\":{\"type\":\"number\"}}"},
        {"{}", "{\"type\":\"object\",\"additionalProperties\":false}"},
        {"[]", "{\"type\":\"array\",\"items\":false}"},
        {".metadata.x", "true"},
    };

    CHECK_EXAMPLES(examples, schema_of);
}

TEST(expr_schema_requires_no_member_that_may_be_absent)
{
    static const struct expr_field fields[] = {{STR_INIT("a"), &expr_type_string, true},
                                               {STR_INIT("b"), &expr_type_any, false}};
    static const struct expr_type some = {
        .kinds = EXPR_IS_OBJECT, .is_closed = true, .fields = fields, .field_count = 2};
    static const struct expr_type none = {.kinds = EXPR_IS_OBJECT, .fields = fields, .field_count = 1};
    struct buf b CLEANUP(buf_release) = BUF_INIT(1000);

    CHECK_OK(expr_type_schema(&some, &b));
    CHECK_STR(buf_str(&b),
              "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"},\"b\":true},\"required\":[\"b\"],"
              "\"additionalProperties\":false}");
    buf_clear(&b);
    CHECK_OK(expr_type_schema(&none, &b));
    CHECK_STR(buf_str(&b), "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}}}");
}

/* --- dates --- */

/* Where the process runs makes no difference. */
TEST(expr_dates_are_in_utc_whatever_the_time_zone)
{
    static const struct example examples[] = {
        {"1425599507 | strftime(\"%s %H:%M %Z\")", "\"1425599507 23:51 UTC\""},
        {"\"2015-03-05 23:51\" | strptime(\"%Y-%m-%d %H:%M\") | mktime", "1425599460"},
        {"(\"1425599507\" | strptime(\"%s\"))? // \"no\"", "\"no\""},
        {"1425599507 | gmtime | todate", "\"2015-03-05T23:51:47Z\""},
        {"-1.5 | gmtime | .[5]", "58.5"},
        {"[1e15, -1e15] | map(try todate catch \"no\", try gmtime catch \"no\")", "[\"no\",\"no\",\"no\",\"no\"]"},
    };
    struct arena arena CLEANUP(arena_release);

    CHECK_EQ(setenv("TZ", "America/New_York", 1), 0);
    tzset();
    arena_init(&arena, ARENA_MAX);
    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        struct str got = on_json(&arena, examples[i].program, "null");
        CHECK_MSG(matches(got, examples[i].result), "%s gives %.*s", examples[i].program, STR_ARG(got));
    }
    CHECK_EQ(unsetenv("TZ"), 0);
    tzset();
}

/* --- from bytes to bytes --- */

TEST(expr_maps_a_document_to_the_bytes_of_the_result)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(64);
    struct arena arena CLEANUP(arena_release);
    const struct expr_named named = {.name = STR("n")};
    const struct expr_value value = expr_number(2);
    const struct expr *expr;

    arena_init(&arena, ARENA_MAX);
    CHECK_OK(expr_compile(&arena, STR("{a: .a, n: ($n * .b)}"), &(struct expr_env){.named = &named, .named_count = 1},
                          &expr, NULL));
    CHECK_OK(buf_add(&b, STR("-")));
    CHECK_OK(expr_map(expr, &arena, STR("{\"a\":[1.50, 2],\"b\":3}"), &value, &expr_limits_default, &b));
    CHECK_STR(buf_str(&b), "-{\"a\":[1.50, 2],\"n\":6}");
    CHECK_EQ(expr_map(expr, &arena, STR("{\"a\":1"), &value, &expr_limits_default, &b), E_PARSE);
    CHECK_EQ(expr_map(expr, &arena, STR("{\"b\":\"x\"}"), &value, &expr_limits_default, &b), OK);
    CHECK_EQ(expr_map(expr, &arena, STR("{\"b\":[]}"), &value, &expr_limits_default, &b), E_PARSE);
    struct str before = arena_str(&arena, buf_str(&b));
    CHECK_EQ(expr_map(expr, &arena, STR("{\"a\":\"0123456789012345678901234567890123456789\",\"b\":1}"), &value,
                      &expr_limits_default, &b),
             E_TOO_LARGE);
    CHECK(str_eq(buf_str(&b), before));
}

/* --- numbers --- */

TEST(expr_numbers_keep_their_text_until_they_are_computed_on)
{
    static const char json[] = "{\"a\":1.10,\"b\":12345678901234567890,\"c\":1e2}";
    static const struct example examples[] = {
        {"[.a, .b, .c]", "[1.10,12345678901234567890,1e2]"},
        {".a", "1.10"},
        {".b | tostring", "\"12345678901234567890\""},
        {".a + 0", "1.1"},
        {".c * 10", "1000"},
        {"[3.0, 1e3]", "[3.0,1e3]"},
        {"[0.1 + 0.2, 1e17 + 0, 1e16 + 0, -5 * 0, 1 / 3]",
         "[0.30000000000000004,1e+17,10000000000000000,-0,0.3333333333333333]"},
        {".c == 100", "true"},
        {"1e308 * 10", "failed: PARSE: the result is beyond the range of numbers"},
        {"(-1 | sqrt)? // \"none\"", "\"none\""},
    };

    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        struct arena arena CLEANUP(arena_release);
        arena_init(&arena, ARENA_MAX);
        struct str got = on_json(&arena, examples[i].program, json);
        CHECK_MSG(matches(got, examples[i].result), "%s gives %.*s", examples[i].program, STR_ARG(got));
    }
}

TEST(expr_documents_with_a_key_twice_mean_the_last_one)
{
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, ARENA_MAX);
    CHECK_STR(on_json(&arena, "[.a, length, (.b = 2)]", "{\"a\":1,\"a\":2}"), "[2,1,{\"a\":2,\"b\":2}]");
}

TEST(expr_gives_the_text_of_a_string_wherever_it_came_from)
{
    static const char *const programs[] = {".a", "\"x\" + .a | ltrimstr(\"x\")", "[.a][0]", "\"a\\n\\u00e9\""};
    struct arena arena CLEANUP(arena_release);
    const struct json_tree *tree;

    arena_init(&arena, ARENA_MAX);
    CHECK_OK(json_tree_parse(&arena, STR("{\"a\":\"a\\n\\u00e9\"}"), &tree));
    struct expr_input input = {.root = expr_json(json_tree_root(tree))};
    for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
        const struct expr *expr;
        struct expr_value value;
        struct str text;
        CHECK_OK(expr_compile(&arena, str_from_c(programs[i]), &(struct expr_env){0}, &expr, NULL));
        CHECK_OK(expr_eval(expr, &arena, &input, &expr_limits_default, &value));
        CHECK_OK(expr_value_text(value, &arena, &text));
        CHECK_STR(text, "a\n\xc3\xa9");
    }
    struct str none = STR("x");
    CHECK_OK(expr_value_text(expr_number(1), &arena, &none));
    CHECK(!none.p);
}

/* --- values do not change under anybody --- */

TEST(expr_values_that_share_memory_do_not_see_each_others_changes)
{
    static const struct example examples[] = {
        {"[1,2] as $x | ($x + [3]) as $y | ($x + [4]) as $z | [$x, $y, $z]", "[[1,2],[1,2,3],[1,2,4]]"},
        {"([] + [1]) as $x | [$x + [2], $x + [3], $x]", "[[1,2],[1,3],[1]]"},
        {"{a:1} as $x | ($x + {b:2}) as $y | ($x + {b:3}) as $z | [$x, $y, $z]",
         "[{\"a\":1},{\"a\":1,\"b\":2},{\"a\":1,\"b\":3}]"},
        {"({} + {a:1}) as $x | ($x + {a:2}) as $y | [$x, $y]", "[{\"a\":1},{\"a\":2}]"},
        {"reduce range(3) as $i ([[]]; . + [.[-1] + [$i]])", "[[],[0],[0,1],[0,1,2]]"},
        {"[path(.a, .b)]", "[[\"a\"],[\"b\"]]"},
        {"[range(2) | [., 1]]", "[[0,1],[1,1]]"},
        {"reduce range(40) as $i ({}; . + {(\"k\\($i)\"): $i}) | [length, .k0, .k39, has(\"k40\")]", "[40,0,39,false]"},
        {"(reduce range(20) as $i ({}; . + {(\"k\\($i)\"): $i})) as $x | ($x + {z: 1}) as $y | [($x | has(\"z\")), "
         "$y.z, ($y | length)]",
         "[false,1,21]"},
    };

    CHECK_EXAMPLES(examples, on_null);
}

/* --- limits --- */

TEST(expr_stops_at_its_limits_whatever_the_program)
{
    static const struct example examples[] = {
        {"[range(1000000)]", "failed: TOO_LARGE: the expression needs more memory than it may take"},
        {"reduce range(1000000) as $i (0; . + 1)", "failed: TOO_LARGE: the expression takes more steps than it may"},
        {"reduce range(60) as $i (\"ab\"; . + .)", "failed: TOO_LARGE…"},
        {"reduce range(60) as $i ([1]; . + .)", "failed: TOO_LARGE…"},
        {"reduce range(200) as $i (null; [.])",
         "failed: TOO_LARGE: the expression builds a value nested more than 100 deep"},
        {"[range(400)] as $x | [$x[] as $a | $x[] as $b | $x[] as $c | 1] | length", "failed: TOO_LARGE…"},
        {"try [range(1000000)] catch \"caught\"", "failed: TOO_LARGE…"},
        {"\"abc\" * 1000000000", "failed: TOO_LARGE…"},
        {"null | .[1000000000] = 1", "failed: TOO_LARGE…"},
        {"null | setpath([range(1000)]; 1)", "failed: TOO_LARGE…"},
        {"(\"a\" * 3000) // \"\" | [match(\"(a*)*b\")?] | length", "0"},
        {"(\"a\" * 300) // \"\" | test(\"(a*)*b\")", "false"},
        {"(\"a\" * 60) // \"\" | test(\"(a?){60}a{60}\")", "true"},
        {"[range(0; 1; 0)] | length", "0"},
    };

    CHECK_EXAMPLES(examples, on_null);
}

TEST(expr_programs_that_are_too_large_are_refused)
{
    struct arena arena CLEANUP(arena_release);
    struct buf text CLEANUP(buf_release) = BUF_INIT(4 * EXPR_TEXT_MAX);
    static const char *const pieces[] = {"(",
                                         "[",
                                         "-",
                                         "1|",
                                         "1+",
                                         "map(",
                                         "{a:",
                                         "if ",
                                         "\"\\(",
                                         ".a as $x|",
                                         "1,",
                                         ".a",
                                         "try ",
                                         "[1]|map(1,",
                                         "reduce . as $x(",
                                         "{a:-",
                                         "{a:1|",
                                         "label $x|",
                                         ". as [",
                                         "@base64 \"\\(",
                                         "if 1 then 1 elif "};

    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        const struct expr *expr;
        arena_init(&arena, ARENA_MAX);
        buf_clear(&text);
        while (text.n < EXPR_TEXT_MAX - 100)
            (void)buf_add(&text, str_from_c(pieces[i]));
        (void)buf_add_char(&text, '1');
        err_t e = expr_compile(&arena, buf_str(&text), &(struct expr_env){0}, &expr, NULL);
        CHECK_MSG(e == E_TOO_LARGE || e == E_PARSE, "%s…: %s", pieces[i], err_name(e));
        arena_release(&arena);
    }
    arena_init(&arena, ARENA_MAX);
    const struct expr *expr;
    while (text.n <= EXPR_TEXT_MAX)
        (void)buf_add_char(&text, ' ');
    CHECK_ERR(expr_compile(&arena, buf_str(&text), &(struct expr_env){0}, &expr, NULL), E_TOO_LARGE);
}

TEST(expr_of_some_length_is_not_too_large)
{
    struct arena arena CLEANUP(arena_release);
    struct buf text CLEANUP(buf_release) = BUF_INIT(EXPR_TEXT_MAX);
    const struct expr *expr;

    arena_init(&arena, ARENA_MAX);
    for (int i = 0; i < 100; i++)
        (void)buf_addf(&text, "%s.a%d == %d", i ? " and " : "", i, i);
    CHECK_OK(expr_compile(&arena, buf_str(&text), &(struct expr_env){0}, &expr, NULL));
    buf_clear(&text);
    for (int i = 0; i < 60; i++)
        (void)buf_addf(&text, ".a%d as $x%d | ", i, i);
    (void)buf_add_lit(&text, "{");
    for (int i = 0; i < 60; i++)
        (void)buf_addf(&text, "%sk%d: $x%d", i ? ", " : "", i, i);
    (void)buf_add_lit(&text, "}");
    CHECK_OK(expr_compile(&arena, buf_str(&text), &(struct expr_env){0}, &expr, NULL));
}

/* --- where jq is not of one mind (docs/expressions.md) --- */

TEST(expr_follows_later_releases_of_jq_where_they_differ)
{
    static const struct example examples[] = {
        {"[limit(0; 1, error(\"x\"))?]", "[]"},
        {"[any(true, error(\"x\"); .)?]", "[true]"},
        {"\"ñx\" | index(\"x\")", "1"},
        {"\"aaa\" | gsub(\"^a\"; \"b\")", "\"baa\""},
        {"\"aaa\" | gsub(\"\"; \"-\")", "\"-a-a-a-\""},
        {"[\"\" | match(\"\"; \"g\").offset]", "[0]"},
        {"[(try 1 catch 2) | error(\"q\")?]", "[]"},
        {"[first((try 1 catch 2), 3)]", "[1]"},
        {"try ([try (1, (\"a\" | tonumber)) catch 2 | if . == 1 then error(\"x\") else . end]) catch .", "\"x\""},
        {"[1,2,3,4] | delpaths([[2],[0],[1]])", "[4]"},
        {"[[null] | try setpath([-2]; 1)]", "[]"},
        {"(null | setpath([-1]; 1))? // \"none\"", "\"none\""},
        {"try setpath([-1]; 1)", "error: 1:1: this may yield no value…"},
        {"[1,2,3,4] | del(.[1], .[0])", "[3,4]"},
        {"if true then 1 end", "1"},
        {"[1,2] | map_values(empty)", "[]"},
        {"[{name: \"a\", value: 1}, {k: \"b\", v: 2}, {key: 3}] | from_entries", "{\"a\":1,\"b\":2,\"3\":null}"},
        {"[\" a \" | trim, ltrim, rtrim]", "[\"a\",\"a \",\" a\"]"},
        {"[try error(null) catch .]", "[null]"},
        {"{a: [1,2]} | pick(.a[1])", "{\"a\":[null,2]}"},
        {"[{a: 1}, {a: 2}] | add(.[].a)", "3"},
        {"[1,2] | (.[0], .[1]) |= . + 1", "[2,3]"},
    };

    CHECK_EXAMPLES(examples, on_null);
}
