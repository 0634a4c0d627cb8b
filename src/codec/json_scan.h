/*
 * json_scan.h - look into a JSON document that passes through: is it valid, and where are its top-level members? Sans I/O.
 *
 * The scanner checks RFC 8259 syntax strictly while it finds the byte offsets of key and value of every member of the
 * top-level object, in one pass, over the whole document or over any pieces of it. It builds nothing. So a body can be
 * routed on its "model" and forwarded with that one value replaced (json_splice), all other bytes untouched.
 *
 *     struct str body = …;
 *     json_scan_init(&s, watch, n, 0, 0);
 *     while ((r = json_scan_next(&s, &in, &m)) == JSON_MEMBER)
 *         if (m.watch == 0) …m.value…
 *     if (r == JSON_MORE) feed the next piece, or r = json_scan_end(&s)
 */
#ifndef CODEC_JSON_SCAN_H
#define CODEC_JSON_SCAN_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    JSON_DEPTH_MAX = 256,         /* nested arrays and objects                                   */
    JSON_KEY_MAX = 256,           /* bytes of a key as written; longer ones have key_cut set     */
    JSON_SHORT_MAX = 64,          /* scalars up to this length are always given as text          */
    JSON_CAPTURE_MAX = 16 * 1024, /* default bound of the text of a watched value                */
    JSON_WATCH_MAX = 32,          /* watched keys                                                */
};

enum json_kind { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

enum json_scan_result {
    JSON_MORE,   /* all input was taken; feed more, or call json_scan_end()      */
    JSON_MEMBER, /* a member of the top-level object is complete                 */
    JSON_DONE,   /* from json_scan_end() only: one whole valid document was seen */
    JSON_ERROR,  /* s->error and s->error_at; every further call says so         */
};

enum {
    JSON_CHECK_UTF8 = 1, /* strings must be valid UTF-8                                                             */
    JSON_LONE_SURROGATES = 2, /* accept "\ud83d" without its other half, as the grammar does and many providers' streams
                               * do; without it they are refused, as most parsers do                                    */
    JSON_WATCHED_ONLY = 4,    /* report watched members only; `top.members` counts all */
};

/* A span of the document: bytes [from, to), counted from its first byte. */
struct json_span {
    uint64_t from, to;
};

struct json_member {
    struct str key;      /* without quotes and escapes; STR_NONE if key_cut. Valid until the next call.           */
    bool key_cut;        /* the key is longer than JSON_KEY_MAX as written                                        */
    uint64_t key_at;     /* offset of the key's opening quote                                                     */
    struct json_span at; /* the value, strings with their quotes                                                  */
    enum json_kind kind;
    int watch;        /* index of the watched key that this is; -1: none                                       */
    struct str value; /* the value's text if the key is watched and it is within the capture bound, or if it is a
                           * scalar of at most JSON_SHORT_MAX bytes; else STR_NONE. Valid until the next call, and as
                           * long as the input is.                                                                 */
};

/* What the scanner learned about the document as a whole; complete after JSON_DONE. */
struct json_top {
    enum json_kind kind;
    struct json_span at; /* the value without blanks around it                                    */
    uint64_t members;    /* of a top-level object                                                 */
};

struct json_scan {
    struct json_top top;
    const char *error; /* static text; NULL: none                            */
    uint64_t error_at; /* offset of the offending byte                       */
    uint64_t offset;   /* bytes taken so far                                 */
    /* ---- private ---- */
    const struct str *watch;
    size_t watch_n, capture_max;
    const char *feed;   /* the input of this call                              */
    uint8_t state, sub; /* see json_scan.c                                     */
    uint8_t literal, literal_at, hex_left, tail_left, tail_min, tail_max;
    uint16_t hex, depth;
    uint8_t flags;
    bool in_object; /* the innermost container is an object                */
    bool in_key, key_escaped;
    bool key_open;                      /* the key of a top-level member is being read         */
    bool member_open;                   /* … has been read, its value is not complete          */
    bool value_open;                    /* the value of a top-level member is being read       */
    bool capturing;                     /* and its text, from the start, is in `capture`       */
    bool complete;                      /* a member is to be reported                          */
    uint64_t nest[JSON_DEPTH_MAX / 64]; /* a bit per level: 1 is an object      */
    struct json_member member;          /* the one being read                   */
    struct buf capture;                 /* its value's text from earlier pieces */
    uint16_t key_n;                     /* bytes in key_text                    */
    char key_text[JSON_KEY_MAX];
};

/*
 * Prepare for a document. `watch`: keys whose values' text is wanted, borrowed, at most JSON_WATCH_MAX of at most 42 bytes
 * each (so that no spelling of them passes JSON_KEY_MAX). `capture_max`: 0 is JSON_CAPTURE_MAX. `flags`: JSON_CHECK_UTF8 and so on.
 */
void json_scan_init(struct json_scan *s, const struct str *watch, size_t watch_n, size_t capture_max, unsigned flags);
/* Free what capturing across pieces allocated (nothing when the document came in one piece). Fit for CLEANUP. */
void json_scan_release(struct json_scan *s);
/* Take bytes from the front of *in until a member is complete. Every way of cutting gives the same results. */
enum json_scan_result json_scan_next(struct json_scan *s, struct str *in, struct json_member *ret_member);
/* The document has ended: JSON_DONE, or JSON_ERROR if it is not whole. */
enum json_scan_result json_scan_end(struct json_scan *s);
/* fail() with E_PARSE (E_TOO_LARGE for nesting), the text naming the offset; line and column too if `doc`, the document from
 * its first byte, is at hand (else STR_NONE). After JSON_ERROR. */
err_t json_scan_fail(const struct json_scan *s, struct str doc);
/* Line and column (both from 1, columns in bytes) of an offset. */
void json_line_column(struct str doc, uint64_t offset, size_t *ret_line, size_t *ret_column);

/* Is the whole of `doc` one valid document? As json_scan_next() and json_scan_end() with these flags. */
bool json_valid(struct str doc, unsigned flags);

/* --- values as text: all take the value's text as found by the scanner or json_find() --- */

static inline struct str json_span_str(struct str doc, struct json_span at)
{
    return str_slice(doc, (size_t)at.from, (size_t)at.to);
}

/* Kind of the value that starts with this text; JSON_NULL for anything else that is no value. */
enum json_kind json_kind_of(struct str value) PURE;
/* A string's content as UTF-8: a slice of `value` if it has no escapes, else built in `arena`. A surrogate without its other
 * half becomes U+FFFD. E_PARSE if `value` is not one JSON string. */
err_t json_string_value(struct str value, struct arena *arena, struct str *ret_text) MUST_CHECK;
/* Is `value` the string `text`? Escapes are understood. */
bool json_string_is(struct str value, struct str text) PURE;
/* The number in `value`; false if it is not a number of that type (a fraction, an exponent, out of range). */
bool json_to_i64(struct str value, int64_t *ret_number) MUST_CHECK;
bool json_to_u64(struct str value, uint64_t *ret_number) MUST_CHECK;
/* Any JSON number; false if there is none or it is not finite as a double. */
bool json_to_double(struct str value, double *ret_number) MUST_CHECK;
/* true or false; false as result if it is neither. */
bool json_to_bool(struct str value, bool *ret_truth) MUST_CHECK;
/* Value of the first member called `key` in the object `value`; STR_NONE if there is none or `value` is no valid object up to
 * there. Costs a scan of what is before it. */
struct str json_find(struct str value, struct str key);
/* The same down a path: json_find_path(usage, "prompt_tokens_details", "cached_tokens", NULL). */
struct str json_find_path(struct str value, const char *key, ...) __attribute__((sentinel));
/* Index behind the string whose opening quote is at `at`; s.n if it does not end. */
size_t json_string_end(struct str s, size_t at) PURE;
/* Walk the members of an object that is known to be valid, much faster than json_find(): *at starts at 0; false at the end. The key is
 * what stands between its quotes, escapes as written; the value is its text. */
bool json_next_member(struct str object, size_t *at, struct str *ret_key, struct str *ret_value);
/* The same without going over values twice where they are objects themselves: *at starts at the '{' of an object somewhere in a valid `text`. True: *at
 * is at the value of the key, for json_take_value(), or for this function again. False: the object has ended, *at is behind it. */
bool json_next_key(struct str text, size_t *at, struct str *ret_key);
/* The value at *at, behind which *at moves. */
struct str json_take_value(struct str text, size_t *at);
/* Walk the strings of a value, keys and all, however deep: w->at starts at the value within a valid `text`, and is behind it when there are no more. *ret_text
 * is what stands between the quotes. */
struct json_strings {
    size_t at;
    size_t depth; /* private; starts at 0 */
};
bool json_next_string(struct str text, struct json_strings *w, struct str *ret_text, bool *ret_is_key);
/* Walk the elements of an array: *at starts at 0; the next element's text, or STR_NONE at the end. For valid arrays. */
struct str json_next_element(struct str array, size_t *at);

/* --- changing a document without parsing it into a tree --- */

enum json_edit_kind {
    JSON_REPLACE,      /* put `value` where the member's value was                          */
    JSON_DELETE,       /* take the member out, with the comma that it no longer needs       */
    JSON_INSERT_FIRST, /* put "key": value in front of the first member                     */
    JSON_INSERT_LAST,  /* put "key": value behind the last member                           */
};

struct json_edit {
    enum json_edit_kind kind;
    uint64_t key_at;     /* JSON_REPLACE, JSON_DELETE: from the json_member                  */
    struct json_span at; /* likewise                                                         */
    struct str key;      /* JSON_INSERT_*: plain text, escaped when written                  */
    struct str value;    /* JSON text, written as it is; borrowed until the result is used   */
};

enum { JSON_EDIT_MAX = 32 };

/*
 * Apply edits to a document whose top level is an object, as pieces to be written one after the other: slices of `doc` and
 * of the new values, so that a large document is not copied. Each member is edited at most once; edits may be in any order,
 * and insertions at the same end keep theirs. All bytes outside the edits stay as they are.
 *
 * doc, top   the document from its first byte, and what the scanner said about it
 * ret_parts  in `arena`; its strings borrow from doc, edits and arena
 *
 * Errors: E_TOO_LARGE (more than JSON_EDIT_MAX edits), E_PARSE (top is no object, or edits overlap or lie outside it).
 */
err_t json_splice_parts(struct str doc, const struct json_top *top, const struct json_edit *edits, size_t n,
                        struct arena *arena, struct str **ret_parts, size_t *ret_count) MUST_CHECK;
/* The same, appended to a buf. */
err_t json_splice(struct buf *b, struct str doc, const struct json_top *top, const struct json_edit *edits, size_t n)
    MUST_CHECK;

#endif
