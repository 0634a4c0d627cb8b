/*
 * loss.h - what a translation could not carry over, named by its place in the client's document.
 *
 * A writer reports here whatever it leaves out, emulates or changes; nothing is lost in silence. The gateway lists it to the client
 * (x-crossdock-dropped, x-crossdock-emulated), counts it, or refuses the request if its model is strict.
 */
#ifndef LLM_LOSS_H
#define LLM_LOSS_H

#include "base/arena.h"
#include "base/buf.h"
#include "codec/json_tree.h"

enum loss_kind {
    LOSS_DROPPED,  /* the target cannot express it                                   */
    LOSS_EMULATED, /* done in another way, with the same result for the client       */
    LOSS_CHANGED,  /* expressed, but not quite: clamped to a range, rounded, merged  */
};

struct loss {
    struct loss *next;
    enum loss_kind kind;
    struct json_node from;
    const char *why; /* static: "no such field", "at most 1.0", ... */
};

enum { LOSSES_MAX = 64 };

struct losses {
    struct arena *arena;
    struct loss *first, *last;
    size_t count; /* may exceed LOSSES_MAX, which are kept */
    size_t dropped, emulated, changed;
};

void losses_init(struct losses *l, struct arena *arena);
/* Note one. `from` may be absent (the whole document). One place is noted once. */
void loss_note(struct losses *l, enum loss_kind kind, struct json_node from, const char *why);
#define loss_drop(l, from, why) loss_note((l), LOSS_DROPPED, (from), (why))
/* JSON pointers of all of a kind, comma-separated in the order noted, for a header: non-ASCII and commas percent-coded, cut with ",+" at
 * `max` bytes. In the arena; empty if there is none. */
struct str losses_list(const struct losses *l, enum loss_kind kind, size_t max);

#endif
