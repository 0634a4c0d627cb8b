/*
 * Fuzz target: the readers of the dialects of servers that people run themselves, Ollama and Text Generation Inference, on any bytes.
 *
 * The first byte chooses: bits 0 and 1 the dialect and its row, bits 2 and 3 the vendor that a request is written for, bit 4 how a stream is framed.
 */
#include "dialect_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct {
    const char *dialect, *row;
} sides[] = {{"ollama", "/api/chat"}, {"ollama", "/api/generate"}, {"tgi", "/"}, {"tgi", "/generate_stream"}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const vendors[] = {"ollama", "tgi", "openai", "anthropic"};

    if (n < 2)
        return 0;
    struct dialect_world w CLEANUP(world_release);
    struct str rest = str_of((const char *)data + 1, n - 1);
    unsigned side = data[0] & 3;
    world_init_at(&w, sides[side].dialect, sides[side].row, vendors[data[0] >> 2 & 3]);
    fuzz_request(&w, rest);
    fuzz_answer(w.t.client, rest, data[0] & 16 ? FRAMING_SSE : FRAMING_LINES);
    return 0;
}
