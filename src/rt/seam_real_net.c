/*
 * seam_real_net.c - the kernel's sockets and epoll behind the net seam.
 *
 * Idea. A socket is registered once, edge-triggered, for both directions, and never again: no EPOLL_CTL_MOD on any path. Its end
 * takes it out of the set, since no descriptor is ever duplicated.
 *
 * send() and recv() are used instead of writev() and read(): they skip the file layer, and MSG_NOSIGNAL makes a peer that is gone an
 * error instead of a SIGPIPE. Nagle's algorithm is off; accepted sockets inherit that from the listener. The kernel is asked past libc,
 * whose wrappers make the calling thread cancellable for the time of the call: four locked instructions, for a wish that nobody here has.
 */
#include "rt/seam_real_int.h"

#include "base/mem.h"
#include "rt/sanitize.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { POLL_MAX = 512 };

#define TAG_WAKE UINT64_MAX

struct poller {
    int epoll;
    int wake;      /* eventfd; edge-triggered, so nobody has to read it           */
    bool lacks_ns; /* epoll_pwait2() is missing: Linux < 5.11, a seccomp rule     */
    struct epoll_event events[POLL_MAX];
};

/* The kernel lets an address be shared if all sockets there wish it when the next one is bound. So the first one is bound without the
 * wish, which fails where anybody listens, and wishes it before it listens: at no time could a client meet a listener that goes again. */
static int bind_as(int h, const struct addr *at, enum listen_share share)
{
    int on = 1;

    if (share == LISTEN_JOIN && setsockopt(h, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)
        return -1;
    if (bind(h, &at->u.any, at->len) != 0)
        return -1;
    return share == LISTEN_FIRST ? setsockopt(h, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) : 0;
}

static int listen_on(const struct addr *at, int backlog, enum listen_share share)
{
    int on = 1, off = 0;
    int h = socket(at->u.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (h < 0)
        return -errno;
    (void)setsockopt(h, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (addr_is_v6(at))
        (void)setsockopt(h, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (at->u.any.sa_family != AF_UNIX)
        (void)setsockopt(h, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind_as(h, at, share) != 0 || listen(h, backlog) != 0) {
        int err = errno;
        (void)close(h);
        return -err;
    }
    return h;
}

/* The path of a unix socket outlives its listener. Take it away if nobody answers there. */
static bool remove_stale_path(const struct addr *at)
{
    struct stat st;
    int h = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (h < 0)
        return false;
    bool refused = connect(h, &at->u.any, at->len) != 0 && errno == ECONNREFUSED;
    (void)close(h);
    return refused && stat(at->u.path.sun_path, &st) == 0 && S_ISSOCK(st.st_mode) && unlink(at->u.path.sun_path) == 0;
}

/* "All addresses" falls back to IPv4 where there is no IPv6. */
static int real_listen(void *ctx UNUSED, const struct addr *at, int backlog, enum listen_share share)
{
    int h = listen_on(at, backlog, share);

    if (h == -EADDRINUSE && at->u.any.sa_family == AF_UNIX && remove_stale_path(at))
        return listen_on(at, backlog, share);
    if (h != -EAFNOSUPPORT || !addr_is_v6(at) || !IN6_IS_ADDR_UNSPECIFIED(&at->u.v6.sin6_addr))
        return h;
    struct addr v4 = {.len = sizeof v4.u.v4};
    v4.u.v4.sin_family = AF_INET;
    addr_set_port(&v4, addr_port(at));
    return listen_on(&v4, backlog, share);
}

static int real_accept(void *ctx UNUSED, int listener, struct addr *ret_peer)
{
    struct addr peer;
    int h;

    do {
        peer.len = sizeof peer.u;
        h = accept4(listener, &peer.u.any, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (h < 0 && errno == EINTR);
    if (h < 0)
        return -errno;
    if (peer.u.any.sa_family == AF_UNIX && peer.len <= offsetof(struct sockaddr_un, sun_path))
        peer.u.path.sun_path[0] = '\0'; /* an unnamed peer */
    *ret_peer = peer;
    return h;
}

static int real_connect(void *ctx UNUSED, const struct addr *to)
{
    int on = 1;
    int h = socket(to->u.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (h < 0)
        return -errno;
    if (to->u.any.sa_family != AF_UNIX)
        (void)setsockopt(h, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(h, &to->u.any, to->len) != 0 && errno != EINPROGRESS && errno != EINTR) {
        int err = errno;
        (void)close(h);
        return -err;
    }
    return h;
}

static int real_connect_result(void *ctx UNUSED, int h)
{
    int err = 0;
    socklen_t len = sizeof err;

    if (getsockopt(h, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
        return -errno;
    return -err;
}

#if RT_ASAN || RT_TSAN /* those watch libc's calls */
static ssize_t receive(int h, void *to, size_t cap)
{
    return recv(h, to, cap, 0);
}

static ssize_t send_one(int h, const void *from, size_t n)
{
    return send(h, from, n, MSG_NOSIGNAL);
}

static ssize_t send_parts(int h, const struct msghdr *m)
{
    return sendmsg(h, m, MSG_NOSIGNAL);
}
#else
static ssize_t receive(int h, void *to, size_t cap)
{
    return syscall(SYS_recvfrom, h, to, cap, 0, NULL, NULL);
}

static ssize_t send_one(int h, const void *from, size_t n)
{
    return syscall(SYS_sendto, h, from, n, MSG_NOSIGNAL, NULL, 0);
}

static ssize_t send_parts(int h, const struct msghdr *m)
{
    return syscall(SYS_sendmsg, h, m, MSG_NOSIGNAL);
}
#endif

static ssize_t real_read(void *ctx UNUSED, int h, void *to, size_t cap)
{
    ssize_t n;

    do
        n = receive(h, to, cap);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static ssize_t real_writev(void *ctx UNUSED, int h, const struct iovec *iov, int count)
{
    ssize_t n;

    do {
        if (count == 1) {
            n = send_one(h, iov->iov_base, iov->iov_len);
        } else {
            struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count};
            n = send_parts(h, &m);
        }
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static int real_shutdown(void *ctx UNUSED, int h)
{
    return shutdown(h, SHUT_WR) == 0 ? 0 : -errno;
}

static void real_close(void *ctx UNUSED, int h)
{
    (void)close(h);
}

static int real_local_addr(void *ctx UNUSED, int h, struct addr *ret)
{
    struct addr a = {.len = sizeof a.u};

    if (getsockname(h, &a.u.any, &a.len) != 0)
        return -errno;
    *ret = a;
    return 0;
}

static int resolve_errno(int gai)
{
    switch (gai) {
    case EAI_AGAIN:
        return -EAGAIN;
    case EAI_SYSTEM:
        return errno ? -errno : -EIO;
    case EAI_MEMORY:
        return -ENOMEM;
    default:
        return -ENOENT;
    }
}

static int real_resolve(void *ctx UNUSED, const char *host, struct addr *ret_addrs, int max)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    int n = 0;
    int gai = getaddrinfo(host, NULL, &hints, &found);

    if (gai != 0)
        return resolve_errno(gai);
    for (struct addrinfo *a = found; a && n < max; a = a->ai_next) {
        if ((a->ai_family != AF_INET && a->ai_family != AF_INET6) || a->ai_addrlen > sizeof ret_addrs->u)
            continue;
        memset(&ret_addrs[n], 0, sizeof ret_addrs[n]);
        memcpy(&ret_addrs[n].u, a->ai_addr, a->ai_addrlen);
        ret_addrs[n++].len = a->ai_addrlen;
    }
    freeaddrinfo(found);
    return n > 0 ? n : -ENOENT;
}

static void real_poller_close(void *ctx UNUSED, struct poller *p)
{
    if (p->wake >= 0)
        (void)close(p->wake);
    if (p->epoll >= 0)
        (void)close(p->epoll);
    mem_free(p);
}

static struct poller *real_poller_open(void *ctx)
{
    struct poller *p = NEW(struct poller);
    struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.u64 = TAG_WAKE};

    p->lacks_ns = sanitize_is_watched(); /* Valgrind does not know it */
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    p->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (p->epoll < 0 || p->wake < 0 || epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->wake, &e) != 0) {
        real_poller_close(ctx, p);
        return NULL;
    }
    return p;
}

static int real_watch(void *ctx UNUSED, struct poller *p, int h, uint64_t tag)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.u64 = tag};
    return epoll_ctl(p->epoll, EPOLL_CTL_ADD, h, &e) == 0 ? 0 : -errno;
}

static ns_t real_monotonic(void)
{
    const struct seams *s = seams_real();
    return s->clock->now(s->ctx);
}

/* Milliseconds, rounded up: waking early would spin. */
static int wait_ms(struct poller *p, int max, ns_t wait)
{
    ns_t ms = wait / NS_MS + (wait % NS_MS != 0);
    return epoll_wait(p->epoll, p->events, max, ms > INT32_MAX ? INT32_MAX : (int)ms);
}

static int wait_ns(struct poller *p, int max, ns_t wait)
{
    struct timespec t = {.tv_sec = wait / NS_SEC, .tv_nsec = wait % NS_SEC};
    int n = epoll_pwait2(p->epoll, p->events, max, &t, NULL);

    if (n < 0 && (errno == ENOSYS || errno == EPERM)) {
        p->lacks_ns = true;
        return wait_ms(p, max, wait);
    }
    return n;
}

static int wait_events(struct poller *p, int max, ns_t until)
{
    if (until == NS_NEVER)
        return epoll_wait(p->epoll, p->events, max, -1);
    ns_t wait = until <= 0 ? 0 : until - real_monotonic();
    if (wait <= 0)
        return epoll_wait(p->epoll, p->events, max, 0);
    return p->lacks_ns ? wait_ms(p, max, wait) : wait_ns(p, max, wait);
}

static int real_poll(void *ctx UNUSED, struct poller *p, struct net_event *ret_events, int max, ns_t until)
{
    int count = 0;
    int n = wait_events(p, max < POLL_MAX ? max : POLL_MAX, until);

    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < n; i++) {
        uint32_t ev = p->events[i].events;
        if (p->events[i].data.u64 == TAG_WAKE)
            continue;
        ret_events[count++] = (struct net_event){
            .tag = p->events[i].data.u64,
            .readable = ev & EPOLLIN,
            .writable = ev & EPOLLOUT,
            .peer_closed = ev & (EPOLLRDHUP | EPOLLHUP),
            .broken = ev & (EPOLLERR | EPOLLHUP),
        };
    }
    return count;
}

static void real_wake(void *ctx UNUSED, struct poller *p)
{
    uint64_t one = 1;
    /* Fails only when the counter is full (EAGAIN), and then the poll is awake. */
    ssize_t n = write(p->wake, &one, sizeof one);
    (void)n;
}

const struct net_ops net_real = {
    .listen = real_listen,
    .accept = real_accept,
    .connect = real_connect,
    .connect_result = real_connect_result,
    .read = real_read,
    .writev = real_writev,
    .shutdown = real_shutdown,
    .close = real_close,
    .local_addr = real_local_addr,
    .resolve = real_resolve,
    .poller_open = real_poller_open,
    .poller_close = real_poller_close,
    .watch = real_watch,
    .poll = real_poll,
    .wake = real_wake,
};
