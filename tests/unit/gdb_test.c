/* tools/gdb/fibers.py against a live process: it lists parked fibers and shows their stacks. */
#include "rt/fiber.h"
#include "rt/sanitize.h"
#include "rt/scope.h"
#include "unit/in_loop.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int ready_pipe[2];

static NOINLINE err_t wait_in_the_kitchen(void)
{
    err_t e = fiber_park("the kettle", NS_NEVER);
    __asm__ volatile("" ::: "memory"); /* no tail call: the frame is looked for */
    return e;
}

static err_t cook(void *arg UNUSED)
{
    err_t e = wait_in_the_kitchen();
    __asm__ volatile("" ::: "memory");
    return e;
}

static err_t household(void *arg UNUSED)
{
    SCOPE(s, NS_NEVER);
    (void)scope_spawn(&s, "cook", cook, NULL);
    TRY(fiber_sleep_until(rt_now() + NS_MS));
    if (write(ready_pipe[1], "r", 1) != 1)
        return E_IO;
    return scope_wait_all(&s);
}

static pid_t start_household(void)
{
    char c;
    if (pipe(ready_pipe) != 0)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)!loop_run(&(struct loop_options){0}, household, NULL);
        _exit(0);
    }
    ssize_t n = read(ready_pipe[0], &c, 1);
    (void)close(ready_pipe[0]);
    (void)close(ready_pipe[1]);
    return n == 1 ? child : -1;
}

static void run_gdb(pid_t target, char *out, size_t cap)
{
    char command[512];
    (void)snprintf(
        command, sizeof command,
        "gdb -nx -batch -p %d -ex 'set debuginfod enabled off' -ex 'source %s/tools/gdb/fibers.py' -ex fibers "
        "-ex 'fiber 1 bt' -ex 'fiber 2 bt' -ex 'fiber 3 bt' 2>&1 </dev/null",
        (int)target, test_root());
    FILE *f = popen(command, "r");
    size_t used = f ? fread(out, 1, cap - 1, f) : 0;
    out[used] = '\0';
    if (f)
        (void)pclose(f);
}

TEST(gdb_script_lists_parked_fibers_and_their_frames)
{
    static char out[200000];
    if (system("command -v gdb >/dev/null 2>&1") != 0 || sanitize_is_watched()) {
        test_skip("gdb is not installed, or cannot see through Valgrind");
        return;
    }
    pid_t child = start_household();
    CHECK_GT(child, 0);
    run_gdb(child, out, sizeof out);
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    if (strstr(out, "ptrace: ")) {
        test_skip("gdb may not attach here");
        return;
    }
    const char *list = strstr(out, "main: parked for children to end");
    CHECK_MSG(list != NULL, "%s", out);
    CHECK_MSG(strstr(list, "cook: parked for the kettle") != NULL, "%s", list);
    const char *household_frame = strstr(list, "in household ");
    CHECK_MSG(household_frame != NULL, "%s", list);
    const char *kitchen = strstr(household_frame, "in wait_in_the_kitchen ");
    CHECK_MSG(kitchen != NULL, "%s", household_frame);
    const char *cook_frame = strstr(kitchen, "in cook ");
    CHECK_MSG(cook_frame != NULL, "%s", kitchen);
    const char *end = strstr(cook_frame, "context_entry"); /* the unwinder stops at the bottom, with no frame beyond */
    CHECK_MSG(end != NULL, "%s", cook_frame);
    CHECK_MSG(strstr(end, "\n#") == NULL && strstr(end, "Backtrace stopped") == NULL, "%s", end);
    CHECK_MSG(strstr(end, "there is no fiber 3") != NULL, "%s", end);
}
