/* file_marks.c - numbers of a fixed size, behind a byte that says which layout it is. */
#include "pipeline/run/file_marks.h"

#include "base/bytes.h"
#include "codec/digest.h"

enum { LAYOUT = 1, HEADER = 9, MARK = 37 };

size_t file_head_bytes(struct str text, bool is_last)
{
    size_t end = str_find_char(text, '\n');

    if (end < text.n && end < FILE_HEAD_MAX)
        return end + 1;
    if (text.n >= FILE_HEAD_MAX)
        return FILE_HEAD_MAX;
    return is_last ? text.n : 0;
}

uint64_t file_head_hash(struct str head)
{
    unsigned char hash[SHA256_BYTES];

    sha256(head, hash);
    return be64_get((const char *)hash);
}

static void put_mark(char *to, const struct file_mark *m)
{
    be64_put(to, m->device);
    be64_put(to + 8, m->inode);
    be64_put(to + 16, m->head);
    be32_put(to + 24, m->head_n);
    to[28] = m->skips;
    be64_put(to + 29, m->at);
}

static struct file_mark get_mark(const char *p)
{
    return (struct file_mark){.device = be64_get(p),
                              .inode = be64_get(p + 8),
                              .head = be64_get(p + 16),
                              .head_n = be32_get(p + 24),
                              .skips = p[28] != 0,
                              .at = be64_get(p + 29)};
}

err_t file_marks_pack(uint64_t next, const struct file_mark *marks, size_t count, struct buf *to)
{
    char header[HEADER] = {LAYOUT}, mark[MARK];

    be64_put(header + 1, next);
    TRY(buf_add(to, str_of(header, sizeof header)));
    for (size_t i = 0; i < count; i++) {
        put_mark(mark, &marks[i]);
        TRY(buf_add(to, str_of(mark, sizeof mark)));
    }
    return OK;
}

err_t file_marks_unpack(struct str packed, uint64_t *ret_next, struct file_mark *ret_marks, size_t *ret_count)
{
    *ret_next = 0;
    *ret_count = 0;
    if (!packed.p)
        return OK;
    if (packed.n < HEADER || packed.p[0] != LAYOUT || (packed.n - HEADER) % MARK ||
        (packed.n - HEADER) / MARK > FILE_MARKS_MAX)
        return fail(E_IO, "what the journal has of the files that were read is damaged, or of a newer version");
    *ret_next = be64_get(packed.p + 1);
    *ret_count = (packed.n - HEADER) / MARK;
    for (size_t i = 0; i < *ret_count; i++) {
        ret_marks[i] = get_mark(packed.p + HEADER + i * MARK);
        if (ret_marks[i].head_n > FILE_HEAD_MAX)
            return fail(E_IO, "what the journal has of a file that was read is damaged");
    }
    return OK;
}
