/*
 * child.h - another program as a child process with limits: bytes to its stdin, bytes from its stdout. For what cannot be trusted to end,
 * or to stay within its memory, inside this process.
 *
 * All of it blocks: on a worker, or where no loop runs. It is a real process whatever the seams are, so nothing simulated starts one.
 */
#ifndef RT_CHILD_H
#define RT_CHILD_H

#include "base/buf.h"
#include "base/time.h"

#include <stdbool.h>
#include <sys/types.h>

struct child_limits {
    size_t memory; /* bytes of address space */
};

struct child {
    pid_t pid; /* 0: none                                        */
    int in, out, err;
    bool ended; /* it has closed its stdout                    */
};

/*
 * Start argv[0], found by PATH, in "/", with an empty environment but LC_ALL=C and TZ=UTC, with nothing open but its three streams, unable
 * to write files or to leave a core. It ends when its stdin ends, if it is a filter; child_stop() ends it in any case.
 *
 * Errors: E_NOT_FOUND (there is no such program), E_IO.
 */
err_t child_start(struct child *c, const char *const *argv, const struct child_limits *limits) MUST_CHECK;
/*
 * Send what is left of *send, and append what the child says to `got` and what it complains of to `complaints` (as far as that has room), until something came, all
 * is sent and nothing more came, or `until` (of child_now()) is reached. The caller repeats it until it has what it waits for.
 *
 * Errors: E_DEADLINE; E_UPSTREAM: the child has closed its stdout; E_TOO_LARGE (the maximum of `got`); E_IO.
 */
err_t child_talk(struct child *c, struct str *send, struct buf *got, struct buf *complaints, ns_t until) MUST_CHECK;
/* It may use that much more processor time, rounded up to seconds; then the kernel ends it, even if nobody is left here to do so. */
void child_allow(struct child *c, ns_t processor_time);
/* Nothing more will be sent. */
void child_end_input(struct child *c);
/* Kill it unless it is ending, and wait for its end. Returns its exit code, or 256 + the signal that ended it. What it complained of last
 * goes behind `complaints`, unless that is NULL. Takes one that is none. */
int child_stop(struct child *c, struct buf *complaints);
/* The clock of deadlines here: monotonic. */
ns_t child_now(void);

#endif
