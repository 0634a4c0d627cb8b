/*
 * ollama_request_write.c - the canonical request as Ollama's /api/chat, or /api/generate for a prompt that is only to be continued.
 *
 * Every field of the request is looked at, in the order of struct chat_request; what Ollama has no word for is reported. `stream` is always said,
 * since its default is yes. A completion is sent raw, past the model's template, as the services send it whose clients ask so; one with a suffix
 * needs the template.
 *
 * There is no tool_choice: tools that may not be called are not offered, but none can be forced. Pictures in a tool's result follow in a user
 * message. Thoughts are told to the model as long as nobody has signed them.
 */
#include "codec/json_out.h"
#include "llm/ollama_int.h"
#include "llm/tool_args.h"
#include "llm/turns.h"
#include "llm/unsaid.h"
#include "llm/vendor.h"

struct writing {
    struct translation *t;
    const struct chat_request *q;
    struct provider_call *call;
    struct json_out o;
};

static void drop(struct writing *w, const struct block *b, const char *why)
{
    loss_drop(w->t->losses, b->from, why);
}

static void change(struct writing *w, struct json_node from, const char *why)
{
    loss_note(w->t->losses, LOSS_CHANGED, from, why);
}

/* --- content --- */

/* The text that a document of text is told as. */
static struct str document_text(struct writing *w, const struct block *b)
{
    if (b->media.source != MEDIA_TEXT) {
        drop(w, b, "documents must be text here");
        return STR_NONE;
    }
    if (b->context.n || b->citations_on == YES)
        change(w, b->from, "documents have no context and no citations here");
    loss_note(w->t->losses, LOSS_EMULATED, b->from, "a document of text is sent as text");
    return b->media.name.n ? arena_printf(w->t->arena, "%.*s\n\n%.*s", STR_ARG(b->media.name), STR_ARG(b->media.data))
                           : b->media.data;
}

/* What a block adds to the content of its message; pictures, calls, thoughts and results have places of their own. */
static struct str content_of(struct writing *w, const struct block *b)
{
    switch (b->kind) {
    case BLOCK_TEXT:
        if (b->citations)
            change(w, b->from, "texts of the history have no citations here");
        return b->text;
    case BLOCK_REFUSAL:
        change(w, b->from, "a refusal is told as text");
        return b->text;
    case BLOCK_DOCUMENT:
        return document_text(w, b);
    case BLOCK_AUDIO:
    case BLOCK_VIDEO:
        drop(w, b, "the provider takes text and pictures only");
        return STR_NONE;
    case BLOCK_OPAQUE:
        drop(w, b, "a part that only its own API knows");
        return STR_NONE;
    case BLOCK_IMAGE:
    case BLOCK_TOOL_CALL:
    case BLOCK_TOOL_RESULT:
    case BLOCK_THINKING:
    case BLOCK_REDACTED:
        return STR_NONE;
    }
    return STR_NONE;
}

static void put_content(struct writing *w, struct str key, const struct block *blocks, struct str last)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(w->o.to->max);

    for (const struct block *b = blocks; b; b = b->next) {
        struct str piece = content_of(w, b);
        if (b->cache != CACHE_NONE)
            drop(w, b, "caching is up to the provider");
        if (piece.n)
            buf_add(&text, text.n ? STR("\n") : STR_NONE);
        buf_add(&text, piece);
    }
    if (last.n)
        buf_add(&text, text.n ? STR("\n") : STR_NONE);
    buf_add(&text, last);
    json_member_str(&w->o, key, buf_str(&text));
}

static bool is_sendable(struct writing *w, const struct block *b)
{
    if (b->kind != BLOCK_IMAGE)
        return false;
    if (b->media.source != MEDIA_BASE64) {
        drop(w, b, "pictures must be sent as base64: the provider fetches nothing");
        return false;
    }
    if (b->media.detail.n && !str_eq(b->media.detail, STR("auto")))
        change(w, b->from, "pictures have no level of detail here");
    return true;
}

static void put_images(struct writing *w, const struct block *blocks)
{
    bool open = false;

    for (const struct block *b = blocks; b; b = b->next) {
        if (!is_sendable(w, b))
            continue;
        if (!open)
            json_member_open(&w->o, STR("images"), '[');
        open = true;
        json_put_str(&w->o, b->media.data);
    }
    if (open)
        json_close(&w->o, ']');
}

/* --- messages --- */

static void open_message(struct writing *w, struct str role)
{
    json_open(&w->o, '{');
    json_member_str(&w->o, STR("role"), role);
}

static bool has_picture(const struct block *blocks)
{
    for (const struct block *b = blocks; b; b = b->next)
        if (b->kind == BLOCK_IMAGE && b->media.source == MEDIA_BASE64)
            return true;
    return false;
}

static void put_result(struct writing *w, const struct block *b)
{
    struct str note =
        has_picture(b->content) ? STR("(a picture that this tool returned follows in the next message)") : STR_NONE;

    open_message(w, STR("tool"));
    put_content(w, STR("content"), b->content, note);
    if (b->name.n)
        json_member_str(&w->o, STR("tool_name"), b->name);
    if (b->id.n)
        json_member_str(&w->o, STR("tool_call_id"), tool_id_fit(w->t->vendor->tool_ids, b->id, w->t->arena));
    json_close(&w->o, '}');
    if (b->is_error)
        drop(w, b, "a failed call is only told by its text");
    if (b->cache != CACHE_NONE)
        drop(w, b, "caching is up to the provider");
}

/* Pictures of a result, in a message behind all results. */
static void put_pictures_of_results(struct writing *w, const struct turn *t)
{
    struct block *pictures = NULL;

    for (const struct block *r = t->blocks; r; r = r->next) {
        for (const struct block *b = r->kind == BLOCK_TOOL_RESULT ? r->content : NULL; b; b = b->next) {
            if (!is_sendable(w, b))
                continue;
            loss_note(w->t->losses, LOSS_EMULATED, b->from, "sent in a user message behind the tool's result");
            chat_add_block(&pictures, w->t->arena, BLOCK_IMAGE, b->from)->media = b->media;
        }
    }
    if (!pictures)
        return;
    open_message(w, STR("user"));
    json_member_str(&w->o, STR("content"), STR("(returned by the tool)"));
    put_images(w, pictures);
    json_close(&w->o, '}');
}

static void note_name(struct writing *w, const struct turn *t)
{
    if (t->name.n)
        loss_drop(w->t->losses, json_node_get(t->from, STR("name")), "speakers have no names here");
}

static bool says_only_results(const struct turn *t)
{
    for (const struct block *b = t->blocks; b; b = b->next)
        if (b->kind != BLOCK_TOOL_RESULT)
            return false;
    return t->blocks;
}

static void put_user(struct writing *w, const struct turn *t)
{
    for (const struct block *b = t->blocks; b; b = b->next)
        if (b->kind == BLOCK_TOOL_RESULT)
            put_result(w, b);
    put_pictures_of_results(w, t);
    if (says_only_results(t))
        return;
    open_message(w, STR("user"));
    put_content(w, STR("content"), t->blocks, STR_NONE);
    put_images(w, t->blocks);
    note_name(w, t);
    json_close(&w->o, '}');
}

static void put_thinking(struct writing *w, const struct turn *t)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(w->o.to->max);

    for (const struct block *b = t->blocks; b; b = b->next) {
        if (b->kind == BLOCK_REDACTED || (b->kind == BLOCK_THINKING && b->signature.n))
            drop(w, b, "made by another provider's model");
        else if (b->kind == BLOCK_THINKING)
            buf_add(&text, b->text);
    }
    if (text.n)
        json_member_str(&w->o, STR("thinking"), buf_str(&text));
}

static void put_call(struct writing *w, const struct block *b, unsigned index)
{
    struct json_out *o = &w->o;
    bool wrapped = false;
    struct str arguments = b->custom ? tool_args_of_text(b->arguments, w->t->arena)
                                     : tool_args_object(b->arguments, w->t->arena, &wrapped);

    if (wrapped)
        change(w, b->from, "arguments that are no JSON object are put into one");
    if (b->signature.n)
        change(w, b->from, "a proof of origin that only its maker can check");
    json_open(o, '{');
    if (b->id.n)
        json_member_str(o, STR("id"), tool_id_fit(w->t->vendor->tool_ids, b->id, w->t->arena));
    json_member_open(o, STR("function"), '{');
    json_member_u64(o, STR("index"), index);
    json_member_str(o, STR("name"), b->name);
    json_member_raw(o, STR("arguments"), arguments);
    json_close(o, '}');
    json_close(o, '}');
}

static void put_assistant(struct writing *w, const struct turn *t)
{
    unsigned index = 0;

    open_message(w, STR("assistant"));
    put_content(w, STR("content"), t->blocks, STR_NONE);
    put_thinking(w, t);
    put_images(w, t->blocks);
    if (turn_has(t, BLOCK_TOOL_CALL)) {
        json_member_open(&w->o, STR("tool_calls"), '[');
        for (const struct block *b = t->blocks; b; b = b->next)
            if (b->kind == BLOCK_TOOL_CALL)
                put_call(w, b, index++);
        json_close(&w->o, ']');
    }
    note_name(w, t);
    json_close(&w->o, '}');
}

static void put_system(struct writing *w, const struct turn *t)
{
    open_message(w, STR("system"));
    put_content(w, STR("content"), t->blocks, STR_NONE);
    put_images(w, t->blocks);
    note_name(w, t);
    json_close(&w->o, '}');
}

static void put_messages(struct writing *w)
{
    struct block *system;
    struct turn *turns;

    turns_arrange(w->q, TURNS_RESULTS_FIRST, w->t->arena, w->t->losses, &system, &turns);
    json_member_open(&w->o, STR("messages"), '[');
    for (const struct turn *t = turns; t; t = t->next) {
        switch (t->role) {
        case CHAT_SYSTEM:
        case CHAT_DEVELOPER:
            put_system(w, t);
            break;
        case CHAT_USER:
            put_user(w, t);
            break;
        case CHAT_ASSISTANT:
            put_assistant(w, t);
            break;
        }
    }
    json_close(&w->o, ']');
}

/* --- the prompt of a completion --- */

static void put_prompt(struct writing *w)
{
    struct block *all = NULL;

    for (const struct turn *t = w->q->turns; t; t = t->next) {
        for (const struct block *b = t->blocks; b; b = b->next) {
            struct block *copy = chat_add_block(&all, w->t->arena, b->kind, b->from), *next = copy->next;
            *copy = *b;
            copy->next = next;
            if (b->kind == BLOCK_TOOL_CALL || b->kind == BLOCK_TOOL_RESULT || b->kind == BLOCK_THINKING)
                drop(w, b, "a prompt is text");
        }
    }
    put_content(w, STR("prompt"), all, STR_NONE);
    put_images(w, all);
    if (w->q->suffix.text.n)
        json_member_str(&w->o, STR("suffix"), w->q->suffix.text);
    else
        json_member_bool(&w->o, STR("raw"), true);
}

/* --- tools --- */

static bool is_offered(const struct writing *w, const struct tool *t)
{
    const struct tool_choice *c = &w->q->tool_choice;

    if (t->kind == TOOL_HOSTED || c->kind == CHOICE_NONE || w->q->is_completion)
        return false;
    return c->kind == CHOICE_NAMED ? str_eq(c->name, t->name) : tool_is_allowed(c, t->name);
}

static void put_tool(struct writing *w, const struct tool *t)
{
    struct json_out *o = &w->o;

    json_open(o, '{');
    json_member_str(o, STR("type"), STR("function"));
    json_member_open(o, STR("function"), '{');
    json_member_str(o, STR("name"), t->name);
    if (t->description.n)
        json_member_str(o, STR("description"), t->description);
    json_member_raw(o, STR("parameters"),
                    t->kind == TOOL_CUSTOM ? TOOL_ARGS_TEXT_SCHEMA
                    : t->parameters.n      ? t->parameters
                                           : STR("{\"type\":\"object\",\"properties\":{}}"));
    json_close(o, '}');
    json_close(o, '}');
}

static void note_tool(struct writing *w, const struct tool *t)
{
    if (w->q->is_completion)
        loss_drop(w->t->losses, t->from, "a completion calls no tools");
    else if (t->kind == TOOL_HOSTED)
        loss_drop(w->t->losses, t->from, "a tool that only the API it was made for can run");
    else if (t->kind == TOOL_CUSTOM)
        loss_note(w->t->losses, LOSS_EMULATED, t->from, "free text is asked for as a function's one argument");
    if (t->strict == YES)
        change(w, t->from, "arguments are not held to their schema");
    if (t->cache != CACHE_NONE)
        loss_drop(w->t->losses, t->from, "caching is up to the provider");
}

static void note_choice(struct writing *w)
{
    const struct tool_choice *c = &w->q->tool_choice;

    switch (c->kind) {
    case CHOICE_UNSET:
    case CHOICE_AUTO:
        break;
    case CHOICE_NONE:
        if (w->q->tools)
            loss_note(w->t->losses, LOSS_EMULATED, c->from, "tools that may not be called are not offered");
        return;
    case CHOICE_REQUIRED:
        loss_drop(w->t->losses, c->from, "no tool can be forced here");
        break;
    case CHOICE_NAMED:
        loss_drop(w->t->losses, c->from, "no tool can be forced here: it is the only one that is offered");
        break;
    }
    if (c->allowed)
        loss_note(w->t->losses, LOSS_EMULATED, c->from, "only the allowed tools are offered");
}

static void put_tools(struct writing *w)
{
    bool open = false;

    for (const struct tool *t = w->q->tools; t; t = t->next) {
        note_tool(w, t);
        if (!is_offered(w, t))
            continue;
        if (!open)
            json_member_open(&w->o, STR("tools"), '[');
        open = true;
        put_tool(w, t);
    }
    if (open)
        json_close(&w->o, ']');
    note_choice(w);
    unsaid_flag(w->t->losses, &w->q->parallel_tools, YES);
}

/* --- settings --- */

static void put_format(struct writing *w)
{
    const struct response_format *f = &w->q->format;

    if (f->kind == FORMAT_UNSET || f->kind == FORMAT_TEXT)
        return;
    json_key(&w->o, STR("format"));
    if (f->kind == FORMAT_SCHEMA && f->schema.n)
        json_put_raw(&w->o, f->schema);
    else
        json_put_str(&w->o, STR("json"));
    if (f->description.n)
        change(w, f->from, "a format has no description here");
}

/* The levels that exist; whatever is between them goes up or down to the next. */
static struct str think_level(struct writing *w, enum effort e)
{
    switch (e) {
    case EFFORT_MINIMAL:
        change(w, w->q->reasoning.from, "the least effort here is low");
        return STR("low");
    case EFFORT_XHIGH:
        change(w, w->q->reasoning.from, "the next effort here is max");
        return STR("max");
    case EFFORT_LOW:
    case EFFORT_MEDIUM:
    case EFFORT_HIGH:
    case EFFORT_MAX:
        return effort_name(e);
    case EFFORT_UNSET:
    case EFFORT_NONE:
        break;
    }
    return STR_NONE;
}

static void put_think(struct writing *w)
{
    const struct reasoning *r = &w->q->reasoning;
    bool off = r->on == NO || r->effort == EFFORT_NONE || r->budget == 0;
    struct str level = STR_NONE;

    if (!off && r->effort != EFFORT_UNSET) {
        level = think_level(w, r->effort);
    } else if (!off && r->budget > 0) {
        change(w, r->from, "a budget of tokens became an effort");
        level = think_level(w, budget_effort(r->budget));
    }
    if (level.n)
        json_member_str(&w->o, STR("think"), level);
    else if (off || r->on == YES)
        json_member_bool(&w->o, STR("think"), !off);
    if (r->show == NO && !off)
        loss_drop(w->t->losses, r->from, "thoughts are always told");
    if (r->summary.n)
        loss_drop(w->t->losses, r->from, "thoughts are not summarised");
}

/* `options` is opened by its first member. */
static void open_options(struct writing *w, bool *open)
{
    if (!*open)
        json_member_open(&w->o, STR("options"), '{');
    *open = true;
}

static void put_option(struct writing *w, struct str name, const struct number *n, bool *open)
{
    if (!n->text.n)
        return;
    open_options(w, open);
    json_member_raw(&w->o, name, n->text);
}

static void put_stops(struct writing *w, bool *open)
{
    if (!w->q->stop_count)
        return;
    open_options(w, open);
    json_member_open(&w->o, STR("stop"), '[');
    for (size_t i = 0; i < w->q->stop_count; i++)
        json_put_str(&w->o, w->q->stops[i].text);
    json_close(&w->o, ']');
}

/* An option of Ollama's engine, from a client of Ollama. */
static bool is_option(const struct writing *w, const struct extra *x)
{
    struct str at = x->nested && w->q->dialect == &dialect_ollama ? json_node_pointer(x->from, w->t->arena) : STR_NONE;

    return str_starts(at, STR("/options/"));
}

static void put_options(struct writing *w)
{
    const struct chat_request *q = w->q;
    bool open = false;

    put_option(w, STR("num_predict"), &q->max_output, &open);
    put_option(w, STR("temperature"), &q->temperature, &open);
    put_option(w, STR("top_p"), &q->top_p, &open);
    put_option(w, STR("top_k"), &q->top_k, &open);
    put_option(w, STR("min_p"), &q->min_p, &open);
    put_option(w, STR("typical_p"), &q->typical_p, &open);
    put_option(w, STR("repeat_penalty"), &q->repetition_penalty, &open);
    put_option(w, STR("presence_penalty"), &q->presence_penalty, &open);
    put_option(w, STR("frequency_penalty"), &q->frequency_penalty, &open);
    put_option(w, STR("seed"), &q->seed, &open);
    put_stops(w, &open);
    for (const struct extra *x = q->extras; x; x = x->next) {
        if (!is_option(w, x))
            continue;
        open_options(w, &open);
        extra_put(&w->o, x);
    }
    if (open)
        json_close(&w->o, '}');
}

static void put_logprobs(struct writing *w)
{
    if (w->q->logprobs.is == YES)
        json_member_bool(&w->o, STR("logprobs"), true);
    if (w->q->top_logprobs.text.n)
        json_member_raw(&w->o, STR("top_logprobs"), w->q->top_logprobs.text);
}

static void put_extras(struct writing *w)
{
    for (const struct extra *x = w->q->extras; x; x = x->next) {
        if (is_option(w, x))
            continue;
        if (x->nested || w->q->dialect != &dialect_ollama)
            loss_drop(w->t->losses, x->from, "the provider has no such field");
        else
            extra_put(&w->o, x);
    }
}

static void note_unsaid(struct writing *w)
{
    const struct chat_request *q = w->q;
    struct losses *l = w->t->losses;

    unsaid_number(l, &q->n, 1);
    unsaid_setting(l, &q->logit_bias);
    unsaid_setting(l, &q->verbosity);
    unsaid_setting(l, &q->service_tier);
    unsaid_setting(l, &q->user);
    unsaid_setting(l, &q->metadata);
    unsaid_setting(l, &q->cache_key);
    unsaid_setting(l, &q->cache_retention);
    unsaid_flag(l, &q->store, NO);
    if (!str_eq(q->modalities.text, STR("[\"text\"]")))
        unsaid_setting(l, &q->modalities);
    unsaid_setting(l, &q->audio);
    unsaid_setting(l, &q->prediction);
    if (!q->is_completion)
        unsaid_setting(l, &q->suffix);
}

err_t ollama_write_chat(struct translation *t, const struct chat_request *q, struct provider_call *ret)
{
    struct writing w = {t, q, ret, json_out_to(ret->body)};

    ret->path = q->is_completion ? STR("/api/generate") : STR("/api/chat");
    ret->stream = q->stream;
    ret->framing = FRAMING_LINES;
    json_open(&w.o, '{');
    json_member_str(&w.o, STR("model"), t->model);
    if (q->is_completion)
        put_prompt(&w);
    else
        put_messages(&w);
    put_tools(&w);
    put_format(&w);
    put_options(&w);
    put_think(&w);
    json_member_bool(&w.o, STR("stream"), q->stream);
    put_logprobs(&w);
    note_unsaid(&w);
    put_extras(&w);
    json_close(&w.o, '}');
    return buf_status(ret->body);
}
