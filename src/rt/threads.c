/* threads.c - one thread per loop: starting and joining them, and counting processors. */
#include "rt/threads.h"

#include "base/mem.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

struct thread {
    pthread_t id;
    unsigned index;
    thread_fn *fn;
    void *ctx;
    err_t result;
    struct err_record record;
};

static void *thread_main(void *arg)
{
    struct thread *t = arg;

    t->result = t->fn(t->index, t->ctx);
    t->record = *err_current();
    return NULL;
}

err_t threads_run(unsigned count, thread_fn *fn, void *ctx)
{
    struct thread *all = mem_zalloc(count, sizeof *all);
    unsigned started = 1;
    err_t result = OK;
    struct err_record record = {.code = OK};

    for (unsigned i = 0; i < count; i++)
        all[i] = (struct thread){.index = i, .fn = fn, .ctx = ctx};
    for (; started < count; started++) {
        int e = pthread_create(&all[started].id, NULL, thread_main, &all[started]);
        if (e != 0)
            die("cannot start thread %u: %s", started, strerrordesc_np(e));
        char name[16];
        (void)snprintf(name, sizeof name, "loop-%u", started);
        (void)pthread_setname_np(all[started].id, name);
    }
    (void)thread_main(&all[0]);
    for (unsigned i = 0; i < count; i++) {
        if (i > 0)
            (void)pthread_join(all[i].id, NULL);
        if (result == OK && all[i].result != OK) {
            result = all[i].result;
            record = all[i].record;
        }
    }
    if (result != OK && record.code == result)
        *err_current() = record;
    mem_free(all);
    return result;
}

/* Processors' worth of time that the control group grants, rounded up; 0: no limit is known. */
static unsigned cgroup_cpus(void)
{
    unsigned long quota, period;
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");

    if (!f)
        return 0;
    int n = fscanf(f, "%lu %lu", &quota, &period); /* "max 100000" without a limit */
    (void)fclose(f);
    return n == 2 && period > 0 ? (unsigned)((quota + period - 1) / period) : 0;
}

unsigned threads_cpus(void)
{
    cpu_set_t set;
    unsigned cpus = 1, granted = cgroup_cpus();

    if (sched_getaffinity(0, sizeof set, &set) == 0)
        cpus = (unsigned)CPU_COUNT(&set);
    return granted > 0 && granted < cpus ? granted : cpus;
}
