/*
 * Fuzz target: the readers of the Anthropic and Gemini dialects on any bytes.
 *
 * The first byte chooses: bit 0 the dialect, bits 1 and 2 the vendor that a request is written for, bits 3 and 4 how a stream is framed. A request
 * is read and, if it is one, written as if it had come from another dialect; an answer is read whole and as a stream in pieces of two sizes, which
 * must give the same events, in a legal order (kit_events() prints what is not).
 */
#include "unit/dialect_kit.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define REQUIRE(cond)                                                                                                  \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                           \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

static const struct {
    const char *dialect, *row, *vendors[4];
} sides[] = {
    {"anthropic", "/v1/messages", {"anthropic", "anthropic-bedrock", "anthropic-vertex", "gemini"}},
    {"gemini", "/v1beta/models/{model}:streamGenerateContent", {"gemini", "vertex", "anthropic", "anthropic-bedrock"}},
};

static void try_request(struct kit *k, struct str json)
{
    const char *text = arena_str(&k->arena, json).p;

    if (kit_read(k, text) != OK)
        return;
    (void)kit_write(k);
    k->q.dialect = dialect_find(STR("openai"));
    (void)kit_write(k);
}

static void try_answer(struct kit *k, struct str bytes, enum framing framing)
{
    const struct dialect *d = k->t.client;
    struct str at_once = kit_events(k, d, framing, bytes, bytes.n);
    struct str in_pieces = kit_events(k, d, framing, bytes, 5);
    struct str whole = kit_answer_events(k, d, arena_str(&k->arena, bytes).p);

    REQUIRE(str_eq(at_once, in_pieces));
    REQUIRE(str_find(at_once, STR("DISORDER")) == at_once.n);
    REQUIRE(str_find(whole, STR("DISORDER")) == whole.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const enum framing framings[] = {FRAMING_SSE, FRAMING_ARRAY, FRAMING_LINES, FRAMING_EVENTSTREAM};

    if (n < 2)
        return 0;
    struct kit k CLEANUP(kit_release);
    struct str rest = str_of((const char *)data + 1, n - 1);
    unsigned side = data[0] & 1;
    kit_init(&k, sides[side].dialect, sides[side].row, sides[side].vendors[data[0] >> 1 & 3]);
    k.t.path_model = side ? STR("m") : STR_NONE;
    try_request(&k, rest);
    try_answer(&k, rest, framings[data[0] >> 3 & 3]);
    return 0;
}
