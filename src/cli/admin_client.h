/*
 * admin_client.h - asking a running server's admin endpoints: where it is, with which key, and what it answers.
 */
#ifndef CLI_ADMIN_CLIENT_H
#define CLI_ADMIN_CLIENT_H

#include "base/arena.h"
#include "base/buf.h"
#include "cli/cli.h"
#include "codec/json_tree.h"
#include "rt/fiber.h"

/* As given on the command line; NULL: not. */
struct admin_options {
    const char *url;      /* else $CROSSDOCK_ADMIN, else http://127.0.0.1:9901            */
    const char *key;      /* else $CROSSDOCK_ADMIN_KEY, else                              */
    const char *key_file; /* else the usual place (admin_key.h), for a server on this machine */
};

#define ADMIN_OPTIONS_HELP                                                                                             \
    "  --admin URL       the server's admin address (default: $CROSSDOCK_ADMIN, else http://127.0.0.1:9901)\n"         \
    "  --key KEY         its admin key (default: $CROSSDOCK_ADMIN_KEY, else the file that a server on this machine "   \
    "wrote)\n"                                                                                                         \
    "  --key-file FILE   read the key from there\n"

struct admin_client;

/* What a command does with the server. */
typedef err_t admin_ask_fn(void *ctx, struct admin_client *client) SUSPENDS;

/* A command that asks: run fn(ctx, client) in a fiber of a loop of its own. Its result is the command's; a failure is told on stderr and is
 * EXIT_FAILED. */
int admin_client_run(const struct command *c, const struct admin_options *o, admin_ask_fn *fn, void *ctx);
/* GET `path`. *ret_status; the body, at most 64 MiB, replaces what is in `ret`. E_FORBIDDEN, with what the server said: the key is not accepted.
 * Errors of http_call_open(), with the address. */
err_t admin_client_get(struct admin_client *client, struct str path, int *ret_status, struct buf *ret) SUSPENDS
MUST_CHECK;
/* What an answer that is an error says; `body` itself if it is none of ours. In `arena`. */
struct str admin_client_message(struct str body, struct arena *arena);

/* Ask with `method` and a body that is JSON (empty: none), and read what is answered, in the arena. E_NOT_FOUND, else E_UPSTREAM, with what the
 * server said; errors of admin_client_get(). */
err_t admin_client_read(struct admin_client *client, const char *method, struct str path, struct str body,
                        struct arena *arena, struct json_node *ret) SUSPENDS MUST_CHECK;

#endif
