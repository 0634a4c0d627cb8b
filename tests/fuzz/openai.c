/*
 * Fuzz target: the OpenAI family's readers on any bytes.
 *
 * The first byte says which dialect. A request is read and, if it is one, written for a provider; an answer is read whole and as a stream.
 * Events must come in their order, which tests/unit/dialect_world.h checks, and a stream must end in exactly one END or ERROR.
 */
#include "../unit/dialect_world.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* dialect_world.h speaks to the test runner in macros that are not used here. */

static void require(bool truth, const char *what)
{
    if (truth)
        return;
    (void)fprintf(stderr, "%s\n", what);
    abort();
}

static void try_request(const char *dialect, const char *vendor, struct str json)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, dialect, vendor);
    struct str copy = arena_str(&w.arena, json);
    if (world_read(&w, copy.p) == OK)
        (void)world_write(&w);
}

static void try_answer(const char *dialect, struct str bytes)
{
    struct event_log log CLEANUP(log_release) = {.text = BUF_INIT(64 * 1024 * 1024)};
    struct event_log stream CLEANUP(log_release) = {.text = BUF_INIT(64 * 1024 * 1024)};
    struct chat_sink sink = {log_hear, &log}, streamed = {log_hear, &stream};
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, 256 * 1024 * 1024);
    err_t e = dialect_find(str_from_c(dialect))->provider.read_answer(&arena, bytes, &sink);
    require(!log.wrong, "events of an answer out of order");
    require(e != OK || log.over, "an answer without an end");
    e = world_feed(dialect_find(str_from_c(dialect)), bytes, bytes.n / 2, &arena, &streamed);
    require(!stream.wrong, "events of a stream out of order");
    require(e != OK || stream.over, "a stream without an end");
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
    try_answer(dialect, rest);
    return 0;
}
