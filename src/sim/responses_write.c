/*
 * responses_write.c - the response object and its stream of events: wire-format reference 4.4 and 4.5.
 *
 * An answer is laid out once as output items with ids; the object and the events are both written from that, so ids, indices and texts
 * agree. The stream is a walk: each item goes through added, (part added), deltas, text done, (part done), done. Every event has
 * its type twice, as SSE name and in the JSON, and a sequence number.
 */
#include "sim/responses_int.h"

#include "codec/base64.h"
#include "codec/json.h"
#include "sim/hash.h"
#include "sim/text.h"

#include <stdio.h>

static void set_id(char out[SIM_ID_MAX], const char *prefix, uint64_t unique, uint64_t part)
{
    out[sim_id(out, prefix, unique, part)] = '\0';
}

/* --- layout --- */

struct response *response_make(struct arena *a, const struct responses_request *request,
                               const struct sim_answer *answer, const struct sim_mark *mark)
{
    const struct sim_choice *c = &answer->choices[0];
    struct response *r = arena_new(a, struct response);
    size_t calls = c->call_count;

    *r = (struct response){.request = request,
                           .a = a,
                           .mark = *mark,
                           .tokens = answer->tokens,
                           .reasoning_tokens = answer->reasoning_tokens,
                           .incomplete = c->finish == SIM_LENGTH};
    set_id(r->id, "resp_", mark->unique, 0);
    r->items = arena_zalloc(a, (calls + 2) * sizeof(*r->items));
    if (request->effort.p) {
        struct str text = arena_printf(a, "**Thinking (simulated)** with %.*s effort about what was asked.",
                                       STR_ARG(request->effort));
        r->items[r->count++] =
            (struct output_item){.kind = OUTPUT_REASONING, .text = text, .tokens = answer->reasoning_tokens};
    }
    for (size_t i = 0; i < calls; i++)
        r->items[r->count++] = (struct output_item){.kind = OUTPUT_CALL,
                                                    .text = c->calls[i].arguments,
                                                    .call = &c->calls[i],
                                                    .tokens = sim_tokens(c->calls[i].name)};
    if (calls == 0)
        r->items[r->count++] = (struct output_item){.kind = OUTPUT_MESSAGE, .text = c->text};
    for (size_t i = 0; i < r->count; i++) {
        struct output_item *item = &r->items[i];
        bool custom = item->call && item->call->custom;
        set_id(item->id,
               item->kind == OUTPUT_REASONING ? "rs_"
               : item->kind == OUTPUT_MESSAGE ? "msg_"
               : custom                       ? "ctc_"
                                              : "fc_",
               mark->unique, 1 + i);
        set_id(item->call_id, "call_", mark->unique, 1 + i);
    }
    return r;
}

const char *response_status(const struct response *r)
{
    return r->incomplete ? "incomplete" : "completed";
}

/* --- items --- */

static err_t write_reasoning(const struct response *r, const struct output_item *item, bool whole, struct buf *to)
{
    buf_addf(to, "{\"type\":\"reasoning\",\"id\":\"%s\",\"summary\":[", item->id);
    if (whole) {
        buf_add_lit(to, "{\"type\":\"summary_text\",\"text\":\"");
        buf_add_json(to, item->text);
        buf_add_lit(to, "\"}");
    }
    buf_add_char(to, ']');
    if (r->request->wants_encrypted) {
        buf_add_lit(to, ",\"encrypted_content\":\"");
        TRY(base64_encode(to, whole ? str_from_c(item->id) : STR("begun"), BASE64));
        buf_add_char(to, '"');
    }
    return buf_add_char(to, '}');
}

static void write_message(const struct response *r, const struct output_item *item, bool whole, struct buf *to)
{
    buf_addf(to, "{\"type\":\"message\",\"id\":\"%s\",\"status\":\"%s\",\"role\":\"assistant\",\"content\":[", item->id,
             whole ? response_status(r) : "in_progress");
    if (whole) {
        buf_add_lit(to, "{\"type\":\"output_text\",\"text\":\"");
        buf_add_json(to, item->text);
        buf_add_lit(to, "\",\"annotations\":[],\"logprobs\":[]}");
    }
    buf_add_lit(to, "]}");
}

static void write_call(const struct response *r, const struct output_item *item, bool whole, struct buf *to)
{
    bool custom = item->call->custom;

    buf_addf(to, "{\"type\":\"%s\",\"id\":\"%s\",\"call_id\":\"%s\",\"name\":\"",
             custom ? "custom_tool_call" : "function_call", item->id, item->call_id);
    buf_add_json(to, item->call->name);
    buf_addf(to, "\",\"%s\":\"", custom ? "input" : "arguments");
    if (whole)
        buf_add_json(to, item->text);
    buf_addf(to, "\",\"status\":\"%s\"}", whole ? response_status(r) : "in_progress");
}

static err_t write_item(const struct response *r, const struct output_item *item, bool whole, struct buf *to)
{
    switch (item->kind) {
    case OUTPUT_REASONING:
        return write_reasoning(r, item, whole, to);
    case OUTPUT_MESSAGE:
        write_message(r, item, whole, to);
        break;
    case OUTPUT_CALL:
        write_call(r, item, whole, to);
        break;
    }
    return buf_status(to);
}

/* --- the object --- */

/* `"name":` and what the request said there, else `fallback`. */
static err_t write_echo(const struct response *r, const char *name, const char *fallback, struct buf *to)
{
    yyjson_val *v = json_get(r->request->root, str_from_c(name));

    buf_addf(to, "\"%s\":", name);
    if (v && !yyjson_is_null(v))
        TRY(json_write(to, r->a, v));
    else
        buf_add(to, str_from_c(fallback));
    return buf_add_char(to, ',');
}

static err_t write_member(const struct response *r, yyjson_val *obj, const char *name, const char *fallback,
                          struct buf *to)
{
    yyjson_val *v = json_get(obj, str_from_c(name));

    buf_addf(to, "\"%s\":", name);
    if (v && !yyjson_is_null(v))
        return json_write(to, r->a, v);
    return buf_add(to, str_from_c(fallback));
}

static err_t write_settings(const struct response *r, struct buf *to)
{
    static const struct {
        const char *name, *fallback;
    } echoes[] = {{"instructions", "null"},
                  {"max_output_tokens", "null"},
                  {"max_tool_calls", "null"},
                  {"metadata", "{}"},
                  {"parallel_tool_calls", "true"},
                  {"previous_response_id", "null"},
                  {"prompt_cache_key", "null"},
                  {"safety_identifier", "null"},
                  {"temperature", "1.0"},
                  {"tool_choice", "\"auto\""},
                  {"tools", "[]"},
                  {"top_logprobs", "0"},
                  {"top_p", "1.0"},
                  {"truncation", "\"disabled\""},
                  {"user", "null"}};
    yyjson_val *text = json_get(r->request->root, STR("text")),
               *reasoning = json_get(r->request->root, STR("reasoning"));

    for (size_t i = 0; i < ARRAY_LEN(echoes); i++)
        TRY(write_echo(r, echoes[i].name, echoes[i].fallback, to));
    buf_add_lit(to, "\"reasoning\":{");
    TRY(write_member(r, reasoning, "effort", "null", to));
    buf_add_char(to, ',');
    TRY(write_member(r, reasoning, "summary", "null", to));
    buf_add_lit(to, "},\"text\":{");
    TRY(write_member(r, text, "format", "{\"type\":\"text\"}", to));
    buf_add_char(to, ',');
    TRY(write_member(r, text, "verbosity", "\"medium\"", to));
    buf_addf(to, "},\"store\":%s,\"service_tier\":\"default\"", r->request->store ? "true" : "false");
    return buf_status(to);
}

static void write_usage(const struct response *r, struct buf *to)
{
    size_t input = r->request->q.prompt_tokens;

    buf_addf(to,
             ",\"usage\":{\"input_tokens\":%zu,\"input_tokens_details\":{\"cached_tokens\":0,\"cache_write_tokens\":0},"
             "\"output_tokens\":%zu,\"output_tokens_details\":{\"reasoning_tokens\":%zu},\"total_tokens\":%zu}",
             input, r->tokens, r->reasoning_tokens, input + r->tokens);
}

err_t response_write(const struct response *r, const char *status, bool whole, struct buf *to)
{
    buf_addf(to,
             "{\"id\":\"%s\",\"object\":\"response\",\"created_at\":%lld,\"access_programs\":null,\"status\":\"%s\","
             "\"background\":%s,",
             r->id, (long long)r->mark.created, status, r->request->background ? "true" : "false");
    if (whole && !r->incomplete)
        buf_addf(to, "\"completed_at\":%lld,", (long long)r->mark.created);
    else
        buf_add_lit(to, "\"completed_at\":null,");
    buf_addf(to, "\"error\":null,\"incomplete_details\":%s,\"model\":\"",
             whole && r->incomplete ? "{\"reason\":\"max_output_tokens\"}" : "null");
    buf_add_json(to, r->request->q.model);
    buf_add_lit(to, "\",\"output\":[");
    for (size_t i = 0; whole && i < r->count; i++) {
        buf_add(to, i > 0 ? STR(",") : STR(""));
        TRY(write_item(r, &r->items[i], true, to));
    }
    buf_add_lit(to, "],");
    TRY(write_settings(r, to));
    if (whole)
        write_usage(r, to);
    else
        buf_add_lit(to, ",\"usage\":null");
    buf_add_char(to, '}');
    return buf_status(to);
}

/* --- events --- */

enum phase { QUEUED, CREATED, IN_PROGRESS, ADDED, PART_ADDED, DELTAS, TEXT_DONE, PART_DONE, ITEM_DONE, FINAL, ENDED };

struct response_stream {
    struct sim_feed feed; /* first */
    const struct response *r;
    enum phase phase;
    size_t item;     /* whose turn it is       */
    struct str rest; /* of its text            */
    unsigned long long sequence;
};

/* Words that differ between kinds of items. */
static const struct words {
    const char *part, *delta, *done, *text, *index;
} words_of_kind[] = {
    [OUTPUT_REASONING] = {"response.reasoning_summary_part", "response.reasoning_summary_text.delta",
                          "response.reasoning_summary_text.done", "text", ",\"summary_index\":0"},
    [OUTPUT_MESSAGE] = {"response.content_part", "response.output_text.delta", "response.output_text.done", "text",
                        ",\"content_index\":0"},
    [OUTPUT_CALL] = {NULL, "response.function_call_arguments.delta", "response.function_call_arguments.done",
                     "arguments", ""},
};
static const struct words words_of_custom = {NULL, "response.custom_tool_call_input.delta",
                                             "response.custom_tool_call_input.done", "input", ""};

static const struct words *words_of(const struct output_item *item)
{
    return item->call && item->call->custom ? &words_of_custom : &words_of_kind[item->kind];
}

static void begin_event(struct response_stream *s, const char *type, const char *suffix, struct buf *to)
{
    buf_addf(to, "event: %s%s\ndata: {\"type\":\"%s%s\",\"sequence_number\":%llu", type, suffix, type, suffix,
             s->sequence++);
}

static void end_event(struct buf *to)
{
    buf_add_lit(to, "}\n\n");
}

/* `ok`: what writing the event's inside gave. Nothing sensible can follow a failure, and the buf remembers it. */
static void end_checked(err_t ok, struct buf *to)
{
    if (ok != OK)
        to->overflow = true;
    end_event(to);
}

static void whole_event(struct response_stream *s, const char *type, const char *status, bool whole, struct buf *to)
{
    begin_event(s, type, "", to);
    buf_add_lit(to, ",\"response\":");
    end_checked(response_write(s->r, status, whole, to), to);
}

static void item_event(struct response_stream *s, const char *suffix, bool whole, struct buf *to)
{
    begin_event(s, "response.output_item", suffix, to);
    buf_addf(to, ",\"output_index\":%zu,\"item\":", s->item);
    end_checked(write_item(s->r, &s->r->items[s->item], whole, to), to);
}

static void begin_text_event(struct response_stream *s, const char *type, const char *suffix, struct buf *to)
{
    const struct output_item *item = &s->r->items[s->item];

    begin_event(s, type, suffix, to);
    buf_addf(to, ",\"item_id\":\"%s\",\"output_index\":%zu%s", item->id, s->item, words_of(item)->index);
}

static void part_event(struct response_stream *s, const char *suffix, struct str text, struct buf *to)
{
    const struct output_item *item = &s->r->items[s->item];
    bool message = item->kind == OUTPUT_MESSAGE;

    begin_text_event(s, words_of(item)->part, suffix, to);
    buf_addf(to, ",\"part\":{\"type\":\"%s\",\"text\":\"", message ? "output_text" : "summary_text");
    buf_add_json(to, text);
    buf_add(to, message ? STR("\",\"annotations\":[],\"logprobs\":[]}") : STR("\"}"));
    end_event(to);
}

static void delta_event(struct response_stream *s, struct buf *to, struct sim_step *ret)
{
    const struct output_item *item = &s->r->items[s->item];

    begin_text_event(s, words_of(item)->delta, "", to);
    buf_add_lit(to, ",\"delta\":\"");
    buf_add_json(to, sim_token_cut(&s->rest));
    buf_add(to, item->kind == OUTPUT_MESSAGE ? STR("\",\"logprobs\":[]") : STR("\""));
    end_event(to);
    ret->tokens = item->kind != OUTPUT_REASONING; /* those were counted when the item began */
}

static void text_done_event(struct response_stream *s, struct buf *to)
{
    const struct output_item *item = &s->r->items[s->item];

    begin_text_event(s, words_of(item)->done, "", to);
    if (item->call && !item->call->custom) {
        buf_add_lit(to, ",\"name\":\"");
        buf_add_json(to, item->call->name);
        buf_add_char(to, '"');
    }
    buf_addf(to, ",\"%s\":\"", words_of(item)->text);
    buf_add_json(to, item->text);
    buf_add(to, item->kind == OUTPUT_MESSAGE ? STR("\",\"logprobs\":[]") : STR("\""));
    end_event(to);
}

/* Where the walk goes after item phase `p`. */
static enum phase phase_after(struct response_stream *s, enum phase p)
{
    const struct output_item *item = &s->r->items[s->item];
    bool has_part = words_of(item)->part != NULL;

    switch (p) {
    case ADDED:
        s->rest = item->text;
        return has_part ? PART_ADDED : item->text.n > 0 ? DELTAS : TEXT_DONE;
    case PART_ADDED:
    case DELTAS:
        return s->rest.n > 0 ? DELTAS : TEXT_DONE;
    case TEXT_DONE:
        return has_part ? PART_DONE : ITEM_DONE;
    case PART_DONE:
        return ITEM_DONE;
    case ITEM_DONE:
        return ++s->item < s->r->count ? ADDED : FINAL;
    case QUEUED:
    case CREATED:
    case IN_PROGRESS:
    case FINAL:
    case ENDED:
        break;
    }
    return p + 1;
}

static void item_phase(struct response_stream *s, struct buf *to, struct sim_step *ret)
{
    const struct output_item *item = &s->r->items[s->item];

    if (s->phase == ADDED) {
        item_event(s, ".added", false, to);
        ret->tokens = item->tokens;
    } else if (s->phase == PART_ADDED) {
        part_event(s, ".added", STR(""), to);
    } else if (s->phase == DELTAS) {
        delta_event(s, to, ret);
    } else if (s->phase == TEXT_DONE) {
        text_done_event(s, to);
    } else if (s->phase == PART_DONE) {
        part_event(s, ".done", item->text, to);
    } else {
        item_event(s, ".done", true, to);
    }
    s->phase = phase_after(s, s->phase);
}

static bool stream_next(struct sim_feed *f, struct buf *to, struct sim_step *ret)
{
    struct response_stream *s = (struct response_stream *)f;

    *ret = (struct sim_step){0};
    switch (s->phase) {
    case QUEUED:
        whole_event(s, "response.queued", "queued", false, to);
        break;
    case CREATED:
        whole_event(s, "response.created", "in_progress", false, to);
        s->phase = IN_PROGRESS;
        return true;
    case IN_PROGRESS:
        whole_event(s, "response.in_progress", "in_progress", false, to);
        s->phase = ADDED;
        return true;
    case FINAL:
        whole_event(s, s->r->incomplete ? "response.incomplete" : "response.completed", response_status(s->r), true,
                    to);
        ret->closing = true;
        s->phase = ENDED;
        return true;
    case ENDED:
        return false;
    case ADDED:
    case PART_ADDED:
    case DELTAS:
    case TEXT_DONE:
    case PART_DONE:
    case ITEM_DONE:
        ret->closing = s->phase == TEXT_DONE && s->item + 1 == s->r->count;
        item_phase(s, to, ret);
        return true;
    }
    s->phase = CREATED;
    return true;
}

static void stream_give_up(struct sim_feed *f, const struct sim_refusal *why, struct buf *to)
{
    struct response_stream *s = (struct response_stream *)f;

    s->sequence--;
    begin_event(s, "error", "", to);
    buf_add_lit(to, ",\"code\":\"server_error\",\"message\":\"");
    buf_add_json(to, why->message);
    buf_add_lit(to, "\",\"param\":null");
    end_event(to);
}

struct sim_feed *response_feed(const struct response *r)
{
    struct response_stream *s = arena_new(r->a, struct response_stream);

    *s = (struct response_stream){.feed = {.next = stream_next, .give_up = stream_give_up},
                                  .r = r,
                                  .phase = r->request->background ? QUEUED : CREATED};
    return &s->feed;
}
