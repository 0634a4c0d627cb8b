/* credential_azure_test.c - Entra credentials: what each kind asks, where, and what it makes of the answers. */
#include "unit/credential_world.h"

#define SECRET "s3cr&t value"

static struct credential_options with_secret(void)
{
    static const char secret[] = SECRET;

    return (struct credential_options){.azure = {.tenant = STR("ten/ant"),
                                                 .client_id = STR("app"),
                                                 .client_secret = {(char *)(uintptr_t)secret, sizeof secret - 1},
                                                 .authority = STR(BASE)}};
}

KIND_TEST(credential_azure_secrets_are_exchanged_at_the_tenants_endpoint)
{
    answer("POST /ten%2Fant/oauth2/v2.0/token", 200, HOUR_TOKEN("abc"));
    CHECK_OK(get("azure-client-secret", with_secret()));
    CHECK_STR(got.token, "Bearer abc");
    CHECK_LIFE(3600);
    CHECK(sent(1, "content-type: application/x-www-form-urlencoded\n"));
    CHECK(sent(1, "\n\ngrant_type=client_credentials&client_id=app"
                  "&scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default&client_secret=s3cr%26t%20value"));
    CHECK_EQ(world.request_count, 1);
}

KIND_TEST(credential_azure_settings_come_from_the_environment_and_the_configuration_goes_before)
{
    set_env("AZURE_TENANT_ID", "t");
    set_env("AZURE_CLIENT_ID", "not-this-one");
    set_env("AZURE_CLIENT_SECRET", "s");
    set_env("AZURE_AUTHORITY_HOST", BASE "/");
    answer("POST /t/oauth2/v2.0/token", 200, HOUR_TOKEN("abc"));
    CHECK_OK(get("azure", (struct credential_options){.azure = {.client_id = STR("app"), .scope = STR("mine")}}));
    CHECK(sent(1, "client_id=app&scope=mine&client_secret=s"));
}

KIND_TEST(credential_azure_tokens_come_from_microsoft_unless_configured)
{
    struct credential_options o = with_secret();

    o.azure.authority = STR_NONE;
    answer("POST /ten%2Fant/oauth2/v2.0/token login.microsoftonline.com\n", 200, HOUR_TOKEN("abc"));
    CHECK_OK(get("azure-client-secret", o));
}

KIND_TEST(credential_azure_workload_identities_send_the_mounted_token)
{
    set_env("AZURE_TENANT_ID", "t");
    set_env("AZURE_CLIENT_ID", "app");
    set_env("AZURE_AUTHORITY_HOST", BASE);
    set_env("AZURE_FEDERATED_TOKEN_FILE", "/token");
    put_file("/token", "head.body.sign\n");
    answer("POST /t/oauth2/v2.0/token", 200, HOUR_TOKEN("abc"));
    CHECK_OK(get("azure", (struct credential_options){0}));
    CHECK_STR(got.token, "Bearer abc");
    CHECK(sent(1, "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
                  "&client_assertion=head.body.sign"));
    put_file("/token", " \n");
    CHECK_ERR(get("azure", (struct credential_options){0}), E_CONFIG);
    CHECK_SAYS("/token: the token file is empty");
    CHECK_ERR(get("azure", (struct credential_options){.azure = {.token_file = STR("/none")}}), E_CONFIG);
    CHECK_SAYS("/none: No such file or directory; it is where the token should be mounted");
}

KIND_TEST(credential_azure_machines_ask_their_metadata_service)
{
    answer("GET /metadata/identity/oauth2/token", 200,
           "{\"access_token\":\"abc\",\"expires_in\":\"7200\",\"expires_on\":\"1\",\"resource\":\"r\"}");
    CHECK_OK(get("azure", (struct credential_options){0}));
    CHECK_STR(got.token, "Bearer abc");
    CHECK_LIFE(7200);
    CHECK(sent(1, "GET /metadata/identity/oauth2/token?api-version=2018-02-01"
                  "&resource=https%3A%2F%2Fcognitiveservices.azure.com 169.254.169.254\n"));
    CHECK(sent(1, "\nmetadata: true\n"));
    CHECK_OK(get("azure-managed-identity",
                 (struct credential_options){.azure = {.client_id = STR("mine"), .metadata_url = STR(BASE)}}));
    CHECK(sent(2, "&client_id=mine 127.0.0.1:8080\n"));
}

KIND_TEST(credential_azure_app_service_has_an_endpoint_of_its_own)
{
    set_env("IDENTITY_ENDPOINT", "http://127.0.0.1:8080/msi/token");
    set_env("IDENTITY_HEADER", "proof");
    answer("GET /msi/token?api-version=2019-08-01&resource=r", 200,
           "{\"access_token\":\"abc\",\"expires_on\":\"1767229200\"}"); /* 2026-01-01 01:00 */
    CHECK_OK(get("azure", (struct credential_options){.azure = {.scope = STR("r/.default")}}));
    CHECK_LIFE(3600);
    CHECK(sent(1, "\nx-identity-header: proof\n"));
    answer("GET /metadata", 200, HOUR_TOKEN("configured"));
    CHECK_OK(get("azure", (struct credential_options){.azure = {.metadata_url = STR(BASE)}}));
    CHECK_STR(got.token, "Bearer configured");
}

KIND_TEST(credential_azure_chains_say_what_is_missing)
{
    answer("GET /metadata", 400, "{\"error\":\"invalid_request\",\"error_description\":\"Identity not found\"}");
    CHECK_ERR(get("azure", (struct credential_options){0}), E_UPSTREAM);
    CHECK_SAYS("credential of provider p (azure): azure-managed-identity: Azure's metadata service answered 400 "
               "invalid_request: Identity not found");
    CHECK_ERR(get("azure-client-secret", (struct credential_options){0}), E_CONFIG);
    CHECK_SAYS("AZURE_CLIENT_SECRET is not set");
    set_env("AZURE_CLIENT_SECRET", "s");
    CHECK_ERR(get("azure-client-secret", (struct credential_options){0}), E_CONFIG);
    CHECK_SAYS("AZURE_TENANT_ID is not set");
    set_env("AZURE_TENANT_ID", "t");
    CHECK_ERR(get("azure-client-secret", (struct credential_options){0}), E_CONFIG);
    CHECK_SAYS("AZURE_CLIENT_ID is not set");
}

/* --- answers that are not what they should be: the same for every kind --- */

static SUSPENDS err_t get_with(int status, const char *body)
{
    forget_answers();
    answer("POST ", status, body);
    return get("azure-client-secret", with_secret());
}

KIND_TEST(credential_answers_that_hold_no_token_are_refused)
{
    static const struct {
        const char *body, *why;
    } cases[] = {{"", "is no JSON object"},
                 {"nonsense", "is no JSON object"},
                 {"[]", "is no JSON object"},
                 {"{\"access_token\":\"half", "is no JSON object"},
                 {"{}", "holds no access_token"},
                 {"{\"access_token\":1}", "holds no access_token"},
                 {"{\"access_token\":\"a\\nb\",\"expires_in\":3600}", "no header can carry"},
                 {"{\"access_token\":\"a\",\"expires_in\":0}", "expired already"},
                 {"{\"access_token\":\"a\",\"expires_on\":1}", "expired already"},
                 {"[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]", "is no JSON object"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK_ERR(get_with(200, cases[i].body), E_UPSTREAM);
        CHECK_SAYS(cases[i].why);
    }
}

KIND_TEST(credential_a_token_that_does_not_say_how_long_it_lives_is_renewed_soon)
{
    CHECK_OK(get_with(200, "{\"access_token\":\"a\"}"));
    CHECK_LIFE(300);
    CHECK_OK(get_with(200, "{\"access_token\":\"a\",\"expires_in\":-5}"));
    CHECK_LIFE(300);
    CHECK_OK(get_with(200, "{\"access_token\":\"a\",\"expires_in\":99999999999999999}"));
    CHECK_LIFE(1000000000LL);
    CHECK_OK(get_with(200, "{\"access_token\":\"a\",\"expires_on\":9223372036854775807}"));
    CHECK_LIFE(1000000000LL);
}

KIND_TEST(credential_refusals_are_told_without_secrets)
{
    CHECK_ERR(get_with(401, "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215: wrong\\u001b[1m\"}"),
              E_UPSTREAM);
    CHECK_SAYS("Entra's token endpoint answered 401 invalid_client: AADSTS7000215: wrong [1m");
    CHECK_ERR(get_with(400, "{\"error\":\"bad\",\"error_description\":\"your secret " SECRET " is wrong\"}"),
              E_UPSTREAM);
    CHECK_SAYS("answered 400 bad: (not shown: it repeats a secret)");
    CHECK_HIDES(SECRET);
    CHECK_ERR(get_with(400, "{\"error\":{\"status\":\"DENIED\",\"message\":\"no\"}}"), E_UPSTREAM);
    CHECK_SAYS("answered 400 DENIED: no");
    CHECK_ERR(get_with(403, "<Error><Code>AccessDenied</Code><Message>not &lt;you&gt;</Message></Error>"), E_UPSTREAM);
    CHECK_SAYS("answered 403 AccessDenied: not <you>");
    CHECK_ERR(get_with(404, "{\"code\":\"x\",\"message\":\"y\"}"), E_UPSTREAM);
    CHECK_SAYS("answered 404 x: y");
    const char *words = arena_printf(&world.arena, "{\"message\":\"%0130d\"}", 0).p;
    CHECK_ERR(get_with(400, words), E_UPSTREAM);
    CHECK_SAYS("0000000000");
    CHECK_HIDES(arena_printf(&world.arena, "%0130d", 0).p);
    CHECK_ERR(get_with(500, "<html>"), E_UPSTREAM);
    CHECK_SAYS("Entra's token endpoint answered 500");
    CHECK_ERR(get_with(302, ""), E_UPSTREAM);
    CHECK_SAYS("answered 302");
    CHECK_ERR(get_with(201, HOUR_TOKEN("abc")), E_UPSTREAM);
}

KIND_TEST(credential_secrets_do_not_leave_in_the_clear)
{
    struct credential_options o = with_secret();

    o.azure.authority = STR("http://login.example.com");
    CHECK_ERR(get("azure-client-secret", o), E_CONFIG);
    CHECK_SAYS("must be https");
    o.azure.authority = STR("ftp://127.0.0.1");
    CHECK_ERR(get("azure-client-secret", o), E_CONFIG);
    o.azure.authority = STR("http://user:pass@127.0.0.1:8080");
    CHECK_ERR(get("azure-client-secret", o), E_CONFIG);
    CHECK_HIDES("pass");
    o.azure.authority = STR("nonsense");
    CHECK_ERR(get("azure-client-secret", o), E_CONFIG);
    CHECK_EQ(world.request_count, 0);
    answer("POST ", 200, HOUR_TOKEN("abc"));
    o.azure.authority = STR("http://localhost:8080");
    CHECK_OK(get("azure-client-secret", o));
}

KIND_TEST(credential_endpoints_that_cannot_be_reached_are_named)
{
    struct credential_options o = with_secret();

    o.azure.authority = STR("http://127.0.0.1:9");
    CHECK_ERR(get("azure-client-secret", o), E_UPSTREAM);
    CHECK_SAYS("Entra's token endpoint: 127.0.0.1:9: ");
    sim_world_add_host(world.sim, "gone.test", NULL);
    o.azure.authority = STR("https://gone.test");
    CHECK_ERR(get("azure-client-secret", o), E_UPSTREAM);
    CHECK_SAYS("Entra's token endpoint: gone.test:443: gone.test: no such name");
}

KIND_TEST(credential_endpoints_that_do_not_answer_are_given_up_the_local_ones_soon)
{
    ns_t begun = rt_now();

    answer("GET ", 0, "");
    answer("POST ", 0, "");
    CHECK_ERR(get("azure-managed-identity", (struct credential_options){0}), E_UPSTREAM);
    CHECK_EQ((rt_now() - begun) / NS_SEC, 5);
    begun = rt_now();
    CHECK_ERR(get("azure-client-secret", with_secret()), E_UPSTREAM);
    CHECK_EQ((rt_now() - begun) / NS_SEC, 15);
    CHECK_SAYS("waiting for the first byte");
}

KIND_TEST(credential_endpoints_that_are_not_there_are_given_up_the_local_ones_soon)
{
    ns_t begun = rt_now();

    sim_world_set_faults(world.sim, &(struct sim_faults){.connect_lost = 1000});
    CHECK_ERR(get("azure-managed-identity", (struct credential_options){0}), E_UPSTREAM);
    CHECK_EQ((rt_now() - begun) / NS_SEC, 2);
    begun = rt_now();
    CHECK_ERR(get("azure-client-secret", with_secret()), E_UPSTREAM);
    CHECK_EQ((rt_now() - begun) / NS_SEC, 10);
    CHECK_SAYS("while connecting");
}

KIND_TEST(credential_proxies_are_for_https_endpoints_alone)
{
    struct credential_options o = with_secret();

    set_env("https_proxy", "http://127.0.0.1:8080");
    set_env("http_proxy", "http://127.0.0.1:9");
    answer("GET /metadata", 200, HOUR_TOKEN("abc"));
    CHECK_OK(get("azure-managed-identity", (struct credential_options){.proxy = STR("http://127.0.0.1:9")}));
    o.azure.authority = STR("https://login.test");
    CHECK_ERR(get("azure-client-secret", o), E_UPSTREAM);
    CHECK_SAYS("proxy 127.0.0.1:8080 refused the tunnel");
    o.proxy = STR("http://127.0.0.1:80");
    CHECK_ERR(get("azure-client-secret", o), E_UPSTREAM);
    CHECK_SAYS("proxy 127.0.0.1:80 refused the tunnel");
    o.proxy = STR("none");
    CHECK_ERR(get("azure-client-secret", o), E_UPSTREAM);
    CHECK_SAYS("login.test:443");
    CHECK_HIDES("proxy");
    set_env("no_proxy", "login.test");
    o.proxy = STR_NONE;
    CHECK_ERR(get("azure-client-secret", o), E_UPSTREAM);
    CHECK_HIDES("proxy");
}
