/* chat.c - POST /chat/completions: read, answer, send. Plain requests take the short way in; the answer is made the same way. */
#include "sim/answer.h"
#include "sim/chat_read.h"
#include "sim/turn.h"

err_t chat_endpoint(struct sim_turn *t)
{
    struct question q;
    struct sim_answer answer;
    struct str body;
    bool over;

    TRY(turn_body(t, &body));
    if (!chat_read_plain(t->a, body, &q))
        TRY(chat_read(t->a, body, t->scenario->strict_fields, &q, &t->refusal));
    question_settle(&q);
    TRY(turn_begin(t, q.model, q.hash, &over));
    if (over)
        return OK;
    if (sim_answer_make(t->a, &q, t->seed, t->plan.length, &answer) != OK)
        return refuse(t->a, &t->refusal, NULL, STR_NONE, "Invalid JSON Schema: %s.", err_detail(E_TOO_LARGE));
    turn_count_prompt(t, q.prompt_tokens);
    if (q.stream)
        return sim_play_stream(&t->play, chat_feed(t->a, &q, &answer, &t->mark));
    chat_write(&q, &answer, &t->mark, t->room);
    TRY(buf_status(t->room));
    return sim_play_whole(&t->play, STR("application/json"), buf_str(t->room), answer.tokens);
}
