/* webhook.c - each scheme puts together what was signed, and holds the header's digests against its own. A header may have several; one is enough. */
#include "pipeline/door/webhook.h"

#include "codec/base64.h"
#include "codec/digest.h"

enum { SECRET_MAX = 1024, PARTS_MAX = 5 };

static err_t refuse(void)
{
    return fail(E_AUTH, "the signature is missing or wrong");
}

static bool is_mac(const unsigned char mac[SHA256_BYTES], const unsigned char *other)
{
    return str_eq_secret(str_of((const char *)mac, SHA256_BYTES), str_of((const char *)other, SHA256_BYTES));
}

/* Seconds since 1970, near enough to now? */
static err_t check_time(const struct webhook_rules *rules, struct str text, int64_t now)
{
    uint64_t then;

    if (!str_to_u64(text, INT64_MAX / NS_SEC, &then))
        return refuse();
    int64_t apart = now - (int64_t)then * NS_SEC;
    if (apart > rules->tolerance || apart < -rules->tolerance)
        return fail(E_AUTH, "the message's timestamp is too far from the present time");
    return OK;
}

static err_t verify_hex(const struct webhook_rules *rules, const struct http_head *head, struct str body)
{
    struct str given = str_trim(http_head_find(head, rules->header)), prefix = STR("sha256=");
    unsigned char mac[SHA256_BYTES], other[SHA256_BYTES];

    if (str_starts(given, prefix))
        given = str_slice(given, prefix.n, given.n);
    hmac_sha256(rules->secret, &body, 1, mac);
    return given.n == SHA256_HEX && hex_decode(other, sizeof other, given) && is_mac(mac, other) ? OK : refuse();
}

static err_t verify_stripe(const struct webhook_rules *rules, const struct http_head *head, struct str body,
                           int64_t now)
{
    struct str given = http_head_find(head, rules->header), rest = given, time = STR_NONE;
    unsigned char mac[SHA256_BYTES], other[SHA256_BYTES];
    bool fits = false;

    while (rest.n && !time.n) {
        struct str value = str_trim(str_cut(&rest, ',')), name = str_cut(&value, '=');
        time = str_eq(name, STR("t")) ? value : STR_NONE;
    }
    TRY(check_time(rules, time, now));
    const struct str parts[] = {time, STR_INIT("."), body};
    hmac_sha256(rules->secret, parts, ARRAY_LEN(parts), mac);
    for (rest = given; rest.n && !fits;) {
        struct str value = str_trim(str_cut(&rest, ',')), name = str_cut(&value, '=');
        fits = str_eq(name, STR("v1")) && value.n == SHA256_HEX && hex_decode(other, sizeof other, value) &&
               is_mac(mac, other);
    }
    return fits ? OK : refuse();
}

/* The key is the secret's bytes: base64 behind "whsec_". */
static err_t standard_key(const struct webhook_rules *rules, struct buf *key)
{
    struct str prefix = STR("whsec_"), secret = rules->secret;

    if (str_starts(secret, prefix))
        secret = str_slice(secret, prefix.n, secret.n);
    return base64_decode(key, secret, BASE64);
}

static bool is_standard(const unsigned char mac[SHA256_BYTES], struct str one)
{
    struct buf bytes CLEANUP(buf_release) = BUF_INIT(SHA256_BYTES + 2);

    return str_eq(str_cut(&one, ','), STR("v1")) && base64_decode(&bytes, one, BASE64) == OK &&
           bytes.n == SHA256_BYTES && is_mac(mac, (const unsigned char *)bytes.p);
}

static err_t verify_standard(const struct webhook_rules *rules, const struct http_head *head, struct str body,
                             int64_t now)
{
    struct buf key CLEANUP(buf_release) = BUF_INIT(SECRET_MAX);
    struct str id = http_head_find(head, STR("webhook-id")), time = http_head_find(head, STR("webhook-timestamp"));
    struct str rest = http_head_find(head, rules->header);
    unsigned char mac[SHA256_BYTES];
    bool fits = false;

    TRY(check_time(rules, time, now));
    TRY(standard_key(rules, &key));
    const struct str parts[PARTS_MAX] = {id, STR_INIT("."), time, STR_INIT("."), body};
    hmac_sha256(buf_str(&key), parts, PARTS_MAX, mac);
    while (rest.n && !fits)
        fits = is_standard(mac, str_trim(str_cut(&rest, ' ')));
    return fits ? OK : refuse();
}

err_t webhook_verify(const struct webhook_rules *rules, const struct http_head *head, struct str body, int64_t now)
{
    switch ((enum webhook_scheme)rules->scheme) {
    case WEBHOOK_HEX:
        break;
    case WEBHOOK_STRIPE:
        return verify_stripe(rules, head, body, now);
    case WEBHOOK_STANDARD:
        return verify_standard(rules, head, body, now);
    }
    return verify_hex(rules, head, body);
}

bool webhook_secret_is_fit(const struct webhook_rules *rules)
{
    struct buf key CLEANUP(buf_release) = BUF_INIT(SECRET_MAX);

    if (rules->scheme == WEBHOOK_STANDARD)
        return standard_key(rules, &key) == OK && key.n > 0;
    return rules->secret.n > 0;
}
