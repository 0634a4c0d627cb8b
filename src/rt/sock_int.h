/* sock_int.h - the sockets of one loop. Internal to rt/. */
#ifndef RT_SOCK_INT_H
#define RT_SOCK_INT_H

#include "rt/seam.h"
#include "rt/sock.h"

struct loop;
struct sock_chunk;

struct sock_table {
    struct sock_chunk *chunks;
    uint32_t made; /* slots that exist          */
    uint32_t max;
    uint32_t open;
    struct sock *free;    /* by `next`                                              */
    struct sock *closing; /* closed in this turn, or still known to a waiting fiber */
    struct sock *pending; /* their callback is due at the end of the turn           */
};

void sock_table_init(struct sock_table *t, unsigned max);
/* Close what is open and free all. */
void sock_table_release(struct loop *l, struct sock_table *t);
/* An event of the poller. In loop context. */
void sock_deliver(struct loop *l, const struct net_event *e);
/* The end of a turn: run due callbacks, recycle closed sockets. In loop context. */
void sock_end_turn(struct loop *l);
/* Is there something for sock_end_turn() that must not wait for an event? */
static inline bool sock_has_work(const struct sock_table *t)
{
    return t->pending != NULL;
}
/* A sock over a handle of the net seam that is not a stream (signals): it has events, but is read by its owner. Takes `h`, also
 * on failure. */
err_t sock_adopt(int h, struct sock **ret) MUST_CHECK;

#endif
