/* reach.h - from a connection as a file says it to what the clients of other systems are given: address, name, password, TLS. Private to pipeline/. */
#ifndef PIPELINE_REACH_H
#define PIPELINE_REACH_H

#include "base/secret.h"
#include "client/nats.h"
#include "client/redis.h"
#include "codec/url.h"
#include "net/dial.h"
#include "pipeline/spec/pipeline.h"

struct reach {
    struct arena arena;
    struct url url;
    struct secret password;
    struct str ca_file, cert_file, key_file; /* of reach_open_by_path() */
    struct dial_target at;                   /* for our own clients; its TLS is a reference */
};

/*
 * Read what the connection refers to: "file:" before a password, an authority or a certificate names a file.
 *
 * port      where it is if the URL does not say
 * secure    the scheme that means TLS: "rediss"
 * ret       points into the connection, which outlives it; reach_release() frees it, also after a failure
 *
 * Suspends: a worker reads files. Errors: E_PARSE, E_NOT_FOUND, E_IO, E_TOO_LARGE, E_CONFIG (certificates).
 */
err_t reach_open(const struct pipeline_connection *c, uint16_t port, struct str secure, struct reach *ret) SUSPENDS
MUST_CHECK;
/* The same for Redis: what its client is given, which points into *ret and the connection. "rediss" means TLS; the path is the number of the database. */
err_t reach_redis(const struct pipeline_connection *c, struct reach *ret, struct redis_options *ret_options) SUSPENDS
MUST_CHECK;
/* The same for NATS; "tls" means TLS. */
err_t reach_nats(const struct pipeline_connection *c, struct reach *ret, struct nats_options *ret_options) SUSPENDS
MUST_CHECK;
/* The same for a library that wants paths: ca, cert and key must be "file:" then (E_CONFIG). No TLS of ours is made. */
err_t reach_open_by_path(const struct pipeline_connection *c, struct reach *ret) SUSPENDS MUST_CHECK;
/* Tell of a source's failure that may pass, and wait before the next try: longer each time; *pause begins as 0, and is set to 0 by who succeeds. Any other
 * error is returned at once. */
err_t reach_wait(const struct pipeline_node *source, err_t e, ns_t *pause) SUSPENDS MUST_CHECK;
/* What a deadline of our own around a call of `whom` has ended is no end of the fiber's: E_IO. All others as they are. */
err_t reach_in_time(err_t e, const char *whom) MUST_CHECK;
/* Takes a zeroed one. */
void reach_release(struct reach *r);

#endif
