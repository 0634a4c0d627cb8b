/* template_test.c - texts with expressions: how they are cut, what a URL lets through, and where mistakes are told. */
#include "pipeline/spec/template.h"

#include "unit/test.h"

struct desk {
    struct arena arena;
    struct template t;
    struct expr_problem problem;
    struct buf out;
};

static void open_desk(struct desk *d)
{
    *d = (struct desk){.out = BUF_INIT(1 << 16)};
    arena_init(&d->arena, 1 << 24);
}

static void close_desk(struct desk *d)
{
    buf_release(&d->out);
    arena_release(&d->arena);
}

static err_t compile(struct desk *d, const char *text, enum template_coding coding)
{
    return template_compile(&d->arena, str_from_c(text), coding, &(struct expr_env){0}, &d->t, &d->problem);
}

static err_t render(struct desk *d, const char *json)
{
    const struct json_tree *tree;

    TRY(json_tree_parse(&d->arena, str_from_c(json), &tree));
    struct expr_input in = {.root = expr_json(json_tree_root(tree))};
    buf_clear(&d->out);
    return template_render(&d->t, &d->arena, &in, &expr_limits_default, &d->out);
}

static void check_text(const char *text, enum template_coding coding, const char *json, const char *want)
{
    struct desk d CLEANUP(close_desk);

    open_desk(&d);
    test_context("%s", text);
    CHECK_OK(compile(&d, text, coding));
    CHECK_OK(render(&d, json));
    CHECK_STR(buf_str(&d.out), want);
    test_context("%s", "");
}

TEST(template_puts_values_in_as_text_and_everything_else_as_json)
{
    check_text("plain", TEMPLATE_PLAIN, "{}", "plain");
    check_text("", TEMPLATE_PLAIN, "{}", "");
    check_text("a {{.x}} b {{ .y }}.", TEMPLATE_PLAIN, "{\"x\":\"q\\\"\\u00e9\",\"y\":1.50}", "a q\"\xc3\xa9 b 1.50.");
    check_text("{{.x}}{{.x}}", TEMPLATE_PLAIN, "{\"x\":[1,{\"a\":null}]}", "[1,{\"a\":null}][1,{\"a\":null}]");
    check_text("{{.x}}", TEMPLATE_PLAIN, "{}", "null");
}

TEST(template_takes_braces_within_strings_and_objects_for_what_they_are)
{
    check_text("{{\"}}\" + \"\\\"}}\"}}!", TEMPLATE_PLAIN, "{}", "}}\"}}!");
    check_text("{{ {a: {b: 1} } }}", TEMPLATE_PLAIN, "{}", "{\"a\":{\"b\":1}}");
    check_text("{{{{not}} {{1}}", TEMPLATE_PLAIN, "{}", "{{not}} 1");
    check_text("} { }}", TEMPLATE_PLAIN, "{}", "} { }}");
}

TEST(template_codes_values_in_urls_but_not_the_url)
{
    check_text("https://h/a/{{.x}}?q={{.y}}#f", TEMPLATE_URL, "{\"x\":\"a/b?c#d e\",\"y\":\"&=%\\u00e9\"}",
               "https://h/a/a%2Fb%3Fc%23d%20e?q=%26%3D%25%C3%A9#f");
    check_text("https://h/{{.x}}", TEMPLATE_URL, "{\"x\":12}", "https://h/12");
    check_text("https://h/{{.x}}", TEMPLATE_URL, "{\"x\":\"...\"}", "https://h/...");
}

TEST(template_of_a_url_refuses_what_would_make_it_another)
{
    static const char *const inputs[] = {"{}", "{\"x\":null}", "{\"x\":\"\"}", "{\"x\":\".\"}", "{\"x\":\"..\"}"};
    struct desk d CLEANUP(close_desk);

    open_desk(&d);
    CHECK_OK(compile(&d, "https://h/cases/{{.x}}", TEMPLATE_URL));
    for (size_t i = 0; i < ARRAY_LEN(inputs); i++)
        CHECK_ERR(render(&d, inputs[i]), E_PARSE);
    CHECK_OK(compile(&d, "{{.x}}", TEMPLATE_PLAIN));
    for (size_t i = 0; i < ARRAY_LEN(inputs); i++)
        CHECK_OK(render(&d, inputs[i]));
}

static void check_problem(const char *text, size_t line, size_t column, const char *words)
{
    struct desk d CLEANUP(close_desk);

    open_desk(&d);
    test_context("%s", text);
    CHECK_ERR(compile(&d, text, TEMPLATE_PLAIN), E_PARSE);
    CHECK_EQ(d.problem.line, line);
    CHECK_EQ(d.problem.column, column);
    CHECK_MSG(str_find(d.problem.text, str_from_c(words)) < d.problem.text.n, "%.*s", STR_ARG(d.problem.text));
    test_context("%s", "");
}

TEST(template_tells_mistakes_at_their_place_in_the_whole_text)
{
    check_problem("a\n\xc3\xa9 {{ .x + }}", 2, 10, "");
    check_problem("a {{.x", 1, 3, "without \"}}\"");
    check_problem("{{.a}} {{ }}", 1, 10, "no expression");
    check_problem("{{nosuch}}", 1, 3, "nosuch");
}

TEST(template_has_limits)
{
    struct desk d CLEANUP(close_desk);
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);

    open_desk(&d);
    for (int i = 0; i < TEMPLATE_BRACES_MAX; i++)
        CHECK_OK(buf_add_lit(&text, "{{1}}"));
    CHECK_OK(template_compile(&d.arena, buf_str(&text), TEMPLATE_PLAIN, &(struct expr_env){0}, &d.t, &d.problem));
    CHECK_OK(buf_add_lit(&text, "{{1}}"));
    CHECK_ERR(template_compile(&d.arena, buf_str(&text), TEMPLATE_PLAIN, &(struct expr_env){0}, &d.t, &d.problem),
              E_PARSE);
    buf_clear(&text);
    for (int i = 0; i <= TEMPLATE_TEXT_MAX; i++)
        CHECK_OK(buf_add_char(&text, 'x'));
    CHECK_ERR(template_compile(&d.arena, buf_str(&text), TEMPLATE_PLAIN, &(struct expr_env){0}, &d.t, &d.problem),
              E_PARSE);
}
