/* azure.h - what the kinds of Microsoft Entra credentials have in common. Private to credential/. */
#ifndef CREDENTIAL_AZURE_H
#define CREDENTIAL_AZURE_H

#include "credential/kind.h"

/* The scope to ask for: "https://cognitiveservices.azure.com/.default" unless configured. */
struct str azure_scope(const struct credential_fetch *f);

/*
 * Ask the tenant's token endpoint (client credentials grant) with a form whose last pairs prove who we are.
 *
 * proof   pairs of name and value
 * secret  the one of them that messages must not hold
 *
 * E_NOT_FOUND: the tenant's or the application's id is not set; and the errors of fetch_bearer().
 */
err_t azure_token(const struct credential_fetch *f, const struct str (*proof)[2], size_t count, struct str secret,
                  struct credential_grant *ret) SUSPENDS MUST_CHECK;

#endif
