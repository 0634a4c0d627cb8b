/* overrides_test.c - what a client decides by header: how headers that come twice add up, their limits, and whose fault an early end is. */
#include "gateway/exchange.h"
#include "unit/in_loop.h"

enum { RECEIVED = 1000 };

struct asked {
    struct arena arena;
    struct http_request r;
    struct exchange x;
};

static void asked_release(struct asked *a)
{
    arena_release(&a->arena);
}

static err_t ask(struct asked *a, struct http_header *headers, size_t count)
{
    *a = (struct asked){.arena = {.max = SIZE_MAX}};
    a->r =
        (struct http_request){.arena = &a->arena, .received = RECEIVED, .head = {.headers = headers, .count = count}};
    a->x.r = &a->r;
    return overrides_read(&a->x);
}

#define ASKED(a, ...)                                                                                                  \
    struct asked a CLEANUP(asked_release);                                                                             \
    struct http_header a##_headers[] = {__VA_ARGS__};                                                                  \
    err_t a##_err = ask(&a, a##_headers, ARRAY_LEN(a##_headers))
#define H(name, value) {STR_INIT(name), STR_INIT(value)}

TEST(overrides_of_a_header_that_comes_twice_add_up)
{
    ASKED(a, H("x-crossdock-timeout", "10s"), H("X-Crossdock-Timeout", " 2s "), H("x-crossdock-timeout", "3s"),
          H("x-crossdock-models", "a, b"), H("x-crossdock-models", "c,"), H("x-crossdock-no-fallback", "true"),
          H("x-crossdock-no-fallback", "false"), H("x-crossdock-require", "eu"), H("x-crossdock-require", "own,eu"));

    CHECK_OK(a_err);
    CHECK_EQ(a.x.overrides.by, RECEIVED + 2 * NS_SEC);
    CHECK_EQ(a.x.overrides.model_count, 3);
    CHECK_STR(a.x.overrides.models[1], "b");
    CHECK_STR(a.x.overrides.models[2], "c");
    CHECK(a.x.overrides.no_fallback);
    CHECK_EQ(a.x.overrides.required_count, 3);
}

TEST(overrides_shorten_the_time_and_never_prolong_it)
{
    ASKED(a, H("x-crossdock-timeout", "10s"));
    ASKED(none, H("x-other", "10s"));

    CHECK_OK(a_err);
    CHECK_OK(none_err);
    CHECK_EQ(overrides_total(&a.x, 60 * NS_SEC), 10 * NS_SEC);
    CHECK_EQ(overrides_total(&a.x, 5 * NS_SEC), 5 * NS_SEC);
    CHECK_EQ(overrides_total(&a.x, NS_NEVER), 10 * NS_SEC);
    CHECK_EQ(overrides_total(&none.x, 60 * NS_SEC), 60 * NS_SEC);
}

TEST(overrides_are_limited)
{
    char session[258], tags[256];

    memset(session, 's', sizeof session);
    for (size_t i = 0; i < sizeof tags; i++)
        tags[i] = i % 2 ? ',' : 't';
    struct http_header header = {STR("x-crossdock-session"), str_of(session, 256)};
    struct asked a CLEANUP(asked_release), b CLEANUP(asked_release), c CLEANUP(asked_release), d CLEANUP(asked_release);
    CHECK_OK(ask(&a, &header, 1));
    CHECK_EQ(a.x.overrides.session.n, 256);
    header.value.n = 257;
    CHECK_EQ(ask(&b, &header, 1), E_PARSE);
    header = (struct http_header){STR("x-crossdock-tags"), str_of(tags, 2 * 64)};
    CHECK_OK(ask(&c, &header, 1));
    CHECK_EQ(c.x.overrides.tag_count, 64);
    header.value.n = 2 * 64 + 1;
    CHECK_EQ(ask(&d, &header, 1), E_PARSE);
}

/* A request that has waited for its provider until `total` after it came. */
static SUSPENDS enum cause cause_at_its_end(ns_t by)
{
    struct http_request r = {.received = 0};
    struct exchange x = {.r = &r, .timeouts = {.total = NS_SEC}, .overrides = {.by = by}};
    struct attempt a = {.error = E_DEADLINE, .outcome = ATTEMPT_TIMEOUT, .times = {.sent_any = true}};

    if (fiber_sleep_until(NS_SEC) != OK)
        return CAUSE_CANCELLED;
    r.received = rt_now() - NS_SEC;
    if (by)
        x.overrides.by = rt_now();
    return attempt_cause(&x, &a);
}

static SUSPENDS void check_causes(void)
{
    CHECK_EQ(cause_at_its_end(1), CAUSE_DEADLINE);
    CHECK_EQ(cause_at_its_end(0), CAUSE_TIMEOUT_TOTAL);
}

TEST(overrides_a_time_that_the_client_shortened_is_no_fault_of_the_provider)
{
    in_sim(check_causes);
}
