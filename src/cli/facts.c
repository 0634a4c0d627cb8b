/*
 * facts.c - crossdock facts: the log of facts on disk as JSON, one record a line.
 *
 * Reads the folder itself, so it works without a server and beside a running one, and as long as the log goes back. What a crash cut off is passed over
 * and told on stderr.
 */
#include "base/date.h"
#include "base/mem.h"
#include "base/units.h"
#include "cli/cli.h"
#include "fleet/config.h"
#include "observe/facts_log.h"
#include "rt/loop.h"
#include "store/segments.h"

#include <inttypes.h>
#include <stdio.h>

enum { LINE_MAX_BYTES = 4 * 1024 * 1024, ARENA_MAX = 256 * 1024 * 1024, REPORT_MAX = 1024 * 1024 };

#define FOLLOW_EVERY (200 * NS_MS)

struct filter {
    const char *dir;
    int64_t since;                  /* wall clock; 0: from the beginning */
    struct str request;             /* empty: of all */
    const struct record_type *type; /* NULL: all */
    bool follows;
};

/* --- options --- */

/* Two digits at `at`. */
static bool take_number(struct str s, size_t at, size_t digits, int *ret)
{
    uint64_t n;

    if (!str_to_u64(str_slice(s, at, at + digits), UINT64_MAX, &n) || at + digits > s.n)
        return false;
    *ret = (int)n;
    return true;
}

/* "2026-11-21T12:34:56Z", or its beginning: a day, a minute. UTC. */
static bool read_instant(struct str s, int64_t *ret)
{
    static const char form[] = "0000-00-00T00:00:00";
    struct date d = {0};
    int hour = 0, minute = 0, second = 0;

    s.n -= s.n && s.p[s.n - 1] == 'Z';
    if (s.n != 10 && s.n != 16 && s.n != 19)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (form[i] != '0' && s.p[i] != form[i])
            return false;
    bool ok = take_number(s, 0, 4, &d.year) && take_number(s, 5, 2, &d.month) && take_number(s, 8, 2, &d.day) &&
              (s.n < 16 || (take_number(s, 11, 2, &hour) && take_number(s, 14, 2, &minute))) &&
              (s.n < 19 || take_number(s, 17, 2, &second));
    if (!ok || d.month < 1 || d.month > 12 || d.day < 1 || d.day > 31 || hour > 23 || minute > 59 || second > 60)
        return false;
    *ret = ((date_to_day(d) * 24 + hour) * 60 + minute) * 60 + second;
    *ret *= NS_SEC;
    return true;
}

static bool read_since(struct str s, int64_t *ret)
{
    ns_t span;

    if (read_instant(s, ret))
        return true;
    if (units_parse_duration(s, &span) != OK)
        return false;
    *ret = span == NS_NEVER ? 0 : rt_wall() - span;
    return true;
}

/* The folder that a configuration names, to mem_free(). NULL, after it was said why. */
static char *configured_folder(const char *config)
{
    struct arena arena CLEANUP(arena_release);
    struct buf report CLEANUP(buf_release) = BUF_INIT(REPORT_MAX);
    struct problems problems = {.arena = &arena};
    struct catalog *c = NULL;
    char *dir = NULL;

    arena_init(&arena, SIZE_MAX / 2);
    if (config_load(config, STR_NONE, config_env_real(), &problems, &c) != OK) {
        problems_print(&problems, &report);
        (void)fwrite(report.p ? report.p : "", 1, report.n, stderr);
        (void)fputs("crossdock facts: name the folder itself with --dir\n", stderr);
        return NULL;
    }
    if (c->facts.dir.n)
        dir = mem_dup(c->facts.dir.p, c->facts.dir.n);
    else
        (void)fprintf(stderr, "crossdock facts: %s keeps no log of facts (facts.dir); name one with --dir\n", config);
    catalog_unref(c);
    return dir;
}

/* --- printing --- */

static bool is_wanted(const struct filter *f, struct str record)
{
    if (f->type && record_type_of(record) != f->type->id)
        return false;
    return !f->request.n || str_eq(facts_request_of(record), f->request);
}

/* What cannot be read, such as a type of a later version, is left out. */
static bool print_record(struct str record, struct arena *arena, struct buf *line)
{
    buf_clear(line);
    arena_clear(arena);
    if (facts_json(record, arena, line) != OK)
        return true;
    (void)buf_add_char(line, '\n');
    return fwrite(line->p, 1, line->n, stdout) == line->n;
}

static SUSPENDS err_t wait_a_little(void)
{
    (void)fflush(stdout);
    return fiber_sleep_until(rt_now() + FOLLOW_EVERY);
}

static SUSPENDS err_t print_all(const struct filter *f, struct segment_reader *r)
{
    struct arena arena CLEANUP(arena_release);
    struct buf line CLEANUP(buf_release) = BUF_INIT(LINE_MAX_BYTES);
    struct str record;

    arena_init(&arena, ARENA_MAX);
    if (f->follows)
        segment_reader_follow(r);
    for (;;) {
        TRY(segment_reader_next(r, &record));
        if (!record.p && !f->follows)
            return OK;
        if (!record.p)
            TRY(wait_a_little());
        else if (is_wanted(f, record) && !print_record(record, &arena, &line))
            return fail(E_IO, "the records cannot be written");
    }
}

static SUSPENDS err_t print_from(const struct filter *f)
{
    struct segment_reader *r;

    TRY(segment_reader_open(loop_seams(), f->dir, f->since, &r));
    err_t e = print_all(f, r);
    uint64_t skipped = segment_reader_skipped(r);
    segment_reader_close(r);
    if (skipped)
        (void)fprintf(stderr, "crossdock facts: %" PRIu64 " bytes passed over: cut off by a crash, or damaged\n",
                      skipped);
    if (e == OK && fflush(stdout) != 0)
        return fail(E_IO, "the records cannot be written");
    return e;
}

/* In a fiber, because who follows waits; reading the disk here keeps nobody waiting but the person who asked. */
static SUSPENDS err_t print_log(void *filter)
{
    err_t e = print_from(filter);

    if (e != OK)
        (void)fprintf(stderr, "crossdock facts: %s\n", err_detail(e));
    return e;
}

static int print_folder(const char *dir, struct filter *f)
{
    f->dir = dir;
    return loop_run(&(struct loop_options){0}, print_log, f) == OK ? EXIT_OK : EXIT_FAILED;
}

/* --- the command --- */

static int misuse(const char *what)
{
    (void)fprintf(stderr, "crossdock facts: %s\nTry 'crossdock facts --help'.\n", what);
    return EXIT_USAGE;
}

static int run(int argc, char **argv)
{
    enum { DIR_, CONFIG, SINCE, REQUEST, TYPE, FOLLOW, OPTIONS };
    struct option_value o[OPTIONS] = {
        [DIR_] = {"dir", true, NULL},        [CONFIG] = {"config", true, NULL}, [SINCE] = {"since", true, NULL},
        [REQUEST] = {"request", true, NULL}, [TYPE] = {"type", true, NULL},     [FOLLOW] = {"follow", false, NULL}};
    int operands, e = cli_parse(&command_facts, argc, argv, o, OPTIONS, 0, &operands);
    struct filter f = {.follows = o[FOLLOW].value != NULL};

    if (e)
        return e < 0 ? EXIT_OK : e;
    if (o[SINCE].value && !read_since(str_from_c(o[SINCE].value), &f.since))
        return misuse("--since takes a span (15m, 2d) or a time of UTC (2026-01-31, 2026-01-31T12:00)");
    if (o[TYPE].value && !(f.type = facts_type_named(str_from_c(o[TYPE].value))))
        return misuse("--type takes request, attempt, decision, root or tap");
    if (o[REQUEST].value)
        f.request = str_from_c(o[REQUEST].value);
    if (o[DIR_].value)
        return print_folder(o[DIR_].value, &f);
    char *dir = configured_folder(o[CONFIG].value ? o[CONFIG].value : "crossdock.yaml");
    int code = dir ? print_folder(dir, &f) : EXIT_CONFIG;
    mem_free(dir);
    return code;
}

const struct command command_facts = {
    .name = "facts",
    .summary = "print the log of facts as JSON lines",
    .help =
        "Usage: crossdock facts [--dir DIR | --config FILE] [--since WHEN] [--request ID] [--type TYPE] [--follow]\n\n"
        "Prints what the log of facts (facts.dir in the configuration) holds, oldest first, a JSON object a line: for "
        "each request one for\n"
        "each decision and each attempt, and at last one for itself; for each message of a pipeline one (root), and "
        "one for "
        "each record that a\n"
        "tap shows. Works without a server and beside a running one.\n\n"
        "  --dir DIR      the folder of the log (default: the configuration's)\n"
        "  --config FILE  the configuration that names it (default: crossdock.yaml)\n"
        "  --since WHEN   only what was written since: a span (15m, 2d), or a time of UTC (2026-01-31, "
        "2026-01-31T12:00)\n"
        "  --request ID   only of that request\n"
        "  --type TYPE    only of that type: request, attempt, decision, root, tap\n"
        "  --follow       go on as more is written\n\n"
        "Instants (sent, first, last, ended, at) and spans are nanoseconds, instants of the server's monotonic clock; "
        "wall "
        "is nanoseconds since\n"
        "1970. Prices are nano-US-dollars.\n",
    .run = run,
};
