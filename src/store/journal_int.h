/* journal_int.h - what kinds of journal implement, and what they share. Private to store/journal.c and store/journal/. */
#ifndef STORE_JOURNAL_INT_H
#define STORE_JOURNAL_INT_H

#include "store/journal.h"

/* A kind of journal; found by the build (store/journal/<name>.c). Operations come with their limits checked and the hashes of large bodies set. */
struct journal_kind {
    const char *name;
    bool is_shared;                                                             /* other processes may have it open */
    err_t (*open)(const struct journal_options *options, struct journal **ret); /* blocks */
    void (*close)(struct journal *j);                                           /* blocks */
    err_t (*commit)(struct journal *j, struct journal_op *ops, size_t n, enum journal_durability durability) SUSPENDS;
    err_t (*read)(struct journal *j, const struct journal_query *query, struct arena *arena, struct journal_page *ret)
        SUSPENDS;
    err_t (*blob)(struct journal *j, const unsigned char *sha256, struct arena *arena, struct str *ret) SUSPENDS;
};

extern const struct journal_kind *const journal_kind_catalog[];
extern const size_t journal_kind_catalog_count;

/* What every journal begins with. */
struct journal {
    const struct journal_kind *kind;
    struct journal *under; /* of a way to another journal: that one; NULL: it is one itself */
    _Atomic uint64_t failures, decisions;
    struct histogram took; /* counted by several threads */
};
/* Of those: what all ways to one journal have in common. */
static inline const struct journal *journal_itself(const struct journal *j)
{
    return j->under ? j->under : j;
}

/*
 * A way to the journal on which each commit has a FENCE of that place and epoch in front of its operations. Names are copied. journal_close() frees it, and leaves the
 * journal as it is.
 */
struct journal *journal_fenced(struct journal *j, struct str pipeline, struct str source, uint32_t partition,
                               uint64_t epoch);

/* Operations with all they point to, in one block of memory. */
struct journal_copy {
    size_t n, bytes; /* bytes: of texts and bodies */
    struct journal_op ops[];
};
/* The caller frees with mem_free(). */
struct journal_copy *journal_copy_ops(const struct journal_op *ops, size_t n);
/* The record and what it points to, into the arena. E_TOO_LARGE. */
err_t journal_copy_record(struct arena *a, const struct journal_record *r, struct journal_record *ret) MUST_CHECK;
/* Likewise a page with its records, and a blob's bytes. */
err_t journal_copy_page(struct arena *a, const struct journal_page *page, struct journal_page *ret) MUST_CHECK;
err_t journal_copy_bytes(struct arena *a, struct str bytes, struct str *ret) MUST_CHECK;
/* What came of the operations of a copy, into those that it was made of. */
void journal_copy_outcomes(const struct journal_copy *copy, struct journal_op *ops);
/* An asynchronous commit failed for good, for the reason in the current error record. */
void journal_note_failure(struct journal *j, err_t e);
/* A page is gathered: one more row with a body of `bytes`? */
bool journal_page_has_room(const struct journal_page *page, const struct journal_query *query, size_t *used,
                           size_t bytes);

static inline struct str journal_id_str(const struct journal_id *id)
{
    return str_of((const char *)id->b, sizeof id->b);
}

#endif
