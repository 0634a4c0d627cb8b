/*
 * signature.h - what a simulated model signs its reasoning with, so that it knows it again when a client sends it back. Pure.
 *
 * A signature is the base64 text of a nonce and a keyed hash (HMAC-SHA-256) of maker, nonce and text. The key is the program's own: it
 * keeps nobody from anything, but an edited text, or one that another provider signed, is told from a true one on every instance.
 */
#ifndef SIM_SIGNATURE_H
#define SIM_SIGNATURE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* Append a signature of `text`. `maker`: whose models make and accept it, "anthropic". */
void sim_sign(struct str maker, uint64_t nonce, struct str text, struct buf *to);
/* Is it a signature that sim_sign() made for this maker and text? Base64 of either alphabet. */
bool sim_signature_is_good(struct str maker, struct str text, struct str signature);

#endif
