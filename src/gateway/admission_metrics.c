/*
 * admission_metrics.c - limits of deployments and lengths of queues, for the page of metrics.
 *
 * They belong to the process, not to a loop, so they are read where they are. Labels are names from the configuration; a deployment without a limit and a
 * queue in which nobody has ever waited have nothing to tell, and of more than SHOWN the rest is left out.
 */
#include "gateway/exchange.h"
#include "gateway/snapshot.h"

enum { SHOWN = 5000 };

static bool has_limit(const struct snapshot *s, size_t i)
{
    return s->catalog->deployments[i].concurrency.most > 0;
}

static size_t shown(size_t count)
{
    return count < SHOWN ? count : SHOWN;
}

static void add_gates(const struct snapshot *s, struct buf *to)
{
    struct live_gate_report r;

    metrics_add_family(to, "concurrency_limit", "gauge", "Requests that a deployment gets at a time.");
    for (size_t i = 0; i < shown(s->catalog->deployment_count); i++) {
        if (!has_limit(s, i))
            continue;
        live_gate_report(live_deployment_gate(s->deployments[i]), &r);
        metrics_labelled(to, "concurrency_limit", "deployment", s->catalog->deployments[i].name, "",
                         (double)(uint64_t)r.limit);
    }
}

static uint64_t count_of(const struct live_queue *q, enum fair_verdict verdict)
{
    return atomic_load_explicit(&q->verdicts[verdict], memory_order_relaxed);
}

static void add_lengths(const struct snapshot *s, struct buf *to)
{
    metrics_add_family(to, "queue_length", "gauge", "Requests for a model that wait because all deployments are full.");
    for (size_t i = 0; i < shown(s->catalog->model_count); i++) {
        const struct live_queue *q = live_route_queue(s->routes[i]);
        if (count_of(q, FAIR_QUEUED) > 0)
            metrics_labelled(to, "queue_length", "model", s->catalog->models[i].name, "",
                             atomic_load_explicit(&q->waiting, memory_order_relaxed));
    }
}

static void add_refusals(const struct snapshot *s, struct buf *to)
{
    static const char *const reasons[] = {
        [FAIR_FULL] = ",reason=\"queue_full\"",
        [FAIR_FLOW_FULL] = ",reason=\"queue_full_for_key\"",
        [FAIR_TOO_LATE] = ",reason=\"deadline_unreachable\"",
    };

    metrics_add_family(to, "queue_refusals_total", "counter", "Requests that were not let into a queue, by reason.");
    for (size_t i = 0; i < shown(s->catalog->model_count); i++)
        for (int why = FAIR_FULL; why <= FAIR_TOO_LATE; why++) {
            uint64_t count = count_of(live_route_queue(s->routes[i]), (enum fair_verdict)why);
            if (count > 0)
                metrics_labelled(to, "queue_refusals_total", "model", s->catalog->models[i].name, reasons[why],
                                 (double)count);
        }
}

void gateway_admission_metrics(const void *gateway, struct buf *to)
{
    const struct snapshot *s = gateway_snapshot(gateway);

    add_gates(s, to);
    add_lengths(s, to);
    add_refusals(s, to);
}
