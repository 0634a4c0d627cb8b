/* net_certs.h - certificates made on the spot, for tests that speak TLS. Static functions only. */
#ifndef UNIT_NET_CERTS_H
#define UNIT_NET_CERTS_H

#include "base/arena.h"
#include "base/err.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

/* A certificate with its key; an authority may issue others. */
struct cert {
    X509 *x509;
    EVP_PKEY *key;
    struct str cert_pem, key_pem; /* in the arena */
};

struct cert_options {
    const char *name;          /* common name */
    const char *alternatives;  /* "DNS:a,IP:127.0.0.1"; NULL: none */
    const struct cert *issuer; /* NULL: signs itself */
    bool authority;
    long from_day, to_day; /* from today; to_day 0: 30 */
};

static UNUSED struct str pem_of(struct arena *a, X509 *x509, EVP_PKEY *key)
{
    BIO *b = BIO_new(BIO_s_mem());
    char *p;

    if (x509 ? !PEM_write_bio_X509(b, x509) : !PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL))
        die("PEM");
    long n = BIO_get_mem_data(b, &p);
    struct str s = arena_str(a, str_of(p, (size_t)n));
    BIO_free(b);
    return s;
}

static UNUSED void cert_extend(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;

    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    if (!e || !X509_add_ext(x, e, -1))
        die("extension %s", value);
    X509_EXTENSION_free(e);
}

static UNUSED void cert_free(void *arg)
{
    struct cert *c = arg;

    X509_free(c->x509);
    EVP_PKEY_free(c->key);
}

/* A certificate that lives as long as the arena. */
static UNUSED struct cert *cert_make(struct arena *a, const struct cert_options *o)
{
    static long serial = 1;
    struct cert *c = arena_new(a, struct cert);
    X509 *x = X509_new();

    c->x509 = x;
    c->key = EVP_EC_gen("P-256");
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(x), o->from_day * 86400 - 60);
    X509_gmtime_adj(X509_getm_notAfter(x), (o->to_day ? o->to_day : 30) * 86400);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)o->name, -1, -1, 0);
    X509 *issuer = o->issuer ? o->issuer->x509 : x;
    X509_set_issuer_name(x, X509_get_subject_name(issuer));
    X509_set_pubkey(x, c->key);
    cert_extend(x, issuer, NID_basic_constraints, o->authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (o->alternatives)
        cert_extend(x, issuer, NID_subject_alt_name, o->alternatives);
    if (!X509_sign(x, o->issuer ? o->issuer->key : c->key, EVP_sha256()))
        die("sign");
    c->cert_pem = pem_of(a, x, NULL);
    c->key_pem = pem_of(a, NULL, c->key);
    arena_hold(a, c, cert_free);
    return c;
}

#endif
