/*
 * config_providers.c - providers of a catalog: where each is, how it is spoken to, what it may share.
 *
 * Everything that can be wrong about a provider is found here, not at its first request: URLs are taken apart,
 * secrets read, headers checked. Messages name the place and never the value, because keys end up in the strangest
 * fields.
 */
#include "fleet/config_int.h"

#include "codec/digest.h"
#include "codec/http1.h"
#include "codec/url.h"

#include <stdio.h>

enum { POOL_DIGEST_HEX = 16 };

/* An unknown one is reported and taken for the first that there is, so that the rest is checked all the same. */
static const struct vendor *find_vendor(struct config_run *run, const struct file_provider *f)
{
    const struct vendor *v = vendor_find(f->dialect.text);
    struct str best = STR_NONE;
    unsigned distance = 0;
    struct buf names CLEANUP(buf_release) = BUF_INIT(4096);

    if (v)
        return v;
    for (size_t i = 0; i < vendor_count; i++) {
        struct str name = str_from_c(vendor_table[i].name);
        schema_nearest(f->dialect.text, name, &best, &distance);
        (void)buf_addf(&names, "%s%s", i ? ", " : "; there are: ", name.p);
    }
    const char *suggestion = schema_suggest(run->arena, f->dialect.text, best, distance);
    bool hidden = f->dialect.node && f->dialect.node->hidden;
    problems_error(&run->problems, f->dialect.node ? f->dialect.node : f->node, "unknown dialect%s%.*s%s%s%.*s",
                   hidden ? "" : " \"", hidden ? 0 : (int)f->dialect.text.n, f->dialect.text.p, hidden ? "" : "\"",
                   suggestion, *suggestion ? 0 : (int)names.n, names.n ? names.p : "");
    return &vendor_table[0];
}

/* ---- base_url ---- */

static bool bad_url(struct config_run *run, const struct yaml_node *at, const char *why)
{
    problems_error(&run->problems, at, "\"base_url\" %s", why);
    return false;
}

/* Without slashes behind slashes, which a variable with one at its end leaves ("${AZURE_OPENAI_ENDPOINT}/openai/v1"), and without any at the end. */
static struct str tidy_path(struct catalog *c, struct str path)
{
    char *to = arena_alloc(c->arena_, path.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] != '/' || !n || to[n - 1] != '/')
            to[n++] = path.p[i];
    while (n && to[n - 1] == '/')
        n--;
    return str_of(to, n);
}

/* A whole endpoint instead of the base is what people paste. */
static bool set_base_path(struct config_run *run, struct catalog *c, struct provider *p, const struct yaml_node *at,
                          struct str path)
{
    static const char *const endpoints[] = {"/chat/completions", "/completions", "/embeddings",
                                            "/responses",        "/models",      "/messages"};

    path = tidy_path(c, path);
    for (size_t i = 0; i < ARRAY_LEN(endpoints); i++)
        if (str_ends(path, str_from_c(endpoints[i]))) {
            problems_error(&run->problems, at, "\"base_url\" is an endpoint: leave out \"%s\" at its end",
                           endpoints[i]);
            return false;
        }
    p->base_path = path;
    return true;
}

/* "unix:/path" or "unix:/path:/base". */
static bool set_unix_url(struct config_run *run, struct catalog *c, struct provider *p, const struct yaml_node *at,
                         struct str text)
{
    struct str path = str_slice(text, strlen("unix:"), text.n);
    size_t end = str_find(path, STR(":/"));

    if (end == 0 || !str_starts(path, STR("/")))
        return bad_url(run, at,
                       "must be unix: and an absolute path, as unix:/run/model.sock or unix:/run/model.sock:/v1");
    struct addr probe;
    struct str whole = str_slice(text, 0, strlen("unix:") + end);
    if (addr_parse(whole, &probe))
        return bad_url(run, at, "has a path that is too long for a socket");
    p->unix_path = arena_str(c->arena_, str_slice(path, 0, end));
    p->host = STR("localhost");
    return set_base_path(run, c, p, at, str_slice(path, end + 1, path.n));
}

static const char *why_not(const struct url *u)
{
    if (!str_eq_nocase(u->scheme, STR("https")) && !str_eq_nocase(u->scheme, STR("http")))
        return "must begin with https://, http:// or unix:/";
    if (u->userinfo.p)
        return "must not hold a user or password: put the credential into api_key or headers";
    if (u->query.p || u->fragment.p)
        return "must end before \"?\" and \"#\"";
    return NULL;
}

static bool set_url(struct config_run *run, struct catalog *c, struct provider *p, const struct yaml_node *at,
                    struct str text)
{
    struct url u;

    if (str_starts(text, STR("unix:")))
        return set_unix_url(run, c, p, at, text);
    if (str_find(text, STR("://")) == text.n)
        return bad_url(run, at, "must begin with https:// or http://, as https://api.example.com/v1");
    if (url_parse(text, &u))
        return bad_url(run, at, "is not a URL: write scheme, host and path, as https://api.example.com/v1");
    const char *why = why_not(&u);
    if (why)
        return bad_url(run, at, why);
    p->secure = str_eq_nocase(u.scheme, STR("https"));
    p->host = arena_lower(c->arena_, u.host);
    p->port = url_port(&u);
    return set_base_path(run, c, p, at, u.path);
}

/* Where the simulator serves what this vendor speaks. */
static struct str simulated_path(struct catalog *c, const struct vendor *v)
{
    struct str dialect = str_from_c(v->dialect), name = str_from_c(v->name);

    if (str_eq(name, STR("openai")) || str_eq(name, STR("custom")))
        return STR("/v1");
    if (v->quirks & QUIRK_DEPLOYMENT_PATH)
        return STR("/azure/openai");
    if (str_eq(name, STR("azure")))
        return STR("/azure/openai/v1");
    if (v->quirks & QUIRK_ANTHROPIC_BEDROCK)
        return STR("/bedrock");
    if (v->quirks & (QUIRK_ANTHROPIC_VERTEX | QUIRK_VERTEX))
        return STR("/vertex/v1/projects/simulated/locations/global");
    if (str_eq(dialect, STR("anthropic")))
        return STR("/anthropic/v1");
    if (str_eq(dialect, STR("gemini")))
        return STR("/gemini/v1beta");
    if (str_eq(dialect, STR("rerank")))
        return STR("/vllm/v1");
    return arena_printf(c->arena_, str_eq(dialect, STR("openai")) ? "/%s/v1" : "/%s", v->name);
}

static void set_simulated(struct config_run *run, struct catalog *c, struct provider *p, const struct file_provider *f)
{
    p->simulated = true;
    p->host = STR("simulator");
    p->base_path = simulated_path(c, p->vendor);
    if (f->scenario.text.n)
        p->scenario_path = arena_str(c->arena_, config_resolve_path(run, f->scenario.text));
    if (f->base_url.node)
        problems_error(&run->problems, f->base_url.node,
                       "a simulated provider has no \"base_url\": remove it or \"simulate\"");
}

/* Answered in this process, as simulated ones are, at an address that is known when it serves. */
static void set_pipelines(struct config_run *run, struct provider *p, const struct file_provider *f)
{
    p->simulated = p->pipelines = true;
    p->host = STR("pipelines");
    p->base_path = STR("/v1");
    if (f->base_url.node || f->simulate || f->scenario.text.n)
        problems_error(&run->problems, f->node,
                       "a provider with \"pipelines\" has no \"base_url\" and no \"simulate\"");
    if (strcmp(p->vendor->dialect, "openai") != 0)
        problems_error(&run->problems, f->dialect.node ? f->dialect.node : f->node,
                       "pipelines speak OpenAI's dialect to the gateway: leave \"dialect\" out");
    if (yaml_get(f->node, STR("api_key")) || yaml_get(f->node, STR("api_keys")))
        problems_error(&run->problems, f->node, "a provider with \"pipelines\" has no key: nobody else can reach it");
}

/* The vendor's own, of this region and project; empty if that does not say enough. */
static struct str vendor_base_url(struct catalog *c, const struct provider *p)
{
    struct str r = p->region;

    if (p->vendor->quirks & (QUIRK_ANTHROPIC_VERTEX | QUIRK_VERTEX)) {
        if (!r.n || !p->project.n)
            return STR_NONE;
        struct str host = arena_printf(c->arena_, "%.*s-aiplatform.googleapis.com", STR_ARG(r));
        if (str_eq(r, STR("global")))
            host = STR("aiplatform.googleapis.com");
        if (str_eq(r, STR("us")) || str_eq(r, STR("eu")))
            host = arena_printf(c->arena_, "aiplatform.%.*s.rep.googleapis.com", STR_ARG(r));
        return arena_printf(c->arena_, "https://%.*s/v1/projects/%.*s/locations/%.*s", STR_ARG(host),
                            STR_ARG(p->project), STR_ARG(r));
    }
    if (p->vendor->auth == AUTH_AWS)
        return r.n ? arena_printf(c->arena_, "https://bedrock-runtime.%.*s.amazonaws.com", STR_ARG(r)) : STR_NONE;
    return str_from_c(p->vendor->base_url);
}

/* What stands for a base URL of which a vendor has none for all. */
static const char *place_missing(const struct vendor *v)
{
    if (v->quirks & (QUIRK_ANTHROPIC_VERTEX | QUIRK_VERTEX))
        return "\"project\" and \"region\" are missing";
    return v->auth == AUTH_AWS ? "\"region\" is missing" : "\"base_url\" is missing";
}

static void set_place(struct config_run *run, struct catalog *c, struct provider *p, const struct file_provider *f)
{
    struct str text = f->base_url.text;
    const struct yaml_node *at = f->base_url.node ? f->base_url.node : f->node;

    if (f->pipelines) {
        set_pipelines(run, p, f);
        return;
    }
    if (f->simulate || f->scenario.text.n) {
        set_simulated(run, c, p, f);
        return;
    }
    if (!text.n)
        text = vendor_base_url(c, p);
    if (!text.n) {
        problems_error(&run->problems, f->node, "%s: dialect \"%s\" has no default", place_missing(p->vendor),
                       p->vendor->name);
        return;
    }
    (void)set_url(run, c, p, at, text);
}

/* ---- credentials, headers, TLS, proxy ---- */

/* The kind of credential that a vendor's customers have when they have no key. */
static struct str usual_auth(const struct vendor *v)
{
    switch (v->auth) {
    case AUTH_AWS:
        return STR("aws");
    case AUTH_GOOGLE:
        return STR("google");
    case AUTH_HEADER:
    case AUTH_AZURE:
    case AUTH_NONE_NEEDED:
        break;
    }
    return STR_NONE;
}

static struct str copied(struct catalog *c, const struct schema_text *t)
{
    return arena_str(c->arena_, t->text);
}

static struct secret secret_of(struct config_run *run, const struct schema_text *t)
{
    return t->text.n ? secret_make(config_read_secret(run, t, false)) : (struct secret){.bytes_ = NULL};
}

static void set_auth_parameters(struct config_run *run, struct catalog *c, struct provider *p,
                                const struct file_auth *f)
{
    p->auth.google = (struct google_params){.file = copied(c, &f->file),
                                            .scope = copied(c, &f->scope),
                                            .token_url = copied(c, &f->token_url),
                                            .metadata_url = copied(c, &f->metadata_url)};
    p->auth.azure = (struct azure_params){.tenant = copied(c, &f->tenant),
                                          .client_id = copied(c, &f->client_id),
                                          .client_secret = secret_of(run, &f->client_secret),
                                          .token_file = copied(c, &f->token_file),
                                          .scope = copied(c, &f->scope),
                                          .authority = copied(c, &f->authority),
                                          .metadata_url = copied(c, &f->metadata_url)};
    p->auth.aws = (struct aws_params){.access_key_id = copied(c, &f->access_key_id),
                                      .secret_access_key = secret_of(run, &f->secret_access_key),
                                      .session_token = secret_of(run, &f->session_token),
                                      .profile = copied(c, &f->profile),
                                      .region = p->region,
                                      .role_arn = copied(c, &f->role_arn),
                                      .external_id = copied(c, &f->external_id),
                                      .session_name = copied(c, &f->session_name),
                                      .token_file = copied(c, &f->token_file),
                                      .sts_url = copied(c, &f->sts_url),
                                      .metadata_url = copied(c, &f->metadata_url)};
}

static void set_auth(struct config_run *run, struct catalog *c, struct provider *p, const struct file_provider *f)
{
    struct str kind = f->auth.type.text.n ? f->auth.type.text : usual_auth(p->vendor);

    if (p->simulated || (!f->auth.node && (p->keys[0].secret.n_ || !kind.n)))
        return;
    if (!kind.n) {
        problems_error(&run->problems, f->auth.node, "\"auth\" needs a \"type\": dialect \"%s\" has no usual one",
                       p->vendor->name);
        return;
    }
    if (!credential_kind_find(kind)) {
        problems_error(&run->problems, f->auth.type.node ? f->auth.type.node : f->node,
                       "unknown type of credential \"%.*s\"", STR_ARG(kind));
        return;
    }
    p->auth.kind = arena_str(c->arena_, kind);
    p->auth.id = arena_printf(c->arena_, "%.*s/%llu", STR_ARG(p->name), (unsigned long long)c->revision);
    set_auth_parameters(run, c, p, &f->auth);
}

static void set_headers(struct config_run *run, struct catalog *c, struct provider *p, const struct file_provider *f)
{
    p->headers = arena_zalloc(c->arena_, f->header_count * sizeof *p->headers);
    for (size_t i = 0; i < f->header_count; i++) {
        const struct file_header *h = &f->headers[i];
        struct str value = h->value.text.n ? config_read_secret(run, &h->value, false) : STR_NONE;
        if (http_is_connections(h->name))
            problems_error(&run->problems, h->value.node ? h->value.node : f->node, "the header \"%.*s\" cannot be set",
                           STR_ARG(h->name));
        else if (!config_is_printable(value))
            problems_error(&run->problems, h->value.node, "the header \"%.*s\" holds line breaks or control characters",
                           STR_ARG(h->name));
        p->headers[p->header_count++] =
            (struct header_field){arena_str(c->arena_, h->name), arena_str(c->arena_, str_trim(value))};
    }
}

static void set_tls(struct config_run *run, struct catalog *c, struct provider *p, const struct file_provider *f)
{
    const struct file_tls *t = &f->tls;

    p->ca_pem = arena_str(c->arena_, config_read_secret(run, &t->ca, true));
    p->cert_pem = arena_str(c->arena_, config_read_secret(run, &t->cert, true));
    p->key_pem = arena_str(c->arena_, config_read_secret(run, &t->key, true));
    p->insecure_skip_verify = t->insecure_skip_verify;
    if ((t->cert.text.n > 0) != (t->key.text.n > 0))
        problems_error(&run->problems, t->cert.node ? t->cert.node : t->key.node, "\"cert\" and \"key\" go together");
    if (t->insecure_skip_verify && t->ca.text.n)
        problems_error(&run->problems, t->ca.node, "\"ca\" is never looked at while \"insecure_skip_verify\" is true");
    else if (t->insecure_skip_verify)
        problems_warn(&run->problems, f->node, "provider \"%.*s\": certificates are not checked (insecure_skip_verify)",
                      STR_ARG(f->name));
}

static void set_proxy(struct config_run *run, struct catalog *c, struct provider *p, const struct file_provider *f)
{
    struct str text = f->proxy.text;
    struct url u;

    p->proxy = arena_str(c->arena_, text);
    if (!text.n || str_eq(text, STR("none")))
        return;
    if (url_parse(text, &u) || !str_eq_nocase(u.scheme, STR("http")) || u.path.n > 1 || u.query.p)
        problems_error(&run->problems, f->proxy.node, "\"proxy\" must be http://host:port or none");
}

/* ---- the rest ---- */

static void set_timeouts(struct config_run *run, struct provider *p, const struct file_provider *f)
{
    const struct timeouts *d = &run->file.timeouts, *t = &f->timeouts;

    config_inherit_timeouts(&p->timeouts, t, d);
}

static void set_serves(struct config_run *run, struct catalog *c, struct provider *p, const struct file_provider *f)
{
    p->serves = arena_zalloc(c->arena_, f->serves_count * sizeof *p->serves);
    for (size_t i = 0; i < f->serves_count; i++) {
        struct str text = f->serves[i].text;
        if (!f->serves[i].node) /* no text: that has been said */
            continue;
        if (str_eq(text, STR("*")))
            p->serves_all = true;
        else if (!text.n || str_find_char(text, '*') < text.n)
            problems_error(&run->problems, f->serves[i].node, "\"serves\" holds ids of models, or \"*\" alone for all");
        else
            p->serves[p->serves_count++] = arena_str(c->arena_, text);
    }
}

/* Origin, and a digest of what else makes a connection: proxy and TLS material. It may appear in logs, so nothing is
 * in clear. */
static void set_pool_key(struct catalog *c, struct provider *p)
{
    unsigned char hash[SHA256_BYTES];
    char hex[SHA256_HEX];
    char lengths[128];
    int n = snprintf(lengths, sizeof lengths, "%zu %zu %zu %zu %d ", p->proxy.n, p->ca_pem.n, p->cert_pem.n,
                     p->key_pem.n, p->insecure_skip_verify);
    struct str parts[] = {str_of(lengths, (size_t)n), p->proxy, p->ca_pem, p->cert_pem, p->key_pem};

    sha256_parts(parts, ARRAY_LEN(parts), hash);
    hex_encode(hex, hash, sizeof hash);
    if (p->simulated)
        p->pool_key = arena_printf(c->arena_, "simulator:%.*s", STR_ARG(p->name));
    else if (p->unix_path.n)
        p->pool_key = arena_printf(c->arena_, "unix:%.*s#%.*s", STR_ARG(p->unix_path), POOL_DIGEST_HEX, hex);
    else
        p->pool_key = arena_printf(c->arena_, url_host_is_ipv6(p->host) ? "%s://[%.*s]:%u#%.*s" : "%s://%.*s:%u#%.*s",
                                   p->secure ? "https" : "http", STR_ARG(p->host), p->port, POOL_DIGEST_HEX, hex);
}

static void warn_without_key(struct config_run *run, const struct provider *p, const struct file_provider *f)
{
    bool has_key =
        yaml_get(f->node, STR("api_key")) || yaml_get(f->node, STR("api_keys")); /* though perhaps empty, as reported */

    if (!p->simulated && p->vendor->auth != AUTH_NONE_NEEDED && !f->base_url.node && !has_key && !f->header_count &&
        !p->auth.kind.n)
        problems_warn(&run->problems, f->node, "provider \"%.*s\" has no \"api_key\"", STR_ARG(f->name));
}

static void add_provider(struct config_run *run, struct catalog *c, const struct file_provider *f)
{
    struct provider *p = &c->providers[c->provider_count];

    *p = (struct provider){.name = arena_str(c->arena_, f->name), .index = (unsigned)c->provider_count++};
    map_put(&c->provider_by_name, p->name, p);
    if (!f->node ||
        (!f->dialect.text.n && !f->dialect.node)) /* it is no map, or its dialect no text: that was reported */
        return;
    p->vendor = find_vendor(run, f);
    p->dialect = dialect_find(str_from_c(p->vendor->dialect));
    p->region = arena_str(c->arena_, f->region.text);
    p->project = arena_str(c->arena_, f->project.text);
    p->api_version = arena_str(c->arena_, f->api_version.text);
    set_place(run, c, p, f);
    config_build_keys(run, c, p, f);
    set_auth(run, c, p, f);
    set_headers(run, c, p, f);
    config_identify_keys(p);
    set_tls(run, c, p, f);
    set_proxy(run, c, p, f);
    set_timeouts(run, p, f);
    set_serves(run, c, p, f);
    p->tags = config_join_tags(c, NULL, 0, f->tags, f->tag_count, &p->tag_count);
    config_build_health(run, c, p, f);
    p->max_connections = f->max_connections;
    p->concurrency = config_build_concurrency(run, &f->concurrency, &f->objectives);
    p->no_stream_usage = !f->stream_usage;
    p->think_tags = f->think_tags;
    set_pool_key(c, p);
    warn_without_key(run, p, f);
}

void config_build_providers(struct config_run *run, struct catalog *c)
{
    const struct config_file *file = &run->file;

    c->providers = arena_zalloc(c->arena_, file->provider_count * sizeof *c->providers);
    for (size_t i = 0; i < file->provider_count; i++)
        if (!map_get(&run->left_out, file->providers[i].name))
            add_provider(run, c, &file->providers[i]);
}
