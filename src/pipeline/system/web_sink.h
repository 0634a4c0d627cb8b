/* web_sink.h - what sinks that speak HTTP have in common: how long they wait for an answer, and for whom. Private to pipeline/. */
#ifndef PIPELINE_WEB_SINK_H
#define PIPELINE_WEB_SINK_H

#include "pipeline/run/run.h"
#include "pipeline/system/web.h"

/* Of one opened sink; the first member of its state. */
struct web_sink {
    const struct pipeline_node *sink;
    struct web *web;
    ns_t not_before; /* the other side wants to be left alone until then */
};

/*
 * web_ask(), within the sink's budget (60 s if it has none), and not before the instant that an earlier answer has named with `retry-after`.
 *
 * Suspends. Errors as web_ask()'s, but for E_DEADLINE, which is told as E_UPSTREAM: the batch's turn does not end with it.
 */
err_t web_sink_ask(struct web_sink *w, const struct web_question *q, struct arena *arena, struct web_answer *ret)
    SUSPENDS MUST_CHECK;
/* web_check(), likewise. */
err_t web_sink_check(const struct web_question *q, const struct web_answer *a) MUST_CHECK;
/*
 * Send what of the items is not done yet, all in one request, by `send`, which sets is_applied. If they are refused for good their halves are sent, so that in the end
 * only those that are to blame become dead letters.
 */
typedef err_t web_send_fn(struct web_sink *w, struct batch_item *items, size_t count) SUSPENDS;
err_t web_sink_send(struct web_sink *w, struct batch_item *items, size_t count, web_send_fn *send) SUSPENDS MUST_CHECK;
/* What is sent of each item that is not done yet, by `add`, one behind the other. An item of which nothing can be made becomes a dead letter. E_TOO_LARGE: it is
 * more than `to` holds, of several. */
typedef err_t web_add_fn(const struct web_sink *w, const struct batch_item *item, struct buf *to);
err_t web_sink_gather(const struct web_sink *w, struct batch_item *items, size_t count, web_add_fn *add, struct buf *to)
    MUST_CHECK;
/* Will it be refused again, however often it is sent? */
bool web_sink_is_final(err_t e);
/* The item will never be taken, for the reason of the current error: a dead letter. */
void web_sink_refuse(const struct web_sink *w, struct batch_item *item, err_t e);
/* The item as a step, to evaluate expressions and templates of the sink on. */
struct step web_sink_step(const struct web_sink *w, const struct batch_item *item);

#endif
