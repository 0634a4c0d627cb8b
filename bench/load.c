/*
 * load.c - the loads that wrk cannot make. Each prints "ready" when its connections are warm, waits for a line on stdin, and ends by
 * printing one line of JSON; times in microseconds.
 *
 *     load rate    --to ADDR --rate N --count N --connections N --body TEXT
 *     load streams --to ADDR --count N --events N --gap_us N --rounds N --spread_us N
 *     load idle    --to ADDR --count N
 *
 * rate: requests at fixed instants, whether or not earlier ones were answered. A request that found all connections busy counts from when it
 * was due, so a server that stalls cannot hide it (no coordinated omission). One that was due later than its connection was free
 * counts from when this program woke up for it: that delay is ours.
 *
 * streams: N event streams of pacer at the same time, the starts spread evenly; measures from the sending of an event to its arrival, and from
 * a request to its first event.
 *
 * idle: N connections that ask once each and then stay. Says "ready" when all have, and ends when told to.
 */
#include "bench.h"
#include "codec/sse.h"
#include "net/http_client.h"
#include "rt/scope.h"
#include "rt/sock.h"

#include <inttypes.h>

#define KEY "bench-key-0123456789abcdef"

static struct hist latency, first, delay;
static uint64_t done, failed, late;
static struct addr to;
static struct upstream *upstream;
static struct str body;

static const char *first_failure;

/* Failures are counted; the first is told. */
static void note_failure(const char *text)
{
    if (failed++ == 0)
        first_failure = strdup(text);
}

static void open_upstream(long connections)
{
    struct upstream_options o = {.host = STR("127.0.0.1"),
                                 .port = addr_port(&to),
                                 .max_connections = (unsigned)connections,
                                 .max_idle = (unsigned)connections,
                                 .max_waiting = (unsigned)connections};
    upstream = upstream_new(&o);
}

/* Ask with `headers` besides the usual two, and wait for the head of a 200. The caller closes the call. */
static SUSPENDS err_t ask(struct arena *a, struct http_header extra, struct http_call **ret)
{
    struct http_header headers[] = {
        {STR("content-type"), STR("application/json")}, {STR("authorization"), STR("Bearer " KEY)}, extra};
    struct http_call_options o = {.method = STR("POST"),
                                  .target = STR("/v1/chat/completions"),
                                  .headers = headers,
                                  .count = extra.name.n ? 3 : 2,
                                  .body = &body,
                                  .body_parts = 1};

    TRY(http_call_open(upstream, a, &o, NULL, ret));
    int status = http_call_head(*ret)->status;
    if (status == 200)
        return OK;
    http_call_close(*ret);
    *ret = NULL;
    return fail(E_UPSTREAM, "status %d", status);
}

/* ---- rate ---- */

struct schedule {
    ns_t began, gap;
    long next, count;
    bool measure;
};

static SUSPENDS err_t ask_once(void)
{
    struct arena a CLEANUP(arena_release);
    struct http_call *call = NULL;
    struct str answer;

    arena_init(&a, SIZE_MAX / 2);
    TRY(ask(&a, (struct http_header){0}, &call));
    err_t e = http_call_all(call, NS_NEVER, 1U << 20, &answer);
    http_call_close(call);
    return e;
}

static SUSPENDS err_t rate_connection(void *arg)
{
    struct schedule *s = arg;

    while (s->next < s->count) {
        ns_t due = s->began + s->next++ * s->gap;
        if (rt_now_exact() < due) {
            TRY(fiber_sleep_until(due));
            due = rt_now_exact();
        }
        if (ask_once() != OK) {
            note_failure(err_current()->text);
            continue;
        }
        done++;
        if (s->measure)
            hist_add(&latency, rt_now_exact() - due);
    }
    return OK;
}

static SUSPENDS err_t rate_run(long rate, long count, long connections, bool measure)
{
    struct schedule s = {.began = rt_now_exact(), .gap = NS_SEC / rate, .count = count, .measure = measure};
    SCOPE(all, NS_NEVER);

    for (long i = 0; i < connections; i++)
        (void)scope_spawn(&all, "connection", rate_connection, &s);
    return scope_wait_all(&all);
}

struct arguments {
    int argc;
    char **argv;
};

static SUSPENDS err_t rate_main(void *arg)
{
    const struct arguments *a = arg;
    long rate = option_number(a->argc, a->argv, "rate", 1000), count = option_number(a->argc, a->argv, "count", 1000);
    long connections = option_number(a->argc, a->argv, "connections", 64);

    open_upstream(connections);
    TRY(rate_run(1000000, connections * 20, connections, false)); /* as fast as it goes: all connections are used */
    wait_for_go();
    done = failed = 0;
    ns_t began = rt_now_exact();
    TRY(rate_run(rate, count, connections, true));
    (void)printf("{\"seconds\":%.3f,", (double)(rt_now_exact() - began) / 1e9);
    hist_print("latency", &latency);
    (void)printf("\"done\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"why\":\"%s\"}\n", done, failed,
                 first_failure ? first_failure : "");
    upstream_free(upstream);
    return OK;
}

/* ---- streams ---- */

enum { LATE = 100 };

struct stream_plan {
    ns_t began, spread, lasts;
    long next, count, rounds;
    struct str asked; /* value of x-bench */
    bool measure;
};

static void take_event(const struct sse_event *event, ns_t sent, bool *is_first)
{
    size_t at = str_find_char(event->data, '@');
    uint64_t stamp = 0;

    for (size_t i = at + 1; i < event->data.n && event->data.p[i] >= '0' && event->data.p[i] <= '9'; i++)
        stamp = stamp * 10 + (uint64_t)(event->data.p[i] - '0');
    if (!stamp)
        return;
    ns_t now = rt_now_exact();
    if (*is_first)
        hist_add(&first, now - sent);
    *is_first = false;
    hist_add(&delay, now - (ns_t)stamp);
    late += now - (ns_t)stamp > LATE * NS_MS;
}

static SUSPENDS err_t read_stream(struct http_call *call, ns_t sent, bool measure)
{
    struct sse framer CLEANUP(sse_release);
    struct sse_event event;
    struct str piece = STR_NONE;
    bool is_first = true, ended = false;

    sse_init(&framer, 0);
    for (;;) {
        TRY(http_call_next(call, NS_NEVER, &piece));
        if (!piece.p)
            return ended ? OK : fail(E_EOF, "stream without [DONE]");
        while (sse_next(&framer, &piece, &event) == SSE_EVENT) {
            ended = str_eq(event.data, STR("[DONE]"));
            if (measure)
                take_event(&event, sent, &is_first);
        }
    }
}

static SUSPENDS err_t stream_once(struct stream_plan *p)
{
    struct arena a CLEANUP(arena_release);
    struct http_call *call = NULL;
    ns_t sent = rt_now_exact();

    arena_init(&a, SIZE_MAX / 2);
    TRY(ask(&a, (struct http_header){STR("x-bench"), p->asked}, &call));
    err_t e = read_stream(call, sent, p->measure);
    http_call_close(call);
    return e;
}

static SUSPENDS err_t stream_rounds(void *arg)
{
    struct stream_plan *p = arg;
    ns_t start = p->began + p->spread * p->next++ / p->count;

    for (long i = 0; i < p->rounds; i++) {
        TRY(fiber_sleep_until(start + i * p->lasts));
        if (stream_once(p) == OK)
            done++;
        else
            note_failure(err_current()->text);
    }
    return OK;
}

static SUSPENDS err_t streams_run(struct stream_plan *p)
{
    SCOPE(all, NS_NEVER);

    p->began = rt_now_exact();
    p->next = 0;
    for (long i = 0; i < p->count; i++)
        (void)scope_spawn(&all, "stream", stream_rounds, p);
    return scope_wait_all(&all);
}

static SUSPENDS err_t streams_main(void *arg)
{
    const struct arguments *a = arg;
    long count = option_number(a->argc, a->argv, "count", 200), events = option_number(a->argc, a->argv, "events", 100);
    long gap_us = option_number(a->argc, a->argv, "gap_us", 20000);
    long spread_us = option_number(a->argc, a->argv, "spread_us", gap_us);
    char warm[64], asked[64];
    struct stream_plan p = {.spread = spread_us * NS_US,
                            .count = count,
                            .rounds = 1,
                            .asked = str_of(warm, (size_t)snprintf(warm, sizeof warm, "2 %ld", spread_us + 100000))};

    open_upstream(count + 16);
    if (option_number(a->argc, a->argv, "warm", 1))
        TRY(streams_run(&p)); /* all at the same time: each has its connection then */
    wait_for_go();
    done = failed = 0;
    p.measure = true;
    p.rounds = option_number(a->argc, a->argv, "rounds", 1);
    p.lasts = events * gap_us * NS_US + 50 * NS_MS;
    p.asked = str_of(asked, (size_t)snprintf(asked, sizeof asked, "%ld %ld", events, gap_us));
    TRY(streams_run(&p));
    (void)printf("{");
    hist_print("delay", &delay);
    hist_print("first", &first);
    (void)printf("\"late\":%" PRIu64 ",\"done\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"why\":\"%s\"}\n", late, done,
                 failed, first_failure ? first_failure : "");
    upstream_free(upstream);
    return OK;
}

/* ---- idle ---- */

enum { AT_A_TIME = 32, IDLE_MAX = 200000 };

struct idle {
    struct sock *socks[IDLE_MAX];
    long next, count;
    struct str request;
};

/* Read one answer that has a content-length; servers differ in the case of its name. */
static SUSPENDS err_t read_answer(struct sock *s)
{
    char text[16384];
    size_t have = 0, n;

    while (have < sizeof text) {
        TRY(sock_read(s, text + have, sizeof text - have, &n));
        if (n == 0)
            return fail(E_EOF, "closed instead of an answer");
        for (size_t i = have; i < have + n; i++)
            text[i] = ascii_lower(text[i]);
        have += n;
        struct str all = str_of(text, have), rest;
        size_t end = str_find(all, STR("\r\n\r\n")), at = str_find(all, STR("content-length: "));
        uint64_t length;
        if (end == have || at == have)
            continue;
        rest = str_slice(all, at + 16, end);
        if (!str_to_u64(str_cut(&rest, '\r'), sizeof text, &length))
            return fail(E_PARSE, "content-length");
        if (have >= end + 4 + length)
            return str_starts(all, STR("http/1.1 200")) ? OK : fail(E_UPSTREAM, "%.12s", text);
    }
    return fail(E_TOO_LARGE, "answer");
}

static SUSPENDS err_t idle_opener(void *arg)
{
    struct idle *idle = arg;

    while (idle->next < idle->count) {
        struct sock **s = &idle->socks[idle->next++];
        TRY(sock_connect(&to, s));
        TRY(sock_write(*s, idle->request.p, idle->request.n));
        TRY(read_answer(*s));
    }
    return OK;
}

static SUSPENDS err_t open_all(struct idle *idle)
{
    SCOPE(all, NS_NEVER);

    for (int i = 0; i < AT_A_TIME; i++)
        (void)scope_spawn(&all, "opener", idle_opener, idle);
    return scope_wait_all(&all);
}

static SUSPENDS err_t idle_main(void *arg)
{
    static struct idle idle;
    static struct buf request = BUF_INIT(1U << 20);
    const struct arguments *a = arg;
    long open = 0;

    idle.count = option_number(a->argc, a->argv, "count", 1000);
    if (idle.count > IDLE_MAX)
        return fail(E_TOO_LARGE, "--count");
    buf_addf(&request,
             "POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
             "authorization: Bearer " KEY "\r\ncontent-length: %zu\r\n\r\n%.*s",
             body.n, STR_ARG(body));
    idle.request = buf_str(&request);
    TRY(open_all(&idle));
    wait_for_go();
    TRY(fiber_yield());
    for (long i = 0; i < idle.count; i++) {
        open += !sock_peer_closed(idle.socks[i]);
        sock_close(idle.socks[i]);
    }
    (void)printf("{\"open\":%ld}\n", open);
    buf_release(&request);
    return OK;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        fiber_fn *run;
    } loads[] = {{"rate", rate_main}, {"streams", streams_main}, {"idle", idle_main}};
    struct arguments a = {argc, argv};

    for (size_t i = 0; i < ARRAY_LEN(loads); i++)
        if (argc > 1 && strcmp(argv[1], loads[i].name) == 0) {
            to = option_addr(argc, argv, "to", "127.0.0.1:8080");
            body = str_from_c(option(argc, argv, "body", "{}"));
            return bench_run(loads[i].run, &a);
        }
    (void)fputs("usage: load rate|streams|idle --to ADDR ... (see bench/load.c)\n", stderr);
    return 2;
}
