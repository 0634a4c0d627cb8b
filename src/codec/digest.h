/*
 * digest.h - SHA-256, HMAC-SHA-256 and hex, over libcrypto.
 *
 * The algorithm is fetched once per process, and a hash of few bytes costs no search in libcrypto's providers. All functions may be
 * called from any thread.
 */
#ifndef CODEC_DIGEST_H
#define CODEC_DIGEST_H

#include "base/buf.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32, SHA256_HEX = 64 };

struct sha256;

/* Hash of `s`. */
void sha256(struct str s, unsigned char ret_hash[SHA256_BYTES]);
/* Hash of the parts joined. */
void sha256_parts(const struct str *parts, size_t n, unsigned char ret_hash[SHA256_BYTES]);
/* HMAC (RFC 2104) of the parts joined, under a key of any length. */
void hmac_sha256(struct str key, const struct str *parts, size_t n, unsigned char ret_mac[SHA256_BYTES]);

/* Hash of what comes piece by piece. sha256_new() … sha256_add() … sha256_end(), which frees; sha256_free() abandons. */
struct sha256 *sha256_new(void);
void sha256_add(struct sha256 *h, struct str s);
void sha256_end(struct sha256 *h, unsigned char ret_hash[SHA256_BYTES]);
void sha256_free(struct sha256 *h);
/* Hash one text after the other with the same state, which sha256_free() frees in the end: making one takes longer than hashing a key. */
void sha256_whole(struct sha256 *h, struct str s, unsigned char ret_hash[SHA256_BYTES]);

/* Lower-case hex of `n` bytes: 2n characters, no NUL. */
void hex_encode(char *out, const void *bytes, size_t n);
/* Bytes of exactly 2n hex digits of either case; false otherwise. */
bool hex_decode(unsigned char *out, size_t n, struct str text) MUST_CHECK;

#endif
