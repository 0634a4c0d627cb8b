/*
 * pacer.c - a provider that streams at a fixed pace and writes into each event when it was sent.
 *
 *     pacer --listen 127.0.0.1:0
 *
 * Answers any POST by chunks of OpenAI's chat format. The header "x-bench: EVENTS GAP_US" of the request says how many, and how far
 * apart; the first leaves at once, the k-th k gaps after it, however late its predecessors were. The content of a chunk's delta is
 * "@" and the instant of sending, on CLOCK_MONOTONIC in nanoseconds. A stream ends with a finish reason, usage, and [DONE]. As OpenAI does
 * when usage is asked for, each chunk has "usage":null.
 */
#include "bench.h"
#include "net/http_server.h"

#include <inttypes.h>

#define CHUNK                                                                                                          \
    "data: {\"id\":\"chatcmpl-C9w2mXkUcV7dPq3s\",\"object\":\"chat.completion.chunk\",\"created\":1755000000,"         \
    "\"model\":\"chat-model\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_bench\",\"choices\":["

static SUSPENDS err_t write_bytes(struct http_request *r, const char *p, size_t n)
{
    struct str bytes = str_of(p, n);
    return http_reply_write(r, &bytes, 1);
}

static SUSPENDS err_t write_events(struct http_request *r, long events, ns_t gap)
{
    static const char format[] =
        CHUNK "{\"index\":0,\"delta\":{\"content\":\"@%" PRId64 "\"},\"logprobs\":null,\"finish_reason\":null}],"
              "\"usage\":null}\n\n";
    ns_t began = rt_now_exact();
    char text[512];

    for (long k = 0; k < events; k++) {
        if (k > 0)
            TRY(fiber_sleep_until(began + k * gap));
        int n = snprintf(text, sizeof text, format, rt_now_exact());
        TRY(write_bytes(r, text, (size_t)n));
    }
    return OK;
}

static SUSPENDS err_t handle(struct http_request *r, void *ctx UNUSED)
{
    static const struct http_header headers[] = {{STR_INIT("content-type"), STR_INIT("text/event-stream")}};
    static const struct str end = STR_INIT(
        CHUNK "{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":null}\n\n" CHUNK
              "],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":10,\"total_tokens\":20}}\n\ndata: [DONE]\n\n");
    struct http_reply reply = {.status = 200, .headers = headers, .count = ARRAY_LEN(headers), .length = -1};
    struct str body, asked = http_request_header(r, STR("x-bench"));
    uint64_t events, gap_us;

    TRY(http_body_all(r, UINT64_C(1) << 20, &body));
    if (!str_to_u64(str_cut(&asked, ' '), 1U << 30, &events) || !str_to_u64(asked, 1U << 30, &gap_us))
        return fail(E_PARSE, "x-bench: EVENTS GAP_US");
    TRY(http_reply_begin(r, &reply));
    TRY(write_events(r, (long)events, (ns_t)gap_us * NS_US));
    return http_reply_finish(r, &end, 1);
}

static SUSPENDS err_t run(void *arg)
{
    struct http_server_options o = {.limits = http_limits_default(), .handler = handle};
    struct http_server *server = http_server_new(&o);
    struct addr bound;
    char text[ADDR_TEXT_MAX];
    err_t e = http_server_listen(server, arg, LISTEN_ALONE, NULL, &bound);

    if (e == OK) {
        addr_format(&bound, text);
        say(text);
        e = http_server_run(server);
    }
    http_server_free(server);
    return e;
}

int main(int argc, char **argv)
{
    struct addr at = option_addr(argc, argv, "listen", "127.0.0.1:0");
    return bench_run(run, &at);
}
