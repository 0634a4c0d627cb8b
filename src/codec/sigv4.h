/*
 * sigv4.h - AWS Signature Version 4: signing requests, and verifying them. Pure: the time is handed in.
 *
 * The whole request is signed at once, its body by its hash. Not here: presigned URLs, chunked uploads, SigV4A.
 *
 * Source: AWS Identity and Access Management user guide, "Create a signed AWS API request".
 */
#ifndef CODEC_SIGV4_H
#define CODEC_SIGV4_H

#include "base/arena.h"
#include "codec/digest.h"
#include "codec/http1.h"

enum {
    SIGV4_WINDOW = 5 * 60,               /* seconds that a request's time may be off, either way */
    SIGV4_HEADERS_ADDED = 4,             /* at most, by sigv4_sign()                             */
    SIGV4_CANONICAL_MAX = 256 * 1024,    /* bytes of a request's canonical form                  */
    SIGV4_AUTHORIZATION_MAX = 16 * 1024, /* bytes of an Authorization header                     */
    SIGV4_PARAMETERS_MAX = 256,          /* of a query                                           */
};

/* A request as it goes over, or came over, the wire. All borrowed. */
struct sigv4_request {
    struct str method;
    struct str host;  /* the value of Host, or of HTTP/2's :authority; headers of these names are not looked at */
    struct str path;  /* percent-coded as on the wire; empty is "/"                              */
    struct str query; /* likewise, without '?'                                                   */
    const struct http_header *headers;
    size_t header_count;
    const unsigned char *body_hash; /* SHA256_BYTES                                             */
};

struct sigv4_key {
    struct str access_key; /* its id                                   */
    struct str secret;     /* revealed                                 */
    struct str token;      /* of a session; empty: none                */
    struct str region, service;
    bool hash_header; /* send x-amz-content-sha256, too           */
};

/*
 * Sign: make the headers to be added to the request.
 *
 * Signed are host, those that are added, and of the request's own headers content-type and all "x-amz-…". The others may be changed on the
 * way. A header that is added must not be there already.
 *
 * arena        takes the new values
 * now          seconds since 1970
 * ret_headers  set to x-amz-date, authorization and, as the key says, x-amz-security-token and x-amz-content-sha256; the
 *              latter two go with the others, signed
 *
 * Errors: E_PARSE for a query that is not properly percent-coded; E_TOO_LARGE past the limits above.
 */
err_t sigv4_sign(struct arena *arena, const struct sigv4_request *r, const struct sigv4_key *key, int64_t now,
                 struct http_header ret_headers[SIGV4_HEADERS_ADDED], size_t *ret_count) MUST_CHECK;

/* What an Authorization header claims: slices of it. */
struct sigv4_claim {
    struct str access_key;
    struct str scope;                 /* "20260102/us-east-1/bedrock/aws4_request" */
    struct str date, region, service; /* of the scope                              */
    struct str signed_headers;        /* "host;x-amz-date"                         */
    struct str signature;             /* 64 hex digits                             */
};

/* Is this Authorization header one of SigV4 at all? */
bool sigv4_is_claim(struct str authorization) PURE;
/* Take it apart. E_PARSE with the reason; E_TOO_LARGE. */
err_t sigv4_read(struct str authorization, struct sigv4_claim *ret_claim) MUST_CHECK;

/*
 * Verify a request against its claim.
 *
 * Looked at are exactly the headers that the claim names, whose set must hold host and x-amz-date. If there is an x-amz-content-sha256, it must
 * be the body's hash. Comparison takes constant time.
 *
 * secret  of claim->access_key, revealed
 * now     seconds since 1970
 *
 * Errors, each with its reason: E_PARSE, the request or its claim is malformed; E_FORBIDDEN, its time is not within
 * SIGV4_WINDOW of `now`; E_AUTH, the signature does not fit; E_TOO_LARGE, the limits above.
 */
err_t sigv4_verify(struct arena *arena, const struct sigv4_request *r, const struct sigv4_claim *claim,
                   struct str secret, int64_t now) MUST_CHECK;

#endif
