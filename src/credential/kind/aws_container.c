/*
 * aws_container.c - the role of the task or pod: the credentials endpoint of ECS, and EKS Pod Identity.
 *
 * The proof may go in the clear to loopback addresses and to the addresses that AWS reserves for this, and nowhere else.
 *
 * Source: AWS SDKs and Tools reference guide, "Container credential provider".
 */
#include "codec/url.h"
#include "credential/aws.h"
#include "rt/addr.h"

extern const struct credential_kind credential_kind_aws_container;

/* Does AWS have its endpoint there? ECS; EKS by IPv4 and IPv6. */
static bool is_reserved(struct str host)
{
    struct addr a, b;
    static const struct str reserved[] = {STR_INIT("169.254.170.2"), STR_INIT("169.254.170.23"),
                                          STR_INIT("fd00:ec2::23")};

    for (size_t i = 0; addr_from_ip(host, 1, &a) && i < ARRAY_LEN(reserved); i++)
        if (addr_from_ip(reserved[i], 1, &b) && addr_eq(&a, &b))
            return true;
    return false;
}

static err_t find_endpoint(const struct credential_fetch *f, struct fetch_call *c)
{
    struct str relative = fetch_env(f, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    struct str base = f->options->aws.container_url;
    struct url u;

    if (relative.n) {
        c->url = arena_join(f->arena, base.n ? base : STR("http://169.254.170.2"), relative);
        c->is_local = true;
        return OK;
    }
    c->url = fetch_env(f, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    if (!c->url.n)
        return fail(E_NOT_FOUND, "AWS_CONTAINER_CREDENTIALS_FULL_URI is not set");
    c->is_local = url_parse(c->url, &u) == OK && is_reserved(u.host);
    return OK;
}

static SUSPENDS err_t read_proof(const struct credential_fetch *f, struct str *ret)
{
    struct str path = fetch_env(f, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");

    *ret = fetch_env(f, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    return path.n ? fetch_token_file(f, path, ret) : OK;
}

static SUSPENDS err_t fetch(struct credential_fetch *f, struct credential_grant *ret)
{
    struct fetch_call c = {.what = "AWS's container credentials endpoint"};

    TRY(find_endpoint(f, &c));
    TRY(read_proof(f, &c.secret));
    if (c.secret.n)
        c.headers[0] = (struct http_header){STR("authorization"), c.secret};
    return aws_json_key(f, &c, ret);
}

const struct credential_kind credential_kind_aws_container = {.name = "aws-container", .fetch = fetch};
