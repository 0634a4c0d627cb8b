/*
 * dialect_fuzz.h - what fuzz targets of dialects try: any bytes as a client's request, and as a provider's answer.
 *
 * A request is read and, if it is one, written as if it had come from another dialect, too; an answer is read whole and as a stream in pieces of two
 * sizes, which must give the same events, in a legal order (kit_events() prints what is not).
 */
#ifndef FUZZ_DIALECT_FUZZ_H
#define FUZZ_DIALECT_FUZZ_H

#include "unit/dialect_kit.h"

#include <stdio.h>

#define FUZZ_REQUIRE(cond)                                                                                             \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                           \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

static inline void fuzz_request(struct kit *k, struct str json)
{
    const char *text = arena_str(&k->arena, json).p;

    if (kit_read(k, text) != OK)
        return;
    (void)kit_write(k);
    k->q.dialect = dialect_find(STR("openai"));
    (void)kit_write(k);
}

static inline void fuzz_answer(struct kit *k, struct str bytes, enum framing framing)
{
    const struct dialect *d = k->t.client;

    if (str_find(bytes, STR("DISORDER")) < bytes.n)
        return; /* the word would come back as a text */
    struct str at_once = kit_events(k, d, framing, bytes, bytes.n);
    struct str in_pieces = kit_events(k, d, framing, bytes, 5);
    struct str whole = kit_answer_events(k, d, arena_str(&k->arena, bytes).p);

    FUZZ_REQUIRE(str_eq(at_once, in_pieces));
    FUZZ_REQUIRE(str_find(at_once, STR("DISORDER")) == at_once.n);
    FUZZ_REQUIRE(str_find(whole, STR("DISORDER")) == whole.n);
}

#endif
