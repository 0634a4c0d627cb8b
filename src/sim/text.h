/*
 * text.h - what a simulated model says, and how it is counted. Pure.
 *
 * A token is four characters (Unicode code points); the last one of a text may be shorter. So a text of n characters has
 * ceil(n / 4) tokens, streamed or not.
 */
#ifndef SIM_TEXT_H
#define SIM_TEXT_H

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SIM_TOKEN_CHARS = 4 };

/* Tokens of `s`: ceil(characters / 4). */
size_t sim_tokens(struct str s) PURE;
/* Cut the first token off *rest; at its end returns an empty string. */
struct str sim_token_cut(struct str *rest);
/* The first `tokens` tokens of `s`. */
struct str sim_token_prefix(struct str s, size_t tokens) PURE;

/*
 * A text of exactly `tokens` tokens: begins "[simulated] ", then `lead` ("You asked: ", ASCII) and the beginning of what is quoted
 * (UTF-8; empty: neither), and goes on with sentences chosen by `hash`. A function of its arguments only. E_TOO_LARGE over the
 * arena's maximum.
 */
err_t sim_answer_text(struct arena *a, uint64_t hash, struct str lead, struct str quoted, size_t tokens,
                      struct str *ret_text) MUST_CHECK;

/* Cut `text` before the first of `stops` in it and tell which it was; false if there is none. Empty stops are not looked for. */
bool sim_stop_cut(struct str *text, const struct str *stops, size_t count, struct str *ret_stop);

#endif
