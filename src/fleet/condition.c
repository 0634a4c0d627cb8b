/*
 * condition.c - the type of what conditions look at, and which of it a compiled one reads.
 *
 * The tables are in the order of the enumerators in condition.h: a record is read by place. What a client can leave out is null, so a condition
 * has to say what then (`.user // ""`), and cannot fail in the middle of a request because a client left something out.
 *
 * Does not evaluate anything: the gateway knows requests (gateway/match.c).
 */
#include "fleet/condition.h"

#include "fleet/needs.h"

static const struct expr_type string_or_null = {.kinds = EXPR_IS_STRING | EXPR_IS_NULL};
static const struct expr_type number_or_null = {.kinds = EXPR_IS_NUMBER | EXPR_IS_NULL};
static const struct expr_type strings = {.kinds = EXPR_IS_ARRAY, .items = &expr_type_string};
static const struct expr_type map_of_strings = {.kinds = EXPR_IS_OBJECT, .rest = &expr_type_string};
static const struct expr_type map_of_anything = {.kinds = EXPR_IS_OBJECT, .rest = &expr_type_any};

#define RECORD(name, field_table)                                                                                      \
    static const struct expr_type name = {.kinds = EXPR_IS_OBJECT,                                                     \
                                          .is_record = true,                                                           \
                                          .is_closed = true,                                                           \
                                          .fields = (field_table),                                                     \
                                          .field_count = ARRAY_LEN(field_table)}

static const struct expr_field key_fields[CONDITION_KEY_FIELDS] = {
    [CONDITION_KEY_NAME] = {STR_INIT("name"), &string_or_null, false},
    [CONDITION_KEY_TEAM] = {STR_INIT("team"), &string_or_null, false},
    [CONDITION_KEY_TAGS] = {STR_INIT("tags"), &strings, false},
    [CONDITION_KEY_METADATA] = {STR_INIT("metadata"), &map_of_strings, false}};
RECORD(key_type, key_fields);

static const struct expr_field token_fields[CONDITION_TOKENS_FIELDS] = {
    [CONDITION_TOKENS_INPUT] = {STR_INIT("input"), &expr_type_number, false},
    [CONDITION_TOKENS_OUTPUT] = {STR_INIT("output"), &number_or_null, false}};
RECORD(tokens_type, token_fields);

/* In the order of the bits; tests/unit/condition_test.c compares the names. */
static const struct expr_field need_fields[NEED_COUNT] = {
    {STR_INIT("stream"), &expr_type_bool, false},       {STR_INIT("tools"), &expr_type_bool, false},
    {STR_INIT("vision"), &expr_type_bool, false},       {STR_INIT("audio"), &expr_type_bool, false},
    {STR_INIT("video"), &expr_type_bool, false},        {STR_INIT("files"), &expr_type_bool, false},
    {STR_INIT("json"), &expr_type_bool, false},         {STR_INIT("reasoning"), &expr_type_bool, false},
    {STR_INIT("audio_output"), &expr_type_bool, false}, {STR_INIT("image_output"), &expr_type_bool, false}};
RECORD(needs_type, need_fields);

static const struct expr_field input_fields[CONDITION_FIELDS] = {
    [CONDITION_MODEL] = {STR_INIT("model"), &expr_type_string, false},
    [CONDITION_DIALECT] = {STR_INIT("dialect"), &expr_type_string, false},
    [CONDITION_OPERATION] = {STR_INIT("operation"), &expr_type_string, false},
    [CONDITION_STREAM] = {STR_INIT("stream"), &expr_type_bool, false},
    [CONDITION_KEY] = {STR_INIT("key"), &key_type, false},
    [CONDITION_HEADERS] = {STR_INIT("headers"), &map_of_strings, false},
    [CONDITION_TAGS] = {STR_INIT("tags"), &strings, false},
    [CONDITION_TOKENS] = {STR_INIT("tokens"), &tokens_type, false},
    [CONDITION_NEEDS] = {STR_INIT("needs"), &needs_type, false},
    [CONDITION_METADATA] = {STR_INIT("metadata"), &map_of_anything, false},
    [CONDITION_USER] = {STR_INIT("user"), &string_or_null, false}};

const struct expr_type condition_input_type = {.kinds = EXPR_IS_OBJECT,
                                               .is_record = true,
                                               .is_closed = true,
                                               .fields = input_fields,
                                               .field_count = CONDITION_FIELDS};

/* Is it one header, named in the condition? */
static bool is_one_header(struct str path)
{
    return str_starts(path, STR(".headers.")) || str_starts(path, STR(".headers[\""));
}

/* The bit of the field that a path like ".key.tags[]" begins with; all bits of "." itself. */
static unsigned field_of(struct str path)
{
    struct str rest = str_slice(path, 1, path.n);

    for (size_t i = 0; i < CONDITION_FIELDS; i++) {
        struct str name = input_fields[i].name;
        if (str_starts(rest, name) && (rest.n == name.n || rest.p[name.n] == '.' || rest.p[name.n] == '['))
            return 1U << i | (i == CONDITION_HEADERS && !is_one_header(path) ? CONDITION_ALL_HEADERS : 0);
    }
    return ((1U << CONDITION_FIELDS) - 1) | CONDITION_ALL_HEADERS;
}

err_t condition_compile(struct arena *arena, struct str text, struct condition *ret, struct expr_problem *ret_problem)
{
    static const struct expr_env env = {.input = &condition_input_type};
    const struct expr *expr;
    size_t count;

    TRY(expr_compile(arena, text, &env, &expr, ret_problem));
    const struct str *paths = expr_reads(expr, &count);
    *ret = (struct condition){.expr = expr};
    for (size_t i = 0; i < count; i++)
        ret->reads |= field_of(paths[i]);
    return OK;
}
