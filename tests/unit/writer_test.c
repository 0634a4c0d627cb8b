/* The writer: order, completeness, dropping and reopening, with real files and threads. */
#include "rt/writer.h"

#include "base/mem.h"
#include "rt/scope.h"
#include "rt/threads.h"
#include "unit/in_loop.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[128];

static const char *fresh_path(const char *what)
{
    (void)snprintf(path, sizeof path, "/tmp/writer_test.%d.%s", (int)getpid(), what);
    (void)unlink(path);
    return path;
}

/* The whole file; the caller frees. NULL if there is none. */
static char *slurp(const char *name)
{
    FILE *f = fopen(name, "r");
    char *text = NULL;
    size_t n = 0;
    if (!f)
        return NULL;
    ssize_t got = getdelim(&text, &n, EOF, f);
    (void)fclose(f);
    if (got < 0) {
        free(text);
        return strdup("");
    }
    return text;
}

static struct writer *shared;

static bool put_numbered(unsigned who, unsigned number)
{
    char line[64];
    int n = snprintf(line, sizeof line, "%u %u\n", who, number);
    return writer_put(shared, str_of(line, (size_t)n));
}

/* ---- order ---- */

enum { LINES = 60000 /* more than a ring holds */, LOOPS = 3 };

static unsigned refused[LOOPS + 1];

static err_t put_many(void *arg UNUSED)
{
    unsigned me = loop_index(loop_current());
    for (unsigned i = 0; i < LINES; i++) {
        if (!put_numbered(me, i))
            refused[me]++;
        if (i % 64 == 0)
            TRY(fiber_sleep_until(rt_now() + 20 * NS_US));
    }
    return OK;
}

static err_t thread_puts(unsigned index, void *ctx UNUSED)
{
    if (index < LOOPS)
        return loop_run(&(struct loop_options){.index = index}, put_many, NULL);
    for (unsigned i = 0; i < LINES; i++)
        refused[LOOPS] += !put_numbered(LOOPS, i); /* a thread without a loop */
    return OK;
}

TEST(writer_keeps_the_order_of_each_loop_and_loses_nothing_it_took)
{
    const char *name = fresh_path("order");
    memset(refused, 0, sizeof refused);
    CHECK_OK(writer_open(name, &shared));
    CHECK_OK(threads_run(LOOPS + 1, thread_puts, NULL));
    uint64_t dropped = writer_dropped(shared);
    writer_close(shared);

    char *text = slurp(name);
    (void)unlink(name);
    CHECK(text != NULL);
    int64_t last[LOOPS + 1];
    unsigned counts[LOOPS + 1] = {0};
    bool in_order = true;
    memset(last, -1, sizeof last);
    for (char *at = text; *at;) {
        unsigned who = (unsigned)strtoul(at, &at, 10);
        long number = strtol(at, &at, 10);
        in_order = in_order && who <= LOOPS && number > last[who] && *at == '\n';
        if (!in_order)
            break;
        last[who] = number;
        counts[who]++;
        at++;
    }
    free(text);
    CHECK(in_order);
    uint64_t total = 0;
    for (int i = 0; i <= LOOPS; i++) {
        CHECK_EQ(counts[i] + refused[i], LINES);
        total += refused[i];
    }
    CHECK_EQ(dropped, total);
}

/* ---- dropping ---- */

TEST(writer_drops_and_counts_what_does_not_fit)
{
    enum { LINE = 1000, TRIES = 2000 };
    const char *name = fresh_path("fifo");
    static char line[LINE], got[65536];
    CHECK_EQ(mkfifo(name, 0600), 0);
    int reader = open(name, O_RDONLY | O_NONBLOCK); /* reads nothing for now: the thread gets stuck */
    CHECK_GE(reader, 0);
    CHECK_OK(writer_open(name, &shared));
    memset(line, 'x', LINE - 1);
    line[LINE - 1] = '\n';
    unsigned taken = 0;
    for (int i = 0; i < TRIES; i++)
        taken += writer_put(shared, str_of(line, LINE));
    CHECK_LT(taken, TRIES);
    CHECK_GT(taken, 200);
    CHECK_EQ(writer_dropped(shared), TRIES - taken);
    static char huge[300 * 1024];
    CHECK(!writer_put(shared, str_of(huge, sizeof huge)));
    CHECK_EQ(writer_dropped(shared), TRIES - taken + 1);

    CHECK_EQ(fcntl(reader, F_SETFL, 0), 0); /* now read it all, waiting for it */
    size_t bytes = 0;
    while (bytes < (size_t)taken * LINE) {
        ssize_t n = read(reader, got, sizeof got);
        CHECK_GT(n, 0);
        bytes += (size_t)n;
    }
    writer_close(shared);
    CHECK_EQ(read(reader, got, sizeof got), 0);
    CHECK_EQ(bytes, (size_t)taken * LINE);
    (void)close(reader);
    (void)unlink(name);
}

static bool wait_for_drops(uint64_t count)
{
    ns_t end = rt_now_exact() + 10 * NS_SEC;
    while (writer_dropped(shared) != count && rt_now_exact() < end)
        (void)sched_yield();
    return writer_dropped(shared) == count;
}

TEST(writer_counts_lines_that_the_disk_refuses)
{
    CHECK_OK(writer_open("/dev/full", &shared));
    CHECK(writer_put(shared, STR("one\ntwo\n")));
    CHECK(writer_put(shared, STR("three\n")));
    CHECK(wait_for_drops(3));
    for (ns_t end = rt_now_exact() + 25 * NS_MS; rt_now_exact() < end;)
        (void)sched_yield(); /* long enough for the thread to fall asleep: now it must be woken */
    CHECK(writer_put(shared, STR("four\n")));
    CHECK(wait_for_drops(4));
    writer_close(shared);
}

TEST(writer_path_that_cannot_be_opened_is_named)
{
    struct writer *w = NULL;
    CHECK_ERR(writer_open("/no/such/folder/file", &w), E_IO);
    CHECK(strstr(err_detail(E_IO), "/no/such/folder/file") != NULL);
    CHECK_EQ(w, NULL);
    writer_close(NULL);
}

/* ---- reopening ---- */

TEST(writer_reopen_of_a_log_that_is_off_does_nothing)
{
    writer_reopen(NULL);
}

TEST(writer_reopen_sends_the_next_line_to_the_new_file)
{
    char rotated[140];
    const char *name = fresh_path("rotate");
    (void)snprintf(rotated, sizeof rotated, "%s.1", name);
    CHECK_OK(writer_open(name, &shared));
    for (int round = 0; round < 50; round++) {
        CHECK(writer_put(shared, STR("before\n")));
        char *text = NULL;
        for (int i = 0; i < 1000000; i++) { /* until the thread has written it */
            text = slurp(name);
            if (text && strcmp(text, "before\n") == 0)
                break;
            free(text);
            text = NULL;
            (void)sched_yield();
        }
        CHECK(text != NULL);
        free(text);
        CHECK_EQ(rename(name, rotated), 0);
        writer_reopen(shared);
        CHECK(writer_put(shared, STR("after\n")));
        writer_close(shared);
        text = slurp(name);
        CHECK_STR(str_from_c(text), "after\n");
        free(text);
        text = slurp(rotated);
        CHECK_STR(str_from_c(text), "before\n");
        free(text);
        (void)unlink(name);
        CHECK_OK(writer_open(name, &shared));
    }
    writer_close(shared);
    (void)unlink(name);
    (void)unlink(rotated);
}

/* ---- simulation ---- */

static void simulated_body(void)
{
    const struct seams *s = loop_seams();
    char text[64];
    CHECK_OK(writer_open("/log", &shared));
    CHECK(writer_put(shared, STR("one\n")));
    CHECK(writer_put(shared, STR("two\n")));
    int h = s->disk->open(s->ctx, "/log", DISK_READ);
    CHECK_GE(h, 0);
    ssize_t n = s->disk->pread(s->ctx, h, text, sizeof text, 0);
    s->disk->close(s->ctx, h);
    CHECK_EQ(n, 8);
    CHECK_MEM(text, "one\ntwo\n", 8);
    CHECK_EQ(s->disk->rename(s->ctx, "/log", "/log.1"), 0);
    writer_reopen(shared);
    CHECK(writer_put(shared, STR("three\n")));
    struct disk_stat st;
    CHECK_EQ(s->disk->stat(s->ctx, "/log", &st), 0);
    CHECK_EQ(st.size, 6);
    writer_close(shared);
}

TEST(writer_in_simulation_writes_to_the_simulated_disk_at_once)
{
    in_sim(simulated_body);
}
