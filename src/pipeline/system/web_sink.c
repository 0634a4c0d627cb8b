/* web_sink.c - asking with patience: an answer that is late is a failure of the other side, and what it asks for in `retry-after` holds for the whole sink. */
#include "pipeline/system/web_sink.h"

#include "rt/loop.h"
#include "rt/scope.h"

static const ns_t time_usual = 60 * NS_SEC;

/* The fiber has no deadline of its own: it was the request's. */
static err_t without_deadline(err_t e)
{
    return e == E_DEADLINE ? fail(E_UPSTREAM, "%s", err_detail(e)) : e;
}

static SUSPENDS err_t ask(struct web_sink *w, const struct web_question *q, struct arena *arena, struct web_answer *ret)
{
    ns_t budget = w->sink->rules.budget ? w->sink->rules.budget : time_usual;
    WITHIN(ns_add(rt_now(), budget));

    return web_ask(w->web, q, arena, ret);
}

err_t web_sink_ask(struct web_sink *w, const struct web_question *q, struct arena *arena, struct web_answer *ret)
{
    TRY(fiber_sleep_until(w->not_before));
    TRY(without_deadline(ask(w, q, arena, ret)));
    if (ret->status >= 300 && ret->retry_at > w->not_before)
        w->not_before = ret->retry_at;
    return OK;
}

err_t web_sink_check(const struct web_question *q, const struct web_answer *a)
{
    return without_deadline(web_check(q, a));
}

bool web_sink_is_final(err_t e)
{
    return e == E_FORBIDDEN || e == E_PARSE || e == E_TOO_LARGE;
}

struct step web_sink_step(const struct web_sink *w, const struct batch_item *item)
{
    return (struct step){.root = item->record->root, .node = w->sink, .in = item->record};
}

void web_sink_refuse(const struct web_sink *w, struct batch_item *item, err_t e)
{
    struct step s = web_sink_step(w, item);

    item->refused = e;
    item->reason = arena_str(step_arena(&s), str_from_c(err_detail(e)));
    item->is_applied = true;
}

err_t web_sink_send(struct web_sink *w, struct batch_item *items, size_t count, web_send_fn *send)
{
    err_t e = send(w, items, count);

    if (!web_sink_is_final(e))
        return e;
    if (count == 1) {
        web_sink_refuse(w, items, e);
        return OK;
    }
    TRY(web_sink_send(w, items, count / 2, send));
    return web_sink_send(w, items + count / 2, count - count / 2, send);
}

err_t web_sink_gather(const struct web_sink *w, struct batch_item *items, size_t count, web_add_fn *add, struct buf *to)
{
    for (size_t i = 0; i < count; i++) {
        size_t before = to->n;
        if (items[i].is_applied)
            continue;
        err_t e = add(w, &items[i], to);
        if (e == OK)
            continue;
        if (!web_sink_is_final(e) || (e == E_TOO_LARGE && before))
            return e;
        to->n = before;
        web_sink_refuse(w, &items[i], e);
    }
    return OK;
}
