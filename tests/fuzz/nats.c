/*
 * Fuzz target: codec/nats.h. A frame is found at the same place whether it comes at once or byte by byte, and all that it tells lies within its bytes;
 * headers can be looked through whatever they are.
 */
#include "codec/nats.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define REQUIRE(cond)                                                                                                  \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                           \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

enum { MAX = 4096 };

static bool is_within(struct str part, struct str all)
{
    return part.n == 0 || (part.p >= all.p && part.p + part.n <= all.p + all.n);
}

static void look_at(const struct nats_frame *f, struct str all)
{
    struct str first = nats_header(f->headers, STR("Nats-Msg-Id"));

    REQUIRE(is_within(f->text, all) && is_within(f->subject, all) && is_within(f->reply, all));
    REQUIRE(is_within(f->headers, all) && is_within(f->payload, all) && is_within(first, f->headers));
    REQUIRE(nats_status(f->headers) <= 999);
    REQUIRE(f->headers.n + f->payload.n <= MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str s = str_of((const char *)data, n);

    while (s.n) {
        struct nats_frame whole, pieces;
        size_t taken = 0, again = 0;
        err_t e = nats_frame_next(s, MAX, &whole, &taken), x = E_AGAIN;
        for (size_t i = 0; i <= s.n && x == E_AGAIN; i++)
            x = nats_frame_next(str_slice(s, 0, i), MAX, &pieces, &again);
        REQUIRE(e == x);
        if (e != OK)
            break;
        REQUIRE(taken == again && taken > 0 && taken <= s.n && whole.kind == pieces.kind);
        look_at(&whole, str_slice(s, 0, taken));
        s = str_slice(s, taken, s.n);
    }
    return 0;
}
