/*
 * cli.h - the commands of the command line. One file each; src/main.c dispatches.
 *
 * Every command takes its own arguments (argv[0] is its name) and returns an exit code. Answers go to stdout, everything else to stderr.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "rt/fiber.h"

#include <stdbool.h>

struct http_server;

enum exit_code {
    EXIT_OK = 0,
    EXIT_FAILED = 1, /* it was tried and did not work                  */
    EXIT_USAGE = 2,  /* the command line is wrong                      */
    EXIT_CONFIG = 3, /* a configuration or scenario file is invalid    */
};

struct command {
    const char *name;
    const char *summary; /* one line                                    */
    const char *help;    /* usage and options, many lines               */
    int (*run)(int argc, char **argv);
};

extern const struct command command_serve, command_sim, command_check, command_import, command_expr, command_schema,
    command_prices, command_key, command_version, command_why, command_fleet, command_facts, command_pipeline,
    command_validate, command_compat, command_map, command_dlq, command_gate, command_registry;

/* One option of a command: long name, does it take a value, what it is for. Values are given as "--name value" or "--name=value". */
struct option_value {
    const char *name;
    bool takes_value;
    const char *value; /* set by cli_parse(): the text, or "" for one without value; NULL: not given */
};

/*
 * Parse a command's arguments into `options` and up to `max_operands` operands. Prints the command's help on --help and says what is wrong
 * otherwise. Returns EXIT_OK with *ret_operands set, or -1 after --help, or EXIT_USAGE.
 */
int cli_parse(const struct command *c, int argc, char **argv, struct option_value *options, int count, int max_operands,
              int *ret_operands);

/* What every process that serves begins with, before it has threads: a hash key of its own, its signals, and as many open files as the
 * system allows. */
void cli_begin_serving(void);
/* Serve, in a fiber of that name (static), until SIGTERM or SIGINT comes, or nothing can be served. Suspends. Errors: those of signals_wait() and
 * http_server_run(). */
err_t cli_run_until_stopped(struct http_server *server, const char *name) SUSPENDS MUST_CHECK;

#endif
