/*
 * child.c - a filter as a child process.
 *
 * posix_spawn() shares the memory of this process until the other program is there, so that starting one costs the same however large
 * this process is, and nothing of ours runs between. Limits are set right after, before the first byte is sent. Who waits here is nobody's
 * loop, so it polls by itself.
 */
#include "rt/child.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 64 * 1024, FILES = 16 };

ns_t child_now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (ns_t)t.tv_sec * NS_SEC + t.tv_nsec;
}

static void close_one(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

/* --- starting --- */

static void set_limit(pid_t pid, int resource, rlim_t most)
{
    const struct rlimit limit = {most, most};

    (void)prlimit(pid, (__rlimit_resource_t)resource, &limit, NULL);
}

static void set_limits(pid_t pid, const struct child_limits *limits)
{
    set_limit(pid, RLIMIT_AS, limits->memory);
    set_limit(pid, RLIMIT_CORE, 0);
    set_limit(pid, RLIMIT_FSIZE, 0);
    set_limit(pid, RLIMIT_NOFILE, FILES);
}

/* streams[i]: the child's end of its i-th stream. */
static int spawn(const char *const *argv, const int streams[3], pid_t *ret_pid)
{
    static char *const environment[] = {"LC_ALL=C", "TZ=UTC", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;

    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_init(&attributes);
    for (int i = 0; i < 3; i++)
        (void)posix_spawn_file_actions_adddup2(&actions, streams[i], i);
    (void)posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    (void)posix_spawn_file_actions_addchdir_np(&actions, "/");
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &all);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int e = posix_spawnp(ret_pid, argv[0], &actions, &attributes, (char *const *)argv, environment);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return e;
}

err_t child_start(struct child *c, const char *const *argv, const struct child_limits *limits)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};

    *c = (struct child){.in = -1, .out = -1, .err = -1};
    /* Its stdin is a socket, as a pipe would raise SIGPIPE here when it has ended. */
    int e = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC)
                ? errno
                : 0;
    if (!e)
        e = spawn(argv, (const int[]){in[0], out[1], err[1]}, &c->pid);
    close_one(&in[0]);
    close_one(&out[1]);
    close_one(&err[1]);
    if (e) {
        close_one(&in[1]);
        close_one(&out[0]);
        close_one(&err[0]);
        c->pid = 0;
        return fail(e == ENOENT ? E_NOT_FOUND : E_IO, "cannot start %s: %s", argv[0], strerror(e));
    }
    set_limits(c->pid, limits);
    c->in = in[1];
    c->out = out[0];
    c->err = err[0];
    return OK;
}

void child_allow(struct child *c, ns_t processor_time)
{
    clockid_t clock;
    struct timespec used;

    /* One that has just ended has no clock any more, and needs no limit. */
    if (clock_getcpuclockid(c->pid, &clock) == 0 && clock_gettime(clock, &used) == 0)
        set_limit(c->pid, RLIMIT_CPU, (rlim_t)used.tv_sec + 1 + (rlim_t)((processor_time + NS_SEC - 1) / NS_SEC));
}

/* --- talking --- */

static err_t send_some(struct child *c, struct str *send)
{
    ssize_t n = sendto(c->in, send->p, send->n, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0);

    if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) { /* it reads no more; its stdout tells what became of it */
        *send = STR_NONE;
        return OK;
    }
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? OK : fail(E_IO, "cannot write to the child: %s", strerror(errno));
    *send = str_slice(*send, (size_t)n, send->n);
    return OK;
}

/* *ret_ended: the stream has. */
static err_t receive_some(int fd, struct buf *to, bool *ret_ended)
{
    char *room = buf_reserve(to, PIECE);

    if (!room)
        return fail(E_TOO_LARGE, "the child says more than it may");
    ssize_t n = read(fd, room, PIECE);
    if (n < 0)
        return errno == EINTR ? OK : fail(E_IO, "cannot read from the child: %s", strerror(errno));
    to->n += (size_t)n;
    *ret_ended = n == 0;
    return OK;
}

/* What it complains of, as far as there is room: the beginning tells most. */
static err_t receive_complaints(struct child *c, struct buf *to, bool *ret_ended)
{
    char piece[1024];
    ssize_t n = read(c->err, piece, sizeof piece);

    if (n < 0)
        return errno == EINTR ? OK : fail(E_IO, "cannot read from the child: %s", strerror(errno));
    size_t room = to->max - to->n;
    (void)buf_add(to, str_of(piece, (size_t)n < room ? (size_t)n : room));
    *ret_ended = n == 0;
    return OK;
}

err_t child_talk(struct child *c, struct str *send, struct buf *got, struct buf *complaints, ns_t until)
{
    struct pollfd ready[] = {{.fd = c->out, .events = POLLIN},
                             {.fd = c->err, .events = POLLIN},
                             {.fd = send->n ? c->in : -1, .events = POLLOUT}};
    ns_t left = until - child_now();
    bool ended = false, silent = false;

    if (left <= 0)
        return fail(E_DEADLINE, "the child takes too long");
    int n = poll(ready, 3, (int)(left / NS_MS < 60000 ? left / NS_MS + 1 : 60000));
    if (n < 0 && errno != EINTR)
        return fail(E_IO, "cannot wait for the child: %s", strerror(errno));
    if (n <= 0)
        return OK;
    if (ready[2].revents)
        TRY(send_some(c, send));
    if (ready[1].revents) {
        TRY(receive_complaints(c, complaints, &silent));
        if (silent)
            close_one(&c->err);
    }
    if (ready[0].revents)
        TRY(receive_some(c->out, got, &ended));
    c->ended = ended;
    return ended ? fail(E_UPSTREAM, "the child has ended") : OK;
}

void child_end_input(struct child *c)
{
    close_one(&c->in);
}

/* Where it has closed its stdout it is about to end, and its own code is wanted. */
static bool reap(struct child *c, int *ret_status)
{
    enum { TRIES = 200 };
    const struct timespec pause = {.tv_nsec = 1000000};

    for (int i = 0; i < TRIES; i++) {
        if (waitpid(c->pid, ret_status, WNOHANG) == c->pid)
            return true;
        (void)nanosleep(&pause, NULL);
    }
    return false;
}

int child_stop(struct child *c, struct buf *complaints)
{
    int status = 0;
    bool silent = false;

    if (!c->pid)
        return 0;
    close_one(&c->in);
    close_one(&c->out);
    /* One that has ended is not reaped yet when it is killed, so the number is still its own. */
    if (!c->ended || !reap(c, &status)) {
        (void)kill(c->pid, SIGKILL);
        while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    while (complaints && c->err >= 0 && !silent)
        if (receive_complaints(c, complaints, &silent) != OK)
            silent = true;
    close_one(&c->err);
    c->pid = 0;
    return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}
