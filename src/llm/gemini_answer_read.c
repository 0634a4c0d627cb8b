/*
 * gemini_answer_read.c - answers of generateContent as canonical events: whole ones, and streams of pieces of the same form.
 *
 * Parts have no numbers: a block opens with the first part of its kind and closes when a part of another kind comes, or at the end; calls and
 * media are whole in one part. There is no terminal event: the answer is whole if every candidate has its finishReason when the
 * body ends, or the prompt was blocked. Google says STOP after calls, too; what was said decides.
 *
 * Vertex AI may send a call's arguments piece by piece, each with its path: they are told when the call is whole, since a path may come back to what
 * seemed complete. Google counts a citation's place in bytes, others in characters.
 */
#include "llm/error_body.h"
#include "llm/gemini_int.h"
#include "llm/tool_id.h"

#include <math.h>

/* --- telling --- */

static err_t tell_text(struct gemini_reader *r, unsigned n, struct str text, const struct chat_sink *sink)
{
    struct chat_event e = {.kind = CHAT_TEXT, .choice = n, .block = r->candidates[n].blocks - 1, .text = text};

    return text.n ? chat_tell(sink, &e) : OK;
}

static struct gemini_candidate *candidate(struct gemini_reader *r, unsigned n)
{
    r->candidates[n].seen = true;
    return &r->candidates[n];
}

static err_t close_block(struct gemini_reader *r, unsigned n, const struct chat_sink *sink)
{
    struct gemini_candidate *c = &r->candidates[n];
    struct chat_event e = {.kind = CHAT_BLOCK_STOP, .choice = n, .block = c->blocks - 1};

    if (!c->open)
        return OK;
    if (c->args) {
        struct str text;
        TRY(gemini_args_text(c->args, &text));
        c->args = NULL;
        TRY(tell_text(r, n, text, sink));
    }
    c->open = false;
    return chat_tell(sink, &e);
}

static err_t start_block(struct gemini_reader *r, unsigned n, struct chat_event *e, const struct chat_sink *sink)
{
    struct gemini_candidate *c = &r->candidates[n];

    TRY(close_block(r, n, sink));
    c->open = true;
    c->in_frame = c->joined = false;
    c->runs = (struct gemini_runs){0};
    c->kind = e->block_kind;
    e->kind = CHAT_BLOCK_START;
    e->choice = n;
    e->block = c->blocks++;
    return chat_tell(sink, e);
}

/* A text or a thought goes on, or begins. */
static err_t continue_block(struct gemini_reader *r, unsigned n, enum block_kind kind, const struct chat_sink *sink)
{
    struct gemini_candidate *c = &r->candidates[n];
    struct chat_event e = {.block_kind = kind};

    return c->open && c->kind == kind ? OK : start_block(r, n, &e, sink);
}

static err_t tell_signature(struct gemini_reader *r, unsigned n, struct str blob, const struct chat_sink *sink)
{
    struct chat_event e = {.kind = CHAT_SIGNATURE,
                           .choice = n,
                           .block = r->candidates[n].blocks - 1,
                           .text = blob,
                           .signer = SIGNER_GOOGLE};

    return blob.n ? chat_tell(sink, &e) : OK;
}

/* --- parts --- */

static err_t begin_call(struct gemini_reader *r, unsigned n, struct json_node call, struct str blob,
                        struct arena *scratch, const struct chat_sink *sink)
{
    struct gemini_candidate *c = &r->candidates[n];
    struct chat_event e = {.block_kind = BLOCK_TOOL_CALL,
                           .id = gemini_text(call, "id", scratch),
                           .name = gemini_text(call, "name", scratch)};

    if (!e.id.n) /* the answer's id keeps calls of other answers apart */
        e.id = tool_id_make(n, c->blocks, arena_join(scratch, r->id, e.name), scratch);
    TRY(start_block(r, n, &e, sink));
    c->has_call = true;
    return tell_signature(r, n, blob, sink); /* before the arguments: some clients must be given it with the start */
}

static err_t tell_broken(struct gemini_reader *r, struct str message, const struct chat_sink *sink);

/* A call has its name in its first piece alone; the last one does not say that it goes on, and may say nothing else. */
static err_t tell_call(struct gemini_reader *r, unsigned n, struct json_node call, struct str blob,
                       struct arena *scratch, const struct chat_sink *sink)
{
    struct gemini_candidate *c = &r->candidates[n];
    struct json_node args = gemini_get(call, "args"), pieces = gemini_get(call, "partialArgs");
    bool goes_on = json_node_kind(gemini_get(call, "willContinue")) == JSON_TRUE;
    bool first = !c->args || gemini_text(call, "name", scratch).n;

    if (first)
        TRY(begin_call(r, n, call, blob, scratch, sink));
    else
        TRY(tell_signature(r, n, blob, sink));
    if (first && !goes_on && !json_node_count(pieces)) {
        TRY(tell_text(r, n, json_node_is(args, JSON_OBJECT) ? json_node_raw(args) : STR("{}"), sink));
        return close_block(r, n, sink);
    }
    if (!c->args)
        c->args = gemini_args_new(r->arena);
    if (gemini_args_add(c->args, pieces) != OK)
        return tell_broken(r, STR("the provider sent arguments of a call that cannot be put together"), sink);
    return goes_on ? OK : close_block(r, n, sink);
}

/* Its signature comes with its start: it is whole then. */
static err_t tell_media(struct gemini_reader *r, unsigned n, struct json_node data, struct str blob,
                        struct arena *scratch, const struct chat_sink *sink)
{
    struct media media = {.source = MEDIA_BASE64,
                          .type = gemini_text(data, "mimeType", scratch),
                          .data = base64_standard(gemini_text(data, "data", scratch), scratch)};
    bool sound = str_starts(media.type, STR("audio/"));
    struct chat_event e = {.block_kind = sound ? BLOCK_AUDIO : BLOCK_IMAGE,
                           .media = &media,
                           .text = blob,
                           .signer = blob.n ? SIGNER_GOOGLE : SIGNER_NONE};

    TRY(start_block(r, n, &e, sink));
    return close_block(r, n, sink);
}

static err_t tell_opaque(struct gemini_reader *r, unsigned n, struct json_node part, const struct chat_sink *sink)
{
    struct chat_event e = {.block_kind = BLOCK_OPAQUE, .text = json_node_raw(part), .of = &dialect_gemini};

    TRY(start_block(r, n, &e, sink));
    return close_block(r, n, sink);
}

/* What was told of the open text, so that places in it can be counted. */
static void note_text(struct gemini_candidate *c, struct str text, struct arena *arena)
{
    c->joined = c->joined || c->in_frame;
    c->in_frame = true;
    gemini_runs_add(&c->runs, text, arena);
}

static err_t tell_part(struct gemini_reader *r, unsigned n, struct json_node part, struct arena *scratch,
                       const struct chat_sink *sink)
{
    struct str blob = gemini_text(part, "thoughtSignature", scratch), text = gemini_text(part, "text", scratch);
    bool thought = json_get_true(part, STR("thought"));
    struct json_node inner;

    if (json_node_is(inner = gemini_get(part, "functionCall"), JSON_OBJECT))
        return tell_call(r, n, inner, blob, scratch, sink);
    if (json_node_is(inner = gemini_get(part, "inlineData"), JSON_OBJECT)) /* a picture thought of is no answer */
        return thought ? tell_opaque(r, n, part, sink) : tell_media(r, n, inner, blob, scratch, sink);
    if (!json_node_is(gemini_get(part, "text"), JSON_STRING) && (!blob.n || gemini_is_code(part)))
        return json_node_count(part) ? tell_opaque(r, n, part, sink) : OK;
    if (!text.n && !blob.n)
        return OK;
    TRY(continue_block(r, n, thought ? BLOCK_THINKING : BLOCK_TEXT, sink));
    if (!thought && text.n)
        note_text(&r->candidates[n], text, r->arena);
    TRY(tell_text(r, n, text, sink));
    return tell_signature(r, n, blob, sink);
}

/* --- what stands beside the parts --- */

/* Between two bytes of the open text; a beginning that is not said is 0, as everywhere in Google's JSON. */
static struct citation place_of(const struct gemini_candidate *c, struct json_node segment, struct arena *scratch)
{
    struct citation to = {.cited_text = gemini_text(segment, "text", scratch), .start = -1, .end = -1};
    int64_t start = 0, end, part = 0;

    (void)json_node_i64(gemini_get(segment, "startIndex"), &start);
    (void)json_node_i64(gemini_get(segment, "partIndex"), &part);
    if (!json_node_i64(gemini_get(segment, "endIndex"), &end) || start > end || (part && c->joined))
        return to;
    to.start = gemini_characters_before(&c->runs, start);
    to.end = gemini_characters_before(&c->runs, end);
    if (to.start < 0 || to.end < 0)
        to.start = to.end = -1;
    return to;
}

/* `at`: where it is cited; `source`: what, with its address and title. */
static err_t tell_citation(struct gemini_reader *r, unsigned n, const struct citation *at, struct json_node source,
                           struct arena *scratch, const struct chat_sink *sink)
{
    struct citation c = *at;
    struct chat_event e = {.kind = CHAT_CITATION, .choice = n, .block = r->candidates[n].blocks - 1, .citation = &c};

    c.url = gemini_text(source, "uri", scratch);
    c.title = gemini_text(source, "title", scratch);
    return c.url.n || c.title.n ? chat_tell(sink, &e) : OK;
}

/* A page of the web, a piece of a collection of documents, or a place on a map. */
static struct json_node source_of(struct json_node chunk)
{
    static const char *const kinds[] = {"web", "retrievedContext", "maps"};
    struct json_node v = JSON_ABSENT;

    for (size_t i = 0; i < ARRAY_LEN(kinds) && json_is_absent(v); i++)
        v = gemini_get(chunk, kinds[i]);
    return v;
}

static err_t tell_supports(struct gemini_reader *r, unsigned n, struct json_node grounding, struct arena *scratch,
                           const struct chat_sink *sink)
{
    struct json_node chunks = gemini_get(grounding, "groundingChunks");

    JSON_EACH(support, gemini_get(grounding, "groundingSupports")) {
        struct citation at = place_of(&r->candidates[n], gemini_get(support.value, "segment"), scratch);
        JSON_EACH(index, gemini_get(support.value, "groundingChunkIndices")) {
            int64_t number = -1;
            if (!json_node_i64(index.value, &number) || number < 0)
                continue;
            TRY(tell_citation(r, n, &at, source_of(json_node_at(chunks, (size_t)number)), scratch, sink));
        }
    }
    return OK;
}

/* Sources that nothing in the text points to: of the answer as a whole. Addresses that were read are told only where no search has told them. */
static err_t tell_unplaced(struct gemini_reader *r, unsigned n, struct json_node v, struct arena *scratch,
                           const struct chat_sink *sink)
{
    const struct citation nowhere = {.start = -1, .end = -1};
    struct json_node grounding = gemini_get(v, "groundingMetadata"), chunks = gemini_get(grounding, "groundingChunks");

    if (!json_node_count(gemini_get(grounding, "groundingSupports")))
        JSON_EACH(chunk, chunks)
            TRY(tell_citation(r, n, &nowhere, source_of(chunk.value), scratch, sink));
    if (json_node_count(chunks))
        return OK;
    JSON_EACH(page, gemini_get(gemini_get(v, "urlContextMetadata"), "urlMetadata")) {
        struct citation c = nowhere;
        struct chat_event e = {
            .kind = CHAT_CITATION, .choice = n, .block = r->candidates[n].blocks - 1, .citation = &c};
        c.url = gemini_text(page.value, "retrievedUrl", scratch);
        if (c.url.n &&
            json_node_text_is(gemini_get(page.value, "urlRetrievalStatus"), STR("URL_RETRIEVAL_STATUS_SUCCESS")))
            TRY(chat_tell(sink, &e));
    }
    return OK;
}

/* Sources are told of the text that is open; `last`: nothing more will be said of them. */
static err_t tell_sources(struct gemini_reader *r, unsigned n, struct json_node v, bool last, struct arena *scratch,
                          const struct chat_sink *sink)
{
    struct json_node cited = gemini_get(v, "citationMetadata"), sources = gemini_get(cited, "citationSources");

    if (!r->candidates[n].open || r->candidates[n].kind != BLOCK_TEXT)
        return OK;
    TRY(tell_supports(r, n, gemini_get(v, "groundingMetadata"), scratch, sink));
    if (last)
        TRY(tell_unplaced(r, n, v, scratch, sink));
    JSON_EACH(source, json_is_absent(sources) ? gemini_get(cited, "citations") : sources) {
        struct citation at = place_of(&r->candidates[n], source.value, scratch);
        TRY(tell_citation(r, n, &at, source.value, scratch, sink));
    }
    return OK;
}

static void put_logprob(struct json_out *o, struct json_node v, struct arena *scratch)
{
    json_member_str(o, STR("token"), gemini_text(v, "token", scratch));
    json_member_raw(o, STR("logprob"), json_node_raw(gemini_get(v, "logProbability")));
    json_member_null(o, STR("bytes"));
}

/* As OpenAI's array of tokens. */
static err_t tell_logprobs(unsigned n, struct json_node v, struct arena *scratch, const struct chat_sink *sink)
{
    enum { GROWTH = 4, AROUND = 64 };
    struct json_node chosen = gemini_get(v, "chosenCandidates"), top = gemini_get(v, "topCandidates");
    struct buf to CLEANUP(buf_release) = BUF_INIT(json_node_raw(v).n * GROWTH + AROUND);
    struct json_out o = json_out_to(&to);
    struct json_walk tops = json_walk(top);

    if (!json_node_count(chosen))
        return OK;
    json_open(&o, '[');
    JSON_EACH(w, chosen) {
        json_open(&o, '{');
        put_logprob(&o, w.value, scratch);
        json_member_open(&o, STR("top_logprobs"), '[');
        struct json_node others = json_walk_next(&tops) ? gemini_get(tops.value, "candidates") : JSON_ABSENT;
        JSON_EACH(other, others) {
            json_open(&o, '{');
            put_logprob(&o, other.value, scratch);
            json_close(&o, '}');
        }
        json_close(&o, ']');
        json_close(&o, '}');
    }
    json_close(&o, ']');
    TRY(buf_status(&to));
    struct chat_event e = {.kind = CHAT_LOGPROBS, .choice = n, .text = buf_str(&to)};
    return chat_tell(sink, &e);
}

static uint64_t modality(struct json_node details, const char *name)
{
    JSON_EACH(w, details)
        if (json_node_text_is(gemini_get(w.value, "modality"), str_from_c(name)))
            return usage_count(w.value, STR("tokenCount"));
    return 0;
}

static uint64_t count_of(struct json_node usage, const char *name)
{
    int64_t n;

    return json_node_i64(gemini_get(usage, name), &n) && n > 0 ? (uint64_t)n : 0;
}

static void take_usage(struct gemini_reader *r, struct json_node v)
{
    if (!json_node_is(v, JSON_OBJECT))
        return;
    uint64_t thoughts = count_of(v, "thoughtsTokenCount");
    r->usage = (struct usage){
        .input = count_of(v, "promptTokenCount") + count_of(v, "toolUsePromptTokenCount"),
        .cached_input = count_of(v, "cachedContentTokenCount"),
        .output = count_of(v, "candidatesTokenCount") + thoughts,
        .reasoning = thoughts,
        .audio_input = modality(gemini_get(v, "promptTokensDetails"), "AUDIO"),
        .audio_output = modality(gemini_get(v, "candidatesTokensDetails"), "AUDIO"),
        .known = true,
    };
}

/* --- errors and ends --- */

static err_t tell_error(struct gemini_reader *r, const struct api_error *error, const struct chat_sink *sink)
{
    struct chat_event e = {.kind = CHAT_ERROR, .error = error};

    r->over = true;
    return chat_tell(sink, &e);
}

static err_t tell_broken(struct gemini_reader *r, struct str message, const struct chat_sink *sink)
{
    struct api_error error = {.status = 502, .error_class = ERROR_UPSTREAM, .message = message, .retry_after_ms = -1};

    return tell_error(r, &error, sink);
}

static bool is_one_of(struct json_node v, const char *const *names)
{
    for (; *names; names++)
        if (json_node_text_is(v, str_from_c(*names)))
            return true;
    return false;
}

/* Reasons for which there is no answer, though Google calls it finished. */
static bool is_failure(struct json_node reason)
{
    static const char *const failures[] = {"OTHER",
                                           "MALFORMED_FUNCTION_CALL",
                                           "MALFORMED_RESPONSE",
                                           "UNEXPECTED_TOOL_CALL",
                                           "TOO_MANY_TOOL_CALLS",
                                           "MISSING_THOUGHT_SIGNATURE",
                                           "NO_IMAGE",
                                           "IMAGE_OTHER",
                                           NULL};

    return is_one_of(reason, failures);
}

static enum finish finish_of(struct json_node reason, bool has_call)
{
    static const char *const filters[] = {"SAFETY",
                                          "RECITATION",
                                          "LANGUAGE",
                                          "BLOCKLIST",
                                          "PROHIBITED_CONTENT",
                                          "SPII",
                                          "IMAGE_SAFETY",
                                          "IMAGE_PROHIBITED_CONTENT",
                                          "IMAGE_RECITATION",
                                          NULL};

    if (json_node_text_is(reason, STR("MAX_TOKENS")))
        return FINISH_LENGTH;
    if (is_one_of(reason, filters))
        return FINISH_FILTER;
    if (has_call)
        return FINISH_TOOL_CALLS;
    return json_node_text_is(reason, STR("CONTINUATION")) ? FINISH_PAUSE : FINISH_STOP;
}

static err_t tell_usage(struct gemini_reader *r, const struct chat_sink *sink)
{
    struct chat_event e = {.kind = CHAT_USAGE, .usage = &r->usage};

    return r->usage.known ? chat_tell(sink, &e) : OK;
}

/* --- an answer, or a piece of one --- */

static err_t on_candidate(struct gemini_reader *r, struct json_node v, struct arena *scratch,
                          const struct chat_sink *sink)
{
    struct json_node reason = gemini_get(v, "finishReason");
    int64_t index = 0;

    (void)json_node_i64(gemini_get(v, "index"), &index);
    if (index < 0 || index >= GEMINI_CANDIDATES_MAX)
        return tell_broken(r, STR("the provider sent more candidates than a request can ask for"), sink);
    unsigned n = (unsigned)index;
    struct gemini_candidate *c = candidate(r, n);
    bool last = json_node_is(reason, JSON_STRING) && !json_node_text_is(reason, STR("")) &&
                !json_node_text_is(reason, STR("FINISH_REASON_UNSPECIFIED"));
    c->in_frame = false;
    JSON_EACH(part, gemini_get(gemini_get(v, "content"), "parts")) {
        TRY(tell_part(r, n, part.value, scratch, sink));
        if (r->over)
            return OK;
    }
    TRY(tell_sources(r, n, v, last, scratch, sink));
    TRY(tell_logprobs(n, gemini_get(v, "logprobsResult"), scratch, sink));
    if (!last)
        return OK;
    if (is_failure(reason))
        return tell_broken(r, arena_join(scratch, STR("the model's answer failed: "), json_node_text(reason, scratch)),
                           sink);
    c->finished = true;
    c->finish = finish_of(reason, c->has_call);
    return OK;
}

static err_t tell_start(struct gemini_reader *r, struct json_node v, struct arena *scratch,
                        const struct chat_sink *sink)
{
    struct chat_event e = {.kind = CHAT_START,
                           .id = gemini_text(v, "responseId", scratch),
                           .model = gemini_text(v, "modelVersion", scratch)};

    if (r->started)
        return OK;
    r->started = true;
    r->id = arena_str(r->arena, e.id);
    return chat_tell(sink, &e);
}

static void classify(struct arena *arena, int status, const struct error_body *said, struct api_error *ret);

static err_t on_piece(struct gemini_reader *r, struct json_node v, struct arena *scratch, const struct chat_sink *sink)
{
    struct json_node blocked = gemini_get(gemini_get(v, "promptFeedback"), "blockReason");
    struct error_body said;
    struct api_error error;

    if (json_node_is_set(json_node_get(v, STR("error")))) {
        error_body_of(scratch, v, &said);
        classify(scratch, 0, &said, &error);
        return tell_error(r, &error, sink);
    }
    TRY(tell_start(r, v, scratch, sink));
    take_usage(r, gemini_get(v, "usageMetadata"));
    if (!r->told_usage && r->usage.known) { /* early, for accounts of answers that break off */
        r->told_usage = true;
        TRY(tell_usage(r, sink));
    }
    if (json_node_is(blocked, JSON_STRING)) {
        r->blocked = true;
        r->words = arena_str(r->arena, gemini_text(gemini_get(v, "promptFeedback"), "blockReasonMessage", scratch));
    }
    JSON_EACH(w, gemini_get(v, "candidates")) {
        if (!r->over)
            TRY(on_candidate(r, w.value, scratch, sink));
    }
    return OK;
}

err_t gemini_reader_begin(void *state, struct arena *arena)
{
    *(struct gemini_reader *)state = (struct gemini_reader){.arena = arena};
    return OK;
}

err_t gemini_reader_frame(void *state, const struct frame *f, struct arena *scratch, const struct chat_sink *sink)
{
    struct gemini_reader *r = state;
    const struct json_tree *tree;

    if (r->over || !f->data.n || str_eq(f->data, STR("[DONE]")))
        return OK;
    if (json_tree_parse(scratch, f->data, &tree) != OK)
        return tell_broken(r, STR("the provider sent an event that is not JSON"), sink);
    return on_piece(r, json_tree_root(tree), scratch, sink);
}

static bool is_whole(const struct gemini_reader *r)
{
    bool any = false;

    for (size_t i = 0; i < GEMINI_CANDIDATES_MAX; i++) {
        if (r->candidates[i].seen && !r->candidates[i].finished)
            return false;
        any = any || r->candidates[i].seen;
    }
    return r->started && (any || r->blocked);
}

/* The prompt was refused: there is no candidate, but perhaps words for it. */
static err_t tell_blocked(struct gemini_reader *r, const struct chat_sink *sink)
{
    r->candidates[0] = (struct gemini_candidate){.seen = true, .finish = FINISH_FILTER};
    if (!r->words.n)
        return OK;
    TRY(continue_block(r, 0, BLOCK_REFUSAL, sink));
    return tell_text(r, 0, r->words, sink);
}

err_t gemini_reader_end(void *state, const struct chat_sink *sink)
{
    struct gemini_reader *r = state;
    struct chat_event e;

    if (r->over)
        return OK;
    if (!is_whole(r))
        return tell_broken(r, STR("The provider's answer broke off."), sink);
    r->over = true;
    if (r->blocked && !r->candidates[0].seen)
        TRY(tell_blocked(r, sink));
    for (unsigned n = 0; n < GEMINI_CANDIDATES_MAX; n++)
        TRY(close_block(r, n, sink));
    TRY(tell_usage(r, sink));
    for (unsigned n = 0; n < GEMINI_CANDIDATES_MAX; n++) {
        e = (struct chat_event){.kind = CHAT_FINISH, .choice = n, .finish = r->candidates[n].finish};
        if (r->candidates[n].seen)
            TRY(chat_tell(sink, &e));
    }
    e = (struct chat_event){.kind = CHAT_END};
    return chat_tell(sink, &e);
}

err_t gemini_read_answer(struct arena *arena, struct str body, const struct chat_sink *sink)
{
    struct gemini_reader r = {.arena = arena};
    const struct json_tree *tree;

    if (json_tree_parse(arena, body, &tree) != OK)
        return fail(E_PROTOCOL, "the provider's answer is not JSON");
    struct json_node root = json_tree_root(tree);
    if (json_is_absent(gemini_get(root, "candidates")) && json_is_absent(gemini_get(root, "promptFeedback")) &&
        json_is_absent(json_node_get(root, STR("error"))))
        return fail(E_PROTOCOL, "the provider's answer has no candidates");
    TRY(on_piece(&r, root, arena, sink));
    return gemini_reader_end(&r, sink);
}

err_t gemini_read_count(struct arena *arena, struct str body, uint64_t *ret_tokens)
{
    const struct json_tree *tree;
    int64_t n;

    if (json_tree_parse(arena, body, &tree) != OK)
        return fail(E_PROTOCOL, "the provider's count of tokens is not JSON");
    if (!json_node_i64(gemini_get(json_tree_root(tree), "totalTokens"), &n) || n < 0)
        return fail(E_PROTOCOL, "the provider's count of tokens has no totalTokens");
    *ret_tokens = (uint64_t)n;
    return OK;
}

/* --- error answers --- */

static const struct {
    struct str status;
    int http;
} statuses[] = {
    {STR_INIT("INVALID_ARGUMENT"), 400},
    {STR_INIT("FAILED_PRECONDITION"), 400},
    {STR_INIT("OUT_OF_RANGE"), 400},
    {STR_INIT("UNAUTHENTICATED"), 401},
    {STR_INIT("PERMISSION_DENIED"), 403},
    {STR_INIT("NOT_FOUND"), 404},
    {STR_INIT("ABORTED"), 409},
    {STR_INIT("ALREADY_EXISTS"), 409},
    {STR_INIT("RESOURCE_EXHAUSTED"), 429},
    {STR_INIT("INTERNAL"), 500},
    {STR_INIT("UNKNOWN"), 500},
    {STR_INIT("UNAVAILABLE"), 503},
    {STR_INIT("DEADLINE_EXCEEDED"), 504},
};

/* RetryInfo's "34.4s" in milliseconds. */
static int64_t retry_delay(struct json_node error, struct arena *arena)
{
    const double longest = 30.0 * 24 * 3600; /* seconds: beyond this it is no hint */

    JSON_EACH(w, gemini_get(error, "details")) {
        struct str delay = gemini_text(w.value, "retryDelay", arena);
        double seconds;
        if (delay.n > 1 && str_ends(delay, STR("s")) && json_to_double(str_slice(delay, 0, delay.n - 1), &seconds) &&
            seconds >= 0 && seconds <= longest)
            return (int64_t)ceil(seconds * 1000);
    }
    return -1;
}

static bool has_reason(struct json_node error, const char *reason)
{
    JSON_EACH(w, gemini_get(error, "details"))
        if (json_node_text_is(gemini_get(w.value, "reason"), str_from_c(reason)))
            return true;
    return false;
}

/* `status`: of the answer, or 0 in a stream. */
static void classify(struct arena *arena, int status, const struct error_body *said, struct api_error *ret)
{
    uint64_t code;

    *ret = (struct api_error){.status = status, .message = said->message, .retry_after_ms = -1};
    if (!status && str_to_u64(said->code, 599, &code) && code >= 400)
        ret->status = (int)code;
    for (size_t i = 0; i < ARRAY_LEN(statuses) && !ret->status; i++)
        if (str_eq(said->status, statuses[i].status))
            ret->status = statuses[i].http;
    if (!ret->status)
        ret->status = 500;
    if (!ret->message.n)
        ret->message = status ? STR_NONE : STR("the provider failed");
    if (has_reason(said->object, "API_KEY_INVALID"))
        ret->error_class = ERROR_AUTH;
    else if (error_class_of(ret) == ERROR_BAD_REQUEST && error_words_context(said->message))
        ret->error_class = ERROR_CONTEXT_LENGTH;
    ret->code = said->status.n ? arena_str(arena, said->status).p : NULL;
    ret->retry_after_ms = retry_delay(said->object, arena);
}

void gemini_read_error(struct arena *arena, int status, struct str body,
                       struct str (*header)(void *ctx, struct str name), void *ctx, struct api_error *ret)
{
    struct error_body said;

    error_body_read(arena, body, &said);
    classify(arena, status, &said, ret);
    if (ret->retry_after_ms < 0)
        ret->retry_after_ms = error_retry_hint(header, ctx);
}
