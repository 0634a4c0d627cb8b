/*
 * guarded_fetch.c - an anonymous GET that cannot be led astray.
 *
 * The idea: a check of a name is worth nothing, because what the name means is decided later, by a resolver that the attacker may
 * own. So the name is only brought into one notation, and the decision is made about addresses, in dial(), between the look-up and the
 * connection (`permit`): what was checked is what is connected to. Everything else here keeps the request anonymous and the answer
 * bounded.
 *
 * A hop is one request with an upstream of its own, so no connection, and no state but the TLS context, is shared with anybody.
 *
 * Invariants: every URL, from the user or from a redirection, goes through read_site(); every connection through is_permitted().
 *
 * Does not: look into the content (a server may call anything a picture), know which public addresses are our own, fetch through a
 * proxy (that would look the name up itself), retry.
 */
#include "net/guarded_fetch.h"

#include "codec/url.h"
#include "net/http_client.h"
#include "net/public_addr.h"
#include "rt/loop.h"
#include "rt/scope.h"

enum { URL_MAX = 8 * 1024, NAME_MAX_BYTES = 253, LABEL_MAX_BYTES = 63, HEAD_MAX = 16 * 1024, ACCEPT_MAX = 4 * 1024 };

/* --- where a URL leads --- */

struct site {
    struct str host; /* lower case, without a final dot; IPv6 without brackets */
    bool is_ip;
    bool secure;
    uint16_t port;
    struct str target; /* path and query */
};

static bool is_letter(char c)
{
    return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
}

static bool is_label(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_letter(s.p[i]) && !(s.p[i] >= '0' && s.p[i] <= '9') && s.p[i] != '-' && s.p[i] != '_')
            return false;
    return s.n > 0 && s.n <= LABEL_MAX_BYTES;
}

/*
 * Is it a name with at least two labels, the last of which begins with a letter, as those of all top-level domains do? Resolvers take
 * numbers for addresses in notations of their own ("1", "0x7f.1", "017700000001"), and complete single labels from a search list.
 */
static bool is_full_name(struct str host)
{
    struct str label = STR_NONE;
    unsigned labels = 0;

    for (struct str rest = host; rest.p; labels++) {
        label = str_cut(&rest, '.');
        if (!is_label(label))
            return false;
    }
    return host.n <= NAME_MAX_BYTES && labels >= 2 && is_letter(label.p[0]);
}

static err_t read_host(const struct url *u, struct arena *arena, struct site *site)
{
    struct addr ip;
    struct str host = u->host;

    if (!u->is_ipv6 && host.n > 1 && host.p[host.n - 1] == '.')
        host.n--;
    site->is_ip = addr_from_ip(host, 0, &ip);
    if (!site->is_ip && (u->is_ipv6 || !is_full_name(host)))
        return fail(E_PARSE, "the host of the URL is neither a full name nor an IP address in the usual notation");
    site->host = arena_lower(arena, host);
    return OK;
}

/* Is `host` the name, or below it if that begins with "*."? */
static bool host_matches(struct str host, struct str pattern)
{
    if (!str_starts(pattern, STR("*.")))
        return str_eq_nocase(host, pattern);
    struct str suffix = str_slice(pattern, 1, pattern.n);
    return host.n > suffix.n && str_eq_nocase(str_slice(host, host.n - suffix.n, host.n), suffix);
}

static bool is_listed_host(const struct fetch_rules *rules, struct str host)
{
    for (size_t i = 0; i < rules->host_count; i++)
        if (host_matches(host, rules->hosts[i]))
            return true;
    return rules->host_count == 0;
}

/* What the rules say about a URL before anything is looked up. */
static err_t check_site(const struct fetch_rules *rules, const struct url *u, const struct site *site)
{
    uint16_t usual = site->secure ? 443 : 80;

    if (!site->secure && (!rules->allow_http || !str_eq_nocase(u->scheme, STR("http"))))
        return fail(E_FORBIDDEN, "the URL begins with %.*s://: only https://%s is fetched",
                    (int)(u->scheme.n < 16 ? u->scheme.n : 16), u->scheme.p, rules->allow_http ? " and http://" : "");
    if (u->userinfo.p)
        return fail(E_FORBIDDEN, "a URL with a user name or a password is not fetched");
    if (!rules->allow_ports && site->port != usual && site->port != 443)
        return fail(E_FORBIDDEN, "%.*s: nothing is fetched from port %u", STR_ARG(site->host), site->port);
    if (!is_listed_host(rules, site->host))
        return fail(E_FORBIDDEN, "%.*s: not one of the hosts that may be fetched from", STR_ARG(site->host));
    return OK;
}

static err_t read_site(const struct fetch_rules *rules, struct str text, struct arena *arena, struct site *ret)
{
    struct url u;
    struct site site = {0};

    if (text.n > URL_MAX)
        return fail(E_TOO_LARGE, "the URL is longer than %d bytes", URL_MAX);
    TRY(url_parse(text, &u));
    site.secure = str_eq_nocase(u.scheme, STR("https"));
    site.port = url_port(&u);
    TRY(read_host(&u, arena, &site));
    TRY(check_site(rules, &u, &site));
    struct str query = u.query.p ? arena_join(arena, STR("?"), u.query) : STR_NONE;
    site.target = arena_join(arena, u.path.n ? u.path : STR("/"), query);
    *ret = site;
    return OK;
}

static bool is_permitted(const void *ctx, const struct addr *a)
{
    const struct fetch_rules *rules = ctx;

    if (addr_is_public(a))
        return true;
    for (size_t i = 0; i < rules->network_count; i++)
        if (addr_in_network(a, rules->networks[i]))
            return true;
    return false;
}

/* --- the request --- */

/* The value of the accept header. */
static err_t accept_of(const struct fetch_rules *rules, struct arena *arena, struct str *ret)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(ACCEPT_MAX);

    for (size_t i = 0; i < rules->media_type_count; i++) {
        TRY(buf_add(&b, i ? STR(", ") : STR("")));
        TRY(buf_add(&b, rules->media_types[i]));
    }
    *ret = b.n ? arena_str(arena, buf_str(&b)) : STR("*/*");
    return OK;
}

/* The words for a name without a permitted address are the same as for no such name: users shall not learn our network's. */
static err_t conceal(err_t e, const struct site *site)
{
    if (e == E_FORBIDDEN && site->is_ip)
        return fail(E_FORBIDDEN, "%.*s: not a public address", STR_ARG(site->host));
    if (e == E_FORBIDDEN || e == E_RESOLVE)
        return fail(E_RESOLVE, "%.*s: no public address of that name is known", STR_ARG(site->host));
    return e;
}

static err_t send_get(const struct fetch_rules *rules, struct upstream *upstream, const struct site *site,
                      struct arena *arena, struct http_call **ret) SUSPENDS;
static err_t send_get(const struct fetch_rules *rules, struct upstream *upstream, const struct site *site,
                      struct arena *arena, struct http_call **ret)
{
    struct http_header headers[] = {
        {STR("user-agent"), STR("crossdock")},
        {STR("accept"), STR_NONE},
        {STR("accept-encoding"), STR("identity")},
    };

    TRY(accept_of(rules, arena, &headers[1].value));
    struct http_call_options o = {.method = STR("GET"),
                                  .target = site->target,
                                  .headers = headers,
                                  .count = ARRAY_LEN(headers),
                                  .keep_encoded = true};
    return conceal(http_call_open(upstream, arena, &o, NULL, ret), site);
}

/* --- the answer --- */

static bool is_redirection(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* The value of a header that must not be given twice; STR_NONE if it is not given at all. */
static err_t only_value(const struct http_head *head, const struct site *site, struct str name, struct str *ret)
{
    size_t at = http_head_next(head, name, 0);

    *ret = at < head->count ? head->headers[at].value : STR_NONE;
    if (at < head->count && http_head_next(head, name, at + 1) < head->count)
        return fail(E_PROTOCOL, "%.*s: the answer has more than one %.*s", STR_ARG(site->host), STR_ARG(name));
    return OK;
}

static bool media_type_matches(struct str type, struct str pattern)
{
    if (str_ends(pattern, STR("/*")))
        return str_starts_nocase(type, str_slice(pattern, 0, pattern.n - 1));
    return str_eq_nocase(type, pattern);
}

static err_t check_media_type(const struct fetch_rules *rules, const struct site *site, struct str type)
{
    if (rules->media_type_count == 0)
        return OK;
    for (size_t i = 0; i < rules->media_type_count; i++)
        if (media_type_matches(type, rules->media_types[i]))
            return OK;
    if (type.n == 0)
        return fail(E_UNSUPPORTED, "%.*s: the answer does not say its content-type", STR_ARG(site->host));
    return fail(E_UNSUPPORTED, "%.*s: content of type %.*s is not accepted", STR_ARG(site->host),
                (int)(type.n < 64 ? type.n : 64), type.p);
}

static err_t check_coding(const struct http_head *head, const struct site *site)
{
    struct str coding;

    TRY(only_value(head, site, STR("content-encoding"), &coding));
    if (coding.n && !str_eq_nocase(coding, STR("identity")))
        return fail(E_UNSUPPORTED, "%.*s: the content is compressed although that was not asked for",
                    STR_ARG(site->host));
    return OK;
}

/* Where the answer sends us; an error if it says not where. */
static err_t read_location(const struct http_head *head, const struct site *site, struct str *ret)
{
    TRY(only_value(head, site, STR("location"), ret));
    if (!ret->p)
        return fail(E_UPSTREAM, "%.*s: a redirection (%d) to nowhere", STR_ARG(site->host), head->status);
    return OK;
}

static err_t read_content(const struct fetch_rules *rules, struct http_call *call, const struct site *site,
                          struct arena *arena, struct fetched *got) SUSPENDS;
static err_t read_content(const struct fetch_rules *rules, struct http_call *call, const struct site *site,
                          struct arena *arena, struct fetched *got)
{
    const struct http_head *head = http_call_head(call);
    struct str type;

    if (head->status != 200)
        return fail(E_UPSTREAM, "%.*s: it answered with status %d", STR_ARG(site->host), head->status);
    TRY(check_coding(head, site));
    TRY(only_value(head, site, STR("content-type"), &type));
    type = str_trim(str_cut(&type, ';'));
    TRY(check_media_type(rules, site, type));
    got->media_type = arena_lower(arena, type);
    bool is_borrowed = http_call_is_buffered(call); /* from a buffer that the call takes with it */
    TRY(http_call_all(call, NS_NEVER, rules->max_bytes, &got->body));
    if (is_borrowed)
        got->body = arena_str(arena, got->body);
    return OK;
}

/* One request. *ret_location is set if the answer is a redirection; else *got is complete. */
static err_t fetch_hop(const struct fetch_rules *rules, struct arena *arena, struct fetched *got,
                       struct str *ret_location) SUSPENDS;
static err_t fetch_hop(const struct fetch_rules *rules, struct arena *arena, struct fetched *got,
                       struct str *ret_location)
{
    struct site site;

    TRY(read_site(rules, got->url, arena, &site));
    struct upstream *upstream CLEANUP(upstream_free_p) = upstream_new(&(struct upstream_options){
        .secure = site.secure,
        .host = site.host,
        .port = site.port,
        .tls = rules->tls,
        .head_bytes = HEAD_MAX,
        .permit = is_permitted,
        .permit_ctx = rules,
    });
    struct http_call *call CLEANUP(http_call_close_p) = NULL; /* closed before the upstream is freed */
    TRY(send_get(rules, upstream, &site, arena, &call));
    if (is_redirection(http_call_head(call)->status))
        return read_location(http_call_head(call), &site, ret_location);
    return read_content(rules, call, &site, arena, got);
}

err_t guarded_fetch(const struct fetch_rules *rules, struct str url, struct arena *arena, struct fetched *ret)
{
    struct fetched got = {
        .url = arena_str(arena, str_slice(url, 0, URL_MAX + 1))}; /* one byte more shows it is too long */

    WITHIN(ns_add(rt_now(), rules->time));
    for (unsigned followed = 0;; followed++) {
        struct str location = STR_NONE;
        err_t e = fetch_hop(rules, arena, &got, &location);
        if (e)
            return followed ? err_context(e, "redirected") : e;
        if (!location.p)
            break;
        if (followed == rules->max_redirects)
            return fail(E_UPSTREAM, "more than %u redirections", followed);
        if (url_resolve(got.url, location, URL_MAX, arena, &got.url))
            return fail(E_UPSTREAM, "redirected to something that is not a URL");
    }
    *ret = got;
    return OK;
}
