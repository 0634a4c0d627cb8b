/*
 * needs.c - a look at a request's body: which abilities it asks for, and how many tokens it has.
 *
 * The members of the top level say nearly all of it, under few names whatever the dialect: tools are `tools`, `functions` or `toolConfig`. One table
 * lists the names of all dialects; each name means the same in all that have it. Of what is said in the conversation, strings are counted and keys
 * compared, without building anything. A key such as "image_url" is a hint only: it may be an argument of a tool. Then the client's reader, the
 * same that translations use, tells for sure; that is rare, and such bodies are large anyway.
 *
 * Invariant: a bit is set only if the request asks for it. What is missed costs an error of the provider, which falls over; what is wrongly seen would
 * refuse a request that works.
 *
 * Does not look at forms, nor at what passes through.
 */
#include "gateway/needs.h"

#include "gateway/exchange.h"
#include "llm/estimate.h"

enum { TURN_TOKENS = 4 }; /* as estimate_tokens() counts them */

/* ---- the conversation ---- */

/* Keys, or their beginnings, that only parts other than text have, in any dialect. */
static const struct str media_keys[] = {STR_INIT("image"),  STR_INIT("input_audio"), STR_INIT("audio"),
                                        STR_INIT("video"),  STR_INIT("file"),        STR_INIT("source"),
                                        STR_INIT("inline"), STR_INIT("media"),       STR_INIT("document")};

static bool is_media_key(struct str key)
{
    for (size_t i = 0; i < ARRAY_LEN(media_keys); i++)
        if (str_starts(key, media_keys[i]))
            return true;
    return false;
}

static void look_at_key(struct str key, struct needs *n)
{
    if (str_eq(key, STR("role")))
        n->input += TURN_TOKENS;
    else if (!n->maybe_media && is_media_key(key))
        n->maybe_media = true;
}

/* All strings in the value at *at, however deep; *at moves behind it. */
static void look_at_text(struct str body, size_t *at, struct needs *n)
{
    struct json_strings w = {.at = *at};
    struct str text;
    bool is_key;

    while (json_next_string(body, &w, &text, &is_key)) {
        if (is_key)
            look_at_key(text, n);
        else
            n->input += estimate_text(text);
    }
    *at = w.at;
}

/* A completion's prompt, or several of them. */
static void look_at_prompt(struct str value, struct needs *n)
{
    size_t at = 0;

    n->several = json_kind_of(value) == JSON_ARRAY;
    look_at_text(value, &at, n);
}

/* ---- settings ---- */

static bool is_something(struct str value)
{
    size_t at = 0;
    struct str key, member;

    if (json_kind_of(value) == JSON_ARRAY)
        return json_next_element(value, &at).n > 0;
    return json_kind_of(value) == JSON_OBJECT && json_next_member(value, &at, &key, &member);
}

static bool is_object(struct str value)
{
    return json_kind_of(value) == JSON_OBJECT;
}

static void look_at_tools(struct str value, struct needs *n)
{
    if (!is_something(value))
        return;
    n->bits |= NEED_TOOLS;
    n->input += estimate_text(value);
}

/* A limit: the smallest of several counts. */
static void look_at_limit(struct str value, struct needs *n)
{
    uint64_t limit;

    if (json_to_u64(value, &limit) && limit && (!n->output || limit < n->output))
        n->output = limit;
}

/* {"type": "json_schema", …}, or with the schema itself (Cohere). */
static void look_at_format(struct str value, struct needs *n)
{
    if (json_string_is(json_find(value, STR("type")), STR("json_schema")) ||
        is_object(json_find(value, STR("schema"))) || is_object(json_find(value, STR("json_schema"))))
        n->bits |= NEED_JSON;
}

/* The Responses API's "text", Anthropic's "output_config": the format is a member. */
static void look_at_output(struct str value, struct needs *n)
{
    look_at_format(json_find(value, STR("format")), n);
    struct str effort = json_find(value, STR("effort"));
    if (json_kind_of(effort) == JSON_STRING)
        n->bits |= NEED_REASONING;
}

/* Ollama: the schema itself, or "json". */
static void look_at_schema(struct str value, struct needs *n)
{
    if (is_something(value) && is_object(value))
        n->bits |= NEED_JSON;
}

static void look_at_effort(struct str value, struct needs *n)
{
    if (json_kind_of(value) == JSON_STRING && !json_string_is(value, STR("none")))
        n->bits |= NEED_REASONING;
}

static void look_at_reasoning(struct str value, struct needs *n)
{
    look_at_effort(json_find(value, STR("effort")), n);
}

/* Anthropic, Cohere: {"type": "enabled"}; Ollama: true, or an effort. */
static void look_at_thinking(struct str value, struct needs *n)
{
    struct str type = json_find(value, STR("type"));
    bool on =
        str_eq(value, STR("true")) || json_string_is(type, STR("enabled")) || json_string_is(type, STR("adaptive"));

    if (on)
        n->bits |= NEED_REASONING;
    look_at_effort(value, n);
}

static void look_at_modalities(struct str value, struct needs *n)
{
    struct str element;

    for (size_t at = 0; (element = json_next_element(value, &at)).n;) {
        if (json_string_is(element, STR("audio")) || json_string_is(element, STR("AUDIO")))
            n->bits |= NEED_AUDIO_OUTPUT;
        if (json_string_is(element, STR("image")) || json_string_is(element, STR("IMAGE")))
            n->bits |= NEED_IMAGE_OUTPUT;
    }
}

/* Gemini's thinkingConfig: a budget of 0 turns it off. */
static void look_at_thinking_config(struct str value, struct needs *n)
{
    int64_t budget = 0;
    struct str text = json_find(value, STR("thinkingBudget"));

    if (json_find(value, STR("thinkingLevel")).n || (text.n && (!json_to_i64(text, &budget) || budget != 0)))
        n->bits |= NEED_REASONING;
}

static void look_at_metadata(struct str value, struct needs *n)
{
    if (!is_object(value))
        return;
    n->metadata = value;
    if (!n->user.n)
        n->user = json_find(value, STR("user_id"));
}

static void look_at_user(struct str value, struct needs *n)
{
    n->user = value;
}

typedef void look_fn(struct str value, struct needs *n);

struct look {
    struct str key;
    look_fn *look; /* NULL: what is said, whose strings are counted */
};

/* Members of objects that hold settings: Gemini's generationConfig, Bedrock's inferenceConfig, Ollama's options, TGI's parameters. */
static const struct look settings[] = {{STR_INIT("maxOutputTokens"), look_at_limit},
                                       {STR_INIT("maxTokens"), look_at_limit},
                                       {STR_INIT("num_predict"), look_at_limit},
                                       {STR_INIT("max_new_tokens"), look_at_limit},
                                       {STR_INIT("responseSchema"), look_at_schema},
                                       {STR_INIT("responseJsonSchema"), look_at_schema},
                                       {STR_INIT("responseModalities"), look_at_modalities},
                                       {STR_INIT("thinkingConfig"), look_at_thinking_config},
                                       {STR_INIT("grammar"), look_at_schema}};

static const struct look *look_up(const struct look *table, size_t count, struct str key)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(table[i].key, key))
            return &table[i];
    return NULL;
}

static void look_at_settings(struct str value, struct needs *n)
{
    struct str key, member;

    for (size_t at = 0; json_next_member(value, &at, &key, &member);) {
        const struct look *l = look_up(settings, ARRAY_LEN(settings), key);
        if (l)
            l->look(member, n);
    }
}

/* Those that most requests have stand first. */
static const struct look members[] = {{STR_INIT("messages"), NULL},
                                      {STR_INIT("max_tokens"), look_at_limit},
                                      {STR_INIT("tools"), look_at_tools},
                                      {STR_INIT("input"), NULL},
                                      {STR_INIT("system"), NULL},
                                      {STR_INIT("contents"), NULL},
                                      {STR_INIT("instructions"), NULL},
                                      {STR_INIT("prompt"), look_at_prompt},
                                      {STR_INIT("inputs"), NULL},
                                      {STR_INIT("message"), NULL},
                                      {STR_INIT("chat_history"), NULL},
                                      {STR_INIT("preamble"), NULL},
                                      {STR_INIT("images"), NULL},
                                      {STR_INIT("suffix"), NULL},
                                      {STR_INIT("systemInstruction"), NULL},
                                      {STR_INIT("system_instruction"), NULL},
                                      {STR_INIT("max_completion_tokens"), look_at_limit},
                                      {STR_INIT("max_output_tokens"), look_at_limit},
                                      {STR_INIT("max_tokens_to_sample"), look_at_limit},
                                      {STR_INIT("functions"), look_at_tools},
                                      {STR_INIT("toolConfig"), look_at_tools},
                                      {STR_INIT("response_format"), look_at_format},
                                      {STR_INIT("output_format"), look_at_format},
                                      {STR_INIT("output_config"), look_at_output},
                                      {STR_INIT("text"), look_at_output},
                                      {STR_INIT("format"), look_at_schema},
                                      {STR_INIT("reasoning_effort"), look_at_effort},
                                      {STR_INIT("reasoning"), look_at_reasoning},
                                      {STR_INIT("thinking"), look_at_thinking},
                                      {STR_INIT("think"), look_at_thinking},
                                      {STR_INIT("modalities"), look_at_modalities},
                                      {STR_INIT("generationConfig"), look_at_settings},
                                      {STR_INIT("generation_config"), look_at_settings},
                                      {STR_INIT("inferenceConfig"), look_at_settings},
                                      {STR_INIT("options"), look_at_settings},
                                      {STR_INIT("parameters"), look_at_settings},
                                      {STR_INIT("metadata"), look_at_metadata},
                                      {STR_INIT("user"), look_at_user}};

/* The member whose value is at *at, which moves behind it. */
static void look_at_member(struct str key, struct str body, size_t *at, struct needs *n)
{
    const struct look *l = look_up(members, ARRAY_LEN(members), key);

    if (l && !l->look) {
        look_at_text(body, at, n);
        return;
    }
    struct str value = json_take_value(body, at);
    if (l)
        l->look(value, n);
}

void needs_look(struct str body, struct needs *ret)
{
    struct str key;

    *ret = (struct needs){.bits = 0};
    if (json_kind_of(body) != JSON_OBJECT)
        return;
    for (size_t at = 0; json_next_key(body, &at, &key);)
        look_at_member(key, body, &at, ret);
    if (ret->user.n && json_kind_of(ret->user) != JSON_STRING)
        ret->user = STR_NONE;
}

/* ---- in full ---- */

static uint32_t needs_of_block(const struct block *b)
{
    switch (b->kind) {
    case BLOCK_IMAGE:
        return NEED_VISION;
    case BLOCK_AUDIO:
        return NEED_AUDIO;
    case BLOCK_VIDEO:
        return NEED_VIDEO;
    case BLOCK_DOCUMENT: /* a text is put into the prompt by any provider's writer */
        return b->media.source == MEDIA_TEXT ? 0 : NEED_FILES;
    case BLOCK_TEXT:
    case BLOCK_TOOL_CALL:
    case BLOCK_TOOL_RESULT:
    case BLOCK_THINKING:
    case BLOCK_REDACTED:
    case BLOCK_REFUSAL:
    case BLOCK_OPAQUE:
        break;
    }
    return 0;
}

static uint32_t needs_of_turn(const struct turn *t)
{
    uint32_t bits = 0;

    for (const struct block *b = t->blocks; b; b = b->next) {
        bits |= needs_of_block(b);
        for (const struct block *inner = b->content; inner; inner = inner->next)
            bits |= needs_of_block(inner);
    }
    return bits;
}

/* The client's reader knows what is a picture. A body that it cannot read is the provider's to judge. */
static void read_in_full(struct exchange *x, struct needs *n)
{
    const struct chat_request *q = translation_chat(x);

    if (!q)
        return;
    for (const struct turn *t = q->turns; t; t = t->next)
        n->bits |= needs_of_turn(t);
    n->input = estimate_tokens(q);
}

const struct needs *needs_of(struct exchange *x)
{
    if (x->needs)
        return x->needs;
    bool is_chat = x->endpoint.kind == ENDPOINT_OPERATION && x->endpoint.row->operation == OP_CHAT;
    struct needs *n = arena_new(x->r->arena, struct needs);
    needs_look(x->request.doc, n);
    if (is_chat && n->maybe_media)
        read_in_full(x, n);
    if (is_chat && x->stream)
        n->bits |= NEED_STREAM;
    if (!is_chat) { /* abilities are those of chat */
        n->bits = 0;
        n->several = true;
    }
    x->needs = n;
    return n;
}
