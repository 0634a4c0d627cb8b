/*
 * gemini_answer_write.c - canonical answers as clients of generateContent hear them: whole, streamed, and errors.
 *
 * Each piece of a stream is a whole response object that holds what is new. Calls are told when they are complete. The reasons for finishing
 * and the usage are in the last piece. With alt=sse a piece is an event of data alone: Google's Python SDK takes any other line for JSON and fails,
 * so nothing keeps such a stream alive. Without it the pieces are elements of one array.
 */
#include "codec/url.h"
#include "llm/gemini_int.h"
#include "llm/tool_args.h"

enum { ARGUMENTS_MAX = 64 * 1024 * 1024 };

/* --- parts of answers --- */

static struct str finish_reason(enum finish finish)
{
    switch (finish) {
    case FINISH_STOP:
    case FINISH_STOP_SEQUENCE:
    case FINISH_TOOL_CALLS:
    case FINISH_PAUSE:
        return STR("STOP");
    case FINISH_LENGTH:
    case FINISH_CONTEXT:
        return STR("MAX_TOKENS");
    case FINISH_FILTER:
    case FINISH_REFUSAL:
        return STR("SAFETY");
    }
    return STR("STOP");
}

static void put_usage(struct json_out *o, const struct usage *u)
{
    if (!u->known)
        return;
    json_member_open(o, STR("usageMetadata"), '{');
    json_member_u64(o, STR("promptTokenCount"), u->input);
    if (u->cached_input)
        json_member_u64(o, STR("cachedContentTokenCount"), u->cached_input);
    json_member_u64(o, STR("candidatesTokenCount"), usage_less(u->output, u->reasoning));
    if (u->reasoning)
        json_member_u64(o, STR("thoughtsTokenCount"), u->reasoning);
    json_member_u64(o, STR("totalTokenCount"), u->input + u->output);
    json_close(o, '}');
}

static void put_tail(struct json_out *o, const struct answer_frame *f, struct str id)
{
    json_member_str(o, STR("modelVersion"), f->model);
    json_member_str(o, STR("responseId"), id.n ? id : arena_printf(f->arena, "%016llx", (unsigned long long)f->unique));
}

static void put_text_part(struct json_out *o, struct str text, bool thought, struct str signature)
{
    json_open(o, '{');
    json_member_str(o, STR("text"), text);
    if (thought)
        json_member_bool(o, STR("thought"), true);
    if (signature.n)
        json_member_str(o, STR("thoughtSignature"), signature);
    json_close(o, '}');
}

static void put_call_part(struct json_out *o, struct arena *arena, const struct block *b, struct str signature)
{
    bool wrapped;

    json_open(o, '{');
    json_member_open(o, STR("functionCall"), '{');
    if (b->id.n)
        json_member_str(o, STR("id"), b->id);
    json_member_str(o, STR("name"), b->name);
    json_member_raw(o, STR("args"), tool_args_object(b->arguments, arena, &wrapped));
    json_close(o, '}');
    if (signature.n)
        json_member_str(o, STR("thoughtSignature"), signature);
    json_close(o, '}');
}

static void put_media_part(struct json_out *o, const struct media *m, struct str signature)
{
    json_open(o, '{');
    json_member_open(o, STR("inlineData"), '{');
    json_member_str(o, STR("mimeType"), m->type);
    json_member_str(o, STR("data"), m->data);
    json_close(o, '}');
    if (signature.n)
        json_member_str(o, STR("thoughtSignature"), signature);
    json_close(o, '}');
}

static void put_block(struct json_out *o, struct arena *arena, const struct block *b)
{
    struct str signature = gemini_carry(b->signer, b->signature, false, arena);

    switch (b->kind) {
    case BLOCK_TEXT:
    case BLOCK_REFUSAL:
        if (b->text.n || signature.n)
            put_text_part(o, b->text, false, signature);
        return;
    case BLOCK_THINKING:
        if (b->text.n || signature.n)
            put_text_part(o, b->text, true, signature);
        return;
    case BLOCK_REDACTED:
        put_text_part(o, STR_NONE, true, gemini_carry(b->signer, b->text, true, arena));
        return;
    case BLOCK_TOOL_CALL:
        put_call_part(o, arena, b, signature);
        return;
    case BLOCK_IMAGE:
    case BLOCK_AUDIO:
        if (b->media.source == MEDIA_BASE64)
            put_media_part(o, &b->media, signature);
        return;
    case BLOCK_OPAQUE:
        if (b->of == &dialect_gemini)
            json_put_raw(o, b->text);
        return;
    case BLOCK_VIDEO:
    case BLOCK_DOCUMENT:
    case BLOCK_TOOL_RESULT:
        return; /* answers have no such thing */
    }
}

/* One token, out of OpenAI's form of it. */
static void put_token(struct json_out *o, struct json_node v)
{
    struct json_node token = json_node_get(v, STR("token")), chance = json_node_get(v, STR("logprob"));

    json_open(o, '{');
    if (json_node_is_set(token))
        json_member_raw(o, STR("token"), json_node_raw(token));
    if (json_node_is_set(chance))
        json_member_raw(o, STR("logProbability"), json_node_raw(chance));
    json_close(o, '}');
}

/* Those that were most likely at each place. */
static void put_top(struct json_out *o, struct json_node tokens)
{
    json_member_open(o, STR("topCandidates"), '[');
    JSON_EACH(w, tokens) {
        json_open(o, '{');
        json_member_open(o, STR("candidates"), '[');
        JSON_EACH(top, json_node_get(w.value, STR("top_logprobs")))
            put_token(o, top.value);
        json_close(o, ']');
        json_close(o, '}');
    }
    json_close(o, ']');
}

/* OpenAI's array of tokens as two lists side by side; the average is of what was chosen. */
static void put_logprobs(struct json_out *o, struct str raw, struct arena *arena)
{
    const struct json_tree *tree;
    double sum = 0, one;
    size_t n = 0;

    if (!raw.n || json_tree_parse(arena, raw, &tree) != OK)
        return;
    struct json_node tokens = json_tree_root(tree);
    json_member_open(o, STR("logprobsResult"), '{');
    json_member_open(o, STR("chosenCandidates"), '[');
    JSON_EACH(w, tokens) {
        put_token(o, w.value);
        sum += json_node_double(json_node_get(w.value, STR("logprob")), &one) ? one : 0;
        n++;
    }
    json_close(o, ']');
    put_top(o, tokens);
    json_close(o, '}');
    if (!n)
        return;
    json_key(o, STR("avgLogprobs"));
    json_put_double(o, sum / (double)n);
}

/* Where a piece of the text comes from. */
struct gemini_source {
    struct gemini_source *next;
    struct str url, title, cited_text;
    size_t chunk;       /* its place among the sources that differ           */
    bool is_first;      /* of those with this place                          */
    int64_t start, end; /* bytes of the text; nothing is cited if start >= end */
    size_t part;        /* of the content, in which they are counted         */
};

/* The same source cited again has its first place; behind the first thousand citations nobody looks. */
static void number_source(struct gemini_sources *list, struct gemini_source *to)
{
    enum { LOOK_MAX = 1024 };
    size_t looked = 0;

    for (const struct gemini_source *s = list->first; s && looked < LOOK_MAX; s = s->next, looked++) {
        if (s->is_first && str_eq(s->url, to->url)) {
            to->chunk = s->chunk;
            return;
        }
    }
    to->is_first = true;
    to->chunk = list->chunks++;
}

/* A citation of the text whose `runs` these are, behind `before` bytes; one without a place is of the whole text. */
static void add_source(struct gemini_sources *list, struct arena *arena, const struct citation *c,
                       const struct gemini_runs *runs, size_t before, size_t part)
{
    struct gemini_source *to;
    int64_t end = c->end < 0 ? -1 : gemini_bytes_before(runs, c->end);

    if (!c->url.n)
        return;
    to = arena_new(arena, struct gemini_source);
    *to = (struct gemini_source){.url = arena_str(arena, c->url),
                                 .title = arena_str(arena, c->title),
                                 .cited_text = arena_str(arena, c->cited_text),
                                 .part = part};
    to->end = (int64_t)before + (end < 0 ? (int64_t)runs->bytes : end);
    to->start = (int64_t)before + (end < 0 || c->start < 0 ? 0 : gemini_bytes_before(runs, c->start));
    number_source(list, to);
    if (list->last)
        list->last->next = to;
    else
        list->first = to;
    list->last = to;
}

static void put_support(struct json_out *o, const struct gemini_source *s)
{
    json_open(o, '{');
    json_member_open(o, STR("segment"), '{');
    if (s->part)
        json_member_u64(o, STR("partIndex"), s->part);
    if (s->start > 0)
        json_member_i64(o, STR("startIndex"), s->start);
    json_member_i64(o, STR("endIndex"), s->end);
    if (s->cited_text.n)
        json_member_str(o, STR("text"), s->cited_text);
    json_close(o, '}');
    json_member_open(o, STR("groundingChunkIndices"), '[');
    json_put_u64(o, s->chunk);
    json_close(o, ']');
    json_close(o, '}');
}

/* Where the text comes from: each citation supports its own piece of it. */
static void put_sources(struct json_out *o, const struct gemini_sources *list)
{
    if (!list->first)
        return;
    json_member_open(o, STR("groundingMetadata"), '{');
    json_member_open(o, STR("groundingChunks"), '[');
    for (const struct gemini_source *s = list->first; s; s = s->next) {
        if (!s->is_first)
            continue;
        json_open(o, '{');
        json_member_open(o, STR("web"), '{');
        json_member_str(o, STR("uri"), s->url);
        json_member_str(o, STR("title"), s->title);
        json_close(o, '}');
        json_close(o, '}');
    }
    json_close(o, ']');
    json_member_open(o, STR("groundingSupports"), '[');
    for (const struct gemini_source *s = list->first; s; s = s->next)
        if (s->start < s->end)
            put_support(o, s);
    json_close(o, ']');
    json_close(o, '}');
}

static void put_candidate_tail(struct json_out *o, unsigned n, enum finish finish, const struct gemini_sources *sources)
{
    json_member_str(o, STR("finishReason"), finish_reason(finish));
    json_member_u64(o, STR("index"), n);
    put_sources(o, sources);
    json_close(o, '}');
}

static void open_content(struct json_out *o)
{
    json_open(o, '{');
    json_member_open(o, STR("content"), '{');
    json_member_open(o, STR("parts"), '[');
}

static void close_content(struct json_out *o)
{
    json_close(o, ']');
    json_member_str(o, STR("role"), STR("model"));
    json_close(o, '}');
}

/* --- whole answers --- */

static void put_candidate(struct json_out *o, const struct answer_frame *f, const struct answer_choice *c, unsigned n)
{
    struct gemini_sources sources = {0};
    size_t parts = 0;

    open_content(o);
    for (const struct block *b = c->blocks; b; b = b->next) {
        struct gemini_runs runs = {0};
        size_t before = o->to->n;
        put_block(o, f->arena, b);
        if (b->citations)
            gemini_runs_add(&runs, b->text, f->arena);
        for (const struct citation *s = b->citations; s; s = s->next)
            add_source(&sources, f->arena, s, &runs, 0, parts);
        parts += o->to->n > before;
    }
    close_content(o);
    put_logprobs(o, c->logprobs, f->arena);
    put_candidate_tail(o, n, c->finish, &sources);
}

err_t gemini_write_answer(const struct answer_frame *f, const struct answer *a, struct buf *to)
{
    struct json_out o = json_out_to(to);

    json_open(&o, '{');
    json_member_open(&o, STR("candidates"), '[');
    for (size_t i = 0; i < a->choice_count; i++)
        put_candidate(&o, f, &a->choices[i], (unsigned)i);
    json_close(&o, ']');
    put_usage(&o, &a->usage);
    put_tail(&o, f, a->id);
    json_close(&o, '}');
    return buf_status(to);
}

/* --- streams --- */

/* A citation may come before the text that it is of. */
struct held_citation {
    struct held_citation *next;
    struct citation c;
};

struct gemini_block {
    struct gemini_block *next;
    unsigned choice, number;
    enum block_kind kind;
    struct str id, name, signature;
    struct buf arguments;    /* calls */
    struct gemini_runs runs; /* texts */
    struct held_citation *citations, *last_citation;
};

static bool is_array(const struct translation *t)
{
    return !str_eq(url_query_get(t->query, STR("alt"), t->arena), STR("sse"));
}

enum framing gemini_framing(const struct translation *t)
{
    return is_array(t) ? FRAMING_ARRAY : FRAMING_SSE;
}

static struct json_out begin_piece(struct gemini_writer *w, struct buf *to)
{
    struct json_out o = json_out_to(to);

    if (!is_array(w->frame.t))
        buf_add_lit(to, "data: ");
    else
        buf_add(to, w->begun ? STR(",\r\n") : STR("["));
    w->begun = true;
    json_open(&o, '{');
    return o;
}

static err_t end_piece(struct gemini_writer *w, struct json_out *o)
{
    json_close(o, '}');
    buf_add(o->to, is_array(w->frame.t) ? STR("\n") : STR("\r\n\r\n"));
    return buf_status(o->to);
}

static struct json_out begin_parts(struct gemini_writer *w, struct buf *to)
{
    struct json_out o = begin_piece(w, to);

    json_member_open(&o, STR("candidates"), '[');
    open_content(&o);
    return o;
}

static err_t end_parts(struct gemini_writer *w, struct json_out *o, unsigned choice)
{
    close_content(o);
    json_member_u64(o, STR("index"), choice);
    json_close(o, '}');
    json_close(o, ']');
    put_tail(o, &w->frame, w->id);
    return end_piece(w, o);
}

static struct gemini_block **find_block(struct gemini_writer *w, const struct chat_event *e)
{
    struct gemini_block **at = &w->blocks;

    while (*at && ((*at)->choice != e->choice || (*at)->number != e->block))
        at = &(*at)->next;
    return at;
}

static void release_block(void *obj)
{
    struct gemini_block *b = obj;

    buf_release(&b->arguments);
}

static err_t start_block(struct gemini_writer *w, const struct chat_event *e, struct buf *to)
{
    struct arena *arena = w->frame.arena;
    struct gemini_block *b = arena_new(arena, struct gemini_block);
    struct block whole = {.kind = e->block_kind,
                          .text = e->text,
                          .signature = e->media ? e->text : STR_NONE,
                          .signer = e->signer,
                          .of = e->of};

    *b = (struct gemini_block){.next = w->blocks, .choice = e->choice, .number = e->block, .kind = e->block_kind};
    b->id = arena_str(arena, e->id);
    b->name = arena_str(arena, e->name);
    w->blocks = b;
    if (b->kind == BLOCK_TOOL_CALL) {
        buf_init(&b->arguments, ARGUMENTS_MAX);
        arena_hold(arena, b, release_block);
        return OK;
    }
    if (b->kind == BLOCK_TEXT || b->kind == BLOCK_THINKING || b->kind == BLOCK_REFUSAL)
        return OK;
    if (e->media)
        whole.media = *e->media;
    struct json_out o = begin_parts(w, to); /* all others are whole with their start */
    put_block(&o, arena, &whole);
    return end_parts(w, &o, e->choice);
}

static err_t write_text(struct gemini_writer *w, const struct gemini_block *b, struct str text, struct str signature,
                        struct buf *to)
{
    struct json_out o = begin_parts(w, to);

    put_text_part(&o, text, b->kind == BLOCK_THINKING, signature);
    return end_parts(w, &o, b->choice);
}

static err_t hear_text(struct gemini_writer *w, struct gemini_block *b, struct str text, struct buf *to)
{
    if (b->kind == BLOCK_TOOL_CALL)
        return buf_add(&b->arguments, text);
    if (b->kind != BLOCK_THINKING)
        gemini_runs_add(&b->runs, text, w->frame.arena);
    return write_text(w, b, text, STR_NONE, to);
}

static void hold_citation(struct gemini_block *b, const struct citation *c, struct arena *arena)
{
    struct held_citation *held = arena_new(arena, struct held_citation);

    *held = (struct held_citation){.c = {.url = arena_str(arena, c->url),
                                         .title = arena_str(arena, c->title),
                                         .cited_text = arena_str(arena, c->cited_text),
                                         .start = c->start,
                                         .end = c->end}};
    if (b->last_citation)
        b->last_citation->next = held;
    else
        b->citations = held;
    b->last_citation = held;
}

static err_t stop_block(struct gemini_writer *w, struct gemini_block **at, struct buf *to)
{
    struct gemini_block *b = *at;

    *at = b->next;
    for (const struct held_citation *h = b->citations; h; h = h->next)
        add_source(&w->choices[b->choice].sources, w->frame.arena, &h->c, &b->runs, w->choices[b->choice].bytes, 0);
    w->choices[b->choice].bytes += b->runs.bytes;
    if (b->kind != BLOCK_TOOL_CALL)
        return OK;
    struct block call = {.id = b->id, .name = b->name, .arguments = buf_str(&b->arguments)};
    struct json_out o = begin_parts(w, to);
    put_call_part(&o, w->frame.arena, &call, b->signature);
    TRY(end_parts(w, &o, b->choice));
    buf_release(&b->arguments);
    return OK;
}

static err_t in_block(struct gemini_writer *w, const struct chat_event *e, struct buf *to)
{
    struct gemini_block **at = find_block(w, e), *b = *at;
    struct str blob;

    if (!b)
        return OK;
    if (e->kind == CHAT_BLOCK_STOP)
        return stop_block(w, at, to);
    if (e->kind == CHAT_TEXT)
        return hear_text(w, b, e->text, to);
    if (e->kind == CHAT_CITATION) {
        hold_citation(b, e->citation, w->frame.arena);
        return OK;
    }
    blob = gemini_carry(e->signer, e->text, false, w->frame.arena);
    if (b->kind != BLOCK_TOOL_CALL)
        return write_text(w, b, STR_NONE, blob, to);
    b->signature = arena_str(w->frame.arena, blob);
    return OK;
}

/* They are of the text before them; a piece has some, if an empty, text. */
static err_t write_logprobs(struct gemini_writer *w, const struct chat_event *e, struct buf *to)
{
    struct json_out o = begin_parts(w, to);

    put_text_part(&o, STR_NONE, false, STR_NONE);
    close_content(&o);
    put_logprobs(&o, e->text, w->frame.arena);
    json_member_u64(&o, STR("index"), e->choice);
    json_close(&o, '}');
    json_close(&o, ']');
    put_tail(&o, &w->frame, w->id);
    return end_piece(w, &o);
}

static err_t write_end(struct gemini_writer *w, struct buf *to)
{
    struct json_out o = begin_piece(w, to);

    w->over = true;
    json_member_open(&o, STR("candidates"), '[');
    for (unsigned n = 0; n < GEMINI_CANDIDATES_MAX; n++) {
        if (!w->choices[n].seen)
            continue;
        open_content(&o);
        put_text_part(&o, STR_NONE, false, STR_NONE);
        close_content(&o);
        put_candidate_tail(&o, n, w->choices[n].finish, &w->choices[n].sources);
    }
    json_close(&o, ']');
    put_usage(&o, &w->usage);
    put_tail(&o, &w->frame, w->id);
    TRY(end_piece(w, &o));
    return is_array(w->frame.t) ? buf_add_lit(to, "]") : OK;
}

static void put_error(struct json_out *o, const struct api_error *e, struct str words);

/* "error" is the first member: by that Google's Python SDK knows it. */
static err_t write_stream_error(struct gemini_writer *w, const struct api_error *e, struct buf *to)
{
    struct json_out o = begin_piece(w, to);

    w->over = true;
    put_error(&o, e, e->message);
    TRY(end_piece(w, &o));
    return is_array(w->frame.t) ? buf_add_lit(to, "]") : OK;
}

err_t gemini_writer_begin(void *state, const struct answer_frame *f, struct buf *to)
{
    (void)to;
    *(struct gemini_writer *)state = (struct gemini_writer){.frame = *f};
    return OK;
}

err_t gemini_writer_event(void *state, const struct chat_event *e, struct buf *to)
{
    struct gemini_writer *w = state;

    if (w->over || e->choice >= GEMINI_CANDIDATES_MAX)
        return OK;
    switch (e->kind) {
    case CHAT_START:
        answer_frame_follow(&w->frame, e);
        w->id = arena_str(w->frame.arena, e->id);
        return OK;
    case CHAT_BLOCK_START:
        return start_block(w, e, to);
    case CHAT_TEXT:
    case CHAT_SIGNATURE:
    case CHAT_CITATION:
    case CHAT_BLOCK_STOP:
        return in_block(w, e, to);
    case CHAT_LOGPROBS:
        return write_logprobs(w, e, to);
    case CHAT_USAGE:
        w->usage = *e->usage;
        return OK;
    case CHAT_FINISH:
        w->choices[e->choice].seen = true;
        w->choices[e->choice].finish = e->finish;
        return OK;
    case CHAT_END:
        return write_end(w, to);
    case CHAT_ERROR:
        return write_stream_error(w, e->error, to);
    }
    return OK;
}

/* Nothing is numbered; of a stream that is one array, an element has passed. */
err_t gemini_writer_follow(void *state, const struct frame *f, struct arena *scratch)
{
    struct gemini_writer *w = state;

    (void)f;
    (void)scratch;
    w->begun = true;
    return OK;
}

/* --- counts and models --- */

err_t gemini_write_count(const struct translation *t, uint64_t tokens, bool exact, struct buf *to)
{
    struct json_out o = json_out_to(to);

    (void)t;
    (void)exact;
    json_open(&o, '{');
    json_member_u64(&o, STR("totalTokens"), tokens);
    json_close(&o, '}');
    return buf_status(to);
}

static void put_model(struct json_out *o, const struct translation *t, const struct model_card *card)
{
    static const char *const methods[] = {"generateContent", "streamGenerateContent", "countTokens", "embedContent",
                                          "batchEmbedContents"};

    json_open(o, '{');
    json_member_str(o, STR("name"), arena_join(t->arena, STR("models/"), card->id));
    json_member_str(o, STR("displayName"), card->id);
    json_member_open(o, STR("supportedGenerationMethods"), '[');
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        json_put_str(o, str_from_c(methods[i]));
    json_close(o, ']');
    json_close(o, '}');
}

err_t gemini_write_model(const struct translation *t, const struct model_card *card, struct buf *to)
{
    struct json_out o = json_out_to(to);

    put_model(&o, t, card);
    return buf_status(to);
}

err_t gemini_write_models(const struct translation *t, const struct model_card *cards, size_t n, struct buf *to)
{
    struct json_out o = json_out_to(to);

    json_open(&o, '{');
    json_member_open(&o, STR("models"), '[');
    for (size_t i = 0; i < n; i++)
        put_model(&o, t, &cards[i]);
    json_close(&o, ']');
    json_close(&o, '}');
    return buf_status(to);
}

/* --- errors --- */

static const struct {
    int code;
    struct str status;
} error_names[] = {
    [ERROR_BY_STATUS] = {500, STR_INIT("INTERNAL")},
    [ERROR_BAD_REQUEST] = {400, STR_INIT("INVALID_ARGUMENT")},
    [ERROR_CONTEXT_LENGTH] = {400, STR_INIT("INVALID_ARGUMENT")},
    [ERROR_CONTENT_POLICY] = {400, STR_INIT("INVALID_ARGUMENT")},
    [ERROR_AUTH] = {401, STR_INIT("UNAUTHENTICATED")},
    [ERROR_QUOTA] = {429, STR_INIT("RESOURCE_EXHAUSTED")},
    [ERROR_FORBIDDEN] = {403, STR_INIT("PERMISSION_DENIED")},
    [ERROR_NOT_FOUND] = {404, STR_INIT("NOT_FOUND")},
    [ERROR_CONFLICT] = {409, STR_INIT("ABORTED")},
    [ERROR_TOO_LARGE] = {400, STR_INIT("INVALID_ARGUMENT")},
    [ERROR_UNPROCESSABLE] = {400, STR_INIT("INVALID_ARGUMENT")},
    [ERROR_RATE_LIMIT] = {429, STR_INIT("RESOURCE_EXHAUSTED")},
    [ERROR_UPSTREAM] = {500, STR_INIT("INTERNAL")},
    [ERROR_OVERLOADED] = {503, STR_INIT("UNAVAILABLE")},
    [ERROR_TIMEOUT] = {504, STR_INIT("DEADLINE_EXCEEDED")},
};

static int code_of(const struct api_error *e)
{
    enum error_class class = error_class_of(e);

    return class == ERROR_UPSTREAM && e->status >= 500 && e->status <= 599 ? e->status : error_names[class].code;
}

static void put_retry(struct json_out *o, int64_t ms)
{
    json_member_open(o, STR("details"), '[');
    json_open(o, '{');
    json_member_str(o, STR("@type"), STR("type.googleapis.com/google.rpc.RetryInfo"));
    json_key(o, STR("retryDelay"));
    buf_addf(json_begin_value(o), "\"%lld.%03llds\"", (long long)(ms / 1000), (long long)(ms % 1000));
    json_close(o, '}');
    json_close(o, ']');
}

static void put_error(struct json_out *o, const struct api_error *e, struct str words)
{
    json_member_open(o, STR("error"), '{');
    json_member_i64(o, STR("code"), code_of(e));
    json_member_str(o, STR("message"), words);
    json_member_str(o, STR("status"), error_names[error_class_of(e)].status);
    if (e->retry_after_ms > 0)
        put_retry(o, e->retry_after_ms);
    json_close(o, '}');
}

static void write_error_body(const struct translation *t, const struct api_error *e, struct str words, struct buf *to)
{
    bool array = t->row && t->row->stream == STREAM_ALWAYS && is_array(t);
    struct json_out o = json_out_to(to);

    if (array)
        json_open(&o, '[');
    json_open(&o, '{');
    put_error(&o, e, words);
    json_close(&o, '}');
    if (array)
        json_close(&o, ']');
}

void gemini_error_answer(const struct translation *t, const struct api_error *e, struct buf *to, int *ret_status,
                         struct call_header ret_headers[2])
{
    size_t before = to->n;

    (void)ret_headers;
    write_error_body(t, e, e->message, to);
    if (buf_status(to) != OK) { /* words that are too long for the room */
        to->n = before;
        to->overflow = false;
        write_error_body(t, e, STR("the request failed"), to);
    }
    *ret_status = code_of(e);
}
