/*
 * tls_trust.c - the system's certificate authorities.
 *
 * Parsing them takes about 20 ms and some megabytes, so it happens once per process, on whichever worker first needs it, and
 * all contexts share the one X509_STORE by reference. The bundle is read through the disk seam: the real one, as the
 * file belongs to the machine and not to a simulated world.
 *
 * Not done: reloading. Authorities that are installed later count from the next start of the process.
 */
#include "net/tls_int.h"

#include "base/buf.h"
#include "rt/file.h"
#include "rt/seam.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

enum { BUNDLE_MAX = 8 * 1024 * 1024 };

/* Where the distributions keep it, most common first. */
static const char *const bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt",                /* Debian, Ubuntu, Alpine, Arch */
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* Fedora, RHEL                 */
    "/etc/ssl/ca-bundle.pem",                            /* SUSE                         */
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
};

static const char *chosen; /* set before loops run; NULL: look at the usual places */
static CRYPTO_ONCE system_once = CRYPTO_ONCE_STATIC_INIT;
static X509_STORE *system_store; /* written once, under system_once */
static char system_error[ERR_TEXT_MAX];

void tls_trust_file(const char *path)
{
    chosen = path;
}

/* The whole file; false if it cannot be read or is empty. */
static bool read_file(const char *path, struct buf *to)
{
    return file_read(seams_real(), path, to->max, to) == OK && to->n > 0;
}

/* Add what can be parsed; returns false at the first that cannot, unless `lenient`. */
static bool add_all(X509_STORE *store, BIO *from, bool lenient, size_t *count)
{
    for (;;) {
        size_t before = BIO_ctrl_pending(from);
        X509 *cert = PEM_read_bio_X509(from, NULL, NULL, NULL);
        if (cert) {
            *count += X509_STORE_add_cert(store, cert) == 1;
            X509_free(cert);
            continue;
        }
        if (ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
            return true; /* nothing but the rest of the file */
        if (!lenient || BIO_ctrl_pending(from) == before)
            return false;
        ERR_clear_error();
    }
}

err_t tls_trust_add(X509_STORE *store, struct str pem, bool lenient, size_t *ret_count)
{
    size_t count = 0;

    if (pem.n > INT32_MAX)
        return fail(E_CONFIG, "certificates: more than 2 GiB");
    BIO *from = BIO_new_mem_buf(pem.p, (int)pem.n);
    if (!from)
        return tls_config_error("certificates");
    ERR_clear_error();
    bool ok = add_all(store, from, lenient, &count) && (lenient || count > 0);
    err_t e = ok ? OK : tls_config_error("certificates of authorities");
    ERR_clear_error();
    BIO_free(from);
    if (!e)
        *ret_count = count;
    return e;
}

static bool load_bundle(const char *path, X509_STORE *store)
{
    struct buf pem CLEANUP(buf_release) = BUF_INIT(BUNDLE_MAX);
    size_t count = 0;

    return path && read_file(path, &pem) && tls_trust_add(store, buf_str(&pem), true, &count) == OK && count > 0;
}

static void load_system(void)
{
    X509_STORE *store = X509_STORE_new();

    bool loaded = store && load_bundle(chosen, store);
    for (size_t i = 0; store && !chosen && !loaded && i < ARRAY_LEN(bundles); i++)
        loaded = load_bundle(bundles[i], store);
    if (loaded) {
        system_store = store;
        return;
    }
    X509_STORE_free(store);
    (void)fail(E_CONFIG,
               "no certificate authorities found in %s; install ca-certificates, or name a file in SSL_CERT_FILE",
               chosen ? chosen : bundles[0]);
    memccpy(system_error, err_detail(E_CONFIG), '\0', sizeof system_error);
}

err_t tls_trust_system(X509_STORE **ret)
{
    if (!CRYPTO_THREAD_run_once(&system_once, load_system))
        return tls_config_error("certificate authorities");
    if (!system_store)
        return fail(E_CONFIG, "%s", system_error);
    *ret = system_store;
    return OK;
}
