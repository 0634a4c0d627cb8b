/*
 * json_tree.h - a JSON document as a flat tree over its own text, for bodies that are translated.
 *
 * One pass checks the document and notes where each value begins and ends (16 bytes per value and per key). Nothing is converted:
 * numbers keep their text, objects their order, and any part can be copied out as it was written. Strings are decoded only when
 * asked for. For bodies that only pass through see json_scan.h; to build documents see llm/ and base/buf.h.
 *
 *     TRY(json_tree_parse(arena, body, &tree));
 *     JSON_EACH (w, json_node_get(json_tree_root(tree), STR("messages")))
 *         … w.value …
 *
 * Looking up what is not there gives an absent node, and every function takes one: chains of look-ups need no tests in between.
 */
#ifndef CODEC_JSON_TREE_H
#define CODEC_JSON_TREE_H

#include "base/arena.h"
#include "base/str.h"
#include "codec/json_scan.h"

#include <stdbool.h>
#include <stdint.h>

struct json_cell; /* private: one value or key */

struct json_tree {
    struct str text;               /* the document; borrowed, outlives the tree */
    const struct json_cell *cells; /* in the order of the text                  */
    uint32_t count;
};

/* A value in a tree, or none (tree == NULL). Passed by value; valid as long as the tree. */
struct json_node {
    const struct json_tree *tree;
    uint32_t cell;
};

#define JSON_ABSENT ((struct json_node){NULL, 0})

/*
 * Parse `text`: one whole document, valid by RFC 8259, strings in UTF-8; lone surrogates in escapes are accepted, since streams cut
 * between halves hold them. Nested at most JSON_DEPTH_MAX deep, shorter than 4 GiB.
 *
 * arena     takes the cells (about twice the text for a dense document)
 * ret_tree  in the arena; borrows `text`
 *
 * Errors: E_PARSE with line and column; E_TOO_LARGE (depth, length, arena).
 */
err_t json_tree_parse(struct arena *arena, struct str text, const struct json_tree **ret_tree) MUST_CHECK;
/* The document's value. */
struct json_node json_tree_root(const struct json_tree *tree);

static inline bool json_is_absent(struct json_node v)
{
    return !v.tree;
}

/* Kind of the value; JSON_NULL if it is absent. */
enum json_kind json_node_kind(struct json_node v) PURE;
/* Is it there, and not null? */
bool json_node_is_set(struct json_node v) PURE;
static inline bool json_node_is(struct json_node v, enum json_kind kind)
{
    return v.tree && json_node_kind(v) == kind;
}
/* Its text as written, strings with quotes; STR_NONE if absent. */
struct str json_node_raw(struct json_node v) PURE;
/* First member `key` of an object; absent if it is no object or has none. Costs a step per member. */
struct json_node json_node_get(struct json_node object, struct str key);
/* The last of that name instead, as parsers that build maps have it; *ret_seen, members that were looked at, counts them all. */
struct json_node json_node_get_last(struct json_node object, struct str key, uint32_t *ret_seen);
/* Element of an array from 0; absent if it is no array or shorter. Costs a step per element. */
struct json_node json_node_at(struct json_node array, size_t index);
/* Members of an object or elements of an array; 0 for anything else. */
size_t json_node_count(struct json_node v) PURE;

/*
 * A string's content: a slice of the document if nothing in it is escaped, else built in the arena. STR_NONE if it is no string. A surrogate
 * without its other half becomes its three bytes (WTF-8), which buf_add_json() writes as the escape again, so that halves that came in two
 * pieces are whole again when the pieces are joined.
 */
struct str json_node_text(struct json_node v, struct arena *arena);
/* The same of a member. */
struct str json_get_text(struct json_node object, struct str key, struct arena *arena);
/* Is it the string `text`? */
bool json_node_text_is(struct json_node v, struct str text) PURE;
/* A whole number, also written as 1.0 or 1e3; false if it is no number, is none, or is out of range. */
bool json_node_i64(struct json_node v, int64_t *ret_number);
/* A finite number. */
bool json_node_double(struct json_node v, double *ret_number);
/* true or false. */
bool json_node_bool(struct json_node v, bool *ret_truth);
/* A member that is true; false for everything else. */
bool json_get_true(struct json_node object, struct str key);

/* JSON pointer (RFC 6901) of a value in its document, "" for the whole; in the arena. Costs a walk from the root. */
struct str json_node_pointer(struct json_node v, struct arena *arena);

/* Walk an object's members or an array's elements, in order. Begin with json_walk(v). */
struct json_walk {
    struct json_node value; /* of this step                                               */
    struct json_node key;   /* its key as a string node; absent in arrays                 */
    /* private: */
    uint32_t next, end;
    bool object;
};
struct json_walk json_walk(struct json_node v);
/* One step; false at the end. */
bool json_walk_next(struct json_walk *w);
/* Is the key of this step that text? Escapes are understood. */
bool json_walk_key_is(const struct json_walk *w, struct str key) PURE;

#define JSON_EACH(w, v) for (struct json_walk w = json_walk(v); json_walk_next(&w);)

#endif
