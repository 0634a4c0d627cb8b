/*
 * fetch.c - what kinds of credentials are made of: environment, files, endpoints, answers.
 *
 * A renewal happens about once an hour, so a call takes a connection of its own and nothing is kept. Answers are judged here: what is not 200, or does
 * not hold what it must, is E_UPSTREAM with a text that says who answered and what, without any part of a secret.
 *
 * Secrets leave the machine over TLS only: an endpoint in the clear must be a metadata server, which is asked without proxy and
 * never gets a secret that it did not make, or be on a loopback address.
 */
#include "base/date.h"
#include "codec/url.h"
#include "codec/xml.h"
#include "credential/kind.h"
#include "net/http_client.h"
#include "rt/addr.h"
#include "rt/file.h"
#include "rt/loop.h"

#define LOCAL_CONNECT_TIME (2 * NS_SEC)
#define LOCAL_ANSWER_TIME (5 * NS_SEC) /* what is too many hops away from EC2's metadata service never hears from it */
#define CONNECT_TIME (10 * NS_SEC)
#define ANSWER_TIME (15 * NS_SEC)
#define LIFE_UNKNOWN (300 * NS_SEC) /* of a token that does not say how long it lives */

enum { FILE_MAX = 256 * 1024, ANSWER_MAX = 256 * 1024, FORM_MAX = 512 * 1024, SAID_MAX = 120 };
enum { SECONDS_MAX = 1000 * 1000 * 1000 }; /* 30 years: whatever is longer is as good as for ever */

/* --- environment and files --- */

struct str fetch_env(const struct credential_fetch *f, const char *name)
{
    return f->options->env(name);
}

struct str fetch_setting(const struct credential_fetch *f, struct str given, const char *variable, struct str fallback)
{
    if (given.n)
        return given;
    struct str value = fetch_env(f, variable);
    return value.n ? value : fallback;
}

err_t fetch_file(const struct credential_fetch *f, struct str path, struct str *ret)
{
    err_t e = file_read_by_worker(f->arena, path, FILE_MAX, ret);

    if (e == E_IO || e == E_TOO_LARGE)
        return fail(E_CONFIG, "%.*s: %s", STR_ARG(path), err_detail(e));
    return err_context(e, "%.*s", STR_ARG(path));
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str fetch_trim(struct str s)
{
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    while (s.n && is_blank(s.p[0]))
        s = str_slice(s, 1, s.n);
    return s;
}

err_t fetch_token_file(const struct credential_fetch *f, struct str path, struct str *ret)
{
    struct str text;
    err_t e = fetch_file(f, path, &text);

    if (e == E_NOT_FOUND)
        return fail(E_CONFIG, "%s; it is where the token should be mounted", err_detail(e));
    TRY(e);
    *ret = fetch_trim(text);
    return ret->n ? OK : fail(E_CONFIG, "%.*s: the token file is empty", STR_ARG(path));
}

struct str fetch_form(const struct credential_fetch *f, const struct str (*pairs)[2], size_t count)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(FORM_MAX);

    for (size_t i = 0; i < count; i++) {
        if (!pairs[i][1].n)
            continue;
        if (b.n)
            buf_add_char(&b, '&');
        buf_add(&b, pairs[i][0]);
        buf_add_char(&b, '=');
        url_encode(&b, pairs[i][1]);
    }
    struct str form = arena_str(f->arena, buf_str(&b));
    if (b.n)
        explicit_bzero(b.p, b.n);
    return form;
}

/* --- endpoints --- */

static bool is_loopback(struct str host)
{
    struct addr a;

    return str_eq(host, STR("localhost")) || (addr_from_ip(host, 1, &a) && addr_is_loopback(&a));
}

static err_t parse_endpoint(const struct fetch_call *c, struct url *ret)
{
    err_t e = url_parse(c->url, ret);

    if (e != OK)
        return fail(E_CONFIG, "the URL of %s: %s", c->what, err_detail(e));
    bool secure = str_eq_nocase(ret->scheme, STR("https"));
    if ((!secure && !str_eq_nocase(ret->scheme, STR("http"))) || ret->userinfo.p)
        return fail(E_CONFIG, "the URL of %s must be https://host[:port]/path", c->what);
    if (!secure && !c->is_local && !is_loopback(ret->host))
        return fail(E_CONFIG, "the URL of %s must be https: secrets are sent there", c->what);
    return OK;
}

static struct upstream *open_upstream(const struct credential_fetch *f, const struct url *u)
{
    struct upstream_options o = {.secure = str_eq_nocase(u->scheme, STR("https")),
                                 .host = u->host,
                                 .port = url_port(u),
                                 .tls = f->options->tls,
                                 .proxy = f->options->proxy};

    if (!o.secure || str_eq(o.proxy, STR("none")))
        o.proxy = STR_NONE;
    else if (!o.proxy.n)
        o.proxy = upstream_proxy_from_env(true, o.host, o.port, f->options->env);
    return upstream_new(&o);
}

static struct str target_of(const struct credential_fetch *f, const struct url *u)
{
    struct str path = u->path.n ? u->path : STR("/");

    return u->query.p ? arena_printf(f->arena, "%.*s?%.*s", STR_ARG(path), STR_ARG(u->query)) : path;
}

static void set_head(const struct fetch_call *c, struct http_header headers[], struct http_call_options *o)
{
    while (o->count < ARRAY_LEN(c->headers) && c->headers[o->count].name.n) {
        headers[o->count] = c->headers[o->count];
        o->count++;
    }
    if (c->body.n) {
        struct str type = c->body_type.n ? c->body_type : STR("application/x-www-form-urlencoded");
        headers[o->count++] = (struct http_header){STR("content-type"), type};
    }
    headers[o->count++] = (struct http_header){STR("user-agent"), STR("crossdock")};
    o->headers = headers;
    o->method = c->method.n ? c->method : c->body.n ? STR("POST") : STR("GET");
    o->body = &c->body;
    o->body_parts = c->body.n ? 1 : 0;
}

static SUSPENDS err_t exchange(const struct credential_fetch *f, const struct fetch_call *c, const struct url *u,
                               struct fetch_answer *ret)
{
    struct upstream *upstream CLEANUP(upstream_free_p) = open_upstream(f, u);
    struct http_call *call CLEANUP(http_call_close_p) = NULL;
    struct http_header headers[ARRAY_LEN(c->headers) + 2];
    struct http_call_options o = {.target = target_of(f, u)};
    struct str body;

    set_head(c, headers, &o);
    ns_t answer_time = c->is_local ? LOCAL_ANSWER_TIME : ANSWER_TIME;
    o.connect_by = rt_now() + (c->is_local ? LOCAL_CONNECT_TIME : CONNECT_TIME);
    o.first_byte_by = rt_now() + answer_time;
    TRY(http_call_open(upstream, f->arena, &o, NULL, &call));
    TRY(http_call_all(call, answer_time, ANSWER_MAX, &body));
    ret->head = *http_call_head(call);
    ret->status = ret->head.status;
    ret->body = arena_str(f->arena, body); /* what it was read into goes with the connection */
    return OK;
}

err_t fetch_send(const struct credential_fetch *f, const struct fetch_call *c, struct fetch_answer *ret)
{
    struct url u;

    TRY(parse_endpoint(c, &u));
    err_t e = exchange(f, c, &u, ret);
    if (e == OK || e == E_CANCELLED || e == E_CONFIG)
        return e;
    return fail(E_UPSTREAM, "%s: %s", c->what, err_detail(e)); /* which names host and port */
}

err_t fetch_ok(const struct credential_fetch *f, const struct fetch_call *c, struct fetch_answer *ret)
{
    TRY(fetch_send(f, c, ret));
    return ret->status == 200 ? OK : fetch_refused(f, c, ret);
}

/* --- refusals --- */

/* The text of an XML element; empty if there is none. */
static struct str xml_said(const struct credential_fetch *f, struct str document, struct str name)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(ANSWER_MAX);

    return xml_text(document, name, &b) == OK ? arena_str(f->arena, buf_str(&b)) : STR_NONE;
}

/* What an error says in one of the forms that are about: OAuth 2.0 (RFC 6749, section 5.2), Google's, Amazon's in JSON and in XML. */
static void read_error(const struct credential_fetch *f, struct str body, struct str *ret_code, struct str *ret_words)
{
    yyjson_val *root;

    if (json_parse(f->arena, body, &(struct json_limits){.depth = 16}, 0, &root) != OK) {
        *ret_code = xml_said(f, body, STR("Code"));
        *ret_words = xml_said(f, body, STR("Message"));
        return;
    }
    yyjson_val *inner = json_get(root, STR("error"));
    if (yyjson_is_obj(inner)) {
        *ret_code = json_get_str(inner, STR("status"), STR_NONE);
        *ret_words = json_get_str(inner, STR("message"), STR_NONE);
        return;
    }
    *ret_code = json_get_str(root, STR("error"), json_get_str(root, STR("code"), STR_NONE));
    *ret_words = json_get_str(root, STR("error_description"), json_get_str(root, STR("message"), STR_NONE));
}

/* Fit for a line of a log: cut, printable, and nothing at all if it repeats the secret. */
static struct str tame(const struct credential_fetch *f, struct str s, struct str secret)
{
    if (secret.n && str_find(s, secret) < s.n)
        return STR("(not shown: it repeats a secret)");
    s = str_slice(s, 0, SAID_MAX);
    char *copy = arena_alloc(f->arena, s.n + 1);
    for (size_t i = 0; i < s.n; i++)
        copy[i] = (char)(s.p[i] >= ' ' && s.p[i] <= '~' ? s.p[i] : ' ');
    return str_trim(str_of(copy, s.n));
}

err_t fetch_refused(const struct credential_fetch *f, const struct fetch_call *c, const struct fetch_answer *answer)
{
    struct str code, words;

    read_error(f, answer->body, &code, &words);
    code = tame(f, code, c->secret);
    words = tame(f, words, c->secret);
    return fail(E_UPSTREAM, "%s answered %d%s%.*s%s%.*s", c->what, answer->status, code.n ? " " : "", STR_ARG(code),
                words.n ? ": " : "", STR_ARG(words));
}

/* --- answers --- */

err_t fetch_json(const struct credential_fetch *f, const struct fetch_call *c, const struct fetch_answer *answer,
                 yyjson_val **ret)
{
    err_t e = json_parse(f->arena, answer->body, &(struct json_limits){.bytes = ANSWER_MAX, .depth = 16}, 0, ret);

    return e == OK && yyjson_is_obj(*ret) ? OK : fail(E_UPSTREAM, "the answer of %s is no JSON object", c->what);
}

ns_t fetch_instant(int64_t seconds)
{
    int64_t left = seconds - rt_wall() / NS_SEC;

    left = left > SECONDS_MAX ? SECONDS_MAX : left < -SECONDS_MAX ? -SECONDS_MAX : left;
    return ns_add(rt_now(), left * NS_SEC);
}

/* A number, which some endpoints put in quotes; -1: there is none. */
static int64_t seconds_of(yyjson_val *obj, struct str key)
{
    uint64_t n;

    if (str_to_u64(json_get_str(obj, key, STR_NONE), INT64_MAX, &n))
        return (int64_t)n;
    return json_get_i64(obj, key, -1);
}

static ns_t expiry_of(yyjson_val *obj)
{
    int64_t in = seconds_of(obj, STR("expires_in")), on = seconds_of(obj, STR("expires_on"));

    if (in >= 0)
        return ns_add(rt_now(), (in < SECONDS_MAX ? in : SECONDS_MAX) * NS_SEC);
    return on >= 0 ? fetch_instant(on) : ns_add(rt_now(), LIFE_UNKNOWN);
}

err_t fetch_bearer(const struct credential_fetch *f, const struct fetch_call *c, struct credential_grant *ret)
{
    struct fetch_answer answer;
    yyjson_val *root;

    TRY(fetch_ok(f, c, &answer));
    TRY(fetch_json(f, c, &answer, &root));
    ret->token = json_get_str(root, STR("access_token"), STR_NONE);
    ret->expires = expiry_of(root);
    return ret->token.n ? OK : fail(E_UPSTREAM, "the answer of %s holds no access_token", c->what);
}

/* --- time --- */

static bool digits(struct str text, size_t at, size_t n, int *ret)
{
    uint64_t value;

    if (!str_to_u64(str_slice(text, at, at + n), 9999, &value))
        return false;
    *ret = (int)value;
    return text.n >= at + n;
}

/* "Z", or "+01:00", in seconds east. */
static bool zone_of(struct str s, int *ret_seconds)
{
    int hours, minutes;

    *ret_seconds = 0;
    if (str_eq_nocase(s, STR("z")))
        return true;
    if (s.n != 6 || (s.p[0] != '+' && s.p[0] != '-') || s.p[3] != ':' || !digits(s, 1, 2, &hours) ||
        !digits(s, 4, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *ret_seconds = (hours * 60 + minutes) * (s.p[0] == '-' ? -60 : 60);
    return true;
}

bool fetch_time(struct str text, int64_t *ret_seconds)
{
    struct date d;
    int hour, minute, second, zone;
    size_t at = 19;

    if (text.n < 20 || text.p[4] != '-' || text.p[7] != '-' || ascii_lower(text.p[10]) != 't' || text.p[13] != ':' ||
        text.p[16] != ':' || !digits(text, 0, 4, &d.year) || !digits(text, 5, 2, &d.month) ||
        !digits(text, 8, 2, &d.day) || !digits(text, 11, 2, &hour) || !digits(text, 14, 2, &minute) ||
        !digits(text, 17, 2, &second))
        return false;
    if (d.month < 1 || d.month > 12 || d.day < 1 || d.day > 31 || hour > 23 || minute > 59 || second > 60)
        return false;
    if (text.p[at] == '.')
        for (at++; at < text.n && text.p[at] >= '0' && text.p[at] <= '9';)
            at++;
    if (!zone_of(str_slice(text, at, text.n), &zone))
        return false;
    *ret_seconds = date_to_day(d) * 86400 + hour * 3600 + minute * 60 + second - zone;
    return true;
}

/* --- chains --- */

err_t fetch_chain(struct credential_fetch *f, const char *const *names, size_t count, const char *whose,
                  struct credential_grant *ret)
{
    struct buf missing CLEANUP(buf_release) = BUF_INIT(ERR_TEXT_MAX);

    for (size_t i = 0; i < count; i++) {
        err_t e = credential_kind_find(str_from_c(names[i]))->fetch(f, ret);
        if (e != E_NOT_FOUND)
            return err_context(e, "%s", names[i]);
        buf_addf(&missing, "%s%s", missing.n ? "; " : "", err_detail(e));
    }
    return fail(E_CONFIG, "there are no %s credentials: %.*s", whose, STR_ARG(buf_str(&missing)));
}
