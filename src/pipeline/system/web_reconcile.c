/* web_reconcile.c - a GET for the record: 2xx means that its effect has happened, 404 and 410 that it has not. */
#include "pipeline/system/web_reconcile.h"

#include "pipeline/system/web.h"

enum { URL_MAX = 64 * 1024, ANSWER_MAX = 1 << 20 };

err_t web_reconcile(struct web *web, const struct pipeline_node *sink, const struct batch_item *item,
                    bool *ret_happened)
{
    struct step s = {.root = item->record->root, .node = sink, .in = item->record};
    struct web_question q = {.method = STR("GET"), .max_answer = ANSWER_MAX};
    struct web_answer a;

    if (!sink->effect.reconcile)
        return fail(E_UNKNOWN, "nobody can be asked");
    TRY(step_render(&s, sink->effect.reconcile, URL_MAX, &q.url));
    TRY(web_ask(web, &q, step_arena(&s), &a));
    *ret_happened = a.status >= 200 && a.status <= 299;
    if (*ret_happened || a.status == 404 || a.status == 410)
        return OK;
    err_t e = web_check(&q, &a);
    return e == E_FORBIDDEN ? fail(E_UNKNOWN, "the API does not say: status %d", a.status) : e;
}
