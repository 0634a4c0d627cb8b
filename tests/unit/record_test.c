/* record_test.c - structs to bytes and back: every kind of field, other versions of a table, damage. */
#include "observe/record.h"

#include "base/bytes.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

struct part {
    struct str name;
    double score;
};
struct whole {
    uint64_t big;
    int64_t span;
    unsigned count;
    int code;
    bool yes;
    double share;
    struct str name;
    int fruit;
    struct part *parts;
    size_t part_count;
};

static const char *fruit_name(int fruit)
{
    return fruit == 1 ? "pear" : "apple";
}

#define SHORT_PART_FIELDS(F, T) F(T, name, STR, "name")
#define PART_FIELDS(F, T) SHORT_PART_FIELDS(F, T) F(T, score, FLOAT, "score")
RECORD_TABLE(part, struct part, PART_FIELDS)
RECORD_TABLE(short_part, struct part, SHORT_PART_FIELDS)
static const struct record_type part_type = {.name = "part", RECORD_OF(part, struct part)};
static const struct record_type short_part_type = {.name = "part", RECORD_OF(short_part, struct part)};

#define ALL_BUT_FRUIT(F, T, part)                                                                                      \
    F(T, big, U64, "big")                                                                                              \
    F(T, span, I64, "span")                                                                                            \
    F(T, count, UINT, "count")                                                                                         \
    F(T, code, INT, "code")                                                                                            \
    F(T, yes, BOOL, "yes")                                                                                             \
    F(T, share, FLOAT, "share")                                                                                        \
    F(T, parts, LIST, "parts", &(part), part_count)                                                                    \
    F(T, name, STR, "name")
#define OLD_FIELDS(F, T) ALL_BUT_FRUIT(F, T, short_part_type)
#define WHOLE_FIELDS(F, T) ALL_BUT_FRUIT(F, T, part_type) F(T, fruit, ENUM, "fruit", fruit_name)
RECORD_TABLE(old, struct whole, OLD_FIELDS)
RECORD_TABLE(whole, struct whole, WHOLE_FIELDS)
static const struct record_type whole_type = {.id = 7, .name = "whole", RECORD_OF(whole, struct whole)};
static const struct record_type old_type = {.id = 7, .name = "whole", RECORD_OF(old, struct whole)};

static struct part parts[] = {{STR_INIT("a"), 0.5}, {STR_INIT("b\"c"), -2}};
static const struct whole sample = {.big = UINT64_MAX,
                                    .span = INT64_MIN,
                                    .count = 4000000000u,
                                    .code = -5,
                                    .yes = true,
                                    .share = 0.25,
                                    .name = STR_INIT("n"),
                                    .fruit = 1,
                                    .parts = parts,
                                    .part_count = 2};

TEST(record_gives_back_every_kind_of_field)
{
    struct arena a CLEANUP(arena_release);
    struct buf b CLEANUP(buf_release) = BUF_INIT(4096), json CLEANUP(buf_release) = BUF_INIT(4096);
    struct whole got;

    arena_init(&a, 1 << 20);
    CHECK_OK(record_write(&whole_type, &sample, &b));
    CHECK_EQ(record_type_of(buf_str(&b)), 7);
    CHECK_EQ(be32_get(b.p), b.n);
    CHECK_OK(record_read(&whole_type, buf_str(&b), &a, &got));
    CHECK(got.big == sample.big && got.span == sample.span && got.count == sample.count && got.code == -5 && got.yes);
    CHECK(got.share == 0.25 && got.fruit == 1 && got.part_count == 2 && got.parts[1].score == -2);
    CHECK_STR(got.name, "n");
    CHECK_STR(got.parts[1].name, "b\"c");
    CHECK_OK(record_json(&whole_type, &got, &json));
    CHECK_STR(buf_str(&json),
              "{\"big\":18446744073709551615,\"span\":-9223372036854775808,\"count\":4000000000,\"code\":-5,"
              "\"yes\":true,\"share\":0.25,\"parts\":[{\"name\":\"a\",\"score\":0.5},{\"name\":\"b\\\"c\",\"score\":"
              "-2}],\"name\":\"n\",\"fruit\":\"pear\"}");
}

TEST(record_that_does_not_fit_is_refused_wherever_it_ends)
{
    struct buf whole CLEANUP(buf_release) = BUF_INIT(4096);
    struct whole given = sample;

    given.name = STR("a text that takes more than the room for the few numbers behind it would be enough for");
    CHECK_OK(record_write(&whole_type, &given, &whole));
    for (size_t max = 0; max < whole.n; max++) {
        struct buf b CLEANUP(buf_release) = BUF_INIT(max);
        CHECK_ERR(record_write(&whole_type, &given, &b), E_TOO_LARGE);
        CHECK_LE(b.n, max);
    }
}

TEST(record_keeps_doubles_exactly_and_floats_short)
{
    static const double values[] = {0.1, 1.0 / 3, 1e300, -1e-300, 0x1p200, 5e-324 * 0x1p33, -0.0, 0.25, 3};

    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct arena a CLEANUP(arena_release);
        struct buf b CLEANUP(buf_release) = BUF_INIT(4096), plain CLEANUP(buf_release) = BUF_INIT(4096);
        struct whole got, real = sample;
        arena_init(&a, 1 << 20);
        real.share = values[i];
        CHECK_OK(record_write(&whole_type, &real, &b));
        CHECK_OK(record_read(&whole_type, buf_str(&b), &a, &got));
        CHECK(memcmp(&got.share, &values[i], sizeof values[i]) == 0);
        CHECK_STR(got.name, "n");
        CHECK_OK(record_write(&whole_type, &sample, &plain));
        if (i >= 7)
            CHECK_EQ(b.n, plain.n);
    }
}

TEST(record_tables_may_grow)
{
    struct arena a CLEANUP(arena_release);
    struct buf b CLEANUP(buf_release) = BUF_INIT(4096);
    struct whole got;

    arena_init(&a, 1 << 20);
    CHECK_OK(record_write(&old_type, &sample, &b)); /* old writer, new reader */
    CHECK_OK(record_read(&whole_type, buf_str(&b), &a, &got));
    CHECK(got.fruit == 0 && got.part_count == 2 && got.parts[0].score == 0);
    CHECK_STR(got.name, "n");
    buf_clear(&b);
    CHECK_OK(record_write(&whole_type, &sample, &b)); /* new writer, old reader */
    CHECK_OK(record_read(&old_type, buf_str(&b), &a, &got));
    CHECK_STR(got.parts[1].name, "b\"c");
    CHECK_STR(got.name, "n");
    CHECK(got.parts[1].score == 0 && got.fruit == 0);
}

TEST(record_without_fields_is_of_nobody)
{
    /* of a type that begins with a text; no fields follow, but what might be one */
    static const char none[] = "\0\0\0\x08\x01\x00\x01x", one[] = "\0\0\0\x08\x01\x01\x01x";

    CHECK_EQ(record_first_text(str_of(none, 8)).n, 0);
    CHECK_STR(record_first_text(str_of(one, 8)), "x");
}

TEST(record_that_is_damaged_is_refused_or_read_but_never_beyond_its_end)
{
    struct arena a CLEANUP(arena_release);
    struct buf b CLEANUP(buf_release) = BUF_INIT(4096);
    struct whole got;
    size_t refused = 0;

    arena_init(&a, 64 << 20);
    CHECK_OK(record_write(&whole_type, &sample, &b));
    for (size_t n = 0; n < b.n; n++) { /* cut: the pieces are copied to blocks of their own size */
        char *piece = malloc(n ? n : 1);
        memcpy(piece, b.p, n);
        if (n > 4)
            be32_put(piece, (uint32_t)n);
        CHECK_ERR(record_read(&whole_type, str_of(piece, n), &a, &got), E_PROTOCOL);
        free(piece);
    }
    for (size_t at = 5; at < b.n; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            b.p[at] = (char)(b.p[at] ^ (1 << bit));
            refused += record_read(&whole_type, buf_str(&b), &a, &got) != OK;
            b.p[at] = (char)(b.p[at] ^ (1 << bit));
        }
    CHECK(refused > 20);
}

TEST(record_too_long_for_its_buffer_is_not_written)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(40);

    CHECK_ERR(record_write(&whole_type, &sample, &b), E_TOO_LARGE);
}
