/*
 * config_credentials.c - what a provider's requests carry: its keys, by name.
 *
 * `api_key` is one credential, `api_keys` several that share the traffic; what expires (`auth`) counts as one, and so does nothing at
 * all, so that everybody else finds at least one. Each has an identity, a digest of what it is made of: state that is kept across
 * configurations follows that, so that a replaced secret begins anew and a renamed one does not.
 *
 * Messages name the place and never the value.
 */
#include "fleet/config_int.h"

#include "codec/digest.h"

enum { KEY_BYTES_MAX = 8192 };

static bool is_credential_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = ascii_lower(s.p[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '.' && c != '-')
            return false;
    }
    return s.n > 0 && s.n <= 64;
}

static const struct schema_pattern credential_name = {"^[A-Za-z0-9_.-]{1,64}$", is_credential_name,
                                                      "a name of 1 to 64 letters, digits, \"_\", \".\" and \"-\""};

static const struct schema_field api_key_fields[] = {
    SCHEMA_TEXT("name", struct file_api_key, name, .pattern = &credential_name,
                .default_doc = "its place in the list: `1`, `2`, …",
                .doc = "What logs and metrics call it. Each name once."),
    SCHEMA_TEXT("key", struct file_api_key, key, .required = true, .secret = true,
                .doc = "The credential: `\"${OPENAI_API_KEY}\"` or `\"file:/run/secrets/openai\"`."),
    SCHEMA_UNSIGNED("weight", struct file_api_key, weight, .default_text = "1", .min = "1", .max = "1000000",
                    .doc =
                        "Its share of the requests, in proportion to the others', while their limits leave as much."),
    SCHEMA_END};
static const struct schema_object api_key_object = {.fields = api_key_fields,
                                                    .size = sizeof(struct file_api_key),
                                                    .node_offset = SCHEMA_NODE_AT(struct file_api_key, node),
                                                    .shorthand = "key"};
const struct schema_field config_api_key_item =
    SCHEMA_ITEM_OBJECT(&api_key_object, .doc = "One of the credentials that share a provider's requests.");

bool config_is_printable(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    return true;
}

/* The secret that the configuration means; STR_NONE if there is none, or it is unfit, which is then reported. */
static struct str read_key(struct config_run *run, const struct schema_text *t, const char *field)
{
    struct str key = t->text.n ? config_read_secret(run, t, false) : STR_NONE;

    if (!config_is_printable(key) || key.n > KEY_BYTES_MAX) {
        problems_error(&run->problems, t->node, "\"%s\" holds line breaks or control characters, or is too long",
                       field);
        return STR_NONE;
    }
    if (key.n != str_trim(key).n) {
        problems_error(&run->problems, t->node, "\"%s\" has blanks at an end", field);
        return STR_NONE;
    }
    return key;
}

/* Twice in a list, its limits would be thought to be twice as high. */
static void check_double(struct config_run *run, const struct provider *p, const struct file_api_key *f, size_t at)
{
    const struct provider_key *k = &p->keys[at];

    for (size_t i = 0; i < at; i++) {
        if (str_eq(p->keys[i].name, k->name))
            problems_error(&run->problems, f[at].node, "another of these keys has the same name");
        if (k->secret.n_ && str_eq_secret(secret_reveal(&p->keys[i].secret), secret_reveal(&k->secret)))
            problems_error(&run->problems, f[at].node, "this key is in the list twice");
    }
}

static void set_keys(struct config_run *run, struct catalog *c, struct provider *p, const struct file_provider *f)
{
    if (f->api_key_count > PROVIDER_KEYS_MAX) {
        problems_error(&run->problems, f->node, "\"api_keys\" holds more than %d keys", PROVIDER_KEYS_MAX);
        return;
    }
    p->keys = arena_zalloc(c->arena_, f->api_key_count * sizeof *p->keys);
    for (size_t i = 0; i < f->api_key_count; i++) {
        const struct file_api_key *from = &f->api_keys[i];
        struct provider_key *k = &p->keys[p->key_count++];
        struct str key = read_key(run, &from->key, "key");
        *k = (struct provider_key){.name = from->name.text.n ? arena_str(c->arena_, from->name.text)
                                                             : arena_printf(c->arena_, "%zu", i + 1),
                                   .secret = secret_make(key),
                                   .weight = from->weight};
        if (from->key.node && !key.n && !from->key.text.n)
            problems_error(&run->problems, from->key.node, "\"key\" is empty");
        check_double(run, p, f->api_keys, i);
    }
}

static void set_key(struct config_run *run, struct catalog *c, struct provider *p, const struct file_provider *f)
{
    struct str key = read_key(run, &f->api_key, "api_key");

    if (p->simulated && !key.n && p->vendor->auth == AUTH_GOOGLE)
        key = STR("simulated"); /* there Google's surface demands a token too, of any kind */
    p->keys = arena_new(c->arena_, struct provider_key);
    p->key_count = 1;
    *p->keys = (struct provider_key){.secret = secret_make(key), .weight = 1};
}

/* Each with its length in front, so that no two lists of parts look the same. */
static void set_identity(struct provider *p, struct provider_key *k)
{
    const struct provider_auth *a = &p->auth;
    struct str parts[] = {p->name,
                          secret_reveal(&k->secret),
                          a->kind,
                          a->google.file,
                          a->azure.tenant,
                          a->azure.client_id,
                          secret_reveal(&a->azure.client_secret),
                          a->aws.access_key_id,
                          secret_reveal(&a->aws.secret_access_key),
                          secret_reveal(&a->aws.session_token),
                          a->aws.profile,
                          a->aws.role_arn};
    struct sha256 *h = sha256_new();

    for (size_t i = 0; i < ARRAY_LEN(parts) + p->header_count; i++) {
        struct str part = i < ARRAY_LEN(parts) ? parts[i] : p->headers[i - ARRAY_LEN(parts)].value;
        sha256_add(h, str_of((const char *)&part.n, sizeof part.n));
        sha256_add(h, part);
    }
    sha256_end(h, k->identity);
}

void config_build_keys(struct config_run *run, struct catalog *c, struct provider *p, const struct file_provider *f)
{
    if (f->api_key_count && f->api_key.node)
        problems_error(&run->problems, f->api_key.node, "\"api_key\" and \"api_keys\" exclude each other");
    if (f->api_key_count && f->auth.node)
        problems_error(&run->problems, f->auth.node, "\"auth\" and \"api_keys\" exclude each other");
    if (f->api_key_count)
        set_keys(run, c, p, f);
    if (!p->key_count)
        set_key(run, c, p, f);
}

void config_identify_keys(struct provider *p)
{
    for (size_t i = 0; i < p->key_count; i++)
        set_identity(p, &p->keys[i]);
}
