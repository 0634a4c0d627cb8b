/*
 * signals.c - TERM, INT and HUP for one fiber, USR1 as a request to list fibers.
 *
 * A signalfd is opened for the time of each wait; signals that come between waits stay pending in the kernel, because they are blocked.
 * It is watched like a socket, and read by a callback of the loop, so that USR1 does not wake the fiber.
 */
#include "rt/signals.h"

#include "rt/dump_int.h"
#include "rt/loop_int.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct signal_wait {
    int fd;
    int signo; /* what came; 0: nothing yet */
    struct fiber *waiter;
};

static sigset_t handled_signals(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGUSR1);
    return set;
}

void signals_init(void)
{
    sigset_t set = handled_signals();

    (void)sigaddset(&set, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void on_signal(struct sock *s UNUSED, void *ctx)
{
    struct signal_wait *w = ctx;
    struct signalfd_siginfo info;

    while (w->signo == 0 && read(w->fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGUSR1)
            dump_all_loops();
        else
            w->signo = (int)info.ssi_signo;
    }
    if (w->signo != 0)
        fiber_wake(w->waiter);
}

err_t signals_wait(int *ret_signo)
{
    sigset_t set = handled_signals();
    struct signal_wait w = {.waiter = fiber_current()};
    struct sock *s CLEANUP(sock_close_p) = NULL;

    if (!loop_seams()->simulated) {
        w.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
        if (w.fd < 0)
            return fail(E_IO, "signalfd: %s", strerrordesc_np(errno));
        TRY(sock_adopt(w.fd, &s));
        sock_on_event(s, on_signal, &w);
    }
    while (w.signo == 0)
        TRY(fiber_park("a signal", NS_NEVER));
    *ret_signo = w.signo;
    return OK;
}
