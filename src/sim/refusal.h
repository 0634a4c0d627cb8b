/*
 * refusal.h - why a simulated provider refuses a request, in the words and the form of OpenAI's errors. Pure.
 *
 * Other surfaces take the status and the message, and say the rest in their own form.
 */
#ifndef SIM_REFUSAL_H
#define SIM_REFUSAL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/time.h"

struct sim_refusal {
    int status;
    const char *type; /* "invalid_request_error" and so on; static  */
    const char *code; /* NULL: null; static                         */
    struct str param; /* p == NULL: null                            */
    struct str message;
    ns_t retry_after; /* 0: the client is not told */
};

/* Fill *r with a 400 of type invalid_request_error; the message is formatted into the arena. Returns E_PARSE, so that readers can
 * `return refuse(...)`. `param` is borrowed. */
err_t refuse(struct arena *a, struct sim_refusal *r, const char *code, struct str param, const char *fmt, ...)
    PRINTF_LIKE(5, 6);
/* The same with another status, and no param. */
err_t refuse_status(struct arena *a, struct sim_refusal *r, int status, const char *code, const char *fmt, ...)
    PRINTF_LIKE(5, 6);

/* The type that OpenAI gives an error of this status. Static. */
const char *refusal_type(int status) PURE;

/* Append {"error":{...}}. */
void refusal_write(struct buf *to, const struct sim_refusal *r);

#endif
