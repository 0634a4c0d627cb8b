/*
 * aws_instance.c - the role of the EC2 instance, from its metadata service, version 2: first a session token, then the role's name, then its
 * key.
 *
 * Source: Amazon EC2 user guide, "Use the Instance Metadata Service" and "Retrieve security credentials from instance metadata".
 */
#include "codec/url.h"
#include "credential/aws.h"

extern const struct credential_kind credential_kind_aws_instance;

#define WHAT "EC2's metadata service"

enum { URL_MAX = 4096 };

static struct str base_url(const struct credential_fetch *f)
{
    bool is_v6 = str_eq_nocase(fetch_env(f, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"), STR("ipv6"));
    struct str base = fetch_setting(f, f->options->aws.metadata_url, "AWS_EC2_METADATA_SERVICE_ENDPOINT",
                                    is_v6 ? STR("http://[fd00:ec2::254]") : STR("http://169.254.169.254"));

    while (str_ends(base, STR("/")))
        base.n--;
    return base;
}

static SUSPENDS err_t open_session(const struct credential_fetch *f, struct str base, struct str *ret)
{
    const struct fetch_call c = {.what = WHAT,
                                 .method = STR("PUT"),
                                 .url = arena_join(f->arena, base, STR("/latest/api/token")),
                                 .headers = {{STR("x-aws-ec2-metadata-token-ttl-seconds"), STR("300")}},
                                 .is_local = true};
    struct fetch_answer answer;

    TRY(fetch_ok(f, &c, &answer));
    *ret = fetch_trim(answer.body);
    return OK;
}

/* The first line: instances have one role. */
static SUSPENDS err_t role_name(const struct credential_fetch *f, const struct fetch_call *c, struct str *ret)
{
    struct fetch_answer answer;

    TRY(fetch_send(f, c, &answer));
    if (answer.status == 404)
        return fail(E_NOT_FOUND, "the EC2 instance has no role");
    if (answer.status != 200)
        return fetch_refused(f, c, &answer);
    *ret = fetch_trim(str_of(answer.body.p, str_find_char(answer.body, '\n')));
    return ret->n ? OK : fail(E_NOT_FOUND, "the EC2 instance has no role");
}

static struct str key_url(const struct credential_fetch *f, struct str folder, struct str role)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(URL_MAX);

    buf_add(&b, folder);
    url_encode(&b, role);
    return arena_str(f->arena, buf_str(&b));
}

static SUSPENDS err_t fetch(struct credential_fetch *f, struct credential_grant *ret)
{
    struct str base = base_url(f), session, role = STR_NONE;

    if (str_eq_nocase(fetch_env(f, "AWS_EC2_METADATA_DISABLED"), STR("true")))
        return fail(E_NOT_FOUND, "AWS_EC2_METADATA_DISABLED is true");
    TRY(open_session(f, base, &session));
    struct fetch_call c = {.what = WHAT,
                           .url = arena_join(f->arena, base, STR("/latest/meta-data/iam/security-credentials/")),
                           .headers = {{STR("x-aws-ec2-metadata-token"), session}},
                           .secret = session,
                           .is_local = true};
    TRY(role_name(f, &c, &role));
    c.url = key_url(f, c.url, role);
    return aws_json_key(f, &c, ret);
}

const struct credential_kind credential_kind_aws_instance = {.name = "aws-instance", .fetch = fetch};
