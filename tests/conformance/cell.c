/*
 * cell.c - one question through the gateway and back, in the client's dialect.
 */
#include <stdarg.h>
#include <stdio.h>

#include "conformance/conformance.h"
#include "llm/emulate.h"
#include "rt/loop.h"

enum { BODY_MAX = 16 * 1024 * 1024 };

bool cell_wrong(struct cell *c, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(c->why, sizeof c->why, fmt, args);
    va_end(args);
    return false;
}

static err_t write_request(struct cell *c, struct translation *t, struct provider_call *call)
{
    *t = (struct translation){
        .arena = &c->arena,
        .client = c->dialect,
        .provider = c->dialect,
        .vendor = vendor_find(str_from_c(c->row->vendor)),
        .model = arena_printf(&c->arena, "%s%s", c->column->vendor, c->scenario->model ? c->scenario->model : ""),
        .default_max_output = 1000,
        .losses = &c->unsaid,
        .unique = 1,
        .now = 1790000000};
    losses_init(&c->unsaid, &c->arena);
    call->stream = c->request.stream;
    return c->dialect->provider.write_chat(t, &c->request, call);
}

static struct str header_of(void *ctx, struct str name)
{
    return http_head_find(ctx, name);
}

static err_t read_stream(struct cell *c, const struct provider_call *call, const struct chat_sink *sink)
{
    const struct provider_side *p = &c->dialect->provider;
    struct framer *framer = framer_new(&c->arena, call->framing, 0);
    void *reader = arena_zalloc(&c->arena, p->reader_size);
    struct arena scratch CLEANUP(arena_release);
    struct str rest = c->body;
    struct frame f;
    bool got = true;

    arena_init(&scratch, BODY_MAX);
    TRY(p->reader_begin(reader, &c->arena));
    for (;;) {
        TRY(framer_next(framer, &rest, &got, &f));
        if (!got)
            break;
        TRY(p->reader_frame(reader, &f, &scratch, sink));
        arena_clear(&scratch);
    }
    TRY(framer_end(framer, &got, &f));
    if (got)
        TRY(p->reader_frame(reader, &f, &scratch, sink));
    return p->reader_end(reader, sink);
}

static void read_answer(struct cell *c, const struct provider_call *call)
{
    struct answer_builder *b = answer_builder_new(&c->arena, &c->answer);
    struct chat_sink whole = answer_sink(b);
    struct emulator *m = emulator_new(&c->arena, call, &whole); /* as whoever says it so has to read it */
    struct chat_sink sink = m ? emulator_sink(m) : whole;
    err_t e = call->stream ? read_stream(c, call, &sink) : c->dialect->provider.read_answer(&c->arena, c->body, &sink);

    c->answered = e == OK && c->answer.ended;
    if (answer_error(b))
        c->error = *answer_error(b);
    else if (!c->answered)
        cell_wrong(c, "%s: %.*s", e == OK ? "not whole" : err_detail(e), (int)(c->body.n > 300 ? 300 : c->body.n),
                   c->body.p);
    c->failed = !c->answered;
}

err_t cell_ask(struct cell *c)
{
    struct buf body CLEANUP(buf_release) = BUF_INIT(BODY_MAX);
    struct provider_call call = {.body = &body};
    struct http_call *http CLEANUP(http_call_close_p) = NULL;
    struct http_header headers[CALL_HEADERS_MAX + 2] = {{STR("content-type"), STR("application/json")}};
    struct http_call_options o = {.method = STR("POST"), .headers = headers, .count = 1, .body_parts = 1};
    struct translation t;

    /* In a later round a client leaves out what it cannot carry, and the gateway has to cope. */
    if (write_request(c, &t, &call) != OK || (!c->rounds++ && (c->unsaid.dropped || c->unsaid.emulated)))
        return fail(E_UNSUPPORTED, "the client's dialect cannot say it");
    if (c->row->prompts)
        headers[o.count++] = (struct http_header){STR("x-crossdock-model"), t.model};
    for (size_t i = 0; i < call.header_count; i++)
        headers[o.count++] = (struct http_header){call.headers[i].name, call.headers[i].value};
    struct str bytes = arena_str(&c->arena, buf_str(&body));
    o.body = &bytes;
    o.target = arena_join(&c->arena, str_from_c(c->row->base), call.path);
    TRY(http_call_open(c->gateway, &c->arena, &o, NULL, &http));
    const struct http_head *head = http_call_head(http);
    struct str text;
    TRY(http_call_all(http, 60 * NS_SEC, BODY_MAX, &text));
    c->body = arena_str(&c->arena, text);
    c->status = head->status;
    c->dropped = arena_str(&c->arena, http_head_find(head, STR("x-crossdock-dropped")));
    c->emulated = arena_str(&c->arena, http_head_find(head, STR("x-crossdock-emulated")));
    c->changed = arena_str(&c->arena, http_head_find(head, STR("x-crossdock-changed")));
    c->failed = c->status < 200 || c->status > 299;
    if (!c->failed) {
        read_answer(c, &call);
        return OK;
    }
    c->error = (struct api_error){.status = c->status};
    c->dialect->provider.read_error(&c->arena, c->status, c->body, header_of, (void *)(uintptr_t)head, &c->error);
    cell_wrong(c, "status %d: %.*s", c->status, (int)(c->body.n > 300 ? 300 : c->body.n), c->body.p);
    return OK;
}
