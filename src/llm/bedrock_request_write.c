/*
 * bedrock_request_write.c - a canonical request as Converse, ConverseStream or CountTokens gets it.
 *
 * First the conversation is made one that Converse takes: each block is fitted or left out, then turns are arranged (turns.h), then what depends
 * on whole turns is mended. Turns must alternate, begin with the user, and hold nothing blank; results come right behind their calls, all
 * in one message; some models take no text beside them; a document needs a text that says what to do with it. Only then is it written, so that
 * nothing that is left out can leave a hole.
 *
 * What the form cannot say goes into the model's own fields, which depend on its maker (bedrock_model.c).
 */
#include "codec/json_out.h"
#include "llm/bedrock_int.h"
#include "llm/cache_points.h"
#include "llm/claude.h"
#include "llm/emulate.h"
#include "llm/schema_fit.h"
#include "llm/signature.h"
#include "llm/tool_args.h"
#include "llm/turns.h"
#include "llm/unsaid.h"
#include "llm/vendor.h"

enum { TOOL_NAME_MAX = 64, DOCUMENT_NAME_MAX = 200, METADATA_MAX = 16, METADATA_TEXT_MAX = 256 };

struct writing {
    struct translation *t;
    const struct chat_request *q;
    struct provider_call *call;
    struct arena *arena;
    struct losses *losses;
    struct json_out o;
    const struct bedrock_family *family;
    struct claude_traits traits; /* of Claude */
    struct claude_plan plan;     /* likewise  */
    struct cache_points points;
    struct block *system;
    struct turn *turns;
    struct str *documents; /* names given so far */
    size_t document_count;
    bool formats;      /* the model takes textFormat and strict tools           */
    bool has_tools;    /* some tool of the client's is told                     */
    bool has_calls;    /* the conversation has calls or results                 */
    bool told_nothing; /* the client told no tool at all, or none may be called */
    bool schema_by_tool, schema_by_word, json_by_word;
    bool inference; /* inferenceConfig is open              */
    bool more;      /* additionalModelRequestFields is open */
};

static bool takes(const struct writing *w, unsigned what)
{
    return w->family->takes & what;
}

/* --- fitting blocks --- */

static struct block *copy_of(struct writing *w, const struct block *b)
{
    struct block *to = arena_new(w->arena, struct block);

    *to = *b;
    to->next = NULL;
    return to;
}

static struct block *drop(struct writing *w, const struct block *b, const char *why)
{
    loss_drop(w->losses, b->from, why);
    return NULL;
}

static struct block *fit_text(struct writing *w, const struct block *b, enum chat_role role)
{
    if (str_is_blank(b->text)) {
        if (b->text.n)
            loss_note(w->losses, LOSS_CHANGED, b->from, "blank texts are refused");
        return NULL;
    }
    struct block *to = copy_of(w, b);
    to->kind = BLOCK_TEXT;
    for (const struct citation *c = b->citations; c; c = c->next) {
        if (c->of == &dialect_bedrock && role == CHAT_ASSISTANT)
            continue;
        loss_drop(w->losses, b->from, "citations of another dialect");
        to->citations = NULL;
        break;
    }
    return to;
}

static struct str lower(struct str s, struct arena *arena)
{
    char *to = arena_alloc(arena, s.n + 1);

    for (size_t i = 0; i < s.n; i++)
        to[i] = ascii_lower(s.p[i]);
    return str_of(to, s.n);
}

/* What data is: what its first bytes say, or its type, or the end of its name. */
static struct str format_of(const struct block *b, struct arena *arena)
{
    const struct media *m = &b->media;
    struct str sniffed = m->source == MEDIA_BASE64 ? media_sniff(m->data) : STR_NONE;
    struct str format = bedrock_format_of(b->kind, sniffed);
    struct str file = m->source == MEDIA_URL ? m->data : m->name;
    size_t dot = file.n;

    if (!format.n)
        format = bedrock_format_of(b->kind, m->type);
    if (format.n || (m->source == MEDIA_TEXT && b->kind == BLOCK_DOCUMENT))
        return format.n ? format : STR("txt");
    while (dot && file.p[dot - 1] != '.')
        dot--;
    struct str end = lower(str_slice(file, dot, file.n), arena);
    if (str_eq(end, STR("jpg")))
        end = STR("jpeg");
    return dot && bedrock_type_of(b->kind, end).n ? end : STR_NONE;
}

static struct block *fit_media(struct writing *w, const struct block *b, enum chat_role role)
{
    const struct media *m = &b->media;
    struct str format = format_of(b, w->arena);

    if (role != CHAT_USER)
        return drop(w, b, "only the user can show something");
    if (m->source == MEDIA_FILE_ID)
        return drop(w, b, "a file that this provider does not have");
    if (m->source == MEDIA_URL && !str_starts(m->data, STR("s3://")))
        return drop(w, b, "the provider fetches nothing but s3:// URLs");
    if (m->source == MEDIA_TEXT && (b->kind != BLOCK_DOCUMENT || str_is_blank(m->data)))
        return drop(w, b, "no data");
    if (!format.n)
        return drop(w, b, "a format that the provider does not take");
    if (m->detail.n && !str_eq(m->detail, STR("auto")))
        loss_note(w->losses, LOSS_CHANGED, b->from, "images have no level of detail");
    struct block *to = copy_of(w, b);
    to->media.type = format; /* from here on: Bedrock's name of it */
    return to;
}

static struct block *fit_thought(struct writing *w, const struct block *b)
{
    if (b->signer == SIGNER_NONE || (b->kind == BLOCK_THINKING && !b->signature.n))
        return drop(w, b, "reasoning without a signature cannot be sent back");
    if (b->signer != SIGNER_ANTHROPIC || !takes(w, BEDROCK_SIGNED))
        return drop(w, b, "made by another provider's model");
    return copy_of(w, b);
}

static struct block *fit_call(struct writing *w, const struct block *b)
{
    bool wrapped = false;
    struct block *to = copy_of(w, b);

    to->arguments =
        b->custom ? tool_args_of_text(b->arguments, w->arena) : tool_args_object(b->arguments, w->arena, &wrapped);
    if (wrapped)
        loss_note(w->losses, LOSS_CHANGED, b->from, "arguments that are no JSON object became one");
    if (b->signature.n)
        loss_drop(w->losses, b->from, "a signature of another provider's model");
    w->has_calls = true;
    return to;
}

static struct block *fit(struct writing *w, const struct block *b, enum chat_role role);

/* The fitted blocks of a list; a mark of one that is left out goes to the one before it. */
static struct block *fit_list(struct writing *w, const struct block *b, enum chat_role role)
{
    struct block *first = NULL, *last = NULL;

    for (; b; b = b->next) {
        struct block *to = fit(w, b, role);
        if (to && last)
            last->next = to;
        else if (to)
            first = to;
        else if (last && last->cache == CACHE_NONE)
            last->cache = b->cache;
        last = to ? to : last;
    }
    return first;
}

static struct block *fit_result(struct writing *w, const struct block *b)
{
    struct block *to = copy_of(w, b);

    to->content = fit_list(w, b->content, CHAT_USER);
    for (struct block *part = to->content; part; part = part->next) {
        if (part->cache != CACHE_NONE && to->cache == CACHE_NONE)
            to->cache = part->cache; /* marks stand between blocks of messages only */
        part->cache = CACHE_NONE;
    }
    if (!to->content)
        chat_add_block(&to->content, w->arena, BLOCK_TEXT, b->from)->text = STR("(no output)");
    if (b->is_error && !takes(w, BEDROCK_STATUS))
        loss_note(w->losses, LOSS_CHANGED, b->from, "results of this model's tools have no status");
    w->has_calls = true;
    return to;
}

static struct block *fit(struct writing *w, const struct block *b, enum chat_role role)
{
    switch (b->kind) {
    case BLOCK_TEXT:
    case BLOCK_REFUSAL:
        return fit_text(w, b, role);
    case BLOCK_IMAGE:
    case BLOCK_AUDIO:
    case BLOCK_VIDEO:
    case BLOCK_DOCUMENT:
        return fit_media(w, b, role);
    case BLOCK_TOOL_CALL:
        return fit_call(w, b);
    case BLOCK_TOOL_RESULT:
        return fit_result(w, b);
    case BLOCK_THINKING:
    case BLOCK_REDACTED:
        return fit_thought(w, b);
    case BLOCK_OPAQUE:
        return b->of == &dialect_bedrock ? copy_of(w, b) : drop(w, b, "known in the client's dialect only");
    }
    return NULL;
}

/* --- fitting turns --- */

/* A user turn of which nothing is left says so: what the assistant said next was an answer to it. */
static struct turn *fit_turn(struct writing *w, const struct turn *t)
{
    struct turn *to = arena_new(w->arena, struct turn);
    bool said = false;

    *to = *t;
    to->next = NULL;
    if (t->name.n)
        loss_drop(w->losses, json_node_get(t->from, STR("name")), "speakers have no names");
    to->blocks = fit_list(w, t->blocks, t->role);
    for (const struct block *b = t->blocks; b; b = b->next)
        said = said || b->kind != BLOCK_TEXT;
    if (!to->blocks && said && t->role == CHAT_USER)
        chat_add_block(&to->blocks, w->arena, BLOCK_TEXT, t->from)->text = TURNS_LEFT_OUT;
    return to;
}

static struct turn *insert_turn(struct writing *w, struct turn *before, enum chat_role role)
{
    struct turn *t = arena_new(w->arena, struct turn);

    *t = (struct turn){.next = before->next, .role = role, .from = before->from};
    before->next = t;
    return t;
}

/* For models that take no text beside results: what the user says behind them becomes a turn of its own. */
static void part_from_results(struct writing *w, struct turn *t)
{
    struct block **end = &t->blocks;

    while (*end && (*end)->kind == BLOCK_TOOL_RESULT)
        end = &(*end)->next;
    if (takes(w, BEDROCK_MIXES) || end == &t->blocks || !*end)
        return;
    struct turn *between = insert_turn(w, t, CHAT_ASSISTANT), *rest = insert_turn(w, between, CHAT_USER);
    chat_add_block(&between->blocks, w->arena, BLOCK_TEXT, t->from)->text = STR("(results received)");
    rest->blocks = *end;
    *end = NULL;
    loss_note(w->losses, LOSS_CHANGED, rest->blocks->from,
              "this model takes no text beside results: the assistant says a word between them");
}

static void name_documents(struct writing *w, const struct turn *t)
{
    if (t->role != CHAT_USER || !turn_has(t, BLOCK_DOCUMENT) || turn_has(t, BLOCK_TEXT))
        return;
    struct block *last = t->blocks;
    while (last->next)
        last = last->next;
    chat_add_block(&last, w->arena, BLOCK_TEXT, t->from)->text = STR("(see the attached document)");
    loss_note(w->losses, LOSS_CHANGED, t->from, "a document needs a text beside it");
}

static void arrange(struct writing *w)
{
    const unsigned rules = TURNS_SYSTEM_APART | TURNS_LATER_AS_USER | TURNS_MERGE | TURNS_RESULTS_FIRST |
                           TURNS_USER_FIRST | TURNS_NO_EMPTY;
    struct chat_request fitted = *w->q;
    struct turn **end = &fitted.turns;

    fitted.turns = NULL;
    for (const struct turn *t = w->q->turns; t; t = t->next) {
        *end = fit_turn(w, t);
        end = &(*end)->next;
    }
    turns_arrange(&fitted, rules, w->arena, w->losses, &w->system, &w->turns);
    for (struct turn *t = w->turns; t; t = t->next) {
        part_from_results(w, t);
        name_documents(w, t);
    }
    turns_trim_last(w->turns);
}

/* --- deciding --- */

static bool is_told(const struct writing *w, const struct tool *t)
{
    if (t->kind == TOOL_HOSTED)
        return t->of == &dialect_bedrock;
    return tool_is_allowed(&w->q->tool_choice, t->name);
}

static void decide_format(struct writing *w)
{
    bool schema = w->q->format.kind == FORMAT_SCHEMA;

    w->formats = takes(w, BEDROCK_CLAUDE) ? w->traits.formats : takes(w, BEDROCK_FORMATS);
    w->schema_by_tool = schema && !w->formats && takes(w, BEDROCK_FORCES);
    w->schema_by_word = schema && !w->formats && !w->schema_by_tool;
    w->json_by_word = w->q->format.kind == FORMAT_JSON || w->schema_by_word;
    w->call->emulate.strip_fence = w->json_by_word;
    if (w->json_by_word)
        loss_note(w->losses, LOSS_EMULATED, w->q->format.from, "asked for in the system text");
}

static bool is_forced(const struct writing *w)
{
    return w->schema_by_tool ||
           (w->has_tools && (w->q->tool_choice.kind == CHOICE_REQUIRED || w->q->tool_choice.kind == CHOICE_NAMED));
}

/* Tools that must not be called are told only where the conversation has calls, or where Claude's own field forbids them. */
static void decide_tools(struct writing *w)
{
    bool none = w->q->tool_choice.kind == CHOICE_NONE;

    w->told_nothing = none || !w->has_tools;
    if (!none || w->has_calls || takes(w, BEDROCK_CLAUDE) || !w->has_tools)
        return;
    loss_note(w->losses, LOSS_EMULATED, w->q->tool_choice.from, "tools that must not be called are left out");
    w->has_tools = false;
}

/* Forbidden in words, where no field can. */
static bool forbids_by_word(const struct writing *w)
{
    return w->told_nothing && !w->schema_by_tool && w->has_calls && !takes(w, BEDROCK_CLAUDE);
}

/* --- small things --- */

/* A mark behind a block or a tool, as a block of its own. */
static void write_cache_point(struct writing *w, enum cache_place place, enum cache_hint hint, struct json_node from)
{
    bool can = takes(w, place == CACHE_OF_TOOLS ? BEDROCK_CACHES_TOOLS : BEDROCK_CACHES);

    if (hint != CACHE_NONE && !can) {
        loss_drop(w->losses, from, "this model caches nothing at this place");
        return;
    }
    hint = cache_points_take(&w->points, place, hint, from);
    if (hint == CACHE_NONE)
        return;
    json_open(&w->o, '{');
    json_member_open(&w->o, STR("cachePoint"), '{');
    json_member_str(&w->o, STR("type"), STR("default"));
    if (hint == CACHE_5M || hint == CACHE_1H)
        json_member_str(&w->o, STR("ttl"), hint == CACHE_1H ? STR("1h") : STR("5m"));
    json_close(&w->o, '}');
    json_close(&w->o, '}');
}

static struct str fit_id(struct writing *w, struct str id)
{
    return tool_id_fit(w->t->vendor->tool_ids, id, w->arena);
}

/* --- blocks --- */

static void write_texts(struct writing *w, struct str key, struct str text)
{
    json_member_open(&w->o, key, '[');
    json_open(&w->o, '{');
    json_member_str(&w->o, STR("text"), text);
    json_close(&w->o, '}');
    json_close(&w->o, ']');
}

static void write_text(struct writing *w, const struct block *b)
{
    if (!b->citations) {
        json_member_str(&w->o, STR("text"), b->text);
        return;
    }
    json_member_open(&w->o, STR("citationsContent"), '{');
    write_texts(w, STR("content"), b->text);
    json_member_open(&w->o, STR("citations"), '[');
    for (const struct citation *c = b->citations; c; c = c->next)
        json_put_raw(&w->o, c->raw);
    json_close(&w->o, ']');
    json_close(&w->o, '}');
}

static bool fits_in_document_name(char c)
{
    char small = ascii_lower(c);

    return (small >= 'a' && small <= 'z') || (c >= '0' && c <= '9') || memchr("-()[] ", c, 6);
}

static bool is_named(const struct writing *w, struct str name)
{
    for (size_t i = 0; i < w->document_count; i++)
        if (str_eq(w->documents[i], name))
            return true;
    return false;
}

/* Letters, digits, single blanks and few signs: the file's name without its end. */
static struct str plain_name(struct writing *w, struct str name)
{
    char *to = arena_alloc(w->arena, DOCUMENT_NAME_MAX + 1);
    size_t n = 0, end = name.n, most = DOCUMENT_NAME_MAX - 16; /* room to tell two apart */

    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] == '.' && i)
            end = i;
    for (size_t i = 0; i < end && n < most; i++) {
        char c = fits_in_document_name(name.p[i]) ? name.p[i] : '-';
        bool again = n && (c == ' ' || c == '-') && to[n - 1] == c && c != name.p[i];
        if (!again && !(c == ' ' && (!n || to[n - 1] == ' ')))
            to[n++] = c;
    }
    return str_trim(str_of(to, n));
}

/* A name that no other document of the request has. */
static struct str document_name(struct writing *w, const struct block *b)
{
    struct str base = plain_name(w, b->media.name), name = base.n ? base : STR("document");

    for (unsigned i = 2; is_named(w, name); i++)
        name = arena_printf(w->arena, "%.*s (%u)", STR_ARG(base.n ? base : STR("document")), i);
    if (b->media.name.n && !str_eq(name, b->media.name))
        loss_note(w->losses, LOSS_CHANGED, b->from, "names of documents are unique, of letters, digits and few signs");
    if (w->document_count % 16 == 0) {
        struct str *more = arena_alloc(w->arena, (w->document_count + 16) * sizeof *more);
        if (w->document_count)
            memcpy(more, w->documents, w->document_count * sizeof *more);
        w->documents = more;
    }
    w->documents[w->document_count++] = name;
    return name;
}

static void write_media(struct writing *w, const struct block *b, struct str member)
{
    const struct media *m = &b->media;

    json_member_open(&w->o, member, '{');
    json_member_str(&w->o, STR("format"), m->type);
    if (b->kind == BLOCK_DOCUMENT)
        json_member_str(&w->o, STR("name"), document_name(w, b));
    json_member_open(&w->o, STR("source"), '{');
    if (m->source == MEDIA_URL) {
        json_member_open(&w->o, STR("s3Location"), '{');
        json_member_str(&w->o, STR("uri"), m->data);
        json_close(&w->o, '}');
    } else {
        json_member_str(&w->o, m->source == MEDIA_TEXT ? STR("text") : STR("bytes"), m->data);
    }
    json_close(&w->o, '}');
    if (b->context.n)
        json_member_str(&w->o, STR("context"), b->context);
    if (b->citations_on != UNSET) {
        json_member_open(&w->o, STR("citations"), '{');
        json_member_bool(&w->o, STR("enabled"), b->citations_on == YES);
        json_close(&w->o, '}');
    }
    json_close(&w->o, '}');
}

static void write_thought(struct writing *w, const struct block *b)
{
    json_member_open(&w->o, STR("reasoningContent"), '{');
    if (b->kind == BLOCK_REDACTED) {
        json_member_str(&w->o, STR("redactedContent"), b->text);
    } else {
        json_member_open(&w->o, STR("reasoningText"), '{');
        json_member_str(&w->o, STR("text"), b->text);
        json_member_str(&w->o, STR("signature"), b->signature);
        json_close(&w->o, '}');
    }
    json_close(&w->o, '}');
}

static void write_call(struct writing *w, const struct block *b)
{
    json_member_open(&w->o, STR("toolUse"), '{');
    json_member_str(&w->o, STR("toolUseId"), fit_id(w, b->id));
    json_member_str(&w->o, STR("name"), name_map_out(w->call->names, b->name));
    json_member_raw(&w->o, STR("input"), b->arguments);
    json_close(&w->o, '}');
}

static void write_block(struct writing *w, const struct block *b);

static void write_result(struct writing *w, const struct block *b)
{
    json_member_open(&w->o, STR("toolResult"), '{');
    json_member_str(&w->o, STR("toolUseId"), fit_id(w, b->id));
    json_member_open(&w->o, STR("content"), '[');
    for (const struct block *part = b->content; part; part = part->next)
        write_block(w, part);
    json_close(&w->o, ']');
    if (b->is_error && takes(w, BEDROCK_STATUS))
        json_member_str(&w->o, STR("status"), STR("error"));
    json_close(&w->o, '}');
}

static void write_block(struct writing *w, const struct block *b)
{
    if (b->kind == BLOCK_OPAQUE) {
        json_put_raw(&w->o, b->text);
        return;
    }
    json_open(&w->o, '{');
    switch (b->kind) {
    case BLOCK_TEXT:
    case BLOCK_REFUSAL:
        write_text(w, b);
        break;
    case BLOCK_IMAGE:
        write_media(w, b, STR("image"));
        break;
    case BLOCK_AUDIO:
        write_media(w, b, STR("audio"));
        break;
    case BLOCK_VIDEO:
        write_media(w, b, STR("video"));
        break;
    case BLOCK_DOCUMENT:
        write_media(w, b, STR("document"));
        break;
    case BLOCK_TOOL_CALL:
        write_call(w, b);
        break;
    case BLOCK_TOOL_RESULT:
        write_result(w, b);
        break;
    case BLOCK_THINKING:
    case BLOCK_REDACTED:
        write_thought(w, b);
        break;
    case BLOCK_OPAQUE:
        break;
    }
    json_close(&w->o, '}');
}

/* --- messages and system text --- */

static void write_messages(struct writing *w)
{
    json_member_open(&w->o, STR("messages"), '[');
    for (const struct turn *t = w->turns; t; t = t->next) {
        json_open(&w->o, '{');
        json_member_str(&w->o, STR("role"), t->role == CHAT_ASSISTANT ? STR("assistant") : STR("user"));
        json_member_open(&w->o, STR("content"), '[');
        for (const struct block *b = t->blocks; b; b = b->next) {
            write_block(w, b);
            write_cache_point(w, CACHE_OF_MESSAGES, b->cache, b->from);
        }
        json_close(&w->o, ']');
        json_close(&w->o, '}');
    }
    json_close(&w->o, ']');
}

static void put_text(struct writing *w, struct str text)
{
    json_open(&w->o, '{');
    json_member_str(&w->o, STR("text"), text);
    json_close(&w->o, '}');
}

/* What no field says. */
static void write_instructions(struct writing *w)
{
    if (w->json_by_word)
        put_text(w, JSON_BY_WORD);
    if (w->schema_by_word)
        put_text(w, arena_printf(w->arena, "The JSON object must be valid by this JSON Schema: %.*s",
                                 STR_ARG(w->q->format.schema)));
    if (!forbids_by_word(w))
        return;
    put_text(w, STR("Do not call any tool now; answer in words."));
    if (w->q->tool_choice.kind == CHOICE_NONE)
        loss_note(w->losses, LOSS_EMULATED, w->q->tool_choice.from, "asked for in the system text");
}

static void write_system(struct writing *w)
{
    if (!w->system && !w->json_by_word && !forbids_by_word(w))
        return;
    json_member_open(&w->o, STR("system"), '[');
    for (const struct block *b = w->system; b; b = b->next) {
        if (b->kind != BLOCK_TEXT) {
            loss_drop(w->losses, b->from, "system text must be text");
            continue;
        }
        put_text(w, b->text);
        write_cache_point(w, CACHE_OF_SYSTEM, b->cache, b->from);
    }
    write_instructions(w);
    json_close(&w->o, ']');
}

/* --- tools --- */

static struct str schema_of(struct writing *w, const struct tool *t)
{
    bool weaker;
    struct str schema = schema_of_object(t->parameters, w->arena, &weaker);

    if (weaker)
        loss_note(w->losses, LOSS_CHANGED, t->from,
                  "oneOf, anyOf and allOf cannot stand at the top of a tool's schema");
    return schema;
}

static void write_spec(struct writing *w, struct str name, struct str description, struct str schema, bool strict)
{
    json_open(&w->o, '{');
    json_member_open(&w->o, STR("toolSpec"), '{');
    json_member_str(&w->o, STR("name"), name);
    if (description.n)
        json_member_str(&w->o, STR("description"), description);
    json_member_open(&w->o, STR("inputSchema"), '{');
    json_member_raw(&w->o, STR("json"), schema);
    json_close(&w->o, '}');
    if (strict)
        json_member_bool(&w->o, STR("strict"), true);
    json_close(&w->o, '}');
    json_close(&w->o, '}');
}

static void write_tool(struct writing *w, const struct tool *t)
{
    struct str name = name_map_out(w->call->names, t->name);

    switch (t->kind) {
    case TOOL_FUNCTION:
        if (t->strict == YES && !w->formats)
            loss_note(w->losses, LOSS_CHANGED, t->from, "this model has no strict tools");
        write_spec(w, name, t->description, schema_of(w, t), t->strict == YES && w->formats);
        break;
    case TOOL_CUSTOM:
        loss_note(w->losses, LOSS_EMULATED, t->from, "a tool of free text is told as a function of one string");
        write_spec(w, name, t->description, TOOL_ARGS_TEXT_SCHEMA, false);
        break;
    case TOOL_HOSTED:
        json_put_raw(&w->o, t->raw);
        break;
    }
    write_cache_point(w, CACHE_OF_TOOLS, t->cache, t->from);
}

static void write_schema_tool(struct writing *w)
{
    const struct response_format *f = &w->q->format;
    struct str name = name_map_out(w->call->names, STR("structured_answer"));
    bool weaker;

    w->call->emulate.schema_tool = name;
    loss_note(w->losses, LOSS_EMULATED, f->from, "this model's structured output is a call of a tool");
    write_spec(w, name, f->description.n ? f->description : STR("Give the final answer by calling this tool."),
               schema_of_object(f->schema, w->arena, &weaker), false);
}

static bool is_said_before(const struct writing *w, const struct turn *until, const struct block *call)
{
    for (const struct turn *t = w->turns; t; t = t->next)
        for (const struct block *b = t->blocks; b; b = b->next) {
            if (t == until && b == call)
                return false;
            if (b->kind == BLOCK_TOOL_CALL && str_eq(b->name, call->name))
                return true;
        }
    return false;
}

/* The service wants to know a tool wherever there are calls: those of the conversation, as far as the client told none. */
static void write_called_tools(struct writing *w)
{
    for (const struct turn *t = w->turns; t; t = t->next)
        for (const struct block *b = t->blocks; b; b = b->next) {
            if (b->kind != BLOCK_TOOL_CALL || is_said_before(w, t, b))
                continue;
            loss_note(w->losses, LOSS_CHANGED, b->from, "the tool of a past call is declared, as the service demands");
            write_spec(w, name_map_out(w->call->names, b->name), STR_NONE,
                       STR("{\"type\":\"object\",\"properties\":{}}"), false);
        }
}

/* Claude's own field says what toolChoice cannot: none, and one call at a time. Both must not be there. */
static bool chooses_by_own_field(const struct writing *w)
{
    return takes(w, BEDROCK_CLAUDE) && (w->has_tools || w->has_calls || w->schema_by_tool) &&
           ((w->told_nothing && !w->schema_by_tool) || w->q->parallel_tools.is == NO);
}

static enum tool_choice_kind choice_of(const struct writing *w)
{
    if (w->schema_by_tool)
        return w->has_tools ? CHOICE_REQUIRED : CHOICE_NAMED;
    return w->told_nothing ? CHOICE_NONE : w->q->tool_choice.kind;
}

static struct str chosen_name(struct writing *w)
{
    return w->schema_by_tool ? w->call->emulate.schema_tool : name_map_out(w->call->names, w->q->tool_choice.name);
}

static void write_choice(struct writing *w)
{
    enum tool_choice_kind kind = choice_of(w);

    if (kind == CHOICE_UNSET || kind == CHOICE_NONE || chooses_by_own_field(w))
        return;
    json_member_open(&w->o, STR("toolChoice"), '{');
    json_member_open(&w->o,
                     kind == CHOICE_AUTO       ? STR("auto")
                     : kind == CHOICE_REQUIRED ? STR("any")
                                               : STR("tool"),
                     '{');
    if (kind == CHOICE_NAMED)
        json_member_str(&w->o, STR("name"), chosen_name(w));
    json_close(&w->o, '}');
    json_close(&w->o, '}');
}

static void note_tools(struct writing *w)
{
    const struct tool_choice *c = &w->q->tool_choice;

    for (const struct tool *t = w->q->tools; t; t = t->next) {
        if (t->kind == TOOL_HOSTED && !is_told(w, t))
            loss_drop(w->losses, t->from, "a tool that only the client's own provider runs");
        else if (!is_told(w, t))
            loss_note(w->losses, LOSS_EMULATED, t->from, "a tool that is not allowed is left out");
    }
    if (!w->has_tools && (c->kind == CHOICE_REQUIRED || c->kind == CHOICE_NAMED))
        loss_drop(w->losses, c->from, "there is no tool to choose");
    if (w->q->parallel_tools.is == NO && !takes(w, BEDROCK_CLAUDE))
        loss_drop(w->losses, w->q->parallel_tools.from, "this model cannot be told to call one tool at a time");
}

static void write_tools(struct writing *w)
{
    note_tools(w);
    if (!w->has_tools && !w->has_calls && !w->schema_by_tool)
        return;
    json_member_open(&w->o, STR("toolConfig"), '{');
    json_member_open(&w->o, STR("tools"), '[');
    for (const struct tool *t = w->has_tools ? w->q->tools : NULL; t; t = t->next)
        if (is_told(w, t))
            write_tool(w, t);
    if (!w->has_tools)
        write_called_tools(w);
    if (w->schema_by_tool)
        write_schema_tool(w);
    json_close(&w->o, ']');
    write_choice(w);
    json_close(&w->o, '}');
}

/* --- settings --- */

static void open_inference(struct writing *w)
{
    if (!w->inference)
        json_member_open(&w->o, STR("inferenceConfig"), '{');
    w->inference = true;
}

/* A number between 0 and 1. */
static void write_fraction(struct writing *w, struct str key, const struct number *n)
{
    const char *why = takes(w, BEDROCK_CLAUDE) ? claude_refuses(&w->plan, w->q, n) : NULL;
    double value = 0;

    if (!n->text.n)
        return;
    if (why || !json_to_double(n->text, &value)) {
        loss_drop(w->losses, n->from, why ? why : "no number");
        return;
    }
    open_inference(w);
    if (value >= 0 && value <= 1) {
        json_member_raw(&w->o, key, n->text);
        return;
    }
    loss_note(w->losses, LOSS_CHANGED, n->from, "between 0 and 1");
    json_member_u64(&w->o, key, value > 1);
}

static void write_stops(struct writing *w)
{
    size_t n;
    const struct setting *stops = emulate_blank_stops(w->call, w->q, w->arena, w->losses, &n);

    if (!n)
        return;
    open_inference(w);
    json_member_open(&w->o, STR("stopSequences"), '[');
    for (size_t i = 0; i < n; i++)
        json_put_str(&w->o, stops[i].text);
    json_close(&w->o, ']');
}

static void write_inference(struct writing *w)
{
    const struct number *max = &w->q->max_output;

    if (max->text.n)
        open_inference(w);
    if (takes(w, BEDROCK_CLAUDE) && w->plan.max_output >= 0)
        json_member_i64(&w->o, STR("maxTokens"), w->plan.max_output);
    else if (max->text.n)
        json_member_raw(&w->o, STR("maxTokens"), max->text);
    write_fraction(w, STR("temperature"), &w->q->temperature);
    write_fraction(w, STR("topP"), &w->q->top_p);
    write_stops(w);
    if (w->inference)
        json_close(&w->o, '}');
}

static void write_format(struct writing *w)
{
    const struct response_format *f = &w->q->format;

    json_member_open(&w->o, STR("textFormat"), '{');
    json_member_str(&w->o, STR("type"), STR("json_schema"));
    json_member_open(&w->o, STR("structure"), '{');
    json_member_open(&w->o, STR("jsonSchema"), '{');
    json_member_str(&w->o, STR("schema"), f->strict == YES ? f->schema : schema_closed(f->schema, w->arena));
    if (f->name.n)
        json_member_str(&w->o, STR("name"), f->name);
    if (f->description.n)
        json_member_str(&w->o, STR("description"), f->description);
    json_close(&w->o, '}');
    json_close(&w->o, '}');
    json_close(&w->o, '}');
}

static bool wants_thought(const struct reasoning *r)
{
    return r->on == YES || r->budget > 0 || r->effort > EFFORT_NONE;
}

/* What the client asked for, as an effort. */
static enum effort effort_asked(const struct reasoning *r)
{
    return r->effort > EFFORT_NONE ? r->effort : r->budget > 0 ? budget_effort(r->budget) : EFFORT_MEDIUM;
}

/* Efforts that go with the form: Claude's, as far as a version has them, and those of models that nobody knows. */
static enum effort effort_of_form(const struct writing *w)
{
    const struct reasoning *r = &w->q->reasoning;

    if (takes(w, BEDROCK_CLAUDE))
        return w->traits.adaptive ? r->effort : EFFORT_UNSET;
    return takes(w, BEDROCK_FORM_EFFORT) && wants_thought(r) ? effort_asked(r) : EFFORT_UNSET;
}

static void write_output(struct writing *w)
{
    const struct reasoning *r = &w->q->reasoning;
    bool format = w->q->format.kind == FORMAT_SCHEMA && w->formats;
    enum effort effort = effort_of_form(w);

    if (!format && effort <= EFFORT_NONE)
        return;
    json_member_open(&w->o, STR("outputConfig"), '{');
    if (effort == EFFORT_MINIMAL) {
        loss_note(w->losses, LOSS_CHANGED, r->from, "the lowest effort is low");
        effort = EFFORT_LOW;
    }
    if (effort > EFFORT_NONE)
        json_member_str(&w->o, STR("effort"), effort_name(effort));
    if (format)
        write_format(w);
    json_close(&w->o, '}');
}

static void write_tier(struct writing *w)
{
    static const struct {
        struct str asked, told;
    } tiers[] = {{STR_INIT("default"), STR_INIT("default")},
                 {STR_INIT("standard_only"), STR_INIT("default")},
                 {STR_INIT("priority"), STR_INIT("priority")},
                 {STR_INIT("flex"), STR_INIT("flex")},
                 {STR_INIT("reserved"), STR_INIT("reserved")}};
    const struct setting *tier = &w->q->service_tier;

    if (!tier->text.p || str_eq(tier->text, STR("auto")))
        return;
    for (size_t i = 0; i < ARRAY_LEN(tiers); i++) {
        if (!str_eq(tier->text, tiers[i].asked))
            continue;
        json_member_open(&w->o, STR("serviceTier"), '{');
        json_member_str(&w->o, STR("type"), tiers[i].told);
        json_close(&w->o, '}');
        return;
    }
    loss_drop(w->losses, tier->from, "tiers are default, priority, flex and reserved");
}

static bool fits_as_metadata(struct str s, size_t least)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i], small = ascii_lower(c);
        if (!(small >= 'a' && small <= 'z') && !(c >= '0' && c <= '9') && !memchr(" \t\r\n:_@$#=/+,-.", c, 15))
            return false;
    }
    return s.n >= least && s.n <= METADATA_TEXT_MAX;
}

/* A member of requestMetadata, if it can be one. `ret_count`: told so far. */
static void write_label(struct writing *w, struct str key, struct str value, struct json_node from, size_t *ret_count)
{
    if (*ret_count == METADATA_MAX || !value.p || !fits_as_metadata(key, 1) || !fits_as_metadata(value, 0)) {
        loss_drop(w->losses, from, "metadata are at most 16 short texts of letters, digits and few signs");
        return;
    }
    if (!(*ret_count)++)
        json_member_open(&w->o, STR("requestMetadata"), '{');
    json_member_str(&w->o, key, value);
}

static void write_metadata(struct writing *w)
{
    const struct chat_request *q = w->q;
    size_t count = 0;

    JSON_EACH(m, q->metadata.from)
        write_label(w, json_node_text(m.key, w->arena), json_node_text(m.value, w->arena), m.value, &count);
    if (q->user.text.p && json_is_absent(json_node_get(q->metadata.from, STR("user"))))
        write_label(w, STR("user"), q->user.text, q->user.from, &count);
    if (count)
        json_close(&w->o, '}');
}

/* --- the model's own fields --- */

static void open_more(struct writing *w)
{
    if (!w->more)
        json_member_open(&w->o, STR("additionalModelRequestFields"), '{');
    w->more = true;
}

static void write_claude_thinking(struct writing *w)
{
    if (w->plan.thinking == CLAUDE_THINKING_UNSAID)
        return;
    open_more(w);
    json_key(&w->o, STR("thinking"));
    claude_put_thinking(&w->o, &w->plan, &w->q->reasoning);
}

static void write_claude_choice(struct writing *w)
{
    enum tool_choice_kind kind = choice_of(w);

    if (!chooses_by_own_field(w))
        return;
    open_more(w);
    json_member_open(&w->o, STR("tool_choice"), '{');
    json_member_str(&w->o, STR("type"),
                    kind == CHOICE_NONE       ? STR("none")
                    : kind == CHOICE_REQUIRED ? STR("any")
                    : kind == CHOICE_NAMED    ? STR("tool")
                                              : STR("auto"));
    if (kind == CHOICE_NAMED)
        json_member_str(&w->o, STR("name"), chosen_name(w));
    if (kind != CHOICE_NONE && w->q->parallel_tools.is == NO)
        json_member_bool(&w->o, STR("disable_parallel_tool_use"), true);
    json_close(&w->o, '}');
}

/* Efforts of models that have three of them. */
static struct str effort_of_three(const struct writing *w)
{
    const struct reasoning *r = &w->q->reasoning;
    enum effort asked = effort_asked(r), told = asked < EFFORT_LOW    ? EFFORT_LOW
                                                : asked > EFFORT_HIGH ? EFFORT_HIGH
                                                                      : asked;

    if (told != r->effort)
        loss_note(w->losses, LOSS_CHANGED, r->from, "efforts are low, medium and high");
    return effort_name(told);
}

static void write_reasoning(struct writing *w)
{
    const struct reasoning *r = &w->q->reasoning;

    if (takes(w, BEDROCK_CLAUDE)) {
        write_claude_thinking(w);
    } else if (!wants_thought(r) || takes(w, BEDROCK_FORM_EFFORT)) {
        return; /* said elsewhere; or none, which is what they do unasked or cannot be switched */
    } else if (takes(w, BEDROCK_NOVA)) {
        open_more(w);
        json_member_open(&w->o, STR("reasoningConfig"), '{');
        json_member_str(&w->o, STR("type"), STR("enabled"));
        json_member_str(&w->o, STR("maxReasoningEffort"), effort_of_three(w));
        json_close(&w->o, '}');
    } else if (takes(w, BEDROCK_EFFORT)) {
        open_more(w);
        json_member_str(&w->o, STR("reasoning_effort"), effort_of_three(w));
    } else {
        loss_drop(w->losses, r->from, "how this model reasons cannot be set");
    }
}

static void write_top_k(struct writing *w)
{
    const struct number *k = &w->q->top_k;
    const char *why = takes(w, BEDROCK_CLAUDE) ? claude_refuses(&w->plan, w->q, k)
                      : !w->family->top_k.n    ? "this model has no such setting"
                                               : NULL;

    if (!k->text.n)
        return;
    if (why) {
        loss_drop(w->losses, k->from, why);
        return;
    }
    open_more(w);
    if (!takes(w, BEDROCK_NOVA)) {
        json_member_raw(&w->o, w->family->top_k, k->text);
        return;
    }
    json_member_open(&w->o, STR("inferenceConfig"), '{');
    json_member_raw(&w->o, w->family->top_k, k->text);
    json_close(&w->o, '}');
}

static void write_more(struct writing *w)
{
    write_reasoning(w);
    write_top_k(w);
    write_claude_choice(w);
    if (w->more)
        json_close(&w->o, '}');
}

/* Which of the stop sequences it was, Claude says when asked. */
static void write_response_paths(struct writing *w)
{
    if (!takes(w, BEDROCK_CLAUDE) || w->q->stop_count == 0)
        return;
    json_member_open(&w->o, STR("additionalModelResponseFieldPaths"), '[');
    json_put_str(&w->o, STR("/stop_sequence"));
    json_close(&w->o, ']');
}

/* --- the rest of the client's document --- */

/* Everything of the request that Converse has no word for. */
static void note_unsaid(struct writing *w)
{
    const struct chat_request *q = w->q;
    struct losses *l = w->losses;
    unsaid_of_openai(l, q);
    if (!w->points.hour_told && q->cache_retention.text.p)
        unsaid_setting(l, &q->cache_retention);
}

/* --- the whole --- */

static void decide(struct writing *w)
{
    w->losses = w->t->losses;
    w->arena = w->t->arena;
    w->o = json_out_to(w->call->body);
    w->family = bedrock_family_of(w->t->model);
    w->traits = claude_traits_of(w->t->model);
    if (!takes(w, BEDROCK_SIGNED)) /* answers of all families look the same */
        w->call->emulate.signer = SIGNER_OTHER;
    arrange(w);
    emulate_tools(w->call, w->q, TOOL_NAME_MAX, STR_NONE, w->arena);
    for (const struct tool *t = w->q->tools; t; t = t->next)
        w->has_tools = w->has_tools || is_told(w, t);
    decide_format(w);
    decide_tools(w);
    if (takes(w, BEDROCK_CLAUDE))
        w->plan = claude_plan_of(w->q, w->turns, w->traits, is_forced(w), 0, w->losses);
    cache_points_plan(&w->points, w->q, w->system, w->turns, w->losses);
}

/* In the order in which a prompt is cached. */
static void write_prompt(struct writing *w)
{
    write_tools(w);
    write_system(w);
    write_messages(w);
    write_more(w);
}

static void write_settings(struct writing *w)
{
    write_inference(w);
    write_output(w);
    write_tier(w);
    write_metadata(w);
    write_response_paths(w);
    extras_put(&w->o, w->q->extras, w->q->dialect == &dialect_bedrock, w->losses);
    note_unsaid(w);
}

static err_t check(const struct writing *w)
{
    if (!w->turns)
        return fail(E_PARSE, "messages: nothing is left that Converse could be told");
    return buf_status(w->call->body);
}

err_t bedrock_write_chat(struct translation *t, const struct chat_request *q, struct provider_call *ret)
{
    struct writing w = {.t = t, .q = q, .call = ret};

    ret->stream = q->stream;
    ret->path = bedrock_path(t->arena, t->model, q->stream ? STR("converse-stream") : STR("converse"));
    ret->framing = FRAMING_EVENTSTREAM;
    decide(&w);
    json_open(&w.o, '{');
    write_prompt(&w);
    write_settings(&w);
    json_close(&w.o, '}');
    return check(&w);
}

err_t bedrock_ask_count(struct translation *t, const struct chat_request *q, struct provider_call *ret)
{
    struct writing w = {.t = t, .q = q, .call = ret};

    ret->stream = false;
    ret->path = bedrock_path(t->arena, t->model, STR("count-tokens"));
    decide(&w);
    json_open(&w.o, '{');
    json_member_open(&w.o, STR("input"), '{');
    json_member_open(&w.o, STR("converse"), '{');
    write_prompt(&w);
    for (int i = 0; i < 3; i++)
        json_close(&w.o, '}');
    return check(&w);
}
