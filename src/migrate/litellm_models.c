/*
 * litellm_models.c - model_list: providers, models and their targets.
 *
 * LiteLLM's list has deployments, each with its credentials; those with the same model_name share the requests. Ours has providers once,
 * with their credentials, and models that name deployments at them. So every entry is taken apart: what is about the account (dialect,
 * address, key, headers, TLS) is a provider, found again by what it consists of (its identity); the rest is a target of the model.
 *
 * Shares: LiteLLM draws by `weight` if the first deployment of a group has one, else by `rpm`, else by `tpm`; a deployment without the
 * measure that counts is never drawn. Lower `order` comes first; the others are used when those fail. Both become weights and fallbacks.
 *
 * Linear in the list; entries of one model are few, or the list is long only once.
 */
#include "codec/http1.h"
#include "codec/url.h"
#include "llm/vendor.h"
#include "migrate/litellm_int.h"

#include <math.h>

enum { NAME_MAX_BYTES = 256, PROVIDER_NAME_MAX = 48, HEADER_VALUE_MAX = 8192, WEIGHT_MAX = 1000000 };

/* One entry of model_list, as it is read. */
struct entry {
    const struct yaml_node *at, *params;
    struct str model_name;
    const struct litellm_vendor *vendor;
    struct str model;  /* as the provider calls it */
    struct str region; /* from the model's path, of Bedrock */
    bool is_wildcard;  /* "openai/" and "*" on both sides */
};

/* --- which provider, which model --- */

static bool is_region(struct str s)
{
    size_t dashes = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (!(s.p[i] >= 'a' && s.p[i] <= 'z') && !(s.p[i] >= '0' && s.p[i] <= '9') && s.p[i] != '-')
            return false;
        dashes += s.p[i] == '-';
    }
    return dashes >= 2 && s.p[s.n - 1] >= '0' && s.p[s.n - 1] <= '9';
}

/* "converse/", "invoke/" and a region may stand before Bedrock's model. */
static void take_bedrock_path(struct entry *e)
{
    for (struct str rest = e->model; rest.p;) {
        struct str part = str_cut(&rest, '/');
        if (!rest.n)
            return;
        if (is_region(part))
            e->region = part;
        else if (!str_eq(part, STR("converse")) && !str_eq(part, STR("invoke")))
            return;
        e->model = rest;
    }
}

/* Claude has a dialect of its own where others sell it. */
static const struct litellm_vendor *for_claude(const struct litellm_vendor *v, struct str model)
{
    if (!str_starts(model, STR("claude")))
        return v;
    if (strcmp(v->prefix, "azure_ai") == 0)
        return litellm_vendor_find(STR("azure_ai/claude"));
    if (v->dialect && strcmp(v->dialect, "vertex") == 0)
        return litellm_vendor_find(STR("vertex_ai/claude"));
    return v;
}

static bool unknown_vendor(struct import *im, const struct yaml_node *at, struct str prefix)
{
    problems_warn(im->problems, at,
                  "the deployment is not carried over: \"%s\" is no provider that this import knows (if it speaks "
                  "OpenAI's API, add it with dialect custom and its base_url)%s",
                  litellm_shown(im, prefix), litellm_vendor_nearest(im->arena, prefix));
    return false;
}

static const struct yaml_node *api_base_of(const struct yaml_node *params)
{
    static const char *const names[] = {"api_base", "base_url", "aws_bedrock_runtime_endpoint"};
    const struct yaml_node *n = NULL;

    for (size_t i = 0; !n && i < ARRAY_LEN(names); i++)
        n = yaml_get(params, str_from_c(names[i]));
    return n;
}

static bool is_at(const struct yaml_node *api_base, struct str domain)
{
    struct url u;

    return !litellm_is_variable(api_base) && url_parse(api_base->text, &u) == OK && str_ends(u.host, domain) &&
           (u.host.n == domain.n || u.host.p[u.host.n - domain.n - 1] == '.');
}

/* A model that gives vectors or ranks: at an endpoint of Hugging Face such a server is another one. */
static bool is_of_texts(const struct yaml_node *entry)
{
    const struct yaml_node *mode = yaml_get(yaml_get(entry, STR("model_info")), STR("mode"));

    return mode && mode->kind == YAML_SCALAR &&
           (str_eq(mode->text, STR("embedding")) || str_eq(mode->text, STR("rerank")));
}

/* Servers of one's own are given as openai/ or huggingface/ with another address. */
static const struct litellm_vendor *for_address(const struct litellm_vendor *v, const struct entry *e)
{
    const struct yaml_node *at = api_base_of(e->params);

    if (!at || yaml_is_null(at) || at->kind != YAML_SCALAR)
        return v;
    if (strcmp(v->prefix, "openai") == 0 && !is_at(at, STR("openai.com")))
        return litellm_vendor_find(STR("custom_openai"));
    if (strcmp(v->prefix, "huggingface") == 0 && !is_at(at, STR("huggingface.co")))
        return litellm_vendor_find(is_of_texts(e->at) ? STR("huggingface/texts") : STR("huggingface/server"));
    return v;
}

/* Azure has a dated API with deployments in the path, and one without dates, which is the one that we speak unless told otherwise. */
static bool is_dated(const struct yaml_node *api_version)
{
    static const char *const undated[] = {"", "v1", "latest", "preview"};

    if (!api_version || api_version->kind != YAML_SCALAR)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(undated); i++)
        if (str_eq(api_version->text, str_from_c(undated[i])))
            return false;
    return true;
}

static const struct litellm_vendor *for_version(const struct litellm_vendor *v, const struct yaml_node *params)
{
    bool is_azure = strcmp(v->prefix, "azure") == 0 || strcmp(v->prefix, "azure_text") == 0;

    return is_azure && is_dated(yaml_get(params, STR("api_version"))) ? litellm_vendor_find(STR("azure/dated")) : v;
}

static bool find_vendor(struct import *im, struct entry *e, const struct yaml_node *model)
{
    const struct yaml_node *own = yaml_get(e->params, STR("custom_llm_provider"));
    struct str rest = model->text, prefix = str_cut(&rest, '/');

    e->model = model->text;
    e->vendor = rest.n ? litellm_vendor_find(prefix) : NULL;
    if (e->vendor)
        e->model = rest;
    if (own && own->kind == YAML_SCALAR && own->text.n) {
        e->vendor = litellm_vendor_find(own->text);
        if (!e->vendor)
            return unknown_vendor(im, own, own->text);
    }
    if (!e->vendor)
        e->vendor = litellm_vendor_guess(e->model);
    if (!e->vendor)
        return unknown_vendor(im, model, rest.n ? prefix : model->text);
    e->vendor = for_version(for_address(for_claude(e->vendor, e->model), e), e->params);
    if (e->vendor->dialect)
        return true;
    problems_warn(im->problems, model, "the deployment is not carried over: there is no dialect for \"%s\"",
                  e->vendor->prefix);
    return false;
}

static bool read_model(struct import *im, struct entry *e)
{
    const struct yaml_node *model = yaml_get(e->params, STR("model"));

    if (!model || model->kind != YAML_SCALAR || !model->text.n) {
        litellm_lost(im, model ? model : e->at, "the deployment", "litellm_params.model must name a model");
        return false;
    }
    if (litellm_is_variable(model)) {
        litellm_lost(im, model, "the deployment", "write the model itself instead of a variable");
        return false;
    }
    if (str_eq(model->text, STR("*"))) {
        litellm_lost(im, model, "\"*\" for every model of every provider",
                     "add the providers with serves: \"*\", and ask for \"provider/model\"");
        return false;
    }
    if (!find_vendor(im, e, model))
        return false;
    if (e->vendor->form == BASE_BEDROCK)
        take_bedrock_path(e);
    return true;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Both sides of a wildcard must be a whole provider; its name becomes that of ours. */
static bool read_wildcard(struct import *im, struct entry *e)
{
    struct str name = str_slice(e->model_name, 0, e->model_name.n - 2);
    bool fits = str_ends(e->model_name, STR("/*")) && str_eq(e->model, STR("*")) && name.n && is_name_char(name.p[0]);

    for (size_t i = 0; i < name.n && fits; i++)
        fits = is_name_char(name.p[i]) || strchr("_.-", name.p[i]);
    e->is_wildcard = fits;
    if (!fits)
        problems_warn(
            im->problems, e->at,
            "model_name \"%s\" is not carried over: only \"provider/*\" for all models of one provider is; name "
            "the models one by one",
            litellm_shown(im, e->model_name));
    return fits;
}

bool litellm_is_model_name(struct str name)
{
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] <= ' ' || name.p[i] == 0x7f)
            return false;
    return name.n > 0 && name.n <= NAME_MAX_BYTES;
}

static bool read_name(struct import *im, struct entry *e)
{
    const struct yaml_node *n = yaml_get(e->at, STR("model_name"));

    if (!n || n->kind != YAML_SCALAR || litellm_is_variable(n) || !litellm_is_model_name(n->text)) {
        litellm_lost(im, n ? n : e->at, "the deployment",
                     "its model_name must be a text of 1 to 256 bytes without blanks");
        return false;
    }
    e->model_name = n->text;
    return true;
}

/* --- providers --- */

static bool is_sendable(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f)
            return false;
    return text.n <= HEADER_VALUE_MAX && str_trim(text).n == text.n;
}

/* What begins with "file:" would be read from a file here. */
struct str litellm_secret(struct import *im, const struct yaml_node *n, const char *what)
{
    struct str text = litellm_text(im, n, what);

    if (!text.p || litellm_is_variable(n))
        return text;
    if (!is_sendable(text)) {
        litellm_lost(im, n, what, "it has blanks at an end, or bytes that a header cannot hold, or is too long");
        return STR_NONE;
    }
    if (str_starts(text, STR("file:"))) {
        litellm_lost(im, n, what, "a text that begins with \"file:\" names a file here; give it by a variable");
        return STR_NONE;
    }
    if (text.n)
        problems_warn(im->problems, n,
                      "%s is in clear there, and so it is in the result: put it into a variable, \"${NAME}\"", what);
    return text;
}

static struct str read_key(struct import *im, const struct entry *e, const struct made_provider *p)
{
    const struct yaml_node *n = yaml_get(e->params, STR("api_key"));

    if (n && !yaml_is_null(n))
        return litellm_secret(im, n, "litellm_params.api_key");
    if (p->auth)
        return STR_NONE;
    return e->vendor->key_env ? arena_printf(im->arena, "${%s}", e->vendor->key_env) : STR_NONE;
}

static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_name_char(ascii_lower(s.p[i])) && (!s.p[i] || !strchr("!#$%&'*+-.^_`|~", s.p[i])))
            return false;
    return s.n > 0;
}

static void add_header(struct import *im, struct made_provider *p, struct str name, struct str value)
{
    if (!value.p)
        return;
    struct made_pair *h = arena_new(im->arena, struct made_pair);
    *h = (struct made_pair){.name = name, .value = value};
    if (p->last_header)
        p->last_header->next = h;
    else
        p->headers = h;
    p->last_header = h;
}

/* Those that are usually credentials are told like keys. */
static bool is_secret_header(struct str name)
{
    static const char *const parts[] = {"auth", "key", "token", "secret", "cookie"};
    char text[NAME_MAX_BYTES];
    size_t n = name.n < sizeof text ? name.n : sizeof text;

    for (size_t i = 0; i < n; i++)
        text[i] = ascii_lower(name.p[i]);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (str_find(str_of(text, n), str_from_c(parts[i])) < n)
            return true;
    return false;
}

static struct str header_text(struct import *im, struct str name, const struct yaml_node *value, const char *what)
{
    bool is_literal = value->kind == YAML_SCALAR && !litellm_is_variable(value);
    bool is_odd = is_literal && (str_starts(value->text, STR("file:")) || !is_sendable(value->text));

    return is_odd || is_secret_header(name) ? litellm_secret(im, value, what) : litellm_text(im, value, what);
}

static void read_headers(struct import *im, const struct yaml_node *map, struct made_provider *p)
{
    if (!map || yaml_is_null(map))
        return;
    if (map->kind != YAML_MAP) {
        litellm_lost(im, map, "litellm_params.extra_headers", "a map is expected there");
        return;
    }
    for (size_t i = 0; i < map->count; i++) {
        const struct yaml_node *name = map->pairs[i].key, *value = map->pairs[i].value;
        const char *what = arena_printf(im->arena, "the header \"%s\"", litellm_shown(im, name->text)).p;
        if (!is_token(name->text) || http_is_connections(name->text))
            litellm_lost(im, name, what, "HTTP does not allow the name, or it is not for others to set");
        else
            add_header(im, p, name->text, header_text(im, name->text, value, what));
    }
}

static void read_organization(struct import *im, const struct yaml_node *n, struct made_provider *p)
{
    const struct str name = STR("OpenAI-Organization");

    if (!n || yaml_is_null(n))
        return;
    for (const struct made_pair *h = p->headers; h; h = h->next)
        if (str_eq_nocase(h->name, name))
            return; /* it counts for LiteLLM too */
    if (n->kind == YAML_LIST)
        litellm_lost(im, n, "a list of organizations", "make a provider for each, with the header OpenAI-Organization");
    else
        add_header(im, p, name, header_text(im, name, n, "litellm_params.organization"));
}

static void read_tls(struct import *im, const struct yaml_node *n, struct made_provider *p)
{
    bool verify = true;

    if (!n || yaml_is_null(n))
        return;
    if (!yaml_to_bool(n, &verify)) {
        p->ca = litellm_text(im, n, "litellm_params.ssl_verify");
        return;
    }
    p->insecure = !verify;
    if (p->insecure)
        problems_warn(im->problems, n,
                      "ssl_verify: false is carried over: anybody on the way can read what is sent, keys too");
}

static void identify_pairs(struct buf *to, const struct made_pair *list)
{
    for (const struct made_pair *h = list; h; h = h->next)
        (void)buf_addf(to, "%zu:%.*s%zu:%.*s", h->name.n, STR_ARG(h->name), h->value.n, STR_ARG(h->value));
    (void)buf_add_char(to, ';');
}

static struct str identity_of(struct import *im, const struct made_provider *p)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(LITELLM_BYTES_MAX);
    const struct str parts[] = {p->dialect,     p->base_url, p->region, p->project,
                                p->api_version, p->api_key,  p->ca,     str_from_c(p->auth_type)};

    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        (void)buf_addf(&b, "%zu:%.*s", parts[i].n, STR_ARG(parts[i]));
    identify_pairs(&b, p->headers);
    identify_pairs(&b, p->auth);
    (void)buf_addf(&b, "%d", p->insecure);
    return arena_str(im->arena, buf_str(&b));
}

/* --- names of providers --- */

/* `text` in the alphabet of names; other bytes become one '-'. */
static struct str as_name(struct import *im, struct str text)
{
    char out[PROVIDER_NAME_MAX];
    size_t n = 0;

    for (size_t i = 0; i < text.n && n < sizeof out; i++) {
        char c = ascii_lower(text.p[i]);
        if (is_name_char(c) || (n && (c == '.' || c == '_')))
            out[n++] = c;
        else if (n && out[n - 1] != '-')
            out[n++] = '-';
    }
    while (n && !is_name_char(out[n - 1]))
        n--;
    return arena_str(im->arena, str_of(out, n));
}

/* What tells a host from others: "api.deepinfra.com" is deepinfra, "gpu.example.org:8000" is gpu-8000, and of an address it is all. */
static struct str host_hint(struct import *im, struct str base_url)
{
    struct url u;

    if (!base_url.n || url_parse(base_url, &u))
        return STR_NONE;
    struct str rest = u.host, label = str_cut(&rest, '.');
    bool is_place = !rest.p || (u.host.p[u.host.n - 1] >= '0' && u.host.p[u.host.n - 1] <= '9') || u.is_ipv6;
    while (str_find_char(rest, '.') < rest.n && (str_eq(label, STR("api")) || str_eq(label, STR("www"))))
        label = str_cut(&rest, '.');
    struct str hint = is_place ? u.host : label;
    return u.port ? arena_printf(im->arena, "%.*s-%u", STR_ARG(hint), u.port) : hint;
}

/* What tells a variable from others of its kind: AZURE_API_KEY_EU is eu. */
static struct str key_hint(struct import *im, struct str key, struct str dialect)
{
    static const char *const common[] = {"api", "key", "token", "secret", "access"};
    struct buf b CLEANUP(buf_release) = BUF_INIT(1024);

    if (!str_starts(key, STR("${")) || key.n > 512)
        return STR_NONE;
    for (struct str rest = str_slice(key, 2, key.n - 1); rest.p;) {
        struct str part = str_cut(&rest, '_');
        bool says_something = part.n && !str_eq_nocase(part, dialect);
        for (size_t i = 0; i < ARRAY_LEN(common); i++)
            says_something &= !str_eq_nocase(part, str_from_c(common[i]));
        if (says_something)
            (void)buf_addf(&b, "%s%.*s", b.n ? "-" : "", STR_ARG(part));
    }
    return arena_str(im->arena, buf_str(&b));
}

static bool is_free(struct import *im, struct str name)
{
    return name.n && !map_get(&im->provider_by_name, name);
}

/* The dialect if it says enough, with a hint behind it, and a number if all else is taken. */
static struct str name_provider(struct import *im, const struct entry *e, const struct made_provider *p)
{
    bool is_custom = str_eq(p->dialect, STR("custom"));
    struct str host = host_hint(im, p->base_url), key = key_hint(im, p->api_key, p->dialect);
    bool is_nameless = strcmp(e->vendor->prefix, "custom_openai") == 0;
    struct str base = as_name(im, !is_custom              ? p->dialect
                                  : is_nameless && host.n ? host
                                                          : str_from_c(e->vendor->prefix));
    struct str region = str_starts(p->region, STR("${")) ? STR_NONE : p->region;
    struct str hints[] = {region, host, key};

    if (is_free(im, base))
        return base;
    for (size_t i = 0; i < ARRAY_LEN(hints); i++) {
        struct str name = as_name(im, arena_printf(im->arena, "%.*s-%.*s", STR_ARG(base), STR_ARG(hints[i])));
        if (hints[i].n && is_free(im, name))
            return name;
    }
    struct made_provider *first = map_get(&im->provider_by_name, base);
    for (;;) { /* the number goes on where it was left: so many of one kind cost no more than few */
        struct str name = arena_printf(im->arena, "%.*s-%u", STR_ARG(base), ++first->namesakes + 1);
        if (is_free(im, name))
            return name;
    }
}

static struct made_provider *add_provider(struct import *im, const struct made_provider *like, struct str name)
{
    struct made_provider *p = arena_new(im->arena, struct made_provider);

    *p = *like;
    p->name = arena_str(im->arena, name);
    *im->last_provider = p;
    im->last_provider = &p->next;
    map_put(&im->provider_by_name, p->name, p);
    return p;
}

static void set_version(struct import *im, const struct entry *e, struct made_provider *p)
{
    const struct yaml_node *n = yaml_get(e->params, STR("api_version"));

    if (e->vendor->form == BASE_DATED)
        p->api_version = litellm_text(im, n, "litellm_params.api_version");
    else if (is_dated(n))
        litellm_lost(im, n, "litellm_params.api_version", "the provider's API is spoken to without one");
}

/* The provider of an entry, made when first met; NULL if it cannot be had, which was reported. */
static struct made_provider *provider_of(struct import *im, const struct entry *e)
{
    const struct yaml_node *extra = yaml_get(e->params, STR("extra_headers"));
    struct made_provider p = {.dialect = str_from_c(e->vendor->dialect)};

    if (!litellm_set_place(im, e->vendor, api_base_of(e->params), e->params, e->region, &p))
        return NULL;
    const struct vendor *ours = vendor_find(p.dialect);
    if (ours && str_eq(p.base_url, str_from_c(ours->base_url)))
        p.base_url = STR_NONE;
    set_version(im, e, &p);
    litellm_set_auth(im, e->params, &p);
    p.api_key = read_key(im, e, &p);
    read_headers(im, extra ? extra : yaml_get(e->params, STR("headers")), &p);
    read_organization(im, yaml_get(e->params, STR("organization")), &p);
    read_tls(im, yaml_get(e->params, STR("ssl_verify")), &p);
    struct str identity = identity_of(im, &p);
    struct str wanted = e->is_wildcard ? str_slice(e->model_name, 0, e->model_name.n - 2) : STR_NONE;
    struct made_provider *same = map_get(&im->provider_by_identity, identity);
    if (same && (!wanted.n || str_eq(same->name, wanted)))
        return same;
    if (wanted.n && !is_free(im, wanted)) {
        litellm_lost(im, e->at, "a second deployment of the same wildcard", "requests for it go to the first one only");
        return NULL;
    }
    struct made_provider *made = add_provider(im, &p, wanted.n ? wanted : name_provider(im, e, &p));
    if (!same)
        map_put(&im->provider_by_identity, identity, made);
    return made;
}

/* --- models --- */

struct made_model *litellm_model(struct import *im, struct str name)
{
    struct made_model *m = map_get(&im->model_by_name, name);

    if (m)
        return m;
    m = arena_new(im->arena, struct made_model);
    m->name = arena_str(im->arena, name);
    m->last_target = &m->targets;
    for (size_t i = 0; i < MADE_CAUSES; i++)
        m->fallbacks[i].last = &m->fallbacks[i].first;
    *im->last_model = m;
    im->last_model = &m->next;
    map_put(&im->model_by_name, m->name, m);
    return m;
}

static double number_or(struct import *im, const struct yaml_node *n, const char *what, double none)
{
    double value = none;

    return litellm_number(im, n, what, &value) ? value : none;
}

static void read_timeout(struct import *im, const struct entry *e, struct made_model *m)
{
    const struct yaml_node *n = yaml_get(e->params, STR("timeout"));
    ns_t timeout;

    if (!litellm_seconds(im, n, "litellm_params.timeout", &timeout))
        return;
    if (m->timeout && m->timeout != timeout)
        litellm_lost(im, n, "a timeout that differs among deployments of one model",
                     "the longest holds for all of them");
    if (timeout > m->timeout)
        m->timeout = timeout;
}

static void add_target(struct import *im, const struct entry *e, const struct made_provider *p)
{
    struct made_model *m = litellm_model(im, e->model_name);
    struct made_target *t = arena_new(im->arena, struct made_target);

    *t = (struct made_target){
        .provider = p,
        .model = e->model,
        .at = e->at,
        .copies = 1,
        .share = number_or(im, yaml_get(e->params, STR("weight")), "litellm_params.weight", -1),
        .rpm = number_or(im, yaml_get(e->params, STR("rpm")), "litellm_params.rpm", -1),
        .tpm = number_or(im, yaml_get(e->params, STR("tpm")), "litellm_params.tpm", -1),
        .order = number_or(im, yaml_get(e->params, STR("order")), "litellm_params.order", 0),
    };
    *m->last_target = t;
    m->last_target = &t->next;
    read_timeout(im, e, m);
}

/* --- credentials that entries share by name --- */

/* The values of the credential that `params` names; NULL if it names none. */
static const struct yaml_node *credential_of(struct import *im, const struct yaml_node *params)
{
    const struct yaml_node *name = yaml_get(params, STR("litellm_credential_name"));
    const struct yaml_node *list = yaml_get(im->root, STR("credential_list"));

    if (!name || name->kind != YAML_SCALAR)
        return NULL;
    for (size_t i = 0; list && list->kind == YAML_LIST && i < list->count; i++) {
        const struct yaml_node *own = yaml_get(list->items[i], STR("credential_name"));
        if (own && own->kind == YAML_SCALAR && str_eq(own->text, name->text))
            return yaml_get(list->items[i], STR("credential_values"));
    }
    litellm_lost(im, name, "litellm_credential_name", "credential_list has none of that name");
    return NULL;
}

/* `params` with what only the credential says put behind it. */
static const struct yaml_node *with_credential(struct import *im, const struct yaml_node *params)
{
    const struct yaml_node *more = credential_of(im, params);

    if (!more || more->kind != YAML_MAP)
        return params;
    struct yaml_node *both = arena_new(im->arena, struct yaml_node);
    *both = *params;
    both->pairs = arena_alloc(im->arena, (params->count + more->count) * sizeof *both->pairs);
    memcpy(both->pairs, params->pairs, params->count * sizeof *both->pairs);
    for (size_t i = 0; i < more->count; i++)
        if (!yaml_get(params, more->pairs[i].key->text))
            both->pairs[both->count++] = more->pairs[i];
    return both;
}

/* --- the list --- */

static void read_entry(struct import *im, const struct yaml_node *at)
{
    struct entry e = {.at = at, .params = yaml_get(at, STR("litellm_params"))};

    if (at->kind != YAML_MAP || !e.params || e.params->kind != YAML_MAP) {
        litellm_lost(im, at, "the deployment", "a map with model_name and litellm_params is expected");
        return;
    }
    e.params = with_credential(im, e.params);
    litellm_lost_params(im, e.params);
    litellm_lost_info(im, yaml_get(at, STR("model_info")));
    if (!read_name(im, &e) || !read_model(im, &e))
        return;
    bool has_star = str_find_char(e.model_name, '*') < e.model_name.n || str_find_char(e.model, '*') < e.model.n;
    if (has_star && !read_wildcard(im, &e))
        return;
    struct made_provider *p = provider_of(im, &e);
    if (!p)
        return;
    if (e.is_wildcard)
        p->serves_all = true;
    else
        add_target(im, &e, p);
}

/* --- shares --- */

static double measure(const struct made_target *t, const struct made_target *first)
{
    if (first->share >= 0)
        return t->share;
    if (first->rpm >= 0)
        return t->rpm;
    return first->tpm >= 0 ? t->tpm : t->copies;
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Whole numbers in the same proportions, as small as they can be. `largest` > 0. */
static void set_weights(struct made_model *m, double first_order, double largest)
{
    bool whole = true;
    uint64_t divisor = 0;

    for (const struct made_target *t = m->targets; t; t = t->next)
        whole &= floor(measure(t, m->targets)) == measure(t, m->targets);
    double scale = whole && largest <= WEIGHT_MAX ? 1 : WEIGHT_MAX / largest;
    if (!whole && largest * 1000 <= WEIGHT_MAX)
        scale = 1000;
    for (struct made_target *t = m->targets; t; t = t->next) {
        double share = measure(t, m->targets);
        bool drawn = t->order <= first_order && share > 0;
        t->weight = drawn ? (uint64_t)fmax(1, round(share * scale)) : 0;
        divisor = common_divisor(t->weight, divisor);
    }
    for (struct made_target *t = m->targets; t && divisor; t = t->next)
        t->weight /= divisor;
}

/* Of two shares, either of which may not be given. */
static double sum(double a, double b)
{
    return a < 0 || b < 0 ? fmax(a, b) : a + b;
}

/* Two entries for the same deployment are one with both shares. */
static void merge_twins(struct import *im, struct made_model *m)
{
    struct map met = {0};

    for (struct made_target **at = &m->targets; *at;) {
        struct made_target *t = *at;
        t->deployment =
            arena_printf(im->arena, "%.*s/%.*s", STR_ARG(t->provider->name), STR_ARG(litellm_escaped(im, t->model)));
        struct made_target *former = map_put(&met, t->deployment, t);
        if (!former) {
            at = &t->next;
            continue;
        }
        (void)map_put(&met, t->deployment, former);
        former->share = sum(former->share, t->share);
        former->rpm = sum(former->rpm, t->rpm);
        former->tpm = sum(former->tpm, t->tpm);
        former->copies += t->copies;
        *at = t->next;
    }
    map_release(&met);
}

static void share_out(struct import *im, struct made_model *m)
{
    double largest = 0, first_order = INFINITY;

    merge_twins(im, m);
    for (const struct made_target *t = m->targets; t; t = t->next)
        if (measure(t, m->targets) > 0 && t->order < first_order)
            first_order = t->order;
    if (first_order == INFINITY) { /* all shares are 0: LiteLLM cannot draw then */
        for (struct made_target *t = m->targets; t; t = t->next)
            t->weight = 1;
        return;
    }
    for (const struct made_target *t = m->targets; t; t = t->next)
        if (t->order <= first_order)
            largest = fmax(largest, measure(t, m->targets));
    set_weights(m, first_order, largest);
}

static bool is_starred(const struct yaml_node *at)
{
    const struct yaml_node *name = yaml_get(at, STR("model_name"));
    return name && name->kind == YAML_SCALAR && str_find_char(name->text, '*') < name->text.n;
}

/* Wildcards first: the names of their providers are given. */
void litellm_read_models(struct import *im, const struct yaml_node *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (is_starred(list->items[i]))
            read_entry(im, list->items[i]);
    for (size_t i = 0; i < list->count; i++)
        if (!is_starred(list->items[i]))
            read_entry(im, list->items[i]);
    for (struct made_model *m = im->models; m; m = m->next)
        share_out(im, m);
}
