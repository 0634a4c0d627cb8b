/*
 * gateway_scenarios.c - clients, the whole gateway and two providers in one simulated world, under faults.
 *
 * The oracle: every request ends exactly once, with the right bytes or an explicit error; text that a client was given as whole is
 * whole; nothing waits past its deadline; a client that leaves is noticed by the provider; providers are not asked more often than
 * there are attempts. The framework adds: no socket or listener is left, no fiber is stuck, the same seed does the same.
 */
#include "base/mem.h"
#include "rt/loop.h"
#include "sim/house.h"

#include <string.h>

static struct question draw_question(struct client *c)
{
    return (struct question){.id = c->index,
                             .tokens = 1 + (unsigned)prng_below(&c->prng, TOKENS_MAX),
                             .stream = prng_below(&c->prng, 2) == 0,
                             .leaves = prng_below(&c->prng, 6) == 0};
}

static err_t ask(struct client *c)
{
    struct question q = draw_question(c);

    return house_ask(c, &q, prng_below(&c->prng, 4) ? STR("chat") : STR("lone"));
}

static void check_records(struct house *h, const struct outcome *o)
{
    enum { MOST = 3 /* attempts */ * 2 /* a stale connection is replaced once */ * 2 /* and the client's too */ };

    for (unsigned i = 0; i < CLIENTS; i++) {
        const struct record *rec = &h->records[i];
        EXPECT(o[i].ended != 0, "client %u did not end", i);
        EXPECT(o[i].ended - o[i].began <= CONNECT + 3 * (HEAD + TOTAL + 2 * SLACK), "client %u waited %lld ms", i,
               (long long)((o[i].ended - o[i].began) / NS_MS));
        EXPECT(rec->asked <= MOST, "client %u's request was sent %u times", i, rec->asked);
        EXPECT(!rec->wrong, "a provider got something else than client %u had sent", i);
        EXPECT(!o[i].complete || rec->answered, "client %u got a whole answer that no provider gave", i);
    }
}

/* What a scenario asks about its outcomes. */
typedef void check_fn(struct house *h, const struct outcome *o);

static err_t run_house(struct world *w, unsigned mood, enum mood fixed, client_fn *fn, check_fn *check)
{
    struct house *h = NEW(struct house);
    struct outcome *o;

    TRY(house_open(h, w, mood));
    h->fixed = fixed;
    {
        SCOPE(doors, NS_NEVER);
        TRY(house_open_doors(h, &doors));
        o = world_clients(w, CLIENTS, 2 * NS_SEC, fn, h);
        TRY(fiber_sleep_until(rt_now() + SLACK));
        check(h, o);
        house_check_quiet(h);
    }
    house_close(h);
    mem_free(h);
    return OK;
}

static void check_good(struct house *h, const struct outcome *o)
{
    check_records(h, o);
    for (unsigned i = 0; world_is_calm(h->world) && i < CLIENTS; i++)
        /* tiny buffers and long ways may use a request's time up */
        EXPECT(o[i].result == OK || o[i].ended - o[i].began >= TOTAL, "in calm weather client %u failed: %s", i,
               o[i].text);
}

SCENARIO(gateway_with_good_providers_loses_nothing)
{
    return run_house(w, 0, GOOD, ask, check_good);
}

SCENARIO(gateway_with_bad_providers_ends_every_request_once)
{
    return run_house(w, 300, GOOD, ask, check_records);
}

/* --- leaving --- */

/* Read part of a stream, then hang up. */
static err_t ask_and_leave(struct client *c)
{
    struct house *h = c->arg;
    struct question q = {.id = c->index, .tokens = TOKENS_MAX, .stream = true};
    struct arena arena CLEANUP(arena_release);
    struct http_call *call = NULL;
    struct str piece;

    arena_init(&arena, 1 << 20);
    TRY(house_open_call(c, &q, STR("lone"), &arena, &call));
    for (uint64_t pieces = 1 + prng_below(&c->prng, 10); pieces > 0; pieces--)
        if (http_call_next(call, NS_NEVER, &piece) != OK || !piece.p)
            break;
    h->left_at[c->index] = rt_now();
    http_call_close(call);
    return OK;
}

static void check_left(struct house *h, const struct outcome *o)
{
    ns_t way = h->world->options.latency_max ? h->world->options.latency_max : 2 * NS_MS;

    for (unsigned i = 0; i < CLIENTS; i++) {
        const struct record *rec = &h->records[i];
        EXPECT(o[i].result == OK, "client %u failed: %s", i, o[i].text);
        if (rec->told_at && rec->told_at - h->left_at[i] <= 2 * way + 2 * NS_MS)
            continue; /* the end came before the news could */
        EXPECT(rec->asked == 1 && rec->cancelled == 1, "client %u left: asked %u times, cancelled %u times", i,
               rec->asked, rec->cancelled);
        /* there and on, each behind what is still under way on the line */
        EXPECT(rec->cancelled_at - h->left_at[i] <= 2 * way + 2 * NS_MS,
               "the provider heard after %lld us that client %u had left",
               (long long)((rec->cancelled_at - h->left_at[i]) / NS_US), i);
    }
}

static void wide_lines(struct sim_options *o, struct prng *p)
{
    (void)p;
    o->socket_buffer = 64 * 1024;
}

SCENARIO(a_client_that_leaves_is_heard_of_by_the_provider, .weather = WEATHER_CALM, .prepare = wide_lines, .thin = 4)
{
    return run_house(w, 0, GOOD, ask_and_leave, check_left);
}

/* --- waiting --- */

static void check_waited(struct house *h, const struct outcome *o, ns_t wanted, int status)
{
    ns_t way = h->world->options.latency_max ? h->world->options.latency_max : 2 * NS_MS;

    for (unsigned i = 0; i < CLIENTS; i++) {
        ns_t took = o[i].ended - o[i].began;
        EXPECT(o[i].status == status, "client %u got status %d", i, o[i].status);
        EXPECT(took >= wanted && took <= wanted + TOKENS_MAX * 60 * NS_MS + 20 * way, "client %u waited %lld ms", i,
               (long long)(took / NS_MS));
    }
}

static err_t ask_lone(struct client *c)
{
    struct question q = {.id = c->index, .tokens = 4, .stream = true};

    return house_ask(c, &q, STR("lone"));
}

static void check_first_byte(struct house *h, const struct outcome *o)
{
    check_waited(h, o, 5 * NS_SEC, 504);
}

SCENARIO(a_provider_that_never_answers_is_given_up_at_the_first_byte_limit, .weather = WEATHER_CALM,
         .prepare = wide_lines, .thin = 8)
{
    return run_house(w, 0, HANG, ask_lone, check_first_byte);
}

static void check_between(struct house *h, const struct outcome *o)
{
    check_waited(h, o, 4 * NS_SEC, 200);
    for (unsigned i = 0; i < CLIENTS; i++)
        EXPECT(o[i].result == E_UPSTREAM && !o[i].complete, "client %u was not told of the stall: %s", i,
               err_name(o[i].result));
}

SCENARIO(a_stream_that_stalls_ends_with_an_error_at_the_limit_between_bytes, .weather = WEATHER_CALM,
         .prepare = wide_lines, .thin = 8)
{
    return run_house(w, 0, STALL, ask_lone, check_between);
}
