/*
 * continuation_scenarios.c - streams that break in their content and go on at another deployment, for clients of every dialect.
 *
 * The oracle is the house's (dialect_house.c): what is heard is the right text as far as it goes, and all of it if the stream ends as if it were whole; an
 * error is told once, at the end. What is asked here besides: that answers do go on, and how many of them.
 */
#include "rt/loop.h"
#include "sim/dialect_house.h"
#include "sim/raw_answer.h"

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

/* --- what stands behind the answer --- */

/* The places that comments in the stream name, as the trailer field lists them. */
static struct str places_told(struct str body, struct arena *arena, unsigned *ret_count)
{
    struct str mark = STR(": crossdock continued at "), all = STR("");
    size_t at;

    for (*ret_count = 0; (at = str_find(body, mark)) < body.n; ++*ret_count) {
        body = str_slice(body, at + mark.n, body.n);
        struct str place = str_cut(&body, '\n');
        all = *ret_count ? arena_join(arena, arena_join(arena, all, STR(", ")), place) : place;
    }
    return all;
}

static void check_told(struct client *c, const struct raw_answer *a, struct arena *arena)
{
    struct str body = buf_str(&a->body), reason = raw_answer_trailer(a, STR("x-crossdock-reason"));
    struct str went = raw_answer_trailer(a, STR("x-crossdock-continued"));
    bool is_whole = str_ends(body, STR("data: [DONE]\n\n"));
    uint64_t attempts = 0;
    unsigned times;
    struct str places = places_told(body, arena, &times);

    EXPECT(str_to_u64(raw_answer_trailer(a, STR("x-crossdock-attempts")), 100, &attempts) && attempts > times,
           "client %u: %u times it went on, and %llu attempts", c->index, times, (unsigned long long)attempts);
    EXPECT(str_eq(places, went), "client %u: it went on at %.*s, and is said to at %.*s", c->index, STR_ARG(places),
           STR_ARG(went));
    EXPECT(str_starts(reason, STR("failed: ")) == !is_whole &&
               (!is_whole || !times || str_starts(reason, STR("continuation: "))),
           "client %u: went on %u times, whole: %d, and the reason is %.*s", c->index, times, is_whole,
           STR_ARG(reason));
    c->outcome->received = times;
    c->outcome->complete = is_whole;
}

static err_t ask_for_trailers(struct client *c)
{
    struct raw_answer *a CLEANUP(raw_answer_free_p) = raw_answer_new();
    struct sock *s CLEANUP(sock_close_p) = NULL;
    struct arena arena CLEANUP(arena_release);
    struct dialect_house *h = c->arg;
    struct addr to = world_addr(DIALECT_GATEWAY_PORT);

    arena_init(&arena, 1 << 20);
    struct str body = arena_printf(&arena,
                                   "{\"model\":\"%s-torn-%s\",\"stream\":true,\"messages\":[{\"role\":\"user\","
                                   "\"content\":\"Client %u wants to know about harbours.\"}]}",
                                   any_provider(c, false), any_provider(c, false), c->index);
    struct str text = arena_printf(
        &arena, "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nte: trailers\r\ncontent-length: %zu\r\n\r\n%.*s",
        body.n, STR_ARG(body));
    TRY(sock_connect(&to, &s));
    h->requests++;
    TRY(sock_write(s, text.p, text.n));
    TRY(raw_answer_read(s, a));
    c->outcome->status = a->head.status;
    if (a->head.status == 200)
        check_told(c, a, &arena);
    return OK;
}

static void check_some_told(struct dialect_house *h, const struct outcome *o)
{
    unsigned went = 0, late = 0, broken = 0;

    for (unsigned i = 0; i < DIALECT_CLIENTS; i++) {
        bool is_late = o[i].ended - o[i].began >= HOUSE_TOTAL - HOUSE_BETWEEN;
        went += o[i].received > 0;
        late += is_late;
        broken += !o[i].complete && !is_late;
    }
    if (!world_is_calm(h->world))
        return;
    EXPECT(went + late > 0, "no answer went on");
    EXPECT(broken < DIALECT_CLIENTS / 2, "%u of %u answers are not whole", broken, DIALECT_CLIENTS);
}

SCENARIO(what_became_of_a_stream_stands_behind_it)
{
    return dialect_house_run(
        w, &(struct dialect_plan){.clients = DIALECT_CLIENTS, .fn = ask_for_trailers, .check = check_some_told});
}
