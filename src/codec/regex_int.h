/* regex_int.h - between the parser of regular expressions and the machine. */
#ifndef CODEC_REGEX_INT_H
#define CODEC_REGEX_INT_H

#include "codec/regex.h"

/* What the machine runs, for regex_set.c as well. */
enum regex_opcode { RE_CHARACTER, RE_ANY, RE_SET, RE_ASSERT, RE_SPLIT, RE_JUMP, RE_SAVE, RE_MATCH };

struct regex_instruction {
    uint8_t code;
    uint8_t assertion; /* enum regex_node_kind */
    bool ignore_case, dot_all, ecma;
    uint32_t x, y; /* character; set; targets, the first one preferred; slot */
};

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
    uint32_t categories; /* bits of enum unicode_category, besides the ranges */
    bool negated;
};

struct regex_node {
    enum regex_node_kind kind;
    struct regex_node *kid, *next;
    uint32_t character;
    bool ignore_case, dot_all, lazy;
    bool ecma;         /* REGEX_ANY: all of ECMA-262's line ends are left out */
    unsigned min, max; /* REGEX_ENDLESS */
    unsigned group;
    struct regex_set set;
};

struct regex_tree {
    struct regex_node *root;
    unsigned groups;
    struct str *names; /* by group; STR_NONE: none */
};

struct regex {
    struct regex_instruction *code;
    uint32_t count, cap;
    struct regex_set *sets;
    uint32_t set_count, set_cap;
    unsigned groups;
    const struct str *names;
    bool at_begin;  /* every match begins at the start of the text      */
    bool has_first; /* every match begins with this byte                */
    char first;
};

/* Does the instruction, one of those that read, read this character? */
bool regex_reads(const struct regex *r, const struct regex_instruction *i, uint32_t c);

err_t regex_parse(struct arena *arena, struct str text, unsigned flags, struct regex_tree *ret, const char **ret_why)
    MUST_CHECK;

#endif
