/*
 * json_tree.c - one pass over a document, a cell per value.
 *
 * Cells stand in the order of the text, a container before what is in it, so the cells of a subtree are neighbours and `next` says
 * where the subtree ends. In an object keys and values take turns. A container's cell is written when it opens and completed when
 * it closes; `open` holds the indices of those that are open. Offsets are 32 bits: half the memory of pointers.
 */
#include "codec/json_tree.h"

#include "base/buf.h"
#include "base/utf8.h"
#include "codec/json_scan_int.h"

struct json_cell {
    uint32_t at;   /* first byte of the value's text                     */
    uint32_t n;    /* bytes of it                                        */
    uint32_t next; /* index of the cell behind the value and all in it   */
    uint8_t kind;  /* enum json_kind                                     */
    bool escaped;  /* a string with a backslash                          */
    bool is_key;
};

struct parser {
    struct arena *arena;
    const char *text, *p, *end;
    struct json_cell *cells;
    uint32_t count, cap;
    uint32_t open[JSON_DEPTH_MAX];
    uint32_t depth;
};

/* --- errors --- */

static NOINLINE err_t refuse(const struct parser *s, const char *why)
{
    size_t line, column;

    json_line_column(str_of(s->text, (size_t)(s->end - s->text)), (uint64_t)(s->p - s->text), &line, &column);
    return fail(E_PARSE, "line %zu, column %zu: %s", line, column,
                s->p >= s->end ? "the document ends too early" : why);
}

/* --- cells --- */

static NOINLINE err_t grow(struct parser *s)
{
    uint32_t cap = s->cap ? 2 * s->cap : 64 + (uint32_t)((s->end - s->text) / 24);
    char *to;

    TRY(arena_try(s->arena, (size_t)cap * sizeof *s->cells, &to));
    if (s->count)
        memcpy(to, s->cells, s->count * sizeof *s->cells);
    s->cells = (struct json_cell *)(void *)to;
    s->cap = cap;
    return OK;
}

static inline err_t add(struct parser *s, enum json_kind kind, struct json_cell **ret)
{
    if (UNLIKELY(s->count == s->cap))
        TRY(grow(s));
    *ret = &s->cells[s->count++];
    **ret = (struct json_cell){.at = (uint32_t)(s->p - s->text), .next = s->count, .kind = (uint8_t)kind};
    return OK;
}

static inline void end_cell(const struct parser *s, struct json_cell *cell)
{
    cell->n = (uint32_t)(s->p - s->text) - cell->at;
}

/* --- scalars --- */

static inline void skip_blanks(struct parser *s)
{
    while (s->p < s->end && UNLIKELY((unsigned char)*s->p <= ' ') &&
           (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
        s->p++;
}

static bool is_hex4(const char *p)
{
    uint64_t unit;

    return str_hex_to_u64(str_of(p, 4), 0xffff, &unit);
}

static err_t string(struct parser *s, bool is_key)
{
    struct json_cell *cell;

    TRY(add(s, JSON_STRING, &cell));
    cell->is_key = is_key;
    s->p++;
    while ((s->p = json_skip_plain(s->p, s->end, JSON_PLAIN_ASCII)) < s->end) {
        unsigned char c = (unsigned char)*s->p;
        if (c == '"') {
            s->p++;
            end_cell(s, cell);
            return OK;
        }
        if (c == '\\') {
            cell->escaped = true;
            if (s->end - s->p > 1 && json_is_simple_escape((unsigned char)s->p[1]))
                s->p += 2;
            else if (s->end - s->p > 5 && s->p[1] == 'u' && is_hex4(s->p + 2))
                s->p += 6;
            else
                return refuse(s, "invalid escape in a string");
        } else if (c < 0x20) {
            return refuse(s, "control character in a string");
        } else {
            size_t n = utf8_valid_char(s->p, (size_t)(s->end - s->p));
            if (!n)
                return refuse(s, "a string is not UTF-8");
            s->p += n;
        }
    }
    return refuse(s, "");
}

static inline bool digits(struct parser *s)
{
    const char *from = s->p;

    while (s->p < s->end && (unsigned)*s->p - '0' <= 9)
        s->p++;
    return s->p > from;
}

static err_t number(struct parser *s)
{
    struct json_cell *cell;

    TRY(add(s, JSON_NUMBER, &cell));
    if (*s->p == '-')
        s->p++;
    if (s->p < s->end && *s->p == '0')
        s->p++;
    else if (!digits(s))
        return refuse(s, "invalid number");
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        if (!digits(s))
            return refuse(s, "invalid number");
    }
    if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
            s->p++;
        if (!digits(s))
            return refuse(s, "invalid number");
    }
    end_cell(s, cell);
    return OK;
}

static err_t literal(struct parser *s, enum json_kind kind, struct str word)
{
    struct json_cell *cell;

    if (!str_starts(str_of(s->p, (size_t)(s->end - s->p)), word))
        return refuse(s, "a value is expected");
    TRY(add(s, kind, &cell));
    s->p += word.n;
    end_cell(s, cell);
    return OK;
}

static err_t open_container(struct parser *s, enum json_kind kind)
{
    struct json_cell *cell;

    if (s->depth == JSON_DEPTH_MAX)
        return fail(E_TOO_LARGE, "the document is nested more than %d deep", JSON_DEPTH_MAX);
    TRY(add(s, kind, &cell));
    s->open[s->depth++] = s->count - 1;
    s->p++;
    return OK;
}

static void close_container(struct parser *s)
{
    struct json_cell *cell = &s->cells[s->open[--s->depth]];

    s->p++;
    end_cell(s, cell);
    cell->next = s->count;
}

/* --- the document --- */

/* What begins at s->p: a scalar, or a container's opening. */
static inline err_t value(struct parser *s)
{
    switch (s->p < s->end ? *s->p : '\0') {
    case '"':
        return string(s, false);
    case '{':
        return open_container(s, JSON_OBJECT);
    case '[':
        return open_container(s, JSON_ARRAY);
    case 't':
        return literal(s, JSON_TRUE, STR("true"));
    case 'f':
        return literal(s, JSON_FALSE, STR("false"));
    case 'n':
        return literal(s, JSON_NULL, STR("null"));
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return number(s);
    default:
        return refuse(s, "a value is expected");
    }
}

static err_t key(struct parser *s)
{
    skip_blanks(s);
    if (s->p == s->end || *s->p != '"')
        return refuse(s, "a member's name is expected");
    TRY(string(s, true));
    skip_blanks(s);
    if (s->p == s->end || *s->p != ':')
        return refuse(s, "':' is expected");
    s->p++;
    skip_blanks(s);
    return OK;
}

/* From behind a complete value to where the next begins. *ret_done: the document is complete. */
static inline err_t step(struct parser *s, bool *ret_done)
{
    while (s->depth) {
        const struct json_cell *in = &s->cells[s->open[s->depth - 1]];
        char last = in->kind == JSON_OBJECT ? '}' : ']';
        bool empty = s->count - 1 == s->open[s->depth - 1];
        skip_blanks(s);
        if (s->p < s->end && *s->p == last) {
            close_container(s);
            continue;
        }
        if (!empty) {
            if (s->p == s->end || *s->p != ',')
                return refuse(s, last == '}' ? "',' or '}' is expected" : "',' or ']' is expected");
            s->p++;
            skip_blanks(s);
        }
        *ret_done = false;
        return in->kind == JSON_OBJECT ? key(s) : OK;
    }
    *ret_done = true;
    return OK;
}

err_t json_tree_parse(struct arena *arena, struct str text, const struct json_tree **ret_tree)
{
    if (!text.n)
        text = STR("");
    struct parser s = {.arena = arena, .text = text.p, .p = text.p, .end = text.p + text.n};
    bool done = false;

    if (text.n >= UINT32_MAX)
        return fail(E_TOO_LARGE, "the document has 4 GiB or more");
    skip_blanks(&s);
    while (!done) {
        TRY(value(&s));
        TRY(step(&s, &done));
    }
    skip_blanks(&s);
    if (s.p != s.end)
        return refuse(&s, "something follows the document");
    struct json_tree *tree = arena_new(arena, struct json_tree);
    *tree = (struct json_tree){text, s.cells, s.count};
    *ret_tree = tree;
    return OK;
}

struct json_node json_tree_root(const struct json_tree *tree)
{
    return (struct json_node){tree, 0};
}

/* --- values --- */

static inline const struct json_cell *cell_of(struct json_node v)
{
    return &v.tree->cells[v.cell];
}

static inline struct str raw_of(const struct json_tree *tree, const struct json_cell *cell)
{
    return str_of(tree->text.p + cell->at, cell->n);
}

enum json_kind json_node_kind(struct json_node v)
{
    return v.tree ? (enum json_kind)cell_of(v)->kind : JSON_NULL;
}

bool json_node_is_set(struct json_node v)
{
    return v.tree && cell_of(v)->kind != JSON_NULL;
}

struct str json_node_raw(struct json_node v)
{
    return v.tree ? raw_of(v.tree, cell_of(v)) : STR_NONE;
}

static bool cell_is(const struct json_tree *tree, const struct json_cell *cell, struct str text)
{
    struct str raw = raw_of(tree, cell);

    if (cell->escaped)
        return json_string_is(raw, text);
    return raw.n == text.n + 2 && memcmp(raw.p + 1, text.p, text.n) == 0;
}

struct json_walk json_walk(struct json_node v)
{
    enum json_kind kind = json_node_kind(v);

    if (kind != JSON_OBJECT && kind != JSON_ARRAY)
        return (struct json_walk){.value = JSON_ABSENT, .key = JSON_ABSENT};
    return (struct json_walk){.value = {v.tree, 0},
                              .key = JSON_ABSENT,
                              .next = v.cell + 1,
                              .end = cell_of(v)->next,
                              .object = kind == JSON_OBJECT};
}

bool json_walk_next(struct json_walk *w)
{
    if (w->next >= w->end)
        return false;
    if (w->object)
        w->key = (struct json_node){w->value.tree, w->next++};
    w->value.cell = w->next;
    w->next = cell_of(w->value)->next;
    return true;
}

bool json_walk_key_is(const struct json_walk *w, struct str key)
{
    return w->key.tree && cell_is(w->key.tree, cell_of(w->key), key);
}

/* The most frequent look-up of all: keys and values take turns, so a step is two cells. */
struct json_node json_node_get(struct json_node object, struct str key)
{
    if (!json_node_is(object, JSON_OBJECT))
        return JSON_ABSENT;
    const struct json_cell *cells = object.tree->cells;
    const char *text = object.tree->text.p;
    uint32_t end = cells[object.cell].next;
    for (uint32_t i = object.cell + 1; i < end; i = cells[i + 1].next) {
        const struct json_cell *k = &cells[i];
        if (LIKELY(!k->escaped) ? k->n == key.n + 2 && memcmp(text + k->at + 1, key.p, key.n) == 0
                                : cell_is(object.tree, k, key))
            return (struct json_node){object.tree, i + 1};
    }
    return JSON_ABSENT;
}

struct json_node json_node_get_last(struct json_node object, struct str key, uint32_t *ret_seen)
{
    struct json_node found = JSON_ABSENT;

    *ret_seen = 0;
    if (!json_node_is(object, JSON_OBJECT))
        return found;
    const struct json_cell *cells = object.tree->cells;
    const char *text = object.tree->text.p;
    uint32_t end = cells[object.cell].next, seen = 0;
    for (uint32_t i = object.cell + 1; i < end; i = cells[i + 1].next, seen++) {
        const struct json_cell *k = &cells[i];
        /* Lengths and first bytes tell nearly all keys apart. */
        if (UNLIKELY(k->escaped) ? cell_is(object.tree, k, key)
                                 : k->n == key.n + 2 && (!key.n || text[k->at + 1] == key.p[0]) &&
                                       memcmp(text + k->at + 1, key.p, key.n) == 0)
            found = (struct json_node){object.tree, i + 1};
    }
    *ret_seen = seen;
    return found;
}

struct json_node json_node_at(struct json_node array, size_t index)
{
    if (!json_node_is(array, JSON_ARRAY))
        return JSON_ABSENT;
    JSON_EACH(w, array)
        if (index-- == 0)
            return w.value;
    return JSON_ABSENT;
}

size_t json_node_count(struct json_node v)
{
    size_t n = 0;

    JSON_EACH(w, v)
        n++;
    return n;
}

struct str json_node_text(struct json_node v, struct arena *arena)
{
    if (!json_node_is(v, JSON_STRING))
        return STR_NONE;
    struct str raw = json_node_raw(v);
    struct str inside = str_of(raw.p + 1, raw.n - 2);
    if (!cell_of(v)->escaped)
        return inside;
    char *out = arena_alloc(arena, inside.n); /* no longer than what the request brought */
    return str_of(out, json_unescape(inside, out, JSON_KEEP_LONE));
}

struct str json_get_text(struct json_node object, struct str key, struct arena *arena)
{
    return json_node_text(json_node_get(object, key), arena);
}

bool json_node_text_is(struct json_node v, struct str text)
{
    return json_node_is(v, JSON_STRING) && cell_is(v.tree, cell_of(v), text);
}

bool json_node_double(struct json_node v, double *ret_number)
{
    return json_node_is(v, JSON_NUMBER) && json_to_double(json_node_raw(v), ret_number);
}

bool json_node_i64(struct json_node v, int64_t *ret_number)
{
    double d;

    if (!json_node_is(v, JSON_NUMBER))
        return false;
    if (json_to_i64(json_node_raw(v), ret_number))
        return true;
    /* 2^53: beyond it a double no longer says which number was meant */
    if (!json_node_double(v, &d) || d < -9007199254740992.0 || d > 9007199254740992.0 || d != (double)(int64_t)d)
        return false;
    *ret_number = (int64_t)d;
    return true;
}

bool json_node_bool(struct json_node v, bool *ret_truth)
{
    enum json_kind kind = json_node_kind(v);

    if (kind != JSON_TRUE && kind != JSON_FALSE)
        return false;
    *ret_truth = kind == JSON_TRUE;
    return true;
}

bool json_get_true(struct json_node object, struct str key)
{
    return json_node_is(json_node_get(object, key), JSON_TRUE);
}

/* --- pointers --- */

static void add_token(struct buf *to, struct json_node key, size_t index)
{
    struct str raw = json_node_raw(key);

    buf_add_char(to, '/');
    if (!key.tree) {
        buf_add_u64(to, index);
        return;
    }
    for (size_t i = 1; i + 1 < raw.n; i++) { /* escapes of JSON stay as they are: the pointer is for people */
        if (raw.p[i] == '~')
            buf_add_lit(to, "~0");
        else if (raw.p[i] == '/')
            buf_add_lit(to, "~1");
        else
            buf_add_char(to, raw.p[i]);
    }
}

struct str json_node_pointer(struct json_node v, struct arena *arena)
{
    enum { POINTER_MAX = 2048 };
    struct buf to CLEANUP(buf_release) = BUF_INIT(POINTER_MAX);

    if (!v.tree)
        return STR_NONE;
    struct json_node in = json_tree_root(v.tree);
    while (in.cell != v.cell) {
        size_t index = 0;
        bool found = false;
        JSON_EACH(w, in) {
            if (w.key.tree && w.key.cell == v.cell)
                v = w.value;
            if (v.cell < w.next) {
                add_token(&to, w.key, index);
                in = w.value;
                found = true;
                break;
            }
            index++;
        }
        if (!found)
            break;
    }
    return arena_str(arena, buf_str(&to));
}
