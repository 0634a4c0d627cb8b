/*
 * gemini_request_write.c - a canonical request as generateContent gets it.
 *
 * Foreign schemas go as JSON Schema (parametersJsonSchema, responseJsonSchema), not as Google's own kind, which refuses much of it; models that know
 * only that (QUIRK_OPENAPI_SCHEMA) get what gemini_schema.h makes of them. Results
 * name their function, and what is no object is wrapped in one. From the third generation on, thinking has levels and a call whose signature is
 * missing is refused, so calls that another provider's model made carry Google's documented stand-in; before it, thinking has budgets, and
 * functions and structured output exclude each other, so the output becomes a function.
 */
#include "codec/base64.h"
#include "llm/emulate.h"
#include "llm/gemini_int.h"
#include "llm/gemini_schema.h"
#include "llm/schema_fit.h"
#include "llm/tool_args.h"
#include "llm/tool_id.h"
#include "llm/turns.h"
#include "llm/unsaid.h"
#include "llm/vendor.h"

enum { TOOL_NAME_MAX = 64, STOPS_MAX = 5 };

/* What Google documents for histories that its models did not make. */
#define NO_SIGNATURE STR("skip_thought_signature_validator")

struct writing {
    struct translation *t;
    const struct chat_request *q;
    struct provider_call *call;
    struct arena *arena;
    struct losses *losses;
    struct json_out o;
    struct block *system;
    struct turn *turns;
    bool own, vertex, third;
    bool counting;
    bool has_tools, schema_by_tool, instruct_json;
    bool content_is_open;
    const struct turn *turn;
    size_t contents;
    err_t failed; /* of a schema that has no form here */
};

/* --- parts --- */

static void open_content(struct writing *w)
{
    if (!w->turn || w->content_is_open)
        return;
    w->content_is_open = true;
    w->contents++;
    json_open(&w->o, '{');
    json_member_str(&w->o, STR("role"), w->turn->role == CHAT_ASSISTANT ? STR("model") : STR("user"));
    json_member_open(&w->o, STR("parts"), '[');
}

static void begin_part(struct writing *w)
{
    open_content(w);
    json_open(&w->o, '{');
}

static void write_signature(struct writing *w, const struct block *b)
{
    if (!b->signature.n)
        return;
    if (b->signer == SIGNER_GOOGLE)
        json_member_str(&w->o, STR("thoughtSignature"), b->signature);
    else
        loss_drop(w->losses, b->from, "made by another provider's model");
}

static void write_text(struct writing *w, const struct block *b)
{
    if (!b->text.n && !b->signature.n)
        return;
    if (b->citations)
        loss_drop(w->losses, b->from, "texts carry no citations");
    begin_part(w);
    json_member_str(&w->o, STR("text"), b->text);
    write_signature(w, b);
    json_close(&w->o, '}');
}

static void write_inline(struct writing *w, const struct block *b, struct str type, struct str data)
{
    begin_part(w);
    json_member_open(&w->o, STR("inlineData"), '{');
    json_member_str(&w->o, STR("mimeType"), type);
    json_member_str(&w->o, STR("data"), data);
    json_close(&w->o, '}');
    write_signature(w, b);
    json_close(&w->o, '}');
}

/* Vertex AI takes no file without a type: where nobody named one, its address may. */
static void write_file(struct writing *w, const struct block *b)
{
    const struct media *m = &b->media;
    struct str type = m->type.n ? m->type : media_type_of_url(m->data);

    begin_part(w);
    json_member_open(&w->o, STR("fileData"), '{');
    if (type.n)
        json_member_str(&w->o, STR("mimeType"), type);
    json_member_str(&w->o, STR("fileUri"), m->data);
    json_close(&w->o, '}');
    write_signature(w, b);
    json_close(&w->o, '}');
}

static struct str encoded(struct str text, struct arena *arena)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(base64_encoded_length(text.n, BASE64));

    base64_encode(&to, text, BASE64);
    return arena_str(arena, buf_str(&to));
}

static void write_media(struct writing *w, const struct block *b)
{
    const struct media *m = &b->media;
    struct str sniffed = m->source == MEDIA_BASE64 ? media_sniff(m->data) : STR_NONE;
    struct str type = sniffed.n ? sniffed : m->type;

    switch (m->source) {
    case MEDIA_BASE64:
        if (!type.n)
            loss_drop(w->losses, b->from, "data of a type that nobody named");
        else
            write_inline(w, b, type, m->data);
        break;
    case MEDIA_TEXT:
        write_inline(w, b, STR("text/plain"), encoded(m->data, w->arena));
        break;
    case MEDIA_URL:
        write_file(w, b);
        break;
    case MEDIA_FILE_ID:
        if (w->own)
            write_file(w, b);
        else
            loss_drop(w->losses, b->from, "a file that this provider does not have");
        break;
    }
    if (m->detail.n && !str_eq(m->detail, STR("auto")))
        loss_note(w->losses, LOSS_CHANGED, b->from, "images have no level of detail");
    if (b->context.n || b->citations_on == YES)
        loss_note(w->losses, LOSS_CHANGED, b->from, "documents have no context and are not cited");
}

static void write_id(struct writing *w, struct str id)
{
    if (id.n && !w->vertex) /* Vertex AI has no ids of calls */
        json_member_str(&w->o, STR("id"), tool_id_fit(w->t->vendor->tool_ids, id, w->arena));
}

/* `first`: of its turn; the others of a turn are not signed by Google's models either. */
static void write_call(struct writing *w, const struct block *b, bool first)
{
    bool wrapped = false;
    struct str args =
        b->custom ? tool_args_of_text(b->arguments, w->arena) : tool_args_object(b->arguments, w->arena, &wrapped);

    if (wrapped)
        loss_note(w->losses, LOSS_CHANGED, b->from, "arguments that are no JSON object became one");
    begin_part(w);
    json_member_open(&w->o, STR("functionCall"), '{');
    write_id(w, b->id);
    json_member_str(&w->o, STR("name"), name_map_out(w->call->names, b->name));
    json_member_raw(&w->o, STR("args"), args);
    json_close(&w->o, '}');
    write_signature(w, b);
    if (w->third && first && (!b->signature.n || b->signer != SIGNER_GOOGLE))
        json_member_str(&w->o, STR("thoughtSignature"), NO_SIGNATURE);
    json_close(&w->o, '}');
}

/* An object as it is; anything else as {"output": text}, or {"error": text}. */
static void write_response(struct writing *w, const struct block *b)
{
    struct str text = blocks_text(b->content, STR("\n"), w->arena);
    bool wrapped;
    struct str object = tool_args_object(text, w->arena, &wrapped);

    if (text.n && !wrapped && !b->is_error) {
        json_member_raw(&w->o, STR("response"), object);
        return;
    }
    json_member_open(&w->o, STR("response"), '{');
    json_member_str(&w->o, b->is_error ? STR("error") : STR("output"), text);
    json_close(&w->o, '}');
}

static bool has_media(const struct block *content)
{
    for (; content; content = content->next)
        if (content->kind != BLOCK_TEXT)
            return true;
    return false;
}

static void write_media_of_result(struct writing *w, const struct block *b)
{
    for (const struct block *part = b->content; part; part = part->next) {
        if (part->kind == BLOCK_TEXT)
            continue;
        if (part->kind == BLOCK_IMAGE || part->kind == BLOCK_DOCUMENT || part->kind == BLOCK_AUDIO ||
            part->kind == BLOCK_VIDEO)
            write_media(w, part);
        else
            loss_drop(w->losses, part->from, "known in the client's dialect only");
    }
}

static void write_result(struct writing *w, const struct block *b)
{
    const struct turn *turn = w->turn;
    bool media = has_media(b->content);

    begin_part(w);
    json_member_open(&w->o, STR("functionResponse"), '{');
    write_id(w, b->id);
    json_member_str(&w->o, STR("name"), name_map_out(w->call->names, b->name));
    write_response(w, b);
    if (media && w->third) {
        json_member_open(&w->o, STR("parts"), '[');
        w->turn = NULL; /* parts of a part open no content */
        write_media_of_result(w, b);
        w->turn = turn;
        json_close(&w->o, ']');
    }
    json_close(&w->o, '}');
    json_close(&w->o, '}');
    if (!media || w->third)
        return;
    loss_note(w->losses, LOSS_CHANGED, b->from, "media of a result stand behind it");
    write_media_of_result(w, b);
}

static void write_thought(struct writing *w, const struct block *b)
{
    if (b->kind == BLOCK_REDACTED || b->signer != SIGNER_GOOGLE) {
        loss_drop(w->losses, b->from,
                  b->signer == SIGNER_NONE ? "reasoning without a signature is not sent back"
                                           : "made by another provider's model");
        return;
    }
    begin_part(w);
    json_member_str(&w->o, STR("text"), b->text);
    json_member_bool(&w->o, STR("thought"), true);
    write_signature(w, b);
    json_close(&w->o, '}');
}

static void write_opaque(struct writing *w, const struct block *b)
{
    if (b->of != &dialect_gemini) {
        loss_drop(w->losses, b->from, "known in the client's dialect only");
        return;
    }
    open_content(w);
    json_put_raw(&w->o, b->text);
}

static void write_block(struct writing *w, const struct block *b, bool first_call)
{
    switch (b->kind) {
    case BLOCK_TEXT:
    case BLOCK_REFUSAL:
        write_text(w, b);
        return;
    case BLOCK_IMAGE:
    case BLOCK_AUDIO:
    case BLOCK_VIDEO:
    case BLOCK_DOCUMENT:
        write_media(w, b);
        return;
    case BLOCK_TOOL_CALL:
        write_call(w, b, first_call);
        return;
    case BLOCK_TOOL_RESULT:
        write_result(w, b);
        return;
    case BLOCK_THINKING:
    case BLOCK_REDACTED:
        write_thought(w, b);
        return;
    case BLOCK_OPAQUE:
        write_opaque(w, b);
        return;
    }
}

/* --- contents --- */

static void write_content(struct writing *w, const struct turn *t)
{
    bool first_call = true;

    w->turn = t;
    w->content_is_open = false;
    if (t->name.n)
        loss_drop(w->losses, json_node_get(t->from, STR("name")), "speakers have no names");
    for (const struct block *b = t->blocks; b; b = b->next) {
        write_block(w, b, first_call);
        first_call = first_call && b->kind != BLOCK_TOOL_CALL;
    }
    if (!w->content_is_open && t->role != CHAT_ASSISTANT)
        write_text(w, &(struct block){.kind = BLOCK_TEXT, .text = TURNS_LEFT_OUT});
    if (w->content_is_open) {
        json_close(&w->o, ']');
        json_close(&w->o, '}');
    }
    w->turn = NULL;
}

static void write_contents(struct writing *w)
{
    json_member_open(&w->o, STR("contents"), '[');
    for (const struct turn *t = w->turns; t; t = t->next)
        write_content(w, t);
    json_close(&w->o, ']');
}

static void write_system(struct writing *w)
{
    const struct block instruction = {
        .kind = BLOCK_TEXT,
        .text = JSON_BY_WORD,
    };

    if (!w->system && !w->instruct_json)
        return;
    json_member_open(&w->o, STR("systemInstruction"), '{');
    json_member_open(&w->o, STR("parts"), '[');
    for (const struct block *b = w->system; b; b = b->next) {
        if (b->kind == BLOCK_TEXT)
            write_text(w, b);
        else
            loss_drop(w->losses, b->from, "system text must be text");
    }
    if (w->instruct_json)
        write_text(w, &instruction);
    json_close(&w->o, ']');
    json_close(&w->o, '}');
}

/* --- tools --- */

static bool is_own_hosted(const struct tool *t)
{
    return t->kind == TOOL_HOSTED && t->of == &dialect_gemini;
}

static void map_names(struct writing *w)
{
    emulate_tools(w->call, w->q, TOOL_NAME_MAX, STR(".:"), w->arena);
    for (const struct tool *t = w->q->tools; t; t = t->next)
        w->has_tools = w->has_tools || t->kind != TOOL_HOSTED;
}

/* An object without properties is refused by some models; without parameters says the same. */
static bool has_properties(struct writing *w, struct str schema)
{
    const struct json_tree *tree;

    if (!schema.n || json_tree_parse(w->arena, schema, &tree) != OK)
        return false;
    struct json_node root = json_tree_root(tree);
    return json_node_count(json_node_get(root, STR("properties"))) > 0 ||
           (json_node_count(root) > 0 && !json_node_text_is(json_node_get(root, STR("type")), STR("object")));
}

/* A foreign schema in the one of the two places that this model knows. */
static void write_schema(struct writing *w, struct str as_json_schema, struct str as_openapi, struct str schema,
                         struct json_node from)
{
    struct str said;
    bool weaker;

    if (!(w->t->vendor->quirks & QUIRK_OPENAPI_SCHEMA)) {
        json_member_raw(&w->o, as_json_schema, schema);
        return;
    }
    if (w->failed != OK || buf_status(w->o.to) != OK)
        return; /* small schemas can become large ones: not many of them in vain */
    w->failed = gemini_schema(schema, w->arena, &said, &weaker);
    if (w->failed != OK)
        return;
    if (weaker)
        loss_note(w->losses, LOSS_CHANGED, from, "the schema demands more than this model can be told");
    json_member_raw(&w->o, as_openapi, said);
}

static void write_function(struct writing *w, const struct tool *t)
{
    struct str schema = t->kind == TOOL_CUSTOM ? TOOL_ARGS_TEXT_SCHEMA : t->parameters;

    if (t->kind == TOOL_CUSTOM)
        loss_note(w->losses, LOSS_EMULATED, t->from, "a tool of free text is told as a function of one string");
    json_open(&w->o, '{');
    json_member_str(&w->o, STR("name"), name_map_out(w->call->names, t->name));
    if (t->description.n)
        json_member_str(&w->o, STR("description"), t->description);
    if (has_properties(w, schema))
        write_schema(w, STR("parametersJsonSchema"), STR("parameters"), schema, t->from);
    json_close(&w->o, '}');
}

static void write_schema_function(struct writing *w)
{
    const struct response_format *f = &w->q->format;

    w->call->emulate.schema_tool = name_map_out(w->call->names, STR("structured_answer"));
    loss_note(w->losses, LOSS_EMULATED, f->from, "beside functions, structured output is a call of one");
    json_open(&w->o, '{');
    json_member_str(&w->o, STR("name"), w->call->emulate.schema_tool);
    json_member_str(&w->o, STR("description"),
                    f->description.n ? f->description : STR("Give the final answer by calling this function."));
    write_schema(w, STR("parametersJsonSchema"), STR("parameters"), f->schema, f->from);
    json_close(&w->o, '}');
}

static void write_functions(struct writing *w)
{
    if (!w->has_tools)
        return;
    json_open(&w->o, '{');
    json_member_open(&w->o, STR("functionDeclarations"), '[');
    for (const struct tool *t = w->q->tools; t; t = t->next)
        if (t->kind != TOOL_HOSTED)
            write_function(w, t);
    if (w->schema_by_tool)
        write_schema_function(w);
    json_close(&w->o, ']');
    json_close(&w->o, '}');
}

static void write_tools(struct writing *w)
{
    bool any = w->has_tools;

    for (const struct tool *t = w->q->tools; t; t = t->next) {
        any = any || is_own_hosted(t);
        if (t->kind == TOOL_HOSTED && !is_own_hosted(t))
            loss_drop(w->losses, t->from, "a tool that only the client's own provider runs");
    }
    if (!any)
        return;
    json_member_open(&w->o, STR("tools"), '[');
    write_functions(w);
    for (const struct tool *t = w->q->tools; t; t = t->next)
        if (is_own_hosted(t))
            json_put_raw(&w->o, t->raw);
    json_close(&w->o, ']');
}

static bool is_any_strict(const struct chat_request *q)
{
    for (const struct tool *t = q->tools; t; t = t->next)
        if (t->kind == TOOL_FUNCTION && t->strict == YES)
            return true;
    return false;
}

static struct str mode_of(const struct writing *w)
{
    if (w->schema_by_tool)
        return STR("ANY");
    switch (w->q->tool_choice.kind) {
    case CHOICE_UNSET:
    case CHOICE_AUTO:
        return is_any_strict(w->q) ? STR("VALIDATED") : STR("AUTO");
    case CHOICE_NONE:
        return STR("NONE");
    case CHOICE_REQUIRED:
    case CHOICE_NAMED:
        return STR("ANY");
    }
    return STR("AUTO");
}

static void write_tool_config(struct writing *w)
{
    const struct tool_choice *c = &w->q->tool_choice;
    struct str mode = mode_of(w);

    unsaid_flag(w->losses, &w->q->parallel_tools, YES);
    if (!w->has_tools) {
        if (c->kind == CHOICE_REQUIRED || c->kind == CHOICE_NAMED)
            loss_drop(w->losses, c->from, "there is no function to choose");
        return;
    }
    if (c->kind == CHOICE_UNSET && str_eq(mode, STR("AUTO")))
        return;
    json_member_open(&w->o, STR("toolConfig"), '{');
    json_member_open(&w->o, STR("functionCallingConfig"), '{');
    json_member_str(&w->o, STR("mode"), mode);
    if (!w->schema_by_tool && (c->kind == CHOICE_NAMED || c->allowed_count)) {
        json_member_open(&w->o, STR("allowedFunctionNames"), '[');
        if (c->kind == CHOICE_NAMED)
            json_put_str(&w->o, name_map_out(w->call->names, c->name));
        for (size_t i = 0; i < c->allowed_count; i++)
            json_put_str(&w->o, name_map_out(w->call->names, c->allowed[i]));
        json_close(&w->o, ']');
    }
    json_close(&w->o, '}');
    json_close(&w->o, '}');
}

/* --- settings --- */

static void write_number(struct writing *w, struct str key, const struct number *n)
{
    if (n->text.n)
        json_member_raw(&w->o, key, n->text);
}

static void write_temperature(struct writing *w)
{
    const struct number *n = &w->q->temperature;
    double value;

    if (n->text.n && json_to_double(n->text, &value) && value > 2) {
        loss_note(w->losses, LOSS_CHANGED, n->from, "at most 2");
        json_member_u64(&w->o, STR("temperature"), 2);
        return;
    }
    write_number(w, STR("temperature"), n);
}

/* The service takes five; those behind are looked for on the way back. */
static void write_stops(struct writing *w)
{
    const struct chat_request *q = w->q;
    size_t said = q->stop_count < STOPS_MAX ? q->stop_count : STOPS_MAX;

    if (!said)
        return;
    json_member_open(&w->o, STR("stopSequences"), '[');
    for (size_t i = 0; i < said; i++)
        json_put_str(&w->o, q->stops[i].text);
    json_close(&w->o, ']');
    for (size_t i = said; i < q->stop_count; i++)
        loss_note(w->losses, LOSS_EMULATED, q->stops[i].from, "looked for by the gateway");
    w->call->emulate.stops = q->stops + said;
    w->call->emulate.stop_count = q->stop_count - said;
    w->call->emulate.choices = chat_choices(q);
}

static void write_format(struct writing *w)
{
    const struct response_format *f = &w->q->format;

    if (f->kind == FORMAT_UNSET || f->kind == FORMAT_TEXT || w->schema_by_tool)
        return;
    if (w->instruct_json) {
        loss_note(w->losses, LOSS_EMULATED, f->from, "asked for in the system text");
        w->call->emulate.strip_fence = true;
        return;
    }
    json_member_str(&w->o, STR("responseMimeType"), STR("application/json"));
    if (f->kind == FORMAT_SCHEMA)
        write_schema(w, STR("responseJsonSchema"), STR("responseSchema"), f->schema, f->from);
}

/* Levels of the third generation. */
static struct str level_of(struct writing *w, const struct reasoning *r)
{
    switch (r->effort) {
    case EFFORT_UNSET:
        break;
    case EFFORT_NONE:
        loss_note(w->losses, LOSS_CHANGED, r->from, "the lowest level of thinking is minimal");
        return STR("MINIMAL");
    case EFFORT_MINIMAL:
        return STR("MINIMAL");
    case EFFORT_LOW:
        return STR("LOW");
    case EFFORT_MEDIUM:
        return STR("MEDIUM");
    case EFFORT_HIGH:
        return STR("HIGH");
    case EFFORT_XHIGH:
    case EFFORT_MAX:
        loss_note(w->losses, LOSS_CHANGED, r->from, "the highest level of thinking is high");
        return STR("HIGH");
    }
    return STR_NONE;
}

/* Tokens to think: 0 is off, -1 as many as the model likes; -2: nothing is said. */
static int64_t budget_of(const struct reasoning *r)
{
    enum { AUTOMATIC = -1, UNSAID = -2 };

    if (r->on == NO || r->effort == EFFORT_NONE)
        return 0;
    if (r->budget >= 0)
        return r->budget;
    if (r->effort != EFFORT_UNSET)
        return effort_budget(r->effort);
    return r->on == YES ? AUTOMATIC : UNSAID;
}

/* Are thoughts to be told? Here they are not unless asked for; a client of another dialect that wants thinking, or a summary, gets them. */
static enum truth shows_thoughts(const struct writing *w)
{
    const struct reasoning *r = &w->q->reasoning;

    if (r->show != UNSET || w->q->dialect == w->t->provider)
        return r->show;
    return r->on == YES || r->summary.n ? YES : UNSET;
}

static void write_thinking(struct writing *w)
{
    enum truth show = shows_thoughts(w);
    const struct reasoning *r = &w->q->reasoning;
    struct str level = w->third && r->budget < 0 ? level_of(w, r) : STR_NONE;
    int64_t budget = level.n ? -2 : budget_of(r);

    if (!level.n && budget == -2 && show == UNSET)
        return;
    json_member_open(&w->o, STR("thinkingConfig"), '{');
    if (show != UNSET)
        json_member_bool(&w->o, STR("includeThoughts"), show == YES);
    if (level.n)
        json_member_str(&w->o, STR("thinkingLevel"), level);
    else if (budget != -2)
        json_member_i64(&w->o, STR("thinkingBudget"), budget);
    json_close(&w->o, '}');
}

static void write_modalities(struct writing *w)
{
    struct str raw = w->q->modalities.text;

    if (!raw.n)
        return;
    char *upper = arena_alloc(w->arena, raw.n);
    for (size_t i = 0; i < raw.n; i++)
        upper[i] = (char)(raw.p[i] >= 'a' && raw.p[i] <= 'z' ? raw.p[i] - 'a' + 'A' : raw.p[i]);
    json_member_raw(&w->o, STR("responseModalities"), str_of(upper, raw.n));
}

static void write_config(struct writing *w)
{
    const struct chat_request *q = w->q;

    json_member_open(&w->o, STR("generationConfig"), '{');
    write_number(w, STR("maxOutputTokens"), &q->max_output);
    write_temperature(w);
    write_number(w, STR("topP"), &q->top_p);
    write_number(w, STR("topK"), &q->top_k);
    write_number(w, STR("candidateCount"), &q->n);
    write_number(w, STR("presencePenalty"), &q->presence_penalty);
    write_number(w, STR("frequencyPenalty"), &q->frequency_penalty);
    write_number(w, STR("seed"), &q->seed);
    if (q->logprobs.is != UNSET)
        json_member_bool(&w->o, STR("responseLogprobs"), q->logprobs.is == YES);
    if (q->logprobs.is == YES)
        write_number(w, STR("logprobs"), &q->top_logprobs);
    write_stops(w);
    write_format(w);
    write_thinking(w);
    write_modalities(w);
    json_close(&w->o, '}');
}

static void write_tier(struct writing *w)
{
    struct str tier = w->q->service_tier.text;

    if (!tier.n || str_eq(tier, STR("auto")))
        return;
    if (str_eq(tier, STR("default")) || str_eq(tier, STR("standard_only")))
        tier = STR("standard");
    if (w->own || str_eq(tier, STR("standard")) || str_eq(tier, STR("flex")) || str_eq(tier, STR("priority")))
        json_member_str(&w->o, STR("serviceTier"), tier);
    else
        unsaid_setting(w->losses, &w->q->service_tier);
}

/* Members that this dialect alone has, from a client that speaks it. */
static void write_extras(struct writing *w)
{
    if (!w->own) {
        unsaid_extras(w->losses, w->q->extras);
        return;
    }
    for (const struct extra *x = w->q->extras; x; x = x->next) {
        if (x->nested) {
            loss_drop(w->losses, x->from, "within a part that is written anew");
            continue;
        }
        extra_put(&w->o, x);
    }
}

/* Everything of the request that this dialect has no word for. */
static void note_unsaid(struct writing *w)
{
    const struct chat_request *q = w->q;
    const struct setting *settings[] = {&q->logit_bias, &q->verbosity,  &q->cache_key, &q->cache_retention,
                                        &q->audio,      &q->prediction, &q->suffix,    &q->user};

    unsaid_any_number(w->losses, &q->min_p);
    unsaid_any_number(w->losses, &q->typical_p);
    unsaid_number(w->losses, &q->repetition_penalty, 1);
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        unsaid_setting(w->losses, settings[i]);
    if (!w->vertex)
        unsaid_setting(w->losses, &q->metadata);
}

/* --- the whole --- */

static void prepare(struct writing *w)
{
    const unsigned rules = TURNS_SYSTEM_APART | TURNS_LATER_AS_USER | TURNS_MERGE | TURNS_RESULTS_FIRST |
                           TURNS_USER_FIRST | TURNS_NO_EMPTY;

    w->losses = w->t->losses;
    w->arena = w->t->arena;
    w->own = w->q->dialect == &dialect_gemini;
    w->vertex = w->t->vendor->quirks & QUIRK_VERTEX;
    w->third = gemini_is_third(w->t->model);
    w->o = json_out_to(w->call->body);
    turns_arrange(w->q, rules, w->arena, w->losses, &w->system, &w->turns);
    map_names(w);
    bool exclusive = w->has_tools && !w->third && w->q->tool_choice.kind != CHOICE_NONE && !w->own;
    w->schema_by_tool = exclusive && w->q->format.kind == FORMAT_SCHEMA;
    w->instruct_json = exclusive && w->q->format.kind == FORMAT_JSON;
}

static void write_members(struct writing *w)
{
    write_system(w);
    write_contents(w);
    write_tools(w);
    write_tool_config(w);
    write_config(w);
    if (w->counting)
        return;
    write_tier(w);
    if (w->q->store.is != UNSET && !w->vertex)
        json_member_bool(&w->o, STR("store"), w->q->store.is == YES);
    if (w->vertex && w->q->metadata.text.p)
        json_member_raw(&w->o, STR("labels"), w->q->metadata.text);
    write_extras(w);
    note_unsaid(w);
}

err_t gemini_write_chat(struct translation *t, const struct chat_request *q, struct provider_call *ret)
{
    struct writing w = {.t = t, .q = q, .call = ret};

    prepare(&w);
    ret->stream = q->stream;
    ret->framing = FRAMING_SSE;
    ret->path = gemini_path(t, q->stream ? "streamGenerateContent?alt=sse" : "generateContent");
    json_open(&w.o, '{');
    write_members(&w);
    json_close(&w.o, '}');
    TRY(w.failed);
    if (!w.contents)
        return fail(E_PARSE, "contents: nothing is left that Google's API could be told");
    return buf_status(ret->body);
}

err_t gemini_ask_count(struct translation *t, const struct chat_request *q, struct provider_call *ret)
{
    struct writing w = {.t = t, .q = q, .call = ret, .counting = true};

    prepare(&w);
    ret->path = gemini_path(t, "countTokens");
    json_open(&w.o, '{');
    if (!w.vertex) { /* only within a request are tools and system text counted */
        json_member_open(&w.o, STR("generateContentRequest"), '{');
        json_member_str(&w.o, STR("model"),
                        str_find_char(t->model, '/') < t->model.n ? t->model
                                                                  : arena_join(t->arena, STR("models/"), t->model));
    }
    write_members(&w);
    if (!w.vertex)
        json_close(&w.o, '}');
    json_close(&w.o, '}');
    TRY(w.failed);
    return buf_status(ret->body);
}

bool gemini_fetches(struct str url)
{
    static const struct str hosts[] = {STR_INIT("generativelanguage.googleapis.com"), STR_INIT("www.youtube.com"),
                                       STR_INIT("youtube.com"), STR_INIT("youtu.be")};
    size_t at = str_find(url, STR("://")) + 3;
    struct str rest = str_slice(url, at, url.n), host = str_cut(&rest, '/');

    for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
        if (str_eq_nocase(host, hosts[i]))
            return true;
    return false;
}

/* The verb is the client's own; the query goes with it. */
err_t gemini_pass_path(const struct translation *t, bool stream, struct str *ret_path)
{
    struct str path = str_from_c(t->row->path);
    size_t verb = path.n;

    (void)stream;
    while (verb && path.p[verb - 1] != ':')
        verb--;
    if (verb && t->row->operation != OP_PASS)
        *ret_path = gemini_path(t, path.p + verb);
    return OK;
}
