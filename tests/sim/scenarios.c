/* scenarios.c - the register of scenarios, and what happens when one takes the program down. */
#include "sim/scenarios.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

unsigned scenarios_choose(const char *exact, char **filters, int count)
{
    chosen_count = 0;
    for (const struct scenario *s = registered; s && chosen_count < SCENARIOS_MAX; s = s->next)
        if (is_wanted(s, exact, filters, count))
            chosen[chosen_count++] = s;
    qsort(chosen, chosen_count, sizeof *chosen, by_place);
    return chosen_count;
}

const struct scenario *scenario_chosen(unsigned index)
{
    return chosen[index];
}

int scenarios_list(void)
{
    for (unsigned i = 0; i < chosen_count; i++)
        (void)puts(chosen[i]->name);
    return 0;
}

/* ---- crashes and hangs ---- */

static void on_fatal(int sig)
{
    static const char hang[] = "\n# a world hangs";

    if (sig == SIGALRM && write(STDOUT_FILENO, hang, sizeof hang - 1) < 0)
        _exit(127);
    last_words();
    signal(sig, SIG_DFL);
    raise(sig == SIGALRM ? SIGABRT : sig);
}

__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)(void));

void scenarios_catch_deaths(void (*say_where)(void))
{
    struct sigaction act = {.sa_handler = on_fatal, .sa_flags = SA_NODEFER};

    last_words = say_where;
    (void)fflush(stdout);
    sigaction(SIGABRT, &act, NULL);
    sigaction(SIGALRM, &act, NULL);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(say_where);
}
