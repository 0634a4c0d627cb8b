/*
 * needs.h - what a request needs of a model, and how long it is, from its body in any client's dialect.
 *
 * Conditions of routes and the rules about candidates ask; nothing is looked at before somebody does. What the first look cannot tell for sure (are
 * there pictures, or only words about pictures?) is settled by reading the request in full.
 */
#ifndef GATEWAY_NEEDS_H
#define GATEWAY_NEEDS_H

#include "fleet/needs.h"

#include <stdbool.h>

struct exchange;

/* What a request can be served without, if nobody has it: a schema is asked for in another way where requests are translated, and thinking is left
 * out and reported (llm/emulate.h, llm/loss.h). */
enum { NEEDS_TO_FORGO = NEED_JSON | NEED_REASONING };

struct needs {
    uint32_t bits;       /* NEED_…                                                                                  */
    bool maybe_media;    /* of a first look only: something in it may be a picture, sound or a file                 */
    bool several;        /* prompts or texts that are answered each for itself: `input` is of all of them */
    uint64_t input;      /* tokens, estimated (llm/estimate.h)                                                      */
    uint64_t output;     /* most tokens that the client wants; 0: it did not say                                     */
    struct str metadata; /* JSON text of the body's member "metadata"; empty: it is no object, or there is none     */
    struct str user;     /* JSON text of whom the body names as end user; empty: nobody                             */
};

/* A first look at a body, which is one valid JSON object, or empty. Pure; one pass, about a nanosecond per byte of structure and a fraction of one per
 * byte of text. */
void needs_look(struct str body, struct needs *ret);
/* What x needs. In its arena; worked out at the first call. Never NULL. */
const struct needs *needs_of(struct exchange *x);

#endif
