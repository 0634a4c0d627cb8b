/*
 * gemini_partial.c - the arguments of a call that Vertex AI streams: values with their paths, put together to one JSON object.
 *
 * Each piece has a path ("$.ports[0].name") and a value; pieces of a string are joined. Strings are kept as they were escaped, so nothing is decoded,
 * and halves of a pair of surrogates meet again. Values stand in the order in which their paths were first named.
 *
 * A path is looked for from the newest value on, since that is what pieces continue. The number of values and the depth are bounded, so that looking
 * and printing are, too.
 *
 * Wire format: Vertex AI generative AI reference (FunctionCall.partialArgs), November 2026; paths as RFC 9535 writes single ones.
 */
#include "llm/gemini_int.h"

enum { VALUES_MAX = 4096, DEPTH_MAX = 64, TEXT_MAX = 64 * 1024 * 1024 };

struct text_piece {
    struct text_piece *next;
    struct str escaped;
};

/* A scalar if `raw` is set, a string if it has pieces, else an object or an array. */
struct value {
    struct value *older;           /* its neighbour that was named before it        */
    struct value *newest;          /* of what is in it                              */
    struct value *first, *younger; /* the same the other way round, to print        */
    struct str key;
    bool in_array;
    struct str raw;
    bool is_string;
    struct text_piece *pieces, **end;
};

struct gemini_args {
    struct arena *arena;
    struct value root;
    size_t values, bytes;
};

struct gemini_args *gemini_args_new(struct arena *arena)
{
    struct gemini_args *a = arena_new(arena, struct gemini_args);

    a->arena = arena;
    return a;
}

/* --- paths --- */

static err_t no_path(struct str path)
{
    return fail(E_PROTOCOL, "the path of a call's argument cannot be followed: %.*s", STR_ARG(path));
}

/* Behind "['" as far as the quote that ends it. */
static err_t quoted_step(struct gemini_args *a, struct str *rest, struct str *ret_key)
{
    struct str from = *rest;
    char quote = from.p[1], *key = arena_alloc(a->arena, from.n);
    size_t n = 0, i = 2;

    for (; i < from.n && from.p[i] != quote; i++) {
        if (from.p[i] == '\\' && i + 1 < from.n)
            i++;
        key[n++] = from.p[i];
    }
    if (i + 1 >= from.n || from.p[i + 1] != ']')
        return no_path(from);
    *ret_key = str_of(key, n);
    *rest = str_slice(from, i + 2, from.n);
    return OK;
}

/* The next step of a path: ".name", "[0]" or "['name']". */
static err_t next_step(struct gemini_args *a, struct str *rest, struct str *ret_key, bool *ret_in_array)
{
    struct str from = *rest;
    size_t end = 1;

    *ret_in_array = false;
    if (from.n > 2 && from.p[0] == '[' && (from.p[1] == '\'' || from.p[1] == '"'))
        return quoted_step(a, rest, ret_key);
    if (from.p[0] == '[') {
        end = str_find_char(from, ']');
        *ret_in_array = true;
        *ret_key = str_slice(from, 1, end);
        *rest = str_slice(from, end + 1, from.n);
        return end < from.n && end > 1 ? OK : no_path(from);
    }
    while (end < from.n && from.p[end] != '.' && from.p[end] != '[')
        end++;
    *ret_key = str_slice(from, 1, end);
    *rest = str_slice(from, end, from.n);
    return from.p[0] == '.' && end > 1 ? OK : no_path(from);
}

static struct value *find(struct value *in, struct str key)
{
    struct value *v = in->newest;

    while (v && !str_eq(v->key, key))
        v = v->older;
    return v;
}

static err_t enter(struct gemini_args *a, struct value **at, struct str key, bool in_array)
{
    struct value *in = *at, *v = find(in, key);

    if (in->raw.n || in->is_string || (in->first && in->first->in_array != in_array))
        return fail(E_PROTOCOL, "an argument of a call is two things at once");
    if (!v) {
        if (++a->values > VALUES_MAX)
            return fail(E_TOO_LARGE, "the arguments of a call have more than %d values", VALUES_MAX);
        v = arena_new(a->arena, struct value);
        v->key = arena_str(a->arena, key);
        v->in_array = in_array;
        v->end = &v->pieces;
        v->older = in->newest;
        if (in->newest)
            in->newest->younger = v;
        else
            in->first = v;
        in->newest = v;
    }
    *at = v;
    return OK;
}

static err_t follow(struct gemini_args *a, struct str path, struct value **ret)
{
    struct str rest = str_slice(path, 1, path.n), key = STR_NONE;
    struct value *at = &a->root;
    size_t depth = 0;
    bool in_array;

    if (!path.n || path.p[0] != '$' || !rest.n)
        return no_path(path);
    while (rest.n) {
        if (++depth > DEPTH_MAX)
            return fail(E_TOO_LARGE, "the arguments of a call are more than %d levels deep", DEPTH_MAX);
        TRY(next_step(a, &rest, &key, &in_array));
        if (depth == 1 && in_array)
            return no_path(path);
        TRY(enter(a, &at, key, in_array));
    }
    *ret = at;
    return OK;
}

/* --- values --- */

static err_t add_text(struct gemini_args *a, struct value *v, struct json_node text)
{
    struct str raw = json_node_raw(text);
    struct text_piece *piece;

    if (v->raw.n || v->first)
        return fail(E_PROTOCOL, "an argument of a call is two things at once");
    v->is_string = true;
    a->bytes += raw.n;
    if (a->bytes > TEXT_MAX)
        return fail(E_TOO_LARGE, "the arguments of a call are too long");
    piece = *v->end = arena_new(a->arena, struct text_piece);
    piece->escaped = arena_str(a->arena, str_slice(raw, 1, raw.n - 1)); /* between its quotes */
    v->end = &piece->next;
    return OK;
}

static err_t set_scalar(struct gemini_args *a, struct value *v, struct str raw)
{
    if (v->is_string || v->first)
        return fail(E_PROTOCOL, "an argument of a call is two things at once");
    v->raw = arena_str(a->arena, raw);
    return OK;
}

static err_t add_piece(struct gemini_args *a, struct json_node piece)
{
    struct value *v = NULL;

    TRY(follow(a, gemini_text(piece, "jsonPath", a->arena), &v));
    JSON_EACH(w, piece) {
        if (gemini_key_is(w.key, "stringValue") && json_node_is(w.value, JSON_STRING))
            return add_text(a, v, w.value);
        if (gemini_key_is(w.key, "numberValue") && json_node_is(w.value, JSON_NUMBER))
            return set_scalar(a, v, json_node_raw(w.value));
        if (gemini_key_is(w.key, "boolValue") && json_node_is_set(w.value))
            return set_scalar(a, v, json_node_raw(w.value));
        if (gemini_key_is(w.key, "nullValue"))
            return set_scalar(a, v, STR("null"));
    }
    return OK;
}

err_t gemini_args_add(struct gemini_args *a, struct json_node pieces)
{
    JSON_EACH(w, pieces)
        TRY(add_piece(a, w.value));
    return OK;
}

/* --- printing --- */

static void put_string(struct json_out *o, const struct value *v)
{
    json_put_raw(o, STR("\""));
    for (const struct text_piece *p = v->pieces; p; p = p->next)
        buf_add(o->to, p->escaped);
    buf_add_char(o->to, '"');
}

/* As deep as DEPTH_MAX. */
static void put_value(struct json_out *o, const struct value *v)
{
    bool array = v->first && v->first->in_array;

    if (v->raw.n) {
        json_put_raw(o, v->raw);
        return;
    }
    if (v->is_string) {
        put_string(o, v);
        return;
    }
    json_open(o, array ? '[' : '{');
    for (const struct value *in = v->first; in; in = in->younger) {
        if (!array)
            json_key(o, in->key);
        put_value(o, in);
    }
    json_close(o, array ? ']' : '}');
}

err_t gemini_args_text(const struct gemini_args *a, struct str *ret)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(TEXT_MAX);
    struct json_out o = json_out_to(&to);

    put_value(&o, &a->root);
    TRY(buf_status(&to));
    *ret = arena_str(a->arena, buf_str(&to));
    return OK;
}
