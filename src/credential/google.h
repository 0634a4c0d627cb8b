/* google.h - what the kinds of Google credentials have in common. Private to credential/. */
#ifndef CREDENTIAL_GOOGLE_H
#define CREDENTIAL_GOOGLE_H

#include "credential/kind.h"

#define GOOGLE_CLOUD_SCOPE "https://www.googleapis.com/auth/cloud-platform"

/*
 * The credentials file: the configured one, or that of GOOGLE_APPLICATION_CREDENTIALS, or the one that gcloud keeps. Read once per renewal,
 * into f->google_file.
 *
 * type  what its member "type" must be; NULL: anything
 *
 * E_NOT_FOUND: none is configured, and gcloud's does not exist. E_CONFIG: it cannot be read, or is of another type.
 */
err_t google_file(struct credential_fetch *f, const char *type) SUSPENDS MUST_CHECK;
/* A member of the credentials file. E_CONFIG if it is not there. */
err_t google_member(const struct credential_fetch *f, struct str name, struct str *ret) MUST_CHECK;
/* The scopes to ask for. */
struct str google_scope(const struct credential_fetch *f);
/* Have the service account that `url` names (iamcredentials, generateAccessToken) make a token for the holder of the token in *grant,
 * which it replaces. `lifetime`: seconds. */
err_t google_impersonate(const struct credential_fetch *f, struct str url, int64_t lifetime,
                         struct credential_grant *grant) SUSPENDS MUST_CHECK;

#endif
