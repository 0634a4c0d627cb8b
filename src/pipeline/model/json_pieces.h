/* json_pieces.h - the elements of an array in a JSON document, each as soon as it is complete. Pure. */
#ifndef PIPELINE_JSON_PIECES_H
#define PIPELINE_JSON_PIECES_H

#include "base/arena.h"
#include "base/attr.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum { JSON_PIECES_DEPTH_MAX = 256 };

struct json_pieces {
    const struct str *names; /* of the members that lead to the array, from the outside in */
    size_t name_count;
    /* Private. */
    size_t at;          /* bytes that were looked at                                        */
    size_t depth;       /* arrays and objects that are open                                 */
    size_t on_way;      /* of these, from the outside in: that lead to the array, or are it */
    size_t begun;       /* where the element, or the key, began                             */
    bool is_in_element; /* one has begun and has not ended                                  */
    bool is_in_string, is_escaped, is_in_key;
    bool is_key_due; /* the next string is a key                                            */
    bool is_named;   /* what follows is the member that leads on                            */
    bool is_over;    /* nothing more will come                                              */
    uint64_t arrays[JSON_PIECES_DEPTH_MAX / 64]; /* which of those that are open are arrays */
};

/* The names of a path of plain members, `.a.b` or `.`, in the arena, whose texts are borrowed. False: it says more than that. */
bool json_pieces_path(struct str path, struct arena *arena, const struct str **ret_names, size_t *ret_count) MUST_CHECK;
/*
 * The next element that is complete, as it is written; false: none is yet. `text` is the document from its beginning, as far as it has come: it may lie
 * elsewhere each time.
 *
 * What is no JSON yields elements that are none, or nothing: whoever parses the whole document finds out. A member that stands there twice counts the first time.
 */
bool json_pieces_next(struct json_pieces *p, struct str text, struct str *ret_element) MUST_CHECK;

#endif
