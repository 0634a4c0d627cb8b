/* dump_int.h - telling people which fibers there are, and which one a crash happened in. Internal to rt/. */
#ifndef RT_DUMP_INT_H
#define RT_DUMP_INT_H

#include "base/buf.h"

struct loop;

/* Append "name (reason), name (reason)" of the parked fibers of this thread's loop `l`, shortened to a few dozen. */
void dump_waits(struct loop *l, struct buf *to);
/* Have every loop print its fibers to stderr, soon. From any thread. */
void dump_all_loops(void);

/* Report faults of this thread with the name of the running fiber, on a signal stack of its own, from here ... */
void crash_reports_begin(void);
/* ... to here. */
void crash_reports_end(void);

#endif
