/* file_marks_test.c - what a source remembers of its files: heads, and the layout in the journal. */
#include "pipeline/run/file_marks.h"

#include "base/prng.h"
#include "unit/test.h"

TEST(file_head_is_its_first_line_or_its_beginning_and_unknown_before)
{
    char text[2 * FILE_HEAD_MAX];

    memset(text, 'x', sizeof text);
    CHECK_EQ(file_head_bytes(STR("ab\ncd"), false), 3);
    CHECK_EQ(file_head_bytes(STR("\n"), false), 1);
    CHECK_EQ(file_head_bytes(STR("ab"), false), 0);
    CHECK_EQ(file_head_bytes(STR("ab"), true), 2);
    CHECK_EQ(file_head_bytes(STR(""), true), 0);
    CHECK_EQ(file_head_bytes(str_of(text, FILE_HEAD_MAX - 1), false), 0);
    CHECK_EQ(file_head_bytes(str_of(text, FILE_HEAD_MAX), false), FILE_HEAD_MAX);
    text[FILE_HEAD_MAX] = '\n';
    CHECK_EQ(file_head_bytes(str_of(text, sizeof text), false), FILE_HEAD_MAX);
    text[FILE_HEAD_MAX - 1] = '\n';
    CHECK_EQ(file_head_bytes(str_of(text, sizeof text), false), FILE_HEAD_MAX);
    text[FILE_HEAD_MAX - 2] = '\n';
    CHECK_EQ(file_head_bytes(str_of(text, sizeof text), false), FILE_HEAD_MAX - 1);
}

TEST(file_heads_that_differ_have_other_hashes)
{
    CHECK(file_head_hash(STR("a\n")) == file_head_hash(STR("a\n")));
    CHECK(file_head_hash(STR("a\n")) != file_head_hash(STR("b\n")));
}

TEST(file_marks_are_read_as_they_were_written)
{
    struct buf packed CLEANUP(buf_release) = BUF_INIT(1 << 20);
    static struct file_mark marks[FILE_MARKS_MAX], read[FILE_MARKS_MAX];
    struct prng draw;
    uint64_t next;
    size_t count;

    prng_seed(&draw, test_seed());
    for (size_t i = 0; i < FILE_MARKS_MAX; i++)
        marks[i] = (struct file_mark){.device = prng_next(&draw),
                                      .inode = prng_next(&draw),
                                      .head = prng_next(&draw),
                                      .head_n = (uint32_t)prng_below(&draw, FILE_HEAD_MAX + 1),
                                      .skips = prng_below(&draw, 2),
                                      .at = prng_next(&draw)};
    CHECK_EQ(file_marks_pack(UINT64_MAX - 1, marks, FILE_MARKS_MAX, &packed), OK);
    CHECK_EQ(file_marks_unpack(buf_str(&packed), &next, read, &count), OK);
    CHECK(next == UINT64_MAX - 1);
    CHECK_EQ(count, FILE_MARKS_MAX);
    for (size_t i = 0; i < count; i++) {
        const struct file_mark *m = &marks[i], *r = &read[i];
        CHECK(m->device == r->device && m->inode == r->inode && m->head == r->head && m->head_n == r->head_n);
        CHECK(m->skips == r->skips && m->at == r->at);
    }
}

TEST(file_marks_that_are_damaged_are_told)
{
    struct buf packed CLEANUP(buf_release) = BUF_INIT(1 << 20);
    static struct file_mark marks[FILE_MARKS_MAX];
    const struct file_mark one = {.head_n = FILE_HEAD_MAX + 1};
    uint64_t next = 7;
    size_t count = 7;

    CHECK_EQ(file_marks_unpack(STR_NONE, &next, marks, &count), OK);
    CHECK(next == 0 && count == 0);
    CHECK_EQ(file_marks_unpack(STR(""), &next, marks, &count), E_IO);
    CHECK_EQ(file_marks_pack(1, &one, 1, &packed), OK);
    CHECK_EQ(file_marks_unpack(buf_str(&packed), &next, marks, &count), E_IO); /* its head is too long */
    CHECK_EQ(file_marks_unpack(str_slice(buf_str(&packed), 0, packed.n - 1), &next, marks, &count), E_IO);
    packed.p[0]++;
    CHECK_EQ(file_marks_unpack(str_slice(buf_str(&packed), 0, 9), &next, marks, &count), E_IO);
}
