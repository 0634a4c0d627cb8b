/* aws_static.c - a key that stands in the configuration. */
#include "credential/aws.h"

extern const struct credential_kind credential_kind_aws_static;

static err_t fetch(struct credential_fetch *f, struct credential_grant *ret)
{
    const struct aws_params *p = &f->options->aws;

    if (!p->access_key_id.n)
        return fail(E_NOT_FOUND, "no key is configured");
    ret->access_key_id = p->access_key_id;
    ret->secret_access_key = secret_reveal(&p->secret_access_key);
    ret->session_token = secret_reveal(&p->session_token);
    return ret->secret_access_key.n ? OK : fail(E_CONFIG, "the access key id has no secret access key beside it");
}

const struct credential_kind credential_kind_aws_static = {.name = "aws-static", .fetch = fetch};
