/*
 * continuation_scenarios.c - streams that break in their content and go on at another deployment, for clients of every dialect.
 *
 * The oracle is the house's (dialect_house.c): what is heard is the right text as far as it goes, and all of it if the stream ends as if it were whole; an
 * error is told once, at the end. What is asked here besides: that answers do go on, and how many of them.
 */
#include "rt/loop.h"
#include "sim/dialect_house.h"

#include <string.h>

/* A provider of either kind: to Ollama's clients and models a conversation is another, of which nobody else gives the rest. */
static const char *any_provider(struct client *c, bool ollama)
{
    const char *name;

    do
        name = house_providers[prng_below(&c->prng, HOUSE_PROVIDERS)];
    while (!ollama && strcmp(name, "ollama") == 0);
    return name;
}

static SUSPENDS err_t ask_torn(struct client *c, bool leaves)
{
    struct arena arena CLEANUP(arena_release);
    struct hearing h CLEANUP(hearing_release);
    struct asking q;

    arena_init(&arena, 1 << 20);
    struct str model = arena_printf(&arena, "%s-torn-%s", any_provider(c, false), any_provider(c, false));
    struct said said = {.text = arena_printf(&arena, "Client %u wants to know about harbours.", c->index)};
    asking_init(&q, (enum speaker)prng_below(&c->prng, SPEAKERS), model, &said, true, &arena);
    q.leaves = leaves;
    return house_hear(c, &q, &h);
}

static err_t ask_and_stay(struct client *c)
{
    return ask_torn(c, false);
}

/* Of the streams 40 in 100 break, so 6 in 100 do it as often as is borne. */
static void check_torn(struct dialect_house *h, const struct outcome *o)
{
    struct simulator_tally t = simulator_tally(h->simulator);
    unsigned broken = 0;

    for (unsigned i = 0; i < DIALECT_CLIENTS; i++)
        broken += o[i].result != OK && o[i].ended - o[i].began < HOUSE_TOTAL - HOUSE_BETWEEN; /* else time was up */
    if (!world_is_calm(h->world))
        return;
    EXPECT(t.requests > h->requests, "no answer went on: %llu requests to providers", (unsigned long long)t.requests);
    EXPECT(broken < DIALECT_CLIENTS / 2, "%u of %u answers are not whole", broken, DIALECT_CLIENTS);
}

SCENARIO(a_broken_stream_goes_on_elsewhere_as_one_answer)
{
    return dialect_house_run(
        w, &(struct dialect_plan){.clients = DIALECT_CLIENTS, .fn = ask_and_stay, .check = check_torn});
}

static err_t ask_and_maybe_leave(struct client *c)
{
    return ask_torn(c, prng_below(&c->prng, 2) == 0);
}

SCENARIO(clients_may_leave_while_their_answers_go_on_elsewhere)
{
    return dialect_house_run(w, &(struct dialect_plan){.clients = DIALECT_CLIENTS, .fn = ask_and_maybe_leave});
}
