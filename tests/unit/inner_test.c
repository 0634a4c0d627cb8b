/* inner_test.c - requests that the process makes of the gateway itself: what comes of them, and what a provider sees when who asked goes away. */
#include "gateway/inner.h"

#include "fleet/config.h"
#include "net_world.h"

#define ANSWER                                                                                                         \
    "{\"id\":\"c\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,"            \
    "\"message\":{\"role\":\"assistant\",\"content\":\"hello\"},\"finish_reason\":\"stop\"}],"                         \
    "\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}"
#define ASK "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"
#define ASK_STREAM "{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"
#define CHUNK(text)                                                                                                    \
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":"  \
    "0,\"delta\":{\"role\":\"assistant\",\"content\":\"" text "\"}}]}\n\n"

/* A gateway in front of two providers, and one configured key. */
struct inner_world {
    struct snapshot *snapshot;
    struct gateway *gateway;
    struct facts facts; /* of the last request; only what is no text */
    unsigned requests;
};

static void note_facts(void *ctx, const struct facts *f)
{
    struct inner_world *i = ctx;

    i->facts = *f;
    i->requests++;
}

static void open_gateway_of(struct world *w, struct inner_world *i, const char *dialect, const struct peer *a,
                            const struct peer *b)
{
    struct problems problems = {.arena = &w->arena};
    struct catalog *catalog;
    struct str text =
        arena_printf(&w->arena,
                     "listen: 127.0.0.1:80\n"
                     "providers:\n"
                     "  a: {dialect: %s, base_url: \"http://127.0.0.1:%u/v1\", api_key: k, serves: \"*\"}\n"
                     "  b: {dialect: openai, base_url: \"http://127.0.0.1:%u/v1\", api_key: k, serves: \"*\"}\n"
                     "models: {m: {targets: [a/m], fallbacks: [b/m]}, other: {targets: [a/m]}}\n"
                     "keys: [{name: small, hash: \"sha256:%064d\", models: [other]}]\n",
                     dialect, peer_port(a), peer_port(b), 1);

    *i = (struct inner_world){0};
    err_t e = config_load("-", text, config_env_real(), &problems, &catalog);
    for (size_t n = 0; n < problems.count; n++)
        CHECK_MSG(problems.items[n].warning, "%.*s", STR_ARG(problems.items[n].text));
    CHECK_OK(e);
    CHECK_OK(snapshot_make(catalog, NULL, &i->snapshot));
    i->gateway =
        gateway_new(&(struct gateway_options){.snapshot = i->snapshot, .on_facts = note_facts, .facts_ctx = i});
}

static void open_gateway(struct world *w, struct inner_world *i, const struct peer *a, const struct peer *b)
{
    open_gateway_of(w, i, "openai", a, b);
}

static void close_gateway(struct inner_world *i)
{
    gateway_free(i->gateway);
    snapshot_unref(i->snapshot);
}

static struct inner_question question(const char *body)
{
    return (struct inner_question){
        .path = STR("/v1/chat/completions"), .body = str_from_c(body), .id = STR("req-1"), .answer_max = 65536};
}

static void send_answer(struct play *p)
{
    struct str all = arena_printf(&p->peer->world->arena,
                                  "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n%s",
                                  strlen(ANSWER), ANSWER);

    (void)play_send_n(p, all.p, all.n);
}

static void play_answer(struct play *p)
{
    while (play_request(p))
        send_answer(p);
}

static void play_busy(struct play *p)
{
    while (play_request(p))
        (void)play_send(p, "HTTP/1.1 503 Busy\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}");
}

static void play_stream_that_stays(struct play *p)
{
    if (play_request(p))
        (void)play_send(p, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" CHUNK("one"));
    play_until_eof(p);
}

static void play_silence(struct play *p)
{
    (void)play_request(p);
    play_until_eof(p);
}

SIM_WORLD_TEST(an_inner_request_is_answered_counted_and_recorded_like_a_clients)
{
    struct peer *a = peer_start(w, play_answer), *b = peer_start(w, play_answer);
    struct inner_world i;
    struct inner_answer answer;

    open_gateway(w, &i, a, b);
    struct inner_question q = question(ASK);
    CHECK_OK(gateway_ask(i.gateway, &q, &w->arena, &answer));
    CHECK_OK(inner_check(&answer));
    CHECK(str_find(answer.body, STR("\"hello\"")) < answer.body.n);
    CHECK_STR(answer.provider, "a");
    CHECK_STR(answer.id, "req-1");
    CHECK_EQ(answer.usage.input, 3);
    CHECK_EQ(answer.attempts, 1);
    CHECK_EQ(i.requests, 1);
    CHECK_EQ(i.facts.status, 200);
    CHECK(!i.facts.peer);
    close_gateway(&i);
}

SIM_WORLD_TEST(an_inner_request_fails_over)
{
    struct peer *a = peer_start(w, play_busy), *b = peer_start(w, play_answer);
    struct inner_world i;
    struct inner_answer answer;

    open_gateway(w, &i, a, b);
    struct inner_question q = question(ASK);
    CHECK_OK(gateway_ask(i.gateway, &q, &w->arena, &answer));
    CHECK_OK(inner_check(&answer));
    CHECK_STR(answer.provider, "b");
    CHECK(answer.attempts > 1);
    close_gateway(&i);
}

SIM_WORLD_TEST(an_inner_request_goes_on_the_account_of_the_key_that_it_names)
{
    struct peer *a = peer_start(w, play_answer), *b = peer_start(w, play_answer);
    struct inner_world i;
    struct inner_answer answer;

    open_gateway(w, &i, a, b);
    struct inner_question q = question(ASK);
    q.key = STR("small"); /* which may not ask this model */
    CHECK_OK(gateway_ask(i.gateway, &q, &w->arena, &answer));
    CHECK_ERR(inner_check(&answer), E_FORBIDDEN);
    q.key = STR("nobody's");
    CHECK_OK(gateway_ask(i.gateway, &q, &w->arena, &answer));
    CHECK_EQ(answer.status, 401);
    CHECK_EQ(a->requests + b->requests, 0);
    close_gateway(&i);
}

static void play_old_fashioned(struct play *p)
{
    while (play_request(p)) {
        if (str_find(buf_str(&p->request), STR("\"max_tokens\":7")) < p->request.n)
            send_answer(p);
        else
            (void)play_send(p, "HTTP/1.1 400 Unknown\r\ncontent-length: 0\r\n\r\n");
    }
}

SIM_WORLD_TEST(an_inner_request_is_said_in_the_words_of_each_provider)
{
    struct peer *a = peer_start(w, play_old_fashioned), *b = peer_start(w, play_old_fashioned);
    struct inner_world i;
    struct inner_answer answer;

    open_gateway_of(w, &i, "deepseek", a, b);
    struct inner_question q = question(
        "{\"model\":\"other\",\"max_completion_tokens\":7,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    CHECK_OK(gateway_ask(i.gateway, &q, &w->arena, &answer));
    CHECK_OK(inner_check(&answer));
    close_gateway(&i);
}

SIM_WORLD_TEST(an_inner_answer_larger_than_it_may_be_is_refused)
{
    struct peer *a = peer_start(w, play_answer), *b = peer_start(w, play_answer);
    struct inner_world i;
    struct inner_answer answer;

    open_gateway(w, &i, a, b);
    struct inner_question q = question(ASK);
    q.answer_max = 100;
    CHECK_ERR(gateway_ask(i.gateway, &q, &w->arena, &answer), E_TOO_LARGE);
    CHECK(error_says(E_TOO_LARGE, "100"));
    close_gateway(&i);
}

SIM_WORLD_TEST(a_deadline_of_who_asks_is_the_inner_requests)
{
    struct peer *a = peer_start(w, play_silence), *b = peer_start(w, play_silence);
    struct inner_world i;
    struct inner_answer answer = {0};

    open_gateway(w, &i, a, b);
    struct inner_question q = question(ASK);
    ns_t began = rt_now();
    {
        WITHIN(began + 2 * NS_SEC);
        err_t e = gateway_ask(i.gateway, &q, &w->arena, &answer);
        CHECK_ERR(e == OK ? inner_check(&answer) : e, E_DEADLINE);
    }
    CHECK(rt_now() <= began + 2 * NS_SEC);
    CHECK_EQ(i.facts.status, 504);
    close_gateway(&i);
}

/* --- streams --- */

struct hearing {
    struct inner_world *world;
    struct arena *arena;
    struct buf heard;
    err_t answer; /* what the listener says to each piece */
    err_t result;
};

static err_t hear(void *ctx, struct str piece)
{
    struct hearing *h = ctx;

    TRY(buf_add(&h->heard, piece));
    return h->answer;
}

static err_t ask_for_stream(void *arg)
{
    struct hearing *h = arg;
    struct inner_question q = question(ASK_STREAM);
    struct inner_answer answer;

    q.on_piece = hear;
    q.ctx = h;
    h->result = gateway_ask(h->world->gateway, &q, h->arena, &answer);
    return h->result;
}

SIM_WORLD_TEST(cancelling_who_asks_closes_the_providers_stream)
{
    struct peer *a = peer_start(w, play_stream_that_stays), *b = peer_start(w, play_answer);
    struct inner_world i;

    open_gateway(w, &i, a, b);
    struct hearing h = {.world = &i, .arena = &w->arena, .heard = BUF_INIT(65536)};
    {
        SCOPE(asking, NS_NEVER);
        struct fiber *f = scope_spawn(&asking, "asks", ask_for_stream, &h);
        while (h.heard.n == 0)
            CHECK_OK(fiber_sleep_until(rt_now() + NS_MS));
        fiber_cancel(f);
        err_t first;
        CHECK_OK(scope_wait_any(&asking, NS_NEVER, &first));
    }
    CHECK_EQ(h.result, E_CANCELLED);
    while (a->eofs == 0)
        CHECK_OK(fiber_sleep_until(rt_now() + NS_MS));
    CHECK_EQ(i.facts.status, 499);
    buf_release(&h.heard);
    close_gateway(&i);
}

SIM_WORLD_TEST(a_listener_that_has_heard_enough_closes_the_providers_stream)
{
    struct peer *a = peer_start(w, play_stream_that_stays), *b = peer_start(w, play_answer);
    struct inner_world i;

    open_gateway(w, &i, a, b);
    struct hearing h = {.world = &i, .arena = &w->arena, .heard = BUF_INIT(65536), .answer = E_CONFLICT};
    CHECK_ERR(ask_for_stream(&h), E_CONFLICT);
    while (a->eofs == 0)
        CHECK_OK(fiber_sleep_until(rt_now() + NS_MS));
    buf_release(&h.heard);
    close_gateway(&i);
}
