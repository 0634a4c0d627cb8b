/*
 * aws_web_identity.c - a pod that proves itself by the token that Kubernetes mounts (IAM roles for service accounts).
 *
 * Source: AWS SDKs and Tools reference guide, "Assume role credential provider"; AWS STS, AssumeRoleWithWebIdentity.
 */
#include "credential/aws.h"

extern const struct credential_kind credential_kind_aws_web_identity;

static SUSPENDS err_t fetch(struct credential_fetch *f, struct credential_grant *ret)
{
    const struct aws_params *p = &f->options->aws;
    struct str path = fetch_setting(f, p->token_file, "AWS_WEB_IDENTITY_TOKEN_FILE", STR_NONE);
    const struct aws_role role = {.arn = fetch_setting(f, p->role_arn, "AWS_ROLE_ARN", STR_NONE)};

    if (!path.n)
        return fail(E_NOT_FOUND, "AWS_WEB_IDENTITY_TOKEN_FILE is not set");
    if (!role.arn.n)
        return fail(E_CONFIG, "there is a web identity token, but AWS_ROLE_ARN is not set");
    return aws_web_identity(f, &role, path, ret);
}

const struct credential_kind credential_kind_aws_web_identity = {.name = "aws-web-identity", .fetch = fetch};
