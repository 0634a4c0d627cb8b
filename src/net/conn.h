/*
 * conn.h - a byte stream to a peer: a socket, with or without TLS. One place where both look alike.
 *
 * A value type: two pointers, embedded in who owns the connection.
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include "net/tls.h"
#include "rt/sock.h"

struct conn {
    struct sock *sock; /* owned; NULL: closed */
    struct tls *tls;   /* owned; NULL: plain  */
};

/* Close and forget: with TLS, says goodbye as far as that goes without waiting. Takes a zeroed conn. Fit for CLEANUP. */
void conn_close(struct conn *c);
/* As sock_read(), sock_try_read(), sock_writev(), sock_try_writev(), the waits of sock_wait_*(), and
 * sock_is_readable(). */
err_t conn_read(struct conn *c, void *to, size_t cap, size_t *ret_n) SUSPENDS MUST_CHECK;
err_t conn_try_read(struct conn *c, void *to, size_t cap, size_t *ret_n) MUST_CHECK;
err_t conn_writev(struct conn *c, struct iovec *iov, int count) SUSPENDS MUST_CHECK;
/* With TLS: after less than all was taken, the next write must begin with the very bytes that were not (see tls_try_writev()). */
err_t conn_try_writev(struct conn *c, const struct iovec *iov, int count, size_t *ret_n) MUST_CHECK;
err_t conn_write(struct conn *c, struct str bytes) SUSPENDS MUST_CHECK;
err_t conn_wait_readable(struct conn *c, ns_t until) SUSPENDS MUST_CHECK;
err_t conn_wait_writable(struct conn *c, ns_t until) SUSPENDS MUST_CHECK;
bool conn_is_readable(const struct conn *c);

/* Take the first `n` bytes off the front of `iov`; returns how many elements are used up. */
int iov_advance(struct iovec *iov, int count, size_t n);

#endif
