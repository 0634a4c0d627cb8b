/* The stack census: what a fiber reached is found, and nothing that another one left. */
#include "rt/stack_census.h"

#include "rt/fiber_int.h"
#include "rt/scope.h"
#include "rt/stack_int.h"
#include "unit/in_loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SHALLOW = 4000 }; /* sanitizers make frames of their own; the deep fiber goes five times as far */

static const char *reached;

static NOINLINE void note_reach(void)
{
    reached = __builtin_frame_address(0);
}

/* Each frame is used after the call below it, so none can be folded away. */
static NOINLINE int dig(int depth, const volatile char *above)
{
    volatile char frame[1024];
    int below = 0;

    frame[0] = frame[1023] = (char)(depth + above[0]);
    if (depth == 0)
        note_reach();
    else
        below = dig(depth - 1, frame);
    return below + frame[1023] + above[0];
}

/* Returns how deep it was; a census adds less than a frame. */
static err_t dig_deep(void *arg)
{
    char top = 0;
    int sum = dig(20, &top);

    *(size_t *)arg = (size_t)((const char *)fiber_current() - reached);
    return sum == -1 ? E_IO : OK;
}

static err_t stay_shallow(void *arg)
{
    (void)arg;
    return OK;
}

static size_t depth_dug;

static void deep_then_shallow(void)
{
    {
        SCOPE(s, NS_NEVER);
        (void)scope_spawn(&s, "census deep", dig_deep, &depth_dug);
        CHECK_OK(scope_wait_all(&s));
    }
    SCOPE(s, NS_NEVER);
    const struct fiber *f = scope_spawn(&s, "census shallow", stay_shallow, NULL);
    CHECK((const char *)f - reached == (ptrdiff_t)depth_dug); /* the same stack */
    CHECK_OK(scope_wait_all(&s));
}

TEST(stack_census_finds_how_deep_a_fiber_went_and_forgets_it_for_the_next)
{
    if (sanitize_is_watched()) {
        test_skip("Valgrind forbids to look at unused stack");
        return;
    }
    bool before = stack_census_set(true);
    in_sim(deep_then_shallow);
    (void)stack_census_set(before);
    struct stack_use deep = stack_census_of("census deep"), shallow = stack_census_of("census shallow");
    CHECK_EQ(deep.fibers, 1);
    if (!RT_ASAN) /* which may keep frames elsewhere */
        CHECK_GE(deep.deepest, 20 * 1024);
    CHECK_GE(deep.deepest, depth_dug);
    CHECK_LE(deep.deepest, depth_dug + 1024);
    CHECK_EQ(shallow.fibers, 1);
    CHECK_GT(shallow.deepest, 0);
    CHECK_LE(shallow.deepest, SHALLOW);
}

static void run_one(void)
{
    SCOPE(s, NS_NEVER);
    (void)scope_spawn(&s, "census one", stay_shallow, NULL);
    CHECK_OK(scope_wait_all(&s));
}

TEST(stack_census_counts_nothing_while_it_is_off)
{
    bool before = stack_census_set(false);
    uint64_t counted = stack_census_of("census one").fibers;
    in_sim(run_one);
    (void)stack_census_set(before);
    CHECK_EQ(stack_census_of("census one").fibers, counted);
}

TEST(stack_census_appends_its_table_to_a_file)
{
    char path[] = "/tmp/crossdock-census-XXXXXX", line[64];
    static char text[64 * 1024];
    int fd = mkstemp(path);

    CHECK_GE(fd, 0);
    bool before = stack_census_set(true);
    in_sim(run_one);
    (void)stack_census_set(before);
    struct stack_use one = stack_census_of("census one");
    if (one.fibers > 0) { /* not under Valgrind */
        CHECK_OK(stack_census_append(path));
        CHECK_OK(stack_census_append(path));
        CHECK_GT(read(fd, text, sizeof text - 1), 0);
        (void)snprintf(line, sizeof line, "%zu %d %llu census one\n", one.deepest, STACK_SIZE,
                       (unsigned long long)one.fibers);
        const char *first = strstr(text, line);
        CHECK(first && strstr(first + 1, line));
    }
    (void)close(fd);
    (void)unlink(path);
    CHECK_ERR(stack_census_append("/no/such/folder/census"), E_IO);
}
