/*
 * azure.c - whichever Entra credential is set up here: a client secret, a workload identity, the machine's own.
 *
 * Source: Azure Identity client library, DefaultAzureCredential, as far as it concerns servers.
 */
#include "credential/azure.h"

extern const struct credential_kind credential_kind_azure;

static SUSPENDS err_t fetch(struct credential_fetch *f, struct credential_grant *ret)
{
    static const char *const order[] = {"azure-client-secret", "azure-workload-identity", "azure-managed-identity"};

    return fetch_chain(f, order, ARRAY_LEN(order), "Azure", ret);
}

const struct credential_kind credential_kind_azure = {.name = "azure", .fetch = fetch};
