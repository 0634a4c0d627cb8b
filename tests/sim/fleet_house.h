/*
 * fleet_house.h - the gateway before a fleet of simulated deployments, and traffic that comes by chance: minutes of it in one world.
 *
 * Deployment i is "p<i>/m", a simulator of its own on a port of its own; how it behaves and when is its YAML (docs/simulator.md), and its port can be
 * shut for a while. Clients come as a Poisson process, ask for the model "chat", and check each text against what the deployment that answered
 * must say. What became of each is a struct visit, in the order of arrival.
 *
 * What holds in every scenario is checked here: each request ends within its time; nothing is under way at the end, at the gateway, in the live
 * state, or at a provider; no attempt goes unrecorded; and the log of attempts and decisions replays (replay.h).
 */
#ifndef SIM_TEST_FLEET_HOUSE_H
#define SIM_TEST_FLEET_HOUSE_H

#include "gateway/gateway.h"
#include "sim/replay.h"
#include "sim/world.h"

enum { FLEET_MAX = 10 };

/* Spans of the house's configuration; a plan may have others. */
#define FLEET_FIRST_BYTE (2 * NS_SEC)
#define FLEET_TOTAL (20 * NS_SEC)
#define FLEET_SLACK (3 * NS_SEC)
/* The simulated world's processor takes no time, so no time of a request is the gateway's. */
#define FLEET_OVERHEAD 0

/* One request of a client. */
struct visit {
    ns_t began, first, ended; /* since the doors opened; first: of the answer's text, 0: none */
    int status;               /* 0: none came                                                */
    int deployment;           /* that answered; -1: not told                                 */
    unsigned attempts;        /* as the gateway told it                                      */
    unsigned session;         /* from 1; 0: of none                                          */
    bool stream, leaves;
    bool whole;  /* the right text, to its end             */
    bool begun;  /* some of the text came                  */
    bool blamed; /* an error was told, in words            */
};

struct fleet;

struct fleet_plan {
    unsigned deployments;
    unsigned copies;                   /* further names of each: "p<i>x<k>/m", k from 0                    */
    const char *dialect;               /* of their providers; NULL: "openai"                               */
    const char *models;                /* YAML: the fields of the model "chat"                             */
    const char *top;                   /* YAML: further top-level sections; NULL: none                     */
    const char *timeouts;              /* YAML of `timeouts`; NULL: those above                           */
    const char *behaviour;             /* of each deployment's model in YAML, flow style: "{ ttft: 50ms }"   */
    const char *behaviours[FLEET_MAX]; /* of this one; NULL: as above                      */
    struct {
        ns_t from, to;
    } shut[FLEET_MAX];        /* nobody listens there, and who was connected is reset; from == to: never */
    bool alike;               /* they all say the same, so that one can go on with what another began */
    double rate;              /* clients a second                                       */
    ns_t span;                /* they come for so long                                  */
    unsigned burst;           /* and so many at the very beginning                      */
    unsigned plain, leaving;  /* of 1,000 clients: who want no stream; who leave before the end */
    bool claude;              /* clients speak Anthropic's Messages, not OpenAI's       */
    const char *burst_fields; /* JSON: of those at the very beginning, instead of `fields`; NULL: the same */
    const char *fields;       /* JSON: further ones of each request, ", ..."; NULL: none */
    unsigned sessions;        /* that requests belong to; 0: to none                   */
    ns_t longest;             /* that a request may take; 0: FLEET_TOTAL                */
    ns_t sample_every;        /* for `sample`                                           */
    void (*sample)(struct fleet *f);
    void (*check)(struct fleet *f);
};

struct fleet {
    struct world *world;
    const struct fleet_plan *plan;
    struct snapshot *snapshot;
    struct gateway *gateway;
    struct http_server *server;
    struct upstream *to_gateway;
    struct fleet_site {
        struct fleet *fleet;
        unsigned index;
        struct simulator *simulator;
        struct http_server *before, *after; /* it was shut */
    } sites[FLEET_MAX];
    ns_t opened;
    struct visit *visits;
    size_t count;
    unsigned recorded; /* requests whose facts came */
    unsigned beside;   /* records of shadows            */
    struct replay_log log;
    double peak; /* for the scenarios' samples */
    unsigned sampled;
};

/* A whole scenario. */
err_t fleet_run(struct world *w, const struct fleet_plan *plan) SUSPENDS MUST_CHECK;
/* Since the doors opened. */
ns_t fleet_now(const struct fleet *f);
/* How deployment i fares. */
void fleet_report(const struct fleet *f, unsigned i, struct live_report *ret);
/* Requests that came to deployment i so far, also those that it did not answer. */
uint64_t fleet_requests(const struct fleet *f, unsigned i);

/* Visits that began within [from, to), and of them those without a whole answer; who left of their own accord are no visits here. */
struct fleet_tally {
    unsigned visits, failed;
    ns_t p50, p99; /* of times to the first text of those that got any */
};
struct fleet_tally fleet_tally(const struct fleet *f, ns_t from, ns_t to);
/* Attempts that were sent within [from, to) to deployment i (-1: any), with that cause (-1: any). */
unsigned fleet_attempts(const struct fleet *f, ns_t from, ns_t to, int deployment, int cause);

/* World of a fleet: short lines without faults. For SCENARIO(.prepare). */
void fleet_lines(struct sim_options *o, struct prng *p);

#endif
