/*
 * err.h - error codes, and the record of what went wrong.
 *
 * A function that can fail returns err_t; OK is 0. The code says what the caller can do; the words (what, where,
 * which peer) go into the current error record, written only by fail() and err_context(). Each fiber has a record
 * of its own, so concurrent requests never mix theirs; outside fibers there is one per thread. First cause wins:
 * fail() starts a record, err_context() puts outward context in front of it.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/attr.h"
#include "base/str.h"

#include <stdbool.h>

typedef enum err {
    OK = 0,
#define ERR(name, status, retry, text) E_##name,
#include "base/err.def"
#undef ERR
    ERR_COUNT
} err_t;

enum { ERR_TEXT_MAX = 240 };

struct err_record {
    err_t code;
    int line;                /* of the fail() that started the record   */
    const char *file;        /* static                                  */
    char text[ERR_TEXT_MAX]; /* NUL-terminated, cut at the end if long  */
};

/* Name of the code without its prefix ("DEADLINE"); "OK" for 0. Static. */
const char *err_name(err_t e) PURE;
/* General text of the code. Static. */
const char *err_text(err_t e) PURE;
/* HTTP status that the code means to a client; 200 for OK. */
int err_http_status(err_t e) PURE;
/* May the same request succeed when tried at another place? */
bool err_is_retryable(err_t e) PURE;

/* The current record: of the running fiber, or of the thread outside fibers. Never NULL. */
struct err_record *err_current(void);
/* Text of the current record if it belongs to `e`, else the general text of `e`. Valid until the next fail(). */
const char *err_detail(err_t e);

/* Start the record anew with `code` and a formatted text; returns `code`. Use the macro. */
err_t fail_(err_t code, const char *file, int line, const char *fmt, ...) PRINTF_LIKE(4, 5) COLD;
/* An expression whose value is `code` itself, so that compilers and analysers see that it is no OK. */
#define fail(code, ...)                                                                                                \
    ({                                                                                                                 \
        err_t fail_code_ = (code);                                                                                     \
        fail_(fail_code_, __FILE__, __LINE__, __VA_ARGS__);                                                            \
        fail_code_;                                                                                                    \
    })

/* Put "<text>: " in front of the current record's text; returns `e`, so that `return err_context(e, …)` reads well.
 * Does nothing for OK. */
err_t err_context(err_t e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Return the error of `expr` to our caller, if it is one. */
#define TRY(expr)                                                                                                      \
    do {                                                                                                               \
        err_t try_err_ = (expr);                                                                                       \
        if (UNLIKELY(try_err_ != OK))                                                                                  \
            return try_err_;                                                                                           \
    } while (0)

/* Where the current record lives. rt/ points this at the running fiber on every switch. */
typedef struct err_record *err_locate_fn(void);
/* Install the function that finds the current record; called once, before other threads start. */
void err_set_locator(err_locate_fn *locate);

/* Print a message to stderr and abort: for our own bugs and for memory that the system refuses. */
void die_(const char *file, int line, const char *fmt, ...) PRINTF_LIKE(3, 4) NORETURN COLD;
#define die(...) die_(__FILE__, __LINE__, __VA_ARGS__)

#endif
