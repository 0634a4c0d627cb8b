/*
 * responses_request_read.c - a Responses request as the canonical one, and conversations that are continued by id.
 *
 * Items become turns: what a model said in one go (thoughts, texts, calls in a row) is one assistant turn, so that a target which wants calls and
 * text in one message gets it so. A call is paired by its call_id, never by the item's id. Items without a canonical form (hosted tools, compaction) are
 * kept raw for providers of this very API.
 *
 * Not here: looking up what an id stands for. A request that names a former response or item must have had it put in its place before it is
 * translated (responses_conversation()); else it is refused, for to answer without the history would be wrong.
 *
 * Wire format: OpenAI's published API description, November 2026.
 */
#include "llm/openai_int.h"
#include "llm/responses.h"
#include "llm/signature.h"

/* A thought that its maker has encrypted, as opposed to one whose words are merely not told: marked inside the wrapping. */
#define REDACTED STR("redacted.")

static err_t skip(struct openai_reading *r, struct json_node v)
{
    (void)r;
    (void)v;
    return OK;
}

/* --- items --- */

static struct turn *last_turn(const struct openai_reading *r)
{
    struct turn *t = r->q->last_turn;

    return t && t->role == CHAT_ASSISTANT ? t : NULL;
}

/* The assistant turn that is being said, or a new one. */
static struct block *add_said(struct openai_reading *r, enum block_kind kind, struct json_node item)
{
    struct turn *t = last_turn(r);

    if (!t)
        t = chat_add_turn(r->q, r->arena, CHAT_ASSISTANT, item);
    return chat_add_block(&t->blocks, r->arena, kind, item);
}

static err_t read_message(struct openai_reading *r, struct json_node item)
{
    static const struct {
        struct str name;
        enum chat_role role;
    } roles[] = {{STR_INIT("user"), CHAT_USER},
                 {STR_INIT("assistant"), CHAT_ASSISTANT},
                 {STR_INIT("system"), CHAT_SYSTEM},
                 {STR_INIT("developer"), CHAT_DEVELOPER}};
    struct json_node role = json_node_get(item, STR("role"));

    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        if (!json_node_text_is(role, roles[i].name))
            continue;
        struct turn *t = roles[i].role == CHAT_ASSISTANT ? last_turn(r) : NULL;
        if (!t)
            t = chat_add_turn(r->q, r->arena, roles[i].role, item);
        openai_note_unknown(r, item, "type role content id status phase");
        return openai_read_content(r, json_node_get(item, STR("content")), &t->blocks);
    }
    return openai_refuse(r, item, "'role' must be user, assistant, system or developer");
}

static err_t read_call(struct openai_reading *r, struct json_node item)
{
    bool custom = json_node_text_is(json_node_get(item, STR("type")), STR("custom_tool_call"));
    struct block *b = add_said(r, BLOCK_TOOL_CALL, item);

    b->id = json_get_text(item, STR("call_id"), r->arena);
    b->name = json_get_text(item, STR("name"), r->arena);
    b->custom = custom;
    b->arguments = json_get_text(item, custom ? STR("input") : STR("arguments"), r->arena);
    if (!b->id.n || !b->name.n)
        return openai_refuse(r, item, "a call needs 'call_id' and 'name'");
    openai_note_unknown(r, item, "type id call_id name arguments input status");
    openai_note_call(r, b);
    return OK;
}

static err_t read_result(struct openai_reading *r, struct json_node item)
{
    struct turn *t = chat_add_turn(r->q, r->arena, CHAT_USER, item);
    struct block *b = chat_add_block(&t->blocks, r->arena, BLOCK_TOOL_RESULT, item);

    b->id = json_get_text(item, STR("call_id"), r->arena);
    if (!b->id.n)
        return openai_refuse(r, item, "a call's output needs the 'call_id' of its call");
    b->name = openai_called_name(r, b->id);
    openai_note_unknown(r, item, "type id call_id output status");
    return openai_read_content(r, json_node_get(item, STR("output")), &b->content);
}

/* The texts of a list of {"type","text"}, one paragraph each. */
static struct str texts_of(struct openai_reading *r, struct json_node list)
{
    struct block *texts = NULL, **at = &texts;

    JSON_EACH(w, list) {
        chat_add_block(at, r->arena, BLOCK_TEXT, w.value)->text = json_get_text(w.value, STR("text"), r->arena);
        at = &(*at)->next;
    }
    return blocks_text(texts, STR("\n\n"), r->arena);
}

static err_t read_reasoning_item(struct openai_reading *r, struct json_node item)
{
    struct str words = texts_of(r, json_node_get(item, STR("content")));
    struct str summary = texts_of(r, json_node_get(item, STR("summary")));
    enum signer signer;
    struct str blob = signature_unwrap(json_get_text(item, STR("encrypted_content"), r->arena), SIGNER_OPENAI, &signer);
    bool redacted = signer == SIGNER_OPENAI ? !words.n && !summary.n : str_starts(blob, REDACTED);

    openai_note_unknown(r, item, "type id summary content encrypted_content status");
    if (!blob.n && !words.n && !summary.n)
        return OK; /* nothing but an id, whose thought is with its maker */
    struct block *b = add_said(r, redacted ? BLOCK_REDACTED : BLOCK_THINKING, item);
    b->id = json_get_text(item, STR("id"), r->arena);
    if (redacted) {
        b->text = str_starts(blob, REDACTED) ? str_slice(blob, REDACTED.n, blob.n) : blob;
        b->signer = signer;
        return OK;
    }
    b->text = words.n ? words : summary;
    b->summary = !words.n && summary.n;
    if (blob.n) {
        b->signature = blob;
        b->signer = signer;
    }
    return OK;
}

static err_t refuse_reference(struct openai_reading *r, struct json_node item)
{
    return openai_refuse(r, item, "the item that this refers to is not known; send the item itself");
}

static const struct {
    struct str type;
    err_t (*read)(struct openai_reading *r, struct json_node item);
} item_kinds[] = {
    {STR_INIT("message"), read_message},
    {STR_INIT("function_call"), read_call},
    {STR_INIT("function_call_output"), read_result},
    {STR_INIT("custom_tool_call"), read_call},
    {STR_INIT("custom_tool_call_output"), read_result},
    {STR_INIT("reasoning"), read_reasoning_item},
    {STR_INIT("item_reference"), refuse_reference},
};

/* Items that only this API knows: what a hosted tool did, or what a client answered to it. */
static void keep_item(struct openai_reading *r, struct json_node item)
{
    struct str type = json_get_text(item, STR("type"), r->arena);
    bool of_client = str_ends(type, STR("_output")) || str_ends(type, STR("_response"));
    struct block *b;

    if (of_client)
        b = chat_add_block(&chat_add_turn(r->q, r->arena, CHAT_USER, item)->blocks, r->arena, BLOCK_OPAQUE, item);
    else
        b = add_said(r, BLOCK_OPAQUE, item);
    b->text = json_node_raw(item);
    b->of = r->q->dialect;
}

static err_t read_item(struct openai_reading *r, struct json_node item)
{
    struct json_node type = json_node_get(item, STR("type"));

    if (!json_node_is(item, JSON_OBJECT))
        return openai_refuse(r, item, "each item of 'input' must be an object");
    if (json_is_absent(type))
        return read_message(r, item);
    for (size_t i = 0; i < ARRAY_LEN(item_kinds); i++)
        if (json_node_text_is(type, item_kinds[i].type))
            return item_kinds[i].read(r, item);
    keep_item(r, item);
    return OK;
}

static err_t read_input(struct openai_reading *r, struct json_node v)
{
    if (json_node_is(v, JSON_STRING)) {
        struct turn *t = chat_add_turn(r->q, r->arena, CHAT_USER, v);
        return openai_read_content(r, v, &t->blocks);
    }
    if (!json_node_is(v, JSON_ARRAY))
        return openai_refuse(r, v, "'input' must be a string or an array of items");
    JSON_EACH(w, v)
        TRY(read_item(r, w.value));
    return OK;
}

/* Instructions go before everything, wherever the member stands. */
static void read_instructions(struct openai_reading *r, struct json_node v)
{
    if (!json_node_is(v, JSON_STRING))
        return;
    struct turn *t = chat_add_turn(r->q, r->arena, CHAT_SYSTEM, v);
    chat_add_block(&t->blocks, r->arena, BLOCK_TEXT, v)->text = json_node_text(v, r->arena);
}

/* --- settings --- */

static err_t read_text(struct openai_reading *r, struct json_node v)
{
    struct json_node format = json_node_get(v, STR("format")), type = json_node_get(format, STR("type"));

    chat_read_setting(&r->q->verbosity, json_node_get(v, STR("verbosity")), r->arena);
    openai_note_unknown(r, v, "format verbosity");
    if (!json_node_is_set(format))
        return OK;
    r->q->format.from = format;
    if (json_node_text_is(type, STR("json_schema")))
        openai_read_schema(r, format);
    else if (json_node_text_is(type, STR("json_object")))
        r->q->format.kind = FORMAT_JSON;
    else if (json_node_text_is(type, STR("text")))
        r->q->format.kind = FORMAT_TEXT;
    else
        return openai_refuse(r, format, "'text.format.type' must be text, json_object or json_schema");
    return OK;
}

/* Unless said otherwise a function is strict, if its schema can be: closed, as strict ones must be. */
static enum truth strictness(struct json_node tool)
{
    struct json_node open = json_node_get(json_node_get(tool, STR("parameters")), STR("additionalProperties"));
    bool truth;

    if (json_node_bool(json_node_get(tool, STR("strict")), &truth))
        return truth ? YES : NO;
    return json_node_bool(open, &truth) && !truth ? YES : UNSET;
}

static err_t read_tool(struct openai_reading *r, struct json_node v)
{
    struct json_node type = json_node_get(v, STR("type")), parameters = json_node_get(v, STR("parameters"));
    struct json_node format = json_node_get(v, STR("format"));
    bool function = json_node_text_is(type, STR("function")), custom = json_node_text_is(type, STR("custom"));

    if (!json_node_is(v, JSON_OBJECT))
        return openai_refuse(r, v, "each of 'tools' must be an object");
    struct tool *to = chat_add_tool(r->q, r->arena, function ? TOOL_FUNCTION : custom ? TOOL_CUSTOM : TOOL_HOSTED, v);
    if (to->kind == TOOL_HOSTED) {
        openai_read_hosted(r, to, v);
        return OK;
    }
    to->name = json_get_text(v, STR("name"), r->arena);
    if (!to->name.n)
        return openai_refuse(r, v, "a tool of this type needs a 'name'");
    to->description = json_get_text(v, STR("description"), r->arena);
    to->parameters = function && json_node_is_set(parameters) ? json_node_raw(parameters) : STR_NONE;
    to->format = custom && json_node_is_set(format) ? json_node_raw(format) : STR_NONE;
    to->strict = function ? strictness(v) : UNSET;
    openai_note_unknown(r, v, "type name description parameters strict format");
    return OK;
}

static err_t read_tools(struct openai_reading *r, struct json_node v)
{
    return openai_read_each(r, v, "tools", read_tool);
}

/* Encrypted thoughts are always told; other additions are OpenAI's own. */
static err_t read_include(struct openai_reading *r, struct json_node v)
{
    JSON_EACH(w, v) {
        if (json_node_text_is(w.value, STR("message.output_text.logprobs")))
            r->q->logprobs = (struct flag){YES, w.value};
        else if (!json_node_text_is(w.value, STR("reasoning.encrypted_content")))
            chat_add_extra(r->q, r->arena, w.value, w.value, true);
    }
    return OK;
}

static err_t refuse_history(struct openai_reading *r, struct json_node v)
{
    return openai_refuse(r, v, "what this names is not known here; send the whole conversation as 'input'");
}

static err_t refuse_conversation(struct openai_reading *r, struct json_node v)
{
    return openai_refuse(r, v,
                         "conversations are kept by OpenAI alone, and this model is another provider's; send the whole "
                         "conversation as 'input'");
}

static err_t refuse_prompt(struct openai_reading *r, struct json_node v)
{
    return openai_refuse(
        r, v,
        "prompt templates are kept by OpenAI alone, and this model is another provider's; send its text as "
        "'instructions' and 'input'");
}

/* Who asks for the background wants to come back for the answer, which nobody keeps: the client waits for it instead, and is told so. */
static err_t read_background(struct openai_reading *r, struct json_node v)
{
    bool on;

    if (json_node_bool(v, &on) && on)
        chat_add_extra(r->q, r->arena, JSON_ABSENT, v, true);
    return OK;
}

#define AT(member) offsetof(struct chat_request, member)

static const struct openai_member members[] = {
    {STR_INIT("model"), OPENAI_READ, 0, skip},
    {STR_INIT("instructions"), OPENAI_READ, 0, skip},
    {STR_INIT("input"), OPENAI_READ, 0, read_input},
    {STR_INIT("previous_response_id"), OPENAI_READ, 0, refuse_history},
    {STR_INIT("conversation"), OPENAI_READ, 0, refuse_conversation},
    {STR_INIT("prompt"), OPENAI_READ, 0, refuse_prompt},
    {STR_INIT("background"), OPENAI_READ, 0, read_background},
    {STR_INIT("stream"), OPENAI_READ, 0, openai_read_stream},
    {STR_INIT("stream_options"), OPENAI_READ, 0, openai_read_stream_options},
    {STR_INIT("max_output_tokens"), OPENAI_READ, 0, openai_read_max_output},
    {STR_INIT("temperature"), OPENAI_NUMBER, AT(temperature), NULL},
    {STR_INIT("top_p"), OPENAI_NUMBER, AT(top_p), NULL},
    {STR_INIT("top_logprobs"), OPENAI_NUMBER, AT(top_logprobs), NULL},
    {STR_INIT("stop"), OPENAI_READ, 0, openai_read_stop}, /* not OpenAI's own, but of others who speak this API */
    {STR_INIT("include"), OPENAI_READ, 0, read_include},
    {STR_INIT("reasoning"), OPENAI_READ, 0, openai_read_reasoning},
    {STR_INIT("text"), OPENAI_READ, 0, read_text},
    {STR_INIT("tools"), OPENAI_READ, 0, read_tools},
    {STR_INIT("tool_choice"), OPENAI_READ, 0, openai_read_tool_choice},
    {STR_INIT("parallel_tool_calls"), OPENAI_FLAG, AT(parallel_tools), NULL},
    {STR_INIT("service_tier"), OPENAI_TEXT, AT(service_tier), NULL},
    {STR_INIT("user"), OPENAI_READ, 0, openai_read_user},
    {STR_INIT("safety_identifier"), OPENAI_READ, 0, openai_read_safety_identifier},
    {STR_INIT("metadata"), OPENAI_RAW, AT(metadata), NULL},
    {STR_INIT("store"), OPENAI_FLAG, AT(store), NULL},
    {STR_INIT("prompt_cache_key"), OPENAI_TEXT, AT(cache_key), NULL},
    {STR_INIT("prompt_cache_retention"), OPENAI_TEXT, AT(cache_retention), NULL},
};

err_t responses_read_chat(struct translation *t, const struct json_tree *doc, struct chat_request *ret,
                          struct str *ret_param)
{
    struct openai_reading r CLEANUP(openai_reading_release);
    struct json_node root = json_tree_root(doc);

    openai_reading_init(&r, t, doc, ret, ret_param);
    ret->include_usage = true;
    read_instructions(&r, json_node_get(root, STR("instructions")));
    TRY(openai_read_members(&r, members, ARRAY_LEN(members)));
    TRY(openai_read_model(&r));
    if (json_node_is_set(json_node_get(root, STR("input"))))
        return OK;
    *ret_param = STR("input");
    return fail(E_PARSE, "'input' is missing: give a string or an array of items");
}

/* --- conversations --- */

static void put_items(struct json_out *o, struct json_node items)
{
    if (json_node_is(items, JSON_STRING)) {
        json_open(o, '{');
        json_member_str(o, STR("type"), STR("message"));
        json_member_str(o, STR("role"), STR("user"));
        json_member_raw(o, STR("content"), json_node_raw(items));
        json_close(o, '}');
    }
    if (json_node_is(items, JSON_ARRAY))
        JSON_EACH(w, items)
            json_put_raw(o, json_node_raw(w.value));
}

static err_t joined(struct arena *arena, struct str before, struct json_node then, struct buf *to)
{
    struct json_out o = json_out_to(to);
    const struct json_tree *tree = NULL;

    if (before.n)
        TRY(json_tree_parse(arena, before, &tree));
    json_open(&o, '[');
    if (tree)
        put_items(&o, json_tree_root(tree));
    put_items(&o, then);
    json_close(&o, ']');
    return buf_status(to);
}

err_t responses_conversation(struct arena *arena, struct str stored, struct json_node input, struct buf *to)
{
    return joined(arena, stored, input, to);
}

err_t responses_items_to_store(struct arena *arena, struct json_node input, struct str response, struct buf *to)
{
    struct buf items CLEANUP(buf_release) = BUF_INIT(to->max);
    const struct json_tree *tree;

    TRY(json_tree_parse(arena, response, &tree));
    TRY(joined(arena, STR_NONE, input, &items));
    return joined(arena, arena_str(arena, buf_str(&items)), json_node_get(json_tree_root(tree), STR("output")), to);
}

/* --- listing --- */

static struct str made_id(struct arena *arena, struct str type, struct str response, size_t index)
{
    struct str prefix = str_eq(type, STR("message"))                ? STR("msg")
                        : str_eq(type, STR("function_call"))        ? STR("fc")
                        : str_eq(type, STR("function_call_output")) ? STR("fco")
                                                                    : STR("item");

    return arena_printf(arena, "%.*s_%.*s_%zu", STR_ARG(prefix), STR_ARG(response), index);
}

static bool has_status(struct str type)
{
    return str_eq(type, STR("message")) || str_starts(type, STR("function_call"));
}

static void put_text_as_part(struct json_out *o, struct json_node text, bool said)
{
    json_member_open(o, STR("content"), '[');
    json_open(o, '{');
    json_member_str(o, STR("type"), said ? STR("output_text") : STR("input_text"));
    json_member_raw(o, STR("text"), json_node_raw(text));
    if (said)
        json_member_raw(o, STR("annotations"), STR("[]"));
    json_close(o, '}');
    json_close(o, ']');
}

static void put_listed(struct json_out *o, struct arena *arena, struct json_node item, struct str response,
                       size_t index)
{
    struct json_node content = json_node_get(item, STR("content"));
    struct str type = json_get_text(item, STR("type"), arena);

    type = type.n ? type : STR("message");
    json_open(o, '{');
    json_member_str(o, STR("type"), type);
    if (!json_node_is_set(json_node_get(item, STR("id"))))
        json_member_str(o, STR("id"), made_id(arena, type, response, index));
    if (has_status(type) && !json_node_is_set(json_node_get(item, STR("status"))))
        json_member_str(o, STR("status"), STR("completed"));
    if (json_node_is(content, JSON_STRING))
        put_text_as_part(o, content, json_node_text_is(json_node_get(item, STR("role")), STR("assistant")));
    JSON_EACH(w, item) {
        bool done = json_walk_key_is(&w, STR("type")) || !json_node_is_set(w.value) ||
                    (json_walk_key_is(&w, STR("content")) && json_node_is(content, JSON_STRING));
        if (done)
            continue;
        struct str quoted = json_node_raw(w.key);
        json_key_raw(o, str_slice(quoted, 1, quoted.n - 1));
        json_put_raw(o, json_node_raw(w.value));
    }
    json_close(o, '}');
}

err_t responses_list_items(struct arena *arena, struct json_node items, struct str response, struct buf *to)
{
    struct json_out o = json_out_to(to);
    size_t index = 0;

    json_open(&o, '[');
    JSON_EACH(w, items)
        put_listed(&o, arena, w.value, response, index++);
    json_close(&o, ']');
    return buf_status(to);
}
