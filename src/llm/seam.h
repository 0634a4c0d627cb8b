/*
 * seam.h - where a broken answer and the text of whoever goes on with it are joined: no word twice, none missing. Pure.
 *
 * The model that goes on either continues the text itself (prefill), or was asked in words to repeat the end of it and to go on (a turn). In the
 * first case what it says is taken as it is, unless it clearly repeats; in the second it must repeat, and what does not is no continuation:
 * then nothing of it is let through. Blanks at the end of the text are never shown to the model, as vendors demand, so it may say them again.
 */
#ifndef LLM_SEAM_H
#define LLM_SEAM_H

#include "base/arena.h"
#include "base/str.h"

#include <stdbool.h>

enum {
    SEAM_WORDS_MIN = 40,  /* bytes that a model is asked to repeat: so many, or the whole text if it is shorter ... */
    SEAM_WORDS_MAX = 400, /* ... and up to so many, until they occur once in the text                               */
    SEAM_REPEAT_MIN = 16, /* bytes that must be repeated without having been asked for, to be taken for a repetition */
    SEAM_WINDOW =
        4096, /* a repetition is found that begins in so many bytes at the end of the text, or at its beginning */
    SEAM_BLANKS_MAX = 64, /* blanks in front of a repetition                                                        */
};

enum seam_verdict {
    SEAM_HOLD,     /* it cannot be told yet                             */
    SEAM_PASS,     /* what is new goes on                               */
    SEAM_UNPROVEN, /* it does not repeat what it was asked to repeat    */
};

struct seam;

/* What of an answer the model is shown: without blanks at its end. */
struct str seam_core(struct str told);
/* Where the words begin that a model is asked to repeat: the end of `core`, from the beginning of a word on. */
size_t seam_words(struct str core);

/* In the arena; `told` is borrowed. `asked`: the model was asked to repeat seam_core(told) from seam_words() on. */
struct seam *seam_new(struct arena *arena, struct str told, bool asked);
/* The next piece of the continuing text. *ret_new, of SEAM_PASS: what of it, and of what was held, is new; maybe empty; valid until the next call. */
enum seam_verdict seam_feed(struct seam *s, struct str piece, struct str *ret_new);
/* It has ended. */
enum seam_verdict seam_end(struct seam *s, struct str *ret_new);
/* Is it decided, for good, so that everything passes but blanks that were told? */
bool seam_is_joined(const struct seam *s);

#endif
