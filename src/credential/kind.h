/*
 * kind.h - a way to get a credential, and what all ways have in common. Private to credential/.
 *
 * One file per kind in credential/kind/, each with one constant struct named credential_kind_<file stem>; the build lists them in the
 * catalog. A kind is straight-line code that is run by a renewal: it reads files and environment, asks endpoints, and fills a grant. It
 * keeps nothing between renewals: a token file or a key that was replaced is noticed by the next one.
 */
#ifndef CREDENTIAL_KIND_H
#define CREDENTIAL_KIND_H

#include "base/arena.h"
#include "codec/http1.h"
#include "codec/json.h"
#include "credential/credential.h"

/* One renewal. Everything that is read or built for it lives in its arena. */
struct credential_fetch {
    struct arena *arena;
    const struct credential_options *options;
    yyjson_val *google_file; /* once google_file() has read it */
    struct str google_path;
};

/* What came of it. Texts in the arena or in the options. */
struct credential_grant {
    struct str token; /* or                                                                     */
    struct str access_key_id, secret_access_key, session_token;
    struct str quota_project;
    ns_t expires;    /* an instant; NS_NEVER: it does not                                       */
    ns_t look_again; /* of what does not expire, but may be replaced: when to fetch anew; 0: never */
};

/*
 * Suspends, for as long as the renewal's deadline allows. *ret comes empty and without expiry, and stays so for E_NOT_FOUND.
 *
 * E_NOT_FOUND: this way is not set up here, and the next one of a chain may be; the text says what is missing. E_CONFIG and
 * E_UNSUPPORTED: it is set up wrongly. E_UPSTREAM: an endpoint refused or could not be reached.
 */
typedef err_t credential_fetch_fn(struct credential_fetch *f, struct credential_grant *ret) SUSPENDS;

struct credential_kind {
    const char *name;           /* as in the configuration; the file's stem, - for _                */
    const char *google_type;    /* "type" of the Google credentials files that it reads; NULL: none */
    credential_fetch_fn *fetch; /* get one                                                          */
};

/* All kinds, sorted by name; NULL-terminated. */
extern const struct credential_kind *const credential_kind_catalog[];
extern const size_t credential_kind_catalog_count;

/* --- fetch.c --- */

/* A variable of the environment; empty: not set, or set to nothing. */
struct str fetch_env(const struct credential_fetch *f, const char *name);
/* `given` unless it is empty, else the variable, else `fallback`. */
struct str fetch_setting(const struct credential_fetch *f, struct str given, const char *variable, struct str fallback);
/* The content of a file of at most 256 KiB. E_NOT_FOUND, E_CONFIG with the path and the reason. */
err_t fetch_file(const struct credential_fetch *f, struct str path, struct str *ret) SUSPENDS MUST_CHECK;
/* The same of a file that holds one token: blanks around it dropped. A file that does not exist is E_CONFIG, and so is an empty one. */
err_t fetch_token_file(const struct credential_fetch *f, struct str path, struct str *ret) SUSPENDS MUST_CHECK;
/* Without blanks and ends of lines at both ends. */
struct str fetch_trim(struct str s) PURE;
/* "name=value&…" of `count` pairs, percent-coded; pairs with an empty value are left out. */
struct str fetch_form(const struct credential_fetch *f, const struct str (*pairs)[2], size_t count);

struct fetch_call {
    const char *what;  /* who is asked, for messages: "the token endpoint"                                    */
    struct str method; /* empty: POST with a body, else GET                                                   */
    struct str url;
    struct http_header headers[8]; /* up to the first without a name                                          */
    struct str body;
    struct str body_type; /* empty: a form                                                                    */
    struct str secret;    /* a part of the request that messages must not hold even if the answer repeats it   */
    bool is_local; /* a metadata server or the like: asked in the clear, never through a proxy, and it answers soon */
};

struct fetch_answer {
    int status;
    struct http_head head;
    struct str body; /* at most 256 KiB */
};

/*
 * Ask an endpoint; redirections are not followed. Other than local ones must be https, or on a loopback address.
 *
 * E_UPSTREAM: it could not be reached, or broke off; E_CONFIG: the URL is unfit; E_CANCELLED.
 */
err_t fetch_send(const struct credential_fetch *f, const struct fetch_call *c, struct fetch_answer *ret) SUSPENDS
MUST_CHECK;
/* The same; any status but 200 is E_UPSTREAM, with what the answer says about it. */
err_t fetch_ok(const struct credential_fetch *f, const struct fetch_call *c, struct fetch_answer *ret) SUSPENDS
MUST_CHECK;
/* E_UPSTREAM that tells what the answer to `c` says about its refusal. */
err_t fetch_refused(const struct credential_fetch *f, const struct fetch_call *c, const struct fetch_answer *answer);
/* The answer's JSON object. E_UPSTREAM if it is none. */
err_t fetch_json(const struct credential_fetch *f, const struct fetch_call *c, const struct fetch_answer *answer,
                 yyjson_val **ret) MUST_CHECK;
/* Ask for an OAuth 2.0 token (RFC 6749, section 5.1) and fill the grant. */
err_t fetch_bearer(const struct credential_fetch *f, const struct fetch_call *c, struct credential_grant *ret) SUSPENDS
MUST_CHECK;
/* The instant of seconds since 1970 by the wall clock. */
ns_t fetch_instant(int64_t seconds);
/* Seconds since 1970 of "2026-01-01T00:00:00Z" (RFC 3339; fractions are cut off). */
bool fetch_time(struct str text, int64_t *ret_seconds) MUST_CHECK;

/* Run the kinds of these names in order until one is set up here; `whose` for the message if none is. */
err_t fetch_chain(struct credential_fetch *f, const char *const *names, size_t count, const char *whose,
                  struct credential_grant *ret) SUSPENDS MUST_CHECK;

#endif
