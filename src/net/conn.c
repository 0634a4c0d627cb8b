/*
 * conn.c - dispatch between a plain socket and TLS over one.
 *
 * Two cases that will not grow, so an if and not a table of functions: the branch is predicted, and the plain path stays a tail
 * call. The only difference a caller can see: TLS may hold decrypted bytes that the socket knows nothing of, which is why
 * "is readable" is asked here and not at the socket.
 */
#include "net/conn.h"

void conn_close(struct conn *c)
{
    if (c->tls) {
        tls_goodbye(c->tls);
        tls_free(c->tls);
        c->tls = NULL;
    }
    sock_close(c->sock);
    c->sock = NULL;
}

err_t conn_read(struct conn *c, void *to, size_t cap, size_t *ret_n)
{
    if (c->tls)
        return tls_read(c->tls, to, cap, ret_n);
    return sock_read(c->sock, to, cap, ret_n);
}

err_t conn_try_read(struct conn *c, void *to, size_t cap, size_t *ret_n)
{
    if (c->tls)
        return tls_try_read(c->tls, to, cap, ret_n);
    return sock_try_read(c->sock, to, cap, ret_n);
}

err_t conn_writev(struct conn *c, struct iovec *iov, int count)
{
    if (c->tls)
        return tls_writev(c->tls, iov, count);
    return sock_writev(c->sock, iov, count);
}

err_t conn_try_writev(struct conn *c, const struct iovec *iov, int count, size_t *ret_n)
{
    if (c->tls)
        return tls_try_writev(c->tls, iov, count, ret_n);
    return sock_try_writev(c->sock, iov, count, ret_n);
}

err_t conn_write(struct conn *c, struct str bytes)
{
    struct iovec iov = {(void *)(uintptr_t)bytes.p, bytes.n};
    return conn_writev(c, &iov, 1);
}

err_t conn_wait_readable(struct conn *c, ns_t until)
{
    if (c->tls)
        return tls_wait_readable(c->tls, until);
    return sock_wait_readable(c->sock, until);
}

err_t conn_wait_writable(struct conn *c, ns_t until)
{
    if (c->tls)
        return tls_wait_writable(c->tls, until);
    return sock_wait_writable(c->sock, until);
}

bool conn_is_readable(const struct conn *c)
{
    return (c->tls && tls_has_pending(c->tls)) || sock_is_readable(c->sock);
}

int iov_advance(struct iovec *iov, int count, size_t n)
{
    int used = 0;

    while (used < count && n >= iov[used].iov_len)
        n -= iov[used++].iov_len;
    if (used < count) {
        iov[used].iov_base = (char *)iov[used].iov_base + n;
        iov[used].iov_len -= n;
    }
    return used;
}
