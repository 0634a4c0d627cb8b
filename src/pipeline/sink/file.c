/* file.c - records to a file, a line each. The journal holds the file's length before a batch; what stands behind it after a crash is cut off. */
#include "base/bytes.h"
#include "base/mem.h"
#include "pipeline/run/run.h"
#include "pipeline/spec/build.h"
#include "rt/disk.h"

struct file_sink {
    struct schema_text path;
    uint64_t rotate;
};

static const struct schema_field file_fields[] = {
    SCHEMA_TEXT("path", struct file_sink, path, .required = true,
                .doc = "File that this pipeline alone writes; NDJSON."),
    SCHEMA_SIZE("rotate", struct file_sink, rotate, .default_doc = "never", .min = "1KiB",
                .doc = "Begin a new file at this size; the old one gets a number."),
    SCHEMA_END};
static const struct schema_object file_object = {
    .fields = file_fields, .size = sizeof(struct file_sink), .shorthand = "path"};
static const struct schema_field fields[] = {SCHEMA_OBJECT_HERE("file", &file_object, .doc = "A file of lines."),
                                             SCHEMA_END};

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    build_reads(b, n, STR("."));
}

static const struct promise_row rows[] = {{.when = "",
                                           .promise = PROMISE_EXACTLY,
                                           .how = "the file's length before a batch is in the journal; what is behind "
                                                  "it after a crash is cut off, and the batch written again"},
                                          {0}};

/* --- running --- */

struct writer {
    struct disk_file *file;
    uint64_t size; /* all of it applied */
};

enum { REMEMBERED = 8 };

static SUSPENDS err_t measure(struct writer *w, struct str intent)
{
    uint64_t size;

    TRY(disk_file_size(w->file, &size));
    w->size = size;
    if (intent.n != REMEMBERED || be64_get(intent.p) >= size)
        return OK;
    w->size = be64_get(intent.p);
    return disk_file_truncate(w->file, w->size); /* of a batch that may be there in part: it comes again */
}

static SUSPENDS err_t open_file(const struct sink_at *at, bool *ret_applied, void **ret_state)
{
    const struct file_sink *c = at->sink->config;
    struct writer *w = mem_zalloc(1, sizeof *w);

    *ret_applied = false;
    err_t e = disk_file_open(c->path.text, DISK_READ | DISK_WRITE | DISK_CREATE, &w->file);
    if (e == OK)
        e = measure(w, at->intent);
    if (e != OK) {
        disk_file_close(w->file);
        mem_free(w);
        return e;
    }
    *ret_state = w;
    return OK;
}

static err_t intend(void *state, const struct batch *b, struct arena *arena, struct str *ret)
{
    const struct writer *w = state;
    char size[REMEMBERED];

    (void)b;
    be64_put(size, w->size);
    *ret = arena_str(arena, str_of(size, sizeof size));
    return OK;
}

static SUSPENDS err_t apply(void *state, const struct batch *b)
{
    struct writer *w = state;
    struct buf text CLEANUP(buf_release) = BUF_INIT(SIZE_MAX);

    for (size_t i = 0; i < b->count; i++) {
        TRY(buf_add(&text, b->items[i].text));
        TRY(buf_add_char(&text, '\n'));
    }
    TRY(disk_file_write(w->file, w->size, buf_str(&text)));
    w->size += text.n;
    return OK;
}

static void close_file(void *state)
{
    struct writer *w = state;

    disk_file_close(w->file);
    mem_free(w);
}

static const struct sink_run sink_run = {.open = open_file, .intend = intend, .apply = apply, .close = close_file};

const struct sink_kind sink_kind_file = {
    .kind = {.name = "file", .fields = fields, .size = sizeof(struct file_sink), .build = build},
    .rows = rows,
    .run = &sink_run,
};
