/* schema_test.c - one table checks, fills, and describes; messages name place, mistake and remedy. */
#include "codec/schema.h"

#include "unit/test.h"

enum pace { PACE_SLOW = 3, PACE_FAST = 7 };

struct reply {
    struct str text;
    ns_t delay;
    double chance;
    const struct yaml_node *node;
};

struct header {
    struct str name;
    struct schema_text value;
};

struct named_reply {
    struct str name;
    struct reply reply;
};

struct document {
    struct str name, secret;
    enum pace pace;
    bool on;
    int64_t shift;
    unsigned count;
    uint64_t size;
    ns_t wait;
    struct reply *replies;
    size_t reply_count;
    struct str *words;
    size_t word_count;
    struct header *headers;
    size_t header_count;
    struct named_reply *named;
    size_t named_count;
    struct reply last;
    bool simulate;
    struct str path;
    const struct yaml_node *rest;
};

static bool is_lower(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 'a' || s.p[i] > 'z')
            return false;
    return s.n > 0;
}

static const struct schema_pattern lower = {"^[a-z]+$", is_lower, "lower-case letters"};

static void check_reply(const struct schema_run *run, const struct yaml_node *n, void *object)
{
    const struct reply *r = object;

    if (r->chance == 0 && r->delay > NS_SEC)
        problems_error(run->problems, n, "a reply that never comes needs no delay");
    ++*(unsigned *)run->ctx;
}

/* "never" or a plain number. */
static bool parse_chance(const struct schema_run *run, const struct yaml_node *n, struct str text, void *to)
{
    if (str_eq(text, STR("never")) || str_eq(text, STR("always"))) {
        *(double *)to = str_eq(text, STR("always"));
        return true;
    }
    problems_error(run->problems, n, "never or always");
    return false;
}

static const struct schema_field reply_fields[] = {
    SCHEMA_STRING("text", struct reply, text, .required = true, .doc = "What is said."),
    SCHEMA_DURATION("delay", struct reply, delay, .default_text = "50ms", .min = "1ms", .max = "1h",
                    .doc = "Wait before it."),
    SCHEMA_FLOAT("chance", struct reply, chance, .default_text = "1", .min = "0", .max = "1", .doc = "Odds | of it."),
    SCHEMA_END};
static const struct schema_object reply_object = {.fields = reply_fields,
                                                  .size = sizeof(struct reply),
                                                  .shorthand = "text",
                                                  .node_offset = SCHEMA_NODE_AT(struct reply, node),
                                                  .check = check_reply};
static const struct schema_field reply_item = SCHEMA_ITEM_OBJECT(&reply_object, .doc = "A reply.");
static const struct schema_field word_item = SCHEMA_ITEM(STRING, .pattern = &lower);
static const struct schema_field header_item = SCHEMA_TEXT(NULL, struct header, value);
static const struct schema_field named_item = SCHEMA_OBJECT(NULL, struct named_reply, reply, &reply_object);
static const struct schema_choice paces[] = {{"slow", PACE_SLOW, "Like people."},
                                             {"fast", PACE_FAST, "At once."},
                                             {"warp", SCHEMA_UNAVAILABLE, "use fast"},
                                             {NULL, 0, NULL}};
static const struct schema_field simulate_forms[] = {
    {.kind = SCHEMA_KIND_BOOL, .offset = SCHEMA_AT(struct document, simulate, bool)},
    {.kind = SCHEMA_KIND_STRING, .offset = SCHEMA_AT(struct document, path, struct str)},
    SCHEMA_END};

static const struct schema_field fields[] = {
    SCHEMA_STRING("name", struct document, name, .required = true, .doc = "For people."),
    SCHEMA_STRING("secret", struct document, secret, .secret = true, .pattern = &lower),
    SCHEMA_ENUM("pace", struct document, pace, paces, .default_text = "fast", .doc = "How fast it goes."),
    SCHEMA_BOOL("on", struct document, on, .default_text = "true"),
    SCHEMA_INT("shift", struct document, shift, .default_text = "-4", .min = "-10"),
    SCHEMA_UNSIGNED("count", struct document, count, .max = "9"),
    SCHEMA_SIZE("size", struct document, size, .default_text = "64KiB", .min = "1KiB"),
    SCHEMA_DURATION("wait", struct document, wait, .default_text = "none", .never = true, .max = "1h"),
    SCHEMA_LIST("replies", struct document, replies, reply_count, &reply_item, .single = true, .max = "3",
                .doc = "In turn."),
    SCHEMA_LIST("words", struct document, words, word_count, &word_item, .single = true, .default_text = "alpha"),
    SCHEMA_MAP("headers", struct document, headers, header_count, &header_item, struct header, name, .pattern = &lower),
    SCHEMA_MAP("named", struct document, named, named_count, &named_item, struct named_reply, name, .doc = "By name."),
    SCHEMA_OBJECT("last", struct document, last, &reply_object, .doc = "After all others."),
    SCHEMA_ONE_OF("simulate", simulate_forms, .doc = "Whether, or from what."),
    SCHEMA_ANY("rest", struct document, rest),
    SCHEMA_STRING("later", struct document, name, .unavailable = "use name"),
    SCHEMA_END};
static const struct schema_object object = {.fields = fields, .size = sizeof(struct document)};

struct bound {
    struct arena arena;
    struct problems problems;
    struct buf report;
    struct document d;
    unsigned checks; /* calls of check_reply */
    struct yaml_node *root;
    err_t err;
};

static void bound_release(struct bound *b)
{
    buf_release(&b->report);
    arena_release(&b->arena);
}

static void bind(struct bound *b, const char *text, bool expanded)
{
    *b = (struct bound){.arena = {.max = SIZE_MAX}, .report = BUF_INIT(1 << 20)};
    b->problems.arena = &b->arena;
    b->err = yaml_parse(str_from_c(text), STR("t"), NULL, &b->arena, &b->problems, &b->root);
    if (b->err == OK && expanded)
        for (size_t i = 0; i < b->root->count; i++)
            b->root->pairs[i].value->expanded = true;
    if (b->err == OK)
        b->err = schema_bind(&object, b->root, &b->arena, &b->problems, &b->checks, &b->d);
    problems_sort(&b->problems);
    problems_print(&b->problems, &b->report);
}

#define BOUND(var, text)                                                                                               \
    struct bound var CLEANUP(bound_release);                                                                           \
    bind(&var, text, false)

/* The document is "name: x" and `text`; the report must be `report`. */
static void check_report(const char *text, const char *report)
{
    struct buf whole CLEANUP(buf_release) = BUF_INIT(1 << 16);

    (void)buf_addf(&whole, "name: x\n%s\n", text);
    (void)buf_add_char(&whole, '\0');
    BOUND(b, whole.p);
    test_context("%s", text);
    CHECK_STR(buf_str(&b.report), report);
    CHECK_EQ(b.err, *report ? E_CONFIG : OK);
}

TEST(schema_fills_every_kind)
{
    BOUND(b, "name: joe\nsecret: abc\npace: slow\non: false\nshift: -7\ncount: 9\nsize: 2MiB\nwait: 1m30s\n"
             "replies:\n  - hello\n  - {text: \"10\", delay: 2s, chance: 25%}\nwords: [x, y]\nheaders: {a: 1, b: two}\n"
             "named: {first: {text: t}, second: u}\nlast: {text: bye, chance: 0.5}\nsimulate: some/path\nrest: {any: "
             "[thing]}\n");

    CHECK_STR(buf_str(&b.report), "");
    CHECK_OK(b.err);
    CHECK_STR(b.d.name, "joe");
    CHECK_EQ(b.d.name.p[b.d.name.n], '\0');
    CHECK_EQ(b.d.pace, PACE_SLOW);
    CHECK(!b.d.on);
    CHECK_EQ(b.d.shift, -7);
    CHECK_EQ(b.d.count, 9);
    CHECK_EQ(b.d.size, 2 << 20);
    CHECK_EQ(b.d.wait, 90 * NS_SEC);
    CHECK_EQ(b.d.reply_count, 2);
    CHECK_STR(b.d.replies[0].text, "hello");
    CHECK_EQ(b.d.replies[0].delay, 50 * NS_MS);
    CHECK_STR(b.d.replies[1].text, "10");
    CHECK_EQ(b.d.replies[1].delay, 2 * NS_SEC);
    CHECK(b.d.replies[1].chance == 0.25);
    CHECK_EQ(b.d.replies[1].node->line, 11);
    CHECK_EQ(b.d.word_count, 2);
    CHECK_STR(b.d.words[1], "y");
    CHECK_EQ(b.d.header_count, 2);
    CHECK_STR(b.d.headers[0].name, "a");
    CHECK_STR(b.d.headers[0].value.text, "1");
    CHECK_EQ(b.d.headers[1].value.node->column, 20);
    CHECK_EQ(b.d.named_count, 2);
    CHECK_STR(b.d.named[0].name, "first");
    CHECK_STR(b.d.named[1].reply.text, "u");
    CHECK_STR(b.d.last.text, "bye");
    CHECK(b.d.last.chance == 0.5);
    CHECK(!b.d.simulate);
    CHECK_STR(b.d.path, "some/path");
    CHECK_EQ(b.d.rest->kind, YAML_MAP);
    CHECK_EQ(b.checks, 5);
}

TEST(schema_fills_in_defaults_also_inside_absent_objects_and_for_nothing)
{
    static const char *const texts[] = {"name: x",
                                        "name: x\npace:\non: ~\nshift: null\nsize:\nwait:\nwords:\nlast:\nreplies:\n"};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        BOUND(b, texts[i]);
        CHECK_STR(buf_str(&b.report), "");
        CHECK_EQ(b.d.pace, PACE_FAST);
        CHECK(b.d.on);
        CHECK_EQ(b.d.shift, -4);
        CHECK_EQ(b.d.size, 65536);
        CHECK_EQ(b.d.wait, NS_NEVER);
        CHECK_EQ(b.d.word_count, 1);
        CHECK_STR(b.d.words[0], "alpha");
        CHECK_EQ(b.d.last.delay, 50 * NS_MS);
        CHECK(b.d.last.node == NULL);
        CHECK_EQ(b.d.reply_count, 0);
        CHECK_EQ(b.checks, 0);
    }
}

TEST(schema_missing_required_fields_are_reported_where_they_belong)
{
    BOUND(empty, "");
    CHECK_STR(buf_str(&empty.report), "t:1:1: error: \"name\" is missing\n");
    BOUND(without, "\npace: fast");
    CHECK_STR(buf_str(&without.report), "t:2:1: error: \"name\" is missing\n");
    BOUND(null, "pace: fast\nname:\n");
    CHECK_STR(buf_str(&null.report), "t:2:1: error: \"name\" is missing\n");
    check_report("replies: [{delay: 1s}]", "t:2:11: error: \"text\" is missing\n");
    check_report("named: {one: }", "t:2:9: error: \"text\" is missing\n");
    check_report("last: {delay: 1s}", "t:2:7: error: \"text\" is missing\n");
}

TEST(schema_reports_everything_at_once)
{
    BOUND(b, "pace: slwo\nwrods: [a]\ncount: 10\nreplies: {text: [x], dealy: 1s}\n");

    CHECK_ERR(b.err, E_CONFIG);
    CHECK_EQ(b.problems.errors, 6);
    CHECK_STR(buf_str(&b.report),
              "t:1:1: error: \"name\" is missing\n"
              "t:1:7: error: \"pace\" must be one of slow, fast, not \"slwo\", did you mean \"slow\"?\n"
              "t:2:1: error: unknown field \"wrods\" in the document, did you mean \"words\"?\n"
              "t:3:8: error: \"count\" must be at most 9\n"
              "t:4:17: error: \"text\" must be text, not a list\n"
              "t:4:22: error: unknown field \"dealy\" in an entry of \"replies\", did you mean \"delay\"?\n");
}

TEST(schema_unknown_fields_that_resemble_nothing_show_what_is_valid)
{
    check_report("last: {text: x, zzz: 1}",
                 "t:2:17: error: unknown field \"zzz\" in \"last\"; valid: text, delay, chance\n");
}

TEST(schema_wrong_kinds_say_what_is_wanted_and_what_is_there)
{
    check_report("on: 1", "t:2:5: error: \"on\" must be true or false, not \"1\"\n");
    check_report("on: yes", "t:2:5: error: \"on\" must be true or false, not \"yes\"\n");
    check_report("on: \"true\"", "t:2:5: error: \"on\" must be written without quotes\n");
    check_report("count: \"4\"", "t:2:8: error: \"count\" must be written without quotes\n");
    check_report("count: 4.5", "t:2:8: error: \"count\" must be a whole number, not \"4.5\"\n");
    check_report("count: -1", "t:2:8: error: \"count\" must be a whole number, not \"-1\"\n");
    check_report("count: 99999999999", "t:2:8: error: \"count\" must be a whole number, not \"99999999999\"\n");
    check_report("shift: 9223372036854775808",
                 "t:2:8: error: \"shift\" must be a whole number, not \"9223372036854775808\"\n");
    check_report("shift: {a: 1}", "t:2:8: error: \"shift\" must be a whole number, not a map\n");
    check_report("last: [1]", "t:2:7: error: \"text\" must be text, not a list\n");
    check_report("headers: [a]", "t:2:10: error: \"headers\" must be a map, not a list\n");
    check_report("headers: {a: true}", "t:2:14: error: \"a\" must be text: put true in quotes\n");
    check_report("headers: {a: }", "t:2:11: error: \"a\" has no value\n");
    check_report("replies: [a, ]\nwords: [a, ~]", "t:3:12: error: an entry of \"words\" is empty\n");
    check_report("wait: 10", "t:2:7: error: \"wait\" has no unit: write for example 10s, 250ms or 1m30s\n");
    check_report("size: big", "t:2:7: error: \"size\" is not a size: write for example 64MiB, 10kB or 4096\n");
    check_report("simulate: [a]", "t:2:11: error: \"simulate\" must be true or false or text, not a list\n");
    check_report("last: {text: x, chance: .inf}", "t:2:25: error: \"chance\" must be a number, not \".inf\"\n");
    check_report("last: {text: x, chance: 0x1}", "t:2:25: error: \"chance\" must be a number, not \"0x1\"\n");
}

TEST(schema_bounds_are_allowed_themselves_and_nothing_beyond)
{
    check_report("last: {text: x, delay: 1ms, chance: 0}\nshift: -10\nsize: 1KiB\nwait: 1h", "");
    check_report("last: {text: x, delay: 3600s, chance: 100%}", "");
    check_report("last: {text: x, delay: 999us}", "t:2:24: error: \"delay\" must be at least 1ms\n");
    check_report("last: {text: x, delay: 3601s}", "t:2:24: error: \"delay\" must be at most 1h\n");
    check_report("last: {text: x, delay: none}",
                 "t:2:24: error: \"delay\" needs a limit: \"none\" is not possible here\n");
    check_report("last: {text: x, chance: 100.1%}", "t:2:25: error: \"chance\" must be at most 1\n");
    check_report("shift: -11", "t:2:8: error: \"shift\" must be at least -10\n");
    check_report("size: 1023", "t:2:7: error: \"size\" must be at least 1KiB\n");
    check_report("replies: [a, b, c]", "");
    check_report("replies: [a, b, c, d]", "t:2:10: error: \"replies\" may have at most 3 entries\n");
}

TEST(schema_what_may_be_secret_is_never_shown)
{
    check_report(
        "secret: SK-123",
        "t:2:9: error: \"secret\" must be lower-case letters, not what is given (not shown, it may be secret)\n");
    struct bound b CLEANUP(bound_release);
    bind(&b,
         "name: x\npace: SK-123\ncount: SK-123\nwait: SK-123\nsize: SK-123\non: SK-123\nwords: SK-123\nlast: {delay: "
         "1s}\n",
         true);
    CHECK_EQ(b.problems.errors, 7);
    CHECK_EQ(str_find(buf_str(&b.report), STR("SK-")), b.report.n);
}

TEST(schema_values_made_of_variables_are_typed_in_quotes_too)
{
    struct bound b CLEANUP(bound_release);
    bind(&b, "name: 'true'\ncount: '4'\non: \"false\"\nshift: '-2'\n", true);
    CHECK_STR(buf_str(&b.report), "");
    CHECK_EQ(b.d.count, 4);
    CHECK_EQ(b.d.shift, -2);
    CHECK(!b.d.on);
    CHECK_STR(b.d.name, "true");
}

TEST(schema_what_is_not_available_yet_is_refused_with_the_remedy)
{
    check_report("pace: warp", "t:2:7: error: \"warp\" is not available yet as \"pace\"; use fast\n");
    check_report("later: 1", "t:2:1: error: \"later\" is not available yet; use name\n");
}

TEST(schema_patterns_hold_for_keys_and_items)
{
    check_report("words: [ab, Cd]", "t:2:13: error: an entry of \"words\" must be lower-case letters, not \"Cd\"\n");
    check_report("headers: {A1: x}", "t:2:11: error: \"A1\" in \"headers\" must be lower-case letters\n");
}

TEST(schema_hooks_see_the_object_and_its_place)
{
    check_report("last: {text: x, delay: 2s, chance: 0}", "t:2:7: error: a reply that never comes needs no delay\n");
}

struct hooked {
    double chance, other;
};

TEST(schema_parse_hooks_replace_the_reading_of_a_scalar)
{
    static const struct schema_field hooked_fields[] = {
        SCHEMA_FLOAT("chance", struct hooked, chance, .default_text = "always", .parse = parse_chance),
        SCHEMA_FLOAT("other", struct hooked, other, .parse = parse_chance, .min = "5"), SCHEMA_END};
    static const struct schema_object hooked_object = {.fields = hooked_fields, .size = sizeof(struct hooked)};
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct problems problems = {.arena = &arena};
    struct schema_about about = {.title = "t"};
    struct buf out CLEANUP(buf_release) = BUF_INIT(1 << 16);
    struct yaml_node *root;
    struct hooked h;

    CHECK_OK(yaml_parse(STR("other: never"), STR("t"), NULL, &arena, &problems, &root));
    CHECK_OK(schema_bind(&hooked_object, root, &arena, &problems, NULL, &h));
    CHECK(h.chance == 1 && h.other == 0);
    CHECK_OK(yaml_parse(STR("other: 5"), STR("t"), NULL, &arena, &problems, &root));
    CHECK_ERR(schema_bind(&hooked_object, root, &arena, &problems, NULL, &h), E_CONFIG);
    CHECK_OK(schema_print_json(&hooked_object, &about, &out));
    CHECK(str_find(buf_str(&out), STR("\"default\": \"always\"")) < out.n);
}

TEST(schema_one_of_takes_the_form_that_fits)
{
    BOUND(yes, "name: x\nsimulate: true\n");
    CHECK_OK(yes.err);
    CHECK(yes.d.simulate && !yes.d.path.n);
    BOUND(text, "name: x\nsimulate: \"true\"\n");
    CHECK_OK(text.err);
    CHECK(!text.d.simulate);
    CHECK_STR(text.d.path, "true");
}

TEST(schema_one_of_takes_a_list_for_what_is_a_list_only)
{
    static const struct schema_field list_or_text[] = {
        SCHEMA_LIST(NULL, struct document, words, word_count, &word_item),
        {.kind = SCHEMA_KIND_STRING, .offset = SCHEMA_AT(struct document, path, struct str)},
        SCHEMA_END};
    static const struct schema_field either[] = {SCHEMA_ONE_OF("either", list_or_text), SCHEMA_END};
    static const struct schema_object either_object = {.fields = either, .size = sizeof(struct document)};
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct problems problems = {.arena = &arena};
    struct yaml_node *root;
    struct document d;

    CHECK_OK(yaml_parse(STR("either: text"), STR("t"), NULL, &arena, &problems, &root));
    CHECK_OK(schema_bind(&either_object, root, &arena, &problems, NULL, &d));
    CHECK_STR(d.path, "text");
    CHECK_EQ(d.word_count, 0);
    CHECK_OK(yaml_parse(STR("either: [a, b]"), STR("t"), NULL, &arena, &problems, &root));
    CHECK_OK(schema_bind(&either_object, root, &arena, &problems, NULL, &d));
    CHECK_EQ(d.word_count, 2);
    CHECK_EQ(d.path.n, 0);
}

TEST(schema_aliases_may_be_used_for_several_fields)
{
    BOUND(b, "name: &n x\nwords: [*n, *n]\nlast: &l {text: t}\nreplies: [*l, *l]\n");
    CHECK_OK(b.err);
    CHECK_EQ(b.d.reply_count, 2);
    CHECK_STR(b.d.words[1], "x");
}

TEST(schema_nearest_name_is_near_or_none)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    static const char *const names[] = {"gpt-4o", "gpt-4o-mini", "claude-sonnet", "llama"};
    static const struct {
        const char *name, *best;
    } cases[] = {{"gpt4o", "gpt-4o"},
                 {"GPT-4O-MINI", "gpt-4o-mini"},
                 {"claude-sonet", "claude-sonnet"},
                 {"lama", "llama"},
                 {"mistral", ""},
                 {"x", ""},
                 {"gpt-4o-minni", "gpt-4o-mini"},
                 {"", ""}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str best = STR_NONE;
        unsigned distance = 0;
        for (size_t k = 0; k < ARRAY_LEN(names); k++)
            schema_nearest(str_from_c(cases[i].name), str_from_c(names[k]), &best, &distance);
        test_context("%s", cases[i].name);
        const char *said = schema_suggest(&arena, str_from_c(cases[i].name), best, distance);
        const char *want = *cases[i].best ? arena_printf(&arena, ", did you mean \"%s\"?", cases[i].best).p : "";
        CHECK_STR(str_from_c(said), want);
    }
}

TEST(schema_prints_the_json_schema_of_the_table)
{
    static const struct schema_field small_fields[] = {
        SCHEMA_STRING("name", struct document, name, .required = true, .doc = "For \"people\"."),
        SCHEMA_UNSIGNED("count", struct document, count, .default_text = "3", .max = "9"),
        SCHEMA_LIST("words", struct document, words, word_count, &word_item, .single = true),
        SCHEMA_STRING("later", struct document, name, .unavailable = "use name"), SCHEMA_END};
    static const struct schema_object small = {.fields = small_fields, .size = sizeof(struct document)};
    const struct schema_about about = {.title = "Small", .id = "https://example.com/small.json", .expands = true};
    struct buf out CLEANUP(buf_release) = BUF_INIT(1 << 16);

    CHECK_OK(schema_print_json(&small, &about, &out));
    CHECK_STR(buf_str(&out),
              "{\n"
              "  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
              "  \"$id\": \"https://example.com/small.json\",\n"
              "  \"title\": \"Small\",\n"
              "  \"type\": \"object\",\n"
              "  \"additionalProperties\": false,\n"
              "  \"properties\": {\n"
              "    \"name\": {\n"
              "      \"description\": \"For \\\"people\\\".\",\n"
              "      \"type\": [\"string\", \"number\"]\n"
              "    },\n"
              "    \"count\": {\n"
              "      \"default\": 3,\n"
              "      \"anyOf\": [\n"
              "        {\n"
              "          \"type\": \"integer\",\n"
              "          \"maximum\": 9,\n"
              "          \"minimum\": 0\n"
              "        },\n"
              "        {\n"
              "          \"$ref\": \"#/$defs/variable\"\n"
              "        }\n"
              "      ]\n"
              "    },\n"
              "    \"words\": {\n"
              "      \"anyOf\": [\n"
              "        {\n"
              "          \"type\": \"array\",\n"
              "          \"items\": {\n"
              "            \"anyOf\": [\n"
              "              {\n"
              "                \"type\": [\"string\", \"number\"],\n"
              "                \"pattern\": \"^[a-z]+$\"\n"
              "              },\n"
              "              {\n"
              "                \"$ref\": \"#/$defs/variable\"\n"
              "              }\n"
              "            ]\n"
              "          }\n"
              "        },\n"
              "        {\n"
              "          \"type\": [\"string\", \"number\"],\n"
              "          \"pattern\": \"^[a-z]+$\"\n"
              "        },\n"
              "        {\n"
              "          \"$ref\": \"#/$defs/variable\"\n"
              "        }\n"
              "      ]\n"
              "    }\n"
              "  },\n"
              "  \"required\": [\n"
              "    \"name\"\n"
              "  ],\n"
              "  \"$defs\": {\n"
              "    \"variable\": {\n"
              "      \"description\": \"Text with environment variables in it, as ${NAME} or ${NAME:-default}.\",\n"
              "      \"type\": \"string\",\n"
              "      \"pattern\": \"\\\\$\\\\{\"\n"
              "    }\n"
              "  }\n"
              "}\n");
}

TEST(schema_prints_a_reference_with_a_section_per_object)
{
    const struct schema_about about = {.title = "t", .heading = 3};
    struct buf out CLEANUP(buf_release) = BUF_INIT(1 << 16);
    static const char *const parts[] = {
        "### The file\n\n| field | type | default | meaning |\n",
        "| `name` | text | **required** | For people. |\n",
        "| `pace` | word | `fast` | How fast it goes. `slow`: Like people.; `fast`: At once. |\n",
        "| `replies` | map, see below, or only its `text`: text, or list of those | – | In turn. At most 3. |\n",
        "| `named` | map, name → map, see below, or only its `text`: text | – | By name. |\n",
        "| `simulate` | true or false or text | – | Whether, or from what. |\n",
        "| `wait` | duration | `none` |  At most 1h. `none`: no limit. |\n",
        "### `replies[]`\n\nA reply.\n\n| field |",
        "### `named.<name>`\n\n",
        "### `last`\n\nAfter all others.\n\n",
        "| `chance` | number | `1` | Odds \\| of it. From 0 to 1. |\n",
    };

    CHECK_OK(schema_print_markdown(&object, &about, &out));
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        test_context("%s", parts[i]);
        CHECK(str_find(buf_str(&out), str_from_c(parts[i])) < out.n);
    }
    CHECK_EQ(str_find(buf_str(&out), STR("warp")), out.n);
    CHECK_EQ(str_find(buf_str(&out), STR("`later`")), out.n);
}
