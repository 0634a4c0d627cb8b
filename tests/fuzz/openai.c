/*
 * Fuzz target: the OpenAI family's readers on any bytes.
 *
 * The first byte says which dialect. A request is read and, if it is one, written for a provider; an answer is read whole and as a stream.
 * Events must come in their order and end in exactly one END or ERROR (dialect_fuzz.h).
 */
#include "dialect_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void try_request(const char *dialect, const char *vendor, struct str json)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, dialect, vendor);
    fuzz_request(&w, json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const vendors[] = {"openai", "mistral", "openrouter", "deepseek", "vllm", "azure-deployments"};
    static const char *const dialects[] = {"openai", "responses", "completions"};

    if (n < 2)
        return 0;
    struct str rest = str_of((const char *)data + 1, n - 1);
    const char *dialect = dialects[data[0] % ARRAY_LEN(dialects)];
    try_request(dialect, vendors[data[0] / 8 % ARRAY_LEN(vendors)], rest);
    fuzz_answer(dialect_find(str_from_c(dialect)), rest, FRAMING_SSE);
    return 0;
}
