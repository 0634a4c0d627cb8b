/* house_http2.c - a client that asks several questions at a time over one HTTP/2 connection, by nghttp2's own client session. */
#include "sim/house.h"

#include "base/mem.h"

#include <nghttp2/nghttp2.h>
#include <string.h>

enum { ANSWER_MAX = 1 << 16 };

enum { STREAMS = 5 };

struct h2_answer {
    struct question question;
    struct str body; /* of the request            */
    struct buf got;
    int32_t id;
    int status;
    bool is_stream, closed;
    uint32_t error_code;
};

struct h2_client {
    struct client *client;
    nghttp2_session *session;
    struct arena arena;
    struct h2_answer answers[STREAMS];
    unsigned open;
};

static struct h2_answer *answer_of(struct h2_client *h2, int32_t id)
{
    for (unsigned i = 0; i < STREAMS; i++)
        if (h2->answers[i].id == id)
            return &h2->answers[i];
    return NULL;
}

static int on_h2_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name, size_t name_n,
                        const uint8_t *value, size_t value_n, uint8_t flags, void *ctx)
{
    struct h2_answer *a = answer_of(ctx, frame->hd.stream_id);
    struct str n = str_of((const char *)name, name_n), v = str_of((const char *)value, value_n);
    uint64_t status;

    (void)ng;
    (void)flags;
    if (a && str_eq(n, STR(":status")) && str_to_u64(v, 999, &status))
        a->status = (int)status;
    if (a && str_eq(n, STR("content-type")))
        a->is_stream = str_starts(v, STR("text/event-stream"));
    return 0;
}

static int on_h2_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t n, void *ctx)
{
    struct h2_answer *a = answer_of(ctx, id);

    (void)ng;
    (void)flags;
    if (a)
        buf_add(&a->got, str_of((const char *)data, n));
    return 0;
}

static int on_h2_close(nghttp2_session *ng, int32_t id, uint32_t code, void *ctx)
{
    struct h2_client *h2 = ctx;
    struct h2_answer *a = answer_of(h2, id);

    (void)ng;
    if (a && !a->closed) {
        a->closed = true;
        a->error_code = code;
        h2->open--;
    }
    return 0;
}

static ssize_t give_h2_body(nghttp2_session *ng, int32_t id, uint8_t *to, size_t max, uint32_t *flags,
                            nghttp2_data_source *source, void *ctx)
{
    struct str *rest = source->ptr;
    size_t n = rest->n < max ? rest->n : max;

    (void)ng;
    (void)id;
    (void)ctx;
    if (n)
        memcpy(to, rest->p, n);
    *rest = str_slice(*rest, n, rest->n);
    if (!rest->n)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static nghttp2_nv h2_field(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name), strlen(value), 0};
}

static void h2_submit(struct h2_client *h2, struct h2_answer *a)
{
    struct client *c = h2->client;
    const nghttp2_nv head[] = {h2_field(":method", "POST"), h2_field(":scheme", "http"), h2_field(":authority", "g"),
                               h2_field(":path", "/v1/chat/completions"), h2_field("content-type", "application/json")};
    nghttp2_data_provider body = {.source = {.ptr = &a->body}, .read_callback = give_h2_body};

    a->question = (struct question){
        .id = c->index, .tokens = 1 + (unsigned)prng_below(&c->prng, TOKENS_MAX), .stream = prng_below(&c->prng, 2)};
    a->body = question_body(&a->question, prng_below(&c->prng, 2) ? STR("chat") : STR("lone"), &h2->arena);
    buf_init(&a->got, ANSWER_MAX);
    a->id = nghttp2_submit_request(h2->session, NULL, head, ARRAY_LEN(head), &body, NULL);
    h2->open++;
}

static void h2_begin(struct h2_client *h2, struct client *c)
{
    nghttp2_session_callbacks *callbacks;

    h2->client = c;
    arena_init(&h2->arena, 1 << 20);
    (void)nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_h2_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_h2_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_h2_close);
    (void)nghttp2_session_client_new(&h2->session, callbacks, h2);
    nghttp2_session_callbacks_del(callbacks);
    (void)nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, NULL, 0);
    for (unsigned i = 0; i < STREAMS; i++)
        h2_submit(h2, &h2->answers[i]);
}

static void h2_free(struct h2_client **ret)
{
    struct h2_client *h2 = *ret;

    nghttp2_session_del(h2->session);
    for (unsigned i = 0; i < STREAMS; i++)
        buf_release(&h2->answers[i].got);
    arena_release(&h2->arena);
    mem_free(h2);
}

static SUSPENDS err_t h2_talk(struct h2_client *h2, struct sock *s)
{
    char bytes[4096];
    const uint8_t *out;
    ssize_t n;
    size_t got;

    while (h2->open) {
        while ((n = nghttp2_session_mem_send(h2->session, &out)) > 0)
            TRY(sock_write(s, out, (size_t)n));
        if (!nghttp2_session_want_read(h2->session))
            break;
        TRY(sock_read(s, bytes, sizeof bytes, &got));
        if (!got)
            return fail(E_EOF, "closed");
        n = nghttp2_session_mem_recv(h2->session, (const uint8_t *)bytes, got);
        EXPECT(n >= 0, "client %u: the gateway does not speak HTTP/2: %s", h2->client->index, nghttp2_strerror((int)n));
    }
    return OK;
}

static err_t h2_judge(struct h2_client *h2, struct h2_answer *a)
{
    struct reading rd;
    bool whole = a->closed && a->error_code == NGHTTP2_NO_ERROR && a->status;

    if (whole && !a->is_stream)
        return house_check_plain(h2->client, &a->question, a->status, buf_str(&a->got));
    reading_begin(&rd, h2->client, &a->question);
    if (a->is_stream)
        reading_feed(&rd, buf_str(&a->got));
    return reading_end(&rd, whole);
}

err_t house_ask_by_http2(struct client *c)
{
    struct h2_client *h2 CLEANUP(h2_free) = NEW(struct h2_client);
    struct sock *s CLEANUP(sock_close_p) = NULL;
    err_t worst;

    h2_begin(h2, c);
    TRY(house_dial(&s));
    worst = h2_talk(h2, s);
    for (unsigned i = 0; i < STREAMS; i++) {
        err_t e = h2_judge(h2, &h2->answers[i]);
        worst = worst == OK ? e : worst;
    }
    c->outcome->complete = worst == OK;
    return worst;
}
