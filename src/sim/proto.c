/*
 * proto.c - JSON against message descriptions: Google's words for what does not fit.
 *
 * Written after the JSON mapping of protocol buffers and what the service answers. The first thing wrong, in the order of the text, is told.
 */
#include "sim/proto.h"

#include "codec/base64.h"
#include "codec/json.h"

enum { DEPTH_MAX = 100, BYTES_MAX = 256 << 20 };

struct checker {
    struct arena *a;
    struct sim_refusal *r;
    unsigned depth;
};

/* Is `key` this name, in lowerCamelCase or in snake_case? */
static bool key_is(struct str key, struct str name)
{
    size_t k = 0;

    if (str_eq(key, name))
        return true;
    for (size_t i = 0; i < name.n; i++, k++) {
        char c = name.p[i];
        if (c != ascii_lower(c) && (k >= key.n || key.p[k++] != '_'))
            return false;
        if (k >= key.n || key.p[k] != ascii_lower(c))
            return false;
    }
    return k == key.n;
}

static struct str snake(struct arena *a, struct str name)
{
    char *to = arena_alloc(a, 2 * name.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] != ascii_lower(name.p[i]))
            to[n++] = '_';
        to[n++] = ascii_lower(name.p[i]);
    }
    return str_of(to, n);
}

yyjson_val *proto_get(yyjson_val *obj, struct str name)
{
    yyjson_val *key, *value;
    size_t i, n;

    yyjson_obj_foreach(obj, i, n, key, value)
    {
        if (key_is(json_text(key), name))
            return yyjson_is_null(value) ? NULL : value;
    }
    return NULL;
}

struct str proto_get_str(yyjson_val *obj, struct str name, struct str fallback)
{
    struct str text = json_text(proto_get(obj, name));

    return text.p ? text : fallback;
}

int64_t proto_get_i64(yyjson_val *obj, struct str name, int64_t fallback)
{
    yyjson_val *v = proto_get(obj, name);
    struct str text = json_text(v);
    bool negative = str_starts(text, STR("-"));
    uint64_t number;

    if (yyjson_is_num(v))
        return yyjson_is_int(v) ? yyjson_get_sint(v) : (int64_t)yyjson_get_num(v);
    if (text.p && str_to_u64(str_slice(text, negative, text.n), INT64_MAX, &number))
        return negative ? -(int64_t)number : (int64_t)number;
    return fallback;
}

bool proto_get_bool(yyjson_val *obj, struct str name)
{
    return yyjson_is_true(proto_get(obj, name));
}

err_t proto_decode_bytes(struct buf *to, struct str text)
{
    bool url = str_find_char(text, '-') < text.n || str_find_char(text, '_') < text.n;
    bool padded = str_ends(text, STR("="));

    if (url)
        return base64_decode(to, text, padded ? BASE64_URL_PADDED : BASE64_URL);
    return base64_decode(to, text, padded ? BASE64 : BASE64_NO_PADDING);
}

/* --- checking --- */

static err_t refuse_value(struct checker *c, struct str path, const char *type, yyjson_val *v)
{
    struct str text = json_text(v);

    if (!text.p)
        text = yyjson_is_num(v) ? arena_printf(c->a, "%.10g", yyjson_get_num(v)) : STR("a value of another type");
    return refuse(c->a, c->r, NULL, STR_NONE, "Invalid value at '%.*s' (%s), \"%.*s\"", STR_ARG(path), type,
                  STR_ARG(text));
}

static bool is_int(yyjson_val *v)
{
    struct str text = json_text(v);
    uint64_t number;

    if (text.p)
        return str_to_u64(str_slice(text, str_starts(text, STR("-")), text.n), INT64_MAX, &number);
    return yyjson_is_int(v) || (yyjson_is_real(v) && yyjson_get_real(v) == (double)(int64_t)yyjson_get_real(v));
}

static bool is_name(yyjson_val *v, const struct proto_field *f)
{
    struct str text = json_text(v);

    for (size_t i = 0; f->names[i]; i++)
        if (str_eq(text, str_from_c(f->names[i])) || (f->any_case && str_eq_nocase(text, str_from_c(f->names[i]))))
            return true;
    return false;
}

static bool is_bytes(yyjson_val *v)
{
    struct buf bytes CLEANUP(buf_release) = BUF_INIT(BYTES_MAX);

    return yyjson_is_str(v) && proto_decode_bytes(&bytes, json_text(v)) == OK;
}

static err_t check_message(struct checker *c, yyjson_val *v, struct str path, const struct proto_message *m);

static err_t check_map(struct checker *c, yyjson_val *v, struct str path, const struct proto_message *m)
{
    yyjson_val *key, *value;
    size_t i, n;

    if (!yyjson_is_obj(v))
        return refuse_value(c, path, "Map", v);
    yyjson_obj_foreach(v, i, n, key, value)
    {
        struct str inner = arena_printf(c->a, "%.*s[%zu].value", STR_ARG(path), i);
        if (m)
            TRY(check_message(c, value, inner, m));
        else if (!yyjson_is_str(value))
            return refuse_value(c, inner, "TYPE_STRING", value);
    }
    return OK;
}

static err_t check_one(struct checker *c, yyjson_val *v, struct str path, const struct proto_field *f)
{
    if (yyjson_is_arr(v) && f->kind != PROTO_VALUE)
        return refuse(
            c->a, c->r, NULL, STR_NONE,
            "Invalid JSON payload received. Unknown name \"%.*s\": Proto field is not repeating, cannot start "
            "list.",
            STR_ARG(path));
    switch (f->kind) {
    case PROTO_STRING:
        return yyjson_is_str(v) ? OK : refuse_value(c, path, "TYPE_STRING", v);
    case PROTO_BYTES:
        return is_bytes(v) ? OK : refuse_value(c, path, "TYPE_BYTES", v);
    case PROTO_BOOL:
        return yyjson_is_bool(v) ? OK : refuse_value(c, path, "TYPE_BOOL", v);
    case PROTO_INT:
        return is_int(v) ? OK : refuse_value(c, path, "TYPE_INT32", v);
    case PROTO_NUMBER:
        return yyjson_is_num(v) ? OK : refuse_value(c, path, "TYPE_FLOAT", v);
    case PROTO_ENUM:
        return is_name(v, f) ? OK : refuse_value(c, path, "TYPE_ENUM", v);
    case PROTO_STRUCT:
        return yyjson_is_obj(v) ? OK : refuse_value(c, path, "type.googleapis.com/google.protobuf.Struct", v);
    case PROTO_VALUE:
        return OK;
    case PROTO_MESSAGE:
        return check_message(c, v, path, f->message);
    case PROTO_MAP:
        return check_map(c, v, path, f->message);
    }
    return OK;
}

static err_t check_field(struct checker *c, yyjson_val *v, struct str path, const struct proto_field *f)
{
    yyjson_val *item;
    size_t i, n;

    if (!f->repeated)
        return check_one(c, v, path, f);
    if (!yyjson_is_arr(v))
        return refuse_value(c, path, "repeated field", v);
    yyjson_arr_foreach(v, i, n, item)
    {
        TRY(check_one(c, item, arena_printf(c->a, "%.*s[%zu]", STR_ARG(path), i), f));
    }
    return OK;
}

static err_t refuse_unknown(struct checker *c, struct str name, struct str path)
{
    if (path.n == 0)
        return refuse(c->a, c->r, NULL, STR_NONE,
                      "Invalid JSON payload received. Unknown name \"%.*s\": Cannot find field.", STR_ARG(name));
    return refuse(c->a, c->r, NULL, STR_NONE,
                  "Invalid JSON payload received. Unknown name \"%.*s\" at '%.*s': Cannot find field.", STR_ARG(name),
                  STR_ARG(path));
}

static err_t check_members(struct checker *c, yyjson_val *v, struct str path, const struct proto_message *m)
{
    yyjson_val *key, *value;
    size_t i, n;

    yyjson_obj_foreach(v, i, n, key, value)
    {
        size_t at = 0;
        while (at < m->count && !key_is(json_text(key), m->fields[at].name))
            at++;
        if (at == m->count)
            return refuse_unknown(c, json_text(key), path);
        if (yyjson_is_null(value))
            continue;
        struct str name = snake(c->a, m->fields[at].name);
        struct str inner = path.n == 0 ? name : arena_printf(c->a, "%.*s.%.*s", STR_ARG(path), STR_ARG(name));
        TRY(check_field(c, value, inner, &m->fields[at]));
    }
    return OK;
}

static err_t check_message(struct checker *c, yyjson_val *v, struct str path, const struct proto_message *m)
{
    if (!yyjson_is_obj(v))
        return refuse_value(c, path, "message", v);
    if (++c->depth > DEPTH_MAX)
        return refuse(c->a, c->r, NULL, STR_NONE, "Invalid JSON payload received. The message is nested too deeply.");
    TRY(check_members(c, v, path, m));
    c->depth--;
    return OK;
}

err_t proto_check(struct arena *a, yyjson_val *v, struct str path, const struct proto_message *message,
                  struct sim_refusal *r)
{
    struct checker c = {.a = a, .r = r};

    return check_message(&c, v, path, message);
}
