/* rate_headers_test.c - rate limits are read from the headers that providers really send. */
#include "policy/rate_headers.h"

#include "base/prng.h"
#include "unit/test.h"

/* 2026-11-21T09:00:00Z, and what the other clock shows then. */
#define WALL (INT64_C(1795251600) * NS_SEC)
#define NOW (500 * NS_SEC)

static struct rate_reading reading;

static void header(const char *name, const char *value)
{
    rate_reading_header(&reading, str_from_c(name), str_from_c(value), NOW, WALL);
}

static const struct rate_window *window(enum rate_what what, ns_t span)
{
    static const struct rate_window none;

    for (unsigned i = 0; i < reading.count; i++)
        if (reading.windows[i].what == what && reading.windows[i].span == span)
            return &reading.windows[i];
    return &none;
}

static void check_window(enum rate_what what, ns_t span, uint64_t limit, uint64_t remaining, ns_t reset_in)
{
    const struct rate_window *w = window(what, span);

    CHECK(w->has_limit && w->has_remaining);
    CHECK_EQ(w->limit, limit);
    CHECK_EQ(w->remaining, remaining);
    CHECK_EQ(w->has_reset, reset_in >= 0);
    if (reset_in >= 0)
        CHECK_EQ(w->reset, NOW + reset_in);
}

TEST(rate_headers_of_openai)
{
    reading = (struct rate_reading){0};
    header("x-ratelimit-limit-requests", "5000");
    header("x-ratelimit-remaining-requests", "4999");
    header("x-ratelimit-reset-requests", "12ms");
    header("X-RateLimit-Limit-Tokens", "160000");
    header("X-RateLimit-Remaining-Tokens", "159976");
    header("X-RateLimit-Reset-Tokens", "6m0s");
    header("x-ratelimit-limit-tokens_usage_based", "1");
    check_window(RATE_REQUESTS, 0, 5000, 4999, 12 * NS_MS);
    check_window(RATE_TOKENS, 0, 160000, 159976, 360 * NS_SEC);
    CHECK_EQ(reading.count, 2);
}

TEST(rate_headers_of_groq_and_azure)
{
    reading = (struct rate_reading){0};
    header("x-ratelimit-limit-requests", "14400");
    header("x-ratelimit-remaining-requests", "14370");
    header("x-ratelimit-reset-requests", "2m59.56s");
    header("x-ratelimit-limit-tokens", "18000");
    header("x-ratelimit-remaining-tokens", "17997");
    header("x-ratelimit-reset-tokens", "7.66s");
    header("retry-after", "2");
    check_window(RATE_REQUESTS, 0, 14400, 14370, 179560 * NS_MS);
    check_window(RATE_TOKENS, 0, 18000, 17997, 7660 * NS_MS);
    CHECK(reading.has_retry);
    CHECK_EQ(reading.retry_at, NOW + 2 * NS_SEC);
    reading = (struct rate_reading){0};
    header("x-ratelimit-remaining-requests", "99");
    header("x-ratelimit-remaining-tokens", "-1"); /* not known */
    header("x-ratelimit-reset-requests", "10");
    CHECK_EQ(reading.count, 1);
    CHECK_EQ(window(RATE_REQUESTS, 0)->remaining, 99);
    CHECK_EQ(window(RATE_REQUESTS, 0)->reset, NOW + 10 * NS_SEC);
}

TEST(rate_headers_of_anthropic)
{
    reading = (struct rate_reading){0};
    header("anthropic-ratelimit-requests-limit", "4000");
    header("anthropic-ratelimit-requests-remaining", "3999");
    header("anthropic-ratelimit-requests-reset", "2026-11-21T09:00:30Z");
    header("anthropic-ratelimit-input-tokens-limit", "400000");
    header("anthropic-ratelimit-input-tokens-remaining", "0");
    header("anthropic-ratelimit-input-tokens-reset", "2026-11-21T10:01:00.5+01:00");
    header("anthropic-ratelimit-output-tokens-limit", "80000");
    header("anthropic-ratelimit-output-tokens-remaining", "79000");
    header("anthropic-ratelimit-output-tokens-reset", "2026-11-21T08:59:00Z"); /* past */
    header("anthropic-ratelimit-unified-status", "allowed");
    check_window(RATE_REQUESTS, 0, 4000, 3999, 30 * NS_SEC);
    check_window(RATE_INPUT_TOKENS, 0, 400000, 0, 60500 * NS_MS);
    check_window(RATE_OUTPUT_TOKENS, 0, 80000, 79000, 0);
    CHECK_EQ(reading.count, 3);
}

TEST(rate_headers_with_spans_of_mistral_and_cerebras)
{
    reading = (struct rate_reading){0};
    header("x-ratelimit-limit-tokens-minute", "50000");
    header("x-ratelimit-remaining-tokens-minute", "47196");
    header("x-ratelimit-limit-tokens-month", "4000000");
    header("x-ratelimit-remaining-tokens-month", "3950246");
    header("x-ratelimit-limit-req-minute", "60");
    header("x-ratelimit-remaining-req-minute", "59");
    header("x-ratelimit-tokens-query-cost", "2804");
    check_window(RATE_TOKENS, 60 * NS_SEC, 50000, 47196, -1);
    check_window(RATE_TOKENS, 30 * 86400 * NS_SEC, 4000000, 3950246, -1);
    check_window(RATE_REQUESTS, 60 * NS_SEC, 60, 59, -1);
    CHECK_EQ(reading.count, 3);
    reading = (struct rate_reading){0};
    header("x-ratelimit-limit-requests-day", "14400");
    header("x-ratelimit-remaining-requests-day", "14399");
    header("x-ratelimit-reset-requests-day", "33011.382867574692");
    header("x-ratelimit-limit-tokens-5-minute", "1");
    header("x-ratelimit-remaining-tokens-5-minute", "0");
    check_window(RATE_REQUESTS, 86400 * NS_SEC, 14400, 14399, 33011382867574);
    check_window(RATE_TOKENS, 300 * NS_SEC, 1, 0, -1);
}

TEST(rate_headers_of_others)
{
    reading = (struct rate_reading){0};
    header("x-ratelimit-limit", "20");
    header("x-ratelimit-remaining", "0");
    header("x-ratelimit-reset", "1795251660000"); /* OpenRouter: milliseconds since 1970 */
    check_window(RATE_REQUESTS, 0, 20, 0, 60 * NS_SEC);
    reading = (struct rate_reading){0};
    header("ratelimitbysize-limit", "500000");
    header("ratelimitbysize-remaining", "499900");
    header("ratelimitbysize-reset", "28");
    check_window(RATE_TOKENS, 0, 500000, 499900, 28 * NS_SEC);
    reading = (struct rate_reading){0};
    header("x-ratelimit-limit-tokens-prompt", "60000");
    header("x-ratelimit-remaining-tokens-prompt", "1");
    header("x-ratelimit-limit-tokens-generated", "600");
    header("x-ratelimit-remaining-tokens-generated", "2");
    header("x-ratelimit-limit-tokens-cache-adjusted-prompt", "3");
    check_window(RATE_INPUT_TOKENS, 0, 60000, 1, -1);
    check_window(RATE_OUTPUT_TOKENS, 0, 600, 2, -1);
    CHECK_EQ(reading.count, 2);
}

TEST(rate_headers_of_the_ietf_in_all_its_drafts)
{
    reading = (struct rate_reading){0};
    header("RateLimit-Policy", "\"burst\";q=100;w=60,\"tokens-day\";q=5000;w=86400");
    header("RateLimit", "\"burst\";r=50;t=30, \"tokens-day\"; r=0; t=4000");
    check_window(RATE_REQUESTS, 60 * NS_SEC, 100, 50, 30 * NS_SEC);
    check_window(RATE_TOKENS, 86400 * NS_SEC, 5000, 0, 4000 * NS_SEC);
    reading = (struct rate_reading){0};
    header("ratelimit", "limit=100, remaining=7, reset=30");
    check_window(RATE_REQUESTS, 0, 100, 7, 30 * NS_SEC);
    reading = (struct rate_reading){0};
    header("ratelimit-limit", "100, 100;w=60");
    header("ratelimit-remaining", "7");
    header("ratelimit-reset", "30");
    check_window(RATE_REQUESTS, 0, 100, 7, 30 * NS_SEC);
}

static ns_t retry_in(const char *name, const char *value)
{
    reading = (struct rate_reading){0};
    header(name, value);
    return reading.has_retry ? reading.retry_at - NOW : -1;
}

TEST(rate_headers_say_when_to_come_back)
{
    CHECK_EQ(retry_in("retry-after", "120"), 120 * NS_SEC);
    CHECK_EQ(retry_in("Retry-After", " 1.5 "), 1500 * NS_MS);
    CHECK_EQ(retry_in("retry-after", "Sat, 21 Nov 2026 09:01:40 GMT"), 100 * NS_SEC);
    CHECK_EQ(retry_in("retry-after", "Sat, 21 Nov 2026 08:01:40 GMT"), 0);
    CHECK_EQ(retry_in("retry-after", "200000000"), 200000000 * NS_SEC); /* never a date */
    CHECK_EQ(retry_in("retry-after-ms", "250"), 250 * NS_MS);
    CHECK_EQ(retry_in("retry-after", "soon"), -1);
    CHECK_EQ(retry_in("retry-after", ""), -1);
    CHECK_EQ(retry_in("retry-after-ms", "-5"), -1);
    reading = (struct rate_reading){0};
    header("retry-after-ms", "250"); /* the exact one counts, wherever it stands */
    header("retry-after", "1");
    CHECK_EQ(reading.retry_at, NOW + 250 * NS_MS);
    reading = (struct rate_reading){0};
    header("retry-after", "1");
    header("retry-after-ms", "250");
    CHECK_EQ(reading.retry_at, NOW + 250 * NS_MS);
}

static ns_t reset_in(const char *value)
{
    reading = (struct rate_reading){0};
    header("x-ratelimit-reset-requests", value);
    return reading.count ? reading.windows[0].reset - NOW : -1;
}

TEST(rate_headers_read_moments_of_any_form)
{
    CHECK_EQ(reset_in("1h2m3s"), 3723 * NS_SEC);
    CHECK_EQ(reset_in("120\302\265s"), 120 * NS_US);
    CHECK_EQ(reset_in("1m0.123456789123s"), 60123456789);
    CHECK_EQ(reset_in("0"), 0);
    CHECK_EQ(reset_in("0s"), 0);
    CHECK_EQ(reset_in("1795251605"), 5 * NS_SEC);
    CHECK_EQ(reset_in("1795251605.25"), 5 * NS_SEC); /* a date in seconds: its fraction does not matter */
    CHECK_EQ(reset_in("1795251605000000"), 5 * NS_SEC);
    CHECK_EQ(reset_in("1795251605000000000"), 5 * NS_SEC);
    CHECK_EQ(reset_in("2026-11-21t09:00:05z"), 5 * NS_SEC);
    CHECK_EQ(reset_in("2026-11-21T01:00:05.000001-08:00"), 5 * NS_SEC + 1000);
    static const char *const bad[] = {
        "",    "-1", "5 s", "s", "1.5.2s", "6x", "2026-13-01T00:00:00Z", "2026", "2026-11-21T", "99999999999999999999",
        "1s2", "NaN"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (!str_eq(str_from_c(bad[i]), STR("2026")))
            CHECK_MSG(reset_in(bad[i]) == -1, "\"%s\"", bad[i]);
    CHECK_EQ(reset_in("2026"), 2026 * NS_SEC);
    CHECK_EQ(reset_in("4000000000d4000000000d"), NS_NEVER - NOW);
}

TEST(rate_headers_ignore_what_is_no_limit_and_more_than_fit)
{
    static const char *const other[] = {"x-ratelimit-",
                                        "x-ratelimit",
                                        "content-length",
                                        "x-ratelimit-requests",
                                        "x-ratelimit-limit-project-tokens",
                                        "ratelimit-foo",
                                        ""};
    char name[64] = "x-ratelimit-limit-tokens-0-minute";

    reading = (struct rate_reading){0};
    for (size_t i = 0; i < ARRAY_LEN(other); i++)
        header(other[i], "5");
    CHECK_EQ(reading.count, 0);
    for (int i = 1; i < 10; i++) {
        name[25] = (char)('0' + i);
        header(name, "5");
    }
    CHECK_EQ(reading.count, RATE_WINDOWS_MAX);
}

/* Pieces of real headers, so that readers are entered. */
static struct str any_text(struct prng *p, char to[128])
{
    static const char *const pieces[] = {"x-ratelimit-",
                                         "ratelimit",
                                         "-policy",
                                         "reset",
                                         "limit",
                                         "-",
                                         "tokens",
                                         "retry-after",
                                         "2026-11-21T09:00:00",
                                         "+01:00",
                                         "Z",
                                         ",",
                                         ";",
                                         "=",
                                         "\"a\"",
                                         "q",
                                         "r",
                                         "t",
                                         "1",
                                         "99",
                                         ".",
                                         "s",
                                         "m",
                                         "ms",
                                         " ",
                                         "GMT",
                                         "18446744073709551615",
                                         "Nov",
                                         "\377",
                                         "remaining"};
    size_t n = 0;

    for (uint64_t left = prng_below(p, 5); left; left--) {
        struct str piece = str_from_c(pieces[prng_below(p, ARRAY_LEN(pieces))]);
        memcpy(to + n, piece.p, piece.n);
        n += piece.n;
    }
    return str_of(to, n);
}

TEST(rate_headers_survive_any_bytes)
{
    char name[128], value[128];
    struct prng p;

    prng_seed(&p, test_seed());
    for (uint64_t k = 0; k < test_rounds(20000); k++) {
        if (prng_chance(&p, 0.1))
            reading = (struct rate_reading){0};
        struct str n = any_text(&p, name), v = any_text(&p, value);
        rate_reading_header(&reading, n, v, NOW, WALL);
        CHECK_LE(reading.count, RATE_WINDOWS_MAX);
        for (unsigned i = 0; i < reading.count; i++)
            CHECK(!reading.windows[i].has_reset || reading.windows[i].reset >= NOW);
    }
}
