/* fleet.c - crossdock fleet: how the deployments of a running server fare, once or again and again. */
#include "cli/admin_client.h"
#include "cli/fleet_table.h"
#include "rt/loop.h"
#include "rt/process.h"

#include <stdio.h>

#define WATCH_EVERY (2 * NS_SEC)

enum { ANSWER_MAX = 64 * 1024 * 1024, ARENA_MAX = 512 * 1024 * 1024 };

struct view {
    bool wants_json, watches;
};

static SUSPENDS err_t show(const struct view *v, struct admin_client *client)
{
    struct arena arena CLEANUP(arena_release);
    struct buf answer CLEANUP(buf_release) = BUF_INIT(ANSWER_MAX), table CLEANUP(buf_release) = BUF_INIT(ANSWER_MAX);
    int status;

    arena_init(&arena, ARENA_MAX);
    TRY(admin_client_get(client, STR("/admin/fleet"), &status, &answer));
    if (status != 200)
        return fail(E_UPSTREAM, "%.*s", STR_ARG(admin_client_message(buf_str(&answer), &arena)));
    if (!v->wants_json)
        TRY(fleet_table(buf_str(&answer), &arena, &table));
    if (v->watches && process_is_terminal(1))
        (void)fputs("\033[H\033[J", stdout); /* from the top, on an empty screen */
    (void)printf("%.*s%s", STR_ARG(v->wants_json ? buf_str(&answer) : buf_str(&table)), v->wants_json ? "\n" : "");
    return fflush(stdout) == 0 ? OK : fail(E_IO, "the table cannot be written");
}

static SUSPENDS err_t show_once_or_more(void *ctx, struct admin_client *client)
{
    const struct view *v = ctx;

    TRY(show(v, client));
    while (v->watches) {
        TRY(fiber_sleep_until(rt_now() + WATCH_EVERY));
        TRY(show(v, client));
    }
    return OK;
}

static int run(int argc, char **argv)
{
    struct option_value options[] = {{"admin", true, NULL},
                                     {"key", true, NULL},
                                     {"key-file", true, NULL},
                                     {"json", false, NULL},
                                     {"watch", false, NULL}};
    int operands, e = cli_parse(&command_fleet, argc, argv, options, ARRAY_LEN(options), 0, &operands);

    if (e)
        return e < 0 ? EXIT_OK : e;
    struct admin_options o = {.url = options[0].value, .key = options[1].value, .key_file = options[2].value};
    struct view v = {.wants_json = options[3].value != NULL, .watches = options[4].value != NULL};
    return admin_client_run(&command_fleet, &o, show_once_or_more, &v);
}

const struct command command_fleet = {
    .name = "fleet",
    .summary = "show how the deployments fare",
    .help = "Usage: crossdock fleet [--watch] [--json] [--admin URL] [--key KEY | --key-file FILE]\n\n"
            "Asks the running server for its deployments: their state, why and for how long, requests and failures of "
            "the last "
            "seconds, what\n"
            "is in flight, times to first token and per token, and what will happen next.\n\n"
            "  --watch           again every two seconds\n"
            "  --json            all that is known, as JSON\n" ADMIN_OPTIONS_HELP,
    .run = run,
};
