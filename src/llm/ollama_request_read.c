/*
 * ollama_request_read.c - a request to Ollama's /api/chat or /api/generate as the canonical one.
 *
 * A prompt of /api/generate is what a user says, behind the system text; it is a completion only if it is raw or is to be continued towards a
 * suffix, since otherwise Ollama puts it into the model's template like any message. What steers Ollama's own engine (keep_alive, template,
 * context, options such as num_ctx) stays in the extras.
 *
 * Ids of calls are optional here: a call without one gets an id made of its place and name, so that it is the same whenever the history comes
 * back, and a result without one answers the first call of its name that has no result yet.
 */
#include "llm/ollama_int.h"

#include "base/map.h"
#include "codec/json_tree.h"
#include "llm/tool_id.h"

/* What a result may name: an id and its last call. */
struct call_id {
    const struct block *call;
    bool answered;
};

/* A call of the last assistant message. */
struct pending {
    struct pending *next, *next_of_name;
    const struct block *call;
    struct call_id *id;
};

/* Those of one name. */
struct call_name {
    struct pending *first, *last;
    unsigned turn; /* whose calls they are; others of the name are out of date */
};

struct reading {
    struct arena *arena;
    struct chat_request *q;
    struct str *param;
    struct map ids;   /* id -> struct call_id, of all messages                       */
    struct map names; /* name -> struct call_name                                    */
    struct pending *first_pending,
        *last_pending; /* calls of the last assistant message; answered ones are passed over */
    struct json_node prompt, images, system, suffix;
    bool raw;
    unsigned turn;      /* number of the message being read        */
    unsigned assistant; /* number of the last one of the assistant */
};

static void reading_release(struct reading *r)
{
    map_release(&r->ids);
    map_release(&r->names);
}

/* --- refusing --- */

static err_t refuse(struct reading *r, struct json_node at, const char *what)
{
    *r->param = json_node_pointer(at, r->arena);
    return fail(E_PARSE, "%.*s %s", STR_ARG(*r->param), what);
}

/* --- messages --- */

/* A string that may be absent. */
static err_t read_text(struct reading *r, struct json_node object, struct str key, struct str *ret)
{
    struct json_node v = json_node_get(object, key);

    *ret = STR_NONE;
    if (!json_node_is_set(v))
        return OK;
    if (!json_node_is(v, JSON_STRING))
        return refuse(r, v, "must be a string");
    *ret = json_node_text(v, r->arena);
    if (!ret->p)
        *ret = STR("");
    return OK;
}

/* Base64 as it is; libraries that write data: URLs are understood, too. */
static err_t read_images(struct reading *r, struct block **to, struct json_node images)
{
    if (json_node_is_set(images) && !json_node_is(images, JSON_ARRAY))
        return refuse(r, images, "must be a list of images in base64");
    JSON_EACH(w, images) {
        struct str data = json_node_text(w.value, r->arena);
        if (!data.n)
            return refuse(r, w.value, "must be an image in base64");
        struct block *b = chat_add_block(to, r->arena, BLOCK_IMAGE, w.value);
        if (str_starts_nocase(data, STR("data:"))) {
            if (media_from_url(&b->media, data, r->arena) != OK)
                return refuse(r, w.value, "must be an image in base64");
            continue;
        }
        b->media.source = MEDIA_BASE64;
        b->media.data = base64_standard(data, r->arena);
        b->media.type = media_sniff(b->media.data);
    }
    return OK;
}

static void add_text(struct reading *r, struct block **to, enum block_kind kind, struct str text, struct json_node from)
{
    chat_add_block(to, r->arena, kind, from)->text = text;
}

static struct call_id *id_of(struct reading *r, struct str id)
{
    struct call_id *found = map_get(&r->ids, id);

    if (!found) {
        found = arena_new(r->arena, struct call_id);
        map_put(&r->ids, id, found);
    }
    return found;
}

static struct call_name *name_of(struct reading *r, struct str name)
{
    struct call_name *found = map_get(&r->names, name);

    if (!found) {
        found = arena_new(r->arena, struct call_name);
        map_put(&r->names, name, found);
    }
    if (found->turn != r->turn)
        *found = (struct call_name){.turn = r->turn};
    return found;
}

/* The call waits for its result. */
static void expect_result(struct reading *r, const struct block *call)
{
    struct pending *p = arena_new(r->arena, struct pending);
    struct call_id *id = id_of(r, call->id);
    struct call_name *name = name_of(r, call->name);

    *id = (struct call_id){.call = call};
    p->call = call;
    p->id = id;
    *(r->last_pending ? &r->last_pending->next : &r->first_pending) = p;
    r->last_pending = p;
    *(name->last ? &name->last->next_of_name : &name->first) = p;
    name->last = p;
}

/* The first call of the last assistant message, or of this name in it, that has no result yet. */
static const struct pending *first_unanswered(struct reading *r, struct str name)
{
    if (!name.n) {
        while (r->first_pending && r->first_pending->id->answered)
            r->first_pending = r->first_pending->next;
        return r->first_pending;
    }
    struct call_name *n = map_get(&r->names, name);
    if (!n || n->turn != r->assistant)
        return NULL;
    while (n->first && n->first->id->answered)
        n->first = n->first->next_of_name;
    return n->first;
}

/* The call that a result answers: by its id, else the first of its name without a result yet. NULL if there is none. */
static const struct block *answer_call(struct reading *r, struct str id, struct str name)
{
    const struct pending *p = id.n ? NULL : first_unanswered(r, name);
    struct call_id *found = id.n ? map_get(&r->ids, id) : p ? p->id : NULL;

    if (!found)
        return NULL;
    found->answered = true;
    return p ? p->call : found->call;
}

static err_t read_call(struct reading *r, struct turn *t, struct json_node v, unsigned part)
{
    static const struct str known[] = {STR_INIT("id"), STR_INIT("type"), STR_INIT("function")};
    static const struct str known_here[] = {STR_INIT("index"), STR_INIT("name"), STR_INIT("arguments")};
    struct json_node function = json_node_get(v, STR("function"));
    struct json_node arguments = json_node_get(function, STR("arguments"));
    struct str name = json_get_text(function, STR("name"), r->arena), id = json_get_text(v, STR("id"), r->arena);

    if (!name.n)
        return refuse(r, v, "must be a call of the form {\"function\": {\"name\": …, \"arguments\": {…}}}");
    if (json_node_is_set(arguments) && !json_node_is(arguments, JSON_OBJECT) && !json_node_is(arguments, JSON_STRING))
        return refuse(r, arguments, "must be an object");
    struct block *b = chat_add_block(&t->blocks, r->arena, BLOCK_TOOL_CALL, v);
    b->name = name;
    b->id = id.n ? id : tool_id_make(r->turn, part, name, r->arena);
    b->arguments = json_node_is(arguments, JSON_OBJECT)   ? json_node_raw(arguments)
                   : json_node_is(arguments, JSON_STRING) ? json_node_text(arguments, r->arena)
                                                          : STR("{}");
    expect_result(r, b);
    chat_keep_unknown(r->q, r->arena, v, known, ARRAY_LEN(known));
    chat_keep_unknown(r->q, r->arena, function, known_here, ARRAY_LEN(known_here));
    return OK;
}

static err_t read_assistant(struct reading *r, struct turn *t, struct json_node v, struct str content)
{
    struct json_node calls = json_node_get(v, STR("tool_calls"));
    struct str thinking;
    unsigned part = 0;

    r->assistant = r->turn;
    r->first_pending = r->last_pending = NULL;
    TRY(read_text(r, v, STR("thinking"), &thinking));
    if (thinking.n)
        add_text(r, &t->blocks, BLOCK_THINKING, thinking, json_node_get(v, STR("thinking")));
    TRY(read_images(r, &t->blocks, json_node_get(v, STR("images"))));
    if (content.n || (content.p && !t->blocks && !json_node_count(calls)))
        add_text(r, &t->blocks, BLOCK_TEXT, content, json_node_get(v, STR("content")));
    if (json_node_is_set(calls) && !json_node_is(calls, JSON_ARRAY))
        return refuse(r, calls, "must be a list of calls");
    JSON_EACH(w, calls)
        TRY(read_call(r, t, w.value, part++));
    return OK;
}

static err_t read_result(struct reading *r, struct turn *t, struct json_node v, struct str content)
{
    struct str name, id;

    TRY(read_text(r, v, STR("tool_name"), &name));
    TRY(read_text(r, v, STR("tool_call_id"), &id));
    if (!name.n) /* as OpenAI's clients call it */
        TRY(read_text(r, v, STR("name"), &name));
    struct block *b = chat_add_block(&t->blocks, r->arena, BLOCK_TOOL_RESULT, v);
    const struct block *call = answer_call(r, id, name);
    b->id = id.n ? id : call ? call->id : STR_NONE;
    b->name = name.n ? name : call ? call->name : STR_NONE;
    if (content.p)
        add_text(r, &b->content, BLOCK_TEXT, content, json_node_get(v, STR("content")));
    return read_images(r, &b->content, json_node_get(v, STR("images")));
}

/* Pictures stand before the text, where Ollama's templates put them. */
static err_t read_user(struct reading *r, struct turn *t, struct json_node v, struct str content)
{
    TRY(read_images(r, &t->blocks, json_node_get(v, STR("images"))));
    if (content.n || (content.p && !t->blocks))
        add_text(r, &t->blocks, BLOCK_TEXT, content, json_node_get(v, STR("content")));
    return OK;
}

static const struct {
    struct str name;
    enum chat_role role;
    bool result;
} roles[] = {
    {STR_INIT("system"), CHAT_SYSTEM, false},       {STR_INIT("user"), CHAT_USER, false},
    {STR_INIT("assistant"), CHAT_ASSISTANT, false}, {STR_INIT("tool"), CHAT_USER, true},
    {STR_INIT("developer"), CHAT_DEVELOPER, false},
};

static err_t read_message(struct reading *r, struct json_node v)
{
    static const struct str known[] = {STR_INIT("role"),   STR_INIT("content"),     STR_INIT("thinking"),
                                       STR_INIT("images"), STR_INIT("tool_calls"),  STR_INIT("tool_name"),
                                       STR_INIT("name"),   STR_INIT("tool_call_id")};
    struct json_node role = json_node_get(v, STR("role"));
    size_t i = 0;
    struct str content;

    while (i < ARRAY_LEN(roles) && !json_node_text_is(role, roles[i].name))
        i++;
    if (i == ARRAY_LEN(roles))
        return refuse(r, json_is_absent(role) ? v : role,
                      "must have a role of: \"system\", \"user\", \"assistant\", \"tool\"");
    TRY(read_text(r, v, STR("content"), &content));
    struct turn *t = chat_add_turn(r->q, r->arena, roles[i].role, v);
    chat_keep_unknown(r->q, r->arena, v, known, ARRAY_LEN(known));
    if (roles[i].result)
        TRY(read_result(r, t, v, content));
    else if (roles[i].role == CHAT_ASSISTANT)
        TRY(read_assistant(r, t, v, content));
    else
        TRY(read_user(r, t, v, content));
    if (!roles[i].result)
        t->name = json_get_text(v, STR("name"), r->arena);
    r->turn++;
    return OK;
}

static err_t take_messages(struct reading *r, struct json_node v)
{
    if (!json_node_is(v, JSON_ARRAY))
        return refuse(r, v, "must be a list of messages");
    JSON_EACH(w, v)
        TRY(read_message(r, w.value));
    return OK;
}

/* --- tools --- */

static err_t read_tool(struct reading *r, struct json_node v)
{
    static const struct str known[] = {STR_INIT("type"), STR_INIT("function")};
    static const struct str known_here[] = {STR_INIT("name"), STR_INIT("description"), STR_INIT("parameters"),
                                            STR_INIT("strict")};
    struct json_node function = json_node_get(v, STR("function")), strict = json_node_get(function, STR("strict"));
    struct str name = json_get_text(function, STR("name"), r->arena);
    struct flag flag = {0};

    if (!name.n)
        return refuse(r, v, "must be a tool of the form {\"type\": \"function\", \"function\": {\"name\": …}}");
    struct tool *t = chat_add_tool(r->q, r->arena, TOOL_FUNCTION, v);
    t->name = name;
    t->description = json_get_text(function, STR("description"), r->arena);
    if (json_node_is(json_node_get(function, STR("parameters")), JSON_OBJECT))
        t->parameters = json_node_raw(json_node_get(function, STR("parameters")));
    chat_read_flag(&flag, strict);
    t->strict = flag.is;
    chat_keep_unknown(r->q, r->arena, v, known, ARRAY_LEN(known));
    chat_keep_unknown(r->q, r->arena, function, known_here, ARRAY_LEN(known_here));
    return OK;
}

static err_t take_tools(struct reading *r, struct json_node v)
{
    if (!json_node_is(v, JSON_ARRAY))
        return refuse(r, v, "must be a list of tools");
    JSON_EACH(w, v)
        TRY(read_tool(r, w.value));
    return OK;
}

/* --- settings --- */

static err_t take_format(struct reading *r, struct json_node v)
{
    struct response_format *f = &r->q->format;

    if (json_node_text_is(v, STR("")))
        return OK;
    f->from = v;
    if (json_node_text_is(v, STR("json"))) {
        f->kind = FORMAT_JSON;
        return OK;
    }
    if (!json_node_is(v, JSON_OBJECT))
        return refuse(r, v, "must be \"json\" or a JSON schema");
    f->kind = FORMAT_SCHEMA;
    f->schema = json_node_raw(v);
    return OK;
}

static err_t take_think(struct reading *r, struct json_node v)
{
    struct reasoning *to = &r->q->reasoning;
    enum effort effort = effort_of(json_node_text(v, r->arena));
    bool truth;

    to->from = v;
    if (json_node_bool(v, &truth)) {
        to->on = truth ? YES : NO;
        to->show = truth ? YES : UNSET;
        return OK;
    }
    if (effort == EFFORT_UNSET)
        return refuse(r, v, "must be true, false, \"low\", \"medium\", \"high\" or \"max\"");
    to->on = effort == EFFORT_NONE ? NO : YES;
    to->show = to->on == YES ? YES : UNSET;
    to->effort = effort;
    return OK;
}

static err_t read_stops(struct reading *r, struct json_node v)
{
    size_t n = json_node_is(v, JSON_ARRAY) ? json_node_count(v) : 1, i = 0;
    struct chat_request *q = r->q;

    q->stops = arena_zalloc(r->arena, (n ? n : 1) * sizeof *q->stops);
    if (json_node_is(v, JSON_STRING)) {
        chat_read_setting(&q->stops[0], v, r->arena);
        q->stop_count = 1;
        return OK;
    }
    if (!json_node_is(v, JSON_ARRAY))
        return refuse(r, v, "must be a list of strings");
    JSON_EACH(w, v) {
        if (!json_node_is(w.value, JSON_STRING))
            return refuse(r, w.value, "must be a string");
        chat_read_setting(&q->stops[i++], w.value, r->arena);
    }
    q->stop_count = n;
    return OK;
}

/* Below zero: as much as the model likes, which is what no limit means everywhere. */
static void drop_no_limit(struct number *n)
{
    if (n->text.n && n->text.p[0] == '-')
        *n = (struct number){0};
}

#define AT(member) offsetof(struct chat_request, member)

static const struct {
    struct str name;
    size_t at;
} numbers[] = {
    {STR_INIT("num_predict"), AT(max_output)},
    {STR_INIT("temperature"), AT(temperature)},
    {STR_INIT("top_k"), AT(top_k)},
    {STR_INIT("top_p"), AT(top_p)},
    {STR_INIT("min_p"), AT(min_p)},
    {STR_INIT("typical_p"), AT(typical_p)},
    {STR_INIT("repeat_penalty"), AT(repetition_penalty)},
    {STR_INIT("presence_penalty"), AT(presence_penalty)},
    {STR_INIT("frequency_penalty"), AT(frequency_penalty)},
    {STR_INIT("seed"), AT(seed)},
};

static err_t read_option(struct reading *r, const struct json_walk *w)
{
    if (json_walk_key_is(w, STR("stop")))
        return read_stops(r, w->value);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        if (!json_walk_key_is(w, numbers[i].name))
            continue;
        if (!json_node_is(w->value, JSON_NUMBER))
            return refuse(r, w->value, "must be a number");
        chat_read_number((struct number *)((char *)r->q + numbers[i].at), w->value);
        return OK;
    }
    chat_add_extra(r->q, r->arena, w->key, w->value, true);
    return OK;
}

static err_t take_options(struct reading *r, struct json_node v)
{
    if (!json_node_is(v, JSON_OBJECT))
        return refuse(r, v, "must be an object");
    JSON_EACH(w, v)
        if (json_node_is_set(w.value))
            TRY(read_option(r, &w));
    drop_no_limit(&r->q->max_output);
    return OK;
}

static err_t take_stream(struct reading *r, struct json_node v)
{
    return json_node_bool(v, &r->q->stream) ? OK : refuse(r, v, "must be true or false");
}

static err_t take_model(struct reading *r, struct json_node v)
{
    r->q->model = json_node_text(v, r->arena);
    return OK;
}

static err_t take_logprobs(struct reading *r, struct json_node v)
{
    chat_read_flag(&r->q->logprobs, v);
    return OK;
}

static err_t take_top_logprobs(struct reading *r, struct json_node v)
{
    chat_read_number(&r->q->top_logprobs, v);
    return OK;
}

/* --- /api/generate --- */

static err_t take_prompt(struct reading *r, struct json_node v)
{
    r->prompt = v;
    return json_node_is(v, JSON_STRING) ? OK : refuse(r, v, "must be a string");
}

static err_t take_images(struct reading *r, struct json_node v)
{
    r->images = v;
    return OK;
}

static err_t take_system(struct reading *r, struct json_node v)
{
    r->system = v;
    return json_node_is(v, JSON_STRING) ? OK : refuse(r, v, "must be a string");
}

static err_t take_suffix(struct reading *r, struct json_node v)
{
    r->suffix = v;
    return json_node_is(v, JSON_STRING) ? OK : refuse(r, v, "must be a string");
}

static err_t take_raw(struct reading *r, struct json_node v)
{
    return json_node_bool(v, &r->raw) ? OK : refuse(r, v, "must be true or false");
}

static err_t make_turns(struct reading *r, struct json_node root)
{
    struct chat_request *q = r->q;
    struct str system = json_node_text(r->system, r->arena);

    chat_read_setting(&q->suffix, r->suffix, r->arena);
    q->is_completion = r->raw || q->suffix.text.n;
    if (q->is_completion && system.n) {
        JSON_EACH(w, root)
            if (json_walk_key_is(&w, STR("system")))
                chat_add_extra(q, r->arena, w.key, w.value, false);
    } else if (system.n) {
        struct turn *t = chat_add_turn(q, r->arena, CHAT_SYSTEM, r->system);
        add_text(r, &t->blocks, BLOCK_TEXT, system, r->system);
    }
    struct turn *t = chat_add_turn(q, r->arena, CHAT_USER, json_is_absent(r->prompt) ? root : r->prompt);
    TRY(read_images(r, &t->blocks, r->images));
    add_text(r, &t->blocks, BLOCK_TEXT, json_node_text(r->prompt, r->arena), r->prompt);
    return OK;
}

/* --- the document --- */

struct member {
    struct str name;
    err_t (*take)(struct reading *r, struct json_node v);
};

#define COMMON                                                                                                         \
    {STR_INIT("model"), take_model}, {STR_INIT("stream"), take_stream}, {STR_INIT("format"), take_format},             \
        {STR_INIT("options"), take_options}, {STR_INIT("think"), take_think}, {STR_INIT("logprobs"), take_logprobs},   \
    {                                                                                                                  \
        STR_INIT("top_logprobs"), take_top_logprobs                                                                    \
    }

static const struct member chat_members[] = {
    COMMON, {STR_INIT("messages"), take_messages}, {STR_INIT("tools"), take_tools}};

static const struct member generate_members[] = {COMMON,
                                                 {STR_INIT("prompt"), take_prompt},
                                                 {STR_INIT("images"), take_images},
                                                 {STR_INIT("system"), take_system},
                                                 {STR_INIT("suffix"), take_suffix},
                                                 {STR_INIT("raw"), take_raw}};

static err_t read_members(struct reading *r, struct json_node root, const struct member *members, size_t count)
{
    JSON_EACH(w, root) {
        size_t i = 0;
        if (!json_node_is_set(w.value))
            continue;
        while (i < count && !json_walk_key_is(&w, members[i].name))
            i++;
        if (i < count)
            TRY(members[i].take(r, w.value));
        else
            chat_add_extra(r->q, r->arena, w.key, w.value, false);
    }
    return OK;
}

err_t ollama_read_chat(struct translation *t, const struct json_tree *doc, struct chat_request *ret,
                       struct str *ret_param)
{
    struct json_node root = json_tree_root(doc);
    bool generate = t->row && t->row->variant == OLLAMA_GENERATE;
    struct chat_request q = {.dialect = &dialect_ollama,
                             .document = doc,
                             .stream = true, /* unless the client says no */
                             .include_usage = true,
                             .reasoning = {.budget = -1}};
    struct reading r CLEANUP(reading_release) = {.arena = t->arena, .q = &q, .param = ret_param};

    *ret_param = STR_NONE;
    if (!json_node_is(root, JSON_OBJECT))
        return fail(E_PARSE, "the body must be a JSON object");
    if (generate) {
        TRY(read_members(&r, root, generate_members, ARRAY_LEN(generate_members)));
        TRY(make_turns(&r, root));
    } else {
        TRY(read_members(&r, root, chat_members, ARRAY_LEN(chat_members)));
    }
    if (!q.model.n) {
        *ret_param = STR("model");
        return fail(E_PARSE, "model is required: give its name as a string");
    }
    *ret = q;
    return OK;
}
