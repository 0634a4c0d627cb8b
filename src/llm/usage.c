/* usage.c - token counts out of a provider's usage object. */
#include "llm/usage.h"

#include "codec/json_scan.h"

/* The count at *at, which moves behind it; 0 if it is none. */
static uint64_t take_number(struct str json, size_t *at)
{
    enum { SHORT = 10 }; /* digits that need no look at the range */
    uint64_t n = 0;
    size_t i = *at, most = json.n - *at < SHORT ? json.n : *at + SHORT;

    for (; i < most && json.p[i] >= '0' && json.p[i] <= '9'; i++)
        n = 10 * n + (uint64_t)(json.p[i] - '0');
    if (LIKELY(i > *at && i < most && (json.p[i] == ',' || json.p[i] == '}'))) {
        *at = i;
        return n;
    }
    return json_to_u64(json_take_value(json, at), &n) ? n : 0;
}

/* The object of details beside a count, at *at. */
static void take_details(struct usage *u, struct str json, size_t *at, bool of_input)
{
    struct str key;

    if (json_kind_of(str_slice(json, *at, json.n)) != JSON_OBJECT) {
        (void)json_take_value(json, at);
        return;
    }
    while (json_next_key(json, at, &key)) {
        uint64_t n = take_number(json, at);
        if (str_eq(key, STR("audio_tokens")))
            *(of_input ? &u->audio_input : &u->audio_output) = n;
        else if (of_input && str_eq(key, STR("cached_tokens")))
            u->cached_input = n;
        else if (of_input && str_eq(key, STR("cache_write_tokens")))
            u->cache_write = n;
        else if (!of_input && str_eq(key, STR("reasoning_tokens")))
            u->reasoning = n;
    }
}

/* What usage objects hold besides our own fields. */
struct more {
    uint64_t total;
    uint64_t cached; /* DeepSeek's and Mistral's counts of cached tokens */
};

/* The member of that key, whose value is at *at: all of it is gone over once. */
static void take(struct usage *u, struct more *more, struct str key, struct str json, size_t *at)
{
    if (str_eq(key, STR("prompt_tokens")) || str_eq(key, STR("input_tokens"))) {
        u->input = take_number(json, at);
        u->known = true;
    } else if (str_eq(key, STR("completion_tokens")) || str_eq(key, STR("output_tokens"))) {
        u->output = take_number(json, at);
        u->known = true;
    } else if (str_eq(key, STR("total_tokens"))) {
        more->total = take_number(json, at);
    } else if (str_eq(key, STR("prompt_tokens_details")) || str_eq(key, STR("input_tokens_details"))) {
        take_details(u, json, at, true);
    } else if (str_eq(key, STR("completion_tokens_details")) || str_eq(key, STR("output_tokens_details"))) {
        take_details(u, json, at, false);
    } else if (str_eq(key, STR("prompt_cache_hit_tokens")) || str_eq(key, STR("num_cached_tokens"))) {
        more->cached = take_number(json, at);
    } else {
        (void)json_take_value(json, at);
    }
}

bool usage_from_openai(struct str json, struct usage *ret)
{
    struct str key;
    struct usage u = {0};
    struct more more = {0};

    if (json_kind_of(json) != JSON_OBJECT)
        return false;
    for (size_t at = 0; json_next_key(json, &at, &key);)
        take(&u, &more, key, json, &at);
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
