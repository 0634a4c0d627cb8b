/*
 * operators.c - who may ask at the admin address: whoever has a key of `admin.keys`, or the one that was made at the start.
 *
 * A loopback address is no password: everybody on the machine reaches it, and so does a web page in a browser there. So every question takes a key, in a
 * header that no page can send unasked. Keys are compared as hashes, all of them, each in constant time.
 */
#include "admin/admin_int.h"
#include "codec/digest.h"

static struct str presented_key(const struct http_request *r)
{
    struct str bearer = STR("bearer "), auth = http_head_get(&r->head, HDR_AUTHORIZATION);

    return str_starts_nocase(auth, bearer) ? str_trim(str_slice(auth, bearer.n, auth.n)) : STR_NONE;
}

bool operator_can_be(const struct admin *a)
{
    return a->made_key || a->snapshot(a->ctx)->catalog->admin.key_count;
}

bool operator_is_known(const struct admin *a, const struct http_request *r)
{
    const struct catalog *c = a->snapshot(a->ctx)->catalog;
    struct str key = presented_key(r);
    unsigned char bytes[SHA256_BYTES];
    bool known = false;

    if (!key.n)
        return false;
    sha256(key, bytes);
    struct str hash = str_of((const char *)bytes, sizeof bytes);
    for (size_t i = 0; i < c->admin.key_count; i++)
        known |= str_eq_secret(str_of((const char *)c->admin.keys[i].hash, sizeof c->admin.keys[i].hash), hash);
    if (a->made_key)
        known |= str_eq_secret(str_of((const char *)a->made_key, SHA256_BYTES), hash);
    return known;
}
