/*
 * completions_answer.c - an answer for a client of legacy completions, whole or as a stream.
 *
 * Only text is told: thoughts, calls and images have no place in this format. The prompt comes first if the client asked for its echo.
 * Log probabilities are turned from Chat's list of tokens into the lists side by side that this format has.
 */
#include "base/utf8.h"
#include "llm/openai_error.h"
#include "llm/openai_int.h"

#include <assert.h>

/* --- parts of both --- */

/* Choices are in the order of the prompts, all of one before those of the next. */
static struct str echo_of(const struct answer_frame *f, size_t choice)
{
    const struct chat_request *q = f->request;

    if (!q || q->echo.is != YES || !q->turns)
        return STR_NONE;
    size_t prompt = choice / chat_choices(q);
    const struct turn *t = prompt && prompt <= q->more_prompt_count ? q->more_prompts[prompt - 1] : q->turns;
    return blocks_text(t->blocks, STR("\n"), f->arena);
}

static struct str answer_id(const struct answer_frame *f, struct str provider_id)
{
    bool is_kept = str_starts(provider_id, STR("cmpl-")) || (f->follows && provider_id.n);

    return is_kept ? arena_str(f->arena, provider_id) : openai_make_id(f, "cmpl-", 0);
}

static void put_head(struct json_out *o, const struct answer_frame *f, struct str id)
{
    json_member_str(o, STR("id"), id);
    json_member_str(o, STR("object"), STR("text_completion"));
    json_member_i64(o, STR("created"), f->created);
    json_member_str(o, STR("model"), f->model);
}

/* One list of the four, out of Chat's tokens. */
static void put_list(struct json_out *o, struct json_node content, struct str name, struct str member)
{
    json_member_open(o, name, '[');
    JSON_EACH(w, content)
        json_put_raw(o, json_node_raw(json_node_get(w.value, member)));
    json_close(o, ']');
}

static void put_top(struct json_out *o, struct json_node content)
{
    json_member_open(o, STR("top_logprobs"), '[');
    JSON_EACH(w, content) {
        json_open(o, '{');
        JSON_EACH(top, json_node_get(w.value, STR("top_logprobs"))) {
            struct json_node token = json_node_get(top.value, STR("token"));
            if (!json_node_is(token, JSON_STRING))
                continue;
            struct str text = json_node_raw(token);
            json_key_raw(o, str_slice(text, 1, text.n - 1));
            json_put_raw(o, json_node_raw(json_node_get(top.value, STR("logprob"))));
        }
        json_close(o, '}');
    }
    json_close(o, ']');
}

/* Where each token begins, in characters of the text behind `at`, which is moved on. */
static void put_offsets(struct json_out *o, struct json_node content, struct arena *arena, int64_t *at)
{
    json_member_open(o, STR("text_offset"), '[');
    JSON_EACH(w, content) {
        json_put_i64(o, *at);
        *at += utf8_count(json_get_text(w.value, STR("token"), arena));
    }
    json_close(o, ']');
}

static void put_logprobs(struct json_out *o, struct str raw, struct arena *arena, int64_t *at)
{
    const struct json_tree *tree;

    json_key(o, STR("logprobs"));
    if (!raw.n || json_tree_parse(arena, raw, &tree) != OK) {
        json_put_null(o);
        return;
    }
    struct json_node content = json_tree_root(tree);
    json_open(o, '{');
    put_list(o, content, STR("tokens"), STR("token"));
    put_list(o, content, STR("token_logprobs"), STR("logprob"));
    put_top(o, content);
    put_offsets(o, content, arena, at);
    json_close(o, '}');
}

static struct str finish_name(enum finish f)
{
    struct str name = openai_finish_name(f, true);

    return str_eq(name, STR("tool_calls")) ? STR("stop") : name;
}

/* --- whole answers --- */

static void put_choice(struct json_out *o, const struct answer_frame *f, const struct answer_choice *c, size_t index)
{
    struct str echo = echo_of(f, index), text = blocks_text(c->blocks, STR_NONE, f->arena);
    int64_t at = utf8_count(echo);

    json_open(o, '{');
    json_member_str(o, STR("text"), echo.n ? arena_join(f->arena, echo, text) : text);
    json_member_u64(o, STR("index"), index);
    put_logprobs(o, c->logprobs, f->arena, &at);
    json_member_str(o, STR("finish_reason"), finish_name(c->finish));
    json_close(o, '}');
}

err_t completions_write_answer(const struct answer_frame *f, const struct answer *a, struct buf *to)
{
    struct json_out o = json_out_to(to);

    json_open(&o, '{');
    put_head(&o, f, answer_id(f, a->id));
    json_member_open(&o, STR("choices"), '[');
    for (size_t i = 0; i < a->choice_count; i++)
        put_choice(&o, f, &a->choices[i], i);
    json_close(&o, ']');
    if (a->usage.known) {
        json_key(&o, STR("usage"));
        openai_put_usage(&o, &a->usage);
    }
    json_close(&o, '}');
    return buf_status(to);
}

/* --- streams --- */

struct completion_writer {
    struct answer_frame f;
    struct str id;
    struct usage usage;
    /* of each choice: */
    int64_t *offsets; /* characters of the tokens told so far                   */
    unsigned *text;   /* the text block that was opened last, plus one; 0: none */
    bool *echoed;
    bool over;
};

_Static_assert(sizeof(struct completion_writer) <= COMPLETIONS_WRITER_SIZE, "the state must fit");

static err_t send(struct completion_writer *w, unsigned choice, struct str text, struct str logprobs, struct str finish,
                  struct buf *to)
{
    struct json_out o = json_out_to(to);

    buf_add_lit(to, "data: ");
    json_open(&o, '{');
    put_head(&o, &w->f, w->id);
    json_member_open(&o, STR("choices"), '[');
    json_open(&o, '{');
    json_member_str(&o, STR("text"), text);
    json_member_u64(&o, STR("index"), choice);
    put_logprobs(&o, logprobs, w->f.arena, &w->offsets[choice]);
    json_key(&o, STR("finish_reason"));
    if (finish.n)
        json_put_str(&o, finish);
    else
        json_put_null(&o);
    json_close(&o, '}');
    json_close(&o, ']');
    json_close(&o, '}');
    return buf_add_lit(to, "\n\n");
}

static err_t send_echo(struct completion_writer *w, unsigned choice, struct buf *to)
{
    struct str echo = echo_of(&w->f, choice);

    if (w->echoed[choice])
        return OK;
    w->echoed[choice] = true;
    w->offsets[choice] = utf8_count(echo);
    return echo.n ? send(w, choice, echo, STR_NONE, STR_NONE, to) : OK;
}

static err_t end(struct completion_writer *w, struct buf *to)
{
    struct json_out o = json_out_to(to);

    w->over = true;
    if (w->f.request && w->f.request->include_usage && w->usage.known) {
        buf_add_lit(to, "data: ");
        json_open(&o, '{');
        put_head(&o, &w->f, w->id);
        json_member_open(&o, STR("choices"), '[');
        json_close(&o, ']');
        json_key(&o, STR("usage"));
        openai_put_usage(&o, &w->usage);
        json_close(&o, '}');
        buf_add_lit(to, "\n\n");
    }
    return buf_add_lit(to, "data: [DONE]\n\n");
}

err_t completions_writer_begin(void *state, const struct answer_frame *f, struct buf *to)
{
    struct completion_writer *w = state;

    (void)to;
    w->f = *f;
    w->offsets = arena_zalloc(f->arena, ANSWER_CHOICES_MAX * sizeof *w->offsets);
    w->text = arena_zalloc(f->arena, ANSWER_CHOICES_MAX * sizeof *w->text);
    w->echoed = arena_zalloc(f->arena, ANSWER_CHOICES_MAX * sizeof *w->echoed);
    return OK;
}

/* Only the block that was opened as a text is told; calls and thoughts are not. */
static err_t send_text(struct completion_writer *w, const struct chat_event *e, struct buf *to)
{
    if (w->text[e->choice] != e->block + 1)
        return OK;
    TRY(send_echo(w, e->choice, to));
    return send(w, e->choice, e->text, STR_NONE, STR_NONE, to);
}

err_t completions_writer_event(void *state, const struct chat_event *e, struct buf *to)
{
    struct completion_writer *w = state;

    if (w->over)
        return OK;
    assert(e->choice < ANSWER_CHOICES_MAX);
    switch (e->kind) {
    case CHAT_START:
        answer_frame_follow(&w->f, e);
        w->id = answer_id(&w->f, e->id);
        return OK;
    case CHAT_BLOCK_START:
        if (e->block_kind == BLOCK_TEXT)
            w->text[e->choice] = e->block + 1;
        return OK;
    case CHAT_TEXT:
        return send_text(w, e, to);
    case CHAT_LOGPROBS:
        TRY(send_echo(w, e->choice, to));
        return send(w, e->choice, STR_NONE, e->text, STR_NONE, to);
    case CHAT_SIGNATURE:
    case CHAT_CITATION:
    case CHAT_BLOCK_STOP:
        return OK;
    case CHAT_USAGE:
        w->usage = *e->usage;
        return OK;
    case CHAT_FINISH:
        TRY(send_echo(w, e->choice, to));
        return send(w, e->choice, STR_NONE, STR_NONE, finish_name(e->finish), to);
    case CHAT_END:
        return end(w, to);
    case CHAT_ERROR:
        w->over = true;
        struct api_error error = openai_error_of(e->error);
        openai_error_event(&error, false, 0, to);
        return buf_status(to);
    }
    return OK;
}
