/*
 * mix.c - everything that clients do, at the same time, for hours: the load of bench/soak.
 *
 *     mix --to ADDR --seconds N --connections N --seed N
 *
 * Each connection draws what it does next: small and large questions, streams, answers that are abandoned halfway, to the models that
 * bench/soak has configured. What came back is sorted into classes and counted by model; the counts are printed as one line of
 * JSON. This program does not know which faults were injected: bench/soak compares.
 */
#include "base/prng.h"
#include "bench.h"
#include "codec/json_scan.h"
#include "codec/sse.h"
#include "net/http_client.h"
#include "rt/scope.h"

#include <inttypes.h>

#define KEY "bench-key-0123456789abcdef"

enum { LARGE = 300 * 1024, ANSWER_MAX = 16 << 20 };

enum class {
    CLASS_OK,
    CLASS_LEFT, /* we left, as planned                                                     */
    CLASS_429,
    CLASS_500,
    CLASS_502,
    CLASS_503,
    CLASS_504,
    CLASS_OTHER_STATUS,
    CLASS_ERROR_EVENT, /* the stream ended with an error event that passed on the provider's words */
    CLASS_INTERRUPTED, /* ... that says the provider broke off                                    */
    CLASS_TIMEOUT,     /* ... or stopped                                                          */
    CLASS_MALFORMED,   /* 200, but the answer is not JSON, or a stream without an end             */
    CLASS_BROKEN,      /* the connection broke within the answer                                  */
    CLASS_NO_ANSWER,   /* ... or before it                                                        */
    CLASSES
};

static const char *const class_names[CLASSES] = {
    [CLASS_OK] = "ok",
    [CLASS_LEFT] = "left",
    [CLASS_429] = "429",
    [CLASS_500] = "500",
    [CLASS_502] = "502",
    [CLASS_503] = "503",
    [CLASS_504] = "504",
    [CLASS_OTHER_STATUS] = "other_status",
    [CLASS_ERROR_EVENT] = "error_event",
    [CLASS_INTERRUPTED] = "interrupted",
    [CLASS_TIMEOUT] = "timeout",
    [CLASS_MALFORMED] = "malformed",
    [CLASS_BROKEN] = "broken",
    [CLASS_NO_ANSWER] = "no_answer",
};

/* What a connection may do, and how often. */
static const struct errand {
    const char *model;
    unsigned weight;
    bool stream, large, leave;
} errands[] = {
    {"steady", 30, false, false, false},  {"steady", 20, true, false, false},  {"steady", 4, false, true, false},
    {"covered", 12, false, false, false}, {"covered", 10, true, false, false}, {"raw", 7, false, false, false},
    {"raw", 7, true, false, false},       {"slow", 8, true, false, true},      {"slow", 2, false, false, true},
};

enum { ERRANDS = ARRAY_LEN(errands) };

static struct addr to;
static struct upstream *upstream;
static struct prng draws;
static ns_t end;
static char large[LARGE];
static uint64_t counts[ERRANDS][CLASSES];

static enum class class_of_status(int status) {
    switch (status){
        case 429 : return CLASS_429; case 500 : return CLASS_500; case 502 : return CLASS_502;
        case 503 : return CLASS_503;
        case 504 : return CLASS_504;
        default : return CLASS_OTHER_STATUS;
    }
}

static enum class class_of_event(struct str data) {
    if (str_find(data, STR("stream_interrupted")) < data.n) return CLASS_INTERRUPTED;
    return str_find(data, STR("stream_timeout")) < data.n ? CLASS_TIMEOUT : CLASS_ERROR_EVENT;
}

static SUSPENDS err_t read_stream(struct http_call *call, ns_t leave_at, enum class *ret)
{
    struct sse framer CLEANUP(sse_release);
    struct sse_event event;
    struct str piece = STR_NONE;

    sse_init(&framer, 0);
    *ret = CLASS_MALFORMED;
    for (;;) {
        TRY(http_call_next(call, leave_at, &piece));
        if (!piece.p)
            return OK;
        while (sse_next(&framer, &piece, &event) == SSE_EVENT) {
            if (str_eq(event.data, STR("[DONE]")))
                *ret = CLASS_OK;
            else if (str_find(event.data, STR("\"error\":{")) < event.data.n)
                *ret = class_of_event(event.data);
        }
    }
}

static SUSPENDS err_t read_whole(struct http_call *call, ns_t leave_at, enum class *ret)
{
    struct str answer;

    TRY(http_call_all(call, leave_at - rt_now(), ANSWER_MAX, &answer));
    *ret = json_valid(answer, 0) ? CLASS_OK : CLASS_MALFORMED;
    return OK;
}

static SUSPENDS err_t read_answer(const struct errand *what, struct http_call *call, ns_t leave_at, enum class *ret)
{
    int status = http_call_head(call)->status;

    if (status == 200)
        return what->stream ? read_stream(call, leave_at, ret) : read_whole(call, leave_at, ret);
    struct str answer;
    TRY(http_call_all(call, leave_at - rt_now(), ANSWER_MAX, &answer));
    *ret = class_of_status(status);
    return OK;
}

static SUSPENDS enum class run_errand(const struct errand *what, struct arena *a) {
    struct http_call *call CLEANUP(http_call_close_p) = NULL;
    ns_t leave_at = what->leave ? rt_now_exact() + prng_range(&draws, NS_MS, 800 * NS_MS) : NS_NEVER;
    struct str head =
        arena_printf(a, "{\"model\":\"%s\",\"stream\":%s,\"messages\":[{\"role\":\"user\",\"content\":\"%" PRIu64 " ",
                     what->model, what->stream ? "true" : "false", prng_below(&draws, 1000));
    struct str parts[] = {head, str_of(large, what->large ? LARGE : 200 + prng_below(&draws, 2000)), STR("\"}]}")};
    struct http_header headers[] = {{STR("content-type"), STR("application/json")},
                                    {STR("authorization"), STR("Bearer " KEY)}};
    struct http_call_options o = {.method = STR("POST"),
                                  .target = STR("/v1/chat/completions"),
                                  .headers = headers,
                                  .count = ARRAY_LEN(headers),
                                  .body = parts,
                                  .body_parts = ARRAY_LEN(parts),
                                  .first_byte_by = leave_at};
    enum class found = CLASS_OK;

    if (http_call_open(upstream, a, &o, NULL, &call) != OK) return what->leave && rt_now_exact() >= leave_at
        ? CLASS_LEFT
        : CLASS_NO_ANSWER;
    if (read_answer(what, call, leave_at, &found) != OK) return what->leave && rt_now_exact() >= leave_at
        ? CLASS_LEFT
        : CLASS_BROKEN;
    return found;
}

static unsigned draw_errand(void)
{
    unsigned all = 0;

    for (unsigned i = 0; i < ERRANDS; i++)
        all += errands[i].weight;
    uint64_t at = prng_below(&draws, all);
    unsigned i = 0;
    for (; at >= errands[i].weight; i++)
        at -= errands[i].weight;
    return i;
}

static SUSPENDS err_t connection(void *arg UNUSED)
{
    struct arena a CLEANUP(arena_release);

    arena_init(&a, SIZE_MAX / 2);
    while (rt_now() < end) {
        unsigned what = draw_errand();
        enum class found = run_errand(&errands[what], &a);
        counts[what][found]++;
        arena_clear(&a);
    }
    return OK;
}

static void print_counts(void)
{
    (void)printf("[");
    for (unsigned i = 0; i < ERRANDS; i++) {
        (void)printf("%s{\"model\":\"%s\",\"stream\":%s,\"large\":%s", i ? "," : "", errands[i].model,
                     errands[i].stream ? "true" : "false", errands[i].large ? "true" : "false");
        for (unsigned c = 0; c < CLASSES; c++)
            if (counts[i][c])
                (void)printf(",\"%s\":%" PRIu64, class_names[c], counts[i][c]);
        (void)printf("}");
    }
    say("]");
}

struct arguments {
    int argc;
    char **argv;
};

static SUSPENDS err_t mix_main(void *arg)
{
    const struct arguments *a = arg;
    long connections = option_number(a->argc, a->argv, "connections", 64);
    struct upstream_options o = {.host = STR("127.0.0.1"), .port = addr_port(&to)};
    SCOPE(all, NS_NEVER);

    memset(large, 'w', sizeof large);
    prng_seed(&draws, (uint64_t)option_number(a->argc, a->argv, "seed", 1));
    upstream = upstream_new(&o);
    end = rt_now() + option_number(a->argc, a->argv, "seconds", 10) * NS_SEC;
    for (long i = 0; i < connections; i++)
        (void)scope_spawn(&all, "client", connection, NULL);
    err_t e = scope_wait_all(&all);
    print_counts();
    upstream_free(upstream);
    return e;
}

int main(int argc, char **argv)
{
    struct arguments a = {argc, argv};

    to = option_addr(argc, argv, "to", "127.0.0.1:8080");
    return bench_run(mix_main, &a);
}
