/* http_client_int.h - what pool, sending and receiving of the HTTP client share. */
#ifndef NET_HTTP_CLIENT_INT_H
#define NET_HTTP_CLIENT_INT_H

#include "base/list.h"
#include "net/dial.h"
#include "net/http_client.h"
#include "rt/timer.h"

struct iobuf;
struct decoder;

/* A connection of the pool: leased to one call, or idle. */
struct pool_conn {
    struct conn conn;
    struct upstream *upstream;
    struct list node; /* in upstream->idle */
    ns_t idle_until;
};

struct upstream {
    struct dial_target target; /* its strings are owned by `memory` */
    struct arena memory;
    struct proxy proxy;
    char *bad_proxy;      /* why the proxy cannot be used; owned; NULL: it can        */
    const char *label;    /* "host:port", for error texts                             */
    struct str host_line; /* "host: ...\r\n"                                          */
    struct str origin;    /* "http://host:port" before targets, of a forwarding proxy */
    unsigned max_connections, max_waiting, max_idle;
    ns_t idle_time;
    size_t head_bytes;

    struct list idle;        /* pool_conns, the one used last first; hence by idle_until */
    struct list waiters;     /* in order of arrival                                      */
    struct timer idle_timer; /* due at the earliest idle_until, or before                */
    struct buf head;         /* of a request, while it is assembled and written          */
    struct http_call *free_calls;
    unsigned free_count, calls;
    struct upstream_stats stats;
};

struct http_call {
    struct upstream *upstream;
    struct pool_conn *pc; /* leased; NULL: given back or closed                                */
    struct arena *arena;
    struct http_call_times *times; /* the caller's or own_times                               */
    struct iobuf *in;              /* holds `body`; NULL while nothing is held                           */
    struct str body;               /* content that was received and not yet given out                    */
    struct str kept;               /* content that http_call_all() took over its maximum; given out first */
    struct iobuf *out;             /* decoded content that was given out last; NULL                      */
    struct decoder *decoder;
    err_t failure; /* receiving has failed; reported when `body` has been given out      */
    const char *failure_text;
    struct fiber *owner; /* in http_call_open(), while an upload waits                         */
    bool sent;           /* the whole request                                                  */
    bool has_head;
    bool ended;       /* the answer was received to its end                                 */
    bool at_eof;      /* the peer has closed                                                */
    bool source_used; /* the body cannot be sent again                                      */
    bool parser_used; /* by a message that did not end                                      */
    struct http_head head;
    struct http1 parser;
    struct http_call_times own_times;
    struct http_call *next_free;
};

/* --- http_pool.c --- */

/* A connection for one call; `fresh`: not one that was used before. *ret_reused says which it is. Waits at most until `by`. */
err_t pool_lease(struct upstream *u, ns_t by, bool fresh, struct pool_conn **ret, bool *ret_reused) SUSPENDS MUST_CHECK;
/* The call is done with it: keep it for the next one if `reusable`, else close it. */
void pool_return(struct pool_conn *pc, bool reusable);

/* --- http_send.c --- */

/* Send the request of `c` on its connection. OK with !c->sent: the answer came first and refuses it. */
err_t call_send(struct http_call *c, const struct http_call_options *o) SUSPENDS MUST_CHECK;

/* --- http_receive.c --- */

/* Start over: nothing was received. */
void call_begin(struct http_call *c, bool to_head);
/* Take in what there is, without waiting; c->in must be empty. False: nothing came. Failures are in c->failure. From fibers and loop
 * callbacks. */
bool call_receive(struct http_call *c);
/* Make the remembered failure of receiving the current error. */
err_t call_failed(const struct http_call *c) MUST_CHECK;
/* Wait for bytes; `phase` completes "deadline passed ..." */
err_t call_wait(struct http_call *c, ns_t until, const char *phase) SUSPENDS MUST_CHECK;
/* Give the connection back if the answer has ended. */
void call_settle(struct http_call *c);
/* Give unused buffers back. */
void call_drop_in(struct http_call *c);

#endif
