/*
 * embed.c - vectors between their two forms: JSON numbers, and base64 of little-endian float32.
 *
 * The first is how most providers send them, the second what OpenAI's SDKs ask for. Decimal text is the shortest that gives the same float32
 * back, so a vector survives both ways unchanged.
 */
#include "llm/embed.h"

#include "codec/base64.h"
#include "codec/json_scan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { DIMENSIONS_MAX = 1 << 20, FLOAT_BYTES = 4 };

static void put_float(unsigned char *to, float f)
{
    uint32_t bits;

    memcpy(&bits, &f, sizeof bits);
    for (int i = 0; i < FLOAT_BYTES; i++)
        to[i] = (unsigned char)(bits >> (8 * i));
}

static float get_float(const unsigned char *from)
{
    uint32_t bits = 0;
    float f;

    for (int i = 0; i < FLOAT_BYTES; i++)
        bits |= (uint32_t)from[i] << (8 * i);
    memcpy(&f, &bits, sizeof f);
    return f;
}

static err_t add_decimal(struct buf *to, float f)
{
    enum { DIGITS = 9 };
    char text[40];

    if (!isfinite(f))
        return fail(E_PROTOCOL, "a vector of the provider holds a number that is not finite");
    for (int digits = 6; digits <= DIGITS; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)f);
        if (strtof(text, NULL) == f)
            break;
    }
    return buf_add(to, str_from_c(text));
}

err_t embed_put_json(struct json_out *o, const struct embed_vector *v)
{
    struct buf *to = json_begin_value(o);
    struct buf bytes CLEANUP(buf_release) = BUF_INIT(DIMENSIONS_MAX * FLOAT_BYTES);

    if (v->json.n)
        return buf_add(to, v->json);
    TRY(base64_decode(&bytes, v->base64, BASE64));
    if (bytes.n % FLOAT_BYTES)
        return fail(E_PROTOCOL, "a vector of the provider is no whole number of float32");
    buf_add_char(to, '[');
    for (size_t at = 0; at < bytes.n; at += FLOAT_BYTES) {
        if (at)
            buf_add_char(to, ',');
        TRY(add_decimal(to, get_float((const unsigned char *)bytes.p + at)));
    }
    buf_add_char(to, ']');
    return buf_status(to);
}

static err_t add_base64(const struct embed_vector *v, struct buf *to)
{
    struct buf bytes CLEANUP(buf_release) = BUF_INIT(DIMENSIONS_MAX * FLOAT_BYTES);
    size_t at = 0;
    double number;

    if (v->base64.n)
        return buf_add(to, v->base64);
    if (!str_starts(v->json, STR("[")))
        return fail(E_PROTOCOL, "a vector of the provider is no array");
    for (struct str e = json_next_element(v->json, &at); e.p; e = json_next_element(v->json, &at)) {
        unsigned char four[FLOAT_BYTES];
        if (!json_to_double(e, &number))
            return fail(E_PROTOCOL, "a vector of the provider holds something that is no number");
        put_float(four, (float)number);
        TRY(buf_add(&bytes, str_of((const char *)four, sizeof four)));
    }
    return base64_encode(to, buf_str(&bytes), BASE64);
}

err_t embed_put_base64(struct json_out *o, const struct embed_vector *v)
{
    struct buf *to = json_begin_value(o);

    buf_add_char(to, '"');
    TRY(add_base64(v, to));
    return buf_add_char(to, '"');
}
