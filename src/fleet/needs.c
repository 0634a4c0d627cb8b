/*
 * needs.c - names of what a request may need. One table, read in both directions; in the order of the bits.
 *
 * Does not: know what a request needs (the gateway finds out), nor what a model has (the model book knows).
 */
#include "fleet/needs.h"

#include <assert.h>

static const char *const names[NEED_COUNT] = {"stream", "tools", "vision",    "audio",        "video",
                                              "files",  "json",  "reasoning", "audio_output", "image_output"};

const char *need_name(enum need bit)
{
    unsigned i = (unsigned)__builtin_ctz((unsigned)bit);

    assert(bit && i < NEED_COUNT);
    return names[i];
}

uint32_t need_find(struct str name)
{
    for (unsigned i = 0; i < NEED_COUNT; i++)
        if (str_eq(name, str_from_c(names[i])))
            return 1U << i;
    return 0;
}
