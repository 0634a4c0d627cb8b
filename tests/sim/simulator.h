/*
 * simulator.h - the simulated provider (src/sim) in a scenario's world, and what it would say: the truth that answers are held against.
 *
 * Apart from the rest because a world's scenarios and the provider's are both called struct scenario.
 */
#ifndef SIM_TEST_SIMULATOR_H
#define SIM_TEST_SIMULATOR_H

#include "base/arena.h"
#include "base/time.h"
#include "net/http_server.h"

#include <stddef.h>
#include <stdint.h>

struct simulator;

/* `behaviours`: YAML, as crossdock sim takes it. The caller frees it with simulator_free(). */
err_t simulator_new(struct str behaviours, uint64_t seed, struct simulator **ret) MUST_CHECK;
/* Takes NULL. No request may be running. */
void simulator_free(struct simulator *s);
/* An http_handler_fn; ctx is the simulator. */
err_t simulator_handle(struct http_request *r, void *ctx) SUSPENDS;

/* What happened so far. */
struct simulator_tally {
    uint64_t requests, running, refused, completed;
    unsigned cancelled;
    ns_t cancelled_at; /* the last time */
};
struct simulator_tally simulator_tally(const struct simulator *s);

/* A message of a conversation. */
struct said {
    const char *role;
    struct str text;
};

/* What `model` answers to this conversation as its choice number `choice` of `choices`. `with_thoughts`: in the dialect
 * each message says what was thought, if only that it was nothing (Ollama). In the arena. */
err_t simulator_truth(const struct simulator *s, struct str model, const struct said *said, size_t count,
                      bool with_thoughts, unsigned choices, unsigned choice, struct arena *arena, struct str *ret)
    MUST_CHECK;
/* The vector of `text`, as a JSON array of `dimensions` numbers. Only Gemini's depend on the model; empty: another's. Appends to `to`. */
void simulator_vector(const struct simulator *s, struct str model, struct str text, size_t dimensions, struct buf *to);

#endif
