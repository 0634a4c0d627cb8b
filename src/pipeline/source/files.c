/*
 * files.c - messages from files that are only appended to: a line each.
 *
 * Every so often the pattern is looked up, and whatever stands behind the last line that was taken in of each file is read, up to the last line that is whole.
 * Files are known by their marks (pipeline/run/file_marks.h), not by their names: one that is renamed goes on where it was, as long as this runs
 * also if no pattern finds it any more, because it is held open until it has not grown for a while. One that is shorter than it was, or begins otherwise,
 * was written anew and is read from its beginning.
 *
 * The marks of all files, and the number of the next message, are one progress, which the journal takes together with the messages. So a message has a
 * number that no other of the source ever has, and the same bytes are never taken in twice. Messages of a file have its name as their key, which keeps
 * their order, across a rotation too: the old file's rest comes before the new one in its place.
 *
 * Not here: word from the kernel that a file has grown (it is looked at every `poll`), and lines that are changed after they were read.
 */
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "pipeline/run/file_marks.h"
#include "pipeline/run/run.h"
#include "pipeline/spec/build.h"
#include "pipeline/spec/find_files.h"
#include "rt/disk.h"
#include "rt/loop.h"

#include <string.h>

struct files_source {
    struct schema_text path;
    bool follow;
    uint64_t max_line;
    ns_t poll;
};

static const struct schema_field files_fields[] = {
    SCHEMA_TEXT(
        "path", struct files_source, path, .required = true,
        .doc =
            "Files to read, with `*` and `?`: `/var/log/app/*.ndjson`. So that nothing is missed while this does not "
            "run, it names rotated ones, too."),
    SCHEMA_BOOL("follow", struct files_source, follow, .default_text = "true",
                .doc = "Go on when they grow, and with files that come. Else the pipeline ends with their end."),
    SCHEMA_SIZE("max_line", struct files_source, max_line, .default_text = "1MiB", .min = "1B", .max = "15MiB",
                .doc = "Size of a line; a longer one is a dead letter, with its beginning."),
    SCHEMA_DURATION("poll", struct files_source, poll, .default_text = "1s", .min = "10ms", .max = "1h",
                    .doc = "How often to look."),
    SCHEMA_END};
static const struct schema_object files_object = {
    .fields = files_fields, .size = sizeof(struct files_source), .shorthand = "path"};
static const struct schema_field fields[] = {
    SCHEMA_OBJECT_HERE("files", &files_object, .doc = "Lines of files that are only appended to (NDJSON)."),
    SCHEMA_END};

static const struct promise_row rows[] = {{.when = "append-only",
                                           .promise = PROMISE_EXACTLY,
                                           .how = "a message is device, inode and offset, with a hash of the file's "
                                                  "head; progress is in the journal. What is written over is lost"},
                                          {0}};

/* --- running --- */

enum { READ_AT_ONCE = 256 * 1024, BATCH = 500, REFUSED_SHOWN = 32 * 1024 };
static const ns_t gone_after = 60 * NS_SEC; /* without growth, of a file that no pattern finds any more */

struct reading {
    struct file_mark mark;
    struct disk_file *file; /* NULL: only its mark is known    */
    char *path;             /* where it was found first        */
    ns_t grew;              /* when it was last seen to        */
    bool is_found;          /* by the last look at the pattern */
};

struct files {
    struct intake *in;
    const struct files_source *config;
    struct reading *all; /* in the order in which they were found; room for FILE_MARKS_MAX */
    size_t count;
    uint64_t next;         /* position of the next message                                    */
    struct message *batch; /* room for BATCH                                                  */
    bool is_bad, was_bad;  /* something was in the way, at this look and at the one before    */
};

/* --- taking in --- */

/* As it would be with this file's mark as `mark`, and so many more messages. */
static err_t pack_progress(const struct files *f, const struct reading *r, const struct file_mark *mark, size_t more,
                           struct buf *to)
{
    struct file_mark *marks = mem_alloc((f->count + 1) * sizeof *marks);

    for (size_t i = 0; i < f->count; i++)
        marks[i] = &f->all[i] == r ? *mark : f->all[i].mark;
    err_t e = file_marks_pack(f->next + more, marks, f->count, to);
    mem_free(marks);
    return e;
}

/* The first n of the batch. */
static SUSPENDS err_t put(struct files *f, struct reading *r, size_t n, const struct file_mark *mark)
{
    struct buf progress CLEANUP(buf_release) = BUF_INIT(1 << 20);

    TRY(pack_progress(f, r, mark, n, &progress));
    TRY(intake_put(f->in, f->batch, n, buf_str(&progress)));
    f->next += n;
    r->mark = *mark;
    return OK;
}

static struct message message_of(const struct files *f, const struct reading *r, size_t index, struct str line)
{
    struct message m = {.position = f->next + index, .key = str_from_c(r->path), .body = line, .at = rt_wall()};

    if (line.n && line.p[line.n - 1] == '\r')
        m.body.n--;
    if (line.n > f->config->max_line) {
        m.refused = E_TOO_LARGE;
        m.reason = STR("the line is longer than max_line");
        m.body = utf8_prefix(line, REFUSED_SHOWN);
    }
    return m;
}

/*
 * The first line of *text that counts, or that is too long to wait for its end; absent: there is none yet. Takes it out of *text, and notes in *mark how far
 * that is. `is_last`: behind *text nothing will come.
 */
static struct str next_line(const struct files *f, struct file_mark *mark, bool is_last, struct str *text)
{
    while (text->n) {
        size_t end = str_find_char(*text, '\n');
        bool is_whole = end < text->n, skips = mark->skips;
        struct str line = str_slice(*text, 0, end);
        bool is_long = line.n > f->config->max_line;
        if (!is_whole && !skips && !is_long && !is_last)
            break;
        mark->at += end + is_whole;
        mark->skips = !is_whole && (skips || is_long);
        *text = str_slice(*text, end + is_whole, text->n);
        if (!skips && !str_is_blank(line))
            return line;
    }
    return STR_NONE;
}

/* Take in the next lines of `text`, which begins where the mark is; *ret_any: there were some. */
static SUSPENDS err_t take_in(struct files *f, struct reading *r, bool is_last, struct str *text, bool *ret_any)
{
    struct file_mark mark = r->mark;
    size_t n = 0;

    while (n < BATCH) {
        struct str line = next_line(f, &mark, is_last, text);
        if (!line.p)
            break;
        f->batch[n] = message_of(f, r, n, line);
        n++;
    }
    *ret_any = n > 0;
    if (n)
        return put(f, r, n, &mark);
    r->mark = mark; /* what was passed over need not be remembered */
    return OK;
}

/* Take in what there is; *ret_more: there may be more at once. */
static SUSPENDS err_t read_some(struct files *f, struct reading *r, bool *ret_more)
{
    struct arena arena CLEANUP(arena_release);
    struct str text;
    size_t cap = READ_AT_ONCE + f->config->max_line;
    uint64_t before = r->mark.at;
    bool any = true;

    arena_init(&arena, SIZE_MAX);
    TRY(disk_file_read(r->file, r->mark.at, cap, &arena, &text));
    *ret_more = text.n == cap;
    while (any)
        TRY(take_in(f, r, !f->config->follow && !*ret_more, &text, &any));
    if (r->mark.at != before)
        r->grew = rt_now();
    return OK;
}

/* --- which file is it --- */

/* Does the file begin as the mark says? */
static SUSPENDS err_t has_head(struct disk_file *file, const struct file_mark *mark, struct arena *arena, bool *ret)
{
    struct str head;

    TRY(disk_file_read(file, 0, mark->head_n, arena, &head));
    *ret = head.n == mark->head_n && file_head_hash(head) == mark->head;
    return OK;
}

/* The file was cut off, or written anew: it begins again. */
static SUSPENDS err_t check_shape(struct files *f, struct reading *r)
{
    struct arena arena CLEANUP(arena_release);
    struct str head;
    uint64_t size;
    bool is_same;

    arena_init(&arena, SIZE_MAX);
    TRY(disk_file_size(r->file, &size));
    TRY(has_head(r->file, &r->mark, &arena, &is_same));
    if (r->mark.head_n && is_same && size >= r->mark.at)
        return OK;
    TRY(disk_file_read(r->file, 0, FILE_HEAD_MAX, &arena, &head));
    size_t n = file_head_bytes(head, !f->config->follow);
    r->mark.head_n = (uint32_t)n; /* 0, as long as there is no whole line: it is looked at again */
    r->mark.head = file_head_hash(str_slice(head, 0, n));
    r->mark.at = 0;
    r->mark.skips = false;
    return OK;
}

/* The file that it is the next part of, which is not open. Its device counts for less: its number may be another one after a start of the machine. */
static SUSPENDS err_t find_mark(const struct files *f, const struct disk_stat *stat, struct disk_file *file,
                                struct arena *arena, struct reading **ret)
{
    *ret = NULL;
    for (size_t i = 0; i < f->count; i++) {
        struct reading *r = &f->all[i];
        bool is_same;
        if (r->file || r->mark.inode != stat->inode || (*ret && r->mark.device != stat->device))
            continue;
        TRY(has_head(file, &r->mark, arena, &is_same));
        if (is_same)
            *ret = r;
    }
    return OK;
}

static void let_go(struct reading *r)
{
    disk_file_close(r->file);
    mem_free(r->path);
    r->file = NULL;
    r->path = NULL;
}

/* A place for one more: where there is none, that of the file that has been gone for longest. */
static struct reading *add_reading(struct files *f)
{
    if (f->count < FILE_MARKS_MAX)
        return &f->all[f->count++];
    for (size_t i = 0; i < f->count; i++)
        if (!f->all[i].file) {
            memmove(&f->all[i], &f->all[i + 1], (f->count - i - 1) * sizeof *f->all);
            return &f->all[f->count - 1];
        }
    return NULL;
}

/* Take up the open file: the next part of one that is known, or a new one. False: it cannot be told yet which it is. */
static SUSPENDS err_t take_up(struct files *f, struct str path, const struct disk_stat *stat, struct disk_file *file,
                              bool *ret_taken)
{
    struct arena arena CLEANUP(arena_release);
    struct reading *r;
    struct str head;

    arena_init(&arena, SIZE_MAX);
    *ret_taken = false;
    TRY(find_mark(f, stat, file, &arena, &r));
    if (!r) {
        TRY(disk_file_read(file, 0, FILE_HEAD_MAX, &arena, &head));
        size_t n = file_head_bytes(head, !f->config->follow);
        if (n == 0)
            return OK;
        r = add_reading(f);
        if (!r)
            return fail(E_TOO_LARGE, "there are more than %d files", FILE_MARKS_MAX);
        *r = (struct reading){.mark = {.head_n = (uint32_t)n, .head = file_head_hash(str_slice(head, 0, n))}};
    }
    r->mark.device = stat->device;
    r->mark.inode = stat->inode;
    r->file = file;
    r->path = mem_dup(path.p, path.n);
    r->grew = rt_now();
    r->is_found = true;
    *ret_taken = true;
    return OK;
}

static bool is_at(const struct reading *r, const struct disk_stat *stat)
{
    return r->file && r->mark.inode == stat->inode && r->mark.device == stat->device;
}

/* The file at `path` is open, or is opened now. What is moved in the meantime has to wait for the next look. */
static SUSPENDS err_t look_at(struct files *f, struct str path)
{
    struct disk_stat before, after;
    struct disk_file *file;
    bool taken = false;

    TRY(disk_stat(path, &before));
    for (size_t i = 0; i < f->count; i++)
        if (is_at(&f->all[i], &before)) {
            f->all[i].is_found = true;
            return OK;
        }
    TRY(disk_file_open(path, DISK_READ, &file));
    err_t e = disk_stat(path, &after);
    if (e == OK && before.inode == after.inode && before.device == after.device)
        e = take_up(f, path, &after, file, &taken);
    if (!taken)
        disk_file_close(file);
    return e;
}

/* --- the life of the source --- */

static bool passes(err_t e)
{
    return e == E_IO || e == E_NOT_FOUND || e == E_TOO_LARGE;
}

/* Of a source that follows: what is in the way is told once, and tried again. */
static err_t bear(struct files *f, err_t e)
{
    if (e == OK || !f->config->follow || !passes(e))
        return e;
    if (!f->is_bad && !f->was_bad && e != E_NOT_FOUND)
        log_warn(STR_NONE, "files %.*s: %s", STR_ARG(f->config->path.text), err_detail(e));
    f->is_bad = f->is_bad || e != E_NOT_FOUND;
    return OK;
}

static SUSPENDS err_t look(struct files *f)
{
    struct arena arena CLEANUP(arena_release);
    struct str *paths = NULL;
    size_t count = 0;

    arena_init(&arena, SIZE_MAX);
    f->was_bad = f->is_bad;
    f->is_bad = false;
    for (size_t i = 0; i < f->count; i++)
        f->all[i].is_found = false;
    err_t e = find_files(f->config->path.text, FILE_MARKS_MAX, &arena, &paths, &count);
    TRY(bear(f, e));
    for (size_t i = 0; e == OK && i < count; i++)
        TRY(bear(f, look_at(f, paths[i])));
    if (!f->config->follow && count == 0)
        return fail(E_NOT_FOUND, "there is no file %.*s", STR_ARG(f->config->path.text));
    return OK;
}

static SUSPENDS err_t read_all(struct files *f)
{
    for (size_t i = 0; i < f->count; i++) {
        struct reading *r = &f->all[i];
        if (r->file)
            TRY(check_shape(f, r));
        bool more = r->file && r->mark.head_n;
        while (more)
            TRY(read_some(f, r, &more));
        if (r->file && !r->is_found && rt_now() - r->grew >= gone_after)
            let_go(r);
    }
    return OK;
}

static SUSPENDS err_t recall(struct files *f)
{
    struct arena arena CLEANUP(arena_release);
    struct file_mark *marks = mem_zalloc(FILE_MARKS_MAX, sizeof *marks);
    struct str progress = STR_NONE;

    arena_init(&arena, SIZE_MAX);
    err_t e = intake_progress(f->in, 0, &arena, &progress);
    if (e == OK)
        e = file_marks_unpack(progress, &f->next, marks, &f->count);
    for (size_t i = 0; e == OK && i < f->count; i++)
        f->all[i].mark = marks[i];
    mem_free(marks);
    return e;
}

static SUSPENDS err_t follow(struct files *f)
{
    TRY(recall(f));
    for (;;) {
        TRY(look(f));
        TRY(read_all(f));
        if (!f->config->follow)
            return OK;
        TRY(fiber_sleep_until(rt_now() + f->config->poll));
    }
}

static SUSPENDS err_t run(struct intake *in, const struct pipeline_node *source)
{
    struct files f = {.in = in,
                      .config = source->config,
                      .all = mem_zalloc(FILE_MARKS_MAX, sizeof *f.all),
                      .batch = mem_alloc(BATCH * sizeof *f.batch)};
    err_t e = follow(&f);

    for (size_t i = 0; i < f.count; i++)
        let_go(&f.all[i]);
    mem_free(f.all);
    mem_free(f.batch);
    return e;
}

static const struct source_run source_run = {.run = run};

const struct source_kind source_kind_files = {
    .kind = {.name = "files", .fields = fields, .size = sizeof(struct files_source)},
    .rows = rows,
    .keeps = true,
    .unkept = "nobody knows how far they were read: all of it is read again at each start",
    .run = &source_run,
};
