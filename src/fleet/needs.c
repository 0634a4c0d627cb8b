/*
 * needs.c - names of what a request may need. One table, read in both directions; in the order of the bits.
 *
 * Does not: know what a request needs (the gateway finds out), nor what a model has (the model book knows).
 */
#include "fleet/needs.h"

#include <assert.h>

const struct schema_choice need_choices[NEED_COUNT + 1] = {
    {"stream", NEED_STREAM, "answers in pieces"},
    {"tools", NEED_TOOLS, "functions that the model may call"},
    {"vision", NEED_VISION, "pictures in the input"},
    {"audio", NEED_AUDIO, "sound in the input"},
    {"video", NEED_VIDEO, "moving pictures in the input"},
    {"files", NEED_FILES, "documents (PDF) in the input"},
    {"json", NEED_JSON, "output that follows a JSON schema"},
    {"reasoning", NEED_REASONING, "thoughts before the answer, of which the client sets the extent"},
    {"audio_output", NEED_AUDIO_OUTPUT, "sound as the answer"},
    {"image_output", NEED_IMAGE_OUTPUT, "pictures in the answer"},
    {NULL, 0, NULL}};

const char *need_name(enum need bit)
{
    unsigned i = (unsigned)__builtin_ctz((unsigned)bit);

    assert(bit && i < NEED_COUNT);
    return need_choices[i].name;
}

uint32_t need_find(struct str name)
{
    for (unsigned i = 0; i < NEED_COUNT; i++)
        if (str_eq(name, str_from_c(need_choices[i].name)))
            return 1U << i;
    return 0;
}
