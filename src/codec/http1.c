/*
 * http1.c - HTTP/1.1 messages to events.
 *
 * llhttp finds the parts of heads and takes chunked bodies apart; bodies of known length, and those that last until the
 * peer closes, never go through it, nor do ordinary heads that arrive whole (http1_fast.c). The bytes of a head are
 * copied into the arena once, in one block, and names and values are kept as offsets into that block until the head is
 * complete: so it does not matter how the head was cut.
 *
 * Stricter than llhttp, because what one parser lets pass and the next one reads differently is how requests are
 * smuggled (RFC 9112, 11.2). Refused are:
 *  - Content-Length twice, even with equal values; or together with Transfer-Encoding; or not plain digits;
 *  - any Transfer-Encoding but a single "chunked", and any at all with HTTP/1.0;
 *  - bare CR or LF as line end, line folding, blanks before the colon or around the parts of the request line;
 *  - control bytes in values; method, name or version that is not exactly in the grammar; bytes in the target that are not
 *    visible ASCII, '#' in it, and absolute targets that are not http(s)://host…;
 *  - a 1.1 request without Host, any message with two, and a Host that cannot be one;
 *  - CONNECT, and versions other than 1.0 and 1.1.
 *
 * Does not: decode paths (codec/url.h), decompress, decide what to answer.
 */
#include "codec/http1.h"

#include "codec/http1_int.h"

#include <assert.h>

enum {
    DEFAULT_HEAD = 64 * 1024,
    DEFAULT_HEADERS = 100,
    DEFAULT_TARGET = 16 * 1024,
    DEFAULT_EXTENSION = 16 * 1024,
    DEFAULT_TRAILER = 8 * 1024,
    MOST_HEADERS = 65534,
    MOST_INFORMATIONAL = 16,
    MOST_EMPTY_LINE_BYTES = 64,
    FIRST_SPANS = 32,
    CHUNK_LINE_SLACK = 256, /* framing around chunk extensions and trailers: sizes, line ends */
};

enum state { S_HEAD, S_LENGTH, S_CHUNKED, S_UNTIL_CLOSE, S_EMPTY, S_DONE, S_REFUSED };

/* --- refusing --- */

static int refuse(struct http1 *h, int status, const char *text)
{
    if (!h->error_status) {
        h->error_status = h->role == HTTP1_REQUEST ? status : 502;
        h->error_text = text;
        h->state = S_REFUSED;
    }
    return -1;
}

static enum http1_event refused(struct http1 *h, int status, const char *text)
{
    (void)refuse(h, status, text);
    return HTTP1_ERROR;
}

static bool is_token_char(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* What llhttp says, unless a callback of ours has refused. */
static int refuse_as_llhttp(struct http1 *h, llhttp_errno_t e, const char *end)
{
    if (h->error_status)
        return -1;
    const char *at = llhttp_get_error_pos(&h->parser);

    if (e == HPE_INVALID_METHOD) {
        bool token = at && at < end && is_token_char((unsigned char)*at);
        return token ? refuse(h, 501, "unknown method") : refuse(h, 400, "invalid method");
    }
    const char *reason = llhttp_get_error_reason(&h->parser);
    if (!reason || !*reason)
        reason = "malformed message";
    /* The same code covers a version that is no number, and what follows it. */
    bool other_version = e == HPE_INVALID_VERSION && strcmp(reason, "Invalid HTTP version") == 0;
    if (other_version || e == HPE_PAUSED_H2_UPGRADE)
        return refuse(h, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    /* As where a head that came in one piece is looked at: what is said does not depend on how it came. */
    if (e == HPE_INVALID_CONTENT_LENGTH)
        return refuse(h, 400, "invalid Content-Length");
    return refuse(h, 400, reason);
}

/* --- callbacks of llhttp: offsets only --- */

/* Where in raw the byte `at` of the current input goes. */
static uint32_t raw_at(const struct http1 *h, const char *at)
{
    return h->raw_n + (uint32_t)(at - h->feed);
}

static int on_url(llhttp_t *p, const char *at, size_t n)
{
    struct http1 *h = p->data;

    if (h->layout.target_n == 0)
        h->layout.target = raw_at(h, at);
    h->layout.target_n += (uint32_t)n;
    return h->layout.target_n > h->limits.target_bytes ? refuse(h, 414, "the request target is too long") : 0;
}

static int on_status(llhttp_t *p, const char *at, size_t n)
{
    struct http1 *h = p->data;

    if (h->layout.reason_n == 0)
        h->layout.reason = raw_at(h, at);
    h->layout.reason_n += (uint32_t)n;
    return 0;
}

static void grow_spans(struct http1 *h)
{
    uint32_t cap = h->layout.span_max ? h->layout.span_max * 2 : FIRST_SPANS;
    struct http1_span *spans = arena_alloc(h->arena, cap * sizeof *spans);

    if (h->layout.spans)
        memcpy(spans, h->layout.spans, h->layout.span_n * sizeof *spans);
    h->layout.spans = spans;
    h->layout.span_max = cap;
}

static int on_field(llhttp_t *p, const char *at, size_t n)
{
    struct http1 *h = p->data;
    struct http1_span *last = h->layout.span_n ? &h->layout.spans[h->layout.span_n - 1] : NULL;

    if (last && raw_at(h, at) == last->name + last->name_n) { /* a name goes on: there is no ':' between */
        last->name_n += (uint32_t)n;
        return 0;
    }
    if (h->layout.span_n == h->limits.headers)
        return refuse(h, 431, "too many header fields");
    if (!h->layout.spans || h->layout.span_n == h->layout.span_max)
        grow_spans(h);
    if (h->state == S_CHUNKED && h->layout.span_n == 0)
        h->feed = at; /* raw holds the trailer fields from here on */
    h->layout.spans[h->layout.span_n++] = (struct http1_span){.name = raw_at(h, at), .name_n = (uint32_t)n};
    return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t n)
{
    struct http1 *h = p->data;
    struct http1_span *s = &h->layout.spans[h->layout.span_n - 1];

    if (s->value_n == 0)
        s->value = raw_at(h, at);
    s->value_n += (uint32_t)n;
    return 0;
}

static int on_head(llhttp_t *p)
{
    (void)p;
    return HPE_PAUSED;
}

static int on_body(llhttp_t *p, const char *at, size_t n)
{
    struct http1 *h = p->data;

    h->piece = str_of(at, n);
    return HPE_PAUSED;
}

static int on_extension(llhttp_t *p, const char *at, size_t n)
{
    struct http1 *h = p->data;

    (void)at;
    h->extension_n += (uint32_t)(n < DEFAULT_EXTENSION ? n : DEFAULT_EXTENSION) + 1;
    return h->extension_n > h->limits.extension_bytes ? refuse(h, 400, "chunk extensions are too long") : 0;
}

static int on_end(llhttp_t *p)
{
    struct http1 *h = p->data;

    h->state = S_DONE;
    return HPE_PAUSED;
}

static const llhttp_settings_t head_settings = {
    .on_url = on_url,
    .on_status = on_status,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_head,
};

/* Chunked bodies are parsed behind a head of our own (see expect_chunks()), whose headers are nobody's trailers. */
static int on_trailer_field(llhttp_t *p, const char *at, size_t n)
{
    const struct http1 *h = p->data;
    return h->state == S_CHUNKED ? on_field(p, at, n) : 0;
}

static int on_trailer_value(llhttp_t *p, const char *at, size_t n)
{
    const struct http1 *h = p->data;
    return h->state == S_CHUNKED ? on_value(p, at, n) : 0;
}

static const llhttp_settings_t body_settings = {
    .on_header_field = on_trailer_field,
    .on_header_value = on_trailer_value,
    .on_headers_complete = on_head,
    .on_body = on_body,
    .on_chunk_extension_name = on_extension,
    .on_chunk_extension_value = on_extension,
    .on_message_complete = on_end,
};

/* --- copying what came --- */

/* Append `n` bytes of input to raw; `whole` if no more will come, so that the block can be exact. */
static void keep_raw(struct http1 *h, const char *p, size_t n, bool whole)
{
    size_t need = h->raw_n + n;

    if (need > h->raw_cap) {
        size_t cap = whole ? need : need * 2;
        if (!whole && cap < 1024)
            cap = 1024;
        char *raw = arena_alloc(h->arena, cap);
        if (h->raw_n)
            memcpy(raw, h->raw, h->raw_n);
        h->raw = raw;
        h->raw_cap = (uint32_t)cap;
    }
    if (n)
        memcpy(h->raw + h->raw_n, p, n);
    h->raw_n += (uint32_t)n;
}

static struct str raw_str(const struct http1 *h, uint32_t at, uint32_t n)
{
    return n ? str_of(h->raw + at, n) : STR("");
}

/* The collected names and values as strings. */
static struct http_header *make_headers(struct http1 *h)
{
    struct http_header *headers = arena_alloc(h->arena, h->layout.span_n * sizeof *headers);

    for (uint32_t i = 0; i < h->layout.span_n; i++) {
        const struct http1_span *s = &h->layout.spans[i];
        headers[i].name = raw_str(h, s->name, s->name_n);
        headers[i].value = str_trim(raw_str(h, s->value, s->value_n));
    }
    return headers;
}

/* --- the head --- */

/* Bytes that a host with its port may have: RFC 3986, 3.2.2 without the comma, which only a joined list has. */
static bool is_host(struct str host)
{
    for (size_t i = 0; i < host.n; i++) {
        unsigned char c = (unsigned char)host.p[i];
        bool fine = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    (c && strchr("-._~%!$&'()*+;=:[]", c));
        if (!fine)
            return false;
    }
    return true;
}

static void split_query(struct http_head *head, struct str path)
{
    size_t at = str_find_char(path, '?');

    head->path = str_of(path.p, at);
    head->query = at < path.n ? str_of(path.p + at + 1, path.n - at - 1) : STR_NONE;
}

/* "http://host[:port][/path][?query]": the target sent to proxies, which servers accept too (RFC 9112, 3.2.2). */
static bool split_absolute(struct http_head *head)
{
    bool plain = str_starts_nocase(head->target, STR("http://"));
    if (!plain && !str_starts_nocase(head->target, STR("https://")))
        return false;
    struct str rest = str_slice(head->target, plain ? 7 : 8, head->target.n);
    size_t n = 0;
    while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?')
        n++;
    head->host = str_of(rest.p, n);
    if (n == 0 || !is_host(head->host))
        return false;
    split_query(head, str_slice(rest, n, rest.n));
    if (head->path.n == 0)
        head->path = STR("/");
    return true;
}

static bool is_target(struct str target)
{
    for (size_t i = 0; i < target.n; i++) {
        unsigned char c = (unsigned char)target.p[i];
        if (c <= ' ' || c >= 0x7f || c == '#')
            return false;
    }
    return true;
}

static int take_target(struct http1 *h, struct http_head *head)
{
    if (!is_target(head->target))
        return refuse(h, 400, "invalid character in the request target");
    if (head->target.n && head->target.p[0] == '/') {
        split_query(head, head->target);
        return 0;
    }
    if (str_eq(head->target, STR("*")) && str_eq(head->method, STR("OPTIONS"))) {
        split_query(head, head->target);
        return 0;
    }
    return split_absolute(head) ? 0 : refuse(h, 400, "invalid request target");
}

/* The request line as it stands in raw: "METHOD target HTTP/1.x". llhttp lets pass more than one blank in it, and protocols
 * that are not HTTP. */
static int take_request_line(struct http1 *h, struct http_head *head)
{
    struct str raw = str_of(h->raw, h->raw_n);
    struct str method = str_of(raw.p, str_find_char(raw, ' '));
    uint32_t behind = h->layout.target + h->layout.target_n;

    if (method.n + 1 != h->layout.target || !str_starts(str_slice(raw, behind, raw.n), STR(" HTTP/")))
        return refuse(h, 400, "malformed request line");
    head->method = method;
    head->target = raw_str(h, h->layout.target, h->layout.target_n);
    if (str_eq(method, STR("CONNECT")))
        return refuse(h, 501, "CONNECT is not supported");
    return take_target(h, head);
}

static int take_length(struct http1 *h, struct http_head *head, struct str value)
{
    uint64_t n;

    if (head->known[HDR_CONTENT_LENGTH])
        return refuse(h, 400, "more than one Content-Length");
    if (!str_to_u64(value, INT64_MAX, &n))
        return refuse(h, 400, "invalid Content-Length");
    head->content_length = (int64_t)n;
    return 0;
}

static int take_host(struct http1 *h, struct http_head *head, struct str value)
{
    if (head->known[HDR_HOST])
        return refuse(h, 400, "more than one Host");
    if (!is_host(value))
        return refuse(h, 400, "invalid Host");
    if (!head->host.p)
        head->host = value;
    return 0;
}

/* What Connection, over all its lines, says; and whether a coding is wanted that we have not. */
struct wishes {
    bool close, keep_alive, upgrade, coding;
};

static int take_transfer_encoding(struct http1 *h, struct http_head *head, struct str value, struct wishes *w)
{
    if (head->known[HDR_TRANSFER_ENCODING])
        return refuse(h, 400, "more than one Transfer-Encoding");
    if (head->minor == 0)
        return refuse(h, 400, "Transfer-Encoding with HTTP/1.0");
    if (str_eq_nocase(value, STR("chunked"))) {
        head->chunked = true;
        return 0;
    }
    /* Chunked and then something: the length is not to be known. Something else first: we could not decode it. */
    struct str first = str_trim(str_cut(&value, ','));
    if (first.n == 0 || str_eq_nocase(first, STR("chunked")))
        return refuse(h, 400, "invalid Transfer-Encoding");
    w->coding = true; /* refused when there is nothing worse in the head */
    return 0;
}

static void take_connection(struct wishes *w, struct str value)
{
    if (str_eq_nocase(value, STR("keep-alive"))) { /* nearly always */
        w->keep_alive = true;
        return;
    }
    w->close |= str_list_has(value, STR("close"));
    w->keep_alive |= str_list_has(value, STR("keep-alive"));
    w->upgrade |= str_list_has(value, STR("upgrade"));
}

/* Look at each header once: index it, and act on those that frame the message. */
static int take_headers(struct http1 *h, struct http_head *head, struct wishes *w)
{
    head->ids = arena_alloc(h->arena, head->count);
    for (size_t i = 0; i < head->count; i++) {
        struct str value = head->headers[i].value;
        enum http_known id = http_known_of(head->headers[i].name);
        int bad = 0;

        head->ids[i] = (uint8_t)id;
        if (id == HDR_OTHER)
            continue;
        if (id == HDR_CONTENT_LENGTH)
            bad = take_length(h, head, value);
        else if (id == HDR_TRANSFER_ENCODING)
            bad = take_transfer_encoding(h, head, value, w);
        else if (id == HDR_CONNECTION)
            take_connection(w, value);
        else if (id == HDR_HOST && h->role == HTTP1_REQUEST)
            bad = take_host(h, head, value);
        else if (id == HDR_EXPECT)
            head->expect_continue = head->minor >= 1 && str_eq_nocase(value, STR("100-continue"));
        if (bad)
            return bad;
        if (!head->known[id])
            head->known[id] = (uint16_t)(i + 1);
    }
    return 0;
}

static int check_head(struct http1 *h, struct http_head *head)
{
    struct wishes w = {0};

    if (take_headers(h, head, &w) != 0)
        return -1;
    if (head->known[HDR_TRANSFER_ENCODING] && head->content_length >= 0)
        return refuse(h, 400, "Content-Length together with Transfer-Encoding");
    if (h->role == HTTP1_REQUEST && head->minor >= 1 && !head->known[HDR_HOST])
        return refuse(h, 400, "Host is missing");
    if (w.coding)
        return refuse(h, 501, "unsupported Transfer-Encoding");
    if (head->content_length > 0 && (uint64_t)head->content_length > h->limits.body_bytes)
        return refuse(h, 413, "the body is too large");
    head->keep_alive = !w.close && (head->minor >= 1 || w.keep_alive);
    head->upgrade = w.upgrade && head->known[HDR_UPGRADE];
    return 0;
}

/* How the body ends (RFC 9112, 6.3). */
static enum state body_of(struct http1 *h, struct http_head *head)
{
    bool response = h->role == HTTP1_RESPONSE;

    if (response && (h->to_head || head->status < 200 || head->status == 204 || head->status == 304)) {
        bool lies = head->status == 204 && (head->chunked || head->content_length > 0);
        head->keep_alive &= !lies;
        head->upgrade = head->status == 101;
        return S_EMPTY;
    }
    if (head->chunked)
        return S_CHUNKED;
    if (head->content_length > 0) {
        h->left = (uint64_t)head->content_length;
        return S_LENGTH;
    }
    if (head->content_length == 0 || !response)
        return S_EMPTY;
    head->keep_alive = false;
    return S_UNTIL_CLOSE;
}

static void forget_raw(struct http1 *h, uint32_t max)
{
    h->raw = NULL;
    h->raw_n = h->raw_cap = 0;
    h->raw_max = max;
    h->layout = (struct http1_layout){0};
}

static void expect_head(struct http1 *h)
{
    forget_raw(h, h->limits.head_bytes);
    h->state = S_HEAD;
    h->extension_n = 0;
    h->slow = false;
    *h->head = (struct http_head){.content_length = -1};
}

/* Bring llhttp to where the first chunk begins. It has no way in but through a head, so it gets a short one. */
static void expect_chunks(struct http1 *h)
{
    const struct str head = STR("POST / HTTP/1.1\r\nTransfer-Encoding:chunked\r\n\r\n");

    llhttp_init(&h->parser, HTTP_REQUEST, &body_settings);
    h->parser.data = h;
    llhttp_errno_t e = llhttp_execute(&h->parser, head.p, head.n);
    assert(e == HPE_PAUSED);
    (void)e;
}

/* The whole head is in raw. */
static enum http1_event finish_head(struct http1 *h)
{
    struct http_head *head = h->head;

    head->minor = h->layout.minor;
    head->headers = make_headers(h);
    head->count = h->layout.span_n;
    if (h->role == HTTP1_RESPONSE) {
        head->status = h->layout.status;
        head->reason = raw_str(h, h->layout.reason, h->layout.reason_n);
        if (head->status < 100)
            return refused(h, 502, "invalid status");
    } else if (take_request_line(h, head) != 0) {
        return HTTP1_ERROR;
    }
    if (check_head(h, head) != 0)
        return HTTP1_ERROR;
    enum state next = body_of(h, head);
    h->extension_n = 0;
    forget_raw(h, h->limits.trailer_bytes);
    if (h->skip_informational && head->status >= 100 && head->status < 200 && head->status != 101) {
        if (++h->informational > MOST_INFORMATIONAL)
            return refused(h, 502, "too many informational answers");
        expect_head(h);
        return HTTP1_MORE;
    }
    if (next == S_CHUNKED)
        expect_chunks(h);
    h->state = next;
    return HTTP1_HEAD;
}

static void advance(struct str *in, size_t n)
{
    in->p += n;
    in->n -= n;
}

/* Empty lines before a message are passed over (RFC 9112, 2.2), a few of them. */
static int skip_empty_lines(struct http1 *h, struct str *in)
{
    while (in->n && (in->p[0] == '\r' || in->p[0] == '\n')) {
        if (++h->extension_n > MOST_EMPTY_LINE_BYTES)
            return refuse(h, 400, "empty lines before the message");
        advance(in, 1);
    }
    if (in->n)
        h->began = true;
    return 0;
}

/* The usual case: the whole head is there, and plain. False: nothing was taken, llhttp is to look at it. */
static bool take_fast(struct http1 *h, struct str *in)
{
    struct http1_layout *l = &h->layout;

    *l = (struct http1_layout){
        .spans = arena_alloc(h->arena, FIRST_SPANS * sizeof *l->spans),
        .span_max = h->limits.headers < FIRST_SPANS ? h->limits.headers : FIRST_SPANS,
    };
    size_t n = http1_fast_head(h->role, str_slice(*in, 0, h->raw_max), l);
    if (n == 0 || l->target_n > h->limits.target_bytes) {
        *l = (struct http1_layout){.spans = l->spans, .span_max = FIRST_SPANS};
        return false;
    }
    keep_raw(h, in->p, n, true);
    advance(in, n);
    return true;
}

static enum http1_event end_slow(struct http1 *h)
{
    if (h->parser.http_major != 1 || h->parser.http_minor > 1)
        return refused(h, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    h->layout.minor = h->parser.http_minor;
    h->layout.status = h->parser.status_code;
    return finish_head(h);
}

static enum http1_event take_slow(struct http1 *h, struct str *in)
{
    size_t room = h->raw_max - h->raw_n, n = in->n < room ? in->n : room;

    h->feed = in->p;
    llhttp_errno_t e = llhttp_execute(&h->parser, in->p, n);
    if (e == HPE_PAUSED) {
        n = (size_t)(llhttp_get_error_pos(&h->parser) - in->p);
        keep_raw(h, in->p, n, true);
        advance(in, n);
        return end_slow(h);
    }
    if (h->error_status || e != HPE_OK) {
        (void)refuse_as_llhttp(h, e, in->p + n);
        keep_raw(h, in->p, n, true);
        return HTTP1_ERROR;
    }
    keep_raw(h, in->p, n, false);
    advance(in, n);
    if (h->raw_n < h->raw_max)
        return HTTP1_MORE;
    bool in_target = h->role == HTTP1_REQUEST && h->layout.span_n == 0;
    return in_target ? refused(h, 414, "the request target is too long") : refused(h, 431, "the head is too large");
}

static enum http1_event next_in_head(struct http1 *h, struct str *in)
{
    if (!h->began && skip_empty_lines(h, in) != 0)
        return HTTP1_ERROR;
    if (in->n == 0)
        return HTTP1_MORE;
    if (!h->slow) {
        if (take_fast(h, in))
            return finish_head(h);
        h->slow = true;
        llhttp_init(&h->parser, h->role == HTTP1_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE, &head_settings);
        h->parser.data = h;
    }
    return take_slow(h, in);
}

static bool is_method(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_token_char((unsigned char)s.p[i]))
            return false;
    return s.n > 0;
}

void http1_recall_request(struct http1 *h)
{
    struct http_head *head = h->head;
    struct str raw = str_of(h->raw, h->raw_n);
    size_t blank = str_find_char(raw, ' ');
    struct str method = str_slice(raw, 0, blank), rest = str_slice(raw, blank + 1, raw.n);
    struct str target = str_slice(rest, 0, str_find_char(rest, ' '));

    if (blank == raw.n || !is_method(method))
        return;
    head->method = method;
    if (target.n == rest.n || target.n == 0 || target.p[0] != '/' || !is_target(target))
        return;
    head->target = target;
    split_query(head, target);
}

/* --- bodies --- */

static enum http1_event give_body(struct http1 *h, struct str piece, struct str *ret_body)
{
    if (piece.n > h->limits.body_bytes - h->body_bytes)
        return refused(h, 413, "the body is too large");
    h->body_bytes += piece.n;
    *ret_body = piece;
    return HTTP1_BODY;
}

static enum http1_event next_in_length(struct http1 *h, struct str *in, struct str *ret_body)
{
    if (h->left == 0) {
        h->state = S_DONE;
        return HTTP1_END;
    }
    if (in->n == 0)
        return HTTP1_MORE;
    struct str piece = str_of(in->p, in->n < h->left ? in->n : (size_t)h->left);
    advance(in, piece.n);
    h->left -= piece.n;
    return give_body(h, piece, ret_body);
}

/* Keep what `input` holds of the trailer section for the spans that point there. */
static int keep_trailer(struct http1 *h, struct str input)
{
    if (h->layout.span_n == 0)
        return 0;
    size_t n = (size_t)(input.p + input.n - h->feed);
    if (n > h->raw_max - h->raw_n)
        return refuse(h, 431, "trailer fields are too large");
    keep_raw(h, h->feed, n, false);
    return 0;
}

static enum http1_event end_chunked(struct http1 *h)
{
    if (h->layout.span_n) {
        h->trailers = make_headers(h);
        h->trailer_count = h->layout.span_n;
    }
    return HTTP1_END;
}

static enum http1_event next_in_chunked(struct http1 *h, struct str *in, struct str *ret_body)
{
    if (h->parser.error == HPE_PAUSED)
        llhttp_resume(&h->parser);
    if (in->n == 0)
        return HTTP1_MORE;
    h->feed = in->p;
    h->piece = STR_NONE;
    llhttp_errno_t e = llhttp_execute(&h->parser, in->p, in->n);
    if (h->error_status || (e != HPE_OK && e != HPE_PAUSED)) {
        (void)refuse_as_llhttp(h, e, in->p + in->n);
        return HTTP1_ERROR;
    }
    size_t n = e == HPE_PAUSED ? (size_t)(llhttp_get_error_pos(&h->parser) - in->p) : in->n;
    struct str taken = str_of(in->p, n);
    advance(in, n);
    if (keep_trailer(h, taken) != 0)
        return HTTP1_ERROR;
    h->left += n - h->piece.n; /* framing bytes, here: what a peer could send for ever without a byte of body */
    if (h->left > (uint64_t)h->limits.extension_bytes + h->limits.trailer_bytes + CHUNK_LINE_SLACK)
        return refused(h, 400, "chunk framing is too long");
    if (h->piece.n) {
        h->left = 0;
        return give_body(h, h->piece, ret_body);
    }
    return h->state == S_DONE ? end_chunked(h) : HTTP1_MORE;
}

static enum http1_event next_until_close(struct http1 *h, struct str *in, struct str *ret_body)
{
    if (in->n == 0)
        return HTTP1_MORE;
    struct str piece = *in;
    advance(in, piece.n);
    return give_body(h, piece, ret_body);
}

/* --- the interface --- */

static uint32_t limit_or(uint32_t given, uint32_t standard)
{
    return given ? given : standard;
}

void http1_init(struct http1 *h, enum http1_role role, const struct http1_limits *limits)
{
    struct http1_limits l = limits ? *limits : (struct http1_limits){0};

    l.head_bytes = limit_or(l.head_bytes, DEFAULT_HEAD);
    l.headers = limit_or(l.headers, DEFAULT_HEADERS);
    if (l.headers > MOST_HEADERS)
        l.headers = MOST_HEADERS;
    l.target_bytes = limit_or(l.target_bytes, DEFAULT_TARGET);
    l.extension_bytes = limit_or(l.extension_bytes, DEFAULT_EXTENSION);
    l.trailer_bytes = limit_or(l.trailer_bytes, DEFAULT_TRAILER);
    l.body_bytes = l.body_bytes ? l.body_bytes : UINT64_MAX;
    memset(h, 0, sizeof *h);
    h->limits = l;
    h->role = role;
    h->state = S_DONE;
}

void http1_begin(struct http1 *h, struct arena *arena, struct http_head *head)
{
    h->arena = arena;
    h->head = head;
    h->error_status = 0;
    h->error_text = NULL;
    h->body_bytes = h->left = 0;
    h->began = h->to_head = false;
    h->informational = 0;
    h->trailers = NULL;
    h->trailer_count = 0;
    expect_head(h);
}

void http1_expect_no_body(struct http1 *h)
{
    h->to_head = true;
}

void http1_skip_informational(struct http1 *h, bool skip)
{
    h->skip_informational = skip;
}

enum http1_event http1_next(struct http1 *h, struct str *in, struct str *ret_body)
{
    for (;;) {
        enum http1_event e = HTTP1_MORE;

        switch ((enum state)h->state) {
        case S_HEAD:
            e = next_in_head(h, in);
            break;
        case S_LENGTH:
            return next_in_length(h, in, ret_body);
        case S_CHUNKED:
            e = next_in_chunked(h, in, ret_body);
            break;
        case S_UNTIL_CLOSE:
            return next_until_close(h, in, ret_body);
        case S_EMPTY:
            h->state = S_DONE;
            return HTTP1_END;
        case S_DONE:
            return HTTP1_END;
        case S_REFUSED:
            return HTTP1_ERROR;
        }
        if (e != HTTP1_MORE || in->n == 0)
            return e;
    }
}

enum http1_event http1_eof(struct http1 *h)
{
    switch ((enum state)h->state) {
    case S_UNTIL_CLOSE:
    case S_EMPTY:
        h->state = S_DONE;
        return HTTP1_END;
    case S_DONE:
        return HTTP1_MORE;
    case S_HEAD:
        if (!h->began && !h->informational)
            return HTTP1_MORE;
        break;
    case S_LENGTH:
        if (h->left == 0) {
            h->state = S_DONE;
            return HTTP1_END;
        }
        break;
    case S_CHUNKED:
        break;
    case S_REFUSED:
        return HTTP1_ERROR;
    }
    return refused(h, 400, "the connection was closed in the middle of a message");
}

const struct http_header *http1_trailers(const struct http1 *h, size_t *ret_count)
{
    *ret_count = h->trailer_count;
    return h->trailers;
}

int http1_is_h2_preface(struct str in)
{
    struct str preface = STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

    if (in.n >= preface.n)
        return str_starts(in, preface);
    return str_starts(preface, in) ? -1 : 0;
}
