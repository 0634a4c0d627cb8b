/* lookalike.c - POST /chat/completions of OpenAI's look-alikes: read, answer and send in the style of the surface. */
#include "sim/lookalike.h"

err_t lookalike_chat_endpoint(struct sim_turn *t)
{
    return lookalike_chat(t, t->surface->style);
}

err_t lookalike_chat(struct sim_turn *t, const struct chat_style *style)
{
    struct question q;
    struct sim_answer answer;
    struct str body;
    bool over;

    TRY(turn_body(t, &body));
    TRY(style_read(style, t->a, body, &q, &t->refusal));
    question_settle(&q);
    TRY(turn_begin(t, q.model, q.hash, &over));
    if (over)
        return OK;
    if (sim_answer_make(t->a, &q, t->seed, t->plan.length, &answer) != OK)
        return refuse(t->a, &t->refusal, NULL, STR_NONE, "Invalid JSON Schema: %s.", err_detail(E_TOO_LARGE));
    turn_count_prompt(t, q.prompt_tokens);
    if (q.stream)
        return sim_play_stream(&t->play, style_feed(style, t->a, &q, &answer, &t->mark));
    style_write(style, &q, &answer, &t->mark, t->room);
    TRY(buf_status(t->room));
    return sim_play_whole(&t->play, STR("application/json"), buf_str(t->room), answer.tokens);
}

void lookalike_write_refusal(const struct sim_play *p, const struct sim_refusal *why, struct buf *to)
{
    style_write_error(p->surface->style->error, why, to);
}

void lookalike_add_headers(const struct sim_play *p, const struct sim_refusal *why, struct sim_head *to)
{
    sim_head_add_id(to, STR("x-request-id"), "req_", p->unique);
    if (why)
        sim_head_add_span(to, p->r->arena, STR("retry-after"), why->retry_after, NS_SEC);
}

bool lookalike_has_trigger(const struct question *q, struct str word)
{
    return str_find(q->asked, word) < q->asked.n;
}

err_t lookalike_one_choice(struct arena *a, const struct question *q, struct sim_refusal *r)
{
    if (q->n == 1)
        return OK;
    return refuse(a, r, "invalid_value", STR("n"), "'n' : number must be at most 1.");
}
