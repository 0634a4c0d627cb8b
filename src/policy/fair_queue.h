/*
 * fair_queue.h - whose request is next when not all can be sent: deficit round robin by tokens. Pure.
 *
 * Requests wait in flows, one per tenant. Flows share what is served in proportion to their weights, counted in tokens, and
 * what one does not use the others have. Within that there are a few levels of priority. Entries and flows are members of
 * the caller's structs; the queue allocates nothing. All times are the caller's.
 */
#ifndef POLICY_FAIR_QUEUE_H
#define POLICY_FAIR_QUEUE_H

#include "base/list.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

enum { FAIR_LEVELS = 3 }; /* 0 is the most urgent */
/* More tokens than that count as so many, for one request: no model reads or writes more. */
enum { FAIR_TOKENS_MAX = 1 << 22 };

struct fair_rules {
    uint64_t quantum;     /* tokens that a flow of weight 1 may send in a turn; about those of a usual request; > 0 */
    unsigned entries;     /* that may wait, all flows together                                                  */
    unsigned per_flow;    /* of one flow                                                                        */
    unsigned lower_share; /* of 1,000 tokens, how many go to less urgent levels while more urgent ones wait   */
};

/* 2,000 tokens, 10,000 entries, 1,000 of a flow, a twentieth for what is not urgent. */
extern const struct fair_rules fair_rules_usual;

/* A request that waits. Zeroed but for what the caller sets. */
struct fair_entry {
    uint64_t tokens; /* set by the caller: what it will take, estimated; at least 1 is counted   */
    unsigned level;  /* set by the caller                                                        */
    ns_t start_by;   /* set by the caller: of no use later; NS_NEVER: always                     */
    ns_t queued;     /* when                                                                     */
    struct fair_flow *flow_;
    struct list node_;
};

/* A tenant. Zeroed but for its weight. Is not moved or freed while it has entries. */
struct fair_flow {
    unsigned weight; /* set by the caller; > 0 */
    unsigned waiting;
    struct fair_lane {
        struct list entries_; /* oldest first                          */
        struct list node_;    /* in the level's ring, if any wait      */
        int64_t deficit_;     /* tokens that it may send; < 0: it is in advance */
        uint64_t tokens;      /* that wait */
    } lanes[FAIR_LEVELS];
    bool begun_;
};

struct fair_queue {
    unsigned waiting;
    struct fair_level {
        struct list ring_; /* lanes that have entries; the first is whose turn it is */
        uint64_t tokens;   /* that wait                                              */
        uint64_t weight_;  /* of the lanes in the ring                               */
        uint64_t owed_;    /* thousandths of tokens that more urgent levels owe it   */
    } levels[FAIR_LEVELS];
    double rate; /* tokens per nanosecond that are served; 0: not known */
    ns_t rated_;
    uint64_t served_; /* tokens since rated_ */
};

enum fair_verdict {
    FAIR_QUEUED,
    FAIR_FULL,      /* of all flows        */
    FAIR_FLOW_FULL, /* of this one         */
    FAIR_TOO_LATE,  /* its turn would come after `start_by` */
};

void fair_queue_init(struct fair_queue *q, ns_t now);
/* How long a new entry would wait until its turn, at the rate of late; 0 if that is not known. */
ns_t fair_queue_wait(const struct fair_queue *q, const struct fair_flow *flow, unsigned level);
/* Let it wait. The queue keeps entry and flow until the entry is popped or removed; not if it is refused. */
enum fair_verdict fair_queue_push(struct fair_queue *q, const struct fair_rules *rules, struct fair_flow *flow,
                                  struct fair_entry *entry, ns_t now);
/*
 * Take out whose turn it is; NULL: nobody waits. Amortised O(1) if the quantum is about as large as a request. *ret_late:
 * its start_by has passed, refuse it; its tokens are not counted.
 */
struct fair_entry *fair_queue_pop(struct fair_queue *q, const struct fair_rules *rules, ns_t now, bool *ret_late);
/* Take out an entry that gave up. Nothing if it does not wait. */
void fair_queue_remove(struct fair_queue *q, struct fair_entry *entry);
/* A request of the flow that was popped took `actual` tokens, not `estimated`: settle the difference. */
void fair_queue_settle(struct fair_flow *flow, unsigned level, uint64_t estimated, uint64_t actual);

#endif
