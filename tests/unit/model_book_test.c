/* model_book_test.c - the book of models: look-up, its order, what the shipped figures cost, and that the YAML says the same. */
#include "fleet/model_book.h"

#include "unit/test.h"

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
