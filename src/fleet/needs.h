/*
 * needs.h - what a request may need of a model, and a model may lack: one bit each, with its name.
 *
 * The bits are the common language of three parts: the price book and the configuration say what a deployment is known
 * not to have, the gateway finds out what a request asks for, and a deployment that lacks any of it is no candidate.
 * What is not known counts as there: a filter that guesses would refuse what works.
 */
#ifndef FLEET_NEEDS_H
#define FLEET_NEEDS_H

#include "base/attr.h"
#include "base/str.h"
#include "codec/schema.h"

#include <stdint.h>

enum need {
    NEED_STREAM = 1 << 0,       /* an answer in pieces                                              */
    NEED_TOOLS = 1 << 1,        /* functions that the model may call                                */
    NEED_VISION = 1 << 2,       /* pictures in the input                                            */
    NEED_AUDIO = 1 << 3,        /* sound in the input                                               */
    NEED_VIDEO = 1 << 4,        /* moving pictures in the input                                     */
    NEED_FILES = 1 << 5,        /* documents (PDF) in the input                                     */
    NEED_JSON = 1 << 6,         /* output that must follow a JSON schema                            */
    NEED_REASONING = 1 << 7,    /* thoughts before the answer, of which the client sets the extent  */
    NEED_AUDIO_OUTPUT = 1 << 8, /* sound as the answer                                              */
    NEED_IMAGE_OUTPUT = 1 << 9, /* pictures in the answer                                           */
};

enum { NEED_COUNT = 10 };

/* Bits with their names and meanings, in their order; for tables of the configuration. */
extern const struct schema_choice need_choices[NEED_COUNT + 1];

/* The name of one bit, as configurations, expressions and records write it: "tools", "audio_output". */
const char *need_name(enum need bit) PURE;
/* The bit of that name; 0: there is none. */
uint32_t need_find(struct str name) PURE;

#endif
