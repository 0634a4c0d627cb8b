/*
 * anthropic.h - Claude's Messages API as the simulated provider serves it, on whichever host. Private to sim/.
 *
 * Anthropic's own service, Vertex AI and Bedrock take the same body but for the model and the version, and give the same answer
 * in other frames. So a surface says how a request came, has it read and answered here, and sends the answer.
 */
#ifndef SIM_ANTHROPIC_H
#define SIM_ANTHROPIC_H

#include "sim/answer.h"
#include "sim/turn.h"

/* How a request came. All zero: to Anthropic's own service. */
struct anthropic_host {
    /* That anthropic_version in the body must be: "vertex-2023-10-16", or 2026-10-21, which newer SDKs send to every host. p == NULL:
     * the header says it. */
    struct str version;
    struct str model; /* out of the path. p == NULL: the body names it                             */
    bool stream;      /* the path asks for a stream                                                */
    bool bars_stream; /* the body must not have `stream`                                           */
    bool counts;      /* tokens are to be counted, and nothing answered                            */
};

enum { CACHE_POINTS_MAX = 4, CACHE_LOOKBACK = 20 };

/* Where a prompt may be cut to be cached: the hash and the tokens of everything up to there. */
struct cache_cut {
    uint64_t hash;
    size_t tokens;
};

/* A block with cache_control, and the cuts that are looked for in the cache: its own and those before it, newest last. */
struct cache_point {
    struct cache_cut cuts[CACHE_LOOKBACK];
    size_t count;
    bool hour; /* lives for an hour, else for five minutes */
};

struct anthropic_request {
    struct question q;
    struct cache_point points[CACHE_POINTS_MAX];
    size_t point_count;
    bool newest;        /* version 2026-10-21                                  */
    bool thinks;        /* the answer begins with a thinking block             */
    bool hides;         /* ... whose text is left out                          */
    bool redacts;       /* ... which is redacted, because the question says so */
    bool declines;      /* the answer is a refusal, because the question says so */
    bool is_continuing; /* the last turn is the assistant's                    */
};

/* Read and check a request. `header_version`: of the header, STR_NONE if there is none. E_PARSE with *r filled. Borrows from arena and
 * body. */
err_t anthropic_read(struct arena *a, struct str body, const struct anthropic_host *host, struct str header_version,
                     struct anthropic_request *ret, struct sim_refusal *r) MUST_CHECK;

struct anthropic_usage {
    size_t input, cache_read, write_5m, write_1h, output, thinking;
};

struct anthropic_answer {
    const struct anthropic_request *request;
    const struct sim_choice *choice;
    struct anthropic_usage usage;
    struct str thoughts, signature; /* or `data` of a redacted block, in signature */
    struct str stop_reason;
    struct sim_mark mark;
};

/*
 * Read a request, let happen what happens instead of an answer, make the answer.
 *
 * ret_over    the request has been dealt with; else *ret_answer is set, in the turn's arena
 *
 * Suspends. E_PARSE with t->refusal filled.
 */
err_t anthropic_begin(struct sim_turn *t, struct str body, const struct anthropic_host *host,
                      const struct anthropic_answer **ret_answer, bool *ret_over) SUSPENDS MUST_CHECK;
/* Append the answer as one message. */
void anthropic_write(const struct anthropic_answer *m, struct buf *to);
/* A stream of its events, in the arena: one event at each step. `bare`: just the JSON, for frames of another kind. */
struct sim_feed *anthropic_feed(struct arena *a, const struct anthropic_answer *m, bool bare);
/* All of it, for hosts that speak HTTP and server-sent events: read the body, answer, send. Suspends. */
err_t anthropic_serve(struct sim_turn *t, const struct anthropic_host *host) SUSPENDS MUST_CHECK;

/* Append {"type":"error",...}. `request_id`: p == NULL: none, as in a stream. */
void anthropic_write_error(const struct sim_refusal *why, bool newest, struct str request_id, struct buf *to);

/* The versions that the header may name. */
#define ANTHROPIC_2023 STR("2023-06-01")
#define ANTHROPIC_2026 STR("2026-10-21")

#endif
