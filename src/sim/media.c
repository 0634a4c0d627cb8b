/*
 * media.c - a tone as WAV or raw samples, and a picture of one colour as PNG.
 *
 * The tone is a triangle wave made with whole numbers, so every machine makes the same bytes. The picture is a palette image of one
 * bit per pixel, all zero, deflated by zlib: a few dozen bytes, whatever its size.
 */
#include "sim/media.h"

#include "base/bytes.h"
#include "base/mem.h"

#include <zlib.h>

enum { AMPLITUDE = 8000, SIDE_MAX = 4096 };

static void put_le16(char *to, uint32_t v)
{
    to[0] = (char)(v & 0xff);
    to[1] = (char)(v >> 8 & 0xff);
}

static void add_le32(struct buf *to, uint32_t v)
{
    char raw[4];

    put_le16(raw, v);
    put_le16(raw + 2, v >> 16);
    buf_add(to, str_of(raw, 4));
}

static void add_le16(struct buf *to, uint32_t v)
{
    char raw[2];

    put_le16(raw, v);
    buf_add(to, str_of(raw, 2));
}

err_t sim_tone(struct buf *to, ns_t length, unsigned pitch)
{
    uint64_t samples = (uint64_t)length * SIM_SAMPLE_RATE / (uint64_t)NS_SEC;
    char *at = buf_reserve(to, samples * 2);

    if (!at)
        return fail(E_TOO_LARGE, "the tone is too long");
    for (uint64_t i = 0; i < samples; i++) {
        int64_t phase =
            (int64_t)(i * pitch * 4 * AMPLITUDE / SIM_SAMPLE_RATE % (4 * AMPLITUDE)); /* four rises a period */
        int64_t level = phase < 2 * AMPLITUDE ? phase - AMPLITUDE : 3 * AMPLITUDE - phase;
        put_le16(at + 2 * i, (uint32_t)level);
    }
    to->n += samples * 2;
    return OK;
}

void sim_wav_header(struct buf *to, uint32_t bytes)
{
    buf_add_lit(to, "RIFF");
    add_le32(to, 36 + bytes);
    buf_add_lit(to, "WAVEfmt ");
    add_le32(to, 16);
    add_le16(to, 1); /* PCM  */
    add_le16(to, 1); /* mono */
    add_le32(to, SIM_SAMPLE_RATE);
    add_le32(to, SIM_SAMPLE_RATE * 2);
    add_le16(to, 2);
    add_le16(to, 16);
    buf_add_lit(to, "data");
    add_le32(to, bytes);
}

static void add_chunk(struct buf *to, struct str type, struct str data)
{
    char raw[4];
    size_t from;

    be32_put(raw, (uint32_t)data.n);
    buf_add(to, str_of(raw, 4));
    from = to->n;
    buf_add(to, type);
    buf_add(to, data);
    if (to->overflow)
        return;
    be32_put(raw, (uint32_t)crc32(0, (const unsigned char *)to->p + from, (unsigned)(to->n - from)));
    buf_add(to, str_of(raw, 4));
}

err_t sim_png(struct buf *to, uint32_t width, uint32_t height, uint32_t colour)
{
    char header[13] = {0}, palette[3] = {(char)(colour >> 16), (char)(colour >> 8), (char)colour};

    if (width < 1 || height < 1 || width > SIDE_MAX || height > SIDE_MAX)
        return fail(E_TOO_LARGE, "an image has at most %d pixels each way", SIDE_MAX);
    unsigned long plain_n = (1 + (width + 7) / 8) * (unsigned long)height, packed_n = compressBound(plain_n);
    unsigned char *plain = mem_zalloc(plain_n, 1), *packed = mem_alloc(packed_n);
    int z = compress2(packed, &packed_n, plain, plain_n, 6);
    be32_put(header, width);
    be32_put(header + 4, height);
    header[8] = 1; /* bit per pixel */
    header[9] = 3; /* palette       */
    buf_add_lit(to, "\x89PNG\r\n\x1a\n");
    add_chunk(to, STR("IHDR"), str_of(header, sizeof(header)));
    add_chunk(to, STR("PLTE"), str_of(palette, sizeof(palette)));
    add_chunk(to, STR("IDAT"), str_of((const char *)packed, z == Z_OK ? packed_n : 0));
    add_chunk(to, STR("IEND"), STR(""));
    mem_free(plain);
    mem_free(packed);
    return buf_status(to);
}

struct str sim_image_type(struct str bytes)
{
    static const struct {
        struct str magic, type;
    } kinds[] = {{STR_INIT("\x89PNG\r\n\x1a\n"), STR_INIT("image/png")},
                 {STR_INIT("\xff\xd8\xff"), STR_INIT("image/jpeg")},
                 {STR_INIT("GIF8"), STR_INIT("image/gif")}};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_starts(bytes, kinds[i].magic))
            return kinds[i].type;
    if (str_starts(bytes, STR("RIFF")) && str_eq(str_slice(bytes, 8, 12), STR("WEBP")))
        return STR("image/webp");
    return STR("");
}
