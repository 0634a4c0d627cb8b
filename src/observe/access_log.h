/*
 * access_log.h - one line a request: JSON for machines, columns for people. Never a body, a key, or a query string.
 */
#ifndef OBSERVE_ACCESS_LOG_H
#define OBSERVE_ACCESS_LOG_H

#include "base/buf.h"
#include "observe/facts.h"

/* Append the line of `f` with its '\n'. Texts are cut at 1,000 bytes, so 64 KiB is always room enough. Pure. */
void access_log_json(const struct facts *f, struct buf *to);
/* For a terminal; `colour` by status class. */
void access_log_console(const struct facts *f, bool colour, struct buf *to);

#endif
