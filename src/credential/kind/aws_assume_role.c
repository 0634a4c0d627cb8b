/*
 * aws_assume_role.c - the key of a role that the process's own credential may assume.
 *
 * Source: AWS STS, AssumeRole.
 */
#include "credential/aws.h"

extern const struct credential_kind credential_kind_aws_assume_role;

static SUSPENDS err_t fetch(struct credential_fetch *f, struct credential_grant *ret)
{
    const struct aws_params *p = &f->options->aws;
    const struct aws_role role = {.arn = p->role_arn, .external_id = p->external_id, .session_name = p->session_name};

    if (!role.arn.n)
        return fail(E_CONFIG, "no role is configured");
    TRY(credential_kind_find(STR("aws"))->fetch(f, ret));
    return aws_assume_role(f, &role, ret);
}

const struct credential_kind credential_kind_aws_assume_role = {.name = "aws-assume-role", .fetch = fetch};
