/*
 * redis_conn.c - one connection to Redis: dialing, greeting, one command at a time, and what refusals mean.
 *
 * HELLO 3 switches to RESP3 and logs in at once. A server older than 6 does not know it, and gets AUTH by itself; its RESP2 needs nothing
 * else, because the codec reads both. A session closes its connection on every failure, since the stream of replies is only good as long
 * as each is read by who asked.
 *
 * Does not: pipeline (redis.c), follow a cluster's redirections.
 */
#include "client/redis_int.h"

#include "base/mem.h"
#include "rt/loop.h"
#include "rt/scope.h"

enum {
    DEFAULT_REPLY = 64 << 20,
    DEFAULT_UNSENT = 8 << 20,
    READ_SIZE = 16 * 1024,
    KEEP_CAPACITY = 256 * 1024,
    GREETING_MAX = 64 * 1024,
    WORD_OVERHEAD = 32, /* a length and two line ends */
};

struct redis_session {
    struct redis_options options;
    struct redis_conn conn;
    bool is_open;
};

struct redis_options redis_settle(const struct redis_options *o)
{
    struct redis_options s = *o;

    s.connections = o->connections ? o->connections : 1;
    if (s.connections > REDIS_CONNECTIONS_MAX)
        s.connections = REDIS_CONNECTIONS_MAX;
    s.connect_time = o->connect_time ? o->connect_time : 5 * NS_SEC;
    s.reply_time = o->reply_time ? o->reply_time : 30 * NS_SEC;
    s.reply_max = o->reply_max ? o->reply_max : DEFAULT_REPLY;
    s.unsent_max = o->unsent_max ? o->unsent_max : DEFAULT_UNSENT;
    return s;
}

/* ---- bytes ---- */

err_t redis_conn_fill(struct redis_conn *c)
{
    size_t n;

    char *to = buf_reserve(&c->in, READ_SIZE);
    if (!to)
        return fail(E_TOO_LARGE, "redis: a reply of more than %zu bytes", c->reply_max);
    TRY(conn_read(&c->conn, to, READ_SIZE, &n));
    if (n == 0)
        return fail(E_EOF, "redis closed the connection");
    c->in.n += n;
    return OK;
}

err_t redis_conn_next(struct redis_conn *c, size_t at, struct str *ret_bytes)
{
    struct str rest = str_slice(buf_str(&c->in), at, c->in.n);
    size_t n;

    err_t e = resp_frame_next(&c->frame, rest, &n);
    if (e == E_PARSE)
        return fail(E_PROTOCOL, "redis: what the server sends is not RESP");
    TRY(e);
    resp_frame_init(&c->frame, c->reply_max);
    *ret_bytes = str_of(rest.p, n);
    return OK;
}

void redis_conn_consume(struct redis_conn *c, size_t n)
{
    buf_consume(&c->in, n);
    if (c->in.n == 0 && c->in.cap > KEEP_CAPACITY)
        buf_release(&c->in);
}

err_t redis_take(struct str bytes, struct arena *a, struct resp *ret)
{
    char *own;

    TRY(arena_try(a, bytes.n, &own));
    memcpy(own, bytes.p, bytes.n);
    return resp_parse(str_of(own, bytes.n), a, ret);
}

size_t redis_size(const struct redis_command *commands, size_t n)
{
    size_t sum = 0;

    for (size_t i = 0; i < n; i++) {
        sum += WORD_OVERHEAD;
        for (size_t k = 0; k < commands[i].n; k++)
            if (__builtin_add_overflow(sum, commands[i].words[k].n + WORD_OVERHEAD, &sum))
                return SIZE_MAX;
    }
    return sum;
}

static err_t exchange(struct redis_conn *c, const struct redis_command *command, size_t max, struct arena *a,
                      struct resp *ret) SUSPENDS;
static err_t exchange(struct redis_conn *c, const struct redis_command *command, size_t max, struct arena *a,
                      struct resp *ret)
{
    struct buf out CLEANUP(buf_release) = BUF_INIT(max);
    struct str bytes;

    TRY(resp_write_command(&out, command->words, command->n));
    TRY(conn_write(&c->conn, buf_str(&out)));
    for (;;) {
        err_t e = redis_conn_next(c, 0, &bytes);
        if (e == E_AGAIN) {
            TRY(redis_conn_fill(c));
            continue;
        }
        TRY(e);
        if (bytes.p[0] != '>')
            break;
        redis_conn_consume(c, bytes.n);
    }
    err_t e = redis_take(bytes, a, ret);
    redis_conn_consume(c, bytes.n);
    return e;
}

/* ---- greeting ---- */

static err_t ask(struct redis_conn *c, const struct str *words, size_t n, struct arena *a, struct resp *ret) SUSPENDS;
static err_t ask(struct redis_conn *c, const struct str *words, size_t n, struct arena *a, struct resp *ret)
{
    return exchange(c, &(struct redis_command){words, n}, GREETING_MAX, a, ret);
}

/* Is that how a server says that it knows no RESP3? */
static bool is_old(const struct resp *r)
{
    return r->kind == RESP_ERROR &&
           (str_starts(r->text, STR("ERR unknown command")) || str_starts(r->text, STR("NOPROTO")));
}

static err_t log_in_old(struct redis_conn *c, const struct redis_options *o, struct str password, struct arena *a)
    SUSPENDS;
static err_t log_in_old(struct redis_conn *c, const struct redis_options *o, struct str password, struct arena *a)
{
    struct resp reply;

    if (password.n == 0)
        return OK;
    if (o->user.n)
        TRY(ask(c, (struct str[]){STR("AUTH"), o->user, password}, 3, a, &reply));
    else
        TRY(ask(c, (struct str[]){STR("AUTH"), password}, 2, a, &reply));
    return redis_refusal(&reply);
}

static err_t greet(struct redis_conn *c, const struct redis_options *o) SUSPENDS;
static err_t greet(struct redis_conn *c, const struct redis_options *o)
{
    struct arena a CLEANUP(arena_release) = {0};
    struct str password = o->password ? secret_reveal(o->password) : STR_NONE;
    struct str hello[] = {STR("HELLO"), STR("3"), STR("AUTH"), o->user.n ? o->user : STR("default"), password};
    struct resp reply;

    arena_init(&a, GREETING_MAX);
    TRY(ask(c, hello, password.n ? ARRAY_LEN(hello) : 2, &a, &reply));
    if (is_old(&reply))
        TRY(log_in_old(c, o, password, &a));
    else
        TRY(redis_refusal(&reply));
    if (o->database == 0)
        return OK;
    TRY(ask(c, (struct str[]){STR("SELECT"), arena_printf(&a, "%u", o->database)}, 2, &a, &reply));
    return redis_refusal(&reply);
}

err_t redis_conn_open(struct redis_conn *c, const struct redis_options *o)
{
    WITHIN(ns_add(rt_now(), o->connect_time));

    *c = (struct redis_conn){.reply_max = o->reply_max, .in = BUF_INIT(o->reply_max + READ_SIZE)};
    resp_frame_init(&c->frame, c->reply_max);
    TRY(dial(&o->at, &c->conn));
    err_t e = greet(c, o);
    if (e)
        redis_conn_close(c);
    return e;
}

void redis_conn_close(struct redis_conn *c)
{
    conn_close(&c->conn);
    buf_release(&c->in);
}

/* ---- sessions ---- */

struct redis_session *redis_session_new(const struct redis_options *o)
{
    struct redis_session *s = NEW(struct redis_session);

    s->options = redis_settle(o);
    return s;
}

static void session_close(struct redis_session *s)
{
    if (s->is_open)
        redis_conn_close(&s->conn);
    s->is_open = false;
}

void redis_session_free(struct redis_session *s)
{
    if (!s)
        return;
    session_close(s);
    mem_free(s);
}

err_t redis_session_do(struct redis_session *s, const struct str *words, size_t n, struct arena *a, struct resp *ret)
{
    if (!s->is_open) {
        TRY(redis_conn_open(&s->conn, &s->options));
        s->is_open = true;
    }
    struct redis_command command = {words, n};
    err_t e = exchange(&s->conn, &command, s->options.unsent_max, a, ret);
    if (e) {
        session_close(s);
        return e;
    }
    return redis_refusal(ret);
}

/* ---- refusals ---- */

err_t redis_refusal(const struct resp *reply)
{
    static const struct {
        struct str word;
        err_t error;
    } known[] = {
        {STR_INIT("NOAUTH"), E_AUTH},       {STR_INIT("WRONGPASS"), E_AUTH},     {STR_INIT("NOPERM"), E_FORBIDDEN},
        {STR_INIT("LOADING"), E_AGAIN},     {STR_INIT("BUSY"), E_AGAIN},         {STR_INIT("TRYAGAIN"), E_AGAIN},
        {STR_INIT("OOM"), E_AGAIN},         {STR_INIT("CLUSTERDOWN"), E_AGAIN},  {STR_INIT("MASTERDOWN"), E_AGAIN},
        {STR_INIT("NOREPLICAS"), E_AGAIN},  {STR_INIT("BUSYGROUP"), E_CONFLICT}, {STR_INIT("EXECABORT"), E_CONFLICT},
        {STR_INIT("NOGROUP"), E_NOT_FOUND}, {STR_INIT("NOSCRIPT"), E_NOT_FOUND}, {STR_INIT("READONLY"), E_FENCED},
        {STR_INIT("MOVED"), E_CONFIG},      {STR_INIT("ASK"), E_CONFIG},         {STR_INIT("CROSSSLOT"), E_CONFIG},
    };

    if (reply->kind != RESP_ERROR)
        return OK;
    struct str rest = reply->text, word = str_cut(&rest, ' ');
    err_t e = E_UPSTREAM;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(word, known[i].word))
            e = known[i].error;
    return fail(e, "redis: %.*s", STR_ARG(str_slice(reply->text, 0, ERR_TEXT_MAX)));
}
