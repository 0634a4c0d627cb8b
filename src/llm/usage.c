/* usage.c - token counts out of a provider's usage object. */
#include "llm/usage.h"

#include "codec/json_scan.h"

static uint64_t number(struct str value)
{
    uint64_t n;

    return json_to_u64(value, &n) ? n : 0;
}

/* The object of details beside a count: one walk, however many there are. */
static void take_details(struct usage *u, struct str details, bool of_input)
{
    struct str key, value;

    for (size_t at = 0; json_next_member(details, &at, &key, &value);) {
        if (str_eq(key, STR("audio_tokens")))
            *(of_input ? &u->audio_input : &u->audio_output) = number(value);
        else if (of_input && str_eq(key, STR("cached_tokens")))
            u->cached_input = number(value);
        else if (of_input && str_eq(key, STR("cache_write_tokens")))
            u->cache_write = number(value);
        else if (!of_input && str_eq(key, STR("reasoning_tokens")))
            u->reasoning = number(value);
    }
}

/* What usage objects hold besides our own fields. */
struct more {
    uint64_t total;
    uint64_t cached; /* DeepSeek's and Mistral's counts of cached tokens */
};

static void take(struct usage *u, struct more *more, struct str key, struct str value)
{
    if (str_eq(key, STR("prompt_tokens")) || str_eq(key, STR("input_tokens"))) {
        u->input = number(value);
        u->known = true;
    } else if (str_eq(key, STR("completion_tokens")) || str_eq(key, STR("output_tokens"))) {
        u->output = number(value);
        u->known = true;
    } else if (str_eq(key, STR("total_tokens"))) {
        more->total = number(value);
    } else if (str_eq(key, STR("prompt_tokens_details")) || str_eq(key, STR("input_tokens_details"))) {
        take_details(u, value, true);
    } else if (str_eq(key, STR("completion_tokens_details")) || str_eq(key, STR("output_tokens_details"))) {
        take_details(u, value, false);
    } else if (str_eq(key, STR("prompt_cache_hit_tokens")) || str_eq(key, STR("num_cached_tokens"))) {
        more->cached = number(value);
    }
}

bool usage_from_openai(struct str json, struct usage *ret)
{
    struct str key, value;
    struct usage u = {0};
    struct more more = {0};

    for (size_t at = 0; json_next_member(json, &at, &key, &value);)
        take(&u, &more, key, value);
    if (!u.known)
        return false;
    if (!u.cached_input)
        u.cached_input = more.cached;
    if (u.reasoning && more.total == u.input + u.output + u.reasoning)
        u.output += u.reasoning; /* xAI leaves reasoning out of the completion's tokens */
    *ret = u;
    return true;
}

void usage_add(struct usage *to, const struct usage *u)
{
    to->input += u->input;
    to->output += u->output;
    to->cached_input += u->cached_input;
    to->cache_write += u->cache_write;
    to->cache_write_1h += u->cache_write_1h;
    to->reasoning += u->reasoning;
    to->audio_input += u->audio_input;
    to->audio_output += u->audio_output;
    to->known = to->known && u->known;
}

uint64_t usage_count(struct json_node object, struct str key)
{
    int64_t n;

    return json_node_i64(json_node_get(object, key), &n) && n > 0 ? (uint64_t)n : 0;
}
