/* seam_real.c - the kernel's clock and random numbers, and the table of all real seams. */
#include "rt/seam.h"

#include "base/err.h"
#include "rt/seam_real_int.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

static ns_t read_clock(clockid_t id)
{
    struct timespec t;
    (void)clock_gettime(id, &t);
    return (ns_t)t.tv_sec * NS_SEC + t.tv_nsec;
}

static ns_t real_now(void *ctx UNUSED)
{
    return read_clock(CLOCK_MONOTONIC);
}

static int64_t real_wall(void *ctx UNUSED)
{
    return read_clock(CLOCK_REALTIME);
}

static ns_t real_cpu(void *ctx UNUSED)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

static void real_fill(void *ctx UNUSED, void *to, size_t n)
{
    char *at = to;

    while (n > 0) {
        ssize_t got = getrandom(at, n, 0);
        if (got > 0) {
            at += got;
            n -= (size_t)got;
        } else if (errno != EINTR) {
            die("getrandom: %s", strerrordesc_np(errno));
        }
    }
}

static const struct clock_ops clock_real = {.now = real_now, .wall = real_wall, .cpu = real_cpu};
static const struct rand_ops rand_real = {.fill = real_fill};

const struct seams *seams_real(void)
{
    static const struct seams real = {
        .clock = &clock_real,
        .net = &net_real,
        .disk = &disk_real,
        .rand = &rand_real,
    };
    return &real;
}
