/*
 * hop.c - how long a pipeline takes from one model's answer to the next model's question: the provider of both models, which answers at once, and who
 * sends the messages.
 *
 *     hop --listen ADDR --to ADDR [--path P] --rate N --count N --connections N
 *
 * Prints "ready" when it listens, and waits for a line on stdin, by which time the gateway serves. Then it sends as many messages as its connections get
 * through, each in turn, for a tenth of --count, to warm up; then --count of them, at fixed instants (--rate 0: as many as get through). Ends with a
 * line of JSON; times in microseconds.
 *
 * The answer to a question without a stamp is a stamp: "@" and the instant of answering in nanoseconds. A question that holds one is the hop's end.
 * In between is everything: the answer through the gateway, the record in the journal, the next question through the gateway. The messages are requests
 * that are answered when their pipeline is done, so each that is counted has gone all the way.
 */
#include "bench.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "rt/scope.h"

#include <inttypes.h>

enum { BODY_MAX = 1 << 20, ID_TEXT = 48 };

static struct hist hop, whole;

struct hops {
    struct addr listen, to;
    struct upstream *gateway;
    struct str path;
    long rate, count, connections;
    struct http_server *server;
    /* of the round */
    ns_t began, gap;
    long next, last;
    uint64_t done, failed;
    const char *why; /* of the first failure */
    bool measures;
};

/* ---- the models ---- */

/* The number behind the "@"; 0: there is none. */
static uint64_t stamp_in(struct str text)
{
    uint64_t stamp = 0;

    for (size_t i = str_find_char(text, '@') + 1; i < text.n && text.p[i] >= '0' && text.p[i] <= '9'; i++)
        stamp = stamp * 10 + (uint64_t)(text.p[i] - '0');
    return stamp;
}

static SUSPENDS err_t answer(struct http_request *r, void *ctx)
{
    static const char format[] =
        "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1755000000,\"model\":\"hop\","
        "\"choices\":[{"
        "\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"@%" PRId64 "\"},\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":15}}";
    static const struct http_header headers[] = {{STR_INIT("content-type"), STR_INIT("application/json")}};
    const struct hops *h = ctx;
    struct str body;
    char text[512];

    TRY(http_body_all(r, BODY_MAX, &body));
    uint64_t stamp = stamp_in(body);
    ns_t now = rt_now_exact();
    if (stamp && h->measures)
        hist_add(&hop, now - (ns_t)stamp);
    int n = snprintf(text, sizeof text, format, now);
    const struct http_reply reply = {.status = 200, .headers = headers, .count = ARRAY_LEN(headers), .length = n};
    return http_reply_whole(r, &reply, str_of(text, (size_t)n));
}

static SUSPENDS err_t serve(void *arg)
{
    const struct hops *h = arg;

    return http_server_run(h->server);
}

/* ---- the messages ---- */

static SUSPENDS err_t send_once(const struct hops *h, long number)
{
    struct arena a CLEANUP(arena_release);
    struct http_call *call = NULL;
    struct str told, body = STR("{\"question\":\"What is the time?\"}");
    char id[ID_TEXT];
    const struct http_header headers[] = {
        {STR("content-type"), STR("application/json")},
        {STR("idempotency-key"), str_of(id, (size_t)snprintf(id, sizeof id, "%" PRId64 "-%ld", h->began, number))},
    };
    const struct http_call_options o = {.method = STR("POST"),
                                        .target = h->path,
                                        .headers = headers,
                                        .count = ARRAY_LEN(headers),
                                        .body = &body,
                                        .body_parts = 1};

    arena_init(&a, SIZE_MAX / 2);
    TRY(http_call_open(h->gateway, &a, &o, NULL, &call));
    int status = http_call_head(call)->status;
    err_t e = http_call_all(call, NS_NEVER, BODY_MAX, &told);
    http_call_close(call);
    TRY(e);
    return status == 200 ? OK : fail(E_UPSTREAM, "status %d: %.*s", status, STR_ARG(told));
}

static SUSPENDS err_t send_some(void *arg)
{
    struct hops *h = arg;

    while (h->next < h->last) {
        long number = h->next++;
        ns_t due = h->began + number * h->gap;
        if (rt_now_exact() < due || h->gap == 0) {
            TRY(fiber_sleep_until(due));
            due = rt_now_exact(); /* what we are late by ourselves is nobody's delay */
        }
        if (send_once(h, number) == OK) {
            h->done++;
            if (h->measures)
                hist_add(&whole, rt_now_exact() - due);
        } else if (h->failed++ == 0) {
            h->why = strdup(err_current()->text);
        }
    }
    return OK;
}

static SUSPENDS err_t send_round(struct hops *h, long count, long rate)
{
    SCOPE(all, NS_NEVER);

    h->began = rt_now_exact();
    h->gap = rate ? NS_SEC / rate : 0;
    h->next = 0;
    h->last = count;
    for (long i = 0; i < h->connections; i++)
        (void)scope_spawn(&all, "connection", send_some, h);
    return scope_wait_all(&all);
}

static SUSPENDS err_t measure(struct hops *h)
{
    enum { WARM_SHARE = 10 };

    TRY(send_round(h, h->count / WARM_SHARE + h->connections, 0));
    h->done = h->failed = 0;
    h->measures = true;
    TRY(send_round(h, h->count, h->rate));
    (void)printf("{\"seconds\":%.3f,", (double)(rt_now_exact() - h->began) / 1e9);
    hist_print("hop", &hop);
    hist_print("whole", &whole);
    (void)printf("\"done\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"why\":\"%s\"}\n", h->done, h->failed,
                 h->why ? h->why : "");
    return OK;
}

static void open_gateway(struct hops *h)
{
    const struct upstream_options o = {.host = STR("127.0.0.1"),
                                       .port = addr_port(&h->to),
                                       .max_connections = (unsigned)h->connections,
                                       .max_idle = (unsigned)h->connections,
                                       .max_waiting = (unsigned)h->connections};

    h->gateway = upstream_new(&o);
}

static SUSPENDS err_t run(void *arg)
{
    struct hops *h = arg;
    const struct http_server_options o = {.limits = http_limits_default(), .handler = answer, .ctx = h};
    struct addr bound;

    open_gateway(h);
    h->server = http_server_new(&o);
    err_t e = http_server_listen(h->server, &h->listen, LISTEN_ALONE, NULL, &bound);
    if (e == OK) {
        wait_for_go(); /* nobody asks before */
        SCOPE(server, NS_NEVER);
        (void)scope_spawn(&server, "provider", serve, h);
        e = measure(h);
        http_server_drain(h->server);
    }
    http_server_free(h->server);
    upstream_free(h->gateway);
    return e;
}

int main(int argc, char **argv)
{
    struct hops h = {.listen = option_addr(argc, argv, "listen", "127.0.0.1:0"),
                     .to = option_addr(argc, argv, "to", "127.0.0.1:8080"),
                     .path = str_from_c(option(argc, argv, "path", "/hop")),
                     .rate = option_number(argc, argv, "rate", 0),
                     .count = option_number(argc, argv, "count", 1000),
                     .connections = option_number(argc, argv, "connections", 64)};

    return bench_run(run, &h);
}
