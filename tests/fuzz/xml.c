/*
 * Fuzz target: codec/xml.h. The first byte is the length of the name that is looked for, which follows. What is found must be no longer than
 * the document, and be the same whatever stands behind it.
 */
#include "codec/xml.h"

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
    struct buf whole CLEANUP(buf_release) = BUF_INIT(SIZE_MAX / 4), more CLEANUP(buf_release) = BUF_INIT(SIZE_MAX / 4);
    size_t name_n = n ? data[0] : 0;

    if (n < 1 + name_n)
        return 0;
    struct str name = str_of((const char *)data + 1, name_n), document = str_of(name.p + name_n, n - 1 - name_n);
    err_t e = xml_text(document, name, &whole);
    REQUIRE(e == OK || whole.n == 0);
    REQUIRE(whole.n <= document.n);
    if (e != OK)
        return 0;
    /* what stands behind the element does not matter */
    char *longer = malloc(document.n + 4);
    REQUIRE(longer);
    memcpy(longer, document.p, document.n);
    memcpy(longer + document.n, "<!x>", 4);
    e = xml_text(str_of(longer, document.n + 4), name, &more);
    free(longer);
    REQUIRE(e == OK && str_eq(buf_str(&whole), buf_str(&more)));
    return 0;
}
