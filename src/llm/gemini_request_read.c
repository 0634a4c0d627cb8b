/*
 * gemini_request_read.c - a request to generateContent as the canonical one.
 *
 * Keys may be in camel or snake case. Ids of calls are optional in this dialect, so a call without one gets an id from its place and name,
 * and a result without one belongs to the first call of its name that has no result yet. Schemas come in Google's own kind or as JSON
 * Schema; the canonical form is JSON Schema.
 */
#include "llm/gemini_int.h"
#include "llm/tool_id.h"

enum { WAITING_MAX = 4096 };

/* A call that waits for its result. */
struct waiting {
    struct waiting *next;
    struct str id, name;
};

struct reading {
    struct arena *arena;
    struct chat_request *q;
    struct str *param;
    struct waiting *waiting, **last_waiting;
    size_t waiting_count;
    uint64_t turn, part; /* being read */
};

/* --- refusing --- */

static err_t refuse(struct reading *r, struct json_node at, const char *member, const char *what)
{
    *r->param = chat_field_indexed(at, str_from_c(member), r->arena);
    return fail(E_PARSE, "Invalid value at '%.*s': %s", STR_ARG(*r->param), what);
}

static void keep_unknown(struct reading *r, struct json_node object, const char *const *known)
{
    JSON_EACH(w, object)
        if (gemini_is_unknown(&w, known))
            chat_add_extra(r->q, r->arena, w.key, w.value, true);
}

#define KEEP_UNKNOWN(r, object, ...) keep_unknown((r), (object), (const char *const[]){__VA_ARGS__, NULL})

static struct str text_of(struct reading *r, struct json_node object, const char *camel)
{
    return gemini_text(object, camel, r->arena);
}

/* --- parts --- */

static enum block_kind kind_of_media(struct str type)
{
    if (str_starts(type, STR("image/")))
        return BLOCK_IMAGE;
    if (str_starts(type, STR("audio/")))
        return BLOCK_AUDIO;
    return str_starts(type, STR("video/")) ? BLOCK_VIDEO : BLOCK_DOCUMENT;
}

static void read_media(struct reading *r, struct block **list, struct json_node part, struct json_node v, bool is_file)
{
    struct str type = text_of(r, v, "mimeType");
    struct block *b = chat_add_block(list, r->arena, kind_of_media(type), part);

    b->media.type = type;
    b->media.name = text_of(r, v, "displayName");
    b->media.source = is_file ? MEDIA_URL : MEDIA_BASE64;
    b->media.data = is_file ? text_of(r, v, "fileUri") : base64_standard(text_of(r, v, "data"), r->arena);
    if (is_file && str_find(b->media.data, STR("generativelanguage.googleapis.com/")) < b->media.data.n)
        b->media.source = MEDIA_FILE_ID; /* of Google's own store: nobody else can fetch it */
    KEEP_UNKNOWN(r, v, "mimeType", "data", "fileUri", "displayName");
}

static err_t add_waiting(struct reading *r, struct str id, struct str name, struct json_node from)
{
    struct waiting *w = arena_new(r->arena, struct waiting);

    if (r->waiting_count++ == WAITING_MAX) /* each result is looked for among them */
        return refuse(r, from, NULL, "more than 4096 calls without a result");
    *w = (struct waiting){.id = id, .name = name};
    *r->last_waiting = w;
    r->last_waiting = &w->next;
    return OK;
}

/* The id of the call that a result answers: its own, else that of the first unanswered call of its name. */
static struct str answered_id(struct reading *r, struct str id, struct str name)
{
    for (struct waiting **at = &r->waiting; *at; at = &(*at)->next) {
        struct waiting *w = *at;
        if (id.n ? !str_eq(w->id, id) : !str_eq(w->name, name))
            continue;
        *at = w->next;
        if (!w->next)
            r->last_waiting = at;
        r->waiting_count--;
        return w->id;
    }
    return id.n ? id : tool_id_make(r->turn, r->part, name, r->arena);
}

static err_t read_call(struct reading *r, struct block **list, struct json_node part, struct json_node v)
{
    struct block *b = chat_add_block(list, r->arena, BLOCK_TOOL_CALL, part);
    struct json_node args = gemini_get(v, "args");

    b->id = text_of(r, v, "id");
    b->name = text_of(r, v, "name");
    if (!b->name.n)
        return refuse(r, v, "name", "the name of the function is required");
    if (!b->id.n)
        b->id = tool_id_make(r->turn, r->part, b->name, r->arena);
    b->arguments = json_node_is(args, JSON_OBJECT) ? json_node_raw(args) : STR("{}");
    KEEP_UNKNOWN(r, v, "id", "name", "args");
    return add_waiting(r, b->id, b->name, v);
}

/* {"output": "text"} and {"result": "text"} are how text is told, {"error": "text"} how failure is; anything else is JSON. */
static struct str response_text(struct reading *r, struct block *b, struct json_node response)
{
    static const char *const keys[] = {"output", "result", "error"};

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct json_node v = gemini_get(response, keys[i]);
        if (json_node_count(response) != 1 || json_is_absent(v))
            continue;
        b->is_error = i == 2;
        return json_node_is(v, JSON_STRING) ? json_node_text(v, r->arena) : json_node_raw(v);
    }
    return json_node_raw(response);
}

static err_t read_part(struct reading *r, struct block **list, struct json_node v, bool is_result);

static err_t read_response(struct reading *r, struct block **list, struct json_node part, struct json_node v)
{
    struct block *b = chat_add_block(list, r->arena, BLOCK_TOOL_RESULT, part);
    struct json_node response = gemini_get(v, "response");

    b->name = text_of(r, v, "name");
    if (!b->name.n)
        return refuse(r, v, "name", "the name of the function is required");
    b->id = answered_id(r, text_of(r, v, "id"), b->name);
    if (json_node_is_set(response))
        chat_add_block(&b->content, r->arena, BLOCK_TEXT, response)->text = response_text(r, b, response);
    KEEP_UNKNOWN(r, v, "id", "name", "response", "parts");
    JSON_EACH(w, gemini_get(v, "parts"))
        TRY(read_part(r, &b->content, w.value, true));
    return OK;
}

static struct block *last_block(struct block *list)
{
    while (list && list->next)
        list = list->next;
    return list;
}

static void sign_last(struct block *list, struct str blob, enum signer signer)
{
    struct block *b = last_block(list);

    b->signature = blob;
    b->signer = blob.n ? signer : SIGNER_NONE;
}

/* Thoughts come in pieces, their signature in a piece without words: all of them are one block. */
static void read_thought(struct reading *r, struct block **list, struct json_node part, struct str text,
                         struct str blob, enum signer signer)
{
    struct block *last = last_block(*list);

    if (!last || last->kind != BLOCK_THINKING || last->signature.n) {
        last = chat_add_block(list, r->arena, BLOCK_THINKING, part);
        last->text = text;
    } else if (text.n) {
        last->text = arena_join(r->arena, last->text, text);
    }
    last->signature = blob;
    last->signer = blob.n ? signer : SIGNER_NONE;
}

static void read_text(struct reading *r, struct block **list, struct json_node part, struct str blob,
                      enum signer signer, bool redacted)
{
    struct str text = text_of(r, part, "text");
    bool thought = json_get_true(part, STR("thought"));
    struct block *b;

    if (redacted) {
        b = chat_add_block(list, r->arena, BLOCK_REDACTED, part);
        b->text = blob;
        b->signer = signer;
        return;
    }
    if (thought) {
        read_thought(r, list, part, text, blob, signer);
        return;
    }
    b = chat_add_block(list, r->arena, BLOCK_TEXT, part);
    b->text = text;
    b->signature = blob;
    b->signer = blob.n ? signer : SIGNER_NONE;
}

static err_t read_part(struct reading *r, struct block **list, struct json_node v, bool is_result)
{
    enum signer signer = SIGNER_NONE;
    bool redacted = false;
    struct str carried = text_of(r, v, "thoughtSignature"), blob = STR_NONE;
    struct json_node inner;

    if (!json_node_is(v, JSON_OBJECT))
        return refuse(r, v, NULL, "a part must be an object");
    if (carried.n)
        blob = gemini_carried(carried, &signer, &redacted, r->arena);
    KEEP_UNKNOWN(r, v, "text", "thought", "thoughtSignature", "inlineData", "fileData", "functionCall",
                 "functionResponse", "executableCode", "codeExecutionResult");
    if (json_node_is(inner = gemini_get(v, "functionCall"), JSON_OBJECT)) {
        TRY(read_call(r, list, v, inner));
        sign_last(*list, blob, signer);
    } else if (!is_result && json_node_is(inner = gemini_get(v, "functionResponse"), JSON_OBJECT)) {
        return read_response(r, list, v, inner);
    } else if (json_node_is(inner = gemini_get(v, "inlineData"), JSON_OBJECT)) {
        read_media(r, list, v, inner, false);
        sign_last(*list, blob, signer);
    } else if (json_node_is(inner = gemini_get(v, "fileData"), JSON_OBJECT)) {
        read_media(r, list, v, inner, true);
        sign_last(*list, blob, signer);
    } else if (json_node_is(gemini_get(v, "text"), JSON_STRING) || (blob.n && !gemini_is_code(v))) {
        read_text(r, list, v, blob, signer, redacted);
    } else {
        struct block *b = chat_add_block(list, r->arena, BLOCK_OPAQUE, v);
        b->text = json_node_raw(v);
        b->of = &dialect_gemini;
    }
    return OK;
}

/* Parts of a Content: a list, or from careless clients a single one. */
static err_t read_parts(struct reading *r, struct block **list, struct json_node content)
{
    struct json_node parts = gemini_get(content, "parts");

    r->part = 0;
    if (json_node_is(parts, JSON_OBJECT))
        return read_part(r, list, parts, false);
    if (json_node_is_set(parts) && !json_node_is(parts, JSON_ARRAY))
        return refuse(r, content, "parts", "must be a list of parts");
    JSON_EACH(w, parts) {
        TRY(read_part(r, list, w.value, false));
        r->part++;
        if ((*list) && (*list)->next)
            list = &(*list)->next; /* but the last, which a thought may continue */
    }
    return OK;
}

/* --- contents --- */

static err_t read_content(struct reading *r, struct json_node v)
{
    struct json_node role = gemini_get(v, "role");
    enum chat_role is = CHAT_USER;

    if (!json_node_is(v, JSON_OBJECT))
        return refuse(r, v, NULL, "must be an object with parts");
    if (json_node_text_is(role, STR("model")))
        is = CHAT_ASSISTANT;
    else if (json_node_text_is(role, STR("system")))
        is = CHAT_SYSTEM;
    else if (json_node_is(role, JSON_STRING) && !json_node_text_is(role, STR("user")) &&
             !json_node_text_is(role, STR("function")) && !json_node_text_is(role, STR("")))
        return refuse(r, v, "role", "must be \"user\" or \"model\"");
    struct turn *turn = chat_add_turn(r->q, r->arena, is, v);
    TRY(read_parts(r, &turn->blocks, v));
    KEEP_UNKNOWN(r, v, "role", "parts");
    r->turn++;
    return OK;
}

static err_t take_contents(struct reading *r, struct json_node v)
{
    if (json_node_is(v, JSON_OBJECT))
        return read_content(r, v);
    if (json_node_is(v, JSON_STRING)) {
        struct turn *turn = chat_add_turn(r->q, r->arena, CHAT_USER, v);
        chat_add_block(&turn->blocks, r->arena, BLOCK_TEXT, v)->text = json_node_text(v, r->arena);
        return OK;
    }
    if (!json_node_is(v, JSON_ARRAY) || !json_node_count(v))
        return refuse(r, v, NULL, "must be a list of contents that is not empty");
    JSON_EACH(w, v)
        TRY(read_content(r, w.value));
    return OK;
}

static err_t read_system(struct reading *r, struct json_node v)
{
    struct turn *turn = chat_add_turn(r->q, r->arena, CHAT_SYSTEM, v);

    if (json_node_is(v, JSON_STRING)) {
        chat_add_block(&turn->blocks, r->arena, BLOCK_TEXT, v)->text = json_node_text(v, r->arena);
        return OK;
    }
    if (!json_node_is(v, JSON_OBJECT))
        return refuse(r, v, NULL, "must be an object with parts");
    KEEP_UNKNOWN(r, v, "role", "parts");
    return read_parts(r, &turn->blocks, v);
}

/* --- tools --- */

static struct str schema_of(struct reading *r, struct json_node object, const char *google, const char *json)
{
    struct json_node schema = gemini_get(object, json);

    return json_node_is(schema, JSON_OBJECT) ? json_node_raw(schema)
                                             : gemini_json_schema(gemini_get(object, google), r->arena);
}

static err_t read_function(struct reading *r, struct json_node v)
{
    struct tool *tool = chat_add_tool(r->q, r->arena, TOOL_FUNCTION, v);

    tool->name = text_of(r, v, "name");
    if (!tool->name.n)
        return refuse(r, v, "name", "the name of the function is required");
    tool->description = text_of(r, v, "description");
    tool->parameters = schema_of(r, v, "parameters", "parametersJsonSchema");
    KEEP_UNKNOWN(r, v, "name", "description", "parameters", "parametersJsonSchema");
    return OK;
}

static err_t read_tool(struct reading *r, struct json_node v)
{
    JSON_EACH(w, v) {
        if (!json_node_is_set(w.value))
            continue;
        if (!gemini_key_is(w.key, "functionDeclarations")) {
            struct tool *hosted = chat_add_tool(r->q, r->arena, TOOL_HOSTED, w.value);
            hosted->name = json_node_text(w.key, r->arena);
            hosted->raw =
                arena_printf(r->arena, "{%.*s:%.*s}", STR_ARG(json_node_raw(w.key)), STR_ARG(json_node_raw(w.value)));
            hosted->of = &dialect_gemini;
            continue;
        }
        JSON_EACH(f, w.value)
            TRY(read_function(r, f.value));
    }
    return OK;
}

static err_t take_tools(struct reading *r, struct json_node v)
{
    if (json_node_is(v, JSON_OBJECT))
        return read_tool(r, v);
    if (!json_node_is(v, JSON_ARRAY))
        return refuse(r, v, NULL, "must be a list of tools");
    JSON_EACH(w, v)
        TRY(read_tool(r, w.value));
    return OK;
}

static void read_allowed(struct reading *r, struct tool_choice *c, struct json_node names)
{
    size_t n = json_node_count(names), at = 0;

    if (!json_node_is(names, JSON_ARRAY) || !n)
        return;
    struct str *allowed = arena_alloc(r->arena, n * sizeof *allowed);
    JSON_EACH(w, names)
        allowed[at++] = json_node_text(w.value, r->arena);
    if (n == 1 && c->kind == CHOICE_REQUIRED) {
        c->kind = CHOICE_NAMED;
        c->name = allowed[0];
        return;
    }
    c->allowed = allowed;
    c->allowed_count = n;
}

static err_t take_tool_config(struct reading *r, struct json_node v)
{
    struct json_node config = gemini_get(v, "functionCallingConfig"), mode = gemini_get(config, "mode");
    struct tool_choice *c = &r->q->tool_choice;

    KEEP_UNKNOWN(r, v, "functionCallingConfig");
    if (json_is_absent(config))
        return OK;
    c->from = config;
    if (json_node_text_is(mode, STR("ANY")))
        c->kind = CHOICE_REQUIRED;
    else if (json_node_text_is(mode, STR("NONE")))
        c->kind = CHOICE_NONE;
    else
        c->kind = CHOICE_AUTO;
    if (json_node_text_is(mode, STR("VALIDATED")))
        for (struct tool *t = r->q->tools; t; t = t->next)
            t->strict = t->kind == TOOL_FUNCTION ? YES : UNSET;
    read_allowed(r, c, gemini_get(config, "allowedFunctionNames"));
    KEEP_UNKNOWN(r, config, "mode", "allowedFunctionNames");
    return OK;
}

/* --- settings --- */

static void read_thinking(struct reading *r, struct json_node v)
{
    struct json_node level = gemini_get(v, "thinkingLevel"), show = gemini_get(v, "includeThoughts");
    struct reasoning *to = &r->q->reasoning;
    struct str name = json_node_text(level, r->arena);
    char lower[16];
    bool on;
    int64_t budget;

    to->from = v;
    for (size_t i = 0; i < name.n && i < sizeof lower; i++)
        lower[i] = ascii_lower(name.p[i]);
    if (name.n && name.n <= sizeof lower)
        to->effort = effort_of(str_of(lower, name.n));
    if (json_node_bool(show, &on))
        to->show = on ? YES : NO;
    if (json_node_i64(gemini_get(v, "thinkingBudget"), &budget)) {
        to->on = budget == 0 ? NO : YES;
        to->adaptive = budget < 0;
        to->budget = budget > 0 ? budget : -1;
    }
    KEEP_UNKNOWN(r, v, "thinkingLevel", "thinkingBudget", "includeThoughts");
}

static void read_stops(struct reading *r, struct json_node v)
{
    r->q->stops = arena_zalloc(r->arena, (json_node_count(v) + 1) * sizeof *r->q->stops);
    r->q->stop_count = 0; /* the member may be there twice */
    JSON_EACH(w, v)
        if (json_node_is(w.value, JSON_STRING))
            chat_read_setting(&r->q->stops[r->q->stop_count++], w.value, r->arena);
}

static void read_format(struct reading *r, struct json_node config)
{
    struct json_node type = gemini_get(config, "responseMimeType");
    struct str schema = schema_of(r, config, "responseSchema", "responseJsonSchema");
    struct response_format *f = &r->q->format;

    if (json_is_absent(type) && !schema.n)
        return;
    f->from = json_is_absent(type) ? config : type;
    f->kind = json_node_text_is(type, STR("text/plain")) ? FORMAT_TEXT : schema.n ? FORMAT_SCHEMA : FORMAT_JSON;
    f->schema = schema;
}

/* ["TEXT","IMAGE"] as ["text","image"]. */
static void read_modalities(struct reading *r, struct json_node v)
{
    struct str raw = json_node_raw(v);
    char *lower = arena_alloc(r->arena, raw.n + 1);

    for (size_t i = 0; i < raw.n; i++)
        lower[i] = ascii_lower(raw.p[i]);
    r->q->modalities = (struct setting){str_of(lower, raw.n), v};
}

static err_t read_numbers(struct reading *r, struct json_node config)
{
    const struct {
        const char *name;
        struct number *to;
    } numbers[] = {{"temperature", &r->q->temperature},
                   {"topP", &r->q->top_p},
                   {"topK", &r->q->top_k},
                   {"candidateCount", &r->q->n},
                   {"maxOutputTokens", &r->q->max_output},
                   {"presencePenalty", &r->q->presence_penalty},
                   {"frequencyPenalty", &r->q->frequency_penalty},
                   {"seed", &r->q->seed},
                   {"logprobs", &r->q->top_logprobs}};

    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        struct json_node v = gemini_get(config, numbers[i].name);
        if (json_node_is_set(v) && !json_node_is(v, JSON_NUMBER))
            return refuse(r, config, numbers[i].name, "must be a number");
        chat_read_number(numbers[i].to, v);
    }
    return OK;
}

static err_t take_config(struct reading *r, struct json_node v)
{
    struct json_node modalities = gemini_get(v, "responseModalities"), thinking = gemini_get(v, "thinkingConfig");

    if (!json_node_is(v, JSON_OBJECT))
        return refuse(r, v, NULL, "must be an object");
    TRY(read_numbers(r, v));
    read_stops(r, gemini_get(v, "stopSequences"));
    read_format(r, v);
    chat_read_flag(&r->q->logprobs, gemini_get(v, "responseLogprobs"));
    if (json_node_is(modalities, JSON_ARRAY))
        read_modalities(r, modalities);
    if (json_node_is(thinking, JSON_OBJECT))
        read_thinking(r, thinking);
    KEEP_UNKNOWN(r, v, "temperature", "topP", "topK", "candidateCount", "maxOutputTokens", "presencePenalty",
                 "frequencyPenalty", "seed", "logprobs", "stopSequences", "responseMimeType", "responseSchema",
                 "responseJsonSchema", "responseLogprobs", "responseModalities", "thinkingConfig");
    return OK;
}

static err_t take_labels(struct reading *r, struct json_node v)
{
    chat_read_raw(&r->q->metadata, v);
    return OK;
}

static err_t take_tier(struct reading *r, struct json_node v)
{
    chat_read_setting(&r->q->service_tier, v, r->arena);
    return OK;
}

static err_t take_store(struct reading *r, struct json_node v)
{
    chat_read_flag(&r->q->store, v);
    return OK;
}

/* The path names the model; here it is only repeated. */
static err_t take_model(struct reading *r, struct json_node v)
{
    if (!r->q->model.n)
        r->q->model = gemini_model_name(json_node_text(v, r->arena));
    return OK;
}

/* In this order, whatever the document's: system text comes first, tools before what is said of them. */
static const struct {
    const char *name;
    err_t (*take)(struct reading *r, struct json_node v);
} fields[] = {
    {"model", take_model},   {"systemInstruction", read_system}, {"contents", take_contents},
    {"tools", take_tools},   {"toolConfig", take_tool_config},   {"generationConfig", take_config},
    {"labels", take_labels}, {"serviceTier", take_tier},         {"store", take_store},
};

static err_t read_members(struct reading *r, struct json_node root)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        struct json_node v = gemini_get(root, fields[i].name);
        if (!json_is_absent(v))
            TRY(fields[i].take(r, v));
    }
    JSON_EACH(w, root) {
        bool known = !json_node_is_set(w.value);
        for (size_t i = 0; i < ARRAY_LEN(fields) && !known; i++)
            known = gemini_key_is(w.key, fields[i].name);
        if (!known)
            chat_add_extra(r->q, r->arena, w.key, w.value, false);
    }
    return OK;
}

err_t gemini_read_chat(struct translation *t, const struct json_tree *doc, struct chat_request *ret,
                       struct str *ret_param)
{
    struct json_node root = json_tree_root(doc), inner;
    struct chat_request q = {.dialect = &dialect_gemini, .document = doc, .include_usage = true};
    struct reading r = {.arena = t->arena, .q = &q, .param = ret_param};

    r.last_waiting = &r.waiting;
    *ret_param = STR_NONE;
    q.reasoning.budget = -1;
    q.model = gemini_model_name(t->path_model);
    q.stream = t->row->stream == STREAM_ALWAYS;
    if (!json_node_is(root, JSON_OBJECT))
        return fail(E_PARSE, "the body must be a JSON object");
    if (json_node_is(inner = gemini_get(root, "generateContentRequest"), JSON_OBJECT))
        root = inner; /* of countTokens */
    TRY(read_members(&r, root));
    if (!q.turns || (!q.turns->next && q.turns->role == CHAT_SYSTEM))
        return refuse(&r, root, "contents", "contents are required");
    if (!q.model.n)
        return refuse(&r, root, "model", "a model is required");
    *ret = q;
    return OK;
}
