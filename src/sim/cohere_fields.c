/* cohere_fields.c - what Cohere's service says to request bodies that are wrong. The words follow the service's own. */
#include "codec/json.h"
#include "sim/cohere_int.h"

err_t cohere_parse(struct arena *a, struct str body, struct sim_refusal *r, yyjson_val **ret_root)
{
    err_t e = json_parse(a, body, NULL, 0, ret_root);

    if (e == E_TOO_LARGE)
        return refuse_status(a, r, 413, NULL, "request body is too large");
    if (e != OK || !yyjson_is_obj(*ret_root))
        return cohere_refuse(a, r, "the body must be a JSON object");
    return OK;
}

static const char *wanted_type(enum field_kind kind)
{
    switch (kind) {
    case FIELD_STRING:
    case FIELD_ENUM:
        return "string";
    case FIELD_BOOL:
        return "bool";
    case FIELD_INT:
        return "int";
    case FIELD_NUMBER:
        return "float";
    case FIELD_ARRAY:
        return "array";
    case FIELD_OBJECT:
        return "object";
    case FIELD_ANY:
        break;
    }
    return "value";
}

static err_t refuse_choice(struct arena *a, struct str param, const char *const *choices, struct sim_refusal *r)
{
    struct str list = str_from_c(choices[0]);

    for (size_t i = 1; choices[i]; i++)
        list = arena_printf(a, "%.*s, %s", STR_ARG(list), choices[i]);
    return cohere_refuse(a, r, "%.*s must be one of: %.*s", STR_ARG(param), STR_ARG(list));
}

err_t cohere_fields(struct arena *a, yyjson_val *obj, struct str path, const struct field_rule *rules, size_t count,
                    struct sim_refusal *r)
{
    struct field_fault f = fields_fault(obj, rules, count, true);
    struct str param = f.kind == FIELD_GOOD ? STR("") : field_path(a, path, f.name.p);

    switch (f.kind) {
    case FIELD_GOOD:
        break;
    case FIELD_MISSING:
        return cohere_refuse(a, r, "%.*s is required", STR_ARG(param));
    case FIELD_UNKNOWN:
        return refuse_status(a, r, 422, NULL, "unknown field: parameter '%.*s' is not a valid field", STR_ARG(param));
    case FIELD_WRONG_TYPE:
        return refuse_status(a, r, 422, NULL, "invalid type: parameter '%.*s' should be of type %s, but is %s",
                             STR_ARG(param), wanted_type(f.rule->kind), field_type_name(f.value));
    case FIELD_WRONG_CHOICE:
        return refuse_choice(a, param, f.rule->choices, r);
    case FIELD_OUT_OF_RANGE:
        return cohere_refuse(a, r, "%.*s must be between %.10g and %.10g%s", STR_ARG(param), f.rule->min, f.rule->max,
                             f.rule->kind == FIELD_STRING || f.rule->kind == FIELD_ARRAY ? " long" : "");
    }
    return OK;
}
