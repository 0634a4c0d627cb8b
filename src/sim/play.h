/*
 * play.h - sends answers the way a plan says: at its pace, and with its fault.
 *
 * All waiting and all misbehaviour of the simulated provider is here; what is sent comes ready from elsewhere.
 */
#ifndef SIM_PLAY_H
#define SIM_PLAY_H

#include "net/http_server.h"
#include "sim/chat_write.h"
#include "sim/feed.h"
#include "sim/limits.h"
#include "sim/plan.h"
#include "sim/refusal.h"
#include "sim/stats.h"

enum { SIM_HEAD_MAX = 32 };

struct sim_surface;

struct sim_play {
    struct http_request *r;
    const struct sim_surface *surface; /* says what errors and headers look like */
    const struct sim_plan *plan;
    struct sim_counts *counts;
    struct sim_capacity capacity; /* this worker's part of it */
    struct sim_load *load;        /* if it is bounded; NULL: it is not */
    uint64_t unique;              /* for the request id       */
    struct buf *room;             /* to build in; borrowed    */
    struct sim_limits *limits;    /* of the key at the model; NULL, as the next two: there are none */
    const struct sim_limit_rules *limit_rules;
    struct sim_spent *spent;
};

/*
 * Let happen what happens instead of an answer: an error, a reset, silence. *ret_over: the request has been dealt with.
 *
 * Call it before composing the answer. Suspends. E_CANCELLED when the client leaves.
 */
err_t sim_play_before(struct sim_play *p, bool *ret_over) SUSPENDS MUST_CHECK;
/* Send a whole answer when its last token is due. `type`: its content type. */
err_t sim_play_whole(struct sim_play *p, struct str type, struct str body, size_t tokens) SUSPENDS MUST_CHECK;
/* Send a stream of events, each when it is due. The feed says its content type. */
err_t sim_play_stream(struct sim_play *p, struct sim_feed *feed) SUSPENDS MUST_CHECK;
/* Send an error, in the surface's form. */
err_t sim_play_refusal(struct sim_play *p, const struct sim_refusal *why) SUSPENDS MUST_CHECK;
/* Send a body at once, whatever the plan says: for what is no model's answer. */
err_t sim_play_plain(struct sim_play *p, int status, struct str type, struct str body) SUSPENDS MUST_CHECK;

/* Headers of an answer; names and values are borrowed until it has been sent. */
struct sim_head {
    struct http_header headers[SIM_HEAD_MAX];
    size_t count;
    char id[SIM_ID_MAX]; /* room for a request id */
};

/* Add one. There must be room. */
void sim_head_add(struct sim_head *h, struct str name, struct str value);
/* Add a request id under this name: "<prefix><24 hex digits>". */
void sim_head_add_id(struct sim_head *h, struct str name, const char *prefix, uint64_t unique);
/* Add a span of time, if it is not 0, as a count of `unit`, rounded up. The text is in the arena. */
void sim_head_add_span(struct sim_head *h, struct arena *a, struct str name, ns_t span, ns_t unit);

#endif
