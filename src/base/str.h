/*
 * str.h - a piece of text or bytes that somebody else owns: pointer and length.
 *
 * Not NUL-terminated. Passing by value copies two words, never bytes. An absent string is {NULL, 0}; all functions
 * take it as an empty one.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p;
    size_t n;
};

/* A literal as a struct str. STR_INIT is the form for static initialisers. */
#define STR(lit) ((struct str){"" lit, sizeof(lit) - 1})
#define STR_INIT(lit) {"" lit, sizeof(lit) - 1}
#define STR_NONE ((struct str){NULL, 0})

/* For printf: "%.*s" takes STR_ARG(s). */
#define STR_ARG(s) (int)(s).n, (s).p ? (s).p : ""

static inline struct str str_of(const char *p, size_t n)
{
    return (struct str){p, n};
}

/* A NUL-terminated string as a struct str; NULL gives STR_NONE. */
static inline struct str str_from_c(const char *c)
{
    return (struct str){c, c ? strlen(c) : 0};
}

static inline bool str_eq(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    if (a.n == 0)
        return true;
    KNOWN(a.p && b.p);
    return memcmp(a.p, b.p, a.n) == 0;
}

/* Equal but for ASCII case. */
bool str_eq_nocase(struct str a, struct str b) PURE;
/* Byte order, shorter first on a common prefix: <0, 0, >0. */
int str_cmp(struct str a, struct str b) PURE;
bool str_starts(struct str s, struct str prefix) PURE;
bool str_starts_nocase(struct str s, struct str prefix) PURE;
bool str_ends(struct str s, struct str suffix) PURE;
/* Index of the first `c`, or s.n. */
size_t str_find_char(struct str s, char c) PURE;
/* Index of the first `needle`, or s.n (also when the needle is empty and s is). */
size_t str_find(struct str s, struct str needle) PURE;
/* Does the comma-separated list `list` hold `item`, blanks around it and ASCII case ignored? (RFC 9110, 5.6.1) */
bool str_list_has(struct str list, struct str item) PURE;
/* Without ASCII blanks and tabs at both ends. */
struct str str_trim(struct str s) PURE;
/* Nothing but blanks, tabs and line ends? True for an empty text. */
bool str_is_blank(struct str s) PURE;
/* Bytes [from, to), clamped to the string. */
struct str str_slice(struct str s, size_t from, size_t to) PURE;
/* Cut at the first `c`: returns what is before it and leaves in *s what is after; without a `c` returns all and leaves
 * an empty rest with p == NULL. */
struct str str_cut(struct str *s, char c);
/* All of `s` as a decimal number without sign; false if empty, not digits, or over `max`. */
bool str_to_u64(struct str s, uint64_t max, uint64_t *ret_value) MUST_CHECK;
/* All of `s` as a hexadecimal number without prefix; likewise. */
bool str_hex_to_u64(struct str s, uint64_t max, uint64_t *ret_value) MUST_CHECK;
/* Equality in time that depends on the lengths only: for secrets. */
bool str_eq_secret(struct str a, struct str b) PURE;
/* Levenshtein distance, for "did you mean"; strings over 64 bytes count as `64` apart. */
unsigned str_distance(struct str a, struct str b) PURE;

static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* 64 bits of the text's bytes, the same on every machine and in every process (FNV-1a, its bits mixed): for what is kept or compared over
 * processes. A peer can choose collisions: tables use map.h. */
uint64_t str_hash(struct str s) PURE;

/* --- numbers --- */

enum { DECIMAL_MAX = 20 }; /* digits of a uint64_t */

/* What decimal_put() does with more than one digit. */
char *decimal_put_long(char *to, uint64_t v);

/* Write `v` in decimal, at most DECIMAL_MAX bytes. Returns the end. */
static inline char *decimal_put(char *to, uint64_t v)
{
    if (v >= 10)
        return decimal_put_long(to, v);
    *to = (char)('0' + v);
    return to + 1;
}

#endif
