/*
 * letters_place.h - where dead letters are that a command works on: in the journal of pipelines that do not run, or with a server that does. Private to cli/.
 *
 * All functions suspend. What they return is in the arena; errors are those of pipeline/run/letters.h, and of asking a server.
 */
#ifndef CLI_LETTERS_PLACE_H
#define CLI_LETTERS_PLACE_H

#include "cli/admin_client.h"
#include "pipeline/run/letters.h"

struct letters_place {
    err_t (*page)(void *ctx, const struct letter_filter *filter, uint64_t *after, struct arena *arena,
                  struct dead_letter **ret, size_t *ret_count) SUSPENDS;
    err_t (*groups)(void *ctx, struct str pipeline, struct arena *arena, struct letter_group **ret, size_t *ret_count)
        SUSPENDS;
    err_t (*find)(void *ctx, struct str id, struct arena *arena, struct dead_letter *ret) SUSPENDS;
    err_t (*kept)(void *ctx, const struct dead_letter *l, struct letter_kept *ret) SUSPENDS;
    err_t (*edit)(void *ctx, const struct dead_letter *l, struct str record) SUSPENDS;
    err_t (*drop)(void *ctx, const struct dead_letter *letters, size_t count) SUSPENDS;
    /* So many a second. */
    err_t (*replay)(void *ctx, const struct dead_letter *letters, size_t count, uint64_t rate, size_t *ret_count)
        SUSPENDS;
    /* All at once, in the versions that took them in. */
    err_t (*replay_original)(void *ctx, const struct dead_letter *letters, size_t count, size_t *ret_count) SUSPENDS;
    const char *when; /* what is replayed is tried again */
    void *ctx;
};

/* letters_journal.c: the journal, which outlives the place. */
struct letters_place letters_in_journal(struct journal *j);
/* letters_server.c: the server, likewise. */
struct letters_place letters_at_server(struct admin_client *client);

#endif
