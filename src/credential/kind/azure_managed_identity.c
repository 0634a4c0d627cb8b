/*
 * azure_managed_identity.c - the identity of the machine, from its metadata service; on App Service and Container Apps from the endpoint that the
 * environment names.
 *
 * Source: Microsoft Entra, "How to use managed identities for Azure resources on an Azure VM to acquire an access token"; Azure App
 * Service, "Use managed identities", REST endpoint reference.
 */
#include "codec/url.h"
#include "credential/azure.h"

extern const struct credential_kind credential_kind_azure_managed_identity;

enum { URL_MAX = 16 * 1024 };

/* A resource is a scope without its "/.default". */
static struct str resource(const struct credential_fetch *f)
{
    struct str scope = azure_scope(f), end = STR("/.default");

    return str_ends(scope, end) ? str_of(scope.p, scope.n - end.n) : scope;
}

static struct str url_of(const struct credential_fetch *f, struct str endpoint, struct str version)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(URL_MAX);
    struct str client = fetch_setting(f, f->options->azure.client_id, "AZURE_CLIENT_ID", STR_NONE);

    buf_add(&b, endpoint);
    buf_add_lit(&b, "?api-version=");
    buf_add(&b, version);
    buf_add_lit(&b, "&resource=");
    url_encode(&b, resource(f));
    if (client.n) {
        buf_add_lit(&b, "&client_id=");
        url_encode(&b, client);
    }
    return arena_str(f->arena, buf_str(&b));
}

static SUSPENDS err_t fetch(struct credential_fetch *f, struct credential_grant *ret)
{
    struct str base = f->options->azure.metadata_url;
    struct str endpoint = fetch_env(f, "IDENTITY_ENDPOINT"), proof = fetch_env(f, "IDENTITY_HEADER");
    struct fetch_call c = {.what = "Azure's metadata service", .is_local = true};

    if (!base.n && endpoint.n && proof.n) {
        c.url = url_of(f, endpoint, STR("2019-08-01"));
        c.headers[0] = (struct http_header){STR("x-identity-header"), proof};
        c.secret = proof;
        return fetch_bearer(f, &c, ret);
    }
    base = base.n ? base : STR("http://169.254.169.254");
    c.url = url_of(f, arena_join(f->arena, base, STR("/metadata/identity/oauth2/token")), STR("2018-02-01"));
    c.headers[0] = (struct http_header){STR("metadata"), STR("true")};
    return fetch_bearer(f, &c, ret);
}

const struct credential_kind credential_kind_azure_managed_identity = {.name = "azure-managed-identity",
                                                                       .fetch = fetch};
