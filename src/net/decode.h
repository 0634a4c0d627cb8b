/*
 * decode.h - content codings of answers: gzip, deflate, br, zstd, as a stream, with bounded output. Pure.
 *
 *     struct decoder *d = decoder_new(coding);        // NULL: not coded, or in a way that we do not know
 *     err = decoder_next(d, &in, out, cap, &n);       // takes from the front of `in`, gives n bytes of content
 *     ... until in.n == 0 and !decoder_has_more(d); at the end of the message: decoder_finish(d)
 */
#ifndef NET_DECODE_H
#define NET_DECODE_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct decoder;

/* What we decode, as the value of an accept-encoding header. */
#define DECODE_ACCEPT STR("gzip, br, zstd")

/* A decoder for the value of a content-encoding header; decoder_free() frees it. NULL if that is empty, "identity", more than one coding,
 * or unknown. */
struct decoder *decoder_new(struct str coding);
/* NULL is allowed. */
void decoder_free(struct decoder *d);
/*
 * Decode from the front of *in into at most `cap` bytes at `to`. *ret_n may be 0 when more input is needed.
 * E_PROTOCOL: not valid in this coding, or bytes behind its end. E_TOO_LARGE: it expands like a decompression bomb (more than
 * 256-fold, once that is over 1 MiB).
 */
err_t decoder_next(struct decoder *d, struct str *in, char *to, size_t cap, size_t *ret_n) MUST_CHECK;
/* May decoder_next() give more without further input? */
bool decoder_has_more(const struct decoder *d) PURE;
/* The message has ended: E_PROTOCOL if the coding has not. */
err_t decoder_finish(const struct decoder *d) MUST_CHECK;

#endif
