/* journal_file.h - opening the journal of pipelines, wherever it is; and commands that look into one whose pipelines do not run. Private to cli/. */
#ifndef CLI_JOURNAL_FILE_H
#define CLI_JOURNAL_FILE_H

#include "cli/cli.h"
#include "client/postgres.h"
#include "rt/fiber.h"
#include "store/journal.h"

#define JOURNAL_OPTION_HELP                                                                                            \
    "  --journal FILE    the journal, of pipelines that do not run, instead of asking a server: a file that no "       \
    "process "                                                                                                         \
    "has open, or a database\n"

/*
 * Open the journal at a place: postgres://[user[:password]@]host[:port]/database…, else the path of a file; NULL: in memory. Of the options, kind and place are set here.
 *
 * login  of a database: who we are to it; what is empty there is as the URL says. NULL: all is. Borrowed
 *
 * Blocks. Errors: journal_open()'s; E_CONFIG: the URL.
 */
err_t open_journal(const char *place, const struct postgres_options *login, struct journal_options options,
                   struct journal **ret) MUST_CHECK;

/* What a command does with it. */
typedef err_t journal_file_fn(void *ctx, struct journal *j) SUSPENDS;

/* Open the journal in that file, run fn(ctx, journal) in a fiber of a loop of its own, and close it. A failure is told on stderr. The exit code. */
int journal_file_run(const struct command *c, const char *path, journal_file_fn *fn, void *ctx);

#endif
