/*
 * tgi_request_write.c - the canonical request for TGI: conversations to its /v1/chat/completions, prompts to /generate and /generate_stream.
 *
 * The chat route is OpenAI's with a few differences, which a row of llm/vendor.h's form says to OpenAI's writer; so the model's own template is
 * used. A prompt is sent as it is, and more can be said with it: grammars, top_k, typical_p, likely tokens.
 *
 * TGI's stop sequences are part of the text that it returns: the text is cut at them on the way back. How many tokens a prompt has is told
 * beside a whole answer only if the tokens themselves are asked for.
 */
#include "codec/json_out.h"
#include "llm/openai_int.h"
#include "llm/tgi_int.h"
#include "llm/unsaid.h"

enum { STOPS_MAX = 4, TOP_TOKENS_MAX = 5 };

/* --- chat --- */

static const char *const refused[] = {"reasoning_effort",
                                      "verbosity",
                                      "service_tier",
                                      "user",
                                      "metadata",
                                      "prompt_cache_key",
                                      "prompt_cache_retention",
                                      "store",
                                      "modalities",
                                      "audio",
                                      "prediction",
                                      "parallel_tool_calls",
                                      "name",
                                      NULL};

static const struct vendor chat_route = {.name = "tgi",
                                         .title = "Text Generation Inference",
                                         .dialect = "tgi",
                                         .quirks =
                                             QUIRK_MAX_TOKENS | QUIRK_NO_DEVELOPER | QUIRK_NO_N | QUIRK_VALUE_FORMAT,
                                         .refuses = refused};

/* All stop sequences are looked for on the way back, besides the four that the server may be told. */
static void cut_at_stops(const struct chat_request *q, struct provider_call *ret)
{
    ret->emulate.stops = q->stops;
    ret->emulate.stop_count = q->stop_count;
}

static err_t write_conversation(struct translation *t, const struct chat_request *q, struct provider_call *ret)
{
    struct translation chat = *t;

    chat.vendor = &chat_route;
    TRY(openai_write_chat(&chat, q, ret));
    ret->path = arena_join(t->arena, STR("/v1"), ret->path);
    cut_at_stops(q, ret);
    return OK;
}

/* --- parameters of a prompt --- */

struct writing {
    struct translation *t;
    const struct chat_request *q;
    struct json_out o;
};

static void change(struct writing *w, struct json_node from, const char *why)
{
    loss_note(w->t->losses, LOSS_CHANGED, from, why);
}

/* A number, if it lies above 0 and below `end`, where TGI takes it. Beyond it would be without effect, and is left out. */
static void put_number(struct writing *w, struct str name, const struct number *n, double end)
{
    double value;

    if (!n->text.n || !json_to_double(n->text, &value))
        return;
    if (value > 0 && value < end)
        json_member_raw(&w->o, name, n->text);
    else if (value <= 0 && end <= 1)
        change(w, n->from, "left out: it must be above 0 here");
}

/* Without chance nothing that shapes it has an effect, but would bring it back. */
static void put_sampling(struct writing *w)
{
    const struct chat_request *q = w->q;
    const double unlimited = 1e300;
    double temperature = 1;

    if (q->temperature.text.n && json_to_double(q->temperature.text, &temperature) && temperature <= 0) {
        json_member_bool(&w->o, STR("do_sample"), false);
        return;
    }
    put_number(w, STR("temperature"), &q->temperature, unlimited);
    put_number(w, STR("top_k"), &q->top_k, unlimited);
    put_number(w, STR("top_p"), &q->top_p, 1);
    put_number(w, STR("typical_p"), &q->typical_p, 1);
}

static void put_seed(struct writing *w)
{
    const struct number *n = &w->q->seed;

    if (n->text.n && n->text.p[0] == '-')
        loss_drop(w->t->losses, n->from, "a seed must not be negative");
    else if (n->text.n)
        json_member_raw(&w->o, STR("seed"), n->text);
}

static void put_stops(struct writing *w)
{
    size_t n = w->q->stop_count;

    if (!n)
        return;
    if (n > STOPS_MAX)
        loss_note(w->t->losses, LOSS_EMULATED, w->q->stops[STOPS_MAX].from, "more than four stop sequences");
    json_member_open(&w->o, STR("stop"), '[');
    for (size_t i = 0; i < n && i < STOPS_MAX; i++)
        json_put_str(&w->o, w->q->stops[i].text);
    json_close(&w->o, ']');
}

static void put_grammar(struct writing *w)
{
    const struct response_format *f = &w->q->format;

    if (f->kind == FORMAT_JSON || (f->kind == FORMAT_SCHEMA && !f->schema.n))
        loss_drop(w->t->losses, f->from, "a form must be given by a schema");
    if (f->kind != FORMAT_SCHEMA || !f->schema.n)
        return;
    json_member_open(&w->o, STR("grammar"), '{');
    json_member_str(&w->o, STR("type"), STR("json"));
    json_member_raw(&w->o, STR("value"), f->schema);
    json_close(&w->o, '}');
}

/* That the likeliest tokens are asked for shows in the answer, and tells its reader that their probabilities are wanted. */
static void put_top_tokens(struct writing *w)
{
    const struct number *n = &w->q->top_logprobs;
    int64_t wanted = 1;

    if (w->q->logprobs.is != YES)
        return;
    if (!json_node_i64(n->from, &wanted) || wanted < 1)
        wanted = 1;
    if (wanted > TOP_TOKENS_MAX) {
        wanted = TOP_TOKENS_MAX;
        change(w, n->from, "brought down to the provider's maximum");
    }
    json_member_i64(&w->o, STR("top_n_tokens"), wanted);
}

static bool is_parameter(const struct writing *w, const struct extra *x)
{
    return x->nested && w->q->dialect == &dialect_tgi &&
           str_starts(json_node_pointer(x->from, w->t->arena), STR("/parameters/"));
}

static void put_parameters(struct writing *w)
{
    const struct chat_request *q = w->q;
    const double unlimited = 1e300;

    json_member_open(&w->o, STR("parameters"), '{');
    if (q->max_output.text.n)
        json_member_raw(&w->o, STR("max_new_tokens"), q->max_output.text);
    put_sampling(w);
    put_number(w, STR("repetition_penalty"), &q->repetition_penalty, unlimited);
    if (q->frequency_penalty.text.n)
        json_member_raw(&w->o, STR("frequency_penalty"), q->frequency_penalty.text);
    put_seed(w);
    put_stops(w);
    put_grammar(w);
    put_top_tokens(w);
    json_member_bool(&w->o, STR("return_full_text"),
                     false); /* the client's writer repeats the prompt, if it is wanted */
    json_member_bool(&w->o, STR("details"), true);
    if (!q->stream)
        json_member_bool(&w->o, STR("decoder_input_details"), true);
    for (const struct extra *x = q->extras; x; x = x->next)
        if (is_parameter(w, x))
            extra_put(&w->o, x);
    json_close(&w->o, '}');
}

/* --- prompts --- */

static struct str prompt_of(struct writing *w)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(w->o.to->max);

    for (const struct turn *t = w->q->turns; t; t = t->next) {
        if (t->role != CHAT_USER) {
            loss_drop(w->t->losses, t->from, "a prompt has one speaker");
            continue;
        }
        for (const struct block *b = t->blocks; b; b = b->next) {
            if (b->kind == BLOCK_TEXT)
                buf_add(&text, b->text);
            else
                loss_drop(w->t->losses, b->from, "a prompt is text");
        }
    }
    return arena_str(w->t->arena, buf_str(&text));
}

/* What belongs to chats alone, or to nobody but others. */
static void note_unsaid(struct writing *w)
{
    const struct chat_request *q = w->q;
    struct losses *l = w->t->losses;

    for (const struct tool *t = q->tools; t; t = t->next)
        loss_drop(l, t->from, "a completion calls no tools");
    if (q->tool_choice.kind == CHOICE_REQUIRED || q->tool_choice.kind == CHOICE_NAMED)
        loss_drop(l, q->tool_choice.from, "a completion calls no tools");
    unsaid_flag(l, &q->parallel_tools, YES);
    if (q->reasoning.on == YES || q->reasoning.effort > EFFORT_NONE || q->reasoning.budget > 0)
        loss_drop(l, q->reasoning.from, "a completion does not think");
    unsaid_number(l, &q->min_p, 0);
    unsaid_number(l, &q->presence_penalty, 0);
    unsaid_number(l, &q->n, 1);
    unsaid_setting(l, &q->logit_bias);
    unsaid_setting(l, &q->verbosity);
    unsaid_setting(l, &q->service_tier);
    unsaid_setting(l, &q->user);
    unsaid_setting(l, &q->metadata);
    unsaid_setting(l, &q->cache_key);
    unsaid_setting(l, &q->cache_retention);
    unsaid_flag(l, &q->store, NO);
    unsaid_setting(l, &q->modalities);
    unsaid_setting(l, &q->audio);
    unsaid_setting(l, &q->prediction);
    unsaid_setting(l, &q->suffix);
}

static void put_extras(struct writing *w)
{
    for (const struct extra *x = w->q->extras; x; x = x->next) {
        if (is_parameter(w, x))
            continue;
        if (x->nested || w->q->dialect != &dialect_tgi)
            loss_drop(w->t->losses, x->from, "the provider has no such field");
        else
            extra_put(&w->o, x);
    }
}

static err_t write_prompt(struct translation *t, const struct chat_request *q, struct provider_call *ret)
{
    struct writing w = {t, q, json_out_to(ret->body)};

    ret->path = q->stream ? STR("/generate_stream") : STR("/generate");
    ret->stream = q->stream;
    ret->framing = FRAMING_SSE;
    cut_at_stops(q, ret);
    json_open(&w.o, '{');
    json_member_str(&w.o, STR("inputs"), prompt_of(&w));
    put_parameters(&w);
    note_unsaid(&w);
    put_extras(&w);
    json_close(&w.o, '}');
    return buf_status(ret->body);
}

err_t tgi_write_chat(struct translation *t, const struct chat_request *q, struct provider_call *ret)
{
    return q->is_completion ? write_prompt(t, q, ret) : write_conversation(t, q, ret);
}
