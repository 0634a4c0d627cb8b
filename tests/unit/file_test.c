/* file_test.c - whole files by a worker; config_test.c reads them without one. */
#include "rt/file.h"

#include "rt/scope.h"
#include "rt/worker.h"
#include "unit/in_loop.h"
#include "unit/test.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static struct sim_world *sim;

static void in_world(body_fn *body)
{
    sim = sim_world_new(&(struct sim_options){.seed = test_seed()});
    sim_world_put_file(sim, "/ten", "0123456789", 10);
    sim_world_put_file(sim, "/empty", "", 0);
    err_t e = loop_run(&(struct loop_options){.seams = sim_world_seams(sim)}, in_loop_call_, &body);
    sim_world_free(sim);
    CHECK_MSG(e == OK, "loop: %s", err_detail(e));
}

#define FILE_TEST(test_name)                                                                                           \
    static void file_##test_name(void);                                                                                \
    TEST(test_name)                                                                                                    \
    {                                                                                                                  \
        in_world(file_##test_name);                                                                                    \
    }                                                                                                                  \
    static void file_##test_name(void)

FILE_TEST(file_by_worker_gives_the_bytes_with_a_nul_behind)
{
    struct arena a CLEANUP(arena_release);
    struct str s;

    arena_init(&a, 1000);
    CHECK_OK(file_read_by_worker(&a, STR("/ten"), 10, &s));
    CHECK_STR(s, "0123456789");
    CHECK_EQ(s.p[10], '\0');
    CHECK_OK(file_read_by_worker(&a, STR("/empty"), 10, &s));
    CHECK_EQ(s.n, 0);
}

FILE_TEST(file_by_worker_tells_what_went_wrong)
{
    struct arena a CLEANUP(arena_release);
    struct str s;

    arena_init(&a, 1000);
    CHECK_ERR(file_read_by_worker(&a, STR("/none"), 10, &s), E_NOT_FOUND);
    CHECK(strstr(err_detail(E_NOT_FOUND), "No such file"));
    CHECK_ERR(file_read_by_worker(&a, STR("/ten"), 9, &s), E_TOO_LARGE);
    CHECK(strstr(err_detail(E_TOO_LARGE), "longer than 9 bytes"));
    sim_world_set_faults(sim, &(struct sim_faults){.disk_error = 1000});
    CHECK_ERR(file_read_by_worker(&a, STR("/ten"), 10, &s), E_IO);
}

FILE_TEST(file_by_worker_leaves_when_cancelled)
{
    struct arena a CLEANUP(arena_release);
    struct str s;

    arena_init(&a, 1000);
    WITHIN(rt_now());
    CHECK_ERR(file_read_by_worker(&a, STR("/ten"), 10, &s), E_DEADLINE);
}

static void read_on_the_kernel(void)
{
    struct arena a CLEANUP(arena_release);
    struct str s, path;

    arena_init(&a, 1 << 20);
    path = arena_printf(&a, "%s/VERSION", test_root());
    CHECK_OK(file_read_by_worker(&a, path, 1000, &s));
    CHECK_GT(s.n, 4);
    CHECK_ERR(file_read_by_worker(&a, STR("/nowhere/at/all"), 1000, &s), E_NOT_FOUND);
    CHECK(strstr(err_detail(E_NOT_FOUND), "No such file"));
}

TEST(file_by_worker_on_the_kernel)
{
    workers_start(1);
    in_kernel(read_on_the_kernel);
    workers_stop();
}

typedef err_t read_fn(const struct seams *s, const char *path, size_t max, struct buf *ret);

static err_t read_pipe(read_fn *fn, size_t max, struct buf *ret)
{
    static char bytes[30000]; /* fits into a pipe */
    char path[64];
    int ends[2];

    memset(bytes, 'x', sizeof bytes);
    if (pipe(ends) != 0 || write(ends[1], bytes, sizeof bytes) != (ssize_t)sizeof bytes || close(ends[1]) != 0)
        return fail(E_IO, "no pipe");
    (void)snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    err_t e = fn(loop_seams(), path, max, ret);
    (void)close(ends[0]);
    return e;
}

static void read_pipes(void)
{
    struct buf all CLEANUP(buf_release) = BUF_INIT(1 << 20), some CLEANUP(buf_release) = BUF_INIT(1 << 20);

    CHECK_OK(read_pipe(file_read_once, 30000, &all));
    CHECK_EQ(all.n, 30000);
    CHECK_ERR(read_pipe(file_read_once, 29999, &some), E_TOO_LARGE);
    CHECK_ERR(read_pipe(file_read, 30000, &some), E_IO);
    CHECK(strstr(err_detail(E_IO), "put it into a file"));
}

/* As a shell gives one: <(...). */
TEST(file_that_is_a_pipe_is_read_once_or_refused)
{
    in_kernel(read_pipes);
}

static size_t bytes_of(const char *path, struct buf *ret)
{
    buf_clear(ret);
    return file_read(sim_world_seams(sim), path, 1000, ret) == OK ? ret->n : 0;
}

FILE_TEST(file_written_for_the_owner_alone_takes_the_place_of_what_was_there)
{
    const struct seams *s = sim_world_seams(sim);
    struct buf b CLEANUP(buf_release) = BUF_INIT(1000);

    CHECK_OK(file_write_private(s, "/key", STR("secret")));
    CHECK_EQ(bytes_of("/key", &b), 6);
    sim_world_put_file(sim, "/ten.new", "left by a crash", 15);
    CHECK_OK(file_write_private(s, "/ten", STR("new")));
    CHECK_EQ(bytes_of("/ten", &b), 3);
    CHECK_EQ(bytes_of("/ten.new", &b), 0);
    CHECK_EQ(s->disk->open(s->ctx, "/ten", DISK_WRITE | DISK_CREATE | DISK_NEW), -EEXIST);
}
