/*
 * stand_in.h - the crash matrix's own servers, for systems that speak HTTP: each a process on the loopback interface that answers one request after the
 * other, and does what it was asked before it answers. Now and then it gives no answer at all: acknowledgements get lost.
 */
#ifndef CRASH_STAND_IN_H
#define CRASH_STAND_IN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct stand_in {
    pid_t pid; /* 0: not begun */
    uint16_t port;
    char folder[40]; /* of what it keeps */
};

/* Texts end in NUL. */
struct stand_in_request {
    char method[8], path[512]; /* with the query */
    const char *head, *body;   /* of the head: from the first line on */
    size_t body_bytes;
};

enum { STAND_IN_REPLY_MAX = 8192 };

/* Do what is asked, in the server's process. Returns the status, with a body in `reply` (empty: none); 0: it is done, and nobody hears of it. */
typedef int stand_in_fn(const struct stand_in *s, const struct stand_in_request *q, char reply[STAND_IN_REPLY_MAX]);

/* Begin it, once; it ends with the program. True: it can be asked. */
bool stand_in_begin(struct stand_in *s, stand_in_fn *serve);
/* Append {"n":…} to the file of a case in its folder. */
void stand_in_note(const struct stand_in *s, unsigned number, unsigned n);

#endif
