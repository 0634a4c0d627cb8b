/*
 * aws.c - the security token service (STS), and keys as metadata endpoints give them.
 *
 * STS speaks forms and answers in XML. AssumeRoleWithWebIdentity proves itself by the token in the form; AssumeRole is signed (SigV4).
 *
 * Source: AWS Security Token Service API reference; AWS SDKs and Tools reference guide.
 */
#include "credential/aws.h"

#include "codec/sigv4.h"
#include "codec/url.h"
#include "codec/xml.h"
#include "rt/loop.h"

enum { FIELD_MAX = 32 * 1024 };

#define STS_VERSION "2011-06-15"

/* Empty: none is configured. */
static struct str configured_region(const struct credential_fetch *f)
{
    struct str region = fetch_setting(f, f->options->aws.region, "AWS_REGION", STR_NONE);

    return region.n ? region : fetch_env(f, "AWS_DEFAULT_REGION");
}

/* Expiry as AWS writes it, RFC 3339. */
static err_t read_expiry(const char *what, struct str text, struct credential_grant *ret)
{
    int64_t seconds;

    if (!fetch_time(text, &seconds))
        return fail(E_UPSTREAM, "the answer of %s does not say when the key expires", what);
    ret->expires = fetch_instant(seconds);
    return OK;
}

err_t aws_json_key(const struct credential_fetch *f, const struct fetch_call *c, struct credential_grant *ret)
{
    struct fetch_answer answer;
    yyjson_val *root;

    TRY(fetch_ok(f, c, &answer));
    TRY(fetch_json(f, c, &answer, &root));
    struct str code =
        json_get_str(root, STR("Code"), STR("Success")); /* of instance metadata, which fails with status 200 */
    if (!str_eq(code, STR("Success")))
        return fail(E_UPSTREAM, "%s has no key: %.*s", c->what, STR_ARG(str_slice(code, 0, 60)));
    ret->access_key_id = json_get_str(root, STR("AccessKeyId"), STR_NONE);
    ret->secret_access_key = json_get_str(root, STR("SecretAccessKey"), STR_NONE);
    ret->session_token = json_get_str(root, STR("Token"), STR_NONE);
    if (!ret->access_key_id.n || !ret->secret_access_key.n)
        return fail(E_UPSTREAM, "the answer of %s holds no AccessKeyId with its SecretAccessKey", c->what);
    return read_expiry(c->what, json_get_str(root, STR("Expiration"), STR_NONE), ret);
}

/* --- STS --- */

/* The endpoint of the region, in its partition; without a region the global one. */
static struct str sts_url(const struct credential_fetch *f, struct str region)
{
    struct str given = fetch_setting(f, f->options->aws.sts_url, "AWS_ENDPOINT_URL_STS", STR_NONE);

    if (given.n)
        return given;
    if (!region.n)
        return STR("https://sts.amazonaws.com");
    const char *end = str_starts(region, STR("cn-")) ? "amazonaws.com.cn" : "amazonaws.com";
    return arena_printf(f->arena, "https://sts.%.*s.%s", STR_ARG(region), end);
}

static struct str session_name(const struct credential_fetch *f, const struct aws_role *role)
{
    if (role->session_name.n)
        return role->session_name;
    return fetch_setting(f, f->options->aws.session_name, "AWS_ROLE_SESSION_NAME", STR("crossdock"));
}

static err_t xml_field(const struct credential_fetch *f, const struct fetch_answer *answer, struct str name,
                       struct str *ret)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(FIELD_MAX);

    if (xml_text(answer->body, name, &b) != OK || !b.n)
        return fail(E_UPSTREAM, "the answer of AWS STS holds no %.*s", STR_ARG(name));
    *ret = arena_str(f->arena, buf_str(&b));
    return OK;
}

static SUSPENDS err_t sts_call(const struct credential_fetch *f, const struct fetch_call *c,
                               struct credential_grant *ret)
{
    struct fetch_answer answer;
    struct str expiration;

    TRY(fetch_ok(f, c, &answer));
    TRY(xml_field(f, &answer, STR("AccessKeyId"), &ret->access_key_id));
    TRY(xml_field(f, &answer, STR("SecretAccessKey"), &ret->secret_access_key));
    TRY(xml_field(f, &answer, STR("SessionToken"), &ret->session_token));
    TRY(xml_field(f, &answer, STR("Expiration"), &expiration));
    return read_expiry(c->what, expiration, ret);
}

err_t aws_web_identity(const struct credential_fetch *f, const struct aws_role *role, struct str path,
                       struct credential_grant *ret)
{
    struct str token, region = role->region.n ? role->region : configured_region(f);

    TRY(fetch_token_file(f, path, &token));
    const struct str form[][2] = {{STR("Action"), STR("AssumeRoleWithWebIdentity")},
                                  {STR("Version"), STR(STS_VERSION)},
                                  {STR("RoleArn"), role->arn},
                                  {STR("RoleSessionName"), session_name(f, role)},
                                  {STR("WebIdentityToken"), token}};
    const struct fetch_call c = {.what = "AWS STS",
                                 .url = arena_join(f->arena, sts_url(f, region), STR("/")),
                                 .body = fetch_form(f, form, ARRAY_LEN(form)),
                                 .secret = token};
    return sts_call(f, &c, ret);
}

/* The Host header that the client will send for `u`. */
static struct str host_of(const struct credential_fetch *f, const struct url *u)
{
    struct str host = u->is_ipv6 ? arena_printf(f->arena, "[%.*s]", STR_ARG(u->host)) : u->host;
    uint16_t usual = str_eq_nocase(u->scheme, STR("https")) ? 443 : 80;

    return url_port(u) == usual ? host : arena_printf(f->arena, "%.*s:%u", STR_ARG(host), url_port(u));
}

/* Sign `c` with the grant's key; the headers of the signature go behind those that it has. */
static err_t sign(const struct credential_fetch *f, const struct credential_grant *key, struct str region,
                  struct fetch_call *c)
{
    unsigned char hash[SHA256_BYTES];
    struct url u;
    size_t at = 0, added;

    TRY(url_parse(c->url, &u));
    sha256(c->body, hash);
    while (c->headers[at].name.n)
        at++;
    const struct sigv4_request r = {.method = STR("POST"),
                                    .host = host_of(f, &u),
                                    .path = u.path,
                                    .query = u.query,
                                    .headers = c->headers,
                                    .header_count = at,
                                    .body_hash = hash};
    const struct sigv4_key k = {.access_key = key->access_key_id,
                                .secret = key->secret_access_key,
                                .token = key->session_token,
                                .region =
                                    region.n ? region : STR("us-east-1"), /* what the global endpoint signs with */
                                .service = STR("sts")};
    return sigv4_sign(f->arena, &r, &k, rt_wall() / NS_SEC, c->headers + at, &added);
}

err_t aws_assume_role(const struct credential_fetch *f, const struct aws_role *role, struct credential_grant *grant)
{
    struct str region = role->region.n ? role->region : configured_region(f);
    const struct str form[][2] = {{STR("Action"), STR("AssumeRole")},
                                  {STR("Version"), STR(STS_VERSION)},
                                  {STR("RoleArn"), role->arn},
                                  {STR("RoleSessionName"), session_name(f, role)},
                                  {STR("ExternalId"), role->external_id}};
    struct fetch_call c = {.what = "AWS STS",
                           .url = arena_join(f->arena, sts_url(f, region), STR("/")),
                           .body = fetch_form(f, form, ARRAY_LEN(form)),
                           .secret = grant->secret_access_key};

    TRY(sign(f, grant, region, &c));
    return sts_call(f, &c, grant);
}

/* --- for Google --- */

static void add_pair(struct buf *b, struct str name, struct str value)
{
    buf_addf(b, "{\"key\":\"%.*s\",\"value\":\"", STR_ARG(name));
    buf_add_json(b, value);
    buf_add_lit(b, "\"},");
}

/* The signed request as JSON, percent-coded: what Google calls an aws4_request token. */
static struct str serialize(const struct credential_fetch *f, const struct fetch_call *c, struct str host)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(2 * FIELD_MAX), coded CLEANUP(buf_release) = BUF_INIT(6 * FIELD_MAX);

    buf_add_lit(&b, "{\"url\":\"");
    buf_add_json(&b, c->url);
    buf_add_lit(&b, "\",\"method\":\"POST\",\"headers\":[");
    for (size_t i = 0; i < ARRAY_LEN(c->headers) && c->headers[i].name.n; i++)
        add_pair(&b, c->headers[i].name, c->headers[i].value);
    add_pair(&b, STR("host"), host);
    b.n--; /* the last comma */
    buf_add_lit(&b, "]}");
    url_encode(&coded, buf_str(&b));
    return arena_str(f->arena, buf_str(&coded));
}

/* "us-east-1" of the environment, else of the zone "us-east-1d" that the metadata endpoint tells. */
static SUSPENDS err_t federation_region(const struct credential_fetch *f, yyjson_val *source, struct str *ret)
{
    const struct fetch_call c = {
        .what = "EC2's metadata service", .url = json_get_str(source, STR("region_url"), STR_NONE), .is_local = true};
    struct fetch_answer answer;

    *ret = configured_region(f);
    if (ret->n)
        return OK;
    if (!c.url.n)
        return fail(E_CONFIG, "AWS_REGION is not set");
    TRY(fetch_ok(f, &c, &answer));
    struct str zone = fetch_trim(answer.body);
    *ret = str_slice(zone, 0, zone.n ? zone.n - 1 : 0);
    return ret->n ? OK : fail(E_UPSTREAM, "%s does not tell the region", c.what);
}

/* `pattern` with the region for its "{region}". */
static struct str in_region(const struct credential_fetch *f, struct str pattern, struct str region)
{
    size_t at = str_find(pattern, STR("{region}"));

    if (at == pattern.n)
        return pattern;
    return arena_printf(f->arena, "%.*s%.*s%.*s", STR_ARG(str_slice(pattern, 0, at)), STR_ARG(region),
                        STR_ARG(str_slice(pattern, at + strlen("{region}"), pattern.n)));
}

err_t aws_subject_token(struct credential_fetch *f, yyjson_val *source, struct str audience, struct str *ret)
{
    static const char *const order[] = {"aws-environment", "aws-web-identity", "aws-container", "aws-instance"};
    struct str region,
        pattern = json_get_str(source, STR("regional_cred_verification_url"),
                               STR("https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=" STS_VERSION));
    struct credential_grant key = {.expires = NS_NEVER};
    struct url u;

    TRY(federation_region(f, source, &region));
    TRY(fetch_chain(f, order, ARRAY_LEN(order), "AWS", &key));
    struct fetch_call c = {.url = in_region(f, pattern, region),
                           .headers = {{STR("x-goog-cloud-target-resource"), audience}}}; /* whom the request is for */
    TRY(url_parse(c.url, &u));
    TRY(sign(f, &key, region, &c));
    *ret = serialize(f, &c, host_of(f, &u));
    return OK;
}
