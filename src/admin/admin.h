/*
 * admin.h - the operator's endpoints.
 *
 *   /healthz, /readyz, /metrics     on every listener, in front of the gateway, without a key: what they tell is names of models and counts
 *   /admin/decisions/{request id}   the story of one request         at the admin address only, with an operator's key
 *   /admin/fleet                    how the deployments fare         likewise
 *   /admin/pipelines[/{name}]       how the pipelines fare           likewise
 *   /admin/pipelines/{name}/trace[/{id}], /admin/trace[/{id}]   what became of messages, of that pipeline or of all
 *   /admin/dlq…                     dead letters (letters.c)         likewise
 *   /admin/gates…                   records that wait for people (gates.c)
 */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include "gateway/snapshot.h"
#include "net/http_server.h"
#include "observe/metrics.h"
#include "rt/loops.h"

struct admin {
    struct loops *loops;     /* to visit for numbers                                          */
    visit_fn *collect;       /* on each loop: adds its numbers to the struct admin_sum `arg`  */
    visit_fn *recent;        /* on each loop: appends what it has to the struct admin_recent `arg` */
    visit_fn *pipelines;     /* on each loop: hands its runner and `arg` to admin_tell_pipelines()  */
    visit_fn *replays;       /* on each loop: hands its runner and `arg` to admin_replay()          */
    struct journal *journal; /* of pipelines                                                  */
    void (*process)(void *ctx, struct process_numbers *ret); /* numbers of the process as a whole      */
    const char *(*not_ready)(void *ctx); /* why no traffic should come; NULL: ready. Static text.      */
    /* The configuration in use on this loop. The rest is for the endpoints at the admin address. */
    const struct snapshot *(*snapshot)(void *ctx);
    const unsigned char *made_key; /* SHA-256 of the key that was made at the start; NULL: none was    */
    const char *facts_dir;         /* of the log on disk; NULL: there is none                          */
    void *ctx;
};

struct admin_sum {
    struct metrics *metrics;
    struct gauges gauges;
};

/* The records of one request (observe/facts_log.h) that loops still have in memory. */
struct admin_recent {
    struct str id;
    struct buf records;
};

struct journal;
struct runner;
/* Of the loop that is visited: add what its runner tells. */
void admin_tell_pipelines(const struct runner *r, void *survey);

/* Of the loop that is visited: its runner begins again what was replayed. */
void admin_replay(struct runner *r, void *replays);

/* Is this path everybody's? */
bool admin_wants(struct str path);
/* Answer it. */
err_t admin_handle(const struct admin *a, struct http_request *r) SUSPENDS MUST_CHECK;
/* Answer any path, at the admin address. */
err_t admin_handle_operator(const struct admin *a, struct http_request *r) SUSPENDS MUST_CHECK;

#endif
