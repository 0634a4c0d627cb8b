/* tool_id_test.c - ids of calls in every dialect's form: unchanged where they fit, never two the same, the same every time. */
#include "llm/tool_id.h"

#include "base/map.h"
#include "base/prng.h"
#include "test.h"

static bool has_form(enum tool_id_form form, struct str id)
{
    const char *more = form == TOOL_ID_BEDROCK ? "_-.:" : form == TOOL_ID_ANTHROPIC ? "_-" : "";

    if (form == TOOL_ID_MISTRAL ? id.n != 9 : id.n < 1 || id.n > 64)
        return false;
    for (size_t i = 0; i < id.n; i++) {
        char c = id.p[i];
        bool alnum = (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');
        if (form == TOOL_ID_ANY ? c <= ' ' || c >= 0x7f : !alnum && !strchr(more, c))
            return false;
    }
    return true;
}

TEST(tool_ids_that_have_the_form_stay)
{
    struct arena a CLEANUP(arena_release);

    arena_init(&a, 1 << 20);
    CHECK_STR(tool_id_fit(TOOL_ID_ANY, STR("call|1/x"), &a), "call|1/x");
    CHECK_STR(tool_id_fit(TOOL_ID_ANTHROPIC, STR("toolu_01-A"), &a), "toolu_01-A");
    CHECK_STR(tool_id_fit(TOOL_ID_BEDROCK, STR("a.b:c_d-e"), &a), "a.b:c_d-e");
    CHECK_STR(tool_id_fit(TOOL_ID_MISTRAL, STR("aB3456789"), &a), "aB3456789");
    CHECK_EQ(tool_id_fit(TOOL_ID_MISTRAL, STR(""), &a).n, 0);
}

TEST(tool_ids_of_another_form_are_coded_in_a_way_that_stays_the_same)
{
    struct arena a CLEANUP(arena_release);

    arena_init(&a, 1 << 20);
    CHECK_STR(tool_id_fit(TOOL_ID_ANTHROPIC, STR("call|1"), &a), "cdx_Y2FsbHwx");
    CHECK_STR(tool_id_fit(TOOL_ID_BEDROCK, STR("call 1"), &a), "cdx_Y2FsbCAx");
    CHECK(str_eq(tool_id_fit(TOOL_ID_MISTRAL, STR("call_1"), &a), tool_id_fit(TOOL_ID_MISTRAL, STR("call_1"), &a)));
    CHECK(!str_eq(tool_id_fit(TOOL_ID_MISTRAL, STR("call_1"), &a), tool_id_fit(TOOL_ID_MISTRAL, STR("call_2"), &a)));
}

TEST(tool_ids_that_look_coded_are_coded_once_more_so_that_none_can_be_forged)
{
    struct arena a CLEANUP(arena_release);

    arena_init(&a, 1 << 20);
    struct str coded = tool_id_fit(TOOL_ID_ANTHROPIC, STR("call|1"), &a);
    struct str twice = tool_id_fit(TOOL_ID_ANTHROPIC, coded, &a);
    CHECK(!str_eq(coded, twice));
    CHECK(str_eq(tool_id_restore(twice, &a), coded));
    CHECK(!str_eq(tool_id_fit(TOOL_ID_ANTHROPIC, STR("cdh_x"), &a), STR("cdh_x")));
}

TEST(tool_ids_that_were_coded_can_be_restored_and_no_others)
{
    struct arena a CLEANUP(arena_release);

    arena_init(&a, 1 << 20);
    CHECK_STR(tool_id_restore(STR("cdx_Y2FsbHwx"), &a), "call|1");
    CHECK_STR(tool_id_restore(STR("call|1"), &a), "call|1");
    CHECK_STR(tool_id_restore(STR("cdx_%"), &a), "cdx_%");
}

TEST(tool_ids_of_any_text_get_the_form_and_never_meet)
{
    for (enum tool_id_form form = TOOL_ID_ANY; form <= TOOL_ID_MISTRAL; form++) {
        struct arena a CLEANUP(arena_release);
        struct map from CLEANUP(map_release) = {0};
        struct prng rng;
        arena_init(&a, 1 << 26);
        prng_seed(&rng, test_seed());
        for (uint64_t i = 0; i < test_rounds(20000); i++) {
            char text[80];
            size_t n = 1 + prng_below(&rng, sizeof text);
            for (size_t k = 0; k < n; k++)
                text[k] = "abXYZ019_-.:| /\xc3\xa9"[prng_below(&rng, 17)];
            struct str id = arena_str(&a, str_of(text, n)), coded = tool_id_fit(form, id, &a);
            test_context("form %d, id %.*s", form, STR_ARG(id));
            CHECK(has_form(form, coded));
            struct str *former = map_get(&from, coded), *ours = arena_new(&a, struct str);
            CHECK(!former || str_eq(*former, id));
            *ours = id;
            map_put(&from, coded, ours);
        }
    }
}

TEST(tool_ids_that_we_make_depend_on_their_place_and_name_alone)
{
    struct arena a CLEANUP(arena_release);

    arena_init(&a, 1 << 20);
    struct str id = tool_id_make(1, 2, STR("tide"), &a);
    CHECK(str_eq(tool_id_make(1, 2, STR("tide"), &a), id));
    CHECK(!str_eq(id, tool_id_make(2, 1, STR("tide"), &a)));
    CHECK(!str_eq(id, tool_id_make(1, 3, STR("tide"), &a)));
    CHECK(!str_eq(id, tool_id_make(1, 2, STR("tides"), &a)));
    CHECK(!str_eq(tool_id_make(1, 23, STR("4"), &a), tool_id_make(12, 3, STR("4"), &a)));
    for (enum tool_id_form form = TOOL_ID_ANY; form < TOOL_ID_MISTRAL; form++)
        CHECK(has_form(form, id));
}
