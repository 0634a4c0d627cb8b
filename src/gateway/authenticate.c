/*
 * authenticate.c - who is calling: from the key in the request's headers to the key in the configuration.
 *
 * Only hashes are stored, so the key is hashed and looked up; the look-up compares in constant time. A configuration without keys
 * serves anyone (it was refused at load time where that would be dangerous).
 */
#include "codec/digest.h"
#include "gateway/exchange.h"

/* The key, from where any client may put it: Authorization: Bearer, api-key (Azure), x-api-key (Anthropic). */
static struct str presented_key(const struct http_head *head)
{
    struct str auth = http_head_get(head, HDR_AUTHORIZATION);
    struct str bearer = STR("bearer ");

    if (str_starts_nocase(auth, bearer))
        return str_trim(str_slice(auth, bearer.n, auth.n));
    struct str key = http_head_get(head, HDR_API_KEY);
    if (key.n)
        return key;
    return http_head_get(head, HDR_X_API_KEY);
}

err_t authenticate(struct exchange *x)
{
    const struct catalog *c = x->snapshot->catalog;
    unsigned char hash[SHA256_BYTES];

    if (c->key_count == 0)
        return OK;
    struct str key = presented_key(&x->r->head);
    if (!key.n)
        return fail(E_AUTH, "You didn't provide an API key. Send it as 'Authorization: Bearer YOUR_KEY'; keys are made "
                            "with 'crossdock key new'.");
    sha256(key, hash);
    x->key = catalog_find_key(c, hash);
    if (!x->key)
        return fail(E_AUTH,
                    "Incorrect API key provided. It is not one of this gateway's keys; a provider's own key does "
                    "not work here.");
    x->facts.key = x->key->name;
    return OK;
}
