/*
 * cohere_request_write.c - a canonical request as Cohere's /v2/chat gets it.
 *
 * What the service demands and other dialects do not know: results right behind their calls, the last word with the user or a tool, no empty
 * content, settings within narrow ranges, at most five stop sequences, and no structured output beside tools or documents: there the schema
 * goes into the instructions. A single tool is forced by offering only that one. Documents that are text go to `documents`, where they can be
 * cited.
 *
 * Wire format: Cohere API v2 reference, November 2026.
 */
#include "codec/base64.h"
#include "llm/cohere_int.h"
#include "llm/emulate.h"
#include "llm/schema_fit.h"
#include "llm/tool_args.h"
#include "llm/turns.h"
#include "llm/unsaid.h"

enum { TOOL_NAME_MAX = 64 };

struct writing {
    struct translation *t;
    const struct chat_request *q;
    struct provider_call *call;
    struct arena *arena;
    struct losses *losses;
    struct json_out o;
    struct turn *turns;
    bool has_tools, has_documents;
    bool only_system; /* nobody else speaks: then it is the user's word */
    bool users_turn;  /* the last message is the user's or a tool's     */
};

/* --- media --- */

bool cohere_put_image(struct json_out *o, const struct media *m, struct arena *arena)
{
    struct str sniffed = m->source == MEDIA_BASE64 ? media_sniff(m->data) : STR_NONE;
    struct str type = sniffed.n ? sniffed : m->type; /* clients err, and a wrong type is refused */
    struct str url = m->data;

    if (m->source != MEDIA_BASE64 && m->source != MEDIA_URL)
        return false;
    if (m->source == MEDIA_BASE64)
        url = arena_join(arena, arena_printf(arena, "data:%.*s;base64,", STR_ARG(type)), m->data);
    json_open(o, '{');
    json_member_str(o, STR("type"), STR("image_url"));
    json_member_open(o, STR("image_url"), '{');
    json_member_str(o, STR("url"), url);
    if (m->detail.n)
        json_member_str(o, STR("detail"), m->detail);
    json_close(o, '}');
    json_close(o, '}');
    return true;
}

/* The text of a document; false if it is none. */
static bool document_text(const struct writing *w, const struct media *m, struct str *ret)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(m->data.n);

    if (m->source == MEDIA_TEXT) {
        *ret = m->data;
        return m->data.n > 0;
    }
    if (m->source != MEDIA_BASE64 || !str_starts(m->type, STR("text/")) || base64_decode(&to, m->data, BASE64) != OK)
        return false;
    *ret = arena_str(w->arena, buf_str(&to));
    return ret->n > 0;
}

static void put_document(struct writing *w, const struct block *b, struct str text)
{
    struct json_out *o = &w->o;

    json_open(o, '{');
    if (b->id.n)
        json_member_str(o, STR("id"), b->id);
    if (b->media.source == MEDIA_TEXT && str_eq(b->media.type, STR("application/json"))) {
        json_member_raw(o, STR("data"), text);
    } else {
        json_member_open(o, STR("data"), '{');
        json_member_str(o, STR("text"), text);
        if (b->media.name.n)
            json_member_str(o, STR("title"), b->media.name);
        if (b->context.n)
            json_member_str(o, STR("context"), b->context);
        json_close(o, '}');
    }
    json_close(o, '}');
}

/* --- what can be said of a message --- */

/* A picture in a result, which a tool's message cannot hold. */
static bool is_moved(const struct block *b)
{
    return b->kind == BLOCK_IMAGE && (b->media.source == MEDIA_BASE64 || b->media.source == MEDIA_URL);
}

static bool is_part(const struct writing *w, const struct block *b, enum chat_role role)
{
    switch (b->kind) {
    case BLOCK_TEXT:
    case BLOCK_REFUSAL:
        return b->text.n > 0;
    case BLOCK_THINKING:
        return role == CHAT_ASSISTANT && b->text.n > 0 && !b->signature.n;
    case BLOCK_IMAGE:
        return role == CHAT_USER && is_moved(b);
    case BLOCK_OPAQUE:
        return b->of == &dialect_cohere && w->q->dialect == &dialect_cohere;
    case BLOCK_AUDIO:
    case BLOCK_VIDEO:
    case BLOCK_DOCUMENT:
    case BLOCK_TOOL_CALL:
    case BLOCK_TOOL_RESULT:
    case BLOCK_REDACTED:
        return false;
    }
    return false;
}

static bool has_own_citations(const struct block *b)
{
    for (const struct citation *c = b->citations; c; c = c->next)
        if (c->of != &dialect_cohere || !c->raw.n)
            return false;
    return true;
}

/* Everything of a block that its message will not say. */
static void report(struct writing *w, const struct block *b, enum chat_role role)
{
    struct str text;

    if (b->cache != CACHE_NONE)
        loss_drop(w->losses, b->from, "caching is up to the provider");
    if (!has_own_citations(b))
        loss_drop(w->losses, b->from, "citations of another dialect");
    if (b->is_error)
        loss_drop(w->losses, b->from, "a failed call is only told by its text");
    if (b->kind == BLOCK_TOOL_CALL || b->kind == BLOCK_TOOL_RESULT || is_part(w, b, role))
        return;
    if (b->kind == BLOCK_DOCUMENT && role == CHAT_USER && document_text(w, &b->media, &text))
        return;
    if (b->kind == BLOCK_THINKING || b->kind == BLOCK_REDACTED)
        loss_drop(w->losses, b->from, "made by another provider's model");
    else if (b->kind == BLOCK_DOCUMENT)
        loss_drop(w->losses, b->from, "documents must be text");
    else if (b->kind != BLOCK_TEXT && b->kind != BLOCK_REFUSAL)
        loss_drop(w->losses, b->from, "this provider has no such part");
}

/* --- content --- */

static void put_text_part(struct json_out *o, struct str type, struct str text)
{
    json_open(o, '{');
    json_member_str(o, STR("type"), type);
    json_member_str(o, type, text);
    json_close(o, '}');
}

static void put_part(struct writing *w, const struct block *b)
{
    if (b->kind == BLOCK_IMAGE)
        (void)cohere_put_image(&w->o, &b->media, w->arena);
    else if (b->kind == BLOCK_OPAQUE)
        json_put_raw(&w->o, b->text);
    else
        put_text_part(&w->o, b->kind == BLOCK_THINKING ? STR("thinking") : STR("text"), b->text);
}

/* A list's parts that can be said, without `plan`; *ret_only: the one text, if there is nothing else. */
static size_t count_parts(const struct writing *w, const struct block *b, const struct block *plan, enum chat_role role,
                          const struct block **ret_only)
{
    size_t n = 0;

    *ret_only = NULL;
    for (; b; b = b->next) {
        if (b == plan || !is_part(w, b, role))
            continue;
        *ret_only = n++ || (b->kind != BLOCK_TEXT && b->kind != BLOCK_REFUSAL) ? NULL : b;
    }
    return n;
}

static void put_content(struct writing *w, const struct block *blocks, const struct block *plan, enum chat_role role)
{
    const struct block *only;

    if (!count_parts(w, blocks, plan, role, &only))
        return;
    if (only) {
        json_member_str(&w->o, STR("content"), only->text);
        return;
    }
    json_member_open(&w->o, STR("content"), '[');
    for (const struct block *b = blocks; b; b = b->next)
        if (b != plan && is_part(w, b, role))
            put_part(w, b);
    json_close(&w->o, ']');
}

static void open_message(struct writing *w, struct str role)
{
    json_open(&w->o, '{');
    json_member_str(&w->o, STR("role"), role);
    w->users_turn = str_eq(role, STR("user")) || str_eq(role, STR("tool"));
}

static void put_plain_message(struct writing *w, struct str role, struct str text)
{
    open_message(w, role);
    json_member_str(&w->o, STR("content"), text);
    json_close(&w->o, '}');
}

/* --- what the assistant said --- */

static struct str tool_name(struct writing *w, struct str name)
{
    return name.n ? name_map_out(w->call->names, name) : name;
}

static void put_call(struct writing *w, const struct block *b)
{
    bool wrapped = false;
    struct str arguments =
        b->custom ? tool_args_of_text(b->arguments, w->arena) : tool_args_object(b->arguments, w->arena, &wrapped);

    if (wrapped)
        loss_note(w->losses, LOSS_CHANGED, b->from, "arguments that are no JSON object were put into one");
    json_open(&w->o, '{');
    json_member_str(&w->o, STR("id"), tool_id_fit(w->t->vendor->tool_ids, b->id, w->arena));
    json_member_str(&w->o, STR("type"), STR("function"));
    json_member_open(&w->o, STR("function"), '{');
    json_member_str(&w->o, STR("name"), tool_name(w, b->name));
    json_member_str(&w->o, STR("arguments"), arguments);
    json_close(&w->o, '}');
    json_close(&w->o, '}');
}

/* The text right before the first call is the plan that led to it. */
static const struct block *plan_of(const struct turn *t)
{
    const struct block *last = NULL;

    for (const struct block *b = t->blocks; b && b->kind != BLOCK_TOOL_CALL; b = b->next)
        last = b;
    return last && last->kind == BLOCK_TEXT && last->text.n && !last->citations ? last : NULL;
}

static void put_calls(struct writing *w, const struct turn *t, const struct block *plan)
{
    if (plan)
        json_member_str(&w->o, STR("tool_plan"), plan->text);
    json_member_open(&w->o, STR("tool_calls"), '[');
    for (const struct block *b = t->blocks; b; b = b->next)
        if (b->kind == BLOCK_TOOL_CALL)
            put_call(w, b);
    json_close(&w->o, ']');
}

static void put_citations(struct writing *w, const struct turn *t)
{
    bool any = false;
    uint64_t part = 0;

    for (const struct block *b = t->blocks; b; b = b->next) {
        for (const struct citation *c = b->citations; c; c = c->next) {
            if (c->of != &dialect_cohere || !c->raw.n)
                continue;
            if (!any)
                json_member_open(&w->o, STR("citations"), '[');
            any = true;
            cohere_put_citation(&w->o, c, part);
        }
        part += is_part(w, b, CHAT_ASSISTANT);
    }
    if (any)
        json_close(&w->o, ']');
}

static void put_assistant(struct writing *w, const struct turn *t)
{
    bool calls = turn_has(t, BLOCK_TOOL_CALL);
    const struct block *plan = calls ? plan_of(t) : NULL, *only;
    size_t parts = count_parts(w, t->blocks, plan, CHAT_ASSISTANT, &only);

    if (!parts && !calls)
        return;
    open_message(w, STR("assistant"));
    put_content(w, t->blocks, plan, CHAT_ASSISTANT);
    if (calls)
        put_calls(w, t, plan);
    put_citations(w, t);
    json_close(&w->o, '}');
}

/* --- what tools and users said --- */

/* Can it be part of a tool's message? */
static bool is_result_part(const struct writing *w, const struct block *b, struct str *ret_text)
{
    *ret_text = b->text;
    if (b->kind == BLOCK_DOCUMENT)
        return document_text(w, &b->media, ret_text);
    return b->kind == BLOCK_TEXT && b->text.n > 0;
}

static void put_result_part(struct writing *w, const struct block *b, struct str text)
{
    if (b->kind == BLOCK_TEXT) {
        put_text_part(&w->o, STR("text"), text);
        return;
    }
    json_open(&w->o, '{');
    json_member_str(&w->o, STR("type"), STR("document"));
    json_key(&w->o, STR("document"));
    put_document(w, b, text);
    json_close(&w->o, '}');
}

static void put_result_content(struct writing *w, const struct block *result)
{
    const struct block *only = NULL;
    size_t parts = 0, pictures = 0;
    struct str text;

    for (const struct block *b = result->content; b; b = b->next) {
        report(w, b, CHAT_USER);
        pictures += is_moved(b);
        if (is_result_part(w, b, &text))
            only = parts++ || b->kind != BLOCK_TEXT ? NULL : b;
    }
    if (!parts && !pictures) {
        json_member_str(&w->o, STR("content"), STR("(no output)"));
    } else if (only && !pictures) {
        json_member_str(&w->o, STR("content"), only->text);
    } else {
        json_member_open(&w->o, STR("content"), '[');
        for (const struct block *b = result->content; b; b = b->next)
            if (is_result_part(w, b, &text))
                put_result_part(w, b, text);
        if (pictures)
            put_text_part(&w->o, STR("text"), STR("(the picture that this tool returned follows in the next message)"));
        json_close(&w->o, ']');
    }
}

static void put_results(struct writing *w, const struct turn *t)
{
    for (const struct block *b = t->blocks; b; b = b->next) {
        if (b->kind != BLOCK_TOOL_RESULT)
            continue;
        open_message(w, STR("tool"));
        json_member_str(&w->o, STR("tool_call_id"), tool_id_fit(w->t->vendor->tool_ids, b->id, w->arena));
        put_result_content(w, b);
        json_close(&w->o, '}');
    }
}

/* The user's blocks, with the pictures of the results before them put in front. */
static struct block *user_blocks(struct writing *w, const struct turn *t)
{
    struct block *all = NULL, **end = &all;

    for (const struct block *r = t->blocks; r; r = r->next) {
        for (const struct block *b = r->kind == BLOCK_TOOL_RESULT ? r->content : NULL; b; b = b->next) {
            if (!is_moved(b))
                continue;
            loss_note(w->losses, LOSS_EMULATED, b->from, "sent in a user message behind the tool's result");
            *end = arena_new(w->arena, struct block);
            **end = *b;
            end = &(*end)->next;
            *end = NULL;
        }
    }
    *end = t->blocks;
    return all;
}

static void put_turn(struct writing *w, const struct turn *t)
{
    const struct block *blocks = t->blocks, *only;
    enum chat_role role = t->role == CHAT_DEVELOPER ? CHAT_SYSTEM : t->role;
    bool is_system = role == CHAT_SYSTEM;

    if (t->name.n)
        loss_drop(w->losses, json_node_get(t->from, STR("name")), "messages have no name");
    for (const struct block *b = t->blocks; b; b = b->next)
        report(w, b, role);
    if (role == CHAT_ASSISTANT) {
        put_assistant(w, t);
        return;
    }
    if (!is_system) {
        put_results(w, t);
        blocks = user_blocks(w, t);
    }
    if (!count_parts(w, blocks, NULL, role, &only))
        return;
    if (is_system && w->only_system)
        loss_note(w->losses, LOSS_CHANGED, t->from, "sent as the user's, since there must be a message of the user");
    open_message(w, is_system && !w->only_system ? STR("system") : STR("user"));
    put_content(w, blocks, NULL, role);
    json_close(&w->o, '}');
}

static struct json_node last_place(const struct writing *w)
{
    struct json_node from = JSON_ABSENT;

    for (const struct turn *t = w->turns; t; t = t->next)
        from = t->from;
    return from;
}

static void put_messages(struct writing *w, struct str instruction)
{
    json_member_open(&w->o, STR("messages"), '[');
    if (instruction.n)
        put_plain_message(w, STR("system"), instruction);
    for (const struct turn *t = w->turns; t; t = t->next)
        put_turn(w, t);
    if (!w->users_turn) {
        loss_note(w->losses, LOSS_CHANGED, last_place(w), "the last message must be the user's: one was added");
        put_plain_message(w, STR("user"), STR("Continue."));
    }
    json_close(&w->o, ']');
}

/* --- documents --- */

static void put_documents(struct writing *w)
{
    enum truth cite = UNSET;
    struct str text;

    for (const struct turn *t = w->turns; t; t = t->next) {
        for (const struct block *b = t->role == CHAT_USER ? t->blocks : NULL; b; b = b->next) {
            if (b->kind != BLOCK_DOCUMENT || !document_text(w, &b->media, &text))
                continue;
            if (!w->has_documents)
                json_member_open(&w->o, STR("documents"), '[');
            w->has_documents = true;
            put_document(w, b, text);
            cite = b->citations_on == YES || cite == YES ? YES : b->citations_on == NO ? NO : cite;
        }
    }
    if (w->has_documents)
        json_close(&w->o, ']');
    if (cite != NO)
        return;
    json_member_open(&w->o, STR("citation_options"), '{');
    json_member_str(&w->o, STR("mode"), STR("OFF"));
    json_close(&w->o, '}');
}

/* --- tools --- */

static bool is_offered(const struct writing *w, const struct tool *t)
{
    const struct tool_choice *c = &w->q->tool_choice;

    if (t->kind == TOOL_HOSTED)
        return false;
    return c->kind == CHOICE_NAMED ? str_eq(t->name, c->name) : tool_is_allowed(c, t->name);
}

static void prepare_names(struct writing *w)
{
    emulate_tools(w->call, w->q, TOOL_NAME_MAX, STR_NONE, w->arena);
    for (const struct tool *t = w->q->tools; t; t = t->next)
        w->has_tools = w->has_tools || is_offered(w, t);
}

/* Parameters must be an object; a schema that says so stays byte by byte. */
static struct str parameters_of(struct writing *w, const struct tool *t)
{
    const struct json_tree *tree;
    bool weaker = false;

    if (t->kind == TOOL_CUSTOM) {
        loss_note(w->losses, LOSS_EMULATED, t->from, "a function with one text stands for it");
        if (t->format.n)
            loss_drop(w->losses, t->from, "a tool's grammar");
        return TOOL_ARGS_TEXT_SCHEMA;
    }
    if (t->parameters.n && json_tree_parse(w->arena, t->parameters, &tree) == OK &&
        json_node_text_is(json_node_get(json_tree_root(tree), STR("type")), STR("object")))
        return t->parameters;
    struct str schema = schema_of_object(t->parameters, w->arena, &weaker);
    if (weaker)
        loss_note(w->losses, LOSS_CHANGED, t->from, "a tool's parameters must be an object");
    return schema;
}

static void put_tool(struct writing *w, const struct tool *t)
{
    if (t->cache != CACHE_NONE)
        loss_drop(w->losses, t->from, "caching is up to the provider");
    json_open(&w->o, '{');
    json_member_str(&w->o, STR("type"), STR("function"));
    json_member_open(&w->o, STR("function"), '{');
    json_member_str(&w->o, STR("name"), tool_name(w, t->name));
    if (t->description.n)
        json_member_str(&w->o, STR("description"), t->description);
    json_member_raw(&w->o, STR("parameters"), parameters_of(w, t));
    json_close(&w->o, '}');
    json_close(&w->o, '}');
}

/* Strictness is of all tools or of none. */
static void put_strictness(struct writing *w)
{
    bool all = true, any = false;

    for (const struct tool *t = w->q->tools; t; t = t->next) {
        all = all && (!is_offered(w, t) || t->strict == YES);
        any = any || (is_offered(w, t) && t->strict == YES);
    }
    if (all) {
        json_member_bool(&w->o, STR("strict_tools"), true);
        return;
    }
    for (const struct tool *t = w->q->tools; any && t; t = t->next)
        if (is_offered(w, t) && t->strict == YES)
            loss_drop(w->losses, t->from, "tools are strict only all together");
}

static void put_choice(struct writing *w)
{
    const struct tool_choice *c = &w->q->tool_choice;

    switch (c->kind) {
    case CHOICE_UNSET:
    case CHOICE_AUTO:
        break;
    case CHOICE_NONE:
        json_member_str(&w->o, STR("tool_choice"), STR("NONE"));
        break;
    case CHOICE_NAMED:
    case CHOICE_REQUIRED:
        json_member_str(&w->o, STR("tool_choice"), STR("REQUIRED"));
        break;
    }
    if (c->kind == CHOICE_NAMED || c->allowed)
        loss_note(w->losses, LOSS_EMULATED, c->from, "only the tools that may be called are offered");
}

static void put_tools(struct writing *w)
{
    for (const struct tool *t = w->q->tools; t; t = t->next)
        if (t->kind == TOOL_HOSTED)
            loss_drop(w->losses, t->from, "a tool that only another provider runs");
    if (!w->has_tools) {
        if (w->q->tool_choice.kind == CHOICE_REQUIRED || w->q->tool_choice.kind == CHOICE_NAMED)
            loss_drop(w->losses, w->q->tool_choice.from, "there is no tool to choose");
        return;
    }
    json_member_open(&w->o, STR("tools"), '[');
    for (const struct tool *t = w->q->tools; t; t = t->next)
        if (is_offered(w, t))
            put_tool(w, t);
    json_close(&w->o, ']');
    put_strictness(w);
    put_choice(w);
}

/* --- settings --- */

/* A number within [low, high], as it was written if it is. */
static void put_number(struct writing *w, struct str key, const struct number *n, double low, double high)
{
    double value;

    if (!n->text.n)
        return;
    json_key(&w->o, key);
    if (json_to_double(n->text, &value) && value >= low && value <= high) {
        json_put_raw(&w->o, n->text);
        return;
    }
    loss_note(w->losses, LOSS_CHANGED, n->from, "beyond what this provider takes: the nearest value was sent");
    json_put_double(&w->o, value < low ? low : high);
}

static bool is_positive(const struct number *n)
{
    double value;

    return n->text.n && json_to_double(n->text, &value) && value > 0;
}

static void put_sampling(struct writing *w)
{
    const struct chat_request *q = w->q;
    static const struct number none = {.text = STR_NONE};
    bool both = is_positive(&q->frequency_penalty) && is_positive(&q->presence_penalty);

    put_number(w, STR("max_tokens"), &q->max_output, 1, 1 << 30);
    put_number(w, STR("temperature"), &q->temperature, 0, 1);
    put_number(w, STR("p"), &q->top_p, 0.01, 0.99);
    put_number(w, STR("k"), &q->top_k, 0, 500);
    put_number(w, STR("seed"), &q->seed, 0, 18446744073709551615.0);
    put_number(w, STR("frequency_penalty"), &q->frequency_penalty, 0, 1);
    if (both)
        loss_drop(w->losses, q->presence_penalty.from, "not together with a frequency penalty");
    put_number(w, STR("presence_penalty"), both ? &none : &q->presence_penalty, 0, 1);
    if (q->logprobs.is != UNSET)
        json_member_bool(&w->o, STR("logprobs"), q->logprobs.is == YES);
    if (q->logprobs.is == YES && q->dialect != &dialect_cohere)
        loss_note(w->losses, LOSS_CHANGED, q->logprobs.from, "given for texts of one or more tokens");
}

/* The first five are the provider's business, the others ours. */
static void put_stops(struct writing *w)
{
    const struct chat_request *q = w->q;
    size_t told = 0;

    for (size_t i = 0; i < q->stop_count; i++) {
        if (!q->stops[i].text.n || told == COHERE_STOPS_MAX)
            continue;
        if (!told++)
            json_member_open(&w->o, STR("stop_sequences"), '[');
        json_put_str(&w->o, q->stops[i].text);
    }
    if (told)
        json_close(&w->o, ']');
    if (told < COHERE_STOPS_MAX || q->stop_count == told)
        return;
    for (size_t i = told; i < q->stop_count; i++)
        loss_note(w->losses, LOSS_EMULATED, q->stops[i].from, "at most five: the text is cut here instead");
    w->call->emulate.stops = q->stops;
    w->call->emulate.stop_count = q->stop_count;
}

/* What may be spent on thinking; -1: as the model likes. It must leave room for an answer. */
static int64_t thinking_budget(struct writing *w)
{
    const struct reasoning *r = &w->q->reasoning;
    int64_t budget = r->budget > 0 ? r->budget : effort_budget(r->effort);
    uint64_t limit;

    if (r->budget <= 0 && r->effort != EFFORT_UNSET)
        loss_note(w->losses, LOSS_CHANGED, r->from, "an effort is told as a budget of tokens");
    if (!str_to_u64(w->q->max_output.text, 1 << 30, &limit) || budget < (int64_t)limit)
        return budget;
    loss_note(w->losses, LOSS_CHANGED, r->from, "the budget for thinking must be below the limit of the answer");
    return (int64_t)limit / 2;
}

static void put_thinking(struct writing *w)
{
    const struct reasoning *r = &w->q->reasoning;
    bool off = r->on == NO || r->effort == EFFORT_NONE || r->budget == 0;

    if (r->show == NO && !off)
        loss_drop(w->losses, r->from, "thoughts are always shown here");
    if (!off && r->on != YES && r->effort == EFFORT_UNSET && r->budget < 0)
        return;
    json_member_open(&w->o, STR("thinking"), '{');
    json_member_str(&w->o, STR("type"), off ? STR("disabled") : STR("enabled"));
    int64_t budget = off ? -1 : thinking_budget(w);
    if (budget > 0)
        json_member_i64(&w->o, STR("token_budget"), budget);
    json_close(&w->o, '}');
}

static bool is_structured(const struct writing *w)
{
    return w->q->format.kind == FORMAT_JSON || w->q->format.kind == FORMAT_SCHEMA;
}

/* What the system text must say about the format, where there is no field for it; empty: nothing. */
static struct str format_instruction(struct writing *w)
{
    const struct response_format *f = &w->q->format;

    if (!is_structured(w) || !(w->has_tools || w->has_documents))
        return STR_NONE;
    loss_note(w->losses, LOSS_EMULATED, f->from, "by instruction, since there are tools or documents");
    w->call->emulate.strip_fence = true;
    if (f->kind == FORMAT_JSON)
        return STR("When you answer in text, answer with one JSON object and nothing else.");
    return arena_printf(
        w->arena,
        "When you answer in text, answer with one JSON document and nothing else. It must fit this JSON "
        "schema:\n%.*s",
        STR_ARG(f->schema));
}

static void put_format(struct writing *w)
{
    const struct response_format *f = &w->q->format;

    if (f->kind == FORMAT_UNSET || (is_structured(w) && (w->has_tools || w->has_documents)))
        return;
    json_member_open(&w->o, STR("response_format"), '{');
    json_member_str(&w->o, STR("type"), f->kind == FORMAT_TEXT ? STR("text") : STR("json_object"));
    if (f->kind == FORMAT_SCHEMA && f->schema.n)
        json_member_raw(&w->o, STR("json_schema"), f->schema);
    json_close(&w->o, '}');
}

static void report_tier(struct writing *w)
{
    const struct setting *s = &w->q->service_tier;

    if (s->text.p && !str_eq(s->text, STR("auto")) && !str_eq(s->text, STR("default")))
        loss_drop(w->losses, s->from, "the provider has no such field");
}

static void report_unsaid(struct writing *w)
{
    const struct chat_request *q = w->q;
    struct losses *l = w->losses;

    unsaid_any_number(l, &q->min_p);
    unsaid_any_number(l, &q->typical_p);
    unsaid_number(l, &q->repetition_penalty, 1);
    unsaid_number(l, &q->n, 1);
    unsaid_number(l, &q->top_logprobs, 0);
    unsaid_setting(l, &q->logit_bias);
    unsaid_setting(l, &q->verbosity);
    unsaid_setting(l, &q->user);
    unsaid_setting(l, &q->metadata);
    unsaid_setting(l, &q->cache_key);
    unsaid_setting(l, &q->cache_retention);
    unsaid_setting(l, &q->prediction);
    unsaid_setting(l, &q->audio);
    unsaid_setting(l, &q->suffix);
    unsaid_flag(l, &q->store, NO);
    unsaid_flag(l, &q->parallel_tools, YES);
    if (q->modalities.text.p && !str_eq(q->modalities.text, STR("[\"text\"]")))
        loss_drop(l, q->modalities.from, "answers are text");
    report_tier(w);
}

/* --- the whole --- */

static void find_speakers(struct writing *w)
{
    w->only_system = w->turns != NULL;
    for (const struct turn *t = w->turns; t; t = t->next)
        if (t->role == CHAT_USER || t->role == CHAT_ASSISTANT)
            w->only_system = false;
}

err_t cohere_write_chat(struct translation *t, const struct chat_request *q, struct provider_call *ret)
{
    struct writing w = {
        .t = t, .q = q, .call = ret, .arena = t->arena, .losses = t->losses, .o = json_out_to(ret->body)};
    struct block *system;

    ret->path = STR("/v2/chat");
    ret->stream = q->stream;
    ret->framing = FRAMING_SSE;
    turns_arrange(q, TURNS_RESULTS_FIRST | TURNS_NO_EMPTY, t->arena, t->losses, &system, &w.turns);
    find_speakers(&w);
    prepare_names(&w);
    json_open(&w.o, '{');
    json_member_str(&w.o, STR("model"), t->model);
    put_documents(&w);
    put_messages(&w, format_instruction(&w));
    if (q->stream)
        json_member_bool(&w.o, STR("stream"), true);
    put_tools(&w);
    put_format(&w);
    put_sampling(&w);
    put_stops(&w);
    put_thinking(&w);
    report_unsaid(&w);
    extras_put(&w.o, q->extras, q->dialect == &dialect_cohere, w.losses);
    json_close(&w.o, '}');
    return buf_status(ret->body);
}
