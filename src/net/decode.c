/*
 * decode.c - one face for zlib, brotli and zstd.
 *
 * A coding is three functions in a table. Each step decodes as much as fits the output; what was given is available at once, so an
 * event stream that its sender flushes is delivered event by event, whatever the coding.
 *
 * A few bytes can expand to gigabytes. The output of one step is bounded by the caller's buffer; the sum of all is bounded by a
 * ratio to the input, so that a bomb ends early even where its consumer would let it pass. Windows (memory of the decoder)
 * are bounded too: 8 MiB for zstd (RFC 9659), 16 MiB for brotli, 32 KiB for gzip.
 *
 * Several gzip members or zstd frames in a row are one content (RFC 1952, 2.2; RFC 8878, 3). Not done: several codings on top of each
 * other, which nobody sends; encoding.
 */
#include "net/decode.h"

#include "base/mem.h"

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

enum {
    RATIO_MAX = 256,
    RATIO_FREE = 1024 * 1024,
    ZSTD_WINDOW_LOG_MAX = 23,
    GZIP_WINDOW_BITS = 15,
    ZLIB_AUTO_HEADER = 32
};

struct coding {
    const char *name;
    bool (*open)(struct decoder *d);
    /* Decode; moves in->p and reduces in->n; false if the input is not valid. Sets d->at_end. */
    bool (*step)(struct decoder *d, struct str *in, char *to, size_t cap, size_t *ret_n);
    void (*close)(struct decoder *d);
};

struct decoder {
    const struct coding *coding;
    union {
        z_stream gzip;
        BrotliDecoderState *br;
        ZSTD_DStream *zstd;
    } u;
    uint64_t in, out; /* bytes so far */
    bool at_end;      /* at the end of a member, frame or stream */
    bool full;        /* the last step filled its output */
};

/* --- gzip and deflate --- */

static bool gzip_open(struct decoder *d)
{
    return inflateInit2(&d->u.gzip, GZIP_WINDOW_BITS + ZLIB_AUTO_HEADER) == Z_OK;
}

static bool gzip_step(struct decoder *d, struct str *in, char *to, size_t cap, size_t *ret_n)
{
    z_stream *z = &d->u.gzip;
    unsigned in_now = in->n > UINT32_MAX ? UINT32_MAX : (unsigned)in->n;
    unsigned cap_now = cap > UINT32_MAX ? UINT32_MAX : (unsigned)cap;

    if (d->at_end && in_now && inflateReset(z) != Z_OK)
        return false;
    z->next_in = (unsigned char *)(uintptr_t)in->p;
    z->avail_in = in_now;
    z->next_out = (unsigned char *)to;
    z->avail_out = cap_now;
    int r = inflate(z, Z_NO_FLUSH);
    *in = str_of(in->p + (in_now - z->avail_in), in->n - (in_now - z->avail_in));
    *ret_n = cap_now - z->avail_out;
    d->at_end = r == Z_STREAM_END;
    return r == Z_OK || r == Z_STREAM_END || r == Z_BUF_ERROR;
}

static void gzip_close(struct decoder *d)
{
    (void)inflateEnd(&d->u.gzip);
}

/* --- brotli --- */

static bool br_open(struct decoder *d)
{
    d->u.br = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    return d->u.br != NULL;
}

static bool br_step(struct decoder *d, struct str *in, char *to, size_t cap, size_t *ret_n)
{
    const uint8_t *from = (const uint8_t *)in->p;
    uint8_t *out = (uint8_t *)to;
    size_t room = cap;

    if (d->at_end) {
        *ret_n = 0;
        return in->n == 0; /* brotli has one stream */
    }
    BrotliDecoderResult r = BrotliDecoderDecompressStream(d->u.br, &in->n, &from, &room, &out, NULL);
    in->p = (const char *)from;
    *ret_n = cap - room;
    d->at_end = r == BROTLI_DECODER_RESULT_SUCCESS;
    return r != BROTLI_DECODER_RESULT_ERROR;
}

static void br_close(struct decoder *d)
{
    if (d->u.br)
        BrotliDecoderDestroyInstance(d->u.br);
}

/* --- zstd --- */

static bool zstd_open(struct decoder *d)
{
    d->u.zstd = ZSTD_createDStream();
    return d->u.zstd && !ZSTD_isError(ZSTD_DCtx_setParameter(d->u.zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX));
}

static bool zstd_step(struct decoder *d, struct str *in, char *to, size_t cap, size_t *ret_n)
{
    ZSTD_inBuffer from = {in->p, in->n, 0};
    ZSTD_outBuffer out = {to, cap, 0};

    if (d->at_end && in->n == 0) {
        *ret_n = 0;
        return true; /* asking again would begin a new frame */
    }
    size_t hint = ZSTD_decompressStream(d->u.zstd, &out, &from);
    if (ZSTD_isError(hint))
        return false;
    *in = str_of(in->p + from.pos, in->n - from.pos);
    *ret_n = out.pos;
    d->at_end = hint == 0;
    return true;
}

static void zstd_close(struct decoder *d)
{
    (void)ZSTD_freeDStream(d->u.zstd);
}

/* --- the face --- */

static const struct coding codings[] = {
    {"gzip", gzip_open, gzip_step, gzip_close},   {"br", br_open, br_step, br_close},
    {"zstd", zstd_open, zstd_step, zstd_close},   {"deflate", gzip_open, gzip_step, gzip_close},
    {"x-gzip", gzip_open, gzip_step, gzip_close},
};

struct decoder *decoder_new(struct str coding)
{
    coding = str_trim(coding);
    for (size_t i = 0; coding.n && i < ARRAY_LEN(codings); i++) {
        if (!str_eq_nocase(coding, str_from_c(codings[i].name)))
            continue;
        struct decoder *d = NEW(struct decoder);
        d->coding = &codings[i];
        if (!d->coding->open(d))
            die("%s: the decoder cannot be made", d->coding->name);
        return d;
    }
    return NULL;
}

void decoder_free(struct decoder *d)
{
    if (!d)
        return;
    d->coding->close(d);
    mem_free(d);
}

static err_t check_ratio(const struct decoder *d)
{
    if (d->out > RATIO_FREE && d->out / RATIO_MAX > d->in)
        return fail(E_TOO_LARGE, "%s content expands more than %d-fold", d->coding->name, RATIO_MAX);
    return OK;
}

err_t decoder_next(struct decoder *d, struct str *in, char *to, size_t cap, size_t *ret_n)
{
    size_t total = 0;

    d->full = false;
    do {
        size_t before = in->n, n = 0;
        if (!d->coding->step(d, in, to + total, cap - total, &n))
            return fail(E_PROTOCOL, "body is not valid %s", d->coding->name);
        total += n;
        d->in += before - in->n;
        d->out += n;
        if (n == 0 && before == in->n)
            break;
        TRY(check_ratio(d));
    } while (total < cap && in->n > 0);
    d->full = total == cap;
    *ret_n = total;
    return OK;
}

bool decoder_has_more(const struct decoder *d)
{
    return d->full;
}

err_t decoder_finish(const struct decoder *d)
{
    if (d->at_end || d->in == 0)
        return OK;
    return fail(E_PROTOCOL, "%s body ends before its end", d->coding->name);
}
