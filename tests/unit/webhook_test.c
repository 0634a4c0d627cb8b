/* webhook_test.c - signatures of webhooks: vectors that their senders publish, and what must be refused. */
#include "pipeline/door/webhook.h"

#include "codec/base64.h"
#include "codec/digest.h"
#include "unit/test.h"

#include <stdio.h>

struct signed_message {
    struct arena arena;
    struct http_head head;
    struct http_header headers[3];
};

static void add(struct signed_message *m, const char *name, struct str value)
{
    m->headers[m->head.count++] = (struct http_header){str_from_c(name), value};
    m->head.headers = m->headers;
    http_head_index(&m->head);
}

/* docs.github.com, "Validating webhook deliveries": testing the webhook payload validation. */
TEST(webhook_hex_takes_githubs_own_vector)
{
    struct signed_message m = {0};
    const struct webhook_rules rules = {.scheme = WEBHOOK_HEX,
                                        .header = STR_INIT("X-Hub-Signature-256"),
                                        .secret = STR_INIT("It's a Secret to Everybody")};

    add(&m, "x-hub-signature-256", STR("sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"));
    CHECK_OK(webhook_verify(&rules, &m.head, STR("Hello, World!"), 0));
    CHECK_ERR(webhook_verify(&rules, &m.head, STR("Hello, World?"), 0), E_AUTH);
    m.headers[0].value = STR("757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
    CHECK_OK(webhook_verify(&rules, &m.head, STR("Hello, World!"), 0));
    m.headers[0].value = STR("757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e");
    CHECK_ERR(webhook_verify(&rules, &m.head, STR("Hello, World!"), 0), E_AUTH);
    m.headers[0].value = STR("");
    CHECK_ERR(webhook_verify(&rules, &m.head, STR("Hello, World!"), 0), E_AUTH);
}

TEST(webhook_without_its_header_is_refused)
{
    struct signed_message m = {0};
    const struct webhook_rules hex = {.scheme = WEBHOOK_HEX, .header = STR_INIT("h"), .secret = STR_INIT("s")},
                               stripe = {.scheme = WEBHOOK_STRIPE, .header = STR_INIT("h"), .secret = STR_INIT("s")},
                               standard = {
                                   .scheme = WEBHOOK_STANDARD, .header = STR_INIT("h"), .secret = STR_INIT("c2Vj")};

    CHECK_ERR(webhook_verify(&hex, &m.head, STR("x"), 0), E_AUTH);
    CHECK_ERR(webhook_verify(&stripe, &m.head, STR("x"), 0), E_AUTH);
    CHECK_ERR(webhook_verify(&standard, &m.head, STR("x"), 0), E_AUTH);
}

/* As docs.stripe.com says that it is made: HMAC of "t.body" in hex. */
TEST(webhook_of_stripe_is_signed_with_its_time)
{
    struct signed_message m = {0};
    const struct webhook_rules rules = {.scheme = WEBHOOK_STRIPE,
                                        .header = STR_INIT("stripe-signature"),
                                        .secret = STR_INIT("whsec_x"),
                                        .tolerance = 300 * NS_SEC};
    const struct str signed_text = STR("1700000000.{\"id\":1}");
    unsigned char mac[SHA256_BYTES];
    char header[200], hex[SHA256_HEX + 1] = "";

    hmac_sha256(rules.secret, &signed_text, 1, mac);
    hex_encode(hex, mac, sizeof mac);
    (void)snprintf(header, sizeof header, "t=1700000000,v1=%064d,v1=%s,v0=1", 0, hex);
    add(&m, "Stripe-Signature", str_from_c(header));
    CHECK_OK(webhook_verify(&rules, &m.head, STR("{\"id\":1}"), INT64_C(1700000299) * NS_SEC));
    CHECK_OK(webhook_verify(&rules, &m.head, STR("{\"id\":1}"), INT64_C(1699999701) * NS_SEC));
    CHECK_ERR(webhook_verify(&rules, &m.head, STR("{\"id\":1}"), INT64_C(1700000301) * NS_SEC), E_AUTH);
    CHECK_ERR(webhook_verify(&rules, &m.head, STR("{\"id\":1}"), INT64_C(1699999699) * NS_SEC), E_AUTH);
    CHECK_ERR(webhook_verify(&rules, &m.head, STR("{\"id\":2}"), INT64_C(1700000000) * NS_SEC), E_AUTH);
    header[3] = '8'; /* another time than the signed one */
    CHECK_ERR(webhook_verify(&rules, &m.head, STR("{\"id\":1}"), INT64_C(1800000000) * NS_SEC), E_AUTH);
}

/* The vector of standardwebhooks.com's own libraries. */
TEST(webhook_of_the_standard_takes_its_vector)
{
    struct signed_message m = {0};
    struct webhook_rules rules = {.scheme = WEBHOOK_STANDARD,
                                  .header = STR_INIT("webhook-signature"),
                                  .secret = STR_INIT("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
                                  .tolerance = 300 * NS_SEC};
    const int64_t then = INT64_C(1614265330) * NS_SEC;
    struct str body = STR("{\"test\": 2432232314}");

    add(&m, "webhook-id", STR("msg_p5jXN8AQM9LWM0D4loKWxJek"));
    add(&m, "webhook-timestamp", STR("1614265330"));
    add(&m, "webhook-signature",
        STR("v1,bm9ldHUjKzFob2VudXRob2VodWUzMjRvdWVvdW9ldQo= "
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    CHECK_OK(webhook_verify(&rules, &m.head, body, then));
    CHECK_ERR(webhook_verify(&rules, &m.head, STR("{\"test\": 2432232315}"), then), E_AUTH);
    CHECK_ERR(webhook_verify(&rules, &m.head, body, then + 301 * NS_SEC), E_AUTH);
    m.headers[0].value = STR("msg_another");
    CHECK_ERR(webhook_verify(&rules, &m.head, body, then), E_AUTH);
    CHECK(webhook_secret_is_fit(&rules));
    rules.secret = STR("whsec_not base64");
    CHECK(!webhook_secret_is_fit(&rules));
}
