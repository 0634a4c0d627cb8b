/*
 * log.h - the program's own log: one line an event, to a sink that never blocks.
 *
 * Not the access log (observe/access_log.h). Never a secret or a prompt above debug. Lines go to a sink installed once at start
 * (rt/writer); before that, and in command-line use, to stderr.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/attr.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_options {
    enum log_level level;                     /* lower ones are dropped                          */
    bool json;                                /* one JSON object a line, else text for people    */
    bool colour;                              /* text form: ANSI colours                         */
    void (*sink)(struct str line, void *ctx); /* takes a whole line with its '\n'; NULL: stderr  */
    void *ctx;
    int64_t (*wall)(void); /* nanoseconds since 1970; NULL: no time in lines  */
};

/* Set up; from the first thread, or later from any when nothing but the level differs. */
void log_configure(const struct log_options *options);
bool log_enabled(enum log_level level);
/* "debug", "info", "warn", "error"; false for another word. */
bool log_level_parse(struct str word, enum log_level *ret) MUST_CHECK;
const char *log_level_name(enum log_level level);

/* Log one event. `id`: of the request it belongs to, or STR_NONE. */
void log_write(enum log_level level, struct str id, const char *fmt, ...) PRINTF_LIKE(3, 4) COLD;

#define log_debug(id, ...)                                                                                             \
    do {                                                                                                               \
        if (log_enabled(LOG_DEBUG))                                                                                    \
            log_write(LOG_DEBUG, (id), __VA_ARGS__);                                                                   \
    } while (0)
#define log_info(id, ...) log_write(LOG_INFO, (id), __VA_ARGS__)
#define log_warn(id, ...) log_write(LOG_WARN, (id), __VA_ARGS__)
#define log_error(id, ...) log_write(LOG_ERROR, (id), __VA_ARGS__)

/* "2026-11-21T08:15:30.123Z" for nanoseconds since 1970, into 25 bytes with the NUL. Pure. */
enum { LOG_TIME_MAX = 25 };
void log_format_time(int64_t wall, char text[LOG_TIME_MAX]);

#endif
