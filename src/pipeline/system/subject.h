/*
 * subject.h - schemas by subject and version, as a schema registry has them: what it is asked, and what its answer says.
 *
 * Source: https://docs.confluent.io/platform/current/schema-registry/develop/api.html
 */
#ifndef PIPELINE_SUBJECT_H
#define PIPELINE_SUBJECT_H

#include "base/arena.h"
#include "rt/fiber.h"

struct pipeline_connection;

enum { SUBJECT_ANSWER_MAX = 8 << 20 /* bytes of an answer */ };

/* A version of a subject. */
struct subject_version {
    unsigned number;
    struct str
        schema; /* JSON Schema. One that does not say its draft is of draft 7, as with registries, and says so here. */
};

/* The text of a schema as a registry means it: one that does not say its draft is of draft 7, and says so here. Borrowed, or in the arena. Pure. */
struct str subject_schema(struct str schema, struct arena *a);
/* The path to GET of a version; 0: the newest. In the arena. Pure. */
struct str subject_path(struct str subject, unsigned version, struct arena *a);
/*
 * What a registry has answered to that. Pure.
 *
 * status, body  of the answer; borrowed
 * ret           its schema is in the arena
 *
 * Errors, with words for who wrote `subject` and `version`: E_NOT_FOUND (it has none such), E_UNSUPPORTED (no JSON Schema, or one in several subjects), E_AUTH
 * (401, 403), E_TOO_LARGE (over PIPELINE_FILE_MAX), E_PROTOCOL (no registry answers so).
 */
err_t subject_read(struct str subject, unsigned version, int status, struct str body, struct arena *a,
                   struct subject_version *ret) MUST_CHECK;
/*
 * Ask the registry that the connection leads to. Everything is borrowed; ret's schema is in the arena.
 *
 * Suspends, for 10 s at most. Errors: those of subject_read(), and E_PARSE (the URL), E_IO (nothing came in time), those of http_call_open(); the words
 * name the URL.
 */
err_t subject_fetch(const struct pipeline_connection *c, struct str subject, unsigned version, struct arena *a,
                    struct subject_version *ret) SUSPENDS MUST_CHECK;

#endif
