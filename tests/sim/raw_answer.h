/*
 * raw_answer.h - for clients that speak HTTP/1.1 over a connection of their own: one answer after the other, as it stands on the wire.
 */
#ifndef SIM_TEST_RAW_ANSWER_H
#define SIM_TEST_RAW_ANSWER_H

#include "base/arena.h"
#include "base/buf.h"
#include "codec/http1.h"
#include "rt/sock.h"

enum { RAW_ANSWER_MAX = 1 << 16 };

/* The answer read last; what is behind it stays in `in`. */
struct raw_answer {
    struct arena arena;
    struct http1 parser;
    struct http_head head;
    char bytes[2048];
    struct str in;
    struct buf body;
};

struct raw_answer *raw_answer_new(void);
void raw_answer_free_p(struct raw_answer **a);
/* Read the next one, whole: E_EOF if the connection ends before. What is not HTTP fails the world. */
err_t raw_answer_read(struct sock *s, struct raw_answer *a) SUSPENDS MUST_CHECK;
/* The value of one of its trailer fields; STR_NONE: it is not there. */
struct str raw_answer_trailer(const struct raw_answer *a, struct str name);

#endif
