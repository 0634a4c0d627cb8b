/*
 * openai_answer_read.c - a provider's Chat Completions answer, whole or streamed, as canonical events.
 *
 * A message and a delta have the same members, so one function reads both. Blocks are opened by their first content and closed when another kind begins.
 * Calls are told apart by their index, else their id, else they continue the last one; a call is closed when the next begins and its
 * arguments are a whole JSON object, so that only providers that really interleave calls give overlapping blocks.
 *
 * The reader takes what the look-alikes do to this format: several names for thoughts, lists of parts as content, arguments as objects, calls without index, id
 * or type, an empty finish_reason or one on every chunk, usage anywhere and repeatedly, chunks without choices, a missing [DONE].
 *
 * FINISH is held back until the end, since some repeat it or send content behind it. The end is [DONE], or the end of the body when every
 * choice has its finish_reason; anything else ends in an error. After END or ERROR nothing more is told.
 */
#include "llm/openai_int.h"
#include "llm/signature.h"

enum { CALLS_MAX = 4096 };

/* Where in a JSON document the pieces so far have come to; enough to know that an object is whole. */
struct balance {
    unsigned depth;
    bool in_string, escaped, begun;
};

struct call {
    struct call *next;
    int64_t index; /* the provider's; -1: none said */
    struct str id, name;
    unsigned block;
    bool custom, started, closed;
    struct balance arguments;
};

struct choice {
    unsigned number, blocks;
    bool seen, open; /* is `block`, of kind `kind`, open? */
    enum block_kind kind;
    unsigned block;
    unsigned text_block; /* the last text, for logprobs */
    struct call *calls;
    struct call *last_call;
    unsigned call_count;
    bool finished, refused;
    enum finish finish;
    struct str stop_sequence;
};

struct openai_answer_reader {
    struct arena *arena;
    bool started, over;
    struct str id, model, service_tier;
    int64_t created;
    struct choice *choices[ANSWER_CHOICES_MAX];
    unsigned choice_count;
    struct usage usage;
};

_Static_assert(sizeof(struct openai_answer_reader) <= OPENAI_READER_SIZE, "the state must fit");

/* What the functions below need at hand while one frame is read. */
struct reading {
    struct openai_answer_reader *r;
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

static err_t stop_block(const struct reading *g, const struct choice *c, unsigned block)
{
    return tell(g, &(struct chat_event){.kind = CHAT_BLOCK_STOP, .choice = c->number, .block = block});
}

static err_t close_open(const struct reading *g, struct choice *c)
{
    if (!c->open)
        return OK;
    c->open = false;
    return stop_block(g, c, c->block);
}

/* --- calls --- */

static void weigh(struct balance *b, struct str piece)
{
    for (size_t i = 0; i < piece.n; i++) {
        char c = piece.p[i];
        if (b->escaped) {
            b->escaped = false;
        } else if (b->in_string) {
            b->escaped = c == '\\';
            b->in_string = c != '"';
        } else if (c == '"') {
            b->in_string = true;
        } else if (c == '{' || c == '[') {
            b->depth++;
            b->begun = true;
        } else if ((c == '}' || c == ']') && b->depth) {
            b->depth--;
        }
    }
}

static bool is_whole(const struct call *call)
{
    const struct balance *b = &call->arguments;

    return !call->custom && b->begun && b->depth == 0 && !b->in_string;
}

/* A call without an id gets one that no other answer gives: made of the answer's own id. */
static struct str id_of_call(const struct reading *g, const struct choice *c, const struct call *call)
{
    struct str whole = arena_join(g->scratch, g->r->id, call->name);

    return call->id.n ? call->id : tool_id_make(c->number, c->call_count, whole, g->scratch);
}

static err_t start_call(const struct reading *g, struct choice *c, struct call *call)
{
    if (call->started)
        return OK;
    call->started = true;
    call->block = c->blocks++;
    return tell(g, &(struct chat_event){.kind = CHAT_BLOCK_START,
                                        .choice = c->number,
                                        .block = call->block,
                                        .block_kind = BLOCK_TOOL_CALL,
                                        .id = id_of_call(g, c, call),
                                        .name = call->name,
                                        .custom = call->custom});
}

static err_t close_calls(const struct reading *g, struct choice *c, bool all)
{
    for (struct call *call = c->calls; call; call = call->next) {
        if (call->closed || !(all || is_whole(call)))
            continue;
        TRY(start_call(g, c, call));
        call->closed = true;
        TRY(stop_block(g, c, call->block));
    }
    return OK;
}

/* The call that a delta belongs to; NULL: a new one. */
static struct call *find_call(struct choice *c, int64_t index, struct str id)
{
    struct call *found = NULL;

    if (index < 0 && !id.n)
        return c->last_call;
    for (struct call *call = c->calls; call; call = call->next)
        if (index >= 0 ? call->index == index : str_eq(call->id, id))
            found = call;
    if (found && id.n && found->id.n && !str_eq(found->id, id))
        return NULL; /* the index is used again for another call */
    return found;
}

static struct call *add_call(const struct reading *g, struct choice *c, int64_t index)
{
    struct call *call = arena_new(g->r->arena, struct call);

    call->index = index;
    if (c->last_call)
        c->last_call->next = call;
    else
        c->calls = call;
    c->last_call = call;
    c->call_count++;
    return call;
}

static err_t tell_arguments(const struct reading *g, struct choice *c, struct call *call, struct str piece)
{
    if (!piece.n || call->closed) /* behind a whole object only blanks are left to say */
        return OK;
    TRY(start_call(g, c, call));
    weigh(&call->arguments, piece);
    return tell(g, &(struct chat_event){.kind = CHAT_TEXT, .choice = c->number, .block = call->block, .text = piece});
}

static err_t tell_google_signature(const struct reading *g, const struct choice *c, unsigned block, struct json_node v)
{
    struct json_node google = json_node_get(json_node_get(v, STR("extra_content")), STR("google"));
    struct str signature = json_get_text(google, STR("thought_signature"), g->scratch);

    if (!signature.n)
        return OK;
    return tell(
        g,
        &(struct chat_event){
            .kind = CHAT_SIGNATURE, .choice = c->number, .block = block, .text = signature, .signer = SIGNER_GOOGLE});
}

/* One element of tool_calls, or the old function_call (whose members stand in `f`). */
static err_t read_call(const struct reading *g, struct choice *c, struct json_node v, struct json_node f, bool custom)
{
    struct json_node arguments = json_node_get(f, custom ? STR("input") : STR("arguments"));
    struct str id = json_get_text(v, STR("id"), g->scratch), name = json_get_text(f, STR("name"), g->scratch);
    int64_t index = -1;

    (void)json_node_i64(json_node_get(v, STR("index")), &index);
    struct call *call = find_call(c, index, id);
    if (!call) {
        if (c->call_count >= CALLS_MAX)
            return fail(E_TOO_LARGE, "an answer calls more than %d tools", CALLS_MAX);
        TRY(close_open(g, c));
        TRY(close_calls(g, c, false));
        call = add_call(g, c, index);
        call->custom = custom;
    }
    if (id.n && !call->id.n)
        call->id = arena_str(g->r->arena, id);
    if (name.n && !call->name.n)
        call->name = arena_str(g->r->arena, name);
    if (call->name.n)
        TRY(start_call(g, c, call));
    TRY(tell_arguments(g, c, call,
                       json_node_is(arguments, JSON_STRING) ? json_node_text(arguments, g->scratch)
                       : json_node_is_set(arguments)        ? json_node_raw(arguments)
                                                            : STR_NONE));
    return call->started && !call->closed ? tell_google_signature(g, c, call->block, v) : OK;
}

static err_t read_calls(const struct reading *g, struct choice *c, struct json_node delta)
{
    struct json_node legacy = json_node_get(delta, STR("function_call"));

    JSON_EACH(w, json_node_get(delta, STR("tool_calls"))) {
        struct json_node custom = json_node_get(w.value, STR("custom"));
        bool is_custom = json_node_is(custom, JSON_OBJECT);
        TRY(read_call(g, c, w.value, is_custom ? custom : json_node_get(w.value, STR("function")), is_custom));
    }
    return json_node_is(legacy, JSON_OBJECT) ? read_call(g, c, JSON_ABSENT, legacy, false) : OK;
}

/* --- text, thoughts, refusals --- */

static err_t open_block(const struct reading *g, struct choice *c, enum block_kind kind)
{
    if (c->open && c->kind == kind)
        return OK;
    TRY(close_open(g, c));
    TRY(close_calls(g, c, false));
    c->open = true;
    c->kind = kind;
    c->block = c->blocks++;
    if (kind == BLOCK_TEXT)
        c->text_block = c->block;
    return tell(
        g, &(struct chat_event){.kind = CHAT_BLOCK_START, .choice = c->number, .block = c->block, .block_kind = kind});
}

static err_t tell_text(const struct reading *g, struct choice *c, enum block_kind kind, struct str text)
{
    if (!text.n)
        return OK;
    TRY(open_block(g, c, kind));
    return tell(g, &(struct chat_event){.kind = CHAT_TEXT, .choice = c->number, .block = c->block, .text = text});
}

/* The signature of the thought that is open; a thought may also be nothing but its signature. */
static err_t tell_signature(const struct reading *g, struct choice *c, struct str carried, enum signer maker)
{
    enum signer signer;
    struct str blob = signature_unwrap(carried, maker, &signer);

    if (!blob.n)
        return OK;
    TRY(open_block(g, c, BLOCK_THINKING));
    return tell(g, &(struct chat_event){
                       .kind = CHAT_SIGNATURE, .choice = c->number, .block = c->block, .text = blob, .signer = signer});
}

static err_t tell_redacted(const struct reading *g, struct choice *c, struct str data, enum signer maker)
{
    if (!data.n)
        return OK;
    TRY(close_open(g, c));
    unsigned block = c->blocks++;
    TRY(tell(g, &(struct chat_event){.kind = CHAT_BLOCK_START,
                                     .choice = c->number,
                                     .block = block,
                                     .block_kind = BLOCK_REDACTED,
                                     .text = data,
                                     .signer = maker}));
    return stop_block(g, c, block);
}

static err_t read_detail(const struct reading *g, struct choice *c, struct json_node v, bool words)
{
    struct str text = json_get_text(v, STR("text"), g->scratch);
    enum signer maker = openai_maker(json_get_text(v, STR("format"), g->scratch));

    if (json_node_text_is(json_node_get(v, STR("type")), STR("reasoning.encrypted")))
        return tell_redacted(g, c, json_get_text(v, STR("data"), g->scratch), maker);
    if (!text.n)
        text = json_get_text(v, STR("summary"), g->scratch);
    if (words)
        TRY(tell_text(g, c, BLOCK_THINKING, text));
    return tell_signature(g, c, json_get_text(v, STR("signature"), g->scratch), maker);
}

static bool has_words(struct json_node details)
{
    JSON_EACH(w, details)
        if (json_node_is(json_node_get(w.value, STR("text")), JSON_STRING) ||
            json_node_is(json_node_get(w.value, STR("summary")), JSON_STRING))
            return true;
    return false;
}

/* Details and a plain text tell the same words twice; so do, with some servers, the two names of the plain text. */
static err_t read_thoughts(const struct reading *g, struct choice *c, struct json_node delta)
{
    struct json_node details = json_node_get(delta, STR("reasoning_details"));
    struct str said = json_get_text(delta, STR("reasoning_content"), g->scratch);
    bool words = has_words(details);

    if (!said.n)
        said = json_get_text(delta, STR("reasoning"), g->scratch);
    if (!words)
        TRY(tell_text(g, c, BLOCK_THINKING, said));
    JSON_EACH(w, details)
        TRY(read_detail(g, c, w.value, words));
    return OK;
}

/* A part of a content that is a list: Mistral's thinking, or text. */
static err_t read_part(const struct reading *g, struct choice *c, struct json_node part)
{
    struct json_node thinking = json_node_get(part, STR("thinking"));

    if (json_is_absent(thinking))
        return tell_text(g, c, BLOCK_TEXT, json_get_text(part, STR("text"), g->scratch));
    TRY(tell_text(g, c, BLOCK_THINKING, json_node_text(thinking, g->scratch)));
    JSON_EACH(w, thinking)
        TRY(tell_text(g, c, BLOCK_THINKING, json_get_text(w.value, STR("text"), g->scratch)));
    return tell_signature(g, c, json_get_text(part, STR("signature"), g->scratch), SIGNER_OTHER);
}

static err_t read_content(const struct reading *g, struct choice *c, struct json_node content)
{
    TRY(tell_text(g, c, BLOCK_TEXT, json_node_text(content, g->scratch)));
    if (json_node_is(content, JSON_ARRAY))
        JSON_EACH(w, content)
            TRY(read_part(g, c, w.value));
    return OK;
}

static err_t read_refusal(const struct reading *g, struct choice *c, struct json_node delta)
{
    struct str refusal = json_get_text(delta, STR("refusal"), g->scratch);

    c->refused = c->refused || refusal.n;
    return tell_text(g, c, BLOCK_REFUSAL, refusal);
}

/* Speech comes in pieces, each a base64 text of its own; what it says comes as text beside it. */
static err_t read_audio(const struct reading *g, struct choice *c, struct json_node audio)
{
    struct media media = {.source = MEDIA_BASE64, .data = json_get_text(audio, STR("data"), g->scratch)};

    TRY(tell_text(g, c, BLOCK_TEXT, json_get_text(audio, STR("transcript"), g->scratch)));
    if (!media.data.n)
        return OK;
    TRY(close_open(g, c));
    unsigned block = c->blocks++;
    TRY(tell(g, &(struct chat_event){.kind = CHAT_BLOCK_START,
                                     .choice = c->number,
                                     .block = block,
                                     .block_kind = BLOCK_AUDIO,
                                     .id = json_get_text(audio, STR("id"), g->scratch),
                                     .media = &media}));
    return stop_block(g, c, block);
}

/* Images beside the text, as OpenRouter and others return them. */
static err_t read_images(const struct reading *g, struct choice *c, struct json_node images)
{
    JSON_EACH(w, images) {
        struct json_node url = json_node_get(json_node_get(w.value, STR("image_url")), STR("url"));
        struct media media = {0};
        if (!json_node_is(url, JSON_STRING) ||
            media_from_url(&media, json_node_text(url, g->scratch), g->scratch) != OK)
            continue;
        TRY(close_open(g, c));
        unsigned block = c->blocks++;
        TRY(tell(g, &(struct chat_event){.kind = CHAT_BLOCK_START,
                                         .choice = c->number,
                                         .block = block,
                                         .block_kind = BLOCK_IMAGE,
                                         .media = &media}));
        TRY(stop_block(g, c, block));
    }
    return OK;
}

static err_t read_annotations(const struct reading *g, struct choice *c, struct json_node annotations)
{
    JSON_EACH(w, annotations) {
        struct json_node in = json_node_get(w.value, STR("url_citation"));
        struct citation cited = {.url = json_get_text(in, STR("url"), g->scratch),
                                 .title = json_get_text(in, STR("title"), g->scratch),
                                 .start = -1,
                                 .end = -1,
                                 .raw = json_node_raw(w.value),
                                 .of = &dialect_openai};
        (void)json_node_i64(json_node_get(in, STR("start_index")), &cited.start);
        (void)json_node_i64(json_node_get(in, STR("end_index")), &cited.end);
        TRY(open_block(g, c, BLOCK_TEXT));
        TRY(tell(g, &(struct chat_event){
                        .kind = CHAT_CITATION, .choice = c->number, .block = c->block, .citation = &cited}));
    }
    return OK;
}

static err_t read_delta(const struct reading *g, struct choice *c, struct json_node delta)
{
    TRY(read_thoughts(g, c, delta));
    TRY(read_content(g, c, json_node_get(delta, STR("content"))));
    TRY(read_annotations(g, c, json_node_get(delta, STR("annotations"))));
    if (c->open && c->kind == BLOCK_TEXT)
        TRY(tell_google_signature(g, c, c->block, delta));
    TRY(read_refusal(g, c, delta));
    TRY(read_audio(g, c, json_node_get(delta, STR("audio"))));
    TRY(read_images(g, c, json_node_get(delta, STR("images"))));
    return read_calls(g, c, delta);
}

/* --- choices --- */

static const struct {
    struct str name;
    enum finish finish;
} reasons[] = {
    {STR_INIT("stop"), FINISH_STOP},
    {STR_INIT("length"), FINISH_LENGTH},
    {STR_INIT("model_length"), FINISH_CONTEXT},
    {STR_INIT("tool_calls"), FINISH_TOOL_CALLS},
    {STR_INIT("function_call"), FINISH_TOOL_CALLS},
    {STR_INIT("content_filter"), FINISH_FILTER},
};

static enum finish finish_of(struct str reason)
{
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (str_eq(reason, reasons[i].name))
            return reasons[i].finish;
    return FINISH_STOP; /* "eos" and other words for an ordinary end */
}

/* Reasons that are no end of an answer but its failure. */
static bool is_failure(struct str reason)
{
    return str_eq(reason, STR("error")) || str_eq(reason, STR("insufficient_system_resource"));
}

static err_t read_finish(const struct reading *g, struct choice *c, struct json_node choice)
{
    struct str reason = json_get_text(choice, STR("finish_reason"), g->scratch);
    struct str stopped_by = json_get_text(choice, STR("stop_reason"), g->scratch);

    if (!reason.n)
        return OK;
    if (is_failure(reason))
        return tell_error(
            g, &(struct api_error){.error_class = str_eq(reason, STR("error")) ? ERROR_UPSTREAM : ERROR_OVERLOADED,
                                   .message = STR("The provider gave up in the middle of its answer.")});
    c->finished = true;
    c->finish = finish_of(reason);
    if (c->finish == FINISH_STOP && stopped_by.n) {
        c->finish = FINISH_STOP_SEQUENCE;
        c->stop_sequence = arena_str(g->r->arena, stopped_by);
    }
    return OK;
}

static err_t choice_of(const struct reading *g, struct json_node v, struct choice **ret)
{
    struct openai_answer_reader *r = g->r;
    int64_t n = 0;

    (void)json_node_i64(json_node_get(v, STR("index")), &n);
    if (n < 0 || n >= ANSWER_CHOICES_MAX)
        return fail(E_TOO_LARGE, "an answer has more than %d choices", ANSWER_CHOICES_MAX);
    while (r->choice_count <= n) {
        r->choices[r->choice_count] = arena_new(r->arena, struct choice);
        r->choices[r->choice_count]->number = r->choice_count;
        r->choice_count++;
    }
    *ret = r->choices[n];
    (*ret)->seen = true;
    return OK;
}

/* {"tokens":[…],"token_logprobs":[…],"top_logprobs":[{…}]} of a completion in Chat's form; empty if it is none. */
static struct str completion_logprobs(const struct reading *g, struct json_node v)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(16 * 1024 * 1024);
    struct json_out o = json_out_to(&to);
    struct json_walk chances = json_walk(json_node_get(v, STR("token_logprobs")));
    struct json_walk tops = json_walk(json_node_get(v, STR("top_logprobs")));
    struct json_node tokens = json_node_get(v, STR("tokens"));

    if (!json_node_count(tokens))
        return STR_NONE;
    json_open(&o, '[');
    JSON_EACH(w, tokens) {
        json_open(&o, '{');
        json_member_raw(&o, STR("token"), json_node_raw(w.value));
        json_member_raw(&o, STR("logprob"), json_walk_next(&chances) ? json_node_raw(chances.value) : STR_NONE);
        json_member_null(&o, STR("bytes"));
        json_member_open(&o, STR("top_logprobs"), '[');
        if (json_walk_next(&tops)) {
            JSON_EACH(top, tops.value) {
                json_open(&o, '{');
                json_member_raw(&o, STR("token"), json_node_raw(top.key));
                json_member_raw(&o, STR("logprob"), json_node_raw(top.value));
                json_member_null(&o, STR("bytes"));
                json_close(&o, '}');
            }
        }
        json_close(&o, ']');
        json_close(&o, '}');
    }
    json_close(&o, ']');
    return buf_status(&to) == OK ? arena_str(g->scratch, buf_str(&to)) : STR_NONE;
}

static err_t read_choice(const struct reading *g, struct json_node v)
{
    struct json_node delta = json_node_get(v, STR("delta"));
    struct json_node logprobs = json_node_get(json_node_get(v, STR("logprobs")), STR("content"));
    struct choice *c;

    TRY(choice_of(g, v, &c));
    if (!json_node_is(delta, JSON_OBJECT))
        delta = json_node_get(v, STR("message"));
    if (json_node_is(delta, JSON_OBJECT))
        TRY(read_delta(g, c, delta));
    else /* a completion */
        TRY(tell_text(g, c, BLOCK_TEXT, json_get_text(v, STR("text"), g->scratch)));
    struct str told =
        json_node_count(logprobs) ? json_node_raw(logprobs) : completion_logprobs(g, json_node_get(v, STR("logprobs")));
    if (told.n)
        TRY(tell(
            g, &(struct chat_event){.kind = CHAT_LOGPROBS, .choice = c->number, .block = c->text_block, .text = told}));
    return read_finish(g, c, v);
}

/* --- frames --- */

static void read_usage(struct openai_answer_reader *r, struct json_node holder)
{
    struct json_node usage = json_node_get(holder, STR("usage"));

    if (json_node_is(usage, JSON_OBJECT))
        (void)usage_from_openai(json_node_raw(usage), &r->usage);
}

static void keep(struct arena *arena, struct str *to, struct str text)
{
    if (text.n && !to->n)
        *to = arena_str(arena, text);
}

static err_t start(const struct reading *g)
{
    struct openai_answer_reader *r = g->r;

    if (r->started)
        return OK;
    r->started = true;
    return tell(g, &(struct chat_event){.kind = CHAT_START,
                                        .id = r->id,
                                        .model = r->model,
                                        .created = r->created,
                                        .service_tier = r->service_tier});
}

/* {"error":…}, or an error that is the whole document, as older vLLM and Mistral send it. */
static bool is_error(struct json_node root)
{
    struct json_node error = json_node_get(root, STR("error"));

    if (json_node_is(error, JSON_OBJECT) || json_node_is(error, JSON_STRING))
        return true;
    return json_node_text_is(json_node_get(root, STR("object")), STR("error"));
}

/* A chunk without choices (Azure's filter results, usage) does not begin the answer: its id may be empty. */
static err_t read_document(const struct reading *g, struct json_node root)
{
    struct openai_answer_reader *r = g->r;
    struct json_node choices = json_node_get(root, STR("choices"));

    if (is_error(root)) {
        struct api_error error;
        openai_error_from(root, 0, g->scratch, &error);
        if (!error.message.n)
            error.message = STR("The provider failed without saying why.");
        return tell_error(g, &error);
    }
    keep(r->arena, &r->id, json_get_text(root, STR("id"), g->scratch));
    keep(r->arena, &r->model, json_get_text(root, STR("model"), g->scratch));
    keep(r->arena, &r->service_tier, json_get_text(root, STR("service_tier"), g->scratch));
    if (!r->created)
        (void)json_node_i64(json_node_get(root, STR("created")), &r->created);
    read_usage(r, json_node_get(root, STR("x_groq")));
    read_usage(r, root);
    if (json_node_count(choices))
        TRY(start(g));
    JSON_EACH(w, choices) {
        read_usage(r, w.value);
        if (!r->over)
            TRY(read_choice(g, w.value));
    }
    return OK;
}

static err_t finish_choice(const struct reading *g, struct choice *c)
{
    enum finish finish = c->finish;

    TRY(close_open(g, c));
    TRY(close_calls(g, c, true));
    if (finish == FINISH_STOP && c->call_count)
        finish = FINISH_TOOL_CALLS; /* many say "stop" although they called */
    else if (finish == FINISH_STOP && c->refused)
        finish = FINISH_REFUSAL;
    return tell(g, &(struct chat_event){.kind = CHAT_FINISH,
                                        .choice = c->number,
                                        .finish = finish,
                                        .stop_sequence = c->stop_sequence,
                                        .service_tier = g->r->service_tier});
}

static err_t conclude(const struct reading *g)
{
    struct openai_answer_reader *r = g->r;

    for (unsigned i = 0; i < r->choice_count; i++)
        TRY(finish_choice(g, r->choices[i]));
    if (r->usage.known)
        TRY(tell(g, &(struct chat_event){.kind = CHAT_USAGE, .usage = &r->usage}));
    r->over = true;
    return tell(g, &(struct chat_event){.kind = CHAT_END});
}

static bool all_are(const struct openai_answer_reader *r, bool finished)
{
    for (unsigned i = 0; i < r->choice_count; i++)
        if (!r->choices[i]->seen || (finished && !r->choices[i]->finished))
            return false;
    return r->choice_count > 0;
}

/* --- the slots --- */

err_t openai_reader_begin(void *state, struct arena *arena)
{
    struct openai_answer_reader *r = state;

    r->arena = arena;
    return OK;
}

err_t openai_reader_frame(void *state, const struct frame *f, struct arena *scratch, const struct chat_sink *sink)
{
    struct openai_answer_reader *r = state;
    struct reading g = {r, scratch, sink};
    struct str data = str_trim(f->data);
    const struct json_tree *tree;

    if (r->over || !data.n)
        return OK;
    if (str_eq(data, STR("[DONE]")))
        return all_are(r, false) ? conclude(&g)
                                 : tell_broken(&g, STR("The provider ended its answer before it began."));
    err_t err = json_tree_parse(scratch, data, &tree);
    if (err == E_PARSE && f->partial)
        return OK; /* the end of the body says that it is broken off */
    if (err == E_PARSE)
        return tell_broken(&g, STR("The provider sent an event that is no JSON."));
    TRY(err);
    return read_document(&g, json_tree_root(tree));
}

err_t openai_reader_end(void *state, const struct chat_sink *sink)
{
    struct openai_answer_reader *r = state;
    struct reading g = {r, r->arena, sink};

    if (r->over)
        return OK;
    if (all_are(r, true))
        return conclude(&g);
    return tell_broken(&g, STR("The provider's answer broke off."));
}

err_t openai_read_answer(struct arena *arena, struct str body, const struct chat_sink *sink)
{
    struct openai_answer_reader *r = arena_new(arena, struct openai_answer_reader);
    struct reading g = {r, arena, sink};
    const struct json_tree *tree;

    r->arena = arena;
    if (json_tree_parse(arena, body, &tree) != OK)
        return fail(E_PROTOCOL, "the provider's answer is no JSON");
    TRY(read_document(&g, json_tree_root(tree)));
    if (r->over)
        return OK;
    if (!all_are(r, false))
        return fail(E_PROTOCOL, "the provider's answer has no choices");
    return conclude(&g);
}
