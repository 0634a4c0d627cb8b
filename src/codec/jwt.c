/*
 * jwt.c - JWS signatures by libcrypto's EVP: PKCS #1 v1.5 with SHA-256 as it comes, ECDSA turned from DER into the two bare
 * integers that RFC 7518, section 3.4 asks for.
 *
 * A key that is too weak is refused when it is read, so that the mistake shows where the key is configured.
 */
#include "codec/jwt.h"

#include "base/mem.h"
#include "codec/base64.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

enum { PEM_MAX = 64 * 1024, RSA_BITS_LEAST = 2048, P256_BYTES = 32, SIGNATURE_MAX = 2048 };

struct jwt_key {
    EVP_PKEY *key;
    bool is_elliptic;
};

/* Without this one libcrypto would ask on the terminal. */
static int no_password(char *to, int size, int writing, void *ctx)
{
    (void)to;
    (void)size;
    (void)writing;
    (void)ctx;
    return -1;
}

static EVP_PKEY *read_pem(struct str pem)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;

    BIO_free(bio);
    ERR_clear_error();
    return key;
}

static bool is_p256(const EVP_PKEY *key)
{
    char group[32];
    size_t n;

    return EVP_PKEY_get_group_name(key, group, sizeof group, &n) == 1 && strcmp(group, "prime256v1") == 0;
}

static err_t check_strength(const EVP_PKEY *key)
{
    if (EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) < RSA_BITS_LEAST)
        return fail(E_PARSE, "the RSA key has %d bits; RS256 takes at least %d", EVP_PKEY_get_bits(key),
                    RSA_BITS_LEAST);
    if (EVP_PKEY_is_a(key, "RSA") || (EVP_PKEY_is_a(key, "EC") && is_p256(key)))
        return OK;
    return fail(E_PARSE, "the key is neither RSA nor on the curve P-256");
}

err_t jwt_key_parse(struct str pem, struct jwt_key **ret)
{
    if (pem.n > PEM_MAX)
        return fail(E_PARSE, "the private key is longer than %d bytes", PEM_MAX);
    EVP_PKEY *key = pem.n ? read_pem(pem) : NULL;
    if (!key)
        return fail(E_PARSE, "this is no private key in PEM, or it is encrypted");
    err_t e = check_strength(key);
    if (e != OK) {
        EVP_PKEY_free(key);
        return e;
    }
    struct jwt_key *k = NEW(struct jwt_key);
    k->key = key;
    k->is_elliptic = EVP_PKEY_is_a(key, "EC");
    *ret = k;
    return OK;
}

void jwt_key_free(struct jwt_key *k)
{
    if (!k)
        return;
    EVP_PKEY_free(k->key); /* wipes */
    mem_free(k);
}

err_t jwt_header(struct buf *to, const struct jwt_key *k, struct str kid)
{
    size_t before = to->n;

    buf_addf(to, "{\"alg\":\"%s\",\"typ\":\"JWT\"", k->is_elliptic ? "ES256" : "RS256");
    if (kid.n) {
        buf_add_lit(to, ",\"kid\":\"");
        buf_add_json(to, kid);
        buf_add_lit(to, "\"");
    }
    buf_add_lit(to, "}");
    err_t e = buf_status(to);
    if (e != OK)
        to->n = before;
    return e;
}

/* DER to r and s, each in as many bytes as the curve has. */
static bool der_to_bare(unsigned char *sig, size_t *n)
{
    const unsigned char *at = sig;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)*n);

    bool ok = pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), sig, P256_BYTES) == P256_BYTES &&
              BN_bn2binpad(ECDSA_SIG_get0_s(pair), sig + P256_BYTES, P256_BYTES) == P256_BYTES;
    *n = 2 * (size_t)P256_BYTES;
    ECDSA_SIG_free(pair);
    return ok;
}

static err_t sign(const struct jwt_key *k, struct str text, unsigned char sig[SIGNATURE_MAX], size_t *ret_n)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t n = SIGNATURE_MAX;

    bool ok = ctx && EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, k->key, NULL) == 1 &&
              EVP_DigestSign(ctx, sig, &n, (const unsigned char *)text.p, text.n) == 1 &&
              (!k->is_elliptic || der_to_bare(sig, &n));
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    *ret_n = n;
    return ok ? OK : fail(E_UNSUPPORTED, "libcrypto does not sign with this key");
}

static err_t append_signed(struct buf *to, const struct jwt_key *k, struct str header, struct str claims)
{
    unsigned char sig[SIGNATURE_MAX];
    size_t before = to->n, n;

    base64_encode(to, header, BASE64_URL);
    buf_add_char(to, '.');
    base64_encode(to, claims, BASE64_URL);
    TRY(buf_status(to));
    TRY(sign(k, str_of(to->p + before, to->n - before), sig, &n));
    buf_add_char(to, '.');
    return base64_encode(to, str_of((const char *)sig, n), BASE64_URL);
}

err_t jwt_sign(struct buf *to, const struct jwt_key *k, struct str header, struct str claims)
{
    size_t before = to->n;
    err_t e = append_signed(to, k, header, claims);

    if (e != OK)
        to->n = before;
    return e;
}
