/*
 * Fuzz target: codec/prometheus.h. What is read, written plainly and read again is the same; a page that is cut behind a line tells
 * what it told before; every label that a sample has is found by its name.
 */
#include "codec/prometheus.h"

#include "base/buf.h"

#include <math.h>
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

static void write_sample(struct buf *to, const struct prometheus_sample *s)
{
    (void)buf_addf(to, "%.*s{", STR_ARG(s->name));
    (void)buf_add(to, s->labels);
    (void)buf_add_lit(to, "} ");
    if (isnan(s->value))
        (void)buf_add_lit(to, "NaN\n");
    else if (isinf(s->value))
        (void)buf_addf(to, "%cInf\n", s->value > 0 ? '+' : '-');
    else
        (void)buf_addf(to, "%.17g\n", s->value);
}

/* All samples, written plainly, and whether the page was read to its end. */
static bool read_all(struct str page, struct buf *to)
{
    struct prometheus_sample s;

    while (prometheus_next(&page, &s) == OK) {
        if (!s.name.p)
            return true;
        write_sample(to, &s);
        struct str rest = s.labels, value;
        while (rest.n) {
            struct str name = str_trim(str_cut(&rest, '='));
            if (!name.n || str_find_char(name, '"') < name.n || str_find_char(name, ',') < name.n)
                break; /* behind a value with such a character */
            REQUIRE(prometheus_label(&s, name, &value));
            if (value.p < rest.p)
                break; /* the name is there twice: it is the first that is found */
            rest = str_of(value.p + value.n + 1, (size_t)(s.labels.p + s.labels.n - (value.p + value.n + 1)));
            if (rest.n && str_starts(str_trim(rest), STR(",")))
                (void)str_cut(&rest, ',');
            else
                break;
        }
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str page = str_of((const char *)data, n);
    struct buf first CLEANUP(buf_release) = BUF_INIT(SIZE_MAX / 4);
    struct buf again CLEANUP(buf_release) = BUF_INIT(SIZE_MAX / 4);
    struct buf part CLEANUP(buf_release) = BUF_INIT(SIZE_MAX / 4);
    bool whole = read_all(page, &first);

    REQUIRE(read_all(buf_str(&first), &again));
    REQUIRE(str_eq(buf_str(&first), buf_str(&again)));
    size_t cut = n / 2;
    while (cut < n && page.p[cut] != '\n')
        cut++;
    bool half = read_all(str_slice(page, 0, cut < n ? cut + 1 : n), &part);
    REQUIRE(half || !whole);
    REQUIRE(str_starts(buf_str(&first), buf_str(&part)));
    return 0;
}
