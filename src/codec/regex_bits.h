/*
 * regex_bits.h - a small pattern as an automaton of bits: whether a text matches, in a few nanoseconds per character; and, for who
 * reasons about patterns, the automaton itself, a character at a time. Pure.
 */
#ifndef CODEC_REGEX_BITS_H
#define CODEC_REGEX_BITS_H

#include "codec/regex.h"

enum { REGEX_BITS_WORDS = 8 };

/* Which instructions are at work; the first regex_bits_words() words count. */
struct regex_state {
    uint64_t bits[REGEX_BITS_WORDS];
};

struct regex_bits;

/* The automaton of a pattern, in the arena; it borrows the pattern. NULL: it is too large, or depends on what stands around a place (\b). */
const struct regex_bits *regex_bits_make(struct arena *arena, const struct regex *r);
/* Does the text hold a match? As regex_find() says it. */
bool regex_bits_test(const struct regex_bits *b, struct str text);

/* --- a character at a time --- */

size_t regex_bits_words(const struct regex_bits *b) PURE;
/* Before the first character. */
struct regex_state regex_bits_begin(const struct regex_bits *b);
/* After one more. */
struct regex_state regex_bits_read(const struct regex_bits *b, const struct regex_state *state, uint32_t c);
/* Does a text that ends here hold a match? */
bool regex_bits_accepts(const struct regex_bits *b, const struct regex_state *state);
/* Can no text that goes on from here hold a match? */
bool regex_bits_is_dead(const struct regex_bits *b, const struct regex_state *state);
/* Add to `cuts` the characters where a range of such begins that the pattern treats alike; returns how many there are then, or SIZE_MAX if
 * more than `max`, or if it has categories of Unicode. */
size_t regex_bits_cuts(const struct regex_bits *b, uint32_t *cuts, size_t count, size_t max);

#endif
