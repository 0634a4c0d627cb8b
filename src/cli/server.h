/*
 * server.h - the serving process: loops, listeners, configuration, logs. Private to cli/.
 *
 * One struct server for the process, one struct server_loop for each loop. What is written after start is written by loop 0's control fibers, or
 * by a visit on the loop that it belongs to.
 */
#ifndef CLI_SERVER_H
#define CLI_SERVER_H

#include "admin/admin.h"
#include "fleet/config_watch.h"
#include "gateway/gateway.h"
#include "net/http_server.h"
#include "rt/loops.h"
#include "rt/writer.h"
#include "sim/scenario.h"

enum { MAX_LISTENS = 16, MAX_SIMULATORS = 32 };

struct server;

/* A simulated provider's server on one loop: requests of a loop stay on it. */
struct simulator {
    struct str scenario_path; /* which one; empty: the built-in        */
    struct sim_provider *provider;
    struct http_server *http;
    struct addr at;
};

struct server_loop {
    struct server *server;
    unsigned index;
    struct gateway *gateway;
    struct http_server *http;
    struct admin admin;
    struct fiber *serving;                 /* runs http; NULL before and after      */
    struct fiber *main;                    /* waits for `go`                        */
    enum { GO_WAIT, GO_SERVE, GO_END } go; /* loop 0's word: every loop listens, or one could not */
    struct simulator simulators[MAX_SIMULATORS];
    unsigned simulator_count;
    struct buf line; /* access log line being built           */
};

struct scenario_file {
    struct str path; /* empty: built-in; owned                */
    struct scenario *scenario;
};

struct server {
    const char *config_path;
    struct config_watch *watch;       /* of the files as they were last read; loop 0's once it runs */
    struct addr listens[MAX_LISTENS]; /* where it listens, with real ports   */
    bool listen_tls[MAX_LISTENS];
    size_t listen_count;
    unsigned loop_count;
    struct server_loop *loops;
    struct loops *group;
    struct snapshot *first; /* configuration at start                */
    struct live *live;      /* how deployments fare                  */
    struct blobs *kept;     /* what requests leave for later ones    */
    struct scenario_file scenarios[MAX_SIMULATORS];
    unsigned scenario_count;
    struct sim_provider **simulated; /* of scenario i on loop k: [i * loop_count + k]; for adding up their counts */
    int64_t sim_seed;                /* of all simulators; < 0: their scenario's */
    struct writer *log_writer, *access_writer;
    bool access_console, access_colour, banner, banner_colour;
    ns_t started;
    bool draining, failed;                       /* atomic by __atomic                     */
    uint64_t reloads, reload_failures, revision; /* likewise                 */
};

/* --- server.c --- */

/* Free what a server holds besides logs. */
void server_release(struct server *s);
/* Serve until told to stop. Returns an exit code. */
int server_run(struct server *s);

/* --- reload.c --- */

/* Read configuration and scenarios; what is wrong with them goes to *ret_report, the state of the files before they were read to *ret_watch, also
 * on failure; the caller lets it go. E_CONFIG. Blocks: before loops run, or on a worker. */
err_t server_load(struct server *s, struct snapshot **ret, struct buf *ret_report, struct config_watch **ret_watch)
    MUST_CHECK;
/* Fibers of loop 0: what signals ask for, and watching the files. */
err_t control_signals(void *loop) SUSPENDS;
err_t control_files(void *loop) SUSPENDS;

/* --- banner.c --- */

/* Say where it listens, which models there are, and a curl line that works. */
void banner_print(const struct server *s);

#endif
