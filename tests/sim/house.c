/*
 * house.c - providers of every mood, and clients that know what the right answer is.
 */
#include "sim/house.h"

#include "base/mem.h"
#include "codec/json_scan.h"
#include "codec/url.h"
#include "fleet/config.h"
#include "net/dns.h"
#include "net/iobuf.h"
#include "rt/loop.h"

#include <stdio.h>

enum { TEXT_MAX = 4096, FILE_PIECE = 5000 };

static const char configuration_form[] =
    "listen: 127.0.0.1:80\n"
    "timeouts: { connect: 2s, first_byte: 5s, between_bytes: 4s, total: 20s }\n"
    "providers:\n"
    "  a: { dialect: openai, base_url: 'http://127.0.0.1:9000/v1', api_key: sk-a-secret }\n"
    "  b: { dialect: openai, base_url: 'http://127.0.0.1:%u/v1', api_key: sk-b-secret }\n"
    "pass_through: a\n"
    "models:\n"
    "  chat: { targets: [ { deployment: a/m, weight: 3 }, { deployment: b/m, weight: 1 } ], fallbacks: [ b/m ] }\n"
    "  lone: { targets: [ a/m ], retries: 1 }\n";

/* --- the truth: token `i` of client `id`'s answer --- */

static size_t put_token(char *to, size_t cap, unsigned id, unsigned i)
{
    int n = snprintf(to, cap, "w%u-%u ", id, i);
    return n > 0 ? (size_t)n : 0;
}

static void put_answer(struct buf *b, unsigned id, unsigned tokens)
{
    char token[32];

    for (unsigned i = 0; i < tokens; i++)
        buf_add(b, str_of(token, put_token(token, sizeof token, id, i)));
}

/* --- providers --- */

static enum mood draw_mood(struct house *h)
{
    if (h->fixed != GOOD)
        return h->fixed;
    if (prng_below(&h->prng, 1000) >= h->mood)
        return GOOD;
    return (enum mood)(1 + prng_below(&h->prng, 5));
}

static err_t reply_text(struct http_request *r, int status, struct str body)
{
    struct http_header type = {STR("content-type"), STR("application/json")};
    struct http_reply reply = {.status = status, .headers = &type, .count = 1, .length = (int64_t)body.n};

    return http_reply_whole(r, &reply, body);
}

static err_t answer_plain(struct house *h, struct http_request *r, unsigned id, unsigned tokens, enum mood mood)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 16);
    struct http_header type = {STR("content-type"), STR("application/json")};
    struct http_reply reply = {.status = 200, .headers = &type, .count = 1, .length = -1};

    buf_add_lit(&b, "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"");
    put_answer(&b, id, tokens);
    buf_addf(&b, "\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":%u}}", tokens);
    TRY(fiber_sleep_until(rt_now() + (ns_t)prng_below(&h->prng, 200 * NS_MS)));
    if (mood == GARBAGE)
        b.n = b.n / 2;
    if (mood != BREAK_OFF)
        return reply_text(r, 200, buf_str(&b));
    struct str half = str_of(b.p, b.n / 2);
    TRY(http_reply_begin(r, &reply));
    TRY(http_reply_write(r, &half, 1));
    http_reply_abort(r);
    return OK;
}

static err_t write_event(struct http_request *r, struct str data)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 12);

    TRY(sse_write_event(&b, STR_NONE, data));
    struct str event = buf_str(&b);
    return http_reply_write(r, &event, 1);
}

static err_t answer_stream(struct house *h, struct http_request *r, unsigned id, unsigned tokens, enum mood mood)
{
    struct http_header type = {STR("content-type"), STR("text/event-stream")};
    struct http_reply reply = {.status = 200, .headers = &type, .count = 1, .length = -1};
    char token[32], event[256];

    TRY(http_reply_begin(r, &reply));
    for (unsigned i = 0; i < tokens; i++) {
        put_token(token, sizeof token, id, i);
        int n = snprintf(
            event, sizeof event,
            "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s\"},\"finish_reason\":null}],\"usage\":null}",
            token);
        TRY(write_event(r, str_of(event, (size_t)n)));
        if (mood == STALL && i == tokens / 2)
            return fiber_sleep_until(NS_NEVER);
        if (mood != GOOD && i == tokens / 2) {
            if (mood == GARBAGE)
                TRY(write_event(r, STR("{\"choices\":[")));
            http_reply_abort(r);
            return OK;
        }
        TRY(fiber_sleep_until(rt_now() + (ns_t)prng_below(&h->prng, 60 * NS_MS)));
    }
    TRY(write_event(r, STR("{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}")));
    TRY(write_event(r, STR("{\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}")));
    TRY(write_event(r, STR("[DONE]")));
    return http_reply_finish(r, NULL, 0);
}

/* --- files: uploads are compared, downloads made, byte by byte --- */

static uint64_t query_number(struct http_request *r, struct str name)
{
    uint64_t n;

    return str_to_u64(url_query_get(r->head.query, name, r->arena), UINT64_MAX, &n) ? n : 0;
}

static err_t take_upload(struct house *h, struct http_request *r, unsigned id, enum mood mood)
{
    struct record *rec = &h->records[id];
    uint64_t at = 0, n = query_number(r, STR("n"));
    struct str piece;

    for (;;) {
        TRY(http_body_next(r, &piece));
        if (!piece.p)
            break;
        rec->wrong |= world_mismatch(id, at, piece.p, piece.n) < piece.n;
        at += piece.n;
        if (mood == BUSY || mood == FULL) /* before it has seen all of it */
            return reply_text(
                r, 413, STR("{\"error\":{\"message\":\"too much\",\"type\":\"t\",\"param\":null,\"code\":null}}"));
        if (mood != GOOD && mood != HANG && at > n / 2) {
            if (mood != STALL)
                http_reply_abort(r);
            return mood == STALL ? fiber_sleep_until(NS_NEVER) : OK;
        }
    }
    if (mood == HANG)
        return fiber_sleep_until(NS_NEVER);
    rec->wrong |= at != n;
    rec->got = at;
    rec->answered++;
    return reply_text(r, 200, STR("{\"object\":\"file\"}"));
}

static err_t give_download(struct house *h, struct http_request *r, unsigned id, enum mood mood)
{
    uint64_t n = query_number(r, STR("n"));
    struct http_header type = {STR("content-type"), STR("application/octet-stream")};
    struct http_reply reply = {.status = 200, .headers = &type, .count = 1, .length = n % 2 ? (int64_t)n : -1};
    struct record *rec = &h->records[id];
    char bytes[FILE_PIECE];

    rec->answered += mood == GOOD;
    TRY(http_reply_begin(r, &reply));
    for (uint64_t at = 0; at < n; rec->sent = at) {
        struct str piece = {bytes, n - at < sizeof bytes ? (size_t)(n - at) : sizeof bytes};
        world_bytes(id, at, bytes, piece.n);
        TRY(http_reply_write(r, &piece, 1));
        at += piece.n;
        if (mood == GOOD || at <= n / 2)
            continue;
        rec->answered += at == n; /* broken off behind its last byte */
        http_reply_abort(r);
        return mood == HANG || mood == STALL ? fiber_sleep_until(NS_NEVER) : OK;
    }
    rec->answered += n == 0;
    return http_reply_finish(r, NULL, 0);
}

static err_t provide_file(struct house *h, struct http_request *r, struct record **ret_record)
{
    uint64_t id = query_number(r, STR("id"));

    if (id >= CLIENTS)
        return fail(E_PARSE, "not what a client of this world sends");
    struct record *rec = *ret_record = &h->records[id];
    rec->asked++;
    rec->wrong |= !str_starts(http_head_get(&r->head, HDR_AUTHORIZATION), STR("Bearer sk-"));
    return (str_eq(r->head.method, STR("POST")) ? take_upload : give_download)(h, r, (unsigned)id, draw_mood(h));
}

static err_t provide(struct house *h, struct http_request *r, struct record **ret_record)
{
    struct str body;
    uint64_t id, tokens;
    bool stream = false;

    if (str_eq(r->head.path, STR("/v1/files")))
        return provide_file(h, r, ret_record);
    TRY(http_body_all(r, 1 << 20, &body));
    if (!json_to_u64(json_find(body, STR("seed")), &id) || !json_to_u64(json_find(body, STR("max_tokens")), &tokens) ||
        id >= CLIENTS)
        return fail(E_PARSE, "not what a client of this world sends");
    struct record *rec = *ret_record = &h->records[id];
    rec->asked++;
    rec->wrong |= !json_string_is(json_find(body, STR("model")), STR("m")) ||
                  !str_starts(http_head_get(&r->head, HDR_AUTHORIZATION), STR("Bearer sk-"));
    if (!json_to_bool(json_find(body, STR("stream")), &stream))
        stream = false;
    enum mood mood = draw_mood(h);
    if (mood == HANG)
        return fiber_sleep_until(NS_NEVER);
    if (mood == BUSY || mood == FULL)
        return reply_text(
            r, mood == BUSY ? 503 : 429,
            STR("{\"error\":{\"message\":\"busy\",\"type\":\"server_error\",\"param\":null,\"code\":null}}"));
    rec->answered += mood == GOOD; /* it will say everything; whether that arrives is the network's affair */
    return (stream ? answer_stream : answer_plain)(h, r, (unsigned)id, (unsigned)tokens, mood);
}

static err_t provider_handle(struct http_request *r, void *ctx)
{
    struct house *h = ctx;
    struct record *rec = NULL;
    err_t e = provide(h, r, &rec);

    if (rec && e == OK)
        rec->told_at = rt_now();
    if (rec && e != OK) {
        rec->cancelled++;
        rec->cancelled_at = rt_now();
    }
    return e;
}

/* --- clients --- */

void house_check_text(struct client *c, const struct question *q, struct str text, bool whole)
{
    struct buf right CLEANUP(buf_release) = BUF_INIT(TEXT_MAX);

    put_answer(&right, q->id, q->tokens);
    EXPECT(str_starts(buf_str(&right), text), "client %u got wrong text: %.*s", c->index, STR_ARG(text));
    EXPECT(!whole || text.n == right.n, "client %u was told that %zu of %zu bytes were all", c->index, text.n, right.n);
}

static void read_event(struct reading *rd, const struct sse_event *e)
{
    struct arena arena CLEANUP(arena_release);
    unsigned i = rd->client->index;
    struct str text;
    size_t at = 0;

    arena_init(&arena, 1 << 16);
    EXPECT(!rd->done && !rd->error, "client %u got an event behind the end", i);
    if (str_eq(e->data, STR("[DONE]"))) {
        rd->done = true;
        return;
    }
    EXPECT(json_valid(e->data, 0), "client %u got an event that is not JSON: %.*s", i, STR_ARG(e->data));
    rd->error |= json_find(e->data, STR("error")).p != NULL;
    EXPECT(str_find(e->data, STR("sk-")) == e->data.n, "client %u was shown a provider's key", i);
    EXPECT(!json_find(e->data, STR("usage")).p, "client %u got usage that it did not ask for", i);
    struct str choice = json_next_element(json_find(e->data, STR("choices")), &at);
    if (json_string_value(json_find_path(choice, "delta", "content", NULL), &arena, &text) == OK)
        buf_add(&rd->text, text);
}

void reading_begin(struct reading *rd, struct client *c, const struct question *q)
{
    *rd = (struct reading){.client = c, .question = q, .text = BUF_INIT(TEXT_MAX)};
    sse_init(&rd->framer, 0);
}

void reading_feed(struct reading *rd, struct str bytes)
{
    struct sse_event event;

    while (sse_next(&rd->framer, &bytes, &event) == SSE_EVENT)
        read_event(rd, &event);
}

err_t reading_end(struct reading *rd, bool ended)
{
    struct client *c = rd->client;

    house_check_text(c, rd->question, buf_str(&rd->text), rd->done);
    if (ended)
        EXPECT(rd->done || rd->error, "client %u: the stream ended without an end", c->index);
    sse_release(&rd->framer);
    buf_release(&rd->text);
    if (rd->done)
        return OK;
    return rd->error ? fail(E_UPSTREAM, "an error event") : fail(E_EOF, "broken off");
}

static err_t read_stream(struct client *c, const struct question *q, struct http_call *call)
{
    struct reading rd;
    struct str piece;
    err_t e;

    reading_begin(&rd, c, q);
    while ((e = http_call_next(call, NS_NEVER, &piece)) == OK && piece.p) {
        reading_feed(&rd, piece);
        if (q->leaves && rd.text.n > 20)
            break;
    }
    bool left = e == OK && piece.p;
    c->outcome->complete = rd.done;
    err_t end = reading_end(&rd, e == OK && !left);
    return e != OK || left ? e : end;
}

err_t house_check_plain(struct client *c, const struct question *q, int status, struct str body)
{
    struct arena arena CLEANUP(arena_release);
    struct str text;
    size_t at = 0;

    arena_init(&arena, 1 << 16);
    EXPECT(json_valid(body, 0), "client %u got a whole body that is not JSON", c->index);
    if (status != 200) {
        EXPECT(json_find_path(body, "error", "message", NULL).p, "client %u: status %d without an error object",
               c->index, status);
        EXPECT(str_find(body, STR("sk-")) == body.n, "client %u was shown a provider's key", c->index);
        EXPECT(str_find(body, STR("127.0.0.1")) == body.n, "client %u was shown a provider's address", c->index);
        return fail(E_UPSTREAM, "status %d", status);
    }
    struct str choice = json_next_element(json_find(body, STR("choices")), &at);
    TRY(json_string_value(json_find_path(choice, "message", "content", NULL), &arena, &text));
    house_check_text(c, q, text, true);
    c->outcome->complete = true;
    return OK;
}

static err_t read_plain(struct client *c, const struct question *q, struct http_call *call)
{
    struct str body;

    TRY(http_call_all(call, NS_NEVER, 1 << 20, &body));
    return house_check_plain(c, q, c->outcome->status, body);
}

struct str question_body(const struct question *q, struct str model, struct arena *arena)
{
    return arena_printf(arena, "{\"model\":\"%.*s\",\"seed\":%u,\"max_tokens\":%u%s,\"messages\":[]}", STR_ARG(model),
                        q->id, q->tokens, q->stream ? ",\"stream\":true" : "");
}

err_t house_open_call(struct client *c, const struct question *q, struct str model, struct arena *arena,
                      struct http_call **ret_call)
{
    struct house *h = c->arg;
    struct http_header type = {STR("content-type"), STR("application/json")};
    struct str body = question_body(q, model, arena);
    struct http_call_options o = {.method = STR("POST"),
                                  .target = STR("/v1/chat/completions"),
                                  .headers = &type,
                                  .count = 1,
                                  .body = &body,
                                  .body_parts = 1,
                                  .connect_by = rt_now() + CONNECT,
                                  .first_byte_by = NS_NEVER};

    TRY(http_call_open(h->to_gateway, arena, &o, NULL, ret_call));
    c->outcome->status = http_call_head(*ret_call)->status;
    return OK;
}

err_t house_ask(struct client *c, const struct question *q, struct str model)
{
    struct arena arena CLEANUP(arena_release);
    struct http_call *call CLEANUP(http_call_close_p) = NULL;

    arena_init(&arena, 1 << 20);
    TRY(house_open_call(c, q, model, &arena, &call));
    bool is_stream = str_starts(http_head_get(http_call_head(call), HDR_CONTENT_TYPE), STR("text/event-stream"));
    return (is_stream ? read_stream : read_plain)(c, q, call);
}

err_t house_dial(struct sock **ret)
{
    struct addr to = world_addr(GATEWAY_PORT);

    WITHIN(rt_now() + CONNECT);
    return sock_connect(&to, ret);
}

/* --- clients with files --- */

struct source {
    struct client *client;
    const struct upload_plan *plan;
    char *bytes;
};

static err_t next_of_upload(void *ctx, struct str *ret_piece)
{
    struct source *s = ctx;
    uint64_t at = s->client->outcome->sent, left = s->plan->n - at;
    size_t n = left < s->plan->piece ? (size_t)left : s->plan->piece;

    TRY(fiber_sleep_until(rt_now() + s->plan->pause));
    world_bytes(s->client->index, at, s->bytes, n);
    s->client->outcome->sent += n;
    *ret_piece = n ? str_of(s->bytes, n) : STR_NONE;
    return OK;
}

static struct str file_target(struct client *c, uint64_t n, struct arena *arena)
{
    return arena_printf(arena, "/v1/files?id=%u&n=%llu&api_key=sk-of-the-client", c->index, (unsigned long long)n);
}

err_t house_upload(struct client *c, const struct upload_plan *plan)
{
    struct house *h = c->arg;
    struct arena arena CLEANUP(arena_release);
    struct http_call *call CLEANUP(http_call_close_p) = NULL;
    struct str body;

    arena_init(&arena, 1 << 20);
    struct source source = {c, plan, arena_alloc(&arena, plan->piece)};
    struct http_call_options o = {.method = STR("POST"),
                                  .target = file_target(c, plan->n, &arena),
                                  .source = next_of_upload,
                                  .source_ctx = &source,
                                  .source_length = plan->sized ? (int64_t)plan->n : -1,
                                  .connect_by = rt_now() + CONNECT};
    TRY(http_call_open(h->to_gateway, &arena, &o, NULL, &call));
    c->outcome->status = http_call_head(call)->status;
    TRY(http_call_all(call, NS_NEVER, 1 << 16, &body));
    if (c->outcome->status != 200)
        return house_check_plain(c, NULL, c->outcome->status, body);
    EXPECT(h->records[c->index].got == plan->n, "client %u was told OK after %llu bytes", c->index,
           (unsigned long long)h->records[c->index].got);
    c->outcome->complete = true;
    return OK;
}

static err_t read_file(struct client *c, struct http_call *call, uint64_t n, ns_t pause)
{
    uint64_t *at = &c->outcome->received;
    struct str piece;

    for (;;) {
        TRY(http_call_next(call, NS_NEVER, &piece));
        if (!piece.p)
            break;
        EXPECT(world_mismatch(c->index, *at, piece.p, piece.n) == piece.n, "client %u got wrong bytes at %llu",
               c->index, (unsigned long long)*at);
        *at += piece.n;
        TRY(fiber_sleep_until(rt_now() + pause));
    }
    EXPECT(*at == n, "client %u was told that %llu bytes were all", c->index, (unsigned long long)*at);
    c->outcome->complete = true;
    return OK;
}

err_t house_download(struct client *c, uint64_t n, ns_t pause)
{
    struct house *h = c->arg;
    struct arena arena CLEANUP(arena_release);
    struct http_call *call CLEANUP(http_call_close_p) = NULL;
    struct str body;

    arena_init(&arena, 1 << 20);
    struct http_call_options o = {.method = STR("GET"),
                                  .target = file_target(c, n, &arena),
                                  .connect_by = rt_now() + CONNECT,
                                  .first_byte_by = NS_NEVER};
    TRY(http_call_open(h->to_gateway, &arena, &o, NULL, &call));
    c->outcome->status = http_call_head(call)->status;
    if (c->outcome->status == 200)
        return read_file(c, call, n, pause);
    TRY(http_call_all(call, NS_NEVER, 1 << 16, &body));
    return house_check_plain(c, NULL, c->outcome->status, body);
}

/* --- the house --- */

static void count_facts(void *ctx, const struct facts *f)
{
    struct house *h = ctx;

    h->facts_total++;
    EXPECT(f->status != 0, "a request was recorded without a status");
    EXPECT(f->total <= (f->status == 408 ? BODY : TOTAL) + SLACK, "a request took %lld ms",
           (long long)(f->total / NS_MS));
}

err_t house_snapshot(unsigned port_b, struct snapshot **ret)
{
    struct arena arena CLEANUP(arena_release);
    struct problems problems = {.arena = &arena};
    struct catalog *catalog;

    arena_init(&arena, 1 << 20);
    struct str text = arena_printf(&arena, configuration_form, port_b);
    TRY(config_load("-", text, config_env_real(), &problems, &catalog));
    return snapshot_make(catalog, NULL, ret);
}

err_t house_open(struct house *h, struct world *w, unsigned mood)
{
    *h = (struct house){.world = w, .mood = mood};
    prng_seed(&h->prng, w->seed * 31 + 7);
    TRY(house_snapshot(PROVIDER_PORT + 1, &h->snapshot));
    struct gateway_options go = {.snapshot = h->snapshot, .on_facts = count_facts, .facts_ctx = h};
    h->gateway = gateway_new(&go);
    struct http_server_options so = {
        .limits = http_limits_default(), .handler = gateway_handle, .ctx = h->gateway, .refusal = gateway_refusal};
    h->server = http_server_new(&so);
    so.refusal = NULL;
    so.handler = provider_handle;
    so.ctx = h;
    for (unsigned i = 0; i < PROVIDERS; i++)
        h->providers[i] = http_server_new(&so);
    struct upstream_options uo = {.host = STR("127.0.0.1"), .port = GATEWAY_PORT};
    h->to_gateway = upstream_new(&uo);
    return OK;
}

void house_close(struct house *h)
{
    upstream_free(h->to_gateway);
    http_server_free(h->server);
    for (unsigned i = 0; i < PROVIDERS; i++)
        http_server_free(h->providers[i]);
    gateway_free(h->gateway);
    snapshot_unref(h->snapshot);
    for (size_t i = 0; i < ARRAY_LEN(h->installed); i++)
        snapshot_unref(h->installed[i]);
    dns_drain();
    iobuf_drain();
}

static err_t serve(void *server)
{
    return http_server_run(server);
}

err_t house_open_doors(struct house *h, struct scope *s)
{
    struct addr at = world_addr(GATEWAY_PORT), bound;

    TRY(http_server_listen(h->server, &at, LISTEN_ALONE, NULL, &bound));
    scope_spawn(s, "gateway", serve, h->server);
    for (unsigned i = 0; i < PROVIDERS; i++) {
        at = world_addr((uint16_t)(PROVIDER_PORT + i));
        TRY(http_server_listen(h->providers[i], &at, LISTEN_ALONE, NULL, &bound));
        scope_spawn(s, "provider", serve, h->providers[i]);
    }
    return fiber_sleep_until(rt_now() + NS_MS);
}

void house_check_quiet(struct house *h)
{
    struct gauges g = {0};

    gateway_gauges(h->gateway, &g);
    EXPECT(g.in_flight == 0, "%llu requests are still in flight", (unsigned long long)g.in_flight);
}

static void check_all(struct house *h, const struct outcome *o, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        EXPECT(o[i].ended != 0, "client %u did not end", i);
        EXPECT(!h->records[i].wrong, "a provider got something else than client %u had sent", i);
        EXPECT(!o[i].complete || h->records[i].answered, "client %u got a whole answer that no provider gave", i);
    }
}

static SUSPENDS err_t run_clients(struct world *w, struct house *h, const struct house_plan *plan)
{
    SCOPE(doors, NS_NEVER);
    TRY(house_open_doors(h, &doors));
    if (plan->beside)
        (void)scope_spawn(&doors, "beside", plan->beside, h);
    const struct outcome *o = world_clients(w, plan->clients, NS_SEC, plan->fn, h);
    TRY(fiber_sleep_until(rt_now() + SLACK + (w->options.faults.stall ? LONGEST_STALL : 0)));
    check_all(h, o, plan->clients);
    if (plan->check)
        plan->check(h, o);
    house_check_quiet(h);
    return OK;
}

err_t house_run(struct world *w, const struct house_plan *plan)
{
    struct house *h = NEW(struct house);
    err_t e = house_open(h, w, plan->mood);

    h->fixed = plan->fixed;
    if (e == OK)
        e = run_clients(w, h, plan);
    house_close(h);
    mem_free(h);
    return e;
}
