/* credential_aws_test.c - AWS keys: what each kind asks, where, and in which order they are tried. */
#include "codec/sigv4.h"
#include "unit/credential_world.h"

#include <string.h>

#define KEY_JSON(id)                                                                                                   \
    "{\"AccessKeyId\":\"" id "\",\"SecretAccessKey\":\"secret-" id "\",\"Token\":\"session\","                         \
    "\"Expiration\":\"2026-01-01T06:00:00Z\"}"
#define KEY_XML(id)                                                                                                    \
    "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Result><Credentials>"                    \
    "<AccessKeyId>" id "</AccessKeyId><SecretAccessKey>secret-" id "</SecretAccessKey>"                                \
    "<SessionToken>session</SessionToken><Expiration>2026-01-01T01:00:00Z</Expiration></Credentials></Result>"         \
    "</AssumeRoleResponse>"

static SUSPENDS err_t get_any(const char *kind)
{
    return get(kind, (struct credential_options){.aws = {.sts_url = STR(BASE)}});
}

/* --- keys that stand somewhere --- */

KIND_TEST(credential_aws_keys_of_the_configuration_go_before_all)
{
    static const char secret[] = "configured-secret";
    struct credential_options o = {
        .aws = {.access_key_id = STR("AKID"), .secret_access_key = {(char *)(uintptr_t)secret, sizeof secret - 1}}};

    set_env("AWS_ACCESS_KEY_ID", "other");
    set_env("AWS_SECRET_ACCESS_KEY", "other");
    CHECK_OK(get("aws", o));
    CHECK_STR(got.access_key_id, "AKID");
    CHECK_STR(got.secret_access_key, "configured-secret");
    CHECK_EQ(got.session_token.n, 0);
    CHECK_EQ(got.life, NS_NEVER);
    o.aws.secret_access_key = (struct secret){0};
    CHECK_ERR(get("aws", o), E_CONFIG);
    CHECK_SAYS("no secret access key");
    CHECK_ERR(get_any("aws-static"), E_CONFIG);
}

KIND_TEST(credential_aws_keys_of_the_environment)
{
    set_env("AWS_ACCESS_KEY_ID", "AKID");
    CHECK_ERR(get_any("aws"), E_CONFIG);
    CHECK_SAYS("AWS_SECRET_ACCESS_KEY is not");
    set_env("AWS_SECRET_ACCESS_KEY", "secret");
    set_env("AWS_SESSION_TOKEN", "session");
    set_env("AWS_WEB_IDENTITY_TOKEN_FILE", "/of no use");
    CHECK_OK(get_any("aws"));
    CHECK_STR(got.access_key_id, "AKID");
    CHECK_STR(got.secret_access_key, "secret");
    CHECK_STR(got.session_token, "session");
    CHECK_EQ(got.life, NS_NEVER);
}

/* --- web identity --- */

KIND_TEST(credential_aws_web_identities_are_exchanged_at_sts)
{
    set_env("AWS_WEB_IDENTITY_TOKEN_FILE", "/token");
    put_file("/token", "h.b.s\n");
    CHECK_ERR(get_any("aws"), E_CONFIG);
    CHECK_SAYS("AWS_ROLE_ARN is not set");
    set_env("AWS_ROLE_ARN", "arn:aws:iam::1:role/r");
    answer("POST / 127.0.0.1:8080\n", 200, KEY_XML("ASIA"));
    CHECK_OK(get_any("aws"));
    CHECK_STR(got.access_key_id, "ASIA");
    CHECK_STR(got.secret_access_key, "secret-ASIA");
    CHECK_STR(got.session_token, "session");
    CHECK_LIFE(3600);
    CHECK(sent(1, "\n\nAction=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr"
                  "&RoleSessionName=crossdock&WebIdentityToken=h.b.s"));
    CHECK(!strstr(world.requests[0].p, "authorization"));
    CHECK_OK(get("aws-web-identity",
                 (struct credential_options){
                     .aws = {.sts_url = STR(BASE), .role_arn = STR("mine"), .session_name = STR("me")}}));
    CHECK(sent(2, "&RoleArn=mine&RoleSessionName=me&"));
}

KIND_TEST(credential_aws_sts_is_asked_in_its_region)
{
    set_env("AWS_WEB_IDENTITY_TOKEN_FILE", "/token");
    set_env("AWS_ROLE_ARN", "r");
    put_file("/token", "t");
    answer("POST / ", 200, KEY_XML("ASIA"));
    CHECK_OK(get("aws", (struct credential_options){0}));
    CHECK(sent(1, "POST / sts.amazonaws.com\n"));
    set_env("AWS_DEFAULT_REGION", "eu-west-1");
    CHECK_OK(get("aws", (struct credential_options){0}));
    CHECK(sent(2, "POST / sts.eu-west-1.amazonaws.com\n"));
    set_env("AWS_REGION", "cn-north-1");
    CHECK_OK(get("aws", (struct credential_options){0}));
    CHECK(sent(3, "POST / sts.cn-north-1.amazonaws.com.cn\n"));
    CHECK_OK(get("aws", (struct credential_options){.aws = {.region = STR("us-west-2")}}));
    CHECK(sent(4, "POST / sts.us-west-2.amazonaws.com\n"));
    set_env("AWS_ENDPOINT_URL_STS", BASE "/sts");
    answer("POST /sts/ ", 200, KEY_XML("ASIA"));
    CHECK_OK(get("aws", (struct credential_options){0}));
}

KIND_TEST(credential_aws_sts_refusals_and_answers_that_are_not_whole_are_told)
{
    static const struct {
        int status;
        const char *body, *why;
    } cases[] = {{403,
                  "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>Not you: "
                  "my-token</Message></Error>"
                  "</ErrorResponse>",
                  "AWS STS answered 403 AccessDenied: (not shown: it repeats a secret)"},
                 {200, "", "holds no AccessKeyId"},
                 {200, "<AccessKeyId>a</AccessKeyId>", "holds no SecretAccessKey"},
                 {200, "<AccessKeyId></AccessKeyId>", "holds no AccessKeyId"},
                 {200, "<AccessKeyId><b/></AccessKeyId>", "holds no AccessKeyId"},
                 {200,
                  "<A><AccessKeyId>a</AccessKeyId><SecretAccessKey>b</SecretAccessKey><SessionToken>c</SessionToken>"
                  "<Expiration>soon</Expiration></A>",
                  "does not say when the key expires"},
                 {200,
                  "<A><AccessKeyId>a</AccessKeyId><SecretAccessKey>b</SecretAccessKey><SessionToken>c</SessionToken>"
                  "<Expiration>2025-01-01T00:00:00Z</Expiration></A>",
                  "expired already"}};

    set_env("AWS_WEB_IDENTITY_TOKEN_FILE", "/token");
    set_env("AWS_ROLE_ARN", "r");
    put_file("/token", "my-token");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        forget_answers();
        answer("POST ", cases[i].status, cases[i].body);
        CHECK_ERR(get_any("aws"), E_UPSTREAM);
        CHECK_SAYS(cases[i].why);
        CHECK_HIDES("my-token");
    }
}

/* --- assuming a role --- */

static struct str value_of(struct str request, const char *name)
{
    size_t at = str_find(request, str_from_c(name)), n = strlen(name);

    return at == request.n ? STR_NONE
                           : str_of(request.p + at + n, str_find_char(str_slice(request, at + n, request.n), '\n'));
}

/* Is the `number`-th request signed rightly with the secret? Rebuilt from what came over the wire. */
static bool is_signed(size_t number, const char *secret, const char *region)
{
    struct str r = world.requests[number - 1];
    size_t body = str_find(r, STR("\n\n")) + 2;
    unsigned char hash[SHA256_BYTES];
    struct http_header headers[] = {{STR("content-type"), value_of(r, "\ncontent-type: ")},
                                    {STR("x-amz-date"), value_of(r, "\nx-amz-date: ")},
                                    {STR("x-amz-security-token"), value_of(r, "\nx-amz-security-token: ")}};
    struct sigv4_claim claim;

    sha256(str_slice(r, body, r.n), hash);
    const struct sigv4_request request = {.method = STR("POST"),
                                          .host = STR("127.0.0.1:8080"),
                                          .path = STR("/"),
                                          .headers = headers,
                                          .header_count = headers[2].value.p ? 3 : 2,
                                          .body_hash = hash};
    if (sigv4_read(value_of(r, "\nauthorization: "), &claim) != OK || !str_eq(claim.region, str_from_c(region)) ||
        !str_eq(claim.service, STR("sts")))
        return false;
    return sigv4_verify(&world.arena, &request, &claim, str_from_c(secret), rt_wall() / NS_SEC) == OK;
}

KIND_TEST(credential_aws_roles_are_assumed_by_signed_requests)
{
    struct credential_options o = {.aws = {.sts_url = STR(BASE), .role_arn = STR("arn:x"), .external_id = STR("e&e")}};

    set_env("AWS_ACCESS_KEY_ID", "AKID");
    set_env("AWS_SECRET_ACCESS_KEY", "base-secret");
    answer("POST / ", 200, KEY_XML("ASIA"));
    CHECK_OK(get("aws-assume-role", o));
    CHECK_STR(got.access_key_id, "ASIA");
    CHECK_STR(got.session_token, "session");
    CHECK_LIFE(3600);
    CHECK(
        sent(1, "\n\nAction=AssumeRole&Version=2011-06-15&RoleArn=arn%3Ax&RoleSessionName=crossdock&ExternalId=e%26e"));
    CHECK(is_signed(1, "base-secret", "us-east-1"));
    CHECK(!is_signed(1, "base-secre", "us-east-1"));
    set_env("AWS_SESSION_TOKEN", "base-session");
    set_env("AWS_REGION", "eu-west-1");
    CHECK_OK(get("aws-assume-role", o));
    CHECK(sent(2, "\nx-amz-security-token: base-session\n"));
    CHECK(is_signed(2, "base-secret", "eu-west-1"));
    o.aws.external_id = STR_NONE;
    CHECK_OK(get("aws-assume-role", o));
    CHECK(!strstr(world.requests[2].p, "ExternalId"));
    CHECK_ERR(get_any("aws-assume-role"), E_CONFIG);
    CHECK_SAYS("no role is configured");
}

/* --- profiles --- */

KIND_TEST(credential_aws_profiles_are_read_from_both_files)
{
    set_env("HOME", "/home/me");
    put_file("/home/me/.aws/config", "[default]\naws_access_key_id = CONFIG\naws_secret_access_key=c\nregion=x\n"
                                     "[profile two]\naws_access_key_id=TWO\naws_secret_access_key=t\n");
    CHECK_OK(get_any("aws"));
    CHECK_STR(got.access_key_id, "CONFIG");
    put_file("/home/me/.aws/credentials",
             "# a comment\r\n[default]\r\naws_access_key_id = AKID \r\n"
             "aws_secret_access_key = s/+= # comment\r\n[two]\naws_session_token=session\n");
    CHECK_OK(get_any("aws"));
    CHECK_STR(got.access_key_id, "AKID");
    CHECK_STR(got.secret_access_key, "s/+=");
    CHECK_EQ(got.session_token.n, 0);
    CHECK_EQ(got.life, NS_NEVER);
    set_env("AWS_PROFILE", "two");
    CHECK_OK(get_any("aws"));
    CHECK_STR(got.access_key_id, "TWO");
    CHECK_STR(got.session_token, "session");
    set_env("AWS_SHARED_CREDENTIALS_FILE", "/elsewhere");
    put_file("/elsewhere", "[two]\naws_access_key_id=MOVED\naws_secret_access_key=m\n");
    CHECK_OK(get_any("aws-profile"));
    CHECK_STR(got.access_key_id, "MOVED");
}

KIND_TEST(credential_aws_a_profile_that_is_asked_for_goes_before_the_environment)
{
    struct credential_options o = {.aws = {.profile = STR("mine")}};

    set_env("HOME", "/home/me");
    set_env("AWS_ACCESS_KEY_ID", "other");
    set_env("AWS_SECRET_ACCESS_KEY", "other");
    CHECK_ERR(get("aws", o), E_CONFIG);
    CHECK_SAYS("there is no profile mine");
    put_file("/home/me/.aws/credentials", "[mine]\naws_access_key_id=AKID\naws_secret_access_key=s\n");
    CHECK_OK(get("aws", o));
    CHECK_STR(got.access_key_id, "AKID");
    put_file("/home/me/.aws/credentials", "[mine]\naws_access_key_id=AKID\n");
    CHECK_ERR(get("aws", o), E_CONFIG);
    CHECK_SAYS("the profile mine has no aws_secret_access_key");
    put_file("/home/me/.aws/credentials", "[mine]\n");
    CHECK_ERR(get("aws", o), E_CONFIG);
    CHECK_SAYS("the profile mine has no aws_access_key_id");
}

KIND_TEST(credential_aws_settings_inside_of_settings_are_not_the_profiles)
{
    set_env("HOME", "/home/me");
    put_file("/home/me/.aws/config",
             "aws_access_key_id=NOWHERE\n[default\naws_access_key_id=OPEN\n[defaults]\naws_access_key_id=OTHER\n"
             "[default]\naws_access_key_id=AKID\ns3 =\n  aws_access_key_id=INNER\n\taws_access_key_id=INNER\n"
             "#aws_access_key_id=NOT\n;aws_access_key_id=NOT\naws_access_key_id\nAWS_SECRET_ACCESS_KEY=s\n"
             "[last]\naws_access_key_id=LAST");
    CHECK_OK(get_any("aws-profile"));
    CHECK_STR(got.access_key_id, "AKID");
    CHECK_STR(got.secret_access_key, "s");
}

KIND_TEST(credential_aws_a_key_that_was_replaced_in_the_file_is_noticed)
{
    struct credential_source *s = credential_source_new(&(struct credential_options){
        .kind = credential_kind_find(STR("aws-profile")), .env = world_env, .scope = world.scope});
    struct credential *before, *after;

    set_env("HOME", "/home/me");
    put_file("/home/me/.aws/credentials", "[default]\naws_access_key_id=OLD\naws_secret_access_key=s\n");
    CHECK_OK(credential_get(s, &before));
    CHECK_STR(before->access_key_id, "OLD");
    put_file("/home/me/.aws/credentials", "[default]\naws_access_key_id=NEW\naws_secret_access_key=s\n");
    CHECK_OK(fiber_sleep_until(rt_now() + 301 * NS_SEC));
    CHECK_OK(credential_get(s, &after));
    CHECK_STR(after->access_key_id, "NEW");
    CHECK_STR(before->access_key_id, "OLD");
    credential_unref(before);
    credential_unref(after);
    credential_source_free(s);
}

KIND_TEST(credential_aws_profiles_assume_roles_by_other_profiles)
{
    set_env("HOME", "/home/me");
    put_file("/home/me/.aws/config", "[profile top]\nrole_arn=arn:top\nsource_profile=middle\nregion=eu-west-1\n"
                                     "[profile middle]\nrole_arn=arn:middle\nsource_profile=middle\n"
                                     "external_id=e\nrole_session_name=n\n"
                                     "aws_access_key_id=BASE\naws_secret_access_key=base-secret\n");
    answer("POST / ", 200, KEY_XML("ASIA"));
    CHECK_OK(get("aws", (struct credential_options){.aws = {.profile = STR("top"), .sts_url = STR(BASE)}}));
    CHECK_STR(got.access_key_id, "ASIA");
    CHECK_LIFE(3600);
    CHECK_EQ(world.request_count, 2);
    CHECK(sent(1, "RoleArn=arn%3Amiddle&RoleSessionName=n&ExternalId=e"));
    CHECK(is_signed(1, "base-secret", "us-east-1"));
    CHECK(sent(2, "RoleArn=arn%3Atop&RoleSessionName=crossdock"));
    CHECK(is_signed(2, "secret-ASIA", "eu-west-1"));
}

KIND_TEST(credential_aws_profiles_name_where_the_key_comes_from)
{
    set_env("HOME", "/home/me");
    set_env("AWS_PROFILE", "p");
    put_file("/home/me/.aws/config", "[profile p]\nrole_arn=arn:p\ncredential_source=Ec2InstanceMetadata\n");
    answer("PUT /latest/api/token", 200, "imds-session");
    answer("GET /latest/meta-data/iam/security-credentials/ ", 200, "role");
    answer("GET /latest/meta-data/iam/security-credentials/role", 200, KEY_JSON("INST"));
    answer("POST / ", 200, KEY_XML("ASIA"));
    CHECK_OK(get_any("aws"));
    CHECK(is_signed(4, "secret-INST", "us-east-1"));
    put_file("/home/me/.aws/config", "[profile p]\nrole_arn=arn:p\ncredential_source=Environment\n");
    CHECK_ERR(get_any("aws"), E_CONFIG);
    CHECK_SAYS("the profile p: AWS_ACCESS_KEY_ID is not set");
    put_file("/home/me/.aws/config", "[profile p]\nrole_arn=arn:p\ncredential_source=Moon\n");
    CHECK_ERR(get_any("aws"), E_CONFIG);
    CHECK_SAYS("credential_source must be");
    put_file("/home/me/.aws/config", "[profile p]\nrole_arn=arn:p\n");
    CHECK_ERR(get_any("aws"), E_CONFIG);
    CHECK_SAYS("no source_profile");
    put_file("/home/me/.aws/config", "[profile p]\nrole_arn=arn:p\nweb_identity_token_file=/token\n");
    put_file("/token", "t");
    CHECK_OK(get_any("aws"));
    CHECK(sent(5, "AssumeRoleWithWebIdentity"));
}

KIND_TEST(credential_aws_profiles_that_cannot_work_say_why)
{
    set_env("HOME", "/home/me");
    set_env("AWS_PROFILE", "a");
    put_file("/home/me/.aws/config", "[profile a]\nrole_arn=x\nsource_profile=b\n[profile b]\nrole_arn=y\n"
                                     "source_profile=a\n");
    CHECK_ERR(get_any("aws"), E_CONFIG);
    CHECK_SAYS("in a circle");
    put_file("/home/me/.aws/config", "[profile a]\ncredential_process=/bin/true\n");
    CHECK_ERR(get_any("aws"), E_CONFIG);
    CHECK_SAYS("gets its key by credential_process, which a server cannot do");
    put_file("/home/me/.aws/config", "[profile a]\nsso_session=x\naws_access_key_id=AKID\naws_secret_access_key=s\n");
    CHECK_OK(get_any("aws"));
}

/* --- containers --- */

KIND_TEST(credential_aws_tasks_ask_the_endpoint_of_their_agent)
{
    set_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/id");
    answer("GET /v2/credentials/id 169.254.170.2\n", 200, KEY_JSON("TASK"));
    CHECK_OK(get_any("aws"));
    CHECK_STR(got.access_key_id, "TASK");
    CHECK_STR(got.session_token, "session");
    CHECK_LIFE(6 * 3600);
}

KIND_TEST(credential_aws_nothing_of_a_link_that_is_not_set_up_is_left_in_the_key)
{
    set_env("AWS_SESSION_TOKEN", "of nobody");
    set_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/c");
    answer("GET /c", 200, "{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\",\"Expiration\":\"2026-01-01T06:00:00Z\"}");
    CHECK_OK(get_any("aws-container"));
    CHECK_EQ(got.session_token.n, 0);
    CHECK_OK(get_any("aws"));
    CHECK_EQ(got.session_token.n, 0);
}

KIND_TEST(credential_aws_pods_prove_themselves_by_the_mounted_token)
{
    set_env("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials");
    set_env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/proof");
    put_file("/proof", "proof\n");
    answer("GET /v1/credentials 169.254.170.23\n", 200, KEY_JSON("POD"));
    CHECK_OK(get_any("aws"));
    CHECK_STR(got.access_key_id, "POD");
    CHECK(sent(1, "\nauthorization: proof\n"));
    world.variables[0][1] = "http://[fd00:ec2::23]/v1/credentials";
    CHECK_ERR(get_any("aws"), E_UPSTREAM); /* allowed, but not there */
    world.variables[0][1] = "http://198.51.100.7/v1/credentials";
    CHECK_ERR(get_any("aws"), E_CONFIG);
    CHECK_SAYS("must be https");
    world.variables[0][1] = "http://localhost:8080/v1/credentials";
    CHECK_ERR(get_any("aws"), E_UPSTREAM);
    world.variables[1][0] = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
    world.variables[1][1] = "inline";
    CHECK_ERR(get_any("aws"), E_UPSTREAM);
    CHECK(sent(3, "\nauthorization: inline\n"));
}

KIND_TEST(credential_endpoints_without_a_path_are_asked_for_their_root)
{
    set_env("AWS_CONTAINER_CREDENTIALS_FULL_URI", BASE);
    answer("GET / ", 200, "{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\",\"Expiration\":\"2027-01-01T00:00:00Z\"}");
    CHECK_OK(get_any("aws"));
}

KIND_TEST(credential_aws_keys_in_json_must_be_whole)
{
    static const struct {
        const char *body, *why;
    } cases[] = {
        {"[]", "is no JSON object"},
        {"{\"Code\":\"AssumeRoleUnauthorizedAccess\"}", "has no key: AssumeRoleUnauthorizedAccess"},
        {"{\"AccessKeyId\":\"a\"}", "holds no AccessKeyId with its SecretAccessKey"},
        {"{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\"}", "does not say when the key expires"},
        {"{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\",\"Expiration\":\"2026-13-01T00:00:00Z\"}", "does not say"},
        {"{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\",\"Expiration\":\"2026-01-01T00:00:00\"}", "does not say"},
        {"{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\",\"Expiration\":\"2026-01-01T05:00:00+05:30\"}", "expired"}};
    static const char *const no_times[] = {
        "2027-00-01T00:00:00Z", "2027-01-00T00:00:00Z", "2027-01-32T00:00:00Z",      "2027-01-01T24:00:00Z",
        "2027-01-01T00:60:00Z", "2027-01-01T00:00:61Z", "2027-01-01T00:00:00+24:00", "2027-01-01T00:00:00-01:60"};

    set_env("AWS_CONTAINER_CREDENTIALS_FULL_URI", BASE "/c");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        forget_answers();
        answer("GET /c", 200, cases[i].body);
        CHECK_ERR(get_any("aws"), E_UPSTREAM);
        CHECK_SAYS(cases[i].why);
    }
    for (size_t i = 0; i < ARRAY_LEN(no_times); i++) {
        test_context("%s", no_times[i]);
        forget_answers();
        answer("GET /c", 200,
               arena_printf(&world.arena, "{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\",\"Expiration\":\"%s\"}",
                            no_times[i])
                   .p);
        CHECK_ERR(get_any("aws"), E_UPSTREAM);
        CHECK_SAYS("does not say when the key expires");
    }
    forget_answers();
    answer("GET /c", 200,
           "{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\",\"Expiration\":\"2026-01-01T00:30:00.25-01:30\"}");
    CHECK_OK(get_any("aws"));
    CHECK_LIFE(2 * 3600);
}

/* --- instances --- */

KIND_TEST(credential_aws_instances_ask_their_metadata_service_in_a_session)
{
    answer("PUT /latest/api/token 169.254.169.254\n", 200, "imds-session\n");
    answer("GET /latest/meta-data/iam/security-credentials/ ", 200, " my role\r\nanother\r\n");
    answer("GET /latest/meta-data/iam/security-credentials/my%20role ", 200, KEY_JSON("INST"));
    CHECK_OK(get_any("aws"));
    CHECK_STR(got.access_key_id, "INST");
    CHECK_LIFE(6 * 3600);
    CHECK(sent(1, "\nx-aws-ec2-metadata-token-ttl-seconds: 300\n"));
    CHECK(sent(2, "\nx-aws-ec2-metadata-token: imds-session\n"));
    CHECK(sent(3, "\nx-aws-ec2-metadata-token: imds-session\n"));
    set_env("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6");
    forget_answers();
    CHECK_ERR(get_any("aws"), E_UPSTREAM);
    CHECK(sent(4, "PUT /latest/api/token [fd00:ec2::254]\n"));
    set_env("AWS_EC2_METADATA_SERVICE_ENDPOINT", BASE "/");
    CHECK_ERR(get_any("aws"), E_UPSTREAM);
    CHECK(sent(5, "PUT /latest/api/token 127.0.0.1:8080\n"));
}

KIND_TEST(credential_aws_chains_say_all_that_is_missing)
{
    set_env("AWS_EC2_METADATA_DISABLED", "TRUE");
    CHECK_ERR(get_any("aws"), E_CONFIG);
    CHECK_SAYS("there are no AWS credentials: no key is configured; AWS_ACCESS_KEY_ID is not set; "
               "AWS_WEB_IDENTITY_TOKEN_FILE is not set; ~/.aws has no default profile");
    world.variables[0][1] = "false";
    answer("PUT /latest/api/token", 200, "imds-session");
    CHECK_ERR(get_any("aws"), E_CONFIG); /* 404 for the list of roles */
    CHECK_ERR(get_any("aws-instance"), E_CONFIG);
    CHECK_SAYS("the EC2 instance has no role");
}
