/*
 * segments_read.c - reading a log of segments, also one that is being written or was cut off.
 *
 * A frame counts if its marker, lengths and checksum are right. Where none stands, the next marker is looked for: damage in the middle of a file
 * costs the frames it touched, a torn end nothing but itself.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "store/segments_int.h"

#include <errno.h>
#include <string.h>
#include <zstd.h>

enum { WINDOW = FRAME_HEAD + 2 * FRAME_RAW_MAX }; /* a whole frame and more, at once */

struct segment_reader {
    const struct seams *seams;
    char *dir;
    int64_t since;
    struct segment_file *files;
    size_t file_count, at_file;
    int h;                /* -1: none */
    uint64_t offset;      /* of the window in its file */
    char *window;         /* [0, filled): bytes of the file */
    size_t filled, taken; /* taken: already looked at       */
    bool ended;           /* the window reaches the file's end */
    bool follows, at_end; /* at_end: the last call found nothing more */
    char *raw;            /* records of a frame that was packed */
    struct str records;   /* of the frame that are still to be told */
    uint64_t skipped;
};

err_t segment_reader_open(const struct seams *seams, const char *dir, int64_t since, struct segment_reader **ret)
{
    struct segment_file *files = NULL;
    size_t count = 0;

    TRY(segment_list(seams, dir, &files, &count));
    struct segment_reader *r = NEW(struct segment_reader);
    *r = (struct segment_reader){.seams = seams, .since = since, .files = files, .file_count = count, .h = -1};
    r->dir = mem_dup(dir, strlen(dir));
    r->window = mem_alloc(WINDOW);
    r->raw = mem_alloc(FRAME_RAW_MAX);
    *ret = r;
    return OK;
}

void segment_reader_close(struct segment_reader *r)
{
    if (r->h >= 0)
        r->seams->disk->close(r->seams->ctx, r->h);
    mem_free(r->files);
    mem_free(r->dir);
    mem_free(r->window);
    mem_free(r->raw);
    mem_free(r);
}

void segment_reader_follow(struct segment_reader *r)
{
    r->follows = true;
}

uint64_t segment_reader_skipped(const struct segment_reader *r)
{
    return r->skipped;
}

/* Make the window begin at what was not looked at yet, and fill it. */
static err_t slide(struct segment_reader *r)
{
    const struct seams *s = r->seams;

    memmove(r->window, r->window + r->taken, r->filled - r->taken);
    r->offset += r->taken;
    r->filled -= r->taken;
    r->taken = 0;
    while (r->filled < WINDOW && !r->ended) {
        ssize_t got = s->disk->pread(s->ctx, r->h, r->window + r->filled, WINDOW - r->filled, r->offset + r->filled);
        if (got < 0)
            return fail(E_IO, "cannot read a segment in %s: %s", r->dir, strerrordesc_np((int)-got));
        r->ended = got == 0;
        r->filled += (size_t)got;
    }
    return OK;
}

/* Begin the next file; false: there is none. One that has gone meanwhile is passed over. */
static bool next_file(struct segment_reader *r)
{
    const struct seams *s = r->seams;

    if (r->h >= 0)
        s->disk->close(s->ctx, r->h);
    r->h = -1;
    while (r->h < 0 && r->at_file < r->file_count) {
        const struct segment_file *f = &r->files[r->at_file++];
        bool may_be_written = r->follows && r->at_file == r->file_count;
        if (f->mtime < r->since && !may_be_written)
            continue;
        char *path = segment_path(r->dir, f->number);
        r->h = s->disk->open(s->ctx, path, DISK_READ);
        mem_free(path);
    }
    r->offset = r->filled = r->taken = 0;
    r->ended = false;
    return r->h >= 0;
}

static struct str left(const struct segment_reader *r)
{
    return str_of(r->window + r->taken, r->filled - r->taken);
}

/* The files as they are now, behind those that were begun. */
static err_t look_again(struct segment_reader *r)
{
    uint64_t begun = r->at_file ? r->files[r->at_file - 1].number : 0;
    struct segment_file *files = NULL;
    size_t count = 0, at = 0;

    TRY(segment_list(r->seams, r->dir, &files, &count));
    while (at < count && files[at].number <= begun)
        at++;
    if (at == count && r->at_file) { /* nothing new: what is known stays, as the number that was begun is in it */
        mem_free(files);
        return OK;
    }
    mem_free(r->files);
    r->files = files;
    r->file_count = count;
    r->at_file = at;
    return OK;
}

/* Of the newest file: may its end be a frame that is being written just now? */
static bool may_grow(const struct segment_reader *r, struct str in)
{
    if (!r->follows || r->at_file < r->file_count || !r->ended)
        return false;
    if (in.n < FRAME_HEAD)
        return true;
    return be32_get(in.p + AT_MARKER) == SEGMENT_MARKER && be32_get(in.p + AT_RAW) <= FRAME_RAW_MAX &&
           be32_get(in.p + AT_STORED) <= be32_get(in.p + AT_RAW) && be32_get(in.p + AT_STORED) > in.n - FRAME_HEAD;
}

/* A whole frame at the beginning of `in`? Its length; 0: none. */
static size_t frame_length(struct str in)
{
    if (in.n < FRAME_HEAD || be32_get(in.p + AT_MARKER) != SEGMENT_MARKER)
        return 0;
    size_t stored = be32_get(in.p + AT_STORED), raw = be32_get(in.p + AT_RAW);
    if (raw > FRAME_RAW_MAX || stored > raw || stored > in.n - FRAME_HEAD)
        return 0;
    return frame_sum(in.p, str_of(in.p + FRAME_HEAD, stored)) == be32_get(in.p + AT_SUM) ? FRAME_HEAD + stored : 0;
}

/* Pass over bytes up to where a frame may begin. */
static void seek_marker(struct segment_reader *r)
{
    char marker[4];
    struct str in = left(r);

    be32_put(marker, SEGMENT_MARKER);
    size_t at = in.n ? 1 + str_find(str_slice(in, 1, in.n), str_of(marker, sizeof marker)) : 0;
    if (at >= in.n) /* the marker may have begun in the last bytes */
        at = r->ended || in.n < sizeof marker ? in.n : in.n - (sizeof marker - 1);
    r->taken += at;
    r->skipped += at;
}

static bool is_legal(struct str records, uint32_t count)
{
    size_t at = 0;

    for (; at + 4 <= records.n; count--) {
        uint32_t n = be32_get(records.p + at);
        if (n < 4 || n > records.n - at || !count)
            return false;
        at += n;
    }
    return at == records.n && !count;
}

/* The records of the frame in front. False: there are none that can be used. */
static bool unpack(struct segment_reader *r, struct str frame)
{
    struct str stored = str_slice(frame, FRAME_HEAD, frame.n);
    size_t raw = be32_get(frame.p + AT_RAW);

    if ((int64_t)be64_get(frame.p + AT_WALL) < r->since)
        return true;
    if (be32_get(frame.p + AT_PACKING) == PACKED_NOT)
        r->records = stored;
    else if (ZSTD_decompress(r->raw, FRAME_RAW_MAX, stored.p, stored.n) == raw)
        r->records = str_of(r->raw, raw);
    if (is_legal(r->records, be32_get(frame.p + AT_COUNT)))
        return true;
    r->records = STR_NONE;
    return false;
}

/* Go on to the next frame with records to tell; *ret_done: there is none. */
static err_t next_frame(struct segment_reader *r, bool *ret_done)
{
    if (r->follows && r->at_end) {
        TRY(look_again(r));
        r->at_end = r->ended = false;
    }
    while (!r->records.n) {
        bool is_over = r->h < 0 || (r->ended && r->taken == r->filled && !may_grow(r, STR_NONE));
        if (is_over && !next_file(r))
            break;
        if (r->filled - r->taken < WINDOW / 2 && !r->ended)
            TRY(slide(r));
        if (r->offset + r->taken == 0 && r->filled >= FILE_HEAD && memcmp(r->window, SEGMENT_MAGIC, 8) == 0)
            r->taken = FILE_HEAD;
        size_t n = frame_length(left(r));
        if (n && unpack(r, str_slice(left(r), 0, n)))
            r->taken += n;
        else if (!n && may_grow(r, left(r)))
            break;
        else
            seek_marker(r);
    }
    *ret_done = r->at_end = !r->records.n;
    return OK;
}

err_t segment_reader_next(struct segment_reader *r, struct str *ret_record)
{
    bool done = false;

    *ret_record = STR_NONE;
    if (!r->records.n)
        TRY(next_frame(r, &done));
    if (done)
        return OK;
    size_t n = be32_get(r->records.p);
    *ret_record = str_slice(r->records, 0, n);
    r->records = str_slice(r->records, n, r->records.n);
    return OK;
}
