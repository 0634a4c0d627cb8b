/*
 * jwt.h - signing JSON Web Tokens (RFC 7519) in the compact form of RFC 7515, over libcrypto. Pure: header, claims and with them the time are
 * handed in.
 *
 * The key decides the algorithm (RFC 7518): RSA of at least 2048 bits signs RS256, elliptic keys on P-256 sign ES256.
 *
 *     TRY(jwt_key_parse(pem, &key));
 *     jwt_header(&header, key, STR("key-1"));              // {"alg":"RS256","typ":"JWT","kid":"key-1"}
 *     TRY(jwt_sign(&token, key, buf_str(&header), STR("{\"iss\":\"me\"}")));
 *
 * Not here: verifying, and encrypted tokens.
 */
#ifndef CODEC_JWT_H
#define CODEC_JWT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct jwt_key;

/* A private key from PEM text (PKCS #8, PKCS #1 or SEC 1; at most 64 KiB, not encrypted). jwt_key_free() frees it. E_PARSE
 * with the reason, which never quotes the text. */
err_t jwt_key_parse(struct str pem, struct jwt_key **ret) MUST_CHECK;
/* NULL is allowed. */
void jwt_key_free(struct jwt_key *k);
static inline void jwt_key_free_p(struct jwt_key **k)
{
    jwt_key_free(*k);
}
/* Append the JOSE header as JSON: algorithm, type and, unless it is empty, the id of the key. E_TOO_LARGE of the buf. */
err_t jwt_header(struct buf *to, const struct jwt_key *k, struct str kid);
/*
 * Append the signed token of `header` and `claims`, which are JSON texts and go in byte for byte.
 *
 * Takes milliseconds with RSA: call it on a worker. From any thread. Nothing is appended on failure.
 *
 * Errors: E_TOO_LARGE of the buf; E_UNSUPPORTED if libcrypto refuses to sign.
 */
err_t jwt_sign(struct buf *to, const struct jwt_key *k, struct str header, struct str claims) MUST_CHECK;

#endif
