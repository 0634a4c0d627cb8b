/*
 * server.h - the serving process: loops, listeners, configuration, logs. Private to cli/.
 *
 * One struct server for the process, one struct server_loop for each loop. What is written after start is written by loop 0's control fibers, or
 * by a visit on the loop that it belongs to.
 */
#ifndef CLI_SERVER_H
#define CLI_SERVER_H

#include "admin/admin.h"
#include "codec/digest.h"
#include "fleet/config_watch.h"
#include "gateway/gateway.h"
#include "net/http_server.h"
#include "observe/facts_ring.h"
#include "pipeline/run/shard.h"
#include "rt/loops.h"
#include "rt/writer.h"
#include "sim/scenario.h"
#include "store/segments.h"

enum { MAX_LISTENS = 16, MAX_SIMULATORS = 32, ADMIN_KEY_MAX = 64 };

struct server;
struct journal;
struct leases;
struct doors;
struct ears;
struct registry_http;
struct pipeline_models;
struct runner;
struct pipeline_set;

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
    struct runner *runner;                 /* of this loop's pipelines              */
    struct fiber *running;                 /* runs them; NULL before and after      */
    struct fiber *main;                    /* waits for `go`                        */
    enum { GO_WAIT, GO_SERVE, GO_END } go; /* loop 0's word: every loop listens, or one could not */
    struct simulator simulators[MAX_SIMULATORS];
    unsigned simulator_count;
    struct http_server *models_http; /* of pipelines that are models; NULL: there are none */
    struct addr models_at;
    struct pipeline_models *models;
    bool serves_models;
    struct scope *helpers;             /* fibers beside those that serve; NULL before and after */
    struct buf line;                   /* access log line being built           */
    struct buf records;                /* facts of a request, likewise          */
    struct pipeline_listener listener; /* what pipelines tell                */
    struct facts_ring *recent;         /* of this loop's latest; NULL: not kept */
    struct http_server *admin_http;    /* loop 0 serves the admin address alone; NULL: other loops, or none does */
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
    struct snapshot *first;        /* configuration at start                */
    struct live *live;             /* how deployments fare                  */
    struct registry_http *schemas; /* the schema registry; NULL: there is none */
    struct addr schemas_at;
    struct http_server *schemas_http;  /* loop 0's */
    struct blobs *kept;                /* what requests leave for later ones    */
    struct journal *journal;           /* of pipelines                         */
    struct leases *leases;             /* on their shards; NULL: nobody else has the journal */
    struct doors *doors;               /* where clients send to them           */
    struct ears *ears;                 /* where they hear what clients are answered */
    struct pipeline_set *pipelines;    /* those that run; loop 0's once it runs */
    char pipelines_key[ADMIN_KEY_MAX]; /* what our own gateways show at the door of pipelines that are models */
    struct scenario_file scenarios[MAX_SIMULATORS];
    unsigned scenario_count;
    struct sim_provider **simulated; /* of scenario i on loop k: [i * loop_count + k]; for adding up their counts */
    int64_t sim_seed;                /* of all simulators; < 0: their scenario's */
    struct writer *log_writer, *access_writer;
    struct segments *facts; /* the log of facts; NULL: there is none     */
    bool admin_listens;
    struct addr admin_at;         /* where, with the real port                 */
    bool key_is_made;             /* an operator's key of this run             */
    char made_key[ADMIN_KEY_MAX]; /* the key; wiped when it has been written   */
    unsigned char made_hash[SHA256_BYTES];
    char *key_path; /* the file that it was written to; NULL: none */
    bool access_console, access_colour, banner, banner_colour;
    ns_t started;
    bool draining, failed;                       /* atomic by __atomic                     */
    uint64_t reloads, reload_failures, revision; /* likewise                 */
    uint64_t facts_lost; /* likewise: requests whose facts were too many for records, or for the log */
};

/* --- server.c --- */

/* Free what a server holds besides logs. */
void server_release(struct server *s);
/* Serve until told to stop. Returns an exit code. */
int server_run(struct server *s);

/* --- reload.c --- */

/* Read configuration, pipelines that can run, and scenarios, the first time with the schema registry opened; what is wrong with them goes to *ret_report, the state of the files before they were read to *ret_watch, also
 * on failure; the caller lets it go. E_CONFIG. Blocks: before loops run, or on a worker. */
err_t server_load(struct server *s, struct snapshot **ret, struct pipeline_set **ret_pipelines, struct buf *ret_report,
                  struct config_watch **ret_watch) MUST_CHECK;
/* Fibers of loop 0: what signals ask for, and watching the files. */
err_t control_signals(void *loop) SUSPENDS;
err_t control_files(void *loop) SUSPENDS;

/* --- keep_facts.c: what becomes of a request's facts --- */

/* Open the log, if the configuration names a folder. E_IO, E_CONFIG. Blocks. */
err_t server_open_facts(struct server *s) MUST_CHECK;
/* The gateway_options.on_facts of a loop: the access log, the latest, the log on disk. */
void record_facts(void *loop, const struct facts *f);
/* Its gateway_options.on_beside: the log on disk, and of a request that has an id (a shadow's) the latest. */
void record_beside(void *loop, const struct attempt_facts *f);
/* What this loop's pipelines tell goes to the log on disk. NULL: there is none. Before they begin. */
const struct pipeline_listener *pipelines_listener(struct server_loop *sl);
/* This loop's part, before its gateway and after it. */
void open_recent(struct server_loop *sl);
void close_recent(struct server_loop *sl);
/* A visit: see admin.h. */
void find_recent(void *loop, void *recent);
/* Records that were lost so far. */
uint64_t server_facts_lost(const struct server *s);

/* --- serve_pipelines.c --- */

/* Open the journal. Blocks, as the other does. E_CONFIG, E_IO. */
err_t server_open_pipelines(struct server *s) MUST_CHECK;
void server_close_pipelines(struct server *s);
/* Of all pipelines of a configuration those that run by themselves, and can; the caller frees. */
struct pipeline_set *server_runnable(const struct pipeline_set *all);
/* Make the loop's runner, with what is to run at the start. */
void open_runner(struct server_loop *sl);
/* Loop 0: say so, if what pipelines must not forget is only in memory. */
void warn_about_forgetting(const struct server *s);
/* Before the configuration is read: the key by which pipelines that are models know their gateways. A port of loopback is everybody's on this machine. */
void pipelines_make_key(struct server *s);
/* The provider is asked with it. */
void pipelines_set_key(const struct server *s, struct provider *p);
/* The loop's server of pipelines that are models, which listens, if the configuration has such models and there is none yet. E_IO. */
err_t open_models(struct server_loop *sl, const struct catalog *c) MUST_CHECK;
void close_models(struct server_loop *sl);
/* Serve them, if they are open and the loop serves, as one of its helpers. */
void start_models(struct server_loop *sl);
/* Both, of a configuration that is new on a loop that serves; that they cannot is said in the log. */
void install_models(struct server_loop *sl, const struct catalog *c);
/* A fiber of each loop: until drained. */
err_t run_pipelines(void *loop) SUSPENDS;

/* --- serve_registry.c: the schema registry --- */

/* Open it, if the configuration has one; server_close_registry() closes it. Blocks: before loops run. E_CONFIG, E_IO. */
err_t server_open_registry(struct server *s, const struct catalog *c) MUST_CHECK;
void server_close_registry(struct server *s);
/* Loop 0: its server, and its address. */
void open_schemas(struct server *s);
err_t listen_schemas(struct server *s) MUST_CHECK;
/* A fiber of loop 0. */
err_t serve_schemas(void *server) SUSPENDS;

/* --- operators.c: the admin address --- */

/* Make the key of this run, if one is needed. */
void server_make_key(struct server *s);
/* Loop 0: listen at the admin address. An address that nobody asked for may be taken: then operators are not served, and the log says so. */
err_t open_admin(struct server_loop *sl) MUST_CHECK;
/* Loop 0, when all listen: write the key of this run. Where that cannot be, there is none. */
err_t publish_key(struct server_loop *sl) SUSPENDS MUST_CHECK;
/* At the end: take it away. Blocks. */
void withdraw_key(struct server *s);

/* --- banner.c --- */

/* Say where it listens, which models there are, and a curl line that works. */
void banner_print(const struct server *s);

#endif
