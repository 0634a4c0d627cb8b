/* aws.h - what the kinds of AWS credentials have in common. Private to credential/. */
#ifndef CREDENTIAL_AWS_H
#define CREDENTIAL_AWS_H

#include "credential/kind.h"

/* What AssumeRole needs beside a credential that may. */
struct aws_role {
    struct str arn, external_id, session_name, region; /* empty but for the arn: none, none, the default, the default */
};

/* Ask an endpoint for a key as JSON (instance and container metadata) and fill the grant. */
err_t aws_json_key(const struct credential_fetch *f, const struct fetch_call *c, struct credential_grant *ret) SUSPENDS
MUST_CHECK;
/* STS AssumeRoleWithWebIdentity: the token in the file `path` for a key of the role. */
err_t aws_web_identity(const struct credential_fetch *f, const struct aws_role *role, struct str path,
                       struct credential_grant *ret) SUSPENDS MUST_CHECK;
/* STS AssumeRole: replace the key in *grant by one of the role. */
err_t aws_assume_role(const struct credential_fetch *f, const struct aws_role *role, struct credential_grant *grant)
    SUSPENDS MUST_CHECK;
/*
 * A subject token for Google's federation: a signed request for GetCallerIdentity, which Google sends on to AWS.
 *
 * source    "credential_source" of the credentials file
 * audience  the pool that it is for
 *
 * Errors: those of the AWS kinds that are tried: environment, then instance metadata.
 */
err_t aws_subject_token(struct credential_fetch *f, yyjson_val *source, struct str audience, struct str *ret) SUSPENDS
MUST_CHECK;

#endif
