/*
 * azure_client_secret.c - an application that proves itself by a secret.
 *
 * Source: Microsoft identity platform, "OAuth 2.0 client credentials flow", access token request with a shared secret.
 */
#include "credential/azure.h"

extern const struct credential_kind credential_kind_azure_client_secret;

static SUSPENDS err_t fetch(struct credential_fetch *f, struct credential_grant *ret)
{
    struct str secret =
        fetch_setting(f, secret_reveal(&f->options->azure.client_secret), "AZURE_CLIENT_SECRET", STR_NONE);
    const struct str proof[][2] = {{STR("client_secret"), secret}};

    if (!secret.n)
        return fail(E_NOT_FOUND, "AZURE_CLIENT_SECRET is not set");
    return azure_token(f, proof, ARRAY_LEN(proof), secret, ret);
}

const struct credential_kind credential_kind_azure_client_secret = {.name = "azure-client-secret", .fetch = fetch};
