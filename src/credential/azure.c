/*
 * azure.c - the token endpoint of Microsoft Entra ID.
 *
 * Source: Microsoft identity platform, "OAuth 2.0 client credentials flow".
 */
#include "credential/azure.h"

#include "codec/url.h"

enum { PROOFS_MAX = 4, URL_MAX = 4096 };

struct str azure_scope(const struct credential_fetch *f)
{
    struct str scope = f->options->azure.scope;

    return scope.n ? scope : STR("https://cognitiveservices.azure.com/.default");
}

/* The tenant's and the application's ids. */
static err_t find_ids(const struct credential_fetch *f, struct str *ret_tenant, struct str *ret_client)
{
    *ret_tenant = fetch_setting(f, f->options->azure.tenant, "AZURE_TENANT_ID", STR_NONE);
    *ret_client = fetch_setting(f, f->options->azure.client_id, "AZURE_CLIENT_ID", STR_NONE);
    if (!ret_tenant->n)
        return fail(E_NOT_FOUND, "AZURE_TENANT_ID is not set");
    return ret_client->n ? OK : fail(E_NOT_FOUND, "AZURE_CLIENT_ID is not set");
}

static struct str endpoint(const struct credential_fetch *f, struct str tenant)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(URL_MAX);
    struct str authority =
        fetch_setting(f, f->options->azure.authority, "AZURE_AUTHORITY_HOST", STR("https://login.microsoftonline.com"));

    while (str_ends(authority, STR("/"))) /* as AZURE_AUTHORITY_HOST often does */
        authority.n--;
    buf_add(&b, authority);
    buf_add_char(&b, '/');
    url_encode(&b, tenant);
    buf_add_lit(&b, "/oauth2/v2.0/token");
    return arena_str(f->arena, buf_str(&b));
}

err_t azure_token(const struct credential_fetch *f, const struct str (*proof)[2], size_t count, struct str secret,
                  struct credential_grant *ret)
{
    struct str form[3 + PROOFS_MAX][2] = {{STR("grant_type"), STR("client_credentials")}}, tenant;

    TRY(find_ids(f, &tenant, &form[1][1]));
    form[1][0] = STR("client_id");
    form[2][0] = STR("scope");
    form[2][1] = azure_scope(f);
    memcpy(form + 3, proof, count * sizeof *proof);
    const struct fetch_call c = {.what = "Entra's token endpoint",
                                 .url = endpoint(f, tenant),
                                 .body = fetch_form(f, (const struct str(*)[2])form, 3 + count),
                                 .secret = secret};
    return fetch_bearer(f, &c, ret);
}
