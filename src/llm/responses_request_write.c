/*
 * responses_request_write.c - the canonical request as OpenAI Responses.
 *
 * Turns become items: texts, thoughts and calls of an assistant turn one item each, in their order, since a thought must stand right before what it led
 * to. The first system text is `instructions`. Stop sequences, which this API lacks, are watched for by us. Unless the client speaks this API too, the
 * provider is told to store nothing.
 *
 * Wire format: OpenAI's published API description, November 2026.
 */
#include "llm/openai_int.h"
#include "llm/turns.h"

static void drop(struct openai_writing *w, const struct block *b, const char *why)
{
    loss_drop(w->t->losses, b->from, why);
}

/* --- parts --- */

static void put_text(struct json_out *o, struct str type, struct str text)
{
    json_open(o, '{');
    json_member_str(o, STR("type"), type);
    json_member_str(o, STR("text"), text);
    if (str_eq(type, STR("output_text"))) {
        json_member_open(o, STR("annotations"), '[');
        json_close(o, ']');
    }
    json_close(o, '}');
}

static void put_image(struct openai_writing *w, const struct block *b)
{
    json_open(&w->o, '{');
    json_member_str(&w->o, STR("type"), STR("input_image"));
    if (b->media.source == MEDIA_FILE_ID)
        json_member_str(&w->o, STR("file_id"), b->media.data);
    else
        json_member_str(&w->o, STR("image_url"), openai_media_url(&b->media, w->t->arena));
    json_member_str(&w->o, STR("detail"), b->media.detail.n ? b->media.detail : STR("auto"));
    json_close(&w->o, '}');
}

static void put_file(struct openai_writing *w, const struct block *b)
{
    if (b->media.source == MEDIA_TEXT) {
        loss_note(w->t->losses, LOSS_EMULATED, b->from, "a document of text is sent as text");
        put_text(&w->o, STR("input_text"), b->media.data);
        return;
    }
    json_open(&w->o, '{');
    json_member_str(&w->o, STR("type"), STR("input_file"));
    if (b->media.source == MEDIA_FILE_ID) {
        json_member_str(&w->o, STR("file_id"), b->media.data);
    } else if (b->media.source == MEDIA_URL) {
        json_member_str(&w->o, STR("file_url"), b->media.data);
    } else {
        json_member_str(&w->o, STR("filename"), b->media.name.n ? b->media.name : STR("file"));
        json_member_str(&w->o, STR("file_data"), openai_media_url(&b->media, w->t->arena));
    }
    json_close(&w->o, '}');
}

static void put_audio(struct openai_writing *w, const struct block *b)
{
    struct str format = b->media.type;

    if (b->media.source != MEDIA_BASE64) {
        drop(w, b, "sound must be sent as data");
        return;
    }
    (void)str_cut(&format, '/');
    json_open(&w->o, '{');
    json_member_str(&w->o, STR("type"), STR("input_audio"));
    json_member_open(&w->o, STR("input_audio"), '{');
    json_member_str(&w->o, STR("data"), b->media.data);
    json_member_str(&w->o, STR("format"), str_eq(format, STR("mpeg")) ? STR("mp3") : format.n ? format : STR("wav"));
    json_close(&w->o, '}');
    json_close(&w->o, '}');
}

static void put_part(struct openai_writing *w, const struct block *b, struct str text_type)
{
    if (b->cache != CACHE_NONE)
        drop(w, b, "caching is up to the provider");
    if (b->context.n || b->citations_on == YES)
        drop(w, b, "documents have no context and no citations here");
    switch (b->kind) {
    case BLOCK_TEXT:
        put_text(&w->o, text_type, b->text);
        return;
    case BLOCK_IMAGE:
        put_image(w, b);
        return;
    case BLOCK_DOCUMENT:
        put_file(w, b);
        return;
    case BLOCK_AUDIO:
        put_audio(w, b);
        return;
    case BLOCK_REFUSAL:
        json_open(&w->o, '{');
        json_member_str(&w->o, STR("type"), STR("refusal"));
        json_member_str(&w->o, STR("refusal"), b->text);
        json_close(&w->o, '}');
        return;
    case BLOCK_VIDEO:
        drop(w, b, "video has no form here");
        return;
    case BLOCK_OPAQUE:
        drop(w, b, "a part that only its own API knows");
        return;
    case BLOCK_TOOL_CALL:
    case BLOCK_TOOL_RESULT:
    case BLOCK_THINKING:
    case BLOCK_REDACTED:
        return;
    }
}

/* --- items --- */

static bool is_own_item(const struct block *b)
{
    return b->kind == BLOCK_OPAQUE && b->of == &dialect_responses;
}

static bool is_part(const struct block *b)
{
    return b->kind != BLOCK_TOOL_CALL && b->kind != BLOCK_TOOL_RESULT && b->kind != BLOCK_THINKING &&
           b->kind != BLOCK_REDACTED && !is_own_item(b);
}

static void open_item(struct openai_writing *w, struct str type)
{
    json_open(&w->o, '{');
    json_member_str(&w->o, STR("type"), type);
}

/* A message of the blocks from `b` on that are parts; returns the first one that is none. */
static const struct block *put_message(struct openai_writing *w, struct str role, const struct block *b)
{
    bool assistant = str_eq(role, STR("assistant"));

    open_item(w, STR("message"));
    json_member_str(&w->o, STR("role"), role);
    json_member_open(&w->o, STR("content"), '[');
    for (; b && is_part(b); b = b->next)
        put_part(w, b, assistant ? STR("output_text") : STR("input_text"));
    json_close(&w->o, ']');
    json_close(&w->o, '}');
    return b;
}

static void put_call(struct openai_writing *w, const struct block *b)
{
    open_item(w, b->custom ? STR("custom_tool_call") : STR("function_call"));
    json_member_str(&w->o, STR("call_id"), tool_id_fit(w->vendor->tool_ids, b->id, w->t->arena));
    json_member_str(&w->o, STR("name"), openai_tool_name(w, b->name));
    json_member_str(&w->o, b->custom ? STR("input") : STR("arguments"),
                    b->custom || b->arguments.n ? b->arguments : STR("{}"));
    json_close(&w->o, '}');
    if (b->signature.n)
        drop(w, b, "a proof of origin that only its maker can check");
}

static bool answers_custom(const struct openai_writing *w, const struct block *result)
{
    const struct block *call = chat_find_call(w->q, result->id, NULL);

    return call && call->custom;
}

static void put_result(struct openai_writing *w, const struct block *b)
{
    const struct block *only = b->content;
    bool text = !only || (only->kind == BLOCK_TEXT && !only->next);

    open_item(w, answers_custom(w, b) ? STR("custom_tool_call_output") : STR("function_call_output"));
    json_member_str(&w->o, STR("call_id"), tool_id_fit(w->vendor->tool_ids, b->id, w->t->arena));
    json_key(&w->o, STR("output"));
    if (text) {
        json_put_str(&w->o, only ? only->text : STR_NONE);
    } else {
        json_open(&w->o, '[');
        for (const struct block *part = b->content; part; part = part->next)
            put_part(w, part, STR("input_text"));
        json_close(&w->o, ']');
    }
    json_close(&w->o, '}');
    if (b->is_error)
        drop(w, b, "a failed call is only told by its text");
    if (b->cache != CACHE_NONE)
        drop(w, b, "caching is up to the provider");
}

/* Why a thought cannot go back; NULL: it can. Words without proof are for open models only. */
static const char *why_no_thought(const struct openai_writing *w, const struct block *b)
{
    bool proof = b->signature.n || b->kind == BLOCK_REDACTED;

    if (proof)
        return b->signer == SIGNER_OPENAI ? NULL : "made by another provider's model";
    return w->vendor->quirks & QUIRK_FULL ? "thoughts go back only with their maker's proof" : NULL;
}

static void put_thought(struct openai_writing *w, const struct block *b)
{
    struct json_out *o = &w->o;
    const char *why = why_no_thought(w, b);
    bool summary = b->kind == BLOCK_THINKING && b->text.n && (b->summary || b->signature.n);

    if (why) {
        drop(w, b, why);
        return;
    }
    open_item(w, STR("reasoning"));
    if (str_starts(b->id, STR("rs_")))
        json_member_str(o, STR("id"), b->id);
    json_member_open(o, STR("summary"), '[');
    if (summary)
        put_text(o, STR("summary_text"), b->text);
    json_close(o, ']');
    if (b->kind == BLOCK_THINKING && !summary) {
        json_member_open(o, STR("content"), '[');
        put_text(o, STR("reasoning_text"), b->text);
        json_close(o, ']');
    }
    if (b->kind == BLOCK_REDACTED || b->signature.n)
        json_member_str(o, STR("encrypted_content"), b->kind == BLOCK_REDACTED ? b->text : b->signature);
    json_close(o, '}');
}

static struct str role_name(enum chat_role role)
{
    switch (role) {
    case CHAT_SYSTEM:
        return STR("system");
    case CHAT_DEVELOPER:
        return STR("developer");
    case CHAT_USER:
        return STR("user");
    case CHAT_ASSISTANT:
        return STR("assistant");
    }
    return STR("user");
}

static void put_turn(struct openai_writing *w, const struct turn *t)
{
    const struct block *b = t->blocks;

    if (t->name.n)
        loss_drop(w->t->losses, json_node_get(t->from, STR("name")), "messages have no names here");
    while (b) {
        if (is_part(b)) {
            b = put_message(w, role_name(t->role), b);
            continue;
        }
        if (b->kind == BLOCK_TOOL_CALL)
            put_call(w, b);
        else if (b->kind == BLOCK_TOOL_RESULT)
            put_result(w, b);
        else if (is_own_item(b))
            json_put_raw(&w->o, b->text);
        else
            put_thought(w, b);
        b = b->next;
    }
}

static bool is_instructions(const struct turn *t)
{
    return t && t->role == CHAT_SYSTEM && t->blocks && t->blocks->kind == BLOCK_TEXT && !t->blocks->next &&
           t->blocks->cache == CACHE_NONE;
}

static void write_input(struct openai_writing *w)
{
    struct block *system;
    struct turn *turns;

    turns_arrange(w->q, TURNS_RESULTS_FIRST, w->t->arena, w->t->losses, &system, &turns);
    if (is_instructions(turns)) {
        json_member_str(&w->o, STR("instructions"), turns->blocks->text);
        turns = turns->next;
    }
    json_member_open(&w->o, STR("input"), '[');
    for (const struct turn *t = turns; t; t = t->next)
        put_turn(w, t);
    json_close(&w->o, ']');
}

/* --- settings --- */

static void write_reasoning(struct openai_writing *w)
{
    const struct reasoning *r = &w->q->reasoning;
    enum effort e = openai_effort(w);
    struct str summary = r->summary.n ? r->summary : r->show == YES ? STR("auto") : STR_NONE;

    if (e == EFFORT_UNSET && !summary.n)
        return;
    json_member_open(&w->o, STR("reasoning"), '{');
    if (e != EFFORT_UNSET)
        json_member_str(&w->o, STR("effort"), effort_name(e));
    if (summary.n)
        json_member_str(&w->o, STR("summary"), summary);
    json_close(&w->o, '}');
}

static void write_format(struct openai_writing *w)
{
    const struct response_format *f = &w->q->format;
    struct json_out *o = &w->o;

    json_member_open(o, STR("format"), '{');
    json_member_str(o, STR("type"),
                    f->kind == FORMAT_SCHEMA ? STR("json_schema")
                    : f->kind == FORMAT_JSON ? STR("json_object")
                                             : STR("text"));
    if (f->kind == FORMAT_SCHEMA) {
        json_member_str(o, STR("name"), f->name.n ? f->name : STR("response"));
        if (f->description.n)
            json_member_str(o, STR("description"), f->description);
        json_member_raw(o, STR("schema"), f->schema.n ? f->schema : STR("{}"));
        if (f->strict != UNSET)
            json_member_bool(o, STR("strict"), f->strict == YES);
    }
    json_close(o, '}');
}

static void write_text(struct openai_writing *w)
{
    if (w->q->format.kind == FORMAT_UNSET && !w->q->verbosity.text.p)
        return;
    json_member_open(&w->o, STR("text"), '{');
    if (w->q->format.kind != FORMAT_UNSET)
        write_format(w);
    openai_member_text(w, "verbosity", &w->q->verbosity);
    json_close(&w->o, '}');
}

/* Strictness is told always: left out it would mean yes. */
static void write_tool(struct openai_writing *w, const struct tool *t)
{
    struct json_out *o = &w->o;

    if (t->kind == TOOL_HOSTED) {
        json_put_raw(o, t->raw);
        return;
    }
    open_item(w, t->kind == TOOL_CUSTOM ? STR("custom") : STR("function"));
    json_member_str(o, STR("name"), openai_tool_name(w, t->name));
    if (t->description.n)
        json_member_str(o, STR("description"), t->description);
    if (t->kind == TOOL_FUNCTION) {
        json_member_raw(o, STR("parameters"),
                        t->parameters.n ? t->parameters : STR("{\"type\":\"object\",\"properties\":{}}"));
        json_member_bool(o, STR("strict"), t->strict == YES);
    } else if (t->format.n) {
        json_member_raw(o, STR("format"), t->format);
    }
    json_close(o, '}');
}

static const struct tool *find_tool(const struct openai_writing *w, struct str name)
{
    const struct tool *t = w->q->tools;

    while (t && !str_eq(t->name, name))
        t = t->next;
    return t;
}

/* {"type":"function","name":…}; a hosted tool goes by its type. */
static void put_named(struct openai_writing *w, struct str name)
{
    const struct tool *t = find_tool(w, name);

    open_item(w, t && t->kind == TOOL_HOSTED ? name : t && t->kind == TOOL_CUSTOM ? STR("custom") : STR("function"));
    if (!t || t->kind != TOOL_HOSTED)
        json_member_str(&w->o, STR("name"), openai_tool_name(w, name));
    json_close(&w->o, '}');
}

static void write_choice(struct openai_writing *w)
{
    const struct tool_choice *c = &w->q->tool_choice;

    if (c->kind == CHOICE_UNSET)
        return;
    json_key(&w->o, STR("tool_choice"));
    if (c->kind == CHOICE_NAMED) {
        put_named(w, c->name);
    } else if (!c->allowed) {
        json_put_str(&w->o, c->kind == CHOICE_AUTO   ? STR("auto")
                            : c->kind == CHOICE_NONE ? STR("none")
                                                     : STR("required"));
    } else {
        open_item(w, STR("allowed_tools"));
        json_member_str(&w->o, STR("mode"), c->kind == CHOICE_REQUIRED ? STR("required") : STR("auto"));
        json_member_open(&w->o, STR("tools"), '[');
        for (size_t i = 0; i < c->allowed_count; i++)
            put_named(w, c->allowed[i]);
        json_close(&w->o, ']');
        json_close(&w->o, '}');
    }
}

static void write_tools(struct openai_writing *w)
{
    for (const struct tool *t = w->q->tools; t; t = t->next)
        if (!openai_offers(w, t, true))
            loss_drop(w->t->losses, t->from, "a tool that only the API it was made for can run");
    if (!openai_offers_any(w, true)) {
        if (w->q->tool_choice.kind != CHOICE_UNSET)
            loss_drop(w->t->losses, w->q->tool_choice.from, "there are no tools to choose from");
        return;
    }
    json_member_open(&w->o, STR("tools"), '[');
    for (const struct tool *t = w->q->tools; t; t = t->next)
        if (openai_offers(w, t, true))
            write_tool(w, t);
    json_close(&w->o, ']');
    write_choice(w);
    openai_member_flag(w, "parallel_tool_calls", &w->q->parallel_tools);
}

/* A model that thinks needs its thoughts back, which nobody stores for it: so they are asked for. Models that never think refuse that. */
static void write_include(struct openai_writing *w)
{
    bool thinks = w->q->reasoning.effort != EFFORT_UNSET || w->q->reasoning.budget > 0 || w->q->reasoning.on == YES;
    bool logprobs = w->q->logprobs.is == YES;

    if (!thinks && !logprobs)
        return;
    json_member_open(&w->o, STR("include"), '[');
    if (thinks)
        json_put_str(&w->o, STR("reasoning.encrypted_content"));
    if (logprobs)
        json_put_str(&w->o, STR("message.output_text.logprobs"));
    json_close(&w->o, ']');
}

static void drop_rest(struct openai_writing *w)
{
    const struct chat_request *q = w->q;
    const struct number *numbers[] = {
        &q->top_k, &q->min_p, &q->typical_p, &q->repetition_penalty, &q->presence_penalty, &q->frequency_penalty,
        &q->seed};
    const struct setting *settings[] = {&q->logit_bias, &q->modalities, &q->audio, &q->prediction, &q->suffix};

    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        openai_drop_number(w, numbers[i]);
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        openai_drop_setting(w, settings[i]);
    if (q->n.text.n && !str_eq(q->n.text, STR("1")))
        loss_drop(w->t->losses, q->n.from, "one choice only");
    if (!q->stop_count)
        return;
    loss_note(w->t->losses, LOSS_EMULATED, q->stops[0].from, "stop sequences are watched for by the gateway");
    w->call->emulate.stops = q->stops;
    w->call->emulate.stop_count = q->stop_count;
}

static void write_settings(struct openai_writing *w)
{
    const struct chat_request *q = w->q;
    struct setting tier = {openai_service_tier(w), q->service_tier.from};

    openai_member_number(w, "max_output_tokens", &q->max_output);
    openai_write_temperature(w);
    openai_member_number(w, "top_p", &q->top_p);
    openai_member_number(w, "top_logprobs", &q->top_logprobs);
    write_reasoning(w);
    write_text(w);
    write_tools(w);
    write_include(w);
    openai_member_text(w, "service_tier", &tier);
    openai_member_text(w, "safety_identifier", &q->user);
    openai_member_raw(w, "metadata", &q->metadata);
    openai_member_text(w, "prompt_cache_key", &q->cache_key);
    openai_member_text(w, "prompt_cache_retention", &q->cache_retention);
    if (q->store.is == UNSET && q->dialect != &dialect_responses)
        json_member_bool(&w->o, STR("store"), false);
    else
        openai_member_flag(w, "store", &q->store);
}

err_t responses_write_chat(struct translation *t, const struct chat_request *q, struct provider_call *ret)
{
    struct openai_writing w = {t, q, t->vendor, ret, json_out_to(ret->body)};

    ret->path = STR("/responses");
    ret->stream = q->stream;
    ret->framing = FRAMING_SSE;
    json_open(&w.o, '{');
    json_member_str(&w.o, STR("model"), t->model);
    openai_map_names(&w);
    write_input(&w);
    if (q->stream)
        json_member_bool(&w.o, STR("stream"), true);
    write_settings(&w);
    drop_rest(&w);
    openai_write_extras(&w, &dialect_responses);
    json_close(&w.o, '}');
    return buf_status(ret->body);
}
