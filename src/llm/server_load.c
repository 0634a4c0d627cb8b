/* server_load.c - the table of servers' figures, by name. Figures of all servers stand in one table: no name means two things. */
#include "llm/server_load.h"

#include "base/attr.h"

/* More than that of anything is no figure of a server. */
#define MOST 1e12

enum figure { RUNNING, WAITING, TOKENS, CACHE, CAPACITY };

static const struct {
    struct str name;
    enum figure figure;
} figures[] = {
    {STR_INIT("vllm:num_requests_running"), RUNNING},
    {STR_INIT("vllm:num_requests_waiting"), WAITING},
    {STR_INIT("vllm:num_requests_swapped"), WAITING}, /* version 0 */
    {STR_INIT("vllm:kv_cache_usage_perc"), CACHE},
    {STR_INIT("vllm:gpu_cache_usage_perc"), CACHE}, /* its name before 0.10; for a while both */
    {STR_INIT("vllm:cache_config_info"), CAPACITY},
    {STR_INIT("sglang:num_running_reqs"), RUNNING},
    {STR_INIT("sglang:num_queue_reqs"), WAITING},
    {STR_INIT("sglang:num_used_tokens"), TOKENS},
    {STR_INIT("sglang:token_usage"), CACHE},
    {STR_INIT("tgi_batch_current_size"), RUNNING},
    {STR_INIT("tgi_queue_size"), WAITING},
    {STR_INIT("tgi_batch_current_max_tokens"), TOKENS},
    {STR_INIT("te_queue_size"), WAITING},
    {STR_INIT("llamacpp:requests_processing"), RUNNING},
    {STR_INIT("llamacpp:requests_deferred"), WAITING},
    {STR_INIT("llamacpp:kv_cache_tokens"), TOKENS},     /* until 2025 */
    {STR_INIT("llamacpp:kv_cache_usage_ratio"), CACHE}, /* likewise */
};

static double label_number(const struct prometheus_sample *s, struct str name)
{
    struct str raw;
    uint64_t value;

    return prometheus_label(s, name, &raw) && str_to_u64(raw, (uint64_t)MOST, &value) ? (double)value : 0;
}

static void add_figure(struct server_load *l, enum figure figure, const struct prometheus_sample *s)
{
    switch (figure) {
    case RUNNING:
        l->running += s->value;
        l->is_known = true;
        return;
    case WAITING:
        l->waiting += s->value;
        l->is_known = true;
        return;
    case TOKENS:
        l->used_ += s->value;
        l->used_count_++;
        return;
    case CACHE:
        l->filled_ += s->value < 1 ? s->value : 1;
        l->filled_count_++;
        return;
    case CAPACITY: /* the figure itself is 1, what it says is in its labels */
        l->capacity_ += label_number(s, STR("block_size")) * label_number(s, STR("num_gpu_blocks"));
        return;
    }
}

void server_load_take(struct server_load *l, const struct prometheus_sample *s)
{
    if (!(s->value >= 0 && s->value <= MOST)) /* also of what is no number */
        return;
    for (size_t i = 0; i < ARRAY_LEN(figures); i++)
        if (str_eq(s->name, figures[i].name)) {
            add_figure(l, figures[i].figure, s);
            return;
        }
}

double server_load_cache(const struct server_load *l)
{
    return l->filled_count_ ? l->filled_ / l->filled_count_ : -1;
}

double server_load_tokens(const struct server_load *l)
{
    if (l->used_count_)
        return l->used_;
    return l->capacity_ > 0 && l->filled_count_ ? server_load_cache(l) * l->capacity_ : -1;
}
