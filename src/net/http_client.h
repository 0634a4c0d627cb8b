/*
 * http_client.h - HTTP/1.1 client: a pool of connections per upstream and loop.
 *
 * Own code over llhttp and sockets, because this path is what the program exists for (docs/adr/0006). An upstream is an origin (scheme, host,
 * port) with its TLS and proxy settings; its pool belongs to one loop. A call leases a connection, sends, and reads the answer piece by piece; when
 * the answer has been read to its end the connection goes back, otherwise it is closed, which also tells the provider to
 * stop.
 */
#ifndef NET_HTTP_CLIENT_H
#define NET_HTTP_CLIENT_H

#include "base/arena.h"
#include "base/time.h"
#include "codec/http1.h"
#include "net/dial.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct upstream;
struct http_call;

struct upstream_options {
    bool secure;              /* https                                                                              */
    struct str host;          /* name or address, IPv6 without brackets                                             */
    uint16_t port;            /* 0: 443 or 80                                                                       */
    struct str unix_path;     /* set: connect there instead of to host:port, which still go into the host header    */
    struct tls_ctx *tls;      /* of secure ones; a reference is taken; NULL: the system's authorities, on first use */
    struct str proxy;         /* "http://[user:pass@]host:port": tunnel (https) or forwarding (http); empty: none   */
    unsigned max_connections; /* per loop; default 10,000                                                           */
    unsigned max_waiting;     /* calls that wait for a connection when all are busy; default 10,000                 */
    unsigned max_idle;        /* kept; default 1,024                                                                */
    ns_t idle_time;           /* a kept connection is closed after it; default 60 s                                 */
    size_t head_bytes;        /* of answers; default 64 KiB                                                         */
    dial_permit_fn *
        permit; /* which addresses of the host may be connected to (dial.h); NULL: all; not with a proxy or unix_path */
    const void *permit_ctx; /* borrowed as long as the upstream lives                                             */
};

/* Is `url` a proxy that upstreams can use? E_CONFIG with the reason, which never holds its credentials. */
err_t upstream_check_proxy(struct str url) MUST_CHECK;
/* A pool on this loop with no connection yet. Copies the options. upstream_free() frees it. With a proxy that upstream_check_proxy()
 * refuses, every call fails with its reason. */
struct upstream *upstream_new(const struct upstream_options *options);
/* Close idle connections and free; no call may be open. NULL is allowed. */
void upstream_free(struct upstream *u);
static inline void upstream_free_p(struct upstream **u)
{
    upstream_free(*u);
}
/*
 * The proxy for an origin, as curl reads the environment: https_proxy or http_proxy by scheme, else all_proxy; lower case before
 * upper case; HTTP_PROXY does not count in a CGI program, where a client could set it. Empty where no_proxy exempts the
 * host: a list of "*", names (which stand for their subdomains too), addresses and networks ("10.0.0.0/8"), each
 * with an optional port. `env` looks a variable up (STR_NONE: not set). Pure.
 */
struct str upstream_proxy_from_env(bool secure, struct str host, uint16_t port, struct str (*env)(const char *name));

struct upstream_stats {
    unsigned open, idle, waiting; /* connections now; calls that wait for one */
    uint64_t connects, connect_failures, reused, stale_retries, tls_resumed;
};
void upstream_stats(const struct upstream *u, struct upstream_stats *ret);

/*
 * Where a streamed request body comes from. Gives the next piece, STR_NONE at the end; the piece is valid until the next call.
 * Runs in a fiber of its own, so that an answer that comes before the body has ended is noticed; that fiber is cancelled then.
 */
typedef err_t http_body_source_fn(void *ctx, struct str *ret_piece) SUSPENDS;

struct http_call_options {
    struct str method, target; /* target: path and query                                                  */
    const struct http_header
        *headers; /* what frames the message (content-length, transfer-encoding, connection) is ours
                                        * and skipped here; a "host" header overrides ours */
    size_t count;
    const struct str *body; /* parts, written in one go; or                                            */
    size_t body_parts;
    http_body_source_fn *source; /* a streamed body, of `source_length` bytes or (-1) chunked               */
    void *source_ctx;
    int64_t source_length;
    ns_t connect_by; /* instants; 0 or NS_NEVER: only the fiber's deadline                       */
    ns_t first_byte_by;
    bool keep_encoded; /* do not decode gzip, br, zstd; give content as it comes                   */
};

/* What happened, for the record; valid also after a failed call. Instants, 0 if it did not come to it. */
struct http_call_times {
    ns_t started, connected, sent, first_byte;
    bool reused;   /* an idle connection was used                                    */
    bool sent_any; /* at least one byte of the request left: it may have had effects  */
    uint64_t bytes_out, bytes_in;
};

/*
 * Send a request and wait for the head of the answer (1xx answers are skipped).
 *
 * Suspends; honours the fiber's deadline and the two instants. An idle connection that turns out to be closed before a byte of the
 * answer came is replaced once by a new one, if the request can be sent again (its body is not a source that was read from).
 * An answer that comes while the body is still being sent ends the sending if it is a refusal (status 300 or higher).
 *
 * options    borrowed until this returns
 * arena      borrowed until http_call_close(): head and collected bodies live there
 * ret_times  borrowed until http_call_close(); filled in any case; NULL is allowed
 * ret_call   the caller closes it with http_call_close()
 *
 * Errors: E_RESOLVE, E_FORBIDDEN (`permit`), E_REFUSED, E_IO, E_TLS, E_DEADLINE (the text says in which phase), E_EOF (closed before the head), E_PROTOCOL,
 * E_OVERLOAD (max_connections are busy and max_waiting calls wait), E_CANCELLED; E_PARSE (method, target or a header would break
 * the framing); those of the source. Texts name host and port, never the target.
 */
err_t http_call_open(struct upstream *u, struct arena *arena, const struct http_call_options *options,
                     struct http_call_times *ret_times, struct http_call **ret_call) SUSPENDS MUST_CHECK;
/* Give the connection back if the answer was received to its end, else close it, which tells the provider to stop. NULL is allowed.
 * Does not suspend. */
void http_call_close(struct http_call *c);
static inline void http_call_close_p(struct http_call **c)
{
    http_call_close(*c);
}
/* The answer's head, as sent: content-encoding and content-length are of what came, not of what http_call_next() gives. */
const struct http_head *http_call_head(const struct http_call *c);
/* Is the content decoded, so that the head's content-encoding and content-length do not hold for it? */
bool http_call_is_decoded(const struct http_call *c);
/* The next piece of the answer's body, decoded; STR_NONE at its proper end. Valid until the next call of any function of `c`.
 * `gap_by`: an instant; E_DEADLINE if no piece came by then. E_EOF, E_IO or E_PROTOCOL if it breaks off before its end. */
err_t http_call_next(struct http_call *c, ns_t gap_by, struct str *ret_piece) SUSPENDS MUST_CHECK;
/* Has the whole body been received already, so that the next calls of http_call_next() will not wait? */
bool http_call_is_buffered(const struct http_call *c);
/* Read the rest of the body in one piece: without a copy where it has arrived whole (then valid until http_call_close()), else into the
 * arena. `gap`: a span that begins anew with each byte; E_DEADLINE if nothing comes for so long (NS_NEVER: no limit). E_TOO_LARGE over
 * `max`: then what was read so far is still to be had from http_call_next(). */
err_t http_call_all(struct http_call *c, ns_t gap, size_t max, struct str *ret_body) SUSPENDS MUST_CHECK;

#endif
