/*
 * cohere_request_read.c - a request to Cohere's /v2/chat as the canonical one.
 *
 * The documents that a request is grounded on stand apart from its messages; in the canonical form they are blocks at the head of the last user
 * turn, where other dialects have documents. Cohere cites them unless told not to. What the model planned before its calls (tool_plan) is
 * text in front of them.
 *
 * Members without a canonical form become extras, unknown parts of a message opaque blocks. What must have a type and has another is refused with
 * its place.
 *
 * Wire format: Cohere API v2 reference, November 2026.
 */
#include "llm/cohere_int.h"

struct reading {
    struct translation *t;
    struct arena *arena;
    struct chat_request *q;
    struct str *ret_param;
    struct json_node documents, citation_options;
    enum truth strict;
};

/* Refuse a request for a value in it: E_PARSE with words for the client, and the place. */
#define refuse(r, node, ...) (*(r)->ret_param = json_node_pointer((node), (r)->arena), fail(E_PARSE, __VA_ARGS__))

/* Members of an object that no field takes are reported, not lost: `known` are keys separated by blanks. */
static void note_unknown(struct reading *r, struct json_node object, const char *known)
{
    JSON_EACH(w, object) {
        struct str rest = str_from_c(known);
        bool is_known = json_is_absent(w.key) || !json_node_is_set(w.value);
        while (rest.p && !is_known)
            is_known = json_walk_key_is(&w, str_cut(&rest, ' '));
        if (!is_known)
            chat_add_extra(r->q, r->arena, w.key, w.value, true);
    }
}

/* --- content --- */

static err_t read_image(struct arena *arena, struct json_node part, struct block **to, struct str *ret_param)
{
    struct json_node image = json_node_get(part, STR("image_url"));
    struct str url = json_get_text(image, STR("url"), arena);
    struct block *b = chat_add_block(to, arena, BLOCK_IMAGE, part);

    *ret_param = json_node_pointer(part, arena);
    if (!url.n)
        return fail(E_PARSE, "an image needs an 'image_url' with a 'url'");
    TRY(media_from_url(&b->media, url, arena));
    b->media.detail = json_get_text(image, STR("detail"), arena);
    *ret_param = STR_NONE;
    return OK;
}

err_t cohere_read_part(struct arena *arena, struct json_node part, struct block **to, struct str *ret_param)
{
    struct json_node type = json_node_get(part, STR("type"));
    bool thinks = json_node_text_is(type, STR("thinking"));

    if (json_node_text_is(type, STR("image_url")))
        return read_image(arena, part, to, ret_param);
    if (!thinks && !json_node_text_is(type, STR("text"))) {
        struct block *b = chat_add_block(to, arena, BLOCK_OPAQUE, part);
        b->text = json_node_raw(part);
        b->of = &dialect_cohere;
        return OK;
    }
    struct json_node text = json_node_get(part, thinks ? STR("thinking") : STR("text"));
    *ret_param = json_node_pointer(part, arena);
    if (!json_node_is(text, JSON_STRING))
        return fail(E_PARSE, "a part of type %s needs a string '%s'", thinks ? "thinking" : "text",
                    thinks ? "thinking" : "text");
    *ret_param = STR_NONE;
    chat_add_block(to, arena, thinks ? BLOCK_THINKING : BLOCK_TEXT, part)->text = json_node_text(text, arena);
    return OK;
}

/* {"text", "title"?} is a text with a name; any other data goes as the JSON that it is. */
static bool is_titled_text(struct json_node data)
{
    struct json_node title = json_node_get(data, STR("title"));

    return json_node_is(json_node_get(data, STR("text")), JSON_STRING) &&
           json_node_count(data) == 1 + (size_t)json_node_is(title, JSON_STRING);
}

/* A text, or {id, data}. */
static err_t read_document(struct reading *r, struct json_node v, struct block *to)
{
    struct json_node data = json_node_is(v, JSON_OBJECT) ? json_node_get(v, STR("data")) : v;

    to->media = (struct media){.source = MEDIA_TEXT, .type = STR("text/plain")};
    to->id = json_get_text(v, STR("id"), r->arena);
    if (json_node_is(data, JSON_STRING)) {
        to->media.data = json_node_text(data, r->arena);
    } else if (is_titled_text(data)) {
        to->media.data = json_get_text(data, STR("text"), r->arena);
        to->media.name = json_get_text(data, STR("title"), r->arena);
    } else if (json_node_is(data, JSON_OBJECT)) {
        to->media.data = json_node_raw(data);
        to->media.type = STR("application/json");
    } else {
        return refuse(r, v, "a document must be a string, or an object with 'data'");
    }
    return OK;
}

static err_t read_content(struct reading *r, struct json_node content, struct block **to)
{
    if (json_node_is(content, JSON_STRING)) {
        chat_add_block(to, r->arena, BLOCK_TEXT, content)->text = json_node_text(content, r->arena);
        return OK;
    }
    if (!json_node_is(content, JSON_ARRAY))
        return refuse(r, content, "'content' must be a string or an array of parts");
    JSON_EACH(w, content) {
        if (!json_node_is(w.value, JSON_OBJECT))
            return refuse(r, w.value, "a part of the content must be an object with a 'type'");
        if (json_node_text_is(json_node_get(w.value, STR("type")), STR("document")))
            TRY(read_document(r, json_node_get(w.value, STR("document")),
                              chat_add_block(to, r->arena, BLOCK_DOCUMENT, w.value)));
        else
            TRY(cohere_read_part(r->arena, w.value, to, r->ret_param));
    }
    return OK;
}

/* --- citations --- */

void cohere_read_citation(struct json_node v, size_t number, struct arena *arena, struct citation *ret)
{
    struct json_node source = json_node_at(json_node_get(v, STR("sources")), number);
    struct json_node document = json_node_get(source, STR("document"));

    if (!json_node_is(document, JSON_OBJECT)) /* what a tool returned has the same members where it has any */
        document = json_node_get(source, STR("tool_output"));
    *ret = (struct citation){.start = -1, .end = -1, .of = &dialect_cohere};
    if (!number)
        ret->raw = json_node_raw(v);
    (void)json_node_i64(json_node_get(v, STR("start")), &ret->start);
    (void)json_node_i64(json_node_get(v, STR("end")), &ret->end);
    ret->document_id = json_get_text(source, STR("id"), arena);
    ret->url = json_get_text(document, STR("url"), arena);
    ret->title = json_get_text(document, STR("title"), arena);
    ret->cited_text = json_get_text(document, STR("text"), arena);
    if (!ret->cited_text.n)
        ret->cited_text = json_get_text(document, STR("snippet"), arena);
}

/* The block that a citation is of: content part number content_index, or the last text. */
static struct block *cited_block(struct block *blocks, struct json_node citation)
{
    struct block *found = NULL;
    int64_t index = -1, i = 0;

    (void)json_node_i64(json_node_get(citation, STR("content_index")), &index);
    for (struct block *b = blocks; b; b = b->next, i++)
        if (b->kind == BLOCK_TEXT && (index < 0 || index == i))
            found = b;
    return found;
}

static void read_citations(struct reading *r, struct json_node citations, struct block *blocks)
{
    JSON_EACH(w, citations) {
        struct block *b = cited_block(blocks, w.value);
        struct citation **last = b ? &b->citations : NULL;
        if (!last)
            continue;
        while (*last)
            last = &(*last)->next;
        *last = arena_new(r->arena, struct citation);
        cohere_read_citation(w.value, 0, r->arena, *last);
    }
}

/* --- messages --- */

static err_t read_call(struct reading *r, struct json_node v, struct block **to)
{
    struct json_node function = json_node_get(v, STR("function"));
    struct json_node arguments = json_node_get(function, STR("arguments"));
    struct block *b = chat_add_block(to, r->arena, BLOCK_TOOL_CALL, v);

    b->id = json_get_text(v, STR("id"), r->arena);
    b->name = json_get_text(function, STR("name"), r->arena);
    if (!b->name.n)
        return refuse(r, v, "a tool call needs a 'function' with a 'name'");
    b->arguments =
        json_node_is(arguments, JSON_OBJECT) ? json_node_raw(arguments) : json_node_text(arguments, r->arena);
    return OK;
}

static err_t read_assistant(struct reading *r, struct json_node v)
{
    struct turn *t = chat_add_turn(r->q, r->arena, CHAT_ASSISTANT, v);
    struct json_node content = json_node_get(v, STR("content")), plan = json_node_get(v, STR("tool_plan"));
    struct json_node calls = json_node_get(v, STR("tool_calls"));

    if (json_node_is_set(content))
        TRY(read_content(r, content, &t->blocks));
    read_citations(r, json_node_get(v, STR("citations")), t->blocks);
    if (json_node_text(plan, r->arena).n)
        chat_add_block(&t->blocks, r->arena, BLOCK_TEXT, plan)->text = json_node_text(plan, r->arena);
    if (json_node_is_set(calls) && !json_node_is(calls, JSON_ARRAY))
        return refuse(r, calls, "'tool_calls' must be an array");
    JSON_EACH(w, calls)
        TRY(read_call(r, w.value, &t->blocks));
    note_unknown(r, v, "role content tool_plan tool_calls citations");
    return OK;
}

static err_t read_result(struct reading *r, struct json_node v)
{
    struct turn *t = chat_add_turn(r->q, r->arena, CHAT_USER, v);
    struct json_node content = json_node_get(v, STR("content"));
    struct block *b = chat_add_block(&t->blocks, r->arena, BLOCK_TOOL_RESULT, v);

    b->id = json_get_text(v, STR("tool_call_id"), r->arena);
    if (!b->id.n)
        return refuse(r, v, "a tool message needs the 'tool_call_id' of the call that it answers");
    const struct block *call = chat_find_call(r->q, b->id, NULL);
    b->name = call ? call->name : STR_NONE;
    if (json_node_is_set(content))
        TRY(read_content(r, content, &b->content));
    note_unknown(r, v, "role tool_call_id content");
    return OK;
}

static err_t read_message(struct reading *r, struct json_node v)
{
    struct json_node role = json_node_get(v, STR("role"));

    if (!json_node_is(v, JSON_OBJECT))
        return refuse(r, v, "a message must be an object");
    if (json_node_text_is(role, STR("assistant")))
        return read_assistant(r, v);
    if (json_node_text_is(role, STR("tool")))
        return read_result(r, v);
    bool is_user = json_node_text_is(role, STR("user"));
    if (!is_user && !json_node_text_is(role, STR("system")))
        return refuse(r, v, "'role' must be system, user, assistant or tool");
    struct turn *t = chat_add_turn(r->q, r->arena, is_user ? CHAT_USER : CHAT_SYSTEM, v);
    TRY(read_content(r, json_node_get(v, STR("content")), &t->blocks));
    note_unknown(r, v, "role content");
    return OK;
}

static err_t read_messages(struct reading *r, struct json_node v)
{
    if (!json_node_is(v, JSON_ARRAY))
        return refuse(r, v, "'messages' must be an array");
    JSON_EACH(w, v)
        TRY(read_message(r, w.value));
    return OK;
}

/* --- documents --- */

/* Is this mode said by the documents' blocks? Of those for speed or care there is no canonical form. */
static enum truth citations_of(struct reading *r)
{
    struct json_node mode = json_node_get(r->citation_options, STR("mode"));
    bool off = json_node_text_is(mode, STR("OFF")) || json_node_text_is(mode, STR("DISABLED"));

    return off ? NO : YES;
}

static void keep_citation_options(struct reading *r, struct json_node key)
{
    struct json_node mode = json_node_get(r->citation_options, STR("mode"));
    bool said = json_node_is_set(r->documents) && json_node_count(r->citation_options) == 1 &&
                (json_node_text_is(mode, STR("OFF")) || json_node_text_is(mode, STR("ENABLED")));

    if (!said)
        chat_add_extra(r->q, r->arena, key, r->citation_options, false);
}

static struct turn *turn_of_documents(struct reading *r)
{
    struct turn *found = NULL;

    for (struct turn *t = r->q->turns; t; t = t->next)
        if (t->role == CHAT_USER && !turn_has(t, BLOCK_TOOL_RESULT))
            found = t;
    return found ? found : chat_add_turn(r->q, r->arena, CHAT_USER, JSON_ABSENT);
}

static err_t read_documents(struct reading *r)
{
    struct block *first = NULL, *last;

    if (!json_node_is_set(r->documents))
        return OK;
    if (!json_node_is(r->documents, JSON_ARRAY))
        return refuse(r, r->documents, "'documents' must be an array");
    JSON_EACH(w, r->documents) {
        struct block *b = chat_add_block(&first, r->arena, BLOCK_DOCUMENT, w.value);
        b->citations_on = citations_of(r);
        TRY(read_document(r, w.value, b));
    }
    if (!first)
        return OK;
    struct turn *t = turn_of_documents(r);
    for (last = first; last->next; last = last->next)
        ;
    last->next = t->blocks;
    t->blocks = first;
    return OK;
}

/* --- tools --- */

static err_t read_tool(struct reading *r, struct json_node v)
{
    struct json_node function = json_node_get(v, STR("function"));
    struct json_node parameters = json_node_get(function, STR("parameters"));
    struct tool *to = chat_add_tool(r->q, r->arena, TOOL_FUNCTION, v);

    to->name = json_get_text(function, STR("name"), r->arena);
    if (!to->name.n)
        return refuse(r, v, "a tool needs a 'function' with a 'name'");
    to->description = json_get_text(function, STR("description"), r->arena);
    to->parameters = json_node_is_set(parameters) ? json_node_raw(parameters) : STR_NONE;
    note_unknown(r, function, "name description parameters");
    return OK;
}

static err_t read_tools(struct reading *r, struct json_node v)
{
    if (!json_node_is(v, JSON_ARRAY))
        return refuse(r, v, "'tools' must be an array");
    JSON_EACH(w, v)
        TRY(read_tool(r, w.value));
    return OK;
}

static err_t read_strict_tools(struct reading *r, struct json_node v)
{
    struct flag strict = {0};

    chat_read_flag(&strict, v);
    r->strict = strict.is;
    return OK;
}

static err_t read_tool_choice(struct reading *r, struct json_node v)
{
    struct str name = json_node_text(v, r->arena);

    r->q->tool_choice.from = v;
    if (str_eq_nocase(name, STR("REQUIRED")))
        r->q->tool_choice.kind = CHOICE_REQUIRED;
    else if (str_eq_nocase(name, STR("NONE")))
        r->q->tool_choice.kind = CHOICE_NONE;
    else
        return refuse(r, v, "'tool_choice' must be REQUIRED or NONE; leave it out to let the model decide");
    return OK;
}

/* --- settings --- */

static err_t read_stream(struct reading *r, struct json_node v)
{
    return json_node_bool(v, &r->q->stream) ? OK : refuse(r, v, "'stream' must be true or false");
}

static err_t read_stops(struct reading *r, struct json_node v)
{
    size_t n = json_node_count(v), i = 0;

    if (!json_node_is(v, JSON_ARRAY))
        return refuse(r, v, "'stop_sequences' must be an array of strings");
    r->q->stops = arena_zalloc(r->arena, (n ? n : 1) * sizeof *r->q->stops);
    r->q->stop_count = n;
    JSON_EACH(w, v) {
        if (!json_node_is(w.value, JSON_STRING))
            return refuse(r, w.value, "each of 'stop_sequences' must be a string");
        chat_read_setting(&r->q->stops[i++], w.value, r->arena);
    }
    return OK;
}

static err_t read_format(struct reading *r, struct json_node v)
{
    struct json_node type = json_node_get(v, STR("type")), schema = json_node_get(v, STR("json_schema"));
    struct response_format *f = &r->q->format;

    f->from = v;
    if (!json_node_is_set(schema))
        schema = json_node_get(v, STR("schema")); /* its older name */
    if (json_node_text_is(type, STR("text"))) {
        f->kind = FORMAT_TEXT;
    } else if (json_node_text_is(type, STR("json_object"))) {
        f->kind = json_node_is(schema, JSON_OBJECT) ? FORMAT_SCHEMA : FORMAT_JSON;
        f->schema = f->kind == FORMAT_SCHEMA ? json_node_raw(schema) : STR_NONE;
    } else {
        return refuse(r, v, "'response_format' needs a 'type': text or json_object");
    }
    note_unknown(r, v, "type json_schema schema");
    return OK;
}

static err_t read_thinking(struct reading *r, struct json_node v)
{
    struct json_node type = json_node_get(v, STR("type")), budget = json_node_get(v, STR("token_budget"));

    r->q->reasoning.from = v;
    if (json_node_text_is(type, STR("enabled")))
        r->q->reasoning.on = YES;
    else if (json_node_text_is(type, STR("disabled")))
        r->q->reasoning.on = NO;
    else
        return refuse(r, v, "'thinking' needs a 'type': enabled or disabled");
    if (json_node_is_set(budget) && (!json_node_i64(budget, &r->q->reasoning.budget) || r->q->reasoning.budget < 0))
        return refuse(r, budget, "'token_budget' must be a number of tokens");
    note_unknown(r, v, "type token_budget");
    return OK;
}

static err_t skip(struct reading *r, struct json_node v)
{
    (void)r;
    (void)v;
    return OK;
}

enum how { A_NUMBER, A_FLAG, BY_FUNCTION };

static const struct member {
    struct str key;
    enum how how;
    size_t at; /* in struct chat_request */
    err_t (*read)(struct reading *r, struct json_node v);
} members[] = {
    {STR_INIT("model"), BY_FUNCTION, 0, skip},
    {STR_INIT("messages"), BY_FUNCTION, 0, read_messages},
    {STR_INIT("stream"), BY_FUNCTION, 0, read_stream},
    {STR_INIT("tools"), BY_FUNCTION, 0, read_tools},
    {STR_INIT("strict_tools"), BY_FUNCTION, 0, read_strict_tools},
    {STR_INIT("tool_choice"), BY_FUNCTION, 0, read_tool_choice},
    {STR_INIT("documents"), BY_FUNCTION, 0, skip},
    {STR_INIT("response_format"), BY_FUNCTION, 0, read_format},
    {STR_INIT("max_tokens"), A_NUMBER, offsetof(struct chat_request, max_output), NULL},
    {STR_INIT("stop_sequences"), BY_FUNCTION, 0, read_stops},
    {STR_INIT("temperature"), A_NUMBER, offsetof(struct chat_request, temperature), NULL},
    {STR_INIT("seed"), A_NUMBER, offsetof(struct chat_request, seed), NULL},
    {STR_INIT("frequency_penalty"), A_NUMBER, offsetof(struct chat_request, frequency_penalty), NULL},
    {STR_INIT("presence_penalty"), A_NUMBER, offsetof(struct chat_request, presence_penalty), NULL},
    {STR_INIT("k"), A_NUMBER, offsetof(struct chat_request, top_k), NULL},
    {STR_INIT("p"), A_NUMBER, offsetof(struct chat_request, top_p), NULL},
    {STR_INIT("logprobs"), A_FLAG, offsetof(struct chat_request, logprobs), NULL},
    {STR_INIT("thinking"), BY_FUNCTION, 0, read_thinking},
};

static err_t read_member(struct reading *r, const struct member *m, struct json_node v)
{
    void *to = (char *)r->q + m->at;
    enum json_kind kind = json_node_kind(v);

    switch (m->how) {
    case A_NUMBER:
        if (kind != JSON_NUMBER)
            return refuse(r, v, "'%.*s' must be a number", STR_ARG(m->key));
        chat_read_number(to, v);
        return OK;
    case A_FLAG:
        if (kind != JSON_TRUE && kind != JSON_FALSE)
            return refuse(r, v, "'%.*s' must be true or false", STR_ARG(m->key));
        chat_read_flag(to, v);
        return OK;
    case BY_FUNCTION:
        return m->read(r, v);
    }
    return OK;
}

static err_t read_members(struct reading *r, struct json_node root)
{
    JSON_EACH(w, root) {
        size_t i = 0;
        if (!json_node_is_set(w.value))
            continue;
        while (i < ARRAY_LEN(members) && !json_walk_key_is(&w, members[i].key))
            i++;
        if (i < ARRAY_LEN(members))
            TRY(read_member(r, &members[i], w.value));
        else if (json_walk_key_is(&w, STR("citation_options")))
            keep_citation_options(r, w.key);
        else
            chat_add_extra(r->q, r->arena, w.key, w.value, false);
    }
    return OK;
}

err_t cohere_read_chat(struct translation *t, const struct json_tree *doc, struct chat_request *ret,
                       struct str *ret_param)
{
    struct json_node root = json_tree_root(doc);
    struct reading r = {.t = t, .arena = t->arena, .q = ret, .ret_param = ret_param};

    *ret = (struct chat_request){.dialect = t->client, .document = doc, .include_usage = true, .reasoning.budget = -1};
    if (!json_node_is(root, JSON_OBJECT))
        return fail(E_PARSE, "the body must be a JSON object");
    ret->model = json_get_text(root, STR("model"), t->arena);
    *ret_param = STR("/model");
    if (!ret->model.n)
        return fail(E_PARSE, "'model' must be a string that names the model");
    *ret_param = STR("/messages");
    if (!json_node_is_set(json_node_get(root, STR("messages"))))
        return fail(E_PARSE, "'messages' is missing: give an array of messages");
    *ret_param = STR_NONE;
    r.documents = json_node_get(root, STR("documents"));
    r.citation_options = json_node_get(root, STR("citation_options"));
    TRY(read_members(&r, root));
    for (struct tool *tool = ret->tools; tool; tool = tool->next)
        tool->strict = r.strict;
    return read_documents(&r);
}
