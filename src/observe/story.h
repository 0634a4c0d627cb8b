/*
 * story.h - the story of one request in plain words, for the person who asks why it went as it did. Pure.
 */
#ifndef OBSERVE_STORY_H
#define OBSERVE_STORY_H

#include "base/arena.h"
#include "base/buf.h"
#include "observe/facts.h"

/* Append the story: lines that end with '\n'; what belongs to the line above begins with blanks. What is not known is not told. Overflow is the
 * caller's to look at (buf_status()). */
void story_tell(const struct facts *f, struct buf *to);
/* Why the request is where it is, in a few words that fit a header: "fallback: rate_limited at openai/gpt-4o", "least-busy: fewest tokens in
 * flight". Empty: nothing was decided. In `arena`, or static. */
struct str story_reason(const struct facts *f, struct arena *arena);
/* A span for people, in the unit that suits it: "850 us", "12.3 ms", "4.56 s", "3 min 20 s". */
void story_span(ns_t span, struct buf *to);
/* Money: "$0.00123"; at least two decimals. */
void story_money(uint64_t nanodollars, struct buf *to);

#endif
