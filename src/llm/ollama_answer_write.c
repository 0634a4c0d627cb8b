/*
 * ollama_answer_write.c - an answer for a client of Ollama's /api/chat or /api/generate, whole or a line at a time.
 *
 * Each piece of text or thought is a line of its own. Calls of tools are sent whole, with their arguments as an object, so a call's pieces are kept
 * until it is complete. The last line has the reason for the end and the counts. Durations are ours to know as little as the provider's:
 * they are told as 0, as Ollama itself does for what it has not measured.
 *
 * Not told, for want of a place: citations, signatures (the gateway keeps those that it needs), and choices beyond the first.
 */
#include "codec/json_out.h"
#include "llm/ollama_int.h"
#include "llm/tool_args.h"

enum { ARGUMENTS_MAX = 64 * 1024 * 1024 };

/* A call that is not complete yet. */
struct ollama_held_call {
    struct ollama_held_call *next;
    unsigned block;
    struct str id, name;
    struct buf arguments;
};

/* --- parts of both --- */

static bool is_generate(const struct answer_frame *f)
{
    return f->t->row && f->t->row->variant == OLLAMA_GENERATE;
}

static struct str done_reason(enum finish finish)
{
    switch (finish) {
    case FINISH_LENGTH:
    case FINISH_CONTEXT:
        return STR("length");
    case FINISH_STOP:
    case FINISH_STOP_SEQUENCE:
    case FINISH_TOOL_CALLS:
    case FINISH_FILTER:
    case FINISH_REFUSAL:
    case FINISH_PAUSE:
        return STR("stop");
    }
    return STR("stop");
}

static void put_head(struct json_out *o, struct str model, struct str created_at)
{
    json_open(o, '{');
    json_member_str(o, STR("model"), model);
    json_member_str(o, STR("created_at"), created_at);
}

static void put_end(struct json_out *o, enum finish finish, const struct usage *u)
{
    json_member_bool(o, STR("done"), true);
    json_member_str(o, STR("done_reason"), done_reason(finish));
    json_member_u64(o, STR("total_duration"), 0);
    json_member_u64(o, STR("load_duration"), 0);
    json_member_u64(o, STR("prompt_eval_count"), u->input);
    json_member_u64(o, STR("prompt_eval_duration"), 0);
    json_member_u64(o, STR("eval_count"), u->output);
    json_member_u64(o, STR("eval_duration"), 0);
    json_close(o, '}');
}

static void put_call(struct json_out *o, struct arena *arena, struct str id, struct str name, struct str arguments,
                     unsigned index)
{
    bool wrapped;

    json_open(o, '{');
    if (id.n)
        json_member_str(o, STR("id"), id);
    json_member_open(o, STR("function"), '{');
    json_member_u64(o, STR("index"), index);
    json_member_str(o, STR("name"), name);
    json_member_raw(o, STR("arguments"), tool_args_object(arguments, arena, &wrapped));
    json_close(o, '}');
    json_close(o, '}');
}

/* --- whole answers --- */

/* Texts of a kind, one behind the other. */
static struct str joined(const struct answer_choice *c, bool thoughts, struct arena *arena)
{
    struct block *texts = NULL, **at = &texts;

    for (const struct block *b = c->blocks; b; b = b->next) {
        bool is_wanted = thoughts ? b->kind == BLOCK_THINKING : b->kind == BLOCK_TEXT || b->kind == BLOCK_REFUSAL;
        if (!is_wanted)
            continue;
        struct block *copy = chat_add_block(at, arena, BLOCK_TEXT, JSON_ABSENT);
        copy->text = b->text;
        at = &copy->next;
    }
    return blocks_text(texts, STR_NONE, arena);
}

static bool has(const struct answer_choice *c, enum block_kind kind)
{
    return turn_has(&(struct turn){.blocks = c->blocks}, kind);
}

static void put_calls(struct json_out *o, const struct answer_choice *c, struct arena *arena)
{
    unsigned index = 0;

    if (!has(c, BLOCK_TOOL_CALL))
        return;
    json_member_open(o, STR("tool_calls"), '[');
    for (const struct block *b = c->blocks; b; b = b->next)
        if (b->kind == BLOCK_TOOL_CALL)
            put_call(o, arena, b->id, b->name, b->arguments, index++);
    json_close(o, ']');
}

static void put_pictures(struct json_out *o, const struct answer_choice *c)
{
    if (!has(c, BLOCK_IMAGE))
        return;
    json_member_open(o, STR("images"), '[');
    for (const struct block *b = c->blocks; b; b = b->next)
        if (b->kind == BLOCK_IMAGE && b->media.source == MEDIA_BASE64)
            json_put_str(o, b->media.data);
    json_close(o, ']');
}

static void put_message(struct json_out *o, const struct answer_choice *c, bool generate, struct arena *arena)
{
    struct str thoughts = joined(c, true, arena);

    if (!generate) {
        json_member_open(o, STR("message"), '{');
        json_member_str(o, STR("role"), STR("assistant"));
    }
    json_member_str(o, generate ? STR("response") : STR("content"), joined(c, false, arena));
    if (thoughts.n)
        json_member_str(o, STR("thinking"), thoughts);
    put_calls(o, c, arena);
    if (generate)
        return;
    put_pictures(o, c);
    json_close(o, '}');
}

err_t ollama_write_answer(const struct answer_frame *f, const struct answer *a, struct buf *to)
{
    const struct answer_choice *c = answer_first(a);
    struct json_out o = json_out_to(to);

    put_head(&o, f->model, ollama_time(f->created, f->arena));
    put_message(&o, c, is_generate(f), f->arena);
    if (c->logprobs.n)
        json_member_raw(&o, STR("logprobs"), c->logprobs);
    put_end(&o, c->finish, &a->usage);
    return buf_status(to);
}

bool ollama_answer_here(const struct translation *t, struct json_node root, struct buf *to)
{
    bool generate = t->row->variant == OLLAMA_GENERATE;
    struct json_node asked = json_node_get(root, generate ? STR("prompt") : STR("messages"));
    struct json_node keep = json_node_get(root, STR("keep_alive"));
    struct json_out o = json_out_to(to);
    int64_t kept = 1;

    if (generate && (json_node_count(json_node_get(root, STR("images"))) ||
                     (json_node_is_set(asked) && !json_node_text_is(asked, STR("")))))
        return false;
    if (!generate && json_node_is_set(asked) && (!json_node_is(asked, JSON_ARRAY) || json_node_count(asked)))
        return false;
    bool unload = (json_node_i64(keep, &kept) && kept == 0) || json_node_text_is(keep, STR("0"));
    put_head(&o, t->client_model, ollama_time(t->now, t->arena));
    put_message(&o, &(struct answer_choice){.finish = FINISH_STOP}, generate, t->arena);
    json_member_bool(&o, STR("done"), true);
    json_member_str(&o, STR("done_reason"), unload ? STR("unload") : STR("load"));
    json_close(&o, '}');
    return true;
}

/* --- lines --- */

static void release_calls(void *obj)
{
    struct ollama_writer *w = obj;

    for (struct ollama_held_call *c = w->calls; c; c = c->next)
        buf_release(&c->arguments);
}

err_t ollama_writer_begin(void *state, const struct answer_frame *f, struct buf *to)
{
    struct ollama_writer *w = state;

    (void)to;
    w->frame = *f;
    w->created_at = ollama_time(f->created, f->arena);
    arena_hold(f->arena, w, release_calls);
    return OK;
}

/* A line as far as its message; behind it what else the line has. */
static struct json_out begin_line(struct ollama_writer *w, struct buf *to)
{
    struct json_out o = json_out_to(to);

    put_head(&o, w->frame.model, w->created_at);
    if (!is_generate(&w->frame)) {
        json_member_open(&o, STR("message"), '{');
        json_member_str(&o, STR("role"), STR("assistant"));
    }
    return o;
}

static void end_message(struct ollama_writer *w, struct json_out *o)
{
    if (!is_generate(&w->frame))
        json_close(o, '}');
}

/* JSON that was copied as written may be spread over lines; within strings there are no line ends. */
static err_t end_line(size_t start, struct buf *to)
{
    for (size_t i = start; i < to->n; i++)
        if (to->p[i] == '\n' || to->p[i] == '\r')
            to->p[i] = ' ';
    return buf_add_char(to, '\n');
}

static struct str content_key(const struct ollama_writer *w)
{
    return is_generate(&w->frame) ? STR("response") : STR("content");
}

static err_t send_text(struct ollama_writer *w, bool thought, struct str text, struct buf *to)
{
    struct json_out o = begin_line(w, to);

    json_member_str(&o, content_key(w), thought ? STR_NONE : text);
    if (thought)
        json_member_str(&o, STR("thinking"), text);
    end_message(w, &o);
    json_member_bool(&o, STR("done"), false);
    json_close(&o, '}');
    return buf_add_char(to, '\n');
}

static err_t send_logprobs(struct ollama_writer *w, struct str raw, struct buf *to)
{
    size_t start = to->n;
    struct json_out o = begin_line(w, to);

    json_member_str(&o, content_key(w), STR_NONE);
    end_message(w, &o);
    json_member_raw(&o, STR("logprobs"), raw);
    json_member_bool(&o, STR("done"), false);
    json_close(&o, '}');
    return end_line(start, to);
}

static err_t send_call(struct ollama_writer *w, const struct ollama_held_call *c, struct buf *to)
{
    size_t start = to->n;
    struct json_out o = begin_line(w, to);

    TRY(buf_status(&c->arguments));
    json_member_str(&o, content_key(w), STR_NONE);
    json_member_open(&o, STR("tool_calls"), '[');
    put_call(&o, w->frame.arena, c->id, c->name, buf_str(&c->arguments), w->call_count++);
    json_close(&o, ']');
    end_message(w, &o);
    json_member_bool(&o, STR("done"), false);
    json_close(&o, '}');
    return end_line(start, to);
}

static err_t send_picture(struct ollama_writer *w, const struct media *m, struct buf *to)
{
    if (!m || m->source != MEDIA_BASE64 || is_generate(&w->frame))
        return OK;
    struct json_out o = begin_line(w, to);
    json_member_str(&o, STR("content"), STR_NONE);
    json_member_open(&o, STR("images"), '[');
    json_put_str(&o, m->data);
    json_close(&o, ']');
    end_message(w, &o);
    json_member_bool(&o, STR("done"), false);
    json_close(&o, '}');
    return buf_add_char(to, '\n');
}

static err_t send_end(struct ollama_writer *w, struct buf *to)
{
    struct json_out o = begin_line(w, to);

    w->over = true;
    json_member_str(&o, content_key(w), STR_NONE);
    end_message(w, &o);
    put_end(&o, w->finish, &w->usage);
    return buf_add_char(to, '\n');
}

static void put_error(struct str message, struct buf *to)
{
    struct json_out o = json_out_to(to);

    json_open(&o, '{');
    json_member_str(&o, STR("error"), message);
    json_close(&o, '}');
}

static err_t send_error(struct ollama_writer *w, const struct api_error *e, struct buf *to)
{
    w->over = true;
    put_error(e->message.n ? e->message : STR("the provider failed"), to);
    return buf_add_char(to, '\n');
}

/* --- events --- */

static struct ollama_held_call **find_call(struct ollama_writer *w, unsigned block)
{
    struct ollama_held_call **at = &w->calls;

    while (*at && (*at)->block != block)
        at = &(*at)->next;
    return at;
}

static err_t open_block(struct ollama_writer *w, const struct chat_event *e, struct buf *to)
{
    if (e->block_kind == BLOCK_THINKING)
        w->thought = e->block + 1;
    if (e->block_kind == BLOCK_IMAGE)
        return send_picture(w, e->media, to);
    if (e->block_kind != BLOCK_TOOL_CALL)
        return OK;
    struct ollama_held_call **at = find_call(w, e->block), *c = arena_new(w->frame.arena, struct ollama_held_call);
    c->block = e->block;
    c->id = arena_str(w->frame.arena, e->id);
    c->name = arena_str(w->frame.arena, e->name);
    buf_init(&c->arguments, ARGUMENTS_MAX);
    *at = c;
    return OK;
}

static err_t hear_text(struct ollama_writer *w, const struct chat_event *e, struct buf *to)
{
    struct ollama_held_call *c = *find_call(w, e->block);

    return c ? buf_add(&c->arguments, e->text) : send_text(w, w->thought == e->block + 1, e->text, to);
}

static err_t close_block(struct ollama_writer *w, const struct chat_event *e, struct buf *to)
{
    struct ollama_held_call **at = find_call(w, e->block), *c = *at;

    if (w->thought == e->block + 1)
        w->thought = 0;
    if (!c)
        return OK;
    *at = c->next;
    err_t result = send_call(w, c, to);
    buf_release(&c->arguments);
    return result;
}

err_t ollama_writer_event(void *state, const struct chat_event *e, struct buf *to)
{
    struct ollama_writer *w = state;

    if (w->over || e->choice > 0)
        return OK;
    switch (e->kind) {
    case CHAT_START:
        answer_frame_follow(&w->frame, e);
        return OK;
    case CHAT_SIGNATURE:
    case CHAT_CITATION:
        return OK;
    case CHAT_BLOCK_START:
        return open_block(w, e, to);
    case CHAT_TEXT:
        return hear_text(w, e, to);
    case CHAT_LOGPROBS:
        return send_logprobs(w, e->text, to);
    case CHAT_BLOCK_STOP:
        return close_block(w, e, to);
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

/* --- errors --- */

void ollama_write_error(const struct translation *t, const struct api_error *e, struct buf *to, int *ret_status,
                        struct call_header ret_headers[2])
{
    (void)t;
    (void)ret_headers;
    *ret_status = e->status ? e->status : error_status_of(error_class_of(e));
    put_error(e->message.n ? e->message : STR("the request failed"), to);
}
