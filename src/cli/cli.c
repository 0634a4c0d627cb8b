/* cli.c - what commands share: arguments, by the rules of getopt_long, with words for what is wrong; and how a process begins. */
#include "cli/cli.h"

#include "base/err.h"
#include "base/map.h"
#include "net/http_server.h"
#include "rt/loop.h"
#include "rt/process.h"
#include "rt/signals.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>

enum { MAX_OPTIONS = 16, HELP = 1000 };

static int usage(const struct command *c, const char *what, const char *arg)
{
    (void)fprintf(stderr, "crossdock %s: %s: %s\nTry 'crossdock %s --help'.\n", c->name, what, arg, c->name);
    return EXIT_USAGE;
}

int cli_parse(const struct command *c, int argc, char **argv, struct option_value *options, int count, int max_operands,
              int *ret_operands)
{
    struct option table[MAX_OPTIONS + 2] = {{0}};
    int which;

    if (count > MAX_OPTIONS)
        die("too many options");
    for (int i = 0; i < count; i++)
        table[i] = (struct option){options[i].name, options[i].takes_value ? required_argument : no_argument, NULL, i};
    table[count] = (struct option){"help", no_argument, NULL, HELP};
    opterr = 0;
    optind = 1;
    while ((which = getopt_long(argc, argv, ":h", table, NULL)) != -1) {
        if (which == HELP || which == 'h') {
            (void)fputs(c->help, stdout);
            return -1;
        }
        if (which == ':')
            return usage(c, "a value is missing", argv[optind - 1]);
        if (which == '?')
            return usage(c, "unknown option", argv[optind - 1]);
        options[which].value = optarg ? optarg : "";
    }
    if (argc - optind > max_operands)
        return usage(c, "unexpected argument", argv[optind + max_operands]);
    *ret_operands = argc - optind;
    for (int i = 0; i < *ret_operands; i++)
        argv[i + 1] = argv[optind + i];
    return EXIT_OK;
}

void cli_begin_serving(void)
{
    unsigned char key[16];

    rt_random_bytes(key, sizeof key);
    map_set_hash_key(key);
    signals_init();
    (void)process_raise_file_limit();
    process_keep_memory();
}

static SUSPENDS err_t serve(void *server)
{
    return http_server_run(server);
}

err_t cli_run_until_stopped(struct http_server *server, const char *name)
{
    SCOPE(all, NS_NEVER);
    int signo;

    scope_spawn(&all, name, serve, server);
    do
        TRY(signals_wait(&signo));
    while (signo != SIGTERM && signo != SIGINT);
    return OK;
}
