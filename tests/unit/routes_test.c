/* routes_test.c - the configuration of routes, aliases, wildcards, tags and overrides: what is made of it, and how mistakes are told. */
#include "base/buf.h"
#include "fleet/config.h"
#include "unit/test.h"

static const char *variable(const char *name)
{
    return strcmp(name, "CONDITION") == 0 ? ".modle == 1" : NULL;
}

static err_t no_file(const char *path, size_t max, struct buf *ret)
{
    (void)max;
    (void)ret;
    return fail(E_NOT_FOUND, "%s", path);
}

static const struct config_env env = {.getenv = variable, .read_file = no_file};

struct loaded {
    struct arena arena;
    struct problems problems;
    struct buf report;
    struct catalog *c;
    err_t err;
};

static void loaded_release(struct loaded *l)
{
    catalog_unref(l->c);
    buf_release(&l->report);
    arena_release(&l->arena);
}

static void load(struct loaded *l, struct str text)
{
    *l = (struct loaded){.arena = {.max = SIZE_MAX}, .report = BUF_INIT(1 << 20)};
    l->problems.arena = &l->arena;
    l->err = config_load("-", text, &env, &l->problems, &l->c);
    problems_print(&l->problems, &l->report);
}

#define PROVIDERS "providers: {p: {simulate: true, serves: [one]}, q: {simulate: true, serves: \"*\"}}\n"
#define LOADED(var, text)                                                                                              \
    struct loaded var CLEANUP(loaded_release);                                                                         \
    load(&var, STR(PROVIDERS text))
#define FINE(var, text)                                                                                                \
    LOADED(var, text);                                                                                                 \
    CHECK_STR(buf_str(&var.report), "");                                                                               \
    CHECK(var.c != NULL)
/* What is told of it, and nothing else. */
#define REFUSED(text, told)                                                                                            \
    do {                                                                                                               \
        LOADED(refused, text);                                                                                         \
        CHECK_STR(buf_str(&refused.report), told);                                                                     \
        CHECK(refused.c == NULL);                                                                                      \
    } while (0)

/* --- names --- */

TEST(routes_models_are_found_by_alias)
{
    FINE(l, "models: {a: {targets: p/x, aliases: [b, c/d]}, e: {targets: p/y, aliases: f}}\n");
    const struct model *a = catalog_find_model(l.c, STR("a"));

    CHECK(a && catalog_find_model(l.c, STR("b")) == a && catalog_find_model(l.c, STR("c/d")) == a);
    CHECK(catalog_find_model(l.c, STR("f")) == catalog_find_model(l.c, STR("e")));
    CHECK(catalog_find_model(l.c, STR("c")) == NULL);
    CHECK_STR(catalog_nearest_model(l.c, STR("c/e")), "c/d");
}

TEST(routes_aliases_are_names_of_one_model_only)
{
    REFUSED("models: {a: {targets: p/x, aliases: [b, b]}}\n",
            "-:2:41: error: \"b\" is already a name of the model \"a\"\n");
    REFUSED("models: {a: {targets: p/x, aliases: c}, c: {targets: p/x}}\n",
            "-:2:37: error: \"c\" is already a name of the model \"c\"\n");
    REFUSED("models: {a: {targets: p/x, aliases: \"b*\"}}\n",
            "-:2:37: error: an alias is one name: only names of models may end with \"*\"\n");
    REFUSED("models: {\"a*\": {targets: p/x, aliases: b}}\n",
            "-:2:40: error: a wildcard has no aliases: what would stand for its \"*\"?\n");
}

static void check_match(const struct catalog *c, const char *name, const char *model, const char *rest)
{
    struct str got = STR("untouched");
    const struct model *m = catalog_match_model(c, str_from_c(name), &got);

    test_context("%s", name);
    CHECK((m != NULL) == (model != NULL));
    if (m)
        CHECK_STR(m->name, model);
    CHECK_STR(got, rest);
}

TEST(routes_wildcards_match_the_longest_prefix_and_exact_names_go_before)
{
    FINE(l,
         "models: {\"q/*\": {targets: [\"p/*\", \"q/x-*-y\"]}, \"q/gpt-*\": {targets: \"p/g\"}, \"*\": {targets: p/z},"
         " q/gpt-4: {targets: p/four, aliases: q/best}}\n");

    check_match(l.c, "q/gpt-4", "q/gpt-4", "");
    check_match(l.c, "q/best", "q/gpt-4", "");
    check_match(l.c, "q/gpt-4o", "q/gpt-*", "4o");
    check_match(l.c, "q/gpt-", "q/*", "gpt-"); /* nothing would be left for the '*' */
    check_match(l.c, "q/o3", "q/*", "o3");
    check_match(l.c, "q/", "*", "q/");
    check_match(l.c, "x", "*", "x");
    check_match(l.c, "", NULL, "");
    CHECK(catalog_find_model(l.c, STR("q/*")) == NULL); /* it is no name itself */
    const struct model *m = catalog_match_model(l.c, STR("q/o3"), &(struct str){NULL, 0});
    CHECK(m->is_wildcard && m->targets[0].deployment->is_pattern && m->targets[1].deployment->is_pattern);
    CHECK_STR(m->targets[1].deployment->model, "x-*-y");
    CHECK_STR(m->targets[0].deployment->label, "p/*");
}

TEST(routes_stars_stand_where_something_can_stand_for_them)
{
    REFUSED("models: {a: {targets: \"p/*\"}}\n",
            "-:2:23: error: \"*\" stands for the rest of the client's name: the model's own name must end with "
            "\"*\"\n");
    REFUSED("models: {\"a*\": {targets: p/x, fallbacks: \"p/*-*\"}}\n",
            "-:2:42: error: \"*\" may stand here once only\n");
    LOADED(l, "models: {\"a*b\": {targets: p/x}}\n");
    CHECK(strstr(l.report.p, "\"*\" may stand at the end of a model's name only"));
}

TEST(routes_keys_may_name_aliases_and_what_wildcards_stand_for)
{
    FINE(l, "models: {\"x/*\": {targets: \"p/*\"}, a: {targets: p/y, aliases: b}}\n"
            "keys: [{name: k, hash: \"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\","
            " models: [b, x/gpt, \"x/g*\", \"x*\"]}]\n");
    LOADED(wrong, "models: {\"x/*\": {targets: \"p/*\"}}\n"
                  "keys: [{name: k, hash: \"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\","
                  " models: [y/gpt, \"y*\"]}]\n");
    CHECK_EQ(wrong.problems.count, 2);
    CHECK_STR(wrong.problems.items[0].text, "no model is called so: the entry allows nothing");
}

TEST(routes_what_a_provider_serves_beyond_its_list_has_one_deployment)
{
    FINE(l, "models: {a: {targets: p/y}}\n");
    const struct provider *p = map_get(&l.c->provider_by_name, STR("p")),
                          *q = map_get(&l.c->provider_by_name, STR("q"));

    CHECK(p->any == NULL);
    CHECK(q->any != NULL && q->any->is_pattern);
    CHECK_STR(q->any->name, "q/*");
    CHECK(map_get(&l.c->deployment_by_name, STR("q/*")) == q->any);
}

/* --- rules --- */

/* Names of the rules for a model, in order, separated by blanks. */
static struct str rules_for(const struct catalog *c, const char *name, char to[64])
{
    const struct rule_list *list = catalog_find_rules(c, str_from_c(name));
    const struct rule *r;
    size_t n = 0;

    for (unsigned from = 0; (r = catalog_next_rule(c, list, from)) != NULL && n < 50; from = r->index + 1) {
        memcpy(to + n, r->name.p, r->name.n);
        n += r->name.n;
        to[n++] = ' ';
    }
    return str_of(to, n ? n - 1 : 0);
}

TEST(routes_a_name_meets_its_rules_in_order_and_no_others)
{
    FINE(l, "models: {m: {targets: p/x}}\n"
            "routes:\n"
            "  - {name: a, models: [chat, \"gpt-*\"], use: m}\n"
            "  - {name: b, use: m}\n"
            "  - {name: c, models: \"gpt-4*\", use: m}\n"
            "  - {name: d, models: [gpt-4o, gpt-4o], use: m}\n"
            "  - {name: e, models: \"*\", when: .stream, use: m}\n"
            "  - {name: f, models: chat, use: m}\n"
            "  - {name: g, models: [\"g*\", \"gpt-4*\"], use: m}\n");
    char text[64];

    CHECK_STR(rules_for(l.c, "chat", text), "a b e f");
    CHECK_STR(rules_for(l.c, "gpt-4o", text), "a b c d e g");
    CHECK_STR(rules_for(l.c, "gpt-4", text), "a b c e g");
    CHECK_STR(rules_for(l.c, "gpt-5", text), "a b e g");
    CHECK_STR(rules_for(l.c, "g", text), "b e g");
    CHECK_STR(rules_for(l.c, "other", text), "b e");
    CHECK(l.c->rules[0].condition.expr == NULL && l.c->rules[4].condition.expr != NULL);
    CHECK_EQ(l.c->rules[4].condition.reads, 1u << CONDITION_STREAM);
    CHECK(l.c->rules[0].use == catalog_find_model(l.c, STR("m")));
}

TEST(routes_a_configuration_without_rules_has_none_for_any_name)
{
    FINE(l, "models: {m: {targets: p/x}}\n");
    CHECK(catalog_find_rules(l.c, STR("m")) == NULL);
    CHECK(catalog_find_rules(l.c, STR("")) == NULL);
    CHECK(catalog_next_rule(l.c, NULL, 0) == NULL);
}

TEST(routes_a_rule_with_thousands_beside_it_is_found_at_once)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 22);
    char found[64];

    (void)buf_add_lit(&text, PROVIDERS "models: {m: {targets: p/x}}\nroutes:\n");
    for (unsigned i = 0; i < 5000; i++)
        (void)buf_addf(&text, "  - {name: r%u, models: name-%u, when: .tokens.input > %u, use: m}\n", i, i % 4999, i);
    struct loaded l CLEANUP(loaded_release);
    load(&l, buf_str(&text));
    CHECK_STR(buf_str(&l.report), "");
    CHECK_EQ(catalog_find_rules(l.c, STR("name-0"))->count, 2); /* what is looked at, of 5,000 */
    CHECK_STR(rules_for(l.c, "name-0", found), "r0 r4999");
}

TEST(routes_mistakes_in_conditions_are_told_with_their_place_and_a_caret)
{
    REFUSED("models: {m: {targets: p/x}}\n"
            "routes:\n"
            "  - name: vision\n"
            "    when: .needs.visoin and true\n"
            "    use: m\n",
            "-:5:11: error: in \"when\", line 1, column 1: there is no field \"visoin\" here; did you mean "
            "\"vision\"?\n"
            "  .needs.visoin and true\n"
            "  ^~~~~~~~~~~~~\n");
    REFUSED("models: {m: {targets: p/x}}\n"
            "routes: [{name: team, use: m, when: \"(.key.team | startswith('a'))\"}]\n",
            "-:3:62: error: in \"when\", line 1, column 25: a value is expected here\n"
            "  (.key.team | startswith('a'))\n"
            "                          ^\n");
}

TEST(routes_conditions_of_several_lines_keep_their_lines)
{
    REFUSED("models: {m: {targets: p/x}}\n"
            "routes:\n"
            "  - name: long\n"
            "    when: |\n"
            "      .tokens.input > 3\n"
            "        and .modle == \"x\"\n"
            "    use: m\n",
            "-:7:7: error: in \"when\", line 2, column 7: there is no field \"modle\" here; did you mean \"model\"?\n"
            "    and .modle == \"x\"\n"
            "        ^~~~~~\n");
}

TEST(routes_types_of_what_may_be_absent_have_to_be_handled)
{
    LOADED(l, "models: {m: {targets: p/x}}\n"
              "routes: [{name: team, use: m, when: '.key.team | startswith(\"a\")'}]\n");
    CHECK(strstr(l.report.p, "startswith takes string, and this may be null"));
    FINE(fine, "models: {m: {targets: p/x}}\n"
               "routes: [{name: team, use: m, when: '(.key.team // \"\") | startswith(\"a\")'}]\n");
}

TEST(routes_a_condition_out_of_a_variable_is_not_shown)
{
    REFUSED("models: {m: {targets: p/x}}\nroutes: [{name: v, when: \"${CONDITION}\", use: m}]\n",
            "-:3:26: error: \"when\": the condition is wrong at its line 1, column 1\n");
}

TEST(routes_rules_say_what_they_are_for_and_where_they_send)
{
    REFUSED("models: {chat: {targets: p/x}}\nroutes: [{name: a, use: chatt}]\n",
            "-:3:25: error: there is no model \"chatt\", did you mean \"chat\"?\n");
    REFUSED("models: {\"c*\": {targets: p/x}}\nroutes: [{name: a, use: \"c*\"}]\n",
            "-:3:25: error: \"use\" names one model: a wildcard needs a name to stand for\n");
    REFUSED("models: {m: {targets: p/x}}\nroutes: [{name: a}]\n",
            "-:3:10: error: this rule changes nothing: give it \"use\", \"require\", or both\n");
    REFUSED("models: {m: {targets: p/x}}\nroutes: [{name: a, use: m}, {name: a, use: m}]\n",
            "-:3:36: error: the same name is already at -:3:17\n");
    REFUSED("models: {m: {targets: p/x}}\nroutes: [{name: a, use: m, models: [\"g*t\"]}]\n",
            "-:3:37: error: \"*\" may stand at the end only\n");
}

TEST(routes_a_rule_whose_model_is_left_out_still_requires)
{
    LOADED(l, "models: {m: {targets: p/x}, gone: {targets: o/x}}\n"
              "routes: [{name: a, use: gone}, {name: b, use: gone, require: eu}, {name: c, use: m}]\n");
    CHECK(l.c == NULL); /* o is no provider at all */
    struct loaded left CLEANUP(loaded_release);
    load(&left, STR("providers: {p: {simulate: true}, o: {optional: true, api_key: \"${NONE}\"}}\n"
                    "models: {m: {targets: p/x}, gone: {targets: o/x}}\n"
                    "routes: [{name: a, use: gone}, {name: b, use: gone, require: eu}, {name: c, use: m}]\n"));
    CHECK(left.c != NULL);
    CHECK(strstr(left.report.p, "the model \"gone\" is left out, and so this rule sends nothing to it"));
    CHECK_EQ(left.c->rule_count, 2);
    CHECK_STR(left.c->rules[0].name, "b");
    CHECK(left.c->rules[0].use == NULL && left.c->rules[0].required == catalog_tag_bit(left.c, STR("eu")));
    CHECK_EQ(left.c->rules[1].index, 1);
}

/* --- tags, keys --- */

TEST(routes_tags_are_bits_and_the_same_word_is_the_same_bit)
{
    FINE(l, "models: {a: {targets: p/x, require: [eu, zero-retention]}, b: {targets: p/x, require: eu}}\n"
            "routes: [{name: r, require: swiss}]\n");
    uint64_t eu = catalog_tag_bit(l.c, STR("eu")), zero = catalog_tag_bit(l.c, STR("zero-retention"));

    CHECK(eu && zero && eu != zero);
    CHECK_EQ(catalog_find_model(l.c, STR("a"))->required, eu | zero);
    CHECK_EQ(catalog_find_model(l.c, STR("b"))->required, eu);
    CHECK_EQ(l.c->rules[0].required, catalog_tag_bit(l.c, STR("swiss")));
    CHECK_EQ(catalog_tag_bit(l.c, STR("us")), 0);
    CHECK_EQ(l.c->tag_count, 3);
    CHECK_STR(l.c->tags[__builtin_ctzll(eu)], "eu");
}

TEST(routes_more_than_64_different_tags_are_refused)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 16);
    struct loaded l CLEANUP(loaded_release);

    (void)buf_add_lit(&text, PROVIDERS "models: {m: {targets: p/x, require: [");
    for (unsigned i = 0; i < 64; i++)
        (void)buf_addf(&text, "t%u, ", i);
    (void)buf_add_lit(&text, "t0]}}\n");
    load(&l, buf_str(&text));
    CHECK_STR(buf_str(&l.report), "");
    CHECK_EQ(catalog_find_model(l.c, STR("m"))->required, UINT64_MAX);
    (void)buf_add_lit(&text, "routes: [{name: r, require: one-more}]\n");
    struct loaded more CLEANUP(loaded_release);
    load(&more, buf_str(&text));
    CHECK_STR(buf_str(&more.report), "-:3:29: error: there are more than 64 different tags\n");
}

#define KEY "hash: \"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\""

TEST(routes_keys_say_who_they_are_and_what_their_requests_may_decide)
{
    FINE(l, "models: {m: {targets: p/x}}\n"
            "keys: [{name: k, " KEY ", team: red, tags: [a, b], metadata: {tier: gold}, require: eu,"
            " overrides: [models, timeout]}]\n");
    const struct api_key *k = &l.c->keys[0];

    CHECK_STR(k->team, "red");
    CHECK_EQ(k->tag_count, 2);
    CHECK_STR(k->tags[1], "b");
    CHECK_EQ(k->metadata_count, 1);
    CHECK_STR(k->metadata[0].name, "tier");
    CHECK_STR(k->metadata[0].value, "gold");
    CHECK_EQ(k->required, catalog_tag_bit(l.c, STR("eu")));
    CHECK_EQ(k->overrides, OVERRIDE_MODELS | OVERRIDE_TIMEOUT);
    FINE(usual, "keys: [{name: k, " KEY "}]\n");
    CHECK_EQ(usual.c->keys[0].overrides, OVERRIDE_ALL);
    FINE(none, "keys: [{name: k, " KEY ", overrides: none}]\n");
    CHECK_EQ(none.c->keys[0].overrides, 0);
    LOADED(both, "keys: [{name: k, " KEY ", overrides: [none, models]}]\n");
    CHECK(strstr(both.report.p, "\"none\" stands alone"));
}
