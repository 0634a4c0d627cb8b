/*
 * Fuzz target: codec/base64.h. The first byte chooses the form. What decodes must encode to the same text again, and any
 * bytes must survive the way there and back.
 */
#include "codec/base64.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct buf a CLEANUP(buf_release) = BUF_INIT(SIZE_MAX / 4), b CLEANUP(buf_release) = BUF_INIT(SIZE_MAX / 4);

    if (n == 0)
        return 0;
    enum base64_form form = data[0] & 3;
    struct str text = str_of((const char *)data + 1, n - 1);
    if (base64_decode(&a, text, form) == OK) {
        REQUIRE(base64_encode(&b, buf_str(&a), form) == OK);
        REQUIRE(str_eq(buf_str(&b), text));
    }
    buf_clear(&a);
    buf_clear(&b);
    REQUIRE(base64_encode(&a, text, form) == OK && a.n == base64_encoded_length(text.n, form));
    REQUIRE(base64_decode(&b, buf_str(&a), form) == OK && str_eq(buf_str(&b), text));
    return 0;
}
