/*
 * err.c - error codes and the error record.
 *
 * The record is found through a locator, because this layer knows nothing of fibers: rt/ installs one that returns
 * the running fiber's record. Without it (command line, tests of pure code) there is one record for the process,
 * which is right as long as such code runs on one thread.
 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct err_info {
    const char *name, *text;
    int status;
    bool retry;
};

static const struct err_info infos[ERR_COUNT] = {
    [OK] = {"OK", "no error", 200, false},
#define ERR(name, status, retry, text) [E_##name] = {#name, text, status, retry},
#include "base/err.def"
#undef ERR
};

static struct err_record *default_locate(void)
{
    static struct err_record record;
    return &record;
}

static err_locate_fn *locator = default_locate;

void err_set_locator(err_locate_fn *locate)
{
    locator = locate ? locate : default_locate;
}

struct err_record *err_current(void)
{
    return locator();
}

const char *err_name(err_t e)
{
    return e < ERR_COUNT ? infos[e].name : "?";
}

const char *err_text(err_t e)
{
    return e < ERR_COUNT ? infos[e].text : "unknown error";
}

int err_http_status(err_t e)
{
    return e < ERR_COUNT ? infos[e].status : 500;
}

bool err_is_retryable(err_t e)
{
    return e < ERR_COUNT && infos[e].retry;
}

const char *err_detail(err_t e)
{
    struct err_record *r = err_current();
    return r->code == e && r->text[0] ? r->text : err_text(e);
}

err_t fail_(err_t code, const char *file, int line, const char *fmt, ...)
{
    struct err_record *r = err_current();
    char text[ERR_TEXT_MAX]; /* the arguments may point into the record that is about to be replaced */
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    r->code = code;
    r->file = file;
    r->line = line;
    memcpy(r->text, text, strlen(text) + 1);
    return code;
}

err_t err_context(err_t e, const char *fmt, ...)
{
    struct err_record *r = err_current();
    char outer[ERR_TEXT_MAX], inner[ERR_TEXT_MAX];
    va_list ap;

    if (e == OK)
        return OK;
    va_start(ap, fmt);
    (void)vsnprintf(outer, sizeof outer, fmt, ap);
    va_end(ap);
    memccpy(inner, err_detail(e), '\0', sizeof inner);
    size_t used = strlen(outer);
    size_t room = sizeof r->text - 1;
    memcpy(r->text, outer, used + 1);
    for (const char *part = ": "; *part && used < room; part++)
        r->text[used++] = *part;
    for (const char *part = inner; *part && used < room; part++)
        r->text[used++] = *part;
    r->text[used] = '\0';
    r->code = e;
    return e;
}

void die_(const char *file, int line, const char *fmt, ...)
{
    va_list ap;

    (void)fprintf(stderr, "crossdock: fatal: %s:%d: ", file, line);
    va_start(ap, fmt);
    (void)vfprintf(stderr, fmt, ap);
    va_end(ap);
    (void)fputc('\n', stderr);
    abort();
}
