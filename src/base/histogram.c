/* histogram.c - spans of time in buckets. Pure, but for the two functions that several threads may call. */
#include "base/histogram.h"

static size_t bucket_of(const struct histogram_bounds *b, ns_t span)
{
    size_t i = 0;

    while (i < b->count && span > b->at[i])
        i++;
    return i;
}

void histogram_add(struct histogram *h, const struct histogram_bounds *b, ns_t span)
{
    h->count[bucket_of(b, span)]++;
    h->sum += (uint64_t)span;
}

void histogram_add_shared(struct histogram *h, const struct histogram_bounds *b, ns_t span)
{
    (void)__atomic_fetch_add(&h->count[bucket_of(b, span)], 1, __ATOMIC_RELAXED);
    (void)__atomic_fetch_add(&h->sum, (uint64_t)span, __ATOMIC_RELAXED);
}

struct histogram histogram_read_shared(const struct histogram *h)
{
    struct histogram copy = {.sum = __atomic_load_n(&h->sum, __ATOMIC_RELAXED)};

    for (size_t i = 0; i < ARRAY_LEN(copy.count); i++)
        copy.count[i] = __atomic_load_n(&h->count[i], __ATOMIC_RELAXED);
    return copy;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (size_t i = 0; i < ARRAY_LEN(into->count); i++)
        into->count[i] += from->count[i];
    into->sum += from->sum;
}

static uint64_t total(const struct histogram *h)
{
    uint64_t all = 0;

    for (size_t i = 0; i < ARRAY_LEN(h->count); i++)
        all += h->count[i];
    return all;
}

ns_t histogram_quantile(const struct histogram *h, const struct histogram_bounds *b, double q)
{
    double rank = q * (double)total(h), below = 0;

    for (size_t i = 0; i < b->count && rank > 0; i++) {
        double here = (double)h->count[i];
        ns_t from = i ? b->at[i - 1] : 0;
        if (below + here >= rank)
            return from + (ns_t)((double)(b->at[i] - from) * (rank - below) / here);
        below += here;
    }
    return rank > 0 ? b->at[b->count - 1] : 0;
}

void histogram_print(const struct histogram *h, const struct histogram_bounds *b, const char *name, struct str labels,
                     struct buf *to)
{
    uint64_t all = total(h), below = 0;
    const char *comma = labels.n ? "," : "";

    for (size_t i = 0; all && i <= b->count; i++) {
        below += h->count[i];
        buf_addf(to, "crossdock_%s_bucket{%.*s%sle=\"", name, STR_ARG(labels), comma);
        if (i < b->count)
            buf_addf(to, "%g", (double)b->at[i] / 1e9);
        else
            buf_add_lit(to, "+Inf");
        buf_addf(to, "\"} %llu\n", (unsigned long long)below);
    }
    if (!all)
        return;
    const char *open = labels.n ? "{" : "", *close = labels.n ? "}" : "";
    buf_addf(to, "crossdock_%s_sum%s%.*s%s %.9f\n", name, open, STR_ARG(labels), close, (double)h->sum / 1e9);
    buf_addf(to, "crossdock_%s_count%s%.*s%s %llu\n", name, open, STR_ARG(labels), close, (unsigned long long)all);
}
