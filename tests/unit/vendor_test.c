/* vendor_test.c - the table of vendors: found by name, in order, and without contradictions. */
#include "llm/vendor.h"

#include "llm/dialect.h"
#include "test.h"

TEST(vendors_are_sorted_unique_and_found_by_name)
{
    for (size_t i = 0; i < vendor_count; i++) {
        const struct vendor *v = &vendor_table[i];
        test_context("%s", v->name);
        CHECK(i == 0 || strcmp(vendor_table[i - 1].name, v->name) < 0);
        CHECK(vendor_find(str_from_c(v->name)) == v);
    }
    CHECK(!vendor_find(STR("open")));
    CHECK(!vendor_find(STR("")));
}

static bool is_header_name(const char *name)
{
    for (; *name; name++)
        if (*name != '-' && (ascii_lower(*name) < 'a' || ascii_lower(*name) > 'z'))
            return false;
    return true;
}

TEST(vendors_have_what_a_request_to_them_needs)
{
    for (size_t i = 0; i < vendor_count; i++) {
        const struct vendor *v = &vendor_table[i];
        test_context("%s", v->name);
        CHECK(v->title && v->title[0] && v->dialect && v->dialect[0]);
        CHECK(v->key_header && v->key_header[0] && is_header_name(v->key_header));
        CHECK(v->key_prefix != NULL);
        if (v->base_url) {
            CHECK(str_starts(str_from_c(v->base_url), STR("http")));
            CHECK(!str_ends(str_from_c(v->base_url), STR("/")));
        }
        CHECK(v->auth != AUTH_HEADER || v->key_env);
        CHECK(v->temperature_max == 0 || (v->temperature_max >= 1 && v->temperature_max <= 2));
    }
}

TEST(vendors_of_openai_s_dialect_alone_have_its_quirks)
{
    enum {
        OF_OPENAI = QUIRK_STRICT | QUIRK_MAX_TOKENS | QUIRK_NO_STREAM_OPTIONS | QUIRK_NO_DEVELOPER | QUIRK_FULL |
                    QUIRK_OPENROUTER | QUIRK_NO_SCHEMA | QUIRK_PLAIN_TEXT | QUIRK_RANDOM_SEED | QUIRK_CHOICE_ANY |
                    QUIRK_NO_N | QUIRK_PREFIX | QUIRK_DEPLOYMENT_PATH | QUIRK_MISTRAL_PARTS | QUIRK_REASONING_FIELD |
                    QUIRK_CONTINUE
    };

    for (size_t i = 0; i < vendor_count; i++) {
        const struct vendor *v = &vendor_table[i];
        test_context("%s", v->name);
        if (strcmp(v->dialect, "openai") != 0)
            CHECK_EQ(v->quirks & OF_OPENAI, 0);
        if (strcmp(v->dialect, "anthropic") != 0)
            CHECK_EQ(v->quirks & (QUIRK_ANTHROPIC_BEDROCK | QUIRK_ANTHROPIC_VERTEX), 0);
        if (strcmp(v->dialect, "gemini") != 0)
            CHECK_EQ(v->quirks & QUIRK_VERTEX, 0);
        CHECK_EQ((v->quirks & QUIRK_STRICT) != 0, v->accepts != NULL);
        CHECK_EQ((v->quirks & QUIRK_REASONING_FIELD) != 0, v->reasoning_name != NULL);
    }
}

TEST(vendors_do_not_contradict_themselves)
{
    for (size_t i = 0; i < vendor_count; i++) {
        const struct vendor *v = &vendor_table[i];
        test_context("%s", v->name);
        for (const char *const *f = v->refuses; f && *f; f++) {
            CHECK(!vendor_accepts(v, str_from_c(*f)));
            CHECK(!vendor_adds(v, str_from_c(*f)));
        }
        for (const char *const *f = v->accepts; f && *f; f++)
            CHECK(vendor_accepts(v, str_from_c(*f)));
        for (const char *const *f = v->adds; f && *f; f++)
            CHECK(vendor_adds(v, str_from_c(*f)));
        for (const char *const *also = v->also; also && *also; also++)
            CHECK(strcmp(*also, v->dialect) != 0);
        CHECK_EQ(vendor_accepts(v, STR("no_such_field")), v->accepts == NULL);
        CHECK(!vendor_adds(v, STR("no_such_field")));
    }
}

TEST(vendors_speak_their_dialects_unless_a_quirk_forces_translation)
{
    const struct dialect *openai = dialect_find(STR("openai")), *responses = dialect_find(STR("responses"));
    const struct dialect *completions = dialect_find(STR("completions"));

    CHECK(vendor_speaks(vendor_find(STR("openai")), openai));
    CHECK(vendor_speaks(vendor_find(STR("openai")), responses));
    CHECK(vendor_speaks(vendor_find(STR("vllm")), completions));
    CHECK(!vendor_speaks(vendor_find(STR("vllm")), responses));
    CHECK(!vendor_speaks(vendor_find(STR("mistral")), openai));
    CHECK(!vendor_speaks(vendor_find(STR("deepseek")), openai));
    CHECK(!vendor_speaks(vendor_find(STR("anthropic")), openai));
}

TEST(vendors_probes_are_paths_of_their_servers)
{
    unsigned servers = 0;

    for (size_t i = 0; i < vendor_count; i++) {
        const struct vendor *v = &vendor_table[i];
        const struct vendor_probe *p = v->probe;
        test_context("%s", v->name);
        if (!p)
            continue;
        CHECK(p->path[0] == '/');
        CHECK_EQ(p->header != NULL, p->value != NULL);
        CHECK(!p->metrics || p->metrics[0] == '/');
        if (p->of_server) /* only who runs its models itself can speak for them */
            CHECK_EQ(v->auth, AUTH_NONE_NEEDED);
        servers += p->of_server;
    }
    test_context("%s", "");
    CHECK_EQ(servers, 5);
    CHECK(!vendor_find(STR("bedrock"))->probe && !vendor_find(STR("vertex"))->probe);
}
