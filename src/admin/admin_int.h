/* admin_int.h - what the files of this room share. Private to admin/. */
#ifndef ADMIN_ADMIN_INT_H
#define ADMIN_ADMIN_INT_H

#include "admin/admin.h"
#include "codec/json_out.h"
#include "codec/json_tree.h"

enum { ADMIN_ANSWER_MAX = 64 * 1024 * 1024 };

/* Answer with a JSON document that nobody is to keep; of a builder that may have overflown. */
err_t admin_reply_json(struct http_request *r, int status, const struct buf *body) SUSPENDS MUST_CHECK;
/* The body of a request, which is to be a JSON object. E_PARSE, E_TOO_LARGE; those of http_body_all(). */
err_t admin_read_object(struct http_request *r, struct json_node *ret) SUSPENDS MUST_CHECK;
/* Is that the method? HEAD is a GET. */
bool admin_is_method(const struct http_request *r, struct str method) PURE;
/* Tell what is wrong with the request; what is not the request's fault is returned. */
err_t admin_refuse_error(struct http_request *r, err_t e) SUSPENDS MUST_CHECK;
/* {"error":{"message":…}} */
err_t admin_refuse(struct http_request *r, int status, struct str message) SUSPENDS MUST_CHECK;

/* --- operators.c --- */

/* Does the request bring an operator's key? */
bool operator_is_known(const struct admin *a, const struct http_request *r);
/* Can anybody? */
bool operator_can_be(const struct admin *a);

/* --- decisions.c --- */

/* The story of the request of that id. */
err_t serve_decisions(const struct admin *a, struct http_request *r, struct str id) SUSPENDS MUST_CHECK;

/* --- fleet.c --- */

err_t serve_fleet(const struct admin *a, struct http_request *r) SUSPENDS MUST_CHECK;
/* Append the deployments' present state to a page of metrics: of the first FLEET_SERIES_MAX that were ever asked, and of all how many are in which state. */
enum { FLEET_SERIES_MAX = 5000 };
err_t fleet_metrics(const struct admin *a, struct arena *arena, struct buf *to) SUSPENDS MUST_CHECK;

/* A member in milliseconds; null if it is not positive. */
void admin_put_ms(struct json_out *o, struct str key, double ns);

/* --- fleet_supply.c --- */

/* Members of a deployment's object: price, credentials, limit, queue, and what its server says. `waiting`: requests in the queues in front of it. */
void fleet_put_supply(struct json_out *o, const struct snapshot *s, const struct deployment *d, uint64_t waiting,
                      const struct live_server *server, ns_t now);
/* How long until any credential may be used for it; 0: one may be now. */
ns_t fleet_credentials_rest(const struct snapshot *s, const struct deployment *d, ns_t now);

/* --- letters.c --- */

/* `rest`: of the path, behind "/admin/dlq/"; empty: there is none. */
err_t serve_letters(const struct admin *a, struct http_request *r, struct str rest) SUSPENDS MUST_CHECK;

/* --- gates.c --- */

/* Likewise, behind "/admin/gates/". */
err_t serve_gates(const struct admin *a, struct http_request *r, struct str rest) SUSPENDS MUST_CHECK;

/* --- traces.c --- */

/* What became of the messages of a pipeline (STR_NONE: of all): a page; with an id, or its beginning, of the one. */
err_t serve_traces(const struct admin *a, struct http_request *r, struct str pipeline, struct str id) SUSPENDS
MUST_CHECK;

/* --- pipelines.c --- */

/* One of that name; none: all. */
err_t serve_pipelines(const struct admin *a, struct http_request *r, struct str name) SUSPENDS MUST_CHECK;
/* Its picture, as SVG. */
err_t serve_pipeline_graph(const struct admin *a, struct http_request *r, struct str name) SUSPENDS MUST_CHECK;
err_t pipelines_metrics(const struct admin *a, struct buf *to) SUSPENDS MUST_CHECK;

#endif
