/*
 * house.h - the whole gateway, two providers and clients in one simulated world: what scenarios of tests/sim and tests/fault share.
 *
 * Providers say a text that follows from the client's number (world_bytes() for files), so a client knows each byte of the right answer. How
 * they misbehave is drawn by `mood` or fixed. Every function that checks does so by EXPECT.
 */
#ifndef SIM_TEST_HOUSE_H
#define SIM_TEST_HOUSE_H

#include "codec/sse.h"
#include "gateway/gateway.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "sim/world.h"

enum { CLIENTS = 24, GATEWAY_PORT = 80, PROVIDER_PORT = 9000, PROVIDERS = 3, TOKENS_MAX = 60 };

/* Spans of the house's configuration. */
#define TOTAL (20 * NS_SEC)
#define CONNECT (10 * NS_SEC)       /* what a client allows itself                      */
#define HEAD (10 * NS_SEC)          /* what the gateway allows for the head of a request */
#define BODY (30 * NS_SEC)          /* and for a body that does not come               */
#define SLACK (3 * NS_SEC)          /* for the way to the gateway and back, stalls included */
#define LONGEST_STALL (10 * NS_SEC) /* of one segment: the last word of somebody who leaves may take so long */

/* What a provider does; GOOD, or drawn up to FULL. STALL: a stream stops in the middle, without a word. */
enum mood { GOOD, BUSY, HANG, BREAK_OFF, GARBAGE, FULL, STALL };

/* What happened at the providers to the request of one client. */
struct record {
    unsigned asked;     /* whole requests that came             */
    unsigned answered;  /* given a right answer                 */
    unsigned cancelled; /* the provider's handler was cancelled */
    ns_t cancelled_at;
    ns_t told_at;       /* the provider had said all            */
    bool wrong;         /* not what the client had sent         */
    uint64_t got, sent; /* bytes of files                       */
};

struct house {
    struct world *world;
    struct snapshot *snapshot;
    struct gateway *gateway;
    struct http_server *server, *providers[PROVIDERS];
    struct upstream *to_gateway;
    struct prng prng;      /* the providers' moods                 */
    unsigned mood;         /* per thousand: how often a provider misbehaves */
    enum mood fixed;       /* not GOOD: every provider is in this mood      */
    ns_t left_at[CLIENTS]; /* when a client left                            */
    struct record records[CLIENTS];
    unsigned facts_total;
    const struct outcome *lazy;    /* of the client that reads slowly; NULL: none */
    struct snapshot *installed[8]; /* configurations that came later; freed with the house */
};

struct question {
    unsigned id, tokens;
    bool stream, leaves;
};

/* The configuration, with provider b at `port_b`; the caller unrefs it. */
err_t house_snapshot(unsigned port_b, struct snapshot **ret) MUST_CHECK;
/* Build it: nobody listens yet. `mood`: how often per thousand a provider misbehaves. */
err_t house_open(struct house *h, struct world *w, unsigned mood) MUST_CHECK;
void house_close(struct house *h);
/* Serve in `s` from now on. */
err_t house_open_doors(struct house *h, struct scope *s) SUSPENDS MUST_CHECK;
/* A whole scenario: `clients` of them, starting within a second. */
struct house_plan {
    unsigned clients, mood;
    enum mood fixed;
    client_fn *fn;
    fiber_fn *beside;                                        /* runs meanwhile, with the house; NULL: nothing  */
    void (*check)(struct house *h, const struct outcome *o); /* besides what holds for all; NULL: nothing      */
};
err_t house_run(struct world *w, const struct house_plan *plan) SUSPENDS MUST_CHECK;
/* After all clients have ended: nothing may be under way any more. */
void house_check_quiet(struct house *h);

/* Is `text` the beginning of the right answer, and all of it if it must be whole? */
void house_check_text(struct client *c, const struct question *q, struct str text, bool whole);
/* The text in a whole plain answer, checked. */
err_t house_check_plain(struct client *c, const struct question *q, int status, struct str body) MUST_CHECK;

/* A stream as a client reads it, in any number of bites. */
struct reading {
    struct client *client;
    const struct question *question;
    struct sse framer;
    struct buf text;
    bool done, error;
};
void reading_begin(struct reading *rd, struct client *c, const struct question *q);
void reading_feed(struct reading *rd, struct str bytes);
/* `ended`: properly. OK only for a whole answer. */
err_t reading_end(struct reading *rd, bool ended) MUST_CHECK;

/* The JSON of a question. In the arena. */
struct str question_body(const struct question *q, struct str model, struct arena *arena);
/* Ask and read through to the end; the oracle is in here. */
err_t house_ask(struct client *c, const struct question *q, struct str model) SUSPENDS MUST_CHECK;
/* Open a call only. */
err_t house_open_call(struct client *c, const struct question *q, struct str model, struct arena *arena,
                      struct http_call **ret_call) SUSPENDS MUST_CHECK;
/* A connection of the client's own; the caller closes it. */
err_t house_dial(struct sock **ret) SUSPENDS MUST_CHECK;
/* Ask several questions at a time over one HTTP/2 connection; OK if all were answered whole. */
err_t house_ask_by_http2(struct client *c) SUSPENDS;
/* Upload `n` bytes in pieces of `piece`, each after `pause`; as chunks unless `sized`. */
struct upload_plan {
    uint64_t n;
    size_t piece;
    ns_t pause;
    bool sized;
};
err_t house_upload(struct client *c, const struct upload_plan *plan) SUSPENDS MUST_CHECK;
/* Download `n` bytes, with a pause after each piece. */
err_t house_download(struct client *c, uint64_t n, ns_t pause) SUSPENDS MUST_CHECK;

#endif
