/*
 * compat.c - levels of compatibility as inclusions between versions.
 *
 * Levels and their meaning are those of Confluent's Schema Registry (Schema Evolution and Compatibility). Its own rules for JSON Schema
 * are a list of changes that are allowed; here it is asked whether documents fit.
 */
#include "jsonschema/compat.h"

static const char *const level_names[] = {
    "NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"};

bool compat_level_find(struct str name, enum compat_level *ret_level)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
        if (str_eq_nocase(name, str_from_c(level_names[i]))) {
            *ret_level = (enum compat_level)i;
            return true;
        }
    return false;
}

const char *compat_level_name(enum compat_level level)
{
    return level_names[level];
}

static bool asks_backward(enum compat_level level)
{
    return level == COMPAT_BACKWARD || level == COMPAT_BACKWARD_TRANSITIVE || level == COMPAT_FULL ||
           level == COMPAT_FULL_TRANSITIVE;
}

static bool asks_forward(enum compat_level level)
{
    return level == COMPAT_FORWARD || level == COMPAT_FORWARD_TRANSITIVE || level == COMPAT_FULL ||
           level == COMPAT_FULL_TRANSITIVE;
}

static bool is_transitive(enum compat_level level)
{
    return level == COMPAT_BACKWARD_TRANSITIVE || level == COMPAT_FORWARD_TRANSITIVE || level == COMPAT_FULL_TRANSITIVE;
}

static err_t compare(const struct jsonschema *version, const struct jsonschema *candidate, bool is_forward,
                     const struct inclusion_options *options, struct arena *arena, struct compat_problem *to,
                     size_t *count)
{
    struct inclusion_result result;

    TRY(inclusion_check(is_forward ? candidate : version, is_forward ? version : candidate, options, arena, &result));
    if (result.verdict == INCLUSION_PROVEN)
        return OK;
    to->is_forward = is_forward;
    to->result = result;
    (*count)++;
    return OK;
}

err_t compat_check(const struct jsonschema *const *versions, size_t version_count, const struct jsonschema *candidate,
                   enum compat_level level, const struct inclusion_options *options, struct arena *arena,
                   const struct compat_problem **ret_problems, size_t *ret_count)
{
    size_t from = is_transitive(level) || !version_count ? 0 : version_count - 1, count = 0;
    struct compat_problem *problems = arena_zalloc(arena, 2 * (version_count + 1) * sizeof *problems);

    for (size_t i = from; i < version_count; i++) {
        size_t before = count;
        if (asks_backward(level))
            TRY(compare(versions[i], candidate, false, options, arena, &problems[count], &count));
        if (asks_forward(level))
            TRY(compare(versions[i], candidate, true, options, arena, &problems[count], &count));
        for (; before < count; before++)
            problems[before].version = i;
    }
    *ret_problems = problems;
    *ret_count = count;
    return OK;
}
