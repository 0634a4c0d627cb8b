/*
 * catalog.c - look-ups in a catalog, and its end.
 *
 * A catalog is made by config_build() and never changes, so readers need no lock. It lives in one arena; the last
 * reference wipes what is secret in there before the memory goes back.
 */
#include "fleet/catalog.h"

#include "base/arena.h"
#include "base/mem.h"
#include "codec/schema.h"

#include <limits.h>

/* Work that a name which does not exist may cause: a client can send as many as it likes. */
enum { NEAREST_SCAN = 20000, NEAREST_COMPARE = 300 };

struct catalog *catalog_ref(struct catalog *c)
{
    __atomic_fetch_add(&c->refs_, 1, __ATOMIC_RELAXED);
    return c;
}

static void wipe(struct str s)
{
    if (s.n)
        explicit_bzero((char *)(uintptr_t)s.p, s.n);
}

static void catalog_free(struct catalog *c)
{
    for (size_t i = 0; i < c->provider_count; i++) {
        struct provider *p = &c->providers[i];
        for (size_t k = 0; k < p->key_count; k++)
            secret_release(&p->keys[k].secret);
        secret_release(&p->auth.azure.client_secret);
        secret_release(&p->auth.aws.secret_access_key);
        secret_release(&p->auth.aws.session_token);
        for (size_t k = 0; k < p->header_count; k++)
            wipe(p->headers[k].value);
        wipe(p->key_pem);
        wipe(p->proxy);
    }
    for (size_t i = 0; i < c->key_count; i++)
        secret_release(&c->keys[i].aws_secret_access_key);
    secret_release(&c->journal.password);
    secret_release(&c->registry.password);
    wipe(c->tls_key_pem);
    map_release(&c->model_by_name);
    prefixes_release(&c->model_by_prefix);
    map_release(&c->rules_by_name);
    prefixes_release(&c->rules_by_prefix);
    map_release(&c->tag_by_name);
    map_release(&c->provider_by_name);
    map_release(&c->deployment_by_name);
    map_release(&c->served_by_name);
    map_release(&c->key_by_hash);
    map_release(&c->key_by_aws_id);
    map_release(&c->key_by_name);
    arena_release(c->arena_);
    mem_free(c->arena_);
    mem_free(c);
}

void catalog_unref(struct catalog *c)
{
    if (c && __atomic_sub_fetch(&c->refs_, 1, __ATOMIC_ACQ_REL) == 0)
        catalog_free(c);
}

const struct api_key *catalog_find_key(const struct catalog *c, const unsigned char hash[32])
{
    struct str wanted = str_of((const char *)hash, 32);
    const struct api_key *k = map_get(&c->key_by_hash, wanted);

    return k && str_eq_secret(str_of((const char *)k->hash, sizeof k->hash), wanted) ? k : NULL;
}

const struct api_key *catalog_find_key_named(const struct catalog *c, struct str name)
{
    return map_get(&c->key_by_name, name);
}

const struct api_key *catalog_find_signer(const struct catalog *c, struct str access_key_id)
{
    return map_get(&c->key_by_aws_id, access_key_id);
}

err_t catalog_check_exposure(const struct catalog *c, const struct addr *at)
{
    char text[ADDR_TEXT_MAX];

    if (c->key_count || c->anonymous || addr_is_loopback(at))
        return OK;
    addr_format(at, text);
    return fail(E_CONFIG,
                "without keys, anyone who reaches %s would be served: configure keys (crossdock key new), or say "
                "'anonymous: true'",
                text);
}

struct str provider_key_label(const struct provider *p, size_t key)
{
    if (p->keys[key].name.n)
        return p->keys[key].name;
    return p->auth.kind.n ? p->auth.kind : STR("api_key");
}

bool api_key_allows(const struct api_key *k, struct str model)
{
    for (size_t i = 0; i < k->model_count; i++) {
        struct str pattern = k->models[i];
        bool is_prefix = str_ends(pattern, STR("*"));
        if (is_prefix ? str_starts(model, str_slice(pattern, 0, pattern.n - 1)) : str_eq(pattern, model))
            return true;
    }
    return k->model_count == 0;
}

const struct model *catalog_find_model(const struct catalog *c, struct str name)
{
    return map_get(&c->model_by_name, name);
}

const struct model *catalog_match_model(const struct catalog *c, struct str name, struct str *ret_rest)
{
    const struct model *m = catalog_find_model(c, name);
    size_t length = name.n ? name.n - 1 : 0; /* the rest is not empty */

    *ret_rest = STR_NONE;
    if (m || !name.n)
        return m;
    m = prefixes_find(&c->model_by_prefix, name, &length);
    if (m)
        *ret_rest = str_slice(name, length, name.n);
    return m;
}

/* The first of a list's indexes that is at least `from`; UINT_MAX: none. */
static unsigned index_from(const struct rule_list *list, unsigned from)
{
    size_t low = 0, high = list->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (list->indexes[mid] < from)
            low = mid + 1;
        else
            high = mid;
    }
    return low < list->count ? list->indexes[low] : UINT_MAX;
}

const struct rule_list *catalog_find_rules(const struct catalog *c, struct str name)
{
    size_t length = name.n;
    const struct rule_list *exact = map_get(&c->rules_by_name, name);

    return exact ? exact : prefixes_find(&c->rules_by_prefix, name, &length);
}

const struct rule *catalog_next_rule(const struct catalog *c, const struct rule_list *list, unsigned from)
{
    unsigned first = UINT_MAX;

    for (; list; list = list->outer) {
        unsigned index = index_from(list, from);
        first = index < first ? index : first;
    }
    return first == UINT_MAX ? NULL : &c->rules[first];
}

bool rule_failed(const struct rule *r)
{
    return __atomic_exchange_n((bool *)(uintptr_t)&r->failed_, true, __ATOMIC_RELAXED) == false;
}

uint64_t catalog_tag_bit(const struct catalog *c, struct str tag)
{
    const struct str *at = map_get(&c->tag_by_name, tag);

    return at ? (uint64_t)1 << (at - c->tags) : 0;
}

const struct provider *catalog_find_served(const struct catalog *c, struct str name, struct str *ret_model)
{
    size_t slash = str_find_char(name, '/');
    const struct provider *p = map_get(&c->provider_by_name, str_slice(name, 0, slash));

    if (!p || slash + 1 >= name.n)
        return NULL;
    if (!p->serves_all && !map_get(&c->served_by_name, name))
        return NULL;
    *ret_model = str_slice(name, slash + 1, name.n);
    return p;
}

/* One bit per letter or digit, whatever its case: names that differ in many bits are far apart. */
static uint64_t letters(struct str s)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < s.n; i++)
        bits |= (uint64_t)1 << ((unsigned char)ascii_lower(s.p[i]) & 63);
    return bits;
}

/* The name that is sought, the nearest so far, and what the search has cost. */
struct search {
    struct str name, best;
    uint64_t letters;
    unsigned limit, distance, compared;
};

static void compare_name(struct search *s, struct str candidate)
{
    /* One change of a character changes two bits at most. */
    if ((unsigned)__builtin_popcountll(s->letters ^ letters(candidate)) > 2 * s->limit)
        return;
    s->compared++;
    schema_nearest(s->name, candidate, &s->best, &s->distance);
}

struct str catalog_nearest_model(const struct catalog *c, struct str name)
{
    struct search s = {.name = name, .letters = letters(name), .limit = (unsigned)(name.n + 2) / 3};

    for (size_t i = 0, seen = 0; i < c->model_count && seen < NEAREST_SCAN && s.compared < NEAREST_COMPARE; i++) {
        const struct model *m = &c->models[i];
        seen += 1 + m->alias_count;
        if (!m->is_wildcard)
            compare_name(&s, m->name);
        for (size_t k = 0; k < m->alias_count && s.compared < NEAREST_COMPARE; k++)
            compare_name(&s, m->aliases[k]);
    }
    return s.best;
}
