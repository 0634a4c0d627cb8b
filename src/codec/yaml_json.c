/* yaml_json.c - a value of a YAML document as JSON. What nests is bounded by the depth that yaml_parse() allows. */
#include "codec/yaml_json.h"

#include "codec/json_out.h"
#include "codec/json_scan.h"

static err_t put(const struct yaml_node *n, struct problems *problems, struct json_out *o);

static err_t put_scalar(const struct yaml_node *n, struct problems *problems, struct json_out *o)
{
    double number;
    bool truth, is_plain = !n->quoted;

    if (is_plain && yaml_is_null(n)) {
        json_put_null(o);
    } else if (is_plain && yaml_to_bool(n, &truth)) {
        json_put_bool(o, truth);
    } else if (!is_plain || !yaml_is_number(n)) {
        json_put_str(o, n->text);
    } else if (!json_to_double(n->text, &number)) {
        problems_error(problems, n, "JSON has no such number: write it in decimal digits, or in quotes");
        return fail(E_PARSE, "a number that JSON does not have");
    } else {
        json_put_raw(o, n->text);
    }
    return OK;
}

static err_t put_list(const struct yaml_node *n, struct problems *problems, struct json_out *o)
{
    json_open(o, '[');
    for (size_t i = 0; i < n->count; i++)
        TRY(put(n->items[i], problems, o));
    json_close(o, ']');
    return OK;
}

static err_t put_map(const struct yaml_node *n, struct problems *problems, struct json_out *o)
{
    json_open(o, '{');
    for (size_t i = 0; i < n->count; i++) {
        json_key(o, n->pairs[i].key->text);
        TRY(put(n->pairs[i].value, problems, o));
    }
    json_close(o, '}');
    return OK;
}

static err_t put(const struct yaml_node *n, struct problems *problems, struct json_out *o)
{
    switch (n->kind) {
    case YAML_SCALAR:
        return put_scalar(n, problems, o);
    case YAML_LIST:
        return put_list(n, problems, o);
    case YAML_MAP:
        return put_map(n, problems, o);
    }
    return OK;
}

err_t yaml_put_json(const struct yaml_node *n, struct problems *problems, struct buf *to)
{
    struct json_out o = json_out_to(to);

    TRY(put(n, problems, &o));
    return buf_status(to);
}
