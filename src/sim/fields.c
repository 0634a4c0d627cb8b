/*
 * fields.c - table-driven checks of request objects.
 *
 * The words and the codes (missing_required_parameter, invalid_type, integer_above_max_value, ...) follow what OpenAI's
 * service says, so that what an application shows to its users looks the same against the simulator.
 */
#include "sim/fields.h"

#include "codec/json.h"

#include <math.h>

struct str field_path(struct arena *a, struct str path, const char *name)
{
    return path.n == 0 ? str_from_c(name) : arena_printf(a, "%.*s.%s", STR_ARG(path), name);
}

const char *field_type_name(yyjson_val *v)
{
    switch (yyjson_get_type(v)) {
    case YYJSON_TYPE_NULL:
        return "null";
    case YYJSON_TYPE_BOOL:
        return "a boolean";
    case YYJSON_TYPE_NUM:
        return yyjson_is_real(v) ? "a decimal" : "an integer";
    case YYJSON_TYPE_STR:
        return "a string";
    case YYJSON_TYPE_ARR:
        return "an array";
    case YYJSON_TYPE_OBJ:
        return "an object";
    default:
        return "nothing";
    }
}

err_t refuse_type(struct arena *a, struct sim_refusal *r, struct str param, const char *expected, yyjson_val *got)
{
    return refuse(a, r, "invalid_type", param, "Invalid type for '%.*s': expected %s, but got %s instead.",
                  STR_ARG(param), expected, field_type_name(got));
}

static bool is_whole(yyjson_val *v)
{
    return yyjson_is_int(v) || (yyjson_is_real(v) && yyjson_get_real(v) == floor(yyjson_get_real(v)));
}

static bool has_type(yyjson_val *v, enum field_kind kind)
{
    switch (kind) {
    case FIELD_ANY:
        return true;
    case FIELD_STRING:
    case FIELD_ENUM:
        return yyjson_is_str(v);
    case FIELD_BOOL:
        return yyjson_is_bool(v);
    case FIELD_INT:
        return is_whole(v);
    case FIELD_NUMBER:
        return yyjson_is_num(v);
    case FIELD_ARRAY:
        return yyjson_is_arr(v);
    case FIELD_OBJECT:
        return yyjson_is_obj(v);
    }
    return false;
}

static const char *expected_name(enum field_kind kind)
{
    switch (kind) {
    case FIELD_STRING:
    case FIELD_ENUM:
        return "a string";
    case FIELD_BOOL:
        return "a boolean";
    case FIELD_INT:
        return "an integer";
    case FIELD_NUMBER:
        return "a decimal";
    case FIELD_ARRAY:
        return "an array";
    case FIELD_OBJECT:
        return "an object";
    case FIELD_ANY:
        break;
    }
    return "a value";
}

static bool is_choice(yyjson_val *v, const char *const *choices)
{
    for (size_t i = 0; choices[i]; i++)
        if (str_eq(json_text(v), str_from_c(choices[i])))
            return true;
    return false;
}

static err_t refuse_choice(struct arena *a, yyjson_val *v, struct str param, const char *const *choices,
                           struct sim_refusal *r)
{
    struct str list = STR("");

    for (size_t i = 0; choices[i]; i++) {
        const char *joint = i == 0 ? "" : choices[i + 1] ? ", " : i == 1 ? " and " : ", and ";
        list = arena_printf(a, "%.*s%s'%s'", STR_ARG(list), joint, choices[i]);
    }
    return refuse(a, r, "invalid_value", param, "Invalid value: '%.*s'. Supported values are: %.*s.",
                  STR_ARG(json_text(v)), STR_ARG(list));
}

/* What is measured of a value, and the words for it. */
static double measure(yyjson_val *v, enum field_kind kind, const char **ret_noun)
{
    struct str text = json_text(v);
    size_t chars = 0;

    switch (kind) {
    case FIELD_INT:
        *ret_noun = "integer";
        return yyjson_get_num(v);
    case FIELD_NUMBER:
        *ret_noun = "decimal";
        return yyjson_get_num(v);
    case FIELD_STRING:
        *ret_noun = "string length";
        for (size_t i = 0; i < text.n; i++)
            chars += ((unsigned char)text.p[i] & 0xc0) != 0x80;
        return (double)chars;
    case FIELD_ARRAY:
        *ret_noun = "array length";
        return (double)yyjson_arr_size(v);
    case FIELD_OBJECT:
        *ret_noun = "number of properties";
        return (double)yyjson_obj_size(v);
    case FIELD_ANY:
    case FIELD_BOOL:
    case FIELD_ENUM:
        break;
    }
    *ret_noun = "";
    return 0;
}

static const char *limit_code(enum field_kind kind, bool above)
{
    switch (kind) {
    case FIELD_INT:
        return above ? "integer_above_max_value" : "integer_below_min_value";
    case FIELD_NUMBER:
        return above ? "decimal_above_max_value" : "decimal_below_min_value";
    case FIELD_STRING:
        return above ? "string_above_max_length" : "string_below_min_length";
    case FIELD_ARRAY:
        return above ? "array_above_max_length" : "array_below_min_length";
    case FIELD_OBJECT:
        return above ? "object_above_max_properties" : "object_below_min_properties";
    case FIELD_ANY:
    case FIELD_BOOL:
    case FIELD_ENUM:
        break;
    }
    return "invalid_value";
}

static bool is_within(yyjson_val *v, const struct field_rule *rule)
{
    const char *noun;
    double x = measure(v, rule->kind, &noun);

    return rule->min >= rule->max || (x >= rule->min && x <= rule->max);
}

static err_t refuse_limits(struct arena *a, yyjson_val *v, struct str param, const struct field_rule *rule,
                           struct sim_refusal *r)
{
    const char *noun;
    double x = measure(v, rule->kind, &noun);
    bool above = x > rule->max;

    return refuse(a, r, limit_code(rule->kind, above), param,
                  "Invalid '%.*s': %s %s value. Expected a value %s %.10g, but got %.10g instead.", STR_ARG(param),
                  noun, above ? "above maximum" : "below minimum", above ? "<=" : ">=", above ? rule->max : rule->min,
                  x);
}

static const struct field_rule *rule_of(const struct field_rule *rules, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(rules[i].name, name))
            return &rules[i];
    return NULL;
}

static enum field_fault_kind fault_of(yyjson_val *v, const struct field_rule *rule)
{
    if (!has_type(v, rule->kind))
        return FIELD_WRONG_TYPE;
    if (rule->choices && !is_choice(v, rule->choices))
        return FIELD_WRONG_CHOICE;
    return is_within(v, rule) ? FIELD_GOOD : FIELD_OUT_OF_RANGE;
}

struct field_fault fields_fault(yyjson_val *obj, const struct field_rule *rules, size_t count, bool refuse_unknown)
{
    yyjson_val *key, *value;
    size_t i, n;

    for (i = 0; i < count; i++) {
        value = json_get(obj, rules[i].name);
        if (rules[i].required && (!value || yyjson_is_null(value)))
            return (struct field_fault){FIELD_MISSING, rules[i].name, &rules[i], value};
    }
    yyjson_obj_foreach(obj, i, n, key, value)
    {
        const struct field_rule *rule = rule_of(rules, count, json_text(key));
        if (!rule && refuse_unknown)
            return (struct field_fault){FIELD_UNKNOWN, json_text(key), NULL, value};
        if (!rule || yyjson_is_null(value))
            continue;
        enum field_fault_kind kind = fault_of(value, rule);
        if (kind != FIELD_GOOD)
            return (struct field_fault){kind, rule->name, rule, value};
    }
    return (struct field_fault){.kind = FIELD_GOOD};
}

err_t fields_check(struct arena *a, yyjson_val *obj, struct str path, const struct field_rule *rules, size_t count,
                   bool refuse_unknown, struct sim_refusal *r)
{
    struct field_fault f = fields_fault(obj, rules, count, refuse_unknown);

    if (f.kind == FIELD_GOOD)
        return OK;
    struct str param = field_path(a, path, f.name.p);
    switch (f.kind) {
    case FIELD_GOOD:
        break;
    case FIELD_MISSING:
        return refuse(a, r, "missing_required_parameter", param, "Missing required parameter: '%.*s'.", STR_ARG(param));
    case FIELD_UNKNOWN:
        return refuse(a, r, "unknown_parameter", param, "Unknown parameter: '%.*s'.", STR_ARG(param));
    case FIELD_WRONG_TYPE:
        return refuse_type(a, r, param, expected_name(f.rule->kind), f.value);
    case FIELD_WRONG_CHOICE:
        return refuse_choice(a, f.value, param, f.rule->choices, r);
    case FIELD_OUT_OF_RANGE:
        return refuse_limits(a, f.value, param, f.rule, r);
    }
    return OK;
}

err_t fields_parse(struct arena *a, struct str body, struct sim_refusal *r, yyjson_val **ret_root)
{
    yyjson_val *root;
    err_t e = json_parse(a, body, NULL, 0, &root);

    if (e == E_TOO_LARGE)
        return refuse_status(a, r, 413, NULL, "The request is too large: %s.", err_detail(e));
    if (e != OK)
        return refuse(
            a, r, NULL, STR_NONE,
            "We could not parse the JSON body of your request. The OpenAI API expects a JSON payload, but what "
            "was sent was not valid JSON: %s.",
            err_detail(e));
    if (!yyjson_is_obj(root))
        return refuse_type(a, r, STR("body"), "an object", root);
    *ret_root = root;
    return OK;
}
