/*
 * url.h - RFC 3986 URLs as a gateway needs them: split, percent-code, look up query parameters, normalise paths. Pure.
 */
#ifndef CODEC_URL_H
#define CODEC_URL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct url {
    struct str scheme;   /* as written: compare with str_eq_nocase()                                     */
    struct str userinfo; /* "user:password" before '@'; p == NULL if none                                */
    struct str host;     /* name or address; IPv6 without brackets; never empty                          */
    bool is_ipv6;        /* it was in brackets                                                           */
    uint16_t port;       /* 0: none given                                                                */
    struct str path;     /* "" or from its '/'; not decoded                                              */
    struct str query;    /* behind '?'; p == NULL if there is none                                       */
    struct str fragment; /* behind '#'; likewise                                                         */
};

/* Split "scheme://[userinfo@]host[:port][/path][?query][#fragment]"; the parts are slices of `text`. E_PARSE with the reason:
 * also for blanks, control bytes and non-ASCII bytes anywhere, and for "%" without two hex digits. */
err_t url_parse(struct str text, struct url *ret_url) MUST_CHECK;
/*
 * What a reference ("/x", "../x?y", "//host/x", "https://host/x") found at `base` points to, as a whole URL without a fragment: RFC 3986,
 * 5.2, with "." and ".." resolved. In the arena. E_PARSE as url_parse() says it of base and result, and for a result over `max` bytes E_TOO_LARGE.
 */
err_t url_resolve(struct str base, struct str reference, size_t max, struct arena *arena, struct str *ret_url)
    MUST_CHECK;
/* The port to connect to: the one given, else 443 for https and wss, 80 for http and ws, 0 for others. */
uint16_t url_port(const struct url *u) PURE;
/* Is `host` a literal IPv6 address (to be put in brackets)? */
bool url_host_is_ipv6(struct str host) PURE;

/* Percent-decode. '+' stays (it means a blank in forms only: url_decode_form). A slice of `s` if nothing was coded. E_PARSE for "%"
 * without two hex digits, and for %00. */
err_t url_decode(struct str s, struct arena *arena, struct str *ret_text) MUST_CHECK;
err_t url_decode_form(struct str s, struct arena *arena, struct str *ret_text) MUST_CHECK;
/* Append `s` with everything but RFC 3986's unreserved characters percent-coded (upper-case hex): for a query value or one
 * path segment. */
err_t url_encode(struct buf *b, struct str s);
/* The same, but '/' stays: for a whole path. */
err_t url_encode_path(struct buf *b, struct str s);

/* The next "name=value" of a query: *query shrinks; false at its end. Empty pairs are skipped; a pair without '=' has
 * value.p == NULL. Not decoded. */
bool url_query_next(struct str *query, struct str *ret_name, struct str *ret_value);
/* Decoded value of the first parameter called `name` (its name is decoded for the comparison); STR_NONE if there is none or it
 * cannot be decoded; an empty value has p != NULL. */
struct str url_query_get(struct str query, struct str name, struct arena *arena);

/*
 * Bring a request path into the one form that routing and authorisation look at: "/a/b" with unreserved characters decoded
 * and other codes in upper-case hex.
 *
 * Refused with E_PARSE rather than resolved, because front and back might resolve it differently: segments "." and ".."
 * in any spelling, empty segments ("//"), coded '/' and '\' (%2f, %5c), a plain '\', %00 and other coded or plain control bytes, bad
 * codes, a path that does not start with '/'. One trailing '/' is kept.
 * With `coded_slashes`, coded '/' are accepted and stay coded (%2F), for names that hold them: what they are in must then be decoded once, and
 * never be part of a path again.
 * *ret_path is `path` itself if it was normal already.
 */
err_t url_normal_path(struct str path, bool coded_slashes, struct arena *arena, struct str *ret_path) MUST_CHECK;

#endif
