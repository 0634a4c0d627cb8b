/*
 * credential_test.c - a source of credentials in virtual time: when it renews, who waits, and what happens when renewing fails. The kind behind
 * it does as the test says.
 */
#include "credential/credential.h"

#include "base/log.h"
#include "credential/kind.h"
#include "rt/loop.h"
#include "unit/in_loop.h"
#include "unit/test.h"

#include <stdio.h>

/* --- a kind that follows a script --- */

static struct script {
    unsigned fetches;    /* begun */
    unsigned ended;      /* those that came to their end, whatever it was */
    ns_t takes;          /* each */
    ns_t life;           /* of what comes of it; NS_NEVER */
    ns_t look_again;     /* after that */
    err_t error;         /* instead */
    const char *token;   /* instead of "token-<number>" */
    const char *session; /* instead of "session"       */
    const char *project; /* instead of none            */
    bool is_key;
    bool stubborn; /* does not mind being cancelled */
} script;

static SUSPENDS err_t scripted_fetch(struct credential_fetch *f, struct credential_grant *ret)
{
    unsigned number = ++script.fetches;
    err_t e = fiber_sleep_until(rt_now() + script.takes);

    script.ended++;
    if (!script.stubborn)
        TRY(e);
    if (script.error)
        return fail(script.error, "scripted failure");
    struct str token = script.token ? str_from_c(script.token) : arena_printf(f->arena, "token-%u", number);
    if (script.is_key)
        *ret = (struct credential_grant){.access_key_id = STR("AKID"),
                                         .secret_access_key = token,
                                         .session_token = script.session ? str_from_c(script.session) : STR("session")};
    else
        ret->token = token;
    ret->quota_project = str_from_c(script.project);
    ret->expires = ns_add(rt_now(), script.life);
    ret->look_again = script.look_again ? rt_now() + script.look_again : 0;
    return OK;
}

static const struct credential_kind scripted = {.name = "scripted", .fetch = scripted_fetch};

static struct str no_env(const char *name)
{
    (void)name;
    return STR_NONE;
}

static struct credential_source *open_in(struct scope *scope)
{
    return credential_source_new(
        &(struct credential_options){.provider = STR("vertex"), .kind = &scripted, .env = no_env, .scope = scope});
}

static void source_free_p(struct credential_source **s)
{
    credential_source_free(*s);
}

/* A source `s` in a scope that ends with the test, and the script's default: an hour's token in two seconds. */
#define SOURCE(s)                                                                                                      \
    script = (struct script){.takes = 2 * NS_SEC, .life = 3600 * NS_SEC};                                              \
    SCOPE(renewals, NS_NEVER);                                                                                         \
    scope_discard_results(&renewals);                                                                                  \
    struct credential_source *s CLEANUP(source_free_p) = open_in(&renewals)

/* The token that is given now; "" on failure. In a static buffer. */
static const char *token_now(struct credential_source *s)
{
    static char text[64];
    struct credential *c;

    text[0] = '\0';
    if (credential_get(s, &c) == OK) {
        (void)snprintf(text, sizeof text, "%.*s", STR_ARG(secret_reveal(&c->authorization)));
        credential_unref(c);
    }
    return text;
}

#define CHECK_TOKEN(s, want) CHECK_STR(str_from_c(token_now(s)), want)

static err_t wait_for(ns_t span)
{
    return fiber_sleep_until(ns_add(rt_now(), span));
}

/* Errors of the background go to the log, which the tests do not want to see. */
static void drop_line(struct str line, void *ctx)
{
    (void)line;
    (*(unsigned *)ctx)++;
}

static unsigned logged;

static void in_quiet_sim(body_fn *body)
{
    logged = 0;
    log_configure(&(struct log_options){.level = LOG_INFO, .sink = drop_line, .ctx = &logged});
    in_sim(body);
    log_configure(&(struct log_options){.level = LOG_INFO});
}

#define SIM_TEST(test_name)                                                                                            \
    static void sim_##test_name(void);                                                                                 \
    TEST(test_name)                                                                                                    \
    {                                                                                                                  \
        in_quiet_sim(sim_##test_name);                                                                                 \
    }                                                                                                                  \
    static void sim_##test_name(void)

/* --- getting --- */

SIM_TEST(credential_the_first_request_waits_and_later_ones_do_not)
{
    SOURCE(s);
    ns_t begun = rt_now();

    CHECK_TOKEN(s, "Bearer token-1");
    CHECK_EQ(rt_now() - begun, 2 * NS_SEC);
    uint64_t switches = fiber_switches();
    CHECK_TOKEN(s, "Bearer token-1");
    CHECK_EQ(fiber_switches(), switches);
    CHECK_EQ(script.fetches, 1);
}

static err_t get_one(void *arg)
{
    struct credential_source *s = arg;
    struct credential *c;

    TRY(credential_get(s, &c));
    bool right = str_eq(secret_reveal(&c->authorization), STR("Bearer token-1"));
    credential_unref(c);
    return right ? OK : E_PROTOCOL;
}

SIM_TEST(credential_many_requests_wait_for_one_renewal)
{
    SOURCE(s);
    SCOPE(requests, NS_NEVER);
    struct credential_stats stats;

    for (int i = 0; i < 100; i++)
        (void)scope_spawn(&requests, "request", get_one, s);
    CHECK_OK(wait_for(NS_SEC));
    credential_stats(s, &stats);
    CHECK_EQ(stats.waiting, 100);
    CHECK(!stats.is_good);
    CHECK_OK(scope_wait_all(&requests));
    CHECK_EQ(script.fetches, 1);
    credential_stats(s, &stats);
    CHECK_EQ(stats.waiting, 0);
    CHECK_EQ(stats.renewals, 1);
    CHECK(stats.is_good);
    CHECK_EQ(stats.expires, rt_now() + 3600 * NS_SEC);
}

SIM_TEST(credential_aws_keys_come_in_three_parts)
{
    SOURCE(s);
    struct credential *c;

    script.is_key = true;
    script.life = NS_NEVER;
    CHECK_OK(credential_get(s, &c));
    CHECK_STR(c->access_key_id, "AKID");
    CHECK_STR(secret_reveal(&c->secret_access_key), "token-1");
    CHECK_STR(secret_reveal(&c->session_token), "session");
    CHECK_EQ(secret_reveal(&c->authorization).n, 0);
    CHECK_EQ(c->expires, NS_NEVER);
    credential_unref(c);
    CHECK_OK(wait_for(1000000 * NS_SEC));
    CHECK_TOKEN(s, "");
    CHECK_EQ(script.fetches, 1);
}

SIM_TEST(credential_what_may_be_replaced_is_looked_up_again)
{
    SOURCE(s);

    script.life = NS_NEVER;
    script.look_again = 300 * NS_SEC;
    CHECK_TOKEN(s, "Bearer token-1");
    CHECK_OK(wait_for(299 * NS_SEC));
    CHECK_EQ(script.fetches, 1);
    CHECK_OK(wait_for(4 * NS_SEC));
    CHECK_TOKEN(s, "Bearer token-2");
}

SIM_TEST(credential_one_that_is_held_outlives_its_source)
{
    script = (struct script){.life = 3600 * NS_SEC};
    SCOPE(renewals, NS_NEVER);
    struct credential_source *s = open_in(&renewals);
    struct credential *c;

    CHECK_OK(credential_get(s, &c));
    struct credential *again = credential_ref(c);
    credential_source_free(s);
    credential_unref(c);
    CHECK_STR(secret_reveal(&again->authorization), "Bearer token-1");
    credential_unref_void(again);
}

SIM_TEST(credential_warming_gets_it_before_the_first_request)
{
    SOURCE(s);

    credential_warm(s);
    credential_warm(s);
    CHECK_OK(wait_for(3 * NS_SEC));
    uint64_t switches = fiber_switches();
    CHECK_TOKEN(s, "Bearer token-1");
    CHECK_EQ(fiber_switches(), switches);
    credential_warm(s);
    CHECK_OK(wait_for(3 * NS_SEC));
    CHECK_EQ(script.fetches, 1);
}

/* --- renewing early --- */

SIM_TEST(credential_one_in_use_is_renewed_minutes_before_it_expires_and_nobody_waits)
{
    SOURCE(s);

    CHECK_TOKEN(s, "Bearer token-1");
    CHECK_OK(wait_for((3600 - 300 - 75 - 1) * NS_SEC));
    CHECK_EQ(script.fetches, 1);
    while (script.fetches == 1 && wait_for(NS_SEC) == OK)
        CHECK_TOKEN(s, "Bearer token-1");
    uint64_t switches = fiber_switches();
    CHECK_TOKEN(s, "Bearer token-1");
    CHECK_EQ(fiber_switches(), switches);
    CHECK_OK(wait_for(3 * NS_SEC));
    CHECK_TOKEN(s, "Bearer token-2");
    CHECK_EQ(script.fetches, 2);
}

SIM_TEST(credential_short_lived_ones_are_renewed_in_their_last_quarter)
{
    SOURCE(s);

    script.life = 100 * NS_SEC;
    script.takes = 0;
    CHECK_TOKEN(s, "Bearer token-1");
    CHECK_OK(wait_for((100 - 25 - 7) * NS_SEC));
    CHECK_EQ(script.fetches, 1);
    CHECK_OK(wait_for(8 * NS_SEC));
    CHECK_EQ(script.fetches, 2);
}

SIM_TEST(credential_renewals_of_many_loops_are_spread)
{
    ns_t first = NS_NEVER, last = 0;

    for (int i = 0; i < 10; i++) {
        SOURCE(s);
        ns_t begun = rt_now();
        CHECK_TOKEN(s, "Bearer token-1");
        while (script.fetches == 1)
            CHECK_OK(wait_for(NS_SEC));
        first = ns_min(first, rt_now() - begun);
        last = rt_now() - begun > last ? rt_now() - begun : last;
    }
    CHECK_GT(last - first, 20 * NS_SEC);
}

SIM_TEST(credential_one_that_nobody_uses_is_not_renewed)
{
    SOURCE(s);

    CHECK_TOKEN(s, "Bearer token-1");
    CHECK_OK(wait_for(36000 * NS_SEC));
    CHECK_EQ(script.fetches, 2); /* the one in which it was used, and no more */
    CHECK_TOKEN(s, "Bearer token-3");
}

SIM_TEST(credential_one_that_was_idle_is_renewed_while_it_still_serves)
{
    SOURCE(s);

    CHECK_TOKEN(s, "Bearer token-1");
    while (script.fetches == 1)
        CHECK_OK(wait_for(NS_SEC));
    CHECK_OK(wait_for(3500 * NS_SEC)); /* of the second, which nobody has asked for */
    CHECK_EQ(script.fetches, 2);
    CHECK_TOKEN(s, "Bearer token-2");
    CHECK_OK(wait_for(3 * NS_SEC));
    CHECK_TOKEN(s, "Bearer token-3");
}

/* --- failing --- */

SIM_TEST(credential_a_failing_renewal_keeps_the_old_one_until_it_expires)
{
    SOURCE(s);
    ns_t expires = rt_now() + 3602 * NS_SEC;
    struct credential *c;

    CHECK_TOKEN(s, "Bearer token-1");
    script.error = E_REFUSED;
    while (rt_now() < expires - 32 * NS_SEC) {
        CHECK_TOKEN(s, "Bearer token-1");
        CHECK_OK(wait_for(NS_SEC));
    }
    CHECK_GT(script.fetches, 5);
    CHECK_LT(script.fetches, 20); /* at growing intervals */
    CHECK_EQ(logged, script.fetches - 1);
    while (rt_now() < expires)
        CHECK_OK(wait_for(NS_SEC));
    CHECK_ERR(credential_get(s, &c), E_UPSTREAM);
    CHECK_STR(str_from_c(err_detail(E_UPSTREAM)), "credential of provider vertex (scripted): scripted failure");
    script.error = OK;
    CHECK_OK(wait_for(61 * NS_SEC));
    CHECK_OK(credential_get(s, &c));
    credential_unref(c);
}

SIM_TEST(credential_nothing_is_given_in_the_last_seconds_of_its_life)
{
    SOURCE(s);
    ns_t expires = rt_now() + 3602 * NS_SEC;
    struct credential *c;

    CHECK_TOKEN(s, "Bearer token-1");
    script.error = E_REFUSED;
    CHECK_OK(fiber_sleep_until(expires - 29 * NS_SEC));
    CHECK_ERR(credential_get(s, &c), E_UPSTREAM);
}

SIM_TEST(credential_after_a_failure_requests_fail_at_once_for_a_while)
{
    SOURCE(s);
    struct credential *c;

    script.error = E_REFUSED;
    CHECK_ERR(credential_get(s, &c), E_UPSTREAM);
    CHECK_OK(wait_for(400 * NS_MS));
    uint64_t switches = fiber_switches();
    CHECK_ERR(credential_get(s, &c), E_UPSTREAM);
    CHECK_EQ(fiber_switches(), switches);
    CHECK_EQ(script.fetches, 1);
    CHECK_OK(wait_for(600 * NS_MS));
    script.error = OK;
    CHECK_TOKEN(s, "Bearer token-2");
}

SIM_TEST(credential_attempts_of_many_loops_are_spread)
{
    ns_t first = NS_NEVER, last = 0;

    for (int i = 0; i < 20; i++) {
        SOURCE(s);
        struct credential *c;
        script.takes = 0;
        script.error = E_REFUSED;
        ns_t begun = rt_now();
        while (script.fetches < 2) {
            CHECK_ERR(credential_get(s, &c), E_UPSTREAM);
            CHECK_OK(wait_for(10 * NS_MS));
        }
        first = ns_min(first, rt_now() - begun);
        last = rt_now() - begun > last ? rt_now() - begun : last;
    }
    CHECK_GE(first, 500 * NS_MS);
    CHECK_LE(last, 1020 * NS_MS);
    CHECK_GT(last - first, 200 * NS_MS);
}

SIM_TEST(credential_attempts_to_renew_come_at_growing_intervals_up_to_a_minute)
{
    SOURCE(s);
    struct credential *c;
    struct credential_stats stats;

    script.takes = 0;
    script.error = E_REFUSED;
    for (int i = 0; i < 600; i++) {
        CHECK_ERR(credential_get(s, &c), E_UPSTREAM);
        CHECK_OK(wait_for(NS_SEC));
    }
    CHECK_GE(script.fetches, 14);
    CHECK_LE(script.fetches, 27);
    credential_stats(s, &stats);
    CHECK_EQ(stats.failures, script.fetches);
}

SIM_TEST(credential_after_a_success_attempts_begin_anew)
{
    SOURCE(s);
    struct credential *c;

    script.takes = 0;
    script.life = 100 * NS_SEC;
    script.error = E_REFUSED;
    for (int i = 0; i < 100; i++) { /* the next attempt would be half a minute away, at least */
        CHECK_ERR(credential_get(s, &c), E_UPSTREAM);
        CHECK_OK(wait_for(NS_SEC));
    }
    script.error = OK;
    for (int i = 0; i < 70 && !*token_now(s); i++)
        CHECK_OK(wait_for(NS_SEC));
    CHECK_NE(*token_now(s), '\0');
    CHECK_OK(wait_for(300 * NS_SEC)); /* renewed once, and no more: nobody asked */
    script.error = E_REFUSED;
    unsigned before = script.fetches;
    CHECK_ERR(credential_get(s, &c), E_UPSTREAM);
    CHECK_OK(wait_for(NS_SEC + 10 * NS_MS));
    CHECK_ERR(credential_get(s, &c), E_UPSTREAM);
    CHECK_EQ(script.fetches, before + 2);
}

SIM_TEST(credential_what_is_missing_here_is_told_apart_from_what_failed_there)
{
    static const struct {
        err_t error, shown;
    } cases[] = {{E_CONFIG, E_CONFIG},     {E_NOT_FOUND, E_CONFIG}, {E_UNSUPPORTED, E_CONFIG}, {E_PARSE, E_CONFIG},
                 {E_UPSTREAM, E_UPSTREAM}, {E_TLS, E_UPSTREAM},     {E_RESOLVE, E_UPSTREAM}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        SOURCE(s);
        struct credential *c;
        script.error = cases[i].error;
        CHECK_ERR(credential_get(s, &c), cases[i].shown);
    }
}

SIM_TEST(credential_a_renewal_that_hangs_is_given_up)
{
    SOURCE(s);
    ns_t begun = rt_now();
    struct credential *c;

    script.takes = 1000 * NS_SEC;
    CHECK_ERR(credential_get(s, &c), E_UPSTREAM);
    CHECK_EQ(rt_now() - begun, 30 * NS_SEC);
    CHECK(strstr(err_detail(E_UPSTREAM), "longer than 30 s"));
}

static void refuses(const char *token, ns_t life, const char *why)
{
    SOURCE(s);
    struct credential *c;

    script.token = token;
    script.life = life;
    CHECK_ERR(credential_get(s, &c), E_UPSTREAM);
    CHECK_MSG(strstr(err_detail(E_UPSTREAM), why), "%s", err_detail(E_UPSTREAM));
    CHECK_MSG(!token[0] || !strstr(err_detail(E_UPSTREAM), token), "%s", err_detail(E_UPSTREAM));
}

SIM_TEST(credential_tokens_that_no_header_can_carry_are_refused)
{
    static char large[40000];

    memset(large, 'x', sizeof large - 1);
    refuses("a\r\nx-evil: 1", 3600 * NS_SEC, "no header can carry");
    refuses("two words", 3600 * NS_SEC, "no header can carry");
    refuses("\xc3\xa9", 3600 * NS_SEC, "no header can carry");
    refuses(large, 3600 * NS_SEC, "no header can carry");
    refuses("", 3600 * NS_SEC, "no credential");
    refuses("fine", 0, "expired already");
    refuses("fine", NS_SEC, "expired already");
}

/* --- leaving --- */

SIM_TEST(credential_session_tokens_and_projects_must_fit_into_headers_too)
{
    SOURCE(s);
    struct credential *c;

    script.is_key = true;
    script.session = "a\r\nx-evil: 1";
    CHECK_ERR(credential_get(s, &c), E_UPSTREAM);
    CHECK(strstr(err_detail(E_UPSTREAM), "no header can carry"));
    script = (struct script){.project = "two words", .life = 3600 * NS_SEC};
    CHECK_OK(wait_for(61 * NS_SEC));
    CHECK_ERR(credential_get(s, &c), E_UPSTREAM);
    CHECK(strstr(err_detail(E_UPSTREAM), "no header can carry"));
}

SIM_TEST(credential_a_request_that_leaves_does_not_stop_the_renewal)
{
    SOURCE(s);
    struct credential *c;

    {
        WITHIN(rt_now() + NS_SEC);
        CHECK_ERR(credential_get(s, &c), E_DEADLINE);
    }
    CHECK_OK(wait_for(2 * NS_SEC));
    CHECK_TOKEN(s, "Bearer token-1");
    CHECK_EQ(script.fetches, 1);
}

SIM_TEST(credential_a_cancelled_request_leaves_at_once_and_others_get_theirs)
{
    SOURCE(s);
    SCOPE(requests, NS_NEVER);
    ns_t begun = rt_now();
    err_t child;

    struct fiber *first = scope_spawn(&requests, "request", get_one, s);
    (void)scope_spawn(&requests, "request", get_one, s);
    CHECK_OK(wait_for(NS_SEC));
    fiber_cancel(first);
    CHECK_OK(scope_wait_any(&requests, NS_NEVER, &child));
    CHECK_EQ(child, E_CANCELLED);
    CHECK_EQ(rt_now() - begun, NS_SEC);
    CHECK_OK(scope_wait_any(&requests, NS_NEVER, &child));
    CHECK_EQ(child, OK);
    CHECK_EQ(script.fetches, 1);
}

SIM_TEST(credential_freeing_a_source_ends_its_renewal)
{
    script = (struct script){.takes = 10 * NS_SEC, .life = 3600 * NS_SEC};
    SCOPE(renewals, NS_NEVER);
    struct credential_source *s = open_in(&renewals);
    ns_t begun = rt_now();

    credential_warm(s);
    CHECK_OK(wait_for(NS_SEC));
    credential_source_free(s);
    CHECK_OK(scope_wait_all(&renewals));
    CHECK_EQ(script.ended, 1);
    CHECK_EQ(rt_now() - begun, NS_SEC);
    CHECK_EQ(logged, 0);
}

SIM_TEST(credential_what_comes_for_a_source_that_was_freed_is_dropped)
{
    script = (struct script){.takes = 10 * NS_SEC, .life = 3600 * NS_SEC, .stubborn = true};
    SCOPE(renewals, NS_NEVER);
    struct credential_source *s = open_in(&renewals);

    credential_warm(s);
    CHECK_OK(wait_for(NS_SEC));
    credential_source_free(s);
    CHECK_OK(wait_for(7200 * NS_SEC));
    CHECK_EQ(script.ended, 1);
}

SIM_TEST(credential_freeing_a_source_stops_its_timer)
{
    {
        SOURCE(s);
        CHECK_TOKEN(s, "Bearer token-1");
    }
    CHECK_OK(wait_for(7200 * NS_SEC));
    CHECK_EQ(script.fetches, 1);
    credential_source_free(NULL);
}

SIM_TEST(credential_at_the_end_of_the_process_requests_are_told)
{
    SOURCE(s);
    struct credential *c;

    scope_cancel(&renewals);
    CHECK_ERR(credential_get(s, &c), E_UPSTREAM);
    CHECK(strstr(err_detail(E_UPSTREAM), "the process is ending"));
    CHECK_EQ(logged, 0);
}

/* --- rejected --- */

SIM_TEST(credential_one_that_the_provider_rejects_is_replaced)
{
    SOURCE(s);
    struct credential *c;

    CHECK_OK(credential_get(s, &c));
    credential_rejected(s, c); /* just made: it must be something else */
    CHECK_TOKEN(s, "Bearer token-1");
    CHECK_OK(wait_for(61 * NS_SEC));
    credential_rejected(s, c);
    CHECK_TOKEN(s, "Bearer token-2");
    CHECK_OK(wait_for(61 * NS_SEC));
    credential_rejected(s, c); /* the one before: nothing new */
    CHECK_TOKEN(s, "Bearer token-2");
    CHECK_EQ(script.fetches, 2);
    credential_unref(c);
}

TEST(credential_kinds_are_found_by_name)
{
    CHECK(credential_kind_find(STR("aws")) != NULL);
    CHECK_STR(str_from_c(credential_kind_find(STR("google-metadata"))->name), "google-metadata");
    CHECK(!credential_kind_find(STR("google-metadat")));
    CHECK(!credential_kind_find(STR_NONE));
}
