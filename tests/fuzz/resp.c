/*
 * Fuzz target: codec/resp.h. A reply is found at the same place whether it comes at once or byte by byte; what was found can be read, and
 * what is cut off cannot.
 */
#include "codec/resp.h"

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

static err_t frame_by_bytes(struct str s, size_t *ret_n)
{
    struct resp_frame f;
    err_t e = E_AGAIN;

    resp_frame_init(&f, MAX);
    for (size_t n = 0; n <= s.n && e == E_AGAIN; n++)
        e = resp_frame_next(&f, str_of(s.p, n), ret_n);
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str s = str_of((const char *)data, n);
    struct arena a CLEANUP(arena_release) = {0};
    struct resp_frame f;
    struct resp r;
    size_t whole = 0, pieces = 0;

    if (n > MAX)
        return 0;
    arena_init(&a, 1 << 20);
    resp_frame_init(&f, MAX);
    err_t e = resp_frame_next(&f, s, &whole);
    REQUIRE(frame_by_bytes(s, &pieces) == e && pieces == whole);
    if (e) {
        REQUIRE(resp_parse(s, &a, &r) != OK || e == E_TOO_LARGE);
        return 0;
    }
    REQUIRE(whole > 0 && whole <= n);
    REQUIRE(resp_parse(str_of(s.p, whole), &a, &r) == OK);
    REQUIRE(resp_parse(str_of(s.p, whole - 1), &a, &r) != OK);
    return 0;
}
