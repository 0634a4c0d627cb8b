/*
 * openai_messages_write.c - the conversation as Chat Completions' messages.
 *
 * A turn becomes one message, but a tool's results become one "tool" message each, right behind the message with their calls, as every provider of
 * this API demands. Content of one plain text is a string, of several parts an array. Images in a tool's result have no place here: they
 * follow in a user message, and the result says so.
 *
 * Thoughts go back only to providers that take them; signed ones only as OpenRouter's reasoning_details, which names their maker. Everything that finds no
 * place is reported.
 */
#include "llm/openai_int.h"
#include "llm/turns.h"

/* What stands between the messages of a conversation being written. */
struct messages {
    struct openai_writing *w;
    bool after_tool; /* the last message was a tool's */
};

static void drop(struct openai_writing *w, const struct block *b, const char *why)
{
    loss_drop(w->t->losses, b->from, why);
}

static void open_message(struct messages *m, struct str role)
{
    struct json_out *o = &m->w->o;

    if (m->after_tool && (m->w->vendor->quirks & QUIRK_ORDER) && str_eq(role, STR("user"))) {
        loss_note(m->w->t->losses, LOSS_CHANGED, JSON_ABSENT,
                  "a short assistant message stands between a tool's result and the user's next");
        json_put_raw(o, STR("{\"role\":\"assistant\",\"content\":\"Understood.\"}"));
    }
    m->after_tool = str_eq(role, STR("tool"));
    json_open(o, '{');
    json_member_str(o, STR("role"), role);
}

static void write_name(struct openai_writing *w, const struct turn *t)
{
    if (!t->name.n)
        return;
    if ((w->vendor->quirks & QUIRK_STRICT) || !vendor_accepts(w->vendor, STR("name")))
        loss_drop(w->t->losses, json_node_get(t->from, STR("name")), "the provider takes no names of speakers");
    else
        json_member_str(&w->o, STR("name"), t->name);
}

/* --- parts --- */

struct str openai_media_url(const struct media *m, struct arena *arena)
{
    struct str type = m->type.n ? m->type : media_sniff(m->data);

    if (m->source == MEDIA_URL)
        return m->data;
    if (!type.n)
        type = STR("application/octet-stream");
    struct str head = arena_printf(arena, "data:%.*s;base64,", STR_ARG(type));
    return arena_join(arena, head, m->data);
}

static void open_part(struct openai_writing *w, const struct block *b, struct str type)
{
    json_open(&w->o, '{');
    json_member_str(&w->o, STR("type"), type);
    if (b->cache == CACHE_NONE)
        return;
    if (!(w->vendor->quirks & QUIRK_OPENROUTER)) {
        drop(w, b, "caching is up to the provider");
        return;
    }
    json_member_open(&w->o, STR("cache_control"), '{');
    json_member_str(&w->o, STR("type"), STR("ephemeral"));
    if (b->cache == CACHE_1H)
        json_member_str(&w->o, STR("ttl"), STR("1h"));
    json_close(&w->o, '}');
}

static void put_text_part(struct openai_writing *w, const struct block *b, struct str text)
{
    open_part(w, b, STR("text"));
    json_member_str(&w->o, STR("text"), text);
    json_close(&w->o, '}');
}

static void put_file(struct openai_writing *w, const struct block *b)
{
    struct json_out *o = &w->o;

    open_part(w, b, STR("file"));
    json_member_open(o, STR("file"), '{');
    if (b->media.source == MEDIA_FILE_ID) {
        json_member_str(o, STR("file_id"), b->media.data);
    } else {
        json_member_str(o, STR("filename"), b->media.name.n ? b->media.name : STR("file"));
        json_member_str(o, STR("file_data"), openai_media_url(&b->media, w->t->arena));
    }
    json_close(o, '}');
    json_close(o, '}');
}

static void put_image(struct openai_writing *w, const struct block *b)
{
    struct json_out *o = &w->o;

    if (b->media.source == MEDIA_FILE_ID) {
        put_file(w, b);
        return;
    }
    if (b->media.source == MEDIA_TEXT) {
        drop(w, b, "an image must be binary data or a URL");
        return;
    }
    open_part(w, b, STR("image_url"));
    json_member_open(o, STR("image_url"), '{');
    json_member_str(o, STR("url"), openai_media_url(&b->media, w->t->arena));
    if (b->media.detail.n)
        json_member_str(o, STR("detail"), b->media.detail);
    json_close(o, '}');
    json_close(o, '}');
}

/* {"type":"video_url","video_url":{"url":…}} of vLLM and others. */
static void put_url_part(struct openai_writing *w, const struct block *b, struct str type)
{
    if (!vendor_adds(w->vendor, type) || b->media.source == MEDIA_FILE_ID || b->media.source == MEDIA_TEXT) {
        drop(w, b, "the provider takes no such part");
        return;
    }
    open_part(w, b, type);
    json_member_open(&w->o, type, '{');
    json_member_str(&w->o, STR("url"), openai_media_url(&b->media, w->t->arena));
    json_close(&w->o, '}');
    json_close(&w->o, '}');
}

/* "audio/mpeg" -> "mp3"; else what is behind the slash. */
static struct str audio_format(struct str type)
{
    (void)str_cut(&type, '/');
    if (str_starts(type, STR("x-")))
        type = str_slice(type, 2, type.n);
    return str_eq(type, STR("mpeg")) ? STR("mp3") : type.n ? type : STR("wav");
}

static void put_audio(struct openai_writing *w, const struct block *b)
{
    struct json_out *o = &w->o;
    struct str type = b->media.type.n ? b->media.type : media_sniff(b->media.data);

    if (b->media.source != MEDIA_BASE64) {
        put_url_part(w, b, STR("audio_url"));
        return;
    }
    open_part(w, b, STR("input_audio"));
    if (w->vendor->quirks & QUIRK_MISTRAL_PARTS) {
        json_member_str(o, STR("input_audio"), b->media.data);
    } else {
        json_member_open(o, STR("input_audio"), '{');
        json_member_str(o, STR("data"), b->media.data);
        json_member_str(o, STR("format"), audio_format(type));
        json_close(o, '}');
    }
    json_close(o, '}');
}

static void put_document_url(struct openai_writing *w, const struct block *b)
{
    open_part(w, b, STR("document_url"));
    json_member_str(&w->o, STR("document_url"), openai_media_url(&b->media, w->t->arena));
    if (b->media.name.n)
        json_member_str(&w->o, STR("document_name"), b->media.name);
    json_close(&w->o, '}');
}

/* Plain text is said, with its title before it. */
static void put_text_document(struct openai_writing *w, const struct block *b)
{
    struct str text = b->media.data;

    if (b->media.name.n)
        text = arena_printf(w->t->arena, "%.*s\n\n%.*s", STR_ARG(b->media.name), STR_ARG(text));
    loss_note(w->t->losses, LOSS_EMULATED, b->from, "a document of text is sent as text");
    put_text_part(w, b, text);
}

static void put_document(struct openai_writing *w, const struct block *b)
{
    if (b->context.n || b->citations_on == YES)
        drop(w, b, "documents have no context and no citations here");
    if (b->media.source == MEDIA_TEXT)
        put_text_document(w, b);
    else if ((w->vendor->quirks & QUIRK_MISTRAL_PARTS) && b->media.source != MEDIA_FILE_ID)
        put_document_url(w, b);
    else if (b->media.source == MEDIA_URL)
        drop(w, b, "documents cannot be given by URL");
    else
        put_file(w, b);
}

static void put_refusal_part(struct openai_writing *w, const struct block *b)
{
    json_open(&w->o, '{');
    json_member_str(&w->o, STR("type"), STR("refusal"));
    json_member_str(&w->o, STR("refusal"), b->text);
    json_close(&w->o, '}');
}

/* Mistral's own form of a thought. */
static void put_thinking_part(struct openai_writing *w, const struct block *b)
{
    json_open(&w->o, '{');
    json_member_str(&w->o, STR("type"), STR("thinking"));
    json_member_open(&w->o, STR("thinking"), '[');
    put_text_part(w, &(struct block){.kind = BLOCK_TEXT}, b->text);
    json_close(&w->o, ']');
    json_close(&w->o, '}');
}

static void put_part(struct openai_writing *w, const struct block *b)
{
    switch (b->kind) {
    case BLOCK_TEXT:
        if (b->citations)
            drop(w, b, "texts of the history have no citations here");
        put_text_part(w, b, b->text);
        return;
    case BLOCK_IMAGE:
        put_image(w, b);
        return;
    case BLOCK_AUDIO:
        put_audio(w, b);
        return;
    case BLOCK_VIDEO:
        put_url_part(w, b, STR("video_url"));
        return;
    case BLOCK_DOCUMENT:
        put_document(w, b);
        return;
    case BLOCK_REFUSAL:
        put_refusal_part(w, b);
        return;
    case BLOCK_THINKING:
        put_thinking_part(w, b);
        return;
    case BLOCK_OPAQUE:
        if (b->of == &dialect_openai)
            json_put_raw(&w->o, b->text);
        else
            drop(w, b, "a part that only its own API knows");
        return;
    case BLOCK_TOOL_CALL:
    case BLOCK_TOOL_RESULT:
    case BLOCK_REDACTED:
        return;
    }
}

/* --- content --- */

/* Blocks that stand in a message's content; of others the message takes care. */
static bool is_content(const struct openai_writing *w, const struct block *b, bool assistant)
{
    switch (b->kind) {
    case BLOCK_TOOL_CALL:
    case BLOCK_TOOL_RESULT:
    case BLOCK_REDACTED:
        return false;
    case BLOCK_THINKING:
        return assistant && (w->vendor->quirks & QUIRK_MISTRAL_PARTS) && !b->signature.n;
    case BLOCK_AUDIO:
        return !assistant;
    case BLOCK_TEXT:
    case BLOCK_IMAGE:
    case BLOCK_VIDEO:
    case BLOCK_DOCUMENT:
    case BLOCK_REFUSAL:
    case BLOCK_OPAQUE:
        return true;
    }
    return false;
}

struct content_shape {
    size_t parts, texts, refusals;
    bool marked; /* a part has a mark that only the array form can carry */
};

static struct content_shape shape_of(const struct openai_writing *w, const struct block *blocks, bool assistant)
{
    struct content_shape s = {0};

    for (const struct block *b = blocks; b; b = b->next) {
        if (!is_content(w, b, assistant))
            continue;
        s.parts++;
        s.texts += b->kind == BLOCK_TEXT;
        s.refusals += b->kind == BLOCK_REFUSAL;
        s.marked = s.marked || b->cache != CACHE_NONE || b->citations;
    }
    return s;
}

static void note_marks(struct openai_writing *w, const struct block *blocks)
{
    for (const struct block *b = blocks; b; b = b->next) {
        if (b->kind == BLOCK_TEXT && b->cache != CACHE_NONE)
            drop(w, b, "caching is up to the provider");
        if (b->kind == BLOCK_TEXT && b->citations)
            drop(w, b, "texts of the history have no citations here");
    }
}

static void put_content(struct openai_writing *w, const struct block *blocks, bool assistant)
{
    struct content_shape s = shape_of(w, blocks, assistant);
    bool only_text = s.texts == s.parts;
    bool keep_marks = s.marked && (w->vendor->quirks & QUIRK_OPENROUTER);

    if (only_text && !keep_marks && (s.texts <= 1 || (w->vendor->quirks & QUIRK_PLAIN_TEXT))) {
        note_marks(w, blocks);
        json_put_str(&w->o, blocks_text(blocks, STR("\n"), w->t->arena));
        return;
    }
    json_open(&w->o, '[');
    for (const struct block *b = blocks; b; b = b->next)
        if (is_content(w, b, assistant))
            put_part(w, b);
    json_close(&w->o, ']');
}

/* --- results --- */

static bool is_media(const struct block *b)
{
    return b->kind == BLOCK_IMAGE || b->kind == BLOCK_AUDIO || b->kind == BLOCK_VIDEO || b->kind == BLOCK_DOCUMENT;
}

/* The texts of a result, and a word about what follows below. */
static struct block *result_texts(struct openai_writing *w, const struct block *result, bool *ret_media)
{
    struct block *texts = NULL, **at = &texts;

    *ret_media = false;
    for (const struct block *b = result->content; b; b = b->next) {
        *ret_media = *ret_media || is_media(b);
        if (b->kind != BLOCK_TEXT) {
            if (!is_media(b))
                drop(w, b, "a tool's result is text here");
            continue;
        }
        struct block *copy = chat_add_block(at, w->t->arena, BLOCK_TEXT, b->from);
        copy->text = b->text;
        copy->cache = b->cache;
        at = &copy->next;
    }
    if (*ret_media)
        chat_add_block(at, w->t->arena, BLOCK_TEXT, result->from)->text =
            STR("(what this tool returned besides text follows in the next message)");
    return texts;
}

static bool put_result(struct messages *m, const struct block *b)
{
    struct openai_writing *w = m->w;
    bool media;
    const struct block *texts = result_texts(w, b, &media);

    open_message(m, STR("tool"));
    json_member_str(&w->o, STR("tool_call_id"), tool_id_fit(w->vendor->tool_ids, b->id, w->t->arena));
    if (b->name.n && (w->vendor->quirks & QUIRK_MISTRAL_PARTS))
        json_member_str(&w->o, STR("name"), openai_tool_name(w, b->name));
    json_key(&w->o, STR("content"));
    put_content(w, texts, false);
    json_close(&w->o, '}');
    if (b->is_error)
        loss_note(w->t->losses, LOSS_CHANGED, b->from, "a failed call is only told by its text");
    if (b->cache != CACHE_NONE)
        drop(w, b, "caching is up to the provider");
    return media;
}

/* Images and files of all results, behind the last of them. */
static void put_media_of_results(struct messages *m, const struct turn *t)
{
    open_message(m, STR("user"));
    json_member_open(&m->w->o, STR("content"), '[');
    for (const struct block *r = t->blocks; r; r = r->next) {
        for (const struct block *b = r->kind == BLOCK_TOOL_RESULT ? r->content : NULL; b; b = b->next) {
            if (!is_media(b))
                continue;
            loss_note(m->w->t->losses, LOSS_EMULATED, b->from, "sent in a user message behind the tool's result");
            put_part(m->w, b);
        }
    }
    json_close(&m->w->o, ']');
    json_close(&m->w->o, '}');
}

/* --- user, system --- */

static void put_user(struct messages *m, const struct turn *t)
{
    struct openai_writing *w = m->w;
    bool media = false;

    for (const struct block *b = t->blocks; b; b = b->next)
        if (b->kind == BLOCK_TOOL_RESULT)
            media = put_result(m, b) || media;
    if (media)
        put_media_of_results(m, t);
    if (t->blocks && turn_has(t, BLOCK_TOOL_RESULT) && !shape_of(w, t->blocks, false).parts)
        return;
    open_message(m, STR("user"));
    json_key(&w->o, STR("content"));
    put_content(w, t->blocks, false);
    write_name(w, t);
    json_close(&w->o, '}');
}

static void put_system(struct messages *m, enum chat_role role, const struct block *blocks, const struct turn *t)
{
    bool developer = role == CHAT_DEVELOPER && !(m->w->vendor->quirks & QUIRK_NO_DEVELOPER);

    open_message(m, developer ? STR("developer") : STR("system"));
    json_key(&m->w->o, STR("content"));
    put_content(m->w, blocks, false);
    if (t)
        write_name(m->w, t);
    json_close(&m->w->o, '}');
}

/* --- assistant --- */

static void put_call(struct openai_writing *w, const struct block *b)
{
    struct json_out *o = &w->o;
    bool custom = b->custom && (w->vendor->quirks & QUIRK_FULL);
    struct str arguments = b->arguments;

    if (b->custom && !custom) {
        struct buf wrapped CLEANUP(buf_release) = BUF_INIT(arguments.n * 6 + 32);
        buf_add_lit(&wrapped, "{\"input\":\"");
        buf_add_json(&wrapped, arguments);
        buf_add_lit(&wrapped, "\"}");
        arguments = arena_str(w->t->arena, buf_str(&wrapped));
    }
    json_open(o, '{');
    json_member_str(o, STR("id"), tool_id_fit(w->vendor->tool_ids, b->id, w->t->arena));
    json_member_str(o, STR("type"), custom ? STR("custom") : STR("function"));
    json_member_open(o, custom ? STR("custom") : STR("function"), '{');
    json_member_str(o, STR("name"), openai_tool_name(w, b->name));
    json_member_str(o, custom ? STR("input") : STR("arguments"), custom || arguments.n ? arguments : STR("{}"));
    json_close(o, '}');
    json_close(o, '}');
    if (b->signature.n)
        drop(w, b, "a proof of origin that only its maker can check");
}

static void put_calls(struct openai_writing *w, const struct turn *t)
{
    if (!turn_has(t, BLOCK_TOOL_CALL))
        return;
    json_member_open(&w->o, STR("tool_calls"), '[');
    for (const struct block *b = t->blocks; b; b = b->next)
        if (b->kind == BLOCK_TOOL_CALL)
            put_call(w, b);
    json_close(&w->o, ']');
}

/* OpenRouter hands signed thoughts to the family that made them. */
static void put_details(struct openai_writing *w, const struct turn *t)
{
    struct json_out *o = &w->o;

    json_member_open(o, STR("reasoning_details"), '[');
    for (const struct block *b = t->blocks; b; b = b->next) {
        if (b->kind != BLOCK_THINKING && b->kind != BLOCK_REDACTED)
            continue;
        json_open(o, '{');
        if (b->kind == BLOCK_REDACTED) {
            json_member_str(o, STR("type"), STR("reasoning.encrypted"));
            json_member_str(o, STR("data"), b->text);
        } else {
            json_member_str(o, STR("type"), b->summary ? STR("reasoning.summary") : STR("reasoning.text"));
            json_member_str(o, b->summary ? STR("summary") : STR("text"), b->text);
        }
        if (b->signature.n)
            json_member_str(o, STR("signature"), b->signature);
        json_member_str(o, STR("format"), openai_format(b->signer));
        json_close(o, '}');
    }
    json_close(o, ']');
}

static const char *why_no_thought(const struct openai_writing *w, const struct block *b)
{
    if (b->kind == BLOCK_REDACTED || b->signature.n)
        return "made by another provider's model";
    if (!(w->vendor->quirks & (QUIRK_REASONING_FIELD | QUIRK_MISTRAL_PARTS)))
        return "the provider takes no thoughts back";
    return NULL;
}

static void put_thoughts(struct openai_writing *w, const struct turn *t)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(w->o.to->max);
    bool any = turn_has(t, BLOCK_THINKING) || turn_has(t, BLOCK_REDACTED);

    if (any && (w->vendor->quirks & QUIRK_OPENROUTER)) {
        put_details(w, t);
        return;
    }
    for (const struct block *b = t->blocks; b; b = b->next) {
        if (b->kind != BLOCK_THINKING && b->kind != BLOCK_REDACTED)
            continue;
        const char *why = why_no_thought(w, b);
        if (why)
            drop(w, b, why);
        else
            buf_add(&text, b->text);
    }
    if (text.n && (w->vendor->quirks & QUIRK_REASONING_FIELD))
        json_member_str(&w->o, str_from_c(w->vendor->reasoning_name), buf_str(&text));
}

static void put_audio_reference(struct openai_writing *w, const struct turn *t)
{
    for (const struct block *b = t->blocks; b; b = b->next) {
        if (b->kind != BLOCK_AUDIO)
            continue;
        if (b->media.source != MEDIA_FILE_ID) {
            drop(w, b, "speech of the assistant can only be named by its id");
            continue;
        }
        json_member_open(&w->o, STR("audio"), '{');
        json_member_str(&w->o, STR("id"), b->media.data);
        json_close(&w->o, '}');
    }
}

/* A refusal alone has a field of its own; beside other text it is a part. */
static void put_assistant_content(struct openai_writing *w, const struct turn *t)
{
    struct content_shape s = shape_of(w, t->blocks, true);

    json_key(&w->o, STR("content"));
    if (s.parts && !(s.refusals == 1 && s.parts == 1)) {
        put_content(w, t->blocks, true);
        return;
    }
    if (s.refusals || turn_has(t, BLOCK_TOOL_CALL) || turn_has(t, BLOCK_AUDIO))
        json_put_null(&w->o);
    else
        json_put_str(&w->o, STR_NONE);
    for (const struct block *b = t->blocks; b; b = b->next)
        if (b->kind == BLOCK_REFUSAL)
            json_member_str(&w->o, STR("refusal"), b->text);
}

static void put_assistant(struct messages *m, const struct turn *t, bool last)
{
    struct openai_writing *w = m->w;

    open_message(m, STR("assistant"));
    put_assistant_content(w, t);
    write_name(w, t);
    put_thoughts(w, t);
    put_audio_reference(w, t);
    put_calls(w, t);
    if (last && (w->vendor->quirks & QUIRK_PREFIX) && t->prefill != NO && !turn_has(t, BLOCK_TOOL_CALL))
        json_member_bool(&w->o, STR("prefix"), true);
    json_close(&w->o, '}');
}

/* --- the conversation --- */

static void put_turn(struct messages *m, const struct turn *t)
{
    switch (t->role) {
    case CHAT_SYSTEM:
    case CHAT_DEVELOPER:
        put_system(m, t->role, t->blocks, t);
        return;
    case CHAT_USER:
        put_user(m, t);
        return;
    case CHAT_ASSISTANT:
        put_assistant(m, t, !t->next);
        return;
    }
}

void openai_write_messages(struct openai_writing *w, struct str schema_instruction)
{
    struct messages m = {w, false};
    unsigned rules = TURNS_RESULTS_FIRST;
    struct block *system;
    struct turn *turns;

    if (w->vendor->quirks & QUIRK_ORDER)
        rules |= TURNS_SYSTEM_APART | TURNS_LATER_AS_USER;
    turns_arrange(w->q, rules, w->t->arena, w->t->losses, &system, &turns);
    json_open(&w->o, '[');
    if (schema_instruction.n)
        put_system(&m, CHAT_SYSTEM, &(struct block){.kind = BLOCK_TEXT, .text = schema_instruction}, NULL);
    if (system)
        put_system(&m, CHAT_SYSTEM, system, NULL);
    for (const struct turn *t = turns; t; t = t->next)
        put_turn(&m, t);
    json_close(&w->o, ']');
}
