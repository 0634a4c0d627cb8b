/*
 * proxy.c - tunnels through HTTP proxies (RFC 9110, 9.3.6), and the rules of HTTPS_PROXY and NO_PROXY.
 *
 * Credentials come with the proxy's URL, live in a struct secret, and are sent as Basic with the first request: proxies that
 * challenge first answer 407 to it, which is reported. No text that this file produces holds the URL as it was given.
 *
 * Not done: proxies that are spoken to by TLS or SOCKS, and authentication other than Basic.
 */
#include "net/proxy.h"

#include "base/mem.h"
#include "codec/base64.h"
#include "codec/http1.h"
#include "codec/url.h"
#include "net/http_client.h"
#include "net/iobuf.h"
#include "rt/addr.h"

#include <stdio.h>
#include <string.h>

enum { PROXY_PORT = 1080, REQUEST_MAX = 4096, HEAD_MAX = 16 * 1024, URL_MAX = 2048, AUTHORITY_MAX = 272 };

/* --- parsing --- */

static err_t add_decoded(struct buf *b, struct str coded, struct arena *arena)
{
    struct str plain;

    TRY(url_decode(coded, arena, &plain));
    return buf_add(b, plain);
}

/* "user:password", percent-coded -> "Basic ..." */
static err_t basic_authorization(struct str userinfo, struct secret *ret)
{
    struct arena arena CLEANUP(arena_release) = {0};
    struct buf plain CLEANUP(buf_release) = BUF_INIT(URL_MAX);
    struct buf value CLEANUP(buf_release) = BUF_INIT(2 * URL_MAX);
    struct str rest = userinfo, user = str_cut(&rest, ':');

    arena_init(&arena, 2 * URL_MAX);
    TRY(add_decoded(&plain, user, &arena));
    TRY(buf_add_char(&plain, ':'));
    TRY(add_decoded(&plain, rest, &arena));
    TRY(buf_add_lit(&value, "Basic "));
    TRY(base64_encode(&value, buf_str(&plain), BASE64));
    *ret = secret_make(buf_str(&value));
    return OK;
}

/* url_parse() demands a scheme, which proxies are often given without. */
static err_t parse_url(struct str text, struct buf *whole, struct url *ret)
{
    if (str_find(text, STR("://")) == text.n)
        TRY(buf_add_lit(whole, "http://"));
    TRY(buf_add(whole, text));
    return url_parse(buf_str(whole), ret);
}

err_t proxy_parse(struct str text, struct proxy *ret)
{
    struct buf whole CLEANUP(buf_release) = BUF_INIT(URL_MAX);
    struct url url;

    if (parse_url(text, &whole, &url))
        return fail(E_CONFIG, "proxy: not of the form http://[user:password@]host:port");
    if (!str_eq_nocase(url.scheme, STR("http")))
        return fail(E_CONFIG, "proxy %.*s: only proxies that speak http are supported, not %.*s", STR_ARG(url.host),
                    STR_ARG(url.scheme));
    struct secret authorization = {0};
    if (url.userinfo.n && basic_authorization(url.userinfo, &authorization))
        return fail(E_CONFIG, "proxy %.*s: user or password is not properly percent-coded", STR_ARG(url.host));
    ret->host = mem_dup(url.host.p, url.host.n);
    ret->port = url.port ? url.port : PROXY_PORT;
    ret->authorization = authorization;
    return OK;
}

void proxy_release(struct proxy *p)
{
    mem_free(p->host);
    p->host = NULL;
    secret_release(&p->authorization);
}

/* --- the tunnel --- */

static err_t send_connect(const struct proxy *p, struct conn *c, struct str host, uint16_t port) SUSPENDS;
static err_t send_connect(const struct proxy *p, struct conn *c, struct str host, uint16_t port)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(REQUEST_MAX);
    char authority[AUTHORITY_MAX];
    int n = url_host_is_ipv6(host) ? snprintf(authority, sizeof authority, "[%.*s]:%u", STR_ARG(host), port)
                                   : snprintf(authority, sizeof authority, "%.*s:%u", STR_ARG(host), port);
    if (n < 0 || (size_t)n >= sizeof authority)
        return fail(E_RESOLVE, "%.64s...: not a host name", host.p);
    struct str target = str_of(authority, (size_t)n);
    struct http_header headers[] = {{STR("host"), target},
                                    {STR("proxy-authorization"), secret_reveal(&p->authorization)}};
    TRY(http1_write_request_head(&b, STR("CONNECT"), target, headers, headers[1].value.n ? 2 : 1));
    return conn_write(c, buf_str(&b));
}

struct reply {
    struct http1 parser;
    struct http_head head;
    struct arena arena;
};

/* Read until the head is complete. */
static err_t read_head(const struct proxy *p, struct conn *c, struct reply *r, struct iobuf *b) SUSPENDS;
static err_t read_head(const struct proxy *p, struct conn *c, struct reply *r, struct iobuf *b)
{
    for (;;) {
        TRY(conn_read(c, b->bytes, IOBUF_SIZE, &b->to));
        if (b->to == 0)
            return fail(E_EOF, "proxy %s:%u closed the connection instead of answering", p->host, p->port);
        struct str in = str_of(b->bytes, b->to), body;
        enum http1_event event = http1_next(&r->parser, &in, &body);
        if (event == HTTP1_ERROR)
            return fail(E_PROTOCOL, "proxy %s:%u: %s", p->host, p->port, r->parser.error_text);
        if (event == HTTP1_MORE)
            continue;
        if (r->head.status / 100 != 2)
            return fail(E_UPSTREAM, "proxy %s:%u refused the tunnel: %d %.*s", p->host, p->port, r->head.status,
                        STR_ARG(http_reason(r->head.status)));
        if (in.n)
            return fail(E_PROTOCOL, "proxy %s:%u sent bytes that nobody asked for", p->host, p->port);
        return OK;
    }
}

err_t proxy_tunnel(const struct proxy *p, struct conn *c, struct str host, uint16_t port)
{
    TRY(send_connect(p, c, host, port));
    /* On the heap: too large for a fiber's stack. */
    struct reply *r = NEW(struct reply);
    struct iobuf *b = iobuf_get();
    arena_init(&r->arena, 4 * HEAD_MAX);
    http1_init(&r->parser, HTTP1_RESPONSE, &(struct http1_limits){.head_bytes = HEAD_MAX});
    http1_skip_informational(&r->parser, true);
    http1_begin(&r->parser, &r->arena, &r->head);
    err_t e = read_head(p, c, r, b);
    iobuf_put(b);
    arena_release(&r->arena);
    mem_free(r);
    return e;
}

/* --- the environment --- */

static struct str env_first(struct str (*env)(const char *name), const char *lower, const char *upper)
{
    struct str value = env(lower);

    return value.p ? value : env(upper);
}

/* Is `host` the name or below it? A leading dot in the name means nothing. */
static bool in_domain(struct str host, struct str name)
{
    if (name.n && name.p[0] == '.')
        name = str_slice(name, 1, name.n);
    if (name.n == 0 || host.n < name.n)
        return false;
    struct str tail = str_slice(host, host.n - name.n, host.n);
    return str_eq_nocase(tail, name) && (tail.n == host.n || tail.p[-1] == '.');
}

/* Take ":port" off the end of an item; false if it names another port than `port`. IPv6 has a port only behind brackets. */
static bool take_port(struct str *item, uint16_t port)
{
    size_t colon = item->n;
    uint64_t named;

    while (colon > 0 && item->p[colon - 1] != ':')
        colon--;
    if (colon == 0 || (item->p[0] != '[' && memchr(item->p, ':', colon - 1)))
        return true;
    struct str text = str_slice(*item, colon, item->n);
    if (!str_to_u64(text, UINT16_MAX, &named))
        return true; /* the end of an address in brackets */
    *item = str_slice(*item, 0, colon - 1);
    return named == port;
}

static struct str without_dot(struct str s)
{
    return s.n && s.p[s.n - 1] == '.' ? str_slice(s, 0, s.n - 1) : s;
}

static bool is_exempt(struct str item, struct str host, uint16_t port)
{
    struct addr ip;

    if (str_eq(item, STR("*")))
        return true;
    if (!take_port(&item, port))
        return false;
    if (addr_from_ip(host, 0, &ip))
        return addr_in_network(&ip, item);
    return in_domain(without_dot(host), without_dot(item));
}

/* Items are separated by commas or blanks. */
static bool list_exempts(struct str list, struct str host, uint16_t port)
{
    while (list.n) {
        size_t n = 0;
        while (n < list.n && list.p[n] != ',' && list.p[n] != ' ' && list.p[n] != '\t')
            n++;
        if (n && is_exempt(str_slice(list, 0, n), host, port))
            return true;
        list = str_slice(list, n + 1, list.n);
    }
    return false;
}

struct str upstream_proxy_from_env(bool secure, struct str host, uint16_t port, struct str (*env)(const char *name))
{
    struct str proxy;

    if (list_exempts(env_first(env, "no_proxy", "NO_PROXY"), host, port))
        return STR_NONE;
    if (secure)
        proxy = env_first(env, "https_proxy", "HTTPS_PROXY");
    else
        proxy = env_first(env, "http_proxy", env("REQUEST_METHOD").p ? "http_proxy" : "HTTP_PROXY");
    if (!proxy.p)
        proxy = env_first(env, "all_proxy", "ALL_PROXY");
    return proxy;
}
