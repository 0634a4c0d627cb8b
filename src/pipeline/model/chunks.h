/* chunks.h - a text in pieces, while it comes: sentences or lines. Pure. */
#ifndef PIPELINE_CHUNKS_H
#define PIPELINE_CHUNKS_H

#include "base/attr.h"
#include "base/str.h"

#include <stdbool.h>

enum chunk_cut { CHUNK_SENTENCE, CHUNK_LINE, CHUNK_JSON };

/*
 * Cut the next piece off the text that has come so far, and take it out of *text; false: it is not complete yet. A sentence ends with its mark and what
 * closes it (quotes, brackets), in front of white space, or at once where a script writes none behind it; a line with its end. A piece has no white space around
 * it, and is not empty. What has `max` bytes and no end is cut there, between two characters.
 *
 * is_all  nothing more will come: what is left is a piece, too
 */
bool chunk_next(struct str *text, enum chunk_cut on, size_t max, bool is_all, struct str *ret_piece) MUST_CHECK;

#endif
