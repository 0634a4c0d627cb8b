/* decode_test.c - content codings, encoded here by the libraries' own encoders. */
#include "net/decode.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/prng.h"
#include "unit/test.h"

#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

static void gzip(struct str s, int window_bits, struct buf *to)
{
    z_stream z = {0};
    size_t cap = s.n + 1000;

    if (deflateInit2(&z, 6, Z_DEFLATED, window_bits, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        die("deflate");
    char *at = buf_reserve(to, cap);
    z.next_in = (unsigned char *)(uintptr_t)s.p;
    z.avail_in = (unsigned)s.n;
    z.next_out = (unsigned char *)at;
    z.avail_out = (unsigned)cap;
    if (deflate(&z, Z_FINISH) != Z_STREAM_END)
        die("deflate");
    to->n += z.total_out;
    (void)deflateEnd(&z);
}

static void encode(const char *coding, struct str s, struct buf *to)
{
    size_t cap = s.n + 1000;

    if (strcmp(coding, "br") == 0) {
        if (!BrotliEncoderCompress(5, 22, BROTLI_MODE_TEXT, s.n, (const uint8_t *)s.p, &cap,
                                   (uint8_t *)buf_reserve(to, cap)))
            die("brotli");
        to->n += cap;
    } else if (strcmp(coding, "zstd") == 0) {
        to->n += ZSTD_compress(buf_reserve(to, cap), cap, s.p, s.n, 3);
    } else {
        gzip(s, strcmp(coding, "deflate") == 0 ? 15 : 15 + 16, to);
    }
}

static const char *const codings[] = {"gzip", "br", "zstd", "deflate", "x-gzip"};

static void decoder_free_p(struct decoder **d)
{
    decoder_free(*d);
}

/* Decode `in`, whose pieces end at `cut` and at its end, with outputs of `cap` bytes. */
static err_t decode(const char *coding, struct str in, size_t cut, size_t cap, struct buf *out)
{
    struct decoder *d CLEANUP(decoder_free_p) = decoder_new(str_from_c(coding));
    struct str pieces[] = {str_slice(in, 0, cut), str_slice(in, cut, in.n)};

    for (int i = 0; i < 2; i++)
        while (pieces[i].n || decoder_has_more(d)) {
            size_t n;
            TRY(decoder_next(d, &pieces[i], buf_reserve(out, cap), cap, &n));
            if (n > cap)
                die("more than %zu bytes", cap);
            out->n += n;
        }
    return decoder_finish(d);
}

static struct str sample(struct buf *b, size_t n)
{
    struct prng prng;

    prng_seed(&prng, test_seed());
    while (b->n < n)
        (void)buf_addf(b, "{\"token\":%llu,\"text\":\"again and again\"}", (unsigned long long)prng_below(&prng, 1000));
    b->n = n;
    return buf_str(b);
}

TEST(decode_gives_what_was_encoded_wherever_it_is_cut)
{
    struct buf plain CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct str want = sample(&plain, 3000);

    for (size_t i = 0; i < ARRAY_LEN(codings); i++) {
        struct buf coded CLEANUP(buf_release) = BUF_INIT(1 << 20), got CLEANUP(buf_release) = BUF_INIT(1 << 20);
        encode(codings[i], want, &coded);
        for (size_t cut = 0; cut <= coded.n; cut++) {
            size_t cap = 1 + cut % 700;
            test_context("%s cut at %zu, output of %zu", codings[i], cut, cap);
            buf_clear(&got);
            CHECK_OK(decode(codings[i], buf_str(&coded), cut, cap, &got));
            CHECK(str_eq(buf_str(&got), want));
        }
    }
}

TEST(decode_gives_each_flushed_event_at_once)
{
    struct decoder *d CLEANUP(decoder_free_p) = decoder_new(STR("gzip"));
    z_stream z = {0};

    CHECK_EQ(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    for (int i = 0; i < 5; i++) {
        char event[] = "data: 0\n\n", coded[200], got[200];
        size_t n;
        event[6] = (char)('0' + i);
        z.next_in = (unsigned char *)event;
        z.avail_in = sizeof event - 1;
        z.next_out = (unsigned char *)coded;
        z.avail_out = sizeof coded;
        CHECK_EQ(deflate(&z, Z_SYNC_FLUSH), Z_OK);
        struct str in = str_of(coded, sizeof coded - z.avail_out);
        CHECK_OK(decoder_next(d, &in, got, sizeof got, &n));
        CHECK_STR(str_of(got, n), event);
        CHECK_EQ(in.n, 0);
    }
    (void)deflateEnd(&z);
}

TEST(decode_takes_several_members_as_one_content)
{
    const char *const several[] = {"gzip", "zstd"};

    for (size_t i = 0; i < ARRAY_LEN(several); i++) {
        struct buf coded CLEANUP(buf_release) = BUF_INIT(1 << 20), got CLEANUP(buf_release) = BUF_INIT(1 << 20);
        encode(several[i], STR("hello "), &coded);
        encode(several[i], STR(""), &coded);
        encode(several[i], STR("world"), &coded);
        for (size_t cut = 0; cut <= coded.n; cut++) {
            buf_clear(&got);
            CHECK_OK(decode(several[i], buf_str(&coded), cut, 4, &got));
            CHECK_STR(buf_str(&got), "hello world");
        }
    }
}

TEST(decode_refuses_what_ends_early_or_has_more_behind_it)
{
    for (size_t i = 0; i < ARRAY_LEN(codings); i++) {
        struct buf coded CLEANUP(buf_release) = BUF_INIT(1 << 20), got CLEANUP(buf_release) = BUF_INIT(1 << 20);
        encode(codings[i], STR("hello hello hello"), &coded);
        for (size_t n = 1; n < coded.n; n++) {
            test_context("%s cut off at %zu", codings[i], n);
            CHECK_ERR(decode(codings[i], str_of(coded.p, n), 0, 100, &got), E_PROTOCOL);
        }
        CHECK_OK(decode(codings[i], STR_NONE, 0, 100, &got)); /* the answer to HEAD */
        CHECK_OK(buf_add_lit(&coded, "!garbage"));
        CHECK_ERR(decode(codings[i], buf_str(&coded), 0, 100, &got), E_PROTOCOL);
        CHECK_ERR(decode(codings[i], STR("this is not compressed at all"), 0, 100, &got), E_PROTOCOL);
    }
}

/* Random damage: never more than an error. */
TEST(decode_survives_damage)
{
    struct buf plain CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct str want = sample(&plain, 2000);
    struct prng prng;

    prng_seed(&prng, test_seed());
    for (size_t i = 0; i < ARRAY_LEN(codings); i++) {
        struct buf coded CLEANUP(buf_release) = BUF_INIT(1 << 20), got CLEANUP(buf_release) = BUF_INIT(64 << 20);
        unsigned noticed = 0;
        encode(codings[i], want, &coded);
        for (uint64_t round = 0; round < test_rounds(300); round++) {
            size_t at = prng_below(&prng, coded.n);
            char kept = coded.p[at];
            coded.p[at] ^= (char)(1 + prng_below(&prng, 255));
            buf_clear(&got);
            noticed += decode(codings[i], buf_str(&coded), prng_below(&prng, coded.n), 512, &got) != OK;
            coded.p[at] = kept;
        }
        CHECK_GT(noticed, 0);
    }
}

TEST(decode_stops_bombs)
{
    enum { BOMB = 24 << 20 };
    char *zeros = mem_zalloc(1, BOMB);

    for (size_t i = 0; i < 3; i++) {
        struct buf coded CLEANUP(buf_release) = BUF_INIT(BOMB + 2000), got CLEANUP(buf_release) = BUF_INIT(BOMB + 2000);
        encode(codings[i], str_of(zeros, BOMB), &coded);
        test_context("%s of %zu bytes", codings[i], coded.n);
        CHECK_ERR(decode(codings[i], buf_str(&coded), 0, 16384, &got), E_TOO_LARGE);
        CHECK_LT(got.n, (size_t)BOMB);
        CHECK_LE(got.n, (1 << 20) + coded.n * 256);
    }
    mem_free(zeros);
}

/* RFC 9659: 8 MiB of window, not whatever a sender asks for. */
TEST(decode_bounds_its_memory)
{
    for (int log = 23; log <= 24; log++) {
        struct buf coded CLEANUP(buf_release) = BUF_INIT(1 << 20), got CLEANUP(buf_release) = BUF_INIT(1 << 20);
        ZSTD_CCtx *z = ZSTD_createCCtx();
        ZSTD_inBuffer in = {"hello", 5, 0};
        ZSTD_outBuffer out = {buf_reserve(&coded, 1000), 1000, 0};
        CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_windowLog, log)));
        CHECK(!ZSTD_isError(ZSTD_compressStream2(z, &out, &in, ZSTD_e_flush))); /* so that it cannot know the size */
        CHECK_EQ(ZSTD_compressStream2(z, &out, &in, ZSTD_e_end), 0);
        coded.n = out.pos;
        ZSTD_freeCCtx(z);
        CHECK_ERR(decode("zstd", buf_str(&coded), 0, 100, &got), log == 23 ? OK : E_PROTOCOL);
    }
}

/* What is merely well compressible is no bomb. */
TEST(decode_lets_ordinary_content_pass)
{
    struct buf plain CLEANUP(buf_release) = BUF_INIT(64 << 20);
    struct str want = sample(&plain, 3 << 20);

    for (size_t i = 0; i < 3; i++) {
        struct buf coded CLEANUP(buf_release) = BUF_INIT(64 << 20), got CLEANUP(buf_release) = BUF_INIT(64 << 20);
        encode(codings[i], want, &coded);
        CHECK_OK(decode(codings[i], buf_str(&coded), 0, 16384, &got));
        CHECK(str_eq(buf_str(&got), want));
    }
}

TEST(decode_knows_its_codings)
{
    const char *const others[] = {"", "identity", "compress", "gzip, br", "GZIPX"};

    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        CHECK(decoder_new(str_from_c(others[i])) == NULL);
    struct decoder *d CLEANUP(decoder_free_p) = decoder_new(STR(" GZip "));
    CHECK(d != NULL);
    struct str accept = DECODE_ACCEPT;
    while (accept.p) {
        struct decoder *each CLEANUP(decoder_free_p) = decoder_new(str_cut(&accept, ','));
        CHECK(each != NULL);
    }
}
