/* units_test.c - durations and sizes: what is read, what is refused and why, and that printing and reading agree. */
#include "base/units.h"

#include "base/prng.h"
#include "unit/test.h"

static ns_t duration(const char *text)
{
    ns_t v = -1;
    return units_parse_duration(str_from_c(text), &v) == OK ? v : -1;
}

static int64_t size(const char *text)
{
    uint64_t v = 0;
    return units_parse_size(str_from_c(text), &v) == OK ? (int64_t)v : -1;
}

TEST(units_duration_reads_every_unit_and_sums)
{
    CHECK_EQ(duration("10s"), 10 * NS_SEC);
    CHECK_EQ(duration("250ms"), 250 * NS_MS);
    CHECK_EQ(duration("3us"), 3 * NS_US);
    CHECK_EQ(duration("7ns"), 7);
    CHECK_EQ(duration("2m"), 120 * NS_SEC);
    CHECK_EQ(duration("1h"), 3600 * NS_SEC);
    CHECK_EQ(duration("2d"), 2 * 86400 * NS_SEC);
    CHECK_EQ(duration("1h30m5s"), 5405 * NS_SEC);
    CHECK_EQ(duration("1.5s"), 1500 * NS_MS);
    CHECK_EQ(duration("0.25h"), 900 * NS_SEC);
    CHECK_EQ(duration("1m0.5s"), 60500 * NS_MS);
    CHECK_EQ(duration("0"), 0);
    CHECK_EQ(duration("0s"), 0);
    CHECK_EQ(duration("none"), NS_NEVER);
}

TEST(units_duration_refuses_what_is_ambiguous_or_wrong)
{
    static const char *const bad[] = {"",
                                      "10",
                                      "s",
                                      "-1s",
                                      "1 s",
                                      "10S",
                                      "1s1m",
                                      "1s1s",
                                      "1.5m3s",
                                      "1..5s",
                                      ".5s",
                                      "1.s",
                                      "1e3s",
                                      "10sec",
                                      "0.0000000001s",
                                      "1.5ns",
                                      "292000000000000d",
                                      "never",
                                      "s10"};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        test_context("\"%s\"", bad[i]);
        CHECK_EQ(duration(bad[i]), -1);
    }
}

TEST(units_duration_says_what_to_write_and_never_quotes_the_text)
{
    ns_t v;

    CHECK_ERR(units_parse_duration(STR("30"), &v), E_PARSE);
    CHECK(strstr(err_detail(E_PARSE), "no unit") != NULL);
    CHECK_ERR(units_parse_duration(STR("sk-secret"), &v), E_PARSE);
    CHECK(strstr(err_detail(E_PARSE), "sk-") == NULL);
    CHECK(strstr(err_detail(E_PARSE), "250ms") != NULL);
}

TEST(units_duration_limit_is_that_of_the_type)
{
    CHECK_EQ(duration("9223372036854775806ns"), NS_NEVER - 1);
    CHECK_EQ(duration("9223372036854775807ns"), -1);
    CHECK_EQ(duration("18446744073709551616ns"), -1);
    CHECK_EQ(duration("9223372036s854775806ns"), NS_NEVER - 1);
    CHECK_EQ(duration("9223372036s854775807ns"), -1);
}

TEST(units_size_reads_binary_and_decimal_units)
{
    CHECK_EQ(size("4096"), 4096);
    CHECK_EQ(size("0"), 0);
    CHECK_EQ(size("10B"), 10);
    CHECK_EQ(size("10kB"), 10000);
    CHECK_EQ(size("10KiB"), 10240);
    CHECK_EQ(size("64MiB"), (int64_t)64 << 20);
    CHECK_EQ(size("64mib"), (int64_t)64 << 20);
    CHECK_EQ(size("1MB"), 1000000);
    CHECK_EQ(size("2 GiB"), (int64_t)2 << 30);
    CHECK_EQ(size("3GB"), 3000000000);
    CHECK_EQ(size("1TiB"), (int64_t)1 << 40);
    CHECK_EQ(size("1TB"), 1000000000000);
    CHECK_EQ(size("1.5MiB"), 1572864);
    CHECK_EQ(size("0.50KiB"), 512);
}

TEST(units_size_refuses_what_is_ambiguous_or_wrong)
{
    static const char *const bad[] = {
        "",       "MiB",   "64M",    "64K",  "-1",    "1.5",         "1.5B",
        "0.1KiB", "1KiBx", "1 2KiB", "0x10", "1_000", "17000000TiB", "18446744073709551616"};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint64_t v;
        test_context("\"%s\"", bad[i]);
        CHECK_ERR(units_parse_size(str_from_c(bad[i]), &v), E_PARSE);
    }
}

TEST(units_print_is_short)
{
    char text[UNITS_TEXT_MAX];

    CHECK_STR(str_of(text, units_print_duration(90 * NS_SEC, text)), "1m30s");
    CHECK_STR(str_of(text, units_print_duration(250 * NS_MS, text)), "250ms");
    CHECK_STR(str_of(text, units_print_duration(0, text)), "0s");
    CHECK_STR(str_of(text, units_print_duration(NS_NEVER, text)), "none");
    CHECK_STR(str_of(text, units_print_size((uint64_t)64 << 20, text)), "64MiB");
    CHECK_STR(str_of(text, units_print_size(1536 * 1024, text)), "1536KiB");
    CHECK_STR(str_of(text, units_print_size(1000, text)), "1000B");
    CHECK_STR(str_of(text, units_print_size(0, text)), "0B");
}

TEST(units_print_and_parse_are_inverse)
{
    struct prng p;
    char text[UNITS_TEXT_MAX];

    prng_seed(&p, test_seed());
    for (uint64_t i = 0; i < test_rounds(20000); i++) {
        unsigned shift = (unsigned)prng_below(&p, 64);
        ns_t span = (ns_t)((prng_next(&p) >> 1) >> shift), back = -1;
        uint64_t bytes = prng_next(&p) >> shift << prng_below(&p, 12), same = 0;
        CHECK_OK(units_parse_duration(str_of(text, units_print_duration(span, text)), &back));
        CHECK_EQ(back, span);
        CHECK_OK(units_parse_size(str_of(text, units_print_size(bytes, text)), &same));
        CHECK_EQ(same, bytes);
    }
}
