/* jwt_test.c - signing tokens: the vector of RFC 7515, and signatures that libcrypto's own verification accepts. */
#include "codec/jwt.h"

#include "codec/base64.h"
#include "unit/jwt_keys.h"
#include "unit/test.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

static struct buf token_of(const char *pem, struct str header, struct str claims)
{
    struct buf token = BUF_INIT(4096);
    struct jwt_key *key CLEANUP(jwt_key_free_p) = NULL;

    if (jwt_key_parse(str_from_c(pem), &key) != OK || jwt_sign(&token, key, header, claims) != OK)
        buf_clear(&token);
    return token;
}

static EVP_PKEY *read_key(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

    BIO_free(bio);
    return key;
}

static bool verifies(EVP_PKEY *key, struct str text, const void *sig, size_t n)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", NULL, NULL, key, NULL) == 1 &&
              EVP_DigestVerify(ctx, sig, n, (const unsigned char *)text.p, text.n) == 1;

    EVP_MD_CTX_free(ctx);
    return ok;
}

/* Split "a.b.c": what is signed, and the signature's bytes. */
static void split(struct str token, struct str *ret_text, struct buf *ret_sig)
{
    size_t dot = token.n;

    while (dot > 0 && token.p[dot - 1] != '.')
        dot--;
    CHECK_GT(dot, 0);
    *ret_text = str_slice(token, 0, dot - 1);
    CHECK_OK(base64_decode(ret_sig, str_slice(token, dot, token.n), BASE64_URL));
}

TEST(jwt_signs_the_example_of_rfc_7515_a2)
{
    struct buf token CLEANUP(buf_release) =
        token_of(rsa_pem, STR("{\"alg\":\"RS256\"}"),
                 STR("{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}"));

    CHECK_STR(
        buf_str(&token),
        "eyJhbGciOiJSUzI1NiJ9"
        ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
        ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdb"
        "F9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383"
        "LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWy"
        "wlVmtVrBp0igcN_IoypGlUPQGe77Rw");
}

TEST(jwt_rsa_signatures_verify)
{
    struct buf token CLEANUP(buf_release) = token_of(rsa_pem, STR("{}"), STR("{\"iat\":1}"));
    struct buf sig CLEANUP(buf_release) = BUF_INIT(1024);
    struct str text;

    split(buf_str(&token), &text, &sig);
    EVP_PKEY *key = read_key(rsa_pem);
    bool good = verifies(key, text, sig.p, sig.n), other = verifies(key, str_slice(text, 1, text.n), sig.p, sig.n);
    EVP_PKEY_free(key);
    CHECK(good);
    CHECK(!other);
}

/* A short r or s must be padded in front: many signatures, so that some have one. */
TEST(jwt_elliptic_signatures_are_two_bare_integers_that_verify)
{
    EVP_PKEY *key = read_key(p256_pem);
    bool all = true;

    for (int i = 0; all && i < 600; i++) {
        struct buf token CLEANUP(buf_release) = token_of(p256_pem, STR("{\"alg\":\"ES256\"}"), STR("{}"));
        struct buf sig CLEANUP(buf_release) = BUF_INIT(1024);
        struct str text = STR_NONE;
        unsigned char der[128], *at = der;
        split(buf_str(&token), &text, &sig);
        ECDSA_SIG *pair = ECDSA_SIG_new();
        all = sig.n == 64 && ECDSA_SIG_set0(pair, BN_bin2bn((unsigned char *)sig.p, 32, NULL),
                                            BN_bin2bn((unsigned char *)sig.p + 32, 32, NULL)) == 1;
        int n = i2d_ECDSA_SIG(pair, &at);
        all = all && verifies(key, text, der, (size_t)n);
        ECDSA_SIG_free(pair);
    }
    EVP_PKEY_free(key);
    CHECK(all);
}

TEST(jwt_headers_name_the_algorithm_of_the_key)
{
    struct jwt_key *rsa CLEANUP(jwt_key_free_p) = NULL, *ec CLEANUP(jwt_key_free_p) = NULL;
    struct buf b CLEANUP(buf_release) = BUF_INIT(60), small CLEANUP(buf_release) = BUF_INIT(10);

    CHECK_OK(jwt_key_parse(str_from_c(rsa_pem), &rsa));
    CHECK_OK(jwt_key_parse(str_from_c(p256_pem), &ec));
    CHECK_OK(jwt_header(&b, rsa, STR_NONE));
    CHECK_STR(buf_str(&b), "{\"alg\":\"RS256\",\"typ\":\"JWT\"}");
    buf_clear(&b);
    CHECK_OK(jwt_header(&b, ec, STR("a\"b")));
    CHECK_STR(buf_str(&b), "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"a\\\"b\"}");
    CHECK_ERR(jwt_header(&small, rsa, STR_NONE), E_TOO_LARGE);
    CHECK_EQ(small.n, 0);
}

TEST(jwt_a_token_that_does_not_fit_leaves_nothing)
{
    struct jwt_key *key CLEANUP(jwt_key_free_p) = NULL;
    struct buf b CLEANUP(buf_release) = BUF_INIT(100);

    CHECK_OK(jwt_key_parse(str_from_c(rsa_pem), &key));
    CHECK_OK(buf_add_lit(&b, "before"));
    CHECK_ERR(jwt_sign(&b, key, STR("{}"), STR("{}")), E_TOO_LARGE);
    CHECK_STR(buf_str(&b), "before");
}

static void refused(struct str pem, const char *why)
{
    struct jwt_key *key CLEANUP(jwt_key_free_p) = NULL;

    CHECK_ERR(jwt_key_parse(pem, &key), E_PARSE);
    CHECK_MSG(strstr(err_detail(E_PARSE), why), "%s", err_detail(E_PARSE));
    CHECK(!key);
}

/* The key in PEM, under a password if there is one. */
static struct str made(EVP_PKEY *key, char *password, BIO *to)
{
    char *text = NULL;

    (void)PEM_write_bio_PKCS8PrivateKey(to, key, password ? EVP_aes_128_cbc() : NULL, password,
                                        password ? (int)strlen(password) : 0, NULL, NULL);
    EVP_PKEY_free(key);
    long n = BIO_get_mem_data(to, &text);
    return str_of(text, (size_t)n);
}

TEST(jwt_keys_that_cannot_sign_are_refused_when_read)
{
    char password[] = "secret";
    BIO *bios[5];

    for (size_t i = 0; i < ARRAY_LEN(bios); i++)
        bios[i] = BIO_new(BIO_s_mem());
    refused(STR_NONE, "no private key");
    refused(STR("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "no private key");
    refused(made(EVP_RSA_gen(1024), NULL, bios[0]), "1024 bits");
    refused(made(EVP_EC_gen("P-384"), NULL, bios[1]), "P-256");
    refused(made(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), NULL, bios[2]), "P-256");
    refused(made(EVP_RSA_gen(2048), password, bios[3]), "encrypted");
    struct buf large CLEANUP(buf_release) = BUF_INIT(1 << 20);
    while (large.n <= 64 * 1024)
        buf_add(&large, STR("-----BEGIN PRIVATE KEY-----\n"));
    refused(buf_str(&large), "longer than");
    for (size_t i = 0; i < ARRAY_LEN(bios); i++)
        BIO_free(bios[i]);
}
