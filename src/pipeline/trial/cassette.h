/*
 * cassette.h - what others have answered, kept to be answered again: so tests need no model, cost nothing, and say the same each time.
 *
 * A file of JSON, a line for each answer: the node, what it was given, what it yielded, how long that took. What a node is asked again is told by the
 * node's name and a hash of what it is given; of several answers to the same, the first asked for is the first recorded. People may edit the file.
 *
 * It lies beside the tests, where many see it: answers are cleaned of secrets before they are added.
 */
#ifndef PIPELINE_CASSETTE_H
#define PIPELINE_CASSETTE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/time.h"

#include <stdbool.h>

enum { CASSETTE_MAX = 256 << 20, CASSETTE_ANSWERS_MAX = 100000, CASSETTE_SECRET_LEAST = 6 };

struct cassette;

/* An answer. Borrowed from the cassette. */
struct cassette_answer {
    struct str node, input; /* input: JSON                                              */
    struct str outputs;     /* JSON: an array of [target, value]; target -1: for all     */
    ns_t took;
};

/* An empty one: to be recorded, or to be played. The caller frees. */
struct cassette *cassette_new(bool records);
/* Takes NULL. */
void cassette_free(struct cassette *c);
bool cassette_records(const struct cassette *c) PURE;
/* Read what a file has, behind what is there. E_PARSE, with the line; E_TOO_LARGE. */
err_t cassette_read(struct cassette *c, struct str text) MUST_CHECK;
/* Write it as cassette_read() reads it. E_TOO_LARGE. */
err_t cassette_write(const struct cassette *c, struct buf *to) MUST_CHECK;

/* The text is a secret: cassette_clean() takes it out of answers. Copied; one of less than CASSETTE_SECRET_LEAST bytes is passed over. */
void cassette_hide(struct cassette *c, struct str secret);
/*
 * Append the JSON with "***" for each secret in its texts, and for texts of members whose names say that they are credentials ("authorization", "token", …).
 * E_PARSE, E_TOO_LARGE.
 */
err_t cassette_clean(const struct cassette *c, struct str json, struct buf *to) MUST_CHECK;
/* Note an answer; copies it. E_TOO_LARGE: there are too many. */
err_t cassette_add(struct cassette *c, const struct cassette_answer *a) MUST_CHECK;
/* Add what the former one was asked and this one was not, with all answers; copies them. Likewise. */
err_t cassette_keep(struct cassette *c, const struct cassette *former) MUST_CHECK;
/* The answer to that, which has not been taken yet, or else the last of them. E_NOT_FOUND: nobody was asked that. */
err_t cassette_take(struct cassette *c, struct str node, struct str input, struct cassette_answer *ret) MUST_CHECK;
/* All answers are to be taken anew: before each test. */
void cassette_rewind(struct cassette *c);

#endif
