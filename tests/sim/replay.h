/*
 * replay.h - a fleet's log as an oracle: what was decided must follow from what was recorded.
 *
 * Attempts and decisions are those of observe/facts.h, copied when their request was over. Checks do so by EXPECT.
 */
#ifndef SIM_TEST_REPLAY_H
#define SIM_TEST_REPLAY_H

#include "base/arena.h"
#include "fleet/catalog.h"
#include "observe/facts.h"

struct replay_log {
    struct arena arena; /* of records, and of what they say */
    struct attempt_facts *attempts;
    struct decision_facts *decisions;
    size_t attempt_count, attempt_room, decision_count, decision_room;
    uint64_t left_out; /* decisions that are known to be missing */
};

void replay_log_init(struct replay_log *log);
void replay_log_release(struct replay_log *log);
/* Copy what a finished request has left, by way of its records. */
void replay_log_add(struct replay_log *log, const struct facts *f);
/* Does its record hold all that was read for it? Of no more than STRATEGY_SEEN_MAX candidates always. */
bool replay_is_whole(const struct decision_facts *f);
/* Does each decision's record by itself, given to its strategy again, give what was decided? Of those that are whole. */
void replay_check_records(const struct replay_log *log, const struct catalog *c);
/* The same for the whole log of one loop: folded anew in the order of its events, does it give the same readings and decisions? The log must be
 * complete: no request may be under way. */
void replay_check_log(const struct replay_log *log, const struct catalog *c);

#endif
