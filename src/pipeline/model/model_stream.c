/*
 * model_stream.c - a chat whose answer is handed on as it comes.
 *
 * The gateway answers in OpenAI's dialect, whatever the provider speaks. What counts is the whole text, which the caller sends when it is there; the pieces
 * are for nodes that can begin with them. A stream that ends without its mark has broken off. An error that is ours breaks the provider's stream off, too.
 */
#include "pipeline/model/model.h"

#include "codec/json_tree.h"
#include "codec/sse.h"

enum { TEXT_MAX = 16 << 20, EVENT_MAX = 1 << 20 };

struct model_reader {
    struct step *step;
    struct sse sse;
    struct buf text;
    bool is_done; /* the mark of the end was there */
};

static err_t check_end(struct json_node choice, struct json_node delta, struct arena *a)
{
    struct str refusal = json_get_text(delta, STR("refusal"), a);

    if (refusal.n)
        return fail(E_FORBIDDEN, "the model refuses: %.*s", STR_ARG(refusal));
    if (json_node_text_is(json_node_get(choice, STR("finish_reason")), STR("content_filter")))
        return fail(E_FORBIDDEN, "the model's provider filtered the answer");
    return OK;
}

static err_t take_chunk(struct model_reader *r, struct str data)
{
    struct arena a CLEANUP(arena_release);
    const struct json_tree *tree;

    arena_init(&a, SIZE_MAX); /* an event is no longer than EVENT_MAX */
    TRY(err_context(json_tree_parse(&a, data, &tree), "a piece of the model's answer is no JSON document"));
    struct json_node error = json_node_get(json_tree_root(tree), STR("error"));
    if (json_node_is(error, JSON_OBJECT))
        return fail(E_UPSTREAM, "the model's answer broke off: %.*s",
                    STR_ARG(json_get_text(error, STR("message"), &a)));
    struct json_node choice = json_node_at(json_node_get(json_tree_root(tree), STR("choices")), 0);
    struct json_node delta = json_node_get(choice, STR("delta"));
    TRY(buf_add(&r->text, json_get_text(delta, STR("content"), &a)));
    return check_end(choice, delta, &a);
}

static err_t take_event(struct model_reader *r, const struct sse_event *event)
{
    if (!event->has_data)
        return OK;
    if (str_eq(event->data, STR("[DONE]"))) {
        r->is_done = true;
        return OK;
    }
    return take_chunk(r, event->data);
}

static err_t hear(void *reader, struct str piece)
{
    struct model_reader *r = reader;
    size_t before = r->text.n;
    struct sse_event event;
    enum sse_result got;

    while ((got = sse_next(&r->sse, &piece, &event)) == SSE_EVENT)
        TRY(take_event(r, &event));
    if (got == SSE_TOO_LARGE)
        return fail(E_TOO_LARGE, "a piece of the model's answer has more than %d bytes", EVENT_MAX);
    return r->text.n > before ? step_send_early(r->step, buf_str(&r->text)) : OK;
}

static SUSPENDS err_t read_all(struct model_reader *r, struct str body, struct model_bill *bill,
                               struct inner_answer *ret)
{
    const struct inner_question q = {.path = STR("/v1/chat/completions"), .body = body, .on_piece = hear, .ctx = r};

    TRY(model_ask_aloud(r->step, &q, bill, ret));
    return r->is_done ? OK : fail(E_UPSTREAM, "the model's answer broke off");
}

err_t model_stream(struct step *s, struct str body, struct model_bill *bill, struct inner_answer *ret,
                   struct str *ret_text)
{
    struct model_reader r = {.step = s, .text = BUF_INIT(TEXT_MAX)};

    sse_init(&r.sse, EVENT_MAX);
    err_t e = read_all(&r, body, bill, ret);
    if (e == OK)
        *ret_text = arena_str(step_arena(s), buf_str(&r.text));
    sse_release(&r.sse);
    buf_release(&r.text);
    return e;
}
