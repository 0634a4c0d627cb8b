/*
 * codec_bench.c - nanoseconds per operation of the codecs on the request path, on one core.
 *
 * Each case is timed in rounds and the best round counts, since everything that disturbs it makes it slower. Inputs are made up
 * like what official SDKs send. `codec_bench [name]` runs the cases whose name has that in it.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "codec/http1.h"
#include "codec/json_scan.h"
#include "codec/sse.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <yyjson.h>

static const char request_head[] =
    "POST /v1/chat/completions HTTP/1.1\r\n"
    "Host: 127.0.0.1:8080\r\n"
    "Accept-Encoding: gzip, deflate\r\n"
    "Connection: keep-alive\r\n"
    "Accept: application/json\r\n"
    "Content-Type: application/json\r\n"
    "User-Agent: OpenAI/Python 1.52.0\r\n"
    "X-Stainless-Lang: python\r\n"
    "X-Stainless-Package-Version: 1.52.0\r\n"
    "X-Stainless-OS: Linux\r\n"
    "X-Stainless-Arch: x64\r\n"
    "X-Stainless-Runtime: CPython\r\n"
    "X-Stainless-Runtime-Version: 3.11.2\r\n"
    "Authorization: Bearer sk-proj-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRST\r\n"
    "X-Stainless-Async: false\r\n"
    "x-stainless-retry-count: 0\r\n"
    "Content-Length: 1024\r\n"
    "\r\n";

static const char response_head[] = "HTTP/1.1 200 OK\r\n"
                                    "Date: Mon, 02 Nov 2026 10:00:00 GMT\r\n"
                                    "Content-Type: application/json\r\n"
                                    "Content-Length: 512\r\n"
                                    "Connection: keep-alive\r\n"
                                    "openai-processing-ms: 312\r\n"
                                    "x-ratelimit-remaining-requests: 9999\r\n"
                                    "x-request-id: req_0123456789abcdef0123456789abcdef\r\n"
                                    "\r\n";

/* Keeps the compiler from leaving work out. */
static volatile uint64_t sink;

struct inputs {
    struct arena arena;
    struct http1 http1;
    struct http_head head;
    struct buf out;
    struct str chat_1k, chat_64k, pretty_64k, utf8_64k, numbers_64k, events;
};

typedef void case_fn(struct inputs *in);

static double seconds(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- inputs --- */

static const char words[] = "The gateway stands between applications and models, and what it reads it must read once. ";

/* A chat request with messages until it has `size` bytes. */
static struct str make_chat(size_t size, const char *text, size_t unit, const char *gap)
{
    struct buf b = BUF_INIT(1 << 20);

    (void)buf_addf(&b, "{%s\"model\":%s\"gpt-4o-mini\",%s\"temperature\":0.7,\"stream\":false,%s\"messages\":[", gap,
                   gap, gap, gap);
    for (int i = 0; b.n + unit + 60 < size; i++) {
        (void)buf_addf(&b, "%s{%s\"role\":\"%s\",%s\"content\":\"", i ? "," : "", gap, i % 2 ? "assistant" : "user",
                       gap);
        for (size_t n = 0; n < unit && b.n + 40 < size; n += strlen(text))
            (void)buf_addf(&b, "%s%s", text, n % 5 ? "" : "\\n");
        (void)buf_addf(&b, "\"%s}", gap);
    }
    (void)buf_addf(&b, "],%s\"user\":\"u-1\"}", gap);
    return buf_str(&b);
}

static struct str make_numbers(size_t size)
{
    struct buf b = BUF_INIT(1 << 20);

    (void)buf_addf(&b, "{\"object\":\"list\",\"data\":[");
    for (int i = 0; b.n + 40 < size; i++)
        (void)buf_addf(&b, "%s%.9f", i ? "," : "", (i * 7919 % 20011 - 10005) / 200110.0);
    (void)buf_addf(&b, "]}");
    return buf_str(&b);
}

static struct str make_events(void)
{
    struct buf b = BUF_INIT(1 << 20);

    for (int i = 0; i < 64; i++)
        (void)buf_addf(&b,
                       "data: {\"id\":\"chatcmpl-7\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,"
                       "\"model\":\"gpt-4o-mini\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word%d\"},"
                       "\"finish_reason\":null}],\"usage\":null}\n\n",
                       i % 10);
    return buf_str(&b);
}

/* --- cases --- */

static void parse_head(struct inputs *in, enum http1_role role, struct str text)
{
    struct str body;

    arena_clear(&in->arena);
    http1_init(&in->http1, role, NULL);
    http1_begin(&in->http1, &in->arena, &in->head);
    if (http1_next(&in->http1, &text, &body) != HTTP1_HEAD)
        abort();
    sink += in->head.count;
}

static void http1_request(struct inputs *in)
{
    parse_head(in, HTTP1_REQUEST, str_of(request_head, sizeof request_head - 1));
}

static void http1_response(struct inputs *in)
{
    parse_head(in, HTTP1_RESPONSE, str_of(response_head, sizeof response_head - 1));
}

static void http1_find(struct inputs *in)
{
    struct str names[] = {STR("authorization"), STR("content-type"), STR("Accept"), STR("x-api-key"), STR("expect")};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        sink += http_head_find(&in->head, names[i]).n;
}

static void http1_write(struct inputs *in)
{
    static const struct http_header headers[] = {
        {STR_INIT("host"), STR_INIT("api.openai.com")},
        {STR_INIT("content-type"), STR_INIT("application/json")},
        {STR_INIT("authorization"),
         STR_INIT("Bearer sk-proj-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRST")},
        {STR_INIT("accept"), STR_INIT("application/json")},
        {STR_INIT("user-agent"), STR_INIT("crossdock/0.1")},
        {STR_INIT("content-length"), STR_INIT("1024")},
    };

    buf_clear(&in->out);
    if (http1_write_request_head(&in->out, STR("POST"), STR("/v1/chat/completions"), headers, ARRAY_LEN(headers)) != OK)
        abort();
    sink += in->out.n;
}

static void http1_write_answer(struct inputs *in)
{
    static const struct http_header headers[] = {
        {STR_INIT("content-type"), STR_INIT("application/json")},
        {STR_INIT("x-request-id"), STR_INIT("req_0123456789abcdef0123456789abcdef")},
        {STR_INIT("date"), STR_INIT("Mon, 02 Nov 2026 10:00:00 GMT")},
        {STR_INIT("content-length"), STR_INIT("512")},
    };

    buf_clear(&in->out);
    if (http1_write_response_head(&in->out, 200, headers, ARRAY_LEN(headers)) != OK)
        abort();
    sink += in->out.n;
}

static void scan(struct str doc, unsigned flags)
{
    static const struct str watch[] = {STR_INIT("model"), STR_INIT("stream"), STR_INIT("usage"), STR_INIT("error")};
    struct json_scan s CLEANUP(json_scan_release);
    struct json_member m;
    enum json_scan_result r;

    json_scan_init(&s, watch, ARRAY_LEN(watch), 0, flags);
    while ((r = json_scan_next(&s, &doc, &m)) == JSON_MEMBER)
        sink += m.at.to;
    if (r != JSON_MORE || json_scan_end(&s) != JSON_DONE)
        abort();
}

static void read_tree(struct str doc)
{
    yyjson_doc *tree = yyjson_read(doc.p, doc.n, 0);
    if (!tree)
        abort();
    sink += yyjson_doc_get_val_count(tree);
    yyjson_doc_free(tree);
}

static void scan_1k(struct inputs *in)
{
    scan(in->chat_1k, 0);
}
static void scan_1k_utf8(struct inputs *in)
{
    scan(in->chat_1k, JSON_CHECK_UTF8);
}
static void yyjson_1k(struct inputs *in)
{
    read_tree(in->chat_1k);
}
static void scan_64k(struct inputs *in)
{
    scan(in->chat_64k, 0);
}
static void yyjson_64k(struct inputs *in)
{
    read_tree(in->chat_64k);
}
static void scan_pretty(struct inputs *in)
{
    scan(in->pretty_64k, 0);
}
static void yyjson_pretty(struct inputs *in)
{
    read_tree(in->pretty_64k);
}
static void scan_utf8(struct inputs *in)
{
    scan(in->utf8_64k, JSON_CHECK_UTF8);
}
static void yyjson_utf8(struct inputs *in)
{
    read_tree(in->utf8_64k);
}
static void scan_numbers(struct inputs *in)
{
    scan(in->numbers_64k, 0);
}
static void yyjson_numbers(struct inputs *in)
{
    read_tree(in->numbers_64k);
}
static void scan_event(struct inputs *in)
{
    scan(str_slice(in->events, 6, str_find_char(in->events, '\n')), 0);
}

static void sse_64_events(struct inputs *in)
{
    struct sse s CLEANUP(sse_release);
    struct sse_event e;
    struct str text = in->events;
    unsigned count = 0;

    sse_init(&s, 0);
    while (sse_next(&s, &text, &e) == SSE_EVENT) {
        sink += e.data.n;
        count++;
    }
    if (count != 64)
        abort();
}

static void sha256_51(struct inputs *in)
{
    unsigned char hash[SHA256_BYTES];

    (void)in;
    sha256(STR("sk-proj-0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"), hash);
    sink += hash[0];
}

static void hmac_51(struct inputs *in)
{
    unsigned char mac[SHA256_BYTES];
    struct str part = STR("sk-proj-0123456789abcdefghijklmnopqrstuvwxyzABCDEFG");

    (void)in;
    hmac_sha256(STR("0123456789abcdef0123456789abcdef"), &part, 1, mac);
    sink += mac[0];
}

static void write_date(struct inputs *in)
{
    char out[HTTP_DATE_LEN];

    http_date(out, (int64_t)(1790000000 + in->out.n));
    sink += (unsigned char)out[5];
}

/* --- running --- */

static double best_of(case_fn *fn, struct inputs *in, unsigned ops)
{
    double best = 1e9;

    for (int round = 0; round < 15; round++) {
        double start = seconds();
        for (unsigned i = 0; i < ops; i++)
            fn(in);
        double t = (seconds() - start) / ops;
        best = t < best ? t : best;
    }
    return best * 1e9;
}

int main(int argc, char **argv)
{
    static struct inputs in;
    const struct {
        const char *name;
        case_fn *fn;
        unsigned per;   /* operations in one call   */
        size_t bytes;   /* handled in one call      */
        unsigned calls; /* in a round               */
    } cases[] = {
        {"http1 request head, 16 headers", http1_request, 1, sizeof request_head - 1, 20000},
        {"http1 response head, 7 headers", http1_response, 1, sizeof response_head - 1, 20000},
        {"http1 5 header look-ups", http1_find, 1, 0, 20000},
        {"http1 write request head, 6 headers", http1_write, 1, 0, 20000},
        {"http1 write response head, 4 headers", http1_write_answer, 1, 0, 20000},
        {"http date", write_date, 1, 0, 20000},
        {"json_scan chat 1 KiB", scan_1k, 1, 1024, 20000},
        {"json_scan chat 1 KiB, UTF-8 checked", scan_1k_utf8, 1, 1024, 20000},
        {"yyjson_read chat 1 KiB", yyjson_1k, 1, 1024, 20000},
        {"json_scan chat 64 KiB", scan_64k, 1, 65536, 1000},
        {"yyjson_read chat 64 KiB", yyjson_64k, 1, 65536, 1000},
        {"json_scan indented 64 KiB", scan_pretty, 1, 65536, 1000},
        {"yyjson_read indented 64 KiB", yyjson_pretty, 1, 65536, 1000},
        {"json_scan CJK 64 KiB, UTF-8 checked", scan_utf8, 1, 65536, 500},
        {"yyjson_read CJK 64 KiB", yyjson_utf8, 1, 65536, 500},
        {"json_scan numbers 64 KiB", scan_numbers, 1, 65536, 500},
        {"yyjson_read numbers 64 KiB", yyjson_numbers, 1, 65536, 500},
        {"json_scan of an event", scan_event, 1, 200, 20000},
        {"sse framing, 200-byte event", sse_64_events, 64, 64 * 200, 500},
        {"sha256 of 51 bytes", sha256_51, 1, 0, 10000},
        {"hmac-sha256 of 51 bytes", hmac_51, 1, 0, 10000},
    };

    arena_init(&in.arena, 1 << 20);
    buf_init(&in.out, 1 << 20);
    in.chat_1k = make_chat(1024, words, 200, "");
    in.chat_64k = make_chat(65536, words, 1000, "");
    in.pretty_64k = make_chat(65536, words, 60, "\n            ");
    in.utf8_64k = make_chat(65536, "\xe6\xa8\xa1\xe5\x9e\x8b\xe7\xbd\x91\xe5\x85\xb3", 1000, "");
    in.numbers_64k = make_numbers(65536);
    in.events = make_events();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (argc > 1 && !strstr(cases[i].name, argv[1]))
            continue;
        if (cases[i].fn == http1_find)
            http1_request(&in);
        double ns = best_of(cases[i].fn, &in, cases[i].calls);
        printf("%-38s %9.1f ns", cases[i].name, ns / cases[i].per);
        if (cases[i].bytes)
            printf("  %6.2f GB/s", (double)cases[i].bytes / ns);
        printf("\n");
    }
    arena_release(&in.arena);
    buf_release(&in.out);
    mem_free((char *)(uintptr_t)in.chat_1k.p);
    mem_free((char *)(uintptr_t)in.chat_64k.p);
    mem_free((char *)(uintptr_t)in.pretty_64k.p);
    mem_free((char *)(uintptr_t)in.utf8_64k.p);
    mem_free((char *)(uintptr_t)in.numbers_64k.p);
    mem_free((char *)(uintptr_t)in.events.p);
    return 0;
}
