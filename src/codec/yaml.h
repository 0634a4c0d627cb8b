/*
 * yaml.h - YAML 1.2 text to a small tree that knows where everything stood. Pure.
 *
 * The tree says what was written (text, plain or quoted, line and column) and nothing about types: whether `10` is a
 * number or a name is for the reader to decide, which is codec/schema.h. One document per text; keys are scalars; a
 * key written twice is an error with both places. Anchors and aliases work: an alias is the same node again, so the
 * tree may share branches (it has no cycles), and the number of nodes that a walk meets is bounded, aliases followed.
 * Tags other than !!str are refused.
 *
 *     struct problems problems = {.arena = &arena};
 *     struct yaml_node *root;
 *     if (yaml_parse(text, STR("app.yaml"), NULL, &arena, &problems, &root) != OK)
 *         problems_print(&problems, &out);              // app.yaml:3:7: error: ...
 *     const struct yaml_node *name = yaml_get(root, STR("name"));
 */
#ifndef CODEC_YAML_H
#define CODEC_YAML_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node;

struct yaml_pair {
    struct yaml_node *key; /* a scalar */
    struct yaml_node *value;
};

struct yaml_node {
    enum yaml_kind kind;
    bool quoted;           /* scalar in quotes or a block: it is text, never null, bool or number */
    bool hidden;           /* its text may be secret and is never quoted in a message; set by who expands or reads it */
    bool expanded;         /* its text was put together from variables: quotes do not say that it is text */
    unsigned line, column; /* from 1, in characters */
    uint32_t weight;       /* nodes from here down, aliases followed */
    const struct str *file; /* as given to yaml_parse() */
    union {
        struct str text;          /* scalar */
        struct yaml_node **items; /* list */
        struct yaml_pair *pairs;  /* map, in written order */
    };
    size_t count; /* list, map */
};

/* 0 in a field: its default. */
struct yaml_limits {
    size_t bytes;   /* of the text; 64 MiB */
    size_t nodes;   /* met by a walk; 8 million */
    unsigned depth; /* of lists and maps; 32, at most 60 */
};

/* What is wrong with a text, and where. */
struct problem {
    struct str file;
    unsigned line, column; /* from 1; 0: of the whole file */
    struct str text;       /* what is wrong, and the remedy */
    bool warning;          /* does not make the text unacceptable */
};

/* A growing list of problems. Start with {.arena = ...}. Past PROBLEMS_MAX they are counted, not kept. */
enum { PROBLEMS_MAX = 1000 };
struct problems {
    struct arena *arena; /* where texts and list live; the caller's */
    struct problem *items;
    size_t count, cap, errors; /* kept; room; errors, kept or not */
};

/* Add an error or a warning at `at` (NULL: of no place). */
void problems_error(struct problems *p, const struct yaml_node *at, const char *fmt, ...) PRINTF_LIKE(3, 4);
void problems_warn(struct problems *p, const struct yaml_node *at, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Add one at a place given by numbers; file's bytes are borrowed. */
void problems_add(struct problems *p, struct problem item);
/* Order by file, line and column. */
void problems_sort(struct problems *p);
/* Give what `from` found to `to`, copied into its arena, in order of place; those that were only counted count there as well. */
void problems_hand_over(struct problems *from, struct problems *to);
/* Print one a line: "file:line:column: error: text". */
void problems_print(const struct problems *p, struct buf *to);

/*
 * Parse `text` into a tree in `a`; nothing of `text` is referred to afterwards.
 *
 * file      name for messages; copied into `a`
 * limits    NULL: the defaults
 * ret       an empty document is an empty plain scalar; untouched on failure
 *
 * E_PARSE, with all that was found in *problems (E_TOO_LARGE too becomes a problem).
 */
err_t yaml_parse(struct str text, struct str file, const struct yaml_limits *limits, struct arena *a,
                 struct problems *problems, struct yaml_node **ret) MUST_CHECK;

/* A copy of the tree in `a` that refers to nothing of the first. Branches that are shared there are not here: bounded by its weight. */
struct yaml_node *yaml_copy(struct arena *a, const struct yaml_node *n);
/* Value of `key` in a map; NULL if it is not there, or `n` is NULL or no map. Linear in the number of keys. */
struct yaml_node *yaml_get(const struct yaml_node *n, struct str key) PURE;
/* A scalar that means "nothing": empty, ~ or null, not quoted (YAML 1.2 core schema). */
bool yaml_is_null(const struct yaml_node *n) PURE;
/* true, True, TRUE, false, False, FALSE, not quoted; false if it is something else. */
bool yaml_to_bool(const struct yaml_node *n, bool *ret);
/* Is it a number of the core schema, not quoted? */
bool yaml_is_number(const struct yaml_node *n) PURE;

#endif
