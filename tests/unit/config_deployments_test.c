/* config_deployments_test.c - the section `deployments`: prices, limits, abilities and tags, and where each comes from. */
#include "fleet/catalog.h"
#include "fleet/config.h"
#include "fleet/model_book.h"

#include "base/arena.h"
#include "unit/test.h"

#include <stdio.h>

#define CENTS ((uint64_t)10000000)

static const char *no_variable(const char *name)
{
    (void)name;
    return NULL;
}

static const struct config_env env = {.getenv = no_variable};

struct loaded {
    struct arena arena;
    struct buf report;
    struct catalog *c;
};

static void loaded_release(struct loaded *l)
{
    catalog_unref(l->c);
    buf_release(&l->report);
    arena_release(&l->arena);
}

static void load(struct loaded *l, const char *text)
{
    *l = (struct loaded){.arena = {.max = SIZE_MAX}, .report = BUF_INIT(1 << 20)};
    struct problems problems = {.arena = &l->arena};
    err_t e = config_load("-", str_from_c(text), &env, &problems, &l->c);
    CHECK_EQ(e == OK, l->c != NULL);
    problems_print(&problems, &l->report);
}

#define LOADED(var, text)                                                                                              \
    struct loaded var CLEANUP(loaded_release);                                                                         \
    load(&var, text)

#define OPENAI "providers: {o: {dialect: openai, api_key: k}}\n"
#define MODEL "models: {m: {targets: o/gpt-5.4}}\n"

static const struct deployment *deployment(const struct loaded *l, const char *name)
{
    return l->c ? map_get(&l->c->deployment_by_name, str_from_c(name)) : NULL;
}

static uint64_t cost(const struct deployment *d, uint64_t input, uint64_t output)
{
    struct price_tokens t = {.input = input, .output = output};
    return d && d->price ? price_of(d->price, &t, PRICE_STANDARD) : UINT64_MAX;
}

static void check_said(const char *text, const char *report)
{
    LOADED(l, text);
    test_context("%s", text);
    CHECK_STR(buf_str(&l.report), report);
    CHECK_EQ(l.c == NULL, strstr(report, "error") != NULL);
}

TEST(deployments_know_what_the_book_says)
{
    LOADED(l, OPENAI MODEL);
    const struct deployment *d = deployment(&l, "o/gpt-5.4");

    CHECK_STR(buf_str(&l.report), "");
    CHECK(d && d->price);
    const struct model_facts *book = model_book_find(d->provider->vendor, d->model);
    CHECK(d->price == book->price);
    CHECK_EQ(d->context_tokens, book->context_tokens);
    CHECK_EQ(d->max_output_tokens, book->max_output_tokens);
    CHECK_EQ(d->lacks, book->lacks);
    CHECK_STR(d->price_as_of, "2026-10-21");
    CHECK(str_starts(d->price_source, STR("https://developers.openai.com/")));
    CHECK_EQ(d->tag_count, 0);
}

TEST(deployments_that_nobody_knows_have_no_price)
{
    LOADED(l, OPENAI "models: {m: {targets: o/something-new}}\n");
    const struct deployment *d = deployment(&l, "o/something-new");

    CHECK(d && !d->price);
    CHECK_EQ(d->lacks, 0);
    CHECK_EQ(d->context_tokens, 0);
    CHECK_EQ(d->price_as_of.n + d->price_source.n, 0);
}

TEST(deployments_have_the_price_that_is_written_and_nothing_of_the_books)
{
    LOADED(l, OPENAI MODEL "deployments:\n  o/gpt-5.4: {price: {input: 2.50, cached_input: 0.25, output: 15}}\n");
    const struct deployment *d = deployment(&l, "o/gpt-5.4");

    CHECK_STR(buf_str(&l.report), "");
    CHECK_EQ(cost(d, 1000000, 0), 250 * CENTS);
    CHECK_EQ(cost(d, 300000, 0), 75 * CENTS); /* the book has a step at 272,000 */
    CHECK_EQ(d->price->permille[PRICE_BATCH], 0);
    CHECK_EQ(d->price_as_of.n + d->price_source.n, 0);
    CHECK_GT(d->context_tokens, 0);
}

TEST(deployments_price_takes_every_field)
{
    LOADED(l, OPENAI MODEL "deployments:\n  o/gpt-5.4:\n    price:\n      {input: 1, output: 2, cached_input: 0.1, "
                           "cache_write: 1.25, cache_write_1h: 2.5, reasoning: 3, audio_input: 4, audio_output: 5, "
                           "request: 0.01, batch: 50%, batch_cached: 1, flex: 0.6, flex_cached: 0.7, priority: 1.75, "
                           "priority_cached: 2, above: [{tokens: 1000, input: 10, output: 20}, {tokens: 2000, "
                           "cached_input: 7}]}\n");
    const struct price *p = deployment(&l, "o/gpt-5.4") ? deployment(&l, "o/gpt-5.4")->price : NULL;

    CHECK_STR(buf_str(&l.report), "");
    CHECK(p && p->step_count == 3);
    const struct price_rates *r = &p->steps[0].rates, *second = &p->steps[1].rates, *third = &p->steps[2].rates;
    CHECK_EQ(r->input, 100 * CENTS);
    CHECK_EQ(r->output, 200 * CENTS);
    CHECK_EQ(r->cached_input, 10 * CENTS);
    CHECK_EQ(r->cache_write, 125 * CENTS);
    CHECK_EQ(r->cache_write_1h, 250 * CENTS);
    CHECK_EQ(r->reasoning, 300 * CENTS);
    CHECK_EQ(r->audio_input, 400 * CENTS);
    CHECK_EQ(r->audio_output, 500 * CENTS);
    CHECK_EQ(r->request, CENTS);
    CHECK_EQ(p->permille[PRICE_BATCH], 500);
    CHECK_EQ(p->cached_permille[PRICE_BATCH], 1000);
    CHECK_EQ(p->permille[PRICE_FLEX], 600);
    CHECK_EQ(p->cached_permille[PRICE_FLEX], 700);
    CHECK_EQ(p->permille[PRICE_PRIORITY], 1750);
    CHECK_EQ(p->cached_permille[PRICE_PRIORITY], 2000);
    CHECK_EQ(p->steps[1].above, 1000);
    CHECK_EQ(second->input, 1000 * CENTS);
    CHECK_EQ(second->cached_input, 10 * CENTS);
    CHECK_EQ(p->steps[2].above, 2000);
    CHECK_EQ(third->output, 2000 * CENTS);
    CHECK_EQ(third->cached_input, 700 * CENTS);
}

/* What is not written is found by its absence: nothing is a price too. */
TEST(deployments_price_of_nothing_is_not_one_left_out)
{
    LOADED(l, OPENAI MODEL "deployments: {o/gpt-5.4: {price: {input: 1, cached_input: 0, output: 4}}}\n");
    const struct deployment *d = deployment(&l, "o/gpt-5.4");

    CHECK(d && d->price);
    CHECK_EQ(d->price->steps[0].rates.cached_input, 0);
    CHECK_EQ(d->price->steps[0].rates.reasoning, PRICE_UNSET);
}

TEST(deployments_amounts_are_exact)
{
    static const struct {
        const char *text;
        uint64_t nano;
    } rows[] = {{"0.0375", 37500000}, {"0.000000001", 1}, {"0.1", 100000000}, {"999999.999999999", 999999999999999},
                {"1e-3", 1000000},    {"3", 3000000000}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[256];
        (void)snprintf(text, sizeof text, OPENAI MODEL "deployments: {o/gpt-5.4: {price: {input: %s}}}\n",
                       rows[i].text);
        LOADED(l, text);
        const struct deployment *d = deployment(&l, "o/gpt-5.4");
        test_context("%s: %.*s", rows[i].text, STR_ARG(buf_str(&l.report)));
        CHECK(d && d->price);
        CHECK_EQ(d->price->steps[0].rates.input, rows[i].nano);
    }
}

TEST(deployments_may_be_free)
{
    LOADED(l, OPENAI MODEL "deployments: {o/gpt-5.4: {price: free}}\n");
    const struct deployment *d = deployment(&l, "o/gpt-5.4");

    CHECK_STR(buf_str(&l.report), "");
    CHECK_EQ(cost(d, 1000000, 1000000), 0);
    CHECK_EQ(d->price_source.n, 0);
}

TEST(deployments_price_can_be_the_books_times_a_factor)
{
    LOADED(l, OPENAI MODEL "deployments: {o/gpt-5.4: {price: {times: 1.1, flex: 0.25}}}\n");
    const struct deployment *d = deployment(&l, "o/gpt-5.4");
    const struct model_facts *book = model_book_find(vendor_find(STR("openai")), STR("gpt-5.4"));

    CHECK(d && d->price && book);
    for (size_t i = 0; i < book->price->step_count; i++) {
        CHECK_EQ(d->price->steps[i].rates.input * 10, book->price->steps[i].rates.input * 11);
        CHECK_EQ(d->price->steps[i].rates.output * 10, book->price->steps[i].rates.output * 11);
        CHECK_EQ(d->price->steps[i].rates.reasoning, PRICE_UNSET);
        CHECK_EQ(d->price->steps[i].above, book->price->steps[i].above);
    }
    CHECK_EQ(d->price->permille[PRICE_BATCH], 500);
    CHECK_EQ(d->price->permille[PRICE_FLEX], 250);
    CHECK_STR(d->price_as_of, "2026-10-21");
}

TEST(deployments_of_a_star_hold_for_what_has_no_say_of_its_own)
{
    LOADED(l, OPENAI "models: {m: {targets: [o/gpt-5.4, o/gpt-5.5, o/other, o/third]}}\n"
                     "deployments:\n  o/*: {price: {input: 7}, context: 1000, tags: any, abilities: {without: tools}}\n"
                     "  o/gpt-5.5: {price: {input: 9}}\n  o/other: {tags: own, abilities: {with: tools}}\n"
                     "  o/third: {context: 5, max_output: 3, price: free}\n");

    CHECK_STR(buf_str(&l.report), "");
    CHECK_EQ(cost(deployment(&l, "o/gpt-5.4"), 1000000, 0), 700 * CENTS);
    CHECK_EQ(cost(deployment(&l, "o/gpt-5.5"), 1000000, 0), 900 * CENTS);
    CHECK_EQ(cost(deployment(&l, "o/third"), 1000000, 0), 0);
    CHECK_EQ(deployment(&l, "o/gpt-5.5")->context_tokens, 1000);
    CHECK_EQ(deployment(&l, "o/third")->context_tokens, 5);
    CHECK_EQ(deployment(&l, "o/third")->max_output_tokens, 3);
    CHECK_EQ(deployment(&l, "o/third")->lacks & NEED_TOOLS, NEED_TOOLS);
    CHECK_EQ(deployment(&l, "o/other")->lacks & NEED_TOOLS, 0);
    CHECK_STR(deployment(&l, "o/other")->tags[0], "own");
    CHECK_EQ(deployment(&l, "o/other")->tag_count, 1);
    CHECK_STR(deployment(&l, "o/third")->tags[0], "any");
    CHECK(deployment(&l, "o/*") != NULL);
}

TEST(deployments_of_a_star_tell_what_share_of_the_book_is_billed)
{
    LOADED(l, "providers: {o: {api_key: k, serves: \"*\"}, q: {api_key: k, serves: \"*\"}}\n"
              "deployments: {o/*: {price: {times: 0.0015, flex: 0.25, flex_cached: 1}}, "
              "q/*: {price: {times: 2, input: 1}}}\n");

    CHECK_STR(buf_str(&l.report), "");
    CHECK(l.c && l.c->providers[0].any && l.c->providers[1].any);
    CHECK(!l.c->providers[0].any->price);
    const struct price_terms *terms = l.c->providers[0].any->book_terms;
    CHECK(terms);
    CHECK_EQ(terms->millionths, 1500);
    CHECK_EQ(terms->permille[PRICE_FLEX], 250);
    CHECK_EQ(terms->cached_permille[PRICE_FLEX], 1000);
    CHECK_EQ(terms->permille[PRICE_PRIORITY], 0);
    CHECK_EQ(cost(l.c->providers[1].any, 1000000, 0), 200 * CENTS);
    CHECK(!l.c->providers[1].any->book_terms);
}

TEST(deployments_abilities_correct_the_book)
{
    LOADED(l, OPENAI MODEL "deployments: {o/gpt-5.4: {abilities: {with: [audio], without: [vision, stream]}}}\n");
    const struct deployment *d = deployment(&l, "o/gpt-5.4");

    CHECK(d);
    CHECK_EQ(d->lacks & (NEED_AUDIO | NEED_VISION | NEED_STREAM | NEED_VIDEO | NEED_TOOLS),
             NEED_VISION | NEED_STREAM | NEED_VIDEO);
}

TEST(deployments_have_their_providers_tags_and_their_own)
{
    LOADED(l, "providers: {o: {api_key: k, tags: [eu, zero-retention, eu]}}\n" MODEL
              "deployments: {o/gpt-5.4: {tags: [cheap, eu]}}\n");
    const struct deployment *d = deployment(&l, "o/gpt-5.4");

    CHECK_STR(buf_str(&l.report), "");
    CHECK_EQ(l.c->providers[0].tag_count, 2);
    CHECK_EQ(d->tag_count, 3);
    CHECK_STR(d->tags[0], "eu");
    CHECK_STR(d->tags[1], "zero-retention");
    CHECK_STR(d->tags[2], "cheap");
}

TEST(deployments_that_nothing_else_names_exist)
{
    LOADED(l, OPENAI MODEL "deployments: {o/gpt-5.5: {context: 7}}\n");

    CHECK_STR(buf_str(&l.report), "");
    CHECK(deployment(&l, "o/gpt-5.5"));
    CHECK_EQ(l.c->deployment_count, 2);
    CHECK(!catalog_find_model(l.c, STR("o/gpt-5.5")));
}

TEST(deployments_of_a_provider_that_is_left_out_are_too)
{
    check_said("providers: {o: {api_key: k}, gone: {api_key: \"${NONE}\", optional: true}}\n" MODEL
               "deployments: {gone/x: {price: free}}\n",
               "");
}

TEST(deployments_of_which_something_is_wrong_are_refused)
{
    check_said(OPENAI MODEL "deployments: {oo/x: {price: free}}\n",
               "-:3:21: error: unknown provider \"oo\", did you mean \"o\"?\n");
    check_said(OPENAI MODEL "deployments: {gpt-5.4: {price: free}}\n",
               "-:3:24: error: \"gpt-5.4\" must be written \"provider/model\"\n");
    check_said(OPENAI MODEL "deployments: {o/gpt*: {price: free}}\n",
               "-:3:23: error: \"*\" can only stand for all models of a provider: \"o/*\"\n");
    check_said(
        OPENAI MODEL "deployments: {o/gpt-5.4: {price: {output: 1}}}\n",
        "-:3:34: error: \"price\" needs \"input\" or \"request\", or \"times\" alone for the book's price, or is "
        "\"free\"\n");
    check_said(
        OPENAI MODEL "deployments: {o/gpt-5.4: {price: {times: 2, output: 1}}}\n",
        "-:3:34: error: \"price\" needs \"input\" or \"request\", or \"times\" alone for the book's price, or is "
        "\"free\"\n");
    check_said(OPENAI MODEL "deployments: {o/gpt-5.4: {price: {input: -1}}}\n",
               "-:3:42: error: \"input\" must be at least 0\n");
    check_said(OPENAI MODEL "deployments: {o/gpt-5.4: {price: {input: 1, inptu: 2}}}\n",
               "-:3:45: error: unknown field \"inptu\" in \"price\", did you mean \"input\"?\n");
    check_said(OPENAI MODEL "deployments: {o/gpt-5.4: {price: {input: 1, above: [{tokens: 5}, {tokens: 5}]}}}\n",
               "-:3:66: error: steps under \"above\" must be in ascending order of \"tokens\"\n");
    check_said(OPENAI MODEL "deployments: {o/gpt-5.4: {abilities: {with: [tools, json], without: json}}}\n",
               "-:3:26: error: \"json\" is under \"with\" and under \"without\"\n");
    check_said(
        OPENAI MODEL "deployments: {o/gpt-5.4: {abilities: {without: tool}}}\n",
        "-:3:48: error: an entry of \"without\" must be one of stream, tools, vision, audio, video, files, json, "
        "reasoning, audio_output, image_output, not \"tool\", did you mean \"tools\"?\n");
}

TEST(deployments_of_which_something_is_odd_are_warned_of)
{
    check_said("providers: {o: {dialect: custom, base_url: \"http://h/v1\"}}\nmodels: {m: {targets: o/llama-large}}\n"
               "deployments: {o/llama-lagre: {price: free}}\n",
               "-:3:30: warning: nothing else names \"o/llama-lagre\", did you mean \"llama-large\"?\n");
    check_said(OPENAI "models: {m: {targets: o/new}}\ndeployments: {o/new: {price: {times: 2}}}\n",
               "-:3:22: warning: the price of \"o/new\" is not in the book: \"times\" has nothing to multiply\n");
    check_said(OPENAI "models: {m: {targets: o/gpt-4.1}}\ndeployments: {o/gpt-4o: {price: free}}\n", "");
}
