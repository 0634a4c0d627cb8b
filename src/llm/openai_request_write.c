/*
 * openai_request_write.c - the canonical request as Chat Completions, for OpenAI and for those who speak nearly the same.
 *
 * Every field of the request is looked at, in the order of struct chat_request; what the provider's row says it does not take is left out and
 * reported. The order of what is written is fixed, so that the same conversation gives the same bytes and finds its prompt cached.
 *
 * Schemas, numbers and arguments are copied as the client wrote them. Done by other means, and reported as emulated: a schema where only JSON mode
 * exists, more stop sequences than four, tools of free text, a choice among allowed tools.
 *
 * Wire format: OpenAI's published API description, November 2026; the look-alikes' differences are in llm/vendor.c.
 */
#include "codec/url.h"
#include "llm/emulate.h"
#include "llm/openai_int.h"
#include "llm/unsaid.h"

enum { STOPS_MAX = 4 };

/* --- fields --- */

/* Does the provider take the field? If not, and the client set it, that is reported. */
static bool takes(struct openai_writing *w, const char *field, struct json_node from)
{
    if (vendor_accepts(w->vendor, str_from_c(field)))
        return true;
    loss_drop(w->t->losses, from, "the provider takes no such field");
    return false;
}

void openai_member_number(struct openai_writing *w, const char *field, const struct number *n)
{
    if (n->text.n && takes(w, field, n->from))
        json_member_raw(&w->o, str_from_c(field), n->text);
}

void openai_member_flag(struct openai_writing *w, const char *field, const struct flag *f)
{
    if (f->is != UNSET && takes(w, field, f->from))
        json_member_bool(&w->o, str_from_c(field), f->is == YES);
}

void openai_member_text(struct openai_writing *w, const char *field, const struct setting *s)
{
    if (s->text.p && takes(w, field, s->from))
        json_member_str(&w->o, str_from_c(field), s->text);
}

void openai_member_raw(struct openai_writing *w, const char *field, const struct setting *s)
{
    if (s->text.p && takes(w, field, s->from))
        json_member_raw(&w->o, str_from_c(field), s->text);
}

void openai_drop_number(struct openai_writing *w, const struct number *n)
{
    if (n->text.n)
        loss_drop(w->t->losses, n->from, "no such field");
}

void openai_drop_setting(struct openai_writing *w, const struct setting *s)
{
    if (s->text.p)
        loss_drop(w->t->losses, s->from, "no such field");
}

void openai_drop_flag(struct openai_writing *w, const struct flag *f)
{
    if (f->is != UNSET)
        loss_drop(w->t->losses, f->from, "no such field");
}

/* A field that is not OpenAI's: only for providers that are known to have it, or that were strict and have it listed. */
static void member_added(struct openai_writing *w, const char *field, const struct number *n)
{
    if (vendor_adds(w->vendor, str_from_c(field)))
        openai_member_number(w, field, n);
    else
        openai_drop_number(w, n);
}

void openai_write_extras(struct openai_writing *w, const struct dialect *own)
{
    for (const struct extra *x = w->q->extras; x; x = x->next) {
        if (x->nested || w->q->dialect != own) {
            loss_drop(w->t->losses, x->from, "no such field");
            continue;
        }
        if (!vendor_accepts(w->vendor, x->key)) {
            loss_drop(w->t->losses, x->from, "the provider takes no such field");
            continue;
        }
        extra_put(&w->o, x);
    }
}

/* --- model, path, sampling --- */

/* The api-version in the query of a client of this family; empty: none. */
static struct str asked_version(const struct translation *t)
{
    bool related = t->client == &dialect_openai || t->client == &dialect_completions;

    return related ? url_query_get(t->query, STR("api-version"), t->arena) : STR_NONE;
}

/* What the operator says of the version goes before what an Azure client says. */
struct str openai_path(const struct translation *t, const char *operation, bool with_query)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(4096);

    if (!(t->vendor->quirks & QUIRK_DEPLOYMENT_PATH))
        return str_from_c(operation);
    struct str asked = asked_version(t), version = t->provider_version.n ? t->provider_version : asked;
    buf_add_lit(&to, "/deployments/");
    url_encode(&to, t->model);
    buf_add(&to, str_from_c(operation));
    if (!with_query || !asked.n) {
        buf_add_lit(&to, "?api-version=");
        url_encode(&to, version.n ? version : STR("2024-10-21"));
    }
    return arena_str(t->arena, buf_str(&to));
}

void openai_write_temperature(struct openai_writing *w)
{
    const struct number *n = &w->q->temperature;
    double max = w->vendor->temperature_max > 0 ? w->vendor->temperature_max : 2.0, asked;

    if (!json_node_double(n->from, &asked) || asked <= max) {
        openai_member_number(w, "temperature", n);
        return;
    }
    loss_note(w->t->losses, LOSS_CHANGED, n->from, "brought down to the provider's maximum");
    json_key(&w->o, STR("temperature"));
    json_put_double(&w->o, max);
}

static void write_n(struct openai_writing *w)
{
    const struct number *n = &w->q->n;

    if ((w->vendor->quirks & QUIRK_NO_N) && n->text.n && !str_eq(n->text, STR("1")))
        loss_drop(w->t->losses, n->from, "the provider gives one choice only");
    else
        openai_member_number(w, "n", n);
}

static void write_stops(struct openai_writing *w)
{
    size_t most = vendor_accepts(w->vendor, STR("stop")) ? STOPS_MAX : 0, n = w->q->stop_count;

    if (n > most) { /* the provider stops at the first few; the rest is looked for on the way back */
        loss_note(w->t->losses, LOSS_EMULATED, w->q->stops[most].from,
                  most ? "more than four stop sequences" : "looked for by the gateway");
        w->call->emulate.stops = w->q->stops + most;
        w->call->emulate.stop_count = n - most;
        w->call->emulate.choices = w->vendor->quirks & QUIRK_NO_N ? 1 : chat_choices(w->q);
        n = most;
    }
    if (!n)
        return;
    json_member_open(&w->o, STR("stop"), '[');
    for (size_t i = 0; i < n; i++)
        json_put_str(&w->o, w->q->stops[i].text);
    json_close(&w->o, ']');
}

void openai_write_sampling(struct openai_writing *w, const char *max_tokens)
{
    const struct chat_request *q = w->q;
    const char *penalty = vendor_adds(w->vendor, STR("repeat_penalty")) ? "repeat_penalty" : "repetition_penalty";

    openai_member_number(w, max_tokens, &q->max_output);
    openai_write_temperature(w);
    openai_member_number(w, "top_p", &q->top_p);
    member_added(w, "top_k", &q->top_k);
    member_added(w, "min_p", &q->min_p);
    member_added(w, "typical_p", &q->typical_p);
    member_added(w, penalty, &q->repetition_penalty);
    openai_member_number(w, "presence_penalty", &q->presence_penalty);
    openai_member_number(w, "frequency_penalty", &q->frequency_penalty);
    openai_member_number(w, w->vendor->quirks & QUIRK_RANDOM_SEED ? "random_seed" : "seed", &q->seed);
    write_n(w);
    openai_member_raw(w, "logit_bias", &q->logit_bias);
    write_stops(w);
}

/* --- reasoning --- */

enum effort openai_effort(struct openai_writing *w)
{
    const struct reasoning *r = &w->q->reasoning;

    if (r->effort != EFFORT_UNSET)
        return r->effort;
    if (r->budget > 0) {
        loss_note(w->t->losses, LOSS_CHANGED, r->from, "a budget of tokens became an effort");
        return budget_effort(r->budget);
    }
    if (r->on == NO || r->budget == 0) /* an effort of "none" is an error for the many models that never think */
        loss_drop(w->t->losses, r->from, "thinking cannot be switched off for models in general");
    return EFFORT_UNSET;
}

/* OpenRouter says it all in one object. */
static void write_reasoning_object(struct openai_writing *w)
{
    const struct reasoning *r = &w->q->reasoning;

    if (r->effort == EFFORT_UNSET && r->budget < 0 && r->on == UNSET && r->show == UNSET)
        return;
    json_member_open(&w->o, STR("reasoning"), '{');
    if (r->on == NO)
        json_member_bool(&w->o, STR("enabled"), false);
    else if (r->effort != EFFORT_UNSET)
        json_member_str(&w->o, STR("effort"), effort_name(r->effort));
    else if (r->budget >= 0)
        json_member_i64(&w->o, STR("max_tokens"), r->budget);
    else if (r->on == YES)
        json_member_bool(&w->o, STR("enabled"), true);
    if (r->show == NO)
        json_member_bool(&w->o, STR("exclude"), true);
    json_close(&w->o, '}');
}

static void write_thinking_switch(struct openai_writing *w)
{
    const struct reasoning *r = &w->q->reasoning;
    bool off = r->on == NO || r->effort == EFFORT_NONE || r->budget == 0;

    if (off || r->on == YES || r->budget > 0) {
        json_member_open(&w->o, STR("thinking"), '{');
        json_member_str(&w->o, STR("type"), off ? STR("disabled") : STR("enabled"));
        json_close(&w->o, '}');
    }
    enum effort e = off ? EFFORT_UNSET : openai_effort(w);
    if (e != EFFORT_UNSET)
        json_member_str(&w->o, STR("reasoning_effort"), effort_name(e));
}

static void write_budget(struct openai_writing *w)
{
    json_member_i64(&w->o, STR("thinking_token_budget"), w->q->reasoning.budget);
    if (w->q->reasoning.effort != EFFORT_UNSET)
        json_member_str(&w->o, STR("reasoning_effort"), effort_name(w->q->reasoning.effort));
}

static void write_reasoning(struct openai_writing *w)
{
    const struct reasoning *r = &w->q->reasoning;

    if (r->summary.n && !(w->q->dialect == &dialect_openai))
        loss_drop(w->t->losses, r->from, "thoughts are not summarised by this API");
    if (r->show != UNSET && vendor_adds(w->vendor, STR("include_reasoning")))
        json_member_bool(&w->o, STR("include_reasoning"), r->show == YES);
    if (w->vendor->quirks & QUIRK_OPENROUTER) {
        write_reasoning_object(w);
        return;
    }
    if (w->vendor->quirks & QUIRK_THINKING) {
        write_thinking_switch(w);
        return;
    }
    if (r->budget > 0 && vendor_adds(w->vendor, STR("thinking_token_budget"))) {
        write_budget(w);
        return;
    }
    enum effort e = openai_effort(w);
    if (e != EFFORT_UNSET && takes(w, "reasoning_effort", r->from))
        json_member_str(&w->o, STR("reasoning_effort"), effort_name(e));
}

/* --- the form of the answer --- */

/* Can the provider be given the schema? */
static bool takes_schema(struct openai_writing *w)
{
    bool excluded = (w->vendor->quirks & QUIRK_VALUE_FORMAT) && openai_offers_any(w, false);

    return w->q->format.kind == FORMAT_SCHEMA && !(w->vendor->quirks & QUIRK_NO_SCHEMA) && !excluded;
}

/* Without schemas: JSON mode, and the schema told in words. */
static struct str schema_instruction(struct openai_writing *w)
{
    const struct response_format *f = &w->q->format;

    if (f->kind == FORMAT_JSON && (w->vendor->quirks & QUIRK_VALUE_FORMAT)) {
        loss_note(w->t->losses, LOSS_EMULATED, f->from, "JSON is asked for in the instructions");
        w->call->emulate.strip_fence = true;
        return STR("Answer with one JSON object and nothing else.");
    }
    if (f->kind != FORMAT_SCHEMA || takes_schema(w))
        return STR_NONE;
    loss_note(w->t->losses, LOSS_EMULATED, f->from, "JSON mode, with the schema in the instructions");
    w->call->emulate.strip_fence = true;
    return arena_printf(w->t->arena,
                        "Answer with one JSON document and nothing else. It must fit this JSON schema:\n%.*s",
                        STR_ARG(f->schema));
}

static void write_schema(struct openai_writing *w, const struct response_format *f)
{
    struct json_out *o = &w->o;

    json_member_open(o, STR("json_schema"), '{');
    json_member_str(o, STR("name"), f->name.n ? f->name : STR("response"));
    if (f->description.n)
        json_member_str(o, STR("description"), f->description);
    if (f->schema.n)
        json_member_raw(o, STR("schema"), f->schema);
    if (f->strict != UNSET)
        json_member_bool(o, STR("strict"), f->strict == YES);
    json_close(o, '}');
}

static void write_value_format(struct openai_writing *w, bool schema)
{
    if (!schema || !w->q->format.schema.n)
        return;
    json_member_open(&w->o, STR("response_format"), '{');
    json_member_str(&w->o, STR("type"), STR("json_object"));
    json_member_raw(&w->o, STR("value"), w->q->format.schema);
    json_close(&w->o, '}');
}

static void write_response_format(struct openai_writing *w)
{
    const struct response_format *f = &w->q->format;
    bool schema = takes_schema(w);

    if (f->kind == FORMAT_UNSET || !takes(w, "response_format", f->from))
        return;
    if (w->vendor->quirks & QUIRK_VALUE_FORMAT) {
        write_value_format(w, schema);
        return;
    }
    json_member_open(&w->o, STR("response_format"), '{');
    json_member_str(&w->o, STR("type"),
                    schema                   ? STR("json_schema")
                    : f->kind == FORMAT_TEXT ? STR("text")
                                             : STR("json_object"));
    if (schema)
        write_schema(w, f);
    json_close(&w->o, '}');
}

/* --- tools --- */

bool openai_offers(struct openai_writing *w, const struct tool *tool, bool can_say_allowed)
{
    if (tool->kind == TOOL_HOSTED && tool->of != w->t->provider)
        return false;
    return can_say_allowed || tool_is_allowed(&w->q->tool_choice, tool->name);
}

bool openai_offers_any(struct openai_writing *w, bool can_say_allowed)
{
    for (const struct tool *t = w->q->tools; t; t = t->next)
        if (openai_offers(w, t, can_say_allowed))
            return true;
    return false;
}

void openai_map_names(struct openai_writing *w)
{
    enum { NAME_MAX = 64 };

    emulate_names(w->call, w->q, NAME_MAX, STR_NONE, w->t->arena);
}

struct str openai_tool_name(struct openai_writing *w, struct str name)
{
    return name.n ? name_map_out(w->call->names, name) : name;
}

static void write_function(struct openai_writing *w, const struct tool *t)
{
    /* of a function that stands for a custom tool (tool_args.h), closed so that it may be strict */
    static const struct str text_schema =
        STR_INIT("{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},\"required\":[\"input\"],"
                 "\"additionalProperties\":false}");
    struct json_out *o = &w->o;

    json_member_str(o, STR("type"), STR("function"));
    json_member_open(o, STR("function"), '{');
    json_member_str(o, STR("name"), openai_tool_name(w, t->name));
    if (t->description.n)
        json_member_str(o, STR("description"), t->description);
    if (t->kind == TOOL_CUSTOM)
        json_member_raw(o, STR("parameters"), text_schema);
    else if (t->parameters.n)
        json_member_raw(o, STR("parameters"), t->parameters);
    if (t->strict != UNSET)
        json_member_bool(o, STR("strict"), t->strict == YES);
    json_close(o, '}');
}

static void write_custom(struct openai_writing *w, const struct tool *t)
{
    struct json_out *o = &w->o;

    json_member_str(o, STR("type"), STR("custom"));
    json_member_open(o, STR("custom"), '{');
    json_member_str(o, STR("name"), openai_tool_name(w, t->name));
    if (t->description.n)
        json_member_str(o, STR("description"), t->description);
    if (t->format.n)
        json_member_raw(o, STR("format"), t->format);
    json_close(o, '}');
}

static void write_tool(struct openai_writing *w, const struct tool *t)
{
    if (t->kind == TOOL_HOSTED) {
        json_put_raw(&w->o, t->raw);
        return;
    }
    json_open(&w->o, '{');
    if (t->kind == TOOL_CUSTOM && (w->vendor->quirks & QUIRK_FULL)) {
        write_custom(w, t);
    } else {
        if (t->kind == TOOL_CUSTOM)
            loss_note(w->t->losses, LOSS_EMULATED, t->from, "free text is asked for as a function's one argument");
        write_function(w, t);
    }
    json_close(&w->o, '}');
}

static void write_tools(struct openai_writing *w, bool can_say_allowed)
{
    if (!takes(w, "tools", w->q->tools->from))
        return;
    json_member_open(&w->o, STR("tools"), '[');
    for (const struct tool *t = w->q->tools; t; t = t->next)
        if (openai_offers(w, t, can_say_allowed))
            write_tool(w, t);
    json_close(&w->o, ']');
}

static bool is_custom_here(const struct openai_writing *w, struct str name)
{
    return (w->vendor->quirks & QUIRK_FULL) && openai_is_custom(w->q, name);
}

static void write_named(struct openai_writing *w, struct str name)
{
    struct str type = is_custom_here(w, name) ? STR("custom") : STR("function");

    json_member_str(&w->o, STR("type"), type);
    json_member_open(&w->o, type, '{');
    json_member_str(&w->o, STR("name"), openai_tool_name(w, name));
    json_close(&w->o, '}');
}

static void write_allowed(struct openai_writing *w, const struct tool_choice *c)
{
    struct json_out *o = &w->o;

    json_open(o, '{');
    json_member_str(o, STR("type"), STR("allowed_tools"));
    json_member_open(o, STR("allowed_tools"), '{');
    json_member_str(o, STR("mode"), c->kind == CHOICE_REQUIRED ? STR("required") : STR("auto"));
    json_member_open(o, STR("tools"), '[');
    for (size_t i = 0; i < c->allowed_count; i++) {
        json_open(o, '{');
        write_named(w, c->allowed[i]);
        json_close(o, '}');
    }
    json_close(o, ']');
    json_close(o, '}');
    json_close(o, '}');
}

static void write_choice(struct openai_writing *w, bool can_say_allowed)
{
    const struct tool_choice *c = &w->q->tool_choice;
    bool any = w->vendor->quirks & QUIRK_CHOICE_ANY;

    if (c->kind == CHOICE_UNSET || !takes(w, "tool_choice", c->from))
        return;
    json_key(&w->o, STR("tool_choice"));
    if (c->allowed && can_say_allowed) {
        write_allowed(w, c);
        return;
    }
    if (c->allowed)
        loss_note(w->t->losses, LOSS_EMULATED, c->from, "only the allowed tools are offered");
    if (c->kind != CHOICE_NAMED) {
        json_put_str(&w->o, c->kind == CHOICE_AUTO   ? STR("auto")
                            : c->kind == CHOICE_NONE ? STR("none")
                            : any                    ? STR("any")
                                                     : STR("required"));
        return;
    }
    json_open(&w->o, '{');
    write_named(w, c->name);
    json_close(&w->o, '}');
}

/* Of tools without a form here something is said; a choice without tools would be an error. */
static void write_all_tools(struct openai_writing *w)
{
    bool can_say_allowed = w->vendor->quirks & QUIRK_FULL;

    for (const struct tool *t = w->q->tools; t; t = t->next) {
        if (t->kind == TOOL_HOSTED && t->of != &dialect_openai)
            loss_drop(w->t->losses, t->from, "a tool that only the API it was made for can run");
        if (t->cache != CACHE_NONE)
            loss_drop(w->t->losses, t->from, "caching is up to the provider");
    }
    if (openai_offers_any(w, can_say_allowed)) {
        write_tools(w, can_say_allowed);
        write_choice(w, can_say_allowed);
        openai_member_flag(w, "parallel_tool_calls", &w->q->parallel_tools);
        return;
    }
    if (w->q->tool_choice.kind != CHOICE_UNSET)
        loss_drop(w->t->losses, w->q->tool_choice.from, "there are no tools to choose from");
    if (w->q->parallel_tools.is != UNSET)
        loss_drop(w->t->losses, w->q->parallel_tools.from, "there are no tools to call");
}

/* --- the rest --- */

struct str openai_tier(struct str tier)
{
    static const struct str known[] = {STR_INIT("auto"),  STR_INIT("default"),  STR_INIT("flex"),
                                       STR_INIT("scale"), STR_INIT("priority"), STR_INIT("fast")};

    if (str_eq(tier, STR("standard_only")) || str_eq(tier, STR("standard")))
        return STR("default");
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(tier, known[i]))
            return known[i];
    return STR_NONE;
}

struct str openai_service_tier(struct openai_writing *w)
{
    struct str tier = w->q->service_tier.text, ours = openai_tier(tier);

    if (ours.n)
        return ours;
    if (w->q->dialect == &dialect_openai || w->q->dialect == &dialect_responses)
        return tier; /* what the client of this API says, it may know better */
    if (tier.p)
        loss_drop(w->t->losses, w->q->service_tier.from, "no such service tier");
    return STR_NONE;
}

/* The older name is understood by all; the new one is used where the client did. */
static void write_user(struct openai_writing *w)
{
    struct json_node newer = json_node_get(json_tree_root(w->q->document), STR("safety_identifier"));
    bool is_newer = !json_is_absent(newer) && newer.cell == w->q->user.from.cell;

    openai_member_text(w, is_newer && (w->vendor->quirks & QUIRK_FULL) ? "safety_identifier" : "user", &w->q->user);
}

static void write_rest(struct openai_writing *w)
{
    const struct chat_request *q = w->q;
    struct setting tier = {openai_service_tier(w), q->service_tier.from};

    openai_member_text(w, "verbosity", &q->verbosity);
    openai_member_text(w, "service_tier", &tier);
    write_user(w);
    openai_member_raw(w, "metadata", &q->metadata);
    openai_member_text(w, "prompt_cache_key", &q->cache_key);
    openai_member_text(w, "prompt_cache_retention", &q->cache_retention);
    openai_member_flag(w, "store", &q->store);
    openai_member_raw(w, "modalities", &q->modalities);
    openai_member_raw(w, "audio", &q->audio);
    openai_member_raw(w, "prediction", &q->prediction);
    openai_drop_setting(w, &q->suffix);
}

/* Usage is always asked for: the gateway needs it, and hides it from clients that did not ask. */
void openai_write_stream(struct openai_writing *w)
{
    if (!w->q->stream)
        return;
    json_member_bool(&w->o, STR("stream"), true);
    if (w->vendor->quirks & QUIRK_NO_STREAM_OPTIONS)
        return;
    json_member_open(&w->o, STR("stream_options"), '{');
    json_member_bool(&w->o, STR("include_usage"), true);
    json_close(&w->o, '}');
}

/* vLLM and SGLang continue a last assistant message only when told to. */
static void write_continuation(struct openai_writing *w)
{
    const struct turn *last = w->q->turns;

    while (last && last->next)
        last = last->next;
    if (!last || last->role != CHAT_ASSISTANT || turn_has(last, BLOCK_TOOL_CALL) || last->prefill == NO ||
        (w->q->dialect == &dialect_openai && !w->q->is_continuation) || !(w->vendor->quirks & QUIRK_CONTINUE))
        return;
    json_member_bool(&w->o, STR("continue_final_message"), true);
    json_member_bool(&w->o, STR("add_generation_prompt"), false);
}

/* Where there are no schemas but tools, a tool that must be called gives a structured answer more surely than words do; with tools of the client's own
 * it would stand in their way. */
static const struct chat_request *schema_as_tool(struct translation *t, const struct chat_request *q,
                                                 struct provider_call *call)
{
    const struct response_format *f = &q->format;

    if (f->kind != FORMAT_SCHEMA || !(t->vendor->quirks & QUIRK_NO_SCHEMA) || q->tools || !f->schema.n)
        return q;
    struct chat_request *to = arena_new(t->arena, struct chat_request);
    *to = *q;
    to->format.kind = FORMAT_UNSET;
    struct tool *tool = chat_add_tool(to, t->arena, TOOL_FUNCTION, f->from);
    tool->name = f->name.n ? f->name : STR("answer");
    tool->description = f->description.n ? f->description : STR("Give the answer in this form.");
    tool->parameters = f->schema;
    to->tool_choice = (struct tool_choice){.kind = CHOICE_NAMED, .name = tool->name, .from = f->from};
    call->emulate.schema_tool = tool->name;
    loss_note(t->losses, LOSS_EMULATED, f->from, "a tool that must be called, with the schema");
    return to;
}

err_t openai_write_chat(struct translation *t, const struct chat_request *asked, struct provider_call *ret)
{
    const struct chat_request *q = schema_as_tool(t, asked, ret);
    struct openai_writing w = {t, q, t->vendor, ret, json_out_to(ret->body)};

    if (q->is_completion && q->suffix.text.n && t->vendor->quirks & QUIRK_INFILL)
        return openai_write_infill(t, q, ret);
    ret->path = openai_path(t, "/chat/completions", false);
    ret->stream = q->stream;
    ret->framing = FRAMING_SSE;
    json_open(&w.o, '{');
    json_member_str(&w.o, STR("model"), t->model);
    openai_map_names(&w);
    json_key(&w.o, STR("messages"));
    openai_write_messages(&w, schema_instruction(&w));
    openai_write_stream(&w);
    openai_write_sampling(&w, w.vendor->quirks & QUIRK_MAX_TOKENS ? "max_tokens" : "max_completion_tokens");
    openai_member_flag(&w, "logprobs", &q->logprobs);
    openai_member_number(&w, "top_logprobs", &q->top_logprobs);
    write_reasoning(&w);
    write_response_format(&w);
    write_all_tools(&w);
    write_rest(&w);
    write_continuation(&w);
    openai_write_extras(&w, &dialect_openai);
    json_close(&w.o, '}');
    return buf_status(ret->body);
}
