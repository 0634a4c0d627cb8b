/* process.c - resident memory, processor time, terminals and limits, from the kernel. */
#include "rt/process.h"

#include "base/str.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

uint64_t process_resident_bytes(void)
{
    char text[128];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    uint64_t pages = 0;

    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text);
    (void)close(fd);
    if (n <= 0)
        return 0;
    struct str rest = str_of(text, (size_t)n);
    (void)str_cut(&rest, ' '); /* the first number is the size, the second what is resident */
    if (!str_to_u64(str_cut(&rest, ' '), UINT64_MAX / 65536, &pages))
        return 0;
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

ns_t process_cpu(void)
{
    struct timespec t;

    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) != 0)
        return 0;
    return t.tv_sec * NS_SEC + t.tv_nsec;
}

bool process_is_terminal(int fd)
{
    return isatty(fd) == 1;
}

uint64_t process_raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        (void)getrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur;
}

void process_keep_memory(void)
{
    enum { KEPT = 8 * 1024 * 1024, MAPPED_FROM = 4 * 1024 * 1024 };

    (void)mallopt(M_TRIM_THRESHOLD, KEPT);
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_FROM); /* setting one ends the adjustment of both */
}
