/*
 * Fuzz target: codec/sse.h against a plain reading of the WHATWG rules.
 *
 * The events must be those that come of splitting the whole stream into lines first; however it is cut; and the raw bytes
 * of all events together must be the stream.
 */
#include "codec/sse.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define REQUIRE(cond)                                                                                                  \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                           \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

struct fields {
    struct str name, id;
    struct buf data;
    unsigned data_lines;
    bool field;
    int64_t retry;
};

static void write_event(struct buf *out, const struct fields *f, bool partial)
{
    (void)buf_addf(out, "[%zu %zu %zu %d %lld %d %d %d]", f->name.n, f->data.n, f->id.n, f->id.p != NULL,
                   (long long)f->retry, f->data_lines > 0, !f->field, partial);
    (void)buf_add(out, f->name);
    (void)buf_add(out, buf_str(&f->data));
    (void)buf_add(out, f->id);
}

static void clear(struct fields *f)
{
    buf_clear(&f->data);
    *f = (struct fields){.data = f->data, .retry = -1};
}

static void take_line(struct fields *f, struct str line)
{
    struct str value = line, name = str_cut(&value, ':');
    uint64_t ms;

    if (line.p[0] == ':')
        return;
    f->field = true;
    if (str_starts(value, STR(" ")))
        value = str_slice(value, 1, value.n);
    if (str_eq(name, STR("event"))) {
        f->name = value;
    } else if (str_eq(name, STR("data"))) {
        if (f->data_lines++)
            (void)buf_add_char(&f->data, '\n');
        (void)buf_add(&f->data, value);
    } else if (str_eq(name, STR("id")) && str_find_char(value, '\0') == value.n) {
        f->id = value.p ? value : STR("");
    } else if (str_eq(name, STR("retry")) && str_to_u64(value, INT64_MAX, &ms)) {
        f->retry = (int64_t)ms;
    }
}

/* The plain way: all of it at once, line by line. */
static void read_plainly(struct str s, struct buf *out)
{
    struct fields f = {.data = BUF_INIT(SIZE_MAX / 4), .retry = -1};
    bool within = false;
    size_t at = str_starts(s, STR("\xef\xbb\xbf")) ? 3 : 0;

    /* A mark alone is no event yet, but bytes that are held. */
    within = at > 0;
    while (at < s.n) {
        size_t end = at;
        while (end < s.n && s.p[end] != '\r' && s.p[end] != '\n')
            end++;
        struct str line = str_slice(s, at, end);
        bool whole = end < s.n;
        at = end + (whole && s.p[end] == '\r' && end + 1 < s.n && s.p[end + 1] == '\n' ? 2 : 1);
        if (line.n) {
            take_line(&f, line);
            within = true;
        } else if (whole) {
            write_event(out, &f, false);
            clear(&f);
            within = false;
        }
    }
    if (within)
        write_event(out, &f, true);
    buf_release(&f.data);
}

static void add_event(struct buf *out, struct buf *raw, const struct sse_event *e)
{
    (void)buf_addf(out, "[%zu %zu %zu %d %lld %d %d %d]", e->name.n, e->data.n, e->id.n, e->id.p != NULL,
                   (long long)e->retry, e->has_data, e->is_comment, e->is_partial);
    (void)buf_add(out, e->name);
    (void)buf_add(out, e->data);
    (void)buf_add(out, e->id);
    (void)buf_add(raw, e->raw);
}

static void read_in_pieces(struct str s, size_t piece, struct buf *out)
{
    struct sse sse CLEANUP(sse_release);
    struct buf raw CLEANUP(buf_release) = BUF_INIT(SIZE_MAX / 4);
    struct sse_event e;

    sse_init(&sse, 0);
    for (size_t at = 0; at < s.n; at += piece) {
        struct str in = str_slice(s, at, at + piece);
        char *own = malloc(in.n);
        memcpy(own, in.p, in.n);
        in.p = own;
        while (sse_next(&sse, &in, &e) == SSE_EVENT)
            add_event(out, &raw, &e);
        REQUIRE(in.n == 0);
        free(own);
    }
    if (sse_end(&sse, &e) == SSE_EVENT)
        add_event(out, &raw, &e);
    bool but_lf = raw.n + 1 == s.n && str_ends(s, STR("\r\n"));
    REQUIRE((raw.n == s.n || but_lf) && str_starts(s, buf_str(&raw)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str s = str_of((const char *)data, n);
    const size_t pieces[] = {n ? n : 1, 1, 2, 3, 7, 20};
    struct buf want CLEANUP(buf_release) = BUF_INIT(SIZE_MAX / 4);

    read_plainly(s, &want);
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        struct buf got CLEANUP(buf_release) = BUF_INIT(SIZE_MAX / 4);
        read_in_pieces(s, pieces[i], &got);
        REQUIRE(str_eq(buf_str(&want), buf_str(&got)));
    }
    struct buf written CLEANUP(buf_release) = BUF_INIT(SIZE_MAX / 4);
    struct sse sse CLEANUP(sse_release);
    struct sse_event e;
    REQUIRE(sse_write_event(&written, STR(""), s) == OK);
    sse_init(&sse, 0);
    struct str in = buf_str(&written);
    REQUIRE(sse_next(&sse, &in, &e) == SSE_EVENT && in.n == 0 && e.has_data);
    return 0;
}
