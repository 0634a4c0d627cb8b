/*
 * memory_faults.c - requests of which some buf or arena finds its limit reached: the N-th that asks, for each N.
 *
 * What must hold: the client is told, once, in an answer with an error, or by an error event, or, when the head of a good answer has left
 * already, by a body that does not end properly; or it gets the right answer. The gateway records a request once at most. The scenarios
 * of gateway_faults.c are swept this way, too; these are about what only has to do with size.
 */
#include "fault/fault.h"

#include "codec/json_scan.h"
#include "rt/loop.h"
#include "sim/house.h"

#include <string.h>

#define ONLY .only = "memory"

enum { FEW = 2 };

/* A limit is one request's affair: nobody else's request notices, and the one that does is answered. */
static void check_told(struct house *h, const struct outcome *o)
{
    unsigned failed = 0;

    for (unsigned i = 0; i < FEW; i++) {
        EXPECT(fault_has_struck() || o[i].result == OK, "client %u without a fault: %s", i, o[i].text);
        EXPECT(o[i].result == OK || o[i].status != 0, "client %u was not answered: %s", i, o[i].text);
        EXPECT(o[i].status != 400, "client %u is blamed for what the gateway has lost", i);
        failed += o[i].result != OK;
    }
    EXPECT(failed <= 1, "one limit has broken all requests: %s, %s", o[0].text, o[1].text);
    EXPECT(h->facts_total <= FEW, "%u requests were recorded", h->facts_total);
}

static err_t ask_plain(struct client *c)
{
    struct question q = {.id = c->index, .tokens = 40};

    return house_ask(c, &q, STR("chat"));
}

FAULT_SCENARIO(memory_of_a_plain_request, ONLY)
{
    return house_run(w, &(struct house_plan){.clients = FEW, .fn = ask_plain, .check = check_told});
}

static err_t ask_stream(struct client *c)
{
    struct question q = {.id = c->index, .tokens = 8, .stream = true};

    return house_ask(c, &q, STR("chat"));
}

/* Lines so narrow that each event comes in many reads, and has to be put together. */
static void narrow_lines(struct sim_options *o, struct prng *p)
{
    (void)p;
    o->socket_buffer = 100;
}

FAULT_SCENARIO(memory_of_a_stream_over_narrow_lines, ONLY, .prepare = narrow_lines)
{
    return house_run(w, &(struct house_plan){.clients = FEW, .fn = ask_stream, .check = check_told});
}

FAULT_SCENARIO(memory_of_a_plain_request_over_narrow_lines, ONLY, .prepare = narrow_lines)
{
    return house_run(w, &(struct house_plan){.clients = FEW, .fn = ask_plain, .check = check_told});
}

FAULT_SCENARIO(memory_of_a_stream, ONLY)
{
    return house_run(w, &(struct house_plan){.clients = FEW, .fn = ask_stream, .check = check_told});
}

/* The provider breaks off or talks nonsense: the gateway makes up the error event itself. */
static err_t ask_broken_stream(struct client *c)
{
    err_t e = ask_stream(c);

    return e == E_UPSTREAM && c->outcome->status == 200 ? OK : e;
}

FAULT_SCENARIO(memory_of_a_stream_that_breaks_off, ONLY)
{
    return house_run(
        w, &(struct house_plan){.clients = FEW, .fixed = BREAK_OFF, .fn = ask_broken_stream, .check = check_told});
}

FAULT_SCENARIO(memory_of_a_stream_of_nonsense, ONLY)
{
    return house_run(
        w, &(struct house_plan){.clients = FEW, .fixed = GARBAGE, .fn = ask_broken_stream, .check = check_told});
}

/* An error of the gateway's own making. */
static err_t ask_for_nothing(struct client *c)
{
    struct question q = {.id = c->index, .tokens = 1};
    err_t e = house_ask(c, &q, STR("no-such-model"));

    EXPECT(fault_has_struck() || c->outcome->status == 404, "without a fault: status %d", c->outcome->status);
    return e == E_UPSTREAM && c->outcome->status == 404 ? OK : e;
}

FAULT_SCENARIO(memory_of_an_error, ONLY)
{
    return house_run(w, &(struct house_plan){.clients = FEW, .fn = ask_for_nothing, .check = check_told});
}

static err_t ask_the_busy(struct client *c)
{
    struct question q = {.id = c->index, .tokens = 1};
    err_t e = house_ask(c, &q, STR("chat"));

    return e == E_UPSTREAM && c->outcome->status == 503 ? OK : e;
}

FAULT_SCENARIO(memory_of_a_fallback, ONLY)
{
    return house_run(w, &(struct house_plan){.clients = FEW, .fixed = BUSY, .fn = ask_the_busy, .check = check_told});
}

static err_t upload(struct client *c)
{
    return house_upload(c, &(struct upload_plan){.n = 30000, .piece = 4000, .sized = c->index % 2});
}

FAULT_SCENARIO(memory_of_an_upload, ONLY)
{
    return house_run(w, &(struct house_plan){.clients = FEW, .fn = upload, .check = check_told});
}

static err_t download(struct client *c)
{
    return house_download(c, 30000 + c->index, 0);
}

FAULT_SCENARIO(memory_of_a_download, ONLY)
{
    return house_run(w, &(struct house_plan){.clients = FEW, .fn = download, .check = check_told});
}

/* --- bodies that do not come in one read, and options to be rewritten --- */

enum { PADDING = 50000, PIECE = 9000 };

static err_t next_piece(void *ctx, struct str *ret_piece)
{
    struct str *rest = ctx;
    size_t n = rest->n < PIECE ? rest->n : PIECE;

    *ret_piece = n ? str_slice(*rest, 0, n) : STR_NONE;
    *rest = str_slice(*rest, n, rest->n);
    return OK;
}

static struct str large_body(const struct question *q, struct arena *arena)
{
    char *padding = arena_alloc(arena, PADDING);

    memset(padding, 'x', PADDING);
    return arena_printf(arena,
                        "{\"model\":\"lone\",\"seed\":%u,\"max_tokens\":%u,\"stream\":%s,%s\"messages\":[{\"role\":"
                        "\"user\",\"content\":\"%.*s\"}]}",
                        q->id, q->tokens, q->stream ? "true" : "false",
                        q->stream ? "\"stream_options\":{\"include_obfuscation\":false}," : "", PADDING, padding);
}

static err_t read_answer(struct client *c, const struct question *q, struct http_call *call)
{
    struct reading rd;
    struct str body, piece;

    c->outcome->status = http_call_head(call)->status;
    if (!str_starts(http_head_get(http_call_head(call), HDR_CONTENT_TYPE), STR("text/event-stream"))) {
        TRY(http_call_all(call, NS_NEVER, 1 << 20, &body));
        return house_check_plain(c, q, c->outcome->status, body);
    }
    reading_begin(&rd, c, q);
    err_t e;
    while ((e = http_call_next(call, NS_NEVER, &piece)) == OK && piece.p)
        reading_feed(&rd, piece);
    err_t end = reading_end(&rd, e == OK);
    return e != OK ? e : end;
}

/* Of known length, or in chunks. */
static err_t ask_at_length(struct client *c)
{
    struct house *h = c->arg;
    struct question q = {.id = c->index, .tokens = 5, .stream = c->index % 2};
    struct arena arena CLEANUP(arena_release);
    struct http_call *call CLEANUP(http_call_close_p) = NULL;

    arena_init(&arena, 1 << 20);
    struct str body = large_body(&q, &arena);
    struct http_call_options o = {.method = STR("POST"),
                                  .target = STR("/v1/chat/completions"),
                                  .source = next_piece,
                                  .source_ctx = &body,
                                  .source_length = c->index % 2 ? (int64_t)body.n : -1,
                                  .connect_by = rt_now() + CONNECT};
    TRY(http_call_open(h->to_gateway, &arena, &o, NULL, &call));
    return read_answer(c, &q, call);
}

FAULT_SCENARIO(memory_of_a_long_request, ONLY)
{
    return house_run(w, &(struct house_plan){.clients = FEW, .fn = ask_at_length, .check = check_told});
}

static void less_wide_lines(struct sim_options *o, struct prng *p)
{
    (void)p;
    o->socket_buffer = 3000;
}

FAULT_SCENARIO(memory_of_a_long_request_in_many_reads, ONLY, .prepare = less_wide_lines)
{
    return house_run(w, &(struct house_plan){.clients = FEW, .fn = ask_at_length, .check = check_told});
}

/* --- what the gateway says of itself --- */

static err_t ask_for_models(struct client *c)
{
    struct house *h = c->arg;
    struct arena arena CLEANUP(arena_release);
    struct http_call *call CLEANUP(http_call_close_p) = NULL;
    struct str body;

    arena_init(&arena, 1 << 20);
    struct http_call_options o = {.method = STR("GET"),
                                  .target = c->index % 2 ? STR("/v1/models") : STR("/v1/models/ch%61t"),
                                  .connect_by = rt_now() + CONNECT};
    TRY(http_call_open(h->to_gateway, &arena, &o, NULL, &call));
    c->outcome->status = http_call_head(call)->status;
    TRY(http_call_all(call, NS_NEVER, 1 << 16, &body));
    if (c->outcome->status != 200)
        return house_check_plain(c, NULL, c->outcome->status, body);
    struct str id = c->index % 2 ? json_find_path(body, "data", NULL) : json_find(body, STR("id"));
    EXPECT(json_valid(body, 0) && (c->index % 2 ? id.n > 2 : json_string_is(id, STR("chat"))), "client %u got %.*s",
           c->index, STR_ARG(body));
    return OK;
}

FAULT_SCENARIO(memory_of_the_list_of_models, ONLY)
{
    return house_run(w, &(struct house_plan){.clients = FEW, .fn = ask_for_models, .check = check_told});
}

/* Over HTTP/2 several requests share a connection; each is answered or reset by itself, or a failed connection takes all of them. */
static void check_http2(struct house *h, const struct outcome *o)
{
    (void)h;
    EXPECT(fault_has_struck() || o[0].result == OK, "without a fault: %s", o[0].text);
    EXPECT(strcmp(o[0].text, "status 400") != 0, "the client is blamed for what the gateway has lost");
}

FAULT_SCENARIO(memory_of_http2_over_narrow_lines, ONLY, .prepare = narrow_lines)
{
    return house_run(w, &(struct house_plan){.clients = 1, .fn = house_ask_by_http2, .check = check_http2});
}
