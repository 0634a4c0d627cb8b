/* sim_parts_test.c - the smaller parts of the simulated provider: vectors, sounds, pictures, uploads, kept files. */
#include "base/arena.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "sim/embeddings.h"
#include "sim/file_store.h"
#include "sim/media.h"
#include "sim/multipart.h"
#include "sim/stats.h"
#include "unit/test.h"

#include <math.h>
#include <stdio.h>
#include <zlib.h>

/* --- embeddings --- */

static double cosine(const char *x, const char *y, size_t n)
{
    static int32_t a[SIM_DIMENSIONS_MAX], b[SIM_DIMENSIONS_MAX];
    double sum = 0;

    sim_embed(str_from_c(x), 1, a, n);
    sim_embed(str_from_c(y), 1, b, n);
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] / SIM_EMBEDDING_ONE * b[i] / SIM_EMBEDDING_ONE;
    return sum;
}

TEST(sim_embeddings_are_unit_vectors)
{
    static const size_t sizes[] = {1, 2, 3, 64, 256, 1536, 4096};

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        CHECK(fabs(cosine("the tide in Brest", "the tide in Brest", sizes[i]) - 1) < 1e-5);
        CHECK(fabs(cosine("", "", sizes[i]) - 1) < 1e-5);
    }
}

TEST(sim_embeddings_are_near_where_texts_are)
{
    double same_case = cosine("The tide in Brest", "the TIDE in brest", 1536);
    double similar = cosine("the tide in Brest is high", "the tide in Brest is low", 1536);
    double shuffled = cosine("high is Brest in tide the", "the tide in Brest is high", 1536);
    double unrelated = cosine("quantum chromodynamics on lattices", "the tide in Brest is high", 1536);

    CHECK_MSG(same_case > 0.6 && same_case < 0.9999, "%g", same_case);
    CHECK_MSG(similar > 0.6 && similar < 0.99, "%g", similar);
    CHECK_MSG(shuffled > 0.4, "%g", shuffled);
    CHECK_MSG(fabs(unrelated) < 0.2, "%g", unrelated);
}

TEST(sim_embeddings_say_the_same_as_numbers_and_as_base64)
{
    enum { N = 64 };
    struct buf numbers CLEANUP(buf_release) = BUF_INIT(1 << 20), text CLEANUP(buf_release) = BUF_INIT(1 << 20),
                       raw CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct arena a CLEANUP(arena_release);
    int32_t vector[N];
    yyjson_val *list, *item;
    size_t i, n;

    arena_init(&a, SIZE_MAX);
    sim_embed(STR("x"), 1, vector, N);
    vector[0] = -SIM_EMBEDDING_ONE;
    vector[1] = 5;
    sim_embedding_write(vector, N, &numbers);
    CHECK(str_starts(buf_str(&numbers), STR("[-1.00000000,0.00000005,")));
    CHECK_OK(sim_embedding_write_base64(vector, N, &text));
    CHECK_OK(base64_decode(&raw, str_slice(buf_str(&text), 1, text.n - 1), BASE64));
    CHECK_EQ(raw.n, N * sizeof(float));
    CHECK_OK(json_parse(&a, buf_str(&numbers), NULL, 0, &list));
    CHECK_EQ(yyjson_arr_size(list), N);
    yyjson_arr_foreach(list, i, n, item)
    {
        float component;
        memcpy(&component, raw.p + i * sizeof(component), sizeof(component));
        CHECK((float)yyjson_get_num(item) == component);
        CHECK(component != 0);
    }
}

/* --- media --- */

static uint32_t le32(const char *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

TEST(sim_tones_are_valid_wav_files)
{
    struct buf sound CLEANUP(buf_release) = BUF_INIT(1 << 20), wav CLEANUP(buf_release) = BUF_INIT(1 << 20);
    int16_t sample;
    int low = 0, high = 0, crossings = 0;

    CHECK_OK(sim_tone(&sound, 500 * NS_MS, 400));
    CHECK_EQ(sound.n, SIM_SAMPLE_RATE); /* half a second of two bytes each */
    sim_wav_header(&wav, (uint32_t)sound.n);
    CHECK_EQ(wav.n, 44);
    CHECK_MEM(wav.p, "RIFF", 4);
    CHECK_EQ(le32(wav.p + 4), 36 + sound.n);
    CHECK_EQ(le32(wav.p + 24), SIM_SAMPLE_RATE);
    CHECK_EQ(le32(wav.p + 40), sound.n);
    for (size_t i = 0, before = 0; i + 1 < sound.n; i += 2) {
        memcpy(&sample, sound.p + i, sizeof(sample));
        low = sample < low ? sample : low;
        high = sample > high ? sample : high;
        crossings += i > 0 && (sample >= 0) != before;
        before = sample >= 0;
    }
    CHECK(low < -7000 && high > 7000);
    CHECK(crossings >= 2 * 200 - 4 && crossings <= 2 * 200 + 4); /* 400 hertz for half a second */
    struct buf small CLEANUP(buf_release) = BUF_INIT(100);
    CHECK_ERR(sim_tone(&small, NS_SEC, 400), E_TOO_LARGE);
}

static uint32_t be32(const char *p)
{
    return (uint32_t)(unsigned char)p[0] << 24 | (uint32_t)(unsigned char)p[1] << 16 |
           (uint32_t)(unsigned char)p[2] << 8 | (unsigned char)p[3];
}

TEST(sim_pictures_are_valid_png_files)
{
    struct buf png CLEANUP(buf_release) = BUF_INIT(1 << 20);
    unsigned char rows[33 * 20];
    unsigned long n = sizeof(rows);
    size_t at = 8, chunks = 0, inflated = 0;

    CHECK_OK(sim_png(&png, 250, 20, 0x112233));
    CHECK_MEM(png.p, "\x89PNG\r\n\x1a\n", 8);
    for (; at + 12 <= png.n; chunks++) {
        uint32_t size = be32(png.p + at);
        CHECK_LE(at + 12 + size, png.n);
        CHECK_EQ(be32(png.p + at + 8 + size), crc32(0, (const unsigned char *)png.p + at + 4, 4 + size));
        if (memcmp(png.p + at + 4, "IDAT", 4) == 0) {
            CHECK_EQ(uncompress(rows, &n, (const unsigned char *)png.p + at + 8, size), Z_OK);
            inflated = n;
        }
        at += 12 + size;
    }
    CHECK_EQ(at, png.n);
    CHECK_EQ(chunks, 4);
    CHECK_EQ(inflated, 20 * (1 + 32)); /* a filter byte and 250 bits for each row */
    CHECK_EQ(be32(png.p + 16), 250);
    CHECK_EQ(png.p[24], 1); /* bit per pixel */
    CHECK_EQ(png.p[25], 3); /* palette       */
    CHECK_ERR(sim_png(&png, 0, 5, 0), E_TOO_LARGE);
    CHECK_ERR(sim_png(&png, 5, 5000, 0), E_TOO_LARGE);
}

/* --- multipart --- */

#define TYPE STR("multipart/form-data; charset=x; boundary=\"b-1\"")

TEST(sim_multipart_parts_are_found_whatever_they_hold)
{
    struct multipart m;
    struct multipart_part p;
    struct str body = STR(
        "preamble\r\n--b-1\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n"
        "--b-1 \t\r\ncontent-type: text/x\r\nCONTENT-DISPOSITION: form-data; filename=\"a;b.txt\"; name=file\r\n\r\n"
        "one\r\n--b-2\r\n--b\r\nb-1\r\n\r\n--b-1\r\ncontent-disposition: form-data; "
        "name=\"empty\"\r\n\r\n\r\n--b-1--\r\nepilogue");

    CHECK(multipart_open(&m, TYPE, body));
    CHECK_EQ(multipart_next(&m, &p), MULTIPART_PART);
    CHECK_STR(p.name, "purpose");
    CHECK_STR(p.body, "batch");
    CHECK(p.filename.p == NULL);
    CHECK_EQ(multipart_next(&m, &p), MULTIPART_PART);
    CHECK_STR(p.name, "file");
    CHECK_STR(p.filename, "a;b.txt");
    CHECK_STR(p.type, "text/x");
    CHECK_STR(p.body, "one\r\n--b-2\r\n--b\r\nb-1\r\n");
    CHECK_EQ(multipart_next(&m, &p), MULTIPART_PART);
    CHECK_STR(p.name, "empty");
    CHECK_STR(p.body, "");
    CHECK_EQ(multipart_next(&m, &p), MULTIPART_END);
    CHECK_EQ(multipart_next(&m, &p), MULTIPART_END);
}

TEST(sim_a_multipart_body_that_breaks_off_anywhere_is_an_error)
{
    struct str body = STR("--b-1\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--b-1--");
    struct multipart m;
    struct multipart_part p;

    for (size_t n = 0; n < body.n; n++) {
        enum multipart_result r = MULTIPART_ERROR;
        if (multipart_open(&m, TYPE, str_slice(body, 0, n)))
            while ((r = multipart_next(&m, &p)) == MULTIPART_PART)
                continue;
        CHECK_MSG(r == MULTIPART_ERROR, "cut to %zu bytes", n);
    }
    CHECK(!multipart_open(&m, STR("application/json"), body));
    CHECK(!multipart_open(&m, STR("multipart/form-data"), body));
    CHECK(!multipart_open(&m, STR("multipart/form-data; boundary=other"), body));
    CHECK(multipart_open(&m, STR("Multipart/Form-Data;boundary=b-1"),
                         str_slice(STR("--b-1\r\n\r\nno name\r\n--b-1--"), 0, 99)));
    CHECK_EQ(multipart_next(&m, &p), MULTIPART_ERROR);
}

/* --- files --- */

static struct stored_file *add(struct file_store *s, const char *id, size_t bytes, char *memory)
{
    struct stored_file *f;

    return file_store_add(s, str_from_c(id), STR("n"), STR("p"), str_of(memory, bytes), 0, &f) == OK ? f : NULL;
}

TEST(sim_files_are_kept_until_there_is_no_room)
{
    struct file_store *s = file_store_new(256 << 10);
    struct arena a CLEANUP(arena_release);
    char id[16];

    arena_init(&a, SIZE_MAX);
    char *memory = arena_zalloc(&a, 100 << 10);
    CHECK(add(s, "one", 100 << 10, memory) && add(s, "two", 100 << 10, memory));
    CHECK(file_store_find(s, STR("one")) != NULL);
    struct stored_file *two = file_store_find(s, STR("two"));
    CHECK(add(s, "three", 100 << 10, memory) != NULL);
    CHECK(file_store_find(s, STR("one")) == NULL);
    file_store_use(two); /* being sent while it is removed */
    file_store_remove(s, two);
    CHECK(file_store_find(s, STR("two")) == NULL);
    CHECK_EQ(two->bytes.n, 100 << 10);
    CHECK_EQ(two->bytes.p[0], 0);
    file_store_unuse(two);
    for (int i = 0; i < FILE_STORE_COUNT; i++) {
        snprintf(id, sizeof(id), "f%d", i);
        CHECK(add(s, id, 1, memory) != NULL);
    }
    CHECK(file_store_find(s, STR("three")) == NULL);
    CHECK(file_store_find(s, STR("f0")) != NULL);
    CHECK_STR(file_store_next(s, NULL)->id, "f999");
    file_store_free(s);
}

TEST(sim_counts_add_up)
{
    struct buf json CLEANUP(buf_release) = BUF_INIT(1 << 16);
    struct sim_counts sum = {0}, more = {.requests = 2, .cancelled = 1};

    sim_count(&more.faults[SIM_FAULT_STALL], 3);
    sim_counts_add(&sum, &more);
    sim_counts_add(&sum, &more);
    CHECK_EQ(sum.requests, 4);
    CHECK_EQ(sum.cancelled, 2);
    sim_counts_write(&sum, &json);
    CHECK(str_find(buf_str(&json), STR("\"stall\":6,")) < json.n);
    CHECK(str_find(buf_str(&json), STR("\"none\"")) == json.n);
}
