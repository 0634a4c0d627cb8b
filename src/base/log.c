/*
 * log.c - formatting of log lines.
 *
 * A line is built on the stack and handed to the sink whole, so lines of several threads do not mix. Over-long text is cut.
 */
#include "base/log.h"

#include "base/buf.h"
#include "base/date.h"

#include <stdarg.h>
#include <stdio.h>

enum { TEXT_MAX = 1024, LINE_MAX_BYTES = 8 * TEXT_MAX /* a byte becomes six at most */ };

static struct log_options opts = {.level = LOG_INFO};

static const char *const names[] = {"debug", "info", "warn", "error"};
static const char *const colours[] = {"\033[2m", "\033[32m", "\033[33m", "\033[31m"};

void log_configure(const struct log_options *options)
{
    opts = *options;
}

bool log_enabled(enum log_level level)
{
    return level >= opts.level;
}

bool log_level_parse(struct str word, enum log_level *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(word, str_from_c(names[i]))) {
            *ret = (enum log_level)i;
            return true;
        }
    return false;
}

const char *log_level_name(enum log_level level)
{
    return names[level];
}

static char *put_number(char *to, unsigned value, unsigned width)
{
    for (unsigned i = width; i > 0; i--) {
        to[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return to + width;
}

void log_format_time(int64_t wall, char text[LOG_TIME_MAX])
{
    int64_t ms = wall / 1000000, secs = ms / 1000;
    unsigned of_day = (unsigned)(secs % 86400);
    struct date date = date_of_day(secs / 86400);
    char *p = text;

    p = put_number(p, (unsigned)date.year, 4);
    *p++ = '-';
    p = put_number(p, (unsigned)date.month, 2);
    *p++ = '-';
    p = put_number(p, (unsigned)date.day, 2);
    *p++ = 'T';
    p = put_number(p, of_day / 3600, 2);
    *p++ = ':';
    p = put_number(p, of_day / 60 % 60, 2);
    *p++ = ':';
    p = put_number(p, of_day % 60, 2);
    *p++ = '.';
    p = put_number(p, (unsigned)(ms % 1000), 3);
    *p++ = 'Z';
    *p = '\0';
}

static void add_text_line(struct buf *b, enum log_level level, struct str id, struct str text, const char *when)
{
    buf_add(b, str_from_c(when));
    buf_add(b, when[0] ? STR(" ") : STR(""));
    buf_add(b, str_from_c(opts.colour ? colours[level] : ""));
    buf_add(b, str_from_c(names[level]));
    buf_add(b, str_from_c(opts.colour ? "\033[0m" : ""));
    buf_add(b, STR(" "));
    buf_add(b, text);
    if (id.n) {
        buf_add_lit(b, " request_id=");
        buf_add(b, id);
    }
}

static void add_json_line(struct buf *b, enum log_level level, struct str id, struct str text, const char *when)
{
    buf_add_lit(b, "{\"time\":\"");
    buf_add(b, str_from_c(when));
    buf_add_lit(b, "\",\"level\":\"");
    buf_add(b, str_from_c(names[level]));
    buf_add_lit(b, "\",\"message\":\"");
    buf_add_json(b, text);
    if (id.n) {
        buf_add_lit(b, "\",\"request_id\":\"");
        buf_add_json(b, id);
    }
    buf_add_lit(b, "\"}");
}

void log_write(enum log_level level, struct str id, const char *fmt, ...)
{
    char text[TEXT_MAX], when[LOG_TIME_MAX] = "";
    struct buf line CLEANUP(buf_release) = BUF_INIT(LINE_MAX_BYTES);
    va_list ap;

    if (!log_enabled(level))
        return;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    if (opts.wall)
        log_format_time(opts.wall(), when);
    (opts.json ? add_json_line : add_text_line)(&line, level, id, str_from_c(text), when);
    buf_add_char(&line, '\n');
    if (opts.sink)
        opts.sink(buf_str(&line), opts.ctx);
    else
        (void)fwrite(line.p, 1, line.n, stderr);
}
