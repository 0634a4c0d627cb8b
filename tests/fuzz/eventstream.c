/*
 * Fuzz target: codec/eventstream.h. The first byte chooses how the input is cut.
 *
 * Checksums that fit are put in wherever the input announces a frame, else nothing random would get past them. Whatever the input: every way
 * of cutting gives the same frames, frames lie one behind the other in it, and one whose headers are all strings is written
 * back as it was.
 */
#include "codec/eventstream.h"

#include "base/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define REQUIRE(cond)                                                                                                  \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                           \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

static void put_checksum(char *from, size_t n)
{
    be32_put(from + n, (uint32_t)crc32(0, (const unsigned char *)from, (unsigned)n));
}

static void mend(char *p, size_t n)
{
    while (n >= EVENTSTREAM_OVERHEAD) {
        size_t length = be32_get(p);
        put_checksum(p, 8);
        if (length < EVENTSTREAM_OVERHEAD || length > n)
            return;
        put_checksum(p, length - 4);
        p += length;
        n -= length;
    }
}

/* Write the frame again if that can be done with strings only. */
static void check_written(const struct eventstream_frame *f, struct str raw)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(SIZE_MAX / 4);
    struct str headers = f->headers;
    struct eventstream_header h;
    struct eventstream_writer w;

    eventstream_begin(&w, &b);
    while (eventstream_header_next(&headers, &h)) {
        REQUIRE(h.name.n > 0 && h.name.p >= raw.p && h.value.n <= raw.n);
        if (h.type != EVENTSTREAM_STRING)
            return;
        eventstream_add_string(&w, h.name, h.value);
    }
    eventstream_begin_payload(&w);
    (void)buf_add(&b, f->payload);
    REQUIRE(eventstream_end(&w) == OK && str_eq(buf_str(&b), raw));
}

static void add_frame(struct buf *out, const struct eventstream_frame *f)
{
    (void)buf_addf(out, "[%zu %zu]", f->headers.n, f->payload.n);
    (void)buf_add(out, f->headers);
    (void)buf_add(out, f->payload);
}

static void read_whole(struct str s, struct buf *out)
{
    struct eventstream stream CLEANUP(eventstream_release);
    struct eventstream_frame f;
    enum eventstream_result got;
    struct str in = s;

    eventstream_init(&stream);
    for (;;) {
        const char *start = in.p;
        got = eventstream_next(&stream, &in, &f);
        if (got != EVENTSTREAM_FRAME)
            break;
        REQUIRE(f.headers.p == start + 12 && f.payload.p + f.payload.n + 4 == in.p);
        check_written(&f, str_of(start, (size_t)(in.p - start)));
        add_frame(out, &f);
    }
    (void)buf_addf(out, "%d %s", got, got == EVENTSTREAM_BROKEN ? stream.error_text : "");
}

static void read_in_pieces(struct str s, size_t piece, struct buf *out)
{
    struct eventstream stream CLEANUP(eventstream_release);
    struct eventstream_frame f;
    enum eventstream_result got = EVENTSTREAM_MORE;

    eventstream_init(&stream);
    for (size_t at = 0; at < s.n && got != EVENTSTREAM_BROKEN; at += piece) {
        struct str in = str_slice(s, at, at + piece);
        char *own = malloc(in.n);
        memcpy(own, in.p, in.n);
        in.p = own;
        while ((got = eventstream_next(&stream, &in, &f)) == EVENTSTREAM_FRAME)
            add_frame(out, &f);
        REQUIRE(got == EVENTSTREAM_BROKEN || in.n == 0);
        free(own);
    }
    (void)buf_addf(out, "%d %s", got, got == EVENTSTREAM_BROKEN ? stream.error_text : "");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct buf own CLEANUP(buf_release) = BUF_INIT(SIZE_MAX / 4), want CLEANUP(buf_release) = BUF_INIT(SIZE_MAX / 4);

    if (n == 0)
        return 0;
    (void)buf_add(&own, str_of((const char *)data + 1, n - 1));
    mend(own.p, own.n);
    const size_t pieces[] = {1, 2, 11, 12, 13, (size_t)data[0] + 1};
    read_whole(buf_str(&own), &want);
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        struct buf got CLEANUP(buf_release) = BUF_INIT(SIZE_MAX / 4);
        read_in_pieces(buf_str(&own), pieces[i], &got);
        REQUIRE(str_eq(buf_str(&want), buf_str(&got)));
    }
    return 0;
}
