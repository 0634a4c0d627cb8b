/* usage.c - token counts out of a provider's usage object. */
#include "llm/usage.h"

#include "codec/json_scan.h"

static uint64_t number(struct str value)
{
    uint64_t n;

    return json_to_u64(value, &n) ? n : 0;
}

/* A number in one of the details objects. */
static uint64_t detail(struct str details, struct str name)
{
    struct str key, value;

    for (size_t at = 0; json_next_member(details, &at, &key, &value);)
        if (str_eq(key, name))
            return number(value);
    return 0;
}

static void take(struct usage *u, struct str key, struct str value)
{
    if (str_eq(key, STR("prompt_tokens")) || str_eq(key, STR("input_tokens"))) {
        u->input = number(value);
        u->known = true;
    } else if (str_eq(key, STR("completion_tokens")) || str_eq(key, STR("output_tokens"))) {
        u->output = number(value);
        u->known = true;
    } else if (str_eq(key, STR("prompt_tokens_details")) || str_eq(key, STR("input_tokens_details"))) {
        u->cached_input = detail(value, STR("cached_tokens"));
        u->cache_write = detail(value, STR("cache_write_tokens"));
        u->audio_input = detail(value, STR("audio_tokens"));
    } else if (str_eq(key, STR("completion_tokens_details")) || str_eq(key, STR("output_tokens_details"))) {
        u->reasoning = detail(value, STR("reasoning_tokens"));
        u->audio_output = detail(value, STR("audio_tokens"));
    }
}

/* What look-alikes say beside it: DeepSeek's and Mistral's counts of cached tokens, and the total. */
static void take_more(struct usage *u, struct str key, struct str value, uint64_t *total)
{
    if (str_eq(key, STR("total_tokens")))
        *total = number(value);
    else if (!u->cached_input && (str_eq(key, STR("prompt_cache_hit_tokens")) || str_eq(key, STR("num_cached_tokens"))))
        u->cached_input = number(value);
}

bool usage_from_openai(struct str json, struct usage *ret)
{
    struct str key, value;
    struct usage u = {0};
    uint64_t total = 0;

    for (size_t at = 0; json_next_member(json, &at, &key, &value);)
        take(&u, key, value);
    if (!u.known)
        return false;
    for (size_t at = 0; json_next_member(json, &at, &key, &value);)
        take_more(&u, key, value, &total);
    if (u.reasoning && total == u.input + u.output + u.reasoning)
        u.output += u.reasoning; /* xAI leaves reasoning out of the completion's tokens */
    *ret = u;
    return true;
}

uint64_t usage_count(struct json_node object, struct str key)
{
    int64_t n;

    return json_node_i64(json_node_get(object, key), &n) && n > 0 ? (uint64_t)n : 0;
}
