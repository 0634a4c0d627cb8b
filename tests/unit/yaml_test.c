/* yaml_test.c - YAML to a tree: shape, places, quotes, limits, and what is refused where. */
#include "codec/yaml.h"

#include "base/prng.h"
#include "unit/test.h"

#include <stdio.h>

/* One parse and all that belongs to it. */
struct parsed {
    struct arena arena;
    struct problems problems;
    struct yaml_node *root;
    struct buf report;
    err_t err;
};

static void parsed_release(struct parsed *p)
{
    buf_release(&p->report);
    arena_release(&p->arena);
}

static void parse_with(struct parsed *p, struct str text, const struct yaml_limits *limits)
{
    *p = (struct parsed){.arena = {.max = SIZE_MAX}, .report = BUF_INIT(1 << 20)};
    p->problems.arena = &p->arena;
    p->err = yaml_parse(text, STR("t.yaml"), limits, &p->arena, &p->problems, &p->root);
    problems_print(&p->problems, &p->report);
}

#define PARSED(var, text) PARSED_WITH(var, str_from_c(text), NULL)
#define PARSED_WITH(var, text, limits)                                                                                 \
    struct parsed var CLEANUP(parsed_release);                                                                         \
    parse_with(&var, text, limits)

static const struct yaml_node *at(const struct yaml_node *n, const char *key)
{
    return yaml_get(n, str_from_c(key));
}

TEST(yaml_keeps_texts_shape_and_order)
{
    PARSED(p, "a: 1\nb: [x, \"y\", 'z z']\nc:\n  d: {e: }\n  f: |\n    line 1\n    line 2\n");

    CHECK_OK(p.err);
    CHECK_EQ(p.root->kind, YAML_MAP);
    CHECK_EQ(p.root->count, 3);
    CHECK_STR(p.root->pairs[2].key->text, "c");
    CHECK_STR(at(p.root, "a")->text, "1");
    CHECK_EQ(at(p.root, "b")->kind, YAML_LIST);
    CHECK_EQ(at(p.root, "b")->count, 3);
    CHECK_STR(at(p.root, "b")->items[2]->text, "z z");
    CHECK_STR(at(at(p.root, "c"), "f")->text, "line 1\nline 2\n");
    CHECK_EQ(at(at(at(p.root, "c"), "d"), "e")->kind, YAML_SCALAR);
    CHECK(yaml_is_null(at(at(at(p.root, "c"), "d"), "e")));
    CHECK_EQ(p.root->weight, 16);
    CHECK(at(p.root, "nothing") == NULL);
    CHECK(at(at(p.root, "a"), "b") == NULL);
}

TEST(yaml_knows_where_everything_stood)
{
    PARSED(p, "first: 1\nlist:\n  - one\n  -   two: {x:  yes}\n\xc3\xa4\xc3\xb6: \xc3\xbc"
              "bel\n");
    const struct yaml_node *two = at(p.root, "list")->items[1];

    CHECK_OK(p.err);
    CHECK_EQ(at(p.root, "first")->line, 1);
    CHECK_EQ(at(p.root, "first")->column, 8);
    CHECK_EQ(at(p.root, "list")->items[0]->line, 3);
    CHECK_EQ(at(p.root, "list")->items[0]->column, 5);
    CHECK_EQ(at(at(two, "two"), "x")->line, 4);
    CHECK_EQ(at(at(two, "two"), "x")->column, 17);
    CHECK_EQ(p.root->pairs[2].key->line, 5);
    CHECK_EQ(p.root->pairs[2].value->column, 5); /* characters, not bytes */
    CHECK_STR(*two->file, "t.yaml");
}

TEST(yaml_quoted_text_stands_where_its_quote_stands)
{
    PARSED(p, "\"a\": \"\"\n'b': 'x'\nc: [\"y\",\"z\"]\n");

    CHECK_OK(p.err);
    CHECK_EQ(p.root->pairs[0].key->column, 1);
    CHECK_EQ(p.root->pairs[0].value->column, 6);
    CHECK_EQ(p.root->pairs[1].key->column, 1);
    CHECK_EQ(p.root->pairs[1].value->column, 6);
    CHECK_EQ(at(p.root, "c")->items[0]->column, 5);
    CHECK_EQ(at(p.root, "c")->items[1]->column, 9);
}

TEST(yaml_tells_plain_text_from_quoted)
{
    PARSED(p, "[10, \"10\", '10', !!str 10, \"true\", true, ~, \"\"]");

    CHECK_OK(p.err);
    static const bool quoted[] = {false, true, true, true, true, false, false, true};
    for (size_t i = 0; i < ARRAY_LEN(quoted); i++) {
        test_context("item %zu", i);
        CHECK_EQ(p.root->items[i]->quoted, quoted[i]);
    }
    CHECK(yaml_is_number(p.root->items[0]));
    CHECK(!yaml_is_number(p.root->items[1]));
    CHECK(!yaml_is_number(p.root->items[3]));
    bool b = false;
    CHECK(!yaml_to_bool(p.root->items[4], &b));
    CHECK(yaml_to_bool(p.root->items[5], &b) && b);
    CHECK(yaml_is_null(p.root->items[6]));
    CHECK(!yaml_is_null(p.root->items[7]));
}

TEST(yaml_numbers_are_those_of_the_core_schema)
{
    static const char *const yes[] = {"0",      "-1",   "+12",  "1.5",  ".5",    "1.",  "1e3",
                                      "1.5E-3", "0x1F", "0o17", ".inf", "-.INF", ".nan"};
    static const char *const no[] = {"",      "-",   ".",   "e3",  "1e",  "1e+", "0x", "0xg", "0o8", "1_000", "10s",
                                     "1.2.3", "inf", "NaN", "0b1", "--1", "1 2", "+",  "-.",  "yes", "1a",    "a1"};
    struct yaml_node n = {.kind = YAML_SCALAR};

    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        test_context("\"%s\"", yes[i]);
        n.text = str_from_c(yes[i]);
        CHECK(yaml_is_number(&n));
    }
    for (size_t i = 0; i < ARRAY_LEN(no); i++) {
        test_context("\"%s\"", no[i]);
        n.text = str_from_c(no[i]);
        CHECK(!yaml_is_number(&n));
    }
}

TEST(yaml_words_of_older_yaml_are_text)
{
    PARSED(p, "[yes, no, on, off, y, True, FALSE]");
    bool b;

    for (size_t i = 0; i < 5; i++)
        CHECK(!yaml_to_bool(p.root->items[i], &b));
    CHECK(yaml_to_bool(p.root->items[5], &b) && b);
    CHECK(yaml_to_bool(p.root->items[6], &b) && !b);
}

TEST(yaml_empty_documents_are_nothing)
{
    static const char *const texts[] = {"", "\n\n", "# only a comment\n", "---\n", "--- ~\n"};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        PARSED(p, texts[i]);
        test_context("\"%s\"", texts[i]);
        CHECK_OK(p.err);
        CHECK(yaml_is_null(p.root));
        CHECK_EQ(p.root->line, 1);
    }
}

/* A text, and what the report must be. */
static void check_refused(const char *text, const char *report)
{
    PARSED(p, text);

    test_context("%s", text);
    CHECK_ERR(p.err, E_PARSE);
    CHECK(p.root == NULL);
    CHECK_STR(buf_str(&p.report), report);
}

TEST(yaml_key_written_twice_is_an_error_with_both_places)
{
    check_refused("a: 1\nb:\n  x: 1\n  y: 2\n  x: 3\na: 2\n",
                  "t.yaml:5:3: error: \"x\" is already there at line 3, column 3\n"
                  "t.yaml:6:1: error: \"a\" is already there at line 1, column 1\n");
}

TEST(yaml_key_written_twice_is_found_in_large_maps_too)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);

    for (unsigned i = 0; i < 1000; i++)
        (void)buf_addf(&text, "key%u: 1\n", i);
    (void)buf_add_lit(&text, "key17: 2\n");
    PARSED_WITH(p, buf_str(&text), NULL);
    CHECK_STR(buf_str(&p.report), "t.yaml:1001:1: error: \"key17\" is already there at line 18, column 1\n");
}

TEST(yaml_says_what_it_does_not_take)
{
    check_refused("---\na: 1\n---\nb: 2\n",
                  "t.yaml:3:1: error: only one document is allowed: remove the second \"---\"\n");
    check_refused("a: !int 3\n", "t.yaml:1:9: error: tags are not supported: write the value without \"!int\"\n");
    check_refused("? [a]\n: b\n", "t.yaml:1:3: error: a key must be a plain word, not a list or map\n");
    check_refused(
        "a: *b\n",
        "t.yaml:1:5: error: there is no anchor &b before this alias (text that begins with * must be in quotes)\n");
    check_refused(
        "a: &x [1, *x]\n",
        "t.yaml:1:12: error: there is no anchor &x before this alias (text that begins with * must be in quotes)\n");
    check_refused("ok: 1\nb: \xff\n", "t.yaml:2:4: error: this byte (0xff) is not UTF-8\n");
    check_refused("b: \x01\n", "t.yaml:1:4: error: control character 0x01\n");
}

TEST(yaml_syntax_errors_have_a_place_and_a_remedy)
{
    static const struct {
        const char *text, *place, *remedy;
    } cases[] = {{"a: 1\nserves: *\n", "t.yaml:2:", "quotes"}, {"a: b: c\n", "t.yaml:1:", "quotes"},
                 {"a:\n\tb: 1\n", "t.yaml:2:", "blanks"},      {"a: 1\nb: @x\n", "t.yaml:2:", "quotes"},
                 {"a: \"x\nb: 1\n", "t.yaml:", "quot"},        {"a: [1, 2\n", "t.yaml:", "closing"},
                 {"a: {b: ${X}}\n", "t.yaml:1:", "quotes"},    {"a: 1\n b: 2\n", "t.yaml:1:", "indented"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        PARSED(p, cases[i].text);
        struct str report = buf_str(&p.report);
        test_context("%s -> %.*s", cases[i].text, STR_ARG(report));
        CHECK_ERR(p.err, E_PARSE);
        CHECK_GE(p.problems.errors, 1);
        CHECK(str_starts(report, str_from_c(cases[i].place)));
        CHECK(str_find(report, str_from_c(cases[i].remedy)) < report.n);
    }
}

TEST(yaml_nul_bytes_are_refused_and_do_not_end_the_text)
{
    PARSED_WITH(p, str_of("a: 1\0b: 2\n", 10), NULL);
    CHECK_STR(buf_str(&p.report), "t.yaml:1:5: error: control character 0x00\n");
}

TEST(yaml_aliases_are_the_same_node_again)
{
    PARSED(p, "base: &base {x: 1}\na: *base\nb: [*base, &t text, *t]\n");

    CHECK_OK(p.err);
    CHECK(at(p.root, "a") == at(p.root, "base"));
    CHECK(at(p.root, "b")->items[0] == at(p.root, "base"));
    CHECK_STR(at(p.root, "b")->items[2]->text, "text");
    CHECK_EQ(at(p.root, "b")->weight, 6);
}

TEST(yaml_alias_bombs_are_counted_not_expanded)
{
    PARSED(p,
           "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
           "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n"
           "f: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: "
           "[*g,*g,*g,*g,*g,*g,*g,*g,*g,*g]\n");

    CHECK_ERR(p.err, E_PARSE);
    CHECK(str_starts(buf_str(&p.report), STR("t.yaml:7:")));
    CHECK_LT(p.arena.used, 256 * 1024);
}

TEST(yaml_limits_hold_exactly)
{
    const struct yaml_limits three_deep = {.depth = 3}, five_nodes = {.nodes = 5}, ten_bytes = {.bytes = 10};

    PARSED_WITH(deep, STR("[[[x]]]"), &three_deep);
    CHECK_OK(deep.err);
    PARSED_WITH(deeper, STR("[[[[x]]]]"), &three_deep);
    CHECK_STR(buf_str(&deeper.report), "t.yaml:1:4: error: lists and maps are nested deeper than 3\n");
    PARSED_WITH(few, STR("[1,2,3,4]"), &five_nodes);
    CHECK_OK(few.err);
    PARSED_WITH(many, STR("[1,2,3,4,5]"), &five_nodes);
    CHECK_STR(buf_str(&many.report), "t.yaml:1:10: error: the document has more than 5 nodes, aliases followed\n");
    PARSED_WITH(small, STR("0123456789"), &ten_bytes);
    CHECK_OK(small.err);
    PARSED_WITH(large, STR("0123456789a"), &ten_bytes);
    CHECK_ERR(large.err, E_PARSE);
}

TEST(yaml_depth_has_a_ceiling_whatever_is_asked_for)
{
    const struct yaml_limits boundless = {.depth = 100000};
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);

    for (unsigned i = 0; i < 5000; i++)
        (void)buf_add_char(&text, '[');
    PARSED_WITH(p, buf_str(&text), &boundless);
    CHECK_ERR(p.err, E_PARSE);
}

TEST(yaml_problems_are_ordered_kept_up_to_a_number_and_counted)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct problems p = {.arena = &arena};
    struct buf out CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct str file = STR("f");

    for (unsigned i = PROBLEMS_MAX + 5; i > 0; i--) {
        struct yaml_node n = {.file = &file, .line = i, .column = 1};
        problems_error(&p, &n, "number %u", i);
    }
    problems_warn(&p, NULL, "not kept");
    CHECK_EQ(p.count, PROBLEMS_MAX);
    CHECK_EQ(p.errors, PROBLEMS_MAX + 5);
    problems_sort(&p);
    CHECK_EQ(p.items[0].line, 6);
    problems_print(&p, &out);
    CHECK(str_starts(buf_str(&out), STR("f:6:1: error: number 6\nf:7:1: ")));
    CHECK(str_ends(buf_str(&out), STR("\nand more (1005 errors in all)\n")));
}

/* Whatever bytes come, the result is a tree or a problem, and the same again for the same bytes. */
TEST(yaml_survives_mutilated_documents)
{
    static const char good[] = "a: &x {b: [1, \"two\", 'three', *y], c: |\n  text\n}\n? k\n: - - *x\n  - !!str v\n";
    char text[sizeof good];
    struct prng r;

    for (uint64_t round = 0; round < test_rounds(3000); round++) {
        prng_seed(&r, test_seed() + round);
        memcpy(text, good, sizeof good);
        for (uint64_t i = prng_below(&r, 6); i > 0; i--)
            text[prng_below(&r, sizeof good - 1)] = "\n :-*&!|[]{}\"'#?x\t,"[prng_below(&r, 18)];
        test_context("round %llu", (unsigned long long)round);
        PARSED_WITH(p, str_of(text, prng_below(&r, sizeof good)), NULL);
        CHECK_EQ(p.err == OK, p.root != NULL);
        CHECK_EQ(p.err == OK, p.problems.errors == 0);
    }
}
