/*
 * webhook.h - is a message from who it says? Signatures of webhooks: HMAC-SHA-256 over the body under a secret that both sides have. Pure.
 *
 * Schemes: `hex`, a header with the hex digest, with "sha256=" before it or not (GitHub, and many others); `stripe`, "t=…,v1=…" over "t.body";
 * `standard`, webhook-id, webhook-timestamp and webhook-signature over "id.timestamp.body", base64 (standardwebhooks.com, Svix).
 */
#ifndef PIPELINE_WEBHOOK_H
#define PIPELINE_WEBHOOK_H

#include "base/err.h"
#include "base/str.h"
#include "base/time.h"
#include "codec/http1.h"

enum webhook_scheme { WEBHOOK_HEX, WEBHOOK_STRIPE, WEBHOOK_STANDARD };

struct webhook_rules {
    int scheme;        /* enum webhook_scheme                                           */
    struct str header; /* that the signature is in                                      */
    struct str secret; /* as its owner writes it: of `standard` with or without "whsec_" */
    ns_t tolerance;    /* how old or how new a timestamp may be; of schemes that have one */
};

/* Is the signature right, at the wall clock `now` (nanoseconds since 1970)? E_AUTH with words for the sender. Compares in constant time. */
err_t webhook_verify(const struct webhook_rules *rules, const struct http_head *head, struct str body, int64_t now)
    MUST_CHECK;
/* Is the secret one that the scheme can work with? */
bool webhook_secret_is_fit(const struct webhook_rules *rules);

#endif
