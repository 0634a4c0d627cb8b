/*
 * runner.c - runs the tests of one program and reports them in TAP (https://testanything.org).
 *
 * Tests run one after the other in one process, sorted by file and line, so that a run can be repeated exactly: the order
 * of constructors is the linker's affair. A crash therefore ends the run; the signal handler says in which test, and the
 * missing rest of the plan, which is printed first, makes the suite fail.
 */
#include "unit/test.h"

#include "unit/census.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { SLOW_MS = 50, CONTEXT_MAX = 256, BYTES_SHOWN = 96 };

static struct test *tests; /* all, sorted once main() runs */
static struct {
    uint64_t seed;
    uint64_t rounds; /* 0: what the test finds usual */
    uint64_t step;
} options = {.seed = 1, .step = 1};

static struct {
    const struct test *test;
    bool has_failed;
    char context[CONTEXT_MAX];
    char skip_reason[CONTEXT_MAX]; /* "" unless skipped */
} running;

void test_register(struct test *t)
{
    t->next = tests;
    tests = t;
}

uint64_t test_seed(void)
{
    return options.seed;
}

uint64_t test_rounds(uint64_t usual)
{
    return options.rounds ? options.rounds : usual;
}

double test_cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

uint64_t test_step(void)
{
    return options.step;
}

bool test_failed(void)
{
    return running.has_failed;
}

const char *test_root(void)
{
    const char *root = getenv("TEST_ROOT");

    return root ? root : ".";
}

void test_context(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(running.context, sizeof(running.context), fmt, args);
    va_end(args);
}

void test_skip(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(running.skip_reason, sizeof(running.skip_reason), fmt, args);
    va_end(args);
}

/* ---- failures ---------------------------------------------------------------------------------------------------- */

static void fail_begin(const char *file, int line)
{
    running.has_failed = true;
    printf("# %s:%d: ", file, line);
}

static void fail_end(void)
{
    putchar('\n');
    if (running.context[0])
        printf("#     with %s\n", running.context);
    fflush(stdout);
}

void test_fail_(const char *file, int line, const char *fmt, ...)
{
    va_list args;

    fail_begin(file, line);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    fail_end();
}

int test_word_cmp_(struct test_word a, struct test_word b)
{
    if (a.is_negative != b.is_negative)
        return a.is_negative ? -1 : 1;
    /* Within one sign, two's complement keeps the order of the bits. */
    return (a.bits > b.bits) - (a.bits < b.bits);
}

static void print_word(struct test_word w)
{
    if (w.is_negative)
        printf("%" PRId64, (int64_t)w.bits);
    else
        printf("%" PRIu64, w.bits);
    /* Large values are mostly flags, sizes or addresses: easier to tell apart in hexadecimal. */
    if (!w.is_negative && w.bits > 9999)
        printf(" (0x%" PRIx64 ")", w.bits);
}

void test_fail_cmp_(const char *file, int line, const char *got_text, const char *op, const char *want_text,
                    struct test_word got, struct test_word want)
{
    fail_begin(file, line);
    printf("%s %s %s: got ", got_text, op, want_text);
    print_word(got);
    printf(", against ");
    print_word(want);
    fail_end();
}

/* Print up to BYTES_SHOWN bytes of `s` around `at`, in quotes, everything unprintable escaped. */
static void print_bytes(struct str s, size_t at)
{
    size_t from = at > BYTES_SHOWN / 2 ? at - BYTES_SHOWN / 2 : 0;
    size_t to = s.n - from > BYTES_SHOWN ? from + BYTES_SHOWN : s.n;

    if (!s.p) {
        printf("(none)");
        return;
    }
    printf(from ? "…\"" : "\"");
    for (size_t i = from; i < to; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c == '\n')
            printf("\\n");
        else if (c == '\r')
            printf("\\r");
        else if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20 || c >= 0x7f)
            printf("\\x%02x", c);
        else
            putchar(c);
    }
    printf(to < s.n ? "\"…" : "\"");
}

void test_fail_bytes_(const char *file, int line, const char *got_text, struct str got, struct str want)
{
    size_t at = 0;

    while (at < got.n && at < want.n && got.p[at] == want.p[at])
        at++;
    fail_begin(file, line);
    printf("%s differs at byte %zu\n#     got  %zu bytes: ", got_text, at, got.n);
    print_bytes(got, at);
    printf("\n#     want %zu bytes: ", want.n);
    print_bytes(want, at);
    fail_end();
}

void test_fail_err_(const char *file, int line, const char *expr, err_t got, err_t want)
{
    fail_begin(file, line);
    printf("%s: got %s, want %s", expr, err_name(got), err_name(want));
    if (got != OK)
        printf("\n#     %s", err_detail(got));
    fail_end();
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

static pid_t runner_pid;

/* Say which test a crash belongs to, then let it happen. Only async-signal-safe calls. */
static void on_crash(int sig)
{
    static const char words[] = "\nBail out! crashed in ";
    const char *name = running.test ? running.test->name : "(no test)";

    /* A test may let a forked child die on purpose. */
    if (getpid() != runner_pid) {
        signal(sig, SIG_DFL);
        raise(sig);
    }
    if (write(STDOUT_FILENO, words, sizeof(words) - 1) < 0 || write(STDOUT_FILENO, name, strlen(name)) < 0 ||
        write(STDOUT_FILENO, "\n", 1) < 0)
        _exit(127);
    signal(sig, SIG_DFL);
    raise(sig);
}

static void catch_crashes(void)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    struct sigaction act = {.sa_handler = on_crash, .sa_flags = SA_NODEFER};

    runner_pid = getpid();
    for (size_t i = 0; i < ARRAY_LEN(fatal); i++) {
        struct sigaction old;

        /* A sanitizer's own handler says more than ours. */
        if (sigaction(fatal[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
            sigaction(fatal[i], &act, NULL);
    }
}

static double now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* Run one test and report it as number `n`. Returns whether it passed. */
static bool run_one(const struct test *t, size_t n)
{
    double begin = now_ms();
    double ms;

    memset(&running, 0, sizeof(running));
    running.test = t;
    t->run();
    running.test = NULL;
    ms = now_ms() - begin;
    printf("%s %zu - %s", running.has_failed ? "not ok" : "ok", n, t->name);
    if (running.skip_reason[0] && !running.has_failed)
        printf(" # SKIP %s", running.skip_reason);
    putchar('\n');
    if (ms > SLOW_MS)
        printf("# %s took %.0f ms\n", t->name, ms);
    fflush(stdout);
    return !running.has_failed;
}

static int by_place(const void *a, const void *b)
{
    const struct test *ta = *(const struct test *const *)a;
    const struct test *tb = *(const struct test *const *)b;
    int files = strcmp(ta->file, tb->file);

    return files ? files : (ta->line > tb->line) - (ta->line < tb->line);
}

/* The tests whose name or file contains one of `filters` (all, without filters), sorted. The caller frees it. */
static struct test **select_tests(char **filters, int n_filters, size_t *ret_n)
{
    size_t n = 0;
    struct test **list;

    for (struct test *t = tests; t; t = t->next)
        n++;
    list = calloc(n + 1, sizeof(struct test *));
    if (!list)
        die("out of memory");
    n = 0;
    for (struct test *t = tests; t; t = t->next) {
        bool is_wanted = n_filters == 0;

        for (int i = 0; i < n_filters; i++)
            is_wanted = is_wanted || strstr(t->name, filters[i]) || strstr(t->file, filters[i]);
        if (is_wanted)
            list[n++] = t;
    }
    qsort(list, n, sizeof(struct test *), by_place);
    *ret_n = n;
    return list;
}

static uint64_t parse_number(const char *option, const char *text)
{
    char *end;
    uint64_t value;

    if (strcmp(option, "seed") == 0 && strcmp(text, "random") == 0) {
        if (getrandom(&value, sizeof(value), 0) != (ssize_t)sizeof(value))
            die("no random seed from the system");
        /* Small enough to be typed, with room above for the rounds. */
        return value >> 16;
    }
    value = strtoull(text, &end, 0);
    if (end == text || *end || (value == 0 && strcmp(option, "seed") != 0)) {
        fprintf(stderr, "--%s needs a number%s, not '%s'\n", option, strcmp(option, "seed") ? " from 1 up" : "", text);
        exit(2);
    }
    return value;
}

static void usage(const char *program)
{
    printf("usage: %s [options] [part of a test's name or file]...\n"
           "  --list        names of the tests, and nothing else\n"
           "  --seed N      seed of all random choices (1); 'random' draws one and prints it\n"
           "  --rounds N    rounds of each randomised test, instead of what it finds usual\n"
           "  --step N      take only every N-th step of sweeps (1)\n",
           program);
}

int test_main(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"list", no_argument, NULL, 'l'},         {"seed", required_argument, NULL, 's'},
        {"rounds", required_argument, NULL, 'r'}, {"step", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    bool list_only = false;
    size_t n;
    size_t failed = 0;
    struct test **selected;
    int c;

    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (c) {
        case 'l':
            list_only = true;
            break;
        case 's':
            options.seed = parse_number("seed", optarg);
            break;
        case 'r':
            options.rounds = parse_number("rounds", optarg);
            break;
        case 't':
            options.step = parse_number("step", optarg);
            break;
        case 'h':
            usage(argv[0]);
            return 0;
        default:
            return 2;
        }
    }
    selected = select_tests(argv + optind, argc - optind, &n);
    if (list_only) {
        for (size_t i = 0; i < n; i++)
            puts(selected[i]->name);
        free(selected);
        return 0;
    }
    printf("TAP version 13\n1..%zu\n# seed %" PRIu64 "\n", n, options.seed);
    fflush(stdout);
    catch_crashes();
    for (size_t i = 0; i < n; i++)
        failed += !run_one(selected[i], i + 1);
    free(selected);
    if (failed)
        printf("# %zu of %zu failed; repeat with --seed %" PRIu64 "\n", failed, n, options.seed);
    if (n == 0)
        fprintf(stderr, "no test has such a name\n");
    return failed || n == 0;
}

__attribute__((weak)) int main(int argc, char **argv)
{
    const char *census = census_begin();
    return census_end(census, test_main(argc, argv));
}
