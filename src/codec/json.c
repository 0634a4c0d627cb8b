/*
 * json.c - yyjson over arenas.
 *
 * yyjson asks for memory through a table of functions; here these take from an arena and free nothing. It reads without
 * recursion, so deep nesting cannot hurt it, but it can hurt those who walk the tree: so depth is checked right after reading, in one
 * pass over the values, which lie one behind the other in memory.
 */
#include "codec/json.h"

#include "codec/json_scan.h"

#include <math.h>

enum { DEFAULT_BYTES = 64 * 1024 * 1024, DEFAULT_DEPTH = 256, MOST_DEPTH = 256 };

/* --- memory --- */

static void *take(void *ctx, size_t n)
{
    char *p = NULL;

    return arena_try(ctx, n, &p) == OK ? p : NULL;
}

static void *grow(void *ctx, void *old, size_t old_n, size_t n)
{
    struct arena *a = ctx;

    if (n <= old_n)
        return old;
    if ((char *)old + ((old_n + 15) & ~(size_t)15) == a->at && n - old_n < (size_t)(a->end - a->at)) {
        a->at += ((n + 15) & ~(size_t)15) - ((old_n + 15) & ~(size_t)15); /* the newest allocation grows in place */
        return old;
    }
    void *p = take(ctx, n);
    if (p)
        memcpy(p, old, old_n);
    return p;
}

static void give_back(void *ctx, void *p)
{
    (void)ctx;
    (void)p;
}

static yyjson_alc allocator(struct arena *arena)
{
    return (yyjson_alc){.malloc = take, .realloc = grow, .free = give_back, .ctx = arena};
}

/* --- reading --- */

/* Does any value lie deeper than `limit` containers? A container's span in memory says where it ends. */
static bool is_deeper(yyjson_val *root, unsigned limit)
{
    const char *ends[MOST_DEPTH];
    const char *end = (const char *)unsafe_yyjson_get_next(root);
    unsigned depth = 0;

    for (yyjson_val *v = root; (const char *)v < end; v++) {
        while (depth && (const char *)v >= ends[depth - 1])
            depth--;
        if (!yyjson_is_ctn(v))
            continue;
        if (depth == limit)
            return true;
        ends[depth++] = (const char *)unsafe_yyjson_get_next(v);
    }
    return false;
}

err_t json_parse(struct arena *arena, struct str text, const struct json_limits *limits, unsigned flags,
                 yyjson_val **ret_root)
{
    size_t bytes = limits && limits->bytes ? limits->bytes : DEFAULT_BYTES;
    unsigned depth = limits && limits->depth ? limits->depth : DEFAULT_DEPTH;
    yyjson_read_flag read = YYJSON_READ_NOFLAG;
    yyjson_alc alc = allocator(arena);
    yyjson_read_err e = {0};

    if (text.n > bytes)
        return fail(E_TOO_LARGE, "JSON of more than %zu bytes", bytes);
    if (flags & JSON_RAW_NUMBERS)
        read |= YYJSON_READ_NUMBER_AS_RAW;
    if (flags & JSON_ANY_UNICODE)
        read |= YYJSON_READ_ALLOW_INVALID_UNICODE;
    if (text.n == 0)
        return fail(E_PARSE, "JSON: the document is empty");
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)text.p, text.n, read, &alc, &e); /* copies: not in situ */
    if (!doc) {
        size_t line, column;
        if (e.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
            return E_TOO_LARGE; /* the arena has said so */
        json_line_column(text, e.pos, &line, &column);
        return fail(E_PARSE, "JSON: %s at line %zu, column %zu", e.msg, line, column);
    }
    yyjson_val *root = yyjson_doc_get_root(doc);
    if (is_deeper(root, depth < MOST_DEPTH ? depth : MOST_DEPTH))
        return fail(E_TOO_LARGE, "JSON nested deeper than %u", depth);
    *ret_root = root;
    return OK;
}

yyjson_val *json_get(yyjson_val *obj, struct str key)
{
    return yyjson_obj_getn(obj, key.p ? key.p : "", key.n);
}

struct str json_text(yyjson_val *val)
{
    return yyjson_is_str(val) ? str_of(yyjson_get_str(val), yyjson_get_len(val)) : STR_NONE;
}

struct str json_number_text(yyjson_val *val)
{
    return yyjson_is_raw(val) ? str_of(yyjson_get_raw(val), yyjson_get_len(val)) : STR_NONE;
}

struct str json_get_str(yyjson_val *obj, struct str key, struct str fallback)
{
    struct str s = json_text(json_get(obj, key));
    return s.p ? s : fallback;
}

/* A whole number within int64_t, else false. */
static bool double_to_i64(double d, int64_t *ret_number)
{
    if (!(d >= -0x1p63 && d < 0x1p63) || d != trunc(d))
        return false;
    *ret_number = (int64_t)d;
    return true;
}

int64_t json_get_i64(yyjson_val *obj, struct str key, int64_t fallback)
{
    yyjson_val *v = json_get(obj, key);
    int64_t number;
    double d;

    if (yyjson_is_sint(v))
        return yyjson_get_sint(v);
    if (yyjson_is_uint(v))
        return yyjson_get_uint(v) <= INT64_MAX ? (int64_t)yyjson_get_uint(v) : fallback;
    if (yyjson_is_real(v))
        return double_to_i64(yyjson_get_real(v), &number) ? number : fallback;
    if (json_to_i64(json_number_text(v), &number))
        return number;
    return json_to_double(json_number_text(v), &d) && double_to_i64(d, &number) ? number : fallback;
}

double json_get_double(yyjson_val *obj, struct str key, double fallback)
{
    yyjson_val *v = json_get(obj, key);
    double d;

    if (yyjson_is_num(v))
        return yyjson_get_num(v);
    return json_to_double(json_number_text(v), &d) ? d : fallback;
}

bool json_get_bool(yyjson_val *obj, struct str key, bool fallback)
{
    yyjson_val *v = json_get(obj, key);
    return yyjson_is_bool(v) ? yyjson_get_bool(v) : fallback;
}

/* --- building --- */

static void need(const void *p)
{
    if (UNLIKELY(!p))
        die("JSON: the arena is full");
}

yyjson_mut_doc *json_mut_new(struct arena *arena)
{
    yyjson_alc alc = allocator(arena);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(&alc);
    need(doc);
    return doc;
}

yyjson_mut_val *json_mut_str(yyjson_mut_doc *doc, struct str s)
{
    yyjson_mut_val *v = yyjson_mut_strn(doc, s.p ? s.p : "", s.n);
    need(v);
    return v;
}

yyjson_mut_val *json_mut_raw(yyjson_mut_doc *doc, struct str text)
{
    yyjson_mut_val *v = yyjson_mut_rawn(doc, text.p ? text.p : "null", text.p ? text.n : 4);
    need(v);
    return v;
}

void json_mut_add(yyjson_mut_doc *doc, yyjson_mut_val *obj, struct str key, yyjson_mut_val *value)
{
    need(value);
    (void)yyjson_mut_obj_add(obj, json_mut_str(doc, key), value);
}

void json_mut_add_str(yyjson_mut_doc *doc, yyjson_mut_val *obj, struct str key, struct str value)
{
    json_mut_add(doc, obj, key, json_mut_str(doc, value));
}

void json_mut_add_i64(yyjson_mut_doc *doc, yyjson_mut_val *obj, struct str key, int64_t value)
{
    json_mut_add(doc, obj, key, yyjson_mut_sint(doc, value));
}

void json_mut_add_bool(yyjson_mut_doc *doc, yyjson_mut_val *obj, struct str key, bool value)
{
    json_mut_add(doc, obj, key, yyjson_mut_bool(doc, value));
}

/* --- writing --- */

static err_t add_written(struct buf *b, const char *text, size_t n, const yyjson_write_err *e)
{
    if (!text && e->code == YYJSON_WRITE_ERROR_MEMORY_ALLOCATION)
        return E_TOO_LARGE; /* the arena has said so */
    if (!text)
        return fail(E_PARSE, "JSON cannot be written: %s", e->msg);
    return buf_add(b, str_of(text, n));
}

err_t json_write(struct buf *b, struct arena *scratch, yyjson_val *val)
{
    yyjson_alc alc = allocator(scratch);
    yyjson_write_err e = {0};
    size_t n = 0;
    char *text = yyjson_val_write_opts(val, YYJSON_WRITE_NOFLAG, &alc, &n, &e);
    return add_written(b, text, n, &e);
}

err_t json_write_mut(struct buf *b, struct arena *scratch, yyjson_mut_val *val)
{
    yyjson_alc alc = allocator(scratch);
    yyjson_write_err e = {0};
    size_t n = 0;
    char *text = yyjson_mut_val_write_opts(val, YYJSON_WRITE_NOFLAG, &alc, &n, &e);
    return add_written(b, text, n, &e);
}
