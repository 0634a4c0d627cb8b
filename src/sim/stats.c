/* stats.c - adds counters up and writes them as JSON. Every counter is always there, so that tests can ask without a default. */
#include "sim/stats.h"

/* Both structs are counters and nothing else. */
enum { COUNTERS = sizeof(struct sim_counts) / sizeof(uint64_t) };

void sim_counts_add(struct sim_counts *to, const struct sim_counts *from)
{
    uint64_t *sum = &to->requests;
    const uint64_t *more = &from->requests;

    for (size_t i = 0; i < COUNTERS; i++)
        sum[i] += __atomic_load_n(&more[i], __ATOMIC_RELAXED);
}

static void write_counter(struct buf *to, const char *name, uint64_t value)
{
    buf_addf(to, "\"%s\":%llu,", name, (unsigned long long)value);
}

void sim_counts_write(const struct sim_counts *c, struct buf *to)
{
    buf_add_char(to, '{');
    write_counter(to, "requests", c->requests);
    write_counter(to, "refused", c->refused);
    write_counter(to, "rate_limited", c->rate_limited);
    write_counter(to, "completed", c->completed);
    write_counter(to, "streams", c->streams);
    write_counter(to, "cancelled", c->cancelled);
    write_counter(to, "prompt_tokens", c->prompt_tokens);
    write_counter(to, "completion_tokens", c->completion_tokens);
    buf_add_lit(to, "\"faults\":{");
    for (unsigned kind = SIM_FAULT_NONE + 1; kind < SIM_FAULT_COUNT; kind++)
        buf_addf(to, "%s\"%s\":%llu", kind > SIM_FAULT_NONE + 1 ? "," : "", sim_fault_kind_name(kind),
                 (unsigned long long)c->faults[kind]);
    buf_add_lit(to, "}}");
}
