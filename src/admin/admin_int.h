/* admin_int.h - what the files of this room share. Private to admin/. */
#ifndef ADMIN_ADMIN_INT_H
#define ADMIN_ADMIN_INT_H

#include "admin/admin.h"

enum { ADMIN_ANSWER_MAX = 64 * 1024 * 1024 };

/* Answer with a JSON document that nobody is to keep; of a builder that may have overflown. */
err_t admin_reply_json(struct http_request *r, int status, const struct buf *body) SUSPENDS MUST_CHECK;
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

#endif
