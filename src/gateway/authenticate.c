/*
 * authenticate.c - who is calling: from the credential in the request to the key in the configuration.
 *
 * Only hashes are stored, so the key is hashed and looked up; the look-up compares in constant time. Where the key is depends on the client's
 * SDK, and each is looked for in the same order on every path, so that one gateway key works with all of them: the dialects' own headers, then
 * Authorization, then the query. AWS's SDKs sign instead; the signature covers the body, so it is verified when that is there. A configuration
 * without keys serves anyone (it was refused at load time where that would be dangerous).
 */
#include "codec/digest.h"
#include "codec/sigv4.h"
#include "codec/url.h"
#include "gateway/exchange.h"
#include "gateway/inner.h"
#include "rt/loop.h"

static struct str presented_key(struct exchange *x)
{
    static const enum http_known headers[] = {HDR_X_API_KEY, HDR_API_KEY, HDR_X_GOOG_API_KEY};
    static const struct str parameters[] = {STR_INIT("key"), STR_INIT("subscription-key")};
    const struct http_head *head = &x->r->head;
    struct str bearer = STR("bearer "), auth = http_head_get(head, HDR_AUTHORIZATION), key;

    for (size_t i = 0; i < ARRAY_LEN(headers); i++)
        if ((key = http_head_get(head, headers[i])).n)
            return key;
    if (str_starts_nocase(auth, bearer))
        return str_trim(str_slice(auth, bearer.n, auth.n));
    for (size_t i = 0; head->query.n && i < ARRAY_LEN(parameters); i++)
        if ((key = url_query_get(head->query, parameters[i], x->r->arena)).n)
            return key;
    return STR_NONE;
}

/* The request is signed: whose signature it claims to be. It counts only once authenticate_body() has verified it. */
static err_t find_signer(struct exchange *x, struct str authorization)
{
    struct sigv4_claim *claim = arena_new(x->r->arena, struct sigv4_claim);

    TRY(sigv4_read(authorization, claim));
    x->key = catalog_find_signer(x->snapshot->catalog, claim->access_key);
    if (!x->key)
        return fail(
            E_AUTH,
            "The access key id of this request's signature is not one of this gateway's keys (aws_access_key_id).");
    x->claim = claim;
    x->facts.key = x->key->name;
    return OK;
}

/* A request of the process itself: on whose account it goes. */
static err_t find_named(struct exchange *x, struct str name)
{
    if (!name.n)
        return OK;
    x->key = catalog_find_key_named(x->snapshot->catalog, name);
    if (!x->key)
        return fail(E_AUTH, "There is no key '%.*s' in the gateway's configuration (any more).", STR_ARG(name));
    x->facts.key = x->key->name;
    return OK;
}

err_t authenticate(struct exchange *x)
{
    const struct catalog *c = x->snapshot->catalog;
    struct str authorization = http_head_get(&x->r->head, HDR_AUTHORIZATION);

    if (x->inner)
        return find_named(x, x->inner->key);
    if (c->key_count == 0)
        return OK;
    if (sigv4_is_claim(authorization))
        return find_signer(x, authorization);
    struct str key = presented_key(x);
    if (!key.n)
        return fail(E_AUTH, "You didn't provide an API key. Send it as 'Authorization: Bearer YOUR_KEY'; keys are made "
                            "with 'crossdock key new'.");
    x->key = catalog_find_key(c, gateway_hash_key(x->gateway, key));
    if (!x->key)
        return fail(E_AUTH,
                    "Incorrect API key provided. It is not one of this gateway's keys; a provider's own key does "
                    "not work here.");
    x->facts.key = x->key->name;
    return OK;
}

err_t authenticate_body(struct exchange *x, struct str body)
{
    const struct http_head *head = &x->r->head;
    unsigned char hash[SHA256_BYTES];

    if (!x->claim)
        return OK;
    sha256(body, hash);
    struct sigv4_request request = {.method = head->method,
                                    .host = http_head_get(head, HDR_HOST),
                                    .path = head->path,
                                    .query = head->query,
                                    .headers = head->headers,
                                    .header_count = head->count,
                                    .body_hash = hash};
    struct str secret = secret_reveal(&x->key->aws_secret_access_key);
    err_t e = sigv4_verify(x->r->arena, &request, x->claim, secret, rt_wall() / NS_SEC);
    if (e == OK)
        return OK;
    struct str why = arena_str(x->r->arena, str_from_c(err_detail(e)));
    return fail(E_AUTH, "The request's signature is not accepted: %.*s", STR_ARG(why));
}

err_t gateway_admits(struct gateway *g, struct http_request *r)
{
    struct exchange *x = arena_new(r->arena, struct exchange);

    x->r = r;
    x->gateway = g;
    x->snapshot = gateway_snapshot(g);
    TRY(authenticate(x));
    return x->claim ? fail(E_UNSUPPORTED, "Signed requests are not taken here: send a key instead.") : OK;
}
