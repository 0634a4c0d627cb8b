/*
 * aws.c - whichever AWS credential is set up here, in the order of AWS's SDKs: configured key or profile, environment, web identity, profile
 * files, container, instance.
 *
 * Source: AWS SDKs and Tools reference guide, "Standardized credential providers".
 */
#include "credential/aws.h"

extern const struct credential_kind credential_kind_aws;

static SUSPENDS err_t fetch(struct credential_fetch *f, struct credential_grant *ret)
{
    static const char *const order[] = {"aws-static",  "aws-environment", "aws-web-identity",
                                        "aws-profile", "aws-container",   "aws-instance"};
    static const char *const profile[] = {"aws-static", "aws-profile"};

    if (f->options->aws.profile.n) /* asked for by name: nothing else will do */
        return fetch_chain(f, profile, ARRAY_LEN(profile), "AWS", ret);
    return fetch_chain(f, order, ARRAY_LEN(order), "AWS", ret);
}

const struct credential_kind credential_kind_aws = {.name = "aws", .fetch = fetch};
