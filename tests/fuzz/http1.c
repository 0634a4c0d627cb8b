/*
 * Fuzz target: codec/http1.h against itself.
 *
 * The first byte chooses role and options, the rest is what a peer sends. However it is cut, the same events must come out,
 * body pieces joined. A head in one piece goes the fast way (http1_fast.c), cut into bytes it goes through llhttp: so this also
 * compares the two. What was accepted is written again, and must be read the same.
 */
#include "codec/http1.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define REQUIRE(cond)                                                                                                  \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                           \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

enum { MOST_MESSAGES = 8 };

struct parse {
    uint8_t how;
    struct http1 h;
    struct http_head head;
    struct arena arena;
    struct buf out;
    unsigned messages;
    bool over;
};

static void add_pair(struct buf *out, struct str a, struct str b)
{
    (void)buf_addf(out, "%zu:%zu:", a.n, b.n);
    (void)buf_add(out, a);
    (void)buf_add(out, b);
}

/* A name that http1.c accepted is one that may be written, and so is its value. */
static void write_again(struct parse *p)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 24);
    const struct http_head *head = &p->head;
    err_t e = p->h.role == HTTP1_REQUEST
                  ? http1_write_request_head(&b, head->method, head->target, head->headers, head->count)
                  : http1_write_response_head(&b, head->status, head->headers, head->count);
    REQUIRE(e == OK);
    struct http1 again;
    struct http_head head2;
    struct str in = buf_str(&b), body;
    http1_init(&again, p->h.role,
               &(struct http1_limits){.head_bytes = 1 << 24, .headers = 1000, .target_bytes = 1 << 20});
    http1_begin(&again, &p->arena, &head2);
    enum http1_event event = http1_next(&again, &in, &body);
    /* Written as 1.1, a 1.0 head may be wrong for want of a Host, or have a coding it could not have. */
    REQUIRE(event == HTTP1_HEAD || head->minor == 0);
    if (event != HTTP1_HEAD)
        return;
    REQUIRE(head2.count == head->count && head2.content_length == head->content_length);
    for (size_t i = 0; i < head->count; i++)
        REQUIRE(str_eq(head2.headers[i].value, head->headers[i].value) &&
                str_eq(head2.headers[i].name, head->headers[i].name));
}

static void add_head(struct parse *p)
{
    const struct http_head *head = &p->head;

    add_pair(&p->out, head->method, head->target);
    add_pair(&p->out, head->path, head->query);
    add_pair(&p->out, head->host, head->reason);
    (void)buf_addf(&p->out, "%d %d %lld %d%d%d%d ", head->status, head->minor, (long long)head->content_length,
                   head->chunked, head->keep_alive, head->expect_continue, head->upgrade);
    for (size_t i = 0; i < head->count; i++)
        add_pair(&p->out, head->headers[i].name, head->headers[i].value);
    for (enum http_known id = 1; id < HDR_COUNT; id++) {
        size_t first = http_head_next(head, http_known_name(id), 0);
        REQUIRE(head->known[id] == (first < head->count ? first + 1 : 0));
    }
    write_again(p);
}

static void on_event(struct parse *p, enum http1_event e, struct str body)
{
    size_t count;

    switch (e) {
    case HTTP1_MORE:
        return;
    case HTTP1_HEAD:
        add_head(p);
        (void)buf_add_lit(&p->out, "body ");
        return;
    case HTTP1_BODY:
        REQUIRE(body.n > 0);
        (void)buf_add(&p->out, body);
        return;
    case HTTP1_END:
        (void)buf_add_lit(&p->out, " end ");
        const struct http_header *trailers = http1_trailers(&p->h, &count);
        for (size_t i = 0; i < count; i++)
            add_pair(&p->out, trailers[i].name, trailers[i].value);
        p->over = !p->head.keep_alive || p->head.status == 101 || ++p->messages == MOST_MESSAGES;
        if (!p->over) {
            arena_clear(&p->arena);
            http1_begin(&p->h, &p->arena, &p->head);
            if (p->how & 2)
                http1_expect_no_body(&p->h);
        }
        return;
    case HTTP1_ERROR:
        REQUIRE(p->h.error_status && p->h.error_text);
        (void)buf_addf(&p->out, "error %d", p->h.error_status);
        p->over = true;
        return;
    }
}

static void feed(struct parse *p, struct str piece)
{
    char *own = malloc(piece.n);
    struct str in = str_of(own, piece.n), body = STR_NONE;
    enum http1_event e;

    memcpy(own, piece.p, piece.n);
    do {
        e = http1_next(&p->h, &in, &body);
        REQUIRE(e != HTTP1_MORE || in.n == 0);
        on_event(p, e, body);
    } while (!p->over && (in.n || (e != HTTP1_MORE && p->h.began)));
    free(own);
}

static struct buf parse_in_pieces(uint8_t how, struct str input, size_t first, size_t rest)
{
    struct parse p = {.how = how, .out = BUF_INIT(1 << 26)};
    const struct http1_limits small = {.head_bytes = 300,
                                       .headers = 6,
                                       .target_bytes = 40,
                                       .extension_bytes = 16,
                                       .trailer_bytes = 24,
                                       .body_bytes = 50};

    arena_init(&p.arena, SIZE_MAX / 4);
    http1_init(&p.h, how & 1 ? HTTP1_RESPONSE : HTTP1_REQUEST, how & 8 ? &small : NULL);
    http1_skip_informational(&p.h, how & 4);
    http1_begin(&p.h, &p.arena, &p.head);
    if (how & 2)
        http1_expect_no_body(&p.h);
    feed(&p, str_slice(input, 0, first));
    for (size_t at = first; at < input.n && !p.over; at += rest)
        feed(&p, str_slice(input, at, at + rest));
    if (!p.over)
        on_event(&p, http1_eof(&p.h), STR_NONE);
    arena_release(&p.arena);
    return p.out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2)
        return 0;
    struct str input = str_of((const char *)data + 1, n - 1);
    bool limited = data[0] & 8;
    struct buf whole CLEANUP(buf_release) = parse_in_pieces(data[0], input, input.n, 1);
    const size_t cuts[][2] = {{1, 1}, {1 + (data[0] >> 4), input.n}, {input.n / 2 + 1, 7}};

    for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
        struct buf cut CLEANUP(buf_release) = parse_in_pieces(data[0], input, cuts[i][0], cuts[i][1]);
        /* With small limits, which of two faults is met first may depend on the cuts; that there is one may not. */
        bool refused = str_find(buf_str(&whole), STR("error ")) < whole.n;
        if (limited && refused)
            REQUIRE(str_find(buf_str(&cut), STR("error ")) < cut.n);
        else
            REQUIRE(str_eq(buf_str(&whole), buf_str(&cut)));
    }
    return 0;
}
