/*
 * credential.h - credentials that expire: bearer tokens and AWS keys, got where the provider says and renewed before they run out.
 *
 * A source belongs to one provider and one loop, so nothing on a request's way is shared between threads. It keeps the credential in use; a
 * request that finds a good one does not wait. Renewal is a fiber of its own: it begins before the old credential expires, there
 * is one at a time however many requests ask, and while it fails the old credential serves until it really expires.
 *
 *     struct credential *c;
 *     TRY(credential_get(source, &c));
 *     arena_hold(x->r->arena, c, credential_unref_void);   // or credential_unref(c) when done
 *     ... secret_reveal(&c->authorization) ...
 *
 * docs/internals/credentials.md tells which kinds there are and where each one looks.
 */
#ifndef CREDENTIAL_CREDENTIAL_H
#define CREDENTIAL_CREDENTIAL_H

#include "base/err.h"
#include "base/secret.h"
#include "base/str.h"
#include "base/time.h"
#include "rt/scope.h"

#include <stdbool.h>
#include <stdint.h>

struct credential_kind;
struct credential_source;
struct tls_ctx;

/* One credential; immutable, counted on its loop. Either `authorization` or the AWS key is set. */
struct credential {
    unsigned refs_;              /* private */
    struct secret authorization; /* value of the authorization header: "Bearer <token>"                      */
    struct str access_key_id;    /* AWS                                                                      */
    struct secret secret_access_key;
    struct secret session_token; /* empty: the key is a permanent one                                        */
    struct str quota_project;    /* Google: value of x-goog-user-project; empty: do not send it              */
    ns_t expires;                /* NS_NEVER: it does not                                                    */
};

/*
 * Where to look; what is empty is taken from the environment variables that the vendor's own SDKs read, else the vendor's default. The URLs
 * have no '/' at their end.
 */
struct google_params {
    struct str file;         /* credentials file; GOOGLE_APPLICATION_CREDENTIALS, else gcloud's file        */
    struct str scope;        /* separated by blanks; https://www.googleapis.com/auth/cloud-platform         */
    struct str token_url;    /* instead of the one in the credentials file                                  */
    struct str metadata_url; /* GCE_METADATA_HOST, else http://metadata.google.internal                     */
};

struct azure_params {
    struct str tenant;           /* AZURE_TENANT_ID                                                          */
    struct str client_id;        /* AZURE_CLIENT_ID; of managed identities: a user-assigned one              */
    struct secret client_secret; /* AZURE_CLIENT_SECRET                                                      */
    struct str token_file;       /* AZURE_FEDERATED_TOKEN_FILE                                               */
    struct str scope;            /* https://cognitiveservices.azure.com/.default                             */
    struct str authority;        /* AZURE_AUTHORITY_HOST, else https://login.microsoftonline.com             */
    struct str metadata_url;     /* http://169.254.169.254                                                   */
};

struct aws_params {
    struct str access_key_id; /* a key in the configuration goes before everything else                   */
    struct secret secret_access_key, session_token;
    struct str profile;       /* AWS_PROFILE, else "default"; given here, it goes before the environment     */
    struct str region;        /* of STS; AWS_REGION, AWS_DEFAULT_REGION, else the global endpoint            */
    struct str role_arn;      /* AWS_ROLE_ARN with web identity; of kind aws-assume-role                     */
    struct str external_id;   /* of aws-assume-role; empty: none                                             */
    struct str session_name;  /* AWS_ROLE_SESSION_NAME, else "crossdock"                                     */
    struct str token_file;    /* AWS_WEB_IDENTITY_TOKEN_FILE                                                 */
    struct str sts_url;       /* AWS_ENDPOINT_URL_STS                                                        */
    struct str container_url; /* of AWS_CONTAINER_CREDENTIALS_RELATIVE_URI; http://169.254.170.2             */
    struct str metadata_url;  /* AWS_EC2_METADATA_SERVICE_ENDPOINT, else http://169.254.169.254              */
};

struct credential_options {
    struct str provider;                /* its name, for messages                                            */
    const struct credential_kind *kind; /* credential_kind_find()                                            */
    struct google_params google;        /* used by the kinds of that vendor only, as are the next two        */
    struct azure_params azure;
    struct aws_params aws;
    struct str
        proxy; /* "http://host:port" for https endpoints; empty: as the environment says; "none": none. Never for metadata servers */
    struct tls_ctx *tls;                 /* of https endpoints; a reference is taken; NULL: the system's authorities */
    struct str (*env)(const char *name); /* the environment; STR_NONE from it: not set                       */
    struct scope *scope; /* renewals run in it; ends after the source was freed, or together with the loop */
};

/* The kind of that name ("aws", "google-metadata", …); NULL if there is none. */
const struct credential_kind *credential_kind_find(struct str name);

/* A source on this loop, without a credential yet. Copies the options' texts and secrets. credential_source_free() frees it. */
struct credential_source *credential_source_new(const struct credential_options *options);
/* NULL is allowed. Ends a renewal under way; no credential_get() may be. Does not suspend. Credentials live on with who holds them. */
void credential_source_free(struct credential_source *s);
/* Begin to get a credential if there is none, without waiting: so that the first request need not. */
void credential_warm(struct credential_source *s);
/*
 * The credential to use now.
 *
 * Suspends only if there is none that is good, until the renewal that this or another fiber began has ended. Honours the
 * fiber's deadline and cancel, which do not touch the renewal.
 *
 * ret  a reference, which the caller gives back with credential_unref()
 *
 * Errors: E_CONFIG: something is missing or unfit on our side, the text says what and where to put it; E_UPSTREAM: who issues
 * credentials refused, or could not be reached. For a while after such a failure (1 s, doubled up to 64 s, half of it by chance) the same one is returned at once.
 * E_DEADLINE and E_CANCELLED are the caller's own. Texts hold no secrets.
 */
err_t credential_get(struct credential_source *s, struct credential **ret) SUSPENDS MUST_CHECK;
/* The provider did not accept `c` (status 401). If it is still the one in use and at least a minute old, the next
 * credential_get() gets a new one. */
void credential_rejected(struct credential_source *s, const struct credential *c);

/* On the credential's loop only. NULL is allowed for unref. */
struct credential *credential_ref(struct credential *c);
void credential_unref(struct credential *c);
/* The same, fit for arena_hold(). */
void credential_unref_void(void *c);

struct credential_stats {
    uint64_t renewals, failures; /* ended well; not                                 */
    unsigned waiting;            /* fibers in credential_get() now                  */
    bool is_good;                /* is there a credential that can be used now?     */
    ns_t expires;                /* of that one; NS_NEVER: it does not              */
};
void credential_stats(const struct credential_source *s, struct credential_stats *ret);

#endif
