/* Stacks of fibers: guards, recycling, what an overflow says. */
#include "rt/stack_int.h"

#include "rt/fiber_int.h"
#include "rt/scope.h"
#include "unit/in_loop.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Bytes of [low, low + n) that lie in memory. */
static size_t resident(char *low, size_t n)
{
    static unsigned char pages[4096];
    size_t page = (size_t)sysconf(_SC_PAGESIZE), count = 0;
    if (n / page > sizeof pages || mincore(low, n, pages) != 0)
        return SIZE_MAX;
    for (size_t i = 0; i < n / page; i++)
        count += pages[i] & 1;
    return count * page;
}

TEST(stack_free_ones_are_reused_last_in_first_out)
{
    struct stack_pool p;
    CHECK_OK(stack_pool_init(&p, 0, false));
    struct fiber *a = stack_get(&p), *b = stack_get(&p);
    CHECK_NE(a, b);
    CHECK_EQ((uintptr_t)a % 64, 0);
    stack_put(&p, a);
    stack_put(&p, b);
    CHECK_EQ(stack_get(&p), b);
    CHECK_EQ(stack_get(&p), a);
    CHECK_EQ(p.carved, 2);
    stack_pool_release(&p);
}

TEST(stack_used_deeply_gives_its_pages_back_when_free)
{
    struct stack_pool p;
    CHECK_OK(stack_pool_init(&p, 0, false));
    if (p.watched) {
        stack_pool_release(&p);
        test_skip("under Valgrind stacks keep their pages");
        return;
    }
    struct fiber *f = stack_get(&p);
    memset(f->stack_low, 0x5a, STACK_SIZE - 4096);
    CHECK_GE(resident(f->stack_low, STACK_SIZE), STACK_SIZE - 8192);
    stack_put(&p, f);
    CHECK_LE(resident(f->stack_low, STACK_SIZE), STACK_KEEP);
    CHECK_EQ(f->stack_low[0], 0);
    stack_pool_release(&p);
}

TEST(stack_used_a_little_keeps_its_pages_when_free)
{
    struct stack_pool p;
    CHECK_OK(stack_pool_init(&p, 0, false));
    struct fiber *f = stack_get(&p);
    char *kept = f->stack_low + STACK_SIZE - STACK_KEEP;
    memset(kept, 0x5a, STACK_KEEP - 8192);
    f->stack_low[0] = 0x5a; /* out of the sight of the probes: shows whether pages were given back */
    stack_put(&p, f);
    CHECK_EQ(kept[0], 0x5a);
    CHECK_EQ(f->stack_low[0], 0x5a);
    stack_pool_release(&p);
}

/* A burst of fibers must not hold its memory for ever, and what was trimmed must be good for use again. */
TEST(stack_free_ones_beyond_the_limit_give_all_pages_back)
{
    enum { BURST = STACK_WARM_MAX + 100 };
    static struct fiber *all[BURST];
    struct stack_pool p;
    CHECK_OK(stack_pool_init(&p, 0, false));
    if (p.watched) {
        stack_pool_release(&p);
        test_skip("under Valgrind stacks keep their pages");
        return;
    }
    for (int i = 0; i < BURST; i++) {
        all[i] = stack_get(&p);
        memset((char *)all[i] - 4096, 1, 4096);
    }
    for (int i = 0; i < BURST; i++)
        stack_put(&p, all[i]);
    while (p.warm_count > STACK_WARM_MAX) {
        unsigned before = p.warm_count;
        stack_trim(&p);
        CHECK_LT(p.warm_count, before);
        CHECK_LE(before - p.warm_count, STACK_TRIM_PER_TURN);
    }
    CHECK_EQ(p.cold_count, 100);
    CHECK_EQ(all[0]->state, FIBER_NONE); /* the oldest went */
    CHECK_EQ(all[BURST - 1]->state, FIBER_FREE);
    for (int i = 0; i < BURST; i++) {
        static bool taken[BURST];
        struct fiber *f = stack_get(&p);
        CHECK_EQ(stack_fiber(&p, f->stack_number), f);
        CHECK(!taken[f->stack_number]); /* each once */
        taken[f->stack_number] = true;
        CHECK(f->stack_low != NULL && (char *)f > f->stack_low && (char *)f < f->stack_low + STACK_SIZE);
    }
    CHECK_EQ(p.carved, BURST);
    stack_pool_release(&p);
}

/* ---- overflow ---- */

/* Each frame is used after the call below it, so none can be folded away. */
static NOINLINE int dig(int depth, const volatile char *above)
{
    volatile char frame[1024];
    frame[0] = frame[1023] = (char)(depth + above[0]);
    int below = depth == 0 ? 0 : dig(depth - 1, frame);
    return below + frame[1023] + above[0];
}

static err_t overflow(void *arg)
{
    char top = 0;
    return dig(*(int *)arg, &top) == -1 ? E_IO : OK;
}

static bool use_mprotect;

static err_t spawn_overflow(void *arg)
{
    SCOPE(s, NS_NEVER);
    (void)scope_spawn(&s, "attempt openai", overflow, arg);
    return scope_wait_all(&s);
}

/* What a child process prints to stderr while it digs `depth` KiB deep; returns its wait status. */
static int run_digger(int depth, char *text, size_t cap)
{
    int ends[2], status = -1;
    if (pipe(ends) != 0)
        return -1;
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        (void)!freopen("/dev/null", "w", stdout);
        (void)dup2(ends[1], STDERR_FILENO);
        err_t e = loop_run(&(struct loop_options){.mprotect_guards = use_mprotect}, spawn_overflow, &depth);
        _exit(e == OK ? 0 : 3);
    }
    (void)close(ends[1]);
    size_t used = 0;
    for (ssize_t n; used < cap - 1 && (n = read(ends[0], text + used, cap - 1 - used)) > 0;)
        used += (size_t)n;
    text[used] = '\0';
    (void)close(ends[0]);
    (void)waitpid(child, &status, 0);
    return status;
}

static void check_overflow(void)
{
    static char text[65536];
    if (sanitize_is_watched()) {
        test_skip("Valgrind reports it in words of its own");
        return;
    }
    int status = run_digger(100, text, sizeof text);
    CHECK_MSG(WIFEXITED(status) && WEXITSTATUS(status) == 0, "100 KiB must fit: %s", text);
    status = run_digger(STACK_SIZE / 256, text, sizeof text);
    CHECK(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
    CHECK_MSG(strstr(text, "stack overflow in fiber \"attempt openai\"\n"), "said: %s", text);
}

TEST(stack_overflow_names_the_fiber)
{
    use_mprotect = false;
    check_overflow();
}

TEST(stack_overflow_names_the_fiber_with_mprotected_guards_too)
{
    use_mprotect = true;
    check_overflow();
    use_mprotect = false;
}
