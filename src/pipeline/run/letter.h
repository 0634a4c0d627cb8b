/*
 * letter.h - dead letters, on the engine's side: what one says of a record that could not be worked on, and what people decided about it.
 *
 * Private to pipeline/. What people do with letters is in letters.h.
 *
 * A letter is also a verdict: while it lies in the journal, its record is not tried again by whatever runs its root once more. A letter that is replayed
 * stays until its record has got through, so nothing is lost on the way. Decisions are kept as steps of the root, under names that no node can have.
 */
#ifndef PIPELINE_LETTER_H
#define PIPELINE_LETTER_H

#include "pipeline/run/run.h"

/* Names of the steps: these, and the record's id in hexadecimal. */
#define LETTER_EDIT "=edit/"
#define LETTER_DROP "=drop/"

/* In a journal that other processes have open, each root that is to be tried again is a STATE of this node, under its id in hexadecimal, until whoever has it
 * has begun it: its body is when it was put there, nanoseconds since 1970. */
#define LETTER_REPLAYS STR(".replays")

enum {
    LETTER_RECORD_MAX = JOURNAL_BODY_MAX - 512 * 1024
}; /* bytes of a record in a letter; a larger one is left out */

enum verdict_kind {
    VERDICT_NONE,    /* nobody has decided anything, but the record may be edited */
    VERDICT_DEAD,    /* its letter is there: it is not tried                       */
    VERDICT_AGAIN,   /* its letter is there, and it is to be tried again           */
    VERDICT_DROPPED, /* it is done with                                            */
};

struct verdict {
    struct journal_id id; /* of the record */
    enum verdict_kind kind;
    unsigned replays;
    bool is_edited;
    struct expr_value edited;
};

/* What a letter says: JSON. E_TOO_LARGE if the words alone do not fit. */
err_t letter_write(const struct record *rec, err_t cause, struct buf *to) MUST_CHECK;
/* Was it replayed since it was put there? */
bool letter_is_replayed(const struct journal_record *letter) PURE;
/* The name of a decision's step: `prefix` and the id. In the arena. */
struct str letter_step(struct arena *a, const char *prefix, const struct journal_id *id);

/* Read what the journal has of the root's letters and decisions, after its steps were recalled. */
err_t letter_recall(struct root *r) SUSPENDS MUST_CHECK;
/* What was decided about the record; NULL: nothing. */
const struct verdict *letter_verdict(const struct record *rec) PURE;
/* The record has got through: a letter of it that was replayed goes. */
void letter_settle(const struct record *rec);

#endif
