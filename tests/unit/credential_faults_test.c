/* credential_faults_test.c - a chain of everything over a bad network and disk, and cut off at each of its waits: it ends rightly or with an error, and
 * leaves nothing behind. */
#include "unit/credential_world.h"
#include "unit/jwt_keys.h"

static const struct credential_options google_of_file = {.google = {.file = STR_INIT("/federation.json")}};

static void set_up(void)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(16 * 1024);

    buf_add_lit(&b, "{\"type\":\"service_account\",\"client_email\":\"me\",\"private_key\":\"");
    buf_add_json(&b, str_from_c(rsa_pem));
    buf_add_lit(&b, "\",\"token_uri\":\"" BASE "/token\"}");
    sim_world_put_file(world.sim, "/key.json", b.p, b.n);
    put_file("/federation.json",
             "{\"type\":\"external_account\",\"audience\":\"a\",\"subject_token_type\":\"t\",\"token_url\":"
             "\"" BASE "/sts\",\"credential_source\":{\"file\":\"/token\"},"
             "\"service_account_impersonation_url\":\"" BASE "/act\"}");
    put_file("/token", "subject");
    set_env("HOME", "/home/me");
    set_env("AWS_PROFILE", "p");
    put_file("/home/me/.aws/config", "[profile p]\nrole_arn=r\ncredential_source=Ec2InstanceMetadata\n");
    answer("POST /token", 200, HOUR_TOKEN("good"));
    answer("POST /sts", 200, HOUR_TOKEN("federated"));
    answer("POST /act", 200, "{\"accessToken\":\"good\",\"expireTime\":\"2027-01-01T00:00:00Z\"}");
    answer("PUT /latest/api/token", 200, "session");
    answer("GET /latest/meta-data/iam/security-credentials/ ", 200, "role");
    answer("GET /latest/meta-data/iam/security-credentials/role", 200,
           "{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\",\"Token\":\"c\",\"Expiration\":\"2027-01-01T00:00:00Z\"}");
    answer("POST / ", 200,
           "<A><AccessKeyId>good</AccessKeyId><SecretAccessKey>b</SecretAccessKey><SessionToken>c</SessionToken>"
           "<Expiration>2027-01-01T00:00:00Z</Expiration></A>");
}

static SUSPENDS bool ends_rightly(const char *kind, struct credential_options o)
{
    err_t e = get(kind, o);

    if (e != OK)
        return (e == E_UPSTREAM || e == E_CONFIG) && str_starts(str_from_c(got.error), STR("credential of provider p"));
    return str_eq(got.token, STR("Bearer good")) || str_eq(got.access_key_id, STR("good"));
}

static unsigned good, bad;

static void ask_all(void)
{
    struct credential_options aws = {.aws = {.sts_url = STR(BASE)}}, key = {.google = {.file = STR("/key.json")}};

    set_up();
    for (int i = 0; i < 3; i++) {
        CHECK_MSG(ends_rightly("aws", aws), "%s %s %s", got.error ? got.error : "", got.token.p, got.access_key_id.p);
        bad += got.error != NULL;
        CHECK_MSG(ends_rightly("google", google_of_file), "%s %s %s", got.error ? got.error : "", got.token.p,
                  got.access_key_id.p);
        bad += got.error != NULL;
        CHECK_MSG(ends_rightly("google", key), "%s %s %s", got.error ? got.error : "", got.token.p,
                  got.access_key_id.p);
        bad += got.error != NULL;
        good += 3;
    }
}

TEST(credential_over_a_bad_network_and_disk_it_ends_rightly_or_with_an_error)
{
    const struct sim_faults faults = {.connect_refused = 50,
                                      .connect_lost = 20,
                                      .reset = 20,
                                      .half_close = 20,
                                      .short_read = 200,
                                      .short_write = 200,
                                      .stall = 20,
                                      .disk_error = 20,
                                      .spurious_event = 100};

    good = bad = 0;
    for (uint64_t round = 0; round < test_rounds(25) && !test_failed(); round++) {
        test_context("seed %llu", (unsigned long long)(test_seed() + round));
        in_world_of(&(struct sim_options){.seed = test_seed() + round, .faults = faults}, ask_all);
    }
    test_context("%s", "");
    good -= bad;
    CHECK_GT(good, 0);
    CHECK_GT(bad, 0); /* else the faults were none */
}

/* --- cut off at each wait --- */

static unsigned waits_left; /* before the renewal is cancelled; 0: it is not */

static void on_park(struct fiber *f)
{
    if (strcmp(fiber_name(f), "credential") == 0 && waits_left && --waits_left == 0)
        fiber_cancel(f);
}

static SUSPENDS bool is_cut_off(unsigned n, const char *kind, struct credential_options o)
{
    waits_left = n;
    bool right = ends_rightly(kind, o);
    bool was_cut = waits_left == 0;

    waits_left = 0;
    if (!right || was_cut != (got.error && strstr(got.error, "the process is ending")))
        test_fail_(__FILE__, __LINE__, "%s cut off at wait %u: %s", kind, n, got.error);
    return was_cut;
}

static void ask_and_be_cut_off(void)
{
    struct credential_options aws = {.aws = {.sts_url = STR(BASE)}};
    unsigned cut = 0, before;

    set_up();
    fiber_set_park_hook(on_park);
    for (unsigned n = 1; !test_failed(); n++) {
        before = cut;
        cut += is_cut_off(n, "aws", aws);
        cut += is_cut_off(n, "google", google_of_file);
        if (cut == before)
            break;
    }
    fiber_set_park_hook(NULL);
    CHECK_GT(cut, 10);
}

TEST(credential_cut_off_at_each_wait_it_leaves_nothing)
{
    in_world(ask_and_be_cut_off);
}
