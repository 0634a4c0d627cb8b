/*
 * postgres.c - libpq's non-blocking calls, driven by a fiber.
 *
 * libpq reads and writes its descriptor itself; the loop watches it (sock_watch()). Names are looked up here before, because libpq would block on
 * that, and each address is tried with a connection of its own: within one, libpq must not choose another address or give up TLS, because
 * its descriptor would change. So "sslmode" has no "prefer" here, which would be no protection anyway.
 *
 * A statement whose fiber leaves has an unknown end. The server is asked to give it up, which libpq can only do blocking, on a connection of its own:
 * a worker does that, for at most CANCEL_TIME; then the connection is closed.
 *
 * Invariants: p->sock watches PQsocket(p->conn), and is closed after it. Between calls no result is left to be taken from p->conn.
 *
 * Does not: share a connection among fibers, keep prepared statements, copy (COPY).
 */
#include "client/postgres.h"

#include "base/log.h"
#include "base/mem.h"
#include "codec/url.h"
#include "net/dns.h"
#include "rt/loop.h"
#include "rt/scope.h"
#include "rt/sock.h"
#include "rt/worker.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <string.h>

enum { USUAL_PORT = 5432, PARAMETERS_MAX = 24, CONNECT_ARENA_MAX = 256 * 1024, CANCEL_WORDS = 256 };
static const ns_t cancel_time = NS_SEC;

struct postgres {
    struct postgres_options options;
    PGconn *conn;
    struct sock *sock;
    unsigned connections;
    bool is_open; /* the greeting is over */
};

struct postgres *postgres_new(const struct postgres_options *o)
{
    struct postgres *p = NEW(struct postgres);

    p->options = *o;
    p->options.connect_time = o->connect_time ? o->connect_time : 5 * NS_SEC;
    p->options.reply_time = o->reply_time ? o->reply_time : 60 * NS_SEC;
    return p;
}

static void hang_up(struct postgres *p)
{
    PQfinish(p->conn);
    sock_close(p->sock);
    p->conn = NULL;
    p->sock = NULL;
    p->is_open = false;
}

void postgres_free(struct postgres *p)
{
    if (!p)
        return;
    hang_up(p);
    mem_free(p);
}

unsigned postgres_connections(const struct postgres *p)
{
    return p->connections;
}

/* ---- what went wrong ---- */

/* One line of what libpq says. */
static struct str words_of(const char *text)
{
    struct str all = str_from_c(text), line = str_cut(&all, '\n');

    return str_slice(line, 0, ERR_TEXT_MAX);
}

static err_t meaning_of(struct str state)
{
    static const struct {
        struct str prefix;
        err_t error;
    } known[] = {
        {STR_INIT("21"), E_CONFLICT},    {STR_INIT("22"), E_CONFLICT},     {STR_INIT("23"), E_CONFLICT},
        {STR_INIT("42804"), E_CONFLICT}, {STR_INIT("42501"), E_FORBIDDEN}, {STR_INIT("25006"), E_AGAIN},
        {STR_INIT("40"), E_AGAIN},       {STR_INIT("53"), E_AGAIN},        {STR_INIT("55"), E_AGAIN},
        {STR_INIT("57014"), E_AGAIN},    {STR_INIT("57P"), E_EOF},         {STR_INIT("28"), E_AUTH},
        {STR_INIT("3D"), E_CONFIG},      {STR_INIT("3F"), E_CONFIG},       {STR_INIT("42"), E_CONFIG},
        {STR_INIT("0A"), E_CONFIG},      {STR_INIT("54"), E_TOO_LARGE},    {STR_INIT("08"), E_IO},
    };

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_starts(state, known[i].prefix))
            return known[i].error;
    return E_UPSTREAM;
}

static err_t result_error(const PGresult *r)
{
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE), *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL);

    return fail(meaning_of(str_from_c(state)), "postgres: %.*s%s%.*s (%s)", STR_ARG(words_of(text)), detail ? ": " : "",
                STR_ARG(words_of(detail)), state ? state : "no SQLSTATE");
}

/* The connection is of no use any more. */
static err_t broken(struct postgres *p)
{
    err_t e = fail(E_EOF, "postgres: %.*s", STR_ARG(words_of(PQerrorMessage(p->conn))));

    hang_up(p);
    return e;
}

static void on_notice(void *arg UNUSED, const PGresult *r)
{
    log_debug(STR_NONE, "postgres: %.*s", STR_ARG(words_of(PQresultErrorMessage(r))));
}

/* ---- connecting ---- */

struct parameters {
    const char *names[PARAMETERS_MAX], *values[PARAMETERS_MAX];
    size_t n;
};

static void set(struct parameters *ps, struct arena *a, const char *name, struct str value)
{
    if (value.n == 0)
        return;
    ps->names[ps->n] = name;
    ps->values[ps->n++] = arena_str(a, value).p;
}

/* What the URL's query may say. */
static err_t read_query(struct str query, struct arena *a, struct parameters *ps, struct str *ret_mode)
{
    static const char *const known[] = {"application_name", "options"};
    struct str name, coded, value;

    while (url_query_next(&query, &name, &coded)) {
        TRY(url_decode(coded, a, &value));
        size_t i = 0;
        while (i < ARRAY_LEN(known) && !str_eq(name, str_from_c(known[i])))
            i++;
        if (i < ARRAY_LEN(known) && ps->n < PARAMETERS_MAX / 2)
            set(ps, a, known[i], value);
        else if (str_eq(name, STR("sslmode")))
            *ret_mode = value;
        else
            return fail(E_CONFIG, "postgres: \"%.*s\" cannot be said in a URL here", STR_ARG(name));
    }
    return OK;
}

static bool is_this_machine(struct str host)
{
    return str_eq_nocase(host, STR("localhost")) || str_starts(host, STR("127.")) || str_eq(host, STR("::1"));
}

static err_t set_tls(const struct postgres_options *o, const struct url *u, struct str mode, struct arena *a,
                     struct parameters *ps)
{
    static const char *const modes[] = {"disable", "require", "verify-ca", "verify-full"};
    size_t i = 0;

    if (mode.n == 0)
        mode = is_this_machine(u->host) && !o->ca_file.n ? STR("disable") : STR("verify-full");
    while (i < ARRAY_LEN(modes) && !str_eq(mode, str_from_c(modes[i])))
        i++;
    if (i == ARRAY_LEN(modes))
        return fail(E_CONFIG,
                    "postgres: sslmode is \"disable\", \"require\", \"verify-ca\" or \"verify-full\", not \"%.*s\"",
                    STR_ARG(mode));
    set(ps, a, "sslmode", mode);
    bool verifies = str_starts(mode, STR("verify"));
    set(ps, a, "sslrootcert", o->ca_file.n || !verifies ? o->ca_file : STR("/etc/ssl/certs/ca-certificates.crt"));
    set(ps, a, "sslcert", o->cert_file);
    set(ps, a, "sslkey", o->key_file);
    return OK;
}

static err_t read_options(const struct postgres_options *o, struct arena *a, struct parameters *ps, struct url *ret_url)
{
    struct str mode = STR_NONE, database;

    TRY(url_parse(o->url, ret_url));
    TRY(read_query(ret_url->query, a, ps, &mode));
    TRY(url_decode(str_slice(ret_url->path, 1, ret_url->path.n), a, &database));
    TRY(set_tls(o, ret_url, mode, a, ps));
    set(ps, a, "host", ret_url->host);
    set(ps, a, "dbname", database);
    set(ps, a, "user", o->user);
    set(ps, a, "password", o->password ? secret_reveal(o->password) : STR_NONE);
    set(ps, a, "fallback_application_name", STR("crossdock"));
    set(ps, a, "client_encoding", STR("UTF8"));
    set(ps, a, "gssencmode", STR("disable"));
    set(ps, a, "tcp_user_timeout", STR("30000"));
    set(ps, a, "keepalives_idle", STR("30"));
    return OK;
}

static err_t greet(struct postgres *p) SUSPENDS;
static err_t greet(struct postgres *p)
{
    for (;;)
        switch (PQconnectPoll(p->conn)) {
        case PGRES_POLLING_OK:
            return OK;
        case PGRES_POLLING_READING:
            TRY(sock_wait_watched(p->sock, false, NS_NEVER));
            break;
        case PGRES_POLLING_WRITING:
            TRY(sock_wait_watched(p->sock, true, NS_NEVER));
            break;
        case PGRES_POLLING_FAILED:
        case PGRES_POLLING_ACTIVE:
            return E_IO;
        }
}

/* What libpq's words about a connection that failed mean: it has no codes for that. */
static err_t connect_error(struct postgres *p)
{
    static const struct {
        struct str words;
        err_t error;
    } known[] = {
        {STR_INIT("Connection refused"), E_REFUSED},
        {STR_INIT("authentication"), E_AUTH},
        {STR_INIT("no password supplied"), E_AUTH},
        {STR_INIT("does not exist"), E_CONFIG},
        {STR_INIT("the database system is"), E_AGAIN},
        {STR_INIT("too many clients"), E_AGAIN},
        {STR_INIT("SSL"), E_TLS},
        {STR_INIT("certificate"), E_TLS},
    };
    struct str text = str_from_c(PQerrorMessage(p->conn));
    err_t e = E_IO;

    for (size_t i = 0; i < ARRAY_LEN(known) && e == E_IO; i++)
        if (str_find(text, known[i].words) < text.n)
            e = known[i].error;
    return fail(e, "postgres: %.*s", STR_ARG(words_of(text.p)));
}

static err_t dial_one(struct postgres *p, const struct parameters *ps) SUSPENDS;
static err_t dial_one(struct postgres *p, const struct parameters *ps)
{
    p->conn = PQconnectStartParams(ps->names, ps->values, 0);
    if (!p->conn)
        die("out of memory");
    (void)PQsetNoticeReceiver(p->conn, on_notice, NULL);
    err_t e = PQstatus(p->conn) == CONNECTION_BAD ? connect_error(p) : sock_watch(PQsocket(p->conn), &p->sock);
    if (e == OK)
        e = greet(p);
    if (e == E_IO)
        e = connect_error(p);
    if (e == OK && PQsetnonblocking(p->conn, 1) != 0)
        e = connect_error(p);
    if (e != OK)
        hang_up(p);
    return e;
}

/* The address without its port, as libpq takes it. */
static const char *ip_text(const struct addr *at, struct arena *a)
{
    char text[ADDR_TEXT_MAX];
    struct str all = str_of(text, addr_format(at, text));

    while (all.n && all.p[all.n - 1] != ':')
        all.n--;
    all = str_slice(all, 0, all.n - 1);
    return arena_str(a, all.p[0] == '[' ? str_slice(all, 1, all.n - 1) : all).p;
}

static err_t dial_any(struct postgres *p) SUSPENDS;
static err_t dial_any(struct postgres *p)
{
    struct arena a CLEANUP(arena_release) = {0};
    struct parameters ps = {.n = 0};
    struct dns_answer found;
    struct url u;
    err_t e = OK;

    arena_init(&a, CONNECT_ARENA_MAX);
    TRY(read_options(&p->options, &a, &ps, &u));
    uint16_t port = u.port ? u.port : USUAL_PORT;
    set(&ps, &a, "port", arena_printf(&a, "%u", port));
    TRY(dns_resolve(u.host, port, &found));
    ps.names[ps.n] = "hostaddr";
    ps.names[ps.n + 1] = NULL;
    ps.values[ps.n + 1] = NULL;
    for (size_t i = 0; i < found.count; i++) {
        ps.values[ps.n] = ip_text(&found.addrs[i], &a);
        e = dial_one(p, &ps);
        if (e != E_REFUSED && e != E_IO)
            break;
    }
    return e;
}

/* What the server is to do when it hears nothing of a transaction. */
static err_t limit_silence(struct postgres *p) SUSPENDS;
static err_t limit_silence(struct postgres *p)
{
    struct arena a CLEANUP(arena_release) = {0};

    if (!p->options.idle_time)
        return OK;
    arena_init(&a, CONNECT_ARENA_MAX);
    struct str sql =
        arena_printf(&a, "set idle_in_transaction_session_timeout = %" PRId64, p->options.idle_time / NS_MS);
    return postgres_do(p, sql, NULL, 0, &a, NULL);
}

static err_t connect_if_needed(struct postgres *p) SUSPENDS;
static err_t connect_if_needed(struct postgres *p)
{
    if (p->is_open)
        return OK;
    {
        ns_t outer = fiber_deadline();
        WITHIN(ns_add(rt_now(), p->options.connect_time));
        err_t e = dial_any(p);
        if (e == E_DEADLINE && rt_now() < outer)
            return fail(E_IO, "postgres: no connection within its time");
        TRY(e);
    }
    p->is_open = true;
    p->connections++;
    return limit_silence(p);
}

/* ---- giving up ---- */

struct cancel_job {
    struct job job;
    PGcancel *cancel;
};

static void do_cancel(struct job *j)
{
    char words[CANCEL_WORDS];

    (void)PQcancel(CONTAINER_OF(j, struct cancel_job, job)->cancel, words, sizeof words); /* it is only a favour */
}

static void drop_cancel(struct job *j)
{
    struct cancel_job *c = CONTAINER_OF(j, struct cancel_job, job);

    PQfreeCancel(c->cancel);
    mem_free(c);
}

/* A statement that nobody waits for any more: it should not hold its locks either. */
static void abandon(struct postgres *p) SUSPENDS;
static void abandon(struct postgres *p)
{
    struct cancel_job *c = NEW(struct cancel_job);
    struct err_record words = *err_current();

    *c = (struct cancel_job){.job = {.run = do_cancel, .drop = drop_cancel}, .cancel = PQgetCancel(p->conn)};
    {
        SHIELD(ns_add(rt_now(), cancel_time));
        if (!c->cancel || worker_run(&c->job) == OK)
            drop_cancel(&c->job);
    }
    *err_current() = words;
    hang_up(p);
}

/* ---- statements ---- */

/* Wait for the server, as long as a reply may take. */
static err_t wait_for(struct postgres *p, bool or_writable, ns_t until) SUSPENDS;
static err_t wait_for(struct postgres *p, bool or_writable, ns_t until)
{
    err_t e = sock_wait_watched(p->sock, or_writable, until);

    if (e == OK)
        return PQconsumeInput(p->conn) ? OK : broken(p);
    if (e == E_AGAIN)
        e = fail(E_IO, "postgres: the server did not answer in time");
    abandon(p);
    return e;
}

static err_t send_all(struct postgres *p, ns_t until) SUSPENDS;
static err_t send_all(struct postgres *p, ns_t until)
{
    int left;

    while ((left = PQflush(p->conn)) == 1)
        TRY(wait_for(p, true, until));
    return left < 0 ? broken(p) : OK;
}

/* The next result; NULL: there is none any more. */
static err_t next_result(struct postgres *p, ns_t until, PGresult **ret) SUSPENDS;
static err_t next_result(struct postgres *p, ns_t until, PGresult **ret)
{
    while (PQisBusy(p->conn))
        TRY(wait_for(p, false, until));
    *ret = PQgetResult(p->conn);
    return OK;
}

static err_t copy_cell(const PGresult *r, int row, int column, struct arena *a, struct str *ret)
{
    size_t n = (size_t)PQgetlength(r, row, column);
    char *p;

    *ret = STR_NONE;
    if (PQgetisnull(r, row, column))
        return OK;
    TRY(arena_try(a, n + 1, &p));
    memcpy(p, PQgetvalue(r, row, column), n + 1);
    *ret = str_of(p, n);
    return OK;
}

static err_t copy_rows(PGresult *r, struct arena *a, struct postgres_rows *ret)
{
    int rows = PQntuples(r), columns = PQnfields(r);
    struct str *cells;
    char *p;

    TRY(arena_try(a, (size_t)rows * (size_t)columns * sizeof *cells + 1, &p));
    cells = (struct str *)(void *)p;
    for (int i = 0; i < rows; i++)
        for (int k = 0; k < columns; k++)
            TRY(copy_cell(r, i, k, a, &cells[(size_t)i * (size_t)columns + (size_t)k]));
    *ret = (struct postgres_rows){.cells = cells, .rows = (size_t)rows, .columns = (size_t)columns};
    if (!str_to_u64(str_from_c(PQcmdTuples(r)), UINT64_MAX, &ret->changed))
        ret->changed = 0;
    return OK;
}

static err_t look_at(struct postgres *p, PGresult *r, struct arena *a, struct postgres_rows *ret)
{
    ExecStatusType status = PQresultStatus(r);

    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return ret ? copy_rows(r, a, ret) : OK;
    if (PQstatus(p->conn) == CONNECTION_BAD || status == PGRES_FATAL_ERROR)
        return result_error(r);
    return fail(E_PROTOCOL, "postgres: the server answered \"%s\" to a statement", PQresStatus(status));
}

/* All results of a statement, of which there is one. */
static err_t receive(struct postgres *p, ns_t until, struct arena *a, struct postgres_rows *ret) SUSPENDS;
static err_t receive(struct postgres *p, ns_t until, struct arena *a, struct postgres_rows *ret)
{
    struct err_record words = {0};
    PGresult *r;
    err_t e = OK;

    for (;;) {
        TRY(next_result(p, until, &r));
        if (!r)
            break;
        err_t x = look_at(p, r, a, ret);
        PQclear(r);
        if (x != OK && e == OK) {
            e = x;
            words = *err_current();
        }
    }
    if (PQstatus(p->conn) == CONNECTION_BAD) {
        hang_up(p);
        e = e == OK ? fail(E_EOF, "postgres closed the connection") : E_EOF;
    }
    if (e != OK && words.code != OK) {
        *err_current() = words;
        err_current()->code = e;
    }
    return e;
}

/* Texts with a zero behind them, as libpq takes them. */
static err_t texts_of(const struct str *values, size_t n, struct arena *a, const char ***ret)
{
    const char **texts = arena_alloc(a, (n + 1) * sizeof *texts);
    size_t bytes = 0;

    if (n > POSTGRES_VALUES_MAX)
        return fail(E_TOO_LARGE, "postgres: a statement of more than %d values", POSTGRES_VALUES_MAX);
    for (size_t i = 0; i < n; i++) {
        bytes += values[i].n;
        if (bytes > POSTGRES_VALUE_MAX)
            return fail(E_TOO_LARGE, "postgres: values of more than %d bytes in a statement", POSTGRES_VALUE_MAX);
        if (str_find_char(values[i], '\0') < values[i].n)
            return fail(E_CONFLICT, "postgres: a text has a zero byte, which PostgreSQL cannot keep");
        texts[i] = values[i].p ? arena_str(a, values[i]).p : NULL;
    }
    *ret = texts;
    return OK;
}

err_t postgres_do(struct postgres *p, struct str sql, const struct str *values, size_t n, struct arena *a,
                  struct postgres_rows *ret)
{
    struct arena own CLEANUP(arena_release) = {0};
    const char **texts;

    arena_init(&own, SIZE_MAX);
    TRY(texts_of(values, n, &own, &texts));
    TRY(connect_if_needed(p));
    ns_t until = ns_add(rt_now(), p->options.reply_time);
    if (!PQsendQueryParams(p->conn, arena_str(&own, sql).p, (int)n, NULL, texts, NULL, NULL, 0))
        return broken(p);
    TRY(send_all(p, until));
    return receive(p, until, a, ret);
}

void postgres_rollback(struct postgres *p)
{
    struct err_record words = *err_current();

    if (p->is_open && PQtransactionStatus(p->conn) != PQTRANS_IDLE) {
        struct arena a CLEANUP(arena_release) = {0};
        arena_init(&a, CONNECT_ARENA_MAX);
        SHIELD(ns_add(rt_now(), cancel_time));
        if (postgres_do(p, STR("ROLLBACK"), NULL, 0, &a, NULL) != OK)
            hang_up(p); /* which undoes it as well */
    }
    *err_current() = words;
}

/* ---- notifications ---- */

/* Was there one? They carry nothing that is needed. */
static bool take_notifications(struct postgres *p)
{
    PGnotify *n;
    bool any = false;

    while ((n = PQnotifies(p->conn))) {
        PQfreemem(n);
        any = true;
    }
    return any;
}

err_t postgres_wait(struct postgres *p, ns_t until)
{
    if (!p->is_open)
        return fail(E_EOF, "postgres: there is no connection");
    while (!take_notifications(p)) {
        TRY(sock_wait_watched(p->sock, false, until));
        if (!PQconsumeInput(p->conn))
            return broken(p);
    }
    return OK;
}
