/* regex_int.h - between the parser of regular expressions and the machine. */
#ifndef EXPR_REGEX_INT_H
#define EXPR_REGEX_INT_H

#include "expr/regex.h"

enum { REGEX_ENDLESS = UINT32_MAX };

enum regex_node_kind {
    REGEX_EMPTY,
    REGEX_CHARACTER,
    REGEX_ANY,
    REGEX_SET,
    REGEX_BEGIN, /* of the text                                             */
    REGEX_END,   /* of the text                                             */
    REGEX_LAST,  /* the end, or before a line end that is the last character */
    REGEX_WORD_EDGE,
    REGEX_NO_WORD_EDGE,
    REGEX_SEQUENCE, /* kid and its next                                        */
    REGEX_EITHER,   /* kid or its next                                         */
    REGEX_REPEAT,   /* kid, min to max times                                   */
    REGEX_GROUP,    /* kid, captured                                           */
};

struct regex_range {
    uint32_t from, to;
};

struct regex_set {
    struct regex_range *ranges;
    uint32_t count, cap;
    bool negated;
};

struct regex_node {
    enum regex_node_kind kind;
    struct regex_node *kid, *next;
    uint32_t character;
    bool ignore_case, dot_all, lazy;
    unsigned min, max; /* REGEX_ENDLESS */
    unsigned group;
    struct regex_set set;
};

struct regex_tree {
    struct regex_node *root;
    unsigned groups;
    struct str *names; /* by group; STR_NONE: none */
};

err_t regex_parse(struct arena *arena, struct str text, unsigned flags, struct regex_tree *ret, const char **ret_why)
    MUST_CHECK;

#endif
