/*
 * anthropic_request_write.c - a canonical request as a provider of Anthropic's Messages API gets it.
 *
 * A request that came in this dialect is the client's own document: its members are copied as they were written, and only what the provider wants
 * otherwise is changed. That happens where bytes cannot pass: hosts on Bedrock and Vertex take the model from the path and the version from
 * the body, and thoughts signed by another provider's model must go. Any other request is said from the canonical form.
 *
 * What the service demands and other dialects do not know: results right behind their calls, no empty text, a limit on output, at most four cache
 * points, the longer-lived ones first; and while thinking no forced tool, no prefill, no sampling, and a budget below the limit.
 */
#include "codec/base64.h"
#include "codec/json_out.h"
#include "codec/url.h"
#include "llm/anthropic_int.h"
#include "llm/cache_points.h"
#include "llm/claude.h"
#include "llm/emulate.h"
#include "llm/schema_fit.h"
#include "llm/signature.h"
#include "llm/tool_args.h"
#include "llm/turns.h"
#include "llm/unsaid.h"
#include "llm/vendor.h"

enum { TOOL_NAME_MAX = 128 };

#define VERSION STR("2023-06-01")
#define VERSION_WITHOUT_SAMPLING STR("2026-10-21")
#define VERSION_OF_BEDROCK STR("bedrock-2023-05-31")
#define VERSION_OF_VERTEX STR("vertex-2023-10-16")

struct writing {
    struct translation *t;
    const struct chat_request *q;
    struct provider_call *call;
    struct arena *arena;
    struct losses *losses;
    struct json_out o;
    unsigned host; /* QUIRK_ANTHROPIC_BEDROCK, QUIRK_ANTHROPIC_VERTEX or 0 */
    bool counting; /* the body of a count of tokens                      */
    struct claude_traits traits;
    struct claude_plan plan;
    struct cache_points points;
    bool has_tools; /* some tool is told                                  */
    struct block *system;
    struct turn *turns;
    bool schema_by_tool;
    /* of the turn being told */
    const struct turn *turn;
    bool turn_is_open, in_result;
    size_t messages;
};

static bool is_own(const struct writing *w)
{
    return w->q->dialect == &dialect_anthropic && w->q->document;
}

/* --- where it goes --- */

static struct str encoded(struct str s, struct arena *arena)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(3 * s.n + 1);

    url_encode(&to, s);
    return arena_str(arena, buf_str(&to));
}

static struct str path_of(const struct translation *t, bool stream, bool counting)
{
    bool bedrock = t->vendor->quirks & QUIRK_ANTHROPIC_BEDROCK;

    if (!bedrock && !(t->vendor->quirks & QUIRK_ANTHROPIC_VERTEX))
        return counting ? STR("/messages/count_tokens") : STR("/messages");
    struct str model = encoded(t->model, t->arena);
    if (bedrock)
        return arena_printf(t->arena, "/model/%.*s/%s", STR_ARG(model),
                            counting ? "count-tokens"
                            : stream ? "invoke-with-response-stream"
                                     : "invoke");
    if (counting)
        return STR("/publishers/anthropic/models/count-tokens:rawPredict");
    return arena_printf(t->arena, "/publishers/anthropic/models/%.*s:%s", STR_ARG(model),
                        stream ? "streamRawPredict" : "rawPredict");
}

/* Batches and models keep the client's own path. */
err_t anthropic_pass_path(const struct translation *t, bool stream, struct str *ret_path)
{
    if (t->row->operation == OP_CHAT || t->row->operation == OP_COUNT_TOKENS)
        *ret_path = path_of(t, stream, t->row->operation == OP_COUNT_TOKENS);
    return OK;
}

static struct str version_of(const struct writing *w)
{
    if (w->host & QUIRK_ANTHROPIC_BEDROCK)
        return VERSION_OF_BEDROCK;
    if (w->host & QUIRK_ANTHROPIC_VERTEX)
        return VERSION_OF_VERTEX;
    if (w->t->provider_version.n)
        return w->t->provider_version;
    return is_own(w) && w->t->api_version.n ? w->t->api_version : VERSION;
}

static bool takes_sampling(const struct writing *w)
{
    return w->host || str_cmp(version_of(w), VERSION_WITHOUT_SAMPLING) < 0;
}

/* --- betas: an unknown one is refused by hosts, so they get those that they document --- */

static const char *const bedrock_betas[] = {"computer-use-2024-10-22",
                                            "computer-use-2025-01-24",
                                            "computer-use-2025-11-24",
                                            "context-1m-2025-08-07",
                                            "context-management-2025-06-27",
                                            "dev-full-thinking-2025-05-14",
                                            "effort-2025-11-24",
                                            "fine-grained-tool-streaming-2025-05-14",
                                            "interleaved-thinking-2025-05-14",
                                            "output-128k-2025-02-19",
                                            "token-efficient-tools-2025-02-19",
                                            "tool-examples-2025-10-29",
                                            "tool-search-tool-2025-10-19",
                                            NULL};
static const char *const vertex_betas[] = {
    "computer-use-2025-01-24",         "computer-use-2025-11-24", "context-1m-2025-08-07",
    "context-management-2025-06-27",   "effort-2025-11-24",       "fine-grained-tool-streaming-2025-05-14",
    "interleaved-thinking-2025-05-14", "output-128k-2025-02-19",  "token-efficient-tools-2025-02-19",
    "tool-search-tool-2025-10-19",     "web-search-2025-03-05",   NULL};

static bool knows_beta(const struct writing *w, struct str beta)
{
    const char *const *list = w->host & QUIRK_ANTHROPIC_BEDROCK ? bedrock_betas : vertex_betas;

    if (!w->host)
        return true;
    for (; *list; list++)
        if (str_eq(beta, str_from_c(*list)))
            return true;
    return false;
}

static struct str with_beta(struct writing *w, struct str all, struct str beta, struct json_node from)
{
    if (!beta.n || str_list_has(all, beta))
        return all;
    if (!knows_beta(w, beta)) {
        loss_drop(w->losses, from, "a beta that this host does not know");
        return all;
    }
    return all.n ? arena_printf(w->arena, "%.*s,%.*s", STR_ARG(all), STR_ARG(beta)) : beta;
}

/* Those of the header and those of the body, joined by commas, each once. */
static struct str wanted_betas(struct writing *w)
{
    struct str rest = w->t->betas, all = STR_NONE;

    while (rest.n)
        all = with_beta(w, all, str_trim(str_cut(&rest, ',')), JSON_ABSENT);
    if (!is_own(w))
        return all;
    JSON_EACH(b, json_node_get(json_tree_root(w->q->document), STR("anthropic_beta")))
        all = with_beta(w, all, json_node_text(b.value, w->arena), b.value);
    return all;
}

static void write_beta_list(struct writing *w, struct str betas)
{
    json_member_open(&w->o, STR("anthropic_beta"), '[');
    while (betas.n)
        json_put_str(&w->o, str_cut(&betas, ','));
    json_close(&w->o, ']');
}

/* Model, version and the like: the body's or the call's, as the host wants it. */
static void write_envelope(struct writing *w)
{
    struct str betas = wanted_betas(w);
    bool bedrock = w->host & QUIRK_ANTHROPIC_BEDROCK;

    w->call->stream = w->q->stream && !w->counting;
    w->call->path = path_of(w->t, w->call->stream, w->counting);
    w->call->framing = bedrock ? FRAMING_EVENTSTREAM : FRAMING_SSE;
    if (w->host)
        json_member_str(&w->o, STR("anthropic_version"), version_of(w));
    else
        call_add_header(w->call, STR("anthropic-version"), version_of(w));
    if (!w->host || ((w->host & QUIRK_ANTHROPIC_VERTEX) && w->counting))
        json_member_str(&w->o, STR("model"), w->t->model);
    if (betas.n && bedrock)
        write_beta_list(w, betas);
    else if (betas.n)
        call_add_header(w->call, STR("anthropic-beta"), betas);
    if (w->call->stream && !bedrock)
        json_member_bool(&w->o, STR("stream"), true);
}

/* --- a request of the same dialect --- */

/* A thought of another provider's model, which came from us: its signature is wrapped, or it has none. */
static bool is_foreign(struct json_node block, struct arena *arena)
{
    enum signer signer = SIGNER_ANTHROPIC;

    if (json_node_text_is(json_node_get(block, STR("type")), STR("thinking")) &&
        !signature_unwrap(json_get_text(block, STR("signature"), arena), SIGNER_ANTHROPIC, &signer).n)
        return true;
    if (json_node_text_is(json_node_get(block, STR("type")), STR("redacted_thinking")))
        signature_unwrap(json_get_text(block, STR("data"), arena), SIGNER_ANTHROPIC, &signer);
    return signer != SIGNER_ANTHROPIC;
}

static void copy_content(struct writing *w, struct json_node content)
{
    json_member_open(&w->o, STR("content"), '[');
    JSON_EACH(b, content) {
        if (is_foreign(b.value, w->arena))
            loss_drop(w->losses, b.value, "made by another provider's model");
        else
            json_put_raw(&w->o, json_node_raw(b.value));
    }
    json_close(&w->o, ']');
}

static void copy_message(struct writing *w, struct json_node message)
{
    struct json_node content = json_node_get(message, STR("content"));
    size_t foreign = 0;

    JSON_EACH(b, json_node_is(content, JSON_ARRAY) ? content : JSON_ABSENT)
        foreign += is_foreign(b.value, w->arena);
    if (!foreign) {
        json_put_raw(&w->o, json_node_raw(message));
        return;
    }
    if (foreign == json_node_count(content)) {
        loss_drop(w->losses, message, "made by another provider's model");
        return;
    }
    json_open(&w->o, '{');
    JSON_EACH(m, message) {
        if (json_walk_key_is(&m, STR("content")))
            copy_content(w, m.value);
        else
            json_member_raw(&w->o, json_node_text(m.key, w->arena), json_node_raw(m.value));
    }
    json_close(&w->o, '}');
}

/* In the middle of a use of tools, thinking with a budget demands the thoughts before the calls. Are those another model's, left out here? */
static bool misses_thoughts(const struct writing *w)
{
    const struct turn *calling = NULL;

    for (const struct turn *t = w->q->turns; t; t = t->next)
        if (t->role == CHAT_ASSISTANT)
            calling = t;
    return calling && calling->next && turn_has(calling, BLOCK_TOOL_CALL) &&
           turn_has(calling->next, BLOCK_TOOL_RESULT) &&
           (turn_has(calling, BLOCK_THINKING) || turn_has(calling, BLOCK_REDACTED)) &&
           !claude_begins_with_thought(calling);
}

static void copy_member(struct writing *w, const struct json_walk *m)
{
    static const struct str ours[] = {STR_INIT("model"), STR_INIT("stream"), STR_INIT("anthropic_version"),
                                      STR_INIT("anthropic_beta")};

    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (json_walk_key_is(m, ours[i]))
            return;
    if (json_walk_key_is(m, STR("thinking")) &&
        json_node_text_is(json_node_get(m->value, STR("type")), STR("enabled")) && misses_thoughts(w)) {
        loss_note(w->losses, LOSS_CHANGED, m->value, "no thinking behind tool calls of another provider's model");
        return;
    }
    if (!json_walk_key_is(m, STR("messages")) || !json_node_is(m->value, JSON_ARRAY)) {
        json_member_raw(&w->o, json_node_text(m->key, w->arena), json_node_raw(m->value));
        return;
    }
    json_member_open(&w->o, STR("messages"), '[');
    JSON_EACH(message, m->value)
        copy_message(w, message.value);
    json_close(&w->o, ']');
}

static void write_own(struct writing *w)
{
    struct json_node root = json_tree_root(w->q->document);

    JSON_EACH(m, root)
        copy_member(w, &m);
    if (w->counting && (w->host & QUIRK_ANTHROPIC_BEDROCK) && json_is_absent(json_node_get(root, STR("max_tokens"))))
        json_member_u64(&w->o, STR("max_tokens"), 1);
}

/* --- cache points --- */

static void write_cache_point(struct writing *w, enum cache_place place, enum cache_hint hint, struct json_node from)
{
    hint = cache_points_take(&w->points, place, hint, from);
    if (hint == CACHE_NONE)
        return;
    json_member_open(&w->o, STR("cache_control"), '{');
    json_member_str(&w->o, STR("type"), STR("ephemeral"));
    if (hint == CACHE_5M || hint == CACHE_1H)
        json_member_str(&w->o, STR("ttl"), hint == CACHE_1H ? STR("1h") : STR("5m"));
    json_close(&w->o, '}');
}

/* --- blocks --- */

static void open_turn(struct writing *w)
{
    if (w->turn_is_open)
        return;
    w->turn_is_open = true;
    w->messages++;
    json_open(&w->o, '{');
    json_member_str(&w->o, STR("role"), w->turn->role == CHAT_ASSISTANT ? STR("assistant") : STR("user"));
    json_member_open(&w->o, STR("content"), '[');
}

static void begin_block(struct writing *w, struct str type)
{
    if (!w->in_result)
        open_turn(w);
    json_open(&w->o, '{');
    json_member_str(&w->o, STR("type"), type);
}

static void end_block(struct writing *w, const struct block *b)
{
    write_cache_point(w, w->turn ? CACHE_OF_MESSAGES : CACHE_OF_SYSTEM, b->cache, b->from);
    json_close(&w->o, '}');
}

static void write_text(struct writing *w, const struct block *b)
{
    if (!b->text.n)
        return;
    if (b->citations)
        loss_drop(w->losses, b->from, "citations of another dialect");
    begin_block(w, STR("text"));
    json_member_str(&w->o, STR("text"), b->text);
    end_block(w, b);
}

static void write_source(struct writing *w, struct str type, struct str media_type, struct str key, struct str data)
{
    json_member_open(&w->o, STR("source"), '{');
    json_member_str(&w->o, STR("type"), type);
    if (media_type.n)
        json_member_str(&w->o, STR("media_type"), media_type);
    json_member_str(&w->o, key, data);
    json_close(&w->o, '}');
}

static bool is_image_type(struct str type)
{
    return str_eq(type, STR("image/jpeg")) || str_eq(type, STR("image/png")) || str_eq(type, STR("image/gif")) ||
           str_eq(type, STR("image/webp"));
}

static void write_image(struct writing *w, const struct block *b)
{
    const struct media *m = &b->media;
    struct str sniffed = m->source == MEDIA_BASE64 ? media_sniff(m->data) : STR_NONE;
    struct str type = sniffed.n ? sniffed : m->type; /* clients err, and a wrong type is refused */

    if (m->source == MEDIA_FILE_ID || m->source == MEDIA_TEXT) {
        loss_drop(w->losses, b->from, "a file that this provider does not have");
        return;
    }
    if (m->source == MEDIA_BASE64 && !is_image_type(type)) {
        loss_drop(w->losses, b->from, "images must be JPEG, PNG, GIF or WebP");
        return;
    }
    if (m->detail.n && !str_eq(m->detail, STR("auto")))
        loss_note(w->losses, LOSS_CHANGED, b->from, "images have no level of detail");
    begin_block(w, STR("image"));
    if (m->source == MEDIA_URL)
        write_source(w, STR("url"), STR_NONE, STR("url"), m->data);
    else
        write_source(w, STR("base64"), type, STR("data"), m->data);
    end_block(w, b);
}

/* The text of a document that came as base64; false if it is none. */
static bool decoded_text(const struct media *m, struct arena *arena, struct str *ret)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(m->data.n);

    if (!str_starts(m->type, STR("text/")) || base64_decode(&to, m->data, BASE64) != OK)
        return false;
    *ret = arena_str(arena, buf_str(&to));
    return true;
}

static bool write_document_source(struct writing *w, const struct media *m)
{
    struct str type = m->source == MEDIA_BASE64 ? media_sniff(m->data) : STR_NONE, text = m->data;

    if (m->source == MEDIA_FILE_ID)
        return false;
    if (m->source == MEDIA_URL) {
        begin_block(w, STR("document"));
        write_source(w, STR("url"), STR_NONE, STR("url"), m->data);
        return true;
    }
    if (str_eq(type.n ? type : m->type, STR("application/pdf"))) {
        begin_block(w, STR("document"));
        write_source(w, STR("base64"), STR("application/pdf"), STR("data"), m->data);
        return true;
    }
    if (m->source != MEDIA_TEXT && !decoded_text(m, w->arena, &text))
        return false;
    begin_block(w, STR("document"));
    write_source(w, STR("text"), STR("text/plain"), STR("data"), text);
    return true;
}

static void write_document(struct writing *w, const struct block *b)
{
    if (!write_document_source(w, &b->media)) {
        loss_drop(w->losses, b->from, "documents must be PDF or text, as data or URL");
        return;
    }
    if (b->media.name.n)
        json_member_str(&w->o, STR("title"), b->media.name);
    if (b->context.n)
        json_member_str(&w->o, STR("context"), b->context);
    if (b->citations_on != UNSET) {
        json_member_open(&w->o, STR("citations"), '{');
        json_member_bool(&w->o, STR("enabled"), b->citations_on == YES);
        json_close(&w->o, '}');
    }
    end_block(w, b);
}

static void write_call(struct writing *w, const struct block *b)
{
    bool wrapped = false;
    struct str input =
        b->custom ? tool_args_of_text(b->arguments, w->arena) : tool_args_object(b->arguments, w->arena, &wrapped);

    if (wrapped)
        loss_note(w->losses, LOSS_CHANGED, b->from, "arguments that are no JSON object became one");
    if (b->signature.n)
        loss_drop(w->losses, b->from, "a signature of another provider's model");
    begin_block(w, STR("tool_use"));
    json_member_str(&w->o, STR("id"), tool_id_fit(w->t->vendor->tool_ids, b->id, w->arena));
    json_member_str(&w->o, STR("name"), name_map_out(w->call->names, b->name));
    json_member_raw(&w->o, STR("input"), input);
    end_block(w, b);
}

static void write_block(struct writing *w, const struct block *b);

static void write_result(struct writing *w, const struct block *b)
{
    begin_block(w, STR("tool_result"));
    json_member_str(&w->o, STR("tool_use_id"), tool_id_fit(w->t->vendor->tool_ids, b->id, w->arena));
    if (b->is_error)
        json_member_bool(&w->o, STR("is_error"), true);
    if (b->content) {
        json_member_open(&w->o, STR("content"), '[');
        w->in_result = true;
        for (const struct block *part = b->content; part; part = part->next)
            write_block(w, part);
        w->in_result = false;
        json_close(&w->o, ']');
    }
    end_block(w, b);
}

static void write_thought(struct writing *w, const struct block *b)
{
    if (b->signer != SIGNER_ANTHROPIC || (b->kind == BLOCK_THINKING && !b->signature.n)) {
        loss_drop(w->losses, b->from,
                  b->signer == SIGNER_NONE ? "reasoning without a signature cannot be sent back"
                                           : "made by another provider's model");
        return;
    }
    begin_block(w, b->kind == BLOCK_THINKING ? STR("thinking") : STR("redacted_thinking"));
    if (b->kind == BLOCK_THINKING) {
        json_member_str(&w->o, STR("thinking"), b->text);
        json_member_str(&w->o, STR("signature"), b->signature);
    } else {
        json_member_str(&w->o, STR("data"), b->text);
    }
    json_close(&w->o, '}');
}

static void write_block(struct writing *w, const struct block *b)
{
    switch (b->kind) {
    case BLOCK_TEXT:
    case BLOCK_REFUSAL:
        write_text(w, b);
        return;
    case BLOCK_IMAGE:
        write_image(w, b);
        return;
    case BLOCK_DOCUMENT:
        write_document(w, b);
        return;
    case BLOCK_TOOL_CALL:
        write_call(w, b);
        return;
    case BLOCK_TOOL_RESULT:
        write_result(w, b);
        return;
    case BLOCK_THINKING:
    case BLOCK_REDACTED:
        write_thought(w, b);
        return;
    case BLOCK_AUDIO:
    case BLOCK_VIDEO:
        loss_drop(w->losses, b->from, "the provider takes no sound and no video");
        return;
    case BLOCK_OPAQUE:
        loss_drop(w->losses, b->from, "known in the client's dialect only");
        return;
    }
}

/* --- messages --- */

static void write_turn(struct writing *w, const struct turn *t)
{
    w->turn = t;
    w->turn_is_open = false;
    if (t->name.n)
        loss_drop(w->losses, json_node_get(t->from, STR("name")), "speakers have no names");
    for (const struct block *b = t->blocks; b; b = b->next)
        write_block(w, b);
    if (!w->turn_is_open && t->role != CHAT_ASSISTANT) /* keeps user and assistant in turn */
        write_text(w, &(struct block){.kind = BLOCK_TEXT, .text = TURNS_LEFT_OUT});
    if (w->turn_is_open) {
        json_close(&w->o, ']');
        json_close(&w->o, '}');
    }
    w->turn = NULL;
}

static void write_messages(struct writing *w)
{
    json_member_open(&w->o, STR("messages"), '[');
    for (const struct turn *t = w->turns; t; t = t->next)
        write_turn(w, t);
    json_close(&w->o, ']');
}

static void write_system(struct writing *w)
{
    struct block instruction = {
        .kind = BLOCK_TEXT,
        .text = JSON_BY_WORD,
    };
    bool by_word = w->q->format.kind == FORMAT_JSON;

    if (!w->system && !by_word)
        return;
    json_member_open(&w->o, STR("system"), '[');
    w->in_result = true; /* no turn is to be opened */
    for (const struct block *b = w->system; b; b = b->next) {
        if (b->kind == BLOCK_TEXT)
            write_text(w, b);
        else
            loss_drop(w->losses, b->from, "system text must be text");
    }
    if (by_word)
        write_text(w, &instruction);
    w->in_result = false;
    json_close(&w->o, ']');
}

/* --- tools --- */

static bool is_told(const struct writing *w, const struct tool *t)
{
    return t->kind != TOOL_HOSTED && tool_is_allowed(&w->q->tool_choice, t->name);
}

static struct str schema_of(struct writing *w, const struct tool *t)
{
    bool weaker;
    struct str schema = schema_of_object(t->parameters, w->arena, &weaker);

    if (weaker)
        loss_note(w->losses, LOSS_CHANGED, t->from,
                  "oneOf, anyOf and allOf cannot stand at the top of a tool's schema");
    return schema;
}

static void write_tool(struct writing *w, const struct tool *t)
{
    json_open(&w->o, '{');
    json_member_str(&w->o, STR("name"), name_map_out(w->call->names, t->name));
    if (t->description.n)
        json_member_str(&w->o, STR("description"), t->description);
    if (t->kind == TOOL_CUSTOM) {
        loss_note(w->losses, LOSS_EMULATED, t->from, "a tool of free text is told as a function of one string");
        json_member_raw(&w->o, STR("input_schema"), TOOL_ARGS_TEXT_SCHEMA);
    } else {
        json_member_raw(&w->o, STR("input_schema"), schema_of(w, t));
    }
    if (t->strict == YES && w->traits.formats)
        json_member_bool(&w->o, STR("strict"), true);
    else if (t->strict == YES)
        loss_note(w->losses, LOSS_CHANGED, t->from, "this model has no strict tools");
    write_cache_point(w, CACHE_OF_TOOLS, t->cache, t->from);
    json_close(&w->o, '}');
}

/* A model without output formats answers in a call of this tool. */
static void write_schema_tool(struct writing *w)
{
    const struct response_format *f = &w->q->format;
    struct str name = name_map_out(w->call->names, STR("structured_answer"));
    bool weaker;

    w->call->emulate.schema_tool = name;
    loss_note(w->losses, LOSS_EMULATED, f->from, "this model's structured output is a call of a tool");
    json_open(&w->o, '{');
    json_member_str(&w->o, STR("name"), name);
    json_member_str(&w->o, STR("description"),
                    f->description.n ? f->description : STR("Give the final answer by calling this tool."));
    json_member_raw(&w->o, STR("input_schema"), schema_of_object(f->schema, w->arena, &weaker));
    json_close(&w->o, '}');
}

static void write_tools(struct writing *w)
{
    for (const struct tool *t = w->q->tools; t; t = t->next) {
        if (t->kind == TOOL_HOSTED)
            loss_drop(w->losses, t->from, "a tool that only the client's own provider runs");
        else if (!is_told(w, t))
            loss_note(w->losses, LOSS_EMULATED, t->from, "a tool that is not allowed is left out");
    }
    if (!w->has_tools && !w->schema_by_tool)
        return;
    json_member_open(&w->o, STR("tools"), '[');
    for (const struct tool *t = w->q->tools; t; t = t->next)
        if (is_told(w, t))
            write_tool(w, t);
    if (w->schema_by_tool)
        write_schema_tool(w);
    json_close(&w->o, ']');
}

static struct str choice_type(const struct writing *w)
{
    if (w->schema_by_tool)
        return w->has_tools ? STR("any") : STR("tool");
    switch (w->q->tool_choice.kind) {
    case CHOICE_UNSET:
    case CHOICE_AUTO:
        return STR("auto");
    case CHOICE_NONE:
        return STR("none");
    case CHOICE_REQUIRED:
        return STR("any");
    case CHOICE_NAMED:
        return STR("tool");
    }
    return STR("auto");
}

static void write_tool_choice(struct writing *w)
{
    const struct tool_choice *c = &w->q->tool_choice;
    struct str type = choice_type(w);
    bool serial = w->q->parallel_tools.is == NO && !str_eq(type, STR("none"));

    if (!w->has_tools && !w->schema_by_tool) {
        if (c->kind == CHOICE_REQUIRED || c->kind == CHOICE_NAMED)
            loss_drop(w->losses, c->from, "there is no tool to choose");
        return;
    }
    if (c->kind == CHOICE_UNSET && !serial && !w->schema_by_tool)
        return;
    json_member_open(&w->o, STR("tool_choice"), '{');
    json_member_str(&w->o, STR("type"), type);
    if (str_eq(type, STR("tool")))
        json_member_str(&w->o, STR("name"),
                        w->schema_by_tool ? w->call->emulate.schema_tool : name_map_out(w->call->names, c->name));
    if (serial)
        json_member_bool(&w->o, STR("disable_parallel_tool_use"), true);
    json_close(&w->o, '}');
}

/* --- thinking and limits --- */

static bool is_forced(const struct writing *w)
{
    return w->schema_by_tool ||
           (w->has_tools && (w->q->tool_choice.kind == CHOICE_REQUIRED || w->q->tool_choice.kind == CHOICE_NAMED));
}

static void write_thinking(struct writing *w)
{
    if (w->plan.thinking == CLAUDE_THINKING_UNSAID)
        return;
    json_key(&w->o, STR("thinking"));
    claude_put_thinking(&w->o, &w->plan, &w->q->reasoning);
}

static void write_output_config(struct writing *w)
{
    const struct reasoning *r = &w->q->reasoning;
    const struct response_format *f = &w->q->format;
    bool effort = w->traits.adaptive && r->effort > EFFORT_NONE;
    bool format = f->kind == FORMAT_SCHEMA && !w->schema_by_tool;

    if (!effort && !format)
        return;
    json_member_open(&w->o, STR("output_config"), '{');
    if (effort) {
        if (r->effort == EFFORT_MINIMAL)
            loss_note(w->losses, LOSS_CHANGED, r->from, "the lowest effort is low");
        json_member_str(&w->o, STR("effort"), effort_name(r->effort == EFFORT_MINIMAL ? EFFORT_LOW : r->effort));
    }
    if (format) {
        json_member_open(&w->o, STR("format"), '{');
        json_member_str(&w->o, STR("type"), STR("json_schema"));
        json_member_raw(&w->o, STR("schema"), f->strict == YES ? f->schema : schema_closed(f->schema, w->arena));
        json_close(&w->o, '}');
    }
    json_close(&w->o, '}');
}

/* --- settings --- */

/* `max`: what larger ones become; 0: no bound. */
static void write_sampling(struct writing *w, struct str key, const struct number *n, unsigned max)
{
    double value;

    if (!n->text.n)
        return;
    const char *why =
        takes_sampling(w) ? claude_refuses(&w->plan, w->q, n) : "this version of the API has no sampling parameters";
    if (why) {
        loss_drop(w->losses, n->from, why);
        return;
    }
    if (max > 0 && json_to_double(n->text, &value) && (value > max || value < 0)) {
        loss_note(w->losses, LOSS_CHANGED, n->from, "between 0 and 1");
        json_member_u64(&w->o, key, value < 0 ? 0 : max);
        return;
    }
    json_member_raw(&w->o, key, n->text);
}

static void write_stops(struct writing *w)
{
    size_t n;
    const struct setting *stops = emulate_blank_stops(w->call, w->q, w->arena, w->losses, &n);

    if (!n)
        return;
    json_member_open(&w->o, STR("stop_sequences"), '[');
    for (size_t i = 0; i < n; i++)
        json_put_str(&w->o, stops[i].text);
    json_close(&w->o, ']');
}

static void write_tier(struct writing *w)
{
    const struct setting *tier = &w->q->service_tier;

    if (!tier->text.p)
        return;
    if (str_eq(tier->text, STR("auto")) || str_eq(tier->text, STR("priority")))
        json_member_str(&w->o, STR("service_tier"), STR("auto"));
    else if (str_eq(tier->text, STR("default")) || str_eq(tier->text, STR("standard_only")))
        json_member_str(&w->o, STR("service_tier"), STR("standard_only"));
    else
        loss_drop(w->losses, tier->from, "tiers are auto and standard_only");
}

static void write_settings(struct writing *w)
{
    const struct chat_request *q = w->q;

    json_member_i64(&w->o, STR("max_tokens"), w->plan.max_output);
    write_sampling(w, STR("temperature"), &q->temperature, 1);
    write_sampling(w, STR("top_p"), &q->top_p, 1);
    write_sampling(w, STR("top_k"), &q->top_k, 0);
    write_stops(w);
    write_tier(w);
    if (q->user.text.p) {
        json_member_open(&w->o, STR("metadata"), '{');
        json_member_str(&w->o, STR("user_id"), q->user.text);
        json_close(&w->o, '}');
    }
    if (q->format.kind == FORMAT_JSON) {
        loss_note(w->losses, LOSS_EMULATED, q->format.from, "asked for in the system text");
        w->call->emulate.strip_fence = true;
    }
}

/* Everything of the request that this dialect has no word for. */
static void note_unsaid(struct writing *w)
{
    const struct chat_request *q = w->q;
    struct losses *l = w->losses;
    unsaid_of_openai(l, q);
    unsaid_setting(l, &q->metadata);
    if (!w->points.hour_told && q->cache_retention.text.p)
        unsaid_setting(l, &q->cache_retention);
    unsaid_extras(l, q->extras);
}

/* --- the whole --- */

static err_t write_foreign(struct writing *w)
{
    const unsigned rules = TURNS_SYSTEM_APART | TURNS_LATER_AS_USER | TURNS_MERGE | TURNS_RESULTS_FIRST |
                           TURNS_USER_FIRST | TURNS_NO_EMPTY;

    turns_arrange(w->q, rules, w->arena, w->losses, &w->system, &w->turns);
    turns_trim_last(w->turns);
    w->traits = claude_traits_of(w->t->model);
    emulate_tools(w->call, w->q, TOOL_NAME_MAX, STR_NONE, w->arena);
    for (const struct tool *t = w->q->tools; t; t = t->next)
        w->has_tools = w->has_tools || is_told(w, t);
    w->schema_by_tool = w->q->format.kind == FORMAT_SCHEMA && !w->traits.formats;
    cache_points_plan(&w->points, w->q, w->system, w->turns, w->losses);
    w->plan = claude_plan_of(w->q, w->turns, w->traits, is_forced(w), w->t->default_max_output, w->losses);
    if (!w->counting)
        write_settings(w);
    else if (w->host & QUIRK_ANTHROPIC_BEDROCK)
        json_member_u64(&w->o, STR("max_tokens"), 1); /* a body to be counted must be one that could be invoked */
    write_thinking(w);
    write_output_config(w);
    write_tools(w);
    write_tool_choice(w);
    write_system(w);
    write_messages(w);
    note_unsaid(w);
    if (!w->messages)
        return fail(E_PARSE, "messages: nothing is left that Anthropic's API could be told");
    return OK;
}

static err_t write_body(struct writing *w)
{
    w->losses = w->t->losses;
    w->arena = w->t->arena;
    w->host = w->t->vendor->quirks & (QUIRK_ANTHROPIC_BEDROCK | QUIRK_ANTHROPIC_VERTEX);
    w->o = json_out_to(w->call->body);
    json_open(&w->o, '{');
    write_envelope(w);
    if (is_own(w))
        write_own(w);
    else
        TRY(write_foreign(w));
    json_close(&w->o, '}');
    return buf_status(w->call->body);
}

err_t anthropic_write_chat(struct translation *t, const struct chat_request *q, struct provider_call *ret)
{
    struct writing w = {.t = t, .q = q, .call = ret};

    return write_body(&w);
}

/* Bedrock counts what its InvokeModel would be sent: the body within a body. */
static err_t wrap_for_bedrock(struct translation *t, struct buf *body)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(base64_encoded_length(body->n, BASE64));

    TRY(base64_encode(&text, buf_str(body), BASE64));
    buf_clear(body);
    struct json_out o = json_out_to(body);
    json_open(&o, '{');
    json_member_open(&o, STR("input"), '{');
    json_member_open(&o, STR("invokeModel"), '{');
    json_member_str(&o, STR("body"), arena_str(t->arena, buf_str(&text)));
    for (int i = 0; i < 3; i++)
        json_close(&o, '}');
    return buf_status(body);
}

err_t anthropic_ask_count(struct translation *t, const struct chat_request *q, struct provider_call *ret)
{
    struct writing w = {.t = t, .q = q, .call = ret, .counting = true};

    TRY(write_body(&w));
    if (!(t->vendor->quirks & QUIRK_ANTHROPIC_BEDROCK))
        return OK;
    return wrap_for_bedrock(t, ret->body);
}
