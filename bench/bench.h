/*
 * bench.h - what the load programs share: options, a histogram of times, and a loop to run in.
 *
 * A program here is one loop on one thread; bench/run pins it to a processor. Times are of CLOCK_MONOTONIC, which all processes of a machine
 * share, so one program may write an instant into a message and another may subtract it.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "base/map.h"
#include "rt/addr.h"
#include "rt/loop.h"
#include "rt/process.h"
#include "rt/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

/* --- options: --name VALUE --- */

static inline const char *option(int argc, char **argv, const char *name, const char *otherwise)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, name) == 0)
            return argv[i + 1];
    return otherwise;
}

static inline long option_number(int argc, char **argv, const char *name, long otherwise)
{
    const char *text = option(argc, argv, name, NULL);
    return text ? strtol(text, NULL, 10) : otherwise;
}

static inline struct addr option_addr(int argc, char **argv, const char *name, const char *otherwise)
{
    struct addr at;
    if (addr_parse(str_from_c(option(argc, argv, name, otherwise)), &at) != OK)
        die("--%s: %s", name, err_detail(E_PARSE));
    return at;
}

/* --- times, in buckets of 1/64 of their power of two: no quantile is off by more than 1.6 % --- */

enum { HIST_FINE = 6, HIST_BUCKETS = (64 - HIST_FINE) << HIST_FINE };

struct hist {
    uint64_t count[HIST_BUCKETS], n;
    ns_t max;
};

static inline unsigned hist_bucket(ns_t value)
{
    uint64_t v = value > 0 ? (uint64_t)value : 0;
    if (v < 1U << HIST_FINE)
        return (unsigned)v;
    unsigned shift = 63 - HIST_FINE - (unsigned)__builtin_clzll(v);
    return ((shift + 1) << HIST_FINE) + (unsigned)(v >> shift) - (1U << HIST_FINE);
}

/* The middle of a bucket. */
static inline ns_t hist_value(unsigned bucket)
{
    unsigned shift = bucket >> HIST_FINE;
    uint64_t low = bucket & ((1U << HIST_FINE) - 1);
    if (shift == 0)
        return (ns_t)low;
    low = (low + (1U << HIST_FINE)) << (shift - 1);
    return (ns_t)(low + ((UINT64_C(1) << (shift - 1)) >> 1));
}

static inline void hist_add(struct hist *h, ns_t value)
{
    h->count[hist_bucket(value)]++;
    h->n++;
    if (value > h->max)
        h->max = value;
}

static inline double hist_us(const struct hist *h, double quantile)
{
    uint64_t below = 0, wanted = (uint64_t)(quantile * (double)h->n);
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        below += h->count[i];
        if (below > wanted)
            return (double)hist_value(i) / 1e3;
    }
    return (double)h->max / 1e3;
}

/* As a member of a JSON object. */
static inline void hist_print(const char *name, const struct hist *h)
{
    (void)printf("\"%s\":{\"n\":%llu,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f},", name,
                 (unsigned long long)h->n, hist_us(h, 0.5), hist_us(h, 0.9), hist_us(h, 0.99), hist_us(h, 0.999),
                 (double)h->max / 1e3);
}

/* --- talking to the script that started us --- */

static inline void say(const char *line)
{
    (void)puts(line);
    (void)fflush(stdout);
}

/* Say "ready" and block until a line comes on stdin, so that the script can read counters between warming up and measuring. */
static inline void wait_for_go(void)
{
    char line[64];
    say("ready");
    if (!fgets(line, sizeof line, stdin))
        exit(EXIT_FAILURE);
}

/* --- a loop --- */

static inline int bench_run(fiber_fn *fn, void *arg)
{
    struct loop_options o = {.index = 0};
    unsigned char key[16];

    rt_random_bytes(key, sizeof key);
    map_set_hash_key(key);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* timers are late by 50 us otherwise */
    (void)process_raise_file_limit();
    process_keep_memory();
    workers_start(1);
    err_t e = loop_run(&o, fn, arg);
    workers_stop();
    if (e != OK)
        (void)fprintf(stderr, "%s: %s\n", program_invocation_short_name, err_detail(e));
    return e == OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
