/*
 * digest.c - SHA-256 over libcrypto's EVP, with the algorithm fetched once.
 *
 * EVP_sha256() without a fetch makes libcrypto search its providers at every use, which costs more than hashing an API key.
 * The fetched EVP_MD is process-wide and lives as long as the process. HMAC is written out after RFC 2104 over the
 * same hash: libcrypto's own has a fetch and a parameter list per call.
 */
#include "codec/digest.h"

#include "base/err.h"
#include "base/mem.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdatomic.h>

enum { BLOCK = 64 };

struct sha256 {
    EVP_MD_CTX *ctx;
};

static _Atomic(EVP_MD *) fetched;

static const EVP_MD *algorithm(void)
{
    EVP_MD *md = atomic_load_explicit(&fetched, memory_order_acquire);
    if (LIKELY(md != NULL))
        return md;
    EVP_MD *mine = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (!mine)
        die("libcrypto has no SHA-256");
    if (atomic_compare_exchange_strong(&fetched, &md, mine))
        return mine;
    EVP_MD_free(mine); /* another thread was first */
    return md;
}

static void need(int ok)
{
    if (UNLIKELY(ok != 1))
        die("libcrypto cannot hash");
}

static void begin(EVP_MD_CTX *ctx)
{
    need(EVP_DigestInit_ex2(ctx, algorithm(), NULL));
}

static EVP_MD_CTX *start(void)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    need(ctx != NULL);
    begin(ctx);
    return ctx;
}

static void finish(EVP_MD_CTX *ctx, unsigned char ret_hash[SHA256_BYTES])
{
    need(EVP_DigestFinal_ex(ctx, ret_hash, NULL));
    EVP_MD_CTX_free(ctx);
}

static void add_parts(EVP_MD_CTX *ctx, const struct str *parts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        need(EVP_DigestUpdate(ctx, parts[i].p, parts[i].n));
}

void sha256_parts(const struct str *parts, size_t n, unsigned char ret_hash[SHA256_BYTES])
{
    EVP_MD_CTX *ctx = start();
    add_parts(ctx, parts, n);
    finish(ctx, ret_hash);
}

void sha256(struct str s, unsigned char ret_hash[SHA256_BYTES])
{
    sha256_parts(&s, 1, ret_hash);
}

void hmac_sha256(struct str key, const struct str *parts, size_t n, unsigned char ret_mac[SHA256_BYTES])
{
    unsigned char inner[BLOCK] = {0}, outer[BLOCK], hash[SHA256_BYTES];

    if (key.n > BLOCK)
        sha256(key, inner);
    else if (key.n)
        memcpy(inner, key.p, key.n);
    for (int i = 0; i < BLOCK; i++) {
        outer[i] = inner[i] ^ 0x5c;
        inner[i] ^= 0x36;
    }
    EVP_MD_CTX *ctx = start();
    need(EVP_DigestUpdate(ctx, inner, sizeof inner));
    add_parts(ctx, parts, n);
    finish(ctx, hash);
    struct str rest[2] = {str_of((const char *)outer, sizeof outer), str_of((const char *)hash, sizeof hash)};
    sha256_parts(rest, 2, ret_mac);
    OPENSSL_cleanse(inner, sizeof inner);
    OPENSSL_cleanse(outer, sizeof outer);
}

struct sha256 *sha256_new(void)
{
    struct sha256 *h = NEW(struct sha256);
    h->ctx = start();
    return h;
}

void sha256_add(struct sha256 *h, struct str s)
{
    add_parts(h->ctx, &s, 1);
}

void sha256_whole(struct sha256 *h, struct str s, unsigned char ret_hash[SHA256_BYTES])
{
    begin(h->ctx);
    add_parts(h->ctx, &s, 1);
    need(EVP_DigestFinal_ex(h->ctx, ret_hash, NULL));
}

void sha256_end(struct sha256 *h, unsigned char ret_hash[SHA256_BYTES])
{
    finish(h->ctx, ret_hash);
    mem_free(h);
}

void sha256_free(struct sha256 *h)
{
    if (!h)
        return;
    EVP_MD_CTX_free(h->ctx);
    mem_free(h);
}

void hex_encode(char *out, const void *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = bytes;

    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
}

bool hex_decode(unsigned char *out, size_t n, struct str text)
{
    if (text.n != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        uint64_t v;
        if (!str_hex_to_u64(str_of(text.p + 2 * i, 2), 255, &v))
            return false;
        out[i] = (unsigned char)v;
    }
    return true;
}
