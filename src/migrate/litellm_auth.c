/*
 * litellm_auth.c - how a deployment proves who it is beyond a key: LiteLLM's parameters of AWS, Azure and Google Cloud as `auth`.
 *
 * LiteLLM has no type of credential; which parameters there are decides, in its order. Without any both look in the places that the vendor's own
 * programs look in, which is our default too, so nothing is written then. What belongs to another cloud than the deployment's, or is overruled by a key, is
 * named.
 */
#include "llm/vendor.h"
#include "migrate/litellm_int.h"

static const struct {
    const char *param;
    enum vendor_auth cloud;
    const char *field; /* ours; NULL: it takes more than copying */
    bool secret;
} parts[] = {
    {"aws_access_key_id", AUTH_AWS, "access_key_id", false},
    {"aws_secret_access_key", AUTH_AWS, "secret_access_key", true},
    {"aws_session_token", AUTH_AWS, "session_token", true},
    {"aws_profile_name", AUTH_AWS, "profile", false},
    {"aws_role_name", AUTH_AWS, "role_arn", false},
    {"aws_session_name", AUTH_AWS, "session_name", false},
    {"aws_external_id", AUTH_AWS, "external_id", false},
    {"aws_sts_endpoint", AUTH_AWS, "sts_url", false},
    {"aws_web_identity_token", AUTH_AWS, NULL, false},
    {"tenant_id", AUTH_AZURE, "tenant", false},
    {"client_id", AUTH_AZURE, "client_id", false},
    {"client_secret", AUTH_AZURE, "client_secret", true},
    {"azure_scope", AUTH_AZURE, "scope", false},
    {"vertex_credentials", AUTH_GOOGLE, NULL, false},
};

static const struct yaml_node *given(const struct yaml_node *params, const char *name)
{
    const struct yaml_node *n = yaml_get(params, str_from_c(name));
    return n && !yaml_is_null(n) ? n : NULL;
}

static const char *called(struct import *im, const char *param)
{
    return arena_printf(im->arena, "litellm_params.%s", param).p;
}

static void add(struct import *im, struct made_provider *p, const char *field, struct str value)
{
    struct made_pair **at = &p->auth;

    if (!value.n)
        return;
    while (*at)
        at = &(*at)->next;
    *at = arena_new(im->arena, struct made_pair);
    **at = (struct made_pair){.name = str_from_c(field), .value = value};
}

/* LiteLLM writes where a token is, as "oidc/file/<path>" or "oidc/env_path/<variable that holds the path>"; other issuers it asks itself. */
static void add_token_file(struct import *im, const struct yaml_node *at, struct made_provider *p)
{
    const char *what = called(im, "aws_web_identity_token");
    struct str text = at->kind == YAML_SCALAR ? at->text : STR_NONE;
    const struct str file = STR("oidc/file/"), variable = STR("oidc/env_path/");

    if (str_starts(text, file)) {
        add(im, p, "token_file", litellm_escaped(im, str_slice(text, file.n, text.n)));
    } else if (str_starts(text, variable)) {
        text = arena_join(im->arena, STR("os.environ/"), str_slice(text, variable.n, text.n));
        struct yaml_node named = *at;
        named.text = text;
        add(im, p, "token_file", litellm_text(im, &named, what));
    } else {
        litellm_lost(im, at, what, "only tokens in files are read; name the file as token_file under auth");
    }
}

/* A path, or the text of the file itself. */
static void add_google_file(struct import *im, const struct yaml_node *at, struct made_provider *p)
{
    const char *what = called(im, "vertex_credentials");

    if (at->kind != YAML_SCALAR || str_starts(str_trim(at->text), STR("{"))) {
        litellm_lost(im, at, what, "put the credentials into a file, and its path into auth.file");
        return;
    }
    if (litellm_is_variable(at))
        problems_warn(im->problems, at, "%s: the variable must hold the path of a file, not its text", what);
    add(im, p, "file", litellm_text(im, at, what));
}

static bool has(const struct made_provider *p, const char *field)
{
    for (const struct made_pair *a = p->auth; a; a = a->next)
        if (str_eq(a->name, str_from_c(field)))
            return true;
    return false;
}

static const char *type_of(const struct made_provider *p, enum vendor_auth cloud)
{
    switch (cloud) {
    case AUTH_AWS:
        if (has(p, "token_file"))
            return "aws-web-identity";
        if (has(p, "role_arn"))
            return "aws-assume-role";
        if (has(p, "access_key_id"))
            return "aws-static";
        return has(p, "profile") ? "aws-profile" : "aws";
    case AUTH_AZURE:
        return has(p, "client_secret") ? "azure-client-secret" : "azure";
    case AUTH_GOOGLE:
        return "google";
    case AUTH_HEADER:
    case AUTH_NONE_NEEDED:
        break;
    }
    return "";
}

static const char *why_not(enum vendor_auth of, enum vendor_auth cloud, bool has_key)
{
    if (of != cloud)
        return "the deployment's provider takes no such credential";
    return has_key ? "the api_key comes before it" : NULL;
}

void litellm_set_auth(struct import *im, const struct yaml_node *params, struct made_provider *p)
{
    const struct vendor *ours = vendor_find(p->dialect);
    enum vendor_auth cloud = ours ? ours->auth : AUTH_HEADER;
    bool has_key = given(params, "api_key");

    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        const struct yaml_node *at = given(params, parts[i].param);
        const char *why = at ? why_not(parts[i].cloud, cloud, has_key) : NULL;
        if (why)
            litellm_lost(im, at, called(im, parts[i].param), why);
        else if (at && parts[i].field)
            add(im, p, parts[i].field,
                (parts[i].secret ? litellm_secret : litellm_text)(im, at, called(im, parts[i].param)));
        else if (at && parts[i].cloud == AUTH_AWS)
            add_token_file(im, at, p);
        else if (at)
            add_google_file(im, at, p);
    }
    if (p->auth)
        p->auth_type = type_of(p, cloud);
}
