/*
 * responses_answer_write.c - an answer for a client of OpenAI Responses, whole or as the full sequence of its events.
 *
 * One machine for both: a stream says each step, a whole answer only collects. Each block becomes an item of its own with an id that stays the same from
 * "added" to the final object; what an item said is kept for its "done" events, and each finished item as JSON for the response object
 * that ends the stream: completed, incomplete or failed, always with the output so far and the usage. Sequence numbers count every event from 0.
 * Whether an item is whole is known when the next one begins, or the answer ends: until then its "done" is held back.
 *
 * What hosted tools of another provider of this API did is told as it was; pictures of any provider are items of the tool that draws them here.
 *
 * Thoughts are told as a summary if the client asked for summaries, else as reasoning text. Their proof of origin travels in encrypted_content,
 * wrapped with its maker's name if that is not OpenAI. Only the first choice has a place here.
 */
#include "codec/json_scan.h"
#include "llm/openai_int.h"
#include "llm/signature.h"
#include "llm/tool_args.h"

enum { KEPT_MAX = 64 * 1024 * 1024, OUTPUT_MAX = 512 * 1024 * 1024, ITEMS_MAX = 4096 };

enum item_kind {
    ITEM_MESSAGE,
    ITEM_REFUSAL,
    ITEM_CALL,
    ITEM_CUSTOM,
    ITEM_THOUGHT,
    ITEM_REDACTED,
    ITEM_IMAGE,
    ITEM_OWN, /* of this API: its text is the item */
    ITEM_NONE
};

struct item {
    struct item *next;
    enum item_kind kind;
    unsigned block, index; /* the event's block; output_index */
    bool unwrap;           /* free text that came as a function's argument */
    bool cut;              /* the answer was broken off in it              */
    struct str id, call_id, name, signature;
    enum signer signer;
    struct buf text, annotations, logprobs;
    unsigned annotation_count;
};

/* An item of which the provider itself has told that it begins, before anything in it. */
struct begun {
    enum item_kind kind; /* ITEM_NONE: there is none */
    unsigned index;
    struct str id;
    bool has_part; /* and its first part */
};

struct response_writer {
    struct answer_frame f;
    bool streams, summaries, started, over;
    uint64_t sequence;
    unsigned item_count;
    struct str id, service_tier;
    struct str logprobs; /* of a whole answer, for its first message */
    struct item *open, *spare;
    struct begun begun; /* see responses_writer_follow() */
    struct item *held;  /* ended last, and is not told as done yet; NULL: none */
    struct buf *output; /* finished items, separated by commas, in order of output_index */
    struct str *done;   /* items that finished before an earlier one: by index, up to item_count */
    unsigned done_size, written;
    struct usage usage;
    bool finished;
    enum finish finish;
    bool refused;
};

_Static_assert(sizeof(struct response_writer) <= RESPONSES_WRITER_SIZE, "the state must fit");

/* --- the response object --- */

/* Members that repeat the request, in their order, with what the API says if they were not set. Nothing is done in the background here. */
static const struct {
    struct str key, unset;
} echoed[] = {
    {STR_INIT("instructions"), STR_INIT("null")},
    {STR_INIT("max_output_tokens"), STR_INIT("null")},
    {STR_INIT("max_tool_calls"), STR_INIT("null")},
    {STR_INIT("parallel_tool_calls"), STR_INIT("true")},
    {STR_INIT("previous_response_id"), STR_INIT("null")},
    {STR_INIT("prompt_cache_key"), STR_INIT("null")},
    {STR_INIT("reasoning"), STR_INIT("{\"effort\":null,\"summary\":null}")},
    {STR_INIT("safety_identifier"), STR_INIT("null")},
    {STR_INIT("store"), STR_INIT("true")},
    {STR_INIT("temperature"), STR_INIT("1.0")},
    {STR_INIT("text"), STR_INIT("{\"format\":{\"type\":\"text\"},\"verbosity\":\"medium\"}")},
    {STR_INIT("tool_choice"), STR_INIT("\"auto\"")},
    {STR_INIT("tools"), STR_INIT("[]")},
    {STR_INIT("top_logprobs"), STR_INIT("0")},
    {STR_INIT("top_p"), STR_INIT("1.0")},
    {STR_INIT("truncation"), STR_INIT("\"disabled\"")},
    {STR_INIT("metadata"), STR_INIT("{}")},
};

static void put_echoed(struct json_out *o, const struct chat_request *q)
{
    struct json_node root = q && q->document ? json_tree_root(q->document) : JSON_ABSENT;

    /* Of OpenAI's own platform; null says that none applied, which is so with every provider behind this writer. */
    json_member_null(o, STR("access_programs"));
    json_member_bool(o, STR("background"), false);
    for (size_t i = 0; i < ARRAY_LEN(echoed); i++) {
        struct json_node said = json_node_get(root, echoed[i].key);
        json_member_raw(o, echoed[i].key, json_node_is_set(said) ? json_node_raw(said) : echoed[i].unset);
    }
}

static void put_usage(struct json_out *o, const struct usage *u)
{
    json_open(o, '{');
    json_member_u64(o, STR("input_tokens"), u->input);
    json_member_open(o, STR("input_tokens_details"), '{');
    json_member_u64(o, STR("cached_tokens"), u->cached_input);
    json_member_u64(o, STR("cache_write_tokens"), u->cache_write);
    json_close(o, '}');
    json_member_u64(o, STR("output_tokens"), u->output);
    json_member_open(o, STR("output_tokens_details"), '{');
    json_member_u64(o, STR("reasoning_tokens"), u->reasoning);
    json_close(o, '}');
    json_member_u64(o, STR("total_tokens"), u->input + u->output);
    json_close(o, '}');
}

/* Why the answer is not complete; empty if it is. */
static struct str incomplete_reason(const struct response_writer *w)
{
    struct str name = w->finished ? openai_finish_name(w->finish, w->refused) : STR_NONE;

    if (str_eq(name, STR("length")))
        return STR("max_output_tokens");
    return str_eq(name, STR("content_filter")) ? name : STR_NONE;
}

static struct str error_code(const struct api_error *e)
{
    switch (error_class_of(e)) {
    case ERROR_RATE_LIMIT:
    case ERROR_QUOTA:
    case ERROR_OVERLOADED:
        return STR("rate_limit_exceeded");
    case ERROR_BAD_REQUEST:
    case ERROR_CONTEXT_LENGTH:
    case ERROR_CONTENT_POLICY:
    case ERROR_TOO_LARGE:
    case ERROR_UNPROCESSABLE:
        return STR("invalid_prompt");
    case ERROR_BY_STATUS:
    case ERROR_AUTH:
    case ERROR_FORBIDDEN:
    case ERROR_NOT_FOUND:
    case ERROR_CONFLICT:
    case ERROR_UPSTREAM:
    case ERROR_TIMEOUT:
    case ERROR_CLASSES:
        return STR("server_error");
    }
    return STR("server_error");
}

static void put_outcome(struct json_out *o, const struct response_writer *w, const struct api_error *error)
{
    struct str reason = incomplete_reason(w);

    json_key(o, STR("error"));
    if (error) {
        json_open(o, '{');
        json_member_str(o, STR("code"), error_code(error));
        json_member_str(o, STR("message"), error->message);
        json_close(o, '}');
    } else {
        json_put_null(o);
    }
    json_key(o, STR("incomplete_details"));
    if (reason.n && !error) {
        json_open(o, '{');
        json_member_str(o, STR("reason"), reason);
        json_close(o, '}');
    } else {
        json_put_null(o);
    }
}

static void put_response(struct json_out *o, const struct response_writer *w, struct str status,
                         const struct api_error *error)
{
    bool running = str_eq(status, STR("in_progress"));

    json_open(o, '{');
    json_member_str(o, STR("id"), w->id);
    json_member_str(o, STR("object"), STR("response"));
    json_member_i64(o, STR("created_at"), w->f.created);
    json_key(o, STR("completed_at"));
    if (str_eq(status, STR("completed")))
        json_put_i64(o, w->f.created);
    else
        json_put_null(o);
    json_member_str(o, STR("status"), status);
    put_outcome(o, w, error);
    json_member_str(o, STR("model"), w->f.model);
    json_member_open(o, STR("output"), '[');
    if (!running)
        buf_add(o->to, buf_str(w->output));
    json_close(o, ']');
    put_echoed(o, w->f.request);
    json_member_str(o, STR("service_tier"), w->service_tier);
    json_key(o, STR("usage"));
    if (running || !w->usage.known)
        json_put_null(o);
    else
        put_usage(o, &w->usage);
    json_member_null(o, STR("user"));
    json_close(o, '}');
}

/* --- items --- */

static void release_item(void *obj)
{
    struct item *i = obj;

    buf_release(&i->text);
    buf_release(&i->annotations);
    buf_release(&i->logprobs);
}

static struct item *new_item(struct response_writer *w)
{
    struct item *i = w->spare;

    if (i) {
        w->spare = i->next;
        buf_clear(&i->text);
        buf_clear(&i->annotations);
        buf_clear(&i->logprobs);
        *i = (struct item){.text = i->text, .annotations = i->annotations, .logprobs = i->logprobs};
        return i;
    }
    i = arena_new(w->f.arena, struct item);
    buf_init(&i->text, KEPT_MAX);
    buf_init(&i->annotations, KEPT_MAX);
    buf_init(&i->logprobs, KEPT_MAX);
    arena_hold(w->f.arena, i, release_item);
    return i;
}

static struct str item_prefix(enum item_kind kind)
{
    switch (kind) {
    case ITEM_MESSAGE:
    case ITEM_REFUSAL:
        return STR("msg_");
    case ITEM_CALL:
        return STR("fc_");
    case ITEM_CUSTOM:
        return STR("ctc_");
    case ITEM_THOUGHT:
    case ITEM_REDACTED:
        return STR("rs_");
    case ITEM_IMAGE:
        return STR("ig_");
    case ITEM_OWN:
    case ITEM_NONE:
        break;
    }
    return STR_NONE;
}

/* The part of a message: {"type":"output_text",…} or a refusal. */
static void put_part(struct json_out *o, const struct item *i, bool whole)
{
    struct str text = whole ? buf_str(&i->text) : STR_NONE;
    bool refusal = i->kind == ITEM_REFUSAL;

    json_open(o, '{');
    json_member_str(o, STR("type"), refusal ? STR("refusal") : STR("output_text"));
    json_member_str(o, refusal ? STR("refusal") : STR("text"), text);
    if (!refusal) {
        json_member_open(o, STR("annotations"), '[');
        buf_add(o->to, whole ? buf_str(&i->annotations) : STR_NONE);
        json_close(o, ']');
        json_member_open(o, STR("logprobs"), '[');
        buf_add(o->to, whole ? buf_str(&i->logprobs) : STR_NONE);
        json_close(o, ']');
    }
    json_close(o, '}');
}

static void put_status(struct json_out *o, const struct item *i, bool whole)
{
    json_member_str(o, STR("status"), !whole ? STR("in_progress") : i->cut ? STR("incomplete") : STR("completed"));
}

static void put_message(struct json_out *o, const struct item *i, bool whole)
{
    put_status(o, i, whole);
    json_member_str(o, STR("role"), STR("assistant"));
    json_member_open(o, STR("content"), '[');
    if (whole)
        put_part(o, i, true);
    json_close(o, ']');
}

static void put_call(struct json_out *o, const struct item *i, bool whole)
{
    json_member_str(o, STR("call_id"), i->call_id);
    json_member_str(o, STR("name"), i->name);
    json_member_str(o, i->kind == ITEM_CUSTOM ? STR("input") : STR("arguments"), whole ? buf_str(&i->text) : STR_NONE);
    put_status(o, i, whole);
}

static void put_paragraph(struct json_out *o, struct str type, struct str text)
{
    json_open(o, '{');
    json_member_str(o, STR("type"), type);
    json_member_str(o, STR("text"), text);
    json_close(o, '}');
}

static void put_thought(struct response_writer *w, struct json_out *o, const struct item *i, bool whole)
{
    bool words = whole && i->kind == ITEM_THOUGHT && i->text.n;
    struct str blob = i->kind == ITEM_REDACTED ? buf_str(&i->text) : i->signature;

    if (i->kind == ITEM_REDACTED && i->signer != SIGNER_OPENAI) /* not to be taken for a thought that has no words */
        blob = arena_join(w->f.arena, STR("redacted."), blob);
    json_member_open(o, STR("summary"), '[');
    if (words && w->summaries)
        put_paragraph(o, STR("summary_text"), buf_str(&i->text));
    json_close(o, ']');
    if (words && !w->summaries) {
        json_member_open(o, STR("content"), '[');
        put_paragraph(o, STR("reasoning_text"), buf_str(&i->text));
        json_close(o, ']');
    }
    if (whole && blob.n)
        json_member_str(o, STR("encrypted_content"), signature_wrap(i->signer, SIGNER_OPENAI, blob, w->f.arena));
    put_status(o, i, whole);
}

static void put_image(struct json_out *o, const struct item *i, bool whole)
{
    put_status(o, i, whole);
    json_key(o, STR("result"));
    if (whole)
        json_put_str(o, buf_str(&i->text));
    else
        json_put_null(o);
}

static void put_item(struct response_writer *w, struct json_out *o, const struct item *i, bool whole)
{
    static const struct str types[] = {[ITEM_MESSAGE] = STR_INIT("message"),
                                       [ITEM_REFUSAL] = STR_INIT("message"),
                                       [ITEM_CALL] = STR_INIT("function_call"),
                                       [ITEM_CUSTOM] = STR_INIT("custom_tool_call"),
                                       [ITEM_THOUGHT] = STR_INIT("reasoning"),
                                       [ITEM_REDACTED] = STR_INIT("reasoning"),
                                       [ITEM_IMAGE] = STR_INIT("image_generation_call"),
                                       [ITEM_OWN] = STR_INIT(""),
                                       [ITEM_NONE] = STR_INIT("")};

    if (i->kind == ITEM_OWN) {
        json_put_raw(o, buf_str(&i->text));
        return;
    }
    json_open(o, '{');
    json_member_str(o, STR("type"), types[i->kind]);
    json_member_str(o, STR("id"), i->id);
    switch (i->kind) {
    case ITEM_MESSAGE:
    case ITEM_REFUSAL:
        put_message(o, i, whole);
        break;
    case ITEM_CALL:
    case ITEM_CUSTOM:
        put_call(o, i, whole);
        break;
    case ITEM_THOUGHT:
    case ITEM_REDACTED:
        put_thought(w, o, i, whole);
        break;
    case ITEM_IMAGE:
        put_image(o, i, whole);
        break;
    case ITEM_OWN:
    case ITEM_NONE:
        break;
    }
    json_close(o, '}');
}

/* --- events --- */

/* Begin an event: what follows are its own members, up to close_event(). */
static struct json_out open_event(struct response_writer *w, struct str type, struct buf *to)
{
    struct json_out o = json_out_to(to);

    buf_addf(to, "event: %.*s\ndata: ", STR_ARG(type));
    json_open(&o, '{');
    json_member_str(&o, STR("type"), type);
    json_member_u64(&o, STR("sequence_number"), w->sequence++);
    return o;
}

static err_t close_event(struct json_out *o)
{
    json_close(o, '}');
    return buf_add_lit(o->to, "\n\n");
}

static err_t send_response(struct response_writer *w, struct str type, struct str status, const struct api_error *error,
                           struct buf *to)
{
    struct json_out o = open_event(w, type, to);

    json_key(&o, STR("response"));
    put_response(&o, w, status, error);
    return close_event(&o);
}

static err_t send_item(struct response_writer *w, const struct item *i, bool whole, struct buf *to)
{
    struct json_out o = open_event(w, whole ? STR("response.output_item.done") : STR("response.output_item.added"), to);

    json_member_u64(&o, STR("output_index"), i->index);
    json_key(&o, STR("item"));
    put_item(w, &o, i, whole);
    return close_event(&o);
}

static bool is_message(enum item_kind kind)
{
    return kind == ITEM_MESSAGE || kind == ITEM_REFUSAL;
}

/* An event about what an item holds. */
static struct json_out open_item_event(struct response_writer *w, const struct item *i, struct str type, struct buf *to)
{
    bool message = is_message(i->kind);
    struct json_out o = open_event(w, type, to);

    json_member_str(&o, STR("item_id"), i->id);
    json_member_u64(&o, STR("output_index"), i->index);
    if (message || (i->kind == ITEM_THOUGHT && !w->summaries))
        json_member_u64(&o, STR("content_index"), 0);
    if (i->kind == ITEM_THOUGHT && w->summaries)
        json_member_u64(&o, STR("summary_index"), 0);
    return o;
}

static err_t send_part(struct response_writer *w, const struct item *i, bool whole, struct buf *to)
{
    struct json_out o;

    if (is_message(i->kind)) {
        o = open_item_event(w, i, whole ? STR("response.content_part.done") : STR("response.content_part.added"), to);
        json_key(&o, STR("part"));
        put_part(&o, i, whole);
        return close_event(&o);
    }
    if (i->kind != ITEM_THOUGHT)
        return OK;
    if (w->summaries)
        o = open_item_event(
            w, i, whole ? STR("response.reasoning_summary_part.done") : STR("response.reasoning_summary_part.added"),
            to);
    else
        o = open_item_event(w, i, whole ? STR("response.content_part.done") : STR("response.content_part.added"), to);
    json_key(&o, STR("part"));
    put_paragraph(&o, w->summaries ? STR("summary_text") : STR("reasoning_text"), whole ? buf_str(&i->text) : STR_NONE);
    return close_event(&o);
}

static struct str text_event(const struct response_writer *w, const struct item *i)
{
    switch (i->kind) {
    case ITEM_MESSAGE:
        return STR("response.output_text");
    case ITEM_REFUSAL:
        return STR("response.refusal");
    case ITEM_CALL:
        return STR("response.function_call_arguments");
    case ITEM_CUSTOM:
        return STR("response.custom_tool_call_input");
    case ITEM_THOUGHT:
        return w->summaries ? STR("response.reasoning_summary_text") : STR("response.reasoning_text");
    case ITEM_REDACTED:
    case ITEM_IMAGE:
    case ITEM_OWN:
    case ITEM_NONE:
        break;
    }
    return STR_NONE;
}

static err_t send_delta(struct response_writer *w, const struct item *i, struct str text, struct buf *to)
{
    struct str type = arena_printf(w->f.arena, "%.*s.delta", STR_ARG(text_event(w, i)));
    struct json_out o = open_item_event(w, i, type, to);

    json_member_str(&o, STR("delta"), text);
    if (i->kind == ITEM_MESSAGE) {
        json_member_open(&o, STR("logprobs"), '[');
        json_close(&o, ']');
    }
    return close_event(&o);
}

static err_t send_text_done(struct response_writer *w, const struct item *i, struct buf *to)
{
    static const struct str members[] = {[ITEM_MESSAGE] = STR_INIT("text"),
                                         [ITEM_REFUSAL] = STR_INIT("refusal"),
                                         [ITEM_CALL] = STR_INIT("arguments"),
                                         [ITEM_CUSTOM] = STR_INIT("input"),
                                         [ITEM_THOUGHT] = STR_INIT("text")};

    if (!text_event(w, i).n)
        return OK;
    struct str type = arena_printf(w->f.arena, "%.*s.done", STR_ARG(text_event(w, i)));
    struct json_out o = open_item_event(w, i, type, to);
    if (i->kind == ITEM_CALL)
        json_member_str(&o, STR("name"), i->name);
    json_member_str(&o, members[i->kind], buf_str(&i->text));
    if (i->kind == ITEM_MESSAGE) {
        json_member_open(&o, STR("logprobs"), '[');
        buf_add(to, buf_str(&i->logprobs));
        json_close(&o, ']');
    }
    return close_event(&o);
}

/* --- blocks --- */

static enum item_kind kind_of(const struct response_writer *w, const struct chat_event *e)
{
    bool own = e->of == &dialect_responses;

    switch (e->block_kind) {
    case BLOCK_TEXT:
        return ITEM_MESSAGE;
    case BLOCK_REFUSAL:
        return ITEM_REFUSAL;
    case BLOCK_THINKING:
        return ITEM_THOUGHT;
    case BLOCK_REDACTED:
        return ITEM_REDACTED;
    case BLOCK_TOOL_CALL:
        return e->custom || openai_is_custom(w->f.request, e->name) ? ITEM_CUSTOM : ITEM_CALL;
    case BLOCK_IMAGE:
        return own && e->raw.n ? ITEM_OWN : e->media && e->media->source == MEDIA_BASE64 ? ITEM_IMAGE : ITEM_NONE;
    case BLOCK_OPAQUE:
        return own ? ITEM_OWN : ITEM_NONE;
    case BLOCK_AUDIO:
    case BLOCK_VIDEO:
    case BLOCK_DOCUMENT:
    case BLOCK_TOOL_RESULT:
        break;
    }
    return ITEM_NONE;
}

/* What is known of an item when it begins: an encrypted thought, a picture, another's item. */
static struct str said_at_start(enum item_kind kind, const struct chat_event *e)
{
    if (kind == ITEM_IMAGE)
        return e->media->data;
    return kind == ITEM_OWN && e->raw.n ? e->raw : e->text;
}

/* Tell that an item begins, unless a provider has done so. */
static err_t announce(struct response_writer *w, struct item *i, struct buf *to)
{
    struct begun b = w->begun;

    w->begun = (struct begun){.kind = ITEM_NONE};
    if (b.kind != ITEM_NONE && (i->kind == b.kind || (is_message(i->kind) && is_message(b.kind)))) {
        w->item_count--;
        i->index = b.index;
        i->id = b.id;
        return b.has_part ? OK : send_part(w, i, false, to);
    }
    TRY(send_item(w, i, false, to));
    return send_part(w, i, false, to);
}

static err_t start_block(struct response_writer *w, const struct chat_event *e, struct buf *to)
{
    enum item_kind kind = kind_of(w, e);

    if (kind == ITEM_NONE)
        return OK;
    struct item *i = new_item(w);
    i->kind = kind;
    i->block = e->block;
    i->index = w->item_count++;
    i->unwrap = kind == ITEM_CUSTOM && !e->custom;
    if (kind != ITEM_OWN)
        i->id = openai_make_id(&w->f, item_prefix(kind).p, 1 + i->index);
    i->call_id = arena_str(w->f.arena, e->id);
    i->name = arena_str(w->f.arena, e->name);
    i->signer = e->signer;
    i->next = w->open;
    w->open = i;
    w->refused = w->refused || kind == ITEM_REFUSAL;
    TRY(buf_add(&i->text, said_at_start(kind, e)));
    if (!w->streams)
        return OK;
    return announce(w, i, to);
}

static err_t tell_text(struct response_writer *w, struct item *i, struct str text, struct buf *to)
{
    TRY(buf_add(&i->text, text));
    return i->unwrap || !w->streams ? OK : send_delta(w, i, text, to);
}

static err_t tell_citation(struct response_writer *w, struct item *i, const struct citation *c, struct buf *to)
{
    if (!openai_has_citation(c) || i->kind != ITEM_MESSAGE)
        return OK;
    struct json_out kept = {&i->annotations, i->annotation_count > 0};
    openai_put_citation(&kept, c, false, 0);
    unsigned number = i->annotation_count++;
    if (!w->streams)
        return buf_status(&i->annotations);
    struct json_out o = open_item_event(w, i, STR("response.output_text.annotation.added"), to);
    json_member_u64(&o, STR("annotation_index"), number);
    json_key(&o, STR("annotation"));
    openai_put_citation(&o, c, false, 0);
    return close_event(&o);
}

static err_t keep_logprobs(struct item *i, struct str raw)
{
    struct str inside = str_trim(raw);

    if (inside.n < 2)
        return OK;
    inside = str_slice(inside, 1, inside.n - 1);
    if (i->logprobs.n && inside.n)
        buf_add_char(&i->logprobs, ',');
    return buf_add(&i->logprobs, inside);
}

/* Finished items go into the output in the order of their index, also if calls overlap. `all`: nothing comes any more, so that one which did not finish
 * is no reason to wait. */
static err_t put_done(struct response_writer *w, bool all)
{
    for (; w->written < w->done_size && (all || w->done[w->written].n); w->written++) {
        if (w->output->n && w->done[w->written].n)
            buf_add_char(w->output, ',');
        buf_add(w->output, w->done[w->written]);
        w->done[w->written] = STR("");
    }
    return buf_status(w->output);
}

static err_t keep_done(struct response_writer *w, const struct item *i)
{
    struct buf json CLEANUP(buf_release) = BUF_INIT(KEPT_MAX);
    struct json_out o = json_out_to(&json);

    if (i->index >= w->done_size) {
        unsigned size = (i->index + 1) * 2;
        struct str *grown = arena_zalloc(w->f.arena, size * sizeof *grown);
        if (w->done_size)
            memcpy(grown, w->done, w->done_size * sizeof *grown);
        w->done = grown;
        w->done_size = size;
    }
    put_item(w, &o, i, true);
    TRY(buf_status(&json));
    w->done[i->index] = arena_str(w->f.arena, buf_str(&json));
    return put_done(w, false);
}

/* A call without arguments says "{}", for clients parse them; free text is taken out of the function's argument. */
static err_t complete_text(struct response_writer *w, struct item *i, struct buf *to)
{
    if (i->kind == ITEM_CALL && !i->text.n)
        return tell_text(w, i, STR("{}"), to);
    if (!i->unwrap)
        return OK;
    struct str input = tool_args_to_text(arena_str(w->f.arena, buf_str(&i->text)), w->f.arena);
    i->unwrap = false;
    buf_clear(&i->text);
    return input.n ? tell_text(w, i, input, to) : OK;
}

/* The item that ended last is done, and not more than that if the answer was cut. */
static err_t settle_held(struct response_writer *w, bool cut, struct buf *to)
{
    struct item *i = w->held;

    if (!i)
        return OK;
    w->held = NULL;
    i->cut = cut;
    if (w->streams)
        TRY(send_item(w, i, true, to));
    err_t e = keep_done(w, i);
    i->next = w->spare;
    w->spare = i;
    return e;
}

static err_t stop_item(struct response_writer *w, struct item *i, struct buf *to)
{
    struct item **at = &w->open;

    TRY(complete_text(w, i, to));
    if (i->kind == ITEM_MESSAGE && w->logprobs.n) {
        TRY(keep_logprobs(i, w->logprobs));
        w->logprobs = STR_NONE;
    }
    if (w->streams) {
        TRY(send_text_done(w, i, to));
        TRY(send_part(w, i, true, to));
    }
    while (*at != i)
        at = &(*at)->next;
    *at = i->next;
    w->held = i;
    return OK;
}

static err_t in_block(struct response_writer *w, const struct chat_event *e, struct buf *to)
{
    struct item *i = w->open;

    while (i && i->block != e->block)
        i = i->next;
    if (!i) /* a block that has no form here */
        return OK;
    if (e->kind == CHAT_TEXT)
        return tell_text(w, i, e->text, to);
    if (e->kind == CHAT_CITATION)
        return tell_citation(w, i, e->citation, to);
    if (e->kind == CHAT_LOGPROBS)
        return keep_logprobs(i, e->text);
    if (e->kind == CHAT_BLOCK_STOP)
        return stop_item(w, i, to);
    i->signature = arena_str(w->f.arena, e->text);
    i->signer = e->signer;
    return OK;
}

/* --- beginning and end --- */

/* The object always has one, in OpenAI's words. */
static void keep_tier(struct response_writer *w, const struct chat_event *e)
{
    struct str tier = openai_tier(e->service_tier);

    if (tier.n || !w->service_tier.n)
        w->service_tier = tier.n ? tier : STR("default");
}

static err_t begin(struct response_writer *w, const struct chat_event *e, struct buf *to)
{
    w->started = true;
    bool is_kept = str_starts(e->id, STR("resp_")) || (w->f.follows && e->id.n);
    answer_frame_follow(&w->f, e);
    w->id = is_kept ? arena_str(w->f.arena, e->id) : openai_make_id(&w->f, "resp_", 0);
    keep_tier(w, e);
    if (!w->streams)
        return OK;
    TRY(send_response(w, STR("response.created"), STR("in_progress"), NULL, to));
    return send_response(w, STR("response.in_progress"), STR("in_progress"), NULL, to);
}

static err_t end(struct response_writer *w, struct buf *to)
{
    bool whole = !incomplete_reason(w).n;
    struct str status = whole ? STR("completed") : STR("incomplete");

    w->over = true;
    TRY(settle_held(w, !whole, to));
    TRY(put_done(w, true));
    if (w->streams)
        return send_response(w, whole ? STR("response.completed") : STR("response.incomplete"), status, NULL, to);
    struct json_out o = json_out_to(to);
    put_response(&o, w, status, NULL);
    return buf_status(to);
}

/* Also an error before the first event comes behind "created", without which clients do not know what failed. */
static err_t break_off(struct response_writer *w, const struct api_error *error, struct buf *to)
{
    w->over = true;
    if (!w->started)
        TRY(begin(w, &(struct chat_event){.kind = CHAT_START}, to));
    TRY(settle_held(w, false, to));
    return send_response(w, STR("response.failed"), STR("failed"), error, to);
}

static void release_output(void *obj)
{
    buf_release(obj);
}

err_t responses_writer_begin(void *state, const struct answer_frame *f, struct buf *to)
{
    struct response_writer *w = state;

    (void)to;
    w->f = *f;
    w->streams = true;
    w->begun.kind = ITEM_NONE;
    w->summaries = f->request && f->request->reasoning.summary.n;
    w->output = arena_new(f->arena, struct buf);
    buf_init(w->output, OUTPUT_MAX);
    arena_hold(f->arena, w->output, release_output);
    return OK;
}

err_t responses_writer_event(void *state, const struct chat_event *e, struct buf *to)
{
    struct response_writer *w = state;

    if (w->over || (e->choice > 0 && e->kind != CHAT_ERROR))
        return OK;
    switch (e->kind) {
    case CHAT_START:
        return begin(w, e, to);
    case CHAT_BLOCK_START:
        TRY(settle_held(w, false, to));
        return start_block(w, e, to);
    case CHAT_TEXT:
    case CHAT_SIGNATURE:
    case CHAT_CITATION:
    case CHAT_LOGPROBS:
    case CHAT_BLOCK_STOP:
        TRY(settle_held(w, false, to));
        return in_block(w, e, to);
    case CHAT_USAGE:
        w->usage = *e->usage;
        return OK;
    case CHAT_FINISH:
        w->finished = true;
        w->finish = e->finish;
        keep_tier(w, e);
        return OK;
    case CHAT_END:
        return end(w, to);
    case CHAT_ERROR:
        return break_off(w, e->error, to);
    }
    return OK;
}

/* An item that the provider has begun: what is told in its place goes on under its id. Most are opened here by their first piece only. */
static err_t follow_item(struct response_writer *w, struct str data)
{
    struct str type = json_find_path(data, "item", "type", NULL), id = json_find_path(data, "item", "id", NULL);
    uint64_t index;

    w->begun = (struct begun){.kind = ITEM_NONE};
    if (!json_to_u64(json_find(data, STR("output_index")), &index) || index >= ITEMS_MAX)
        return OK;
    w->item_count = (unsigned)index + 1;
    struct begun b = {.index = (unsigned)index,
                      .kind = json_string_is(type, STR("message"))     ? ITEM_MESSAGE
                              : json_string_is(type, STR("reasoning")) ? ITEM_THOUGHT
                                                                       : ITEM_NONE};
    TRY(json_string_value(id, w->f.arena, &b.id));
    b.id = arena_str(w->f.arena, b.id);
    if (b.kind != ITEM_NONE) {
        w->begun = b;
    } else if (w->open) {
        w->open->id = b.id;
        w->open->index = b.index;
    }
    return OK;
}

/* The provider has told that the item is done, which is held back here. */
static err_t follow_done(struct response_writer *w)
{
    w->streams = false;
    err_t e = settle_held(w, false, NULL);
    w->streams = true;
    return e;
}

/* Events are numbered, and items have ids. */
err_t responses_writer_follow(void *state, const struct frame *f, struct arena *scratch)
{
    struct response_writer *w = state;
    struct str type = json_find(f->data, STR("type"));
    uint64_t sequence;

    (void)scratch;
    if (json_to_u64(json_find(f->data, STR("sequence_number")), &sequence))
        w->sequence = sequence + 1;
    if (json_string_is(type, STR("response.output_item.added")))
        return follow_item(w, f->data);
    if (json_string_is(type, STR("response.output_item.done")))
        return follow_done(w);
    if (json_string_is(type, STR("response.content_part.added")) ||
        json_string_is(type, STR("response.reasoning_summary_part.added")))
        w->begun.has_part = true;
    return OK;
}

struct collecting {
    struct response_writer *w;
    struct buf *to;
};

static err_t collect(void *ctx, const struct chat_event *e)
{
    struct collecting *c = ctx;

    return responses_writer_event(c->w, e, c->to);
}

err_t responses_write_answer(const struct answer_frame *f, const struct answer *a, struct buf *to)
{
    struct response_writer *w = arena_new(f->arena, struct response_writer);
    struct collecting c = {w, to};

    TRY(responses_writer_begin(w, f, to));
    w->streams = false;
    w->logprobs = a->choice_count ? a->choices[0].logprobs : STR_NONE;
    return answer_tell(a, &(struct chat_sink){collect, &c});
}

err_t responses_write_count(const struct translation *t, uint64_t tokens, bool exact, struct buf *to)
{
    struct json_out o = json_out_to(to);

    (void)t;
    (void)exact;
    json_open(&o, '{');
    json_member_str(&o, STR("object"), STR("response.input_tokens"));
    json_member_u64(&o, STR("input_tokens"), tokens);
    json_close(&o, '}');
    return buf_status(to);
}
