/* credential_google_test.c - Google credentials: files of each type, the metadata server, and how one is chosen. */
#include "codec/base64.h"
#include "unit/credential_world.h"
#include "unit/jwt_keys.h"

#include <openssl/evp.h>
#include <openssl/pem.h>

#define SCOPE_CODED "https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcloud-platform"

static struct credential_options file(const char *path)
{
    return (struct credential_options){.google = {.file = str_from_c(path)}};
}

/* A service account's key file, with the RFC's key. */
static void put_key(const char *path, const char *more)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(16 * 1024);

    buf_add_lit(&b, "{\"type\":\"service_account\",\"private_key\":\"");
    buf_add_json(&b, str_from_c(rsa_pem));
    buf_addf(&b, "\",\"token_uri\":\"" BASE "/token\"%s}", more);
    sim_world_put_file(world.sim, path, b.p, b.n);
}

#define NAMED ",\"private_key_id\":\"kid-1\",\"client_email\":\"me@x.iam\""

/* The `number`-th part of the signed token that the first request brought, decoded. */
static struct str assertion_part(int number, struct buf *b)
{
    struct str r = world.requests[0], mark = STR("&assertion=");
    size_t at = str_find(r, mark);

    r = str_slice(r, at + mark.n, r.n);
    for (int i = 0; i < number; i++)
        (void)str_cut(&r, '.');
    return base64_decode(b, str_cut(&r, '.'), BASE64_URL) == OK ? buf_str(b) : STR_NONE;
}

static bool assertion_verifies(void)
{
    struct buf sig CLEANUP(buf_release) = BUF_INIT(4096);
    struct str r = world.requests[0], mark = STR("&assertion=");
    BIO *bio = BIO_new_mem_buf(rsa_pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    (void)assertion_part(2, &sig);
    r = str_slice(r, str_find(r, mark) + mark.n, r.n);
    while (r.n && r.p[r.n - 1] != '.')
        r.n--;
    bool ok = r.n > 1 && EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", NULL, NULL, key, NULL) == 1 &&
              EVP_DigestVerify(ctx, (unsigned char *)sig.p, sig.n, (const unsigned char *)r.p, r.n - 1) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    BIO_free(bio);
    return ok;
}

/* --- service accounts --- */

KIND_TEST(credential_google_service_accounts_sign_a_claim_and_exchange_it)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(4096);

    put_key("/key.json", NAMED);
    answer("POST /token", 200, HOUR_TOKEN("abc"));
    CHECK_OK(get("google-service-account", file("/key.json")));
    CHECK_STR(got.token, "Bearer abc");
    CHECK_LIFE(3600);
    CHECK(sent(1, "\n\ngrant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion="));
    CHECK_STR(assertion_part(0, &b), "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"kid-1\"}");
    buf_clear(&b);
    CHECK_STR(assertion_part(1, &b),
              "{\"iss\":\"me@x.iam\",\"scope\":\"https://www.googleapis.com/auth/cloud-platform\","
              "\"aud\":\"" BASE "/token\",\"iat\":1767225600,\"exp\":1767229200}");
    CHECK(assertion_verifies());
}

KIND_TEST(credential_google_settings_change_scope_and_endpoint_but_not_the_audience)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(4096);
    struct credential_options o = file("/key.json");

    o.google.scope = STR("a b");
    o.google.token_url = STR(BASE "/other");
    put_key("/key.json", NAMED);
    answer("POST /other", 200, HOUR_TOKEN("abc"));
    CHECK_OK(get("google-service-account", o));
    CHECK_STR(assertion_part(1, &b), "{\"iss\":\"me@x.iam\",\"scope\":\"a b\",\"aud\":\"" BASE
                                     "/token\",\"iat\":1767225600,\"exp\":1767229200}");
}

KIND_TEST(credential_google_key_files_that_are_not_whole_are_told)
{
    CHECK_ERR(get("google", file("/none.json")), E_CONFIG);
    CHECK_SAYS("/none.json: No such file or directory");
    put_file("/key.json", "nonsense");
    CHECK_ERR(get("google", file("/key.json")), E_CONFIG);
    CHECK_SAYS("/key.json: the credentials file is no JSON object");
    put_file("/key.json", "[]");
    CHECK_ERR(get("google", file("/key.json")), E_CONFIG);
    put_file("/key.json", "{}");
    CHECK_ERR(get("google", file("/key.json")), E_CONFIG);
    CHECK_SAYS("of type '' are not supported");
    put_file("/key.json", "{\"type\":\"martian\"}");
    CHECK_ERR(get("google", file("/key.json")), E_CONFIG);
    CHECK_SAYS("of type 'martian' are not supported");
    put_key("/key.json", ",\"client_email\":7");
    CHECK_ERR(get("google", file("/key.json")), E_CONFIG);
    CHECK_SAYS("/key.json: the credentials file has no \"client_email\"");
    put_file("/key.json", "{\"type\":\"service_account\",\"client_email\":\"me\",\"private_key\":\"S3CRET\"}");
    CHECK_ERR(get("google", file("/key.json")), E_CONFIG);
    CHECK_SAYS("/key.json: private_key: this is no private key in PEM");
    CHECK_HIDES("S3CRET");
    CHECK_ERR(get("google-authorized-user", file("/key.json")), E_CONFIG);
    CHECK_SAYS("is of type 'service_account', not 'authorized_user'");
    CHECK_EQ(world.request_count, 0);
}

KIND_TEST(credential_google_refusals_never_repeat_the_assertion)
{
    put_key("/key.json", NAMED);
    answer("POST /token", 400, "{\"error\":\"invalid_grant\",\"error_description\":\"Invalid JWT Signature.\"}");
    CHECK_ERR(get("google", file("/key.json")), E_UPSTREAM);
    CHECK_SAYS("Google's token endpoint answered 400 invalid_grant: Invalid JWT Signature.");
}

/* --- people --- */

#define USER                                                                                                           \
    "{\"type\":\"authorized_user\",\"client_id\":\"id\",\"client_secret\":\"cs\",\"refresh_token\":\"r/t\","           \
    "\"quota_project_id\":\"mine\"}"

KIND_TEST(credential_google_refresh_tokens_are_exchanged)
{
    struct credential_options o = {.google = {.token_url = STR(BASE "/token")}};

    set_env("HOME", "/home/me");
    put_file("/home/me/.config/gcloud/application_default_credentials.json", USER);
    answer("POST /token", 200, HOUR_TOKEN("abc"));
    CHECK_OK(get("google", o));
    CHECK_STR(got.token, "Bearer abc");
    CHECK_STR(got.quota_project, "mine");
    CHECK(sent(1, "\n\ngrant_type=refresh_token&client_id=id&client_secret=cs&refresh_token=r%2Ft"));
    put_file("/home/me/.config/gcloud/application_default_credentials.json",
             "{\"type\":\"authorized_user\",\"client_id\":\"id\",\"client_secret\":\"cs\"}");
    CHECK_ERR(get("google", o), E_CONFIG);
    CHECK_SAYS("has no \"refresh_token\"");
}

/* --- machines, and the order --- */

KIND_TEST(credential_google_tokens_come_from_google_unless_the_file_says_otherwise)
{
    put_file("/user.json", USER);
    answer("POST /token oauth2.googleapis.com\n", 200, HOUR_TOKEN("abc"));
    CHECK_OK(get("google", file("/user.json")));
    put_file("/key.json", "{\"type\":\"external_account\",\"audience\":\"a\",\"subject_token_type\":\"t\","
                          "\"credential_source\":{\"file\":\"/user.json\"}}");
    answer("POST /v1/token sts.googleapis.com\n", 200, HOUR_TOKEN("def"));
    CHECK_OK(get("google", file("/key.json")));
    CHECK_STR(got.token, "Bearer def");
}

KIND_TEST(credential_google_machines_ask_their_metadata_server)
{
    answer("GET /computeMetadata/v1/instance/service-accounts/default/token?scopes=" SCOPE_CODED
           " metadata.google.internal\n",
           200, HOUR_TOKEN("abc"));
    CHECK_OK(get("google", (struct credential_options){0}));
    CHECK_STR(got.token, "Bearer abc");
    CHECK(sent(1, "\nmetadata-flavor: Google\n"));
    forget_answers();
    answer("GET /computeMetadata/v1/instance/service-accounts/default/token?scopes=a,b 127.0.0.1:8080\n", 200,
           HOUR_TOKEN("abc"));
    set_env("GCE_METADATA_HOST", "127.0.0.1:8080");
    CHECK_OK(get("google-metadata", (struct credential_options){.google = {.scope = STR("a b")}}));
    CHECK_OK(get("google-metadata",
                 (struct credential_options){.google = {.scope = STR("a  b"), .metadata_url = STR(BASE)}}));
}

KIND_TEST(credential_google_files_go_before_the_metadata_server)
{
    set_env("HOME", "/home/me");
    set_env("GOOGLE_APPLICATION_CREDENTIALS", "/named.json");
    put_file("/home/me/.config/gcloud/application_default_credentials.json", "of no use");
    put_key("/named.json", NAMED);
    answer("POST /token", 200, HOUR_TOKEN("named"));
    answer("GET /computeMetadata", 200, HOUR_TOKEN("machine"));
    CHECK_OK(get("google", (struct credential_options){0}));
    CHECK_STR(got.token, "Bearer named");
    put_file("/other.json", "of no use");
    CHECK_ERR(get("google", file("/other.json")), E_CONFIG);
    set_env("CLOUDSDK_CONFIG", "/gcloud");
    world.variables[1][1] = "";
    CHECK_OK(get("google", (struct credential_options){0}));
    CHECK_STR(got.token, "Bearer machine");
    forget_answers();
    CHECK_ERR(get("google", (struct credential_options){0}), E_UPSTREAM);
    CHECK_SAYS("there is no credentials file (GOOGLE_APPLICATION_CREDENTIALS), and: Google's metadata server "
               "answered 404");
}

/* --- federation --- */

static void put_federation(const char *source, const char *more)
{
    struct str text =
        arena_printf(&world.arena,
                     "{\"type\":\"external_account\",\"audience\":\"//iam/pool\",\"subject_token_type\":\"urn:jwt\","
                     "\"token_url\":\"" BASE "/sts\",\"credential_source\":{%s}%s}",
                     source, more);
    sim_world_put_file(world.sim, "/key.json", text.p, text.n);
}

#define EXCHANGE                                                                                                       \
    "\n\ngrant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&audience=%2F%2Fiam%2Fpool"               \
    "&scope=" SCOPE_CODED "&requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token"              \
    "&subject_token="

KIND_TEST(credential_google_federation_takes_its_token_from_a_file)
{
    put_file("/token", "from-file\n");
    put_federation("\"file\":\"/token\"", ",\"quota_project_id\":\"mine\"");
    answer("POST /sts", 200, HOUR_TOKEN("abc"));
    CHECK_OK(get("google", file("/key.json")));
    CHECK_STR(got.token, "Bearer abc");
    CHECK_STR(got.quota_project, "mine");
    CHECK(sent(1, EXCHANGE "from-file&subject_token_type=urn%3Ajwt"));
    put_file("/token", "{\"nested\":\"inside\"}");
    put_federation("\"file\":\"/token\",\"format\":{\"type\":\"json\",\"subject_token_field_name\":\"nested\"}", "");
    CHECK_OK(get("google-external-account", file("/key.json")));
    CHECK(sent(2, EXCHANGE "inside&"));
    put_file("/token", "{}");
    CHECK_ERR(get("google", file("/key.json")), E_CONFIG);
    CHECK_SAYS("subject_token_field_name");
    put_file("/token", "text");
    CHECK_ERR(get("google", file("/key.json")), E_CONFIG);
    CHECK_SAYS("does not give JSON");
    put_federation("\"executable\":{}", "");
    CHECK_ERR(get("google", file("/key.json")), E_CONFIG);
    CHECK_SAYS("neither \"file\" nor \"url\"");
}

KIND_TEST(credential_google_federation_takes_its_token_from_an_endpoint)
{
    put_federation("\"url\":\"http://169.254.169.254/metadata/token?r=x\",\"headers\":{\"Metadata\":\"True\",\"x-b\":"
                   "\"c\"},\"format\":{\"type\":\"json\",\"subject_token_field_name\":\"access_token\"}",
                   "");
    answer("GET /metadata/token?r=x 169.254.169.254\n", 200, "{\"access_token\":\"from-azure\"}");
    answer("POST /sts", 200, HOUR_TOKEN("abc"));
    CHECK_OK(get("google", file("/key.json")));
    CHECK(sent(1, "\nMetadata: True\n"));
    CHECK(sent(1, "\nx-b: c\n"));
    CHECK(sent(2, EXCHANGE "from-azure&"));
}

KIND_TEST(credential_google_federation_can_act_as_a_service_account)
{
    struct credential_options o = file("/key.json");

    o.google.scope = STR("a  \"b ");
    put_file("/token", "subject");
    put_federation("\"file\":\"/token\"", ",\"service_account_impersonation_url\":\"" BASE
                                          "/sa:generateAccessToken\",\"service_account_impersonation\":"
                                          "{\"token_lifetime_seconds\":2800}");
    answer("POST /sts", 200, HOUR_TOKEN("federated"));
    answer("POST /sa:generateAccessToken", 200,
           "{\"accessToken\":\"acting\",\"expireTime\":\"2026-01-01T00:46:40.5Z\"}");
    CHECK_OK(get("google", o));
    CHECK_STR(got.token, "Bearer acting");
    CHECK_LIFE(2800);
    CHECK(sent(1, EXCHANGE "subject&"));
    CHECK(sent(2, "\nauthorization: Bearer federated\n"));
    CHECK(sent(2, "\ncontent-type: application/json\n"));
    CHECK(sent(2, "\n\n{\"scope\":[\"a\",\"\\\"b\"],\"lifetime\":\"2800s\"}"));
    forget_answers();
    answer("POST /sts", 200, HOUR_TOKEN("federated"));
    answer("POST /sa", 200, "{\"accessToken\":\"acting\",\"expireTime\":\"tomorrow\"}");
    CHECK_ERR(get("google", o), E_UPSTREAM);
    CHECK_SAYS("no accessToken with its expireTime");
}

KIND_TEST(credential_google_federation_signs_a_request_to_aws)
{
    set_env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
    set_env("AWS_SECRET_ACCESS_KEY", "aws-secret");
    set_env("AWS_SESSION_TOKEN", "session");
    put_federation("\"environment_id\":\"aws1\",\"region_url\":\"http://169.254.169.254/zone\","
                   "\"regional_cred_verification_url\":\"https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&"
                   "Version=2011-06-15\"",
                   "");
    answer("GET /zone", 200, "eu-west-1b\n");
    answer("POST /sts", 200, HOUR_TOKEN("abc"));
    CHECK_OK(get("google", file("/key.json")));
    /* JSON, percent-coded, and that once more in the form */
    CHECK(sent(2, EXCHANGE "%257B%2522url%2522%253A%2522https%253A%252F%252Fsts.eu-west-1.amazonaws.com%253FAction"));
    CHECK(sent(2, "%2522method%2522%253A%2522POST%2522"));
    CHECK(sent(2, "%2522x-goog-cloud-target-resource%2522%252C%2522value%2522%253A%2522%252F%252Fiam%252Fpool%2522"));
    CHECK(sent(2, "%2522host%2522%252C%2522value%2522%253A%2522sts.eu-west-1.amazonaws.com%2522"));
    CHECK(sent(2, "AKIDEXAMPLE%252F20260101%252Feu-west-1%252Fsts%252Faws4_request"));
    CHECK(sent(2, "x-amz-security-token"));
    CHECK(!strstr(world.requests[1].p, "aws-secret"));
    set_env("AWS_REGION", "us-east-2");
    CHECK_OK(get("google", file("/key.json")));
    CHECK(sent(3, "sts.us-east-2.amazonaws.com"));
    world.variables[0][1] = "";
    forget_answers();
    set_env("AWS_EC2_METADATA_DISABLED", "true");
    CHECK_ERR(get("google", file("/key.json")), E_CONFIG);
    CHECK_SAYS("there are no AWS credentials: AWS_ACCESS_KEY_ID is not set");
}
