/*
 * segments.c - writing a log of segments: records into frames, frames into files, old files away.
 *
 * The writer's thread brings records end to end; they are gathered until it has no more at hand or a frame is full, then packed and written with one
 * call. A segment that fails to take a frame is left behind as it is, its end being recognisably torn, and the next frame begins another:
 * nothing is ever written behind damage. Segments are begun when there is something to write, so restarts leave no empty files.
 *
 * Not here: reading (segments_read.c).
 */
#include "base/buf.h"
#include "base/mem.h"
#include "rt/loop_int.h"
#include "rt/writer.h"
#include "store/segments_int.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum {
    PACK_LEVEL = 1,
    PACK_MIN = 256,               /* below that, packing gains nothing          */
    LIST_BYTES = 4 * 1024 * 1024, /* names of a folder's files                  */
    AGES = 8,                     /* segments that the greatest age is cut into */
    NUMBERS_TRIED = 1000,         /* for a segment, where others have taken some */
};

struct segments {
    struct writer *writer;
    /* The rest belongs to the writer's thread. */
    const struct seams *seams;
    struct segments_rules rules;
    char *dir;
    int h; /* of the segment under way; -1: none */
    uint64_t next, written;
    int64_t begun;
    struct buf records; /* of the frame under way */
    char *frame;
    size_t frame_room;
    ZSTD_CCtx *packer;
};

/* --- files --- */

uint32_t frame_sum(const char *head, struct str stored)
{
    uLong sum = crc32(0, (const unsigned char *)head, AT_SUM);
    return (uint32_t)crc32(sum, (const unsigned char *)stored.p, (unsigned)stored.n);
}

char *segment_path(const char *dir, uint64_t number)
{
    size_t n = strlen(dir) + 32;
    char *path = mem_alloc(n);

    (void)snprintf(path, n, "%s/%016" PRIx64 ".seg", dir, number);
    return path;
}

static bool read_name(const char *name, uint64_t *ret_number)
{
    struct str s = str_from_c(name);
    return s.n == 20 && str_ends(s, STR(".seg")) && str_hex_to_u64(str_slice(s, 0, 16), UINT64_MAX, ret_number);
}

static int by_number(const void *a, const void *b)
{
    const struct segment_file *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

err_t segment_list(const struct seams *s, const char *dir, struct segment_file **ret, size_t *ret_count)
{
    char *names = mem_alloc(LIST_BYTES);
    ssize_t n = s->disk->list(s->ctx, dir, names, LIST_BYTES);
    size_t count = 0, cap = 0;
    struct segment_file *files = NULL;

    if (n < 0) {
        mem_free(names);
        return fail(n == -ENOENT ? E_NOT_FOUND : E_IO, "cannot list %s: %s", dir, strerrordesc_np((int)-n));
    }
    for (const char *name = names; name < names + n; name += strlen(name) + 1) {
        struct segment_file f = {0};
        struct disk_stat stat;
        if (!read_name(name, &f.number))
            continue;
        char *path = segment_path(dir, f.number);
        int e = s->disk->stat(s->ctx, path, &stat);
        mem_free(path);
        if (e != 0) /* somebody took it away just now */
            continue;
        f.size = stat.size;
        f.mtime = stat.mtime;
        if (count == cap) {
            cap = cap ? 2 * cap : 64;
            files = mem_realloc(files, cap * sizeof *files);
        }
        files[count++] = f;
    }
    mem_free(names);
    if (count)
        qsort(files, count, sizeof *files, by_number);
    *ret = files;
    *ret_count = count;
    return OK;
}

/* Whole old files away, so that with another segment the log stays within its bounds. */
static void prune(struct segments *g)
{
    const struct seams *s = g->seams;
    struct segment_file *files = NULL;
    size_t count = 0;
    uint64_t total = g->rules.segment_bytes;

    if (segment_list(s, g->dir, &files, &count) != OK)
        return; /* tried again with the next segment */
    for (size_t i = 0; i < count; i++)
        total += files[i].size;
    int64_t now = s->clock->wall(s->ctx);
    for (size_t i = 0; i < count; i++) {
        bool old = g->rules.max_age != NS_NEVER && now - files[i].mtime > g->rules.max_age;
        if (!old && total <= g->rules.total_bytes)
            continue;
        char *path = segment_path(g->dir, files[i].number);
        if (s->disk->remove(s->ctx, path) == 0)
            total -= files[i].size;
        mem_free(path);
    }
    mem_free(files);
}

static void end_segment(struct segments *g)
{
    const struct seams *s = g->seams;

    if (g->h < 0)
        return;
    (void)s->disk->sync(s->ctx, g->h); /* what the disk refused is known by its next write */
    s->disk->close(s->ctx, g->h);
    g->h = -1;
}

static bool write_whole(struct segments *g, const char *p, size_t n)
{
    const struct seams *s = g->seams;

    while (n) {
        ssize_t put = s->disk->pwrite(s->ctx, g->h, p, n, g->written);
        if (put <= 0)
            return false;
        p += put;
        n -= (size_t)put;
        g->written += (uint64_t)put;
    }
    return true;
}

/* Make a file with the next number that is free: a process that is about to end may still begin segments of its own. */
static int make_file(struct segments *g)
{
    const struct seams *s = g->seams;
    int h = -EEXIST;

    for (int tries = 0; h == -EEXIST && tries < NUMBERS_TRIED; tries++) {
        char *path = segment_path(g->dir, g->next++);
        h = s->disk->open(s->ctx, path, DISK_WRITE | DISK_CREATE | DISK_NEW);
        mem_free(path);
    }
    return h;
}

static bool begin_segment(struct segments *g, int64_t now)
{
    char head[FILE_HEAD] = SEGMENT_MAGIC;

    prune(g);
    g->h = make_file(g);
    if (g->h < 0)
        return false;
    g->written = 0;
    g->begun = now;
    be64_put(head + 8, (uint64_t)now);
    return write_whole(g, head, sizeof head);
}

/* --- frames --- */

/* The frame of what is gathered, in g->frame. */
static struct str pack(struct segments *g, int64_t now, uint32_t count)
{
    struct str raw = buf_str(&g->records);
    size_t stored = raw.n >= PACK_MIN ? ZSTD_compressCCtx(g->packer, g->frame + FRAME_HEAD, g->frame_room - FRAME_HEAD,
                                                          raw.p, raw.n, PACK_LEVEL)
                                      : raw.n;
    bool packed = raw.n >= PACK_MIN && !ZSTD_isError(stored) && stored < raw.n;

    if (!packed) {
        stored = raw.n;
        memcpy(g->frame + FRAME_HEAD, raw.p, raw.n);
    }
    be32_put(g->frame + AT_MARKER, SEGMENT_MARKER);
    be32_put(g->frame + AT_STORED, (uint32_t)stored);
    be32_put(g->frame + AT_RAW, (uint32_t)raw.n);
    be32_put(g->frame + AT_COUNT, count);
    be64_put(g->frame + AT_WALL, (uint64_t)now);
    be32_put(g->frame + AT_PACKING, packed ? PACKED_ZSTD : PACKED_NOT);
    be32_put(g->frame + AT_SUM, frame_sum(g->frame, str_of(g->frame + FRAME_HEAD, stored)));
    return str_of(g->frame, FRAME_HEAD + stored);
}

static uint32_t count_records(struct str records)
{
    uint32_t count = 0;

    for (size_t at = 0; at < records.n; at += be32_get(records.p + at))
        count++;
    return count;
}

static bool is_due(const struct segments *g, size_t frame, int64_t now)
{
    return g->h < 0 || g->written + frame > g->rules.segment_bytes ||
           (g->rules.max_age != NS_NEVER && now - g->begun > g->rules.max_age / AGES);
}

/* Write what is gathered; returns how many records could not be. */
static uint64_t flush(void *ctx)
{
    struct segments *g = ctx;

    if (!g->records.n)
        return 0;
    int64_t now = g->seams->clock->wall(g->seams->ctx);
    uint32_t count = count_records(buf_str(&g->records));
    struct str frame = pack(g, now, count);
    buf_clear(&g->records);
    if (is_due(g, frame.n, now)) {
        end_segment(g);
        if (!begin_segment(g, now)) {
            end_segment(g);
            return count;
        }
    }
    if (write_whole(g, frame.p, frame.n))
        return 0;
    end_segment(g);
    return count;
}

/* Are the records at hand whole? A record may come in two calls. */
static bool is_whole(struct str records)
{
    size_t at = 0;

    while (at + 4 <= records.n)
        at += be32_get(records.p + at);
    return at == records.n;
}

static uint64_t gather(void *ctx, const char *p, size_t n)
{
    struct segments *g = ctx;

    (void)buf_add(&g->records, str_of(p, n)); /* there is room for what a ring holds, on top of a full frame */
    return g->records.n >= FRAME_RAW_MAX / 2 && is_whole(buf_str(&g->records)) ? flush(g) : 0;
}

/* --- life --- */

static void segments_end(void *ctx)
{
    struct segments *g = ctx;

    end_segment(g);
    buf_release(&g->records);
    (void)ZSTD_freeCCtx(g->packer);
    mem_free(g->frame);
    mem_free(g->dir);
    mem_free(g);
}

static err_t find_next(struct segments *g)
{
    struct segment_file *files = NULL;
    size_t count = 0;

    TRY(segment_list(g->seams, g->dir, &files, &count));
    g->next = count ? files[count - 1].number + 1 : 1;
    mem_free(files);
    return OK;
}

static err_t prepare(struct segments *g)
{
    int e = g->seams->disk->make_dir(g->seams->ctx, g->dir);

    if (e != 0)
        return fail(E_IO, "cannot make the folder %s: %s", g->dir, strerrordesc_np(-e));
    err_t listed = find_next(g);
    if (listed == E_NOT_FOUND) { /* a simulated disk makes folders with their first file */
        g->next = 1;
        return OK;
    }
    return listed;
}

err_t segments_open(const struct segments_rules *rules, struct segments **ret)
{
    static const struct writer_sink sink = {.write = gather, .flush = flush, .close = segments_end};

    if (rules->segment_bytes < 2 * FRAME_RAW_MAX || rules->total_bytes / 2 < rules->segment_bytes)
        return fail(E_CONFIG, "a segment must have at least %d bytes, and all together at least twice a segment's",
                    2 * FRAME_RAW_MAX);
    struct segments *g = NEW(struct segments);
    g->seams = loop_seams();
    g->rules = *rules;
    g->dir = mem_dup(rules->dir, strlen(rules->dir));
    g->h = -1;
    buf_init(&g->records, FRAME_RAW_MAX);
    g->frame_room = FRAME_HEAD + ZSTD_compressBound(FRAME_RAW_MAX);
    g->frame = mem_alloc(g->frame_room);
    g->packer = ZSTD_createCCtx();
    err_t e = prepare(g);
    if (e == OK)
        e = writer_start("facts", &sink, g, &g->writer);
    if (e != OK) {
        segments_end(g);
        return e;
    }
    *ret = g;
    return OK;
}

bool segments_put(struct segments *s, struct str record)
{
    assert(record.n >= 4 && record.n <= SEGMENT_RECORD_MAX && be32_get(record.p) == record.n);
    return writer_put(s->writer, record);
}

uint64_t segments_lost(const struct segments *s)
{
    return writer_dropped(s->writer);
}

void segments_close(struct segments *s)
{
    if (s)
        writer_close(s->writer);
}
