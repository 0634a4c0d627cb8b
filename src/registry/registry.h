/*
 * registry.h - schemas under names and versions, as Confluent's Schema Registry serves them, so that tools for Kafka work with it.
 *
 * A subject is a name with versions; a version refers to a schema, which has one id for all subjects that have it. Whether a version may follow the others is
 * decided by jsonschema/compat.h, at the level that is configured for the subject or for all. JSON Schema is what it understands; schemas of other types are
 * refused, since nobody here could say what goes with what.
 *
 * The registry is a SQLite database, and one thread that answers: what one request does is one transaction, and no two run at a time.
 *
 * Source: https://docs.confluent.io/platform/current/schema-registry/develop/api.html
 */
#ifndef REGISTRY_REGISTRY_H
#define REGISTRY_REGISTRY_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "rt/fiber.h"

enum {
    REGISTRY_BODY_MAX = 8 << 20,    /* bytes of a request's body     */
    REGISTRY_SUBJECT_MAX = 1000,    /* bytes of a subject's name     */
    REGISTRY_VERSIONS_MAX = 10000,  /* of a subject                  */
    REGISTRY_ANSWER_MAX = 64 << 20, /* bytes of an answer            */
};

struct registry;

/* Open, or make, the database in that file. Blocks. As sqlite_open(). */
err_t registry_open(const char *path, struct registry **ret) MUST_CHECK;
/* Blocks. NULL is allowed. */
void registry_close(struct registry *r);

/* A request, as HTTP has it: the path is normalised, and not decoded. Borrowed. */
struct registry_request {
    struct str method, path, query, body;
};
struct registry_answer {
    int status;
    struct str body; /* JSON, in the arena */
};

/*
 * Answer a request: whatever is wrong with it is an answer, too, with a status and an error code of the registry's.
 *
 * Suspends until what it changed is on the disk. Errors: E_IO (the disk), E_TOO_LARGE (the answer), E_CANCELLED, E_DEADLINE: it may have come about.
 */
err_t registry_ask(struct registry *r, const struct registry_request *q, struct arena *arena,
                   struct registry_answer *ret) SUSPENDS MUST_CHECK;

#endif
