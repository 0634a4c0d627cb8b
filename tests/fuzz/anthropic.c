/*
 * Fuzz target: the readers of the Anthropic and Gemini dialects on any bytes.
 *
 * The first byte chooses: bit 0 the dialect, bits 1 and 2 the vendor that a request is written for, bits 3 and 4 how a stream is framed.
 */
#include "dialect_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct {
    const char *dialect, *row, *vendors[4];
} sides[] = {
    {"anthropic", "/v1/messages", {"anthropic", "anthropic-bedrock", "anthropic-vertex", "gemini"}},
    {"gemini", "/v1beta/models/{model}:streamGenerateContent", {"gemini", "vertex", "anthropic", "anthropic-bedrock"}},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const enum framing framings[] = {FRAMING_SSE, FRAMING_ARRAY, FRAMING_LINES, FRAMING_EVENTSTREAM};

    if (n < 2)
        return 0;
    struct dialect_world w CLEANUP(world_release);
    struct str rest = str_of((const char *)data + 1, n - 1);
    unsigned side = data[0] & 1;
    world_init_at(&w, sides[side].dialect, sides[side].row, sides[side].vendors[data[0] >> 1 & 3]);
    w.t.path_model = side ? STR("m") : STR_NONE;
    fuzz_request(&w, rest);
    fuzz_answer(w.t.client, rest, framings[data[0] >> 3 & 3]);
    return 0;
}
