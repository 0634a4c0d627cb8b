/*
 * sock.h - stream sockets for fibers, over the net seam.
 *
 * Readiness is state, not a message: the loop sets it on the socket whether or not anybody waits, and a wait tests it in a loop.
 * Events carry slot and generation, and a slot is recycled only at the end of a turn, so an event never reaches the
 * wrong socket. At most one fiber reads and one writes a socket at a time. A connection without a fiber (idle
 * keep-alive) sets a callback, which the loop calls on each event while no fiber waits for it.
 *
 * Calls that may suspend report cancel and deadline even when they need not wait, and let others run when they have held the
 * loop for a slice without waiting: a fast peer can neither outlast a deadline nor starve the loop. Error texts name the peer.
 */
#ifndef RT_SOCK_H
#define RT_SOCK_H

#include "base/err.h"
#include "base/time.h"
#include "rt/fiber.h"
#include "rt/seam.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

struct sock;

/* Called in loop context when the socket became readable, or the peer closed or broke it, and no fiber waits to read it.
 * Must not suspend; may close the socket. */
typedef void sock_event_fn(struct sock *s, void *ctx);

/* Listen. E_IO (somebody else does, by `share`), E_OVERLOAD (too many sockets). */
err_t sock_listen(const struct addr *at, enum listen_share share, struct sock **ret) MUST_CHECK;
/* Wait for a connection; the caller closes it. Transient failures (peer gone, out of descriptors: after a pause) are handled inside. */
err_t sock_accept(struct sock *listener, struct sock **ret, struct addr *ret_peer) SUSPENDS MUST_CHECK;
/* Connect; E_REFUSED, E_IO, E_OVERLOAD, E_DEADLINE, E_CANCELLED. The caller closes it. */
err_t sock_connect(const struct addr *to, struct sock **ret) SUSPENDS MUST_CHECK;
/* Close and forget; NULL is allowed. A fiber that still waits on it is woken with E_IO. */
void sock_close(struct sock *s);
/* For CLEANUP. */
static inline void sock_close_p(struct sock **s)
{
    sock_close(*s);
}

/* Read at most `cap` >= 1 bytes, at least one; *ret_n == 0 at the end of the stream. E_IO: reset and the like. */
err_t sock_read(struct sock *s, void *to, size_t cap, size_t *ret_n) SUSPENDS MUST_CHECK;
/* The same without waiting: E_AGAIN (without a text) if there is nothing to read now. Looks at neither deadline nor cancel. */
err_t sock_try_read(struct sock *s, void *to, size_t cap, size_t *ret_n) MUST_CHECK;
/* Wait until sock_try_read() is worth trying. */
err_t sock_wait_readable(struct sock *s, ns_t until) SUSPENDS MUST_CHECK;
/* Write all of it; `iov` is changed on the way. */
err_t sock_writev(struct sock *s, struct iovec *iov, int count) SUSPENDS MUST_CHECK;
err_t sock_write(struct sock *s, const void *from, size_t n) SUSPENDS MUST_CHECK;
/* Write what goes now: *ret_n may be less than all, 0 included. E_AGAIN is not returned. */
err_t sock_try_writev(struct sock *s, const struct iovec *iov, int count, size_t *ret_n) MUST_CHECK;
err_t sock_wait_writable(struct sock *s, ns_t until) SUSPENDS MUST_CHECK;
/* No more writing; the peer reads the end of the stream. */
err_t sock_shutdown(struct sock *s);

/* Readable now, as far as is known without asking the kernel. */
bool sock_is_readable(const struct sock *s);
/* The peer has shut down its writing side, or the connection is gone. There may still be bytes to read. */
bool sock_peer_closed(const struct sock *s);
/* Set or (NULL) clear the callback for events that no fiber waits for. If an event is already pending, it is called at the
 * end of this turn. */
void sock_on_event(struct sock *s, sock_event_fn *fn, void *ctx);
err_t sock_local_addr(struct sock *s, struct addr *ret) MUST_CHECK;

/*
 * Watch a descriptor that a library reads and writes by itself; it stays the library's. Only sock_wait_watched() and sock_close() are for such a
 * sock, which is closed after the library has closed its own. Not in simulation: E_UNSUPPORTED. E_IO.
 */
err_t sock_watch(int fd, struct sock **ret) MUST_CHECK;
/* Wait until the kernel says that it is readable or, with `or_writable`, writable: as poll(2) says it, so what the library left unread counts. */
err_t sock_wait_watched(struct sock *s, bool or_writable, ns_t until) SUSPENDS MUST_CHECK;

#endif
