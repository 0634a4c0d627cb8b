/*
 * responses_answer_read.c - a provider's Responses answer, whole or streamed, as canonical events.
 *
 * An item is known by its output_index. Its block is opened by its first content and closed when the item is done; a message with several parts gives a
 * block for each. What an item's "done" event says beyond its deltas (arguments that came at once, the proof of a thought) is told then. A
 * whole answer is read by letting each of its items be done.
 *
 * The end is completed, incomplete or failed; a body that ends without one of them broke off. Items of hosted tools have no canonical form, but for
 * pictures: they are told as they are when they are done, to clients of this very API; what the model made of them is in its messages.
 *
 * Wire format: OpenAI's published API description, November 2026.
 */
#include "llm/openai_int.h"
#include "llm/signature.h"

enum { ITEMS_MAX = 4096 };

struct item {
    struct item *next;
    int64_t index; /* output_index */
    int64_t part;  /* of a message or a thought: the part being told */
    unsigned block;
    enum block_kind kind;
    bool open, started, done;
};

struct response_reader {
    struct arena *arena;
    bool started, over, called, refused;
    unsigned blocks, item_count;
    struct item *items, *last;
};

_Static_assert(sizeof(struct response_reader) <= RESPONSES_READER_SIZE, "the state must fit");

struct reading {
    struct response_reader *r;
    struct arena *scratch;
    const struct chat_sink *sink;
};

/* --- telling --- */

static err_t tell(const struct reading *g, const struct chat_event *e)
{
    return chat_tell(g->sink, e);
}

static err_t tell_error(const struct reading *g, const struct api_error *error)
{
    g->r->over = true;
    return tell(g, &(struct chat_event){.kind = CHAT_ERROR, .error = error});
}

static err_t tell_broken(const struct reading *g, struct str message)
{
    return tell_error(g, &(struct api_error){.error_class = ERROR_UPSTREAM, .message = message});
}

static err_t open_block(const struct reading *g, struct item *i, enum block_kind kind, struct json_node item)
{
    struct chat_event e = {.kind = CHAT_BLOCK_START, .block_kind = kind};

    if (i->open)
        return OK;
    i->open = true;
    i->started = true;
    i->kind = kind;
    i->block = e.block = g->r->blocks++;
    if (kind == BLOCK_TOOL_CALL) {
        e.id = json_get_text(item, STR("call_id"), g->scratch);
        e.name = json_get_text(item, STR("name"), g->scratch);
        e.custom = json_node_text_is(json_node_get(item, STR("type")), STR("custom_tool_call"));
        g->r->called = true;
    }
    if (kind == BLOCK_REDACTED) {
        e.text = json_get_text(item, STR("encrypted_content"), g->scratch);
        e.signer = SIGNER_OPENAI;
    }
    g->r->refused = g->r->refused || kind == BLOCK_REFUSAL;
    return tell(g, &e);
}

static err_t close_block(const struct reading *g, struct item *i)
{
    if (!i->open)
        return OK;
    i->open = false;
    return tell(g, &(struct chat_event){.kind = CHAT_BLOCK_STOP, .block = i->block});
}

static err_t close_all(const struct reading *g)
{
    for (struct item *i = g->r->items; i; i = i->next)
        TRY(close_block(g, i));
    return OK;
}

static err_t tell_text(const struct reading *g, const struct item *i, struct str text)
{
    if (!text.n)
        return OK;
    return tell(g, &(struct chat_event){.kind = CHAT_TEXT, .block = i->block, .text = text});
}

/* --- items --- */

static err_t item_of(const struct reading *g, struct json_node event, struct item **ret)
{
    struct response_reader *r = g->r;
    int64_t index = 0;

    (void)json_node_i64(json_node_get(event, STR("output_index")), &index);
    for (struct item *i = r->items; i; i = i->next) {
        if (i->index == index) {
            *ret = i;
            return OK;
        }
    }
    if (r->item_count++ >= ITEMS_MAX)
        return fail(E_TOO_LARGE, "an answer has more than %d items", ITEMS_MAX);
    struct item *i = arena_new(r->arena, struct item);
    i->index = index;
    if (r->last)
        r->last->next = i;
    else
        r->items = i;
    r->last = i;
    *ret = i;
    return OK;
}

/* A delta of a message's or a thought's part; the next part of a message is another block, of a thought another paragraph. */
static err_t read_delta(const struct reading *g, struct json_node event, enum block_kind kind, struct str member)
{
    struct str text = json_get_text(event, member, g->scratch);
    struct json_node logprobs = json_node_get(event, STR("logprobs"));
    int64_t part = 0;
    struct item *i;

    if (!text.n)
        return OK;
    TRY(item_of(g, event, &i));
    if (!json_node_i64(json_node_get(event, STR("content_index")), &part))
        (void)json_node_i64(json_node_get(event, STR("summary_index")), &part);
    if (i->started && part != i->part && kind != BLOCK_THINKING)
        TRY(close_block(g, i));
    bool paragraph = i->open && part != i->part;
    i->part = part;
    TRY(open_block(g, i, kind, JSON_ABSENT));
    if (paragraph)
        TRY(tell_text(g, i, STR("\n\n")));
    TRY(tell_text(g, i, text));
    if (!json_node_count(logprobs))
        return OK;
    return tell(g, &(struct chat_event){.kind = CHAT_LOGPROBS, .block = i->block, .text = json_node_raw(logprobs)});
}

static err_t read_arguments(const struct reading *g, struct json_node event)
{
    struct item *i;

    TRY(item_of(g, event, &i));
    if (!i->open || i->kind != BLOCK_TOOL_CALL)
        return OK;
    i->part = 1; /* its arguments are being told */
    return tell_text(g, i, json_get_text(event, STR("delta"), g->scratch));
}

static err_t tell_citation(const struct reading *g, const struct item *i, struct json_node v)
{
    struct citation c = {.url = json_get_text(v, STR("url"), g->scratch),
                         .title = json_get_text(v, STR("title"), g->scratch),
                         .document_id = json_get_text(v, STR("file_id"), g->scratch),
                         .start = -1,
                         .end = -1,
                         .raw = json_node_raw(v),
                         .of = &dialect_responses};

    (void)json_node_i64(json_node_get(v, STR("start_index")), &c.start);
    (void)json_node_i64(json_node_get(v, STR("end_index")), &c.end);
    return tell(g, &(struct chat_event){.kind = CHAT_CITATION, .block = i->block, .citation = &c});
}

static err_t read_annotation(const struct reading *g, struct json_node event)
{
    struct item *i;

    TRY(item_of(g, event, &i));
    return i->open && i->kind == BLOCK_TEXT ? tell_citation(g, i, json_node_get(event, STR("annotation"))) : OK;
}

static bool is_call(struct json_node item)
{
    struct json_node type = json_node_get(item, STR("type"));

    return json_node_text_is(type, STR("function_call")) || json_node_text_is(type, STR("custom_tool_call"));
}

static err_t read_added(const struct reading *g, struct json_node event)
{
    struct json_node item = json_node_get(event, STR("item"));
    struct item *i;

    TRY(item_of(g, event, &i));
    return is_call(item) && !i->started ? open_block(g, i, BLOCK_TOOL_CALL, item) : OK;
}

/* --- items that are done --- */

static err_t finish_call(const struct reading *g, struct item *i, struct json_node item)
{
    bool custom = json_node_text_is(json_node_get(item, STR("type")), STR("custom_tool_call"));

    if (!i->started)
        TRY(open_block(g, i, BLOCK_TOOL_CALL, item));
    if (i->open && !i->part)
        TRY(tell_text(g, i, json_get_text(item, custom ? STR("input") : STR("arguments"), g->scratch)));
    return close_block(g, i);
}

static err_t finish_message(const struct reading *g, struct item *i, struct json_node item)
{
    if (!i->started) {
        JSON_EACH(w, json_node_get(item, STR("content"))) {
            bool refusal = json_node_text_is(json_node_get(w.value, STR("type")), STR("refusal"));
            struct json_node logprobs = json_node_get(w.value, STR("logprobs"));
            TRY(open_block(g, i, refusal ? BLOCK_REFUSAL : BLOCK_TEXT, JSON_ABSENT));
            TRY(tell_text(g, i, json_get_text(w.value, refusal ? STR("refusal") : STR("text"), g->scratch)));
            JSON_EACH(a, json_node_get(w.value, STR("annotations")))
                TRY(tell_citation(g, i, a.value));
            if (json_node_count(logprobs))
                TRY(tell(g, &(struct chat_event){
                                .kind = CHAT_LOGPROBS, .block = i->block, .text = json_node_raw(logprobs)}));
            TRY(close_block(g, i));
        }
    }
    return close_block(g, i);
}

static err_t tell_paragraphs(const struct reading *g, struct item *i, struct json_node list)
{
    JSON_EACH(w, list) {
        struct str text = json_get_text(w.value, STR("text"), g->scratch);
        bool more = i->open;
        if (!text.n)
            continue;
        TRY(open_block(g, i, BLOCK_THINKING, JSON_ABSENT));
        if (more)
            TRY(tell_text(g, i, STR("\n\n")));
        TRY(tell_text(g, i, text));
    }
    return OK;
}

static err_t finish_thought(const struct reading *g, struct item *i, struct json_node item)
{
    struct str blob = json_get_text(item, STR("encrypted_content"), g->scratch);

    if (!i->started) {
        TRY(tell_paragraphs(g, i, json_node_get(item, STR("content"))));
        if (!i->started)
            TRY(tell_paragraphs(g, i, json_node_get(item, STR("summary"))));
    }
    if (!i->open && blob.n && !i->started)
        TRY(open_block(g, i, BLOCK_REDACTED, item));
    else if (i->open && blob.n)
        TRY(tell(
            g, &(struct chat_event){.kind = CHAT_SIGNATURE, .block = i->block, .text = blob, .signer = SIGNER_OPENAI}));
    return close_block(g, i);
}

/* What a hosted tool did. A picture that it drew is one to everybody. */
static err_t finish_hosted(const struct reading *g, struct item *i, struct json_node item)
{
    struct media media = {.source = MEDIA_BASE64};
    struct chat_event e = {
        .kind = CHAT_BLOCK_START, .block_kind = BLOCK_OPAQUE, .text = json_node_raw(item), .of = &dialect_responses};

    if (!json_node_is(item, JSON_OBJECT))
        return OK;
    if (json_node_text_is(json_node_get(item, STR("type")), STR("image_generation_call")))
        media.data = json_get_text(item, STR("result"), g->scratch);
    if (media.data.n) {
        e.raw = e.text;
        e.text = STR_NONE;
        media.type = media_sniff(media.data);
        e.block_kind = BLOCK_IMAGE;
        e.media = &media;
    }
    i->block = e.block = g->r->blocks++;
    TRY(tell(g, &e));
    return tell(g, &(struct chat_event){.kind = CHAT_BLOCK_STOP, .block = i->block});
}

static err_t finish_item(const struct reading *g, struct item *i, struct json_node item)
{
    struct json_node type = json_node_get(item, STR("type"));

    if (i->done)
        return OK;
    i->done = true;
    if (is_call(item))
        return finish_call(g, i, item);
    if (json_node_text_is(type, STR("message")))
        return finish_message(g, i, item);
    if (json_node_text_is(type, STR("reasoning")))
        return finish_thought(g, i, item);
    return i->started ? close_block(g, i) : finish_hosted(g, i, item);
}

static err_t read_done(const struct reading *g, struct json_node event)
{
    struct item *i;

    TRY(item_of(g, event, &i));
    return finish_item(g, i, json_node_get(event, STR("item")));
}

/* --- the response --- */

static err_t start(const struct reading *g, struct json_node response)
{
    struct chat_event e = {.kind = CHAT_START,
                           .id = json_get_text(response, STR("id"), g->scratch),
                           .model = json_get_text(response, STR("model"), g->scratch),
                           .service_tier = json_get_text(response, STR("service_tier"), g->scratch)};

    if (g->r->started)
        return OK;
    g->r->started = true;
    (void)json_node_i64(json_node_get(response, STR("created_at")), &e.created);
    return tell(g, &e);
}

static enum finish finish_of(const struct reading *g, struct json_node response)
{
    struct json_node reason = json_node_get(json_node_get(response, STR("incomplete_details")), STR("reason"));

    if (json_node_text_is(reason, STR("content_filter")))
        return FINISH_FILTER;
    if (json_node_text_is(json_node_get(response, STR("status")), STR("incomplete")))
        return FINISH_LENGTH;
    return g->r->called ? FINISH_TOOL_CALLS : g->r->refused ? FINISH_REFUSAL : FINISH_STOP;
}

/* What the stream left out of the items, or, of a whole answer, all of them. */
static err_t read_output(const struct reading *g, struct json_node output)
{
    struct response_reader *r = g->r;
    bool streamed = r->item_count > 0;
    int64_t index = 0;

    if (streamed)
        return OK;
    JSON_EACH(w, output) {
        if (r->item_count++ >= ITEMS_MAX)
            return fail(E_TOO_LARGE, "an answer has more than %d items", ITEMS_MAX);
        struct item i = {.index = index++};
        TRY(finish_item(g, &i, w.value));
    }
    return OK;
}

static err_t tell_failure(const struct reading *g, struct json_node holder)
{
    struct api_error error;

    openai_error_from(holder, 0, g->scratch, &error);
    if (!error.message.n)
        error.message = STR("The provider failed without saying why.");
    return tell_error(g, &error);
}

static bool is_over_badly(struct json_node response)
{
    struct json_node status = json_node_get(response, STR("status"));

    return json_node_text_is(status, STR("failed")) || json_node_text_is(status, STR("cancelled")) ||
           json_node_is(json_node_get(response, STR("error")), JSON_OBJECT);
}

static err_t conclude(const struct reading *g, struct json_node response)
{
    struct json_node counts = json_node_get(response, STR("usage"));
    struct usage usage;

    TRY(start(g, response));
    TRY(read_output(g, json_node_get(response, STR("output"))));
    TRY(close_all(g));
    if (json_node_is(counts, JSON_OBJECT) && usage_from_openai(json_node_raw(counts), &usage))
        TRY(tell(g, &(struct chat_event){.kind = CHAT_USAGE, .usage = &usage}));
    if (is_over_badly(response))
        return tell_failure(g, response);
    TRY(tell(g, &(struct chat_event){.kind = CHAT_FINISH,
                                     .finish = finish_of(g, response),
                                     .service_tier = json_get_text(response, STR("service_tier"), g->scratch)}));
    g->r->over = true;
    return tell(g, &(struct chat_event){.kind = CHAT_END});
}

/* --- events --- */

static err_t on_response(const struct reading *g, struct json_node event)
{
    return start(g, json_node_get(event, STR("response")));
}

static err_t on_end(const struct reading *g, struct json_node event)
{
    return conclude(g, json_node_get(event, STR("response")));
}

static err_t on_text(const struct reading *g, struct json_node event)
{
    return read_delta(g, event, BLOCK_TEXT, STR("delta"));
}

static err_t on_refusal(const struct reading *g, struct json_node event)
{
    return read_delta(g, event, BLOCK_REFUSAL, STR("delta"));
}

static err_t on_thought(const struct reading *g, struct json_node event)
{
    return read_delta(g, event, BLOCK_THINKING, STR("delta"));
}

/* Flat, or with "error" as others have it. */
static err_t on_error(const struct reading *g, struct json_node event)
{
    return tell_failure(g, event);
}

static const struct {
    struct str type;
    err_t (*hear)(const struct reading *g, struct json_node event);
    bool begins; /* may come before the response was told of */
} kinds[] = {
    {STR_INIT("response.created"), on_response, true},
    {STR_INIT("response.queued"), on_response, true},
    {STR_INIT("response.in_progress"), on_response, true},
    {STR_INIT("response.output_item.added"), read_added, false},
    {STR_INIT("response.output_item.done"), read_done, false},
    {STR_INIT("response.output_text.delta"), on_text, false},
    {STR_INIT("response.output_text.annotation.added"), read_annotation, false},
    {STR_INIT("response.refusal.delta"), on_refusal, false},
    {STR_INIT("response.reasoning_summary_text.delta"), on_thought, false},
    {STR_INIT("response.reasoning_text.delta"), on_thought, false},
    {STR_INIT("response.function_call_arguments.delta"), read_arguments, false},
    {STR_INIT("response.custom_tool_call_input.delta"), read_arguments, false},
    {STR_INIT("response.completed"), on_end, true},
    {STR_INIT("response.incomplete"), on_end, true},
    {STR_INIT("response.failed"), on_end, true},
    {STR_INIT("error"), on_error, true},
};

static err_t read_event(const struct reading *g, struct json_node event)
{
    struct json_node type = json_node_get(event, STR("type"));

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (!json_node_text_is(type, kinds[i].type))
            continue;
        if (!kinds[i].begins)
            TRY(start(g, JSON_ABSENT));
        return kinds[i].hear(g, event);
    }
    if (json_is_absent(type) && json_node_is_set(json_node_get(event, STR("error"))))
        return tell_failure(g, event);
    return OK;
}

/* --- the slots --- */

err_t responses_reader_begin(void *state, struct arena *arena)
{
    struct response_reader *r = state;

    r->arena = arena;
    return OK;
}

err_t responses_reader_frame(void *state, const struct frame *f, struct arena *scratch, const struct chat_sink *sink)
{
    struct response_reader *r = state;
    struct reading g = {r, scratch, sink};
    struct str data = str_trim(f->data);
    const struct json_tree *tree;

    if (r->over || !data.n || str_eq(data, STR("[DONE]")))
        return OK;
    err_t err = json_tree_parse(scratch, data, &tree);
    if (err == E_PARSE && f->partial)
        return OK; /* the end of the body says that it is broken off */
    if (err == E_PARSE)
        return tell_broken(&g, STR("The provider sent an event that is no JSON."));
    TRY(err);
    return read_event(&g, json_tree_root(tree));
}

err_t responses_reader_end(void *state, const struct chat_sink *sink)
{
    struct response_reader *r = state;
    struct reading g = {r, r->arena, sink};

    return r->over ? OK : tell_broken(&g, STR("The provider's answer broke off."));
}

err_t responses_read_answer(struct arena *arena, struct str body, const struct chat_sink *sink)
{
    struct response_reader *r = arena_new(arena, struct response_reader);
    struct reading g = {r, arena, sink};
    const struct json_tree *tree;

    r->arena = arena;
    if (json_tree_parse(arena, body, &tree) != OK)
        return fail(E_PROTOCOL, "the provider's answer is no JSON");
    struct json_node root = json_tree_root(tree);
    if (!json_node_is(json_node_get(root, STR("output")), JSON_ARRAY))
        return json_node_is_set(json_node_get(root, STR("error")))
                   ? tell_failure(&g, root)
                   : fail(E_PROTOCOL, "the provider's answer has no output");
    return conclude(&g, root);
}
