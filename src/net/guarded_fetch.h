/*
 * guarded_fetch.h - get what a URL points to, when the URL comes from a user.
 *
 * A user who names an address makes us connect where he could not: to our own ports, our network, the cloud's metadata service (server-side
 * request forgery). So only public addresses are connected to, unless the rules name others, and only as an anonymous client.
 */
#ifndef NET_GUARDED_FETCH_H
#define NET_GUARDED_FETCH_H

#include "base/arena.h"
#include "base/time.h"
#include "net/tls.h"

#include <stdbool.h>
#include <stddef.h>

/* What may be fetched. Nothing has a default: 0 bytes means that only empty files are accepted. Every list is borrowed. */
struct fetch_rules {
    size_t max_bytes;              /* of the content                                                              */
    ns_t time;                     /* a span for everything: look-ups, redirections, content                      */
    unsigned max_redirects;        /* 0: a redirection is refused                                                 */
    bool allow_http;               /* else https only                                                             */
    bool allow_ports;              /* any port; else the scheme's own, and 443                                    */
    const struct str *hosts;       /* "example.org", "*.example.org" (names below it); none: any host             */
    size_t host_count;             /*                                                                             */
    const struct str *networks;    /* "10.1.0.0/16", "10.2.0.7": may be connected to though they are not public   */
    size_t network_count;          /*                                                                             */
    const struct str *media_types; /* "image/png", "image/" followed by "*": accepted; none: any, or none stated  */
    size_t media_type_count;
    struct tls_ctx *tls; /* NULL: the system's authorities */
};

struct fetched {
    struct str url;        /* where it was found in the end; may hold a user's secrets: not for logs */
    struct str media_type; /* as the server says, lower case, without parameters; empty: not stated  */
    struct str body;
};

/*
 * GET `url`, following redirections, every one of which is checked like the first URL.
 *
 * The connection goes to an address that was checked, after the one look-up of its name (DNS rebinding). Names of hosts are taken
 * in one notation only, so "0x7f.1", "2130706433", "127.0.0.1." and the like are refused or read as what they are. No
 * proxy, cookie, credential or referer is used, and no content coding is accepted.
 *
 * Suspends; honours the fiber's deadline as well. How many run at a time is the caller's to limit: each may take a connection, and
 * a thread of the resolver.
 *
 * rules, url  borrowed until this returns
 * arena       everything in *ret lives there, and the heads of all answers (at most 16 KiB each)
 *
 * Errors: E_PARSE (not a URL, or a host in another notation), E_FORBIDDEN (scheme, user info, port, host, address given as such), E_RESOLVE
 * (no public address has that name: whether it exists in our network is not told), E_TOO_LARGE, E_UNSUPPORTED (media type,
 * content coding), E_UPSTREAM (status, redirections), E_DEADLINE, and those of http_call_open(). Texts are fit for the user: they name
 * host and port, never path, query, or an address that was looked up.
 */
err_t guarded_fetch(const struct fetch_rules *rules, struct str url, struct arena *arena, struct fetched *ret) SUSPENDS
MUST_CHECK;

#endif
