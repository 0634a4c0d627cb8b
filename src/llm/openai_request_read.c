/*
 * openai_request_read.c - a Chat Completions request as the canonical one.
 *
 * Tables say what becomes of each top-level member; what they do not know becomes an extra, and what is unknown further down is noted so that
 * it is reported. Read is the union of what OpenAI, Azure and the look-alikes (Mistral, vLLM, OpenRouter, DeepSeek) take, so that a client of
 * any of them is understood. What must have a type and has another is refused with its place.
 *
 * Messages become turns one to one: a tool's result is a user turn of its own, thoughts of an assistant message come before its text, and its
 * calls last, wherever the members stood. Calls in the old form (functions, function_call) get ids made from their place.
 *
 * Wire format: OpenAI's published API description, November 2026.
 */
#include "llm/openai_int.h"
#include "llm/signature.h"

/* --- common to the family --- */

void openai_reading_init(struct openai_reading *r, struct translation *t, const struct json_tree *doc,
                         struct chat_request *ret, struct str *ret_param)
{
    *r = (struct openai_reading){.t = t, .arena = t->arena, .q = ret, .ret_param = ret_param};
    *ret = (struct chat_request){.dialect = t->client, .document = doc, .reasoning.budget = -1};
}

void openai_reading_release(struct openai_reading *r)
{
    map_release(&r->calls);
}

static bool is_word_of(const char *words, const struct json_walk *w)
{
    while (*words) {
        size_t n = strcspn(words, " ");
        if (n && json_walk_key_is(w, str_of(words, n)))
            return true;
        words += n + (words[n] == ' ');
    }
    return false;
}

err_t openai_read_each(struct openai_reading *r, struct json_node v, const char *name,
                       err_t (*read)(struct openai_reading *r, struct json_node v))
{
    if (!json_node_is(v, JSON_ARRAY))
        return openai_refuse(r, v, "'%s' must be an array", name);
    JSON_EACH(w, v)
        TRY(read(r, w.value));
    return OK;
}

void openai_note_unknown(struct openai_reading *r, struct json_node object, const char *known)
{
    JSON_EACH(w, object)
        if (json_node_is_set(w.value) && !json_is_absent(w.key) && !is_word_of(known, &w))
            chat_add_extra(r->q, r->arena, w.key, w.value, true);
}

static err_t need(struct openai_reading *r, struct json_node v, const struct str *key, bool fits, const char *what)
{
    return fits ? OK : openai_refuse(r, v, "'%.*s' must be %s", STR_ARG(*key), what);
}

static err_t read_member(struct openai_reading *r, const struct openai_member *m, struct json_node v)
{
    void *to = (char *)r->q + m->at;
    enum json_kind kind = json_node_kind(v);

    switch (m->how) {
    case OPENAI_NUMBER:
        TRY(need(r, v, &m->key, kind == JSON_NUMBER, "a number"));
        chat_read_number(to, v);
        return OK;
    case OPENAI_FLAG:
        TRY(need(r, v, &m->key, kind == JSON_TRUE || kind == JSON_FALSE, "true or false"));
        chat_read_flag(to, v);
        return OK;
    case OPENAI_TEXT:
        TRY(need(r, v, &m->key, kind == JSON_STRING, "a string"));
        chat_read_setting(to, v, r->arena);
        return OK;
    case OPENAI_RAW:
        chat_read_raw(to, v);
        return OK;
    case OPENAI_READ:
        return m->read(r, v);
    }
    return OK;
}

err_t openai_read_members(struct openai_reading *r, const struct openai_member *members, size_t count)
{
    struct json_node root = json_tree_root(r->q->document);

    if (!json_node_is(root, JSON_OBJECT))
        return openai_refuse(r, root, "the body must be a JSON object");
    JSON_EACH(w, root) {
        size_t i = 0;
        if (!json_node_is_set(w.value))
            continue;
        while (i < count && !json_walk_key_is(&w, members[i].key))
            i++;
        if (i < count)
            TRY(read_member(r, &members[i], w.value));
        else
            chat_add_extra(r->q, r->arena, w.key, w.value, false);
    }
    return OK;
}

err_t openai_read_model(struct openai_reading *r)
{
    struct json_node model = json_node_get(json_tree_root(r->q->document), STR("model"));

    if (r->t->row && r->t->row->model == MODEL_IN_PATH) {
        r->q->model = r->t->path_model;
        return OK;
    }
    r->q->model = json_node_text(model, r->arena);
    if (r->q->model.n)
        return OK;
    *r->ret_param = STR("model");
    return fail(E_PARSE, "'model' must be a string that names the model");
}

static err_t skip(struct openai_reading *r, struct json_node v)
{
    (void)r;
    (void)v;
    return OK;
}

/* --- settings --- */

err_t openai_read_stop(struct openai_reading *r, struct json_node v)
{
    size_t n = json_node_is(v, JSON_ARRAY) ? json_node_count(v) : 1, i = 0;

    r->q->stops = arena_zalloc(r->arena, (n ? n : 1) * sizeof *r->q->stops);
    r->q->stop_count = n;
    if (json_node_is(v, JSON_STRING)) {
        chat_read_setting(r->q->stops, v, r->arena);
        return OK;
    }
    if (!json_node_is(v, JSON_ARRAY))
        return openai_refuse(r, v, "'stop' must be a string or an array of strings");
    JSON_EACH(w, v) {
        if (!json_node_is(w.value, JSON_STRING))
            return openai_refuse(r, w.value, "each of 'stop' must be a string");
        chat_read_setting(&r->q->stops[i++], w.value, r->arena);
    }
    return OK;
}

err_t openai_read_stream(struct openai_reading *r, struct json_node v)
{
    if (!json_node_bool(v, &r->q->stream))
        return openai_refuse(r, v, "'stream' must be true or false");
    return OK;
}

err_t openai_read_stream_options(struct openai_reading *r, struct json_node v)
{
    r->q->include_usage = json_get_true(v, STR("include_usage"));
    openai_note_unknown(r, v, "include_usage include_obfuscation");
    return OK;
}

/* "max_completion_tokens" goes before the older "max_tokens", in whichever order they stand. */
err_t openai_read_max_output(struct openai_reading *r, struct json_node v)
{
    if (!json_node_is(v, JSON_NUMBER))
        return openai_refuse(r, v, "'%.*s' must be a number", STR_ARG(chat_field_indexed(v, STR_NONE, r->arena)));
    chat_read_number(&r->q->max_output, v);
    return OK;
}

static err_t read_max_tokens(struct openai_reading *r, struct json_node v)
{
    if (json_node_is_set(json_node_get(json_tree_root(r->q->document), STR("max_completion_tokens"))))
        return OK;
    return openai_read_max_output(r, v);
}

/* Two names for the same thing: "safety_identifier" is what OpenAI wants now. Sent both, the new one counts. */
err_t openai_read_safety_identifier(struct openai_reading *r, struct json_node v)
{
    chat_read_setting(&r->q->user, v, r->arena);
    return OK;
}

err_t openai_read_user(struct openai_reading *r, struct json_node v)
{
    if (!json_node_is(json_node_get(json_tree_root(r->q->document), STR("safety_identifier")), JSON_STRING))
        chat_read_setting(&r->q->user, v, r->arena);
    return OK;
}

void openai_read_schema(struct openai_reading *r, struct json_node v)
{
    struct response_format *f = &r->q->format;
    struct flag strict = {0};
    struct json_node schema = json_node_get(v, STR("schema"));

    f->kind = FORMAT_SCHEMA;
    f->name = json_get_text(v, STR("name"), r->arena);
    f->description = json_get_text(v, STR("description"), r->arena);
    f->schema = json_node_is_set(schema) ? json_node_raw(schema) : STR_NONE;
    chat_read_flag(&strict, json_node_get(v, STR("strict")));
    f->strict = strict.is;
    openai_note_unknown(r, v, "type name description schema strict");
}

/* Besides OpenAI's three: a schema beside json_object (Together, Fireworks), and TGI's "value". */
static err_t read_response_format(struct openai_reading *r, struct json_node v)
{
    struct json_node type = json_node_get(v, STR("type")), in = json_node_get(v, STR("json_schema"));
    struct json_node value = json_node_get(v, STR("value")), schema = json_node_get(v, STR("schema"));

    r->q->format.from = v;
    if (json_node_text_is(type, STR("text"))) {
        r->q->format.kind = FORMAT_TEXT;
        return OK;
    }
    if (json_node_is(in, JSON_OBJECT)) {
        openai_read_schema(r, in);
        return OK;
    }
    if (!json_node_text_is(type, STR("json_object")) && !json_node_text_is(type, STR("json_schema")))
        return openai_refuse(r, v, "'response_format.type' must be text, json_object or json_schema");
    if (!json_node_is_set(schema))
        schema = value;
    r->q->format.kind = json_node_is(schema, JSON_OBJECT) ? FORMAT_SCHEMA : FORMAT_JSON;
    r->q->format.schema = r->q->format.kind == FORMAT_SCHEMA ? json_node_raw(schema) : STR_NONE;
    if (json_node_text_is(type, STR("json_schema")) && r->q->format.kind == FORMAT_JSON)
        return openai_refuse(r, v, "'response_format.json_schema' is missing");
    return OK;
}

static err_t read_reasoning_effort(struct openai_reading *r, struct json_node v)
{
    enum effort e = effort_of(json_node_text(v, r->arena));

    if (e == EFFORT_UNSET)
        return openai_refuse(r, v, "a reasoning effort must be none, minimal, low, medium, high, xhigh or max");
    r->q->reasoning.effort = e;
    r->q->reasoning.from = v;
    return OK;
}

/* Responses: {effort, summary}; OpenRouter: {effort, max_tokens, exclude, enabled}. */
err_t openai_read_reasoning(struct openai_reading *r, struct json_node v)
{
    struct reasoning *to = &r->q->reasoning;
    struct json_node effort = json_node_get(v, STR("effort"));
    struct flag flag = {0};

    if (!json_node_is(v, JSON_OBJECT))
        return openai_refuse(r, v, "'reasoning' must be an object");
    if (json_node_is_set(effort))
        TRY(read_reasoning_effort(r, effort));
    to->from = v;
    (void)json_node_i64(json_node_get(v, STR("max_tokens")), &to->budget);
    to->summary = json_get_text(v, STR("summary"), r->arena);
    if (to->summary.n)
        to->show = YES;
    chat_read_flag(&flag, json_node_get(v, STR("exclude")));
    if (flag.is != UNSET)
        to->show = flag.is == YES ? NO : YES;
    flag = (struct flag){0};
    chat_read_flag(&flag, json_node_get(v, STR("enabled")));
    to->on = flag.is;
    openai_note_unknown(r, v, "effort summary max_tokens exclude enabled");
    return OK;
}

/* DeepSeek, Z.ai: {"type":"enabled"|"disabled"}, sometimes with Anthropic's budget. */
static err_t read_thinking(struct openai_reading *r, struct json_node v)
{
    struct json_node type = json_node_get(v, STR("type"));

    if (json_node_text_is(type, STR("disabled")))
        r->q->reasoning.on = NO;
    else if (json_node_text_is(type, STR("enabled")))
        r->q->reasoning.on = YES;
    (void)json_node_i64(json_node_get(v, STR("budget_tokens")), &r->q->reasoning.budget);
    r->q->reasoning.from = v;
    openai_note_unknown(r, v, "type budget_tokens");
    return OK;
}

static err_t read_thinking_budget(struct openai_reading *r, struct json_node v)
{
    if (json_node_i64(v, &r->q->reasoning.budget))
        r->q->reasoning.from = v;
    return OK;
}

static err_t read_include_reasoning(struct openai_reading *r, struct json_node v)
{
    bool show;

    if (json_node_bool(v, &show)) {
        r->q->reasoning.show = show ? YES : NO;
        if (json_is_absent(r->q->reasoning.from))
            r->q->reasoning.from = v;
    }
    return OK;
}

/* --- tools --- */

static err_t read_function(struct openai_reading *r, struct tool *to, struct json_node f)
{
    struct json_node parameters = json_node_get(f, STR("parameters"));
    struct flag strict = {0};

    to->name = json_get_text(f, STR("name"), r->arena);
    if (!to->name.n)
        return openai_refuse(r, json_is_absent(f) ? to->from : f, "a function needs a 'name'");
    to->description = json_get_text(f, STR("description"), r->arena);
    to->parameters = json_node_is_set(parameters) ? json_node_raw(parameters) : STR_NONE;
    chat_read_flag(&strict, json_node_get(f, STR("strict")));
    to->strict = strict.is;
    openai_note_unknown(r, f, "name description parameters strict");
    return OK;
}

static err_t read_custom(struct openai_reading *r, struct tool *to, struct json_node c)
{
    struct json_node format = json_node_get(c, STR("format"));

    to->kind = TOOL_CUSTOM;
    to->name = json_get_text(c, STR("name"), r->arena);
    if (!to->name.n)
        return openai_refuse(r, to->from, "a custom tool needs a 'name'");
    to->description = json_get_text(c, STR("description"), r->arena);
    to->format = json_node_is_set(format) ? json_node_raw(format) : STR_NONE;
    openai_note_unknown(r, c, "name description format");
    return OK;
}

void openai_read_hosted(struct openai_reading *r, struct tool *to, struct json_node v)
{
    to->kind = TOOL_HOSTED;
    to->name = json_get_text(v, STR("type"), r->arena);
    to->raw = json_node_raw(v);
    to->of = r->q->dialect;
}

static err_t read_tool(struct openai_reading *r, struct json_node v)
{
    struct json_node type = json_node_get(v, STR("type")), function = json_node_get(v, STR("function"));
    struct json_node custom = json_node_get(v, STR("custom"));

    if (!json_node_is(v, JSON_OBJECT))
        return openai_refuse(r, v, "each of 'tools' must be an object");
    struct tool *to = chat_add_tool(r->q, r->arena, TOOL_FUNCTION, v);
    to->cache = openai_cache_hint(v);
    if (json_node_text_is(type, STR("custom"))) {
        openai_note_unknown(r, v, "type custom cache_control");
        return read_custom(r, to, custom);
    }
    if (json_node_is(function, JSON_OBJECT) || json_node_text_is(type, STR("function"))) {
        openai_note_unknown(r, v, "type function cache_control");
        return read_function(r, to, function);
    }
    openai_read_hosted(r, to, v);
    return OK;
}

static err_t read_tools(struct openai_reading *r, struct json_node v)
{
    return openai_read_each(r, v, "tools", read_tool);
}

static err_t read_old_function(struct openai_reading *r, struct json_node v)
{
    return read_function(r, chat_add_tool(r->q, r->arena, TOOL_FUNCTION, v), v);
}

static err_t read_functions(struct openai_reading *r, struct json_node v)
{
    return openai_read_each(r, v, "functions", read_old_function);
}

static bool read_choice_word(struct tool_choice *to, struct json_node v)
{
    static const struct {
        struct str word;
        enum tool_choice_kind kind;
    } words[] = {{STR_INIT("auto"), CHOICE_AUTO},
                 {STR_INIT("none"), CHOICE_NONE},
                 {STR_INIT("required"), CHOICE_REQUIRED},
                 {STR_INIT("any"), CHOICE_REQUIRED}};

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (!json_node_text_is(v, words[i].word))
            continue;
        to->kind = words[i].kind;
        return true;
    }
    return false;
}

/* The name in {"type":"function","function":{"name":…}}, or flat as Responses has it. */
static struct str named_tool(struct json_node v, struct arena *arena)
{
    struct json_node in = json_node_get(v, STR("function"));

    if (json_is_absent(in))
        in = json_node_get(v, STR("custom"));
    return json_get_text(json_is_absent(in) ? v : in, STR("name"), arena);
}

/* Chat has {"type":"allowed_tools","allowed_tools":{mode,tools}}, Responses has mode and tools beside the type. */
static err_t read_allowed(struct openai_reading *r, struct json_node v)
{
    struct json_node below = json_node_get(v, STR("allowed_tools")), in = json_is_absent(below) ? v : below;
    struct json_node tools = json_node_get(in, STR("tools"));
    struct str *names = arena_zalloc(r->arena, (json_node_count(tools) + 1) * sizeof *names);
    size_t n = 0;

    r->q->tool_choice.kind =
        json_node_text_is(json_node_get(in, STR("mode")), STR("required")) ? CHOICE_REQUIRED : CHOICE_AUTO;
    JSON_EACH(w, tools) {
        names[n] = named_tool(w.value, r->arena);
        if (!names[n].n)
            names[n] = json_get_text(w.value, STR("type"), r->arena); /* a hosted one goes by its type */
        n++;
    }
    r->q->tool_choice.allowed = names;
    r->q->tool_choice.allowed_count = n;
    return OK;
}

err_t openai_read_tool_choice(struct openai_reading *r, struct json_node v)
{
    struct tool_choice *to = &r->q->tool_choice;

    to->from = v;
    if (read_choice_word(to, v))
        return OK;
    if (json_node_text_is(json_node_get(v, STR("type")), STR("allowed_tools")))
        return read_allowed(r, v);
    to->name = named_tool(v, r->arena);
    if (!to->name.n && json_node_is(v, JSON_OBJECT))
        to->name = json_get_text(v, STR("type"), r->arena);
    if (!to->name.n)
        return openai_refuse(r, v, "'tool_choice' must be none, auto, required, or an object that names a tool");
    to->kind = CHOICE_NAMED;
    return OK;
}

/* --- messages --- */

void openai_note_call(struct openai_reading *r, struct block *call)
{
    if (call->id.n)
        (void)map_put(&r->calls, call->id, call);
}

struct str openai_called_name(const struct openai_reading *r, struct str id)
{
    const struct block *call = map_get(&r->calls, id);

    return call ? call->name : STR_NONE;
}

static struct block *add_block(struct openai_reading *r, struct turn *t, enum block_kind kind, struct json_node from)
{
    return chat_add_block(&t->blocks, r->arena, kind, from);
}

enum signer openai_maker(struct str format)
{
    if (str_starts(format, STR("anthropic")))
        return SIGNER_ANTHROPIC;
    if (str_starts(format, STR("google")))
        return SIGNER_GOOGLE;
    return str_starts(format, STR("openai")) || str_starts(format, STR("azure")) ? SIGNER_OPENAI : SIGNER_OTHER;
}

struct str openai_format(enum signer s)
{
    switch (s) {
    case SIGNER_ANTHROPIC:
        return STR("anthropic-claude-v1");
    case SIGNER_GOOGLE:
        return STR("google-gemini-v1");
    case SIGNER_OPENAI:
        return STR("openai-responses-v1");
    case SIGNER_NONE:
    case SIGNER_OTHER:
        return STR("unknown");
    }
    return STR("unknown");
}

/* An entry of reasoning_details. Returns whether it holds words. */
static bool read_reasoning_detail(struct openai_reading *r, struct turn *t, struct json_node v)
{
    struct json_node type = json_node_get(v, STR("type"));
    enum signer maker = openai_maker(json_get_text(v, STR("format"), r->arena));
    struct str signature = json_get_text(v, STR("signature"), r->arena);

    if (json_node_text_is(type, STR("reasoning.encrypted"))) {
        struct block *b = add_block(r, t, BLOCK_REDACTED, v);
        b->text = signature_unwrap(json_get_text(v, STR("data"), r->arena), maker, &b->signer);
        return false;
    }
    bool summary = json_node_text_is(type, STR("reasoning.summary"));
    struct block *b = add_block(r, t, BLOCK_THINKING, v);
    b->summary = summary;
    b->text = json_get_text(v, summary ? STR("summary") : STR("text"), r->arena);
    if (signature.n)
        b->signature = signature_unwrap(signature, maker, &b->signer);
    return b->text.n > 0;
}

/* Thoughts are told twice by those who send details: once for people, once to be sent back. The details win, unless they lack the words. */
static void read_thoughts(struct openai_reading *r, struct turn *t, struct json_node message)
{
    struct json_node text = json_node_get(message, STR("reasoning_content"));
    bool words = false;

    JSON_EACH(w, json_node_get(message, STR("reasoning_details")))
        words = read_reasoning_detail(r, t, w.value) || words;
    if (!json_node_is(text, JSON_STRING))
        text = json_node_get(message, STR("reasoning"));
    struct str said = json_node_text(text, r->arena);
    if (words || !said.n)
        return;
    struct block *b = t->blocks;
    if (b && b->kind == BLOCK_THINKING) {
        b->text = said;
        return;
    }
    b = arena_new(r->arena, struct block);
    *b = (struct block){.next = t->blocks, .kind = BLOCK_THINKING, .from = text, .text = said};
    t->blocks = b;
}

/* Gemini's proof of origin of a call, as its OpenAI-compatible layer carries it. */
static void read_google_signature(struct openai_reading *r, struct json_node v, struct block *to)
{
    struct json_node google = json_node_get(json_node_get(v, STR("extra_content")), STR("google"));
    struct str signature = json_get_text(google, STR("thought_signature"), r->arena);

    if (to && signature.n)
        to->signature = signature_unwrap(signature, SIGNER_GOOGLE, &to->signer);
}

/* A string as it is; an object (Mistral, some servers) as its JSON text. */
static struct str arguments_of(struct json_node v, struct arena *arena)
{
    return json_node_is(v, JSON_STRING) ? json_node_text(v, arena) : json_node_is_set(v) ? json_node_raw(v) : STR_NONE;
}

static err_t read_call(struct openai_reading *r, struct turn *t, struct json_node v)
{
    struct json_node custom = json_node_get(v, STR("custom")), function = json_node_get(v, STR("function"));
    bool is_custom = json_node_is(custom, JSON_OBJECT);
    struct block *b = add_block(r, t, BLOCK_TOOL_CALL, v);

    if (!is_custom && !json_node_is(function, JSON_OBJECT))
        return openai_refuse(r, v, "a tool call needs its 'function'");
    b->id = json_get_text(v, STR("id"), r->arena);
    b->custom = is_custom;
    b->name = json_get_text(is_custom ? custom : function, STR("name"), r->arena);
    b->arguments = is_custom ? json_get_text(custom, STR("input"), r->arena)
                             : arguments_of(json_node_get(function, STR("arguments")), r->arena);
    b->cache = openai_cache_hint(v);
    read_google_signature(r, v, b);
    openai_note_unknown(r, v, "id type index function custom extra_content cache_control");
    openai_note_call(r, b);
    return OK;
}

static void read_function_call(struct openai_reading *r, struct turn *t, struct json_node v)
{
    if (!json_node_is(v, JSON_OBJECT))
        return;
    struct block *b = add_block(r, t, BLOCK_TOOL_CALL, v);
    b->name = json_get_text(v, STR("name"), r->arena);
    b->arguments = arguments_of(json_node_get(v, STR("arguments")), r->arena);
    b->id = tool_id_make(r->turn, 0, b->name, r->arena);
    r->legacy_id = b->id;
    openai_note_call(r, b);
}

/* The first text of a message, which is where its layer of Gemini signs it. */
static struct block *last_text(const struct turn *t)
{
    struct block *found = NULL;

    for (struct block *b = t->blocks; b; b = b->next)
        if (b->kind == BLOCK_TEXT)
            found = b;
    return found;
}

static err_t read_assistant(struct openai_reading *r, struct turn *t, struct json_node m)
{
    struct json_node refusal = json_node_get(m, STR("refusal")), audio = json_node_get(m, STR("audio"));
    struct json_node calls = json_node_get(m, STR("tool_calls"));

    read_thoughts(r, t, m);
    TRY(openai_read_content(r, json_node_get(m, STR("content")), &t->blocks));
    read_google_signature(r, m, last_text(t));
    if (json_node_is(refusal, JSON_STRING))
        add_block(r, t, BLOCK_REFUSAL, refusal)->text = json_node_text(refusal, r->arena);
    if (json_node_is(audio, JSON_OBJECT))
        add_block(r, t, BLOCK_AUDIO, audio)->media =
            (struct media){.source = MEDIA_FILE_ID, .data = json_get_text(audio, STR("id"), r->arena)};
    if (json_node_is_set(calls) && !json_node_is(calls, JSON_ARRAY))
        return openai_refuse(r, calls, "'tool_calls' must be an array");
    JSON_EACH(w, calls)
        TRY(read_call(r, t, w.value));
    read_function_call(r, t, json_node_get(m, STR("function_call")));
    t->prefill = json_get_true(m, STR("prefix")) ? YES : UNSET;
    return OK;
}

static err_t read_result(struct openai_reading *r, struct turn *t, struct json_node m, bool legacy)
{
    struct block *b = add_block(r, t, BLOCK_TOOL_RESULT, m);

    b->id = legacy ? r->legacy_id : json_get_text(m, STR("tool_call_id"), r->arena);
    if (!b->id.n && legacy)
        return openai_refuse(r, m, "a function message must follow the call that it answers");
    if (!b->id.n)
        return openai_refuse(r, m, "a tool message needs the 'tool_call_id' of the call that it answers");
    b->name = json_get_text(m, STR("name"), r->arena);
    if (!b->name.n)
        b->name = openai_called_name(r, b->id);
    b->cache = openai_cache_hint(m);
    return openai_read_content(r, json_node_get(m, STR("content")), &b->content);
}

enum message_role { ROLE_SYSTEM, ROLE_DEVELOPER, ROLE_USER, ROLE_ASSISTANT, ROLE_TOOL, ROLE_FUNCTION, ROLE_COUNT };

static const struct {
    struct str name;
    enum chat_role role;
    const char *known;
} roles[ROLE_COUNT] = {
    [ROLE_SYSTEM] = {STR_INIT("system"), CHAT_SYSTEM, "role content name cache_control"},
    [ROLE_DEVELOPER] = {STR_INIT("developer"), CHAT_DEVELOPER, "role content name cache_control"},
    [ROLE_USER] = {STR_INIT("user"), CHAT_USER, "role content name cache_control"},
    [ROLE_ASSISTANT] = {STR_INIT("assistant"), CHAT_ASSISTANT,
                        "role content name cache_control refusal audio tool_calls function_call prefix reasoning "
                        "reasoning_content reasoning_details extra_content"},
    [ROLE_TOOL] = {STR_INIT("tool"), CHAT_USER, "role content name tool_call_id cache_control"},
    [ROLE_FUNCTION] = {STR_INIT("function"), CHAT_USER, "role content name cache_control"},
};

static enum message_role find_role(struct json_node role)
{
    unsigned i = 0;

    while (i < ROLE_COUNT && !json_node_text_is(role, roles[i].name))
        i++;
    return (enum message_role)i;
}

/* A mark on the whole message counts for its last block. */
static void put_hint_on_last(struct turn *t, enum cache_hint hint)
{
    struct block *b = t->blocks;

    while (b && b->next)
        b = b->next;
    if (b && hint != CACHE_NONE)
        b->cache = hint;
}

/* Empty lists, as in a reply that a client sends back just as it got it, say nothing. */
static void note_unknown_of_message(struct openai_reading *r, struct json_node m, const char *known)
{
    JSON_EACH(w, m) {
        bool empty = json_node_is(w.value, JSON_ARRAY) && json_node_count(w.value) == 0;
        if (json_node_is_set(w.value) && !empty && !is_word_of(known, &w))
            chat_add_extra(r->q, r->arena, w.key, w.value, true);
    }
}

static err_t read_message(struct openai_reading *r, struct json_node m)
{
    struct json_node role = json_node_get(m, STR("role"));
    enum message_role what = find_role(role);

    if (!json_node_is(m, JSON_OBJECT))
        return openai_refuse(r, m, "each of 'messages' must be an object");
    if (what == ROLE_COUNT)
        return openai_refuse(r, json_is_absent(role) ? m : role,
                             "'role' must be system, developer, user, assistant or tool");
    struct turn *t = chat_add_turn(r->q, r->arena, roles[what].role, m);
    note_unknown_of_message(r, m, roles[what].known);
    if (what == ROLE_TOOL || what == ROLE_FUNCTION)
        return read_result(r, t, m, what == ROLE_FUNCTION);
    t->name = json_get_text(m, STR("name"), r->arena);
    TRY(what == ROLE_ASSISTANT ? read_assistant(r, t, m)
                               : openai_read_content(r, json_node_get(m, STR("content")), &t->blocks));
    put_hint_on_last(t, openai_cache_hint(m));
    return OK;
}

static err_t read_next_message(struct openai_reading *r, struct json_node m)
{
    TRY(read_message(r, m));
    r->turn++;
    return OK;
}

static err_t read_messages(struct openai_reading *r, struct json_node v)
{
    return openai_read_each(r, v, "messages", read_next_message);
}

/* --- the request --- */

#define AT(member) offsetof(struct chat_request, member)

static const struct openai_member members[] = {
    {STR_INIT("model"), OPENAI_READ, 0, skip},
    {STR_INIT("messages"), OPENAI_READ, 0, read_messages},
    {STR_INIT("stream"), OPENAI_READ, 0, openai_read_stream},
    {STR_INIT("stream_options"), OPENAI_READ, 0, openai_read_stream_options},
    {STR_INIT("max_completion_tokens"), OPENAI_READ, 0, openai_read_max_output},
    {STR_INIT("max_tokens"), OPENAI_READ, 0, read_max_tokens},
    {STR_INIT("temperature"), OPENAI_NUMBER, AT(temperature), NULL},
    {STR_INIT("top_p"), OPENAI_NUMBER, AT(top_p), NULL},
    {STR_INIT("top_k"), OPENAI_NUMBER, AT(top_k), NULL},
    {STR_INIT("min_p"), OPENAI_NUMBER, AT(min_p), NULL},
    {STR_INIT("typical_p"), OPENAI_NUMBER, AT(typical_p), NULL},
    {STR_INIT("repetition_penalty"), OPENAI_NUMBER, AT(repetition_penalty), NULL},
    {STR_INIT("repeat_penalty"), OPENAI_NUMBER, AT(repetition_penalty), NULL},
    {STR_INIT("presence_penalty"), OPENAI_NUMBER, AT(presence_penalty), NULL},
    {STR_INIT("frequency_penalty"), OPENAI_NUMBER, AT(frequency_penalty), NULL},
    {STR_INIT("seed"), OPENAI_NUMBER, AT(seed), NULL},
    {STR_INIT("random_seed"), OPENAI_NUMBER, AT(seed), NULL},
    {STR_INIT("n"), OPENAI_NUMBER, AT(n), NULL},
    {STR_INIT("logprobs"), OPENAI_FLAG, AT(logprobs), NULL},
    {STR_INIT("top_logprobs"), OPENAI_NUMBER, AT(top_logprobs), NULL},
    {STR_INIT("logit_bias"), OPENAI_RAW, AT(logit_bias), NULL},
    {STR_INIT("stop"), OPENAI_READ, 0, openai_read_stop},
    {STR_INIT("response_format"), OPENAI_READ, 0, read_response_format},
    {STR_INIT("tools"), OPENAI_READ, 0, read_tools},
    {STR_INIT("tool_choice"), OPENAI_READ, 0, openai_read_tool_choice},
    {STR_INIT("functions"), OPENAI_READ, 0, read_functions},
    {STR_INIT("function_call"), OPENAI_READ, 0, openai_read_tool_choice},
    {STR_INIT("parallel_tool_calls"), OPENAI_FLAG, AT(parallel_tools), NULL},
    {STR_INIT("reasoning_effort"), OPENAI_READ, 0, read_reasoning_effort},
    {STR_INIT("reasoning"), OPENAI_READ, 0, openai_read_reasoning},
    {STR_INIT("thinking"), OPENAI_READ, 0, read_thinking},
    {STR_INIT("thinking_token_budget"), OPENAI_READ, 0, read_thinking_budget},
    {STR_INIT("include_reasoning"), OPENAI_READ, 0, read_include_reasoning},
    {STR_INIT("verbosity"), OPENAI_TEXT, AT(verbosity), NULL},
    {STR_INIT("service_tier"), OPENAI_TEXT, AT(service_tier), NULL},
    {STR_INIT("user"), OPENAI_READ, 0, openai_read_user},
    {STR_INIT("safety_identifier"), OPENAI_READ, 0, openai_read_safety_identifier},
    {STR_INIT("metadata"), OPENAI_RAW, AT(metadata), NULL},
    {STR_INIT("store"), OPENAI_FLAG, AT(store), NULL},
    {STR_INIT("prompt_cache_key"), OPENAI_TEXT, AT(cache_key), NULL},
    {STR_INIT("prompt_cache_retention"), OPENAI_TEXT, AT(cache_retention), NULL},
    {STR_INIT("modalities"), OPENAI_RAW, AT(modalities), NULL},
    {STR_INIT("audio"), OPENAI_RAW, AT(audio), NULL},
    {STR_INIT("prediction"), OPENAI_RAW, AT(prediction), NULL},
};

/* vLLM: the last assistant message is to be continued. */
static void read_continuation(struct openai_reading *r)
{
    struct turn *last = r->q->turns;

    while (last && last->next)
        last = last->next;
    if (last && last->role == CHAT_ASSISTANT &&
        json_get_true(json_tree_root(r->q->document), STR("continue_final_message")))
        last->prefill = YES;
}

err_t openai_read_chat(struct translation *t, const struct json_tree *doc, struct chat_request *ret,
                       struct str *ret_param)
{
    struct openai_reading r CLEANUP(openai_reading_release);

    openai_reading_init(&r, t, doc, ret, ret_param);
    TRY(openai_read_members(&r, members, ARRAY_LEN(members)));
    TRY(openai_read_model(&r));
    if (json_node_is(json_node_get(json_tree_root(doc), STR("messages")), JSON_ARRAY)) {
        read_continuation(&r);
        return OK;
    }
    *ret_param = STR("messages");
    return fail(E_PARSE, "'messages' is missing: give an array of messages");
}
