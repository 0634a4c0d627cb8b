/*
 * sock.c - sockets of one loop: slots, readiness, and the waits on them.
 *
 * Idea. `readable` and `writable` say what the kernel is known to have, and system calls are made only when they say so. They are set by
 * events, and cleared by the calls themselves: EAGAIN, and also a read or write that moved less than was asked, because a
 * stream that gives less has no more and will tell when it does (epoll(7), edge-triggered). The exception is a peer that has closed: the
 * end of the stream is then still to be read, and no event will tell of it again.
 *
 * The kernel tells a connection's error once, to whichever call comes first; a read after it sees an end of stream like any other. A
 * broken stream must not look complete, so `broke` remembers.
 *
 * Events name a slot and its generation. Closing bumps the generation at once, so what an older poll still reports is dropped;
 * the struct goes back to the free list at the end of the turn, and not before the fibers that wait on it have seen that it is closed.
 *
 * Invariants: a struct sock is on at most one of the lists free, closing, pending (by `next`); s->h >= 0 while it is open.
 *
 * Not here: TLS and protocols (net/), what a system call is (seam_real_net.c, sim_world.c).
 */
#include "rt/sock.h"

#include "base/mem.h"
#include "rt/loop_int.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

enum {
    SOCKS_PER_CHUNK = 64,
    LINE = 64,
    BACKLOG = 4096,
    WRITEV_MAX = 64, /* pieces per system call */
};

static const ns_t accept_pause = 50 * NS_MS; /* after running out of descriptors */

/* First the cache line that every read, write and event touches, then what error texts need. */
struct sock {
    int h;
    uint32_t slot, generation;
    bool readable, writable;
    bool peer_closed;              /* an end of stream, or worse, is or was to be read */
    bool pending;                  /* on the list of due callbacks                     */
    bool broke;                    /* a call has failed: what looks like an end of stream is none */
    struct fiber *reader, *writer; /* parked on it */
    sock_event_fn *on_event;
    void *ctx;
    struct sock *next;
    /* Second line. */
    struct {
        socklen_t len;
        union {
            struct sockaddr any;
            struct sockaddr_in v4;
            struct sockaddr_in6 v6;
        } u;
    } peer; /* len == 0: a unix socket, or nobody */
} __attribute__((aligned(LINE)));

struct sock_chunk {
    void *memory;
    struct sock *at;
};

_Static_assert(sizeof(struct sock) <= 2 * LINE, "10,000 idle connections have to be cheap");

/* ---- slots ---- */

void sock_table_init(struct sock_table *t, unsigned max)
{
    *t = (struct sock_table){.max = max};
}

static void add_chunk(struct sock_table *t)
{
    uint32_t count = t->made / SOCKS_PER_CHUNK;
    void *memory = mem_zalloc(SOCKS_PER_CHUNK * sizeof(struct sock) + LINE, 1);
    struct sock *at = (void *)(((uintptr_t)memory + LINE - 1) & ~(uintptr_t)(LINE - 1));

    t->chunks = mem_realloc(t->chunks, (count + 1) * sizeof *t->chunks);
    t->chunks[count] = (struct sock_chunk){memory, at};
    for (uint32_t i = SOCKS_PER_CHUNK; i-- > 0;) {
        at[i].slot = t->made + i;
        at[i].h = -1;
        at[i].next = t->free;
        t->free = &at[i];
    }
    t->made += SOCKS_PER_CHUNK;
}

static struct sock *sock_at(const struct sock_table *t, uint32_t slot)
{
    return &t->chunks[slot / SOCKS_PER_CHUNK].at[slot % SOCKS_PER_CHUNK];
}

static bool is_full(const struct sock_table *t)
{
    return t->open >= t->max;
}

/* Put `h` into a slot and watch it. Takes `h`, also on failure: -errno then. */
static int sock_new(struct loop *l, int h, const struct addr *peer, struct sock **ret)
{
    struct sock_table *t = &l->socks;

    if (!t->free)
        add_chunk(t);
    struct sock *s = t->free;
    int e = l->net->watch(l->net_ctx, l->poller, h, (uint64_t)s->generation << 32 | s->slot);
    if (e < 0) {
        l->net->close(l->net_ctx, h);
        return e;
    }
    t->free = s->next;
    t->open++;
    s->next = NULL;
    s->h = h;
    s->readable = s->writable = s->peer_closed = s->pending = s->broke = false;
    s->reader = s->writer = NULL;
    s->on_event = NULL;
    s->peer.len = 0;
    if (peer && peer->len > 0 && peer->len <= sizeof s->peer.u) {
        s->peer.len = peer->len;
        memcpy(&s->peer.u, &peer->u, peer->len);
    }
    *ret = s;
    return 0;
}

static void list_add(struct sock **head, struct sock *s)
{
    s->next = *head;
    *head = s;
}

void sock_close(struct sock *s)
{
    struct loop *l = loop_here();

    if (!s)
        return;
    assert(s->h >= 0);
    l->net->close(l->net_ctx, s->h);
    s->h = -1;
    s->generation++;
    s->on_event = NULL;
    l->socks.open--;
    if (s->reader)
        fiber_wake(s->reader);
    if (s->writer)
        fiber_wake(s->writer);
    if (!s->pending)
        list_add(&l->socks.closing, s);
}

void sock_table_release(struct loop *l, struct sock_table *t)
{
    for (uint32_t slot = 0; slot < t->made; slot++) {
        struct sock *s = sock_at(t, slot);
        if (s->h >= 0)
            l->net->close(l->net_ctx, s->h);
    }
    for (uint32_t i = 0; i < t->made / SOCKS_PER_CHUNK; i++)
        mem_free(t->chunks[i].memory);
    mem_free(t->chunks);
    *t = (struct sock_table){0};
}

/* ---- events ---- */

void sock_deliver(struct loop *l, const struct net_event *e)
{
    uint32_t slot = (uint32_t)e->tag;

    if (slot >= l->socks.made)
        return;
    struct sock *s = sock_at(&l->socks, slot);
    if (s->generation != (uint32_t)(e->tag >> 32) || s->h < 0)
        return;
    if (e->peer_closed || e->broken)
        s->peer_closed = true;
    if (e->writable || e->broken) {
        s->writable = true;
        if (s->writer)
            fiber_wake(s->writer);
    }
    if (!e->readable && !s->peer_closed)
        return;
    s->readable = true;
    if (s->reader)
        fiber_wake(s->reader);
    else if (s->on_event)
        s->on_event(s, s->ctx);
}

static void recycle_closed(struct loop *l)
{
    struct sock *s = l->socks.closing;

    l->socks.closing = NULL;
    while (s) {
        struct sock *next = s->next;
        list_add(s->reader || s->writer ? &l->socks.closing : &l->socks.free, s);
        s = next;
    }
}

static void run_pending(struct loop *l)
{
    struct sock *s = l->socks.pending;

    l->socks.pending = NULL;
    while (s) {
        struct sock *next = s->next;
        s->pending = false;
        if (s->h < 0)
            list_add(&l->socks.closing, s);
        else if (s->on_event && s->readable && !s->reader)
            s->on_event(s, s->ctx);
        s = next;
    }
}

void sock_end_turn(struct loop *l)
{
    if (l->socks.pending)
        run_pending(l);
    if (l->socks.closing)
        recycle_closed(l);
}

void sock_on_event(struct sock *s, sock_event_fn *fn, void *ctx)
{
    s->on_event = fn;
    s->ctx = ctx;
    if (!fn || !s->readable || s->pending)
        return;
    s->pending = true;
    list_add(&loop_here()->socks.pending, s);
}

bool sock_is_readable(const struct sock *s)
{
    return s->readable;
}

bool sock_peer_closed(const struct sock *s)
{
    return s->peer_closed;
}

/* ---- errors ---- */

static void peer_text(const struct sock *s, char text[ADDR_TEXT_MAX])
{
    struct addr a = {.len = s->peer.len};

    if (s->peer.len == 0) {
        memcpy(text, "a local peer", sizeof "a local peer");
        return;
    }
    memcpy(&a.u, &s->peer.u, s->peer.len);
    (void)addr_format(&a, text);
}

static NOINLINE err_t sock_fail(const struct sock *s, const char *what, int err)
{
    char text[ADDR_TEXT_MAX];

    peer_text(s, text);
    return fail(E_IO, "%s %s: %s", what, text, strerrordesc_np(err));
}

/* Say with whom the fiber was talking when it was cancelled, or out of time. */
static NOINLINE err_t sock_context(const struct sock *s, const char *what, err_t e)
{
    char text[ADDR_TEXT_MAX];

    if (e != E_CANCELLED && e != E_DEADLINE)
        return e;
    peer_text(s, text);
    return err_context(e, "%s %s", what, text);
}

/* ---- waits ---- */

/* What a call that may suspend does first: cancel and deadline are reported even if it need not wait. */
static inline SUSPENDS err_t begin(const char *reason)
{
    struct loop *l = loop_here();
    struct fiber *f = l->current;

    if (UNLIKELY(fiber_must_leave(f)) || UNLIKELY(f->deadline <= l->now))
        return fiber_refuse(f, reason);
    if (UNLIKELY(--l->tick_left <= 0))
        return fiber_tick_slow(l);
    return OK;
}

/* Park as the socket's reader or writer. OK says nothing about readiness. */
static SUSPENDS err_t sock_park(struct sock *s, struct fiber **waiter, const char *reason, ns_t until)
{
    assert(!*waiter);
    *waiter = loop_here()->current;
    err_t e = fiber_park(reason, until);
    *waiter = NULL;
    if (UNLIKELY(e != OK))
        return e;
    return LIKELY(s->h >= 0) ? OK : sock_fail(s, "connection to", EBADF);
}

err_t sock_wait_readable(struct sock *s, ns_t until)
{
    while (!s->readable) {
        err_t e = sock_park(s, &s->reader, "bytes to read", until);
        if (UNLIKELY(e != OK))
            return sock_context(s, "reading from", e);
    }
    return OK;
}

err_t sock_wait_writable(struct sock *s, ns_t until)
{
    while (!s->writable) {
        err_t e = sock_park(s, &s->writer, "room to write", until);
        if (UNLIKELY(e != OK))
            return sock_context(s, "writing to", e);
    }
    return OK;
}

err_t sock_try_read(struct sock *s, void *to, size_t cap, size_t *ret_n)
{
    struct loop *l = loop_here();

    if (!s->readable)
        return E_AGAIN;
    ssize_t n = l->net->read(l->net_ctx, s->h, to, cap);
    if (LIKELY(n > 0)) {
        if ((size_t)n < cap && !s->peer_closed)
            s->readable = false;
        *ret_n = (size_t)n;
        return OK;
    }
    if (n == 0) {
        s->peer_closed = true;
        *ret_n = 0;
        return LIKELY(!s->broke) ? OK : sock_fail(s, "read from", ECONNRESET);
    }
    if (n != -EAGAIN) {
        s->broke = true;
        return sock_fail(s, "read from", (int)-n);
    }
    s->readable = false;
    return E_AGAIN;
}

err_t sock_read(struct sock *s, void *to, size_t cap, size_t *ret_n)
{
    err_t e = begin("bytes to read");

    if (UNLIKELY(e != OK))
        return sock_context(s, "reading from", e);
    for (;;) {
        e = sock_try_read(s, to, cap, ret_n);
        if (LIKELY(e != E_AGAIN))
            return e;
        TRY(sock_wait_readable(s, NS_NEVER));
    }
}

err_t sock_try_writev(struct sock *s, const struct iovec *iov, int count, size_t *ret_n)
{
    struct loop *l = loop_here();
    size_t want = 0;

    if (!s->writable) {
        *ret_n = 0;
        return OK;
    }
    if (count > WRITEV_MAX)
        count = WRITEV_MAX;
    for (int i = 0; i < count; i++)
        want += iov[i].iov_len;
    ssize_t n = l->net->writev(l->net_ctx, s->h, iov, count);
    if (UNLIKELY(n < 0 && n != -EAGAIN)) {
        s->broke |= n != -EPIPE; /* EPIPE alone leaves the peer's end of stream a true one */
        return sock_fail(s, "write to", (int)-n);
    }
    *ret_n = n > 0 ? (size_t)n : 0;
    if (*ret_n < want)
        s->writable = false;
    return OK;
}

/* Step over `n` bytes that were written, and over pieces that are empty. */
static void iov_advance(struct iovec **iov, int *count, size_t n)
{
    while (*count > 0 && n >= (*iov)->iov_len) {
        n -= (*iov)->iov_len;
        ++*iov;
        --*count;
    }
    if (*count > 0) {
        (*iov)->iov_base = (char *)(*iov)->iov_base + n;
        (*iov)->iov_len -= n;
    }
}

err_t sock_writev(struct sock *s, struct iovec *iov, int count)
{
    err_t e = begin("room to write");
    size_t n = 0;

    if (UNLIKELY(e != OK))
        return sock_context(s, "writing to", e);
    for (;;) {
        iov_advance(&iov, &count, n);
        if (count == 0)
            return OK;
        TRY(sock_wait_writable(s, NS_NEVER));
        TRY(sock_try_writev(s, iov, count, &n));
    }
}

err_t sock_write(struct sock *s, const void *from, size_t n)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)from, .iov_len = n};
    return sock_writev(s, &iov, 1);
}

err_t sock_shutdown(struct sock *s)
{
    struct loop *l = loop_here();
    int e = l->net->shutdown(l->net_ctx, s->h);
    return e < 0 ? sock_fail(s, "shut down", -e) : OK;
}

err_t sock_local_addr(struct sock *s, struct addr *ret)
{
    struct loop *l = loop_here();
    int e = l->net->local_addr(l->net_ctx, s->h, ret);
    return e < 0 ? sock_fail(s, "address towards", -e) : OK;
}

/* ---- listen, accept, connect ---- */

err_t sock_listen(const struct addr *at, enum listen_share share, struct sock **ret)
{
    struct loop *l = loop_here();
    char text[ADDR_TEXT_MAX];

    (void)addr_format(at, text);
    if (is_full(&l->socks))
        return fail(E_OVERLOAD, "listen on %s: %u sockets are open", text, l->socks.open);
    int h = l->net->listen(l->net_ctx, at, BACKLOG, share);
    int e = h < 0 ? h : sock_new(l, h, at, ret);
    return e < 0 ? fail(E_IO, "listen on %s: %s", text, strerrordesc_np(-e)) : OK;
}

/* What an accept that brought no connection means. */
static SUSPENDS err_t accept_failed(struct sock *listener, int err)
{
    switch (err) {
    case EAGAIN:
        listener->readable = false;
        return OK;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case ENOSPC: /* no more watches */
        return fiber_sleep_until(ns_add(rt_now(), accept_pause));
    case EBADF:
    case EINVAL:
    case ENOTSOCK:
    case EOPNOTSUPP:
    case EFAULT:
        return sock_fail(listener, "accept on", err);
    default:
        return OK; /* an error of that one connection: accept(2) */
    }
}

err_t sock_accept(struct sock *listener, struct sock **ret, struct addr *ret_peer)
{
    struct loop *l = loop_here();

    TRY(begin("a connection"));
    for (;;) {
        while (!listener->readable)
            TRY(sock_park(listener, &listener->reader, "a connection", NS_NEVER));
        struct addr peer;
        int h = is_full(&l->socks) ? -EMFILE : l->net->accept(l->net_ctx, listener->h, &peer);
        int e = h < 0 ? h : sock_new(l, h, &peer, ret);
        if (LIKELY(e == 0)) {
            (*ret)->writable = true;
            *ret_peer = peer;
            return OK;
        }
        TRY(accept_failed(listener, -e));
        if (listener->h < 0)
            return sock_fail(listener, "accept on", EBADF);
        TRY(begin("a connection"));
    }
}

static err_t connect_fail(const struct addr *to, int err)
{
    char text[ADDR_TEXT_MAX];

    (void)addr_format(to, text);
    return fail(err == ECONNREFUSED ? E_REFUSED : E_IO, "connect to %s: %s", text, strerrordesc_np(err));
}

/* Wait until the kernel has decided. */
static SUSPENDS err_t connect_wait(struct sock *s, const struct addr *to)
{
    struct loop *l = loop_here();
    char text[ADDR_TEXT_MAX];

    for (;;) {
        while (!s->writable) {
            err_t e = sock_park(s, &s->writer, "an answer to connect", NS_NEVER);
            if (e != OK) {
                (void)addr_format(to, text);
                return err_context(e, "connecting to %s", text);
            }
        }
        int e = l->net->connect_result(l->net_ctx, s->h);
        if (e == 0)
            return OK;
        if (e != -EINPROGRESS && e != -EAGAIN && e != -EALREADY)
            return connect_fail(to, -e);
        s->writable = false;
    }
}

err_t sock_connect(const struct addr *to, struct sock **ret)
{
    struct loop *l = loop_here();
    struct sock *s = NULL;

    TRY(begin("an answer to connect"));
    if (is_full(&l->socks))
        return fail(E_OVERLOAD, "connect: %u sockets are open", l->socks.open);
    int h = l->net->connect(l->net_ctx, to);
    int failed = h < 0 ? h : sock_new(l, h, to, &s);
    if (failed < 0)
        return connect_fail(to, -failed);
    err_t e = connect_wait(s, to);
    if (e != OK) {
        sock_close(s);
        return e;
    }
    *ret = s;
    return OK;
}

err_t sock_adopt(int h, struct sock **ret)
{
    int e = sock_new(loop_here(), h, NULL, ret);
    return e < 0 ? fail(E_IO, "cannot watch a descriptor: %s", strerrordesc_np(-e)) : OK;
}

/* ---- descriptors of libraries ---- */

err_t sock_watch(int fd, struct sock **ret)
{
    if (loop_seams()->simulated)
        return fail(E_UNSUPPORTED, "descriptors of libraries are not part of the simulation");
    /* A number of our own for the same stream: epoll would forget it, and we would not know, when the library closes its own. */
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return own < 0 ? fail(E_IO, "cannot watch a descriptor: %s", strerrordesc_np(errno)) : sock_adopt(own, ret);
}

/* Events come at changes only, and the library may have left something unread. So the state is asked for; a change after that is an event. */
static bool is_ready(const struct sock *s, bool or_writable)
{
    struct pollfd p = {.fd = s->h, .events = (short)(POLLIN | (or_writable ? POLLOUT : 0))};

    return poll(&p, 1, 0) != 0;
}

err_t sock_wait_watched(struct sock *s, bool or_writable, ns_t until)
{
    TRY(begin("a library's connection"));
    while (!is_ready(s, or_writable)) {
        s->writer = or_writable ? loop_here()->current : NULL;
        err_t e = sock_park(s, &s->reader, "a library's connection", until);
        s->writer = NULL;
        TRY(e);
    }
    return OK;
}
