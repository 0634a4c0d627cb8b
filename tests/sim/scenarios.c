/* scenarios.c - the register of scenarios, the command line, and what happens when a scenario takes the program down. */
#include "sim/scenarios.h"

#include "unit/census.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum { SCENARIOS_MAX = 256 };

static struct scenario *registered;
static const struct scenario *chosen[SCENARIOS_MAX];
static unsigned chosen_count;
static void (*last_words)(void);

void scenario_register(struct scenario *s)
{
    s->next = registered;
    registered = s;
}

/* ---- choosing ---- */

static bool is_wanted(const struct scenario *s, const char *exact, char **filters, int count)
{
    if (exact)
        return strcmp(s->name, exact) == 0;
    for (int i = 0; i < count; i++)
        if (strstr(s->name, filters[i]) || strstr(s->file, filters[i]))
            return true;
    return count == 0;
}

static int by_place(const void *a, const void *b)
{
    const struct scenario *x = *(const struct scenario *const *)a, *y = *(const struct scenario *const *)b;
    int files = strcmp(x->file, y->file);

    return files ? files : (x->line > y->line) - (x->line < y->line);
}

static unsigned choose(const char *exact, char **filters, int count)
{
    for (const struct scenario *s = registered; s && chosen_count < SCENARIOS_MAX; s = s->next)
        if (is_wanted(s, exact, filters, count))
            chosen[chosen_count++] = s;
    qsort(chosen, chosen_count, sizeof *chosen, by_place);
    return chosen_count;
}

static int list(void)
{
    for (unsigned i = 0; i < chosen_count; i++)
        (void)puts(chosen[i]->name);
    return 0;
}

/* ---- crashes and hangs ---- */

enum { HANG_CPU_SECONDS = 60, HANG_REAL_SECONDS = 600 };

static bool is_hang(int sig)
{
    return sig == SIGALRM || sig == SIGPROF;
}

static void on_fatal(int sig)
{
    static const char hang[] = "\n# a world hangs";

    if (is_hang(sig) && write(STDOUT_FILENO, hang, sizeof hang - 1) < 0)
        _exit(127);
    last_words();
    signal(sig, SIG_DFL);
    raise(is_hang(sig) ? SIGABRT : sig);
}

__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)(void));

static void catch_deaths(void (*say_where)(void))
{
    struct sigaction act = {.sa_handler = on_fatal, .sa_flags = SA_NODEFER};

    last_words = say_where;
    (void)fflush(stdout);
    sigaction(SIGABRT, &act, NULL);
    sigaction(SIGALRM, &act, NULL);
    sigaction(SIGPROF, &act, NULL);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(say_where);
}

static void set_watch(unsigned real_seconds, unsigned cpu_seconds)
{
    struct itimerval span = {.it_value.tv_sec = cpu_seconds};

    alarm(real_seconds);
    setitimer(ITIMER_PROF, &span, NULL);
}

void scenario_watch(void)
{
    set_watch(HANG_REAL_SECONDS, HANG_CPU_SECONDS);
}

void scenario_unwatch(void)
{
    set_watch(0, 0);
}

/* ---- the command line ---- */

uint64_t scenario_number(const char *option, const char *text, bool zero, uint64_t max)
{
    char *end;
    uint64_t value = strtoull(text, &end, 0);

    if (end != text && !*end && (value || zero) && value <= max)
        return value;
    fprintf(stderr, "--%s needs a number%s, not '%s'\n", option, zero ? "" : " from 1 up", text);
    exit(2);
}

static void usage(const char *name, const struct scenario_program *p)
{
    printf("usage: %s [options] [part of a scenario's name or file]...\n"
           "  --list            names of the scenarios, and nothing else\n",
           name);
    for (size_t i = 0; i < p->option_count; i++) {
        const struct scenario_option *o = &p->options[i];
        int used = printf("  --%s %s", o->name, o->value ? o->value : "");
        printf("%*s%s\n", used < 20 ? 20 - used : 1, "", o->help);
    }
}

enum {
    OPTIONS_MAX = 16,
    LIST = 'l',
    HELP = 'h',
    FIRST = 256
}; /* FIRST: what getopt_long() says for the program's first option */

static void fill_options(struct option to[OPTIONS_MAX + 3], const struct scenario_program *p)
{
    size_t n = p->option_count < OPTIONS_MAX ? p->option_count : OPTIONS_MAX;

    for (size_t i = 0; i < n; i++)
        to[i] = (struct option){.name = p->options[i].name,
                                .has_arg = p->options[i].value ? required_argument : no_argument,
                                .val = FIRST + (int)i};
    to[n] = (struct option){.name = "list", .val = LIST};
    to[n + 1] = (struct option){.name = "help", .val = HELP};
    to[n + 2] = (struct option){0};
}

/* False if the program should end at once with *ret_status. */
static bool parse(int argc, char **argv, const struct scenario_program *p, bool *ret_list, int *ret_status)
{
    struct option options[OPTIONS_MAX + 3];
    int c;

    fill_options(options, p);
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == LIST) {
            *ret_list = true;
        } else if (c >= FIRST) {
            p->options[c - FIRST].take(p->options[c - FIRST].name, optarg);
        } else {
            *ret_status = c == HELP ? 0 : 2;
            if (c == HELP)
                usage(argv[0], p);
            return false;
        }
    }
    return true;
}

int scenarios_main(int argc, char **argv, const struct scenario_program *p)
{
    bool only_list = false;
    unsigned failed = 0;
    int status;

    if (!parse(argc, argv, p, &only_list, &status))
        return status;
    unsigned n = choose(p->exact ? *p->exact : NULL, argv + optind, argc - optind);
    if (only_list)
        return list();
    printf("TAP version 13\n1..%u\n", n);
    if (p->announce)
        p->announce();
    catch_deaths(p->say_where);
    const char *census = census_begin();
    for (unsigned i = 0; i < n; i++)
        failed += !p->run(chosen[i], i + 1);
    if (n == 0)
        fprintf(stderr, "no scenario has such a name\n");
    return census_end(census, failed || n == 0);
}
