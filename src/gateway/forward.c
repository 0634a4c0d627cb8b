/*
 * forward.c - what passes between client and provider besides bodies: headers and paths.
 *
 * Everything passes but: what belongs to one hop (RFC 9110, 7.6.1), who the client is towards us (credentials, cookies), what SDKs say about themselves,
 * and, on the way back, what is between the provider and us (its cookies, its account's names, its addresses, the coding that we have undone).
 */
#include "codec/url.h"
#include "gateway/exchange.h"

enum { HOP = 1, TO_PROVIDER = 2, TO_CLIENT = 4 };

/* Which known headers stop here, and in which direction. */
static const unsigned char stops[HDR_COUNT] = {
    [HDR_CONNECTION] = HOP | TO_PROVIDER | TO_CLIENT,
    [HDR_KEEP_ALIVE] = HOP | TO_PROVIDER | TO_CLIENT,
    [HDR_PROXY_CONNECTION] = HOP | TO_PROVIDER | TO_CLIENT,
    [HDR_TE] = HOP | TO_PROVIDER | TO_CLIENT,
    [HDR_TRAILER] = HOP | TO_PROVIDER | TO_CLIENT,
    [HDR_TRANSFER_ENCODING] = HOP | TO_PROVIDER | TO_CLIENT,
    [HDR_UPGRADE] = HOP | TO_PROVIDER | TO_CLIENT,
    [HDR_CONTENT_LENGTH] = TO_PROVIDER | TO_CLIENT,
    [HDR_HOST] = TO_PROVIDER,
    [HDR_EXPECT] = TO_PROVIDER,
    [HDR_ACCEPT_ENCODING] = TO_PROVIDER, /* ours: what we can decode */
    [HDR_AUTHORIZATION] = TO_PROVIDER,
    [HDR_PROXY_AUTHORIZATION] = TO_PROVIDER,
    [HDR_API_KEY] = TO_PROVIDER,
    [HDR_X_API_KEY] = TO_PROVIDER,
    [HDR_X_GOOG_API_KEY] = TO_PROVIDER,
    [HDR_COOKIE] = TO_PROVIDER,
    [HDR_USER_AGENT] = TO_PROVIDER,
    [HDR_IDEMPOTENCY_KEY] = TO_PROVIDER, /* a retry may go to another provider */
    [HDR_OPENAI_ORGANIZATION] = TO_PROVIDER | TO_CLIENT,
    [HDR_OPENAI_PROJECT] = TO_PROVIDER | TO_CLIENT,
    [HDR_ORIGIN] = TO_PROVIDER,
    [HDR_X_FORWARDED_FOR] = TO_PROVIDER,
    [HDR_X_REQUEST_ID] = TO_PROVIDER | TO_CLIENT, /* ours */
    [HDR_DATE] = TO_CLIENT,
    [HDR_LOCATION] = TO_CLIENT, /* of the provider's house */
    [HDR_SERVER] = TO_CLIENT,
};

/* Prefixes and names without a number. */
static const struct str stop_to_provider[] = {
    STR_INIT("x-stainless-"), STR_INIT("x-crossdock-"), STR_INIT("x-forwarded-"),
    STR_INIT("forwarded"),    STR_INIT("x-real-ip"),    STR_INIT("referer"),
    STR_INIT("sec-"),         STR_INIT("via"),          STR_INIT("cf-")};
static const struct str stop_to_client[] = {STR_INIT("set-cookie"),
                                            STR_INIT("alt-svc"),
                                            STR_INIT("strict-transport-security"),
                                            STR_INIT("x-crossdock-"),
                                            STR_INIT("cf-"),
                                            STR_INIT("via"),
                                            STR_INIT("nel"),
                                            STR_INIT("report-to"),
                                            STR_INIT("www-authenticate"),
                                            STR_INIT("proxy-authenticate"),
                                            STR_INIT("content-location"),
                                            STR_INIT("refresh")};

/* Nearly all names differ in their first letter already. */
static bool has_prefix(struct str name, const struct str *list, size_t n)
{
    char first = name.n ? ascii_lower(name.p[0]) : '\0';

    for (size_t i = 0; i < n; i++)
        if (list[i].p[0] == first && str_starts_nocase(name, list[i]))
            return true;
    return false;
}

/* The number of the head's header. */
static enum http_known known_at(const struct http_head *head, size_t i)
{
    return head->ids ? (enum http_known)head->ids[i] : http_known_of(head->headers[i].name);
}

static bool is_stopped(const struct http_head *head, size_t i, unsigned direction)
{
    enum http_known known = known_at(head, i);
    struct str name = head->headers[i].name;

    if (known != HDR_OTHER)
        return stops[known] & direction;
    if (direction == TO_PROVIDER ? has_prefix(name, stop_to_provider, ARRAY_LEN(stop_to_provider))
                                 : has_prefix(name, stop_to_client, ARRAY_LEN(stop_to_client)))
        return true;
    struct str connection = http_head_get(head, HDR_CONNECTION);
    return connection.n && str_list_has(connection, name);
}

static bool is_configured(const struct provider *p, struct str name)
{
    for (size_t i = 0; i < p->header_count; i++)
        if (str_eq_nocase(p->headers[i].name, name))
            return true;
    return false;
}

/* Configured headers, the credential, and who we are. */
static void add_own(struct exchange *x, struct http_header *to, size_t *n)
{
    const struct provider *p = x->chosen->provider;
    struct str credential = x->snapshot->providers[p->index].keys[x->key_index];

    for (size_t i = 0; i < p->header_count; i++)
        to[(*n)++] = (struct http_header){p->headers[i].name, p->headers[i].value};
    if (credential.n)
        to[(*n)++] = (struct http_header){str_from_c(p->vendor->key_header), credential};
    to[(*n)++] = (struct http_header){STR("user-agent"), STR("crossdock")};
}

void forward_request_headers(struct exchange *x, struct http_header **ret_headers, size_t *ret_count)
{
    const struct http_head *head = &x->r->head;
    const struct provider *p = x->chosen->provider;
    struct http_header *to = arena_alloc(x->r->arena, (head->count + p->header_count + 2) * sizeof *to);
    size_t n = 0;

    for (size_t i = 0; i < head->count; i++)
        if (!is_stopped(head, i, TO_PROVIDER) && !is_configured(p, head->headers[i].name))
            to[n++] = head->headers[i];
    add_own(x, to, &n);
    *ret_headers = to;
    *ret_count = n;
}

void forward_answer_headers(struct exchange *x, const struct http_call *call, struct http_header **ret_headers,
                            size_t *ret_count)
{
    const struct http_head *head = http_call_head(call);
    struct http_header *to = arena_alloc(x->r->arena, (head->count + OWN_HEADERS + 1) * sizeof *to);
    struct str upstream_id = http_head_get(head, HDR_X_REQUEST_ID);
    struct str id_header = x->endpoint.dialect->client.id_header;
    bool decoded = http_call_is_decoded(call);
    size_t n = own_headers(x, to);

    for (size_t i = 0; i < head->count; i++) {
        struct str name = head->headers[i].name;
        if (id_header.n && str_eq_nocase(name, id_header)) {
            upstream_id = head->headers[i].value;
            continue;
        }
        if (!is_stopped(head, i, TO_CLIENT) && !(decoded && known_at(head, i) == HDR_CONTENT_ENCODING))
            to[n++] = head->headers[i];
    }
    if (upstream_id.n)
        to[n++] = (struct http_header){STR("x-upstream-request-id"), upstream_id};
    *ret_headers = to;
    *ret_count = n;
}

/* Query parameters in which clients put keys, also coded ones; never passed on. */
static bool is_credential(struct exchange *x, struct str coded)
{
    static const struct str names[] = {STR_INIT("key"), STR_INIT("api_key"), STR_INIT("api-key"),
                                       STR_INIT("subscription-key")};
    struct str name;

    if (url_decode_form(coded, x->r->arena, &name) != OK)
        return true; /* nobody knows what it means at the provider */
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq_nocase(name, names[i]))
            return true;
    return false;
}

void translated_request_headers(struct exchange *x, const struct provider_call *call, struct http_header **ret_headers,
                                size_t *ret_count)
{
    static const struct str kept[] = {STR_INIT("traceparent"), STR_INIT("tracestate"), STR_INIT("baggage")};
    const struct http_head *head = &x->r->head;
    const struct provider *p = x->chosen->provider;
    struct http_header *to =
        arena_alloc(x->r->arena, (ARRAY_LEN(kept) + call->header_count + p->header_count + 3) * sizeof *to);
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        struct str value = http_head_find(head, kept[i]);
        if (value.p && !is_configured(p, kept[i]))
            to[n++] = (struct http_header){kept[i], value};
    }
    for (size_t i = 0; i < call->header_count; i++)
        if (!is_configured(p, call->headers[i].name))
            to[n++] = (struct http_header){call->headers[i].name, call->headers[i].value};
    if (!is_configured(p, STR("content-type")))
        to[n++] = (struct http_header){STR("content-type"), STR("application/json")};
    add_own(x, to, &n);
    *ret_headers = to;
    *ret_count = n;
}

void made_answer_headers(struct exchange *x, struct str type, struct http_header **ret_headers, size_t *ret_count)
{
    struct http_header *to = arena_alloc(x->r->arena, (OWN_HEADERS + 3) * sizeof *to);
    size_t n = own_headers(x, to);

    to[n++] = (struct http_header){STR("content-type"), type};
    if (x->facts.stream) {
        to[n++] = (struct http_header){STR("cache-control"), STR("no-cache")};
        to[n++] = (struct http_header){STR("x-accel-buffering"), STR("no")};
    }
    *ret_headers = to;
    *ret_count = n;
}

/* Where the client's own bytes go at the provider, below its base URL. */
static err_t own_path(struct exchange *x, struct str *ret)
{
    const struct provider *p = x->chosen->provider;
    const struct dialect *d = x->endpoint.dialect;
    struct str further = d != p->dialect && p->vendor->also_path ? str_from_c(p->vendor->also_path) : STR_NONE;

    *ret = x->endpoint.path;
    if (x->endpoint.kind == ENDPOINT_OPERATION && d->provider.pass_path)
        TRY(d->provider.pass_path(translation_for_attempt(x), x->stream, ret));
    if (further.n)
        *ret = arena_join(x->r->arena, further, *ret);
    return OK;
}

err_t forward_target(struct exchange *x, struct str *ret_target)
{
    struct str base = x->chosen->provider->base_path, path, query = x->r->head.query, name, value;
    struct arena *a = x->r->arena;

    TRY(own_path(x, &path));
    char *to = arena_alloc(a, base.n + path.n + query.n + 2);
    size_t n = 0;
    if (base.n)
        memcpy(to, base.p, base.n);
    memcpy(to + base.n, path.p, path.n);
    n = base.n + path.n;
    char mark = str_find_char(path, '?') < path.n ? '&' : '?';
    while (query.n && url_query_next(&query, &name, &value)) {
        if (is_credential(x, name))
            continue;
        size_t whole = value.p ? (size_t)(value.p + value.n - name.p) : name.n;
        to[n++] = mark;
        memcpy(to + n, name.p, whole);
        n += whole;
        mark = '&';
    }
    *ret_target = str_of(to, n);
    return OK;
}
