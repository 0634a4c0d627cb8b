/* model_book_test.c - the book of models: look-up, its order, what the shipped figures cost, and that the YAML says the same. */
#include "fleet/model_book.h"

#include "base/arena.h"
#include "base/buf.h"
#include "codec/yaml.h"
#include "unit/test.h"

#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const struct model_facts *find(const char *vendor, const char *model)
{
    const struct vendor *v = vendor_find(str_from_c(vendor));

    return v ? model_book_find(v, str_from_c(model)) : NULL;
}

TEST(model_book_rows_are_in_order_and_of_vendors_that_exist)
{
    for (size_t i = 0; i < model_book_row_count; i++) {
        const struct model_row *row = &model_book_rows[i];
        test_context("%.*s %.*s", STR_ARG(row->vendor), STR_ARG(row->id));
        CHECK(vendor_find(row->vendor));
        CHECK(row->facts->price && row->facts->as_of.n == 10 && row->facts->source.n);
        if (i == 0)
            continue;
        int order = str_cmp(row[-1].vendor, row->vendor);
        CHECK(order < 0 || (order == 0 && str_cmp(row[-1].id, row->id) < 0));
    }
}

TEST(model_book_finds_each_of_its_ids)
{
    for (size_t i = 0; i < model_book_row_count; i++) {
        const struct model_row *row = &model_book_rows[i];
        test_context("%.*s %.*s", STR_ARG(row->vendor), STR_ARG(row->id));
        CHECK(model_book_find(vendor_find(row->vendor), row->id) == row->facts);
    }
}

TEST(model_book_takes_a_version_for_its_model)
{
    const struct model_facts *gpt = find("openai", "gpt-5.4");

    CHECK(gpt);
    CHECK(find("openai", "gpt-5.4-2026-03-05") == gpt);
    CHECK(find("anthropic", "claude-haiku-4-5-20251001") == find("anthropic", "claude-haiku-4-5"));
    CHECK(find("anthropic-vertex", "claude-haiku-4-5@20251001") == find("anthropic-vertex", "claude-haiku-4-5"));
    CHECK(find("anthropic-vertex", "claude-sonnet-5@default") == find("anthropic-vertex", "claude-sonnet-5"));
    CHECK(find("gemini", "gemini-2.5-flash-001") == find("gemini", "gemini-2.5-flash"));
}

TEST(model_book_does_not_guess)
{
    CHECK(!find("openai", "gpt-5.4-turbo"));
    CHECK(!find("openai", "gpt-5.4-2026-3-5"));
    CHECK(!find("openai", "gpt-5.4-20260"));
    CHECK(!find("openai", "gpt-5."));
    CHECK(!find("openai", ""));
    CHECK(!find("openai", "a"));
    CHECK(!find("openai", "zzz"));
    CHECK(!find("anthropic", "claude-opus-5-6")); /* not "claude-opus-5" in a version */
    CHECK(!find("custom", "gpt-5.4"));
    CHECK(!find("openrouter", "openai/gpt-5.4"));
}

TEST(model_book_prefers_the_longest_id)
{
    const struct model_facts *mini = find("openai", "gpt-5.4-mini"), *nano = find("openai", "gpt-5.4-nano");

    CHECK(mini && nano && mini != nano && mini != find("openai", "gpt-5.4"));
    CHECK(find("openai", "gpt-5.4-mini-2026-03-17") == mini);
}

TEST(model_book_reads_resource_names)
{
    const struct model_facts *flash = find("vertex", "gemini-2.5-flash");

    CHECK(flash);
    CHECK(find("vertex", "publishers/google/models/gemini-2.5-flash") == flash);
    CHECK(find("gemini", "models/gemini-2.5-flash") == find("gemini", "gemini-2.5-flash"));
    CHECK(find("bedrock", "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-6") ==
          find("bedrock", "us.anthropic.claude-sonnet-4-6"));
    CHECK(!find("bedrock", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"));
    CHECK(!find("vertex", "publishers/google/models/"));
}

TEST(model_book_knows_that_servers_of_ones_own_are_free)
{
    const struct model_facts *own = find("vllm", "meta-llama/Llama-3.3-70B-Instruct");

    CHECK(own && own->price->step_count == 0);
    CHECK(own == find("ollama", "qwen3:8b"));
    CHECK(own == find("tei", ""));
}

TEST(model_book_gives_the_rows_of_a_vendor)
{
    size_t n, all = 0;

    for (size_t i = 0; i < vendor_count; i++) {
        const struct model_row *row = model_book_vendor(str_from_c(vendor_table[i].name), &n);
        CHECK_EQ(row != NULL, n > 0);
        for (size_t k = 0; k < n; k++)
            CHECK(str_eq(row[k].vendor, str_from_c(vendor_table[i].name)));
        all += n;
    }
    CHECK_EQ(all, model_book_row_count);
}

/* ---- the figures ---- */

static uint64_t cost(const char *vendor, const char *model, struct price_tokens t, enum price_service service)
{
    const struct model_facts *facts = find(vendor, model);
    return facts ? price_of(facts->price, &t, service) : UINT64_MAX;
}

#define MICRO ((uint64_t)1000) /* millionths of a dollar, in nano-dollars */

/* Examples that vendors and their users work out, and some by hand from the pages that the book names. */
TEST(model_book_figures_make_the_sums_that_are_billed)
{
    /* Anthropic's example of a session: 50,000 tokens in and 15,000 out are $0.25 and $0.375; with 40,000 of them read from
     * the cache $0.05, $0.02 and $0.375. */
    struct price_tokens session = {.input = 50000, .output = 15000};
    CHECK_EQ(cost("anthropic", "claude-opus-4-6", session, PRICE_STANDARD), 625000 * MICRO);
    session.cached_input = 40000;
    CHECK_EQ(cost("anthropic", "claude-opus-4-6", session, PRICE_STANDARD), 445000 * MICRO);
    /* 2,000 written for five minutes and 1,000 for an hour, 500 neither: at $3.75, $6 and $3, half of it in a batch. */
    struct price_tokens written = {.input = 3500, .cache_write = 3000, .cache_write_1h = 1000};
    CHECK_EQ(cost("anthropic", "claude-sonnet-4-5", written, PRICE_STANDARD), (7500 + 6000 + 1500) * MICRO);
    CHECK_EQ(cost("anthropic", "claude-sonnet-4-5", written, PRICE_BATCH), (7500 + 6000 + 1500) / 2 * MICRO);
    /* The usage that xAI's page on caching shows: 27 of 125 tokens new at $1.25, 98 read at $0.20, 48 out at $2.50. */
    struct price_tokens turn = {.input = 125, .cached_input = 98, .output = 48};
    CHECK_EQ(cost("xai", "grok-4.3", turn, PRICE_STANDARD), 27 * 1250 + 98 * 200 + 48 * 2500);
    /* Google bills all of a long prompt by the upper rate: 200,001 tokens at $2.50 instead of $1.25. */
    struct price_tokens prompt = {.input = 200000, .output = 1000};
    CHECK_EQ(cost("gemini", "gemini-2.5-pro", prompt, PRICE_STANDARD), (250000 + 10000) * MICRO);
    prompt.input++;
    CHECK_EQ(cost("gemini", "gemini-2.5-pro", prompt, PRICE_STANDARD), (500000 + 15000) * MICRO + 2500);
    /* Its batches are half, but for what the cache gave. */
    struct price_tokens batch = {.input = 100000, .cached_input = 60000, .output = 2000};
    CHECK_EQ(cost("gemini", "gemini-2.5-flash", batch, PRICE_BATCH), (40000 * 300 + 2000 * 2500) / 2 + 60000 * 30);
    /* OpenAI: priority doubles, flex halves; beyond 272,000 tokens input twice and output half as much again. */
    struct price_tokens big = {.input = 300000, .cached_input = 100000, .output = 10000};
    uint64_t standard = (200000 * 4000 + 100000 * (uint64_t)400 + 10000 * 15000);
    CHECK_EQ(cost("openai", "gpt-6-sol", big, PRICE_STANDARD), standard);
    CHECK_EQ(cost("openai", "gpt-6-sol", big, PRICE_PRIORITY), standard * 2);
    CHECK_EQ(cost("openai", "gpt-6-sol", big, PRICE_FLEX), standard / 2);
    /* Sound costs more than text, in both directions. */
    struct price_tokens speech = {.input = 1000, .audio_input = 800, .output = 500, .audio_output = 400};
    CHECK_EQ(cost("openai", "gpt-audio", speech, PRICE_STANDARD), 200 * 2500 + 800 * 32000 + 100 * 10000 + 400 * 64000);
    /* A search has a price of its own, a reranking nothing else. */
    CHECK_EQ(cost("perplexity", "sonar", (struct price_tokens){.input = 100, .output = 400}, PRICE_STANDARD),
             5000 * MICRO + 500 * MICRO);
    CHECK_EQ(cost("cohere", "rerank-v3.5", (struct price_tokens){.input = 99999}, PRICE_STANDARD), 2000 * MICRO);
    /* Thoughts at their own rate. */
    struct price_tokens deep = {.input = 1000, .output = 3000, .reasoning = 2000};
    CHECK_EQ(cost("perplexity", "sonar-deep-research", deep, PRICE_STANDARD), (2000 + 8000 + 6000) * MICRO);
    CHECK_EQ(cost("openai", "text-embedding-3-small", (struct price_tokens){.input = 50}, PRICE_STANDARD), MICRO);
}

static bool is_at_most(uint64_t rate, uint64_t most)
{
    return rate == PRICE_UNSET || rate <= most;
}

/* Slips of a digit or a column show here: what is read from a cache is never dearer than what is new, … */
TEST(model_book_figures_are_plausible)
{
    for (size_t i = 0; i < model_book_row_count; i++) {
        const struct model_facts *f = model_book_rows[i].facts;
        test_context("%.*s %.*s", STR_ARG(model_book_rows[i].vendor), STR_ARG(model_book_rows[i].id));
        for (size_t k = 0; k < f->price->step_count; k++) {
            const struct price_rates *r = &f->price->steps[k].rates;
            CHECK(is_at_most(r->cached_input, r->input));
            CHECK(r->cache_write == PRICE_UNSET || r->cache_write >= r->input);
            CHECK(is_at_most(r->cache_write, r->cache_write_1h));
            CHECK(r->output == 0 || r->output >= r->input);
            CHECK(r->input <= 200 * (uint64_t)1000000000 && r->output <= 1000 * (uint64_t)1000000000);
            const struct price_step *step = &f->price->steps[k];
            CHECK(k == 0 || (r->input >= step[-1].rates.input && step->above > step[-1].above));
        }
        for (unsigned k = 0; k < PRICE_SERVICES; k++)
            CHECK(f->price->permille[k] == 0 || (f->price->permille[k] >= 400 && f->price->permille[k] <= 2500));
        CHECK(f->max_output_tokens <= f->context_tokens || f->context_tokens == 0);
        CHECK(f->lacks < 1U << NEED_COUNT);
    }
}

/* ---- the files ---- */

static const struct model_row *row_of(struct str vendor, struct str id)
{
    size_t n;
    const struct model_row *row = model_book_vendor(vendor, &n);
    bool is_prefix = str_ends(id, STR("*"));

    for (size_t i = 0; i < n; i++)
        if (str_eq(row[i].id, str_slice(id, 0, id.n - is_prefix)) && row[i].is_prefix == is_prefix)
            return &row[i];
    return NULL;
}

/* The amount, read in another way than the generator does it; PRICE_UNSET: not there. */
static uint64_t amount(const struct yaml_node *n, const char *name)
{
    const struct yaml_node *value = yaml_get(n, str_from_c(name));
    return value ? (uint64_t)llround(strtod(value->text.p, NULL) * 1e9) : PRICE_UNSET;
}

static void check_rates(const struct yaml_node *n, const struct price_rates *r)
{
    CHECK_EQ(amount(n, "input") == PRICE_UNSET ? 0 : amount(n, "input"), r->input);
    CHECK_EQ(amount(n, "output") == PRICE_UNSET ? 0 : amount(n, "output"), r->output);
    CHECK_EQ(amount(n, "cached_input"), r->cached_input);
    CHECK_EQ(amount(n, "cache_write"), r->cache_write);
    CHECK_EQ(amount(n, "cache_write_1h"), r->cache_write_1h);
}

static void check_entry(const struct yaml_node *n, const struct model_row *row)
{
    const struct price *p = row->facts->price;
    const struct yaml_node *above = yaml_get(n, STR("above")), *batch = yaml_get(n, STR("batch")),
                           *without = yaml_get(n, STR("without"));
    uint32_t lacks = 0;

    CHECK_STR(row->facts->as_of, yaml_get(n, STR("as_of"))->text.p);
    if (yaml_get(n, STR("price"))) {
        CHECK_EQ(p->step_count, 0);
        return;
    }
    CHECK_EQ(p->step_count, 1 + (above ? above->count : 0));
    check_rates(n, &p->steps[0].rates);
    for (size_t i = 1; i < p->step_count && !test_failed(); i++)
        check_rates(above->items[i - 1], &p->steps[i].rates);
    CHECK_EQ(p->permille[PRICE_BATCH], batch ? (uint32_t)lround(strtod(batch->text.p, NULL) * 1000) : 0);
    for (size_t i = 0; without && i < without->count; i++)
        lacks |= need_find(without->items[i]->text);
    CHECK_EQ(row->facts->lacks, lacks);
}

static void check_model(const struct yaml_node *vendors, const struct yaml_node *n, size_t *count)
{
    const struct yaml_node *also = yaml_get(n, STR("also"));

    for (size_t v = 0; v < vendors->count; v++)
        for (size_t i = 0; i < 1 + (also ? also->count : 0) && !test_failed(); i++) {
            struct str id = i ? also->items[i - 1]->text : yaml_get(n, STR("id"))->text;
            const struct model_row *row = row_of(vendors->items[v]->text, id);
            test_context("%.*s %.*s", STR_ARG(vendors->items[v]->text), STR_ARG(id));
            CHECK(row);
            check_entry(n, row);
            ++*count;
        }
}

static void check_book(const char *path, size_t *count)
{
    struct arena arena CLEANUP(arena_release);
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct yaml_node *root;
    char piece[4096];
    size_t n;

    arena_init(&arena, SIZE_MAX / 2);
    struct problems problems = {.arena = &arena};
    FILE *f = fopen(path, "r");
    CHECK(f);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        (void)buf_add(&text, str_of(piece, n));
    (void)fclose(f);
    CHECK_OK(yaml_parse(buf_str(&text), str_from_c(path), NULL, &arena, &problems, &root));
    const struct yaml_node *models = yaml_get(root, STR("models")), *vendors = yaml_get(root, STR("vendors"));
    CHECK(models && vendors && models->count);
    for (size_t i = 0; i < models->count && !test_failed(); i++)
        check_model(vendors, models->items[i], count);
}

/* The generator reads the books by itself; that they are YAML, and say to a YAML parser what the table says, is shown here. */
TEST(model_book_files_are_yaml_and_say_what_the_table_says)
{
    char pattern[4096];
    glob_t found;
    size_t count = 0;

    (void)snprintf(pattern, sizeof pattern, "%s/src/fleet/prices/*.yaml", test_root());
    CHECK_EQ(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc && !test_failed(); i++)
        check_book(found.gl_pathv[i], &count);
    globfree(&found);
    CHECK_EQ(count, model_book_row_count);
}
