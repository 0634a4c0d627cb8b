/*
 * gateway_clients.c - clients of other kinds than gateway_scenarios.c has: files, pipelines, HTTP/2, slow ones, and ones whose gateway gets a
 * new configuration while it serves them.
 *
 * The oracles are those of house.c: right bytes or an explicit error, once; nothing is left in flight.
 */
#include "base/mem.h"
#include "codec/http1.h"
#include "rt/loop.h"
#include "sim/house.h"
#include "sim/raw_answer.h"

#include <stdio.h>

enum { FILE_MAX = 60000, ANSWER_MAX = 1 << 16 };

enum { RELOADS = 6 };

/* In calm weather and with good providers everything must work, unless the time that the gateway allows was used up. */
static void check_calm(struct house *h, const struct outcome *o, unsigned n)
{
    for (unsigned i = 0; world_is_calm(h->world) && i < n; i++)
        EXPECT(o[i].result == OK || o[i].ended - o[i].began >= 4 * NS_SEC, "in calm weather client %u failed: %s", i,
               o[i].text);
}

/* --- files through the pass-through --- */

static err_t exchange_files(struct client *c)
{
    uint64_t n = prng_below(&c->prng, FILE_MAX);
    struct upload_plan plan = {.n = n, .piece = 1 + prng_below(&c->prng, 9000), .sized = prng_below(&c->prng, 2)};

    if (prng_below(&c->prng, 2))
        return house_upload(c, &plan);
    return house_download(c, n, prng_below(&c->prng, 2) ? 0 : 10 * NS_MS);
}

enum { FILE_CLIENTS = 10 };

static void check_files(struct house *h, const struct outcome *o)
{
    check_calm(h, o, FILE_CLIENTS);
}

SCENARIO(files_pass_through_byte_by_byte)
{
    return house_run(w, &(struct house_plan){.clients = FILE_CLIENTS, .fn = exchange_files, .check = check_files});
}

SCENARIO(files_with_bad_providers_are_whole_or_an_error)
{
    return house_run(w, &(struct house_plan){.clients = FILE_CLIENTS, .mood = 500, .fn = exchange_files});
}

static void wide_lines(struct sim_options *o, struct prng *p)
{
    (void)p;
    o->socket_buffer = 64 * 1024;
}

/* The provider says no while the client is still sending, slowly: the client hears it at once. */
static err_t upload_too_much(struct client *c)
{
    struct upload_plan plan = {.n = 20000, .piece = 1000, .pause = NS_SEC / 4, .sized = c->index % 2};

    return house_upload(c, &plan);
}

static void check_refused(struct house *h, const struct outcome *o)
{
    for (unsigned i = 0; i < FILE_CLIENTS; i++) {
        EXPECT(o[i].status == 413, "client %u was not told of the refusal: status %d %s", i, o[i].status, o[i].text);
        EXPECT(o[i].ended - o[i].began < 4 * NS_SEC, "client %u was told after %lld ms", i,
               (long long)((o[i].ended - o[i].began) / NS_MS));
    }
    (void)h;
}

SCENARIO(an_upload_that_is_refused_in_the_middle_is_answered_at_once, .weather = WEATHER_CALM, .prepare = wide_lines,
         .thin = 4)
{
    return house_run(
        w, &(struct house_plan){.clients = FILE_CLIENTS, .fixed = FULL, .fn = upload_too_much, .check = check_refused});
}

/* first_byte is 5 s: counted from the end of the upload, not from its beginning. */
static err_t upload_slowly(struct client *c)
{
    struct upload_plan plan = {.n = 15000, .piece = 1000, .pause = NS_SEC / 2, .sized = c->index % 2};

    return house_upload(c, &plan);
}

static void check_slow_upload(struct house *h, const struct outcome *o)
{
    for (unsigned i = 0; i < FILE_CLIENTS; i++)
        EXPECT(o[i].result == OK, "client %u's slow upload failed: %s", i, o[i].text);
    (void)h;
}

SCENARIO(a_slow_upload_has_the_whole_time, .weather = WEATHER_CALM, .prepare = wide_lines, .thin = 4)
{
    return house_run(w, &(struct house_plan){.clients = FILE_CLIENTS, .fn = upload_slowly, .check = check_slow_upload});
}

/* It begins when all was sent: 15 pieces, half a second apart, and then 5 s. */
static void check_unanswered(struct house *h, const struct outcome *o)
{
    for (unsigned i = 0; i < FILE_CLIENTS; i++) {
        ns_t took = o[i].ended - o[i].began;
        EXPECT(o[i].status == 504, "client %u got status %d %s", i, o[i].status, o[i].text);
        EXPECT(took >= 12 * NS_SEC && took < 16 * NS_SEC, "client %u waited %lld ms", i, (long long)(took / NS_MS));
    }
    (void)h;
}

SCENARIO(an_upload_that_is_never_answered_is_given_up_at_the_first_byte_limit, .weather = WEATHER_CALM,
         .prepare = wide_lines, .thin = 8)
{
    return house_run(w, &(struct house_plan){
                            .clients = FILE_CLIENTS, .fixed = HANG, .fn = upload_slowly, .check = check_unanswered});
}

/* A provider that stops in the middle of an upload is the provider's fault, and the client is told so. */
static void check_given_up(struct house *h, const struct outcome *o)
{
    for (unsigned i = 0; i < FILE_CLIENTS; i++)
        EXPECT(o[i].status == 502 || o[i].status == 504, "client %u got status %d %s", i, o[i].status, o[i].text);
    (void)h;
}

SCENARIO(an_upload_that_breaks_at_the_provider_is_an_error, .weather = WEATHER_CALM, .prepare = wide_lines, .thin = 4)
{
    return house_run(w, &(struct house_plan){.clients = FILE_CLIENTS,
                                             .fixed = w->seed % 2 ? BREAK_OFF : STALL,
                                             .fn = upload_too_much,
                                             .check = check_given_up});
}

/* --- back-pressure --- */

enum { BIG_FILE = 3 << 20 };

static err_t download_lazily(struct client *c)
{
    return house_download(c, BIG_FILE, 50 * NS_MS);
}

/* What the provider has sent and the client has not got lies in lines and in the gateway: it must not be the whole file. When the request's time is over, on
 * long lines, the gateway hangs up, and what the provider says until it hears of that lies nowhere: it is lost. */
static err_t watch_memory(void *arg)
{
    enum { LINES = 2 * 64 * 1024, OURS = 128 * 1024 };
    struct house *h = arg;
    const struct outcome *o;

    for (;;) {
        TRY(fiber_sleep_until(rt_now() + 10 * NS_MS));
        o = h->lazy;
        if (o && rt_now() - o->began >= TOTAL)
            return OK;
        EXPECT(!o || h->records[0].sent <= o->received + LINES + OURS, "%llu bytes lie between provider and client",
               (unsigned long long)(h->records[0].sent - o->received));
    }
}

static err_t download_watched(struct client *c)
{
    struct house *h = c->arg;

    h->lazy = c->outcome;
    return download_lazily(c);
}

SCENARIO(a_slow_reader_slows_the_provider_down, .weather = WEATHER_CALM, .prepare = wide_lines, .thin = 40)
{
    return house_run(w, &(struct house_plan){.clients = 1, .fn = download_watched, .beside = watch_memory});
}

/* --- connections of a client's own --- */

enum { PIPELINE = 6, PIPELINERS = 8 };

static void add_request(struct client *c, struct question *q, unsigned number, struct buf *to)
{
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, 1 << 16);
    *q = (struct question){
        .id = c->index, .tokens = 1 + (unsigned)prng_below(&c->prng, TOKENS_MAX), .stream = prng_below(&c->prng, 2)};
    struct str body = question_body(q, STR("chat"), &arena);
    buf_addf(to,
             "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nx-request-id: c%u-%u\r\ncontent-length: %zu\r\n\r\n%.*s",
             c->index, number, body.n, STR_ARG(body));
}

static err_t check_answer(struct client *c, const struct question *q, unsigned number, const struct raw_answer *a)
{
    char id[32];
    struct reading rd;

    (void)snprintf(id, sizeof id, "c%u-%u", c->index, number);
    EXPECT(str_eq(http_head_get(&a->head, HDR_X_REQUEST_ID), str_from_c(id)),
           "client %u got the answer to another request", c->index);
    if (!str_starts(http_head_get(&a->head, HDR_CONTENT_TYPE), STR("text/event-stream")))
        return house_check_plain(c, q, a->head.status, buf_str(&a->body));
    reading_begin(&rd, c, q);
    reading_feed(&rd, buf_str(&a->body));
    return reading_end(&rd, true);
}

/* All requests in one go, or one after the other, on one connection; the answers come in their order. */
static err_t ask_in_a_row(struct client *c)
{
    struct raw_answer *a CLEANUP(raw_answer_free_p) = raw_answer_new();
    struct buf out CLEANUP(buf_release) = BUF_INIT(ANSWER_MAX);
    struct sock *s CLEANUP(sock_close_p) = NULL;
    struct question q[PIPELINE];
    bool pipelined = prng_below(&c->prng, 2);
    err_t worst = OK;

    TRY(house_dial(&s));
    for (unsigned i = 0; i < PIPELINE; i++)
        add_request(c, &q[i], i, &out);
    if (pipelined)
        TRY(sock_write(s, out.p, out.n));
    for (unsigned i = 0; i < PIPELINE; i++) {
        if (!pipelined) {
            buf_clear(&out);
            add_request(c, &q[i], i, &out);
            TRY(sock_write(s, out.p, out.n));
        }
        TRY(raw_answer_read(s, a));
        err_t e = check_answer(c, &q[i], i, a);
        worst = e != OK ? e : worst;
        c->outcome->received++;
    }
    c->outcome->complete = worst == OK;
    return worst;
}

static void check_rows(struct house *h, const struct outcome *o)
{
    check_calm(h, o, PIPELINERS);
    for (unsigned i = 0; i < PIPELINERS; i++)
        EXPECT(o[i].result != OK || o[i].received == PIPELINE, "client %u got %llu answers", i,
               (unsigned long long)o[i].received);
}

SCENARIO(many_requests_on_one_connection_are_answered_in_order)
{
    return house_run(w, &(struct house_plan){.clients = PIPELINERS,
                                             .mood = w->seed % 2 ? 0 : 150,
                                             .fn = ask_in_a_row,
                                             .check = w->seed % 2 ? check_rows : NULL});
}

/* A body that never ends: told so after body_gap (30 s); on the way through, when the request's time is over. */
static err_t send_half(struct client *c)
{
    struct raw_answer *a CLEANUP(raw_answer_free_p) = raw_answer_new();
    struct sock *s CLEANUP(sock_close_p) = NULL;
    struct buf out CLEANUP(buf_release) = BUF_INIT(1024);

    TRY(house_dial(&s));
    if (c->index % 2)
        buf_addf(&out, "POST /v1/files?id=%u&n=5 HTTP/1.1\r\nhost: g\r\ncontent-length: 5\r\n\r\n", c->index);
    else
        buf_add_lit(&out, "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ncontent-length: 500\r\n\r\n{");
    TRY(sock_write(s, out.p, out.n));
    TRY(raw_answer_read(s, a));
    c->outcome->status = a->head.status;
    err_t e = house_check_plain(c, NULL, a->head.status, buf_str(&a->body));
    return e == E_UPSTREAM ? OK : e;
}

static void check_half(struct house *h, const struct outcome *o)
{
    for (unsigned i = 0; i < FILE_CLIENTS; i++) {
        ns_t took = o[i].ended - o[i].began, want = i % 2 ? TOTAL : 30 * NS_SEC;
        EXPECT(o[i].result == OK && o[i].status == (i % 2 ? 504 : 408), "client %u got status %d: %s", i, o[i].status,
               o[i].text);
        EXPECT(took >= want && took < want + 2 * NS_SEC, "client %u waited %lld ms", i, (long long)(took / NS_MS));
    }
    (void)h;
}

SCENARIO(a_body_that_never_ends_is_given_up, .weather = WEATHER_CALM, .prepare = wide_lines, .thin = 8)
{
    return house_run(w, &(struct house_plan){.clients = FILE_CLIENTS, .fn = send_half, .check = check_half});
}

/* --- HTTP/2 --- */

enum { H2_CLIENTS = 6 };

static void check_http2(struct house *h, const struct outcome *o)
{
    check_calm(h, o, H2_CLIENTS);
}

SCENARIO(http2_clients_get_whole_answers_or_errors)
{
    return house_run(w, &(struct house_plan){.clients = H2_CLIENTS,
                                             .mood = w->seed % 2 ? 0 : 200,
                                             .fn = house_ask_by_http2,
                                             .check = w->seed % 2 ? check_http2 : NULL});
}

/* --- a new configuration meanwhile --- */

/* Install new ones, b's port changing with each; the last has b nowhere that anybody listens. */
static err_t reload_often(void *arg)
{
    struct house *h = arg;

    for (unsigned i = 0; i < RELOADS; i++) {
        TRY(fiber_sleep_until(rt_now() + (ns_t)prng_below(&h->prng, 500 * NS_MS)));
        TRY(house_snapshot(PROVIDER_PORT + 1 + (i + 1) % 2, &h->installed[i]));
        gateway_install(h->gateway, h->installed[i]);
    }
    return OK;
}

/* Nobody holds an old one, and no connection is left to where only old ones point (of which the other end hears late where lines stall). */
static void check_retired(struct house *h, const struct outcome *o)
{
    unsigned held = 0;

    (void)o;
    for (unsigned i = 0; i + 1 < RELOADS; i++)
        held += h->installed[i] && h->installed[i]->refs_ > 1;
    EXPECT(held == 0, "%u old configurations are still held", held);
    EXPECT(h->snapshot->refs_ == 1, "the first configuration is still held");
    EXPECT(!world_is_calm(h->world) || sim_world_connections(h->world->sim, PROVIDER_PORT + 2) == 0,
           "connections to a provider of an old configuration are left");
}

static err_t ask_any(struct client *c)
{
    struct question q = {
        .id = c->index, .tokens = 1 + (unsigned)prng_below(&c->prng, TOKENS_MAX), .stream = prng_below(&c->prng, 2)};

    return house_ask(c, &q, STR("chat"));
}

SCENARIO(requests_live_through_new_configurations)
{
    return house_run(
        w, &(struct house_plan){
               .clients = CLIENTS, .mood = 100, .fn = ask_any, .beside = reload_often, .check = check_retired});
}
