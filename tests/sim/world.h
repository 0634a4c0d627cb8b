/*
 * world.h - scenarios: production code in simulated worlds, one world per seed.
 *
 *     SCENARIO(echo_returns_what_was_sent)
 *     {
 *         TRY(world_serve(w, 80, serve_echo, NULL));
 *         struct outcome *o = world_clients(w, 20, NS_SEC, ask_echo, NULL);
 *         for (unsigned i = 0; i < 20; i++)
 *             EXPECT(o[i].result != OK || o[i].complete, "client %u was told OK too early", i);
 *         return OK;
 *     }
 *
 * The body runs as the first fiber of a loop over the world's seams. It fails by EXPECT or by returning an error. Whatever it says,
 * the world fails if its fibers deadlock, if it does not end within its limit of virtual time, or if a socket, a listener or a
 * file is open at the end. The first seeds of a run are run twice and must leave the same fingerprint.
 *
 * Every choice derives from the seed: `weather` (faults, latency, buffers) is drawn anew for each world, and each client has a
 * generator of its own, so that what one draws does not shift the others.
 */
#ifndef SIM_TEST_WORLD_H
#define SIM_TEST_WORLD_H

#include "base/attr.h"
#include "base/err.h"
#include "base/prng.h"
#include "base/time.h"
#include "rt/scope.h"
#include "rt/sim_world.h"
#include "rt/sock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct world;

enum weather {
    WEATHER_DRAWN, /* every fourth world is calm, the others have some faults, often or seldom */
    WEATHER_HARMLESS, /* what a correct program must not notice: short reads and writes, slow lines, stalls, spurious events */
    WEATHER_CALM, /* no fault */
};

struct scenario {
    const char *name;
    err_t (*run)(struct world *w);
    const char *file;
    int line;
    struct scenario *next; /* owned by the runner */
    /* The rest may be given to SCENARIO(). */
    enum weather weather;
    ns_t limit;    /* of virtual time; default an hour                   */
    unsigned thin; /* run only every thin-th world of a run; default all */
    /* Change what was drawn, before the world is made. */
    void (*prepare)(struct sim_options *o, struct prng *p);
    /* For tests/fault, which breaks things itself. */
    bool may_fail;       /* the body may return an error; what it left behind is judged all the same    */
    const char *victims; /* names of the fibers to cancel, separated by commas; default "client"        */
    const char *only;    /* sweep only what has this in its name                                        */
    const struct seams *(*wrap)(const struct seams *inner); /* what the loop gets instead of the world's seams */
    void (*begin)(void); /* called first thing in the loop                                              */
};

void scenario_register(struct scenario *s);

/* Define and register a scenario; members of struct scenario may follow: SCENARIO(name, .weather = WEATHER_CALM) { ... } */
#define SCENARIO(scenario_name, ...)                                                                                   \
    static err_t scenario_##scenario_name(struct world *w) SUSPENDS;                                                   \
    static struct scenario scenario_entry_##scenario_name = {                                                          \
        .name = #scenario_name, .run = scenario_##scenario_name, .file = __FILE__, .line = __LINE__, __VA_ARGS__};     \
    __attribute__((constructor)) static void scenario_register_##scenario_name(void)                                   \
    {                                                                                                                  \
        scenario_register(&scenario_entry_##scenario_name);                                                            \
    }                                                                                                                  \
    static err_t scenario_##scenario_name(struct world *w)

/* What became of one client, or of one request. */
struct outcome {
    ns_t began, ended;       /* virtual time; ended 0: it runs still                          */
    err_t result;            /* what its function returned                                    */
    char text[128];          /* err_detail() of that                                          */
    uint64_t sent, received; /* for the client's function to count in                    */
    bool complete;           /* for it to say that it got all that it should                  */
    int status;              /* for it to note what it was answered                           */
};

struct world {
    struct sim_world *sim;
    uint64_t seed;
    struct sim_options options; /* what the weather is: for oracles                      */
    struct prng prng;           /* for the scenario's own choices                        */
    struct scope *background;   /* servers live here; cancelled when the scenario returns */
    ns_t began;
    /* Private to the framework. */
    const struct scenario *scenario;
    err_t result; /* of the body */
    struct outcome_table *tables;
    struct handler *handlers;
    char failure[512];
    bool failed;
};

/* Note that the world failed, printf-like; the first note is kept. Returns false. */
bool world_fail(const char *file, int line, const char *fmt, ...) PRINTF_LIKE(3, 4);
#define EXPECT(cond, ...) ((cond) ? true : world_fail(__FILE__, __LINE__, __VA_ARGS__))
/* The world that runs now. */
struct world *world_now(void);
/* A line with the virtual time, shown with --verbose. */
void world_log(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Is the weather without any fault? Then nothing may fail. */
bool world_is_calm(const struct world *w);
/* May connections break or end early, names fail, connects be refused? If not, everything must succeed in the end. */
bool world_is_harmless(const struct world *w);

/* 127.0.0.1 and the port. */
struct addr world_addr(uint16_t port);

/* Serves one connection; `s` is closed for it when it returns. Errors are ignored: a server outlives its clients' deaths. */
typedef err_t serve_fn(struct sock *s, void *arg);
/* Listen on `port` from now on, in the background, with a fiber per connection. */
err_t world_serve(struct world *w, uint16_t port, serve_fn *fn, void *arg) MUST_CHECK;

struct client {
    struct world *world;
    unsigned index;
    struct prng prng;
    void *arg;
    struct outcome *outcome;
    ns_t start;
    err_t (*fn)(struct client *c);
};
typedef err_t client_fn(struct client *c);
/* Start `n` clients in `s`, each at a time drawn from the next `spread`. Their outcomes, n of them, belong to the world. */
struct outcome *world_start_clients(struct world *w, struct scope *s, unsigned n, ns_t spread, client_fn *fn,
                                    void *arg);
/* The same, in a scope of its own, and wait until they have all ended. */
struct outcome *world_clients(struct world *w, unsigned n, ns_t spread, client_fn *fn, void *arg) SUSPENDS;
/* How many of `n` outcomes have this result. */
unsigned world_count(const struct outcome *o, unsigned n, err_t result);

/* From now on, in the background, for `span`: reset all connections to `port` (0: all) or cut the network for a while, at drawn times. */
void world_meddle(struct world *w, uint16_t port, ns_t span);

/* Byte `at` of the endless stream number `stream`: for oracles over bytes. */
unsigned char world_byte(uint64_t stream, uint64_t at);
void world_bytes(uint64_t stream, uint64_t at, void *to, size_t n);
/* Index of the first of `n` bytes that is not what the stream has from `at` on; n if all are. */
size_t world_mismatch(uint64_t stream, uint64_t at, const void *bytes, size_t n);

/* ---- for main.c ---- */

/* What one world left. */
struct verdict {
    bool failed;
    char failure[512];
    struct sim_census census;
    uint64_t results[ERR_COUNT]; /* outcomes by result */
    ns_t lasted;                 /* virtual time       */
};
/* Run one world from its making to its end. */
void world_run(const struct scenario *s, uint64_t seed, bool verbose, struct verdict *ret) SUSPENDS_ROOT("runs a loop");

#endif
