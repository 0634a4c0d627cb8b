/*
 * azure_workload_identity.c - a pod that proves itself by the token that Kubernetes mounts, which is read anew each time.
 *
 * Source: Microsoft Entra Workload ID; Microsoft identity platform, access token request with a federated credential.
 */
#include "credential/azure.h"

extern const struct credential_kind credential_kind_azure_workload_identity;

static SUSPENDS err_t fetch(struct credential_fetch *f, struct credential_grant *ret)
{
    struct str path = fetch_setting(f, f->options->azure.token_file, "AZURE_FEDERATED_TOKEN_FILE", STR_NONE), token;

    if (!path.n)
        return fail(E_NOT_FOUND, "AZURE_FEDERATED_TOKEN_FILE is not set");
    TRY(fetch_token_file(f, path, &token));
    const struct str proof[][2] = {
        {STR("client_assertion_type"), STR("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")},
        {STR("client_assertion"), token}};
    return azure_token(f, proof, ARRAY_LEN(proof), token, ret);
}

const struct credential_kind credential_kind_azure_workload_identity = {.name = "azure-workload-identity",
                                                                        .fetch = fetch};
