/* Threads with loops, the watchdog over them, messages between them, and signals to them. */
#include "rt/threads.h"

#include "rt/aside.h"
#include "rt/sanitize.h"
#include "rt/scope.h"
#include "rt/signals.h"
#include "rt/watchdog.h"
#include "unit/in_loop.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- threads ---- */

static atomic_uint visited;

static err_t visit(unsigned index, void *ctx)
{
    (void)atomic_fetch_or(&visited, 1u << index);
    if (index == *(unsigned *)ctx)
        return fail(E_CONFIG, "thread %u has bad luck", index);
    return OK;
}

TEST(threads_all_run_and_the_first_failure_is_reported)
{
    unsigned unlucky = 2;
    atomic_store(&visited, 0);
    CHECK_ERR(threads_run(4, visit, &unlucky), E_CONFIG);
    CHECK_STR(str_from_c(err_detail(E_CONFIG)), "thread 2 has bad luck");
    CHECK_EQ(atomic_load(&visited), 15);
    unlucky = 9;
    CHECK_OK(threads_run(1, visit, &unlucky));
    CHECK_GE(threads_cpus(), 1);
}

static err_t nothing(void *arg UNUSED)
{
    return OK;
}

static void *run_twin(void *ret)
{
    *(err_t *)ret = loop_run(&(struct loop_options){.index = 0}, nothing, NULL);
    return NULL;
}

static void twin_body(void)
{
    pthread_t twin;
    err_t e = OK;
    CHECK_EQ(pthread_create(&twin, NULL, run_twin, &e), 0);
    CHECK_EQ(pthread_join(twin, NULL), 0);
    CHECK_EQ(e, E_CONFIG);
}

TEST(threads_two_loops_cannot_have_one_index_at_a_time)
{
    in_kernel(twin_body);
    CHECK_OK(loop_run(&(struct loop_options){.index = 0}, nothing, NULL));
    CHECK_ERR(loop_run(&(struct loop_options){.index = 100000}, nothing, NULL), E_CONFIG);
}

static err_t tell_index(void *ret)
{
    *(unsigned *)ret = loop_index(loop_current());
    return OK;
}

static void *run_aside(void *ret)
{
    if (loop_run_aside(tell_index, ret) != OK)
        *(unsigned *)ret = 0;
    return NULL;
}

/* While a loop aside is running, another one. */
static err_t nest_aside(void *ret)
{
    unsigned *both = ret;
    pthread_t other;

    both[0] = loop_index(loop_current());
    bool runs = pthread_create(&other, NULL, run_aside, &both[1]) == 0 && pthread_join(other, NULL) == 0;
    return runs ? OK : fail(E_IO, "no thread");
}

TEST(threads_loops_aside_take_numbers_that_are_free_from_the_highest_on)
{
    unsigned first[2], second[2];

    CHECK_OK(loop_run_aside(nest_aside, first));
    CHECK_OK(loop_run_aside(nest_aside, second));
    CHECK_GT(first[1], 200);
    CHECK_EQ(first[0], first[1] + 1);
    CHECK_EQ(second[0], first[0]); /* given back */
    CHECK_EQ(second[1], first[1]);
}

/* ---- messages ---- */

enum { POSTERS = 3, MESSAGES = 5000 };

struct note {
    struct loop_msg msg;
    unsigned from, number;
};

static struct loop *_Atomic target;
static struct fiber *receiver;
static unsigned received, next_number[POSTERS];
static bool in_order;

static void on_note(struct loop_msg *m)
{
    struct note *n = CONTAINER_OF(m, struct note, msg);
    in_order = in_order && n->number == next_number[n->from]++;
    received++;
    free(n);
    fiber_wake(receiver);
}

static err_t receive_notes(void *arg UNUSED)
{
    WITHIN(rt_now() + 30 * NS_SEC);
    receiver = fiber_current();
    atomic_store(&target, loop_current());
    while (received < POSTERS * MESSAGES)
        TRY(fiber_park("messages", NS_NEVER));
    return OK;
}

static err_t post_or_receive(unsigned index, void *ctx UNUSED)
{
    if (index == 0)
        return loop_run(&(struct loop_options){0}, receive_notes, NULL);
    while (!atomic_load(&target))
        (void)sched_yield();
    for (unsigned i = 0; i < MESSAGES; i++) {
        struct note *n = malloc(sizeof *n);
        *n = (struct note){.msg = {.run = on_note}, .from = index - 1, .number = i};
        loop_post(atomic_load(&target), &n->msg);
        if (i % 100 == 0)
            (void)sched_yield(); /* so that the loop falls asleep in between */
    }
    return OK;
}

TEST(threads_messages_of_one_thread_arrive_once_and_in_order)
{
    received = 0;
    in_order = true;
    memset(next_number, 0, sizeof next_number);
    atomic_store(&target, NULL);
    CHECK_OK(threads_run(POSTERS + 1, post_or_receive, NULL));
    CHECK_EQ(received, POSTERS * MESSAGES);
    CHECK(in_order);
}

/* ---- watchdog ---- */

static char reported[8192];

static void keep_report(const char *line)
{
    (void)snprintf(reported, sizeof reported, "%s", line);
}

static NOINLINE err_t hog(void *arg UNUSED)
{
    ns_t end = rt_now_exact() + 20 * NS_SEC;
    uint64_t before = watchdog_reports();
    while (watchdog_reports() == before && rt_now_exact() < end)
        ;
    for (end = rt_now_exact() + 60 * NS_MS; rt_now_exact() < end;)
        ; /* the same stall goes on */
    return OK;
}

static void hog_body(void)
{
    SCOPE(s, NS_NEVER);
    (void)scope_spawn(&s, "the hog", hog, NULL);
    CHECK_OK(scope_wait_all(&s));
}

TEST(watchdog_names_the_fiber_that_holds_its_loop)
{
    uint64_t before = watchdog_reports();
    watchdog_start(20 * NS_MS, keep_report);
    in_kernel(hog_body);
    watchdog_stop();
    CHECK_EQ(watchdog_reports(), before + 1); /* once per stall */
    CHECK_MSG(strstr(reported, "loop 0: ") == reported, "%s", reported);
    if (RT_TSAN) /* it delivers signals late */
        return;
    CHECK_MSG(strstr(reported, "fiber \"the hog\" has not let others run for ") != NULL, "%s", reported);
    CHECK_MSG(strstr(reported, " ms: ") != NULL && strstr(reported, " < ") != NULL, "%s", reported);
}

static void idle_body(void)
{
    CHECK_OK(fiber_sleep_until(rt_now() + 150 * NS_MS));
}

TEST(watchdog_is_silent_while_a_loop_sleeps)
{
    uint64_t before = watchdog_reports();
    watchdog_start(60 * NS_MS, keep_report);
    in_kernel(idle_body);
    watchdog_stop();
    CHECK_EQ(watchdog_reports(), before);
}

/* ---- signals, in a process of their own ---- */

static err_t sleeping_beauty(void *arg UNUSED)
{
    return fiber_park("a prince", NS_NEVER);
}

static err_t send_signals(void *arg UNUSED)
{
    (void)kill(getpid(), SIGUSR1);
    TRY(fiber_sleep_until(rt_now() + 5 * NS_MS));
    (void)kill(getpid(), SIGHUP);
    TRY(fiber_sleep_until(rt_now() + 5 * NS_MS));
    (void)kill(getpid(), SIGTERM);
    return OK;
}

static err_t receive_signals(void *arg UNUSED)
{
    int signo = 0;
    SCOPE(s, rt_now() + 20 * NS_SEC);
    (void)scope_spawn(&s, "beauty", sleeping_beauty, NULL);
    (void)scope_spawn(&s, "sender", send_signals, NULL);
    TRY(signals_wait(&signo));
    if (signo != SIGHUP)
        return fail(E_IO, "signal %d instead of HUP", signo);
    TRY(fiber_sleep_until(rt_now() + 10 * NS_MS)); /* TERM comes while nobody waits for it */
    TRY(signals_wait(&signo));
    return signo == SIGTERM ? OK : fail(E_IO, "signal %d instead of TERM", signo);
}

TEST(signals_are_waited_for_and_usr1_lists_the_fibers)
{
    static char text[8192];
    int ends[2], status = -1;
    CHECK_EQ(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        signals_init();
        err_t e = loop_run(&(struct loop_options){0}, receive_signals, NULL);
        if (e != OK)
            (void)fprintf(stderr, "failed: %s\n", err_detail(e));
        _exit(e == OK ? 0 : 1);
    }
    (void)close(ends[1]);
    size_t used = 0;
    for (ssize_t n; used < sizeof text - 1 && (n = read(ends[0], text + used, sizeof text - 1 - used)) > 0;)
        used += (size_t)n;
    text[used] = '\0';
    (void)close(ends[0]);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_MSG(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", text);
    CHECK_MSG(strstr(text, "loop 0: 3 fibers, 1 sockets\n") != NULL, "%s", text);
    const char *line = strstr(text, "  beauty ");
    CHECK_MSG(line && strstr(line, "a prince ") && strstr(line, "a prince ") < strchr(line, '\n'), "%s", text);
    CHECK_MSG(strstr(text, "  main ") != NULL, "%s", text);
}

static void simulated_signals_body(void)
{
    int signo = 77;
    WITHIN(rt_now() + NS_SEC);
    CHECK_ERR(signals_wait(&signo), E_DEADLINE);
    CHECK_EQ(signo, 77);
}

TEST(signals_in_simulation_never_come)
{
    in_sim(simulated_signals_body);
}
