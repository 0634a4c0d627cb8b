/*
 * nats.c - one connection to NATS; requests, and JetStream's API, which is requests with JSON in them.
 *
 * All replies come to one subscription, `_INBOX.RANDOM.*`; the last token is the number of the request, so that one that comes too late, for a
 * request which was given up, is not taken for an answer to another. Between calls the server may ask for a PONG; it gets it with the next call, which is
 * why a connection that lay idle for minutes may be gone: the first call then fails with E_EOF, and its caller tries again.
 *
 * JetStream refuses with {"error": {"code", "err_code", "description"}}. The err_codes that mean something to callers are in `known`.
 *
 * Does not: share a connection among fibers, follow other servers of a cluster, keys and certificates of NATS' own (NKEY, JWT).
 */
#include "client/nats.h"

#include "base/mem.h"
#include "codec/base64.h"
#include "codec/json_tree.h"
#include "rt/loop.h"
#include "rt/scope.h"

#include <inttypes.h>
#include <stdio.h>

enum { READ_SIZE = 64 * 1024, KEEP_CAPACITY = 1 << 20, OUT_MAX = 128 << 20, INBOX_BYTES = 32, JSON_MAX = 64 * 1024 };

struct nats {
    struct nats_options options;
    struct conn conn;
    struct buf in, out;
    size_t taken; /* bytes of `in` that the last frame took: they stay until the next is looked for */
    char inbox[INBOX_BYTES];
    uint64_t request;
    uint64_t payload_max;
    bool is_open;
};

struct nats *nats_new(const struct nats_options *o)
{
    struct nats *n = NEW(struct nats);

    n->options = *o;
    n->options.connect_time = o->connect_time ? o->connect_time : 5 * NS_SEC;
    n->options.reply_time = o->reply_time ? o->reply_time : 10 * NS_SEC;
    buf_init(&n->in, NATS_MESSAGE_MAX + NATS_LINE_MAX + READ_SIZE);
    buf_init(&n->out, OUT_MAX);
    return n;
}

static void hang_up(struct nats *n)
{
    conn_close(&n->conn);
    buf_release(&n->in);
    buf_clear(&n->out);
    n->taken = 0;
    n->is_open = false;
}

void nats_free(struct nats *n)
{
    if (!n)
        return;
    hang_up(n);
    buf_release(&n->out);
    mem_free(n);
}

/* ---- frames ---- */

static err_t flush(struct nats *n) SUSPENDS;
static err_t flush(struct nats *n)
{
    TRY(conn_write(&n->conn, buf_str(&n->out)));
    buf_clear(&n->out);
    return OK;
}

static err_t fill(struct nats *n) SUSPENDS;
static err_t fill(struct nats *n)
{
    size_t got;

    buf_consume(&n->in, n->taken);
    n->taken = 0;
    if (n->in.n == 0 && n->in.cap > KEEP_CAPACITY)
        buf_release(&n->in);
    char *to = buf_reserve(&n->in, READ_SIZE);
    if (!to)
        return fail(E_TOO_LARGE, "nats: a message of more than %d bytes", NATS_MESSAGE_MAX);
    TRY(conn_read(&n->conn, to, READ_SIZE, &got));
    if (got == 0)
        return fail(E_EOF, "nats: the server closed the connection");
    n->in.n += got;
    return OK;
}

static err_t server_error(struct str words)
{
    bool is_auth = str_find(words, STR("uthoriz")) < words.n || str_find(words, STR("uthentic")) < words.n;

    return fail(is_auth ? E_AUTH : E_UPSTREAM, "nats: %.*s", STR_ARG(str_slice(words, 0, ERR_TEXT_MAX)));
}

/* The next frame that is for us: PINGs are answered. Valid until the next call. */
static err_t next_frame(struct nats *n, struct nats_frame *ret) SUSPENDS;
static err_t next_frame(struct nats *n, struct nats_frame *ret)
{
    for (;;) {
        size_t bytes = 0;
        err_t e = nats_frame_next(str_slice(buf_str(&n->in), n->taken, n->in.n), NATS_MESSAGE_MAX, ret, &bytes);
        if (e == E_AGAIN) {
            TRY(fill(n));
            continue;
        }
        TRY(err_context(e == E_PARSE ? E_PROTOCOL : e, "nats"));
        n->taken += bytes;
        if (ret->kind == NATS_ERROR)
            return server_error(ret->text);
        if (ret->kind != NATS_PING)
            return OK;
        TRY(buf_add_lit(&n->out, "PONG\r\n"));
        TRY(flush(n));
    }
}

/* ---- connecting ---- */

static err_t read_info(struct nats *n, struct str text)
{
    struct arena a CLEANUP(arena_release) = {.max = 1 << 20};
    const struct json_tree *tree;
    int64_t most = 0;

    TRY(json_tree_parse(&a, text, &tree));
    if (!json_node_i64(json_node_get(json_tree_root(tree), STR("max_payload")), &most) || most <= 0)
        return fail(E_PROTOCOL, "nats: the server does not say what it takes");
    n->payload_max = (uint64_t)most;
    return OK;
}

static err_t add_text(struct buf *to, const char *name, struct str value)
{
    TRY(buf_addf(to, ",\"%s\":\"", name));
    TRY(buf_add_json(to, value));
    return buf_add_char(to, '"');
}

static err_t write_connect(struct nats *n)
{
    struct str password = n->options.password ? secret_reveal(n->options.password) : STR_NONE;

    TRY(buf_add_lit(&n->out, "CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"c\",\"version\":\"1\",\"name\":"
                             "\"crossdock\",\"protocol\":1,\"headers\":true,\"no_responders\":true"));
    if (n->options.user.n)
        TRY(add_text(&n->out, "user", n->options.user));
    if (password.n)
        TRY(add_text(&n->out, n->options.user.n ? "pass" : "auth_token", password));
    TRY(buf_add_lit(&n->out, "}\r\n"));
    return buf_addf(&n->out, "SUB %s.* 1\r\nPING\r\n", n->inbox);
}

static err_t greet(struct nats *n) SUSPENDS;
static err_t greet(struct nats *n)
{
    struct nats_frame f;

    TRY(next_frame(n, &f));
    if (f.kind != NATS_INFO)
        return fail(E_PROTOCOL, "nats: the server does not greet");
    TRY(read_info(n, f.text));
    if (n->options.at.secure)
        TRY(tls_connect(n->options.at.tls, n->conn.sock, n->options.at.host, &n->conn.tls));
    (void)snprintf(n->inbox, sizeof n->inbox, "_INBOX.%016" PRIx64, rt_random());
    TRY(write_connect(n));
    TRY(flush(n));
    do
        TRY(next_frame(n, &f));
    while (f.kind != NATS_PONG);
    return OK;
}

static err_t dial_and_greet(struct nats *n) SUSPENDS;
static err_t dial_and_greet(struct nats *n)
{
    struct dial_target plain = n->options.at;
    WITHIN(ns_add(rt_now(), n->options.connect_time));

    plain.secure = false; /* the server speaks first, then TLS begins */
    TRY(dial(&plain, &n->conn));
    return greet(n);
}

/* A time of our own that passed is no deadline of the caller's. */
static err_t in_time(err_t e)
{
    return e == E_DEADLINE && rt_now() < fiber_deadline() ? fail(E_IO, "nats: the server did not answer in time") : e;
}

static err_t connect_if_needed(struct nats *n) SUSPENDS;
static err_t connect_if_needed(struct nats *n)
{
    if (n->is_open)
        return OK;
    err_t e = in_time(dial_and_greet(n));
    if (e != OK)
        hang_up(n);
    n->is_open = e == OK;
    return e;
}

/* ---- publishing and asking ---- */

static err_t check_size(const struct nats *n, struct str headers, struct str payload)
{
    return headers.n + payload.n > n->payload_max
               ? fail(E_TOO_LARGE, "nats: a message of %zu bytes, and the server takes %" PRIu64, headers.n + payload.n,
                      n->payload_max)
               : OK;
}

/* What was written has reached the server. */
static err_t flush_and_wait(struct nats *n) SUSPENDS;
static err_t flush_and_wait(struct nats *n)
{
    struct nats_frame f;
    WITHIN(ns_add(rt_now(), n->options.reply_time));

    TRY(buf_add_lit(&n->out, "PING\r\n"));
    TRY(flush(n));
    do
        TRY(next_frame(n, &f));
    while (f.kind != NATS_PONG);
    return OK;
}

/* Whatever failed in the middle leaves a stream that nobody can read on. */
static err_t end_call(struct nats *n, err_t e)
{
    e = in_time(e);
    if (e != OK)
        hang_up(n);
    return e;
}

err_t nats_publish(struct nats *n, struct str subject, struct str headers, struct str payload)
{
    TRY(connect_if_needed(n));
    TRY(check_size(n, headers, payload));
    err_t e = nats_write_publish(&n->out, subject, STR_NONE, headers, payload);
    return end_call(n, e == OK ? flush_and_wait(n) : e);
}

static struct str copy(struct arena *a, struct str s)
{
    return s.n ? arena_str(a, s) : s;
}

static err_t keep_message(const struct nats_frame *f, struct arena *a, struct nats_message *ret)
{
    char *room;

    TRY(arena_try(a, f->payload.n + 1, &room)); /* the part whose size others chose */
    if (f->payload.n)
        memcpy(room, f->payload.p, f->payload.n);
    *ret = (struct nats_message){.subject = copy(a, f->subject),
                                 .reply = copy(a, f->reply),
                                 .headers = copy(a, f->headers),
                                 .payload = str_of(room, f->payload.n)};
    return OK;
}

/* The next message for the request that is under way. */
static err_t next_reply(struct nats *n, struct nats_frame *ret) SUSPENDS;
static err_t next_reply(struct nats *n, struct nats_frame *ret)
{
    char wanted[INBOX_BYTES + 24];
    int length = snprintf(wanted, sizeof wanted, "%s.%" PRIu64, n->inbox, n->request);

    for (;;) {
        TRY(next_frame(n, ret));
        /* What a consumer delivers keeps the subject that it was stored under; only its subscription tells that it is for us. */
        if (ret->kind == NATS_MESSAGE &&
            (str_eq(ret->subject, str_of(wanted, (size_t)length)) || !str_starts(ret->subject, str_from_c(n->inbox))))
            return OK;
    }
}

static err_t send_request(struct nats *n, struct str subject, struct str headers, struct str payload) SUSPENDS;
static err_t send_request(struct nats *n, struct str subject, struct str headers, struct str payload)
{
    char reply[INBOX_BYTES + 24];
    int length = snprintf(reply, sizeof reply, "%s.%" PRIu64, n->inbox, ++n->request);

    TRY(nats_write_publish(&n->out, subject, str_of(reply, (size_t)length), headers, payload));
    return flush(n);
}

static err_t exchange(struct nats *n, struct str subject, struct str headers, struct str payload, struct arena *a,
                      struct nats_message *ret) SUSPENDS;
static err_t exchange(struct nats *n, struct str subject, struct str headers, struct str payload, struct arena *a,
                      struct nats_message *ret)
{
    struct nats_frame f;
    WITHIN(ns_add(rt_now(), n->options.reply_time));

    TRY(send_request(n, subject, headers, payload));
    TRY(next_reply(n, &f));
    return keep_message(&f, a, ret);
}

/* A request and its reply. E_AGAIN: nobody answers to this subject. */
static err_t request(struct nats *n, struct str subject, struct str headers, struct str payload, struct arena *a,
                     struct nats_message *ret) SUSPENDS;
static err_t request(struct nats *n, struct str subject, struct str headers, struct str payload, struct arena *a,
                     struct nats_message *ret)
{
    enum { NO_RESPONDERS = 503 };

    TRY(connect_if_needed(n));
    TRY(check_size(n, headers, payload));
    TRY(end_call(n, exchange(n, subject, headers, payload, a, ret)));
    if (nats_status(ret->headers) == NO_RESPONDERS)
        return fail(E_AGAIN, "nats: nobody answers to %.*s", STR_ARG(subject));
    return OK;
}

/* ---- JetStream ---- */

static err_t refusal(struct json_node error, struct arena *a)
{
    static const struct {
        int64_t code;
        err_t error;
    } known[] = {
        {10071, E_CONFLICT},  /* wrong last sequence              */
        {10164, E_CONFLICT},  /* likewise, of newer servers       */
        {10037, E_NOT_FOUND}, /* no message found                 */
        {10059, E_NOT_FOUND}, /* stream not found                 */
        {10014, E_NOT_FOUND}, /* consumer not found               */
        {10076, E_CONFIG},    /* JetStream is not enabled         */
        {10039, E_CONFIG},    /* nor for this account             */
        {10054, E_TOO_LARGE}, /* message size exceeds the maximum */
    };
    int64_t code = 0, status = 0;
    err_t e = E_UPSTREAM;

    (void)json_node_i64(json_node_get(error, STR("err_code")), &code);
    (void)json_node_i64(json_node_get(error, STR("code")), &status);
    if (status == 503)
        e = E_AGAIN;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (known[i].code == code)
            e = known[i].error;
    struct str words = json_get_text(error, STR("description"), a);
    return fail(e, "nats: %.*s (%" PRIi64 ")", STR_ARG(str_slice(words, 0, ERR_TEXT_MAX)), code);
}

/* A request to the API whose reply is JSON. */
static err_t ask(struct nats *n, struct str subject, struct str headers, struct str payload, struct arena *a,
                 struct json_node *ret) SUSPENDS;
static err_t ask(struct nats *n, struct str subject, struct str headers, struct str payload, struct arena *a,
                 struct json_node *ret)
{
    struct nats_message reply;
    const struct json_tree *tree;

    TRY(request(n, subject, headers, payload, a, &reply));
    if (json_tree_parse(a, reply.payload, &tree) != OK)
        return fail(E_PROTOCOL, "nats: %.*s was answered by something that is not JSON", STR_ARG(subject));
    struct json_node error = json_node_get(json_tree_root(tree), STR("error"));
    if (!json_is_absent(error))
        return refusal(error, a);
    *ret = json_tree_root(tree);
    return OK;
}

static err_t number_of(struct json_node object, struct str name, uint64_t *ret)
{
    int64_t number;

    if (!json_node_i64(json_node_get(object, name), &number) || number < 0)
        return fail(E_PROTOCOL, "nats: an answer of JetStream has no \"%.*s\"", STR_ARG(name));
    *ret = (uint64_t)number;
    return OK;
}

/* `values` in order: text members of an object, which is left open. */
static err_t begin_object(struct buf *to, const char *name, struct str value)
{
    TRY(buf_addf(to, "{\"%s\":\"", name));
    TRY(buf_add_json(to, value));
    return buf_add_char(to, '"');
}

err_t nats_store(struct nats *n, struct str subject, struct str id, uint64_t expected, struct str payload,
                 struct arena *a, struct nats_stored *ret)
{
    struct buf headers CLEANUP(buf_release) = BUF_INIT(JSON_MAX);
    struct json_node answer;

    TRY(nats_header_add(&headers, STR("Nats-Msg-Id"), id));
    TRY(nats_header_add(&headers, STR("Nats-Expected-Last-Subject-Sequence"), arena_printf(a, "%" PRIu64, expected)));
    TRY(nats_header_end(&headers));
    TRY(ask(n, subject, buf_str(&headers), payload, a, &answer));
    ret->stream = json_get_text(answer, STR("stream"), a);
    return number_of(answer, STR("seq"), &ret->sequence);
}

err_t nats_stream_of(struct nats *n, struct str subject, struct arena *a, struct str *ret)
{
    struct buf question CLEANUP(buf_release) = BUF_INIT(JSON_MAX);
    struct json_node answer;

    TRY(begin_object(&question, "subject", subject));
    TRY(buf_add_char(&question, '}'));
    TRY(ask(n, STR("$JS.API.STREAM.NAMES"), STR_NONE, buf_str(&question), a, &answer));
    struct json_node first = json_node_at(json_node_get(answer, STR("streams")), 0);
    if (json_is_absent(first))
        return fail(E_NOT_FOUND, "nats: no stream takes the subject %.*s", STR_ARG(subject));
    *ret = json_node_text(first, a);
    return OK;
}

err_t nats_last_sequence(struct nats *n, struct str stream, struct arena *a, uint64_t *ret)
{
    struct json_node answer;

    TRY(ask(n, arena_printf(a, "$JS.API.STREAM.INFO.%.*s", STR_ARG(stream)), STR_NONE, STR_NONE, a, &answer));
    return number_of(json_node_get(answer, STR("state")), STR("last_seq"), ret);
}

static err_t find(struct nats *n, struct str stream, struct str question, struct arena *a, struct nats_found *ret)
    SUSPENDS;
static err_t find(struct nats *n, struct str stream, struct str question, struct arena *a, struct nats_found *ret)
{
    struct buf headers CLEANUP(buf_release) = BUF_INIT(NATS_MESSAGE_MAX);
    struct json_node answer;

    TRY(ask(n, arena_printf(a, "$JS.API.STREAM.MSG.GET.%.*s", STR_ARG(stream)), STR_NONE, question, a, &answer));
    struct json_node message = json_node_get(answer, STR("message"));
    TRY(number_of(message, STR("seq"), &ret->sequence));
    ret->subject = json_get_text(message, STR("subject"), a);
    if (base64_decode(&headers, json_get_text(message, STR("hdrs"), a), BASE64) != OK)
        return fail(E_PROTOCOL, "nats: headers of a stored message cannot be read");
    ret->headers = arena_str(a, buf_str(&headers));
    return OK;
}

err_t nats_last_of(struct nats *n, struct str stream, struct str subject, struct arena *a, struct nats_found *ret)
{
    struct buf question CLEANUP(buf_release) = BUF_INIT(JSON_MAX);

    TRY(begin_object(&question, "last_by_subj", subject));
    TRY(buf_add_char(&question, '}'));
    return find(n, stream, buf_str(&question), a, ret);
}

err_t nats_next_of(struct nats *n, struct str stream, struct str subject, uint64_t from, struct arena *a,
                   struct nats_found *ret)
{
    struct buf question CLEANUP(buf_release) = BUF_INIT(JSON_MAX);

    TRY(begin_object(&question, "next_by_subj", subject));
    TRY(buf_addf(&question, ",\"seq\":%" PRIu64 "}", from));
    return find(n, stream, buf_str(&question), a, ret);
}

/* ---- consumers ---- */

static err_t read_state(struct json_node answer, struct nats_consumer_state *ret)
{
    uint64_t wait;

    TRY(number_of(json_node_get(answer, STR("config")), STR("ack_wait"), &wait));
    ret->ack_wait = (ns_t)wait;
    return number_of(answer, STR("num_ack_pending"), &ret->pending);
}

err_t nats_consumer_open(struct nats *n, const struct nats_consumer *c, struct arena *a,
                         struct nats_consumer_state *ret)
{
    struct buf question CLEANUP(buf_release) = BUF_INIT(JSON_MAX);
    struct json_node answer = {0};
    struct str place = arena_printf(a, "%.*s.%.*s", STR_ARG(c->stream), STR_ARG(c->durable));

    err_t e = ask(n, arena_printf(a, "$JS.API.CONSUMER.INFO.%.*s", STR_ARG(place)), STR_NONE, STR_NONE, a, &answer);
    if (e == E_NOT_FOUND) {
        TRY(begin_object(&question, "stream_name", c->stream));
        TRY(buf_add_lit(&question, ",\"config\":"));
        TRY(begin_object(&question, "durable_name", c->durable));
        if (c->subject.n)
            TRY(add_text(&question, "filter_subject", c->subject));
        TRY(buf_add_lit(&question,
                        ",\"ack_policy\":\"explicit\",\"deliver_policy\":\"all\",\"replay_policy\":\"instant\"}}"));
        e = ask(n, arena_printf(a, "$JS.API.CONSUMER.DURABLE.CREATE.%.*s", STR_ARG(place)), STR_NONE,
                buf_str(&question), a, &answer);
    }
    TRY(e);
    return read_state(answer, ret);
}

static err_t fetch(struct nats *n, struct str subject, struct str question, size_t count, ns_t until, struct arena *a,
                   struct nats_message *ret, size_t *ret_count) SUSPENDS;
static err_t fetch(struct nats *n, struct str subject, struct str question, size_t count, ns_t until, struct arena *a,
                   struct nats_message *ret, size_t *ret_count)
{
    enum { LAST_STATUS = 400 };
    struct nats_frame f;
    WITHIN(until);

    TRY(send_request(n, subject, STR_NONE, question));
    for (*ret_count = 0; *ret_count < count;) {
        TRY(next_reply(n, &f));
        if (nats_status(f.headers) >= LAST_STATUS) /* there is no more for this request: 404, 408, 409, 503 */
            return OK;
        if (f.reply.n)
            TRY(keep_message(&f, a, &ret[(*ret_count)++]));
    }
    return OK;
}

err_t nats_fetch(struct nats *n, const struct nats_consumer *c, size_t count, ns_t wait, struct arena *a,
                 struct nats_message *ret, size_t *ret_count)
{
    TRY(connect_if_needed(n));
    struct str subject =
        arena_printf(a, "$JS.API.CONSUMER.MSG.NEXT.%.*s.%.*s", STR_ARG(c->stream), STR_ARG(c->durable));
    /* First what is there; only if nothing is, wait for one: so a batch does not wait to be full. */
    struct str now = arena_printf(a, "{\"batch\":%zu,\"max_bytes\":%d,\"no_wait\":true}", count, NATS_FETCH_MAX);
    ns_t until = ns_add(rt_now(), n->options.reply_time);
    TRY(end_call(n, fetch(n, subject, now, count, until, a, ret, ret_count)));
    if (*ret_count)
        return OK;
    struct str later =
        arena_printf(a, "{\"batch\":1,\"max_bytes\":%d,\"expires\":%lld}", NATS_FETCH_MAX, (long long)wait);
    return end_call(n, fetch(n, subject, later, 1, ns_add(until, wait), a, ret, ret_count));
}

static err_t acknowledge(struct nats *n, const struct str *replies, size_t count)
{
    for (size_t i = 0; i < count; i++)
        TRY(nats_write_publish(&n->out, replies[i], STR_NONE, STR_NONE, STR("+ACK")));
    return OK;
}

/* The last one is a request: the server takes them one after the other, and answers when it has taken that. */
err_t nats_acknowledge(struct nats *n, const struct str *replies, size_t count)
{
    struct arena a CLEANUP(arena_release) = {.max = 1 << 16};
    struct nats_message done;

    if (count == 0)
        return OK;
    TRY(connect_if_needed(n));
    err_t e = acknowledge(n, replies, count - 1);
    if (e != OK)
        return end_call(n, e);
    return request(n, replies[count - 1], STR_NONE, STR("+ACK"), &a, &done);
}

err_t nats_origin(struct str reply, uint64_t *ret_sequence, int64_t *ret_at)
{
    enum { SHORT = 9, SEQUENCE = 5, TIME = 7, TOKENS_MAX = 16, BEFORE_STREAM = 2 };
    struct str tokens[TOKENS_MAX], rest = reply;
    uint64_t at;
    size_t n = 0;

    while (rest.p && n < TOKENS_MAX)
        tokens[n++] = str_cut(&rest, '.');
    size_t skip = n > SHORT ? BEFORE_STREAM : 0; /* newer servers: domain and account come first */
    if (n < SHORT || !str_eq(tokens[1], STR("ACK")) || !str_to_u64(tokens[SEQUENCE + skip], INT64_MAX, ret_sequence) ||
        !str_to_u64(tokens[TIME + skip], INT64_MAX, &at))
        return fail(E_PROTOCOL, "nats: a message of a consumer does not say where it is from");
    *ret_at = (int64_t)at;
    return OK;
}
