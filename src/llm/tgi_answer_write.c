/*
 * tgi_answer_write.c - an answer for a client of TGI's /generate, /generate_stream or /.
 *
 * Only text is told: thoughts and calls have no place in this format. In a stream each piece of text is the text of one made-up token, without number
 * or probability; the last event has the whole text again, as its clients expect, and a special token that they do not print. Details come
 * if they were asked for; the tokens in them are unknown. With return_full_text the prompt comes first.
 */
#include "codec/json_out.h"
#include "codec/json_scan.h"
#include "llm/tgi_int.h"

enum { WHOLE_MAX = 64 * 1024 * 1024 };

/* --- parts of both --- */

static struct str finish_reason(enum finish finish)
{
    switch (finish) {
    case FINISH_LENGTH:
    case FINISH_CONTEXT:
        return STR("length");
    case FINISH_STOP_SEQUENCE:
        return STR("stop_sequence");
    case FINISH_STOP:
    case FINISH_TOOL_CALLS:
    case FINISH_FILTER:
    case FINISH_REFUSAL:
    case FINISH_PAUSE:
        return STR("eos_token");
    }
    return STR("eos_token");
}

static struct str echo_of(const struct answer_frame *f)
{
    const struct chat_request *q = f->request;

    return q && q->echo.is == YES && q->turns ? blocks_text(q->turns->blocks, STR_NONE, f->arena) : STR_NONE;
}

static bool wants_details(const struct answer_frame *f)
{
    const struct chat_request *q = f->request;
    struct json_node parameters;

    if (!q || !q->document)
        return false;
    parameters = json_node_get(json_tree_root(q->document), STR("parameters"));
    return json_get_true(parameters, STR("details")) || json_get_true(parameters, STR("decoder_input_details"));
}

/* The client's own seed; null if it gave none. */
static void put_end(struct json_out *o, const struct answer_frame *f, enum finish finish, const struct usage *u)
{
    json_member_str(o, STR("finish_reason"), finish_reason(finish));
    json_member_u64(o, STR("generated_tokens"), u->output);
    json_member_raw(o, STR("seed"), f->request->seed.text);
}

/* --- whole answers --- */

static struct str text_of(const struct answer_choice *c, struct str first, struct arena *arena)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(WHOLE_MAX);

    buf_add(&to, first);
    for (const struct block *b = c->blocks; b; b = b->next)
        if (b->kind == BLOCK_TEXT || b->kind == BLOCK_REFUSAL)
            buf_add(&to, b->text);
    return arena_str(arena, buf_str(&to));
}

err_t tgi_write_answer(const struct answer_frame *f, const struct answer *a, struct buf *to)
{
    const struct answer_choice *c = answer_first(a);
    bool array = f->t->row && f->t->row->variant == TGI_ARRAY;
    struct json_out o = json_out_to(to);

    if (array)
        json_open(&o, '[');
    json_open(&o, '{');
    json_member_str(&o, STR("generated_text"), text_of(c, echo_of(f), f->arena));
    if (wants_details(f)) {
        json_member_open(&o, STR("details"), '{');
        put_end(&o, f, c->finish, &a->usage);
        json_member_raw(&o, STR("prefill"), STR("[]"));
        json_member_raw(&o, STR("tokens"), STR("[]"));
        json_member_u64(&o, STR("input_length"),
                        a->usage.input); /* as in streams; TGI lets its clients count `prefill` */
        json_close(&o, '}');
    }
    json_close(&o, '}');
    if (array)
        json_close(&o, ']');
    return buf_status(to);
}

/* --- streams --- */

static void release_whole(void *obj)
{
    buf_release(&((struct tgi_writer *)obj)->whole);
}

err_t tgi_writer_begin(void *state, const struct answer_frame *f, struct buf *to)
{
    struct tgi_writer *w = state;

    (void)to;
    w->frame = *f;
    buf_init(&w->whole, WHOLE_MAX);
    arena_hold(f->arena, w, release_whole);
    return OK;
}

/* An event as far as its token. */
static struct json_out begin_event(struct tgi_writer *w, struct str text, bool special, struct buf *to)
{
    buf_add_lit(to, "data:");
    struct json_out o = json_out_to(to);
    json_open(&o, '{');
    json_member_u64(&o, STR("index"), ++w->index);
    json_member_open(&o, STR("token"), '{');
    json_member_u64(&o, STR("id"), 0);
    json_member_str(&o, STR("text"), text);
    json_member_null(&o, STR("logprob"));
    json_member_bool(&o, STR("special"), special);
    json_close(&o, '}');
    json_member_raw(&o, STR("top_tokens"), STR("[]"));
    return o;
}

static err_t end_event(struct json_out *o)
{
    json_close(o, '}');
    return buf_add_lit(o->to, "\n\n");
}

static err_t send_text(struct tgi_writer *w, struct str text, struct buf *to)
{
    if (!w->begun) { /* the prompt is only in the whole text, as TGI has it */
        w->begun = true;
        TRY(buf_add(&w->whole, echo_of(&w->frame)));
    }
    TRY(buf_add(&w->whole, text));
    struct json_out o = begin_event(w, text, false, to);
    json_member_null(&o, STR("generated_text"));
    json_member_null(&o, STR("details"));
    return end_event(&o);
}

static err_t send_end(struct tgi_writer *w, struct buf *to)
{
    struct json_out o = begin_event(w, STR_NONE, true, to);

    w->over = true;
    json_member_str(&o, STR("generated_text"), w->begun ? buf_str(&w->whole) : echo_of(&w->frame));
    if (wants_details(&w->frame)) {
        json_member_open(&o, STR("details"), '{');
        put_end(&o, &w->frame, w->finish, &w->usage);
        json_member_u64(&o, STR("input_length"), w->usage.input);
        json_close(&o, '}');
    } else {
        json_member_null(&o, STR("details"));
    }
    return end_event(&o);
}

/* --- errors --- */

static const struct {
    const char *type;
    int status; /* 0: as the class has it */
} error_types[ERROR_CLASSES] = {
    [ERROR_BY_STATUS] = {"generation", 0},
    [ERROR_BAD_REQUEST] = {"validation", 422},
    [ERROR_CONTEXT_LENGTH] = {"validation", 422},
    [ERROR_CONTENT_POLICY] = {"validation", 422},
    [ERROR_AUTH] = {"validation", 0},
    [ERROR_QUOTA] = {"overloaded", 0},
    [ERROR_FORBIDDEN] = {"validation", 0},
    [ERROR_NOT_FOUND] = {"validation", 0},
    [ERROR_CONFLICT] = {"validation", 0},
    [ERROR_TOO_LARGE] = {"validation", 0},
    [ERROR_UNPROCESSABLE] = {"validation", 422},
    [ERROR_RATE_LIMIT] = {"overloaded", 0},
    [ERROR_UPSTREAM] = {"generation", 0},
    [ERROR_OVERLOADED] = {"overloaded", 0},
    [ERROR_TIMEOUT] = {"incomplete_generation", 0},
};

static void put_error(const struct api_error *e, struct buf *to)
{
    struct json_out o = json_out_to(to);

    json_open(&o, '{');
    json_member_str(&o, STR("error"), e->message.n ? e->message : STR("the request failed"));
    json_member_str(&o, STR("error_type"), str_from_c(error_types[error_class_of(e)].type));
    json_close(&o, '}');
}

void tgi_write_error(const struct translation *t, const struct api_error *e, struct buf *to, int *ret_status,
                     struct call_header ret_headers[2])
{
    enum error_class c = error_class_of(e);

    (void)t;
    (void)ret_headers;
    *ret_status = error_types[c].status ? error_types[c].status : e->status ? e->status : error_status_of(c);
    put_error(e, to);
}

static err_t send_error(struct tgi_writer *w, const struct api_error *e, struct buf *to)
{
    w->over = true;
    buf_add_lit(to, "data:");
    put_error(e, to);
    return buf_add_lit(to, "\n\n");
}

/* --- events --- */

err_t tgi_writer_event(void *state, const struct chat_event *e, struct buf *to)
{
    struct tgi_writer *w = state;

    if (w->over || e->choice > 0)
        return OK;
    switch (e->kind) {
    case CHAT_BLOCK_START:
        if (e->block_kind == BLOCK_TEXT || e->block_kind == BLOCK_REFUSAL)
            w->text = e->block + 1;
        return OK;
    case CHAT_TEXT:
        return w->text == e->block + 1 ? send_text(w, e->text, to) : OK;
    case CHAT_START:
    case CHAT_SIGNATURE:
    case CHAT_CITATION:
    case CHAT_LOGPROBS:
    case CHAT_BLOCK_STOP:
        return OK;
    case CHAT_USAGE:
        w->usage = *e->usage;
        return OK;
    case CHAT_FINISH:
        w->finish = e->finish;
        return OK;
    case CHAT_END:
        return send_end(w, to);
    case CHAT_ERROR:
        return send_error(w, e->error, to);
    }
    return OK;
}

/* Events are numbered. */
err_t tgi_writer_follow(void *state, const struct frame *f, struct arena *scratch)
{
    struct tgi_writer *w = state;
    uint64_t index;

    (void)scratch;
    if (json_to_u64(json_find(f->data, STR("index")), &index))
        w->index = index;
    return OK;
}
