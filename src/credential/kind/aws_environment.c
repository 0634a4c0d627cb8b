/* aws_environment.c - a key in the environment. Source: AWS SDKs and Tools reference guide, "AWS access keys". */
#include "credential/aws.h"

extern const struct credential_kind credential_kind_aws_environment;

static err_t fetch(struct credential_fetch *f, struct credential_grant *ret)
{
    struct str id = fetch_env(f, "AWS_ACCESS_KEY_ID");

    if (!id.n)
        return fail(E_NOT_FOUND, "AWS_ACCESS_KEY_ID is not set");
    ret->access_key_id = id;
    ret->secret_access_key = fetch_env(f, "AWS_SECRET_ACCESS_KEY");
    ret->session_token = fetch_env(f, "AWS_SESSION_TOKEN");
    return ret->secret_access_key.n ? OK : fail(E_CONFIG, "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not");
}

const struct credential_kind credential_kind_aws_environment = {.name = "aws-environment", .fetch = fetch};
