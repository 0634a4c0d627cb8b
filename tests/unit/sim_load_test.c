/* sim_load_test.c - what a simulated model's bounded capacity does: to one answer, to many at once, and over a connection. */
#include "sim/load.h"

#include "unit/provider_world.h"

static const struct sim_capacity server = {.read = 10000, .written = 1000};

TEST(sim_load_without_bounds_takes_no_time)
{
    static const struct sim_capacity none;
    struct sim_load l = {.answering = 100};

    CHECK(!sim_capacity_is_bounded(&none));
    CHECK_EQ(sim_load_read(&l, &none, 1000, NS_SEC), 0);
    CHECK_EQ(sim_load_write(&l, &none, 0, 1000), 0);
    CHECK_EQ(sim_load_write(&l, &none, 100, 1000), 10 * NS_SEC);
}

TEST(sim_load_reads_one_prompt_after_the_other)
{
    struct sim_load l = {0};

    CHECK(sim_capacity_is_bounded(&server));
    CHECK_EQ(sim_load_read(&l, &server, 10000, 5 * NS_SEC), NS_SEC);
    CHECK_EQ(sim_load_read(&l, &server, 5000, 5 * NS_SEC), 3 * NS_SEC / 2);
    CHECK_EQ(sim_load_read(&l, &server, 5000, 6 * NS_SEC), NS_SEC);
    CHECK_EQ(sim_load_read(&l, &server, 5000, 60 * NS_SEC), NS_SEC / 2); /* nothing is saved up while it is idle */
}

TEST(sim_load_shares_what_is_written_and_never_exceeds_its_own_speed)
{
    struct sim_load l = {.answering = 1};

    CHECK_EQ(sim_load_write(&l, &server, 100, 10), NS_SEC / 10);
    CHECK_EQ(sim_load_write(&l, &server, 0, 10), NS_SEC / 100);
    l.answering = 10;
    CHECK_EQ(sim_load_write(&l, &server, 100, 10), NS_SEC / 10);
    l.answering = 40;
    CHECK_EQ(sim_load_write(&l, &server, 100, 10), 4 * NS_SEC / 10);
    CHECK_EQ(sim_load_write(&l, &server, 100, 0), 0);
}

/* --- over a connection --- */

struct asker {
    struct world *world;
    const char *body;
    struct heard heard;
};

static SUSPENDS err_t ask_once(void *arg)
{
    struct asker *a = arg;

    a->heard = ask_with(a->world, "POST", "/v1/chat/completions", NULL, 0, a->body, NS_NEVER);
    return a->heard.error;
}

/* `count` ask at once; the longest that one waited for all of its answer. */
static SUSPENDS ns_t ask_at_once(struct world *w, unsigned count, const char *body)
{
    struct asker askers[8];
    ns_t longest = 0;
    SCOPE(s, NS_NEVER);

    for (unsigned i = 0; i < count; i++) {
        askers[i] = (struct asker){.world = w, .body = body};
        (void)scope_spawn(&s, "asks", ask_once, &askers[i]);
    }
    if (scope_wait_all(&s) != OK)
        return 0;
    for (unsigned i = 0; i < count; i++)
        longest = askers[i].heard.last > longest ? askers[i].heard.last : longest;
    return longest;
}

#define ASKED "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

SIM_TIMED_TEST(sim_a_bounded_model_is_slower_the_more_is_asked_of_it,
               "models: {m: {answer_tokens: 20, capacity: {tokens_per_second: 400}}}")
{
    static const char *const bodies[] = {ASKED "}", ASKED ",\"stream\":true}"};
    ns_t slack = 20 * NS_MS; /* the way there and back */

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        ns_t alone = ask_at_once(w, 1, bodies[i]), together = ask_at_once(w, 8, bodies[i]);
        CHECK_GE(alone, 50 * NS_MS);
        CHECK_LE(alone, 50 * NS_MS + slack);
        CHECK_GE(together, 350 * NS_MS);
        CHECK_LE(together, 400 * NS_MS + slack);
        alone = ask_at_once(w, 1, bodies[i]); /* nobody is left behind */
        CHECK_GE(alone, 50 * NS_MS);
        CHECK_LE(alone, 50 * NS_MS + slack);
    }
}

SIM_TIMED_TEST(sim_a_first_token_waits_for_the_prompts_before_it,
               "models: {m: {answer_tokens: 1, capacity: {prompt_tokens_per_second: 100}}}")
{
    ns_t alone = ask_at_once(w, 1, ASKED "}"), together = ask_at_once(w, 4, ASKED "}");
    ns_t prompt = alone / (10 * NS_MS) * (10 * NS_MS); /* whole tokens: without the way there and back */

    CHECK_GE(prompt, 10 * NS_MS);
    CHECK_GE(together, 4 * prompt);
}
