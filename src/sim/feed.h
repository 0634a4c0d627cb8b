/*
 * feed.h - a streamed answer, event by event. Pure: who sends it, when, and what goes wrong on the way is play.h's business.
 *
 * Embedded as the first member of each endpoint's own struct.
 */
#ifndef SIM_FEED_H
#define SIM_FEED_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

struct sim_refusal;

struct sim_step {
    size_t tokens; /* output tokens that this event brings               */
    bool closing;  /* it belongs to the end of the answer: finish, usage */
};

struct sim_feed {
    /* Append the next event, framed. False, with nothing appended, if there is none. */
    bool (*next)(struct sim_feed *f, struct buf *to, struct sim_step *ret);
    /* Append the event that says in mid-stream that the answer has failed, in place of the one that next() gave last. */
    void (*give_up)(struct sim_feed *f, const struct sim_refusal *why, struct buf *to);
    /* Make the event at to->p[from..) invalid, within good framing. NULL: its last brace becomes a comma. */
    void (*spoil)(struct sim_feed *f, struct buf *to, size_t from);
    struct str type; /* content type; p == NULL: server-sent events */
};

#endif
