/*
 * letters.h - dead letters, as people see them: listed, looked at, put right, tried again, given up.
 *
 * Works on a journal, from any fiber; a running shard need not know of it. What is replayed is begun again by the shard that has the root, the next time
 * that it takes up what the journal has, or at once, if it is told (runner_replay()).
 */
#ifndef PIPELINE_LETTERS_H
#define PIPELINE_LETTERS_H

#include "base/arena.h"
#include "codec/json_out.h"
#include "codec/json_tree.h"
#include "rt/fiber.h"
#include "store/journal.h"

enum { LETTER_ID_HEX = 32, LETTER_ID_SHORTEST = 4 };

/* A dead letter. Texts are in the arena that it was read into. */
struct dead_letter {
    struct journal_id id, root;
    char hex[LETTER_ID_HEX + 1];
    struct str pipeline, node, cause; /* cause: the name of an error code, by which letters are grouped */
    struct str error;                 /* in words */
    struct str source, key;           /* where its message came from; key: absent if it had none */
    struct str record;                /* JSON: what the node was given; absent if it was too large to keep */
    struct str edited;                /* JSON: what the node will be given instead; absent if nobody has edited it */
    struct str fingerprint, digest;   /* of the record, and of the pipeline's files then */
    uint64_t version;                 /* of the pipeline then */
    int64_t at, sent_at;              /* when it died, and when its message was sent: nanoseconds since 1970 */
    uint64_t replays;                 /* so far */
    bool is_replayed;                 /* it is to be tried again, or being so */
};

/* Which letters; what is absent, or empty, is not looked at. */
struct letter_filter {
    struct str pipeline, node, cause;
    int64_t before; /* died before; 0: whenever */
};

/*
 * A page of letters, oldest first, into the arena. *after: 0 for the first page; set to what the next one begins with, 0: that was all.
 *
 * Suspends. Errors: those of journal_read().
 */
err_t letters_page(struct journal *j, const struct letter_filter *filter, uint64_t *after, struct arena *arena,
                   struct dead_letter **ret, size_t *ret_count) SUSPENDS MUST_CHECK;
/* May an id of a letter, or of a root, begin so? E_PARSE says what it is to be. */
err_t letters_check_id(struct str id) MUST_CHECK;
/*
 * The letter whose id begins with these hexadecimal digits: LETTER_ID_SHORTEST of them at least.
 *
 * Suspends; fewer digits than all make it look through all letters. Errors: E_NOT_FOUND; E_PARSE: no such id is possible; E_CONFLICT: several begin so.
 */
err_t letters_find(struct journal *j, struct str id, struct arena *arena, struct dead_letter *ret) SUSPENDS MUST_CHECK;

/* How many died of what, and where. */
struct letter_group {
    struct str pipeline, node, cause;
    uint64_t count;
    int64_t first, last; /* when, nanoseconds since 1970 */
};
/* All groups, of one pipeline or (STR_NONE) of all; in the arena. Suspends. Errors: journal_read()'s. */
err_t letters_groups(struct journal *j, struct str pipeline, struct arena *arena, struct letter_group **ret,
                     size_t *ret_count) SUSPENDS MUST_CHECK;
/* As a JSON object, and back; texts are in the arena. */
void letter_group_put(const struct letter_group *g, struct json_out *o);
struct letter_group letter_group_take(struct json_node o, struct arena *arena);

/* Write the letter as a JSON object: all of struct dead_letter that is there. */
void letter_put(const struct dead_letter *l, struct json_out *o);

/* Read what letter_put() has written; texts are in the arena. E_PARSE: it is no such object. */
err_t letter_take(struct json_node o, struct arena *arena, struct dead_letter *ret) MUST_CHECK;

/* Have the node given this instead: `record` is JSON, at most LETTER_RECORD_MAX bytes. Suspends. E_PARSE, E_NOT_FOUND: its root is gone; journal_commit()'s. */
err_t letters_edit(struct journal *j, const struct dead_letter *l, struct str record) SUSPENDS MUST_CHECK;
/* Give it up: its record is done with, also if another letter of its root is replayed later. Suspends. */
err_t letters_drop(struct journal *j, const struct dead_letter *l) SUSPENDS MUST_CHECK;
/*
 * Try these again, one each `interval` from now on. What their roots' nodes have yielded is not asked for again, what sinks took is not sent again. They run in
 * the version of the pipeline that is there then.
 *
 * Suspends. *ret_count: of letters whose root is there, which are the ones that will be tried.
 */
err_t letters_replay(struct journal *j, const struct dead_letter *letters, size_t count, ns_t interval,
                     size_t *ret_count) SUSPENDS MUST_CHECK;
/*
 * Try these again, all at once, in the versions that took their roots in, which the journal keeps (version.h). Who runs the pipeline lets the present version
 * make room for as long, when it is told (runner_replay()) or sees it. Else likewise.
 *
 * Errors, before anything is done: E_NOT_FOUND: a version is not kept any more; E_CONFLICT: a root is under way, or about to be tried again.
 */
err_t letters_replay_original(struct journal *j, const struct dead_letter *letters, size_t count, size_t *ret_count)
    SUSPENDS MUST_CHECK;

/* Is any letter of the root to be tried again? Suspends. Errors: journal_read()'s. */
err_t letters_wait_for(struct journal *j, const struct journal_id *root, bool *ret) SUSPENDS MUST_CHECK;

/* What is kept of a letter's root: for who wants to know what a replay will not do again. */
struct letter_kept {
    uint64_t steps, effects; /* outputs that are recorded; records that sinks have taken */
};
/* Suspends. Errors: journal_read()'s. */
err_t letters_kept(struct journal *j, const struct dead_letter *l, struct letter_kept *ret) SUSPENDS MUST_CHECK;

#endif
